/*
 * test_transport.c: optimal transport beside known answers: translations, maps, sorted points, Gaussians, one cloud; bounds that hold
 * the value in many random problems; gradients beside differences; plans, marginals and maps; kernel norms and Hausdorff
 * distances by loops; what happens at sizes 0 and 1, with weights of 0, duplicates, NaN, and with nonsense.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "quern/transport.h"
#include "run_helpers.h"

enum { MOST = 256 };

/* Two weighted clouds and what is asked of them. */
typedef struct problem {
    int M, N, dim;
    double x[MOST * 3], y[MOST * 3], a[MOST], b[MOST];
    quern_dtype dtype;
    quern_transport_options options;
} problem;

static const quern_transport_options defaults = {.size = sizeof defaults};

static problem random_problem(int M, int N, int dim, uint64_t seed)
{
    random_source random = {seed};
    problem p = {M, N, dim, {0}, {0}, {0}, {0}, QUERN_F64, defaults};
    double mass[2] = {0, 0};
    for (int k = 0; k < M * dim; k++) p.x[k] = random_between(&random, 0, 1);
    for (int k = 0; k < N * dim; k++) p.y[k] = random_between(&random, 0.2, 1.5);
    for (int k = 0; k < M; k++) mass[0] += p.a[k] = random_between(&random, 0.5, 1.5);
    for (int k = 0; k < N; k++) mass[1] += p.b[k] = random_between(&random, 0.5, 1.5);
    for (int k = 0; k < M; k++) p.a[k] /= mass[0];
    for (int k = 0; k < N; k++) p.b[k] /= mass[1];
    return p;
}

/* A view of doubles in the type of the problem; singles are kept in `kept`. */
static quern_view as(const problem *p, const double *data, int rows, int columns, float *kept)
{
    for (int k = 0; k < rows * columns && p->dtype == QUERN_F32; k++) kept[k] = (float)data[k];
    return quern_view_of(p->dtype == QUERN_F32 ? (const void *)kept : (const void *)data, p->dtype, rows, columns);
}

static quern_status attempt(quern_transport_result **result, const problem *p)
{
    float x[MOST * 3], y[MOST * 3], a[MOST], b[MOST];
    return quern_transport(result, context, as(p, p->x, p->M, p->dim, x), as(p, p->a, p->M, 1, a),
                           as(p, p->y, p->N, p->dim, y), as(p, p->b, p->N, 1, b), &p->options);
}

static quern_transport_result *solve(const problem *p)
{
    quern_transport_result *result;
    succeed(attempt(&result, p));
    return result;
}

static quern_transport_report solved(const problem *p)
{
    quern_transport_result *result = solve(p);
    quern_transport_report report = *quern_transport_report_of(result);
    report.levels = NULL; /* the result's */
    quern_transport_destroy(&result);
    return report;
}

static double value(const problem *p)
{
    return solved(p).value;
}

static void refuse(const problem *p, quern_status status, const char *part)
{
    quern_transport_result *result;
    expect_failure(attempt(&result, p), status, part);
    assert_null(result);
}

// ---- known answers ----

/* y = x + t: |t|^2 / 2 at every blur. */
static void a_translation(void **state)
{
    (void)state;
    static const double blurs[] = {0.02, 0.1, 0.5, 3};
    for (int type = QUERN_F32; type <= QUERN_F64; type++) {
        need_type((quern_dtype)type);
        for (size_t k = 0; k < sizeof blurs / sizeof *blurs; k++) {
            problem p = random_problem(100, 100, 3, 1);
            for (int e = 0; e < 300; e++) p.y[e] = p.x[e] + (e % 3 == 0 ? 0.5 : e % 3 == 1 ? -0.25 : 0.125);
            memcpy(p.b, p.a, sizeof p.b);
            p.dtype = (quern_dtype)type;
            p.options.blur = blurs[k];
            p.options.tolerance = 1e-9;
            check_near(value(&p), 0.1640625, type == QUERN_F32 ? 2e-6 : k ? 1e-10 : 1e-9);
        }
    }
}

