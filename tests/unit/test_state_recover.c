/* SPDX-License-Identifier: MIT
 * test_state_recover.c - what the core is told at the next start, after any kind of end. */
#include "tests/unit/state_fixture.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "state/manifest.h"
#include "state/state_maintain.h"

static const char five[] = "a,finq,,BRD,nightly,,\n"
                           "b,finq,,BRD,nightly,,\n"
                           "c,finq,,ING,nightly weekly,,\n"
                           "d,bud,cust,Bank,nightly,,\n"
                           "e,bud,other,Bank,weekly,,\n";

static struct fixture fixture;
static struct fixture after; /* the same files, as a crash left them */

static int set_up(void **state)
{
    (void)state;
    fake_core_clear();
    fixture_init(&fixture);
    fixture_init(&after);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_deinit(&fixture);
    fixture_deinit(&after);
    return 0;
}

static uint32_t number_of(struct fixture *where, const char *consent)
{
    uint32_t number = state_store_find_consent(where->store, consent);

    assert_int_not_equal(number, 0);
    return number;
}

/* Kill, start again with `csv`, recover. */
static void crash_and_recover(const char *csv, struct utc_time now)
{
    fixture_copy_as_crashed(&fixture, &after);
    fixture_configure(&after, csv);
    fixture_open(&after, now);
    assert_true(state_store_was_unclean(after.store));
    fixture_recover(&after, now);
}

/* Slot of `consent` in `run`, as it was fed; fails when there is none. */
static enum outcome slot_of(uint32_t run, uint32_t consent)
{
    for (uint32_t i = 0; i < fake_core.slot_count; i++)
        if (fake_core.slots[i].run == run && fake_core.slots[i].consent == consent)
            return fake_core.slots[i].outcome;
    fail_msg("consent %u is no member of run %u", consent, run);
    return OUTCOME_NONE;
}

/* Run 1 of nightly over a, b, c, d: a is done, b is in doubt, c was skipped, d not reached. */
static void half_a_night(struct utc_time now)
{
    fixture_configure(&fixture, five);
    fixture_open(&fixture, now);
    fixture_run_open(&fixture, now, 1, TRIGGER_SCHEDULE, now, 4);
    fixture_commit(&fixture);
    fixture_refresh(&fixture, now, 1, number_of(&fixture, "finq/a"), 1, OUTCOME_REFRESHED);
    fixture_job_open(&fixture, now, 2, number_of(&fixture, "finq/b"), 1);
    fixture_attempt(&fixture, now, 2, number_of(&fixture, "finq/b"), 1);
    fixture_skip(&fixture, now, 1, number_of(&fixture, "finq/c"), REASON_HELD);
    fixture_commit(&fixture);
}

static void test_an_open_run_comes_back_as_it_was(void **state)
{
    struct utc_time now = fixture_now();

    (void)state;
    half_a_night(now);
    crash_and_recover(five, now);
    assert_int_equal(fake_core.run_count, 1);
    assert_int_equal(fake_core.runs[0].due, 4);
    assert_int_equal(fake_core.runs[0].slot.ms, now.ms);
    assert_int_equal(fake_core.slot_count, 4);
    assert_int_equal(slot_of(1, number_of(&after, "finq/a")), OUTCOME_REFRESHED);
    assert_int_equal(slot_of(1, number_of(&after, "finq/b")), OUTCOME_NONE);
    assert_int_equal(slot_of(1, number_of(&after, "finq/c")), OUTCOME_SKIPPED);
    assert_int_equal(slot_of(1, number_of(&after, "bud/d")), OUTCOME_NONE);
    assert_int_equal(fake_core.job_count, 1);
    assert_int_equal(fake_core.jobs[0].job, 2);
    assert_int_equal(fake_core.jobs[0].run, 1);
    assert_false(fake_core.jobs[0].is_answered);
    assert_int_equal(fake_core.jobs[0].attempts, 1);
    assert_int_equal(fake_core.jobs[0].attempts_counted, 1); /* without an answer, and used up */
    assert_int_equal(fake_core.next_run, 2);
    assert_int_equal(fake_core.next_job, 3);
}

