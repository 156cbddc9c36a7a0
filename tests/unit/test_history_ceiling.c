/* SPDX-License-Identifier: MIT
 * test_history_ceiling.c - the limit of a bank that does not tell it, found in what it refused. */
#include "base/random.h"
#include "base/time_point.h"
#include "state/history_ceiling.h"
#include "tests/unit/unit_test.h"

#define SENDINGS 6000

static struct history_sending sendings[SENDINGS];

/* Initiations at random distances around `mean_ms` against an exact "no more than `count` in
 * `span_ms`". Answers how many it refused. */
static uint32_t send(int64_t mean_ms, uint32_t count, int64_t span_ms)
{
    static int64_t accepted_ms[SENDINGS];
    struct random random;
    uint32_t accepted = 0;
    uint32_t refused = 0;
    int64_t now_ms = 1000000;

    random_init(&random, unit_seed());
    for (size_t i = 0; i < SENDINGS; i++) {
        bool is_refused;

        now_ms += mean_ms / 2 + (int64_t)random_below(&random, (uint64_t)mean_ms);
        is_refused = accepted >= count && accepted_ms[accepted - count] > now_ms - span_ms;
        sendings[i] = (struct history_sending){
            .sent_ms = now_ms, .is_accepted = !is_refused, .is_refused = is_refused};
        if (is_refused)
            refused++;
        else
            accepted_ms[accepted++] = now_ms;
    }
    return refused;
}

/* Limits of any form are found as a rate that is right within a tenth, and predict each refusal. */
static void test_a_limit_is_found(void **state)
{
    static const struct {
        int64_t mean_ms;
        uint32_t count;
        int64_t span_ms;
    } cases[] = {
        {9500, 1, 10000}, {1000, 10, 10000}, {400, 2, 1000}, {5000, 60, 300000}, {190, 300, 60000},
    };

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int64_t window_ms = 0;
        uint32_t count;
        uint32_t wrong = 0;
        int64_t rate;
        int64_t true_rate = cases[c].count * 1000000 / cases[c].span_ms;

        assert_true(send(cases[c].mean_ms, cases[c].count, cases[c].span_ms) > 10);
        assert_true(history_ceiling_window(sendings, SENDINGS, &window_ms));
        count = history_ceiling_count(sendings, SENDINGS);
        assert_true(count > 0);
        rate = count * 1000000 / window_ms;
        assert_in_range(rate, true_rate * 9 / 10, true_rate * 11 / 10 + 1);
        for (size_t i = 0; i < SENDINGS; i++)
            wrong += sendings[i].is_refused != (sendings[i].before >= count);
        assert_true(wrong < SENDINGS / 10);
    }
}

static void test_refusals_by_chance_are_no_limit(void **state)
{
    int64_t window_ms = 0;
    struct random random;

    (void)state;
    (void)send(1000, 100000, 1000);
    random_init(&random, ~unit_seed());
    for (size_t i = 0; i < SENDINGS; i++) {
        sendings[i].is_refused = random_below(&random, 20) == 0;
        sendings[i].is_accepted = !sendings[i].is_refused;
    }
    assert_false(history_ceiling_window(sendings, SENDINGS, &window_ms));
    assert_int_equal(history_ceiling_count(sendings, SENDINGS), 0);
}

static void test_a_few_refusals_say_nothing(void **state)
{
    int64_t window_ms = 0;

    (void)state;
    assert_int_equal(send(1000, 100000, 1000), 0);
    assert_false(history_ceiling_window(sendings, SENDINGS, &window_ms));
    sendings[10].is_refused = sendings[11].is_refused = true;
    sendings[10].is_accepted = sendings[11].is_accepted = false;
    assert_false(history_ceiling_window(sendings, SENDINGS, &window_ms));
    assert_false(history_ceiling_window(sendings, 0, &window_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_limit_is_found),
        cmocka_unit_test(test_refusals_by_chance_are_no_limit),
        cmocka_unit_test(test_a_few_refusals_say_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
