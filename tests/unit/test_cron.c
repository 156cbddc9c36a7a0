/* SPDX-License-Identifier: MIT
 * test_cron.c - which expressions are taken, what they name, and what is said about the others. */
#include "scheduler/cron.h"

#include <string.h>

#include "base/random.h"
#include "base/time_point.h"
#include "tests/unit/unit_test.h"

static struct cron parse(const char *text)
{
    struct cron cron;
    struct fault fault;
    size_t error_offset;

    if (cron_parse(text, strlen(text), &cron, &error_offset, &fault) != RESULT_OK)
        fail_msg("\"%s\": %s", text, fault.text);
    return cron;
}

static int64_t local_s(const char *text)
{
    struct utc_time instant = UTC_NONE;

    assert_true(utc_parse(text, strlen(text), &instant));
    return instant.ms / 1000;
}

/* --- What is taken, in bits ------------------------------------------------------------------- */

#define ALL_MINUTES (UINT64_MAX >> 4)
#define ALL_HOURS UINT32_C(0xFFFFFF)
#define ALL_DAYS UINT32_C(0xFFFFFFFE)
#define ALL_MONTHS 0x1FFE
#define ALL_WEEKDAYS 0x7F

static const struct {
    const char *text;
    struct cron cron;
} good_rows[] = {
    {"* * * * *",
     {.seconds = 1,
      .minutes = ALL_MINUTES,
      .hours = ALL_HOURS,
      .days = ALL_DAYS,
      .months = ALL_MONTHS,
      .weekdays = ALL_WEEKDAYS,
      .hour_is_star = true,
      .day_is_star = true,
      .weekday_is_star = true}},
    {"* * * * * *",
     {.seconds = ALL_MINUTES,
      .minutes = ALL_MINUTES,
      .hours = ALL_HOURS,
      .days = ALL_DAYS,
      .months = ALL_MONTHS,
      .weekdays = ALL_WEEKDAYS,
      .hour_is_star = true,
      .day_is_star = true,
      .weekday_is_star = true}},
    /* Steps: on a star, on a range, from a value on. A star with a step is a star. */
    {"*/20 */8 */15 */6 */3",
     {.seconds = 1,
      .minutes = 1 | UINT64_C(1) << 20 | UINT64_C(1) << 40,
      .hours = 1 | 1 << 8 | 1 << 16,
      .days = 1 << 1 | 1 << 16 | UINT32_C(1) << 31,
      .months = 1 << 1 | 1 << 7,
      .weekdays = 1 | 1 << 3 | 1 << 6,
      .hour_is_star = true,
      .day_is_star = true,
      .weekday_is_star = true}},
    {"10-30/10 20/2 30/1 11/1 4/2",
     {.seconds = 1,
      .minutes = 1 << 10 | 1 << 20 | 1 << 30,
      .hours = 1 << 20 | 1 << 22,
      .days = UINT32_C(3) << 30,
      .months = 3 << 11,
      .weekdays = 1 << 4 | 1 << 6}},
    /* Lists; a star that does not come first does not count as one. */
    {"5,1-3,59 0,* 31,1 12,2-3 1,*",
     {.seconds = 1,
      .minutes = 1 << 5 | 7 << 1 | UINT64_C(1) << 59,
      .hours = ALL_HOURS,
      .days = UINT32_C(1) << 31 | 2,
      .months = 1 << 12 | 3 << 2,
      .weekdays = ALL_WEEKDAYS}},
    {"0 *,3 *,3 1 *,3",
     {.seconds = 1,
      .minutes = 1,
      .hours = ALL_HOURS,
      .days = ALL_DAYS,
      .months = 2,
      .weekdays = ALL_WEEKDAYS,
      .hour_is_star = true,
      .day_is_star = true,
      .weekday_is_star = true}},
    /* Names in any case; both Sundays, also at both ends of a range. */
    {"0 0 1 JAN,feb,Mar,aPR-jUN,jul,AUG,sep,OCT,nov,DEC sun,MON,tUe,wed,THU,fri,Sat",
     {.seconds = 1,
      .minutes = 1,
      .hours = 1,
      .days = 2,
      .months = ALL_MONTHS,
      .weekdays = ALL_WEEKDAYS}},
    {"0 0 1 1 0", {.seconds = 1, .minutes = 1, .hours = 1, .days = 2, .months = 2, .weekdays = 1}},
    {"0 0 1 1 7", {.seconds = 1, .minutes = 1, .hours = 1, .days = 2, .months = 2, .weekdays = 1}},
    {"0 0 1 1 5-7",
     {.seconds = 1, .minutes = 1, .hours = 1, .days = 2, .months = 2, .weekdays = 1 | 3 << 5}},
    {"0 0 1 1 FRI-SUN",
     {.seconds = 1, .minutes = 1, .hours = 1, .days = 2, .months = 2, .weekdays = 1 | 3 << 5}},
    {"0 0 1 1 7-1",
     {.seconds = 1, .minutes = 1, .hours = 1, .days = 2, .months = 2, .weekdays = 3}},
    {"0 0 1 1 7/3",
     {.seconds = 1,
      .minutes = 1,
      .hours = 1,
      .days = 2,
      .months = 2,
      .weekdays = 1 | 1 << 3 | 1 << 6}},
    {"0 0 1 1 0-7/7",
     {.seconds = 1, .minutes = 1, .hours = 1, .days = 2, .months = 2, .weekdays = 1}},
    /* Days from the end, working days, n-th weekdays. */
    {"0 0 L,l-3,L-30 1 1L,fril,0L",
     {.seconds = 1,
      .minutes = 1,
      .hours = 1,
      .days_from_last = 1 | 1 << 3 | 1 << 30,
      .months = 2,
      .last_weekdays = 1 | 1 << 1 | 1 << 5}},
    {"0 0 15W,1w,lw,L-2W 1 2#3,SAT#1,7#5",
     {.seconds = 1,
      .minutes = 1,
      .hours = 1,
      .nearest = 1 << 15 | 2,
      .nearest_to_last = 1 | 4,
      .months = 2,
      .nth_weekdays = {1 << 6, 0, 1 << 2, 0, 1}}},
    {"0 0 ? 1 ?",
     {.seconds = 1,
      .minutes = 1,
      .hours = 1,
      .days = ALL_DAYS,
      .months = 2,
      .weekdays = ALL_WEEKDAYS,
      .day_is_star = true,
      .weekday_is_star = true}},
    /* Six fields, blanks wherever. */
    {"  5,10\t1 2   3 4 5 ",
     {.seconds = 1 << 5 | 1 << 10,
      .minutes = 2,
      .hours = 4,
      .days = 8,
      .months = 16,
      .weekdays = 32}},
    {"@yearly",
     {.seconds = 1,
      .minutes = 1,
      .hours = 1,
      .days = 2,
      .months = 2,
      .weekdays = ALL_WEEKDAYS,
      .weekday_is_star = true}},
    {"@Annually",
     {.seconds = 1,
      .minutes = 1,
      .hours = 1,
      .days = 2,
      .months = 2,
      .weekdays = ALL_WEEKDAYS,
      .weekday_is_star = true}},
    {"@monthly",
     {.seconds = 1,
      .minutes = 1,
      .hours = 1,
      .days = 2,
      .months = ALL_MONTHS,
      .weekdays = ALL_WEEKDAYS,
      .weekday_is_star = true}},
    {"@weekly",
     {.seconds = 1,
      .minutes = 1,
      .hours = 1,
      .days = ALL_DAYS,
      .months = ALL_MONTHS,
      .weekdays = 1,
      .day_is_star = true}},
    {" @daily ",
     {.seconds = 1,
      .minutes = 1,
      .hours = 1,
      .days = ALL_DAYS,
      .months = ALL_MONTHS,
      .weekdays = ALL_WEEKDAYS,
      .day_is_star = true,
      .weekday_is_star = true}},
    {"@MIDNIGHT",
     {.seconds = 1,
      .minutes = 1,
      .hours = 1,
      .days = ALL_DAYS,
      .months = ALL_MONTHS,
      .weekdays = ALL_WEEKDAYS,
      .day_is_star = true,
      .weekday_is_star = true}},
    {"@hourly",
     {.seconds = 1,
      .minutes = 1,
      .hours = ALL_HOURS,
      .days = ALL_DAYS,
      .months = ALL_MONTHS,
      .weekdays = ALL_WEEKDAYS,
      .hour_is_star = true,
      .day_is_star = true,
      .weekday_is_star = true}},
    {"@every 6h", {.every_s = 21600}},
    {"@EVERY  90s", {.every_s = 90}},
    {"@every 2000ms", {.every_s = 2}},
};

