/* SPDX-License-Identifier: MIT
 *
 * heap.h - indexed binary heap: the smallest (key, id) first, any id moved or removed.
 *
 * Layer:  base (libc only). Pure: no allocation; the caller lends both arrays.
 * Order:  by key, then by id: a total order, so that replays are the same everywhere.
 * Ids:    0..capacity-1, each at most once in the heap.
 * Cost:   O(log n) per change, 16 bytes an entry and 4 bytes an id.
 */
#ifndef REFRESHD_BASE_HEAP_H
#define REFRESHD_BASE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

struct heap_entry {
    int64_t key;
    uint32_t id;
};

struct heap {
    struct heap_entry *entries; /* borrowed, `capacity` of them */
    uint32_t *positions;        /* borrowed; position + 1 of each id, 0 when absent */
    uint32_t count;
    uint32_t capacity;
};

/* Empty heap over the caller's arrays; clears `positions`. */
void heap_init(struct heap *heap, struct heap_entry *entries, uint32_t *positions,
               uint32_t capacity);
/* The same content over larger arrays whose first `heap->capacity` elements are already copied
 * (realloc did it); clears the new positions. */
void heap_grow(struct heap *heap, struct heap_entry *entries, uint32_t *positions,
               uint32_t capacity);
/* Put `id` in with `key`, or move it there when it is in. Requires: id < capacity. */
void heap_set(struct heap *heap, uint32_t id, int64_t key);
/* Take `id` out; nothing happens when it is not in. */
void heap_remove(struct heap *heap, uint32_t id);
bool heap_contains(const struct heap *heap, uint32_t id);
/* The smallest key, or INT64_MAX when empty. */
int64_t heap_first_key(const struct heap *heap);
/* The id with the smallest key. Requires: count > 0. */
uint32_t heap_first_id(const struct heap *heap);

#endif
