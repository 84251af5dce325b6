/*
 * test_linear.c: operators of functions, matrices, diagonals and other operators beside dense arithmetic: products, transposed
 * ones, entries, diagonals; solves with them; sizes that do not agree, and what is not there.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "quern/solve.h"
#include "run_helpers.h"

enum { M = 50, N = 37, R = 3 };

static double points[2 * M], dense[M * N], diagonal[M], in[M * R], out[M * R], wanted[M * M];

static int prepare(void **state)
{
    srand(9);
    for (int e = 0; e < 2 * M; e++) points[e] = rand() / (double)RAND_MAX;
    for (int e = 0; e < M * N; e++) dense[e] = rand() / (double)RAND_MAX - 0.5;
    for (int e = 0; e < M; e++) diagonal[e] = 1 + rand() / (double)RAND_MAX;
    for (int e = 0; e < M * R; e++) in[e] = rand() / (double)RAND_MAX - 0.5;
    return open_context(state);
}

/* M x N: exp(-|x_i - x_j|^2) */
static quern_linear *kernel(int64_t rows, int64_t columns, bool single)
{
    quern_linear *a;
    static float narrow[2 * M];
    for (int e = 0; e < 2 * M; e++) narrow[e] = (float)points[e];
    quern_view x = single ? quern_f32(narrow, rows, 2) : quern_f64(points, rows, 2);
    quern_view y = single ? quern_f32(narrow, columns, 2) : quern_f64(points, columns, 2);
    succeed(quern_linear_create(&a, context, "x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y))*b)",
                                QUERN_ARGS({"x", x}, {"y", y}), NULL));
    return a;
}

static double kernel_entry(int i, int j)
{
    double d0 = points[2 * i] - points[2 * j], d1 = points[2 * i + 1] - points[2 * j + 1];
    return exp(-d0 * d0 - d1 * d1);
}

/* The operator beside `wanted`, whose entries it should have. */
static void compare(const quern_linear *a, double slack)
{
    int rows = (int)quern_linear_rows(a), columns = (int)quern_linear_columns(a), few = rows < columns ? rows : columns;
    for (int transposed = 0; transposed < 2; transposed++) {
        int from = transposed ? rows : columns, to = transposed ? columns : rows;
        quern_view v = quern_f64(in, from, R), w = quern_f64(out, to, R);
        succeed(transposed ? quern_linear_apply_transpose(a, v, w) : quern_linear_apply(a, v, w));
        for (int i = 0; i < to; i++)
            for (int r = 0; r < R; r++) {
                double sum = -out[i * R + r];
                for (int j = 0; j < from; j++)
                    sum += wanted[transposed ? j * columns + i : i * columns + j] * in[j * R + r];
                assert_true(fabs(sum) < slack);
            }
    }
    static double block[M * M];
    succeed(quern_linear_block(a, 0, 0, quern_f64(block, rows, columns)));
    for (int e = 0; e < rows * columns; e++) assert_true(fabs(block[e] - wanted[e]) < slack);
    succeed(quern_linear_block(a, 30, 20, quern_f64(block, 5, 3)));
    for (int e = 0; e < 15; e++) assert_true(fabs(block[e] - wanted[(30 + e / 3) * columns + 20 + e % 3]) < slack);
    succeed(quern_linear_diagonal(a, quern_f64(block, few, 1)));
    for (int i = 0; i < few; i++) assert_true(fabs(block[i] - wanted[i * columns + i]) < slack);
}

static void from_matrices_and_diagonals(void **state)
{
    (void)state;
    quern_linear *a;
    memcpy(wanted, dense, sizeof dense);
    succeed(quern_linear_from_matrix(&a, context, quern_f64(dense, M, N)));
    compare(a, 1e-13);
    quern_linear_destroy(&a);
    memset(wanted, 0, sizeof wanted);
    for (int i = 0; i < M; i++) wanted[i * M + i] = diagonal[i];
    succeed(quern_linear_from_diagonal(&a, context, quern_f64(diagonal, M, 1)));
    compare(a, 1e-13);
    quern_linear_destroy(&a);
}

/* The cyclic shift of a vector, and back. */
static quern_status turn(void *user, bool transposed, int64_t count, const double *vector, double *result)
{
    if (!count) return QUERN_USAGE;
    ++*(int *)user;
    for (int i = 0; i < M; i++)
        for (int r = 0; r < count; r++) {
            int next = (i + 1) % M;
            result[(transposed ? next : i) * count + r] = vector[(transposed ? i : next) * count + r];
        }
    return QUERN_OK;
}

static quern_status refuse(void *user, bool transposed, int64_t count, const double *vector, double *result)
{
    (void)user, (void)transposed, (void)count, (void)vector, (void)result;
    return QUERN_IO;
}

static void from_functions(void **state)
{
    (void)state;
    quern_linear *a;
    int calls = 0;
    memset(wanted, 0, sizeof wanted);
    for (int i = 0; i < M; i++) wanted[i * M + (i + 1) % M] = 1;
    succeed(quern_linear_from_function(&a, context, M, M, turn, &calls));
    compare(a, 1e-13);
    assert_true(calls > 2);
    quern_linear_destroy(&a);
    succeed(quern_linear_from_function(&a, context, M, M, refuse, NULL));
    expect_failure(quern_linear_apply(a, quern_f64(in, M, R), quern_f64(out, M, R)), QUERN_IO, "failed with IO");
    quern_linear_destroy(&a);
}

