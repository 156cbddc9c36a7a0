/* SPDX-License-Identifier: MIT
 * state_numbers.c - a set of consent numbers, one bit each. */
#include "state/state_private.h"

#include <stdlib.h>
#include <string.h>

bool number_set_add(struct number_set *set, uint32_t number)
{
    uint32_t word = number / 64;
    uint64_t bit = UINT64_C(1) << (number % 64);

    if (word >= set->word_count) {
        uint32_t count = word + word / 4 + 64;
        uint64_t *grown = realloc(set->words, count * sizeof *grown);

        if (grown == NULL)
            return false;
        memset(grown + set->word_count, 0, (count - set->word_count) * sizeof *grown);
        set->words = grown;
        set->word_count = count;
    }
    if ((set->words[word] & bit) == 0) {
        set->words[word] |= bit;
        set->count++;
    }
    return true;
}

void number_set_remove(struct number_set *set, uint32_t number)
{
    if (number_set_has(set, number)) {
        set->words[number / 64] &= ~(UINT64_C(1) << (number % 64));
        set->count--;
    }
}

bool number_set_has(const struct number_set *set, uint32_t number)
{
    return number / 64 < set->word_count && (set->words[number / 64] >> (number % 64) & 1) != 0;
}

uint32_t number_set_next(const struct number_set *set, uint32_t from)
{
    uint32_t word = from / 64;
    uint64_t bits;

    if (word >= set->word_count)
        return 0;
    bits = set->words[word] & (UINT64_MAX << (from % 64));
    while (bits == 0) {
        if (++word >= set->word_count)
            return 0;
        bits = set->words[word];
    }
    return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

void number_set_clear(struct number_set *set)
{
    if (set->words != NULL)
        memset(set->words, 0, set->word_count * sizeof *set->words);
    set->count = 0;
}

void number_set_deinit(struct number_set *set)
{
    free(set->words);
    *set = (struct number_set){0};
}
