/* SPDX-License-Identifier: MIT
 * sandbox_scenario.c - the keys of a scenario, their defaults, files and merging. */
#include "sandbox/sandbox_scenario.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox_scenario_parts.h"

#define YEAR_MS (366 * MS_PER_DAY)

static const char *const share_texts[SANDBOX_SHARE_COUNT] = {
    "revoked",
    "expired",
    "suspended",
    "not_active",
    "not_found",
    "partial",
    "job_failed",
    "bank_limit",
    "provider_maintenance",
    "provider_unavailable",
    "provider_timeout",
    "provider_failure",
    "internal_error",
    "hang",
    "lost",
    "unknown_status",
    "no_new_data",
};

static enum result read_shares(const json_t *value, const char *path, void *field,
                               struct fault *fault)
{
    double *shares = field;
    struct sandbox_key keys[SANDBOX_SHARE_COUNT + 1];
    double sum = 0;

    memset(keys, 0, sizeof keys);
    for (size_t i = 0; i < SANDBOX_SHARE_COUNT; i++)
        keys[i] = (struct sandbox_key){
            .name = share_texts[i], .kind = SANDBOX_KIND_SHARE, .offset = i * sizeof(double)};
    if (sandbox_read_object(value, path, keys, shares, fault) != RESULT_OK)
        return RESULT_FAULT;
    for (size_t i = 0; i < SANDBOX_SHARE_FATE_COUNT; i++)
        sum += shares[i];
    if (sum > 1.0 + 1e-9)
        return fault_set(fault, FAULT_DATA, "scenario: %s: the shares add up to %.3f, more than 1",
                         path, sum);
    return RESULT_OK;
}

#define FIELD(member) offsetof(struct sandbox_finqware_settings, member)
static const struct sandbox_key finqware_keys[] = {
    {"cooldown_ms", SANDBOX_KIND_INTEGER, FIELD(cooldown_ms), 0, YEAR_MS, NULL, NULL},
    {"cooldown_after_failure", SANDBOX_KIND_BOOLEAN, FIELD(cooldown_after_failure), 0, 0, NULL,
     NULL},
    {"known_cooldown", SANDBOX_KIND_BOOLEAN, FIELD(known_cooldown), 0, 0, NULL, NULL},
    {"second_create", SANDBOX_KIND_WORD, FIELD(second_create), 0, 0, "cooldown same_job new_job",
     NULL},
    {"webhook", SANDBOX_KIND_WORD, FIELD(webhook), 0, 0, "none final every_status", NULL},
    {"quota", SANDBOX_KIND_CUSTOM, FIELD(quota), 0, 0, NULL, sandbox_read_rates},
    {"consent_validity_days", SANDBOX_KIND_INTEGER, FIELD(consent_validity_days), 1, 3650, NULL,
     NULL},
    {NULL, SANDBOX_KIND_BOOLEAN, 0, 0, 0, NULL, NULL},
};
#undef FIELD

static enum result read_finqware(const json_t *value, const char *path, void *field,
                                 struct fault *fault)
{
    return sandbox_read_object(value, path, finqware_keys, field, fault);
}

#define FIELD(member) offsetof(struct sandbox_bud_settings, member)
static const struct sandbox_key bud_keys[] = {
    {"dedupe_ms", SANDBOX_KIND_INTEGER, FIELD(dedupe_ms), 0, YEAR_MS, NULL, NULL},
    {"reposts_allowed", SANDBOX_KIND_INTEGER, FIELD(reposts_allowed), 0, 1000000, NULL, NULL},
    {"hosted", SANDBOX_KIND_BOOLEAN, FIELD(hosted), 0, 0, NULL, NULL},
    {"old_status_words", SANDBOX_KIND_SHARE, FIELD(old_status_words), 0, 0, NULL, NULL},
    {"revoked_shape", SANDBOX_KIND_WORD, FIELD(revoked_shape), 0, 0, "mixed completed failed",
     NULL},
    {"webhook_url_v1", SANDBOX_KIND_TEXT, FIELD(webhook_url_v1), 0, 0, NULL, NULL},
    {"webhook_url_v2", SANDBOX_KIND_TEXT, FIELD(webhook_url_v2), 0, 0, NULL, NULL},
    {"webhook_url_consents", SANDBOX_KIND_TEXT, FIELD(webhook_url_consents), 0, 0, NULL, NULL},
    {"default_provider", SANDBOX_KIND_TEXT, FIELD(default_provider), 0, 0, NULL, NULL},
    {"next_url_delay_v1_ms", SANDBOX_KIND_INTEGER, FIELD(next_url_delay_v1_ms), 0, 600000, NULL,
     NULL},
    {"next_url_delay_v2_ms", SANDBOX_KIND_INTEGER, FIELD(next_url_delay_v2_ms), 0, 600000, NULL,
     NULL},
    {"next_url_trap", SANDBOX_KIND_BOOLEAN, FIELD(next_url_trap), 0, 0, NULL, NULL},
    {"quota", SANDBOX_KIND_CUSTOM, FIELD(quota), 0, 0, NULL, sandbox_read_rates},
    {NULL, SANDBOX_KIND_BOOLEAN, 0, 0, 0, NULL, NULL},
};
#undef FIELD

