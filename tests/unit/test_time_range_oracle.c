/* SPDX-License-Identifier: MIT
 * test_time_range_oracle.c - random ranges in many zones against what a person would say: look at
 * the wall every quarter of an hour and compare dates and times as they are written. */
#include <inttypes.h>
#include <string.h>

#include "base/random.h"
#include "base/zone_file.h"
#include "scheduler/capacity.h"
#include "scheduler/open_hours.h"
#include "tests/unit/unit_test.h"

#define QUARTER_MS (15 * MS_PER_MINUTE)
#define CASES 1200

static struct arena arena;
static struct random dice;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    random_init(&dice, unit_seed());
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static int below(int bound)
{
    return (int)random_below(&dice, (uint64_t)bound);
}

/* ---- a range as a person has it in mind ---- */

enum form { TIMES_OF_DAYS, ACROSS_WEEK, DAY_OF_YEAR, ACROSS_YEAR, ONE_DAY, ACROSS_DATES, FORMS };

struct wall {
    int year, month, day, weekday, quarter; /* quarter: 0..95, of an end also 96 */
};

struct idea {
    enum form form;
    struct wall from;
    struct wall to;
    unsigned weekdays;
    bool has_times;
};

static const char *const zones[] = {
    "UTC",
    "Europe/London",
    "Europe/Bucharest",
    "America/New_York",
    "Europe/Dublin",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "America/Santiago",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Pacific/Chatham",
    "Asia/Tehran",
    "Asia/Gaza",
    "Europe/Moscow",
    "America/Havana",
    "Atlantic/Azores",
    "Pacific/Easter",
    "America/Sao_Paulo",
};

static struct wall look(const struct zone *zone, struct utc_time at)
{
    struct civil_time civil = zone_utc_to_local(zone, at);
    int64_t days = civil_to_days(civil.year, civil.month, civil.day);

    return (struct wall){civil.year, civil.month, civil.day, (int)(((days + 4) % 7 + 7) % 7),
                         civil.hour * 4 + civil.minute / 15};
}

static struct wall day_before(struct wall wall)
{
    int32_t date[3];

    civil_from_days(civil_to_days(wall.year, wall.month, wall.day) - 1, &date[0], &date[1],
                    &date[2]);
    return (struct wall){date[0], date[1], date[2], (wall.weekday + 6) % 7, wall.quarter};
}

static bool begins_on(const struct idea *idea, const struct wall *wall)
{
    switch (idea->form) {
    case TIMES_OF_DAYS: return (idea->weekdays >> wall->weekday & 1) != 0;
    case DAY_OF_YEAR: return wall->month == idea->from.month && wall->day == idea->from.day;
    default: break;
    }
    return wall->year == idea->from.year && wall->month == idea->from.month &&
           wall->day == idea->from.day;
}

/* Dates as written, in order: 1224 and 20261224. */
static int64_t written(const struct wall *wall, bool has_year)
{
    return (((has_year ? wall->year : 0) * INT64_C(100) + wall->month) * 100 + wall->day) * 100 +
           wall->quarter;
}

static bool oracle(const struct idea *idea, const struct zone *zone, struct utc_time at)
{
    struct wall now = look(zone, at);
    struct wall yesterday = day_before(now);
    bool has_year = idea->form == ACROSS_DATES;
    int64_t from = written(&idea->from, has_year);
    int64_t to = written(&idea->to, has_year);
    int64_t shown = written(&now, has_year);
    int length;

    switch (idea->form) {
    case TIMES_OF_DAYS:
    case DAY_OF_YEAR:
        if (idea->from.quarter < idea->to.quarter)
            return begins_on(idea, &now) && idea->from.quarter <= now.quarter &&
                   now.quarter < idea->to.quarter;
        return (begins_on(idea, &now) && idea->from.quarter <= now.quarter) ||
               (begins_on(idea, &yesterday) && now.quarter < idea->to.quarter);
    case ONE_DAY: /* a certain night is one stretch of dates */
        if (idea->from.quarter < idea->to.quarter)
            return begins_on(idea, &now) && idea->from.quarter <= now.quarter &&
                   now.quarter < idea->to.quarter;
        {
            struct wall end = idea->to;
            int32_t date[3];

            civil_from_days(civil_to_days(idea->from.year, idea->from.month, idea->from.day) + 1,
                            &date[0], &date[1], &date[2]);
            end.year = date[0];
            end.month = date[1];
            end.day = date[2];
            return written(&idea->from, true) <= written(&now, true) &&
                   written(&now, true) < written(&end, true);
        }
    case ACROSS_WEEK:
        length =
            (idea->to.weekday - idea->from.weekday) * 96 + idea->to.quarter - idea->from.quarter;
        length = (length + 14 * 96) % (7 * 96);
        return ((now.weekday - idea->from.weekday) * 96 + now.quarter - idea->from.quarter +
                14 * 96) %
                   (7 * 96) <
               length;
    case ACROSS_YEAR:
    case ACROSS_DATES:
    case FORMS: break;
    }
    return from < to || has_year ? from <= shown && shown < to : from <= shown || shown < to;
}

