/* SPDX-License-Identifier: MIT
 *
 * plan_world.h - what the providers are assumed to do in a planned night.
 *
 * Layer:  daemon (for `plan`).
 * Draws:  each fate is drawn from what history knows of the institution, else of its provider,
 *         else from plain assumptions. The draws of an institution follow each other in a sequence
 *         that covers its distributions evenly (Roberts' R3), shuffled in blocks so that neighbours
 *         have nothing to do with each other: a night of average luck, the same each time it is
 *         asked for.
 * Limits: where history has refusals (429), the bank is assumed to have the limit that explains
 *         them best (history_ceiling.h): a planned core that goes slower is refused less, as the
 *         real one is. Refusals that no limit explains come as often as they came.
 */
#ifndef REFRESHD_DAEMON_PLAN_WORLD_H
#define REFRESHD_DAEMON_PLAN_WORLD_H

#include "config/consent_table.h"
#include "state/state_history.h"

/* Assumed where nothing is known: an answer after this, a job of 5 s to 35 s. */
#define PLAN_LATENCY_MS 300
#define PLAN_DURATION_MIN_MS 5000
#define PLAN_DURATION_MAX_MS 35000
#define PLAN_NODE_ATTEMPTS_MIN 30u /* fewer: the provider's history is asked */

struct plan_draws {
    uint32_t count; /* of fates drawn so far */
    uint32_t place; /* of the next one in the sequence */
    /* The limit that history suggests; ceiling_ms 0: none. */
    int64_t ceiling_ms;
    int64_t hour;
    uint32_t ceiling;     /* of this hour */
    int64_t *accepted_ms; /* a ring of the last ones */
    uint32_t capacity;
    uint32_t accepted;
};

struct plan_world {
    const struct config *config;
    const struct institution_settings *institutions;
    uint32_t institution_count;
    const struct history *history; /* NULL: none */
    struct plan_draws *draws;      /* by institution */
    int64_t *poll_latency_ms;      /* by provider */
};

MUST_CHECK enum result plan_world_init(struct plan_world *world, const struct config *config,
                                       const struct consent_table *table,
                                       const struct history *history, struct fault *fault);
void plan_world_deinit(struct plan_world *world);

/* What becomes of one attempt. */
struct plan_fate {
    int64_t latency_ms;     /* hand-over to the answer */
    int64_t retry_after_ms; /* asked for with a refusal; -1: not */
    struct history_end end;
    int64_t duration_ms; /* accepted: hand-over to the job's end at the provider; INT64_MAX: it
                            never ends */
};
struct plan_fate plan_world_initiate(struct plan_world *world, uint32_t institution,
                                     uint16_t attempt, struct utc_time now);
/* How much longer a job runs that was accepted `age_ms` ago. */
int64_t plan_world_remaining_ms(struct plan_world *world, uint32_t institution, int64_t age_ms);

#endif
