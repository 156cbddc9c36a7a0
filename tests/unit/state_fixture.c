/* SPDX-License-Identifier: MIT
 * state_fixture.c - see state_fixture.h. */
#include "tests/unit/state_fixture.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* ---- the core that writes down ---- */

struct fake_core fake_core;

void fake_core_clear(void)
{
    memset(&fake_core, 0, sizeof fake_core);
}

void __wrap_scheduler_consent_past(const struct scheduler *scheduler, uint32_t consent,
                                   struct consent_past *past);
void __wrap_scheduler_consent_past(const struct scheduler *scheduler, uint32_t consent,
                                   struct consent_past *past)
{
    (void)scheduler;
    assert_true(consent < FAKE_MAX);
    *past = fake_core.pasts[consent];
}

void __wrap_scheduler_consent_put(struct scheduler *scheduler, uint32_t consent,
                                  const struct consent_settings *settings);
void __wrap_scheduler_consent_put(struct scheduler *scheduler, uint32_t consent,
                                  const struct consent_settings *settings)
{
    (void)scheduler;
    (void)consent;
    (void)settings;
    fake_core.puts++;
}

void __wrap_scheduler_consent_remove(struct scheduler *scheduler, uint32_t consent);
void __wrap_scheduler_consent_remove(struct scheduler *scheduler, uint32_t consent)
{
    (void)scheduler;
    (void)consent;
    fake_core.removes++;
}

void __wrap_scheduler_recover_consent(struct scheduler *scheduler, uint32_t consent,
                                      const struct consent_past *past);
void __wrap_scheduler_recover_consent(struct scheduler *scheduler, uint32_t consent,
                                      const struct consent_past *past)
{
    (void)scheduler;
    assert_true(consent < FAKE_MAX);
    fake_core.pasts[consent] = *past;
    fake_core.has_past[consent] = true;
}

void __wrap_scheduler_recover_attempt(struct scheduler *scheduler, uint32_t consent,
                                      struct utc_time sent, bool is_charged, enum outcome outcome);
void __wrap_scheduler_recover_attempt(struct scheduler *scheduler, uint32_t consent,
                                      struct utc_time sent, bool is_charged, enum outcome outcome)
{
    (void)scheduler;
    assert_true(fake_core.attempt_count < FAKE_MAX);
    fake_core.attempts[fake_core.attempt_count++] =
        (struct fake_attempt){consent, sent, is_charged, outcome};
}

void __wrap_scheduler_recover_calls(struct scheduler *scheduler, uint32_t provider,
                                    struct utc_time at, uint32_t count);
void __wrap_scheduler_recover_calls(struct scheduler *scheduler, uint32_t provider,
                                    struct utc_time at, uint32_t count)
{
    (void)scheduler;
    (void)provider;
    (void)at;
    fake_core.calls += count;
}

void __wrap_scheduler_recover_recheck(struct scheduler *scheduler, uint32_t provider,
                                      uint32_t consent, struct utc_time at);
void __wrap_scheduler_recover_recheck(struct scheduler *scheduler, uint32_t provider,
                                      uint32_t consent, struct utc_time at)
{
    (void)scheduler;
    (void)provider;
    fake_core.hand_consent = consent;
    fake_core.hand_at = at;
}

void __wrap_scheduler_recover_pause(struct scheduler *scheduler, enum scope_kind scope,
                                    uint32_t index, struct utc_time until);
void __wrap_scheduler_recover_pause(struct scheduler *scheduler, enum scope_kind scope,
                                    uint32_t index, struct utc_time until)
{
    (void)scheduler;
    fake_core.pauses[fake_core.pause_count++] = (struct fake_pause){scope, index, until};
}

void __wrap_scheduler_recover_activity(struct scheduler *scheduler, struct utc_time last);
void __wrap_scheduler_recover_activity(struct scheduler *scheduler, struct utc_time last)
{
    (void)scheduler;
    fake_core.last_activity = last;
}

void __wrap_scheduler_recover_node(struct scheduler *scheduler, uint32_t provider,
                                   uint32_t institution, const struct node_past *past);
void __wrap_scheduler_recover_node(struct scheduler *scheduler, uint32_t provider,
                                   uint32_t institution, const struct node_past *past)
{
    (void)scheduler;
    fake_core.nodes[fake_core.node_count++] = (struct fake_node){provider, institution, *past};
}

