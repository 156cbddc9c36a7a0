/* SPDX-License-Identifier: MIT
 * test_state_history.c - distributions and shares that `plan` draws from. */
#include "state/state_history.h"
#include "tests/unit/unit_test.h"

static void test_quantiles_are_exact_at_the_ends_and_even_between(void **state)
{
    static const int64_t values[] = {400, 100, 300, 200, 500};
    struct history_samples samples = {0};
    struct random random;

    (void)state;
    random_init(&random, 1);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_true(history_samples_add(&samples, values[i], &random));
    history_samples_sort(&samples);
    assert_int_equal(history_samples_at(&samples, 0), 100);
    assert_int_equal(history_samples_at(&samples, UINT32_C(1) << 31), 300);
    assert_int_equal(history_samples_at(&samples, UINT32_C(1) << 30), 200);
    assert_int_equal(history_samples_at(&samples, UINT32_C(1) << 29), 150);
    assert_in_range(history_samples_at(&samples, UINT32_MAX), 499, 500);
    history_samples_deinit(&samples);
}

static void test_one_sample_is_the_whole_distribution(void **state)
{
    struct history_samples samples = {0};
    struct random random;

    (void)state;
    random_init(&random, 1);
    assert_true(history_samples_add(&samples, -7, &random)); /* a clock that was put back */
    history_samples_sort(&samples);
    assert_int_equal(history_samples_at(&samples, UINT32_MAX), 0);
    assert_true(history_samples_add(&samples, INT64_MAX, &random));
    history_samples_sort(&samples);
    assert_in_range(history_samples_at(&samples, UINT32_MAX), INT32_MAX - 1, INT32_MAX);
    history_samples_deinit(&samples);
}

/* Of more than there is room for, early and late ones stay alike. */
static void test_many_samples_keep_their_distribution(void **state)
{
    struct history_samples samples = {0};
    struct random random;

    (void)state;
    random_init(&random, unit_seed());
    for (int64_t i = 0; i < 20 * HISTORY_SAMPLES_MAX; i++)
        assert_true(history_samples_add(&samples, i, &random));
    assert_int_equal(samples.kept, HISTORY_SAMPLES_MAX);
    assert_int_equal(samples.seen, 20 * HISTORY_SAMPLES_MAX);
    history_samples_sort(&samples);
    for (uint32_t tenth = 1; tenth < 10; tenth++) {
        int64_t expected = 20 * (int64_t)HISTORY_SAMPLES_MAX * tenth / 10;
        int64_t got = history_samples_at(&samples, UINT32_MAX / 10 * tenth);

        assert_in_range(got, expected - 4000, expected + 4000); /* 5 %: six standard deviations */
    }
    history_samples_deinit(&samples);
}

static void add_ends(struct history_ends *ends, bool is_accepted, enum answer_class class_,
                     enum reason reason, int count)
{
    struct history_end end = {.is_accepted = is_accepted, .class_ = class_, .reason = reason};

    for (int i = 0; i < count; i++)
        history_ends_add(ends, &end);
}

static void test_ends_are_drawn_by_their_shares(void **state)
{
    struct history_ends ends = {0};
    int drawn[3] = {0};

    (void)state;
    add_ends(&ends, true, CLASS_SUCCESS, REASON_NONE, 70);
    add_ends(&ends, true, CLASS_RETRY_LATER, REASON_JOB_FAILED, 20);
    add_ends(&ends, false, CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, 10);
    assert_int_equal(ends.total, 100);
    assert_int_equal(ends.count, 3);
    for (uint32_t i = 0; i < 1000; i++) {
        const struct history_end *end = history_ends_at(&ends, UINT32_MAX / 1000 * i);

        drawn[end - ends.ends]++;
    }
    assert_in_range(drawn[0], 699, 701);
    assert_in_range(drawn[1], 199, 201);
    assert_in_range(drawn[2], 99, 101);
    assert_int_equal(history_ends_at(&ends, UINT32_MAX)->reason, REASON_PROVIDER_ERROR);
}

/* What there is no room for is left out, and shares still add up. */
static void test_more_ends_than_there_is_room_for(void **state)
{
    struct history_ends ends = {0};

    (void)state;
    for (int reason = 0; reason < REASON_COUNT; reason++)
        add_ends(&ends, false, CLASS_RETRY_LATER, (enum reason)reason, 2);
    assert_int_equal(ends.count, HISTORY_ENDS_MAX);
    assert_int_equal(ends.total, 2 * HISTORY_ENDS_MAX);
    assert_ptr_equal(history_ends_at(&ends, UINT32_MAX), &ends.ends[HISTORY_ENDS_MAX - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles_are_exact_at_the_ends_and_even_between),
        cmocka_unit_test(test_one_sample_is_the_whole_distribution),
        cmocka_unit_test(test_many_samples_keep_their_distribution),
        cmocka_unit_test(test_ends_are_drawn_by_their_shares),
        cmocka_unit_test(test_more_ends_than_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
