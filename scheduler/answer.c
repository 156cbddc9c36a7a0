/* SPDX-License-Identifier: MIT
 * answer.c - see answer.h. */
#include "scheduler/answer.h"

#include "scheduler/consent.h"
#include "scheduler/feedback.h"
#include "scheduler/job.h"
#include "scheduler/provider_gate.h"
#include "scheduler/recheck.h"
#include "scheduler/retry_delay.h"
#include "scheduler/share.h"
#include "scheduler/work.h"

/* ---- what both kinds of answers need ---- */

void answer_push_consent(struct scheduler *scheduler, uint32_t index, const struct answer *answer,
                         enum reason reason)
{
    struct job *job = &scheduler->jobs[index];
    struct consent *consent = &scheduler->consents[job->consent];
    const struct provider_settings *settings = &job_provider(scheduler, job)->settings;
    struct utc_time until = answer->not_before;

    if (until.ms == UTC_NONE.ms && answer->retry_after_ms >= 0)
        until = utc_add_ms(scheduler->now.utc, answer->retry_after_ms);
    /* An instant that has passed already (clocks differ) would have us ask again at once, for ever:
     * it says no more than none. */
    if (until.ms <= scheduler->now.utc.ms)
        until = utc_add_ms(scheduler->now.utc,
                           retry_delay_doubling_ms(settings->cooldown_refused_first_ms,
                                                   settings->cooldown_refused_max_ms,
                                                   consent->refusals));
    if (consent->refusals < UINT8_MAX)
        consent->refusals++;
    until = utc_later(until, utc_add_ms(scheduler->now.utc, MS_PER_SECOND));
    consent_set_not_before(consent, until, reason);
    job_record_state(scheduler, index, until, reason, NULL); /* a restart has to know, too */
}

void answer_end_job(struct scheduler *scheduler, uint32_t index, enum outcome outcome,
                    const struct answer *answer, const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];

    job->has_new_data = answer->has_new_data;
    if (job->is_attached)
        feedback_about_consent(scheduler, index); /* nothing was done for us */
    else
        feedback_ended(scheduler, index, REASON_NONE);
    if (job->is_attached)
        outcome = OUTCOME_DEDUPLICATED;
    job_close(scheduler, index, outcome, REASON_NONE, evidence);
}

void answer_fail_and_retry(struct scheduler *scheduler, uint32_t index, enum reason reason,
                           const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];

    feedback_ended(scheduler, index, reason);
    job->verdict = OUTCOME_FAILED;
    job->verdict_reason = reason;
    job_retry(scheduler, index, evidence);
}

static void hold_consent(struct scheduler *scheduler, uint32_t index, bool is_suspended,
                         const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    struct record *record = core_record(scheduler, RECORD_HOLD, evidence);

    record->as.hold.consent = job->consent;
    record->as.hold.reason = REASON_HELD;
    record->as.hold.is_suspended = is_suspended;
    record->as.hold.source = HOLD_BY_JOB;
    record->as.hold.job = job->number;
    scheduler->consents[job->consent].flags |= CONSENT_IS_HELD;
    if (is_suspended)
        scheduler->consents[job->consent].flags |= CONSENT_IS_SUSPENDED;
    recheck_noted(scheduler, job->consent);
}

static void finish_reconnect(struct scheduler *scheduler, uint32_t index,
                             enum look_up_verdict verdict, const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];

    feedback_about_consent(scheduler, index);
    if (verdict == LOOK_UP_NOT_READY && !job->was_accepted) {
        job_close(scheduler, index, OUTCOME_SKIPPED, REASON_NOT_READY, evidence);
        return;
    }
    /* Active after all: this job needed the customer, the next one may not. */
    if (verdict != LOOK_UP_ACTIVE)
        hold_consent(scheduler, index, verdict == LOOK_UP_SUSPENDED, evidence);
    job_close(scheduler, index, OUTCOME_RECONNECT_REQUIRED, REASON_NONE, evidence);
}

static bool can_look_up(struct scheduler *scheduler, struct job *job, const struct answer *answer)
{
    return answer->wants_look_up && job_provider(scheduler, job)->settings.can_look_up;
}

