/* SPDX-License-Identifier: MIT
 * test_state_file.c - the file itself: versions, readers, full disks, lock, key, views, retention.
 */
#include "tests/unit/state_fixture.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "base/text.h"
#include "scheduler/quota.h"
#include "state/outbox.h"
#include "state/state_key.h"
#include "state/state_lock.h"
#include "state/state_maintain.h"
#include "state/state_private.h"
#include "state/state_query.h"

static const char three[] = "a,finq,c1,BRD,nightly,,\n"
                            "b,finq,c2,ING,nightly,,\n"
                            "c,bud,c3,Bank,nightly weekly,,\n";

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    fake_core_clear();
    fixture_init(&fixture);
    fixture_configure(&fixture, three);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_deinit(&fixture);
    return 0;
}

static void run_sql(const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(fixture.database, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    (void)sqlite3_close(db);
}

static mode_t mode_of(const char *suffix)
{
    char path[512];
    struct stat status;

    (void)snprintf(path, sizeof path, "%s%s", fixture.database, suffix);
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

/* ---- the public face ---- */

static void test_views_have_the_columns_that_were_promised(void **state)
{
    static const char sql[] =
        "SELECT group_concat(line, char(10)) FROM (SELECT v.name || ': ' ||"
        " group_concat(c.name, ' ') AS line FROM sqlite_schema AS v,"
        " pragma_table_info(v.name) AS c WHERE v.type = 'view' AND v.name LIKE 'v1!_%' ESCAPE '!'"
        " GROUP BY v.name ORDER BY v.name)";
    const char *sources = getenv("TEST_SOURCES");
    char path[512];
    char promised[8192];
    size_t length;
    FILE *file;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/contract/state_views.txt",
                   sources == NULL ? "tests" : sources);
    file = fopen(path, "r");
    assert_non_null(file);
    length = fread(promised, 1, sizeof promised - 1, file);
    (void)fclose(file);
    promised[length] = '\0';
    promised[strlen(promised) - 1] = '\0'; /* the last newline */
    fixture_open(&fixture, fixture_now());
    assert_string_equal(fixture_text(&fixture, sql), promised);
}

static void test_words_in_views_are_those_of_the_program(void **state)
{
    (void)state;
    fixture_open(&fixture, fixture_now());
    for (int i = 1; i < REASON_COUNT; i++) {
        char sql[100];

        (void)snprintf(sql, sizeof sql, "SELECT word FROM word_reason WHERE code = %d", i);
        assert_string_equal(fixture_text(&fixture, sql), reason_text((enum reason)i));
    }
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM word_reason"),
                     REASON_COUNT - 1);
    assert_string_equal(fixture_text(&fixture, "SELECT group_concat(word) FROM word_trigger"),
                        "schedule,catch_up,once,manual");
}

/* The view and the core must agree on every consent at every time: random charges, some windows. */
static void test_quota_of_the_view_is_the_quota_of_the_core(void **state)
{
    struct utc_time now = fixture_now();
    struct random random;
    uint64_t job = 1;

    (void)state;
    random_init(&random, unit_seed());
    fixture_open(&fixture, now);
    for (uint32_t consent = 1; consent <= 3; consent++) {
        char sql[200];
        uint32_t gaps[16] = {0};
        struct quota quota = {.gaps = gaps, .gap_count = ROW_COUNT(gaps)};
        struct utc_time at = utc_add_ms(now, -40 * MS_PER_HOUR);
        const struct provider_settings *settings;
        struct utc_time free_at;
        int64_t seen;
        uint32_t provider;

        (void)snprintf(sql, sizeof sql,
                       "SELECT consent LIKE 'bud/%%' FROM consent"
                       " WHERE consent_no = %u",
                       consent);
        provider = config_find_provider(fixture.config,
                                        fixture_integer(&fixture, sql) != 0 ? "bud" : "finq");
        settings = &fixture.config->provider_settings[provider];
        quota_clear(&quota);
        while ((at.ms += (int64_t)random_below(&random, 6 * MS_PER_HOUR)) < now.ms) {
            bool is_charged = random_below(&random, 4) != 0;

            fixture_job_open(&fixture, at, job, consent, 0);
            fixture_attempt(&fixture, at, job, consent, 1);
            fixture_answer(&fixture, at, job, consent, 1, CLASS_ACCEPTED, is_charged, NULL);
            fixture_job_close(&fixture, at, job, consent, 0, OUTCOME_REFRESHED, REASON_NONE);
            fixture_commit(&fixture);
            job++;
            if (is_charged)
                quota_charge(&quota, at);
        }
        (void)snprintf(sql, sizeof sql,
                       "SELECT quota_used FROM v1_consents JOIN consent USING"
                       " (consent) WHERE consent_no = %u",
                       consent);
        assert_int_equal(fixture_integer(&fixture, sql),
                         quota_used(&quota, settings->quota.window_ms, fixture_now()));
        (void)snprintf(sql, sizeof sql,
                       "SELECT coalesce(quota_free_ms, 0) FROM private_consent"
                       " WHERE consent_no = %u",
                       consent);
        seen = fixture_integer(&fixture, sql);
        free_at = quota_earliest(&quota, settings->quota.count, settings->quota.window_ms, now);
        if (free_at.ms > now.ms)
            assert_int_equal(seen, free_at.ms);
        else
            assert_true(seen <= now.ms);
    }
}

