/* SPDX-License-Identifier: MIT
 * engine_effects.c - effects become requests, answers become events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/secret.h"
#include "daemon/engine_internal.h"
#include "daemon/webhook_listener.h"
#include "provider/webhook_token.h"

#define CUSTOMER_SECRET_BYTES_MAX ((size_t)16 * 1024)

static struct request_value value_of(const char *text)
{
    return (struct request_value){text, strlen(text)};
}

/* Where the provider may tell us of this attempt; "" without webhooks. */
static void callback_url_of(const struct engine *engine, const struct job_context *job, char *url,
                            size_t url_size)
{
    const struct config *config = job->link->config;
    char token[WEBHOOK_TOKEN_SIZE];

    url[0] = '\0';
    if (!config->provider_settings[job->link->index].completion.webhook ||
        config->http.webhook_public_url == NULL ||
        job->link->definition->webhook.url != API_WEBHOOK_PER_REQUEST)
        return;
    webhook_token_make(engine->key, job->job, job->attempt, token);
    (void)snprintf(url, url_size, "%s/webhooks/%s/%s", config->http.webhook_public_url,
                   job->link->settings->name, token);
}

/* The customer's own secret: the consent's, else the provider's template; read at send. */
static enum result read_customer_secret(const struct job_context *job, struct text *secret,
                                        struct fault *fault)
{
    const struct secret_reference *reference = &job->customer_secret;

    if (!job->link->definition->uses_customer_secret)
        return RESULT_OK;
    if (reference->kind == SECRET_NONE)
        reference = &job->link->settings->customer_secret;
    if (reference->kind == SECRET_NONE)
        return RESULT_OK;
    return secret_read(reference, job->customer, secret, fault);
}

static void job_variables(const struct engine *engine, const struct job_context *job,
                          const struct text *customer_secret, const char *callback_url,
                          struct utc_time now, struct request_variables *variables)
{
    uint32_t index = engine_link_index(engine, job->link);

    provider_link_variables(job->link, now, variables);
    /* After a reload, work in flight goes on with its old account but the newest credentials. */
    if (index != UINT32_MAX && engine->links[index] != job->link)
        provider_link_newest_credentials(engine->links[index], job->link, variables);
    variables->values[API_VARIABLE_CONSENT_ID] = value_of(job->id);
    variables
        ->values[job->customer_is_own_id ? API_VARIABLE_CUSTOMER_OWN_ID : API_VARIABLE_CUSTOMER] =
        value_of(job->customer);
    variables->values[API_VARIABLE_INSTITUTION] = value_of(job->institution);
    variables->values[API_VARIABLE_CALLBACK_URL] = value_of(callback_url);
    if (job->provider_job_id != NULL)
        variables->values[API_VARIABLE_JOB_ID] = value_of(job->provider_job_id);
    if (customer_secret->length > 0)
        variables->values[API_VARIABLE_CUSTOMER_SECRET] =
            (struct request_value){customer_secret->bytes, customer_secret->length};
    if (job->look_back_ms >= 0)
        variables->from = utc_add_ms(now, -job->look_back_ms);
    if (job->look_until_ms >= 0)
        variables->to = utc_add_ms(now, -job->look_until_ms);
}

static void queue_answer(struct engine *engine, struct time_now now, const struct flight *flight,
                         const struct answer *answer, const struct answer_texts *texts,
                         int http_status)
{
    struct event event = {.kind = EVENT_ANSWER};

    event.as.answer.job_slot = flight->job_slot;
    event.as.answer.consent = flight->consent;
    event.as.answer.request = flight->kind;
    event.as.answer.answer = *answer;
    engine_put_event(engine, now, &event, texts, http_status);
}

/* Nothing was sent, because of us: the job hears it like any answer, and an operator reads why. */
static void answer_unsent(struct engine *engine, struct time_now now, const struct flight *flight,
                          const struct fault *fault)
{
    struct answer_texts texts = {0};
    struct answer answer = ANSWER_NONE;
    bool may_pass = fault->code == FAULT_TEMPORARY;

    answer.class_ = may_pass ? CLASS_TRANSPORT : CLASS_CONFIG_ERROR;
    answer.reason = may_pass ? REASON_TRANSPORT : REASON_CONFIGURATION;
    (void)snprintf(texts.error_message, sizeof texts.error_message, "not sent: %.480s",
                   fault->text);
    if (flight->kind == REQUEST_INSTITUTIONS) {
        struct event event = {.kind = EVENT_INSTITUTIONS};

        event.as.institutions.provider = engine_link_index(engine, flight->link);
        event.as.institutions.answer = answer;
        engine_put_event(engine, now, &event, NULL, 0);
    } else if (flight->kind == REQUEST_TOKEN) {
        struct event event = {.kind = EVENT_TOKEN};

        event.as.token.provider = engine_link_index(engine, flight->link);
        event.as.token.retry_after_ms = -1;
        engine_put_event(engine, now, &event, NULL, 0);
    } else {
        queue_answer(engine, now, flight, &answer, &texts, 0);
    }
    log_begin(engine->log, now.utc, LOG_ERROR, "request_not_sent");
    log_text(engine->log, "provider", flight->link->settings->name);
    log_text(engine->log, "error", fault->text);
    log_end(engine->log);
}

