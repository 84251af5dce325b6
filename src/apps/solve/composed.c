/*
 * composed.c: operators made of others: sums, products, transposes, grids of blocks. They keep their operands alive.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/solve/linear.h"

enum { FEW_ROWS = 64 }; /* of a product's entries: then those of the first operand are asked for, too */

typedef struct composed {
    quern_linear base;
    size_t count;
    quern_linear **operands; /* of a grid: null for zeros */
    double *factors;         /* of a sum */
    int64_t down, across;    /* of a grid: blocks */
    int64_t *row, *column;   /* where they begin, and the end */
} composed;

static void composed_free(quern_linear *linear)
{
    composed *a = (composed *)linear;
    for (size_t k = 0; k < a->count && a->operands; k++) quern_linear_destroy(&a->operands[k]);
    free(a->operands);
    free(a->factors);
    free(a->row);
}

static quern_status make(quern_linear **out, const q_linear_kind *kind, size_t count,
                         const quern_linear *const *operands)
{
    const quern_linear *first = NULL;
    bool single = false;
    if (!out) return q_fail_null("quern_linear", "out");
    *out = NULL;
    for (size_t k = 0; k < count; k++)
        if (operands[k]) {
            if (!first) first = operands[k];
            single = single || operands[k]->dtype == QUERN_F32;
        }
    if (!first) return q_fail(QUERN_USAGE, "there is no operator to make another of");
    composed *a = calloc(1, sizeof *a);
    if (!a) return q_fail_memory(sizeof *a);
    *out = &a->base;
    a->base.kind = kind, a->base.context = first->context, a->base.dtype = single ? QUERN_F32 : QUERN_F64;
    a->operands = calloc(count, sizeof(quern_linear *));
    if (!a->operands) {
        quern_linear_destroy(out);
        return q_fail_memory(count * sizeof(quern_linear *));
    }
    a->count = count;
    for (size_t k = 0; k < count; k++) {
        a->operands[k] = (quern_linear *)operands[k];
        if (operands[k]) atomic_fetch_add(&a->operands[k]->others, 1);
    }
    return QUERN_OK;
}

static bool has_entries(const quern_linear *linear)
{
    const composed *a = (const composed *)linear;
    for (size_t k = 0; k < a->count; k++)
        if (a->operands[k] && !q_linear_has_entries(a->operands[k])) return false;
    return true;
}

static double *numbers_for(int64_t rows, int64_t columns)
{
    double *out = malloc((size_t)rows * (size_t)columns * sizeof *out + 1);
    if (!out) q_fail_memory((size_t)rows * (size_t)columns * sizeof *out);
    return out;
}

static quern_status multiply(const quern_linear *a, quern_dtype dtype, bool transposed, int64_t R, const double *in,
                             double *out)
{
    return a->kind->product(a, dtype, transposed, R, in, out);
}

// ---- sums ----

/* A product if there is a vector; entries if there is a part; blocks if there are clusters; else the diagonal. */
typedef struct request {
    quern_dtype dtype;
    bool transposed;
    int64_t R, numbers; /* numbers: of what is asked for */
    const double *vector;
    const q_part *where;
    const quern_clusters *clusters;
} request;

static quern_status ask(const quern_linear *a, const request *r, double *out)
{
    return r->vector     ? multiply(a, r->dtype, r->transposed, r->R, r->vector, out)
           : r->where    ? q_linear_entries(a, r->dtype, r->where, out)
           : r->clusters ? q_linear_blocks(a, r->dtype, r->clusters, out)
                         : q_linear_diagonal(a, r->dtype, out);
}

static quern_status sum_up(const quern_linear *linear, const request *r, double *out)
{
    const composed *a = (const composed *)linear;
    double *some = numbers_for(r->numbers, 1);
    quern_status status = some ? QUERN_OK : QUERN_MEMORY;
    memset(out, 0, (size_t)r->numbers * sizeof *out);
    for (size_t k = 0; k < a->count && !status; k++) {
        status = ask(a->operands[k], r, some);
        for (int64_t e = 0; e < r->numbers && !status; e++) out[e] += a->factors[k] * some[e];
    }
    free(some);
    return status;
}

static quern_status sum_product(const quern_linear *a, quern_dtype dtype, bool transposed, int64_t R, const double *in,
                                double *out)
{
    request r = {dtype, transposed, R, (transposed ? a->columns : a->rows) * R, in, NULL, NULL};
    return sum_up(a, &r, out);
}

