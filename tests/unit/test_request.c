/* SPDX-License-Identifier: MIT
 * test_request.c - the exact bytes of every request of the built-in APIs in every auth mode, and
 * ids that try to break out of them. */
#include "provider/request.h"

#include "tests/unit/api_fixture.h"

struct plan_fixture {
    struct api_fixture api;
    const struct request_plan *plan;
    struct request request;
    struct request_variables variables;
    struct fault fault;
};

static void plan_open(struct plan_fixture *fixture, const char *api, const char *mode,
                      const char *token_url)
{
    api_fixture_open(&fixture->api, api);
    assert_int_equal(request_compile(fixture->api.definition,
                                     api_definition_mode(fixture->api.definition, mode),
                                     "https://api.example/base", token_url, &fixture->api.arena,
                                     &fixture->plan, &fixture->fault),
                     RESULT_OK);
    request_init(&fixture->request);
    fixture->variables = api_variables();
}

static void plan_close(struct plan_fixture *fixture)
{
    request_deinit(&fixture->request);
    api_fixture_close(&fixture->api);
}

static void build(struct plan_fixture *fixture, enum request_kind kind)
{
    if (request_build(fixture->plan, kind, &fixture->variables, &fixture->request,
                      &fixture->fault) != RESULT_OK)
        fail_msg("%s", fixture->fault.text);
}

/* All header lines, joined by a bar. */
static void assert_request(const struct plan_fixture *fixture, const char *method, const char *url,
                           const char *headers, const char *body)
{
    const struct request *request = &fixture->request;
    struct text joined;

    text_init(&joined, 8192);
    for (uint32_t i = 0; i < request->header_count; i++) {
        text_append_string(&joined, i == 0 ? "" : "|");
        text_append_string(&joined, request->header_lines[i]);
    }
    assert_string_equal(request->method, method);
    assert_string_equal(request->url.bytes, url);
    assert_string_equal(joined.bytes, headers);
    assert_int_equal(request->has_body, body != NULL);
    assert_string_equal(request->body.bytes, body == NULL ? "" : body);
    text_deinit(&joined);
}

