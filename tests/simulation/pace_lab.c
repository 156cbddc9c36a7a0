/* SPDX-License-Identifier: MIT
 * pace_lab.c - figures of the learned pace against the simulated banks of pace_fixture.h.
 *
 *     pace_lab [--seed N] [--seeds COUNT] [--banks N] [--hours N] [--bank-kind KIND]...
 *              [--redraw-minutes N] [--delay-least-ms N] [--delay-most-ms N] [--jitter-ms N]
 *              [--noise-ppm N] [--lost-ppm N] [--cap-per-minute N] [--demand-per-minute N]
 *              [--no-learning] [--distribution] [--trace]
 *
 * For each kind (all that speak of refusals when none is named): accepted requests as a share of
 * what an all-knowing sender would get, and refused requests as a share of those sent; the mean
 * and the worst of all seeds. --distribution: also of single banks. --trace: instead of figures a
 * CSV line for each minute of the first bank, for pictures. Exit 1 when a seed got less than 90 %
 * or was refused 1 % or more.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pace_fixture.h"

#define KINDS_USUAL PACE_BANK_DIRECT
#define BANKS_MAX 100000

struct lab {
    struct pace_world world;
    int64_t seed;
    int64_t seeds;
    int64_t banks;
    bool kinds[PACE_BANK_KINDS];
    bool distribution;
};

struct lab_figures {
    double efficiency_sum;
    double efficiency_worst;
    double refused_sum;
    double refused_worst;
    int64_t count;
    double *efficiencies; /* of single banks */
    double *refusals;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void print_distribution(const char *what, double *values, int64_t count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    printf("    one bank, %s: least %.4f, 5 %% below %.4f, median %.4f, 5 %% above %.4f, most "
           "%.4f\n",
           what, values[0], values[count / 20], values[count / 2], values[count - 1 - count / 20],
           values[count - 1]);
}

static void run_seed(const struct lab *lab, enum pace_bank_kind kind, uint64_t seed,
                     struct lab_figures *figures)
{
    struct pace_world_sum sum = {0};
    double efficiency;
    double refused;

    for (int64_t bank = 0; bank < lab->banks; bank++) {
        struct pace_world_sum one = {0};
        struct pace_world world = lab->world;

        world.kind = kind;
        world.seed = seed * 1000003 + (uint64_t)bank;
        pace_world_run(&world, &one);
        if (figures->count < BANKS_MAX) {
            figures->efficiencies[figures->count] = pace_efficiency(&one);
            figures->refusals[figures->count++] = pace_refused_share(&one);
        }
        sum.possible += one.possible;
        sum.sent += one.sent;
        sum.accepted += one.accepted;
        sum.refused += one.refused;
    }
    efficiency = pace_efficiency(&sum);
    refused = pace_refused_share(&sum);
    figures->efficiency_sum += efficiency;
    figures->refused_sum += refused;
    if (efficiency < figures->efficiency_worst)
        figures->efficiency_worst = efficiency;
    if (refused > figures->refused_worst)
        figures->refused_worst = refused;
}

/* Returns whether every seed met the aim. */
static bool run_kind(const struct lab *lab, enum pace_bank_kind kind, double *values)
{
    struct lab_figures figures = {
        .efficiency_worst = 1e9, .efficiencies = values, .refusals = values + BANKS_MAX};

    for (int64_t i = 0; i < lab->seeds; i++)
        run_seed(lab, kind, (uint64_t)(lab->seed + i), &figures);
    printf("%-9s seeds %" PRId64 "-%" PRId64 ", %" PRId64 " banks, %" PRId64
           " h: efficiency %.4f (worst %.4f), refused %.5f (worst %.5f)\n",
           pace_bank_kinds[kind], lab->seed, lab->seed + lab->seeds - 1, lab->banks,
           lab->world.hours, figures.efficiency_sum / (double)lab->seeds, figures.efficiency_worst,
           figures.refused_sum / (double)lab->seeds, figures.refused_worst);
    if (lab->distribution) {
        print_distribution("efficiency", figures.efficiencies, figures.count);
        print_distribution("refused", figures.refusals, figures.count);
    }
    fflush(stdout);
    return figures.efficiency_worst >= 0.9 && figures.refused_worst < 0.01;
}