/* ---- versions ---- */

static void test_a_newer_schema_is_refused(void **state)
{
    struct state_store *store;
    char known[32];
    struct fault fault;

    (void)state;
    (void)snprintf(known, sizeof known, "up to %d", STATE_SCHEMA_VERSION);
    fixture_open(&fixture, fixture_now());
    fixture_close(&fixture);
    run_sql("PRAGMA user_version = 99");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(state_store_open(fixture.database,
                                          i == 0 ? STATE_READ_WRITE : STATE_READ_ONLY, &store,
                                          &fault),
                         RESULT_FAULT);
        assert_int_equal(fault.code, FAULT_DATA);
        assert_non_null(strstr(fault.text, "99"));
        assert_non_null(strstr(fault.text, known));
    }
}

static void test_a_foreign_database_is_refused(void **state)
{
    struct state_store *store;
    struct fault fault;

    (void)state;
    run_sql("CREATE TABLE mine (x); INSERT INTO mine VALUES (7)");
    assert_int_equal(state_store_open(fixture.database, STATE_READ_WRITE, &store, &fault),
                     RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_DATA);
    assert_int_equal(fixture_integer(&fixture, "SELECT x FROM mine"), 7);
    assert_string_equal(fixture_text(&fixture, "PRAGMA journal_mode"), "delete");
}

