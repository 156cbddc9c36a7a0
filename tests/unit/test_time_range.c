/* SPDX-License-Identifier: MIT
 * test_time_range.c - ranges of local time: how they are written, and when they begin and end. */
#include "scheduler/time_range.h"

#include <string.h>

#include "base/random.h"
#include "base/zone_file.h"
#include "tests/unit/unit_test.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static struct utc_time at(const char *text)
{
    struct utc_time instant = UTC_NONE;

    if (!utc_parse(text, strlen(text), &instant))
        fail_msg("%s", text);
    return instant;
}

static struct time_range make(const char *text)
{
    struct time_range window;
    struct time_range_zone zone;
    size_t error_offset;
    struct fault fault;
    char name[64];

    if (time_range_parse(text, strlen(text), &window, &zone, &error_offset, &fault) != RESULT_OK)
        fail_msg("\"%s\": %s", text, fault.text);
    if (zone.length > 0) {
        (void)snprintf(name, sizeof name, "%.*s", (int)zone.length, zone.name);
        if (zone_load(ZONE_DIRECTORY, name, &arena, &window.zone, &fault) != RESULT_OK)
            fail_msg("%s", fault.text);
    }
    return window;
}

#define H(hours) ((hours)*3600)
#define EVERY_DAY 0x7F
#define SUN 1
#define MON 2
#define FRI 32
#define SAT 64

static void test_texts_that_are_taken(void **state)
{
    static const struct {
        const char *text;
        int64_t start_s;
        int64_t end_s;
        uint8_t weekdays;
        const char *zone;
    } rows[] = {
        {"02:00-03:00 Europe/Bucharest", H(2), H(3), EVERY_DAY, "Europe/Bucharest"},
        {"Mon-Fri 22:00-06:00 Europe/London", H(22), H(6), 0x3E, "Europe/London"},
        {"02:00-03:00", H(2), H(3), EVERY_DAY, ""},
        {"  02:00-03:00\t ", H(2), H(3), EVERY_DAY, ""},
        {"00:00-24:00", 0, H(24), EVERY_DAY, ""},
        {"22:00-00:00", H(22), 0, EVERY_DAY, ""},
        {"01:02:03-04:05:06", 3723, H(4) + 306, EVERY_DAY, ""},
        {"sat,SUN 00:00-12:00", 0, H(12), SAT | SUN, ""},
        {"Fri-Mon 00:00-12:00", 0, H(12), FRI | SAT | SUN | MON, ""},
        {"Mon,Fri-Sat,Sun  00:00-12:00   UTC  ", 0, H(12), MON | FRI | SAT | SUN, "UTC"},
        {"Mon-Mon 00:00-12:00", 0, H(12), MON, ""},
        {"Sun-Sat 00:00-12:00", 0, H(12), EVERY_DAY, ""},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct time_range window;
        struct time_range_zone zone = {"?", 1};
        size_t error_offset;
        struct fault fault;

        if (time_range_parse(rows[i].text, strlen(rows[i].text), &window, &zone, &error_offset,
                             &fault) != RESULT_OK)
            fail_msg("\"%s\": %s", rows[i].text, fault.text);
        print_message("%s\n", rows[i].text);
        assert_int_equal(window.start_s, rows[i].start_s);
        assert_int_equal(window.end_s, rows[i].end_s);
        assert_int_equal(window.weekdays, rows[i].weekdays);
        assert_ptr_equal(window.zone, &zone_utc);
        assert_int_equal(zone.length, strlen(rows[i].zone));
        assert_memory_equal(zone.name, rows[i].zone, zone.length);
    }
}

/* The forms that say more than times of the day; times as seconds of their day, week, year, or
 * since 1970. */
