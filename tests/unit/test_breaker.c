/* SPDX-License-Identifier: MIT
 * test_breaker.c - when a breaker opens, how it is probed, and how it cannot get stuck. */
#include "scheduler/breaker.h"

#include "tests/unit/unit_test.h"

#define SECOND US_PER_SECOND
#define MINUTE (60 * US_PER_SECOND)

static const struct breaker_settings usual = {
    .failures = 5,
    .configuration = 5,
    .probes_max = 1,
    .probe_first_ms = MS_PER_MINUTE,
    .probe_max_ms = 30 * MS_PER_MINUTE,
    .lease_ms = 10 * MS_PER_MINUTE,
};

static struct random dice;

static struct mono_time at(int64_t us)
{
    return (struct mono_time){us};
}

static bool result(struct breaker *breaker, int64_t now_us, int64_t sent_us, uint32_t ticket,
                   enum breaker_signal signal)
{
    return breaker_result(breaker, &usual, &dice, at(now_us), at(sent_us), ticket, signal);
}

/* Open it by failures one after the other, each sent when the one before was known. Answers when
 * that was. */
static int64_t open_it(struct breaker *breaker, int64_t from_us)
{
    int64_t now_us = from_us;

    while (breaker->state == BREAKER_CLOSED) {
        (void)result(breaker, now_us + 2 * SECOND, now_us + SECOND, 0, BREAKER_FAILED);
        now_us += 2 * SECOND;
    }
    return now_us;
}

/* ---- opening ---- */

struct step {
    int64_t now_s;
    int64_t sent_s;
    enum breaker_signal signal;
    bool opens;
};

static void test_it_opens_after_failed_cohorts_in_a_row(void **state)
{
    static const struct {
        const char *name;
        struct step steps[10];
    } rows[] = {
        {"one after the other",
         {{1, 0, BREAKER_FAILED, false},
          {4, 3, BREAKER_FAILED, false},
          {7, 6, BREAKER_FAILED, false},
          {9, 8, BREAKER_FAILED, false},
          {12, 11, BREAKER_FAILED, true}}},
        {"all sent before the first was known: one cohort",
         {{10, 0, BREAKER_FAILED, false},
          {11, 1, BREAKER_FAILED, false},
          {12, 2, BREAKER_FAILED, false},
          {13, 3, BREAKER_FAILED, false},
          {14, 4, BREAKER_FAILED, false},
          {15, 5, BREAKER_FAILED, false}}},
        {"a success in between",
         {{1, 0, BREAKER_FAILED, false},
          {4, 3, BREAKER_FAILED, false},
          {7, 6, BREAKER_FAILED, false},
          {9, 8, BREAKER_SUCCESS, false},
          {12, 11, BREAKER_FAILED, false},
          {15, 14, BREAKER_FAILED, false}}},
        {"a success of before the trouble is no news",
         {{11, 10, BREAKER_FAILED, false},
          {14, 13, BREAKER_FAILED, false},
          {16, 2, BREAKER_SUCCESS, false},
          {19, 18, BREAKER_FAILED, false},
          {22, 21, BREAKER_FAILED, false},
          {25, 24, BREAKER_FAILED, true}}},
        {"what says nothing changes nothing",
         {{1, 0, BREAKER_FAILED, false},
          {4, 3, BREAKER_FAILED, false},
          {5, 5, BREAKER_NEUTRAL, false},
          {7, 6, BREAKER_FAILED, false},
          {9, 8, BREAKER_FAILED, false},
          {12, 11, BREAKER_FAILED, true}}},
        {"jobs that hang are known late: five of one cohort are enough",
         {{3600, 0, BREAKER_FAILED, false},
          {3601, 1, BREAKER_FAILED, false},
          {3602, 2, BREAKER_FAILED, false},
          {3603, 3, BREAKER_FAILED, false},
          {3604, 4, BREAKER_FAILED, true}}},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct breaker breaker;

        breaker_init(&breaker);
        for (const struct step *step = rows[i].steps; step->now_s > 0; step++)
            if (result(&breaker, step->now_s * SECOND, step->sent_s * SECOND, 0, step->signal) !=
                step->opens)
                fail_msg("%s, at %d s", rows[i].name, (int)step->now_s);
    }
}

