/* SPDX-License-Identifier: MIT
 * test_retry_delay.c - backoff: its bounds, and its distribution at every step, the cap included.
 */
#include "scheduler/retry_delay.h"

#include "tests/unit/unit_test.h"

static void test_doubling(void **state)
{
    static const struct {
        int64_t first_ms;
        int64_t max_ms;
        uint32_t step;
        int64_t expected_ms;
    } rows[] = {
        {1000, 60000, 0, 1000},
        {1000, 60000, 1, 2000},
        {1000, 60000, 5, 32000},
        {1000, 60000, 6, 60000},
        {1000, 60000, UINT32_MAX, 60000},
        {60000, 1000, 0, 1000},
        {0, 1000, 7, 0},
        {INT64_MAX / 2, INT64_MAX, 1, INT64_MAX - 1},
        {INT64_MAX / 2 + 1, INT64_MAX, 1, INT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++)
        assert_true(retry_delay_doubling_ms(rows[i].first_ms, rows[i].max_ms, rows[i].step) ==
                    rows[i].expected_ms);
}

/* Uniform over [1, cap]: each tenth gets its share, at the first step as well as at the cap. */
static void check_uniform(struct random *random, uint32_t step, int64_t cap_ms)
{
    enum { DRAWS = 20000, TENTHS = 10 };
    uint32_t counts[TENTHS] = {0};

    for (int i = 0; i < DRAWS; i++) {
        int64_t delay_ms = retry_delay_ms(random, 1000, 60000, step);

        assert_true(delay_ms >= 1 && delay_ms <= cap_ms);
        counts[(delay_ms - 1) * TENTHS / cap_ms]++;
    }
    for (int i = 0; i < TENTHS; i++) /* 2000 expected; 8 standard deviations are 340 */
        assert_in_range(counts[i], DRAWS / TENTHS - 340, DRAWS / TENTHS + 340);
}

static void test_distribution(void **state)
{
    struct random random;

    (void)state;
    random_init(&random, unit_seed());
    check_uniform(&random, 0, 1000);
    check_uniform(&random, 3, 8000);
    check_uniform(&random, 6, 60000);
    check_uniform(&random, 40, 60000);
}

static void test_smallest(void **state)
{
    struct random random;

    (void)state;
    random_init(&random, 1);
    for (int i = 0; i < 100; i++) {
        assert_true(retry_delay_ms(&random, 0, 0, 3) == 1);
        assert_true(retry_delay_ms(&random, 1, 1, 3) == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubling),
        cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_smallest),
    };

    return cmocka_run_group_tests_name("retry_delay", tests, NULL, NULL);
}
