/* SPDX-License-Identifier: MIT
 *
 * feedback.h - the one place that turns the ends of requests and jobs into what the paces and
 * breakers of institution and provider learn.
 *
 * Layer:  scheduler (pure), private to this folder.
 * Fate:   each initiation that is given away has one fate, told once to both of its nodes: when it
 *         is refused, when its job ends, or when nobody can tell any more. An accepted initiation
 *         has no fate yet: HTTP 2xx is not success.
 * Blame:  by the reason, as the views show it.
 *
 *         reason                                             institution  provider
 *         none (refreshed, partial)                          success      success
 *         pushback (429, the bank's own request limit)       refused      works
 *         institution_error (timeout, unavailable)           trouble      works
 *         maintenance, job_failed, lost                      failed       works
 *         provider_error, transport, bad_answer:
 *             the last word of most banks                    -            trouble
 *             else                                           trouble      -
 *         a word about the consent (reconnect, cooldown...)  -            works
 *         anything else                                      -            -
 *
 *         Consents without an institution have no bank to blame: their provider's node takes both
 *         parts. "Works" is no news for a pace, but good news for a breaker.
 *         "Failed" is no news for a pace either (a job fails, is lost or meets maintenance as often
 *         at any pace), but bad news for a breaker. Only trouble may be overload.
 * Polls:  ask for no permit of the learned pace, and say nothing to it by themselves.
 */
#ifndef REFRESHD_SCHEDULER_FEEDBACK_H
#define REFRESHD_SCHEDULER_FEEDBACK_H

#include "scheduler/core.h"

/* The initiation of `job` is given away now. */
void feedback_granted(struct scheduler *scheduler, uint32_t job);
/* It never reached the socket. Its fate is still told: a provider that refuses connections is in
 * trouble too. */
void feedback_returned(struct scheduler *scheduler, uint32_t job);

/* Its fate: what came of it failed for `reason`; REASON_NONE: it succeeded. Each of these does
 * nothing when the fate was told already. */
void feedback_ended(struct scheduler *scheduler, uint32_t job, enum reason reason);
/* The provider answered about the consent, not about load or health. */
void feedback_about_consent(struct scheduler *scheduler, uint32_t job);
/* The provider refused the request as wrong. */
void feedback_misconfigured(struct scheduler *scheduler, uint32_t job);
/* Nobody can tell. */
void feedback_unknown(struct scheduler *scheduler, uint32_t job);

/* It was accepted: no fate yet, but the request was no wrong one. */
void feedback_accepted(struct scheduler *scheduler, uint32_t job);

/* Pauses that any answer, to a poll too, asks for (429, Retry-After). */
void feedback_answer(struct scheduler *scheduler, uint32_t job, const struct answer *answer);
/* The same of an answer that belongs to no job (a look-up, a list of institutions). */
void feedback_answer_without_job(struct scheduler *scheduler, struct provider *provider,
                                 const struct answer *answer);

/* Forget what was learned about a provider's node (`institution` NONE_INDEX: and about all its
 * institutions) or about one institution: by inner places. */
void feedback_reset(struct scheduler *scheduler, uint32_t provider, uint32_t institution);

#endif
