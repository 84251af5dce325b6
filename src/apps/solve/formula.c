/*
 * formula.c: operators that are formulas linear in a variable. The variable is declared here, with a component for each
 * right-hand side; the shift is a part of the formula, so a product is one run, also between arrays on the device. Operators
 * for so many right-hand sides, and copies of the arrays in the other type, are made when they are first asked for.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/solve/linear.h"
#include "quern/array.h"
#include "quern/build.h"
#include "quern/space.h"

/* Names of the variables that are added to the formula's. */
#define SHIFTED "quern_vector"
#define SHIFTS "quern_shift"
#define ADJOINT "quern_adjoint"

enum { TYPES = 2, MOST_ARGS = 64 };

/* An operator for so many right-hand sides: a product, or the gradients of <adjoint, A vector> by some variables. */
typedef struct product {
    struct product *next;
    int64_t R;
    bool transposed;
    char *by; /* their names, with blanks between; null: a product */
    quern_operator *op;
} product;

typedef struct argument {
    char *name, axis;          /* 'i', 'j', 'p'; or 'r', that of the result */
    quern_view given;          /* a number; or the shape and type of an array */
    quern_array *array[TYPES]; /* of the run's type: float32, float64; whole numbers are in [0] alone */
} argument;

typedef struct symbolic {
    quern_linear base;
    char *formula, *vector;
    argument args[MOST_ARGS];
    size_t arg_count; /* the last of them are the shifts */
    bool shifted;
    pthread_mutex_t lock; /* of what follows, and of arrays in the other type */
    product *products;
    quern_switch parts; /* whether parts of the arrays give a part of the matrix; QUERN_AUTO: not tried yet */
} symbolic;

static const q_linear_kind symbolic_kind;

/* The operator as one of this kind; null if it is another. */
static symbolic *as_symbolic(const quern_linear *a)
{
    return a->kind == &symbolic_kind ? (symbolic *)a : NULL;
}

static int type_index(quern_dtype dtype)
{
    return dtype == QUERN_F64;
}

// ---- operators ----

/* f plus the shift times the vector, which is given again as a variable of the result's axis. */
static quern_expr add_shift(quern_graph *graph, const symbolic *a, quern_expr f, int64_t R, bool transposed)
{
    if (!a->shifted) return f;
    quern_expr v = transposed ? quern_vj(graph, SHIFTED, R) : quern_vi(graph, SHIFTED, R);
    quern_expr s = transposed ? quern_vj(graph, SHIFTS, 1) : quern_vi(graph, SHIFTS, 1);
    return quern_add(graph, f, quern_multiply(graph, s, v));
}

static quern_status compile_in(quern_graph *graph, quern_operator **out, const symbolic *a, int64_t R, bool transposed)
{
    quern_expr b = quern_vj(graph, a->vector, R), f = quern_formula(graph, a->formula);
    if (transposed) f = quern_grad(graph, f, b, quern_vi(graph, ADJOINT, R));
    f = add_shift(graph, a, f, R, transposed);
    Q_TRY(quern_compile_graph(out, a->base.context, graph, QUERN_EXPRS(f), NULL));
    quern_value result = quern_result(*out, 0);
    if (result.axis == (transposed ? 'j' : 'i') && result.dim == R && !result.integer) return QUERN_OK;
    q_fail(QUERN_USAGE, "the formula gives %lld number%s over %c for %lld right-hand side%s of '%s'",
           (long long)result.dim, Q_S(result.dim), result.axis, (long long)R, Q_S(R), a->vector);
    q_fail_next_step("give a formula like Sum_j(K*%s), with one result over i that is linear in %s", a->vector,
                     a->vector);
    return QUERN_USAGE;
}

/* Without the shift, which no variable is in. */
static quern_status compile_gradients(quern_graph *graph, quern_operator **out, const symbolic *a, int64_t R,
                                      const char *by)
{
    quern_expr results[Q_GRADIENTS];
    size_t count = 0;
    quern_vj(graph, a->vector, R);
    quern_expr f = quern_formula(graph, a->formula), u = quern_vi(graph, ADJOINT, R);
    quern_expr form = quern_sum_i(graph, quern_scalprod(graph, f, u)), one = quern_literal(graph, 1);
    for (size_t size; *by; by += size + (by[size] == ' ')) {
        char name[64];
        size = strcspn(by, " ");
        snprintf(name, sizeof name, "%.*s", (int)size, by);
        results[count++] = quern_grad(graph, form, quern_formula(graph, name), one);
    }
    return quern_compile_graph(out, a->base.context, graph, (quern_exprs){results, count}, NULL);
}

