/* SPDX-License-Identifier: MIT
 * status_surface.c - see status_surface.h. */
#include "daemon/status_surface.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine_internal.h"
#include "daemon/expiry_watch.h"
#include "daemon/http_in.h"

#define PAGE_BYTES_MAX ((size_t)4 * 1024 * 1024)
/* Institutions shown: beyond this only those that hold work back, so that a page stays small. */
#define INSTITUTIONS_MAX 500

/* Outcomes of one provider, by name: indexes change with reloads, counters must not. */
struct provider_count {
    struct provider_count *next;
    uint64_t outcomes[OUTCOME_COUNT];
    char name[];
};

struct status_surface {
    struct engine *engine;
    struct http_in *http;
    struct provider_count *counts;
    struct time_now started;
};

void status_surface_count(struct status_surface *surface, const char *provider,
                          enum outcome outcome)
{
    struct provider_count *count;

    if (surface == NULL)
        return;
    for (count = surface->counts; count != NULL; count = count->next)
        if (strcmp(count->name, provider) == 0)
            break;
    if (count == NULL) {
        count = calloc(1, sizeof *count + strlen(provider) + 1);
        if (count == NULL)
            return;
        memcpy(count->name, provider, strlen(provider) + 1);
        count->next = surface->counts;
        surface->counts = count;
    }
    count->outcomes[outcome]++;
}

static void metric(struct text *page, const char *name, const char *type, const char *help)
{
    text_append_format(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct text *page, const char *name, const char *help, int64_t value)
{
    metric(page, name, "gauge", help);
    text_append_format(page, "%s %" PRId64 "\n", name, value);
}

static void outcome_metrics(const struct status_surface *surface, struct text *page)
{
    metric(page, "refreshd_refresh_total", "counter", "Slots and manual jobs ended, by outcome.");
    for (const struct provider_count *count = surface->counts; count != NULL; count = count->next)
        for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++)
            text_append_format(
                page, "refreshd_refresh_total{provider=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
                count->name, outcome_text(outcome), count->outcomes[outcome]);
}

static void backlog_metrics(const struct engine *engine, struct text *page)
{
    metric(page, "refreshd_due_backlog", "gauge", "Slots of open runs that wait, by schedule.");
    for (uint32_t i = 0; i < scheduler_run_count(engine->scheduler); i++) {
        struct run_view view;

        scheduler_run_view(engine->scheduler, i, &view);
        text_append_format(page, "refreshd_due_backlog{schedule=\"%s\",trigger=\"%s\"} %u\n",
                           engine->settings.schedules[view.schedule].name,
                           trigger_text(view.trigger), view.waiting);
    }
}

static void forecast_metrics(const struct engine *engine, struct text *page)
{
    struct run_view view;

    metric(page, "refreshd_run_will_miss", "gauge",
           "Slots of open runs that should not be sent before the deadline, by schedule.");
    for (uint32_t i = 0; i < scheduler_run_count(engine->scheduler); i++) {
        scheduler_run_view(engine->scheduler, i, &view);
        if (view.schedule >= engine->settings.schedule_count)
            continue;
        text_append_format(page, "refreshd_run_will_miss{schedule=\"%s\",trigger=\"%s\"} %u\n",
                           engine->settings.schedules[view.schedule].name,
                           trigger_text(view.trigger), view.will_miss);
    }
    metric(page, "refreshd_run_slack_seconds", "gauge",
           "From the expected end of open runs to their deadline, by schedule.");
    for (uint32_t i = 0; i < scheduler_run_count(engine->scheduler); i++) {
        scheduler_run_view(engine->scheduler, i, &view);
        if (view.finish.ms == UTC_NONE.ms || view.deadline.ms == UTC_NEVER.ms)
            continue;
        text_append_format(
            page, "refreshd_run_slack_seconds{schedule=\"%s\",trigger=\"%s\"} %" PRId64 "\n",
            engine->settings.schedules[view.schedule].name, trigger_text(view.trigger),
            (view.deadline.ms - view.finish.ms) / MS_PER_SECOND);
    }
}

static void provider_metrics(const struct engine *engine, struct time_now now, struct text *page)
{
    struct node_view view;

    metric(page, "refreshd_jobs_running", "gauge", "Jobs running at a provider.");
    for (uint32_t i = 0; i < engine->settings.provider_count; i++) {
        scheduler_provider_view(engine->scheduler, now, i, &view);
        text_append_format(page, "refreshd_jobs_running{provider=\"%s\"} %u\n",
                           engine->settings.providers[i].name, view.jobs_running);
    }
    metric(page, "refreshd_requests_in_flight", "gauge", "Requests without an answer yet.");
    for (uint32_t i = 0; i < engine->settings.provider_count; i++) {
        scheduler_provider_view(engine->scheduler, now, i, &view);
        text_append_format(page, "refreshd_requests_in_flight{provider=\"%s\"} %u\n",
                           engine->settings.providers[i].name, view.requests_in_flight);
    }
    metric(page, "refreshd_connections_opened_total", "counter", "Connections opened.");
    for (uint32_t i = 0; i < engine->link_count; i++) {
        struct transport_counts counts = transport_client_counts(engine->links[i]->client);

        text_append_format(page, "refreshd_connections_opened_total{provider=\"%s\"} %" PRIu64 "\n",
                           engine->settings.providers[i].name, counts.connections_opened);
    }
}