/* A symmetric positive definite map is optimal; points so far apart that the plan is the map. */
static void a_map(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    problem p = random_problem(64, 64, 2, 2);
    double expected = 0;
    for (int k = 0; k < 64; k++) {
        double *x = &p.x[2 * k], *y = &p.y[2 * k];
        x[0] = k % 8 + 0.2 * x[0], x[1] = k / 8 + 0.2 * x[1];
        y[0] = 1.5 * x[0] + 0.3 * x[1], y[1] = 0.3 * x[0] + 0.8 * x[1];
        p.a[k] = p.b[k] = 1.0 / 64;
        expected += ((x[0] - y[0]) * (x[0] - y[0]) + (x[1] - y[1]) * (x[1] - y[1])) / 128;
    }
    p.options.blur = 0.1;
    p.options.tolerance = 1e-12;
    check_near(value(&p), expected, 1e-10 * expected);
}

/* On a line the sorted points belong together. */
static void sorted_points(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    problem p = random_problem(20, 20, 1, 3);
    double half_squares = 0;
    for (int k = 0; k < 20; k++) {
        int to = k * 7 % 20;
        p.x[k] = k + 0.2 * p.x[k], p.y[to] = 1.1 * k + 0.2 * p.y[to] - 3;
        p.a[k] = p.b[k] = 0.05;
        half_squares += pow(p.x[k] - p.y[to], 2) / 40;
    }
    p.options.blur = 0.15;
    p.options.scaling = 0.9;
    p.options.tolerance = 1e-12;
    check_near(value(&p), half_squares, 1e-10 * half_squares);
}

/* Quadratics u x^2 + v x + w are potentials of Gaussians; a step gives another one: -eps d log of the integral of
   exp((g(y) - |x-y|^2/2) / eps) times the mass m of a Gaussian with mean c and variance s. */
static void quadratic_step(double f[3], const double g[3], double eps, double damping, double m, double c, double s)
{
    double q = 1 / s + (1 - 2 * g[0]) / eps, constant = log(m) - log(s * q) / 2 - c * c / (2 * s) + g[2] / eps;
    double slope = c / s + g[1] / eps;
    f[0] = -eps * damping * (1 / (2 * q * eps * eps) - 1 / (2 * eps));
    f[1] = -eps * damping * slope / (q * eps);
    f[2] = -eps * damping * (constant + slope * slope / (2 * q));
}

/* Gaussians on a fine grid, balanced (Janati, Muzellec, Peyre, Cuturi 2020, theorem 1) and unbalanced. */
static void gaussians(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    problem p = random_problem(200, 200, 1, 4);
    double A = 0.04, B = 0.09, c = -0.2, d = 0.3, eps = 0.01, rho = 0.25, m[] = {1, 1.4};
    double h = 6.0 / 200, D = sqrt(4 * A * B + eps * eps), f[3] = {0}, g[3] = {0};
    for (int k = 0; k < 200; k++) {
        p.x[k] = p.y[k] = -3 + h * (k + 0.5);
        p.a[k] = h * exp(-pow(p.x[k] - c, 2) / (2 * A)) / sqrt(2 * M_PI * A);
        p.b[k] = h * exp(-pow(p.y[k] - d, 2) / (2 * B)) / sqrt(2 * M_PI * B);
    }
    p.options.blur = sqrt(eps);
    p.options.tolerance = 1e-11;
    p.options.debias = QUERN_OFF;
    check_near(value(&p), (pow(c - d, 2) + A + B - D + eps * (1 - log(2 * eps)) + eps * log(D + eps)) / 2, 1e-9);
    for (int k = 0; k < 200; k++) p.a[k] *= m[0], p.b[k] *= m[1];
    for (int k = 0; k < 4000; k++) {
        quadratic_step(f, g, eps, 1 / (1 + eps / rho), m[1], d, B);
        quadratic_step(g, f, eps, 1 / (1 + eps / rho), m[0], c, A);
    }
    /* the plan's mass: of a exp(-f / rho) */
    double q = 1 / A + 2 * f[0] / rho, slope = c / A - f[1] / rho;
    double mass = m[0] / sqrt(A * q) * exp(slope * slope / (2 * q) - c * c / (2 * A) - f[2] / rho);
    p.options.reach = sqrt(rho);
    check_near(value(&p), rho * (m[0] + m[1] - 2 * mass) - eps * (mass - m[0] * m[1]), 1e-9);
}

