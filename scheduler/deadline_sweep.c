/* SPDX-License-Identifier: MIT
 * deadline_sweep.c - see deadline_sweep.h. */
#include "scheduler/deadline_sweep.h"

#include <string.h>

#include "scheduler/consent.h"
#include "scheduler/deadline_pace.h"
#include "scheduler/run.h"

#define PRIORITIES (PRIORITY_MAX + 1)

static uint32_t priority_of(const struct scheduler *scheduler, uint32_t slot)
{
    return run_slot_level(scheduler, slot) % PRIORITIES;
}

static bool is_unsent(const struct slot *slot)
{
    return slot->state != SLOT_JOB && slot->state != SLOT_DONE;
}

/* Would anything be sent for the slot, if no limit but its consent's own stood in the way? */
static bool is_sendable(const struct scheduler *scheduler, const struct run *run, uint32_t index)
{
    const struct slot *slot = &scheduler->slots[index];
    struct utc_time now = scheduler->now.utc;
    struct utc_time at = utc_later(run_slot_due(scheduler, index), now);

    return consent_refusal(scheduler, slot->consent, at) == REASON_NONE &&
           scheduler->consents[slot->consent].job == NONE_INDEX &&
           consent_is_member(scheduler, slot->consent, run->schedule) &&
           consent_paused_until(scheduler, slot->consent, now).ms < run->deadline.ms &&
           consent_obstacle(scheduler, slot->consent, now, false).utc.ms < run->deadline.ms;
}

static void begin(struct scheduler *scheduler, const struct run *run, enum walk_phase phase)
{
    struct deadline_pace *pace = &scheduler->pace;

    pace->phase = phase;
    pace->run = (uint32_t)(run - scheduler->runs);
    pace->number = run->number;
    pace->cursor = 0;
}

bool deadline_sweep_is_busy(struct scheduler *scheduler)
{
    struct deadline_pace *pace = &scheduler->pace;
    const struct run *run;

    if (pace->phase == WALK_IDLE)
        return false;
    run = &scheduler->runs[pace->run];
    if (!run->in_use || run->number != pace->number || run->unsent == 0 ||
        run->sweep != SWEEP_NONE || run->deadline.ms <= scheduler->now.utc.ms)
        pace->phase = WALK_IDLE;
    return pace->phase != WALK_IDLE;
}

void deadline_sweep_census(struct scheduler *scheduler, struct run *run)
{
    struct deadline_pace *pace = &scheduler->pace;

    memset(pace->census, 0,
           (size_t)scheduler->institution_count * PRIORITIES * sizeof *pace->census);
    memset(pace->provider_skip, 0,
           (size_t)scheduler->provider_count * PRIORITIES * sizeof *pace->provider_skip);
    pace->unsent = run->unsent;
    pace->left = 0;
    begin(scheduler, run, WALK_CENSUS);
}

uint32_t deadline_sweep_sendable(const struct scheduler *scheduler, uint32_t institution)
{
    uint32_t sum = 0;

    for (uint32_t priority = 0; priority < PRIORITIES; priority++)
        sum += scheduler->pace.census[institution * PRIORITIES + priority];
    return sum;
}

/* Of the counted slots, the lowest priorities first, `excess` are to be skipped; of the others the
 * provider gets to know. */
void deadline_sweep_plan_skip(struct scheduler *scheduler, uint32_t institution, uint64_t excess)
{
    struct deadline_pace *pace = &scheduler->pace;
    uint32_t provider = scheduler->institutions[institution].provider;

    for (uint32_t priority = 0; priority < PRIORITIES; priority++) {
        uint32_t *here = &pace->census[institution * PRIORITIES + priority];
        uint32_t skip = *here < excess ? *here : (uint32_t)excess;

        pace->provider_skip[provider * PRIORITIES + priority] += *here - skip;
        *here = skip;
        excess -= skip;
        pace->left += skip;
    }
}

void deadline_sweep_plan_provider_skip(struct scheduler *scheduler, uint32_t provider,
                                       uint64_t most)
{
    struct deadline_pace *pace = &scheduler->pace;
    uint32_t *left = &pace->provider_skip[provider * PRIORITIES];
    uint64_t sum = 0;
    uint64_t excess;

    for (uint32_t priority = 0; priority < PRIORITIES; priority++)
        sum += left[priority];
    excess = sum > most ? sum - most : 0;
    for (uint32_t priority = 0; priority < PRIORITIES; priority++) {
        left[priority] = left[priority] < excess ? left[priority] : (uint32_t)excess;
        excess -= left[priority];
        pace->left += left[priority];
    }
}

