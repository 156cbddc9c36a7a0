/* SPDX-License-Identifier: MIT
 * plan_world.c - see plan_world.h. */
#include "daemon/plan_world.h"

#include <stdlib.h>

#define DRAW_SEED UINT64_C(0x706c616e) /* "plan" */

enum result plan_world_init(struct plan_world *world, const struct config *config,
                            const struct consent_table *table, const struct history *history,
                            struct fault *fault)
{
    *world = (struct plan_world){.config = config, .history = history};
    world->institutions = consent_table_institutions(table, &world->institution_count);
    world->minutes = calloc((size_t)world->institution_count + 1, sizeof *world->minutes);
    world->poll_latency_ms =
        calloc((size_t)config->provider_count + 1, sizeof *world->poll_latency_ms);
    if (world->minutes == NULL || world->poll_latency_ms == NULL) {
        plan_world_deinit(world);
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    }
    for (uint32_t i = 0; i < config->provider_count; i++) {
        const struct history_samples *seen =
            history == NULL ? NULL : &history->providers[i].latency_ms;

        world->poll_latency_ms[i] = seen != NULL && seen->kept >= PLAN_NODE_ATTEMPTS_MIN
                                        ? history_samples_at(seen, UINT32_MAX / 2)
                                        : PLAN_LATENCY_MS;
    }
    for (uint32_t i = 0; i < world->institution_count; i++)
        world->minutes[i].hour = INT64_MIN;
    return RESULT_OK;
}

void plan_world_deinit(struct plan_world *world)
{
    free(world->minutes);
    free(world->poll_latency_ms);
    *world = (struct plan_world){0};
}

static uint32_t draw(struct random *random)
{
    return (uint32_t)(random_next(random) >> 32);
}

/* What is known best: of the institution, else of its provider; NULL: nothing. */
static const struct history_node *node_of(const struct plan_world *world, uint32_t institution)
{
    const struct history_node *node;

    if (world->history == NULL)
        return NULL;
    node = &world->history->institutions[institution];
    if (node->ends[0].total >= PLAN_NODE_ATTEMPTS_MIN)
        return node;
    node = &world->history->providers[world->institutions[institution].provider];
    return node->ends[0].total > 0 ? node : NULL;
}

/* ---- durations ---- */

/* How long after the poll before it the poll came that saw an end at `seen_ms`: the end itself lies
 * somewhere between. Nothing where webhooks tell. */
static int64_t poll_gap_ms(const struct plan_world *world, uint32_t provider, int64_t seen_ms)
{
    const struct completion_settings *polls =
        &world->config->provider_settings[provider].completion;
    int64_t latency_ms = world->poll_latency_ms[provider];
    int64_t delay_ms = polls->poll_first_ms;
    int64_t at_ms = latency_ms; /* accepted */

    if (polls->webhook)
        return 0;
    for (;;) {
        delay_ms = delay_ms < polls->poll_max_ms ? delay_ms : polls->poll_max_ms;
        delay_ms = delay_ms > polls->poll_floor_ms ? delay_ms : polls->poll_floor_ms;
        if (delay_ms <= 0 || at_ms + delay_ms + latency_ms + delay_ms / 2 >= seen_ms)
            return delay_ms;
        at_ms += delay_ms + latency_ms;
        delay_ms *= 2;
    }
}

static int64_t draw_duration_ms(const struct plan_world *world, uint32_t institution,
                                const struct history_node *node, struct random *random)
{
    uint32_t provider = world->institutions[institution].provider;
    const struct history_samples *seen = node == NULL ? NULL : &node->duration_ms;
    int64_t seen_ms;
    int64_t gap_ms;

    if (seen != NULL && seen->kept < PLAN_NODE_ATTEMPTS_MIN)
        seen = &world->history->providers[provider].duration_ms;
    if (seen == NULL || seen->kept == 0)
        return PLAN_DURATION_MIN_MS +
               (int64_t)random_below(random, PLAN_DURATION_MAX_MS - PLAN_DURATION_MIN_MS);
    seen_ms = history_samples_at(seen, draw(random));
    gap_ms = poll_gap_ms(world, provider, seen_ms);
    seen_ms -= world->poll_latency_ms[provider] +
               (int64_t)((uint64_t)gap_ms * (uint64_t)(draw(random) >> 8) >> 24);
    return seen_ms > 0 ? seen_ms : 0;
}

int64_t plan_world_remaining_ms(const struct plan_world *world, uint32_t institution, uint64_t key,
                                int64_t age_ms)
{
    const struct history_node *node = node_of(world, institution);
    struct random random;

    random_init(&random, key ^ DRAW_SEED);
    for (int i = 0; i < 16; i++) {
        int64_t duration_ms = draw_duration_ms(world, institution, node, &random);

        if (duration_ms > age_ms)
            return duration_ms - age_ms;
    }
    return MS_PER_SECOND; /* older than nearly all: it may end at any moment */
}

/* ---- refusals ---- */

/* One more in this minute: is it one too many? */
static bool is_refused(struct plan_world *world, uint32_t institution, struct utc_time now)
{
    struct plan_minute *minute = &world->minutes[institution];
    int64_t hour = now.ms / MS_PER_HOUR;

    if (minute->hour != hour) {
        const struct history_samples *ceiling =
            world->history == NULL ? NULL : &world->history->institutions[institution].ceiling;
        struct random random;

        minute->hour = hour;
        minute->ceiling = 0;
        random_init(&random, ((uint64_t)hour << 24 ^ institution) ^ DRAW_SEED);
        if (ceiling != NULL && ceiling->kept > 0)
            minute->ceiling = (uint32_t)history_samples_at(ceiling, draw(&random));
    }
    if (minute->minute != now.ms / MS_PER_MINUTE) {
        minute->minute = now.ms / MS_PER_MINUTE;
        minute->accepted = 0;
    }
    if (minute->ceiling > 0 && minute->accepted >= minute->ceiling)
        return true;
    minute->accepted++;
    return false;
}

struct plan_fate plan_world_initiate(struct plan_world *world, uint32_t institution, uint64_t key,
                                     uint16_t attempt, struct utc_time now)
{
    const struct history_node *node = node_of(world, institution);
    struct plan_fate fate = {
        .latency_ms = world->poll_latency_ms[world->institutions[institution].provider],
        .end = {.is_accepted = true, .class_ = CLASS_SUCCESS, .outcome = OUTCOME_REFRESHED},
        .duration_ms = INT64_MAX,
    };
    struct random random;

    random_init(&random, (key + attempt * UINT64_C(0x9e3779b97f4a7c15)) ^ DRAW_SEED);
    if (node != NULL) {
        const struct history_ends *ends = &node->ends[attempt > 1 && node->ends[1].total > 0];

        if (ends->total > 0)
            fate.end = *history_ends_at(ends, draw(&random));
        if (node->latency_ms.kept >= PLAN_NODE_ATTEMPTS_MIN)
            fate.latency_ms = history_samples_at(&node->latency_ms, draw(&random));
    }
    if (is_refused(world, institution, now)) {
        fate.end = (struct history_end){.class_ = CLASS_PUSHBACK, .reason = REASON_PUSHBACK};
        return fate;
    }
    if (fate.end.is_accepted && fate.end.class_ != CLASS_NONE)
        fate.duration_ms = draw_duration_ms(world, institution, node, &random);
    return fate;
}
