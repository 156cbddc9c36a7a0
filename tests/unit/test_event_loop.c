/* SPDX-License-Identifier: MIT
 * test_event_loop.c - turns, wake times, signals, waking from a thread. */
#include "daemon/event_loop.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "tests/unit/unit_test.h"

struct fixture {
    struct event_loop *loop;
    int turns;
    int turns_max;
    int signals;
    int wakeups;
    struct mono_time last_turn;
    void (*on_turn)(struct fixture *fixture, struct time_now now);
};

static void on_turn(void *context, struct time_now now)
{
    struct fixture *fixture = context;

    fixture->turns++;
    fixture->last_turn = now.mono;
    if (fixture->turns >= fixture->turns_max) {
        event_loop_leave(fixture->loop);
    }
    if (fixture->on_turn != NULL) {
        fixture->on_turn(fixture, now);
    }
}

static void on_signal(void *context, int number)
{
    struct fixture *fixture = context;

    assert_int_equal(number, SIGUSR1);
    fixture->signals++;
}

static void on_clock_step(void *context)
{
    (void)context;
}

static void on_wakeup(void *context)
{
    struct fixture *fixture = context;

    fixture->wakeups++;
    event_loop_leave(fixture->loop);
}

static void set_up(struct fixture *fixture, int64_t busy_interval_us)
{
    const struct event_loop_settings settings = {.signals = {SIGUSR1},
                                                 .busy_interval_us = busy_interval_us};
    const struct event_loop_handler handler = {.context = fixture,
                                               .on_turn = on_turn,
                                               .on_signal = on_signal,
                                               .on_clock_step = on_clock_step};
    struct fault fault;

    assert_int_equal(event_loop_create(&settings, &handler, &fixture->loop, &fault), RESULT_OK);
}

static void run(struct fixture *fixture)
{
    struct fault fault;

    assert_int_equal(event_loop_run(fixture->loop, &fault), RESULT_OK);
}

static void wake_in_10_ms(struct fixture *fixture, struct time_now now)
{
    event_loop_set_wake(fixture->loop, mono_add_us(now.mono, 10000));
}

static void test_a_turn_comes_first(void **state)
{
    struct fixture fixture = {.turns_max = 1};

    (void)state;
    set_up(&fixture, 0);
    run(&fixture);
    assert_int_equal(fixture.turns, 1);
    event_loop_destroy(fixture.loop);
}

static void test_it_sleeps_until_the_wake_time(void **state)
{
    struct fixture fixture = {.turns_max = 6, .on_turn = wake_in_10_ms};
    struct mono_time begin = clock_now().mono;

    (void)state;
    set_up(&fixture, 0);
    run(&fixture);
    assert_int_equal(fixture.turns, 6);
    assert_in_range(fixture.last_turn.us - begin.us, 50000, 5000000);
    event_loop_destroy(fixture.loop);
}

static void wake_in_the_past(struct fixture *fixture, struct time_now now)
{
    event_loop_set_wake(fixture->loop, (struct mono_time){now.mono.us - 5});
}

static void test_a_wake_time_in_the_past_is_now(void **state)
{
    struct fixture fixture = {.turns_max = 100, .on_turn = wake_in_the_past};

    (void)state;
    set_up(&fixture, 0);
    run(&fixture);
    assert_int_equal(fixture.turns, 100);
    event_loop_destroy(fixture.loop);
}

static void on_event(evutil_socket_t socket, short events, void *context)
{
    (void)socket;
    (void)events;
    (void)context;
}

static void make_an_event(struct fixture *fixture, struct time_now now)
{
    static const struct timeval at_once;

    (void)now;
    assert_int_equal(
        event_base_once(event_loop_base(fixture->loop), -1, EV_TIMEOUT, on_event, NULL, &at_once),
        0);
}

static void test_busy_turns_keep_their_distance(void **state)
{
    struct fixture fixture = {.turns_max = 21, .on_turn = make_an_event};
    struct mono_time begin = clock_now().mono;

    (void)state;
    set_up(&fixture, 5000);
    run(&fixture);
    /* 20 intervals; the first is never rested for. */
    assert_in_range(fixture.last_turn.us - begin.us, 19 * 5000, 10000000);
    event_loop_destroy(fixture.loop);
}

static void test_a_rest_ends_at_the_wake_time(void **state)
{
    struct fixture fixture = {.turns_max = 6, .on_turn = wake_in_10_ms};
    struct mono_time begin = clock_now().mono;

    (void)state;
    set_up(&fixture, 60 * US_PER_SECOND);
    run(&fixture);
    assert_in_range(fixture.last_turn.us - begin.us, 50000, 10000000);
    event_loop_destroy(fixture.loop);
}

static void raise_once(struct fixture *fixture, struct time_now now)
{
    (void)now;
    if (fixture->turns == 1) {
        raise(SIGUSR1);
    }
}

static void test_signals_are_events(void **state)
{
    struct fixture fixture = {.turns_max = 2, .on_turn = raise_once};

    (void)state;
    set_up(&fixture, 0);
    run(&fixture);
    assert_int_equal(fixture.signals, 1);
    event_loop_destroy(fixture.loop);
}

static void *fire_soon(void *wakeup)
{
    usleep(20000);
    event_loop_wakeup_fire(wakeup);
    event_loop_wakeup_fire(wakeup);
    return NULL;
}

static void test_a_thread_wakes_it(void **state)
{
    struct fixture fixture = {.turns_max = 1000};
    struct event_loop_wakeup *wakeup = NULL;
    struct fault fault;
    pthread_t thread;

    (void)state;
    set_up(&fixture, 0);
    assert_int_equal(event_loop_wakeup_create(fixture.loop, on_wakeup, &fixture, &wakeup, &fault),
                     RESULT_OK);
    assert_int_equal(pthread_create(&thread, NULL, fire_soon, wakeup), 0);
    run(&fixture);
    pthread_join(thread, NULL);
    assert_int_equal(fixture.wakeups, 1);
    event_loop_wakeup_destroy(wakeup);
    event_loop_destroy(fixture.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_turn_comes_first),
        cmocka_unit_test(test_it_sleeps_until_the_wake_time),
        cmocka_unit_test(test_a_wake_time_in_the_past_is_now),
        cmocka_unit_test(test_busy_turns_keep_their_distance),
        cmocka_unit_test(test_a_rest_ends_at_the_wake_time),
        cmocka_unit_test(test_signals_are_events),
        cmocka_unit_test(test_a_thread_wakes_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