/* ---- made up, and written down ---- */

static const char *time_text(int quarter, char text[16])
{
    (void)snprintf(text, 16, "%02d:%02d", quarter / 4, quarter % 4 * 15);
    return text;
}

static const char *date_text(const struct wall *wall, bool has_year, char text[32])
{
    if (has_year)
        (void)snprintf(text, 32, "%04d-%02d-%02d", wall->year, wall->month, wall->day);
    else
        (void)snprintf(text, 32, "%02d-%02d", wall->month, wall->day);
    return text;
}

static struct wall random_wall(void)
{
    struct wall wall = {2000 + below(40), 1 + below(12), 1 + below(28), below(7), below(96)};

    if (below(10) == 0) { /* around the end of February */
        wall.month = 2 + below(2);
        wall.day = wall.month == 3 ? 1 : 28 + below(2);
    }
    return wall;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static void imagine(struct idea *idea)
{
    *idea = (struct idea){.form = (enum form)below(FORMS), .from = random_wall()};
    idea->to = below(3) == 0 ? idea->from : random_wall();
    idea->has_times = below(3) > 0;
    idea->weekdays = 1 + (unsigned)below(127);
    if (idea->form == ACROSS_DATES || idea->form == ONE_DAY) {
        idea->to.year = idea->from.year + below(2);
        if (idea->from.day == 29 && !is_leap(idea->from.year))
            idea->from.day = 28;
        if (idea->to.day == 29 && !is_leap(idea->to.year))
            idea->to.day = 28;
    }
    if (!idea->has_times) {
        idea->from.quarter = 0;
        idea->to.quarter = 96;
    } else if (below(8) == 0) {
        idea->to.quarter = 96;
    }
}

/* The text of an idea; false: it is none (it ends when it begins, or before). */
static bool write_down(const struct idea *idea, const char *zone, char text[160])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    bool has_year = idea->form == ONE_DAY || idea->form == ACROSS_DATES;
    char date[2][32];
    char time[2][16];
    char list[64] = "";
    struct wall wall = {0};

    (void)time_text(idea->from.quarter, time[0]);
    (void)time_text(idea->to.quarter, time[1]);
    (void)date_text(&idea->from, has_year, date[0]);
    (void)date_text(&idea->to, has_year, date[1]);
    for (int day = 0; day < 7; day++)
        if ((idea->weekdays >> day & 1) != 0)
            (void)snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s",
                           list[0] == '\0' ? "" : ",", days[day]);
    switch (idea->form) {
    case TIMES_OF_DAYS:
    case DAY_OF_YEAR:
    case ONE_DAY:
        if (idea->from.quarter == idea->to.quarter)
            return false;
        if (idea->has_times)
            (void)snprintf(text, 160, "%s %s-%s %s", idea->form == TIMES_OF_DAYS ? list : date[0],
                           time[0], time[1], zone);
        else
            (void)snprintf(text, 160, "%s %s", idea->form == TIMES_OF_DAYS ? list : date[0], zone);
        return true;
    case ACROSS_WEEK:
        if (((idea->to.weekday - idea->from.weekday) * 96 + idea->to.quarter - idea->from.quarter) %
                (7 * 96) ==
            0)
            return false;
        if (idea->has_times)
            (void)snprintf(text, 160, "%s %s - %s %s %s", days[idea->from.weekday], time[0],
                           days[idea->to.weekday], time[1], zone);
        else
            (void)snprintf(text, 160, "%s - %s %s", days[idea->from.weekday],
                           days[idea->to.weekday], zone);
        return true;
    case ACROSS_YEAR:
    case ACROSS_DATES: break;
    case FORMS: return false;
    }
    if (has_year && written(&idea->to, true) <= written(&idea->from, true))
        return false;
    /* The day behind `to` at 00:00 may be the start. */
    wall = idea->to;
    if (idea->to.quarter == 96) {
        int32_t next[3];

        civil_from_days(civil_to_days(2000, wall.month, wall.day) + 1, &next[0], &next[1],
                        &next[2]);
        wall = (struct wall){0, next[1], next[2], 0, 0};
    }
    if (!has_year && written(&wall, false) == written(&idea->from, false))
        return false;
    if (idea->has_times)
        (void)snprintf(text, 160, "%s %s - %s %s %s", date[0], time[0], date[1], time[1], zone);
    else
        (void)snprintf(text, 160, "%s - %s %s", date[0], date[1], zone);
    return true;
}

