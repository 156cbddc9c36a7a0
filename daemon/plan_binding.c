/* SPDX-License-Identifier: MIT
 * plan_binding.c - see plan_binding.h. */
#include "daemon/plan_binding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/option_value.h"
#include "daemon/rate_text.h"

static const struct limit_settings *limits_of(const struct plan_tally *tally, uint32_t meter)
{
    uint32_t providers = tally->config->provider_count;

    return meter < providers ? &tally->config->provider_settings[meter].limits
                             : &tally->plan->institutions[meter - providers].limits;
}

/* The rate that allows least over a long time; NULL: none. */
static const struct rate *tightest(const struct limit_settings *limits)
{
    const struct rate *found = NULL;

    for (uint32_t i = 0; i < limits->rate_count; i++) {
        const struct rate *rate = &limits->rates[i];

        if (found == NULL || (uint64_t)rate->count * (uint64_t)found->span_ms <
                                 (uint64_t)found->count * (uint64_t)rate->span_ms)
            found = rate;
    }
    return found;
}

static void put_rate(const struct rate *rate, char text[PLAN_LIMIT_SIZE])
{
    struct text out;

    text_init(&out, PLAN_LIMIT_SIZE - 1);
    option_rate_text(rate, &out);
    (void)snprintf(text, PLAN_LIMIT_SIZE, "%s", out.bytes == NULL ? "" : out.bytes);
    text_deinit(&out);
}

void plan_binding_rate(const struct plan_tally *tally, uint32_t index, struct plan_node *node)
{
    const struct rate *rate = tightest(limits_of(tally, index));
    uint64_t span_ms = (uint64_t)(node->last.ms - node->first.ms) + MS_PER_SECOND;
    uint64_t allowed;

    node->utilisation = -1;
    if (rate == NULL)
        return;
    put_rate(rate, node->limit);
    allowed = (uint64_t)rate->count * span_ms / (uint64_t)rate->span_ms;
    if (allowed < rate->count)
        allowed = rate->count;
    node->utilisation = (int)((node->initiations + node->calls) * 100 / allowed);
    if (node->utilisation > 100)
        node->utilisation = 100; /* a burst at the start of a short span */
}

/* Is what was learned slower than what is configured? */
static bool is_learned(const struct rate *rate, int64_t interval_us)
{
    return interval_us > 0 &&
           (rate == NULL || interval_us > rate->span_ms * US_PER_MS / (int64_t)rate->count);
}

/* The limit in numbers, as it is learned or configured. */
static void describe_limit(const struct plan_tally *tally, uint32_t meter, enum plan_wait wait,
                           char text[PLAN_LIMIT_SIZE])
{
    const struct limit_settings *limits = limits_of(tally, meter);
    const struct rate *rate = tightest(limits);
    uint32_t jobs_max = limits->jobs_running_max;

    text[0] = '\0';
    if (wait == PLAN_WAIT_RATE && is_learned(rate, tally->meters[meter].node.learned_interval_us)) {
        char learned[RATE_TEXT_SIZE];

        (void)snprintf(text, PLAN_LIMIT_SIZE, "%s learned",
                       rate_text(tally->meters[meter].node.learned_interval_us, learned));
    } else if (wait == PLAN_WAIT_RATE && rate != NULL)
        put_rate(rate, text);
    else if (wait == PLAN_WAIT_FAIRNESS && jobs_max > 0)
        (void)snprintf(text, PLAN_LIMIT_SIZE, "equal shares of jobs_running %u", jobs_max);
    else if (wait == PLAN_WAIT_CONCURRENCY && jobs_max > 0 &&
             tally->meters[meter].node.peak_jobs >= jobs_max)
        (void)snprintf(text, PLAN_LIMIT_SIZE, "jobs_running %u", jobs_max);
    else if (wait == PLAN_WAIT_CONCURRENCY && limits->requests_in_flight_max > 0)
        (void)snprintf(text, PLAN_LIMIT_SIZE, "requests_in_flight %u",
                       limits->requests_in_flight_max);
}

/* Where an institution's losses for `reason` come from: its own node or its provider's, and which
 * kind of wait there. */
static size_t place_blamed(const struct plan_tally *tally, const struct plan_open_run *open,
                           uint32_t institution, enum reason reason)
{
    size_t own = (size_t)(tally->config->provider_count + institution) * PLAN_WAIT_COUNT;
    size_t above = (size_t)tally->plan->institutions[institution].provider * PLAN_WAIT_COUNT;
    size_t wait = plan_wait_of(reason);
    size_t best = own + wait;

    if (reason != REASON_DEADLINE && reason != REASON_SUPERSEDED)
        return open->waits[above + wait] > open->waits[own + wait] ? above + wait : own + wait;
    /* Not a limit itself: what had it wait until then? */
    for (size_t i = 0; i < PLAN_WAIT_COUNT; i++) {
        if (open->waits[own + i] > open->waits[best])
            best = own + i;
        if (open->waits[above + i] > open->waits[best])
            best = above + i;
    }
    return best;
}

/* The word for what one waits for at a place. */
static enum reason reason_at(const struct plan_tally *tally, size_t place)
{
    switch ((enum plan_wait)(place % PLAN_WAIT_COUNT)) {
    case PLAN_WAIT_RATE: return REASON_RATE;
    case PLAN_WAIT_CONCURRENCY: return REASON_CONCURRENCY;
    case PLAN_WAIT_FAIRNESS: return REASON_FAIRNESS;
    case PLAN_WAIT_OTHER:
    case PLAN_WAIT_COUNT: break;
    }
    return (enum reason)tally->meters[place / PLAN_WAIT_COUNT].other_reason;
}

static int compare_losses(const void *a, const void *b)
{
    const struct plan_loss *x = a;
    const struct plan_loss *y = b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->institution < y->institution ? -1 : x->institution > y->institution;
}

