/* SPDX-License-Identifier: MIT
 * test_quota.c - rolling quotas against a model that keeps every charge for ever. */
#include "scheduler/quota.h"

#include "base/random.h"
#include "tests/unit/unit_test.h"

#define GAPS_MAX 5
#define CHARGES_MAX 200

struct model {
    int64_t charged_ms[CHARGES_MAX];
    uint32_t count;
};

static uint32_t model_used(const struct model *model, int64_t window_ms, int64_t now_ms)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < model->count; i++)
        used += model->charged_ms[i] > now_ms - window_ms;
    return used;
}

static int64_t model_earliest(const struct model *model, uint32_t count, int64_t window_ms,
                              int64_t now_ms)
{
    int64_t best = INT64_MAX;

    if (count == 0 || model_used(model, window_ms, now_ms) < count)
        return now_ms;
    for (uint32_t i = 0; i < model->count; i++) {
        int64_t at_ms = model->charged_ms[i] + window_ms;

        if (at_ms > now_ms && at_ms < best && model_used(model, window_ms, at_ms) < count)
            best = at_ms;
    }
    return best;
}

/* Charge where it is allowed, take some back, let time pass. `slack_ms` shortens the window that
 * the quota is told, to show that the model finds that. */
static bool run_history(uint64_t seed, int64_t slack_ms)
{
    struct random random;
    struct model model = {0};
    uint32_t gaps[GAPS_MAX];
    struct quota quota = {.gaps = gaps, .gap_count = GAPS_MAX};
    uint32_t count;
    int64_t window_ms;
    int64_t now_ms = 1000;
    bool may_uncharge = false;

    random_init(&random, seed);
    quota_clear(&quota);
    count = 1 + (uint32_t)random_below(&random, GAPS_MAX + 1);
    window_ms = 10 + (int64_t)random_below(&random, QUOTA_GAP_LONG_AGO / 4);
    while (model.count < CHARGES_MAX) {
        struct utc_time now = {now_ms};
        int64_t earliest_ms = quota_earliest(&quota, count, window_ms - slack_ms, now).ms;

        if (slack_ms == 0) {
            assert_true(earliest_ms == model_earliest(&model, count, window_ms, now_ms));
            assert_int_equal(quota_used(&quota, window_ms, now),
                             model_used(&model, window_ms, now_ms));
        }
        switch (random_below(&random, 4)) {
        case 0: now_ms += (int64_t)random_below(&random, (uint64_t)window_ms); break;
        case 1: now_ms = earliest_ms; break;
        case 2:
            if (earliest_ms > now_ms)
                break;
            if (model_used(&model, window_ms, now_ms) >= count)
                return false;
            quota_charge(&quota, now);
            model.charged_ms[model.count++] = now_ms;
            may_uncharge = true;
            break;
        default:
            if (may_uncharge && random_below(&random, 2) == 0) {
                quota_uncharge(&quota, window_ms);
                model.count--;
                may_uncharge = false; /* only the newest is ever in question */
            } else if (may_uncharge) {
                now_ms += (int64_t)random_below(&random, 5);
                quota_postpone(&quota, (struct utc_time){now_ms});
                model.charged_ms[model.count - 1] = now_ms;
            }
            break;
        }
    }
    return true;
}

static void test_model(void **state)
{
    uint64_t seed = unit_seed();

    (void)state;
    for (uint64_t i = 0; i < 1000; i++)
        assert_true(run_history(seed + i, 0));
}

static void test_model_can_fail(void **state)
{
    uint32_t found = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++)
        found += !run_history(seed, 1);
    assert_true(found > 40);
}

/* Gaps of more than 49 days say "long ago" and never wrap. */
static void test_long_gap(void **state)
{
    uint32_t gaps[2];
    struct quota quota = {.gaps = gaps, .gap_count = 2};
    struct utc_time now = {INT64_C(1) << 40};

    (void)state;
    quota_clear(&quota);
    quota_charge(&quota, (struct utc_time){0});
    quota_charge(&quota, now);
    assert_int_equal(quota_used(&quota, INT64_C(31) * MS_PER_DAY, now), 1);
    assert_true(quota_earliest(&quota, 2, INT64_C(31) * MS_PER_DAY, now).ms == now.ms);
    quota_uncharge(&quota, INT64_C(31) * MS_PER_DAY);
    assert_true(quota.newest.ms == UTC_NONE.ms);
}

static void test_clock_set_back(void **state)
{
    uint32_t gaps[3];
    struct quota quota = {.gaps = gaps, .gap_count = 3};

    (void)state;
    quota_clear(&quota);
    quota_charge(&quota, (struct utc_time){5000});
    quota_charge(&quota, (struct utc_time){4000});
    assert_true(quota.newest.ms == 5000);
    assert_int_equal(quota_used(&quota, 100, (struct utc_time){4000}), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_model_can_fail),
        cmocka_unit_test(test_long_gap),
        cmocka_unit_test(test_clock_set_back),
    };

    return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
