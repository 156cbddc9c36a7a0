/* SPDX-License-Identifier: MIT
 * test_feedback.c - what the ends of requests and jobs teach the core about banks and providers:
 * learned pace, breaker, retry budget, and that all of it survives. Every batch is judged by
 * scheduler_fixture.c as well. */
#include <string.h>

#include "tests/unit/scheduler_fixture.h"
#include "tests/unit/unit_test.h"

#define ONE_AM MS_PER_HOUR /* from the fixture's start; the nightly slot */
#define PROVIDER_NODE FIXTURE_INSTITUTIONS

/* How a request of this consent ends. */
enum fate {
    FATE_SUCCESS,
    FATE_LIMIT,  /* the job ends with the bank's own request limit */
    FATE_BANK,   /* the job ends with an error of the bank */
    FATE_FAILED, /* the job just fails */
    FATE_5XX,
    FATE_REFUSED_CONNECTION,
    FATE_WRONG, /* refused: wrong request */
    FATE_RECONNECT,
    FATE_429,
};
struct world {
    struct fixture *f;
    enum fate bank[FIXTURE_INSTITUTIONS];
    enum fate fourth; /* of each fourth consent, unless it is success */
    uint32_t initiations[FIXTURE_INSTITUTIONS];
};

static struct fixture *begin(uint32_t consents)
{
    struct fixture *f = fixture_create(consents);

    f->providers[0].breaker = (struct breaker_settings){.failures = 5,
                                                        .configuration = 5,
                                                        .probes_max = 1,
                                                        .probe_first_ms = MS_PER_MINUTE,
                                                        .probe_max_ms = 30 * MS_PER_MINUTE,
                                                        .lease_ms = 10 * MS_PER_MINUTE};
    f->providers[0].revision = 1;
    for (int i = 0; i < FIXTURE_INSTITUTIONS; i++) {
        f->institutions[i].limits.jobs_running_max = 2;
        f->institutions[i].limits.pace =
            (struct pace_settings){.floor_interval_us = PACE_FLOOR_DEFAULT_US};
    }
    f->schedules[0].retry.attempts_max = 1;
    return f;
}

static enum fate fate_of(const struct world *w, uint32_t consent)
{
    if (consent % 4 == 0 && w->fourth != FATE_SUCCESS)
        return w->fourth;
    return w->bank[w->f->consents[consent].settings.institution];
}

static struct answer answer_to_initiation(enum fate fate, uint32_t consent)
{
    struct answer answer = fixture_answer(CLASS_ACCEPTED);

    switch (fate) {
    case FATE_5XX:
        answer = fixture_answer(CLASS_RETRY_LATER);
        answer.reason = REASON_PROVIDER_ERROR;
        break;
    case FATE_REFUSED_CONNECTION:
        answer = fixture_answer(CLASS_TRANSPORT);
        answer.reached_socket = false;
        break;
    case FATE_WRONG: answer = fixture_answer(CLASS_CONFIG_ERROR); break;
    case FATE_429: answer = fixture_answer(CLASS_PUSHBACK); break;
    default: answer.reference_hash = 1000 + consent; break;
    }
    return answer;
}

static struct answer answer_to_poll(enum fate fate)
{
    struct answer answer = fixture_answer(CLASS_SUCCESS);

    switch (fate) {
    case FATE_LIMIT:
        answer = fixture_answer(CLASS_COOLDOWN);
        answer.reason = REASON_PUSHBACK;
        break;
    case FATE_BANK:
    case FATE_FAILED:
        answer = fixture_answer(CLASS_RETRY_LATER);
        answer.reason = fate == FATE_BANK ? REASON_INSTITUTION_ERROR : REASON_JOB_FAILED;
        break;
    case FATE_RECONNECT: answer = fixture_answer(CLASS_RECONNECT_REQUIRED); break;
    default: break;
    }
    answer.is_about_job = true;
    return answer;
}

