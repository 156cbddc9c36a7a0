/* SPDX-License-Identifier: MIT
 * test_scheduler.c - design section 4, paragraph by paragraph: the core driven step by step with a
 * virtual clock and scripted answers. Every batch is judged by scheduler_fixture.c as well. */
#include <string.h>

#include "tests/unit/scheduler_fixture.h"
#include "tests/unit/unit_test.h"

#define ONE_AM MS_PER_HOUR /* from the fixture's start; the nightly slot */

/* ---- helpers ---- */

static struct fixture *begin(uint32_t consents)
{
    return fixture_create(consents);
}

/* Start the core and let the night's slot come. */
static void go(struct fixture *f)
{
    fixture_start(f, 1);
    fixture_advance(f, ONE_AM);
}

static struct fixture_request *out(struct fixture *f, uint32_t consent)
{
    struct fixture_request *request = fixture_request_of(f, consent);

    assert_non_null(request);
    return request;
}

static void reply(struct fixture *f, uint32_t consent, enum answer_class class_)
{
    struct answer answer = fixture_answer(class_);

    fixture_deliver(f, out(f, consent), &answer);
}

static void reply_failed(struct fixture *f, uint32_t consent, enum answer_class class_,
                         enum reason reason)
{
    struct answer answer = fixture_answer(class_);

    answer.reason = reason;
    answer.is_about_job = class_ == CLASS_RETRY_LATER && reason != REASON_PROVIDER_ERROR &&
                          reason != REASON_MAINTENANCE;
    fixture_deliver(f, out(f, consent), &answer);
}

static void accept(struct fixture *f, uint32_t consent, uint64_t reference)
{
    struct answer answer = fixture_answer(CLASS_ACCEPTED);

    answer.reference_hash = reference;
    fixture_deliver(f, out(f, consent), &answer);
}

/* Wait for the next request of a consent, at most `ms`. Answers how long it took. */
static int64_t wait_for(struct fixture *f, uint32_t consent, int64_t ms)
{
    int64_t start_us = f->true_us;

    while (fixture_request_of(f, consent) == NULL) {
        assert_true(fixture_wake_us(f) - start_us <= ms * US_PER_MS);
        if (fixture_wake_us(f) > f->true_us)
            f->true_us = fixture_wake_us(f);
        fixture_time(f);
    }
    return (f->true_us - start_us) / US_PER_MS;
}

/* Accept and poll to success. */
static void refresh(struct fixture *f, uint32_t consent, uint64_t reference)
{
    accept(f, consent, reference);
    (void)wait_for(f, consent, MS_PER_MINUTE);
    reply(f, consent, CLASS_SUCCESS);
}

static void assert_closed(struct fixture *f, uint32_t consent, enum outcome outcome,
                          enum reason reason)
{
    const struct fixture_job *job = fixture_job_of(f, consent);

    assert_non_null(job);
    assert_false(job->is_open);
    assert_int_equal(job->outcome, outcome);
    assert_int_equal(job->reason, reason);
}

static void assert_skipped(struct fixture *f, uint32_t consent, enum reason reason)
{
    const struct fixture_run *run = fixture_last_run(f);

    assert_int_equal(run->slots[consent], OUTCOME_SKIPPED);
    assert_int_equal(run->skip_reasons[consent], reason);
}

static void assert_waits(struct fixture *f, uint32_t consent)
{
    assert_null(fixture_request_of(f, consent));
    assert_true(fixture_open_runs(f) > 0);
}

static void pause_scope(struct fixture *f, enum event_kind kind, enum scope_kind scope,
                        uint32_t index, struct utc_time until)
{
    struct event event = {.kind = kind, .as.pause = {scope, index, until}};

    fixture_event(f, &event);
}

static void trigger(struct fixture *f, uint32_t consent, bool force)
{
    struct event event = {.kind = EVENT_TRIGGER, .as.trigger = {consent, force}};

    f->consents[consent].is_forced = force;
    fixture_event(f, &event);
}

static uint32_t count_out(const struct fixture *f)
{
    return f->requests_out;
}

/* ---- calendar, spread, deadline ---- */

static void test_fires_once_on_time(void **state)
{
    struct fixture *f = begin(3);

    (void)state;
    fixture_start(f, 1);
    assert_int_equal(f->run_count, 0); /* a schedule first seen has nothing to catch up */
    assert_true(f->accounted[0].ms == fixture_now(f).utc.ms);
    fixture_advance(f, ONE_AM - 1);
    assert_int_equal(f->run_count, 0);
    fixture_advance(f, 1);
    assert_int_equal(f->run_count, 1);
    assert_int_equal(f->runs[0].trigger, TRIGGER_SCHEDULE);
    assert_int_equal(count_out(f), 3);
    for (uint32_t c = 1; c <= 3; c++)
        refresh(f, c, c);
    assert_int_equal(fixture_open_runs(f), 0);
    assert_int_equal(f->runs[0].counts[OUTCOME_REFRESHED], 3);
    assert_false(f->runs[0].late);
    fixture_advance(f, 24 * MS_PER_HOUR);
    assert_int_equal(f->run_count, 2);
    fixture_destroy(f);
}

static void test_empty_run_closes(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->consents[1].settings.mode = MODE_OFF; /* in no population */
    go(f);
    assert_int_equal(f->run_count, 1);
    assert_int_equal(f->runs[0].due, 0);
    assert_int_equal(fixture_open_runs(f), 0);
    fixture_destroy(f);
}

/* Each consent has its own place in the spread, and a restart moves nobody. */
static void test_spread_is_stable(void **state)
{
    struct fixture *f = begin(20);
    int64_t offsets_ms[21];

    (void)state;
    f->schedules[0].spread_ms = 2 * MS_PER_HOUR;
    go(f);
    for (int i = 0; i < 2; i++) {
        uint32_t distinct = 0;

        for (uint32_t c = 1; c <= 20; c++) {
            const struct fixture_job *job;

            while (fixture_job_of(f, c) == NULL || fixture_job_of(f, c)->run != f->run_max) {
                f->true_us = fixture_wake_us(f) > f->true_us ? fixture_wake_us(f) : f->true_us;
                fixture_time(f);
                for (uint32_t d = 1; d <= 20; d++)
                    if (fixture_request_of(f, d) != NULL)
                        reply(f, d, CLASS_SUCCESS);
            }
            job = fixture_job_of(f, c);
            if (i == 0)
                offsets_ms[c] = job->due.ms - f->runs[0].slot.ms;
            assert_true(job->due.ms - fixture_last_run(f)->slot.ms == offsets_ms[c]);
            assert_in_range(offsets_ms[c], 0, 2 * MS_PER_HOUR - 1);
            for (uint32_t d = 1; d < c; d++)
                distinct += offsets_ms[d] != offsets_ms[c];
        }
        assert_true(distinct > 150); /* of 190 pairs */
        fixture_start(f, 2);
        fixture_advance(f, 22 * MS_PER_HOUR);
    }
    fixture_destroy(f);
}

static void test_spread_ends_before_the_deadline(void **state)
{
    static const struct {
        int64_t spread_ms;
        int64_t deadline_ms;
        int64_t expected_ms;
    } rows[] = {
        {9 * MS_PER_HOUR, 4 * MS_PER_HOUR, 228 * MS_PER_MINUTE},
        {4 * MS_PER_HOUR, 4 * MS_PER_HOUR, 228 * MS_PER_MINUTE},
        {3 * MS_PER_HOUR, 4 * MS_PER_HOUR, 3 * MS_PER_HOUR},
        {9 * MS_PER_HOUR, 20 * MS_PER_MINUTE, 18 * MS_PER_MINUTE}, /* at least two minutes, */
        {9 * MS_PER_HOUR, 4 * MS_PER_MINUTE, 3 * MS_PER_MINUTE},   /* at most a quarter */
        {0, 4 * MS_PER_MINUTE, 0},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(2);

        f->schedules[0].spread_ms = rows[i].spread_ms;
        f->schedules[0].deadline.kind = DEADLINE_DURATION;
        f->schedules[0].deadline.duration_ms = rows[i].deadline_ms;
        go(f);
        assert_int_equal(f->runs[0].spread_ms, rows[i].expected_ms);
        fixture_destroy(f);
    }
}

/* At the deadline nothing new starts, open jobs are followed, and the run is late. */
static void test_deadline(void **state)
{
    struct fixture *f = begin(2);

    (void)state;
    f->institutions[1].limits.requests_in_flight_max = 1;
    f->institutions[1].limits.jobs_running_max = 1;
    f->providers[0].completion.give_up_after_ms = 10 * MS_PER_HOUR;
    go(f);
    assert_int_equal(count_out(f), 1);
    accept(f, fixture_request_of(f, 1) != NULL ? 1 : 2, 7);
    for (int i = 0; i < 200 && f->true_us / US_PER_MS < ONE_AM + 5 * MS_PER_HOUR; i++) {
        fixture_advance(f, 3 * MS_PER_MINUTE);
        for (uint32_t c = 1; c <= 2; c++)
            if (fixture_request_of(f, c) != NULL)
                reply(f, c, CLASS_RUNNING);
    }
    assert_int_equal(f->runs[0].counts[OUTCOME_SKIPPED], 1);
    assert_true(f->runs[0].skip_reasons[1] == REASON_DEADLINE ||
                f->runs[0].skip_reasons[2] == REASON_DEADLINE);
    assert_int_equal(fixture_open_runs(f), 1);
    for (uint32_t c = 1; c <= 2; c++)
        if (f->consents[c].live_job != 0) {
            (void)wait_for(f, c, 10 * MS_PER_MINUTE);
            reply(f, c, CLASS_SUCCESS);
        }
    assert_int_equal(fixture_open_runs(f), 0);
    assert_true(f->runs[0].late);
    assert_int_equal(f->runs[0].counts[OUTCOME_REFRESHED], 1);
    fixture_destroy(f);
}

/* ---- limits ---- */

/* Timed at the hand-over: a permit that is not handed over blocks, one given back does not. */
static void test_rate_counts_from_hand_over(void **state)
{
    struct fixture *f = begin(3);
    struct answer lost = fixture_answer(CLASS_TRANSPORT);
    uint32_t first = 0;

    (void)state;
    f->providers[0].limits.rates[0] = (struct rate){1, 1000};
    f->providers[0].limits.rate_count = 1;
    go(f);
    assert_int_equal(count_out(f), 1);
    for (uint32_t c = 1; c <= 3; c++)
        first = fixture_request_of(f, c) != NULL ? c : first;
    fixture_advance(f, 30 * MS_PER_SECOND); /* a slow connect */
    assert_int_equal(count_out(f), 1);
    fixture_send(f, out(f, first));
    fixture_advance(f, 999);
    assert_int_equal(count_out(f), 1);
    fixture_advance(f, 1);
    assert_int_equal(count_out(f), 2);
    for (uint32_t c = 1; c <= 3; c++)
        if (c != first && fixture_request_of(f, c) != NULL) {
            lost.reached_socket = false;
            fixture_deliver(f, out(f, c), &lost); /* never left: its permit comes back at once */
            break;
        }
    assert_int_equal(count_out(f), 2);
    fixture_destroy(f);
}

