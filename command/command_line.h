/* SPDX-License-Identifier: MIT
 *
 * command_line.h - what every subcommand shares: -c, --format, --help, errors, configuration.
 *
 * Layer: command.
 */
#ifndef REFRESHD_COMMAND_COMMAND_LINE_H
#define REFRESHD_COMMAND_COMMAND_LINE_H

#include <getopt.h>
#include <stdbool.h>

#include "base/result.h"
#include "config/config.h"
#include "config/consent_table.h"

#define COMMAND_DEFAULT_CONFIG "/etc/refreshd/refreshd.yaml"

enum output_format { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_CSV };

/* Values of `val` for the long options that every command knows; a command's own start at 256. */
#define COMMON_LONG_OPTIONS \
    {"config", required_argument, NULL, 'c'}, {"format", required_argument, NULL, 'F'}, \
    { \
        "help", no_argument, NULL, 'h' \
    }

struct command_line {
    const char *name;        /* of the command, for messages */
    const char *usage;       /* the whole help text; its first line is the synopsis */
    const char *config_path; /* -c or the default */
    enum output_format format;
    bool csv_allowed;
};

void command_line_init(struct command_line *line, const char *name, const char *usage);

/* Handle one option that getopt_long gave and the command itself does not know. Answers -1 to go
 * on, or the exit status to end with (help printed: 0; usage error printed: 64). */
int command_line_common(struct command_line *line, int option);

/* Print "refreshd NAME: text" and answer the status of the fault. */
int command_fail(const struct command_line *line, const struct fault *fault);
/* Print "refreshd NAME: message" with a hint at --help; answers 64. */
int command_usage_error(const struct command_line *line, const char *format, ...) PRINTF_LIKE(2, 3);

/* Load the configuration and, when wanted, the consents. On failure the diagnostics are printed
 * and NULL is answered: end with 78. Warnings are printed too. */
struct config *command_load_config(const struct command_line *line,
                                   struct consent_table **consents);

/* Instant given by a person: ISO 8601, "now", or a duration from now such as "2h". */
bool command_parse_instant(const char *text, struct utc_time now, struct utc_time *out);

#endif
