/* SPDX-License-Identifier: MIT
 * answer_poll.c - answers to polls: is the job still running, how did it end, or could nobody say?
 * See answer.h. */
#include "scheduler/answer.h"
#include "scheduler/feedback.h"
#include "scheduler/job.h"

/* Ask again after `delay_ms`, but not beyond the give-up; after the last poll never. */
static void poll_again(struct scheduler *scheduler, uint32_t index, int64_t delay_ms)
{
    struct job *job = &scheduler->jobs[index];
    struct mono_time at = core_mono_in_ms(scheduler, delay_ms);

    job_set_state(scheduler, index, JOB_RUNNING);
    job->poll_asked = false;
    if (job->is_last_poll) {
        job_give_up(scheduler, index);
        return;
    }
    heap_set(&scheduler->jobs_mono, index, at.us < job->give_up_at.us ? at.us : job->give_up_at.us);
}

/* Delays double up to the maximum, whether the job runs on or the poll itself failed. */
static int64_t next_delay_ms(struct job *job, const struct completion_settings *completion)
{
    job->poll_delay_ms = job->poll_delay_ms > completion->poll_max_ms / 2 ? completion->poll_max_ms
                                                                          : job->poll_delay_ms * 2;
    if (job->poll_delay_ms < completion->poll_floor_ms)
        job->poll_delay_ms = completion->poll_floor_ms;
    return job->poll_delay_ms;
}

static void poll_says_running(struct scheduler *scheduler, uint32_t index,
                              const struct answer *answer)
{
    struct job *job = &scheduler->jobs[index];
    const struct completion_settings *completion =
        &job_provider(scheduler, job)->settings.completion;
    int64_t delay_ms = next_delay_ms(job, completion);

    job->trouble = REASON_NONE;
    if (answer->poll_hint_ms >= completion->poll_floor_ms)
        delay_ms = answer->poll_hint_ms < completion->poll_max_ms ? answer->poll_hint_ms
                                                                  : completion->poll_max_ms;
    if (job->poll_asked)
        delay_ms = completion->poll_floor_ms;
    poll_again(scheduler, index, delay_ms);
}

/* The poll failed, not the job. */
static void poll_says_nothing(struct scheduler *scheduler, uint32_t index,
                              const struct answer *answer, enum reason trouble)
{
    struct job *job = &scheduler->jobs[index];
    int64_t delay_ms = next_delay_ms(job, &job_provider(scheduler, job)->settings.completion);

    job->trouble = trouble;
    poll_again(scheduler, index,
               answer->retry_after_ms > delay_ms ? answer->retry_after_ms : delay_ms);
}

/* Why the poll failed where it says nothing about the job; REASON_NONE where it does. */
static enum reason poll_trouble(const struct answer *answer)
{
    switch (answer->class_) {
    case CLASS_PUSHBACK: return REASON_PUSHBACK;
    case CLASS_TRANSPORT: return REASON_TRANSPORT;
    case CLASS_NONE:
    case CLASS_BAD_ANSWER: return REASON_BAD_ANSWER;
    case CLASS_REJECTED: return answer->is_about_job ? REASON_NONE : REASON_REJECTED;
    case CLASS_RETRY_LATER:
        if (answer->is_about_job)
            return REASON_NONE;
        return answer->reason != REASON_NONE ? answer->reason : REASON_PROVIDER_ERROR;
    default: return REASON_NONE;
    }
}

static bool started_before_ours(const struct job *job, const struct answer *answer)
{
    struct utc_time sent = job->doubt_sent.ms != UTC_NONE.ms ? job->doubt_sent : job->last_sent;

    return answer->job_started.ms != UTC_NONE.ms && !job->is_ours &&
           answer->job_started.ms + JOB_STARTED_SLACK_MS < sent.ms;
}

void answer_to_poll(struct scheduler *scheduler, uint32_t index, const struct answer *answer,
                    const struct evidence *evidence)
{
    struct job *job = &scheduler->jobs[index];
    enum reason trouble = poll_trouble(answer);

    if (trouble != REASON_NONE) {
        poll_says_nothing(scheduler, index, answer, trouble);
        return;
    }
    if (started_before_ours(job, answer))
        job->is_attached = true;
    switch (answer->class_) {
    case CLASS_SUCCESS:
        answer_end_job(scheduler, index, OUTCOME_REFRESHED, answer, evidence);
        break;
    case CLASS_PARTIAL: answer_end_job(scheduler, index, OUTCOME_PARTIAL, answer, evidence); break;
    case CLASS_COOLDOWN: /* refused by the bank behind the job: too often for this consent */
        answer_push_consent(scheduler, index, answer,
                            answer->reason != REASON_NONE ? answer->reason : REASON_PUSHBACK);
        answer_fail_and_retry(scheduler, index,
                              answer->reason != REASON_NONE ? answer->reason : REASON_PUSHBACK,
                              evidence);
        break;
    case CLASS_RETRY_LATER: answer_job_failed(scheduler, index, answer, evidence); break;
    case CLASS_RECONNECT_REQUIRED: answer_reconnect(scheduler, index, answer, evidence); break;
    case CLASS_CONFIG_ERROR:
        feedback_about_consent(scheduler, index);
        job_close(scheduler, index, OUTCOME_FAILED,
                  answer->reason != REASON_NONE ? answer->reason : REASON_CONFIGURATION, evidence);
        break;
    case CLASS_REJECTED:
        feedback_about_consent(scheduler, index);
        job_close(scheduler, index, OUTCOME_FAILED,
                  answer->reason != REASON_NONE ? answer->reason : REASON_REJECTED, evidence);
        break;
    case CLASS_NOT_READY:
        feedback_about_consent(scheduler, index);
        job_close(scheduler, index, OUTCOME_FAILED, REASON_NOT_READY, evidence);
        break;
    case CLASS_LOST: job_close(scheduler, index, OUTCOME_UNKNOWN, REASON_LOST, evidence); break;
    case CLASS_CREDENTIALS: /* the same poll again, when the credentials are good */
        job->trouble = REASON_AUTH;
        job_set_state(scheduler, index, JOB_RUNNING);
        job_queue_call(scheduler, index, REQUEST_POLL);
        break;
    default: poll_says_running(scheduler, index, answer); break;
    }
}