static enum result read_bud(const json_t *value, const char *path, void *field, struct fault *fault)
{
    return sandbox_read_object(value, path, bud_keys, field, fault);
}

#define FIELD(member) offsetof(struct sandbox_webhook_settings, member)
static const struct sandbox_key webhook_keys[] = {
    {"algorithm", SANDBOX_KIND_WORD, FIELD(algorithm), 0, 0, "RS256 ES256", NULL},
    {"retries", SANDBOX_KIND_INTEGER, FIELD(retries), 0, 100, NULL, NULL},
    {"retry_ms", SANDBOX_KIND_INTEGER, FIELD(retry_ms), 1, MS_PER_DAY, NULL, NULL},
    {"duplicates", SANDBOX_KIND_INTEGER, FIELD(duplicates), 0, 100, NULL, NULL},
    {"delay_ms", SANDBOX_KIND_INTEGER, FIELD(delay_ms), 0, MS_PER_DAY, NULL, NULL},
    {"lost", SANDBOX_KIND_SHARE, FIELD(lost), 0, 0, NULL, NULL},
    {"bad_signature", SANDBOX_KIND_BOOLEAN, FIELD(bad_signature), 0, 0, NULL, NULL},
    {NULL, SANDBOX_KIND_BOOLEAN, 0, 0, 0, NULL, NULL},
};
#undef FIELD

static enum result read_webhook(const json_t *value, const char *path, void *field,
                                struct fault *fault)
{
    return sandbox_read_object(value, path, webhook_keys, field, fault);
}

#define FIELD(member) offsetof(struct sandbox_scenario, member)
static const struct sandbox_key scenario_keys[] = {
    {"seed", SANDBOX_KIND_INTEGER, FIELD(seed), 0, INT64_MAX, NULL, NULL},
    {"instant", SANDBOX_KIND_BOOLEAN, FIELD(instant), 0, 0, NULL, NULL},
    {"job_duration_ms", SANDBOX_KIND_RANGE, FIELD(job_duration_ms), 0, YEAR_MS, NULL, NULL},
    {"answer_delay_ms", SANDBOX_KIND_RANGE, FIELD(answer_delay_ms), 0, 600000, NULL, NULL},
    {"job_retention_ms", SANDBOX_KIND_INTEGER, FIELD(job_retention_ms), 0, YEAR_MS, NULL, NULL},
    {"poll_floor_ms", SANDBOX_KIND_INTEGER, FIELD(poll_floor_ms), 0, MS_PER_DAY, NULL, NULL},
    {"rate_tolerance_ms", SANDBOX_KIND_INTEGER, FIELD(rate_tolerance_ms), 0, 10000, NULL, NULL},
    {"window_tolerance_ms", SANDBOX_KIND_INTEGER, FIELD(window_tolerance_ms), 0, 60000, NULL, NULL},
    {"abandoned_after_ms", SANDBOX_KIND_INTEGER, FIELD(abandoned_after_ms), 1, YEAR_MS, NULL, NULL},
    {"clock_offset_ms", SANDBOX_KIND_INTEGER, FIELD(clock_offset_ms), 0, 10 * YEAR_MS, NULL, NULL},
    {"banks_csv", SANDBOX_KIND_TEXT, FIELD(banks_csv), 0, 0, NULL, NULL},
    {"bank_from_id", SANDBOX_KIND_WORD, FIELD(bank_from_id), 0, 0, "none prefix-before-dash", NULL},
    {"shares", SANDBOX_KIND_CUSTOM, FIELD(shares), 0, 0, NULL, read_shares},
    {"slow_ms", SANDBOX_KIND_INTEGER, FIELD(slow_ms), 0, MS_PER_HOUR, NULL, NULL},
    {"huge_bytes", SANDBOX_KIND_INTEGER, FIELD(huge_bytes), 1, INT64_C(1) << 32, NULL, NULL},
    {"retry_after_s", SANDBOX_KIND_INTEGER, FIELD(retry_after_s), 0, 86400 * 365, NULL, NULL},
    {"faults", SANDBOX_KIND_CUSTOM, FIELD(faults), 0, 0, NULL, sandbox_read_faults},
    {"finqware", SANDBOX_KIND_CUSTOM, FIELD(finqware), 0, 0, NULL, read_finqware},
    {"bud", SANDBOX_KIND_CUSTOM, FIELD(bud), 0, 0, NULL, read_bud},
    {"webhook", SANDBOX_KIND_CUSTOM, FIELD(webhook), 0, 0, NULL, read_webhook},
    {"consents", SANDBOX_KIND_CUSTOM, FIELD(consents), 0, 0, NULL, sandbox_check_consents},
    {"limits", SANDBOX_KIND_CUSTOM, FIELD(limits), 0, 0, NULL, sandbox_check_limits},
    {"accounts", SANDBOX_KIND_CUSTOM, FIELD(accounts), 0, 0, NULL, sandbox_check_accounts},
    {"banks", SANDBOX_KIND_CUSTOM, FIELD(banks), 0, 0, NULL, sandbox_check_banks},
    {NULL, SANDBOX_KIND_BOOLEAN, 0, 0, 0, NULL, NULL},
};
#undef FIELD

