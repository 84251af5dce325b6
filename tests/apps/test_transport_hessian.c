/*
 * test_transport_hessian.c: Hessians of losses times directions beside central differences of gradients, for every option that is smooth,
 * of clouds and batches; that they are symmetric; known answers for translations, by which Newton's method is there after one step;
 * clouds of one point and of none, points of no weight, NaN, what is not smooth, and interruptions.
 */
#include <math.h>
#include <string.h>

#include "quern/transport.h"
#include "run_helpers.h"

enum { M = 7, N = 5, DIM = 2 };

typedef struct problem {
    double x[M * DIM], y[N * DIM], a[M], b[N];
    quern_transport_options options;
} problem;

typedef struct moves {
    double x[M * DIM], y[N * DIM];
} moves;

static problem random_problem(uint64_t seed)
{
    random_source random = {seed};
    problem p = {.options = {.size = sizeof p.options, .blur = 0.25, .tolerance = 1e-12}};
    for (int k = 0; k < M * DIM; k++) p.x[k] = random_between(&random, 0, 1);
    for (int k = 0; k < N * DIM; k++) p.y[k] = random_between(&random, 0.2, 1.5);
    for (int k = 0; k < M; k++) p.a[k] = k ? 1.0 / (M - 1) : 0; /* the first has no weight */
    for (int k = 0; k < N; k++) p.b[k] = (k + 1.0) * 2 / (N * (N + 1));
    return p;
}

static moves random_moves(uint64_t seed)
{
    random_source random = {seed};
    moves m;
    for (int k = 0; k < M * DIM; k++) m.x[k] = random_between(&random, -1, 1);
    for (int k = 0; k < N * DIM; k++) m.y[k] = random_between(&random, -1, 1);
    return m;
}

static const int64_t rows[] = {0, 4, M}, columns[] = {0, 3, N};

/* As one problem, or as a batch of two. */
static quern_transport_result *solve(const problem *p, bool batch)
{
    quern_transport_result *result;
    const quern_view x = quern_f64(p->x, M, DIM), y = quern_f64(p->y, N, DIM), a = quern_f64(p->a, M, 1),
                     b = quern_f64(p->b, N, 1);
    succeed(batch ? quern_transport_batch(&result, context, 2, rows, columns, x, a, y, b, &p->options)
                  : quern_transport(&result, context, x, a, y, b, &p->options));
    return result;
}

static moves gradient(const problem *p, bool batch, const moves *by, double step)
{
    problem moved = *p;
    moves out;
    for (int k = 0; k < M * DIM; k++) moved.x[k] += step * by->x[k];
    for (int k = 0; k < N * DIM; k++) moved.y[k] += step * by->y[k];
    quern_transport_result *result = solve(&moved, batch);
    succeed(quern_transport_read(result, QUERN_GRADIENT_X, quern_f64(out.x, M, DIM)));
    succeed(quern_transport_read(result, QUERN_GRADIENT_Y, quern_f64(out.y, N, DIM)));
    quern_transport_destroy(&result);
    return out;
}

static moves times(quern_transport_result *result, const moves *by)
{
    moves out;
    succeed(quern_transport_hessian(result, quern_f64(by->x, M, DIM), quern_f64(by->y, N, DIM),
                                    quern_f64(out.x, M, DIM), quern_f64(out.y, N, DIM)));
    return out;
}

static double inner(const moves *u, const moves *v)
{
    double sum = 0;
    for (int k = 0; k < M * DIM; k++) sum += u->x[k] * v->x[k];
    for (int k = 0; k < N * DIM; k++) sum += u->y[k] * v->y[k];
    return sum;
}

static void check(const problem *p, bool batch)
{
    const double h = 1e-4;
    const moves u = random_moves(2), v = random_moves(3), up = gradient(p, batch, &u, h),
                down = gradient(p, batch, &u, -h);
    quern_transport_result *result = solve(p, batch);
    const moves hu = times(result, &u), hv = times(result, &v);
    for (int k = 0; k < M * DIM; k++) check_near(hu.x[k], (up.x[k] - down.x[k]) / (2 * h), 1e-6);
    for (int k = 0; k < N * DIM; k++) check_near(hu.y[k], (up.y[k] - down.y[k]) / (2 * h), 1e-6);
    check_near(inner(&v, &hu), inner(&u, &hv), 1e-9);
    quern_transport_destroy(&result);
}

