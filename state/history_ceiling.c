/* SPDX-License-Identifier: MIT
 * history_ceiling.c - see history_ceiling.h. */
#include "state/history_ceiling.h"

#include <string.h>

#include "base/time_point.h"

#define SHORTEST_MS 500
#define LONGEST_MS (10 * MS_PER_MINUTE)
#define ROUGH_PARTS 50    /* a length is tried after the other with a fiftieth more... */
#define FINE_PARTS 1000   /* ...and around the best one, in steps of a thousandth of it: */
#define FINE_STEPS 25     /* so many each way, a little more than a rough step */
#define SCORE_ONE 1000000 /* parts of a share */
#define SCORE_MIN 300000  /* less, and chance would do as well */

static void fill_before(struct history_sending *sendings, size_t count, int64_t window_ms)
{
    uint32_t inside = 0;
    size_t oldest = 0;

    for (size_t i = 0; i < count; i++) {
        while (sendings[oldest].sent_ms <= sendings[i].sent_ms - window_ms)
            inside -= sendings[oldest++].is_accepted;
        sendings[i].before =
            (uint16_t)(inside < HISTORY_CEILING_MAX ? inside : HISTORY_CEILING_MAX);
        inside += sendings[i].is_accepted;
    }
}

/* The N that tells best, and how well in parts of SCORE_ONE. */
static uint32_t best_count(const struct history_sending *sendings, size_t count, int64_t *score)
{
    uint32_t accepted[HISTORY_CEILING_MAX + 1];
    uint32_t refused[HISTORY_CEILING_MAX + 1];
    int64_t all_accepted = 0;
    int64_t all_refused = 0;
    int64_t accepted_above = 0;
    int64_t refused_above = 0;
    uint32_t most = 0;
    uint32_t best = 0;

    for (size_t i = 0; i < count; i++)
        most = sendings[i].before > most ? sendings[i].before : most;
    memset(accepted, 0, (most + 1) * sizeof *accepted);
    memset(refused, 0, (most + 1) * sizeof *refused);
    for (size_t i = 0; i < count; i++) {
        accepted[sendings[i].before] += sendings[i].is_accepted;
        refused[sendings[i].before] += sendings[i].is_refused;
        all_accepted += sendings[i].is_accepted;
        all_refused += sendings[i].is_refused;
    }
    *score = 0;
    if (all_refused < HISTORY_REFUSALS_MIN || all_accepted == 0)
        return 0;
    for (uint32_t n = most; n >= 1; n--) {
        int64_t parts;

        accepted_above += accepted[n];
        refused_above += refused[n];
        parts = refused_above * SCORE_ONE / all_refused - accepted_above * SCORE_ONE / all_accepted;
        if (parts > *score) {
            *score = parts;
            best = n;
        }
    }
    return best;
}

/* Try one length; keep it if it tells better than `least`. */
static void try_length(struct history_sending *sendings, size_t count, int64_t length_ms,
                       int64_t least, int64_t *best_ms, int64_t *best_score)
{
    int64_t score;

    fill_before(sendings, count, length_ms);
    (void)best_count(sendings, count, &score);
    if (score > least) {
        *best_score = score;
        *best_ms = length_ms;
    }
}

bool history_ceiling_window(struct history_sending *sendings, size_t count, int64_t *window_ms)
{
    int64_t best_score = SCORE_MIN;
    int64_t best_ms = 0;
    int64_t rough_ms;

    for (int64_t length_ms = SHORTEST_MS; length_ms <= LONGEST_MS;
         length_ms += length_ms / ROUGH_PARTS)
        try_length(sendings, count, length_ms, best_score, &best_ms, &best_score);
    if (best_ms == 0)
        return false;
    rough_ms = best_ms;
    /* Of lengths that tell equally well the longest: less was never accepted. */
    for (int64_t i = -FINE_STEPS; i <= FINE_STEPS; i++)
        try_length(sendings, count, rough_ms + rough_ms * i / FINE_PARTS, best_score - 1, &best_ms,
                   &best_score);
    fill_before(sendings, count, best_ms);
    *window_ms = best_ms;
    return true;
}

uint32_t history_ceiling_count(const struct history_sending *sendings, size_t count)
{
    int64_t score;
    uint32_t n = best_count(sendings, count, &score);

    return score >= SCORE_MIN ? n : 0;
}
