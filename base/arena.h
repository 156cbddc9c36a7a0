/* SPDX-License-Identifier: MIT
 *
 * arena.h - bump allocator: many small allocations, freed as a whole.
 *
 * Layer:  base (libc only).
 * Memory: every pointer lives until arena_deinit. Nothing is freed alone.
 * Errors: arena_alloc returns NULL when memory is out; callers turn that into a fault.
 */
#ifndef REFRESHD_BASE_ARENA_H
#define REFRESHD_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t bytes_used;          /* handed out so far */
};

void arena_init(struct arena *arena);
void arena_deinit(struct arena *arena);

/* `bytes` zeroed bytes, aligned for any type; NULL when memory is out. */
void *arena_alloc(struct arena *arena, size_t bytes);
/* A NUL-ended copy of `length` bytes; NULL when memory is out. */
char *arena_copy(struct arena *arena, const char *bytes, size_t length);
/* As arena_copy, unaligned and so without padding: for millions of short texts. */
char *arena_copy_packed(struct arena *arena, const char *bytes, size_t length);

#endif
