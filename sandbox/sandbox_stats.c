/* SPDX-License-Identifier: MIT
 * sandbox_stats.c - the counters as JSON, and the ledger line of a job. */
#include <string.h>

#include "sandbox/sandbox_state.h"
#include "sandbox/sandbox_webhook.h"

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *counts_json(const struct sandbox *sandbox, struct sandbox_counts *total)
{
    json_t *apis = json_object();

    for (size_t api = 0; api < SANDBOX_API_COUNT; api++) {
        json_t *endpoints = json_object();

        for (size_t i = 0; i < SANDBOX_ENDPOINT_COUNT; i++) {
            const struct sandbox_counts *counts = &sandbox->counts[api][i];

            if (counts->requests == 0)
                continue;
            total->accepted += counts->accepted;
            total->deduplicated += counts->deduplicated;
            total->refused += counts->refused;
            (void)json_object_set_new(endpoints, sandbox_endpoint_text((enum sandbox_endpoint)i),
                                      json_pack("{s:I, s:I, s:I, s:I}", "requests",
                                                (json_int_t)counts->requests, "accepted",
                                                (json_int_t)counts->accepted, "deduplicated",
                                                (json_int_t)counts->deduplicated, "refused",
                                                (json_int_t)counts->refused));
        }
        (void)json_object_set_new(apis, sandbox_api_text((enum sandbox_api)api), endpoints);
    }
    return apis;
}

static void append_peaks(json_t *list, const struct sandbox_account *account, const char *bank,
                         const struct sandbox_rates *rates, const struct sandbox_window *window)
{
    for (size_t i = 0; i < rates->count; i++)
        (void)json_array_append_new(list, json_pack("{s:s, s:s?, s:s, s:I, s:I, s:I}", "account",
                                                    account->name, "bank", bank, "limit",
                                                    rates->entries[i].text, "allowed",
                                                    (json_int_t)rates->entries[i].count, "peak",
                                                    (json_int_t)window->tolerant_peaks[i],
                                                    "peak_exact", (json_int_t)window->peaks[i]));
}

static json_t *gauge_json(const struct sandbox_gauge *gauge, int64_t limit)
{
    return json_pack("{s:I, s:I, s:I}", "now", (json_int_t)gauge->now, "peak",
                     (json_int_t)gauge->peak, "limit", (json_int_t)limit);
}

/* Accounts with their gauges; the peaks of rates go into `peaks`. */
static json_t *accounts_json(const struct sandbox *sandbox, json_t *peaks)
{
    json_t *accounts = json_object();

    for (size_t i = 0; i < sandbox->account_count; i++) {
        const struct sandbox_account *account = sandbox->accounts[i];
        const struct sandbox_limits *limits = &account->settings.limits;
        json_t *banks = json_object();

        append_peaks(peaks, account, NULL, &limits->rates, &account->window);
        for (uint32_t label = 0; label < account->bank_capacity; label++) {
            const struct sandbox_bank_node *bank = account->banks[label];
            const char *name;

            if (bank == NULL)
                continue;
            name = sandbox_names_text(&sandbox->names, label);
            append_peaks(peaks, account, name, &bank->settings.limits.rates, &bank->window);
            (void)json_object_set_new(
                banks, name,
                json_pack("{s:o, s:o}", "requests_in_flight",
                          gauge_json(&bank->in_flight, bank->settings.limits.requests_in_flight),
                          "jobs_running",
                          gauge_json(&bank->running, bank->settings.limits.jobs_running)));
        }
        (void)json_object_set_new(
            accounts, account->name,
            json_pack("{s:o, s:o, s:I, s:o}", "requests_in_flight",
                      gauge_json(&account->in_flight, limits->requests_in_flight), "jobs_running",
                      gauge_json(&account->running, limits->jobs_running), "tokens",
                      (json_int_t)account->token_count, "banks", banks));
    }
    return accounts;
}

static json_t *refusals_json(const struct sandbox *sandbox)
{
    json_t *refused = json_object();

    for (size_t i = 0; i < sandbox->refusal_count; i++)
        (void)json_object_set_new(refused, sandbox->refusals[i].code,
                                  integer(sandbox->refusals[i].count));
    return refused;
}

static json_t *faults_json(const struct sandbox *sandbox)
{
    json_t *faults = json_object();

    for (size_t i = 1; i < SANDBOX_FAULT_COUNT; i++)
        if (sandbox->faults[i] > 0)
            (void)json_object_set_new(faults, sandbox_fault_text((enum sandbox_fault)i),
                                      integer(sandbox->faults[i]));
    return faults;
}

