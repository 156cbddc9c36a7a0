/* SPDX-License-Identifier: MIT
 *
 * webhook_listener.h - where providers tell us that something happened.
 *
 * Layer:  daemon. POST /webhooks/{provider}/{token} where the URL was given with the request, POST
 *         /webhooks/{provider} where the provider registers one (design section 9).
 * Trust:  none. A webhook prompts a poll of an open job (which respects floor and rate) or tells
 * the id of a job whose answer was lost, if its token is ours. It never ends a job. Answer: 204
 * once it is stored, 503 when it could not be stored, 401 for a token that is not ours, 404 for
 * anything that is not a webhook URL, 400 for a body that cannot be read.
 */
#ifndef REFRESHD_DAEMON_WEBHOOK_LISTENER_H
#define REFRESHD_DAEMON_WEBHOOK_LISTENER_H

#include "base/result.h"
#include "base/time_point.h"

struct engine;
struct job_context;
struct webhook_listener;

/* Listen on http.webhooks.listen of the engine's configuration. */
MUST_CHECK enum result webhook_listener_open(struct engine *engine,
                                             struct webhook_listener **listener,
                                             struct fault *fault);
void webhook_listener_close(struct webhook_listener *listener); /* NULL is fine */

/* Store what has come in since the last turn, in one transaction, answer it, and prompt the jobs
 * that it is about. */
void webhook_listener_store(struct webhook_listener *listener, struct time_now now);

/* The provider's id of a job (or of our part of it) has just become known: was it told about
 * before? Then prompt a poll. */
void webhook_listener_match(struct webhook_listener *listener, struct time_now now,
                            struct job_context *job, const char *id);

#endif
