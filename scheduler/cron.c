/* SPDX-License-Identifier: MIT
 * cron.c - matching; see cron.h. cron_parse.c reads expressions. */
#include "scheduler/cron.h"

#include "base/time_point.h"

#define SECONDS_PER_DAY INT64_C(86400)

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int32_t lowest_bit(uint64_t set)
{
    return __builtin_ctzll(set);
}

/* The members of `set` that are not below `value`; value in 0..63. */
static uint64_t bits_from(uint64_t set, int32_t value)
{
    return set >> value << value;
}

/* A month as a calendar sheet. */
struct month {
    int32_t last;          /* 28..31 */
    int32_t first_weekday; /* of day 1, Sunday 0 */
};

static struct month month_of(int32_t year, int32_t month)
{
    int64_t first = civil_to_days(year, month, 1);
    int64_t next = month == 12 ? civil_to_days(year + 1, 1, 1) : civil_to_days(year, month + 1, 1);

    return (struct month){
        .last = (int32_t)(next - first),
        .first_weekday = (int32_t)(((first + 4) % 7 + 7) % 7), /* 1970-01-01: a Thursday */
    };
}

/* Quartz's W: Saturday goes back to Friday, Sunday on to Monday, never out of the month. */
static uint32_t nearest_working_day(const struct month *month, int32_t day)
{
    switch ((month->first_weekday + day - 1) % 7) {
    case 6: return UINT32_C(1) << (day > 1 ? day - 1 : day + 2);
    case 0: return UINT32_C(1) << (day < month->last ? day + 1 : day - 2);
    default: return UINT32_C(1) << day;
    }
}

static uint32_t days_by_date(const struct cron *cron, const struct month *month)
{
    uint32_t days = cron->days;

    for (uint32_t set = cron->days_from_last; set != 0; set &= set - 1) {
        int32_t back = lowest_bit(set);

        if (back < month->last)
            days |= UINT32_C(1) << (month->last - back);
    }
    for (uint32_t set = cron->nearest; set != 0; set &= set - 1) {
        int32_t day = lowest_bit(set);

        if (day <= month->last)
            days |= nearest_working_day(month, day);
    }
    for (uint32_t set = cron->nearest_to_last; set != 0; set &= set - 1) {
        int32_t back = lowest_bit(set);

        if (back < month->last)
            days |= nearest_working_day(month, month->last - back);
    }
    return days;
}

static uint32_t days_by_weekday(const struct cron *cron, const struct month *month)
{
    uint32_t days = 0;

    for (int32_t day = 1; day <= month->last; day++) {
        uint32_t weekday = UINT32_C(1) << (month->first_weekday + day - 1) % 7;

        if ((cron->weekdays & weekday) != 0 || (cron->nth_weekdays[(day - 1) / 7] & weekday) != 0 ||
            (day > month->last - 7 && (cron->last_weekdays & weekday) != 0))
            days |= UINT32_C(1) << day;
    }
    return days;
}

uint32_t cron_days(const struct cron *cron, int32_t year, int32_t month)
{
    struct month sheet = month_of(year, month);
    uint32_t all = (uint32_t)((UINT64_C(2) << sheet.last) - 2);
    uint32_t by_date = days_by_date(cron, &sheet);
    uint32_t by_weekday = days_by_weekday(cron, &sheet);

    if (cron->day_is_star || cron->weekday_is_star)
        return all & by_date & by_weekday;
    return all & (by_date | by_weekday);
}

/* The first matching second of a day that is not before `from_s`. */
static bool next_in_day(const struct cron *cron, int32_t from_s, int32_t *out_s)
{
    int32_t hour = from_s / 3600;
    int32_t minute = from_s / 60 % 60;
    int32_t second = from_s % 60;
    uint64_t hours = bits_from(cron->hours, hour);
    uint64_t minutes = bits_from(cron->minutes, minute);
    uint64_t seconds = bits_from(cron->seconds, second);

    if (hours == 0)
        return false;
    if (lowest_bit(hours) == hour) {
        if (minutes != 0 && lowest_bit(minutes) == minute) {
            if (seconds != 0) {
                *out_s = from_s - second + lowest_bit(seconds);
                return true;
            }
            minutes &= minutes - 1;
        }
        if (minutes != 0) {
            *out_s = hour * 3600 + lowest_bit(minutes) * 60 + lowest_bit(cron->seconds);
            return true;
        }
        hours &= hours - 1;
        if (hours == 0)
            return false;
    }
    *out_s = lowest_bit(hours) * 3600 + lowest_bit(cron->minutes) * 60 + lowest_bit(cron->seconds);
    return true;
}

/* Walks months; `day` is where the first month begins to count, 1 in all later ones. */
struct month_walk {
    int32_t year;
    int32_t month;
    int32_t day;
    int64_t start; /* day 1 of the month, in days since 1970-01-01 */
};

static struct month_walk month_walk_at(int64_t day)
{
    struct month_walk walk;

    civil_from_days(day, &walk.year, &walk.month, &walk.day);
    walk.start = day - (walk.day - 1);
    return walk;
}

static void month_walk_on(struct month_walk *walk)
{
    if (walk->month == 12) {
        walk->year++;
        walk->month = 1;
    } else {
        walk->month++;
    }
    walk->day = 1;
    walk->start = civil_to_days(walk->year, walk->month, 1);
}

/* The matching days that are left in this month. */
static uint32_t month_walk_days(const struct month_walk *walk, const struct cron *cron)
{
    if ((cron->months >> walk->month & 1) == 0)
        return 0;
    return (uint32_t)bits_from(cron_days(cron, walk->year, walk->month), walk->day);
}

bool cron_next_local(const struct cron *cron, int64_t from_s, int64_t limit_s, int64_t *out_s)
{
    int64_t first_day = floor_div(from_s, SECONDS_PER_DAY);
    struct month_walk walk = month_walk_at(first_day);

    REQUIRE(cron->every_s == 0);
    for (; walk.start * SECONDS_PER_DAY < limit_s; month_walk_on(&walk)) {
        for (uint32_t days = month_walk_days(&walk, cron); days != 0; days &= days - 1) {
            int64_t day = walk.start + lowest_bit(days) - 1;
            int64_t begin_s = day == first_day ? from_s - day * SECONDS_PER_DAY : 0;
            int32_t time_s;

            if (!next_in_day(cron, (int32_t)begin_s, &time_s))
                continue;
            if (day * SECONDS_PER_DAY + time_s >= limit_s)
                return false;
            *out_s = day * SECONDS_PER_DAY + time_s;
            return true;
        }
    }
    return false;
}