/* While nobody looked: a consent went, one left the schedule, one came. */
static void test_members_are_those_of_the_start(void **state)
{
    struct utc_time now = fixture_now();
    struct manifest manifest;
    struct fault fault;

    (void)state;
    half_a_night(now);
    crash_and_recover("a,finq,,BRD,nightly,,\nb,finq,,BRD,weekly,,\nc,finq,,ING,nightly,,\n"
                      "f,finq,,ING,nightly,,\n",
                      now);
    assert_int_equal(fake_core.slot_count, 4);
    assert_int_equal(slot_of(1, number_of(&after, "bud/d")), OUTCOME_SKIPPED);
    /* b has an open job: followed to its end, wherever its consent went. */
    assert_int_equal(slot_of(1, number_of(&after, "finq/b")), OUTCOME_NONE);
    assert_int_equal(fake_core.jobs[0].consent, number_of(&after, "finq/b"));
    assert_string_equal(fixture_text(&after, "SELECT group_concat(consent || ' ' || reason) FROM"
                                             " (SELECT * FROM v1_skips ORDER BY consent)"),
                        "bud/d removed,finq/c held");
    fixture_job_close(&after, now, 2, number_of(&after, "finq/b"), 1, OUTCOME_FAILED,
                      REASON_TRANSPORT);
    fixture_run_close(&after, now, 1);
    fixture_commit(&after);
    assert_int_equal(state_store_run_manifest(after.store, 1, &manifest, &fault), RESULT_OK);
    assert_true(manifest.reconciled);
}

/* A second start in a row must not forget what the first one knew. */
static void test_members_survive_two_changes_and_two_crashes(void **state)
{
    struct utc_time now = fixture_now();
    struct fixture again;

    (void)state;
    half_a_night(now);
    fixture_configure(&fixture, "a,finq,,BRD,weekly,,\nb,finq,,BRD,nightly,,\n"
                                "c,finq,,ING,nightly,,\nd,bud,cust,Bank,weekly,,\n");
    fixture_sync(&fixture, now);  /* the core has not said anything yet, and then: */
    crash_and_recover(five, now); /* ... everything is as before */
    assert_int_equal(fake_core.slot_count, 4);
    assert_int_equal(slot_of(1, number_of(&after, "finq/a")), OUTCOME_REFRESHED);
    /* d left and came back: its slot was given up when it left. */
    assert_int_equal(slot_of(1, number_of(&after, "bud/d")), OUTCOME_SKIPPED);

    fixture_init(&again);
    fixture_copy_as_crashed(&after, &again);
    fixture_configure(&again, five);
    fixture_open(&again, now);
    fixture_recover(&again, now);
    assert_int_equal(fake_core.slot_count, 4);
    assert_int_equal(slot_of(1, number_of(&again, "bud/d")), OUTCOME_SKIPPED);
    fixture_deinit(&again);
}

static void test_a_job_of_a_removed_consent_is_followed(void **state)
{
    struct utc_time now = fixture_now();

    (void)state;
    half_a_night(now);
    crash_and_recover("a,finq,,BRD,nightly,,\nc,finq,,ING,nightly,,\n", now);
    assert_int_equal(fake_core.job_count, 1);
    assert_int_equal(fake_core.puts, 1);
    assert_int_equal(fake_core.removes, 1);
    assert_int_equal(slot_of(1, fake_core.jobs[0].consent), OUTCOME_NONE);
}

static void test_a_run_whose_schedule_is_gone_closes_with_its_last_job(void **state)
{
    struct utc_time now = fixture_now();
    struct manifest manifest;
    struct fault fault;

    (void)state;
    half_a_night(now);
    fixture_copy_as_crashed(&fixture, &after);
    fixture_configure_schedules(&after, "  weekly:\n    cron: \"0 3 * * 1\"\n",
                                "a,finq,,BRD,weekly,,\nb,finq,,BRD,weekly,,\n"
                                "d,bud,cust,Bank,weekly,,\n");
    fixture_open(&after, now);
    fixture_recover(&after, now);
    assert_int_equal(fake_core.run_count, 0);
    assert_int_equal(fake_core.job_count, 1);
    assert_int_equal(fake_core.jobs[0].run, 0);
    assert_string_equal(fixture_text(&after, "SELECT finished_at FROM v1_runs"), "");
    fixture_job_close(&after, now, 2, fake_core.jobs[0].consent, 0, OUTCOME_UNKNOWN,
                      REASON_IN_DOUBT);
    fixture_commit(&after);
    assert_int_equal(state_store_run_manifest(after.store, 1, &manifest, &fault), RESULT_OK);
    assert_true(manifest.reconciled);
    assert_int_equal(manifest.counts[OUTCOME_SKIPPED], 2);
    assert_int_equal(manifest.counts[OUTCOME_UNKNOWN], 1);
}

