/* SPDX-License-Identifier: MIT
 * pause.c - see pause.h. */
#include "scheduler/pause.h"

#include "scheduler/consent.h"
#include "scheduler/job.h"
#include "scheduler/run.h"
#include "scheduler/work.h"

static void pause_consent(struct scheduler *scheduler, uint32_t consent, struct utc_time until)
{
    if (consent == 0 || consent > scheduler->consent_max)
        return;
    scheduler->consents[consent].paused_until_s =
        until.ms == UTC_NONE.ms ? 0 : consent_seconds_ceil(until);
    if (scheduler->is_recovering)
        return;
    run_ask_parked(scheduler, consent);
    job_reconsider_closed(scheduler, consent);
}

void pause_set(struct scheduler *scheduler, enum scope_kind scope, uint32_t index,
               struct utc_time until)
{
    switch (scope) {
    case SCOPE_ALL: scheduler->paused_until = until; break;
    case SCOPE_PROVIDER:
        if (index < scheduler->provider_places_count)
            scheduler->providers[scheduler->provider_places[index]].node.paused_until = until;
        break;
    case SCOPE_INSTITUTION:
        if (index < scheduler->institution_places_count) {
            scheduler->institutions[scheduler->institution_places[index]].node.paused_until = until;
            work_unblock(scheduler, scheduler->institution_places[index]);
        }
        break;
    case SCOPE_SCHEDULE:
        if (index < scheduler->schedule_places_count) {
            /* Paused slots go on in run_advance; this step comes there. */
            scheduler->schedules[scheduler->schedule_places[index]].paused_until = until;
            if (!scheduler->is_recovering)
                job_reconsider_closed(scheduler, NONE_INDEX);
        }
        break;
    case SCOPE_CONSENT: pause_consent(scheduler, index, until); break;
    }
}
