/* SPDX-License-Identifier: MIT
 * test_state_store.c - what a commit makes of records, what views say, what population means. */
#include "tests/unit/state_fixture.h"

#include <string.h>

#include "state/manifest.h"

static const char three[] = "a,finq,c1,BRD,nightly,,\n"
                            "b,finq,c2,ING,nightly,,\n"
                            "c,bud,c3,Bank,nightly weekly,,\n";

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    fake_core_clear();
    fixture_init(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_deinit(&fixture);
    return 0;
}

/* Number of a consent as the store gave it. */
static uint32_t number_of(const char *consent)
{
    uint32_t number = state_store_find_consent(fixture.store, consent);

    assert_int_not_equal(number, 0);
    return number;
}

static void test_a_new_database_has_identity_and_safe_settings(void **state)
{
    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, fixture_now());
    assert_int_equal(fixture_integer(&fixture, "PRAGMA application_id"), 0x72667364);
    assert_int_equal(fixture_integer(&fixture, "PRAGMA user_version"),
                     state_store_schema_version());
    assert_int_equal(fixture_integer(&fixture, "PRAGMA auto_vacuum"), 2);
    assert_string_equal(fixture_text(&fixture, "PRAGMA journal_mode"), "wal");
    assert_int_equal(strlen(state_store_instance(fixture.store)), 8);
    assert_int_equal(state_store_migrated_from(fixture.store), 0);
    assert_int_equal(fixture_integer(&fixture,
                                     "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
                                     " AND sql NOT LIKE '%STRICT%'"),
                     0);
}

static void test_consents_get_numbers_that_stay(void **state)
{
    uint32_t a;
    uint32_t b;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, fixture_now());
    a = number_of("finq/a");
    b = number_of("finq/b");
    assert_int_equal(fixture.number_max, 3);

    fixture_configure(&fixture, "b,finq,other,ING,nightly,,\nd,finq,c4,BRD,weekly,,\n");
    fixture_sync(&fixture, fixture_now());
    assert_int_equal(number_of("finq/a"), a);
    assert_int_equal(number_of("finq/b"), b);
    assert_int_equal(number_of("finq/d"), 4);
    assert_string_equal(fixture_text(&fixture, "SELECT group_concat(consent || ' ' || status) FROM"
                                               " (SELECT * FROM v1_consents ORDER BY consent)"),
                        "bud/c removed,finq/a removed,finq/b active,finq/d active");
    assert_string_equal(
        fixture_text(&fixture, "SELECT customer FROM v1_consents WHERE consent = 'finq/b'"),
        "other");

    fixture_configure(&fixture, three);
    fixture_sync(&fixture, fixture_now());
    assert_int_equal(number_of("finq/a"), a);
    assert_string_equal(
        fixture_text(&fixture, "SELECT status FROM v1_consents WHERE consent = 'finq/a'"),
        "active");
}

static void test_numbers_answer_per_row_of_the_table(void **state)
{
    struct consent_view view;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, fixture_now());
    for (uint32_t row = 0; row < consent_table_count(fixture.consents); row++) {
        char name[CONSENT_NAME_BYTES];

        consent_table_get(fixture.consents, row, &view);
        (void)snprintf(name, sizeof name, "%s/%s", fixture.config->providers[view.provider].name,
                       view.id);
        assert_int_equal(fixture.numbers[row], number_of(name));
    }
}

