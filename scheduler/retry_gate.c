/* SPDX-License-Identifier: MIT
 * retry_gate.c - see retry_gate.h. */
#include "scheduler/retry_gate.h"

#include "scheduler/job.h"
#include "scheduler/node_record.h"
#include "scheduler/work.h"

static bool is_retry(const struct job *job)
{
    return job->attempts_counted > 0 && !job->wants_repeat && job->verdict != OUTCOME_NONE;
}

static bool try_to_pay(struct scheduler *scheduler, struct provider *provider, struct job *job)
{
    if (!retry_budget_has(&provider->budget))
        return false;
    retry_budget_spend(&provider->budget);
    job->is_funded = true;
    node_record_budget(scheduler, provider);
    return true;
}

bool retry_gate_pass(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    struct provider *provider = job_provider(scheduler, job);

    if (provider->settings.retry_budget_percent == 0 || job->is_funded || !is_retry(job))
        return true;
    retry_budget_advance(&provider->budget, scheduler->now.mono);
    if (provider->retries.head == NONE_INDEX && try_to_pay(scheduler, provider, job))
        return true;
    job->is_queued = true;
    job->waits_for_budget = true;
    job->wait_reason = REASON_RETRY_BUDGET;
    work_queue_push(scheduler, &provider->retries, index | WORK_JOB_BIT);
    provider->retries_waiting++;
    job_record_state(scheduler, index, core_utc_of(scheduler, retry_budget_next(&provider->budget)),
                     REASON_RETRY_BUDGET, NULL);
    heap_set(&scheduler->jobs_utc, index, job_deadline(scheduler, job).ms);
    return false;
}

void retry_gate_leave(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    struct provider *provider = job_provider(scheduler, job);

    REQUIRE(job->waits_for_budget);
    job->waits_for_budget = false;
    work_queue_unlink(scheduler, &provider->retries, index | WORK_JOB_BIT);
    provider->retries_waiting--;
}

void retry_gate_initiated(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    struct provider *provider = job_provider(scheduler, job);

    job->is_funded = false;
    if (provider->settings.retry_budget_percent == 0 || job->attempts != 1)
        return;
    retry_budget_advance(&provider->budget, scheduler->now.mono);
    retry_budget_earn(&provider->budget, provider->settings.retry_budget_percent);
    node_record_budget(scheduler, provider);
}

void retry_gate_ended(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];

    if (!job->is_funded)
        return;
    job->is_funded = false;
    retry_budget_refund(&job_provider(scheduler, job)->budget);
}

static void advance_provider(struct scheduler *scheduler, struct provider *provider)
{
    bool is_free = provider->settings.retry_budget_percent == 0; /* switched off meanwhile */

    retry_budget_advance(&provider->budget, scheduler->now.mono);
    while (provider->retries.head != NONE_INDEX && core_has_room(scheduler)) {
        uint32_t index = provider->retries.head & ~WORK_JOB_BIT;

        if (!is_free && !try_to_pay(scheduler, provider, &scheduler->jobs[index])) {
            core_wake_mono(scheduler, retry_budget_next(&provider->budget));
            return;
        }
        job_unqueue(scheduler, index);
        job_consider(scheduler, index);
    }
}

void retry_gate_advance(struct scheduler *scheduler)
{
    for (uint32_t i = 0; i < scheduler->provider_count; i++)
        if (scheduler->providers[i].retries_waiting > 0)
            advance_provider(scheduler, &scheduler->providers[i]);
}