static quern_status compile(quern_operator **out, const symbolic *a, int64_t R, bool transposed, const char *by)
{
    quern_graph *graph;
    Q_TRY(quern_graph_create(&graph));
    quern_status status = by ? compile_gradients(graph, out, a, R, by) : compile_in(graph, out, a, R, transposed);
    if (status) quern_operator_destroy(out);
    quern_graph_destroy(&graph);
    return status;
}

static void product_free(product *p)
{
    quern_operator_destroy(&p->op);
    free(p->by);
    free(p);
}

static quern_status product_find(const product **out, symbolic *a, int64_t R, bool transposed, const char *by)
{
    for (*out = a->products; *out; *out = (*out)->next)
        if ((*out)->R == R && (*out)->transposed == transposed && !(*out)->by == !by &&
            (!by || !strcmp((*out)->by, by)))
            return QUERN_OK;
    product *made = calloc(1, sizeof *made);
    if (!made) return q_fail_memory(sizeof *made);
    quern_status status = by && !(made->by = strdup(by)) ? q_fail_memory(strlen(by)) : QUERN_OK;
    if (!status) status = compile(&made->op, a, R, transposed, by);
    if (status) {
        product_free(made);
        return status;
    }
    made->R = R, made->transposed = transposed, made->next = a->products;
    *out = a->products = made;
    return QUERN_OK;
}

// ---- arrays ----

static bool is_float(quern_dtype dtype)
{
    return dtype == QUERN_F32 || dtype == QUERN_F64;
}

/* The argument as a run of this type takes it, its array on the device. */
static quern_status argument_view(quern_view *out, symbolic *a, argument *arg, quern_dtype dtype)
{
    *out = arg->given;
    if (arg->given.dtype == QUERN_NUMBER) return QUERN_OK;
    int at = is_float(arg->given.dtype) ? type_index(dtype) : 0;
    if (!arg->array[at]) { /* only the other type's is missing */
        Q_TRY(quern_array_create(&arg->array[at], a->base.context, dtype, arg->given.rows, arg->given.columns));
        quern_status status = quern_array_write(arg->array[at], quern_array_view(arg->array[!at]));
        if (status) {
            quern_array_destroy(&arg->array[at]);
            return status;
        }
    }
    *out = quern_array_view(arg->array[at]);
    return QUERN_OK;
}

static quern_status find_parts(const product **op, quern_view views[MOST_ARGS], symbolic *a, quern_dtype dtype,
                               int64_t R, bool transposed, const char *by)
{
    pthread_mutex_lock(&a->lock);
    quern_status status = product_find(op, a, R, transposed, by);
    for (size_t k = 0; k < a->arg_count && !status; k++) status = argument_view(&views[k], a, &a->args[k], dtype);
    pthread_mutex_unlock(&a->lock);
    return status;
}

/* What a run covers, and its vectors: `shifted` is the vector once more, with rows of the result. */
typedef struct part {
    int64_t first_row, rows, first_column, columns;
    bool transposed;
    quern_view vector, shifted;
    const quern_ranges *ranges;
} part;

static quern_status run_part(const quern_linear *linear, quern_dtype dtype, const part *p, quern_view result)
{
    symbolic *a = (symbolic *)linear;
    quern_view views[MOST_ARGS];
    quern_arg args[MOST_ARGS + 2];
    const product *op;
    size_t count = 0;
    Q_TRY(find_parts(&op, views, a, dtype, result.columns, p->transposed, NULL));
    for (size_t k = 0; k < a->arg_count; k++) {
        char axis = a->args[k].axis;
        bool i = axis == 'i' || (axis == 'r' && !p->transposed), j = axis == 'j' || (axis == 'r' && p->transposed);
        quern_view v = i   ? quern_view_rows(views[k], p->first_row, p->rows)
                       : j ? quern_view_rows(views[k], p->first_column, p->columns)
                           : views[k];
        args[count++] = (quern_arg){a->args[k].name, v};
    }
    args[count++] = (quern_arg){p->transposed ? ADJOINT : a->vector, p->vector};
    if (a->shifted) args[count++] = (quern_arg){SHIFTED, p->shifted};
    quern_args all = {args, count, p->rows, p->columns};
    quern_run_options how = {.size = sizeof how, .ranges = p->ranges};
    return p->ranges ? quern_run_with(op->op, all, (quern_outs){&result, 1}, &how) : quern_run(op->op, all, result);
}

