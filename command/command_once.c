/* SPDX-License-Identifier: MIT
 * command_once.c - `refreshd once`: one run now, to its end, and its manifest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/command_line.h"
#include "command/commands.h"
#include "command/progress_bar.h"
#include "daemon/engine.h"

static const char usage[] =
    "usage: refreshd once [--schedule NAME] [--consent P/ID] [--institution NAME]\n"
    "                     [--spread] [--new] [-c FILE] [--format text|json]\n\n"
    "Do one run of each schedule (or of the one named) now, follow it to its end, and print its\n"
    "manifest: one JSON object per run on standard output. Windows, blackouts, quota and every\n"
    "limit are honoured.\n\n"
    "  --schedule NAME     only this schedule\n"
    "  --consent P/ID      only this consent\n"
    "  --institution NAME  only consents of this institution\n"
    "  --spread            keep the schedule's spread (default: everything is due at once)\n"
    "  --new               do not take up an unfinished run: close it and start anew\n\n"
    "After a crash the unfinished run is taken up if its deadline is still ahead.\n"
    "Exit status: 0 good; 1 where failed + unknown > 0; 70 where a manifest does not add up;\n"
    "75 where another process holds the lock, or the run was stopped.\n";

enum { OPTION_SCHEDULE = 256, OPTION_CONSENT, OPTION_INSTITUTION, OPTION_SPREAD, OPTION_NEW };

struct once {
    struct command_line line;
    const char *schedule;    /* NULL: all */
    const char *consent;     /* NULL: all */
    const char *institution; /* NULL: all */
    bool keep_spread;
    bool is_new;

    const struct config *config; /* until the engine has it */
    struct log log;
    struct progress_bar bar;
    struct engine *engine;
    uint32_t consent_number;
    uint32_t *runs; /* room for one of each schedule */
    bool *is_closed;
    uint32_t run_count;
};

static int parse(struct once *once, int argc, char **argv)
{
    static const struct option options[] = {
        {"schedule", required_argument, NULL, OPTION_SCHEDULE},
        {"consent", required_argument, NULL, OPTION_CONSENT},
        {"institution", required_argument, NULL, OPTION_INSTITUTION},
        {"spread", no_argument, NULL, OPTION_SPREAD},
        {"new", no_argument, NULL, OPTION_NEW},
        COMMON_LONG_OPTIONS,
        {0},
    };
    int option;

    command_line_init(&once->line, "once", usage);
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        int status = -1;

        switch (option) {
        case OPTION_SCHEDULE: once->schedule = optarg; break;
        case OPTION_CONSENT: once->consent = optarg; break;
        case OPTION_INSTITUTION: once->institution = optarg; break;
        case OPTION_SPREAD: once->keep_spread = true; break;
        case OPTION_NEW: once->is_new = true; break;
        default: status = command_line_common(&once->line, option); break;
        }
        if (status >= 0)
            return status;
    }
    if (optind != argc)
        return command_usage_error(&once->line, "unexpected argument \"%s\"", argv[optind]);
    return -1;
}

/* Is this schedule one of those to run? */
static bool is_wanted(const struct once *once, const struct config *config, uint32_t schedule)
{
    return once->schedule == NULL || strcmp(config->schedules[schedule].name, once->schedule) == 0;
}

/* An unfinished run goes on by itself; one that cannot or must not is closed first. */
static enum result close_unfinished(void *context, struct state_store *store, struct utc_time now,
                                    struct fault *fault)
{
    const struct once *once = context;
    const struct config *config = once->config;

    for (uint32_t i = 0; i < config->schedule_count; i++) {
        struct utc_time deadline;
        uint32_t run;

        if (!is_wanted(once, config, i))
            continue;
        if (state_store_find_unfinished(store, config->schedules[i].name, &run, &deadline, fault) !=
            RESULT_OK)
            return RESULT_FAULT;
        if (run != 0 && (once->is_new || deadline.ms <= now.ms) &&
            state_store_abandon_unfinished(store, config->schedules[i].name, now, fault) !=
                RESULT_OK)
            return RESULT_FAULT;
    }
    return RESULT_OK;
}

static bool keeps(void *context, uint32_t consent)
{
    const struct once *once = context;
    struct consent_view view;

    if (once->consent_number != 0 && consent != once->consent_number)
        return false;
    return once->institution == NULL || (engine_consent(once->engine, consent, &view) &&
                                         strcmp(view.institution_name, once->institution) == 0);
}