static void test_a_job_whose_provider_is_gone_closes(void **state)
{
    struct utc_time now = fixture_now();
    static const char config[] = "version: 1\n"
                                 "state: {database: %s}\n"
                                 "providers:\n"
                                 "  bud: {api: bud-v1, base_url: 'https://bud.example',\n"
                                 "    auth: {client_id: {env: A}, client_secret: {env: B}}}\n"
                                 "schedules: {nightly: {cron: '0 1 * * *'}}\n"
                                 "consents: [{id: d, provider: bud, customer: cust,\n"
                                 "  institution: Bank, schedule: nightly}]\n";
    struct diagnostics diagnostics;
    char path[400];
    FILE *file;

    (void)state;
    half_a_night(now);
    fixture_copy_as_crashed(&fixture, &after);
    (void)snprintf(path, sizeof path, "%s/other.yaml", after.folder);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fprintf(file, config, after.database) > 0);
    assert_int_equal(fclose(file), 0);
    diagnostics_init(&diagnostics, 10);
    after.config = config_load(path, &(struct config_options){0}, &after.consents, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    diagnostics_deinit(&diagnostics);
    assert_non_null(after.config);
    fixture_open(&after, now);
    fixture_recover(&after, now);
    assert_int_equal(fake_core.job_count, 0);
    assert_string_equal(fixture_text(&after, "SELECT outcome || ' ' || reason FROM v1_jobs"
                                             " WHERE consent = 'finq/b'"),
                        "unknown configuration");
    assert_int_equal(slot_of(1, number_of(&after, "bud/d")), OUTCOME_NONE);
}

static void test_unfolded_closes_are_folded_once(void **state)
{
    struct utc_time now = fixture_now();
    struct fault fault;
    bool is_complete = false;
    uint32_t a;
    uint32_t b;

    (void)state;
    fixture_configure(&fixture, five);
    fixture_open(&fixture, now);
    fixture_recover(&fixture, now);
    a = number_of(&fixture, "finq/a");
    b = number_of(&fixture, "finq/b");
    fixture_refresh(&fixture, now, 1, a, 0, OUTCOME_FAILED);
    fake_core.pasts[a] = (struct consent_past){.last_outcome = OUTCOME_FAILED,
                                               .last_success = UTC_NONE,
                                               .last_attempt = now,
                                               .consecutive_failures = 1,
                                               .not_before = UTC_NONE,
                                               .learned_expires = UTC_NEVER};
    while (!is_complete)
        assert_int_equal(state_store_fold(fixture.store, NULL, 10, &is_complete, &fault),
                         RESULT_OK);
    fixture_refresh(&fixture, now, 2, a, 0, OUTCOME_UNKNOWN);
    fixture_refresh(&fixture, utc_add_ms(now, 5), 3, b, 0, OUTCOME_PARTIAL);
    crash_and_recover(five, now);
    assert_int_equal(fake_core.pasts[a].consecutive_failures, 2);
    assert_int_equal(fake_core.pasts[a].last_outcome, OUTCOME_UNKNOWN);
    assert_int_equal(fake_core.pasts[b].last_outcome, OUTCOME_PARTIAL);
    assert_int_equal(fake_core.pasts[b].last_success.ms, now.ms + 5);
    assert_int_equal(fake_core.pasts[b].last_attempt.ms, now.ms + 5);
    assert_false(fake_core.has_past[number_of(&after, "bud/e")]);

    /* Written back, closed cleanly, opened again: still the same. */
    is_complete = false;
    while (!is_complete)
        assert_int_equal(state_store_fold(after.store, NULL, 1, &is_complete, &fault), RESULT_OK);
    fixture_close(&after);
    fixture_open(&after, now);
    assert_false(state_store_was_unclean(after.store));
    fixture_recover(&after, now);
    assert_int_equal(fake_core.pasts[a].consecutive_failures, 2);
    assert_int_equal(fake_core.pasts[b].last_outcome, OUTCOME_PARTIAL);
}

