/* SPDX-License-Identifier: MIT
 * sandbox_finqware.c - FinqLink Data: requests and credentials, polls, consent look-ups. */
#include "sandbox/sandbox_finqware.h"

#include <string.h>
#include <strings.h>

#define ID_LENGTH_MAX 128

/* Read the body; answers false after the error was made. */
static bool read_fields(struct sandbox_exchange *exchange, struct sandbox_finqware_fields *fields)
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
bool sandbox_finqware_authorise(struct sandbox_exchange *exchange,
                                const struct sandbox_finqware_fields *fields)
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
bool sandbox_finqware_check_fields(struct sandbox_exchange *exchange,
                                   const struct sandbox_finqware_fields *fields, bool wants_job)
{
    if (is_good_id(fields->client_id) && is_good_id(fields->consent_id) &&
        (!wants_job || is_good_id(fields->job_id)))
        return true;
    sandbox_break(exchange, SANDBOX_RULE_MALFORMED_REQUEST,
                  "client_id, consent_id%s: required, 1 to 128 bytes", wants_job ? ", job_id" : "");
    sandbox_finqware_error(exchange, 400, "validation_error", "a required field is missing");
    return false;
}

void sandbox_finqware_answer_job(struct sandbox_exchange *exchange, uint32_t number,
                                 const char *consent_id, const char *status, const char *client_id)
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
static uint32_t find_job(struct sandbox_exchange *exchange,
                         const struct sandbox_finqware_fields *fields)
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

static void answer_poll(struct sandbox_exchange *exchange,
                        const struct sandbox_finqware_fields *fields, uint32_t number,
                        const struct sandbox_consent *said)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_job *job = &sandbox->jobs.jobs[number];
    const char *word = sandbox_finqware_status(job, said, exchange->now_ms);
    uint32_t label = sandbox->jobs.subjects[job->subject].label;

    sandbox_finqware_answer_job(exchange, number, fields->consent_id, word, fields->client_id);
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

static void serve_poll(struct sandbox_exchange *exchange,
                       const struct sandbox_finqware_fields *fields)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_consent described;
    const struct sandbox_consent *said = NULL;
    struct sandbox_subject *subject;
    struct sandbox_job *job;
    uint32_t number;

    if (!sandbox_finqware_check_fields(exchange, fields, true))
        return;
    if (sandbox_scenario_consent(sandbox->scenario, fields->consent_id, NULL, &described))
        said = &described;
    if (!sandbox_finqware_authorise(exchange, fields))
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

static void serve_consent(struct sandbox_exchange *exchange,
                          const struct sandbox_finqware_fields *fields)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct text *out = &sandbox->body;
    struct sandbox_consent described;
    const struct sandbox_consent *said = NULL;
    const char *state;
    char until[UTC_TEXT_SIZE];
    char expires[UTC_TEXT_SIZE];

    if (!sandbox_finqware_check_fields(exchange, fields, false))
        return;
    if (sandbox_scenario_consent(sandbox->scenario, fields->consent_id, NULL, &described))
        said = &described;
    sandbox_fault_choose(exchange, NULL, 0);
    if (!sandbox_finqware_authorise(exchange, fields) || sandbox_fault_before(exchange))
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
    struct sandbox_finqware_fields fields = {0};

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
            sandbox_finqware_create(exchange, &fields);
        else if (exchange->endpoint == SANDBOX_ENDPOINT_POLL)
            serve_poll(exchange, &fields);
        else
            serve_consent(exchange, &fields);
    }
    sandbox_fault_after(exchange);
    exchange->consent = NULL;
    json_decref(fields.root);
}
