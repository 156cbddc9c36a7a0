/* SPDX-License-Identifier: MIT
 * consent.c - see consent.h. */
#include "scheduler/consent.h"

#define INSTANT_NEVER ((UINT64_C(1) << 48) - 1)
#define REFERENCE_MASK ((UINT64_C(1) << 48) - 1)

static uint64_t instant_bits(const struct instant *instant)
{
    return (uint64_t)instant->part[0] << 32 | (uint64_t)instant->part[1] << 16 | instant->part[2];
}

static void instant_set_bits(struct instant *instant, uint64_t bits)
{
    instant->part[0] = (uint16_t)(bits >> 32);
    instant->part[1] = (uint16_t)(bits >> 16);
    instant->part[2] = (uint16_t)bits;
}

struct utc_time instant_get(const struct instant *instant)
{
    uint64_t bits = instant_bits(instant);

    if (bits == 0)
        return UTC_NONE;
    if (bits == INSTANT_NEVER)
        return UTC_NEVER;
    return (struct utc_time){(int64_t)bits - 1};
}

void instant_set(struct instant *instant, struct utc_time at)
{
    uint64_t bits;

    if (at.ms < 0)
        bits = 0; /* UTC_NONE; nothing that we keep happened before 1970 */
    else if (at.ms >= (int64_t)INSTANT_NEVER - 1)
        bits = INSTANT_NEVER;
    else
        bits = (uint64_t)at.ms + 1;
    instant_set_bits(instant, bits);
}

uint32_t consent_seconds_floor(struct utc_time at)
{
    if (at.ms < 0)
        return 0;
    if (at.ms / MS_PER_SECOND >= UINT32_MAX)
        return UINT32_MAX;
    return (uint32_t)(at.ms / MS_PER_SECOND);
}

uint32_t consent_seconds_ceil(struct utc_time at)
{
    return consent_seconds_floor(utc_add_ms(at, MS_PER_SECOND - 1));
}

static struct utc_time end_of(uint32_t expires_s)
{
    if (expires_s == UINT32_MAX)
        return UTC_NEVER;
    return (struct utc_time){(int64_t)expires_s * MS_PER_SECOND};
}

struct utc_time consent_expires(const struct consent *consent)
{
    return end_of(consent->expires_s < consent->learned_expires_s ? consent->expires_s
                                                                  : consent->learned_expires_s);
}

struct utc_time consent_learned_expires(const struct consent *consent)
{
    return end_of(consent->learned_expires_s);
}

void consent_learn_expires(struct scheduler *scheduler, uint32_t index, struct utc_time expires,
                           bool is_active, const struct evidence *evidence)
{
    struct consent *consent = &scheduler->consents[index];
    struct utc_time before = consent_expires(consent);
    uint32_t old_s = consent->learned_expires_s;
    uint32_t expires_s = consent_seconds_floor(expires);
    struct record *record;

    if (expires.ms == UTC_NONE.ms || expires_s == old_s || (expires_s > old_s && !is_active))
        return;
    consent->learned_expires_s = expires_s;
    if (consent_expires(consent).ms == before.ms) { /* its row ends it sooner anyway */
        consent->learned_expires_s = old_s;
        return;
    }
    record = core_record(scheduler, RECORD_EXPIRES, evidence);
    record->as.expires.consent = index;
    record->as.expires.expires = expires;
    record->as.expires.before = before;
}

uint64_t consent_reference(const struct consent *consent)
{
    return instant_bits(&consent->reference);
}

void consent_set_reference(struct consent *consent, uint64_t hash)
{
    instant_set_bits(&consent->reference, hash & REFERENCE_MASK);
}

bool consent_reference_is(const struct consent *consent, uint64_t hash)
{
    return hash != 0 && consent_reference(consent) == (hash & REFERENCE_MASK) &&
           consent_reference(consent) != 0;
}