void __wrap_scheduler_recover_schedule(struct scheduler *scheduler, uint32_t schedule,
                                       uint64_t revision, struct utc_time accounted,
                                       int64_t local_ms, int fold);
void __wrap_scheduler_recover_schedule(struct scheduler *scheduler, uint32_t schedule,
                                       uint64_t revision, struct utc_time accounted,
                                       int64_t local_ms, int fold)
{
    (void)scheduler;
    (void)local_ms;
    (void)fold;
    fake_core.revision[schedule] = revision;
    fake_core.accounted[schedule] = accounted;
}

enum result __wrap_scheduler_recover_run(struct scheduler *scheduler,
                                         const struct recovered_run *run, struct fault *fault);
enum result __wrap_scheduler_recover_run(struct scheduler *scheduler,
                                         const struct recovered_run *run, struct fault *fault)
{
    (void)scheduler;
    (void)fault;
    fake_core.runs[fake_core.run_count++] = *run;
    return RESULT_OK;
}

void __wrap_scheduler_recover_slot(struct scheduler *scheduler, uint32_t run, uint32_t consent,
                                   enum outcome outcome);
void __wrap_scheduler_recover_slot(struct scheduler *scheduler, uint32_t run, uint32_t consent,
                                   enum outcome outcome)
{
    (void)scheduler;
    assert_true(fake_core.slot_count < FAKE_MAX);
    fake_core.slots[fake_core.slot_count++] = (struct fake_slot){run, consent, outcome};
}

enum result __wrap_scheduler_recover_job(struct scheduler *scheduler,
                                         const struct recovered_job *job, uint32_t *job_slot,
                                         struct fault *fault);
enum result __wrap_scheduler_recover_job(struct scheduler *scheduler,
                                         const struct recovered_job *job, uint32_t *job_slot,
                                         struct fault *fault)
{
    (void)scheduler;
    (void)fault;
    *job_slot = fake_core.job_count;
    fake_core.jobs[fake_core.job_count++] = *job;
    return RESULT_OK;
}

void __wrap_scheduler_recover_done(struct scheduler *scheduler, struct time_now now,
                                   uint32_t next_run, uint64_t next_job);
void __wrap_scheduler_recover_done(struct scheduler *scheduler, struct time_now now,
                                   uint32_t next_run, uint64_t next_job)
{
    (void)scheduler;
    (void)now;
    fake_core.next_run = next_run;
    fake_core.next_job = next_job;
    fake_core.is_done = true;
}

/* ---- files ---- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void fixture_init(struct fixture *fixture)
{
    const char *parent = getenv("TMPDIR");

    memset(fixture, 0, sizeof *fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "%s/test_state.XXXXXX",
                   parent == NULL ? "/tmp" : parent);
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->database, sizeof fixture->database, "%s/state.db", fixture->folder);
}

void fixture_deinit(struct fixture *fixture)
{
    DIR *folder;
    struct dirent *entry;
    char path[1024];

    fixture_close(fixture);
    config_release(fixture->config);
    consent_table_destroy(fixture->consents);
    fixture->config = NULL;
    fixture->consents = NULL;
    folder = opendir(fixture->folder);
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", fixture->folder, entry->d_name);
        (void)unlink(path);
    }
    (void)closedir(folder);
    assert_int_equal(rmdir(fixture->folder), 0);
}

static const char two_schedules[] = "  nightly:\n"
                                    "    cron: \"0 1 * * *\"\n"
                                    "    timezone: Europe/London\n"
                                    "    spread: 4h\n"
                                    "    deadline: 06:00\n"
                                    "  weekly:\n"
                                    "    cron: \"0 3 * * 1\"\n";

void fixture_configure(struct fixture *fixture, const char *csv)
{
    fixture_configure_schedules(fixture, two_schedules, csv);
}

void fixture_configure_schedules(struct fixture *fixture, const char *schedules, const char *csv)
{
    static const char form[] =
        "version: 1\n"
        "state:\n"
        "  database: %s\n"
        "  retain: {jobs: 90d, attempts: 30d}\n"
        "providers:\n"
        "  finq:\n"
        "    api: finqware\n"
        "    base_url: https://finqware.example\n"
        "    auth: {mode: internal, client_id: {env: FINQ_ID}, client_secret: {env: FINQ_SECRET}}\n"
        "    consent: {quota: 4/24h, cooldown: 6h}\n"
        "  bud:\n"
        "    api: bud-v1\n"
        "    base_url: https://bud.example\n"
        "    auth: {client_id: {env: BUD_ID}, client_secret: {env: BUD_SECRET}}\n"
        "schedules:\n%s"
        "consents_from:\n"
        "  - {csv: consents.csv}\n"
        "max_shrink: 100%%\n";
    struct diagnostics diagnostics;
    struct consent_table *consents = NULL;
    struct config *config;
    char path[512];
    char text[8192];
    char *rows = malloc(strlen(csv) + 200);

    (void)snprintf(path, sizeof path, "%s/consents.csv", fixture->folder);
    assert_non_null(rows);
    (void)strcpy(stpcpy(rows, "id,provider,customer,institution,schedule,expires,mode\n"), csv);
    write_file(path, rows);
    free(rows);
    (void)snprintf(path, sizeof path, "%s/refreshd.yaml", fixture->folder);
    (void)snprintf(text, sizeof text, form, fixture->database, schedules);
    write_file(path, text);
    diagnostics_init(&diagnostics, 50);
    config = config_load(path, &(struct config_options){0}, &consents, &diagnostics);
    if (config == NULL)
        diagnostics_print(&diagnostics, stderr);
    assert_non_null(config);
    diagnostics_deinit(&diagnostics);
    /* The store borrows the old one until it gets the new one. */
    if (fixture->store != NULL) {
        struct fault fault;

        if (state_store_set_config(fixture->store, config, fixture_now(), &fault) != RESULT_OK)
            fail_msg("%s", fault.text);
    }
    config_release(fixture->config);
    consent_table_destroy(fixture->consents);
    fixture->config = config;
    fixture->consents = consents;
}

