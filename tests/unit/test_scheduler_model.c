/* SPDX-License-Identifier: MIT
 * test_scheduler_model.c - random nights: a virtual provider with every kind of answer, restarts,
 * pauses, reloads and triggers at random moments, each batch judged by scheduler_fixture.c.
 *
 * Safety:   the fixture's judge and scheduler_check run after every step.
 * Liveness: when the faults stop, everything drains.
 * Replay:   the same seed gives the same trace.
 * More:     TEST_NIGHTS=1000 TEST_SEED=7 tests/unit/test_scheduler_model */
#include <string.h>

#include "base/random.h"
#include "base/text.h"
#include "tests/unit/scheduler_fixture.h"
#include "tests/unit/unit_test.h"

#define NIGHTS_DEFAULT 120
#define NIGHT_HOURS 30
#define TIMES_NONE INT64_MAX

struct night {
    struct fixture *f;
    struct random random;
    int64_t send_at_us[FIXTURE_REQUESTS];
    int64_t answer_at_us[FIXTURE_REQUESTS];
    int64_t fault_at_us;
    bool is_stormy;
    bool auth_is_down;
    bool is_calm; /* faults have stopped */
    bool has_restarts;
    bool has_clock_steps;
    uint64_t references;
    struct time_range window;
};

static int64_t below(struct night *night, int64_t bound)
{
    return (int64_t)random_below(&night->random, (uint64_t)bound);
}

static bool one_in(struct night *night, int64_t n)
{
    return below(night, n) == 0;
}

/* ---- settings ---- */

static void random_limits(struct night *night, struct limit_settings *limits)
{
    memset(limits, 0, sizeof *limits);
    if (!one_in(night, 3))
        limits->rates[limits->rate_count++] =
            (struct rate){1 + (uint32_t)below(night, 5), 1000 * (1 + below(night, 20))};
    if (!one_in(night, 3))
        limits->rates[limits->rate_count++] =
            (struct rate){4 + (uint32_t)below(night, 40), MS_PER_MINUTE * (1 + below(night, 20))};
    if (one_in(night, 3))
        limits->requests_in_flight_max = 1 + (uint32_t)below(night, 4);
    if (one_in(night, 3))
        limits->jobs_running_max = 1 + (uint32_t)below(night, 6);
    if (one_in(night, 4)) {
        limits->hours.blackouts = &night->window;
        limits->hours.blackout_count = 1;
    }
    limits->pace.learns = one_in(night, 2);
    limits->pace.floor_interval_us = US_PER_SECOND * (1 + below(night, 120));
}

/* What is learned beside the limits, and what it costs to have learned it. */
static void random_control(struct night *night, struct provider_settings *provider)
{
    struct breaker_settings *breaker = &provider->breaker;

    *breaker = (struct breaker_settings){.probes_max = 1 + (uint32_t)below(night, 3),
                                         .probe_first_ms = 1000 * (1 + below(night, 120)),
                                         .lease_ms = 1000 * (1 + below(night, 1200))};
    breaker->probe_max_ms = breaker->probe_first_ms * (1 + below(night, 40));
    if (!one_in(night, 3))
        breaker->failures = 1 + (uint32_t)below(night, 6);
    if (!one_in(night, 3))
        breaker->configuration = 1 + (uint32_t)below(night, BREAKER_CONSENTS_MAX);
    provider->retry_budget_percent = one_in(night, 2) ? 0 : 1 + (uint32_t)below(night, 100);
    provider->revision = (uint64_t)below(night, 3);
}

static void random_provider(struct night *night, struct provider_settings *provider)
{
    random_limits(night, &provider->limits);
    provider->quota =
        (struct quota_settings){(uint32_t)below(night, 5), MS_PER_HOUR * (1 + below(night, 24))};
    provider->cooldown.after_accept_ms = MS_PER_MINUTE * below(night, 120);
    provider->cooldown.after_success_ms = MS_PER_MINUTE * below(night, 120);
    provider->cooldown.after_failure_ms = MS_PER_MINUTE * below(night, 30);
    provider->in_doubt = one_in(night, 2) ? IN_DOUBT_REINITIATE : IN_DOUBT_AWAIT;
    provider->completion.webhook = one_in(night, 2);
    provider->dedupe_window_ms = one_in(night, 2) ? MS_PER_HOUR : 0;
    provider->needs_token = one_in(night, 2);
    provider->can_look_up = one_in(night, 2);
    provider->recheck_ms = one_in(night, 2) ? MS_PER_MINUTE * (1 + below(night, 600)) : 0;
    provider->expiry_margin_ms = one_in(night, 2) ? MS_PER_MINUTE * below(night, 10) : 0;
    provider->rate_guard_ms = one_in(night, 2) ? 0 : 50;
    random_control(night, provider);
}

