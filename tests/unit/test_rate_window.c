/* SPDX-License-Identifier: MIT
 * test_rate_window.c - the rolling rate against a model that keeps every hand-over for ever. */
#include "scheduler/rate_window.h"

#include "base/random.h"
#include "tests/unit/unit_test.h"

#define COUNT_MAX 8
#define SENDS_MAX 400

struct model {
    int64_t sent_us[SENDS_MAX];
    uint32_t sent_count;
    uint32_t pending;
    int64_t granted_us; /* the last grant: nothing leaves before it was allowed to */
};

/* The most hand-overs that any half-open interval of `span_us` holds: it is enough to look at
 * those that begin with one. */
static uint32_t model_most(const struct model *model, int64_t span_us)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < model->sent_count; i++) {
        uint32_t inside = 0;

        for (uint32_t j = 0; j < model->sent_count; j++)
            inside += model->sent_us[j] >= model->sent_us[i] &&
                      model->sent_us[j] < model->sent_us[i] + span_us;
        most = inside > most ? inside : most;
    }
    return most;
}

/* Requests that a send at `at` would share an interval with, the pending ones included. */
static uint32_t model_inside(const struct model *model, int64_t span_us, int64_t at_us)
{
    uint32_t inside = model->pending;

    for (uint32_t i = 0; i < model->sent_count; i++)
        inside += model->sent_us[i] + span_us > at_us;
    return inside;
}

/* The first instant from `now` on at which one more fits, by looking at every candidate. */
static int64_t model_earliest(const struct model *model, uint32_t count, int64_t span_us,
                              int64_t now_us)
{
    int64_t best = INT64_MAX;

    if (model_inside(model, span_us, now_us) < count)
        return now_us;
    for (uint32_t i = 0; i < model->sent_count; i++) {
        int64_t at_us = model->sent_us[i] + span_us;

        if (at_us > now_us && at_us < best && model_inside(model, span_us, at_us) < count)
            best = at_us;
    }
    return best;
}

/* One random history. `slack_us` is taken off the span that the window is told: 0 for the real
 * thing, more to show that the model finds a window that is wrong. True: all went well. */
static bool run_history(uint64_t seed, int64_t slack_us)
{
    struct random random;
    struct model model = {0};
    struct rate_window window;
    int64_t times_us[COUNT_MAX];
    int64_t now_us = 0;
    uint32_t count;
    int64_t span_us;

    random_init(&random, seed);
    count = 1 + (uint32_t)random_below(&random, COUNT_MAX);
    span_us = 20 + (int64_t)random_below(&random, 1000);
    rate_window_init(&window, times_us, count, span_us - slack_us);
    while (model.sent_count < SENDS_MAX) {
        struct mono_time now = {now_us};
        int64_t earliest_us = rate_window_earliest(&window, now).us;

        if (slack_us == 0)
            assert_true(earliest_us == model_earliest(&model, count, span_us, now_us));
        switch (random_below(&random, 4)) {
        case 0: now_us += (int64_t)random_below(&random, (uint64_t)span_us / 2); break;
        case 1:
            if (earliest_us != INT64_MAX)
                now_us = earliest_us; /* as early as it lets us */
            break;
        case 2:
            if (earliest_us == now_us) {
                rate_window_grant(&window);
                model.pending++;
                model.granted_us = now_us;
            }
            break;
        default:
            if (model.pending == 0)
                break;
            model.pending--;
            if (random_below(&random, 8) == 0) {
                rate_window_return(&window);
            } else { /* handed over a little before it is told */
                int64_t at_us = now_us - (int64_t)random_below(&random, 3);

                at_us = at_us > model.granted_us ? at_us : model.granted_us;
                rate_window_sent(&window, (struct mono_time){at_us});
                model.sent_us[model.sent_count++] = at_us;
            }
            break;
        }
    }
    return model_most(&model, span_us) <= count;
}

static void test_model(void **state)
{
    uint64_t seed = unit_seed();

    (void)state;
    for (uint64_t i = 0; i < 300; i++)
        assert_true(run_history(seed + i, 0));
}

/* A window that forgets a request one tenth of a span early must be found out. */
static void test_model_can_fail(void **state)
{
    uint32_t found = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++)
        found += !run_history(seed, 2);
    assert_true(found > 50);
}

static void test_half_open(void **state)
{
    struct rate_window window;
    int64_t times_us[1];
    struct mono_time at = {1000};

    (void)state;
    rate_window_init(&window, times_us, 1, 500);
    assert_true(rate_window_earliest(&window, at).us == 1000);
    rate_window_grant(&window);
    /* Nobody knows when it will leave: only that can tell. */
    assert_true(rate_window_earliest(&window, at).us == MONO_NEVER.us);
    rate_window_sent(&window, (struct mono_time){1700});
    assert_true(rate_window_earliest(&window, at).us == 2200);
    assert_true(rate_window_earliest(&window, (struct mono_time){2200}).us == 2200);
}

static void test_remember_keeps_newest(void **state)
{
    struct rate_window window;
    int64_t times_us[3];

    (void)state;
    rate_window_init(&window, times_us, 3, 100);
    for (int64_t at_us = 50; at_us >= 10; at_us -= 10)
        rate_window_remember(&window, (struct mono_time){at_us});
    assert_int_equal(window.used, 3);
    assert_true(rate_window_at(&window, 0).us == 30);
    assert_true(rate_window_at(&window, 2).us == 50);
    rate_window_postpone(&window, (struct mono_time){30}, (struct mono_time){45});
    assert_true(rate_window_at(&window, 0).us == 40);
    assert_true(rate_window_at(&window, 1).us == 45);
    rate_window_postpone(&window, (struct mono_time){99}, (struct mono_time){200});
    assert_true(rate_window_at(&window, 2).us == 50); /* not there: nothing happens */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_model_can_fail),
        cmocka_unit_test(test_half_open),
        cmocka_unit_test(test_remember_keeps_newest),
    };

    return cmocka_run_group_tests_name("rate_window", tests, NULL, NULL);
}