/* A run id names its second: where that is taken, the run begins in the next one that is free. */
static struct time_now free_second(const struct once *once, const char *schedule)
{
    struct time_now now = engine_now(once->engine);
    struct fault fault;
    uint32_t run;

    for (;;) {
        char slot[UTC_TEXT_SIZE];
        char run_id[512];

        (void)snprintf(run_id, sizeof run_id, "%s@%s", schedule, utc_text_seconds(now.utc, slot));
        if (state_store_find_run(engine_store(once->engine), run_id, &run, &fault) != RESULT_OK)
            return now;
        now.utc = utc_add_ms(now.utc, MS_PER_SECOND);
    }
}

static enum result open_run(struct once *once, uint32_t schedule, struct fault *fault)
{
    const struct config *config = engine_config(once->engine);
    const char *name = config->schedules[schedule].name;
    struct utc_time deadline;
    uint32_t run;

    if (state_store_find_unfinished(engine_store(once->engine), name, &run, &deadline, fault) !=
        RESULT_OK)
        return RESULT_FAULT;
    if (run == 0 &&
        scheduler_open_once(engine_scheduler(once->engine), free_second(once, name), schedule,
                            once->keep_spread, keeps, once, &run, fault) != RESULT_OK)
        return RESULT_FAULT;
    once->runs[once->run_count++] = run;
    return RESULT_OK;
}

/* A run of each schedule that is asked for; with --consent, of those that the consent is in. */
static bool is_asked_for(const struct once *once, const struct config *config, uint32_t schedule)
{
    return is_wanted(once, config, schedule) &&
           (once->consent_number == 0 ||
            engine_consent_is_in(once->engine, once->consent_number, schedule));
}

static enum result open_runs(struct once *once, struct fault *fault)
{
    const struct config *config = engine_config(once->engine);

    once->runs = calloc((size_t)config->schedule_count + 1, sizeof *once->runs);
    once->is_closed = calloc((size_t)config->schedule_count + 1, sizeof *once->is_closed);
    if (once->runs == NULL || once->is_closed == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (once->consent != NULL) {
        once->consent_number = engine_find_consent(once->engine, once->consent);
        if (once->consent_number == 0)
            return fault_set(fault, FAULT_USAGE,
                             "there is no consent %s in the configuration (write PROVIDER/ID)",
                             once->consent);
    }
    if (state_store_narrow_once(engine_store(once->engine), once->consent, once->institution,
                                fault) != RESULT_OK)
        return RESULT_FAULT;
    for (uint32_t i = 0; i < config->schedule_count; i++)
        if (is_asked_for(once, config, i) && open_run(once, i, fault) != RESULT_OK)
            return RESULT_FAULT;
    if (once->consent != NULL && once->run_count == 0)
        return fault_set(fault, FAULT_USAGE,
                         "consent %s is in no schedule%s%s: give it one, or start the daemon and "
                         "ask for it with: refreshd trigger %s",
                         once->consent, once->schedule == NULL ? "" : " called ",
                         once->schedule == NULL ? "" : once->schedule, once->consent);
    if (once->run_count == 0)
        return fault_set(fault, FAULT_CONFIGURATION,
                         "the configuration has no schedules: there is nothing to run");
    return RESULT_OK;
}

static void run_closed(void *context, uint32_t run)
{
    struct once *once = context;
    bool all_closed = true;

    for (uint32_t i = 0; i < once->run_count; i++) {
        if (once->runs[i] == run)
            once->is_closed[i] = true;
        all_closed = all_closed && once->is_closed[i];
    }
    if (all_closed)
        engine_stop_when_idle(once->engine);
}

static void draw(void *context, struct time_now now)
{
    struct once *once = context;
    struct scheduler *scheduler = engine_scheduler(once->engine);
    uint64_t done = 0;
    uint64_t due = 0;
    uint32_t counts[OUTCOME_COUNT] = {0};
    uint32_t open_jobs = 0;
    char note[128];

    for (uint32_t i = 0; i < scheduler_run_count(scheduler); i++) {
        struct run_view view;

        scheduler_run_view(scheduler, i, &view);
        due += view.due;
        open_jobs += view.open_jobs;
        for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++) {
            counts[outcome] += view.counts[outcome];
            done += view.counts[outcome];
        }
    }
    if (due == 0)
        return;
    (void)snprintf(note, sizeof note, "| %u open, %u failed, %u skipped, %u reconnect", open_jobs,
                   counts[OUTCOME_FAILED] + counts[OUTCOME_UNKNOWN], counts[OUTCOME_SKIPPED],
                   counts[OUTCOME_RECONNECT_REQUIRED]);
    progress_bar_draw(&once->bar, now.mono, done, due, note);
}

