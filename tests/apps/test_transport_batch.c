/*
 * test_transport_batch.c: many problems in one call: each has the value, the interval and the arrays that it has alone, whatever the cost and
 * the reach; members without points, of one point, and batches that are none.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/transport.h"
#include "run_helpers.h"

enum { MEMBERS = 5, DIM = 2, MOST = 120 };
static const int64_t rows[] = {0, 20, 20, 21, 61, 90}, columns[] = {0, 30, 30, 33, 50, 95};
static double x[MOST * DIM], y[MOST * DIM], a[MOST], b[MOST];

static int open_clouds(void **state)
{
    random_source random = {1};
    for (int k = 0; k < MOST * DIM; k++) x[k] = random_between(&random, 0, 1), y[k] = random_between(&random, 0.2, 1.5);
    for (int k = 0; k < MOST; k++)
        a[k] = random_between(&random, 0.1, 1), b[k] = k % 9 == 1 ? 0 : random_between(&random, 0.1, 1);
    for (int m = 0; m < MEMBERS; m++) {
        double mass[2] = {0, 0};
        for (int64_t k = rows[m]; k < rows[m + 1]; k++) mass[0] += a[k];
        for (int64_t k = columns[m]; k < columns[m + 1]; k++) mass[1] += b[k];
        for (int64_t k = rows[m]; k < rows[m + 1]; k++) a[k] *= (m + 1) / mass[0];
        for (int64_t k = columns[m]; k < columns[m + 1]; k++) b[k] *= (m + 1) / mass[1];
    }
    return open_context(state);
}

static quern_transport_result *together(const quern_transport_options *options)
{
    quern_transport_result *result;
    succeed(quern_transport_batch(&result, context, MEMBERS, rows, columns, quern_f64(x, 90, DIM), quern_f64(a, 90, 1),
                                  quern_f64(y, 95, DIM), quern_f64(b, 95, 1), options));
    return result;
}

static quern_transport_result *alone(int m, const quern_transport_options *options)
{
    quern_transport_result *result;
    int64_t M = rows[m + 1] - rows[m], N = columns[m + 1] - columns[m];
    succeed(quern_transport(&result, context, quern_f64(x + rows[m] * DIM, M, DIM), quern_f64(a + rows[m], M, 1),
                            quern_f64(y + columns[m] * DIM, N, DIM), quern_f64(b + columns[m], N, 1), options));
    return result;
}

static const struct part {
    quern_transport_part part;
    bool of_x, wide;
} parts[] = {{QUERN_SELF_POTENTIAL_X, true, false}, {QUERN_GRADIENT_X, true, true},   {QUERN_GRADIENT_Y, false, true},
             {QUERN_GRADIENT_A, true, false},       {QUERN_GRADIENT_B, false, false}, {QUERN_MARGINAL_X, true, false},
             {QUERN_MARGINAL_Y, false, false},      {QUERN_MAP_X, true, true}};

static void same_parts(quern_transport_result *all, quern_transport_result *one, int m, bool balanced)
{
    static double got[MOST * DIM], expected[MOST * DIM];
    int64_t assigned[MOST], right[MOST];
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        const struct part *p = &parts[k];
        const int64_t *first = p->of_x ? rows : columns, count = first[m + 1] - first[m];
        int dim = p->wide ? DIM : 1;
        succeed(quern_transport_read(all, p->part, quern_f64(got, first[MEMBERS], dim)));
        succeed(quern_transport_read(one, p->part, quern_f64(expected, count, dim)));
        bool up_to_constant = balanced && (p->part == QUERN_GRADIENT_A || p->part == QUERN_GRADIENT_B);
        for (int64_t n = 0; n < count * dim; n++)
            check_near(got[first[m] * dim + n] - (up_to_constant ? got[first[m]] - expected[0] : 0), expected[n], 1e-6);
    }
    succeed(quern_transport_read(all, QUERN_ASSIGNMENT_X, quern_i64(assigned, rows[MEMBERS], 1)));
    succeed(quern_transport_read(one, QUERN_ASSIGNMENT_X, quern_i64(right, rows[m + 1] - rows[m], 1)));
    for (int64_t n = 0; n < rows[m + 1] - rows[m]; n++) assert_int_equal(assigned[rows[m] + n], right[n]);
}

static void members_are_as_alone(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    static const quern_transport_options kinds[] = {
        {.tolerance = 1e-8, .blur = 0.2},
        {.tolerance = 1e-8, .blur = 0.2, .reach = 0.5},
        {.tolerance = 1e-8, .cost = "distance", .blur = 0.1},
        {.tolerance = 1e-8, .cost = "Powf(SqDist(x,y)+1,0.7)", .blur = 0.1}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        quern_transport_options options = kinds[k];
        double value, lower, upper, sum = 0;
        options.size = sizeof options;
        quern_transport_result *all = together(&options);
        assert_true(quern_transport_report_of(all)->converged);
        for (int m = 0; m < MEMBERS; m++) {
            quern_transport_result *one = alone(m, &options);
            const quern_transport_report *right = quern_transport_report_of(one);
            succeed(quern_transport_member(all, (size_t)m, &value, &lower, &upper));
            check_near(value, right->value, 1e-7);
            assert_true(lower <= right->value + 1e-9 && right->value <= upper + 1e-9 && upper - lower < 1e-5);
            if (k < 2 && right->value > 0) same_parts(all, one, m, k == 0);
            sum += value;
            quern_transport_destroy(&one);
        }
        check_near(quern_transport_report_of(all)->value, sum, 1e-10);
        quern_transport_destroy(&all);
    }
}

/* Members so large that blocks are left out are solved one by one, each with what it leaves out; here because that is asked for. */
static void members_are_truncated(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    enum { LARGE = 400 };
    static double u[2 * LARGE], v[2 * LARGE], potential[2 * LARGE], one_potential[LARGE], move[2 * LARGE],
        change[2 * LARGE], one_change[LARGE];
    int64_t assigned[2 * LARGE], one_assigned[LARGE];
    static const int64_t first[] = {0, LARGE, LARGE, 2 * LARGE};
    random_source random = {2};
    for (int k = 0; k < 2 * LARGE; k++) {
        u[k] = random_between(&random, 0, 1), v[k] = random_between(&random, 0.1, 1.2);
        move[k] = random_between(&random, -1, 1);
    }
    const quern_transport_options options = {
        .size = sizeof options, .blur = 0.02, .tolerance = 1e-6, .truncation = QUERN_ON};
    quern_transport_result *all, *one;
    double value, lower, upper, sum = 0;
    succeed(quern_transport_batch(&all, context, 3, first, first, quern_f64(u, 2 * LARGE, 1), (quern_view){0},
                                  quern_f64(v, 2 * LARGE, 1), (quern_view){0}, &options));
    const quern_transport_report *report = quern_transport_report_of(all);
    assert_true(report->converged && report->touched < 0.5 && report->skipped > 0 && report->skipped <= 1e-6);
    succeed(quern_transport_read(all, QUERN_POTENTIAL_X, quern_f64(potential, 2 * LARGE, 1)));
    succeed(quern_transport_read(all, QUERN_ASSIGNMENT_Y, quern_i64(assigned, 2 * LARGE, 1)));
    succeed(quern_transport_hessian(all, quern_f64(move, 2 * LARGE, 1), (quern_view){0}, (quern_view){0},
                                    quern_f64(change, 2 * LARGE, 1)));
    for (int m = 0; m < 3; m += 2) {
        int64_t at = first[m];
        succeed(quern_transport_member(all, (size_t)m, &value, &lower, &upper));
        succeed(quern_transport(&one, context, quern_f64(u + at, LARGE, 1), (quern_view){0},
                                quern_f64(v + at, LARGE, 1), (quern_view){0}, &options));
        check_near(value, quern_transport_report_of(one)->value, 0);
        assert_true(lower <= value && value <= upper);
        sum += value;
        succeed(quern_transport_read(one, QUERN_POTENTIAL_X, quern_f64(one_potential, LARGE, 1)));
        succeed(quern_transport_read(one, QUERN_ASSIGNMENT_Y, quern_i64(one_assigned, LARGE, 1)));
        succeed(quern_transport_hessian(one, quern_f64(move + at, LARGE, 1), (quern_view){0}, (quern_view){0},
                                        quern_f64(one_change, LARGE, 1)));
        for (int k = 0; k < LARGE; k++) {
            check_near(potential[at + k], one_potential[k], 0), check_near(change[at + k], one_change[k], 0);
            assert_int_equal(assigned[at + k], one_assigned[k]);
        }
        quern_transport_destroy(&one);
    }
    check_near(report->value, sum, 1e-14);
    succeed(quern_transport_member(all, 1, &value, NULL, NULL));
    check_near(value, 0, 0);
    expect_failure(quern_transport_read(all, QUERN_POTENTIAL_X, quern_f64(potential, LARGE, 1)), QUERN_SHAPE, "400");
    quern_transport_destroy(&all);
}