static void one_cloud(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    for (int k = 0; k < 6; k++) {
        problem p = random_problem(50, 50, 2, 5), q;
        p.options.reach_x = k == 1 || k == 4 ? 0.5 : 0, p.options.reach_y = k == 1 ? 0.5 : k == 5 ? 0.4 : 0;
        p.options.cost = k == 2 ? "distance" : k == 3 ? "Sqrt(1+SqDist(x,y))-1" : NULL;
        p.options.tolerance = 1e-10, p.options.blur = 0.1;
        q = p;
        memcpy(q.y, q.x, sizeof q.y), memcpy(q.b, q.a, sizeof q.b);
        check_near(value(&q), 0, 1e-10);
        q = p;
        memcpy(q.y, p.x, sizeof q.y), memcpy(q.b, p.a, sizeof q.b), memcpy(q.x, p.y, sizeof q.x);
        memcpy(q.a, p.b, sizeof q.a);
        q.options.reach_x = p.options.reach_y, q.options.reach_y = p.options.reach_x;
        check_near(value(&q), value(&p), 1e-10);
        assert_true(k > 3 || value(&p) > 0);
    }
}

// ---- bounds ----

/* dual <= value <= primal, and the interval closes. */
static void bounds_hold_the_value(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    const char *set = getenv("QUERN_TEST_COUNT");
    int count = set ? atoi(set) : 60;
    random_source random = {6};
    for (int k = 0; k < count; k++) {
        problem p = random_problem(1 + k % 7, 1 + k % 5, 1 + k % 3, (uint64_t)k);
        quern_transport_options *o = &p.options;
        quern_transport_report rough, fine;
        o->debias = k % 2 ? QUERN_OFF : QUERN_ON;
        o->cost = k % 3 ? NULL : "distance";
        o->blur = random_between(&random, 0.1, 0.6);
        o->reach_x = k % 4 == 1 || k % 4 == 2 ? random_between(&random, 0.3, 2) : 0;
        o->reach_y = k % 4 >= 2 ? random_between(&random, 0.3, 2) : 0;
        if (k % 4 == 2) p.a[0] += 0.5;
        o->iterations = 2;
        rough = solved(&p);
        o->iterations = 3000, o->tolerance = 1e-11;
        fine = solved(&p);
        if (!fine.converged)
            fail_msg("problem %d: marginals are off by %g after %d steps", k, fine.marginal_error, fine.iterations);
        assert_true(rough.lower <= fine.value + 1e-12 && fine.value <= rough.upper + 1e-12);
        assert_true(fine.lower <= fine.upper + 1e-12);
        check_near(fine.gap, 0, 1e-8);
    }
}

/* A gap that was asked for is reached; few pairs of steps at the last temperature suffice. */
static void a_gap_is_reached(void **state)
{
    (void)state;
    for (int type = QUERN_F32; type <= QUERN_F64; type++) {
        need_type((quern_dtype)type);
        problem p = random_problem(200, 150, 3, 7);
        p.dtype = (quern_dtype)type;
        p.options.gap = 0.01;
        quern_transport_result *result = solve(&p);
        const quern_transport_report *report = quern_transport_report_of(result);
        assert_true(report->converged && report->gap >= 0 && report->gap <= 0.01 * report->value);
        assert_true(report->lower <= report->value && report->value <= report->upper);
        assert_true(report->iterations < 100);
        check_near(report->levels[report->level_count - 1].blur, 0.05, 1e-8);
        quern_transport_destroy(&result);
    }
}

static void a_warm_start(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    problem p = random_problem(100, 80, 2, 8);
    double f[MOST], g[MOST];
    p.options.tolerance = 1e-8;
    quern_transport_result *result = solve(&p);
    quern_transport_report first = *quern_transport_report_of(result);
    succeed(quern_transport_read(result, QUERN_POTENTIAL_X, quern_f64(f, 100, 1)));
    succeed(quern_transport_read(result, QUERN_POTENTIAL_Y, quern_f64(g, 80, 1)));
    quern_transport_destroy(&result);
    p.options.start_x = quern_f64(f, 100, 1), p.options.start_y = quern_f64(g, 80, 1);
    quern_transport_report again = solved(&p);
    assert_true(again.iterations <= 3 && first.iterations > 10);
    check_near(again.value, first.value, 1e-10);
    p.options.start_y = quern_f64(g, 79, 1);
    refuse(&p, QUERN_SHAPE, "start_y has 79 rows");
}