static int64_t number_of(const char *option, const char *text)
{
    char *end = NULL;
    long long value = text == NULL ? -1 : strtoll(text, &end, 10);

    if (value < 0 || *end != '\0') {
        fprintf(stderr, "pace_lab: %s needs a number\n", option);
        exit(64);
    }
    return value;
}

static enum pace_bank_kind kind_of(const char *text)
{
    for (int i = 0; text != NULL && i < PACE_BANK_KINDS; i++)
        if (strcmp(text, pace_bank_kinds[i]) == 0)
            return (enum pace_bank_kind)i;
    fprintf(stderr, "pace_lab: --bank-kind is one of");
    for (int i = 0; i < PACE_BANK_KINDS; i++)
        fprintf(stderr, " %s", pace_bank_kinds[i]);
    fprintf(stderr, "\n");
    exit(64);
}

/* Returns how many words of the command line the option took. */
static int read_option(struct lab *lab, const char *option, const char *value)
{
    const struct {
        const char *name;
        int64_t *number;
    } numbers[] = {{"--seed", &lab->seed},
                   {"--seeds", &lab->seeds},
                   {"--banks", &lab->banks},
                   {"--hours", &lab->world.hours},
                   {"--redraw-minutes", &lab->world.redraw_minutes},
                   {"--delay-least-ms", &lab->world.delay_least_ms},
                   {"--delay-most-ms", &lab->world.delay_most_ms},
                   {"--jitter-ms", &lab->world.jitter_ms},
                   {"--noise-ppm", &lab->world.noise_ppm},
                   {"--lost-ppm", &lab->world.lost_ppm},
                   {"--cap-per-minute", &lab->world.cap_per_minute},
                   {"--demand-per-minute", &lab->world.demand_per_minute}};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(option, numbers[i].name) == 0) {
            *numbers[i].number = number_of(option, value);
            return 2;
        }
    if (strcmp(option, "--bank-kind") == 0) {
        lab->kinds[kind_of(value)] = true;
        return 2;
    }
    if (strcmp(option, "--no-learning") == 0) {
        lab->world.settings.learns = false;
    } else if (strcmp(option, "--distribution") == 0) {
        lab->distribution = true;
    } else if (strcmp(option, "--trace") == 0) {
        lab->world.trace = stdout;
    } else {
        fprintf(stderr, "pace_lab: no option %s\n", option);
        exit(64);
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct lab lab = {.seed = 1, .seeds = 1, .banks = 40};
    double *values = calloc(2 * BANKS_MAX, sizeof *values);
    bool is_met = true;
    bool any = false;

    REQUIRE(values != NULL);
    lab.world = pace_world_usual(PACE_BANK_STRICT, 1);
    for (int i = 1; i < argc;)
        i += read_option(&lab, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
    for (int kind = 0; kind < PACE_BANK_KINDS; kind++)
        any = any || lab.kinds[kind];
    if (lab.world.trace != NULL) {
        for (int kind = PACE_BANK_KINDS - 1; kind >= 0; kind--)
            if (lab.kinds[kind])
                lab.world.kind = (enum pace_bank_kind)kind;
        lab.world.seed = (uint64_t)lab.seed * 1000003;
        printf("minute,true_per_second,learned_per_second,accepted,refused\n");
        pace_world_run(&lab.world, &(struct pace_world_sum){0});
    } else {
        for (int kind = 0; kind < PACE_BANK_KINDS; kind++)
            if (lab.kinds[kind] || (!any && kind <= KINDS_USUAL))
                is_met = run_kind(&lab, (enum pace_bank_kind)kind, values) && is_met;
    }
    free(values);
    return is_met ? 0 : 1;
}