/* A consent may close again between the beginning of a pass and its own turn in it: its row then
 * holds more than the pass promises, and nothing may be counted twice. */
static void test_a_close_in_the_middle_of_a_fold_counts_once(void **state)
{
    struct utc_time now = fixture_now();
    struct fault fault;
    bool is_complete = true;
    static const char sql[] = "SELECT consecutive_failures FROM v1_consents JOIN consent"
                              " USING (consent) WHERE consent_no = 2";

    (void)state;
    fixture_configure(&fixture, five);
    fixture_open(&fixture, now);
    fixture_recover(&fixture, now);
    for (uint32_t consent = 1; consent <= 2; consent++) {
        fixture_refresh(&fixture, now, consent, consent, 0, OUTCOME_FAILED);
        fake_core.pasts[consent] = (struct consent_past){.last_outcome = OUTCOME_FAILED,
                                                         .last_success = UTC_NONE,
                                                         .last_attempt = now,
                                                         .consecutive_failures = 1,
                                                         .not_before = UTC_NONE,
                                                         .learned_expires = UTC_NEVER};
    }
    assert_int_equal(state_store_fold(fixture.store, NULL, 1, &is_complete, &fault), RESULT_OK);
    assert_false(is_complete);
    fixture_refresh(&fixture, now, 3, 2, 0, OUTCOME_FAILED);
    fake_core.pasts[2].consecutive_failures = 2;
    assert_int_equal(state_store_fold(fixture.store, NULL, 1, &is_complete, &fault), RESULT_OK);
    assert_int_equal(fixture_integer(&fixture, sql), 2);
    crash_and_recover(five, now);
    assert_int_equal(fake_core.pasts[2].consecutive_failures, 2);
    assert_int_equal(fake_core.pasts[1].consecutive_failures, 1);
}

static void test_holds_and_learned_ends_come_back_and_dates_release(void **state)
{
    struct utc_time now = fixture_now();
    struct record *record;

    (void)state;
    fixture_configure(&fixture, "a,finq,,BRD,nightly,2098-01-01,\nb,finq,,BRD,nightly,,\n");
    fixture_open(&fixture, now);
    record = fixture_record(&fixture, RECORD_HOLD, now);
    record->as.hold.consent = number_of(&fixture, "finq/a");
    record = fixture_record(&fixture, RECORD_HOLD, now);
    record->as.hold.consent = number_of(&fixture, "finq/b");
    record->as.hold.is_suspended = true;
    record = fixture_record(&fixture, RECORD_EXPIRES, now);
    record->as.expires.consent = number_of(&fixture, "finq/b");
    record->as.expires.expires = utc_add_ms(now, MS_PER_DAY);
    fixture_commit(&fixture);
    /* The customer renewed a while the program was down. */
    crash_and_recover("a,finq,,BRD,nightly,2099-01-01,\nb,finq,,BRD,nightly,,\n", now);
    assert_false(fake_core.pasts[number_of(&after, "finq/a")].is_held);
    assert_true(fake_core.pasts[number_of(&after, "finq/b")].is_held);
    assert_true(fake_core.pasts[number_of(&after, "finq/b")].is_suspended);
    assert_int_equal(fake_core.pasts[number_of(&after, "finq/b")].learned_expires.ms,
                     now.ms + MS_PER_DAY);
    assert_string_equal(fixture_text(&after, "SELECT action || ' ' || subject FROM v1_audit"),
                        "release finq/a");
}

