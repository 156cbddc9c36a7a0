/* SPDX-License-Identifier: MIT
 * work.c - see work.h. */
#include "scheduler/work.h"

#include "scheduler/lane.h"
#include "scheduler/share.h"

/* Turns of the highest level, after which one goes to those below. */
#define LEVEL_TURNS_MAX 8

static uint32_t *work_next(struct scheduler *scheduler, uint32_t work)
{
    return work_is_job(work) ? &scheduler->jobs[work & ~WORK_JOB_BIT].next
                             : &scheduler->slots[work].next;
}

static uint32_t *work_prev(struct scheduler *scheduler, uint32_t work)
{
    return work_is_job(work) ? &scheduler->jobs[work & ~WORK_JOB_BIT].prev
                             : &scheduler->slots[work].prev;
}

void work_queue_push(struct scheduler *scheduler, struct work_queue *queue, uint32_t work)
{
    *work_next(scheduler, work) = NONE_INDEX;
    *work_prev(scheduler, work) = queue->tail;
    if (queue->tail == NONE_INDEX)
        queue->head = work;
    else
        *work_next(scheduler, queue->tail) = work;
    queue->tail = work;
}

void work_queue_unlink(struct scheduler *scheduler, struct work_queue *queue, uint32_t work)
{
    uint32_t next = *work_next(scheduler, work);
    uint32_t prev = *work_prev(scheduler, work);

    if (prev == NONE_INDEX)
        queue->head = next;
    else
        *work_next(scheduler, prev) = next;
    if (next == NONE_INDEX)
        queue->tail = prev;
    else
        *work_prev(scheduler, next) = prev;
    *work_next(scheduler, work) = NONE_INDEX;
    *work_prev(scheduler, work) = NONE_INDEX;
}

static void ring_join(struct scheduler *scheduler, uint32_t institution, uint32_t level)
{
    struct institution *node = &scheduler->institutions[institution];
    struct turn_rings *rings = &scheduler->providers[node->provider].rings[node->turn_kind];
    uint32_t turn = rings->turn[level];

    if (node->ring_prev[level] != NONE_INDEX)
        return;
    if (turn == NONE_INDEX) {
        node->ring_next[level] = institution;
        node->ring_prev[level] = institution;
        rings->turn[level] = institution;
        rings->levels |= 1u << level;
        return;
    }
    /* Behind the one whose turn comes last. */
    node->ring_next[level] = turn;
    node->ring_prev[level] = scheduler->institutions[turn].ring_prev[level];
    scheduler->institutions[node->ring_prev[level]].ring_next[level] = institution;
    scheduler->institutions[turn].ring_prev[level] = institution;
}

static void ring_leave(struct scheduler *scheduler, uint32_t institution, uint32_t level)
{
    struct institution *node = &scheduler->institutions[institution];
    struct turn_rings *rings = &scheduler->providers[node->provider].rings[node->turn_kind];

    if (node->ring_prev[level] == NONE_INDEX)
        return;
    if (node->ring_next[level] == institution) {
        rings->turn[level] = NONE_INDEX;
        rings->levels &= ~(1u << level);
    } else {
        scheduler->institutions[node->ring_prev[level]].ring_next[level] = node->ring_next[level];
        scheduler->institutions[node->ring_next[level]].ring_prev[level] = node->ring_prev[level];
        if (rings->turn[level] == institution)
            rings->turn[level] = node->ring_next[level];
    }
    node->ring_next[level] = NONE_INDEX;
    node->ring_prev[level] = NONE_INDEX;
}

static uint32_t highest(uint32_t levels)
{
    return 31u - (uint32_t)__builtin_clz(levels);
}

static void rings_join(struct scheduler *scheduler, uint32_t institution)
{
    uint32_t levels = scheduler->institutions[institution].levels;

    for (; levels != 0; levels &= levels - 1)
        ring_join(scheduler, institution, (uint32_t)__builtin_ctz(levels));
}

static void rings_leave(struct scheduler *scheduler, uint32_t institution)
{
    uint32_t levels = scheduler->institutions[institution].levels;

    for (; levels != 0; levels &= levels - 1)
        ring_leave(scheduler, institution, (uint32_t)__builtin_ctz(levels));
}

void work_push(struct scheduler *scheduler, uint32_t institution, uint32_t level, uint32_t work)
{
    struct institution *node = &scheduler->institutions[institution];

    REQUIRE(level < QUEUE_LEVELS);
    lane_push(scheduler, institution, level, work);
    node->levels |= 1u << level;
    node->waiting++;
    scheduler->providers[node->provider].work_waiting++;
    share_note_active(scheduler, institution);
    /* Other work may be blocked by running jobs, a repeat is not. */
    if (level == QUEUE_LEVEL_REPEAT)
        work_unblock(scheduler, institution);
    if (!node->is_blocked)
        ring_join(scheduler, institution, level);
}

void work_unlink(struct scheduler *scheduler, uint32_t institution, uint32_t level, uint32_t work)
{
    struct institution *node = &scheduler->institutions[institution];

    lane_unlink(scheduler, institution, level, work);
    node->waiting--;
    scheduler->providers[node->provider].work_waiting--;
    if (lane_first(scheduler, institution, level) == NONE_INDEX) {
        ring_leave(scheduler, institution, level);
        node->levels &= ~(1u << level);
    }
    share_note_active(scheduler, institution);
}

uint32_t work_level_turn(const struct level_turn *turn, uint32_t levels)
{
    uint32_t level = highest(levels);
    uint32_t lower = levels & ~(1u << level);
    uint32_t next = lower & ((1u << turn->low_level) - 1);

    if (level == QUEUE_LEVEL_REPEAT || lower == 0 || turn->high_turns < LEVEL_TURNS_MAX)
        return level;
    return highest(next != 0 ? next : lower);
}