/* A thousand answers within a second are one blip, however quick the round trips are. */
static void test_a_blip_does_not_open_it(void **state)
{
    struct breaker breaker;

    (void)state;
    breaker_init(&breaker);
    for (int64_t ms = 0; ms < 1000; ms++)
        assert_false(result(&breaker, ms * US_PER_MS + 500, ms * US_PER_MS, 0, BREAKER_FAILED));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
}

static void test_switched_off_it_never_opens(void **state)
{
    struct breaker_settings off = usual;
    struct breaker breaker;

    (void)state;
    off.failures = 0;
    off.configuration = 0;
    breaker_init(&breaker);
    for (int64_t s = 0; s < 100; s++) {
        assert_false(breaker_result(&breaker, &off, &dice, at((2 * s + 1) * SECOND),
                                    at(2 * s * SECOND), 0, BREAKER_FAILED));
        assert_false(breaker_misconfigured(&breaker, &off, &dice, at((2 * s + 1) * SECOND),
                                           at(2 * s * SECOND), 0, (uint32_t)s + 1));
    }
    assert_int_equal(breaker_earliest(&breaker, &off, at(500 * SECOND)).us, 500 * SECOND);
}

/* ---- probing ---- */

static void test_a_probe_closes_it(void **state)
{
    struct breaker breaker;
    int64_t now;
    uint32_t ticket;

    (void)state;
    breaker_init(&breaker);
    now = open_it(&breaker, 0);
    assert_int_equal(breaker_state_at(&breaker, at(now)), BREAKER_OPEN);
    assert_in_range(breaker_earliest(&breaker, &usual, at(now)).us - now, 30 * SECOND, MINUTE);
    now = breaker_earliest(&breaker, &usual, at(now)).us;
    assert_int_equal(breaker_state_at(&breaker, at(now)), BREAKER_PROBING);
    ticket = breaker_granted(&breaker, &usual, at(now));
    assert_int_not_equal(ticket, 0);
    /* One is out: no other before its lease ends. */
    assert_int_equal(breaker_earliest(&breaker, &usual, at(now + 1)).us, now + 10 * MINUTE);
    assert_true(result(&breaker, now + SECOND, now, ticket, BREAKER_SUCCESS));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    assert_int_equal(breaker_earliest(&breaker, &usual, at(now + SECOND)).us, now + SECOND);
    assert_int_equal(breaker_granted(&breaker, &usual, at(now + SECOND)), 0);
}

static void test_waits_double_up_to_the_most_and_are_jittered(void **state)
{
    struct breaker breaker;
    int64_t full_us = MINUTE;
    int64_t now;
    bool differs = false;

    (void)state;
    breaker_init(&breaker);
    now = open_it(&breaker, 0);
    for (int i = 0; i < 40; i++) {
        int64_t wait_us = breaker_earliest(&breaker, &usual, at(now)).us - now;
        uint32_t ticket;

        assert_in_range(wait_us, full_us / 2, full_us);
        differs = differs || wait_us != full_us;
        now += wait_us;
        ticket = breaker_granted(&breaker, &usual, at(now));
        assert_true(result(&breaker, now + SECOND, now, ticket, BREAKER_FAILED));
        now += SECOND;
        full_us = full_us > 15 * MINUTE ? 30 * MINUTE : 2 * full_us;
    }
    assert_true(differs);
}