static void assert_fault(struct plan_fixture *fixture, enum request_kind kind, const char *text)
{
    assert_int_equal(
        request_build(fixture->plan, kind, &fixture->variables, &fixture->request, &fixture->fault),
        RESULT_FAULT);
    if (strstr(fixture->fault.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", fixture->fault.text, text);
    assert_int_equal(fixture->request.url.length, 0);
    assert_int_equal(fixture->request.header_count, 0);
    assert_int_equal(fixture->request.body.length, 0);
}

#define JSON_HEADERS "Accept: application/json|Content-Type: application/json"
#define FORM_HEADERS "Accept: application/json|Content-Type: application/x-www-form-urlencoded"

static void test_finqware_internal(void **state)
{
    struct plan_fixture f;

    (void)state;
    plan_open(&f, "finqware", "internal", NULL);
    api_set(&f.variables, API_VARIABLE_CALLBACK_URL, "https://r.example/webhooks/finq/tok");
    build(&f, REQUEST_INITIATE);
    assert_request(&f, "POST", "https://api.example/base/v2/ais/jobs/create", JSON_HEADERS,
                   "{\"client_id\":\"acme\",\"client_secret\":\"s3cret/+\\\"x\","
                   "\"consent_id\":\"consent-1\","
                   "\"callback_url\":\"https://r.example/webhooks/finq/tok\"}");
    api_set(&f.variables, API_VARIABLE_CALLBACK_URL, NULL);
    build(&f, REQUEST_INITIATE);
    assert_request(&f, "POST", "https://api.example/base/v2/ais/jobs/create", JSON_HEADERS,
                   "{\"client_id\":\"acme\",\"client_secret\":\"s3cret/+\\\"x\","
                   "\"consent_id\":\"consent-1\"}");
    build(&f, REQUEST_POLL);
    assert_request(&f, "POST", "https://api.example/base/v2/ais/jobs/get", JSON_HEADERS,
                   "{\"client_id\":\"acme\",\"client_secret\":\"s3cret/+\\\"x\","
                   "\"consent_id\":\"consent-1\",\"job_id\":\"job-1\"}");
    build(&f, REQUEST_LOOK_UP);
    assert_request(&f, "POST", "https://api.example/base/v2/ais/consents/get", JSON_HEADERS,
                   "{\"client_id\":\"acme\",\"client_secret\":\"s3cret/+\\\"x\","
                   "\"consent_id\":\"consent-1\"}");
    assert_fault(&f, REQUEST_TOKEN, "no request \"token\"");
    plan_close(&f);
}

static void test_finqware_oauth2(void **state)
{
    struct plan_fixture f;
    const struct request_plan *plan = NULL;
    struct fault fault;

    (void)state;
    plan_open(&f, "finqware", "oauth2", "https://login.example/oauth/token");
    build(&f, REQUEST_INITIATE);
    assert_request(&f, "POST", "https://api.example/base/v2/ais/jobs/create",
                   JSON_HEADERS "|Authorization: Bearer tok.en-12345",
                   "{\"client_id\":\"acme\",\"consent_id\":\"consent-1\"}");
    assert_null(strstr(f.request.body.bytes, "s3cret"));
    build(&f, REQUEST_POLL);
    assert_request(&f, "POST", "https://api.example/base/v2/ais/jobs/get",
                   JSON_HEADERS "|Authorization: Bearer tok.en-12345",
                   "{\"client_id\":\"acme\",\"consent_id\":\"consent-1\",\"job_id\":\"job-1\"}");
    build(&f, REQUEST_TOKEN);
    assert_request(&f, "POST", "https://login.example/oauth/token",
                   FORM_HEADERS "|Authorization: Basic YWNtZTpzM2NyZXQvKyJ4",
                   "grant_type=client_credentials");
    api_set(&f.variables, API_VARIABLE_SCOPE, "ais read&write=\xC3\xA9");
    build(&f, REQUEST_TOKEN);
    assert_string_equal(f.request.body.bytes,
                        "grant_type=client_credentials&scope=ais%20read%26write%3D%C3%A9");
    /* The definition leaves the token URL to the configuration. */
    assert_int_equal(request_compile(f.api.definition, 1, "https://api.example", NULL, &f.api.arena,
                                     &plan, &fault),
                     RESULT_FAULT);
    assert_non_null(strstr(fault.text, "auth.token_url"));
    assert_null(plan);
    plan_close(&f);
}

static void test_bud_v1(void **state)
{
    struct plan_fixture f;
    (void)state;
    plan_open(&f, "bud-v1", NULL, NULL);
    build(&f, REQUEST_TOKEN);
    assert_request(&f, "POST", "https://api.example/base/v1/oauth/token",
                   FORM_HEADERS "|Authorization: Basic YWNtZTpzM2NyZXQvKyJ4|X-Client-Id: acme",
                   "grant_type=client_credentials");
    build(&f, REQUEST_INITIATE);
    assert_request(&f, "POST", "https://api.example/base/v1/open-banking/refresh",
                   JSON_HEADERS "|Authorization: Bearer tok.en-12345|X-Client-Id: acme|"
                                "X-Customer-Id: customer-1",
                   "{\"provider\":\"bank_a\"}");
    /* Our own id for the customer instead of theirs; a customer who is not hosted. */
    api_set(&f.variables, API_VARIABLE_CUSTOMER, NULL);
    api_set(&f.variables, API_VARIABLE_CUSTOMER_OWN_ID, "own-7");
    api_set(&f.variables, API_VARIABLE_CUSTOMER_SECRET, "hunter2");
    f.variables.from = (struct utc_time){API_FIXTURE_NOW.ms - 30 * MS_PER_DAY};
    f.variables.to = (struct utc_time){API_FIXTURE_NOW.ms - MS_PER_DAY};
    build(&f, REQUEST_INITIATE);
    assert_request(&f, "POST", "https://api.example/base/v1/open-banking/refresh",
                   JSON_HEADERS "|Authorization: Bearer tok.en-12345|X-Client-Id: acme|"
                                "X-Customer-Idempotent-Identifier: own-7|"
                                "X-Customer-Secret: hunter2",
                   "{\"provider\":\"bank_a\",\"from\":\"2026-10-21T23:41:40Z\","
                   "\"to\":\"2026-11-19T23:41:40Z\"}");
    /* Only the POST takes the customer's secret. */
    build(&f, REQUEST_POLL);
    assert_request(&f, "GET", "https://api.example/base/v1/open-banking/refresh/job-1",
                   "Accept: application/json|Authorization: Bearer tok.en-12345|"
                   "X-Client-Id: acme|X-Customer-Idempotent-Identifier: own-7",
                   NULL);
    build(&f, REQUEST_LOOK_UP);
    assert_request(&f, "GET",
                   "https://api.example/base/v1/open-banking/account-access-consents?status=all",
                   "Accept: application/json|Authorization: Bearer tok.en-12345|"
                   "X-Client-Id: acme|X-Customer-Idempotent-Identifier: own-7",
                   NULL);
    plan_close(&f);
}

static void test_bud_v2(void **state)
{
    struct plan_fixture f;

    (void)state;
    plan_open(&f, "bud-v2", NULL, NULL);
    build(&f, REQUEST_INITIATE);
    assert_request(&f, "POST", "https://api.example/base/open-banking/v2/refresh",
                   JSON_HEADERS "|Authorization: Bearer tok.en-12345|X-Client-Id: acme|"
                                "X-Customer-Id: customer-1",
                   "{\"providers\":[\"bank_a\"]}");
    f.variables.to = (struct utc_time){API_FIXTURE_NOW.ms - MS_PER_DAY};
    build(&f, REQUEST_INITIATE);
    assert_string_equal(f.request.body.bytes,
                        "{\"providers\":[\"bank_a\"],\"to\":\"2026-11-19T23:41:40Z\"}");
    /* No institution: all banks; the empty list is left out, the body is not. */
    api_set(&f.variables, API_VARIABLE_INSTITUTION, NULL);
    build(&f, REQUEST_INITIATE);
    assert_string_equal(f.request.body.bytes, "{\"to\":\"2026-11-19T23:41:40Z\"}");
    f.variables.to = UTC_NONE;
    build(&f, REQUEST_INITIATE);
    assert_string_equal(f.request.body.bytes, "{}");
    assert_true(f.request.has_body);
    build(&f, REQUEST_POLL);
    assert_request(&f, "GET", "https://api.example/base/open-banking/v2/refresh/job-1",
                   "Accept: application/json|Authorization: Bearer tok.en-12345|"
                   "X-Client-Id: acme|X-Customer-Id: customer-1",
                   NULL);
    plan_close(&f);
}

static void test_no_request_tells_an_address(void **state)
{
    static const char *const apis[] = {"finqware", "bud-v1", "bud-v2"};

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(apis); i++) {
        struct plan_fixture f;

        plan_open(&f, apis[i], i == 0 ? "internal" : NULL, NULL);
        api_set(&f.variables, API_VARIABLE_CUSTOMER_SECRET, "hunter2");
        for (int kind = REQUEST_INITIATE; kind <= REQUEST_POLL; kind++) {
            build(&f, (enum request_kind)kind);
            for (uint32_t k = 0; k < f.request.header_count; k++)
                assert_null(strcasestr(f.request.header_lines[k], "-ip"));
        }
        plan_close(&f);
    }
}

static void test_the_window_is_kept_inside_the_limit(void **state)
{
    static const struct {
        int64_t from_ms; /* before now; INT64_MAX: none */
        int64_t to_ms;
        const char *body; /* NULL: a fault */
    } rows[] = {
        /* 90 days are allowed: at send they become 90 days less ten minutes. */
        {90 * MS_PER_DAY, INT64_MAX, "{\"provider\":\"bank_a\",\"from\":\"2026-08-22T23:51:40Z\"}"},
        {400 * MS_PER_DAY, INT64_MAX,
         "{\"provider\":\"bank_a\",\"from\":\"2026-08-22T23:51:40Z\"}"},
        {90 * MS_PER_DAY - 11 * MS_PER_MINUTE, INT64_MAX,
         "{\"provider\":\"bank_a\",\"from\":\"2026-08-22T23:52:40Z\"}"},
        {MS_PER_DAY, -MS_PER_HOUR,
         "{\"provider\":\"bank_a\",\"from\":\"2026-11-19T23:41:40Z\","
         "\"to\":\"2026-11-20T23:41:40Z\"}"},
        {INT64_MAX, INT64_MAX, "{\"provider\":\"bank_a\"}"},
        {MS_PER_DAY, 2 * MS_PER_DAY, NULL},
        {MS_PER_DAY, MS_PER_DAY, NULL},
        {100 * MS_PER_DAY, 95 * MS_PER_DAY, NULL},
        {0, INT64_MAX, NULL},
    };
    struct plan_fixture f;

    (void)state;
    plan_open(&f, "bud-v1", NULL, NULL);
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        f.variables.from = rows[i].from_ms == INT64_MAX
                               ? UTC_NONE
                               : (struct utc_time){API_FIXTURE_NOW.ms - rows[i].from_ms};
        f.variables.to = rows[i].to_ms == INT64_MAX
                             ? UTC_NONE
                             : (struct utc_time){API_FIXTURE_NOW.ms - rows[i].to_ms};
        if (rows[i].body == NULL) {
            assert_fault(&f, REQUEST_INITIATE, "is empty");
            continue;
        }
        build(&f, REQUEST_INITIATE);
        assert_string_equal(f.request.body.bytes, rows[i].body);
    }
    plan_close(&f);
}

