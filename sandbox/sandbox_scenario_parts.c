/* SPDX-License-Identifier: MIT
 * sandbox_scenario_parts.c - rates, banks, accounts and consents of a scenario. */
#include "sandbox/sandbox_scenario_parts.h"

#include <stddef.h>
#include <string.h>

#define END_OF_KEYS \
    { \
        NULL, SANDBOX_KIND_BOOLEAN, 0, 0, 0, NULL, NULL \
    }

/* ---- rates and limits --------------------------------------------------------------------- */

enum result sandbox_read_rates(const json_t *value, const char *path, void *field,
                               struct fault *fault)
{
    struct sandbox_rates *rates = field;
    size_t count = json_is_array(value) ? json_array_size(value) : 1;

    if (count > SANDBOX_RATES_MAX)
        return fault_set(fault, FAULT_DATA, "scenario: %s: at most %d rates", path,
                         SANDBOX_RATES_MAX);
    rates->count = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_is_array(value) ? json_array_get(value, i) : value;
        const char *text = json_string_value(entry);

        if (text == NULL || !sandbox_rates_parse(text, &rates->entries[i]))
            return fault_set(fault, FAULT_DATA,
                             "scenario: %s: want a rate such as \"20/s\" or \"4/24h\", found %s",
                             path, text != NULL ? text : sandbox_read_kind(entry));
        rates->count = i + 1;
    }
    return RESULT_OK;
}

#define FIELD(member) offsetof(struct sandbox_limits, member)
static const struct sandbox_key limits_keys[] = {
    {"rate", SANDBOX_KIND_CUSTOM, FIELD(rates), 0, 0, NULL, sandbox_read_rates},
    {"requests_in_flight", SANDBOX_KIND_INTEGER, FIELD(requests_in_flight), 0, INT32_MAX, NULL,
     NULL},
    {"jobs_running", SANDBOX_KIND_INTEGER, FIELD(jobs_running), 0, INT32_MAX, NULL, NULL},
    END_OF_KEYS,
};
#undef FIELD

/* ---- banks -------------------------------------------------------------------------------- */

static enum result read_instant(const json_t *value, const char *path, void *field,
                                struct fault *fault)
{
    const char *text = json_string_value(value);

    if (text == NULL || !utc_parse(text, strlen(text), field))
        return fault_set(fault, FAULT_DATA,
                         "scenario: %s: want an instant such as \"2026-11-21T02:00:00Z\"", path);
    return RESULT_OK;
}

static enum result check_verdict(const json_t *value, const char *path, void *field,
                                 struct fault *fault)
{
    const char *word = json_string_value(value);

    if (word == NULL || sandbox_verdict_find(word) == SANDBOX_VERDICT_NONE)
        return fault_set(fault, FAULT_DATA,
                         "scenario: %s: unknown result \"%s\"; want success, partial, job_failed "
                         "or one of Bud's result codes",
                         path, word != NULL ? word : "");
    *(const char **)field = word;
    return RESULT_OK;
}

#define FIELD(member) offsetof(struct sandbox_bank, member)
static const struct sandbox_key bank_keys[] = {
    {"rate", SANDBOX_KIND_CUSTOM, FIELD(limits.rates), 0, 0, NULL, sandbox_read_rates},
    {"requests_in_flight", SANDBOX_KIND_INTEGER, FIELD(limits.requests_in_flight), 0, INT32_MAX,
     NULL, NULL},
    {"jobs_running", SANDBOX_KIND_INTEGER, FIELD(limits.jobs_running), 0, INT32_MAX, NULL, NULL},
    {"job_duration_ms", SANDBOX_KIND_RANGE, FIELD(job_duration_ms), 0, 366 * MS_PER_DAY, NULL,
     NULL},
    {"answer_delay_ms", SANDBOX_KIND_RANGE, FIELD(answer_delay_ms), 0, 600000, NULL, NULL},
    {"refuse_over", SANDBOX_KIND_CUSTOM, FIELD(refuse_over), 0, 0, NULL, sandbox_read_rates},
    {"maintenance", SANDBOX_KIND_BOOLEAN, FIELD(maintenance), 0, 0, NULL, NULL},
    {"maintenance_from", SANDBOX_KIND_CUSTOM, FIELD(maintenance_from), 0, 0, NULL, read_instant},
    {"maintenance_until", SANDBOX_KIND_CUSTOM, FIELD(maintenance_until), 0, 0, NULL, read_instant},
    {"fail_share", SANDBOX_KIND_SHARE, FIELD(fail_share), 0, 0, NULL, NULL},
    {"result", SANDBOX_KIND_CUSTOM, FIELD(result), 0, 0, NULL, check_verdict},
    {"hang", SANDBOX_KIND_BOOLEAN, FIELD(hang), 0, 0, NULL, NULL},
    {"down", SANDBOX_KIND_BOOLEAN, FIELD(down), 0, 0, NULL, NULL},
    END_OF_KEYS,
};
#undef FIELD

