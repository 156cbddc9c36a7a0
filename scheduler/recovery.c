/* SPDX-License-Identifier: MIT
 * recovery.c - what the store remembers goes back into the core, before the first step. See
 * scheduler.h. */
#include "scheduler/consent.h"
#include "scheduler/deadline_pace.h"
#include "scheduler/firing.h"
#include "scheduler/job.h"
#include "scheduler/limit_node.h"
#include "scheduler/maintenance.h"
#include "scheduler/pause.h"
#include "scheduler/recheck.h"
#include "scheduler/room.h"
#include "scheduler/run.h"
#include "scheduler/scheduler.h"

/* Nothing that we write down waits for longer: later instants are of a clock that was ahead. */
#define NOT_BEFORE_MS_MAX QUOTA_WINDOW_MS_MAX

static bool is_known(const struct scheduler *scheduler, uint32_t consent)
{
    return consent >= 1 && consent <= scheduler->consent_max;
}

void scheduler_recover_consent(struct scheduler *scheduler, uint32_t number,
                               const struct consent_past *past)
{
    struct consent *consent;
    struct utc_time not_before;

    if (!is_known(scheduler, number))
        return;
    consent = &scheduler->consents[number];
    consent->last_outcome = (unsigned)past->last_outcome & 7u;
    instant_set(&consent->last_success, past->last_success);
    instant_set(&consent->last_attempt, past->last_attempt);
    consent->failures =
        (uint8_t)(past->consecutive_failures < UINT8_MAX ? past->consecutive_failures : UINT8_MAX);
    consent->refusals =
        (uint8_t)(past->cooldown_refusals < UINT8_MAX ? past->cooldown_refusals : UINT8_MAX);
    not_before = utc_sooner(past->not_before, utc_add_ms(scheduler->now.utc, NOT_BEFORE_MS_MAX));
    consent_set_not_before(consent, not_before, past->not_before_reason);
    consent_set_reference(consent, past->reference_hash);
    if (past->learned_expires.ms != UTC_NONE.ms)
        consent->learned_expires_s = consent_seconds_floor(past->learned_expires);
    if (past->is_held)
        consent->flags |= CONSENT_IS_HELD;
    if (past->is_held && past->is_suspended)
        consent->flags |= CONSENT_IS_SUSPENDED;
}

/* The same moment on today's monotonic clock, never in the future. */
static struct mono_time past_mono(const struct scheduler *scheduler, struct utc_time at)
{
    return core_mono_of(scheduler, utc_sooner(at, scheduler->now.utc));
}

void scheduler_recover_attempt(struct scheduler *scheduler, uint32_t number, struct utc_time sent,
                               bool is_charged, enum outcome outcome)
{
    struct consent *consent;

    if (!is_known(scheduler, number))
        return;
    consent = &scheduler->consents[number];
    if ((consent->flags & CONSENT_IN_USE) != 0) { /* else its node is not known any more */
        /* The store keeps whole milliseconds, rounded down: later by one is safe. */
        struct mono_time at = past_mono(scheduler, utc_add_ms(sent, 1));

        if (utc_add_ms(sent, LONG_SPAN_MS).ms > scheduler->now.utc.ms)
            consent_provider(scheduler, number)->was_busy = true;
        limit_node_remember(&consent_provider(scheduler, number)->node, at);
        limit_node_remember(&scheduler->institutions[consent->institution].node, at);
    }
    if (sent.ms > instant_get(&consent->last_attempt).ms)
        instant_set(&consent->last_attempt, sent);
    if (!is_charged)
        return;
    /* Written down by a clock that was ahead: it blocks for no longer than one sent just now. */
    consent_charge(scheduler, number, utc_sooner(sent, scheduler->now.utc));
    consent_settle_charge(scheduler, number, outcome);
}

void scheduler_recover_calls(struct scheduler *scheduler, uint32_t provider, struct utc_time at,
                             uint32_t count)
{
    struct mono_time mono = past_mono(scheduler, utc_add_ms(at, RECOVERED_CALL_SLACK_MS));

    if (provider >= scheduler->provider_places_count)
        return;
    for (uint32_t i = 0; i < count; i++)
        limit_node_remember(&scheduler->providers[scheduler->provider_places[provider]].node, mono);
}

void scheduler_recover_recheck(struct scheduler *scheduler, uint32_t provider, uint32_t consent,
                               struct utc_time at)
{
    if (provider < scheduler->provider_places_count && is_known(scheduler, consent))
        recheck_recover(&scheduler->providers[scheduler->provider_places[provider]], consent,
                        past_mono(scheduler, utc_add_ms(at, 1)));
}