/* A bank that is up for a moment and down again is not probed as often as a new one. */
static void test_waits_go_on_doubling_when_it_opens_again_soon(void **state)
{
    struct breaker breaker;
    int64_t now;

    (void)state;
    breaker_init(&breaker);
    now = open_it(&breaker, 0);
    now = breaker_earliest(&breaker, &usual, at(now)).us;
    assert_true(result(&breaker, now + 1, now, breaker_granted(&breaker, &usual, at(now)),
                       BREAKER_SUCCESS));
    now = open_it(&breaker, now + SECOND);
    assert_in_range(breaker_earliest(&breaker, &usual, at(now)).us - now, MINUTE, 2 * MINUTE);
    now = breaker_earliest(&breaker, &usual, at(now)).us;
    assert_true(result(&breaker, now + 1, now, breaker_granted(&breaker, &usual, at(now)),
                       BREAKER_SUCCESS));
    now = open_it(&breaker, now + 31 * MINUTE);
    assert_in_range(breaker_earliest(&breaker, &usual, at(now)).us - now, 30 * SECOND, MINUTE);
}

/* The story that made leases: a lost probe left a breaker half-open for six days. */
static void test_a_lost_probe_loses_its_lease(void **state)
{
    struct breaker breaker;
    int64_t now;
    uint32_t lost;
    uint32_t ticket;

    (void)state;
    breaker_init(&breaker);
    now = open_it(&breaker, 0);
    now = breaker_earliest(&breaker, &usual, at(now)).us;
    lost = breaker_granted(&breaker, &usual, at(now));
    now = breaker_earliest(&breaker, &usual, at(now)).us;
    ticket = breaker_granted(&breaker, &usual, at(now));
    assert_int_not_equal(ticket, lost);
    assert_int_equal(breaker.probes_out, 1);
    /* What the lost one was does not free the place of the other. */
    assert_false(result(&breaker, now + 1, now - 10 * MINUTE, lost, BREAKER_NEUTRAL));
    assert_int_equal(breaker.probes_out, 1);
    assert_true(breaker_earliest(&breaker, &usual, at(now + 2)).us > now + 2);
    /* But its success is a success. */
    assert_true(result(&breaker, now + 3, now - 10 * MINUTE, lost, BREAKER_SUCCESS));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    assert_false(result(&breaker, now + 4, now, ticket, BREAKER_FAILED)); /* the first of a run */
}

static void test_a_probe_that_says_nothing_makes_room(void **state)
{
    struct breaker breaker;
    int64_t now;
    uint32_t ticket;

    (void)state;
    breaker_init(&breaker);
    now = open_it(&breaker, 0);
    now = breaker_earliest(&breaker, &usual, at(now)).us;
    ticket = breaker_granted(&breaker, &usual, at(now));
    assert_false(result(&breaker, now + 1, now, ticket, BREAKER_NEUTRAL));
    assert_int_equal(breaker_earliest(&breaker, &usual, at(now + 2)).us, now + 2);
    ticket = breaker_granted(&breaker, &usual, at(now + 2));
    breaker_returned(&breaker, ticket);
    assert_int_equal(breaker_earliest(&breaker, &usual, at(now + 3)).us, now + 3);
    assert_int_equal(breaker.state, BREAKER_PROBING);
}

/* What was sent before it opened comes back for minutes: it neither closes nor prolongs it. */
static void test_old_results_change_nothing_while_it_is_open(void **state)
{
    struct breaker breaker;
    int64_t now;
    int64_t until;

    (void)state;
    breaker_init(&breaker);
    now = open_it(&breaker, 0);
    until = breaker_earliest(&breaker, &usual, at(now)).us;
    assert_false(result(&breaker, now + SECOND, now - SECOND, 0, BREAKER_SUCCESS));
    assert_false(result(&breaker, now + SECOND, now - SECOND, 0, BREAKER_FAILED));
    assert_int_equal(breaker.state, BREAKER_OPEN);
    assert_int_equal(breaker_earliest(&breaker, &usual, at(now + SECOND)).us, until);
}

/* Another story: probes without a limit made seventeen times the traffic. Whatever happens, there
 * are never more out than allowed within one lease. */
