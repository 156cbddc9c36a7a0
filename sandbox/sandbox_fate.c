/* SPDX-License-Identifier: MIT
 * sandbox_fate.c - seeded choices: same seed, same consent, same job number, same fate. */
#include <string.h>

#include "sandbox/sandbox_state.h"

/* One draw from cumulative shares [first, last): the share hit, or `last` for none. */
static enum sandbox_share pick(const double *shares, size_t first, size_t last, uint64_t random)
{
    double sum = 0;

    for (size_t i = first; i < last; i++) {
        sum += shares[i];
        if (shares[i] > 0 && sandbox_falls_in(random, sum))
            return (enum sandbox_share)i;
    }
    return (enum sandbox_share)last;
}

const char *sandbox_fate_state(const struct sandbox *sandbox, const char *id,
                               const struct sandbox_consent *said)
{
    static const char *const inactive[] = {"created", "started", "awaiting_authz", "authorized"};
    uint64_t random;

    if (said != NULL && said->state != NULL)
        return said->state;
    random = hash_bytes(id, strlen(id), sandbox_mix(sandbox->seed, 1));
    switch (pick(sandbox->scenario->shares, 0, SANDBOX_SHARE_CONSENT_COUNT, random)) {
    case SANDBOX_SHARE_REVOKED: return "revoked";
    case SANDBOX_SHARE_EXPIRED: return "expired";
    case SANDBOX_SHARE_SUSPENDED: return "suspended";
    case SANDBOX_SHARE_NOT_ACTIVE: return inactive[random % 4];
    case SANDBOX_SHARE_NOT_FOUND: return "missing";
    default: return "active";
    }
}

bool sandbox_bank_in_maintenance(const struct sandbox_bank *bank, int64_t now_ms)
{
    return bank->maintenance ||
           (now_ms >= bank->maintenance_from.ms && now_ms < bank->maintenance_until.ms);
}

static const char *share_verdict(enum sandbox_share share)
{
    switch (share) {
    case SANDBOX_SHARE_PARTIAL: return "partial";
    case SANDBOX_SHARE_JOB_FAILED: return "job_failed";
    case SANDBOX_SHARE_BANK_LIMIT: return "provider_request_limit";
    case SANDBOX_SHARE_PROVIDER_MAINTENANCE: return "provider_maintenance";
    case SANDBOX_SHARE_PROVIDER_UNAVAILABLE: return "provider_unavailable";
    case SANDBOX_SHARE_PROVIDER_TIMEOUT: return "provider_timeout";
    case SANDBOX_SHARE_PROVIDER_FAILURE: return "provider_failure";
    case SANDBOX_SHARE_INTERNAL_ERROR: return "internal_error";
    default: return "success";
    }
}

/* What Bud says about a consent that is not active any more. */
static const char *state_verdict(const char *state)
{
    if (strcmp(state, "active") == 0)
        return NULL;
    if (strcmp(state, "revoked") == 0)
        return "connection_revoked";
    if (strcmp(state, "missing") == 0)
        return "connection_not_found";
    if (strcmp(state, "suspended") == 0)
        return "connection_reauthenticate";
    if (strcmp(state, "expired") == 0 || strcmp(state, "deactivated") == 0)
        return "connection_expired";
    return "awaiting_authorisation";
}

static uint32_t draw_duration(const struct sandbox_scenario *scenario,
                              const struct sandbox_bank *bank, uint64_t random)
{
    struct sandbox_range range = scenario->job_duration_ms;
    uint64_t ms;

    if (scenario->instant)
        return 0;
    if (bank != NULL && bank->job_duration_ms.min >= 0)
        range = bank->job_duration_ms;
    ms = (uint64_t)range.min + random % (uint64_t)(range.max - range.min + 1);
    return ms >= SANDBOX_DURATION_NEVER ? SANDBOX_DURATION_NEVER - 1 : (uint32_t)ms;
}

void sandbox_fate_draw(const struct sandbox_exchange *exchange, const char *id,
                       const char *bank_name, const struct sandbox_bank *bank,
                       const struct sandbox_consent *said, uint32_t number,
                       struct sandbox_draw *out)
{
    const struct sandbox *sandbox = exchange->sandbox;
    const struct sandbox_scenario *scenario = sandbox->scenario;
    uint64_t consent_hash = hash_bytes(id, strlen(id), sandbox_mix(sandbox->seed, 2)) ^
                            hash_bytes(bank_name, strlen(bank_name), sandbox->seed);
    uint64_t random = sandbox_mix(consent_hash, number);
    enum sandbox_share share =
        pick(scenario->shares, SANDBOX_SHARE_CONSENT_COUNT, SANDBOX_SHARE_FATE_COUNT, random);
    const char *word = share_verdict(share);
    const char *dead =
        exchange->account->is_bud ? state_verdict(sandbox_fate_state(sandbox, id, said)) : NULL;
    bool hangs = share == SANDBOX_SHARE_HANG;

    *out = (struct sandbox_draw){0};
    if (bank != NULL) {
        if (bank->fail_share > 0 && sandbox_falls_in(sandbox_mix(random, 3), bank->fail_share))
            word = "provider_failure";
        if (bank->result != NULL)
            word = bank->result;
        if (sandbox_bank_in_maintenance(bank, exchange->now_ms))
            word = "provider_maintenance";
        if (bank->down)
            word = "provider_unavailable";
        hangs = hangs || bank->hang;
    }
    if (dead != NULL)
        word = dead;
    if (said != NULL && said->result != NULL)
        word = said->result;
    out->verdict = sandbox_verdict_find(word);
    out->duration_ms = draw_duration(scenario, bank, sandbox_mix(random, 4));
    if (said != NULL && said->duration_ms >= 0)
        out->duration_ms = said->duration_ms >= SANDBOX_DURATION_NEVER
                               ? SANDBOX_DURATION_NEVER - 1
                               : (uint32_t)said->duration_ms;
    if (hangs || (said != NULL && said->hang))
        out->duration_ms = SANDBOX_DURATION_NEVER;
    if (share == SANDBOX_SHARE_LOST)
        out->flags |= SANDBOX_JOB_LOST;
    if (share == SANDBOX_SHARE_UNKNOWN_STATUS)
        out->flags |= SANDBOX_JOB_UNKNOWN_STATUS;
    if (said != NULL && said->has_new_transactions != 2
            ? said->has_new_transactions == 0
            : sandbox_falls_in(sandbox_mix(random, 5), scenario->shares[SANDBOX_SHARE_NO_NEW_DATA]))
        out->flags |= SANDBOX_JOB_NO_NEW_DATA;
    if (scenario->bud.revoked_shape == SANDBOX_REVOKED_COMPLETED ||
        (scenario->bud.revoked_shape == SANDBOX_REVOKED_MIXED && (consent_hash & 1) != 0))
        out->flags |= SANDBOX_JOB_REVOKED_COMPLETED;
    if (sandbox_falls_in(sandbox_mix(random, 6), scenario->bud.old_status_words))
        out->flags |= SANDBOX_JOB_OLD_WORDS;
}