static const struct sandbox_bank bank_defaults = {
    .job_duration_ms = {-1, -1},
    .answer_delay_ms = {-1, -1},
    .maintenance_from = {INT64_MAX},
    .maintenance_until = {INT64_MAX},
};

/* ---- accounts ----------------------------------------------------------------------------- */

#define FIELD(member) offsetof(struct sandbox_account_settings, member)
static const struct sandbox_key account_keys[] = {
    {"client_id", SANDBOX_KIND_TEXT, FIELD(client_id), 0, 0, NULL, NULL},
    {"client_secret", SANDBOX_KIND_TEXT, FIELD(client_secret), 0, 0, NULL, NULL},
    {"auth_mode", SANDBOX_KIND_WORD, FIELD(auth_mode), 0, 0, "any internal oauth2", NULL},
    {"token_lifetime_s", SANDBOX_KIND_INTEGER, FIELD(token_lifetime_s), 1, 86400 * 365, NULL, NULL},
    {"token_early_expiry_ms", SANDBOX_KIND_INTEGER, FIELD(token_early_expiry_ms), 0, MS_PER_DAY,
     NULL, NULL},
    {"token_delay_ms", SANDBOX_KIND_INTEGER, FIELD(token_delay_ms), 0, 600000, NULL, NULL},
    {"credentials_rejected_for_ms", SANDBOX_KIND_INTEGER, FIELD(credentials_rejected_for_ms), 0,
     366 * MS_PER_DAY, NULL, NULL},
    {"stampede_ms", SANDBOX_KIND_INTEGER, FIELD(stampede_ms), 0, 600000, NULL, NULL},
    {"auth_grace_ms", SANDBOX_KIND_INTEGER, FIELD(auth_grace_ms), 0, 600000, NULL, NULL},
    {"refresh_tokens", SANDBOX_KIND_BOOLEAN, FIELD(refresh_tokens), 0, 0, NULL, NULL},
    END_OF_KEYS,
};
#undef FIELD

static const struct sandbox_account_settings account_defaults = {
    .token_lifetime_s = 3600,
    .stampede_ms = 1000,
    .auth_grace_ms = 1000,
    .refresh_tokens = true,
};

/* ---- consents ----------------------------------------------------------------------------- */

static enum result check_text_list(const json_t *value, const char *path, void *field,
                                   struct fault *fault)
{
    bool is_good = json_is_array(value);

    for (size_t i = 0; is_good && i < json_array_size(value); i++)
        is_good = json_is_string(json_array_get(value, i));
    if (!is_good)
        return fault_set(fault, FAULT_DATA, "scenario: %s: want an array of strings", path);
    *(const json_t **)field = value;
    return RESULT_OK;
}

static enum result read_error(const json_t *value, const char *path, void *field,
                              struct fault *fault)
{
    static const struct sandbox_key keys[] = {
        {"status", SANDBOX_KIND_INTEGER, offsetof(struct sandbox_answer_error, status), 100, 599,
         NULL, NULL},
        {"code", SANDBOX_KIND_TEXT, offsetof(struct sandbox_answer_error, code), 0, 0, NULL, NULL},
        END_OF_KEYS,
    };
    struct sandbox_answer_error error = {.status = 400, .code = "unknown"};

    if (sandbox_read_object(value, path, keys, &error, fault) != RESULT_OK)
        return RESULT_FAULT;
    *(struct sandbox_answer_error *)field = error;
    return RESULT_OK;
}