static void test_a_refresh_shows_in_jobs_attempts_and_run(void **state)
{
    struct utc_time now = fixture_now();
    struct evidence accepted = {
        .http_status = 200, .provider_job_id = "job-77", .request_id = "req-1"};
    struct record *record;
    uint32_t a;
    struct manifest manifest;
    struct fault fault;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    a = number_of("finq/a");
    fixture_run_open(&fixture, now, 1, TRIGGER_SCHEDULE, (struct utc_time){1764032400000}, 1);
    fixture_job_open(&fixture, now, 1, a, 1);
    fixture_attempt(&fixture, now, 1, a, 1);
    fixture_commit(&fixture);
    assert_string_equal(fixture_text(&fixture, "SELECT state FROM v1_jobs"), "initiating");
    assert_string_equal(fixture_text(&fixture, "SELECT class FROM v1_attempts"), "");

    fixture_answer(&fixture, now, 1, a, 1, CLASS_ACCEPTED, true, &accepted);
    record = fixture_record(&fixture, RECORD_REFERENCE, now);
    record->evidence = &accepted;
    record->as.reference.job = 1;
    record->as.reference.attempt = 1;
    record->as.reference.reference_hash = 0xfedcba9876543210;
    record = fixture_record(&fixture, RECORD_JOB_STATE, now);
    record->as.job_state.job = 1;
    record->as.job_state.state = JOB_RUNNING;
    record->as.job_state.next_attempt = UTC_NEVER;
    fixture_commit(&fixture);
    assert_string_equal(
        fixture_text(&fixture, "SELECT state || ' ' || provider_job_id FROM v1_jobs"),
        "running job-77");
    assert_string_equal(
        fixture_text(&fixture, "SELECT class || http_status || request_id FROM v1_attempts"),
        "accepted200req-1");
    assert_int_equal(fixture_integer(&fixture, "SELECT refreshed FROM v1_runs"), 0);

    fixture_job_close(&fixture, utc_add_ms(now, 9), 1, a, 1, OUTCOME_REFRESHED, REASON_NONE);
    fixture_run_close(&fixture, utc_add_ms(now, 9), 1);
    fixture_commit(&fixture);
    assert_string_equal(
        fixture_text(&fixture, "SELECT state || ' ' || outcome || ' ' || run_id FROM v1_jobs"),
        "closed refreshed nightly@2025-11-25T01:00:00Z");
    assert_string_equal(
        fixture_text(&fixture, "SELECT refreshed || ' ' || reconciled || ' ' || due FROM v1_runs"),
        "1 1 1");
    assert_int_equal(state_store_run_manifest(fixture.store, 1, &manifest, &fault), RESULT_OK);
    assert_true(manifest.reconciled);
    assert_int_equal(manifest.counts[OUTCOME_REFRESHED], 1);
    assert_int_equal(manifest_sum(&manifest), manifest.due);
    assert_string_equal(manifest.run_id, "nightly@2025-11-25T01:00:00Z");
    assert_string_equal(manifest.config_digest, fixture.config->digest);
}

static void note_slot(void *context, const char *consent)
{
    char *names = context;

    (void)strcat(strcat(names, consent), " ");
}

static void test_a_run_that_does_not_add_up_says_so_and_names_the_slots(void **state)
{
    struct utc_time now = fixture_now();
    struct manifest manifest;
    struct fault fault;
    char names[200] = "";
    uint32_t count = 0;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    fixture_run_open(&fixture, now, 1, TRIGGER_SCHEDULE, now, 3);
    fixture_skip(&fixture, now, 1, number_of("finq/b"), REASON_HELD);
    fixture_commit(&fixture);
    fixture_refresh(&fixture, now, 1, number_of("finq/a"), 1, OUTCOME_PARTIAL);
    fixture_run_close(&fixture, now, 1);
    fixture_commit(&fixture);
    assert_int_equal(state_store_run_manifest(fixture.store, 1, &manifest, &fault), RESULT_OK);
    assert_false(manifest.reconciled);
    assert_int_equal(manifest_sum(&manifest), 2);
    assert_int_equal(state_store_open_slots(fixture.store, 1, 10, note_slot, names, &count, &fault),
                     RESULT_OK);
    assert_int_equal(count, 1);
    assert_string_equal(names, "bud/c ");
}

static void test_a_failed_batch_leaves_nothing(void **state)
{
    struct utc_time now = fixture_now();
    struct fault fault;
    uint32_t a;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    a = number_of("finq/a");
    fixture_job_open(&fixture, now, 1, a, 0);
    fixture_attempt(&fixture, now, 1, a, 1);
    fixture_job_close(&fixture, now, 99, a, 0, OUTCOME_FAILED, REASON_TRANSPORT); /* no such job */
    assert_int_equal(
        state_store_commit_records(fixture.store, fixture.records, fixture.record_count, &fault),
        RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_INTERNAL);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM job"), 0);
    fixture.record_count -= 1;
    fixture_commit(&fixture); /* the rest is fine, and nothing is left of the first try */
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM attempt"), 1);
}

