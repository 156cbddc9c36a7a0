/* SPDX-License-Identifier: MIT
 * time_point.c - civil dates, ISO 8601 texts and durations; no clock is read here. */
#include "base/time_point.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int64_t time_add_saturating(int64_t a, int64_t b)
{
    int64_t sum;

    if (a == INT64_MAX || a == INT64_MIN)
        return a;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

int64_t civil_to_days(int32_t year, int32_t month, int32_t day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

void civil_from_days(int64_t days, int32_t *year, int32_t *month, int32_t *day)
{
    int64_t z = days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;

    *day = (int32_t)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (int32_t)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = (int32_t)(year_of_era + era * 400 + (*month <= 2));
}

struct utc_time civil_to_utc(const struct civil_time *civil)
{
    int64_t days = civil_to_days(civil->year, civil->month, civil->day);

    return (struct utc_time){days * MS_PER_DAY + civil->hour * MS_PER_HOUR +
                             civil->minute * MS_PER_MINUTE + civil->second * MS_PER_SECOND +
                             civil->millisecond};
}

struct civil_time civil_from_utc(struct utc_time t)
{
    struct civil_time civil;
    int64_t days = floor_div(t.ms, MS_PER_DAY);
    int64_t rest = t.ms - days * MS_PER_DAY;

    civil_from_days(days, &civil.year, &civil.month, &civil.day);
    civil.hour = (int32_t)(rest / MS_PER_HOUR);
    civil.minute = (int32_t)(rest / MS_PER_MINUTE % 60);
    civil.second = (int32_t)(rest / MS_PER_SECOND % 60);
    civil.millisecond = (int32_t)(rest % MS_PER_SECOND);
    return civil;
}

/* The representable years 1..9999, in milliseconds. */
#define UTC_TEXT_MIN INT64_C(-62135596800000)
#define UTC_TEXT_MAX INT64_C(253402300799999)

static struct utc_time clamp_to_text(struct utc_time t)
{
    if (t.ms < UTC_TEXT_MIN)
        t.ms = UTC_TEXT_MIN;
    if (t.ms > UTC_TEXT_MAX)
        t.ms = UTC_TEXT_MAX;
    return t;
}

char *utc_text(struct utc_time t, char text[UTC_TEXT_SIZE])
{
    struct civil_time c = civil_from_utc(clamp_to_text(t));

    (void)snprintf(text, UTC_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)c.year % 10000,
                   (int)c.month % 100, (int)c.day % 100, (int)c.hour % 100, (int)c.minute % 100,
                   (int)c.second % 100, (int)c.millisecond % 1000);
    return text;
}

char *utc_text_seconds(struct utc_time t, char text[UTC_TEXT_SIZE])
{
    struct civil_time c = civil_from_utc(clamp_to_text(t));

    (void)snprintf(text, UTC_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)c.year % 10000,
                   (int)c.month % 100, (int)c.day % 100, (int)c.hour % 100, (int)c.minute % 100,
                   (int)c.second % 100);
    return text;
}

struct cursor {
    const char *at;
    const char *end;
};

