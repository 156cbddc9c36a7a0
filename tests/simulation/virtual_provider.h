/* SPDX-License-Identifier: MIT
 *
 * virtual_provider.h - the other side: providers that accept, refuse, lose, lie and forget.
 *
 * Layer:  tests (simulation). Goes by true time. Keeps a ledger of its own: what it accepted, for
 *         whom, and how it ended. Shares nothing with the core but struct answer.
 */
#ifndef REFRESHD_TESTS_SIMULATION_VIRTUAL_PROVIDER_H
#define REFRESHD_TESTS_SIMULATION_VIRTUAL_PROVIDER_H

#include "tests/simulation/timeline.h"
#include "tests/simulation/world.h"

struct simulation;
struct sim_request;

enum weather {
    WEATHER_FAIR,
    WEATHER_LINE,        /* requests and answers get lost */
    WEATHER_ERRORS,      /* 5xx */
    WEATHER_PUSHBACK,    /* 429 */
    WEATHER_MAINTENANCE, /* says so */
    WEATHER_CREDENTIALS, /* nobody is let in */
    WEATHER_SLOW,        /* answers and jobs take long */
    WEATHER_COUNT
};

/* How a customer's consent stands at the provider. */
enum customer_state { CUSTOMER_ACTIVE, CUSTOMER_REVOKED, CUSTOMER_SUSPENDED, CUSTOMER_NOT_READY };

struct task {
    uint64_t hash;
    uint32_t consent;
    uint32_t older; /* task of the same consent; WORLD_NONE */
    uint64_t job;   /* of ours that began it; 0: somebody else did */
    uint16_t attempt;
    bool is_lost;
    int64_t started_us;
    int64_t ends_us; /* INT64_MAX: never */
    enum answer_class end;
    enum reason reason;
    bool was_told; /* an answer said how it ended */
};

struct virtual_provider {
    /* character */
    int64_t latency_us;
    int64_t job_us;
    int64_t cooldown_us; /* its own spacing; what we are told may be less */
    int64_t dedupe_us;
    uint32_t noise;     /* permille of answers that are wrong in some way */
    uint32_t fails;     /* permille of jobs */
    uint32_t hangs;     /* permille of jobs */
    uint32_t reconnect; /* permille of jobs */
    bool tells_start;
    bool tells_wait;
    /* mood */
    enum weather weather;
    int64_t token_until_us;
    uint32_t token; /* the only one that is good */
};

/* A bank behind a provider: how much it bears. */
struct virtual_bank {
    int64_t spacing_us; /* its true limit, as the mean distance of two jobs; 0: none */
    int64_t next_us;
    bool hangs; /* everything sent there hangs */
};

struct customer {
    enum customer_state state;
    uint32_t task; /* newest; WORLD_NONE */
    int64_t accepted_us;
};

struct virtual_providers {
    struct virtual_provider of[WORLD_PROVIDERS];
    struct virtual_bank banks[WORLD_INSTITUTIONS];
    struct customer customers[WORLD_CONSENTS + 1];
    struct task *tasks;
    uint32_t task_count;
    uint32_t task_capacity;
};

void virtual_provider_init(struct simulation *simulation);
void virtual_provider_deinit(struct simulation *simulation);
/* The request has arrived. Fills its answer and says when that is here (true time). */
int64_t virtual_provider_arrive(struct simulation *simulation, struct sim_request *request);
/* The mood of provider `index` changes; asks for the next change by itself. */
void virtual_provider_weather(struct simulation *simulation, uint32_t index);
/* The customer refreshes by hand in the app of somebody else. */
void virtual_provider_attend(struct simulation *simulation, uint32_t consent);
/* From now on everybody behaves and everything ends. */
void virtual_provider_calm(struct simulation *simulation);
/* Task with this reference of the consent, or NULL. */
struct task *virtual_provider_task(struct simulation *simulation, uint32_t consent, uint64_t hash);

#endif
