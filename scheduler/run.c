/* SPDX-License-Identifier: MIT
 * run.c - see run.h. */
#include "scheduler/run.h"

#include "scheduler/consent.h"
#include "scheduler/deadline_pace.h"
#include "scheduler/limit_node.h"
#include "scheduler/provider_gate.h"
#include "scheduler/slot_sort.h"
#include "scheduler/work.h"

/* ---- room and population ---- */

bool run_find_room(struct scheduler *scheduler, uint32_t due, uint32_t *place, uint32_t *first)
{
    uint32_t start = 0;
    uint32_t free_place = 0;
    bool is_moved = true;

    while (free_place < scheduler->run_capacity && scheduler->runs[free_place].in_use)
        free_place++;
    while (is_moved) { /* first fit: step over whatever overlaps */
        is_moved = false;
        for (uint32_t i = 0; i < scheduler->run_capacity; i++) {
            const struct run *run = &scheduler->runs[i];

            if (run->in_use && run->room > 0 && start < run->first + run->room &&
                run->first < start + due) {
                start = run->first + run->room;
                is_moved = true;
            }
        }
    }
    if (free_place == scheduler->run_capacity || start + due > scheduler->slot_capacity) {
        if (start + due > scheduler->slots_wanted)
            scheduler->slots_wanted = start + due;
        scheduler->needs_reserve = true;
        scheduler->wants_step = true;
        return false;
    }
    *place = free_place;
    *first = start;
    return true;
}

void run_append(struct scheduler *scheduler, struct run *run, uint32_t consent)
{
    const struct schedule *schedule = &scheduler->schedules[run->schedule];
    struct slot *slot = &scheduler->slots[run->first + run->count];

    REQUIRE(run->count < run->room);
    *slot = (struct slot){
        .consent = consent,
        .phase = scheduler->consents[consent].hash_high + (uint32_t)(schedule->name_hash >> 32),
        .next = NONE_INDEX,
        .prev = NONE_INDEX,
        .run = (uint16_t)(run - scheduler->runs),
        .state = SLOT_SLEEPING,
    };
    deadline_pace_slot_came(scheduler, run->first + run->count);
    run->count++;
    run->open++;
}

void run_sort(struct scheduler *scheduler, struct run *run)
{
    slot_sort(scheduler->slots + run->first, run->count);
}

void run_fill(struct scheduler *scheduler, struct run *run,
              bool (*filter)(void *context, uint32_t consent), void *context)
{
    for (uint32_t consent = 1; consent <= scheduler->consent_max; consent++)
        if (consent_is_member(scheduler, consent, run->schedule) &&
            (filter == NULL || filter(context, consent)))
            run_append(scheduler, run, consent);
    run->due = run->count;
    run_sort(scheduler, run);
}

uint32_t run_find_slot(const struct scheduler *scheduler, const struct run *run, uint32_t consent)
{
    uint32_t phase = scheduler->consents[consent].hash_high +
                     (uint32_t)(scheduler->schedules[run->schedule].name_hash >> 32);
    uint32_t low = 0;
    uint32_t high = run->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct slot *slot = &scheduler->slots[run->first + middle];

        if (slot->phase < phase || (slot->phase == phase && slot->consent < consent))
            low = middle + 1;
        else
            high = middle;
    }
    if (low < run->count && scheduler->slots[run->first + low].consent == consent)
        return run->first + low;
    return NONE_INDEX;
}

struct run *run_of_slot(const struct scheduler *scheduler, uint32_t slot)
{
    return &scheduler->runs[scheduler->slots[slot].run];
}

struct utc_time run_slot_due(const struct scheduler *scheduler, uint32_t slot)
{
    const struct run *run = run_of_slot(scheduler, slot);

    return utc_add_ms(run->base, spread_offset_ms(scheduler->slots[slot].phase, run->spread_ms));
}