/* The argument of this name, whose array has rows x columns numbers; false if the formula has none. */
bool q_linear_argument(const quern_linear *linear, const char *name, int64_t *rows, int64_t *columns)
{
    const symbolic *a = as_symbolic(linear);
    for (size_t k = 0; a && k < a->arg_count; k++) {
        const argument *arg = &a->args[k];
        if (arg->axis == 'r' || strcmp(arg->name, name)) continue;
        bool number = arg->given.dtype == QUERN_NUMBER;
        *rows = number ? 1 : arg->given.rows, *columns = number ? 1 : arg->given.columns;
        return true;
    }
    return false;
}

const char *q_linear_vector(const quern_linear *linear)
{
    const symbolic *a = as_symbolic(linear);
    return a ? a->vector : "";
}

quern_status q_linear_gradients(const quern_linear *linear, const char *by, quern_view u, quern_view v, quern_outs outs)
{
    symbolic *a = (symbolic *)linear;
    quern_view views[MOST_ARGS];
    quern_arg args[MOST_ARGS + 2];
    const product *op;
    size_t count = 0;
    Q_TRY(find_parts(&op, views, a, v.dtype, v.columns, false, by));
    for (size_t k = 0; k < a->arg_count; k++)
        if (a->args[k].axis != 'r') args[count++] = (quern_arg){a->args[k].name, views[k]};
    args[count++] = (quern_arg){a->vector, v};
    args[count++] = (quern_arg){ADJOINT, u};
    return quern_run_all(op->op, (quern_args){args, count, a->base.rows, a->base.columns}, outs);
}

// ---- numbers ----

/* Numbers as a run of this type has them: the same memory for float64. */
static quern_status as_type(quern_view *out, quern_dtype dtype, const double *numbers, int64_t rows, int64_t columns)
{
    *out = quern_f64(numbers, rows, columns);
    if (dtype == QUERN_F64) return QUERN_OK;
    size_t count = (size_t)rows * (size_t)columns;
    float *singles = malloc(count * sizeof *singles + 1);
    if (!singles) return q_fail_memory(count * sizeof *singles);
    for (size_t k = 0; numbers && k < count; k++) singles[k] = (float)numbers[k];
    *out = quern_f32(singles, rows, columns);
    return QUERN_OK;
}

/* Numbers that a run has left, when all went well; frees what as_type made. */
static void from_type(const quern_view *view, bool well, double *numbers)
{
    if (view->dtype == QUERN_F64) return;
    const float *singles = view->data;
    for (size_t k = 0; well && numbers && k < (size_t)(view->rows * view->columns); k++)
        numbers[k] = (double)singles[k];
    free(view->data);
}

// ---- create ----

static bool is_size(const quern_arg *arg)
{
    return arg->view.dtype == QUERN_NUMBER && !arg->view.array && !arg->view.columns;
}

/* Keeps an argument: an array is copied to the device. */
static quern_status keep(symbolic *a, const char *name, char axis, const quern_view *view)
{
    argument *arg = &a->args[a->arg_count];
    *arg = (argument){.name = strdup(name), .axis = axis, .given = *view};
    if (!arg->name) return q_fail_memory(strlen(name));
    a->arg_count++;
    if (view->dtype == QUERN_NUMBER) return QUERN_OK;
    return quern_array_from(&arg->array[is_float(view->dtype) ? type_index(view->dtype) : 0], a->base.context, *view);
}