static void beside_differences(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    static const quern_transport_options kinds[] = {
        {.debias = QUERN_ON},
        {.debias = QUERN_OFF},
        {.reach = 0.5},
        {.reach = 0.5, .debias = QUERN_OFF},
        {.reach_x = 0.4},
        {.reach_y = 0.6, .debias = QUERN_OFF},
        {.reach_x = 0.8, .reach_y = 0.4},
        {.cost = "distance"},
        {.cost = "Sqrt(1+SqDist(x,y))", .reach = 0.5},
        {.cost = "SqDist(x,2*y)", .debias = QUERN_OFF},
        {.loss = QUERN_LOSS_GAUSSIAN},
        {.loss = QUERN_LOSS_LAPLACIAN},
        {.loss = QUERN_LOSS_ENERGY},
        {.loss = QUERN_LOSS_KERNEL, .kernel = "1/(1+SqDist(x,y))"},
        {.loss = QUERN_LOSS_HAUSDORFF},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        problem p = random_problem(1);
        const double blur = p.options.blur;
        p.options = kinds[k];
        p.options.size = sizeof p.options, p.options.blur = blur, p.options.tolerance = 1e-12;
        if (p.options.reach > 0) p.a[2] += 0.3;
        check(&p, false);
    }
}

static void of_a_batch(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    problem p = random_problem(4);
    for (int k = 0; k < M; k++) p.a[k] = k < 4 ? 0.25 : 1.0 / 3;
    for (int k = 0; k < N; k++) p.b[k] = k < 3 ? 1.0 / 3 : 0.5;
    check(&p, true);
    p.options.loss = QUERN_LOSS_GAUSSIAN;
    check(&p, true);
    p.options.loss = QUERN_LOSS_HAUSDORFF;
    check(&p, true);
}

/* sum_i of H's rows is what all move by, for OT splits into that of centred clouds and |t|^2/2; whatever the tolerance was. */
static void translations(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    for (int k = 0; k < 2; k++) {
        problem p = random_problem(5);
        moves all = {{0}, {0}};
        p.options.tolerance = 1e-3;
        p.options.debias = k ? QUERN_OFF : QUERN_ON;
        for (int n = 0; n < M * DIM; n++) all.x[n] = n % 2 ? -2 : 1;
        quern_transport_result *result = solve(&p, false);
        const moves got = times(result, &all);
        double sum[2] = {0, 0};
        for (int n = 0; n < M * DIM; n++) sum[n % 2] += got.x[n];
        check_near(sum[0], 1, 1e-8), check_near(sum[1], -2, 1e-8);
        quern_transport_destroy(&result);
    }
}

/* Newton's method on a rotation and a translation of the plane takes x to y = R x + t: residuals are squared at every step. */
static void newton(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    double place[] = {0.1, 0.1, -0.05}, before = 1;
    problem p = random_problem(6);
    p.options.blur = 0.3;
    for (int k = 0; k < M; k++) p.a[k] = 1.0 / M;
    static double target[M * DIM];
    memcpy(target, p.x, sizeof target);
    for (int step = 0; step < 5; step++) {
        double c = cos(place[0]), s = sin(place[0]), moved[M * DIM], slopes[3][M * DIM], gradients[M * DIM],
               hessian[M * DIM], turned[M * DIM], g[3] = {0}, H[3][3] = {{0}};
        for (int k = 0; k < M; k++) {
            const double *x = &target[2 * k];
            double *z = &moved[2 * k];
            z[0] = c * x[0] - s * x[1] + place[1], z[1] = s * x[0] + c * x[1] + place[2];
            slopes[0][2 * k] = -s * x[0] - c * x[1], slopes[0][2 * k + 1] = c * x[0] - s * x[1];
            slopes[1][2 * k] = slopes[2][2 * k + 1] = 1, slopes[1][2 * k + 1] = slopes[2][2 * k] = 0;
            turned[2 * k] = place[1] - z[0], turned[2 * k + 1] = place[2] - z[1]; /* second derivative in the angle */
        }
        quern_transport_result *result;
        succeed(quern_transport(&result, context, quern_f64(moved, M, DIM), quern_f64(p.a, M, 1),
                                quern_f64(target, M, DIM), quern_f64(p.a, M, 1), &p.options));
        succeed(quern_transport_read(result, QUERN_GRADIENT_X, quern_f64(gradients, M, DIM)));
        for (int k = 0; k < 3; k++) {
            succeed(quern_transport_hessian(result, quern_f64(slopes[k], M, DIM), (quern_view){0},
                                            quern_f64(hessian, M, DIM), (quern_view){0}));
            for (int n = 0; n < M * DIM; n++) {
                g[k] += slopes[k][n] * gradients[n];
                for (int l = 0; l < 3; l++) H[k][l] += slopes[l][n] * hessian[n];
                if (k == 0) H[0][0] += turned[n] * gradients[n];
            }
        }
        quern_transport_destroy(&result);
        double off = sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2]);
        assert_true(off < (step ? 200 * before * before + 1e-12 : 1));
        before = off;
        for (int k = 0; k < 3; k++) /* elimination; the matrix is positive here */
            for (int l = k + 1; l < 3; l++) {
                double factor = H[l][k] / H[k][k];
                for (int n = k; n < 3; n++) H[l][n] -= factor * H[k][n];
                g[l] -= factor * g[k];
            }
        for (int k = 2; k >= 0; k--) {
            for (int l = k + 1; l < 3; l++) g[k] -= H[k][l] * g[l];
            g[k] /= H[k][k];
            place[k] -= g[k];
        }
    }
    assert_true(before < 1e-12);
    for (int k = 0; k < 3; k++) check_near(place[k], 0, 1e-8);
}

