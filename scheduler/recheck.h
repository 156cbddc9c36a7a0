/* SPDX-License-Identifier: MIT
 *
 * recheck.h - look-ups without a job: is a held consent good again?
 *
 * Layer:  scheduler (pure), private to this folder.
 * Hand:   each provider has a hand that goes round its consents by their numbers, once in
 *         `recheck_ms`, and asks for those that are held. Numbers are given in the order of the
 *         consents' hashes, so those of one bank or one bad night are spread; and however many are
 *         held, the hand passes at most consent_max of them in a round. It waits while its
 *         look-ups cannot go, and never hurries to make up for it: no consent is looked up twice
 *         within the period.
 * Prompt: a webhook that nobody signed may only have its consent looked up: each at most once in
 *         ten minutes, and at most RECHECK_PROMPTS_MAX of them in that time.
 * Limits: a look-up pays at its provider, after everything else that wants to go there, and only
 *         while nothing blocks the provider. It costs no quota and leaves no job.
 */
#ifndef REFRESHD_SCHEDULER_RECHECK_H
#define REFRESHD_SCHEDULER_RECHECK_H

#include "scheduler/core.h"

/* Move the hands, and ask for what waits where the provider has room. */
void recheck_advance_all(struct scheduler *scheduler);
/* The look-up of `consent` that is out was handed over / has ended. One that nobody waits for does
 * nothing. */
void recheck_sent(struct scheduler *scheduler, uint32_t consent, struct mono_time at);
void recheck_answered(struct scheduler *scheduler, uint32_t consent, const struct answer *answer,
                      const struct evidence *evidence);
/* A webhook about a consent (any number): believed if verified, else a prompt. */
void recheck_take_news(struct scheduler *scheduler, uint32_t consent, enum look_up_verdict verdict,
                       struct utc_time expires, bool is_verified);
/* `consent` is held from now on: the hand must not pass it over. */
void recheck_noted(struct scheduler *scheduler, uint32_t consent);
/* The hand stood at `consent` at that time. */
void recheck_recover(struct provider *provider, uint32_t consent, struct mono_time at);

/* Its requests that are out, and those of them that are not handed over yet. */
uint32_t recheck_outstanding(const struct provider *provider);
uint32_t recheck_pending(const struct provider *provider);

#endif
