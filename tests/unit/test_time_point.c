/* SPDX-License-Identifier: MIT
 * test_time_point.c - civil dates, ISO 8601 texts, durations, saturation. */
#include "base/time_point.h"

#include <string.h>

#include "base/random.h"
#include "tests/unit/unit_test.h"

static bool is_leap_year(int year)
{
    if (year % 400 == 0)
        return true;
    return year % 4 == 0 && year % 100 != 0;
}

static int month_length(int year, int month)
{
    static const int lengths[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return lengths[month] + (month == 2 && is_leap_year(year) ? 1 : 0);
}

/* Two whole eras of 400 years, every day, against plain counting. 1600-01-01 lies 370 years with
 * 90 leap days before 1970-01-01. */
static void test_every_day_from_1600_to_2400(void **state)
{
    int64_t days = -(370 * 365 + 90);

    (void)state;
    for (int year = 1600; year <= 2400; year++) {
        for (int month = 1; month <= 12; month++) {
            for (int day = 1; day <= month_length(year, month); day++, days++) {
                int32_t y = 0;
                int32_t m = 0;
                int32_t d = 0;

                assert_int_equal(civil_to_days(year, month, day), days);
                civil_from_days(days, &y, &m, &d);
                assert_int_equal(y, year);
                assert_int_equal(m, month);
                assert_int_equal(d, day);
            }
        }
    }
    assert_int_equal(days, 2598008 - 2440588); /* the Julian day numbers of both ends */
}

static void test_known_instants(void **state)
{
    static const struct {
        struct civil_time civil;
        int64_t ms;
        const char *text;
    } rows[] = {
        {{1970, 1, 1, 0, 0, 0, 0}, 0, "1970-01-01T00:00:00.000Z"},
        {{1969, 12, 31, 23, 59, 59, 999}, -1, "1969-12-31T23:59:59.999Z"},
        {{2000, 2, 29, 12, 0, 0, 0}, INT64_C(951825600000), "2000-02-29T12:00:00.000Z"},
        {{2001, 9, 9, 1, 46, 40, 0}, INT64_C(1000000000000), "2001-09-09T01:46:40.000Z"},
        {{2038, 1, 19, 3, 14, 8, 5}, INT64_C(2147483648005), "2038-01-19T03:14:08.005Z"},
        {{1, 1, 1, 0, 0, 0, 0}, INT64_C(-62135596800000), "0001-01-01T00:00:00.000Z"},
        {{9999, 12, 31, 23, 59, 59, 999}, INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct civil_time back = civil_from_utc((struct utc_time){rows[i].ms});
        char text[UTC_TEXT_SIZE];

        assert_true(civil_to_utc(&rows[i].civil).ms == rows[i].ms);
        assert_memory_equal(&back, &rows[i].civil, sizeof back);
        assert_ptr_equal(utc_text((struct utc_time){rows[i].ms}, text), text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_texts_are_clamped_and_cut_to_seconds(void **state)
{
    char text[UTC_TEXT_SIZE];

    (void)state;
    assert_string_equal(utc_text(UTC_NEVER, text), "9999-12-31T23:59:59.999Z");
    assert_string_equal(utc_text(UTC_NONE, text), "0001-01-01T00:00:00.000Z");
    assert_string_equal(utc_text_seconds(UTC_NEVER, text), "9999-12-31T23:59:59Z");
    assert_string_equal(utc_text_seconds((struct utc_time){1999}, text), "1970-01-01T00:00:01Z");
    assert_string_equal(utc_text_seconds((struct utc_time){-1}, text), "1969-12-31T23:59:59Z");
}

static void test_instants_that_are_read(void **state)
{
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"2026-11-20", "2026-11-20T00:00:00.000Z"},
        {"2024-02-29", "2024-02-29T00:00:00.000Z"},
        {"2000-02-29", "2000-02-29T00:00:00.000Z"},
        {"0001-01-01", "0001-01-01T00:00:00.000Z"},
        {"2026-11-20T23:41:40Z", "2026-11-20T23:41:40.000Z"},
        {"2026-11-20 23:41:40Z", "2026-11-20T23:41:40.000Z"},
        {"2026-11-20t23:41:40z", "2026-11-20T23:41:40.000Z"},
        {"2026-11-20T23:41:40.1Z", "2026-11-20T23:41:40.100Z"},
        {"2026-11-20T23:41:40.123Z", "2026-11-20T23:41:40.123Z"},
        {"2026-11-20T23:41:40.123456789Z", "2026-11-20T23:41:40.123Z"},
        {"2026-11-20T23:41:40.0009Z", "2026-11-20T23:41:40.000Z"},
        {"2026-11-20T23:41:40+00:00", "2026-11-20T23:41:40.000Z"},
        {"2026-11-20T23:41:40+0000", "2026-11-20T23:41:40.000Z"},
        {"2026-11-20T23:41:40-00:00", "2026-11-20T23:41:40.000Z"},
        {"2026-11-20T23:41:40.5+02:00", "2026-11-20T21:41:40.500Z"},
        {"2026-11-20T23:41:40-0330", "2026-11-21T03:11:40.000Z"},
        {"2027-01-01T00:30:00+05:45", "2026-12-31T18:45:00.000Z"},
        {"2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z"},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct utc_time t = UTC_NONE;
        char text[UTC_TEXT_SIZE];

        if (!utc_parse(rows[i].text, strlen(rows[i].text), &t))
            fail_msg("refused: %s", rows[i].text);
        assert_string_equal(utc_text(t, text), rows[i].expected);
    }
}

static void test_instants_that_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "2026",
        "2026-11",
        "26-11-20",
        "2026/11/20",
        "2026-1-20",
        "2026-00-10",
        "2026-13-10",
        "2026-11-00",
        "2026-11-31",
        "2026-02-29",
        "1900-02-29",
        "2024-02-30",
        "0000-01-01",
        "-026-01-01",
        "2026-11-20T",
        "2026-11-20X23:41:40Z",
        "2026-11-20T23:41Z",
        "2026-11-20T23:41:40",
        "2026-11-20T24:00:00Z",
        "2026-11-20T23:60:00Z",
        "2026-11-20T23:41:61Z",
        "2026-11-20T3:41:40Z",
        "2026-11-20T23:41:40.Z",
        "2026-11-20T23:41:40,5Z",
        "2026-11-20T23:41:40+00",
        "2026-11-20T23:41:40+0:00",
        "2026-11-20T23:41:40+24:00",
        "2026-11-20T23:41:40+00:60",
        "2026-11-20T23:41:40 UTC",
        "2026-11-20T23:41:40ZZ",
        "2026-11-20T23:41:40Z ",
        " 2026-11-20T23:41:40Z",
        "2026-11-20 ",
        "20261120T234140Z",
        "1763682100",
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct utc_time t = {12345};

        if (utc_parse(rows[i], strlen(rows[i]), &t))
            fail_msg("accepted: %s", rows[i]);
        assert_int_equal(t.ms, 12345);
    }
}

/* A text cut anywhere is another text or none; nothing past its length is read. */
static void test_a_cut_instant_is_refused(void **state)
{
    const char *whole = "2026-11-20T23:41:40.123+00:00";
    struct utc_time t;

    (void)state;
    for (size_t length = 0; length < strlen(whole); length++)
        assert_int_equal(utc_parse(whole, length, &t), length == strlen("2026-11-20"));
    assert_true(utc_parse(whole, strlen(whole), &t));
}

static void test_printed_instants_are_read_back(void **state)
{
    const int64_t span = INT64_C(253402300799999) + INT64_C(62135596800000);
    struct random random;

    (void)state;
    random_init(&random, unit_seed());
    for (int i = 0; i < 20000; i++) {
        struct utc_time t = {INT64_C(-62135596800000) +
                             (int64_t)random_below(&random, (uint64_t)span)};
        struct utc_time back;
        char text[UTC_TEXT_SIZE];

        utc_text(t, text);
        assert_true(utc_parse(text, strlen(text), &back));
        assert_true(back.ms == t.ms);
    }
}

static void test_durations_that_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
        const char *printed;
    } rows[] = {
        {"0s", 0, "0s"},
        {"0ms", 0, "0s"},
        {"0d", 0, "0s"},
        {"300ms", 300, "300ms"},
        {"1500ms", 1500, "1500ms"},
        {"2000ms", 2000, "2s"},
        {"90s", 90 * MS_PER_SECOND, "90s"},
        {"60s", MS_PER_MINUTE, "1m"},
        {"15m", 15 * MS_PER_MINUTE, "15m"},
        {"6h", 6 * MS_PER_HOUR, "6h"},
        {"24h", MS_PER_DAY, "1d"},
        {"25h", 25 * MS_PER_HOUR, "25h"},
        {"7d", 7 * MS_PER_DAY, "7d"},
        {"007d", 7 * MS_PER_DAY, "7d"},
        {"36525d", 36525 * MS_PER_DAY, "36525d"},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        int64_t ms = -1;
        char text[DURATION_TEXT_SIZE];

        if (!duration_parse(rows[i].text, strlen(rows[i].text), &ms))
            fail_msg("refused: %s", rows[i].text);
        assert_true(ms == rows[i].ms);
        assert_string_equal(duration_text(ms, text), rows[i].printed);
    }
}