uint32_t run_slot_level(const struct scheduler *scheduler, uint32_t slot)
{
    const struct run *run = run_of_slot(scheduler, slot);
    uint32_t priority = scheduler->consents[scheduler->slots[slot].consent].priority;

    if (priority > PRIORITY_MAX)
        priority = scheduler->schedules[run->schedule].settings.priority;
    return run->trigger == TRIGGER_CATCH_UP ? priority : PRIORITY_MAX + 1 + priority;
}

/* ---- records ---- */

void run_record_open(struct scheduler *scheduler, struct run *run)
{
    struct record *record = core_record(scheduler, RECORD_RUN_OPEN, NULL);

    run->is_opened = true;
    run->started = scheduler->now.utc;
    record->as.run_open.run = run->number;
    record->as.run_open.schedule = scheduler->schedules[run->schedule].settings_index;
    record->as.run_open.trigger = run->trigger;
    record->as.run_open.slot = run->slot;
    record->as.run_open.local_ms = run->local_ms;
    record->as.run_open.fold = run->fold;
    record->as.run_open.deadline = run->deadline;
    record->as.run_open.spread_ms = run->spread_ms;
    record->as.run_open.due = run->due;
}

struct record *run_record_skip(struct scheduler *scheduler, uint32_t run, uint32_t consent,
                               struct utc_time due, enum reason reason, uint32_t count)
{
    struct record *record = core_record(scheduler, RECORD_SKIP, NULL);

    record->as.skip.run = run;
    record->as.skip.consent = consent;
    record->as.skip.due = due;
    record->as.skip.reason = reason;
    record->as.skip.count = count;
    return record;
}

/* ---- slots ---- */

void run_slot_to_job(struct scheduler *scheduler, uint32_t slot)
{
    if (scheduler->slots[slot].state != SLOT_JOB)
        deadline_pace_slot_went(scheduler, slot);
    scheduler->slots[slot].state = SLOT_JOB;
}

void run_slot_done(struct scheduler *scheduler, uint32_t index, enum outcome outcome)
{
    struct slot *slot = &scheduler->slots[index];
    struct run *run = run_of_slot(scheduler, index);

    REQUIRE(slot->state != SLOT_DONE && run->open > 0);
    if (slot->state != SLOT_JOB)
        deadline_pace_slot_went(scheduler, index);
    slot->state = SLOT_DONE;
    slot->outcome = (uint8_t)outcome;
    run->counts[outcome]++;
    run->open--;
}

void run_slot_skip(struct scheduler *scheduler, uint32_t index, enum reason reason)
{
    const struct slot *slot = &scheduler->slots[index];
    const struct run *run = run_of_slot(scheduler, index);

    /* A limit alone would have let it go sooner or later: it is the deadline that ended the wait.
     */
    bool is_late =
        reason == REASON_RATE || reason == REASON_CONCURRENCY || reason == REASON_FAIRNESS;
    struct record *record =
        run_record_skip(scheduler, run->number, slot->consent, run_slot_due(scheduler, index),
                        is_late ? REASON_DEADLINE : reason, 1);

    if (is_late)
        record->as.skip.waited_for = reason;
    if (reason == REASON_RATE) {
        const struct institution *institution =
            &scheduler->institutions[scheduler->consents[slot->consent].institution];

        record->as.skip.is_learned =
            limit_node_pace_binds(&institution->node) ||
            limit_node_pace_binds(&scheduler->providers[institution->provider].node);
    }
    consent_fold(&scheduler->consents[slot->consent], OUTCOME_SKIPPED, scheduler->now.utc);
    run_slot_done(scheduler, index, OUTCOME_SKIPPED);
}

static enum reason slot_ends_for(struct scheduler *scheduler, uint32_t index);

struct obstacle run_schedule_obstacle(const struct scheduler *scheduler, uint32_t place)
{
    struct schedule *schedule = &scheduler->schedules[place];
    struct utc_time now = scheduler->now.utc;
    struct obstacle obstacle = {REASON_PAUSED, schedule->paused_until, MONO_NEVER};