/* A label's value: what the exposition format cannot carry is escaped. */
static void append_label(struct text *page, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            text_append(page, "\\", 1);
        text_append(page, value, 1);
    }
}

static void node_labels(struct text *page, const char *metric_name, const char *provider,
                        const char *institution)
{
    text_append_format(page, "%s{provider=\"%s\",institution=\"", metric_name, provider);
    append_label(page, institution);
    text_append_string(page, "\"} ");
}

static void learned_metric(struct text *page, const char *provider, const char *institution,
                           const struct node_view *view)
{
    int64_t per_second_milli;

    if (view->learned_interval_us <= 0)
        return;
    per_second_milli =
        (1000 * US_PER_SECOND + view->learned_interval_us / 2) / view->learned_interval_us;
    node_labels(page, "refreshd_learned_rate", provider, institution);
    text_append_format(page, "%" PRId64 ".%03d\n", per_second_milli / 1000,
                       (int)(per_second_milli % 1000));
}

static void breaker_metric(struct text *page, const char *provider, const char *institution,
                           const struct node_view *view)
{
    node_labels(page, "refreshd_breaker_state", provider, institution);
    text_append_format(page, "%d\n",
                       view->breaker == BREAKER_CLOSED ? 0
                       : view->breaker == BREAKER_OPEN ? 2
                                                       : 1);
}

/* Both of what was learned, for providers (institution "") and for institutions. */
static void node_metrics(const struct engine *engine, struct time_now now, struct text *page,
                         void (*write)(struct text *page, const char *provider,
                                       const char *institution, const struct node_view *view))
{
    const struct scheduler_settings *settings = &engine->settings;
    uint32_t shown = 0;
    struct node_view view;

    for (uint32_t i = 0; i < settings->provider_count; i++) {
        scheduler_provider_view(engine->scheduler, now, i, &view);
        write(page, settings->providers[i].name, "", &view);
    }
    for (uint32_t i = 0; i < settings->institution_count; i++) {
        const struct institution_settings *institution = &settings->institutions[i];

        scheduler_institution_view(engine->scheduler, now, i, &view);
        if (view.breaker == BREAKER_CLOSED && view.learned_interval_us == 0 &&
            shown >= INSTITUTIONS_MAX)
            continue;
        shown++;
        write(page, settings->providers[institution->provider].name, institution->name, &view);
    }
}

