/* SPDX-License-Identifier: MIT
 * time_range.c - see time_range.h. Time is walked from border to border: those of the range in
 * local time, and the clock changes. Between two of them nothing changes. */
#include "scheduler/time_range.h"

#define SECONDS_PER_DAY INT64_C(86400)
#define DAYS_PER_WEEK 7
#define SECONDS_PER_WEEK (DAYS_PER_WEEK * SECONDS_PER_DAY)
#define A_LEAP_YEAR 2000
#define LEAP_YEARS_APART_MAX 8 /* 1896, 1904 */

/* Every range of a day or week happens each week, but for weeks in which a clock change leaves out
 * its only hour, or a whole day (Apia 2011); and one of a year each year or leap year. */
#define SEARCH_WEEKS_S (5 * SECONDS_PER_WEEK)
#define SEARCH_YEARS_S ((2 * LEAP_YEARS_APART_MAX + 1) * 366 * SECONDS_PER_DAY)

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t floor_mod(int64_t a, int64_t b)
{
    return a - floor_div(a, b) * b;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* From Sunday 00:00 on; 1970-01-01 was a Thursday. */
static int64_t second_of_week(int64_t local_s)
{
    return floor_mod(local_s + 4 * SECONDS_PER_DAY, SECONDS_PER_WEEK);
}

/* From 01-01 00:00 on, counted as in a leap year: a date has one number in all years. */
static int64_t second_of_year(int64_t local_s)
{
    int64_t day = floor_div(local_s, SECONDS_PER_DAY);
    int32_t year;
    int32_t month;
    int32_t day_of_month;

    civil_from_days(day, &year, &month, &day_of_month);
    return (civil_to_days(A_LEAP_YEAR, month, day_of_month) - civil_to_days(A_LEAP_YEAR, 1, 1)) *
               SECONDS_PER_DAY +
           local_s - day * SECONDS_PER_DAY;
}

/* ---- inside or not, by what the wall shows ---- */

static bool begins_on(const struct time_range *range, int64_t day)
{
    int64_t weekday = floor_mod(day + 4, DAYS_PER_WEEK);
    int32_t year;
    int32_t month;
    int32_t day_of_month;

    if (range->month == 0)
        return (range->weekdays >> weekday & 1) != 0;
    civil_from_days(day, &year, &month, &day_of_month);
    return month == range->month && day_of_month == range->day;
}

static bool contains_daily(const struct time_range *range, int64_t local_s)
{
    int64_t day = floor_div(local_s, SECONDS_PER_DAY);
    int64_t time_s = local_s - day * SECONDS_PER_DAY;

    if (range->start_s < range->end_s)
        return range->start_s <= time_s && time_s < range->end_s && begins_on(range, day);
    return (range->start_s <= time_s && begins_on(range, day)) ||
           (time_s < range->end_s && begins_on(range, day - 1));
}

static bool contains_turn(const struct time_range *range, int64_t position_s)
{
    if (range->start_s < range->end_s)
        return range->start_s <= position_s && position_s < range->end_s;
    return range->start_s <= position_s || position_s < range->end_s;
}

static bool contains_local(const struct time_range *range, int64_t local_s)
{
    switch (range->kind) {
    case TIME_RANGE_DAILY: return contains_daily(range, local_s);
    case TIME_RANGE_WEEKLY: return contains_turn(range, second_of_week(local_s));
    case TIME_RANGE_YEARLY: return contains_turn(range, second_of_year(local_s));
    case TIME_RANGE_DATES: break;
    }
    return range->start_s <= local_s && local_s < range->end_s;
}

bool time_range_contains(const struct time_range *range, struct utc_time at)
{
    int64_t at_s = floor_div(at.ms, MS_PER_SECOND);

    return contains_local(range, at_s + zone_span_at(range->zone, at_s).offset_s);
}

/* ---- the next local time at which that may change; INT64_MAX: none ---- */

/* The start of the next day behind `day` that has this date. */
static int64_t next_such_day(const struct time_range *range, int64_t day)
{
    int32_t year;
    int32_t month;
    int32_t day_of_month;

    civil_from_days(day, &year, &month, &day_of_month);
    for (int32_t ahead = 0; ahead <= LEAP_YEARS_APART_MAX; ahead++) {
        int64_t found = civil_to_days(year + ahead, range->month, range->day);

        if (found > day && begins_on(range, found)) /* 02-29 may have become 03-01 */
            return found;
    }
    return day + 1;
}

static int64_t border_daily(const struct time_range *range, int64_t local_s)
{
    int64_t day = floor_div(local_s, SECONDS_PER_DAY);
    int64_t midnight_s = day * SECONDS_PER_DAY;
    int64_t border_s = midnight_s + SECONDS_PER_DAY;

    if (range->month != 0 && !begins_on(range, day) && !begins_on(range, day - 1))
        return next_such_day(range, day) * SECONDS_PER_DAY;
    if (midnight_s + range->start_s > local_s)
        border_s = sooner(border_s, midnight_s + range->start_s);
    if (midnight_s + range->end_s > local_s)
        border_s = sooner(border_s, midnight_s + range->end_s);
    return border_s;
}

static int64_t border_weekly(const struct time_range *range, int64_t local_s)
{
    int64_t position_s = second_of_week(local_s);
    int64_t to_start_s = floor_mod(range->start_s - position_s - 1, SECONDS_PER_WEEK) + 1;
    int64_t to_end_s = floor_mod(range->end_s - position_s - 1, SECONDS_PER_WEEK) + 1;

    return local_s + sooner(to_start_s, to_end_s);
}

/* Where the year has no 02-29, its times are those of the start of 03-01. */
static int64_t second_in_year(int32_t year, int64_t position_s)
{
    int64_t day = floor_div(position_s, SECONDS_PER_DAY);
    int64_t time_s = position_s - day * SECONDS_PER_DAY;
    int64_t day_of_year = day;
    bool is_leap = civil_to_days(year, 3, 1) - civil_to_days(year, 2, 1) == 29;

    if (!is_leap && day == 31 + 28)
        time_s = 0;
    else if (!is_leap && day > 31 + 28)
        day_of_year--;
    return (civil_to_days(year, 1, 1) + day_of_year) * SECONDS_PER_DAY + time_s;
}

static int64_t border_yearly(const struct time_range *range, int64_t local_s)
{
    const int64_t positions[] = {range->start_s, range->end_s};
    int64_t border_s = INT64_MAX;
    int32_t year;
    int32_t month;
    int32_t day;

    civil_from_days(floor_div(local_s, SECONDS_PER_DAY), &year, &month, &day);
    for (int32_t ahead = 0; ahead <= 1; ahead++)
        for (int i = 0; i < 2; i++) {
            int64_t found_s = second_in_year(year + ahead, positions[i]);

            if (found_s > local_s)
                border_s = sooner(border_s, found_s);
        }
    return border_s;
}

static int64_t border_dates(const struct time_range *range, int64_t local_s)
{
    if (local_s < range->start_s)
        return range->start_s;
    return local_s < range->end_s ? range->end_s : INT64_MAX;
}

static int64_t next_local_border(const struct time_range *range, int64_t local_s)
{
    switch (range->kind) {
    case TIME_RANGE_DAILY: return border_daily(range, local_s);
    case TIME_RANGE_WEEKLY: return border_weekly(range, local_s);
    case TIME_RANGE_YEARLY: return border_yearly(range, local_s);
    case TIME_RANGE_DATES: break;
    }
    return border_dates(range, local_s);
}

/* ---- the same in UTC ---- */

/* The next instant at which the answer of contains_local may change; INT64_MAX: none. */
static int64_t next_border(const struct time_range *range, int64_t at_s)
{
    struct zone_span span = zone_span_at(range->zone, at_s);
    int64_t local_s = at_s + span.offset_s;
    int64_t border_s = next_local_border(range, local_s);
    int64_t ahead_s = border_s == INT64_MAX ? INT64_MAX : border_s - local_s;

    /* A date is far away in either direction: no clock change on the way leads to it. */
    if (range->kind == TIME_RANGE_DATES && ahead_s > ZONE_REPEAT_MAX_S &&
        (local_s < range->start_s || local_s > range->start_s + ZONE_REPEAT_MAX_S)) {
        if (border_s != INT64_MAX)
            return at_s + ahead_s - ZONE_REPEAT_MAX_S;
        if (local_s > range->end_s + ZONE_REPEAT_MAX_S)
            return INT64_MAX;
    }
    if (ahead_s == INT64_MAX)
        return span.end_s;
    return sooner(at_s + ahead_s, span.end_s);
}

/* The first instant after `at` at which being inside becomes `wanted`. */
static struct utc_time next_change(const struct time_range *range, struct utc_time at, bool wanted)
{
    bool is_of_year = range->kind == TIME_RANGE_YEARLY || range->month != 0;
    int64_t at_s = floor_div(at.ms, MS_PER_SECOND);
    int64_t limit_s = range->kind == TIME_RANGE_DATES
                          ? INT64_MAX
                          : at_s + (is_of_year ? SEARCH_YEARS_S : SEARCH_WEEKS_S);
    bool was_inside;

    if (at.ms == UTC_NEVER.ms || at.ms == UTC_NONE.ms)
        return UTC_NEVER;
    was_inside = time_range_contains(range, at);
    while (at_s < limit_s) {
        struct utc_time border;
        bool is_inside;

        at_s = next_border(range, at_s);
        if (at_s == INT64_MAX)
            break;
        border = (struct utc_time){at_s * MS_PER_SECOND};
        is_inside = time_range_contains(range, border);
        if (is_inside != was_inside && is_inside == wanted)
            return border;
        was_inside = is_inside;
    }
    return UTC_NEVER;
}

struct utc_time time_range_next_start(const struct time_range *range, struct utc_time at)
{
    return next_change(range, at, true);
}

struct utc_time time_range_next_end(const struct time_range *range, struct utc_time at)
{
    return next_change(range, at, false);
}
