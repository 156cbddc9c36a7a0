/* SPDX-License-Identifier: MIT
 * test_zone.c - zone files read, offsets and local times looked up; the C library, which has a
 * reader of its own, is asked for a second opinion. */
#include "base/zone_file.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "tests/unit/unit_test.h"

#define ZIC "/usr/sbin/zic"

/* --- Zones that zic makes -------------------------------------------------------------------- */

/* One zone for each form of a rule that zic can write; the second column is what it must write. */
static const struct {
    const char *name;
    const char *footer;
    const char *source;
} made_zones[] = {
    {"Weeks", "TST-1TDT,M3.5.0,M10.5.0/3",
     "Rule Weeks 1990 max - Mar lastSun 2:00 1:00 D\n"
     "Rule Weeks 1990 max - Oct lastSun 3:00 0 S\n"
     "Zone Weeks 1:00 Weeks T%sT\n"},
    {"South", "<+10>-10<+11>,M10.1.0,M4.1.0/3",
     "Rule South 1990 max - Oct Sun>=1 2:00 1:00 +11\n"
     "Rule South 1990 max - Apr Sun>=1 3:00 0 +10\n"
     "Zone South 10:00 South %s\n"},
    {"Julian", "TST3TDT,J91/0,J305/1:30",
     "Rule Julian 1990 max - Apr 1 0:00 1:00 D\n"
     "Rule Julian 1990 max - Nov 1 1:30 0 S\n"
     "Zone Julian -3:00 Julian T%sT\n"},
    {"Counted", "TST6TDT,45/0,J288/0",
     "Rule Counted 1990 max - Feb 15 0:00 1:00 D\n"
     "Rule Counted 1990 max - Oct 15 0:00 0 S\n"
     "Zone Counted -6:00 Counted T%sT\n"},
    {"Negative", "TST-1TDT0,M10.5.0,M3.5.0/1",
     "Rule Negative 1990 max - Oct lastSun 1:00u -1:00 D\n"
     "Rule Negative 1990 max - Mar lastSun 1:00u 0 S\n"
     "Zone Negative 1:00 Negative T%sT\n"},
    {"Long", "TST2TDT,M3.4.4/50,M10.4.4/50",
     "Rule Long 1990 max - Mar Sat>=24 2:00 1:00 D\n"
     "Rule Long 1990 max - Oct Sat>=24 2:00 0 S\n"
     "Zone Long -2:00 Long T%sT\n"},
    {"Early", "TST-2TDT,M3.4.4/26,M9.5.0/-2",
     "Rule Early 1990 max - Mar Fri>=23 2:00 1:00 D\n"
     "Rule Early 1990 max - Sep lastSun -2:00 0 S\n"
     "Zone Early 2:00 Early T%sT\n"},
    {"Half", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
     "Rule Half 1990 max - Oct Sun>=1 2:00 0:30 +11\n"
     "Rule Half 1990 max - Apr Sun>=1 2:00 0 +1030\n"
     "Zone Half 10:30 Half %s\n"},
    {"Double", "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3",
     "Rule Double 1990 max - Mar lastSun 1:00u 2:00 +02\n"
     "Rule Double 1990 max - Oct lastSun 1:00u 0 +00\n"
     "Zone Double 0:00 Double %s\n"},
    {"Fixed", "<+0545>-5:45", "Zone Fixed 5:45 - +0545\n"},
};

struct fixture {
    char directory[64];
    bool has_zic;
    struct arena arena;
};

static void make_path(const struct fixture *fixture, const char *name, char path[128])
{
    (void)snprintf(path, 128, "%s/%s", fixture->directory, name);
}

static void write_file(const struct fixture *fixture, const char *name, const void *bytes,
                       size_t length)
{
    char path[128];
    FILE *file;

    make_path(fixture, name, path);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static size_t read_file(const char *directory, const char *name, unsigned char *bytes, size_t size)
{
    char path[256];
    FILE *file;
    size_t length;

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "r");
    assert_non_null(file);
    length = fread(bytes, 1, size, file);
    assert_true(length < size);
    assert_int_equal(fclose(file), 0);
    return length;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    char source[128];
    struct stat status;

    (void)snprintf(fixture.directory, sizeof fixture.directory, "/tmp/test_zone.XXXXXX");
    if (mkdtemp(fixture.directory) == NULL)
        return -1;
    arena_init(&fixture.arena);
    fixture.has_zic = stat(ZIC, &status) == 0;
    make_path(&fixture, "source", source);
    for (size_t i = 0; fixture.has_zic && i < ROW_COUNT(made_zones); i++) {
        int done = 0;
        pid_t child;

        write_file(&fixture, "source", made_zones[i].source, strlen(made_zones[i].source));
        child = fork();
        if (child == 0) {
            execl(ZIC, ZIC, "-b", i % 2 == 0 ? "slim" : "fat", "-d", fixture.directory, source,
                  (char *)NULL);
            _exit(127);
        }
        if (waitpid(child, &done, 0) != child || done != 0)
            return -1;
    }
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    char command[128];

    arena_deinit(&fixture->arena);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", fixture->directory);
    return system(command);
}

