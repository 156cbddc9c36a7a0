/* SPDX-License-Identifier: MIT
 * accident.c - see accident.h. */
#include "tests/simulation/accident.h"

#include "tests/simulation/simulation.h"

static uint32_t some_consent(struct simulation *s)
{
    return 1 + (uint32_t)dice_below(&s->random, (int64_t)s->world.consent_max);
}

/* ---- pauses ---- */

/* Keep a pause as the store does and tell the core. `identity` is the world's. */
static void set_pause(struct simulation *s, enum scope_kind scope, uint32_t identity,
                      struct utc_time until)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    struct event event = {.kind = until.ms == UTC_NONE.ms ? EVENT_RESUME : EVENT_PAUSE};
    struct utc_time *row = &s->store.paused_all;
    uint32_t index = 0;

    switch (scope) {
    case SCOPE_ALL: break;
    case SCOPE_PROVIDER:
        row = &s->store.paused_provider[identity];
        index = snapshot->provider_index[identity];
        break;
    case SCOPE_INSTITUTION:
        row = &s->store.paused_institution[identity];
        index = snapshot->institution_index[identity];
        break;
    case SCOPE_SCHEDULE:
        row = &s->store.paused_schedule[identity];
        index = snapshot->schedule_index[identity];
        break;
    case SCOPE_CONSENT:
        row = &s->store.paused_consent[identity];
        index = identity;
        break;
    }
    event.as.pause.scope = scope;
    event.as.pause.index = index;
    event.as.pause.until = until;
    if (index != WORLD_NONE && virtual_shell_tell(s, &event)) {
        *row = until;
        tally_count(&s->tally, event.kind == EVENT_PAUSE ? TALLY_PAUSES : TALLY_RESUMES);
    }
}

static uint32_t scope_size(const struct simulation *s, enum scope_kind scope)
{
    switch (scope) {
    case SCOPE_PROVIDER: return s->world.provider_count;
    case SCOPE_INSTITUTION: return s->world.institution_count;
    case SCOPE_SCHEDULE: return s->world.schedule_count;
    case SCOPE_CONSENT: return s->world.consent_max;
    case SCOPE_ALL: break;
    }
    return 1;
}

static void pause_something(struct simulation *s)
{
    enum scope_kind scope = (enum scope_kind)dice_below(&s->random, SCOPE_CONSENT + 1);
    uint32_t identity = (uint32_t)dice_below(&s->random, (int64_t)scope_size(s, scope));
    struct utc_time until =
        dice_one_in(&s->random, 4)
            ? UTC_NEVER
            : utc_add_ms(simulation_now(s).utc, MS_PER_SECOND * dice_log(&s->random, 30, 9));

    if (scope == SCOPE_ALL && !dice_one_in(&s->random, 3))
        return;
    set_pause(s, scope, scope == SCOPE_CONSENT ? identity + 1 : identity, until);
}

static void resume_everything(struct simulation *s)
{
    for (int scope = SCOPE_ALL; scope <= SCOPE_CONSENT; scope++)
        for (uint32_t i = 0; i < scope_size(s, (enum scope_kind)scope); i++)
            set_pause(s, (enum scope_kind)scope, scope == SCOPE_CONSENT ? i + 1 : i, UTC_NONE);
}

static void resume_something(struct simulation *s)
{
    enum scope_kind scope = (enum scope_kind)dice_below(&s->random, SCOPE_CONSENT + 1);
    uint32_t identity = (uint32_t)dice_below(&s->random, (int64_t)scope_size(s, scope));

    if (dice_one_in(&s->random, 3))
        resume_everything(s);
    else
        set_pause(s, scope, scope == SCOPE_CONSENT ? identity + 1 : identity, UTC_NONE);
}

/* ---- people ---- */

static void trigger_something(struct simulation *s)
{
    struct event event = {.kind = EVENT_TRIGGER};
    int64_t count = dice_one_in(&s->random, 5) ? 20 : 2;

    event.as.trigger.force = dice_one_in(&s->random, 4);
    for (int64_t i = dice_between(&s->random, 1, count); i > 0; i--) {
        event.as.trigger.consent = some_consent(s);
        if (virtual_shell_snapshot(&s->shell)->has_consent[event.as.trigger.consent] &&
            virtual_shell_tell(s, &event))
            tally_count(&s->tally, TALLY_TRIGGERS);
    }
}

