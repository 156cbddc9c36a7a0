/* SPDX-License-Identifier: MIT
 * command_config.c - `refreshd config`: the configuration as it is understood. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "command/command_line.h"
#include "command/commands.h"
#include "config/option_table.h"

#define OUTPUT_BYTES_MAX ((size_t)1 << 30)

static const char usage[] =
    "usage: refreshd config [-c FILE] [--origin] [--counts] [--format text|json]\n"
    "       refreshd config --reference\n"
    "\n"
    "Print the effective configuration as YAML: all files in one, keys in order, defaults\n"
    "included, secrets as references, paths absolute. The same configuration gives the same\n"
    "bytes, and what is printed is a configuration again. No source or secret is read.\n"
    "\n"
    "  --origin       after each value where it comes from: file:line:col, \"default\", or\n"
    "                 \"API definition\"\n"
    "  --counts       read the sources and add how many consents each one gives\n"
    "  --format json  the same as one JSON object\n"
    "  --reference    print the reference of all options instead (docs/OPTIONS.md)\n";

enum { OPTION_ORIGIN = 256, OPTION_COUNTS, OPTION_REFERENCE };

static int print_text(const struct command_line *line, struct text *out)
{
    struct fault fault;
    int status = 0;

    if (out->is_cut || out->bytes == NULL) {
        (void)fault_set(&fault, FAULT_UNAVAILABLE, "out of memory");
        status = command_fail(line, &fault);
    } else {
        (void)fwrite(out->bytes, 1, out->length, stdout);
    }
    text_deinit(out);
    return status;
}

static int print_reference(const struct command_line *line)
{
    struct text out;

    text_init(&out, OUTPUT_BYTES_MAX);
    option_reference(&out);
    return print_text(line, &out);
}

static int print_config(const struct command_line *line, bool with_origin, bool with_counts)
{
    struct consent_table *consents = NULL;
    struct config *config = command_load_config(line, with_counts ? &consents : NULL);
    struct text out;

    if (config == NULL)
        return FAULT_CONFIGURATION;
    text_init(&out, OUTPUT_BYTES_MAX);
    if (line->format == OUTPUT_JSON)
        config_print_json(config, &out);
    else
        config_print(config, with_origin, consents, &out);
    consent_table_destroy(consents);
    config_release(config);
    return print_text(line, &out);
}

int command_config(int argc, char **argv)
{
    static const struct option options[] = {{"origin", no_argument, NULL, OPTION_ORIGIN},
                                            {"counts", no_argument, NULL, OPTION_COUNTS},
                                            {"reference", no_argument, NULL, OPTION_REFERENCE},
                                            COMMON_LONG_OPTIONS,
                                            {0}};
    struct command_line line;
    bool with_origin = false;
    bool with_counts = false;
    bool is_reference = false;
    int option;

    command_line_init(&line, "config", usage);
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        int status = -1;

        switch (option) {
        case OPTION_ORIGIN: with_origin = true; break;
        case OPTION_COUNTS: with_counts = true; break;
        case OPTION_REFERENCE: is_reference = true; break;
        default: status = command_line_common(&line, option); break;
        }
        if (status >= 0)
            return status;
    }
    if (optind != argc)
        return command_usage_error(&line, "unexpected argument \"%s\"", argv[optind]);
    if (line.format != OUTPUT_TEXT && (with_origin || with_counts || is_reference))
        return command_usage_error(&line, "--format json goes with no other option");
    return is_reference ? print_reference(&line) : print_config(&line, with_origin, with_counts);
}
