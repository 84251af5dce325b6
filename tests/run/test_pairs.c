/*
 * test_pairs.c: blocks and diagonals of symbolic matrices are the entries that the reference evaluator has, for arrays on the
 * host and the device, in both types; I, J and counts are those of the whole matrix; sizes of 0 and 1; what is refused.
 */
#include <math.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_those_of_the_reference),
        cmocka_unit_test(results_of_any_kind),
        cmocka_unit_test(what_is_no_entry),
        cmocka_unit_test(bad_requests),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
