/* SPDX-License-Identifier: MIT
 * test_gone_consent.c - a consent leaves the configuration while its job runs, and the process is
 * started again: what the job holds at its bank and its provider it holds until its end. */
#include <string.h>

#include "tests/unit/scheduler_fixture.h"
#include "tests/unit/unit_test.h"

#define ONE_AM MS_PER_HOUR

/* The only consent with a request out. */
static uint32_t who_is_out(struct fixture *f)
{
    assert_int_equal(f->requests_out, 1);
    return fixture_request_of(f, 1) != NULL ? 1 : 2;
}

static void reply(struct fixture *f, uint32_t consent, enum answer_class class_)
{
    struct fixture_request *request = fixture_request_of(f, consent);
    struct answer answer = fixture_answer(class_);

    assert_non_null(request);
    answer.reference_hash = 7;
    fixture_deliver(f, request, &answer);
}

/* One of two consents has its job accepted, is removed, and the process starts again. Answers the
 * other one. */
static uint32_t lose_the_first(struct fixture *f)
{
    uint32_t first;

    f->schedules[0].deadline.duration_ms = 12 * MS_PER_HOUR;
    fixture_start(f, 1);
    fixture_advance(f, ONE_AM);
    first = who_is_out(f);
    reply(f, first, CLASS_ACCEPTED);
    f->consents[first].is_there = false;
    scheduler_consent_remove(f->scheduler, first);
    fixture_time(f);
    fixture_start(f, 1);
    return 3 - first;
}

/* The place of a running job at its bank, and at its provider. */
static void test_its_place_stays_taken(void **state)
{
    (void)state;
    for (int at_bank = 0; at_bank < 2; at_bank++) {
        struct fixture *f = fixture_create(2);
        uint32_t other;

        if (at_bank != 0)
            f->institutions[1].limits.jobs_running_max = 1;
        else
            f->providers[0].limits.jobs_running_max = 1;
        other = lose_the_first(f);
        fixture_advance(f, MS_PER_MINUTE);
        assert_int_equal(fixture_job_of(f, 3 - other)->state, JOB_RUNNING);
        assert_int_equal(who_is_out(f), 3 - other); /* its poll, and nothing else */
        reply(f, 3 - other, CLASS_SUCCESS);
        fixture_advance(f, MS_PER_SECOND);
        assert_non_null(fixture_request_of(f, other));
        assert_false(fixture_job_of(f, 3 - other)->is_open);
        fixture_destroy(f);
    }
}

/* What was sent for it fills its provider's rate. */
static void test_its_sendings_count_at_the_provider(void **state)
{
    struct fixture *f = fixture_create(2);
    uint32_t other;

    (void)state;
    f->providers[0].limits.rates[0] = (struct rate){1, 2 * MS_PER_HOUR};
    f->providers[0].limits.rate_count = 1;
    other = lose_the_first(f);
    fixture_advance(f, MS_PER_HOUR);
    assert_null(fixture_request_of(f, other));
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_its_place_stays_taken),
        cmocka_unit_test(test_its_sendings_count_at_the_provider),
    };

    return cmocka_run_group_tests_name("gone_consent", tests, NULL, NULL);
}