void scheduler_recover_activity(struct scheduler *scheduler, struct utc_time last)
{
    if (last.ms != UTC_NONE.ms && utc_add_ms(last, LONG_SPAN_MS).ms > scheduler->now.utc.ms)
        scheduler->was_active = true;
}

void scheduler_recover_pause(struct scheduler *scheduler, enum scope_kind scope, uint32_t index,
                             struct utc_time until)
{
    pause_set(scheduler, scope, index, until);
}

void scheduler_recover_maintenance(struct scheduler *scheduler, uint32_t institution,
                                   const struct utc_span *spans, uint32_t count)
{
    maintenance_take(scheduler, institution, spans, count);
}

void scheduler_recover_schedule(struct scheduler *scheduler, uint32_t index, uint64_t revision,
                                struct utc_time accounted, int64_t local_ms, int fold)
{
    struct schedule *schedule;

    if (index >= scheduler->schedule_places_count || accounted.ms == UTC_NONE.ms)
        return;
    schedule = &scheduler->schedules[scheduler->schedule_places[index]];
    if (schedule->settings.revision != revision)
        return; /* edited: starts from now, editing never fires */
    firing_start(schedule, accounted);
    schedule->accounted_local_ms = local_ms;
    schedule->accounted_fold = fold;
    schedule->is_new = false;
}

enum result scheduler_recover_run(struct scheduler *scheduler, const struct recovered_run *from,
                                  struct fault *fault)
{
    uint32_t place;
    uint32_t first;
    struct run *run;

    if (from->schedule >= scheduler->schedule_places_count)
        return fault_set(fault, FAULT_INTERNAL, "open run %u names an unknown schedule", from->run);
    if (!run_find_room(scheduler, from->due, &place, &first) &&
        (scheduler_reserve(scheduler, scheduler->consent_max, fault) != RESULT_OK ||
         !run_find_room(scheduler, from->due, &place, &first)))
        return fault_set(fault, FAULT_TEMPORARY, "out of memory for the slots of open run %u",
                         from->run);
    run = &scheduler->runs[place];
    *run = (struct run){
        .in_use = true,
        .is_opened = true,
        .number = from->run,
        .schedule = scheduler->schedule_places[from->schedule],
        .trigger = from->trigger,
        .slot = from->slot,
        .local_ms = from->local_ms,
        .fold = from->fold,
        .base = from->slot,
        .deadline = from->deadline,
        .started = from->slot,
        .spread_ms = from->spread_ms,
        .due = from->due,
        .first = first,
        .room = from->due,
        .paused = {NONE_INDEX, NONE_INDEX},
    };
    if (from->started.ms > 0) {
        run->started = from->started;
        if (from->trigger == TRIGGER_CATCH_UP)
            run->base = from->started;
    }
    deadline_pace_begin(scheduler, run);
    scheduler->run_count++;
    return RESULT_OK;
}

static struct run *run_by_number(const struct scheduler *scheduler, uint32_t number)
{
    for (uint32_t i = 0; i < scheduler->run_capacity; i++)
        if (scheduler->runs[i].in_use && scheduler->runs[i].number == number)
            return &scheduler->runs[i];
    return NULL;
}

void scheduler_recover_slot(struct scheduler *scheduler, uint32_t number, uint32_t consent,
                            enum outcome outcome)
{
    struct run *run = run_by_number(scheduler, number);

    if (run == NULL || !is_known(scheduler, consent))
        return;
    if (outcome != OUTCOME_NONE)
        run->counts[outcome]++;
    else if (run->count < run->room)
        run_append(scheduler, run, consent);
}

/* A re-POST that was refused without counting goes out again when its gate opens. */
static bool is_repeat_refused(const struct recovered_job *from)
{
    return from->is_repeat && from->is_answered &&
           (from->last_class == CLASS_PUSHBACK || from->last_class == CLASS_CREDENTIALS);
}

/* Where an open job stands, by what was recorded of it. */
static enum job_state recovered_state(const struct recovered_job *from)
{
    bool has_time = from->next_attempt.ms != UTC_NONE.ms && from->next_attempt.ms != UTC_NEVER.ms;

    if (!from->is_answered) /* a webhook may have told what the answer did not */
        return from->reference_hash != 0 ? JOB_RUNNING : JOB_IN_DOUBT;
    if (is_repeat_refused(from))
        return JOB_IN_DOUBT;
    if (from->last_reason == REASON_IN_DOUBT)
        return from->reference_hash != 0 ? JOB_RUNNING : JOB_IN_DOUBT;
    if (has_time || from->reference_hash == 0)
        return JOB_RETRY_WAIT;
    switch (from->last_class) {
    case CLASS_ACCEPTED:
    case CLASS_RUNNING:
    case CLASS_TRANSPORT: /* a webhook had told what the answer did not */
    case CLASS_BAD_ANSWER:
    case CLASS_NONE: return JOB_RUNNING;
    default: return JOB_RETRY_WAIT;
    }
}

