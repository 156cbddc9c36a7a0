/* SPDX-License-Identifier: MIT
 *
 * simulation.h - one simulated machine with its daemon, its providers and its people.
 *
 * Layer:  tests (simulation). Everything comes from the seed: the same seed gives the same batches.
 * Parts:  clocks and a timeline; world (the configuration); virtual_provider (the other side, with
 *         its own ledger); virtual_shell (drives the core as daemon/engine_turn.c does);
 *         memory_store (commits and gives back as state/ does); judge (the invariants); accident
 *         (people and misfortune).
 */
#ifndef REFRESHD_TESTS_SIMULATION_SIMULATION_H
#define REFRESHD_TESTS_SIMULATION_SIMULATION_H

#include "tests/simulation/clocks.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/memory_store.h"
#include "tests/simulation/tally.h"
#include "tests/simulation/timeline.h"
#include "tests/simulation/virtual_provider.h"
#include "tests/simulation/virtual_shell.h"
#include "tests/simulation/world.h"

/* Breaks the simulation itself on purpose, to show that it would notice. */
enum sabotage {
    SABOTAGE_NONE,
    SABOTAGE_DOUBLE_SEND, /* now and then an initiation leaves twice */
    SABOTAGE_LOSE_RECORD, /* now and then a record is committed and not kept */
    SABOTAGE_OVERSTEP,    /* the core is told of twice the rates */
    SABOTAGE_FORGET,      /* attempts are not given back after a restart */
    SABOTAGE_STALL,       /* the daemon sleeps through some of its wake times */
    SABOTAGE_FORGE,       /* the core hears of successes that no provider told */
    SABOTAGE_COUNT
};

struct simulation {
    uint64_t seed;
    const char *replay; /* what `make simulate` needs besides the seed to show it again */
    struct random random;
    struct clocks clocks;
    struct timeline timeline;
    struct world world;
    struct virtual_providers providers;
    struct virtual_shell shell;
    struct memory_store store;
    struct judge judge;
    struct tally tally;
    enum sabotage sabotage;
    bool is_calm;      /* no faults, or they have stopped... */
    bool is_ending;    /* ...and nothing new fires */
    bool is_tracing;   /* print what happens */
    int64_t fault_us;  /* mean time between accidents */
    bool has_restarts; /* which misfortunes this seed knows */
    bool has_steps;
    uint64_t trace; /* hash over all batches */
};

/* One seed: `hours` of faults, then, if wanted, the proof that everything drains. The result's
 * trace and tally are filled; a broken invariant does not come back from here (judge_fail) and
 * tells `replay` after its seed. */
struct simulation_result {
    uint64_t trace;
    struct tally tally;
};
void simulation_run(uint64_t seed, int64_t hours, bool drains, enum sabotage sabotage,
                    bool is_tracing, const char *replay, struct simulation_result *result);

/* Should the core find a bug of its own (REQUIRE), say in which seed. NULL: nothing runs. */
void simulation_watch(struct simulation *simulation);
/* The parts of it, for a world that is made for a question: create, change s->world, begin, live up
 * to so long after the beginning, destroy. */
struct simulation *simulation_create(uint64_t seed);
void simulation_begin(struct simulation *simulation);
void simulation_live(struct simulation *simulation, int64_t until_ms);
void simulation_destroy(struct simulation *simulation);
struct time_now simulation_now(const struct simulation *simulation);
/* Print one line when tracing. */
void simulation_say(struct simulation *simulation, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