static void answer_one(struct world *w, struct fixture_request *request)
{
    enum fate fate = fate_of(w, request->consent);
    struct answer answer;

    if (request->kind == REQUEST_INITIATE) {
        w->initiations[w->f->consents[request->consent].settings.institution]++;
        answer = answer_to_initiation(fate, request->consent);
    } else {
        answer = answer_to_poll(fate);
    }
    fixture_deliver(w->f, request, &answer);
}

/* Let `ms` pass; each request is answered a second after it went out. */
static void play(struct world *w, int64_t ms)
{
    struct fixture *f = w->f;
    int64_t end_us = f->true_us + ms * US_PER_MS;

    while (f->true_us < end_us) {
        struct fixture_request *first = NULL;
        int64_t next_us = fixture_wake_us(f) < end_us ? fixture_wake_us(f) : end_us;

        for (uint32_t i = 0; i < FIXTURE_REQUESTS; i++)
            if (f->requests[i].is_out &&
                (first == NULL || f->requests[i].since_us < first->since_us))
                first = &f->requests[i];
        if (first != NULL && first->since_us + US_PER_SECOND <= next_us) {
            f->true_us = first->since_us + US_PER_SECOND;
            answer_one(w, first);
            continue;
        }
        f->true_us = next_us > f->true_us ? next_us : f->true_us;
        fixture_time(f);
    }
}

static void go(struct world *w)
{
    fixture_start(w->f, 1);
    fixture_advance(w->f, ONE_AM);
}

static enum breaker_state breaker_of(struct fixture *f, uint32_t institution)
{
    struct node_view view;

    if (institution == UINT32_MAX)
        scheduler_provider_view(f->scheduler, fixture_now(f), 0, &view);
    else
        scheduler_institution_view(f->scheduler, fixture_now(f), institution, &view);
    return view.breaker;
}

static int64_t learned_us(struct fixture *f, uint32_t institution)
{
    struct node_view view;

    scheduler_institution_view(f->scheduler, fixture_now(f), institution, &view);
    return view.learned_interval_us;
}

static uint32_t total(const struct fixture *f, enum outcome outcome)
{
    return f->runs[f->run_count - 1].counts[outcome];
}

static uint32_t skipped_for(const struct fixture *f, enum reason reason)
{
    uint32_t count = 0;

    for (uint32_t consent = 1; consent <= f->consent_max; consent++)
        count += f->runs[f->run_count - 1].slots[consent] == OUTCOME_SKIPPED &&
                 f->runs[f->run_count - 1].skip_reasons[consent] == reason;
    return count;
}

/* ---- breaker ---- */

static void play_a_dead_bank(enum fate fate)
{
    struct world w = {.f = begin(60), .bank = {[1] = fate}};

    for (uint32_t consent = 41; consent <= 60; consent++)
        w.f->consents[consent].settings.institution = 2;
    go(&w);
    play(&w, 30 * MS_PER_MINUTE);
    assert_int_equal(breaker_of(w.f, 1) == BREAKER_CLOSED, false);
    assert_int_equal(breaker_of(w.f, 2), BREAKER_CLOSED);
    assert_int_equal(breaker_of(w.f, UINT32_MAX), BREAKER_CLOSED);
    assert_int_equal(w.initiations[2], 20);
    play(&w, 4 * MS_PER_HOUR);
    print_message("dead bank: %u requests for 40 consents\n", w.initiations[1]);
    assert_in_range(w.initiations[1], 5, 25);
    assert_int_equal(total(w.f, OUTCOME_REFRESHED), 20);
    assert_int_equal(total(w.f, OUTCOME_FAILED), w.initiations[1]);
    assert_int_equal(skipped_for(w.f, REASON_BREAKER), 40 - w.initiations[1]);
    fixture_destroy(w.f);
}

/* Also where the provider says it with a 503 or nothing at all: whose trouble it is, the other bank
 * tells. */
static void test_a_dead_bank_is_left_alone_and_the_others_go_on(void **state)
{
    (void)state;
    play_a_dead_bank(FATE_BANK);
    play_a_dead_bank(FATE_5XX);
    play_a_dead_bank(FATE_REFUSED_CONNECTION);
}

