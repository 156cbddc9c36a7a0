/* SPDX-License-Identifier: MIT
 * job.c - see job.h. */
#include "scheduler/job.h"

#include "scheduler/answer.h"
#include "scheduler/consent.h"
#include "scheduler/deadline_pace.h"
#include "scheduler/feedback.h"
#include "scheduler/job_state.h"
#include "scheduler/limit_node.h"
#include "scheduler/provider_gate.h"
#include "scheduler/retry_delay.h"
#include "scheduler/retry_gate.h"
#include "scheduler/run.h"
#include "scheduler/share.h"
#include "scheduler/work.h"

/* Manual jobs of consents without a schedule. */
static const struct retry_settings retry_default = {3, MS_PER_MINUTE, MS_PER_HOUR};

uint32_t job_create(struct scheduler *scheduler, uint32_t consent, uint32_t slot,
                    enum trigger trigger, enum job_state state)
{
    uint32_t index = scheduler->job_free;
    struct job *job;

    if (index == NONE_INDEX) {
        scheduler->needs_reserve = true;
        return NONE_INDEX;
    }
    job = &scheduler->jobs[index];
    scheduler->job_free = job->next;
    *job = (struct job){
        .state = state,
        .in_use = true,
        .trigger = trigger,
        .consent = consent,
        .institution = scheduler->consents[consent].institution,
        .slot = slot,
        .next = NONE_INDEX,
        .prev = NONE_INDEX,
        .due = scheduler->now.utc,
        .deadline = UTC_NEVER,
        .opened = UTC_NONE,
        .last_sent = UTC_NONE,
        .doubt_sent = UTC_NONE,
        .not_before = UTC_NONE,
        .give_up_at = MONO_NEVER,
        .granted = {INT64_MIN},
        .last_poll_at = {INT64_MIN},
        .has_new_data = TRI_UNKNOWN,
    };
    job->pass.answers_accepted = job_provider(scheduler, job)->answers_accepted;
    scheduler->jobs_live++;
    if (scheduler->jobs_live + scheduler->jobs_live / 4 > scheduler->job_capacity)
        scheduler->needs_reserve = true;
    scheduler->institutions[job->institution].jobs++;
    job_provider(scheduler, job)->jobs++;
    if (job_state_is_running(state))
        share_job_begins(scheduler, index);
    REQUIRE(scheduler->consents[consent].job == NONE_INDEX);
    scheduler->consents[consent].job = index;
    if (slot != NONE_INDEX)
        run_slot_to_job(scheduler, slot);
    return index;
}

void job_set_state(struct scheduler *scheduler, uint32_t index, enum job_state state)
{
    struct job *job = &scheduler->jobs[index];
    bool was_running = job_state_is_running(job->state);
    bool is_running = job_state_is_running(state);

    REQUIRE(job_state_may_move(job->state, state));
    job->state = state;
    if (is_running && !was_running) {
        share_job_begins(scheduler, index);
    } else if (was_running && !is_running) {
        share_job_ends(scheduler, index);
        work_unblock(scheduler, job->institution);
    }
}

struct run *job_run(const struct scheduler *scheduler, const struct job *job)
{
    return job->slot == NONE_INDEX ? NULL : &scheduler->runs[scheduler->slots[job->slot].run];
}

struct provider *job_provider(const struct scheduler *scheduler, const struct job *job)
{
    return &scheduler->providers[scheduler->institutions[job->institution].provider];
}

struct limit_node *job_pushback_node(struct scheduler *scheduler, const struct job *job)
{
    struct institution *institution = &scheduler->institutions[job->institution];

    return institution->is_default ? &job_provider(scheduler, job)->node : &institution->node;
}

struct utc_time job_pushed_back_until(struct scheduler *scheduler, const struct job *job)
{
    struct limit_node *node = job_pushback_node(scheduler, job);
    int64_t left_us;

    if (node->pushback_until.us <= scheduler->now.mono.us)
        return scheduler->now.utc;
    left_us = node->pushback_until.us - scheduler->now.mono.us;
    return utc_add_ms(scheduler->now.utc, left_us / US_PER_MS);
}