static quern_status sum_entries(const quern_linear *a, quern_dtype dtype, const q_part *where, double *out)
{
    request r = {.dtype = dtype, .numbers = where->rows * where->columns, .where = where};
    return sum_up(a, &r, out);
}

static quern_status sum_diagonal(const quern_linear *a, quern_dtype dtype, double *out)
{
    request r = {.dtype = dtype, .numbers = a->rows < a->columns ? a->rows : a->columns};
    return sum_up(a, &r, out);
}

static quern_status sum_blocks(const quern_linear *a, quern_dtype dtype, const quern_clusters *clusters, double *out)
{
    request r = {.dtype = dtype, .clusters = clusters};
    for (int64_t k = 0; k < clusters->count; k++) {
        int64_t n = clusters->first[k + 1] - clusters->first[k];
        r.numbers += n * n;
    }
    return sum_up(a, &r, out);
}

/* Those of the first operand that has some. */
static quern_status sum_points(const quern_linear *linear, double **points, int64_t *dim)
{
    const composed *a = (const composed *)linear;
    for (size_t k = 0; k < a->count && !*points; k++) Q_TRY(q_linear_points(a->operands[k], points, dim));
    return QUERN_OK;
}

static const q_linear_kind sum_kind = {.free = composed_free,
                                       .has_entries = has_entries,
                                       .blocks = sum_blocks,
                                       .points = sum_points,
                                       .product = sum_product,
                                       .entries = sum_entries,
                                       .diagonal = sum_diagonal};

static quern_status check_terms(size_t count, const quern_linear_term *terms)
{
    for (size_t k = 0; k < count; k++) {
        const quern_linear *a = terms[k].linear, *first = terms[0].linear;
        if (!a) return q_fail(QUERN_USAGE, "term %zu is null", k);
        if (!isfinite(terms[k].factor)) return q_fail(QUERN_USAGE, "the factor of term %zu is %g", k, terms[k].factor);
        if (a->rows != first->rows || a->columns != first->columns)
            return q_fail(QUERN_SHAPE, "term %zu has %lld x %lld entries, the first %lld x %lld", k, (long long)a->rows,
                          (long long)a->columns, (long long)first->rows, (long long)first->columns);
    }
    return QUERN_OK;
}

quern_status quern_linear_sum(quern_linear **out, size_t count, const quern_linear_term *terms)
{
    if (out) *out = NULL;
    if (!terms) return q_fail_null(__func__, "the list of terms");
    Q_TRY(check_terms(count, terms));
    const quern_linear **operands = calloc(count + 1, sizeof(quern_linear *));
    double *factors = calloc(count + 1, sizeof *factors), shift = 0;
    for (size_t k = 0; k < count && operands && factors; k++) {
        operands[k] = terms[k].linear, factors[k] = terms[k].factor;
        shift += factors[k] > 0 ? factors[k] * operands[k]->least_shift : 0;
    }
    quern_status status =
        operands && factors ? make(out, &sum_kind, count, operands) : q_fail_memory(count * sizeof *factors);
    free(operands);
    if (status) {
        free(factors);
        return status;
    }
    (*out)->rows = terms[0].linear->rows, (*out)->columns = terms[0].linear->columns, (*out)->least_shift = shift;
    ((composed *)*out)->factors = factors;
    return QUERN_OK;
}

// ---- products ----

static quern_status product_product(const quern_linear *linear, quern_dtype dtype, bool transposed, int64_t R,
                                    const double *in, double *out)
{
    quern_linear **operands = ((const composed *)linear)->operands;
    double *between = numbers_for(operands[0]->columns, R);
    if (!between) return QUERN_MEMORY;
    quern_status status = multiply(operands[transposed ? 0 : 1], dtype, transposed, R, in, between);
    if (!status) status = multiply(operands[transposed ? 1 : 0], dtype, transposed, R, between, out);
    free(between);
    return status;
}

/* out = rows of the first operand times columns of the second. */
static quern_status few_rows(const quern_linear *first, quern_dtype dtype, const q_part *where, const double *columns,
                             double *out)
{
    double *rows = numbers_for(where->rows, first->columns);
    if (!rows) return QUERN_MEMORY;
    q_part part = {.first_row = where->first_row, .rows = where->rows, .columns = first->columns};
    quern_status status = q_linear_entries(first, dtype, &part, rows);
    memset(out, 0, (size_t)(where->rows * where->columns) * sizeof *out);
    for (int64_t i = 0; i < where->rows && !status; i++)
        for (int64_t k = 0; k < first->columns; k++)
            for (int64_t j = 0; j < where->columns; j++)
                out[i * where->columns + j] += rows[i * first->columns + k] * columns[k * where->columns + j];
    free(rows);
    return status;
}

