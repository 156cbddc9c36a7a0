/* SPDX-License-Identifier: MIT
 * sandbox_faults.c - which request is hurt, and how its answer is spoiled. */
#include <string.h>
#include <time.h>

#include "sandbox/sandbox_bomb.h"
#include "sandbox/sandbox_state.h"

static enum sandbox_fault fault_find(const char *word)
{
    for (size_t i = 0; i < SANDBOX_FAULT_COUNT; i++)
        if (word != NULL && strcmp(sandbox_fault_text((enum sandbox_fault)i), word) == 0)
            return (enum sandbox_fault)i;
    return SANDBOX_FAULT_NONE;
}

static enum sandbox_fault fault_drawn(struct sandbox *sandbox,
                                      const struct sandbox_fault_plan *plan)
{
    uint64_t random = sandbox_mix(sandbox->seed + 77, sandbox->fault_draws++);
    double sum = 0;

    for (size_t i = 1; i < SANDBOX_FAULT_COUNT; i++) {
        sum += plan->shares[i];
        if (plan->shares[i] > 0 && sandbox_falls_in(random, sum))
            return (enum sandbox_fault)i;
    }
    return SANDBOX_FAULT_NONE;
}

void sandbox_fault_choose(struct sandbox_exchange *exchange, const json_t *listed, uint32_t number)
{
    struct sandbox *sandbox = exchange->sandbox;
    const struct sandbox_fault_plan *plan =
        &sandbox->scenario->faults[exchange->api][exchange->endpoint];

    if (listed != NULL && number < json_array_size(listed)) {
        exchange->fault = fault_find(json_string_value(json_array_get(listed, number)));
    } else if (plan->is_set) {
        uint32_t *next = &sandbox->fault_next[exchange->api][exchange->endpoint];

        if (plan->next != NULL && *next < json_array_size(plan->next))
            exchange->fault = fault_find(json_string_value(json_array_get(plan->next, (*next)++)));
        else
            exchange->fault = fault_drawn(sandbox, plan);
    }
    if (exchange->fault != SANDBOX_FAULT_NONE)
        sandbox->faults[exchange->fault]++;
}

bool sandbox_fault_spoils(enum sandbox_fault fault)
{
    return fault >= SANDBOX_FAULT_TRUNCATED_LENGTH && fault <= SANDBOX_FAULT_GZIP_BOMB;
}

static void error_of_api(struct sandbox_exchange *exchange, int status, const char *finqware_code,
                         const char *bud_code, const char *message)
{
    if (exchange->account->is_bud)
        sandbox_bud_error(exchange, status, bud_code, message);
    else
        sandbox_finqware_error(exchange, status, finqware_code, message);
}

static void retry_after(struct sandbox_exchange *exchange, bool as_date)
{
    struct sandbox *sandbox = exchange->sandbox;
    int64_t seconds = sandbox->scenario->retry_after_s;

    if (as_date) {
        char date[64];
        struct tm tm;
        /* A whole second more: an HTTP date has no fractions and must not lie in the past. */
        time_t at = (time_t)(exchange->request->arrived_us / US_PER_SECOND + seconds + 1);

        gmtime_r(&at, &tm);
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        text_append_format(&sandbox->extra, "Retry-After: %s\r\n", date);
    } else {
        text_append_format(&sandbox->extra, "Retry-After: %lld\r\n", (long long)seconds);
    }
}

static void redirect(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;

    sandbox_refused(exchange, "redirect");
    text_append_format(&sandbox->extra, "Location: /%s/redirected%s\r\n", exchange->account->name,
                       exchange->rest);
    text_append_string(&sandbox->body, "{}");
    sandbox_answer(exchange, 302);
}

