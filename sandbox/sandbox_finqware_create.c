/* SPDX-License-Identifier: MIT
 * sandbox_finqware_create.c - Create Data Refresh Job: refusals, cooldown, quota, a new job. */
#include <string.h>

#include "sandbox/sandbox_finqware.h"

/* The consent's subject, its bank found where it can be. */
static uint32_t subject_find(struct sandbox_exchange *exchange, const char *consent_id,
                             const struct sandbox_consent *said)
{
    struct sandbox *sandbox = exchange->sandbox;
    uint32_t number = sandbox_jobs_subject(&sandbox->jobs, exchange->account->number,
                                           SANDBOX_API_FINQWARE, consent_id, SANDBOX_NONE);
    struct sandbox_subject *subject;

    if (number == SANDBOX_NONE)
        return number;
    subject = &sandbox->jobs.subjects[number];
    if (said != NULL && said->bank != NULL)
        subject->label = sandbox_names_number(&sandbox->names, said->bank);
    else if (subject->label == SANDBOX_NONE)
        subject->label = sandbox_bank_of_id(sandbox, consent_id);
    return number;
}

/* A break of a rule about the previous job, unless its answer was spoiled by us. */
static void break_after(struct sandbox_exchange *exchange, const struct sandbox_job *previous,
                        enum sandbox_rule rule, const char *detail)
{
    if ((previous->flags & SANDBOX_JOB_SPOILED) != 0)
        exchange->sandbox->unwitting++;
    else
        sandbox_break(exchange, rule, "%s; the previous one was accepted %lld ms ago", detail,
                      (long long)(exchange->now_ms - previous->created_ms));
}

/* Single flight and cooldown; true when the answer is made. */
static bool refuse_too_soon(struct sandbox_exchange *exchange, struct sandbox_subject *subject,
                            const struct sandbox_finqware_fields *fields)
{
    struct sandbox *sandbox = exchange->sandbox;
    const struct sandbox_finqware_settings *settings = &sandbox->scenario->finqware;
    struct sandbox_job *previous;

    if (subject->last_job == SANDBOX_NONE)
        return false;
    previous = &sandbox->jobs.jobs[subject->last_job];
    if (sandbox_job_is_running(sandbox, previous, exchange->now_ms)) {
        break_after(exchange, previous, SANDBOX_RULE_SINGLE_FLIGHT, "a job of it is running");
        if (settings->second_create == SANDBOX_SECOND_NEW_JOB)
            return false;
        if (settings->second_create == SANDBOX_SECOND_SAME_JOB) {
            if (previous->create_requests < UINT16_MAX)
                previous->create_requests++;
            sandbox->counts[exchange->api][exchange->endpoint].deduplicated++;
            sandbox_finqware_answer_job(exchange, subject->last_job, fields->consent_id,
                                        "job_started", fields->client_id);
            text_append_string(&sandbox->body, "}");
            return true;
        }
        sandbox_finqware_error(exchange, 400, "cooldown_failed", "a refresh is running");
        return true;
    }
    if (!settings->cooldown_after_failure &&
        sandbox_verdict(previous->verdict)->outcome == SANDBOX_ENDS_BADLY)
        return false;
    if (exchange->now_ms <
        previous->created_ms + settings->cooldown_ms - sandbox->scenario->window_tolerance_ms) {
        if (settings->known_cooldown)
            break_after(exchange, previous, SANDBOX_RULE_COOLDOWN, "too soon");
        sandbox_finqware_error(exchange, 400, "cooldown_failed", "too soon after the last refresh");
        return true;
    }
    return false;
}