    if (schedule->paused_until.ms <= now.ms)
        obstacle.reason = open_hours_closed(&schedule->hours, now, &obstacle.utc);
    return obstacle;
}

bool run_slot_judge(struct scheduler *scheduler, uint32_t index)
{
    struct slot *slot = &scheduler->slots[index];
    struct run *run = run_of_slot(scheduler, index);
    struct utc_time now = scheduler->now.utc;
    struct obstacle obstacle;
    enum reason refusal = consent_refusal(scheduler, slot->consent, now);
    struct utc_time paused = consent_paused_until(scheduler, slot->consent, now);

    if (refusal == REASON_NONE && !consent_is_member(scheduler, slot->consent, run->schedule))
        refusal = REASON_REMOVED;
    if (refusal == REASON_NONE && run->sweep == SWEEP_SUPERSEDED)
        refusal = REASON_SUPERSEDED; /* the sweep has not come here yet */
    if (refusal == REASON_NONE && scheduler->consents[slot->consent].job != NONE_INDEX)
        refusal = REASON_SINGLE_FLIGHT;
    if (refusal == REASON_NONE && now.ms >= run->deadline.ms)
        refusal = slot_ends_for(scheduler, index);
    if (refusal != REASON_NONE) {
        run_slot_skip(scheduler, index, refusal);
        return false;
    }
    if (run_schedule_obstacle(scheduler, run->schedule).reason != REASON_NONE) {
        slot->state = SLOT_PAUSED;
        work_queue_push(scheduler, &run->paused, index);
        run->paused_count++;
        return false;
    }
    if (paused.ms > now.ms) {
        park_set(scheduler, index, utc_sooner(paused, run->deadline));
        return false;
    }
    obstacle = consent_obstacle(scheduler, slot->consent, now, false);
    if (obstacle.reason == REASON_NONE)
        return true;
    if (obstacle.utc.ms >= run->deadline.ms)
        run_slot_skip(scheduler, index, obstacle.reason);
    else
        park_set(scheduler, index, obstacle.utc);
    return false;
}

void run_slot_detach(struct scheduler *scheduler, uint32_t index)
{
    struct slot *slot = &scheduler->slots[index];
    struct run *run = run_of_slot(scheduler, index);

    switch ((enum slot_state)slot->state) {
    case SLOT_READY:
        work_unlink(scheduler, scheduler->consents[slot->consent].institution,
                    run_slot_level(scheduler, index), index);
        break;
    case SLOT_PARKED: park_remove(scheduler, index); break;
    case SLOT_PAUSED:
        work_queue_unlink(scheduler, &run->paused, index);
        run->paused_count--;
        break;
    case SLOT_SLEEPING:
    case SLOT_JOB:
    case SLOT_DONE: break;
    }
}

void run_slot_consider(struct scheduler *scheduler, uint32_t index)
{
    struct slot *slot = &scheduler->slots[index];

    run_slot_detach(scheduler, index);
    if (!run_slot_judge(scheduler, index))
        return;
    slot->state = SLOT_READY;
    work_push(scheduler, scheduler->consents[slot->consent].institution,
              run_slot_level(scheduler, index), index);
}

void run_ask_parked(struct scheduler *scheduler, uint32_t consent)
{
    for (uint32_t i = 0; i < scheduler->run_capacity; i++) {
        struct run *run = &scheduler->runs[i];
        uint32_t slot = run->in_use ? run_find_slot(scheduler, run, consent) : NONE_INDEX;

        if (slot == NONE_INDEX || scheduler->slots[slot].state != SLOT_PARKED)
            continue;
        park_remove(scheduler, slot);
        park_set(scheduler, slot, scheduler->now.utc);
    }
}

/* ---- sweeps ---- */

void run_start_sweep(struct run *run, enum sweep sweep)
{
    if (sweep == SWEEP_SUPERSEDED)
        run->is_superseded = true;
    if (run->sweep > sweep)
        return; /* what goes on already ends these slots too */
    run->sweep = sweep;
    run->sweep_cursor = 0;
}

