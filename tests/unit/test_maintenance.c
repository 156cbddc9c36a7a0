/* SPDX-License-Identifier: MIT
 * test_maintenance.c - when lists of institutions are asked for, and what they do to the core.
 * Every batch is judged by scheduler_fixture.c as well. The nightly slot is at 01:00 UTC. */
#include <string.h>

#include "tests/unit/scheduler_fixture.h"
#include "tests/unit/unit_test.h"

#define ONE_AM MS_PER_HOUR
#define EVERY MS_PER_HOUR

static struct fixture *begin(uint32_t consents)
{
    struct fixture *f = fixture_create(consents);

    f->providers[0].maintenance_every_ms = EVERY;
    return f;
}

static void start(struct fixture *f)
{
    fixture_start(f, 1);
    scheduler_read_maintenance(f->scheduler, true);
    fixture_time(f);
}

/* The call for a list that is out, or NULL; never two. */
static struct fixture_request *list_call(struct fixture *f)
{
    struct fixture_request *found = NULL;

    for (uint32_t i = 0; i < FIXTURE_REQUESTS; i++)
        if (f->requests[i].is_out && f->requests[i].kind == REQUEST_INSTITUTIONS) {
            assert_null(found);
            found = &f->requests[i];
        }
    return found;
}

static void end_call(struct fixture *f, enum answer_class class_)
{
    struct fixture_request *request = list_call(f);
    struct event event = {.kind = EVENT_INSTITUTIONS};

    assert_non_null(request);
    fixture_send(f, request);
    request->is_out = false;
    f->requests_out--;
    event.as.institutions.provider = request->provider;
    event.as.institutions.answer = fixture_answer(class_);
    fixture_event(f, &event);
}

/* What the list says of an institution; how many records that made. */
static uint32_t tell(struct fixture *f, uint32_t institution, int64_t from_ms, int64_t until_ms)
{
    struct event event = {.kind = EVENT_MAINTENANCE};
    uint32_t records = 0;

    event.as.maintenance.institution = institution;
    event.as.maintenance.count = until_ms > from_ms;
    event.as.maintenance.spans[0].start.ms = from_ms;
    event.as.maintenance.spans[0].end.ms = until_ms;
    fixture_event(f, &event);
    for (uint32_t i = 0; i < f->record_count; i++)
        records += f->batch->records[i].kind == RECORD_MAINTENANCE;
    return records;
}

static void test_read_once_in_a_period(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    start(f);
    assert_non_null(list_call(f));
    assert_int_equal(list_call(f)->provider, 0);
    fixture_advance(f, 10 * MS_PER_MINUTE);
    end_call(f, CLASS_SUCCESS);
    assert_null(list_call(f));
    fixture_advance(f, EVERY - 1);
    assert_null(list_call(f));
    fixture_advance(f, 1);
    end_call(f, CLASS_SUCCESS);
    f->providers[0].maintenance_every_ms = 0;
    fixture_reload(f);
    fixture_advance(f, 5 * EVERY);
    assert_null(list_call(f));
    f->providers[0].maintenance_every_ms = EVERY;
    fixture_reload(f);
    fixture_time(f);
    assert_non_null(list_call(f));
    fixture_destroy(f);
}

/* A core that only looks ahead asks nobody. */
static void test_not_asked_without_leave(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    fixture_start(f, 1);
    fixture_advance(f, 5 * EVERY);
    assert_null(list_call(f));
    fixture_destroy(f);
}

/* A minute, doubling up to the period; what was told stays. */
static void test_failures_back_off(void **state)
{
    static const int64_t minutes[] = {1, 2, 4, 8, 16, 32, 60, 60};
    struct fixture *f = begin(1);
    struct utc_span spans[MAINTENANCE_MAX];

    (void)state;
    f->schedules[0].hours = (struct hours_settings){0};
    start(f);
    assert_int_equal(tell(f, 1, 0, INT64_MAX), 1);
    for (size_t i = 0; i < ROW_COUNT(minutes); i++) {
        end_call(f, i % 2 == 0 ? CLASS_TRANSPORT : CLASS_BAD_ANSWER);
        fixture_advance(f, minutes[i] * MS_PER_MINUTE - 1);
        assert_null(list_call(f));
        fixture_advance(f, 1);
        assert_non_null(list_call(f));
        assert_int_equal(scheduler_maintenance(f->scheduler, 1, spans), 1);
    }
    end_call(f, CLASS_SUCCESS);
    fixture_advance(f, EVERY - 1);
    assert_null(list_call(f));
    fixture_destroy(f);
}

