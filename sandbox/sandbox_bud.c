/* SPDX-License-Identifier: MIT
 * sandbox_bud.c - which Bud endpoint; the lists of consents and of providers. */
#include "sandbox/sandbox_bud.h"

#include <string.h>

/* ---- the list of a customer's consents ---- */

#define BANKS_MAX 32
#define BANK_BYTES 152

struct bank_list {
    char names[BANKS_MAX][BANK_BYTES];
    size_t count;
};

static void add_bank(struct bank_list *list, const char *name, size_t length)
{
    if (length == 0 || length >= BANK_BYTES || list->count == BANKS_MAX)
        return;
    for (size_t i = 0; i < list->count; i++)
        if (strlen(list->names[i]) == length && memcmp(list->names[i], name, length) == 0)
            return;
    memcpy(list->names[list->count], name, length);
    list->names[list->count++][length] = '\0';
}

/* A customer's banks: as the scenario says, else those it was refreshed at, else the default. */
static void find_banks(const struct sandbox_exchange *exchange, const char *customer,
                       const struct sandbox_consent *said, struct bank_list *list)
{
    const struct sandbox *sandbox = exchange->sandbox;
    const struct sandbox_jobs *jobs = &sandbox->jobs;

    list->count = 0;
    for (size_t i = 0; said != NULL && i < json_array_size(said->providers); i++) {
        const char *name = json_string_value(json_array_get(said->providers, i));

        if (name != NULL)
            add_bank(list, name, strlen(name));
    }
    if (list->count > 0)
        return;
    for (uint32_t i = 0; i < jobs->subject_count; i++) {
        const struct sandbox_subject *subject = &jobs->subjects[i];
        const char *set;

        if (strcmp(subject->id, customer) != 0 || subject->label == SANDBOX_NONE ||
            sandbox->accounts[subject->account] != exchange->account)
            continue;
        for (set = sandbox_names_text(&sandbox->names, subject->label); *set != '\0';) {
            size_t length = strcspn(set, ",");

            add_bank(list, set, length);
            set += length + (set[length] == ',');
        }
    }
    if (list->count == 0 && sandbox->scenario->bud.default_provider != NULL)
        add_bank(list, sandbox->scenario->bud.default_provider,
                 strlen(sandbox->scenario->bud.default_provider));
}

/* What the list says of a consent: there is no word for an expired one but its date. */
static const char *status_word(const char *state)
{
    if (strcmp(state, "active") == 0 || strcmp(state, "expired") == 0 ||
        strcmp(state, "deactivated") == 0)
        return "authorised";
    if (strcmp(state, "revoked") == 0 || strcmp(state, "suspended") == 0)
        return "revoked";
    return strcmp(state, "failed") == 0 ? "rejected" : "awaiting_authorisation";
}

/* One entry of the list; false when it is filtered out. */
static bool append_consent(struct sandbox_exchange *exchange, const char *customer,
                           const char *bank, bool is_all, bool is_first)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct text *out = &sandbox->body;
    struct sandbox_consent said;
    char key[SANDBOX_BUD_KEY_SIZE];
    char until[UTC_TEXT_SIZE];
    char since[UTC_TEXT_SIZE];
    bool is_said = sandbox_scenario_consent(sandbox->scenario, sandbox_bud_key(key, customer, bank),
                                            customer, &said);
    const char *state = sandbox_fate_state(sandbox, customer, is_said ? &said : NULL);
    const char *word = status_word(state);
    bool is_active = strcmp(state, "active") == 0;
    bool is_over = !is_active && strcmp(word, "authorised") == 0;

    if (strcmp(state, "missing") == 0 || (!is_active && !is_all))
        return false;
    utc_text_seconds((struct utc_time){sandbox->started_ms + (is_over ? -1 : 90) * MS_PER_DAY},
                     until);
    utc_text_seconds((struct utc_time){sandbox->started_ms - (is_over ? 91 : 0) * MS_PER_DAY},
                     since);
    text_append_string(out, is_first ? "{\"id\":" : ",{\"id\":");
    sandbox_append_request_id(exchange, SANDBOX_ID_OTHER_CONSENT);
    text_append_string(out, ",\"provider\":");
    sandbox_append_quoted(out, bank);
    text_append_format(out, ",\"status\":\"%s\",\"expiration_date\":", word);
    sandbox_append_quoted(out,
                          is_said && said.authorized_until != NULL ? said.authorized_until : until);
    text_append_format(out, ",\"last_consented_on\":\"%s\"", since);
    if (strcmp(word, "revoked") == 0)
        text_append_format(out, ",\"revoked_at\":\"%s\",\"revoke_reason\":\"provider_revoked\"",
                           since);
    text_append_string(out, "}");
    return true;
}

static void serve_consents(struct sandbox_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct text *out = &sandbox->body;
    struct bank_list banks;
    const char *customer;
    struct sandbox_consent said;
    bool is_said;
    bool is_first = true;
    char status[32] = "active";

    if (!sandbox_bud_authorise(exchange))
        return;
    customer = sandbox_bud_customer(exchange);
    if (customer == NULL)
        return;
    sandbox_fault_choose(exchange, NULL, 0);
    if (sandbox_fault_before(exchange))
        return;
    is_said = sandbox_scenario_consent(sandbox->scenario, customer, NULL, &said);
    (void)sandbox_http_query(exchange->request, "status", status, sizeof status);
    find_banks(exchange, customer, is_said ? &said : NULL, &banks);
    sandbox_bud_begin(exchange);
    text_append_string(out, "[");
    for (size_t i = 0; i < banks.count; i++)
        if (append_consent(exchange, customer, banks.names[i], strcmp(status, "all") == 0,
                           is_first))
            is_first = false;
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