static void test_texts_with_dates(void **state)
{
    enum { D = 86400 };
    static const struct {
        const char *text;
        enum time_range_kind kind;
        int64_t start_s;
        int64_t end_s;
        uint8_t month;
        uint8_t day;
        const char *zone;
    } rows[] = {
        {"Sat,Sun", TIME_RANGE_DAILY, 0, D, 0, 0, ""},
        {"Sat Europe/London", TIME_RANGE_DAILY, 0, D, 0, 0, "Europe/London"},
        {"02:00 - 03:00 UTC", TIME_RANGE_DAILY, H(2), H(3), 0, 0, "UTC"},
        {"Sat 22:00 - Mon 06:00", TIME_RANGE_WEEKLY, 6 * D + H(22), 1 * D + H(6), 0, 0, ""},
        {"Sat 22:00-Mon 06:00 UTC", TIME_RANGE_WEEKLY, 6 * D + H(22), 1 * D + H(6), 0, 0, "UTC"},
        {"Mon 09:00 - Fri", TIME_RANGE_WEEKLY, 1 * D + H(9), 6 * D, 0, 0, ""},
        {"Tue - Thu 12:00", TIME_RANGE_WEEKLY, 2 * D, 4 * D + H(12), 0, 0, ""},
        {"Fri 18:00 - Sat 24:00", TIME_RANGE_WEEKLY, 5 * D + H(18), 7 * D, 0, 0, ""},
        {"Sat 22:00 - Sat 06:00", TIME_RANGE_WEEKLY, 6 * D + H(22), 6 * D + H(6), 0, 0, ""},
        {"12-25", TIME_RANGE_DAILY, 0, D, 12, 25, ""},
        {"02-29 America/New_York", TIME_RANGE_DAILY, 0, D, 2, 29, "America/New_York"},
        {"12-31 22:00-06:00", TIME_RANGE_DAILY, H(22), H(6), 12, 31, ""},
        {"01-01 - 12-31", TIME_RANGE_YEARLY, 0, 366 * D, 0, 0, ""},
        {"12-24 - 12-26", TIME_RANGE_YEARLY, 358 * D, 361 * D, 0, 0, ""},
        {"12-24 18:00 - 01-02 06:00 UTC", TIME_RANGE_YEARLY, 358 * D + H(18), D + H(6), 0, 0,
         "UTC"},
        {"02-29 - 03-01", TIME_RANGE_YEARLY, 59 * D, 61 * D, 0, 0, ""},
        {"1970-01-02", TIME_RANGE_DATES, D, 2 * D, 0, 0, ""},
        {"1970-01-02 - 1970-01-04", TIME_RANGE_DATES, D, 4 * D, 0, 0, ""},
        {"1970-01-02-1970-01-04", TIME_RANGE_DATES, D, 4 * D, 0, 0, ""},
        {"1970-01-02 10:00-11:30", TIME_RANGE_DATES, D + H(10), D + H(11) + 1800, 0, 0, ""},
        {"1970-01-02 22:00-06:00 Europe/London", TIME_RANGE_DATES, D + H(22), 2 * D + H(6), 0, 0,
         "Europe/London"},
        {"1970-01-02 18:00 - 1970-01-03 06:00 UTC", TIME_RANGE_DATES, D + H(18), 2 * D + H(6), 0, 0,
         "UTC"},
        {"1970-01-02 18:00 - 1970-01-03", TIME_RANGE_DATES, D + H(18), 3 * D, 0, 0, ""},
        {"1970-01-02 - 1970-01-03 24:00", TIME_RANGE_DATES, D, 3 * D, 0, 0, ""},
        {"1972-02-29", TIME_RANGE_DATES, 789 * D, 790 * D, 0, 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct time_range range;
        struct time_range_zone zone;
        size_t error_offset;
        struct fault fault;

        if (time_range_parse(rows[i].text, strlen(rows[i].text), &range, &zone, &error_offset,
                             &fault) != RESULT_OK)
            fail_msg("\"%s\": %s", rows[i].text, fault.text);
        print_message("%s\n", rows[i].text);
        assert_int_equal(range.kind, rows[i].kind);
        assert_int_equal(range.start_s, rows[i].start_s);
        assert_int_equal(range.end_s, rows[i].end_s);
        assert_int_equal(range.month, rows[i].month);
        assert_int_equal(range.day, rows[i].day);
        assert_int_equal(zone.length, strlen(rows[i].zone));
    }
}

struct refusal {
    const char *text;
    size_t offset;
    const char *told;
};

static void check_refusals(const struct refusal *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct time_range range = {.start_s = 77};
        struct time_range_zone zone;
        size_t offset = SIZE_MAX;
        struct fault fault = {.text = ""};

        if (time_range_parse(rows[i].text, strlen(rows[i].text), &range, &zone, &offset, &fault) ==
            RESULT_OK)
            fail_msg("\"%s\" was taken", rows[i].text);
        if (offset != rows[i].offset || strstr(fault.text, rows[i].told) == NULL)
            fail_msg("\"%s\": byte %zu: %s", rows[i].text, offset, fault.text);
        assert_int_equal(fault.code, FAULT_CONFIGURATION);
        assert_int_equal(range.start_s, 77);
    }
}