/* In float32, of many points with blocks left out: a translation again. */
static void many_points(void **state)
{
    (void)state;
    need_device();
    enum { MANY = 600 };
    static float x[MANY * 3], y[MANY * 3], move[MANY * 3], got[MANY * 3];
    random_source random = {7};
    for (int k = 0; k < MANY * 3; k++) {
        x[k] = (float)random_between(&random, 0, 1), y[k] = (float)random_between(&random, 0, 1);
        move[k] = k % 3 == 1;
    }
    const quern_transport_options options = {.size = sizeof options, .blur = 0.1, .truncation = QUERN_ON};
    quern_transport_result *result;
    double sum[3] = {0};
    succeed(quern_transport(&result, context, quern_f32(x, MANY, 3), (quern_view){0}, quern_f32(y, MANY, 3),
                            (quern_view){0}, &options));
    succeed(quern_transport_hessian(result, quern_f32(move, MANY, 3), (quern_view){0}, quern_f32(got, MANY, 3),
                                    (quern_view){0}));
    for (int k = 0; k < MANY * 3; k++) sum[k % 3] += (double)got[k];
    check_near(sum[0], 0, 1e-3), check_near(sum[1], 1, 1e-3), check_near(sum[2], 0, 1e-3);
    quern_transport_destroy(&result);
}

static quern_transport_result *of_sizes(int m, int n, const quern_transport_options *options)
{
    static const double x[] = {1, 2}, y[] = {4, 6};
    quern_transport_result *result;
    succeed(quern_transport(&result, context, quern_f64(x, m, 2), (quern_view){0}, quern_f64(y, n, 2), (quern_view){0},
                            options));
    return result;
}

static void few_points(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    const double move[] = {3, -1};
    double x[2], y[2];
    quern_transport_options options = {.size = sizeof options};
    quern_transport_result *result = of_sizes(1, 1, &options); /* |x - y|^2 / 2 */
    succeed(quern_transport_hessian(result, quern_f64(move, 1, 2), (quern_view){0}, quern_f64(x, 1, 2),
                                    quern_f64(y, 1, 2)));
    for (int k = 0; k < 2; k++) check_near(x[k], move[k], 1e-12), check_near(y[k], -move[k], 1e-12);
    quern_transport_destroy(&result);
    options.reach = 1;
    result = of_sizes(1, 0, &options);
    succeed(quern_transport_hessian(result, quern_f64(move, 1, 2), (quern_view){0}, quern_f64(x, 1, 2),
                                    quern_f64(y, 0, 2)));
    for (int k = 0; k < 2; k++) check_near(x[k], 0, 1e-12);
    quern_transport_destroy(&result);
    result = of_sizes(0, 0, &options);
    succeed(quern_transport_hessian(result, quern_f64(move, 0, 2), (quern_view){0}, quern_f64(x, 0, 2),
                                    quern_f64(y, 0, 2)));
    quern_transport_destroy(&result);
    options.loss = QUERN_LOSS_ENERGY;
    result = of_sizes(1, 0, &options);
    succeed(
        quern_transport_hessian(result, quern_f64(move, 1, 2), (quern_view){0}, quern_f64(x, 1, 2), (quern_view){0}));
    for (int k = 0; k < 2; k++) check_near(x[k], 0, 1e-12);
    quern_transport_destroy(&result);
}

