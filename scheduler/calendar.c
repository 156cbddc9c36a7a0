/* SPDX-License-Identifier: MIT
 * calendar.c - see calendar.h.
 *
 * Time is walked in spans of one offset. Inside of a span local time runs evenly, so the cron
 * expression is asked for its next local second there; what is special happens only at the
 * border between two spans. */
#include "scheduler/calendar.h"

#include <string.h>

#define SECONDS_PER_DAY INT64_C(86400)
/* Civil texts exist for the years 1 to 9999. The first day is left out, so that local times stay
 * in these years too. */
#define FIRST_S INT64_C(-62135510400) /* 0001-01-02T00:00:00Z */
#define LIMIT_S INT64_C(253402214400) /* 9999-12-31T00:00:00Z, exclusive */
/* A whole turn of the Gregorian calendar, weekdays and leap years included. */
#define HORIZON_S (INT64_C(146097) * SECONDS_PER_DAY)

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The first whole second strictly after `t`, inside the years that we know. */
static int64_t first_second_after(struct utc_time t)
{
    return min_of(max_of(floor_div(t.ms, MS_PER_SECOND) + 1, FIRST_S), LIMIT_S);
}

static struct civil_time civil_of(int64_t local_s)
{
    return civil_from_utc((struct utc_time){local_s * MS_PER_SECOND});
}

/* Does the dst policy apply? Not to expressions that follow local time as it passes. */
static bool has_policy(const struct calendar *calendar)
{
    return !calendar->cron.hour_is_star;
}

/* Does the change to `span` jump over a local time that the expression names? */
static bool fires_at_gap_end(const struct calendar *calendar, const struct zone_span *span)
{
    struct zone_span before;
    int64_t local_s;
    int64_t limit_s = span->start_s + span->offset_s;

    if (!has_policy(calendar) || calendar->gap == CALENDAR_GAP_SKIP || span->start_s == INT64_MIN)
        return false;
    before = zone_span_at(calendar->zone, span->start_s - 1);
    for (local_s = span->start_s + before.offset_s;
         cron_next_local(&calendar->cron, local_s, limit_s, &local_s); local_s++) {
        struct civil_time local = civil_of(local_s);
        struct zone_instants instants = zone_local_to_utc(calendar->zone, &local);

        if (instants.count == 0 && instants.gap_end.ms == span->start_s * MS_PER_SECOND)
            return true;
    }
    return false;
}

/* Has the local time of this second been shown before, so that `overlap: first` is done with it? */
static bool is_done_before(const struct calendar *calendar, const struct zone_span *span,
                           int64_t at_s)
{
    return has_policy(calendar) && calendar->overlap == CALENDAR_OVERLAP_FIRST &&
           span->start_s >= at_s - ZONE_REPEAT_MAX_S &&
           zone_fold_at(calendar->zone, (struct utc_time){at_s * MS_PER_SECOND}) != 0;
}

/* The first firing in [from_s, limit_s) inside of one span; from_s and limit_s lie in it. */
static bool next_in_span(const struct calendar *calendar, const struct zone_span *span,
                         int64_t from_s, int64_t limit_s, int64_t *out_s)
{
    int64_t local_s = from_s + span->offset_s;

    if (from_s == span->start_s && fires_at_gap_end(calendar, span)) {
        *out_s = from_s;
        return true;
    }
    for (; cron_next_local(&calendar->cron, local_s, limit_s + span->offset_s, &local_s);
         local_s++) {
        if (!is_done_before(calendar, span, local_s - span->offset_s)) {
            *out_s = local_s - span->offset_s;
            return true;
        }
    }
    return false;
}

static struct calendar_firing firing_at(const struct calendar *calendar, int64_t at_s)
{
    struct calendar_firing firing = {.found = true, .at = {at_s * MS_PER_SECOND}};

    firing.local = zone_utc_to_local(calendar->zone, firing.at);
    firing.offset_s = zone_offset_at(calendar->zone, firing.at).offset_s;
    firing.fold = zone_fold_at(calendar->zone, firing.at);
    return firing;
}

