/* SPDX-License-Identifier: MIT
 * option_value.c - numbers, durations, rates, dates, words; addresses are in option_url.c. */
#include "config/option_value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/option_url.h"

#define NAME_BYTES_MAX 64
#define INSTITUTION_BYTES_MAX 128
#define QUOTED_BYTES_MAX 80

struct scan {
    const struct config_option *option;
    const char *text;
    size_t length;
    struct text *canonical;
    struct text *problem;
};

static void put(struct text *out, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct text *out, const char *format, ...)
{
    char buffer[1200];
    va_list arguments;

    if (out == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    text_append_string(out, buffer);
}

/* `"value" is not EXPECTED` */
static bool refuse(const struct scan *scan, const char *expected)
{
    bool is_cut = scan->length > QUOTED_BYTES_MAX;

    put(scan->problem, "\"%.*s%s\" is not %s", is_cut ? QUOTED_BYTES_MAX : (int)scan->length,
        scan->text, is_cut ? "..." : "", expected);
    return false;
}

bool option_text_is_clean(const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0;

    while (i < length) {
        unsigned lead = p[i];
        size_t more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;

        if (lead < 0x20 || lead == 0x7F || (lead >= 0x80 && lead < 0xC2) || lead > 0xF4 ||
            length - i <= more)
            return false;
        for (size_t j = 1; j <= more; j++) {
            if (p[i + j] < low || p[i + j] > high)
                return false;
            low = 0x80;
            high = 0xBF;
        }
        i += more + 1;
    }
    return true;
}

/* --- Numbers --------------------------------------------------------------------------------- */

static bool parse_integer(const struct scan *scan, struct option_value *value)
{
    int64_t number;

    if (!integer_parse(scan->text, scan->length, INT64_MIN, INT64_MAX, &number))
        return refuse(scan, "a whole number");
    if (number < scan->option->min || number > scan->option->max) {
        if (scan->option->min == scan->option->max)
            put(scan->problem, "%" PRId64 " is not allowed; only %" PRId64 " is", number,
                scan->option->min);
        else
            put(scan->problem, "%" PRId64 " is out of range; %" PRId64 " to %" PRId64 " is allowed",
                number, scan->option->min, scan->option->max);
        return false;
    }
    value->number = number;
    put(scan->canonical, "%" PRId64, number);
    return true;
}

static bool parse_percent(const struct scan *scan, struct option_value *value)
{
    size_t length = scan->length;
    int64_t number;

    if (length > 0 && scan->text[length - 1] == '%')
        length--;
    if (length > 1 && scan->text[length - 1] == ' ' && length < scan->length)
        length--;
    if (!integer_parse(scan->text, length, INT64_MIN, INT64_MAX, &number))
        return refuse(scan, "a percentage such as 10%");
    if (number < scan->option->min || number > scan->option->max) {
        put(scan->problem,
            "%" PRId64 "%% is out of range; %" PRId64 "%% to %" PRId64 "%% is allowed", number,
            scan->option->min, scan->option->max);
        return false;
    }
    value->number = number;
    put(scan->canonical, "%" PRId64 "%%", number);
    return true;
}

static bool parse_size(const struct scan *scan, struct option_value *value)
{
    static const struct {
        const char *unit;
        int64_t bytes;
    } units[] = {{"MiB", 1024 * 1024}, {"KiB", 1024}, {"B", 1}, {"", 1}};
    size_t digits = 0;

    while (digits < scan->length && digits < 12 && scan->text[digits] >= '0' &&
           scan->text[digits] <= '9')
        digits++;
    for (size_t i = 0; digits > 0 && i < sizeof units / sizeof units[0]; i++) {
        int64_t number;

        if (scan->length - digits != strlen(units[i].unit) ||
            memcmp(scan->text + digits, units[i].unit, scan->length - digits) != 0)
            continue;
        (void)integer_parse(scan->text, digits, 0, INT64_MAX, &number);
        number *= units[i].bytes;
        if (number < scan->option->min || number > scan->option->max) {
            put(scan->problem, "%.*s is out of range; %" PRId64 " to %" PRId64 " bytes are allowed",
                (int)scan->length, scan->text, scan->option->min, scan->option->max);
            return false;
        }
        value->number = number;
        for (i = 0; number % units[i].bytes != 0; i++)
            ;
        put(scan->canonical, "%" PRId64 "%s", number / units[i].bytes,
            units[i].bytes == 1 ? "" : units[i].unit);
        return true;
    }
    return refuse(scan, "a size: write a number of bytes, or one with KiB or MiB, such as 1MiB");
}

static bool parse_duration(const struct scan *scan, struct option_value *value)
{
    char low[DURATION_TEXT_SIZE];
    char high[DURATION_TEXT_SIZE];
    int64_t ms;

    if (!duration_parse(scan->text, scan->length, &ms))
        return refuse(scan, "a duration: write a whole number and one of ms, s, m, h, d, such as "
                            "90s or 6h");
    if (ms < scan->option->min || ms > scan->option->max) {
        put(scan->problem, "%.*s is out of range; %s to %s is allowed", (int)scan->length,
            scan->text, duration_text(scan->option->min, low),
            duration_text(scan->option->max, high));
        return false;
    }
    value->number = ms;
    put(scan->canonical, "%s", duration_text(ms, low));
    return true;
}

/* What may follow the slash of a rate beside a duration. */
static bool span_parse(const char *text, size_t length, int64_t *ms)
{
    static const struct {
        const char *word;
        int64_t ms;
    } words[] = {{"s", MS_PER_SECOND}, {"sec", MS_PER_SECOND}, {"second", MS_PER_SECOND},
                 {"m", MS_PER_MINUTE}, {"min", MS_PER_MINUTE}, {"minute", MS_PER_MINUTE},
                 {"h", MS_PER_HOUR},   {"hour", MS_PER_HOUR},  {"d", MS_PER_DAY},
                 {"day", MS_PER_DAY}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i].word) == length && memcmp(words[i].word, text, length) == 0) {
            *ms = words[i].ms;
            return true;
        }
    return duration_parse(text, length, ms);
}