static const struct zone *load(struct fixture *fixture, const char *directory, const char *name)
{
    const struct zone *zone = NULL;
    struct fault fault;

    if (zone_load(directory, name, &fixture->arena, &zone, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    return zone;
}

/* Ask the C library, whose TZ was set by use_libc_zone, about the same file. */
static void assert_same_as_libc(const struct zone *zone, int64_t at_s)
{
    time_t instant = (time_t)at_s;
    struct zone_offset ours = zone_offset_at(zone, (struct utc_time){at_s * MS_PER_SECOND});
    struct tm theirs;

    assert_non_null(localtime_r(&instant, &theirs));
    if (ours.offset_s != theirs.tm_gmtoff || strcmp(ours.abbreviation, theirs.tm_zone) != 0 ||
        ours.is_daylight != (theirs.tm_isdst > 0))
        fail_msg("%s at %" PRId64 ": %d %s %d, the C library says %ld %s %d", zone->name, at_s,
                 ours.offset_s, ours.abbreviation, ours.is_daylight, theirs.tm_gmtoff,
                 theirs.tm_zone, theirs.tm_isdst);
}

static void use_libc_zone(const char *directory, const char *name)
{
    char tz[256];

    (void)snprintf(tz, sizeof tz, ":%s/%s", directory, name);
    assert_int_equal(setenv("TZ", tz, 1), 0);
    tzset();
}

/* Every span of a zone in [from, to): its first and last second and its middle. */
static void compare_spans(const struct zone *zone, int64_t from_s, int64_t to_s)
{
    while (from_s < to_s) {
        struct zone_span span = zone_span_at(zone, from_s);
        int64_t end_s = span.end_s < to_s ? span.end_s : to_s;

        assert_true(span.start_s <= from_s && from_s < span.end_s);
        assert_same_as_libc(zone, from_s);
        assert_same_as_libc(zone, from_s + (end_s - from_s) / 2);
        assert_same_as_libc(zone, end_s - 1);
        from_s = end_s;
    }
}

#define YEAR_1903 INT64_C(-2114380800)
#define YEAR_1991 INT64_C(662688000)
#define YEAR_2150 INT64_C(5680281600)

static void test_made_zones(void **state)
{
    struct fixture *fixture = *state;

    if (!fixture->has_zic)
        skip();
    for (size_t i = 0; i < ROW_COUNT(made_zones); i++) {
        unsigned char bytes[8192];
        size_t length = read_file(fixture->directory, made_zones[i].name, bytes, sizeof bytes - 1);
        size_t footer_length = strlen(made_zones[i].footer);
        const struct zone *zone = load(fixture, fixture->directory, made_zones[i].name);

        /* If zic wrote another form, this test would not test what it says. */
        bytes[length] = '\0';
        assert_true(length > footer_length + 2);
        if (memcmp(bytes + length - footer_length - 1, made_zones[i].footer, footer_length) != 0)
            fail_msg("%s: zic wrote another rule: %s", made_zones[i].name,
                     (char *)bytes + length - footer_length - 8);
        assert_true(zone->has_rule);
        use_libc_zone(fixture->directory, made_zones[i].name);
        compare_spans(zone, YEAR_1991, YEAR_2150);
        for (int64_t at_s = YEAR_1991; at_s < YEAR_2150; at_s += 9 * 86400 + 5003)
            assert_same_as_libc(zone, at_s);
    }
}

static const char *const known_zones[] = {
    "Africa/Cairo",         "Africa/Casablanca", "Africa/Monrovia",  "America/Asuncion",
    "America/Havana",       "America/New_York",  "America/Nuuk",     "America/Santiago",
    "America/Scoresbysund", "America/St_Johns",  "Antarctica/Troll", "Asia/Amman",
    "Asia/Beirut",          "Asia/Gaza",         "Asia/Jerusalem",   "Asia/Kathmandu",
    "Asia/Kolkata",         "Asia/Pyongyang",    "Asia/Tehran",      "Australia/Lord_Howe",
    "Australia/Sydney",     "Europe/Bucharest",  "Europe/Chisinau",  "Europe/Dublin",
    "Europe/Lisbon",        "Europe/London",     "Europe/Moscow",    "Europe/Volgograd",
    "Pacific/Apia",         "Pacific/Auckland",  "Pacific/Chatham",  "Pacific/Easter",
    "Pacific/Kiritimati",   "Pacific/Norfolk",   "Etc/GMT+12",       "EST5EDT",
};

static void test_known_zones(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ROW_COUNT(known_zones); i++) {
        const struct zone *zone = load(fixture, ZONE_DIRECTORY, known_zones[i]);

        assert_string_equal(zone->name, known_zones[i]);
        use_libc_zone(ZONE_DIRECTORY, known_zones[i]);
        compare_spans(zone, YEAR_1903, YEAR_2150);
    }
}

/* --- Local times ------------------------------------------------------------------------------ */

static struct utc_time at(const char *text)
{
    struct utc_time instant = UTC_NONE;

    assert_true(utc_parse(text, strlen(text), &instant));
    return instant;
}

static const struct {
    const char *zone;
    const char *local; /* read as if it were UTC */
    int count;
    const char *first; /* of a gap: its end */
    const char *second;
} local_rows[] = {
    {"UTC", "2026-03-29T02:00:00Z", 1, "2026-03-29T02:00:00Z", NULL},
    {"Europe/London", "2026-03-29T00:59:59Z", 1, "2026-03-29T00:59:59Z", NULL},
    {"Europe/London", "2026-03-29T01:00:00Z", 0, "2026-03-29T01:00:00Z", NULL},
    {"Europe/London", "2026-03-29T01:59:59Z", 0, "2026-03-29T01:00:00Z", NULL},
    {"Europe/London", "2026-03-29T02:00:00Z", 1, "2026-03-29T01:00:00Z", NULL},
    {"Europe/London", "2026-10-25T00:59:59Z", 1, "2026-10-24T23:59:59Z", NULL},
    {"Europe/London", "2026-10-25T01:00:00Z", 2, "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"},
    {"Europe/London", "2026-10-25T01:59:59Z", 2, "2026-10-25T00:59:59Z", "2026-10-25T01:59:59Z"},
    {"Europe/London", "2026-10-25T02:00:00Z", 1, "2026-10-25T02:00:00Z", NULL},
    /* Winter time is the negative daylight time here. */
    {"Europe/Dublin", "2026-03-29T01:30:00Z", 0, "2026-03-29T01:00:00Z", NULL},
    {"Europe/Dublin", "2026-10-25T01:30:00Z", 2, "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
    /* Half an hour. */
    {"Australia/Lord_Howe", "2026-10-04T01:59:59Z", 1, "2026-10-03T15:29:59Z", NULL},
    {"Australia/Lord_Howe", "2026-10-04T02:15:00Z", 0, "2026-10-03T15:30:00Z", NULL},
    {"Australia/Lord_Howe", "2026-10-04T02:30:00Z", 1, "2026-10-03T15:30:00Z", NULL},
    {"Australia/Lord_Howe", "2026-04-05T01:45:00Z", 2, "2026-04-04T14:45:00Z",
     "2026-04-04T15:15:00Z"},
    {"Australia/Lord_Howe", "2026-04-05T02:00:00Z", 1, "2026-04-04T15:30:00Z", NULL},
    /* Ramadan, from a table and not from a rule. */
    {"Africa/Casablanca", "2026-02-15T02:30:00Z", 2, "2026-02-15T01:30:00Z",
     "2026-02-15T02:30:00Z"},
    {"Africa/Casablanca", "2026-03-22T02:30:00Z", 0, "2026-03-22T02:00:00Z", NULL},
    /* A whole day that never was. */
    {"Pacific/Apia", "2011-12-29T23:59:59Z", 1, "2011-12-30T09:59:59Z", NULL},
    {"Pacific/Apia", "2011-12-30T00:00:00Z", 0, "2011-12-30T10:00:00Z", NULL},
    {"Pacific/Apia", "2011-12-30T23:59:59Z", 0, "2011-12-30T10:00:00Z", NULL},
    {"Pacific/Apia", "2011-12-31T00:00:00Z", 1, "2011-12-30T10:00:00Z", NULL},
    /* A quarter of an hour, once. */
    {"Asia/Kathmandu", "1986-01-01T00:10:00Z", 0, "1985-12-31T18:30:00Z", NULL},
    {"Asia/Kathmandu", "2026-01-01T00:00:00Z", 1, "2025-12-31T18:15:00Z", NULL},
    /* Far beyond 2038. */
    {"America/New_York", "2399-03-14T02:30:00Z", 0, "2399-03-14T07:00:00Z", NULL},
    {"America/New_York", "2399-11-07T01:30:00Z", 2, "2399-11-07T05:30:00Z", "2399-11-07T06:30:00Z"},
};

static void test_local_times(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ROW_COUNT(local_rows); i++) {
        const struct zone *zone = load(fixture, ZONE_DIRECTORY, local_rows[i].zone);
        struct civil_time local = civil_from_utc(at(local_rows[i].local));
        struct zone_instants instants = zone_local_to_utc(zone, &local);
        int64_t first_ms = at(local_rows[i].first).ms;

        print_message("%s %s\n", local_rows[i].zone, local_rows[i].local);
        assert_int_equal(instants.count, local_rows[i].count);
        if (instants.count == 0) {
            assert_int_equal(instants.gap_end.ms, first_ms);
            continue;
        }
        assert_int_equal(instants.at[0].ms, first_ms);
        assert_int_equal(zone_fold_at(zone, instants.at[0]), 0);
        if (instants.count == 2) {
            assert_int_equal(instants.at[1].ms, at(local_rows[i].second).ms);
            assert_int_equal(zone_fold_at(zone, instants.at[1]), 1);
        }
    }
}

/* No real zone shows a local time three times; one that does gives the first two instants. */
static void test_a_time_shown_three_times(void **state)
{
    static const int64_t transitions_s[] = {0, 3600};
    static const uint8_t transition_types[] = {1, 2};
    static const struct zone_type types[] = {{7200, false, 0}, {3600, false, 0}, {0, false, 0}};
    const struct zone zone = {
        .transitions_s = transitions_s,
        .transition_types = transition_types,
        .types = types,
        .abbreviations = "TST",
        .transition_count = 2,
        .type_count = 3,
    };
    struct civil_time local = civil_from_utc(at("1970-01-01T01:30:00Z"));
    struct zone_instants instants = zone_local_to_utc(&zone, &local);

    (void)state;
    assert_int_equal(instants.count, 2);
    assert_int_equal(instants.at[0].ms, at("1969-12-31T23:30:00Z").ms);
    assert_int_equal(instants.at[1].ms, at("1970-01-01T00:30:00Z").ms);
    assert_int_equal(zone_fold_at(&zone, at("1969-12-31T23:30:00Z")), 0);
    assert_int_equal(zone_fold_at(&zone, at("1970-01-01T00:30:00Z")), 1);
    assert_int_equal(zone_fold_at(&zone, at("1970-01-01T01:30:00Z")), 1);
}

/* Milliseconds are carried through, also before 1970. */
static void test_local_times_keep_milliseconds(void **state)
{
    struct fixture *fixture = *state;
    const struct zone *zone = load(fixture, ZONE_DIRECTORY, "Asia/Kathmandu");
    struct utc_time instant = {-INT64_C(86400000) * 365 - 1};
    struct civil_time local = zone_utc_to_local(zone, instant);
    struct zone_instants instants = zone_local_to_utc(zone, &local);

    assert_int_equal(local.millisecond, 999);
    assert_int_equal(local.hour, 5);
    assert_int_equal(local.minute, 29);
    assert_int_equal(instants.count, 1);
    assert_int_equal(instants.at[0].ms, instant.ms);
}

/* Any instant, turned into local time and back, is one of the answers, with the right fold. */
static void test_round_trips(void **state)
{
    struct fixture *fixture = *state;
    struct random random;

    random_init(&random, unit_seed());
    for (size_t i = 0; i < ROW_COUNT(known_zones); i++) {
        const struct zone *zone = load(fixture, ZONE_DIRECTORY, known_zones[i]);

        for (int n = 0; n < 500; n++) {
            int64_t start_s = YEAR_1903 + (int64_t)random_below(&random, 7500000000);
            struct zone_span span = zone_span_at(zone, start_s);
            /* Half of them close to a change. */
            int64_t at_s = n % 2 == 0 || span.end_s == INT64_MAX
                               ? start_s
                               : span.end_s - 7200 + (int64_t)random_below(&random, 14400);
            struct utc_time instant = {at_s * MS_PER_SECOND};
            struct civil_time local = zone_utc_to_local(zone, instant);
            struct zone_instants instants = zone_local_to_utc(zone, &local);
            int fold = zone_fold_at(zone, instant);

            assert_true(fold < instants.count);
            assert_int_equal(instants.at[fold].ms, instant.ms);
            if (instants.count == 2)
                assert_true(instants.at[0].ms < instants.at[1].ms);
        }
    }
}

/* Instants at the end of the range give an answer, not undefined behaviour. */
static void test_extreme_instants(void **state)
{
    struct fixture *fixture = *state;
    const struct zone *zones[] = {&zone_utc, load(fixture, ZONE_DIRECTORY, "Europe/London"),
                                  load(fixture, ZONE_DIRECTORY, "Asia/Kathmandu")};

    for (size_t i = 0; i < ROW_COUNT(zones); i++) {
        (void)zone_offset_at(zones[i], UTC_NEVER);
        (void)zone_offset_at(zones[i], UTC_NONE);
        assert_true(zone_span_at(zones[i], INT64_MAX / 1000).end_s > INT64_MAX / 1000);
        assert_true(zone_span_at(zones[i], INT64_MIN / 1000).start_s <= INT64_MIN / 1000);
    }
}

/* --- The rule line -----------------------------------------------------------------------------
 */

static void test_rules_that_are_refused(void **state)
{
    static const char *const rows[] = {
        "",                             /* no name */
        "TS",                           /* name too short */
        "TST",                          /* no offset */
        "TST25",                        /* offset too long */
        "TST1:60",                      /* minutes */
        "TST1:00:60",                   /* seconds */
        "TST1:",                        /* minutes missing */
        "<+01-1",                       /* bracket not closed */
        "<+0>-1",                       /* too short */
        "<+01+01+01+01+01+01>-1",       /* too long */
        "T1T-1",                        /* digit without brackets */
        "TST-1TDT",                     /* days missing */
        "TST-1TDT,M3.5.0",              /* second day missing */
        "TST-1TDT,M3.5.0,",             /* empty day */
        "TST-1TDT,M3.5.0,M10.5.0,",     /* too much */
        "TST-1TDT,M3.5.0,M10.5.0 ",     /* blank */
        "TST-1TDT,M0.5.0,M10.5.0",      /* month */
        "TST-1TDT,M13.5.0,M10.5.0",     /* month */
        "TST-1TDT,M3.0.0,M10.5.0",      /* week */
        "TST-1TDT,M3.6.0,M10.5.0",      /* week */
        "TST-1TDT,M3.5.7,M10.5.0",      /* weekday */
        "TST-1TDT,M3.5,M10.5.0",        /* weekday missing */
        "TST-1TDT,J0,M10.5.0",          /* J counts from 1 */
        "TST-1TDT,J366,M10.5.0",        /* and never counts a leap day */
        "TST-1TDT,366,M10.5.0",         /* counts from 0 */
        "TST-1TDT,-1,M10.5.0",          /* negative day */
        "TST-1TDT,M3.5.0/168,M10.5.0",  /* time too long */
        "TST-1TDT,M3.5.0/-168,M10.5.0", /* time too long */
        "TST-1TDT,M3.5.0/,M10.5.0",     /* time missing */
        "TST-1TDT,M3.5.0/0002,M10.5.0", /* too many digits */
        "TST-1TDT25,M3.5.0,M10.5.0",    /* daylight offset too long */
        "TST-1TDT0:60,M3.5.0,M10.5.0",  /* its minutes */
        "TST-1 TDT,M3.5.0,M10.5.0",     /* blank */
        "TST--1TDT,M3.5.0,M10.5.0",     /* two signs */
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct zone_rule rule = {.standard_offset_s = 77};
        struct fault fault;

        if (zone_rule_parse(rows[i], strlen(rows[i]), &rule, &fault) == RESULT_OK)
            fail_msg("\"%s\" was taken", rows[i]);
        assert_int_equal(fault.code, FAULT_DATA);
        assert_int_equal(rule.standard_offset_s, 77);
    }
}

static void test_rule_fields(void **state)
{
    static const char text[] = "<-0330>+3:30:15<a+9>2,J60/-167:59:59,M12.1.6/167";
    struct zone_rule rule;

    (void)state;
    assert_int_equal(zone_rule_parse(text, strlen(text), &rule, NULL), RESULT_OK);
    assert_string_equal(rule.standard_name, "-0330");
    assert_int_equal(rule.standard_offset_s, -(3 * 3600 + 30 * 60 + 15));
    assert_true(rule.has_daylight);
    assert_string_equal(rule.daylight_name, "a+9");
    assert_int_equal(rule.daylight_offset_s, -7200);
    assert_int_equal(rule.daylight_start.form, ZONE_DAY_JULIAN);
    assert_int_equal(rule.daylight_start.day, 60);
    assert_int_equal(rule.daylight_start.time_s, -(167 * 3600 + 59 * 60 + 59));
    assert_int_equal(rule.daylight_end.form, ZONE_DAY_MONTH);
    assert_int_equal(rule.daylight_end.month, 12);
    assert_int_equal(rule.daylight_end.week, 1);
    assert_int_equal(rule.daylight_end.day, 6);
    assert_int_equal(rule.daylight_end.time_s, 167 * 3600);
}

/* The first and last values that are allowed. */
static void test_rules_at_their_limits(void **state)
{
    static const char *const rows[] = {
        "TST24:59:59",
        "TST-24:59:59TDT-24,J1/0,J365/167",
        "TST0TDT,0/-167,365/-0",
        "TST0TDT,M1.1.0/1,M12.5.6/00:00:59",
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct zone_rule rule;
        struct fault fault;

        if (zone_rule_parse(rows[i], strlen(rows[i]), &rule, &fault) != RESULT_OK)
            fail_msg("\"%s\": %s", rows[i], fault.text);
    }
}

/* Where the daylight spans of a rule begin and end, checked by hand from a calendar. */
static void test_rule_spans(void **state)
{
    static const struct {
        const char *rule;
        const char *inside; /* an instant in a daylight span */
        const char *start;
        const char *end;
    } rows[] = {
        {"AAA0BBB,J59/0,J60/0", "2028-02-28T12:00:00Z", "2028-02-28T00:00:00Z",
         "2028-02-29T23:00:00Z"}, /* J60 is March 1, also in a leap year */
        {"AAA0BBB,J59/0,J60/0", "2027-02-28T12:00:00Z", "2027-02-28T00:00:00Z",
         "2027-02-28T23:00:00Z"},
        {"AAA0BBB,58/0,59/0", "2028-02-28T12:00:00Z", "2028-02-28T00:00:00Z",
         "2028-02-28T23:00:00Z"}, /* 59 is February 29 in a leap year */
        {"AAA0BBB,M2.5.2/0,M3.1.3/0", "2028-02-29T12:00:00Z", "2028-02-29T00:00:00Z",
         "2028-02-29T23:00:00Z"}, /* the fifth Tuesday; March 1 is the first Wednesday */
        {"AAA0BBB,M2.5.2/0,M3.1.3/0", "2027-02-24T12:00:00Z", "2027-02-23T00:00:00Z",
         "2027-03-02T23:00:00Z"}, /* no fifth Tuesday: the fourth is the last */
        {"AAA0BBB,M12.5.5/100,M2.1.1/-100", "2027-01-10T00:00:00Z", "2026-12-29T04:00:00Z",
         "2027-01-27T19:00:00Z"},
        {"AAA0BBB,0/-167,J365/167", "2026-07-01T00:00:00Z", NULL, NULL}, /* always */
        {"XXX3EDT4,0/0,J365/23", "2026-07-01T00:00:00Z", NULL, NULL},    /* RFC 9636's own */
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct zone_rule rule;
        struct zone_rule_span span;

        assert_int_equal(zone_rule_parse(rows[i].rule, strlen(rows[i].rule), &rule, NULL),
                         RESULT_OK);
        span = zone_rule_span_at(&rule, at(rows[i].inside).ms / 1000);
        print_message("%s\n", rows[i].rule);
        if (rows[i].start == NULL) {
            /* Whatever the year, daylight time never pauses. */
            for (int64_t at_s = YEAR_1991; at_s < YEAR_2150; at_s += 43201)
                assert_true(zone_rule_span_at(&rule, at_s).is_daylight);
            continue;
        }
        assert_true(span.is_daylight);
        assert_int_equal(span.start_s, at(rows[i].start).ms / 1000);
        assert_int_equal(span.end_s, at(rows[i].end).ms / 1000);
        assert_false(zone_rule_span_at(&rule, span.start_s - 1).is_daylight);
        assert_false(zone_rule_span_at(&rule, span.end_s).is_daylight);
        assert_int_equal(zone_rule_span_at(&rule, span.end_s).start_s, span.end_s);
        assert_int_equal(zone_rule_span_at(&rule, span.start_s - 1).end_s, span.start_s);
    }
}

/* --- Files that are not good --------------------------------------------------------------------
 */

/* A small file, written field by field so that a test can spoil one. */
struct file_image {
    unsigned char bytes[1024];
    size_t length;
};

static void put(struct file_image *image, const void *bytes, size_t length)
{
    memcpy(image->bytes + image->length, bytes, length);
    image->length += length;
}

static void put_number(struct file_image *image, int64_t value, size_t count)
{
    for (size_t i = count; i-- > 0;)
        image->bytes[image->length++] = (unsigned char)((uint64_t)value >> (8 * i));
}

/* Two transitions, two types, "AST" and "BST". `version` 0 for a version 1 file. */
static void put_block(struct file_image *image, char version, size_t time_bytes)
{
    static const int64_t counts[] = {2, 2, 0, 2, 2, 8};
    static const char reserved[15];

    put(image, "TZif", 4);
    put(image, &version, 1);
    put(image, reserved, sizeof reserved);
    for (size_t i = 0; i < ROW_COUNT(counts); i++)
        put_number(image, counts[i], 4);
    put_number(image, -1000, time_bytes); /* transitions */
    put_number(image, 5000, time_bytes);
    put(image, "\1\0", 2); /* their types */
    put_number(image, -3600, 4);
    put(image, "\0\0", 2); /* type 0: -3600, standard, text 0 */
    put_number(image, 7200, 4);
    put(image, "\1\4", 2); /* type 1: 7200, daylight, text 4 */
    put(image, "AST\0BST\0", 8);
    put(image, "\0\1\0\1", 4); /* indicators */
}

static struct file_image good_file(char version, const char *rule)
{
    struct file_image image = {.length = 0};

    put_block(&image, version, 4);
    if (version != 0) {
        put_block(&image, version, 8);
        put(&image, "\n", 1);
        put(&image, rule, strlen(rule));
        put(&image, "\n", 1);
    }
    return image;
}

static enum result parse_image(struct fixture *fixture, const struct file_image *image,
                               const struct zone **out, struct fault *fault)
{
    /* On the heap and exactly as long, so that a sanitizer sees each byte read beyond the end. */
    unsigned char *bytes = malloc(image->length + (image->length == 0));
    enum result result;

    assert_non_null(bytes);
    memcpy(bytes, image->bytes, image->length);
    result = zone_parse("Test/Zone", bytes, image->length, &fixture->arena, out, fault);
    free(bytes);
    return result;
}

static void test_versions(void **state)
{
    static const char versions[] = {0, '2', '3', '4'};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ROW_COUNT(versions); i++) {
        struct file_image image = good_file(versions[i], "AST1");
        const struct zone *zone = NULL;
        struct fault fault;

        assert_int_equal(parse_image(fixture, &image, &zone, &fault), RESULT_OK);
        assert_string_equal(zone->name, "Test/Zone");
        assert_int_equal(zone->transition_count, 2);
        assert_int_equal(zone_offset_at(zone, (struct utc_time){-1000001}).offset_s, -3600);
        assert_int_equal(zone_offset_at(zone, (struct utc_time){-1000000}).offset_s, 7200);
        assert_true(zone_offset_at(zone, (struct utc_time){0}).is_daylight);
        assert_string_equal(zone_offset_at(zone, (struct utc_time){0}).abbreviation, "BST");
        assert_int_equal(zone_offset_at(zone, (struct utc_time){4999999}).offset_s, 7200);
        assert_int_equal(zone_offset_at(zone, (struct utc_time){5000000}).offset_s, -3600);
        assert_string_equal(zone_offset_at(zone, (struct utc_time){5000000}).abbreviation, "AST");
    }
}