static quern_status product_entries(const quern_linear *linear, quern_dtype dtype, const q_part *where, double *out)
{
    quern_linear **operands = ((const composed *)linear)->operands;
    int64_t R = where->columns;
    double *columns = numbers_for(operands[1]->rows, R);
    double *all = where->rows <= FEW_ROWS ? NULL : numbers_for(linear->rows, R);
    quern_status status = columns && (all || where->rows <= FEW_ROWS) ? QUERN_OK : QUERN_MEMORY;
    q_part part = {.rows = operands[1]->rows, .first_column = where->first_column, .columns = R};
    if (!status) status = q_linear_entries(operands[1], dtype, &part, columns);
    if (!status)
        status = all ? multiply(operands[0], dtype, false, R, columns, all)
                     : few_rows(operands[0], dtype, where, columns, out);
    if (!status && all) memcpy(out, all + where->first_row * R, (size_t)(where->rows * R) * sizeof *out);
    free(columns);
    free(all);
    return status;
}

static const q_linear_kind product_kind = {
    .free = composed_free, .has_entries = has_entries, .product = product_product, .entries = product_entries};

quern_status quern_linear_product(quern_linear **out, const quern_linear *first, const quern_linear *second)
{
    if (out) *out = NULL;
    if (!first || !second) return q_fail_null(__func__, "an operator");
    if (first->columns != second->rows)
        return q_fail(QUERN_SHAPE, "%lld x %lld entries times %lld x %lld", (long long)first->rows,
                      (long long)first->columns, (long long)second->rows, (long long)second->columns);
    Q_TRY(make(out, &product_kind, 2, (const quern_linear *[]){first, second}));
    (*out)->rows = first->rows, (*out)->columns = second->columns;
    return QUERN_OK;
}

// ---- transposes ----

static quern_status transpose_product(const quern_linear *linear, quern_dtype dtype, bool transposed, int64_t R,
                                      const double *in, double *out)
{
    return multiply(((const composed *)linear)->operands[0], dtype, !transposed, R, in, out);
}

static quern_status transpose_entries(const quern_linear *linear, quern_dtype dtype, const q_part *where, double *out)
{
    q_part part = {.first_row = where->first_column,
                   .rows = where->columns,
                   .first_column = where->first_row,
                   .columns = where->rows};
    double *turned = numbers_for(where->rows, where->columns);
    if (!turned) return QUERN_MEMORY;
    quern_status status = q_linear_entries(((const composed *)linear)->operands[0], dtype, &part, turned);
    for (int64_t i = 0; i < where->rows && !status; i++)
        for (int64_t j = 0; j < where->columns; j++) out[i * where->columns + j] = turned[j * where->rows + i];
    free(turned);
    return status;
}

static quern_status transpose_diagonal(const quern_linear *linear, quern_dtype dtype, double *out)
{
    return q_linear_diagonal(((const composed *)linear)->operands[0], dtype, out);
}

static const q_linear_kind transpose_kind = {.free = composed_free,
                                             .has_entries = has_entries,
                                             .product = transpose_product,
                                             .entries = transpose_entries,
                                             .diagonal = transpose_diagonal};

quern_status quern_linear_transpose(quern_linear **out, const quern_linear *linear)
{
    if (out) *out = NULL;
    if (!linear) return q_fail_null(__func__, "the operator");
    Q_TRY(make(out, &transpose_kind, 1, &linear));
    (*out)->rows = linear->columns, (*out)->columns = linear->rows, (*out)->least_shift = linear->least_shift;
    return QUERN_OK;
}

// ---- grids ----

static quern_status grid_product(const quern_linear *linear, quern_dtype dtype, bool transposed, int64_t R,
                                 const double *in, double *out)
{
    const composed *a = (const composed *)linear;
    int64_t numbers = (transposed ? linear->columns : linear->rows) * R;
    double *some = numbers_for(numbers, 1);
    quern_status status = some ? QUERN_OK : QUERN_MEMORY;
    memset(out, 0, (size_t)numbers * sizeof *out);
    for (int64_t k = 0; k < a->down * a->across && !status; k++) {
        const quern_linear *block = a->operands[k];
        if (!block) continue;
        int64_t row = a->row[k / a->across] * R, column = a->column[k % a->across] * R;
        status = multiply(block, dtype, transposed, R, in + (transposed ? row : column), some);
        double *to = out + (transposed ? column : row);
        for (int64_t e = 0; e < (transposed ? block->columns : block->rows) * R && !status; e++) to[e] += some[e];
    }
    free(some);
    return status;
}