static void random_settings(struct night *night)
{
    struct fixture *f = night->f;

    night->window = (struct time_range){
        .zone = &zone_utc,
        .start_s = below(night, 86400),
        .end_s = below(night, 86400),
        .weekdays = 127,
    };
    f->settings.provider_count = 2;
    f->settings.institution_count = FIXTURE_INSTITUTIONS;
    f->settings.schedule_count = FIXTURE_SCHEDULES;
    f->settings.schedule_set_count = FIXTURE_SETS;
    for (int i = 0; i < FIXTURE_PROVIDERS; i++)
        random_provider(night, &f->providers[i]);
    for (int i = 0; i < FIXTURE_INSTITUTIONS; i++)
        random_limits(night, &f->institutions[i].limits);
    for (int i = 0; i < FIXTURE_SCHEDULES; i++) {
        f->schedules[i].spread_ms = MS_PER_MINUTE * below(night, 300);
        f->schedules[i].priority = (uint8_t)below(night, 10);
        f->schedules[i].misfire = one_in(night, 3) ? MISFIRE_SKIP : MISFIRE_RUN_ONCE;
        f->schedules[i].hours = (struct hours_settings){0};
        if (one_in(night, 4))
            f->schedules[i].hours =
                (struct hours_settings){.blackouts = &night->window, .blackout_count = 1};
        if (i != 2)
            f->schedules[i].deadline.duration_ms = MS_PER_HOUR * (1 + below(night, 30));
    }
    for (uint32_t c = 1; c <= f->consent_max; c++) {
        struct consent_settings *settings = &f->consents[c].settings;

        settings->institution = (uint32_t)below(night, FIXTURE_INSTITUTIONS);
        settings->schedule_set = (uint16_t)below(night, FIXTURE_SETS);
        settings->priority = one_in(night, 2) ? PRIORITY_FROM_SCHEDULE : (uint8_t)below(night, 10);
        settings->mode = one_in(night, 12) ? (uint8_t)below(night, MODE_COUNT) : MODE_ACTIVE;
        if (one_in(night, 10))
            settings->expires = utc_add_ms(fixture_now(f).utc, below(night, 48 * MS_PER_HOUR));
    }
}

/* ---- the provider ---- */

static enum answer_class initiation_class(struct night *night)
{
    static const enum answer_class storm[] = {
        CLASS_COOLDOWN,    CLASS_PUSHBACK,    CLASS_CONFIG_ERROR, CLASS_REJECTED,
        CLASS_NOT_READY,   CLASS_RETRY_LATER, CLASS_TRANSPORT,    CLASS_TRANSPORT,
        CLASS_BAD_ANSWER,  CLASS_RETRY_LATER, CLASS_SUCCESS,      CLASS_RECONNECT_REQUIRED,
        CLASS_CREDENTIALS, CLASS_PARTIAL,     CLASS_RUNNING,      CLASS_LOST,
        CLASS_NONE,        CLASS_RETRY_LATER,
    };

    if (night->auth_is_down)
        return CLASS_CREDENTIALS;
    if (!night->is_calm && one_in(night, night->is_stormy ? 2 : 8))
        return storm[below(night, (int64_t)ROW_COUNT(storm))];
    return CLASS_ACCEPTED;
}

