/* SPDX-License-Identifier: MIT
 * command_serve.c - `refreshd serve`: the daemon, in the foreground. */
#include <string.h>

#include "command/command_line.h"
#include "command/commands.h"
#include "daemon/engine.h"

static const char usage[] =
    "usage: refreshd serve [--log-level error|warning|info|debug] [--log-format logfmt|json]\n"
    "                      [-c FILE]\n\n"
    "Run the daemon in the foreground: fire the schedules, follow every job, answer the control\n"
    "socket and webhooks. The log goes to standard error.\n\n"
    "Signals: SIGHUP reloads the configuration and the sources; SIGTERM drains (initiate nothing\n"
    "more, finish open requests, commit, exit within 30 s; jobs go on at the next start), a "
    "second\n"
    "one stops at once; SIGUSR1 reopens the logs.\n";

enum { OPTION_LOG_LEVEL = 256, OPTION_LOG_FORMAT };

static bool parse_level(const char *text, enum log_level *level)
{
    for (enum log_level i = LOG_ERROR; i <= LOG_DEBUG; i++) {
        if (strcmp(log_level_text(i), text) == 0) {
            *level = i;
            return true;
        }
    }
    return false;
}

static int serve(const struct command_line *line, struct log *log)
{
    struct consent_table *consents = NULL;
    struct config *config = command_load_config(line, &consents);
    struct engine_options options;
    struct engine *engine;
    struct fault fault;
    int status = 0;

    if (config == NULL)
        return FAULT_CONFIGURATION;
    options = (struct engine_options){
        .command = "serve",
        .config_path = line->config_path,
        .config = config,
        .consents = consents,
        .log = log,
        .fire_calendars = true,
    };
    if (engine_create(&options, &engine, &fault) != RESULT_OK)
        return command_fail(line, &fault);
    if (engine_run(engine, &fault) != RESULT_OK)
        status = command_fail(line, &fault);
    engine_destroy(engine);
    return status;
}

int command_serve(int argc, char **argv)
{
    static const struct option options[] = {
        {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
        {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
        COMMON_LONG_OPTIONS,
        {0},
    };
    struct command_line line;
    enum log_level level = LOG_INFO;
    enum log_format format = LOG_FORMAT_LOGFMT;
    struct log log;
    int option;
    int status;

    command_line_init(&line, "serve", usage);
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        status = -1;
        if (option == OPTION_LOG_LEVEL) {
            if (!parse_level(optarg, &level))
                status = command_usage_error(
                    &line, "--log-level %s: allowed are error, warning, info, debug", optarg);
        } else if (option == OPTION_LOG_FORMAT) {
            format = strcmp(optarg, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT;
            if (format == LOG_FORMAT_LOGFMT && strcmp(optarg, "logfmt") != 0)
                status =
                    command_usage_error(&line, "--log-format %s: allowed are logfmt, json", optarg);
        } else {
            status = command_line_common(&line, option);
        }
        if (status >= 0)
            return status;
    }
    if (optind != argc)
        return command_usage_error(&line, "unexpected argument \"%s\"", argv[optind]);
    log_init(&log, format, level);
    status = serve(&line, &log);
    log_deinit(&log);
    return status;
}
