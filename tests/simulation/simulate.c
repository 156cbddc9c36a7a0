/* SPDX-License-Identifier: MIT
 * simulate.c - many seeds on all processors, or one seed to look at.
 *
 *   simulate [--seed N | --seeds A..B] [--hours 48] [--mode safety|liveness] [--jobs N] [--trace]
 *            [--twice] [--break WHAT]
 *
 * --mode safety      faults for ever; liveness (the default): then they stop and all has to drain
 * --twice            run every seed twice and compare the hashes of all batches
 * --break WHAT       break the simulation on purpose; it has to be noticed (exit 3)
 * Prints what was done, kind by kind. Exit 0: every invariant held; 3: one did not, the seed is
 * printed with the command that shows it again; 64: usage. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/simulation/simulation.h"

#define EXIT_BROKEN 3
#define EXIT_USAGE 64
#define JOBS_MAX 256
#define FAILURES_SHOWN 5
#define HOURS_DEFAULT 48

struct options {
    uint64_t first;
    uint64_t last;
    int64_t hours;
    bool drains;
    bool is_tracing;
    bool runs_twice;
    long jobs;
    enum sabotage sabotage;
    char replay[96]; /* besides the seed */
};

/* Shared by all workers. */
struct campaign {
    uint64_t next;
    uint64_t done;
    uint64_t trace; /* sum of all seeds' hashes: does not depend on who ran what */
    uint64_t failures;
    struct tally tally;
};

static const char *const sabotage_words[SABOTAGE_COUNT] = {
    "none", "double-send", "lose-record", "overstep", "forget", "stall", "forge"};

static int usage(const char *message)
{
    fprintf(stderr, "simulate: %s\n", message);
    return EXIT_USAGE;
}