/* 2 K - U V^T + D, of which the operands are gone when it is used. */
static quern_linear *composed(bool single)
{
    quern_linear *K = kernel(M, M, single), *U, *V, *turned, *low, *D, *a;
    succeed(quern_linear_from_matrix(&U, context, quern_f64(dense, M, 4)));
    succeed(quern_linear_from_matrix(&V, context, quern_f64(dense + 200, M, 4)));
    succeed(quern_linear_transpose(&turned, V));
    succeed(quern_linear_product(&low, U, turned));
    succeed(quern_linear_from_diagonal(&D, context, quern_f64(diagonal, M, 1)));
    succeed(quern_linear_sum(&a, 3, (quern_linear_term[]){{2, K}, {-1, low}, {1, D}}));
    quern_linear_destroy(&K), quern_linear_destroy(&U), quern_linear_destroy(&V), quern_linear_destroy(&turned);
    quern_linear_destroy(&low), quern_linear_destroy(&D);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++) {
            double sum = 2 * kernel_entry(i, j) + (i == j ? diagonal[i] : 0);
            for (int k = 0; k < 4; k++) sum -= dense[i * 4 + k] * dense[200 + j * 4 + k];
            wanted[i * M + j] = sum;
        }
    return a;
}

static void sums_products_and_transposes(void **state)
{
    (void)state;
    quern_linear *a = composed(false), *turned;
    compare(a, 1e-12);
    succeed(quern_linear_transpose(&turned, a));
    for (int i = 0; i < M; i++)
        for (int j = 0; j < i; j++) {
            double kept = wanted[i * M + j];
            wanted[i * M + j] = wanted[j * M + i], wanted[j * M + i] = kept;
        }
    compare(turned, 1e-12);
    quern_linear_destroy(&a), quern_linear_destroy(&turned);
    a = composed(true); /* points of float32 */
    compare(a, 1e-5);
    quern_linear_destroy(&a);
}

/* A formula that is neither square nor, where it is, symmetric. */
static void formulas_that_are_not_symmetric(void **state)
{
    (void)state;
    for (int columns = N; columns <= M; columns += M - N) {
        quern_linear *a;
        succeed(quern_linear_create(
            &a, context, "x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y))*(1+Elem(x,0)-2*Elem(y,1))*b)",
            QUERN_ARGS({"x", quern_f64(points, M, 2)}, {"y", quern_f64(points, columns, 2)}), NULL));
        for (int i = 0; i < M; i++)
            for (int j = 0; j < columns; j++)
                wanted[i * columns + j] = kernel_entry(i, j) * (1 + points[2 * i] - 2 * points[2 * j + 1]);
        compare(a, 1e-12);
        quern_linear_destroy(&a);
    }
}

static void grids_of_blocks(void **state)
{
    (void)state;
    quern_linear *K = kernel(30, 30, false), *P, *turned, *a;
    succeed(quern_linear_from_matrix(&P, context, quern_f64(dense, 30, 7)));
    succeed(quern_linear_transpose(&turned, P));
    succeed(quern_linear_grid(&a, 2, 2, (const quern_linear *[]){K, P, turned, NULL}));
    memset(wanted, 0, sizeof wanted);
    for (int i = 0; i < 30; i++) {
        for (int j = 0; j < 30; j++) wanted[i * 37 + j] = kernel_entry(i, j);
        for (int k = 0; k < 7; k++) wanted[i * 37 + 30 + k] = wanted[(30 + k) * 37 + i] = dense[i * 7 + k];
    }
    quern_linear_destroy(&P);
    compare(a, 1e-12);
    quern_linear_destroy(&a);
    expect_failure(quern_linear_grid(&a, 1, 2, (const quern_linear *[]){K, turned}), QUERN_SHAPE, "30 and 7 rows");
    expect_failure(quern_linear_grid(&a, 2, 1, (const quern_linear *[]){K, NULL}), QUERN_SHAPE, "row 1");
    expect_failure(quern_linear_grid(&a, 1, 1, (const quern_linear *[]){NULL}), QUERN_USAGE, "no operator");
    expect_failure(quern_linear_grid(&a, 0, 1, (const quern_linear *[]){K}), QUERN_USAGE, "0 x 1");
    quern_linear_destroy(&K), quern_linear_destroy(&turned);
}