/* The institutions that lose most, largest first. */
static void list_losses(const struct plan_tally *tally, const struct plan_open_run *open,
                        struct plan_run *run)
{
    struct plan_loss losses[PLAN_TOP + 1];
    uint32_t count = 0;

    for (uint32_t i = 0; i < tally->plan->institution_count; i++) {
        if (open->lost[i] == 0)
            continue;
        losses[count++] = (struct plan_loss){.provider = tally->plan->institutions[i].provider,
                                             .institution = i,
                                             .reason = (enum reason)open->reasons[i],
                                             .count = open->lost[i]};
        qsort(losses, count, sizeof *losses, compare_losses);
        if (count > PLAN_TOP)
            count = PLAN_TOP;
    }
    memcpy(run->losses, losses, count * sizeof *losses);
}

/* The institution of a provider where `values` is largest, for one kind of wait, and the sum over
 * all of them. SIZE_MAX: nothing. */
static size_t largest_below(const struct plan_tally *tally, const uint64_t *values,
                            uint32_t provider, size_t wait, uint64_t *sum)
{
    size_t best = SIZE_MAX;

    *sum = 0;
    for (uint32_t i = 0; i < tally->plan->institution_count; i++) {
        size_t place = (size_t)(tally->config->provider_count + i) * PLAN_WAIT_COUNT + wait;

        if (tally->plan->institutions[i].provider != provider || values[place] == 0)
            continue;
        *sum += values[place];
        if (best == SIZE_MAX || values[place] > values[best])
            best = place;
    }
    return best;
}

/* Where most of `values` lies: at a provider, or at its institutions together; of these the largest
 * is answered. SIZE_MAX: nowhere. */
static size_t heaviest(const struct plan_tally *tally, const uint64_t *values)
{
    size_t best = SIZE_MAX;
    uint64_t most = 0;

    for (uint32_t provider = 0; provider < tally->config->provider_count; provider++)
        for (size_t wait = 0; wait < PLAN_WAIT_COUNT; wait++) {
            size_t above = (size_t)provider * PLAN_WAIT_COUNT + wait;
            uint64_t sum;
            size_t below = largest_below(tally, values, provider, wait, &sum);

            if (sum > most) {
                most = sum;
                best = below;
            }
            if (values[above] > most) {
                most = values[above];
                best = above;
            }
        }
    return best;
}

/* How many other institutions have a good part of what the largest one has. */
static uint32_t count_others(const struct plan_tally *tally, const uint64_t *values, size_t place)
{
    uint32_t first = tally->config->provider_count;
    uint32_t count = 0;

    for (uint32_t meter = first; meter < tally->meter_count; meter++) {
        size_t other = (size_t)meter * PLAN_WAIT_COUNT + place % PLAN_WAIT_COUNT;

        count += other != place && values[other] > 0 && values[other] >= values[place] / 10;
    }
    return place / PLAN_WAIT_COUNT < first ? 0 : count;
}

static void set_binding(const struct plan_tally *tally, const struct plan_open_run *open,
                        struct plan_run *run, const uint64_t *values, size_t place)
{
    uint32_t meter = (uint32_t)(place / PLAN_WAIT_COUNT);

    run->binding = (struct plan_binding){
        .reason = reason_at(tally, place),
        .provider = tally->meters[meter].node.provider,
        .institution = tally->meters[meter].node.institution,
        .other_count = count_others(tally, values, place),
        .waited_s = (int64_t)(open->waits[place] / (uint64_t)MS_PER_SECOND),
    };
    describe_limit(tally, meter, (enum plan_wait)(place % PLAN_WAIT_COUNT), run->binding.limit);
}

/* What kept most slots out. False: nothing did. */
static bool bind_by_loss(struct plan_tally *tally, const struct plan_open_run *open,
                         struct plan_run *run)
{
    uint64_t *lost = calloc((size_t)tally->meter_count * PLAN_WAIT_COUNT, sizeof *lost);
    size_t best;

    if (lost == NULL)
        return false;
    for (uint32_t i = 0; i < tally->plan->institution_count; i++) {
        enum reason reason = (enum reason)open->reasons[i];
        size_t place = place_blamed(tally, open, i, reason);

        lost[place] += open->lost[i];
        if (open->lost[i] > 0 && place % PLAN_WAIT_COUNT == PLAN_WAIT_OTHER &&
            open->waits[place] == 0)
            tally->meters[place / PLAN_WAIT_COUNT].other_reason = (uint8_t)reason;
    }
    best = heaviest(tally, lost);
    if (best != SIZE_MAX) {
        set_binding(tally, open, run, lost, best);
        run->binding.short_count = (uint32_t)lost[best];
    }
    free(lost);
    return best != SIZE_MAX;
}

/* What it waited for longest. Less than a second for each consent is nothing. */
static void bind_by_wait(const struct plan_tally *tally, const struct plan_open_run *open,
                         struct plan_run *run)
{
    size_t best = heaviest(tally, open->waits);
    uint64_t sum = 0;

    for (size_t i = 0; i < (size_t)tally->meter_count * PLAN_WAIT_COUNT; i++)
        sum += open->waits[i];
    if (sum > 0 && sum >= (uint64_t)run->due * (uint64_t)MS_PER_SECOND)
        set_binding(tally, open, run, open->waits, best);
}

void plan_binding_find(struct plan_tally *tally, const struct plan_open_run *open)
{
    struct plan_run *run = &tally->plan->runs[open->index];

    run->binding = (struct plan_binding){.provider = UINT32_MAX, .institution = UINT32_MAX};
    list_losses(tally, open, run);
    if (!bind_by_loss(tally, open, run))
        bind_by_wait(tally, open, run);
}