/* Sorts the arguments by the formula's variables; what is missing or wrong is told by the runs to come. */
static quern_status keep_args(symbolic *a, const quern_operator *op, const quern_args *args)
{
    a->base.rows = args->M ? args->M : -1, a->base.columns = args->N ? args->N : -1;
    if (args->count > MOST_ARGS - 1)
        return q_fail(QUERN_LIMIT, "%zu arguments; at most %d are taken", args->count, MOST_ARGS - 1);
    for (size_t k = 0; k < args->count; k++) {
        const quern_arg *arg = &args->data[k];
        if (!arg->name) return q_fail_null("quern_linear_create", "the name of an argument");
        if (is_size(arg) && !strcmp(arg->name, "M")) a->base.rows = arg->view.rows;
        else if (is_size(arg) && !strcmp(arg->name, "N")) a->base.columns = arg->view.rows;
        else {
            char axis = 0;
            for (size_t v = 0; v < quern_variable_count(op); v++)
                if (!strcmp(quern_variable(op, v).name, arg->name)) axis = quern_variable(op, v).axis;
            if (!axis || !strcmp(arg->name, a->vector))
                return q_fail(QUERN_NAME,
                              axis ? "'%s' is the vector: it is given to products" : "the formula has no variable '%s'",
                              arg->name);
            if (axis == 'i') a->base.rows = arg->view.rows;
            if (axis == 'j') a->base.columns = arg->view.rows;
            if (is_float(arg->view.dtype) && !a->base.dtype) a->base.dtype = arg->view.dtype;
            Q_TRY(keep(a, arg->name, axis, &arg->view));
        }
    }
    if (!a->base.dtype) a->base.dtype = QUERN_F32;
    if (a->base.rows >= 0 && a->base.columns >= 0) return QUERN_OK;
    q_fail(QUERN_SHAPE, "no array tells how many %s the operator has", a->base.rows < 0 ? "rows" : "columns");
    q_fail_next_step("give {\"%s\", quern_size(count)} among the arguments", a->base.rows < 0 ? "M" : "N");
    return QUERN_SHAPE;
}

static quern_status keep_shifts(symbolic *a, const quern_linear_options *options)
{
    const quern_view *given = &options->shifts;
    bool each = given->data || given->array || given->rows;
    if (!each && options->shift == 0) return QUERN_OK;
    if (a->base.rows != a->base.columns)
        return q_fail(QUERN_SHAPE, "an operator of %lld x %lld has no diagonal to shift", (long long)a->base.rows,
                      (long long)a->base.columns);
    if (each) Q_TRY(q_vector_check("shifts", given, a->base.rows, 1));
    double *sum = calloc((size_t)a->base.rows + 1, sizeof *sum);
    if (!sum) return q_fail_memory((size_t)a->base.rows * sizeof *sum);
    quern_status status = each ? q_vector_read(a->base.context, given, sum) : QUERN_OK;
    for (int64_t i = 0; i < a->base.rows && !status; i++) {
        sum[i] += options->shift;
        if (!i || sum[i] < a->base.least_shift) a->base.least_shift = sum[i];
        if (!isfinite(sum[i])) {
            status = q_fail(QUERN_USAGE, "the shift of row %lld is %g", (long long)i, sum[i]);
            q_fail_next_step("give a finite number for each row");
        }
    }
    quern_view view;
    if (!status) status = as_type(&view, a->base.dtype, sum, a->base.rows, 1);
    if (!status) {
        a->shifted = true;
        status = keep(a, SHIFTS, 'r', &view);
        from_type(&view, false, NULL);
    }
    if (!status && a->base.dtype == QUERN_F32 &&
        quern_context_device(a->base.context)->f64) /* not what float32 has left of them */
        status =
            quern_array_from(&a->args[a->arg_count - 1].array[1], a->base.context, quern_f64(sum, a->base.rows, 1));
    free(sum);
    return status;
}

static quern_status create(symbolic *a, const char *formula, const quern_args *args,
                           const quern_linear_options *options)
{
    a->formula = strdup(formula);
    a->vector = strdup(options->vector ? options->vector : "b");
    if (!a->formula || !a->vector) return q_fail_memory(strlen(formula));
    const product *one;
    Q_TRY(product_find(&one, a, 1, false, NULL));
    Q_TRY(keep_args(a, one->op, args));
    Q_TRY(keep_shifts(a, options));
    if (!a->shifted) return QUERN_OK;
    product_free(a->products); /* without the shift */
    a->products = NULL;
    return product_find(&one, a, 1, false, NULL);
}