struct provider *consent_provider(const struct scheduler *scheduler, uint32_t consent)
{
    uint32_t institution = scheduler->consents[consent].institution;

    return &scheduler->providers[scheduler->institutions[institution].provider];
}

bool consent_is_member(const struct scheduler *scheduler, uint32_t consent, uint32_t schedule)
{
    const struct consent *c = &scheduler->consents[consent];
    const struct schedule_set *set;

    if ((c->flags & CONSENT_IN_USE) == 0 || c->mode == MODE_OFF || c->schedule_set == UINT16_MAX)
        return false;
    set = &scheduler->sets[c->schedule_set];
    for (uint32_t i = 0; i < set->count; i++)
        if (set->schedules[i] == schedule)
            return true;
    return false;
}

struct quota consent_quota(const struct scheduler *scheduler, uint32_t consent)
{
    return (struct quota){
        .newest = instant_get(&scheduler->consents[consent].charged),
        .gaps = scheduler->quota_gaps + (size_t)consent * scheduler->quota_gap_count,
        .gap_count = scheduler->quota_gap_count,
    };
}

void consent_charge(struct scheduler *scheduler, uint32_t consent, struct utc_time at)
{
    struct consent *c = &scheduler->consents[consent];
    struct quota quota = consent_quota(scheduler, consent);

    quota_charge(&quota, at);
    instant_set(&c->charged, quota.newest);
    c->cooldown_kinds = ((c->cooldown_kinds & 3u) << 2 | COOLDOWN_AFTER_ACCEPT) & 15u;
}

void consent_uncharge(struct scheduler *scheduler, uint32_t consent)
{
    struct consent *c = &scheduler->consents[consent];
    struct quota quota = consent_quota(scheduler, consent);

    quota_uncharge(&quota, consent_provider(scheduler, consent)->settings.quota.window_ms);
    instant_set(&c->charged, quota.newest);
    c->cooldown_kinds = (uint8_t)((unsigned)c->cooldown_kinds >> 2 & 3u);
}

void consent_postpone_charge(struct scheduler *scheduler, uint32_t consent, struct utc_time at)
{
    struct quota quota = consent_quota(scheduler, consent);

    quota_postpone(&quota, at);
    instant_set(&scheduler->consents[consent].charged, quota.newest);
}

void consent_settle_charge(struct scheduler *scheduler, uint32_t consent, enum outcome outcome)
{
    struct consent *c = &scheduler->consents[consent];
    unsigned kind = COOLDOWN_AFTER_ACCEPT; /* unknown: its end is not known */

    if (outcome == OUTCOME_REFRESHED || outcome == OUTCOME_PARTIAL ||
        outcome == OUTCOME_DEDUPLICATED)
        kind = COOLDOWN_AFTER_SUCCESS;
    else if (outcome == OUTCOME_FAILED || outcome == OUTCOME_RECONNECT_REQUIRED)
        kind = COOLDOWN_AFTER_FAILURE;
    c->cooldown_kinds = ((c->cooldown_kinds & 12u) | kind) & 15u;
}

enum reason consent_refusal(const struct scheduler *scheduler, uint32_t consent,
                            struct utc_time now)
{
    const struct consent *c = &scheduler->consents[consent];

    if ((c->flags & CONSENT_IN_USE) == 0 || c->mode == MODE_OFF ||
        !consent_provider(scheduler, consent)->is_configured)
        return REASON_REMOVED;
    if (c->mode == MODE_LISTEN)
        return REASON_LISTEN_ONLY;
    if (now.ms >= utc_add_ms(consent_expires(c),
                             -consent_provider(scheduler, consent)->settings.expiry_margin_ms)
                      .ms)
        return REASON_EXPIRED;
    if ((c->flags & CONSENT_IS_HELD) != 0)
        return REASON_HELD;
    return REASON_NONE;
}

