/* SPDX-License-Identifier: MIT
 * test_clock_steps.c - a wall clock that is set and a machine that sleeps: no storm, no gap, no
 * double; and what a reload adds holds for what was sent before. The fixture's judge looks at every
 * batch: quota and cooldown by the time that has really passed, rates by the true instants. */
#include "tests/unit/scheduler_fixture.h"
#include "tests/unit/unit_test.h"

#include "daemon/clock_drift.h"

static void refresh_all(struct fixture *f)
{
    for (uint32_t consent = 1; consent <= f->consent_max; consent++) {
        struct fixture_request *request = fixture_request_of(f, consent);
        struct answer answer = fixture_answer(CLASS_SUCCESS);

        if (request == NULL)
            continue;
        answer.reference_hash = 1000 + f->job_max * 64 + consent;
        if (!request->is_sent)
            fixture_send(f, request);
        fixture_deliver(f, request, &answer);
    }
}

/* Let time pass, answering whatever is asked. */
static void live(struct fixture *f, int64_t ms)
{
    int64_t end_us = f->true_us + ms * US_PER_MS;

    while (f->true_us < end_us) {
        int64_t left_ms = (end_us - f->true_us) / US_PER_MS;

        fixture_advance(f, left_ms < MS_PER_MINUTE ? left_ms + 1 : MS_PER_MINUTE);
        refresh_all(f);
    }
}

static struct fixture *begin(uint32_t consents)
{
    struct fixture *f = fixture_create(consents);

    f->providers[0].quota = (struct quota_settings){4, MS_PER_DAY};
    f->providers[0].cooldown =
        (struct cooldown_settings){6 * MS_PER_HOUR, 6 * MS_PER_HOUR, MS_PER_HOUR};
    f->schedules[0].retry.attempts_max = 1;
    return f;
}

static void set_clock(struct fixture *f, int64_t step_ms)
{
    f->clock_was_stepped = true;
    f->utc_offset_ms += step_ms;
    scheduler_clock_stepped(f->scheduler, fixture_now(f));
    fixture_time(f);
}

/* Each night since the first is accounted for exactly once, whatever the clock did. */
static void assert_each_night_once(const struct fixture *f)
{
    int64_t last_ms = f->runs[0].slot.ms;
    int64_t now_ms = fixture_now(f).utc.ms;

    for (uint32_t i = 1; i < f->run_count; i++) {
        assert_true(f->runs[i].slot.ms == last_ms + MS_PER_DAY);
        last_ms = f->runs[i].slot.ms;
    }
    assert_true(last_ms > now_ms - MS_PER_DAY);
}

static void assert_ends(const struct fixture *f)
{
    for (uint32_t i = 0; i < f->run_count; i++) {
        const struct fixture_run *run = &f->runs[i];
        uint32_t ends = 0;

        for (int outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++)
            ends += run->counts[outcome];
        if (!run->is_open)
            assert_int_equal(ends, run->due);
    }
}

static void test_steps(void **state)
{
    static const int64_t steps_ms[] = {MS_PER_SECOND, MS_PER_MINUTE, MS_PER_HOUR, 5 * MS_PER_HOUR,
                                       MS_PER_DAY};
    /* Before the run, in it, an hour behind it, at noon. */
    static const int64_t moments_ms[] = {30 * MS_PER_MINUTE, MS_PER_HOUR + MS_PER_MINUTE,
                                         2 * MS_PER_HOUR, 12 * MS_PER_HOUR};

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(steps_ms); i++)
        for (size_t m = 0; m < ROW_COUNT(moments_ms); m++)
            for (int sign = -1; sign <= 1; sign += 2)
                for (int back = 0; back < 2; back++) {
                    struct fixture *f = begin(5);

                    fixture_start(f, 1);
                    live(f, MS_PER_DAY + moments_ms[m]);
                    set_clock(f, sign * steps_ms[i]);
                    live(f, 10 * MS_PER_MINUTE);
                    if (back != 0)
                        set_clock(f, -sign * steps_ms[i]);
                    live(f, 3 * MS_PER_DAY);
                    assert_each_night_once(f);
                    assert_ends(f);
                    fixture_destroy(f);
                }
}

/* The machine sleeps for eight hours over the night: one catch-up, for the night that was missed.
 */
static void test_sleep(void **state)
{
    struct fixture *f = begin(5);
    uint32_t runs;

    (void)state;
    fixture_start(f, 1);
    live(f, 23 * MS_PER_HOUR);
    runs = f->run_count;
    f->clock_was_stepped = true;
    f->utc_offset_ms += 8 * MS_PER_HOUR; /* true time of the fixture is the monotonic clock's */
    scheduler_clock_resumed(f->scheduler, fixture_now(f));
    fixture_time(f);
    assert_int_equal(f->run_count, runs + 1);
    assert_int_equal(fixture_last_run(f)->trigger, TRIGGER_CATCH_UP);
    live(f, 2 * MS_PER_DAY);
    assert_each_night_once(f);
    assert_ends(f);
    fixture_destroy(f);
}