void option_rate_text(const struct rate *rate, struct text *out)
{
    char span[DURATION_TEXT_SIZE];

    if (rate->span_ms == MS_PER_SECOND)
        put(out, "%" PRIu32 "/s", rate->count);
    else if (rate->span_ms == MS_PER_MINUTE)
        put(out, "%" PRIu32 "/min", rate->count);
    else if (rate->span_ms == MS_PER_DAY)
        put(out, "%" PRIu32 "/24h", rate->count);
    else
        put(out, "%" PRIu32 "/%s", rate->count, duration_text(rate->span_ms, span));
}

static bool parse_rate(const struct scan *scan, struct option_value *value)
{
    const char *slash = memchr(scan->text, '/', scan->length);
    size_t digits = slash == NULL ? 0 : (size_t)(slash - scan->text);
    char longest[DURATION_TEXT_SIZE];
    int64_t count;
    int64_t span_ms;

    if (slash == NULL || !integer_parse(scan->text, digits, 0, INT64_MAX, &count) ||
        !span_parse(slash + 1, scan->length - digits - 1, &span_ms) || span_ms == 0)
        return refuse(scan, "a rate: write count/time, such as 50/s, 100/min, 2000/day, 4/24h or "
                            "10/15m");
    if (count < scan->option->min || count > scan->option->max) {
        put(scan->problem, "%.*s is out of range; a count of %" PRId64 " to %" PRId64 " is allowed",
            (int)scan->length, scan->text, scan->option->min, scan->option->max);
        return false;
    }
    if (span_ms > QUOTA_WINDOW_MS_MAX) {
        put(scan->problem, "%.*s is out of range; a time of at most %s is allowed",
            (int)scan->length, scan->text, duration_text(QUOTA_WINDOW_MS_MAX, longest));
        return false;
    }
    value->rate = (struct rate){(uint32_t)count, span_ms};
    if (scan->canonical != NULL)
        option_rate_text(&value->rate, scan->canonical);
    return true;
}