static void test_attempts_come_in_sending_order_with_their_charge(void **state)
{
    struct utc_time now = fixture_now();
    uint32_t a;

    (void)state;
    fixture_configure(&fixture, five);
    fixture_open(&fixture, now);
    a = number_of(&fixture, "finq/a");
    fixture_refresh(&fixture, utc_add_ms(now, -1000), 1, a, 0, OUTCOME_REFRESHED);
    fixture_refresh(&fixture, utc_add_ms(now, -5000), 2, a, 0, OUTCOME_FAILED);
    fixture_refresh(&fixture, utc_add_ms(now, -40 * MS_PER_DAY), 3, a, 0, OUTCOME_FAILED);
    fixture_job_open(&fixture, utc_add_ms(now, -3000), 4, a, 0);
    fixture_attempt(&fixture, utc_add_ms(now, -3000), 4, a, 1);
    fixture_answer(&fixture, utc_add_ms(now, -3000), 4, a, 1, CLASS_PUSHBACK, false, NULL);
    fixture_attempt(&fixture, utc_add_ms(now, -2000), 4, a, 2); /* unanswered: charged */
    fixture_commit(&fixture);
    crash_and_recover(five, now);
    assert_int_equal(fake_core.attempt_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        static const int64_t ago[] = {5000, 3000, 2000, 1000};
        static const bool charged[] = {true, false, true, true};
        static const enum outcome outcomes[] = {OUTCOME_FAILED, OUTCOME_NONE, OUTCOME_NONE,
                                                OUTCOME_REFRESHED};

        assert_int_equal(fake_core.attempts[i].sent.ms, now.ms - ago[i]);
        assert_int_equal(fake_core.attempts[i].is_charged, charged[i]);
        assert_int_equal(fake_core.attempts[i].outcome, outcomes[i]);
        assert_int_equal(fake_core.attempts[i].consent, a);
    }
    assert_int_equal(fake_core.jobs[0].attempts, 2);
    assert_int_equal(fake_core.jobs[0].attempts_counted, 1); /* refused ones use up none */
}

static struct open_job_texts seen_texts;
static char seen[5][64];

static void see_job(void *context, const struct recovered_job *job, uint32_t job_slot,
                    const struct open_job_texts *texts)
{
    (void)context;
    (void)job;
    (void)job_slot;
    seen_texts = *texts;
    (void)snprintf(seen[0], sizeof seen[0], "%s", texts->provider);
    (void)snprintf(seen[1], sizeof seen[1], "%s", texts->consent_id);
    (void)snprintf(seen[2], sizeof seen[2], "%s", texts->customer);
    (void)snprintf(seen[3], sizeof seen[3], "%s", texts->institution);
    (void)snprintf(seen[4], sizeof seen[4], "%s",
                   texts->provider_job_id == NULL ? "" : texts->provider_job_id);
}

static void test_an_accepted_job_goes_on_with_its_texts(void **state)
{
    struct utc_time now = fixture_now();
    struct evidence accepted = {.http_status = 201, .provider_job_id = "task-5"};
    struct record *record;
    struct fault fault;
    uint32_t d;

    (void)state;
    fixture_configure(&fixture, five);
    fixture_open(&fixture, now);
    d = number_of(&fixture, "bud/d");
    fixture_job_open(&fixture, now, 1, d, 0);
    fixture_attempt(&fixture, now, 1, d, 1);
    fixture_answer(&fixture, now, 1, d, 1, CLASS_ACCEPTED, true, &accepted);
    record = fixture_record(&fixture, RECORD_REFERENCE, now);
    record->evidence = &accepted;
    record->as.reference.job = 1;
    record->as.reference.attempt = 1;
    record->as.reference.reference_hash = 0xfedcba9876543210;
    fixture_commit(&fixture);
    fixture_copy_as_crashed(&fixture, &after);
    fixture_configure(&after, five);
    fixture_open(&after, now);
    fake_core_clear();
    assert_int_equal(state_store_recover(after.store, after.config, NULL,
                                         (struct time_now){.utc = now}, see_job, NULL, &fault),
                     RESULT_OK);
    assert_true(fake_core.jobs[0].is_answered);
    assert_int_equal(fake_core.jobs[0].last_class, CLASS_ACCEPTED);
    assert_true(fake_core.jobs[0].reference_hash == 0xfedcba9876543210);
    assert_int_equal(fake_core.jobs[0].attempts_counted, 1);
    assert_string_equal(seen[0], "bud");
    assert_string_equal(seen[1], "d");
    assert_string_equal(seen[2], "cust");
    assert_string_equal(seen[3], "Bank");
    assert_string_equal(seen[4], "task-5");
    assert_false(seen_texts.customer_is_own_id);
}

