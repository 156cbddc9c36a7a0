/* SPDX-License-Identifier: MIT
 * main.c - the table of subcommands, and the only exit status. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/result.h"
#include "command/commands.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

static const struct command commands[] = {
    {"serve", command_serve, "the daemon, in the foreground"},
    {"once", command_once, "do one run now, to its end, and print its manifest"},
    {"check", command_check, "validate the configuration"},
    {"config", command_config, "print the effective configuration"},
    {"diff", command_diff, "what a new configuration would change"},
    {"next", command_next, "when schedules fire"},
    {"plan", command_plan, "the coming night before it happens: what fits, and what binds it"},
    {"status", command_status, "runs in progress, limits, backlog"},
    {"why", command_why, "what blocks a consent now, and until when"},
    {"consents", command_consents, "list consents"},
    {"jobs", command_jobs, "list jobs"},
    {"runs", command_runs, "list runs"},
    {"report", command_report, "a night in one page"},
    {"trigger", command_trigger, "refresh one consent now"},
    {"pause", command_pause, "send nothing for a while"},
    {"resume", command_resume, "end a pause"},
    {"release", command_release, "let held consents go"},
    {"reset", command_reset, "forget what was learned about a provider or institution"},
    {"drain", command_drain, "initiate nothing more, finish what is open"},
    {"reload", command_reload, "read the configuration and the sources again"},
    {"db", command_db, "verify, back up, migrate and prune the databases"},
    {"sandbox", command_sandbox, "play the provider APIs locally, with faults"},
    {"version", command_version, "version, libraries, zone data"},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_help(FILE *stream)
{
    fputs("usage: refreshd COMMAND [-c FILE] [--format text|json] ...\n\n"
          "refreshd keeps open-banking data fresh. Commands:\n\n",
          stream);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`refreshd COMMAND --help` explains one. The configuration is\n"
          "/etc/refreshd/refreshd.yaml unless -c names another.\n"
          "Exit status: 0 good; 1 it worked and the answer is no; 64 usage, 65 data,\n"
          "69 unavailable, 70 internal, 73 cannot create, 74 I/O, 75 temporary,\n"
          "77 permission, 78 configuration.\n",
          stream);
}

/* A core dump would hold tokens and customer secrets. A closed pipe and a reached file size limit
 * are ordinary errors of one write, not ends of the process. */
static void protect_process(void)
{
    struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
}

int main(int argc, char **argv)
{
    protect_process();
    if (argc < 2) {
        print_help(stderr);
        return FAULT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0)
        return command_version(1, argv + 1);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            int status = commands[i].run(argc - 1, argv + 1);

            /* An answer that could not be written is not an answer. */
            if (fflush(stdout) != 0 && status == 0) {
                perror("refreshd: standard output");
                status = FAULT_IO;
            }
            return status;
        }
    }
    fprintf(stderr, "refreshd: there is no command \"%s\"; try: refreshd --help\n", argv[1]);
    return FAULT_USAGE;
}
