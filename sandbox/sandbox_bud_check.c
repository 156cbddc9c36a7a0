/* SPDX-License-Identifier: MIT
 * sandbox_bud_check.c - headers, period and secrets of Bud requests. */
#include <stdio.h>
#include <string.h>

#include "sandbox/sandbox_bud.h"

#define LOOK_BACK_MAX_MS (90 * MS_PER_DAY)

char *sandbox_bud_key(char out[SANDBOX_BUD_KEY_SIZE], const char *customer, const char *bank)
{
    (void)snprintf(out, SANDBOX_BUD_KEY_SIZE, "%.150s/%.150s", customer, bank);
    return out;
}

const char *sandbox_bud_customer(struct sandbox_exchange *exchange)
{
    const char *by_bud = sandbox_http_header(exchange->request, "x-customer-id");
    const char *by_us = sandbox_http_header(exchange->request, "x-customer-idempotent-identifier");
    const char *customer = by_bud != NULL ? by_bud : by_us;

    if (by_bud != NULL && by_us != NULL) {
        exchange->consent = by_bud;
        sandbox_break(exchange, SANDBOX_RULE_BOTH_CUSTOMER_HEADERS, "both customer headers");
    }
    if (customer != NULL && customer[0] != '\0') {
        exchange->consent = customer;
        return customer;
    }
    sandbox_break(exchange, SANDBOX_RULE_MISSING_CUSTOMER, "neither customer header");
    sandbox_bud_error(exchange, 400, "failed_validation", "X-Customer-Id is required");
    return NULL;
}

bool sandbox_bud_authorise(struct sandbox_exchange *exchange)
{
    const struct sandbox_http_request *request = exchange->request;
    const char *client_id = sandbox_http_header(request, "x-client-id");
    const char *known = exchange->account->settings.client_id;

    if (sandbox_http_header(request, "x-customer-ip-address") != NULL)
        sandbox_break(exchange, SANDBOX_RULE_CUSTOMER_IP, "X-Customer-Ip-Address was sent");
    if (strcmp(request->method, "GET") == 0 &&
        sandbox_http_header(request, "x-customer-secret") != NULL)
        sandbox_break(exchange, SANDBOX_RULE_CUSTOMER_SECRET_ON_GET, "X-Customer-Secret on a GET");
    if (client_id == NULL || client_id[0] == '\0') {
        sandbox_break(exchange, SANDBOX_RULE_MISSING_CLIENT_ID, "no X-Client-Id");
        sandbox_bud_error(exchange, 400, "failed_validation", "X-Client-Id is required");
        return false;
    }
    switch (sandbox_tokens_check(exchange)) {
    case SANDBOX_ACCESS_GOOD: break;
    case SANDBOX_ACCESS_EXPIRED:
        sandbox_bud_error(exchange, 401, "token_expired", "the token has expired");
        return false;
    case SANDBOX_ACCESS_MISSING:
        sandbox_bud_error(exchange, 401, "unknown", "the token is missing");
        return false;
    case SANDBOX_ACCESS_UNKNOWN_TOKEN:
    case SANDBOX_ACCESS_REFUSED:
        sandbox_bud_error(exchange, 401, "token_invalid", "the token is not valid");
        return false;
    }
    if (known != NULL && strcmp(known, client_id) != 0) {
        sandbox_bud_error(exchange, 401, "unknown", "the token belongs to another client");
        return false;
    }
    return true;
}

