/* SPDX-License-Identifier: MIT
 * test_fairness.c - turns of schedules, institutions and levels, and shares of running jobs. */
#include <string.h>

#include "tests/unit/bank_world.h"
#include "tests/unit/unit_test.h"

#define ONE_AM MS_PER_HOUR

/* Starts among numbers first..last in the order in which they were made, from start `from` on. */
static uint32_t starts_of(const struct bank_world *world, uint32_t from, uint32_t to,
                          uint32_t first, uint32_t last)
{
    uint32_t count = 0;

    for (uint32_t i = from; i < to && i < world->start_count; i++)
        count += world->starts[i].consent >= first && world->starts[i].consent <= last;
    return count;
}

static uint32_t healthy_ends(const struct bank_world *world, uint32_t first)
{
    uint32_t ended = 0;

    for (uint32_t i = first; i < world->settings.institution_count; i++)
        ended += world->banks[i].ended;
    return ended;
}

static void set_rate_of(struct bank_world *world, uint32_t bank, uint32_t a_minute)
{
    world->institutions[bank].limits.rates[0] = (struct rate){a_minute, MS_PER_MINUTE};
    world->institutions[bank].limits.rate_count = 1;
}

/* ---- turns ---- */

/* 1,000 slots of one schedule do not stand before 20 of another that fires a second later. */
static void test_schedules_take_turns(void **state)
{
    struct bank_world *world = world_create(1, 2);
    struct fault fault;
    size_t offset;

    (void)state;
    world->provider.limits.rates[0] = (struct rate){1, MS_PER_SECOND};
    world->provider.limits.rate_count = 1;
    world->provider.limits.jobs_running_max = 0;
    assert_int_equal(
        cron_parse("1 0 1 * * *", 11, &world->schedules[1].calendar.cron, &offset, &fault),
        RESULT_OK);
    world_add(world, 0, 0, 1000);
    world_add(world, 0, 1, 20);
    world_start(world);
    world_run_until(world, ONE_AM + 2 * MS_PER_MINUTE);
    assert_int_equal(starts_of(world, 0, 50, 1001, 1020), 20);
    assert_true(starts_of(world, 0, 50, 1, 1000) >= 20);
    scheduler_check(world->scheduler);
    world_destroy(world);
}

static void test_manual_overtakes_without_starving(void **state)
{
    struct bank_world *world = world_create(1, 1);
    uint32_t first;

    (void)state;
    world->provider.limits.rates[0] = (struct rate){2, MS_PER_SECOND};
    world->provider.limits.rate_count = 1;
    world_add(world, 0, 0, 2000);
    world_add(world, 0, 0, 200); /* triggered by hand below */
    for (uint32_t c = 2001; c <= 2200; c++)
        world->consents[c].schedule_set = UINT16_MAX;
    world_start(world);
    world_run_until(world, ONE_AM + MS_PER_MINUTE);
    first = world->start_count;
    for (uint32_t c = 2001; c <= 2200; c++)
        world_trigger(world, c);
    world_run_until(world, ONE_AM + 10 * MS_PER_MINUTE);
    /* Eight of nine turns are theirs until they are done; the ninth is bulk work's. */
    assert_in_range(starts_of(world, first, first + 90, 2001, 2200), 79, 81);
    assert_in_range(starts_of(world, first, first + 90, 1, 2000), 9, 11);
    assert_int_equal(starts_of(world, first, first + 230, 2001, 2200), 200);
    world_destroy(world);
}

/* The narrow limit may be the institution's: nothing starves there either. */
static void test_low_priority_ages(void **state)
{
    struct bank_world *world = world_create(2, 3);
    uint32_t low;
    uint32_t lowest;

    (void)state;
    world->schedules[0].priority = 9;
    world->schedules[1].priority = 4;
    world->schedules[2].priority = 0;
    world->institutions[0].limits.rates[0] = (struct rate){1, MS_PER_SECOND};
    world->institutions[0].limits.rate_count = 1;
    world_add(world, 0, 0, 1000);
    world_add(world, 0, 1, 500);
    world_add(world, 0, 2, 500);
    world_start(world);
    world_run_until(world, ONE_AM + 15 * MS_PER_MINUTE);
    low = starts_of(world, 0, 360, 1001, 1500);
    lowest = starts_of(world, 0, 360, 1501, 2000);
    assert_in_range(low, 18, 22);
    assert_in_range(lowest, 18, 22);
    world_destroy(world);
}

