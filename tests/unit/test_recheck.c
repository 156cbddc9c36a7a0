/* SPDX-License-Identifier: MIT
 * test_recheck.c - the life of a consent: looked up while it is held, ends that are learned, what
 * webhooks may do. Driven with a virtual clock; every batch is judged by scheduler_fixture.c. */
#include "tests/unit/scheduler_fixture.h"
#include "tests/unit/unit_test.h"

#define PERIOD MS_PER_HOUR
#define NIGHT (MS_PER_HOUR) /* from the fixture's start to the slot of `nightly` */

/* ---- helpers ---- */

/* `held` consents are held and looked up once in PERIOD; the others are good. */
static struct fixture *begin(uint32_t consents, uint32_t held)
{
    struct fixture *f = fixture_create(consents);

    f->providers[0].can_look_up = true;
    f->providers[0].recheck_ms = PERIOD;
    for (uint32_t c = 1; c <= held; c++)
        f->consents[c].is_held = true;
    return f;
}

static struct answer verdict(enum look_up_verdict look_up)
{
    struct answer answer = fixture_answer(CLASS_SUCCESS);

    answer.look_up = look_up;
    return answer;
}

static void say(struct fixture *f, uint32_t consent, enum look_up_verdict look_up)
{
    struct answer answer = verdict(look_up);
    struct fixture_request *request = fixture_request_of(f, consent);

    assert_non_null(request);
    assert_int_equal(request->kind, REQUEST_LOOK_UP);
    fixture_deliver(f, request, &answer);
}

/* Let time pass and give each look-up this answer a little later. Answers how many there were. */
static uint32_t answer_all(struct fixture *f, int64_t ms, const struct answer *answer)
{
    int64_t until_us = f->true_us + ms * US_PER_MS;
    uint32_t before = f->look_ups;

    while (f->true_us < until_us) {
        fixture_advance(f, MS_PER_SECOND);
        for (uint32_t c = 1; c <= f->consent_max; c++) {
            struct fixture_request *request = fixture_request_of(f, c);

            if (request != NULL && request->kind == REQUEST_LOOK_UP)
                fixture_deliver(f, request, answer);
        }
    }
    return f->look_ups - before;
}

static uint32_t still_revoked(struct fixture *f, int64_t ms)
{
    struct answer answer = verdict(LOOK_UP_RECONNECT);

    return answer_all(f, ms, &answer);
}

static void news(struct fixture *f, uint32_t consent, enum look_up_verdict look_up,
                 struct utc_time expires, bool is_verified)
{
    struct event event = {.kind = EVENT_CONSENT,
                          .as.consent = {consent, is_verified, look_up, expires}};

    fixture_event(f, &event);
}

static void person_releases(struct fixture *f, uint32_t consent)
{
    struct event event = {.kind = EVENT_RELEASE, .as.release = {consent}};

    fixture_event(f, &event);
}

/* ---- the round ---- */

static void test_each_once_in_the_period(void **state)
{
    struct fixture *f = begin(60, 60);

    (void)state;
    fixture_start(f, 1);
    /* Spread: in each tenth of the period a tenth of them, give or take one. */
    for (int tenth = 0; tenth < 40; tenth++)
        assert_in_range(still_revoked(f, PERIOD / 10), 5, 7);
    for (uint32_t c = 1; c <= 60; c++) {
        assert_in_range(f->consents[c].looked_up, 3, 4);
        assert_true(f->consents[c].look_up_gap_us >= PERIOD * US_PER_MS);
        assert_true(f->consents[c].is_held);
    }
    /* No attempt, no job, no quota: a look-up is not an initiation. */
    assert_int_equal(f->attempt_count, 0);
    assert_int_equal(f->job_max, 0);
    fixture_destroy(f);
}

static void test_never_a_burst(void **state)
{
    struct fixture *f = begin(60, 60);

    (void)state;
    f->providers[0].recheck_ms = 100; /* far more than four at once can do */
    fixture_start(f, 1);
    fixture_advance(f, MS_PER_MINUTE);
    assert_int_equal(f->requests_out, 4);
    assert_int_equal(f->look_ups, 4);
    fixture_destroy(f);
}

