/*
 * test_ranges.c: over boxes of variables, values never leave the intervals of ranges.c, however steps are rounded: for
 * every row of ops.def and for random formulas with their gradients; and a block that reductions call idle changes nothing.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"
#include "random_formula.h"
#include "run/run.h"

enum { ROWS = 12, MOST_DIM = 3, MOST_BOXES = 8 };

/* Boxes for all variables of a sample, whose data lies in them, with room for the noise of reading. */
typedef struct boxes {
    q_interval ranges[MOST_BOXES][MOST_DIM];
    q_box box[MOST_BOXES];
    size_t count;
} boxes;

/* Of random place and size, among them points, ones that begin or end at 0, and ones around it. */
static q_interval random_box(random_source *random)
{
    double scale = pow(10, random_between(random, -3, 1.5)), middle = random_between(random, -1, 1) * scale;
    double radius = random_between(random, 0, 1) * scale;
    switch (random_below(random, 6)) {
    case 0: return (q_interval){0, scale};
    case 1: return (q_interval){-scale, 0};
    case 2: return (q_interval){middle, middle};
    case 3: return (q_interval){fabs(middle), fabs(middle) + radius};
    default: return (q_interval){middle - radius, middle + radius};
    }
}

static double inside(random_source *random, q_interval box)
{
    double share = random_between(random, -0.3, 1.3), slack = 1e-5;
    double value = box.low + (box.high - box.low) * fmin(fmax(share, 0), 1);
    if (box.high - box.low < 4 * slack * fabs(value)) return (float)((box.low + box.high) / 2);
    return (float)fmin(fmax(value, box.low + slack * fabs(box.low)), box.high - slack * fabs(box.high));
}

/* `narrow` boxes are within those of random_formula.h. */
static void draw(boxes *b, sample *s, bool narrow)
{
    b->count = s->graph->variable_count;
    assert_true(b->count <= MOST_BOXES);
    sample_fill(s, 0, 1);
    for (size_t v = 0; v < b->count; v++) {
        q_id id = s->graph->variables[v].id;
        uint32_t dim = q_node_of(s->graph, id)->dim;
        b->box[v] = (q_box){id, b->ranges[v]};
        for (uint32_t d = 0; d < dim; d++) {
            double low = random_between(&s->random, 0.2, 0.9);
            b->ranges[v][d] = narrow ? (q_interval){low, random_between(&s->random, low, 0.9)} : random_box(&s->random);
            q_interval *range = &b->ranges[v][d];
            if (range->low == range->high) range->low = range->high = (float)range->low;
        }
        for (size_t n = 0; n < sample_numbers(s, id); n++) s->data[v][n] = inside(&s->random, b->ranges[v][n % dim]);
        for (uint32_t d = 0; d < dim; d++) { /* points are read with noise too */
            q_interval *range = &b->ranges[v][d];
            range->low -= 1e-6 * fabs(range->low), range->high += 1e-6 * fabs(range->high);
        }
    }
}

static void check_node(const sample *s, const q_ranges *ranges, q_id id, const double *values, const char *what)
{
    uint32_t dim = q_node_of(s->graph, id)->dim;
    for (size_t n = 0; n < sample_numbers(s, id); n++) {
        q_interval range = q_ranges_of(ranges, id)[n % dim];
        bool right = isnan(values[n]) ? q_ranges_nan(ranges, id) : values[n] >= range.low && values[n] <= range.high;
        if (right && range.low <= range.high) continue;
        q_text text = {0};
        q_print(s->graph, &id, 1, &text);
        fail_msg("%s: %.17g is not in [%.17g, %.17g]: %s", what, values[n], range.low, range.high, text.data);
    }
}

/* All nodes but those of derivative patterns, which have no values, in both types and with some noise. */
static void check_all_nodes(sample *s, q_id root, const boxes *b, const char *what)
{
    size_t count = 0;
    q_id *ids = calloc(s->graph->count, sizeof *ids);
    double **out = calloc(s->graph->count, sizeof *out);
    uint8_t *marks = malloc(s->graph->count);
    q_mark(s->graph, &root, 1, false, marks);
    for (q_id id = 1; id < s->graph->count; id++)
        if (marks[id]) {
            ids[count] = id;
            out[count++] = calloc(sample_numbers(s, id) + 1, sizeof **out);
        }
    for (int single = 0; single < 2; single++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            q_rounding rounding = {single, seed ? (single ? 0x1p-22 : 0x1p-50) : 0, seed, NULL};
            q_ranges *ranges;
            assert_int_equal(q_ranges_create(&ranges, s->graph, &root, 1, single ? QUERN_F32 : QUERN_F64), QUERN_OK);
            q_bounds_over(ranges, b->box, b->count);
            assert_int_equal(
                q_reference_with(&rounding, s->graph, ids, count, s->M, s->N, (const double *const *)s->data, out),
                QUERN_OK);
            for (size_t n = 0; n < count; n++) check_node(s, ranges, ids[n], out[n], what);
            q_ranges_destroy(&ranges);
        }
    for (size_t n = 0; n < count; n++) free(out[n]);
    free(marks), free(out), free(ids);
}

