/* SPDX-License-Identifier: MIT
 * test_daily_window.c - windows of the day: how they are written, and when they open and close. */
#include "scheduler/daily_window.h"

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

static struct daily_window make(const char *text)
{
    struct daily_window window;
    struct daily_window_zone zone;
    size_t error_offset;
    struct fault fault;
    char name[64];

    if (daily_window_parse(text, strlen(text), &window, &zone, &error_offset, &fault) != RESULT_OK)
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
        int32_t start_s;
        int32_t end_s;
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
        struct daily_window window;
        struct daily_window_zone zone = {"?", 1};
        size_t error_offset;
        struct fault fault;

        if (daily_window_parse(rows[i].text, strlen(rows[i].text), &window, &zone, &error_offset,
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

static void test_texts_that_are_refused(void **state)
{
    static const struct {
        const char *text;
        size_t offset;
        const char *told;
    } rows[] = {
        {"", 0, "a time of day is needed here (allowed: [DAYS] HH:MM-HH:MM [ZONE]"},
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
        {"Mon", 3, "a blank is needed behind the weekdays"},
        {"Mon02:00-03:00", 3, "a blank is needed behind the weekdays"},
        {"Mon- 02:00-03:00", 4, "a weekday"},
        {"Mon, 02:00-03:00", 4, "a weekday"},
        {"Mon-Foo 02:00-03:00", 4, "a weekday"},
        {"Foo 02:00-03:00", 0, "a weekday from Mon to Sun"},
        {"Monday 02:00-03:00", 3, "a blank"},
        {"Mo 02:00-03:00", 0, "a weekday"},
        {"Mon ", 4, "a time of day"},
        {"Mon Tue 02:00-03:00", 4, "a time of day"},
        {"-02:00-03:00", 0, "a weekday"},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct daily_window window = {.start_s = 77};
        struct daily_window_zone zone;
        size_t offset = SIZE_MAX;
        struct fault fault = {.text = ""};

        if (daily_window_parse(rows[i].text, strlen(rows[i].text), &window, &zone, &offset,
                               &fault) == RESULT_OK)
            fail_msg("\"%s\" was taken", rows[i].text);
        if (offset != rows[i].offset || strstr(fault.text, rows[i].told) == NULL)
            fail_msg("\"%s\": byte %zu: %s", rows[i].text, offset, fault.text);
        assert_int_equal(fault.code, FAULT_CONFIGURATION);
        assert_int_equal(window.start_s, 77);
    }
}

struct borders_row {
    const char *text;
    const char *from;
    const char *borders[7]; /* start, end, start, end, ... strictly after `from` */
};

/* Follow a window from `from` on: when it opens, when it closes, in that order. */
static void check_borders(const struct borders_row *row)
{
    struct daily_window window = make(row->text);
    struct utc_time now = at(row->from);

    assert_false(daily_window_contains(&window, now));
    for (size_t n = 0; row->borders[n] != NULL; n++) {
        bool opens = n % 2 == 0;
        struct utc_time border =
            opens ? daily_window_next_start(&window, now) : daily_window_next_end(&window, now);
        char text[UTC_TEXT_SIZE];

        if (border.ms != at(row->borders[n]).ms)
            fail_msg("\"%s\" from %s: border %zu is %s, not %s", row->text, row->from, n,
                     utc_text(border, text), row->borders[n]);
        assert_int_equal(daily_window_contains(&window, border), opens);
        assert_int_equal(daily_window_contains(&window, (struct utc_time){border.ms - 1}), !opens);
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
    struct daily_window window = make("02:00-03:00");

    (void)state;
    assert_int_equal(daily_window_next_end(&window, at("2026-05-01T00:00:00Z")).ms,
                     at("2026-05-01T03:00:00Z").ms);
    assert_int_equal(daily_window_next_start(&window, at("2026-05-01T02:30:00Z")).ms,
                     at("2026-05-02T02:00:00Z").ms);
    assert_int_equal(daily_window_next_start(&window, at("2026-05-01T02:00:00Z")).ms,
                     at("2026-05-02T02:00:00Z").ms);
    assert_int_equal(daily_window_next_end(&window, at("2026-05-01T02:59:59.999Z")).ms,
                     at("2026-05-01T03:00:00Z").ms);
    assert_int_equal(daily_window_next_end(&window, at("2026-05-01T03:00:00Z")).ms,
                     at("2026-05-02T03:00:00Z").ms);
}

static void test_always_open(void **state)
{
    static const char *const texts[] = {"00:00-24:00", "Mon-Sun 00:00-24:00 Europe/London",
                                        "Sun-Sat 12:00-11:59:59 UTC"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct daily_window window = make(texts[i]);

        assert_true(daily_window_contains(&window, at("2026-03-29T01:00:00Z")));
        assert_int_equal(daily_window_next_start(&window, at("2026-03-29T00:00:00Z")).ms,
                         UTC_NEVER.ms);
        assert_int_equal(daily_window_next_end(&window, at("2026-03-29T00:00:00Z")).ms,
                         UTC_NEVER.ms);
    }
    /* Open but for a second. */
    {
        struct daily_window window = make(texts[2]);

        assert_int_equal(daily_window_next_end(&window, at("2026-05-01T12:00:00Z")).ms,
                         at("2026-05-02T11:59:59Z").ms);
        assert_int_equal(daily_window_next_start(&window, at("2026-05-01T12:00:00Z")).ms,
                         at("2026-05-02T12:00:00Z").ms);
    }
    {
        struct daily_window window = make("02:00-03:00 Europe/London");

        assert_int_equal(daily_window_next_end(&window, UTC_NEVER).ms, UTC_NEVER.ms);
        assert_int_equal(daily_window_next_start(&window, UTC_NONE).ms, UTC_NEVER.ms);
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
        struct daily_window window = make(texts[n % ROW_COUNT(texts)]);
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
        start = daily_window_next_start(&window, now);
        end = daily_window_next_end(&window, now);
        was_inside = daily_window_contains(&window, now);
        while (!start_seen || !end_seen) {
            bool is_inside;

            now.ms += 60000;
            is_inside = daily_window_contains(&window, now);
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
        cmocka_unit_test(test_texts_that_are_refused),
        cmocka_unit_test(test_openings),
        cmocka_unit_test(test_openings_at_clock_changes),
        cmocka_unit_test(test_the_other_border),
        cmocka_unit_test(test_always_open),
        cmocka_unit_test(test_borders_are_the_first),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