static void test_off_asks_nobody(void **state)
{
    struct fixture *f = begin(3, 3);

    (void)state;
    f->providers[0].recheck_ms = 0;
    fixture_start(f, 1);
    fixture_advance(f, 30 * PERIOD);
    assert_int_equal(f->look_ups, 0);
    f->providers[0].recheck_ms = PERIOD;
    f->providers[0].can_look_up = false;
    fixture_reload(f);
    fixture_advance(f, 30 * PERIOD);
    assert_int_equal(f->look_ups, 0);
    fixture_destroy(f);
}

/* Everything that is no business of a look-up; the last one is asked about. */
static void test_who_is_left_alone(void **state)
{
    struct fixture *f = begin(9, 9);

    (void)state;
    f->consents[1].is_held = false;
    f->consents[2].settings.mode = MODE_OFF;
    f->consents[3].settings.mode = MODE_LISTEN;
    f->consents[4].is_there = false;
    f->consents[5].settings.expires = fixture_now(f).utc;
    f->consents[6].learned_expires = fixture_now(f).utc;
    f->consents[7].paused_until = UTC_NEVER;
    f->consents[8].settings.institution = 2;
    f->paused_institution[2] = UTC_NEVER;
    fixture_start(f, 1);
    (void)still_revoked(f, 3 * PERIOD);
    for (uint32_t c = 1; c <= 8; c++)
        assert_int_equal(f->consents[c].looked_up, 0);
    assert_in_range(f->consents[9].looked_up, 2, 3);
    fixture_destroy(f);
}

/* A hold that begins anywhere is found within a period. */
static void test_new_holds_are_found(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= 20; c++) {
        struct fixture *f = begin(20, 0);
        struct answer answer = fixture_answer(CLASS_RECONNECT_REQUIRED);

        fixture_start(f, 1);
        fixture_advance(f, NIGHT);
        fixture_deliver(f, fixture_request_of(f, c), &answer);
        assert_true(f->consents[c].is_held);
        (void)still_revoked(f, PERIOD);
        assert_int_equal(f->consents[c].looked_up, 1);
        assert_int_equal(f->look_ups, 1);
        fixture_destroy(f);
    }
}

/* ---- what a look-up says ---- */

static void test_active_releases(void **state)
{
    struct fixture *f = begin(1, 1);
    struct answer answer = verdict(LOOK_UP_ACTIVE);

    (void)state;
    fixture_start(f, 1);
    assert_int_equal(answer_all(f, PERIOD, &answer), 1);
    assert_false(f->consents[1].is_held);
    assert_int_equal(f->consents[1].hold_source, HOLD_BY_LOOK_UP);
    fixture_advance(f, 24 * MS_PER_HOUR);
    assert_int_equal(fixture_request_of(f, 1)->kind, REQUEST_INITIATE);
    assert_int_equal(f->look_ups, 1);
    fixture_destroy(f);
}

static void test_verdicts(void **state)
{
    static const struct {
        enum look_up_verdict verdict;
        bool was_suspended;
        bool is_held;
        bool is_suspended;
    } rows[] = {
        {LOOK_UP_ACTIVE, true, false, false},   {LOOK_UP_RECONNECT, false, true, false},
        {LOOK_UP_RECONNECT, true, true, false}, {LOOK_UP_SUSPENDED, false, true, true},
        {LOOK_UP_SUSPENDED, true, true, true},  {LOOK_UP_NOT_READY, false, true, false},
        {LOOK_UP_NONE, true, true, true},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(1, 1);
        struct answer answer = verdict(rows[i].verdict);

        f->consents[1].is_suspended = rows[i].was_suspended;
        fixture_start(f, 1);
        assert_int_equal(answer_all(f, PERIOD, &answer), 1);
        assert_int_equal(f->consents[1].is_held, rows[i].is_held);
        assert_int_equal(f->consents[1].is_suspended, rows[i].is_suspended);
        fixture_destroy(f);
    }
}

/* What was decided while the question was out is newer than its answer. */
static void test_old_answers_change_nothing(void **state)
{
    struct fixture *f = begin(2, 1);
    struct answer answer = fixture_answer(CLASS_RECONNECT_REQUIRED);

    (void)state;
    fixture_start(f, 1);
    fixture_advance(f, PERIOD / 2); /* consent 1 stands at half of the round */
    person_releases(f, 1);
    say(f, 1, LOOK_UP_RECONNECT);
    assert_false(f->consents[1].is_held);
    fixture_advance(f, NIGHT - PERIOD / 2);
    news(f, 2, LOOK_UP_ACTIVE, UTC_NONE, false);
    assert_int_equal(f->look_ups, 2);
    for (uint32_t i = 0; i < FIXTURE_REQUESTS; i++) { /* its job says "reconnect" */
        if (f->requests[i].is_out && f->requests[i].consent == 2 &&
            f->requests[i].kind == REQUEST_INITIATE)
            fixture_deliver(f, &f->requests[i], &answer);
    }
    assert_true(f->consents[2].is_held);
    say(f, 2, LOOK_UP_ACTIVE);
    assert_true(f->consents[2].is_held);
    fixture_destroy(f);
}