static void test_texts_that_are_refused(void **state)
{
    static const struct refusal rows[] = {
        {"", 0, "a time of day is needed here (allowed: \"[DAYS] HH:MM-HH:MM\""},
        {"  ", 2, "a time of day"},
        {"2:00-3:00", 0, "a time of day is needed"},
        {"02:00", 5, "\"-\" and the end"},
        {"02:00 03:00", 5, "\"-\" and the end"},
        {"02:00-", 6, "a time of day is needed"},
        {"02:00-3", 6, "a time of day is needed"},
        {"02:60-03:00", 0, "a time of day"},
        {"25:00-03:00", 0, "a time of day"},
        {"24:00-03:00", 0, "not a time of day"},
        {"24:30-03:00", 0, "not a time of day"},
        {"02:00-24:00:01", 6, "not a time of day"},
        {"02:00-03:00:60", 6, "a time of day"},
        {"02:00-03:00:", 6, "a time of day"},
        {"02.00-03.00", 0, "a time of day"},
        {"02:00-/3:00", 6, "a time of day"},
        {"02:00-a3:00", 6, "a time of day"},
        {"02:00-0a:00", 6, "a time of day"},
        {"02:00-0/:00", 6, "a time of day"},
        {"02:00-03:/0", 6, "a time of day"},
        {"02:00-02:00", 0, "ends when it begins; a whole day is 00:00-24:00"},
        {"Mon 02:00-02:00", 4, "ends when it begins"},
        {"02:00-03:00Europe/London", 11, "a blank"},
        {"02:00-03:00 Europe/London now", 25, "more behind the time zone"},
        {"Mon02:00-03:00", 3, "a blank is needed behind the weekdays"},
        {"Mon- 02:00-03:00", 4, "a weekday"},
        {"Mon, 02:00-03:00", 4, "a weekday"},
        {"Mon-Foo 02:00-03:00", 4, "a weekday"},
        {"Foo 02:00-03:00", 0, "a weekday from Mon to Sun"},
        {"Monday 02:00-03:00", 3, "a blank"},
        {"Mo 02:00-03:00", 0, "a weekday"},
        {"Mon Tue 02:00-03:00", 7, "there is more behind the time zone"},
        {"-02:00-03:00", 0, "a weekday"},
    };

    (void)state;
    check_refusals(rows, ROW_COUNT(rows));
}