static void look_up(struct scheduler *scheduler, uint32_t index, const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    int64_t give_up_ms = job_provider(scheduler, job)->settings.completion.give_up_after_ms;

    job_set_state(scheduler, index, JOB_LOOKING_UP);
    job->give_up_at = core_mono_in_ms(scheduler, give_up_ms);
    job_record_state(scheduler, index, UTC_NEVER, REASON_NONE, evidence);
    job_queue_call(scheduler, index, REQUEST_LOOK_UP);
}

void answer_reconnect(struct scheduler *scheduler, uint32_t index, const struct answer *answer,
                      const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];

    if (can_look_up(scheduler, job, answer))
        look_up(scheduler, index, evidence);
    else
        finish_reconnect(scheduler, index, LOOK_UP_NONE, evidence);
}

void answer_job_failed(struct scheduler *scheduler, uint32_t index, const struct answer *answer,
                       const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    enum reason reason = answer->reason != REASON_NONE ? answer->reason : REASON_JOB_FAILED;

    if (can_look_up(scheduler, job, answer)) {
        job->failure = (uint8_t)reason;
        look_up(scheduler, index, evidence);
    } else {
        answer_fail_and_retry(scheduler, index, reason, evidence);
    }
}

void answer_looked_up(struct scheduler *scheduler, uint32_t index, enum look_up_verdict verdict,
                      const struct evidence *evidence)
{
    enum reason failure = (enum reason)scheduler->jobs[index].failure;

    if (failure != REASON_NONE && verdict != LOOK_UP_RECONNECT && verdict != LOOK_UP_SUSPENDED)
        answer_fail_and_retry(scheduler, index, failure, evidence);
    else
        finish_reconnect(scheduler, index, verdict, evidence);
}

static int64_t clamp_poll_ms(const struct completion_settings *completion, int64_t ms)
{
    if (ms > completion->poll_max_ms)
        ms = completion->poll_max_ms;
    return ms > completion->poll_floor_ms ? ms : completion->poll_floor_ms;
}

void answer_follow(struct scheduler *scheduler, uint32_t index, int64_t poll_hint_ms)
{
    struct job *job = &scheduler->jobs[index];
    const struct completion_settings *completion =
        &job_provider(scheduler, job)->settings.completion;
    struct mono_time poll_at;

    if (job->state != JOB_RUNNING)
        job_set_state(scheduler, index, JOB_RUNNING);
    job->give_up_at = core_mono_in_ms(scheduler, completion->give_up_after_ms);
    job->is_last_poll = false;
    job->poll_delay_ms = clamp_poll_ms(completion, completion->poll_first_ms);
    poll_at =
        core_mono_in_ms(scheduler, job->poll_asked     ? completion->poll_floor_ms
                                   : poll_hint_ms >= 0 ? clamp_poll_ms(completion, poll_hint_ms)
                                                       : job->poll_delay_ms);
    job->poll_asked = false;
    heap_set(&scheduler->jobs_mono, index,
             poll_at.us < job->give_up_at.us ? poll_at.us : job->give_up_at.us);
}

/* ---- answers to initiations ---- */

/* The provider's job id is known: whose job is it? */
static void take_reference(struct scheduler *scheduler, uint32_t index, uint64_t reference,
                           const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    struct consent *consent = &scheduler->consents[job->consent];
    struct record *record = core_record(scheduler, RECORD_REFERENCE, evidence);

    record->as.reference.job = job->number;
    record->as.reference.job_slot = index;
    record->as.reference.consent = job->consent;
    record->as.reference.attempt = job->attempts;
    record->as.reference.reference_hash = reference;
    job->reference = reference;
    consent_set_reference(consent, reference);
}

static bool is_somebody_elses(const struct scheduler *scheduler, const struct job *job,
                              const struct answer *answer)
{
    if (job->is_ours)
        return false;
    if (consent_reference_is(&scheduler->consents[job->consent], answer->reference_hash))
        return true;
    if (job->is_repeat) /* what it finds was started by the first sending */
        return false;
    return answer->job_started.ms != UTC_NONE.ms &&
           answer->job_started.ms + JOB_STARTED_SLACK_MS < job->last_sent.ms;
}

