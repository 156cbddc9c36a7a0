/* SPDX-License-Identifier: MIT
 * dispatch.c - see dispatch.h. */
#include "scheduler/dispatch.h"

#include "scheduler/job.h"
#include "scheduler/lane.h"
#include "scheduler/limit_node.h"
#include "scheduler/provider_gate.h"
#include "scheduler/run.h"
#include "scheduler/share.h"
#include "scheduler/work.h"

struct obstacle dispatch_institution_obstacle(const struct scheduler *scheduler,
                                              struct institution *institution, bool is_repeat)
{
    struct limit_node *node = &institution->node;
    struct obstacle obstacle = limit_node_job_obstacle(node, scheduler->now, is_repeat);

    if (obstacle.reason == REASON_NONE)
        obstacle = limit_node_pushback_obstacle(node, scheduler->now.mono);
    if (obstacle.reason == REASON_NONE)
        obstacle = limit_node_request_obstacle(node, scheduler->now);
    if (obstacle.reason == REASON_NONE)
        obstacle = share_obstacle(scheduler, institution, is_repeat);
    return obstacle;
}

static void open_institutions(struct scheduler *scheduler)
{
    while (heap_first_key(&scheduler->institutions_utc) <= scheduler->now.utc.ms)
        work_unblock(scheduler, heap_first_id(&scheduler->institutions_utc));
    while (heap_first_key(&scheduler->institutions_mono) <= scheduler->now.mono.us)
        work_unblock(scheduler, heap_first_id(&scheduler->institutions_mono));
}

/* Start the job of a slot, or the next attempt of a waiting job. False: no place for a job. */
static bool start_work(struct scheduler *scheduler, uint32_t institution, uint32_t level,
                       uint32_t work)
{
    uint32_t index = work & ~WORK_JOB_BIT;

    if (work_is_job(work)) {
        job_unqueue(scheduler, index);
        if (job_judge(scheduler, index))
            job_initiate(scheduler, index);
        return true;
    }
    if (scheduler->job_free == NONE_INDEX) {
        scheduler->needs_reserve = true;
        scheduler->wants_step = true;
        return false;
    }
    work_unlink(scheduler, institution, level, work);
    scheduler->slots[work].state = SLOT_SLEEPING;
    if (run_slot_judge(scheduler, work)) {
        const struct run *run = run_of_slot(scheduler, work);

        index = job_create(scheduler, scheduler->slots[work].consent, work, run->trigger, JOB_NEW);
        /* A slot that was woken early is due then. */
        scheduler->jobs[index].due = utc_sooner(run_slot_due(scheduler, work), scheduler->now.utc);
        scheduler->jobs[index].level = (uint8_t)level;
        job_initiate(scheduler, index);
    }
    return true;
}

/* One initiation, or one piece of work or institution found not to be ready. False: stop. */
static bool try_initiation(struct scheduler *scheduler, struct provider *provider)
{
    uint32_t levels = work_levels(provider);
    uint32_t level = 0;
    uint32_t turn = work_turn(provider, &level);
    struct institution *institution;
    struct obstacle obstacle;
    uint32_t before = scheduler->batch->effect_count;
    uint32_t own_levels;
    uint32_t own_level;
    uint32_t lane;

    if (turn == NONE_INDEX)
        return false;
    if (work_place(scheduler, turn))
        return true; /* others may go before it now */
    institution = &scheduler->institutions[turn];
    share_look_for_stuck(scheduler, turn);
    obstacle = dispatch_institution_obstacle(scheduler, institution, level == QUEUE_LEVEL_REPEAT);
    if (obstacle.reason != REASON_NONE) {
        work_block(scheduler, turn, &obstacle);
        if (obstacle.reason == REASON_FAIRNESS)
            share_refused(scheduler, turn);
        return true;
    }
    /* Its highest level takes turns with its lower ones, too: its own limit may be the narrow one.
     */
    own_levels = institution->levels;
    own_level =
        own_levels >> level == 1 ? work_level_turn(&institution->level_turn, own_levels) : level;
    lane = lane_turn(scheduler, turn, own_level);
    if (!start_work(scheduler, turn, own_level, lane_first(scheduler, turn, own_level)))
        return false;
    if (scheduler->batch->effect_count > before) {
        provider->last_was_call = false;
        work_level_served(&provider->level_turn, levels, level);
        work_level_served(&institution->level_turn, own_levels, own_level);
        lane_pass_turn(scheduler, turn, own_level, lane);
        work_pass_turn(scheduler, turn, level);
    }
    return true;
}

static void send_call(struct scheduler *scheduler, struct provider *provider)
{
    uint32_t job = provider->calls.head & ~WORK_JOB_BIT;

    provider->last_was_call = true;
    job_unqueue(scheduler, job);
    job_call(scheduler, job);
}

static void note_obstacle(struct scheduler *scheduler, struct provider *provider,
                          const struct obstacle *obstacle)
{
    provider->node.last_blocked = obstacle->reason;
    if (obstacle->utc.ms > scheduler->now.utc.ms)
        core_wake_utc(scheduler, obstacle->utc);
    if (obstacle->mono.us > scheduler->now.mono.us)
        core_wake_mono(scheduler, obstacle->mono);
}

static void dispatch_provider(struct scheduler *scheduler, struct provider *provider)
{
    bool may_initiate = true;

    while (provider->calls.head != NONE_INDEX || work_levels(provider) != 0 ||
           share_let_in(scheduler, provider)) {
        bool wants_call = provider->calls.head != NONE_INDEX;
        bool wants_initiation = work_levels(provider) != 0 && may_initiate;
        struct obstacle obstacle;

        if (!wants_call && !wants_initiation)
            return;
        if (!core_has_room(scheduler))
            return;
        provider_gate_want_token(scheduler, provider);
        obstacle = provider_gate_obstacle(scheduler, provider);
        if (obstacle.reason != REASON_NONE) {
            note_obstacle(scheduler, provider, &obstacle);
            return;
        }
        if (wants_initiation) {
            bool has_repeat = (work_levels(provider) >> QUEUE_LEVEL_REPEAT & 1u) != 0;

            obstacle = provider_gate_job_obstacle(scheduler, provider, has_repeat);
            if (obstacle.reason != REASON_NONE) {
                note_obstacle(scheduler, provider, &obstacle);
                may_initiate = false;
                continue;
            }
        }
        if (wants_call && (!wants_initiation || !provider->last_was_call))
            send_call(scheduler, provider);
        else if (!try_initiation(scheduler, provider))
            may_initiate = false;
    }
}

void dispatch_all(struct scheduler *scheduler)
{
    open_institutions(scheduler);
    if (scheduler->is_draining)
        return;
    /* Who goes first changes from step to step, so a full batch is not always one provider's. */
    for (uint32_t i = 0; i < scheduler->provider_count; i++) {
        uint32_t place = (scheduler->provider_turn + i) % scheduler->provider_count;

        dispatch_provider(scheduler, &scheduler->providers[place]);
    }
    if (scheduler->provider_count > 0)
        scheduler->provider_turn = (scheduler->provider_turn + 1) % scheduler->provider_count;
}