static void test_dates_that_are_refused(void **state)
{
    static const struct refusal rows[] = {
        {"Sat,Sun 22:00 - Mon 06:00", 0, "begins on one day"},
        {"Sat-Sun - Mon", 0, "begins on one day"},
        {"Sat 22:00 - Mon06:00", 15, "a blank is needed behind the weekday"},
        {"Sat 22:00 - Foo 06:00", 12, "a weekday"},
        {"Sat 22:00 - Sat 22:00", 12, "ends when it begins"},
        {"Mon - Sun", 6, "all days are Mon-Sun"},
        {"2026-13-01", 0, "there is no such day"},
        {"2026-02-29", 0, "there is no such day"},
        {"2028-02-30", 0, "there is no such day"},
        {"0000-01-01", 0, "a date is needed"},
        {"02-30", 0, "there is no such day"},
        {"00-10", 0, "there is no such day"},
        {"2026-12", 0, "a date is needed"},
        {"12-245", 0, "a date is needed"},
        {"26-12-24", 0, "there is no such day"},
        {"2026-12-24T10:00-11:00", 10, "a blank is needed before the time zone"},
        {"2026-12-24 10:00", 16, "\"-\" and the end"},
        {"2026-12-24 25:00-26:00", 11, "not a time of day"},
        {"2026-12-24 10:00-10:00", 0, "ends when it begins"},
        {"2026-12-24 -", 12, "a date is needed"},
        {"2026-12-24 - 12-26", 13, "a date with its year"},
        {"12-24 - 2026-12-26", 8, "a date without a year"},
        {"2026-12-26 - 2026-12-24", 13, "ends before it begins"},
        {"2026-12-24 10:00 - 2026-12-24 10:00", 19, "ends before it begins"},
        {"12-24 10:00 - 12-24 10:00", 14, "ends when it begins"},
        {"12-25 - 12-24", 8, "ends when it begins"},
        {"2026-12-24 2026-12-25", 11, "a time zone is needed"},
        {"2026-12-24 Europe/London x", 24, "more behind"},
        {"2026-12-24Europe/London", 10, "a blank is needed before the time zone"},
    };

    (void)state;
    check_refusals(rows, ROW_COUNT(rows));
}

struct borders_row {
    const char *text;
    const char *from;
    const char *borders[7]; /* start, end, start, end, ... strictly after `from` */
};

/* Follow a window from `from` on: when it opens, when it closes, in that order. */
static void check_borders(const struct borders_row *row)
{
    struct time_range window = make(row->text);
    struct utc_time now = at(row->from);

    assert_false(time_range_contains(&window, now));
    for (size_t n = 0; row->borders[n] != NULL; n++) {
        bool opens = n % 2 == 0;
        struct utc_time border =
            opens ? time_range_next_start(&window, now) : time_range_next_end(&window, now);
        char text[UTC_TEXT_SIZE];

        if (border.ms != at(row->borders[n]).ms)
            fail_msg("\"%s\" from %s: border %zu is %s, not %s", row->text, row->from, n,
                     utc_text(border, text), row->borders[n]);
        assert_int_equal(time_range_contains(&window, border), opens);
        assert_int_equal(time_range_contains(&window, (struct utc_time){border.ms - 1}), !opens);
        now = border;
    }
}

static void test_openings(void **state)
{
    static const struct borders_row rows[] = {
        {"02:00-03:00",
         "2026-05-01T00:00:00Z",
         {"2026-05-01T02:00:00Z", "2026-05-01T03:00:00Z", "2026-05-02T02:00:00Z"}},
        {"22:00-06:00",
         "2026-05-01T12:00:00Z",
         {"2026-05-01T22:00:00Z", "2026-05-02T06:00:00Z", "2026-05-02T22:00:00Z"}},
        {"22:00-00:00",
         "2026-05-01T12:00:00Z",
         {"2026-05-01T22:00:00Z", "2026-05-02T00:00:00Z", "2026-05-02T22:00:00Z"}},
        {"22:00-24:00",
         "2026-05-01T12:00:00Z",
         {"2026-05-01T22:00:00Z", "2026-05-02T00:00:00Z", "2026-05-02T22:00:00Z"}},
        /* Working nights: Friday's ends on Saturday morning; none begins at the weekend. */
        {"Mon-Fri 22:00-06:00 Europe/London",
         "2026-07-03T12:00:00Z", /* a Friday */
         {"2026-07-03T21:00:00Z", "2026-07-04T05:00:00Z", "2026-07-06T21:00:00Z",
          "2026-07-07T05:00:00Z"}},
        /* Whole days that touch are one window. */
        {"Sat,Sun 00:00-24:00 Europe/London",
         "2026-07-01T00:00:00Z",
         {"2026-07-03T23:00:00Z", "2026-07-05T23:00:00Z", "2026-07-10T23:00:00Z"}},
        {"Sun 23:00-22:59:59",
         "2026-07-01T00:00:00Z",
         {"2026-07-05T23:00:00Z", "2026-07-06T22:59:59Z", "2026-07-12T23:00:00Z"}},
        {"02:00-03:00 Asia/Kathmandu",
         "2026-05-01T00:00:00Z",
         {"2026-05-01T20:15:00Z", "2026-05-01T21:15:00Z"}},
        /* Before 1970. */
        {"Wed 12:00-13:00",
         "1969-12-25T00:00:00Z",
         {"1969-12-31T12:00:00Z", "1969-12-31T13:00:00Z", "1970-01-07T12:00:00Z"}},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++)
        check_borders(&rows[i]);
}