/* The last attempt counts as a failure unless it was refused without counting. */
static void recover_verdict(struct job *job, const struct recovered_job *from)
{
    switch (from->last_class) {
    case CLASS_PUSHBACK: job->wait_reason = REASON_PUSHBACK; return;
    case CLASS_COOLDOWN: job->wait_reason = REASON_COOLDOWN; return;
    case CLASS_CREDENTIALS: job->wait_reason = REASON_AUTH; return;
    default: job->wait_reason = REASON_RETRY_WAIT; break;
    }
    if (from->attempts_counted == 0)
        return;
    if (from->last_class == CLASS_RECONNECT_REQUIRED) { /* its look-up was lost */
        job->verdict = OUTCOME_RECONNECT_REQUIRED;
        return;
    }
    job->verdict = OUTCOME_FAILED;
    job->verdict_reason = from->last_reason != REASON_NONE ? from->last_reason : REASON_JOB_FAILED;
    job->was_accepted = from->last_class == CLASS_ACCEPTED;
}

static void recover_waits(struct scheduler *scheduler, uint32_t index,
                          const struct recovered_job *from)
{
    struct job *job = &scheduler->jobs[index];
    const struct provider_settings *settings = &job_provider(scheduler, job)->settings;
    /* A wall clock that was put back meanwhile shows a time before the sending: waits begin now. */
    struct utc_time sent = utc_sooner(from->last_sent, scheduler->now.utc);
    struct utc_time give_up = utc_add_ms(sent, settings->completion.give_up_after_ms);

    switch (job->state) {
    case JOB_RUNNING:
        job->was_accepted = true;
        job->is_ours =
            from->is_repeat || !from->is_answered || from->last_reason == REASON_IN_DOUBT;
        job->is_attached = from->is_attached;
        job->reference = from->reference_hash;
        consent_set_reference(&scheduler->consents[job->consent], from->reference_hash);
        job->poll_delay_ms = settings->completion.poll_first_ms;
        job->give_up_at = core_mono_of(scheduler, give_up);
        /* It may have been polled a moment before the start. */
        job->last_poll_at = scheduler->now.mono;
        heap_set(&scheduler->jobs_mono, index,
                 core_mono_in_ms(scheduler, settings->completion.poll_floor_ms).us);
        break;
    case JOB_IN_DOUBT:
        /* Of a re-POST only the job's start is known: early enough for the dedupe window. */
        job->doubt_sent = from->is_repeat ? from->opened : from->last_sent;
        job->give_up_at = core_mono_of(scheduler, give_up);
        if (settings->in_doubt == IN_DOUBT_REINITIATE &&
            (!from->is_repeat || is_repeat_refused(from)))
            job->wants_repeat = true;
        else if (settings->in_doubt == IN_DOUBT_REINITIATE || !settings->completion.webhook)
            job->give_up_at = scheduler->now.mono; /* nothing can tell us any more */
        job->wait_reason = REASON_IN_DOUBT;
        heap_set(&scheduler->jobs_mono, index,
                 job->wants_repeat ? scheduler->now.mono.us : job->give_up_at.us);
        break;
    default:
        recover_verdict(job, from);
        if (from->next_attempt.ms != UTC_NONE.ms && from->next_attempt.ms != UTC_NEVER.ms)
            job->not_before = utc_add_ms(from->next_attempt, sent.ms - from->last_sent.ms);
        heap_set(&scheduler->jobs_utc, index, scheduler->now.utc.ms);
        break;
    }
}