/* The first firing in [from_s, limit_s). */
static bool next_between(const struct calendar *calendar, int64_t from_s, int64_t limit_s,
                         int64_t *out_s)
{
    int64_t every_s = calendar->cron.every_s;

    if (every_s > 0) {
        int64_t at_s = -floor_div(-from_s, every_s) * every_s;

        if (at_s >= limit_s)
            return false;
        *out_s = at_s;
        return true;
    }
    while (from_s < limit_s) {
        struct zone_span span = zone_span_at(calendar->zone, from_s);
        int64_t end_s = min_of(span.end_s, limit_s);

        if (next_in_span(calendar, &span, from_s, end_s, out_s))
            return true;
        from_s = end_s;
    }
    return false;
}

struct calendar_firing calendar_next(const struct calendar *calendar, struct utc_time after)
{
    int64_t from_s = first_second_after(after);
    int64_t at_s;

    if (!next_between(calendar, from_s, min_of(from_s + HORIZON_S, LIMIT_S), &at_s))
        return (struct calendar_firing){0};
    return firing_at(calendar, at_s);
}

struct calendar_firing calendar_latest(const struct calendar *calendar, struct utc_time after,
                                       struct utc_time until)
{
    int64_t low_s = first_second_after(after); /* the latest firing is not before this */
    int64_t limit_s = first_second_after(until);
    int64_t high_s = limit_s; /* and before this */
    int64_t found_s;

    if (!next_between(calendar, low_s, limit_s, &found_s))
        return (struct calendar_firing){0};
    /* Halve: one definition of "next" serves for "latest" too, and they cannot disagree. */
    for (low_s = found_s + 1; low_s < high_s;) {
        int64_t middle_s = low_s + (high_s - low_s) / 2;
        int64_t later_s;

        if (next_between(calendar, middle_s, limit_s, &later_s)) {
            found_s = later_s;
            low_s = later_s + 1;
        } else {
            high_s = middle_s;
        }
    }
    return firing_at(calendar, found_s);
}

/* Two digits. */
static bool two_digits(const char *text, int32_t max, int32_t *out)
{
    int32_t value;

    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return false;
    value = (text[0] - '0') * 10 + (text[1] - '0');
    if (value > max)
        return false;
    *out = value;
    return true;
}

bool deadline_parse(const char *text, size_t length, struct deadline_spec *out)
{
    struct deadline_spec spec = {.kind = DEADLINE_DURATION};
    int32_t hour;
    int32_t minute;
    int32_t second = 0;

    if (memchr(text, ':', length) == NULL) {
        if (!duration_parse(text, length, &spec.duration_ms) || spec.duration_ms == 0)
            return false;
        *out = spec;
        return true;
    }
    if ((length != 5 && length != 8) || text[2] != ':' || !two_digits(text, 23, &hour) ||
        !two_digits(text + 3, 59, &minute))
        return false;
    if (length == 8 && (text[5] != ':' || !two_digits(text + 6, 59, &second)))
        return false;
    spec.kind = DEADLINE_WALL_CLOCK;
    spec.time_of_day_s = hour * 3600 + minute * 60 + second;
    *out = spec;
    return true;
}

/* The first time after `slot` that a wall clock shows this: a calendar that fires every day. */
static struct utc_time wall_clock_after(const struct calendar *calendar, int32_t time_of_day_s,
                                        struct utc_time slot)
{
    struct calendar daily = {
        .cron =
            {
                .seconds = UINT64_C(1) << time_of_day_s % 60,
                .minutes = UINT64_C(1) << time_of_day_s / 60 % 60,
                .hours = UINT32_C(1) << time_of_day_s / 3600,
                .days = UINT32_C(0xFFFFFFFE),
                .months = 0x1FFE,
                .weekdays = 0x7F,
                .day_is_star = true,
                .weekday_is_star = true,
            },
        .zone = calendar->zone,
        .gap = CALENDAR_GAP_RUN_AFTER,
        .overlap = CALENDAR_OVERLAP_BOTH,
    };
    struct calendar_firing firing = calendar_next(&daily, slot);

    return firing.found ? firing.at : UTC_NEVER;
}

struct utc_time deadline_at(const struct calendar *calendar, const struct deadline_spec *spec,
                            struct utc_time slot)
{
    struct calendar_firing next;

    switch (spec->kind) {
    case DEADLINE_DURATION: return utc_add_ms(slot, spec->duration_ms);
    case DEADLINE_WALL_CLOCK: return wall_clock_after(calendar, spec->time_of_day_s, slot);
    case DEADLINE_NEXT_FIRING: break;
    }
    next = calendar_next(calendar, slot);
    return next.found ? next.at : UTC_NEVER;
}
