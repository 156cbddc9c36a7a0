/* SPDX-License-Identifier: MIT
 * sandbox_bud_create.c - Initiate Refresh, v1 and v2, with the one-hour dedupe. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox_bud.h"

#define PROVIDERS_MAX 64
#define PROVIDER_BYTES_MAX 100

/* What a create asks for. */
struct bud_wish {
    const char *customer;
    const char *providers[PROVIDERS_MAX]; /* sorted, each once */
    size_t provider_count;
    uint32_t label; /* the one bank (v1), or the set (v2) */
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool refuse_body(struct sandbox_exchange *exchange, const char *why)
{
    sandbox_break(exchange, SANDBOX_RULE_MALFORMED_REQUEST, "%s", why);
    sandbox_bud_error(exchange, 400, "failed_validation", why);
    return false;
}

static bool add_provider(struct bud_wish *wish, const json_t *value)
{
    const char *name = json_string_value(value);

    if (name == NULL || name[0] == '\0' || strlen(name) > PROVIDER_BYTES_MAX ||
        strchr(name, ',') != NULL || wish->provider_count == PROVIDERS_MAX)
        return false;
    wish->providers[wish->provider_count++] = name;
    return true;
}

/* v2: the array, or all of the customer's banks. */
static bool read_providers(struct sandbox_exchange *exchange, const json_t *body,
                           struct bud_wish *wish)
{
    const json_t *list = json_object_get(body, "providers");
    size_t kept = 0;