static void every_row(void **state)
{
    (void)state;
    static const char *const names[] = {"x0", "x1", "x2"};
    for (int op = Q_OP_REPEAT + 1; op < Q_OP_REDUCTION; op++) {
        if (q_ops[op].kind != Q_KIND_ELEMENTWISE) continue;
        for (uint64_t seed = 0; seed < 200; seed++) {
            sample s = sample_create(ROWS, 1, seed * 1000 + (uint64_t)op);
            q_id args[3];
            int32_t k[2] = {(int32_t)random_below(&s.random, 9) - 4, 0};
            if (q_ops[op].least >= 0) k[0] = abs(k[0]);
            for (int a = 0; a < q_ops[op].operands; a++) args[a] = q_variable_make(s.graph, names[a], Q_I, 2);
            q_id id = q_apply(s.graph, (q_op)op, args, (size_t)q_ops[op].operands, k, (size_t)q_ops[op].integers);
            assert_int_not_equal(id, 0);
            boxes b = {0};
            draw(&b, &s, false);
            check_all_nodes(&s, id, &b, q_ops[op].name);
            sample_destroy(&s);
        }
    }
}

static void random_formulas(void **state)
{
    (void)state;
    random_source random = {5};
    for (uint64_t seed = 0; seed < 3000; seed++) {
        sample s = sample_create(3, 4, seed);
        char *formula = random_formula(&random);
        q_text text = {0};
        q_text_add(&text, "%s%s", random_declarations, formula);
        q_id id = sample_parse(&s, text.data);
        boxes b = {0};
        draw(&b, &s, true);
        check_all_nodes(&s, id, &b, formula);
        q_text_free(&text);
        free(formula);
        sample_destroy(&s);
    }
}

/* Of a formula in x=Vi(2), y=Vj(2) over boxes of x and y: as narrow as pruning relies on. */
static void ranges_that_matter(void **state)
{
    (void)state;
    static const struct {
        const char *formula;
        q_interval x[2], y[2];
        double low, high;
    } rows[] = {
        {"SqDist(x,y)", {{0, 1}, {0, 1}}, {{3, 4}, {1, 2}}, 4, 20},
        {"Exp(-SqDist(x,y))", {{0, 1}, {0, 1}}, {{30, 40}, {1, 2}}, 0, 0},
        {"Exp(-SqDist(x,y))", {{0, 0}, {0, 0}}, {{1, 2}, {0, 0}}, 0.018315638888734179, 0.36787944117144233},
        {"(x|y)", {{1, 2}, {-1, 1}}, {{2, 3}, {0, 4}}, -2, 10},
        {"Where(SqDist(x,y)<1,x*x,0)", {{0, 1}, {0, 1}}, {{3, 4}, {1, 2}}, 0, 0},
        {"Where(SqDist(x,y)<100,1,0)", {{0, 1}, {0, 1}}, {{3, 4}, {1, 2}}, 1, 1},
        {"IfElse(Elem(x,0)-2,5,7)", {{0, 1}, {0, 1}}, {{0, 0}, {0, 0}}, 7, 7},
        {"Matern32(SqDist(x,y),1)", {{0, 0}, {0, 0}}, {{1, 2}, {0, 0}}, 0.13973135, 0.48335772},
        {"Pow(Elem(x,0),3)", {{2, 3}, {0, 0}}, {{0, 0}, {0, 0}}, 8, 27},
        {"Rsqrt(Elem(x,0))", {{4, 9}, {0, 0}}, {{0, 0}, {0, 0}}, 1.0 / 3, 0.5},
        {"Powf(Elem(x,0),1.5)", {{4, 9}, {0, 0}}, {{0, 0}, {0, 0}}, 8, 27},
        {"DivNoNan(1,Elem(x,0))", {{4, 8}, {0, 0}}, {{0, 0}, {0, 0}}, 0.125, 0.25},
        {"Square(Elem(x,0))*Elem(y,0)", {{1e-25, 1e-25}, {0, 0}}, {{1e30, 1e30}, {0, 0}}, 0, 1e-20},
        {"Max(x)", {{0, 4}, {1, 2}}, {{0, 0}, {0, 0}}, 1, 4},
    };
    for (size_t n = 0; n < Q_COUNT(rows); n++) {
        sample s = sample_create(1, 1, 0);
        q_text text = {0};
        q_text_add(&text, "x=Vi(2); y=Vj(2); %s", rows[n].formula);
        q_id id = sample_parse(&s, text.data), x = q_variable_find(s.graph, "x")->id,
             y = q_variable_find(s.graph, "y")->id;
        q_ranges *ranges;
        assert_int_equal(q_ranges_create(&ranges, s.graph, &id, 1, QUERN_F32), QUERN_OK);
        q_bounds_over(ranges, (q_box[]){{x, rows[n].x}, {y, rows[n].y}}, 2);
        q_interval range = *q_ranges_of(ranges, id);
        if (fabs(range.low - rows[n].low) > 1e-3 * fabs(rows[n].low) ||
            fabs(range.high - rows[n].high) > 1e-3 * fabs(rows[n].high) || q_ranges_nan(ranges, id))
            fail_msg("%s: [%.9g, %.9g]", rows[n].formula, range.low, range.high);
        q_ranges_destroy(&ranges);
        q_text_free(&text);
        sample_destroy(&s);
    }
}

