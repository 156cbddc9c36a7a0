/* SPDX-License-Identifier: MIT
 *
 * status_surface.h - what machines ask a running daemon over HTTP: alive, ready, how much.
 *
 * Layer: daemon. GET only, on http.listen:
 *          /healthz    200 while the loop turns
 *          /readyz     200 when work can be done, 503 with the reason while storage is blocked or
 *                      the daemon drains
 *          /metrics    Prometheus text format 0.0.4; never a consent id as label
 *          /           the same numbers for a person, as plain text
 * Trust: nothing secret is here, but it tells much about a business: keep it on loopback.
 */
#ifndef REFRESHD_DAEMON_STATUS_SURFACE_H
#define REFRESHD_DAEMON_STATUS_SURFACE_H

#include "base/result.h"
#include "scheduler/words.h"

struct engine;
struct status_surface;

/* Listen on http.listen of the engine's configuration. */
MUST_CHECK enum result status_surface_open(struct engine *engine, struct status_surface **surface,
                                           struct fault *fault);
void status_surface_close(struct status_surface *surface); /* NULL is fine */

/* A slot or manual job of `provider` ended. NULL surface: not counted. */
void status_surface_count(struct status_surface *surface, const char *provider,
                          enum outcome outcome);

#endif
