/*
 * given.c: operators that are no formulas: a function of the program's own, a matrix that is stored, a diagonal.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/solve/linear.h"

typedef struct given {
    quern_linear base;
    quern_linear_function function;
    void *user;
    double *numbers; /* rows x columns of a matrix, or a diagonal */
} given;

static void given_free(quern_linear *a)
{
    free(((given *)a)->numbers);
}

static quern_status make(quern_linear **out, const q_linear_kind *kind, quern_context *context, int64_t rows,
                         int64_t columns, quern_dtype dtype)
{
    if (!out) return q_fail_null("quern_linear_from", "out");
    *out = NULL;
    if (!context) return q_fail_null("quern_linear_from", "the context");
    if (rows < 0 || columns < 0)
        return q_fail(QUERN_SHAPE, "an operator of %lld x %lld", (long long)rows, (long long)columns);
    given *a = calloc(1, sizeof *a);
    if (!a) return q_fail_memory(sizeof *a);
    *out = &a->base;
    **out = (quern_linear){.kind = kind, .context = context, .rows = rows, .columns = columns, .dtype = dtype};
    return QUERN_OK;
}

/* Takes the numbers of a view. */
static quern_status fill(quern_linear **out, const quern_view *view)
{
    given *a = (given *)*out;
    size_t count = (size_t)view->rows * (size_t)view->columns;
    a->numbers = malloc(count * sizeof *a->numbers + 1);
    quern_status status =
        a->numbers ? q_vector_read(a->base.context, view, a->numbers) : q_fail_memory(count * sizeof(double));
    for (size_t e = 0; e < count && !status; e++)
        if (!isfinite(a->numbers[e]))
            status = q_fail(QUERN_USAGE, "row %zu, column %zu is %g", e / (size_t)view->columns,
                            e % (size_t)view->columns, a->numbers[e]);
    if (status) quern_linear_destroy(out);
    return status;
}

// ---- a function ----

static quern_status function_product(const quern_linear *linear, quern_dtype dtype, bool transposed, int64_t R,
                                     const double *in, double *out)
{
    const given *a = (const given *)linear;
    (void)dtype;
    quern_status status = a->function(a->user, transposed, R, in, out);
    return status ? q_fail(status, "the function of an operator of %lld x %lld failed with %s", (long long)linear->rows,
                           (long long)linear->columns, quern_status_name(status))
                  : QUERN_OK;
}

static const q_linear_kind function_kind = {.free = given_free, .product = function_product};

quern_status quern_linear_from_function(quern_linear **out, quern_context *context, int64_t rows, int64_t columns,
                                        quern_linear_function function, void *user)
{
    if (out) *out = NULL;
    if (!function) return q_fail_null(__func__, "the function");
    Q_TRY(make(out, &function_kind, context, rows, columns, QUERN_F64));
    if (!quern_context_device(context)->f64) (*out)->dtype = QUERN_F32; /* of what its function may apply */
    given *a = (given *)*out;
    a->function = function, a->user = user;
    return QUERN_OK;
}

// ---- a matrix ----

static quern_status matrix_product(const quern_linear *linear, quern_dtype dtype, bool transposed, int64_t R,
                                   const double *in, double *out)
{
    const given *a = (const given *)linear;
    (void)dtype;
    memset(out, 0, (size_t)(transposed ? linear->columns : linear->rows) * (size_t)R * sizeof *out);
    for (int64_t i = 0; i < linear->rows; i++)
        for (int64_t j = 0; j < linear->columns; j++) {
            double entry = a->numbers[i * linear->columns + j];
            double *to = out + (transposed ? j : i) * R;
            const double *from = in + (transposed ? i : j) * R;
            for (int64_t r = 0; r < R; r++) to[r] += entry * from[r];
        }
    return QUERN_OK;
}

static quern_status matrix_entries(const quern_linear *linear, quern_dtype dtype, const q_part *where, double *out)
{
    const given *a = (const given *)linear;
    (void)dtype;
    for (int64_t i = 0; i < where->rows; i++)
        memcpy(out + i * where->columns, a->numbers + (where->first_row + i) * linear->columns + where->first_column,
               (size_t)where->columns * sizeof *out);
    return QUERN_OK;
}

static const q_linear_kind matrix_kind = {.free = given_free, .product = matrix_product, .entries = matrix_entries};

quern_status quern_linear_from_matrix(quern_linear **out, quern_context *context, quern_view matrix)
{
    if (out) *out = NULL;
    Q_TRY(q_vector_check("the matrix", &matrix, matrix.rows, matrix.columns));
    Q_TRY(make(out, &matrix_kind, context, matrix.rows, matrix.columns, matrix.dtype));
    return fill(out, &matrix);
}

// ---- a diagonal ----

static quern_status diagonal_product(const quern_linear *linear, quern_dtype dtype, bool transposed, int64_t R,
                                     const double *in, double *out)
{
    const given *a = (const given *)linear;
    (void)dtype, (void)transposed;
    for (int64_t e = 0; e < linear->rows * R; e++) out[e] = a->numbers[e / R] * in[e];
    return QUERN_OK;
}

static quern_status diagonal_entries(const quern_linear *linear, quern_dtype dtype, const q_part *where, double *out)
{
    const given *a = (const given *)linear;
    (void)dtype;
    for (int64_t i = 0; i < where->rows; i++)
        for (int64_t j = 0; j < where->columns; j++)
            out[i * where->columns + j] =
                where->first_row + i == where->first_column + j ? a->numbers[where->first_row + i] : 0;
    return QUERN_OK;
}

static const q_linear_kind diagonal_kind = {
    .free = given_free, .product = diagonal_product, .entries = diagonal_entries};

quern_status quern_linear_from_diagonal(quern_linear **out, quern_context *context, quern_view diagonal)
{
    if (out) *out = NULL;
    Q_TRY(q_vector_check("the diagonal", &diagonal, diagonal.rows, 1));
    Q_TRY(make(out, &diagonal_kind, context, diagonal.rows, diagonal.rows, diagonal.dtype));
    Q_TRY(fill(out, &diagonal));
    const double *numbers = ((given *)*out)->numbers;
    for (int64_t i = 0; i < diagonal.rows; i++)
        if (!i || numbers[i] < (*out)->least_shift) (*out)->least_shift = numbers[i];
    return QUERN_OK;
}
