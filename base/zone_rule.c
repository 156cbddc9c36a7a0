/* SPDX-License-Identifier: MIT
 * zone_rule.c - see zone_rule.h. */
#include "base/zone_rule.h"

#include <string.h>

#include "base/time_point.h"

#define SECONDS_PER_HOUR 3600
#define SECONDS_PER_DAY INT64_C(86400)
#define DEFAULT_CHANGE_TIME_S (2 * SECONDS_PER_HOUR) /* POSIX: 02:00:00 */

struct cursor {
    const char *next;
    const char *end;
};

static bool take(struct cursor *cursor, char wanted)
{
    if (cursor->next == cursor->end || *cursor->next != wanted)
        return false;
    cursor->next++;
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* An unsigned integer of at most three digits (none of the fields needs more). */
static bool take_number(struct cursor *cursor, int32_t min, int32_t max, int32_t *out)
{
    int32_t value = 0;
    int digits = 0;

    while (cursor->next < cursor->end && is_digit(*cursor->next) && digits < 4) {
        value = value * 10 + (*cursor->next - '0');
        cursor->next++;
        digits++;
    }
    if (digits == 0 || digits > 3 || value < min || value > max)
        return false;
    *out = value;
    return true;
}

/* "EST" or "<+0330>"; at least three characters, as POSIX wants. */
static bool take_name(struct cursor *cursor, char out[ZONE_ABBREVIATION_SIZE])
{
    bool is_quoted = take(cursor, '<');
    const char *start = cursor->next;
    size_t length;

    while (
        cursor->next < cursor->end &&
        (is_letter(*cursor->next) ||
         (is_quoted && (is_digit(*cursor->next) || *cursor->next == '+' || *cursor->next == '-'))))
        cursor->next++;
    length = (size_t)(cursor->next - start);
    if (length < 3 || length >= ZONE_ABBREVIATION_SIZE || (is_quoted && !take(cursor, '>')))
        return false;
    memcpy(out, start, length);
    out[length] = '\0';
    return true;
}

/* [+-]h[hh][:mm[:ss]] with the sign as written. */
static bool take_time(struct cursor *cursor, int32_t hours_max, int32_t *out_s)
{
    bool is_negative = take(cursor, '-');
    int32_t hours;
    int32_t minutes = 0;
    int32_t seconds = 0;

    if (!is_negative)
        (void)take(cursor, '+');
    if (!take_number(cursor, 0, hours_max, &hours))
        return false;
    if (take(cursor, ':')) {
        if (!take_number(cursor, 0, 59, &minutes))
            return false;
        if (take(cursor, ':') && !take_number(cursor, 0, 59, &seconds))
            return false;
    }
    *out_s = hours * SECONDS_PER_HOUR + minutes * 60 + seconds;
    if (is_negative)
        *out_s = -*out_s;
    return true;
}

/* An offset is written west of UTC; we keep it east. */
static bool take_offset(struct cursor *cursor, int32_t *out_s)
{
    int32_t west_s;

    if (!take_time(cursor, 24, &west_s))
        return false;
    *out_s = -west_s;
    return true;
}

static bool take_day(struct cursor *cursor, struct zone_day *out)
{
    struct zone_day day = {.time_s = DEFAULT_CHANGE_TIME_S};
    bool is_good;

    if (take(cursor, 'J')) {
        day.form = ZONE_DAY_JULIAN;
        is_good = take_number(cursor, 1, 365, &day.day);
    } else if (take(cursor, 'M')) {
        day.form = ZONE_DAY_MONTH;
        is_good = take_number(cursor, 1, 12, &day.month) && take(cursor, '.') &&
                  take_number(cursor, 1, 5, &day.week) && take(cursor, '.') &&
                  take_number(cursor, 0, 6, &day.day);
    } else {
        day.form = ZONE_DAY_OF_YEAR;
        is_good = take_number(cursor, 0, 365, &day.day);
    }
    if (is_good && take(cursor, '/'))
        is_good = take_time(cursor, 167, &day.time_s);
    if (is_good)
        *out = day;
    return is_good;
}

static bool take_rule(struct cursor *cursor, struct zone_rule *rule)
{
    if (!take_name(cursor, rule->standard_name) || !take_offset(cursor, &rule->standard_offset_s))
        return false;
    if (cursor->next == cursor->end)
        return true;
    rule->has_daylight = true;
    if (!take_name(cursor, rule->daylight_name))
        return false;
    rule->daylight_offset_s = rule->standard_offset_s + SECONDS_PER_HOUR;
    if (cursor->next < cursor->end && *cursor->next != ',' &&
        !take_offset(cursor, &rule->daylight_offset_s))
        return false;
    return take(cursor, ',') && take_day(cursor, &rule->daylight_start) && take(cursor, ',') &&
           take_day(cursor, &rule->daylight_end) && cursor->next == cursor->end;
}

enum result zone_rule_parse(const char *text, size_t length, struct zone_rule *out,
                            struct fault *fault)
{
    struct cursor cursor = {text, text + length};
    struct zone_rule rule = {0};

    if (!take_rule(&cursor, &rule))
        return fault_set(fault, FAULT_DATA,
                         "the rule for later years is not a POSIX TZ text (wrong at byte %zu)",
                         (size_t)(cursor.next - text));
    *out = rule;
    return RESULT_OK;
}

static bool is_leap_year(int32_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* The day of `year` that `day` names, in days since 1970-01-01. */
static int64_t change_day(const struct zone_day *day, int32_t year)
{
    int64_t first;
    int64_t weekday;
    int64_t result;

    switch (day->form) {
    case ZONE_DAY_JULIAN:
        return civil_to_days(year, 1, 1) + day->day - 1 + (is_leap_year(year) && day->day >= 60);
    case ZONE_DAY_OF_YEAR: return civil_to_days(year, 1, 1) + day->day;
    case ZONE_DAY_MONTH: break;
    }
    first = civil_to_days(year, day->month, 1);
    weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    result = first + (day->day - weekday + 7) % 7 + INT64_C(7) * (day->week - 1);
    if (result >=
        (day->month == 12 ? civil_to_days(year + 1, 1, 1) : civil_to_days(year, day->month + 1, 1)))
        result -= 7; /* week 5 is the last one, also where it is the fourth */
    return result;
}

static int64_t daylight_start(const struct zone_rule *rule, int32_t year)
{
    return change_day(&rule->daylight_start, year) * SECONDS_PER_DAY + rule->daylight_start.time_s -
           rule->standard_offset_s;
}

static int64_t daylight_end(const struct zone_rule *rule, int32_t year)
{
    return change_day(&rule->daylight_end, year) * SECONDS_PER_DAY + rule->daylight_end.time_s -
           rule->daylight_offset_s;
}

struct zone_rule_span zone_rule_span_at(const struct zone_rule *rule, int64_t at_s)
{
    struct zone_rule_span span = {INT64_MIN, INT64_MAX, false};
    int64_t standard_s = at_s + rule->standard_offset_s;
    int64_t day = standard_s / SECONDS_PER_DAY - (standard_s % SECONDS_PER_DAY < 0);
    int32_t year;
    int32_t month;
    int32_t day_of_month;
    int64_t open_s = 0; /* the daylight interval being put together */
    int64_t close_s = 0;
    bool is_open = false;

    if (!rule->has_daylight)
        return span;
    civil_from_days(day, &year, &month, &day_of_month);
    /* Daylight is a set of intervals [start, next end). Times of up to 167 hours carry a change
     * into a neighbouring year, and permanent daylight time is written as intervals that touch:
     * so look two years to each side and join what touches or overlaps. */
    for (int32_t y = year - 2; y <= year + 2; y++) {
        int64_t start_s = daylight_start(rule, y);
        int64_t end_s = daylight_end(rule, y);

        if (end_s < start_s)
            end_s = daylight_end(rule, y + 1);
        if (is_open && start_s <= close_s) {
            close_s = end_s > close_s ? end_s : close_s;
            continue;
        }
        if (is_open && at_s < close_s)
            break;
        if (is_open)
            span.start_s = close_s;
        open_s = start_s;
        close_s = end_s;
        is_open = true;
        if (at_s < open_s)
            break;
    }
    if (at_s < open_s) {
        span.end_s = open_s;
    } else if (at_s < close_s) {
        span = (struct zone_rule_span){open_s, close_s, true};
    } else {
        span.start_s = close_s;
    }
    return span;
}