struct utc_time job_deadline(const struct scheduler *scheduler, const struct job *job)
{
    const struct run *run = job_run(scheduler, job);

    return run != NULL ? run->deadline : job->deadline;
}

const struct retry_settings *job_retry_settings(const struct scheduler *scheduler,
                                                const struct job *job)
{
    const struct run *run = job_run(scheduler, job);
    uint16_t set = scheduler->consents[job->consent].schedule_set;

    if (run != NULL)
        return &scheduler->schedules[run->schedule].settings.retry;
    if (set != UINT16_MAX && scheduler->sets[set].count > 0)
        return &scheduler->schedules[scheduler->sets[set].schedules[0]].settings.retry;
    return &retry_default;
}

/* The request goes out: permits, credentials, effect. */
static void request_begin(struct scheduler *scheduler, uint32_t index, enum request_kind request)
{
    struct job *job = &scheduler->jobs[index];
    struct provider *provider = job_provider(scheduler, job);
    struct effect *effect;

    job->request = request;
    deadline_pace_request(provider, request);
    job->is_outstanding = true;
    job->is_sent = false;
    limit_node_grant(&provider->node);
    if (request == REQUEST_INITIATE) {
        share_request_begins(scheduler, job->institution);
        limit_node_grant(&scheduler->institutions[job->institution].node);
        feedback_granted(scheduler, index);
    }
    scheduler->requests_outstanding++;
    provider_gate_sending(provider, &job->pass);
    heap_remove(&scheduler->jobs_mono, index);
    heap_remove(&scheduler->jobs_utc, index);
    effect = core_effect(scheduler);
    effect->request = request;
    effect->provider = provider->settings_index;
    effect->job_slot = index;
    effect->job = job->number;
    effect->consent = job->consent;
    effect->attempt = job->attempts;
}

static void job_record_open(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    const struct run *run = job_run(scheduler, job);
    struct record *record = core_record(scheduler, RECORD_JOB_OPEN, NULL);

    job->number = scheduler->next_job++;
    job->opened = scheduler->now.utc;
    record->as.job_open.job = job->number;
    record->as.job_open.job_slot = index;
    record->as.job_open.consent = job->consent;
    record->as.job_open.run = run != NULL ? run->number : 0;
    record->as.job_open.trigger = job->trigger;
    record->as.job_open.due = job->due;
}

void job_initiate(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    struct record *record;

    if (job->number == 0)
        job_record_open(scheduler, index);
    job->is_repeat = job->wants_repeat;
    job->wants_repeat = false;
    if (job->attempts < UINT16_MAX)
        job->attempts++;
    record = core_record(scheduler, RECORD_ATTEMPT, NULL);
    record->as.attempt.job = job->number;
    record->as.attempt.job_slot = index;
    record->as.attempt.consent = job->consent;
    record->as.attempt.attempt = job->attempts;
    record->as.attempt.is_repeat = job->is_repeat;
    if (!job->is_repeat) {
        consent_charge(scheduler, job->consent, scheduler->now.utc);
        job->is_charged = true;
        job->charges++;
        job->was_accepted = false;
        job->is_attached = false;
        job->is_ours = false;
        job->hinted_reference = 0;
        job->failure = REASON_NONE;
        retry_gate_initiated(scheduler, index);
    }
    job->last_sent = scheduler->now.utc;
    instant_set(&scheduler->consents[job->consent].last_attempt, scheduler->now.utc);
    job_set_state(scheduler, index, JOB_INITIATING);
    request_begin(scheduler, index, REQUEST_INITIATE);
}

void job_call(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];

    provider_gate_count_call(scheduler, job_provider(scheduler, job));
    job->last_poll_at = scheduler->now.mono;
    if (job->request == REQUEST_POLL)
        job_set_state(scheduler, index, JOB_POLLING);
    request_begin(scheduler, index, job->request);
}

void job_request_sent(struct scheduler *scheduler, uint32_t index, struct mono_time at,
                      struct utc_time at_utc)
{
    struct job *job = &scheduler->jobs[index];

