/* SPDX-License-Identifier: MIT
 * command_change.c - trigger, pause, resume, release, reset, drain, reload: changes to the running
 * state.
 *
 * They go to the lock's holder. Where nobody holds it, pauses, releases and resets are written to
 * the state database under the lock; the others need something that runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command/commands.h"
#include "command/control_call.h"
#include "command/offline_change.h"

static const char trigger_usage[] =
    "usage: refreshd trigger P/ID [--reason TEXT] [-c FILE] [--format text|json]\n\n"
    "Refresh one consent now, through the running daemon and inside every limit.\n"
    "Without a daemon: refreshd once --consent P/ID\n";
static const char pause_usage[] =
    "usage: refreshd pause [P/ID | --provider NAME [--institution NAME] | --schedule NAME]\n"
    "                      [--until T] [--reason TEXT] [-c FILE] [--format text|json]\n\n"
    "Initiate nothing for what is named (nothing named: for anything), until T (an instant, or a\n"
    "duration such as 2h) or until `refreshd resume`. Open jobs are followed to their end.\n";
static const char resume_usage[] =
    "usage: refreshd resume [P/ID | --provider NAME [--institution NAME] | --schedule NAME]\n"
    "                       [--reason TEXT] [-c FILE] [--format text|json]\n\n"
    "End the pause of exactly what is named.\n";
static const char release_usage[] =
    "usage: refreshd release [P/ID | --provider NAME --institution NAME --reason HOLD]\n"
    "                        [--dry-run] [-c FILE] [--format text|json]\n\n"
    "Let held consents go: their next slots are refreshed again. Prints each. With --dry-run "
    "nothing\n"
    "changes. HOLD is reconnect_required or suspended: only consents that are held for it. Any\n"
    "other text after --reason says why you let them go; it is kept in the audit.\n";
static const char reset_usage[] =
    "usage: refreshd reset --provider NAME [--institution NAME] [--reason TEXT] [-c FILE]\n"
    "                      [--format text|json]\n\n"
    "Forget what was learned about the provider and all its institutions, or about one: the\n"
    "breaker closes, a pause that the provider asked for ends, the learned pace is no limit any\n"
    "more. Configured limits, quotas and pauses of yours stay. What is still true is learned "
    "again.\n";
static const char drain_usage[] =
    "usage: refreshd drain [-c FILE]\n\n"
    "Initiate nothing more, finish open requests, commit, end within 30 s. Jobs go on at the next\n"
    "start.\n";
static const char reload_usage[] =
    "usage: refreshd reload [--accept-shrink] [-c FILE]\n\n"
    "Read configuration and sources again: swapped whole, or kept as they were with the reasons\n"
    "(exit 78). --accept-shrink takes sources that lost more than max_shrink of their consents.\n";

enum {
    OPTION_PROVIDER = 256,
    OPTION_INSTITUTION,
    OPTION_SCHEDULE,
    OPTION_ALL,
    OPTION_UNTIL,
    OPTION_REASON,
    OPTION_DRY_RUN,
    OPTION_ACCEPT_SHRINK,
};

static const struct option options[] = {
    {"provider", required_argument, NULL, OPTION_PROVIDER},
    {"institution", required_argument, NULL, OPTION_INSTITUTION},
    {"schedule", required_argument, NULL, OPTION_SCHEDULE},
    {"all", no_argument, NULL, OPTION_ALL},
    {"until", required_argument, NULL, OPTION_UNTIL},
    {"reason", required_argument, NULL, OPTION_REASON},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"accept-shrink", no_argument, NULL, OPTION_ACCEPT_SHRINK},
    COMMON_LONG_OPTIONS,
    {0},
};

static struct utc_time wall_clock(void)
{
    return (struct utc_time){(int64_t)time(NULL) * MS_PER_SECOND};
}

/* Fill `change`; -1 to go on, or the exit status. `allowed`: the options of this command. */
static int parse(struct command_line *line, const int *allowed, int argc, char **argv,
                 struct change *change)
{
    int option;

    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        bool is_ours = option >= OPTION_PROVIDER;
        const int *at = allowed;

        while (is_ours && *at != 0 && *at != option)
            at++;
        if (is_ours && *at == 0)
            return command_usage_error(line, "that option does not belong to this command");
        switch (option) {
        case OPTION_PROVIDER: change->provider = optarg; break;
        case OPTION_INSTITUTION: change->institution = optarg; break;
        case OPTION_SCHEDULE: change->schedule = optarg; break;
        case OPTION_ALL: change->is_all = true; break;
        case OPTION_UNTIL:
            if (!command_parse_instant(optarg, wall_clock(), &change->until))
                return command_usage_error(
                    line, "--until %s: write an instant (2026-11-21T06:00:00Z) or a duration (2h)",
                    optarg);
            if (change->until.ms <= wall_clock().ms)
                return command_usage_error(line, "--until %s: that is not in the future", optarg);
            break;
        case OPTION_REASON: change->reason = optarg; break;
        case OPTION_DRY_RUN: change->is_dry_run = true; break;
        case OPTION_ACCEPT_SHRINK: change->accepts_shrink = true; break;
        default: {
            int status = command_line_common(line, option);

            if (status >= 0)
                return status;
        }
        }
    }
    if (optind < argc)
        change->consent = argv[optind++];
    if (optind < argc)
        return command_usage_error(line, "unexpected argument \"%s\"", argv[optind]);
    return -1;
}

