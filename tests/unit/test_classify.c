/* SPDX-License-Identifier: MIT
 * test_classify.c - every code, status and result word that the two provider APIs document, and
 * nonsense. The expected classes are typed from the documentation of the APIs (its sections are
 * named in the comments), never read from the definitions. */
#include "provider/classify.h"

#include "provider/retry_after.h"
#include "tests/unit/api_fixture.h"

static struct api_fixture finqware;
static struct api_fixture bud_v1;
static struct api_fixture bud_v2;

static int open_all(void **state)
{
    (void)state;
    api_fixture_open(&finqware, "finqware");
    api_fixture_open(&bud_v1, "bud-v1");
    api_fixture_open(&bud_v2, "bud-v2");
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    api_fixture_close(&finqware);
    api_fixture_close(&bud_v1);
    api_fixture_close(&bud_v2);
    return 0;
}

static struct answer answer;
static struct answer_texts texts;

static void classify_with(const struct api_fixture *api, enum request_kind kind, int status,
                          const char *body, const struct request_variables *ours)
{
    struct http_answer http = {.status = status, .body = body, .body_length = strlen(body)};

    classify_answer(api->definition, kind, &http, ours, API_FIXTURE_NOW, &answer, &texts);
}

static void classify(const struct api_fixture *api, enum request_kind kind, int status,
                     const char *body)
{
    struct request_variables ours = api_variables();

    classify_with(api, kind, status, body, &ours);
}

static void assert_class(enum answer_class class_, enum reason reason, const char *what)
{
    if (answer.class_ != class_ || answer.reason != reason)
        fail_msg("%s: %s/%s, expected %s/%s (%s)", what, answer_class_text(answer.class_),
                 reason_text(answer.reason), answer_class_text(class_), reason_text(reason),
                 texts.error_message);
}

/* ---- Finqware ---- */

struct code_row {
    enum request_kind request;
    int http;
    const char *code;
    enum answer_class class_;
    enum reason reason;
    bool look_up;
};

/* Section 1.4. */
static const struct code_row finqware_codes[] = {
    {REQUEST_INITIATE, 400, "cooldown_failed", CLASS_COOLDOWN, REASON_COOLDOWN, false},
    {REQUEST_INITIATE, 400, "consent_not_active", CLASS_RECONNECT_REQUIRED, REASON_NONE, true},
    {REQUEST_POLL, 400, "consent_not_active", CLASS_RECONNECT_REQUIRED, REASON_NONE, true},
    {REQUEST_INITIATE, 400, "bad_request", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 400, "validation_error", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 400, "invalid_input", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 400, "method_selection_error", CLASS_CONFIG_ERROR, REASON_CONFIGURATION,
     false},
    {REQUEST_INITIATE, 400, "method_input_validation_error", CLASS_CONFIG_ERROR,
     REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 400, "link_expired", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    {REQUEST_INITIATE, 400, "unprocessable_entity", CLASS_RETRY_LATER, REASON_INSTITUTION_ERROR,
     false},
    {REQUEST_INITIATE, 422, "unprocessable_entity", CLASS_RETRY_LATER, REASON_INSTITUTION_ERROR,
     false},
    {REQUEST_INITIATE, 401, "unauthorized", CLASS_CREDENTIALS, REASON_AUTH, false},
    {REQUEST_POLL, 401, "unauthorized", CLASS_CREDENTIALS, REASON_AUTH, false},
    {REQUEST_INITIATE, 404, "not_found", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 404, "consent_not_found", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_LOOK_UP, 404, "consent_not_found", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_POLL, 404, "job_not_found", CLASS_LOST, REASON_LOST, false},
    {REQUEST_POLL, 500, "internal_error", CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, false},
    {REQUEST_INITIATE, 500, "internal_server_error", CLASS_RETRY_LATER, REASON_PROVIDER_ERROR,
     false},
    /* The status that goes with internal errors is not documented. */
    {REQUEST_INITIATE, 400, "internal_error", CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, false},
    /* "Default class for an unknown code: by HTTP status." */
    {REQUEST_INITIATE, 400, "brand_new", CLASS_REJECTED, REASON_REJECTED, false},
    {REQUEST_INITIATE, 401, "brand_new", CLASS_CREDENTIALS, REASON_AUTH, false},
    {REQUEST_INITIATE, 403, "brand_new", CLASS_CREDENTIALS, REASON_AUTH, false},
    {REQUEST_INITIATE, 404, "brand_new", CLASS_REJECTED, REASON_REJECTED, false},
    {REQUEST_INITIATE, 429, "brand_new", CLASS_PUSHBACK, REASON_PUSHBACK, false},
    {REQUEST_INITIATE, 503, "brand_new", CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, false},
    /* Codes are words: their case means nothing. */
    {REQUEST_INITIATE, 400, "Cooldown_Failed", CLASS_COOLDOWN, REASON_COOLDOWN, false},
};

static void test_finqware_codes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(finqware_codes); i++) {
        const struct code_row *row = &finqware_codes[i];
        char body[256];

        snprintf(body, sizeof body,
                 "{\"error_id\":\"e-%zu\",\"request_id\":\"r-%zu\",\"code\":\"%s\","
                 "\"message\":\"some text\"}",
                 i, i, row->code);
        classify(&finqware, row->request, row->http, body);
        assert_class(row->class_, row->reason, row->code);
        assert_int_equal(answer.wants_look_up, row->look_up);
        assert_string_equal(texts.error_code, row->code);
        assert_string_equal(texts.error_message, "some text");
        assert_memory_equal(texts.error_id, "e-", 2);
        assert_memory_equal(texts.request_id, "r-", 2);
        assert_true(answer.reached_socket && answer.answered);
        assert_int_equal(answer.reference_hash, 0);
        assert_int_equal(answer.retry_after_ms, -1);
        assert_false(answer.is_about_job); /* the request was refused, the job may go on */
    }
}

struct status_row {
    const char *status;
    enum answer_class class_;
    enum reason reason;
    bool look_up;
};

/* Section 1.3. */
static const struct status_row finqware_statuses[] = {
    {"job_started", CLASS_RUNNING, REASON_NONE, false},
    {"accounts_ready", CLASS_RUNNING, REASON_NONE, false},
    {"balances_ready", CLASS_RUNNING, REASON_NONE, false},
    {"transactions_fetching", CLASS_RUNNING, REASON_NONE, false},
    {"job_completed", CLASS_SUCCESS, REASON_NONE, false},
    {"job_partially_completed", CLASS_PARTIAL, REASON_NONE, false},
    {"job_failed", CLASS_RETRY_LATER, REASON_JOB_FAILED, true},
    {"something_new", CLASS_RUNNING, REASON_NONE, false},
    {"JOB_COMPLETED", CLASS_SUCCESS, REASON_NONE, false},
};

static void test_finqware_job_statuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(finqware_statuses); i++) {
        char body[256];

        snprintf(body, sizeof body,
                 "{\"request_id\":\"r\",\"job_id\":\"job-1\",\"consent_id\":\"consent-1\","
                 "\"status\":\"%s\"}",
                 finqware_statuses[i].status);
        classify(&finqware, REQUEST_POLL, 200, body);
        assert_class(finqware_statuses[i].class_, finqware_statuses[i].reason,
                     finqware_statuses[i].status);
        assert_int_equal(answer.wants_look_up, finqware_statuses[i].look_up);
        assert_int_equal(answer.has_new_data, TRI_UNKNOWN);
        assert_int_equal(answer.is_about_job, finqware_statuses[i].class_ != CLASS_RUNNING);
    }
    classify(&finqware, REQUEST_POLL, 200, "{\"status\":\"job_failed\"}");
    assert_string_equal(texts.error_code, "job_failed");
}