    if (!job->is_outstanding || job->is_sent)
        return;
    job->is_sent = true;
    limit_node_sent(&job_provider(scheduler, job)->node, at);
    if (job->request != REQUEST_INITIATE)
        return;
    limit_node_sent(&scheduler->institutions[job->institution].node, at);
    job->last_sent = at_utc;
    instant_set(&scheduler->consents[job->consent].last_attempt, at_utc);
    if (job->is_charged && !job->is_repeat)
        consent_postpone_charge(scheduler, job->consent, at_utc);
    work_unblock(scheduler, job->institution);
}

void job_request_ended(struct scheduler *scheduler, uint32_t index, bool reached_socket)
{
    struct job *job = &scheduler->jobs[index];
    struct limit_node *node = &scheduler->institutions[job->institution].node;
    struct provider *provider = job_provider(scheduler, job);

    if (!job->is_sent && reached_socket)
        job_request_sent(scheduler, index, scheduler->now.mono, scheduler->now.utc);
    if (!job->is_sent) {
        limit_node_return(&provider->node);
        if (job->request == REQUEST_INITIATE) {
            limit_node_return(node);
            feedback_returned(scheduler, index);
        }
    }
    limit_node_answered(&provider->node);
    if (job->request == REQUEST_INITIATE)
        limit_node_answered(node);
    job->is_outstanding = false;
    scheduler->requests_outstanding--;
    work_unblock(scheduler, job->institution);
}

void job_queue_call(struct scheduler *scheduler, uint32_t index, enum request_kind request)
{
    struct job *job = &scheduler->jobs[index];
    struct provider *provider = job_provider(scheduler, job);

    if (job->is_queued)
        return;
    job->request = request;
    job->is_queued = true;
    work_queue_push(scheduler, &provider->calls, index | WORK_JOB_BIT);
    provider->calls_waiting++;
    heap_set(&scheduler->jobs_mono, index, job->give_up_at.us);
}

/* It was followed for long enough. Our own limits may have held its polls back meanwhile: a last
 * one is waited for, as long as there is somebody who can be asked. */
static bool job_awaits_last_poll(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    const struct provider *provider = job_provider(scheduler, job);
    const struct completion_settings *completion = &provider->settings.completion;
    struct mono_time floor = mono_add_us(job->last_poll_at, completion->poll_floor_ms * US_PER_MS);

    if (job->state != JOB_RUNNING || provider->is_stopped || !provider->is_configured ||
        (job->is_last_poll && !job->is_queued))
        return false;
    if (!job->is_queued && job->last_poll_at.us != INT64_MIN && floor.us > scheduler->now.mono.us) {
        heap_set(&scheduler->jobs_mono, index, floor.us);
        return true;
    }
    job->is_last_poll = true;
    job_queue_call(scheduler, index, REQUEST_POLL);
    heap_set(&scheduler->jobs_mono, index,
             core_mono_in_ms(scheduler, completion->give_up_after_ms).us);
    return true;
}

/* What is sent again goes first: it may be running at the provider, and its place is taken. */
static uint32_t job_level(const struct job *job)
{
    return job->wants_repeat ? QUEUE_LEVEL_REPEAT : job->level;
}

static bool job_waits_for_call(const struct job *job)
{
    return job->state == JOB_RUNNING || job->state == JOB_LOOKING_UP;
}

void job_unqueue(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    struct provider *provider = job_provider(scheduler, job);

    if (!job->is_queued)
        return;
    job->is_queued = false;
    if (job->waits_for_budget) {
        retry_gate_leave(scheduler, index);
    } else if (job_waits_for_call(job)) {
        work_queue_unlink(scheduler, &provider->calls, index | WORK_JOB_BIT);
        provider->calls_waiting--;
    } else {
        work_unlink(scheduler, job->institution, job_level(job), index | WORK_JOB_BIT);
    }
}

/* Later attempts wait for their own time, their consent's clocks, pauses and the open hours of
 * their schedule. */
