/* SPDX-License-Identifier: MIT
 * command_status.c - `refreshd status`: what is going on, from the daemon or from its records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command/commands.h"
#include "command/control_call.h"
#include "command/node_text.h"
#include "state/state_query.h"

static const char usage[] =
    "usage: refreshd status [--watch] [--top N] [--institution NAME] [-c FILE]\n"
    "                       [--format text|json]\n\n"
    "Runs in progress with progress and ETA, coming firings, pauses, limits that hold work back,\n"
    "and the backlog by age and institution. Asks the running daemon; where none runs, the last\n"
    "records are shown as `offline`.\n\n"
    "  --watch             show it again every 2 seconds until interrupted\n"
    "  --top N             name the N institutions with most work waiting (20)\n"
    "  --institution NAME  of the backlog only institutions of this name\n";

enum { OPTION_WATCH = 256, OPTION_TOP, OPTION_INSTITUTION };

struct wanted {
    struct command_line line;
    long top; /* 0: as many as the daemon thinks */
    const char *institution;
    bool is_headed; /* the head of the backlog is printed */
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value == NULL ? "-" : value;
}

static long long number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* What does not fit into the run's window, and because of what. */
static void print_misfit(const json_t *line)
{
    if (number_of(line, "will_miss") + number_of(line, "skipped_early") == 0)
        return;
    printf("    WILL NOT FIT: %lld to miss the deadline, %lld skipped already; limit %s at %s",
           number_of(line, "will_miss"), number_of(line, "skipped_early"), text_of(line, "limit"),
           text_of(line, "limit_provider"));
    if (json_is_string(json_object_get(line, "limit_institution")))
        printf("/%s", text_of(line, "limit_institution"));
    putchar('\n');
}

static void print_run(const json_t *line)
{
    long long due = number_of(line, "due");
    long long waiting = number_of(line, "waiting");
    long long open = number_of(line, "open_jobs");
    long long done = due - waiting - open;

    printf("run %s@%s  %lld/%lld done (%lld %%), %lld open, %lld waiting\n",
           text_of(line, "schedule"), text_of(line, "slot_at"), done, due,
           due == 0 ? 100 : done * 100 / due, open, waiting);
    printf("    deadline %s  eta %s  refreshed %lld  partial %lld  deduplicated %lld\n",
           text_of(line, "deadline_at"), text_of(line, "eta_at"), number_of(line, "refreshed"),
           number_of(line, "partial"), number_of(line, "deduplicated"));
    print_misfit(line);
    printf("    reconnect %lld  failed %lld  skipped %lld  unknown %lld\n",
           number_of(line, "reconnect_required"), number_of(line, "failed"),
           number_of(line, "skipped"), number_of(line, "unknown"));
}

static void print_limit(const json_t *line)
{
    char node[256];

    (void)snprintf(node, sizeof node, "%s/%s", text_of(line, "provider"),
                   text_of(line, "institution"));
    printf("limit %-32s running %5lld  in flight %4lld  waiting %6lld  %s until %s", node,
           number_of(line, "jobs_running"), number_of(line, "requests_in_flight"),
           number_of(line, "waiting"),
           json_is_string(json_object_get(line, "blocked_by")) ? text_of(line, "blocked_by")
                                                               : "open",
           text_of(line, "not_before_at"));
    if (json_is_string(json_object_get(line, "learned_rate")))
        printf("  learned %s", text_of(line, "learned_rate"));
    if (strcmp(text_of(line, "breaker"), "closed") != 0)
        printf("  breaker %s%s", text_of(line, "breaker"),
               json_is_string(json_object_get(line, "breaker_cause")) ? " (configuration)" : "");
    if (number_of(line, "retries_waiting") > 0)
        printf("  %lld retries wait for the retry budget", number_of(line, "retries_waiting"));
    putchar('\n');
}

