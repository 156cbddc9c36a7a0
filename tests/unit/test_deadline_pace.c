/* SPDX-License-Identifier: MIT
 * test_deadline_pace.c - work that cannot be sent in time is skipped early, lowest priority first;
 * work that would come too late by its offset is sent earlier; the rest keeps its place. */
#include <string.h>

#include "base/text.h"
#include "tests/unit/bank_world.h"
#include "tests/unit/unit_test.h"

#define ONE_AM MS_PER_HOUR

static void set_rate(struct limit_settings *limits, uint32_t count, int64_t span_ms)
{
    limits->rates[0] = (struct rate){count, span_ms};
    limits->rate_count = 1;
}

static void set_window(struct bank_world *world, int64_t spread_ms, int64_t deadline_ms)
{
    world->schedules[0].spread_ms = spread_ms;
    world->schedules[0].deadline.duration_ms = deadline_ms;
}

/* When the consent's slot is due by its offset, since the world began. */
static int64_t offset_due(const struct bank_world *world, uint32_t consent)
{
    uint64_t schedule = hash_bytes("first", 5, 0);

    return ONE_AM + spread_offset_ms(spread_phase(world->consents[consent].hash, schedule),
                                     world->schedules[0].spread_ms);
}

static struct run_view view_of(const struct bank_world *world)
{
    struct run_view view;

    assert_int_equal(scheduler_run_count(world->scheduler), 1);
    scheduler_run_view(world->scheduler, 0, &view);
    return view;
}

static int64_t last_start(const struct bank_world *world)
{
    assert_true(world->start_count > 0);
    return world->starts[world->start_count - 1].at_ms;
}

/* Most starts within a minute that are earlier than their own offset by more than a second. */
static uint32_t early_starts(const struct bank_world *world, uint32_t *in_a_minute)
{
    uint32_t early = 0;
    uint32_t minutes[600] = {0};

    *in_a_minute = 0;
    for (uint32_t i = 0; i < world->start_count; i++) {
        const struct world_start *start = &world->starts[i];
        uint32_t *minute = &minutes[start->at_ms / MS_PER_MINUTE];

        assert_true(start->at_ms >= ONE_AM); /* never before the run's slot */
        if (start->at_ms + MS_PER_SECOND >= offset_due(world, start->consent))
            continue;
        early++;
        if (++*minute > *in_a_minute)
            *in_a_minute = *minute;
    }
    return early;
}

/* ---- skips ---- */

static void test_excess_is_skipped_at_once(void **state)
{
    struct bank_world *world = world_create(1, 1);

    (void)state;
    set_window(world, 0, MS_PER_HOUR);
    set_rate(&world->institutions[0].limits, 10, MS_PER_MINUTE);
    world_add(world, 0, 0, 1000);
    for (uint32_t c = 1; c <= 1000; c++)
        world->consents[c].priority = c <= 500 ? 8 : 2;
    world_start(world);
    world_run_until(world, ONE_AM + MS_PER_SECOND);
    assert_int_equal(world->banks[0].skipped[REASON_DEADLINE], 400); /* 60 times 10 fit */
    assert_int_equal(world->banks[0].waited_for[REASON_RATE], 400);
    world_run_until(world, ONE_AM + 2 * MS_PER_HOUR);
    assert_int_equal(world->banks[0].ended, 600);
    assert_int_equal(world->banks[0].skipped[REASON_DEADLINE], 400);
    for (uint32_t i = 0, high = 0; i < world->start_count; i++) {
        high += world->starts[i].consent <= 500;
        assert_true(i + 1 < world->start_count || high == 500); /* none of the high ones */
    }
    world_destroy(world);
}

/* The provider's rate counts for all its banks together; the lowest priority of all goes. */
static void test_excess_of_a_provider(void **state)
{
    struct bank_world *world = world_create(4, 1);

    (void)state;
    set_window(world, 0, MS_PER_HOUR);
    set_rate(&world->provider.limits, 20, MS_PER_MINUTE);
    for (uint32_t bank = 0; bank < 4; bank++)
        world_add(world, bank, 0, 400);
    for (uint32_t c = 1; c <= 400; c++)
        world->consents[c].priority = 1;
    world_start(world);
    world_run_until(world, ONE_AM + MS_PER_SECOND);
    assert_int_equal(world->banks[0].skipped[REASON_DEADLINE], 400);
    for (uint32_t bank = 1; bank < 4; bank++)
        assert_int_equal(world->banks[bank].skipped[REASON_DEADLINE], 0);
    world_destroy(world);
}

