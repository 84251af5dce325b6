/*
 * test_tune.c: rows that were learned on a device: tuning itself, with few points and in little time; what is written;
 * when a tuned row is used and when it is refused, with what line in the log.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run_helpers.h"

static char folder[] = "/tmp/quern-test-XXXXXX", path[64];

static int open_all(void **state)
{
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/below/profiles", folder);
    setenv("QUERN_PROFILES", "none", 1);
    setenv("POCL_MAX_WORK_GROUP_SIZE", "1", 1);
    return open_context(state);
}

static int close_all(void **state)
{
    char below[64];
    snprintf(below, sizeof below, "%s/below", folder);
    unlink(path);
    rmdir(below);
    return rmdir(folder) | close_context(state);
}

// ---- files ----

static char *read_rows(void)
{
    char *text;
    size_t size;
    succeed(q_read_file(path, &text, &size));
    return text;
}

static void write_rows(const char *text)
{
    assert_true(q_make_parent(path));
    succeed(q_replace_file(path, text, strlen(text)));
}

/* A row for the context's device, with changed settings and a changed part of its key. */
static char *make_row(const char *settings, const char *old, const char *new)
{
    q_profile shipped;
    q_text text = {0}, changed = {0};
    q_profile_key key = q_profile_key_of(quern_context_device(context));
    assert_true(q_profile_find(&shipped, quern_context_device(context)->profile));
    q_profile row = shipped;
    succeed(q_profile_set(&row, settings, "the test"));
    q_profile_write(&text, &row, &shipped, &key);
    char *at = old ? strstr(text.data, old) : text.data;
    assert_non_null(at);
    q_text_append(&changed, text.data, (size_t)(at - text.data));
    q_text_add(&changed, "%s%s", new, at + (old ? strlen(old) : 0));
    q_text_free(&text);
    return q_text_take(&changed);
}

// ---- use ----

static void keep_line(void *user, const char *line)
{
    q_text_add(user, "%s\n", line);
}

/* Opens a context with the present file. Its row must be `profile`, and `line` a part of its log. */
static void expect_use(const char *profile, int rows, const char *line)
{
    q_text lines = {0};
    quern_context *other;
    setenv("QUERN_PROFILES", path, 1);
    succeed(quern_context_create(
        &other, &(quern_context_options){.size = sizeof(quern_context_options), .log = keep_line, .log_user = &lines}));
    setenv("QUERN_PROFILES", "none", 1);
    assert_string_equal(quern_context_profile(other), profile);
    assert_int_equal(other->profile.rows, rows);
    if (!strstr(lines.data, line)) fail_msg("'%s' is not in the log:\n%s", line, lines.data);
    quern_context_destroy(&other);
    q_text_free(&lines);
}

static void tuned_rows_are_used_where_their_key_fits(void **state)
{
    (void)state;
    need_device();
    const char *shipped = context->profile.name;
    int rows = context->profile.rows;
    char tuned[64];
    snprintf(tuned, sizeof tuned, "%s-tuned", shipped);
    const struct {
        const char *settings, *old, *new, *profile;
        int rows;
        const char *line;
    } cases[] = {
        {"rows=3", NULL, "", tuned, 3, "profile "},
        {"rows=3", NULL, "# a comment\nother : default device=\"a\" vendor=\"b\" driver=\"c\" format=2 new_column=7\n",
         tuned, 3, "profile "},
        {"rows=3", "driver=\"", "driver=\"old ", shipped, rows, "was learned with another driver; run `quern tune`"},
        {"rows=3", "format=2", "format=0", shipped, rows, "is of another version of quern; run `quern tune`"},
        {"rows=3", "rows=3", "new_column=3 format=2 #", shipped, rows, "format is stated"},
        {"rows=3", "device=\"", "device=\"not ", shipped, rows, "it has no row for this device; run `quern tune`"},
        {"rows=3", "rows=3", "rows=300", shipped, rows, "rows can be a whole number from 1 to 64, not '300'"},
        {"rows=3", "rows=3", "rwos=3", shipped, rows, "there is no column 'rwos'; the shipped row"},
        {"rows=3", "format=2", "", shipped, rows, "a key of device, vendor, driver and format is expected"},
        {"rows=3", " : ", " : abacus #", shipped, rows, "has the parent 'abacus', which is no shipped profile"},
        {"rows=3", "format=2\n", "format=2", shipped, rows, "the last line is cut off"},
        {"rows=3", NULL,
         "\x7f"
         "ELF\n",
         shipped, rows, "the name of a row"},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        char *row = make_row(cases[c].settings, cases[c].old, cases[c].new);
        write_rows(row);
        expect_use(cases[c].profile, cases[c].rows, cases[c].line);
        free(row);
    }
}

