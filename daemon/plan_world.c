/* SPDX-License-Identifier: MIT
 * plan_world.c - see plan_world.h. */
#include "daemon/plan_world.h"

#include <stdlib.h>

/* Powers of 1/1.2207440846..., the root of x^4 = x + 1, times 2^32: the sequence R3 of M. Roberts
 * (2018) fills the cube evenly, however many points are taken. */
static const uint32_t steps[3] = {3518319155u, 2882110345u, 2360945575u};
/* Neighbours of that sequence lie apart on purpose: in its order, no two long jobs would ever meet,
 * and a bank whose jobs just fit its concurrency would never be full. So the points are taken in an
 * order of chance within each block of so many. */
#define BLOCK 256u
/* What a fate is made of, each with its own coordinate. */
enum { DRAW_END, DRAW_DURATION, DRAW_GAP };

/* Which point the next fate of an institution takes. */
static void choose_place(struct plan_world *world, uint32_t institution)
{
    struct plan_draws *draws = &world->draws[institution];
    uint64_t name[2] = {institution, draws->count / BLOCK};
    uint64_t key = hash_bytes(name, sizeof name, 0);
    uint32_t place = draws->count % BLOCK;

    /* Each round maps the places of a block onto each other, one to one. */
    for (int round = 0; round < 4; round++) {
        place = (place * ((uint32_t)(key & 126) * 2u + 5u) + (uint32_t)(key >> 7 & 255)) % BLOCK;
        place ^= place >> 3;
        key >>= 16;
    }
    draws->place = draws->count - draws->count % BLOCK + place;
}

static void next_draw(struct plan_world *world, uint32_t institution)
{
    world->draws[institution].count++;
    choose_place(world, institution);
}

static enum result init_ceilings(struct plan_world *world, struct fault *fault)
{
    for (uint32_t i = 0; world->history != NULL && i < world->institution_count; i++) {
        const struct history_node *node = &world->history->institutions[i];
        struct plan_draws *draws = &world->draws[i];

        if (node->ceiling_ms == 0 || node->ceiling.kept == 0)
            continue;
        draws->capacity = (uint32_t)history_samples_at(&node->ceiling, UINT32_MAX) + 1;
        draws->accepted_ms = calloc(draws->capacity, sizeof *draws->accepted_ms);
        if (draws->accepted_ms == NULL) {
            plan_world_deinit(world);
            return fault_set(fault, FAULT_TEMPORARY, "out of memory");
        }
        draws->ceiling_ms = node->ceiling_ms;
        draws->hour = INT64_MIN;
    }
    return RESULT_OK;
}

enum result plan_world_init(struct plan_world *world, const struct config *config,
                            const struct consent_table *table, const struct history *history,
                            struct fault *fault)
{
    *world = (struct plan_world){.config = config, .history = history};
    world->institutions = consent_table_institutions(table, &world->institution_count);
    world->draws = calloc((size_t)world->institution_count + 1, sizeof *world->draws);
    world->poll_latency_ms =
        calloc((size_t)config->provider_count + 1, sizeof *world->poll_latency_ms);
    if (world->draws == NULL || world->poll_latency_ms == NULL) {
        plan_world_deinit(world);
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    }
    for (uint32_t i = 0; i < world->institution_count; i++)
        choose_place(world, i);
    for (uint32_t i = 0; i < config->provider_count; i++) {
        const struct history_samples *seen =
            history == NULL ? NULL : &history->providers[i].latency_ms;

        world->poll_latency_ms[i] = seen != NULL && seen->kept >= PLAN_NODE_ATTEMPTS_MIN
                                        ? history_samples_at(seen, UINT32_MAX / 2)
                                        : PLAN_LATENCY_MS;
    }
    return init_ceilings(world, fault);
}

void plan_world_deinit(struct plan_world *world)
{
    for (uint32_t i = 0; i < world->institution_count && world->draws != NULL; i++)
        free(world->draws[i].accepted_ms);
    free(world->draws);
    free(world->poll_latency_ms);
    *world = (struct plan_world){0};
}

