/*
 * linear_block.c: entries of an operator, which are its products with columns of the identity. Where a part of the formula's
 * arrays gives a part of the matrix such a product takes as many terms as there are entries; that is tried once, since of
 * formulas with sums within sums, or with I and J, it does not hold: for those the product is whole.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/solve/linear.h"
#include "apps/views/views.h"
#include "quern/array.h"

// ---- vectors of the user's ----

quern_status q_vector_check(const char *name, const quern_view *view, int64_t rows, int64_t R)
{
    if (view->dtype != QUERN_F32 && view->dtype != QUERN_F64) {
        q_fail(QUERN_DTYPE, "%s is %s", name, view->dtype == QUERN_NUMBER ? "a number" : q_dtype_name(view->dtype));
        q_fail_next_step("give an array of float32 or float64");
        return QUERN_DTYPE;
    }
    Q_TRY(q_member_check(name, view));
    if (view->rows != rows || view->columns != R)
        return q_fail(QUERN_SHAPE, "%s has %lld x %lld numbers, not %lld x %lld", name, (long long)view->rows,
                      (long long)view->columns, (long long)rows, (long long)R);
    return view->data || view->array || !rows ? QUERN_OK : q_fail(QUERN_USAGE, "%s has no data", name);
}

quern_status q_vector_read(quern_context *context, const quern_view *view, double *out)
{
    return q_view_write(context, quern_f64(out, view->rows, view->columns), *view);
}

quern_status q_vector_write(quern_context *context, const quern_view *view, const double *in)
{
    return q_view_write(context, *view, quern_f64(in, view->rows, view->columns));
}

// ---- entries ----

/* The columns of the identity from one on, as rows from another on have them. */
static double *identity(int64_t first_row, int64_t rows, int64_t first_column, int64_t columns)
{
    double *unit = calloc((size_t)rows * (size_t)columns + 1, sizeof *unit);
    for (int64_t c = 0; unit && c < columns; c++) {
        int64_t row = first_column + c - first_row;
        if (row >= 0 && row < rows) unit[row * columns + c] = 1;
    }
    return unit;
}

/* Some columns, in one product: of the part alone, or of the whole matrix. `out` has R numbers for each row. */
static quern_status few_columns(const quern_linear *a, quern_dtype dtype, const q_part *where, q_part_product part,
                                int64_t R, double *out)
{
    q_part p = *where;
    p.R = R;
    if (!part) p.first_row = p.first_column = 0, p.rows = a->rows, p.columns = a->columns;
    double *vector = identity(p.first_column, p.columns, where->first_column, R);
    double *shifted = part ? identity(p.first_row, p.rows, where->first_column, R) : NULL;
    double *all = part ? out : malloc((size_t)p.rows * (size_t)R * sizeof *all + 1);
    p.vector = vector, p.shifted = shifted;
    quern_status status = !vector || !all || (part && !shifted) ? q_fail_memory((size_t)(p.rows * R) * sizeof *all)
                          : part                                ? part(a, dtype, &p, all)
                                                                : q_linear_product(a, dtype, R, vector, all);
    if (!part && !status) memcpy(out, all + where->first_row * R, (size_t)(where->rows * R) * sizeof *all);
    if (!part) free(all);
    free(vector);
    free(shifted);
    return status;
}

quern_status q_try_parts(const quern_linear *a, q_part_product part, bool *right)
{
    int64_t from = a->rows / 3;
    q_part where = {.first_row = from, .rows = a->rows - from, .first_column = a->columns / 2, .columns = 1};
    double *numbers = malloc((size_t)where.rows * 2 * sizeof *numbers + 1), most = 0, off = 0;
    if (!numbers) return q_fail_memory((size_t)where.rows * 2 * sizeof *numbers);
    double *whole = numbers + where.rows;
    quern_status status = few_columns(a, a->dtype, &where, part, 1, numbers);
    if (!status) status = few_columns(a, a->dtype, &where, NULL, 1, whole);
    for (int64_t i = 0; i < where.rows && !status; i++) {
        most = fmax(most, fabs(whole[i]));
        off = fmax(off, isnan(numbers[i] - whole[i]) ? INFINITY : fabs(numbers[i] - whole[i]));
    }
    *right = off <= most * (a->dtype == QUERN_F64 ? 1e-9 : 1e-4);
    free(numbers);
    return status;
}

