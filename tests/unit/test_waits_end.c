/* SPDX-License-Identifier: MIT
 * test_waits_end.c - waits that something ends sooner than was known when they began: a wall clock
 * that is put back while nobody runs, and a refresh by hand that shortens a cooldown. Found by
 * simulation. */
#include "tests/unit/scheduler_fixture.h"
#include "tests/unit/unit_test.h"

static void answer(struct fixture *f, enum answer_class class_)
{
    struct fixture_request *request = fixture_request_of(f, 1);
    struct answer answer = fixture_answer(class_);

    assert_non_null(request);
    answer.reference_hash = 1000 + f->attempt_count;
    answer.is_about_job = request->kind == REQUEST_POLL;
    if (!request->is_sent)
        fixture_send(f, request);
    fixture_deliver(f, request, &answer);
}

static void trigger(struct fixture *f, bool force)
{
    struct event event = {.kind = EVENT_TRIGGER, .as.trigger = {1, force}};

    f->consents[1].is_forced = force;
    fixture_event(f, &event);
}

/* A job by hand waits for its second attempt; the clock is put back by days while the daemon is
 * down. Neither the wait nor the patience with it lasts for days. */
static void test_clock_put_back_while_down(void **state)
{
    static const int64_t back_ms[] = {2 * MS_PER_HOUR, 28 * MS_PER_HOUR, 365 * MS_PER_DAY};

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(back_ms); i++) {
        struct fixture *f = fixture_create(1);

        f->schedules[0].retry = (struct retry_settings){3, 30 * MS_PER_MINUTE, 30 * MS_PER_MINUTE};
        fixture_start(f, 1);
        fixture_advance(f, 2 * MS_PER_HOUR);
        trigger(f, false);
        answer(f, CLASS_RETRY_LATER);
        assert_true(fixture_job_of(f, 1)->is_open);
        f->clock_was_stepped = true;
        f->utc_offset_ms -= back_ms[i];
        fixture_start(f, 2);
        fixture_advance(f, 31 * MS_PER_MINUTE);
        answer(f, CLASS_RETRY_LATER); /* it has been sent again */
        fixture_advance(f, MS_PER_HOUR);
        if (fixture_request_of(f, 1) != NULL)
            answer(f, CLASS_RETRY_LATER);
        fixture_advance(f, 31 * MS_PER_MINUTE);
        assert_false(fixture_job_of(f, 1)->is_open);
        fixture_destroy(f);
    }
}

/* A slot waits for the long cooldown after a failure. Somebody forces a refresh, and it succeeds:
 * the slot only has to wait for the short cooldown after a success. */
static void test_forced_success_shortens_a_wait(void **state)
{
    struct fixture *f = fixture_create(1);

    (void)state;
    f->providers[0].cooldown =
        (struct cooldown_settings){4 * MS_PER_HOUR, 30 * MS_PER_MINUTE, 4 * MS_PER_HOUR};
    f->schedules[0].retry.attempts_max = 1;
    fixture_start(f, 1);
    fixture_advance(f, 30 * MS_PER_MINUTE);
    trigger(f, false);
    answer(f, CLASS_ACCEPTED); /* what is refused at once costs nothing */
    fixture_advance(f, MS_PER_MINUTE);
    answer(f, CLASS_RETRY_LATER);
    assert_false(fixture_job_of(f, 1)->is_open);
    fixture_advance(f, 2 * MS_PER_HOUR); /* the run of 01:00 has begun, its slot waits */
    assert_int_equal(f->run_count, 1);
    assert_int_equal(fixture_last_run(f)->slots[1], OUTCOME_NONE);
    assert_null(fixture_request_of(f, 1));
    trigger(f, true);
    answer(f, CLASS_SUCCESS);
    assert_false(fixture_job_of(f, 1)->is_open);
    fixture_advance(f, 29 * MS_PER_MINUTE);
    assert_null(fixture_request_of(f, 1));
    fixture_advance(f, 2 * MS_PER_MINUTE);
    answer(f, CLASS_SUCCESS);
    assert_int_equal(fixture_last_run(f)->slots[1], OUTCOME_REFRESHED);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_put_back_while_down),
        cmocka_unit_test(test_forced_success_shortens_a_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