/* The numbers that a failed batch took are given again: a run that opens next owns its jobs. */
static void test_a_failed_batch_takes_no_numbers(void **state)
{
    struct utc_time now = fixture_now();
    struct fault fault;
    uint32_t a;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    a = number_of("finq/a");
    fixture_job_open(&fixture, now, 5, a, 0);
    fixture_job_close(&fixture, now, 99, a, 0, OUTCOME_FAILED, REASON_TRANSPORT);
    assert_int_equal(
        state_store_commit_records(fixture.store, fixture.records, fixture.record_count, &fault),
        RESULT_FAULT);
    fixture.record_count = 0;
    fixture_run_open(&fixture, now, 1, TRIGGER_SCHEDULE, now, 1);
    fixture_commit(&fixture);
    fixture_refresh(&fixture, now, 5, a, 1, OUTCOME_REFRESHED);
    fixture_run_close(&fixture, now, 1);
    fixture_commit(&fixture);
    assert_int_equal(fixture_integer(&fixture, "SELECT reconciled FROM v1_runs"), 1);
}

/* Sending again what is in doubt costs no second charge. */
static void test_a_repeat_is_not_charged_again(void **state)
{
    struct utc_time now = fixture_now();
    uint32_t a;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    a = number_of("finq/a");
    fixture_job_open(&fixture, now, 1, a, 0);
    fixture_attempt(&fixture, now, 1, a, 1);
    fixture_answer(&fixture, now, 1, a, 1, CLASS_TRANSPORT, true, NULL);
    fixture_attempt(&fixture, now, 1, a, 2);
    fixture.records[fixture.record_count - 1].as.attempt.is_repeat = true;
    fixture_commit(&fixture);
    assert_int_equal(
        fixture_integer(&fixture, "SELECT quota_used FROM v1_consents WHERE consent = 'finq/a'"),
        1);
}

static void test_views_add_what_is_not_folded(void **state)
{
    struct utc_time now = fixture_now();
    struct utc_time then = utc_add_ms(now, -MS_PER_HOUR);
    bool is_complete = false;
    struct fault fault;
    uint32_t a;
    static const char outcome_sql[] = "SELECT last_outcome || ' ' || consecutive_failures || ' ' ||"
                                      " coalesce(last_success_ms, 'never') FROM v1_consents"
                                      " WHERE consent = 'finq/a'";
    char expected[100];

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    a = number_of("finq/a");
    fixture_refresh(&fixture, then, 1, a, 0, OUTCOME_FAILED);
    fixture_refresh(&fixture, then, 2, a, 0, OUTCOME_UNKNOWN);
    assert_string_equal(fixture_text(&fixture, outcome_sql), "unknown 2 never");

    /* The core has folded them: the rows say the same as the overlay did. */
    fake_core.pasts[a] = (struct consent_past){.last_outcome = OUTCOME_UNKNOWN,
                                               .last_success = UTC_NONE,
                                               .last_attempt = then,
                                               .consecutive_failures = 2,
                                               .not_before = UTC_NONE,
                                               .learned_expires = UTC_NEVER};
    while (!is_complete)
        assert_int_equal(state_store_fold(fixture.store, NULL, 100, &is_complete, &fault),
                         RESULT_OK);
    assert_int_equal(fixture_integer(&fixture, "SELECT consecutive_failures FROM consent_past"), 2);
    assert_string_equal(fixture_text(&fixture, outcome_sql), "unknown 2 never");

    fixture_refresh(&fixture, now, 3, a, 0, OUTCOME_FAILED);
    assert_string_equal(fixture_text(&fixture, outcome_sql), "failed 3 never");
    fixture_refresh(&fixture, now, 4, a, 0, OUTCOME_REFRESHED);
    (void)snprintf(expected, sizeof expected, "refreshed 0 %lld", (long long)now.ms);
    assert_string_equal(fixture_text(&fixture, outcome_sql), expected);
    fixture_refresh(&fixture, now, 5, a, 0, OUTCOME_FAILED);
    (void)snprintf(expected, sizeof expected, "failed 1 %lld", (long long)now.ms);
    assert_string_equal(fixture_text(&fixture, outcome_sql), expected);
}

