/* SPDX-License-Identifier: MIT
 * command_db.c - `refreshd db`: care of the databases by hand. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command/command_line.h"
#include "command/commands.h"
#include "reporting/reporting.h"
#include "state/state_lock.h"
#include "state/state_maintain.h"
#include "state/state_store.h"

static const char usage[] =
    "usage: refreshd db ACTION [-c FILE] [--format text|json]\n\n"
    "Care of the state database, and of what reporting makes of it:\n\n"
    "  verify             read everything and test every invariant; works beside a running\n"
    "                     daemon; exit 1 when something is wrong\n"
    "  backup [PATH]      a consistent copy in one file; beside a running daemon too; default\n"
    "                     DATABASE.backup-TIME\n"
    "  migrate            bring the schema up to this program, after a backup; `serve` and `once`\n"
    "                     do the same at their start\n"
    "  prune              apply `state.retain` now and give the space back\n"
    "  rebuild-reporting  fill the reporting database anew from the state database\n\n"
    "migrate, prune and rebuild-reporting need the lock: exit 75 while a daemon holds it.\n";

struct db_call {
    struct command_line line;
    const struct config *config;
    const char *path; /* of the copy; NULL */
};

static struct utc_time wall_clock(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (struct utc_time){(int64_t)now.tv_sec * MS_PER_SECOND + now.tv_nsec / 1000000};
}

static void print_json_text(const char *text)
{
    struct text escaped;

    text_init(&escaped, 16384);
    text_append_json(&escaped, text, strlen(text));
    printf("\"%s\"", escaped.bytes == NULL ? "" : escaped.bytes);
    text_deinit(&escaped);
}

/* ---- verify and backup: read only ---- */

static void print_problem(void *context, const char *what)
{
    const struct db_call *call = context;

    if (call->line.format == OUTPUT_JSON) {
        printf("{\"problem\":");
        print_json_text(what);
        puts("}");
    } else {
        puts(what);
    }
}

static int run_verify(struct db_call *call)
{
    const char *database = call->config->state.database;
    uint32_t problems = 0;
    struct fault fault;

    if (state_maintain_verify(database, print_problem, call, &problems, &fault) != RESULT_OK)
        return command_fail(&call->line, &fault);
    if (call->line.format == OUTPUT_JSON) {
        printf("{\"database\":");
        print_json_text(database);
        printf(",\"problems\":%" PRIu32 "}\n", problems);
    } else if (problems == 0) {
        printf("%s: good\n", database);
    } else {
        printf("%s: %" PRIu32 " problem%s\n", database, problems, problems == 1 ? "" : "s");
    }
    return problems == 0 ? 0 : 1;
}

static int run_backup(struct db_call *call)
{
    const char *database = call->config->state.database;
    char name[4400];
    struct fault fault;

    if (call->path != NULL)
        (void)snprintf(name, sizeof name, "%s", call->path);
    else
        state_maintain_backup_name(database, wall_clock(), name, sizeof name);
    if (state_maintain_backup(database, name, &fault) != RESULT_OK)
        return command_fail(&call->line, &fault);
    if (call->line.format == OUTPUT_JSON) {
        printf("{\"database\":");
        print_json_text(database);
        printf(",\"backup\":");
        print_json_text(name);
        puts("}");
    } else {
        puts(name);
    }
    return 0;
}

/* ---- migrate and prune: under the lock ---- */

/* Take the lock and open for writing. Where the database does not exist yet, nothing is made. */
static enum result open_locked(const struct db_call *call, const char *command,
                               struct state_lock *lock, struct state_store **store,
                               struct fault *fault)
{
    const char *database = call->config->state.database;

