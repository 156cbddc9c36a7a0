/* SPDX-License-Identifier: MIT
 * sandbox_finqware.c - FinqLink Data: create a refresh job, poll it, look up a consent. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sandbox/sandbox_state.h"

#define ID_LENGTH_MAX 128

/* The fields of a request; NULL where absent. Borrowed from `root`. */
struct finqware_fields {
    json_t *root;
    const char *client_id;
    const char *client_secret;
    const char *consent_id;
    const char *job_id;
    const char *callback_url;
};

/* Read the body; answers false after the error was made. */
static bool read_fields(struct sandbox_exchange *exchange, struct finqware_fields *fields)
{
    const struct sandbox_http_request *request = exchange->request;

    fields->root = json_loadb(request->body, request->body_length, 0, NULL);
    if (!json_is_object(fields->root)) {
        sandbox_break(exchange, SANDBOX_RULE_MALFORMED_REQUEST, "the body is no JSON object");
        sandbox_finqware_error(exchange, 400, "bad_request", "the body is not a JSON object");
        return false;
    }
    fields->client_id = json_string_value(json_object_get(fields->root, "client_id"));
    fields->client_secret = json_string_value(json_object_get(fields->root, "client_secret"));
    fields->consent_id = json_string_value(json_object_get(fields->root, "consent_id"));
    fields->job_id = json_string_value(json_object_get(fields->root, "job_id"));
    fields->callback_url = json_string_value(json_object_get(fields->root, "callback_url"));
    exchange->consent = fields->consent_id;
    return true;
}

static bool is_bearer(const struct sandbox_exchange *exchange)
{
    const char *value = sandbox_http_header(exchange->request, "authorization");

    return value != NULL && strncasecmp(value, "bearer ", 7) == 0;
}

/* Internal mode has the secret in the body, the other mode a bearer token. */
static bool authorise(struct sandbox_exchange *exchange, const struct finqware_fields *fields)
{
    int mode = exchange->account->settings.auth_mode;
    enum sandbox_access access;

    if (is_bearer(exchange)) {
        if (fields->client_secret != NULL)
            sandbox_break(exchange, SANDBOX_RULE_SECRET_IN_BEARER_MODE,
                          "client_secret in a request with a bearer token");
        access =
            mode == SANDBOX_AUTH_INTERNAL ? SANDBOX_ACCESS_MISSING : sandbox_tokens_check(exchange);
    } else if (mode == SANDBOX_AUTH_OAUTH2) {
        if (fields->client_secret != NULL)
            sandbox_break(exchange, SANDBOX_RULE_SECRET_IN_BEARER_MODE,
                          "client_secret sent where only bearer tokens are known");
        access = SANDBOX_ACCESS_MISSING;
    } else {
        access = sandbox_tokens_credentials(exchange, fields->client_id, fields->client_secret);
    }
    if (access == SANDBOX_ACCESS_GOOD)
        return true;
    sandbox_finqware_error(exchange, 401, "unauthorized", "the credentials are not valid");
    return false;
}

static bool is_good_id(const char *id)
{
    return id != NULL && id[0] != '\0' && strlen(id) <= ID_LENGTH_MAX;
}

/* Required fields; answers false after the error was made. */
static bool check_fields(struct sandbox_exchange *exchange, const struct finqware_fields *fields,
                         bool wants_job)
{
    if (is_good_id(fields->client_id) && is_good_id(fields->consent_id) &&
        (!wants_job || is_good_id(fields->job_id)))
        return true;
    sandbox_break(exchange, SANDBOX_RULE_MALFORMED_REQUEST,
                  "client_id, consent_id%s: required, 1 to 128 bytes", wants_job ? ", job_id" : "");
    sandbox_finqware_error(exchange, 400, "validation_error", "a required field is missing");
    return false;
}

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

/* ---- create ------------------------------------------------------------------------------- */

static void answer_job(struct sandbox_exchange *exchange, uint32_t number, const char *consent_id,
                       const char *status, const char *client_id)
{
    struct text *out = &exchange->sandbox->body;
    char id[SANDBOX_ID_SIZE];

    text_append_string(out, "{\"request_id\":");
    sandbox_append_request_id(exchange, SANDBOX_ID_REQUEST);
    text_append_string(out, ",\"consent_id\":");
    sandbox_append_quoted(out, consent_id);
    text_append_string(out, ",\"job_id\":\"");
    text_append_string(out, sandbox_id_write(id, exchange->sandbox->seed, SANDBOX_ID_JOB, number));
    text_append_string(out, "\",\"status\":");
    sandbox_append_quoted(out, status);
    text_append_string(out, ",\"api_client_app\":");
    sandbox_append_quoted(out, client_id);
    exchange->own_id = consent_id;
    sandbox_answer(exchange, 200);
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
                            const struct finqware_fields *fields)
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
            answer_job(exchange, subject->last_job, fields->consent_id, "job_started",
                       fields->client_id);
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
                      const struct finqware_fields *fields, const struct sandbox_consent *said)
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
    answer_job(exchange, number, fields->consent_id, "job_started", fields->client_id);
    text_append_string(&sandbox->body, "}");
}