bool sandbox_fault_before(struct sandbox_exchange *exchange)
{
    static const char slow_down[] = "too many requests";

    switch (exchange->fault) {
    case SANDBOX_FAULT_HTTP_500:
        error_of_api(exchange, 500, "internal_server_error", "unknown", "internal error");
        return true;
    case SANDBOX_FAULT_HTTP_500_MESSAGE:
    case SANDBOX_FAULT_HTTP_503:
        sandbox_refused(exchange, "message_only");
        text_append_string(&exchange->sandbox->body, "{\"message\":\"service unavailable\"}");
        sandbox_answer(exchange, exchange->fault == SANDBOX_FAULT_HTTP_503 ? 503 : 500);
        return true;
    case SANDBOX_FAULT_HTTP_429:
    case SANDBOX_FAULT_HTTP_429_DATE:
        error_of_api(exchange, 429, "too_many_requests", "unknown", slow_down);
        retry_after(exchange, exchange->fault == SANDBOX_FAULT_HTTP_429_DATE);
        return true;
    case SANDBOX_FAULT_HTTP_429_BARE:
        error_of_api(exchange, 429, "too_many_requests", "unknown", slow_down);
        return true;
    case SANDBOX_FAULT_HTTP_401:
        error_of_api(exchange, 401, "unauthorized", "token_invalid", "not authorised");
        return true;
    case SANDBOX_FAULT_HTTP_403:
        error_of_api(exchange, 403, "unauthorized", "forbidden", "forbidden");
        return true;
    case SANDBOX_FAULT_UNKNOWN_CODE:
        error_of_api(exchange, 400, "purple_monkey", "purple_monkey", "a code nobody documented");
        return true;
    case SANDBOX_FAULT_REDIRECT: redirect(exchange); return true;
    case SANDBOX_FAULT_DROP_BEFORE:
        sandbox_refused(exchange, "drop_before");
        exchange->answer.manner = SANDBOX_HTTP_DROP;
        return true;
    default: return false;
    }
}

/* Put another id in place of the request's own, wherever it is a whole string. */
static void replace_own_id(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    char other[SANDBOX_ID_SIZE];
    struct text own;
    struct text changed;
    const char *p = sandbox->body.bytes;

    if (exchange->own_id == NULL || p == NULL)
        return;
    sandbox_id_write(other, sandbox->seed, SANDBOX_ID_OTHER_CONSENT, ++sandbox->request_number);
    text_init(&own, SIZE_MAX / 2);
    text_init(&changed, SIZE_MAX / 2);
    sandbox_append_quoted(&own, exchange->own_id);
    for (const char *hit = strstr(p, own.bytes); hit != NULL; hit = strstr(p, own.bytes)) {
        text_append(&changed, p, (size_t)(hit - p));
        text_append_format(&changed, "\"%s\"", other);
        p = hit + own.length;
    }
    text_append_string(&changed, p);
    text_clear(&sandbox->body);
    text_append(&sandbox->body, changed.bytes, changed.length);
    text_deinit(&changed);
    text_deinit(&own);
}

static void replace_body(struct sandbox_exchange *exchange, const char *body)
{
    text_clear(&exchange->sandbox->body);
    text_append_string(&exchange->sandbox->body, body);
}

void sandbox_fault_after(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;

    switch (exchange->fault) {
    case SANDBOX_FAULT_DROP_AFTER: exchange->answer.manner = SANDBOX_HTTP_DROP; break;
    case SANDBOX_FAULT_RESET_AFTER: exchange->answer.manner = SANDBOX_HTTP_RESET; break;
    case SANDBOX_FAULT_TRUNCATED_LENGTH: exchange->answer.manner = SANDBOX_HTTP_SHORT_LENGTH; break;
    case SANDBOX_FAULT_TRUNCATED_CLOSE: exchange->answer.manner = SANDBOX_HTTP_NO_LENGTH_CUT; break;
    case SANDBOX_FAULT_HUGE_BODY:
        exchange->answer.manner = SANDBOX_HTTP_STREAM;
        exchange->answer.stream_bytes = (uint64_t)sandbox->scenario->huge_bytes;
        break;
    case SANDBOX_FAULT_INVALID_JSON: replace_body(exchange, "{\"job_id\": nope,,}"); break;
    case SANDBOX_FAULT_WRONG_TYPES:
        replace_body(exchange, exchange->account->is_bud
                                   ? "{\"operation_id\":5,\"data\":{\"task_id\":17,\"status\":{},"
                                     "\"sub_tasks\":\"none\"},\"metadata\":[]}"
                                   : "{\"request_id\":1,\"consent_id\":2,\"job_id\":{\"a\":1},"
                                     "\"status\":7,\"code\":[]}");
        break;
    case SANDBOX_FAULT_OTHER_ID: replace_own_id(exchange); break;
    case SANDBOX_FAULT_EMPTY_BODY: text_clear(&sandbox->body); break;
    case SANDBOX_FAULT_NOT_HTTP:
        exchange->answer.manner = SANDBOX_HTTP_RAW;
        replace_body(exchange, "220 this is not the server that you are looking for\r\n");
        break;
    case SANDBOX_FAULT_GZIP_BOMB:
        text_clear(&sandbox->body);
        sandbox_bomb_write(&sandbox->body, (uint64_t)sandbox->scenario->huge_bytes);
        text_append_string(&sandbox->extra, "Content-Encoding: gzip\r\n");
        break;
    case SANDBOX_FAULT_SLOW: exchange->answer.delay_ms += sandbox->scenario->slow_ms; break;
    default: break;
    }
}