static void test_institution_rate_leaves_others_alone(void **state)
{
    struct fixture *f = begin(4);

    (void)state;
    f->institutions[1].limits.rates[0] = (struct rate){1, MS_PER_HOUR};
    f->institutions[1].limits.rate_count = 1;
    f->consents[3].settings.institution = 2;
    f->consents[4].settings.institution = 2;
    go(f);
    assert_int_equal(count_out(f), 3); /* one of A, both of B */
    assert_non_null(fixture_request_of(f, 3));
    assert_non_null(fixture_request_of(f, 4));
    fixture_destroy(f);
}

static void test_waiting_is_not_failing(void **state)
{
    struct fixture *f = begin(4);

    (void)state;
    f->providers[0].limits.rates[0] = (struct rate){1, MS_PER_MINUTE};
    f->providers[0].limits.rate_count = 1;
    go(f);
    for (int i = 0; i < 4; i++) {
        for (uint32_t c = 1; c <= 4; c++)
            if (fixture_request_of(f, c) != NULL)
                reply(f, c, CLASS_SUCCESS);
        fixture_advance(f, MS_PER_MINUTE);
    }
    assert_int_equal(f->runs[0].counts[OUTCOME_REFRESHED], 4);
    for (uint32_t c = 1; c <= 4; c++)
        assert_int_equal(fixture_job_of(f, c)->attempts, 1);
    fixture_destroy(f);
}

/* Polls and initiations share a provider's rate by turns. */
static void test_polls_and_initiations_alternate(void **state)
{
    struct fixture *f = begin(10);
    uint32_t polls = 0;
    uint32_t initiations = 0;

    (void)state;
    f->providers[0].limits.rates[0] = (struct rate){1, 10 * MS_PER_SECOND};
    f->providers[0].limits.rate_count = 1;
    go(f);
    for (int i = 0; i < 16; i++) {
        for (uint32_t c = 1; c <= 10; c++) {
            const struct fixture_request *request = fixture_request_of(f, c);

            if (request == NULL)
                continue;
            polls += request->kind == REQUEST_POLL;
            initiations += request->kind == REQUEST_INITIATE;
            if (request->kind == REQUEST_POLL)
                reply(f, c, CLASS_RUNNING);
            else
                accept(f, c, c);
        }
        fixture_advance(f, 10 * MS_PER_SECOND);
    }
    assert_in_range(polls, 6, 9);
    assert_in_range(initiations, 7, 10);
    fixture_destroy(f);
}

static void test_priority_goes_first(void **state)
{
    struct fixture *f = begin(6);

    (void)state;
    f->institutions[1].limits.jobs_running_max = 1;
    f->consents[4].settings.priority = 9;
    go(f);
    /* Whoever took the one place: the next is the one with the priority. */
    if (fixture_request_of(f, 4) == NULL) {
        for (uint32_t c = 1; c <= 6; c++)
            if (fixture_request_of(f, c) != NULL)
                reply(f, c, CLASS_SUCCESS);
        assert_non_null(fixture_request_of(f, 4));
    }
    fixture_destroy(f);
}

static void test_institutions_take_turns(void **state)
{
    struct fixture *f = begin(12);
    uint32_t of_b = 0;

    (void)state;
    f->providers[0].limits.jobs_running_max = 4;
    for (uint32_t c = 11; c <= 12; c++)
        f->consents[c].settings.institution = 2; /* two of B among ten of A */
    go(f);
    for (uint32_t c = 11; c <= 12; c++)
        of_b += fixture_request_of(f, c) != NULL;
    assert_int_equal(count_out(f), 4);
    assert_int_equal(of_b, 2);
    fixture_destroy(f);
}

static void test_blackout(void **state)
{
    static const struct time_range night = {
        .zone = &zone_utc, .weekdays = 127, .start_s = 3600, .end_s = 7200};
    struct fixture *f = begin(1);

    (void)state;
    f->institutions[1].limits.hours.blackouts = &night;
    f->institutions[1].limits.hours.blackout_count = 1;
    go(f);
    assert_waits(f, 1);
    fixture_advance(f, MS_PER_HOUR - 1);
    assert_waits(f, 1);
    fixture_advance(f, 1);
    assert_non_null(fixture_request_of(f, 1));
    fixture_destroy(f);
}

static void test_window_never_opens_in_time(void **state)
{
    static const struct time_range noon = {
        .zone = &zone_utc, .weekdays = 127, .start_s = 43200, .end_s = 46800};
    struct fixture *f = begin(1);

    (void)state;
    f->providers[0].limits.hours.windows = &noon;
    f->providers[0].limits.hours.window_count = 1;
    go(f);
    fixture_advance(f, 4 * MS_PER_HOUR);
    assert_skipped(f, 1, REASON_WINDOW);
    fixture_destroy(f);
}

/* ---- quota and cooldown ---- */

static void test_quota(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->providers[0].quota = (struct quota_settings){1, 30 * MS_PER_HOUR};
    go(f);
    refresh(f, 1, 1);
    fixture_advance(f, 24 * MS_PER_HOUR); /* free again at 07:00, the deadline is 05:00 */
    assert_int_equal(f->run_count, 2);
    assert_skipped(f, 1, REASON_QUOTA);
    fixture_advance(f, 24 * MS_PER_HOUR);
    assert_non_null(fixture_request_of(f, 1));
    fixture_destroy(f);
}

static void test_refused_is_not_charged(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->providers[0].quota = (struct quota_settings){1, 48 * MS_PER_HOUR};
    go(f);
    reply(f, 1, CLASS_REJECTED);
    assert_closed(f, 1, OUTCOME_FAILED, REASON_REJECTED);
    fixture_advance(f, 24 * MS_PER_HOUR);
    assert_non_null(fixture_request_of(f, 1));
    fixture_destroy(f);
}

static void test_cooldown_by_outcome(void **state)
{
    static const struct {
        enum answer_class class_;
        int64_t wait_ms;
    } rows[] = {
        {CLASS_SUCCESS, 25 * MS_PER_HOUR},
        {CLASS_CONFIG_ERROR, 24 * MS_PER_HOUR + 30 * MS_PER_MINUTE},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(1);

        f->providers[0].cooldown = (struct cooldown_settings){
            26 * MS_PER_HOUR, 25 * MS_PER_HOUR, 24 * MS_PER_HOUR + 30 * MS_PER_MINUTE};
        go(f);
        accept(f, 1, 1);
        (void)wait_for(f, 1, MS_PER_MINUTE);
        reply(f, 1, rows[i].class_);
        f->true_us = (ONE_AM + rows[i].wait_ms - 1) * US_PER_MS;
        fixture_time(f);
        fixture_time(f);
        assert_null(fixture_request_of(f, 1));
        fixture_advance(f, 1);
        assert_non_null(fixture_request_of(f, 1));
        fixture_destroy(f);
    }
}

static void test_cooldown_refused(void **state)
{
    struct fixture *f = begin(2);
    struct answer answer = fixture_answer(CLASS_COOLDOWN);

    (void)state;
    go(f);
    answer.not_before = utc_add_ms(fixture_now(f).utc, 2 * MS_PER_HOUR);
    fixture_deliver(f, out(f, 1), &answer);
    answer.not_before = utc_add_ms(fixture_now(f).utc, 4 * MS_PER_HOUR); /* the deadline itself */
    fixture_deliver(f, out(f, 2), &answer);
    assert_closed(f, 2, OUTCOME_SKIPPED, REASON_COOLDOWN);
    assert_true(wait_for(f, 1, 3 * MS_PER_HOUR) == 2 * MS_PER_HOUR);
    reply(f, 1, CLASS_COOLDOWN); /* no instant named: our own wait, ten minutes, doubling */
    assert_true(wait_for(f, 1, MS_PER_HOUR) == 20 * MS_PER_MINUTE);
    reply(f, 1, CLASS_SUCCESS);
    assert_closed(f, 1, OUTCOME_REFRESHED, REASON_NONE);
    fixture_destroy(f);
}

/* ---- retries ---- */

static void test_attempts_are_total(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    go(f);
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            assert_in_range(wait_for(f, 1, MS_PER_HOUR), 1, MS_PER_MINUTE << (i - 1));
        reply_failed(f, 1, CLASS_RETRY_LATER, REASON_PROVIDER_ERROR);
    }
    assert_closed(f, 1, OUTCOME_FAILED, REASON_PROVIDER_ERROR);
    assert_int_equal(fixture_job_of(f, 1)->attempts, 3);
    fixture_destroy(f);
}

static void test_retry_past_deadline_is_not_awaited(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->providers[0].dedupe_window_ms = 4 * MS_PER_HOUR;
    go(f);
    accept(f, 1, 1);
    (void)wait_for(f, 1, MS_PER_MINUTE);
    reply_failed(f, 1, CLASS_RETRY_LATER, REASON_INSTITUTION_ERROR);
    assert_closed(f, 1, OUTCOME_FAILED, REASON_INSTITUTION_ERROR); /* now, not at the deadline */
    assert_int_equal(fixture_open_runs(f), 0);
    fixture_destroy(f);
}

static void test_retry_waits_for_dedupe_window(void **state)
{
    struct fixture *f = begin(1);
    int64_t waited_ms;

    (void)state;
    f->providers[0].dedupe_window_ms = MS_PER_HOUR;
    go(f);
    accept(f, 1, 1);
    (void)wait_for(f, 1, MS_PER_MINUTE);
    reply_failed(f, 1, CLASS_RETRY_LATER, REASON_JOB_FAILED);
    waited_ms = wait_for(f, 1, 2 * MS_PER_HOUR);
    assert_true(waited_ms >= MS_PER_HOUR);
    refresh(f, 1, 2);
    assert_closed(f, 1, OUTCOME_REFRESHED, REASON_NONE);
    fixture_destroy(f);
}

static void test_pushback_blocks_institution(void **state)
{
    struct fixture *f = begin(3);
    struct answer answer = fixture_answer(CLASS_PUSHBACK);

    (void)state;
    f->institutions[1].limits.jobs_running_max = 1;
    f->consents[3].settings.institution = 2;
    go(f);
    assert_int_equal(count_out(f), 2);
    answer.retry_after_ms = 5 * MS_PER_MINUTE;
    fixture_deliver(f, out(f, fixture_request_of(f, 1) != NULL ? 1 : 2), &answer);
    fixture_advance(f, 5 * MS_PER_MINUTE - 1);
    assert_int_equal(count_out(f), 1); /* B's goes on */
    fixture_advance(f, 1);
    assert_int_equal(count_out(f), 2);
    /* Three times more: still no attempt is used up. */
    for (int i = 0; i < 3; i++) {
        reply(f, fixture_request_of(f, 1) != NULL ? 1 : 2, CLASS_PUSHBACK);
        fixture_advance(f, 10 * MS_PER_MINUTE);
    }
    assert_int_equal(count_out(f), 2);
    fixture_destroy(f);
}