void work_level_served(struct level_turn *turn, uint32_t levels, uint32_t level)
{
    uint32_t lower;

    levels &= ~(1u << QUEUE_LEVEL_REPEAT);
    if (level == QUEUE_LEVEL_REPEAT || levels == 0)
        return;
    lower = levels & ~(1u << highest(levels));
    if (level != highest(levels)) {
        turn->high_turns = 0;
        turn->low_level = (uint8_t)level;
    } else if (lower != 0 && turn->high_turns < LEVEL_TURNS_MAX) {
        turn->high_turns++;
    }
}

uint32_t work_levels(const struct provider *provider)
{
    return provider->rings[TURN_WITHIN_SHARE].levels | provider->rings[TURN_BEYOND_SHARE].levels;
}

uint32_t work_turn(const struct provider *provider, uint32_t *level)
{
    uint32_t levels = work_levels(provider);
    uint32_t turn;

    if (levels == 0)
        return NONE_INDEX;
    *level = work_level_turn(&provider->level_turn, levels);
    turn = provider->rings[TURN_WITHIN_SHARE].turn[*level];
    return turn != NONE_INDEX ? turn : provider->rings[TURN_BEYOND_SHARE].turn[*level];
}

void work_pass_turn(struct scheduler *scheduler, uint32_t institution, uint32_t level)
{
    const struct institution *node = &scheduler->institutions[institution];
    struct turn_rings *rings = &scheduler->providers[node->provider].rings[node->turn_kind];

    /* The ring may have lost this institution; then the turn has passed already. */
    if (rings->turn[level] == institution)
        rings->turn[level] = node->ring_next[level];
}

bool work_place(struct scheduler *scheduler, uint32_t institution)
{
    struct institution *node = &scheduler->institutions[institution];
    enum turn_kind kind = share_is_beyond(scheduler, node) ? TURN_BEYOND_SHARE : TURN_WITHIN_SHARE;

    if (kind == node->turn_kind)
        return false;
    rings_leave(scheduler, institution);
    node->turn_kind = kind;
    if (!node->is_blocked)
        rings_join(scheduler, institution);
    return true;
}

void work_block(struct scheduler *scheduler, uint32_t institution, const struct obstacle *obstacle)
{
    struct institution *node = &scheduler->institutions[institution];

    node->node.last_blocked = obstacle->reason;
    rings_leave(scheduler, institution);
    node->is_blocked = true;
    if (obstacle->utc.ms != UTC_NEVER.ms && obstacle->utc.ms != UTC_NONE.ms)
        heap_set(&scheduler->institutions_utc, institution, obstacle->utc.ms);
    if (obstacle->mono.us != MONO_NEVER.us && obstacle->mono.us != INT64_MIN)
        heap_set(&scheduler->institutions_mono, institution, obstacle->mono.us);
}

void work_unblock(struct scheduler *scheduler, uint32_t institution)
{
    struct institution *node = &scheduler->institutions[institution];

    if (!node->is_blocked)
        return;
    node->is_blocked = false;
    heap_remove(&scheduler->institutions_utc, institution);
    heap_remove(&scheduler->institutions_mono, institution);
    rings_join(scheduler, institution);
}

/* The heap of parked slots keeps each slot's place in the slot itself (`next`): at a million
 * parked slots base/heap's array of places would cost 4 bytes more for every slot. */

static bool park_less(const struct park_entry *a, const struct park_entry *b)
{
    return a->key_ms < b->key_ms || (a->key_ms == b->key_ms && a->slot < b->slot);
}

static void park_place(struct scheduler *scheduler, uint32_t index, struct park_entry entry)
{
    scheduler->parked[index] = entry;
    scheduler->slots[entry.slot].next = index;
}

static void park_up(struct scheduler *scheduler, uint32_t index, struct park_entry entry)
{
    while (index > 0 && park_less(&entry, &scheduler->parked[(index - 1) / 2])) {
        park_place(scheduler, index, scheduler->parked[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    park_place(scheduler, index, entry);
}

static void park_down(struct scheduler *scheduler, uint32_t index, struct park_entry entry)
{
    for (;;) {
        uint32_t child = 2 * index + 1;

        if (child >= scheduler->parked_count)
            break;
        if (child + 1 < scheduler->parked_count &&
            park_less(&scheduler->parked[child + 1], &scheduler->parked[child]))
            child++;
        if (!park_less(&scheduler->parked[child], &entry))
            break;
        park_place(scheduler, index, scheduler->parked[child]);
        index = child;
    }
    park_place(scheduler, index, entry);
}

void park_set(struct scheduler *scheduler, uint32_t slot, struct utc_time until)
{
    REQUIRE(scheduler->parked_count < scheduler->slot_capacity);
    scheduler->slots[slot].state = SLOT_PARKED;
    scheduler->slots[slot].prev = NONE_INDEX;
    scheduler->parked_count++;
    park_up(scheduler, scheduler->parked_count - 1, (struct park_entry){until.ms, slot});
}

void park_remove(struct scheduler *scheduler, uint32_t slot)
{
    uint32_t index = scheduler->slots[slot].next;
    struct park_entry last;

    REQUIRE(scheduler->slots[slot].state == SLOT_PARKED && index < scheduler->parked_count &&
            scheduler->parked[index].slot == slot);
    scheduler->parked_count--;
    last = scheduler->parked[scheduler->parked_count];
    scheduler->slots[slot].next = NONE_INDEX;
    if (last.slot == slot)
        return;
    if (index > 0 && park_less(&last, &scheduler->parked[(index - 1) / 2]))
        park_up(scheduler, index, last);
    else
        park_down(scheduler, index, last);
}
