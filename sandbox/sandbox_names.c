/* SPDX-License-Identifier: MIT
 * sandbox_names.c - interning of bank names. */
#include "sandbox/sandbox_names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/result.h"
#include "base/text.h"

void sandbox_names_init(struct sandbox_names *names)
{
    *names = (struct sandbox_names){0};
    arena_init(&names->arena);
}

void sandbox_names_deinit(struct sandbox_names *names)
{
    arena_deinit(&names->arena);
    free(names->texts);
    free(names->slots);
    *names = (struct sandbox_names){0};
}

static uint32_t *slot_of(const struct sandbox_names *names, const char *text)
{
    uint32_t mask = names->slot_count - 1;
    uint32_t i = (uint32_t)hash_bytes(text, strlen(text), 0) & mask;

    while (names->slots[i] != 0 && strcmp(names->texts[names->slots[i] - 1], text) != 0)
        i = (i + 1) & mask;
    return &names->slots[i];
}

static bool grow(struct sandbox_names *names)
{
    uint32_t capacity = names->capacity == 0 ? 64 : names->capacity * 2;
    const char **texts = realloc(names->texts, capacity * sizeof *texts);
    uint32_t *slots;

    if (texts == NULL)
        return false;
    names->texts = texts;
    slots = calloc((size_t)capacity * 2, sizeof *slots);
    if (slots == NULL)
        return false;
    free(names->slots);
    names->slots = slots;
    names->slot_count = capacity * 2;
    names->capacity = capacity;
    for (uint32_t i = 0; i < names->count; i++)
        *slot_of(names, names->texts[i]) = i + 1;
    return true;
}

uint32_t sandbox_names_number(struct sandbox_names *names, const char *text)
{
    uint32_t *slot;
    char *copy;

    if (names->count == names->capacity && !grow(names))
        return SANDBOX_NAME_NONE;
    slot = slot_of(names, text);
    if (*slot != 0)
        return *slot - 1;
    copy = arena_copy_packed(&names->arena, text, strlen(text));
    if (copy == NULL)
        return SANDBOX_NAME_NONE;
    names->texts[names->count] = copy;
    *slot = ++names->count;
    return *slot - 1;
}

const char *sandbox_names_text(const struct sandbox_names *names, uint32_t number)
{
    REQUIRE(number < names->count);
    return names->texts[number];
}