static void test_every_truncation_is_refused(void **state)
{
    struct fixture *fixture = *state;

    for (int round = 0; round < 2; round++) {
        struct file_image image = good_file(round == 0 ? 0 : '2', "AST1BST,M3.5.0,M10.5.0");
        const struct zone *zone = NULL;
        struct fault fault;

        assert_int_equal(parse_image(fixture, &image, &zone, &fault), RESULT_OK);
        while (image.length-- > 0) {
            zone = NULL;
            if (parse_image(fixture, &image, &zone, &fault) == RESULT_OK)
                fail_msg("%zu bytes were taken", image.length);
            assert_int_equal(fault.code, FAULT_DATA);
            assert_null(zone);
        }
    }
}

static void test_one_wrong_field_is_refused(void **state)
{
    enum { BLOCK_1 = 44 + 2 * 5 + 2 * 6 + 8 + 4 };
    /* Offsets into the second block of a version 2 file, where nothing else is said. */
    static const struct {
        size_t offset;
        unsigned char value;
        const char *told;
    } rows[] = {
        {0, 'X', "no TZif header"},
        {4, '1', "version"},
        {4, '5', "version"},
        {4, 0, "differ in version"},
        {23, 1, "indicator counts"},
        {27, 1, "indicator counts"},
        {20, 255, "too early"},
        {31, 1, "too early"},
        {32, 255, "too early"},
        {35, 1, "rule line"}, /* shifts all that follows; found at the latest by its end */
        {39, 0, "no local time type"},
        {36, 127, "too early"},
        {43, 0, "no local time type"},
        {44, 1, "not in order"},      /* first transition after the second */
        {44 + 16, 2, "names a type"}, /* only types 0 and 1 */
        {44 + 18, 0, "longer than a day"},
        {44 + 18 + 4, 2, "daylight mark"},
        {44 + 18 + 5, 8, "outside"},
        {44 + 18 + 12 + 7, 'X', "outside"}, /* last text without its end */
        {44 + 18 + 12 + 1, ' ', "not plain ASCII"},
        {44 + 18 + 12 + 1, 0x80, "not plain ASCII"},
        {44 + 18 + 20, 2, "indicator is neither"},
        {44 + 18 + 24, 'x', "rule line"}, /* newline before the rule */
        {44 + 18 + 25, '1', "POSIX TZ"},
        {44 + 18 + 26, '\n', "rule line"}, /* ends too early */
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct file_image image = good_file('2', "AST1");
        const struct zone *zone = NULL;
        struct fault fault = {.text = ""};

        image.bytes[BLOCK_1 + rows[i].offset] = rows[i].value;
        if (parse_image(fixture, &image, &zone, &fault) == RESULT_OK)
            fail_msg("row %zu was taken", i);
        if (rows[i].offset != 35 && strstr(fault.text, rows[i].told) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, fault.text, rows[i].told);
    }
}

