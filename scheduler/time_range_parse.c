/* SPDX-License-Identifier: MIT
 * time_range_parse.c - the texts of time_range.h. */
#include <string.h>

#include "scheduler/time_range.h"

#define SECONDS_PER_DAY 86400
#define DAYS_PER_WEEK 7
#define DAYS_PER_LEAP_YEAR 366
#define A_LEAP_YEAR 2000
#define ALLOWED \
    "\"[DAYS] HH:MM-HH:MM\", \"DAYS\", \"DAY HH:MM - DAY HH:MM\", and days \"MM-DD\" or " \
    "\"YYYY-MM-DD\" with or without times, from one to another or alone; a zone behind it: " \
    "\"Mon-Fri 22:00-06:00 Europe/London\", \"2026-12-24 - 2026-12-26\", \"12-25\""

struct parser {
    const char *text;
    size_t offset;
    size_t length;
    size_t *error_offset;
    struct fault *fault;
};

static enum result wrong(const struct parser *parser, size_t offset, const char *what)
{
    *parser->error_offset = offset;
    return fault_set(parser->fault, FAULT_CONFIGURATION, "%s (allowed: " ALLOWED ")", what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The byte `ahead` of the next one; NUL behind the end. */
static char peek(const struct parser *parser, size_t ahead)
{
    return ahead < parser->length - parser->offset ? parser->text[parser->offset + ahead] : '\0';
}

static void skip_blanks(struct parser *parser)
{
    while (is_blank(peek(parser, 0)))
        parser->offset++;
}

static bool take(struct parser *parser, char wanted)
{
    if (wanted != peek(parser, 0))
        return false;
    parser->offset++;
    return true;
}

/* A dash between blanks or without them. */
static bool take_dash(struct parser *parser)
{
    struct parser behind = *parser;

    skip_blanks(&behind);
    if (!take(&behind, '-'))
        return false;
    skip_blanks(&behind);
    parser->offset = behind.offset;
    return true;
}

static bool take_digits(struct parser *parser, size_t count, int32_t *out)
{
    int32_t value = 0;

    for (size_t i = 0; i < count; i++) {
        if (!is_digit(peek(parser, i)))
            return false;
        value = value * 10 + (peek(parser, i) - '0');
    }
    parser->offset += count;
    *out = value;
    return true;
}

/* ---- parts ---- */

static bool take_weekday(struct parser *parser, int32_t *out)
{
    static const char words[] = "sunmontuewedthufrisat";

    for (int32_t i = 0; i < DAYS_PER_WEEK; i++) {
        const char *word = words + (size_t)i * 3;

        /* The words hold letters only, so setting the case bit compares in any case. */
        if ((peek(parser, 0) | 0x20) == word[0] && (peek(parser, 1) | 0x20) == word[1] &&
            (peek(parser, 2) | 0x20) == word[2]) {
            parser->offset += 3;
            *out = i;
            return true;
        }
    }
    return false;
}

static enum result parse_weekdays(struct parser *parser, uint8_t *out)
{
    unsigned weekdays = 0;

    do {
        size_t start = parser->offset;
        int32_t from;
        int32_t to;

        if (!take_weekday(parser, &from))
            return wrong(parser, start, "a weekday from Mon to Sun is needed here");
        to = from;
        start = parser->offset;
        if (take(parser, '-') && !take_weekday(parser, &to))
            return wrong(parser, start + 1, "a weekday from Mon to Sun is needed here");
        for (int32_t day = from;; day = (day + 1) % DAYS_PER_WEEK) {
            weekdays |= 1u << day;
            if (day == to)
                break;
        }
    } while (take(parser, ','));
    if (parser->offset < parser->length && !is_blank(peek(parser, 0)))
        return wrong(parser, parser->offset, "a blank is needed behind the weekdays");
    *out = (uint8_t)weekdays;
    return RESULT_OK;
}

/* HH:MM[:SS], at most `max_s`. */
static enum result parse_time(struct parser *parser, int64_t max_s, int64_t *out_s)
{
    size_t start = parser->offset;
    int32_t hour;
    int32_t minute;
    int32_t second = 0;

    if (!take_digits(parser, 2, &hour) || !take(parser, ':') || !take_digits(parser, 2, &minute) ||
        (take(parser, ':') && !take_digits(parser, 2, &second)) || minute > 59 || second > 59)
        return wrong(parser, start, "a time of day is needed here");
    *out_s = hour * INT64_C(3600) + minute * 60 + second;
    if (*out_s > max_s)
        return wrong(parser, start, "this is not a time of day");
    return RESULT_OK;
}

/* One end of a range: a day, and a time of it. */
struct point {
    size_t offset; /* where it is written */
    int32_t year;  /* 0: of each year */
    int32_t month;
    int32_t day;
    bool has_time;
    int64_t time_s;
};

static bool is_at_date(const struct parser *parser)
{
    size_t digits = 0;

    while (is_digit(peek(parser, digits)))
        digits++;
    return digits >= 1 && peek(parser, digits) == '-' && is_digit(peek(parser, digits + 1));
}

static int64_t day_of(const struct point *point)
{
    if (point->year == 0)
        return civil_to_days(A_LEAP_YEAR, point->month, point->day) -
               civil_to_days(A_LEAP_YEAR, 1, 1);
    return civil_to_days(point->year, point->month, point->day);
}

static bool is_real_day(const struct point *point)
{
    int32_t year = point->year == 0 ? A_LEAP_YEAR : point->year;
    int32_t back[3];

    if (point->month < 1 || point->month > 12 || point->day < 1 || point->day > 31)
        return false;
    civil_from_days(civil_to_days(year, point->month, point->day), &back[0], &back[1], &back[2]);
    return back[1] == point->month && back[2] == point->day;
}

/* A date, with or without its year, and its time if one follows. */
static enum result parse_point(struct parser *parser, int64_t max_s, struct point *out)
{
    struct point point = {.offset = parser->offset};
    struct parser ahead = *parser;

    if (peek(parser, 2) != '-') {
        if (!take_digits(parser, 4, &point.year) || !take(parser, '-') || point.year < 1)
            return wrong(parser, point.offset, "a date is needed here");
    }
    if (!take_digits(parser, 2, &point.month) || !take(parser, '-') ||
        !take_digits(parser, 2, &point.day) || is_digit(peek(parser, 0)))
        return wrong(parser, point.offset, "a date is needed here");
    if (!is_real_day(&point))
        return wrong(parser, point.offset, "there is no such day");
    ahead.offset = parser->offset;
    skip_blanks(&ahead);
    if (ahead.offset > parser->offset && is_digit(peek(&ahead, 0)) && !is_at_date(&ahead)) {
        parser->offset = ahead.offset;
        if (parse_time(parser, max_s, &point.time_s) != RESULT_OK)
            return RESULT_FAULT;
        point.has_time = true;
    }
    *out = point;
    return RESULT_OK;
}

/* ---- forms ---- */

/* Behind the start of a range of times: "-HH:MM". */
static enum result parse_times_end(struct parser *parser, size_t start, struct time_range *out)
{
    if (!take_dash(parser))
        return wrong(parser, parser->offset, "\"-\" and the end of the range are needed here");
    if (parse_time(parser, SECONDS_PER_DAY, &out->end_s) != RESULT_OK)
        return RESULT_FAULT;
    if (out->start_s == out->end_s)
        return wrong(parser, start, "it ends when it begins; a whole day is 00:00-24:00");
    return RESULT_OK;
}

/* "Sat 22:00 - Mon 06:00": behind the first day. */
static enum result parse_across_week(struct parser *parser, int32_t from, struct time_range *out)
{
    size_t start = parser->offset;
    int64_t end_s = SECONDS_PER_DAY;
    struct parser ahead;
    int32_t to;

    if (!take_weekday(parser, &to))
        return wrong(parser, start, "a weekday from Mon to Sun is needed here");
    if (parser->offset < parser->length && !is_blank(peek(parser, 0)))
        return wrong(parser, parser->offset, "a blank is needed behind the weekday");
    ahead = *parser;
    skip_blanks(&ahead);
    if (is_digit(peek(&ahead, 0))) {
        *parser = ahead;
        if (parse_time(parser, SECONDS_PER_DAY, &end_s) != RESULT_OK)
            return RESULT_FAULT;
    }
    out->kind = TIME_RANGE_WEEKLY;
    out->weekdays = 0;
    out->start_s += (int64_t)from * SECONDS_PER_DAY;
    out->end_s = (int64_t)to * SECONDS_PER_DAY + end_s;
    if (out->start_s == out->end_s % (DAYS_PER_WEEK * SECONDS_PER_DAY))
        return wrong(parser, start, "it ends when it begins; all days are Mon-Sun");
    return RESULT_OK;
}

/* The only day of a set; -1: there are several. */
static int32_t only_day(uint8_t weekdays)
{
    for (int32_t day = 0; day < DAYS_PER_WEEK; day++)
        if (weekdays == 1u << day)
            return day;
    return -1;
}

static enum result parse_weekly(struct parser *parser, struct time_range *out)
{
    size_t days = parser->offset;
    struct parser ahead;

    if (parse_weekdays(parser, &out->weekdays) != RESULT_OK)
        return RESULT_FAULT;
    ahead = *parser;
    skip_blanks(&ahead);
    out->end_s = SECONDS_PER_DAY;
    if (is_digit(peek(&ahead, 0))) {
        size_t start = ahead.offset;

        *parser = ahead;
        if (parse_time(parser, SECONDS_PER_DAY - 1, &out->start_s) != RESULT_OK)
            return RESULT_FAULT;
        ahead = *parser;
        if (!take_dash(&ahead) || is_digit(peek(&ahead, 0)) || ahead.offset == ahead.length)
            return parse_times_end(parser, start, out);
    } else if (!take_dash(&ahead)) {
        return RESULT_OK;
    }
    *parser = ahead;
    if (only_day(out->weekdays) < 0)
        return wrong(parser, days, "a range across days begins on one day");
    return parse_across_week(parser, only_day(out->weekdays), out);
}

/* "DATE HH:MM-HH:MM", or the date alone. */
static enum result parse_one_day(struct parser *parser, const struct point *from,
                                 struct time_range *out)
{
    out->start_s = from->time_s;
    out->end_s = SECONDS_PER_DAY;
    if (from->has_time && parse_times_end(parser, from->offset, out) != RESULT_OK)
        return RESULT_FAULT;
    if (from->year == 0) {
        out->month = (uint8_t)from->month;
        out->day = (uint8_t)from->day;
        return RESULT_OK;
    }
    if (out->end_s <= out->start_s)
        out->end_s += SECONDS_PER_DAY;
    out->kind = TIME_RANGE_DATES;
    out->start_s += day_of(from) * SECONDS_PER_DAY;
    out->end_s += day_of(from) * SECONDS_PER_DAY;
    return RESULT_OK;
}

static enum result parse_dates(struct parser *parser, struct time_range *out)
{
    struct point from;
    struct point to;
    struct parser ahead;

    if (parse_point(parser, SECONDS_PER_DAY - 1, &from) != RESULT_OK)
        return RESULT_FAULT;
    ahead = *parser;
    if (!take_dash(&ahead) || (from.has_time && !is_at_date(&ahead)))
        return parse_one_day(parser, &from, out);
    *parser = ahead;
    if (parse_point(parser, SECONDS_PER_DAY, &to) != RESULT_OK)
        return RESULT_FAULT;
    if ((from.year == 0) != (to.year == 0))
        return wrong(parser, to.offset,
                     from.year == 0 ? "a date without a year, as at the start"
                                    : "a date with its year, as at the start");
    out->kind = from.year == 0 ? TIME_RANGE_YEARLY : TIME_RANGE_DATES;
    out->start_s = day_of(&from) * SECONDS_PER_DAY + from.time_s;
    out->end_s = day_of(&to) * SECONDS_PER_DAY + (to.has_time ? to.time_s : SECONDS_PER_DAY);
    if (from.year != 0 && out->end_s <= out->start_s)
        return wrong(parser, to.offset, "it ends before it begins");
    if (from.year == 0 &&
        out->start_s == out->end_s % ((int64_t)DAYS_PER_LEAP_YEAR * SECONDS_PER_DAY) &&
        out->end_s - out->start_s != (int64_t)DAYS_PER_LEAP_YEAR * SECONDS_PER_DAY)
        return wrong(parser, to.offset, "it ends when it begins");
    return RESULT_OK;
}

static enum result parse_zone_name(struct parser *parser, struct time_range_zone *out)
{
    size_t end = parser->length;

    if (parser->offset < parser->length && !is_blank(peek(parser, 0)))
        return wrong(parser, parser->offset, "a blank is needed before the time zone");
    skip_blanks(parser);
    while (end > parser->offset && is_blank(parser->text[end - 1]))
        end--;
    for (size_t i = parser->offset; i < end; i++) {
        if (is_blank(parser->text[i]))
            return wrong(parser, i, "there is more behind the time zone");
    }
    *out = (struct time_range_zone){parser->text + parser->offset, end - parser->offset};
    return RESULT_OK;
}

enum result time_range_parse(const char *text, size_t length, struct time_range *out,
                             struct time_range_zone *zone, size_t *error_offset,
                             struct fault *fault)
{
    struct parser parser = {text, 0, length, error_offset, fault};
    struct time_range range = {.zone = &zone_utc, .weekdays = TIME_RANGE_EVERY_DAY};
    struct time_range_zone found = {0};
    enum result result;

    skip_blanks(&parser);
    if (is_at_date(&parser)) {
        result = parse_dates(&parser, &range);
    } else if (is_digit(peek(&parser, 0)) || parser.offset == length) {
        size_t start = parser.offset;

        result = parse_time(&parser, SECONDS_PER_DAY - 1, &range.start_s);
        if (result == RESULT_OK)
            result = parse_times_end(&parser, start, &range);
    } else {
        result = parse_weekly(&parser, &range);
    }
    if (result != RESULT_OK || parse_zone_name(&parser, &found) != RESULT_OK)
        return RESULT_FAULT;
    if (found.length > 0 && !((found.name[0] | 0x20) >= 'a' && (found.name[0] | 0x20) <= 'z'))
        return wrong(&parser, (size_t)(found.name - text), "a time zone is needed here");
    *out = range;
    *zone = found;
    return RESULT_OK;
}
