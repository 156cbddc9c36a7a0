/* SPDX-License-Identifier: MIT
 * check.c - every invariant of the core, counted anew from the ground. See scheduler.h. */
#include "scheduler/deadline_pace.h"
#include "scheduler/job_state.h"
#include "scheduler/lane.h"
#include "scheduler/maintenance.h"
#include "scheduler/recheck.h"
#include "scheduler/run.h"
#include "scheduler/scheduler.h"
#include "scheduler/work.h"

/* Every node's counters against the jobs that are there. */
static void check_node(const struct scheduler *scheduler, const struct limit_node *node,
                       uint32_t provider, uint32_t institution)
{
    uint32_t in_flight = 0;
    uint32_t running = 0;
    uint32_t pending = 0;

    for (uint32_t i = 0; i < scheduler->job_capacity; i++) {
        const struct job *job = &scheduler->jobs[i];
        bool is_here = institution != NONE_INDEX
                           ? job->institution == institution
                           : scheduler->institutions != NULL && job->in_use &&
                                 scheduler->institutions[job->institution].provider == provider;
        bool pays =
            job->is_outstanding && (institution == NONE_INDEX || job->request == REQUEST_INITIATE);

        if (!job->in_use || !is_here)
            continue;
        running += job_state_is_running(job->state);
        in_flight += pays;
        pending += pays && !job->is_sent;
    }
    if (institution == NONE_INDEX && scheduler->providers[provider].token_requested) {
        in_flight++;
        pending += !scheduler->providers[provider].token_is_sent;
    }
    if (institution == NONE_INDEX) {
        in_flight += recheck_outstanding(&scheduler->providers[provider]);
        pending += recheck_pending(&scheduler->providers[provider]);
        in_flight += maintenance_outstanding(&scheduler->providers[provider]);
        pending += maintenance_pending(&scheduler->providers[provider]);
    }
    REQUIRE(node->requests_in_flight == in_flight);
    REQUIRE(node->jobs_running == running);
    for (uint32_t i = 0; i < node->window_count; i++) {
        REQUIRE(node->windows[i].pending == pending);
        REQUIRE(node->windows[i].used <= node->windows[i].count);
        for (uint32_t j = 1; j < node->windows[i].used; j++)
            REQUIRE(rate_window_at(&node->windows[i], j - 1).us <=
                    rate_window_at(&node->windows[i], j).us);
    }
}

/* Probes that are out against the jobs that carry their tickets. */
static void check_breaker(const struct scheduler *scheduler, const struct breaker *breaker,
                          uint32_t provider, uint32_t institution)
{
    uint32_t out = 0;

    REQUIRE(breaker->state < BREAKER_STATE_COUNT);
    REQUIRE(breaker->state == BREAKER_PROBING || breaker->probes_out == 0);
    REQUIRE(breaker->cohorts <= breaker->failures);
    for (uint32_t i = 0; i < scheduler->job_capacity && breaker->state == BREAKER_PROBING; i++) {
        const struct job *job = &scheduler->jobs[i];
        bool is_here = job->in_use && job->owes_fate &&
                       (institution != NONE_INDEX
                            ? job->institution == institution
                            : scheduler->institutions[job->institution].provider == provider);

        out += is_here && breaker->round == (institution != NONE_INDEX ? job->institution_ticket
                                                                       : job->provider_ticket);
    }
    REQUIRE(breaker->probes_out == out);
}

/* Walk a queue: links agree, and everything in it says that it is there. */
static uint32_t check_queue(const struct scheduler *scheduler, const struct work_queue *queue,
                            enum slot_state state)
{
    uint32_t count = 0;
    uint32_t prev = NONE_INDEX;

    for (uint32_t work = queue->head; work != NONE_INDEX; count++) {
        const struct job *job = work_is_job(work) ? &scheduler->jobs[work & ~WORK_JOB_BIT] : NULL;
        const struct slot *slot = job == NULL ? &scheduler->slots[work] : NULL;

        REQUIRE((job != NULL ? job->prev : slot->prev) == prev);
        REQUIRE(job == NULL || (job->in_use && job->is_queued && !job->is_outstanding));
        REQUIRE(slot == NULL || slot->state == state);
        prev = work;
        work = job != NULL ? job->next : slot->next;
    }
    REQUIRE(queue->tail == prev);
    return count;
}

/* Ready work of one institution and level: each lane holds its key's work alone, all are in one
 * ring, and work without a lane is in the spill. */