static void test_pauses_calls_and_schedules_come_back(void **state)
{
    struct utc_time now = fixture_now();
    struct audit audit = {"x", "pause", "x", NULL};
    struct fault fault;
    struct record *record;
    uint32_t nightly;

    (void)state;
    fixture_configure(&fixture, five);
    fixture_open(&fixture, now);
    nightly = config_find_schedule(fixture.config, "nightly");
    assert_int_equal(state_store_pause(fixture.store, now, SCOPE_INSTITUTION, "finq/ING", UTC_NEVER,
                                       &audit, &fault),
                     RESULT_OK);
    assert_int_equal(state_store_pause(fixture.store, now, SCOPE_CONSENT, "finq/b",
                                       utc_add_ms(now, 60000), &audit, &fault),
                     RESULT_OK);
    assert_int_equal(
        state_store_pause(fixture.store, now, SCOPE_ALL, "", utc_add_ms(now, -1), &audit, &fault),
        RESULT_OK); /* over already */
    record = fixture_record(&fixture, RECORD_CALLS, now);
    record->as.calls.provider = 0;
    record->as.calls.count = 3;
    record = fixture_record(&fixture, RECORD_CALLS, now);
    record->as.calls.provider = 0;
    record->as.calls.count = 4;
    record = fixture_record(&fixture, RECORD_SCHEDULE, now);
    record->as.schedule.schedule = nightly;
    record->as.schedule.slot = utc_add_ms(now, -7000);
    fixture_commit(&fixture);
    crash_and_recover(five, utc_add_ms(now, 1000));
    assert_int_equal(fake_core.pause_count, 2);
    assert_int_equal(fake_core.pauses[0].scope, SCOPE_INSTITUTION);
    assert_int_equal(fake_core.pauses[0].until.ms, UTC_NEVER.ms);
    assert_int_equal(fake_core.pauses[1].index, number_of(&after, "finq/b"));
    assert_int_equal(fake_core.calls, 7);
    assert_int_equal(fake_core.accounted[nightly].ms, now.ms - 7000);
    assert_true(fake_core.revision[nightly] == after.config->schedule_settings[nightly].revision);
}

/* Editing a schedule never fires it: it has nothing to catch up. */
static void test_an_edited_schedule_starts_from_now(void **state)
{
    struct utc_time now = fixture_now();
    struct utc_time later = utc_add_ms(now, 3 * MS_PER_DAY);
    uint32_t nightly;

    (void)state;
    fixture_configure(&fixture, five);
    fixture_open(&fixture, now);
    fixture_copy_as_crashed(&fixture, &after);
    fixture_configure_schedules(&after,
                                "  nightly:\n    cron: \"30 1 * * *\"\n"
                                "    timezone: Europe/London\n"
                                "  weekly:\n    cron: \"0 3 * * 1\"\n",
                                five);
    fixture_open(&after, later);
    fixture_recover(&after, later);
    nightly = config_find_schedule(after.config, "nightly");
    assert_int_equal(fake_core.accounted[nightly].ms, later.ms);
    assert_int_equal(fake_core.accounted[config_find_schedule(after.config, "weekly")].ms, now.ms);
}

static void test_once_finds_its_unfinished_run(void **state)
{
    struct utc_time now = fixture_now();
    struct utc_time deadline;
    struct fault fault;
    uint32_t run = 0;

    (void)state;
    fixture_configure(&fixture, five);
    fixture_open(&fixture, now);
    assert_int_equal(state_store_find_unfinished(fixture.store, "nightly", &run, &deadline, &fault),
                     RESULT_OK);
    assert_int_equal(run, 0);
    assert_int_equal(state_store_narrow_once(fixture.store, NULL, "BRD", &fault), RESULT_OK);
    fixture_run_open(&fixture, now, 1, TRIGGER_ONCE, now, 2);
    fixture_job_open(&fixture, now, 1, number_of(&fixture, "finq/a"), 1);
    fixture_attempt(&fixture, now, 1, number_of(&fixture, "finq/a"), 1);
    fixture_commit(&fixture);
    crash_and_recover(five, now);
    assert_int_equal(state_store_find_unfinished(after.store, "nightly", &run, &deadline, &fault),
                     RESULT_OK);
    assert_int_equal(run, 1);
    assert_int_equal(deadline.ms, now.ms + 5 * MS_PER_HOUR);
    assert_int_equal(fake_core.slot_count, 2); /* only BRD */
    assert_int_equal(slot_of(1, number_of(&after, "finq/b")), OUTCOME_NONE);

    /* --new: what was not sent is superseded, the open job goes on alone and closes the run. */
    assert_int_equal(state_store_abandon_unfinished(after.store, "nightly", now, &fault),
                     RESULT_OK);
    assert_int_equal(state_store_find_unfinished(after.store, "nightly", &run, &deadline, &fault),
                     RESULT_OK);
    assert_int_equal(run, 0);
    assert_string_equal(fixture_text(&after, "SELECT consent || ' ' || reason FROM v1_skips"),
                        "finq/b superseded");
    fixture_recover(&after, now);
    assert_int_equal(fake_core.run_count, 0);
    assert_int_equal(fake_core.job_count, 1);
    fixture_job_close(&after, now, 1, number_of(&after, "finq/a"), 0, OUTCOME_REFRESHED,
                      REASON_NONE);
    fixture_commit(&after);
    assert_string_equal(fixture_text(&after, "SELECT refreshed || skipped || reconciled"
                                             " FROM v1_runs"),
                        "111");
}