/* Coordinate `axis` of the next fate of an institution, as a fraction of 2^32. */
static uint32_t draw(const struct plan_world *world, uint32_t institution, int axis)
{
    return (world->draws[institution].place * 2u + 1u) * (steps[axis] / 2u);
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
                                const struct history_node *node)
{
    uint32_t provider = world->institutions[institution].provider;
    const struct history_samples *seen = node == NULL ? NULL : &node->duration_ms;
    uint64_t place = draw(world, institution, DRAW_DURATION);
    int64_t seen_ms;
    int64_t gap_ms;

    if (seen != NULL && seen->kept < PLAN_NODE_ATTEMPTS_MIN)
        seen = &world->history->providers[provider].duration_ms;
    if (seen == NULL || seen->kept == 0)
        return PLAN_DURATION_MIN_MS +
               (int64_t)((PLAN_DURATION_MAX_MS - PLAN_DURATION_MIN_MS) * place >> 32);
    seen_ms = history_samples_at(seen, (uint32_t)place);
    gap_ms = poll_gap_ms(world, provider, seen_ms);
    seen_ms -= (int64_t)((uint64_t)gap_ms * draw(world, institution, DRAW_GAP) >> 32);
    return seen_ms > 0 ? seen_ms : 0;
}

int64_t plan_world_remaining_ms(struct plan_world *world, uint32_t institution, int64_t age_ms)
{
    const struct history_node *node = node_of(world, institution);

    for (int i = 0; i < 16; i++) {
        int64_t duration_ms = draw_duration_ms(world, institution, node);

        next_draw(world, institution);
        if (duration_ms > age_ms)
            return duration_ms - age_ms;
    }
    return MS_PER_SECOND; /* older than nearly all: it may end at any moment */
}

/* ---- refusals ---- */

/* The limit of this hour: the hours that history has, in turn. */
static void draw_ceiling(const struct plan_world *world, uint32_t institution, int64_t hour)
{
    struct plan_draws *draws = &world->draws[institution];
    const struct history_samples *seen = &world->history->institutions[institution].ceiling;

    draws->hour = hour;
    draws->ceiling = (uint32_t)history_samples_at(seen, (uint32_t)hour * 2654435769u + institution);
}

/* Refusals that no limit explains come as often as they came. */
static bool is_refused_by_chance(const struct plan_world *world, uint32_t institution)
{
    const struct history_node *node = node_of(world, institution);
    uint64_t all;

    if (node == NULL || node->refused == 0)
        return false;
    all = node->refused + node->ends[0].total + node->ends[1].total;
    return (draw(world, institution, DRAW_GAP) * all) >> 32 < node->refused;
}

/* One more: is it one too many for what the bank takes? */
static bool is_refused(struct plan_world *world, uint32_t institution, struct utc_time now)
{
    struct plan_draws *draws = &world->draws[institution];
    uint32_t place;

    if (draws->ceiling_ms == 0)
        return is_refused_by_chance(world, institution);
    if (draws->hour != now.ms / MS_PER_HOUR)
        draw_ceiling(world, institution, now.ms / MS_PER_HOUR);
    if (draws->accepted >= draws->ceiling) {
        place = (draws->accepted - draws->ceiling) % draws->capacity;
        if (draws->accepted_ms[place] > now.ms - draws->ceiling_ms)
            return true;
    }
    draws->accepted_ms[draws->accepted++ % draws->capacity] = now.ms;
    return false;
}

/* As often as refusals asked for a time, and for as long. */
static int64_t draw_retry_after_ms(const struct plan_world *world, uint32_t institution,
                                   const struct history_node *node)
{
    if (node == NULL || node->retry_after_ms.kept == 0 ||
        (draw(world, institution, DRAW_END) * node->refused) >> 32 >= node->retry_after_ms.seen)
        return -1;
    return history_samples_at(&node->retry_after_ms, draw(world, institution, DRAW_DURATION));
}

struct plan_fate plan_world_initiate(struct plan_world *world, uint32_t institution,
                                     uint16_t attempt, struct utc_time now)
{
    const struct history_node *node = node_of(world, institution);
    struct plan_fate fate = {
        .latency_ms = world->poll_latency_ms[world->institutions[institution].provider],
        .end = {.is_accepted = true, .class_ = CLASS_SUCCESS},
        .retry_after_ms = -1,
        .duration_ms = INT64_MAX,
    };

    if (is_refused(world, institution, now)) {
        fate.end = (struct history_end){.class_ = CLASS_PUSHBACK, .reason = REASON_PUSHBACK};
        fate.retry_after_ms = draw_retry_after_ms(world, institution, node);
    } else {
        const struct history_ends *ends =
            node == NULL ? NULL : &node->ends[attempt > 1 && node->ends[1].total > 0];

        if (ends != NULL && ends->total > 0)
            fate.end = *history_ends_at(ends, draw(world, institution, DRAW_END));
        if (fate.end.is_accepted && fate.end.class_ != CLASS_NONE)
            fate.duration_ms = draw_duration_ms(world, institution, node);
    }
    next_draw(world, institution);
    return fate;
}
