/* SPDX-License-Identifier: MIT
 * command_next.c - `refreshd next`: when schedules, or one expression, will fire. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/zone_file.h"
#include "command/command_line.h"
#include "command/commands.h"
#include "scheduler/calendar.h"

#define FIRINGS_MAX 1000000

static const char usage[] =
    "usage: refreshd next [-c FILE] [--schedule NAME] [--from T] [-n 10] [--format text|json]\n"
    "       refreshd next --cron EXPR [--timezone ZONE] [--dst-gap run_after|skip]\n"
    "                     [--dst-overlap first|both] [--from T] [-n 10] [--format text|json]\n"
    "\n"
    "Print the next firings strictly after T, in order: of all schedules of the configuration,\n"
    "of one, or of an expression that is in no configuration yet.\n"
    "\n"
    "  --schedule NAME  only this schedule\n"
    "  --cron EXPR      a cron expression of 5 or 6 fields, @daily and the like, or @every 6h;\n"
    "                   needs no configuration\n"
    "  --timezone ZONE  with --cron: an IANA name (default UTC)\n"
    "  --dst-gap P      with --cron: a local time that does not exist fires at the end of the\n"
    "                   gap (run_after, the default) or not at all (skip)\n"
    "  --dst-overlap P  with --cron: a local time that comes twice fires the first time\n"
    "                   (first, the default) or both times (both)\n"
    "  --from T         an instant such as 2026-03-29T00:00:00Z, \"now\" (the default), or a\n"
    "                   duration from now such as 12h\n"
    "  -n COUNT         how many firings (default 10)\n";

/* One line of firings; `name` is NULL for an expression. */
struct line_up {
    const char *name;
    const struct calendar *calendar;
    struct calendar_firing next;
};

struct request {
    struct command_line line;
    const char *schedule;
    const char *cron;
    const char *timezone;
    const char *gap;
    const char *overlap;
    const char *from_text;
    struct utc_time from;
    int64_t count;
};

static struct utc_time clock_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (struct utc_time){now.tv_sec * MS_PER_SECOND + now.tv_nsec / 1000000};
}

#define LOCAL_TEXT_SIZE 48

/* "2026-03-29T02:00:00+01:00"; seconds of an offset (before 1972) only where there are some. */
static char *local_text(const struct calendar_firing *firing, char text[LOCAL_TEXT_SIZE])
{
    const struct civil_time *local = &firing->local;
    int offset_s = abs(firing->offset_s);
    int length =
        snprintf(text, LOCAL_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d", local->year,
                 local->month, local->day, local->hour, local->minute, local->second,
                 firing->offset_s < 0 ? '-' : '+', offset_s / 3600, offset_s / 60 % 60);

    if (offset_s % 60 != 0)
        (void)snprintf(text + length, LOCAL_TEXT_SIZE - (size_t)length, ":%02d", offset_s % 60);
    return text;
}

static void print_firing(const struct line_up *line_up, enum output_format format, bool is_first)
{
    char at[UTC_TEXT_SIZE];
    char local[LOCAL_TEXT_SIZE];

    utc_text_seconds(line_up->next.at, at);
    local_text(&line_up->next, local);
    if (format == OUTPUT_TEXT) {
        printf("%s  %-25s%s%s\n", at, local, line_up->name == NULL ? "" : "  ",
               line_up->name == NULL ? "" : line_up->name);
        return;
    }
    printf("%s{\"schedule\":", is_first ? "" : ",\n ");
    /* The names of schedules consist of [a-z0-9_-]: nothing to escape. */
    if (line_up->name == NULL)
        fputs("null", stdout);
    else
        printf("\"%s\"", line_up->name);
    printf(",\"at\":\"%s\",\"local\":\"%s\"}", at, local);
}

/* The line with the earliest firing; NULL when none fires any more. */
static struct line_up *earliest(struct line_up *lines, size_t line_count)
{
    struct line_up *found = NULL;