static uint32_t check_lanes(const struct scheduler *scheduler, uint32_t index, uint32_t level)
{
    const struct institution *institution = &scheduler->institutions[index];
    uint32_t count = check_queue(scheduler, &institution->spill[level], SLOT_READY);
    uint32_t lane = institution->lanes[level];

    while (lane != NONE_INDEX) {
        const struct lane *here = &scheduler->lanes[lane];
        uint32_t schedule = lane_schedule(scheduler, here->queue.head);

        REQUIRE(here->institution == index && here->level == level && here->schedule == schedule);
        REQUIRE(lane_find(scheduler, index, level, schedule) == lane);
        REQUIRE(lane_schedule(scheduler, here->queue.tail) == schedule);
        REQUIRE(scheduler->lanes[here->next].prev == lane);
        count += check_queue(scheduler, &here->queue, SLOT_READY);
        lane = here->next == institution->lanes[level] ? NONE_INDEX : here->next;
    }
    return count;
}

static uint32_t check_institution(const struct scheduler *scheduler, uint32_t index)
{
    const struct institution *institution = &scheduler->institutions[index];
    const struct turn_rings *rings =
        &scheduler->providers[institution->provider].rings[institution->turn_kind];
    uint32_t count = 0;

    check_node(scheduler, &institution->node, institution->provider, index);
    check_breaker(scheduler, &institution->node.breaker, institution->provider, index);
    for (uint32_t level = 0; level < QUEUE_LEVELS; level++) {
        uint32_t here = check_lanes(scheduler, index, level);
        bool in_ring = institution->ring_prev[level] != NONE_INDEX;

        count += here;
        REQUIRE(((institution->levels >> level & 1u) != 0) == (here > 0));
        REQUIRE(in_ring == (here > 0 && !institution->is_blocked));
        REQUIRE(!in_ring || (rings->levels >> level & 1u) != 0);
        if (in_ring)
            REQUIRE(scheduler->institutions[institution->ring_prev[level]].ring_next[level] ==
                    index);
    }
    REQUIRE(institution->waiting == count);
    REQUIRE(institution->is_active == (count > 0 || institution->node.jobs_running > 0));
    return count;
}

/* Lanes at work and free ones are all that there are. */
static void check_lane_pool(const struct scheduler *scheduler)
{
    uint32_t used = 0;
    uint32_t unused = 0;

    for (uint32_t i = 0; i < scheduler->lane_capacity; i++) {
        const struct lane *lane = &scheduler->lanes[i];

        REQUIRE(lane->institution == NONE_INDEX || lane->queue.head != NONE_INDEX);
        used += lane->institution != NONE_INDEX;
    }
    for (uint32_t i = scheduler->lane_free; i != NONE_INDEX; i = scheduler->lanes[i].chain)
        unused++;
    REQUIRE(used == scheduler->lanes_used && used + unused == scheduler->lane_capacity);
}

/* Who counts for the shares of a provider. */
static void check_shares(const struct scheduler *scheduler, uint32_t index)
{
    const struct provider *provider = &scheduler->providers[index];
    uint32_t populated = 0;
    uint32_t active = 0;
    uint32_t owed = 0;

    for (uint32_t i = 0; i < scheduler->institution_count; i++) {
        const struct institution *institution = &scheduler->institutions[i];

        if (institution->provider != index)
            continue;
        owed += institution->owed;
        REQUIRE(institution->stuck <= institution->node.jobs_running);
        populated += institution->population > 0;
        active += institution->is_active;
    }
    REQUIRE(populated == provider->populated && active == provider->active);
    REQUIRE(owed == provider->owed);
}

static void check_nodes(const struct scheduler *scheduler)
{
    for (uint32_t i = 0; i < scheduler->provider_count; i++) {
        const struct provider *provider = &scheduler->providers[i];
        uint32_t waiting = 0;

        check_node(scheduler, &provider->node, i, NONE_INDEX);
        check_breaker(scheduler, &provider->node.breaker, i, NONE_INDEX);
        REQUIRE(check_queue(scheduler, &provider->calls, SLOT_DONE) == provider->calls_waiting);
        REQUIRE(check_queue(scheduler, &provider->retries, SLOT_DONE) == provider->retries_waiting);
        REQUIRE(provider->budget.balance >= 0);
        for (uint32_t j = 0; j < scheduler->institution_count; j++)
            if (scheduler->institutions[j].provider == i)
                waiting += check_institution(scheduler, j);
        REQUIRE(provider->work_waiting == waiting);
        check_shares(scheduler, i);
        REQUIRE(!provider->probe_is_out || provider->is_stopped);
    }
}

