/* SPDX-License-Identifier: MIT
 *
 * world.h - a configuration made from a seed: providers, banks, schedules, consents; and how
 * people change it.
 *
 * Layer:    tests (simulation).
 * Identity: a provider, bank, schedule or consent keeps its number in here for ever. What the core
 *           is told is a snapshot: only what is there, in an order that changes, by index.
 */
#ifndef REFRESHD_TESTS_SIMULATION_WORLD_H
#define REFRESHD_TESTS_SIMULATION_WORLD_H

#include "scheduler/scheduler.h"
#include "tests/simulation/dice.h"

#define WORLD_PROVIDERS 6
#define WORLD_INSTITUTIONS (WORLD_PROVIDERS + 40)
#define WORLD_SCHEDULES 7
#define WORLD_SETS 8
#define WORLD_CONSENTS 300
#define WORLD_NONE UINT32_MAX
/* Providers, institutions, schedules: each may have hours. */
#define WORLD_HOURS (WORLD_PROVIDERS + WORLD_INSTITUTIONS + WORLD_SCHEDULES)

/* When something may be initiated, with the ranges that the core borrows. */
struct world_hours {
    bool has_blackout;
    bool has_window;
    struct time_range blackout;
    struct time_range window;
};

struct world_node {
    bool is_there;
    struct limit_settings limits; /* without hours */
    struct world_hours hours;
};

struct world_provider {
    struct world_node node;
    struct provider_settings settings;
};

struct world_institution {
    struct world_node node;
    uint32_t provider;
    bool is_default; /* "-" */
};

struct world_schedule {
    bool is_there;
    struct world_hours hours;
    struct schedule_settings settings;
};

struct world_consent {
    bool is_there;
    uint32_t institution;
    uint16_t set; /* UINT16_MAX: refreshed when asked only */
    uint8_t priority;
    uint8_t mode;
    struct utc_time expires;
    struct utc_time authorized_at;
    uint64_t hash;
};

/* What the core is told, with everything that it borrows. */
struct snapshot {
    struct scheduler_settings settings;
    struct provider_settings providers[WORLD_PROVIDERS];
    struct institution_settings institutions[WORLD_INSTITUTIONS];
    struct schedule_settings schedules[WORLD_SCHEDULES];
    struct schedule_set sets[WORLD_SETS];
    struct world_hours hours[WORLD_HOURS];
    struct consent_settings consents[WORLD_CONSENTS + 1];
    bool has_consent[WORLD_CONSENTS + 1];
    /* identity of an index, and index of an identity (WORLD_NONE) */
    uint32_t provider_of[WORLD_PROVIDERS];
    uint32_t institution_of[WORLD_INSTITUTIONS];
    uint32_t schedule_of[WORLD_SCHEDULES];
    uint32_t provider_index[WORLD_PROVIDERS];
    uint32_t institution_index[WORLD_INSTITUTIONS];
    uint32_t schedule_index[WORLD_SCHEDULES];
    uint32_t consent_provider[WORLD_CONSENTS + 1];    /* identities, also of those that are gone */
    uint32_t consent_institution[WORLD_CONSENTS + 1]; /* identities */
};

struct world {
    struct random *random;
    uint32_t provider_count;
    uint32_t institution_count;
    uint32_t schedule_count;
    uint32_t set_count;
    uint32_t consent_max;
    struct world_provider providers[WORLD_PROVIDERS];
    struct world_institution institutions[WORLD_INSTITUTIONS];
    struct world_schedule schedules[WORLD_SCHEDULES];
    struct schedule_set sets[WORLD_SETS]; /* of identities */
    struct world_consent consents[WORLD_CONSENTS + 1];
    struct utc_time start; /* what the wall clock shows when the seed begins */
    uint32_t rotation;     /* of the order in which things are told */
};

void world_make(struct world *world, struct random *random);
void world_snapshot(const struct world *world, struct snapshot *snapshot);
/* Somebody edits the configuration: one small change. */
void world_change(struct world *world, struct utc_time now);
/* The customer was here: the consent's row says so. */
void world_authorize(struct world *world, uint32_t consent, struct utc_time now);
const char *world_provider_name(uint32_t provider);

#endif