// ---- gradients ----

typedef struct derived {
    quern_transport_part part;
    double *numbers;
    int count, columns;
} derived;

static void check_gradients(const problem *given, double tolerance)
{
    problem p = *given;
    const derived of[] = {{QUERN_GRADIENT_X, p.x, p.M, p.dim},
                          {QUERN_GRADIENT_Y, p.y, p.N, p.dim},
                          {QUERN_GRADIENT_A, p.a, p.M, 1},
                          {QUERN_GRADIENT_B, p.b, p.N, 1}};
    bool balanced = !(p.options.reach_x > 0) && !(p.options.reach_y > 0) && !(p.options.reach > 0) &&
                    p.options.loss == QUERN_LOSS_SINKHORN;
    for (size_t k = 0; k < 4; k++) {
        double gradient[MOST * 3], h = 1e-4, *moved = of[k].numbers;
        quern_transport_result *result = solve(&p);
        succeed(quern_transport_read(result, of[k].part, quern_f64(gradient, of[k].count, of[k].columns)));
        quern_transport_destroy(&result);
        for (int e = 0; e < 3; e++) {
            /* weights of balanced problems move in pairs, so that the mass stays */
            int other = balanced && k >= 2 ? (e + 1) % of[k].count : -1;
            double at = moved[e], pair = other < 0 ? 0 : moved[other], up, down;
            moved[e] = at + h;
            if (other >= 0) moved[other] = pair - h;
            up = value(&p);
            moved[e] = at - h;
            if (other >= 0) moved[other] = pair + h;
            down = value(&p);
            moved[e] = at;
            if (other >= 0) moved[other] = pair;
            check_near(gradient[e] - (other < 0 ? 0 : gradient[other]), (up - down) / (2 * h), tolerance);
        }
    }
}

static void gradients(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    static const struct {
        const char *cost;
        double reach_x, reach_y;
        quern_switch debias;
    } rows[] = {{NULL, 0, 0, QUERN_ON},
                {NULL, 0, 0, QUERN_OFF},
                {NULL, 0.3, 0.3, QUERN_ON},
                {NULL, 0.3, 0.3, QUERN_OFF},
                {"distance", 0, 0, QUERN_ON},
                {"distance", 0.5, 0.5, QUERN_ON},
                {NULL, 0.4, 0, QUERN_ON},
                {NULL, 0.8, 0.4, QUERN_ON},
                {NULL, 0, 0.4, QUERN_OFF},
                {"Sqrt(1+SqDist(x,y))", 0.5, 0.5, QUERN_ON},
                {"SqDist(x,2*y)", 0, 0, QUERN_OFF}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        problem p = random_problem(8, 6, 2, 9);
        p.options.cost = rows[k].cost;
        p.options.reach_x = rows[k].reach_x, p.options.reach_y = rows[k].reach_y;
        p.options.debias = rows[k].debias;
        p.options.blur = 0.2, p.options.tolerance = 1e-12, p.options.certify = QUERN_OFF;
        if (rows[k].reach_x > 0 && rows[k].reach_y > 0) p.a[2] += 0.3;
        check_gradients(&p, 1e-6);
    }
}

// ---- plans ----

