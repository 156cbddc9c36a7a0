/* SPDX-License-Identifier: MIT
 * breaker.c - see breaker.h. */
#include "scheduler/breaker.h"

#include "base/result.h"
#include "scheduler/retry_delay.h"

static const char *const state_words[BREAKER_STATE_COUNT] = {
    [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_PROBING] = "probing"};

const char *breaker_state_text(enum breaker_state state)
{
    return (unsigned)state < BREAKER_STATE_COUNT ? state_words[state] : "?";
}

void breaker_init(struct breaker *breaker)
{
    *breaker = (struct breaker){.opened_us = INT64_MIN};
}

void breaker_reset(struct breaker *breaker)
{
    uint32_t round = breaker->round;

    breaker_init(breaker);
    breaker->round = round;
}

static void forget_run(struct breaker *breaker)
{
    breaker->failures = 0;
    breaker->cohorts = 0;
    breaker->consent_count = 0;
}

/* The only function that changes a state. */
static void enter(struct breaker *breaker, enum breaker_state state, struct mono_time now)
{
    REQUIRE(breaker->state != state);
    REQUIRE(state != BREAKER_PROBING || breaker->state == BREAKER_OPEN);
    breaker->state = state;
    if (state != BREAKER_PROBING) {
        breaker->opened_us = now.us;
        breaker->probes_out = 0;
        forget_run(breaker);
    }
    breaker->round++;
}

/* Open, or open again after a failed probe. A wrong configuration is not cured by a minute. */
static void trip(struct breaker *breaker, const struct breaker_settings *settings,
                 struct random *random, struct mono_time now, bool is_configuration)
{
    int64_t max_us = settings->probe_max_ms * US_PER_MS;
    int64_t wait_ms;

    if (breaker->state == BREAKER_CLOSED && breaker->opened_us != INT64_MIN &&
        now.us - breaker->opened_us > max_us)
        breaker->streak = 0; /* the last time is long ago */
    wait_ms = is_configuration ? settings->probe_max_ms
                               : retry_delay_doubling_ms(settings->probe_first_ms,
                                                         settings->probe_max_ms, breaker->streak);
    wait_ms -= (int64_t)random_below(random, (uint64_t)(wait_ms / 2 + 1));
    if (breaker->streak < UINT32_MAX)
        breaker->streak++;
    breaker->is_configuration = is_configuration;
    breaker->until_us = mono_add_us(now, wait_ms * US_PER_MS).us;
    enter(breaker, BREAKER_OPEN, now);
}

enum breaker_state breaker_state_at(const struct breaker *breaker, struct mono_time now)
{
    return breaker->state == BREAKER_OPEN && breaker->until_us <= now.us ? BREAKER_PROBING
                                                                         : breaker->state;
}

struct mono_time breaker_earliest(const struct breaker *breaker,
                                  const struct breaker_settings *settings, struct mono_time now)
{
    int64_t at_us = now.us;

    if (breaker->state == BREAKER_OPEN)
        at_us = breaker->until_us;
    else if (breaker->state == BREAKER_PROBING && breaker->probes_out >= settings->probes_max)
        at_us = breaker->lease_us;
    return (struct mono_time){at_us > now.us ? at_us : now.us};
}

uint32_t breaker_granted(struct breaker *breaker, const struct breaker_settings *settings,
                         struct mono_time now)
{
    if (breaker->state == BREAKER_CLOSED)
        return 0;
    if (breaker->state == BREAKER_OPEN) {
        enter(breaker, BREAKER_PROBING, now);
        breaker->probes_out = 0;
    } else if (breaker->probes_out > 0 && breaker->lease_us <= now.us) {
        breaker->round++;
        breaker->probes_out = 0;
    }
    if (breaker->round == 0) /* it has wrapped; 0 means no probe */
        breaker->round = 1;
    breaker->probes_out++;
    breaker->lease_us = mono_add_us(now, settings->lease_ms * US_PER_MS).us;
    return breaker->round;
}

void breaker_returned(struct breaker *breaker, uint32_t ticket)
{
    if (ticket != 0 && breaker->state == BREAKER_PROBING && ticket == breaker->round &&
        breaker->probes_out > 0)
        breaker->probes_out--;
}