static void test_openings_of_dates(void **state)
{
    static const struct borders_row rows[] = {
        {"2026-12-24 - 2026-12-26 Europe/Bucharest",
         "2026-05-01T00:00:00Z",
         {"2026-12-23T22:00:00Z", "2026-12-26T22:00:00Z"}},
        {"2026-12-31 18:00 - 2027-01-01 06:00 Europe/Bucharest",
         "2020-05-01T00:00:00Z",
         {"2026-12-31T16:00:00Z", "2027-01-01T04:00:00Z"}},
        {"12-25 Europe/London",
         "2026-05-01T00:00:00Z",
         {"2026-12-25T00:00:00Z", "2026-12-26T00:00:00Z", "2027-12-25T00:00:00Z"}},
        {"12-31 22:00-06:00 America/New_York",
         "2026-05-01T00:00:00Z",
         {"2027-01-01T03:00:00Z", "2027-01-01T11:00:00Z", "2028-01-01T03:00:00Z"}},
        {"12-24 18:00 - 01-02",
         "2026-05-01T00:00:00Z",
         {"2026-12-24T18:00:00Z", "2027-01-03T00:00:00Z", "2027-12-24T18:00:00Z"}},
        {"Sat 22:00 - Mon 06:00 Europe/London",
         "2026-03-25T00:00:00Z", /* clocks go forward in it */
         {"2026-03-28T22:00:00Z", "2026-03-30T05:00:00Z", "2026-04-04T21:00:00Z"}},
        /* Leap days, also over the year 2100, which has none. */
        {"02-29",
         "2025-01-01T00:00:00Z",
         {"2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z", "2032-02-29T00:00:00Z"}},
        {"02-29 22:00-06:00",
         "2096-03-01T12:00:00Z",
         {"2104-02-29T22:00:00Z", "2104-03-01T06:00:00Z"}},
        {"02-28 22:00-06:00",
         "2025-01-01T00:00:00Z",
         {"2025-02-28T22:00:00Z", "2025-03-01T06:00:00Z", "2026-02-28T22:00:00Z"}},
        {"02-29 12:00 - 03-02",
         "2026-01-01T00:00:00Z",
         {"2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z", "2027-03-01T00:00:00Z",
          "2027-03-03T00:00:00Z", "2028-02-29T12:00:00Z"}},
        {"02-27 - 02-29 12:00",
         "2027-01-01T00:00:00Z",
         {"2027-02-27T00:00:00Z", "2027-03-01T00:00:00Z", "2028-02-27T00:00:00Z",
          "2028-02-29T12:00:00Z"}},
        /* An end in the hour that comes twice is passed twice. */
        {"2026-10-25 00:00-01:30 Europe/London",
         "2026-10-01T00:00:00Z",
         {"2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z",
          "2026-10-25T01:30:00Z"}},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++)
        check_borders(&rows[i]);
}