/* Kernel norms and Hausdorff distances, with their gradients. */
static void other_losses(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    static const quern_transport_part read[] = {QUERN_POTENTIAL_X, QUERN_GRADIENT_X, QUERN_GRADIENT_Y,
                                                QUERN_GRADIENT_A};
    static double got[MOST * DIM], expected[MOST * DIM];
    for (int loss = QUERN_LOSS_GAUSSIAN; loss <= QUERN_LOSS_HAUSDORFF_HARD; loss++) {
        quern_transport_options options = {.size = sizeof options, .blur = 0.3, .loss = (quern_transport_loss)loss};
        double value, lower, sum = 0;
        options.kernel = loss == QUERN_LOSS_KERNEL ? "1/(1+SqDist(x,y))" : NULL;
        quern_transport_result *all = together(&options);
        assert_true(quern_transport_report_of(all)->converged);
        for (int m = 0; m < MEMBERS; m++) {
            succeed(quern_transport_member(all, (size_t)m, &value, &lower, NULL));
            sum += value;
            assert_true(isnan(lower));
            if (m == 1) check_near(value, 0, 0); /* nothing beside nothing */
            if (m == 1) continue;
            quern_transport_result *one = alone(m, &options);
            check_near(value, quern_transport_report_of(one)->value, 1e-12);
            for (size_t k = 0; k < 4 && loss != QUERN_LOSS_HAUSDORFF_HARD; k++) {
                const int64_t *first = k == 2 ? columns : rows;
                int64_t count = first[m + 1] - first[m], dim = k == 1 || k == 2 ? DIM : 1;
                succeed(quern_transport_read(all, read[k], quern_f64(got, first[MEMBERS], dim)));
                succeed(quern_transport_read(one, read[k], quern_f64(expected, count, dim)));
                for (int64_t n = 0; n < count * dim; n++) check_near(got[first[m] * dim + n], expected[n], 1e-12);
            }
            quern_transport_destroy(&one);
        }
        check_near(quern_transport_report_of(all)->value, sum, 1e-12);
        quern_transport_destroy(&all);
    }
}