static struct time_range parse(const char *text, const struct zone *zone)
{
    struct time_range range;
    struct time_range_zone name;
    struct fault fault;
    size_t offset;

    if (time_range_parse(text, strlen(text), &range, &name, &offset, &fault) != RESULT_OK)
        fail_msg("\"%s\": %s", text, fault.text);
    range.zone = zone;
    return range;
}

static const struct zone *load(const char *name)
{
    const struct zone *zone;
    struct fault fault;

    if (zone_load(ZONE_DIRECTORY, name, &arena, &zone, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    return zone;
}

/* Some instant near the range: near its own date, or near a change of clocks. */
static struct utc_time near(const struct idea *idea, const struct zone *zone)
{
    bool is_once = idea->form == ONE_DAY || idea->form == ACROSS_DATES;
    int64_t at_ms =
        civil_to_days(is_once ? idea->from.year : 2000 + below(40), 1 + below(12), 1) * MS_PER_DAY;
    struct zone_span span;

    if (is_once)
        at_ms = civil_to_days(idea->from.year, idea->from.month, idea->from.day) * MS_PER_DAY -
                (int64_t)below(10 * 96) * QUARTER_MS;
    span = zone_span_at(zone, at_ms / 1000);
    if (below(2) == 0 && span.end_s != INT64_MAX && !is_once)
        at_ms = span.end_s * 1000;
    at_ms += (below(8 * 96) - 4 * 96) * QUARTER_MS;
    return (struct utc_time){at_ms - at_ms % QUARTER_MS};
}

/* Walk from `now` on: each answer is the oracle's, and the borders are where it changes. */
static int64_t walk(const struct idea *idea, const struct time_range *range, const char *text,
                    struct utc_time now, int64_t steps)
{
    struct utc_time start = time_range_next_start(range, now);
    struct utc_time end = time_range_next_end(range, now);
    bool was = oracle(idea, range->zone, now);
    int64_t seen = 0;
    char when[UTC_TEXT_SIZE];

    for (int64_t i = 0; i < steps && (start.ms > now.ms || end.ms > now.ms); i++) {
        bool is = oracle(idea, range->zone, now);

        if (time_range_contains(range, now) != is)
            fail_msg("\"%s\" at %s: %s", text, utc_text(now, when), is ? "inside" : "outside");
        if (is && !was && start.ms != now.ms && start.ms + QUARTER_MS > now.ms - QUARTER_MS)
            fail_msg("\"%s\" begins at %s", text, utc_text(now, when));
        if (is && !was && start.ms > now.ms)
            fail_msg("\"%s\" begins at %s already", text, utc_text(now, when));
        if (!is && was && end.ms > now.ms)
            fail_msg("\"%s\" ends at %s already", text, utc_text(now, when));
        if (now.ms == start.ms && (!is || was))
            fail_msg("\"%s\" does not begin at %s", text, utc_text(now, when));
        if (now.ms == end.ms && (is || !was))
            fail_msg("\"%s\" does not end at %s", text, utc_text(now, when));
        seen += is != was;
        was = is;
        now.ms += QUARTER_MS;
    }
    return seen;
}

static void test_against_the_wall(void **state)
{
    int64_t borders = 0;
    int cases = 0;

    (void)state;
    while (cases < CASES) {
        const char *name = zones[below(ROW_COUNT(zones))];
        struct time_range range;
        struct idea idea;
        char text[160];

        imagine(&idea);
        if (!write_down(&idea, name, text))
            continue;
        range = parse(text, load(name));
        borders += walk(&idea, &range, text, near(&idea, range.zone), 40 * 96);
        cases++;
    }
    print_message("%d ranges, %" PRId64 " borders\n", cases, borders);
    assert_true(borders > CASES / 2);
}

/* Leap days and the turn of the year, looked at for nine years on end. */
static void test_years(void **state)
{
    (void)state;
    for (int n = 0; n < 12; n++) {
        const char *name = zones[below(ROW_COUNT(zones))];
        struct time_range range;
        struct idea idea;
        char text[160];

        do {
            imagine(&idea);
            if (n % 3 == 0) {
                idea.from.month = 2;
                idea.from.day = 29;
            }
        } while ((idea.form != DAY_OF_YEAR && idea.form != ACROSS_YEAR) ||
                 !write_down(&idea, name, text));
        range = parse(text, load(name));
        (void)walk(&idea, &range, text, near(&idea, range.zone), 9 * 366 * 96);
    }
}

/* ---- several together ---- */

/* Open milliseconds and the next change against counting quarters. */
static void test_open_hours(void **state)
{
    (void)state;
    for (int n = 0; n < 60; n++) {
        struct idea ideas[4];
        struct time_range ranges[4];
        struct open_hours hours[2] = {0};
        const struct capacity_hours both = {{&hours[0], &hours[1]}, 2};
        struct utc_span maintenance;
        struct utc_time from;
        int64_t counted_ms = 0;
        int64_t told_ms;
        char text[160];

        for (int i = 0; i < 4; i++) {
            const char *name = zones[below(ROW_COUNT(zones))];

            do
                imagine(&ideas[i]);
            while (ideas[i].form > ACROSS_WEEK || !write_down(&ideas[i], name, text));
            ranges[i] = parse(text, load(name));
        }
        from = near(&ideas[0], ranges[0].zone);
        maintenance.start.ms = from.ms + below(200) * QUARTER_MS;
        maintenance.end.ms = maintenance.start.ms + (1 + below(100)) * QUARTER_MS;
        open_hours_set(&hours[0], &(struct hours_settings){&ranges[0], &ranges[1], 1, 1});
        open_hours_set(&hours[1], &(struct hours_settings){NULL, &ranges[2], 0, 2});
        open_hours_set_maintenance(&hours[1], &maintenance, (uint32_t)below(2));
        for (int q = 0; q < 10 * 96; q++) {
            struct utc_time at = {from.ms + q * QUARTER_MS};
            bool is_open =
                !oracle(&ideas[0], ranges[0].zone, at) && oracle(&ideas[1], ranges[1].zone, at) &&
                (oracle(&ideas[2], ranges[2].zone, at) || oracle(&ideas[3], ranges[3].zone, at)) &&
                !(hours[1].maintenance_count > 0 && maintenance.start.ms <= at.ms &&
                  at.ms < maintenance.end.ms);
            struct utc_time opens[2] = {UTC_NONE, UTC_NONE};
            enum reason closed[2] = {open_hours_closed(&hours[0], at, &opens[0]),
                                     open_hours_closed(&hours[1], at, &opens[1])};

            assert_int_equal(closed[0] == REASON_NONE && closed[1] == REASON_NONE, is_open);
            for (int i = 0; i < 2; i++)
                assert_true(closed[i] == REASON_NONE || opens[i].ms > at.ms);
            counted_ms += is_open ? QUARTER_MS : 0;
        }
        told_ms = capacity_open_time(&both, from, utc_add_ms(from, 10 * MS_PER_DAY)).open_ms;
        assert_int_equal(told_ms, counted_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_the_wall),
        cmocka_unit_test(test_years),
        cmocka_unit_test(test_open_hours),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
