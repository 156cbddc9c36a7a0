/* SPDX-License-Identifier: MIT
 * sandbox_scenario_faults.c - the shares and lists of faults in a scenario. */
#include <stddef.h>
#include <string.h>

#include "sandbox/sandbox_scenario_parts.h"

static const char *const fault_texts[SANDBOX_FAULT_COUNT] = {
    "none",       "http_500",      "http_500_message", "http_503",
    "http_429",   "http_429_date", "http_429_bare",    "http_401",
    "http_403",   "unknown_code",  "redirect",         "drop_before",
    "drop_after", "reset_after",   "truncated_length", "truncated_close",
    "huge_body",  "invalid_json",  "wrong_types",      "other_id",
    "empty_body", "not_http",      "gzip_bomb",        "slow",
};

const char *sandbox_fault_text(enum sandbox_fault fault)
{
    REQUIRE(fault < SANDBOX_FAULT_COUNT);
    return fault_texts[fault];
}

enum result sandbox_check_fault_list(const json_t *value, const char *path, void *field,
                                     struct fault *fault)
{
    if (!json_is_array(value))
        return fault_set(fault, FAULT_DATA, "scenario: %s: want an array of faults, found %s", path,
                         sandbox_read_kind(value));
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *word = json_string_value(json_array_get(value, i));
        size_t k = 0;

        while (word != NULL && k < SANDBOX_FAULT_COUNT && strcmp(fault_texts[k], word) != 0)
            k++;
        if (word == NULL || k == SANDBOX_FAULT_COUNT)
            return fault_set(fault, FAULT_DATA, "scenario: %s[%zu]: unknown fault \"%s\"", path, i,
                             word != NULL ? word : "");
    }
    *(const json_t **)field = value;
    return RESULT_OK;
}

static enum result read_plan(const json_t *value, const char *path, struct sandbox_fault_plan *plan,
                             struct fault *fault)
{
    struct sandbox_key keys[SANDBOX_FAULT_COUNT + 2];
    double sum = 0;

    memset(keys, 0, sizeof keys);
    for (size_t i = 0; i < SANDBOX_FAULT_COUNT; i++)
        keys[i] = (struct sandbox_key){.name = fault_texts[i],
                                       .kind = SANDBOX_KIND_SHARE,
                                       .offset = offsetof(struct sandbox_fault_plan, shares) +
                                                 i * sizeof(double)};
    keys[SANDBOX_FAULT_COUNT] =
        (struct sandbox_key){.name = "next",
                             .kind = SANDBOX_KIND_CUSTOM,
                             .offset = offsetof(struct sandbox_fault_plan, next),
                             .read = sandbox_check_fault_list};
    if (sandbox_read_object(value, path, keys, plan, fault) != RESULT_OK)
        return RESULT_FAULT;
    for (size_t i = 0; i < SANDBOX_FAULT_COUNT; i++)
        sum += plan->shares[i];
    if (sum > 1.0 + 1e-9)
        return fault_set(fault, FAULT_DATA, "scenario: %s: the shares add up to %.3f, more than 1",
                         path, sum);
    plan->is_set = true;
    return RESULT_OK;
}

static size_t fault_index(const char *word)
{
    size_t i = 1;

    while (i < SANDBOX_FAULT_COUNT && strcmp(fault_texts[i], word) != 0)
        i++;
    return i;
}

/* Shares named directly in `value` hold for creates and polls of one API. */
static enum result read_common_shares(const json_t *value, const char *path,
                                      struct sandbox_fault_plan *plans, struct fault *fault)
{
    const char *name;
    json_t *entry;