static void plans(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    for (int k = 0; k < 3; k++) {
        problem p = random_problem(20, 15, 2, 10);
        double rows[20 * 15], v[15 * 2], got[20 * 2], back[15], marginal_x[20], marginal_y[15], map[20 * 2], ones[20];
        int64_t most[20];
        p.options.blur = 0.3, p.options.tolerance = 1e-12;
        p.options.reach = k == 1 ? 0.5 : 0;
        p.options.cost = k == 2 ? "SqDist(x,2*y)" : NULL, p.options.debias = k == 2 ? QUERN_OFF : QUERN_ON;
        quern_transport_result *result = solve(&p);
        for (int e = 0; e < 30; e++) v[e] = sin(e);
        for (int e = 0; e < 20; e++) ones[e] = 1;
        succeed(quern_transport_rows(result, 0, 20, quern_f64(rows, 20, 15)));
        succeed(quern_transport_apply(result, false, quern_f64(v, 15, 2), quern_f64(got, 20, 2)));
        succeed(quern_transport_apply(result, true, quern_f64(ones, 20, 1), quern_f64(back, 15, 1)));
        succeed(quern_transport_read(result, QUERN_MARGINAL_X, quern_f64(marginal_x, 20, 1)));
        succeed(quern_transport_read(result, QUERN_MARGINAL_Y, quern_f64(marginal_y, 15, 1)));
        succeed(quern_transport_read(result, QUERN_MAP_X, quern_f64(map, 20, 2)));
        succeed(quern_transport_read(result, QUERN_ASSIGNMENT_X, quern_i64(most, 20, 1)));
        for (int i = 0; i < 20; i++) {
            double sum = 0, product = 0, mean = 0;
            for (int j = 0; j < 15; j++) assert_true(rows[15 * i + j] <= rows[15 * i + most[i]] * (1 + 1e-12));
            for (int j = 0; j < 15; j++) {
                sum += rows[15 * i + j], product += rows[15 * i + j] * v[2 * j + 1];
                mean += rows[15 * i + j] * p.y[2 * j];
            }
            check_near(marginal_x[i], sum, 1e-14);
            check_near(got[2 * i + 1], product, 1e-14);
            check_near(map[2 * i], mean / sum, 1e-13);
            if (k != 1) check_near(sum, p.a[i], 1e-10);
        }
        for (int j = 0; j < 15; j++) {
            check_near(back[j], marginal_y[j], 1e-14);
            if (k != 1) check_near(marginal_y[j], p.b[j], 1e-10);
        }
        expect_failure(quern_transport_apply(result, true, quern_f64(v, 15, 2), quern_f64(got, 20, 2)), QUERN_SHAPE,
                       "20");
        expect_failure(quern_transport_rows(result, 15, 6, quern_f64(rows, 6, 15)), QUERN_SHAPE, "rows 15");
        quern_transport_destroy(&result);
    }
}

// ---- other losses ----

static double half_square(const problem *p, const double *x, const double *y)
{
    double sum = 0;
    for (int d = 0; d < p->dim; d++) sum += (x[d] - y[d]) * (x[d] - y[d]) / 2;
    return sum;
}

static void kernel_norms(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    for (int loss = QUERN_LOSS_GAUSSIAN; loss <= QUERN_LOSS_KERNEL; loss++) {
        problem p = random_problem(7, 9, 2, 11);
        double expected = 0, weights[16], *at[16];
        p.options.loss = (quern_transport_loss)loss, p.options.blur = 0.4;
        p.options.kernel = loss == QUERN_LOSS_KERNEL ? "1/(1+SqDist(x,y))" : NULL;
        p.a[1] = -0.5; /* a signed measure */
        for (int k = 0; k < 16; k++) {
            weights[k] = k < 7 ? p.a[k] : -p.b[k - 7];
            at[k] = k < 7 ? &p.x[2 * k] : &p.y[2 * (k - 7)];
        }
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 16; j++) {
                double square = 2 * half_square(&p, at[i], at[j]);
                double k = loss == QUERN_LOSS_GAUSSIAN    ? exp(-square / 0.32)
                           : loss == QUERN_LOSS_LAPLACIAN ? exp(-sqrt(square) / 0.4)
                           : loss == QUERN_LOSS_ENERGY    ? -sqrt(square)
                                                          : 1 / (1 + square);
                expected += weights[i] * weights[j] * k / 2;
            }
        check_near(value(&p), expected, 1e-13);
        check_gradients(&p, 1e-7);
    }
}