static void record_answer(struct scheduler *scheduler, uint32_t index, const struct answer *answer,
                          enum reason reason, bool is_charged, const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    struct record *record = core_record(scheduler, RECORD_ANSWER, evidence);

    record->as.answer.job = job->number;
    record->as.answer.job_slot = index;
    record->as.answer.consent = job->consent;
    record->as.answer.attempt = job->attempts;
    record->as.answer.class_ = answer->class_;
    record->as.answer.reason = reason;
    record->as.answer.sent = job->last_sent;
    record->as.answer.is_charged = is_charged;
}

/* Nothing was accepted. A repeat says nothing about the charge of its first sending. */
static void refuse_charge(struct scheduler *scheduler, struct job *job)
{
    if (!job->is_charged || job->is_repeat)
        return;
    consent_uncharge(scheduler, job->consent);
    job->is_charged = false;
    job->charges--;
}

/* Sent, and nobody knows whether it arrived. */
static void enter_doubt(struct scheduler *scheduler, uint32_t index,
                        const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    const struct provider_settings *settings = &job_provider(scheduler, job)->settings;

    if (job->is_repeat) { /* one re-POST per attempt, and it was in doubt again */
        job_close_in_doubt(scheduler, index, evidence);
        return;
    }
    job->doubt_sent = job->last_sent;
    job->attempts_counted++;
    if (settings->in_doubt == IN_DOUBT_AWAIT && !settings->completion.webhook) {
        job_close_in_doubt(scheduler, index, evidence); /* nothing can arrive any more */
        return;
    }
    job_set_state(scheduler, index, JOB_IN_DOUBT);
    if (settings->in_doubt == IN_DOUBT_AWAIT) {
        job->give_up_at = core_mono_in_ms(scheduler, settings->completion.give_up_after_ms);
        heap_set(&scheduler->jobs_mono, index, job->give_up_at.us);
        job_record_state(scheduler, index, UTC_NEVER, REASON_IN_DOUBT, evidence);
    } else {
        const struct retry_settings *retry = job_retry_settings(scheduler, job);
        int64_t delay_ms =
            retry_delay_ms(&scheduler->random, retry->backoff_first_ms, retry->backoff_max_ms, 0);

        job->wants_repeat = true;
        job->wait_reason = REASON_IN_DOUBT;
        heap_set(&scheduler->jobs_mono, index, core_mono_in_ms(scheduler, delay_ms).us);
        job_record_state(scheduler, index, utc_add_ms(scheduler->now.utc, delay_ms),
                         REASON_IN_DOUBT, evidence);
    }
}

static void initiation_accepted(struct scheduler *scheduler, uint32_t index,
                                const struct answer *answer, const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    uint64_t reference =
        answer->reference_hash != 0 ? answer->reference_hash : job->hinted_reference;

    if (!job->is_repeat)
        job->attempts_counted++;
    job->is_attached = is_somebody_elses(scheduler, job, answer);
    job->is_ours = job->is_repeat;
    job->was_accepted = true;
    feedback_accepted(scheduler, index);
    scheduler->consents[job->consent].refusals = 0;
    if (job->is_attached)
        refuse_charge(scheduler, job);
    record_answer(scheduler, index, answer, REASON_NONE, job->is_charged && !job->is_repeat,
                  evidence);
    if (reference != 0)
        take_reference(scheduler, index, reference, evidence);
    if (answer->class_ == CLASS_SUCCESS)
        answer_end_job(scheduler, index, OUTCOME_REFRESHED, answer, evidence);
    else if (answer->class_ == CLASS_PARTIAL)
        answer_end_job(scheduler, index, OUTCOME_PARTIAL, answer, evidence);
    else
        answer_follow(scheduler, index, answer->poll_hint_ms);
}