static void test_expressions_that_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(good_rows); i++) {
        struct cron cron = parse(good_rows[i].text);
        const struct cron *expected = &good_rows[i].cron;

        print_message("%s\n", good_rows[i].text);
        assert_int_equal(cron.every_s, expected->every_s);
        assert_true(cron.seconds == expected->seconds);
        assert_true(cron.minutes == expected->minutes);
        assert_int_equal(cron.hours, expected->hours);
        assert_int_equal(cron.days, expected->days);
        assert_int_equal(cron.days_from_last, expected->days_from_last);
        assert_int_equal(cron.nearest, expected->nearest);
        assert_int_equal(cron.nearest_to_last, expected->nearest_to_last);
        assert_int_equal(cron.months, expected->months);
        assert_int_equal(cron.weekdays, expected->weekdays);
        assert_int_equal(cron.last_weekdays, expected->last_weekdays);
        assert_memory_equal(cron.nth_weekdays, expected->nth_weekdays, CRON_NTH_MAX);
        assert_int_equal(cron.hour_is_star, expected->hour_is_star);
        assert_int_equal(cron.day_is_star, expected->day_is_star);
        assert_int_equal(cron.weekday_is_star, expected->weekday_is_star);
    }
}

/* --- What is refused: where, and in which words ----------------------------------------------- */