static void test_a_bank_that_comes_back_is_refreshed(void **state)
{
    struct world w = {.f = begin(60), .bank = {[1] = FATE_BANK}};

    (void)state;
    go(&w);
    play(&w, 5 * MS_PER_MINUTE);
    assert_int_equal(breaker_of(w.f, 1) == BREAKER_CLOSED, false);
    w.bank[1] = FATE_SUCCESS;
    play(&w, 3 * MS_PER_HOUR);
    assert_int_equal(breaker_of(w.f, 1), BREAKER_CLOSED);
    assert_int_equal(total(w.f, OUTCOME_REFRESHED) + total(w.f, OUTCOME_FAILED), 60);
    assert_true(total(w.f, OUTCOME_FAILED) < 15);
    fixture_destroy(w.f);
}

static void test_trouble_of_the_provider_opens_its_own_breaker(void **state)
{
    static const enum fate fates[] = {FATE_5XX, FATE_REFUSED_CONNECTION};

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(fates); i++) {
        struct world w = {.f = begin(60), .bank = {[1] = fates[i], [2] = fates[i]}};
        struct gate_verdict verdicts[GATE_COUNT];

        for (uint32_t consent = 31; consent <= 60; consent++)
            w.f->consents[consent].settings.institution = 2;
        go(&w);
        play(&w, 4 * MS_PER_MINUTE);
        assert_int_equal(breaker_of(w.f, 1), BREAKER_CLOSED);
        assert_int_equal(breaker_of(w.f, 2), BREAKER_CLOSED);
        assert_int_equal(breaker_of(w.f, UINT32_MAX) == BREAKER_CLOSED, false);
        (void)scheduler_why(w.f->scheduler, fixture_now(w.f), 60, verdicts);
        if (breaker_of(w.f, UINT32_MAX) == BREAKER_OPEN) {
            assert_false(verdicts[GATE_BREAKER].is_open);
            assert_int_equal(verdicts[GATE_BREAKER].reason, REASON_BREAKER);
        }
        assert_true(w.initiations[1] + w.initiations[2] < 40);
        fixture_destroy(w.f);
    }
}

static void test_consents_without_a_bank_teach_their_provider(void **state)
{
    static const enum fate fates[] = {FATE_BANK, FATE_FAILED};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world w = {.f = begin(60), .bank = {[0] = fates[i]}};

        for (uint32_t consent = 1; consent <= 60; consent++)
            w.f->consents[consent].settings.institution = 0;
        go(&w);
        play(&w, 4 * MS_PER_MINUTE);
        assert_int_equal(breaker_of(w.f, 0), BREAKER_CLOSED);
        assert_int_equal(breaker_of(w.f, UINT32_MAX) == BREAKER_CLOSED, false);
        fixture_destroy(w.f);
    }
}

static void test_a_word_about_the_consent_is_no_trouble(void **state)
{
    struct world w = {.f = begin(60), .bank = {[1] = FATE_RECONNECT}};

    (void)state;
    go(&w);
    play(&w, MS_PER_HOUR);
    assert_int_equal(breaker_of(w.f, 1), BREAKER_CLOSED);
    assert_int_equal(total(w.f, OUTCOME_RECONNECT_REQUIRED), 60);
    fixture_destroy(w.f);
}

/* A wrong configuration does not burn a thousand slots: it stops the provider once, and a changed
 * one lets it go. */
static void test_a_wrong_configuration_stops_the_provider_once(void **state)
{
    struct world w = {.f = begin(60), .bank = {[1] = FATE_WRONG}};

    (void)state;
    go(&w);
    play(&w, 10 * MS_PER_MINUTE);
    assert_in_range(w.initiations[1], 5, 7); /* and what was out with the fifth */
    assert_int_equal(breaker_of(w.f, UINT32_MAX), BREAKER_OPEN);
    assert_true(w.f->nodes[PROVIDER_NODE].past.is_configuration);
    fixture_reload(w.f); /* the same settings: it stays */
    assert_int_equal(breaker_of(w.f, UINT32_MAX), BREAKER_OPEN);
    fixture_start(w.f, 2); /* and over a restart */
    assert_int_equal(breaker_of(w.f, UINT32_MAX), BREAKER_OPEN);
    w.bank[1] = FATE_SUCCESS;
    w.f->providers[0].revision = 2;
    fixture_reload(w.f);
    assert_int_equal(breaker_of(w.f, UINT32_MAX), BREAKER_CLOSED);
    play(&w, MS_PER_HOUR);
    assert_int_equal(total(w.f, OUTCOME_REFRESHED) + total(w.f, OUTCOME_FAILED), 60);
    fixture_destroy(w.f);
}