quern_status q_entries_by_products(const quern_linear *a, quern_dtype dtype, const q_part *where, q_part_product part,
                                   double *out)
{
    for (int64_t c = 0; c < where->columns; c += Q_RHS_CHUNK) {
        q_part some = *where;
        some.first_column += c;
        some.columns = where->columns - c < Q_RHS_CHUNK ? where->columns - c : Q_RHS_CHUNK;
        int64_t R = where->columns == 1 ? 1 : Q_RHS_CHUNK;
        double *numbers = malloc((size_t)where->rows * (size_t)R * sizeof *numbers + 1);
        if (!numbers) return q_fail_memory((size_t)where->rows * (size_t)R * sizeof *numbers);
        quern_status status = few_columns(a, dtype, &some, part, R, numbers);
        for (int64_t i = 0; i < where->rows && !status; i++)
            memcpy(out + i * where->columns + c, numbers + i * R, (size_t)some.columns * sizeof *out);
        free(numbers);
        Q_TRY(status);
    }
    return QUERN_OK;
}

quern_status q_linear_entries(const quern_linear *a, quern_dtype dtype, const q_part *where, double *out)
{
    if (!where->rows || !where->columns) return QUERN_OK;
    return a->kind->entries ? a->kind->entries(a, dtype, where, out)
                            : q_entries_by_products(a, dtype, where, NULL, out);
}

quern_status q_linear_diagonal(const quern_linear *a, quern_dtype dtype, double *out)
{
    if (a->kind->diagonal) return a->kind->diagonal(a, dtype, out);
    double square[Q_RHS_CHUNK * Q_RHS_CHUNK];
    int64_t count = a->rows < a->columns ? a->rows : a->columns;
    for (int64_t d = 0; d < count; d += Q_RHS_CHUNK) {
        int64_t n = count - d < Q_RHS_CHUNK ? count - d : Q_RHS_CHUNK;
        Q_TRY(
            q_linear_entries(a, dtype, &(q_part){.first_row = d, .rows = n, .first_column = d, .columns = n}, square));
        for (int64_t k = 0; k < n; k++) out[d + k] = square[k * n + k];
    }
    return QUERN_OK;
}

// ---- blocks of clusters ----

quern_status q_blocks_by_columns(const quern_linear *a, quern_dtype dtype, const quern_clusters *clusters, double *out)
{
    double *column = malloc((size_t)a->rows * sizeof *column + 1);
    quern_status status = column ? QUERN_OK : q_fail_memory((size_t)a->rows * sizeof *column);
    for (int64_t k = 0; k < clusters->count && !status; k++) {
        int64_t n = clusters->first[k + 1] - clusters->first[k];
        const int64_t *row = clusters->order + clusters->first[k];
        for (int64_t j = 0; j < n && !status; j++) {
            q_part where = {.rows = a->rows, .first_column = row[j], .columns = 1};
            status = q_linear_entries(a, dtype, &where, column);
            for (int64_t i = 0; i < n && !status; i++) out[i * n + j] = column[row[i]];
        }
        out += n * n;
    }
    free(column);
    return status;
}

/* The vectors that are 1 in row from + r of each cluster, r below R; or, the other way, what their products say of the blocks. */
static void turn_columns(const quern_clusters *c, int64_t from, int64_t R, double *vector, double *blocks, bool read)
{
    for (int64_t k = 0; k < c->count; k++) {
        int64_t first = c->first[k], n = c->first[k + 1] - first;
        for (int64_t r = 0; r < R && from + r < n; r++)
            if (!read) vector[(first + from + r) * R + r] = 1;
            else
                for (int64_t i = 0; i < n; i++) blocks[i * n + from + r] = vector[(first + i) * R + r];
        if (blocks) blocks += n * n;
    }
}

