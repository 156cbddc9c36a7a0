/* SPDX-License-Identifier: MIT
 * rate_window.c - see rate_window.h. */
#include "scheduler/rate_window.h"

#include "base/result.h"

void rate_window_init(struct rate_window *window, int64_t *times_us, uint32_t count,
                      int64_t span_us)
{
    REQUIRE(count >= 1 && span_us > 0);
    *window = (struct rate_window){.times_us = times_us, .count = count, .span_us = span_us};
}

static uint32_t rate_window_place(const struct rate_window *window, uint32_t i)
{
    uint64_t place = (uint64_t)window->first + i;

    return (uint32_t)(place >= window->count ? place - window->count : place);
}

struct mono_time rate_window_at(const struct rate_window *window, uint32_t i)
{
    REQUIRE(i < window->used);
    return (struct mono_time){window->times_us[rate_window_place(window, i)]};
}

struct mono_time rate_window_earliest(const struct rate_window *window, struct mono_time now)
{
    uint32_t others_max;
    struct mono_time free_at;

    if (window->pending >= window->count)
        return MONO_NEVER;
    /* So many handed-over requests may share the interval with the pending ones and a new one. */
    others_max = window->count - 1 - window->pending;
    if (window->used <= others_max)
        return now;
    free_at = mono_add_us(rate_window_at(window, window->used - 1 - others_max), window->span_us);
    return free_at.us > now.us ? free_at : now;
}

void rate_window_grant(struct rate_window *window)
{
    REQUIRE(window->pending < window->count);
    window->pending++;
}

void rate_window_remember(struct rate_window *window, struct mono_time at)
{
    uint32_t i;

    if (window->used == window->count) {
        if (at.us <= rate_window_at(window, 0).us)
            return;
        window->first = rate_window_place(window, 1 % window->count);
        window->used--;
    }
    /* Hand-overs come almost in order: the walk from the newest end is short. */
    for (i = window->used; i > 0 && rate_window_at(window, i - 1).us > at.us; i--)
        window->times_us[rate_window_place(window, i)] = rate_window_at(window, i - 1).us;
    window->times_us[rate_window_place(window, i)] = at.us;
    window->used++;
}

void rate_window_sent(struct rate_window *window, struct mono_time at)
{
    REQUIRE(window->pending > 0);
    window->pending--;
    rate_window_remember(window, at);
}

void rate_window_return(struct rate_window *window)
{
    REQUIRE(window->pending > 0);
    window->pending--;
}

void rate_window_postpone(struct rate_window *window, struct mono_time from, struct mono_time to)
{
    uint32_t i = window->used;

    while (i > 0 && rate_window_at(window, i - 1).us != from.us)
        i--;
    if (i == 0)
        return;
    for (; i < window->used; i++)
        window->times_us[rate_window_place(window, i - 1)] = rate_window_at(window, i).us;
    window->used--;
    rate_window_remember(window, to);
}
