/*
 * test_dtype.c: single elements of every type: values that each can hold come back, others are rounded to nearest even or
 * cut to the range.
 */
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "helpers.h"

static double there_and_back(quern_dtype dtype, double number)
{
    char element[9] = "........";
    q_element_write(dtype, element + 1, number); /* at an odd address */
    assert_int_equal(element[0], '.');
    return q_element_read(dtype, element + 1);
}

static void types_have_names_and_sizes(void **state)
{
    (void)state;
    const struct {
        quern_dtype dtype;
        const char *name;
        size_t size;
    } known[] = {{QUERN_F32, "float32", 4}, {QUERN_F64, "float64", 8}, {QUERN_I64, "int64", 8},
                 {QUERN_I32, "int32", 4},   {QUERN_F16, "float16", 2}, {QUERN_BF16, "bfloat16", 2}};
    for (size_t k = 0; k < Q_COUNT(known); k++) {
        assert_true(q_dtype_is_known(known[k].dtype));
        assert_string_equal(q_dtype_name(known[k].dtype), known[k].name);
        assert_int_equal(q_element_size(known[k].dtype), known[k].size);
    }
    assert_false(q_dtype_is_known((quern_dtype)7));
    assert_false(q_dtype_is_known((quern_dtype)-1));
}

/* Expected values: IEEE 754 binary16, and the upper half of binary32, by hand. */
static void numbers_are_rounded(void **state)
{
    (void)state;
    const struct {
        quern_dtype dtype;
        double number, expected;
    } cases[] = {
        {QUERN_F16, 1 + 0x1p-11, 1},
        {QUERN_F16, 1 + 3 * 0x1p-11, 1 + 0x1p-9},
        {QUERN_F16, 2049, 2048},
        {QUERN_F16, 65504, 65504},
        {QUERN_F16, 65519.99, 65504},
        {QUERN_F16, 65520, INFINITY},
        {QUERN_F16, -1e9, -INFINITY},
        {QUERN_F16, 0x1p-24, 0x1p-24},
        {QUERN_F16, 0x1p-25, 0},
        {QUERN_F16, 0x1.8p-25, 0x1p-24},
        {QUERN_F16, 0x1.ff8p-15, 0x1.ff8p-15},
        {QUERN_F16, 0x1.ffcp-15, 0x1p-14},
        {QUERN_BF16, 1 + 0x1p-8, 1},
        {QUERN_BF16, 1 + 3 * 0x1p-8, 1 + 0x1p-6},
        {QUERN_BF16, 3e38, 0x1.c4p127},
        {QUERN_BF16, 3.4e38, INFINITY},
        {QUERN_F32, 1e300, INFINITY},
        {QUERN_I32, 2.9, 2},
        {QUERN_I32, -3e9, -2147483648.0},
        {QUERN_I32, 3e9, 2147483647},
        {QUERN_I32, NAN, 0},
        {QUERN_I64, 1e300, 0x1p63},
        {QUERN_I64, -7, -7},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        double got = there_and_back(cases[c].dtype, cases[c].number);
        if (got != cases[c].expected)
            fail_msg("%s: %a became %a, not %a", q_dtype_name(cases[c].dtype), cases[c].number, got, cases[c].expected);
    }
    for (int d = QUERN_F32; d <= QUERN_BF16; d++)
        if (d != QUERN_I64 && d != QUERN_I32) {
            assert_true(isnan(there_and_back((quern_dtype)d, NAN)));
            assert_true(signbit(there_and_back((quern_dtype)d, -0.0)));
        }
}

/* What a type holds comes back: all float16 and bfloat16 numbers but NaN. */
static void all_short_numbers_come_back(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 65536; bits++)
        for (int d = QUERN_F16; d <= QUERN_BF16; d++) {
            uint16_t element = (uint16_t)bits, again;
            double number = q_element_read((quern_dtype)d, &element);
            q_element_write((quern_dtype)d, &again, number);
            if (!isnan(number) && again != element)
                fail_msg("%s: %04x became %04x", q_dtype_name((quern_dtype)d), bits, again);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_names_and_sizes),
        cmocka_unit_test(numbers_are_rounded),
        cmocka_unit_test(all_short_numbers_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
