/* SPDX-License-Identifier: MIT
 * command_line.c - see command_line.h. */
#include "command/command_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/time_point.h"

void command_line_init(struct command_line *line, const char *name, const char *usage)
{
    *line = (struct command_line){
        .name = name,
        .usage = usage,
        .config_path = COMMAND_DEFAULT_CONFIG,
        .format = OUTPUT_TEXT,
    };
    optind = 1;
}

int command_usage_error(const struct command_line *line, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "refreshd %s: ", line->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\ntry: refreshd %s --help\n", line->name);
    return FAULT_USAGE;
}

static int parse_format(struct command_line *line)
{
    if (strcmp(optarg, "text") == 0)
        line->format = OUTPUT_TEXT;
    else if (strcmp(optarg, "json") == 0)
        line->format = OUTPUT_JSON;
    else if (strcmp(optarg, "csv") == 0 && line->csv_allowed)
        line->format = OUTPUT_CSV;
    else
        return command_usage_error(line, "--format %s: allowed are text, json%s", optarg,
                                   line->csv_allowed ? ", csv" : "");
    return -1;
}

int command_line_common(struct command_line *line, int option)
{
    switch (option) {
    case 'c': line->config_path = optarg; return -1;
    case 'F': return parse_format(line);
    case 'h': fputs(line->usage, stdout); return 0;
    default: break;
    }
    /* getopt_long has said what it did not like. */
    fprintf(stderr, "try: refreshd %s --help\n", line->name);
    return FAULT_USAGE;
}

int command_fail(const struct command_line *line, const struct fault *fault)
{
    fprintf(stderr, "refreshd %s: %s\n", line->name, fault->text);
    return (int)fault->code;
}

struct config *command_load_config(const struct command_line *line, struct consent_table **consents)
{
    struct diagnostics diagnostics;
    struct config *config;

    diagnostics_init(&diagnostics, 1000);
    config = config_load(line->config_path, NULL, consents, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    if (config == NULL)
        fprintf(stderr, "refreshd %s: the configuration %s has %zu error%s; nothing was started\n",
                line->name, line->config_path, diagnostics.error_count,
                diagnostics.error_count == 1 ? "" : "s");
    diagnostics_deinit(&diagnostics);
    return config;
}

bool command_parse_instant(const char *text, struct utc_time now, struct utc_time *out)
{
    int64_t ms;

    if (strcmp(text, "now") == 0) {
        *out = now;
        return true;
    }
    if (duration_parse(text, strlen(text), &ms)) {
        *out = utc_add_ms(now, ms);
        return true;
    }
    return utc_parse(text, strlen(text), out);
}
