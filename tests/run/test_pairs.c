/*
 * test_pairs.c: blocks and diagonals of symbolic matrices are the entries that the reference evaluator has, for arrays on the
 * host and the device, in both types; I, J and counts are those of the whole matrix; sizes of 0 and 1; what is refused. Bounds of
 * entries over boxes hold what is computed there.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "quern/pairs.h"
#include "run_helpers.h"
#include "helpers.h"

enum { M = 37, N = 53 };

static const char *const formulas[] = {
    "x=Vi(3); y=Vj(3); Exp(-SqDist(x,y))",
    "x=Vi(3); y=Vj(3); p=Pm(3); x*y+p",
    "x=Vi(3); y=Vj(3); Where(J<=I,(x|y),0)*(1+I-2*J)",
    "x=Vi(3); y=Vj(3); (x|y)/Sum_i(1)+Sum_j(1)",
    "x=Vi(3); Norm2(x)*J",
    "y=Vj(3); Concat(Elem(y,1),I)",
    "p=Pm(3); Elem(p,1)",
    "x=Vi(3); y=Vj(3); Grad(Exp(-SqDist(x,y)),x,1)",
    "T=Pm(3); x=Vi(3); y=Vj(3); Gather(T,Mod(I+J,3,0),1)*(x|y)",
};

static double *expected_of(sample *s, q_id entry)
{
    double *all = calloc((size_t)(M * N) * 3 + 1, sizeof *all);
    q_id whole = q_repeat_over(s->graph, entry, Q_I | Q_J);
    assert_int_equal(q_reference(s->graph, &whole, 1, M, N, (const double *const *)s->data, &all), QUERN_OK);
    return all;
}

/* Arguments of a sample's variables in a type; on the device if so wished. */
static size_t make_arguments(sample *s, quern_dtype dtype, bool device, quern_arg *args, quern_array **arrays,
                             void **memory)
{
    size_t count = s->graph->variable_count;
    for (size_t v = 0; v < count; v++) {
        const q_variable *variable = &s->graph->variables[v];
        int64_t rows = variable->axis == Q_I ? M : variable->axis == Q_J ? N : 1;
        size_t numbers = (size_t)rows * variable->dim;
        memory[v] = calloc(numbers, sizeof(double));
        for (size_t n = 0; n < numbers; n++)
            q_element_write(dtype, (char *)memory[v] + n * q_element_size(dtype), s->data[v][n] = (float)s->data[v][n]);
        args[v] = (quern_arg){variable->name, quern_view_of(memory[v], dtype, rows, variable->dim)};
        arrays[v] = NULL;
        if (device) succeed(quern_array_from(&arrays[v], context, args[v].view));
        if (device) args[v].view = quern_array_view(arrays[v]);
    }
    return count;
}

static void check(const double *all, int64_t dim, quern_span rows, quern_span columns, bool diagonal, const void *got,
                  quern_dtype dtype, const char *formula)
{
    size_t n = 0;
    for (int64_t i = rows.from; i < rows.to; i++)
        for (int64_t j = diagonal ? i : columns.from; j < (diagonal ? i + 1 : columns.to); j++)
            for (int64_t d = 0; d < dim; d++, n++) {
                double want = all[(i * N + j) * dim + d],
                       is = q_element_read(dtype, (const char *)got + n * q_element_size(dtype));
                if (!(fabs(want - is) <= (dtype == QUERN_F64 ? 1e-13 : 1e-5) * (1 + fabs(want))))
                    fail_msg("%s: entry %d, %d is %g, not %g", formula, (int)i, (int)j, is, want);
            }
}