static void print_engine(const json_t *line)
{
    printf("daemon running%s%s  config %s (%.12s)  jobs %lld  requests %lld\n",
           json_is_true(json_object_get(line, "draining")) ? ", draining" : "",
           json_is_true(json_object_get(line, "storage_blocked")) ? ", STORAGE BLOCKED" : "",
           text_of(line, "config"), text_of(line, "config_digest"), number_of(line, "jobs_live"),
           number_of(line, "requests_outstanding"));
    if (json_is_string(json_object_get(line, "reload_error")))
        printf("the reload at %s was refused: %s\n", text_of(line, "reload_at"),
               text_of(line, "reload_error"));
    if (number_of(line, "clock_steps") > 0)
        printf("the wall clock was set %lld times, the last time by %lld ms\n",
               number_of(line, "clock_steps"), number_of(line, "clock_step_ms"));
}

static void print_text(void *context, const json_t *line)
{
    struct wanted *wanted = context;
    const char *type = text_of(line, "type");

    if (strcmp(type, "engine") == 0)
        print_engine(line);
    else if (strcmp(type, "run") == 0)
        print_run(line);
    else if (strcmp(type, "schedule") == 0)
        printf("schedule %-24s next %s\n", text_of(line, "schedule"), text_of(line, "next_at"));
    else if (strcmp(type, "limit") == 0)
        print_limit(line);
    else if (strcmp(type, "backlog") == 0) {
        if (!wanted->is_headed)
            node_text_print_head();
        wanted->is_headed = true;
        node_text_print_ages(line);
    }
}

static void print_json(void *context, const json_t *line)
{
    (void)context;
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
}

/* One row of v1_runs, as the daemon would have told it. */
static enum result offline_run(void *context, uint32_t count, const char *const *columns,
                               const struct query_value *values, struct fault *fault)
{
    const struct command_line *line = context;
    json_t *object = json_object();

    (void)fault;
    json_object_set_new(object, "type", json_string("last_run"));
    for (uint32_t i = 0; i < count; i++)
        json_object_set_new(object, columns[i],
                            values[i].type == QUERY_INTEGER ? json_integer(values[i].integer)
                            : values[i].type == QUERY_TEXT  ? json_string(values[i].text)
                                                            : json_null());
    if (line->format == OUTPUT_JSON)
        print_json(NULL, object);
    else
        printf("last run %s  due %lld  refreshed %lld  failed %lld  skipped %lld  finished %s\n",
               text_of(object, "run_id"), number_of(object, "due"), number_of(object, "refreshed"),
               number_of(object, "failed"), number_of(object, "skipped"),
               text_of(object, "finished_at"));
    json_decref(object);
    return RESULT_OK;
}

/* A pause in force, and who said why: the records know it, with a daemon or without. */
static enum result pause_row(void *context, uint32_t count, const char *const *columns,
                             const struct query_value *values, struct fault *fault)
{
    const struct command_line *line = context;
    json_t *object = json_pack("{s:s}", "type", "pause");

    (void)fault;
    for (uint32_t i = 0; i < count; i++)
        json_object_set_new(object, columns[i],
                            values[i].type == QUERY_TEXT ? json_string(values[i].text)
                                                         : json_null());
    if (line->format == OUTPUT_JSON)
        print_json(NULL, object);
    else
        printf("paused %s %s  since %s until %s  by %s: %s\n", text_of(object, "scope"),
               text_of(object, "subject"), text_of(object, "since_at"), text_of(object, "until_at"),
               text_of(object, "who"), text_of(object, "reason"));
    json_decref(object);
    return RESULT_OK;
}

static enum result show_pauses(const struct command_line *line, const struct config *config,
                               struct fault *fault)
{
    struct state_query *query;
    enum result result;

    if (state_query_open(config->state.database, &query, fault) != RESULT_OK)
        return RESULT_FAULT;
    result = state_query_sql(query,
                             "SELECT scope, subject, since_at, until_at, who, reason"
                             " FROM v1_pauses ORDER BY since_at, subject",
                             NULL, 0, pause_row, (void *)line, fault);
    state_query_close(query);
    return result;
}

