/* SPDX-License-Identifier: MIT
 * webhook_listener.c - see webhook_listener.h. */
#include "daemon/webhook_listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine_internal.h"
#include "daemon/http_in.h"
#include "provider/webhook_parse.h"
#include "provider/webhook_token.h"

#define PATH_PREFIX "/webhooks/"
/* How long a webhook of an unknown job is remembered (design section 9). */
#define UNMATCHED_US (10 * 60 * US_PER_SECOND)

/* A webhook URL taken apart. */
struct target {
    char provider[128];
    const struct api_definition *definition; /* only until the configuration changes */
    bool has_token;
    uint64_t job;
    uint16_t attempt;
};

/* A webhook that is read and not stored yet. */
struct pending {
    struct pending *next;
    struct http_in_exchange *exchange;
    struct target target;
    struct webhook_notice notice;
};

struct webhook_listener {
    struct engine *engine;
    struct http_in *http;
    struct pending *pending; /* oldest first */
    struct pending **last;
    uint32_t pending_count;
    struct mono_time unmatched_until; /* until then a new job id may have been told about */
};

/* HTTP status for a path that is no target, or 0. */
static int parse_target(const struct engine *engine, const char *path, struct target *target)
{
    const char *name = path + strlen(PATH_PREFIX);
    const char *slash;
    uint32_t provider;
    size_t length;

    *target = (struct target){0};
    if (strncmp(path, PATH_PREFIX, strlen(PATH_PREFIX)) != 0)
        return 404;
    slash = strchr(name, '/');
    length = slash == NULL ? strlen(name) : (size_t)(slash - name);
    if (length == 0 || length >= sizeof target->provider)
        return 404;
    memcpy(target->provider, name, length);
    target->provider[length] = '\0';
    provider = config_find_provider(engine->config, target->provider);
    if (provider == UINT32_MAX || !engine->config->provider_settings[provider].completion.webhook)
        return 404;
    target->definition = engine->config->providers[provider].definition;
    if (slash == NULL)
        return 0;
    if (!webhook_token_verify(engine->key, slash + 1, strlen(slash + 1), &target->job,
                              &target->attempt))
        return 401;
    target->has_token = true;
    return 0;
}

/* Have the job polled. `id` is what the provider calls it, told for its attempt `attempt`; NULL:
 * nothing was told. An id is only learned by an attempt that has none: a token does not let anybody
 * rename a job. */
static void prompt(struct engine *engine, struct time_now now, struct job_context *job,
                   uint16_t attempt, const char *id, uint64_t reference_hash)
{
    struct event event = {.kind = EVENT_WEBHOOK};
    struct answer_texts texts = {0};
    struct fault fault;

    event.as.webhook.job_slot = job->job_slot;
    if (id == NULL || attempt != job->attempt || job_context_has_reference(job)) {
        engine_put_event(engine, now, &event, NULL, 0);
        return;
    }
    if (job_context_tell(job, id, &fault) != RESULT_OK) {
        engine_fail(engine, &fault);
        return;
    }
    event.as.webhook.reference_hash = reference_hash;
    (void)snprintf(texts.provider_job_id, sizeof texts.provider_job_id, "%s", id);
    engine_put_event(engine, now, &event, &texts, 0);
}

/* Prompt whatever live jobs the notice is about; false when there is none. */
static bool prompt_jobs(struct engine *engine, struct time_now now, const struct target *target,
                        const struct webhook_notice *notice)
{
    const struct webhook_job *told = notice->job_count > 0 ? &notice->jobs[0] : NULL;
    bool is_matched = false;

    if (target->has_token) {
        struct job_context *job = job_contexts_find_job(&engine->jobs, target->job);

        if (job == NULL || strcmp(job->link->settings->name, target->provider) != 0)
            return false;
        if (told == NULL || told->is_child)
            prompt(engine, now, job, target->attempt, NULL, 0);
        else
            prompt(engine, now, job, target->attempt, told->id, told->reference_hash);
        return true;
    }
    for (uint32_t i = 0; i < notice->job_count; i++) {
        struct job_context *job =
            job_contexts_find_reference(&engine->jobs, notice->jobs[i].reference_hash);

        if (job != NULL && strcmp(job->link->settings->name, target->provider) == 0) {
            prompt(engine, now, job, job->attempt, NULL, 0);
            is_matched = true;
        }
    }
    return is_matched;
}

