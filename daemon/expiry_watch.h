/* SPDX-License-Identifier: MIT
 *
 * expiry_watch.h - warns once for each lead that a consent passes on the way to its end.
 *
 * Layer:   daemon. Dates are looked at in the core, where they are newest; nothing is stored per
 *          consent but how many leads it has passed, in memory. The database keeps up to when all
 *          was told (state_store_set_warned), so a restart neither repeats nor skips.
 * Told:    a log line `consent_expiring` each, at most EXPIRY_LINES_A_DAY a day (UTC); the day's
 *          others as one line `consents_expiring` per provider and lead at its end, or when we
 *          stop. The feed itself is the view v1_reconnect.
 * Cost:    one look at every consent's date when the next lead is due, in pieces; at most once a
 *          minute for a large population.
 */
#ifndef REFRESHD_DAEMON_EXPIRY_WATCH_H
#define REFRESHD_DAEMON_EXPIRY_WATCH_H

#include "base/result.h"
#include "base/time_point.h"

#define EXPIRY_LINES_A_DAY 100

struct engine;
struct expiry_watch;
struct text;

/* Take up what was told before. */
MUST_CHECK enum result expiry_watch_open(struct engine *engine, struct time_now now,
                                         struct expiry_watch **watch, struct fault *fault);
void expiry_watch_close(struct expiry_watch *watch); /* NULL is fine */
/* Dates have changed: look soon. NULL is fine. */
void expiry_watch_wake(struct expiry_watch *watch);
/* One piece of work, if any is due. */
void expiry_watch_tick(struct expiry_watch *watch, struct time_now now);
/* Say what was not said one by one. */
void expiry_watch_flush(struct expiry_watch *watch, struct utc_time now);
struct mono_time expiry_watch_next(const struct expiry_watch *watch);
/* Consents that need their customer, by provider and cause, as of the last look: for /metrics. */
void expiry_watch_metrics(const struct expiry_watch *watch, struct text *page);

#endif