static void test_garbage_is_refused(void **state)
{
    struct state_store *store;
    struct fault fault;
    FILE *file = fopen(fixture.database, "w");

    (void)state;
    assert_non_null(file);
    for (int i = 0; i < 10000; i++)
        assert_true(fputs("garbage ", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(state_store_open(fixture.database, STATE_READ_WRITE, &store, &fault),
                     RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_DATA);
}

static const struct state_migration two_steps[] = {
    {STATE_SCHEMA_VERSION, "SELECT 1"},
    {STATE_SCHEMA_VERSION + 1,
     "CREATE TABLE added (x INTEGER) STRICT; INSERT INTO added VALUES (5)"},
};
static const struct state_migration broken_step[] = {
    {STATE_SCHEMA_VERSION, "SELECT 1"},
    {STATE_SCHEMA_VERSION + 1,
     "CREATE TABLE added (x INTEGER) STRICT; INSERT INTO no_such_table VALUES (5)"},
};

static void test_a_migration_goes_forward_after_a_backup(void **state)
{
    struct fault fault;
    char sql[1000];

    (void)state;
    fixture_open(&fixture, fixture_now());
    fixture_refresh(&fixture, fixture_now(), 1, 1, 0, OUTCOME_REFRESHED);
    assert_int_equal(state_open_migrate(fixture.store, broken_step, 2, &fault), RESULT_FAULT);
    (void)snprintf(sql, sizeof sql, "version %d", STATE_SCHEMA_VERSION + 1);
    assert_non_null(strstr(fault.text, sql));
    assert_int_equal(fixture_integer(&fixture, "PRAGMA user_version"), STATE_SCHEMA_VERSION);
    assert_int_equal(
        fixture_integer(&fixture, "SELECT count(*) FROM sqlite_schema WHERE name = 'added'"), 0);

    assert_int_equal(state_open_migrate(fixture.store, two_steps, 2, &fault), RESULT_OK);
    assert_int_equal(fixture_integer(&fixture, "PRAGMA user_version"), STATE_SCHEMA_VERSION + 1);
    assert_int_equal(fixture_integer(&fixture, "SELECT x FROM added"), 5);
    assert_string_equal(fixture_text(&fixture, "SELECT outcome FROM v1_jobs"), "refreshed");
    assert_string_not_equal(state_store_migration_backup(fixture.store), "");
    (void)snprintf(sql, sizeof sql, "%s", fixture.database);
    (void)snprintf(fixture.database, sizeof fixture.database, "%.300s",
                   state_store_migration_backup(fixture.store));
    assert_int_equal(fixture_integer(&fixture, "PRAGMA user_version"), STATE_SCHEMA_VERSION);
    assert_string_equal(fixture_text(&fixture, "SELECT outcome FROM v1_jobs"), "refreshed");
    (void)snprintf(fixture.database, sizeof fixture.database, "%.300s", sql);
}

/* ---- files and readers ---- */

static void test_files_have_the_mode_that_readers_need(void **state)
{
    mode_t old = umask(0077);

    (void)state;
    fixture_open(&fixture, fixture_now());
    assert_int_equal(mode_of(""), 0640);
    assert_int_equal(mode_of("-wal"), 0640);
    assert_int_equal(mode_of("-shm"), 0640);
    fixture_close(&fixture);
    assert_int_equal(mode_of("-wal"), 0640); /* still there: readers need it */
    (void)umask(old);
}

static void test_readers_work_before_during_and_after(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    struct state_query *query;
    struct state_store *reader;
    struct fault fault;

    (void)state;
    assert_int_equal(state_query_open(fixture.database, &query, &fault), RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_UNAVAILABLE);
    fixture_open(&fixture, fixture_now());
    fixture_refresh(&fixture, fixture_now(), 1, 1, 0, OUTCOME_REFRESHED);
    assert_int_equal(state_store_open(fixture.database, STATE_READ_ONLY, &reader, &fault),
                     RESULT_OK);
    state_store_close(reader);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM v1_jobs"), 1);
    fixture_close(&fixture);
    assert_int_equal(chmod(fixture.database, 0440), 0);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM v1_jobs"), 1);
    /* What a reader had to make beside it has the mode of the database. */
    for (size_t i = 0; i < ROW_COUNT(suffixes); i++) {
        char path[sizeof fixture.database + 8];

        (void)snprintf(path, sizeof path, "%s%s", fixture.database, suffixes[i]);
        assert_true(chmod(path, 0640) == 0 || errno == ENOENT);
    }
    fixture_open(&fixture, fixture_now());
    assert_false(state_store_was_unclean(fixture.store));
}

static enum result note_row(void *context, uint32_t count, const char *const *columns,
                            const struct query_value *values, struct fault *fault)
{
    char *text = context;

    (void)fault;
    assert_true(count > 10);
    assert_string_equal(columns[0], "consent");
    (void)strcat(strcat(text, values[0].text), " ");
    return RESULT_OK;
}

static void test_queries_filter_and_refuse_to_write(void **state)
{
    struct query_filter filters[] = {
        {.column = "provider", .operator_ = QUERY_EQUAL, .text = "finq"},
        {.column = "hold_reason", .operator_ = QUERY_IS_NULL},
    };
    struct query_filter wrong = {.column = "x; DROP TABLE job", .text = "y"};
    struct state_query *query;
    struct fault fault;
    char text[200] = "";

    (void)state;
    fixture_open(&fixture, fixture_now());
    assert_int_equal(state_query_open(fixture.database, &query, &fault), RESULT_OK);
    assert_int_equal(state_query_list(query, QUERY_CONSENTS, filters, 2, 0, note_row, text, &fault),
                     RESULT_OK);
    assert_string_equal(text, "finq/a finq/b ");
    text[0] = '\0';
    assert_int_equal(state_query_list(query, QUERY_CONSENTS, NULL, 0, 1, note_row, text, &fault),
                     RESULT_OK);
    assert_string_equal(text, "bud/c ");
    assert_int_equal(state_query_list(query, QUERY_CONSENTS, &wrong, 1, 0, note_row, text, &fault),
                     RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_USAGE);
    assert_non_null(strstr(fault.text, "quota_used"));
    assert_int_equal(state_query_sql(query, "DELETE FROM job", NULL, 0, note_row, NULL, &fault),
                     RESULT_FAULT);
    state_query_close(query);
}

/* ---- trouble ---- */

/* In the child: write until the limit on file sizes says no, then lift it and go on. */
static int fill_the_disk(void)
{
    struct rlimit limit;
    struct stat status;
    struct fault fault;
    char log[400];
    uint64_t job = 0;

    (void)signal(SIGXFSZ, SIG_IGN);
    fixture_open(&fixture, fixture_now());
    (void)snprintf(log, sizeof log, "%s-wal", fixture.database);
    if (stat(log, &status) != 0 || getrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    limit.rlim_cur = (rlim_t)status.st_size + 40000;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 2;
    for (;;) {
        job++;
        fixture_job_open(&fixture, fixture_now(), job, 1, 0);
        fixture_attempt(&fixture, fixture_now(), job, 1, 1);
        fixture_job_close(&fixture, fixture_now(), job, 1, 0, OUTCOME_FAILED, REASON_TRANSPORT);
        if (state_store_commit_records(fixture.store, fixture.records, fixture.record_count,
                                       &fault) != RESULT_OK)
            break;
        fixture.record_count = 0;
        if (job > 10000)
            return 3; /* the limit never told */
    }
    if (fault.code != FAULT_TEMPORARY || strstr(fault.text, "make room") == NULL)
        return 4;
    limit.rlim_cur = 1000; /* not even one page */
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
        state_store_commit_records(fixture.store, fixture.records, fixture.record_count, &fault) ==
            RESULT_OK)
        return 5;
    if (fixture_integer(&fixture, "SELECT count(*) FROM job") != (int64_t)job - 1)
        return 6;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 7;
    /* The same batch again, as the daemon does. */
    if (state_store_commit_records(fixture.store, fixture.records, fixture.record_count, &fault) !=
        RESULT_OK)
        return 8;
    if (fixture_integer(&fixture, "SELECT count(*) FROM v1_jobs") != (int64_t)job)
        return 9;
    fixture_close(&fixture);
    return 0;
}

static void test_a_full_disk_passes(void **state)
{
    int status = 0;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        _exit(fill_the_disk());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void count_problem(void *context, const char *what)
{
    (void)what;
    (*(uint32_t *)context)++;
}

/* Every invariant is really looked at: break one at a time. */
static void test_verify_finds_what_is_wrong(void **state)
{
    static const char *const damages[] = {
        "UPDATE run SET refreshed = refreshed + 1",
        "UPDATE run SET reconciled = 0",
        "INSERT INTO job (job_no, consent_no, trigger, state, due_ms, attempts)"
        " VALUES (50, 2, 3, 1, 1, 1), (51, 2, 3, 1, 1, 1);"
        "INSERT INTO attempt (attempt_key, sent_ms, is_repeat) VALUES (50 * 65536 + 1, 1, 0),"
        " (51 * 65536 + 1, 1, 0)",
        "DELETE FROM attempt WHERE attempt_key = 65537",
        "UPDATE job SET outcome = NULL WHERE job_no = 1",
        "UPDATE job SET closed_seq = 77 WHERE job_no = 1",
        "DELETE FROM ledger WHERE kind = 1",
        "DELETE FROM skip",
        "INSERT INTO skip VALUES (1, 1, 1, 1, 1, 1, NULL, 1)",
        "UPDATE consent SET institution_no = 99 WHERE consent_no = 1",
        ("INSERT INTO consent_past (consent_no, folded_seq, consecutive_failures,"
         " cooldown_refusals) VALUES (1, 1000, 0, 0)"),
        "UPDATE run SET schedule_no = 55",
    };
    struct utc_time now = fixture_now();
    struct fault fault;
    uint32_t problems = 7;
    char original[400];

    (void)state;
    fixture_open(&fixture, now);
    fixture_run_open(&fixture, now, 1, TRIGGER_SCHEDULE, now, 2);
    fixture_skip(&fixture, now, 1, 2, REASON_EXPIRED);
    fixture_commit(&fixture);
    fixture_refresh(&fixture, now, 1, 1, 1, OUTCOME_REFRESHED);
    fixture_run_close(&fixture, now, 1);
    fixture_commit(&fixture);
    assert_int_equal(
        state_maintain_verify(fixture.database, count_problem, &problems, &problems, &fault),
        RESULT_OK);
    assert_int_equal(problems, 0);
    fixture_close(&fixture);
    (void)snprintf(original, sizeof original, "%s", fixture.database);
    for (size_t i = 0; i < ROW_COUNT(damages); i++) {
        (void)snprintf(fixture.database, sizeof fixture.database, "%.300s.%zu", original, i);
        assert_int_equal(state_maintain_backup(original, fixture.database, &fault), RESULT_OK);
        run_sql(damages[i]);
        problems = 0;
        assert_int_equal(
            state_maintain_verify(fixture.database, count_problem, &problems, &problems, &fault),
            RESULT_OK);
        if (problems == 0)
            fail_msg("not found: %s", damages[i]);
    }
    (void)snprintf(fixture.database, sizeof fixture.database, "%.300s", original);
}

static void test_a_backup_is_whole_and_overwrites_nothing(void **state)
{
    struct fault fault;
    char copy[400];
    struct stat status;

    (void)state;
    fixture_open(&fixture, fixture_now());
    fixture_refresh(&fixture, fixture_now(), 1, 1, 0, OUTCOME_REFRESHED);
    (void)snprintf(copy, sizeof copy, "%s.copy", fixture.database);
    assert_int_equal(state_maintain_backup(fixture.database, copy, &fault), RESULT_OK);
    assert_int_equal(stat(copy, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(state_maintain_backup(fixture.database, copy, &fault), RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_CANNOT_CREATE);
    fixture_close(&fixture);
    (void)snprintf(fixture.database, sizeof fixture.database, "%.300s", copy);
    assert_string_equal(fixture_text(&fixture, "SELECT outcome FROM v1_jobs"), "refreshed");
}

/* ---- lock and key ---- */

static void test_only_one_holds_the_lock(void **state)
{
    struct state_lock first = {.fd = -1};
    struct state_lock second = {.fd = -1};
    struct fault fault;
    char holder[100];

    (void)state;
    assert_false(state_lock_is_held(fixture.database, NULL, 0));
    assert_int_equal(state_lock_take(fixture.database, "serve", &first, &fault), RESULT_OK);
    assert_true(state_lock_is_held(fixture.database, holder, sizeof holder));
    assert_non_null(strstr(holder, "serve"));
    assert_int_equal(state_lock_take(fixture.database, "once", &second, &fault), RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_TEMPORARY);
    assert_non_null(strstr(fault.text, "serve"));
    state_lock_release(&first);
    assert_false(state_lock_is_held(fixture.database, NULL, 0));
    assert_int_equal(state_lock_take(fixture.database, "once", &second, &fault), RESULT_OK);
    state_lock_release(&second);
}

static void test_the_key_is_made_once_and_guarded(void **state)
{
    uint8_t key[STATE_KEY_BYTES];
    uint8_t again[STATE_KEY_BYTES];
    struct fault fault;
    char path[400];

    (void)state;
    assert_int_equal(state_key_load(fixture.database, false, key, &fault), RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_UNAVAILABLE);
    assert_int_equal(state_key_load(fixture.database, true, key, &fault), RESULT_OK);
    assert_int_equal(state_key_load(fixture.database, true, again, &fault), RESULT_OK);
    assert_memory_equal(key, again, sizeof key);
    assert_int_equal(mode_of(".key"), 0600);
    (void)snprintf(path, sizeof path, "%s.key", fixture.database);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(state_key_load(fixture.database, true, key, &fault), RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_PERMISSION);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 5), 0);
    assert_int_equal(state_key_load(fixture.database, true, key, &fault), RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_DATA);
}

/* ---- outbox and retention ---- */

struct told {
    uint32_t jobs;
    uint32_t skips;
    uint32_t runs;
    uint32_t consents;
    int64_t last;
    char texts[2000];
};

static enum result take_fact(void *context, const struct fact *fact, struct fault *fault)
{
    struct told *told = context;

    (void)fault;
    assert_true(fact->sequence == 0 || fact->sequence >= told->last);
    told->last = fact->sequence;
    switch (fact->kind) {
    case FACT_JOB:
        told->jobs++;
        (void)strcat(strcat(strcat(told->texts, fact->as.job.consent), "="),
                     outcome_text(fact->as.job.outcome));
        break;
    case FACT_SKIP:
        told->skips++;
        (void)strcat(strcat(strcat(told->texts, fact->as.skip.consent), "="),
                     reason_text(fact->as.skip.reason));
        break;
    case FACT_RUN: told->runs++; break;
    case FACT_CONSENT: told->consents++; break;
    }
    return RESULT_OK;
}

static void test_the_outbox_tells_each_fact_until_it_is_delivered(void **state)
{
    struct utc_time now = fixture_now();
    struct told told = {0};
    struct told replayed = {0};
    struct fault fault;
    int64_t next = 0;
    int64_t delivered = 1;
    int64_t last = 0;
    int64_t sequence = 0;

    (void)state;
    fixture_open(&fixture, now);
    fixture_run_open(&fixture, now, 1, TRIGGER_SCHEDULE, now, 2);
    fixture_skip(&fixture, now, 1, 2, REASON_EXPIRED);
    fixture_commit(&fixture);
    fixture_refresh(&fixture, now, 1, 1, 1, OUTCOME_PARTIAL);
    fixture_run_close(&fixture, now, 1);
    fixture_commit(&fixture);
    assert_int_equal(outbox_position(fixture.store, &delivered, &last, &fault), RESULT_OK);
    assert_int_equal(delivered, 0);
    while (next < last)
        assert_int_equal(outbox_read(fixture.store, next, 1, take_fact, &told, &next, &fault),
                         RESULT_OK);
    assert_int_equal(told.jobs, 1);
    assert_int_equal(told.skips, 1);
    assert_int_equal(told.runs, 2);
    assert_int_equal(told.consents, 3);
    assert_non_null(strstr(told.texts, "=partial"));
    assert_int_equal(outbox_delivered(fixture.store, next, &fault), RESULT_OK);
    assert_int_equal(outbox_position(fixture.store, &delivered, &last, &fault), RESULT_OK);
    assert_int_equal(delivered, last);
    assert_int_equal(outbox_replay(fixture.store, take_fact, &replayed, &sequence, &fault),
                     RESULT_OK);
    assert_int_equal(sequence, last);
    assert_int_equal(replayed.jobs, 1);
    assert_int_equal(replayed.skips, 1);
    assert_int_equal(replayed.runs, 1);
    assert_int_equal(replayed.consents, 3);
}

static void test_retention_keeps_what_is_needed_and_numbers_go_on(void **state)
{
    struct utc_time now = fixture_now();
    struct utc_time old = utc_add_ms(now, -40 * MS_PER_DAY);
    struct utc_time ancient = utc_add_ms(now, -100 * MS_PER_DAY);
    struct evidence answer = {.http_status = 200, .provider_job_id = "task-1"};
    struct prune_counts counts;
    struct fault fault;
    bool is_complete = false;

    (void)state;
    fixture_open(&fixture, now);
    fixture_recover(&fixture, now);
    fixture_run_open(&fixture, ancient, 1, TRIGGER_SCHEDULE, ancient, 1);
    fixture_commit(&fixture);
    fixture_refresh(&fixture, ancient, 1, 1, 1, OUTCOME_REFRESHED);
    fixture_run_close(&fixture, ancient, 1);
    fixture_run_open(&fixture, old, 2, TRIGGER_SCHEDULE, old, 1);
    fixture_job_open(&fixture, old, 2, 2, 2);
    fixture_attempt(&fixture, old, 2, 2, 1);
    fixture_answer(&fixture, old, 2, 2, 1, CLASS_ACCEPTED, true, &answer);
    fixture_job_close(&fixture, old, 2, 2, 2, OUTCOME_REFRESHED, REASON_NONE);
    fixture_run_close(&fixture, old, 2);
    fixture_commit(&fixture);
    fixture_refresh(&fixture, now, 3, 3, 0, OUTCOME_REFRESHED);

    /* Nothing is folded yet: the ledger and its jobs stay. */
    assert_int_equal(state_maintain_prune(fixture.store, now, &counts, &fault), RESULT_OK);
    assert_int_equal(counts.jobs, 0);
    while (!is_complete)
        assert_int_equal(state_store_fold(fixture.store, NULL, 100, &is_complete, &fault),
                         RESULT_OK);
    assert_int_equal(state_maintain_prune(fixture.store, now, &counts, &fault), RESULT_OK);
    assert_int_equal(counts.jobs, 1);
    assert_int_equal(counts.runs, 1);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM v1_jobs"), 2);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM v1_attempts"), 1);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM ledger"), 1);
    /* What the pruned attempt said is still there. */
    assert_string_equal(fixture_text(&fixture,
                                     "SELECT provider_job_id FROM v1_jobs"
                                     " WHERE outcome = 'refreshed' AND run_id IS NOT NULL"),
                        "task-1");
    assert_int_equal(fixture_integer(&fixture, "SELECT started_ms FROM v1_jobs"
                                               " WHERE run_id IS NOT NULL"),
                     old.ms);
    fixture_close(&fixture);
    fixture_open(&fixture, now);
    fixture_recover(&fixture, now);
    assert_int_equal(fake_core.next_job, 4);
    assert_int_equal(fake_core.next_run, 3);
    fixture_refresh(&fixture, now, 4, 1, 0, OUTCOME_REFRESHED);
    assert_true(fixture_integer(&fixture, "SELECT max(seq) FROM ledger") > 8);

    /* A consent that left long ago goes with its history. */
    fixture_configure(&fixture, "b,finq,c2,ING,nightly,,\nc,bud,c3,Bank,nightly weekly,,\n");
    fixture_sync(&fixture, now);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM v1_consents"), 3);

    /* When everything is old, the last ones still say where the numbers go on. */
    is_complete = false;
    while (!is_complete)
        assert_int_equal(state_store_fold(fixture.store, NULL, 100, &is_complete, &fault),
                         RESULT_OK);
    assert_int_equal(
        state_maintain_prune(fixture.store, utc_add_ms(now, 200 * MS_PER_DAY), &counts, &fault),
        RESULT_OK);
    fixture_close(&fixture);
    fixture_open(&fixture, now);
    fixture_recover(&fixture, now);
    assert_int_equal(fake_core.next_job, 5);
    assert_int_equal(fake_core.next_run, 3);
    assert_string_equal(fixture_text(&fixture, "SELECT group_concat(consent) FROM (SELECT consent"
                                               " FROM v1_consents ORDER BY consent)"),
                        "bud/c,finq/b");
}

static void test_care_marks_and_tidies_without_being_asked(void **state)
{
    const struct webhook_row webhook = {.provider = "finq", .provider_job_id = "x"};
    struct utc_time now = fixture_now();
    struct fault fault;
    bool more = true;

    (void)state;
    fixture_open(&fixture, now);
    fixture_recover(&fixture, now);
    assert_int_equal(
        state_store_webhooks(fixture.store, utc_add_ms(now, -3600000), &webhook, 1, &fault),
        RESULT_OK);
    fixture_refresh(&fixture, now, 1, 1, 0, OUTCOME_REFRESHED);
    fixture_job_open(&fixture, now, 2, 2, 0);
    fixture_attempt(&fixture, now, 2, 2, 1);
    fixture_commit(&fixture);
    while (more)
        assert_int_equal(state_store_care(fixture.store, now, &more, &fault), RESULT_OK);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM webhook"), 0);
    assert_int_equal(
        fixture_integer(&fixture, "SELECT job_no FROM job_mark ORDER BY at_ms DESC LIMIT 1"), 2);
}

/* ---- a first load of many ---- */

#define MANY 12000

static void configure_many(struct fixture *where)
{
    char *csv = malloc(MANY * 40);
    char *end = csv;

    assert_non_null(csv);
    for (uint32_t i = 0; i < MANY; i++)
        end += sprintf(end, "c%05u,finq,,Bank_%u,nightly,,\n", (i * 7919) % MANY, i % 50);
    fixture_configure(where, csv);
    free(csv);
}

static void care_to_the_end(struct utc_time now)
{
    struct fault fault;
    bool more = true;

    while (more)
        if (state_store_care(fixture.store, now, &more, &fault) != RESULT_OK)
            fail_msg("%s", fault.text);
}

static void test_a_large_first_load_is_written_behind_the_work(void **state)
{
    struct utc_time now = fixture_now();
    struct told told = {0};
    struct fault fault;
    uint32_t late;
    int64_t next = 0;

    (void)state;
    configure_many(&fixture);
    fixture_open(&fixture, now);
    fixture_recover(&fixture, now);
    assert_int_equal(fixture.number_max, MANY);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM v1_consents"), 0);
    late = state_store_find_consent(fixture.store, "finq/c00001");
    assert_int_not_equal(late, 0);
    assert_int_equal(state_store_find_consent(fixture.store, "finq/nobody"), 0);

    /* A failed commit takes the row back, the next one brings it. */
    fixture_job_open(&fixture, now, 1, late, 0);
    fixture_attempt(&fixture, now, 1, late, 1);
    fixture_job_close(&fixture, now, 99, late, 0, OUTCOME_FAILED, REASON_TRANSPORT);
    assert_int_equal(
        state_store_commit_records(fixture.store, fixture.records, fixture.record_count, &fault),
        RESULT_FAULT);
    fixture.record_count = 0;
    fixture_refresh(&fixture, now, 1, late, 0, OUTCOME_REFRESHED);
    assert_string_equal(fixture_text(&fixture, "SELECT consent FROM v1_jobs"), "finq/c00001");
    assert_string_equal(fixture_text(&fixture, "SELECT consent FROM v1_consents"), "finq/c00001");

    care_to_the_end(now);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM v1_consents"), MANY);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM sqlite_schema"
                                               " WHERE name = 'consent_by_name'"),
                     1);
    /* In the order in which they are due. */
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM consent AS a JOIN consent AS b"
                                               " ON b.consent_no = a.consent_no + 1"
                                               " WHERE a.phase > b.phase"),
                     0);
    while (next < fixture_integer(&fixture, "SELECT max(seq) FROM ledger"))
        assert_int_equal(outbox_read(fixture.store, next, 1000, take_fact, &told, &next, &fault),
                         RESULT_OK);
    assert_int_equal(told.consents, MANY);
    fixture_sync(&fixture, now);
    assert_int_equal(fixture.number_max, MANY);
}