/* Refused for now: no attempt is used up. */
static void initiation_refused_for_now(struct scheduler *scheduler, uint32_t index,
                                       const struct answer *answer, const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];

    if (answer->class_ == CLASS_COOLDOWN) {
        feedback_about_consent(scheduler, index);
        if (job->is_repeat) { /* too soon after our own first sending: it did arrive */
            job_close_in_doubt(scheduler, index, evidence);
            return;
        }
        job->wait_reason = REASON_COOLDOWN;
        job_set_state(scheduler, index, JOB_RETRY_WAIT);
        answer_push_consent(scheduler, index, answer,
                            answer->reason != REASON_NONE ? answer->reason : REASON_COOLDOWN);
        job_consider(scheduler, index);
        return;
    }
    feedback_ended(scheduler, index, REASON_PUSHBACK);
    if (!job->is_repeat &&
        job_pushed_back_until(scheduler, job).ms >= job_deadline(scheduler, job).ms)
        job_close_waiting(scheduler, index, REASON_PUSHBACK, evidence); /* not awaited */
    else
        job_replay(scheduler, index, REASON_PUSHBACK);
}

/* The end of this attempt: `failed` with or without another one, or a word about the consent. */
static void initiation_failed(struct scheduler *scheduler, uint32_t index,
                              const struct answer *answer, const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    enum reason reason = answer->reason;
    bool is_repeat = job->is_repeat;

    if (!is_repeat)
        job->attempts_counted++;
    switch (answer->class_) {
    case CLASS_NOT_READY:
        feedback_about_consent(scheduler, index);
        job_close(scheduler, index, OUTCOME_SKIPPED, REASON_NOT_READY, evidence);
        break;
    case CLASS_RECONNECT_REQUIRED:
        feedback_about_consent(scheduler, index);
        answer_reconnect(scheduler, index, answer, evidence);
        break;
    case CLASS_CONFIG_ERROR:
        feedback_misconfigured(scheduler, index);
        job_close(scheduler, index, OUTCOME_FAILED,
                  reason != REASON_NONE ? reason : REASON_CONFIGURATION, evidence);
        break;
    case CLASS_RETRY_LATER:
    case CLASS_TRANSPORT:
        if (reason == REASON_NONE)
            reason = answer->class_ == CLASS_TRANSPORT ? REASON_TRANSPORT : REASON_PROVIDER_ERROR;
        feedback_ended(scheduler, index, reason);
        if (is_repeat) { /* says nothing about the first sending */
            job_close_in_doubt(scheduler, index, evidence);
        } else if (reason == REASON_MAINTENANCE) { /* nothing accepted, and no error: a state */
            job->verdict = OUTCOME_SKIPPED;
            job->verdict_reason = reason;
            job_retry(scheduler, index, evidence);
        } else {
            answer_fail_and_retry(scheduler, index, reason, evidence);
        }
        break;
    default:
        if (answer->class_ == CLASS_REJECTED)
            feedback_misconfigured(scheduler, index);
        else
            feedback_ended(scheduler, index, REASON_BAD_ANSWER);
        job_close(scheduler, index, OUTCOME_FAILED,
                  reason != REASON_NONE ? reason : REASON_REJECTED, evidence);
        break;
    }
}

/* A job may exist though no usable answer says so. */
static bool is_in_doubt(const struct job *job, const struct answer *answer, bool reached)
{
    switch (answer->class_) {
    case CLASS_TRANSPORT:
    case CLASS_BAD_ANSWER:
    case CLASS_NONE: return reached;
    case CLASS_ACCEPTED: /* accepted, and not a word of what */
    case CLASS_RUNNING: return answer->reference_hash == 0 && job->hinted_reference == 0;
    default: return false;
    }
}

static void answer_to_initiation(struct scheduler *scheduler, uint32_t index,
                                 const struct answer *answer, bool reached,
                                 const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];

    if (is_in_doubt(job, answer, reached)) {
        if (job->hinted_reference != 0) { /* a webhook came first: it did arrive */
            initiation_accepted(scheduler, index, answer, evidence);
            return;
        }
        feedback_ended(scheduler, index,
                       answer->class_ == CLASS_TRANSPORT ? REASON_TRANSPORT : REASON_BAD_ANSWER);
        record_answer(scheduler, index, answer, REASON_IN_DOUBT, !job->is_repeat, evidence);
        enter_doubt(scheduler, index, evidence);
        return;
    }
    switch (answer->class_) {
    case CLASS_ACCEPTED:
    case CLASS_RUNNING:
    case CLASS_SUCCESS:
    case CLASS_PARTIAL: initiation_accepted(scheduler, index, answer, evidence); return;
    default: break;
    }
    refuse_charge(scheduler, job);
    record_answer(scheduler, index, answer, answer->reason, false, evidence);
    if (answer->class_ == CLASS_CREDENTIALS) {
        feedback_unknown(scheduler, index);
        job_replay(scheduler, index, REASON_AUTH);
    } else if (answer->class_ == CLASS_COOLDOWN || answer->class_ == CLASS_PUSHBACK) {
        initiation_refused_for_now(scheduler, index, answer, evidence);
    } else {
        initiation_failed(scheduler, index, answer, evidence);
    }
}