static void test_hostile_ids_in_json(void **state)
{
    static const struct {
        const char *id;
        size_t length;
        const char *json;
    } rows[] = {
        {"a\",\"client_id\":\"b", 17, "a\\\",\\\"client_id\\\":\\\"b"},
        {"back\\slash", 10, "back\\\\slash"},
        {"a\r\nb\t", 5, "a\\r\\nb\\t"},
        {"nul\0x", 5, "nul\\u0000x"},
        {"esc\x1b\x01", 5, "esc\\u001b\\u0001"},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"bad\xFF\xC3", 5, "bad\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"</script>", 9, "</script>"},
        {"{client_secret}", 15, "{client_secret}"},
    };
    struct plan_fixture f;

    (void)state;
    plan_open(&f, "finqware", "internal", NULL);
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        char expected[512];

        snprintf(expected, sizeof expected,
                 "{\"client_id\":\"acme\",\"client_secret\":\"s3cret/+\\\"x\","
                 "\"consent_id\":\"%s\"}",
                 rows[i].json);
        f.variables.values[API_VARIABLE_CONSENT_ID] =
            (struct request_value){rows[i].id, rows[i].length};
        build(&f, REQUEST_INITIATE);
        assert_string_equal(f.request.body.bytes, expected);
    }
    plan_close(&f);
}