/* Slots for which nothing would be sent take nobody's place. */
static void test_refused_slots_do_not_count(void **state)
{
    struct bank_world *world = world_create(1, 1);

    (void)state;
    set_window(world, 30 * MS_PER_MINUTE, MS_PER_HOUR);
    set_rate(&world->institutions[0].limits, 10, MS_PER_MINUTE);
    world_add(world, 0, 0, 1000);
    for (uint32_t c = 1; c <= 400; c++)
        world->consents[c].mode = MODE_LISTEN;
    world_start(world);
    world_run_until(world, ONE_AM + 2 * MS_PER_HOUR);
    assert_int_equal(world->banks[0].ended, 600);
    assert_int_equal(world->banks[0].skipped[REASON_LISTEN_ONLY], 400);
    assert_int_equal(world->banks[0].skipped[REASON_DEADLINE], 0);
    world_destroy(world);
}

/* Requests of before count: what a window of a day still remembers cannot be sent again. */
static void test_long_windows_remember(void **state)
{
    struct bank_world *world = world_create(1, 1);

    (void)state;
    set_window(world, 0, MS_PER_HOUR);
    set_rate(&world->institutions[0].limits, 100, 20 * MS_PER_HOUR);
    world_add(world, 0, 0, 90);
    world_start(world);
    world_run_until(world, ONE_AM + 22 * MS_PER_HOUR);
    assert_int_equal(world->banks[0].ended, 90);
    /* The next night everything is free again. */
    world_run_until(world, ONE_AM + 26 * MS_PER_HOUR);
    assert_int_equal(world->banks[0].ended, 180);
    world_destroy(world);
    world = world_create(1, 1);
    set_window(world, 0, MS_PER_HOUR);
    set_rate(&world->institutions[0].limits, 100, 48 * MS_PER_HOUR);
    world_add(world, 0, 0, 90);
    world_start(world);
    world_run_until(world, ONE_AM + 24 * MS_PER_HOUR + MS_PER_SECOND);
    assert_int_equal(world->banks[0].skipped[REASON_DEADLINE], 80);
    world_destroy(world);
}

/* ---- what only should not fit ---- */

static void test_jobs_that_will_not_fit_are_foretold(void **state)
{
    struct bank_world *world = world_create(2, 1);
    struct run_view view;

    (void)state;
    set_window(world, 0, MS_PER_HOUR);
    world->provider.limits.jobs_running_max = 20;
    world_add(world, 0, 0, 2500);
    world_add(world, 1, 0, 500);
    world_start(world);
    world_run_until(world, ONE_AM + 10 * MS_PER_MINUTE);
    view = view_of(world);
    /* 20 places, 30 s each: 2,400 of 3,000. */
    print_message("will miss %u, finish %d s after the deadline\n", view.will_miss,
                  (int)((view.finish.ms - view.deadline.ms) / MS_PER_SECOND));
    assert_in_range(view.will_miss, 500, 750);
    assert_int_equal(view.limit, REASON_CONCURRENCY);
    assert_int_equal(view.limit_provider, 0);
    assert_int_equal(view.limit_institution, UINT32_MAX);
    assert_true(view.finish.ms > view.deadline.ms);
    assert_int_equal(world->banks[0].skipped[REASON_DEADLINE], 0); /* they might end sooner */
    world_run_until(world, ONE_AM + 2 * MS_PER_HOUR);
    assert_in_range(world->banks[0].skipped[REASON_DEADLINE] +
                        world->banks[1].skipped[REASON_DEADLINE],
                    500, 700);
    world_destroy(world);
}

static void test_a_night_that_fits_says_when_it_ends(void **state)
{
    struct bank_world *world = world_create(2, 1);
    struct run_view view;

    (void)state;
    set_window(world, 0, MS_PER_HOUR);
    set_rate(&world->provider.limits, 1, MS_PER_SECOND);
    world_add(world, 0, 0, 600);
    world_start(world);
    world_run_until(world, ONE_AM + 5 * MS_PER_MINUTE);
    view = view_of(world);
    assert_int_equal(view.will_miss, 0);
    /* 600 initiations and 600 polls at one a second. */
    assert_in_range(view.finish.ms - view.slot.ms, 17 * MS_PER_MINUTE, 22 * MS_PER_MINUTE);
    world_destroy(world);
}

/* ---- pulls ---- */

static void test_what_fits_keeps_its_place(void **state)
{
    struct bank_world *world = world_create(4, 1);
    uint32_t in_a_minute;

    (void)state;
    set_window(world, 2 * MS_PER_HOUR, 3 * MS_PER_HOUR);
    world->provider.limits.jobs_running_max = 100;
    for (uint32_t bank = 0; bank < 4; bank++) {
        set_rate(&world->institutions[bank].limits, 2, MS_PER_SECOND);
        world_add(world, bank, 0, 500);
    }
    world_start(world);
    world_run_until(world, ONE_AM + 4 * MS_PER_HOUR);
    assert_int_equal(world->start_count, 2000);
    assert_int_equal(early_starts(world, &in_a_minute), 0);
    world_destroy(world);
}