    if (list == NULL) {
        struct sandbox_consent said;

        if (sandbox_scenario_consent(exchange->sandbox->scenario, wish->customer, NULL, &said))
            list = said.providers;
        if (list == NULL)
            wish->providers[wish->provider_count++] =
                exchange->sandbox->scenario->bud.default_provider != NULL
                    ? exchange->sandbox->scenario->bud.default_provider
                    : "bank_of_bud";
    } else if (!json_is_array(list)) {
        return refuse_body(exchange, "providers: want an array of strings");
    }
    for (size_t i = 0; list != NULL && i < json_array_size(list); i++)
        if (!add_provider(wish, json_array_get(list, i)))
            return refuse_body(exchange, "providers: want at most 64 names");
    if (wish->provider_count == 0)
        return refuse_body(exchange, "providers: empty");
    qsort(wish->providers, wish->provider_count, sizeof wish->providers[0], compare_names);
    for (size_t i = 0; i < wish->provider_count; i++)
        if (kept == 0 || strcmp(wish->providers[kept - 1], wish->providers[i]) != 0)
            wish->providers[kept++] = wish->providers[i];
    wish->provider_count = kept;
    return true;
}

static bool check_resources(struct sandbox_exchange *exchange, const json_t *list)
{
    static const char *const known[] = {"accounts", "balances", "transactions", "parties",
                                        "direct-debits"};
    bool is_good = list == NULL || json_is_array(list);

    for (size_t i = 0; is_good && i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        size_t k = 0;

        while (name != NULL && k < sizeof known / sizeof known[0] && strcmp(known[k], name) != 0)
            k++;
        is_good = name != NULL && k < sizeof known / sizeof known[0];
    }
    return is_good || refuse_body(exchange, "resources: want an array of the documented words");
}

static bool read_wish(struct sandbox_exchange *exchange, const json_t *body, struct bud_wish *wish)
{
    struct sandbox *sandbox = exchange->sandbox;

    if (!json_is_object(body))
        return refuse_body(exchange, "the body is required and is a JSON object");
    if (!sandbox_bud_check_period(exchange, body))
        return false;
    if (exchange->api == SANDBOX_API_BUD_V1) {
        if (!add_provider(wish, json_object_get(body, "provider")))
            return refuse_body(exchange, "provider: required");
        wish->label = sandbox_names_number(&sandbox->names, wish->providers[0]);
    } else {
        struct text set;

        if (!read_providers(exchange, body, wish) ||
            !check_resources(exchange, json_object_get(body, "resources")))
            return false;
        text_init(&set, (PROVIDER_BYTES_MAX + 1) * PROVIDERS_MAX);
        for (size_t i = 0; i < wish->provider_count; i++) {
            if (i > 0)
                text_append(&set, ",", 1);
            text_append_string(&set, wish->providers[i]);
        }
        wish->label = sandbox_names_number(&sandbox->names, set.bytes);
        text_deinit(&set);
    }
    return true;
}

static void answer_accepted(struct sandbox_exchange *exchange, uint32_t number)
{
    struct sandbox *sandbox = exchange->sandbox;
    const struct sandbox_bud_settings *settings = &sandbox->scenario->bud;
    const struct sandbox_job *job = &sandbox->jobs.jobs[number];
    struct text *out = &sandbox->body;
    char id[SANDBOX_ID_SIZE];
    char sub_id[SANDBOX_ID_SIZE];
    bool is_v2 = exchange->api == SANDBOX_API_BUD_V2;

    sandbox_id_write(id, sandbox->seed, SANDBOX_ID_JOB, number);
    sandbox_bud_begin(exchange);
    text_append_format(out, "{\"task_id\":\"%s\",", id);
    if (is_v2) {
        text_append_string(out, "\"sub_tasks\":[");
        for (uint32_t i = 0; i < job->child_count; i++) {
            const struct sandbox_child *child = &sandbox->jobs.children[job->first_child + i];

            text_append_string(out, i > 0 ? ",{\"provider\":" : "{\"provider\":");
            sandbox_append_quoted(out, sandbox_names_text(&sandbox->names, child->label));
            text_append_format(
                out, ",\"task_id\":\"%s\"}",
                sandbox_id_write(sub_id, sandbox->seed, SANDBOX_ID_SUB_TASK + i, number));
        }
        text_append_string(out, "]}");
    } else {
        text_append_string(out, "\"provider\":");
        sandbox_append_quoted(
            out, sandbox_names_text(&sandbox->names, sandbox->jobs.subjects[job->subject].label));
        text_append_string(out, "}");
    }
    text_append_format(
        out,
        ",\"metadata\":{\"status\":\"Pending\",\"next_url\":\"%s/%s\",\"next_url_delay\":%lld}}",
        !is_v2                    ? "/v1/open-banking/refresh"
        : settings->next_url_trap ? "/v2/open-banking/refresh"
                                  : "/open-banking/v2/refresh",
        id, (long long)(is_v2 ? settings->next_url_delay_v2_ms : settings->next_url_delay_v1_ms));
    exchange->own_id = NULL;
    sandbox_answer(exchange, 202);
}

/* A break of a rule about the previous task, unless its answer was spoiled by us. */
static void break_after(struct sandbox_exchange *exchange, const struct sandbox_job *last,
                        enum sandbox_rule rule, const char *detail)
{
    if ((last->flags & SANDBOX_JOB_SPOILED) != 0)
        exchange->sandbox->unwitting++;
    else
        sandbox_break(exchange, rule, "%s; %u requests led to it", detail,
                      (unsigned)last->create_requests);
}

/* The dedupe window: the old task comes back. True when the answer is made. */
static bool deduplicate(struct sandbox_exchange *exchange, const struct sandbox_subject *subject)
{
    struct sandbox *sandbox = exchange->sandbox;
    const struct sandbox_bud_settings *settings = &sandbox->scenario->bud;
    struct sandbox_job *last;
    bool is_running;

    if (subject->last_job == SANDBOX_NONE)
        return false;
    last = &sandbox->jobs.jobs[subject->last_job];
    is_running = sandbox_job_is_running(sandbox, last, exchange->now_ms);
    if (exchange->now_ms >=
        last->created_ms + settings->dedupe_ms - sandbox->scenario->window_tolerance_ms) {
        if (is_running)
            break_after(exchange, last, SANDBOX_RULE_SINGLE_FLIGHT,
                        "a task of it is running, and the dedupe window is over");
        return false;
    }
    if (is_running && last->create_requests > settings->reposts_allowed)
        break_after(exchange, last, SANDBOX_RULE_REPOST, "once more for a task that is running");
    if (last->create_requests < UINT16_MAX)
        last->create_requests++;
    sandbox->counts[exchange->api][exchange->endpoint].deduplicated++;
    answer_accepted(exchange, subject->last_job);
    return true;
}

/* Draw the fate at one bank. */
static void draw_at(struct sandbox_exchange *exchange, const struct bud_wish *wish, size_t i,
                    uint32_t label, uint32_t number, struct sandbox_draw *draw)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_bank_node *bank = sandbox_account_bank(sandbox, exchange->account, label);
    struct sandbox_consent described;
    char key[SANDBOX_BUD_KEY_SIZE];
    bool is_said = sandbox_scenario_consent(
        sandbox->scenario, sandbox_bud_key(key, wish->customer, wish->providers[i]), wish->customer,
        &described);

    sandbox_fate_draw(exchange, wish->customer, wish->providers[i],
                      bank != NULL ? &bank->settings : NULL, is_said ? &described : NULL, number,
                      draw);
    if (bank != NULL && sandbox_window_arrive(&bank->refuse_window, &bank->settings.refuse_over,
                                              exchange->arrived_us, 0) >= 0)
        draw->verdict = sandbox_verdict_find("provider_request_limit");
    /* A task for one bank cannot end partly. */
    if (sandbox_verdict(draw->verdict)->outcome == SANDBOX_ENDS_PARTLY)
        draw->verdict = wish->provider_count > 1 ? sandbox_verdict_find("provider_failure")
                                                 : SANDBOX_VERDICT_SUCCESS;
}