static void test_durations_that_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "s",
        "5",
        "-5s",
        "+5s",
        "1.5h",
        "5 s",
        " 5s",
        "5s ",
        "5S",
        "5H",
        "5sec",
        "1h30m",
        "5w",
        "5us",
        "5mss",
        "0x5s",
        "five",
        "36526d",
        "876601h",
        "999999999999999d",
        "99999999999999999999s",
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        int64_t ms = 12345;

        if (duration_parse(rows[i], strlen(rows[i]), &ms))
            fail_msg("accepted: %s", rows[i]);
        assert_int_equal(ms, 12345);
    }
}

static void test_printed_durations_are_read_back(void **state)
{
    static const int64_t units[] = {1, MS_PER_SECOND, MS_PER_MINUTE, MS_PER_HOUR, MS_PER_DAY};
    struct random random;

    (void)state;
    random_init(&random, unit_seed());
    for (int i = 0; i < 20000; i++) {
        int64_t unit = units[random_below(&random, ROW_COUNT(units))];
        int64_t ms = unit * (int64_t)random_below(&random, 20000);
        int64_t back = -1;
        char text[DURATION_TEXT_SIZE];

        duration_text(ms, text);
        assert_true(duration_parse(text, strlen(text), &back));
        assert_true(back == ms);
    }
}

