/* SPDX-License-Identifier: MIT
 * sandbox_ids.c - a four-round Feistel network over the number, a keyed hash for the rest. */
#include "sandbox/sandbox_ids.h"

#include <stddef.h>
#include <string.h>

#include "sandbox/sandbox_words.h"

static uint32_t round_value(uint64_t key, uint32_t round, uint32_t half)
{
    return (uint32_t)(sandbox_mix(key + round, half) & 0xFFFF);
}

static uint32_t scramble(uint64_t key, uint32_t number)
{
    uint32_t left = number >> 16;
    uint32_t right = number & 0xFFFF;

    for (uint32_t round = 0; round < 4; round++) {
        uint32_t next = left ^ round_value(key, round, right);

        left = right;
        right = next;
    }
    return left << 16 | right;
}

static uint32_t unscramble(uint64_t key, uint32_t scrambled)
{
    uint32_t left = scrambled >> 16;
    uint32_t right = scrambled & 0xFFFF;

    for (uint32_t round = 4; round-- > 0;) {
        uint32_t previous = right ^ round_value(key, round, left);

        right = left;
        left = previous;
    }
    return left << 16 | right;
}

static char *write_hex(char *out, uint64_t value, int digits)
{
    static const char hex[] = "0123456789abcdef";

    for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4)
        *out++ = hex[value >> shift & 0xF];
    return out;
}

char *sandbox_id_write(char out[SANDBOX_ID_SIZE], uint64_t seed, uint32_t kind, uint32_t number)
{
    uint64_t key = sandbox_mix(seed, kind);
    uint64_t high = sandbox_mix(key, number);
    uint64_t low = sandbox_mix(high, key);
    char *p = write_hex(out, scramble(key, number), 8);

    *p++ = '-';
    p = write_hex(p, high & 0xFFFF, 4);
    *p++ = '-';
    *p++ = '4';
    p = write_hex(p, high >> 16 & 0xFFF, 3);
    *p++ = '-';
    p = write_hex(p, (high >> 32 & 0x3FFF) | 0x8000, 4);
    *p++ = '-';
    p = write_hex(p, low & 0xFFFFFFFFFFFF, 12);
    *p = '\0';
    return out;
}

bool sandbox_id_read(const char *text, uint64_t seed, uint32_t kind, uint32_t *number)
{
    char expected[SANDBOX_ID_SIZE];
    uint32_t scrambled = 0;
    uint32_t found;

    if (strlen(text) != SANDBOX_ID_SIZE - 1)
        return false;
    for (size_t i = 0; i < 8; i++) {
        char c = text[i];

        if (c >= '0' && c <= '9')
            scrambled = scrambled << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            scrambled = scrambled << 4 | (uint32_t)(c - 'a' + 10);
        else
            return false;
    }
    found = unscramble(sandbox_mix(seed, kind), scrambled);
    if (strcmp(sandbox_id_write(expected, seed, kind, found), text) != 0)
        return false;
    *number = found;
    return true;
}