/* A clock that was a year ahead for a moment: what was sent then blocks nobody for a year, and the
 * quota still holds. */
static void test_a_year_ahead(void **state)
{
    const int64_t year_ms = 365 * MS_PER_DAY;
    struct fixture *f = begin(1);
    struct event event = {.kind = EVENT_TRIGGER, .as.trigger = {.consent = 1}};
    uint32_t before;

    (void)state;
    fixture_start(f, 1);
    set_clock(f, year_ms);
    fixture_event(f, &event);
    live(f, 2 * MS_PER_HOUR);
    set_clock(f, -year_ms);
    before = f->attempt_count;
    assert_true(before > 0);
    live(f, 6 * MS_PER_HOUR);
    fixture_event(f, &event);
    live(f, MS_PER_HOUR);
    assert_int_equal(f->attempt_count, before + 1);
    /* After a restart, too: the records still carry the instants of that clock. */
    fixture_start(f, 2);
    live(f, 7 * MS_PER_HOUR);
    fixture_event(f, &event);
    live(f, MS_PER_HOUR);
    assert_int_equal(f->attempt_count, before + 2);
    fixture_destroy(f);
}

/* A clock that jumps a day on gives no second helping. */
static void test_a_day_on_frees_no_quota(void **state)
{
    struct fixture *f = begin(1);
    struct event event = {.kind = EVENT_TRIGGER, .as.trigger = {.consent = 1}};
    uint32_t before;

    (void)state;
    f->providers[0].cooldown = (struct cooldown_settings){0, 0, 0};
    f->providers[0].quota = (struct quota_settings){2, MS_PER_DAY};
    fixture_start(f, 1);
    for (int i = 0; i < 2; i++) {
        fixture_event(f, &event);
        live(f, MS_PER_MINUTE);
    }
    before = f->attempt_count;
    assert_int_equal(before, 2);
    set_clock(f, MS_PER_DAY);
    fixture_event(f, &event);
    live(f, MS_PER_HOUR / 2);
    assert_int_equal(f->attempt_count, before);
    fixture_destroy(f);
}

/* ---- what a reload adds ---- */

static uint32_t sends_of(const struct fixture *f, int64_t since_us)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < f->send_count; i++)
        count += f->sends[i].true_us >= since_us;
    return count;
}

/* 40 have left; then a rate of 45 an hour is added: five more, and no more within the hour. */
static void test_a_new_rate_counts_what_left(void **state)
{
    struct fixture *f = fixture_create(60);
    struct limit_settings *limits = &f->institutions[1].limits;
    int64_t began_us;

    (void)state;
    f->schedules[0].retry.attempts_max = 1;
    limits->rates[0] = (struct rate){4, MS_PER_MINUTE};
    limits->rate_count = 1;
    fixture_start(f, 1);
    live(f, MS_PER_HOUR - MS_PER_MINUTE / 2);
    began_us = f->true_us;
    live(f, 10 * MS_PER_MINUTE);
    assert_int_equal(sends_of(f, began_us), 40);
    limits->rates[1] = (struct rate){45, MS_PER_HOUR};
    limits->rate_count = 2;
    fixture_reload(f);
    live(f, 40 * MS_PER_MINUTE);
    assert_int_equal(sends_of(f, began_us), 45);
    live(f, 40 * MS_PER_MINUTE); /* the judge has seen that no hour holds more */
    assert_int_equal(sends_of(f, began_us), 60);
    fixture_destroy(f);
}

/* A node without any rate gets one of a second: it begins used up, and goes on a second later. */
static void test_a_new_short_rate_begins_used_up(void **state)
{
    struct fixture *f = fixture_create(10);
    struct limit_settings *limits = &f->institutions[1].limits;

    (void)state;
    limits->requests_in_flight_max = 3;
    fixture_start(f, 1);
    fixture_advance(f, MS_PER_HOUR + 10);
    assert_int_equal(f->requests_out, 3);
    for (uint32_t consent = 1; consent <= 10; consent++)
        if (fixture_request_of(f, consent) != NULL)
            fixture_send(f, fixture_request_of(f, consent));
    limits->requests_in_flight_max = 0;
    limits->rates[0] = (struct rate){2, MS_PER_SECOND};
    limits->rate_count = 1;
    fixture_reload(f);
    fixture_time(f);
    assert_int_equal(f->requests_out, 3);
    fixture_advance(f, 1001);
    assert_int_equal(f->requests_out, 5);
    fixture_destroy(f);
}

/* Zone data that a reload brings: the same local time does not fire again, the next one does. */
static void test_zone_data_at_a_reload(void **state)
{
    static const struct zone_type west_type = {.offset_s = -3600};
    struct zone west = zone_utc;
    struct fixture *f = begin(1);

    (void)state;
    west.types = &west_type;
    fixture_start(f, 1);
    live(f, 90 * MS_PER_MINUTE);
    assert_int_equal(f->run_count, 1);
    f->schedules[0].calendar.zone = &west;
    fixture_reload(f);
    live(f, 4 * MS_PER_HOUR);
    assert_int_equal(f->run_count, 1);
    live(f, 22 * MS_PER_HOUR);
    assert_int_equal(f->run_count, 2);
    fixture_destroy(f);
}

