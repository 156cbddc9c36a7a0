/* SPDX-License-Identifier: MIT
 * sandbox_tokens.c - client credentials, access tokens, refresh tokens, and who misuses them. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sandbox/sandbox_state.h"

#define TOKEN_SIZE 80
#define FORM_SIZE 4096
#define HAMMER_WINDOW_MS 10000
#define HAMMER_REQUESTS 5

static char *token_write(const struct sandbox_exchange *exchange, uint32_t number,
                         char out[TOKEN_SIZE])
{
    uint64_t a = sandbox_mix(exchange->sandbox->seed + 11 + (uint64_t)exchange->sandbox->started_ms,
                             (uint64_t)exchange->account->number << 32 | number);
    uint64_t b = sandbox_mix(a, 1);

    (void)snprintf(out, TOKEN_SIZE, "sbx-%08x-%016llx%016llx%016llx", number, (unsigned long long)a,
                   (unsigned long long)b, (unsigned long long)sandbox_mix(b, 2));
    return out;
}

static struct sandbox_token *token_find(const struct sandbox_exchange *exchange, const char *text,
                                        bool is_refresh)
{
    char expected[TOKEN_SIZE];
    unsigned long number;
    char *end;

    if (strncmp(text, "sbx-", 4) != 0)
        return NULL;
    number = strtoul(text + 4, &end, 16);
    if (*end != '-' || number >= exchange->account->token_count ||
        strcmp(token_write(exchange, (uint32_t)number, expected), text) != 0 ||
        exchange->account->tokens[number].is_refresh != is_refresh)
        return NULL;
    return &exchange->account->tokens[number];
}

static uint32_t token_issue(struct sandbox_exchange *exchange, bool is_refresh)
{
    struct sandbox_account *account = exchange->account;
    const struct sandbox_account_settings *settings = &account->settings;
    int64_t life_ms = is_refresh ? MS_PER_DAY : settings->token_lifetime_s * MS_PER_SECOND;

    if (account->token_count == account->token_capacity) {
        uint32_t capacity = account->token_capacity == 0 ? 16 : account->token_capacity * 2;
        struct sandbox_token *tokens = realloc(account->tokens, capacity * sizeof *tokens);

        if (tokens == NULL)
            return SANDBOX_NONE;
        account->tokens = tokens;
        account->token_capacity = capacity;
    }
    if (!is_refresh && settings->token_early_expiry_ms > 0)
        life_ms = settings->token_early_expiry_ms;
    account->tokens[account->token_count] =
        (struct sandbox_token){.issued_ms = exchange->now_ms,
                               .expires_ms = exchange->now_ms + life_ms,
                               .is_refresh = is_refresh};
    return account->token_count++;
}

/* Requests that were on their way while the first refusal was: how long that may last. */
static int64_t grace_ms(const struct sandbox_exchange *exchange)
{
    return exchange->account->settings.auth_grace_ms +
           exchange->sandbox->scenario->answer_delay_ms.max;
}

/* ---- checks ------------------------------------------------------------------------------- */

static void token_refused(struct sandbox_exchange *exchange, struct sandbox_token *token)
{
    if (token->first_refused_ms == 0) {
        token->first_refused_ms = exchange->now_ms;
    } else if (exchange->now_ms - token->first_refused_ms > grace_ms(exchange)) {
        token->late_uses++;
        if (token->late_uses > 1)
            sandbox_break(exchange, SANDBOX_RULE_EXPIRED_TOKEN_REUSED,
                          "a refused token was used %u times more", token->late_uses);
    }
}

enum sandbox_access sandbox_tokens_check(struct sandbox_exchange *exchange)
{
    struct sandbox_account *account = exchange->account;
    const char *value = sandbox_http_header(exchange->request, "authorization");
    struct sandbox_token *token;

    if (value == NULL || strncasecmp(value, "bearer ", 7) != 0)
        return SANDBOX_ACCESS_MISSING;
    token = token_find(exchange, value + 7, false);
    if (token == NULL)
        return SANDBOX_ACCESS_UNKNOWN_TOKEN;
    token->is_used = true;
    if (exchange->now_ms >= token->expires_ms) {
        token_refused(exchange, token);
        return SANDBOX_ACCESS_EXPIRED;
    }
    if (exchange->now_ms < account->rejected_until_ms) {
        token_refused(exchange, token);
        return SANDBOX_ACCESS_UNKNOWN_TOKEN;
    }
    return SANDBOX_ACCESS_GOOD;
}