static void test_a_first_load_that_a_crash_cut_goes_on(void **state)
{
    struct utc_time now = fixture_now();
    struct fixture after;
    struct fault fault;
    bool more = false;

    (void)state;
    configure_many(&fixture);
    fixture_open(&fixture, now);
    fixture_recover(&fixture, now);
    fixture_run_open(&fixture, now, 1, TRIGGER_SCHEDULE, now, MANY);
    fixture_commit(&fixture);
    fixture_refresh(&fixture, now, 1, MANY - 5, 1, OUTCOME_REFRESHED);
    assert_int_equal(state_store_care(fixture.store, now, &more, &fault), RESULT_OK);
    assert_true(more);
    fixture_init(&after);
    fixture_copy_as_crashed(&fixture, &after);
    configure_many(&after);
    fixture_open(&after, now);
    fixture_recover(&after, now);
    assert_int_equal(fake_core.runs[0].due, MANY);
    assert_int_equal(fake_core.slot_count, MANY); /* every one is a member still */
    assert_int_equal(fixture_integer(&after, "SELECT count(*) FROM v1_consents"), MANY);
    fixture_deinit(&after);
}

static void test_a_close_ends_the_first_load(void **state)
{
    struct utc_time now = fixture_now();

    (void)state;
    configure_many(&fixture);
    fixture_open(&fixture, now);
    fixture_recover(&fixture, now);
    fixture_close(&fixture);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM v1_consents"), MANY);
    fixture_open(&fixture, now);
    assert_int_equal(fixture.number_max, MANY);
    assert_int_not_equal(state_store_find_consent(fixture.store, "finq/c11999"), 0);
}

