/*
 * arguments.c: from arrays to a checked run: arguments are matched with variables, M and N learned from the first array
 * that tells them, shapes and element types compared, and every disagreement told with both numbers before anything
 * is allocated.
 */
#include <stdio.h>
#include <string.h>

#include "run/run.h"

typedef struct sizes {
    int64_t M, N; /* -1 while unknown */
    const char *M_from, *N_from;
    quern_dtype dtype; /* QUERN_NUMBER while unknown */
    const char *dtype_from;
    q_batch batch;   /* of the arguments so far */
    int64_t members; /* of a ragged batch; else 0 */
    bool inside;     /* the arguments are known, and this is about results */
} sizes;

/* The rows of a parameter: one, or, in a ragged batch, one for each member. */
static quern_status check_row(const sizes *known, const char *name, int64_t rows)
{
    if (known->members && (rows == known->members || (rows == 1 && !known->inside))) return QUERN_OK;
    if (!known->members && rows == 1) return QUERN_OK;
    if (!known->members)
        return q_fail(QUERN_SHAPE, "%s is a parameter and must have 1 row, not %lld", name, (long long)rows);
    return q_fail(QUERN_SHAPE, "%s is a parameter and must have %s%lld rows, one for each member, not %lld", name,
                  known->inside ? "" : "1 row or ", (long long)known->members, (long long)rows);
}

/* The rows that an array of this axis must have, learning M and N from the first that comes. */
static quern_status check_rows(sizes *known, const char *name, char axis, int64_t rows)
{
    if (axis == 'p') return check_row(known, name, rows);
    int64_t *size = axis == 'i' ? &known->M : &known->N;
    const char **from = axis == 'i' ? &known->M_from : &known->N_from;
    if (*size < 0) *size = rows, *from = name;
    if (*size == rows) return QUERN_OK;
    return q_fail(QUERN_SHAPE,
                  "%s has %lld row%s, but %s has %lld: %c-variables and results share their number of rows", name,
                  (long long)rows, Q_S(rows), *from, (long long)*size, axis);
}

/* The type that runs compute in with arrays of this type; QUERN_NUMBER: with integers in any. */
static quern_dtype computed_in(quern_dtype dtype)
{
    return dtype == QUERN_F64 ? QUERN_F64 : dtype == QUERN_I32 || dtype == QUERN_I64 ? QUERN_NUMBER : QUERN_F32;
}

static quern_status check_dtype(sizes *known, const char *name, quern_dtype given)
{
    quern_dtype dtype = computed_in(given);
    if (!dtype) return QUERN_OK;
    if (!known->dtype) known->dtype = dtype, known->dtype_from = name;
    if (known->dtype == dtype) return QUERN_OK;
    quern_status status = q_fail(QUERN_DTYPE, "%s is %s, but %s is for runs in %s", name, q_dtype_name(given),
                                 known->dtype_from, q_dtype_name(known->dtype));
    q_fail_next_step(
        "convert one of them: a run computes in one type, float32 (float16 and bfloat16 too) or float64 (quern eval: "
        "--dtype f64)");
    return status;
}

/* *flat: the view with the rows of all members. */
static quern_status check_view(const quern_context *context, sizes *known, const char *name, quern_value value,
                               const quern_view *view, quern_view *flat, q_batch *batch)
{
    Q_TRY(q_batch_flatten(batch, flat, name, view));
    Q_TRY(q_view_check(context, name, flat));
    Q_TRY(known->inside ? q_batch_check_result(&known->batch, name, batch) : q_batch_merge(&known->batch, name, batch));
    if (view->columns != value.dim) {
        q_fail(QUERN_SHAPE, "%s has %lld column%s; the formula wants %lld", name, (long long)view->columns,
               Q_S(view->columns), (long long)value.dim);
        q_fail_next_step("give rows of %lld number%s each, %s x %lld in all", (long long)value.dim, Q_S(value.dim),
                         q_axes[q_axis_of(value.axis)].rows, (long long)value.dim);
        return QUERN_SHAPE;
    }
    return check_rows(known, name, value.axis, view->rows);
}

static quern_status check_argument(const quern_context *context, sizes *known, quern_value value,
                                   const quern_view *view, quern_view *flat, q_batch *batch)
{
    Q_TRY(check_view(context, known, value.name, value, view, flat, batch));
    Q_TRY(q_view_check_access(value.name, view, false));
    if (view->dtype != QUERN_NUMBER) return check_dtype(known, value.name, view->dtype);
    if (value.axis != 'p')
        return q_fail(QUERN_DTYPE, "%s is an array of axis %c and cannot be given as a number", value.name, value.axis);
    return QUERN_OK;
}