static void entries_are_those_of_the_reference(void **state)
{
    (void)state;
    static const quern_span rows[] = {{0, M}, {5, 9}, {M - 1, M}, {3, 3}, {0, 1}},
                            columns[] = {{0, N}, {7, 30}, {N - 1, N}, {1, 5}, {4, 4}};
    need_device();
    for (size_t f = 0; f < Q_COUNT(formulas); f++)
        for (int kind = 0; kind < 4; kind++) {
            quern_dtype dtype = kind & 1 ? QUERN_F64 : QUERN_F32;
            if (dtype == QUERN_F64 && !quern_context_device(context)->f64) continue;
            sample s = sample_create(M, N, f);
            q_id entry = sample_parse(&s, formulas[f]);
            sample_fill(&s, 0.1, 1);
            quern_arg args[4];
            quern_array *arrays[4];
            void *memory[4];
            size_t count = make_arguments(&s, dtype, kind & 2, args, arrays, memory);
            double *all = expected_of(&s, entry), *got = calloc(3 * M * N, sizeof *got);
            quern_pairs *pairs;
            succeed(quern_pairs_create(&pairs, context, formulas[f], NULL));
            int64_t dim = quern_pairs_length(pairs);
            quern_args given = {args, count, M, N};
            for (size_t n = 0; n < Q_COUNT(rows); n++) {
                int64_t height = rows[n].to - rows[n].from, width = columns[n].to - columns[n].from;
                succeed(quern_pairs_block(pairs, given, rows[n], columns[n],
                                          quern_view_of(got, dtype, height, width * dim)));
                check(all, dim, rows[n], columns[n], false, got, dtype, formulas[f]);
                succeed(quern_pairs_diagonal(pairs, given, rows[n], quern_view_of(got, dtype, height, dim)));
                check(all, dim, rows[n], columns[n], true, got, dtype, formulas[f]);
            }
            quern_pairs_destroy(&pairs);
            for (size_t v = 0; v < count; v++) quern_array_destroy(&arrays[v]), free(memory[v]);
            free(all), free(got);
            sample_destroy(&s);
        }
}

/* A result with a stride, and one on the device in another type. */
static void results_of_any_kind(void **state)
{
    (void)state;
    need_device();
    float x[] = {1, 2, 3}, y[] = {1, 10}, got[6] = {0};
    quern_pairs *pairs;
    quern_array *array;
    quern_args args = QUERN_ARGS({"x", quern_f32(x, 3, 1)}, {"y", quern_f32(y, 2, 1)});
    quern_view strided = quern_f32(got, 2, 2);
    strided.stride = 3;
    succeed(quern_pairs_create(&pairs, context, "x=Vi(1); y=Vj(1); x*y", NULL));
    succeed(quern_pairs_block(pairs, args, (quern_span){1, 3}, (quern_span){0, 2}, strided));
    assert_true(got[0] == 2 && got[1] == 20 && got[2] == 0 && got[3] == 3 && got[4] == 30 && got[5] == 0);
    succeed(quern_array_create(&array, context, QUERN_F16, 3, 2));
    succeed(quern_pairs_block(pairs, args, (quern_span){0, 3}, (quern_span){0, 2}, quern_array_view(array)));
    succeed(quern_array_read(array, quern_f32(got, 3, 2)));
    assert_true(got[0] == 1 && got[1] == 10 && got[4] == 3 && got[5] == 30);
    quern_array_destroy(&array);
    quern_pairs_destroy(&pairs);
}

static void what_is_no_entry(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *formula;
        quern_status status;
        const char *message;
    } rows[] = {
        {"x=Vi(1); y=Vj(1); x*Sum_j(y)", QUERN_UNSUPPORTED, "has Sum in it"},
        {"x=Vi(1); k=Vj(1); Gather_i(x,k)", QUERN_UNSUPPORTED, "has Gather in it"},
        {"x=Vi(1); x, x", QUERN_USAGE, "2 results"},
        {"x=Vi(1); x*z", QUERN_NAME, "z"},
    };
    for (size_t n = 0; n < Q_COUNT(rows); n++) {
        quern_pairs *pairs = (quern_pairs *)&pairs;
        expect_failure(quern_pairs_create(&pairs, context, rows[n].formula, NULL), rows[n].status, rows[n].message);
        assert_null(pairs);
    }
}