static const struct {
    const char *text;
    size_t offset;
    const char *told;
} bad_rows[] = {
    {"", 0, "0 fields"},
    {"   ", 0, "0 fields"},
    {"0 1 * *", 7, "4 fields where 5"},
    {"0 0 0 1 1 ? 2026", 12, "more than 6 fields"},
    {"60 * * * *", 0, "minute: 60 is out of range (allowed: 0-59)"},
    {"0 24 * * *", 2, "hour: 24 is out of range (allowed: 0-23)"},
    {"0 0 0 * *", 4, "day of month: 0 is out of range (allowed: 1-31"},
    {"0 0 32 * *", 4, "day of month: 32"},
    {"0 0 1 0 *", 6, "month: 0 is out of range (allowed: 1-12 or JAN-DEC)"},
    {"0 0 1 13 *", 6, "month: 13"},
    {"0 0 * * 8", 8, "day of week: 8 is out of range (allowed: 0-7"},
    {"60 0 0 * * *", 0, "second: 60"},
    {"0 1,2,99 * * *", 6, "hour: 99"},
    {"1000 * * * *", 0, "minute: \"1000\" is not allowed"},
    {"-1 * * * *", 0, "minute: \"-1\" is not allowed"},
    {"a * * * *", 0, "minute: \"a\""},
    {"0 0 * FOO *", 6, "month: \"FOO\" is not allowed (allowed: 1-12 or JAN-DEC)"},
    {"0 0 * JANUARY *", 6, "month: \"JANUARY\""},
    {"0 0 * * MO", 8, "day of week: \"MO\""},
    {"0 0 * * MON-", 12, "day of week: \"\""},
    {"0 JAN * * *", 2, "hour: \"JAN\""},
    {"0 0 * MON *", 6, "month: \"MON\""},
    {"5-1 * * * *", 0, "minute: the range \"5-1\" runs backwards"},
    {"0 22-2 * * *", 2, "hour: the range \"22-2\" runs backwards"},
    {"0 0 * * FRI-MON", 8, "day of week: the range \"FRI-MON\" runs backwards"},
    {"0 0 * 1,NOV-feb *", 8, "month: the range \"NOV-feb\" runs backwards"},
    {"*/0 * * * *", 2, "minute: \"0\" is not a step (allowed: 1-60)"},
    {"*/61 * * * *", 2, "not a step"},
    {"0 */25 * * *", 4, "hour: \"25\" is not a step (allowed: 1-24)"},
    {"*/ * * * *", 2, "minute: \"\" is not a step"},
    {"*/x * * * *", 2, "minute: \"x\" is not a step"},
    {"*/5/2 * * * *", 2, "minute: \"5/2\" is not a step"},
    {"1-2-3 * * * *", 0, "minute: \"1-2-3\""},
    {"** * * * *", 0, "minute: \"**\""},
    {"*5 * * * *", 0, "minute: \"*5\""},
    {"*-5 * * * *", 0, "minute: \"*-5\""},
    {", * * * *", 0, "minute: a value is missing"},
    {"1,,2 * * * *", 2, "minute: a value is missing"},
    {"1, * * * *", 2, "minute: a value is missing"},
    {"? * * * *", 0, "minute: \"?\""},
    {"0 ? * * *", 2, "hour: \"?\""},
    {"0 0 * ? *", 6, "month: \"?\""},
    {"0 0 ?,1 * *", 4, "day of month: \"?\""},
    {"0 0 1,? * *", 6, "day of month: \"?\""},
    {"0 0 ?/2 * *", 4, "day of month: \"?/2\""},
    {"L * * * *", 0, "minute: \"L\""},
    {"0 0 L-0 * *", 4, "day of month: \"L-0\""},
    {"0 0 L-31 * *", 4, "day of month: \"L-31\""},
    {"0 0 L- * *", 4, "day of month: \"L-\""},
    {"0 0 L3 * *", 4, "day of month: \"L3\""},
    {"0 0 LWW * *", 4, "day of month: \"LWW\""},
    {"0 0 5L * *", 4, "day of month: \"5L\""},
    {"0 0 W * *", 4, "day of month: \"W\""},
    {"0 0 W15 * *", 4, "day of month: \"W15\""},
    {"0 0 32W * *", 4, "day of month: 32"},
    {"0 0 1-5W * *", 4, "day of month: \"1-5W\""},
    {"0 0 15W1 * *", 4, "day of month: \"15W1\""},
    {"0 0 15W/2 * *", 4, "day of month: \"15W/2\""},
    {"0 0 * * L", 8, "day of week: \"L\""},
    {"0 0 * * 5W", 8, "day of week: \"5W\""},
    {"0 0 * * 5#0", 8, "day of week: \"5#0\""},
    {"0 0 * * 5#6", 8, "day of week: \"5#6\""},
    {"0 0 * * 5#", 8, "day of week: \"5#\""},
    {"0 0 * * #2", 8, "day of week: \"#2\""},
    {"0 0 * * 1-5#2", 8, "day of week: \"1-5#2\""},
    {"0 0 * * 5L2", 8, "day of week: \"5L2\""},
    {"0 0 * * 1-5L", 8, "day of week: \"1-5L\""},
    {"0 0 * * \x01", 8, "byte 0x01"},
    {"0 0 * * \xc3\xa9", 8, "byte 0xc3"},
    {"0 0 *\n* *", 5, "byte 0x0a"},
    {"@reboot", 0, "\"@reboot\" is not known (allowed: @yearly"},
    {"  @dayly", 2, "\"@dayly\""},
    {"@daily 5", 0, "\"@daily 5\""},
    {"@", 0, "\"@\""},
    {"@every", 6, "@every: \"\" is not a duration"},
    {"@every 0s", 7, "\"0s\" is not a duration"},
    {"@every 1500ms", 7, "whole seconds"},
    {"@every 500ms", 7, "whole seconds"},
    {"@every 6 h", 7, "\"6 h\""},
    {"@every6h", 0, "\"@every6h\""},
    {"@every -6h", 7, "\"-6h\""},
    /* Nothing wrong but that it never comes. */
    {"0 0 30 2 *", 0, "can never fire"},
    {" 0 0 0 31 2,4,6,9,11 *", 1, "can never fire"},
    {"0 0 L-29 2 */1", 0, "can never fire"},
    {"0 0 30W 2 ?", 0, "can never fire"},
    {"0 0 */31 * 1#2", 0, "can never fire"},
};