static void test_other_bad_files(void **state)
{
    struct fixture *fixture = *state;
    struct file_image image = good_file(0, "");
    const struct zone *zone = NULL;
    struct fault fault;

    image.bytes[image.length++] = 0;
    assert_int_equal(parse_image(fixture, &image, &zone, &fault), RESULT_FAULT);
    assert_non_null(strstr(fault.text, "behind its end"));

    /* Too many transitions, all there. */
    {
        size_t count = 5000;
        size_t length = 44 + count * 5 + 6 + 4;
        unsigned char *bytes = calloc(1, length);

        assert_non_null(bytes);
        memcpy(bytes, "TZif", 4);
        bytes[34] = (unsigned char)(count >> 8);
        bytes[35] = (unsigned char)count;
        bytes[39] = 1;
        bytes[43] = 4;
        assert_int_equal(zone_parse("x", bytes, length, &fixture->arena, &zone, &fault),
                         RESULT_FAULT);
        assert_non_null(strstr(fault.text, "too many transitions"));
        free(bytes);
    }
    /* A leap second. */
    {
        unsigned char bytes[44 + 6 + 4 + 8] = "TZif";

        bytes[31] = 1;
        bytes[39] = 1;
        bytes[43] = 4;
        assert_int_equal(zone_parse("x", bytes, sizeof bytes, &fixture->arena, &zone, &fault),
                         RESULT_FAULT);
        assert_non_null(strstr(fault.text, "leap seconds"));
    }
    assert_int_equal(zone_parse("x", "", 0, &fixture->arena, &zone, &fault), RESULT_FAULT);
}

