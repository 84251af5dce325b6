/*
 * test_matrix.c: the arithmetic of cl/matrix.cl, whose text is C as well: numbers of 16 bits, splitting, and sums as matrix
 * units round them.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "helpers.h"

typedef uint32_t uint;

static inline uint as_uint(float value)
{
    uint bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float as_float(uint bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define max(a, b) ((a) > (b) ? (a) : (b))
#define ldexp ldexpf
#define Q_FN static inline
#define Q_ON_HOST
#define Q_FOLDED 1
#define Q_K_DIM 3
#define fma fmaf
#include "matrix.cl"
#undef ldexp
#undef fma

static float near(random_source *random, double low, double high)
{
    return (float)random_between(random, low, high);
}

static void numbers_of_16_bits_are_those_of_the_library(void **state)
{
    (void)state;
    for (uint bits = 0; bits < 0x10000; bits++) {
        uint16_t half = (uint16_t)bits;
        double value = q_element_read(QUERN_F16, &half);
        float got = q_float16(bits);
        assert_true(isnan(value) ? isnan(got) : (double)got == value);
        if (!isnan(value)) assert_int_equal(q_bits16(got), bits);
    }
    assert_int_equal(q_bits16(NAN), 0x7e00);
    random_source random = {1};
    for (int n = 0; n < 100000; n++) {
        float value = (float)ldexp(random_between(&random, -2, 2), (int)random_between(&random, -30, 18));
        uint16_t half;
        q_element_write(QUERN_F16, &half, (double)value);
        if (q_bits16(value) != half) fail_msg("%a is %x, not %x", (double)value, q_bits16(value), half);
    }
}

/* Two parts have 22 bits of a number, as long as the second part does not leave the range of float16. */
static void parts_add_up(void **state)
{
    (void)state;
    random_source random = {2};
    for (int n = 0; n < 100000; n++) {
        float a = (float)ldexp(random_between(&random, -1, 1), (int)random_between(&random, -3, 15)), b = -a / 3;
        float rest_a = a, rest_b = b;
        uint parts[Q_PARTS];
        q_split(parts, &rest_a, &rest_b);
        float sum = q_float16(parts[0] & 0xffff) + q_float16(parts[1] & 0xffff);
        float other = q_float16(parts[0] >> 16) + q_float16(parts[1] >> 16);
        assert_true(sum + rest_a == a && other + rest_b == b);
        assert_true(fabsf(rest_a) <= fmaxf(0x1p-22f * fabsf(a), 0x1p-25f));
        assert_true(fabsf(rest_b) <= fmaxf(0x1p-22f * fabsf(b), 0x1p-25f));
    }
}

/* On the side of 0, less than 9 units of the last of 24 bits off, one of the result's own and one in two of each addend; exact where nothing is
   shifted out. */
static void sums_are_cut_off(void **state)
{
    (void)state;
    random_source random = {3};
    for (int n = 0; n < 100000; n++) {
        float products[8], c = near(&random, 0, 2), got;
        double exact = (double)c, largest = (double)c;
        for (int k = 0; k < 8; k++) {
            products[k] = q_float16(q_bits16(near(&random, 0, 1))) * q_float16(q_bits16(near(&random, 0, 1)));
            exact += (double)products[k];
            largest = fmax(largest, (double)products[k]);
        }
        got = q_matrix_add(c, products);
        assert_true((double)got <= exact && exact - (double)got <= 9 * 0x1p-24 * largest + 0x1p-23 * exact);
        for (int k = 0; k < 8; k++) products[k] = -products[k];
        assert_true(q_matrix_add(-c, products) == -got);
    }
    float whole[8] = {1, -2, 3, 4, -5, 6, 1024, 8};
    assert_true(q_matrix_add(7, whole) == 1046);
    float nothing[8] = {0};
    assert_true(q_matrix_add(0, nothing) == 0 && q_matrix_add(0.3f, nothing) == 0.3f);
    float far[8] = {0x1p-30f, 0x1p-30f, 0x1p-30f, 0x1p-30f};
    assert_true(q_matrix_add(1, far) == 1 && q_matrix_add(0, far) == 0x1p-28f);
    float infinite[8] = {INFINITY}, unknown[8] = {INFINITY, -INFINITY};
    assert_true(q_matrix_add(1, infinite) == INFINITY && isnan(q_matrix_add(1, unknown)));
}

/* One product of a row's and a column's places is their squared distance; what cutting off costs is relative to their squares. */
static void folded_places_give_distances(void **state)
{
    (void)state;
    random_source random = {4};
    for (int n = 0; n < 100000; n++) {
        float x[Q_K_DIM], y[Q_K_DIM], scale = (float)ldexp(1, (int)random_between(&random, -4, 6));
        uint row[16], column[16], words[2][8];
        double exact = 0;
        for (int d = 0; d < Q_K_DIM; d++) {
            x[d] = scale * near(&random, -1, 1),
            y[d] = n % 2 ? scale * near(&random, -1, 1) : x[d] + near(&random, 0, 1e-3);
            exact += ((double)x[d] - (double)y[d]) * ((double)x[d] - (double)y[d]);
        }
        float squares = q_fold(row, x, 1) + q_fold(column, y, 0);
        for (int w = 0; w < 8; w++) {
            words[0][w] = row[2 * w] | row[2 * w + 1] << 16;
            words[1][w] = column[2 * w] | column[2 * w + 1] << 16;
        }
        double error = fabs((double)q_matrix_dot(0, words[0], words[1]) - exact);
        if (!(error <= 28 * 0x1p-24 * fmax((double)squares, 0x1p-4)))
            fail_msg("a distance of %g, of squares of %g, is off by %g", exact, (double)squares, error);
    }
}

/* Each lane has a word of its own, and components in pairs. */
static void words_have_their_places(void **state)
{
    (void)state;
    for (int columns = 0; columns < 2; columns++) {
        bool taken[128] = {false};
        for (int at = 0; at < 16; at++)
            for (int w = 0; w < 8; w++) {
                int word = q_matrix_word(at, w, columns);
                assert_true(word >= 0 && word < 128 && !taken[word]);
                assert_int_equal(word / 4, at % 8 * 4 + w % 4);
                taken[word] = true;
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_16_bits_are_those_of_the_library),
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(sums_are_cut_off),
        cmocka_unit_test(folded_places_give_distances),
        cmocka_unit_test(words_have_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
