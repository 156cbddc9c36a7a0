/* SPDX-License-Identifier: MIT
 * test_reporting.c - from the state database into the reporting database: nothing lost, nothing
 * twice, whatever happens to the file. */
#include "reporting/reporting.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/outbox.h"
#include "state/state_lock.h"
#include "tests/unit/reporting_fixture.h"

#define CONSENTS \
    "c1,finq,,BRD,nightly,,\n" \
    "c2,finq,,BRD,nightly,2027-03-01,\n" \
    "c3,finq,,ING,nightly,,\n" \
    "c4,bud,cust-4,Bank_Of_Bud,nightly,,\n" \
    "c5,finq,cust-5,,nightly,,\n" \
    "c6,bud,cust-6,Bank_Of_Bud,weekly,,off\n" \
    "c7,finq,,ING,nightly,,\n" \
    "c8,finq,,ING,nightly,,\n"

/* Number of the consent `name`. */
static uint32_t number(struct reporting_fixture *fixture, const char *name)
{
    uint32_t found = state_store_find_consent(fixture->state.store, name);

    assert_int_not_equal(found, 0);
    return found;
}

static struct utc_time after_s(int64_t seconds)
{
    return utc_add_ms(SLOT, seconds * MS_PER_SECOND);
}

static void job(struct reporting_fixture *fixture, uint64_t job_no, const char *consent,
                uint32_t run, int64_t due_s, int64_t end_s, enum outcome outcome,
                enum reason reason)
{
    struct fixture *state = &fixture->state;
    uint32_t consent_no = number(fixture, consent);

    fixture_job_open(state, after_s(due_s), job_no, consent_no, run);
    fixture_attempt(state, after_s(due_s + 1), job_no, consent_no, 1);
    fixture_answer(state, after_s(due_s + 1), job_no, consent_no, 1, CLASS_ACCEPTED, true, NULL);
    fixture_job_close(state, after_s(end_s), job_no, consent_no, run, outcome, reason);
}

/* One run with every outcome: seven slots, and a job that a person asked for. */
static void play_night(struct reporting_fixture *fixture)
{
    struct fixture *state = &fixture->state;

    fixture_run_open(state, SLOT, 1, TRIGGER_SCHEDULE, SLOT, 7);
    fixture_commit(state);
    job(fixture, 1, "finq/c1", 1, 10, 70, OUTCOME_REFRESHED, REASON_NONE);
    job(fixture, 2, "finq/c2", 1, 20, 60, OUTCOME_PARTIAL, REASON_NONE);
    job(fixture, 3, "finq/c3", 1, 30, 35, OUTCOME_FAILED, REASON_REJECTED);
    fixture_commit(state);
    job(fixture, 4, "bud/c4", 1, 40, 90, OUTCOME_DEDUPLICATED, REASON_NONE);
    job(fixture, 5, "finq/c5", 1, 50, 55, OUTCOME_RECONNECT_REQUIRED, REASON_NONE);
    job(fixture, 6, "finq/c7", 1, 55, 7255, OUTCOME_UNKNOWN, REASON_LOST);
    fixture_skip(state, after_s(60), 1, number(fixture, "finq/c8"), REASON_HELD);
    job(fixture, 7, "finq/c1", 0, 100, 110, OUTCOME_REFRESHED, REASON_NONE);
    fixture_commit(state);
    fixture_run_close(state, after_s(7300), 1);
    fixture_commit(state);
}

static void assert_same_dump(const char *path, const struct text *expected, bool with_loaded)
{
    struct text dump;

    reporting_fixture_dump(path, with_loaded, &dump);
    assert_string_equal(dump.bytes, expected->bytes);
    text_deinit(&dump);
}

/* ---- tests ---- */

