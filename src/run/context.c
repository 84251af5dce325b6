/*
 * context.c: an opened device and what its user chose. Operators hold a reference, so a context lives until the last of
 * them is gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

void q_context_log(const quern_context *context, const char *fmt, ...)
{
    if (!context->options.log) return;
    char line[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    context->options.log(context->options.log_user, line);
}

void q_context_retain(quern_context *context)
{
    pthread_mutex_lock(&context->lock);
    context->references++;
    pthread_mutex_unlock(&context->lock);
}

void q_context_release(quern_context *context)
{
    pthread_mutex_lock(&context->lock);
    int left = --context->references;
    pthread_mutex_unlock(&context->lock);
    if (left) return;
    q_converters_free(context);
    q_session_destroy(&context->session);
    pthread_mutex_destroy(&context->lock);
    free(context);
}

/* Replaces a choice that is left to quern by what the environment says. */
static quern_status ask_environment(quern_switch *choice, const char *name)
{
    static const char *const words[] = {[QUERN_AUTO] = "auto", [QUERN_ON] = "on", [QUERN_OFF] = "off"};
    const char *text = getenv(name);
    if (*choice || !text || !*text) return QUERN_OK;
    for (size_t w = 0; w < Q_COUNT(words); w++)
        if (strcmp(text, words[w]) == 0) {
            *choice = (quern_switch)w;
            return QUERN_OK;
        }
    return q_fail(QUERN_USAGE, "%s is '%s'; it can be on, off or auto", name, text);
}

/* The device of what the program has opened, among those of the list. */
static quern_status find_opened(q_opened *opened, q_device *list, size_t count, size_t *index, q_text *why)
{
    cl_device_id id;
    Q_TRY(q_opened_device(opened, &id));
    cl_device_id whole = q_device_whole(id);
    for (*index = 0; *index < count && list[*index].id != whole;) ++*index;
    if (*index == count)
        return q_fail(QUERN_NO_DEVICE, "the device of the given OpenCL queue or context is none that quern can use");
    if (id != whole) Q_TRY(q_device_narrow(&list[*index], id, opened->context));
    q_text_add(why, "device %s: that of the OpenCL queue or context that was given", list[*index].info.name);
    return QUERN_OK;
}

static quern_status open_device(quern_context *context)
{
    const quern_context_options *options = &context->options;
    q_opened opened = {options->opencl_context, options->opencl_queue};
    bool given = opened.context || opened.commands;
    q_device *list;
    size_t count, index;
    q_text why = {0};
    Q_TRY(q_discover(&list, &count));
    quern_status status =
        given ? find_opened(&opened, list, count, &index, &why) : q_choose(list, count, options->device, &index, &why);
    if (!status) {
        q_context_log(context, "%s", why.data ? why.data : "");
        status = q_session_create(&context->session, &list[index], options->memory, given ? &opened : NULL);
    }
    q_text_free(&why);
    free(list);
    if (status) return status;
    context->session->lock_timeout = (q_lock_timeout){.log = options->log, .log_user = options->log_user};
    const quern_device *device = quern_context_device(context);
    q_profile_find(&context->profile, device->profile);
    q_tuned_use(context);
    context->session->keeps_programs = options->cache ? options->cache == QUERN_ON : !device->driver_caches;
    return QUERN_OK;
}

quern_status quern_context_create(quern_context **out, const quern_context_options *options)
{
    if (!out) return q_fail_null("quern_context_create", "out");
    quern_context *context = *out = calloc(1, sizeof *context);
    if (!context) return q_fail_memory(sizeof *context);
    pthread_mutex_init(&context->lock, NULL);
    context->references = 1;
    quern_status status = q_options_copy(&context->options, sizeof context->options, options, "quern_context_options");
    if (!status) status = ask_environment(&context->options.cache, "QUERN_CACHE");
    if (!status) status = ask_environment(&context->options.host, "QUERN_HOST");
    if (!status) status = open_device(context);
    context->options.device = NULL; /* borrowed for this call only */
    if (status) quern_context_destroy(out);
    return status;
}

void quern_context_destroy(quern_context **context)
{
    if (!context || !*context) return;
    q_context_release(*context);
    *context = NULL;
}

quern_status quern_wait(quern_context *context)
{
    return context ? q_session_finish(context->session) : q_fail_null("quern_wait", "the context");
}

const quern_device *quern_context_device(const quern_context *context)
{
    return context ? &q_session_device(context->session)->info : NULL;
}

const char *quern_context_profile(const quern_context *context)
{
    return context ? context->profile.name : "";
}
