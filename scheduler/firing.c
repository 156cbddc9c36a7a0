/* SPDX-License-Identifier: MIT
 * firing.c - see firing.h. */
#include "scheduler/firing.h"

#include "scheduler/deadline_pace.h"
#include "scheduler/run.h"

void firing_start(struct schedule *schedule, struct utc_time accounted)
{
    schedule->accounted = accounted;
    schedule->accounted_local_ms = INT64_MIN;
    schedule->accounted_fold = 0;
    schedule->next = calendar_next(&schedule->settings.calendar, accounted);
}

static int64_t firing_local_ms(const struct calendar_firing *firing)
{
    return civil_to_utc(&firing->local).ms;
}

static void record_schedule(struct scheduler *scheduler, const struct schedule *schedule)
{
    struct record *record = core_record(scheduler, RECORD_SCHEDULE, NULL);

    record->as.schedule.schedule = schedule->settings_index;
    record->as.schedule.slot = schedule->accounted;
    record->as.schedule.local_ms = schedule->accounted_local_ms;
    record->as.schedule.fold = schedule->accounted_fold;
}

/* The firing has happened, one way or another. */
static void account(struct scheduler *scheduler, struct schedule *schedule)
{
    struct calendar_firing firing = schedule->next;

    schedule->accounted = firing.at;
    schedule->accounted_local_ms = firing_local_ms(&firing);
    schedule->accounted_fold = firing.fold;
    schedule->next = calendar_next(&schedule->settings.calendar, firing.at);
    record_schedule(scheduler, schedule);
}

void firing_init_run(struct scheduler *scheduler, struct run *run, uint32_t index,
                     enum trigger trigger, const struct calendar_firing *firing)
{
    const struct schedule *schedule = &scheduler->schedules[index];
    const struct schedule_settings *settings = &schedule->settings;
    struct utc_time deadline = deadline_at(&settings->calendar, &settings->deadline, firing->at);

    *run = (struct run){
        .in_use = true,
        .number = scheduler->next_run++,
        .schedule = index,
        .trigger = trigger,
        .slot = firing->at,
        .local_ms = firing_local_ms(firing),
        .fold = firing->fold,
        .base = firing->at,
        .deadline = deadline,
        .started = scheduler->now.utc,
        .spread_ms = settings->spread_ms,
        .paused = {NONE_INDEX, NONE_INDEX},
    };
    if (trigger == TRIGGER_CATCH_UP) {
        struct calendar_firing next = calendar_next(&settings->calendar, scheduler->now.utc);

        run->base = scheduler->now.utc;
        run->deadline = deadline.ms == UTC_NEVER.ms
                            ? UTC_NEVER
                            : utc_add_ms(run->base, deadline.ms - firing->at.ms);
        if (next.found)
            run->deadline = utc_sooner(run->deadline, next.at);
    }
    if (run->deadline.ms != UTC_NEVER.ms)
        run->spread_ms = spread_within_ms(run->spread_ms, run->deadline.ms - run->base.ms);
    deadline_pace_begin(scheduler, run);
    scheduler->run_count++;
}

void firing_supersede(struct scheduler *scheduler, uint32_t schedule, const struct run *by)
{
    for (uint32_t i = 0; i < scheduler->run_capacity; i++) {
        struct run *run = &scheduler->runs[i];

        if (run->in_use && run != by && run->schedule == schedule)
            run_start_sweep(run, SWEEP_SUPERSEDED);
    }
}

/* Open the run of the next firing. False: no room for its slots yet. */
static bool open_run(struct scheduler *scheduler, uint32_t index, enum trigger trigger)
{
    struct schedule *schedule = &scheduler->schedules[index];
    uint32_t place;
    uint32_t first;
    struct run *run;

    if (!run_find_room(scheduler, schedule->population, &place, &first))
        return false;
    run = &scheduler->runs[place];
    firing_init_run(scheduler, run, index, trigger, &schedule->next);
    run->first = first;
    run->room = schedule->population;
    run_fill(scheduler, run, NULL, NULL);
    run_record_open(scheduler, run);
    account(scheduler, schedule);
    firing_supersede(scheduler, index, run);
    return true;
}