static void test_sums_saturate_and_never_stays_never(void **state)
{
    static const struct {
        int64_t a;
        int64_t b;
        int64_t sum;
    } rows[] = {
        {1, 2, 3},
        {1, -2, -1},
        {INT64_MAX, -1, INT64_MAX},
        {INT64_MAX, INT64_MIN, INT64_MAX},
        {INT64_MIN, 1, INT64_MIN},
        {INT64_MAX - 1, 1, INT64_MAX},
        {INT64_MAX - 1, 2, INT64_MAX},
        {INT64_MIN + 1, -2, INT64_MIN},
        {INT64_MIN + 1, INT64_MAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++)
        assert_true(time_add_saturating(rows[i].a, rows[i].b) == rows[i].sum);
    assert_true(utc_add_ms(UTC_NEVER, -MS_PER_DAY).ms == INT64_MAX);
    assert_true(mono_add_us(MONO_NEVER, -1).us == INT64_MAX);
    assert_int_equal(utc_add_ms((struct utc_time){5}, 6).ms, 11);
    assert_int_equal(mono_add_us((struct mono_time){5}, 6).us, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_day_from_1600_to_2400),
        cmocka_unit_test(test_known_instants),
        cmocka_unit_test(test_texts_are_clamped_and_cut_to_seconds),
        cmocka_unit_test(test_instants_that_are_read),
        cmocka_unit_test(test_instants_that_are_refused),
        cmocka_unit_test(test_a_cut_instant_is_refused),
        cmocka_unit_test(test_printed_instants_are_read_back),
        cmocka_unit_test(test_durations_that_are_read),
        cmocka_unit_test(test_durations_that_are_refused),
        cmocka_unit_test(test_printed_durations_are_read_back),
        cmocka_unit_test(test_sums_saturate_and_never_stays_never),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