static enum answer_class poll_class(struct night *night)
{
    static const enum answer_class storm[] = {
        CLASS_PARTIAL,     CLASS_RETRY_LATER,  CLASS_RETRY_LATER, CLASS_COOLDOWN,
        CLASS_LOST,        CLASS_PUSHBACK,     CLASS_TRANSPORT,   CLASS_BAD_ANSWER,
        CLASS_REJECTED,    CLASS_CONFIG_ERROR, CLASS_NOT_READY,   CLASS_RECONNECT_REQUIRED,
        CLASS_CREDENTIALS,
    };

    if (night->auth_is_down)
        return CLASS_CREDENTIALS;
    if (!night->is_calm && one_in(night, night->is_stormy ? 3 : 10))
        return storm[below(night, (int64_t)ROW_COUNT(storm))];
    return one_in(night, 2) ? CLASS_RUNNING : CLASS_SUCCESS;
}

static struct answer random_answer(struct night *night, const struct fixture_request *request)
{
    struct fixture *f = night->f;
    enum answer_class class_ =
        request->kind == REQUEST_INITIATE ? initiation_class(night) : poll_class(night);
    struct answer answer = fixture_answer(class_);
    uint64_t old_reference = f->consents[request->consent].past.reference_hash;

    if (request->kind == REQUEST_LOOK_UP) {
        answer.class_ = one_in(night, 4) ? CLASS_TRANSPORT : CLASS_SUCCESS;
        answer.look_up = (enum look_up_verdict)below(night, LOOK_UP_NOT_READY + 1);
    }
    if (class_ == CLASS_ACCEPTED || class_ == CLASS_RUNNING || class_ == CLASS_SUCCESS) {
        night->references++;
        answer.reference_hash = hash_bytes(&night->references, sizeof night->references, 1);
        if (old_reference != 0 && one_in(night, 8))
            answer.reference_hash = old_reference;
        if (one_in(night, 20) && !night->is_calm)
            answer.reference_hash = 0;
    }
    answer.is_about_job = one_in(night, 2);
    if (class_ == CLASS_RETRY_LATER)
        answer.reason = one_in(night, 2) ? REASON_JOB_FAILED : REASON_PROVIDER_ERROR;
    if (one_in(night, 4))
        answer.retry_after_ms = below(night, 10 * MS_PER_MINUTE);
    if (class_ == CLASS_COOLDOWN && one_in(night, 2))
        answer.not_before =
            utc_add_ms(fixture_now(f).utc, below(night, 3 * MS_PER_HOUR) - MS_PER_MINUTE);
    if (one_in(night, 50))
        answer.expires = utc_add_ms(fixture_now(f).utc, below(night, 100 * MS_PER_HOUR));
    if (one_in(night, 10))
        answer.poll_hint_ms = below(night, MS_PER_HOUR);
    answer.wants_look_up = one_in(night, 2);
    if (one_in(night, 20))
        answer.expires = utc_add_ms(fixture_now(night->f).utc, below(night, 48 * MS_PER_HOUR));
    if (class_ == CLASS_TRANSPORT && !request->is_sent && one_in(night, 2))
        answer.reached_socket = false;
    return answer;
}

static void plan_request(struct night *night, uint32_t i)
{
    const struct fixture *f = night->f;

    night->send_at_us[i] = f->true_us + below(night, one_in(night, 10) ? 4000000 : 100000);
    night->answer_at_us[i] =
        night->send_at_us[i] + below(night, one_in(night, 10) ? 9000000 : 900000);
    if (one_in(night, 30)) /* never reaches the socket, or the answer comes with the news */
        night->send_at_us[i] = TIMES_NONE;
}

static void answer_request(struct night *night, uint32_t i)
{
    struct fixture *f = night->f;
    struct fixture_request *request = &f->requests[i];

    if (request->kind == REQUEST_TOKEN) {
        fixture_deliver_token(f, request, !night->auth_is_down,
                              MS_PER_MINUTE * (2 + below(night, 60)));
    } else {
        struct answer answer = random_answer(night, request);

        fixture_deliver(f, request, &answer);
    }
}

/* ---- people and accidents ---- */

