/*
 * test_solve_methods.c: systems that are indefinite, by MINRES, and unsymmetric, by GMRES, with residuals computed by the test;
 * float32 systems to float64 residuals; what the methods cannot do.
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

enum { N = 200, R = 3, TERMS = 3 };
#define GAUSSIAN "x=Vi(2); y=Vj(2); Sum_j(Exp(-20*SqDist(x,y))*b)"
#define SKEWED "x=Vi(2); y=Vj(2); Sum_j(Exp(-20*SqDist(x,y))*(1+Elem(x,0)-2*Elem(y,1))*b)"

static double points[2 * N], b[(N + TERMS) * R], c[(N + TERMS) * R], out[(N + TERMS) * R];
static float single_points[2 * N];

static int prepare(void **state)
{
    srand(4);
    for (int e = 0; e < 2 * N; e++) points[e] = single_points[e] = (float)(rand() / (double)RAND_MAX);
    for (int e = 0; e < (N + TERMS) * R; e++) b[e] = rand() / (double)RAND_MAX - 0.5;
    return open_context(state);
}

static quern_linear *make(const char *formula, int64_t n, bool single, double shift)
{
    quern_linear *a;
    quern_view p = single ? quern_f32(single_points, n, 2) : quern_f64(points, n, 2);
    succeed(quern_linear_create(&a, context, formula, QUERN_ARGS({"x", p}, {"y", p}),
                                &(quern_linear_options){.size = sizeof(quern_linear_options), .shift = shift}));
    return a;
}

/* Solves, and compares the largest relative residual with the one of the report. */
static void solve(const quern_linear *a, quern_solve_options options, double slack)
{
    int64_t n = quern_linear_rows(a);
    quern_solve_report report = {.size = sizeof report};
    options.size = sizeof options;
    succeed(quern_solve(a, quern_f64(b, n, R), quern_f64(c, n, R), &options, &report));
    succeed(quern_linear_apply(a, quern_f64(c, n, R), quern_f64(out, n, R)));
    double most = 0;
    for (int r = 0; r < R; r++) {
        double left = 0, whole = 0;
        for (int64_t i = 0; i < n; i++) {
            left += pow(b[i * R + r] - out[i * R + r], 2);
            whole += pow(b[i * R + r], 2);
        }
        most = fmax(most, sqrt(left / whole));
    }
    print_message("residual %.2e, reported %.2e, %lld products\n", most, report.residual, (long long)report.iterations);
    assert_true(most <= slack && report.converged && report.residual <= options.tolerance);
    assert_true(fabs(most - report.residual) < 1e-13 + 0.5 * slack);
}

static void indefinite_systems(void **state)
{
    (void)state;
    for (int single = 0; single < 2; single++) {
        quern_linear *a = make(GAUSSIAN, N, single, -0.3);
        solve(a, (quern_solve_options){.method = QUERN_SOLVER_MINRES, .tolerance = 1e-10}, 1e-10);
        solve(a, (quern_solve_options){.method = QUERN_SOLVER_GMRES, .tolerance = 1e-8}, 1e-8);
        expect_failure(quern_solve(a, quern_f64(b, N, R), quern_f64(c, N, R),
                                   &(quern_solve_options){.size = sizeof(quern_solve_options),
                                                          .preconditioner = QUERN_PRECONDITIONER_NONE},
                                   NULL),
                       QUERN_NUMERIC, "the method MINRES");
        quern_linear_destroy(&a);
    }
}

/* Kriging with a trend: [K P; P^T 0], which has eigenvalues of both signs. */
static void saddle_points(void **state)
{
    (void)state;
    static double trend[N * TERMS];
    quern_linear *K = make(GAUSSIAN, N, false, 0.1), *P, *turned, *a;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < TERMS; k++) trend[i * TERMS + k] = k ? points[2 * i + k - 1] : 1;
    succeed(quern_linear_from_matrix(&P, context, quern_f64(trend, N, TERMS)));
    succeed(quern_linear_transpose(&turned, P));
    succeed(quern_linear_grid(&a, 2, 2, (const quern_linear *[]){K, P, turned, NULL}));
    solve(a, (quern_solve_options){.method = QUERN_SOLVER_MINRES, .tolerance = 1e-9}, 1e-9);
    quern_linear_destroy(&K), quern_linear_destroy(&P), quern_linear_destroy(&turned), quern_linear_destroy(&a);
}

static void unsymmetric_systems(void **state)
{
    (void)state;
    quern_solve_options options = {.size = sizeof options, .method = QUERN_SOLVER_GMRES, .tolerance = 1e-10};
    for (int single = 0; single < 2; single++) {
        quern_linear *a = make(SKEWED, N, single, 4);
        solve(a, options, 1e-10);
        quern_linear_destroy(&a);
    }
    quern_linear *a = make(SKEWED, N, false, 4);
    options.method = QUERN_SOLVER_MINRES;
    expect_failure(quern_solve(a, quern_f64(b, N, R), quern_f64(c, N, R), &options, NULL), QUERN_NUMERIC,
                   "the method GMRES");
    quern_linear_destroy(&a);
}

/* The low-rank part is for all methods. */
static void with_a_preconditioner(void **state)
{
    (void)state;
    quern_linear *a = make("x=Vi(2); y=Vj(2); Sum_j(Exp(-2*SqDist(x,y))*b)", N, false, 1e-3);
    for (int method = 0; method < 3; method++)
        solve(a,
              (quern_solve_options){
                  .method = (quern_solver)method, .tolerance = 1e-9, .preconditioner = QUERN_PRECONDITIONER_LOW_RANK},
              1e-9);
    quern_linear_destroy(&a);
}