static bool read_digits(struct cursor *cursor, int count, int32_t *out)
{
    int32_t value = 0;

    if (cursor->end - cursor->at < count)
        return false;
    for (int i = 0; i < count; i++) {
        char c = cursor->at[i];

        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    cursor->at += count;
    *out = value;
    return true;
}

static bool read_char(struct cursor *cursor, char wanted)
{
    if (cursor->at == cursor->end || *cursor->at != wanted)
        return false;
    cursor->at++;
    return true;
}

static int32_t days_in_month(int32_t year, int32_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

static bool read_date(struct cursor *cursor, struct civil_time *civil)
{
    return read_digits(cursor, 4, &civil->year) && read_char(cursor, '-') &&
           read_digits(cursor, 2, &civil->month) && read_char(cursor, '-') &&
           read_digits(cursor, 2, &civil->day) && civil->year >= 1 && civil->month >= 1 &&
           civil->month <= 12 && civil->day >= 1 &&
           civil->day <= days_in_month(civil->year, civil->month);
}

static bool read_fraction(struct cursor *cursor, int32_t *millisecond)
{
    int32_t scale = 100;
    int digits = 0;

    *millisecond = 0;
    if (!read_char(cursor, '.'))
        return true;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        *millisecond += (*cursor->at - '0') * scale;
        scale /= 10;
        digits++;
        cursor->at++;
    }
    return digits > 0;
}

static bool read_zone(struct cursor *cursor, int64_t *offset_ms)
{
    int32_t hours;
    int32_t minutes;
    int64_t sign;

    *offset_ms = 0;
    if (read_char(cursor, 'Z') || read_char(cursor, 'z'))
        return true;
    if (read_char(cursor, '+'))
        sign = 1;
    else if (read_char(cursor, '-'))
        sign = -1;
    else
        return false;
    if (!read_digits(cursor, 2, &hours))
        return false;
    (void)read_char(cursor, ':');
    if (!read_digits(cursor, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *offset_ms = sign * (hours * MS_PER_HOUR + minutes * MS_PER_MINUTE);
    return true;
}

bool utc_parse(const char *text, size_t length, struct utc_time *out)
{
    struct cursor cursor = {text, text + length};
    struct civil_time civil = {0};
    int64_t offset_ms = 0;

    if (!read_date(&cursor, &civil))
        return false;
    if (cursor.at != cursor.end) {
        if (!read_char(&cursor, 'T') && !read_char(&cursor, 't') && !read_char(&cursor, ' '))
            return false;
        if (!read_digits(&cursor, 2, &civil.hour) || !read_char(&cursor, ':') ||
            !read_digits(&cursor, 2, &civil.minute) || !read_char(&cursor, ':') ||
            !read_digits(&cursor, 2, &civil.second) ||
            !read_fraction(&cursor, &civil.millisecond) || !read_zone(&cursor, &offset_ms))
            return false;
        if (cursor.at != cursor.end || civil.hour > 23 || civil.minute > 59 || civil.second > 60)
            return false;
        if (civil.second == 60) /* a leap second is the last instant of its minute here */
            civil.second = 59;
    }
    out->ms = civil_to_utc(&civil).ms - offset_ms;
    return true;
}

static const struct {
    const char *unit;
    int64_t ms;
} duration_units[] = {
    {"d", MS_PER_DAY}, {"h", MS_PER_HOUR}, {"m", MS_PER_MINUTE}, {"s", MS_PER_SECOND}, {"ms", 1},
};

bool duration_parse(const char *text, size_t length, int64_t *ms)
{
    int64_t value = 0;
    size_t digits = 0;

    while (digits < length && text[digits] >= '0' && text[digits] <= '9') {
        value = value * 10 + (text[digits] - '0');
        if (++digits > 15)
            return false;
    }
    if (digits == 0)
        return false;
    for (size_t i = 0; i < sizeof duration_units / sizeof duration_units[0]; i++) {
        size_t unit_length = strlen(duration_units[i].unit);

        if (length - digits == unit_length &&
            memcmp(text + digits, duration_units[i].unit, unit_length) == 0) {
            int64_t product;

            if (__builtin_mul_overflow(value, duration_units[i].ms, &product) ||
                product > 36525 * MS_PER_DAY)
                return false;
            *ms = product;
            return true;
        }
    }
    return false;
}

char *duration_text(int64_t ms, char text[DURATION_TEXT_SIZE])
{
    for (size_t i = 0; i < sizeof duration_units / sizeof duration_units[0]; i++) {
        if (ms != 0 && ms % duration_units[i].ms == 0) {
            (void)snprintf(text, DURATION_TEXT_SIZE, "%" PRId64 "%s", ms / duration_units[i].ms,
                           duration_units[i].unit);
            return text;
        }
    }
    (void)snprintf(text, DURATION_TEXT_SIZE, "0s");
    return text;
}