static void test_a_night_becomes_rows(void **state)
{
    struct reporting_fixture fixture;
    struct stat status;
    const char *path = fixture.database;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    play_night(&fixture);
    reporting_fixture_deliver(&fixture, true);

    assert_string_equal(
        reporting_fixture_text(
            path, "SELECT run_id || '|' || consent || '|' || schedule || '|' || trigger || '|' ||"
                  " due_at || '|' || due_ms || '|' || started_at || '|' || started_ms || '|' ||"
                  " finished_at || '|' || finished_ms || '|' || wait_ms || '|' || duration_ms ||"
                  " '|' || attempts || '|' || outcome || '|' || reason || '|' || provider || '|'"
                  " || institution || '|' || day FROM fact_refresh WHERE consent = 'finq/c3'"),
        SLOT_ID "|finq/c3|nightly|schedule|2026-11-21T01:00:30.000Z|1795222830000|"
                "2026-11-21T01:00:31.000Z|1795222831000|2026-11-21T01:00:35.000Z|1795222835000|"
                "1000|4000|1|failed|rejected|finq|ING|2026-11-21");
    assert_string_equal(reporting_fixture_text(
                            path, "SELECT (run_id IS NULL) || '|' || (schedule IS NULL) || '|' ||"
                                  " trigger FROM fact_refresh WHERE run_id IS NULL"),
                        "1|1|manual");
    assert_string_equal(
        reporting_fixture_text(path,
                               "SELECT run_id || '|' || consent || '|' || reason || '|' || count"
                               " || '|' || slot_at || '|' || due_at || '|' || institution || '|'"
                               " || day FROM fact_skip"),
        SLOT_ID "|finq/c8|held|1|2026-11-21T01:00:00.000Z|2026-11-21T01:01:00.000Z|ING|"
                "2026-11-21");
    assert_string_equal(
        reporting_fixture_text(
            path, "SELECT due || '|' || refreshed || partial || deduplicated ||"
                  " reconnect_required || failed || skipped || unknown || '|' || reconciled ||"
                  " '|' || slot_at || '|' || finished_at FROM run_summary"),
        "7|1111111|1|2026-11-21T01:00:00.000Z|2026-11-21T03:01:40.000Z");
    assert_int_equal(reporting_fixture_integer(
                         path,
                         "SELECT (SELECT count(*) FROM fact_refresh WHERE run_id = '" SLOT_ID "') +"
                         " (SELECT sum(count) FROM fact_skip WHERE run_id = '" SLOT_ID "') - due"
                         " FROM run_summary"),
                     0);
    assert_string_equal(
        reporting_fixture_text(path, "SELECT customer || '|' || institution || '|' || schedules ||"
                                     " '|' || mode || '|' || is_held || '|' || consent_id"
                                     " FROM dim_consent WHERE consent = 'bud/c6'"),
        "cust-6|Bank_Of_Bud|weekly|off|0|c6");
    assert_string_equal(reporting_fixture_text(path, "SELECT expires_at FROM dim_consent"
                                                     " WHERE consent = 'finq/c2'"),
                        "2027-03-01T00:00:00.000Z");
    assert_string_equal(
        reporting_fixture_text(path, "SELECT group_concat(provider || '/' || institution, ' ')"
                                     " FROM (SELECT * FROM dim_institution ORDER BY 1, 2)"),
        "bud/Bank_Of_Bud finq/- finq/BRD finq/ING");
    assert_string_equal(
        reporting_fixture_text(path,
                               "SELECT refreshed || partial || deduplicated || reconnect_required"
                               " || failed || skipped || unknown || '|' || duration_p50_ms || '|'"
                               " || duration_p95_ms FROM daily_institution"
                               " WHERE day = '2026-11-21' AND institution = 'ING'"),
        "0000111|4000|7199000");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    reporting_fixture_deinit(&fixture);
}

/* Refused before the socket: the job has no start, not one made up. */
static void test_a_job_that_never_left_has_no_start(void **state)
{
    struct reporting_fixture fixture;
    struct fixture *records;
    uint32_t consent_no;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    records = &fixture.state;
    consent_no = number(&fixture, "finq/c1");
    fixture_job_open(records, SLOT, 1, consent_no, 0);
    fixture_attempt(records, SLOT, 1, consent_no, 1);
    fixture_answer(records, SLOT, 1, consent_no, 1, CLASS_TRANSPORT, false, NULL);
    records->records[records->record_count - 1].as.answer.sent = UTC_NONE;
    fixture_job_close(records, after_s(5), 1, consent_no, 0, OUTCOME_FAILED, REASON_TRANSPORT);
    fixture_commit(records);
    reporting_fixture_deliver(&fixture, true);
    assert_string_equal(
        reporting_fixture_text(fixture.database,
                               "SELECT (started_at IS NULL) || (started_ms IS NULL) ||"
                               " (wait_ms IS NULL) || (duration_ms IS NULL) || attempts"
                               " FROM fact_refresh"),
        "11111");
    reporting_fixture_deinit(&fixture);
}