static void bad_requests(void **state)
{
    (void)state;
    need_device();
    float x[] = {1, 2, 3}, y[] = {1, 10}, got[6] = {0};
    quern_pairs *pairs;
    succeed(quern_pairs_create(&pairs, context, "x=Vi(1); y=Vj(1); x*y", NULL));
    quern_args args = QUERN_ARGS({"x", quern_f32(x, 3, 1)}, {"y", quern_f32(y, 2, 1)});
    quern_span rows = {0, 3}, columns = {0, 2};
    quern_view result = quern_f32(got, 3, 2);
    expect_failure(quern_pairs_block(pairs, args, (quern_span){0, 4}, columns, result), QUERN_SHAPE,
                   "there are no rows from 0 to 3: the matrix has 3");
    expect_failure(quern_pairs_block(pairs, args, rows, (quern_span){-1, 1}, result), QUERN_SHAPE,
                   "there are no columns from -1 to 0: the matrix has 2");
    expect_failure(quern_pairs_block(pairs, args, (quern_span){2, 1}, columns, result), QUERN_SHAPE,
                   "there are no rows");
    expect_failure(quern_pairs_diagonal(pairs, args, rows, quern_f32(got, 3, 1)), QUERN_SHAPE,
                   "there are no columns from 0 to 2: the matrix has 2");
    expect_failure(quern_pairs_block(pairs, args, rows, columns, quern_f32(got, 2, 3)), QUERN_SHAPE,
                   "the result has 2 x 3 numbers; the entries asked for are 3 x 2");
    expect_failure(quern_pairs_block(pairs, args, rows, columns, quern_view_of(got, QUERN_I32, 3, 2)), QUERN_DTYPE,
                   "int32");
    quern_args one = QUERN_ARGS({"x", quern_f32(x, 3, 1)});
    expect_failure(quern_pairs_block(pairs, one, rows, columns, result), QUERN_MISSING, "how many columns");
    one.N = 2;
    expect_failure(quern_pairs_block(pairs, one, rows, columns, result), QUERN_MISSING, "variable y is not given");
    quern_args other = QUERN_ARGS({"x", quern_f32(x, 3, 1)}, {"z", quern_f32(y, 2, 1)});
    expect_failure(quern_pairs_block(pairs, other, rows, columns, result), QUERN_NAME, "no variable z");
    quern_view batch = quern_f32(x, 1, 1);
    batch.batch[0] = 3;
    quern_args members = QUERN_ARGS({"x", batch}, {"y", quern_f32(y, 2, 1)});
    expect_failure(quern_pairs_block(pairs, members, rows, columns, result), QUERN_UNSUPPORTED, "x is a batch");
    quern_args wide = QUERN_ARGS({"x", quern_f32(x, 1, 3)}, {"y", quern_f32(y, 2, 1)});
    expect_failure(quern_pairs_block(pairs, wide, rows, columns, result), QUERN_SHAPE, "x has 3 columns");
    expect_failure(quern_pairs_block(NULL, args, rows, columns, result), QUERN_USAGE, "null");
    expect_failure(quern_pairs_diagonal(NULL, args, rows, result), QUERN_USAGE, "null");
    quern_pairs_destroy(&pairs);
    expect_failure(quern_pairs_create(NULL, context, "1", NULL), QUERN_USAGE, "null");
    expect_failure(quern_pairs_create(&pairs, NULL, "1", NULL), QUERN_USAGE, "null");
    assert_null(pairs);
    expect_failure(quern_pairs_create(&pairs, context, NULL, NULL), QUERN_USAGE, "null");
    assert_int_equal(quern_pairs_length(NULL), 0);
    quern_pairs_destroy(NULL);
    quern_pairs_destroy(&pairs);
}

// ---- bounds ----

enum { ROWS = 4, COLUMNS = 5, DIM = 3, DRAWS = 20 };