static void test_the_folder_has_to_be_there(void **state)
{
    struct state_store *store;
    struct fault fault;

    (void)state;
    assert_int_equal(
        state_store_open("/nonexistent/folder/state.db", STATE_READ_WRITE, &store, &fault),
        RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_CANNOT_CREATE);
    assert_non_null(strstr(fault.text, "install -d"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        CASE(test_views_have_the_columns_that_were_promised),
        CASE(test_words_in_views_are_those_of_the_program),
        CASE(test_quota_of_the_view_is_the_quota_of_the_core),
        CASE(test_a_newer_schema_is_refused),
        CASE(test_a_foreign_database_is_refused),
        CASE(test_garbage_is_refused),
        CASE(test_a_migration_goes_forward_after_a_backup),
        CASE(test_files_have_the_mode_that_readers_need),
        CASE(test_readers_work_before_during_and_after),
        CASE(test_queries_filter_and_refuse_to_write),
        CASE(test_a_full_disk_passes),
        CASE(test_verify_finds_what_is_wrong),
        CASE(test_a_backup_is_whole_and_overwrites_nothing),
        CASE(test_only_one_holds_the_lock),
        CASE(test_the_key_is_made_once_and_guarded),
        CASE(test_the_outbox_tells_each_fact_until_it_is_delivered),
        CASE(test_retention_keeps_what_is_needed_and_numbers_go_on),
        CASE(test_care_marks_and_tidies_without_being_asked),
        CASE(test_a_large_first_load_is_written_behind_the_work),
        CASE(test_a_first_load_that_a_crash_cut_goes_on),
        CASE(test_a_close_ends_the_first_load),
        CASE(test_the_folder_has_to_be_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