/* ---- a last poll ---- */

/* The provider's own limit holds the polls of nine jobs back beyond give_up_after: each is asked
 * once more all the same, and none is lost. */
static void test_late_polls_lose_no_job(void **state)
{
    struct fixture *f = fixture_create(9);
    uint32_t refreshed = 0;

    (void)state;
    f->providers[0].limits.rates[0] = (struct rate){10, 10 * MS_PER_MINUTE};
    f->providers[0].limits.rate_count = 1;
    f->providers[0].completion.give_up_after_ms = 5 * MS_PER_MINUTE;
    fixture_start(f, 1);
    fixture_advance(f, MS_PER_HOUR + 10);
    for (uint32_t consent = 1; consent <= 9; consent++) {
        struct fixture_request *request = fixture_request_of(f, consent);
        struct answer answer = fixture_answer(CLASS_ACCEPTED);

        assert_non_null(request);
        answer.reference_hash = consent;
        fixture_send(f, request);
        fixture_deliver(f, request, &answer);
    }
    live(f, 30 * MS_PER_MINUTE);
    for (uint32_t consent = 1; consent <= 9; consent++)
        refreshed += fixture_job_of(f, consent)->outcome == OUTCOME_REFRESHED;
    assert_int_equal(refreshed, 9);
    fixture_destroy(f);
}

/* Still running at the last poll: given up then, and not asked again. */
static void test_the_last_poll_is_the_last(void **state)
{
    struct fixture *f = fixture_create(1);
    struct fixture_request *request;
    struct answer answer = fixture_answer(CLASS_ACCEPTED);

    (void)state;
    f->providers[0].completion.give_up_after_ms = 4 * MS_PER_MINUTE;
    fixture_start(f, 1);
    fixture_advance(f, MS_PER_HOUR + 10);
    answer.reference_hash = 7;
    fixture_send(f, fixture_request_of(f, 1));
    fixture_deliver(f, fixture_request_of(f, 1), &answer);
    answer = fixture_answer(CLASS_RUNNING);
    for (int minute = 0; minute < 12 && fixture_job_of(f, 1)->is_open; minute++) {
        fixture_advance(f, MS_PER_MINUTE);
        request = fixture_request_of(f, 1);
        if (request == NULL)
            continue;
        fixture_send(f, request);
        fixture_deliver(f, request, &answer);
    }
    assert_false(fixture_job_of(f, 1)->is_open);
    assert_int_equal(fixture_job_of(f, 1)->outcome, OUTCOME_UNKNOWN);
    assert_int_equal(fixture_job_of(f, 1)->reason, REASON_LOST);
    fixture_destroy(f);
}

/* ---- noticing ---- */

static void test_drift(void **state)
{
    static const struct {
        int64_t mono_ms; /* since the last look */
        int64_t utc_ms;
        int64_t suspended_ms;
        int64_t step_ms; /* what is told */
        int64_t told_suspended_ms;
    } rows[] = {
        {1000, 1000, 0, 0, 0},
        {1000, 1099, 0, 0, 0},                               /* noise */
        {6 * MS_PER_HOUR, 6 * MS_PER_HOUR + 10800, 0, 0, 0}, /* slewed by 500 ppm */
        {10, 1010, 0, 1000, 0},
        {10, -990, 0, -1000, 0},
        {10, MS_PER_DAY + 10, 0, MS_PER_DAY, 0},
        {10, 8 * MS_PER_HOUR + 10, 8 * MS_PER_HOUR, 0, 8 * MS_PER_HOUR},
        {10, 9 * MS_PER_HOUR + 10, 8 * MS_PER_HOUR, MS_PER_HOUR, 8 * MS_PER_HOUR},
        {10, 510, 500, 500, 0}, /* too short to be called sleep */
    };
    struct clock_drift drift = {0};
    struct time_now now = {{INT64_C(1800000000000)}, {5000000}};
    struct clock_change change;
    int64_t suspended_us = 0;

    (void)state;
    assert_false(clock_drift_look(&drift, now, 0, &change));
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        now.mono.us += rows[i].mono_ms * US_PER_MS;
        now.utc.ms += rows[i].utc_ms;
        suspended_us += rows[i].suspended_ms * US_PER_MS;
        assert_true(clock_drift_look(&drift, now, suspended_us, &change) ==
                    (rows[i].step_ms != 0 || rows[i].told_suspended_ms != 0));
        assert_true(change.step_ms == rows[i].step_ms);
        assert_true(change.suspended_ms == rows[i].told_suspended_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_a_year_ahead),
        cmocka_unit_test(test_a_day_on_frees_no_quota),
        cmocka_unit_test(test_a_new_rate_counts_what_left),
        cmocka_unit_test(test_a_new_short_rate_begins_used_up),
        cmocka_unit_test(test_zone_data_at_a_reload),
        cmocka_unit_test(test_late_polls_lose_no_job),
        cmocka_unit_test(test_the_last_poll_is_the_last),
        cmocka_unit_test(test_drift),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
