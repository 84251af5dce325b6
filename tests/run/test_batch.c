/*
 * test_batch.c: batches beside a run for each member: equal ones with broadcasting over up to four dimensions, ragged ones with
 * empty members, with ranges and without, formulas of one and several stages, gradients, both types; and what is refused.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "run_helpers.h"

static random_source random_numbers = {1};

static int64_t below(int64_t n)
{
    return n > 0 ? (int64_t)(random_below(&random_numbers, (size_t)n)) : 0;
}

static void *numbers(quern_dtype dtype, int64_t count)
{
    char *out = calloc((size_t)count + 1, 8);
    for (int64_t n = 0; n < count; n++)
        q_element_write(dtype, out + (size_t)n * q_element_size(dtype), (double)(below(15) - 7) / 8);
    return out;
}

/* Fails unless all elements are equal, or, of floating types, close. */
static void compare(const char *formula, quern_view got, quern_view want, int64_t member)
{
    size_t size = q_element_size(got.dtype);
    double allowed = got.dtype == QUERN_F64 ? 1e-12 : got.dtype == QUERN_F32 ? 2e-5 : 0;
    for (int64_t n = 0; n < got.rows * got.columns; n++) {
        double a = q_element_read(got.dtype, (char *)got.data + (size_t)n * size),
               b = q_element_read(want.dtype, (char *)want.data + (size_t)n * size);
        if (a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= allowed * fmax(1, fabs(b))) continue;
        fail_msg("%s: number %lld of member %lld is %.9g, not %.9g", formula, (long long)n, (long long)member, a, b);
    }
}

static int64_t rows_of(char axis, int64_t M, int64_t N)
{
    return axis == 'i' ? M : axis == 'j' ? N : 1;
}

// ---- equal batches ----

/* Rows of a member in a view of the whole batch. */
static quern_view member_of(quern_view all, int64_t rows, int64_t place)
{
    quern_view one = all;
    memset(one.batch, 0, sizeof one.batch);
    one.rows = rows;
    one.data = (char *)all.data + (size_t)(place * rows * all.columns) * q_element_size(all.dtype);
    return one;
}

/* The batch of all, of which some sizes, and some at the front, are 1 or left out; and where each member is in it. */
static void draw_batch(const int64_t *all, int dims, quern_view *view, int64_t *places)
{
    int64_t sizes[4];
    int left_out = (int)below(dims + 1);
    for (int d = 0; d < dims; d++) sizes[d] = d < left_out || !below(4) ? 1 : all[d];
    for (int d = left_out; d < dims; d++) view->batch[d - left_out] = sizes[d];
    for (int64_t b = 0, members = 1; b < members; b++) {
        int64_t rest = b, step = 1;
        members = places[b] = 0;
        for (int d = dims - 1; d >= 0; d--) {
            if (sizes[d] > 1) places[b] += rest % all[d] * step;
            rest /= all[d], step *= sizes[d];
        }
        members = 1;
        for (int d = 0; d < dims; d++) members *= all[d];
    }
}

