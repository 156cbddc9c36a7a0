/* SPDX-License-Identifier: MIT
 *
 * virtual_shell.h - the daemon around the core: turns, commits, effects, requests, restarts.
 *
 * Layer:  tests (simulation). Does with the core what daemon/engine_turn.c, engine_effects.c and
 *         engine_recover.c do with it; the network and the disk are made of moments.
 */
#ifndef REFRESHD_TESTS_SIMULATION_VIRTUAL_SHELL_H
#define REFRESHD_TESTS_SIMULATION_VIRTUAL_SHELL_H

#include "tests/simulation/tally.h"
#include "tests/simulation/world.h"

struct simulation;

/* A request on its way. */
struct sim_request {
    bool in_use;
    bool is_dead; /* whoever sent it is gone; it may arrive all the same */
    bool is_sent;
    enum request_kind kind;
    uint32_t provider; /* identity */
    uint32_t job_slot;
    uint64_t job;
    uint32_t consent;
    uint16_t attempt;
    uint32_t token; /* that it carries; of a token request: that it got */
    uint64_t reference;
    int64_t performed_us;
    struct answer answer;
    int64_t lifetime_ms; /* of the token granted; 0: none */
};

/* What the daemon keeps of an open job. */
struct shell_job {
    bool is_open;
    uint64_t job;
    uint32_t consent;
    uint16_t attempt;
    uint64_t reference;
};

struct virtual_shell {
    struct scheduler *scheduler; /* NULL: the daemon is down */
    struct batch *batch;
    uint32_t life;
    struct snapshot snapshots[2]; /* the core borrows the one in force */
    uint32_t current;
    struct record *records; /* decided and not committed */
    uint32_t record_count;
    uint32_t record_capacity;
    struct effect *effects;
    uint32_t effect_count;
    uint32_t effect_capacity;
    struct event *queue;
    uint32_t queue_count;
    uint32_t queue_capacity;
    uint32_t queue_next;
    struct wake wake;
    int64_t turn_us; /* of the next turn; INT64_MAX */
    struct sim_request *requests;
    uint32_t request_capacity;
    uint32_t out[WORLD_PROVIDERS]; /* requests of this life */
    struct shell_job *jobs;        /* by slot */
    uint32_t job_capacity;
    uint32_t tokens[WORLD_PROVIDERS];
    int64_t decided_us;      /* true instant of what waits to be committed */
    int64_t disk_full_until; /* true instant */
    bool is_blocked;
    bool is_draining;
    int64_t drained_by_us;
    int64_t down_us;  /* how long it is down after it dies; 0: chance decides */
    int64_t boots_at; /* monotonic clock of the next life; 0: goes on */
    uint32_t dies_in; /* so many places where it could die until it does; 0: lives on */
    struct mono_time next_fold;
    struct mono_time next_limits;
    bool fold_wanted;
    int64_t instant_us; /* of the last turn, and turns at that instant */
    uint32_t instant_turns;
    uint32_t idle_turns; /* woke by themselves this hour and had nothing to say */
    int64_t idle_hour;
    uint32_t idle_most;
};

void virtual_shell_init(struct simulation *simulation);
void virtual_shell_deinit(struct simulation *simulation);
const struct snapshot *virtual_shell_snapshot(const struct virtual_shell *shell);
bool virtual_shell_is_up(const struct virtual_shell *shell);

/* ---- moments ---- */

void virtual_shell_start(struct simulation *simulation);
void virtual_shell_turn(struct simulation *simulation);
void virtual_shell_handover(struct simulation *simulation, uint32_t request);
void virtual_shell_arrival(struct simulation *simulation, uint32_t request);
void virtual_shell_answer(struct simulation *simulation, uint32_t request);
void virtual_shell_webhook(struct simulation *simulation, uint32_t task);

/* ---- accidents ---- */

/* One of the places where a process may die: true when it has just done so. */
bool virtual_shell_dies(struct simulation *simulation, enum tally_kind kind);
void virtual_shell_kill(struct simulation *simulation, enum tally_kind kind);
/* Something a person does: heard at the next turn. False: down, or nothing can be stored. */
bool virtual_shell_tell(struct simulation *simulation, const struct event *event);
/* SIGHUP. False: refused, since nothing can be stored. */
bool virtual_shell_reload(struct simulation *simulation);
/* Think again about when to wake. */
void virtual_shell_replan(struct simulation *simulation);
/* Turn now, whatever the wake time says: a clock was set, or the machine resumed. */
void virtual_shell_wake_up(struct simulation *simulation);

/* ---- for the store ---- */

void virtual_shell_job_recovered(struct simulation *simulation, uint32_t slot, uint64_t job,
                                 uint32_t consent, uint16_t attempt, uint64_t reference);

#endif
