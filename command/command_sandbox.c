/* SPDX-License-Identifier: MIT
 * command_sandbox.c - `refreshd sandbox`: play the provider APIs locally. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "command/command_line.h"
#include "command/commands.h"
#include "sandbox/sandbox.h"

static const char usage[] =
    "usage: refreshd sandbox [--listen ADDR:PORT] [--seed N] [--scenario FILE]\n"
    "                        [--format text|json]\n"
    "\n"
    "Play the built-in provider APIs on one port until SIGTERM or SIGINT.\n"
    "Prints one JSON line with the addresses once it listens, in either format.\n"
    "\n"
    "  --listen ADDR:PORT  IPv4 address and port (default 127.0.0.1:9420; port 0: a free one)\n"
    "  --seed N            fixes every random choice (default: the scenario's, else 1)\n"
    "  --scenario FILE     JSON settings; docs/SANDBOX.md explains every key\n"
    "\n"
    "GET /sandbox/v1/stats tells what clients did and every rule that they broke.\n";

enum { OPTION_LISTEN = 256, OPTION_SEED, OPTION_SCENARIO };

static void print_ready(void *context, const struct sandbox *sandbox)
{
    char line[SANDBOX_READY_LINE_SIZE];

    (void)context;
    puts(sandbox_ready_line(sandbox, line));
    (void)fflush(stdout);
}

int command_sandbox(int argc, char **argv)
{
    static const struct option long_options[] = {
        COMMON_LONG_OPTIONS,
        {"listen", required_argument, NULL, OPTION_LISTEN},
        {"seed", required_argument, NULL, OPTION_SEED},
        {"scenario", required_argument, NULL, OPTION_SCENARIO},
        {0}};
    struct sandbox_options options = {0};
    struct command_line line;
    struct fault fault;
    int option;

    command_line_init(&line, "sandbox", usage);
    while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
        int64_t seed;
        int status;

        switch (option) {
        case OPTION_LISTEN: options.listen = optarg; break;
        case OPTION_SCENARIO: options.scenario_path = optarg; break;
        case OPTION_SEED:
            if (!integer_parse(optarg, strlen(optarg), 0, INT64_MAX, &seed))
                return command_usage_error(&line, "--seed: want a whole number, found \"%s\"",
                                           optarg);
            options.seed = (uint64_t)seed;
            options.has_seed = true;
            break;
        default:
            status = command_line_common(&line, option);
            if (status >= 0)
                return status;
        }
    }
    if (optind != argc)
        return command_usage_error(&line, "unexpected argument \"%s\"", argv[optind]);
    if (sandbox_main(&options, print_ready, NULL, &fault) != RESULT_OK)
        return command_fail(&line, &fault);
    return 0;
}