static void draw_boxes(random_source *random, int count, float *low, float *high, float size)
{
    for (int k = 0; k < count; k++) {
        low[k] = (float)random_between(random, -2, 2);
        high[k] = low[k] + (k % 4 ? (float)random_between(random, 0, size) : 0);
    }
}

static void draw_points(random_source *random, int count, const float *low, const float *high, float *out)
{
    for (int k = 0; k < count; k++) {
        float u = (float)random_between(random, 0, 1);
        u = u < 0.2f ? 0 : u > 0.8f ? 1 : u;
        out[k] = fminf(fmaxf(low[k] + u * (high[k] - low[k]), low[k]), high[k]);
    }
}

static quern_args corners(float *x, float *y, float *p, quern_arg args[3])
{
    args[0] = (quern_arg){"x", quern_f32(x, ROWS, DIM)};
    args[1] = (quern_arg){"y", quern_f32(y, COLUMNS, DIM)};
    args[2] = (quern_arg){"p", quern_f32(p, 1, 1)};
    return (quern_args){args, 3, 0, 0};
}

static void bounds_hold_what_is_computed(void **state)
{
    (void)state;
    need_device();
    static const char *const texts[] = {
        "SqDist(x,y)",     "p*Norm2(x-y)",       "Exp(-p*SqDist(x,y))", "x*y-p",
        "(x|y)/(p+(y|y))", "Log(p+SqDist(x,y))", "Inv((x|y))",          "Where(Elem(x,0)<Elem(y,0),p,Sin(Elem(y,2)))"};
    random_source random = {3};
    double lower[ROWS * COLUMNS * DIM], upper[ROWS * COLUMNS * DIM];
    for (size_t f = 0; f < Q_COUNT(texts); f++) {
        float xs[3][ROWS * DIM], ys[3][COLUMNS * DIM], ps[3][1], got[ROWS * COLUMNS * DIM];
        char text[200];
        quern_pairs *pairs;
        quern_arg args[3][3];
        snprintf(text, sizeof text, "x=Vi(3); y=Vj(3); p=Pm(1); %s", texts[f]);
        succeed(quern_pairs_create(&pairs, context, text, NULL));
        int64_t width = COLUMNS * quern_pairs_length(pairs);
        draw_boxes(&random, ROWS * DIM, xs[0], xs[1], 0.5f), draw_boxes(&random, COLUMNS * DIM, ys[0], ys[1], 1);
        ps[0][0] = 0.5f, ps[1][0] = 0.75f;
        succeed(quern_pairs_bounds(pairs, corners(xs[0], ys[0], ps[0], args[0]), corners(xs[1], ys[1], ps[1], args[1]),
                                   quern_f64(lower, ROWS, width), quern_f64(upper, ROWS, width)));
        for (int draw = 0; draw < DRAWS; draw++) {
            draw_points(&random, ROWS * DIM, xs[0], xs[1], xs[2]),
                draw_points(&random, COLUMNS * DIM, ys[0], ys[1], ys[2]);
            draw_points(&random, 1, ps[0], ps[1], ps[2]);
            succeed(quern_pairs_block(pairs, corners(xs[2], ys[2], ps[2], args[2]), (quern_span){0, ROWS},
                                      (quern_span){0, COLUMNS}, quern_f32(got, ROWS, width)));
            for (int k = 0; k < ROWS * width; k++)
                if (!((double)got[k] >= lower[k] && (double)got[k] <= upper[k]))
                    fail_msg("%s: entry %d is %.9g, not between %.9g and %.9g", texts[f], k, (double)got[k], lower[k],
                             upper[k]);
        }
        quern_pairs_destroy(&pairs);
    }
}