static void a_file_that_is_no_file_is_told(void **state)
{
    (void)state;
    need_device();
    const char *shipped = context->profile.name;
    unlink(path);
    expect_use(shipped, context->profile.rows, "device "); /* none is no fault */
    assert_int_equal(mkdir(path, 0700), 0);
    expect_use(shipped, context->profile.rows, "the shipped row");
    assert_int_equal(rmdir(path), 0);
}

static void rows_that_do_not_fit_the_device_are_refused(void **state)
{
    (void)state;
    need_device();
    if (q_session_device(context->session)->max_group >= 1024) skip();
    char *row = make_row("local=1024", NULL, "");
    write_rows(row);
    expect_use(context->profile.name, context->profile.rows, "its row asks for more work-items than fit");
    free(row);
}

// ---- settings of one operator ----

static void an_operator_may_have_settings_of_its_own(void **state)
{
    (void)state;
    quern_operator *op, *gradient;
    char settings[] = "rows=5", *text;
    quern_compile_options options = {.size = sizeof options, .profile = settings};
    quern_explain_options plan = {.size = sizeof plan, .stage = "plan", .M = 100000, .N = 100000};
    succeed(quern_compile(&op, NULL, "x=Vi(1); y=Vj(1); Sum_j(Abs(x-y))", &options));
    memset(settings, '?', sizeof settings - 1); /* the operator has a copy, and so has its gradient */
    succeed(quern_gradient(&gradient, op, "x", NULL));
    quern_operator_destroy(&op);
    succeed(quern_explain(gradient, &plan, &text));
    if (!strstr(text, " x 5 vectors x ")) fail_msg("%s", text);
    quern_free(text);
    quern_operator_destroy(&gradient);
    options.profile = "rows=1000";
    expect_failure(quern_compile(&op, NULL, "x=Vi(1); y=Vj(1); Sum_j(x*y)", &options), QUERN_USAGE,
                   "quern_compile_options.profile, line 1: rows can be a whole number from 1 to 64, not '1000'");
    assert_null(op);
}

// ---- tuning ----

typedef struct tally {
    size_t trials, by_verdict[QUERN_BASELINE + 1];
    size_t stop_after; /* 0: never */
    char reason[256];
} tally;

static bool count_trial(void *user, const quern_trial *tried)
{
    tally *t = user;
    t->by_verdict[tried->verdict]++;
    if (*tried->reason) snprintf(t->reason, sizeof t->reason, "%s", tried->reason);
    bool measured = tried->verdict <= QUERN_WORSE || tried->verdict == QUERN_BASELINE;
    assert_true(measured ? tried->ratio > 0 : !tried->ratio && *tried->formula);
    return ++t->trials == t->stop_after;
}

static const q_tune_formula gaussian[] = {{"x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", 0, true}};
static const char *const rows_column[] = {"rows"};
static const q_tune_plan small = {gaussian, 1, rows_column, 1, NULL};

/* Which candidates are tried depends on the clock. Drivers' compilers leak, so all are built here: a second run, which is
   the one that is checked for leaks, finds them in the driver's cache whichever they are. */
static void build_candidates(void)
{
    float x[6] = {0}, a[2];
    double x64[6] = {0}, a64[2];
    for (int rows = 1; rows <= 8; rows *= 2) { /* the most that a plan takes by itself */
        quern_operator *op =
            compile(gaussian[0].text, &(quern_compile_options){.size = sizeof(quern_compile_options), .rows = rows});
        succeed(quern_run(op, QUERN_ARGS({"x", quern_f32(x, 2, 3)}, {"y", quern_f32(x, 2, 3)}), quern_f32(a, 2, 1)));
        if (quern_context_device(context)->f64)
            succeed(quern_run(op, QUERN_ARGS({"x", quern_f64(x64, 2, 3)}, {"y", quern_f64(x64, 2, 3)}),
                              quern_f64(a64, 2, 1)));
        quern_operator_destroy(&op);
    }
}

static quern_tune_options options_for(tally *t)
{
    return (quern_tune_options){
        .size = sizeof(quern_tune_options), .seconds = 20, .points = 1024, .report = count_trial, .user = t};
}