static void pause_something(struct night *night, bool is_pause)
{
    struct fixture *f = night->f;
    struct utc_time until = one_in(night, 3)
                                ? UTC_NEVER
                                : utc_add_ms(fixture_now(f).utc, below(night, 4 * MS_PER_HOUR));
    struct event event = {.kind = is_pause ? EVENT_PAUSE : EVENT_RESUME};
    struct utc_time *mine = &f->paused_all;

    event.as.pause.scope = (enum scope_kind)below(night, SCOPE_CONSENT + 1);
    switch (event.as.pause.scope) {
    case SCOPE_ALL: break;
    case SCOPE_PROVIDER:
        event.as.pause.index = (uint32_t)below(night, FIXTURE_PROVIDERS);
        mine = &f->paused_provider[event.as.pause.index];
        break;
    case SCOPE_INSTITUTION:
        event.as.pause.index = (uint32_t)below(night, FIXTURE_INSTITUTIONS);
        mine = &f->paused_institution[event.as.pause.index];
        break;
    case SCOPE_SCHEDULE:
        event.as.pause.index = (uint32_t)below(night, FIXTURE_SCHEDULES);
        mine = &f->paused_schedule[event.as.pause.index];
        break;
    case SCOPE_CONSENT:
        event.as.pause.index = 1 + (uint32_t)below(night, f->consent_max);
        mine = &f->consents[event.as.pause.index].paused_until;
        break;
    }
    event.as.pause.until = until;
    *mine = is_pause ? until : UTC_NONE;
    fixture_event(f, &event);
}

static void resume_everything(struct fixture *f)
{
    struct event event = {.kind = EVENT_RESUME};

    f->paused_all = UTC_NONE;
    event.as.pause.scope = SCOPE_ALL;
    fixture_event(f, &event);
    for (uint32_t i = 0; i < FIXTURE_INSTITUTIONS; i++) {
        f->paused_institution[i] = UTC_NONE;
        event.as.pause.scope = SCOPE_INSTITUTION;
        event.as.pause.index = i;
        fixture_event(f, &event);
    }
    for (uint32_t i = 0; i < FIXTURE_SCHEDULES; i++) {
        f->paused_schedule[i] = UTC_NONE;
        event.as.pause.scope = SCOPE_SCHEDULE;
        event.as.pause.index = i;
        fixture_event(f, &event);
    }
    for (uint32_t i = 0; i < FIXTURE_PROVIDERS; i++) {
        f->paused_provider[i] = UTC_NONE;
        event.as.pause.scope = SCOPE_PROVIDER;
        event.as.pause.index = i;
        fixture_event(f, &event);
    }
    for (uint32_t c = 1; c <= f->consent_max; c++) {
        f->consents[c].paused_until = UTC_NONE;
        event.as.pause.scope = SCOPE_CONSENT;
        event.as.pause.index = c;
        fixture_event(f, &event);
    }
}

/* Change the population, or the limits, and tell the core. */
static void reload_something(struct night *night)
{
    struct fixture *f = night->f;
    uint32_t c = 1 + (uint32_t)below(night, f->consent_max);
    struct fixture_consent *consent = &f->consents[c];

    switch (below(night, 6)) {
    case 4:
        random_control(night, &f->providers[below(night, FIXTURE_PROVIDERS)]);
        fixture_reload(f);
        return;
    case 0: consent->is_there = !consent->is_there; break;
    case 1: consent->settings.schedule_set = (uint16_t)below(night, FIXTURE_SETS); break;
    case 2: consent->settings.priority = (uint8_t)below(night, 10); break;
    case 3:
        consent->settings.authorized_at = fixture_now(f).utc;
        consent->learned_expires = UTC_NEVER; /* a changed row starts afresh */
        break;
    default:
        c = (uint32_t)below(night, FIXTURE_INSTITUTIONS);
        random_limits(night, &f->institutions[c].limits);
        fixture_reload(f);
        return;
    }
    if (consent->is_there)
        scheduler_consent_put(f->scheduler, c, &consent->settings);
    else
        scheduler_consent_remove(f->scheduler, c);
    fixture_time(f);
}

static void trigger_something(struct night *night)
{
    struct fixture *f = night->f;
    struct event event = {.kind = EVENT_TRIGGER};

    event.as.trigger.consent = 1 + (uint32_t)below(night, f->consent_max);
    if (one_in(night, 4)) {
        event.as.trigger.force = true;
        f->consents[event.as.trigger.consent].is_forced = true;
    }
    fixture_event(f, &event);
}

