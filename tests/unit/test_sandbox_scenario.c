/* SPDX-License-Identifier: MIT
 * test_sandbox_scenario.c - defaults, layers and merging of the sandbox's settings. */
#include "sandbox/sandbox_scenario.h"

#include <string.h>

#include "tests/unit/unit_test.h"

static struct sandbox_scenario *make(const char *json)
{
    struct sandbox_scenario *defaults = NULL;
    struct sandbox_scenario *scenario = NULL;
    json_t *patch = json_loads(json, 0, NULL);
    struct fault fault;

    assert_non_null(patch);
    if (sandbox_scenario_load(NULL, &defaults, &fault) != RESULT_OK ||
        sandbox_scenario_merge(defaults, patch, &scenario, &fault) != RESULT_OK)
        fail_msg("%s: %s", json, fault.text);
    json_decref(patch);
    sandbox_scenario_destroy(defaults);
    return scenario;
}

/* The documented defaults that clients rely on. */
static void test_defaults(void **state)
{
    struct sandbox_scenario *scenario = make("{}");
    struct sandbox_account_settings account;
    struct sandbox_bank bank;
    struct sandbox_consent consent;

    (void)state;
    assert_int_equal(scenario->finqware.cooldown_ms, 6 * 3600 * 1000);
    assert_true(scenario->finqware.known_cooldown);
    assert_int_equal(scenario->bud.dedupe_ms, 3600 * 1000);
    assert_int_equal(scenario->finqware.quota.entries[0].count, 4);
    assert_int_equal(scenario->finqware.quota.entries[0].period_us, INT64_C(86400000000));
    assert_int_equal(scenario->huge_bytes, 64 * 1024 * 1024);
    for (size_t i = 0; i < SANDBOX_SHARE_FATE_COUNT; i++)
        assert_true(scenario->shares[i] == 0);
    sandbox_scenario_account(scenario, "finqware", &account);
    assert_null(account.client_secret);
    assert_int_equal(account.token_lifetime_s, 3600);
    assert_int_equal(account.limits.rates.count, 0);
    sandbox_scenario_bank(scenario, "any", &bank);
    assert_int_equal(bank.job_duration_ms.min, -1);
    assert_false(bank.maintenance);
    assert_false(sandbox_scenario_consent(scenario, "c", NULL, &consent));
    assert_int_equal(consent.hosted, 2);
    sandbox_scenario_destroy(scenario);
}

static void test_banks_are_laid_over_the_default_bank(void **state)
{
    struct sandbox_scenario *scenario =
        make("{\"banks\": {\"default\": {\"rate\": [\"5/s\", \"100/min\"], \"jobs_running\": 50},"
             " \"BRD\": {\"rate\": \"1/s\", \"job_duration_ms\": 7}}}");
    struct sandbox_bank bank;

    (void)state;
    sandbox_scenario_bank(scenario, "BRD", &bank);
    assert_int_equal(bank.limits.rates.count, 1);
    assert_int_equal(bank.limits.rates.entries[0].count, 1);
    assert_int_equal(bank.limits.jobs_running, 50);
    assert_int_equal(bank.job_duration_ms.min, 7);
    assert_int_equal(bank.job_duration_ms.max, 7);
    sandbox_scenario_bank(scenario, "ING", &bank);
    assert_int_equal(bank.limits.rates.count, 2);
    assert_string_equal(bank.limits.rates.entries[1].text, "100/min");
    sandbox_scenario_destroy(scenario);
}

static void test_consents_are_found_by_the_narrower_key_first(void **state)
{
    struct sandbox_scenario *scenario =
        make("{\"consents\": {\"cu\": {\"result\": \"job_failed\", \"hang\": true},"
             " \"cu/bank\": {\"result\": \"success\", \"hosted\": false}}}");
    struct sandbox_consent said;

    (void)state;
    assert_true(sandbox_scenario_consent(scenario, "cu/bank", "cu", &said));
    assert_string_equal(said.result, "success");
    assert_int_equal(said.hosted, 0);
    assert_false(said.hang);
    assert_true(sandbox_scenario_consent(scenario, "cu/other", "cu", &said));
    assert_string_equal(said.result, "job_failed");
    assert_true(said.hang);
    assert_false(sandbox_scenario_consent(scenario, "x", "y", &said));
    sandbox_scenario_destroy(scenario);
}