/* A firing that nobody was there for: one run row, one skip row with the count. */
static void miss_run(struct scheduler *scheduler, uint32_t index)
{
    struct schedule *schedule = &scheduler->schedules[index];
    uint32_t number = scheduler->next_run++;
    struct record *record = core_record(scheduler, RECORD_RUN_OPEN, NULL);

    record->as.run_open.run = number;
    record->as.run_open.schedule = schedule->settings_index;
    record->as.run_open.trigger = TRIGGER_SCHEDULE;
    record->as.run_open.slot = schedule->next.at;
    record->as.run_open.local_ms = firing_local_ms(&schedule->next);
    record->as.run_open.fold = schedule->next.fold;
    record->as.run_open.deadline =
        deadline_at(&schedule->settings.calendar, &schedule->settings.deadline, schedule->next.at);
    record->as.run_open.due = schedule->population;
    record->as.run_open.is_missed = true;
    if (schedule->population > 0)
        run_record_skip(scheduler, number, 0, schedule->next.at, REASON_MISSED,
                        schedule->population);
    record = core_record(scheduler, RECORD_RUN_CLOSE, NULL);
    record->as.run_close.run = number;
    record->as.run_close.schedule = schedule->settings_index;
    record->as.run_close.counts[OUTCOME_SKIPPED] = schedule->population;
    account(scheduler, schedule);
}

/* Is it the same local time that was accounted for before? (new zone data may move it) */
static bool is_fired_already(const struct schedule *schedule)
{
    return schedule->accounted_local_ms != INT64_MIN &&
           schedule->accounted_local_ms == firing_local_ms(&schedule->next) &&
           schedule->accounted_fold == schedule->next.fold;
}

/* Deal with the next firing, which is due. False: wait for room. */
static bool advance_firing(struct scheduler *scheduler, uint32_t index)
{
    struct schedule *schedule = &scheduler->schedules[index];
    const struct schedule_settings *settings = &schedule->settings;
    struct calendar_firing following = calendar_next(&settings->calendar, schedule->next.at);
    bool is_newest = !following.found || following.at.ms > scheduler->now.utc.ms;
    int64_t late_ms = scheduler->now.utc.ms - schedule->next.at.ms;
    /* A stall while we ran is forgiven; before our start nobody was there. */
    bool was_there = schedule->next.at.ms >= scheduler->awake_since.ms;

    if (is_fired_already(schedule)) {
        account(scheduler, schedule);
        return true;
    }
    if (is_newest && was_there && late_ms <= ON_TIME_MS)
        return open_run(scheduler, index, TRIGGER_SCHEDULE);
    if (is_newest && settings->misfire == MISFIRE_RUN_ONCE &&
        late_ms <= settings->misfire_max_age_ms)
        return open_run(scheduler, index, TRIGGER_CATCH_UP);
    miss_run(scheduler, index);
    return true;
}

void firing_advance_all(struct scheduler *scheduler)
{
    for (uint32_t i = 0; i < scheduler->schedule_count; i++) {
        struct schedule *schedule = &scheduler->schedules[i];

        if (!schedule->is_configured || !scheduler->calendars_enabled)
            continue;
        if (schedule->is_new && core_has_room(scheduler)) {
            schedule->is_new = false;
            record_schedule(scheduler, schedule);
        }
        while (schedule->next.found && schedule->next.at.ms <= scheduler->now.utc.ms)
            if (!core_has_room(scheduler) || !advance_firing(scheduler, i))
                break;
        if (schedule->next.found && schedule->next.at.ms > scheduler->now.utc.ms)
            core_wake_utc(scheduler, schedule->next.at);
    }
}
