/* SPDX-License-Identifier: MIT
 * slot_sort.c - see slot_sort.h. */
#include "scheduler/slot_sort.h"

#include <string.h>

#define INSERTION_MAX 24
#define TOP_SHIFT 56

static uint64_t slot_key(const struct slot *slot)
{
    return (uint64_t)slot->phase << 32 | slot->consent;
}

static void insertion_sort(struct slot *slots, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct slot moved = slots[i];
        uint32_t place = i;

        for (; place > 0 && slot_key(&slots[place - 1]) > slot_key(&moved); place--)
            slots[place] = slots[place - 1];
        slots[place] = moved;
    }
}

/* Put every slot into the bucket of the byte at `shift`; ends[b] is where bucket b ends. */
static void flag_permute(struct slot *slots, uint32_t count, int shift, uint32_t ends[256])
{
    uint32_t next[256];
    uint32_t counts[256];
    uint32_t total = 0;

    memset(counts, 0, sizeof counts);
    for (uint32_t i = 0; i < count; i++)
        counts[slot_key(&slots[i]) >> shift & 255]++;
    for (uint32_t bucket = 0; bucket < 256; bucket++) {
        next[bucket] = total;
        total += counts[bucket];
        ends[bucket] = total;
    }
    for (uint32_t bucket = 0; bucket < 256; bucket++) {
        while (next[bucket] < ends[bucket]) {
            struct slot *here = &slots[next[bucket]];
            uint32_t wanted = (uint32_t)(slot_key(here) >> shift & 255);
            struct slot other;

            if (wanted == bucket) {
                next[bucket]++;
                continue;
            }
            other = slots[next[wanted]];
            slots[next[wanted]++] = *here;
            *here = other;
        }
    }
}

/* Depth is at most eight: one level a byte of the key. */
static void flag_sort(struct slot *slots, uint32_t count, int shift)
{
    uint32_t ends[256];
    uint32_t start = 0;

    if (count <= INSERTION_MAX) {
        insertion_sort(slots, count);
        return;
    }
    flag_permute(slots, count, shift, ends);
    if (shift == 0)
        return;
    for (uint32_t bucket = 0; bucket < 256; bucket++) {
        flag_sort(slots + start, ends[bucket] - start, shift - 8);
        start = ends[bucket];
    }
}

void slot_sort(struct slot *slots, uint32_t count)
{
    flag_sort(slots, count, TOP_SHIFT);
}
