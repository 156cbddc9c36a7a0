/* SPDX-License-Identifier: MIT
 *
 * state_history.h - how jobs went in the last nights: durations, delays, ends; for `plan`.
 *
 * Layer:  state. Read from the private tables through a read-only store, between state_look_begin
 *         and state_look_end, after state_look_consents.
 * Cost:   at most about HISTORY_JOBS_MAX jobs are read: of more, evenly spaced stretches of
 *         neighbouring job numbers, found by key. The same database gives the same history.
 * Memory: at most 64 KiB a node (provider or institution), and no more than it has samples.
 */
#ifndef REFRESHD_STATE_STATE_HISTORY_H
#define REFRESHD_STATE_STATE_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "scheduler/words.h"
#include "state/state_store.h"

#define HISTORY_JOBS_MAX 262144u
#define HISTORY_NIGHTS 14 /* that are looked at... */
#define HISTORY_DAYS 30   /* ...or as many days, where there were fewer jobs than: */
#define HISTORY_JOBS_MIN 1000u
#define HISTORY_ENDS_MAX 20
#define HISTORY_SAMPLES_MAX 4096u

/* A distribution, kept as samples: of more than there is room for, each has the same chance to be
 * among those that stay. */
struct history_samples {
    uint32_t seen;
    uint32_t kept;
    uint32_t capacity;
    bool is_sorted;
    int32_t *values; /* owned */
};
/* `random` decides which sample goes when there is no room. Values are clamped to 0..INT32_MAX.
 * False: out of memory. */
bool history_samples_add(struct history_samples *samples, int64_t value, struct random *random);
void history_samples_deinit(struct history_samples *samples);
/* After the last add, before the first _at. */
void history_samples_sort(struct history_samples *samples);
/* The value at `fraction` / 2^32 of the distribution, between neighbours in proportion: 0 gives the
 * smallest, UINT32_MAX (nearly) the largest. Requires: kept > 0, sorted. */
int64_t history_samples_at(const struct history_samples *samples, uint32_t fraction);

/* One way in which an attempt ended. */
struct history_end {
    bool is_accepted;         /* a job existed; class_ and reason are its end's */
    enum answer_class class_; /* CLASS_NONE: nobody ever knew (in doubt, or given up) */
    enum reason reason;       /* REASON_NONE */
    enum outcome outcome;     /* tells deduplicated from refreshed; OUTCOME_NONE */
    uint32_t count;
};
/* Ends of first attempts, and of later ones: what failed once fails more easily again. */
struct history_ends {
    uint32_t total;
    uint32_t count;
    struct history_end ends[HISTORY_ENDS_MAX];
};
void history_ends_add(struct history_ends *ends, const struct history_end *end);
/* The end at `fraction` / 2^32 of all. Requires: total > 0. */
const struct history_end *history_ends_at(const struct history_ends *ends, uint32_t fraction);

struct history_node {
    struct history_ends ends[2];        /* first attempts, later ones */
    struct history_samples duration_ms; /* hand-over to our seeing the end, of accepted ones */
    struct history_samples latency_ms;  /* hand-over to the answer of initiations */
    /* A limit that nobody told us of, where something was refused (history_ceiling.h): so many in
     * ceiling_ms, of each hour that tells. */
    struct history_samples ceiling;
    int64_t ceiling_ms;                    /* 0: none */
    struct history_samples retry_after_ms; /* asked for with a refusal */
    uint64_t refused;                      /* refusals, with or without it */
};

struct history {
    struct history_node *providers; /* by index of the configuration */
    uint32_t provider_count;
    struct history_node *institutions; /* by index of the table */
    uint32_t institution_count;
    uint64_t jobs;         /* that were read... */
    uint64_t jobs_there;   /* ...of so many */
    struct utc_time since; /* UTC_NONE: there is nothing */
};

/* What happened before `now`. `on_progress` (may be NULL) hears of the share read, in percent. */
MUST_CHECK enum result state_history_read(struct state_store *store, const struct config *config,
                                          const struct consent_table *table, struct utc_time now,
                                          void (*on_progress)(void *context, int percent),
                                          void *context, struct history *history,
                                          struct fault *fault);
void history_deinit(struct history *history);

#endif
