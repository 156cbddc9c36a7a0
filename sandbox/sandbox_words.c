/* SPDX-License-Identifier: MIT
 * sandbox_words.c - texts of APIs, endpoints and verdicts. */
#include "sandbox/sandbox_words.h"

#include <string.h>

#include "base/result.h"

static const char *const api_texts[SANDBOX_API_COUNT] = {"finqware", "bud-v1", "bud-v2", "bud"};
static const char *const endpoint_texts[SANDBOX_ENDPOINT_COUNT] = {
    "create", "poll", "token", "consents", "providers", "jwks", "other"};

/* The first three are the whole of what Finqware can say; the rest are Bud's result codes. */
static const struct sandbox_verdict verdicts[] = {
    {"success", SANDBOX_ENDS_WELL, false},
    {"partial", SANDBOX_ENDS_PARTLY, false},
    {"job_failed", SANDBOX_ENDS_BADLY, false},
    {"connection_expired", SANDBOX_ENDS_BADLY, true},
    {"connection_revoked", SANDBOX_ENDS_BADLY, true},
    {"connection_reauthenticate", SANDBOX_ENDS_BADLY, true},
    {"consent_not_found", SANDBOX_ENDS_BADLY, true},
    {"connection_not_found", SANDBOX_ENDS_BADLY, false},
    {"connection_status", SANDBOX_ENDS_BADLY, false},
    {"auth_denied", SANDBOX_ENDS_BADLY, false},
    {"auth_expired", SANDBOX_ENDS_BADLY, false},
    {"auth_used", SANDBOX_ENDS_BADLY, false},
    {"awaiting_authorisation", SANDBOX_ENDS_BADLY, false},
    {"connection_permission", SANDBOX_ENDS_BADLY, false},
    {"provider_request_limit", SANDBOX_ENDS_BADLY, false},
    {"provider_maintenance", SANDBOX_ENDS_BADLY, false},
    {"provider_unavailable", SANDBOX_ENDS_BADLY, false},
    {"provider_timeout", SANDBOX_ENDS_BADLY, false},
    {"provider_failure", SANDBOX_ENDS_BADLY, false},
    {"provider_unauthorised", SANDBOX_ENDS_BADLY, false},
    {"provider_marked_account_invalid", SANDBOX_ENDS_BADLY, false},
    {"provider_not_found", SANDBOX_ENDS_BADLY, false},
    {"provider_endpoint_deprecated", SANDBOX_ENDS_BADLY, false},
    {"provider_endpoint_unimplemented", SANDBOX_ENDS_BADLY, false},
    {"provider_endpoint_unsupported", SANDBOX_ENDS_BADLY, false},
    {"failed_validation", SANDBOX_ENDS_BADLY, false},
    {"failed_body_decode", SANDBOX_ENDS_BADLY, false},
    {"extension_not_permitted", SANDBOX_ENDS_BADLY, false},
    {"resource_not_found", SANDBOX_ENDS_BADLY, false},
    {"task_not_found", SANDBOX_ENDS_BADLY, false},
    {"internal_error", SANDBOX_ENDS_BADLY, false},
    {"internal_timeout", SANDBOX_ENDS_BADLY, false},
    {"internal_transient_error", SANDBOX_ENDS_BADLY, false},
    {"internal_auth_error", SANDBOX_ENDS_BADLY, false},
    {"account_not_found", SANDBOX_ENDS_BADLY, false},
    {"request_validation", SANDBOX_ENDS_BADLY, false},
    {"provider_reauthenticate", SANDBOX_ENDS_BADLY, true},
};

const char *sandbox_api_text(enum sandbox_api api)
{
    REQUIRE(api < SANDBOX_API_COUNT);
    return api_texts[api];
}

const char *sandbox_endpoint_text(enum sandbox_endpoint endpoint)
{
    REQUIRE(endpoint < SANDBOX_ENDPOINT_COUNT);
    return endpoint_texts[endpoint];
}

const struct sandbox_verdict *sandbox_verdict(uint8_t index)
{
    REQUIRE(index < sandbox_verdict_count());
    return &verdicts[index];
}

uint8_t sandbox_verdict_count(void)
{
    return (uint8_t)(sizeof verdicts / sizeof verdicts[0]);
}

uint8_t sandbox_verdict_find(const char *word)
{
    for (uint8_t i = 0; i < sandbox_verdict_count(); i++)
        if (strcmp(verdicts[i].word, word) == 0)
            return i;
    /* Finqware's own words for the same three ends. */
    if (strcmp(word, "job_completed") == 0)
        return SANDBOX_VERDICT_SUCCESS;
    if (strcmp(word, "job_partially_completed") == 0)
        return 1;
    return SANDBOX_VERDICT_NONE;
}

uint64_t sandbox_mix(uint64_t a, uint64_t b)
{
    uint64_t z = a * UINT64_C(0x9E3779B97F4A7C15) + b + UINT64_C(0x632BE59BD9B4E019);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

bool sandbox_falls_in(uint64_t random, double share)
{
    /* 53 bits, the precision of a double: [0, 1). */
    return (double)(random >> 11) * 0x1p-53 < share;
}
