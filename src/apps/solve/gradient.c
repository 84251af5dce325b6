/*
 * gradient.c: derivatives of <u, A v> by what is in the formula, and of <c, A^-1 b>: with A v = b and A^T u = c the latter changes by
 * <u, db> - <u, dA v>, so one solve more gives all of its derivatives (implicit function theorem).
 */
#include <stdlib.h>
#include <string.h>

#include "apps/solve/linear.h"
#include "quern/array.h"

/* What is asked for: names of variables, and doubles for their gradients, one after the other. */
typedef struct wanted {
    const quern_linear *a;
    const quern_args *list;
    bool solved; /* "shift" is known, and the vector stands for the right-hand side */
    char by[Q_GRADIENTS * 64];
    size_t count, which[Q_GRADIENTS], total;
    double *numbers, *sums, *from[Q_GRADIENTS];
} wanted;

static bool is_vector(const wanted *w, const char *name)
{
    return !strcmp(name, q_linear_vector(w->a));
}

/* Whether a name stands for the shift; variables of the formula have their names first. */
static bool is_shift(const wanted *w, const char *name)
{
    int64_t rows, columns;
    return w->solved && !strcmp(name, "shift") && !q_linear_argument(w->a, name, &rows, &columns);
}

/* Sorts the list: variables go to the run; vectors and shifts are done by hand. */
static quern_status sort_names(wanted *w, int64_t R)
{
    if (w->list->count > Q_GRADIENTS)
        return q_fail(QUERN_LIMIT, "%zu gradients; at most %d are taken", w->list->count, Q_GRADIENTS);
    for (size_t k = 0; k < w->list->count; k++) {
        const quern_arg *arg = &w->list->data[k];
        int64_t rows = quern_linear_columns(w->a), columns = R;
        if (!arg->name) return q_fail_null("quern_linear_gradient", "the name of a variable");
        if (!*q_linear_vector(w->a))
            return q_fail(QUERN_UNSUPPORTED, "an operator that is no formula has no variable '%s'", arg->name);
        bool vector = is_vector(w, arg->name), shift = is_shift(w, arg->name);
        if (shift) rows = columns = 1;
        else if (!vector && !q_linear_argument(w->a, arg->name, &rows, &columns)) {
            q_fail(QUERN_NAME, "the formula has no variable '%s' with an array", arg->name);
            q_fail_next_step("give the name of one of its arguments, or '%s'", q_linear_vector(w->a));
            return QUERN_NAME;
        }
        Q_TRY(q_vector_check(arg->name, &arg->view, rows, columns));
        if (!arg->view.data && rows) return q_fail(QUERN_USAGE, "%s: gradients go to the host", arg->name);
        if (vector || shift) continue;
        if (w->count) strcat(w->by, " ");
        strncat(w->by, arg->name, 63);
        w->which[w->count++] = k;
        w->total += (size_t)(rows * columns);
    }
    return QUERN_OK;
}

static quern_status allocate(wanted *w)
{
    w->numbers = calloc(2 * w->total + 1, sizeof *w->numbers);
    if (!w->numbers) return q_fail_memory(2 * w->total * sizeof *w->numbers);
    w->sums = w->numbers + w->total;
    size_t at = 0;
    for (size_t k = 0; k < w->count; k++) {
        const quern_view *view = &w->list->data[w->which[k]].view;
        w->from[k] = w->sums + at;
        at += (size_t)(view->rows * view->columns);
    }
    return QUERN_OK;
}

/* Sums over all right-hand sides, of which a run takes some. */
static quern_status run(wanted *w, quern_view u, quern_view v)
{
    size_t size = q_element_size(v.dtype);
    quern_view outs[Q_GRADIENTS];
    for (size_t k = 0; k < w->count; k++) {
        const quern_view *view = &w->list->data[w->which[k]].view;
        outs[k] = quern_view_of((char *)w->numbers + (size_t)(w->from[k] - w->sums) * size, v.dtype, view->rows,
                                view->columns);
    }
    for (int64_t r = 0; r < v.columns && w->count; r += Q_RHS_CHUNK) {
        int64_t R = v.columns - r < Q_RHS_CHUNK ? v.columns - r : Q_RHS_CHUNK;
        Q_TRY(q_linear_gradients(w->a, w->by, quern_view_columns(u, r, R), quern_view_columns(v, r, R),
                                 (quern_outs){outs, w->count}));
        for (size_t e = 0; e < w->total; e++) w->sums[e] += q_element_read(v.dtype, (char *)w->numbers + e * size);
    }
    return QUERN_OK;
}

static quern_status write(const wanted *w, double sign)
{
    for (size_t e = 0; e < w->total; e++) w->sums[e] *= sign;
    for (size_t k = 0; k < w->count; k++)
        Q_TRY(q_vector_write(q_linear_context(w->a), &w->list->data[w->which[k]].view, w->from[k]));
    return QUERN_OK;
}