/* What an unsent slot waited for when its deadline came. */
static enum reason slot_waits_for(struct scheduler *scheduler, uint32_t index)
{
    const struct slot *slot = &scheduler->slots[index];
    struct institution *institution =
        &scheduler->institutions[scheduler->consents[slot->consent].institution];
    struct provider *provider = &scheduler->providers[institution->provider];
    struct run *run = run_of_slot(scheduler, index);
    struct utc_time now = scheduler->now.utc;
    enum reason reason = consent_refusal(scheduler, slot->consent, now);

    if (reason != REASON_NONE)
        return reason;
    reason = run_schedule_obstacle(scheduler, run->schedule).reason;
    if (reason != REASON_NONE)
        return reason;
    if (consent_paused_until(scheduler, slot->consent, now).ms > now.ms)
        return REASON_PAUSED;
    reason = consent_obstacle(scheduler, slot->consent, now, false).reason;
    if (reason == REASON_NONE)
        reason = provider_gate_job_obstacle(scheduler, provider, false).reason;
    if (reason == REASON_NONE)
        reason = limit_node_job_obstacle(&institution->node, scheduler->now, false).reason;
    if (reason == REASON_NONE)
        reason = provider_gate_obstacle(scheduler, provider).reason;
    if (reason == REASON_NONE && provider->is_stopped)
        reason = REASON_AUTH; /* its next probe is due just now */
    if (reason == REASON_NONE && (provider->node.breaker.state != BREAKER_CLOSED ||
                                  institution->node.breaker.state != BREAKER_CLOSED))
        reason = REASON_BREAKER; /* likewise */
    if (reason == REASON_NONE)
        reason = limit_node_pushback_obstacle(&institution->node, scheduler->now.mono).reason;
    if (reason == REASON_NONE)
        reason = limit_node_request_obstacle(&institution->node, scheduler->now).reason;
    if (reason == REASON_NONE && slot->state == SLOT_READY)
        reason = institution->node.last_blocked != REASON_NONE ? institution->node.last_blocked
                                                               : provider->node.last_blocked;
    return reason != REASON_NONE ? reason : REASON_DEADLINE;
}

/* Has the next run of its schedule fired, or does it as soon as there is room for it? */
static bool next_has_fired(const struct scheduler *scheduler, const struct run *run)
{
    const struct schedule *schedule = &scheduler->schedules[run->schedule];

    return run->is_superseded ||
           (scheduler->calendars_enabled && schedule->is_configured && schedule->next.found &&
            schedule->next.at.ms <= scheduler->now.utc.ms);
}

/* The deadline is the next firing where nobody wrote another one: what only waited for its turn was
 * superseded then, while a state (a pause, refused credentials, a window) stays the reason. */
static enum reason slot_ends_for(struct scheduler *scheduler, uint32_t index)
{
    enum reason reason = slot_waits_for(scheduler, index);

    switch (reason) {
    case REASON_RATE:
    case REASON_CONCURRENCY:
    case REASON_FAIRNESS:
    case REASON_DEADLINE:
        return next_has_fired(scheduler, run_of_slot(scheduler, index)) ? REASON_SUPERSEDED
                                                                        : reason;
    default: return reason;
    }
}

static void sweep_slot(struct scheduler *scheduler, struct run *run, uint32_t index)
{
    struct slot *slot = &scheduler->slots[index];
    enum reason reason;

    if (slot->state == SLOT_JOB || slot->state == SLOT_DONE)
        return; /* jobs have a deadline timer of their own */
    if (run->sweep == SWEEP_MEMBERS && consent_is_member(scheduler, slot->consent, run->schedule))
        return;
    reason = run->sweep == SWEEP_MEMBERS      ? REASON_REMOVED
             : run->sweep == SWEEP_SUPERSEDED ? REASON_SUPERSEDED
                                              : slot_ends_for(scheduler, index);
    run_slot_detach(scheduler, index);
    run_slot_skip(scheduler, index, reason);
}