static void test_failed_look_ups(void **state)
{
    static const struct {
        enum answer_class class_;
        uint32_t times;
    } rows[] = {{CLASS_TRANSPORT, 3},
                {CLASS_RETRY_LATER, 3},
                {CLASS_BAD_ANSWER, 3},
                {CLASS_CONFIG_ERROR, 1},
                {CLASS_REJECTED, 1}};

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(1, 1);
        struct answer answer = fixture_answer(rows[i].class_);

        fixture_start(f, 1);
        assert_int_equal(answer_all(f, PERIOD + PERIOD / 2, &answer), rows[i].times);
        assert_true(f->consents[1].is_held);
        fixture_destroy(f);
    }
}

/* ---- limits ---- */

static void pause_provider(struct fixture *f, enum event_kind kind)
{
    struct event event = {.kind = kind, .as.pause = {SCOPE_PROVIDER, 0, UTC_NEVER}};

    fixture_event(f, &event);
}

static void test_only_while_nothing_blocks(void **state)
{
    struct fixture *f = begin(2, 1);
    struct answer answer = fixture_answer(CLASS_PUSHBACK);
    struct event drain = {.kind = EVENT_DRAIN};

    (void)state;
    f->providers[0].pushback_first_ms = f->providers[0].pushback_max_ms = PERIOD;
    f->providers[0].recheck_ms = PERIOD / 4;
    fixture_start(f, 1);
    pause_provider(f, EVENT_PAUSE);
    fixture_advance(f, 2 * PERIOD);
    assert_int_equal(f->look_ups, 0);
    pause_provider(f, EVENT_RESUME);
    assert_int_equal(f->look_ups, 1);
    fixture_deliver(f, fixture_request_of(f, 1), &answer); /* 429: not before an hour */
    fixture_advance(f, PERIOD - 1);
    assert_int_equal(f->look_ups, 1);
    fixture_advance(f, 1);
    assert_int_equal(f->look_ups, 2);
    say(f, 1, LOOK_UP_RECONNECT);
    f->is_draining = true;
    fixture_event(f, &drain);
    fixture_advance(f, 2 * PERIOD);
    assert_int_equal(f->look_ups, 2);
    fixture_destroy(f);
}

/* What a look-up was told (429: not before an hour) holds over a restart. */
static void test_a_pause_outlives_a_restart(void **state)
{
    struct fixture *f = begin(2, 1);
    struct answer answer = fixture_answer(CLASS_PUSHBACK);

    (void)state;
    f->providers[0].pushback_first_ms = f->providers[0].pushback_max_ms = 2 * PERIOD;
    f->providers[0].recheck_ms = PERIOD / 4;
    answer.retry_after_ms = PERIOD;
    fixture_start(f, 1);
    while (fixture_request_of(f, 1) == NULL)
        fixture_advance(f, MS_PER_SECOND);
    fixture_deliver(f, fixture_request_of(f, 1), &answer);
    fixture_start(f, 1);
    fixture_advance(f, PERIOD - MS_PER_SECOND);
    assert_int_equal(f->look_ups, 1);
    fixture_advance(f, PERIOD);
    assert_true(f->look_ups > 1);
    fixture_destroy(f);
}

/* What is due goes first: one request a minute is all there is, and the night takes it. */
static void test_work_goes_first(void **state)
{
    struct fixture *f = begin(20, 10);
    struct answer answer = fixture_answer(CLASS_SUCCESS);

    (void)state;
    f->providers[0].limits.rates[0] = (struct rate){1, MS_PER_MINUTE};
    f->providers[0].limits.rate_count = 1;
    f->providers[0].recheck_ms = MS_PER_MINUTE;
    fixture_start(f, 1);
    (void)still_revoked(f, NIGHT - MS_PER_SECOND);
    assert_true(f->look_ups > 50);
    f->look_ups = 0;
    for (int i = 0; i < 650; i++) {
        fixture_advance(f, MS_PER_SECOND);
        for (uint32_t c = 1; c <= 20; c++)
            if (fixture_request_of(f, c) != NULL) {
                answer.look_up = fixture_request_of(f, c)->kind == REQUEST_LOOK_UP
                                     ? LOOK_UP_RECONNECT
                                     : LOOK_UP_NONE;
                fixture_deliver(f, fixture_request_of(f, c), &answer);
            }
    }
    assert_int_equal(f->job_max, 10);
    assert_in_range(f->look_ups, 0, 1);
    fixture_destroy(f);
}

