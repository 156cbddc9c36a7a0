/* SPDX-License-Identifier: MIT
 * command_list.c - `refreshd consents|jobs|runs`: rows of the public views, with filters. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "command/command_line.h"
#include "command/commands.h"
#include "command/query_row.h"
#include "command/text_table.h"
#include "daemon/clock.h"
#include "reporting/csv_line.h"
#include "scheduler/words.h"
#include "state/state_query.h"

#define FILTERS_MAX 8
#define LIMIT_MAX INT64_C(4000000000)

static const char consents_usage[] =
    "usage: refreshd consents [-c FILE] [--provider NAME] [--institution NAME] [--status STATUS]\n"
    "                         [--customer ID] [--consent P/ID] [--limit N] [--reconnect]\n"
    "                         [--urgency URGENCY] [--cause CAUSE] [--format text|json|csv]\n"
    "\n"
    "List consents with their state, by name. Reads the state database; the daemon may be running\n"
    "or not. json is one object per line with the columns of the view v1_consents (v1_reconnect\n"
    "with --reconnect), csv has them under a heading. Instants are UTC.\n"
    "\n"
    "  --provider NAME     only of this provider\n"
    "  --institution NAME  only of this bank (\"-\": consents without one)\n"
    "  --status STATUS     active, held, paused, expired or removed\n"
    "  --customer ID       only of this customer\n"
    "  --consent P/ID      only this one; exit status 1 when there is no such consent\n"
    "  --limit N           at most N rows\n"
    "  --reconnect         those that need their customer, most urgent first: held, expired, or\n"
    "                      expiring within the longest of providers.NAME.consent.warn\n"
    "  --urgency URGENCY   with --reconnect: now, soon or later\n"
    "  --cause CAUSE       with --reconnect: reconnect_required, expired or expiring\n";

static const char jobs_usage[] =
    "usage: refreshd jobs [-c FILE] [--run ID|last] [--consent P/ID] [--outcome OUTCOME]\n"
    "                     [--state STATE] [--since T] [--limit N] [--format text|json]\n"
    "\n"
    "List jobs, newest first. Reads the state database; the daemon may be running or not. json is\n"
    "one object per line with the columns of the view v1_jobs. Instants are UTC.\n"
    "\n"
    "  --run ID           only of this run, such as nightly@2026-11-21T01:00:00Z; `last` is the\n"
    "                     one that opened last; exit status 1 when there is no such run\n"
    "  --consent P/ID     only of this consent; exit status 1 when there is no such consent\n"
    "  --outcome OUTCOME  refreshed, partial, deduplicated, reconnect_required, failed, skipped\n"
    "                     or unknown\n"
    "  --state STATE      initiating, running, polling, looking_up, retry_wait, in_doubt, closed\n"
    "  --since T          due at or after T: an instant such as 2026-11-21T01:00:00Z, a date, or\n"
    "                     a duration before now such as 12h\n"
    "  --limit N          at most N rows\n";

static const char runs_usage[] =
    "usage: refreshd runs [-c FILE] [--schedule NAME] [--since T] [--limit N]\n"
    "                     [--format text|json]\n"
    "\n"
    "List runs, newest first. Reads the state database; the daemon may be running or not. json is\n"
    "one object per line with the columns of the view v1_runs. Instants are UTC.\n"
    "\n"
    "  --schedule NAME  only of this schedule\n"
    "  --since T        with a slot at or after T: an instant such as 2026-11-21T01:00:00Z, a\n"
    "                   date, or a duration before now such as 7d\n"
    "  --limit N        at most N rows\n";

enum {
    OPTION_PROVIDER = 256,
    OPTION_INSTITUTION,
    OPTION_STATUS,
    OPTION_CUSTOMER,
    OPTION_CONSENT,
    OPTION_RUN,
    OPTION_OUTCOME,
    OPTION_STATE,
    OPTION_SINCE,
    OPTION_SCHEDULE,
    OPTION_LIMIT,
    OPTION_RECONNECT,
    OPTION_URGENCY,
    OPTION_CAUSE
};

struct listing {
    struct command_line line;
    enum query_view view;
    struct query_filter filters[FILTERS_MAX];
    uint32_t filter_count;
    const char *since_column;
    int64_t limit;        /* 0: all */
    const char *provider; /* to be checked against the configuration */
    const char *schedule;
    const char *consent; /* to be checked against the database */
    const char *run;
    char run_id[256];
    bool needs_reconnect; /* --urgency or --cause was given */
    bool has_status;
};

