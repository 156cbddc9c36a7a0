/* SPDX-License-Identifier: MIT
 * sandbox_accounts.c - accounts and banks by name, their windows and gauges. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox_state.h"

void sandbox_gauge_add(struct sandbox_gauge *gauge, int64_t change)
{
    gauge->now += change;
    if (gauge->now > gauge->peak)
        gauge->peak = gauge->now;
}

/* "finqware", "finqware-NAME", "bud", "bud-NAME" in [a-z0-9_-]. */
static bool name_is_account(const char *name, size_t length, bool *is_bud)
{
    size_t base = 0;

    if (length >= 8 && memcmp(name, "finqware", 8) == 0)
        base = 8;
    else if (length >= 3 && memcmp(name, "bud", 3) == 0)
        base = 3;
    if (base == 0 || length >= sizeof((struct sandbox_account *)0)->name ||
        (length > base && name[base] != '-'))
        return false;
    for (size_t i = base; i < length; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789_-", name[i]) == NULL)
            return false;
    *is_bud = base == 3;
    return true;
}

struct sandbox_account *sandbox_account_find(struct sandbox *sandbox, const char *name,
                                             size_t length)
{
    struct sandbox_account *account;
    bool is_bud;

    for (size_t i = 0; i < sandbox->account_count; i++) {
        account = sandbox->accounts[i];
        if (strlen(account->name) == length && memcmp(account->name, name, length) == 0)
            return account;
    }
    if (sandbox->account_count == SANDBOX_ACCOUNTS_MAX || !name_is_account(name, length, &is_bud))
        return NULL;
    account = calloc(1, sizeof *account);
    if (account == NULL)
        return NULL;
    memcpy(account->name, name, length);
    account->is_bud = is_bud;
    account->number = sandbox->account_count;
    account->newest_token = SANDBOX_NONE;
    sandbox_scenario_account(sandbox->scenario, account->name, &account->settings);
    if (account->settings.credentials_rejected_for_ms > 0)
        account->rejected_until_ms =
            sandbox->scenario_at_ms + account->settings.credentials_rejected_for_ms;
    sandbox->accounts[sandbox->account_count++] = account;
    return account;
}

static bool rates_are_equal(const struct sandbox_rates *a, const struct sandbox_rates *b)
{
    bool is_equal = a->count == b->count;

    for (size_t i = 0; is_equal && i < a->count; i++)
        is_equal = a->entries[i].count == b->entries[i].count &&
                   a->entries[i].period_us == b->entries[i].period_us;
    return is_equal;
}

/* Windows and peaks belong to the rates they were counted for. */
static void bank_refresh(const struct sandbox *sandbox, struct sandbox_bank_node *bank,
                         const char *name)
{
    struct sandbox_bank before = bank->settings;

    sandbox_scenario_bank(sandbox->scenario, name, &bank->settings);
    if (!rates_are_equal(&before.limits.rates, &bank->settings.limits.rates))
        sandbox_window_reset(&bank->window);
    if (!rates_are_equal(&before.refuse_over, &bank->settings.refuse_over))
        sandbox_window_reset(&bank->refuse_window);
}

void sandbox_accounts_refresh(struct sandbox *sandbox)
{
    for (size_t i = 0; i < sandbox->account_count; i++) {
        struct sandbox_account *account = sandbox->accounts[i];

        struct sandbox_rates before = account->settings.limits.rates;

        sandbox_scenario_account(sandbox->scenario, account->name, &account->settings);
        if (!rates_are_equal(&before, &account->settings.limits.rates))
            sandbox_window_reset(&account->window);
        for (uint32_t label = 0; label < account->bank_capacity; label++)
            if (account->banks[label] != NULL)
                bank_refresh(sandbox, account->banks[label],
                             sandbox_names_text(&sandbox->names, label));
    }
}

void sandbox_accounts_free(struct sandbox *sandbox)
{
    for (size_t i = 0; i < sandbox->account_count; i++) {
        struct sandbox_account *account = sandbox->accounts[i];

        for (uint32_t label = 0; label < account->bank_capacity; label++) {
            if (account->banks[label] == NULL)
                continue;
            sandbox_window_reset(&account->banks[label]->window);
            sandbox_window_reset(&account->banks[label]->refuse_window);
            free(account->banks[label]);
        }
        sandbox_window_reset(&account->window);
        free(account->banks);
        free(account->tokens);
        free(account);
    }
    sandbox->account_count = 0;
}

struct sandbox_bank_node *sandbox_account_bank(struct sandbox *sandbox,
                                               struct sandbox_account *account, uint32_t label)
{
    if (label == SANDBOX_NAME_NONE)
        return NULL;
    if (label >= account->bank_capacity) {
        uint32_t capacity = label < 32 ? 64 : label * 2;
        struct sandbox_bank_node **banks = realloc(account->banks, capacity * sizeof *banks);

        if (banks == NULL)
            return NULL;
        memset(banks + account->bank_capacity, 0,
               (capacity - account->bank_capacity) * sizeof *banks);
        account->banks = banks;
        account->bank_capacity = capacity;
    }
    if (account->banks[label] == NULL) {
        struct sandbox_bank_node *bank = calloc(1, sizeof *bank);

        if (bank == NULL)
            return NULL;
        sandbox_scenario_bank(sandbox->scenario, sandbox_names_text(&sandbox->names, label),
                              &bank->settings);
        account->banks[label] = bank;
    }
    return account->banks[label];
}

void sandbox_account_arrive(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_account *account = exchange->account;
    const struct sandbox_limits *limits = &account->settings.limits;
    int broken = sandbox_window_arrive(&account->window, &limits->rates, exchange->arrived_us,
                                       sandbox->scenario->rate_tolerance_ms * US_PER_MS);

    if (broken >= 0)
        sandbox_break(exchange, SANDBOX_RULE_ACCOUNT_RATE, "more than %s at the account",
                      limits->rates.entries[broken].text);
    if (limits->requests_in_flight > 0 && account->in_flight.now >= limits->requests_in_flight)
        sandbox_http_end_gone(exchange->connection);
    sandbox_gauge_add(&account->in_flight, 1);
    sandbox_gauge_add(&sandbox->in_flight, 1);
    sandbox_http_set_tag(exchange->connection, (uint32_t)(account->number + 1));
    if (limits->requests_in_flight > 0 && account->in_flight.now > limits->requests_in_flight)
        sandbox_break(exchange, SANDBOX_RULE_ACCOUNT_IN_FLIGHT,
                      "%lld requests in flight at the account", (long long)account->in_flight.now);
}

void sandbox_bank_arrive(struct sandbox_exchange *exchange, uint32_t label)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_account *account = exchange->account;
    struct sandbox_bank_node *bank = sandbox_account_bank(sandbox, account, label);
    const struct sandbox_limits *limits;
    int broken;

    if (bank == NULL)
        return;
    limits = &bank->settings.limits;
    broken = sandbox_window_arrive(&bank->window, &limits->rates, exchange->arrived_us,
                                   sandbox->scenario->rate_tolerance_ms * US_PER_MS);
    if (broken >= 0)
        sandbox_break(exchange, SANDBOX_RULE_BANK_RATE, "more than %s at bank %s",
                      limits->rates.entries[broken].text,
                      sandbox_names_text(&sandbox->names, label));
    /* A request with several banks is in flight at the first of them. */
    if (exchange->bank != NULL || label >= 0xFFFFFE)
        return;
    exchange->bank = bank;
    if (limits->requests_in_flight > 0 && bank->in_flight.now >= limits->requests_in_flight)
        sandbox_http_end_gone(exchange->connection);
    sandbox_gauge_add(&bank->in_flight, 1);
    sandbox_http_set_tag(exchange->connection, (uint32_t)(account->number + 1) | (label + 1) << 8);
    if (limits->requests_in_flight > 0 && bank->in_flight.now > limits->requests_in_flight)
        sandbox_break(exchange, SANDBOX_RULE_BANK_IN_FLIGHT, "%lld requests in flight at bank %s",
                      (long long)bank->in_flight.now, sandbox_names_text(&sandbox->names, label));
}