static void test_credentials(void **state)
{
    struct fixture *f = begin(1, 1);
    struct answer answer = fixture_answer(CLASS_CREDENTIALS);

    (void)state;
    f->providers[0].needs_token = true;
    fixture_start(f, 1);
    fixture_advance(f, PERIOD);
    assert_int_equal(f->look_ups, 0);
    fixture_deliver_token(f, fixture_token_request(f, 0), true, 24 * MS_PER_HOUR);
    assert_int_equal(f->look_ups, 1);
    fixture_deliver(f, fixture_request_of(f, 1), &answer); /* the token is bad: a new one */
    fixture_advance(f, 2 * MS_PER_MINUTE);
    fixture_deliver_token(f, fixture_token_request(f, 0), true, 24 * MS_PER_HOUR);
    fixture_advance(f, MS_PER_MINUTE);
    say(f, 1, LOOK_UP_ACTIVE);
    assert_false(f->consents[1].is_held);
    fixture_destroy(f);
}

/* ---- restarts ---- */

static void test_restart_asks_nobody_again(void **state)
{
    struct fixture *f = begin(40, 40);

    (void)state;
    fixture_start(f, 1);
    (void)still_revoked(f, PERIOD);
    f->look_ups = 0;
    for (int i = 0; i < 50; i++)
        fixture_start(f, (uint64_t)i);
    fixture_advance(f, PERIOD / 40);
    assert_in_range(f->look_ups, 0, 2);
    fixture_destroy(f);
}

/* Restarted all the time, the round still comes round, and nobody is asked too soon. */
static void test_restarts_do_not_stop_the_round(void **state)
{
    struct fixture *f = begin(7, 3);

    (void)state;
    fixture_start(f, 1);
    for (int i = 0; i < 120; i++) {
        (void)still_revoked(f, PERIOD / 12);
        f->true_us += MS_PER_SECOND * US_PER_MS; /* down */
        fixture_start(f, (uint64_t)i);
    }
    for (uint32_t c = 1; c <= 3; c++) {
        assert_in_range(f->consents[c].looked_up, 8, 11);
        assert_true(f->consents[c].look_up_gap_us >= PERIOD * US_PER_MS);
    }
    fixture_destroy(f);
}

/* `once` is there now and then only: what came round meanwhile is asked for, few at a time. */
static void test_once_makes_up(void **state)
{
    struct fixture *f = begin(40, 40);

    (void)state;
    fixture_start(f, 1);
    (void)still_revoked(f, PERIOD);
    f->look_ups = 0;
    f->true_us += PERIOD / 2 * US_PER_MS;
    f->is_once = true;
    fixture_start(f, 2);
    assert_true(still_revoked(f, 2 * MS_PER_MINUTE) >= 15);
    assert_in_range(f->look_ups, 15, 25);
    fixture_destroy(f);
}

/* ---- webhooks ---- */

static void test_unverified_only_prompts(void **state)
{
    struct fixture *f = begin(2, 1);

    (void)state;
    f->providers[0].recheck_ms = 0; /* prompts need no round */
    fixture_start(f, 1);
    news(f, 1, LOOK_UP_ACTIVE, UTC_NONE, false);
    news(f, 2, LOOK_UP_RECONNECT, fixture_now(f).utc, false);
    assert_true(f->consents[1].is_held);
    assert_false(f->consents[2].is_held);
    assert_true(f->consents[2].learned_expires.ms == UTC_NEVER.ms);
    say(f, 1, LOOK_UP_ACTIVE);
    say(f, 2, LOOK_UP_RECONNECT);
    assert_false(f->consents[1].is_held);
    assert_true(f->consents[2].is_held);
    assert_int_equal(f->consents[2].hold_source, HOLD_BY_LOOK_UP);
    fixture_destroy(f);
}