quern_status quern_linear_gradient(const quern_linear *linear, quern_view u, quern_view v, quern_args gradients)
{
    if (!linear) return q_fail_null(__func__, "the operator");
    if (gradients.count && !gradients.data) return q_fail_null(__func__, "the list of gradients");
    if (v.columns < 1)
        return q_fail(QUERN_SHAPE, "v has %lld right-hand sides; at least 1 is needed", (long long)v.columns);
    Q_TRY(q_vector_check("v", &v, quern_linear_columns(linear), v.columns));
    Q_TRY(q_vector_check("u", &u, quern_linear_rows(linear), v.columns));
    if (u.dtype != v.dtype)
        return q_fail(QUERN_DTYPE, "u is %s and v %s; both must be of one type", q_dtype_name(u.dtype),
                      q_dtype_name(v.dtype));
    wanted w = {.a = linear, .list = &gradients};
    Q_TRY(sort_names(&w, v.columns));
    Q_TRY(allocate(&w));
    quern_status status = run(&w, u, v);
    if (!status) status = write(&w, 1);
    for (size_t k = 0; k < gradients.count && !status; k++)
        if (is_vector(&w, gradients.data[k].name) && gradients.data[k].view.rows)
            status = quern_linear_apply_transpose(linear, u, gradients.data[k].view);
    free(w.numbers);
    return status;
}

// ---- through a solve ----

/* b and c beside each other, and their solutions. */
typedef struct pair {
    int64_t rows, R;
    double *sides, *solutions;
} pair;

static quern_status read_pair(pair *p, const quern_linear *a, const quern_view *b, const quern_view *c)
{
    size_t count = (size_t)(p->rows * p->R);
    double *half = malloc(count * sizeof *half + 1);
    p->sides = malloc(4 * count * sizeof *p->sides + 1);
    p->solutions = p->sides + 2 * count;
    quern_status status = half && p->sides ? QUERN_OK : q_fail_memory(5 * count * sizeof *half);
    for (int side = 0; side < 2 && !status; side++) {
        status = q_vector_read(q_linear_context(a), side ? c : b, half);
        for (int64_t i = 0; i < p->rows && !status; i++)
            memcpy(p->sides + (2 * i + side) * p->R, half + i * p->R, (size_t)p->R * sizeof *half);
    }
    free(half);
    return status;
}

/* The solution v of b or u of c, in the type that products have. */
static quern_status take_side(const pair *p, quern_dtype dtype, int side, quern_view *out)
{
    *out = quern_view_of(malloc((size_t)(p->rows * p->R) * sizeof(double) + 1), dtype, p->rows, p->R);
    if (!out->data) return q_fail_memory((size_t)(p->rows * p->R) * sizeof(double));
    for (int64_t i = 0; i < p->rows; i++)
        for (int64_t r = 0; r < p->R; r++)
            q_element_write(dtype, (char *)out->data + (size_t)(i * p->R + r) * q_element_size(dtype),
                            p->solutions[(2 * i + side) * p->R + r]);
    return QUERN_OK;
}

/* What is no variable: <c, v>, the right-hand side's gradient, u, and the shift's, -<u, v>. */
static quern_status write_others(const wanted *w, const pair *p, double *value)
{
    double inner = 0, both = 0;
    for (int64_t i = 0; i < p->rows; i++)
        for (int64_t r = 0; r < p->R; r++) {
            double v = p->solutions[2 * i * p->R + r];
            inner += p->sides[(2 * i + 1) * p->R + r] * v;
            both += p->solutions[(2 * i + 1) * p->R + r] * v;
        }
    if (value) *value = inner;
    both = -both;
    for (size_t k = 0; k < w->list->count; k++) {
        const quern_arg *arg = &w->list->data[k];
        if (is_shift(w, arg->name)) Q_TRY(q_vector_write(q_linear_context(w->a), &arg->view, &both));
        if (!is_vector(w, arg->name)) continue;
        for (int64_t i = 0; i < p->rows; i++) {
            quern_view row = quern_view_rows(arg->view, i, 1);
            Q_TRY(q_vector_write(q_linear_context(w->a), &row, p->solutions + (2 * i + 1) * p->R));
        }
    }
    return QUERN_OK;
}

static quern_status solve_both(wanted *w, pair *p, double *value, const quern_solve_options *options,
                               quern_solve_report *report)
{
    quern_dtype dtype = quern_context_device(q_linear_context(w->a))->f64 ? QUERN_F64 : QUERN_F32;
    quern_view u = {0}, v = {0};
    Q_TRY(quern_solve(w->a, quern_f64(p->sides, p->rows, 2 * p->R), quern_f64(p->solutions, p->rows, 2 * p->R), options,
                      report));
    quern_status status = take_side(p, dtype, 0, &v);
    if (!status) status = take_side(p, dtype, 1, &u);
    if (!status) status = run(w, u, v);
    if (!status) status = write(w, -1);
    if (!status) status = write_others(w, p, value);
    free(u.data);
    free(v.data);
    return status;
}

quern_status quern_solve_gradient(const quern_linear *linear, quern_view b, quern_view c, double *value,
                                  quern_args gradients, const quern_solve_options *options, quern_solve_report *report)
{
    if (!linear) return q_fail_null(__func__, "the operator");
    if (gradients.count && !gradients.data) return q_fail_null(__func__, "the list of gradients");
    if (b.columns < 1)
        return q_fail(QUERN_SHAPE, "b has %lld right-hand sides; at least 1 is needed", (long long)b.columns);
    pair p = {.rows = quern_linear_rows(linear), .R = b.columns};
    Q_TRY(q_vector_check("b", &b, p.rows, p.R));
    Q_TRY(q_vector_check("c", &c, p.rows, p.R));
    wanted w = {.a = linear, .list = &gradients, .solved = true};
    Q_TRY(sort_names(&w, p.R));
    quern_status status = allocate(&w);
    if (!status) status = read_pair(&p, linear, &b, &c);
    if (!status) status = solve_both(&w, &p, value, options, report);
    free(w.numbers);
    free(p.sides);
    return status;
}