/* ---- entry ---- */

/* Does it say that the consent is good: data came, or a look-up found it active? */
static bool says_active(enum request_kind request, const struct answer *answer)
{
    if (request == REQUEST_LOOK_UP)
        return answer->look_up == LOOK_UP_ACTIVE;
    return answer->class_ == CLASS_SUCCESS || answer->class_ == CLASS_PARTIAL;
}

void answer_take(struct scheduler *scheduler, uint32_t index, enum request_kind request,
                 const struct answer *answer, const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    struct provider *provider = job_provider(scheduler, job);
    struct answer judged = *answer;
    bool reached = answer->reached_socket || answer->answered || job->is_sent;

    if (!job->is_outstanding || job->request != request)
        return;
    if (request == REQUEST_INITIATE && answer->answered)
        share_request_answered(scheduler, job->institution);
    job_request_ended(scheduler, index, reached);
    feedback_answer(scheduler, index, answer);
    if (answer->class_ != CLASS_CREDENTIALS)
        provider_gate_accepted(scheduler, provider, &job->pass, answer->answered);
    else if (!provider_gate_refused(scheduler, provider, &job->pass))
        judged.class_ = CLASS_REJECTED; /* only this consent is refused */
    consent_learn_expires(scheduler, job->consent, answer->expires, says_active(request, answer),
                          evidence);
    switch (request) {
    case REQUEST_INITIATE:
        answer_to_initiation(scheduler, index, &judged, reached, evidence);
        break;
    case REQUEST_POLL: answer_to_poll(scheduler, index, &judged, evidence); break;
    case REQUEST_LOOK_UP:
        if (judged.class_ == CLASS_CREDENTIALS)
            job_queue_call(scheduler, index, REQUEST_LOOK_UP);
        else
            answer_looked_up(scheduler, index, judged.look_up, evidence);
        break;
    case REQUEST_TOKEN:
    case REQUEST_INSTITUTIONS: break; /* have events of their own */
    }
}

void answer_take_webhook(struct scheduler *scheduler, uint32_t index, uint64_t reference_hash,
                         const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    int64_t floor_us = job_provider(scheduler, job)->settings.completion.poll_floor_ms * US_PER_MS;
    struct mono_time poll_at;

    switch (job->state) {
    case JOB_IN_DOUBT:
        if (reference_hash == 0)
            return;
        job_unqueue(scheduler, index);
        heap_remove(&scheduler->jobs_utc, index);
        job->wants_repeat = false;
        job->is_ours = true;
        job->was_accepted = true;
        take_reference(scheduler, index, reference_hash, evidence);
        job->poll_asked = true;
        answer_follow(scheduler, index, -1);
        break;
    case JOB_INITIATING:
        if (reference_hash != 0)
            job->hinted_reference = reference_hash;
        job->poll_asked = true;
        break;
    case JOB_RUNNING:
        if (job->is_queued)
            return;
        poll_at = job->last_poll_at.us == INT64_MIN ? scheduler->now.mono
                                                    : mono_add_us(job->last_poll_at, floor_us);
        if (poll_at.us < scheduler->now.mono.us)
            poll_at = scheduler->now.mono;
        if (poll_at.us < job->give_up_at.us)
            heap_set(&scheduler->jobs_mono, index, poll_at.us);
        break;
    case JOB_POLLING: job->poll_asked = true; break;
    case JOB_NEW:
    case JOB_LOOKING_UP:
    case JOB_RETRY_WAIT:
    case JOB_CLOSED:
    case JOB_STATE_COUNT: break;
    }
}
