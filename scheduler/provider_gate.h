/* SPDX-License-Identifier: MIT
 *
 * provider_gate.h - may a provider be called at all: token, stopped credentials, pushback, rate.
 *
 * Layer:   scheduler (pure), private to this folder.
 * Refusal: a refused credential belongs to the provider, never to the consent. First the token is
 *          renewed once (one renewal at a time) and the refused requests are sent again; when the
 *          renewed token is refused too, or there are no tokens, the provider stops with reason
 *          `auth` and is tried again slowly: one request as a probe, with doubling waits.
 * One bad: a job that is refused again and again while others are accepted in between is a
 *          refusal of that consent; provider_gate_refused says so at the third time.
 */
#ifndef REFRESHD_SCHEDULER_PROVIDER_GATE_H
#define REFRESHD_SCHEDULER_PROVIDER_GATE_H

#include "scheduler/core.h"

void provider_gate_init(struct provider *provider);

/* What stands in the way of any request; REASON_NONE: one may go. */
struct obstacle provider_gate_obstacle(const struct scheduler *scheduler,
                                       const struct provider *provider);
/* Beside that, what stands in the way of an initiation. */
struct obstacle provider_gate_job_obstacle(const struct scheduler *scheduler,
                                           struct provider *provider, bool is_repeat);

/* Ask for a token if the provider needs one soon and may be asked. */
void provider_gate_want_token(struct scheduler *scheduler, struct provider *provider);
void provider_gate_token_sent(struct provider *provider, struct mono_time at);
void provider_gate_token_ended(struct scheduler *scheduler, struct provider *provider,
                               bool is_granted, bool reached_socket, int64_t lifetime_ms,
                               int64_t retry_after_ms, struct mono_time at);

/* A request goes out now / was answered by something else than a refusal of the credentials / was
 * refused. The last answers false where the refusal is about the consent. */
void provider_gate_sending(struct provider *provider, struct gate_pass *pass);
void provider_gate_accepted(struct scheduler *scheduler, struct provider *provider,
                            struct gate_pass *pass, bool is_answered);
bool provider_gate_refused(struct scheduler *scheduler, struct provider *provider,
                           struct gate_pass *pass);

/* Count one poll, look-up or token call in this batch's RECORD_CALLS, where rates survive. */
void provider_gate_count_call(struct scheduler *scheduler, struct provider *provider);

#endif