void sandbox_account_leave(struct sandbox *sandbox, uint32_t tag)
{
    struct sandbox_account *account;

    if (tag == 0 || (tag & 0xFF) > sandbox->account_count)
        return;
    account = sandbox->accounts[(tag & 0xFF) - 1];
    sandbox_gauge_add(&account->in_flight, -1);
    sandbox_gauge_add(&sandbox->in_flight, -1);
    if (tag >> 8 != 0)
        sandbox_gauge_add(&account->banks[(tag >> 8) - 1]->in_flight, -1);
}

uint32_t sandbox_bank_of_id(struct sandbox *sandbox, const char *id)
{
    char name[64];
    const char *dash = strchr(id, '-');

    if (sandbox->scenario->banks_csv != NULL) {
        const struct sandbox_account *listed = sandbox_account_find(sandbox, "finqware", 8);
        uint32_t subject = listed == NULL
                               ? SANDBOX_NONE
                               : sandbox_jobs_find(&sandbox->jobs, listed->number,
                                                   SANDBOX_API_FINQWARE, id, SANDBOX_NONE);

        if (subject != SANDBOX_NONE && sandbox->jobs.subjects[subject].label != SANDBOX_NONE)
            return sandbox->jobs.subjects[subject].label;
    }
    if (sandbox->scenario->bank_from_id == 0 || dash == NULL || dash == id ||
        (size_t)(dash - id) >= sizeof name)
        return SANDBOX_NONE;
    memcpy(name, id, (size_t)(dash - id));
    name[dash - id] = '\0';
    return sandbox_names_number(&sandbox->names, name);
}

