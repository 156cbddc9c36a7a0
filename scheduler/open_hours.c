/* SPDX-License-Identifier: MIT
 * open_hours.c - see open_hours.h. */
#include "scheduler/open_hours.h"

#include <string.h>

#include "base/result.h"

/* Ranges that follow each other without a gap for longer than this count as closed until then and
 * are asked again. */
#define HOPS_MAX 16

static struct utc_time sooner(struct utc_time a, struct utc_time b)
{
    return a.ms < b.ms ? a : b;
}

void open_hours_set(struct open_hours *hours, const struct hours_settings *settings)
{
    static const struct hours_settings none;

    if (settings == NULL)
        settings = &none;
    hours->blackouts = settings->blackouts;
    hours->blackout_count = settings->blackout_count;
    hours->windows = settings->windows;
    hours->window_count = settings->window_count;
    open_hours_forget(hours);
}

void open_hours_set_maintenance(struct open_hours *hours, const struct utc_span *spans,
                                uint32_t count)
{
    REQUIRE(count <= MAINTENANCE_MAX);
    if (count > 0)
        memcpy(hours->maintenance, spans, count * sizeof *spans);
    hours->maintenance_count = count;
    open_hours_forget(hours);
}

void open_hours_forget(struct open_hours *hours)
{
    hours->known_from = UTC_NEVER;
    hours->known_until = UTC_NONE;
}

/* Closed at `at`? Then *end is when that ends as far as one look tells. */
static enum reason closed_at(const struct open_hours *hours, struct utc_time at,
                             struct utc_time *end)
{
    struct utc_time opens = UTC_NEVER;

    for (uint32_t i = 0; i < hours->blackout_count; i++)
        if (time_range_contains(&hours->blackouts[i], at)) {
            *end = time_range_next_end(&hours->blackouts[i], at);
            return REASON_BLACKOUT;
        }
    for (uint32_t i = 0; i < hours->maintenance_count; i++)
        if (hours->maintenance[i].start.ms <= at.ms && at.ms < hours->maintenance[i].end.ms) {
            *end = hours->maintenance[i].end;
            return REASON_MAINTENANCE;
        }
    for (uint32_t i = 0; i < hours->window_count; i++) {
        if (time_range_contains(&hours->windows[i], at))
            return REASON_NONE;
        opens = sooner(opens, time_range_next_start(&hours->windows[i], at));
    }
    if (hours->window_count == 0)
        return REASON_NONE;
    *end = opens;
    return REASON_WINDOW;
}

/* Open at `at`: the first instant that may change that. */
static struct utc_time closes_after(const struct open_hours *hours, struct utc_time at)
{
    struct utc_time change = UTC_NEVER;

    for (uint32_t i = 0; i < hours->blackout_count; i++)
        change = sooner(change, time_range_next_start(&hours->blackouts[i], at));
    for (uint32_t i = 0; i < hours->maintenance_count; i++)
        if (hours->maintenance[i].start.ms > at.ms)
            change = sooner(change, hours->maintenance[i].start);
    for (uint32_t i = 0; i < hours->window_count; i++)
        if (time_range_contains(&hours->windows[i], at))
            change = sooner(change, time_range_next_end(&hours->windows[i], at));
    return change;
}

static bool is_always_open(const struct open_hours *hours)
{
    return hours->blackout_count == 0 && hours->window_count == 0 && hours->maintenance_count == 0;
}

enum reason open_hours_closed(struct open_hours *hours, struct utc_time now, struct utc_time *opens)
{
    if (is_always_open(hours))
        return REASON_NONE;
    if (now.ms < hours->known_from.ms || now.ms >= hours->known_until.ms) {
        struct utc_time at = now;
        struct utc_time end = now;

        hours->known_from = now;
        hours->known_reason = closed_at(hours, now, &end);
        for (int hop = 0;
             hop < HOPS_MAX && at.ms != UTC_NEVER.ms && closed_at(hours, at, &end) != REASON_NONE;
             hop++)
            at = end;
        hours->known_until = hours->known_reason == REASON_NONE ? closes_after(hours, now) : at;
    }
    if (hours->known_reason != REASON_NONE)
        *opens = hours->known_until;
    return hours->known_reason;
}

struct utc_time open_hours_next_change(const struct open_hours *hours, struct utc_time now)
{
    struct open_hours copy = *hours;
    struct utc_time opens;

    if (is_always_open(hours))
        return UTC_NEVER;
    return open_hours_closed(&copy, now, &opens) != REASON_NONE ? opens : copy.known_until;
}
