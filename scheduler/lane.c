/* SPDX-License-Identifier: MIT
 * lane.c - see lane.h. */
#include "scheduler/lane.h"

#include "scheduler/work.h"

/* The pool asks for more before it is empty. */
#define LANES_SPARE_SHARE 4

static uint32_t lane_hash(uint32_t institution, uint32_t level, uint32_t schedule)
{
    uint64_t key = ((uint64_t)institution << 32) ^ ((uint64_t)schedule << 5) ^ level;

    return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static uint32_t *lane_head(const struct scheduler *scheduler, const struct lane *lane)
{
    return &scheduler->lane_heads[lane_hash(lane->institution, lane->level, lane->schedule) &
                                  (scheduler->lane_capacity - 1)];
}

uint32_t lane_schedule(const struct scheduler *scheduler, uint32_t work)
{
    uint32_t slot = work_is_job(work) ? scheduler->jobs[work & ~WORK_JOB_BIT].slot : work;

    return slot == NONE_INDEX ? NONE_INDEX : scheduler->runs[scheduler->slots[slot].run].schedule;
}

uint32_t lane_find(const struct scheduler *scheduler, uint32_t institution, uint32_t level,
                   uint32_t schedule)
{
    uint32_t index;

    if (scheduler->lane_capacity == 0)
        return NONE_INDEX;
    index =
        scheduler
            ->lane_heads[lane_hash(institution, level, schedule) & (scheduler->lane_capacity - 1)];
    while (index != NONE_INDEX) {
        const struct lane *lane = &scheduler->lanes[index];

        if (lane->institution == institution && lane->level == level && lane->schedule == schedule)
            break;
        index = lane->chain;
    }
    return index;
}

/* Take a lane from the pool; its turn comes last. NONE_INDEX: the pool is empty. */
static uint32_t lane_open(struct scheduler *scheduler, uint32_t institution, uint32_t level,
                          uint32_t schedule)
{
    uint32_t index = scheduler->lane_free;
    uint32_t *turn = &scheduler->institutions[institution].lanes[level];
    struct lane *lane;
    uint32_t *head;

    if (scheduler->lanes_used + scheduler->lane_capacity / LANES_SPARE_SHARE >=
        scheduler->lane_capacity)
        scheduler->needs_reserve = true;
    if (index == NONE_INDEX)
        return NONE_INDEX;
    lane = &scheduler->lanes[index];
    scheduler->lane_free = lane->chain;
    scheduler->lanes_used++;
    *lane = (struct lane){.institution = institution,
                          .schedule = schedule,
                          .level = level,
                          .queue = {NONE_INDEX, NONE_INDEX},
                          .next = index,
                          .prev = index};
    head = lane_head(scheduler, lane);
    lane->chain = *head;
    *head = index;
    if (*turn == NONE_INDEX) {
        *turn = index;
    } else {
        struct lane *first = &scheduler->lanes[*turn];

        lane->next = *turn;
        lane->prev = first->prev;
        scheduler->lanes[first->prev].next = index;
        first->prev = index;
    }
    return index;
}

static void lane_close(struct scheduler *scheduler, uint32_t index)
{
    struct lane *lane = &scheduler->lanes[index];
    uint32_t *turn = &scheduler->institutions[lane->institution].lanes[lane->level];
    uint32_t *link = lane_head(scheduler, lane);

    while (*link != index)
        link = &scheduler->lanes[*link].chain;
    *link = lane->chain;
    if (*turn == index)
        *turn = lane->next == index ? NONE_INDEX : lane->next;
    scheduler->lanes[lane->prev].next = lane->next;
    scheduler->lanes[lane->next].prev = lane->prev;
    lane->institution = NONE_INDEX;
    lane->chain = scheduler->lane_free;
    scheduler->lane_free = index;
    scheduler->lanes_used--;
}

void lane_push(struct scheduler *scheduler, uint32_t institution, uint32_t level, uint32_t work)
{
    uint32_t schedule = lane_schedule(scheduler, work);
    uint32_t index = lane_find(scheduler, institution, level, schedule);

    if (index == NONE_INDEX)
        index = lane_open(scheduler, institution, level, schedule);
    work_queue_push(scheduler,
                    index != NONE_INDEX ? &scheduler->lanes[index].queue
                                        : &scheduler->institutions[institution].spill[level],
                    work);
}

void lane_unlink(struct scheduler *scheduler, uint32_t institution, uint32_t level, uint32_t work)
{
    struct work_queue *spill = &scheduler->institutions[institution].spill[level];
    uint32_t index = lane_find(scheduler, institution, level, lane_schedule(scheduler, work));
    struct work_queue *queue = index != NONE_INDEX ? &scheduler->lanes[index].queue : spill;

    /* A lane may have opened behind work that went to the spill. At an end of a queue it shows
     * which one it is in; between two neighbours that makes no difference. */
    if (spill->head == work || spill->tail == work)
        queue = spill;
    work_queue_unlink(scheduler, queue, work);
    if (queue != spill && queue->head == NONE_INDEX)
        lane_close(scheduler, index);
}

uint32_t lane_turn(const struct scheduler *scheduler, uint32_t institution, uint32_t level)
{
    const struct institution *node = &scheduler->institutions[institution];

    if (node->spill[level].head != NONE_INDEX && (node->spill_turn >> level & 1u) != 0)
        return NONE_INDEX;
    return node->lanes[level];
}

uint32_t lane_first(const struct scheduler *scheduler, uint32_t institution, uint32_t level)
{
    uint32_t turn = lane_turn(scheduler, institution, level);

    return turn != NONE_INDEX ? scheduler->lanes[turn].queue.head
                              : scheduler->institutions[institution].spill[level].head;
}

void lane_pass_turn(struct scheduler *scheduler, uint32_t institution, uint32_t level,
                    uint32_t served)
{
    struct institution *node = &scheduler->institutions[institution];

    if (served == NONE_INDEX) {
        node->spill_turn &= ~(1u << level);
        return;
    }
    node->spill_turn |= 1u << level;
    /* A lane that was served empty has passed its turn by closing. */
    if (node->lanes[level] == served)
        node->lanes[level] = scheduler->lanes[served].next;
}

void lane_pool_grown(struct scheduler *scheduler, uint32_t capacity)
{
    uint32_t old_capacity = scheduler->lane_capacity;

    scheduler->lane_capacity = capacity;
    for (uint32_t i = 0; i < capacity; i++)
        scheduler->lane_heads[i] = NONE_INDEX;
    for (uint32_t i = 0; i < old_capacity; i++) {
        struct lane *lane = &scheduler->lanes[i];
        uint32_t *head;

        if (lane->institution == NONE_INDEX)
            continue;
        head = lane_head(scheduler, lane);
        lane->chain = *head;
        *head = i;
    }
    for (uint32_t i = capacity; i > old_capacity; i--) { /* lower ones are taken first */
        scheduler->lanes[i - 1] =
            (struct lane){.institution = NONE_INDEX, .chain = scheduler->lane_free};
        scheduler->lane_free = i - 1;
    }
}
