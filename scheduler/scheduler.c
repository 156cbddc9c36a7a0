/* SPDX-License-Identifier: MIT
 * scheduler.c - the facade: events in, one batch and the next wake time out. See scheduler.h. */
#include "scheduler/scheduler.h"

#include <string.h>

#include "base/memory.h"
#include "scheduler/answer.h"
#include "scheduler/consent.h"
#include "scheduler/dispatch.h"
#include "scheduler/feedback.h"
#include "scheduler/firing.h"
#include "scheduler/job.h"
#include "scheduler/maintenance.h"
#include "scheduler/node_record.h"
#include "scheduler/pause.h"
#include "scheduler/population.h"
#include "scheduler/provider_gate.h"
#include "scheduler/recheck.h"
#include "scheduler/retry_gate.h"
#include "scheduler/room.h"
#include "scheduler/run.h"
#include "scheduler/work.h"

struct scheduler *scheduler_create(uint64_t seed)
{
    struct scheduler *scheduler = memory_resize(NULL, 0, 1, sizeof *scheduler);

    if (scheduler == NULL)
        return NULL;
    random_init(&scheduler->random, seed);
    scheduler->is_recovering = true;
    scheduler->calendars_enabled = true;
    scheduler->paused_until = UTC_NONE;
    scheduler->next_run = 1;
    scheduler->next_job = 1;
    scheduler->lane_free = NONE_INDEX;
    scheduler->job_free = NONE_INDEX;
    scheduler->job_freed = NONE_INDEX;
    scheduler->marked_first = NONE_INDEX;
    scheduler->marked_last = NONE_INDEX;
    return scheduler;
}

void scheduler_destroy(struct scheduler *scheduler)
{
    if (scheduler != NULL)
        room_release(scheduler);
}

enum result scheduler_reserve(struct scheduler *scheduler, uint32_t consent_max,
                              struct fault *fault)
{
    if (room_consents(scheduler, consent_max, fault) != RESULT_OK ||
        room_jobs(scheduler, 0, fault) != RESULT_OK || room_lanes(scheduler, fault) != RESULT_OK ||
        room_runs(scheduler, 0, fault) != RESULT_OK || room_pace(scheduler, fault) != RESULT_OK ||
        room_slots(scheduler, fault) != RESULT_OK)
        return RESULT_FAULT;
    scheduler->needs_reserve = false;
    return RESULT_OK;
}

void scheduler_set_calendars(struct scheduler *scheduler, bool enabled)
{
    scheduler->calendars_enabled = enabled;
}

void scheduler_read_maintenance(struct scheduler *scheduler, bool enabled)
{
    scheduler->reads_maintenance = enabled;
}

/* ---- events ---- */

static bool is_live(const struct scheduler *scheduler, uint32_t job)
{
    return job < scheduler->job_capacity && scheduler->jobs[job].in_use;
}

static struct provider *provider_at(const struct scheduler *scheduler, uint32_t index)
{
    return index < scheduler->provider_places_count
               ? &scheduler->providers[scheduler->provider_places[index]]
               : NULL;
}

static void take_sent(struct scheduler *scheduler, const struct event *event)
{
    struct provider *provider = provider_at(scheduler, event->as.sent.provider);

    if (event->as.sent.request == REQUEST_TOKEN) {
        if (provider != NULL)
            provider_gate_token_sent(provider, event->as.sent.at);
    } else if (event->as.sent.request == REQUEST_INSTITUTIONS) {
        if (provider != NULL)
            maintenance_sent(provider, event->as.sent.at);
    } else if (event->as.sent.job_slot == NO_JOB) {
        recheck_sent(scheduler, event->as.sent.consent, event->as.sent.at);
    } else if (is_live(scheduler, event->as.sent.job_slot) &&
               scheduler->jobs[event->as.sent.job_slot].request == event->as.sent.request) {
        job_request_sent(scheduler, event->as.sent.job_slot, event->as.sent.at,
                         event->as.sent.at_utc);
    }
}

static void take_token(struct scheduler *scheduler, const struct event *event)
{
    struct provider *provider = provider_at(scheduler, event->as.token.provider);

    if (provider != NULL)
        provider_gate_token_ended(scheduler, provider, event->as.token.is_granted,
                                  event->as.token.reached_socket, event->as.token.lifetime_ms,
                                  event->as.token.retry_after_ms, scheduler->now.mono);
}

static void take_institutions(struct scheduler *scheduler, const struct event *event)
{
    struct provider *provider = provider_at(scheduler, event->as.institutions.provider);

    if (provider != NULL)
        maintenance_ended(scheduler, provider, &event->as.institutions.answer);
}