static void test_expressions_that_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(bad_rows); i++) {
        struct cron cron = {.every_s = 99};
        size_t offset = SIZE_MAX;
        struct fault fault = {.text = ""};

        if (cron_parse(bad_rows[i].text, strlen(bad_rows[i].text), &cron, &offset, &fault) ==
            RESULT_OK)
            fail_msg("\"%s\" was taken", bad_rows[i].text);
        if (offset != bad_rows[i].offset || strstr(fault.text, bad_rows[i].told) == NULL)
            fail_msg("\"%s\": byte %zu: %s", bad_rows[i].text, offset, fault.text);
        assert_int_equal(fault.code, FAULT_CONFIGURATION);
        assert_int_equal(cron.every_s, 99);
    }
}

static void test_length_is_bounded(void **state)
{
    char text[600];
    struct cron cron;
    size_t offset;
    struct fault fault;

    (void)state;
    memset(text, ' ', sizeof text);
    memcpy(text, "0 0 * * *", 9);
    assert_int_equal(cron_parse(text, 512, &cron, &offset, &fault), RESULT_OK);
    assert_int_equal(cron_parse(text, 513, &cron, &offset, &fault), RESULT_FAULT);
    assert_int_equal(offset, 512);
    /* Only `length` bytes count. */
    assert_int_equal(cron_parse("0 0 * * *5", 9, &cron, &offset, &fault), RESULT_OK);
    assert_int_equal(cron_parse("0 0 * * *", 8, &cron, &offset, &fault), RESULT_FAULT);
}

