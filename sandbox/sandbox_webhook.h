/* SPDX-License-Identifier: MIT
 *
 * sandbox_webhook.h - signed webhooks about the life of jobs, to loopback receivers only.
 *
 * Layer:   sandbox (libevent's HTTP client, jansson, OpenSSL through sandbox_jws.h).
 * Retries: connection errors and 5xx are tried again `webhook.retries` times; 2xx, 3xx and 4xx
 *          are final.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_WEBHOOK_H
#define REFRESHD_SANDBOX_SANDBOX_WEBHOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/result.h"

struct sandbox;
struct sandbox_job;

enum result sandbox_webhook_init(struct sandbox *sandbox, struct fault *fault) MUST_CHECK;
void sandbox_webhook_deinit(struct sandbox *sandbox);
/* True for http://127.x.y.z[:port]/..., http://localhost... and http://[::1]...: nothing else is
 * called. */
bool sandbox_webhook_url_is_allowed(const char *url);
/* When the job's next webhook is due; INT64_MAX when it has none left. */
int64_t sandbox_webhook_next_ms(const struct sandbox *sandbox, const struct sandbox_job *job);
/* Queue those webhooks of the job that are due at `now_ms`. */
void sandbox_webhook_make(struct sandbox *sandbox, uint32_t job, int64_t now_ms);
/* Make sure that webhooks due at `at_ms` are made without waiting for a request. */
void sandbox_webhook_schedule(struct sandbox *sandbox, int64_t at_ms);
/* Send Bud's webhook about a consent: `event` is "revoked", "reconfirmed" or "reauthorised", the
 * other texts may be NULL. False when no URL is configured for it. */
bool sandbox_webhook_consent_event(struct sandbox *sandbox, const char *event, const char *customer,
                                   const char *provider, const char *consent_id,
                                   const char *reason);
/* Counters for the statistics; NULL without memory. */
json_t *sandbox_webhook_json(const struct sandbox *sandbox);

#endif
