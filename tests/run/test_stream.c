/*
 * test_stream.c: runs whose arrays the device's memory does not hold: rows in windows, columns in pieces. Where rows fill the
 * device the bits are those of a device that has all; otherwise, and with few rows, the numbers are the reference's.
 */
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

#define SMALL "rows=2 lanes32=4 lanes64=2 min_k=0 min_rhs=0"
#define PLAIN "rows=2 lanes32=1 lanes64=1 min_k=0 min_rhs=0"

static void on_line(void *user, const char *line)
{
    q_text_add(user, "%s\n", line);
}

static quern_context *open(uint64_t memory, q_text *lines)
{
    quern_context *made;
    quern_context_options options = {
        .size = sizeof options, .memory = memory, .host = QUERN_OFF, .log = on_line, .log_user = lines};
    succeed(quern_context_create(&made, &options));
    return made;
}

static const char *const formulas[] = {
    "x=Vi(3); y=Vj(3); b=Vj(2); p=Pm(1); Sum_j(p*Exp(-SqDist(x,y))*b), ArgMin_j(SqDist(x,y))",
    "x=Vi(3); y=Vj(3); Sum_i(Exp(-SqDist(x,y)))",
    "x=Vi(1); y=Vj(1); Sum_i(Square(Sum_j(Exp(-SqDist(x,y)))))",
    "x=Vi(2); 2*x",
};

/* In a context of little memory, beside the reference and, with the same bits, one of much. */
static void compare_runs(const char *text, quern_dtype dtype, int64_t M, int64_t N, bool same_bits)
{
    q_text lines = {0};
    const bool soft =
        context->profile.max_cols_per_item; /* llvmpipe, where vectors take minutes and groups are large */
    quern_context *little = open(dtype == QUERN_F64 ? 120000 : soft ? 80000 : 60000, &lines);
    quern_compile_options options = {.size = sizeof options, .profile = soft ? PLAIN : SMALL, .local = soft ? 16 : 0};
    quern_operator *op = compile(text, &options);
    trial all = trial_create(op, dtype, M, N, 5), some = trial_create(op, dtype, M, N, 5);
    trial_run(&all);
    some.contexts = (quern_context *[]){little};
    some.context_count = 1;
    trial_run(&some);
    trial_compare(&some, dtype == QUERN_F64 ? 1e-12 : 1e-5);
    for (size_t r = 0; r < op->result_count && same_bits; r++)
        assert_memory_equal(some.got[r], all.got[r], trial_result_count(&all, r) * sizeof(double));
    trial_destroy(&all);
    trial_destroy(&some);
    quern_operator_destroy(&op);
    assert_int_equal(little->session->memory_in_use, 0);
    quern_context_destroy(&little);
    q_text_free(&lines);
}

static void long_arrays_come_in_pieces(void **state)
{
    (void)state;
    need_device();
    for (size_t f = 0; f < Q_COUNT(formulas); f++) compare_runs(formulas[f], QUERN_F32, 3001, 7937, f == 0);
    compare_runs(formulas[3], QUERN_F32, 40000, 1, true);
}

static void few_rows_have_parts(void **state)
{
    (void)state;
    need_device();
    compare_runs(formulas[0], QUERN_F32, 3, 9001, false);
    compare_runs(formulas[0], QUERN_F32, 1, 8193, false);
}

static void so_it_is_in_float64(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    compare_runs(formulas[0], QUERN_F64, 2001, 6145, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_arrays_come_in_pieces),
        cmocka_unit_test(few_rows_have_parts),
        cmocka_unit_test(so_it_is_in_float64),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