/* Masks over a block of rows and one of columns: rows 128 to 255 and the columns given. */
static void masks(void **state)
{
    (void)state;
    static const struct {
        const char *formula;
        q_interval j;
        double low, high;
    } rows[] = {
        {"J<=I", {255, 383}, 0, 1},
        {"J<=I", {256, 383}, 0, 0},
        {"J<=I", {0, 128}, 1, 1},
        {"J<=I", {0, 129}, 0, 1},
        {"J<I", {0, 127}, 1, 1},
        {"J<I", {255, 300}, 0, 0},
        {"Step(I-J)", {0, 128}, 1, 1},
        {"Step(I-J)", {256, 300}, 0, 0},
        {"IfElse(I-J,5,7)", {0, 127}, 5, 5},
        {"IfElse(I-J,5,7)", {256, 257}, 7, 7},
        {"Abs(I-J)<=8", {264, 300}, 0, 0},
        {"Abs(I-J)<=8", {263, 300}, 0, 1},
        {"Abs(I-J)<=8", {0, 119}, 0, 0},
        {"Where(J<=I,3,0)", {256, 300}, 0, 0},
        {"I==J", {256, 300}, 0, 0},
    };
    const q_interval i = {128, 255};
    const double reached = 0;
    for (size_t n = 0; n < Q_COUNT(rows); n++)
        for (int single = 0; single < 2; single++) {
            sample s = sample_create(1, 1, 0);
            q_id id = sample_parse(&s, rows[n].formula);
            q_box at[] = {{q_index(s.graph, Q_I), &i}, {q_index(s.graph, Q_J), &rows[n].j}};
            q_ranges *ranges;
            assert_int_equal(q_ranges_create(&ranges, s.graph, &id, 1, single ? QUERN_F32 : QUERN_F64), QUERN_OK);
            q_bounds_over(ranges, at, 2);
            q_interval range = *q_ranges_of(ranges, id);
            assert_false(q_ranges_nan(ranges, id));
            if (!(fabs(range.low - rows[n].low) < 1e-3) || !(fabs(range.high - rows[n].high) < 1e-3))
                fail_msg("%s over columns %g to %g: [%.9g, %.9g]", rows[n].formula, rows[n].j.low, rows[n].j.high,
                         range.low, range.high);
            q_ranges_destroy(&ranges);
            sample_destroy(&s);
        }
    /* a mask of -inf hides what may be NaN, too */
    sample s = sample_create(1, 1, 0);
    q_id id = sample_parse(&s, "x=Vi(1); LogSumExp_j(Where(J<=I,x,-1/0))");
    q_box at[] = {{q_index(s.graph, Q_I), &i}, {q_index(s.graph, Q_J), &(q_interval){256, 300}}};
    q_ranges *ranges;
    assert_int_equal(q_ranges_create(&ranges, s.graph, &id, 1, QUERN_F32), QUERN_OK);
    q_bounds_over(ranges, at, 2);
    assert_true(q_ranges_idle(ranges, id, &reached));
    q_bounds_over(ranges, at, 1);
    assert_false(q_ranges_idle(ranges, id, &reached));
    q_ranges_destroy(&ranges);
    sample_destroy(&s);
}

// ---- idle blocks ----

enum { FIRST = 6, SECOND = 5, K = 3 };

/* In float32; for free(). */
static double *evaluate(const sample *s, q_id id)
{
    const q_rounding single = {.single = true};
    double *out = calloc(sample_numbers(s, id) + 1, sizeof *out);
    assert_int_equal(q_reference_with(&single, s->graph, &id, 1, s->M, s->N, (const double *const *)s->data, &out),
                     QUERN_OK);
    return out;
}