static void try_equal(quern_operator *op, quern_dtype dtype, const int64_t *sizes, int dims, int64_t M, int64_t N)
{
    quern_arg args[Q_MAX_VARIABLES], one[Q_MAX_VARIABLES];
    quern_view results[Q_MAX_RESULTS], want[Q_MAX_RESULTS];
    int64_t places[Q_MAX_VARIABLES][64], members = 1;
    size_t variables = quern_variable_count(op), count = quern_result_count(op);
    for (int d = 0; d < dims; d++) members *= sizes[d];
    for (size_t v = 0; v < variables; v++) {
        quern_value value = quern_variable(op, v);
        int64_t rows = rows_of(value.axis, M, N);
        args[v] =
            (quern_arg){value.name, quern_view_of(numbers(dtype, members * rows * value.dim), dtype, rows, value.dim)};
        draw_batch(sizes, dims, &args[v].view, places[v]);
        if (!v) memcpy(args[v].view.batch, sizes, (size_t)dims * sizeof *sizes); /* one at least has all */
        for (int64_t b = 0; b < members && !v; b++) places[v][b] = b;
    }
    for (size_t r = 0; r < count; r++) {
        quern_value value = quern_result(op, r);
        quern_dtype type = value.integer ? QUERN_I64 : dtype;
        int64_t rows = rows_of(value.axis, M, N);
        results[r] = quern_view_of(numbers(type, members * rows * value.dim), type, rows, value.dim);
        want[r] = quern_view_of(numbers(type, rows * value.dim), type, rows, value.dim);
        memcpy(results[r].batch, sizes, (size_t)dims * sizeof *sizes);
    }
    succeed(quern_run_all(op, (quern_args){args, variables, M, N}, (quern_outs){results, count}));
    for (int64_t b = 0; b < members; b++) {
        for (size_t v = 0; v < variables; v++)
            one[v] = (quern_arg){args[v].name, member_of(args[v].view, args[v].view.rows, places[v][b])};
        succeed(quern_run_all(op, (quern_args){one, variables, M, N}, (quern_outs){want, count}));
        for (size_t r = 0; r < count; r++)
            compare(quern_operator_text(op), member_of(results[r], want[r].rows, b), want[r], b);
    }
    for (size_t v = 0; v < variables; v++) free(args[v].view.data);
    for (size_t r = 0; r < count; r++) free(results[r].data), free(want[r].data);
}

// ---- ragged batches ----

enum { MOST_MEMBERS = 7 };

static int64_t draw_offsets(int64_t *offsets, size_t members, int64_t most)
{
    for (size_t b = 0; b < members; b++) offsets[b + 1] = offsets[b] + (below(4) ? below(most + 1) : 0);
    return offsets[members];
}

static quern_view part(quern_view all, char axis, const int64_t *const offsets[2], size_t b)
{
    int64_t from = axis == 'i' ? offsets[0][b] : axis == 'j' ? offsets[1][b] : (int64_t)b;
    int64_t to = axis == 'i' ? offsets[0][b + 1] : axis == 'j' ? offsets[1][b + 1] : (int64_t)b + 1;
    return axis == 'p' && all.rows == 1 ? all : quern_view_rows(all, from, to - from);
}

/* Ranges of a batch: in each member its first rows with its last columns. */
typedef struct corner_ranges {
    quern_span rows[MOST_MEMBERS], columns[MOST_MEMBERS];
    int64_t first[MOST_MEMBERS + 1];
    quern_ranges ranges;
} corner_ranges;

static void draw_corners(corner_ranges *c, const int64_t *const offsets[2], size_t members, size_t only)
{
    bool one = only < members;
    *c = (corner_ranges){.ranges = {one ? 1 : members, c->rows, c->first, c->columns}};
    for (size_t b = one ? only : 0, k = 0; b < (one ? only + 1 : members); b++, k++) {
        int64_t i = one ? 0 : offsets[0][b], j = one ? 0 : offsets[1][b], M = offsets[0][b + 1] - offsets[0][b],
                N = offsets[1][b + 1] - offsets[1][b];
        c->rows[k] = (quern_span){i, i + M / 2};
        c->columns[k] = (quern_span){j + N / 3, j + N};
        c->first[k + 1] = (int64_t)k + 1;
    }
}

