/* SPDX-License-Identifier: MIT
 * recheck.c - see recheck.h. */
#include "scheduler/recheck.h"

#include "scheduler/consent.h"
#include "scheduler/feedback.h"
#include "scheduler/limit_node.h"
#include "scheduler/population.h"
#include "scheduler/provider_gate.h"

/* Consents that the hand looks over at once for the next one that is held. */
#define LOOK_AHEAD 4096
/* A look-up that failed for a passing reason is tried so often, then not before the next round. */
#define TRIES_MAX 3
#define TRY_AGAIN_MS MS_PER_MINUTE
#define PROMPT_SPACING_MS (10 * MS_PER_MINUTE)

/* ---- which consents ---- */

/* May the provider be asked about it at all? */
static bool may_look_up(const struct scheduler *scheduler, const struct provider *provider,
                        uint32_t number)
{
    const struct consent *consent = &scheduler->consents[number];
    const struct institution *institution;

    if ((consent->flags & CONSENT_IN_USE) == 0 || consent->mode != MODE_ACTIVE)
        return false;
    institution = &scheduler->institutions[consent->institution];
    return &scheduler->providers[institution->provider] == provider &&
           institution->node.paused_until.ms <= scheduler->now.utc.ms &&
           consent_paused_until(scheduler, number, scheduler->now.utc).ms == UTC_NONE.ms;
}

/* Is it one that the hand asks for? What is expired waits for its customer in any case. */
static bool is_for_hand(const struct scheduler *scheduler, const struct provider *provider,
                        uint32_t number)
{
    const struct consent *consent = &scheduler->consents[number];

    return (consent->flags & CONSENT_IS_HELD) != 0 && consent->job == NONE_INDEX &&
           scheduler->now.utc.ms < consent_expires(consent).ms &&
           may_look_up(scheduler, provider, number);
}

static bool has_hand(const struct scheduler *scheduler, const struct provider *provider)
{
    return provider->is_configured && provider->settings.can_look_up &&
           provider->settings.recheck_ms > 0 && scheduler->consent_max > 0;
}

/* ---- calls ---- */

static struct recheck_call *call_of(struct provider *provider, uint32_t consent)
{
    for (uint32_t i = 0; i < RECHECK_CALLS_MAX; i++)
        if (provider->recheck.calls[i].consent == consent)
            return &provider->recheck.calls[i];
    return NULL;
}

/* The look-up of a consent that is out, and whose it is; NULL: there is none. */
static struct recheck_call *call_out(const struct scheduler *scheduler, uint32_t consent,
                                     struct provider **provider)
{
    struct recheck_call *call;

    if (consent == 0 || consent > scheduler->consent_max)
        return NULL;
    *provider = consent_provider(scheduler, consent);
    call = call_of(*provider, consent);
    return call != NULL && call->is_out ? call : NULL;
}

/* Ask for a look-up of the consent; false: no place is free. */
static bool ask(struct scheduler *scheduler, struct provider *provider, uint32_t consent,
                bool is_by_hand)
{
    struct recheck_call *call = call_of(provider, consent);

    if (call != NULL) /* one at a time */
        return true;
    call = call_of(provider, 0);
    if (call == NULL)
        return false;
    *call = (struct recheck_call){
        .consent = consent,
        .is_by_hand = is_by_hand,
        .was_held = (scheduler->consents[consent].flags & CONSENT_IS_HELD) != 0,
        .not_before = scheduler->now.mono,
        .pass = {.answers_accepted = provider->answers_accepted},
    };
    return true;
}

/* Is the question still one? People, sources and jobs may have answered it meanwhile. */
static bool is_wanted(const struct scheduler *scheduler, const struct provider *provider,
                      const struct recheck_call *call)
{
    uint32_t job = scheduler->consents[call->consent].job;

    if (call->is_by_hand)
        return has_hand(scheduler, provider) && is_for_hand(scheduler, provider, call->consent);
    return may_look_up(scheduler, provider, call->consent) &&
           (job == NONE_INDEX || scheduler->jobs[job].state != JOB_LOOKING_UP);
}

static void send_call(struct scheduler *scheduler, struct provider *provider,
                      struct recheck_call *call)
{
    struct record *record = core_record(scheduler, RECORD_RECHECK, NULL);
    struct effect *effect = core_effect(scheduler);

