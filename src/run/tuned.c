/*
 * tuned.c: the file of rows that `quern tune` has learned on this user's devices. Nothing here keeps a program from
 * running: what cannot be used is refused with a line in the log that says what to do.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/run.h"

static const char head_comment[] =
    "# Rows of profiles learned by `quern tune`, one for each device. The key below a row's settings says where it is of\n"
    "# use; elsewhere the shipped row is taken. QUERN_PROFILES=none ignores this file.\n";

bool q_tuned_path(char *out, size_t size)
{
    const char *own = getenv("QUERN_PROFILES");
    if (own && (!*own || strcmp(own, "none") == 0)) return false;
    return q_user_path(out, size, "QUERN_PROFILES", "XDG_CONFIG_HOME", ".config", "quern/profiles");
}

/* Takes the row of the text for the context's device, or logs why not. */
static void take_row(quern_context *context, const char *text, const char *path)
{
    const q_device *device = q_session_device(context->session);
    q_profile_key key = q_profile_key_of(&device->info);
    q_profile tuned;
    const char *refusal;
    if (q_profile_tuned(&tuned, text, path, &key, &refusal)) {
        q_context_log(context, "%s; the shipped row %s is used until `quern tune` writes the file anew",
                      quern_last_error()->message, context->profile.name);
        return;
    }
    if (!refusal && (size_t)tuned.local > device->max_group) refusal = "its row asks for more work-items than fit";
    if (refusal) {
        q_context_log(context, "%s is not used: %s; run `quern tune` on it again", path, refusal);
        return;
    }
    context->profile = tuned;
    q_context_log(context, "profile %s from %s", tuned.name, path);
}

void q_tuned_use(quern_context *context)
{
    char path[PATH_MAX], *text;
    size_t size;
    if (!q_tuned_path(path, sizeof path) || access(path, F_OK)) return;
    if (q_read_file(path, &text, &size)) {
        q_context_log(context, "%s; the shipped row %s is used", quern_last_error()->message, context->profile.name);
        return;
    }
    if (strlen(text) == size) take_row(context, text, path);
    else q_context_log(context, "%s is not used: it is no text; run `quern tune` again", path);
    free(text);
}

/* The rows of other devices; none, with a line in the log, where the file cannot be understood. */
static void keep_others(quern_context *context, q_text *out, const char *path, const q_profile_key *key)
{
    char *text;
    size_t size;
    q_text others = {0};
    if (access(path, F_OK) || q_read_file(path, &text, &size)) return;
    if (strlen(text) == size && !q_profiles_without(&others, text, path, key))
        q_text_append(out, others.data ? others.data : "", others.size);
    else q_context_log(context, "%s was damaged and is written anew", path);
    q_text_free(&others);
    free(text);
}

quern_status q_tuned_save(quern_context *context, const char *path, const char *row)
{
    q_profile_key key = q_profile_key_of(quern_context_device(context));
    q_text text = {0};
    int lock = q_lock("profiles", &context->session->lock_timeout); /* of those who read, change and write */
    q_text_add(&text, "%s\n", head_comment);
    keep_others(context, &text, path, &key);
    q_text_add(&text, "%s", row);
    quern_status status = text.failed ? q_fail_memory(text.capacity) : q_replace_file(path, text.data, text.size);
    q_unlock(lock);
    q_text_free(&text);
    return status;
}
