/* SPDX-License-Identifier: MIT
 * sandbox_control.c - /sandbox/v1/: look at what happened, change the scenario, start over. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox_csv.h"
#include "sandbox/sandbox_state.h"
#include "sandbox/sandbox_webhook.h"

static void answer_json(struct sandbox_exchange *exchange, int status, json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;

    text_clear(&exchange->sandbox->body);
    text_append_string(&exchange->sandbox->body,
                       text != NULL ? text : "{\"error\":\"out of memory\"}");
    text_append_string(&exchange->sandbox->body, "\n");
    sandbox_answer(exchange, text != NULL ? status : 500);
    free(text);
    json_decref(value);
}

static void answer_error(struct sandbox_exchange *exchange, int status, const char *message)
{
    answer_json(exchange, status, json_pack("{s:s}", "error", message));
}

/* "customer/bank" or the whole of a subject's id. */
static bool subject_matches(const struct sandbox *sandbox, const struct sandbox_subject *subject,
                            const char *wanted)
{
    size_t length = strlen(subject->id);

    if (strcmp(subject->id, wanted) == 0)
        return true;
    return subject->api != SANDBOX_API_FINQWARE && subject->label != SANDBOX_NONE &&
           strncmp(subject->id, wanted, length) == 0 && wanted[length] == '/' &&
           strcmp(sandbox_names_text(&sandbox->names, subject->label), wanted + length + 1) == 0;
}

/* One line per job of a consent, customer or customer/bank. */
static void serve_jobs(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    char wanted[320];

    if (!sandbox_http_query(exchange->request, "consent", wanted, sizeof wanted)) {
        answer_error(exchange, 400, "want ?consent=ID");
        return;
    }
    for (uint32_t i = 0; i < sandbox->jobs.subject_count; i++) {
        const struct sandbox_subject *subject = &sandbox->jobs.subjects[i];

        if (!subject_matches(sandbox, subject, wanted))
            continue;
        for (uint32_t job = subject->last_job; job != SANDBOX_NONE;
             job = sandbox->jobs.jobs[job].previous)
            sandbox_ledger_line(sandbox, job, exchange->now_ms, &sandbox->body);
    }
    exchange->answer.content_type = "application/x-ndjson";
    sandbox_answer(exchange, 200);
}

/* A number of the query, or `missing`. */
static uint32_t query_number(const struct sandbox_exchange *exchange, const char *name,
                             uint32_t missing)
{
    char text[16];
    int64_t number;

    if (!sandbox_http_query(exchange->request, name, text, sizeof text) ||
        !integer_parse(text, strlen(text), 0, UINT32_MAX, &number))
        return missing;
    return (uint32_t)number;
}

/* One line per job, oldest first; ?from=N&count=M reads a long ledger in pieces. */
static void serve_ledger(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    uint32_t from = query_number(exchange, "from", 0);
    uint32_t count = query_number(exchange, "count", UINT32_MAX);

    for (uint32_t job = from; job < sandbox->jobs.job_count && job - from < count; job++)
        sandbox_ledger_line(sandbox, job, exchange->now_ms, &sandbox->body);
    exchange->answer.content_type = "application/x-ndjson";
    sandbox_answer(exchange, 200);
}

static void serve_stats(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    json_t *stats = sandbox_stats_json(sandbox, exchange->now_ms);
    char wanted[320];

    if (stats != NULL && sandbox_http_query(exchange->request, "consent", wanted, sizeof wanted)) {
        uint32_t jobs = 0;
        uint32_t creates = 0;
        uint32_t polls = 0;

        for (uint32_t i = 0; i < sandbox->jobs.subject_count; i++) {
            const struct sandbox_subject *subject = &sandbox->jobs.subjects[i];

            if (!subject_matches(sandbox, subject, wanted))
                continue;
            jobs += subject->job_count;
            creates += subject->create_requests;
            polls += subject->poll_requests;
        }
        (void)json_object_set_new(
            stats, "consent",
            json_pack("{s:s, s:I, s:I, s:I}", "id", wanted, "jobs", (json_int_t)jobs,
                      "create_requests", (json_int_t)creates, "poll_requests", (json_int_t)polls));
    }
    answer_json(exchange, 200, stats);
}

/* A storm of refusals starts when its setting arrives. */
static void start_rejections(struct sandbox *sandbox, const json_t *patch, int64_t now_ms)
{
    const char *name;
    json_t *entry;

    json_object_foreach(json_object_get(patch, "accounts"), name, entry)
    {
        const json_t *for_ms = json_object_get(entry, "credentials_rejected_for_ms");

        for (size_t i = 0; for_ms != NULL && i < sandbox->account_count; i++)
            if (strcmp(sandbox->accounts[i]->name, name) == 0)
                sandbox->accounts[i]->rejected_until_ms = now_ms + json_integer_value(for_ms);
    }
}