static void test_probes_are_never_more_than_allowed(void **state)
{
    struct breaker_settings settings = usual;
    struct breaker breaker;
    uint32_t tickets[64];
    int64_t sent[64];
    uint32_t out = 0;
    int64_t now;

    (void)state;
    settings.probes_max = 3;
    breaker_init(&breaker);
    now = open_it(&breaker, 0);
    for (int i = 0; i < 100000; i++) {
        uint32_t dice_face = (uint32_t)random_below(&dice, 100);

        now += (int64_t)random_below(&dice, 40 * SECOND);
        if (breaker.state == BREAKER_CLOSED)
            now = open_it(&breaker, now);
        if (breaker_earliest(&breaker, &settings, at(now)).us == now && out < 64) {
            uint32_t fresh = 0;

            sent[out] = now;
            tickets[out++] = breaker_granted(&breaker, &settings, at(now));
            for (uint32_t k = 0; k < out; k++)
                fresh +=
                    now - sent[k] < settings.lease_ms * US_PER_MS && tickets[k] == tickets[out - 1];
            assert_true(fresh <= settings.probes_max && breaker.probes_out <= settings.probes_max);
        } else if (out > 0 && dice_face < 30) {
            uint32_t k = (uint32_t)random_below(&dice, out);
            enum breaker_signal signal = dice_face < 3    ? BREAKER_SUCCESS
                                         : dice_face < 15 ? BREAKER_FAILED
                                                          : BREAKER_NEUTRAL;

            (void)breaker_result(&breaker, &settings, &dice, at(now), at(sent[k]), tickets[k],
                                 signal);
            tickets[k] = tickets[out - 1];
            sent[k] = sent[--out];
        }
        assert_true(breaker_earliest(&breaker, &settings, at(now)).us - now <= 30 * MINUTE);
    }
}

/* ---- wrong configuration ---- */

static bool wrong(struct breaker *breaker, int64_t now_us, int64_t sent_us, uint32_t ticket,
                  uint32_t consent)
{
    return breaker_misconfigured(breaker, &usual, &dice, at(now_us), at(sent_us), ticket, consent);
}

static void test_configuration_errors_of_many_consents_open_it_once(void **state)
{
    struct breaker breaker;
    int64_t now = 0;

    (void)state;
    breaker_init(&breaker);
    for (uint32_t i = 0; i < 100; i++) /* one bad consent is its own trouble */
        assert_false(wrong(&breaker, now + 2, now + 1, 0, 1));
    for (uint32_t consent = 2; consent < 5; consent++)
        assert_false(wrong(&breaker, now + 2, now + 1, 0, consent));
    assert_false(breaker_accepted(&breaker, at(now + 2), at(now + 1)));
    for (uint32_t consent = 1; consent < 5; consent++)
        assert_false(wrong(&breaker, now + 2, now + 1, 0, consent));
    assert_true(wrong(&breaker, now + 2, now + 1, 0, 9));
    assert_true(breaker.is_configuration);
    /* Slowly from the start: a wrong configuration is not cured by a minute. */
    assert_in_range(breaker_earliest(&breaker, &usual, at(now)).us - now, 15 * MINUTE, 30 * MINUTE);
    for (uint32_t consent = 20; consent < 1000; consent++) /* the rest that was out */
        assert_false(wrong(&breaker, now + 1, now - 1, 0, consent));
}

static void test_an_accepted_probe_ends_the_wrong_configuration(void **state)
{
    struct breaker breaker;
    int64_t now = 0;
    uint32_t ticket;

    (void)state;
    breaker_init(&breaker);
    for (uint32_t consent = 1; consent <= 5; consent++)
        (void)wrong(&breaker, now + 2, now + 1, 0, consent);
    now = breaker_earliest(&breaker, &usual, at(now)).us;
    ticket = breaker_granted(&breaker, &usual, at(now));
    assert_true(wrong(&breaker, now + 1, now, ticket, 6));
    assert_int_equal(breaker.state, BREAKER_OPEN);
    now = breaker_earliest(&breaker, &usual, at(now + 1)).us;
    (void)breaker_granted(&breaker, &usual, at(now));
    assert_false(breaker_accepted(&breaker, at(now + 1), at(1))); /* of before */
    assert_true(breaker_accepted(&breaker, at(now + 1), at(now)));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
}