    record->as.recheck.provider = provider->settings_index;
    record->as.recheck.consent = call->consent;
    record->as.recheck.is_by_hand = call->is_by_hand;
    effect->request = REQUEST_LOOK_UP;
    effect->provider = provider->settings_index;
    effect->job_slot = NO_JOB;
    effect->consent = call->consent;
    call->is_out = true;
    call->is_sent = false;
    call->was_held = (scheduler->consents[call->consent].flags & CONSENT_IS_HELD) != 0;
    call->tries++;
    limit_node_grant(&provider->node);
    scheduler->requests_outstanding++;
    provider_gate_sending(provider, &call->pass);
    provider_gate_count_call(scheduler, provider);
}

/* What keeps a look-up from leaving. Full is only full for jobs. */
static struct obstacle call_obstacle(struct scheduler *scheduler, struct provider *provider)
{
    struct obstacle obstacle = provider_gate_job_obstacle(scheduler, provider, false);

    if (obstacle.reason != REASON_NONE && obstacle.reason != REASON_CONCURRENCY)
        return obstacle;
    provider_gate_want_token(scheduler, provider);
    return provider_gate_obstacle(scheduler, provider);
}

static void send_waiting(struct scheduler *scheduler, struct provider *provider)
{
    for (uint32_t i = 0; i < RECHECK_CALLS_MAX; i++) {
        struct recheck_call *call = &provider->recheck.calls[i];
        struct obstacle obstacle;

        if (call->consent == 0 || call->is_out)
            continue;
        if (!is_wanted(scheduler, provider, call)) {
            *call = (struct recheck_call){0};
            continue;
        }
        if (call->not_before.us > scheduler->now.mono.us) {
            core_wake_mono(scheduler, call->not_before);
            continue;
        }
        obstacle = call_obstacle(scheduler, provider);
        if (obstacle.reason != REASON_NONE) {
            if (obstacle.utc.ms > scheduler->now.utc.ms)
                core_wake_utc(scheduler, obstacle.utc);
            if (obstacle.mono.us > scheduler->now.mono.us)
                core_wake_mono(scheduler, obstacle.mono);
            return;
        }
        if (!core_has_room(scheduler))
            return;
        send_call(scheduler, provider, call);
    }
}

/* ---- the hand ---- */

/* Time from one number to the next, rounded up: a round is never shorter than the period. */
static int64_t number_us(const struct scheduler *scheduler, const struct provider *provider)
{
    int64_t period_us = provider->settings.recheck_ms * US_PER_MS;

    return (period_us + scheduler->consent_max - 1) / scheduler->consent_max;
}

/* From where it stands to the next consent that it asks for, or as far as it can see. */
static void move_on(struct scheduler *scheduler, struct provider *provider, struct mono_time from)
{
    struct recheck *recheck = &provider->recheck;
    uint32_t ahead = scheduler->consent_max < LOOK_AHEAD ? scheduler->consent_max : LOOK_AHEAD;
    uint32_t steps = 0;

    do {
        recheck->hand = recheck->hand >= scheduler->consent_max ? 1 : recheck->hand + 1;
        steps++;
    } while (steps < ahead && !is_for_hand(scheduler, provider, recheck->hand));
    recheck->hand_at = mono_add_us(from, steps * number_us(scheduler, provider));
}

/* From where it stood before a restart; else from where the clock says, so that one who is
 * restarted before the first look-up does not begin anew each time. */
static void begin(struct scheduler *scheduler, struct provider *provider)
{
    struct recheck *recheck = &provider->recheck;
    struct mono_time round_ago =
        mono_add_us(scheduler->now.mono, -provider->settings.recheck_ms * US_PER_MS);

    if (recheck->hand == 0) {
        int64_t into_us = scheduler->now.utc.ms % provider->settings.recheck_ms * US_PER_MS;
        int64_t step_us = number_us(scheduler, provider);

        recheck->hand = (uint32_t)(into_us / step_us);
        recheck->hand_at = mono_add_us(scheduler->now.mono, -(into_us % step_us));
    } else if (recheck->hand_at.us < round_ago.us) {
        recheck->hand_at = round_ago;
    }
    recheck->has_begun = true;
    move_on(scheduler, provider, recheck->hand_at);
}

static void move_hand(struct scheduler *scheduler, struct provider *provider)
{
    struct recheck *recheck = &provider->recheck;
    struct mono_time now = scheduler->now.mono;

    if (!recheck->has_begun)
        begin(scheduler, provider);
    while (recheck->hand_at.us <= now.us) {
        bool is_asked = is_for_hand(scheduler, provider, recheck->hand);

        if (is_asked && !ask(scheduler, provider, recheck->hand, true))
            return; /* an answer makes room */
        /* The next waits for its full time. Only where we are there now and then (`once`, without
         * calendars) does the hand make up for the time between. */
        move_on(scheduler, provider,
                is_asked && scheduler->calendars_enabled ? now : recheck->hand_at);
    }
    core_wake_mono(scheduler, recheck->hand_at);
}