static quern_status multiply_blocks(const quern_linear *a, quern_dtype dtype, const quern_clusters *c,
                                    const quern_ranges *ranges, q_part_product part, double *vector, double *out)
{
    int64_t most = 0, R = Q_RHS_CHUNK;
    size_t numbers = (size_t)a->rows * (size_t)R;
    for (int64_t k = 0; k < c->count; k++)
        most = c->first[k + 1] - c->first[k] > most ? c->first[k + 1] - c->first[k] : most;
    q_part all = {
        .rows = a->rows, .columns = a->columns, .R = R, .vector = vector, .shifted = vector, .ranges = ranges};
    for (int64_t from = 0; from < most; from += R) {
        memset(vector, 0, numbers * sizeof *vector);
        turn_columns(c, from, R, vector, NULL, false);
        Q_TRY(part(a, dtype, &all, vector + numbers));
        turn_columns(c, from, R, vector + numbers, out, true);
    }
    return QUERN_OK;
}

quern_status q_blocks_by_products(const quern_linear *a, quern_dtype dtype, const quern_clusters *clusters,
                                  q_part_product part, double *out)
{
    quern_ranges *ranges = NULL;
    size_t numbers = (size_t)a->rows * Q_RHS_CHUNK;
    double *vector = malloc(2 * numbers * sizeof *vector + 1);
    int64_t *label = malloc((size_t)a->rows * sizeof *label + 1);
    quern_status status = vector && label ? QUERN_OK : q_fail_memory(2 * numbers * sizeof *vector);
    for (int64_t p = 0, k = 0; p < a->rows && !status; p++) {
        while (p >= clusters->first[k + 1]) k++;
        label[p] = k;
    }
    quern_view labels = quern_i64(label, a->rows, 1);
    if (!status) status = quern_ranges_labels(&ranges, labels, labels);
    if (!status) status = multiply_blocks(a, dtype, clusters, ranges, part, vector, out);
    quern_ranges_destroy(&ranges);
    free(vector);
    free(label);
    return status;
}

quern_status q_linear_blocks(const quern_linear *a, quern_dtype dtype, const quern_clusters *clusters, double *out)
{
    return (a->kind->blocks ? a->kind->blocks : q_blocks_by_columns)(a, dtype, clusters, out);
}

quern_status q_linear_points(const quern_linear *a, double **points, int64_t *dim)
{
    *points = NULL;
    return a->kind->points ? a->kind->points(a, points, dim) : QUERN_OK;
}

// ---- the calls ----

quern_status quern_linear_block(const quern_linear *linear, int64_t first_row, int64_t first_column, quern_view result)
{
    if (!linear) return q_fail_null(__func__, "the operator");
    int64_t rows = quern_linear_rows(linear), columns = quern_linear_columns(linear);
    if (result.rows < 0 || result.columns < 0 || first_row < 0 || first_column < 0 || first_row > rows - result.rows ||
        first_column > columns - result.columns)
        return q_fail(QUERN_SHAPE, "a block of %lld x %lld from row %lld and column %lld is not within %lld x %lld",
                      (long long)result.rows, (long long)result.columns, (long long)first_row, (long long)first_column,
                      (long long)rows, (long long)columns);
    Q_TRY(q_vector_check("the result", &result, result.rows, result.columns));
    if (!result.rows || !result.columns) return QUERN_OK;
    size_t bytes = (size_t)result.rows * (size_t)result.columns * sizeof(double);
    double *numbers = malloc(bytes);
    if (!numbers) return q_fail_memory(bytes);
    q_part where = {
        .first_row = first_row, .rows = result.rows, .first_column = first_column, .columns = result.columns};
    quern_status status = q_linear_entries(linear, result.dtype, &where, numbers);
    if (!status) status = q_vector_write(q_linear_context(linear), &result, numbers);
    free(numbers);
    return status;
}

quern_status quern_linear_diagonal(const quern_linear *linear, quern_view result)
{
    if (!linear) return q_fail_null(__func__, "the operator");
    int64_t rows = quern_linear_rows(linear), columns = quern_linear_columns(linear),
            count = rows < columns ? rows : columns;
    Q_TRY(q_vector_check("the result", &result, count, 1));
    double *numbers = malloc((size_t)count * sizeof *numbers + 1);
    if (!numbers) return q_fail_memory((size_t)count * sizeof *numbers);
    quern_status status = q_linear_diagonal(linear, result.dtype, numbers);
    if (!status) status = q_vector_write(q_linear_context(linear), &result, numbers);
    free(numbers);
    return status;
}
