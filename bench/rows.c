/*
 * rows.c: single rows of the cases' results in float64, straight from the formulas: what measured values are checked
 * against. Each reads the variables x, y, b, e that its case declares, in the numbers that the case's element type
 * holds; dimensions and right-hand sides are those of the arrays.
 */
#include <math.h>

#include "cases.h"

/* What every row needs: the point, and the j-variables. Variables that the case lacks are null. */
typedef struct row_data {
    const double *x, *y, *b;
    int64_t dim, columns; /* of x and y, of b */
} row_data;

static row_data row_find(const bench_problem *problem, int64_t i)
{
    const bench_array *x = bench_array_find(problem, "x"), *y = bench_array_find(problem, "y");
    const bench_array *b = bench_array_find(problem, "b");
    return (row_data){.x = x->exact + i * x->what.dim,
                      .y = y->exact,
                      .b = b ? b->exact : NULL,
                      .dim = x->what.dim,
                      .columns = b ? b->what.dim : 0};
}

static double distance_squared(const row_data *row, int64_t j)
{
    double sum = 0;
    for (int64_t d = 0; d < row->dim; d++) {
        const double off = row->x[d] - row->y[j * row->dim + d];
        sum += off * off;
    }
    return sum;
}

static double product(const row_data *row, int64_t j)
{
    double sum = 0;
    for (int64_t d = 0; d < row->dim; d++) sum += row->x[d] * row->y[j * row->dim + d];
    return sum;
}

/* result += weight b_j */
static void weighted_add(const row_data *row, int64_t j, double weight, double *result)
{
    for (int64_t c = 0; c < row->columns; c++) result[c] += weight * row->b[j * row->columns + c];
}

void bench_row_gaussian(const bench_problem *problem, int64_t i, double *result)
{
    const row_data row = row_find(problem, i);
    for (int64_t c = 0; c < row.columns; c++) result[c] = 0;
    for (int64_t j = 0; j < problem->n; j++) weighted_add(&row, j, exp(-distance_squared(&row, j)), result);
}

void bench_row_gradient(const bench_problem *problem, int64_t i, double *result)
{
    const row_data row = row_find(problem, i);
    const double e = bench_array_find(problem, "e")->exact[i];
    for (int64_t d = 0; d < row.dim; d++) result[d] = 0;
    for (int64_t j = 0; j < problem->n; j++) {
        const double k = -2 * exp(-distance_squared(&row, j)) * row.b[j] * e;
        for (int64_t d = 0; d < row.dim; d++) result[d] += k * (row.x[d] - row.y[j * row.dim + d]);
    }
}

void bench_row_both(const bench_problem *problem, int64_t i, double *result)
{
    bench_row_gaussian(problem, i, result);
    bench_row_gradient(problem, i, result + 1);
}

/* The Laplacian of exp(-r^2) in D dimensions is (4 r^2 - 2 D) exp(-r^2). */
void bench_row_laplacian(const bench_problem *problem, int64_t i, double *result)
{
    const row_data row = row_find(problem, i);
    *result = 0;
    for (int64_t j = 0; j < problem->n; j++) {
        const double square = distance_squared(&row, j);
        *result += (4 * square - 2 * (double)row.dim) * exp(-square) * row.b[j];
    }
}

/* Exponents lie between -3 and 1 with uniform data in 3 dimensions: no shift is needed. */
void bench_row_logsumexp(const bench_problem *problem, int64_t i, double *result)
{
    const row_data row = row_find(problem, i);
    double sum = 0;
    for (int64_t j = 0; j < problem->n; j++) sum += exp(row.b[j] - distance_squared(&row, j));
    *result = log(sum);
}

void bench_row_energy(const bench_problem *problem, int64_t i, double *result)
{
    const row_data row = row_find(problem, i);
    *result = 0;
    for (int64_t j = 0; j < problem->n; j++) weighted_add(&row, j, sqrt(distance_squared(&row, j)), result);
}

/* Exponents are within some tens of 0 with normal data: no shift is needed in float64. */
void bench_row_attention(const bench_problem *problem, int64_t i, double *result)
{
    const row_data row = row_find(problem, i);
    double total = 0;
    for (int64_t c = 0; c < row.columns; c++) result[c] = 0;
    for (int64_t j = 0; j < problem->n; j++) {
        const double weight = exp(product(&row, j) / 8);
        total += weight;
        weighted_add(&row, j, weight, result);
    }
    for (int64_t c = 0; c < row.columns; c++) result[c] /= total;
}

void bench_row_distances(const bench_problem *problem, int64_t i, double *result)
{
    const row_data row = row_find(problem, i);
    for (int64_t j = 0; j < problem->n; j++) result[j] = distance_squared(&row, j);
}