void recheck_noted(struct scheduler *scheduler, uint32_t consent)
{
    struct provider *provider = consent_provider(scheduler, consent);
    struct recheck *recheck = &provider->recheck;
    uint32_t back;
    struct mono_time at;

    if (!has_hand(scheduler, provider) || !recheck->has_begun)
        return;
    back = recheck->hand >= consent ? recheck->hand - consent
                                    : recheck->hand + scheduler->consent_max - consent;
    if (back >= LOOK_AHEAD)
        return;
    at = mono_add_us(recheck->hand_at, -(int64_t)back * number_us(scheduler, provider));
    if (at.us <= scheduler->now.mono.us) /* it has passed there */
        return;
    recheck->hand = consent;
    recheck->hand_at = at;
}

void recheck_recover(struct provider *provider, uint32_t consent, struct mono_time at)
{
    provider->recheck.hand = consent;
    provider->recheck.hand_at = at;
}

/* ---- prompts ---- */

static struct recheck_prompt *prompt_place(const struct scheduler *scheduler,
                                           struct recheck *recheck, uint32_t consent)
{
    struct recheck_prompt *found = NULL;

    for (uint32_t i = 0; i < RECHECK_PROMPTS_MAX; i++) {
        struct recheck_prompt *prompt = &recheck->prompts[i];

        if (prompt->consent == consent)
            return prompt;
        if (found == NULL &&
            (prompt->consent == 0 ||
             (!prompt->is_waiting && prompt->not_before.us <= scheduler->now.mono.us)))
            found = prompt;
    }
    if (found != NULL)
        *found = (struct recheck_prompt){.consent = consent, .not_before = scheduler->now.mono};
    return found;
}

static void prompt(struct scheduler *scheduler, struct provider *provider, uint32_t consent)
{
    struct recheck_prompt *place;

    /* An end that the provider told may be told anew; one of its row only by another row. */
    if (!provider->is_configured || !provider->settings.can_look_up ||
        consent_seconds_floor(scheduler->now.utc) >= scheduler->consents[consent].expires_s ||
        !may_look_up(scheduler, provider, consent))
        return;
    place = prompt_place(scheduler, &provider->recheck, consent);
    if (place == NULL || place->is_waiting)
        return; /* too many of them: the next job or the hand will tell */
    place->is_waiting = true;
    provider->recheck.prompts_waiting++;
}

static void take_prompts(struct scheduler *scheduler, struct provider *provider)
{
    struct recheck *recheck = &provider->recheck;

    for (uint32_t i = 0; i < RECHECK_PROMPTS_MAX && recheck->prompts_waiting > 0; i++) {
        struct recheck_prompt *place = &recheck->prompts[i];

        if (place->consent == 0 || !place->is_waiting)
            continue;
        if (place->not_before.us > scheduler->now.mono.us) {
            core_wake_mono(scheduler, place->not_before);
            continue;
        }
        if (!ask(scheduler, provider, place->consent, false))
            return;
        place->is_waiting = false;
        place->not_before = core_mono_in_ms(scheduler, PROMPT_SPACING_MS);
        recheck->prompts_waiting--;
    }
}

/* ---- what is learned ---- */

static void hold(struct scheduler *scheduler, uint32_t number, bool is_suspended,
                 enum hold_source source, const struct evidence *evidence)
{
    struct consent *consent = &scheduler->consents[number];
    bool was_held = (consent->flags & CONSENT_IS_HELD) != 0;
    struct record *record;

    if (was_held && ((consent->flags & CONSENT_IS_SUSPENDED) != 0) == is_suspended)
        return;
    record = core_record(scheduler, RECORD_HOLD, evidence);
    record->as.hold.consent = number;
    record->as.hold.reason = REASON_HELD;
    record->as.hold.is_suspended = is_suspended;
    record->as.hold.source = source;
    consent->flags &= (uint8_t)~CONSENT_IS_SUSPENDED;
    consent->flags |= (uint8_t)(CONSENT_IS_HELD | (is_suspended ? CONSENT_IS_SUSPENDED : 0));
    if (!was_held)
        recheck_noted(scheduler, number);
}

