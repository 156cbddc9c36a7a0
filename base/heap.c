/* SPDX-License-Identifier: MIT
 * heap.c - see heap.h. */
#include "base/heap.h"

#include <string.h>

#include "base/result.h"

void heap_init(struct heap *heap, struct heap_entry *entries, uint32_t *positions,
               uint32_t capacity)
{
    *heap = (struct heap){entries, positions, 0, capacity};
    if (capacity > 0)
        memset(positions, 0, (size_t)capacity * sizeof *positions);
}

void heap_grow(struct heap *heap, struct heap_entry *entries, uint32_t *positions,
               uint32_t capacity)
{
    REQUIRE(capacity >= heap->capacity);
    if (capacity > heap->capacity)
        memset(positions + heap->capacity, 0,
               (size_t)(capacity - heap->capacity) * sizeof *positions);
    heap->entries = entries;
    heap->positions = positions;
    heap->capacity = capacity;
}

static bool entry_less(const struct heap_entry *a, const struct heap_entry *b)
{
    return a->key < b->key || (a->key == b->key && a->id < b->id);
}

static void heap_place(struct heap *heap, uint32_t index, struct heap_entry entry)
{
    heap->entries[index] = entry;
    heap->positions[entry.id] = index + 1;
}

static void sift_up(struct heap *heap, uint32_t index, struct heap_entry entry)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;

        if (!entry_less(&entry, &heap->entries[parent]))
            break;
        heap_place(heap, index, heap->entries[parent]);
        index = parent;
    }
    heap_place(heap, index, entry);
}

static void sift_down(struct heap *heap, uint32_t index, struct heap_entry entry)
{
    for (;;) {
        uint32_t child = 2 * index + 1;

        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && entry_less(&heap->entries[child + 1], &heap->entries[child]))
            child++;
        if (!entry_less(&heap->entries[child], &entry))
            break;
        heap_place(heap, index, heap->entries[child]);
        index = child;
    }
    heap_place(heap, index, entry);
}

/* Put `entry` at `index` or wherever the order wants it from there. */
static void heap_settle(struct heap *heap, uint32_t index, struct heap_entry entry)
{
    if (index > 0 && entry_less(&entry, &heap->entries[(index - 1) / 2]))
        sift_up(heap, index, entry);
    else
        sift_down(heap, index, entry);
}

void heap_set(struct heap *heap, uint32_t id, int64_t key)
{
    struct heap_entry entry = {key, id};

    REQUIRE(id < heap->capacity);
    if (heap->positions[id] != 0) {
        heap_settle(heap, heap->positions[id] - 1, entry);
    } else {
        REQUIRE(heap->count < heap->capacity);
        heap->count++;
        sift_up(heap, heap->count - 1, entry);
    }
}

void heap_remove(struct heap *heap, uint32_t id)
{
    uint32_t index;
    struct heap_entry last;

    if (!heap_contains(heap, id))
        return;
    index = heap->positions[id] - 1;
    heap->positions[id] = 0;
    heap->count--;
    last = heap->entries[heap->count];
    if (last.id != id)
        heap_settle(heap, index, last);
}

bool heap_contains(const struct heap *heap, uint32_t id)
{
    return id < heap->capacity && heap->positions[id] != 0;
}

int64_t heap_first_key(const struct heap *heap)
{
    return heap->count > 0 ? heap->entries[0].key : INT64_MAX;
}

uint32_t heap_first_id(const struct heap *heap)
{
    REQUIRE(heap->count > 0);
    return heap->entries[0].id;
}