static void serve_scenario(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    json_t *patch;
    struct sandbox_scenario *changed;
    struct fault fault;

    if (strcmp(exchange->request->method, "GET") == 0) {
        answer_json(exchange, 200, json_incref(sandbox->scenario->document));
        return;
    }
    patch = json_loadb(exchange->request->body, exchange->request->body_length,
                       JSON_REJECT_DUPLICATES, NULL);
    if (sandbox_scenario_merge(sandbox->scenario, patch, &changed, &fault) != RESULT_OK) {
        answer_error(exchange, 400, fault.text);
        json_decref(patch);
        return;
    }
    if (json_object_get(patch, "banks_csv") != NULL && changed->banks_csv != NULL &&
        sandbox_csv_load_banks(sandbox, changed->banks_csv, &fault) != RESULT_OK) {
        answer_error(exchange, 400, fault.text);
        sandbox_scenario_destroy(changed);
        json_decref(patch);
        return;
    }
    sandbox_scenario_destroy(sandbox->scenario);
    sandbox->scenario = changed;
    sandbox->scenario_at_ms = exchange->now_ms;
    if (json_object_get(patch, "faults") != NULL)
        memset(sandbox->fault_next, 0, sizeof sandbox->fault_next);
    sandbox_accounts_refresh(sandbox);
    start_rejections(sandbox, patch, exchange->now_ms);
    json_decref(patch);
    answer_json(exchange, 200, json_pack("{s:b}", "changed", 1));
}

/* Forget every job, count and token; the scenario stays. */
static void serve_reset(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct fault fault;

    sandbox_jobs_deinit(&sandbox->jobs);
    sandbox_jobs_init(&sandbox->jobs);
    sandbox_accounts_reset(sandbox);
    memset(&sandbox->rules, 0, sizeof sandbox->rules);
    memset(sandbox->counts, 0, sizeof sandbox->counts);
    memset(sandbox->refusals, 0, sizeof sandbox->refusals);
    memset(sandbox->faults, 0, sizeof sandbox->faults);
    memset(sandbox->fault_next, 0, sizeof sandbox->fault_next);
    sandbox->refusal_count = 0;
    sandbox->fault_draws = 0;
    sandbox->unwitting = 0;
    sandbox->polls_after_end = 0;
    sandbox->requests = 0;
    sandbox->running = (struct sandbox_gauge){0};
    sandbox->in_flight.peak = sandbox->in_flight.now;
    if (sandbox->scenario->banks_csv != NULL &&
        sandbox_csv_load_banks(sandbox, sandbox->scenario->banks_csv, &fault) != RESULT_OK)
        answer_error(exchange, 500, fault.text);
    else
        answer_json(exchange, 200, json_pack("{s:b}", "reset", 1));
}

/* Bud tells about a consent: {"event": "reauthorised", "customer": ..., "provider": ...,
 * "consent_id": ..., "reason": ...}. */
static void serve_consent_event(struct sandbox_exchange *exchange)
{
    static const char *const known[] = {"revoked", "reconfirmed", "reauthorised"};
    json_t *body = json_loadb(exchange->request->body, exchange->request->body_length, 0, NULL);
    const char *event = json_string_value(json_object_get(body, "event"));
    size_t i = 0;

    while (event != NULL && i < 3 && strcmp(known[i], event) != 0)
        i++;
    if (event == NULL || i == 3)
        answer_error(exchange, 400, "event: want revoked, reconfirmed or reauthorised");
    else if (!sandbox_webhook_consent_event(exchange->sandbox, event,
                                            json_string_value(json_object_get(body, "customer")),
                                            json_string_value(json_object_get(body, "provider")),
                                            json_string_value(json_object_get(body, "consent_id")),
                                            json_string_value(json_object_get(body, "reason"))))
        answer_error(exchange, 400, "the scenario has no bud.webhook_url_consents");
    else
        answer_json(exchange, 200, json_pack("{s:b}", "queued", 1));
    json_decref(body);
}

void sandbox_control_serve(struct sandbox_exchange *exchange)
{
    static const struct {
        const char *path;
        const char *methods;
        void (*serve)(struct sandbox_exchange *exchange);
    } routes[] = {
        {"/sandbox/v1/stats", "GET", serve_stats},
        {"/sandbox/v1/jobs", "GET", serve_jobs},
        {"/sandbox/v1/ledger", "GET", serve_ledger},
        {"/sandbox/v1/scenario", "GET POST", serve_scenario},
        {"/sandbox/v1/reset", "POST", serve_reset},
        {"/sandbox/v1/consent-event", "POST", serve_consent_event},
    };

    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(exchange->request->path, routes[i].path) != 0)
            continue;
        if (strstr(routes[i].methods, exchange->request->method) == NULL)
            answer_error(exchange, 405, routes[i].methods);
        else
            routes[i].serve(exchange);
        return;
    }
    answer_error(exchange, 404,
                 "known here: /sandbox/v1/stats, jobs?consent=ID, ledger, scenario, reset, "
                 "consent-event");
}
