/* SPDX-License-Identifier: MIT
 * sandbox.c - the life of the sandbox, and which part serves which path. */
#include "sandbox/sandbox.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sandbox/sandbox_csv.h"
#include "sandbox/sandbox_jws.h"
#include "sandbox/sandbox_state.h"
#include "sandbox/sandbox_webhook.h"

struct route {
    const char *path; /* a final '/' means: and one more segment */
    enum sandbox_api api;
    enum sandbox_endpoint endpoint;
};

static const struct route finqware_routes[] = {
    {"/v2/ais/jobs/create", SANDBOX_API_FINQWARE, SANDBOX_ENDPOINT_CREATE},
    {"/v2/ais/jobs/get", SANDBOX_API_FINQWARE, SANDBOX_ENDPOINT_POLL},
    {"/v2/ais/consents/get", SANDBOX_API_FINQWARE, SANDBOX_ENDPOINT_CONSENTS},
    {"/oauth/token", SANDBOX_API_FINQWARE, SANDBOX_ENDPOINT_TOKEN},
    {"/.well-known/jwks.json", SANDBOX_API_FINQWARE, SANDBOX_ENDPOINT_JWKS},
    {NULL, SANDBOX_API_FINQWARE, SANDBOX_ENDPOINT_OTHER},
};

static const struct route bud_routes[] = {
    {"/v1/open-banking/refresh", SANDBOX_API_BUD_V1, SANDBOX_ENDPOINT_CREATE},
    {"/v1/open-banking/refresh/", SANDBOX_API_BUD_V1, SANDBOX_ENDPOINT_POLL},
    {"/open-banking/v2/refresh", SANDBOX_API_BUD_V2, SANDBOX_ENDPOINT_CREATE},
    {"/open-banking/v2/refresh/", SANDBOX_API_BUD_V2, SANDBOX_ENDPOINT_POLL},
    {"/v1/oauth/token", SANDBOX_API_BUD, SANDBOX_ENDPOINT_TOKEN},
    {"/v1/open-banking/account-access-consents", SANDBOX_API_BUD, SANDBOX_ENDPOINT_CONSENTS},
    {"/v1/open-banking/providers", SANDBOX_API_BUD, SANDBOX_ENDPOINT_PROVIDERS},
    {"/bud-callback.jwks", SANDBOX_API_BUD, SANDBOX_ENDPOINT_JWKS},
    {NULL, SANDBOX_API_BUD, SANDBOX_ENDPOINT_OTHER},
};

static bool route_matches(const struct route *route, const char *rest)
{
    size_t length = strlen(route->path);

    if (route->path[length - 1] != '/')
        return strcmp(route->path, rest) == 0;
    return strncmp(route->path, rest, length) == 0 && rest[length] != '\0' &&
           strchr(rest + length, '/') == NULL;
}

/* Account, API and endpoint of the path; false when the first segment names no account. */
static bool find_route(struct sandbox_exchange *exchange)
{
    const char *name = exchange->request->path + 1;
    size_t length = strcspn(name, "/");
    const struct route *route;

    exchange->account = sandbox_account_find(exchange->sandbox, name, length);
    if (exchange->account == NULL)
        return false;
    exchange->rest = name + length;
    route = exchange->account->is_bud ? bud_routes : finqware_routes;
    while (route->path != NULL && !route_matches(route, exchange->rest))
        route++;
    exchange->api = route->api;
    exchange->endpoint = route->endpoint;
    return true;
}

static void serve_account(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;

    sandbox->requests++;
    sandbox->counts[exchange->api][exchange->endpoint].requests++;
    if (exchange->endpoint == SANDBOX_ENDPOINT_JWKS) {
        sandbox_jws_write_keys(sandbox->keys,
                               exchange->account->is_bud ? SANDBOX_KEYS_BUD : SANDBOX_KEYS_FINQWARE,
                               sandbox->scenario->webhook.algorithm, &sandbox->body);
        sandbox_answer(exchange, 200);
        return;
    }
    if (exchange->account->is_bud) {
        char id[SANDBOX_ID_SIZE];

        sandbox_id_write(id, sandbox->seed, SANDBOX_ID_REQUEST, ++sandbox->request_number);
        text_append_format(&sandbox->extra, "X-Request-Id: %s\r\n", id);
    }
    sandbox_account_arrive(exchange);
    sandbox_add_bank_delay(exchange);
    if (strncmp(exchange->rest, "/redirected", 11) == 0)
        sandbox_break(exchange, SANDBOX_RULE_REDIRECT_FOLLOWED, "%.120s", exchange->rest);
    if (exchange->account->is_bud)
        sandbox_bud_serve(exchange);
    else
        sandbox_finqware_serve(exchange);
}

static void handle(void *context, struct sandbox_http_connection *connection,
                   struct sandbox_http_request *request)
{
    struct sandbox *sandbox = context;
    int64_t offset_ms = sandbox->scenario->clock_offset_ms;
    struct sandbox_exchange exchange = {
        .sandbox = sandbox,
        .connection = connection,
        .request = request,
        .arrived_us = request->arrived_us + offset_ms * US_PER_MS,
        .now_ms = request->arrived_us / US_PER_MS + offset_ms,
        .answer = {.status = 500},
    };