static void test_a_restart_under_new_settings_lets_a_wrong_configuration_go(void **state)
{
    struct world w = {.f = begin(60), .bank = {[1] = FATE_WRONG}};

    (void)state;
    go(&w);
    play(&w, 10 * MS_PER_MINUTE);
    assert_int_equal(breaker_of(w.f, UINT32_MAX), BREAKER_OPEN);
    w.f->providers[0].revision = 2;
    fixture_start(w.f, 2);
    assert_int_equal(breaker_of(w.f, UINT32_MAX), BREAKER_CLOSED);
    fixture_destroy(w.f);
}

static void test_an_open_breaker_survives_a_restart(void **state)
{
    struct world w = {.f = begin(60), .bank = {[1] = FATE_BANK}};
    struct node_view before;
    struct node_view after;
    uint32_t records;

    (void)state;
    go(&w);
    while (breaker_of(w.f, 1) != BREAKER_OPEN)
        play(&w, MS_PER_SECOND);
    records = w.f->nodes[1].records;
    assert_true(records >= 1);
    play(&w, 5 * MS_PER_SECOND);
    assert_int_equal(w.f->nodes[1].records, records); /* changes only, not requests */
    scheduler_institution_view(w.f->scheduler, fixture_now(w.f), 1, &before);
    fixture_start(w.f, 2);
    scheduler_institution_view(w.f->scheduler, fixture_now(w.f), 1, &after);
    assert_int_equal(after.breaker, BREAKER_OPEN);
    assert_int_equal(after.blocked_reason, REASON_BREAKER);
    assert_in_range(after.blocked_until.ms, before.blocked_until.ms - 1,
                    before.blocked_until.ms + 1);
    fixture_destroy(w.f);
}

/* A probe that is never answered (the process of the provider hangs, the lease ends) does not stop
 * the probing. */
static void test_a_probe_that_hangs_is_replaced(void **state)
{
    struct world w = {.f = begin(60), .bank = {[1] = FATE_BANK}};
    uint32_t out = 0;

    (void)state;
    go(&w);
    while (breaker_of(w.f, 1) != BREAKER_OPEN)
        play(&w, MS_PER_SECOND);
    play(&w, 20 * MS_PER_SECOND);             /* what was out is back */
    fixture_advance(w.f, 25 * MS_PER_MINUTE); /* nothing is answered from now on */
    for (uint32_t i = 0; i < FIXTURE_REQUESTS; i++)
        out += w.f->requests[i].is_out && w.f->requests[i].kind == REQUEST_INITIATE;
    assert_in_range(out, 2, 3); /* one each ten minutes, as far as jobs_running lets them */
    fixture_destroy(w.f);
}

static void test_a_person_resets_it(void **state)
{
    struct world w = {.f = begin(60), .bank = {[1] = FATE_BANK}};
    struct event event = {.kind = EVENT_RESET, .as.reset = {0, 1}};

    (void)state;
    go(&w);
    while (breaker_of(w.f, 1) != BREAKER_OPEN)
        play(&w, MS_PER_SECOND);
    w.bank[1] = FATE_SUCCESS;
    fixture_event(w.f, &event);
    assert_int_equal(breaker_of(w.f, 1), BREAKER_CLOSED);
    assert_int_equal(w.f->nodes[1].past.breaker, BREAKER_CLOSED);
    assert_true(w.f->requests_out > 0); /* at once */
    event.as.reset.institution = UINT32_MAX;
    fixture_event(w.f, &event);
    play(&w, MS_PER_HOUR);
    assert_int_equal(total(w.f, OUTCOME_REFRESHED) + total(w.f, OUTCOME_FAILED), 60);
    fixture_destroy(w.f);
}