static struct flight *flight_create(struct engine *engine, const struct effect *effect,
                                    struct provider_link *link)
{
    struct flight *flight = calloc(1, sizeof *flight);

    REQUIRE(flight != NULL);
    flight->engine = engine;
    flight->kind = effect->request;
    flight->job_slot = effect->job_slot;
    flight->job = effect->job;
    flight->attempt = effect->attempt;
    flight->consent = effect->consent;
    flight->link = provider_link_retain(link);
    text_init(&flight->customer_secret, CUSTOMER_SECRET_BYTES_MAX);
    flight->next = engine->open_flights;
    if (flight->next != NULL)
        flight->next->prev = flight;
    engine->open_flights = flight;
    return flight;
}

/* Flights end inside callbacks of the transport, where a link's client must not be closed. */
static void flight_end(struct flight *flight)
{
    if (flight->prev != NULL)
        flight->prev->next = flight->next;
    else
        flight->engine->open_flights = flight->next;
    if (flight->next != NULL)
        flight->next->prev = flight->prev;
    flight->next = flight->engine->ended_flights;
    flight->engine->ended_flights = flight;
}

void engine_free_ended_flights(struct engine *engine)
{
    while (engine->ended_flights != NULL) {
        struct flight *flight = engine->ended_flights;

        engine->ended_flights = flight->next;
        text_wipe(&flight->customer_secret);
        provider_link_release(flight->link);
        free(flight);
    }
}

void engine_drop_flights(struct engine *engine)
{
    while (engine->open_flights != NULL) {
        struct flight *flight = engine->open_flights;

        (void)transport_cancel(flight->link->client, flight);
        flight_end(flight);
    }
    engine_free_ended_flights(engine);
}

static enum result build_and_send(struct engine *engine, struct time_now now, struct flight *flight,
                                  const struct job_context *job, struct fault *fault)
{
    struct request *request = &engine->request;
    struct request_variables variables;
    struct transport_request transport_request;
    char callback_url[1024];
    enum result result;

    if (job != NULL) {
        callback_url[0] = '\0';
        if (flight->kind == REQUEST_INITIATE) {
            callback_url_of(engine, job, callback_url, sizeof callback_url);
            if (read_customer_secret(job, &flight->customer_secret, fault) != RESULT_OK)
                return RESULT_FAULT;
        }
        job_variables(engine, job, &flight->customer_secret, callback_url, now.utc, &variables);
    } else {
        provider_link_variables(flight->link, now.utc, &variables);
    }
    if (request_build(flight->link->plan, flight->kind, &variables, request, fault) != RESULT_OK)
        return RESULT_FAULT;
    transport_request = (struct transport_request){
        .method = request->method,
        .url = request->url.bytes,
        .headers = request->header_lines,
        .header_count = request->header_count,
        .body = request->has_body ? (request->body.length > 0 ? request->body.bytes : "") : NULL,
        .body_length = request->body.length,
        .user = flight,
    };
    result = transport_send(flight->link->client, &transport_request, fault);
    request_clear(request);
    return result;
}

/* What a look-up without a job says of its consent; `view` holds the texts. False: the consent is
 * gone. */
static bool look_up_context(const struct engine *engine, uint32_t consent,
                            struct provider_link *link, struct consent_view *view,
                            struct job_context *context)
{
    if (!population_get(&engine->population, consent, view))
        return false;
    *context = (struct job_context){
        .consent = consent,
        .link = link,
        .id = view->id,
        .customer = view->customer,
        .institution = strcmp(view->institution_name, "-") == 0 ? "" : view->institution_name,
        .customer_is_own_id = view->customer_is_own_id,
        .look_back_ms = -1,
        .look_until_ms = -1,
    };
    return true;
}

static void perform_look_up(struct engine *engine, struct time_now now, const struct effect *effect)
{
    struct consent_view view;
    struct job_context context;
    struct flight *flight;
    struct fault fault;

    REQUIRE(effect->provider < engine->link_count);
    flight = flight_create(engine, effect, engine->links[effect->provider]);
    if (!look_up_context(engine, effect->consent, flight->link, &view, &context))
        (void)fault_set(&fault, FAULT_TEMPORARY, "the consent was removed meanwhile");
    else if (build_and_send(engine, now, flight, &context, &fault) == RESULT_OK)
        return;
    answer_unsent(engine, now, flight, &fault);
    flight_end(flight);
}

