/* SPDX-License-Identifier: MIT
 * population.c - see population.h. */
#include "scheduler/population.h"

#include "scheduler/consent.h"
#include "scheduler/deadline_pace.h"
#include "scheduler/job.h"
#include "scheduler/run.h"
#include "scheduler/share.h"
#include "scheduler/work.h"

void population_unqueue_slot(struct scheduler *scheduler, uint32_t index)
{
    struct slot *slot = &scheduler->slots[index];
    struct run *run = run_of_slot(scheduler, index);

    if (slot->state == SLOT_READY)
        work_unlink(scheduler, scheduler->consents[slot->consent].institution,
                    run_slot_level(scheduler, index), index);
    else
        park_remove(scheduler, index);
    slot->state = SLOT_SLEEPING;
    if (run->cursor > index - run->first)
        run->cursor = index - run->first;
}

/* Its queue is found by node and priority, so it has to leave before these change. */
static void unqueue_consent(struct scheduler *scheduler, uint32_t consent)
{
    if (scheduler->institutions == NULL || scheduler->run_count == 0 ||
        scheduler->institutions[scheduler->consents[consent].institution].waiting == 0)
        return;
    for (uint32_t i = 0; i < scheduler->run_capacity; i++) {
        struct run *run = &scheduler->runs[i];
        uint32_t slot = run->in_use ? run_find_slot(scheduler, run, consent) : NONE_INDEX;

        if (slot != NONE_INDEX && scheduler->slots[slot].state == SLOT_READY)
            population_unqueue_slot(scheduler, slot);
    }
}

/* Count the consent in, or out, of the schedules that it belongs to. */
static void count_in(struct scheduler *scheduler, const struct consent *consent, bool is_in)
{
    if (consent->schedule_set == UINT16_MAX || consent->mode == MODE_OFF)
        return;
    share_note_population(scheduler, consent->institution, is_in ? 1 : -1);
    for (uint32_t i = 0; i < scheduler->sets[consent->schedule_set].count; i++) {
        uint32_t schedule = scheduler->sets[consent->schedule_set].schedules[i];

        if (is_in)
            scheduler->schedules[schedule].population++;
        else
            scheduler->schedules[schedule].population--;
    }
}

/* Dates that differ by up to 511 days have different marks, and instants that differ by up to 18
 * hours. */
static uint16_t mark_of(struct utc_time authorized_at)
{
    return (uint16_t)(authorized_at.ms == UTC_NONE.ms ? UINT16_MAX
                                                      : authorized_at.ms / MS_PER_SECOND);
}

/* A changed `expires` or `authorized_at`: the customer was here. */
static void take_row(struct scheduler *scheduler, struct consent *consent,
                     const struct consent_settings *settings)
{
    uint16_t mark = mark_of(settings->authorized_at);
    uint32_t expires_s = consent_seconds_floor(settings->expires);
    bool is_changed = (consent->flags & CONSENT_HAS_ROW) != 0 &&
                      (consent->expires_s != expires_s || consent->authorized_mark != mark);

    if (is_changed) {
        consent->learned_expires_s = UINT32_MAX;
        if ((consent->flags & CONSENT_IS_HELD) != 0) {
            consent->flags |= CONSENT_LET_GO;
            scheduler->has_released = true;
        }
    }
    consent->expires_s = expires_s;
    consent->authorized_mark = mark;
    consent->flags |= CONSENT_HAS_ROW;
}

void scheduler_consent_put(struct scheduler *scheduler, uint32_t number,
                           const struct consent_settings *settings)
{
    struct consent *consent = &scheduler->consents[number];
    uint32_t institution;

    REQUIRE(number >= 1 && number <= scheduler->consent_max);
    REQUIRE(
        settings->institution < scheduler->institution_places_count &&
        (settings->schedule_set < scheduler->set_count || settings->schedule_set == UINT16_MAX));
    institution = scheduler->institution_places[settings->institution];
    deadline_pace_consent_moves(scheduler, number, institution);
    if ((consent->flags & CONSENT_IN_USE) != 0) {
        if (consent->institution != institution || consent->priority != settings->priority ||
            consent->schedule_set != settings->schedule_set || consent->mode != settings->mode) {
            unqueue_consent(scheduler, number);
            scheduler->members_changed = true;
        }
        count_in(scheduler, consent, false);
    }
    consent->hash_high = (uint32_t)(settings->hash >> 32);
    consent->institution = institution;
    consent->schedule_set = settings->schedule_set;
    consent->priority = settings->priority;
    consent->mode = settings->mode & 3u;
    consent->flags |= CONSENT_IN_USE;
    take_row(scheduler, consent, settings);
    count_in(scheduler, consent, true);
}

void scheduler_consent_remove(struct scheduler *scheduler, uint32_t number)
{
    struct consent *consent;

    if (number == 0 || number > scheduler->consent_max)
        return;
    consent = &scheduler->consents[number];
    if ((consent->flags & CONSENT_IN_USE) == 0)
        return;
    unqueue_consent(scheduler, number);
    count_in(scheduler, consent, false);
    consent->schedule_set = UINT16_MAX;
    consent->flags &= (uint8_t)~CONSENT_IN_USE;
    scheduler->members_changed = true;
}

void population_release(struct scheduler *scheduler, uint32_t number, enum hold_source source)
{
    struct consent *consent = &scheduler->consents[number];
    struct record *record;

    if ((consent->flags & CONSENT_IS_HELD) == 0)
        return;
    record = core_record(scheduler, RECORD_RELEASE, NULL);
    record->as.hold.consent = number;
    record->as.hold.reason = REASON_HELD;
    record->as.hold.is_suspended = (consent->flags & CONSENT_IS_SUSPENDED) != 0;
    record->as.hold.source = source;
    consent->flags &= (uint8_t) ~(CONSENT_IS_HELD | CONSENT_IS_SUSPENDED | CONSENT_LET_GO);
}

static void release_changed(struct scheduler *scheduler)
{
    for (uint32_t i = 1; i <= scheduler->consent_max; i++) {
        if ((scheduler->consents[i].flags & CONSENT_LET_GO) == 0)
            continue;
        if (!core_has_room(scheduler))
            return;
        population_release(scheduler, i, HOLD_BY_ROW);
    }
    scheduler->has_released = false;
}

/* Nobody can be asked any more about jobs of a provider that is gone. */
static void close_orphans(struct scheduler *scheduler)
{
    bool is_any_left = false;

    for (uint32_t i = 0; i < scheduler->job_capacity; i++) {
        const struct job *job = &scheduler->jobs[i];

        if (!job->in_use || job_provider(scheduler, job)->is_configured)
            continue;
        if (job->is_outstanding || !core_has_room(scheduler)) {
            is_any_left = true;
            continue;
        }
        if (job->state == JOB_NEW || job->state == JOB_RETRY_WAIT)
            job_close_waiting(scheduler, i, REASON_REMOVED, NULL);
        else
            job_close(scheduler, i, OUTCOME_UNKNOWN, REASON_REMOVED, NULL);
    }
    scheduler->has_orphans = is_any_left;
}

void population_advance(struct scheduler *scheduler)
{
    if (scheduler->has_released)
        release_changed(scheduler);
    if (scheduler->has_orphans)
        close_orphans(scheduler);
    if (!scheduler->members_changed)
        return;
    scheduler->members_changed = false;
    for (uint32_t i = 0; i < scheduler->run_capacity; i++)
        if (scheduler->runs[i].in_use)
            run_start_sweep(&scheduler->runs[i], SWEEP_MEMBERS);
}