static void hausdorff(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    problem p = random_problem(7, 9, 2, 12);
    double x = 0, y = 0;
    p.options.loss = QUERN_LOSS_HAUSDORFF, p.options.blur = 0.3;
    assert_true(value(&p) > 0);
    check_gradients(&p, 1e-7);
    p.options.loss = QUERN_LOSS_HAUSDORFF_HARD;
    p.a[0] = 0, p.x[0] = 50; /* a point that does not count */
    for (int i = 1; i < 7; i++) {
        double least = INFINITY;
        for (int j = 0; j < 9; j++) least = fmin(least, half_square(&p, &p.x[2 * i], &p.y[2 * j]));
        x = fmax(x, least);
    }
    for (int j = 0; j < 9; j++) {
        double least = INFINITY;
        for (int i = 1; i < 7; i++) least = fmin(least, half_square(&p, &p.x[2 * i], &p.y[2 * j]));
        y = fmax(y, least);
    }
    quern_transport_report report = solved(&p);
    check_near(report.directed_x, x, 1e-13), check_near(report.directed_y, y, 1e-13),
        check_near(report.value, fmax(x, y), 1e-13);
    quern_transport_result *result = solve(&p);
    expect_failure(quern_transport_read(result, QUERN_GRADIENT_X, quern_f64(p.x, 7, 2)), QUERN_UNSUPPORTED,
                   "GRADIENT_X");
    quern_transport_destroy(&result);
}

// ---- edges ----

static void weights_of_zero_and_duplicates(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    problem p = random_problem(12, 10, 2, 13), q;
    double gradient[24];
    p.options.tolerance = 1e-11, p.options.blur = 0.15;
    p.a[3] += p.a[5], p.a[5] = 0, p.b[0] += p.b[1], p.b[1] = 0;
    q = p;
    memmove(&q.x[10], &q.x[12], 12 * sizeof(double)), memmove(&q.a[5], &q.a[6], 6 * sizeof(double)), q.M = 11;
    memmove(&q.y[2], &q.y[4], 16 * sizeof(double)), memmove(&q.b[1], &q.b[2], 8 * sizeof(double)), q.N = 9;
    check_near(value(&p), value(&q), 1e-11);
    q = p; /* half the weight at a copy of the point is the same measure */
    q.x[10] = q.x[6], q.x[11] = q.x[7], q.a[3] /= 2, q.a[5] = q.a[3];
    check_near(value(&p), value(&q), 1e-11);
    quern_transport_result *result = solve(&p);
    succeed(quern_transport_read(result, QUERN_GRADIENT_X, quern_f64(gradient, 12, 2)));
    check_near(gradient[10], 0, 0), check_near(gradient[11], 0, 0);
    quern_transport_destroy(&result);
}

static void few_points(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    problem p = random_problem(1, 1, 2, 14);
    check_near(value(&p), half_square(&p, p.x, p.y), 1e-14);
    p.options.reach = 0.5;
    p.N = 0; /* nothing on one side: all of the other's mass is given up, less what it costs by itself */
    p.options.debias = QUERN_OFF;
    check_near(value(&p), 0.25, 1e-15);
    p.M = 0;
    check_near(value(&p), 0, 0);
    p.options.debias = QUERN_ON;
    check_near(value(&p), 0, 0);
    p.options.reach = 0;
    quern_transport_result *result = solve(&p);
    double none[1];
    expect_failure(quern_transport_read(result, QUERN_POTENTIAL_X, quern_f64(none, 0, 1)), QUERN_UNSUPPORTED,
                   "without mass");
    quern_transport_destroy(&result);
    p.M = 1;
    refuse(&p, QUERN_SHAPE, "masses are 1 and 0");
    p = random_problem(5, 1, 2, 15); /* a cloud and a point, which is inside it */
    p.y[0] = p.x[0], p.y[1] = p.x[1];
    double mean = 0;
    for (int k = 0; k < 5; k++) mean += p.a[k] * half_square(&p, &p.x[2 * k], p.y);
    p.options.debias = QUERN_OFF;
    check_near(value(&p), mean, 1e-14);
}