/* ---- consents ---- */

struct news {
    struct engine *engine;
    struct time_now now;
    const struct webhook_notice *notice;
    bool is_verified;
};

static void tell_consent(const struct news *news, uint32_t number, bool is_verified)
{
    struct event event = {.kind = EVENT_CONSENT};

    event.as.consent.consent = number;
    event.as.consent.is_verified = is_verified;
    event.as.consent.verdict =
        news->notice->kind == API_EVENT_HOLD ? LOOK_UP_RECONNECT : LOOK_UP_ACTIVE;
    event.as.consent.expires = news->notice->expires;
    engine_put_event(news->engine, news->now, &event, NULL, 0);
}

/* Of a customer's consents those at the bank that is told. One without a bank stands for all of
 * them, so what happened at one is only a reason to ask. */
static void tell_customers(void *context, uint32_t number, const struct consent_view *view)
{
    const struct news *news = context;
    const char *institution = news->notice->institution;
    bool has_none = strcmp(view->institution_name, "-") == 0;

    if (view->customer_is_own_id)
        return; /* they tell their own id of the customer, and we know ours */
    if (institution[0] == '\0' || has_none)
        tell_consent(news, number, false);
    else if (strcmp(view->institution_name, institution) == 0)
        tell_consent(news, number, news->is_verified);
}

/* A webhook about a consent: by its id, where we call it as its provider does, else by customer. */
static void tell_consents(struct engine *engine, struct time_now now, const struct target *target,
                          const struct webhook_notice *notice, bool is_verified)
{
    struct news news = {engine, now, notice, is_verified};
    uint32_t provider = config_find_provider(engine->config, target->provider);
    char name[sizeof target->provider + WEBHOOK_ID_BYTES_MAX + 2];
    uint32_t number;
    struct fault fault;

    if (provider == UINT32_MAX)
        return;
    (void)snprintf(name, sizeof name, "%s/%s", target->provider, notice->consent);
    number =
        notice->consent[0] == '\0' ? 0 : population_find(&engine->population, engine->config, name);
    if (number != 0)
        tell_consent(&news, number, is_verified);
    else if (population_each_of_customer(&engine->population, provider, notice->customer,
                                         tell_customers, &news, &fault) != RESULT_OK)
        log_fault(engine->log, now.utc, LOG_WARNING, "webhook_not_followed", &fault);
}

static void answer(struct http_in_exchange *exchange, int status)
{
    if (status == 204)
        http_in_respond(exchange, &(struct http_in_answer){.status = 204, .body = ""});
    else
        http_in_respond_text(exchange, status,
                             status == 401   ? "this token was not made here"
                             : status == 404 ? "no such webhook"
                             : status == 405 ? "webhooks are POSTed"
                             : status == 400 ? "the body cannot be read"
                                             : "not stored, try again later");
}

/* HTTP status of a refusal, or 0: it waits for webhook_listener_store. */
static int take_webhook(struct webhook_listener *listener, struct http_in_exchange *exchange,
                        const struct http_in_request *request)
{
    struct engine *engine = listener->engine;
    struct target target;
    struct pending *pending;
    struct fault fault;
    int status;

    if (request->method != HTTP_IN_POST)
        return 405;
    status = parse_target(engine, request->path, &target);
    if (status != 0)
        return status;
    pending = malloc(sizeof *pending);
    if (pending == NULL)
        return 503;
    if (webhook_parse(target.definition, request->body, request->body_length, &pending->notice,
                      &fault) != RESULT_OK) {
        log_fault(engine->log, clock_now().utc, LOG_WARNING, "webhook_unreadable", &fault);
        free(pending);
        return 400;
    }
    pending->next = NULL;
    pending->exchange = exchange;
    pending->target = target;
    *listener->last = pending;
    listener->last = &pending->next;
    listener->pending_count++;
    return 0;
}

static void on_request(void *context, struct http_in_exchange *exchange,
                       const struct http_in_request *request)
{
    int status = take_webhook(context, exchange, request);

    if (status != 0)
        answer(exchange, status);
}