static void credentials_refused(struct sandbox_exchange *exchange)
{
    struct sandbox_account *account = exchange->account;
    const uint32_t ring = sizeof account->refusals_ms / sizeof account->refusals_ms[0];
    int64_t now_ms = exchange->now_ms;

    if (account->refusals_since_ms == 0) {
        account->refusals_since_ms = now_ms;
        account->refusal_count = 0;
        return;
    }
    /* Requests that were on their way when the first refusal was answered are no hammering. */
    if (now_ms - account->refusals_since_ms <= grace_ms(exchange))
        return;
    account->refusals_ms[account->refusal_count % ring] = now_ms;
    account->refusal_count++;
    if (account->refusal_count > HAMMER_REQUESTS) {
        int64_t oldest_ms =
            account->refusals_ms[(account->refusal_count - HAMMER_REQUESTS - 1) % ring];

        if (now_ms - oldest_ms < HAMMER_WINDOW_MS)
            sandbox_break(exchange, SANDBOX_RULE_AUTH_HAMMER,
                          "more than %d requests in 10 s with refused credentials",
                          HAMMER_REQUESTS);
    }
}

enum sandbox_access sandbox_tokens_credentials(struct sandbox_exchange *exchange,
                                               const char *client_id, const char *client_secret)
{
    struct sandbox_account *account = exchange->account;
    const struct sandbox_account_settings *settings = &account->settings;

    if (client_id == NULL || client_secret == NULL || client_id[0] == '\0' ||
        client_secret[0] == '\0')
        return SANDBOX_ACCESS_MISSING;
    if (exchange->now_ms < account->rejected_until_ms ||
        (settings->client_id != NULL && strcmp(settings->client_id, client_id) != 0) ||
        (settings->client_secret != NULL && strcmp(settings->client_secret, client_secret) != 0)) {
        credentials_refused(exchange);
        return SANDBOX_ACCESS_REFUSED;
    }
    account->refusals_since_ms = 0;
    return SANDBOX_ACCESS_GOOD;
}

/* ---- the token endpoint ------------------------------------------------------------------- */

/* The fields of a token request, from the form and from the Basic header. */
struct token_form {
    char grant_type[64];
    char refresh_token[TOKEN_SIZE];
    char client_id[256];
    char client_secret[256];
    bool has_basic;
};

static void read_basic(const char *value, struct token_form *form)
{
    unsigned char plain[768];
    size_t length = strlen(value);
    int plain_length;
    char *colon;

    if (length == 0 || length % 4 != 0 || length > 1000)
        return;
    plain_length = EVP_DecodeBlock(plain, (const unsigned char *)value, (int)length);
    if (plain_length < 0)
        return;
    while (plain_length > 0 && plain[plain_length - 1] == '\0')
        plain_length--; /* padding is decoded as zeros */
    plain[plain_length] = '\0';
    colon = strchr((char *)plain, ':');
    if (colon == NULL)
        return;
    *colon = '\0';
    form->has_basic = true;
    (void)snprintf(form->client_id, sizeof form->client_id, "%.255s", (char *)plain);
    (void)snprintf(form->client_secret, sizeof form->client_secret, "%.255s", colon + 1);
}

static void read_form(const struct sandbox_exchange *exchange, struct token_form *form)
{
    const char *basic = sandbox_http_header(exchange->request, "authorization");
    char body[FORM_SIZE];
    struct sandbox_http_request as_query = {.query = body};

    memset(form, 0, sizeof *form);
    if (exchange->request->body_length < sizeof body) {
        memcpy(body, exchange->request->body, exchange->request->body_length);
        body[exchange->request->body_length] = '\0';
        (void)sandbox_http_query(&as_query, "grant_type", form->grant_type,
                                 sizeof form->grant_type);
        (void)sandbox_http_query(&as_query, "refresh_token", form->refresh_token,
                                 sizeof form->refresh_token);
        (void)sandbox_http_query(&as_query, "client_id", form->client_id, sizeof form->client_id);
        (void)sandbox_http_query(&as_query, "client_secret", form->client_secret,
                                 sizeof form->client_secret);
        memory_wipe(body, sizeof body);
    }
    if (basic != NULL && strncasecmp(basic, "basic ", 6) == 0)
        read_basic(basic + 6, form);
}

static void refuse_token(struct sandbox_exchange *exchange, bool is_credentials, const char *why)
{
    if (exchange->account->is_bud) {
        sandbox_bud_error(exchange, 400, is_credentials ? "unknown" : "failed_validation", why);
        return;
    }
    sandbox_refused(exchange, is_credentials ? "invalid_client" : "invalid_request");
    text_append_format(&exchange->sandbox->body, "{\"error\":\"%s\",\"error_description\":\"%s\"}",
                       is_credentials ? "invalid_client" : "invalid_request", why);
    sandbox_answer(exchange, is_credentials ? 401 : 400);
}

