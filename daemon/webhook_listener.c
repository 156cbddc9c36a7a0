/* SPDX-License-Identifier: MIT
 * webhook_listener.c - see webhook_listener.h. */
#include "daemon/webhook_listener.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/engine_internal.h"
#include "daemon/http_in.h"
#include "provider/webhook_parse.h"
#include "provider/webhook_token.h"

#define PATH_PREFIX "/webhooks/"
/* How long a webhook of an unknown job is remembered (design section 9). */
#define UNMATCHED_US (10 * 60 * US_PER_SECOND)

struct webhook_listener {
    struct engine *engine;
    struct http_in *http;
    struct mono_time unmatched_until; /* until then a new job id may have been told about */
};

/* A webhook URL taken apart. */
struct target {
    uint32_t provider;
    bool has_token;
    uint64_t job;
    uint16_t attempt;
};

/* HTTP status for a path that is no target, or 0. */
static int parse_target(const struct engine *engine, const char *path, struct target *target)
{
    const char *name = path + strlen(PATH_PREFIX);
    const char *slash;
    char provider[128];
    size_t length;

    *target = (struct target){0};
    if (strncmp(path, PATH_PREFIX, strlen(PATH_PREFIX)) != 0)
        return 404;
    slash = strchr(name, '/');
    length = slash == NULL ? strlen(name) : (size_t)(slash - name);
    if (length == 0 || length >= sizeof provider)
        return 404;
    memcpy(provider, name, length);
    provider[length] = '\0';
    target->provider = config_find_provider(engine->config, provider);
    if (target->provider == UINT32_MAX ||
        !engine->config->provider_settings[target->provider].completion.webhook)
        return 404;
    if (slash == NULL)
        return 0;
    if (!webhook_token_verify(engine->key, slash + 1, strlen(slash + 1), &target->job,
                              &target->attempt))
        return 401;
    target->has_token = true;
    return 0;
}

static void prompt(struct engine *engine, struct time_now now, const struct job_context *job,
                   const struct webhook_job *told)
{
    struct event event = {.kind = EVENT_WEBHOOK};
    struct answer_texts texts = {0};

    event.as.webhook.job_slot = job->job_slot;
    /* An id is only learned by a job that has none: a token does not let anybody rename a job. */
    if (told != NULL && job->reference_hash == 0) {
        event.as.webhook.reference_hash = told->reference_hash;
        memcpy(texts.provider_job_id, told->id, sizeof texts.provider_job_id);
    }
    engine_put_event(engine, now, &event, event.as.webhook.reference_hash == 0 ? NULL : &texts, 0);
}

/* Prompt whatever live jobs the notice is about; false when there is none. */
static bool prompt_jobs(struct engine *engine, struct time_now now, const struct target *target,
                        const struct webhook_notice *notice)
{
    const char *provider = engine->config->providers[target->provider].name;
    bool is_matched = false;

    if (target->has_token) {
        const struct job_context *job = job_contexts_find_job(&engine->jobs, target->job);

        if (job != NULL && strcmp(job->link->settings->name, provider) == 0) {
            prompt(engine, now, job, notice->job_count > 0 ? &notice->jobs[0] : NULL);
            is_matched = true;
        }
        return is_matched;
    }
    for (uint32_t i = 0; i < notice->job_count; i++) {
        const struct job_context *job =
            job_contexts_find_reference(&engine->jobs, notice->jobs[i].reference_hash);

        if (job != NULL && strcmp(job->link->settings->name, provider) == 0) {
            prompt(engine, now, job, NULL);
            is_matched = true;
        }
    }
    return is_matched;
}

static int take_webhook(struct webhook_listener *listener, const struct http_in_request *request)
{
    struct engine *engine = listener->engine;
    struct time_now now = clock_now();
    struct webhook_notice notice;
    struct target target;
    struct fault fault;
    int status;

    if (request->method != HTTP_IN_POST)
        return 405;
    status = parse_target(engine, request->path, &target);
    if (status != 0)
        return status;
    if (webhook_parse(engine->config->providers[target.provider].definition, request->body,
                      request->body_length, &notice, &fault) != RESULT_OK) {
        log_fault(engine->log, now.utc, LOG_WARNING, "webhook_unreadable", &fault);
        return 400;
    }
    if (state_store_webhook(engine->store, now.utc, engine->config->providers[target.provider].name,
                            target.job, target.attempt,
                            notice.job_count > 0 ? notice.jobs[0].id : NULL, notice.status,
                            &fault) != RESULT_OK) {
        log_fault(engine->log, now.utc, LOG_ERROR, "webhook_not_stored", &fault);
        return 503;
    }
    if (notice.kind == API_EVENT_JOB && !prompt_jobs(engine, now, &target, &notice))
        listener->unmatched_until = mono_add_us(now.mono, UNMATCHED_US);
    return 204;
}

static void on_request(void *context, struct http_in_exchange *exchange,
                       const struct http_in_request *request)
{
    int status = take_webhook(context, request);

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
    /* What came in before a restart may still be about jobs whose id we do not know. */
    listener->unmatched_until = mono_add_us(now.mono, UNMATCHED_US);
    handler.context = listener;
    if (http_in_create(engine->loop, &settings, &handler, &listener->http, fault) != RESULT_OK) {
        free(listener);
        return fault_prefix(fault, "http.webhooks.listen");
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
    http_in_destroy(listener->http);
    free(listener);
}

void webhook_listener_match(struct webhook_listener *listener, struct time_now now,
                            const struct job_context *job)
{
    if (listener == NULL || now.mono.us >= listener->unmatched_until.us)
        return;
    if (state_store_webhook_seen(listener->engine->store, now.utc, job->link->settings->name,
                                 job->provider_job_id))
        prompt(listener->engine, now, job, NULL);
}