static int show_offline(const struct command_line *line, const struct config *config)
{
    struct state_query *query;
    struct fault fault;
    enum result result;

    if (state_query_open(config->state.database, &query, &fault) != RESULT_OK)
        return command_fail(line, &fault);
    if (line->format == OUTPUT_JSON)
        puts("{\"type\":\"engine\",\"offline\":true}");
    else
        printf("offline: no daemon runs on %s; the last runs:\n", config->state.database);
    result = state_query_list(query, QUERY_RUNS, NULL, 0, 5, offline_run, (void *)line, &fault);
    state_query_close(query);
    return result == RESULT_OK ? 0 : command_fail(line, &fault);
}

static int show(struct wanted *wanted, const struct config *config)
{
    const struct command_line *line = &wanted->line;
    struct fault fault;
    int status = 0;

    wanted->is_headed = false;
    if (!control_is_running(config))
        status = show_offline(line, config);
    else if (control_call(config,
                          json_pack("{s:s, s:I, s:s?}", "command", "status", "top",
                                    (json_int_t)wanted->top, "institution", wanted->institution),
                          line->format == OUTPUT_JSON ? print_json : print_text, wanted,
                          &fault) != RESULT_OK)
        /* unavailable: it holds the lock and has just ended */
        status = fault.code == FAULT_UNAVAILABLE ? show_offline(line, config)
                                                 : command_fail(line, &fault);
    if (status == 0 && show_pauses(line, config, &fault) != RESULT_OK)
        status = command_fail(line, &fault);
    return status;
}

/* The file has become wrong; a daemon goes on with what it has, and that is what is asked for. */
static int show_despite_errors(struct wanted *wanted)
{
    char database[4096];
    const struct config where = {.state.database = database};

    if (!config_find_database(wanted->line.config_path, database, sizeof database) ||
        !control_is_running(&where))
        return FAULT_CONFIGURATION;
    fputs("refreshd status: the daemon goes on with the configuration that it has\n", stderr);
    return show(wanted, &where);
}

static int take_top(struct wanted *wanted)
{
    char *end;

    wanted->top = strtol(optarg, &end, 10);
    if (*end != '\0' || wanted->top < 1 || wanted->top > 1000000)
        return command_usage_error(&wanted->line, "--top %s: a number from 1 to 1000000", optarg);
    return -1;
}

int command_status(int argc, char **argv)
{
    static const struct option options[] = {
        {"watch", no_argument, NULL, OPTION_WATCH},
        {"top", required_argument, NULL, OPTION_TOP},
        {"institution", required_argument, NULL, OPTION_INSTITUTION},
        COMMON_LONG_OPTIONS,
        {0}};
    struct wanted wanted = {0};
    struct config *config;
    bool is_watching = false;
    int status;
    int option;

    command_line_init(&wanted.line, "status", usage);
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        status = -1;
        switch (option) {
        case OPTION_WATCH: is_watching = true; break;
        case OPTION_TOP: status = take_top(&wanted); break;
        case OPTION_INSTITUTION: wanted.institution = optarg; break;
        default: status = command_line_common(&wanted.line, option); break;
        }
        if (status >= 0)
            return status;
    }
    if (optind != argc)
        return command_usage_error(&wanted.line, "unexpected argument \"%s\"", argv[optind]);
    config = command_load_config(&wanted.line, NULL);
    if (config == NULL)
        return show_despite_errors(&wanted);
    for (;;) {
        status = show(&wanted, config);
        if (!is_watching || status != 0 || fflush(stdout) != 0)
            break;
        (void)nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
        if (isatty(STDOUT_FILENO) == 1)
            fputs("\033[H\033[2J", stdout);
    }
    config_release(config);
    return status;
}
