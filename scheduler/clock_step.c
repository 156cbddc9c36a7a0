/* SPDX-License-Identifier: MIT
 * clock_step.c - the wall clock was set: what was written down by the old one is put right.
 *
 * The monotonic clock tells how much time has really passed, so the step is what the wall clock
 * moved beyond that. Sendings keep their distance to now: a clock set forward frees no quota, one
 * set back blocks nobody for longer than a whole window. Firings, deadlines, pauses and expiries
 * stay what they are: instants of the wall clock. */
#include "scheduler/consent.h"
#include "scheduler/job.h"
#include "scheduler/scheduler.h"
#include "scheduler/work.h"

/* Less than this is the clock being slewed, or the time between two looks at two clocks. */
#define STEP_MS_MIN 100

static struct utc_time moved(const struct scheduler *scheduler, struct utc_time at, int64_t step_ms)
{
    return utc_sooner(utc_add_ms(at, step_ms), scheduler->now.utc);
}

/* Charges: after a step forward all of them, after one back those that would lie in the future. */
static void move_consent(struct scheduler *scheduler, struct consent *consent, int64_t step_ms)
{
    struct utc_time now = scheduler->now.utc;
    struct utc_time charged = instant_get(&consent->charged);
    struct utc_time not_before = instant_get(&consent->not_before);

    if (charged.ms != UTC_NONE.ms && (step_ms > 0 || charged.ms > now.ms))
        instant_set(&consent->charged, moved(scheduler, charged, step_ms));
    /* Asked for sooner than needed it is refused again; asked for years later it is forgotten. */
    if (step_ms < 0 && not_before.ms != UTC_NONE.ms && not_before.ms != UTC_NEVER.ms &&
        not_before.ms > now.ms)
        instant_set(&consent->not_before, utc_add_ms(not_before, step_ms));
}

static void move_job(struct scheduler *scheduler, uint32_t index, int64_t step_ms)
{
    struct job *job = &scheduler->jobs[index];

    if (job->last_sent.ms != UTC_NONE.ms)
        job->last_sent = moved(scheduler, job->last_sent, step_ms);
    if (job->doubt_sent.ms != UTC_NONE.ms)
        job->doubt_sent = moved(scheduler, job->doubt_sent, step_ms);
    if (job->not_before.ms != UTC_NONE.ms)
        job->not_before = utc_add_ms(job->not_before, step_ms);
    if (job->deadline.ms != UTC_NEVER.ms)
        job->deadline = utc_add_ms(job->deadline, step_ms);
    if (!heap_contains(&scheduler->jobs_utc, index))
        return;
    /* A queued one only waits for its deadline; the others are judged anew. */
    heap_set(&scheduler->jobs_utc, index,
             job->is_queued ? job_deadline(scheduler, job).ms : scheduler->now.utc.ms);
}

/* Parked slots wait for instants of the old clock: all are asked anew. Slots in the order of their
 * places with one key are a heap. */
static void wake_parked(struct scheduler *scheduler)
{
    uint32_t count = 0;

    for (uint32_t slot = 0; slot < scheduler->slot_capacity && count < scheduler->parked_count;
         slot++) {
        if (scheduler->slots[slot].state != SLOT_PARKED)
            continue;
        scheduler->parked[count] = (struct park_entry){scheduler->now.utc.ms, slot};
        scheduler->slots[slot].next = count;
        count++;
    }
    REQUIRE(count == scheduler->parked_count);
}

static void forget_hours(struct scheduler *scheduler)
{
    for (uint32_t i = 0; i < scheduler->provider_count; i++)
        open_hours_forget(&scheduler->providers[i].node.hours);
    for (uint32_t i = 0; i < scheduler->institution_count; i++) {
        open_hours_forget(&scheduler->institutions[i].node.hours);
        work_unblock(scheduler, i);
    }
    for (uint32_t i = 0; i < scheduler->schedule_count; i++)
        open_hours_forget(&scheduler->schedules[i].hours);
}

void scheduler_clock_stepped(struct scheduler *scheduler, struct time_now now)
{
    int64_t step_ms =
        now.utc.ms - scheduler->now.utc.ms - (now.mono.us - scheduler->now.mono.us) / US_PER_MS;

    scheduler->now = now;
    forget_hours(scheduler);
    if (step_ms < STEP_MS_MIN && step_ms > -STEP_MS_MIN)
        return;
    for (uint32_t i = 1; i <= scheduler->consent_max && scheduler->consents != NULL; i++)
        move_consent(scheduler, &scheduler->consents[i], step_ms);
    for (uint32_t i = 0; i < scheduler->job_capacity; i++)
        if (scheduler->jobs[i].in_use)
            move_job(scheduler, i, step_ms);
    if (step_ms < 0)
        wake_parked(scheduler);
}

void scheduler_clock_resumed(struct scheduler *scheduler, struct time_now now)
{
    scheduler->now = now;
    forget_hours(scheduler);
}