    for (size_t i = 0; i < line_count; i++) {
        if (lines[i].next.found && (found == NULL || lines[i].next.at.ms < found->next.at.ms))
            found = &lines[i];
    }
    return found;
}

static int print_firings(const struct request *request, struct line_up *lines, size_t line_count)
{
    enum output_format format = request->line.format;

    for (size_t i = 0; i < line_count; i++)
        lines[i].next = calendar_next(lines[i].calendar, request->from);
    if (format == OUTPUT_JSON)
        putchar('[');
    for (int64_t i = 0; i < request->count; i++) {
        struct line_up *line_up = earliest(lines, line_count);

        if (line_up == NULL)
            break;
        print_firing(line_up, format, i == 0);
        line_up->next = calendar_next(line_up->calendar, line_up->next.at);
    }
    if (format == OUTPUT_JSON)
        puts("]");
    return 0;
}

/* The calendar of --cron, --timezone, --dst-gap and --dst-overlap. */
static enum result make_calendar(const struct request *request, struct arena *arena,
                                 struct calendar *out, struct fault *fault)
{
    const char *zone_name = request->timezone == NULL ? "UTC" : request->timezone;
    size_t error_offset = 0;

    if (cron_parse(request->cron, strlen(request->cron), &out->cron, &error_offset, fault) !=
        RESULT_OK)
        return fault_prefix(fault, "--cron: column %zu", error_offset + 1);
    if (zone_load(ZONE_DIRECTORY, zone_name, arena, &out->zone, fault) != RESULT_OK) {
        /* A file that is no zone file is as wrong a name as one that is not there. */
        if (fault->code == FAULT_DATA)
            fault->code = FAULT_CONFIGURATION;
        return fault_prefix(fault, "--timezone");
    }
    out->gap = request->gap != NULL && strcmp(request->gap, "skip") == 0 ? CALENDAR_GAP_SKIP
                                                                         : CALENDAR_GAP_RUN_AFTER;
    out->overlap = request->overlap != NULL && strcmp(request->overlap, "both") == 0
                       ? CALENDAR_OVERLAP_BOTH
                       : CALENDAR_OVERLAP_FIRST;
    return RESULT_OK;
}

static int next_of_expression(const struct request *request)
{
    struct arena arena;
    struct calendar calendar;
    struct line_up line_up = {.calendar = &calendar};
    struct fault fault;
    int status;

    arena_init(&arena);
    if (make_calendar(request, &arena, &calendar, &fault) != RESULT_OK) {
        status = command_fail(&request->line, &fault);
    } else if (!calendar_next(&calendar, request->from).found) {
        (void)fault_set(&fault, FAULT_CONFIGURATION,
                        "--cron: \"%.200s\" never fires in %s with this dst policy", request->cron,
                        calendar.zone->name);
        status = command_fail(&request->line, &fault);
    } else {
        status = print_firings(request, &line_up, 1);
    }
    arena_deinit(&arena);
    return status;
}

static int next_of_schedules(const struct request *request, const struct config *config)
{
    uint32_t first = 0;
    uint32_t count = config->schedule_count;
    struct line_up *lines;
    int status;

    if (request->schedule != NULL) {
        first = config_find_schedule(config, request->schedule);
        count = 1;
        if (first == UINT32_MAX)
            return command_usage_error(&request->line,
                                       "--schedule %s: there is no such schedule "
                                       "in %s",
                                       request->schedule, request->line.config_path);
    }
    lines = calloc(count == 0 ? 1 : count, sizeof *lines);
    if (lines == NULL) {
        fputs("refreshd next: out of memory\n", stderr);
        return FAULT_INTERNAL;
    }
    for (uint32_t i = 0; i < count; i++) {
        lines[i].name = config->schedules[first + i].name;
        lines[i].calendar = &config->schedule_settings[first + i].calendar;
    }
    status = print_firings(request, lines, count);
    free(lines);
    return status;
}