void sandbox_add_bank_delay(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_range range = sandbox->scenario->answer_delay_ms;

    if (exchange->bank != NULL && exchange->bank->settings.answer_delay_ms.min >= 0)
        range = exchange->bank->settings.answer_delay_ms;
    if (range.max > 0)
        exchange->answer.delay_ms =
            range.min + (int64_t)(sandbox_mix(sandbox->seed + 5, sandbox->requests) %
                                  (uint64_t)(range.max - range.min + 1));
}

void sandbox_check_poll_floor(struct sandbox_exchange *exchange, struct sandbox_job *job)
{
    int64_t floor_ms = exchange->sandbox->scenario->poll_floor_ms;
    int64_t since_ms = exchange->now_ms - job->last_poll_ms;

    if (job->last_poll_ms != 0 && since_ms < floor_ms)
        sandbox_break(exchange, SANDBOX_RULE_POLL_TOO_FAST, "%lld ms after the previous poll",
                      (long long)since_ms);
    job->last_poll_ms = exchange->now_ms;
}

void sandbox_accounts_reset(struct sandbox *sandbox)
{
    for (size_t i = 0; i < sandbox->account_count; i++) {
        struct sandbox_account *account = sandbox->accounts[i];

        for (uint32_t label = 0; label < account->bank_capacity; label++) {
            struct sandbox_bank_node *bank = account->banks[label];

            if (bank == NULL)
                continue;
            sandbox_window_reset(&bank->window);
            sandbox_window_reset(&bank->refuse_window);
            bank->running = (struct sandbox_gauge){0};
            bank->in_flight.peak = bank->in_flight.now;
        }
        sandbox_window_reset(&account->window);
        account->running = (struct sandbox_gauge){0};
        account->in_flight.peak = account->in_flight.now;
        account->token_count = 0;
        account->newest_token = SANDBOX_NONE;
        account->token_requests_until_ms = 0;
        account->refusals_since_ms = 0;
    }
}