/* Exactly one subject, as scope and subject of a pause. */
static int resolve_scope(const struct command_line *line, struct change *change)
{
    int named = (change->consent != NULL) + (change->provider != NULL) +
                (change->schedule != NULL) + change->is_all;

    if (named > 1 || (change->institution != NULL && change->provider == NULL))
        return command_usage_error(line, "name one of P/ID, --provider [--institution], "
                                         "--schedule, or nothing for everything");
    if (change->consent != NULL) {
        change->scope = "consent";
        (void)snprintf(change->subject, sizeof change->subject, "%s", change->consent);
    } else if (change->institution != NULL) {
        change->scope = "institution";
        (void)snprintf(change->subject, sizeof change->subject, "%s/%s", change->provider,
                       change->institution);
    } else if (change->provider != NULL) {
        change->scope = "provider";
        (void)snprintf(change->subject, sizeof change->subject, "%s", change->provider);
    } else if (change->schedule != NULL) {
        change->scope = "schedule";
        (void)snprintf(change->subject, sizeof change->subject, "%s", change->schedule);
    } else {
        change->scope = "all";
    }
    return -1;
}

static void set_optional(json_t *request, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0')
        json_object_set_new(request, key, json_string(value));
}

static json_t *request_of(const char *command, const struct change *change)
{
    json_t *request = json_pack("{s:s}", "command", command);
    char until[UTC_TEXT_SIZE];

    set_optional(request, "consent", change->consent);
    set_optional(request, "provider", change->provider);
    set_optional(request, "institution", change->institution);
    set_optional(request, "hold_reason", change->hold_reason);
    set_optional(request, "reason", change->reason);
    set_optional(request, "scope", change->scope);
    set_optional(request, "subject", change->subject);
    if (change->until.ms != UTC_NEVER.ms)
        set_optional(request, "until", utc_text(change->until, until));
    json_object_set_new(request, "dry_run", json_boolean(change->is_dry_run));
    json_object_set_new(request, "accept_shrink", json_boolean(change->accepts_shrink));
    return request;
}

struct told {
    const struct command_line *line;
    const struct change *change;
};

static void print_line(void *context, const json_t *object)
{
    const struct told *told = context;
    const struct command_line *line = told->line;
    const char *released = json_string_value(json_object_get(object, "released"));
    const char *message = json_string_value(json_object_get(object, "message"));

    if (released != NULL) {
        change_print_released(line, told->change, released);
    } else if (line->format == OUTPUT_JSON) {
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (message != NULL) {
        fprintf(stderr, "%s:%lld:%lld: %s: %s\n",
                json_string_value(json_object_get(object, "file")),
                (long long)json_integer_value(json_object_get(object, "line")),
                (long long)json_integer_value(json_object_get(object, "column")),
                json_string_value(json_object_get(object, "severity")), message);
    }
}

static int perform(const struct command_line *line, const struct change *change)
{
    struct config *config = command_load_config(line, NULL);
    struct told told = {line, change};
    struct fault fault;
    enum result result;

    if (config == NULL)
        return FAULT_CONFIGURATION;
    if (control_is_running(config))
        result = control_call(config, request_of(line->name, change), print_line, &told, &fault);
    else
        result = offline_change(config, line, change, wall_clock(), &fault);
    config_release(config);
    return result == RESULT_OK ? 0 : command_fail(line, &fault);
}

static bool is_hold_reason(const char *text)
{
    return text != NULL &&
           (strcmp(text, "reconnect_required") == 0 || strcmp(text, "suspended") == 0);
}

static int change_command(const char *name, const char *usage, const int *allowed, bool has_scope,
                          int argc, char **argv)
{
    struct command_line line;
    struct change change = {.until = UTC_NEVER};
    int status;

    command_line_init(&line, name, usage);
    status = parse(&line, allowed, argc, argv, &change);
    if (status < 0 && has_scope)
        status = resolve_scope(&line, &change);
    if (status < 0 && strcmp(name, "reset") == 0 && change.provider == NULL)
        status = command_usage_error(&line, "reset what? name a provider with --provider");
    if (status < 0 && strcmp(name, "release") == 0 && is_hold_reason(change.reason))
        change.hold_reason = change.reason;
    return status >= 0 ? status : perform(&line, &change);
}

int command_trigger(int argc, char **argv)
{
    static const int allowed[] = {OPTION_REASON, 0};

    return change_command("trigger", trigger_usage, allowed, false, argc, argv);
}

int command_pause(int argc, char **argv)
{
    static const int allowed[] = {OPTION_PROVIDER,
                                  OPTION_INSTITUTION,
                                  OPTION_SCHEDULE,
                                  OPTION_ALL,
                                  OPTION_UNTIL,
                                  OPTION_REASON,
                                  0};

    return change_command("pause", pause_usage, allowed, true, argc, argv);
}

int command_resume(int argc, char **argv)
{
    static const int allowed[] = {OPTION_PROVIDER, OPTION_INSTITUTION, OPTION_SCHEDULE,
                                  OPTION_ALL,      OPTION_REASON,      0};

    return change_command("resume", resume_usage, allowed, true, argc, argv);
}

int command_release(int argc, char **argv)
{
    static const int allowed[] = {OPTION_PROVIDER, OPTION_INSTITUTION, OPTION_REASON,
                                  OPTION_DRY_RUN, 0};

    return change_command("release", release_usage, allowed, false, argc, argv);
}

int command_reset(int argc, char **argv)
{
    static const int allowed[] = {OPTION_PROVIDER, OPTION_INSTITUTION, OPTION_REASON, 0};

    return change_command("reset", reset_usage, allowed, true, argc, argv);
}

int command_drain(int argc, char **argv)
{
    static const int allowed[] = {0};

    return change_command("drain", drain_usage, allowed, false, argc, argv);
}

int command_reload(int argc, char **argv)
{
    static const int allowed[] = {OPTION_ACCEPT_SHRINK, 0};

    return change_command("reload", reload_usage, allowed, false, argc, argv);
}