enum result scheduler_recover_job(struct scheduler *scheduler, const struct recovered_job *from,
                                  uint32_t *job_slot, struct fault *fault)
{
    const struct run *run = run_by_number(scheduler, from->run);
    struct job *job;
    uint32_t index;

    if (!is_known(scheduler, from->consent))
        return fault_set(fault, FAULT_DATA, "open job %llu names consent %u, which does not exist",
                         (unsigned long long)from->job, from->consent);
    if (scheduler->consents[from->consent].job != NONE_INDEX)
        return fault_set(fault, FAULT_DATA, "consent %u has two open jobs, the second is %llu",
                         from->consent, (unsigned long long)from->job);
    if (scheduler->job_free == NONE_INDEX &&
        room_jobs(scheduler, scheduler->job_capacity + 1, fault) != RESULT_OK)
        return RESULT_FAULT;
    index = job_create(scheduler, from->consent, NONE_INDEX, from->trigger, recovered_state(from));
    job = &scheduler->jobs[index];
    job->number = from->job;
    job->due = from->due;
    job->opened = from->opened;
    job->attempts = from->attempts;
    job->attempts_counted = from->attempts_counted;
    job->last_sent = from->last_sent;
    job->granted = past_mono(scheduler, from->last_sent);
    job->owes_fate = job->state == JOB_RUNNING || job->state == JOB_IN_DOUBT;
    job->is_paced = job->owes_fate;
    job->is_repeat = from->is_repeat;
    job->is_charged =
        (job->state == JOB_RUNNING && !from->is_attached) || job->state == JOB_IN_DOUBT;
    job_provider(scheduler, job)->was_busy = true;
    /* Attempts were recovered before: is the newest charge one of this job's? */
    job->charges = instant_get(&scheduler->consents[from->consent].charged).ms >= from->opened.ms;
    job->level = QUEUE_LEVEL_MANUAL;
    job->deadline = utc_add_ms(utc_sooner(from->opened, scheduler->now.utc), MANUAL_PATIENCE_MS);
    if (!from->is_answered) {
        /* It may have left at any moment until we stopped. */
        struct mono_time recorded = past_mono(scheduler, utc_add_ms(from->last_sent, 1));

        limit_node_postpone(&job_provider(scheduler, job)->node, recorded, scheduler->now.mono);
        limit_node_postpone(&scheduler->institutions[job->institution].node, recorded,
                            scheduler->now.mono);
    }
    if (run != NULL)
        job->slot = (uint32_t)(run - scheduler->runs); /* its slot is found in recover_done */
    recover_waits(scheduler, index, from);
    *job_slot = index;
    return RESULT_OK;
}

/* A consent that is gone was told of only with its open job, after its slots: their places are
 * known now. */
static void place_slots(struct scheduler *scheduler, struct run *run)
{
    uint32_t phase = (uint32_t)(scheduler->schedules[run->schedule].name_hash >> 32);

    for (uint32_t i = run->first; i < run->first + run->count; i++)
        scheduler->slots[i].phase =
            scheduler->consents[scheduler->slots[i].consent].hash_high + phase;
    run_sort(scheduler, run);
    deadline_pace_recount(scheduler, run);
}

/* Jobs find their slots when these are sorted; until then they keep the run's place. */
static void join_slots(struct scheduler *scheduler)
{
    for (uint32_t i = 0; i < scheduler->job_capacity; i++) {
        struct job *job = &scheduler->jobs[i];
        uint32_t slot;

        if (!job->in_use || job->slot == NONE_INDEX)
            continue;
        slot = run_find_slot(scheduler, &scheduler->runs[job->slot], job->consent);
        job->slot = slot;
        if (slot == NONE_INDEX)
            continue; /* followed to its end like a manual job */
        run_slot_to_job(scheduler, slot);
        job->level = (uint8_t)run_slot_level(scheduler, slot);
        job->deadline = UTC_NEVER;
    }
}

/* Polls are recorded only for windows of a minute or more. Shorter ones count as full up to now
 * where there was work a moment ago: that costs one span, and the promise holds over a restart. */
static void fill_short_windows(struct scheduler *scheduler, struct limit_node *node)
{
    for (uint32_t i = 0; i < node->window_count; i++) {
        struct rate_window *window = &node->windows[i];

        if (window->span_us < LONG_SPAN_MS * US_PER_MS)
            for (uint32_t j = 0; j < window->count; j++)
                rate_window_remember(window, scheduler->now.mono);
    }
}

void scheduler_recover_done(struct scheduler *scheduler, struct time_now now, uint32_t next_run,
                            uint64_t next_job)
{
    scheduler->now = now;
    scheduler->next_run = next_run > 0 ? next_run : 1;
    scheduler->next_job = next_job > 0 ? next_job : 1;
    for (uint32_t i = 0; i < scheduler->run_capacity; i++)
        if (scheduler->runs[i].in_use)
            place_slots(scheduler, &scheduler->runs[i]);
    for (uint32_t i = 0; i < scheduler->provider_count; i++)
        if (scheduler->was_active || scheduler->providers[i].was_busy)
            fill_short_windows(scheduler, &scheduler->providers[i].node);
    for (uint32_t i = 0; i < scheduler->institution_count; i++)
        if (scheduler->was_active ||
            scheduler->providers[scheduler->institutions[i].provider].was_busy)
            fill_short_windows(scheduler, &scheduler->institutions[i].node);
    join_slots(scheduler);
    scheduler->awake_since = now.utc;
    scheduler->is_recovering = false;
}