/* ---- kill at any moment ---- */

static void count_problem(void *context, const char *what)
{
    print_error("%s\n", what);
    (*(uint32_t *)context)++;
}

/* The child refreshes and tells each job that is durable; it is killed somewhere. */
static void refresh_for_ever(int told)
{
    struct utc_time now = fixture_now();
    uint64_t job = (uint64_t)fixture_integer(&fixture, "SELECT coalesce(max(job_no), 0) FROM job");
    uint32_t consents[] = {1, 2, 3, 4};

    for (;;) {
        job++;
        fixture_refresh(&fixture, now, job, consents[job % 4], 0, OUTCOME_REFRESHED);
        if (write(told, &job, sizeof job) != (ssize_t)sizeof job)
            _exit(1);
    }
}

static void test_nothing_told_is_lost_by_kill(void **state)
{
    struct random random;
    uint64_t acknowledged = 0;

    (void)state;
    random_init(&random, unit_seed());
    fixture_configure(&fixture, five);
    fixture_open(&fixture, fixture_now());
    fixture_close(&fixture);
    for (int round = 0; round < 12; round++) {
        uint64_t wanted = acknowledged + 1 + random_below(&random, 25);
        uint32_t problems = 0;
        struct fault fault;
        int told[2];
        pid_t child;

        assert_int_equal(pipe(told), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(told[0]);
            fixture_open(&fixture, fixture_now());
            refresh_for_ever(told[1]);
        }
        (void)close(told[1]);
        while (acknowledged < wanted &&
               read(told[0], &acknowledged, sizeof acknowledged) == (ssize_t)sizeof acknowledged)
            continue;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(told[0], &acknowledged, sizeof acknowledged) == (ssize_t)sizeof acknowledged)
            continue;
        (void)close(told[0]);
        assert_true((uint64_t)fixture_integer(&fixture, "SELECT max(job_no) FROM job"
                                                        " WHERE outcome = 1") >= acknowledged);
        assert_int_equal(
            state_maintain_verify(fixture.database, count_problem, &problems, &problems, &fault),
            RESULT_OK);
        assert_int_equal(problems, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        CASE(test_an_open_run_comes_back_as_it_was),
        CASE(test_members_are_those_of_the_start),
        CASE(test_members_survive_two_changes_and_two_crashes),
        CASE(test_a_job_of_a_removed_consent_is_followed),
        CASE(test_a_run_whose_schedule_is_gone_closes_with_its_last_job),
        CASE(test_a_job_whose_provider_is_gone_closes),
        CASE(test_unfolded_closes_are_folded_once),
        CASE(test_a_close_in_the_middle_of_a_fold_counts_once),
        CASE(test_holds_and_learned_ends_come_back_and_dates_release),
        CASE(test_attempts_come_in_sending_order_with_their_charge),
        CASE(test_an_accepted_job_goes_on_with_its_texts),
        CASE(test_pauses_calls_and_schedules_come_back),
        CASE(test_an_edited_schedule_starts_from_now),
        CASE(test_once_finds_its_unfinished_run),
        CASE(test_nothing_told_is_lost_by_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