/* The part's rows, or columns, that a block from `begin` to `end` has: where they begin in the block, and how many. */
static int64_t meet(int64_t begin, int64_t end, int64_t first, int64_t count, int64_t *from)
{
    int64_t low = first > begin ? first : begin, high = first + count < end ? first + count : end;
    *from = low - begin;
    return high > low ? high - low : 0;
}

static quern_status grid_entries(const quern_linear *linear, quern_dtype dtype, const q_part *where, double *out)
{
    const composed *a = (const composed *)linear;
    double *some = numbers_for(where->rows, where->columns);
    quern_status status = some ? QUERN_OK : QUERN_MEMORY;
    memset(out, 0, (size_t)(where->rows * where->columns) * sizeof *out);
    for (int64_t k = 0; k < a->down * a->across && !status; k++) {
        const int64_t *row = a->row + k / a->across, *column = a->column + k % a->across;
        q_part part = {0};
        part.rows = meet(row[0], row[1], where->first_row, where->rows, &part.first_row);
        part.columns = meet(column[0], column[1], where->first_column, where->columns, &part.first_column);
        if (!a->operands[k] || !part.rows || !part.columns) continue;
        status = q_linear_entries(a->operands[k], dtype, &part, some);
        int64_t down = row[0] + part.first_row - where->first_row,
                right = column[0] + part.first_column - where->first_column;
        for (int64_t i = 0; i < part.rows && !status; i++)
            memcpy(out + (down + i) * where->columns + right, some + i * part.columns,
                   (size_t)part.columns * sizeof *out);
    }
    free(some);
    return status;
}

static const q_linear_kind grid_kind = {
    .free = composed_free, .has_entries = has_entries, .product = grid_product, .entries = grid_entries};

/* Where the blocks begin, along rows or along columns, from their sizes, which must agree. */
static quern_status place(const composed *a, bool rows, int64_t *begin)
{
    int64_t lines = rows ? a->down : a->across, others = rows ? a->across : a->down;
    for (int64_t l = 0; l < lines; l++) {
        int64_t size = -1;
        for (int64_t o = 0; o < others; o++) {
            const quern_linear *block = a->operands[rows ? l * a->across + o : o * a->across + l];
            int64_t own = !block ? size : rows ? block->rows : block->columns;
            if (size >= 0 && own != size)
                return q_fail(QUERN_SHAPE, "blocks of %s %lld have %lld and %lld %s", rows ? "row" : "column",
                              (long long)l, (long long)size, (long long)own, rows ? "rows" : "columns");
            size = own;
        }
        if (size < 0)
            return q_fail(QUERN_SHAPE, "%s %lld of the grid has no block that tells its size", rows ? "row" : "column",
                          (long long)l);
        begin[l + 1] = begin[l] + size;
    }
    return QUERN_OK;
}

quern_status quern_linear_grid(quern_linear **out, int64_t rows, int64_t columns, const quern_linear *const *blocks)
{
    if (out) *out = NULL;
    if (!blocks) return q_fail_null(__func__, "the list of blocks");
    if (rows < 1 || columns < 1 || rows > 1024 || columns > 1024)
        return q_fail(QUERN_USAGE, "a grid of %lld x %lld blocks; 1 to 1024 are taken", (long long)rows,
                      (long long)columns);
    Q_TRY(make(out, &grid_kind, (size_t)(rows * columns), blocks));
    composed *a = (composed *)*out;
    a->down = rows, a->across = columns;
    a->row = calloc((size_t)(rows + columns + 2), sizeof *a->row);
    quern_status status = a->row ? QUERN_OK : q_fail_memory((size_t)(rows + columns + 2) * sizeof *a->row);
    if (!status) {
        a->column = a->row + rows + 1;
        status = place(a, true, a->row);
    }
    if (!status) status = place(a, false, a->column);
    if (status) {
        quern_linear_destroy(out);
        return status;
    }
    (*out)->rows = a->row[rows], (*out)->columns = a->column[columns];
    return QUERN_OK;
}
