/* SPDX-License-Identifier: MIT
 * sandbox_bud.c - which Bud endpoint; the lists of consents and of providers. */
#include "sandbox/sandbox_bud.h"

#include <string.h>

/* One consent of the customer per known subject, from the banks that it was refreshed at. */
static void serve_consents(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct text *out = &sandbox->body;
    const char *customer;
    struct sandbox_consent said;
    bool is_said;
    const char *state;
    char status[32] = "active";
    char until[UTC_TEXT_SIZE];
    char since[UTC_TEXT_SIZE];
    size_t count;

    if (!sandbox_bud_authorise(exchange))
        return;
    customer = sandbox_bud_customer(exchange);
    if (customer == NULL)
        return;
    sandbox_fault_choose(exchange, NULL, 0);
    if (sandbox_fault_before(exchange))
        return;
    is_said = sandbox_scenario_consent(sandbox->scenario, customer, NULL, &said);
    state = sandbox_fate_state(sandbox, customer, is_said ? &said : NULL);
    (void)sandbox_http_query(exchange->request, "status", status, sizeof status);
    utc_text_seconds((struct utc_time){sandbox->started_ms + 90 * MS_PER_DAY}, until);
    utc_text_seconds((struct utc_time){sandbox->started_ms}, since);
    sandbox_bud_begin(exchange);
    text_append_string(out, "[");
    count = is_said && said.providers != NULL ? json_array_size(said.providers) : 1;
    if (strcmp(state, "active") != 0 && strcmp(status, "all") != 0)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        const char *provider = is_said && said.providers != NULL
                                   ? json_string_value(json_array_get(said.providers, i))
                                   : sandbox->scenario->bud.default_provider;

        text_append_string(out, i > 0 ? ",{\"id\":" : "{\"id\":");
        sandbox_append_request_id(exchange, SANDBOX_ID_OTHER_CONSENT);
        text_append_string(out, ",\"provider\":");
        sandbox_append_quoted(out, provider != NULL ? provider : "");
        text_append_format(out,
                           ",\"status\":\"%s\",\"expiration_date\":\"%s\","
                           "\"last_consented_on\":\"%s\"",
                           strcmp(state, "active") == 0 ? "authorised" : "revoked", until, since);
        if (strcmp(state, "active") != 0)
            text_append_format(out, ",\"revoked_at\":\"%s\",\"revoke_reason\":\"provider_revoked\"",
                               since);
        text_append_string(out, "}");
    }
    text_append_string(out, "],\"metadata\":{}}");
    sandbox_answer(exchange, 200);
}

/* A time, or null where the scenario names none. */
static void append_time(struct text *out, struct utc_time at)
{
    char text[UTC_TEXT_SIZE];

    if (at.ms == INT64_MAX)
        text_append_string(out, "null");
    else
        text_append_format(out, "\"%s\"", utc_text_seconds(at, text));
}

static void serve_providers(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct text *out = &sandbox->body;
    const char *name;
    json_t *entry;
    bool is_first = true;

    if (!sandbox_bud_authorise(exchange))
        return;
    sandbox_fault_choose(exchange, NULL, 0);
    if (sandbox_fault_before(exchange))
        return;
    sandbox_bud_begin(exchange);
    text_append_string(out, "[");
    json_object_foreach((json_t *)sandbox->scenario->banks, name, entry)
    {
        struct sandbox_bank bank;

        if (strcmp(name, "default") == 0)
            continue;
        sandbox_scenario_bank(sandbox->scenario, name, &bank);
        text_append_string(out, is_first ? "{\"provider\":" : ",{\"provider\":");
        is_first = false;
        sandbox_append_quoted(out, name);
        text_append_format(out, ",\"maintenance_status\":\"%s\",\"maintenance_window\":",
                           sandbox_bank_in_maintenance(&bank, exchange->now_ms) ? "active"
                                                                                : "inactive");
        if (bank.maintenance_from.ms == INT64_MAX) {
            text_append_string(out, "null");
        } else {
            text_append_string(out, "{\"start\":");
            append_time(out, bank.maintenance_from);
            text_append_string(out, ",\"end\":");
            append_time(out, bank.maintenance_until);
            text_append_string(out, "}");
        }
        text_append_string(out, ",\"regions\":[\"GB\"]}");
    }
    text_append_string(out, "],\"metadata\":{}}");
    sandbox_answer(exchange, 200);
}

void sandbox_bud_serve(struct sandbox_exchange *exchange)
{
    const char *wanted = exchange->endpoint == SANDBOX_ENDPOINT_CREATE ||
                                 exchange->endpoint == SANDBOX_ENDPOINT_TOKEN
                             ? "POST"
                             : "GET";

    if (exchange->endpoint == SANDBOX_ENDPOINT_OTHER) {
        if (strncmp(exchange->rest, "/v2/open-banking/refresh", 24) == 0)
            sandbox_break(exchange, SANDBOX_RULE_NEXT_URL_PATH, "%.120s", exchange->rest);
        else
            sandbox_break(exchange, SANDBOX_RULE_UNKNOWN_ROUTE, "%.120s", exchange->rest);
        sandbox_bud_error(exchange, 404, "unknown", "no such path");
        return;
    }
    if (strcmp(exchange->request->method, wanted) != 0) {
        sandbox_break(exchange, SANDBOX_RULE_MALFORMED_REQUEST, "%.10s where %s is wanted",
                      exchange->request->method, wanted);
        sandbox_bud_error(exchange, 405, "unknown", "method not allowed");
        return;
    }
    switch (exchange->endpoint) {
    case SANDBOX_ENDPOINT_TOKEN: sandbox_tokens_serve(exchange); return;
    case SANDBOX_ENDPOINT_CREATE: sandbox_bud_create(exchange); break;
    case SANDBOX_ENDPOINT_POLL: sandbox_bud_poll(exchange, strrchr(exchange->rest, '/') + 1); break;
    case SANDBOX_ENDPOINT_CONSENTS: serve_consents(exchange); break;
    default: serve_providers(exchange); break;
    }
    sandbox_fault_after(exchange);
}