/* The longest offsets that RFC 9636 allows, a second more, and the last plain character. */
static void test_offsets_at_their_limits(void **state)
{
    static const struct {
        int32_t offset_s;
        bool is_good;
    } rows[] = {{-89999, true}, {-90000, false}, {93599, true}, {93600, false}};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct file_image image = good_file(0, "");
        struct file_image number = {.length = 0};
        const struct zone *zone = NULL;
        struct fault fault;

        put_number(&number, rows[i].offset_s, 4);
        memcpy(image.bytes + 44 + 10, number.bytes, 4);
        image.bytes[44 + 10 + 12] = '~';
        assert_int_equal(parse_image(fixture, &image, &zone, &fault) == RESULT_OK, rows[i].is_good);
        if (!rows[i].is_good)
            continue;
        assert_int_equal(zone_offset_at(zone, UTC_NEVER).offset_s, rows[i].offset_s);
        assert_string_equal(zone_offset_at(zone, UTC_NEVER).abbreviation, "~ST");
    }
}

/* Without a rule the last type goes on; without anything type 0 holds. An empty rule is fine. */
static void test_no_rule(void **state)
{
    struct fixture *fixture = *state;
    struct file_image image = good_file('3', "");
    const struct zone *zone = NULL;

    assert_int_equal(parse_image(fixture, &image, &zone, NULL), RESULT_OK);
    assert_false(zone->has_rule);
    assert_int_equal(zone_offset_at(zone, at("2500-01-01T00:00:00Z")).offset_s, -3600);
    assert_int_equal(zone_span_at(zone, 5000).start_s, 5000);
    assert_int_equal(zone_span_at(zone, 5000).end_s, INT64_MAX);
    assert_int_equal(zone_span_at(zone, -1001).start_s, INT64_MIN);
    assert_int_equal(zone_span_at(zone, -1001).end_s, -1000);
}