/* ---- learned pace ---- */

static struct fixture *begin_learning(uint32_t consents)
{
    struct fixture *f = begin(consents);

    f->institutions[1].limits.pace.learns = true;
    f->institutions[1].limits.jobs_running_max = 20;
    f->consents[1].settings.expires = UTC_NEVER;
    return f;
}

static void test_a_bank_that_refuses_is_asked_more_slowly(void **state)
{
    struct world w = {.f = begin_learning(60), .bank = {[1] = FATE_LIMIT}};
    struct gate_verdict verdicts[GATE_COUNT];
    uint32_t before;

    (void)state;
    go(&w);
    play(&w, 40 * MS_PER_SECOND);
    assert_true(learned_us(w.f, 1) > 0);
    before = w.initiations[1];
    play(&w, 5 * MS_PER_SECOND);
    assert_true(w.initiations[1] - before <= 5);
    (void)scheduler_why(w.f->scheduler, fixture_now(w.f), 1, verdicts);
    assert_int_equal(verdicts[GATE_INSTITUTION_RATE].learned_interval_us, learned_us(w.f, 1));
    fixture_destroy(w.f);
}

/* A job that just fails does so at any pace; a bank that times out may be overloaded. */
static void test_failed_jobs_do_not_move_the_learned_pace(void **state)
{
    static const enum fate fates[] = {FATE_FAILED, FATE_BANK};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world w = {.f = begin_learning(60), .fourth = fates[i]};
        int64_t slowest_us = 0;

        go(&w);
        for (int s = 0; s < 1800; s++) {
            play(&w, MS_PER_SECOND);
            if (learned_us(w.f, 1) > slowest_us)
                slowest_us = learned_us(w.f, 1);
        }
        assert_int_equal(total(w.f, OUTCOME_REFRESHED), 45);
        assert_int_equal(total(w.f, OUTCOME_FAILED), 15);
        assert_int_equal(breaker_of(w.f, 1), BREAKER_CLOSED);
        assert_int_equal(slowest_us > 0, fates[i] == FATE_BANK);
        fixture_destroy(w.f);
    }
}

/* A job that was accepted is followed whatever the pace: polls are no load on the bank. */
static void test_polls_do_not_pay_the_learned_pace(void **state)
{
    struct world w = {.f = begin_learning(60), .bank = {[1] = FATE_LIMIT}};
    struct node_view view;
    uint32_t polls = 0;

    (void)state;
    go(&w);
    for (int i = 0; i < 600; i++) {
        play(&w, MS_PER_SECOND);
        scheduler_institution_view(w.f->scheduler, fixture_now(w.f), 1, &view);
        for (uint32_t k = 0; k < FIXTURE_REQUESTS && view.blocked_reason == REASON_RATE; k++)
            polls += w.f->requests[k].is_out && w.f->requests[k].kind == REQUEST_POLL;
    }
    assert_true(polls > 0); /* were out while the pace held back what is initiated */
    fixture_destroy(w.f);
}

static void test_a_learned_pace_survives_restart_and_reload(void **state)
{
    struct world w = {.f = begin_learning(60), .bank = {[1] = FATE_LIMIT}};
    int64_t learned;
    uint32_t records;

    (void)state;
    go(&w);
    play(&w, 5 * MS_PER_MINUTE);
    play(&w, 6 * MS_PER_SECOND); /* the spacing of records */
    learned = w.f->nodes[1].past.pace.interval_us;
    records = w.f->nodes[1].records;
    assert_true(learned > 0 && learned_us(w.f, 1) > 0);
    assert_true(records < 70);
    fixture_reload(w.f);
    assert_true(learned_us(w.f, 1) > 0);
    fixture_start(w.f, 2);
    assert_int_equal(learned_us(w.f, 1), learned);
    w.f->institutions[1].limits.pace.learns = false; /* switched off: forgotten */
    fixture_reload(w.f);
    assert_int_equal(learned_us(w.f, 1), 0);
    assert_int_equal(w.f->nodes[1].past.pace.interval_us, 0); /* for ever */
    fixture_destroy(w.f);
}