quern_status quern_linear_create(quern_linear **out, quern_context *context, const char *formula, quern_args args,
                                 const quern_linear_options *options)
{
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    if (!context) return q_fail_null(__func__, "the context");
    if (!formula) return q_fail_null(__func__, "the formula");
    quern_linear_options known = {0};
    Q_TRY(q_options_copy(&known, sizeof known, options, "quern_linear_options"));
    symbolic *a = calloc(1, sizeof *a);
    if (!a) return q_fail_memory(sizeof *a);
    *out = &a->base;
    pthread_mutex_init(&a->lock, NULL);
    a->base.kind = &symbolic_kind, a->base.context = context;
    quern_status status = create(a, formula, &args, &known);
    if (status) quern_linear_destroy(out);
    return status;
}

static void symbolic_free(quern_linear *linear)
{
    symbolic *a = (symbolic *)linear;
    for (product *p = a->products, *next; p; p = next) {
        next = p->next;
        product_free(p);
    }
    for (size_t k = 0; k < a->arg_count; k++) {
        for (int t = 0; t < TYPES; t++) quern_array_destroy(&a->args[k].array[t]);
        free(a->args[k].name);
    }
    free(a->formula);
    free(a->vector);
    pthread_mutex_destroy(&a->lock);
}

// ---- products ----

/* A product in as few passes as there may be. */
static quern_status symbolic_apply(const quern_linear *a, bool transposed, const quern_view *in, const quern_view *out)
{
    for (int64_t r = 0; r < in->columns; r += Q_RHS_CHUNK) {
        int64_t R = in->columns - r < Q_RHS_CHUNK ? in->columns - r : Q_RHS_CHUNK;
        quern_view v = quern_view_columns(*in, r, R);
        part all = {0, a->rows, 0, a->columns, transposed, v, v, NULL};
        Q_TRY(run_part(a, in->dtype, &all, quern_view_columns(*out, r, R)));
    }
    return QUERN_OK;
}

static quern_status symbolic_product(const quern_linear *a, quern_dtype dtype, bool transposed, int64_t R,
                                     const double *in, double *out)
{
    quern_view v, result;
    Q_TRY(as_type(&v, dtype, in, transposed ? a->rows : a->columns, R));
    quern_status status =
        as_type(&result, dtype, dtype == QUERN_F64 ? out : NULL, transposed ? a->columns : a->rows, R);
    if (!status) {
        status = symbolic_apply(a, transposed, &v, &result);
        from_type(&result, !status, out);
    }
    from_type(&v, false, NULL);
    return status;
}

/* A product with a part of the matrix: of its vector, and of that once more with rows of the result. */
static quern_status symbolic_part(const quern_linear *a, quern_dtype dtype, const q_part *p, double *out)
{
    quern_view v, shifted, result;
    Q_TRY(as_type(&v, dtype, p->vector, p->columns, p->R));
    quern_status status = as_type(&shifted, dtype, p->shifted, p->rows, p->R);
    if (!status) {
        status = as_type(&result, dtype, dtype == QUERN_F64 ? out : NULL, p->rows, p->R);
        if (!status) {
            part some = {p->first_row, p->rows, p->first_column, p->columns, false, v, shifted, p->ranges};
            status = run_part(a, dtype, &some, result);
            from_type(&result, !status, out);
        }
        from_type(&shifted, false, NULL);
    }
    from_type(&v, false, NULL);
    return status;
}

/* Whether parts of the formula's arrays give a part of the matrix: tried once. */
static quern_status know_parts(symbolic *a, bool *parts)
{
    pthread_mutex_lock(&a->lock);
    quern_switch known = a->parts;
    pthread_mutex_unlock(&a->lock);
    *parts = known == QUERN_ON;
    if (known) return QUERN_OK;
    Q_TRY(q_try_parts(&a->base, symbolic_part, parts));
    pthread_mutex_lock(&a->lock);
    a->parts = *parts ? QUERN_ON : QUERN_OFF;
    pthread_mutex_unlock(&a->lock);
    return QUERN_OK;
}

static quern_status symbolic_entries(const quern_linear *a, quern_dtype dtype, const q_part *where, double *out)
{
    bool parts;
    Q_TRY(know_parts((symbolic *)a, &parts));
    return q_entries_by_products(a, dtype, where, parts ? symbolic_part : NULL, out);
}