/* The rule holds from the last transition on and not before, whatever it says. */
static void test_rule_starts_at_last_transition(void **state)
{
    struct fixture *fixture = *state;
    struct file_image image = good_file('2', "CCC-5");
    const struct zone *zone = NULL;

    assert_int_equal(parse_image(fixture, &image, &zone, NULL), RESULT_OK);
    assert_int_equal(zone_span_at(zone, 4999).offset_s, 7200);
    assert_int_equal(zone_span_at(zone, 5000).offset_s, 5 * 3600);
    assert_int_equal(zone_span_at(zone, 1 << 30).start_s, 5000);
    assert_string_equal(zone_span_at(zone, 1 << 30).abbreviation, "CCC");
}

/* Damaged real files are refused or give a zone in which every look-up ends well. */
static void test_damaged_files(void **state)
{
    static unsigned char original[65536];
    static unsigned char damaged[65536];
    struct random random;
    size_t taken = 0;

    (void)state;
    random_init(&random, unit_seed());
    for (size_t i = 0; i < ROW_COUNT(known_zones); i += 5) {
        size_t length = read_file(ZONE_DIRECTORY, known_zones[i], original, sizeof original);

        for (int round = 0; round < 300; round++) {
            struct arena arena;
            const struct zone *zone = NULL;
            struct fault fault;

            memcpy(damaged, original, length);
            for (uint64_t n = 1 + random_below(&random, 3); n > 0; n--)
                damaged[random_below(&random, length)] = (unsigned char)random_next(&random);
            arena_init(&arena);
            if (zone_parse("damaged", damaged, length, &arena, &zone, &fault) == RESULT_OK) {
                taken++;
                for (int n = 0; n < 50; n++) {
                    int64_t ms = (YEAR_1903 + (int64_t)random_below(&random, 7500000000)) * 1000;
                    struct civil_time local = civil_from_utc((struct utc_time){ms});
                    struct zone_instants instants = zone_local_to_utc(zone, &local);

                    assert_in_range(instants.count, 0, 2);
                    assert_true(strlen(zone_offset_at(zone, (struct utc_time){ms}).abbreviation) <
                                length);
                }
            }
            arena_deinit(&arena);
        }
    }
    assert_true(taken > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_zones),
        cmocka_unit_test(test_known_zones),
        cmocka_unit_test(test_local_times),
        cmocka_unit_test(test_a_time_shown_three_times),
        cmocka_unit_test(test_local_times_keep_milliseconds),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_extreme_instants),
        cmocka_unit_test(test_rules_that_are_refused),
        cmocka_unit_test(test_rules_at_their_limits),
        cmocka_unit_test(test_rule_fields),
        cmocka_unit_test(test_rule_spans),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_one_wrong_field_is_refused),
        cmocka_unit_test(test_other_bad_files),
        cmocka_unit_test(test_offsets_at_their_limits),
        cmocka_unit_test(test_no_rule),
        cmocka_unit_test(test_rule_starts_at_last_transition),
        cmocka_unit_test(test_damaged_files),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