static void test_prompts_are_limited(void **state)
{
    struct fixture *f = begin(64, 0);

    (void)state;
    fixture_start(f, 1);
    for (int i = 0; i < 1000; i++)
        news(f, 1, LOOK_UP_ACTIVE, UTC_NONE, false);
    assert_int_equal(f->look_ups, 1);
    say(f, 1, LOOK_UP_ACTIVE);
    for (int i = 0; i < 1000; i++)
        news(f, 1, LOOK_UP_ACTIVE, UTC_NONE, false);
    fixture_advance(f, 10 * MS_PER_MINUTE - 1);
    assert_int_equal(f->look_ups, 1);
    fixture_advance(f, 1);
    assert_int_equal(f->look_ups, 2); /* the news that came meanwhile */
    fixture_destroy(f);
}

static void test_verified_is_believed(void **state)
{
    struct fixture *f = begin(2, 1);

    (void)state;
    fixture_start(f, 1);
    news(f, 1, LOOK_UP_ACTIVE, UTC_NONE, true);
    news(f, 2, LOOK_UP_RECONNECT, UTC_NONE, true);
    assert_false(f->consents[1].is_held);
    assert_true(f->consents[2].is_held);
    assert_int_equal(f->consents[1].hold_source, HOLD_BY_WEBHOOK);
    assert_int_equal(f->consents[2].hold_source, HOLD_BY_WEBHOOK);
    assert_int_equal(f->look_ups, 0);
    fixture_advance(f, NIGHT);
    assert_non_null(fixture_request_of(f, 1));
    assert_int_equal(fixture_last_run(f)->skip_reasons[2], REASON_HELD);
    fixture_destroy(f);
}

static void test_news_about_nobody(void **state)
{
    struct fixture *f = begin(2, 2);

    (void)state;
    f->consents[2].is_there = false;
    fixture_start(f, 1);
    for (int verified = 0; verified < 2; verified++) {
        news(f, 0, LOOK_UP_ACTIVE, UTC_NONE, verified);
        news(f, 2, LOOK_UP_ACTIVE, UTC_NONE, verified);
        news(f, 3, LOOK_UP_ACTIVE, UTC_NONE, verified);
        news(f, UINT32_MAX, LOOK_UP_ACTIVE, UTC_NONE, verified);
    }
    assert_int_equal(f->look_ups, 0);
    assert_true(f->consents[2].is_held);
    fixture_destroy(f);
}

/* ---- ends ---- */

/* The provider's end: `row` and `learned` days before, `told` days now; `end` is what counts. */
static void test_learned_ends(void **state)
{
    static const struct {
        int row;
        int learned;
        int told;
        enum look_up_verdict verdict;
        int end;
    } rows[] = {
        {0, 0, 5, LOOK_UP_ACTIVE, 5},     /* learned */
        {0, 0, 5, LOOK_UP_RECONNECT, 5},  /* a sooner one always counts */
        {0, 5, 3, LOOK_UP_SUSPENDED, 3},  /* likewise */
        {0, 5, 90, LOOK_UP_ACTIVE, 90},   /* renewed */
        {0, 5, 90, LOOK_UP_RECONNECT, 5}, /* not while it says that it is dead */
        {30, 5, 90, LOOK_UP_ACTIVE, 30},  /* the row is a stop of our own */
        {30, 0, 90, LOOK_UP_ACTIVE, 30},  /* likewise */
        {30, 0, 10, LOOK_UP_ACTIVE, 10},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(1, 1);
        struct answer answer = verdict(rows[i].verdict);
        struct utc_time start = fixture_now(f).utc;
        struct event trigger = {.kind = EVENT_TRIGGER, .as.trigger = {1, false}};

        if (rows[i].row > 0)
            f->consents[1].settings.expires = utc_add_ms(start, rows[i].row * MS_PER_DAY);
        if (rows[i].learned > 0)
            f->consents[1].learned_expires = utc_add_ms(start, rows[i].learned * MS_PER_DAY);
        f->schedules[0].deadline.duration_ms = MS_PER_MINUTE;
        fixture_start(f, 1);
        answer.expires = utc_add_ms(start, rows[i].told * MS_PER_DAY);
        assert_int_equal(answer_all(f, PERIOD, &answer), 1);
        person_releases(f, 1);
        fixture_advance(f, rows[i].end * MS_PER_DAY - PERIOD - 1);
        for (uint32_t k = 0; k < FIXTURE_REQUESTS; k++)
            if (f->requests[k].is_out) {
                struct answer done = fixture_answer(CLASS_REJECTED);

                fixture_deliver(f, &f->requests[k], &done);
            }
        fixture_event(f, &trigger);
        assert_non_null(fixture_request_of(f, 1)); /* one millisecond before its end */
        answer = fixture_answer(CLASS_REJECTED);
        fixture_deliver(f, fixture_request_of(f, 1), &answer);
        fixture_advance(f, 1);
        fixture_event(f, &trigger);
        assert_null(fixture_request_of(f, 1));
        fixture_destroy(f);
    }
}