static void test_delivering_twice_changes_nothing(void **state)
{
    struct reporting_fixture fixture;
    struct text before;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    play_night(&fixture);
    reporting_fixture_deliver(&fixture, false);
    reporting_fixture_dump(fixture.database, true, &before);
    /* The state database was not told: only the position here prevents the second reading... */
    reporting_fixture_deliver(&fixture, false);
    assert_same_dump(fixture.database, &before, true);
    /* ...and without that, every fact comes again. */
    reporting_fixture_execute(fixture.database, "UPDATE delivery_position SET sequence = 0");
    reporting_fixture_deliver(&fixture, false);
    assert_same_dump(fixture.database, &before, true);
    text_deinit(&before);
    reporting_fixture_deinit(&fixture);
}

static void test_a_changed_fact_moves_its_day(void **state)
{
    struct reporting_fixture fixture;
    struct text expected;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    play_night(&fixture);
    reporting_fixture_deliver(&fixture, true);
    reporting_fixture_dump(fixture.database, false, &expected);
    /* As if it had been written from older data: the second delivery puts it right, and both days
     * with it. */
    reporting_fixture_execute(fixture.database,
                              "UPDATE fact_refresh SET day = '2026-11-01', outcome = 'refreshed'"
                              " WHERE consent = 'finq/c3';"
                              "UPDATE delivery_position SET sequence = 0");
    reporting_fixture_deliver(&fixture, false);
    assert_same_dump(fixture.database, &expected, false);
    text_deinit(&expected);
    reporting_fixture_deinit(&fixture);
}

/* As the care of the store does with entries that were delivered. */
static void trim_outbox(struct reporting_fixture *fixture)
{
    fixture_close(&fixture->state);
    reporting_fixture_execute(fixture->state.database,
                              "DELETE FROM ledger WHERE seq < (SELECT max(seq) FROM ledger)");
    fixture_open(&fixture->state, SLOT);
}

static void test_a_database_that_lost_its_file_is_filled_again(void **state)
{
    struct reporting_fixture fixture;
    struct text expected;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    play_night(&fixture);
    reporting_fixture_deliver(&fixture, true);
    reporting_fixture_dump(fixture.database, false, &expected);
    trim_outbox(&fixture);
    reporting_fixture_remove(fixture.database);
    reporting_fixture_deliver(&fixture, true); /* the outbox has nothing new */
    assert_same_dump(fixture.database, &expected, false);
    /* One from a backup, older than what was delivered. */
    reporting_fixture_execute(fixture.database,
                              "UPDATE delivery_position SET sequence = 3;"
                              "DELETE FROM fact_refresh WHERE outcome <> 'refreshed'");
    reporting_fixture_deliver(&fixture, true);
    assert_same_dump(fixture.database, &expected, false);
    /* And the other way round: the state database is from a backup, older than this one. */
    reporting_fixture_execute(fixture.database,
                              "UPDATE delivery_position SET sequence = 1000000;"
                              "DELETE FROM fact_refresh WHERE outcome <> 'refreshed'");
    reporting_fixture_deliver(&fixture, true);
    assert_same_dump(fixture.database, &expected, false);
    text_deinit(&expected);
    reporting_fixture_deinit(&fixture);
}

static void damage(const char *path, long offset)
{
    FILE *file = fopen(path, "r+");

    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    for (int i = 0; i < 4096; i++)
        assert_true(fputc(0xA5, file) != EOF);
    assert_int_equal(fclose(file), 0);
}

static int files_like(const struct reporting_fixture *fixture, const char *part)
{
    DIR *folder = opendir(fixture->state.folder);
    struct dirent *entry;
    int count = 0;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        count += strstr(entry->d_name, part) != NULL;
    (void)closedir(folder);
    return count;
}

static void break_nothing(const char *path)
{
    (void)path;
}
static void break_delete(const char *path)
{
    reporting_fixture_remove(path);
}
static void break_header(const char *path)
{
    damage(path, 0);
}
static void break_page(const char *path)
{
    damage(path, 4096);
}
static void break_rows(const char *path)
{
    reporting_fixture_execute(path, "DELETE FROM fact_refresh WHERE institution = 'ING';"
                                    "UPDATE fact_refresh SET duration_ms = 1;"
                                    "DELETE FROM dim_consent;"
                                    "DELETE FROM fact_skip;"
                                    "DELETE FROM delivery_touched;"
                                    "UPDATE daily_institution SET failed = 77;"
                                    "UPDATE run_summary SET due = 1");
}

