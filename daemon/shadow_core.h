/* SPDX-License-Identifier: MIT
 *
 * shadow_core.h - the core as a start would make it from the records, for looking only.
 *
 * Layer:  daemon. `diff` and an offline `why` ask the same code that serves: configuration,
 *         population and records go in as at a start, nothing is written, nothing is sent. The
 *         state database is read beside a running daemon.
 * Limits: what a running core knows and does not record (short rate windows, tokens, answers on
 *         their way) is not known here.
 */
#ifndef REFRESHD_DAEMON_SHADOW_CORE_H
#define REFRESHD_DAEMON_SHADOW_CORE_H

#include "daemon/population.h"
#include "state/state_store.h"

struct shadow_core {
    struct state_store *store;
    struct scheduler *scheduler;
    struct batch *batch;
    const struct config *config; /* borrowed */
    struct scheduler_settings settings;
    struct population population;
};

/* Open the state database of `config` read-only and recover a core from it at `now`. `table` is
 * taken over on success; `config` is borrowed until the core is closed or reconfigured. Without a
 * state database yet it is the core of a first start. `is_live`: somebody holds the lock, so what
 * has no answer is under way. */
MUST_CHECK enum result shadow_core_open(struct shadow_core *shadow, const struct config *config,
                                        struct consent_table *table, struct time_now now,
                                        bool is_live, struct fault *fault);
/* As a reload: match `config` and `table` (taken over on success) with what is there. */
MUST_CHECK enum result shadow_core_reconfigure(struct shadow_core *shadow,
                                               const struct config *config,
                                               struct consent_table *table, struct time_now now,
                                               struct fault *fault);
/* Step at `now` until the core has nothing more to do at that instant. Each record is given to
 * `on_record` (NULL: to nobody); tokens are granted, initiations stay out. */
MUST_CHECK enum result shadow_core_settle(struct shadow_core *shadow, struct time_now now,
                                          void (*on_record)(void *context,
                                                            const struct record *record),
                                          void *context, struct fault *fault);
void shadow_core_close(struct shadow_core *shadow);

/* The population that the last sync left in the state database, as a table of `config`; where the
 * records do not tell it whole, that of the sources of `config`. `*is_recorded` says which. */
MUST_CHECK enum result shadow_core_population(const struct config *config,
                                              struct consent_table **table, bool *is_recorded,
                                              struct diagnostics *diagnostics, struct fault *fault);

#endif
