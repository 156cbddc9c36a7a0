/* SPDX-License-Identifier: MIT
 *
 * bank_world.h - the core with one provider and many virtual banks behind it: each accepts jobs and
 * ends them after a time of its own, or never. Counts what each bank got.
 *
 * Layer: tests. For questions of shares and pace over hundreds of jobs; whether every single record
 *        is right is judged by scheduler_fixture.h.
 */
#ifndef REFRESHD_TESTS_UNIT_BANK_WORLD_H
#define REFRESHD_TESTS_UNIT_BANK_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "scheduler/scheduler.h"

#define WORLD_BANKS 64
#define WORLD_SCHEDULES 4
#define WORLD_JOBS 16384
#define WORLD_STARTS 65536
#define WORLD_NEVER INT64_MAX

struct world_bank {
    char name[12];
    int64_t job_ms;    /* how long its jobs run; WORLD_NEVER: they never end */
    int64_t answer_ms; /* how long it takes to answer an initiation; WORLD_NEVER: times out */
    uint32_t stuck_of; /* one job of so many never ends; 0: none */
    uint32_t accepted;
    uint32_t running;
    uint32_t running_max;
    uint32_t started;
    uint32_t ended;
    uint32_t skipped[REASON_COUNT];
    uint32_t waited_for[REASON_COUNT];
};

struct world_start {
    uint32_t consent;
    int64_t at_ms; /* since the world began */
};

struct world_request {
    bool is_out;
    bool is_sent;
    bool times_out;
    enum request_kind kind;
    uint32_t consent;
    int64_t answer_at_us;
    int64_t job_ends_us; /* of the job at this place */
};

struct bank_world {
    struct scheduler *scheduler;
    struct batch *batch;
    struct scheduler_settings settings;
    struct provider_settings provider;
    struct institution_settings institutions[WORLD_BANKS];
    struct schedule_settings schedules[WORLD_SCHEDULES];
    struct schedule_set sets[WORLD_SCHEDULES]; /* set i: schedule i alone */
    struct world_bank banks[WORLD_BANKS];
    struct consent_settings *consents; /* 1.. */
    uint32_t consent_count;
    struct world_request requests[WORLD_JOBS]; /* by job slot */
    uint32_t request_places;                   /* in use so far */
    struct world_start starts[WORLD_STARTS];
    uint32_t start_count;
    int64_t now_us;
    struct wake wake;
    uint64_t trace; /* hash over all batches */
    uint32_t steps;
    uint32_t check_every; /* scheduler_check after so many steps */
};

/* `banks` banks whose jobs take 30 s, `schedules` schedules at 01:00 UTC with a deadline after four
 * hours, no consents, no limits. The clock stands at 00:00. */
struct bank_world *world_create(uint32_t banks, uint32_t schedules);
void world_destroy(struct bank_world *world);
/* `count` more consents of a bank in a schedule. */
void world_add(struct bank_world *world, uint32_t bank, uint32_t schedule, uint32_t count);
/* Make the core; the first step. */
void world_start(struct bank_world *world);
void world_event(struct bank_world *world, const struct event *event);
/* Let the clock come to `at_ms` since the start. */
void world_run_until(struct bank_world *world, int64_t at_ms);
struct time_now world_now(const struct bank_world *world);
void world_trigger(struct bank_world *world, uint32_t consent);

#endif