static void test_rebuild_gives_the_same_rows(void **state)
{
    static const struct {
        void (*break_it)(const char *path);
        bool is_set_aside;
    } rows[] = {
        {break_nothing, false}, {break_delete, false}, {break_header, true},
        {break_page, true},     {break_rows, false},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct reporting_fixture fixture;
        struct text expected;
        char set_aside[REPORTING_PATH_BYTES];
        struct fault fault;

        reporting_fixture_init(&fixture, CONSENTS);
        play_night(&fixture);
        reporting_fixture_deliver(&fixture, true);
        reporting_fixture_dump(fixture.database, false, &expected);
        reporting_fixture_execute(fixture.database, "PRAGMA wal_checkpoint(TRUNCATE)");
        rows[i].break_it(fixture.database);
        fixture_close(&fixture.state);
        if (reporting_rebuild(fixture.state.config, NULL, NULL, set_aside, &fault) != RESULT_OK)
            fail_msg("row %zu: %s", i, fault.text);
        assert_same_dump(fixture.database, &expected, false);
        assert_same_dump(fixture.snapshot, &expected, false);
        assert_int_equal(set_aside[0] != '\0', rows[i].is_set_aside);
        assert_int_equal(files_like(&fixture, ".damaged-") > 0, rows[i].is_set_aside);
        text_deinit(&expected);
        reporting_fixture_deinit(&fixture);
    }
}

