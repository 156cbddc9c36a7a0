/* SPDX-License-Identifier: MIT
 * test_pace.c - the learned pace: what each kind of result does to it. */
#include "scheduler/pace.h"

#include "tests/unit/unit_test.h"

static const struct pace_settings learning = {.learns = true,
                                              .floor_interval_us = PACE_FLOOR_DEFAULT_US};

static struct mono_time at(int64_t ms)
{
    return (struct mono_time){ms * US_PER_MS};
}

static void test_free_until_pushback(void **state)
{
    struct pace pace;

    (void)state;
    pace_init(&pace);
    for (int64_t ms = 0; ms < 10000; ms += 100) {
        assert_int_equal(pace_earliest(&pace, &learning, at(ms)).us, at(ms).us);
        pace_granted(&pace, &learning, at(ms));
        assert_false(pace_result(&pace, &learning, at(ms + 10), at(ms), PACE_SUCCESS));
    }
    assert_int_equal(pace_interval_us(&pace), 0);
    assert_true(pace_result(&pace, &learning, at(10000), at(9900), PACE_REFUSED));
    assert_true(pace_interval_us(&pace) >= 100 * US_PER_MS);
    assert_true(pace_earliest(&pace, &learning, at(10000)).us > at(10000).us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_until_pushback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