static struct obstacle job_obstacle(const struct scheduler *scheduler, const struct job *job)
{
    struct utc_time now = scheduler->now.utc;
    const struct run *run = job_run(scheduler, job);
    struct utc_time paused = consent_paused_until(scheduler, job->consent, now);
    struct obstacle obstacle = {REASON_NONE, now, {INT64_MIN}};

    if (paused.ms > now.ms)
        return (struct obstacle){REASON_PAUSED, paused, MONO_NEVER};
    if (run != NULL)
        obstacle = run_schedule_obstacle(scheduler, run->schedule);
    if (obstacle.reason != REASON_NONE)
        return obstacle;
    obstacle.utc = now;
    if (!job->wants_repeat)
        obstacle = consent_obstacle(scheduler, job->consent, now, job->is_forced);
    if (job->not_before.ms > obstacle.utc.ms)
        obstacle = (struct obstacle){REASON_RETRY_WAIT, job->not_before, MONO_NEVER};
    return obstacle;
}

/* A reload or a person may end it sooner than it says. */
static bool is_for_closed(enum reason reason)
{
    return reason == REASON_PAUSED || reason == REASON_BLACKOUT || reason == REASON_WINDOW;
}

bool job_judge(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    struct utc_time now = scheduler->now.utc;
    struct utc_time deadline = job_deadline(scheduler, job);
    enum reason refusal = consent_refusal(scheduler, job->consent, now);
    struct obstacle obstacle;

    if (job->wants_repeat && job_provider(scheduler, job)->settings.dedupe_window_ms > 0 &&
        now.ms >=
            utc_add_ms(job->doubt_sent, job_provider(scheduler, job)->settings.dedupe_window_ms)
                .ms) {
        /* Sent again now it would be a second job, not the same one. */
        job_close_in_doubt(scheduler, index, NULL);
        return false;
    }
    if (refusal != REASON_NONE) {
        job_close_waiting(scheduler, index, refusal, NULL);
        return false;
    }
    /* Of a look-up that a restart cut off only the attempt is known; a reload may allow fewer. */
    if (!job->wants_repeat && job->verdict != OUTCOME_NONE &&
        job->attempts_counted >= job_retry_settings(scheduler, job)->attempts_max) {
        job_close_waiting(scheduler, index, job->wait_reason, NULL);
        return false;
    }
    if (now.ms >= deadline.ms) {
        job_close_waiting(scheduler, index,
                          job->wait_reason != REASON_NONE ? job->wait_reason : REASON_DEADLINE,
                          NULL);
        return false;
    }
    obstacle = job_obstacle(scheduler, job);
    if (obstacle.reason == REASON_NONE)
        return true;
    if (!is_for_closed(obstacle.reason) && obstacle.utc.ms >= deadline.ms) {
        job_close_waiting(scheduler, index, obstacle.reason, NULL);
        return false;
    }
    job->wait_reason = obstacle.reason;
    heap_set(&scheduler->jobs_utc, index, utc_sooner(obstacle.utc, deadline).ms);
    return false;
}

void job_consider(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];

    if (job->is_queued || !job_judge(scheduler, index) || !retry_gate_pass(scheduler, index))
        return;
    job->is_queued = true;
    work_push(scheduler, job->institution, job_level(job), index | WORK_JOB_BIT);
    heap_set(&scheduler->jobs_utc, index, job_deadline(scheduler, job).ms);
}

void job_reconsider_closed(struct scheduler *scheduler, uint32_t consent)
{
    for (uint32_t i = 0; i < scheduler->job_capacity; i++) {
        const struct job *job = &scheduler->jobs[i];
        bool is_waiting = job->state == JOB_NEW || job->state == JOB_RETRY_WAIT ||
                          (job->state == JOB_IN_DOUBT && job->wants_repeat);

        if (!job->in_use || !is_waiting || job->is_queued || !is_for_closed(job->wait_reason) ||
            heap_contains(&scheduler->jobs_mono, i) ||
            (consent != NONE_INDEX && job->consent != consent))
            continue;
        heap_set(&scheduler->jobs_utc, i, scheduler->now.utc.ms); /* judged later in this step */
    }
}