/* The call takes the provider's permit like any other. */
static void test_it_pays_the_rate(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->providers[0].limits.rates[0] = (struct rate){1, 10 * MS_PER_MINUTE};
    f->providers[0].limits.rate_count = 1;
    start(f);
    end_call(f, CLASS_SUCCESS);
    fixture_advance(f, ONE_AM);
    assert_non_null(list_call(f)); /* the next one, due just now too */
    assert_null(fixture_request_of(f, 1));
    end_call(f, CLASS_SUCCESS);
    fixture_advance(f, 9 * MS_PER_MINUTE);
    assert_null(fixture_request_of(f, 1));
    fixture_advance(f, 2 * MS_PER_MINUTE);
    assert_non_null(fixture_request_of(f, 1));
    fixture_destroy(f);
}

/* Slots wait for the end that was told; the same told again is no news. */
static void test_an_institution_is_closed(void **state)
{
    struct fixture *f = begin(2);
    int64_t zero_ms;
    struct gate_verdict verdicts[GATE_COUNT];

    (void)state;
    f->consents[2].settings.institution = 2;
    start(f);
    zero_ms = fixture_now(f).utc.ms;
    end_call(f, CLASS_SUCCESS);
    assert_int_equal(tell(f, 1, 0, zero_ms + 3 * MS_PER_HOUR), 1);
    assert_int_equal(tell(f, 1, 0, zero_ms + 3 * MS_PER_HOUR), 0);
    fixture_advance(f, ONE_AM);
    assert_null(fixture_request_of(f, 1));
    assert_non_null(fixture_request_of(f, 2));
    (void)scheduler_why(f->scheduler, fixture_now(f), 1, verdicts);
    assert_int_equal(verdicts[GATE_WINDOW].reason, REASON_MAINTENANCE);
    assert_int_equal(verdicts[GATE_WINDOW].earliest.ms, zero_ms + 3 * MS_PER_HOUR);
    fixture_advance(f, 2 * MS_PER_HOUR - 1);
    assert_null(fixture_request_of(f, 1));
    fixture_advance(f, 1);
    assert_non_null(fixture_request_of(f, 1));
    fixture_destroy(f);
}

/* Until further notice, and then it is over: at once, without a time. */
static void test_lifted_by_the_next_list(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    start(f);
    end_call(f, CLASS_SUCCESS);
    (void)tell(f, 1, 0, INT64_MAX);
    fixture_advance(f, ONE_AM + 30 * MS_PER_MINUTE);
    assert_null(fixture_request_of(f, 1));
    assert_int_equal(tell(f, 1, 0, 0), 1);
    assert_non_null(fixture_request_of(f, 1));
    fixture_destroy(f);
}

/* A list that refuses us renews the token once and never stops the provider. */
static void test_refused_credentials(void **state)
{
    struct fixture *f = begin(1);

    (void)state;
    f->providers[0].needs_token = true;
    start(f);
    assert_null(list_call(f));
    fixture_deliver_token(f, fixture_token_request(f, 0), true, 24 * MS_PER_HOUR);
    end_call(f, CLASS_CREDENTIALS);
    fixture_advance(f, MS_PER_MINUTE);
    fixture_deliver_token(f, fixture_token_request(f, 0), true, 24 * MS_PER_HOUR);
    for (int i = 0; i < 3; i++) {
        if (list_call(f) == NULL)
            fixture_advance(f, EVERY);
        end_call(f, CLASS_CREDENTIALS);
        assert_null(fixture_token_request(f, 0));
    }
    fixture_advance(f, EVERY);
    assert_non_null(fixture_request_of(f, 1)); /* the night's slot goes with that token */
    fixture_destroy(f);
}

static void test_odd_events(void **state)
{
    struct fixture *f = begin(1);
    struct event event = {.kind = EVENT_INSTITUTIONS};

    (void)state;
    fixture_start(f, 1);
    event.as.institutions.answer = fixture_answer(CLASS_SUCCESS);
    fixture_event(f, &event); /* nobody asked */
    event.as.institutions.provider = 99;
    fixture_event(f, &event);
    assert_int_equal(tell(f, 99, 0, INT64_MAX), 0);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_once_in_a_period),
        cmocka_unit_test(test_not_asked_without_leave),
        cmocka_unit_test(test_failures_back_off),
        cmocka_unit_test(test_it_pays_the_rate),
        cmocka_unit_test(test_an_institution_is_closed),
        cmocka_unit_test(test_lifted_by_the_next_list),
        cmocka_unit_test(test_refused_credentials),
        cmocka_unit_test(test_odd_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