    if (!json_is_object(value))
        return fault_set(fault, FAULT_DATA, "scenario: %s: want an object, found %s", path,
                         sandbox_read_kind(value));
    json_object_foreach((json_t *)value, name, entry)
    {
        size_t index = fault_index(name);
        double share = json_number_value(entry);
        char where[SANDBOX_PATH_SIZE];

        if (index == SANDBOX_FAULT_COUNT)
            continue;
        if (!json_is_number(entry) || share < 0 || share > 1)
            return fault_set(fault, FAULT_DATA, "scenario: %s: want a share from 0 to 1",
                             sandbox_read_path(where, path, name));
        plans[SANDBOX_ENDPOINT_CREATE].shares[index] = share;
        plans[SANDBOX_ENDPOINT_CREATE].is_set = true;
        plans[SANDBOX_ENDPOINT_POLL].shares[index] = share;
        plans[SANDBOX_ENDPOINT_POLL].is_set = true;
    }
    return RESULT_OK;
}

/* Where faults can strike: creates and polls belong to a version of Bud, the rest to both. */
static bool has_faults(size_t api, size_t endpoint)
{
    bool is_job = endpoint == SANDBOX_ENDPOINT_CREATE || endpoint == SANDBOX_ENDPOINT_POLL;

    switch (api) {
    case SANDBOX_API_FINQWARE:
        return is_job || endpoint == SANDBOX_ENDPOINT_TOKEN ||
               endpoint == SANDBOX_ENDPOINT_CONSENTS;
    case SANDBOX_API_BUD_V1:
    case SANDBOX_API_BUD_V2: return is_job;
    default:
        return endpoint == SANDBOX_ENDPOINT_TOKEN || endpoint == SANDBOX_ENDPOINT_CONSENTS ||
               endpoint == SANDBOX_ENDPOINT_PROVIDERS;
    }
}

static enum result read_api_faults(const json_t *value, const char *path, size_t api,
                                   struct sandbox_fault_plan *plans, struct fault *fault)
{
    const char *name;
    json_t *entry;

    if (read_common_shares(value, path, plans, fault) != RESULT_OK)
        return RESULT_FAULT;
    json_object_foreach((json_t *)value, name, entry)
    {
        char where[SANDBOX_PATH_SIZE];
        size_t i = 0;

        if (fault_index(name) < SANDBOX_FAULT_COUNT)
            continue;
        while (i < SANDBOX_ENDPOINT_COUNT &&
               (!has_faults(api, i) ||
                strcmp(sandbox_endpoint_text((enum sandbox_endpoint)i), name) != 0))
            i++;
        sandbox_read_path(where, path, name);
        if (i == SANDBOX_ENDPOINT_COUNT)
            return fault_set(fault, FAULT_DATA,
                             "scenario: %s: neither a fault nor an endpoint with faults of this "
                             "API (finqware: create, poll, token, consents; bud-v1, bud-v2: "
                             "create, poll; bud: token, consents, providers)",
                             where);
        if (read_plan(entry, where, &plans[i], fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    return RESULT_OK;
}

enum result sandbox_read_faults(const json_t *value, const char *path, void *field,
                                struct fault *fault)
{
    struct sandbox_fault_plan(*plans)[SANDBOX_ENDPOINT_COUNT] = field;
    const char *name;
    json_t *entry;

    for (size_t i = 0; i < SANDBOX_API_COUNT; i++)
        if (read_common_shares(value, path, plans[i], fault) != RESULT_OK)
            return RESULT_FAULT;
    json_object_foreach((json_t *)value, name, entry)
    {
        char where[SANDBOX_PATH_SIZE];
        size_t i = 0;

        if (fault_index(name) < SANDBOX_FAULT_COUNT)
            continue;
        while (i < SANDBOX_API_COUNT && strcmp(sandbox_api_text((enum sandbox_api)i), name) != 0)
            i++;
        sandbox_read_path(where, path, name);
        if (i == SANDBOX_API_COUNT)
            return fault_set(fault, FAULT_DATA,
                             "scenario: %s: neither a fault nor an API (finqware, bud-v1, bud-v2, "
                             "bud)",
                             where);
        if (read_api_faults(entry, where, i, plans[i], fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    return RESULT_OK;
}