static void set_defaults(struct sandbox_scenario *scenario)
{
    *scenario = (struct sandbox_scenario){
        .seed = 1,
        .job_duration_ms = {2000, 8000},
        .poll_floor_ms = 200,
        .rate_tolerance_ms = 5,
        .window_tolerance_ms = 50,
        .abandoned_after_ms = 600000,
        .slow_ms = 2000,
        .huge_bytes = INT64_C(64) * 1024 * 1024,
        .retry_after_s = 2,
        .finqware = {.cooldown_ms = 6 * MS_PER_HOUR,
                     .cooldown_after_failure = true,
                     .known_cooldown = true,
                     .webhook = SANDBOX_WEBHOOK_FINAL,
                     .consent_validity_days = 180},
        .bud = {.dedupe_ms = MS_PER_HOUR,
                .reposts_allowed = 1,
                .hosted = true,
                .default_provider = "bank_of_bud",
                .next_url_delay_v1_ms = 50,
                .next_url_delay_v2_ms = 500,
                .next_url_trap = true},
        .webhook = {.retries = 3, .retry_ms = 500},
    };
    scenario->shares[SANDBOX_SHARE_NO_NEW_DATA] = 0.3;
    REQUIRE(sandbox_rates_parse("4/24h", &scenario->finqware.quota.entries[0]));
    scenario->finqware.quota.count = 1;
    scenario->bud.quota = scenario->finqware.quota;
}

/* Takes over the reference to `document`, also when it fails. */
static enum result scenario_make(json_t *document, struct sandbox_scenario **out,
                                 struct fault *fault)
{
    struct sandbox_scenario *scenario = malloc(sizeof *scenario);

    if (scenario == NULL || document == NULL) {
        json_decref(document);
        free(scenario);
        return fault_set(fault, FAULT_INTERNAL, "out of memory for the scenario");
    }
    set_defaults(scenario);
    scenario->document = document;
    if (sandbox_read_object(document, "", scenario_keys, scenario, fault) != RESULT_OK) {
        sandbox_scenario_destroy(scenario);
        return RESULT_FAULT;
    }
    *out = scenario;
    return RESULT_OK;
}

enum result sandbox_scenario_load(const char *path, struct sandbox_scenario **out,
                                  struct fault *fault)
{
    json_error_t error;
    json_t *document;

    if (path == NULL)
        return scenario_make(json_object(), out, fault);
    document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (document == NULL)
        return fault_set(fault, error.line > 0 ? FAULT_DATA : FAULT_UNAVAILABLE,
                         "scenario %s:%d:%d: %s", path, error.line, error.column, error.text);
    if (scenario_make(document, out, fault) != RESULT_OK)
        return fault_prefix(fault, "%s", path);
    return RESULT_OK;
}

/* Lay `patch` over `target`; false when memory is out. */
static bool merge(json_t *target, const json_t *patch)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)patch, name, value)
    {
        json_t *old = json_object_get(target, name);

        if (json_is_null(value)) {
            (void)json_object_del(target, name);
        } else if (json_is_object(value) && json_is_object(old)) {
            if (!merge(old, value))
                return false;
        } else if (json_object_set_new(target, name, json_deep_copy(value)) != 0) {
            return false;
        }
    }
    return true;
}

enum result sandbox_scenario_merge(const struct sandbox_scenario *old, const json_t *patch,
                                   struct sandbox_scenario **out, struct fault *fault)
{
    json_t *document;

    if (!json_is_object(patch))
        return fault_set(fault, FAULT_DATA, "scenario: want a JSON object");
    document = json_deep_copy(old->document);
    if (document == NULL || !merge(document, patch)) {
        json_decref(document);
        return fault_set(fault, FAULT_INTERNAL, "out of memory for the scenario");
    }
    return scenario_make(document, out, fault);
}

void sandbox_scenario_destroy(struct sandbox_scenario *scenario)
{
    if (scenario == NULL)
        return;
    json_decref(scenario->document);
    free(scenario);
}
