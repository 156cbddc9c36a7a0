/* SPDX-License-Identifier: MIT
 *
 * maintenance.h - the maintenance that providers tell ahead: when their list of institutions is
 * read, and what it says. Both end as open_hours.h of the institutions, reason `maintenance`.
 *
 * Layer:  scheduler (pure), private to this folder.
 * Cost:   one call in `maintenance_every_ms` for each provider, one at a time, over its token and
 *         paying its rates like any call. It waits while the provider is stopped and is never the
 *         probe; a list that refuses us never stops the provider.
 * Failed: what was told last stays; the next try comes after a minute, doubling up to the period.
 */
#ifndef REFRESHD_SCHEDULER_MAINTENANCE_H
#define REFRESHD_SCHEDULER_MAINTENANCE_H

#include "scheduler/core.h"

/* Ask for the lists that are due. */
void maintenance_advance_all(struct scheduler *scheduler);
/* The call for a list was handed over; it has ended. */
void maintenance_sent(struct provider *provider, struct mono_time at);
void maintenance_ended(struct scheduler *scheduler, struct provider *provider,
                       const struct answer *answer);
/* Take what is told of an institution (index of the settings), at most MAINTENANCE_MAX; a change is
 * recorded. */
void maintenance_take(struct scheduler *scheduler, uint32_t institution,
                      const struct utc_span *spans, uint32_t count);
/* The provider has new settings, or an institution that it knows nothing of. */
void maintenance_configure(struct scheduler *scheduler, uint32_t provider, bool is_new);

/* Calls that are out, and those of them that are not handed over: for pending permits. */
uint32_t maintenance_outstanding(const struct provider *provider);
uint32_t maintenance_pending(const struct provider *provider);

#endif