static void test_quota_and_cooldown_follow_the_clock(void **state)
{
    struct utc_time now = fixture_now();
    uint32_t a;
    static const char used_sql[] = "SELECT quota_used || '/' || quota_limit FROM v1_consents"
                                   " WHERE consent = 'finq/a'";
    static const char next_sql[] =
        "SELECT next_allowed_ms FROM v1_consents WHERE consent = 'finq/a'";

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    a = number_of("finq/a");
    assert_string_equal(fixture_text(&fixture, used_sql), "0/4");
    assert_true(llabs(fixture_integer(&fixture, next_sql) - now.ms) < 60000);

    fixture_refresh(&fixture, utc_add_ms(now, -25 * MS_PER_HOUR), 1, a, 0, OUTCOME_REFRESHED);
    fixture_refresh(&fixture, utc_add_ms(now, -20 * MS_PER_HOUR), 2, a, 0, OUTCOME_REFRESHED);
    fixture_refresh(&fixture, utc_add_ms(now, -2 * MS_PER_HOUR), 3, a, 0, OUTCOME_REFRESHED);
    assert_string_equal(fixture_text(&fixture, used_sql), "2/4");
    assert_int_equal(fixture_integer(&fixture, next_sql), now.ms + 4 * MS_PER_HOUR);

    /* Refused: not charged, not a base of the cooldown. Unanswered: charged until known. */
    fixture_job_open(&fixture, now, 4, a, 0);
    fixture_attempt(&fixture, now, 4, a, 1);
    fixture_answer(&fixture, now, 4, a, 1, CLASS_COOLDOWN, false, NULL);
    fixture_commit(&fixture);
    assert_string_equal(fixture_text(&fixture, used_sql), "2/4");
    fixture_attempt(&fixture, now, 4, a, 2);
    fixture_commit(&fixture);
    assert_string_equal(fixture_text(&fixture, used_sql), "3/4");
    assert_int_equal(fixture_integer(&fixture, next_sql), now.ms + 6 * MS_PER_HOUR);

    /* The fourth charge in the window: free when the oldest of the four leaves it. */
    fixture_answer(&fixture, now, 4, a, 2, CLASS_RETRY_LATER, false, NULL);
    fixture_job_close(&fixture, now, 4, a, 0, OUTCOME_FAILED, REASON_PROVIDER_ERROR);
    fixture_commit(&fixture);
    fixture_refresh(&fixture, utc_add_ms(now, -8 * MS_PER_HOUR), 5, a, 0, OUTCOME_REFRESHED);
    fixture_refresh(&fixture, utc_add_ms(now, -7 * MS_PER_HOUR), 6, a, 0, OUTCOME_REFRESHED);
    assert_string_equal(fixture_text(&fixture, used_sql), "4/4");
    assert_int_equal(fixture_integer(&fixture, next_sql), now.ms + 4 * MS_PER_HOUR);
}