void engine_perform(struct engine *engine, struct time_now now, const struct effect *effect)
{
    struct job_context *job = NULL;
    struct provider_link *link;
    struct flight *flight;
    struct fault fault;

    if (effect->request == REQUEST_LOOK_UP && effect->job_slot == NO_JOB) {
        perform_look_up(engine, now, effect);
        return;
    }
    if (effect->request == REQUEST_TOKEN || effect->request == REQUEST_INSTITUTIONS) {
        REQUIRE(effect->provider < engine->link_count);
        link = engine->links[effect->provider];
    } else {
        job = job_contexts_get(&engine->jobs, effect->job_slot, effect->job);
        REQUIRE(job != NULL);
        link = job->link;
        if (effect->request == REQUEST_INITIATE)
            job->attempt = effect->attempt;
    }
    flight = flight_create(engine, effect, link);
    if (build_and_send(engine, now, flight, job, &fault) != RESULT_OK) {
        answer_unsent(engine, now, flight, &fault);
        flight_end(flight);
    }
}

void engine_on_sent(void *user, struct time_now at)
{
    struct flight *flight = user;
    struct event event = {.kind = EVENT_SENT};

    event.as.sent.job_slot = flight->job_slot;
    event.as.sent.provider = engine_link_index(flight->engine, flight->link);
    event.as.sent.request = flight->kind;
    event.as.sent.consent = flight->consent;
    event.as.sent.at = at.mono;
    event.as.sent.at_utc = at.utc;
    engine_put_event(flight->engine, at, &event, NULL, 0);
}

static struct http_answer http_answer_of(const struct transport_answer *transport)
{
    return (struct http_answer){
        .status = transport->http_status,
        .body = transport->body,
        .body_length = transport->body_length,
        .retry_after = transport->retry_after,
        .request_id = transport->request_id,
    };
}

static struct transport_failure failure_of(const struct transport_answer *transport)
{
    return (struct transport_failure){
        .reached_socket = transport->reached_socket,
        .is_oversized =
            transport->error == TRANSPORT_TOO_LARGE || transport->error == TRANSPORT_HEADER_LIMIT,
        .is_malformed = transport->error == TRANSPORT_PROTOCOL,
        .status = transport->http_status,
        .retry_after = transport->retry_after,
        .description = transport->detail[0] != '\0' ? transport->detail
                                                    : transport_error_text(transport->error),
    };
}

static void classify(const struct flight *flight, const struct transport_answer *transport,
                     const struct request_variables *ours, struct answer *answer,
                     struct answer_texts *texts)
{
    if (transport->error == TRANSPORT_OK) {
        const struct http_answer http = http_answer_of(transport);

        classify_answer(flight->link->definition, flight->kind, &http, ours,
                        transport->answered.utc, answer, texts);
    } else {
        const struct transport_failure failure = failure_of(transport);

        classify_transport(&failure, ours, transport->answered.utc, answer, texts);
    }
    answer->reached_socket = transport->reached_socket;
}

/* A reload may have happened since the token was asked for: the account in force gets it too. */
static void keep_token(struct engine *engine, struct provider_link *link,
                       const struct text *access_token)
{
    uint32_t index = engine_link_index(engine, link);

    provider_link_set_token(link, access_token);
    if (index != UINT32_MAX && engine->links[index] != link)
        provider_link_set_token(engine->links[index], access_token);
}

