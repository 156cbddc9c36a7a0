/* SPDX-License-Identifier: MIT
 * sandbox_answers.c - answers and errors in the shapes of the two providers. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/sandbox_state.h"

void sandbox_break(struct sandbox_exchange *exchange, enum sandbox_rule rule, const char *format,
                   ...)
{
    char detail[160];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    sandbox_rules_break(&exchange->sandbox->rules, rule, exchange->now_ms,
                        exchange->account != NULL ? exchange->account->name : "", exchange->consent,
                        "%s", detail);
}

void sandbox_refused(struct sandbox_exchange *exchange, const char *code)
{
    struct sandbox *sandbox = exchange->sandbox;
    size_t i = 0;

    sandbox->counts[exchange->api][exchange->endpoint].refused++;
    while (i < sandbox->refusal_count && strcmp(sandbox->refusals[i].code, code) != 0)
        i++;
    if (i == SANDBOX_REFUSALS_MAX)
        return;
    if (i == sandbox->refusal_count) {
        (void)snprintf(sandbox->refusals[i].code, sizeof sandbox->refusals[i].code, "%s", code);
        sandbox->refusal_count++;
    }
    sandbox->refusals[i].count++;
}

void sandbox_append_quoted(struct text *out, const char *text)
{
    text_append(out, "\"", 1);
    text_append_json(out, text, strlen(text));
    text_append(out, "\"", 1);
}

void sandbox_append_request_id(struct sandbox_exchange *exchange, enum sandbox_id_kind kind)
{
    char id[SANDBOX_ID_SIZE];
    struct text *out = &exchange->sandbox->body;

    sandbox_id_write(id, exchange->sandbox->seed, kind, ++exchange->sandbox->request_number);
    text_append(out, "\"", 1);
    text_append(out, id, SANDBOX_ID_SIZE - 1);
    text_append(out, "\"", 1);
}

void sandbox_answer(struct sandbox_exchange *exchange, int status)
{
    exchange->answer.status = status;
}

void sandbox_finqware_error(struct sandbox_exchange *exchange, int status, const char *code,
                            const char *message)
{
    struct text *out = &exchange->sandbox->body;

    sandbox_refused(exchange, code);
    text_clear(out);
    text_append_string(out, "{\"error_id\":");
    sandbox_append_request_id(exchange, SANDBOX_ID_ERROR);
    text_append_string(out, ",\"request_id\":");
    sandbox_append_request_id(exchange, SANDBOX_ID_REQUEST);
    text_append_string(out, ",\"code\":");
    sandbox_append_quoted(out, code);
    text_append_string(out, ",\"message\":");
    sandbox_append_quoted(out, message);
    text_append_string(out, "}");
    sandbox_answer(exchange, status);
}

static const char *operation_text(const struct sandbox_exchange *exchange)
{
    bool is_v2 = exchange->api == SANDBOX_API_BUD_V2;

    switch (exchange->endpoint) {
    case SANDBOX_ENDPOINT_CREATE:
        return is_v2 ? "v2_open_banking_refresh_post" : "open_banking_refresh_post";
    case SANDBOX_ENDPOINT_POLL:
        return is_v2 ? "v2_open_banking_refresh_get" : "open_banking_refresh_get";
    case SANDBOX_ENDPOINT_TOKEN: return "oauth_token_post";
    case SANDBOX_ENDPOINT_CONSENTS: return "open_banking_account_access_consents_get";
    case SANDBOX_ENDPOINT_PROVIDERS: return "open_banking_providers_get";
    default: return "unknown";
    }
}

void sandbox_bud_error(struct sandbox_exchange *exchange, int status, const char *code,
                       const char *message)
{
    struct text *out = &exchange->sandbox->body;

    sandbox_refused(exchange, code);
    text_clear(out);
    text_append_format(out, "{\"operation_id\":\"%s\",\"code_id\":", operation_text(exchange));
    sandbox_append_quoted(out, code);
    text_append_string(out, ",\"message\":");
    sandbox_append_quoted(out, message);
    /* `errors` is {} or an object of strings or of arrays: all three occur. */
    if (strcmp(code, "failed_validation") == 0)
        text_append_string(out, exchange->sandbox->request_number % 2 == 0
                                    ? ",\"errors\":{\"request\":\"invalid\"}"
                                    : ",\"errors\":{\"request\":[\"invalid\"]}");
    else
        text_append_string(out, ",\"errors\":{}");
    text_append_string(out, "}");
    exchange->sandbox->request_number++;
    sandbox_answer(exchange, status);
}

void sandbox_bud_begin(struct sandbox_exchange *exchange)
{
    text_append_format(&exchange->sandbox->body,
                       "{\"operation_id\":\"%s\",\"data\":", operation_text(exchange));
}