void consent_set_not_before(struct consent *consent, struct utc_time until, enum reason reason)
{
    instant_set(&consent->not_before, until);
    consent->not_before_reason = (unsigned)reason & 63u;
}

struct utc_time consent_not_before(const struct scheduler *scheduler, uint32_t consent,
                                   struct utc_time now)
{
    return utc_later(now, instant_get(&scheduler->consents[consent].not_before));
}

struct utc_time consent_cooldown_end(const struct scheduler *scheduler, uint32_t consent,
                                     struct utc_time now)
{
    const struct consent *c = &scheduler->consents[consent];
    const struct cooldown_settings *cooldown =
        &consent_provider(scheduler, consent)->settings.cooldown;
    struct utc_time charged = instant_get(&c->charged);
    int64_t spacing_ms = cooldown->after_accept_ms;

    if (charged.ms == UTC_NONE.ms)
        return now;
    if ((c->cooldown_kinds & 3u) == COOLDOWN_AFTER_SUCCESS)
        spacing_ms = cooldown->after_success_ms;
    else if ((c->cooldown_kinds & 3u) == COOLDOWN_AFTER_FAILURE)
        spacing_ms = cooldown->after_failure_ms;
    return utc_later(now, spacing_ms > 0 ? utc_add_ms(charged, spacing_ms) : now);
}

struct utc_time consent_quota_end(const struct scheduler *scheduler, uint32_t consent,
                                  struct utc_time now)
{
    const struct quota_settings *settings = &consent_provider(scheduler, consent)->settings.quota;
    struct quota quota = consent_quota(scheduler, consent);

    return quota_earliest(&quota, settings->count, settings->window_ms, now);
}

struct obstacle consent_obstacle(const struct scheduler *scheduler, uint32_t consent,
                                 struct utc_time now, bool is_forced)
{
    struct obstacle obstacle = {REASON_NONE, now, {INT64_MIN}};
    struct utc_time at = consent_not_before(scheduler, consent, now);

    if (at.ms > obstacle.utc.ms) {
        enum reason reason = (enum reason)scheduler->consents[consent].not_before_reason;

        obstacle.utc = at;
        obstacle.reason = reason != REASON_NONE ? reason : REASON_COOLDOWN;
    }
    at = is_forced ? now : consent_cooldown_end(scheduler, consent, now);
    if (at.ms > obstacle.utc.ms) {
        obstacle.utc = at;
        obstacle.reason = REASON_COOLDOWN;
    }
    at = consent_quota_end(scheduler, consent, now);
    if (at.ms > obstacle.utc.ms) {
        obstacle.utc = at;
        obstacle.reason = REASON_QUOTA;
    }
    return obstacle;
}

struct utc_time consent_paused_until(const struct scheduler *scheduler, uint32_t consent,
                                     struct utc_time now)
{
    uint32_t until_s = scheduler->consents[consent].paused_until_s;
    struct utc_time until = {(int64_t)until_s * MS_PER_SECOND};

    if (until_s == UINT32_MAX)
        return UTC_NEVER;
    return until_s != 0 && until.ms > now.ms ? until : UTC_NONE;
}

void consent_fold(struct consent *consent, enum outcome outcome, struct utc_time at)
{
    consent->last_outcome = (unsigned)outcome & 7u;
    switch (outcome) {
    case OUTCOME_REFRESHED:
    case OUTCOME_PARTIAL:
    case OUTCOME_DEDUPLICATED:
        instant_set(&consent->last_success, at);
        consent->failures = 0;
        consent->refusals = 0;
        break;
    case OUTCOME_FAILED:
    case OUTCOME_UNKNOWN:
        if (consent->failures < UINT8_MAX)
            consent->failures++;
        break;
    case OUTCOME_RECONNECT_REQUIRED: /* a change of state, no failure of ours */
    case OUTCOME_SKIPPED:
    case OUTCOME_NONE:
    case OUTCOME_COUNT: break;
    }
}