static void test_finqware_create(void **state)
{
    (void)state;
    /* Section 1.7; 200 and nothing else is the answer (section 1.2). */
    classify(&finqware, REQUEST_INITIATE, 200,
             "{\"request_id\":\"r1\",\"consent_id\":\"consent-1\",\"job_id\":\"9d11\","
             "\"status\":\"job_started\",\"api_client_app\":\"acme\"}");
    assert_class(CLASS_ACCEPTED, REASON_NONE, "create");
    assert_string_equal(texts.provider_job_id, "9d11");
    assert_string_equal(texts.request_id, "r1");
    assert_true(answer.reference_hash == hash_bytes("9d11", 4, 0));
    classify(&finqware, REQUEST_INITIATE, 202, "{\"job_id\":\"9d11\"}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "202");
    assert_string_equal(texts.body_head, "{\"job_id\":\"9d11\"}");
}

static const struct {
    const char *status;
    enum look_up_verdict verdict;
} finqware_consents[] = {
    /* Section 1.3, consent status. */
    {"created", LOOK_UP_NOT_READY},
    {"started", LOOK_UP_NOT_READY},
    {"requested", LOOK_UP_NOT_READY},
    {"sca_url_retrieved", LOOK_UP_NOT_READY},
    {"awaiting_authz", LOOK_UP_NOT_READY},
    {"authorized", LOOK_UP_NOT_READY},
    {"active", LOOK_UP_ACTIVE},
    {"expired", LOOK_UP_RECONNECT},
    {"revoked", LOOK_UP_RECONNECT},
    {"deactivated", LOOK_UP_RECONNECT},
    {"failed", LOOK_UP_RECONNECT},
    {"suspended", LOOK_UP_SUSPENDED},
    {"never_heard_of", LOOK_UP_NONE},
};

static void test_finqware_consent_look_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(finqware_consents); i++) {
        char body[256];

        snprintf(body, sizeof body,
                 "{\"consent_id\":\"consent-1\",\"status\":\"%s\","
                 "\"expires_at\":\"2026-01-01T00:00:00Z\","
                 "\"authorized_until\":\"2027-03-01T12:00:00+00:00\"}",
                 finqware_consents[i].status);
        classify(&finqware, REQUEST_LOOK_UP, 200, body);
        assert_class(CLASS_SUCCESS, REASON_NONE, finqware_consents[i].status);
        assert_int_equal(answer.look_up, finqware_consents[i].verdict);
        assert_true(answer.expires.ms == INT64_C(1803902400000));
    }
    /* A look-up never asks for another one. */
    classify(&finqware, REQUEST_LOOK_UP, 400, "{\"code\":\"consent_not_active\"}");
    assert_class(CLASS_RECONNECT_REQUIRED, REASON_NONE, "look-up refused");
    assert_false(answer.wants_look_up);
    classify(&finqware, REQUEST_LOOK_UP, 200, "{\"consent_id\":\"consent-1\"}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "no status");
    classify(&finqware, REQUEST_LOOK_UP, 200, "{\"consent_id\":\"other\",\"status\":\"active\"}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "another's consent");
    assert_int_equal(answer.look_up, LOOK_UP_NONE);
}

/* A list of the customer's consents: the best of those with our bank, or of all without one. */
static void test_bud_consent_look_up(void **state)
{
#define ENTRY(bank, status, end) \
    "{\"provider\":\"" bank "\",\"status\":\"" status "\",\"expiration_date\":\"" end "\"}"
#define OVER "2026-11-20T23:41:40Z"
    static const struct {
        const char *list;
        enum look_up_verdict verdict;
        const char *expires; /* NULL: none */
        enum look_up_verdict of_all;
    } rows[] = {
        {ENTRY("bank_a", "authorised", "2027-01-31T00:00:00Z"), LOOK_UP_ACTIVE,
         "2027-01-31T00:00:00.000Z", LOOK_UP_ACTIVE},
        {ENTRY("Bank_A", "Authorised", "2027-01-31T00:00:00+0000"), LOOK_UP_ACTIVE,
         "2027-01-31T00:00:00.000Z", LOOK_UP_ACTIVE},
        {ENTRY("bank_a", "revoked", "2027-01-31T00:00:00Z"), LOOK_UP_RECONNECT, NULL,
         LOOK_UP_RECONNECT},
        {ENTRY("bank_a", "rejected", ""), LOOK_UP_RECONNECT, NULL, LOOK_UP_RECONNECT},
        {ENTRY("bank_a", "awaiting_authorisation", ""), LOOK_UP_NOT_READY, NULL, LOOK_UP_NOT_READY},
        {ENTRY("bank_a", "authorised", OVER), LOOK_UP_RECONNECT, NULL, LOOK_UP_RECONNECT},
        {ENTRY("bank_a", "purple", ""), LOOK_UP_NONE, NULL, LOOK_UP_NONE},
        {ENTRY("bank_b", "authorised", "2027-01-31T00:00:00Z"), LOOK_UP_NONE, NULL, LOOK_UP_ACTIVE},
        {"", LOOK_UP_NONE, NULL, LOOK_UP_NONE},
        /* The customer came back: the old one is dead, and which comes first says nothing. */
        {ENTRY("bank_a", "revoked", OVER) "," ENTRY("bank_a", "authorised", "2027-01-31T00:00:00Z"),
         LOOK_UP_ACTIVE, "2027-01-31T00:00:00.000Z", LOOK_UP_ACTIVE},
        {ENTRY("bank_a", "authorised", "2027-01-31T00:00:00Z") "," ENTRY("bank_a", "revoked", OVER),
         LOOK_UP_ACTIVE, "2027-01-31T00:00:00.000Z", LOOK_UP_ACTIVE},
        {ENTRY("bank_a", "revoked", OVER) "," ENTRY("bank_b", "awaiting_authorisation", ""),
         LOOK_UP_RECONNECT, NULL, LOOK_UP_NOT_READY},
    };
#undef ENTRY
#undef OVER
    const struct api_fixture *apis[] = {&bud_v1, &bud_v2};

    (void)state;
    for (size_t i = 0; i < 2 * ROW_COUNT(rows); i++) {
        const struct api_fixture *api = apis[i % 2];
        struct request_variables everybody = api_variables();
        char body[1024];
        char text[UTC_TEXT_SIZE];

        snprintf(body, sizeof body, "{\"data\":[%s],\"metadata\":{}}", rows[i / 2].list);
        classify(api, REQUEST_LOOK_UP, 200, body);
        assert_class(CLASS_SUCCESS, REASON_NONE, rows[i / 2].list);
        assert_int_equal(answer.look_up, rows[i / 2].verdict);
        if (rows[i / 2].expires == NULL)
            assert_true(answer.expires.ms == UTC_NONE.ms);
        else
            assert_string_equal(utc_text(answer.expires, text), rows[i / 2].expires);
        api_set(&everybody, API_VARIABLE_INSTITUTION, NULL);
        classify_with(api, REQUEST_LOOK_UP, 200, body, &everybody);
        assert_int_equal(answer.look_up, rows[i / 2].of_all);
    }
    classify(&bud_v1, REQUEST_LOOK_UP, 200, "{\"data\":{}}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "no list");
    classify(&bud_v1, REQUEST_LOOK_UP, 429, "{}");
    assert_class(CLASS_PUSHBACK, REASON_PUSHBACK, "429");
}

static void test_another_consents_answer_is_refused(void **state)
{
    (void)state;
    classify(&finqware, REQUEST_INITIATE, 200,
             "{\"consent_id\":\"consent-2\",\"job_id\":\"9d11\",\"status\":\"job_started\"}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "create for another consent");
    assert_int_equal(answer.reference_hash, 0);
    classify(&finqware, REQUEST_POLL, 200,
             "{\"consent_id\":\"consent-2\",\"job_id\":\"job-1\",\"status\":\"job_completed\"}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "poll of another consent");
    classify(&finqware, REQUEST_POLL, 200,
             "{\"consent_id\":\"consent-1\",\"job_id\":\"job-2\",\"status\":\"job_completed\"}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "poll of another job");
    classify(&finqware, REQUEST_POLL, 200, "{\"consent_id\":17,\"status\":\"job_completed\"}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "consent id of a wrong type");
    classify(&bud_v1, REQUEST_POLL, 200,
             "{\"data\":{\"task_id\":\"job-2\",\"status\":\"Completed\",\"result\":\"success\"}}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "another task");
}

/* ---- Bud ---- */

/* Section 2.5, `result`; the reconnect flag is false or absent. */
static const struct status_row bud_results[] = {
    {"success", CLASS_SUCCESS, REASON_NONE, false},
    {"connection_expired", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    {"connection_revoked", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    {"connection_reauthenticate", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    {"consent_not_found", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    {"connection_not_found", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    {"connection_status", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    {"auth_denied", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    {"auth_expired", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    {"auth_used", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    {"awaiting_authorisation", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    {"connection_permission", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {"provider_request_limit", CLASS_COOLDOWN, REASON_PUSHBACK, false},
    {"provider_maintenance", CLASS_RETRY_LATER, REASON_MAINTENANCE, false},
    {"provider_unavailable", CLASS_RETRY_LATER, REASON_INSTITUTION_ERROR, false},
    {"provider_timeout", CLASS_RETRY_LATER, REASON_INSTITUTION_ERROR, false},
    {"provider_failure", CLASS_RETRY_LATER, REASON_INSTITUTION_ERROR, false},
    {"provider_unauthorised", CLASS_RETRY_LATER, REASON_INSTITUTION_ERROR, false},
    {"provider_marked_account_invalid", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    {"provider_not_found", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {"provider_endpoint_deprecated", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {"provider_endpoint_unimplemented", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {"provider_endpoint_unsupported", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {"failed_validation", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {"failed_body_decode", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {"extension_not_permitted", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {"resource_not_found", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {"task_not_found", CLASS_LOST, REASON_LOST, false},
    {"internal_error", CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, false},
    {"internal_timeout", CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, false},
    {"internal_transient_error", CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, false},
    {"internal_auth_error", CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, false},
    /* Retired. */
    {"account_not_found", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {"request_validation", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {"provider_reauthenticate", CLASS_RECONNECT_REQUIRED, REASON_NONE, false},
    /* "anything else: by status: Failed means retry-later" */
    {"never_heard_of", CLASS_RETRY_LATER, REASON_JOB_FAILED, false},
};

static void bud_poll_body(char *body, size_t size, bool is_v2, const char *status,
                          const char *result, const char *reconnect)
{
    if (is_v2)
        snprintf(body, size,
                 "{\"operation_id\":\"x\",\"data\":{\"task_id\":\"job-1\",\"status\":\"%s\","
                 "\"sub_tasks\":[{\"task_id\":\"S0\",\"provider\":\"bank_z\",\"status\":"
                 "\"Completed\",\"result\":\"success\",\"reconnect_required\":false,"
                 "\"has_new_transactions\":true},{\"task_id\":\"S1\",\"provider\":\"bank_a\","
                 "\"status\":\"%s\",\"result\":\"%s\",\"reconnect_required\":%s}]},"
                 "\"metadata\":{\"status\":\"%s\"}}",
                 status, status, result, reconnect, status);
    else
        snprintf(body, size,
                 "{\"operation_id\":\"x\",\"data\":{\"task_id\":\"job-1\",\"provider\":\"bank_a\","
                 "\"status\":\"%s\",\"result\":\"%s\",\"reconnect_required\":%s,\"step\":4,"
                 "\"text\":\"Completed\"},\"metadata\":{\"status\":\"%s\"}}",
                 status, result, reconnect, status);
}

static void test_bud_results(void **state)
{
    char body[1024];

    (void)state;
    for (size_t i = 0; i < 2 * ROW_COUNT(bud_results); i++) {
        const struct status_row *row = &bud_results[i / 2];
        const bool is_v2 = i % 2 == 1;
        const char *status = row->class_ == CLASS_SUCCESS ? "Completed" : "Failed";

        bud_poll_body(body, sizeof body, is_v2, status, row->status, "false");
        classify(is_v2 ? &bud_v2 : &bud_v1, REQUEST_POLL, 200, body);
        assert_class(row->class_, row->reason, row->status);
        assert_false(answer.wants_look_up);
        assert_true(answer.is_about_job);
        if (row->class_ != CLASS_SUCCESS)
            assert_string_equal(texts.error_code, row->status);
        assert_string_equal(texts.child_job_id, is_v2 ? "S1" : "");
        /* Result before status: the pages disagree about the status of a revoked consent. */
        if (row->reason != REASON_JOB_FAILED) {
            bud_poll_body(body, sizeof body, is_v2, "Completed", row->status, "false");
            classify(is_v2 ? &bud_v2 : &bud_v1, REQUEST_POLL, 200, body);
            assert_class(row->class_, row->reason, row->status);
        }
        /* "reconnect_required true means needs-reconnect, whatever else is said." */
        bud_poll_body(body, sizeof body, is_v2, status, row->status, i % 3 ? "true" : "\"true\"");
        classify(is_v2 ? &bud_v2 : &bud_v1, REQUEST_POLL, 200, body);
        assert_class(CLASS_RECONNECT_REQUIRED, REASON_NONE, row->status);
    }
}

/* Sections 0.8 and 2.5, task status; no result, as in the v2 failure examples. */
static const struct status_row bud_statuses[] = {
    {"Pending", CLASS_RUNNING, REASON_NONE, false},
    {"Completed", CLASS_SUCCESS, REASON_NONE, false},
    {"Complete", CLASS_SUCCESS, REASON_NONE, false},
    {"completed", CLASS_SUCCESS, REASON_NONE, false},
    {"Failed", CLASS_RETRY_LATER, REASON_JOB_FAILED, false},
    {"FAILED", CLASS_RETRY_LATER, REASON_JOB_FAILED, false},
    {"Queued", CLASS_RUNNING, REASON_NONE, false},
};

static void test_bud_statuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ROW_COUNT(bud_statuses); i++) {
        const struct status_row *row = &bud_statuses[i / 2];
        char body[512];

        snprintf(body, sizeof body, "{\"data\":{\"task_id\":\"job-1\",\"status\":\"%s\"}}",
                 row->status);
        classify(i % 2 ? &bud_v2 : &bud_v1, REQUEST_POLL, 200, body);
        assert_class(row->class_, row->reason, row->status);
        /* Told in the metadata only. */
        snprintf(body, sizeof body, "{\"data\":{},\"metadata\":{\"status\":\"%s\"}}", row->status);
        classify(i % 2 ? &bud_v2 : &bud_v1, REQUEST_POLL, 200, body);
        assert_class(row->class_, row->reason, row->status);
    }
    classify(&bud_v1, REQUEST_POLL, 200, "{\"data\":{\"task_id\":\"job-1\"}}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "no status anywhere");
}

/* Section 2.5, HTTP-level errors, and 2.2, 2.4. */
static const struct code_row bud_codes[] = {
    {REQUEST_INITIATE, 401, "token_expired", CLASS_CREDENTIALS, REASON_AUTH, false},
    {REQUEST_POLL, 401, "token_expired", CLASS_CREDENTIALS, REASON_AUTH, false},
    {REQUEST_POLL, 401, "token_invalid", CLASS_CREDENTIALS, REASON_AUTH, false},
    {REQUEST_INITIATE, 401, "customer_not_found", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 401, "unauthorized_scope", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 401, "unknown", CLASS_CREDENTIALS, REASON_AUTH, false},
    {REQUEST_INITIATE, 401, "unauthorised", CLASS_CREDENTIALS, REASON_AUTH, false},
    {REQUEST_INITIATE, 403, "forbidden", CLASS_CREDENTIALS, REASON_AUTH, false},
    {REQUEST_INITIATE, 404, "unknown", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_POLL, 404, "unknown", CLASS_LOST, REASON_LOST, false},
    {REQUEST_POLL, 400, "task_not_found", CLASS_LOST, REASON_LOST, false},
    {REQUEST_INITIATE, 405, "unknown", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 429, "unknown", CLASS_PUSHBACK, REASON_PUSHBACK, false},
    {REQUEST_POLL, 429, "unknown", CLASS_PUSHBACK, REASON_PUSHBACK, false},
    {REQUEST_INITIATE, 500, "unknown", CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, false},
    {REQUEST_INITIATE, 503, "unknown", CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, false},
    {REQUEST_POLL, 502, "unknown", CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, false},
    {REQUEST_INITIATE, 400, "failed_validation", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_POLL, 400, "failed_validation", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 400, "provider_maintenance", CLASS_RETRY_LATER, REASON_MAINTENANCE, false},
    {REQUEST_INITIATE, 400, "invalid_login", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 400, "unique_constraint", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 400, "account_not_found", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 400, "request_validation", CLASS_CONFIG_ERROR, REASON_CONFIGURATION, false},
    {REQUEST_INITIATE, 400, "brand_new", CLASS_REJECTED, REASON_REJECTED, false},
    {REQUEST_INITIATE, 418, "brand_new", CLASS_REJECTED, REASON_REJECTED, false},
};

static void test_bud_codes(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ROW_COUNT(bud_codes); i++) {
        const struct code_row *row = &bud_codes[i / 2];
        char body[256];

        /* `errors` is an object of texts or of lists of texts (section 2.4). */
        snprintf(body, sizeof body,
                 "{\"operation_id\":\"x\",\"code_id\":\"%s\",\"message\":\"m\","
                 "\"errors\":{\"from\":[\"a\",\"b\"],\"to\":\"c\"}}",
                 row->code);
        classify(i % 2 ? &bud_v2 : &bud_v1, row->request, row->http, body);
        assert_class(row->class_, row->reason, row->code);
        assert_string_equal(texts.error_code, row->code);
    }
    /* "500/503 bodies may be just {message}" */
    classify(&bud_v2, REQUEST_POLL, 503, "{\"message\":\"try again\"}");
    assert_class(CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, "503");
    assert_string_equal(texts.error_message, "try again");
    assert_string_equal(texts.error_code, "");
}

static void test_bud_accepted(void **state)
{
    struct request_variables ours = api_variables();
    struct http_answer http = {.status = 202, .request_id = "req-77"};

    (void)state;
    http.body = "{\"operation_id\":\"open_banking_refresh_post\",\"data\":{\"task_id\":\"T1\","
                "\"provider\":\"bank_a\"},\"metadata\":{\"status\":\"Pending\",\"next_url\":"
                "\"https://elsewhere/x\",\"next_url_delay\":50}}";
    http.body_length = strlen(http.body);
    classify_answer(bud_v1.definition, REQUEST_INITIATE, &http, &ours, API_FIXTURE_NOW, &answer,
                    &texts);
    assert_class(CLASS_ACCEPTED, REASON_NONE, "v1");
    assert_string_equal(texts.provider_job_id, "T1");
    assert_string_equal(texts.request_id, "req-77");
    assert_int_equal(answer.poll_hint_ms, 50);
    /* Section 2.9. */
    classify(&bud_v2, REQUEST_INITIATE, 202,
             "{\"data\":{\"task_id\":\"P1\",\"sub_tasks\":[{\"provider\":\"bank_b\",\"task_id\":"
             "\"S2\"},{\"provider\":\"Bank_A\",\"task_id\":\"S1\"}]},\"metadata\":{\"status\":"
             "\"Pending\",\"next_url\":\"/v2/open-banking/refresh/P1\",\"next_url_delay\":500}}");
    assert_class(CLASS_ACCEPTED, REASON_NONE, "v2");
    assert_string_equal(texts.provider_job_id, "P1");
    assert_string_equal(texts.child_job_id, "S1");
    assert_int_equal(answer.poll_hint_ms, 500);
    classify(&bud_v2, REQUEST_INITIATE, 200, "{\"data\":{\"task_id\":\"P1\"}}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "200 is not 202");
}

static void test_bud_new_data(void **state)
{
    struct request_variables ours = api_variables();

    (void)state;
    /* v1: in metadata (section 2.4). */
    classify(&bud_v1, REQUEST_POLL, 200,
             "{\"data\":{\"task_id\":\"job-1\",\"status\":\"Completed\",\"result\":\"success\","
             "\"reconnect_required\":false},\"metadata\":{\"has_new_transactions\":true}}");
    assert_int_equal(answer.has_new_data, TRI_TRUE);
    classify(&bud_v1, REQUEST_POLL, 200,
             "{\"data\":{\"status\":\"Completed\",\"result\":\"success\"},"
             "\"metadata\":{\"has_new_transactions\":\"false\"}}");
    assert_int_equal(answer.has_new_data, TRI_FALSE);
    classify(&bud_v1, REQUEST_POLL, 200,
             "{\"data\":{\"status\":\"Completed\",\"result\":\"success\"},"
             "\"metadata\":{\"has_new_transactions\":1}}");
    assert_int_equal(answer.has_new_data, TRI_UNKNOWN);
    /* v2: in data and in each sub-task; ours is the sub-task's. */
    classify(&bud_v2, REQUEST_POLL, 200,
             "{\"data\":{\"task_id\":\"job-1\",\"status\":\"Completed\",\"result\":\"success\","
             "\"has_new_transactions\":true,\"sub_tasks\":[{\"provider\":\"bank_a\",\"status\":"
             "\"Completed\",\"result\":\"success\",\"has_new_transactions\":false},{\"provider\":"
             "\"bank_b\",\"status\":\"Completed\",\"result\":\"success\","
             "\"has_new_transactions\":true}]}}");
    assert_int_equal(answer.has_new_data, TRI_FALSE);
    /* Without an institution: of any. */
    api_set(&ours, API_VARIABLE_INSTITUTION, NULL);
    classify_with(&bud_v2, REQUEST_POLL, 200,
                  "{\"data\":{\"status\":\"Completed\",\"sub_tasks\":[{\"provider\":\"bank_a\","
                  "\"status\":\"Completed\",\"result\":\"success\",\"has_new_transactions\":false},"
                  "{\"provider\":\"bank_b\",\"status\":\"Completed\",\"result\":\"success\","
                  "\"has_new_transactions\":true}]}}",
                  &ours);
    assert_class(CLASS_SUCCESS, REASON_NONE, "both banks");
    assert_int_equal(answer.has_new_data, TRI_TRUE);
    classify_with(&bud_v2, REQUEST_POLL, 200,
                  "{\"data\":{\"status\":\"Completed\",\"sub_tasks\":[{\"provider\":\"bank_a\","
                  "\"status\":\"Completed\",\"has_new_transactions\":false},{\"provider\":"
                  "\"bank_b\",\"status\":\"Completed\"}]}}",
                  &ours);
    assert_int_equal(answer.has_new_data, TRI_UNKNOWN);
    classify_with(&bud_v2, REQUEST_POLL, 200,
                  "{\"data\":{\"status\":\"Completed\",\"sub_tasks\":[{\"provider\":\"bank_a\","
                  "\"status\":\"Completed\",\"has_new_transactions\":false}]}}",
                  &ours);
    assert_int_equal(answer.has_new_data, TRI_FALSE);
}

/* Section 2.9: one parent, two banks, two verdicts. */
static const char two_banks[] =
    "{\"operation_id\":\"v2_open_banking_refresh_get\",\"data\":{\"task_id\":\"job-1\",\"status\":"
    "\"Failed\",\"sub_tasks\":[{\"task_id\":\"S1\",\"provider\":\"bank_a\",\"status\":"
    "\"Completed\",\"result\":\"success\",\"reconnect_required\":false,\"has_new_transactions\":"
    "true},{\"task_id\":\"S2\",\"provider\":\"bank_b\",\"status\":\"Failed\",\"result\":"
    "\"connection_revoked\",\"reconnect_required\":true}]},\"metadata\":{\"status\":\"Failed\"}}";

static void test_bud_v2_our_bank_decides(void **state)
{
    struct request_variables ours = api_variables();

    (void)state;
    classify_with(&bud_v2, REQUEST_POLL, 200, two_banks, &ours);
    assert_class(CLASS_SUCCESS, REASON_NONE, "bank_a");
    assert_int_equal(answer.has_new_data, TRI_TRUE);
    api_set(&ours, API_VARIABLE_INSTITUTION, "bank_b");
    classify_with(&bud_v2, REQUEST_POLL, 200, two_banks, &ours);
    assert_class(CLASS_RECONNECT_REQUIRED, REASON_NONE, "bank_b");
    assert_string_equal(texts.error_code, "connection_revoked");
    assert_string_equal(texts.child_job_id, "S2");
    api_set(&ours, API_VARIABLE_INSTITUTION, "bank_c");
    classify_with(&bud_v2, REQUEST_POLL, 200, two_banks, &ours);
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "not among them");
    /* The consent is for all of the customer's banks: some of the data is there. */
    api_set(&ours, API_VARIABLE_INSTITUTION, NULL);
    classify_with(&bud_v2, REQUEST_POLL, 200, two_banks, &ours);
    assert_class(CLASS_PARTIAL, REASON_NONE, "both");
    assert_string_equal(texts.error_code, "connection_revoked");
    assert_string_equal(texts.error_message, "bank_b: connection_revoked");
}

static const struct {
    const char *results[3]; /* NULL: Pending */
    const char *parent;
    enum answer_class class_;
    enum reason reason;
} whole_customers[] = {
    {{"success", "success", "success"}, "Completed", CLASS_SUCCESS, REASON_NONE},
    {{"success", "provider_timeout", "success"}, "Failed", CLASS_PARTIAL, REASON_NONE},
    {{"connection_expired", "provider_timeout", "provider_not_found"},
     "Failed",
     CLASS_RETRY_LATER,
     REASON_INSTITUTION_ERROR},
    {{"connection_expired", "connection_revoked", "auth_used"},
     "Failed",
     CLASS_RECONNECT_REQUIRED,
     REASON_NONE},
    {{"connection_expired", "provider_request_limit", "auth_used"},
     "Failed",
     CLASS_COOLDOWN,
     REASON_PUSHBACK},
    {{"provider_not_found", "connection_expired", "provider_not_found"},
     "Failed",
     CLASS_RECONNECT_REQUIRED,
     REASON_NONE},
    {{"provider_not_found", "provider_not_found", "provider_not_found"},
     "Failed",
     CLASS_CONFIG_ERROR,
     REASON_CONFIGURATION},
    {{"success", "success", NULL}, "Pending", CLASS_RUNNING, REASON_NONE},
    {{"success", "success", NULL}, "Completed", CLASS_RUNNING, REASON_NONE},
};

static void test_bud_v2_whole_customer(void **state)
{
    struct request_variables ours = api_variables();

    (void)state;
    api_set(&ours, API_VARIABLE_INSTITUTION, NULL);
    for (size_t i = 0; i < ROW_COUNT(whole_customers); i++) {
        struct text body;

        text_init(&body, 4096);
        text_append_format(&body, "{\"data\":{\"status\":\"%s\",\"sub_tasks\":[",
                           whole_customers[i].parent);
        for (int k = 0; k < 3; k++) {
            const char *result = whole_customers[i].results[k];

            text_append_format(&body, "%s{\"provider\":\"b%d\",\"status\":\"%s\"", k ? "," : "", k,
                               result == NULL                   ? "Pending"
                               : strcmp(result, "success") == 0 ? "Completed"
                                                                : "Failed");
            if (result != NULL)
                text_append_format(&body, ",\"result\":\"%s\"", result);
            text_append_string(&body, "}");
        }
        text_append_string(&body, "]}}");
        classify_with(&bud_v2, REQUEST_POLL, 200, body.bytes, &ours);
        assert_class(whole_customers[i].class_, whole_customers[i].reason, body.bytes);
        text_deinit(&body);
    }
}

static void test_bud_v2_waits_for_the_whole_task(void **state)
{
    struct request_variables ours = api_variables();

    (void)state;
    /* "Do not start another refresh until the task is finished" (section 2.6). */
    classify(&bud_v2, REQUEST_POLL, 200,
             "{\"data\":{\"task_id\":\"job-1\",\"status\":\"Pending\",\"sub_tasks\":[{\"provider\":"
             "\"bank_a\",\"status\":\"Completed\",\"result\":\"success\"}]}}");
    assert_class(CLASS_RUNNING, REASON_NONE, "the parent still runs");
    classify(&bud_v2, REQUEST_POLL, 200,
             "{\"data\":{\"task_id\":\"job-1\",\"status\":\"Pending\",\"sub_tasks\":[{\"provider\":"
             "\"bank_a\",\"status\":\"Failed\",\"reconnect_required\":true}]}}");
    assert_class(CLASS_RECONNECT_REQUIRED, REASON_NONE, "the flag decides whatever else is said");
    api_set(&ours, API_VARIABLE_INSTITUTION, NULL);
    classify_with(&bud_v2, REQUEST_POLL, 200,
                  "{\"data\":{\"status\":\"Failed\",\"reconnect_required\":true,\"sub_tasks\":[{"
                  "\"provider\":\"b\",\"status\":\"Completed\",\"result\":\"success\"}]}}",
                  &ours);
    assert_class(CLASS_RECONNECT_REQUIRED, REASON_NONE, "the whole customer's flag");
    classify_with(
        &bud_v2, REQUEST_POLL, 200,
        "{\"data\":{\"status\":\"Failed\",\"result\":\"connection_revoked\",\"sub_tasks\":[{"
        "\"provider\":\"b\",\"status\":\"Completed\",\"result\":\"success\"},{\"provider\":"
        "\"c\",\"status\":\"Failed\",\"result\":\"connection_revoked\"}]}}",
        &ours);
    assert_class(CLASS_PARTIAL, REASON_NONE, "some of the data is there");
    classify(&bud_v2, REQUEST_POLL, 200,
             "{\"data\":{\"status\":\"Completed\",\"result\":\"success\",\"sub_tasks\":[]}}");
    assert_class(CLASS_SUCCESS, REASON_NONE, "no sub-tasks at all");
}

/* ---- tokens ---- */

static struct token_answer token;

static void classify_token_body(const struct api_fixture *api, const char *mode, int status,
                                const char *body)
{
    struct request_variables ours = api_variables();
    struct http_answer http = {.status = status, .body = body, .body_length = strlen(body)};

    classify_token(api->definition, api_definition_mode(api->definition, mode), &http, &ours,
                   API_FIXTURE_NOW, &token, &texts);
    answer = token.answer;
}

static void test_tokens(void **state)
{
    (void)state;
    text_init(&token.access_token, 100000);
    /* Section 2.2. */
    classify_token_body(&bud_v2, NULL, 200,
                        "{\"operation_id\":\"oauth_token_post\",\"data\":{\"access_token\":\"abc\","
                        "\"token_type\":\"bearer\",\"expires_in\":3600,\"refresh_token\":\"r\"}}");
    assert_true(token.is_granted);
    assert_string_equal(token.access_token.bytes, "abc");
    assert_true(token.lifetime_ms == 3600000);
    classify_token_body(&finqware, "oauth2", 200,
                        "{\"access_token\":\"xyz\",\"token_type\":\"Bearer\"}");
    assert_true(token.is_granted);
    assert_string_equal(token.access_token.bytes, "xyz");
    assert_true(token.lifetime_ms == 300000);
    /* "Wrong client credentials: HTTP 400 with code_id unknown, not 401." */
    classify_token_body(&bud_v1, NULL, 400,
                        "{\"code_id\":\"unknown\",\"message\":\"unauthorised request\"}");
    assert_false(token.is_granted);
    assert_class(CLASS_CREDENTIALS, REASON_AUTH, "400 unknown");
    classify_token_body(&bud_v1, NULL, 400, "{\"code_id\":\"failed_validation\"}");
    assert_class(CLASS_CREDENTIALS, REASON_AUTH, "400 failed_validation");
    classify_token_body(&bud_v1, NULL, 401, "{\"code_id\":\"unauthorised\"}");
    assert_class(CLASS_CREDENTIALS, REASON_AUTH, "401");
    classify_token_body(&bud_v1, NULL, 403, "{\"code_id\":\"forbidden\"}");
    assert_class(CLASS_CREDENTIALS, REASON_AUTH, "403");
    classify_token_body(&bud_v1, NULL, 500, "{\"code_id\":\"unknown\"}");
    assert_class(CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, "500");
    classify_token_body(&bud_v1, NULL, 429, "");
    assert_class(CLASS_PUSHBACK, REASON_PUSHBACK, "429");
    classify_token_body(&finqware, "oauth2", 401,
                        "{\"error\":\"invalid_client\",\"error_description\":\"no\"}");
    assert_class(CLASS_CREDENTIALS, REASON_AUTH, "RFC 6749 invalid_client");
    assert_string_equal(texts.error_code, "invalid_client");
    classify_token_body(&finqware, "oauth2", 400, "{\"error\":\"invalid_scope\"}");
    assert_class(CLASS_CREDENTIALS, REASON_AUTH, "RFC 6749 invalid_scope");
    text_wipe(&token.access_token);
}

static void test_unusable_tokens(void **state)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "[]",
        "{\"data\":{}}",
        "{\"data\":{\"access_token\":\"\"}}",
        "{\"data\":{\"access_token\":17}}",
        "{\"data\":{\"access_token\":\"a\\r\\nX-Evil: 1\"}}",
        "{\"data\":{\"access_token\":\"leaked-token\",\"token_type\":\"mac\"}}",
    };

    (void)state;
    text_init(&token.access_token, 100000);
    for (size_t i = 0; i < ROW_COUNT(bodies); i++) {
        classify_token_body(&bud_v2, NULL, 200, bodies[i]);
        assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, bodies[i]);
        assert_false(token.is_granted);
        assert_int_equal(token.access_token.length, 0);
        assert_null(strstr(texts.error_message, "leaked"));
        assert_string_equal(texts.body_head, "");
    }
    /* An absurd lifetime is brought down, one that is none falls back to the default. */
    classify_token_body(&bud_v2, NULL, 200,
                        "{\"data\":{\"access_token\":\"a\",\"expires_in\":1e300}}");
    assert_true(token.lifetime_ms == 30 * MS_PER_DAY);
    classify_token_body(&bud_v2, NULL, 200,
                        "{\"data\":{\"access_token\":\"a\",\"expires_in\":-1}}");
    assert_true(token.lifetime_ms == 3600000);
    text_wipe(&token.access_token);
}

/* ---- nonsense ---- */

static const char *const nonsense[] = {
    "",
    " ",
    "null",
    "true",
    "17",
    "\"job_completed\"",
    "<html><body>502 Bad Gateway</body></html>",
    "{",
    "{\"status\":",
    "{\"status\":\"job_completed\"",                            /* cut */
    "{\"status\":\"job_completed\"}x",                          /* trailing bytes */
    "{\"status\":\"job_failed\",\"status\":\"job_completed\"}", /* duplicate key */
    "{\"status\":\"job_completed\\u0000\"}",                    /* NUL */
    "{\"status\":\"job_completed\\ud800\"}",                    /* lone surrogate */
    "{\"status\":\"\xff\xfe\"}",                                /* not UTF-8 */
    "{\"status\":null}",
    "{\"status\":true}",
    "{\"status\":1.5}",
    "{\"status\":[]}",
    "{\"status\":{\"status\":\"job_completed\"}}",
    "{\"status\":\"\"}",
    "{\"Status\":\"job_completed\"}",
    "{}",
    "[]",
    "[{\"status\":\"job_completed\"}]",
    "{'status':'job_completed'}",
    "{\"status\":NaN}",
    "{\"status\":1e999}",
};

static void test_nonsense_is_a_bad_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(nonsense); i++) {
        classify(&finqware, REQUEST_POLL, 200, nonsense[i]);
        assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, nonsense[i]);
        assert_string_not_equal(texts.error_message, "");
        classify(&finqware, REQUEST_INITIATE, 200, nonsense[i]);
        assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, nonsense[i]);
        assert_int_equal(answer.reference_hash, 0);
        classify(&finqware, REQUEST_LOOK_UP, 200, nonsense[i]);
        assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, nonsense[i]);
        /* With an error status it is an error like any other. */
        classify(&finqware, REQUEST_POLL, 502, nonsense[i]);
        assert_class(CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, nonsense[i]);
        classify(&bud_v2, REQUEST_INITIATE, 429, nonsense[i]);
        assert_class(CLASS_PUSHBACK, REASON_PUSHBACK, nonsense[i]);
    }
}

static void test_deep_and_long_bodies(void **state)
{
    struct request_variables ours = api_variables();
    struct http_answer http = {.status = 200};
    char *body = malloc(5000000);

    (void)state;
    assert_non_null(body);
    memset(body, '[', 5000000);
    http.body = body;
    http.body_length = 2000000;
    classify_answer(finqware.definition, REQUEST_POLL, &http, &ours, API_FIXTURE_NOW, &answer,
                    &texts);
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "two million brackets");
    assert_int_equal(strlen(texts.body_head), sizeof texts.body_head - 1);
    http.body_length = 5000000;
    classify_answer(finqware.definition, REQUEST_POLL, &http, &ours, API_FIXTURE_NOW, &answer,
                    &texts);
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "more than is read");
    free(body);
}

static void test_statuses_of_http(void **state)
{
    static const struct {
        int http;
        enum answer_class class_;
        enum reason reason;
    } rows[] = {
        {100, CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
        {201, CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
        {204, CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
        {301, CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
        {302, CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
        {307, CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
        {400, CLASS_REJECTED, REASON_REJECTED},
        {401, CLASS_CREDENTIALS, REASON_AUTH},
        {403, CLASS_CREDENTIALS, REASON_AUTH},
        {409, CLASS_REJECTED, REASON_REJECTED},
        {429, CLASS_PUSHBACK, REASON_PUSHBACK},
        {499, CLASS_REJECTED, REASON_REJECTED},
        {500, CLASS_RETRY_LATER, REASON_PROVIDER_ERROR},
        {599, CLASS_RETRY_LATER, REASON_PROVIDER_ERROR},
        {600, CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
        {999, CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
        {0, CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
        {-5, CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        char what[16];

        snprintf(what, sizeof what, "HTTP %d", rows[i].http);
        classify(&finqware, REQUEST_INITIATE, rows[i].http,
                 "{\"job_id\":\"9d11\",\"code\":\"unheard_of\"}");
        assert_class(rows[i].class_, rows[i].reason, what);
    }
}

static void test_job_ids(void **state)
{
    char body[1024];
    char id[300];

    (void)state;
    memset(id, 'j', sizeof id);
    snprintf(body, sizeof body, "{\"job_id\":\"%.255s\"}", id);
    classify(&finqware, REQUEST_INITIATE, 200, body);
    assert_class(CLASS_ACCEPTED, REASON_NONE, "255 bytes");
    assert_int_equal(strlen(texts.provider_job_id), 255);
    snprintf(body, sizeof body, "{\"job_id\":\"%.256s\"}", id);
    classify(&finqware, REQUEST_INITIATE, 200, body);
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "256 bytes are refused, not cut");
    assert_string_equal(texts.provider_job_id, "");
    classify(&finqware, REQUEST_INITIATE, 200, "{\"job_id\":9007199254740993}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "a number where ids are texts");
    assert_string_equal(texts.provider_job_id, "");
    classify(&finqware, REQUEST_INITIATE, 200, "{\"job_id\":\"a\\r\\nb\"}");
    assert_class(CLASS_BAD_ANSWER, REASON_BAD_ANSWER, "control bytes");
    classify(&finqware, REQUEST_INITIATE, 200, "{\"code\":\"cooldown_failed\"}");
    assert_class(CLASS_COOLDOWN, REASON_COOLDOWN, "200 with an error code and no job");
}

/* ---- texts ---- */

static void test_secrets_stay_out_of_texts(void **state)
{
    /* s3cret/+"x as it is, percent-encoded, JSON-escaped; Basic; the token; the customer's. */
    static const char *const echoes[] = {
        "{\"code\":\"c\",\"message\":\"bad secret s3cret/+\\\"x here\"}",
        "{\"code\":\"c\",\"message\":\"secret=s3cret%2F%2b%22x&a\"}",
        "{\"code\":\"c\",\"message\":\"body was {\\\"s\\\":\\\"s3cret/+\\\\\\\"x\\\"}\"}",
        "{\"code\":\"c\",\"message\":\"Basic YWNtZTpzM2NyZXQvKyJ4 refused\"}",
        "{\"code\":\"c\",\"message\":\"Bearer tok.en-12345 expired\"}",
        "{\"code\":\"c\",\"message\":\"twice: {\\\"s\\\":\\\"s3cret\\\\/+\\\\\\\"x\\\"}\"}",
        "{\"message\":\"s3cret\\/\\u002b\\u0022x\"}",
        "{\"code\":\"tok.en-12345\",\"message\":\"m\"}",
        "{\"code\":\"c\",\"message\":\"hunter2hunter2\"}",
        "{\"code\":\"c\",\"error_id\":\"tok.en-12345\",\"request_id\":\"hunter2hunter2\"}",
        "<p>s3cret/+\"x tok.en-12345</p>",
    };
    static const char *const secrets[] = {"s3cret", "YWNtZ", "tok.en", "hunter2"};
    struct request_variables ours = api_variables();

    (void)state;
    api_set(&ours, API_VARIABLE_CUSTOMER_SECRET, "hunter2hunter2");
    for (size_t i = 0; i < ROW_COUNT(echoes); i++) {
        bool is_marked = false;

        classify_with(&finqware, REQUEST_INITIATE, i % 2 ? 400 : 302, echoes[i], &ours);
        for (size_t k = 0; k < ROW_COUNT(secrets); k++) {
            assert_null(strstr(texts.error_message, secrets[k]));
            assert_null(strstr(texts.error_code, secrets[k]));
            assert_null(strstr(texts.error_id, secrets[k]));
            assert_null(strstr(texts.request_id, secrets[k]));
            assert_null(strstr(texts.body_head, secrets[k]));
        }
        is_marked = strstr(texts.error_message, "***") != NULL ||
                    strstr(texts.error_code, "***") != NULL ||
                    strstr(texts.error_id, "***") != NULL || strstr(texts.body_head, "***") != NULL;
        assert_true(is_marked);
    }
}

static void test_texts_are_cut_and_escaped(void **state)
{
    char body[2048] = "{\"code\":\"c\",\"message\":\"";
    size_t used = strlen(body);

    (void)state;
    classify(&finqware, REQUEST_INITIATE, 400,
             "{\"code\":\"c\",\"message\":\"a\\nb\\tc\\u001b[31m\\u007f\\u0085 \xC3\xA9\"}");
    assert_string_equal(texts.error_message, "a\\nb\\tc\\x1b[31m\\x7f\\xc2\\x85 \xC3\xA9");
    /* 512 bytes at most, and no half of an e with an accent. */
    for (int i = 0; i < 400; i++, used += 2)
        memcpy(body + used, "\xC3\xA9", 2);
    memcpy(body + used, "\"}", 3);
    classify(&finqware, REQUEST_INITIATE, 400, body);
    assert_int_equal(strlen(texts.error_message), 512);
    body[23] = 'x'; /* in place of the first one: now the cut falls inside another */
    memmove(body + 24, body + 25, strlen(body + 25) + 1);
    classify(&finqware, REQUEST_INITIATE, 400, body);
    assert_int_equal(strlen(texts.error_message), 511);
    /* A secret where the cut falls does not show its beginning. */
    memset(body, 'm', sizeof body);
    memcpy(body, "{\"code\":\"c\",\"message\":\"", 23);
    memcpy(body + 23 + 505, "tok.en-12345\"}", 15);
    classify(&finqware, REQUEST_INITIATE, 400, body);
    assert_null(strstr(texts.error_message, "tok"));
    /* A message that is no text is no message. */
    classify(&finqware, REQUEST_INITIATE, 400, "{\"code\":\"c\",\"message\":{\"a\":1}}");
    assert_string_equal(texts.error_message, "");
    classify(&finqware, REQUEST_INITIATE, 400, "{\"code\":17,\"message\":\"m\"}");
    assert_string_equal(texts.error_code, "17");
    assert_class(CLASS_REJECTED, REASON_REJECTED, "a number as code");
}

/* ---- Retry-After ---- */

static void test_retry_after(void **state)
{
    /* now is Fri, 20 Nov 2026 23:41:40 GMT */
    static const struct {
        const char *value;
        int64_t ms;
    } rows[] = {
        {"0", 0},
        {"120", 120000},
        {" 7 ", 7000},
        {"+5", 5000},
        {"1.9", 1000},
        {"-1", 0},
        {"86400", MS_PER_DAY},
        {"86401", MS_PER_DAY},
        {"99999999999999999999999999", MS_PER_DAY},
        {"Fri, 20 Nov 2026 23:42:40 GMT", 60000},
        {"Friday, 20-Nov-26 23:42:40 GMT", 60000},
        {"Fri Nov 20 23:42:40 2026", 60000},
        {"Sat, 21 Nov 2026 00:41:40 GMT", 3600000},
        {"Fri, 20 Nov 2026 23:00:00 GMT", 0},
        {"Sun Nov  6 08:49:37 1994", 0},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 0},
        {"Fri, 20 Nov 2099 23:41:40 GMT", MS_PER_DAY},
        {"Thursday, 20-Nov-70 23:41:40 GMT", MS_PER_DAY}, /* within 50 years: 2070 */
        {"", -1},
        {"soon", -1},
        {"5 minutes", -1},
        {"0x10", -1},
        {"1e3", -1},
        {"Fri, 20 Nov 2026 23:42:40", -1},
        {"Fri, 20 Nov 2026 25:42:40 GMT", -1},
        {"Fri, 20 Foo 2026 23:42:40 GMT", -1},
        {"Fri, 20 Nov 2026 23:42:40 GMT and more", -1},
        {"2026-11-20T23:42:40Z", -1},
    };
    struct request_variables ours = api_variables();
    struct http_answer http = {
        .status = 429, .body = "", .retry_after = "Fri, 20 Nov 2026 23:42:40 GMT"};

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++)
        if (retry_after_parse(rows[i].value, API_FIXTURE_NOW) != rows[i].ms)
            fail_msg("\"%s\" is %" PRId64, rows[i].value,
                     retry_after_parse(rows[i].value, API_FIXTURE_NOW));
    assert_int_equal(retry_after_parse(NULL, API_FIXTURE_NOW), -1);
    classify_answer(finqware.definition, REQUEST_INITIATE, &http, &ours, API_FIXTURE_NOW, &answer,
                    &texts);
    assert_int_equal(answer.retry_after_ms, 60000);
    assert_string_equal(texts.retry_after_raw, http.retry_after);
    http.retry_after = "soon";
    classify_answer(finqware.definition, REQUEST_INITIATE, &http, &ours, API_FIXTURE_NOW, &answer,
                    &texts);
    assert_int_equal(answer.retry_after_ms, -1);
    assert_string_equal(texts.retry_after_raw, "soon");
}

/* ---- what only the documented example has ---- */

static void test_the_documented_example(void **state)
{
    const char *sources = getenv("TEST_SOURCES");
    struct api_fixture pebble;
    char path[4096];

    (void)state;
    if (sources == NULL)
        skip();
    snprintf(path, sizeof path, "%s/../docs/examples/pebble.yaml", sources);
    api_fixture_open(&pebble, path);
    /* Attached to a refresh that runs already: accepted, and begun before our sending. */
    classify(&pebble, REQUEST_INITIATE, 409,
             "{\"error\":{\"type\":\"running\"},\"refresh\":{\"id\":\"R1\",\"wait_seconds\":4.5,"
             "\"started_at\":\"2026-11-20T23:00:00.250+0100\"}}");
    assert_class(CLASS_ACCEPTED, REASON_NONE, "409 with a job");
    assert_string_equal(texts.provider_job_id, "R1");
    assert_int_equal(answer.poll_hint_ms, 4500);
    assert_true(answer.job_started.ms == API_FIXTURE_NOW.ms - 6099750);
    /* The same code without a job is a refusal. */
    classify(&pebble, REQUEST_INITIATE, 409,
             "{\"error\":{\"type\":\"too_soon\",\"retry_at\":\"2026-11-21T01:00:00Z\"}}");
    assert_class(CLASS_COOLDOWN, REASON_COOLDOWN, "409 too_soon");
    assert_true(answer.not_before.ms == API_FIXTURE_NOW.ms + 4700000);
    classify(&pebble, REQUEST_INITIATE, 409, "{}");
    assert_class(CLASS_REJECTED, REASON_REJECTED, "409 and not a word");
    classify(&pebble, REQUEST_INITIATE, 202, "{\"refresh\":{\"id\":\"R\",\"wait_seconds\":-2}}");
    assert_int_equal(answer.poll_hint_ms, -1);
    classify(&pebble, REQUEST_INITIATE, 409, "<html>");
    assert_class(CLASS_REJECTED, REASON_REJECTED, "409 that is not JSON");
    assert_string_equal(texts.body_head, "<html>");
    /* Instants that nobody can mean. */
    classify(&pebble, REQUEST_INITIATE, 409, "{\"error\":{\"retry_at\":\"9999-01-01T00:00:00Z\"}}");
    assert_true(answer.not_before.ms == API_FIXTURE_NOW.ms + 31 * MS_PER_DAY);
    classify(&pebble, REQUEST_INITIATE, 409, "{\"error\":{\"retry_at\":\"soon\"}}");
    assert_true(answer.not_before.ms == UTC_NONE.ms);
    classify(&pebble, REQUEST_POLL, 200,
             "{\"refresh\":{\"id\":\"job-1\",\"state\":\"done\",\"changed\":\"TRUE\"},"
             "\"connection\":{\"id\":\"consent-1\",\"access_ends_at\":\"0001-01-01T00:00:00Z\"}}");
    assert_class(CLASS_SUCCESS, REASON_NONE, "done");
    assert_int_equal(answer.has_new_data, TRI_TRUE);
    assert_true(answer.expires.ms == UTC_NONE.ms);
    classify(&pebble, REQUEST_POLL, 200,
             "{\"refresh\":{\"state\":\"done_with_errors\"},\"connection\":{\"access_ends_at\":"
             "\"2027-01-31\"}}");
    assert_class(CLASS_PARTIAL, REASON_NONE, "done_with_errors");
    assert_true(answer.expires.ms == INT64_C(1801353600000));
    classify(&pebble, REQUEST_POLL, 410, "");
    assert_class(CLASS_LOST, REASON_LOST, "410");
    classify(&pebble, REQUEST_LOOK_UP, 200, "{\"connection\":{\"state\":\"frozen\"}}");
    assert_int_equal(answer.look_up, LOOK_UP_SUSPENDED);
    api_fixture_close(&pebble);
}

/* Shapes that no definition so far has. */
static const char shapes[] =
    "name: shapes\n"
    "title: t\n"
    "unattended: true\n"
    "auth: {a: {}}\n"
    "consent: {single_flight: id}\n"
    "in_doubt: await\n"
    "statuses: {success: done}\n"
    "errors: {code: /c}\n"
    "causes: [{code: fine, class: success}, {http: 400, class: config_error}]\n"
    "requests:\n"
    "  initiate: {method: POST, path: /i, accepted: 200, answer: {job: /id,\n"
    "             echo: {/own: consent.customer_own_id}}}\n"
    "  poll: {method: GET, path: '/p/{job.id}', accepted: 200, answer: {status: /s}}\n";

static void test_other_shapes(void **state)
{
    struct api_fixture api;

    (void)state;
    arena_init(&api.arena);
    diagnostics_init(&api.diagnostics, 100);
    api.definition =
        api_definition_parse(shapes, strlen(shapes), "shapes", &api.arena, &api.diagnostics);
    assert_non_null(api.definition);
    /* A rule that says "success" is about jobs: it does not judge an initiation. */
    classify(&api, REQUEST_INITIATE, 400, "{\"c\":\"fine\"}");
    assert_class(CLASS_CONFIG_ERROR, REASON_CONFIGURATION, "initiate");
    classify(&api, REQUEST_POLL, 400, "{\"c\":\"fine\"}");
    assert_class(CLASS_SUCCESS, REASON_NONE, "poll");
    /* An echo of what this consent does not have says nothing. */
    classify(&api, REQUEST_INITIATE, 200, "{\"id\":\"J\",\"own\":\"o-1\"}");
    assert_class(CLASS_ACCEPTED, REASON_NONE, "echo");
    api_fixture_close(&api);
}

/* ---- no answer ---- */

static void test_transport_failures(void **state)
{
    static const struct {
        struct transport_failure failure;
        enum answer_class class_;
        enum reason reason;
    } rows[] = {
        {{.reached_socket = false, .description = "refused"}, CLASS_TRANSPORT, REASON_TRANSPORT},
        {{.reached_socket = true, .description = "timeout"}, CLASS_TRANSPORT, REASON_TRANSPORT},
        {{.reached_socket = true, .is_oversized = true}, CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
        {{.reached_socket = true, .is_malformed = true}, CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
    };
    struct request_variables ours = api_variables();

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        classify_transport(&rows[i].failure, &ours, API_FIXTURE_NOW, &answer, &texts);
        assert_class(rows[i].class_, rows[i].reason, "transport");
        assert_int_equal(answer.reached_socket, rows[i].failure.reached_socket);
        assert_false(answer.answered);
        assert_int_equal(answer.retry_after_ms, -1);
        if (rows[i].failure.description != NULL)
            assert_string_equal(texts.error_message, rows[i].failure.description);
    }
}

/* ---- whatever arrives ---- */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 17;
}

/* Begins with a letter that no escape ends in: \\t and the rest of a damaged one is no leak. */
static const char damaged_token[] = "Zok.en-12345";

static void assert_clean(const char *text, size_t size)
{
    assert_true(strlen(text) < size);
    assert_null(strstr(text, damaged_token));
    for (const char *p = text; *p != '\0'; p++)
        assert_true((unsigned char)*p >= 0x20 && *p != 0x7F);
}

/* Damaged answers of all kinds: always a class, never a crash, never a secret or a control byte. */
static void test_damaged_bodies(void **state)
{
    static const char *const bodies[] = {
        two_banks,
        "{\"consent_id\":\"consent-1\",\"job_id\":\"job-1\",\"status\":\"job_completed\"}",
        "{\"error_id\":\"Zok.en-12345\",\"code\":\"x\",\"message\":\"a Zok.en-12345 b\\u0007\"}",
        "{\"data\":{\"task_id\":\"job-1\",\"status\":\"Failed\",\"result\":\"provider_timeout\"},"
        "\"metadata\":{\"has_new_transactions\":true,\"next_url_delay\":50}}",
    };
    static const int codes[] = {200, 202, 400, 401, 404, 429, 500, 302};
    static const char bytes[] = "{}[],:\"\\0a-9.e \n\x01\xff\xc3\xa9tfn";
    struct api_fixture *const apis[] = {&finqware, &bud_v1, &bud_v2};
    uint64_t seed = unit_seed();

    (void)state;
    for (int round = 0; round < 20000; round++) {
        const char *origin = bodies[next_random(&seed) % ROW_COUNT(bodies)];
        const struct api_fixture *api = apis[next_random(&seed) % ROW_COUNT(apis)];
        enum request_kind kind = (enum request_kind)(next_random(&seed) % 3);
        struct request_variables ours = api_variables();
        struct http_answer http = {.status = codes[next_random(&seed) % ROW_COUNT(codes)]};
        size_t length = strlen(origin);
        char *body = malloc(length + 1);

        assert_non_null(body);
        api_set(&ours, API_VARIABLE_TOKEN, damaged_token);
        memcpy(body, origin, length + 1);
        for (uint64_t i = next_random(&seed) % 4; i > 0; i--)
            body[next_random(&seed) % length] = bytes[next_random(&seed) % (sizeof bytes - 1)];
        if (next_random(&seed) % 4 == 0)
            length = next_random(&seed) % length;
        if (next_random(&seed) % 2 == 0)
            api_set(&ours, API_VARIABLE_INSTITUTION, NULL);
        if (!api->definition->requests[kind].is_used)
            kind = REQUEST_POLL;
        http.body = body;
        http.body_length = length;
        classify_answer(api->definition, kind, &http, &ours, API_FIXTURE_NOW, &answer, &texts);
        assert_true(answer.class_ > CLASS_NONE && answer.class_ < CLASS_COUNT);
        assert_int_equal(answer.class_ == CLASS_ACCEPTED, answer.reference_hash != 0);
        assert_int_equal(answer.class_ == CLASS_ACCEPTED, texts.provider_job_id[0] != '\0');
        assert_clean(texts.error_code, sizeof texts.error_code);
        assert_clean(texts.error_id, sizeof texts.error_id);
        assert_clean(texts.error_message, sizeof texts.error_message);
        assert_clean(texts.body_head, sizeof texts.body_head);
        free(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finqware_codes),
        cmocka_unit_test(test_finqware_job_statuses),
        cmocka_unit_test(test_finqware_create),
        cmocka_unit_test(test_finqware_consent_look_up),
        cmocka_unit_test(test_bud_consent_look_up),
        cmocka_unit_test(test_another_consents_answer_is_refused),
        cmocka_unit_test(test_bud_results),
        cmocka_unit_test(test_bud_statuses),
        cmocka_unit_test(test_bud_codes),
        cmocka_unit_test(test_bud_accepted),
        cmocka_unit_test(test_bud_new_data),
        cmocka_unit_test(test_bud_v2_our_bank_decides),
        cmocka_unit_test(test_bud_v2_whole_customer),
        cmocka_unit_test(test_bud_v2_waits_for_the_whole_task),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_unusable_tokens),
        cmocka_unit_test(test_nonsense_is_a_bad_answer),
        cmocka_unit_test(test_deep_and_long_bodies),
        cmocka_unit_test(test_statuses_of_http),
        cmocka_unit_test(test_job_ids),
        cmocka_unit_test(test_secrets_stay_out_of_texts),
        cmocka_unit_test(test_texts_are_cut_and_escaped),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_the_documented_example),
        cmocka_unit_test(test_other_shapes),
        cmocka_unit_test(test_transport_failures),
        cmocka_unit_test(test_damaged_bodies),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