static bool is_enough(const struct breaker *breaker, const struct breaker_settings *settings,
                      struct mono_time now)
{
    return breaker->cohorts >= settings->failures ||
           (breaker->failures >= settings->failures &&
            now.us - breaker->run_sent_us >= BREAKER_LONG_US);
}

static bool count_failure(struct breaker *breaker, const struct breaker_settings *settings,
                          struct random *random, struct mono_time now, struct mono_time sent)
{
    if (settings->failures == 0)
        return false;
    if (breaker->failures == 0)
        breaker->run_sent_us = sent.us;
    if (breaker->failures == 0 ||
        (sent.us >= breaker->cohort_us && now.us >= breaker->cohort_us + BREAKER_COHORT_US)) {
        breaker->cohorts++;
        breaker->cohort_us = now.us;
    }
    if (breaker->failures < UINT32_MAX)
        breaker->failures++;
    if (!is_enough(breaker, settings, now))
        return false;
    trip(breaker, settings, random, now, false);
    return true;
}

bool breaker_result(struct breaker *breaker, const struct breaker_settings *settings,
                    struct random *random, struct mono_time now, struct mono_time sent,
                    uint32_t ticket, enum breaker_signal signal)
{
    if (breaker->state == BREAKER_CLOSED) {
        if (signal == BREAKER_FAILED)
            return count_failure(breaker, settings, random, now, sent);
        if (signal == BREAKER_SUCCESS && breaker->failures > 0 && sent.us >= breaker->run_sent_us) {
            breaker->failures = 0;
            breaker->cohorts = 0;
        }
        return false;
    }
    breaker_returned(breaker, ticket);
    if (sent.us < breaker->opened_us || signal == BREAKER_NEUTRAL)
        return false;
    if (signal == BREAKER_SUCCESS) {
        enter(breaker, BREAKER_CLOSED, now);
        return true;
    }
    if (breaker->state == BREAKER_OPEN)
        return false; /* it waits already */
    trip(breaker, settings, random, now, breaker->is_configuration);
    return true;
}

bool breaker_misconfigured(struct breaker *breaker, const struct breaker_settings *settings,
                           struct random *random, struct mono_time now, struct mono_time sent,
                           uint32_t ticket, uint32_t consent)
{
    uint32_t i = 0;

    /* Where the line was the trouble, any answer ends it. */
    if (breaker->state != BREAKER_CLOSED)
        return breaker_result(breaker, settings, random, now, sent, ticket,
                              breaker->is_configuration ? BREAKER_FAILED : BREAKER_SUCCESS);
    (void)breaker_result(breaker, settings, random, now, sent, ticket, BREAKER_SUCCESS);
    if (settings->configuration == 0)
        return false;
    while (i < breaker->consent_count && breaker->consents[i] != consent)
        i++;
    if (i < breaker->consent_count)
        return false; /* known: one bad consent is its own trouble */
    breaker->consents[breaker->consent_count++] = consent;
    if (breaker->consent_count < settings->configuration &&
        breaker->consent_count < BREAKER_CONSENTS_MAX)
        return false;
    trip(breaker, settings, random, now, true);
    return true;
}

bool breaker_accepted(struct breaker *breaker, struct mono_time now, struct mono_time sent)
{
    if (breaker->state == BREAKER_CLOSED) {
        breaker->consent_count = 0;
        return false;
    }
    if (!breaker->is_configuration || sent.us < breaker->opened_us)
        return false;
    enter(breaker, BREAKER_CLOSED, now);
    return true;
}

void breaker_past_get(const struct breaker *breaker, struct breaker_past *past)
{
    *past = (struct breaker_past){0};
    if (breaker->state == BREAKER_CLOSED)
        return;
    past->state = BREAKER_OPEN;
    past->is_configuration = breaker->is_configuration;
    past->streak = breaker->streak;
    past->opened_us = breaker->opened_us;
    past->until_us = breaker->until_us;
}

void breaker_past_set(struct breaker *breaker, const struct breaker_past *past)
{
    breaker_init(breaker);
    if (past->state == BREAKER_CLOSED)
        return;
    breaker->state = BREAKER_OPEN;
    breaker->is_configuration = past->is_configuration;
    breaker->streak = past->streak;
    breaker->opened_us = past->opened_us;
    breaker->until_us = past->until_us;
}