static bool is_even(void *context, uint32_t consent)
{
    (void)context;
    return consent % 2 == 0;
}

static void open_once(struct night *night)
{
    struct fixture *f = night->f;
    struct fault fault;
    uint32_t run;

    f->once_filter = one_in(night, 2) ? is_even : NULL;
    (void)!scheduler_open_once(f->scheduler, fixture_now(f),
                               (uint32_t)below(night, FIXTURE_SCHEDULES), one_in(night, 2),
                               f->once_filter, NULL, &run, &fault);
    fixture_time(f);
}

static void send_webhook(struct night *night)
{
    struct fixture *f = night->f;
    struct event event = {.kind = EVENT_WEBHOOK};
    const struct fixture_job *job = fixture_job_of(f, 1 + (uint32_t)below(night, f->consent_max));

    event.as.webhook.job_slot = job != NULL ? job->job_slot : (uint32_t)below(night, 300);
    if (one_in(night, 2)) {
        night->references++;
        event.as.webhook.reference_hash =
            hash_bytes(&night->references, sizeof night->references, 1);
    }
    fixture_event(f, &event);
}

static void step_clock(struct night *night)
{
    struct fixture *f = night->f;

    f->clock_was_stepped = true;
    f->utc_offset_ms += below(night, 2 * MS_PER_HOUR) - MS_PER_HOUR;
    scheduler_clock_stepped(f->scheduler, fixture_now(f));
    fixture_time(f);
}

static void restart(struct night *night)
{
    struct fixture *f = night->f;

    if (one_in(night, 2)) { /* some requests had left, and nobody was told */
        for (uint32_t i = 0; i < FIXTURE_REQUESTS; i++)
            f->requests[i].is_out = false;
        f->requests_out = 0;
    }
    f->true_us += below(night, one_in(night, 4) ? 6 * MS_PER_HOUR * US_PER_MS : 10 * US_PER_SECOND);
    f->mono_offset_us += below(night, 1000000000);
    fixture_start(f, 1);
}

/* Somebody tells something about a consent, whichever, with or without a signature. */
static void send_news(struct night *night)
{
    struct fixture *f = night->f;
    struct event event = {.kind = EVENT_CONSENT};

    event.as.consent.consent = (uint32_t)below(night, f->consent_max + 2);
    event.as.consent.is_verified = one_in(night, 2);
    event.as.consent.verdict = one_in(night, 2) ? LOOK_UP_ACTIVE : LOOK_UP_RECONNECT;
    event.as.consent.expires =
        one_in(night, 2) ? UTC_NONE : utc_add_ms(fixture_now(f).utc, below(night, MS_PER_DAY));
    fixture_event(f, &event);
}

static void accident(struct night *night)
{
    struct event event = {.kind = EVENT_TIME};
    struct fixture *f = night->f;

    switch (below(night, 14)) {
    case 13: send_news(night); break;
    case 10: open_once(night); break;
    case 12:
        event.kind = EVENT_RESET;
        event.as.reset.institution = (uint32_t)below(night, FIXTURE_INSTITUTIONS);
        event.as.reset.provider = f->institutions[event.as.reset.institution].provider;
        if (one_in(night, 3))
            event.as.reset.institution = UINT32_MAX;
        fixture_event(f, &event);
        break;
    case 0:
        if (night->has_restarts)
            restart(night);
        break;
    case 1:
    case 2: pause_something(night, true); break;
    case 3: pause_something(night, false); break;
    case 4: resume_everything(f); break;
    case 5: reload_something(night); break;
    case 6: trigger_something(night); break;
    case 7: send_webhook(night); break;
    case 8: night->auth_is_down = !night->auth_is_down && one_in(night, 3); break;
    case 9:
        event.kind = EVENT_RELEASE;
        event.as.release.consent = 1 + (uint32_t)below(night, f->consent_max);
        fixture_event(f, &event);
        break;
    default:
        if (night->has_clock_steps)
            step_clock(night);
        else
            fixture_event(f, &event); /* called early: nothing happens */
        break;
    }
    night->fault_at_us = f->true_us + below(night, 40 * MS_PER_MINUTE * US_PER_MS);
}