/* Of the first N terms: the result, as one number, and what a term must pass to be chosen. */
static double reduce(sample *s, q_op reduction, q_id term, int64_t N, double *reached)
{
    int32_t count = q_ops[reduction].integers ? K : 0;
    q_op values = reduction == Q_RED_ArgMax    ? Q_RED_Max
                  : reduction == Q_RED_ArgMin  ? Q_RED_Min
                  : reduction == Q_RED_ArgKMin ? Q_RED_KMin
                  : reduction == Q_RED_ArgKMax ? Q_RED_KMax
                                               : reduction;
    int64_t all = s->N;
    double sum = 0;
    s->N = N;
    q_id id = q_reduce(s->graph, reduction, Q_J, term, count), from = q_reduce(s->graph, values, Q_J, term, count);
    double *result = evaluate(s, id), *value = evaluate(s, from);
    for (uint32_t d = 0; d < q_node_of(s->graph, id)->dim; d++) sum = sum * 31 + result[d];
    *reached = value[q_node_of(s->graph, from)->dim - 1];
    free(value), free(result);
    s->N = all;
    return sum;
}

/* The second block of y lies somewhere else; whether it is idle, in which case it must not matter. */
static bool try_block(q_op reduction, const char *formula, uint64_t seed)
{
    sample s = sample_create(1, FIRST + SECOND, seed);
    q_id term = sample_parse(&s, formula), x = q_variable_find(s.graph, "x")->id, y = q_variable_find(s.graph, "y")->id;
    double *point = sample_data(&s, "x"), *points = sample_data(&s, "y"), far = random_between(&s.random, -40, 40);
    q_interval at, block = {INFINITY, -INFINITY};
    *point = random_between(&s.random, -1, 1);
    at = (q_interval){*point, *point};
    for (int j = 0; j < FIRST + SECOND; j++) points[j] = random_between(&s.random, -1, 1) + (j < FIRST ? 0 : far);
    for (int j = FIRST; j < FIRST + SECOND; j++)
        block = (q_interval){fmin(block.low, points[j]), fmax(block.high, points[j])};
    double reached, first = reduce(&s, reduction, term, FIRST, &reached), ignored;
    double both = reduce(&s, reduction, term, FIRST + SECOND, &ignored);
    q_id id = q_reduce(s.graph, reduction, Q_J, term, q_ops[reduction].integers ? K : 0);
    q_ranges *ranges;
    assert_int_equal(q_ranges_create(&ranges, s.graph, &id, 1, QUERN_F32), QUERN_OK);
    q_bounds_over(ranges, (q_box[]){{x, &at}, {y, &block}}, 2);
    bool idle = q_ranges_idle(ranges, id, &reached);
    if (idle && first != both)
        fail_msg("%s of %s: %.17g without a block that is said to be idle, %.17g with it", q_ops[reduction].name,
                 formula, first, both);
    block.high = INFINITY; /* a term may be NaN: nothing but what passes over NaN can be idle */
    q_bounds_over(ranges, (q_box[]){{x, &at}, {y, &block}}, 2);
    bool shows = reduction == Q_RED_Sum || reduction == Q_RED_LogSumExp || reduction == Q_RED_ProdNonzero;
    if (shows) assert_false(q_ranges_idle(ranges, id, &reached));
    q_ranges_destroy(&ranges);
    sample_destroy(&s);
    return idle;
}

static void idle_blocks(void **state)
{
    (void)state;
    static const char *const formulas[] = {"x=Vi(1); y=Vj(1); Exp(-SqDist(x,y))",
                                           "x=Vi(1); y=Vj(1); -SqDist(x,y)",
                                           "x=Vi(1); y=Vj(1); SqDist(x,y)",
                                           "x=Vi(1); y=Vj(1); Where(Abs(x-y)<3,x+y,0)",
                                           "x=Vi(1); y=Vj(1); x*y",
                                           "x=Vi(1); y=Vj(1); Where(Abs(x-y)<1,x,1/0)",
                                           "x=Vi(1); y=Vj(1); Where(Abs(x-y)<1,x,-1/0)"};
    for (int op = Q_OP_REDUCTION + 1; op < Q_OP_END; op++) {
        size_t idle = 0;
        for (size_t f = 0; f < Q_COUNT(formulas); f++)
            for (uint64_t seed = 0; seed < 60; seed++) idle += try_block((q_op)op, formulas[f], seed);
        bool never = op == Q_RED_Prod || op == Q_RED_Variance;
        if (never != !idle || idle == 60 * Q_COUNT(formulas))
            fail_msg("%s: %zu blocks were idle", q_ops[op].name, idle);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row), cmocka_unit_test(random_formulas), cmocka_unit_test(ranges_that_matter),
        cmocka_unit_test(masks),     cmocka_unit_test(idle_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