static void check_jobs(const struct scheduler *scheduler)
{
    uint32_t live = 0;
    uint32_t outstanding = 0;

    for (uint32_t i = 0; i < scheduler->job_capacity; i++) {
        const struct job *job = &scheduler->jobs[i];
        bool has_timer =
            heap_contains(&scheduler->jobs_mono, i) || heap_contains(&scheduler->jobs_utc, i);

        if (!job->in_use) {
            REQUIRE(!has_timer);
            continue;
        }
        live++;
        outstanding += job->is_outstanding;
        REQUIRE(job->state != JOB_CLOSED);
        REQUIRE(scheduler->consents[job->consent].job == i);
        REQUIRE(job->state == JOB_NEW || job->number != 0);
        REQUIRE(job->is_outstanding == (job->state == JOB_INITIATING || job->state == JOB_POLLING ||
                                        (job->state == JOB_LOOKING_UP && !job->is_queued)));
        /* Whatever is not answered by an event has a time: nothing is forgotten. */
        REQUIRE(job->is_outstanding != has_timer);
        REQUIRE(!job->is_outstanding || job->request != REQUEST_INITIATE || job->owes_fate);
        REQUIRE(!job->is_paced || job->owes_fate);
        REQUIRE(!job->waits_for_budget || (job->is_queued && job->state == JOB_RETRY_WAIT));
        REQUIRE(job->slot == NONE_INDEX || scheduler->slots[job->slot].state == SLOT_JOB);
    }
    REQUIRE(live == scheduler->jobs_live);
    for (uint32_t i = 0; i < scheduler->provider_count; i++)
        outstanding += scheduler->providers[i].token_requested +
                       recheck_outstanding(&scheduler->providers[i]) +
                       maintenance_outstanding(&scheduler->providers[i]);
    REQUIRE(outstanding == scheduler->requests_outstanding);
}

static void check_run(const struct scheduler *scheduler, uint32_t place, uint32_t *parked)
{
    const struct run *run = &scheduler->runs[place];
    uint32_t open = 0;
    uint32_t paused = 0;
    uint32_t closed = 0;
    uint32_t unsent = 0;
    uint32_t counted = 0;

    for (uint32_t i = 0; i < scheduler->institution_count; i++)
        counted += deadline_pace_cell(scheduler, run, i)->unsent;
    for (uint32_t i = run->first; i < run->first + run->count; i++) {
        const struct slot *slot = &scheduler->slots[i];

        REQUIRE(slot->run == place);
        open += slot->state != SLOT_DONE;
        unsent += slot->state != SLOT_DONE && slot->state != SLOT_JOB;
        paused += slot->state == SLOT_PAUSED;
        *parked += slot->state == SLOT_PARKED;
        REQUIRE((slot->state == SLOT_DONE) == (slot->outcome != OUTCOME_NONE));
        if (slot->state == SLOT_JOB) {
            REQUIRE(scheduler->consents[slot->consent].job != NONE_INDEX);
            REQUIRE(scheduler->jobs[scheduler->consents[slot->consent].job].slot == i);
        }
        if (slot->state == SLOT_PARKED)
            REQUIRE(slot->next < scheduler->parked_count &&
                    scheduler->parked[slot->next].slot == i);
        if (slot->state == SLOT_SLEEPING)
            REQUIRE(i - run->first >= run->cursor);
    }
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
        closed += run->counts[outcome];
    REQUIRE(unsent == run->unsent && (unsent == counted || scheduler->institution_count == 0));
    REQUIRE(open == run->open && paused == run->paused_count);
    REQUIRE(check_queue(scheduler, &run->paused, SLOT_PAUSED) == paused);
    REQUIRE(open + closed == run->due);
}

void scheduler_check(const struct scheduler *scheduler)
{
    uint32_t parked = 0;
    uint32_t runs = 0;

    check_nodes(scheduler);
    check_lane_pool(scheduler);
    check_jobs(scheduler);
    for (uint32_t i = 0; i < scheduler->run_capacity; i++)
        if (scheduler->runs[i].in_use) {
            runs++;
            check_run(scheduler, i, &parked);
        }
    REQUIRE(runs == scheduler->run_count);
    REQUIRE(parked == scheduler->parked_count);
    for (uint32_t i = 1; i < scheduler->parked_count; i++)
        REQUIRE(scheduler->parked[(i - 1) / 2].key_ms <= scheduler->parked[i].key_ms);
}