/* --- Words -------------------------------------------------------------------------------------
 */

static bool parse_boolean(const struct scan *scan, struct option_value *value)
{
    static const struct {
        const char *word;
        const char *means;
    } others[] = {{"yes", "true"},  {"on", "true"},    {"y", "true"},  {"1", "true"},
                  {"no", "false"},  {"off", "false"},  {"n", "false"}, {"0", "false"},
                  {"true", "true"}, {"false", "false"}};

    if (option_word_allowed("true|false", scan->text, scan->length)) {
        value->number = scan->length == 4;
        put(scan->canonical, "%s", value->number ? "true" : "false");
        return true;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strlen(others[i].word) == scan->length &&
            strncasecmp(others[i].word, scan->text, scan->length) == 0) {
            put(scan->problem, "\"%.*s\" is neither true nor false: write %s", (int)scan->length,
                scan->text, others[i].means);
            return false;
        }
    return refuse(scan, "true or false");
}

static bool parse_enum(const struct scan *scan, struct option_value *value)
{
    char expected[160] = "allowed here; write one of ";
    const char *word = scan->option->words;

    for (value->number = 0; word != NULL; value->number++) {
        const char *bar = strchr(word, '|');
        size_t length = bar == NULL ? strlen(word) : (size_t)(bar - word);
        size_t used = strlen(expected);

        if (length == scan->length && memcmp(word, scan->text, length) == 0) {
            put(scan->canonical, "%.*s", (int)length, word);
            return true;
        }
        (void)snprintf(expected + used, sizeof expected - used, "%.*s%s", (int)length, word,
                       bar == NULL ? "" : ", ");
        word = bar == NULL ? NULL : bar + 1;
    }
    return refuse(scan, expected);
}

static bool parse_name(const struct scan *scan)
{
    bool good = scan->length >= 1 && scan->length <= NAME_BYTES_MAX;

    for (size_t i = 0; i < scan->length; i++) {
        char c = scan->text[i];

        good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-');
    }
    if (!good)
        return refuse(scan, "a name: write 1 to 64 of a-z, 0-9, _ and -");
    put(scan->canonical, "%.*s", (int)scan->length, scan->text);
    return true;
}

static bool parse_text(const struct scan *scan, size_t bytes_max)
{
    if (!option_text_is_clean(scan->text, scan->length)) {
        put(scan->problem, "the text holds control characters or bytes that are not UTF-8");
        return false;
    }
    if (scan->length == 0 || scan->length > bytes_max) {
        put(scan->problem, "the text has %zu bytes; 1 to %zu are allowed", scan->length, bytes_max);
        return false;
    }
    if (scan->canonical != NULL)
        text_append(scan->canonical, scan->text, scan->length);
    return true;
}

/* An SQL text may have several lines. */
static bool parse_free_text(const struct scan *scan)
{
    if (scan->length == 0) {
        put(scan->problem, "the text is empty");
        return false;
    }
    if (scan->canonical != NULL)
        text_append(scan->canonical, scan->text, scan->length);
    return true;
}

/* --- Times ---------------------------------------------------------------------------------------
 */

static bool parse_date(const struct scan *scan, struct option_value *value)
{
    char text[UTC_TEXT_SIZE];

    if (!utc_parse(scan->text, scan->length, &value->instant))
        return refuse(scan, "a date: write 2027-03-01 (00:00 UTC) or 2027-03-01T12:30:00Z");
    if (value->instant.ms % MS_PER_DAY == 0)
        put(scan->canonical, "%.10s", utc_text_seconds(value->instant, text));
    else if (value->instant.ms % MS_PER_SECOND == 0)
        put(scan->canonical, "%s", utc_text_seconds(value->instant, text));
    else
        put(scan->canonical, "%s", utc_text(value->instant, text));
    return true;
}