static void tuning_writes_a_row_that_is_used(void **state)
{
    (void)state;
    need_device();
    tally t = {0};
    quern_tune_options options = options_for(&t);
    quern_tuning *tuning;
    build_candidates();
    char *other = make_row("rows=3", "device=\"", "device=\"other ");
    write_rows(other);
    setenv("QUERN_PROFILES", path, 1);
    succeed(q_tune(&tuning, context, &options, &small));
    char *text = read_rows();
    assert_int_equal(t.by_verdict[QUERN_BASELINE], 1);
    assert_true(t.trials > 1 && t.trials == 1 + t.by_verdict[QUERN_BETTER] + t.by_verdict[QUERN_WORSE]);
    assert_true(tuning->ratio > 0 && tuning->ratio <= 1);
    assert_string_equal(tuning->path, path);
    assert_non_null(strstr(text, other)); /* rows of others stay */
    assert_non_null(strstr(text, tuning->row));
    assert_true(text[0] == '#');
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    q_profile row;
    const char *refusal;
    q_profile_key key = q_profile_key_of(quern_context_device(context));
    succeed(q_profile_tuned(&row, text, path, &key, &refusal));
    assert_null(refusal);
    expect_use(row.name, row.rows, "profile ");
    free(text);
    free(other);
    quern_free(tuning);
}

static void a_dry_run_and_a_stopped_one_write_nothing(void **state)
{
    (void)state;
    need_device();
    tally t = {.stop_after = 1};
    quern_tune_options options = options_for(&t);
    quern_tuning *tuning;
    write_rows("# as it was\n");
    setenv("QUERN_PROFILES", path, 1);
    expect_failure(q_tune(&tuning, context, &options, &small), QUERN_CANCELLED, "no row was written");
    assert_null(tuning);
    t = (tally){0};
    options.dry_run = true;
    succeed(q_tune(&tuning, context, &options, &small));
    assert_string_equal(tuning->path, "");
    assert_non_null(strstr(tuning->row, "format=2"));
    quern_free(tuning);
    char *text = read_rows();
    assert_string_equal(text, "# as it was\n");
    free(text);
    setenv("QUERN_PROFILES", "none", 1);
    options.dry_run = false;
    expect_failure(q_tune(&tuning, context, &options, &small), QUERN_USAGE, "QUERN_PROFILES is empty or none");
    expect_failure(quern_tune(&tuning, context, &(quern_tune_options){.size = sizeof options, .points = 3}),
                   QUERN_USAGE, "points can be 0 or 64");
}

static void candidates_that_the_device_refuses_are_told(void **state)
{
    (void)state;
    need_device();
    if (q_session_device(context->session)->max_group > 1) skip(); /* PoCL was told to take no more */
    static const char *const local[] = {"local"};
    tally t = {0};
    quern_tune_options options = options_for(&t);
    quern_tuning *tuning;
    options.dry_run = true;
    succeed(q_tune(&tuning, context, &options, &(q_tune_plan){gaussian, 1, local, 1, NULL}));
    assert_int_equal(t.trials, 2); /* the shipped row, and this */
    assert_int_equal(t.by_verdict[QUERN_REFUSED], 1);
    assert_non_null(strstr(t.reason, "a local size of 2 is asked for"));
    assert_true(tuning->ratio == 1);
    quern_free(tuning);
}

/* Sines of arguments that float32 knows to a hundredth stand for a row with wrong results. */
static void wrong_results_are_noticed(void **state)
{
    (void)state;
    need_device();
    static const q_tune_formula vague[] = {{"x=Vi(1); y=Vj(1); Sum_j(Sin(1000000*(x-y)))", 0, false}};
    tally t = {0};
    quern_tune_options options = options_for(&t);
    quern_tuning *tuning;
    options.dry_run = true;
    expect_failure(q_tune(&tuning, context, &options, &(q_tune_plan){vague, 1, rows_column, 1, NULL}), QUERN_DEVICE,
                   "gives wrong results with the row");
    assert_int_equal(t.trials, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tuned_rows_are_used_where_their_key_fits),
        cmocka_unit_test(a_file_that_is_no_file_is_told),
        cmocka_unit_test(rows_that_do_not_fit_the_device_are_refused),
        cmocka_unit_test(an_operator_may_have_settings_of_its_own),
        cmocka_unit_test(tuning_writes_a_row_that_is_used),
        cmocka_unit_test(a_dry_run_and_a_stopped_one_write_nothing),
        cmocka_unit_test(candidates_that_the_device_refuses_are_told),
        cmocka_unit_test(wrong_results_are_noticed),
    };
    return cmocka_run_group_tests_name("tune", tests, open_all, close_all);
}