static void release_something(struct simulation *s)
{
    struct event event = {.kind = EVENT_RELEASE};

    event.as.release.consent = some_consent(s);
    for (uint32_t c = 1; c <= s->world.consent_max; c++)
        if (s->judge.consents[c].is_held && dice_one_in(&s->random, 2))
            event.as.release.consent = c;
    if (virtual_shell_tell(s, &event))
        tally_count(&s->tally, TALLY_RELEASES);
}

static void reload_something(struct simulation *s)
{
    int64_t count = dice_one_in(&s->random, 4) ? 10 : 2;
    bool is_up = virtual_shell_is_up(&s->shell);

    for (int64_t i = dice_between(&s->random, 1, count); i > 0; i--)
        world_change(&s->world, simulation_now(s).utc);
    if (is_up && virtual_shell_reload(s))
        tally_count(&s->tally, TALLY_RELOADS);
    else
        tally_count(&s->tally, TALLY_EDITS_WHILE_DOWN);
}

static bool is_even(void *context, uint32_t consent)
{
    (void)context;
    return consent % 2 == 0;
}

static void open_once(struct simulation *s)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    struct event event = {.kind = EVENT_TIME};
    struct fault fault;
    uint32_t run;

    if (snapshot->settings.schedule_count == 0 || s->store.is_once_pending ||
        !virtual_shell_tell(s, &event))
        return;
    s->store.once_filter = dice_one_in(&s->random, 2) ? is_even : NULL;
    if (scheduler_open_once(
            s->shell.scheduler, simulation_now(s),
            (uint32_t)dice_below(&s->random, (int64_t)snapshot->settings.schedule_count),
            dice_one_in(&s->random, 2), s->store.once_filter, NULL, &run, &fault) != RESULT_OK)
        return;
    s->store.is_once_pending = true;
    tally_count(&s->tally, TALLY_ONCE_RUNS);
}

static void forge_webhook(struct simulation *s)
{
    struct event event = {.kind = EVENT_WEBHOOK};

    /* Nobody without our key can name a job id: it is a hint at most. */
    event.as.webhook.job_slot = (uint32_t)dice_below(&s->random, 300);
    if (virtual_shell_tell(s, &event))
        tally_count(&s->tally, TALLY_WEBHOOKS_FORGED);
}

/* A person wants what was learned forgotten. */
static void reset_something(struct simulation *s)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    struct event event = {.kind = EVENT_RESET};

    if (snapshot->settings.provider_count == 0)
        return;
    event.as.reset.provider =
        (uint32_t)dice_below(&s->random, (int64_t)snapshot->settings.provider_count);
    event.as.reset.institution = UINT32_MAX;
    for (uint32_t i = 0; i < snapshot->settings.institution_count; i++)
        if (snapshot->institutions[i].provider == event.as.reset.provider &&
            dice_one_in(&s->random, 3))
            event.as.reset.institution = i;
    if (virtual_shell_tell(s, &event))
        tally_count(&s->tally, TALLY_RESETS);
}

/* ---- customers ---- */

static void customer_moves(struct simulation *s)
{
    uint32_t number = some_consent(s);
    struct customer *customer = &s->providers.customers[number];

    if (dice_one_in(&s->random, 3)) {
        virtual_provider_attend(s, number);
        return;
    }
    if (customer->state == CUSTOMER_ACTIVE) {
        customer->state = (enum customer_state)dice_between(&s->random, 1, CUSTOMER_NOT_READY);
        tally_count(&s->tally, TALLY_REVOCATIONS);
        return;
    }
    customer->state = CUSTOMER_ACTIVE;
    if (dice_one_in(&s->random, 2)) {
        world_authorize(&s->world, number, simulation_now(s).utc);
        if (virtual_shell_is_up(&s->shell))
            (void)virtual_shell_reload(s);
    }
}

/* A webhook tells something about a consent, signed or not, true or not. */
static void consent_news(struct simulation *s)
{
    struct event event = {.kind = EVENT_CONSENT};
    uint32_t number = some_consent(s);
    bool is_good = s->providers.customers[number].state == CUSTOMER_ACTIVE;

    event.as.consent.consent = number;
    event.as.consent.is_verified = dice_one_in(&s->random, 2);
    if (!event.as.consent.is_verified && dice_one_in(&s->random, 3))
        is_good = !is_good;
    event.as.consent.verdict = is_good ? LOOK_UP_ACTIVE : LOOK_UP_RECONNECT;
    event.as.consent.expires =
        dice_one_in(&s->random, 3)
            ? utc_add_ms(simulation_now(s).utc, dice_below(&s->random, 90 * MS_PER_DAY))
            : UTC_NONE;
    if (virtual_shell_tell(s, &event))
        tally_count(&s->tally, TALLY_CONSENT_NEWS);
}