static void test_hostile_ids_in_paths(void **state)
{
    static const struct {
        const char *id;
        const char *path; /* NULL: a fault */
    } rows[] = {
        {"a/b", "a%2Fb"},
        {"../../admin", "..%2F..%2Fadmin"},
        {"a?b=c#d", "a%3Fb%3Dc%23d"},
        {"50%25", "50%2525"},
        {"a b+c", "a%20b%2Bc"},
        {"\xC3\xA9", "%C3%A9"},
        {"AZaz09-._~", "AZaz09-._~"},
        {"@:;,!$&'()*", "%40%3A%3B%2C%21%24%26%27%28%29%2A"},
        {"...", "..."},
        {".", NULL},
        {"..", NULL},
        {"a\r\nHost: evil", NULL},
        {"a\x7f", NULL},
    };
    struct plan_fixture f;

    (void)state;
    plan_open(&f, "bud-v2", NULL, NULL);
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        char expected[256];

        api_set(&f.variables, API_VARIABLE_JOB_ID, rows[i].id);
        if (rows[i].path == NULL) {
            assert_fault(&f, REQUEST_POLL, "{job.id}");
            continue;
        }
        snprintf(expected, sizeof expected, "https://api.example/base/open-banking/v2/refresh/%s",
                 rows[i].path);
        build(&f, REQUEST_POLL);
        assert_string_equal(f.request.url.bytes, expected);
    }
    plan_close(&f);
}