static void token_answered(struct flight *flight, const struct transport_answer *transport)
{
    struct engine *engine = flight->engine;
    struct provider_link *link = flight->link;
    struct request_variables ours;
    struct answer_texts texts = {0};
    struct token_answer token = {0};
    struct event event = {.kind = EVENT_TOKEN};
    const struct http_answer http = http_answer_of(transport);

    provider_link_variables(link, transport->answered.utc, &ours);
    text_init(&token.access_token, (size_t)64 * 1024);
    token.answer.retry_after_ms = -1;
    if (transport->error == TRANSPORT_OK)
        classify_token(link->definition, link->mode, &http, &ours, transport->answered.utc, &token,
                       &texts);
    else
        (void)snprintf(texts.error_message, sizeof texts.error_message, "%s",
                       transport->detail[0] != '\0' ? transport->detail
                                                    : transport_error_text(transport->error));
    if (!token.is_granted)
        engine_credentials_refused(flight->link, transport->http_status, &texts);
    else
        keep_token(engine, link, &token.access_token);
    log_begin(engine->log, transport->answered.utc, token.is_granted ? LOG_INFO : LOG_WARNING,
              token.is_granted ? "token_granted" : "token_refused");
    log_text(engine->log, "provider", link->settings->name);
    if (token.is_granted) {
        log_integer(engine->log, "lifetime_s", token.lifetime_ms / MS_PER_SECOND);
    } else {
        log_integer(engine->log, "http_status", transport->http_status);
        log_text(engine->log, "code", texts.error_code[0] == '\0' ? NULL : texts.error_code);
        log_text(engine->log, "error", texts.error_message[0] == '\0' ? NULL : texts.error_message);
    }
    log_end(engine->log);
    text_wipe(&token.access_token);
    event.as.token.provider = engine_link_index(engine, link);
    event.as.token.is_granted = token.is_granted;
    event.as.token.reached_socket = transport->reached_socket;
    event.as.token.lifetime_ms = token.lifetime_ms;
    event.as.token.retry_after_ms = token.answer.retry_after_ms;
    if (event.as.token.provider != UINT32_MAX)
        engine_put_event(engine, transport->answered, &event, NULL, 0);
}

/* What a webhook told before the answer came counts where the answer says nothing, and what the
 * provider calls our institution's part of the job is what its webhooks will call it. */
static void note_job_ids(struct engine *engine, struct time_now now, const struct flight *flight,
                         struct job_context *job, struct answer_texts *texts)
{
    if (flight->kind == REQUEST_INITIATE && texts->provider_job_id[0] == '\0' &&
        job->told_id != NULL && job->told_attempt == flight->attempt)
        (void)snprintf(texts->provider_job_id, sizeof texts->provider_job_id, "%s", job->told_id);
    if (texts->child_job_id[0] != '\0') {
        uint64_t hash = classify_reference_hash(texts->child_job_id);

        if (hash != job->child_hash) {
            job_contexts_set_child(&engine->jobs, job, hash);
            webhook_listener_match(engine->webhooks, now, job, texts->child_job_id);
        }
    }
}

/* The answer to a look-up without a job. One about a consent that is gone says nothing any more. */
static void look_up_answered(struct flight *flight, const struct transport_answer *transport)
{
    struct engine *engine = flight->engine;
    struct consent_view view;
    struct job_context context;
    struct request_variables ours;
    struct answer answer = ANSWER_NONE;
    struct answer_texts texts = {0};

    answer.reached_socket = transport->reached_socket;
    if (look_up_context(engine, flight->consent, flight->link, &view, &context)) {
        job_variables(engine, &context, &flight->customer_secret, "", transport->answered.utc,
                      &ours);
        classify(flight, transport, &ours, &answer, &texts);
    }
    log_begin(engine->log, transport->answered.utc, LOG_DEBUG, "consent_looked_up");
    log_text(engine->log, "provider", flight->link->settings->name);
    log_integer(engine->log, "http_status", transport->http_status);
    log_text(engine->log, "code", texts.error_code[0] == '\0' ? NULL : texts.error_code);
    log_end(engine->log);
    queue_answer(engine, transport->answered, flight, &answer, &texts, transport->http_status);
}

void engine_on_answer(void *user, const struct transport_answer *transport)
{
    struct flight *flight = user;
    struct engine *engine = flight->engine;
    struct job_context *job;
    struct request_variables ours;
    struct answer answer;
    struct answer_texts texts = {0};

    if (flight->kind == REQUEST_TOKEN) {
        token_answered(flight, transport);
        flight_end(flight);
        return;
    }
    if (flight->kind == REQUEST_INSTITUTIONS) {
        const struct http_answer http = http_answer_of(transport);
        const struct transport_failure failure = failure_of(transport);

        engine_institutions_answered(engine, transport->answered, flight->link, &http,
                                     transport->error == TRANSPORT_OK ? NULL : &failure,
                                     transport->reached_socket);
        flight_end(flight);
        return;
    }
    if (flight->job_slot == NO_JOB) {
        look_up_answered(flight, transport);
        flight_end(flight);
        return;
    }
    job = job_contexts_get(&engine->jobs, flight->job_slot, flight->job);
    if (job != NULL) {
        job_variables(engine, job, &flight->customer_secret, "", transport->answered.utc, &ours);
        classify(flight, transport, &ours, &answer, &texts);
        if (answer.class_ == CLASS_CREDENTIALS)
            engine_credentials_refused(flight->link, transport->http_status, &texts);
        note_job_ids(engine, transport->answered, flight, job, &texts);
        queue_answer(engine, transport->answered, flight, &answer, &texts, transport->http_status);
    }
    flight_end(flight);
}