static quern_status check_result(const quern_context *context, sizes *known, const char *name, quern_value value,
                                 const quern_view *view, quern_view *flat)
{
    bool integer = view->dtype == QUERN_I64 || view->dtype == QUERN_I32;
    q_batch batch;
    Q_TRY(check_view(context, known, name, value, view, flat, &batch));
    Q_TRY(q_view_check_access(name, view, true));
    if (view->dtype != QUERN_NUMBER && integer == value.integer) return check_dtype(known, name, view->dtype);
    quern_status status =
        q_fail(QUERN_DTYPE, "%s holds %s and must be %s, not %s", name, value.integer ? "indices" : "numbers",
               value.integer ? "int64 or int32" : "float32, float64, float16 or bfloat16", q_dtype_name(view->dtype));
    q_fail_next_step("give it as %s(...)", value.integer ? "quern_i64" : "quern_f32");
    return status;
}

/* Whether an argument is quern_size of M or N, which no variable can be: variables have columns. */
static bool is_size(const quern_arg *arg)
{
    const char *name = arg->name ? arg->name : "";
    return arg->view.dtype == QUERN_NUMBER && !arg->view.columns && (!strcmp(name, "M") || !strcmp(name, "N"));
}

static quern_status learn_sizes(quern_args args, sizes *known)
{
    if (args.count && !args.data) return q_fail_null("quern_run", "the list of arguments");
    for (size_t a = 0; a < args.count; a++) {
        const quern_arg *arg = &args.data[a];
        if (!is_size(arg)) continue;
        if (arg->view.rows < 0)
            return q_fail(QUERN_SHAPE, "the size %s is negative, %lld", arg->name, (long long)arg->view.rows);
        Q_TRY(check_rows(known, arg->name, *arg->name == 'M' ? 'i' : 'j', arg->view.rows));
    }
    return QUERN_OK;
}

static quern_status unknown_argument(const quern_operator *op, const char *name)
{
    q_text names = {0};
    for (size_t v = 0; v < op->declared_count; v++)
        q_text_add(&names, "%s%s", v ? ", " : "", quern_variable(op, v).name);
    quern_status status = q_fail(QUERN_NAME, "the formula has no variable %s", name);
    if (!strcmp(name, "M") || !strcmp(name, "N")) q_fail_next_step("a size is given as quern_size(...)");
    else q_fail_next_step("its variables are: %s", names.data ? names.data : "none");
    q_text_free(&names);
    return status;
}

static quern_status missing_argument(quern_value value)
{
    quern_status status = q_fail(QUERN_MISSING, "variable %s is not given", value.name);
    q_fail_next_step("give an array of %s x %lld as argument %s", q_axes[q_axis_of(value.axis)].rows,
                     (long long)value.dim, value.name);
    return status;
}

/* Sorts the arguments by variable, and checks each. Variables that the results do not depend on may be given: they tell
   sizes. */
static quern_status match_arguments(const q_build *build, quern_args args, q_given *to, sizes *known)
{
    const quern_operator *op = build->op;
    bool given[Q_MAX_VARIABLES] = {false};
    for (size_t a = 0; a < args.count; a++) {
        if (is_size(&args.data[a])) continue;
        const char *name = args.data[a].name;
        if (!name) return q_fail(QUERN_USAGE, "quern_run: the name of argument %zu is null", a);
        const q_variable *variable = q_variable_find(op->graph, name);
        if (!variable) return unknown_argument(op, name);
        size_t number = (size_t)(variable - op->graph->variables);
        if (given[number]) return q_fail(QUERN_NAME, "variable %s is given twice", name);
        given[number] = true;
        quern_view view;
        q_batch batch;
        Q_TRY(check_argument(build->context, known, q_value_of(variable), &args.data[a].view, &view, &batch));
        for (size_t v = 0; v < op->variable_count; v++)
            if ((size_t)op->variables[v] == number) to->variables[v] = view, to->batches[v] = batch;
    }
    for (size_t v = 0; v < op->variable_count; v++)
        if (!given[op->variables[v]]) return missing_argument(quern_variable(op, v));
    return QUERN_OK;
}

/* Sizes that no array tells are 0, unless the formula counts them. */
static quern_status check_sizes(const q_build *build, sizes *known)
{
    const quern_operator *op = build->op;
    for (size_t s = 0; s < op->stages.count; s++) {
        unsigned axes = (unsigned)op->stages.stage[s].rows | op->stages.stage[s].reduced;
        const q_ir *p = build->programs[s];
        for (q_ref v = 1; v < p->count; v++)
            if (p->values[v].kind == Q_V_COUNT && p->uses[v]) axes |= (unsigned)p->values[v].k[0];
        char axis = axes & Q_I && known->M < 0 ? 'i' : axes & Q_J && known->N < 0 ? 'j' : 0;
        if (axis) {
            quern_status status =
                q_fail(QUERN_MISSING, "the formula runs over %c, but no array tells how many rows that is", axis);
            q_fail_next_step("add {\"%c\", quern_size(...)} to the arguments (quern eval: --%c)",
                             axis == 'i' ? 'M' : 'N', axis == 'i' ? 'M' : 'N');
            return status;
        }
    }
    if (known->M < 0) known->M = 0;
    if (known->N < 0) known->N = 0;
    return QUERN_OK;
}

