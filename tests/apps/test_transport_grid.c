/*
 * test_transport_grid.c: densities on grids: the same as between clouds of their points, with every array; a translation; one axis
 * beside its quantiles; grids of one point, empty images, and what is no grid.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/transport.h"
#include "run_helpers.h"

enum { MOST = 400 };

static void same(const double *got, const double *expected, int64_t count, double tolerance)
{
    for (int64_t k = 0; k < count; k++) check_near(got[k], expected[k], tolerance);
}

static int64_t points_of(const quern_grid *grid, double *places)
{
    int64_t count = 1;
    for (int d = 0; d < grid->dim; d++) count *= grid->size[d];
    for (int64_t k = 0; k < count; k++) {
        int64_t rest = k;
        for (int d = grid->dim - 1; d >= 0; d--) {
            places[k * grid->dim + d] = (double)(rest % grid->size[d] + 1) * grid->spacing[d];
            rest /= grid->size[d];
        }
    }
    return count;
}

/* A density with some zeros and this mass. */
static void density(double *a, int64_t count, uint64_t seed, double mass)
{
    random_source random = {seed};
    double sum = 0;
    for (int64_t k = 0; k < count; k++) sum += a[k] = k % 5 == 2 ? 0 : pow(random_between(&random, 0, 1), 3);
    for (int64_t k = 0; k < count; k++) a[k] *= mass / sum;
}

static void same_parts(quern_transport_result *grid, quern_transport_result *cloud, int64_t count, int dim)
{
    static const quern_transport_part parts[] = {QUERN_POTENTIAL_X, QUERN_POTENTIAL_Y, QUERN_SELF_POTENTIAL_X,
                                                 QUERN_GRADIENT_A,  QUERN_GRADIENT_B,  QUERN_MARGINAL_X,
                                                 QUERN_MARGINAL_Y,  QUERN_MAP_X,       QUERN_MAP_Y};
    double got[MOST * 3], expected[MOST * 3];
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        int columns = parts[k] == QUERN_MAP_X || parts[k] == QUERN_MAP_Y ? dim : 1;
        succeed(quern_transport_read(grid, parts[k], quern_f64(got, count, columns)));
        succeed(quern_transport_read(cloud, parts[k], quern_f64(expected, count, columns)));
        same(got, expected, count * columns, 1e-8);
    }
    expect_failure(quern_transport_read(grid, QUERN_GRADIENT_X, quern_f64(got, count, dim)), QUERN_UNSUPPORTED,
                   "on a grid there is no GRADIENT_X");
    expect_failure(quern_transport_rows(grid, 0, 1, quern_f64(got, 1, count)), QUERN_UNSUPPORTED, "not on a grid");
    expect_failure(quern_transport_apply(grid, false, quern_f64(got, count, 1), quern_f64(expected, count, 1)),
                   QUERN_UNSUPPORTED, "not on a grid");
}

static void a_grid_is_its_points(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    static const quern_grid grids[] = {
        {1, {40, 0, 0}, {0.03, 0, 0}}, {2, {11, 17, 0}, {0.05, 0.07, 0}}, {3, {5, 7, 6}, {0.1, 0.1, 0.2}}};
    double places[MOST * 3], a[MOST], b[MOST];
    for (int k = 0; k < 6; k++) {
        const quern_grid *grid = &grids[k % 3];
        quern_transport_options options = {
            .size = sizeof options, .blur = 0.1, .tolerance = 1e-9, .reach = k / 3 * 0.5};
        int64_t count = points_of(grid, places);
        density(a, count, 1, 1), density(b, count, 2, k / 3 ? 1.3 : 1);
        quern_view points = quern_f64(places, count, grid->dim);
        quern_view image = grid->dim == 2 ? quern_f64(a, grid->size[0], grid->size[1]) : quern_f64(a, count, 1);
        quern_transport_result *on_grid, *cloud;
        succeed(quern_transport_grid(&on_grid, context, grid, image, quern_f64(b, count, 1), &options));
        succeed(
            quern_transport(&cloud, context, points, quern_f64(a, count, 1), points, quern_f64(b, count, 1), &options));
        const quern_transport_report *p = quern_transport_report_of(on_grid), *q = quern_transport_report_of(cloud);
        assert_true(p->converged && p->iterations == q->iterations);
        check_near(p->value, q->value, 1e-10), check_near(p->lower, q->lower, 1e-10),
            check_near(p->upper, q->upper, 1e-10);
        check_near(p->cost, q->cost, 1e-10);
        same_parts(on_grid, cloud, count, grid->dim);
        quern_transport_destroy(&on_grid), quern_transport_destroy(&cloud);
    }
}