static void judge(struct scheduler *scheduler, uint32_t number, enum look_up_verdict verdict,
                  enum hold_source source, const struct evidence *evidence)
{
    switch (verdict) {
    case LOOK_UP_ACTIVE: population_release(scheduler, number, source); break;
    case LOOK_UP_RECONNECT: hold(scheduler, number, false, source, evidence); break;
    case LOOK_UP_SUSPENDED: hold(scheduler, number, true, source, evidence); break;
    case LOOK_UP_NOT_READY: /* the customer is at it */
    case LOOK_UP_NONE: break;
    }
}

void recheck_take_news(struct scheduler *scheduler, uint32_t consent, enum look_up_verdict verdict,
                       struct utc_time expires, bool is_verified)
{
    if (consent == 0 || consent > scheduler->consent_max ||
        (scheduler->consents[consent].flags & CONSENT_IN_USE) == 0)
        return;
    if (!is_verified) {
        prompt(scheduler, consent_provider(scheduler, consent), consent);
        return;
    }
    consent_learn_expires(scheduler, consent, expires, verdict == LOOK_UP_ACTIVE, NULL);
    judge(scheduler, consent, verdict, HOLD_BY_WEBHOOK, NULL);
}

static void call_sent(struct provider *provider, struct recheck_call *call, struct mono_time at)
{
    if (call->is_sent)
        return;
    call->is_sent = true;
    limit_node_sent(&provider->node, at);
}

void recheck_sent(struct scheduler *scheduler, uint32_t consent, struct mono_time at)
{
    struct provider *provider;
    struct recheck_call *call = call_out(scheduler, consent, &provider);

    if (call != NULL)
        call_sent(provider, call, at);
}

/* What it says about the line and the account, whatever the consent. */
static void feed_provider(struct scheduler *scheduler, struct provider *provider,
                          struct recheck_call *call, const struct answer *answer)
{
    feedback_answer_without_job(scheduler, provider, answer);
    if (answer->class_ == CLASS_CREDENTIALS)
        (void)provider_gate_refused(scheduler, provider, &call->pass);
    else
        provider_gate_accepted(scheduler, provider, &call->pass, answer->answered);
}

static bool may_pass(enum answer_class class_)
{
    return class_ == CLASS_TRANSPORT || class_ == CLASS_RETRY_LATER || class_ == CLASS_PUSHBACK ||
           class_ == CLASS_CREDENTIALS || class_ == CLASS_BAD_ANSWER;
}

void recheck_answered(struct scheduler *scheduler, uint32_t consent, const struct answer *answer,
                      const struct evidence *evidence)
{
    struct provider *provider;
    struct recheck_call *call = call_out(scheduler, consent, &provider);
    bool is_held;

    if (call == NULL)
        return;
    if (answer->reached_socket || answer->answered)
        call_sent(provider, call, scheduler->now.mono);
    if (!call->is_sent)
        limit_node_return(&provider->node);
    limit_node_answered(&provider->node);
    scheduler->requests_outstanding--;
    call->is_out = false;
    feed_provider(scheduler, provider, call, answer);
    if (answer->look_up == LOOK_UP_NONE && may_pass(answer->class_) && call->tries < TRIES_MAX) {
        call->not_before = core_mono_in_ms(scheduler, TRY_AGAIN_MS);
        return;
    }
    is_held = (scheduler->consents[consent].flags & CONSENT_IS_HELD) != 0;
    consent_learn_expires(scheduler, consent, answer->expires, answer->look_up == LOOK_UP_ACTIVE,
                          evidence);
    if (call->was_held == is_held) /* else the answer is older than what is known */
        judge(scheduler, consent, answer->look_up, HOLD_BY_LOOK_UP, evidence);
    *call = (struct recheck_call){0};
}

/* ---- all of it ---- */

void recheck_advance_all(struct scheduler *scheduler)
{
    if (scheduler->is_draining)
        return;
    for (uint32_t i = 0; i < scheduler->provider_count; i++) {
        struct provider *provider = &scheduler->providers[i];

        if (!provider->is_configured || !provider->settings.can_look_up)
            continue;
        if (provider->recheck.prompts_waiting > 0)
            take_prompts(scheduler, provider);
        if (has_hand(scheduler, provider))
            move_hand(scheduler, provider);
        send_waiting(scheduler, provider);
    }
}

uint32_t recheck_outstanding(const struct provider *provider)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < RECHECK_CALLS_MAX; i++)
        count += provider->recheck.calls[i].is_out;
    return count;
}

uint32_t recheck_pending(const struct provider *provider)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < RECHECK_CALLS_MAX; i++)
        count += provider->recheck.calls[i].is_out && !provider->recheck.calls[i].is_sent;
    return count;
}