/* A person wants a consent refreshed: a job without a run, before everything else. */
static void take_trigger(struct scheduler *scheduler, uint32_t consent, bool is_forced)
{
    enum reason refusal;
    uint32_t job;

    if (consent == 0 || consent > scheduler->consent_max ||
        scheduler->consents[consent].job != NONE_INDEX ||
        (scheduler->consents[consent].flags & CONSENT_IN_USE) == 0)
        return;
    refusal = scheduler->is_draining ? REASON_DRAINING
                                     : consent_refusal(scheduler, consent, scheduler->now.utc);
    if (refusal == REASON_NONE && scheduler->job_free == NONE_INDEX) {
        scheduler->needs_reserve = true;
        refusal = REASON_CONCURRENCY;
    }
    if (refusal != REASON_NONE) {
        run_record_skip(scheduler, 0, consent, scheduler->now.utc, refusal, 1);
        return;
    }
    job = job_create(scheduler, consent, NONE_INDEX, TRIGGER_MANUAL, JOB_NEW);
    scheduler->jobs[job].level = QUEUE_LEVEL_MANUAL;
    scheduler->jobs[job].is_forced = is_forced;
    scheduler->jobs[job].deadline = utc_add_ms(scheduler->now.utc, MANUAL_PATIENCE_MS);
    job_consider(scheduler, job);
}

static void take_reset(struct scheduler *scheduler, uint32_t provider, uint32_t institution)
{
    if (provider >= scheduler->provider_places_count ||
        (institution != UINT32_MAX && institution >= scheduler->institution_places_count))
        return;
    feedback_reset(scheduler, scheduler->provider_places[provider],
                   institution == UINT32_MAX ? NONE_INDEX
                                             : scheduler->institution_places[institution]);
}

static void take_event(struct scheduler *scheduler, const struct event *event)
{
    switch (event->kind) {
    case EVENT_TIME: break;
    case EVENT_SENT: take_sent(scheduler, event); break;
    case EVENT_ANSWER:
        if (event->as.answer.job_slot == NO_JOB)
            recheck_answered(scheduler, event->as.answer.consent, &event->as.answer.answer,
                             event->as.answer.evidence);
        else if (is_live(scheduler, event->as.answer.job_slot))
            answer_take(scheduler, event->as.answer.job_slot, event->as.answer.request,
                        &event->as.answer.answer, event->as.answer.evidence);
        break;
    case EVENT_WEBHOOK:
        if (is_live(scheduler, event->as.webhook.job_slot))
            answer_take_webhook(scheduler, event->as.webhook.job_slot,
                                event->as.webhook.reference_hash, event->as.webhook.evidence);
        break;
    case EVENT_TOKEN: take_token(scheduler, event); break;
    case EVENT_TRIGGER:
        take_trigger(scheduler, event->as.trigger.consent, event->as.trigger.force);
        break;
    case EVENT_PAUSE:
        pause_set(scheduler, event->as.pause.scope, event->as.pause.index, event->as.pause.until);
        break;
    case EVENT_RESUME:
        pause_set(scheduler, event->as.pause.scope, event->as.pause.index, UTC_NONE);
        break;
    case EVENT_RELEASE:
        if (event->as.release.consent >= 1 && event->as.release.consent <= scheduler->consent_max)
            population_release(scheduler, event->as.release.consent, HOLD_BY_PERSON);
        break;
    case EVENT_INSTITUTIONS: take_institutions(scheduler, event); break;
    case EVENT_MAINTENANCE:
        maintenance_take(scheduler, event->as.maintenance.institution, event->as.maintenance.spans,
                         event->as.maintenance.count);
        break;
    case EVENT_CONSENT:
        recheck_take_news(scheduler, event->as.consent.consent, event->as.consent.verdict,
                          event->as.consent.expires, event->as.consent.is_verified);
        break;
    case EVENT_RESET:
        take_reset(scheduler, event->as.reset.provider, event->as.reset.institution);
        break;
    case EVENT_DRAIN: scheduler->is_draining = true; break;
    }
}

/* ---- the step ---- */

static void begin_step(struct scheduler *scheduler, struct time_now now, struct batch *batch)
{
    batch->record_count = 0;
    batch->effect_count = 0;
    batch->is_full = false;
    batch->needs_reserve = false;
    scheduler->batch = batch;
    scheduler->now = now;
    scheduler->steps++;
    scheduler->wants_step = false;
    scheduler->wake = (struct wake){UTC_NEVER, MONO_NEVER};
    for (uint32_t i = 0; i < scheduler->provider_count; i++)
        scheduler->providers[i].calls_record = NONE_INDEX;
    /* Places freed in the step before are free from now on: their records are performed. */
    while (scheduler->job_freed != NONE_INDEX) {
        struct job *job = &scheduler->jobs[scheduler->job_freed];
        uint32_t freed = scheduler->job_freed;

        scheduler->job_freed = job->next;
        job->next = scheduler->job_free;
        scheduler->job_free = freed;
    }
}