/* A Retry-After counts in whatever refusal it stands: the bank is left alone, others are not. */
static void test_retry_after_of_any_refusal(void **state)
{
    struct fixture *f = begin(3);
    struct answer answer = fixture_answer(CLASS_RETRY_LATER);

    (void)state;
    f->institutions[1].limits.jobs_running_max = 1;
    f->consents[3].settings.institution = 2;
    go(f);
    assert_int_equal(count_out(f), 2);
    answer.reason = REASON_PROVIDER_ERROR;
    answer.retry_after_ms = 5 * MS_PER_MINUTE;
    fixture_deliver(f, out(f, fixture_request_of(f, 1) != NULL ? 1 : 2), &answer);
    fixture_advance(f, 5 * MS_PER_MINUTE - 1);
    assert_int_equal(count_out(f), 1); /* B's goes on */
    fixture_advance(f, 1);
    assert_int_equal(count_out(f), 2);
    fixture_destroy(f);
}

/* A retry that the provider allows only after the deadline is not awaited. */
static void test_retry_after_past_deadline(void **state)
{
    static const struct {
        enum answer_class class_;
        enum outcome outcome;
        enum reason reason;
    } rows[] = {
        {CLASS_PUSHBACK, OUTCOME_SKIPPED, REASON_PUSHBACK},
        {CLASS_RETRY_LATER, OUTCOME_FAILED, REASON_PROVIDER_ERROR},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(1);
        struct answer answer = fixture_answer(rows[i].class_);

        f->providers[0].pushback_max_ms = 24 * MS_PER_HOUR;
        go(f);
        answer.reason = rows[i].reason;
        answer.retry_after_ms = 24 * MS_PER_HOUR;
        fixture_deliver(f, out(f, 1), &answer);
        assert_closed(f, 1, rows[i].outcome, rows[i].reason);
        fixture_destroy(f);
    }
}

/* Who wrote a backoff and no wait after 429 does not wait longer than that backoff. */
static void test_pushback_yields_to_backoff(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->providers[0].pushback_first_ms = 30 * MS_PER_SECOND;
    f->providers[0].pushback_yields = true;
    f->schedules[0].retry.backoff_first_ms = 2 * MS_PER_SECOND;
    go(f);
    reply(f, 1, CLASS_PUSHBACK);
    assert_int_equal(wait_for(f, 1, MS_PER_MINUTE), 2 * MS_PER_SECOND);
    fixture_destroy(f);
}

static void test_pushback_without_institution_blocks_provider(void **state)
{
    struct fixture *f = begin(2);
    struct answer answer = fixture_answer(CLASS_PUSHBACK);

    (void)state;
    f->consents[1].settings.institution = 0; /* "-" */
    f->providers[0].limits.jobs_running_max = 1;
    go(f);
    answer.retry_after_ms = INT64_C(1) << 50; /* absurd: clamped to ten minutes */
    if (fixture_request_of(f, 1) == NULL)
        reply(f, 2, CLASS_SUCCESS);
    fixture_deliver(f, out(f, 1), &answer);
    fixture_advance(f, 10 * MS_PER_MINUTE - 1);
    assert_int_equal(count_out(f), 0);
    fixture_advance(f, 1);
    assert_int_equal(count_out(f), 1);
    fixture_destroy(f);
}

/* Without Retry-After: one second, doubling; a good answer starts over. */
static void test_pushback_doubles(void **state)
{
    static const int64_t waits_ms[] = {1000, 2000, 4000, 8000};
    struct fixture *f = begin(2);

    (void)state;
    f->institutions[1].limits.requests_in_flight_max = 1;
    f->schedules[0].retry.attempts_max = 1;
    go(f);
    for (size_t i = 0; i < ROW_COUNT(waits_ms); i++) {
        reply(f, fixture_request_of(f, 1) != NULL ? 1 : 2, CLASS_PUSHBACK);
        fixture_advance(f, waits_ms[i] - 1);
        assert_int_equal(count_out(f), 0);
        fixture_advance(f, 1);
        assert_int_equal(count_out(f), 1);
    }
    reply(f, fixture_request_of(f, 1) != NULL ? 1 : 2, CLASS_SUCCESS);
    reply(f, fixture_request_of(f, 1) != NULL ? 1 : 2, CLASS_PUSHBACK);
    fixture_advance(f, 1000);
    assert_int_equal(count_out(f), 1);
    fixture_destroy(f);
}

/* What a slot waited for at its deadline is what its skip says; where that was only its turn, the
 * deadline is the reason (and the limit its detail). */
static void test_reasons_at_deadline(void **state)
{
    static const struct time_range always = {.zone = &zone_utc, .weekdays = 127, .end_s = 86400};
    static const enum reason reasons[] = {REASON_RATE,     REASON_CONCURRENCY, REASON_PUSHBACK,
                                          REASON_BLACKOUT, REASON_PAUSED,      REASON_AUTH};

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(reasons); i++) {
        struct fixture *f = begin(2);
        struct limit_settings *limits = &f->institutions[1].limits;
        struct answer answer = fixture_answer(CLASS_PUSHBACK);
        uint32_t waiting;

        limits->requests_in_flight_max = 1;
        if (reasons[i] == REASON_RATE)
            limits->rates[limits->rate_count++] = (struct rate){1, 24 * MS_PER_HOUR};
        if (reasons[i] == REASON_BLACKOUT) {
            limits->hours.blackouts = &always;
            limits->hours.blackout_count = 1;
        }
        f->providers[0].pushback_max_ms = 24 * MS_PER_HOUR;
        f->providers[0].completion.give_up_after_ms = 24 * MS_PER_HOUR;
        fixture_start(f, 1);
        if (reasons[i] == REASON_PAUSED)
            pause_scope(f, EVENT_PAUSE, SCOPE_INSTITUTION, 1, UTC_NEVER);
        fixture_advance(f, ONE_AM);
        waiting = fixture_request_of(f, 1) == NULL ? 1 : 2;
        answer.retry_after_ms = 24 * MS_PER_HOUR;
        if (reasons[i] == REASON_AUTH)
            answer.class_ = CLASS_CREDENTIALS;
        else if (reasons[i] != REASON_PUSHBACK)
            answer.class_ = CLASS_SUCCESS;
        if (count_out(f) > 0 && reasons[i] != REASON_CONCURRENCY)
            fixture_deliver(f, out(f, 3 - waiting), &answer);
        f->true_us = (ONE_AM + 4 * MS_PER_HOUR) * US_PER_MS; /* nobody woke us in between */
        fixture_time(f);
        assert_skipped(f, waiting,
                       reasons[i] == REASON_RATE || reasons[i] == REASON_CONCURRENCY
                           ? REASON_DEADLINE
                           : reasons[i]);
        fixture_destroy(f);
    }
}

/* A clock that opens at the deadline itself opens too late. */
static void test_quota_ends_at_deadline(void **state)
{
    static const int64_t windows_ms[] = {28 * MS_PER_HOUR - 1, 28 * MS_PER_HOUR};

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(windows_ms); i++) {
        struct fixture *f = begin(1);

        f->providers[0].quota = (struct quota_settings){1, windows_ms[i]};
        go(f);
        reply(f, 1, CLASS_SUCCESS);
        fixture_advance(f, 24 * MS_PER_HOUR);
        assert_int_equal(fixture_last_run(f)->slots[1], i == 0 ? OUTCOME_NONE : OUTCOME_SKIPPED);
        fixture_destroy(f);
    }
}