/* Results may overlap arguments, which are read before, but not each other. */
static quern_status check_overlaps(quern_outs results)
{
    for (size_t r = 0; r < results.count; r++)
        for (size_t s = 0; s < r; s++)
            if (q_views_overlap(&results.data[r], &results.data[s]))
                return q_fail(QUERN_USAGE, "results %zu and %zu overlap: each needs an array of its own", s, r);
    return QUERN_OK;
}

/* Rows of all members of an equal batch. */
static quern_status count_all(const sizes *known, q_run *run, q_given *given)
{
    size_t members = (size_t)q_batch_members(&known->batch), M, N;
    given->batch = known->batch;
    given->M = known->M, given->N = known->N;
    given->ragged = known->members > 0;
    if (!q_mul_size((size_t)known->M, members, &M) || !q_mul_size((size_t)known->N, members, &N) || M > INT64_MAX ||
        N > INT64_MAX || members > INT64_MAX)
        return q_fail(QUERN_MEMORY, "a batch of %zu members is too large for this machine", members);
    run->M = run->plan_M = (int64_t)M;
    run->N = run->plan_N = (int64_t)N;
    run->members = given->ragged ? known->members : (int64_t)members;
    return QUERN_OK;
}

quern_status q_run_check(q_run *run, q_given *given, q_build *build, quern_args args, quern_outs results,
                         const quern_run_options *options)
{
    const quern_operator *op = build->op;
    sizes known = {
        .M = args.M ? args.M : -1, .N = args.N ? args.N : -1, .M_from = "quern_args.M", .N_from = "quern_args.N"};
    if (args.M < 0 || args.N < 0) return q_fail(QUERN_SHAPE, "quern_args.M or N is negative");
    Q_TRY(learn_sizes(args, &known));
    known.members = options ? (int64_t)options->members : 0;
    Q_TRY(match_arguments(build, args, given, &known));
    if (known.members && known.batch.dims)
        return q_fail(QUERN_USAGE, "a batch is ragged, by offsets, or its arrays have batch sizes, not both");
    known.inside = true;
    if (results.count && !results.data) return q_fail_null("quern_run", "the list of results");
    if (results.count != op->result_count)
        return q_fail(QUERN_USAGE, "the formula has %zu results, but %zu were asked for", op->result_count,
                      results.count);
    for (size_t r = 0; r < results.count; r++) {
        char name[32];
        snprintf(name, sizeof name, "result %zu", r);
        Q_TRY(check_result(build->context, &known, op->result_count == 1 ? "the result" : name, quern_result(op, r),
                           &results.data[r], &given->results[r]));
    }
    Q_TRY(check_overlaps((quern_outs){given->results, results.count}));
    Q_TRY(check_sizes(build, &known));
    *run = (q_run){.op = op,
                   .build = build,
                   .dtype = known.dtype ? known.dtype : QUERN_F32,
                   .variables = given->variables,
                   .results = given->results};
    Q_TRY(count_all(&known, run, given));
    return known.members ? q_offsets_check(options, run->M, run->N) : QUERN_OK;
}

quern_status quern_run_in(quern_operator *op, quern_context *context, quern_args args, quern_outs results)
{
    q_given given;
    q_run run;
    q_build *build;
    if (!op) return q_fail_null("quern_run", "the operator");
    if (!context) return q_fail_null("quern_run_in", "the context");
    Q_TRY(q_session_check(context->session));
    Q_TRY(q_build_find(&build, op, context));
    Q_TRY(q_run_check(&run, &given, build, args, results, NULL));
    return q_run_given(&run, &given, NULL);
}

quern_status quern_run_all(quern_operator *op, quern_args args, quern_outs results)
{
    if (op && !op->context) {
        q_fail(QUERN_USAGE, "this operator was compiled without a context and cannot run");
        q_fail_next_step("give it one when it is compiled, or run it by quern_run_in");
        return QUERN_USAGE;
    }
    return quern_run_in(op, op ? op->context : NULL, args, results);
}

quern_status quern_run(quern_operator *op, quern_args args, quern_view result)
{
    return quern_run_all(op, args, (quern_outs){&result, 1});
}