/* ---- misfortune ---- */

static void clock_moves(struct simulation *s)
{
    int64_t ms;

    if (!s->has_steps) {
        clocks_set_drift(&s->clocks, (int32_t)dice_between(&s->random, -CLOCKS_DRIFT_MAX_PPM,
                                                           CLOCKS_DRIFT_MAX_PPM));
        virtual_shell_replan(s);
        return;
    }
    ms = dice_one_in(&s->random, 4) ? dice_between(&s->random, -30, 30) * MS_PER_HOUR
                                    : dice_between(&s->random, -90, 90) * MS_PER_MINUTE;
    if (dice_one_in(&s->random, 2))
        ms = dice_between(&s->random, -3000, 3000);
    clocks_step(&s->clocks, ms);
    simulation_say(s, "the wall clock is set by %lld ms", (long long)ms);
    tally_count(&s->tally, TALLY_CLOCK_STEPS);
    if (virtual_shell_is_up(&s->shell))
        scheduler_clock_stepped(s->shell.scheduler, simulation_now(s));
    virtual_shell_wake_up(s);
}

static void suspend(struct simulation *s)
{
    int64_t us = dice_log(&s->random, 1, 15) * US_PER_SECOND;

    simulation_say(s, "the machine is suspended for %lld s", (long long)(us / US_PER_SECOND));
    clocks_suspend(&s->clocks, us);
    tally_count(&s->tally, TALLY_SUSPENDS);
    if (virtual_shell_is_up(&s->shell))
        scheduler_clock_resumed(s->shell.scheduler, simulation_now(s));
    virtual_shell_wake_up(s);
}

static void disk_fills(struct simulation *s)
{
    s->shell.disk_full_until = s->clocks.true_us + US_PER_SECOND * dice_log(&s->random, 1, 13);
}

static void restart(struct simulation *s)
{
    struct event drain = {.kind = EVENT_DRAIN};

    if (!s->has_restarts || !virtual_shell_is_up(&s->shell))
        return;
    if (dice_one_in(&s->random, 4))
        (void)virtual_shell_tell(s, &drain);
    else if (dice_one_in(&s->random, 3))
        virtual_shell_kill(s, TALLY_RESTARTS_IDLE);
    else
        s->shell.dies_in = (uint32_t)dice_log(&s->random, 1, 6);
    if (dice_one_in(&s->random, 4)) {
        s->shell.boots_at = (int64_t)dice_below(&s->random, 1000000000);
        tally_count(&s->tally, TALLY_BOOTS);
    }
}

void accident_happen(struct simulation *s)
{
    struct event event = {.kind = EVENT_TIME};

    if (s->is_calm)
        return;
    switch (dice_below(&s->random, 17)) {
    case 0:
    case 1: restart(s); break;
    case 2: pause_something(s); break;
    case 3: resume_something(s); break;
    case 4:
    case 5: reload_something(s); break;
    case 6:
    case 7: trigger_something(s); break;
    case 8: release_something(s); break;
    case 9: open_once(s); break;
    case 10:
        if (dice_one_in(&s->random, 2))
            forge_webhook(s);
        else
            reset_something(s);
        break;
    case 11:
    case 12: customer_moves(s); break;
    case 13: clock_moves(s); break;
    case 15: consent_news(s); break;
    case 14:
        if (dice_one_in(&s->random, 3))
            disk_fills(s);
        else if (s->has_steps && dice_one_in(&s->random, 2))
            suspend(s);
        break;
    default:
        if (virtual_shell_tell(s, &event)) /* called early: nothing happens */
            tally_count(&s->tally, TALLY_EARLY_CALLS);
        break;
    }
    timeline_add(&s->timeline, s->clocks.true_us + dice_below(&s->random, 2 * s->fault_us),
                 MOMENT_ACCIDENT, 0, 0);
}

void accident_end(struct simulation *s)
{
    s->shell.disk_full_until = INT64_MIN;
    s->shell.dies_in = 0;
    resume_everything(s);
}
