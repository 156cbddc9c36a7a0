/* SPDX-License-Identifier: MIT
 *
 * consent.h - one consent inside the core: its folded past, its quota, its own gates.
 *
 * Layer:  scheduler (pure), private to this folder. Consents are named by their number.
 */
#ifndef REFRESHD_SCHEDULER_CONSENT_H
#define REFRESHD_SCHEDULER_CONSENT_H

#include "scheduler/core.h"

struct utc_time instant_get(const struct instant *instant);
void instant_set(struct instant *instant, struct utc_time at);

/* Seconds that fit 32 bits: rounded down (expires) or up (pauses); never stays never. */
uint32_t consent_seconds_floor(struct utc_time at);
uint32_t consent_seconds_ceil(struct utc_time at);
/* Its end: the sooner of what its row and its provider say; UTC_NEVER. */
struct utc_time consent_expires(const struct consent *consent);
struct utc_time consent_learned_expires(const struct consent *consent); /* UTC_NEVER */
/* The provider told the end of the consent. A sooner one always counts; a later one when the
 * provider says in the same breath that the consent is good (`is_active`): the customer was there
 * meanwhile. Gives a record when the consent's own end moves by it. UTC_NONE: told nothing. */
void consent_learn_expires(struct scheduler *scheduler, uint32_t consent, struct utc_time expires,
                           bool is_active, const struct evidence *evidence);

uint64_t consent_reference(const struct consent *consent); /* 0: none */
void consent_set_reference(struct consent *consent, uint64_t hash);
/* Equal as far as the core keeps the hash (48 bits)? Never for 0. */
bool consent_reference_is(const struct consent *consent, uint64_t hash);

struct provider *consent_provider(const struct scheduler *scheduler, uint32_t consent);
/* Is it a member of the schedule (by place) now? Removed ones and mode off are in none. */
bool consent_is_member(const struct scheduler *scheduler, uint32_t consent, uint32_t schedule);

/* The charges of a consent that still count; consent_charge adds one, consent_uncharge takes the
 * newest back. */
struct quota consent_quota(const struct scheduler *scheduler, uint32_t consent);
void consent_charge(struct scheduler *scheduler, uint32_t consent, struct utc_time at);
void consent_uncharge(struct scheduler *scheduler, uint32_t consent);
void consent_postpone_charge(struct scheduler *scheduler, uint32_t consent, struct utc_time at);
/* What is now known of the newest charge, by how its job ended. */
void consent_settle_charge(struct scheduler *scheduler, uint32_t consent, enum outcome outcome);

/* Why nothing at all may be initiated for it: removed, listen_only, expired (or so soon that it is
 * not worth a charge), held; REASON_NONE. */
enum reason consent_refusal(const struct scheduler *scheduler, uint32_t consent,
                            struct utc_time now);
/* Its three clocks, each `now` when open. */
void consent_set_not_before(struct consent *consent, struct utc_time until, enum reason reason);
struct utc_time consent_not_before(const struct scheduler *scheduler, uint32_t consent,
                                   struct utc_time now);
struct utc_time consent_cooldown_end(const struct scheduler *scheduler, uint32_t consent,
                                     struct utc_time now);
struct utc_time consent_quota_end(const struct scheduler *scheduler, uint32_t consent,
                                  struct utc_time now);
/* The latest of the three and its reason; REASON_NONE when all are open. */
struct obstacle consent_obstacle(const struct scheduler *scheduler, uint32_t consent,
                                 struct utc_time now, bool is_forced);
/* End of its own pause; UTC_NONE: not paused. */
struct utc_time consent_paused_until(const struct scheduler *scheduler, uint32_t consent,
                                     struct utc_time now);

/* Fold an ended job or slot into the past. */
void consent_fold(struct consent *consent, enum outcome outcome, struct utc_time at);

#endif