/* Nothing comes after a date that is over, nor of one that no clock ever shows. */
static void test_nothing_more(void **state)
{
    static const struct {
        const char *text;
        const char *from;
    } rows[] = {
        {"2026-12-24 Europe/London", "2026-12-25T00:00:00Z"},
        {"2026-12-24 Europe/London", "2093-12-25T00:00:00Z"},
        {"2026-03-29 01:00-02:00 Europe/London", "2026-01-01T00:00:00Z"},
        {"2011-12-30 Pacific/Apia", "2011-01-01T00:00:00Z"},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct time_range range = make(rows[i].text);

        assert_false(time_range_contains(&range, at(rows[i].from)));
        assert_int_equal(time_range_next_start(&range, at(rows[i].from)).ms, UTC_NEVER.ms);
        assert_int_equal(time_range_next_end(&range, at(rows[i].from)).ms, UTC_NEVER.ms);
    }
}

static void test_openings_at_clock_changes(void **state)
{
    static const struct borders_row rows[] = {
        /* An hour that is left out: no window that day. */
        {"01:00-02:00 Europe/London",
         "2026-03-28T12:00:00Z",
         {"2026-03-30T00:00:00Z", "2026-03-30T01:00:00Z"}},
        /* Half of it is left out: it opens at the end of the gap. */
        {"01:30-02:30 Europe/London",
         "2026-03-28T12:00:00Z",
         {"2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"}},
        {"00:30-01:30 Europe/London",
         "2026-03-28T12:00:00Z",
         {"2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T23:30:00Z"}},
        {"22:00-06:00 Europe/London",
         "2026-03-28T12:00:00Z",
         {"2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z"}},
        /* An hour that comes twice: two hours long. */
        {"01:00-02:00 Europe/London",
         "2026-10-24T12:00:00Z",
         {"2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", "2026-10-26T01:00:00Z"}},
        /* Half of it comes twice: the clock shows 01:00 to 01:30 in between. */
        {"01:30-02:30 Europe/London",
         "2026-10-24T12:00:00Z",
         {"2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z",
          "2026-10-25T02:30:00Z"}},
        {"22:00-06:00 Europe/London",
         "2026-10-24T12:00:00Z",
         {"2026-10-24T21:00:00Z", "2026-10-25T06:00:00Z"}},
        {"02:00-02:30 Australia/Lord_Howe",
         "2026-10-03T00:00:00Z",
         {"2026-10-04T15:00:00Z", "2026-10-04T15:30:00Z"}},
        /* Apia has no Friday, 2011-12-30. */
        {"Fri 08:00-12:00 Pacific/Apia",
         "2011-12-24T00:00:00Z",
         {"2012-01-05T18:00:00Z", "2012-01-05T22:00:00Z"}},
        {"Thu 22:00-06:00 Pacific/Apia",
         "2011-12-29T00:00:00Z", /* cut off by its midnight */
         {"2011-12-30T08:00:00Z", "2011-12-30T10:00:00Z", "2012-01-05T08:00:00Z"}},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++)
        check_borders(&rows[i]);
}

/* From outside, next_end is the end of the next window; from inside, next_start is another one. */
static void test_the_other_border(void **state)
{
    struct time_range window = make("02:00-03:00");

    (void)state;
    assert_int_equal(time_range_next_end(&window, at("2026-05-01T00:00:00Z")).ms,
                     at("2026-05-01T03:00:00Z").ms);
    assert_int_equal(time_range_next_start(&window, at("2026-05-01T02:30:00Z")).ms,
                     at("2026-05-02T02:00:00Z").ms);
    assert_int_equal(time_range_next_start(&window, at("2026-05-01T02:00:00Z")).ms,
                     at("2026-05-02T02:00:00Z").ms);
    assert_int_equal(time_range_next_end(&window, at("2026-05-01T02:59:59.999Z")).ms,
                     at("2026-05-01T03:00:00Z").ms);
    assert_int_equal(time_range_next_end(&window, at("2026-05-01T03:00:00Z")).ms,
                     at("2026-05-02T03:00:00Z").ms);
}

