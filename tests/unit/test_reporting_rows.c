/* SPDX-License-Identifier: MIT
 * test_reporting_rows.c - facts into rows: local days, percentiles against a naive count, odd
 * values. */
#include "reporting/reporting_facts.h"

#include <string.h>
#include <unistd.h>

#include "reporting/reporting_daily.h"
#include "tests/unit/reporting_fixture.h"

#define NOW ((struct utc_time){INT64_C(1795230000000)})

struct rows {
    char folder[64];
    char path[128];
    struct reporting_database *database;
};

static void open_rows(struct rows *rows)
{
    struct fault fault;

    (void)snprintf(rows->folder, sizeof rows->folder, "/tmp/test_rows.XXXXXX");
    assert_non_null(mkdtemp(rows->folder));
    (void)snprintf(rows->path, sizeof rows->path, "%s/reporting.db", rows->folder);
    if (reporting_database_open(rows->path, NULL, &rows->database, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
}

static void close_rows(struct rows *rows)
{
    reporting_database_close(rows->database);
    reporting_fixture_remove(rows->path);
    assert_int_equal(rmdir(rows->folder), 0);
}

static void begin(struct rows *rows)
{
    struct fault fault;

    if (reporting_database_begin(rows->database, NOW, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
}

static void put(struct rows *rows, const struct fact *fact)
{
    struct fault fault;

    if (reporting_facts_put(rows->database, fact, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
}

/* Commit, and bring daily_institution up to date in steps of `step` rows. */
static void commit(struct rows *rows, uint32_t step)
{
    bool more = true;
    struct fault fault;

    if (reporting_database_commit(rows->database, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    while (more)
        if (reporting_daily_refresh(rows->database, NOW, step, &more, &fault) != RESULT_OK)
            fail_msg("%s", fault.text);
}

static struct fact job_fact(const char *job_uid)
{
    return (struct fact){.kind = FACT_JOB,
                         .as.job = {.job_uid = job_uid,
                                    .run_id = SLOT_ID,
                                    .consent = "finq/c1",
                                    .provider = "finq",
                                    .institution = "BRD",
                                    .schedule = "nightly",
                                    .timezone = "Europe/London",
                                    .trigger = TRIGGER_SCHEDULE,
                                    .slot = SLOT,
                                    .due = SLOT,
                                    .started = SLOT,
                                    .finished = SLOT,
                                    .attempts = 1,
                                    .outcome = OUTCOME_REFRESHED,
                                    .reason = REASON_NONE,
                                    .has_new_data = TRI_UNKNOWN}};
}

/* The day is the one on the schedule's wall at the slot, whatever it is in UTC. */
static void test_day_is_the_local_date_of_the_slot(void **state)
{
    static const struct {
        const char *slot;
        const char *timezone;
        const char *day;
    } cases[] = {
        {"2026-11-21T01:00:00Z", "Europe/London", "2026-11-21"},
        {"2026-11-21T01:00:00Z", NULL, "2026-11-21"},
        {"2026-11-21T01:00:00Z", "America/New_York", "2026-11-20"},
        {"2026-11-21T12:00:00Z", "Pacific/Auckland", "2026-11-22"},
        /* London leaves winter time at 01:00 UTC on 29 March 2026. */
        {"2026-03-28T23:59:59Z", "Europe/London", "2026-03-28"},
        {"2026-03-29T00:30:00Z", "Europe/London", "2026-03-29"},
        {"2026-03-29T22:59:59Z", "Europe/London", "2026-03-29"},
        {"2026-03-29T23:00:00Z", "Europe/London", "2026-03-30"},
        /* And comes back at 01:00 UTC on 25 October: 00:30 is 01:30, twice. */
        {"2026-10-24T22:59:59Z", "Europe/London", "2026-10-24"},
        {"2026-10-24T23:00:00Z", "Europe/London", "2026-10-25"},
        {"2026-10-25T00:30:00Z", "Europe/London", "2026-10-25"},
        {"2026-10-25T23:59:59Z", "Europe/London", "2026-10-25"},
        {"2026-10-26T00:00:00Z", "Europe/London", "2026-10-26"},
        /* Chatham keeps quarter hours. */
        {"2026-06-30T11:14:59Z", "Pacific/Chatham", "2026-06-30"},
        {"2026-06-30T11:15:00Z", "Pacific/Chatham", "2026-07-01"},
    };
    struct rows rows;

    (void)state;
    open_rows(&rows);
    for (size_t i = 0; i < ROW_COUNT(cases); i++) {
        struct fact fact = job_fact("job");
        struct utc_time slot;

        assert_true(utc_parse(cases[i].slot, strlen(cases[i].slot), &slot));
        fact.as.job.slot = slot;
        fact.as.job.timezone = cases[i].timezone;
        begin(&rows);
        put(&rows, &fact);
        commit(&rows, 10);
        assert_string_equal(reporting_fixture_text(rows.path, "SELECT day FROM fact_refresh"),
                            cases[i].day);
        /* The row of the day before is gone with its last fact. */
        assert_string_equal(
            reporting_fixture_text(rows.path, "SELECT group_concat(day) FROM daily_institution"),
            cases[i].day);
    }
    assert_string_equal(rows.database->zone_fault.text, "");
    close_rows(&rows);
}

static void test_a_zone_that_is_gone_counts_as_utc_and_is_told(void **state)
{
    struct rows rows;
    struct fact fact = job_fact("job");

    (void)state;
    open_rows(&rows);
    fact.as.job.timezone = "Europe/Atlantis";
    begin(&rows);
    put(&rows, &fact);
    commit(&rows, 10);
    assert_string_equal(reporting_fixture_text(rows.path, "SELECT day FROM fact_refresh"),
                        "2026-11-21");
    assert_non_null(strstr(rows.database->zone_fault.text, "Europe/Atlantis"));
    assert_non_null(strstr(rows.database->zone_fault.text, "counted in UTC"));
    close_rows(&rows);
}

static void test_odd_values(void **state)
{
    struct rows rows;
    struct fact fact = job_fact("job");

    (void)state;
    open_rows(&rows);
    begin(&rows);
    /* Nothing was ever sent; the clock was set back; quotes and non-ASCII letters. */
    fact.as.job.started = UTC_NONE;
    fact.as.job.consent = "finq/o'brien \"x\" \xC3\xA9";
    put(&rows, &fact);
    fact = job_fact("job-2");
    fact.as.job.started = utc_add_ms(SLOT, -5000);
    fact.as.job.finished = utc_add_ms(SLOT, -9000);
    fact.as.job.has_new_data = TRI_FALSE;
    put(&rows, &fact);
    commit(&rows, 10);
    assert_string_equal(reporting_fixture_text(rows.path,
                                               "SELECT consent || '|' || (started_at IS NULL) ||"
                                               " (started_ms IS NULL) || (wait_ms IS NULL) ||"
                                               " (duration_ms IS NULL) || (has_new_data IS NULL)"
                                               " FROM fact_refresh WHERE job_uid = 'job'"),
                        "finq/o'brien \"x\" \xC3\xA9|11111");
    assert_string_equal(reporting_fixture_text(rows.path, "SELECT wait_ms || '|' || duration_ms ||"
                                                          " '|' || has_new_data FROM fact_refresh"
                                                          " WHERE job_uid = 'job-2'"),
                        "0|0|0");
    /* One duration among two jobs: the percentiles are over what has one. */
    assert_string_equal(reporting_fixture_text(rows.path,
                                               "SELECT refreshed || '|' || duration_p50_ms ||"
                                               " '|' || duration_p95_ms FROM daily_institution"),
                        "2|0|0");
    close_rows(&rows);
}

static void test_an_open_run_has_no_verdict(void **state)
{
    struct rows rows;
    struct fact fact = {.kind = FACT_RUN};
    struct manifest *run = &fact.as.run;

    (void)state;
    open_rows(&rows);
    *run = (struct manifest){.run = 1,
                             .run_id = SLOT_ID,
                             .schedule = "nightly",
                             .trigger = TRIGGER_CATCH_UP,
                             .slot = SLOT,
                             .deadline = UTC_NEVER,
                             .started = SLOT,
                             .finished = UTC_NONE,
                             .due = 3};
    begin(&rows);
    put(&rows, &fact);
    commit(&rows, 10);
    assert_string_equal(
        reporting_fixture_text(rows.path,
                               "SELECT (reconciled IS NULL) || (late IS NULL) || (finished_at IS"
                               " NULL) || (deadline_at IS NULL) || (config_digest IS NULL) ||"
                               " trigger FROM run_summary"),
        "11111catch_up");
    assert_int_equal(reporting_fixture_integer(rows.path, "SELECT count(*) FROM delivery_run"), 0);
    run->finished = SLOT;
    run->reconciled = true;
    run->late = true;
    run->counts[OUTCOME_REFRESHED] = 3;
    begin(&rows);
    put(&rows, &fact);
    commit(&rows, 10);
    assert_string_equal(reporting_fixture_text(rows.path, "SELECT reconciled || late || refreshed"
                                                          " FROM run_summary"),
                        "113");
    assert_int_equal(reporting_fixture_integer(rows.path, "SELECT count(*) FROM delivery_run"), 1);
    close_rows(&rows);
}

/* ---- percentiles ---- */

#define BANKS 7
#define DAYS 3
#define JOBS 1500

struct naive {
    int64_t durations[JOBS];
    int duration_count;
    int counts[OUTCOME_COUNT];
};

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

/* By definition: the smallest value that at least `percent` of all do not exceed. */
static int64_t naive_percentile(const struct naive *naive, int percent)
{
    for (int i = 0; i < naive->duration_count; i++) {
        int not_above = 0;

        for (int j = 0; j < naive->duration_count; j++)
            not_above += naive->durations[j] <= naive->durations[i];
        if (not_above * 100 >= naive->duration_count * percent)
            return naive->durations[i];
    }
    return -1;
}

static void compare_day(struct rows *rows, struct naive *naive, int bank, int day)
{
    char sql[1024];
    char expected[512];
    char p50[32] = "~";
    char p95[32] = "~";

    qsort(naive->durations, (size_t)naive->duration_count, sizeof naive->durations[0], by_value);
    if (naive->duration_count > 0) {
        (void)snprintf(p50, sizeof p50, "%" PRId64, naive_percentile(naive, 50));
        (void)snprintf(p95, sizeof p95, "%" PRId64, naive_percentile(naive, 95));
    }
    (void)snprintf(expected, sizeof expected, "%d %d %d %d %d %d %d %s %s",
                   naive->counts[OUTCOME_REFRESHED], naive->counts[OUTCOME_PARTIAL],
                   naive->counts[OUTCOME_DEDUPLICATED], naive->counts[OUTCOME_RECONNECT_REQUIRED],
                   naive->counts[OUTCOME_FAILED], naive->counts[OUTCOME_SKIPPED],
                   naive->counts[OUTCOME_UNKNOWN], p50, p95);
    (void)snprintf(sql, sizeof sql,
                   "SELECT refreshed || ' ' || partial || ' ' || deduplicated || ' ' ||"
                   " reconnect_required || ' ' || failed || ' ' || skipped || ' ' || unknown ||"
                   " ' ' || coalesce(duration_p50_ms, '~') || ' ' ||"
                   " coalesce(duration_p95_ms, '~') FROM daily_institution"
                   " WHERE institution = 'B%d' AND day = '2026-11-%02d'",
                   bank, 21 + day);
    assert_string_equal(reporting_fixture_text(rows->path, sql), expected);
}

static void put_random(struct rows *rows, struct naive naive[BANKS][DAYS], int i, uint64_t *seed)
{
    char name[32];
    char bank_name[8];
    int bank = (int)(next_random(seed) % BANKS);
    int day = (int)(next_random(seed) % DAYS);
    struct naive *group = &naive[bank][day];
    enum outcome outcome = (enum outcome)(1 + next_random(seed) % (OUTCOME_COUNT - 1));
    struct utc_time slot = utc_add_ms(SLOT, day * MS_PER_DAY);

    (void)snprintf(name, sizeof name, "n/%05d", i);
    (void)snprintf(bank_name, sizeof bank_name, "B%d", bank);
    group->counts[outcome]++;
    if (outcome == OUTCOME_SKIPPED) {
        struct fact skip = {.kind = FACT_SKIP,
                            .as.skip = {.run_id = SLOT_ID,
                                        .schedule = "nightly",
                                        .timezone = "Europe/London",
                                        .consent = name,
                                        .provider = "finq",
                                        .institution = bank_name,
                                        .slot = slot,
                                        .due = slot,
                                        .at = slot,
                                        .reason = REASON_QUOTA,
                                        .count = 1}};
        put(rows, &skip);
    } else {
        struct fact fact = job_fact(name);
        int64_t duration_ms = (int64_t)(next_random(seed) % 50) * 100;

        fact.as.job.institution = bank_name;
        fact.as.job.slot = slot;
        fact.as.job.outcome = outcome;
        fact.as.job.finished = utc_add_ms(SLOT, duration_ms);
        if (next_random(seed) % 10 == 0)
            fact.as.job.started = UTC_NONE;
        else
            group->durations[group->duration_count++] = duration_ms;
        put(rows, &fact);
    }
}

static void test_days_against_a_naive_count(void **state)
{
    static struct naive naive[BANKS][DAYS];
    uint64_t seed = unit_seed();
    struct rows rows;

    (void)state;
    memset(naive, 0, sizeof naive);
    open_rows(&rows);
    for (int i = 0; i < JOBS; i++) {
        if (i % 100 == 0)
            begin(&rows);
        put_random(&rows, naive, i, &seed);
        if (i % 100 == 99)
            commit(&rows, 3);
    }
    for (int bank = 0; bank < BANKS; bank++)
        for (int day = 0; day < DAYS; day++)
            compare_day(&rows, &naive[bank][day], bank, day);
    assert_int_equal(reporting_fixture_integer(rows.path, "SELECT count(*) FROM delivery_touched"),
                     0);
    close_rows(&rows);
}

/* Only rows whose facts changed are computed anew. */
static void test_other_days_are_left_alone(void **state)
{
    struct rows rows;
    struct fact fact = job_fact("a");

    (void)state;
    open_rows(&rows);
    begin(&rows);
    put(&rows, &fact);
    fact.as.job.job_uid = "b";
    fact.as.job.institution = "ING";
    put(&rows, &fact);
    commit(&rows, 10);
    reporting_fixture_execute(rows.path, "UPDATE daily_institution SET failed = 99");
    begin(&rows);
    fact.as.job.job_uid = "c";
    put(&rows, &fact);
    commit(&rows, 10);
    assert_string_equal(
        reporting_fixture_text(rows.path, "SELECT group_concat(institution || refreshed || failed)"
                                          " FROM daily_institution"),
        "BRD199,ING20");
    close_rows(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_day_is_the_local_date_of_the_slot),
        cmocka_unit_test(test_a_zone_that_is_gone_counts_as_utc_and_is_told),
        cmocka_unit_test(test_odd_values),
        cmocka_unit_test(test_an_open_run_has_no_verdict),
        cmocka_unit_test(test_days_against_a_naive_count),
        cmocka_unit_test(test_other_days_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