/* The nearer a share of faults is to the endpoint, the more it counts. */
static void test_shares_of_faults_at_three_levels(void **state)
{
    struct sandbox_scenario *scenario =
        make("{\"faults\": {\"http_500\": 0.1, \"bud-v1\": {\"http_500\": 0.2,"
             " \"poll\": {\"http_500\": 0.3, \"next\": [\"slow\"]}}}}");

    (void)state;
    assert_true(scenario->faults[SANDBOX_API_FINQWARE][SANDBOX_ENDPOINT_POLL]
                    .shares[SANDBOX_FAULT_HTTP_500] == 0.1);
    assert_true(scenario->faults[SANDBOX_API_BUD_V1][SANDBOX_ENDPOINT_CREATE]
                    .shares[SANDBOX_FAULT_HTTP_500] == 0.2);
    assert_true(scenario->faults[SANDBOX_API_BUD_V1][SANDBOX_ENDPOINT_POLL]
                    .shares[SANDBOX_FAULT_HTTP_500] == 0.3);
    assert_int_equal(
        json_array_size(scenario->faults[SANDBOX_API_BUD_V1][SANDBOX_ENDPOINT_POLL].next), 1);
    assert_false(scenario->faults[SANDBOX_API_BUD][SANDBOX_ENDPOINT_TOKEN].is_set);
    sandbox_scenario_destroy(scenario);
}

static void test_merging_keeps_replaces_and_takes_back(void **state)
{
    struct sandbox_scenario *first =
        make("{\"poll_floor_ms\": 5, \"consents\": {\"a\": {\"state\": \"revoked\"}}}");
    struct sandbox_scenario *second = NULL;
    json_t *patch =
        json_loads("{\"poll_floor_ms\": null, \"consents\": {\"b\": {\"hang\": true}}}", 0, NULL);
    struct sandbox_consent said;
    struct fault fault;

    (void)state;
    assert_int_equal(sandbox_scenario_merge(first, patch, &second, &fault), RESULT_OK);
    assert_int_equal(first->poll_floor_ms, 5);
    assert_int_equal(second->poll_floor_ms, 200);
    assert_true(sandbox_scenario_consent(second, "a", NULL, &said));
    assert_string_equal(said.state, "revoked");
    assert_true(sandbox_scenario_consent(second, "b", NULL, &said));
    assert_false(sandbox_scenario_consent(first, "b", NULL, &said));
    json_decref(patch);
    sandbox_scenario_destroy(first);
    sandbox_scenario_destroy(second);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *json;
        const char *words;
    } rows[] = {
        {"[]", "want a JSON object"},
        {"{\"x\": 1}", "x: unknown key"},
        {"{\"instant\": 1}", "instant: want true or false"},
        {"{\"poll_floor_ms\": -1}", "poll_floor_ms: want an integer from 0"},
        {"{\"poll_floor_ms\": 1.5}", "found a real number"},
        {"{\"shares\": {\"revoked\": 1.5}}", "shares.revoked: want a share"},
        {"{\"bank_from_id\": \"guess\"}", "prefix-before-dash"},
        {"{\"bank_from_id\": \"prefix\"}", "prefix-before-dash"},
        {"{\"banks\": {\"b\": {\"result\": \"odd\"}}}", "banks.b.result"},
        {"{\"banks\": {\"b\": {\"maintenance_from\": \"soon\"}}}", "banks.b.maintenance_from"},
        {"{\"consents\": {\"c\": {\"hosted\": \"no\"}}}", "consents.c.hosted: want true or false"},
        {"{\"consents\": {\"c\": {\"poll_error\": {\"status\": 9}}}}", "poll_error.status"},
        {"{\"accounts\": {\"bud\": {\"secret\": \"x\"}}}", "accounts.bud.secret: unknown key"},
        {"{\"faults\": {\"http_500\": 2}}", "faults.http_500"},
        {"{\"faults\": {\"bud-v3\": {}}}", "faults.bud-v3"},
        {"{\"faults\": {\"bud-v1\": {\"create\": {\"slow\": 0.6, \"http_503\": 0.6}}}}",
         "more than 1"},
        {"{\"limits\": {\"bud\": {\"rate\": [\"1/s\",\"1/s\",\"1/s\",\"1/s\",\"1/s\",\"1/s\","
         "\"1/s\",\"1/s\",\"1/s\"]}}}",
         "at most 8"},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct sandbox_scenario *defaults = NULL;
        struct sandbox_scenario *scenario = NULL;
        json_t *patch = json_loads(rows[i].json, 0, NULL);
        struct fault fault;

        assert_non_null(patch);
        assert_int_equal(sandbox_scenario_load(NULL, &defaults, &fault), RESULT_OK);
        assert_int_equal(sandbox_scenario_merge(defaults, patch, &scenario, &fault), RESULT_FAULT);
        if (strstr(fault.text, rows[i].words) == NULL)
            fail_msg("%s: %s", rows[i].json, fault.text);
        json_decref(patch);
        sandbox_scenario_destroy(defaults);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_banks_are_laid_over_the_default_bank),
        cmocka_unit_test(test_consents_are_found_by_the_narrower_key_first),
        cmocka_unit_test(test_shares_of_faults_at_three_levels),
        cmocka_unit_test(test_merging_keeps_replaces_and_takes_back),
        cmocka_unit_test(test_what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
