/*
 * test_text.c: what is made of memory: arenas, growing arrays, texts, distances, digests.
 */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static void arena_memory_is_zero_aligned_and_apart(void **state)
{
    (void)state;
    q_arena arena = {0};
    unsigned char *parts[300];
    for (size_t i = 0; i < Q_COUNT(parts); i++) {
        size_t size = i * i % 9001;
        parts[i] = q_arena_alloc(&arena, size);
        assert_non_null(parts[i]);
        assert_int_equal((uintptr_t)parts[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < size; k++) assert_int_equal(parts[i][k], 0);
        memset(parts[i], (int)(i % 255) + 1, size);
    }
    for (size_t i = 0; i < Q_COUNT(parts); i++)
        for (size_t k = 0; k < i * i % 9001; k++) assert_int_equal(parts[i][k], i % 255 + 1);
    assert_string_equal(q_arena_strdup(&arena, "abcdef", 3), "abc");
    assert_string_equal(q_arena_strdup(&arena, NULL, 0), "");
    assert_null(q_arena_alloc(&arena, SIZE_MAX));
    assert_null(q_arena_alloc(&arena, SIZE_MAX - 64));
    q_arena_free(&arena);
    assert_null(arena.blocks);
    q_arena_free(&arena);
}

static void arrays_grow_and_keep_their_elements(void **state)
{
    (void)state;
    int64_t *data = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 1000; i++) {
        size_t before = capacity;
        assert_true(q_grow(&data, &capacity, i + 1, sizeof *data));
        assert_true(capacity == before || capacity >= 2 * before);
        data[i] = (int64_t)i;
    }
    for (size_t i = 0; i < 1000; i++) assert_int_equal(data[i], i);
    int64_t *same = data;
    size_t capacity_then = capacity;
    assert_false(q_grow(&data, &capacity, SIZE_MAX / 4, sizeof *data));
    assert_ptr_equal(data, same);
    assert_int_equal(capacity, capacity_then);
    free(data);
}

static void sizes_multiply_with_a_check(void **state)
{
    (void)state;
    size_t out = 7;
    assert_true(q_mul_size(0, SIZE_MAX, &out) && out == 0);
    assert_true(q_mul_size(SIZE_MAX, 0, &out) && out == 0);
    assert_true(q_mul_size(SIZE_MAX / 2, 2, &out) && out == SIZE_MAX - 1);
    assert_false(q_mul_size(SIZE_MAX / 2 + 1, 2, &out));
}

static void texts_grow(void **state)
{
    (void)state;
    q_text text = {0};
    for (int i = 0; i < 1000; i++) q_text_add(&text, "%d,", i % 10);
    q_text_append(&text, "xyz", 2);
    assert_int_equal(text.size, 2002);
    assert_memory_equal(text.data + 1990, "5,6,7,8,9,xy", 13);
    char *taken = q_text_take(&text);
    assert_int_equal(strlen(taken), 2002);
    assert_null(text.data);
    free(taken);
    taken = q_text_take(&text);
    assert_string_equal(taken, "");
    free(taken);
    q_text_free(&text);
}

static void texts_remember_a_failure(void **state)
{
    (void)state;
    q_text text = {0};
    q_text_add(&text, "kept");
    q_text_append(&text, "", SIZE_MAX - 2);
    assert_true(text.failed);
    q_text_add(&text, "lost");
    assert_string_equal(text.data, "kept");
    assert_null(q_text_take(&text));
    assert_false(text.failed);
}

static void parts_are_found_in_any_case(void **state)
{
    (void)state;
    assert_true(q_contains("NVIDIA CUDA", 11, "nvidia"));
    assert_true(q_contains("an Error", 8, "ERROR"));
    assert_false(q_contains("an Error", 7, "error"));
    assert_true(q_contains("", 0, ""));
    assert_false(q_contains("", 0, "a"));
}

static void distances(void **state)
{
    (void)state;
    char a[100], b[100];
    assert_int_equal(q_edit_distance("", ""), 0);
    assert_int_equal(q_edit_distance("", "abc"), 3);
    assert_int_equal(q_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(q_edit_distance("SqDist", "SqDst"), 1);
    assert_int_equal(q_edit_distance("ab", "ba"), 2);
    memset(a, 'a', 99);
    memset(b, 'b', 99);
    a[99] = b[99] = 0;
    assert_int_equal(q_edit_distance(a, b), 63);
}

/* Published values of XXH3 and XXH128 with seed 0: a change of library or byte order would orphan every cache. */
static void digests_are_the_published_ones(void **state)
{
    (void)state;
    char hex[33];
    assert_true(q_hash64("", 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(q_hash64("abc", 3) == UINT64_C(0x78af5f94892f3950));
    q_digest_hex("", 0, hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    q_digest_hex("abc", 3, hex);
    assert_string_equal(hex, "06b05ab6733a618578af5f94892f3950");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_memory_is_zero_aligned_and_apart),
        cmocka_unit_test(arrays_grow_and_keep_their_elements),
        cmocka_unit_test(sizes_multiply_with_a_check),
        cmocka_unit_test(texts_grow),
        cmocka_unit_test(texts_remember_a_failure),
        cmocka_unit_test(parts_are_found_in_any_case),
        cmocka_unit_test(distances),
        cmocka_unit_test(digests_are_the_published_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