static void test_not_tried_again(void **state)
{
    static const struct {
        enum answer_class class_;
        enum reason given;
        enum outcome outcome;
        enum reason reason;
    } rows[] = {
        {CLASS_REJECTED, REASON_NONE, OUTCOME_FAILED, REASON_REJECTED},
        {CLASS_CONFIG_ERROR, REASON_NONE, OUTCOME_FAILED, REASON_CONFIGURATION},
        {CLASS_NOT_READY, REASON_NONE, OUTCOME_SKIPPED, REASON_NOT_READY},
        {CLASS_SUCCESS, REASON_NONE, OUTCOME_REFRESHED, REASON_NONE},
        {CLASS_PARTIAL, REASON_NONE, OUTCOME_PARTIAL, REASON_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(1);

        go(f);
        reply_failed(f, 1, rows[i].class_, rows[i].given);
        assert_closed(f, 1, rows[i].outcome, rows[i].reason);
        assert_int_equal(fixture_open_runs(f), 0);
        fixture_destroy(f);
    }
}

/* ---- credentials ---- */

static struct fixture *begin_with_token(uint32_t consents)
{
    struct fixture *f = begin(consents);

    f->providers[0].needs_token = true;
    return f;
}

static void grant(struct fixture *f)
{
    assert_non_null(fixture_token_request(f, 0));
    fixture_deliver_token(f, fixture_token_request(f, 0), true, MS_PER_HOUR);
}

static void test_token_comes_first(void **state)
{
    struct fixture *f = begin_with_token(3);

    (void)state;
    go(f);
    assert_int_equal(count_out(f), 1); /* one token request, whoever waits */
    grant(f);
    assert_int_equal(count_out(f), 3);
    for (uint32_t c = 1; c <= 3; c++)
        accept(f, c, c);
    for (int minute = 0; minute < 55; minute++) {
        if (minute < 48) /* 80 % of its life */
            assert_null(fixture_token_request(f, 0));
        for (uint32_t c = 1; c <= 3; c++)
            if (fixture_request_of(f, c) != NULL)
                reply(f, c, CLASS_RUNNING);
        fixture_advance(f, MS_PER_MINUTE);
    }
    assert_non_null(fixture_token_request(f, 0)); /* renewed when it is used... */
    assert_true(f->send_count > 20);
    fixture_advance(f, 4 * MS_PER_MINUTE);
    assert_true(count_out(f) > 1); /* ...and the old one serves until its end */
    fixture_destroy(f);
}

/* The hand-over of a token call counts on the rate, not its answer. */
static void test_token_pays_at_hand_over(void **state)
{
    struct fixture *f = begin_with_token(1);

    (void)state;
    f->providers[0].limits.rates[0] = (struct rate){1, 10 * MS_PER_SECOND};
    f->providers[0].limits.rate_count = 1;
    go(f);
    fixture_send(f, fixture_token_request(f, 0));
    fixture_advance(f, 8 * MS_PER_SECOND);
    grant(f);
    assert_int_equal(count_out(f), 0);
    fixture_advance(f, 2 * MS_PER_SECOND);
    assert_int_equal(count_out(f), 1);
    fixture_destroy(f);
}

static void test_probe_opens_for_all(void **state)
{
    struct fixture *f = begin(4);

    (void)state;
    go(f);
    for (uint32_t c = 1; c <= 4; c++)
        reply(f, c, CLASS_CREDENTIALS);
    fixture_advance(f, MS_PER_MINUTE);
    assert_int_equal(count_out(f), 1); /* one probe... */
    for (uint32_t c = 1; c <= 4; c++)
        if (fixture_request_of(f, c) != NULL) {
            reply(f, c, CLASS_SUCCESS);
            break;
        }
    assert_int_equal(count_out(f), 3); /* ...and then everybody */
    fixture_destroy(f);
}

static void test_one_renewal_one_replay_then_stop(void **state)
{
    struct fixture *f = begin_with_token(2);

    (void)state;
    go(f);
    grant(f);
    reply(f, 1, CLASS_CREDENTIALS);
    reply(f, 2, CLASS_CREDENTIALS); /* sent with the same old token */
    assert_int_equal(count_out(f), 1);
    grant(f);
    assert_int_equal(count_out(f), 2); /* both are sent again */
    reply(f, 1, CLASS_CREDENTIALS);
    reply(f, 2, CLASS_CREDENTIALS);
    assert_int_equal(count_out(f), 0); /* the provider stops, nobody has failed */
    assert_int_equal(fixture_open_runs(f), 1);
    fixture_advance(f, MS_PER_MINUTE);
    grant(f);
    assert_int_equal(count_out(f), 1); /* one probe */
    reply(f, fixture_request_of(f, 1) != NULL ? 1 : 2, CLASS_CREDENTIALS);
    fixture_advance(f, 2 * MS_PER_MINUTE - 1); /* twice as long */
    assert_int_equal(count_out(f), 0);
    fixture_advance(f, 1);
    grant(f);
    reply(f, fixture_request_of(f, 1) != NULL ? 1 : 2, CLASS_SUCCESS);
    assert_int_equal(count_out(f), 1); /* open again */
    reply(f, fixture_request_of(f, 1) != NULL ? 1 : 2, CLASS_SUCCESS);
    assert_int_equal(f->runs[0].counts[OUTCOME_REFRESHED], 2);
    fixture_destroy(f);
}

/* A token that came in the ordinary way is renewed at its first refusal, even after an earlier
 * night in which one had to be replaced. */
static void test_each_token_has_its_renewal(void **state)
{
    struct fixture *f = begin_with_token(1);

    (void)state;
    go(f);
    grant(f);
    reply(f, 1, CLASS_CREDENTIALS);
    grant(f);
    reply(f, 1, CLASS_SUCCESS);
    fixture_advance(f, 24 * MS_PER_HOUR);
    grant(f); /* the old one is long over */
    reply(f, 1, CLASS_CREDENTIALS);
    grant(f); /* at once, no stop */
    reply(f, 1, CLASS_SUCCESS);
    assert_closed(f, 1, OUTCOME_REFRESHED, REASON_NONE);
    fixture_destroy(f);
}

static void test_rotated_secret_fails_nobody(void **state)
{
    struct fixture *f = begin(5);

    (void)state;
    go(f);
    for (uint32_t c = 1; c <= 5; c++)
        reply(f, c, CLASS_CREDENTIALS);
    for (int i = 0; i < 60; i++) {
        fixture_advance(f, 5 * MS_PER_MINUTE);
        for (uint32_t c = 1; c <= 5; c++)
            if (fixture_request_of(f, c) != NULL)
                reply(f, c, CLASS_CREDENTIALS);
    }
    for (uint32_t c = 1; c <= 5; c++) {
        assert_closed(f, c, OUTCOME_SKIPPED, REASON_AUTH);
        assert_false(f->consents[c].is_held);
    }
    assert_true(f->attempt_count < 25); /* probes, not a storm */
    fixture_destroy(f);
}

static void test_failed_token_stops(void **state)
{
    struct fixture *f = begin_with_token(1);

    (void)state;
    go(f);
    fixture_deliver_token(f, fixture_token_request(f, 0), false, 0);
    assert_int_equal(count_out(f), 0);
    fixture_advance(f, MS_PER_MINUTE);
    grant(f);
    reply(f, 1, CLASS_SUCCESS);
    assert_int_equal(f->runs[0].counts[OUTCOME_REFRESHED], 1);
    fixture_destroy(f);
}

/* A job that nobody could ask about because the credentials were refused is unknown for that. */
static void test_stopped_credentials_hide_the_end(void **state)
{
    struct fixture *f = begin(2);
    uint32_t first;

    (void)state;
    f->providers[0].auth_retry_first_ms = 48 * MS_PER_HOUR;
    f->providers[0].auth_retry_max_ms = 48 * MS_PER_HOUR;
    f->providers[0].limits.rates[0] = (struct rate){1, 2 * MS_PER_SECOND};
    f->providers[0].limits.rate_count = 1;
    go(f);
    first = fixture_request_of(f, 1) != NULL ? 1 : 2;
    accept(f, first, 1);
    (void)wait_for(f, 3 - first, MS_PER_MINUTE);
    reply(f, 3 - first, CLASS_CREDENTIALS);
    fixture_advance(f, 24 * MS_PER_HOUR);
    assert_closed(f, first, OUTCOME_UNKNOWN, REASON_AUTH);
    fixture_destroy(f);
}

/* A consent that is refused again and again while others are accepted is the one to blame. */
static void test_one_bad_consent_does_not_stop_all(void **state)
{
    struct fixture *f = begin(20);

    (void)state;
    f->providers[0].limits.jobs_running_max = 2;
    go(f);
    for (int i = 0; i < 300 && fixture_open_runs(f) > 0; i++) {
        for (uint32_t c = 1; c <= 20; c++)
            if (fixture_request_of(f, c) != NULL)
                reply(f, c, c == 7 ? CLASS_CREDENTIALS : CLASS_SUCCESS);
        fixture_advance(f, MS_PER_MINUTE);
    }
    assert_int_equal(f->runs[0].counts[OUTCOME_REFRESHED], 19);
    assert_true(f->runs[0].slots[7] == OUTCOME_FAILED || f->runs[0].slots[7] == OUTCOME_SKIPPED);
    fixture_destroy(f);
}

/* ---- outcomes ---- */

static void test_deduplicated_by_id(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->providers[0].quota = (struct quota_settings){1, 30 * MS_PER_HOUR};
    go(f);
    refresh(f, 1, 77);
    f->providers[0].quota.count = 2;
    fixture_reload(f);
    fixture_advance(f, 24 * MS_PER_HOUR);
    (void)wait_for(f, 1, MS_PER_HOUR);
    refresh(f, 1, 77); /* the old job once more */
    assert_closed(f, 1, OUTCOME_DEDUPLICATED, REASON_NONE);
    assert_false(f->attempts[1].is_charged);
    fixture_destroy(f);
}

static void test_deduplicated_by_start(void **state)
{
    struct fixture *f = begin(2);
    struct answer answer = fixture_answer(CLASS_ACCEPTED);

    (void)state;
    go(f);
    answer.reference_hash = 5;
    answer.job_started = utc_add_ms(fixture_now(f).utc, -MS_PER_HOUR);
    fixture_deliver(f, out(f, 1), &answer);
    accept(f, 2, 6);
    (void)wait_for(f, 1, MS_PER_MINUTE);
    reply(f, 1, CLASS_SUCCESS);
    assert_closed(f, 1, OUTCOME_DEDUPLICATED, REASON_NONE);
    (void)wait_for(f, 2, MS_PER_MINUTE);
    answer = fixture_answer(CLASS_SUCCESS); /* the poll tells it */
    answer.job_started = utc_add_ms(fixture_now(f).utc, -MS_PER_HOUR);
    fixture_deliver(f, out(f, 2), &answer);
    assert_closed(f, 2, OUTCOME_DEDUPLICATED, REASON_NONE);
    fixture_destroy(f);
}

static void test_verdict_wins_over_deduplicated(void **state)
{
    struct fixture *f = begin(1);
    struct answer answer = fixture_answer(CLASS_ACCEPTED);

    (void)state;
    go(f);
    answer.reference_hash = 5;
    answer.job_started = utc_add_ms(fixture_now(f).utc, -MS_PER_HOUR);
    fixture_deliver(f, out(f, 1), &answer);
    (void)wait_for(f, 1, MS_PER_MINUTE);
    reply(f, 1, CLASS_RECONNECT_REQUIRED);
    assert_closed(f, 1, OUTCOME_RECONNECT_REQUIRED, REASON_NONE);
    fixture_destroy(f);
}

static void test_poll_endings(void **state)
{
    static const struct {
        enum answer_class class_;
        enum reason given;
        enum outcome outcome;
        enum reason reason;
    } rows[] = {
        {CLASS_SUCCESS, REASON_NONE, OUTCOME_REFRESHED, REASON_NONE},
        {CLASS_PARTIAL, REASON_NONE, OUTCOME_PARTIAL, REASON_NONE},
        {CLASS_LOST, REASON_NONE, OUTCOME_UNKNOWN, REASON_LOST},
        {CLASS_CONFIG_ERROR, REASON_NONE, OUTCOME_FAILED, REASON_CONFIGURATION},
        {CLASS_NOT_READY, REASON_NONE, OUTCOME_FAILED, REASON_NOT_READY},
        {CLASS_RETRY_LATER, REASON_NONE, OUTCOME_FAILED, REASON_JOB_FAILED},
        {CLASS_COOLDOWN, REASON_NONE, OUTCOME_FAILED, REASON_PUSHBACK},
        {CLASS_RECONNECT_REQUIRED, REASON_NONE, OUTCOME_RECONNECT_REQUIRED, REASON_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(1);

        f->schedules[0].retry.attempts_max = 1;
        go(f);
        accept(f, 1, 1);
        (void)wait_for(f, 1, MS_PER_MINUTE);
        reply_failed(f, 1, rows[i].class_, rows[i].given);
        assert_closed(f, 1, rows[i].outcome, rows[i].reason);
        fixture_destroy(f);
    }
}

/* A poll that fails says nothing about the job: asked again, ever more slowly, then unknown. */
static void test_failed_polls(void **state)
{
    static const struct {
        enum answer_class class_;
        enum reason given;
        enum reason reason;
    } rows[] = {
        {CLASS_RUNNING, REASON_NONE, REASON_LOST},
        {CLASS_TRANSPORT, REASON_NONE, REASON_TRANSPORT},
        {CLASS_BAD_ANSWER, REASON_NONE, REASON_BAD_ANSWER},
        {CLASS_REJECTED, REASON_NONE, REASON_REJECTED},
        {CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, REASON_PROVIDER_ERROR},
        {CLASS_RETRY_LATER, REASON_MAINTENANCE, REASON_MAINTENANCE},
        {CLASS_PUSHBACK, REASON_NONE, REASON_PUSHBACK},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(1);
        int64_t waited_ms = 0;
        int64_t since_us;
        uint32_t polls = 0;

        go(f);
        accept(f, 1, 1);
        since_us = f->true_us;
        while (f->consents[1].live_job != 0) {
            if (fixture_request_of(f, 1) != NULL) {
                reply_failed(f, 1, rows[i].class_, rows[i].given);
                polls++;
            }
            waited_ms = (f->true_us - since_us) / US_PER_MS;
            fixture_advance(f, MS_PER_SECOND);
        }
        assert_closed(f, 1, OUTCOME_UNKNOWN, rows[i].reason);
        assert_in_range(waited_ms, 2 * MS_PER_HOUR - 2000, 2 * MS_PER_HOUR + 2000);
        assert_in_range(polls, 20, 32); /* 10, 20, 40... seconds up to five minutes */
        assert_int_equal(fixture_job_of(f, 1)->attempts, 1); /* polls are no attempts */
        fixture_destroy(f);
    }
}

static void test_poll_hint_and_floor(void **state)
{
    static const struct {
        int64_t hint_ms;
        int64_t wait_ms;
    } rows[] = {
        {-1, 20 * MS_PER_SECOND},            /* doubled from the first ten */
        {MS_PER_SECOND, 20 * MS_PER_SECOND}, /* below the floor: not believed */
        {90 * MS_PER_SECOND, 90 * MS_PER_SECOND},
        {MS_PER_DAY, 5 * MS_PER_MINUTE},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(1);
        struct answer answer = fixture_answer(CLASS_RUNNING);

        go(f);
        accept(f, 1, 1);
        assert_true(wait_for(f, 1, MS_PER_HOUR) == 10 * MS_PER_SECOND);
        answer.poll_hint_ms = rows[i].hint_ms;
        fixture_deliver(f, out(f, 1), &answer);
        assert_true(wait_for(f, 1, MS_PER_HOUR) == rows[i].wait_ms);
        fixture_destroy(f);
    }
}

static void test_webhook_prompts_a_poll(void **state)
{
    struct fixture *f = begin(1);
    struct event event = {.kind = EVENT_WEBHOOK};

    (void)state;
    f->providers[0].completion.poll_first_ms = MS_PER_HOUR;
    f->providers[0].completion.poll_max_ms = MS_PER_HOUR;
    go(f);
    event.as.webhook.job_slot = out(f, 1)->job_slot;
    accept(f, 1, 1);
    fixture_advance(f, MS_PER_MINUTE);
    assert_null(fixture_request_of(f, 1));
    fixture_event(f, &event);
    assert_int_equal(out(f, 1)->kind, REQUEST_POLL);
    reply(f, 1, CLASS_RUNNING);
    fixture_event(f, &event); /* again at once: the floor holds */
    assert_null(fixture_request_of(f, 1));
    assert_true(wait_for(f, 1, MS_PER_HOUR) == 5 * MS_PER_SECOND);
    reply(f, 1, CLASS_SUCCESS);
    fixture_event(f, &event); /* about a job that is gone: nothing */
    fixture_destroy(f);
}

/* ---- holds ---- */

static void test_hold_and_release(void **state)
{
    struct fixture *f = begin(2);
    struct event event = {.kind = EVENT_RELEASE, .as.release = {1}};

    (void)state;
    go(f);
    for (uint32_t c = 1; c <= 2; c++)
        reply(f, c, CLASS_RECONNECT_REQUIRED);
    assert_closed(f, 1, OUTCOME_RECONNECT_REQUIRED, REASON_NONE);
    assert_true(f->consents[1].is_held && f->consents[2].is_held);
    fixture_advance(f, 24 * MS_PER_HOUR);
    assert_skipped(f, 1, REASON_HELD);
    assert_skipped(f, 2, REASON_HELD);
    fixture_event(f, &event);
    assert_false(f->consents[1].is_held);
    f->consents[2].settings.authorized_at = fixture_now(f).utc; /* the customer was here */
    scheduler_consent_put(f->scheduler, 2, &f->consents[2].settings);
    fixture_time(f);
    assert_false(f->consents[2].is_held);
    fixture_advance(f, 24 * MS_PER_HOUR);
    assert_int_equal(count_out(f), 2);
    fixture_destroy(f);
}

static void test_look_up_refines(void **state)
{
    static const struct {
        enum look_up_verdict verdict;
        enum outcome outcome;
        enum reason reason;
        bool is_held;
        bool is_suspended;
    } rows[] = {
        {LOOK_UP_NONE, OUTCOME_RECONNECT_REQUIRED, REASON_NONE, true, false},
        {LOOK_UP_RECONNECT, OUTCOME_RECONNECT_REQUIRED, REASON_NONE, true, false},
        {LOOK_UP_SUSPENDED, OUTCOME_RECONNECT_REQUIRED, REASON_NONE, true, true},
        {LOOK_UP_ACTIVE, OUTCOME_RECONNECT_REQUIRED, REASON_NONE, false, false},
        {LOOK_UP_NOT_READY, OUTCOME_SKIPPED, REASON_NOT_READY, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(1);
        struct answer answer = fixture_answer(CLASS_RECONNECT_REQUIRED);

        f->providers[0].can_look_up = true;
        go(f);
        answer.wants_look_up = true;
        fixture_deliver(f, out(f, 1), &answer);
        assert_int_equal(out(f, 1)->kind, REQUEST_LOOK_UP);
        answer = fixture_answer(CLASS_SUCCESS);
        answer.look_up = rows[i].verdict;
        fixture_deliver(f, out(f, 1), &answer);
        assert_closed(f, 1, rows[i].outcome, rows[i].reason);
        assert_int_equal(f->consents[1].is_held, rows[i].is_held);
        assert_int_equal(f->consents[1].is_suspended, rows[i].is_suspended);
        fixture_destroy(f);
    }
}

/* A failed job without a reason: the look-up tells "reconnect" from "try again". */
static void test_look_up_judges_failure(void **state)
{
    static const struct {
        enum look_up_verdict verdict;
        bool is_reconnect;
        bool is_suspended;
    } rows[] = {
        {LOOK_UP_NONE, false, false},      {LOOK_UP_ACTIVE, false, false},
        {LOOK_UP_NOT_READY, false, false}, {LOOK_UP_RECONNECT, true, false},
        {LOOK_UP_SUSPENDED, true, true},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(1);
        struct answer answer = fixture_answer(CLASS_RETRY_LATER);

        f->providers[0].can_look_up = true;
        f->schedules[0].retry.attempts_max = 1;
        go(f);
        accept(f, 1, 1);
        (void)wait_for(f, 1, MS_PER_MINUTE);
        answer.reason = REASON_JOB_FAILED;
        answer.is_about_job = true;
        answer.wants_look_up = true;
        fixture_deliver(f, out(f, 1), &answer);
        assert_int_equal(out(f, 1)->kind, REQUEST_LOOK_UP);
        answer = fixture_answer(CLASS_SUCCESS);
        answer.look_up = rows[i].verdict;
        fixture_deliver(f, out(f, 1), &answer);
        if (rows[i].is_reconnect)
            assert_closed(f, 1, OUTCOME_RECONNECT_REQUIRED, REASON_NONE);
        else
            assert_closed(f, 1, OUTCOME_FAILED, REASON_JOB_FAILED);
        assert_int_equal(f->consents[1].is_held, rows[i].is_reconnect);
        assert_int_equal(f->consents[1].is_suspended, rows[i].is_suspended);
        fixture_destroy(f);
    }
}

static void test_states_that_send_nothing(void **state)
{
    struct fixture *f = begin(4);

    (void)state;
    f->consents[1].settings.mode = MODE_LISTEN;
    f->consents[2].settings.expires = utc_add_ms(fixture_now(f).utc, ONE_AM); /* that instant on */
    f->consents[3].settings.mode = MODE_OFF;
    go(f);
    assert_skipped(f, 1, REASON_LISTEN_ONLY);
    assert_skipped(f, 2, REASON_EXPIRED);
    assert_int_equal(f->runs[0].due, 3); /* off: not due at all */
    assert_non_null(fixture_request_of(f, 4));
    fixture_destroy(f);
}

static void test_expires_is_learned(void **state)
{
    struct fixture *f = begin(1);
    struct answer answer = fixture_answer(CLASS_SUCCESS);

    (void)state;
    go(f);
    answer.expires = utc_add_ms(fixture_now(f).utc, MS_PER_HOUR);
    fixture_deliver(f, out(f, 1), &answer);
    assert_true(f->consents[1].learned_expires.ms == answer.expires.ms);
    fixture_advance(f, 24 * MS_PER_HOUR);
    assert_skipped(f, 1, REASON_EXPIRED);
    fixture_destroy(f);
}

/* The same row put again does not undo what was learned; a changed row does. */
static void test_learned_expires_and_the_row(void **state)
{
    struct fixture *f = begin(1);
    struct answer answer = fixture_answer(CLASS_SUCCESS);

    (void)state;
    go(f);
    answer.expires = utc_add_ms(fixture_now(f).utc, MS_PER_HOUR);
    fixture_deliver(f, out(f, 1), &answer);
    fixture_reload(f);
    fixture_advance(f, 24 * MS_PER_HOUR);
    assert_skipped(f, 1, REASON_EXPIRED);
    f->consents[1].settings.authorized_at = fixture_now(f).utc;
    f->consents[1].learned_expires = UTC_NEVER;
    fixture_reload(f);
    fixture_advance(f, 24 * MS_PER_HOUR);
    assert_non_null(fixture_request_of(f, 1));
    fixture_destroy(f);
}

/* ---- in doubt ---- */

static void test_reinitiate_once(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->providers[0].quota = (struct quota_settings){1, 48 * MS_PER_HOUR};
    f->providers[0].dedupe_window_ms = MS_PER_HOUR;
    go(f);
    reply(f, 1, CLASS_TRANSPORT);
    (void)wait_for(f, 1, MS_PER_HOUR);
    assert_true(f->attempts[1].is_repeat);
    assert_false(f->attempts[1].is_charged); /* no second charge */
    refresh(f, 1, 9);
    assert_closed(f, 1, OUTCOME_REFRESHED, REASON_NONE); /* its id is ours */
    assert_true(f->attempts[0].is_charged);
    fixture_destroy(f);
}

static void test_repeat_in_doubt_again(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->schedules[0].deadline.duration_ms = 20 * MS_PER_HOUR;
    f->providers[0].completion.give_up_after_ms = 26 * MS_PER_HOUR;
    go(f);
    reply(f, 1, CLASS_BAD_ANSWER); /* accepted perhaps; a body without sense */
    (void)wait_for(f, 1, MS_PER_HOUR);
    reply(f, 1, CLASS_TRANSPORT);
    assert_closed(f, 1, OUTCOME_UNKNOWN, REASON_IN_DOUBT);
    fixture_advance(f, 24 * MS_PER_HOUR); /* the doubt blocks the next night's slot for a while */
    assert_int_equal(f->run_count, 2);
    assert_null(fixture_request_of(f, 1));
    fixture_advance(f, 2 * MS_PER_HOUR);
    assert_non_null(fixture_request_of(f, 1));
    fixture_destroy(f);
}

static void test_await_webhook(void **state)
{
    struct fixture *f = begin(2);
    struct event event = {.kind = EVENT_WEBHOOK};

    (void)state;
    f->providers[0].in_doubt = IN_DOUBT_AWAIT;
    f->providers[0].completion.webhook = true;
    go(f);
    event.as.webhook.job_slot = out(f, 1)->job_slot;
    event.as.webhook.reference_hash = 42;
    reply(f, 1, CLASS_TRANSPORT);
    reply(f, 2, CLASS_TRANSPORT);
    fixture_advance(f, MS_PER_MINUTE);
    assert_int_equal(count_out(f), 0); /* a second create would be refused */
    fixture_event(f, &event);
    (void)wait_for(f, 1, MS_PER_MINUTE);
    assert_int_equal(out(f, 1)->kind, REQUEST_POLL);
    reply(f, 1, CLASS_SUCCESS);
    assert_closed(f, 1, OUTCOME_REFRESHED, REASON_NONE);
    fixture_advance(f, 2 * MS_PER_HOUR);
    assert_closed(f, 2, OUTCOME_UNKNOWN, REASON_IN_DOUBT);
    fixture_destroy(f);
}

static void test_await_without_webhook(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->providers[0].in_doubt = IN_DOUBT_AWAIT;
    go(f);
    reply(f, 1, CLASS_TRANSPORT);
    assert_closed(f, 1, OUTCOME_UNKNOWN, REASON_IN_DOUBT); /* nothing can arrive */
    fixture_destroy(f);
}

static void test_crash_leaves_doubt(void **state)
{
    struct fixture *f = begin(2);

    (void)state;
    f->providers[0].limits.rates[0] = (struct rate){2, 10 * MS_PER_MINUTE};
    f->providers[0].limits.rate_count = 1;
    go(f);
    accept(f, 1, 11);
    fixture_send(f, out(f, 2));
    f->true_us += 30 * US_PER_SECOND;
    fixture_start(f, 2);               /* killed before the second answer */
    assert_int_equal(count_out(f), 0); /* the long rate survived */
    (void)wait_for(f, 1, MS_PER_HOUR);
    assert_int_equal(out(f, 1)->kind, REQUEST_POLL);
    reply(f, 1, CLASS_SUCCESS);
    (void)wait_for(f, 2, MS_PER_HOUR);
    assert_true(f->attempts[2].is_repeat);
    accept(f, 2, 12);
    (void)wait_for(f, 2, MS_PER_HOUR);
    reply(f, 2, CLASS_SUCCESS);
    assert_int_equal(f->runs[0].counts[OUTCOME_REFRESHED], 2);
    assert_int_equal(f->run_count, 1);
    fixture_destroy(f);
}

/* The attempt in doubt counts, its re-POST does not. */
static void test_crash_counts_attempts(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->schedules[0].retry.attempts_max = 2;
    go(f);
    fixture_send(f, out(f, 1));
    fixture_start(f, 2);
    (void)wait_for(f, 1, MS_PER_HOUR);
    accept(f, 1, 5); /* the re-POST */
    (void)wait_for(f, 1, MS_PER_HOUR);
    reply_failed(f, 1, CLASS_RETRY_LATER, REASON_JOB_FAILED);
    (void)wait_for(f, 1, MS_PER_HOUR);
    reply_failed(f, 1, CLASS_RETRY_LATER, REASON_PROVIDER_ERROR);
    assert_closed(f, 1, OUTCOME_FAILED, REASON_PROVIDER_ERROR);
    assert_int_equal(fixture_job_of(f, 1)->attempts, 3);
    fixture_destroy(f);
}

static void test_catch_up_keeps_its_places(void **state)
{
    struct fixture *f = begin(1);
    int64_t sent_ms[2];

    (void)state;
    for (int restarts = 0; restarts < 2; restarts++) {
        f = restarts == 0 ? f : begin(1);
        f->schedules[0].spread_ms = 4 * MS_PER_HOUR;
        f->schedules[0].deadline.duration_ms = 5 * MS_PER_HOUR;
        fixture_start(f, 1);
        f->true_us = 5 * MS_PER_HOUR * US_PER_MS;
        fixture_start(f, 1); /* opens the catch-up run at 05:00 */
        assert_null(fixture_request_of(f, 1));
        fixture_advance(f, MS_PER_MINUTE);
        if (restarts != 0)
            fixture_start(f, 2);
        assert_int_equal(f->run_count, 1);
        (void)wait_for(f, 1, 4 * MS_PER_HOUR);
        sent_ms[restarts] = f->true_us / US_PER_MS;
        fixture_destroy(f);
    }
    assert_true(sent_ms[0] > 5 * MS_PER_HOUR + MS_PER_MINUTE);
    assert_true(sent_ms[1] == sent_ms[0]);
}

/* ---- overlap, misfire, editing ---- */

static void test_superseded_and_single_flight(void **state)
{
    struct fixture *f = begin(2);
    uint32_t running;
    uint32_t waiting;

    (void)state;
    f->schedules[0].deadline.duration_ms = 40 * MS_PER_HOUR;
    f->providers[0].completion.give_up_after_ms = 40 * MS_PER_HOUR;
    f->institutions[1].limits.jobs_running_max = 1;
    go(f);
    running = fixture_request_of(f, 1) != NULL ? 1 : 2;
    waiting = 3 - running;
    accept(f, running, 1);
    while (f->run_count == 1) {
        fixture_advance(f, MS_PER_MINUTE);
        if (fixture_request_of(f, running) != NULL)
            reply(f, running, CLASS_RUNNING);
    }
    assert_int_equal(f->runs[0].slots[waiting], OUTCOME_SKIPPED);
    assert_int_equal(f->runs[0].skip_reasons[waiting], REASON_SUPERSEDED);
    assert_skipped(f, running, REASON_SINGLE_FLIGHT);
    assert_int_equal(f->runs[1].slots[waiting], OUTCOME_NONE);
    fixture_destroy(f);
}

/* Without a deadline of its own a run ends when the next one fires: what waited for its turn is
 * superseded, what a pause kept back says so. */
static void test_superseded_at_the_default_deadline(void **state)
{
    (void)state;
    for (int is_paused = 0; is_paused < 2; is_paused++) {
        struct fixture *f = begin(2);
        uint32_t waiting;

        f->schedules[0].deadline.duration_ms = 24 * MS_PER_HOUR;
        f->providers[0].completion.give_up_after_ms = 40 * MS_PER_HOUR;
        f->institutions[1].limits.jobs_running_max = 1;
        go(f);
        waiting = fixture_request_of(f, 1) != NULL ? 2 : 1;
        accept(f, 3 - waiting, 1);
        if (is_paused != 0)
            pause_scope(f, EVENT_PAUSE, SCOPE_INSTITUTION, 1, UTC_NEVER);
        while (f->run_count == 1) {
            fixture_advance(f, MS_PER_MINUTE);
            if (fixture_request_of(f, 3 - waiting) != NULL)
                reply(f, 3 - waiting, CLASS_RUNNING);
        }
        assert_int_equal(f->runs[0].slots[waiting], OUTCOME_SKIPPED);
        assert_int_equal(f->runs[0].skip_reasons[waiting],
                         is_paused != 0 ? REASON_PAUSED : REASON_SUPERSEDED);
        fixture_destroy(f);
    }
}

static void test_catch_up(void **state)
{
    struct fixture *f = begin(2);

    (void)state;
    fixture_start(f, 1);
    f->true_us = (3 * 24 * MS_PER_HOUR + 5 * MS_PER_HOUR) * US_PER_MS; /* asleep for three days */
    fixture_start(f, 1);
    assert_int_equal(f->run_count, 4);
    for (int i = 0; i < 3; i++) {
        assert_true(f->runs[i].is_missed && !f->runs[i].is_open);
        assert_int_equal(f->runs[i].counts[OUTCOME_SKIPPED], 2);
    }
    assert_int_equal(f->runs[3].trigger, TRIGGER_CATCH_UP); /* one, of the latest, full length */
    assert_true(f->runs[3].deadline.ms == fixture_now(f).utc.ms + 4 * MS_PER_HOUR);
    assert_int_equal(count_out(f), 2);
    fixture_destroy(f);
}

static void test_no_catch_up(void **state)
{
    static const struct {
        enum misfire_policy policy;
        int64_t asleep_ms;
        uint32_t runs;
    } rows[] = {
        {MISFIRE_SKIP, 5 * MS_PER_HOUR, 0},
        {MISFIRE_RUN_ONCE, 13 * MS_PER_HOUR + 1, 0}, /* older than max_age */
        {MISFIRE_RUN_ONCE, 13 * MS_PER_HOUR, 1},
        {MISFIRE_SKIP, ONE_AM, 1},     /* in time */
        {MISFIRE_SKIP, ONE_AM + 1, 0}, /* nobody was there */
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = begin(1);

        f->schedules[0].misfire = rows[i].policy;
        fixture_start(f, 1);
        f->true_us = rows[i].asleep_ms * US_PER_MS;
        fixture_start(f, 1);
        assert_int_equal(f->run_count, 1);
        assert_int_equal(fixture_open_runs(f), rows[i].runs);
        fixture_destroy(f);
    }
}

static void test_catch_up_ends_at_next_firing(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->schedules[0].misfire_max_age_ms = 24 * MS_PER_HOUR;
    fixture_start(f, 1);
    f->true_us = 23 * MS_PER_HOUR * US_PER_MS;
    fixture_start(f, 1);
    assert_int_equal(f->runs[0].trigger, TRIGGER_CATCH_UP);
    assert_true(f->runs[0].deadline.ms == fixture_now(f).utc.ms + 2 * MS_PER_HOUR);
    fixture_destroy(f);
}

static void test_clock_set_back_fires_nothing_again(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    go(f);
    refresh(f, 1, 1);
    f->clock_was_stepped = true;
    f->utc_offset_ms -= 2 * MS_PER_HOUR;
    scheduler_clock_stepped(f->scheduler, fixture_now(f));
    fixture_time(f);
    fixture_advance(f, 3 * MS_PER_HOUR);
    assert_int_equal(f->run_count, 1);
    fixture_destroy(f);
}

/* 01:00 has fired; then zone data arrives after which the same 01:00 is an hour later. */
static void test_new_zone_data_fires_nothing_again(void **state)
{
    static const struct zone_type west_type = {.offset_s = -3600};
    struct zone west = zone_utc;
    struct fixture *f = begin(1);

    (void)state;
    west.types = &west_type;
    go(f);
    refresh(f, 1, 1);
    assert_int_equal(f->run_count, 1);
    f->schedules[0].calendar.zone = &west;
    fixture_start(f, 1);
    fixture_advance(f, 3 * MS_PER_HOUR);
    assert_int_equal(f->run_count, 1);
    fixture_advance(f, 22 * MS_PER_HOUR); /* the next night is another one */
    assert_int_equal(f->run_count, 2);
    fixture_destroy(f);
}

static void test_editing_never_fires(void **state)
{
    struct fixture *f = begin(1);
    struct fault fault;
    size_t offset;

    (void)state;
    fixture_start(f, 1);
    fixture_advance(f, 6 * MS_PER_HOUR);
    for (uint32_t c = 1; c <= 1; c++)
        if (fixture_request_of(f, c) != NULL)
            reply(f, c, CLASS_SUCCESS);
    fixture_advance(f, 6 * MS_PER_HOUR);
    assert_int_equal(f->run_count, 1);
    assert_int_equal(cron_parse("0 11 * * *", 10, &f->schedules[0].calendar.cron, &offset, &fault),
                     RESULT_OK);
    f->schedules[0].revision = 2; /* 11:00 was an hour ago */
    fixture_reload(f);
    assert_int_equal(f->run_count, 1);
    fixture_start(f, 1); /* nor after a restart */
    assert_int_equal(f->run_count, 1);
    fixture_destroy(f);
}

/* ---- reload ---- */

static void test_removed_consent(void **state)
{
    struct fixture *f = begin(3);
    struct fixture_run *run;

    (void)state;
    f->institutions[1].limits.jobs_running_max = 1;
    go(f);
    run = fixture_last_run(f);
    for (uint32_t c = 1; c <= 3; c++) {
        f->consents[c].is_there = false;
        scheduler_consent_remove(f->scheduler, c);
    }
    fixture_time(f);
    assert_int_equal(run->counts[OUTCOME_SKIPPED], 2); /* unsent slots at once */
    for (uint32_t c = 1; c <= 3; c++)
        if (fixture_request_of(f, c) != NULL)
            refresh(f, c, 1); /* the live job is followed */
    assert_int_equal(run->counts[OUTCOME_REFRESHED], 1);
    assert_int_equal(fixture_open_runs(f), 0);
    fixture_destroy(f);
}

/* A slot that is not due for hours goes at once, too. */
static void test_removed_while_asleep(void **state)
{
    struct fixture *f = begin(10);

    (void)state;
    f->schedules[0].spread_ms = 4 * MS_PER_HOUR;
    go(f);
    for (uint32_t c = 1; c <= 10; c++) {
        f->consents[c].is_there = false;
        scheduler_consent_remove(f->scheduler, c);
    }
    fixture_time(f);
    assert_int_equal(f->runs[0].counts[OUTCOME_SKIPPED], 10);
    assert_int_equal(fixture_open_runs(f), 0);
    fixture_destroy(f);
}

/* Permits that are out stay out over a reload. */
static void test_reload_keeps_permits(void **state)
{
    struct fixture *f = begin(2);

    (void)state;
    f->providers[0].limits.rates[0] = (struct rate){1, MS_PER_MINUTE};
    f->providers[0].limits.rate_count = 1;
    f->institutions[1].limits.rates[0] = (struct rate){1, MS_PER_MINUTE};
    f->institutions[1].limits.rate_count = 1;
    go(f);
    assert_int_equal(count_out(f), 1); /* not handed over yet */
    fixture_reload(f);
    fixture_advance(f, 10 * MS_PER_MINUTE);
    assert_int_equal(count_out(f), 1);
    fixture_send(f, out(f, fixture_request_of(f, 1) != NULL ? 1 : 2));
    fixture_advance(f, MS_PER_MINUTE);
    assert_int_equal(count_out(f), 2);
    fixture_destroy(f);
}

static void test_removed_provider_and_schedule(void **state)
{
    struct fixture *f = begin(3);

    (void)state;
    f->institutions[1].limits.jobs_running_max = 1;
    go(f);
    for (uint32_t c = 1; c <= 3; c++) {
        if (fixture_request_of(f, c) != NULL)
            accept(f, c, c);
        f->consents[c].is_there = false;
    }
    f->settings.provider_count = 0;
    f->settings.institution_count = 0;
    f->settings.schedule_count = 0;
    f->settings.schedule_set_count = 0;
    fixture_reload(f);
    assert_int_equal(f->runs[0].counts[OUTCOME_SKIPPED], 2);
    assert_int_equal(f->runs[0].counts[OUTCOME_UNKNOWN], 1); /* nobody can be asked any more */
    assert_int_equal(fixture_open_runs(f), 0);
    fixture_destroy(f);
}

static void test_removed_provider_of_waiting_retry(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    go(f);
    reply_failed(f, 1, CLASS_RETRY_LATER, REASON_PROVIDER_ERROR);
    f->consents[1].is_there = false;
    f->settings.provider_count = 0;
    f->settings.institution_count = 0;
    fixture_reload(f);
    assert_closed(f, 1, OUTCOME_FAILED, REASON_PROVIDER_ERROR);
    fixture_destroy(f);
}

/* A window of a limit survives a reload with the same name. */
static void test_reload_keeps_windows(void **state)
{
    struct fixture *f = begin(2);

    (void)state;
    f->providers[0].limits.rates[0] = (struct rate){1, MS_PER_HOUR};
    f->providers[0].limits.rate_count = 1;
    go(f);
    assert_int_equal(count_out(f), 1);
    reply(f, fixture_request_of(f, 1) != NULL ? 1 : 2, CLASS_SUCCESS);
    fixture_reload(f);
    assert_int_equal(count_out(f), 0);
    f->providers[0].limits.rates[0].count = 2; /* one more now */
    fixture_reload(f);
    assert_int_equal(count_out(f), 1);
    fixture_destroy(f);
}

/* ---- people ---- */

static void test_pause_scopes(void **state)
{
    static const struct {
        enum scope_kind scope;
        uint32_t index;
        uint32_t out; /* of three: one of B */
    } rows[] = {
        {SCOPE_ALL, 0, 0},      {SCOPE_PROVIDER, 0, 0}, {SCOPE_INSTITUTION, 1, 1},
        {SCOPE_SCHEDULE, 0, 0}, {SCOPE_CONSENT, 2, 2},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        for (int ends_by_itself = 0; ends_by_itself < 2; ends_by_itself++) {
            struct fixture *f = begin(3);
            struct utc_time until = UTC_NEVER;

            f->consents[3].settings.institution = 2;
            fixture_start(f, 1);
            if (ends_by_itself)
                until = utc_add_ms(fixture_now(f).utc, ONE_AM + MS_PER_HOUR);
            pause_scope(f, EVENT_PAUSE, rows[i].scope, rows[i].index, until);
            fixture_advance(f, ONE_AM);
            assert_int_equal(count_out(f), rows[i].out);
            if (!ends_by_itself)
                pause_scope(f, EVENT_RESUME, rows[i].scope, rows[i].index, UTC_NONE);
            else
                fixture_advance(f, MS_PER_HOUR);
            assert_int_equal(count_out(f), 3);
            fixture_destroy(f);
        }
    }
}

static void test_paused_until_deadline(void **state)
{
    struct fixture *f = begin(2);

    (void)state;
    fixture_start(f, 1);
    pause_scope(f, EVENT_PAUSE, SCOPE_SCHEDULE, 0, UTC_NEVER);
    pause_scope(f, EVENT_PAUSE, SCOPE_CONSENT, 1, UTC_NEVER);
    fixture_advance(f, ONE_AM + 4 * MS_PER_HOUR);
    assert_skipped(f, 1, REASON_PAUSED);
    assert_skipped(f, 2, REASON_PAUSED);
    fixture_destroy(f);
}

/* A retry whose time came in a pause goes on when the pause ends, not at the deadline. */
static void test_paused_retry_goes_on(void **state)
{
    static const enum scope_kind scopes[] = {SCOPE_ALL, SCOPE_PROVIDER, SCOPE_INSTITUTION,
                                             SCOPE_SCHEDULE, SCOPE_CONSENT};

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(scopes); i++) {
        struct fixture *f = begin(1);
        uint32_t index = scopes[i] == SCOPE_INSTITUTION || scopes[i] == SCOPE_CONSENT ? 1 : 0;

        go(f);
        reply_failed(f, 1, CLASS_RETRY_LATER, REASON_PROVIDER_ERROR);
        pause_scope(f, EVENT_PAUSE, scopes[i], index, UTC_NEVER);
        fixture_advance(f, MS_PER_HOUR);
        assert_waits(f, 1);
        pause_scope(f, EVENT_RESUME, scopes[i], index, UTC_NONE);
        assert_non_null(fixture_request_of(f, 1));
        fixture_destroy(f);
    }
}

static void test_manual_trigger(void **state)
{
    struct fixture *f = begin(4);

    (void)state;
    f->providers[0].limits.jobs_running_max = 1;
    f->providers[0].cooldown = (struct cooldown_settings){MS_PER_HOUR, MS_PER_HOUR, MS_PER_HOUR};
    fixture_start(f, 1);
    trigger(f, 1, false);
    assert_int_equal(fixture_job_of(f, 1)->trigger, TRIGGER_MANUAL);
    assert_int_equal(fixture_job_of(f, 1)->run, 0);
    trigger(f, 1, false); /* a live job: nothing new */
    assert_int_equal(f->attempt_count, 1);
    reply(f, 1, CLASS_SUCCESS);
    trigger(f, 1, true); /* the cooldown is not asked */
    assert_int_equal(f->attempt_count, 2);
    reply(f, 1, CLASS_SUCCESS);
    fixture_advance(f, ONE_AM);
    assert_int_equal(count_out(f), 1);
    for (uint32_t c = 2; c <= 4; c++) /* goes before the bulk */
        if (fixture_job_of(f, c) == NULL) {
            uint32_t busy = fixture_request_of(f, 2) != NULL   ? 2
                            : fixture_request_of(f, 3) != NULL ? 3
                            : fixture_request_of(f, 4) != NULL ? 4
                                                               : 1;

            trigger(f, c, false);
            reply(f, busy, CLASS_SUCCESS);
            assert_non_null(fixture_request_of(f, c));
            break;
        }
    fixture_destroy(f);
}

static void test_trigger_gives_up(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    fixture_start(f, 1);
    pause_scope(f, EVENT_PAUSE, SCOPE_ALL, 0, UTC_NEVER);
    trigger(f, 1, false);
    assert_int_equal(scheduler_jobs_live(f->scheduler), 1);
    f->settings.schedule_count = 1;
    fixture_advance(f, MS_PER_HOUR - 1);
    assert_int_equal(scheduler_jobs_live(f->scheduler), 1);
    scheduler_set_calendars(f->scheduler, false);
    fixture_advance(f, 1);
    assert_int_equal(scheduler_jobs_live(f->scheduler), 0);
    assert_int_equal(f->attempt_count, 0);
    fixture_destroy(f);
}

static void test_drain(void **state)
{
    struct fixture *f = begin(2);
    struct event event = {.kind = EVENT_DRAIN};

    (void)state;
    f->providers[0].limits.jobs_running_max = 1;
    go(f);
    f->is_draining = true;
    fixture_event(f, &event);
    assert_false(scheduler_is_drained(f->scheduler));
    accept(f, fixture_request_of(f, 1) != NULL ? 1 : 2, 1);
    assert_true(scheduler_is_drained(f->scheduler));
    fixture_advance(f, MS_PER_HOUR);
    assert_int_equal(count_out(f), 0); /* not even a poll */
    fixture_start(f, 2);               /* the slots were kept for the next start */
    (void)wait_for(f, fixture_job_of(f, 1) != NULL ? 1 : 2, MS_PER_MINUTE);
    assert_int_equal(fixture_open_runs(f), 1);
    fixture_destroy(f);
}

static bool only_two(void *context, uint32_t consent)
{
    (void)context;
    return consent == 2;
}

static void test_once(void **state)
{
    struct fixture *f = begin(3);
    struct fault fault;
    uint32_t run;

    (void)state;
    f->schedules[0].spread_ms = 4 * MS_PER_HOUR;
    fixture_start(f, 1);
    scheduler_set_calendars(f->scheduler, false);
    f->once_filter = only_two;
    assert_int_equal(
        scheduler_open_once(f->scheduler, fixture_now(f), 0, false, only_two, NULL, &run, &fault),
        RESULT_OK);
    fixture_time(f);
    assert_int_equal(f->runs[0].run, run);
    assert_int_equal(f->runs[0].trigger, TRIGGER_ONCE);
    assert_int_equal(count_out(f), 1); /* the spread is not kept */
    reply(f, 2, CLASS_SUCCESS);
    assert_int_equal(fixture_open_runs(f), 0);
    assert_int_equal(
        scheduler_open_once(f->scheduler, fixture_now(f), 9, false, NULL, NULL, &run, &fault),
        RESULT_FAULT);
    fixture_advance(f, 2 * ONE_AM);
    assert_int_equal(f->run_count, 1); /* calendars fire nothing */
    fixture_destroy(f);
}

/* ---- why ---- */

static void test_why(void **state)
{
    struct fixture *f = begin(2);
    struct gate_verdict verdicts[GATE_COUNT];
    struct time_now now;

    (void)state;
    f->providers[0].quota = (struct quota_settings){1, 30 * MS_PER_HOUR};
    f->providers[0].cooldown.after_success_ms = 2 * MS_PER_HOUR;
    f->institutions[1].limits.rates[0] = (struct rate){2, 3 * MS_PER_HOUR};
    f->institutions[1].limits.rate_count = 1;
    go(f);
    now = fixture_now(f);
    assert_true(scheduler_why(f->scheduler, now, 1, verdicts).ms == UTC_NEVER.ms);
    assert_false(verdicts[GATE_SINGLE_FLIGHT].is_open);
    reply(f, 1, CLASS_SUCCESS);
    reply(f, 2, CLASS_SUCCESS);
    now = fixture_now(f);
    assert_true(scheduler_why(f->scheduler, now, 1, verdicts).ms == now.utc.ms + 30 * MS_PER_HOUR);
    assert_true(verdicts[GATE_SINGLE_FLIGHT].is_open && verdicts[GATE_AUTH].is_open);
    assert_true(verdicts[GATE_COOLDOWN].earliest.ms == now.utc.ms + 2 * MS_PER_HOUR);
    assert_int_equal(verdicts[GATE_QUOTA].reason, REASON_QUOTA);
    assert_true(verdicts[GATE_INSTITUTION_RATE].earliest.ms == now.utc.ms + 3 * MS_PER_HOUR);
    pause_scope(f, EVENT_PAUSE, SCOPE_ALL, 0, UTC_NEVER);
    assert_true(scheduler_why(f->scheduler, fixture_now(f), 1, verdicts).ms == UTC_NEVER.ms);
    assert_int_equal(verdicts[GATE_PAUSED].reason, REASON_PAUSED);
    scheduler_consent_remove(f->scheduler, 2);
    (void)scheduler_why(f->scheduler, fixture_now(f), 2, verdicts);
    assert_int_equal(verdicts[GATE_STATUS].reason, REASON_REMOVED);
    fixture_destroy(f);
}

static void test_odd_events(void **state)
{
    struct fixture *f = begin(1);
    struct event events[] = {
        {.kind = EVENT_SENT, .as.sent = {.job_slot = 9999}},
        {.kind = EVENT_SENT, .as.sent = {.request = REQUEST_TOKEN, .provider = 99}},
        {.kind = EVENT_ANSWER, .as.answer = {.job_slot = 9999}},
        {.kind = EVENT_WEBHOOK, .as.webhook = {.job_slot = 9999}},
        {.kind = EVENT_TOKEN, .as.token = {.provider = 0, .is_granted = true}},
        {.kind = EVENT_TRIGGER, .as.trigger = {0, false}},
        {.kind = EVENT_TRIGGER, .as.trigger = {1000, false}},
        {.kind = EVENT_PAUSE, .as.pause = {SCOPE_PROVIDER, 99, {0}}},
        {.kind = EVENT_RESUME, .as.pause = {SCOPE_CONSENT, 0, {0}}},
        {.kind = EVENT_RELEASE, .as.release = {1}},
        {.kind = EVENT_RELEASE, .as.release = {UINT32_MAX}},
    };
    struct answer answer = fixture_answer(CLASS_SUCCESS);
    struct event again = {.kind = EVENT_ANSWER};

    (void)state;
    go(f);
    for (size_t i = 0; i < ROW_COUNT(events); i++)
        fixture_event(f, &events[i]);
    assert_int_equal(count_out(f), 1);
    again.as.answer.job_slot = out(f, 1)->job_slot;
    again.as.answer.request = REQUEST_POLL; /* nobody asked for that */
    again.as.answer.answer = answer;
    fixture_event(f, &again);
    assert_int_equal(fixture_open_runs(f), 1);
    reply(f, 1, CLASS_SUCCESS);
    again.as.answer.request = REQUEST_INITIATE; /* told twice */
    fixture_event(f, &again);
    assert_int_equal(f->runs[0].counts[OUTCOME_REFRESHED], 1);
    fixture_destroy(f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_fires_once_on_time),
    cmocka_unit_test(test_stopped_credentials_hide_the_end),
    cmocka_unit_test(test_empty_run_closes),
    cmocka_unit_test(test_spread_is_stable),
    cmocka_unit_test(test_spread_ends_before_the_deadline),
    cmocka_unit_test(test_deadline),
    cmocka_unit_test(test_rate_counts_from_hand_over),
    cmocka_unit_test(test_institution_rate_leaves_others_alone),
    cmocka_unit_test(test_waiting_is_not_failing),
    cmocka_unit_test(test_polls_and_initiations_alternate),
    cmocka_unit_test(test_priority_goes_first),
    cmocka_unit_test(test_institutions_take_turns),
    cmocka_unit_test(test_blackout),
    cmocka_unit_test(test_window_never_opens_in_time),
    cmocka_unit_test(test_quota),
    cmocka_unit_test(test_refused_is_not_charged),
    cmocka_unit_test(test_cooldown_by_outcome),
    cmocka_unit_test(test_cooldown_refused),
    cmocka_unit_test(test_attempts_are_total),
    cmocka_unit_test(test_retry_past_deadline_is_not_awaited),
    cmocka_unit_test(test_retry_waits_for_dedupe_window),
    cmocka_unit_test(test_pushback_blocks_institution),
    cmocka_unit_test(test_retry_after_of_any_refusal),
    cmocka_unit_test(test_retry_after_past_deadline),
    cmocka_unit_test(test_pushback_yields_to_backoff),
    cmocka_unit_test(test_pushback_without_institution_blocks_provider),
    cmocka_unit_test(test_pushback_doubles),
    cmocka_unit_test(test_reasons_at_deadline),
    cmocka_unit_test(test_quota_ends_at_deadline),
    cmocka_unit_test(test_not_tried_again),
    cmocka_unit_test(test_token_comes_first),
    cmocka_unit_test(test_token_pays_at_hand_over),
    cmocka_unit_test(test_probe_opens_for_all),
    cmocka_unit_test(test_one_renewal_one_replay_then_stop),
    cmocka_unit_test(test_each_token_has_its_renewal),
    cmocka_unit_test(test_rotated_secret_fails_nobody),
    cmocka_unit_test(test_failed_token_stops),
    cmocka_unit_test(test_one_bad_consent_does_not_stop_all),
    cmocka_unit_test(test_deduplicated_by_id),
    cmocka_unit_test(test_deduplicated_by_start),
    cmocka_unit_test(test_verdict_wins_over_deduplicated),
    cmocka_unit_test(test_poll_endings),
    cmocka_unit_test(test_failed_polls),
    cmocka_unit_test(test_poll_hint_and_floor),
    cmocka_unit_test(test_webhook_prompts_a_poll),
    cmocka_unit_test(test_hold_and_release),
    cmocka_unit_test(test_look_up_refines),
    cmocka_unit_test(test_look_up_judges_failure),
    cmocka_unit_test(test_states_that_send_nothing),
    cmocka_unit_test(test_expires_is_learned),
    cmocka_unit_test(test_learned_expires_and_the_row),
    cmocka_unit_test(test_reinitiate_once),
    cmocka_unit_test(test_repeat_in_doubt_again),
    cmocka_unit_test(test_await_webhook),
    cmocka_unit_test(test_await_without_webhook),
    cmocka_unit_test(test_crash_leaves_doubt),
    cmocka_unit_test(test_crash_counts_attempts),
    cmocka_unit_test(test_catch_up_keeps_its_places),
    cmocka_unit_test(test_superseded_and_single_flight),
    cmocka_unit_test(test_superseded_at_the_default_deadline),
    cmocka_unit_test(test_catch_up),
    cmocka_unit_test(test_no_catch_up),
    cmocka_unit_test(test_catch_up_ends_at_next_firing),
    cmocka_unit_test(test_clock_set_back_fires_nothing_again),
    cmocka_unit_test(test_new_zone_data_fires_nothing_again),
    cmocka_unit_test(test_editing_never_fires),
    cmocka_unit_test(test_removed_consent),
    cmocka_unit_test(test_removed_while_asleep),
    cmocka_unit_test(test_reload_keeps_permits),
    cmocka_unit_test(test_removed_provider_and_schedule),
    cmocka_unit_test(test_removed_provider_of_waiting_retry),
    cmocka_unit_test(test_reload_keeps_windows),
    cmocka_unit_test(test_pause_scopes),
    cmocka_unit_test(test_paused_until_deadline),
    cmocka_unit_test(test_paused_retry_goes_on),
    cmocka_unit_test(test_manual_trigger),
    cmocka_unit_test(test_trigger_gives_up),
    cmocka_unit_test(test_drain),
    cmocka_unit_test(test_once),
    cmocka_unit_test(test_why),
    cmocka_unit_test(test_odd_events),
};

int main(void)
{
    return cmocka_run_group_tests_name("scheduler", tests, NULL, NULL);
}