/* ---- options ---- */

/* An option that is given twice: the last one counts. */
static void add_filter(struct listing *listing, const struct query_filter *filter)
{
    uint32_t i = 0;

    while (i < listing->filter_count && strcmp(listing->filters[i].column, filter->column) != 0)
        i++;
    REQUIRE(i < FILTERS_MAX);
    listing->filters[i] = *filter;
    if (i == listing->filter_count)
        listing->filter_count++;
}

static void add_text(struct listing *listing, const char *column, const char *text)
{
    const struct query_filter filter = {.column = column, .operator_ = QUERY_EQUAL, .text = text};

    add_filter(listing, &filter);
}

/* One of the words that `text_of` gives, or a usage error that lists them. */
static int add_word(struct listing *listing, const char *column, int first, int count,
                    const char *(*text_of)(int word))
{
    struct text allowed;
    int status = -1;

    for (int word = first; word < count; word++)
        if (strcmp(optarg, text_of(word)) == 0) {
            add_text(listing, column, optarg);
            return -1;
        }
    text_init(&allowed, 4096);
    for (int word = first; word < count; word++)
        text_append_format(&allowed, "%s%s", word == first ? "" : ", ", text_of(word));
    status = command_usage_error(&listing->line, "--%s %s: allowed are %s", column, optarg,
                                 allowed.bytes == NULL ? "?" : allowed.bytes);
    text_deinit(&allowed);
    return status;
}

static const char *status_word(int word)
{
    return consent_status_text((enum consent_status)word);
}
static const char *outcome_word(int word)
{
    return outcome_text((enum outcome)word);
}
static const char *state_word(int word)
{
    return job_state_text((enum job_state)word);
}
static const char *urgency_word(int word)
{
    static const char *const words[] = {"now", "soon", "later"};

    return words[word];
}
static const char *cause_word(int word)
{
    static const char *const words[] = {"reconnect_required", "expired", "expiring"};

    return words[word];
}

/* A duration counts back from now, unlike with `next` and `pause`: --since looks at the past. */
static int add_since(struct listing *listing)
{
    struct utc_time now = clock_now().utc;
    struct query_filter filter;
    struct utc_time since;
    int64_t ms;

    if (duration_parse(optarg, strlen(optarg), &ms))
        since = utc_add_ms(now, -ms);
    else if (!command_parse_instant(optarg, now, &since))
        return command_usage_error(&listing->line,
                                   "--since %s: allowed are an instant such as "
                                   "2026-11-21T01:00:00Z, a date, or a duration before now such "
                                   "as 12h",
                                   optarg);
    filter = (struct query_filter){
        .column = listing->since_column, .operator_ = QUERY_NOT_BEFORE, .integer = since.ms};
    add_filter(listing, &filter);
    return -1;
}

static int take_consent(struct listing *listing)
{
    const char *slash = strchr(optarg, '/');

    if (slash == NULL || slash == optarg || slash[1] == '\0')
        return command_usage_error(&listing->line,
                                   "--consent %s: write PROVIDER/ID, as the lists show it", optarg);
    listing->consent = optarg;
    add_text(listing, "consent", optarg);
    return -1;
}