/* Closed from 03:00 on: what would come due then comes before, evenly; the others keep their time.
 */
static void test_before_a_late_blackout(void **state)
{
    struct bank_world *world = world_create(2, 1);
    struct time_range blackout = {
        .zone = &zone_utc, .start_s = 3 * 3600, .end_s = 6 * 3600, .weekdays = 127};
    uint32_t in_a_minute;
    uint32_t early;

    (void)state;
    set_window(world, 3 * MS_PER_HOUR, 4 * MS_PER_HOUR);
    world->institutions[0].limits.hours.blackouts = &blackout;
    world->institutions[0].limits.hours.blackout_count = 1;
    world_add(world, 0, 0, 900);
    world_add(world, 1, 0, 900);
    world_start(world);
    world_run_until(world, ONE_AM + 5 * MS_PER_HOUR);
    assert_int_equal(world->banks[0].ended, 900);
    assert_int_equal(world->banks[1].ended, 900);
    early = early_starts(world, &in_a_minute);
    print_message("%u of 900 came early, at most %u in a minute\n", early, in_a_minute);
    assert_in_range(early, 270, 380); /* the third that would be late, and hardly anybody else */
    assert_true(in_a_minute <= 8);    /* five a minute is their own pace */
    for (uint32_t i = 0; i < world->start_count; i++)
        if (world->starts[i].consent > 900) /* the other bank's */
            assert_in_range(world->starts[i].at_ms, offset_due(world, world->starts[i].consent),
                            offset_due(world, world->starts[i].consent) + 2000);
    world_destroy(world);
}

/* A rate that needs nearly the whole window: the run ends with its margin. */
static void test_a_tight_rate_ends_with_margin(void **state)
{
    struct bank_world *world = world_create(2, 1);

    (void)state;
    set_window(world, MS_PER_HOUR, MS_PER_HOUR);
    world->banks[0].job_ms = 20 * MS_PER_SECOND;
    set_rate(&world->institutions[0].limits, 10, MS_PER_MINUTE);
    world_add(world, 0, 0, 560);
    world_add(world, 1, 0, 100);
    world_start(world);
    world_run_until(world, ONE_AM + 2 * MS_PER_HOUR);
    assert_int_equal(world->banks[0].ended, 560);
    assert_int_equal(world->banks[1].ended, 100);
    print_message("the last of 560 went %d s after the slot\n",
                  (int)((last_start(world) - ONE_AM) / MS_PER_SECOND));
    assert_true(last_start(world) <= ONE_AM + 57 * MS_PER_MINUTE + 10 * MS_PER_SECOND);
    world_destroy(world);
}

static void test_same_events_same_batches(void **state)
{
    uint64_t trace[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct bank_world *world = world_create(8, 2);

        set_window(world, MS_PER_HOUR, MS_PER_HOUR);
        world->schedules[1].spread_ms = MS_PER_HOUR;
        world->schedules[1].deadline.duration_ms = 2 * MS_PER_HOUR;
        world->schedules[1].priority = 2;
        world->provider.limits.jobs_running_max = 40;
        set_rate(&world->provider.limits, 60, MS_PER_MINUTE);
        for (uint32_t bank = 0; bank < 8; bank++) {
            world->banks[bank].job_ms = (bank + 1) * 7 * MS_PER_SECOND;
            set_rate(&world->institutions[bank].limits, bank + 1, MS_PER_MINUTE);
            world_add(world, bank, bank % 2, 300);
        }
        world_start(world);
        world_run_until(world, ONE_AM + 3 * MS_PER_HOUR);
        trace[i] = world->trace;
        world_destroy(world);
    }
    assert_true(trace[0] == trace[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_excess_is_skipped_at_once),
        cmocka_unit_test(test_excess_of_a_provider),
        cmocka_unit_test(test_refused_slots_do_not_count),
        cmocka_unit_test(test_long_windows_remember),
        cmocka_unit_test(test_jobs_that_will_not_fit_are_foretold),
        cmocka_unit_test(test_a_night_that_fits_says_when_it_ends),
        cmocka_unit_test(test_what_fits_keeps_its_place),
        cmocka_unit_test(test_before_a_late_blackout),
        cmocka_unit_test(test_a_tight_rate_ends_with_margin),
        cmocka_unit_test(test_same_events_same_batches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