static void try_ragged(quern_operator *op, quern_dtype dtype, size_t members, int64_t most, bool masked)
{
    int64_t offsets_i[MOST_MEMBERS + 1] = {0}, offsets_j[MOST_MEMBERS + 1] = {0};
    const int64_t *const offsets[2] = {offsets_i, offsets_j};
    int64_t M = draw_offsets(offsets_i, members, most), N = draw_offsets(offsets_j, members, most);
    quern_arg args[Q_MAX_VARIABLES], one[Q_MAX_VARIABLES];
    quern_view results[Q_MAX_RESULTS], want[Q_MAX_RESULTS];
    size_t variables = quern_variable_count(op), count = quern_result_count(op);
    corner_ranges all, own;
    draw_corners(&all, offsets, members, members);
    for (size_t v = 0; v < variables; v++) {
        quern_value value = quern_variable(op, v);
        int64_t rows = value.axis == 'p' ? (below(2) ? 1 : (int64_t)members) : rows_of(value.axis, M, N);
        args[v] = (quern_arg){value.name, quern_view_of(numbers(dtype, rows * value.dim), dtype, rows, value.dim)};
    }
    for (size_t r = 0; r < count; r++) {
        quern_value value = quern_result(op, r);
        quern_dtype type = value.integer ? QUERN_I64 : dtype;
        int64_t rows = value.axis == 'p' ? (int64_t)members : rows_of(value.axis, M, N);
        results[r] = quern_view_of(numbers(type, rows * value.dim), type, rows, value.dim);
        want[r] = quern_view_of(numbers(type, rows * value.dim), type, rows, value.dim);
    }
    const quern_run_options options = {.size = sizeof options,
                                       .ranges = masked ? &all.ranges : NULL,
                                       .members = members,
                                       .offsets_i = offsets_i,
                                       .offsets_j = offsets_j};
    succeed(quern_run_with(op, (quern_args){args, variables, 0, 0}, (quern_outs){results, count}, &options));
    for (size_t b = 0; b < members; b++) {
        quern_view got[Q_MAX_RESULTS];
        draw_corners(&own, offsets, members, b);
        const quern_run_options plain = {.size = sizeof plain, .ranges = masked ? &own.ranges : NULL};
        for (size_t v = 0; v < variables; v++)
            one[v] = (quern_arg){args[v].name, part(args[v].view, quern_variable(op, v).axis, offsets, b)};
        for (size_t r = 0; r < count; r++) {
            got[r] = part(results[r], quern_result(op, r).axis, offsets, b);
            want[r].rows = got[r].rows;
        }
        succeed(quern_run_with(op, (quern_args){one, variables, 0, 0}, (quern_outs){want, count}, &plain));
        for (size_t r = 0; r < count; r++) compare(quern_operator_text(op), got[r], want[r], (int64_t)b);
    }
    for (size_t v = 0; v < variables; v++) free(args[v].view.data);
    for (size_t r = 0; r < count; r++) free(results[r].data), free(want[r].data);
}

// ---- the trials ----

static const char *const formulas[] = {
    "x=Vi(3); y=Vj(3); b=Vj(2); p=Pm(1); q=Pm(2); Sum_j(p*Exp(-SqDist(x,y))*b*q), ArgMin_j(SqDist(x,y)), Sum_j(b)*Sum_j(1)",
    "x=Vi(2); y=Vj(2); ArgKMin_i(SqDist(x,y),3), LogSumExp_j(x|y), Sum_i(x*I)",
    "x=Vi(5); y=Vj(5); q=Vj(1); r=Vi(1); p=Pm(1); Sum_i(p*r*Sum_j(Exp(-SqDist(x,y))*q)), Sum_j(Exp(x|y)/Sum_i(Exp(x|y)))",
    "x=Vi(3); y=Vj(3); p=Pm(1); e=Vi(1); Grad(Sum_j(Exp(-p*SqDist(x,y))),y,e), Grad(Sum_j(Exp(-p*SqDist(x,y))),p,e)",
    "x=Vi(2); y=Vj(2); T=Pm(4); Sum_j(Exp(-SqDist(x,y))*Gather(T,Mod(I+J,3,0),2)), Sum_j(Gather_j(y,1)*x), Gather_i(x,3)",
};