static quern_status by_formula(void *user, bool transposed, int64_t count, const double *vector, double *result)
{
    const quern_view v = quern_f64(vector, N, count), w = quern_f64(result, N, count);
    return transposed ? quern_linear_apply_transpose(user, v, w) : quern_linear_apply(user, v, w);
}

/* An operator whose entries are products: the low-rank part is found by few of them. */
static void without_entries(void **state)
{
    (void)state;
    int64_t products[2];
    quern_linear *K = make("x=Vi(2); y=Vj(2); Sum_j(Exp(-2*SqDist(x,y))*b)", N, false, 1e-3), *f, *a;
    succeed(quern_linear_from_function(&f, context, N, N, by_formula, K));
    succeed(quern_linear_sum(&a, 1, &(quern_linear_term){2, f}));
    for (int way = 0; way < 2; way++) {
        quern_solve_options options = {.size = sizeof options,
                                       .tolerance = 1e-8,
                                       .preconditioner = way ? QUERN_PRECONDITIONER_AUTO : QUERN_PRECONDITIONER_NONE};
        quern_solve_report report = {.size = sizeof report};
        succeed(quern_solve(a, quern_f64(b, N, R), quern_f64(c, N, R), &options, &report));
        products[way] = report.iterations;
        assert_int_equal(report.rank > 0, way);
    }
    print_message("%lld products, %lld preconditioned\n", (long long)products[0], (long long)products[1]);
    assert_true(products[1] * 3 < products[0]);
    solve(K, (quern_solve_options){.tolerance = 1e-9, .preconditioner = QUERN_PRECONDITIONER_NYSTROM}, 1e-9);
    quern_linear_destroy(&K), quern_linear_destroy(&f), quern_linear_destroy(&a);
}

static bool stop(void *user, int64_t iteration, double residual)
{
    (void)residual;
    return iteration >= *(int *)user;
}

static void what_they_cannot_do_is_told(void **state)
{
    (void)state;
    quern_view v = quern_f64(b, N, R), w = quern_f64(c, N, R);
    quern_solve_report report = {.size = sizeof report};
    for (int method = QUERN_SOLVER_MINRES; method <= QUERN_SOLVER_GMRES; method++) {
        quern_solve_options options = {.size = sizeof options, .method = (quern_solver)method};
        double line[N], kept = points[5];
        for (int i = 0; i < N; i++) line[i] = i ? 1 : 0; /* a row and a column of zeros */
        quern_linear *a;
        succeed(quern_linear_from_diagonal(&a, context, quern_f64(line, N, 1)));
        expect_failure(quern_solve(a, v, w, &options, &report), QUERN_NUMERIC, "no longer falls");
        assert_true(!report.converged && report.residual > 1e-3);
        quern_linear_destroy(&a);
        points[5] = NAN;
        a = make(GAUSSIAN, N, false, 1);
        points[5] = kept;
        expect_failure(quern_solve(a, v, w, &options, NULL), QUERN_NUMERIC, "not finite");
        quern_linear_destroy(&a);
        a = make(GAUSSIAN, N, false, -0.3);
        options.iterations = 3;
        expect_failure(quern_solve(a, v, w, &options, &report), QUERN_NUMERIC, "limit of iterations");
        assert_int_equal(report.iterations, 3);
        int limit = 2;
        options = (quern_solve_options){
            .size = sizeof options, .method = (quern_solver)method, .progress = stop, .progress_user = &limit};
        expect_failure(quern_solve(a, v, w, &options, &report), QUERN_CANCELLED, "2 products");
        assert_true(report.residual < 1);
        quern_linear_destroy(&a);
    }
    quern_linear *a = make(GAUSSIAN, N, false, 1);
    quern_solve_options options = {.size = sizeof options, .method = (quern_solver)7};
    expect_failure(quern_solve(a, v, w, &options, NULL), QUERN_USAGE, "method 7");
    quern_linear_destroy(&a);
}

static void none_and_one(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 3; n++)
        for (int method = QUERN_SOLVER_MINRES; method <= QUERN_SOLVER_GMRES; method++) {
            quern_linear *a = make(GAUSSIAN, n, false, -2);
            quern_solve_options options = {.size = sizeof options, .method = (quern_solver)method};
            double right[2] = {2, 0}, solution[2] = {7, 7};
            succeed(quern_solve(a, quern_f64(right, n, 1), quern_f64(solution, n, 1), &options, NULL));
            if (n == 1) assert_true(fabs(solution[0] + 2) < 1e-6);
            right[0] = 0;
            succeed(quern_solve(a, quern_f64(right, n, 1), quern_f64(solution, n, 1), &options, NULL));
            assert_true(!n || solution[0] == 0);
            quern_linear_destroy(&a);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indefinite_systems),
        cmocka_unit_test(saddle_points),
        cmocka_unit_test(unsymmetric_systems),
        cmocka_unit_test(with_a_preconditioner),
        cmocka_unit_test(none_and_one),
        cmocka_unit_test(without_entries),
        cmocka_unit_test(what_they_cannot_do_is_told),
    };
    return cmocka_run_group_tests(tests, prepare, close_context);
}