static void serve_create(struct sandbox_exchange *exchange, const struct finqware_fields *fields)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_consent described;
    const struct sandbox_consent *said = NULL;
    struct sandbox_subject *subject;
    uint32_t number;

    if (!check_fields(exchange, fields, false))
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
    if (!authorise(exchange, fields) || sandbox_fault_before(exchange) ||
        refuse_by_state(exchange, fields->consent_id, said) ||
        refuse_too_soon(exchange, subject, fields))
        return;
    start_job(exchange, number, fields, said);
}

/* ---- poll --------------------------------------------------------------------------------- */

const char *sandbox_finqware_status(const struct sandbox_job *job,
                                    const struct sandbox_consent *said, int64_t now_ms)
{
    static const char *const running[] = {"job_started", "accounts_ready", "balances_ready",
                                          "transactions_fetching"};
    int stage = sandbox_progress_stage(job, now_ms);

    if ((job->flags & SANDBOX_JOB_UNKNOWN_STATUS) != 0)
        return "job_pondering";
    if (stage < 4)
        return running[stage];
    if (said != NULL && said->status_word != NULL)
        return said->status_word;
    switch (sandbox_verdict(job->verdict)->outcome) {
    case SANDBOX_ENDS_WELL: return "job_completed";
    case SANDBOX_ENDS_PARTLY: return "job_partially_completed";
    case SANDBOX_ENDS_BADLY: return "job_failed";
    }
    return "job_failed";
}

/* The job that is asked for; SANDBOX_NONE after the error was made. */
static uint32_t find_job(struct sandbox_exchange *exchange, const struct finqware_fields *fields)
{
    struct sandbox *sandbox = exchange->sandbox;
    const struct sandbox_scenario *scenario = sandbox->scenario;
    struct sandbox_job *job;
    const struct sandbox_subject *subject;
    uint32_t number;

    if (!sandbox_id_read(fields->job_id, sandbox->seed, SANDBOX_ID_JOB, &number) ||
        number >= sandbox->jobs.job_count ||
        sandbox->jobs.subjects[sandbox->jobs.jobs[number].subject].account !=
            exchange->account->number) {
        sandbox_break(exchange, SANDBOX_RULE_POLL_UNKNOWN_JOB, "job %.40s", fields->job_id);
        sandbox_finqware_error(exchange, 404, "job_not_found", "no such job");
        return SANDBOX_NONE;
    }
    job = &sandbox->jobs.jobs[number];
    subject = &sandbox->jobs.subjects[job->subject];
    if (strcmp(subject->id, fields->consent_id) != 0) {
        sandbox_break(exchange, SANDBOX_RULE_POLL_WRONG_CONSENT, "job %s belongs to %.60s",
                      fields->job_id, subject->id);
        sandbox_finqware_error(exchange, 404, "job_not_found", "no such job of this consent");
        return SANDBOX_NONE;
    }
    if ((job->flags & SANDBOX_JOB_LOST) != 0 ||
        (scenario->job_retention_ms > 0 &&
         exchange->now_ms - job->created_ms > scenario->job_retention_ms)) {
        sandbox_progress_close(sandbox, job);
        sandbox_finqware_error(exchange, 404, "job_not_found", "no such job in reach");
        return SANDBOX_NONE;
    }
    return number;
}

/* The consent died while its job was running. */
static bool is_dead_state(const char *state)
{
    return strcmp(state, "revoked") == 0 || strcmp(state, "expired") == 0 ||
           strcmp(state, "failed") == 0 || strcmp(state, "suspended") == 0 ||
           strcmp(state, "deactivated") == 0;
}

static void answer_poll(struct sandbox_exchange *exchange, const struct finqware_fields *fields,
                        uint32_t number, const struct sandbox_consent *said)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_job *job = &sandbox->jobs.jobs[number];
    const char *word = sandbox_finqware_status(job, said, exchange->now_ms);
    uint32_t label = sandbox->jobs.subjects[job->subject].label;

    answer_job(exchange, number, fields->consent_id, word, fields->client_id);
    text_append_string(&sandbox->body, ",\"webhook_url\":");
    if (job->callback_url != NULL)
        sandbox_append_quoted(&sandbox->body, job->callback_url);
    else
        text_append_string(&sandbox->body, "null");
    if (label != SANDBOX_NONE) {
        text_append_string(&sandbox->body, ",\"service_provider\":{\"name\":");
        sandbox_append_quoted(&sandbox->body, sandbox_names_text(&sandbox->names, label));
        text_append_string(&sandbox->body, "}");
    }
    text_append_string(&sandbox->body, "}");
    sandbox_progress_told(sandbox, job, exchange->now_ms);
}

