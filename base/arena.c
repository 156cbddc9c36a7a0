/* SPDX-License-Identifier: MIT
 * arena.c - bump allocation in blocks of 64 KiB and more. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)64 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t capacity;
    alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_deinit(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;

        free(arena->blocks);
        arena->blocks = next;
    }
    arena->bytes_used = 0;
}

static void *arena_take(struct arena *arena, size_t bytes, size_t alignment)
{
    struct arena_block *block = arena->blocks;
    size_t start = 0;

    if (block != NULL)
        start = (block->used + alignment - 1) / alignment * alignment;
    if (block == NULL || start > block->capacity || bytes > block->capacity - start) {
        size_t capacity = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;

        if (capacity > SIZE_MAX - sizeof *block)
            return NULL;
        block = malloc(sizeof *block + capacity);
        if (block == NULL)
            return NULL;
        block->used = 0;
        block->capacity = capacity;
        start = 0;
        if (arena->blocks != NULL && capacity != BLOCK_BYTES) {
            /* A large piece gets a block of its own behind the current one, so that the
             * room left in the current one is still used. */
            block->next = arena->blocks->next;
            arena->blocks->next = block;
        } else {
            block->next = arena->blocks;
            arena->blocks = block;
        }
    }
    block->used = start + bytes;
    arena->bytes_used += bytes;
    return block->bytes + start;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    void *memory = arena_take(arena, bytes == 0 ? 1 : bytes, alignof(max_align_t));

    if (memory != NULL)
        memset(memory, 0, bytes);
    return memory;
}

static char *arena_copy_aligned(struct arena *arena, const char *bytes, size_t length,
                                size_t alignment)
{
    char *copy = arena_take(arena, length + 1, alignment);

    if (copy != NULL) {
        if (length > 0)
            memcpy(copy, bytes, length);
        copy[length] = '\0';
    }
    return copy;
}

char *arena_copy(struct arena *arena, const char *bytes, size_t length)
{
    return arena_copy_aligned(arena, bytes, length, alignof(max_align_t));
}

char *arena_copy_packed(struct arena *arena, const char *bytes, size_t length)
{
    return arena_copy_aligned(arena, bytes, length, 1);
}