void job_give_up(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];

    if (job->state == JOB_LOOKING_UP) {
        job_unqueue(scheduler, index);
        answer_looked_up(scheduler, index, LOOK_UP_NONE, NULL);
    } else if (job->state == JOB_IN_DOUBT) {
        job_close_in_doubt(scheduler, index, NULL);
    } else if (job->trouble == REASON_NONE && job_provider(scheduler, job)->is_stopped) {
        job_close(scheduler, index, OUTCOME_UNKNOWN, REASON_AUTH, NULL); /* nobody could ask */
    } else {
        if (job->trouble == REASON_NONE) /* it ran and ran: the bank hangs */
            feedback_ended(scheduler, index, REASON_LOST);
        job_close(scheduler, index, OUTCOME_UNKNOWN,
                  job->trouble != REASON_NONE ? job->trouble : REASON_LOST, NULL);
    }
}

void job_on_time(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    bool is_over = scheduler->now.mono.us >= job->give_up_at.us;

    switch (job->state) {
    case JOB_NEW:
    case JOB_RETRY_WAIT:
        if (job->is_queued && scheduler->now.utc.ms >= job_deadline(scheduler, job).ms)
            job_unqueue(scheduler, index);
        job_consider(scheduler, index);
        break;
    case JOB_IN_DOUBT:
        if (!job->wants_repeat) {
            if (is_over)
                job_give_up(scheduler, index);
            break;
        }
        if (job->is_queued && scheduler->now.utc.ms >= job_deadline(scheduler, job).ms)
            job_unqueue(scheduler, index);
        job_consider(scheduler, index);
        break;
    case JOB_RUNNING:
    case JOB_LOOKING_UP:
        if (is_over && job_awaits_last_poll(scheduler, index))
            break;
        if (is_over)
            job_give_up(scheduler, index);
        else
            job_queue_call(scheduler, index,
                           job->state == JOB_RUNNING ? REQUEST_POLL : REQUEST_LOOK_UP);
        break;
    case JOB_INITIATING:
    case JOB_POLLING:
    case JOB_CLOSED:
    case JOB_STATE_COUNT: REQUIRE(false); /* no timer runs in these states */
    }
}

void job_record_state(struct scheduler *scheduler, uint32_t index, struct utc_time next,
                      enum reason reason, const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    struct record *record = core_record(scheduler, RECORD_JOB_STATE, evidence);

    record->as.job_state.job = job->number;
    record->as.job_state.job_slot = index;
    record->as.job_state.state = job->state;
    record->as.job_state.next_attempt = next;
    record->as.job_state.reason = reason;
}

void job_retry(struct scheduler *scheduler, uint32_t index, const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    const struct retry_settings *retry = job_retry_settings(scheduler, job);
    const struct provider *provider = job_provider(scheduler, job);
    struct utc_time deadline = job_deadline(scheduler, job);
    struct obstacle obstacle;
    struct utc_time earliest;
    int64_t delay_ms;

    if (job->attempts_counted >= retry->attempts_max) {
        job_close(scheduler, index, job->verdict, job->verdict_reason, evidence);
        return;
    }
    delay_ms = retry_delay_ms(&scheduler->random, retry->backoff_first_ms, retry->backoff_max_ms,
                              job->attempts_counted > 0 ? job->attempts_counted - 1u : 0);
    if (job->was_accepted && provider->settings.dedupe_window_ms > 0)
        job->not_before = utc_add_ms(scheduler->now.utc, provider->settings.dedupe_window_ms);
    if (job->was_accepted && job->is_charged)
        consent_settle_charge(scheduler, job->consent, OUTCOME_FAILED);
    obstacle = consent_obstacle(scheduler, job->consent, scheduler->now.utc, job->is_forced);
    earliest = utc_later(utc_add_ms(scheduler->now.utc, delay_ms), obstacle.utc);
    earliest = utc_later(earliest, job->not_before);
    earliest = utc_later(earliest, job_pushed_back_until(scheduler, job));
    if (earliest.ms >= deadline.ms) {
        job_close(scheduler, index, job->verdict, job->verdict_reason, evidence);
        return;
    }
    job->wait_reason = REASON_RETRY_WAIT;
    job->give_up_at = MONO_NEVER;
    job_set_state(scheduler, index, JOB_RETRY_WAIT);
    job_record_state(scheduler, index, earliest, REASON_RETRY_WAIT, evidence);
    heap_set(&scheduler->jobs_mono, index, core_mono_in_ms(scheduler, delay_ms).us);
}