json_t *sandbox_stats_json(struct sandbox *sandbox, int64_t now_ms)
{
    struct sandbox_counts total = {0};
    json_t *peaks = json_array();
    json_t *accounts = accounts_json(sandbox, peaks);
    json_t *apis = counts_json(sandbox, &total);
    char now[UTC_TEXT_SIZE];
    char started[UTC_TEXT_SIZE];

    return json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o}",
        "now", utc_text((struct utc_time){now_ms}, now), "started_at",
        utc_text((struct utc_time){sandbox->started_ms}, started), "seed",
        (json_int_t)sandbox->seed, "requests", (json_int_t)sandbox->requests, "accepted",
        (json_int_t)total.accepted, "deduplicated", (json_int_t)total.deduplicated, "refused",
        refusals_json(sandbox), "apis", apis, "accounts", accounts, "peaks", peaks, "jobs",
        json_pack("{s:I, s:I, s:I}", "total", (json_int_t)sandbox->jobs.job_count, "open",
                  (json_int_t)sandbox->running.now, "open_peak", (json_int_t)sandbox->running.peak),
        "connections",
        json_pack("{s:I, s:I}", "accepted",
                  (json_int_t)sandbox_http_connections_accepted(sandbox->http), "open",
                  (json_int_t)sandbox_http_connections_open(sandbox->http)),
        "faults", faults_json(sandbox), "rule_breaks", sandbox_rules_json(&sandbox->rules),
        "unwitting", (json_int_t)sandbox->unwitting, "polls_after_end",
        (json_int_t)sandbox->polls_after_end, "webhooks", sandbox_webhook_json(sandbox));
}

void sandbox_ledger_line(const struct sandbox *sandbox, uint32_t number, int64_t now_ms,
                         struct text *out)
{
    const struct sandbox_job *job = &sandbox->jobs.jobs[number];
    const struct sandbox_subject *subject = &sandbox->jobs.subjects[job->subject];
    int64_t end_ms = sandbox_job_end_ms(job);
    char id[SANDBOX_ID_SIZE];

    text_append_format(out, "{\"api\":\"%s\",\"account\":\"%s\",\"%s\":",
                       sandbox_api_text((enum sandbox_api)subject->api),
                       sandbox->accounts[subject->account]->name,
                       subject->api == SANDBOX_API_FINQWARE ? "consent" : "customer");
    sandbox_append_quoted(out, subject->id);
    text_append_string(out, ",\"bank\":");
    if (subject->label != SANDBOX_NONE)
        sandbox_append_quoted(out, sandbox_names_text(&sandbox->names, subject->label));
    else
        text_append_string(out, "null");
    text_append_format(out, ",\"job_id\":\"%s\",\"created_ms\":%lld,\"finished_ms\":",
                       sandbox_id_write(id, sandbox->seed, SANDBOX_ID_JOB, number),
                       (long long)job->created_ms);
    if (end_ms <= now_ms && (job->flags & SANDBOX_JOB_UNKNOWN_STATUS) == 0)
        text_append_format(out, "%lld", (long long)end_ms);
    else
        text_append_string(out, "null");
    text_append_format(out,
                       ",\"verdict\":\"%s\",\"create_requests\":%u,\"seen_end\":%s,\"lost\":%s",
                       sandbox_verdict(job->verdict)->word, (unsigned)job->create_requests,
                       (job->flags & SANDBOX_JOB_SEEN_END) != 0 ? "true" : "false",
                       (job->flags & SANDBOX_JOB_LOST) != 0 ? "true" : "false");
    for (uint32_t i = 0; i < job->child_count; i++) {
        const struct sandbox_child *child = &sandbox->jobs.children[job->first_child + i];

        text_append_string(out, i == 0 ? ",\"sub_tasks\":[{\"bank\":" : ",{\"bank\":");
        sandbox_append_quoted(out, sandbox_names_text(&sandbox->names, child->label));
        text_append_format(out, ",\"task_id\":\"%s\",\"verdict\":\"%s\"}%s",
                           sandbox_id_write(id, sandbox->seed, SANDBOX_ID_SUB_TASK + i, number),
                           sandbox_verdict(child->verdict)->word,
                           i + 1 == job->child_count ? "]" : "");
    }
    text_append_string(out, "}\n");
}
