/*
 * tune.c: learns a row of profiles for a device. From the shipped row, one column at a time moves by factors of two, as
 * long as that makes a set of formulas faster; rounds over the columns go on until one changes nothing or the time is up.
 *
 * A candidate counts only where its results agree with q_reference. It is timed in turns with the best row so far, which
 * other work on the machine disturbs as much; ratios of medians are averaged over the formulas whose kernels change. A gain
 * counts once it was seen twice. When the time is up the value under way is given up.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

enum {
    MOST_ARGS = 4,
    CHECKED = 4,    /* rows of a result that are compared */
    TURNS = 7,      /* measurements, of which the median counts */
    MOST_RUNS = 32, /* in a measurement */
    LEAST_POINTS = 64,
    MOST_POINTS = 1 << 17,
    MOST_TRIED = 256
};
static const double least_time = 0.01;   /* seconds of a measurement where the number of points is free */
static const double gain = 0.97;         /* ratio from which on a candidate is better */
static const double search_share = 0.85; /* of the time, before the chosen row is timed once more */

/* Ratios from which on the rest of the formulas is not timed, by how many were. */
static const double hopeless[] = {INFINITY, 2, 1.5, 1.3};

static const q_tune_formula formulas[] = {
    {"x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", 0, true},
    {"x=Vi(3); y=Vj(3); b=Vj(1); e=Vi(1); Grad(Sum_j(Exp(-SqDist(x,y))*b),x,e)", 0, true},
    {"x=Vi(3); y=Vj(3); LogSumExp_j(-SqDist(x,y))", 0, false},
    {"x=Vi(3); y=Vj(3); KMin_j(SqDist(x,y),10)", 0, false},
    {"x=Vi(64); y=Vj(64); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", 0, false}, /* contractions */
    {"x=Vi(3); y=Vj(3); b=Vj(64); Sum_j(Exp(-SqDist(x,y))*b)", 0, false},  /* right-hand sides */
    {"x=Vi(40); y=Vj(40); v=Vj(40); SumSoftMaxWeight_j(x|y,v)", 0, false}, /* both */
    {"x=Vi(50); y=Vj(50); KMin_j(SqDist(x,y),10)", 0, false},              /* a selection of long vectors */
    {"x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", 100, true},  /* few rows: the columns are split */
};

/* The tiles of long vectors first, where there is most to gain. */
static const char *const tuned_columns[] = {
    "matrix",  "reg_m",   "reg_n", "tile_k", "max_registers", "rhs_registers", "min_k",  "min_rhs",
    "lanes32", "lanes64", "rows",  "local",  "long_local",    "staged_cols",   "groups", "waves"};

/* How a column moves. */
static const struct step {
    const char *column;
    int least, most, add; /* bounds; what is added or taken, 0: factors of two */
} steps[] = {
    {"tile_k", 4, 32, 0},   {"max_registers", 64, 224, 32}, {"min_k", 16, 128, 0},
    {"min_rhs", 8, 128, 0}, {"rhs_registers", 8, 128, 0},   {"waves", 1, 16, 0},
};

/* A formula with its data, in one element type. */
typedef struct job {
    const char *formula;
    quern_dtype dtype;
    int64_t M, N;
    quern_arg args[MOST_ARGS];
    size_t arg_count;
    quern_view result;
    int64_t checked[CHECKED]; /* rows of the result */
    double *expected;         /* CHECKED x result.columns */
    quern_operator *best;     /* compiled for the best row so far */
    double ns;                /* per pair, of that */
    int runs;                 /* in one measurement */
} job;

typedef struct tuner {
    quern_context *context;
    const q_tune_plan *plan;
    quern_tune_options options;
    double end; /* of the time to try */
    job *jobs;
    size_t job_count;
    q_profile shipped, best;
    q_profile tried[MOST_TRIED];
    size_t tried_count;
} tuner;

// ---- data ----

/* The same numbers in every run, between 0 and 1. */
static double next_number(uint64_t *state)
{
    *state += UINT64_C(0x9E3779B97F4A7C15);
    return (double)(q_hash64(state, sizeof *state) >> 40) / (double)(1 << 24);
}

static double number_at(const quern_view *view, int64_t k)
{
    return view->dtype == QUERN_F64 ? ((const double *)view->data)[k] : (double)((const float *)view->data)[k];
}

