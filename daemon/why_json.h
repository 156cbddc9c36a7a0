/* SPDX-License-Identifier: MIT
 *
 * why_json.h - what the core says about a consent, a bank or an account, as JSON for `why` and
 * `status`.
 *
 * Layer:  daemon. The same for a running core and for one made from the records (shadow_core.h).
 */
#ifndef REFRESHD_DAEMON_WHY_JSON_H
#define REFRESHD_DAEMON_WHY_JSON_H

#include <jansson.h>

#include "base/result.h"
#include "scheduler/backlog.h"

/* null for never and none. */
json_t *why_json_instant(struct utc_time at);

/* The gates of a consent in order, what blocks it now, and from when it may run. */
json_t *why_json_consent(const struct scheduler *scheduler, struct time_now now, uint32_t number,
                         const char *consent, bool is_offline);

/* What waits at a provider (`institution` NULL) or at one of its institutions, because of what, and
 * how much of it will be done in time. FAULT_USAGE: there is no such node. */
MUST_CHECK enum result why_json_node(const struct scheduler *scheduler,
                                     const struct scheduler_settings *settings, struct time_now now,
                                     const char *provider, const char *institution, bool is_offline,
                                     json_t **out, struct fault *fault);

/* Lines {"type":"backlog",...} for `status`: each provider as a whole, then the `top` institutions
 * with most work waiting (of the name `only`, where that is not NULL). */
MUST_CHECK enum result why_json_backlog(const struct scheduler *scheduler,
                                        const struct scheduler_settings *settings,
                                        struct time_now now, uint32_t top, const char *only,
                                        void (*on_line)(void *context, json_t *line), void *context,
                                        struct fault *fault);

#endif
