/* SPDX-License-Identifier: MIT
 *
 * memory_store.h - the state database as far as the core knows it: what is committed, and nothing
 * else, comes back after a restart.
 *
 * Layer:  tests (simulation). Keeps and folds what state/state_commit.c keeps and state_fold.c
 *         folds, and gives back what state_recover*.c give back, in the same order.
 */
#ifndef REFRESHD_TESTS_SIMULATION_MEMORY_STORE_H
#define REFRESHD_TESTS_SIMULATION_MEMORY_STORE_H

#include "tests/simulation/world.h"

struct simulation;

#define STORE_NOT_A_MEMBER 255

struct stored_run {
    uint32_t number;
    uint32_t schedule; /* identity */
    enum trigger trigger;
    struct utc_time slot;
    int64_t local_ms;
    int fold;
    struct utc_time deadline;
    int64_t spread_ms;
    struct utc_time started;
    uint32_t due;
    bool is_open;
    bool is_orphan;                    /* its schedule is gone; its jobs go on */
    uint8_t slots[WORLD_CONSENTS + 1]; /* enum outcome, or STORE_NOT_A_MEMBER */
    uint8_t has_job[WORLD_CONSENTS + 1];
};

struct stored_attempt {
    uint64_t job;
    uint32_t next; /* of the same job; WORLD_NONE */
    uint16_t number;
    bool is_repeat;
    bool is_answered;
    bool is_charged; /* until an answer says otherwise: no repeat is */
    enum answer_class class_;
    enum reason reason;
    struct utc_time sent;
    uint64_t reference_hash;
};

struct stored_job {
    uint32_t consent;
    uint32_t run;
    enum trigger trigger;
    struct utc_time due;
    uint16_t attempts;
    uint32_t first; /* attempt; WORLD_NONE */
    uint32_t last;
    bool is_open;
    enum outcome outcome;
    struct utc_time next_attempt; /* UTC_NONE */
    enum reason wait_reason;
};

struct stored_close {
    uint32_t consent;
    enum outcome outcome;
    struct utc_time finished;
    struct utc_time wait;
    enum reason wait_reason;
};

struct stored_consent {
    struct consent_past past; /* folded */
    bool is_held;
    bool is_suspended;
    struct utc_time learned_expires; /* UTC_NEVER */
    bool has_row;                    /* the next two were seen */
    struct utc_time expires;
    struct utc_time authorized_at;
    struct utc_time last_sent;
    uint64_t last_reference;
    bool is_dirty; /* a close is not folded yet */
};

struct stored_schedule {
    bool is_known;
    uint64_t revision;
    struct utc_time accounted;
    int64_t local_ms;
    int fold;
};

/* What was learned about a node. */
struct stored_node {
    bool is_known;
    struct node_past past;
};

struct stored_calls {
    uint32_t provider;
    int64_t second;
    uint32_t count;
};

struct memory_store {
    struct stored_run *runs;
    uint32_t run_count;
    uint32_t run_capacity;
    uint32_t first_open;     /* runs before it are closed */
    struct stored_job *jobs; /* by number */
    uint64_t job_max;
    uint64_t job_capacity;
    struct stored_attempt *attempts;
    uint32_t attempt_count;
    uint32_t attempt_capacity;
    struct stored_calls *calls;
    uint32_t call_count;
    uint32_t call_capacity;
    struct stored_close *closes; /* not folded yet */
    uint32_t close_count;
    uint32_t close_capacity;
    struct stored_consent consents[WORLD_CONSENTS + 1];
    struct stored_schedule schedules[WORLD_SCHEDULES];
    struct stored_node providers[WORLD_PROVIDERS];
    struct stored_node institutions[WORLD_INSTITUTIONS];
    struct utc_time active; /* somebody was at work, as far as was written; UTC_NONE */
    struct utc_time paused_all;
    struct utc_time paused_provider[WORLD_PROVIDERS];
    struct utc_time paused_institution[WORLD_INSTITUTIONS];
    struct utc_time paused_schedule[WORLD_SCHEDULES];
    struct utc_time paused_consent[WORLD_CONSENTS + 1];
    struct {
        uint32_t consent; /* 0: none */
        struct utc_time at;
    } rechecks[WORLD_PROVIDERS];
    int64_t recovered_since_ms; /* attempts before were not given back to this life */
    uint32_t run_max;
    uint32_t orphan_count;
    bool (*once_filter)(void *context, uint32_t consent); /* of the next run opened by hand */
    bool is_once_pending;                                 /* its record is still to come */
    struct record *staged; /* what recovery writes, kept when all of it has succeeded */
    uint32_t staged_count;
    uint32_t staged_capacity;
};

void memory_store_init(struct memory_store *store);
void memory_store_deinit(struct memory_store *store);
/* One transaction: each record goes by the judge first. */
void memory_store_commit(struct simulation *simulation, const struct record *records,
                         uint32_t count);
/* The configuration in force changed: rows of consents and schedules follow. `is_first` at a start,
 * before anything is given back. */
void memory_store_adopt(struct simulation *simulation, bool is_first);
/* Tell the core once more of what is paused: some of it may just have come back. */
void memory_store_repeat_pauses(struct simulation *simulation);
/* Write the folded past of consents back, all or (at random) some. */
void memory_store_fold(struct simulation *simulation);
/* Feed the core, up to recover_done. False: the process died on the way, nothing was written. */
bool memory_store_recover(struct simulation *simulation);
/* Runs whose schedule is gone are closed by the store itself, after their last job. */
void memory_store_close_orphans(struct simulation *simulation);
struct stored_run *memory_store_run(struct memory_store *store, uint32_t number);

#endif
