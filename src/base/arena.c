/*
 * arena.c: memory that is released all at once, growing arrays, sizes.
 *
 * An arena is a list of blocks, the newest first; only the newest is allocated from. Blocks double up to a limit, so a
 * big graph costs few allocations and a small one little memory. Invariant: unused bytes of a block are zero (calloc),
 * and every address given out is aligned for any type.
 */
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum {
    FIRST_BLOCK = 4096,
    LAST_BLOCK = 1 << 20,
    ALIGNMENT = alignof(max_align_t),
};

/* No object is larger: differences of pointers into it must fit. */
#define LARGEST ((size_t)PTRDIFF_MAX)

struct q_arena_block {
    struct q_arena_block *next;
    size_t size, used;
    alignas(max_align_t) unsigned char bytes[];
};

static struct q_arena_block *add_block(q_arena *arena, size_t need)
{
    size_t size = FIRST_BLOCK;
    if (arena->blocks) size = arena->blocks->size < LAST_BLOCK ? 2 * arena->blocks->size : LAST_BLOCK;
    if (size < need) size = need;
    struct q_arena_block *block = calloc(1, sizeof *block + size);
    if (!block) return NULL;
    block->size = size;
    block->next = arena->blocks;
    return arena->blocks = block;
}

void *q_arena_alloc(q_arena *arena, size_t size)
{
    if (size > LARGEST - ALIGNMENT) return NULL;
    size_t need = size ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    struct q_arena_block *block = arena->blocks;
    if (!block || block->size - block->used < need) block = add_block(arena, need);
    if (!block) return NULL;
    void *memory = block->bytes + block->used;
    block->used += need;
    return memory;
}

char *q_arena_strdup(q_arena *arena, const char *text, size_t size)
{
    char *copy = size < LARGEST ? q_arena_alloc(arena, size + 1) : NULL;
    if (copy && size) memcpy(copy, text, size);
    return copy;
}

void q_arena_free(q_arena *arena)
{
    while (arena->blocks) {
        struct q_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
}

bool q_grow(void *data, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity) return true;
    size_t wanted = *capacity <= SIZE_MAX / 2 ? 2 * *capacity : SIZE_MAX, bytes;
    if (wanted < need) wanted = need;
    if (wanted < 8) wanted = 8;
    if (!q_mul_size(wanted, size, &bytes) || bytes > LARGEST) return false;
    void *block; /* `data` is the address of a pointer to elements of any type: only memcpy may touch it */
    memcpy(&block, data, sizeof block);
    block = realloc(block, bytes);
    if (!block) return false;
    memcpy(data, &block, sizeof block);
    *capacity = wanted;
    return true;
}

bool q_mul_size(size_t a, size_t b, size_t *out)
{
    if (b && a > SIZE_MAX / b) return false;
    *out = a * b;
    return true;
}

void quern_free(void *memory)
{
    free(memory);
}