    text_clear(&sandbox->body);
    text_clear(&sandbox->extra);
    sandbox_progress(sandbox, exchange.now_ms);
    if (strncmp(request->path, "/sandbox/", 9) == 0) {
        sandbox_control_serve(&exchange);
    } else if (find_route(&exchange)) {
        serve_account(&exchange);
    } else {
        text_append_string(&sandbox->body,
                           "{\"message\":\"known here: /finqware..., /bud..., /sandbox/v1/...\"}");
        sandbox_answer(&exchange, 404);
    }
    exchange.answer.body = sandbox->body.bytes != NULL ? sandbox->body.bytes : "";
    exchange.answer.body_length = sandbox->body.length;
    exchange.answer.extra_headers = sandbox->extra.length > 0 ? sandbox->extra.bytes : NULL;
    sandbox_http_answer(connection, &exchange.answer);
    if (sandbox->body.capacity > 1048576)
        text_deinit(&sandbox->body);
}

static void answer_left(void *context, uint32_t tag)
{
    sandbox_account_leave(context, tag);
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
    (void)number;
    (void)what;
    sandbox_stop(context);
}

static int64_t utc_now_ms(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_REALTIME, &at);
    return (int64_t)at.tv_sec * MS_PER_SECOND + at.tv_nsec / 1000000;
}

static enum result create_loop(struct sandbox *sandbox, const char *listen, struct fault *fault)
{
    const struct sandbox_http_handler handler = {
        .context = sandbox, .handle = handle, .done = answer_left};
    static const int signals[] = {SIGTERM, SIGINT};
    struct event_config *config = event_config_new();

    if (config != NULL) {
        (void)event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
        sandbox->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (sandbox->base == NULL)
        return fault_set(fault, FAULT_INTERNAL, "cannot create an event loop");
    for (size_t i = 0; i < 2; i++) {
        sandbox->signals[i] = evsignal_new(sandbox->base, signals[i], on_signal, sandbox);
        if (sandbox->signals[i] == NULL || event_add(sandbox->signals[i], NULL) != 0)
            return fault_set(fault, FAULT_INTERNAL, "cannot watch for signals");
    }
    return sandbox_http_create(sandbox->base, listen, &handler, &sandbox->http, fault);
}

enum result sandbox_create(const struct sandbox_options *options, struct sandbox **out,
                           struct fault *fault)
{
    struct sandbox *sandbox = calloc(1, sizeof *sandbox);

    if (sandbox == NULL)
        return fault_set(fault, FAULT_INTERNAL, "out of memory for the sandbox");
    text_init(&sandbox->body, SIZE_MAX / 2);
    text_init(&sandbox->extra, 4096);
    sandbox_names_init(&sandbox->names);
    sandbox_jobs_init(&sandbox->jobs);
    sandbox->started_ms = utc_now_ms();
    sandbox->scenario_at_ms = sandbox->started_ms;
    if (sandbox_scenario_load(options->scenario_path, &sandbox->scenario, fault) != RESULT_OK)
        goto fail;
    sandbox->seed = options->has_seed ? options->seed : (uint64_t)sandbox->scenario->seed;
    sandbox->keys = sandbox_jws_create(fault);
    if (sandbox->keys == NULL)
        goto fail;
    if (sandbox->scenario->banks_csv != NULL &&
        sandbox_csv_load_banks(sandbox, sandbox->scenario->banks_csv, fault) != RESULT_OK)
        goto fail;
    if (create_loop(sandbox, options->listen != NULL ? options->listen : SANDBOX_LISTEN_DEFAULT,
                    fault) != RESULT_OK ||
        sandbox_webhook_init(sandbox, fault) != RESULT_OK)
        goto fail;
    *out = sandbox;
    return RESULT_OK;
fail:
    sandbox_destroy(sandbox);
    return RESULT_FAULT;
}

void sandbox_destroy(struct sandbox *sandbox)
{
    if (sandbox == NULL)
        return;
    sandbox_http_destroy(sandbox->http);
    sandbox_webhook_deinit(sandbox);
    for (size_t i = 0; i < 2; i++)
        if (sandbox->signals[i] != NULL)
            event_free(sandbox->signals[i]);
    sandbox_accounts_free(sandbox);
    sandbox_jobs_deinit(&sandbox->jobs);
    sandbox_names_deinit(&sandbox->names);
    sandbox_scenario_destroy(sandbox->scenario);
    sandbox_jws_destroy(sandbox->keys);
    text_deinit(&sandbox->body);
    text_deinit(&sandbox->extra);
    if (sandbox->base != NULL)
        event_base_free(sandbox->base);
    free(sandbox);
}

enum result sandbox_run(struct sandbox *sandbox, struct fault *fault)
{
    if (event_base_dispatch(sandbox->base) != 0)
        return fault_set(fault, FAULT_INTERNAL, "the event loop failed");
    return RESULT_OK;
}

void sandbox_stop(struct sandbox *sandbox)
{
    (void)event_base_loopbreak(sandbox->base);
}

const char *sandbox_address(const struct sandbox *sandbox)
{
    return sandbox_http_address(sandbox->http);
}

char *sandbox_ready_line(const struct sandbox *sandbox, char line[SANDBOX_READY_LINE_SIZE])
{
    const char *address = sandbox_address(sandbox);

    (void)snprintf(line, SANDBOX_READY_LINE_SIZE,
                   "{\"listen\":\"%s\",\"finqware\":\"http://%s/finqware\","
                   "\"bud\":\"http://%s/bud\",\"stats\":\"http://%s/sandbox/v1/stats\"}",
                   address, address, address, address);
    return line;
}

enum result sandbox_main(const struct sandbox_options *options,
                         void (*ready)(void *context, const struct sandbox *sandbox), void *context,
                         struct fault *fault)
{
    struct sandbox *sandbox;
    enum result result;

    if (sandbox_create(options, &sandbox, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (ready != NULL)
        ready(context, sandbox);
    result = sandbox_run(sandbox, fault);
    sandbox_destroy(sandbox);
    return result;
}
