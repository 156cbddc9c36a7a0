/* SPDX-License-Identifier: MIT
 *
 * intern.h - each distinct key once, numbered in the order of arrival.
 *
 * Layer:  config, internal. Open addressing over 32-bit numbers; keys lie in an arena.
 */
#ifndef REFRESHD_CONFIG_INTERN_H
#define REFRESHD_CONFIG_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct intern_entry {
    uint64_t hash;
    const char *key; /* followed by a NUL */
    uint32_t length;
    uint32_t value; /* the user's own */
};

struct intern {
    struct arena arena;
    struct intern_entry *entries;
    uint32_t count;
    uint32_t capacity;
    uint32_t *slots; /* number + 1; 0: free */
    uint32_t slot_count;
};

void intern_init(struct intern *intern);
void intern_deinit(struct intern *intern);

/* The number of a key, added when it is new. */
uint32_t intern_add(struct intern *intern, const void *key, size_t length, bool *is_new);

#endif