static void write_metrics(const struct status_surface *surface, struct text *page)
{
    const struct engine *engine = surface->engine;
    struct state_store_metrics store;
    struct time_now now = clock_now();

    state_store_metrics(engine->store, &store);
    metric(page, "refreshd_build_info", "gauge", "Version of the program.");
    text_append_format(page, "refreshd_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
    metric(page, "refreshd_config_info", "gauge", "Digest of the configuration in force.");
    text_append_format(page, "refreshd_config_info{digest=\"%s\"} 1\n", engine->config->digest);
    metric(page, "refreshd_reloads_total", "counter", "Configurations read again, by result.");
    text_append_format(page,
                       "refreshd_reloads_total{result=\"taken\"} %" PRIu64
                       "\nrefreshd_reloads_total{result=\"refused\"} %" PRIu64 "\n",
                       engine->reloads, engine->reloads_refused);
    gauge(page, "refreshd_reload_refused", "1 while the last reload is one that was refused.",
          engine->reload_error[0] != '\0');
    metric(page, "refreshd_clock_steps_total", "counter", "Times that the wall clock was set.");
    text_append_format(page, "refreshd_clock_steps_total %" PRIu64 "\n", engine->clock_steps);
    metric(page, "refreshd_clock_resumes_total", "counter", "Times that the machine had slept.");
    text_append_format(page, "refreshd_clock_resumes_total %" PRIu64 "\n", engine->clock_resumes);
    outcome_metrics(surface, page);
    backlog_metrics(engine, page);
    forecast_metrics(engine, page);
    provider_metrics(engine, now, page);
    metric(page, "refreshd_learned_rate", "gauge",
           "Learned pace of initiations per second, where there is one.");
    node_metrics(engine, now, page, learned_metric);
    metric(page, "refreshd_breaker_state", "gauge", "0 closed, 1 probing, 2 open.");
    node_metrics(engine, now, page, breaker_metric);
    gauge(page, "refreshd_consents", "Consents in the population.",
          consent_table_count(engine->population.table));
    expiry_watch_metrics(engine->expiry, page);
    gauge(page, "refreshd_storage_blocked", "1 while the state database cannot be written.",
          engine->is_storage_blocked);
    gauge(page, "refreshd_db_wal_bytes", "Size of the write-ahead log.", store.wal_bytes);
    gauge(page, "refreshd_reporting_lag_facts", "Facts not delivered to reporting yet.",
          engine->reporting == NULL ? 0 : store.ledger_last - store.ledger_delivered);
    gauge(page, "refreshd_start_time_seconds", "Start of the process, Unix time.",
          surface->started.utc.ms / MS_PER_SECOND);
    metric(page, "refreshd_db_commits_total", "counter", "Transactions committed.");
    text_append_format(page, "refreshd_db_commits_total %" PRIu64 "\n", store.commits);
}

static void write_page(const struct status_surface *surface, struct text *page)
{
    const struct engine *engine = surface->engine;
    struct time_now now = clock_now();
    char instant[UTC_TEXT_SIZE];
    uint32_t shown = 0;

    text_append_format(page, "refreshd %s   %s   %u consents   %s\n\n", PACKAGE_VERSION,
                       utc_text_seconds(now.utc, instant),
                       consent_table_count(engine->population.table),
                       engine->is_storage_blocked ? "STORAGE BLOCKED"
                       : engine->is_draining      ? "draining"
                                                  : "running");
    for (uint32_t i = 0; i < scheduler_run_count(engine->scheduler); i++) {
        struct run_view run;

        scheduler_run_view(engine->scheduler, i, &run);
        text_append_format(page, "run %s@%s  due %u  waiting %u  open %u\n",
                           engine->settings.schedules[run.schedule].name,
                           utc_text_seconds(run.slot, instant), run.due, run.waiting,
                           run.open_jobs);
    }
    for (uint32_t i = 0; i < engine->settings.institution_count && shown < INSTITUTIONS_MAX; i++) {
        const struct institution_settings *institution = &engine->settings.institutions[i];
        struct node_view node;

        scheduler_institution_view(engine->scheduler, now, i, &node);
        if (node.jobs_running == 0 && node.waiting == 0 && node.blocked_reason == REASON_NONE &&
            node.breaker == BREAKER_CLOSED)
            continue;
        shown++;
        text_append_format(page, "%s/%s  running %u  waiting %u  %s\n",
                           engine->settings.providers[institution->provider].name,
                           institution->name, node.jobs_running, node.waiting,
                           reason_text(node.blocked_reason));
    }
}

static void respond_text(struct http_in_exchange *exchange, const char *type,
                         const struct status_surface *surface,
                         void (*write)(const struct status_surface *surface, struct text *page))
{
    struct text page;

    text_init(&page, PAGE_BYTES_MAX);
    write(surface, &page);
    http_in_respond(exchange, &(struct http_in_answer){
                                  .status = 200,
                                  .content_type = type,
                                  .body = page.bytes == NULL ? "" : page.bytes,
                                  .body_length = page.length,
                              });
    text_deinit(&page);
}

static void on_request(void *context, struct http_in_exchange *exchange,
                       const struct http_in_request *request)
{
    const struct status_surface *surface = context;
    const struct engine *engine = surface->engine;

    if (request->method != HTTP_IN_GET)
        http_in_respond_text(exchange, 405, "this surface is read with GET");
    else if (strcmp(request->path, "/healthz") == 0)
        http_in_respond_text(exchange, 200, "alive");
    else if (strcmp(request->path, "/readyz") == 0 && engine->is_storage_blocked)
        http_in_respond_text(exchange, 503, "the state database cannot be written");
    else if (strcmp(request->path, "/readyz") == 0 && engine->is_draining)
        http_in_respond_text(exchange, 503, "draining");
    else if (strcmp(request->path, "/readyz") == 0)
        http_in_respond_text(exchange, 200, "ready");
    else if (strcmp(request->path, "/metrics") == 0)
        respond_text(exchange, "text/plain; version=0.0.4; charset=utf-8", surface, write_metrics);
    else if (strcmp(request->path, "/") == 0)
        respond_text(exchange, "text/plain; charset=utf-8", surface, write_page);
    else
        http_in_respond_text(exchange, 404, "there is /, /metrics, /healthz and /readyz");
}

enum result status_surface_open(struct engine *engine, struct status_surface **out,
                                struct fault *fault)
{
    struct status_surface *surface = calloc(1, sizeof *surface);
    const struct http_in_settings settings = {.address = engine->config->http.listen};
    struct http_in_handler handler = {.on_request = on_request};

    if (surface == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    surface->engine = engine;
    surface->started = clock_now();
    handler.context = surface;
    if (http_in_create(engine->loop, &settings, &handler, &surface->http, fault) != RESULT_OK) {
        free(surface);
        return fault_prefix(fault, "http.listen");
    }
    log_begin(engine->log, surface->started.utc, LOG_INFO, "status_listening");
    log_text(engine->log, "address", http_in_bound(surface->http));
    log_end(engine->log);
    *out = surface;
    return RESULT_OK;
}

void status_surface_close(struct status_surface *surface)
{
    if (surface == NULL)
        return;
    http_in_destroy(surface->http);
    while (surface->counts != NULL) {
        struct provider_count *next = surface->counts->next;

        free(surface->counts);
        surface->counts = next;
    }
    free(surface);
}