static void try_all(quern_dtype dtype)
{
    static const int64_t shapes[][4] = {{3}, {2, 3}, {2, 1, 2, 3}};
    need_type(dtype);
    if (context->profile.max_cols_per_item) skip(); /* llvmpipe takes minutes over vectors and long loops */
    setenv("POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable", 1);
    const quern_compile_options options = {.size = sizeof options, .ranges = QUERN_ON};
    for (size_t f = dtype == QUERN_F64 ? 1 : 0; f < Q_COUNT(formulas); f += dtype == QUERN_F64 ? 2 : 1) {
        quern_operator *op = compile(formulas[f], &options);
        for (int n = 0; n < 3; n++) try_equal(op, dtype, shapes[n], n == 2 ? 4 : n + 1, 11 + 7 * n, 9 - 4 * n);
        try_equal(op, dtype, shapes[1], 2, 1, 300);
        try_equal(op, dtype, shapes[0], 1, 4, 0);
        for (int masked = 0; masked < 2; masked++)
            for (int n = 0; n < 4; n++)
                try_ragged(op, dtype, 2 + (size_t)below(MOST_MEMBERS - 1), n ? 40 : 300, masked);
        quern_operator_destroy(&op);
    }
    unsetenv("POCL_EXTRA_BUILD_FLAGS");
}

static void single(void **state)
{
    (void)state;
    need_device();
    try_all(QUERN_F32);
}

static void precise(void **state)
{
    (void)state;
    need_device();
    try_all(QUERN_F64);
}

static void arrays_on_the_device(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile("x=Vi(1); y=Vj(1); Sum_j(x*y)", NULL);
    quern_array *x, *a;
    float numbers[6] = {1, 2, 3, 4, 5, 6}, got[6];
    succeed(quern_array_from(&x, context, quern_f32(numbers, 6, 1)));
    succeed(quern_array_create(&a, context, QUERN_F32, 6, 1));
    quern_view halves = quern_in_batch(quern_view_rows(quern_array_view(x), 0, 3), 2), out = quern_array_view(a);
    out.rows = 2, out.batch[0] = 3;
    quern_view thirds = quern_array_view(x);
    thirds.rows = 2, thirds.batch[0] = 3;
    succeed(quern_run(op, QUERN_ARGS({"x", thirds}, {"y", quern_f32(numbers, 2, 1)}), out));
    succeed(quern_array_read(a, quern_f32(got, 6, 1)));
    assert_memory_equal(got, ((float[]){3, 6, 9, 12, 15, 18}), sizeof got);
    out.rows = 3, out.batch[0] = 2;
    succeed(quern_run(op, QUERN_ARGS({"x", halves}, {"y", halves}), out));
    succeed(quern_array_read(a, quern_f32(got, 6, 1)));
    assert_memory_equal(got, ((float[]){6, 12, 18, 60, 75, 90}), sizeof got);
    expect_failure(quern_copy(context, quern_array_view(a), halves), QUERN_USAGE, "has a batch");
    expect_failure(quern_copy(context, quern_array_view(a), quern_view_rows(halves, 0, 1)), QUERN_SHAPE, "negative");
    quern_array_destroy(&x);
    quern_array_destroy(&a);
    quern_operator_destroy(&op);
}

// ---- bad input ----

static void bad_batches_are_refused(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile("x=Vi(1); y=Vj(1); p=Pm(1); Sum_j(p*x*y)", NULL);
    float data[64] = {0}, out[64];
    quern_view x = quern_f32(data, 2, 1), y = quern_f32(data, 3, 1), p = quern_number(1), a = quern_f32(out, 2, 1);
#define RUN(x, y, p, a) quern_run(op, QUERN_ARGS({"x", x}, {"y", y}, {"p", p}), a)
    expect_failure(RUN(quern_in_batch(x, 4), quern_in_batch(y, 3), p, quern_in_batch(a, 4)), QUERN_SHAPE,
                   "y has a batch of 3, those before it one of 4");
    expect_failure(RUN(quern_in_batch(x, 4), y, p, a), QUERN_SHAPE,
                   "the result has the batch none; that of the arguments is 4");
    expect_failure(RUN(x, y, p, quern_in_batch(a, 2)), QUERN_SHAPE,
                   "the result has the batch 2; that of the arguments is none");
    expect_failure(RUN(quern_in_batch(x, -1), y, p, a), QUERN_SHAPE, "the batch of x has the size -1");
    expect_failure(RUN(quern_in_batch(x, 2), y, quern_in_batch(p, 2), quern_in_batch(a, 2)), QUERN_USAGE,
                   "p is a number, which all members of a batch share");
    expect_failure(RUN(quern_in_batch(x, INT64_MAX / 3), y, p, a), QUERN_MEMORY, "too large");
    quern_view gap = x;
    gap.batch[1] = 2;
    expect_failure(RUN(gap, y, p, a), QUERN_SHAPE, "the batch of x has the size 0 before another one");
#undef RUN
    quern_operator_destroy(&op);
}