/* ---- the night ---- */

static int64_t next_instant(struct night *night)
{
    struct fixture *f = night->f;
    int64_t next_us = fixture_wake_us(f);

    for (uint32_t i = 0; i < FIXTURE_REQUESTS && f->requests_out > 0; i++) {
        const struct fixture_request *request = &f->requests[i];

        if (!request->is_out)
            continue;
        if (request->since_us == f->true_us && night->answer_at_us[i] <= f->true_us)
            plan_request(night, i);
        if (!request->is_sent && night->send_at_us[i] < next_us)
            next_us = night->send_at_us[i];
        if (night->answer_at_us[i] < next_us)
            next_us = night->answer_at_us[i];
    }
    if (!night->is_calm && night->fault_at_us < next_us)
        next_us = night->fault_at_us;
    return next_us;
}

static void live_until(struct night *night, int64_t until_us)
{
    struct fixture *f = night->f;

    for (;;) {
        int64_t next_us = next_instant(night);

        if (next_us > until_us)
            break;
        if (next_us > f->true_us)
            f->true_us = next_us;
        if (fixture_wake_us(f) <= f->true_us)
            fixture_time(f);
        for (uint32_t i = 0; i < FIXTURE_REQUESTS && f->requests_out > 0; i++) {
            if (!f->requests[i].is_out)
                continue;
            if (!f->requests[i].is_sent && night->send_at_us[i] <= f->true_us)
                fixture_send(f, &f->requests[i]);
            if (f->requests[i].is_out && night->answer_at_us[i] <= f->true_us &&
                f->requests[i].since_us < f->true_us)
                answer_request(night, i);
        }
        if (!night->is_calm && night->fault_at_us <= f->true_us)
            accident(night);
    }
    if (until_us > f->true_us) /* a restart may have taken longer */
        f->true_us = until_us;
    fixture_time(f);
}

/* Answers the trace of the night. */
static uint64_t run_night(uint64_t seed)
{
    struct night *night = calloc(1, sizeof *night);
    struct fixture *f;
    uint64_t trace;

    assert_non_null(night);
    random_init(&night->random, seed);
    f = night->f = fixture_create(4 + (uint32_t)below(night, FIXTURE_CONSENTS - 4));
    random_settings(night);
    night->is_stormy = one_in(night, 2);
    night->has_restarts = !one_in(night, 4);
    night->has_clock_steps = !night->has_restarts && one_in(night, 2);
    fixture_start(f, seed);
    live_until(night, f->true_us + NIGHT_HOURS * MS_PER_HOUR * US_PER_MS);
    night->is_calm = true;
    night->auth_is_down = false;
    scheduler_set_calendars(f->scheduler, false);
    resume_everything(f);
    live_until(night, f->true_us + 60 * MS_PER_HOUR * US_PER_MS);
    assert_int_equal(scheduler_jobs_live(f->scheduler), 0);
    assert_int_equal(scheduler_run_count(f->scheduler), 0);
    assert_int_equal(fixture_open_runs(f), 0);
    trace = f->trace;
    fixture_destroy(f);
    free(night);
    return trace;
}

static void test_nights(void **state)
{
    const char *wanted = getenv("TEST_NIGHTS");
    uint64_t nights = wanted != NULL ? strtoull(wanted, NULL, 10) : NIGHTS_DEFAULT;
    uint64_t seed = unit_seed();

    (void)state;
    for (uint64_t i = 0; i < nights; i++) {
        if (getenv("TEST_VERBOSE") != NULL)
            print_message("night %" PRIu64 "\n", seed + i);
        (void)run_night(seed + i);
    }
}

static void test_same_seed_same_trace(void **state)
{
    uint64_t seed = unit_seed();

    (void)state;
    for (uint64_t i = 0; i < 5; i++) {
        assert_true(run_night(seed + i) == run_night(seed + i));
        assert_true(run_night(seed + i) != run_night(seed + i + 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nights),
        cmocka_unit_test(test_same_seed_same_trace),
    };

    return cmocka_run_group_tests_name("scheduler_model", tests, NULL, NULL);
}