static void bounds_that_are_known(void **state)
{
    (void)state;
    need_device();
    double low[] = {0, 5}, high[] = {1, 5}, from[] = {3}, to[] = {7}, lower[2], upper[2];
    quern_pairs *pairs;
    succeed(quern_pairs_create(&pairs, context, "x=Vi(1); y=Vj(1); SqDist(x,y)", NULL));
    quern_args first = QUERN_ARGS({"x", quern_f64(low, 2, 1)}, {"y", quern_f64(from, 1, 1)});
    quern_args last = QUERN_ARGS({"x", quern_f64(high, 2, 1)}, {"y", quern_f64(to, 1, 1)});
    succeed(quern_pairs_bounds(pairs, first, last, quern_f64(lower, 2, 1), quern_f64(upper, 2, 1)));
    assert_true(fabs(lower[0] - 4) < 1e-12 && fabs(upper[0] - 49) < 1e-11);
    assert_true(lower[1] == 0 && fabs(upper[1] - 4) < 1e-12);
    quern_args none = QUERN_ARGS({"x", quern_f64(low, 0, 1)}, {"y", quern_f64(from, 1, 1)});
    succeed(quern_pairs_bounds(pairs, none, none, quern_f64(lower, 0, 1), quern_f64(upper, 0, 1)));
    expect_failure(quern_pairs_bounds(pairs, last, first, quern_f64(lower, 2, 1), quern_f64(upper, 2, 1)), QUERN_USAGE,
                   "box 0 of x is from 1 to 0");
    expect_failure(quern_pairs_bounds(pairs, first, last, quern_f64(lower, 1, 2), quern_f64(upper, 2, 1)), QUERN_SHAPE,
                   "lower has 1 x 2 numbers; there are 2 x 1 bounds");
    expect_failure(quern_pairs_bounds(pairs, first, last, quern_f64(lower, 2, 1), quern_f32((float *)upper, 2, 1)),
                   QUERN_DTYPE, "upper is not a dense array of float64 on the host");
    expect_failure(quern_pairs_bounds(pairs, first, none, quern_f64(lower, 2, 1), quern_f64(upper, 2, 1)), QUERN_SHAPE,
                   "x has 0 rows");
    low[1] = NAN;
    expect_failure(quern_pairs_bounds(pairs, first, last, quern_f64(lower, 2, 1), quern_f64(upper, 2, 1)), QUERN_USAGE,
                   "box 1 of x is from nan to 5");
    quern_args some = QUERN_ARGS({"x", quern_f64(high, 2, 1)});
    expect_failure(quern_pairs_bounds(pairs, some, some, quern_f64(lower, 2, 1), quern_f64(upper, 2, 1)), QUERN_MISSING,
                   "the low corner of y is not given");
    expect_failure(quern_pairs_bounds(NULL, first, last, quern_f64(lower, 2, 1), quern_f64(upper, 2, 1)), QUERN_USAGE,
                   "null");
    quern_pairs_destroy(&pairs);
    succeed(quern_pairs_create(&pairs, context, "p=Pm(1); Log(p)", NULL));
    low[0] = -1, high[0] = 1;
    succeed(quern_pairs_bounds(pairs, QUERN_ARGS({"p", quern_f64(low, 1, 1)}), QUERN_ARGS({"p", quern_f64(high, 1, 1)}),
                               quern_f64(lower, 1, 1), quern_f64(upper, 1, 1)));
    assert_true(lower[0] == -INFINITY && upper[0] == INFINITY); /* it may be NaN */
    succeed(quern_pairs_bounds(pairs, QUERN_ARGS({"p", quern_number(1)}), QUERN_ARGS({"p", quern_number(1)}),
                               quern_f64(lower, 1, 1), quern_f64(upper, 1, 1)));
    assert_true(fabs(lower[0]) < 1e-5 && fabs(upper[0]) < 1e-5);
    quern_pairs_destroy(&pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_those_of_the_reference),
        cmocka_unit_test(results_of_any_kind),
        cmocka_unit_test(what_is_no_entry),
        cmocka_unit_test(bad_requests),
        cmocka_unit_test(bounds_hold_what_is_computed),
        cmocka_unit_test(bounds_that_are_known),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