bool deadline_sweep_skip(struct scheduler *scheduler, struct run *run)
{
    if (scheduler->pace.left == 0)
        return false;
    begin(scheduler, run, WALK_SKIP);
    return true;
}

bool deadline_sweep_pull(struct scheduler *scheduler, struct run *run)
{
    struct deadline_pace *pace = &scheduler->pace;

    pace->left = 0;
    if (run->cursor == run->count || /* nobody sleeps */
        run_schedule_obstacle(scheduler, run->schedule).reason != REASON_NONE)
        return false;
    for (uint32_t i = 0; i < scheduler->institution_count; i++)
        pace->left += pace->pull[i];
    for (uint32_t i = 0; i < scheduler->provider_count; i++)
        pace->left += pace->provider_pull[i];
    if (pace->left == 0)
        return false;
    begin(scheduler, run, WALK_PULL);
    return true;
}

static void census_slot(struct scheduler *scheduler, struct run *run, uint32_t index)
{
    const struct slot *slot = &scheduler->slots[index];
    uint32_t institution;

    if (!is_unsent(slot)) /* its consent is far away in memory */
        return;
    institution = scheduler->consents[slot->consent].institution;
    if (is_sendable(scheduler, run, index))
        scheduler->pace.census[institution * PRIORITIES + priority_of(scheduler, index)]++;
}

/* The limits that count here are rates: run_slot_skip turns them into `deadline`. */
static void skip_slot(struct scheduler *scheduler, struct run *run, uint32_t index)
{
    struct deadline_pace *pace = &scheduler->pace;
    const struct slot *slot = &scheduler->slots[index];
    uint32_t institution = scheduler->consents[slot->consent].institution;
    uint32_t provider = scheduler->institutions[institution].provider;
    uint32_t priority = priority_of(scheduler, index);
    uint32_t *skip = &pace->census[institution * PRIORITIES + priority];

    if (*skip == 0)
        skip = &pace->provider_skip[provider * PRIORITIES + priority];
    if (*skip == 0 || !is_unsent(slot) || !is_sendable(scheduler, run, index))
        return;
    --*skip;
    pace->left--;
    run_slot_detach(scheduler, index);
    run_slot_skip(scheduler, index, REASON_RATE);
    run->skipped_early++;
}

/* Only what can go at once is woken: a state that keeps a slot from being sent may have ended when
 * its own time comes. */
static void pull_slot(struct scheduler *scheduler, struct run *run, uint32_t index)
{
    struct deadline_pace *pace = &scheduler->pace;
    const struct slot *slot = &scheduler->slots[index];
    uint32_t institution = scheduler->consents[slot->consent].institution;
    uint32_t *pull = &pace->pull[institution];

    if (*pull == 0)
        pull = &pace->provider_pull[scheduler->institutions[institution].provider];
    if (*pull == 0 || slot->state != SLOT_SLEEPING || !is_sendable(scheduler, run, index) ||
        consent_paused_until(scheduler, slot->consent, scheduler->now.utc).ms >
            scheduler->now.utc.ms ||
        consent_obstacle(scheduler, slot->consent, scheduler->now.utc, false).reason != REASON_NONE)
        return;
    --*pull;
    pace->left--;
    run_slot_consider(scheduler, index);
}

bool deadline_sweep_go_on(struct scheduler *scheduler, struct run *run)
{
    struct deadline_pace *pace = &scheduler->pace;

    for (uint32_t looked = 0; pace->cursor < run->count; looked++, pace->cursor++) {
        uint32_t index = run->first + run->count - 1 - pace->cursor; /* latest offset first */

        if (looked >= SLOTS_SWEPT_PER_STEP || !core_has_room(scheduler)) {
            scheduler->wants_step = true;
            return false;
        }
        if (pace->phase == WALK_CENSUS) {
            census_slot(scheduler, run, index);
            continue;
        }
        if (pace->left == 0 || (pace->phase == WALK_PULL && index - run->first < run->cursor))
            break;
        if (pace->phase == WALK_SKIP)
            skip_slot(scheduler, run, index);
        else
            pull_slot(scheduler, run, index);
    }
    pace->phase = WALK_IDLE;
    return true;
}
