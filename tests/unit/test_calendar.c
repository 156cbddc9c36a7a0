/* SPDX-License-Identifier: MIT
 * test_calendar.c - when schedules fire: every story about clock changes, and what always holds. */
#include "scheduler/calendar.h"

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

static struct calendar make(const char *text, const char *zone_name)
{
    struct calendar calendar = {.gap = CALENDAR_GAP_RUN_AFTER, .overlap = CALENDAR_OVERLAP_FIRST};
    struct fault fault;
    size_t error_offset;

    if (cron_parse(text, strlen(text), &calendar.cron, &error_offset, &fault) != RESULT_OK ||
        zone_load(ZONE_DIRECTORY, zone_name, &arena, &calendar.zone, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    return calendar;
}

static struct utc_time at(const char *text)
{
    struct utc_time instant = UTC_NONE;

    if (!utc_parse(text, strlen(text), &instant))
        fail_msg("%s", text);
    return instant;
}

/* --- Stories -----------------------------------------------------------------------------------
 */

#define SKIP CALENDAR_GAP_SKIP
#define AFTER CALENDAR_GAP_RUN_AFTER
#define FIRST CALENDAR_OVERLAP_FIRST
#define BOTH CALENDAR_OVERLAP_BOTH

struct story {
    const char *text;
    const char *zone;
    enum calendar_gap gap;
    enum calendar_overlap overlap;
    const char *from;
    const char *firings[6]; /* local time with offset; NULL ends the list */
};

static const struct story stories[] = {
    /* The 2 am job in spring: once, at the end of the gap, and then on as usual. */
    {"0 2 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-03-07T12:00:00Z",
     {"2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00", "2026-03-10T02:00:00-04:00"}},
    {"0 2 * * *",
     "America/New_York",
     SKIP,
     FIRST,
     "2026-03-07T12:00:00Z",
     {"2026-03-09T02:00:00-04:00", "2026-03-10T02:00:00-04:00"}},
    /* Several in the gap: once. One of them at its very end: still once. */
    {"0,15,30 2 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-03-07T12:00:00Z",
     {"2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00", "2026-03-09T02:15:00-04:00"}},
    {"0 2,3 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-03-07T12:00:00Z",
     {"2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00", "2026-03-09T03:00:00-04:00"}},
    {"0 2,3 * * *",
     "America/New_York",
     SKIP,
     FIRST,
     "2026-03-07T12:00:00Z",
     {"2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00"}},
    /* The last second of the gap, and the first after it. */
    {"59 59 2 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-03-07T12:00:00Z",
     {"2026-03-08T03:00:00-04:00", "2026-03-09T02:59:59-04:00"}},
    {"59 59 1 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-03-07T12:00:00Z",
     {"2026-03-08T01:59:59-05:00", "2026-03-09T01:59:59-04:00"}},
    {"0 3 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-03-07T12:00:00Z",
     {"2026-03-08T03:00:00-04:00", "2026-03-09T03:00:00-04:00"}},
    /* Asked at the end of the gap itself: that firing is past. */
    {"0 2 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-03-08T07:00:00Z",
     {"2026-03-09T02:00:00-04:00"}},
    {"0 2 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-03-08T06:59:59.999Z",
     {"2026-03-08T03:00:00-04:00"}},
    /* Autumn: the first time, or both. */
    {"30 1 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-10-31T12:00:00Z",
     {"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
    {"30 1 * * *",
     "America/New_York",
     AFTER,
     BOTH,
     "2026-10-31T12:00:00Z",
     {"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-02T01:30:00-05:00"}},
    {"0 1,2 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-10-31T12:00:00Z",
     {"2026-11-01T01:00:00-04:00", "2026-11-01T02:00:00-05:00", "2026-11-02T01:00:00-05:00"}},
    {"0,30 1 * * *",
     "America/New_York",
     AFTER,
     BOTH,
     "2026-11-01T05:00:00Z",
     {"2026-11-01T01:30:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T01:30:00-05:00",
      "2026-11-02T01:00:00-05:00"}},
    /* Asked between the two times: the second is not a firing. */
    {"30 1 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-11-01T05:30:00Z",
     {"2026-11-02T01:30:00-05:00"}},
    /* An hour field that begins with a star follows the clock, whatever the policy says. */
    {"30 * * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-03-08T05:31:00Z",
     {"2026-03-08T01:30:00-05:00", "2026-03-08T03:30:00-04:00", "2026-03-08T04:30:00-04:00"}},
    {"30 */2 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-03-08T05:31:00Z",
     {"2026-03-08T04:30:00-04:00", "2026-03-08T06:30:00-04:00"}},
    {"30 *,1 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-11-01T05:29:59Z",
     {"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-01T02:30:00-05:00"}},
    {"30 * * * *",
     "America/New_York",
     SKIP,
     FIRST,
     "2026-11-01T05:29:59Z",
     {"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-01T02:30:00-05:00"}},
    {"@hourly",
     "America/New_York",
     SKIP,
     FIRST,
     "2026-11-01T04:59:59Z",
     {"2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T02:00:00-05:00"}},
    /* All hours written out: not a star, so the policy holds. */
    {"0 0-23 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-11-01T04:59:59Z",
     {"2026-11-01T01:00:00-04:00", "2026-11-01T02:00:00-05:00"}},
    {"30 0-23 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-03-08T05:31:00Z",
     {"2026-03-08T01:30:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-08T03:30:00-04:00"}},
    /* The design's own example. */
    {"0 1 * * *",
     "Europe/London",
     AFTER,
     FIRST,
     "2026-03-28T12:00:00Z",
     {"2026-03-29T02:00:00+01:00", "2026-03-30T01:00:00+01:00"}},
    /* Dublin's winter time is its daylight time, and negative. */
    {"30 1 * * *",
     "Europe/Dublin",
     AFTER,
     FIRST,
     "2026-03-28T12:00:00Z",
     {"2026-03-29T02:00:00+01:00", "2026-03-30T01:30:00+01:00"}},
    {"30 1 * * *",
     "Europe/Dublin",
     AFTER,
     BOTH,
     "2026-10-24T12:00:00Z",
     {"2026-10-25T01:30:00+01:00", "2026-10-25T01:30:00+00:00", "2026-10-26T01:30:00+00:00"}},
    /* Half an hour in Lord Howe. */
    {"0,15,30,45 2 * * *",
     "Australia/Lord_Howe",
     AFTER,
     FIRST,
     "2026-10-03T15:00:00Z",
     {"2026-10-04T02:30:00+11:00", "2026-10-04T02:45:00+11:00", "2026-10-05T02:00:00+11:00"}},
    {"15,45 1 * * *",
     "Australia/Lord_Howe",
     AFTER,
     BOTH,
     "2026-04-04T13:00:00Z",
     {"2026-04-05T01:15:00+11:00", "2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30",
      "2026-04-06T01:15:00+10:30"}},
    /* Two hours in Troll. */
    {"0 1,2 * * *",
     "Antarctica/Troll",
     AFTER,
     FIRST,
     "2026-03-29T00:00:00Z",
     {"2026-03-29T03:00:00+02:00", "2026-03-30T01:00:00+02:00"}},
    /* Four changes a year: Casablanca in 2026 puts its clocks back for Ramadan. */
    {"30 2 * * *",
     "Africa/Casablanca",
     AFTER,
     FIRST,
     "2026-02-14T12:00:00Z",
     {"2026-02-15T02:30:00+01:00", "2026-02-16T02:30:00+00:00"}},
    {"30 2 * * *",
     "Africa/Casablanca",
     AFTER,
     FIRST,
     "2026-03-21T12:00:00Z",
     {"2026-03-22T03:00:00+01:00", "2026-03-23T02:30:00+01:00"}},
    /* The day that Apia never had: what belonged to it runs once, when the next day begins. */
    {"0 1,12,23 * * *",
     "Pacific/Apia",
     AFTER,
     FIRST,
     "2011-12-29T22:30:00Z",
     {"2011-12-29T23:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T01:00:00+14:00",
      "2011-12-31T12:00:00+14:00"}},
    {"0 12 * * 5",
     "Pacific/Apia",
     SKIP,
     FIRST,
     "2011-12-24T00:00:00Z",
     {"2012-01-06T12:00:00+14:00"}},
    {"0 */12 * * *",
     "Pacific/Apia",
     AFTER,
     FIRST,
     "2011-12-29T22:30:00Z",
     {"2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"}},
    /* Midnight itself is in the gap, or comes twice. */
    {"@daily",
     "Africa/Cairo",
     AFTER,
     FIRST,
     "2026-04-23T12:00:00Z",
     {"2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"}},
    {"0 0 * * *",
     "America/Havana",
     AFTER,
     FIRST,
     "2024-11-02T12:00:00Z",
     {"2024-11-03T00:00:00-04:00", "2024-11-04T00:00:00-05:00"}},
    {"30 23 * * *",
     "America/Santiago",
     AFTER,
     BOTH,
     "2026-04-04T12:00:00Z",
     {"2026-04-04T23:30:00-03:00", "2026-04-04T23:30:00-04:00", "2026-04-05T23:30:00-04:00"}},
    /* A zone without changes, with an odd offset. */
    {"0 0 * * *",
     "Asia/Kathmandu",
     AFTER,
     FIRST,
     "2026-03-28T12:00:00Z",
     {"2026-03-29T00:00:00+05:45", "2026-03-30T00:00:00+05:45"}},
    {"5 0 1 1 *",
     "Asia/Kathmandu",
     AFTER,
     FIRST,
     "1985-06-01T00:00:00Z",
     {"1986-01-01T00:15:00+05:45", "1987-01-01T00:05:00+05:45"}},
    /* @every knows no zone. */
    {"@every 6h",
     "America/New_York",
     AFTER,
     FIRST,
     "2026-03-08T06:00:00Z",
     {"2026-03-08T08:00:00-04:00", "2026-03-08T14:00:00-04:00"}},
    {"@every 30m",
     "America/New_York",
     SKIP,
     FIRST,
     "2026-11-01T05:30:00Z",
     {"2026-11-01T01:00:00-05:00", "2026-11-01T01:30:00-05:00"}},
    {"@every 7h",
     "UTC",
     SKIP,
     FIRST,
     "1969-12-31T23:00:00Z",
     {"1970-01-01T00:00:00+00:00", "1970-01-01T07:00:00+00:00"}},
    {"@every 7h",
     "UTC",
     SKIP,
     FIRST,
     "1969-12-31T16:00:00Z",
     {"1969-12-31T17:00:00+00:00", "1970-01-01T00:00:00+00:00"}},
    /* Far away, and rare. */
    {"0 2 * * *",
     "America/New_York",
     AFTER,
     FIRST,
     "2400-03-11T12:00:00Z",
     {"2400-03-12T03:00:00-04:00"}},
    {"0 12 29 2 */7",
     "Europe/London",
     AFTER,
     FIRST,
     "2060-03-01T00:00:00Z",
     {"2088-02-29T12:00:00+00:00", "2128-02-29T12:00:00+00:00"}},
    {"0 12 L 2 */7",
     "Europe/London",
     AFTER,
     FIRST,
     "2027-03-01T00:00:00Z",
     {"2032-02-29T12:00:00+00:00"}},
};

/* "2026-03-29T02:00:00+01:00". */
static void show(const struct calendar_firing *firing, char text[40])
{
    int offset_s = abs(firing->offset_s);

    (void)snprintf(text, 40, "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d", firing->local.year,
                   firing->local.month, firing->local.day, firing->local.hour, firing->local.minute,
                   firing->local.second, firing->offset_s < 0 ? '-' : '+', offset_s / 3600 % 100,
                   offset_s / 60 % 60);
}

static void test_stories(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(stories); i++) {
        const struct story *story = &stories[i];
        struct calendar calendar = make(story->text, story->zone);
        struct utc_time now = at(story->from);

        calendar.gap = story->gap;
        calendar.overlap = story->overlap;
        for (size_t n = 0; story->firings[n] != NULL; n++) {
            struct calendar_firing firing = calendar_next(&calendar, now);
            char text[40] = "never";

            if (firing.found)
                show(&firing, text);
            if (strcmp(text, story->firings[n]) != 0)
                fail_msg("\"%s\" in %s from %s: firing %zu is %s, not %s", story->text, story->zone,
                         story->from, n, text, story->firings[n]);
            assert_int_equal(civil_to_utc(&firing.local).ms - firing.offset_s * MS_PER_SECOND,
                             firing.at.ms);
            assert_true(firing.at.ms > now.ms);
            now = firing.at;
        }
    }
}

/* How many times it fires in (after, until]. */
static int64_t count_firings(const struct calendar *calendar, struct utc_time after,
                             struct utc_time until)
{
    struct calendar_firing firing = calendar_next(calendar, after);
    int64_t count = 0;

    for (; firing.found && firing.at.ms <= until.ms; firing = calendar_next(calendar, firing.at))
        count++;
    return count;
}

/* Clocks put back by an hour and, half an hour later, forward again (no real zone does it): what
 * was shown before the two changes is not in a gap, although the second change jumps over it. */
static void test_two_changes_in_an_hour(void **state)
{
    static const int64_t transitions_s[] = {86400, 86400 + 1800};
    static const uint8_t transition_types[] = {1, 0};
    static const struct zone_type types[] = {{3600, false, 0}, {0, false, 0}};
    const struct zone zone = {
        .transitions_s = transitions_s,
        .transition_types = transition_types,
        .types = types,
        .abbreviations = "TST",
        .transition_count = 2,
        .type_count = 2,
    };
    /* Shown: ... 00:59:59, again 00:00 to 00:29:59, then 01:30 and on. */
    struct calendar calendar = make("15,45 0 2 1 *", "UTC");
    struct utc_time start = {86400 * 1000 - 3600 * 1000 - 1};
    struct calendar_firing firing;

    (void)state;
    calendar.zone = &zone;
    firing = calendar_next(&calendar, start);
    assert_int_equal(firing.at.ms, (86400 - 2700) * 1000);
    firing = calendar_next(&calendar, firing.at);
    assert_int_equal(firing.at.ms, (86400 - 900) * 1000);
    /* 00:15 comes again and 00:45 is jumped over: neither fires. */
    assert_int_equal(count_firings(&calendar, start, (struct utc_time){86400 * 2000}), 2);
    calendar.overlap = CALENDAR_OVERLAP_BOTH;
    assert_int_equal(count_firings(&calendar, start, (struct utc_time){86400 * 2000}), 3);
    /* 01:15 was never shown: it fires when the gap ends. */
    calendar = make("15 1 2 1 *", "UTC");
    calendar.zone = &zone;
    assert_int_equal(calendar_next(&calendar, start).at.ms, (86400 + 1800) * 1000);
}

/* (schedule, local time, fold) tells the two firings of a repeated hour apart. */
static void test_identity(void **state)
{
    struct calendar calendar = make("30 * * * *", "Europe/London");
    struct calendar_firing first = calendar_next(&calendar, at("2026-10-25T00:00:00Z"));
    struct calendar_firing second = calendar_next(&calendar, first.at);
    struct calendar_firing third = calendar_next(&calendar, second.at);

    (void)state;
    assert_int_equal(first.local.hour, 1);
    assert_int_equal(second.local.hour, 1);
    assert_int_equal(first.fold, 0);
    assert_int_equal(second.fold, 1);
    assert_int_equal(third.local.hour, 2);
    assert_int_equal(third.fold, 0);
    assert_int_equal(calendar_next(&calendar, at("2026-03-29T00:59:59Z")).fold, 0);
}

/* --- What always holds -------------------------------------------------------------------------
 */

static const char *const zone_names[] = {
    "UTC",          "Europe/London",       "Europe/Dublin",    "America/New_York",
    "Africa/Cairo", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca",
    "Pacific/Apia", "Asia/Kathmandu",      "America/Santiago", "Pacific/Chatham",
};

static const char *const expressions[] = {
    "* * * * *",  "*/17 * * * *",     "0 2 * * *",           "0,30 1-3 * * *", "59 23 * * *",
    "0 0 * * *",  "30 0-23 * * *",    "15 2 L * 1#1",        "@every 15m",     "0 1 1W,LW * ?",
    "0 3 29 2 *", "7,37 */3 * * FRI", "10 30 1,2,3 ? * SUN",
};

struct range {
    struct utc_time after;
    struct utc_time until;
};

static struct range random_range(struct random *random, const struct zone *zone)
{
    int64_t centre_s = at("2008-01-01T00:00:00Z").ms / 1000 +
                       (int64_t)random_below(random, INT64_C(86400) * 365 * 40);
    struct zone_span span = zone_span_at(zone, centre_s);
    struct range range;

    /* Most of them across a change of the clocks. */
    if (random_below(random, 4) != 0 && span.end_s != INT64_MAX)
        centre_s = span.end_s;
    range.after.ms = (centre_s - (int64_t)random_below(random, 200000)) * 1000;
    range.until.ms = (centre_s + (int64_t)random_below(random, 200000)) * 1000;
    /* The ends of a range are often firings themselves, and not always whole seconds. */
    if (random_below(random, 2) == 0) {
        range.after.ms -= range.after.ms % 900000;
        range.until.ms -= range.until.ms % 900000;
    } else if (random_below(random, 2) == 0) {
        range.after.ms += (int64_t)random_below(random, 1000);
        range.until.ms += (int64_t)random_below(random, 1000);
    }
    return range;
}

/* Strictly increasing; the same from wherever one asks; latest agrees with next. */
static void test_properties(void **state)
{
    struct random random;

    (void)state;
    random_init(&random, unit_seed());
    for (size_t n = 0; n < 1500; n++) {
        struct calendar calendar = make(expressions[n % ROW_COUNT(expressions)],
                                        zone_names[random_below(&random, ROW_COUNT(zone_names))]);
        struct range range;
        struct calendar_firing firing;
        struct calendar_firing latest;
        struct utc_time last = UTC_NONE;
        int64_t count = 0;

        calendar.gap = (enum calendar_gap)random_below(&random, 2);
        calendar.overlap = (enum calendar_overlap)random_below(&random, 2);
        range = random_range(&random, calendar.zone);
        for (struct utc_time now = range.after;; now = firing.at) {
            struct utc_time between;

            firing = calendar_next(&calendar, now);
            assert_true(firing.found);
            assert_true(firing.at.ms > now.ms);
            assert_int_equal(firing.at.ms % 1000, 0);
            between.ms = now.ms + (int64_t)random_below(&random, (uint64_t)(firing.at.ms - now.ms));
            assert_int_equal(calendar_next(&calendar, between).at.ms, firing.at.ms);
            if (firing.at.ms > range.until.ms)
                break;
            last = firing.at;
            count++;
        }
        latest = calendar_latest(&calendar, range.after, range.until);
        if (latest.found != (count > 0) || (latest.found && latest.at.ms != last.ms))
            fail_msg("\"%s\" in %s (%d, %d), (%" PRId64 ", %" PRId64 "]: %" PRId64
                     " firings, the latest at %" PRId64 ", not %" PRId64,
                     expressions[n % ROW_COUNT(expressions)], calendar.zone->name, calendar.gap,
                     calendar.overlap, range.after.ms, range.until.ms, count, last.ms,
                     latest.at.ms);
    }
}

static void test_latest(void **state)
{
    struct calendar nightly = make("0 2 * * *", "America/New_York");
    struct calendar each_second = make("* * 0-23 * * *", "America/New_York");
    struct calendar every = make("@every 6h", "Europe/London");
    struct utc_time start = at("2000-01-01T00:00:00Z");
    struct utc_time end = at("2026-01-01T00:00:00Z");

    (void)state;
    assert_int_equal(calendar_latest(&nightly, start, end).at.ms, at("2025-12-31T07:00:00Z").ms);
    assert_int_equal(calendar_latest(&each_second, start, end).at.ms, end.ms);
    assert_int_equal(calendar_latest(&every, start, end).at.ms, end.ms);
    every.cron.every_s = 1;
    assert_int_equal(calendar_latest(&every, start, (struct utc_time){start.ms + 9999}).at.ms,
                     start.ms + 9000);
    /* Both ends: after is excluded, until included. */
    assert_int_equal(
        calendar_latest(&nightly, at("2026-01-01T07:00:00Z"), at("2026-01-02T07:00:00Z")).at.ms,
        at("2026-01-02T07:00:00Z").ms);
    assert_false(
        calendar_latest(&nightly, at("2026-01-01T07:00:00Z"), at("2026-01-02T06:59:59.999Z"))
            .found);
    /* Nothing, and less than nothing (a clock put back). */
    assert_false(calendar_latest(&nightly, end, end).found);
    assert_false(calendar_latest(&nightly, end, start).found);
    assert_false(calendar_latest(&every, end, start).found);
}

/* An expression that has dates, all of them in a gap: found out, and quickly. */
static void test_never(void **state)
{
    struct calendar calendar = make("30 1 25-31 3 */7", "Europe/London");
    struct calendar_firing firing;

    (void)state;
    calendar.gap = CALENDAR_GAP_SKIP;
    firing = calendar_next(&calendar, at("2026-01-01T00:00:00Z"));
    assert_false(firing.found);
    calendar.gap = CALENDAR_GAP_RUN_AFTER;
    firing = calendar_next(&calendar, at("2026-01-01T00:00:00Z"));
    assert_int_equal(firing.at.ms, at("2026-03-29T01:00:00Z").ms);
    /* Before 1972 the last Sunday of March was an ordinary one. */
    calendar.gap = CALENDAR_GAP_SKIP;
    firing = calendar_next(&calendar, at("1960-01-01T00:00:00Z"));
    assert_true(firing.found);
}

/* Instants at the ends of the range are answered; the last year with a text is 9999. */
static void test_ends_of_time(void **state)
{
    struct calendar calendar = make("0 12 * * *", "Europe/London");
    struct calendar every = make("@every 1h", "Europe/London");

    (void)state;
    assert_false(calendar_next(&calendar, UTC_NEVER).found);
    assert_false(calendar_next(&every, UTC_NEVER).found);
    assert_false(calendar_next(&calendar, at("9999-12-30T13:00:00Z")).found);
    assert_int_equal(calendar_next(&calendar, at("9999-12-29T13:00:00Z")).at.ms,
                     at("9999-12-30T12:00:00Z").ms);
    assert_int_equal(calendar_next(&every, UTC_NONE).at.ms, at("0001-01-02T00:00:00Z").ms);
    assert_true(calendar_next(&calendar, UTC_NONE).found);
}

/* --- Deadlines ---------------------------------------------------------------------------------
 */

static void test_deadline_texts(void **state)
{
    static const struct {
        const char *text;
        struct deadline_spec spec;
    } good[] = {
        {"5h", {DEADLINE_DURATION, 5 * MS_PER_HOUR, 0}},
        {"90s", {DEADLINE_DURATION, 90 * MS_PER_SECOND, 0}},
        {"06:00", {DEADLINE_WALL_CLOCK, 0, 6 * 3600}},
        {"00:00", {DEADLINE_WALL_CLOCK, 0, 0}},
        {"23:59:59", {DEADLINE_WALL_CLOCK, 0, 86399}},
        {"07:08:09", {DEADLINE_WALL_CLOCK, 0, 7 * 3600 + 8 * 60 + 9}},
    };
    static const char *const bad[] = {"",         "0s",    "6:00",   "24:00",    "06:60",
                                      "06:00:60", "06:0",  "06:00:", "06:00:0",  "06:00:000",
                                      "06",       "-6h",   "06-00",  "ab:cd",    "a6:00",
                                      "/6:00",    "0a:00", "06:a0",  "06:00-00", "next",
                                      ":",        "06:00Z"};

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(good); i++) {
        struct deadline_spec spec = {0};

        if (!deadline_parse(good[i].text, strlen(good[i].text), &spec))
            fail_msg("%s", good[i].text);
        assert_int_equal(spec.kind, good[i].spec.kind);
        assert_int_equal(spec.duration_ms, good[i].spec.duration_ms);
        assert_int_equal(spec.time_of_day_s, good[i].spec.time_of_day_s);
    }
    for (size_t i = 0; i < ROW_COUNT(bad); i++) {
        struct deadline_spec spec = {.duration_ms = 77};

        if (deadline_parse(bad[i], strlen(bad[i]), &spec))
            fail_msg("\"%s\" was taken", bad[i]);
        assert_int_equal(spec.duration_ms, 77);
    }
}

static void test_deadlines(void **state)
{
    static const struct {
        const char *cron;
        const char *zone;
        const char *deadline; /* NULL: the default */
        const char *slot;
        const char *expected;
    } rows[] = {
        {"0 1 * * *", "Europe/London", "06:00", "2026-07-01T00:00:00Z", "2026-07-01T05:00:00Z"},
        {"0 1 * * *", "Europe/London", "5h", "2026-03-29T01:00:00Z", "2026-03-29T06:00:00Z"},
        {"0 1 * * *", "Europe/London", NULL, "2026-03-28T01:00:00Z", "2026-03-29T01:00:00Z"},
        {"0 1 * * *", "Europe/London", NULL, "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"},
        /* Across midnight, and the slot's own time of day: a day later, not at once. */
        {"0 22 * * *", "Europe/London", "06:00", "2026-07-01T21:00:00Z", "2026-07-02T05:00:00Z"},
        {"0 1 * * *", "Europe/London", "01:00", "2026-07-01T00:00:00Z", "2026-07-02T00:00:00Z"},
        {"0 1 * * *", "Europe/London", "01:00:01", "2026-07-01T00:00:00Z", "2026-07-01T00:00:01Z"},
        /* In a gap: its end. In an overlap: the first one that is still ahead. */
        {"0 0 * * *", "Europe/London", "01:30", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
        {"0 0 * * *", "Europe/London", "01:30", "2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z"},
        {"45 1 * * *", "Europe/London", "01:30", "2026-10-25T00:45:00Z", "2026-10-25T01:30:00Z"},
        /* Apia has no such time on the 30th, because it has no 30th. */
        {"0 22 * * *", "Pacific/Apia", "06:00", "2011-12-30T08:00:00Z", "2011-12-30T10:00:00Z"},
        /* The star in the hour field has no say in this. */
        {"0 * * * *", "Europe/London", "01:30", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
        {"@every 6h", "Europe/London", "06:00", "2026-07-01T00:00:00Z", "2026-07-01T05:00:00Z"},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct calendar calendar = make(rows[i].cron, rows[i].zone);
        struct deadline_spec spec = {.kind = DEADLINE_NEXT_FIRING};
        char text[UTC_TEXT_SIZE];

        if (rows[i].deadline != NULL)
            assert_true(deadline_parse(rows[i].deadline, strlen(rows[i].deadline), &spec));
        utc_text_seconds(deadline_at(&calendar, &spec, at(rows[i].slot)), text);
        if (strcmp(text, rows[i].expected) != 0)
            fail_msg("row %zu: %s, not %s", i, text, rows[i].expected);
    }
    {
        struct calendar last = make("0 0 1 1 *", "UTC");
        struct deadline_spec spec = {.kind = DEADLINE_NEXT_FIRING};

        assert_int_equal(deadline_at(&last, &spec, at("9999-01-01T00:00:00Z")).ms, UTC_NEVER.ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),      cmocka_unit_test(test_two_changes_in_an_hour),
        cmocka_unit_test(test_identity),     cmocka_unit_test(test_properties),
        cmocka_unit_test(test_latest),       cmocka_unit_test(test_never),
        cmocka_unit_test(test_ends_of_time), cmocka_unit_test(test_deadline_texts),
        cmocka_unit_test(test_deadlines),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
