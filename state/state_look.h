/* SPDX-License-Identifier: MIT
 *
 * state_look.h - what a start would find, without a start: a core is filled from the state database
 * and nothing is written. For `plan` and whoever else asks "what if".
 *
 * Layer:  state. On a store that was opened STATE_READ_ONLY: an own connection (mode=ro,
 *         query_only) that never writes, locks or checkpoints, so it works beside a daemon.
 * Order:  begin -> consents -> (the core is told of them) -> recover -> end. Between begin and end
 *         all is read from one snapshot.
 * Shared: the same queries and the same code as sync_consents and recover of state_store.h; what
 *         these would write is only taken into account: a consent with new dates is let go, a new
 *         one gets the number that it would get, an edited schedule starts from now.
 */
#ifndef REFRESHD_STATE_STATE_LOOK_H
#define REFRESHD_STATE_STATE_LOOK_H

#include "state/state_store.h"

MUST_CHECK enum result state_look_begin(struct state_store *store, struct fault *fault);
void state_look_end(struct state_store *store);

/* Numbers per row of `table` (borrowed until the store is closed): those that the database has, and
 * for new rows the coming ones. `config` and `table` are borrowed until the store is closed. */
MUST_CHECK enum result state_look_consents(struct state_store *store, const struct config *config,
                                           const struct consent_table *table,
                                           const uint32_t **numbers, uint32_t *number_max,
                                           struct fault *fault);
/* The same where there is no database yet: the numbers of a first start, 1 .. count. `*numbers` is
 * the caller's. */
MUST_CHECK enum result state_look_number(const struct consent_table *table, uint32_t **numbers,
                                         struct fault *fault);

/* A SELECT on the state database that gives the population as a consent source would give it: what
 * the last sync left, without secrets (they are not in here). `*is_whole` false: a first load is
 * not written to its end yet. */
MUST_CHECK enum result state_look_population(struct state_store *store, const char **query,
                                             bool *is_whole, struct fault *fault);

/* As state_store_recover. `is_live`: somebody holds the lock, so an attempt without an answer is
 * under way and not in doubt. */
MUST_CHECK enum result state_look_recover(struct state_store *store, const struct config *config,
                                          struct scheduler *scheduler, struct time_now now,
                                          bool is_live, state_open_job_function *on_open_job,
                                          void *context, struct fault *fault);

#endif
