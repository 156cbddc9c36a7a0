/* SPDX-License-Identifier: MIT
 *
 * state_load.h - a first load of many consents, written while the work has begun; private to
 * state/.
 *
 * Layer: state.
 * Why:   a million rows take two seconds to write. All have their numbers at once; the row of a
 * consent is written before the first record that names it, the others follow in state_store_care.
 * Crash: meta.load_run_no says that a load was not finished: rows that are new at the next start
 *        belong to it, and are members of the runs that opened meanwhile.
 */
#ifndef REFRESHD_STATE_STATE_LOAD_H
#define REFRESHD_STATE_STATE_LOAD_H

#include "state/state_private.h"

/* What new rows get as since_run_no: the last run, or that of a load that was not finished. Notes
 * in the database whether a load begins. Inside a transaction. */
MUST_CHECK enum result state_load_since(struct state_store *store, bool is_bulk,
                                        int64_t *since_run_no, struct fault *fault);
/* From now on rows 1..count wait to be written. `rows` is taken over, `table` borrowed until the
 * next sync or close. */
void state_load_begin(struct state_store *store, const struct consent_table *table, uint32_t *rows,
                      uint32_t count, int64_t since_run_no);
/* The row of `consent` is there when this returns. Inside a transaction. */
MUST_CHECK enum result state_load_ensure(struct state_store *store, uint32_t consent,
                                         struct fault *fault);
/* Write at most `rows_max` rows in one transaction. *more: there are others. */
MUST_CHECK enum result state_load_step(struct state_store *store, uint32_t rows_max, bool *more,
                                       struct fault *fault);
MUST_CHECK enum result state_load_finish(struct state_store *store, struct fault *fault);
/* Number of a consent that waits; 0: none. */
uint32_t state_load_find(const struct state_store *store, const char *consent);
/* Ledger rows for consents first..last. Inside a transaction. */
MUST_CHECK enum result state_load_ledger(struct state_store *store, uint32_t first, uint32_t last,
                                         struct fault *fault);
/* state_consents.c: write one row. Inside a transaction. */
MUST_CHECK enum result state_consents_insert(struct state_store *store,
                                             const struct consent_view *view, uint32_t number,
                                             const int64_t *institution_nos, const int64_t *set_nos,
                                             int64_t since_run_no, struct fault *fault);
/* The transaction was committed, or rolled back. */
void state_load_committed(struct state_store *store);
void state_load_rolled_back(struct state_store *store);
void state_load_deinit(struct state_store *store);

#endif
