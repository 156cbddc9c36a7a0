/* SPDX-License-Identifier: MIT
 * test_scheduler_hours.c - blackouts and windows of schedules, driven step by step. Every batch is
 * judged by scheduler_fixture.c as well. The nightly slot is at 01:00 UTC, 2026-01-01. */
#include <string.h>

#include "tests/unit/scheduler_fixture.h"
#include "tests/unit/unit_test.h"

#define ONE_AM MS_PER_HOUR

static struct time_range range_of(const char *text)
{
    struct time_range range;
    struct time_range_zone zone;
    struct fault fault;
    size_t offset;

    if (time_range_parse(text, strlen(text), &range, &zone, &offset, &fault) != RESULT_OK)
        fail_msg("\"%s\": %s", text, fault.text);
    return range;
}

static void reply(struct fixture *f, uint32_t consent, enum answer_class class_, enum reason reason)
{
    struct fixture_request *request = fixture_request_of(f, consent);
    struct answer answer = fixture_answer(class_);

    assert_non_null(request);
    answer.reason = reason;
    fixture_deliver(f, request, &answer);
}

static struct gate_verdict window_gate(struct fixture *f, uint32_t consent)
{
    struct gate_verdict verdicts[GATE_COUNT];

    (void)scheduler_why(f->scheduler, fixture_now(f), consent, verdicts);
    return verdicts[GATE_WINDOW];
}

/* Minute by minute; what is asked for reaches its socket at once and is never answered. */
static void pass_minutes(struct fixture *f, int minutes)
{
    for (int i = 0; i < minutes; i++) {
        fixture_advance(f, MS_PER_MINUTE);
        for (uint32_t consent = 1; consent <= f->consent_max; consent++) {
            struct fixture_request *request = fixture_request_of(f, consent);

            if (request != NULL && !request->is_sent)
                fixture_send(f, request);
        }
    }
}

/* The slots wait and nothing asks in between; all go on at the opening. */
static void test_slots_wait_for_the_opening(void **state)
{
    struct time_range blackout = range_of("00:30-02:00");
    struct fixture *f = fixture_create(3);
    uint64_t steps;

    (void)state;
    f->schedules[0].hours = (struct hours_settings){.blackouts = &blackout, .blackout_count = 1};
    f->schedules[0].spread_ms = 10 * MS_PER_MINUTE;
    fixture_start(f, 1);
    fixture_advance(f, ONE_AM);
    steps = f->steps;
    assert_int_equal(window_gate(f, 1).reason, REASON_BLACKOUT);
    assert_int_equal(window_gate(f, 1).earliest.ms, fixture_now(f).utc.ms + ONE_AM);
    fixture_advance(f, ONE_AM - 1);
    assert_true(f->steps <= steps + 2);
    for (uint32_t consent = 1; consent <= 3; consent++)
        assert_null(fixture_request_of(f, consent));
    fixture_advance(f, 1);
    for (uint32_t consent = 1; consent <= 3; consent++)
        assert_non_null(fixture_request_of(f, consent));
    assert_true(window_gate(f, 1).is_open);
    fixture_destroy(f);
}

/* What waits for its turn when the blackout begins waits for its end. */
static void test_blackout_begins_in_the_run(void **state)
{
    struct time_range blackout = range_of("01:10-03:00");
    struct fixture *f = fixture_create(40);
    uint32_t out;

    (void)state;
    f->schedules[0].hours = (struct hours_settings){.blackouts = &blackout, .blackout_count = 1};
    f->institutions[1].limits.rates[f->institutions[1].limits.rate_count++] =
        (struct rate){1, MS_PER_MINUTE};
    fixture_start(f, 1);
    pass_minutes(f, 60 + 9);
    out = f->requests_out;
    assert_true(out >= 9 && out < 40);
    pass_minutes(f, 1 + 109);
    assert_int_equal(f->requests_out, out);
    pass_minutes(f, 1);
    assert_int_equal(f->requests_out, out + 1);
    pass_minutes(f, 3);
    assert_int_equal(f->requests_out, out + 4);
    fixture_destroy(f);
}

