/* SPDX-License-Identifier: MIT
 * sandbox_progress.c - jobs advance by time alone; this keeps the counts that depend on it. */
#include "sandbox/sandbox_state.h"
#include "sandbox/sandbox_webhook.h"

/* Over by itself never: it hangs, or says a word that nobody knows. */
static bool is_endless(const struct sandbox_job *job)
{
    return job->duration_ms == SANDBOX_DURATION_NEVER ||
           (job->flags & SANDBOX_JOB_UNKNOWN_STATUS) != 0;
}

/* When the client of an endless job is taken to have given up. */
static int64_t abandoned_ms(const struct sandbox *sandbox, const struct sandbox_job *job)
{
    int64_t seen_ms = job->last_poll_ms > job->created_ms ? job->last_poll_ms : job->created_ms;

    return seen_ms + sandbox->scenario->abandoned_after_ms;
}

bool sandbox_job_is_running(const struct sandbox *sandbox, const struct sandbox_job *job,
                            int64_t now_ms)
{
    if ((job->flags & SANDBOX_JOB_CLOSED) != 0)
        return false;
    return now_ms < (is_endless(job) ? abandoned_ms(sandbox, job) : sandbox_job_end_ms(job));
}

int sandbox_progress_stage(const struct sandbox_job *job, int64_t now_ms)
{
    int64_t age_ms = now_ms - job->created_ms;

    if (job->duration_ms == SANDBOX_DURATION_NEVER)
        return age_ms > MS_PER_MINUTE ? 3 : 0;
    if (age_ms >= job->duration_ms)
        return 4;
    return age_ms <= 0 ? 0 : (int)(age_ms * 4 / job->duration_ms);
}

/* Count one more or one less running job at every node the job belongs to; `exchange` (may be
 * NULL) is told about limits that are passed. */
static void count_at(struct sandbox *sandbox, struct sandbox_account *account, uint32_t label,
                     int change, struct sandbox_exchange *exchange)
{
    struct sandbox_bank_node *bank = sandbox_account_bank(sandbox, account, label);

    if (bank == NULL)
        return;
    sandbox_gauge_add(&bank->running, change);
    if (exchange != NULL && bank->settings.limits.jobs_running > 0 &&
        bank->running.now > bank->settings.limits.jobs_running)
        sandbox_break(exchange, SANDBOX_RULE_BANK_JOBS_RUNNING, "%lld jobs running at bank %s",
                      (long long)bank->running.now, sandbox_names_text(&sandbox->names, label));
}

static void count_job(struct sandbox *sandbox, struct sandbox_job *job, int change,
                      struct sandbox_exchange *exchange)
{
    const struct sandbox_subject *subject = &sandbox->jobs.subjects[job->subject];
    struct sandbox_account *account = sandbox->accounts[subject->account];

    sandbox_gauge_add(&sandbox->running, change);
    sandbox_gauge_add(&account->running, change);
    if (exchange != NULL && account->settings.limits.jobs_running > 0 &&
        account->running.now > account->settings.limits.jobs_running)
        sandbox_break(exchange, SANDBOX_RULE_ACCOUNT_JOBS_RUNNING,
                      "%lld jobs running at the account", (long long)account->running.now);
    if (job->child_count == 0)
        count_at(sandbox, account, subject->label, change, exchange);
    for (uint32_t i = 0; i < job->child_count; i++)
        count_at(sandbox, account, sandbox->jobs.children[job->first_child + i].label, change,
                 exchange);
    if (change > 0)
        job->flags |= SANDBOX_JOB_COUNTED;
    else
        job->flags &= (uint16_t)~SANDBOX_JOB_COUNTED;
}

/* When this job needs attention next: a webhook, its end, or being given up by its client. */
static int64_t next_attention_ms(const struct sandbox *sandbox, const struct sandbox_job *job)
{
    int64_t end_ms = is_endless(job) ? abandoned_ms(sandbox, job) : sandbox_job_end_ms(job);
    int64_t webhook_ms = sandbox_webhook_next_ms(sandbox, job);

    return webhook_ms < end_ms ? webhook_ms : end_ms;
}

void sandbox_progress(struct sandbox *sandbox, int64_t now_ms)
{
    struct sandbox_jobs *jobs = &sandbox->jobs;

    while (heap_first_key(&jobs->timers) <= now_ms) {
        uint32_t number = heap_first_id(&jobs->timers);
        struct sandbox_job *job = &jobs->jobs[number];
        int64_t next_ms;

        sandbox_webhook_make(sandbox, number, now_ms);
        next_ms = next_attention_ms(sandbox, job);
        if (next_ms > now_ms) {
            heap_set(&jobs->timers, number, next_ms);
            continue;
        }
        heap_remove(&jobs->timers, number);
        if ((job->flags & SANDBOX_JOB_COUNTED) != 0)
            count_job(sandbox, job, -1, NULL);
    }
}

void sandbox_progress_start(struct sandbox_exchange *exchange, uint32_t number)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_job *job = &sandbox->jobs.jobs[number];
    int64_t next_ms;

    if (job->duration_ms == 0 && sandbox_webhook_next_ms(sandbox, job) == INT64_MAX)
        return; /* over before anybody could count it */
    next_ms = next_attention_ms(sandbox, job);
    if (!sandbox_jobs_set_timer(&sandbox->jobs, number, next_ms))
        return;
    /* Who could not read the answer cannot count the job. */
    if ((job->flags & SANDBOX_JOB_SPOILED) == 0)
        count_job(sandbox, job, 1, exchange);
    sandbox_webhook_schedule(sandbox, sandbox_webhook_next_ms(sandbox, job));
}

void sandbox_progress_close(struct sandbox *sandbox, struct sandbox_job *job)
{
    job->flags |= SANDBOX_JOB_CLOSED;
    if ((job->flags & SANDBOX_JOB_COUNTED) != 0)
        count_job(sandbox, job, -1, NULL);
}

void sandbox_progress_poll(struct sandbox_exchange *exchange, struct sandbox_job *job,
                           const struct sandbox_consent *said)
{
    int64_t status = said != NULL ? said->poll_error.status : 0;

    /* Credentials, pushback and server errors pass; another 4xx is a verdict. */
    if (sandbox_fault_spoils(exchange->fault) || exchange->fault == SANDBOX_FAULT_UNKNOWN_CODE ||
        (status >= 400 && status < 500 && status != 401 && status != 403 && status != 429))
        sandbox_progress_close(exchange->sandbox, job);
}

void sandbox_progress_told(struct sandbox *sandbox, struct sandbox_job *job, int64_t now_ms)
{
    if (is_endless(job) || now_ms < sandbox_job_end_ms(job))
        return;
    if ((job->flags & SANDBOX_JOB_SEEN_END) != 0)
        sandbox->polls_after_end++;
    job->flags |= SANDBOX_JOB_SEEN_END;
}

uint32_t sandbox_jobs_in_window(const struct sandbox_exchange *exchange, uint32_t subject,
                                int64_t window_ms)
{
    const struct sandbox_jobs *jobs = &exchange->sandbox->jobs;
    int64_t from_ms =
        exchange->now_ms - window_ms + exchange->sandbox->scenario->window_tolerance_ms;
    uint32_t count = 0;

    for (uint32_t job = jobs->subjects[subject].last_job;
         job != SANDBOX_NONE && jobs->jobs[job].created_ms > from_ms;
         job = jobs->jobs[job].previous)
        count++;
    return count;
}
