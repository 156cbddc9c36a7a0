/* SPDX-License-Identifier: MIT
 *
 * state_care.h - one step of tidying, shared by the daemon's care and by `db prune`; private to
 * state/.
 *
 * Layer: state.
 */
#ifndef REFRESHD_STATE_STATE_CARE_H
#define REFRESHD_STATE_STATE_CARE_H

#include "state/state_maintain.h"
#include "state/state_private.h"

/* One transaction: an hourly mark, the watermark, at most 5,000 rows of each table. *more: rows
 * went, so there may be more. */
MUST_CHECK enum result state_care_prune_step(struct state_store *store, struct utc_time now,
                                             struct prune_counts *counts, bool *more,
                                             struct fault *fault);
MUST_CHECK enum result state_care_trim_ledger(struct state_store *store, uint64_t *rows,
                                              struct fault *fault);

#endif