static quern_status new_view(quern_view *out, int64_t rows, int64_t columns, quern_dtype dtype)
{
    size_t bytes = (size_t)(rows * columns) * q_element_size(dtype);
    *out = quern_view_of(calloc(1, bytes + 1), dtype, rows, columns);
    return out->data ? QUERN_OK : q_fail_memory(bytes);
}

static quern_status fill_arguments(job *j)
{
    uint64_t state = 1;
    for (size_t v = 0; v < quern_variable_count(j->best); v++) {
        quern_value value = quern_variable(j->best, v);
        quern_view *view = &j->args[v].view;
        Q_TRY(new_view(view, value.axis == 'i' ? j->M : j->N, value.dim, j->dtype));
        j->arg_count = v + 1;
        j->args[v].name = strdup(value.name); /* operators go, jobs stay */
        if (!j->args[v].name) return q_fail_memory(strlen(value.name));
        for (int64_t k = 0; k < view->rows * view->columns; k++) {
            float number = (float)next_number(&state);
            if (j->dtype == QUERN_F64) ((double *)view->data)[k] = (double)number;
            else ((float *)view->data)[k] = number;
        }
    }
    quern_value value = quern_result(j->best, 0);
    return new_view(&j->result, j->M, value.dim, j->dtype);
}

static void free_data(job *j)
{
    for (size_t a = 0; a < j->arg_count; a++) {
        free((char *)j->args[a].name);
        free(j->args[a].view.data);
        j->args[a] = (quern_arg){0};
    }
    free(j->result.data);
    free(j->expected);
    j->arg_count = 0;
    j->result.data = NULL;
    j->expected = NULL;
}

// ---- the reference ----