/* |t|^2 / 2, in float32 too. */
static void a_translation(void **state)
{
    (void)state;
    need_device();
    enum { SIDE = 32 };
    float a[SIDE * SIDE] = {0}, b[SIDE * SIDE] = {0};
    random_source random = {3};
    for (int r = 4; r < 14; r++)
        for (int c = 3; c < 20; c++)
            b[(r + 12) * SIDE + c + 8] = a[r * SIDE + c] = (float)random_between(&random, 0, 0.01);
    quern_grid grid = {2, {SIDE, SIDE, 0}, {0, 0, 0}};
    quern_transport_options options = {.size = sizeof options, .tolerance = 1e-6};
    quern_transport_result *result;
    double mass = 0;
    for (int k = 0; k < SIDE * SIDE; k++) mass += (double)a[k];
    succeed(
        quern_transport_grid(&result, context, &grid, quern_f32(a, SIDE, SIDE), quern_f32(b, SIDE, SIDE), &options));
    const quern_transport_report *p = quern_transport_report_of(result);
    check_near(p->value, mass * 0.5 * (12 * 12 + 8 * 8) / (SIDE * SIDE), 2e-6);
    assert_true(p->upper >= p->value - 1e-6 && p->lower <= p->value + 1e-6);
    quern_transport_destroy(&result);
}

/* Half the integral of the squared difference of quantiles. */
static void quantiles(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    enum { N = 60 };
    double a[N], b[N], right = 0, left_a = 0, left_b = 0;
    density(a, N, 5, 1), density(b, N, 6, 1);
    for (int i = -1, j = -1;;) {
        while (left_a <= 1e-15 && i + 1 < N) left_a = a[++i];
        while (left_b <= 1e-15 && j + 1 < N) left_b = b[++j];
        double moved = fmin(left_a, left_b), apart = (i - j) / (double)N;
        if (moved <= 1e-15) break;
        right += moved * apart * apart / 2, left_a -= moved, left_b -= moved;
    }
    quern_grid grid = {1, {N, 0, 0}, {0, 0, 0}};
    quern_transport_options options = {.size = sizeof options, .blur = 0.004, .tolerance = 1e-4, .debias = QUERN_OFF};
    quern_transport_result *result;
    succeed(quern_transport_grid(&result, context, &grid, quern_f64(a, N, 1), quern_f64(b, 1, N), &options));
    check_near(quern_transport_report_of(result)->cost, right, 2e-5);
    quern_transport_destroy(&result);
}

static void refuse(const quern_grid *grid, quern_view a, quern_view b, const quern_transport_options *options,
                   quern_status status, const char *part)
{
    quern_transport_result *result;
    expect_failure(quern_transport_grid(&result, context, grid, a, b, options), status, part);
    assert_null(result);
}

static void one_point_and_nonsense(void **state)
{
    (void)state;
    need_device();
    const float one[] = {1, 0, 0, 0}, nan[] = {1, NAN, 0, 0}, two[] = {1, 1, 0, 0};
    quern_grid point = {3, {1, 1, 1}, {0, 0, 0}}, square = {2, {2, 2, 0}, {0, 0, 0}}, none = {4, {1, 1, 1}, {0, 0, 0}};
    quern_grid large = {3, {257, 256, 256}, {0, 0, 0}}, empty = {1, {0, 0, 0}, {0, 0, 0}},
               back = {1, {4, 0, 0}, {-1, 0, 0}};
    quern_view a = quern_f32(one, 4, 1);
    quern_transport_options other = {.size = sizeof other, .cost = "distance"},
                            reach = {.size = sizeof reach, .reach = 1};
    quern_transport_result *result;
    succeed(quern_transport_grid(&result, context, &point, quern_f32(one, 1, 1), (quern_view){0}, NULL));
    check_near(quern_transport_report_of(result)->value, 0, 1e-7);
    quern_transport_destroy(&result);
    const float dark[4] = {0}; /* an image without light: all mass is given up */
    succeed(quern_transport_grid(&result, context, &square, a, quern_f32(dark, 2, 2), &reach));
    check_near(quern_transport_report_of(result)->lower, 1, 0.01);
    quern_transport_destroy(&result);
    refuse(&none, a, a, NULL, QUERN_USAGE, "a grid has 1 to 3 axes, not 4");
    refuse(&empty, a, a, NULL, QUERN_SHAPE, "axis 0 of the grid has 0 points");
    refuse(&back, a, a, NULL, QUERN_USAGE, "points on axis 0 of the grid are -1 apart");
    refuse(&large, a, a, NULL, QUERN_LIMIT, "the grid has 16842752 points");
    refuse(NULL, a, a, NULL, QUERN_USAGE, "grid");
    refuse(&square, quern_f32(one, 3, 1), a, NULL, QUERN_SHAPE, "a is 3 x 1, not 4 x 1");
    refuse(&square, a, quern_f32(nan, 2, 2), NULL, QUERN_USAGE, "b has NaN or infinite weights");
    refuse(&square, a, quern_f32(two, 2, 2), NULL, QUERN_SHAPE, "the masses are 1 and 2");
    refuse(&square, a, a, &other, QUERN_UNSUPPORTED, "on a grid there is transport with the cost sqdist alone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_grid_is_its_points), cmocka_unit_test(a_translation),
                                       cmocka_unit_test(quantiles), cmocka_unit_test(one_point_and_nonsense)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