/* -1 to go on, or an exit status. */
static int take_option(struct listing *listing, int option)
{
    switch (option) {
    case OPTION_PROVIDER:
        listing->provider = optarg;
        add_text(listing, "provider", optarg);
        return -1;
    case OPTION_INSTITUTION: add_text(listing, "institution", optarg); return -1;
    case OPTION_STATUS:
        listing->has_status = true;
        return add_word(listing, "status", CONSENT_ACTIVE, CONSENT_STATUS_COUNT, status_word);
    case OPTION_RECONNECT: listing->view = QUERY_RECONNECT; return -1;
    case OPTION_URGENCY:
        listing->needs_reconnect = true;
        return add_word(listing, "urgency", 0, 3, urgency_word);
    case OPTION_CAUSE:
        listing->needs_reconnect = true;
        return add_word(listing, "cause", 0, 3, cause_word);
    case OPTION_CUSTOMER: add_text(listing, "customer", optarg); return -1;
    case OPTION_CONSENT: return take_consent(listing);
    case OPTION_RUN: listing->run = optarg; return -1;
    case OPTION_OUTCOME:
        return add_word(listing, "outcome", OUTCOME_REFRESHED, OUTCOME_COUNT, outcome_word);
    case OPTION_STATE:
        return add_word(listing, "state", JOB_INITIATING, JOB_STATE_COUNT, state_word);
    case OPTION_SINCE: return add_since(listing);
    case OPTION_SCHEDULE:
        listing->schedule = optarg;
        add_text(listing, "schedule", optarg);
        return -1;
    case OPTION_LIMIT: break;
    default: return command_line_common(&listing->line, option);
    }
    if (!integer_parse(optarg, strlen(optarg), 1, LIMIT_MAX, &listing->limit))
        return command_usage_error(&listing->line, "--limit %s: allowed are 1 to %lld", optarg,
                                   (long long)LIMIT_MAX);
    return -1;
}

static int check_provider(const struct listing *listing, const struct config *config)
{
    struct text allowed;
    int status;

    if (listing->provider == NULL || config_find_provider(config, listing->provider) != UINT32_MAX)
        return -1;
    text_init(&allowed, 4096);
    for (uint32_t i = 0; i < config->provider_count; i++)
        text_append_format(&allowed, "%s%s", i == 0 ? "" : ", ", config->providers[i].name);
    status = command_usage_error(&listing->line, "--provider %s: the configuration has %s",
                                 listing->provider, allowed.length == 0 ? "none" : allowed.bytes);
    text_deinit(&allowed);
    return status;
}

static int check_schedule(const struct listing *listing, const struct config *config)
{
    struct text allowed;
    int status;

    if (listing->schedule == NULL || config_find_schedule(config, listing->schedule) != UINT32_MAX)
        return -1;
    text_init(&allowed, 4096);
    for (uint32_t i = 0; i < config->schedule_count; i++)
        text_append_format(&allowed, "%s%s", i == 0 ? "" : ", ", config->schedules[i].name);
    status = command_usage_error(&listing->line, "--schedule %s: the configuration has %s",
                                 listing->schedule, allowed.length == 0 ? "none" : allowed.bytes);
    text_deinit(&allowed);
    return status;
}

/* ---- rows ---- */

static const struct text_table_column consents_columns[] = {
    {"CONSENT", 44, false},      {"INSTITUTION", 20, false},  {"STATUS", 18, false},
    {"LAST OUTCOME", 18, false}, {"LAST SUCCESS", 19, false}, {"QUOTA", 9, true},
    {"NEXT DUE", 19, false},
};
static const struct text_table_column reconnect_columns[] = {
    {"CONSENT", 44, false}, {"CUSTOMER", 40, false},     {"INSTITUTION", 20, false},
    {"URGENCY", 7, false},  {"CAUSE", 18, false},        {"SINCE", 19, false},
    {"EXPIRES", 19, false}, {"LAST SUCCESS", 19, false}, {"NEXT DUE", 19, false},
};
static const struct text_table_column jobs_columns[] = {
    {"CONSENT", 44, false}, {"RUN", 40, false},    {"STATE", 10, false},
    {"STARTED", 19, false}, {"TOOK", 9, true},     {"TRIES", 5, true},
    {"OUTCOME", 18, false}, {"REASON", 17, false}, {"ERROR", 60, false},
};
static const struct text_table_column runs_columns[] = {
    {"RUN", 48, false}, {"TRIGGER", 8, false}, {"DUE", 11, true},    {"REFR", 11, true},
    {"PART", 11, true}, {"DEDUP", 11, true},   {"RECON", 11, true},  {"FAIL", 11, true},
    {"SKIP", 11, true}, {"UNKN", 11, true},    {"STATE", 14, false}, {"FINISHED", 19, false},
};