/* A next attempt waits too; a first one that a person asks for does not. */
static void test_retries_wait_and_triggers_do_not(void **state)
{
    struct time_range window = range_of("01:00-01:01");
    struct event trigger = {.kind = EVENT_TRIGGER, .as.trigger = {2, false}};
    struct fixture *f = fixture_create(2);

    (void)state;
    f->schedules[0].hours = (struct hours_settings){.windows = &window, .window_count = 1};
    f->schedules[0].deadline.duration_ms = 30 * MS_PER_HOUR;
    fixture_start(f, 1);
    fixture_advance(f, ONE_AM);
    reply(f, 2, CLASS_CONFIG_ERROR, REASON_CONFIGURATION);
    fixture_advance(f, 50 * MS_PER_SECOND);
    reply(f, 1, CLASS_RETRY_LATER, REASON_PROVIDER_ERROR);
    fixture_advance(f, 2 * MS_PER_HOUR);
    assert_null(fixture_request_of(f, 1));
    assert_int_equal(fixture_job_of(f, 1)->outcome, OUTCOME_NONE);
    fixture_event(f, &trigger);
    assert_non_null(fixture_request_of(f, 2));
    fixture_advance(f, 22 * MS_PER_HOUR);
    assert_non_null(fixture_request_of(f, 1)); /* the next day's window */
    fixture_destroy(f);
}

static void test_closed_until_the_deadline(void **state)
{
    static const struct {
        const char *blackout;
        const char *window;
        enum reason reason;
    } rows[] = {
        {NULL, "08:00-09:00", REASON_WINDOW},
        {"2026-01-01", NULL, REASON_BLACKOUT},
        {"01-01", "00:00-24:00", REASON_BLACKOUT},
        {"Wed 12:00 - Fri 06:00", NULL, REASON_BLACKOUT},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *f = fixture_create(2);
        struct time_range blackout = range_of(rows[i].blackout != NULL ? rows[i].blackout : "Sun");
        struct time_range window = range_of(rows[i].window != NULL ? rows[i].window : "Sun");
        struct hours_settings *hours = &f->schedules[0].hours;

        *hours = (struct hours_settings){&blackout, &window, rows[i].blackout != NULL,
                                         rows[i].window != NULL};
        f->schedules[0].deadline.duration_ms = 4 * MS_PER_HOUR;
        fixture_start(f, 1);
        fixture_advance(f, ONE_AM + 4 * MS_PER_HOUR);
        for (uint32_t consent = 1; consent <= 2; consent++) {
            assert_int_equal(fixture_last_run(f)->slots[consent], OUTCOME_SKIPPED);
            assert_int_equal(fixture_last_run(f)->skip_reasons[consent], rows[i].reason);
        }
        assert_int_equal(fixture_open_runs(f), 0);
        fixture_destroy(f);
    }
}

/* New settings count at once, for slots and for jobs that waited. */
static void test_reload_opens_and_closes(void **state)
{
    struct time_range window = range_of("01:00-01:01");
    struct time_range always = range_of("00:00-24:00");
    struct fixture *f = fixture_create(2);

    (void)state;
    f->schedules[0].hours = (struct hours_settings){.windows = &window, .window_count = 1};
    f->institutions[1].limits.rates[f->institutions[1].limits.rate_count++] =
        (struct rate){1, 10 * MS_PER_MINUTE};
    f->schedules[0].deadline.duration_ms = 30 * MS_PER_HOUR;
    fixture_start(f, 1);
    fixture_advance(f, ONE_AM);
    reply(f, fixture_request_of(f, 1) != NULL ? 1 : 2, CLASS_RETRY_LATER, REASON_PROVIDER_ERROR);
    fixture_advance(f, 3 * MS_PER_HOUR);
    assert_int_equal(f->requests_out, 0);
    f->schedules[0].hours = (struct hours_settings){0};
    fixture_reload(f);
    pass_minutes(f, 1);
    assert_int_equal(f->requests_out, 1);
    f->schedules[0].hours = (struct hours_settings){.blackouts = &always, .blackout_count = 1};
    fixture_reload(f);
    pass_minutes(f, 60);
    assert_int_equal(f->requests_out, 1);
    f->schedules[0].hours = (struct hours_settings){0};
    fixture_reload(f);
    pass_minutes(f, 1);
    assert_int_equal(f->requests_out, 2);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_wait_for_the_opening),
        cmocka_unit_test(test_blackout_begins_in_the_run),
        cmocka_unit_test(test_retries_wait_and_triggers_do_not),
        cmocka_unit_test(test_closed_until_the_deadline),
        cmocka_unit_test(test_reload_opens_and_closes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
