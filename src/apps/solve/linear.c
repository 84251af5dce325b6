/*
 * linear.c: what all operators have in common, whatever their kind: vectors that are checked, and who owns them.
 */
#include <math.h>
#include <stdlib.h>

#include "apps/solve/linear.h"

void quern_linear_destroy(quern_linear **linear)
{
    if (!linear || !*linear) return;
    quern_linear *a = *linear;
    *linear = NULL;
    if (atomic_fetch_sub(&a->others, 1) > 0) return;
    a->kind->free(a);
    free(a);
}

quern_context *q_linear_context(const quern_linear *linear)
{
    return linear->context;
}

double q_linear_shift(const quern_linear *linear)
{
    return linear->least_shift;
}

quern_dtype q_linear_dtype(const quern_linear *linear)
{
    return linear->dtype;
}

bool q_linear_has_entries(const quern_linear *linear)
{
    return linear->kind->has_entries ? linear->kind->has_entries(linear) : linear->kind->entries != NULL;
}

int64_t quern_linear_rows(const quern_linear *linear)
{
    return linear ? linear->rows : 0;
}

int64_t quern_linear_columns(const quern_linear *linear)
{
    return linear ? linear->columns : 0;
}

quern_status q_linear_not_symmetric(void)
{
    q_fail(QUERN_NUMERIC, "the matrix is not symmetric");
    q_fail_next_step(
        "check the formula, which must be the same with x and y exchanged, and that both have the same points");
    return QUERN_NUMERIC;
}

// ---- products ----

quern_status q_linear_product(const quern_linear *a, quern_dtype dtype, int64_t R, const double *in, double *out)
{
    return a->kind->product(a, dtype, false, R, in, out);
}

quern_status q_linear_not_finite(double number)
{
    q_fail(QUERN_NUMERIC,
           "a product with the matrix is %g: an array has numbers that are not finite, or the formula makes them",
           isnan(number) ? (double)NAN : number);
    q_fail_next_step("look for NaN and infinities among the formula's arrays, and leave their rows out");
    return QUERN_NUMERIC;
}

/* By way of doubles on the host. */
static quern_status apply(const quern_linear *a, bool transposed, const quern_view *in, const quern_view *out)
{
    size_t numbers = (size_t)(in->rows + out->rows) * (size_t)in->columns;
    double *vector = malloc(numbers * sizeof *vector + 1);
    if (!vector) return q_fail_memory(numbers * sizeof *vector);
    double *result = vector + in->rows * in->columns;
    quern_status status = q_vector_read(a->context, in, vector);
    if (!status) status = a->kind->product(a, in->dtype, transposed, in->columns, vector, result);
    if (!status) status = q_vector_write(a->context, out, result);
    free(vector);
    return status;
}

static quern_status check_vectors(const quern_linear *a, bool transposed, const quern_view *in, const quern_view *out)
{
    int64_t from = transposed ? a->rows : a->columns, to = transposed ? a->columns : a->rows;
    if (in->columns < 1)
        return q_fail(QUERN_SHAPE, "the vector has %lld right-hand sides; at least 1 is needed",
                      (long long)in->columns);
    Q_TRY(q_vector_check("the vector", in, from, in->columns));
    Q_TRY(q_vector_check("the result", out, to, in->columns));
    return in->dtype == out->dtype ? QUERN_OK
                                   : q_fail(QUERN_DTYPE, "the vector is %s and the result %s; both must be of one type",
                                            q_dtype_name(in->dtype), q_dtype_name(out->dtype));
}

static quern_status apply_public(const char *function, const quern_linear *a, bool transposed, const quern_view *in,
                                 const quern_view *out)
{
    if (!a) return q_fail_null(function, "the operator");
    Q_TRY(check_vectors(a, transposed, in, out));
    return (a->kind->apply ? a->kind->apply : apply)(a, transposed, in, out);
}

quern_status quern_linear_apply(const quern_linear *linear, quern_view vector, quern_view result)
{
    return apply_public(__func__, linear, false, &vector, &result);
}

quern_status quern_linear_apply_transpose(const quern_linear *linear, quern_view vector, quern_view result)
{
    return apply_public(__func__, linear, true, &vector, &result);
}