/* Where the line was the trouble, a refusal is an answer. */
static void test_any_answer_ends_failures_of_the_line(void **state)
{
    struct breaker breaker;
    int64_t now;

    (void)state;
    breaker_init(&breaker);
    now = open_it(&breaker, 0);
    now = breaker_earliest(&breaker, &usual, at(now)).us;
    assert_true(wrong(&breaker, now + 1, now, breaker_granted(&breaker, &usual, at(now)), 1));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
}

/* ---- restarts, resets ---- */

static void test_it_survives_a_restart(void **state)
{
    struct breaker breaker;
    struct breaker again;
    struct breaker_past past;
    int64_t now;

    (void)state;
    breaker_init(&breaker);
    breaker_past_get(&breaker, &past);
    breaker_past_set(&again, &past);
    assert_int_equal(again.state, BREAKER_CLOSED);
    now = open_it(&breaker, 0);
    breaker_past_get(&breaker, &past);
    breaker_past_set(&again, &past);
    assert_int_equal(breaker_earliest(&again, &usual, at(now)).us,
                     breaker_earliest(&breaker, &usual, at(now)).us);
    now = breaker_earliest(&breaker, &usual, at(now)).us;
    (void)breaker_granted(&breaker, &usual, at(now));
    breaker_past_get(&breaker, &past); /* the probe is lost with the process: another one goes */
    breaker_past_set(&again, &past);
    assert_int_equal(breaker_state_at(&again, at(now)), BREAKER_PROBING);
    assert_int_equal(breaker_earliest(&again, &usual, at(now + 5)).us, now + 5);
    assert_true(result(&again, now + 9, now + 5, breaker_granted(&again, &usual, at(now + 5)),
                       BREAKER_SUCCESS));
}

static void test_a_reset_forgets_all(void **state)
{
    struct breaker breaker;
    int64_t now;
    uint32_t ticket;

    (void)state;
    breaker_init(&breaker);
    now = open_it(&breaker, 0);
    now = breaker_earliest(&breaker, &usual, at(now)).us;
    ticket = breaker_granted(&breaker, &usual, at(now));
    breaker_reset(&breaker);
    assert_int_equal(breaker_earliest(&breaker, &usual, at(now)).us, now);
    now = open_it(&breaker, now);
    assert_in_range(breaker_earliest(&breaker, &usual, at(now)).us - now, 30 * SECOND, MINUTE);
    now = breaker_earliest(&breaker, &usual, at(now)).us;
    assert_int_not_equal(breaker_granted(&breaker, &usual, at(now)), ticket);
}

static void test_states_have_words(void **state)
{
    (void)state;
    assert_string_equal(breaker_state_text(BREAKER_CLOSED), "closed");
    assert_string_equal(breaker_state_text(BREAKER_OPEN), "open");
    assert_string_equal(breaker_state_text(BREAKER_PROBING), "probing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_opens_after_failed_cohorts_in_a_row),
        cmocka_unit_test(test_a_blip_does_not_open_it),
        cmocka_unit_test(test_switched_off_it_never_opens),
        cmocka_unit_test(test_a_probe_closes_it),
        cmocka_unit_test(test_waits_double_up_to_the_most_and_are_jittered),
        cmocka_unit_test(test_waits_go_on_doubling_when_it_opens_again_soon),
        cmocka_unit_test(test_a_lost_probe_loses_its_lease),
        cmocka_unit_test(test_a_probe_that_says_nothing_makes_room),
        cmocka_unit_test(test_old_results_change_nothing_while_it_is_open),
        cmocka_unit_test(test_probes_are_never_more_than_allowed),
        cmocka_unit_test(test_configuration_errors_of_many_consents_open_it_once),
        cmocka_unit_test(test_an_accepted_probe_ends_the_wrong_configuration),
        cmocka_unit_test(test_any_answer_ends_failures_of_the_line),
        cmocka_unit_test(test_it_survives_a_restart),
        cmocka_unit_test(test_a_reset_forgets_all),
        cmocka_unit_test(test_states_have_words),
    };

    random_init(&dice, unit_seed());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