static bool parse_deadline(const struct scan *scan, struct option_value *value)
{
    char text[DURATION_TEXT_SIZE];
    int32_t second;

    if (!deadline_parse(scan->text, scan->length, &value->deadline))
        return refuse(scan, "a deadline: write a time of day such as 06:00, or a duration such as "
                            "5h");
    second = value->deadline.time_of_day_s;
    if (value->deadline.kind == DEADLINE_DURATION)
        put(scan->canonical, "%s", duration_text(value->deadline.duration_ms, text));
    else if (second % 60 == 0)
        put(scan->canonical, "%02d:%02d", second / 3600, second / 60 % 60);
    else
        put(scan->canonical, "%02d:%02d:%02d", second / 3600, second / 60 % 60, second % 60);
    return true;
}

static bool parse_cron(const struct scan *scan)
{
    struct cron cron;
    struct fault fault = {0};
    size_t offset = 0;

    if (cron_parse(scan->text, scan->length, &cron, &offset, &fault) != RESULT_OK) {
        put(scan->problem, "%s", fault.text);
        return false;
    }
    return parse_text(scan, 512);
}

static bool parse_time_range(const struct scan *scan)
{
    struct time_range range;
    struct time_range_zone zone;
    struct fault fault = {0};
    size_t offset = 0;

    if (time_range_parse(scan->text, scan->length, &range, &zone, &offset, &fault) != RESULT_OK) {
        put(scan->problem, "\"%.*s\": %s", (int)(scan->length < 80 ? scan->length : 80), scan->text,
            fault.text);
        return false;
    }
    return parse_text(scan, 256);
}

bool option_value_parse(const struct config_option *option, const char *text, size_t length,
                        struct option_value *value, struct text *canonical, struct text *problem)
{
    const struct scan scan = {option, text, length, canonical, problem};

    *value = (struct option_value){0};
    if (option->type != OPTION_ENUM && option_word_allowed(option->words, text, length)) {
        value->is_word = true;
        if (canonical != NULL)
            text_append(canonical, text, length);
        return true;
    }
    switch (option->type) {
    case OPTION_INTEGER: return parse_integer(&scan, value);
    case OPTION_BOOLEAN: return parse_boolean(&scan, value);
    case OPTION_DURATION: return parse_duration(&scan, value);
    case OPTION_RATE: return parse_rate(&scan, value);
    case OPTION_SIZE: return parse_size(&scan, value);
    case OPTION_ENUM: return parse_enum(&scan, value);
    case OPTION_URL:
        return option_url_parse(text, length, &value->is_clear_http, canonical, problem);
    case OPTION_ADDRESS: return option_address_parse(text, length, canonical, problem);
    case OPTION_DATE: return parse_date(&scan, value);
    case OPTION_CRON: return parse_cron(&scan);
    case OPTION_TIME_RANGE: return parse_time_range(&scan);
    case OPTION_TIME_OR_DURATION: return parse_deadline(&scan, value);
    case OPTION_PERCENT: return parse_percent(&scan, value);
    case OPTION_NAME: return parse_name(&scan);
    case OPTION_INSTITUTION: return parse_text(&scan, INSTITUTION_BYTES_MAX);
    case OPTION_PATH: return parse_text(&scan, 4000);
    case OPTION_ZONE: return parse_text(&scan, 128);
    case OPTION_TEXT: return parse_free_text(&scan);
    case OPTION_MAPPING:
    case OPTION_LIST:
    case OPTION_SECRET:
    case OPTION_TYPE_COUNT: break;
    }
    REQUIRE(false && "a scalar type");
    return false;
}

struct option_value option_value_of(const struct config_option *option, const char *text)
{
    struct option_value value;

    REQUIRE(option_value_parse(option, text, strlen(text), &value, NULL, NULL));
    return value;
}
