/* SPDX-License-Identifier: MIT
 *
 * engine.h - the shell around the core: events in, records committed, effects performed.
 *
 * Layer:  daemon. One engine per process: it holds the lock, the state database, the core, the
 *         transport and the loop. `serve` and `once` differ only in what they ask of it.
 * Turn:   after each dispatch of the loop: step the core for each queued event and for time, commit
 *         everything in one transaction, perform the effects, sleep until the wake time.
 * Trouble: full disk: the batch is kept and tried again each second, nothing leaves, answers queue.
 *         Failed fsync or corruption: engine_run ends with FAULT_IO.
 */
#ifndef REFRESHD_DAEMON_ENGINE_H
#define REFRESHD_DAEMON_ENGINE_H

#include "config/config.h"
#include "config/consent_table.h"
#include "daemon/log.h"
#include "scheduler/scheduler.h"
#include "state/state_store.h"

struct engine;

struct engine_options {
    const char *command; /* "serve", "once": for the lock's holder line */
    const char *config_path;
    struct config *config;          /* taken over, also on failure */
    struct consent_table *consents; /* taken over, also on failure */
    struct log *log;                /* borrowed */
    bool fire_calendars;            /* false: only runs opened by hand (`once`) */
    int64_t turn_interval_us;       /* least time between turns while busy; 0: default */
    /* Called when the database is open and nothing is recovered yet; NULL: nothing to do. */
    enum result (*before_recover)(void *context, struct state_store *store, struct utc_time now,
                                  struct fault *fault);
    void *before_recover_context;
};

/* Lock, open, migrate, sync, recover, connect the parts; nothing is sent yet. Faults carry the
 * exit status: 75 lock held, 78 configuration, 74 I/O ... */
MUST_CHECK enum result engine_create(const struct engine_options *options, struct engine **engine,
                                     struct fault *fault);
void engine_destroy(struct engine *engine);

/* Run the loop until engine_stop_when_idle, a finished drain, or a fault that cannot be lived with.
 */
MUST_CHECK enum result engine_run(struct engine *engine, struct fault *fault);
/* Leave the loop as soon as no job is open: also those of a run that was closed before. */
void engine_stop_when_idle(struct engine *engine);
/* Initiate nothing more; when the open requests are answered and committed (30 s at the most) the
 * loop is left. */
void engine_drain(struct engine *engine);

/* Called at the end of each turn, and at least each `every_ms`. */
void engine_on_turn(struct engine *engine, int64_t every_ms,
                    void (*on_turn)(void *context, struct time_now now), void *context);
/* Called when a run has closed and is committed. */
void engine_on_run_closed(struct engine *engine, void (*on_closed)(void *context, uint32_t run),
                          void *context);

/* Read the configuration and all sources again; swap whole or keep the old ones. */
MUST_CHECK enum result engine_reload(struct engine *engine, bool accept_shrink,
                                     struct diagnostics *diagnostics, struct fault *fault);

struct scheduler *engine_scheduler(struct engine *engine);
struct state_store *engine_store(struct engine *engine);
const struct config *engine_config(const struct engine *engine);
/* Number of "PROVIDER/ID", or 0; and back (false when it is gone). */
uint32_t engine_find_consent(const struct engine *engine, const char *consent);
bool engine_consent(const struct engine *engine, uint32_t number, struct consent_view *view);
/* Is it in the schedule of this index in the configuration? */
bool engine_consent_is_in(const struct engine *engine, uint32_t number, uint32_t schedule);
struct time_now engine_now(const struct engine *engine);

#endif