/* --- Dates -------------------------------------------------------------------------------------
 */

#define BIT(day) (UINT32_C(1) << (day))

static const struct {
    const char *fields; /* day of month, month, day of week */
    int32_t year;
    int32_t month;
    uint32_t days;
} day_rows[] = {
    /* May 2026 begins on a Friday and ends on a Sunday. */
    {"L * *", 2026, 5, BIT(31)},
    {"L-3 * *", 2026, 5, BIT(28)},
    {"L-30 * *", 2026, 5, BIT(1)},
    {"LW * *", 2026, 5, BIT(29)},
    {"L-1W * *", 2026, 5, BIT(29)}, /* the 30th is a Saturday */
    {"L-29W * *", 2026, 5, BIT(1)}, /* the 2nd is a Saturday: Friday */
    {"3W * *", 2026, 5, BIT(4)},    /* Sunday: Monday */
    {"31W * *", 2026, 5, BIT(29)},  /* Sunday at the end: back to Friday */
    {"6W * *", 2026, 5, BIT(6)},    /* a Wednesday stays */
    {"* * 5L", 2026, 5, BIT(29)},
    {"* * 0L", 2026, 5, BIT(31)},
    {"* * 1L", 2026, 5, BIT(25)},
    {"* * 5#1", 2026, 5, BIT(1)},
    {"* * 5#5", 2026, 5, BIT(29)},
    {"* * 1#5", 2026, 5, 0},
    {"* * 4#1", 2026, 5, BIT(7)},
    {"* * 5#1,FRI#2,5L", 2026, 5, BIT(1) | BIT(8) | BIT(29)},
    /* August 2026 begins on a Saturday, February on a Sunday; February 2028 has 29 days. */
    {"1W * *", 2026, 8, BIT(3)}, /* Saturday the 1st: on to Monday, not back to July */
    {"1W * *", 2026, 2, BIT(2)},
    {"LW * *", 2026, 2, BIT(27)},
    {"31W * *", 2026, 4, 0}, /* no such day: no firing */
    {"L-29 * *", 2026, 2, 0},
    {"L-28 * *", 2028, 2, BIT(1)},
    {"29-31 * *", 2028, 2, BIT(29)},
    {"29-31 * *", 2100, 2, 0},
    {"29-31 * *", 2000, 2, BIT(29)},
    /* Two restricted fields: either. A star in one of them: both. */
    {"13 * 5", 2026, 5, BIT(13) | BIT(1) | BIT(8) | BIT(15) | BIT(22) | BIT(29)},
    {"13 * *", 2026, 5, BIT(13)},
    {"* * 5", 2026, 5, BIT(1) | BIT(8) | BIT(15) | BIT(22) | BIT(29)},
    {"? * 5", 2026, 5, BIT(1) | BIT(8) | BIT(15) | BIT(22) | BIT(29)},
    {"8 * ?", 2026, 5, BIT(8)},
    {"*/7 * 5", 2026, 5, BIT(1) | BIT(8) | BIT(15) | BIT(22) | BIT(29)},
    {"*/10 * 5", 2026, 5, BIT(1)}, /* 1, 11, 21, 31 that are Fridays */
    {"1/10 * 5", 2026, 5,
     BIT(1) | BIT(8) | BIT(11) | BIT(15) | BIT(21) | BIT(22) | BIT(29) |
         BIT(31)},            /* the same days, but no star */
    {"13 * */5", 2026, 5, 0}, /* a Wednesday; Sundays and Fridays are asked for */
    {"15,16 * */5", 2026, 5, BIT(15)},
    {"L * 1#1", 2026, 5, BIT(31) | BIT(4)},
};