static int next_of_configuration(const struct request *request)
{
    struct config *config = command_load_config(&request->line, NULL);
    int status;

    if (config == NULL)
        return FAULT_CONFIGURATION;
    status = next_of_schedules(request, config);
    config_release(config);
    return status;
}

enum {
    OPTION_SCHEDULE = 256,
    OPTION_CRON,
    OPTION_TIMEZONE,
    OPTION_FROM,
    OPTION_GAP,
    OPTION_OVERLAP
};

static const struct option options[] = {
    COMMON_LONG_OPTIONS,
    {"schedule", required_argument, NULL, OPTION_SCHEDULE},
    {"cron", required_argument, NULL, OPTION_CRON},
    {"timezone", required_argument, NULL, OPTION_TIMEZONE},
    {"from", required_argument, NULL, OPTION_FROM},
    {"dst-gap", required_argument, NULL, OPTION_GAP},
    {"dst-overlap", required_argument, NULL, OPTION_OVERLAP},
    {0},
};

/* -1 to go on, or an exit status. */
static int take_option(struct request *request, int option)
{
    switch (option) {
    case OPTION_SCHEDULE: request->schedule = optarg; return -1;
    case OPTION_CRON: request->cron = optarg; return -1;
    case OPTION_TIMEZONE: request->timezone = optarg; return -1;
    case OPTION_FROM: request->from_text = optarg; return -1;
    case OPTION_GAP: request->gap = optarg; return -1;
    case OPTION_OVERLAP: request->overlap = optarg; return -1;
    case 'n': break;
    default: return command_line_common(&request->line, option);
    }
    if (!integer_parse(optarg, strlen(optarg), 1, FIRINGS_MAX, &request->count))
        return command_usage_error(&request->line, "-n %s: allowed are 1 to %d", optarg,
                                   FIRINGS_MAX);
    return -1;
}

static bool is_one_of(const char *word, const char *first, const char *second)
{
    return word == NULL || strcmp(word, first) == 0 || strcmp(word, second) == 0;
}

/* What the options say together. -1 when all is well, or an exit status. */
static int check_request(struct request *request)
{
    const struct command_line *line = &request->line;

    if (request->cron != NULL && request->schedule != NULL)
        return command_usage_error(line, "--cron and --schedule exclude each other");
    if (request->cron == NULL &&
        (request->timezone != NULL || request->gap != NULL || request->overlap != NULL))
        return command_usage_error(line,
                                   "--timezone, --dst-gap and --dst-overlap belong to --cron; "
                                   "schedules bring their own");
    if (!is_one_of(request->gap, "run_after", "skip"))
        return command_usage_error(line, "--dst-gap %s: allowed are run_after, skip", request->gap);
    if (!is_one_of(request->overlap, "first", "both"))
        return command_usage_error(line, "--dst-overlap %s: allowed are first, both",
                                   request->overlap);
    request->from = clock_now();
    if (request->from_text != NULL &&
        !command_parse_instant(request->from_text, request->from, &request->from))
        return command_usage_error(line,
                                   "--from %s: allowed are an instant such as "
                                   "2026-03-29T00:00:00Z, a date, now, or a duration such as 12h",
                                   request->from_text);
    return -1;
}

int command_next(int argc, char **argv)
{
    struct request request = {.count = 10};
    int option;
    int status;

    command_line_init(&request.line, "next", usage);
    while ((option = getopt_long(argc, argv, "c:hn:", options, NULL)) != -1) {
        status = take_option(&request, option);
        if (status >= 0)
            return status;
    }
    if (optind != argc)
        return command_usage_error(&request.line, "unexpected argument \"%s\"", argv[optind]);
    status = check_request(&request);
    if (status >= 0)
        return status;
    return request.cron != NULL ? next_of_expression(&request) : next_of_configuration(&request);
}