    if (access(database, F_OK) != 0)
        return fault_set(fault, FAULT_UNAVAILABLE,
                         "%s: there is no state database yet: `refreshd serve` or `refreshd once` "
                         "makes it",
                         database);
    if (state_lock_take(database, command, lock, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_store_open(database, STATE_READ_WRITE, store, fault) != RESULT_OK) {
        state_lock_release(lock);
        return RESULT_FAULT;
    }
    return RESULT_OK;
}

static int run_migrate(struct db_call *call)
{
    struct state_lock lock = {.fd = -1};
    struct state_store *store = NULL;
    struct fault fault;
    int from;
    const char *backup;

    if (open_locked(call, "db migrate", &lock, &store, &fault) != RESULT_OK)
        return command_fail(&call->line, &fault);
    from = state_store_migrated_from(store);
    backup = state_store_migration_backup(store);
    if (call->line.format == OUTPUT_JSON) {
        printf("{\"database\":");
        print_json_text(state_store_path(store));
        printf(",\"from\":%d,\"to\":%d,\"backup\":", from, state_store_schema_version());
        if (backup[0] == '\0')
            printf("null");
        else
            print_json_text(backup);
        puts("}");
    } else if (from == state_store_schema_version()) {
        printf("%s: schema version %d, nothing to do\n", state_store_path(store), from);
    } else {
        printf("%s: schema version %d, was %d; backup: %s\n", state_store_path(store),
               state_store_schema_version(), from, backup[0] == '\0' ? "none needed" : backup);
    }
    state_store_close(store);
    state_lock_release(&lock);
    return 0;
}

static int run_prune(struct db_call *call)
{
    struct state_lock lock = {.fd = -1};
    struct state_store *store = NULL;
    struct prune_counts counts = {0};
    struct fault fault;
    enum result result;

    if (open_locked(call, "db prune", &lock, &store, &fault) != RESULT_OK)
        return command_fail(&call->line, &fault);
    state_store_set_retention(store, call->config);
    result = state_maintain_prune(store, wall_clock(), &counts, &fault);
    state_store_close(store);
    state_lock_release(&lock);
    if (result != RESULT_OK)
        return command_fail(&call->line, &fault);
    printf(call->line.format == OUTPUT_JSON
               ? "{\"jobs\":%" PRIu64 ",\"attempts\":%" PRIu64 ",\"skips\":%" PRIu64
                 ",\"runs\":%" PRIu64 ",\"consents\":%" PRIu64 "}\n"
               : "removed: %" PRIu64 " jobs, %" PRIu64 " attempts, %" PRIu64 " skips, %" PRIu64
                 " runs, %" PRIu64 " consents\n",
           counts.jobs, counts.attempts, counts.skips, counts.runs, counts.consents);
    return 0;
}

/* ---- rebuild-reporting ---- */

static void show_progress(void *context, uint64_t rows)
{
    (void)context;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%" PRIu64 " rows", rows);
}

static int run_rebuild(struct db_call *call)
{
    char set_aside[REPORTING_PATH_BYTES] = "";
    struct fault fault;
    enum result result = reporting_rebuild(call->config, show_progress, NULL, set_aside, &fault);

    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    if (result != RESULT_OK)
        return command_fail(&call->line, &fault);
    if (call->line.format == OUTPUT_JSON) {
        printf("{\"database\":");
        print_json_text(call->config->reporting.database);
        printf(",\"set_aside\":");
        if (set_aside[0] == '\0')
            printf("null");
        else
            print_json_text(set_aside);
        puts("}");
    } else {
        printf("%s: rebuilt\n", call->config->reporting.database);
        if (set_aside[0] != '\0')
            printf("the damaged file was set aside as %s\n", set_aside);
    }
    return 0;
}

/* ---- the command ---- */

static const struct db_action {
    const char *name;
    int (*run)(struct db_call *call);
    bool takes_path;
} actions[] = {
    {"verify", run_verify, false},
    {"backup", run_backup, true},
    {"migrate", run_migrate, false},
    {"prune", run_prune, false},
    {"rebuild-reporting", run_rebuild, false},
};

static const struct db_action *find_action(const char *name)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

int command_db(int argc, char **argv)
{
    static const struct option options[] = {COMMON_LONG_OPTIONS, {0}};
    struct db_call call = {0};
    const struct db_action *action;
    struct config *config;
    int option;
    int status;

    command_line_init(&call.line, "db", usage);
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        status = command_line_common(&call.line, option);
        if (status >= 0)
            return status;
    }
    if (optind >= argc)
        return command_usage_error(&call.line, "say what to do: verify, backup, migrate, prune or "
                                               "rebuild-reporting");
    action = find_action(argv[optind]);
    if (action == NULL)
        return command_usage_error(&call.line, "there is no action \"%s\"", argv[optind]);
    if (action->takes_path && optind + 1 < argc)
        call.path = argv[++optind];
    if (optind + 1 < argc)
        return command_usage_error(&call.line, "unexpected argument \"%s\"", argv[optind + 1]);
    config = command_load_config(&call.line, NULL);
    if (config == NULL)
        return FAULT_CONFIGURATION;
    call.config = config;
    status = action->run(&call);
    config_release(config);
    return status;
}