static void clear_bar(void *context)
{
    progress_bar_clear(context);
}

static void list_open_slot(void *context, const char *consent)
{
    (void)context;
    fprintf(stderr, "refreshd once: no outcome: %s\n", consent);
}

/* Print all manifests; answers the exit status that they ask for. */
static int print_manifests(struct once *once)
{
    int status = 0;
    bool is_reconciled = true;

    for (uint32_t i = 0; i < once->run_count; i++) {
        struct manifest manifest;
        struct text json;
        struct fault fault;
        uint32_t open_slots;

        if (state_store_run_manifest(engine_store(once->engine), once->runs[i], &manifest,
                                     &fault) != RESULT_OK)
            return command_fail(&once->line, &fault);
        text_init(&json, 8192);
        manifest_append_json(&manifest, &json);
        puts(json.bytes);
        text_deinit(&json);
        if (!once->is_closed[i]) {
            status = FAULT_TEMPORARY;
            continue;
        }
        if (!manifest.reconciled) {
            is_reconciled = false;
            if (state_store_open_slots(engine_store(once->engine), manifest.run, 100,
                                       list_open_slot, NULL, &open_slots, &fault) != RESULT_OK)
                (void)command_fail(&once->line, &fault);
        }
        if (status == 0 && manifest.counts[OUTCOME_FAILED] + manifest.counts[OUTCOME_UNKNOWN] > 0)
            status = 1;
    }
    if (status == FAULT_TEMPORARY)
        fprintf(stderr, "refreshd once: stopped before the end; the next `refreshd once` takes "
                        "the run up if its deadline is still ahead\n");
    return is_reconciled ? status : FAULT_INTERNAL;
}

static int run(struct once *once, struct config *config, struct consent_table *consents)
{
    const struct engine_options options = {
        .command = "once",
        .config_path = once->line.config_path,
        .config = config,
        .consents = consents,
        .log = &once->log,
        .before_recover = close_unfinished,
        .before_recover_context = once,
    };
    struct fault fault;
    int status;

    if (engine_create(&options, &once->engine, &fault) != RESULT_OK)
        return command_fail(&once->line, &fault);
    if (open_runs(once, &fault) != RESULT_OK) {
        engine_destroy(once->engine);
        return command_fail(&once->line, &fault);
    }
    engine_on_run_closed(once->engine, run_closed, once);
    once->bar.started = engine_now(once->engine).mono;
    if (once->bar.is_terminal)
        engine_on_turn(once->engine, 200, draw, once);
    if (engine_run(once->engine, &fault) != RESULT_OK) {
        progress_bar_clear(&once->bar);
        status = command_fail(&once->line, &fault);
    } else {
        progress_bar_clear(&once->bar);
        status = print_manifests(once);
    }
    engine_destroy(once->engine);
    return status;
}

int command_once(int argc, char **argv)
{
    struct once once = {0};
    struct consent_table *consents = NULL;
    struct config *config;
    int status = parse(&once, argc, argv);

    if (status >= 0)
        return status;
    config = command_load_config(&once.line, &consents);
    if (config == NULL)
        return FAULT_CONFIGURATION;
    if (once.schedule != NULL && config_find_schedule(config, once.schedule) == UINT32_MAX) {
        status = command_usage_error(&once.line, "there is no schedule \"%s\" in %s", once.schedule,
                                     once.line.config_path);
        consent_table_destroy(consents);
        config_release(config);
        return status;
    }
    once.config = config;
    progress_bar_init(&once.bar);
    log_init(&once.log, LOG_FORMAT_LOGFMT, once.bar.is_terminal ? LOG_WARNING : LOG_INFO);
    once.log.before_line = clear_bar;
    once.log.context = &once.bar;
    status = run(&once, config, consents);
    free(once.runs);
    free(once.is_closed);
    log_deinit(&once.log);
    return status;
}