static void test_hostile_ids_in_headers(void **state)
{
    static const struct {
        const char *id;
        size_t length;
        bool is_sent;
    } rows[] = {
        {"a\r\nX-Evil: 1", 12, false},
        {"a\nb", 3, false},
        {"a\rb", 3, false},
        {"a\0b", 3, false},
        {"a\x7f", 2, false},
        {"a\tb", 3, false},
        {"a: b, c;\"d\"", 11, true},
        {"\xC3\xA9", 2, true},
    };
    struct plan_fixture f;

    (void)state;
    plan_open(&f, "bud-v2", NULL, NULL);
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        f.variables.values[API_VARIABLE_CUSTOMER] =
            (struct request_value){rows[i].id, rows[i].length};
        if (!rows[i].is_sent) {
            assert_fault(&f, REQUEST_INITIATE, "{consent.customer} holds a control byte");
            assert_null(strstr(f.fault.text, "Evil"));
            continue;
        }
        build(&f, REQUEST_INITIATE);
        assert_string_equal(f.request.header_lines[4] + strlen("X-Customer-Id: "), rows[i].id);
    }
    plan_close(&f);
}

static void test_what_is_needed_and_absent(void **state)
{
    struct plan_fixture f;

    (void)state;
    plan_open(&f, "bud-v1", NULL, NULL);
    api_set(&f.variables, API_VARIABLE_INSTITUTION, NULL);
    assert_fault(&f, REQUEST_INITIATE, "needs {consent.institution}");
    api_set(&f.variables, API_VARIABLE_INSTITUTION, "bank_a");
    api_set(&f.variables, API_VARIABLE_TOKEN, "");
    assert_fault(&f, REQUEST_INITIATE, "needs {token}");
    api_set(&f.variables, API_VARIABLE_TOKEN, "t");
    api_set(&f.variables, API_VARIABLE_JOB_ID, NULL);
    assert_fault(&f, REQUEST_POLL, "needs {job.id}");
    api_set(&f.variables, API_VARIABLE_CLIENT_SECRET, NULL);
    assert_fault(&f, REQUEST_TOKEN, "needs {basic_credentials}");
    plan_close(&f);
}

static void test_a_request_is_wiped(void **state)
{
    struct plan_fixture f;
    size_t length;

    (void)state;
    plan_open(&f, "finqware", "internal", NULL);
    build(&f, REQUEST_INITIATE);
    length = f.request.body.length;
    assert_non_null(strstr(f.request.body.bytes, "s3cret"));
    request_clear(&f.request);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(f.request.body.bytes[i], 0);
    plan_close(&f);
}

static void test_larger_than_sensible(void **state)
{
    struct plan_fixture f;
    size_t length = REQUEST_BODY_BYTES_MAX + 1;
    char *id = malloc(length);

    (void)state;
    assert_non_null(id);
    memset(id, 'x', length);
    plan_open(&f, "finqware", "internal", NULL);
    f.variables.values[API_VARIABLE_CONSENT_ID] = (struct request_value){id, length};
    assert_fault(&f, REQUEST_INITIATE, "larger than is sensible");
    f.variables.values[API_VARIABLE_CONSENT_ID].length = REQUEST_BODY_BYTES_MAX / 2;
    build(&f, REQUEST_INITIATE);
    plan_close(&f);
    free(id);
}

/* Shapes that the built-in definitions do not have. */
static const char shapes[] =
    "name: shapes\n"
    "title: t\n"
    "unattended: true\n"
    "auth: {a: {}, b: {}}\n"
    "consent: {requires: customer, single_flight: id}\n"
    "in_doubt: await\n"
    "statuses: {success: done}\n"
    "causes: []\n"
    "requests:\n"
    "  initiate:\n"
    "    method: PUT\n"
    "    path: /x/{consent.customer}/y?q={consent.id}&lit=%20\n"
    "    headers:\n"
    "      Accept: text/plain\n"
    "      X-Two: [{value: one, when: auth.a}, {value: 'two {{braces}}', when: auth.b}]\n"
    "      X-Mixed: 'i={consent.institution?};o={consent.customer_own_id?}'\n"
    "    json:\n"
    "      first: '{consent.institution?}'\n"
    "      list: [1, 2.5, true, null, 'true', plain, -0.5, 01]\n"
    "      deep: {a: {b: ['{consent.institution?}', {c: '{consent.customer_own_id?}'}]}}\n"
    "      only_b: {value: {x: 1}, when: auth.b}\n"
    "      empty: {}\n"
    "      'ke\"y': '{consent.id}-{consent.customer}'\n"
    "      last: '{from?}'\n"
    "    accepted: 200\n"
    "    answer: {job: /id}\n"
    "  poll:\n"
    "    method: POST\n"
    "    path: /p\n"
    "    form: {'a b': '{consent.institution?}', c: 'x y', d: '{consent.customer_own_id?}',\n"
    "           e: '{job.id}'}\n"
    "    accepted: [200]\n"
    "    answer: {status: /s}\n";