static void refuse(const quern_transport_options *options, const double *move, int dim, quern_status status,
                   const char *part)
{
    double x[4];
    quern_transport_result *result = of_sizes(1, 1, options);
    expect_failure(
        quern_transport_hessian(result, quern_f64(move, 1, dim), (quern_view){0}, quern_f64(x, 1, 2), (quern_view){0}),
        status, part);
    quern_transport_destroy(&result);
}

static void nonsense(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    static const struct {
        quern_transport_options options;
        const char *part;
    } kinds[] = {{{.loss = QUERN_LOSS_HAUSDORFF_HARD}, "the hard Hausdorff distance is not smooth"},
                 {{.reach = 1, .penalty = QUERN_PENALTY_TV}, "total variation is not smooth"},
                 {{.schedule = QUERN_SCHEDULE_GEOMLOSS}, "GeomLoss's schedule stops before the optimum"}};
    const quern_transport_options defaults = {.size = sizeof defaults};
    const double move[] = {1, 2, 3}, bad[] = {1, NAN}, endless[] = {INFINITY, 0};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        quern_transport_options options = kinds[k].options;
        options.size = sizeof options;
        refuse(&options, move, 2, QUERN_UNSUPPORTED, kinds[k].part);
    }
    refuse(&defaults, bad, 2, QUERN_USAGE, "direction_x is nan at point 0");
    refuse(&defaults, endless, 2, QUERN_USAGE, "direction_x is inf at point 0");
    refuse(&defaults, move, 3, QUERN_SHAPE, "direction_x");
    expect_failure(quern_transport_hessian(NULL, (quern_view){0}, (quern_view){0}, (quern_view){0}, (quern_view){0}),
                   QUERN_USAGE, "result");
    const quern_grid line = {1, {3}, {0}};
    const double density[] = {0, 0.5, 0.5};
    quern_transport_result *result;
    succeed(quern_transport_grid(&result, context, &line, quern_f64(density, 3, 1), quern_f64(density, 3, 1), NULL));
    expect_failure(quern_transport_hessian(result, (quern_view){0}, (quern_view){0}, (quern_view){0}, (quern_view){0}),
                   QUERN_UNSUPPORTED, "on a grid");
    quern_transport_destroy(&result);
    problem p = random_problem(8); /* too few steps for the optimum */
    p.options.iterations = 1, p.options.blur = 0.02;
    result = solve(&p, false);
    expect_failure(
        quern_transport_hessian(result, quern_f64(p.x, M, DIM), (quern_view){0}, (quern_view){0}, (quern_view){0}),
        QUERN_NUMERIC, "the Hessian needs them exact");
    quern_transport_destroy(&result);
}

static bool stopping;

static bool stop(void *user, double done)
{
    (void)user, (void)done;
    return stopping;
}

static void cancelling(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    const quern_context_options options = {.size = sizeof options, .progress = stop};
    const problem p = random_problem(9);
    double x[M * DIM];
    quern_context *other, *kept = context;
    succeed(quern_context_create(&other, &options));
    context = other, stopping = false;
    quern_transport_result *result = solve(&p, false);
    stopping = true;
    assert_int_equal(
        quern_transport_hessian(result, quern_f64(p.x, M, DIM), (quern_view){0}, quern_f64(x, M, DIM), (quern_view){0}),
        QUERN_CANCELLED);
    quern_transport_destroy(&result);
    context = kept;
    quern_context_destroy(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beside_differences), cmocka_unit_test(of_a_batch),
        cmocka_unit_test(translations),       cmocka_unit_test(newton),
        cmocka_unit_test(many_points),        cmocka_unit_test(few_points),
        cmocka_unit_test(nonsense),           cmocka_unit_test(cancelling),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
