/* SPDX-License-Identifier: MIT
 * test_sandbox_rates.c - sliding windows of the sandbox against a count of every interval. */
#include "sandbox/sandbox_rates.h"

#include <string.h>

#include "base/random.h"
#include "tests/unit/unit_test.h"

static void test_rates_are_written_so(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint32_t count;
        int64_t period_ms;
    } rows[] = {
        {"20/s", true, 20, 1000},
        {"600/min", true, 600, 60000},
        {"4/24h", true, 4, 86400000},
        {"2000/day", true, 2000, 86400000},
        {"5/h", true, 5, 3600000},
        {"1/500ms", true, 1, 500},
        {"20", false, 0, 0},
        {"/s", false, 0, 0},
        {"0/s", false, 0, 0},
        {"-1/s", false, 0, 0},
        {"20/", false, 0, 0},
        {"20/fortnight", false, 0, 0},
        {"20/0s", false, 0, 0},
        {"20 /s", false, 0, 0},
        {"4294967296/s", false, 0, 0},
        {"1/s/s", false, 0, 0},
        {"11111111/11111111111111111ms", false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct sandbox_rate rate = {0};

        if (sandbox_rates_parse(rows[i].text, &rate) != rows[i].good)
            fail_msg("%s", rows[i].text);
        if (rows[i].good) {
            assert_int_equal(rate.count, rows[i].count);
            assert_int_equal(rate.period_us, rows[i].period_ms * 1000);
            assert_string_equal(rate.text, rows[i].text);
        }
    }
}

static struct sandbox_rates rates_of(const char *first, const char *second)
{
    struct sandbox_rates rates = {.count = second != NULL ? 2 : 1};

    assert_true(sandbox_rates_parse(first, &rates.entries[0]));
    if (second != NULL)
        assert_true(sandbox_rates_parse(second, &rates.entries[1]));
    return rates;
}

/* Half-open: two arrivals exactly D apart are never in one interval of length D. */
static void test_the_interval_is_half_open(void **state)
{
    struct sandbox_rates rates = rates_of("1/s", NULL);
    struct sandbox_window window = {0};

    (void)state;
    assert_int_equal(sandbox_window_arrive(&window, &rates, 0, 0), -1);
    assert_int_equal(sandbox_window_arrive(&window, &rates, 1000000, 0), -1);
    assert_int_equal(window.peaks[0], 1);
    assert_int_equal(sandbox_window_arrive(&window, &rates, 1999999, 0), 0);
    assert_int_equal(window.peaks[0], 2);
    sandbox_window_reset(&window);
}

/* Early by less than the tolerance is forgiven, but shown in the exact peak. */
static void test_the_tolerance(void **state)
{
    struct sandbox_rates rates = rates_of("1/s", NULL);
    struct sandbox_window window = {0};

    (void)state;
    (void)sandbox_window_arrive(&window, &rates, 0, 5000);
    assert_int_equal(sandbox_window_arrive(&window, &rates, 995000, 5000), -1);
    assert_int_equal(window.peaks[0], 2);
    assert_int_equal(window.tolerant_peaks[0], 1);
    assert_int_equal(sandbox_window_arrive(&window, &rates, 995000 + 994999, 5000), 0);
    assert_int_equal(window.tolerant_peaks[0], 2);
    sandbox_window_reset(&window);
}

/* The most arrivals in any half-open interval of this length that ends at one of them. */
static uint32_t naive_peak(const int64_t *times_us, size_t count, int64_t period_us)
{
    uint32_t peak = 0;

    for (size_t end = 0; end < count; end++) {
        uint32_t inside = 0;

        for (size_t i = 0; i < count; i++)
            if (times_us[i] > times_us[end] - period_us && times_us[i] <= times_us[end])
                inside++;
        if (inside > peak)
            peak = inside;
    }
    return peak;
}

static void test_peaks_and_breaks_agree_with_a_naive_count(void **state)
{
    struct random random;

    (void)state;
    random_init(&random, unit_seed());
    for (int round = 0; round < 200; round++) {
        struct sandbox_rates rates = rates_of("3/20ms", "10/200ms");
        struct sandbox_window window = {0};
        int64_t times_us[150];
        int64_t now_us = 1000000;

        for (size_t i = 0; i < ROW_COUNT(times_us); i++) {
            uint32_t before[2];
            uint32_t after[2];
            int broken;
            int expected = -1;

            now_us += (int64_t)random_below(&random, round % 2 == 0 ? 12000 : 40000);
            /* now and then a little late, as from another connection */
            times_us[i] =
                now_us -
                (int64_t)(random_below(&random, 4) == 0 ? random_below(&random, 15000) : 0);
            for (size_t k = 0; k < 2; k++)
                before[k] = naive_peak(times_us, i, rates.entries[k].period_us);
            broken = sandbox_window_arrive(&window, &rates, times_us[i], 0);
            for (size_t k = 0; k < 2; k++) {
                after[k] = naive_peak(times_us, i + 1, rates.entries[k].period_us);
                assert_int_equal(window.peaks[k], after[k]);
                if (after[k] > before[k] && after[k] > rates.entries[k].count)
                    expected = (int)k;
            }
            /* A higher peak than ever above the limit must be this arrival's break. */
            if (expected >= 0)
                assert_true(broken >= 0);
            /* Nothing is broken while no interval holds too many. */
            if (after[0] <= rates.entries[0].count && after[1] <= rates.entries[1].count)
                assert_int_equal(broken, -1);
        }
        sandbox_window_reset(&window);
    }
}

/* A day of arrivals keeps only what its longest period needs. */
static void test_memory_is_bounded_by_the_longest_period(void **state)
{
    struct sandbox_rates rates = rates_of("1000/s", NULL);
    struct sandbox_window window = {0};

    (void)state;
    for (int64_t i = 0; i < 200000; i++)
        assert_int_equal(sandbox_window_arrive(&window, &rates, i * 1000, 0), -1);
    assert_true(window.capacity <= 16384);
    assert_int_equal(window.peaks[0], 1000);
    sandbox_window_reset(&window);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_are_written_so),
        cmocka_unit_test(test_the_interval_is_half_open),
        cmocka_unit_test(test_the_tolerance),
        cmocka_unit_test(test_peaks_and_breaks_agree_with_a_naive_count),
        cmocka_unit_test(test_memory_is_bounded_by_the_longest_period),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
