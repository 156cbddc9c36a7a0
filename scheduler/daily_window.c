/* SPDX-License-Identifier: MIT
 * daily_window.c - see daily_window.h. */
#include "scheduler/daily_window.h"

#include <string.h>

#define SECONDS_PER_DAY 86400
#define EVERY_DAY 0x7F
#define SYNTAX "[DAYS] HH:MM-HH:MM [ZONE], as in \"Mon-Fri 22:00-06:00 Europe/London\""
/* Every window that opens at all does so each week, but for weeks in which a clock change leaves
 * out its only hour, or a whole day (Apia 2011). */
#define SEARCH_S (INT64_C(35) * SECONDS_PER_DAY)

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
    return fault_set(parser->fault, FAULT_CONFIGURATION, "%s (allowed: " SYNTAX ")", what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct parser *parser)
{
    while (parser->offset < parser->length && is_blank(parser->text[parser->offset]))
        parser->offset++;
}

static bool take(struct parser *parser, char wanted)
{
    if (parser->offset == parser->length || parser->text[parser->offset] != wanted)
        return false;
    parser->offset++;
    return true;
}

static bool take_weekday(struct parser *parser, int32_t *out)
{
    static const char words[] = "sunmontuewedthufrisat";
    const char *found = parser->text + parser->offset;

    if (parser->length - parser->offset < 3)
        return false;
    for (int32_t i = 0; i < 7; i++) {
        const char *word = words + (size_t)i * 3;

        /* The words hold letters only, so setting the case bit compares in any case. */
        if ((found[0] | 0x20) == word[0] && (found[1] | 0x20) == word[1] &&
            (found[2] | 0x20) == word[2]) {
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
        for (int32_t day = from;; day = (day + 1) % 7) {
            weekdays |= 1u << day;
            if (day == to)
                break;
        }
    } while (take(parser, ','));
    if (parser->offset == parser->length || !is_blank(parser->text[parser->offset]))
        return wrong(parser, parser->offset, "a blank is needed behind the weekdays");
    *out = (uint8_t)weekdays;
    return RESULT_OK;
}

static bool take_two_digits(struct parser *parser, int32_t max, int32_t *out)
{
    const char *digits = parser->text + parser->offset;

    if (parser->length - parser->offset < 2 || digits[0] < '0' || digits[0] > '9' ||
        digits[1] < '0' || digits[1] > '9')
        return false;
    *out = (digits[0] - '0') * 10 + (digits[1] - '0');
    parser->offset += 2;
    return *out <= max;
}

/* HH:MM[:SS], at most `max_s`. */
static enum result parse_time(struct parser *parser, int32_t max_s, int32_t *out_s)
{
    size_t start = parser->offset;
    int32_t hour;
    int32_t minute;
    int32_t second = 0;

    if (!take_two_digits(parser, 24, &hour) || !take(parser, ':') ||
        !take_two_digits(parser, 59, &minute) ||
        (take(parser, ':') && !take_two_digits(parser, 59, &second)))
        return wrong(parser, start, "a time of day is needed here");
    *out_s = hour * 3600 + minute * 60 + second;
    if (*out_s > max_s)
        return wrong(parser, start, "this is not a time of day");
    return RESULT_OK;
}

static enum result parse_zone_name(struct parser *parser, struct daily_window_zone *out)
{
    size_t end = parser->length;

    skip_blanks(parser);
    while (end > parser->offset && is_blank(parser->text[end - 1]))
        end--;
    for (size_t i = parser->offset; i < end; i++) {
        if (is_blank(parser->text[i]))
            return wrong(parser, i, "there is more behind the time zone");
    }
    *out = (struct daily_window_zone){parser->text + parser->offset, end - parser->offset};
    return RESULT_OK;
}

enum result daily_window_parse(const char *text, size_t length, struct daily_window *out,
                               struct daily_window_zone *zone, size_t *error_offset,
                               struct fault *fault)
{
    struct parser parser = {text, 0, length, error_offset, fault};
    struct daily_window window = {.zone = &zone_utc, .weekdays = EVERY_DAY};
    struct daily_window_zone found = {0};
    size_t start;

    skip_blanks(&parser);
    start = parser.offset;
    if (start < length && (text[start] < '0' || text[start] > '9')) {
        if (parse_weekdays(&parser, &window.weekdays) != RESULT_OK)
            return RESULT_FAULT;
        skip_blanks(&parser);
        start = parser.offset;
    }
    if (parse_time(&parser, SECONDS_PER_DAY - 1, &window.start_s) != RESULT_OK)
        return RESULT_FAULT;
    if (!take(&parser, '-'))
        return wrong(&parser, parser.offset, "\"-\" and the end of the window are needed here");
    if (parse_time(&parser, SECONDS_PER_DAY, &window.end_s) != RESULT_OK)
        return RESULT_FAULT;
    if (window.start_s == window.end_s)
        return wrong(&parser, start, "it ends when it begins; a whole day is 00:00-24:00");
    if (parser.offset < length && !is_blank(text[parser.offset]))
        return wrong(&parser, parser.offset, "a blank is needed behind the times");
    if (parse_zone_name(&parser, &found) != RESULT_OK)
        return RESULT_FAULT;
    *out = window;
    *zone = found;
    return RESULT_OK;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static bool begins_on(const struct daily_window *window, int64_t day)
{
    int64_t weekday = ((day + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */

    return (window->weekdays >> weekday & 1) != 0;
}

static bool contains_local(const struct daily_window *window, int64_t local_s)
{
    int64_t day = floor_div(local_s, SECONDS_PER_DAY);
    int64_t time_s = local_s - day * SECONDS_PER_DAY;

    if (window->start_s < window->end_s)
        return begins_on(window, day) && window->start_s <= time_s && time_s < window->end_s;
    return (begins_on(window, day) && window->start_s <= time_s) ||
           (begins_on(window, day - 1) && time_s < window->end_s);
}

bool daily_window_contains(const struct daily_window *window, struct utc_time at)
{
    int64_t at_s = floor_div(at.ms, MS_PER_SECOND);

    return contains_local(window, at_s + zone_span_at(window->zone, at_s).offset_s);
}

/* The next instant at which the answer of contains_local may change: a time of day that matters,
 * midnight, or a clock change. */
static int64_t next_border(const struct daily_window *window, int64_t at_s)
{
    struct zone_span span = zone_span_at(window->zone, at_s);
    int64_t local_s = at_s + span.offset_s;
    int64_t time_s = local_s - floor_div(local_s, SECONDS_PER_DAY) * SECONDS_PER_DAY;
    int64_t border_s = SECONDS_PER_DAY;

    if (window->start_s > time_s && window->start_s < border_s)
        border_s = window->start_s;
    if (window->end_s > time_s && window->end_s < border_s)
        border_s = window->end_s;
    at_s += border_s - time_s;
    return at_s < span.end_s ? at_s : span.end_s;
}

/* The first instant after `at` at which being inside becomes `wanted`. */
static struct utc_time next_change(const struct daily_window *window, struct utc_time at,
                                   bool wanted)
{
    int64_t at_s = floor_div(at.ms, MS_PER_SECOND);
    int64_t limit_s = at_s + SEARCH_S;
    bool was_inside = daily_window_contains(window, at);

    if (at.ms == UTC_NEVER.ms || at.ms == UTC_NONE.ms)
        return UTC_NEVER;
    while (at_s < limit_s) {
        struct utc_time border;
        bool is_inside;

        at_s = next_border(window, at_s);
        border = (struct utc_time){at_s * MS_PER_SECOND};
        is_inside = daily_window_contains(window, border);
        if (is_inside != was_inside && is_inside == wanted)
            return border;
        was_inside = is_inside;
    }
    return UTC_NEVER;
}

struct utc_time daily_window_next_start(const struct daily_window *window, struct utc_time at)
{
    return next_change(window, at, true);
}

struct utc_time daily_window_next_end(const struct daily_window *window, struct utc_time at)
{
    return next_change(window, at, false);
}