/* Fresh data with a later end is a renewal, too; a poll that runs on is not. */
static void test_data_renews(void **state)
{
    struct fixture *f = begin(1, 0);
    struct answer answer = fixture_answer(CLASS_ACCEPTED);

    (void)state;
    f->consents[1].learned_expires = utc_add_ms(fixture_now(f).utc, 5 * MS_PER_HOUR);
    fixture_start(f, 1);
    fixture_advance(f, NIGHT);
    answer.reference_hash = 1;
    answer.expires = utc_add_ms(fixture_now(f).utc, 90 * MS_PER_DAY);
    fixture_deliver(f, fixture_request_of(f, 1), &answer);
    assert_true(f->consents[1].learned_expires.ms < answer.expires.ms);
    fixture_advance(f, MS_PER_MINUTE);
    answer.class_ = CLASS_SUCCESS;
    fixture_deliver(f, fixture_request_of(f, 1), &answer);
    assert_true(f->consents[1].learned_expires.ms == answer.expires.ms);
    fixture_destroy(f);
}

static void test_margin(void **state)
{
    struct fixture *f = begin(3, 0);
    struct utc_time slot = utc_add_ms(fixture_now(f).utc, NIGHT);

    (void)state;
    f->providers[0].expiry_margin_ms = 3 * MS_PER_MINUTE;
    f->consents[1].settings.expires = utc_add_ms(slot, 3 * MS_PER_MINUTE);
    f->consents[2].settings.expires = utc_add_ms(slot, 3 * MS_PER_MINUTE + MS_PER_SECOND);
    f->consents[3].learned_expires = utc_add_ms(slot, MS_PER_MINUTE);
    fixture_start(f, 1);
    fixture_advance(f, NIGHT);
    assert_int_equal(fixture_last_run(f)->skip_reasons[1], REASON_EXPIRED);
    assert_non_null(fixture_request_of(f, 2));
    assert_int_equal(fixture_last_run(f)->skip_reasons[3], REASON_EXPIRED);
    fixture_destroy(f);
}

/* ---- the same again ---- */

static uint64_t one_life(void)
{
    struct fixture *f = begin(30, 17);
    uint64_t trace;

    fixture_start(f, 7);
    (void)still_revoked(f, PERIOD);
    news(f, 20, LOOK_UP_RECONNECT, UTC_NONE, false);
    (void)still_revoked(f, PERIOD / 2);
    fixture_start(f, 8);
    (void)still_revoked(f, PERIOD);
    trace = f->trace;
    fixture_destroy(f);
    return trace;
}

static void test_deterministic(void **state)
{
    (void)state;
    assert_true(one_life() == one_life());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once_in_the_period),
        cmocka_unit_test(test_never_a_burst),
        cmocka_unit_test(test_off_asks_nobody),
        cmocka_unit_test(test_who_is_left_alone),
        cmocka_unit_test(test_new_holds_are_found),
        cmocka_unit_test(test_active_releases),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_old_answers_change_nothing),
        cmocka_unit_test(test_failed_look_ups),
        cmocka_unit_test(test_only_while_nothing_blocks),
        cmocka_unit_test(test_a_pause_outlives_a_restart),
        cmocka_unit_test(test_work_goes_first),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_restart_asks_nobody_again),
        cmocka_unit_test(test_restarts_do_not_stop_the_round),
        cmocka_unit_test(test_once_makes_up),
        cmocka_unit_test(test_unverified_only_prompts),
        cmocka_unit_test(test_prompts_are_limited),
        cmocka_unit_test(test_verified_is_believed),
        cmocka_unit_test(test_news_about_nobody),
        cmocka_unit_test(test_learned_ends),
        cmocka_unit_test(test_data_renews),
        cmocka_unit_test(test_margin),
        cmocka_unit_test(test_deterministic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