#define COLUMN_COUNT(columns) ((int)(sizeof(columns) / sizeof(columns)[0]))

static void consent_cells(struct text_table *table, const struct query_row *row)
{
    char text[64];
    const char *reason = query_row_text(row, "hold_reason");
    const char *status = query_row_text(row, "status");
    int64_t limit = query_row_integer(row, "quota_limit", 0);

    text_table_cell(table, query_row_text(row, "consent"));
    text_table_cell(table, query_row_text(row, "institution"));
    text_table_cell(table, reason != NULL && strcmp(reason, "suspended") == 0 ? reason : status);
    text_table_cell(table, query_row_text(row, "last_outcome"));
    text_table_cell(table, text_table_instant(query_row_text(row, "last_success_at"), text));
    if (limit == 0)
        (void)snprintf(text, sizeof text, "-");
    else
        (void)snprintf(text, sizeof text, "%lld/%lld",
                       (long long)query_row_integer(row, "quota_used", 0), (long long)limit);
    text_table_cell(table, text);
    text_table_cell(table, text_table_instant(query_row_text(row, "next_due_at"), text));
}

static void reconnect_cells(struct text_table *table, const struct query_row *row)
{
    char text[64];

    text_table_cell(table, query_row_text(row, "consent"));
    text_table_cell(table, query_row_text(row, "customer"));
    text_table_cell(table, query_row_text(row, "institution"));
    text_table_cell(table, query_row_text(row, "urgency"));
    text_table_cell(table, query_row_text(row, "cause"));
    text_table_cell(table, text_table_instant(query_row_text(row, "since_at"), text));
    text_table_cell(table, text_table_instant(query_row_text(row, "expires_at"), text));
    text_table_cell(table, text_table_instant(query_row_text(row, "last_success_at"), text));
    text_table_cell(table, text_table_instant(query_row_text(row, "next_due_at"), text));
}

static void job_cells(struct text_table *table, const struct query_row *row)
{
    char text[64];
    int64_t started = query_row_integer(row, "started_ms", -1);
    int64_t finished = query_row_integer(row, "finished_ms", -1);
    const char *message = query_row_text(row, "error_message");

    text_table_cell(table, query_row_text(row, "consent"));
    text_table_cell(table, query_row_text(row, "run_id"));
    text_table_cell(table, query_row_text(row, "state"));
    text_table_cell(table, text_table_instant(query_row_text(row, "started_at"), text));
    text_table_cell(
        table, text_table_span(started < 0 || finished < started ? -1 : finished - started, text));
    text_table_number(table, query_row_integer(row, "attempts", 0));
    text_table_cell(table, query_row_text(row, "outcome"));
    text_table_cell(table, query_row_text(row, "reason"));
    text_table_cell(table, message != NULL ? message : query_row_text(row, "error_code"));
}

static void run_cells(struct text_table *table, const struct query_row *row)
{
    char text[64];
    bool is_open = query_row_text(row, "finished_at") == NULL;
    const char *state = "ok";

    if (is_open)
        state = "open";
    else if (query_row_integer(row, "reconciled", 0) == 0)
        state = "NOT RECONCILED";
    else if (query_row_integer(row, "late", 0) != 0)
        state = "late";
    text_table_cell(table, query_row_text(row, "run_id"));
    text_table_cell(table, query_row_text(row, "trigger"));
    text_table_number(table, query_row_integer(row, "due", 0));
    for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++)
        text_table_number(table, query_row_integer(row, outcome_text(outcome), 0));
    text_table_cell(table, state);
    text_table_cell(table, text_table_instant(query_row_text(row, "finished_at"), text));
}

struct output {
    const struct listing *listing;
    struct text text;
    struct csv_line csv;
    bool has_heading;
    struct text_table table;
};