static void test_holds_pauses_and_expiry_make_the_status(void **state)
{
    struct utc_time now = fixture_now();
    struct audit audit = {"uid 1 (x)", "pause", "provider finq", "bank asks"};
    struct fault fault;
    struct record *record;
    static const char sql[] = "SELECT group_concat(status) FROM"
                              " (SELECT status FROM v1_consents ORDER BY consent)";

    (void)state;
    fixture_configure(&fixture, "a,finq,,BRD,nightly,2020-01-01,\nb,finq,,BRD,nightly,,\n"
                                "c,bud,cust,X,nightly,,\n");
    fixture_open(&fixture, now);
    assert_string_equal(fixture_text(&fixture, sql), "active,expired,active");
    record = fixture_record(&fixture, RECORD_HOLD, now);
    record->as.hold.consent = number_of("bud/c");
    fixture_commit(&fixture);
    assert_string_equal(fixture_text(&fixture, sql), "held,expired,active");
    assert_string_equal(fixture_text(&fixture, "SELECT group_concat(consent || ' ' || cause || ' '"
                                               " || urgency) FROM (SELECT * FROM v1_reconnect"
                                               " ORDER BY consent)"),
                        "bud/c reconnect_required now,finq/a expired now");
    assert_int_equal(state_store_pause(fixture.store, now, SCOPE_PROVIDER, "finq",
                                       utc_add_ms(now, MS_PER_HOUR), &audit, &fault),
                     RESULT_OK);
    assert_string_equal(fixture_text(&fixture, sql), "held,expired,paused");
    assert_string_equal(fixture_text(&fixture, "SELECT who || action || subject || reason"
                                               " FROM v1_audit"),
                        "uid 1 (x)pauseprovider finqbank asks");
    audit.action = "resume";
    assert_int_equal(state_store_resume(fixture.store, now, SCOPE_PROVIDER, "finq", &audit, &fault),
                     RESULT_OK);
    record = fixture_record(&fixture, RECORD_RELEASE, now);
    record->as.hold.source = HOLD_BY_LOOK_UP;
    record->as.hold.consent = number_of("bud/c");
    fixture_commit(&fixture);
    assert_string_equal(fixture_text(&fixture, sql), "active,expired,active");
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM v1_audit"), 3);

    record = fixture_record(&fixture, RECORD_EXPIRES, now);
    record->as.expires.consent = number_of("finq/b");
    record->as.expires.expires = utc_add_ms(now, -1);
    fixture_commit(&fixture);
    assert_string_equal(fixture_text(&fixture, sql), "active,expired,expired");
}

/* The view's next_due is the core's: slot + offset of the consent, for the first slot that is
 * ahead. */
static void test_next_due_is_where_the_spread_puts_it(void **state)
{
    struct utc_time now = fixture_now();
    struct consent_view view;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    for (uint32_t row = 0; row < consent_table_count(fixture.consents); row++) {
        int64_t best = INT64_MAX;
        char sql[200];

        consent_table_get(fixture.consents, row, &view);
        for (uint32_t i = 0; i < fixture.config->schedule_count; i++) {
            const struct schedule_settings *schedule = &fixture.config->schedule_settings[i];
            const char *name = fixture.config->schedules[i].name;
            uint32_t phase = spread_phase(view.settings.hash, hash_bytes(name, strlen(name), 0));
            struct calendar_firing firing =
                calendar_next(&schedule->calendar, utc_add_ms(now, -schedule->spread_ms - 1));

            if (strcmp(name, "weekly") == 0 && strcmp(view.id, "c") != 0)
                continue;
            while (firing.at.ms + spread_offset_ms(phase, schedule->spread_ms) <= now.ms)
                firing = calendar_next(&schedule->calendar, firing.at);
            if (firing.at.ms + spread_offset_ms(phase, schedule->spread_ms) < best)
                best = firing.at.ms + spread_offset_ms(phase, schedule->spread_ms);
        }
        (void)snprintf(sql, sizeof sql,
                       "SELECT next_due_ms FROM v1_consents WHERE consent_id = '%s'", view.id);
        assert_int_equal(fixture_integer(&fixture, sql), best);
    }
}

static void test_a_missed_run_is_one_row_and_one_skip(void **state)
{
    struct utc_time now = fixture_now();
    struct record *record;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    fixture_run_open(&fixture, now, 1, TRIGGER_SCHEDULE, utc_add_ms(now, -MS_PER_DAY), 3);
    record = fixture_record(&fixture, RECORD_SKIP, now);
    record->as.skip.run = 1;
    record->as.skip.reason = REASON_MISSED;
    record->as.skip.count = 3;
    record->as.skip.due = now;
    fixture_run_close(&fixture, now, 1);
    fixture_commit(&fixture);
    assert_string_equal(fixture_text(&fixture, "SELECT skipped || ' ' || reconciled FROM v1_runs"),
                        "3 1");
    assert_string_equal(
        fixture_text(&fixture, "SELECT reason || count || coalesce(consent, '-') FROM v1_skips"),
        "missed3-");
}