#define FIELD(member) offsetof(struct sandbox_consent, member)
static const struct sandbox_key consent_keys[] = {
    {"state", SANDBOX_KIND_TEXT, FIELD(state), 0, 0, NULL, NULL},
    {"result", SANDBOX_KIND_CUSTOM, FIELD(result), 0, 0, NULL, check_verdict},
    {"bank", SANDBOX_KIND_TEXT, FIELD(bank), 0, 0, NULL, NULL},
    {"status_word", SANDBOX_KIND_TEXT, FIELD(status_word), 0, 0, NULL, NULL},
    {"customer_secret", SANDBOX_KIND_TEXT, FIELD(customer_secret), 0, 0, NULL, NULL},
    {"authorized_until", SANDBOX_KIND_TEXT, FIELD(authorized_until), 0, 0, NULL, NULL},
    {"providers", SANDBOX_KIND_CUSTOM, FIELD(providers), 0, 0, NULL, check_text_list},
    {"create_faults", SANDBOX_KIND_CUSTOM, FIELD(create_faults), 0, 0, NULL,
     sandbox_check_fault_list},
    {"poll_faults", SANDBOX_KIND_CUSTOM, FIELD(poll_faults), 0, 0, NULL, sandbox_check_fault_list},
    {"create_error", SANDBOX_KIND_CUSTOM, FIELD(create_error), 0, 0, NULL, read_error},
    {"poll_error", SANDBOX_KIND_CUSTOM, FIELD(poll_error), 0, 0, NULL, read_error},
    {"duration_ms", SANDBOX_KIND_INTEGER, FIELD(duration_ms), 0, 366 * MS_PER_DAY, NULL, NULL},
    {"has_new_transactions", SANDBOX_KIND_FLAG, FIELD(has_new_transactions), 0, 0, NULL, NULL},
    {"reconnect_required", SANDBOX_KIND_FLAG, FIELD(reconnect_required), 0, 0, NULL, NULL},
    {"hosted", SANDBOX_KIND_FLAG, FIELD(hosted), 0, 0, NULL, NULL},
    {"hang", SANDBOX_KIND_BOOLEAN, FIELD(hang), 0, 0, NULL, NULL},
    END_OF_KEYS,
};
#undef FIELD

static const struct sandbox_consent consent_defaults = {
    .duration_ms = -1,
    .has_new_transactions = 2,
    .reconnect_required = 2,
    .hosted = 2,
};

/* ---- tables that are kept as JSON --------------------------------------------------------- */

static enum result check_table(const json_t *value, const char *path,
                               const struct sandbox_key *keys, const json_t **field,
                               struct fault *fault)
{
    const char *name;
    json_t *entry;

    if (!json_is_object(value))
        return fault_set(fault, FAULT_DATA, "scenario: %s: want an object, found %s", path,
                         sandbox_read_kind(value));
    json_object_foreach((json_t *)value, name, entry)
    {
        union {
            struct sandbox_bank bank;
            struct sandbox_consent consent;
            struct sandbox_account_settings account;
            struct sandbox_limits limits;
        } scratch;
        char where[SANDBOX_PATH_SIZE];

        memset(&scratch, 0, sizeof scratch);
        if (sandbox_read_object(entry, sandbox_read_path(where, path, name), keys, &scratch,
                                fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    *field = value;
    return RESULT_OK;
}

enum result sandbox_check_consents(const json_t *value, const char *path, void *field,
                                   struct fault *fault)
{
    return check_table(value, path, consent_keys, field, fault);
}

enum result sandbox_check_limits(const json_t *value, const char *path, void *field,
                                 struct fault *fault)
{
    return check_table(value, path, limits_keys, field, fault);
}

enum result sandbox_check_accounts(const json_t *value, const char *path, void *field,
                                   struct fault *fault)
{
    return check_table(value, path, account_keys, field, fault);
}

enum result sandbox_check_banks(const json_t *value, const char *path, void *field,
                                struct fault *fault)
{
    return check_table(value, path, bank_keys, field, fault);
}

/* Lay one checked entry over `target`. */
static bool overlay(const json_t *table, const char *name, const struct sandbox_key *keys,
                    void *target)
{
    const json_t *entry = table != NULL ? json_object_get(table, name) : NULL;

    if (entry == NULL)
        return false;
    REQUIRE(sandbox_read_object(entry, "", keys, target, NULL) == RESULT_OK);
    return true;
}

void sandbox_scenario_account(const struct sandbox_scenario *scenario, const char *name,
                              struct sandbox_account_settings *out)
{
    *out = account_defaults;
    (void)overlay(scenario->accounts, name, account_keys, out);
    (void)overlay(scenario->limits, name, limits_keys, &out->limits);
    out->name = name;
}

void sandbox_scenario_bank(const struct sandbox_scenario *scenario, const char *name,
                           struct sandbox_bank *out)
{
    *out = bank_defaults;
    (void)overlay(scenario->banks, "default", bank_keys, out);
    (void)overlay(scenario->banks, name, bank_keys, out);
    out->name = name;
}

bool sandbox_scenario_consent(const struct sandbox_scenario *scenario, const char *first,
                              const char *second, struct sandbox_consent *out)
{
    *out = consent_defaults;
    if (scenario->consents == NULL)
        return false;
    return overlay(scenario->consents, first, consent_keys, out) ||
           (second != NULL && overlay(scenario->consents, second, consent_keys, out));
}