/* One transaction for all that came in since the last turn. False: nothing is stored. */
static bool store_pending(struct webhook_listener *listener, struct time_now now)
{
    struct engine *engine = listener->engine;
    struct webhook_row *rows = calloc(listener->pending_count, sizeof *rows);
    struct fault fault;
    uint32_t count = 0;
    bool is_stored = false;

    if (rows == NULL)
        return false;
    for (const struct pending *pending = listener->pending; pending != NULL;
         pending = pending->next)
        rows[count++] = (struct webhook_row){
            .provider = pending->target.provider,
            .job = pending->target.job,
            .attempt = pending->target.attempt,
            .provider_job_id = pending->notice.job_count > 0 ? pending->notice.jobs[0].id : NULL,
            .status = pending->notice.status,
        };
    if (state_store_webhooks(engine->store, now.utc, rows, count, &fault) == RESULT_OK)
        is_stored = true;
    else if (fault.code == FAULT_TEMPORARY)
        log_fault(engine->log, now.utc, LOG_ERROR, "webhooks_not_stored", &fault);
    else
        engine_fail(engine, &fault);
    free(rows);
    return is_stored;
}

/* What is stored is acted on. Signatures are not looked at here, so all of it is a hint. */
static void follow(struct webhook_listener *listener, struct time_now now,
                   const struct pending *pending)
{
    switch (pending->notice.kind) {
    case API_EVENT_JOB:
        if (!prompt_jobs(listener->engine, now, &pending->target, &pending->notice))
            listener->unmatched_until = mono_add_us(now.mono, UNMATCHED_US);
        break;
    case API_EVENT_HOLD:
    case API_EVENT_RELEASE:
        tell_consents(listener->engine, now, &pending->target, &pending->notice, false);
        break;
    case API_EVENT_IGNORE: break;
    }
}

void webhook_listener_store(struct webhook_listener *listener, struct time_now now)
{
    struct pending *pending;
    bool is_stored;

    if (listener == NULL || listener->pending == NULL)
        return;
    is_stored = store_pending(listener, now);
    while ((pending = listener->pending) != NULL) {
        listener->pending = pending->next;
        if (is_stored)
            follow(listener, now, pending);
        answer(pending->exchange, is_stored ? 204 : 503);
        free(pending);
    }
    listener->last = &listener->pending;
    listener->pending_count = 0;
}

/* What was stored before a crash still tells the ids of jobs that are in doubt. */
static void told_before(void *context, uint64_t number, uint16_t attempt,
                        const char *provider_job_id)
{
    struct engine *engine = context;
    struct job_context *job = job_contexts_find_job(&engine->jobs, number);

    if (job != NULL && !job_context_has_reference(job))
        prompt(engine, clock_now(), job, attempt, provider_job_id,
               classify_reference_hash(provider_job_id));
}

enum result webhook_listener_open(struct engine *engine, struct webhook_listener **out,
                                  struct fault *fault)
{
    struct webhook_listener *listener = calloc(1, sizeof *listener);
    const struct http_in_settings settings = {.address = engine->config->http.webhook_listen};
    struct http_in_handler handler = {.on_request = on_request};
    struct time_now now = clock_now();

    if (listener == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    listener->engine = engine;
    listener->last = &listener->pending;
    /* What came in before a restart may still be about jobs whose id we do not know. */
    listener->unmatched_until = mono_add_us(now.mono, UNMATCHED_US);
    handler.context = listener;
    if (http_in_create(engine->loop, &settings, &handler, &listener->http, fault) != RESULT_OK) {
        free(listener);
        return fault_prefix(fault, "http.webhooks.listen");
    }
    if (state_store_webhooks_told(engine->store, told_before, engine, fault) != RESULT_OK) {
        http_in_destroy(listener->http);
        free(listener);
        return RESULT_FAULT;
    }
    log_begin(engine->log, now.utc, LOG_INFO, "webhooks_listening");
    log_text(engine->log, "address", http_in_bound(listener->http));
    log_end(engine->log);
    *out = listener;
    return RESULT_OK;
}

void webhook_listener_close(struct webhook_listener *listener)
{
    if (listener == NULL)
        return;
    while (listener->pending != NULL) {
        struct pending *pending = listener->pending;

        listener->pending = pending->next;
        free(pending);
    }
    http_in_destroy(listener->http);
    free(listener);
}

void webhook_listener_match(struct webhook_listener *listener, struct time_now now,
                            struct job_context *job, const char *id)
{
    if (listener == NULL || now.mono.us >= listener->unmatched_until.us)
        return;
    if (state_store_webhook_seen(listener->engine->store, now.utc, job->link->settings->name, id))
        prompt(listener->engine, now, job, job->attempt, NULL, 0);
}