static void advance_parked(struct scheduler *scheduler)
{
    for (uint32_t looked = 0;
         scheduler->parked_count > 0 && scheduler->parked[0].key_ms <= scheduler->now.utc.ms;
         looked++) {
        if (looked >= SLOTS_PER_STEP) {
            scheduler->wants_step = true;
            return;
        }
        if (!core_has_room(scheduler))
            return;
        run_slot_consider(scheduler, scheduler->parked[0].slot);
    }
}

/* The first timer of the heap that is due, taken out; NONE_INDEX. */
static uint32_t take_due_job(struct scheduler *scheduler, struct heap *heap, int64_t now)
{
    uint32_t job;

    if (heap_first_key(heap) > now || !core_has_room(scheduler))
        return NONE_INDEX;
    job = heap_first_id(heap);
    heap_remove(heap, job);
    return job;
}

static void advance_jobs(struct scheduler *scheduler)
{
    for (uint32_t served = 0;; served++) {
        uint32_t job = take_due_job(scheduler, &scheduler->jobs_utc, scheduler->now.utc.ms);

        if (job == NONE_INDEX)
            job = take_due_job(scheduler, &scheduler->jobs_mono, scheduler->now.mono.us);
        if (job == NONE_INDEX)
            return;
        job_on_time(scheduler, job);
        if (served >= TIMERS_PER_STEP) {
            scheduler->wants_step = true;
            return;
        }
    }
}

static void end_step(struct scheduler *scheduler, struct batch *batch)
{
    if (scheduler->parked_count > 0)
        core_wake_utc(scheduler, (struct utc_time){scheduler->parked[0].key_ms});
    core_wake_utc(scheduler, (struct utc_time){heap_first_key(&scheduler->jobs_utc)});
    core_wake_mono(scheduler, (struct mono_time){heap_first_key(&scheduler->jobs_mono)});
    core_wake_utc(scheduler, (struct utc_time){heap_first_key(&scheduler->institutions_utc)});
    core_wake_mono(scheduler, (struct mono_time){heap_first_key(&scheduler->institutions_mono)});
    if (batch->is_full || scheduler->wants_step)
        scheduler->wake = (struct wake){scheduler->now.utc, scheduler->now.mono};
    batch->needs_reserve = scheduler->needs_reserve;
    scheduler->batch = NULL;
}

struct wake scheduler_step(struct scheduler *scheduler, struct time_now now,
                           const struct event *event, struct batch *batch)
{
    REQUIRE(!scheduler->is_recovering);
    begin_step(scheduler, now, batch);
    take_event(scheduler, event);
    population_advance(scheduler);
    firing_advance_all(scheduler);
    run_advance_all(scheduler);
    advance_parked(scheduler);
    advance_jobs(scheduler);
    retry_gate_advance(scheduler);
    dispatch_all(scheduler);
    recheck_advance_all(scheduler);
    maintenance_advance_all(scheduler);
    run_close_finished(scheduler);
    node_record_write(scheduler);
    end_step(scheduler, batch);
    return scheduler->wake;
}

/* ---- once ---- */

enum result scheduler_open_once(struct scheduler *scheduler, struct time_now now, uint32_t schedule,
                                bool keep_spread, bool (*filter)(void *context, uint32_t consent),
                                void *context, uint32_t *number, struct fault *fault)
{
    struct calendar_firing firing = {.found = true};
    uint32_t inner;
    uint32_t place;
    uint32_t first;
    struct run *run;

    if (schedule >= scheduler->schedule_places_count)
        return fault_set(fault, FAULT_INTERNAL, "schedule %u does not exist", schedule);
    inner = scheduler->schedule_places[schedule];
    scheduler->now = now;
    firing.at.ms = now.utc.ms - now.utc.ms % MS_PER_SECOND;
    firing.local = zone_utc_to_local(scheduler->schedules[inner].settings.calendar.zone, firing.at);
    firing.fold = zone_fold_at(scheduler->schedules[inner].settings.calendar.zone, firing.at);
    for (uint32_t i = 0; i < scheduler->run_capacity; i++)
        if (scheduler->runs[i].in_use && scheduler->runs[i].schedule == inner &&
            scheduler->runs[i].slot.ms == firing.at.ms)
            return fault_set(fault, FAULT_TEMPORARY,
                             "a run of this schedule was opened this second; try again");
    if (!run_find_room(scheduler, scheduler->schedules[inner].population, &place, &first) &&
        (scheduler_reserve(scheduler, scheduler->consent_max, fault) != RESULT_OK ||
         !run_find_room(scheduler, scheduler->schedules[inner].population, &place, &first)))
        return fault_set(fault, FAULT_TEMPORARY, "out of memory for the slots of a run");
    run = &scheduler->runs[place];
    firing_init_run(scheduler, run, inner, TRIGGER_ONCE, &firing);
    if (!keep_spread)
        run->spread_ms = 0;
    run->first = first;
    run->room = scheduler->schedules[inner].population;
    run_fill(scheduler, run, filter, context);
    firing_supersede(scheduler, inner, run);
    *number = run->number;
    return RESULT_OK;
}
