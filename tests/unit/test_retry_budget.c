/* SPDX-License-Identifier: MIT
 * test_retry_budget.c - a normal night never notices its budget, a storm is cut. */
#include "scheduler/retry_budget.h"

#include <string.h>

#include "base/random.h"
#include "tests/unit/unit_test.h"

#define HOUR (INT64_C(3600) * US_PER_SECOND)

static struct mono_time at(int64_t us)
{
    return (struct mono_time){us};
}

static void test_it_begins_with_a_reserve_and_a_trickle_fills_it(void **state)
{
    struct retry_budget budget;
    uint32_t spent = 0;

    (void)state;
    retry_budget_init(&budget, at(0));
    while (retry_budget_has(&budget)) {
        retry_budget_spend(&budget);
        spent++;
    }
    assert_int_equal(spent, 100);
    retry_budget_advance(&budget, at(5 * US_PER_SECOND));
    assert_false(retry_budget_has(&budget));
    assert_int_equal(retry_budget_next(&budget).us, 6 * US_PER_SECOND);
    retry_budget_advance(&budget, retry_budget_next(&budget));
    assert_true(retry_budget_has(&budget));
    retry_budget_spend(&budget);
    assert_false(retry_budget_has(&budget));
    retry_budget_refund(&budget);
    assert_true(retry_budget_has(&budget));
    retry_budget_advance(&budget, at(24 * HOUR)); /* and no further than the reserve */
    assert_int_equal(budget.balance, RETRY_BUDGET_RESERVE);
}

static void test_first_attempts_earn_their_share(void **state)
{
    struct retry_budget budget;
    int64_t before;

    (void)state;
    retry_budget_init(&budget, at(0));
    before = budget.balance;
    for (int i = 0; i < 1000; i++)
        retry_budget_earn(&budget, 20);
    assert_int_equal(budget.balance - before, 200 * RETRY_BUDGET_ONE);
}

static void test_what_was_earned_melts_by_an_eighth_each_hour(void **state)
{
    static const struct {
        int64_t hours;
        int64_t left; /* of 8000 above the reserve */
    } rows[] = {{0, 8000}, {1, 7000}, {2, 6125}, {24, 323}, {1000000, 0}};

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct retry_budget budget;

        retry_budget_restore(&budget, at(7), RETRY_BUDGET_RESERVE + 8000 * RETRY_BUDGET_ONE);
        retry_budget_advance(&budget, at(7 + rows[i].hours * HOUR));
        assert_in_range((budget.balance - RETRY_BUDGET_RESERVE) / RETRY_BUDGET_ONE, rows[i].left,
                        rows[i].left + 3);
    }
}

static void test_nonsense_from_the_store_is_made_to_fit(void **state)
{
    struct retry_budget budget;

    (void)state;
    retry_budget_restore(&budget, at(0), -5);
    assert_int_equal(budget.balance, 0);
    retry_budget_restore(&budget, at(0), INT64_MAX);
    assert_int_equal(budget.balance, RETRY_BUDGET_MAX);
    retry_budget_earn(&budget, 100);
    assert_int_equal(budget.balance, RETRY_BUDGET_MAX);
}

/* A night of `consents` over four hours; each attempt fails with `percent`; up to three attempts;
 * each retry comes `delay_us` after its failure. How many retries were wanted, how many sent? */
static void play_night(uint32_t consents, uint32_t percent, int64_t delay_us, uint32_t *wanted,
                       uint32_t *sent)
{
    enum { STEP_S = 10, STEPS = 12 * 3600 / STEP_S };
    static uint32_t due[STEPS + 1][2]; /* second and third attempts that become due */
    uint32_t waiting[2] = {0, 0};
    struct retry_budget budget;
    struct random random;
    uint32_t started = 0;

    memset(due, 0, sizeof due);
    random_init(&random, 7);
    retry_budget_init(&budget, at(0));
    *wanted = *sent = 0;
    for (int64_t step = 0; step < STEPS; step++) {
        int64_t later = step + delay_us / (STEP_S * US_PER_SECOND);

        retry_budget_advance(&budget, at(step * STEP_S * US_PER_SECOND));
        for (; started < consents && (int64_t)started * 4 * 3600 / STEP_S <= step * consents;
             started++) {
            retry_budget_earn(&budget, 20);
            if (random_below(&random, 100) < percent && later < STEPS)
                due[later][0]++;
        }
        for (int kind = 0; kind < 2; kind++) {
            *wanted += due[step][kind];
            waiting[kind] += due[step][kind];
            for (; waiting[kind] > 0 && retry_budget_has(&budget); waiting[kind]--) {
                retry_budget_spend(&budget);
                (*sent)++;
                if (kind == 0 && random_below(&random, 100) < percent && later < STEPS)
                    due[later][1]++;
            }
        }
    }
}

static void test_a_normal_night_never_notices(void **state)
{
    static const struct {
        uint32_t consents;
        uint32_t percent;
        int64_t delay_us;
    } rows[] = {
        {100000, 2, 60 * US_PER_SECOND},
        {100000, 5, 60 * US_PER_SECOND},
        {100000, 5, HOUR},
        {1000000, 5, HOUR},
        {300, 5, 60 * US_PER_SECOND},
        {20, 50, 60 * US_PER_SECOND},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        uint32_t wanted;
        uint32_t sent;

        play_night(rows[i].consents, rows[i].percent, rows[i].delay_us, &wanted, &sent);
        assert_true(wanted > 0);
        assert_int_equal(sent, wanted);
    }
}

static void test_a_storm_is_cut(void **state)
{
    uint32_t wanted;
    uint32_t sent;

    (void)state;
    play_night(100000, 100, 60 * US_PER_SECOND, &wanted, &sent);
    print_message("all of 100000 fail: %u retries wanted, %u sent\n", wanted, sent);
    assert_true(wanted >= 100000);
    /* A share of 20 %, the reserve, and what trickles in over twelve hours. */
    assert_in_range(sent, 18000, 20000 + 100 + 12 * 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_begins_with_a_reserve_and_a_trickle_fills_it),
        cmocka_unit_test(test_first_attempts_earn_their_share),
        cmocka_unit_test(test_what_was_earned_melts_by_an_eighth_each_hour),
        cmocka_unit_test(test_nonsense_from_the_store_is_made_to_fit),
        cmocka_unit_test(test_a_normal_night_never_notices),
        cmocka_unit_test(test_a_storm_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
