/* SPDX-License-Identifier: MIT
 * test_webhook_parse.c - the webhooks that the two providers document, and bodies that nobody
 * should send. */
#include "provider/webhook_parse.h"

#include "tests/unit/api_fixture.h"

static struct webhook_notice notice;
static struct fault fault;

static enum result parse(const char *api, const char *body)
{
    struct api_fixture fixture;
    enum result result;

    api_fixture_open(&fixture, api);
    result = webhook_parse(fixture.definition, body, strlen(body), &notice, &fault);
    api_fixture_close(&fixture);
    return result;
}

static void test_finqware_job(void **state)
{
    (void)state;
    assert_int_equal(parse("finqware", "{\"type\":\"job_status_update\",\"consent_id\":\"C1\","
                                       "\"job_id\":\"9d11\",\"status\":\"job_completed\"}"),
                     RESULT_OK);
    assert_int_equal(notice.kind, API_EVENT_JOB);
    assert_int_equal(notice.job_count, 1);
    assert_string_equal(notice.jobs[0].id, "9d11");
    assert_false(notice.jobs[0].is_child);
    assert_true(notice.jobs[0].reference_hash == hash_bytes("9d11", 4, 0));
    assert_string_equal(notice.consent, "C1");
    assert_string_equal(notice.status, "job_completed");
    assert_true(notice.is_terminal);
    assert_true(notice.expires.ms == UTC_NONE.ms);
    /* Statuses on the way may come, too. */
    assert_int_equal(parse("finqware", "{\"type\":\"job_status_update\",\"job_id\":\"9d11\","
                                       "\"status\":\"balances_ready\"}"),
                     RESULT_OK);
    assert_false(notice.is_terminal);
    assert_string_equal(notice.consent, "");
    /* Consent and payment webhooks exist; what they say is not documented. */
    assert_int_equal(parse("finqware", "{\"type\":\"consent_status_update\",\"x\":1}"), RESULT_OK);
    assert_int_equal(notice.kind, API_EVENT_IGNORE);
    assert_int_equal(notice.job_count, 0);
}

static void test_bud_v1_job(void **state)
{
    (void)state;
    assert_int_equal(parse("bud-v1",
                           "{\"data\":{\"task_id\":\"T9\",\"status\":\"Failed\",\"result\":"
                           "\"provider_request_limit\",\"task_type\":\"refresh\","
                           "\"customer_id\":\"C1\",\"provider\":\"bank_a\",\"reconnect_required\":"
                           "\"false\",\"has_new_transactions\":\"false\",\"consent_id\":\"K1\"}}"),
                     RESULT_OK);
    assert_int_equal(notice.kind, API_EVENT_JOB);
    assert_int_equal(notice.job_count, 1);
    assert_string_equal(notice.jobs[0].id, "T9");
    assert_string_equal(notice.consent, "K1");
    assert_string_equal(notice.customer, "C1");
    assert_string_equal(notice.institution, "bank_a");
    assert_true(notice.is_terminal);
    assert_int_equal(parse("bud-v1",
                           "{\"data\":{\"task_id\":\"T9\",\"status\":\"Completed\",\"task_type\":"
                           "\"connect\"}}"),
                     RESULT_OK);
    assert_int_equal(notice.kind, API_EVENT_IGNORE);
}

static void test_bud_v2_jobs(void **state)
{
    (void)state;
    assert_int_equal(
        parse("bud-v2",
              "{\"event\":\"open_banking.v2.refresh.completed\",\"customer_id\":\"C1\",\"task_id\":"
              "\"P1\",\"status\":\"Failed\",\"has_new_transactions\":true,\"sub_tasks\":["
              "{\"task_id\":\"S1\",\"provider\":\"bank_a\",\"status\":\"Completed\"},"
              "{\"task_id\":\"S2\",\"provider\":\"bank_b\",\"status\":\"Failed\"}]}"),
        RESULT_OK);
    assert_int_equal(notice.kind, API_EVENT_JOB);
    assert_int_equal(notice.job_count, 3);
    assert_string_equal(notice.jobs[0].id, "P1");
    assert_false(notice.jobs[0].is_child);
    assert_string_equal(notice.jobs[2].id, "S2");
    assert_true(notice.jobs[2].is_child);
    assert_string_equal(notice.customer, "C1");
    assert_true(notice.is_terminal);
    /* One bank's part: the id is the sub-task's, and the consent's end comes for free. */
    assert_int_equal(
        parse("bud-v2",
              "{\"event\":\"open_banking.v2.refresh.provider.completed\",\"task_id\":\"S1\","
              "\"provider\":\"bank_a\",\"status\":\"Completed\",\"result\":\"success\","
              "\"reconnect_required\":false,\"customer_id\":\"C1\",\"consent_ids\":[\"K1\"],"
              "\"consent_details\":{\"id\":\"K2\",\"expiration_date\":"
              "\"2027-01-31T00:00:00+0000\"}}"),
        RESULT_OK);
    assert_int_equal(notice.job_count, 1);
    assert_string_equal(notice.jobs[0].id, "S1");
    assert_true(notice.jobs[0].is_child);
    assert_string_equal(notice.institution, "bank_a");
    assert_string_equal(notice.consent, "K2");
    assert_true(notice.expires.ms == INT64_C(1801353600000));
    assert_int_equal(parse("bud-v2", "{\"event\":\"open_banking.v2.refresh.provider.completed\","
                                     "\"task_id\":\"S1\",\"consent_ids\":[\"K1\"]}"),
                     RESULT_OK);
    assert_string_equal(notice.consent, "K1");
}