/* The consent's or the bank's own refusals; true when the answer is made. */
static bool refuse_by_state(struct sandbox_exchange *exchange, const char *consent_id,
                            const struct sandbox_consent *said)
{
    const char *state = sandbox_fate_state(exchange->sandbox, consent_id, said);

    if (said != NULL && said->create_error.status != 0) {
        sandbox_finqware_error(exchange, (int)said->create_error.status,
                               said->create_error.code != NULL ? said->create_error.code : "",
                               "the scenario says so");
        return true;
    }
    if (strcmp(state, "missing") == 0) {
        sandbox_finqware_error(exchange, 404, "consent_not_found", "no such consent");
        return true;
    }
    if (strcmp(state, "active") != 0) {
        sandbox_finqware_error(exchange, 400, "consent_not_active", "the consent is not active");
        return true;
    }
    if (exchange->bank != NULL &&
        sandbox_bank_in_maintenance(&exchange->bank->settings, exchange->now_ms)) {
        sandbox_finqware_error(exchange, 400, "unprocessable_entity", "the bank refuses");
        return true;
    }
    return false;
}

static void start_job(struct sandbox_exchange *exchange, uint32_t subject_number,
                      const struct sandbox_finqware_fields *fields,
                      const struct sandbox_consent *said)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_subject *subject = &sandbox->jobs.subjects[subject_number];
    const struct sandbox_rates *quota = &sandbox->scenario->finqware.quota;
    struct sandbox_draw draw;
    struct sandbox_job *job;
    uint32_t number;

    if (quota->count > 0 &&
        sandbox_jobs_in_window(exchange, subject_number, quota->entries[0].period_us / US_PER_MS) >=
            quota->entries[0].count)
        sandbox_break(exchange, SANDBOX_RULE_QUOTA, "more than %s", quota->entries[0].text);
    sandbox_fate_draw(exchange, fields->consent_id, "",
                      exchange->bank != NULL ? &exchange->bank->settings : NULL, said,
                      subject->job_count, &draw);
    number = sandbox_jobs_add(&sandbox->jobs, subject_number, exchange->now_ms);
    if (number == SANDBOX_NONE) {
        sandbox_finqware_error(exchange, 500, "internal_error", "the sandbox is out of memory");
        return;
    }
    job = &sandbox->jobs.jobs[number];
    job->verdict = draw.verdict;
    job->flags = draw.flags;
    job->duration_ms = draw.duration_ms;
    if (sandbox_fault_spoils(exchange->fault))
        job->flags |= SANDBOX_JOB_SPOILED;
    if (exchange->bank != NULL &&
        sandbox_window_arrive(&exchange->bank->refuse_window, &exchange->bank->settings.refuse_over,
                              exchange->arrived_us, 0) >= 0)
        job->verdict = sandbox_verdict_find("provider_request_limit");
    if (fields->callback_url != NULL && sandbox->scenario->finqware.webhook != SANDBOX_WEBHOOK_NONE)
        job->callback_url = strdup(fields->callback_url);
    sandbox_progress_start(exchange, number);
    sandbox->counts[exchange->api][exchange->endpoint].accepted++;
    sandbox_finqware_answer_job(exchange, number, fields->consent_id, "job_started",
                                fields->client_id);
    text_append_string(&sandbox->body, "}");
}

void sandbox_finqware_create(struct sandbox_exchange *exchange,
                             const struct sandbox_finqware_fields *fields)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_consent described;
    const struct sandbox_consent *said = NULL;
    struct sandbox_subject *subject;
    uint32_t number;

    if (!sandbox_finqware_check_fields(exchange, fields, false))
        return;
    if (sandbox_scenario_consent(sandbox->scenario, fields->consent_id, NULL, &described))
        said = &described;
    number = subject_find(exchange, fields->consent_id, said);
    if (number == SANDBOX_NONE) {
        sandbox_finqware_error(exchange, 500, "internal_error", "the sandbox is out of memory");
        return;
    }
    subject = &sandbox->jobs.subjects[number];
    sandbox_bank_arrive(exchange, subject->label);
    sandbox_add_bank_delay(exchange);
    sandbox_fault_choose(exchange, said != NULL ? said->create_faults : NULL,
                         subject->create_requests++);
    if (!sandbox_finqware_authorise(exchange, fields) || sandbox_fault_before(exchange) ||
        refuse_by_state(exchange, fields->consent_id, said) ||
        refuse_too_soon(exchange, subject, fields))
        return;
    start_job(exchange, number, fields, said);
}
