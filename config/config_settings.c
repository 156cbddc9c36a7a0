/* SPDX-License-Identifier: MIT
 * config_settings.c - the sections that are about the daemon itself, and the sources. */
#include <string.h>

#include "config/config_load.h"
#include "config/option_value.h"

_Static_assert(EXPORT_CSV == 0 && EXPORT_JSON_LINES == 1, "csv|json");
_Static_assert(LOG_FORMAT_LOGFMT == 0 && LOG_FORMAT_JSON == 1, "logfmt|json");

static void make_state(struct load *load)
{
    struct config *config = load->config;
    const struct yaml_node *state = yaml_get(load->tree, "state");
    const struct yaml_node *retain = yaml_get(state, "retain");

    config->state.database = config_get_text(state, "state.database");
    config->state.retain_jobs_ms = config_get_number(retain, "state.retain.jobs", 90 * MS_PER_DAY);
    config->state.retain_attempts_ms =
        config_get_number(retain, "state.retain.attempts", 30 * MS_PER_DAY);
}

/* Its scheme was written, however the rest looks; the settled text is a path, so look for it. */
static bool is_server_address(const char *text)
{
    return strcasestr(text, "postgresql:/") != NULL || strcasestr(text, "postgres:/") != NULL;
}

static void make_reporting(struct load *load)
{
    struct config *config = load->config;
    const struct yaml_node *reporting = yaml_get(load->tree, "reporting");
    const struct yaml_node *export = yaml_get(reporting, "export");
    const char *database = config_get_text(reporting, "reporting.database");
    struct place place = config_get_place(reporting, "reporting.database");

    config->reporting.database = database;
    config->reporting.snapshot = config_get_text(reporting, "reporting.snapshot");
    config->reporting.export_directory = config_get_text(export, "reporting.export.directory");
    config->reporting.export_format =
        (enum export_format)config_get_number(export, "reporting.export.format", 0);
    if (database != NULL && is_server_address(database))
        diagnostics_error(load->diagnostics, place,
                          "reporting.database: PostgreSQL is not built yet; write the path of an "
                          "SQLite database");
    if (database != NULL && config->state.database != NULL &&
        strcmp(database, config->state.database) == 0)
        diagnostics_error(load->diagnostics, place,
                          "reporting.database is the same file as state.database");
    if (config->reporting.snapshot != NULL && database == NULL)
        diagnostics_error(load->diagnostics, config_get_place(reporting, "reporting.snapshot"),
                          "reporting.snapshot is a copy of reporting.database, which is not set");
    else if (config->reporting.snapshot != NULL &&
             strcmp(config->reporting.snapshot, database) == 0)
        diagnostics_error(load->diagnostics, config_get_place(reporting, "reporting.snapshot"),
                          "reporting.snapshot is the same file as reporting.database");
}

static void make_summary(struct load *load)
{
    struct config *config = load->config;
    const struct yaml_node *summary = yaml_get(load->tree, "summary");

    config->summary.log = config_get_text(summary, "summary.log");
    config->summary.every_ms = config_get_number(summary, "summary.every", 15 * MS_PER_MINUTE);
    config->summary.format = (enum log_format)config_get_number(summary, "summary.format", 0);
}

static void make_http(struct load *load)
{
    struct config *config = load->config;
    const struct yaml_node *http = yaml_get(load->tree, "http");
    const struct yaml_node *webhooks = yaml_get(http, "webhooks");
    const char *url = config_get_text(webhooks, "http.webhooks.public_url");
    struct place place = config_get_place(webhooks, "http.webhooks.listen");

    config->http.listen = config_get_text(http, "http.listen");
    config->http.token = config_get_secret(http, "http.token");
    config->http.webhook_listen = config_get_text(webhooks, "http.webhooks.listen");
    config->http.webhook_public_url = url;
    if (url != NULL && option_value_of(option_find("http.webhooks.public_url"), url).is_clear_http)
        diagnostics_error(load->diagnostics, config_get_place(webhooks, "http.webhooks.public_url"),
                          "providers would call \"%.200s\" in the clear: use https://", url);
    if (config->http.listen != NULL && config->http.webhook_listen != NULL &&
        strcmp(config->http.listen, config->http.webhook_listen) == 0 &&
        strcmp(strrchr(config->http.listen, ':'), ":0") != 0)
        diagnostics_error(load->diagnostics, place,
                          "http.webhooks.listen is the same address as http.listen: webhooks have "
                          "a listener of their own");
}

static void make_source(struct load *load, struct consent_source *source,
                        const struct yaml_node *node)
{
    source->place = node->place;
    source->csv_path = config_get_text(node, "consents_from[].csv");
    source->sqlite_path = config_get_text(node, "consents_from[].sqlite");
    source->query = config_get_text(node, "consents_from[].query");
    source->every_ms = config_get_number(node, "consents_from[].every", 0);
    source->max_shrink_percent = (int)config_get_number(node, "consents_from[].max_shrink",
                                                        load->config->max_shrink_percent);
    if ((source->csv_path == NULL) == (source->sqlite_path == NULL))
        diagnostics_error(load->diagnostics, node->place,
                          "consents_from: an entry needs either \"csv\" or \"sqlite\"");
    else if (source->sqlite_path != NULL && source->query == NULL)
        diagnostics_error(load->diagnostics, node->place,
                          "consents_from: key \"query\" is missing: the SELECT that gives the "
                          "consents");
    else if (source->csv_path != NULL && source->query != NULL)
        diagnostics_error(load->diagnostics, config_get_place(node, "consents_from[].query"),
                          "consents_from: \"query\" belongs to \"sqlite\", not to \"csv\"");
}

static void make_sources(struct load *load)
{
    struct config *config = load->config;
    const struct yaml_node *list = yaml_get(load->tree, "consents_from");
    size_t count = list == NULL || list->kind != YAML_SEQUENCE ? 0 : list->count;

    config->max_shrink_percent = (int)config_get_number(load->tree, "max_shrink", 10);
    config->sources = arena_alloc(load->arena, count * sizeof *config->sources);
    REQUIRE(config->sources != NULL);
    for (size_t i = 0; i < count; i++)
        if (list->values[i]->kind == YAML_MAPPING)
            make_source(load, &config->sources[config->source_count++], list->values[i]);
}

void config_settings_make(struct load *load)
{
    make_state(load);
    make_reporting(load);
    make_summary(load);
    make_http(load);
    make_sources(load);
    config_calendars_check(load);
    config_providers_make(load);
    config_schedules_make(load);
}