/* v2: one child per bank; the parent ends when the last of them does. */
static bool add_children(struct sandbox_exchange *exchange, const struct bud_wish *wish,
                         uint32_t number, uint32_t job_count)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_job *job = &sandbox->jobs.jobs[number];
    size_t bad = 0;

    if (!sandbox_jobs_add_children(&sandbox->jobs, number, (uint16_t)wish->provider_count))
        return false;
    for (size_t i = 0; i < wish->provider_count; i++) {
        struct sandbox_child *child = &sandbox->jobs.children[job->first_child + i];
        struct sandbox_draw draw;

        child->label = sandbox_names_number(&sandbox->names, wish->providers[i]);
        draw_at(exchange, wish, i, child->label, job_count, &draw);
        child->verdict = draw.verdict;
        child->flags = draw.flags;
        job->flags |=
            draw.flags & (SANDBOX_JOB_LOST | SANDBOX_JOB_UNKNOWN_STATUS | SANDBOX_JOB_OLD_WORDS);
        if (draw.duration_ms > job->duration_ms)
            job->duration_ms = draw.duration_ms;
        if (sandbox_verdict(draw.verdict)->outcome == SANDBOX_ENDS_BADLY) {
            bad++;
            job->verdict = draw.verdict;
        }
    }
    if (bad > 0 && bad < wish->provider_count)
        job->verdict = sandbox_verdict_find("partial");
    return true;
}

static void start_task(struct sandbox_exchange *exchange, const struct bud_wish *wish,
                       uint32_t subject_number)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_subject *subject = &sandbox->jobs.subjects[subject_number];
    const struct sandbox_rates *quota = &sandbox->scenario->bud.quota;
    uint32_t job_count = subject->job_count;
    struct sandbox_job *job;
    uint32_t number;

    if (quota->count > 0 &&
        sandbox_jobs_in_window(exchange, subject_number, quota->entries[0].period_us / US_PER_MS) >=
            quota->entries[0].count)
        sandbox_break(exchange, SANDBOX_RULE_QUOTA, "more than %s", quota->entries[0].text);
    number = sandbox_jobs_add(&sandbox->jobs, subject_number, exchange->now_ms);
    if (number == SANDBOX_NONE)
        goto out_of_memory;
    job = &sandbox->jobs.jobs[number];
    if (exchange->api == SANDBOX_API_BUD_V2) {
        if (!add_children(exchange, wish, number, job_count))
            goto out_of_memory;
    } else {
        struct sandbox_draw draw;

        draw_at(exchange, wish, 0, wish->label, job_count, &draw);
        job->verdict = draw.verdict;
        job->flags = draw.flags;
        job->duration_ms = draw.duration_ms;
    }
    if (sandbox_fault_spoils(exchange->fault))
        job->flags |= SANDBOX_JOB_SPOILED;
    sandbox_progress_start(exchange, number);
    sandbox->counts[exchange->api][exchange->endpoint].accepted++;
    answer_accepted(exchange, number);
    return;
out_of_memory:
    sandbox_bud_error(exchange, 500, "unknown", "the sandbox is out of memory");
}

/* The scenario's own refusal, and v1's answer for a bank under maintenance. */
static bool refuse_create(struct sandbox_exchange *exchange, const struct sandbox_consent *said)
{
    if (said != NULL && said->create_error.status != 0) {
        sandbox_bud_error(exchange, (int)said->create_error.status,
                          said->create_error.code != NULL ? said->create_error.code : "",
                          "the scenario says so");
        return true;
    }
    if (exchange->api == SANDBOX_API_BUD_V1 && exchange->bank != NULL &&
        sandbox_bank_in_maintenance(&exchange->bank->settings, exchange->now_ms)) {
        sandbox_bud_error(exchange, 400, "provider_maintenance", "the provider is in maintenance");
        return true;
    }
    return false;
}

static void create(struct sandbox_exchange *exchange, const json_t *body)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct bud_wish wish = {0};
    struct sandbox_consent described;
    const struct sandbox_consent *said = NULL;
    struct sandbox_subject *subject;
    char key[SANDBOX_BUD_KEY_SIZE];
    uint32_t number;

    wish.customer = sandbox_bud_customer(exchange);
    if (wish.customer == NULL || !read_wish(exchange, body, &wish) ||
        !sandbox_bud_check_secret(exchange, wish.customer))
        return;
    number = sandbox_jobs_subject(&sandbox->jobs, exchange->account->number, (uint8_t)exchange->api,
                                  wish.customer, wish.label);
    if (number == SANDBOX_NONE) {
        sandbox_bud_error(exchange, 500, "unknown", "the sandbox is out of memory");
        return;
    }
    subject = &sandbox->jobs.subjects[number];
    for (size_t i = 0; i < wish.provider_count; i++)
        sandbox_bank_arrive(exchange, sandbox_names_number(&sandbox->names, wish.providers[i]));
    sandbox_add_bank_delay(exchange);
    if (sandbox_scenario_consent(sandbox->scenario,
                                 sandbox_bud_key(key, wish.customer, wish.providers[0]),
                                 wish.customer, &described))
        said = &described;
    sandbox_fault_choose(exchange, said != NULL ? said->create_faults : NULL,
                         subject->create_requests++);
    if (sandbox_fault_before(exchange) || refuse_create(exchange, said) ||
        deduplicate(exchange, subject))
        return;
    start_task(exchange, &wish, number);
}

void sandbox_bud_create(struct sandbox_exchange *exchange)
{
    json_t *body = json_loadb(exchange->request->body, exchange->request->body_length, 0, NULL);

    if (sandbox_bud_authorise(exchange))
        create(exchange, body);
    json_decref(body);
}