static bool read_number(const char *text, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static bool read_range(const char *text, struct options *options)
{
    char copy[64];
    char *dots;

    (void)snprintf(copy, sizeof copy, "%s", text);
    dots = strstr(copy, "..");
    if (dots == NULL)
        return false;
    *dots = '\0';
    return read_number(copy, &options->first) && read_number(dots + 2, &options->last) &&
           options->first <= options->last;
}

static bool read_sabotage(const char *text, enum sabotage *sabotage)
{
    for (int i = 0; i < SABOTAGE_COUNT; i++)
        if (strcmp(text, sabotage_words[i]) == 0) {
            *sabotage = (enum sabotage)i;
            return true;
        }
    return false;
}

static bool take_option(int option, struct options *options)
{
    uint64_t number = 0;

    switch (option) {
    case 's':
        if (!read_number(optarg, &options->first))
            return false;
        options->last = options->first;
        return true;
    case 'r': return read_range(optarg, options);
    case 'h':
        if (!read_number(optarg, &number) || number == 0 || number > 100000)
            return false;
        options->hours = (int64_t)number;
        return true;
    case 'j':
        if (!read_number(optarg, &number) || number == 0 || number > JOBS_MAX)
            return false;
        options->jobs = (long)number;
        return true;
    case 'm':
        options->drains = strcmp(optarg, "liveness") == 0;
        return options->drains || strcmp(optarg, "safety") == 0;
    case 't': options->is_tracing = true; return true;
    case '2': options->runs_twice = true; return true;
    case 'b': return read_sabotage(optarg, &options->sabotage);
    default: return false;
    }
}

/* What `make simulate` has to be told besides the seed, in the order of its variables. */
static void set_replay(struct options *options)
{
    char hours[32] = "";
    char args[64] = "";

    if (options->hours != HOURS_DEFAULT)
        (void)snprintf(hours, sizeof hours, " HOURS=%" PRId64, options->hours);
    if (!options->drains || options->runs_twice || options->sabotage != SABOTAGE_NONE)
        (void)snprintf(args, sizeof args, " SIMULATE_ARGS='%s%s%s%s'",
                       options->drains ? "" : "--mode safety ",
                       options->runs_twice ? "--twice " : "",
                       options->sabotage != SABOTAGE_NONE ? "--break " : "",
                       options->sabotage != SABOTAGE_NONE ? sabotage_words[options->sabotage] : "");
    (void)snprintf(options->replay, sizeof options->replay, "%s%s", hours, args);
}

static void run_seed(const struct options *options, uint64_t seed, struct simulation_result *result)
{
    struct simulation_result again;

    simulation_run(seed, options->hours, options->drains, options->sabotage, options->is_tracing,
                   options->replay, result);
    if (!options->runs_twice)
        return;
    simulation_run(seed, options->hours, options->drains, options->sabotage, false, options->replay,
                   &again);
    if (again.trace != result->trace) {
        fprintf(stderr,
                "simulate: seed %" PRIu64 " gave two hashes: %016" PRIx64 " and %016" PRIx64
                "\n  see it again: make simulate SEED=%" PRIu64 "%s\n",
                seed, result->trace, again.trace, seed, options->replay);
        _Exit(EXIT_BROKEN);
    }
}

/* ---- workers ---- */

static void add_up(struct campaign *campaign, const struct simulation_result *result)
{
    for (int i = 0; i < TALLY_KIND_COUNT; i++)
        __atomic_add_fetch(&campaign->tally.counts[i], result->tally.counts[i], __ATOMIC_RELAXED);
    __atomic_add_fetch(&campaign->tally.virtual_us, result->tally.virtual_us, __ATOMIC_RELAXED);
    __atomic_add_fetch(&campaign->trace, result->trace, __ATOMIC_RELAXED);
    __atomic_add_fetch(&campaign->done, 1, __ATOMIC_RELAXED);
}

static void work(const struct options *options, struct campaign *campaign)
{
    for (;;) {
        uint64_t seed = __atomic_fetch_add(&campaign->next, 1, __ATOMIC_RELAXED);
        struct simulation_result result;

        if (seed > options->last)
            return;
        run_seed(options, seed, &result);
        add_up(campaign, &result);
    }
}

static pid_t start_worker(const struct options *options, struct campaign *campaign)
{
    pid_t pid = fork();

    if (pid == 0) {
        work(options, campaign);
        exit(0);
    }
    return pid;
}

/* A worker that found something has ended with its seed; another one goes on with the rest. */
static bool run_workers(const struct options *options, struct campaign *campaign)
{
    long running = 0;

    fflush(stdout);
    for (long i = 0; i < options->jobs; i++)
        running += start_worker(options, campaign) > 0;
    while (running > 0) {
        int status = 0;
        pid_t pid = wait(&status);

        if (pid < 0)
            return false;
        running--;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        campaign->failures++;
        if (WIFSIGNALED(status))
            fprintf(stderr, "simulate: a worker died of signal %d\n", WTERMSIG(status));
        if (campaign->failures < FAILURES_SHOWN)
            running += start_worker(options, campaign) > 0;
        else
            __atomic_store_n(&campaign->next, options->last + 1, __ATOMIC_RELAXED);
    }
    return true;
}

/* ---- report ---- */

static void report(const struct options *options, const struct campaign *campaign, double seconds)
{
    uint64_t hours = campaign->tally.virtual_us / (uint64_t)(MS_PER_HOUR * US_PER_MS);

    printf("simulate: %" PRIu64 " seeds, %" PRIu64 " simulated hours, %.1f s, %s%s\n",
           campaign->done, hours, seconds, options->drains ? "faults stop at the end" : "faults",
           options->runs_twice ? ", each seed twice" : "");
    for (int i = 0; i < TALLY_KIND_COUNT; i++)
        printf("%s%24s %12" PRIu64 "%s", i % 2 == 0 ? "" : "  ", tally_text((enum tally_kind)i),
               campaign->tally.counts[i], i % 2 == 1 || i + 1 == TALLY_KIND_COUNT ? "\n" : "");
    printf("hash of all batches: %016" PRIx64 "\n", campaign->trace);
    if (campaign->failures > 0)
        printf("BROKEN: %" PRIu64 " seeds\n", campaign->failures);
    else
        printf("every invariant held in %" PRIu64 " seeds\n", campaign->done);
}

static double seconds_now(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"seed", required_argument, NULL, 's'},
                                                 {"seeds", required_argument, NULL, 'r'},
                                                 {"hours", required_argument, NULL, 'h'},
                                                 {"jobs", required_argument, NULL, 'j'},
                                                 {"mode", required_argument, NULL, 'm'},
                                                 {"trace", no_argument, NULL, 't'},
                                                 {"twice", no_argument, NULL, '2'},
                                                 {"break", required_argument, NULL, 'b'},
                                                 {NULL, 0, NULL, 0}};
    struct options options = {.first = 1,
                              .last = 1,
                              .hours = HOURS_DEFAULT,
                              .drains = true,
                              .jobs = sysconf(_SC_NPROCESSORS_ONLN)};
    double start = seconds_now();
    struct campaign *campaign;
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (!take_option(option, &options))
            return usage("wrong option or value; see the head of tests/simulation/simulate.c");
    if (optind != argc)
        return usage("there are no arguments, only options");
    set_replay(&options);
    campaign =
        mmap(NULL, sizeof *campaign, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(campaign != MAP_FAILED);
    campaign->next = options.first;
    if (options.first == options.last)
        work(&options, campaign);
    else if (!run_workers(&options, campaign))
        return usage("cannot wait for workers");
    report(&options, campaign, seconds_now() - start);
    return campaign->failures > 0 || campaign->done != options.last - options.first + 1
               ? EXIT_BROKEN
               : 0;
}
