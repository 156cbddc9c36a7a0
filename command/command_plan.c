/* SPDX-License-Identifier: MIT
 * command_plan.c - `refreshd plan`: the coming night before it happens. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/time_point.h"
#include "command/command_line.h"
#include "command/commands.h"
#include "command/plan_print.h"

#define FOR_MS_MIN MS_PER_MINUTE
#define FOR_MS_MAX (31 * MS_PER_DAY)
#define QUIET_S 2 /* shorter work needs no progress */

static const char usage[] =
    "usage: refreshd plan [--from T] [--for 24h] [--schedule NAME] [--no-history]\n"
    "                     [-c FILE] [--format text|json]\n\n"
    "Play the coming runs on a virtual clock, with the same scheduler, limits and records as the\n"
    "daemon, and with durations and failures as the last 14 nights had them: when each run\n"
    "starts and ends, how much time is left, which limit binds it, who will not fit and why.\n"
    "Sends nothing and changes nothing; works beside a running daemon and without one.\n\n"
    "  --from T         from this instant (default now), e.g. 2026-03-29T00:00:00Z or 12h;\n"
    "                   what is open now and what fires before is played too\n"
    "  --for D          runs that fire within this time (default 24h, at most 31d)\n"
    "  --schedule NAME  tell of this one only; the others are played, they share the limits\n"
    "  --no-history     plain assumptions: every job succeeds within 5 s to 35 s\n\n"
    "Exit status: 0 everything fits; 1 a deadline cannot be met.\n";

enum { OPTION_FROM = 256, OPTION_FOR, OPTION_SCHEDULE, OPTION_NO_HISTORY };

struct planning {
    struct command_line line;
    const char *from_text;
    const char *for_text;
    const char *schedule;
    bool ignores_history;
    struct timespec started;
    int percent; /* last shown */
    const char *doing;
    bool is_drawn;
};

/* -1 to go on, or an exit status. */
static int parse(struct planning *planning, int argc, char **argv)
{
    static const struct option options[] = {
        {"from", required_argument, NULL, OPTION_FROM},
        {"for", required_argument, NULL, OPTION_FOR},
        {"schedule", required_argument, NULL, OPTION_SCHEDULE},
        {"no-history", no_argument, NULL, OPTION_NO_HISTORY},
        COMMON_LONG_OPTIONS,
        {0},
    };
    int option;

    command_line_init(&planning->line, "plan", usage);
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        int status = -1;

        switch (option) {
        case OPTION_FROM: planning->from_text = optarg; break;
        case OPTION_FOR: planning->for_text = optarg; break;
        case OPTION_SCHEDULE: planning->schedule = optarg; break;
        case OPTION_NO_HISTORY: planning->ignores_history = true; break;
        default: status = command_line_common(&planning->line, option); break;
        }
        if (status >= 0)
            return status;
    }
    if (optind != argc)
        return command_usage_error(&planning->line, "unexpected argument \"%s\"", argv[optind]);
    return -1;
}

/* The time to look at. -1, or an exit status. */
static int take_times(const struct planning *planning, struct plan_request *request)
{
    struct timespec now;
    int64_t for_ms = MS_PER_DAY;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    request->now.ms = (int64_t)now.tv_sec * MS_PER_SECOND + now.tv_nsec / 1000000;
    request->from = request->now;
    if (planning->from_text != NULL &&
        !command_parse_instant(planning->from_text, request->now, &request->from))
        return command_usage_error(&planning->line,
                                   "--from %s: allowed are an instant such as "
                                   "2026-03-29T00:00:00Z, a date, now, or a duration such as 12h",
                                   planning->from_text);
    if (planning->for_text != NULL &&
        (!duration_parse(planning->for_text, strlen(planning->for_text), &for_ms) ||
         for_ms < FOR_MS_MIN || for_ms > FOR_MS_MAX))
        return command_usage_error(&planning->line,
                                   "--for %s: allowed is a duration of 1m to 31d, such as 24h",
                                   planning->for_text);
    request->until = utc_add_ms(request->from, for_ms);
    return -1;
}

/* One line on a terminal, once it takes long. */
static void show_progress(void *context, const char *doing, int percent)
{
    struct planning *planning = context;
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - planning->started.tv_sec < QUIET_S || isatty(STDERR_FILENO) != 1 ||
        (planning->doing == doing && planning->percent == percent))
        return;
    planning->doing = doing;
    planning->percent = percent;
    planning->is_drawn = true;
    fprintf(stderr, "\r%s: %3d %% ", doing, percent > 100 ? 100 : percent);
}

static void clear_progress(const struct planning *planning)
{
    if (planning->is_drawn)
        fputs("\r                    \r", stderr);
}

static int make(struct planning *planning, const struct config *config,
                struct consent_table *consents, const struct plan_request *request,
                uint32_t schedule)
{
    struct plan *plan = NULL;
    struct fault fault;
    enum result result = plan_make(config, consents, request, &plan, &fault);
    int status;

    clear_progress(planning);
    if (result != RESULT_OK)
        return command_fail(&planning->line, &fault);
    if (planning->line.format == OUTPUT_JSON)
        plan_print_json(plan, config, schedule);
    else
        plan_print_text(plan, config, schedule);
    status = plan_fits(plan, schedule) ? 0 : 1;
    plan_free(plan);
    return status;
}

int command_plan(int argc, char **argv)
{
    struct planning planning = {0};
    struct plan_request request = {.on_progress = show_progress, .context = &planning};
    struct consent_table *consents = NULL;
    uint32_t schedule = UINT32_MAX;
    struct config *config;
    int status = parse(&planning, argc, argv);

    if (status >= 0)
        return status;
    status = take_times(&planning, &request);
    if (status >= 0)
        return status;
    request.ignores_history = planning.ignores_history;
    (void)clock_gettime(CLOCK_MONOTONIC, &planning.started);
    config = command_load_config(&planning.line, &consents);
    if (config == NULL)
        return FAULT_CONFIGURATION;
    if (planning.schedule != NULL) {
        schedule = config_find_schedule(config, planning.schedule);
        if (schedule == UINT32_MAX) {
            consent_table_destroy(consents);
            status = command_usage_error(&planning.line,
                                         "--schedule %s: there is no such schedule in %s",
                                         planning.schedule, planning.line.config_path);
            goto out;
        }
    }
    status = make(&planning, config, consents, &request, schedule);
out:
    config_release(config);
    return status;
}