void job_replay(struct scheduler *scheduler, uint32_t index, enum reason reason)
{
    struct job *job = &scheduler->jobs[index];

    job->wait_reason = reason;
    job->wants_repeat = job->is_repeat;
    job_set_state(scheduler, index, job->is_repeat ? JOB_IN_DOUBT : JOB_RETRY_WAIT);
    job_record_state(scheduler, index, UTC_NEVER, reason, NULL);
    job_consider(scheduler, index);
}

static void job_free(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];

    scheduler->consents[job->consent].job = NONE_INDEX;
    scheduler->institutions[job->institution].jobs--;
    job_provider(scheduler, job)->jobs--;
    scheduler->jobs_live--;
    job->in_use = false;
    job->next = scheduler->job_freed;
    scheduler->job_freed = index;
}

void job_close(struct scheduler *scheduler, uint32_t index, enum outcome outcome,
               enum reason reason, const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    const struct run *run = job_run(scheduler, job);
    uint32_t consent = job->consent;

    REQUIRE(!job->is_outstanding && outcome != OUTCOME_NONE);
    feedback_unknown(scheduler, index);
    retry_gate_ended(scheduler, index);
    if (job->number == 0) { /* a manual trigger that never got its turn */
        run_record_skip(scheduler, 0, job->consent, job->due, reason, 1);
    } else {
        struct record *record = core_record(scheduler, RECORD_JOB_CLOSE, evidence);

        record->as.job_close.job = job->number;
        record->as.job_close.job_slot = index;
        record->as.job_close.consent = job->consent;
        record->as.job_close.run = run != NULL ? run->number : 0;
        record->as.job_close.outcome = outcome;
        record->as.job_close.reason = reason;
        record->as.job_close.has_new_data = job->has_new_data;
        consent_fold(&scheduler->consents[job->consent], outcome, scheduler->now.utc);
    }
    if (job->charges > 0)
        consent_settle_charge(scheduler, job->consent, outcome);
    job_unqueue(scheduler, index);
    heap_remove(&scheduler->jobs_mono, index);
    heap_remove(&scheduler->jobs_utc, index);
    job_set_state(scheduler, index, JOB_CLOSED);
    job_free(scheduler, index);
    if (job->slot != NONE_INDEX)
        run_slot_done(scheduler, job->slot, outcome);
    else /* forced, it may have shortened a cooldown that slots wait for */
        run_ask_parked(scheduler, consent);
}

void job_close_waiting(struct scheduler *scheduler, uint32_t index, enum reason reason,
                       const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];

    if (job->wants_repeat || job->state == JOB_IN_DOUBT)
        job_close_in_doubt(scheduler, index, evidence);
    else if (job->verdict != OUTCOME_NONE)
        job_close(scheduler, index, job->verdict, job->verdict_reason, evidence);
    else
        job_close(scheduler, index, OUTCOME_SKIPPED, reason, evidence);
}

void job_close_in_doubt(struct scheduler *scheduler, uint32_t index,
                        const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    struct consent *consent = &scheduler->consents[job->consent];
    struct utc_time clear = utc_add_ms(
        job->doubt_sent, job_provider(scheduler, job)->settings.completion.give_up_after_ms);

    if (clear.ms > scheduler->now.utc.ms && clear.ms > instant_get(&consent->not_before).ms) {
        consent_set_not_before(consent, clear, REASON_IN_DOUBT);
        job_record_state(scheduler, index, clear, REASON_IN_DOUBT, evidence);
    }
    job_close(scheduler, index, OUTCOME_UNKNOWN, REASON_IN_DOUBT, evidence);
}