/* Several renewals at once: another one is being answered, or its token was never used. */
static void watch_stampede(struct sandbox_exchange *exchange)
{
    struct sandbox_account *account = exchange->account;
    const struct sandbox_token *newest =
        account->newest_token != SANDBOX_NONE ? &account->tokens[account->newest_token] : NULL;

    if (exchange->now_ms < account->token_requests_until_ms)
        sandbox_break(exchange, SANDBOX_RULE_TOKEN_STAMPEDE, "another renewal is in flight");
    else if (newest != NULL && !newest->is_used &&
             exchange->now_ms - newest->issued_ms < account->settings.stampede_ms)
        sandbox_break(exchange, SANDBOX_RULE_TOKEN_STAMPEDE,
                      "the token issued %lld ms ago was never used",
                      (long long)(exchange->now_ms - newest->issued_ms));
}

static void grant_token(struct sandbox_exchange *exchange)
{
    struct sandbox_account *account = exchange->account;
    struct text *out = &exchange->sandbox->body;
    uint32_t number = token_issue(exchange, false);
    char token[TOKEN_SIZE];
    char refresh[TOKEN_SIZE];

    if (number == SANDBOX_NONE) {
        refuse_token(exchange, false, "out of memory");
        return;
    }
    account->newest_token = number;
    token_write(exchange, number, token);
    if (!account->is_bud) {
        text_append_format(out,
                           "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%lld,"
                           "\"scope\":\"ais\"}",
                           token, (long long)account->settings.token_lifetime_s);
    } else {
        /* Both spellings of the type occur. */
        text_append_format(out,
                           "{\"operation_id\":\"oauth_token_create\",\"data\":{\"access_token\":"
                           "\"%s\",\"token_type\":\"%s\",\"expires_in\":%lld",
                           token, number % 2 == 0 ? "Bearer" : "bearer",
                           (long long)account->settings.token_lifetime_s);
        if (account->settings.refresh_tokens) {
            number = token_issue(exchange, true);
            if (number != SANDBOX_NONE)
                text_append_format(out, ",\"refresh_token\":\"%s\"",
                                   token_write(exchange, number, refresh));
        }
        text_append_string(out, "}}");
    }
    sandbox_answer(exchange, 200);
}

/* A refresh token works once; the answer brings the next one. */
static bool take_refresh_token(struct sandbox_exchange *exchange, const struct token_form *form)
{
    struct sandbox_token *token = token_find(exchange, form->refresh_token, true);

    if (token == NULL || token->is_used || exchange->now_ms >= token->expires_ms ||
        exchange->now_ms < exchange->account->rejected_until_ms)
        return false;
    token->is_used = true;
    return true;
}

void sandbox_tokens_serve(struct sandbox_exchange *exchange)
{
    struct sandbox_account *account = exchange->account;
    struct token_form form;
    bool is_refresh;

    exchange->answer.delay_ms += account->settings.token_delay_ms;
    if (account->is_bud && sandbox_http_header(exchange->request, "x-client-id") == NULL)
        sandbox_break(exchange, SANDBOX_RULE_MISSING_CLIENT_ID, "token request");
    watch_stampede(exchange);
    account->token_requests_until_ms = exchange->now_ms + account->settings.token_delay_ms;
    sandbox_fault_choose(exchange, NULL, 0);
    if (sandbox_fault_before(exchange))
        return;
    read_form(exchange, &form);
    is_refresh = account->is_bud && strcmp(form.grant_type, "refresh_token") == 0;
    if (is_refresh) {
        if (take_refresh_token(exchange, &form))
            grant_token(exchange);
        else
            refuse_token(exchange, true, "the refresh token is not valid");
    } else if (strcmp(form.grant_type, "client_credentials") != 0) {
        sandbox_break(exchange, SANDBOX_RULE_MALFORMED_REQUEST, "grant_type \"%.40s\"",
                      form.grant_type);
        refuse_token(exchange, false, "grant_type must be client_credentials");
    } else if (account->is_bud && !form.has_basic) {
        sandbox_break(exchange, SANDBOX_RULE_MALFORMED_REQUEST, "token request without Basic");
        refuse_token(exchange, false, "the Authorization header is missing");
    } else if (sandbox_tokens_credentials(exchange, form.client_id, form.client_secret) !=
               SANDBOX_ACCESS_GOOD) {
        refuse_token(exchange, true, "unauthorised request");
    } else {
        grant_token(exchange);
    }
    memory_wipe(&form, sizeof form);
    sandbox_fault_after(exchange);
}