static void test_other_shapes(void **state)
{
    struct plan_fixture f;

    (void)state;
    arena_init(&f.api.arena);
    diagnostics_init(&f.api.diagnostics, 100);
    f.api.definition =
        api_definition_parse(shapes, strlen(shapes), "shapes", &f.api.arena, &f.api.diagnostics);
    diagnostics_print(&f.api.diagnostics, stderr);
    assert_non_null(f.api.definition);
    request_init(&f.request);
    f.variables = api_variables();
    assert_int_equal(
        request_compile(f.api.definition, 1, "http://h", NULL, &f.api.arena, &f.plan, &f.fault),
        RESULT_OK);
    build(&f, REQUEST_INITIATE);
    assert_request(&f, "PUT", "http://h/x/customer-1/y?q=consent-1&lit=%20",
                   "Content-Type: application/json|Accept: text/plain|X-Two: two {braces}",
                   "{\"first\":\"bank_a\",\"list\":[1,2.5,true,null,\"true\",\"plain\",-0.5,"
                   "\"01\"],\"deep\":{\"a\":{\"b\":[\"bank_a\"]}},\"only_b\":{\"x\":1},"
                   "\"empty\":{},\"ke\\\"y\":\"consent-1-customer-1\"}");
    build(&f, REQUEST_POLL);
    assert_string_equal(f.request.body.bytes, "a%20b=bank_a&c=x%20y&e=job-1");
    api_set(&f.variables, API_VARIABLE_INSTITUTION, NULL);
    api_set(&f.variables, API_VARIABLE_CUSTOMER_OWN_ID, "o&o");
    build(&f, REQUEST_POLL);
    assert_string_equal(f.request.body.bytes, "c=x%20y&d=o%26o&e=job-1");
    assert_int_equal(
        request_compile(f.api.definition, 0, "http://h", NULL, &f.api.arena, &f.plan, &f.fault),
        RESULT_OK);
    build(&f, REQUEST_INITIATE);
    assert_request(&f, "PUT", "http://h/x/customer-1/y?q=consent-1&lit=%20",
                   "Content-Type: application/json|Accept: text/plain|X-Two: one",
                   "{\"list\":[1,2.5,true,null,\"true\",\"plain\",-0.5,\"01\"],"
                   "\"deep\":{\"a\":{\"b\":[{\"c\":\"o&o\"}]}},\"empty\":{},"
                   "\"ke\\\"y\":\"consent-1-customer-1\"}");
    api_set(&f.variables, API_VARIABLE_CUSTOMER_OWN_ID, NULL);
    build(&f, REQUEST_INITIATE);
    assert_string_equal(f.request.body.bytes,
                        "{\"list\":[1,2.5,true,null,\"true\",\"plain\",-0.5,\"01\"],"
                        "\"empty\":{},\"ke\\\"y\":\"consent-1-customer-1\"}");
    plan_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finqware_internal),
        cmocka_unit_test(test_finqware_oauth2),
        cmocka_unit_test(test_bud_v1),
        cmocka_unit_test(test_bud_v2),
        cmocka_unit_test(test_no_request_tells_an_address),
        cmocka_unit_test(test_the_window_is_kept_inside_the_limit),
        cmocka_unit_test(test_hostile_ids_in_json),
        cmocka_unit_test(test_hostile_ids_in_paths),
        cmocka_unit_test(test_hostile_ids_in_headers),
        cmocka_unit_test(test_what_is_needed_and_absent),
        cmocka_unit_test(test_a_request_is_wiped),
        cmocka_unit_test(test_larger_than_sensible),
        cmocka_unit_test(test_other_shapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