/* More keys than lanes at the moment when all of a night comes due: nothing is lost. */
static void test_no_lane_left(void **state)
{
    struct bank_world *world = world_create(WORLD_BANKS, WORLD_SCHEDULES);
    uint32_t ended = 0;

    (void)state;
    world->provider.limits.jobs_running_max = 500;
    for (uint32_t bank = 0; bank < WORLD_BANKS; bank++)
        for (uint32_t schedule = 0; schedule < WORLD_SCHEDULES; schedule++)
            world_add(world, bank, schedule, 20);
    for (uint32_t c = 1; c <= world->consent_count; c++)
        world->consents[c].priority = (uint8_t)(c % 10);
    world_start(world);
    world_run_until(world, ONE_AM + 2 * MS_PER_MINUTE);
    for (uint32_t c = 1; c <= world->consent_count; c += 7)
        scheduler_consent_remove(world->scheduler, c);
    world_run_until(world, ONE_AM + 30 * MS_PER_MINUTE);
    scheduler_check(world->scheduler);
    for (uint32_t bank = 0; bank < WORLD_BANKS; bank++)
        ended += world->banks[bank].ended + world->banks[bank].skipped[REASON_REMOVED];
    assert_int_equal(ended, world->consent_count);
    assert_int_equal(scheduler_run_count(world->scheduler), 0);
    world_destroy(world);
}

/* ---- shares ---- */

/* 40 banks with more work than the provider lets run; what the healthy ones got done. */
static uint32_t night_of_forty(bool hangs, int64_t others_later_ms, uint32_t *held)
{
    struct bank_world *world = world_create(40, 2);
    struct fault fault;
    size_t offset;
    char cron[16];
    uint32_t ended;

    world->provider.limits.jobs_running_max = 400;
    if (hangs)
        world->banks[0].job_ms = WORLD_NEVER;
    snprintf(cron, sizeof cron, "%d 1 * * *", (int)(others_later_ms / MS_PER_MINUTE));
    assert_int_equal(
        cron_parse(cron, strlen(cron), &world->schedules[1].calendar.cron, &offset, &fault),
        RESULT_OK);
    world_add(world, 0, 0, others_later_ms > 0 ? 15000 : 300);
    for (uint32_t bank = 1; bank < 40; bank++)
        world_add(world, bank, 1, 300);
    world_start(world);
    world_run_until(world, ONE_AM + others_later_ms + 8 * MS_PER_MINUTE);
    scheduler_check(world->scheduler);
    *held = world->banks[0].running_max;
    ended = healthy_ends(world, 1);
    world_destroy(world);
    return ended;
}

static void test_a_hung_bank_holds_its_share(void **state)
{
    uint32_t held;
    uint32_t healthy = night_of_forty(false, 0, &held);
    uint32_t beside_hung = night_of_forty(true, 0, &held);

    (void)state;
    print_message("39 banks ended %u jobs beside a healthy one, %u beside a hung one\n", healthy,
                  beside_hung);
    assert_true(held <= 10);
    assert_true(beside_hung * 100 >= healthy * 98);
}

static void test_a_hung_bank_that_came_first_holds_its_share(void **state)
{
    uint32_t held;
    uint32_t healthy = night_of_forty(false, 10 * MS_PER_MINUTE, &held);
    uint32_t beside_hung;

    (void)state;
    assert_true(held > 200); /* healthy and alone, it earns what nobody else wants */
    beside_hung = night_of_forty(true, 10 * MS_PER_MINUTE, &held);
    print_message("39 banks ended %u jobs beside a healthy one, %u beside a hung one\n", healthy,
                  beside_hung);
    assert_true(held <= 10);
    assert_true(beside_hung * 100 >= healthy * 98);
}

/* A bank that never answers holds requests, not jobs: the same for requests_in_flight. */
static void test_a_mute_bank_holds_its_share_of_requests(void **state)
{
    uint32_t ended[2];

    (void)state;
    for (int mute = 0; mute < 2; mute++) {
        struct bank_world *world = world_create(20, 1);

        world->provider.limits.requests_in_flight_max = 40;
        for (uint32_t bank = 0; bank < 20; bank++) {
            world->banks[bank].job_ms = 5 * MS_PER_SECOND;
            world_add(world, bank, 0, 500);
        }
        if (mute)
            world->banks[0].answer_ms = WORLD_NEVER;
        world_start(world);
        world_run_until(world, ONE_AM + 30 * MS_PER_SECOND);
        ended[mute] = healthy_ends(world, 1);
        world_destroy(world);
    }
    print_message("19 banks ended %u jobs, %u beside a mute one\n", ended[0], ended[1]);
    assert_true(ended[1] * 100 >= ended[0] * 98);
}