static void serve_poll(struct sandbox_exchange *exchange, const struct finqware_fields *fields)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_consent described;
    const struct sandbox_consent *said = NULL;
    struct sandbox_subject *subject;
    struct sandbox_job *job;
    uint32_t number;

    if (!check_fields(exchange, fields, true))
        return;
    if (sandbox_scenario_consent(sandbox->scenario, fields->consent_id, NULL, &described))
        said = &described;
    if (!authorise(exchange, fields))
        return;
    number = find_job(exchange, fields);
    if (number == SANDBOX_NONE)
        return;
    job = &sandbox->jobs.jobs[number];
    subject = &sandbox->jobs.subjects[job->subject];
    sandbox_check_poll_floor(exchange, job);
    sandbox_fault_choose(exchange, said != NULL ? said->poll_faults : NULL,
                         subject->poll_requests++);
    sandbox_progress_poll(exchange, job, said);
    if (sandbox_fault_before(exchange))
        return;
    if (said != NULL && said->poll_error.status != 0) {
        sandbox_finqware_error(exchange, (int)said->poll_error.status,
                               said->poll_error.code != NULL ? said->poll_error.code : "",
                               "the scenario says so");
    } else if (said != NULL && said->state != NULL && is_dead_state(said->state)) {
        sandbox_progress_close(sandbox, job);
        sandbox_finqware_error(exchange, 400, "consent_not_active", "the consent is not active");
    } else {
        answer_poll(exchange, fields, number, said);
    }
}

/* ---- consent ------------------------------------------------------------------------------ */

static void serve_consent(struct sandbox_exchange *exchange, const struct finqware_fields *fields)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct text *out = &sandbox->body;
    struct sandbox_consent described;
    const struct sandbox_consent *said = NULL;
    const char *state;
    char until[UTC_TEXT_SIZE];
    char expires[UTC_TEXT_SIZE];

    if (!check_fields(exchange, fields, false))
        return;
    if (sandbox_scenario_consent(sandbox->scenario, fields->consent_id, NULL, &described))
        said = &described;
    sandbox_fault_choose(exchange, NULL, 0);
    if (!authorise(exchange, fields) || sandbox_fault_before(exchange))
        return;
    state = sandbox_fate_state(sandbox, fields->consent_id, said);
    if (strcmp(state, "missing") == 0) {
        sandbox_finqware_error(exchange, 404, "consent_not_found", "no such consent");
        return;
    }
    utc_text_seconds(
        (struct utc_time){sandbox->started_ms +
                          sandbox->scenario->finqware.consent_validity_days * MS_PER_DAY},
        until);
    utc_text_seconds((struct utc_time){sandbox->started_ms + 45 * MS_PER_DAY}, expires);
    text_append_string(out, "{\"request_id\":");
    sandbox_append_request_id(exchange, SANDBOX_ID_REQUEST);
    text_append_string(out, ",\"consent_id\":");
    sandbox_append_quoted(out, fields->consent_id);
    text_append_string(out, ",\"status\":");
    sandbox_append_quoted(out, state);
    text_append_format(out, ",\"expires_at\":\"%s\",\"consent_validity_days\":%lld", expires,
                       (long long)sandbox->scenario->finqware.consent_validity_days);
    text_append_string(out, ",\"authorized_until\":");
    sandbox_append_quoted(
        out, said != NULL && said->authorized_until != NULL ? said->authorized_until : until);
    text_append_string(out, ",\"scope\":[\"accounts\",\"balances\",\"transactions\"]}");
    exchange->own_id = fields->consent_id;
    sandbox_answer(exchange, 200);
}

void sandbox_finqware_serve(struct sandbox_exchange *exchange)
{
    struct finqware_fields fields = {0};

    if (exchange->endpoint == SANDBOX_ENDPOINT_OTHER) {
        sandbox_break(exchange, SANDBOX_RULE_UNKNOWN_ROUTE, "%.120s", exchange->rest);
        sandbox_finqware_error(exchange, 404, "not_found", "no such path");
        return;
    }
    if (strcmp(exchange->request->method, "POST") != 0) {
        sandbox_break(exchange, SANDBOX_RULE_MALFORMED_REQUEST, "every endpoint is a POST");
        sandbox_finqware_error(exchange, 405, "bad_request", "use POST");
        return;
    }
    if (exchange->endpoint == SANDBOX_ENDPOINT_TOKEN) {
        sandbox_tokens_serve(exchange);
        return;
    }
    if (read_fields(exchange, &fields)) {
        if (exchange->endpoint == SANDBOX_ENDPOINT_CREATE)
            serve_create(exchange, &fields);
        else if (exchange->endpoint == SANDBOX_ENDPOINT_POLL)
            serve_poll(exchange, &fields);
        else
            serve_consent(exchange, &fields);
    }
    sandbox_fault_after(exchange);
    exchange->consent = NULL;
    json_decref(fields.root);
}