/* K + U U^T + D, by conjugate gradients with its low-rank part. */
static void systems_with_them(void **state)
{
    (void)state;
    quern_linear *K = kernel(M, M, false), *U, *turned, *low, *D, *a;
    succeed(quern_linear_from_matrix(&U, context, quern_f64(dense, M, 4)));
    succeed(quern_linear_transpose(&turned, U));
    succeed(quern_linear_product(&low, U, turned));
    for (int i = 0; i < M; i++) diagonal[i] *= 1e-3;
    succeed(quern_linear_from_diagonal(&D, context, quern_f64(diagonal, M, 1)));
    succeed(quern_linear_sum(&a, 3, (quern_linear_term[]){{1, K}, {1, low}, {1, D}}));
    quern_solve_options options = {.size = sizeof options, .tolerance = 1e-10};
    double solution[M * R];
    succeed(quern_solve(a, quern_f64(in, M, R), quern_f64(solution, M, R), &options, NULL));
    succeed(quern_linear_apply(a, quern_f64(solution, M, R), quern_f64(out, M, R)));
    for (int e = 0; e < M * R; e++) assert_true(fabs(out[e] - in[e]) < 1e-9);
    quern_linear_destroy(&K), quern_linear_destroy(&U), quern_linear_destroy(&turned), quern_linear_destroy(&low);
    quern_linear_destroy(&D), quern_linear_destroy(&a);
}

static void none_and_one(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 2; n++) {
        quern_linear *m, *d, *s, *p;
        double one = 3, result = 7;
        succeed(quern_linear_from_matrix(&m, context, quern_f64(&one, n, n)));
        succeed(quern_linear_from_diagonal(&d, context, quern_f64(&one, n, 1)));
        succeed(quern_linear_sum(&s, 2, (quern_linear_term[]){{1, m}, {2, d}}));
        succeed(quern_linear_product(&p, s, s));
        succeed(quern_linear_apply(p, quern_f64(&one, n, 1), quern_f64(&result, n, 1)));
        assert_true(result == (n ? 243 : 7));
        succeed(quern_linear_diagonal(p, quern_f64(&result, n, 1)));
        assert_true(result == (n ? 81 : 7));
        quern_linear_destroy(&m), quern_linear_destroy(&d), quern_linear_destroy(&s), quern_linear_destroy(&p);
    }
}

static void what_cannot_be_made_is_told(void **state)
{
    (void)state;
    quern_linear *a, *wide, *D;
    int whole[4] = {0};
    succeed(quern_linear_from_matrix(&wide, context, quern_f64(dense, M, N)));
    expect_failure(quern_linear_product(&a, wide, wide), QUERN_SHAPE, "50 x 37 entries times 50 x 37");
    assert_null(a);
    succeed(quern_linear_from_diagonal(&D, context, quern_f64(diagonal, M, 1)));
    expect_failure(quern_linear_sum(&a, 2, (quern_linear_term[]){{1, wide}, {1, D}}), QUERN_SHAPE,
                   "term 1 has 50 x 50");
    expect_failure(quern_linear_sum(&a, 1, (quern_linear_term[]){{NAN, wide}}), QUERN_USAGE, "factor of term 0");
    expect_failure(quern_linear_sum(&a, 1, (quern_linear_term[]){{1, NULL}}), QUERN_USAGE, "term 0 is null");
    expect_failure(quern_linear_sum(&a, 0, (quern_linear_term[]){{1, NULL}}), QUERN_USAGE, "no operator");
    expect_failure(quern_linear_sum(&a, 1, NULL), QUERN_USAGE, "null");
    expect_failure(quern_linear_product(&a, wide, NULL), QUERN_USAGE, "null");
    expect_failure(quern_linear_transpose(&a, NULL), QUERN_USAGE, "null");
    expect_failure(quern_linear_grid(&a, 1, 1, NULL), QUERN_USAGE, "null");
    expect_failure(quern_linear_from_function(&a, context, 1, 1, NULL, NULL), QUERN_USAGE, "function is null");
    expect_failure(quern_linear_from_function(&a, context, -1, 1, turn, NULL), QUERN_SHAPE, "-1 x 1");
    expect_failure(quern_linear_from_matrix(&a, NULL, quern_f64(dense, 1, 1)), QUERN_USAGE, "context");
    expect_failure(quern_linear_from_matrix(&a, context, quern_view_of(whole, QUERN_I32, 2, 2)), QUERN_DTYPE, "int32");
    expect_failure(quern_linear_from_diagonal(&a, context, quern_f64(dense, 3, 2)), QUERN_SHAPE, "3 x 2");
    double kept = dense[38];
    dense[38] = NAN;
    expect_failure(quern_linear_from_matrix(&a, context, quern_f64(dense, M, N)), QUERN_USAGE,
                   "row 1, column 1 is nan");
    dense[38] = kept;
    double slope;
    expect_failure(quern_linear_gradient(wide, quern_f64(in, M, 1), quern_f64(in, N, 1),
                                         QUERN_ARGS({"x", quern_f64(&slope, 1, 1)})),
                   QUERN_UNSUPPORTED, "no formula");
    quern_linear_destroy(&wide), quern_linear_destroy(&D);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_matrices_and_diagonals),
        cmocka_unit_test(from_functions),
        cmocka_unit_test(sums_products_and_transposes),
        cmocka_unit_test(formulas_that_are_not_symmetric),
        cmocka_unit_test(grids_of_blocks),
        cmocka_unit_test(systems_with_them),
        cmocka_unit_test(none_and_one),
        cmocka_unit_test(what_cannot_be_made_is_told),
    };
    return cmocka_run_group_tests(tests, prepare, close_context);
}