// ---- blocks ----

/* An array's numbers on the host, for free(). */
static quern_status read_array(quern_view *out, const quern_array *array)
{
    *out = quern_array_view(array);
    size_t bytes = (size_t)out->rows * (size_t)out->columns * q_element_size(out->dtype);
    *out = quern_view_of(malloc(bytes + 1), out->dtype, out->rows, out->columns);
    return out->data ? quern_array_read(array, *out) : q_fail_memory(bytes);
}

/* The same argument with rows in the order of the clusters. */
static quern_status keep_sorted(symbolic *sorted, const argument *arg, const quern_clusters *clusters)
{
    const quern_array *array = arg->array[is_float(arg->given.dtype) ? type_index(arg->given.dtype) : 0];
    if (arg->given.dtype == QUERN_NUMBER) return keep(sorted, arg->name, arg->axis, &arg->given);
    quern_view from, to;
    if (arg->axis == 'p') from = quern_array_view(array);
    if (arg->axis == 'p') return keep(sorted, arg->name, arg->axis, &from);
    quern_status status = read_array(&from, array);
    to = quern_view_of(malloc((size_t)from.rows * (size_t)from.columns * q_element_size(from.dtype) + 1), from.dtype,
                       from.rows, from.columns);
    if (!status && !to.data) status = q_fail_memory((size_t)(from.rows * from.columns));
    if (!status) status = quern_clusters_sort(clusters, to, from);
    if (!status) status = keep(sorted, arg->name, arg->axis, &to);
    free(from.data);
    free(to.data);
    return status;
}

static quern_status sort(quern_linear **out, const symbolic *a, const quern_clusters *clusters)
{
    symbolic *s = calloc(1, sizeof *s);
    if (!s) return q_fail_memory(sizeof *s);
    *out = &s->base;
    pthread_mutex_init(&s->lock, NULL);
    s->base.kind = &symbolic_kind, s->base.context = a->base.context, s->base.dtype = a->base.dtype;
    s->base.rows = a->base.rows, s->base.columns = a->base.columns, s->shifted = a->shifted;
    s->formula = strdup(a->formula), s->vector = strdup(a->vector);
    if (!s->formula || !s->vector) return q_fail_memory(strlen(a->formula));
    for (size_t k = 0; k < a->arg_count; k++) Q_TRY(keep_sorted(s, &a->args[k], clusters));
    return QUERN_OK;
}

/* As products of the blocks alone where parts of arrays give parts of the matrix. */
static quern_status symbolic_blocks(const quern_linear *a, quern_dtype dtype, const quern_clusters *clusters,
                                    double *out)
{
    bool parts;
    quern_linear *sorted = NULL;
    Q_TRY(know_parts((symbolic *)a, &parts));
    if (!parts) return q_blocks_by_columns(a, dtype, clusters, out);
    quern_status status = sort(&sorted, (const symbolic *)a, clusters);
    if (!status) status = q_blocks_by_products(sorted, dtype, clusters, symbolic_part, out);
    quern_linear_destroy(&sorted);
    return status;
}

/* The first array of the rows. */
static quern_status symbolic_points(const quern_linear *linear, double **points, int64_t *dim)
{
    const symbolic *a = (const symbolic *)linear;
    for (size_t k = 0; k < a->arg_count; k++) {
        const argument *arg = &a->args[k];
        if (arg->axis != 'i' || !is_float(arg->given.dtype)) continue;
        size_t count = (size_t)arg->given.rows * (size_t)arg->given.columns;
        *dim = arg->given.columns, *points = malloc(count * sizeof **points + 1);
        if (!*points) return q_fail_memory(count * sizeof **points);
        quern_view from = quern_array_view(arg->array[type_index(arg->given.dtype)]);
        quern_status status = q_vector_read(linear->context, &from, *points);
        if (status) free(*points);
        return status;
    }
    return QUERN_OK;
}

static const q_linear_kind symbolic_kind = {.free = symbolic_free,
                                            .product = symbolic_product,
                                            .apply = symbolic_apply,
                                            .entries = symbolic_entries,
                                            .blocks = symbolic_blocks,
                                            .points = symbolic_points};