static void test_a_pause_asked_for_survives_a_restart(void **state)
{
    struct world w = {.f = begin(4), .bank = {[1] = FATE_SUCCESS}};
    struct answer answer = fixture_answer(CLASS_PUSHBACK);
    struct node_view view;
    struct utc_time until;

    (void)state;
    go(&w);
    answer.retry_after_ms = 5 * MS_PER_MINUTE;
    for (uint32_t i = 0; i < FIXTURE_REQUESTS; i++)
        if (w.f->requests[i].is_out)
            fixture_deliver(w.f, &w.f->requests[i], &answer);
    scheduler_institution_view(w.f->scheduler, fixture_now(w.f), 1, &view);
    assert_int_equal(view.blocked_reason, REASON_PUSHBACK);
    until = view.blocked_until;
    fixture_advance(w.f, MS_PER_MINUTE);
    fixture_start(w.f, 2);
    scheduler_institution_view(w.f->scheduler, fixture_now(w.f), 1, &view);
    assert_int_equal(view.blocked_reason, REASON_PUSHBACK);
    assert_in_range(view.blocked_until.ms, until.ms - 1, until.ms + 1);
    play(&w, MS_PER_HOUR);
    assert_int_equal(total(w.f, OUTCOME_REFRESHED), 4);
    fixture_destroy(w.f);
}

/* ---- retry budget ---- */

static uint32_t jobs_that_wait_for(const struct fixture *f, enum reason reason)
{
    uint32_t count = 0;

    for (uint64_t job = 1; job <= f->job_max; job++)
        count += f->jobs[job % FIXTURE_JOBS].is_open &&
                 f->jobs[job % FIXTURE_JOBS].wait_reason == reason;
    return count;
}

static struct fixture *begin_poor(void)
{
    struct fixture *f = begin(60);

    f->providers[0].breaker.failures = 0; /* the budget alone */
    f->providers[0].retry_budget_percent = 20;
    f->schedules[0].retry = (struct retry_settings){9, MS_PER_SECOND, MS_PER_SECOND};
    f->schedules[0].deadline.duration_ms = 10 * MS_PER_MINUTE;
    f->institutions[1].limits.jobs_running_max = 60;
    return f;
}

static void test_retries_without_budget_wait_and_end_with_what_they_had(void **state)
{
    struct world w = {.f = begin_poor(), .bank = {[1] = FATE_5XX}};
    struct gate_verdict verdicts[GATE_COUNT];
    struct node_view view;

    (void)state;
    go(&w);
    play(&w, 5 * MS_PER_MINUTE);
    assert_true(jobs_that_wait_for(w.f, REASON_RETRY_BUDGET) > 0);
    scheduler_provider_view(w.f->scheduler, fixture_now(w.f), 0, &view);
    assert_in_range(jobs_that_wait_for(w.f, REASON_RETRY_BUDGET) - view.retries_waiting, 0, 1);
    assert_int_equal(view.retry_balance, 0);
    for (uint32_t consent = 1; consent <= 60; consent++) {
        (void)scheduler_why(w.f->scheduler, fixture_now(w.f), consent, verdicts);
        if (!verdicts[GATE_RETRY_BUDGET].is_open)
            break;
    }
    assert_int_equal(verdicts[GATE_RETRY_BUDGET].reason, REASON_RETRY_BUDGET);
    play(&w, 6 * MS_PER_MINUTE);
    assert_int_equal(fixture_open_runs(w.f), 0);
    assert_int_equal(total(w.f, OUTCOME_FAILED), 60);
    /* 60 first attempts, 12 retries earned, the reserve of 100, and 10 a minute. */
    print_message("60 first attempts that all fail: %u requests\n", w.initiations[1]);
    assert_in_range(w.initiations[1], 60 + 12 + 100, 60 + 12 + 100 + 110);
    fixture_destroy(w.f);
}

