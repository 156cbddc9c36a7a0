/* SPDX-License-Identifier: MIT
 * capacity.c - see capacity.h. */
#include "scheduler/capacity.h"

/* Windows that open and close more often than this before a deadline count as open from there. */
#define HOPS_MAX 256
#define SCALED_MAX (INT64_MAX / 4)

/* ---- open time ---- */

static bool is_always_open(const struct capacity_hours *hours)
{
    for (uint32_t i = 0; i < hours->count; i++)
        if (hours->list[i]->blackout_count > 0 || hours->list[i]->window_count > 0 ||
            hours->list[i]->maintenance_count > 0)
            return false;
    return true;
}

/* Answers are kept in copies: those of the nodes are about now. */
struct hours_copies {
    struct open_hours list[CAPACITY_HOURS_MAX];
    uint32_t count;
};

static void copy_hours(struct hours_copies *copies, const struct capacity_hours *hours)
{
    copies->count = hours->count;
    for (uint32_t i = 0; i < hours->count; i++)
        copies->list[i] = *hours->list[i];
}

/* Open at `at` or not, and until when at least. */
static bool is_open(struct hours_copies *copies, struct utc_time at, struct utc_time *until)
{
    struct utc_time closed_until = UTC_NONE;

    *until = UTC_NEVER;
    for (uint32_t i = 0; i < copies->count; i++) {
        struct utc_time opens = UTC_NEVER;

        if (open_hours_closed(&copies->list[i], at, &opens) != REASON_NONE)
            closed_until = utc_later(closed_until, opens);
        else
            *until = utc_sooner(*until, open_hours_next_change(&copies->list[i], at));
    }
    if (closed_until.ms == UTC_NONE.ms)
        return true;
    *until = closed_until;
    return false;
}

struct open_time capacity_open_time(const struct capacity_hours *hours, struct utc_time from,
                                    struct utc_time to)
{
    struct hours_copies copies;
    struct open_time open = {0, 0};
    struct utc_time at = from;

    if (at.ms < to.ms && is_always_open(hours))
        return (struct open_time){to.ms - from.ms, 1};
    copy_hours(&copies, hours);
    for (int hop = 0; at.ms < to.ms; hop++) {
        struct utc_time until = to;

        if (hop == HOPS_MAX || is_open(&copies, at, &until)) {
            until = utc_sooner(until, to);
            open.open_ms += until.ms - at.ms;
            open.stretches++;
        }
        at = until;
    }
    return open;
}

struct utc_time capacity_open_instant(const struct capacity_hours *hours, struct utc_time from,
                                      int64_t need_ms, struct utc_time to)
{
    struct hours_copies copies;
    struct utc_time at = from;

    if (is_always_open(hours))
        return utc_add_ms(from, need_ms);
    copy_hours(&copies, hours);
    for (int hop = 0; at.ms < to.ms && hop < HOPS_MAX; hop++) {
        struct utc_time until;

        if (is_open(&copies, at, &until)) {
            int64_t open_ms = utc_sooner(until, to).ms - at.ms;

            if (open_ms >= need_ms)
                break;
            need_ms -= open_ms;
        }
        at = utc_sooner(until, to);
    }
    return utc_add_ms(at, need_ms);
}

/* ---- the most ---- */

/* Remembered requests handed over at `at` or later. */
static uint32_t sent_since(const struct rate_window *window, int64_t at_us)
{
    uint32_t low = 0;
    uint32_t high = window->used;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (rate_window_at(window, middle).us < at_us)
            low = middle + 1;
        else
            high = middle;
    }
    return window->used - low;
}

static uint64_t window_most(const struct rate_window *window, struct mono_time now,
                            int64_t ahead_us, const struct open_time *open)
{
    uint64_t spans = (uint64_t)((ahead_us + window->span_us - 1) / window->span_us);
    uint64_t open_spans = (uint64_t)(open->open_ms * US_PER_MS / window->span_us) + open->stretches;
    uint64_t most = (spans < open_spans ? spans : open_spans) * window->count;

    if (ahead_us <= window->span_us) {
        /* Whatever is sent until then shares an interval with these. */
        uint32_t still_there = sent_since(window, now.us + ahead_us - window->span_us);

        if (most > window->count - still_there)
            most = window->count - still_there;
    }
    return most;
}

uint64_t capacity_most(const struct limit_node *node, struct mono_time now, int64_t ahead_ms,
                       const struct open_time *open)
{
    uint64_t most = UINT64_MAX;

    if (ahead_ms > INT64_MAX / (4 * US_PER_MS))
        return most;
    for (uint32_t i = 0; i < node->window_count; i++) {
        uint64_t here = window_most(&node->windows[i], now, ahead_ms * US_PER_MS, open);

        if (here < most)
            most = here;
    }
    return most;
}

/* ---- what to expect ---- */

int64_t capacity_scaled(uint64_t a, int64_t b, uint64_t c)
{
    uint64_t times = (uint64_t)b;
    uint64_t whole = a / c;
    uint64_t rest = a % c;
    uint64_t part = times <= UINT64_MAX / c ? rest * times / c : rest * (times / c);

    if (part > SCALED_MAX || (whole > 0 && times > (SCALED_MAX - part) / whole))
        return SCALED_MAX;
    return (int64_t)(whole * times + part);
}

static int64_t window_need_us(const struct rate_window *window, struct mono_time now,
                              uint64_t requests)
{
    uint32_t used = sent_since(window, now.us - window->span_us + 1);
    uint64_t at_once = window->count > used ? window->count - used : 0;

    return requests <= at_once
               ? 0
               : capacity_scaled(requests - at_once, window->span_us, window->count);
}

int64_t capacity_need_ms(const struct limit_node *node, struct mono_time now,
                         const struct capacity_cost *cost, uint32_t count, enum reason *limit)
{
    uint64_t requests = ((uint64_t)count * cost->requests_16 + 15) / 16;
    int64_t need_us = 0;

    *limit = REASON_NONE;
    for (uint32_t i = 0; i < node->window_count; i++) {
        int64_t here_us = window_need_us(&node->windows[i], now, requests);

        if (here_us > need_us) {
            need_us = here_us;
            *limit = REASON_RATE;
        }
    }
    if (cost->jobs_max > 0 && cost->job_us > 0) {
        int64_t here_us = capacity_scaled(count, cost->job_us, cost->jobs_max);

        if (here_us > need_us) {
            need_us = here_us;
            *limit = REASON_CONCURRENCY;
        }
    }
    if (cost->pace_us > 0) {
        int64_t here_us = capacity_scaled(count, cost->pace_us, 1);

        if (here_us > need_us) {
            need_us = here_us;
            *limit = REASON_RATE;
        }
    }
    return need_us / US_PER_MS;
}