static void test_always_open(void **state)
{
    static const char *const texts[] = {"00:00-24:00", "Mon-Sun 00:00-24:00 Europe/London",
                                        "Sun-Sat 12:00-11:59:59 UTC"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct time_range window = make(texts[i]);

        assert_true(time_range_contains(&window, at("2026-03-29T01:00:00Z")));
        assert_int_equal(time_range_next_start(&window, at("2026-03-29T00:00:00Z")).ms,
                         UTC_NEVER.ms);
        assert_int_equal(time_range_next_end(&window, at("2026-03-29T00:00:00Z")).ms, UTC_NEVER.ms);
    }
    /* Open but for a second. */
    {
        struct time_range window = make(texts[2]);

        assert_int_equal(time_range_next_end(&window, at("2026-05-01T12:00:00Z")).ms,
                         at("2026-05-02T11:59:59Z").ms);
        assert_int_equal(time_range_next_start(&window, at("2026-05-01T12:00:00Z")).ms,
                         at("2026-05-02T12:00:00Z").ms);
    }
    {
        struct time_range window = make("02:00-03:00 Europe/London");

        assert_int_equal(time_range_next_end(&window, UTC_NEVER).ms, UTC_NEVER.ms);
        assert_int_equal(time_range_next_start(&window, UTC_NONE).ms, UTC_NEVER.ms);
    }
}

/* Between `now` and the border that was answered, contains never changes to what was asked for:
 * looked at minute by minute. */
static void test_borders_are_the_first(void **state)
{
    static const char *const texts[] = {
        "01:30-02:30 Europe/London",        "Mon-Fri 22:00-06:00 America/New_York",
        "Sun 00:00-24:00 Africa/Cairo",     "02:10-02:40 Australia/Lord_Howe",
        "Sat 23:30-03:00 America/Santiago", "Wed,Thu 00:00-24:00 Pacific/Apia",
    };
    struct random random;

    (void)state;
    random_init(&random, unit_seed());
    for (size_t n = 0; n < 120; n++) {
        struct time_range window = make(texts[n % ROW_COUNT(texts)]);
        int64_t start_s = at("2010-01-01").ms / 1000 + (int64_t)random_below(&random, 1000000000);
        struct zone_span span = zone_span_at(window.zone, start_s);
        struct utc_time now;
        struct utc_time start;
        struct utc_time end;
        bool was_inside;
        bool start_seen = false;
        bool end_seen = false;

        if (n % 2 == 0 && span.end_s != INT64_MAX)
            start_s = span.end_s - (int64_t)random_below(&random, 100000);
        now.ms = (start_s - start_s % 60) * 1000;
        start = time_range_next_start(&window, now);
        end = time_range_next_end(&window, now);
        was_inside = time_range_contains(&window, now);
        while (!start_seen || !end_seen) {
            bool is_inside;

            now.ms += 60000;
            is_inside = time_range_contains(&window, now);
            if (is_inside && !was_inside && !start_seen) {
                assert_int_equal(start.ms, now.ms);
                start_seen = true;
            }
            if (!is_inside && was_inside && !end_seen) {
                assert_int_equal(end.ms, now.ms);
                end_seen = true;
            }
            was_inside = is_inside;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_that_are_taken),
        cmocka_unit_test(test_texts_with_dates),
        cmocka_unit_test(test_texts_that_are_refused),
        cmocka_unit_test(test_dates_that_are_refused),
        cmocka_unit_test(test_openings),
        cmocka_unit_test(test_openings_of_dates),
        cmocka_unit_test(test_nothing_more),
        cmocka_unit_test(test_openings_at_clock_changes),
        cmocka_unit_test(test_the_other_border),
        cmocka_unit_test(test_always_open),
        cmocka_unit_test(test_borders_are_the_first),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