static void write_csv(struct output *output, const struct query_row *row)
{
    if (!output->has_heading) {
        query_row_csv_heading(row, &output->csv);
        (void)fwrite(output->csv.text.bytes, 1, output->csv.text.length, stdout);
        output->has_heading = true;
    }
    query_row_csv(row, &output->csv);
    (void)fwrite(output->csv.text.bytes, 1, output->csv.text.length, stdout);
}

static enum result on_row(void *context, uint32_t count, const char *const *columns,
                          const struct query_value *values, struct fault *fault)
{
    struct output *output = context;
    const struct query_row row = {count, columns, values};

    if (output->listing->line.format == OUTPUT_JSON) {
        query_row_json(&row, &output->text);
        (void)fwrite(output->text.bytes, 1, output->text.length, stdout);
    } else if (output->listing->line.format == OUTPUT_CSV) {
        write_csv(output, &row);
    } else if (output->listing->view == QUERY_CONSENTS) {
        consent_cells(&output->table, &row);
    } else if (output->listing->view == QUERY_RECONNECT) {
        reconnect_cells(&output->table, &row);
    } else if (output->listing->view == QUERY_JOBS) {
        job_cells(&output->table, &row);
    } else {
        run_cells(&output->table, &row);
    }
    if (ferror(stdout))
        return fault_set(fault, FAULT_IO, "cannot write to standard output: %s", strerror(errno));
    return RESULT_OK;
}

/* ---- does what was asked for exist? ---- */

static enum result take_name(void *context, uint32_t count, const char *const *columns,
                             const struct query_value *values, struct fault *fault)
{
    const struct query_row row = {count, columns, values};
    char *name = context;
    const char *found = query_row_text(&row, count > 0 ? columns[0] : "");

    (void)fault;
    (void)snprintf(name, 256, "%s", found == NULL ? "" : found);
    return RESULT_OK;
}

/* -1 to go on, or an exit status. */
static int check_consent(struct listing *listing, struct state_query *query)
{
    const struct query_filter filter = {"consent", QUERY_EQUAL, listing->consent, 0};
    char name[256] = "";
    struct fault fault;

    if (listing->consent == NULL)
        return -1;
    if (state_query_list(query, QUERY_CONSENTS, &filter, 1, 1, take_name, name, &fault) !=
        RESULT_OK)
        return command_fail(&listing->line, &fault);
    if (name[0] != '\0')
        return -1;
    fprintf(stderr, "refreshd %s: there is no consent %s; `refreshd consents` lists them\n",
            listing->line.name, listing->consent);
    return 1;
}

static int check_run(struct listing *listing, struct state_query *query)
{
    const struct query_filter filter = {"run_id", QUERY_EQUAL, listing->run, 0};
    struct fault fault;

    if (listing->run == NULL)
        return -1;
    if (state_query_list(query, QUERY_RUNS, &filter, strcmp(listing->run, "last") == 0 ? 0 : 1, 1,
                         take_name, listing->run_id, &fault) != RESULT_OK)
        return command_fail(&listing->line, &fault);
    if (listing->run_id[0] == '\0') {
        fprintf(stderr, "refreshd %s: there is no run %s; `refreshd runs` lists them\n",
                listing->line.name, listing->run);
        return 1;
    }
    add_text(listing, "run_id", listing->run_id);
    return -1;
}

static int list(struct listing *listing, struct state_query *query)
{
    struct output output = {.listing = listing};
    struct fault fault;
    int status = 0;

    text_init(&output.text, (size_t)1024 * 1024);
    csv_line_init(&output.csv);
    if (listing->view == QUERY_CONSENTS)
        text_table_init(&output.table, stdout, consents_columns, COLUMN_COUNT(consents_columns),
                        "");
    else if (listing->view == QUERY_RECONNECT)
        text_table_init(&output.table, stdout, reconnect_columns, COLUMN_COUNT(reconnect_columns),
                        "");
    else if (listing->view == QUERY_JOBS)
        text_table_init(&output.table, stdout, jobs_columns, COLUMN_COUNT(jobs_columns), "");
    else
        text_table_init(&output.table, stdout, runs_columns, COLUMN_COUNT(runs_columns), "");
    if (state_query_list(query, listing->view, listing->filters, listing->filter_count,
                         (uint32_t)listing->limit, on_row, &output, &fault) != RESULT_OK)
        status = command_fail(&listing->line, &fault);
    if (!text_table_finish(&output.table)) {
        fprintf(stderr, "refreshd %s: out of memory\n", listing->line.name);
        status = FAULT_TEMPORARY;
    }
    text_table_deinit(&output.table);
    csv_line_deinit(&output.csv);
    text_deinit(&output.text);
    return status;
}