static void test_waiting_retries_go_when_the_budget_is_switched_off(void **state)
{
    struct world w = {.f = begin_poor(), .bank = {[1] = FATE_5XX}};

    (void)state;
    go(&w);
    play(&w, 5 * MS_PER_MINUTE);
    assert_true(jobs_that_wait_for(w.f, REASON_RETRY_BUDGET) > 0);
    w.f->providers[0].retry_budget_percent = 0;
    w.bank[1] = FATE_SUCCESS;
    fixture_reload(w.f);
    play(&w, 2 * MS_PER_MINUTE);
    assert_true(total(w.f, OUTCOME_REFRESHED) > 0);
    assert_int_equal(total(w.f, OUTCOME_REFRESHED) + total(w.f, OUTCOME_FAILED), 60);
    fixture_destroy(w.f);
}

static void test_retries_that_wait_survive_a_restart(void **state)
{
    struct world w = {.f = begin_poor(), .bank = {[1] = FATE_5XX}};
    uint32_t waiting;

    (void)state;
    go(&w);
    play(&w, 5 * MS_PER_MINUTE);
    waiting = jobs_that_wait_for(w.f, REASON_RETRY_BUDGET);
    assert_true(waiting > 0);
    fixture_start(w.f, 3);
    w.bank[1] = FATE_SUCCESS;
    play(&w, 6 * MS_PER_MINUTE);
    assert_int_equal(fixture_open_runs(w.f), 0);
    assert_int_equal(total(w.f, OUTCOME_REFRESHED) + total(w.f, OUTCOME_FAILED), 60);
    assert_true(total(w.f, OUTCOME_REFRESHED) > 0);
    fixture_destroy(w.f);
}

/* ---- sameness ---- */

static uint64_t trace_of(uint64_t seed)
{
    struct world w = {.f = begin_learning(60), .bank = {[1] = FATE_BANK, [2] = FATE_429}};
    uint64_t trace;

    w.f->providers[0].retry_budget_percent = 20;
    w.f->schedules[0].retry.attempts_max = 3;
    for (uint32_t consent = 41; consent <= 60; consent++)
        w.f->consents[consent].settings.institution = 2;
    fixture_start(w.f, seed);
    fixture_advance(w.f, ONE_AM);
    play(&w, MS_PER_HOUR);
    w.bank[1] = w.bank[2] = FATE_SUCCESS;
    play(&w, 3 * MS_PER_HOUR);
    trace = w.f->trace;
    fixture_destroy(w.f);
    return trace;
}

static void test_equal_seeds_give_equal_batches(void **state)
{
    (void)state;
    assert_true(trace_of(5) == trace_of(5));
    assert_true(trace_of(5) != trace_of(6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dead_bank_is_left_alone_and_the_others_go_on),
        cmocka_unit_test(test_a_bank_that_comes_back_is_refreshed),
        cmocka_unit_test(test_trouble_of_the_provider_opens_its_own_breaker),
        cmocka_unit_test(test_consents_without_a_bank_teach_their_provider),
        cmocka_unit_test(test_a_word_about_the_consent_is_no_trouble),
        cmocka_unit_test(test_a_wrong_configuration_stops_the_provider_once),
        cmocka_unit_test(test_a_restart_under_new_settings_lets_a_wrong_configuration_go),
        cmocka_unit_test(test_an_open_breaker_survives_a_restart),
        cmocka_unit_test(test_a_probe_that_hangs_is_replaced),
        cmocka_unit_test(test_a_person_resets_it),
        cmocka_unit_test(test_a_bank_that_refuses_is_asked_more_slowly),
        cmocka_unit_test(test_failed_jobs_do_not_move_the_learned_pace),
        cmocka_unit_test(test_polls_do_not_pay_the_learned_pace),
        cmocka_unit_test(test_a_learned_pace_survives_restart_and_reload),
        cmocka_unit_test(test_a_pause_asked_for_survives_a_restart),
        cmocka_unit_test(test_retries_without_budget_wait_and_end_with_what_they_had),
        cmocka_unit_test(test_waiting_retries_go_when_the_budget_is_switched_off),
        cmocka_unit_test(test_retries_that_wait_survive_a_restart),
        cmocka_unit_test(test_equal_seeds_give_equal_batches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