static void test_bud_consents(void **state)
{
    static const struct {
        const char *event;
        enum api_event_kind kind;
    } rows[] = {
        {"open_banking.consent.revoked", API_EVENT_HOLD},
        {"open_banking.consent.reconfirmed", API_EVENT_RELEASE},
        {"open_banking.consent.reauthorised", API_EVENT_RELEASE},
        {"open_banking.consent.painted_blue", API_EVENT_IGNORE},
    };

    (void)state;
    for (size_t i = 0; i < 2 * ROW_COUNT(rows); i++) {
        char body[256];

        snprintf(body, sizeof body,
                 "{\"data\":{\"event\":\"%s\",\"consent_id\":\"K1\",\"customer_id\":\"C1\","
                 "\"provider\":\"bank_a\",\"reason\":\"provider_revoked\"}}",
                 rows[i / 2].event);
        assert_int_equal(parse(i % 2 ? "bud-v1" : "bud-v2", body), RESULT_OK);
        assert_int_equal(notice.kind, rows[i / 2].kind);
        assert_string_equal(notice.consent, notice.kind == API_EVENT_IGNORE ? "" : "K1");
        assert_string_equal(notice.customer, notice.kind == API_EVENT_IGNORE ? "" : "C1");
    }
}

static void test_bodies_that_say_nothing(void **state)
{
    static const char *const bodies[] = {
        "{}",
        "[]",
        "{\"type\":null}",
        "{\"type\":17,\"job_id\":\"9d11\"}",
        "{\"type\":[\"job_status_update\"]}",
        "{\"data\":{\"type\":\"job_status_update\"}}",
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(bodies); i++) {
        assert_int_equal(parse("finqware", bodies[i]), RESULT_OK);
        assert_int_equal(notice.kind, API_EVENT_IGNORE);
    }
}

static void test_bodies_that_are_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "x",
        "17",
        "{\"type\":\"job_status_update\"",
        "{\"type\":\"job_status_update\"}",
        "{\"type\":\"job_status_update\",\"job_id\":null}",
        "{\"type\":\"job_status_update\",\"job_id\":\"\"}",
        "{\"type\":\"job_status_update\",\"job_id\":{}}",
        "{\"type\":\"job_status_update\",\"job_id\":\"a\",\"job_id\":\"b\"}",
        "{\"type\":\"job_status_update\",\"job_id\":\"a\\u0000b\"}",
    };
    char body[WEBHOOK_ID_BYTES_MAX + 128];
    char id[WEBHOOK_ID_BYTES_MAX + 2];

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(bodies); i++)
        assert_int_equal(parse("finqware", bodies[i]), RESULT_FAULT);
    memset(id, 'i', sizeof id);
    id[sizeof id - 1] = '\0';
    snprintf(body, sizeof body, "{\"type\":\"job_status_update\",\"job_id\":\"%s\"}", id);
    assert_int_equal(parse("finqware", body), RESULT_FAULT);
    id[sizeof id - 2] = '\0';
    snprintf(body, sizeof body, "{\"type\":\"job_status_update\",\"job_id\":\"%s\"}", id);
    assert_int_equal(parse("finqware", body), RESULT_OK);
    assert_int_equal(parse("bud-v1", "{\"data\":{\"event\":\"open_banking.consent.revoked\"}}"),
                     RESULT_FAULT);
}

static void test_bounds(void **state)
{
    struct api_fixture fixture;
    struct text body;

    (void)state;
    api_fixture_open(&fixture, "bud-v2");
    text_init(&body, WEBHOOK_BODY_BYTES_MAX + 100);
    text_append_string(&body, "{\"event\":\"open_banking.v2.refresh.completed\",\"task_id\":\"P\","
                              "\"sub_tasks\":[{\"task_id\":\"S\"}");
    for (int i = 0; i < 99; i++)
        text_append_format(&body, ",{\"task_id\":\"S%d\"}", i);
    text_append_string(&body, "]}");
    assert_int_equal(webhook_parse(fixture.definition, body.bytes, body.length, &notice, &fault),
                     RESULT_OK);
    assert_int_equal(notice.job_count, WEBHOOK_JOBS_MAX);
    assert_int_equal(notice.jobs_left_out, 101 - WEBHOOK_JOBS_MAX);
    text_clear(&body);
    text_append_string(&body, "{\"event\":\"");
    while (body.length < WEBHOOK_BODY_BYTES_MAX)
        text_append(&body, "eeeeeeeeeeeeeeee", 16);
    text_append_string(&body, "\"}");
    assert_int_equal(webhook_parse(fixture.definition, body.bytes, body.length, &notice, &fault),
                     RESULT_FAULT);
    memset(body.bytes, '[', body.length);
    assert_int_equal(
        webhook_parse(fixture.definition, body.bytes, WEBHOOK_BODY_BYTES_MAX, &notice, &fault),
        RESULT_FAULT);
    text_deinit(&body);
    api_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finqware_job),
        cmocka_unit_test(test_bud_v1_job),
        cmocka_unit_test(test_bud_v2_jobs),
        cmocka_unit_test(test_bud_consents),
        cmocka_unit_test(test_bodies_that_say_nothing),
        cmocka_unit_test(test_bodies_that_are_refused),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