/* `count` digits at `*p`, which moves behind them. */
static bool digits(const char **p, int count, int32_t *out)
{
    int32_t value = 0;

    for (int i = 0; i < count; i++) {
        char c = (*p)[i];

        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *p += count;
    *out = value;
    return true;
}

static bool literal(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

/* Z, +HH:MM, +HHMM; minutes east of Greenwich. */
static bool parse_zone(const char **p, int32_t *minutes)
{
    int32_t hours;
    int32_t rest;
    bool is_west = **p == '-';

    *minutes = 0;
    if (literal(p, 'Z'))
        return true;
    if (!literal(p, '+') && !literal(p, '-'))
        return false;
    if (!digits(p, 2, &hours))
        return false;
    (void)literal(p, ':');
    if (!digits(p, 2, &rest) || hours > 14 || rest > 59)
        return false;
    *minutes = (is_west ? -1 : 1) * (hours * 60 + rest);
    return true;
}

bool sandbox_bud_parse_time(const char *text, int64_t *ms)
{
    const char *p = text;
    struct civil_time t = {0};
    struct civil_time back;
    struct utc_time at;
    int32_t zone_minutes;

    if (!digits(&p, 4, &t.year) || !literal(&p, '-') || !digits(&p, 2, &t.month) ||
        !literal(&p, '-') || !digits(&p, 2, &t.day) || !literal(&p, 'T') ||
        !digits(&p, 2, &t.hour) || !literal(&p, ':') || !digits(&p, 2, &t.minute) ||
        !literal(&p, ':') || !digits(&p, 2, &t.second))
        return false;
    if (literal(&p, '.')) {
        if (*p < '0' || *p > '9')
            return false;
        while (*p >= '0' && *p <= '9')
            p++;
    }
    if (!parse_zone(&p, &zone_minutes) || *p != '\0' || t.year < 1 || t.month < 1 || t.month > 12 ||
        t.day < 1 || t.day > 31 || t.hour > 23 || t.minute > 59 || t.second > 59)
        return false;
    at = civil_to_utc(&t);
    back = civil_from_utc(at);
    if (back.day != t.day || back.month != t.month)
        return false; /* 31 February and the like */
    *ms = at.ms - zone_minutes * MS_PER_MINUTE;
    return true;
}

bool sandbox_bud_check_period(struct sandbox_exchange *exchange, const json_t *body)
{
    static const char *const names[] = {"from", "to"};
    int64_t times_ms[2] = {INT64_MIN, INT64_MAX};

    for (size_t i = 0; i < 2; i++) {
        const json_t *value = json_object_get(body, names[i]);
        const char *text = json_string_value(value);

        if (value == NULL)
            continue;
        if (text == NULL || !sandbox_bud_parse_time(text, &times_ms[i])) {
            sandbox_break(exchange, SANDBOX_RULE_BAD_PERIOD, "%s: \"%.60s\"", names[i],
                          text != NULL ? text : "not a string");
            sandbox_bud_error(exchange, 400, "failed_validation", "from/to: ISO 8601 with a zone");
            return false;
        }
    }
    if (times_ms[0] > times_ms[1]) {
        sandbox_break(exchange, SANDBOX_RULE_BAD_PERIOD, "from is after to");
        sandbox_bud_error(exchange, 400, "failed_validation", "from is after to");
        return false;
    }
    if (times_ms[0] != INT64_MIN && times_ms[0] < exchange->now_ms - LOOK_BACK_MAX_MS) {
        sandbox_break(
            exchange, SANDBOX_RULE_LOOK_BACK, "from is %lld minutes beyond 90 days",
            (long long)((exchange->now_ms - LOOK_BACK_MAX_MS - times_ms[0]) / MS_PER_MINUTE));
        sandbox_bud_error(exchange, 400, "failed_validation", "from is more than 90 days back");
        return false;
    }
    return true;
}

bool sandbox_bud_check_secret(struct sandbox_exchange *exchange, const char *customer)
{
    const struct sandbox_scenario *scenario = exchange->sandbox->scenario;
    const char *secret = sandbox_http_header(exchange->request, "x-customer-secret");
    struct sandbox_consent said;
    bool is_hosted = scenario->bud.hosted;

    (void)sandbox_scenario_consent(scenario, customer, NULL, &said);
    if (said.hosted != 2)
        is_hosted = said.hosted == 1;
    if (is_hosted)
        return true;
    if (secret == NULL || secret[0] == '\0') {
        sandbox_break(exchange, SANDBOX_RULE_MISSING_CUSTOMER_SECRET, "the customer is not hosted");
        sandbox_bud_error(exchange, 400, "failed_validation", "X-Customer-Secret is required");
        return false;
    }
    if (said.customer_secret != NULL && strcmp(said.customer_secret, secret) != 0) {
        sandbox_bud_error(exchange, 400, "failed_validation", "X-Customer-Secret is wrong");
        return false;
    }
    return true;
}