/* The numbers of an argument: of the checked rows for an i-variable, of all for others. */
static double *reference_data(const job *j, const quern_arg *arg, char axis)
{
    int64_t rows = axis == 'i' ? CHECKED : arg->view.rows, columns = arg->view.columns;
    double *data = calloc((size_t)(rows * columns) + 1, sizeof *data);
    for (int64_t r = 0; data && r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            data[r * columns + c] = number_at(&arg->view, (axis == 'i' ? j->checked[r] : r) * columns + c);
    return data;
}

static quern_status expect(job *j)
{
    const quern_operator *op = j->best;
    double *variables[Q_MAX_VARIABLES] = {0};
    size_t bytes = (size_t)(CHECKED * j->result.columns) * sizeof(double);
    for (int64_t c = 0; c < CHECKED; c++) j->checked[c] = c * (j->M - 1) / (CHECKED - 1);
    j->expected = malloc(bytes);
    quern_status status = j->expected ? QUERN_OK : q_fail_memory(bytes);
    for (size_t v = 0; v < j->arg_count && !status; v++) {
        double **data = &variables[op->variables[v]];
        *data = reference_data(j, &j->args[v], quern_variable(op, v).axis);
        if (!*data) status = q_fail_memory((size_t)j->N);
    }
    if (!status)
        status = q_reference(op->graph, op->results, 1, CHECKED, j->N, (const double *const *)variables, &j->expected);
    for (size_t v = 0; v < Q_MAX_VARIABLES; v++) free(variables[v]);
    return status;
}

/* The largest difference of the checked rows to the reference, relative to the largest number of them. */
static double error_of(const job *j)
{
    double error = 0, scale = 0;
    for (int64_t r = 0; r < CHECKED; r++)
        for (int64_t c = 0; c < j->result.columns; c++) {
            double expected = j->expected[r * j->result.columns + c];
            double difference = fabs(number_at(&j->result, j->checked[r] * j->result.columns + c) - expected);
            if (isnan(difference)) return INFINITY;
            if (difference > error) error = difference;
            if (fabs(expected) > scale) scale = fabs(expected);
        }
    return error / scale;
}

// ---- running ----

static quern_status compile(quern_operator **out, const tuner *t, const job *j, const q_profile *row)
{
    q_text settings = {0};
    q_profile_settings(&settings, row);
    if (settings.failed) return q_fail_memory(settings.capacity);
    quern_compile_options options = {.size = sizeof options, .profile = settings.data};
    quern_status status = quern_compile(out, t->context, j->formula, &options);
    q_text_free(&settings);
    return status;
}

static quern_status run(job *j, quern_operator *op, double *seconds)
{
    double start = q_seconds();
    quern_status status = quern_run(op, (quern_args){j->args, j->arg_count, 0, 0}, j->result);
    *seconds = q_seconds() - start;
    return status;
}

/* Builds and runs once, and compares. */
static quern_status try_run(job *j, quern_operator *op, bool *right)
{
    double seconds, bound = j->dtype == QUERN_F64 ? 1e-9 : 1e-3;
    memset(j->result.data, 0xFF, (size_t)(j->result.rows * j->result.columns) * q_element_size(j->dtype)); /* NaN */
    Q_TRY(run(j, op, &seconds));
    *right = error_of(j) <= bound;
    return QUERN_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The mean time of as many runs as make one measurement. */
static quern_status run_often(job *j, quern_operator *op, double *seconds)
{
    double sum = 0;
    for (int n = 0; n < j->runs; n++) {
        Q_TRY(run(j, op, seconds));
        sum += *seconds;
    }
    *seconds = sum / j->runs;
    return QUERN_OK;
}

/* Medians of runs in turns, in seconds. */
static quern_status time_both(job *j, quern_operator *const ops[2], double out[2])
{
    double times[2][TURNS];
    for (size_t n = 0; n < TURNS; n++)
        for (size_t o = 0; o < 2; o++) Q_TRY(run_often(j, ops[o], &times[o][n]));
    for (size_t o = 0; o < 2; o++) {
        qsort(times[o], TURNS, sizeof(double), compare_numbers);
        out[o] = times[o][TURNS / 2];
    }
    return QUERN_OK;
}

// ---- jobs ----

static double pairs_of(const job *j)
{
    return (double)j->M * (double)j->N;
}

/* Data for n points, timed with the shipped row. */
static quern_status set_size(job *j, int64_t n, int64_t few, double *seconds)
{
    free_data(j);
    j->N = n;
    j->M = few && few < n ? few : n;
    Q_TRY(fill_arguments(j));
    Q_TRY(run(j, j->best, seconds)); /* which builds, the first time */
    Q_TRY(run(j, j->best, seconds));
    j->ns = *seconds * 1e9 / pairs_of(j);
    return QUERN_OK;
}

/* The shipped row is to be right. */
static quern_status verify(const tuner *t, job *j)
{
    bool right;
    Q_TRY(expect(j));
    Q_TRY(try_run(j, j->best, &right));
    if (!right) {
        quern_status status = q_fail(QUERN_DEVICE, "%s gives wrong results with the row %s: off by %g in %s",
                                     quern_context_device(t->context)->name, t->shipped.name, error_of(j), j->formula);
        q_fail_next_step("update the device's driver, or take another device");
        return status;
    }
    return QUERN_OK;
}

static quern_status add_job(tuner *t, const q_tune_formula *formula, quern_dtype dtype)
{
    job *j = &t->jobs[t->job_count++];
    double seconds = 0;
    *j = (job){.formula = formula->text, .dtype = dtype, .runs = 1};
    Q_TRY(compile(&j->best, t, j, &t->shipped));
    if (t->options.points) Q_TRY(set_size(j, t->options.points, formula->few, &seconds));
    for (int64_t n = 1024; !t->options.points && n <= MOST_POINTS && seconds < least_time; n *= 2)
        Q_TRY(set_size(j, n, formula->few, &seconds));
    if (!t->options.points) j->runs = 1 + (int)(least_time / (seconds + least_time / MOST_RUNS));
    return verify(t, j);
}

static quern_status add_jobs(tuner *t)
{
    bool f64 = quern_context_device(t->context)->f64;
    t->jobs = calloc(2 * t->plan->formula_count + 1, sizeof *t->jobs);
    if (!t->jobs) return q_fail_memory(sizeof *t->jobs);
    for (size_t f = 0; f < t->plan->formula_count; f++) {
        Q_TRY(add_job(t, &t->plan->formulas[f], QUERN_F32));
        if (f64 && t->plan->formulas[f].both) Q_TRY(add_job(t, &t->plan->formulas[f], QUERN_F64));
    }
    return QUERN_OK;
}

static void free_jobs(tuner *t)
{
    for (size_t j = 0; j < t->job_count; j++) {
        quern_operator_destroy(&t->jobs[j].best);
        free_data(&t->jobs[j]);
    }
    free(t->jobs);
}

// ---- trials ----

/* Whether an operator that was made for row b does what that of the best row, a, does; nothing is built for that. */
static bool same_plans(const tuner *t, const job *j, const quern_operator *op, const q_profile *a, const q_profile *b)
{
    int units = quern_context_device(t->context)->compute_units;
    for (size_t s = 0; s < j->best->stages.count; s++) {
        q_plan p, q;
        const q_ir *old = j->best->build->programs[s], *new = op->build->programs[s];
        if (old->k_dim != new->k_dim || old->rhs_dim != new->rhs_dim) return false;
        if (q_plan_make(&p, old, &(q_plan_request){a, j->dtype, j->M, j->N, units, NULL, NULL})) return false;
        if (q_plan_make(&q, new, &(q_plan_request){b, j->dtype, j->M, j->N, units, NULL, NULL})) return false;
        if (!q_plan_same_source(&p, &q) || p.split_extent != q.split_extent) return false;
    }
    return true;
}

/* What a row is worth beside another. */
typedef struct comparison {
    double log_ratio; /* sum over the jobs that were timed */
    double log_ns;    /* sum over all jobs, unless stopped */
    size_t timed, jobs;
    quern_verdict verdict;
    const char *formula;
    char reason[256];
} comparison;

static void reject(comparison *c, const job *j, quern_verdict verdict, const char *reason)
{
    c->verdict = verdict;
    c->formula = j->formula;
    snprintf(c->reason, sizeof c->reason, "%s", reason);
}

/* Times one job; ops[1] is the candidate's operator. */
static void compare_job(comparison *c, job *j, quern_operator *const ops[2])
{
    bool right = true;
    double seconds[2], error;
    char text[64];
    quern_status status = try_run(j, ops[1], &right);
    error = status ? 0 : error_of(j);
    if (!status && right) status = time_both(j, ops, seconds);
    if (status) {
        reject(c, j, QUERN_REFUSED, quern_last_error()->message);
        return;
    }
    snprintf(text, sizeof text, "off by %.2g of the largest number", error);
    if (!right) {
        reject(c, j, QUERN_WRONG, text);
        return;
    }
    c->timed++;
    c->log_ratio += log(seconds[1] / seconds[0]);
    c->log_ns += log(seconds[1] * 1e9 / pairs_of(j));
    j->ns = seconds[0] * 1e9 / pairs_of(j);
}

static double ratio_of(const comparison *c)
{
    return c->timed ? exp(c->log_ratio / (double)c->timed) : 1;
}

/* Compares `row` with `with`, for which the jobs' operators are compiled. made[j] gets operators for `row`, or stays null
   where the plan is the same. */
static quern_status compare_rows(comparison *c, tuner *t, const q_profile *row, const q_profile *with,
                                 quern_operator **made, bool to_the_end)
{
    *c = (comparison){.verdict = QUERN_WORSE, .formula = ""};
    for (size_t n = 0; n < t->job_count && c->verdict == QUERN_WORSE; n++) {
        job *j = &t->jobs[n];
        if (!to_the_end && q_seconds() > t->end) { /* as if nothing had been tried */
            c->timed = 0;
            return QUERN_OK;
        }
        if (!made[n]) Q_TRY(compile(&made[n], t, j, row));
        if (same_plans(t, j, made[n], with, row)) c->log_ns += log(j->ns);
        else compare_job(c, j, (quern_operator *const[2]){j->best, made[n]});
        c->jobs = n + 1;
        if (!to_the_end && ratio_of(c) > hopeless[c->timed < 3 ? c->timed : 3]) break;
    }
    if (c->verdict == QUERN_WORSE && c->jobs == t->job_count && ratio_of(c) < gain) c->verdict = QUERN_BETTER;
    return QUERN_OK;
}

static quern_status report(tuner *t, const comparison *c, const char *column, int value)
{
    quern_trial trial = {column, value, c->verdict, 0, 0, c->formula, c->reason};
    bool timed = c->verdict <= QUERN_WORSE || c->verdict == QUERN_BASELINE;
    if (timed) trial.ratio = ratio_of(c);
    if (timed && c->jobs == t->job_count) trial.ns = exp(c->log_ns / (double)c->jobs);
    if (!t->options.report || !t->options.report(t->options.user, &trial)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "tuning was stopped; no row was written");
}

/* Whether the row was tried before; remembers it. */
static bool is_known(tuner *t, const q_profile *row)
{
    for (size_t n = 0; n < t->tried_count; n++)
        if (memcmp(&t->tried[n], row, sizeof *row) == 0) return true;
    if (t->tried_count < MOST_TRIED) t->tried[t->tried_count++] = *row;
    return false;
}

/* Tries a row; where it is better it becomes the best. */
static quern_status try_row(tuner *t, const q_profile *row, const char *column, int value, bool *better)
{
    comparison c;
    quern_operator **made = calloc(t->job_count + 1, sizeof(quern_operator *));
    if (!made) return q_fail_memory(t->job_count * sizeof(quern_operator *));
    quern_status status = compare_rows(&c, t, row, &t->best, made, false);
    if (!status && c.verdict == QUERN_BETTER) status = compare_rows(&c, t, row, &t->best, made, false);
    *better = !status && c.verdict == QUERN_BETTER;
    for (size_t n = 0; n < t->job_count; n++) {
        if (*better && made[n]) {
            quern_operator *old = t->jobs[n].best;
            t->jobs[n].best = made[n];
            made[n] = old;
        }
        quern_operator_destroy(&made[n]);
    }
    free(made);
    if (*better) t->best = *row;
    if (status || (c.verdict == QUERN_WORSE && !c.timed)) return status; /* no plan differs: nothing was tried */
    return report(t, &c, column, value);
}

// ---- search ----

/* The next value within bounds; -1 if there is none. */
static int step_of(const struct step *step, int old, bool up)
{
    int next = step->add ? old + (up ? step->add : -step->add) : up ? 2 * old : old / 2;
    if (old < step->least) next = up ? step->least : -1;
    return next >= step->least && next <= step->most ? next : -1;
}

/* The next value of a column; -1 if there is none. A tile is either there or not. Vectors and matrix units are for devices whose
   shipped row has them: others make vectors of work-items, or take minutes over them. */
static int next_value(const tuner *t, const char *column, bool up)
{
    int old = q_profile_get(&t->best, column);
    if (strncmp(column, "lanes", 5) == 0 && q_profile_get(&t->shipped, column) == 1) return -1;
    if (strcmp(column, "matrix") == 0) return up || !old ? -1 : 0;
    if (strcmp(column, "max_registers") == 0 && !old) return -1;
    for (size_t s = 0; s < Q_COUNT(steps); s++)
        if (strcmp(column, steps[s].column) == 0) return step_of(&steps[s], old, up);
    if (strcmp(column, "staged_cols") != 0) return up ? 2 * old : old / 2;
    return t->best.local == 1 || !up ? -1 : old ? 0 : t->best.local;
}

/* The best row with another value; false if no row can have it. A tile follows the local size. */
static bool change(const tuner *t, q_profile *row, const char *column, int value)
{
    char settings[96];
    *row = t->best;
    bool both = strcmp(column, "local") == 0 && row->staged_cols;
    snprintf(settings, sizeof settings, both ? "%s=%d staged_cols=%d" : "%s=%d", column, value, value);
    return value >= 0 && !q_profile_set(row, settings, "");
}

/* Moves one column up by factors of two while that helps, else down. */
static quern_status tune_column(tuner *t, const char *column, bool *moved)
{
    bool any = false;
    for (int up = 1; up >= 0 && !any; up--)
        for (bool better = true; better && q_seconds() < t->end;) {
            q_profile row;
            int value = next_value(t, column, up);
            if (!change(t, &row, column, value) || is_known(t, &row)) break;
            Q_TRY(try_row(t, &row, column, value, &better));
            any = any || better;
        }
    *moved = *moved || any;
    return QUERN_OK;
}

/* The chosen row beside the shipped one, once more: a gain that does not last is none. */
static quern_status confirm(tuner *t, double *ratio)
{
    comparison c;
    *ratio = 1;
    quern_operator **made = calloc(t->job_count + 1, sizeof(quern_operator *));
    if (!made) return q_fail_memory(t->job_count * sizeof(quern_operator *));
    quern_status status = compare_rows(&c, t, &t->shipped, &t->best, made, true);
    for (size_t n = 0; n < t->job_count; n++) quern_operator_destroy(&made[n]);
    free(made);
    if (status) return status;
    if (c.verdict > QUERN_WORSE) return q_fail(QUERN_DEVICE, "%s: %s", c.formula, c.reason);
    c.log_ns -= c.log_ratio; /* of the best row */
    c.log_ratio = -c.log_ratio;
    c.timed = c.jobs; /* all formulas count */
    *ratio = ratio_of(&c);
    c.verdict = *ratio < gain ? QUERN_BETTER : QUERN_WORSE;
    Q_TRY(report(t, &c, NULL, 0));
    if (c.verdict == QUERN_BETTER) return QUERN_OK;
    *ratio = 1;
    t->best = t->shipped;
    return QUERN_OK;
}

static quern_status report_baseline(tuner *t)
{
    comparison c = {.verdict = QUERN_BASELINE, .jobs = t->job_count, .formula = ""};
    for (size_t n = 0; n < t->job_count; n++) c.log_ns += log(t->jobs[n].ns);
    return report(t, &c, NULL, 0);
}

static quern_status search(tuner *t, double *ratio)
{
    *ratio = 1;
    Q_TRY(add_jobs(t));
    Q_TRY(report_baseline(t));
    for (bool moved = true; moved && q_seconds() < t->end;) {
        moved = false;
        for (size_t c = 0; c < t->plan->column_count; c++) Q_TRY(tune_column(t, t->plan->columns[c], &moved));
    }
    return memcmp(&t->best, &t->shipped, sizeof t->best) == 0 ? QUERN_OK : confirm(t, ratio);
}

// ---- the whole ----

static quern_status make_result(quern_tuning **out, double ratio, const q_text *row, const char *path)
{
    size_t bytes = row->size + strlen(path) + 2;
    quern_tuning *result = *out = malloc(sizeof *result + bytes);
    if (!result) return q_fail_memory(sizeof *result + bytes);
    char *text = (char *)(result + 1);
    *result = (quern_tuning){ratio, text, text + row->size + 1};
    memcpy(text, row->data, row->size + 1);
    memcpy(text + row->size + 1, path, strlen(path) + 1);
    return QUERN_OK;
}

/* Whether there is a place for the row: better asked before than after minutes of work. */
static quern_status find_place(char *path, size_t size)
{
    if (!q_tuned_path(path, size)) {
        q_fail(QUERN_USAGE, "there is no place for a tuned row: QUERN_PROFILES is empty or none, or HOME is not set");
        q_fail_next_step("set QUERN_PROFILES to the path of a file, or make a dry run");
        return QUERN_USAGE;
    }
    return q_make_parent(path) ? QUERN_OK : q_fail(QUERN_IO, "%s cannot be written: its directory is closed", path);
}

quern_status q_tune(quern_tuning **out, quern_context *context, const quern_tune_options *options,
                    const q_tune_plan *plan)
{
    char path[PATH_MAX] = "";
    q_text row = {0};
    double ratio;
    tuner t = {.context = context, .plan = plan};
    if (!out) return q_fail_null("quern_tune", "out");
    *out = NULL;
    if (!context) return q_fail_null("quern_tune", "the context");
    Q_TRY(q_options_copy(&t.options, sizeof t.options, options, "quern_tune_options"));
    bool sized = t.options.points >= LEAST_POINTS && t.options.points <= MOST_POINTS;
    if ((t.options.points && !sized) || !(t.options.seconds >= 0))
        return q_fail(QUERN_USAGE, "quern_tune: points can be 0 or %d to %d, and seconds cannot be negative",
                      LEAST_POINTS, MOST_POINTS);
    if (!t.options.dry_run) Q_TRY(find_place(path, sizeof path));
    t.end = q_seconds() + search_share * (t.options.seconds > 0 ? t.options.seconds : 120);
    q_profile_find(&t.shipped, quern_context_device(context)->profile);
    if (plan->settings) Q_TRY(q_profile_set(&t.shipped, plan->settings, "q_tune_plan.settings"));
    t.best = t.shipped;
    quern_status status = search(&t, &ratio);
    free_jobs(&t);
    if (status) return status;
    q_profile_key key = q_profile_key_of(quern_context_device(context));
    q_profile_write(&row, &t.best, &t.shipped, &key);
    if (row.failed) status = q_fail_memory(row.capacity);
    if (!status && !t.options.dry_run) status = q_tuned_save(context, path, row.data);
    if (!status) status = make_result(out, ratio, &row, path);
    q_text_free(&row);
    return status;
}

quern_status quern_tune(quern_tuning **out, quern_context *context, const quern_tune_options *options)
{
    static const q_tune_plan plan = {formulas, Q_COUNT(formulas), tuned_columns, Q_COUNT(tuned_columns), NULL};
    return q_tune(out, context, options, &plan);
}