static void test_rebuild_keeps_what_state_forgot(void **state)
{
    struct reporting_fixture fixture;
    struct text expected;
    struct fault fault;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    play_night(&fixture);
    reporting_fixture_deliver(&fixture, true);
    reporting_fixture_dump(fixture.database, false, &expected);
    fixture_close(&fixture.state);
    reporting_fixture_execute(fixture.state.database,
                              "PRAGMA foreign_keys = OFF; DELETE FROM attempt; DELETE FROM job;"
                              "DELETE FROM skip; DELETE FROM run");
    if (reporting_rebuild(fixture.state.config, NULL, NULL, NULL, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    assert_same_dump(fixture.database, &expected, false);
    text_deinit(&expected);
    reporting_fixture_deinit(&fixture);
}

static void test_rebuild_refuses_beside_a_daemon(void **state)
{
    struct reporting_fixture fixture;
    struct state_lock lock;
    struct fault fault;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    if (state_lock_take(fixture.state.database, "serve", &lock, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    assert_int_equal(reporting_rebuild(fixture.state.config, NULL, NULL, NULL, &fault),
                     RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_TEMPORARY);
    assert_non_null(strstr(fault.text, "stop the daemon first"));
    state_lock_release(&lock);
    fixture.state.config->reporting.database = NULL;
    assert_int_equal(reporting_rebuild(fixture.state.config, NULL, NULL, NULL, &fault),
                     RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_USAGE);
    reporting_fixture_deinit(&fixture);
}

static void test_another_state_database_starts_anew(void **state)
{
    struct reporting_fixture fixture;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    play_night(&fixture);
    reporting_fixture_deliver(&fixture, true);
    fixture_close(&fixture.state);
    reporting_fixture_remove(fixture.state.database);
    fixture_open(&fixture.state, SLOT);
    job(&fixture, 1, "finq/c1", 0, 100, 105, OUTCOME_REFRESHED, REASON_NONE);
    fixture_commit(&fixture.state);
    reporting_fixture_deliver(&fixture, true);
    /* Same job number, another database: another job. */
    assert_int_equal(
        reporting_fixture_integer(fixture.database, "SELECT count(*) FROM fact_refresh"), 8);
    reporting_fixture_deinit(&fixture);
}

static void test_other_files_are_refused(void **state)
{
    static const struct {
        const char *sql;
        const char *message;
    } rows[] = {
        {"CREATE TABLE other (x)", "is not a reporting database of refreshd"},
        {"CREATE TABLE other (x); PRAGMA application_id = 0x72667372; PRAGMA user_version = 99",
         "has schema version 99"},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct reporting_fixture fixture;
        struct reporting *reporting = NULL;
        sqlite3 *db = NULL;
        struct fault fault;

        reporting_fixture_init(&fixture, CONSENTS);
        assert_int_equal(sqlite3_open(fixture.database, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, rows[i].sql, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        assert_int_equal(reporting_start(fixture.state.config, 0, &reporting, &fault),
                         RESULT_FAULT);
        assert_int_equal(fault.code, FAULT_DATA);
        assert_non_null(strstr(fault.text, rows[i].message));
        assert_null(reporting);
        reporting_fixture_deinit(&fixture);
    }
}

static void test_a_missing_folder_is_a_fault(void **state)
{
    struct reporting_fixture fixture;
    struct reporting *reporting = NULL;
    char path[700];
    struct fault fault;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    (void)snprintf(path, sizeof path, "%s/none/reporting.db", fixture.state.folder);
    fixture.state.config->reporting.database = path;
    assert_int_equal(reporting_start(fixture.state.config, 0, &reporting, &fault), RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_CANNOT_CREATE);
    assert_non_null(strstr(fault.text, path));
    reporting_fixture_deinit(&fixture);
}

static void test_without_a_database_every_call_is_harmless(void **state)
{
    struct reporting_fixture fixture;
    struct reporting *reporting = (struct reporting *)&fixture;
    struct fault fault;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    fixture.state.config->reporting.database = NULL;
    assert_int_equal(reporting_start(fixture.state.config, 5, &reporting, &fault), RESULT_OK);
    assert_null(reporting);
    reporting_wake(NULL);
    assert_int_equal(reporting_delivered(NULL), 0);
    assert_false(reporting_trouble(NULL, &fault));
    assert_true(reporting_stop(NULL, 99, 0, NULL));
    reporting_fixture_deinit(&fixture);
}

/* Wait for something that the thread does; an hour is an error. */
static void wait_for(bool (*is_true)(void *context), void *context)
{
    const struct timespec step = {0, 2000000};

    for (int i = 0; i < 10000; i++) {
        if (is_true(context))
            return;
        (void)nanosleep(&step, NULL);
    }
    fail_msg("waited in vain");
}

static struct fault last_trouble;
static bool has_trouble(void *context)
{
    return reporting_trouble(context, &last_trouble);
}

struct awaited {
    struct reporting *reporting;
    int64_t sequence;
};
static bool is_delivered(void *context)
{
    const struct awaited *awaited = context;

    return reporting_delivered(awaited->reporting) >= awaited->sequence;
}

static void test_a_foreign_writer_delays_and_is_told_once(void **state)
{
    struct reporting_fixture fixture;
    struct awaited awaited;
    struct fault fault;
    sqlite3 *db = NULL;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    reporting_fixture_deliver(&fixture, true);
    assert_int_equal(sqlite3_open(fixture.database, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    play_night(&fixture);
    if (reporting_start(fixture.state.config, 0, &awaited.reporting, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    wait_for(has_trouble, awaited.reporting);
    assert_non_null(strstr(last_trouble.text, "another program holds its write lock"));
    assert_false(reporting_trouble(awaited.reporting, &fault));
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    awaited.sequence = reporting_fixture_last(&fixture, NULL);
    wait_for(is_delivered, &awaited);
    assert_true(reporting_stop(awaited.reporting, awaited.sequence, 10000, NULL));
    reporting_fixture_deinit(&fixture);
}

/* When the folder was last changed: each attempt at a snapshot makes and removes a file there. */
struct watched {
    char path[512];
    int64_t changed_ms;
};
static bool has_changed_later(void *context)
{
    struct watched *watched = context;
    struct stat status;
    int64_t changed_ms;

    assert_int_equal(stat(watched->path, &status), 0);
    changed_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
    if (changed_ms < watched->changed_ms + 500)
        return false;
    watched->changed_ms = changed_ms;
    return true;
}

static void test_the_same_trouble_is_told_once(void **state)
{
    struct reporting_fixture fixture;
    struct reporting *reporting;
    struct watched watched;
    char snapshot[600];
    struct fault fault;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    play_night(&fixture);
    (void)snprintf(watched.path, sizeof watched.path, "%s/report", fixture.state.folder);
    (void)snprintf(snapshot, sizeof snapshot, "%s/s.db", watched.path);
    assert_int_equal(mkdir(watched.path, 0755), 0);
    assert_int_equal(mkdir(snapshot, 0755), 0); /* a folder where the file should be */
    watched.changed_ms = 0;
    fixture.state.config->reporting.snapshot = snapshot;
    if (reporting_start(fixture.state.config, 0, &reporting, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    wait_for(has_trouble, reporting);
    assert_non_null(strstr(last_trouble.text, snapshot));
    wait_for(has_changed_later, &watched);
    wait_for(has_changed_later, &watched); /* the second attempt... */
    wait_for(has_changed_later, &watched); /* ...has failed when the third begins */
    assert_false(reporting_trouble(reporting, &fault));
    /* A snapshot that cannot be made keeps no facts back, and its turn comes. */
    assert_int_equal(reporting_delivered(reporting), reporting_fixture_last(&fixture, NULL));
    assert_int_equal(rmdir(snapshot), 0);
    assert_true(reporting_stop(reporting, reporting_fixture_last(&fixture, NULL), 20000, NULL));
    assert_int_equal(reporting_fixture_integer(snapshot, "SELECT count(*) FROM fact_refresh"), 7);
    assert_int_equal(unlink(snapshot), 0);
    assert_int_equal(rmdir(watched.path), 0);
    reporting_fixture_deinit(&fixture);
}

static bool is_there(void *context)
{
    return access(context, F_OK) == 0;
}

/* Two runs within the half minute in which days are not computed anew: the second one's snapshot
 * still has its day. */
static void test_a_snapshot_holds_the_day_of_its_run(void **state)
{
    struct reporting_fixture fixture;
    struct reporting *reporting;
    struct fixture *records = &fixture.state;
    struct utc_time slot = utc_add_ms(SLOT, MS_PER_DAY);
    struct fault fault;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    play_night(&fixture);
    if (reporting_start(records->config, 0, &reporting, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    wait_for(is_there, fixture.snapshot);
    assert_int_equal(unlink(fixture.snapshot), 0);
    fixture_run_open(records, slot, 2, TRIGGER_SCHEDULE, slot, 1);
    fixture_skip(records, slot, 2, number(&fixture, "finq/c1"), REASON_QUOTA);
    fixture_run_close(records, slot, 2);
    fixture_commit(records);
    reporting_wake(reporting);
    wait_for(is_there, fixture.snapshot);
    assert_int_equal(reporting_fixture_integer(fixture.snapshot,
                                               "SELECT skipped FROM daily_institution"
                                               " WHERE day = '2026-11-22'"),
                     1);
    assert_true(reporting_stop(reporting, reporting_fixture_last(&fixture, NULL), 20000, NULL));
    reporting_fixture_deinit(&fixture);
}

static void test_a_writer_that_stays_does_not_keep_the_daemon(void **state)
{
    struct reporting_fixture fixture;
    struct reporting *reporting;
    struct timespec begun;
    struct timespec ended;
    struct fault fault;
    sqlite3 *db = NULL;
    int64_t delivered = -1;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    reporting_fixture_deliver(&fixture, true);
    assert_int_equal(sqlite3_open(fixture.database, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    play_night(&fixture);
    if (reporting_start(fixture.state.config, 1, &reporting, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    (void)clock_gettime(CLOCK_MONOTONIC, &begun);
    assert_false(
        reporting_stop(reporting, reporting_fixture_last(&fixture, NULL), 300, &delivered));
    (void)clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_in_range(ended.tv_sec - begun.tv_sec, 0, 3);
    assert_true(delivered < reporting_fixture_last(&fixture, NULL));
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    reporting_fixture_deliver(&fixture, true);
    reporting_fixture_deinit(&fixture);
}

static void test_a_long_reader_costs_nothing(void **state)
{
    struct reporting_fixture fixture;
    struct text old_rows;
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    reporting_fixture_deliver(&fixture, true);
    reporting_fixture_dump(fixture.database, false, &old_rows);
    assert_int_equal(sqlite3_open_v2(fixture.database, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM fact_refresh", NULL, NULL, NULL),
                     SQLITE_OK);
    play_night(&fixture);
    reporting_fixture_deliver(&fixture, true);
    assert_int_equal(
        reporting_fixture_integer(fixture.database, "SELECT count(*) FROM fact_refresh"), 7);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT count(*) FROM fact_refresh", -1, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), 0); /* its own moment */
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    text_deinit(&old_rows);
    reporting_fixture_deinit(&fixture);
}

static void test_a_file_moved_away_is_made_anew(void **state)
{
    struct reporting_fixture fixture;
    struct awaited awaited;
    char moved[600];
    int64_t last;
    struct fault fault;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    if (reporting_start(fixture.state.config, 0, &awaited.reporting, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    awaited.sequence = reporting_fixture_last(&fixture, NULL);
    wait_for(is_delivered, &awaited);
    (void)snprintf(moved, sizeof moved, "%s.moved", fixture.database);
    assert_int_equal(rename(fixture.database, moved), 0);
    if (outbox_delivered(fixture.state.store, awaited.sequence, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    play_night(&fixture);
    last = reporting_fixture_last(&fixture, NULL);
    reporting_wake(awaited.reporting);
    assert_true(reporting_stop(awaited.reporting, last, 20000, NULL));
    assert_int_equal(
        reporting_fixture_integer(fixture.database, "SELECT count(*) FROM fact_refresh"), 7);
    assert_int_equal(
        reporting_fixture_integer(fixture.database, "SELECT count(*) FROM dim_consent"), 8);
    reporting_fixture_deinit(&fixture);
}

static void test_a_wake_delivers_without_a_stop(void **state)
{
    struct reporting_fixture fixture;
    struct awaited awaited;
    struct fault fault;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    if (reporting_start(fixture.state.config, 0, &awaited.reporting, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    awaited.sequence = reporting_fixture_last(&fixture, NULL);
    wait_for(is_delivered, &awaited);
    play_night(&fixture);
    awaited.sequence = reporting_fixture_last(&fixture, NULL);
    for (int i = 0; i < 1000; i++)
        reporting_wake(awaited.reporting);
    wait_for(is_delivered, &awaited);
    assert_true(reporting_stop(awaited.reporting, awaited.sequence, 10000, NULL));
    reporting_fixture_deinit(&fixture);
}

static void test_a_reload_moves_the_snapshot(void **state)
{
    struct reporting_fixture fixture;
    struct reporting *reporting;
    char other[600];
    struct fault fault;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    if (reporting_start(fixture.state.config, 0, &reporting, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    (void)snprintf(other, sizeof other, "%s/other.db", fixture.state.folder);
    fixture.state.config->reporting.snapshot = other;
    assert_int_equal(reporting_configure(reporting, fixture.state.config, &fault), RESULT_OK);
    assert_int_equal(reporting_configure(NULL, fixture.state.config, &fault), RESULT_OK);
    play_night(&fixture);
    assert_true(reporting_stop(reporting, reporting_fixture_last(&fixture, NULL), 20000, NULL));
    assert_int_equal(access(other, F_OK), 0);
    assert_int_equal(access(fixture.snapshot, F_OK), -1);
    reporting_fixture_deinit(&fixture);
}

/* A run that was missed: one row, all its slots. */
static void test_a_missed_run_adds_up(void **state)
{
    struct reporting_fixture fixture;
    struct record *record;

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    fixture_run_open(&fixture.state, after_s(90000), 1, TRIGGER_SCHEDULE, SLOT, 7);
    fixture.state.records[0].as.run_open.is_missed = true;
    record = fixture_record(&fixture.state, RECORD_SKIP, after_s(90000));
    record->as.skip.run = 1;
    record->as.skip.due = SLOT;
    record->as.skip.reason = REASON_MISSED;
    record->as.skip.count = 7;
    fixture_run_close(&fixture.state, after_s(90000), 1);
    fixture_commit(&fixture.state);
    reporting_fixture_deliver(&fixture, true);
    assert_string_equal(
        reporting_fixture_text(fixture.database,
                               "SELECT consent || '|' || count || '|' || reason || '|' ||"
                               " (provider IS NULL) FROM fact_skip"),
        "*|7|missed|1");
    assert_string_equal(reporting_fixture_text(fixture.database,
                                               "SELECT due || '|' || skipped || '|' || reconciled"
                                               " FROM run_summary"),
                        "7|7|1");
    assert_int_equal(
        reporting_fixture_integer(fixture.database, "SELECT count(*) FROM daily_institution"), 0);
    reporting_fixture_deinit(&fixture);
}

static void test_the_snapshot_stands_alone(void **state)
{
    struct reporting_fixture fixture;
    struct text expected;
    struct stat status;
    char side[600];

    (void)state;
    reporting_fixture_init(&fixture, CONSENTS);
    reporting_fixture_deliver(&fixture, true);
    assert_int_equal(stat(fixture.snapshot, &status), -1); /* no run is over yet */
    play_night(&fixture);
    reporting_fixture_deliver(&fixture, true);
    reporting_fixture_dump(fixture.database, true, &expected);
    assert_same_dump(fixture.snapshot, &expected, true);
    assert_string_equal(reporting_fixture_text(fixture.snapshot, "PRAGMA journal_mode"), "delete");
    assert_int_equal(stat(fixture.snapshot, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    (void)snprintf(side, sizeof side, "%s-wal", fixture.snapshot);
    assert_int_equal(access(side, F_OK), -1);
    assert_int_equal(files_like(&fixture, ".tmp"), 0);
    assert_int_equal(
        reporting_fixture_integer(fixture.database, "SELECT count(*) FROM delivery_run"), 0);
    text_deinit(&expected);
    reporting_fixture_deinit(&fixture);
}

/* The schema's public columns only grow, at their end: change the list with the schema. */
static void test_columns_are_those_of_the_contract(void **state)
{
    struct reporting_fixture fixture;
    struct text found;
    char path[4096];
    char expected[16384];
    const char *sources = getenv("TEST_SOURCES");
    size_t length;
    FILE *file;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/contract/reporting_columns.txt",
                   sources == NULL ? "tests" : sources);
    file = fopen(path, "r");
    if (file == NULL)
        fail_msg("%s: set TEST_SOURCES to the folder tests/ of the source tree", path);
    length = fread(expected, 1, sizeof expected - 1, file);
    expected[length] = '\0';
    (void)fclose(file);
    reporting_fixture_init(&fixture, CONSENTS);
    reporting_fixture_deliver(&fixture, false);
    text_init(&found, 16384);
    text_append_string(
        &found, reporting_fixture_text(
                    fixture.database,
                    "SELECT group_concat(line, char(10)) FROM (SELECT s.name || '.' || c.name ||"
                    " ' ' || c.type AS line FROM sqlite_schema AS s"
                    " JOIN pragma_table_info(s.name) AS c"
                    " WHERE s.type = 'table' AND s.name NOT LIKE 'delivery_%'"
                    " ORDER BY s.name, c.cid)"));
    text_append_string(&found, "\n");
    assert_string_equal(found.bytes, expected);
    text_deinit(&found);
    reporting_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_night_becomes_rows),
        cmocka_unit_test(test_a_job_that_never_left_has_no_start),
        cmocka_unit_test(test_delivering_twice_changes_nothing),
        cmocka_unit_test(test_a_changed_fact_moves_its_day),
        cmocka_unit_test(test_a_database_that_lost_its_file_is_filled_again),
        cmocka_unit_test(test_rebuild_gives_the_same_rows),
        cmocka_unit_test(test_rebuild_keeps_what_state_forgot),
        cmocka_unit_test(test_rebuild_refuses_beside_a_daemon),
        cmocka_unit_test(test_another_state_database_starts_anew),
        cmocka_unit_test(test_other_files_are_refused),
        cmocka_unit_test(test_a_missing_folder_is_a_fault),
        cmocka_unit_test(test_without_a_database_every_call_is_harmless),
        cmocka_unit_test(test_a_foreign_writer_delays_and_is_told_once),
        cmocka_unit_test(test_the_same_trouble_is_told_once),
        cmocka_unit_test(test_a_snapshot_holds_the_day_of_its_run),
        cmocka_unit_test(test_a_writer_that_stays_does_not_keep_the_daemon),
        cmocka_unit_test(test_a_long_reader_costs_nothing),
        cmocka_unit_test(test_a_file_moved_away_is_made_anew),
        cmocka_unit_test(test_a_wake_delivers_without_a_stop),
        cmocka_unit_test(test_a_reload_moves_the_snapshot),
        cmocka_unit_test(test_a_missed_run_adds_up),
        cmocka_unit_test(test_the_snapshot_stands_alone),
        cmocka_unit_test(test_columns_are_those_of_the_contract),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