/* In float32, with weights of its own and a look at a single one. */
static void default_weights(void **state)
{
    (void)state;
    need_device();
    const float u[] = {0, 1, 5, 0, 2}, v[] = {1, 2, 6, 3, 5};
    const int64_t first[] = {0, 3, 5};
    quern_transport_options options = {.size = sizeof options, .gap = 0.01};
    quern_transport_result *result;
    double value;
    succeed(quern_transport_batch(&result, context, 2, first, first, quern_f32(u, 5, 1), (quern_view){0},
                                  quern_f32(v, 5, 1), (quern_view){0}, &options));
    succeed(quern_transport_member(result, 0, &value, NULL, NULL));
    check_near(value, 0.5, 1e-4);
    succeed(quern_transport_member(result, 1, &value, NULL, NULL));
    check_near(value, 4.5, 1e-3);
    expect_failure(quern_transport_member(result, 2, &value, NULL, NULL), QUERN_USAGE,
                   "there is no member 2; there are 2");
    expect_failure(quern_transport_rows(result, 0, 1, quern_f32(u, 1, 5)), QUERN_UNSUPPORTED, "not of a batch");
    quern_transport_destroy(&result);
}

static void refuse(size_t members, const int64_t *first, const int64_t *second, const float *weights,
                   const quern_transport_options *options, quern_status status, const char *part)
{
    const float points[4] = {0, 1, 2, 3};
    quern_transport_result *result;
    expect_failure(quern_transport_batch(&result, context, members, first, second, quern_f32(points, 4, 1),
                                         (quern_view){0}, quern_f32(points, 4, 1), quern_f32(weights, 4, 1), options),
                   status, part);
    assert_null(result);
}

static void nonsense(void **state)
{
    (void)state;
    need_device();
    const int64_t good[] = {0, 2, 4}, back[] = {0, 5, 4}, shorter[] = {0, 2, 3}, later[] = {1, 2, 4},
                  empty[] = {0, 0, 4};
    const float even[] = {0.5, 0.5, 0.5, 0.5}, uneven[] = {0.5, 0.5, 0.5, 0.1F}, none[] = {0, 0, 0.5, 0.5},
                nan[] = {0, NAN, 1, 0};
    const quern_transport_options soft = {.size = sizeof soft, .loss = QUERN_LOSS_HAUSDORFF};
    refuse(0, good, good, even, NULL, QUERN_USAGE, "a batch of no members");
    refuse(2, NULL, good, even, NULL, QUERN_USAGE, "offsets_x");
    refuse(2, back, good, even, NULL, QUERN_SHAPE, "offset 2 of x is 4; they rise from 0 to its 4 rows");
    refuse(2, good, shorter, even, NULL, QUERN_SHAPE, "offset 2 of y is 3");
    refuse(2, later, good, even, NULL, QUERN_SHAPE, "offset 0 of x is 1");
    refuse(2, good, good, uneven, NULL, QUERN_SHAPE, "the masses of member 1 are 1 and 0.6");
    refuse(2, good, good, none, NULL, QUERN_SHAPE, "member 0 has the masses 1 and 0");
    refuse(2, empty, good, even, NULL, QUERN_SHAPE, "member 0 has the masses 0 and 1");
    refuse(2, good, good, nan, NULL, QUERN_USAGE, "b has NaN");
    refuse(2, good, good, none, &soft, QUERN_SHAPE, "the masses are 1 and 0 in a member");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(members_are_as_alone), cmocka_unit_test(members_are_truncated),
                                       cmocka_unit_test(other_losses), cmocka_unit_test(default_weights),
                                       cmocka_unit_test(nonsense)};
    return cmocka_run_group_tests(tests, open_clouds, close_context);
}