static void run_sweep(struct scheduler *scheduler, struct run *run)
{
    for (uint32_t looked = 0; run->sweep != SWEEP_NONE && run->sweep_cursor < run->count;
         looked++) {
        if (!core_has_room(scheduler))
            return;
        if (looked >= SLOTS_SWEPT_PER_STEP) {
            scheduler->wants_step = true;
            return;
        }
        sweep_slot(scheduler, run, run->first + run->sweep_cursor);
        run->sweep_cursor++;
    }
    run->sweep = SWEEP_NONE;
}

/* ---- time ---- */

/* Wake the slots that are due, some thousand a step. */
static void run_wake_slots(struct scheduler *scheduler, struct run *run)
{
    struct obstacle closed = run_schedule_obstacle(scheduler, run->schedule);

    if (closed.reason != REASON_NONE) {
        core_wake_utc(scheduler, closed.utc);
        return;
    }
    for (uint32_t looked = 0; run->cursor < run->count; looked++) {
        uint32_t index = run->first + run->cursor;

        if (scheduler->slots[index].state == SLOT_SLEEPING) {
            struct utc_time due = run_slot_due(scheduler, index);

            if (due.ms > scheduler->now.utc.ms) {
                core_wake_utc(scheduler, due);
                return;
            }
            if (looked >= SLOTS_PER_STEP) {
                scheduler->wants_step = true;
                return;
            }
            if (!core_has_room(scheduler))
                return;
            run_slot_consider(scheduler, index);
        }
        run->cursor++;
    }
}

static void run_resume_paused(struct scheduler *scheduler, struct run *run)
{
    while (run->paused.head != NONE_INDEX && core_has_room(scheduler))
        run_slot_consider(scheduler, run->paused.head);
}

static void run_advance(struct scheduler *scheduler, struct run *run)
{
    struct utc_time now = scheduler->now.utc;

    if (!run->is_opened) {
        if (!core_has_room(scheduler))
            return;
        run_record_open(scheduler, run);
    }
    if (now.ms >= run->deadline.ms && !run->deadline_swept) {
        run->deadline_swept = true;
        run_start_sweep(run, SWEEP_DEADLINE);
    }
    run_sweep(scheduler, run);
    if (now.ms >= run->deadline.ms)
        return; /* nothing new: what is left has jobs, or the sweep goes on */
    core_wake_utc(scheduler, run->open > 0 ? run->deadline : UTC_NEVER);
    if (run->paused.head != NONE_INDEX &&
        run_schedule_obstacle(scheduler, run->schedule).reason == REASON_NONE)
        run_resume_paused(scheduler, run);
    run_wake_slots(scheduler, run);
    deadline_pace_advance(scheduler, run);
}

void run_advance_all(struct scheduler *scheduler)
{
    for (uint32_t i = 0; i < scheduler->run_capacity; i++)
        if (scheduler->runs[i].in_use)
            run_advance(scheduler, &scheduler->runs[i]);
}

void run_close_finished(struct scheduler *scheduler)
{
    for (uint32_t i = 0; i < scheduler->run_capacity && scheduler->run_count > 0; i++) {
        struct run *run = &scheduler->runs[i];
        struct record *record;

        if (!run->in_use || !run->is_opened || run->open > 0)
            continue;
        if (scheduler->batch->record_count == BATCH_RECORDS_MAX) {
            scheduler->batch->is_full = true;
            return;
        }
        record = core_record(scheduler, RECORD_RUN_CLOSE, NULL);
        record->as.run_close.run = run->number;
        record->as.run_close.schedule = scheduler->schedules[run->schedule].settings_index;
        for (uint32_t outcome = 0; outcome < OUTCOME_COUNT; outcome++)
            record->as.run_close.counts[outcome] = run->counts[outcome];
        record->as.run_close.late = scheduler->now.utc.ms > run->deadline.ms;
        run->in_use = false;
        run->room = 0;
        scheduler->run_count--;
        if (scheduler->run_count == 0)
            scheduler->needs_reserve = true; /* the slot pool can be given back */
    }
}