static void test_days(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(day_rows); i++) {
        char text[64];
        struct cron cron;
        uint32_t days;

        (void)snprintf(text, sizeof text, "0 0 %s", day_rows[i].fields);
        cron = parse(text);
        days = cron_days(&cron, day_rows[i].year, day_rows[i].month);
        if (days != day_rows[i].days)
            fail_msg("%s in %d-%02d: %08x", text, day_rows[i].year, day_rows[i].month, days);
    }
}

/* --- Times -------------------------------------------------------------------------------------
 */

static const struct {
    const char *text;
    const char *from;
    const char *next;
} next_rows[] = {
    {"30 10 * * *", "2026-05-01T10:30:00Z", "2026-05-01T10:30:00Z"}, /* from is included */
    {"30 10 * * *", "2026-05-01T10:30:01Z", "2026-05-02T10:30:00Z"},
    {"30 10 * * *", "2026-05-01T10:29:59Z", "2026-05-01T10:30:00Z"},
    {"30 10 * * *", "2026-05-01T09:59:59Z", "2026-05-01T10:30:00Z"},
    {"15,45 8,10 * * *", "2026-05-01T08:15:01Z", "2026-05-01T08:45:00Z"},
    {"15,45 8,10 * * *", "2026-05-01T08:45:30Z", "2026-05-01T10:15:00Z"},
    {"15,45 8,10 * * *", "2026-05-01T08:46:00Z", "2026-05-01T10:15:00Z"},
    {"15,45 8,10 * * *", "2026-05-01T09:20:00Z", "2026-05-01T10:15:00Z"},
    {"15,45 8,10 * * *", "2026-05-01T10:45:01Z", "2026-05-02T08:15:00Z"},
    {"5,35 15,45 8,10 * * *", "2026-05-01T08:15:06Z", "2026-05-01T08:15:35Z"},
    {"5,35 15,45 8,10 * * *", "2026-05-01T08:15:36Z", "2026-05-01T08:45:05Z"},
    {"5,35 15,45 8,10 * * *", "2026-05-01T08:45:36Z", "2026-05-01T10:15:05Z"},
    {"5,35 15,45 8,10 * * *", "2026-05-01T08:14:40Z", "2026-05-01T08:15:05Z"},
    {"59 59 23 31 12 *", "2026-12-31T23:59:59Z", "2026-12-31T23:59:59Z"},
    {"59 59 23 31 12 *", "2027-01-01T00:00:00Z", "2027-12-31T23:59:59Z"},
    {"0 0 29 2 *", "2096-02-29T00:00:01Z", "2104-02-29T00:00:00Z"}, /* 2100 is no leap year */
    {"0 0 29 2 */7", "2026-01-01T00:00:00Z", "2032-02-29T00:00:00Z"},
    {"0 0 29 2 */7", "2032-03-01T00:00:00Z", "2060-02-29T00:00:00Z"},
    {"0 0 */29 2 1", "2026-02-01T00:00:00Z", "2027-02-01T00:00:00Z"}, /* February 1 or 29... */
    {"0 0 */29 2 1", "2038-02-02T00:00:00Z", "2044-02-01T00:00:00Z"}, /* ... if it is a Monday */
    {"0 0 */28 2 1", "2040-02-01T00:00:00Z", "2044-02-01T00:00:00Z"},
    {"0 12 * * *", "1969-12-31T12:00:01Z", "1970-01-01T12:00:00Z"},
    {"0 12 * * *", "1969-12-30T13:00:00Z", "1969-12-31T12:00:00Z"},
    {"0 0 ? * 1#5", "2026-05-01T00:00:00Z", "2026-06-29T00:00:00Z"},
};

