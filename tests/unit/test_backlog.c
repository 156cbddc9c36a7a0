/* SPDX-License-Identifier: MIT
 * test_backlog.c - what waits is counted once, in the right age, for the right reason, and what is
 * expected of it follows from the slowest limit. */
#include "scheduler/backlog.h"
#include "tests/unit/scheduler_fixture.h"
#include "tests/unit/unit_test.h"

struct seen {
    struct backlog providers[FIXTURE_PROVIDERS];
    struct backlog institutions[FIXTURE_INSTITUTIONS];
};

static struct seen look(const struct fixture *f)
{
    struct seen seen;

    scheduler_backlog(f->scheduler, fixture_now(f), seen.providers, seen.institutions);
    for (uint32_t i = 0; i < f->settings.institution_count; i++) {
        const struct backlog *backlog = &seen.institutions[i];
        uint32_t ages = 0;
        uint32_t reasons = 0;

        for (int age = 0; age < BACKLOG_AGES; age++)
            ages += backlog->ages[age];
        for (int reason = 0; reason < REASON_COUNT; reason++)
            reasons += backlog->reasons[reason];
        assert_int_equal(ages, backlog->waiting);
        assert_int_equal(reasons, backlog->waiting);
    }
    return seen;
}

static void pause_consent(struct fixture *f, uint32_t consent)
{
    const struct event event = {
        .kind = EVENT_PAUSE,
        .as.pause = {.scope = SCOPE_CONSENT, .index = consent, .until = UTC_NEVER}};

    f->consents[consent].paused_until = UTC_NEVER;
    fixture_event(f, &event);
}

/* One in ten minutes, twenty due at one, to be done by five: it fits. */
static void test_ages_and_expectation(void **state)
{
    struct fixture *f = fixture_create(20);
    struct seen seen;
    const struct backlog *bank = &seen.institutions[1];

    (void)state;
    f->institutions[1].limits.rates[0] = (struct rate){1, 10 * MS_PER_MINUTE};
    f->institutions[1].limits.rate_count = 1;
    fixture_start(f, 1);
    seen = look(f);
    assert_int_equal(bank->waiting + bank->coming, 0);
    assert_true(bank->oldest.ms == UTC_NEVER.ms);
    pause_consent(f, 7);
    fixture_advance(f, MS_PER_HOUR + 10 * MS_PER_SECOND);
    fixture_send(f, fixture_request_of(f, f->requests[0].consent));
    fixture_advance(f, MS_PER_SECOND);
    seen = look(f);
    assert_int_equal(bank->waiting, 19);
    assert_int_equal(bank->ages[0], 19);
    assert_int_equal(bank->reasons[REASON_RATE] + bank->reasons[REASON_PAUSED], 19);
    assert_int_equal(bank->reasons[REASON_PAUSED], 1);
    assert_int_equal(bank->bound, REASON_RATE);
    assert_true(bank->interval_us == 10 * MS_PER_MINUTE * US_PER_MS);
    assert_int_equal(bank->by_deadline, 19);
    assert_true(bank->done_by.ms == fixture_now(f).utc.ms + 190 * MS_PER_MINUTE);
    assert_true(bank->oldest.ms == f->runs[0].slot.ms);
    assert_int_equal(seen.providers[0].waiting, 19);
    assert_int_equal(seen.institutions[2].waiting, 0);
    fixture_advance(f, 6 * MS_PER_MINUTE);
    seen = look(f);
    assert_int_equal(bank->ages[2], 19); /* five to fifteen minutes */
    fixture_destroy(f);
}

/* Spread over four hours: most are to come, and are not said to wait. */
static void test_coming(void **state)
{
    struct fixture *f = fixture_create(40);
    struct seen seen;
    uint32_t out;

    (void)state;
    f->schedules[0].spread_ms = 4 * MS_PER_HOUR;
    fixture_start(f, 1);
    fixture_advance(f, 2 * MS_PER_HOUR);
    out = f->requests_out;
    seen = look(f);
    assert_int_equal(seen.institutions[1].waiting, 0);
    assert_int_equal(seen.institutions[1].coming, 40 - out);
    assert_true(out > 0 && out < 40);
    assert_int_equal(seen.institutions[1].interval_us, 0);
    assert_int_equal(seen.institutions[1].by_deadline, 40 - out);
    fixture_destroy(f);
}

/* Two banks share a slow account: each is as slow as its part of it. */
static void test_part_of_the_provider(void **state)
{
    struct fixture *f = fixture_create(30);
    struct seen seen;

    (void)state;
    for (uint32_t consent = 21; consent <= 30; consent++)
        f->consents[consent].settings.institution = 2;
    f->providers[0].limits.rates[0] = (struct rate){1, MS_PER_MINUTE};
    f->providers[0].limits.rate_count = 1;
    fixture_start(f, 1);
    fixture_advance(f, MS_PER_HOUR + MS_PER_SECOND);
    seen = look(f);
    assert_int_equal(seen.providers[0].waiting, 29);
    assert_int_equal(seen.institutions[1].waiting + seen.institutions[2].waiting, 29);
    assert_int_equal(seen.institutions[1].bound, REASON_RATE);
    /* Together they take as long as the account. */
    for (uint32_t i = 1; i <= 2; i++)
        assert_in_range((uint64_t)(seen.institutions[i].done_by.ms - seen.providers[0].done_by.ms +
                                   MS_PER_SECOND),
                        0, 2 * MS_PER_SECOND);
    fixture_destroy(f);
}

/* A retry that waits is counted, what runs is not. */
static void test_jobs(void **state)
{
    struct fixture *f = fixture_create(3);
    struct answer answer = fixture_answer(CLASS_TRANSPORT);
    struct seen seen;

    (void)state;
    answer.reason = REASON_TRANSPORT;
    f->schedules[0].retry = (struct retry_settings){3, MS_PER_HOUR, MS_PER_HOUR};
    fixture_start(f, 1);
    fixture_advance(f, MS_PER_HOUR + 10);
    answer.reached_socket = false;
    answer.answered = false;
    fixture_deliver(f, fixture_request_of(f, 1), &answer);
    seen = look(f);
    assert_int_equal(seen.institutions[1].waiting, 1);
    assert_int_equal(seen.institutions[1].reasons[REASON_RETRY_WAIT], 1);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ages_and_expectation),
        cmocka_unit_test(test_coming),
        cmocka_unit_test(test_part_of_the_provider),
        cmocka_unit_test(test_jobs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
