/* SPDX-License-Identifier: MIT
 * intern.c - a small hash table that only grows. */
#include "config/intern.h"

#include <stdlib.h>
#include <string.h>

#include "base/result.h"
#include "base/text.h"

void intern_init(struct intern *intern)
{
    *intern = (struct intern){0};
    arena_init(&intern->arena);
}

void intern_deinit(struct intern *intern)
{
    free(intern->entries);
    free(intern->slots);
    arena_deinit(&intern->arena);
}

static void grow(struct intern *intern)
{
    uint32_t capacity = intern->capacity == 0 ? 64 : intern->capacity * 2;

    intern->entries = realloc(intern->entries, capacity * sizeof *intern->entries);
    free(intern->slots);
    intern->slot_count = capacity * 2;
    intern->slots = calloc(intern->slot_count, sizeof *intern->slots);
    REQUIRE(intern->entries != NULL && intern->slots != NULL);
    intern->capacity = capacity;
    for (uint32_t i = 0; i < intern->count; i++) {
        uint32_t slot = (uint32_t)intern->entries[i].hash & (intern->slot_count - 1);

        while (intern->slots[slot] != 0)
            slot = (slot + 1) & (intern->slot_count - 1);
        intern->slots[slot] = i + 1;
    }
}

uint32_t intern_add(struct intern *intern, const void *key, size_t length, bool *is_new)
{
    uint64_t hash = hash_bytes(key, length, 0);
    struct intern_entry *entry;
    uint32_t slot;

    if (intern->count == intern->capacity)
        grow(intern);
    slot = (uint32_t)hash & (intern->slot_count - 1);
    for (; intern->slots[slot] != 0; slot = (slot + 1) & (intern->slot_count - 1)) {
        entry = &intern->entries[intern->slots[slot] - 1];
        if (entry->hash == hash && entry->length == length &&
            memcmp(entry->key, key, length) == 0) {
            *is_new = false;
            return intern->slots[slot] - 1;
        }
    }
    entry = &intern->entries[intern->count];
    *entry = (struct intern_entry){.hash = hash,
                                   .key = arena_copy_packed(&intern->arena, key, length),
                                   .length = (uint32_t)length};
    REQUIRE(entry->key != NULL);
    intern->slots[slot] = ++intern->count;
    *is_new = true;
    return intern->count - 1;
}