static void bad_input(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    const problem good = random_problem(5, 4, 2, 16);
    problem p = good;
    quern_transport_result *result;
    p.x[3] = NAN, refuse(&p, QUERN_USAGE, "x has NaN");
    p = good, p.y[3] = INFINITY, refuse(&p, QUERN_USAGE, "y has NaN");
    p = good, p.b[3] = NAN, refuse(&p, QUERN_USAGE, "b has NaN");
    p = good, p.a[1] = -1, refuse(&p, QUERN_USAGE, "a has 1 weight below 0");
    p = good, p.a[1] = 3, refuse(&p, QUERN_SHAPE, "no plan has both marginals");
    p.options.reach_x = 1;
    assert_true(value(&p) > 0);
    p = good, p.options.blur = -1, refuse(&p, QUERN_USAGE, "blur is -1");
    p = good, p.options.reach = 1e-200, refuse(&p, QUERN_USAGE, "the reach is 1e-200");
    p = good, p.options.blur = 1e-200, p.options.loss = QUERN_LOSS_GAUSSIAN, refuse(&p, QUERN_USAGE, "too narrow");
    p = good, p.options.debias = (quern_switch)5, refuse(&p, QUERN_USAGE, "debias");
    p = good, p.options.scaling = 1.5, refuse(&p, QUERN_USAGE, "scaling");
    p = good, p.options.cost = "SqDist(x,z)", refuse(&p, QUERN_NAME, "z");
    p = good, p.options.cost = "x-y", refuse(&p, QUERN_DIMENSION, "length 2");
    p = good, p.options.cost = "Log(SqDist(x,x))", refuse(&p, QUERN_USAGE, "infinite values");
    p = good, p.options.loss = QUERN_LOSS_KERNEL, refuse(&p, QUERN_USAGE, "`kernel`");
    p = good, p.options.loss = (quern_transport_loss)77, refuse(&p, QUERN_USAGE, "loss 77");
    expect_failure(quern_transport(&result, context, quern_f64(good.x, 5, 2), quern_f64(good.a, 5, 1),
                                   quern_f64(good.y, 2, 3), (quern_view){0}, NULL),
                   QUERN_SHAPE, "x has 2 columns and y 3");
    expect_failure(quern_transport(&result, context, quern_f64(good.x, 5, 2), quern_f64(good.a, 4, 1),
                                   quern_f64(good.y, 4, 2), (quern_view){0}, NULL),
                   QUERN_SHAPE, "a is 4 x 1");
    expect_failure(quern_transport(NULL, context, quern_f64(good.x, 5, 2), (quern_view){0}, quern_f64(good.y, 4, 2),
                                   (quern_view){0}, NULL),
                   QUERN_USAGE, "out");
    expect_failure(quern_transport_read(NULL, QUERN_GRADIENT_X, quern_f64(good.x, 5, 2)), QUERN_USAGE, "result");
    assert_null(quern_transport_report_of(NULL));
    quern_transport_destroy(NULL);
    result = solve(&good);
    expect_failure(quern_transport_read(result, (quern_transport_part)99, quern_f64(good.x, 5, 2)), QUERN_USAGE,
                   "part 99");
    quern_transport_destroy(&result);
}

static bool stop(void *user, double done)
{
    (void)user, (void)done;
    return true;
}

static void cancelling(void **state)
{
    (void)state;
    need_device();
    const quern_context_options options = {.size = sizeof options, .progress = stop};
    const problem p = random_problem(50, 50, 3, 17);
    quern_context *other;
    quern_transport_result *result;
    float x[MOST * 3], y[MOST * 3];
    problem single = p;
    single.dtype = QUERN_F32;
    succeed(quern_context_create(&other, &options));
    assert_int_equal(quern_transport(&result, other, as(&single, p.x, 50, 3, x), (quern_view){0},
                                     as(&single, p.y, 50, 3, y), (quern_view){0}, NULL),
                     QUERN_CANCELLED);
    assert_null(result);
    quern_context_destroy(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_translation),
        cmocka_unit_test(a_map),
        cmocka_unit_test(sorted_points),
        cmocka_unit_test(gaussians),
        cmocka_unit_test(one_cloud),
        cmocka_unit_test(bounds_hold_the_value),
        cmocka_unit_test(a_gap_is_reached),
        cmocka_unit_test(a_warm_start),
        cmocka_unit_test(gradients),
        cmocka_unit_test(plans),
        cmocka_unit_test(kernel_norms),
        cmocka_unit_test(hausdorff),
        cmocka_unit_test(weights_of_zero_and_duplicates),
        cmocka_unit_test(few_points),
        cmocka_unit_test(bad_input),
        cmocka_unit_test(cancelling),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
