/*
 * test_lapack.c: quern's dense factors and eigenvalues, and those of an operator of 2000 rows that nobody stores, beside LAPACK's.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apps/kernel/kernel.h"
#include "apps/spectra/spectra.h"
#include "run_helpers.h"

/* Fortran's: everything by reference, columns of the matrix one after the other, lengths of texts in the end. */
void dpotrf_(const char *part, const int *n, double *a, const int *stride, int *info, size_t part_length);
void dsyev_(const char *what, const char *part, const int *n, double *a, const int *stride, double *values,
            double *work, const int *room, int *info, size_t what_length, size_t part_length);

enum { N = 2000, PAIRS = 20, D = 3 };

static double *numbers(int64_t count)
{
    double *out = calloc((size_t)count + 1, sizeof *out);
    assert_non_null(out);
    return out;
}

/* A symmetric matrix, positive definite with `shift`. */
static double *matrix(int n, double shift)
{
    double *a = numbers((int64_t)n * n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) a[i * n + j] = a[j * n + i] = uniform() - 0.5 + (i == j ? shift : 0);
    return a;
}

/* Eigenvalues, ascending, of a matrix that is destroyed. */
static void eigenvalues(int n, double *a, double *values)
{
    int room = 40 * (n + 1), info, stride = n > 0 ? n : 1;
    double *work = numbers(room);
    dsyev_("N", "L", &n, a, &stride, values, work, &room, &info, 1, 1);
    assert_int_equal(info, 0);
    free(work);
}

static void factors(void **state)
{
    (void)state;
    const int sizes[] = {0, 1, 2, 63, 64, 65, 300};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int n = sizes[s], info, stride = n > 0 ? n : 1;
        double *a = matrix(n, n), *known = numbers((int64_t)n * n), off = 0;
        int64_t pivot;
        memcpy(known, a, (size_t)n * (size_t)n * sizeof *a);
        q_cholesky(a, n, &pivot);
        dpotrf_("U", &n, known, &stride, &info, 1); /* of columns, so the lower triangle of rows */
        assert_true(pivot == -1 && info == 0);
        for (int i = 0; i < n; i++)
            for (int j = 0; j <= i; j++) off = fmax(off, fabs(a[i * n + j] - known[i * n + j]));
        assert_true(off <= 1e-14 * n);
        free(a), free(known);
    }
    double two[] = {1, 0, 2, 1}, known[] = {1, 2, 2, 1};
    int64_t pivot;
    int info;
    q_cholesky(two, 2, &pivot);
    dpotrf_("U", (const int[]){2}, known, (const int[]){2}, &info, 1);
    assert_int_equal(pivot + 1, info);
}

static void small_matrices(void **state)
{
    (void)state;
    const int sizes[] = {0, 1, 2, 3, 40, 201};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int n = sizes[s];
        double *a = matrix(n, 0), *kept = numbers((int64_t)n * n), *values = numbers(n), *known = numbers(n), off = 0;
        double *vectors = numbers((int64_t)n * n), *scratch = numbers(2 * n);
        memcpy(kept, a, (size_t)n * (size_t)n * sizeof *a);
        assert_true(q_symmetric_eigen(n, a, values, vectors, scratch));
        for (int k = 0; k < n; k++)
            for (int i = 0; i < n; i++) {
                double left = -values[k] * vectors[i * n + k];
                for (int j = 0; j < n; j++) left += kept[i * n + j] * vectors[j * n + k];
                off = fmax(off, fabs(left));
            }
        eigenvalues(n, kept, known);
        for (int k = 0; k < n; k++) off = fmax(off, fabs(values[k] - known[k]));
        assert_true(off <= 1e-14 * n);
        free(a), free(kept), free(values), free(known), free(vectors), free(scratch);
    }
}

/* Random points in a cube, Gaussian kernel: the largest eigenvalues, by both methods. */
static void operators(void **state)
{
    (void)state;
    double *x = numbers(D * N), *a = numbers(N * N), *known = numbers(N), values[PAIRS], off = 0;
    for (int e = 0; e < D * N; e++) x[e] = uniform();
    quern_linear *K;
    succeed(quern_linear_create(&K, context, "x=Vi(3); y=Vj(3); Sum_j(Exp(-2*SqDist(x,y))*b)",
                                QUERN_ARGS({"x", quern_f64(x, N, D)}, {"y", quern_f64(x, N, D)}), NULL));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double square = 0;
            for (int d = 0; d < D; d++) square += pow(x[D * i + d] - x[D * j + d], 2);
            a[i * N + j] = exp(-2 * square);
        }
    eigenvalues(N, a, known);
    for (int method = 0; method < 2; method++) {
        quern_eigen_options options = {.size = sizeof options, .method = (quern_eigen_method)method};
        quern_eigen_report report = {.size = sizeof report};
        succeed(quern_eigenpairs(K, quern_f64(values, PAIRS, 1), (quern_view){0}, &options, &report));
        for (int k = 0; k < PAIRS; k++) off = fmax(off, fabs(values[k] - known[N - 1 - k]));
        print_message("%d rows: %d eigenvalues are off by %.1e of the largest, %s, %lld products\n", N, PAIRS,
                      off / known[N - 1], method ? "subspace" : "Lanczos", (long long)report.iterations);
        assert_true(off <= 1e-10 * known[N - 1]);
    }
    quern_linear_destroy(&K);
    free(x), free(a), free(known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors),
        cmocka_unit_test(small_matrices),
        cmocka_unit_test(operators),
    };
    srand(4);
    return cmocka_run_group_tests(tests, open_context, close_context);
}