void fixture_sync(struct fixture *fixture, struct utc_time now)
{
    struct fault fault;

    if (state_store_sync_consents(fixture->store, fixture->config, fixture->consents, now,
                                  &fixture->numbers, &fixture->number_max, NULL, NULL,
                                  &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
}

void fixture_open(struct fixture *fixture, struct utc_time now)
{
    struct fault fault;

    if (state_store_open(fixture->database, STATE_READ_WRITE, &fixture->store, &fault) !=
            RESULT_OK ||
        state_store_set_config(fixture->store, fixture->config, now, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    fixture_sync(fixture, now);
}

void fixture_close(struct fixture *fixture)
{
    state_store_close(fixture->store);
    fixture->store = NULL;
}

static void copy_file(const char *from, const char *to)
{
    char bytes[65536];
    size_t length;
    FILE *in = fopen(from, "r");
    FILE *out;

    if (in == NULL)
        return; /* no log yet */
    out = fopen(to, "w");
    assert_non_null(out);
    while ((length = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, length, out), length);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

void fixture_copy_as_crashed(const struct fixture *fixture, struct fixture *other)
{
    /* Not -shm: it is rebuilt, as after a power loss. */
    static const char *const suffixes[] = {"", "-wal"};
    char from[512];
    char to[512];

    for (size_t i = 0; i < ROW_COUNT(suffixes); i++) {
        (void)snprintf(from, sizeof from, "%s%s", fixture->database, suffixes[i]);
        (void)snprintf(to, sizeof to, "%s%s", other->database, suffixes[i]);
        copy_file(from, to);
    }
}

void fixture_recover(struct fixture *fixture, struct utc_time now)
{
    struct fault fault;
    struct time_now both = {.utc = now};

    fake_core_clear();
    if (state_store_recover(fixture->store, fixture->config, NULL, both, NULL, NULL, &fault) !=
        RESULT_OK)
        fail_msg("%s", fault.text);
    assert_true(fake_core.is_done);
}

struct utc_time fixture_now(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    return (struct utc_time){(int64_t)now.tv_sec * MS_PER_SECOND + now.tv_nsec / 1000000};
}

/* ---- records ---- */

struct record *fixture_record(struct fixture *fixture, enum record_kind kind, struct utc_time at)
{
    struct record *record;

    assert_true(fixture->record_count < FAKE_MAX);
    record = &fixture->records[fixture->record_count++];
    memset(record, 0, sizeof *record);
    record->kind = kind;
    record->at = at;
    return record;
}

void fixture_run_open(struct fixture *fixture, struct utc_time at, uint32_t run,
                      enum trigger trigger, struct utc_time slot, uint32_t due)
{
    struct record *record = fixture_record(fixture, RECORD_RUN_OPEN, at);

    record->as.run_open.run = run;
    record->as.run_open.schedule = config_find_schedule(fixture->config, "nightly");
    record->as.run_open.trigger = trigger;
    record->as.run_open.slot = slot;
    record->as.run_open.local_ms = slot.ms;
    record->as.run_open.deadline = utc_add_ms(slot, 5 * MS_PER_HOUR);
    record->as.run_open.spread_ms = 4 * MS_PER_HOUR;
    record->as.run_open.due = due;
}

void fixture_run_close(struct fixture *fixture, struct utc_time at, uint32_t run)
{
    fixture_record(fixture, RECORD_RUN_CLOSE, at)->as.run_close.run = run;
}

void fixture_job_open(struct fixture *fixture, struct utc_time at, uint64_t job, uint32_t consent,
                      uint32_t run)
{
    struct record *record = fixture_record(fixture, RECORD_JOB_OPEN, at);

    record->as.job_open.job = job;
    record->as.job_open.consent = consent;
    record->as.job_open.run = run;
    record->as.job_open.trigger = run == 0 ? TRIGGER_MANUAL : TRIGGER_SCHEDULE;
    record->as.job_open.due = at;
}

void fixture_attempt(struct fixture *fixture, struct utc_time at, uint64_t job, uint32_t consent,
                     uint16_t attempt)
{
    struct record *record = fixture_record(fixture, RECORD_ATTEMPT, at);

    record->as.attempt.job = job;
    record->as.attempt.consent = consent;
    record->as.attempt.attempt = attempt;
}

void fixture_answer(struct fixture *fixture, struct utc_time at, uint64_t job, uint32_t consent,
                    uint16_t attempt, enum answer_class class_, bool is_charged,
                    const struct evidence *evidence)
{
    struct record *record = fixture_record(fixture, RECORD_ANSWER, at);

    record->evidence = evidence;
    record->as.answer.job = job;
    record->as.answer.consent = consent;
    record->as.answer.attempt = attempt;
    record->as.answer.class_ = class_;
    record->as.answer.sent = at;
    record->as.answer.is_charged = is_charged;
}

void fixture_job_close(struct fixture *fixture, struct utc_time at, uint64_t job, uint32_t consent,
                       uint32_t run, enum outcome outcome, enum reason reason)
{
    struct record *record = fixture_record(fixture, RECORD_JOB_CLOSE, at);

    record->as.job_close.job = job;
    record->as.job_close.consent = consent;
    record->as.job_close.run = run;
    record->as.job_close.outcome = outcome;
    record->as.job_close.reason = reason;
    record->as.job_close.has_new_data = TRI_UNKNOWN;
}

void fixture_skip(struct fixture *fixture, struct utc_time at, uint32_t run, uint32_t consent,
                  enum reason reason)
{
    struct record *record = fixture_record(fixture, RECORD_SKIP, at);

    record->as.skip.run = run;
    record->as.skip.consent = consent;
    record->as.skip.due = at;
    record->as.skip.reason = reason;
    record->as.skip.count = 1;
}

void fixture_commit(struct fixture *fixture)
{
    struct fault fault;

    if (state_store_commit_records(fixture->store, fixture->records, fixture->record_count,
                                   &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    fixture->record_count = 0;
}

void fixture_refresh(struct fixture *fixture, struct utc_time at, uint64_t job, uint32_t consent,
                     uint32_t run, enum outcome outcome)
{
    fixture_job_open(fixture, at, job, consent, run);
    fixture_attempt(fixture, at, job, consent, 1);
    fixture_answer(fixture, at, job, consent, 1, CLASS_ACCEPTED, true, NULL);
    fixture_job_close(fixture, at, job, consent, run, outcome,
                      outcome == OUTCOME_FAILED ? REASON_JOB_FAILED : REASON_NONE);
    fixture_commit(fixture);
}

/* ---- reading ---- */

static char read_text[4096];

const char *fixture_text(const struct fixture *fixture, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;

    assert_int_equal(sqlite3_open_v2(fixture->database, &db, SQLITE_OPEN_READONLY, NULL),
                     SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    read_text[0] = '\0';
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL)
        (void)snprintf(read_text, sizeof read_text, "%s",
                       (const char *)sqlite3_column_text(statement, 0));
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    (void)sqlite3_close(db);
    return read_text;
}

int64_t fixture_integer(const struct fixture *fixture, const char *sql)
{
    const char *text = fixture_text(fixture, sql);

    if (text[0] == '\0')
        fail_msg("%s: nothing", sql);
    return strtoll(text, NULL, 10);
}