static void try_offsets(quern_operator *op, const quern_run_options *options, quern_view p, quern_status status,
                        const char *part)
{
    float data[8] = {0}, out[8];
    quern_args args = QUERN_ARGS({"x", quern_f32(data, 4, 1)}, {"y", quern_f32(data, 5, 1)}, {"p", p});
    expect_failure(quern_run_with(op, args, QUERN_OUTS(quern_f32(out, 4, 1)), options), status, part);
}

static void bad_offsets_are_refused(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile("x=Vi(1); y=Vj(1); p=Pm(1); Sum_j(p*x*y)", NULL);
    const int64_t i[] = {0, 1, 4}, j[] = {0, 2, 5}, falls[] = {0, 3, 2}, late[] = {1, 2, 5}, few[] = {0, 1, 3};
    float numbers[3] = {0};
    quern_view p = quern_number(1);
#define WITH(...) &(quern_run_options){.size = sizeof(quern_run_options), __VA_ARGS__}
    try_offsets(op, WITH(.members = 2, .offsets_i = i), p, QUERN_USAGE, "offsets_j");
    try_offsets(op, WITH(.members = 2, .offsets_j = j), p, QUERN_USAGE, "offsets_i");
    try_offsets(op, WITH(.offsets_i = i, .offsets_j = j), p, QUERN_USAGE, "members is 0");
    try_offsets(op, WITH(.members = 2, .offsets_i = i, .offsets_j = falls), p, QUERN_SHAPE,
                "offsets_j: member 1 has the rows from 3 to 2");
    try_offsets(op, WITH(.members = 2, .offsets_i = i, .offsets_j = late), p, QUERN_SHAPE, "begin with 0");
    try_offsets(op, WITH(.members = 2, .offsets_i = few, .offsets_j = j), p, QUERN_SHAPE,
                "offsets_i: the last member ends at row 3, but arrays of axis i have 4 rows");
    try_offsets(op, WITH(.members = 2, .offsets_i = i, .offsets_j = j), quern_f32(numbers, 3, 1), QUERN_SHAPE,
                "p is a parameter and must have 1 row or 2 rows, one for each member, not 3");
    const quern_span rows = {0, 2}, whole = {0, 5}, first_row = {0, 1};
    const int64_t first[] = {0, 1};
    const quern_ranges across = {1, &rows, first, &whole}, wide = {1, &first_row, first, &whole};
    try_offsets(op, WITH(.ranges = &across, .members = 2, .offsets_i = i, .offsets_j = j), p, QUERN_SHAPE,
                "the rows 0 to 2 leave their member of the batch, which ends at 1");
    try_offsets(op, WITH(.ranges = &wide, .members = 2, .offsets_i = i, .offsets_j = j), p, QUERN_SHAPE,
                "the columns 0 to 5 leave their member");
#undef WITH
    quern_operator_destroy(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single),
        cmocka_unit_test(precise),
        cmocka_unit_test(arrays_on_the_device),
        cmocka_unit_test(bad_batches_are_refused),
        cmocka_unit_test(bad_offsets_are_refused),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
