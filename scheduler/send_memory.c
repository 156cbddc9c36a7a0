/* SPDX-License-Identifier: MIT
 * send_memory.c - see send_memory.h. */
#include "scheduler/send_memory.h"

#include <string.h>

#define MINUTE_US (MS_PER_MINUTE * US_PER_MS)
#define QUARTER_US (15 * MINUTE_US)

/* Division that rounds down: the monotonic clock of a test may begin below zero. */
static int64_t bucket_of(int64_t us, int64_t length_us)
{
    return us / length_us - (us % length_us < 0);
}

static uint32_t place_of(int64_t bucket, uint32_t count)
{
    int64_t place = bucket % count;

    return (uint32_t)(place < 0 ? place + count : place);
}

void send_memory_clear(struct send_memory *memory)
{
    memset(memory, 0, sizeof *memory);
    memory->minute = INT64_MIN;
    memory->quarter = INT64_MIN;
}

static void note(uint32_t *counts, uint32_t count, int64_t *newest, int64_t bucket)
{
    if (*newest == INT64_MIN)
        *newest = bucket;
    if (bucket + count <= *newest)
        return;
    if (bucket - *newest >= count)
        memset(counts, 0, count * sizeof *counts);
    else
        for (int64_t empty = *newest + 1; empty <= bucket; empty++)
            counts[place_of(empty, count)] = 0;
    if (bucket > *newest)
        *newest = bucket;
    if (counts[place_of(bucket, count)] < UINT32_MAX)
        counts[place_of(bucket, count)]++;
}

void send_memory_note(struct send_memory *memory, struct mono_time at)
{
    note(memory->minutes, SEND_MEMORY_MINUTES, &memory->minute, bucket_of(at.us, MINUTE_US));
    note(memory->quarters, SEND_MEMORY_QUARTERS, &memory->quarter, bucket_of(at.us, QUARTER_US));
}

static void fill(const uint32_t *counts, uint32_t count, int64_t newest, int64_t length_us,
                 struct mono_time now, struct rate_window *window)
{
    if (newest == INT64_MIN)
        return;
    for (int64_t bucket = newest - count + 1; bucket <= newest; bucket++) {
        struct mono_time end = {(bucket + 1) * length_us};
        uint32_t sent = counts[place_of(bucket, count)];

        if (end.us > now.us)
            end = now;
        for (uint32_t i = 0; i < sent && i < window->count; i++)
            rate_window_remember(window, end);
    }
}

void send_memory_fill(const struct send_memory *memory, struct mono_time now,
                      struct rate_window *window)
{
    if (memory->minute == INT64_MIN ||
        bucket_of(now.us - window->span_us, MINUTE_US) > memory->minute)
        return; /* nothing left in the last span */
    if (window->span_us < MINUTE_US)
        for (uint32_t i = 0; i < window->count; i++)
            rate_window_remember(window, now);
    else if (window->span_us <= (SEND_MEMORY_MINUTES - 1) * MINUTE_US)
        fill(memory->minutes, SEND_MEMORY_MINUTES, memory->minute, MINUTE_US, now, window);
    else
        fill(memory->quarters, SEND_MEMORY_QUARTERS, memory->quarter, QUARTER_US, now, window);
}