/* Slow is not dead: a bank with long jobs gets what the others leave, and not more. */
static void test_a_slow_bank_takes_what_is_left(void **state)
{
    struct bank_world *world = world_create(4, 1);

    (void)state;
    world->provider.limits.jobs_running_max = 80;
    world->banks[0].job_ms = 10 * MS_PER_MINUTE;
    world_add(world, 0, 0, 1000);
    for (uint32_t bank = 1; bank < 4; bank++)
        world_add(world, bank, 0, 1000);
    world_start(world);
    world_run_until(world, ONE_AM + 20 * MS_PER_MINUTE);
    assert_in_range(world->banks[0].running, 18, 21); /* a quarter */
    world_run_until(world, ONE_AM + 90 * MS_PER_MINUTE);
    assert_int_equal(world->banks[1].ended, 1000);
    assert_int_equal(world->banks[3].ended, 1000);
    assert_true(world->banks[0].running_max > 60); /* alone with it now */
    world_destroy(world);
}

/* One job in four never ends: what is stuck stays within a bound though the bank earns by the
 * others, and the healthy ones have their share. */
static void test_stuck_jobs_stay_within_a_bound(void **state)
{
    uint32_t ended[2];

    (void)state;
    for (int is_sick = 0; is_sick < 2; is_sick++) {
        struct bank_world *world = world_create(8, 1);

        world->provider.limits.jobs_running_max = 80;
        world->banks[0].stuck_of = is_sick ? 4 : 0;
        world->schedules[0].deadline.duration_ms = 2 * MS_PER_HOUR;
        for (uint32_t bank = 0; bank < 8; bank++) /* the others ask for less than their shares */
            set_rate_of(world, bank, bank == 0 ? 100 : 10);
        for (uint32_t bank = 0; bank < 8; bank++)
            world_add(world, bank, 0, bank == 0 ? 4000 : 600);
        world_start(world);
        world_run_until(world, ONE_AM + 55 * MS_PER_MINUTE);
        ended[is_sick] = healthy_ends(world, 1);
        if (is_sick) /* base share 10, an eighth of 80, and what is not known to be stuck yet */
            assert_in_range(world->banks[0].running, 10, 32);
        scheduler_check(world->scheduler);
        world_destroy(world);
    }
    print_message("7 banks ended %u jobs, %u beside a sick one\n", ended[0], ended[1]);
    assert_true(ended[1] * 100 >= ended[0] * 98);
}

/* It earned all that there is while it was alone, and then it hangs: who comes later can start. */
static void test_places_are_kept_for_those_to_come(void **state)
{
    struct bank_world *world = world_create(8, 1);

    (void)state;
    world->provider.limits.jobs_running_max = 80;
    world->schedules[0].spread_ms = 30 * MS_PER_MINUTE;
    world_add(world, 0, 0, 12000);
    for (uint32_t bank = 1; bank < 8; bank++)
        world_add(world, bank, 0, 5);
    world_start(world);
    world_run_until(world, ONE_AM + 3 * MS_PER_MINUTE);
    assert_in_range(world->banks[0].running, 65, 70); /* seven eighths */
    world->banks[0].job_ms = WORLD_NEVER;
    world_run_until(world, ONE_AM + 35 * MS_PER_MINUTE);
    assert_int_equal(healthy_ends(world, 1), 35);
    assert_true(world->banks[0].running <= 80);
    world_destroy(world);
}

static void test_same_events_same_batches(void **state)
{
    uint64_t trace[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct bank_world *world = world_create(10, 2);

        world->provider.limits.jobs_running_max = 25;
        for (uint32_t bank = 0; bank < 10; bank++) {
            world->banks[bank].job_ms = (bank + 1) * 7 * MS_PER_SECOND;
            world_add(world, bank, bank % 2, 60);
        }
        world_start(world);
        world_run_until(world, ONE_AM + 20 * MS_PER_MINUTE);
        trace[i] = world->trace;
        world_destroy(world);
    }
    assert_true(trace[0] == trace[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedules_take_turns),
        cmocka_unit_test(test_manual_overtakes_without_starving),
        cmocka_unit_test(test_low_priority_ages),
        cmocka_unit_test(test_no_lane_left),
        cmocka_unit_test(test_a_hung_bank_holds_its_share),
        cmocka_unit_test(test_a_hung_bank_that_came_first_holds_its_share),
        cmocka_unit_test(test_a_mute_bank_holds_its_share_of_requests),
        cmocka_unit_test(test_a_slow_bank_takes_what_is_left),
        cmocka_unit_test(test_stuck_jobs_stay_within_a_bound),
        cmocka_unit_test(test_places_are_kept_for_those_to_come),
        cmocka_unit_test(test_same_events_same_batches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