static int open_and_list(struct listing *listing)
{
    struct config *config = command_load_config(&listing->line, NULL);
    struct state_query *query = NULL;
    struct fault fault;
    int status;

    if (config == NULL)
        return FAULT_CONFIGURATION;
    status = check_provider(listing, config);
    if (status < 0)
        status = check_schedule(listing, config);
    if (status < 0 && state_query_open(config->state.database, &query, &fault) != RESULT_OK)
        status = command_fail(&listing->line, &fault);
    config_release(config);
    if (status < 0)
        status = check_consent(listing, query);
    if (status < 0)
        status = check_run(listing, query);
    if (status < 0)
        status = list(listing, query);
    state_query_close(query);
    return status;
}

static int command_list(struct listing *listing, int argc, char **argv,
                        const struct option *options)
{
    int option;

    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        int status = take_option(listing, option);

        if (status >= 0)
            return status;
    }
    if (optind != argc)
        return command_usage_error(&listing->line, "unexpected argument \"%s\"", argv[optind]);
    if (listing->needs_reconnect && listing->view != QUERY_RECONNECT)
        return command_usage_error(&listing->line, "--urgency and --cause go with --reconnect");
    if (listing->has_status && listing->view == QUERY_RECONNECT)
        return command_usage_error(&listing->line, "--status does not go with --reconnect");
    return open_and_list(listing);
}

int command_consents(int argc, char **argv)
{
    static const struct option options[] = {
        COMMON_LONG_OPTIONS,
        {"provider", required_argument, NULL, OPTION_PROVIDER},
        {"institution", required_argument, NULL, OPTION_INSTITUTION},
        {"status", required_argument, NULL, OPTION_STATUS},
        {"customer", required_argument, NULL, OPTION_CUSTOMER},
        {"consent", required_argument, NULL, OPTION_CONSENT},
        {"limit", required_argument, NULL, OPTION_LIMIT},
        {"reconnect", no_argument, NULL, OPTION_RECONNECT},
        {"urgency", required_argument, NULL, OPTION_URGENCY},
        {"cause", required_argument, NULL, OPTION_CAUSE},
        {0},
    };
    struct listing listing = {.view = QUERY_CONSENTS};

    command_line_init(&listing.line, "consents", consents_usage);
    listing.line.csv_allowed = true;
    return command_list(&listing, argc, argv, options);
}

int command_jobs(int argc, char **argv)
{
    static const struct option options[] = {
        COMMON_LONG_OPTIONS,
        {"run", required_argument, NULL, OPTION_RUN},
        {"consent", required_argument, NULL, OPTION_CONSENT},
        {"outcome", required_argument, NULL, OPTION_OUTCOME},
        {"state", required_argument, NULL, OPTION_STATE},
        {"since", required_argument, NULL, OPTION_SINCE},
        {"limit", required_argument, NULL, OPTION_LIMIT},
        {0},
    };
    struct listing listing = {.view = QUERY_JOBS, .since_column = "due_ms"};

    command_line_init(&listing.line, "jobs", jobs_usage);
    return command_list(&listing, argc, argv, options);
}

int command_runs(int argc, char **argv)
{
    static const struct option options[] = {
        COMMON_LONG_OPTIONS,
        {"schedule", required_argument, NULL, OPTION_SCHEDULE},
        {"since", required_argument, NULL, OPTION_SINCE},
        {"limit", required_argument, NULL, OPTION_LIMIT},
        {0},
    };
    struct listing listing = {.view = QUERY_RUNS, .since_column = "slot_ms"};

    command_line_init(&listing.line, "runs", runs_usage);
    return command_list(&listing, argc, argv, options);
}