static void test_next_local(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(next_rows); i++) {
        struct cron cron = parse(next_rows[i].text);
        int64_t from_s = local_s(next_rows[i].from);
        int64_t expected_s = local_s(next_rows[i].next);
        int64_t found_s = -1;

        assert_true(cron_next_local(&cron, from_s, INT64_C(1) << 40, &found_s));
        if (found_s != expected_s)
            fail_msg("%s from %s: %" PRId64 ", not %" PRId64, next_rows[i].text, next_rows[i].from,
                     found_s, expected_s);
        /* The limit is exclusive. */
        assert_true(cron_next_local(&cron, from_s, expected_s + 1, &found_s));
        assert_int_equal(found_s, expected_s);
        assert_false(cron_next_local(&cron, from_s, expected_s, &found_s));
    }
}

/* Good texts with a few characters changed: taken and then of use, or refused with a place. */
static void test_damaged_texts(void **state)
{
    static const char letters[] = "0123456789*/,-?LW#@ \tJANmon\n\xff";
    struct random random;
    size_t taken = 0;

    (void)state;
    random_init(&random, unit_seed());
    for (size_t n = 0; n < 50000; n++) {
        const char *good = good_rows[n % ROW_COUNT(good_rows)].text;
        size_t length = strlen(good);
        char text[128];
        struct cron cron;
        size_t offset = SIZE_MAX;
        struct fault fault;

        memcpy(text, good, length);
        for (uint64_t changes = random_below(&random, 4); changes > 0; changes--)
            text[random_below(&random, length)] =
                letters[random_below(&random, sizeof letters - 1)];
        if (cron_parse(text, length, &cron, &offset, &fault) == RESULT_OK) {
            int64_t found_s;

            taken++;
            assert_int_equal(offset, SIZE_MAX);
            assert_true(cron.every_s > 0 ||
                        cron_next_local(&cron, 0, INT64_C(146097) * 86400, &found_s));
        } else {
            assert_in_range(offset, 0, length);
        }
    }
    assert_in_range(taken, 10000, 45000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions_that_are_taken),
        cmocka_unit_test(test_expressions_that_are_refused),
        cmocka_unit_test(test_length_is_bounded),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_next_local),
        cmocka_unit_test(test_damaged_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