static void test_evidence_of_nonsense_is_kept(void **state)
{
    struct utc_time now = fixture_now();
    struct evidence nonsense = {.http_status = 200,
                                .error_code = "bad_json",
                                .error_message = "line 1: expected a value",
                                .body_head = "<html>"};
    uint32_t a;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    a = number_of("finq/a");
    fixture_job_open(&fixture, now, 1, a, 0);
    fixture_attempt(&fixture, now, 1, a, 1);
    fixture_answer(&fixture, now, 1, a, 1, CLASS_BAD_ANSWER, true, &nonsense);
    fixture_job_close(&fixture, now, 1, a, 0, OUTCOME_FAILED, REASON_BAD_ANSWER);
    fixture.records[fixture.record_count - 1].evidence = &nonsense;
    fixture_commit(&fixture);
    assert_string_equal(fixture_text(&fixture, "SELECT error_code || ' ' || body_head"
                                               " FROM v1_attempts"),
                        "bad_json <html>");
    assert_string_equal(
        fixture_text(&fixture, "SELECT outcome || reason || error_code FROM v1_jobs"),
        "failedbad_answerbad_json");
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM evidence"), 1);
}

static void test_webhooks_wait_ten_minutes(void **state)
{
    const struct webhook_row webhook = {
        .provider = "finq", .provider_job_id = "job-9", .status = "done"};
    struct utc_time now = fixture_now();
    struct fault fault;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    assert_false(state_store_webhook_seen(fixture.store, now, "finq", "job-9"));
    assert_int_equal(state_store_webhooks(fixture.store, now, &webhook, 1, &fault), RESULT_OK);
    assert_true(state_store_webhook_seen(fixture.store, now, "finq", "job-9"));
    assert_false(state_store_webhook_seen(fixture.store, now, "bud", "job-9"));
    assert_false(state_store_webhook_seen(fixture.store, utc_add_ms(now, 600001), "finq", "job-9"));
}

static void test_limits_are_replaced(void **state)
{
    struct utc_time now = fixture_now();
    struct limit_row rows[] = {
        {.provider = "finq", .configured_rate = "20/s", .jobs_running = 3, .not_before = UTC_NONE},
        {.provider = "finq",
         .institution = "BRD",
         .breaker = "open",
         .not_before = now,
         .not_before_reason = REASON_PUSHBACK},
    };
    struct fault fault;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    assert_int_equal(state_store_limits(fixture.store, now, rows, 2, &fault), RESULT_OK);
    assert_int_equal(state_store_limits(fixture.store, now, rows, 2, &fault), RESULT_OK);
    assert_string_equal(fixture_text(&fixture,
                                     "SELECT group_concat(coalesce(institution, '*') || breaker ||"
                                     " coalesce(not_before_reason, '')) FROM v1_limits"),
                        "*closed,BRDopenpushback");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        CASE(test_a_new_database_has_identity_and_safe_settings),
        CASE(test_consents_get_numbers_that_stay),
        CASE(test_numbers_answer_per_row_of_the_table),
        CASE(test_a_refresh_shows_in_jobs_attempts_and_run),
        CASE(test_a_run_that_does_not_add_up_says_so_and_names_the_slots),
        CASE(test_a_failed_batch_leaves_nothing),
        CASE(test_a_failed_batch_takes_no_numbers),
        CASE(test_a_repeat_is_not_charged_again),
        CASE(test_views_add_what_is_not_folded),
        CASE(test_quota_and_cooldown_follow_the_clock),
        CASE(test_holds_pauses_and_expiry_make_the_status),
        CASE(test_next_due_is_where_the_spread_puts_it),
        CASE(test_a_missed_run_is_one_row_and_one_skip),
        CASE(test_evidence_of_nonsense_is_kept),
        CASE(test_webhooks_wait_ten_minutes),
        CASE(test_limits_are_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
