/* SPDX-License-Identifier: MIT
 * retry_after.c - delta seconds and the three forms of HTTP-date. */
#include "provider/retry_after.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int64_t clamp(int64_t ms)
{
    return ms < 0 ? 0 : ms > RETRY_AFTER_MS_MAX ? RETRY_AFTER_MS_MAX : ms;
}

/* "120", "-5", "1.5", any number of digits. */
static bool parse_seconds(const char *value, int64_t *ms)
{
    const char *at = value;
    int64_t seconds = 0;
    bool is_negative = *at == '-';

    at += is_negative || *at == '+';
    if (!isdigit((unsigned char)*at))
        return false;
    for (; isdigit((unsigned char)*at); at++)
        if (seconds < RETRY_AFTER_MS_MAX)
            seconds = seconds * 10 + (*at - '0');
    if (*at == '.')
        for (at++; isdigit((unsigned char)*at); at++)
            ;
    at += strspn(at, " \t");
    if (*at != '\0')
        return false;
    *ms = is_negative ? 0 : seconds * MS_PER_SECOND;
    return true;
}

static bool parse_month(const char *text, int32_t *month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int32_t i = 0; i < 12; i++)
        if (strncasecmp(text, names + i * 3, 3) == 0) {
            *month = i + 1;
            return true;
        }
    return false;
}

/* A two-digit year more than 50 years ahead is one of the last century (RFC 9110 5.6.7). */
static int32_t full_year(int32_t year, struct utc_time now)
{
    const int32_t this_year = civil_from_utc(now).year;

    if (year >= 100)
        return year;
    year += this_year / 100 * 100;
    return year > this_year + 50 ? year - 100 : year;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994";
 * the name of the day tells nothing new and is not looked at. */
static bool parse_date(const char *value, struct utc_time now, struct utc_time *out)
{
    struct civil_time civil = {0};
    char month[4] = "";
    const char *comma = strchr(value, ',');
    int end = 0;
    int read;

    if (comma != NULL) {
        read = sscanf(comma + 1, " %2d%*1[ -]%3[A-Za-z]%*1[ -]%4d %2d:%2d:%2d GMT %n", &civil.day,
                      month, &civil.year, &civil.hour, &civil.minute, &civil.second, &end);
        if (read != 6 || end == 0 || comma[1 + end] != '\0')
            return false;
        civil.year = full_year(civil.year, now);
    } else {
        read = sscanf(value, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d %n", month, &civil.day,
                      &civil.hour, &civil.minute, &civil.second, &civil.year, &end);
        if (read != 6 || end == 0 || value[end] != '\0')
            return false;
    }
    if (strlen(month) != 3 || !parse_month(month, &civil.month) || civil.year < 1970 ||
        civil.year > 9999 || civil.day < 1 || civil.day > 31 || civil.hour < 0 || civil.hour > 23 ||
        civil.minute < 0 || civil.minute > 59 || civil.second < 0 || civil.second > 60)
        return false;
    *out = civil_to_utc(&civil);
    return true;
}

int64_t retry_after_parse(const char *value, struct utc_time now)
{
    struct utc_time until;
    int64_t ms;

    if (value == NULL)
        return -1;
    value += strspn(value, " \t");
    if (parse_seconds(value, &ms))
        return clamp(ms);
    if (parse_date(value, now, &until))
        return clamp(until.ms - now.ms);
    return -1;
}
