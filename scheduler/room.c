/* SPDX-License-Identifier: MIT
 * room.c - see room.h. */
#include "scheduler/room.h"

#include <string.h>

#include "base/memory.h"
#include "scheduler/lane.h"

#define JOBS_FIRST 256
#define JOBS_KEPT 4096
#define LANES_FIRST 256
#define LANES_MAX (1u << 20)
#define LANES_PER_INSTITUTION 4
#define RUNS_FIRST 16
#define RUNS_MAX UINT16_MAX

static enum result room_out(struct fault *fault, const char *what)
{
    return fault_set(fault, FAULT_TEMPORARY, "out of memory for %s of the scheduler", what);
}

/* Grow *array to `count`; on success the new elements are zero. */
static bool grow(void **array, size_t old_count, size_t count, size_t size)
{
    void *grown;

    if (count <= old_count)
        return true;
    grown = memory_resize(*array, old_count, count, size);
    if (grown == NULL)
        return false;
    *array = grown;
    return true;
}

enum result room_consents(struct scheduler *scheduler, uint32_t consent_max, struct fault *fault)
{
    uint32_t old_max = scheduler->consent_max;
    size_t gaps = scheduler->quota_gap_count;
    size_t old_count = scheduler->consents == NULL ? 0 : (size_t)old_max + 1;

    if (scheduler->consents != NULL && consent_max <= old_max)
        return RESULT_OK;
    if (!grow((void **)&scheduler->quota_gaps, old_count * gaps, ((size_t)consent_max + 1) * gaps,
              sizeof *scheduler->quota_gaps) ||
        !grow((void **)&scheduler->consents, old_count, (size_t)consent_max + 1,
              sizeof *scheduler->consents))
        return room_out(fault, "consents");
    for (size_t i = old_count; i <= consent_max; i++) {
        scheduler->consents[i].job = NONE_INDEX;
        scheduler->consents[i].expires_s = UINT32_MAX;
        scheduler->consents[i].learned_expires_s = UINT32_MAX;
        scheduler->consents[i].schedule_set = UINT16_MAX;
    }
    if (gaps > 0)
        memset(scheduler->quota_gaps + old_count * gaps, 0xff,
               ((size_t)consent_max + 1 - old_count) * gaps * sizeof *scheduler->quota_gaps);
    scheduler->consent_max = consent_max;
    return RESULT_OK;
}

enum result room_quota_gaps(struct scheduler *scheduler, uint32_t gap_count, struct fault *fault)
{
    size_t count = scheduler->consents == NULL ? 0 : (size_t)scheduler->consent_max + 1;
    uint32_t old_gaps = scheduler->quota_gap_count;
    uint32_t *packed;

    if (gap_count == old_gaps)
        return RESULT_OK;
    packed = memory_resize(NULL, 0, count * gap_count, sizeof *packed);
    if (packed == NULL && count * gap_count > 0)
        return room_out(fault, "quotas");
    for (size_t i = 0; i < count; i++)
        for (uint32_t gap = 0; gap < gap_count; gap++)
            packed[i * gap_count + gap] =
                gap < old_gaps ? scheduler->quota_gaps[i * old_gaps + gap] : QUOTA_GAP_LONG_AGO;
    memory_release(scheduler->quota_gaps);
    scheduler->quota_gaps = packed;
    scheduler->quota_gap_count = gap_count;
    return RESULT_OK;
}

static bool grow_heap(struct heap *heap, uint32_t capacity)
{
    void *entries = heap->entries;
    void *positions = heap->positions;
    bool is_grown = grow(&entries, heap->capacity, capacity, sizeof *heap->entries) &&
                    grow(&positions, heap->capacity, capacity, sizeof *heap->positions);

    heap->entries = entries; /* the first may have moved even if the second failed */
    heap->positions = positions;
    if (is_grown && capacity > heap->capacity)
        heap_grow(heap, entries, positions, capacity);
    return is_grown;
}

static void release_heap(struct heap *heap)
{
    memory_release(heap->entries);
    memory_release(heap->positions);
}

/* After a large night the pool goes back; nobody holds a place in it. */
static void shrink_jobs(struct scheduler *scheduler)
{
    if (scheduler->jobs_live > 0 || scheduler->run_count > 0 ||
        scheduler->job_capacity <= JOBS_KEPT)
        return;
    memory_release(scheduler->jobs);
    release_heap(&scheduler->jobs_utc);
    release_heap(&scheduler->jobs_mono);
    scheduler->jobs = NULL;
    scheduler->jobs_utc = (struct heap){0};
    scheduler->jobs_mono = (struct heap){0};
    scheduler->job_capacity = 0;
    scheduler->job_free = NONE_INDEX;
    scheduler->job_freed = NONE_INDEX;
}

enum result room_jobs(struct scheduler *scheduler, uint32_t wanted, struct fault *fault)
{
    uint32_t old_count;
    uint32_t count;

    shrink_jobs(scheduler);
    old_count = scheduler->job_capacity;
    count = old_count == 0 ? JOBS_FIRST : old_count;
    while (count < wanted || count / 5 * 4 < scheduler->jobs_live + 16) {
        if (count >= WORK_JOB_BIT / 2)
            return room_out(fault, "jobs");
        count *= 2;
    }
    if (count == old_count)
        return RESULT_OK;
    if (!grow((void **)&scheduler->jobs, old_count, count, sizeof *scheduler->jobs) ||
        !grow_heap(&scheduler->jobs_utc, count) || !grow_heap(&scheduler->jobs_mono, count))
        return room_out(fault, "jobs");
    for (uint32_t i = count; i > old_count; i--) { /* lower places are taken first */
        scheduler->jobs[i - 1].next = scheduler->job_free;
        scheduler->job_free = i - 1;
    }
    scheduler->job_capacity = count;
    return RESULT_OK;
}

/* Most institutions have work of few schedules at once; where more is needed, the pool grows. */
enum result room_lanes(struct scheduler *scheduler, struct fault *fault)
{
    uint32_t schedules = scheduler->schedule_count < LANES_PER_INSTITUTION
                             ? scheduler->schedule_count + 1
                             : LANES_PER_INSTITUTION;
    size_t wanted = (size_t)scheduler->institution_count * schedules;
    size_t count = LANES_FIRST;

    if (wanted < 2 * (size_t)scheduler->lanes_used)
        wanted = 2 * (size_t)scheduler->lanes_used;
    while (count < wanted)
        count *= 2;
    if (count <= scheduler->lane_capacity)
        return RESULT_OK;
    if (count > LANES_MAX)
        return RESULT_OK; /* the spill serves the rest */
    if (!grow((void **)&scheduler->lanes, scheduler->lane_capacity, count,
              sizeof *scheduler->lanes) ||
        !grow((void **)&scheduler->lane_heads, scheduler->lane_capacity, count,
              sizeof *scheduler->lane_heads))
        return room_out(fault, "lanes");
    lane_pool_grown(scheduler, (uint32_t)count);
    return RESULT_OK;
}

enum result room_runs(struct scheduler *scheduler, uint32_t wanted, struct fault *fault)
{
    uint32_t count = scheduler->run_capacity == 0 ? RUNS_FIRST : scheduler->run_capacity;

    while (count < wanted || count < scheduler->run_count + 4)
        count *= 2;
    if (count > RUNS_MAX)
        return fault_set(fault, FAULT_TEMPORARY, "more than %u runs are open", RUNS_MAX);
    if (!grow((void **)&scheduler->runs, scheduler->run_capacity, count, sizeof *scheduler->runs))
        return room_out(fault, "runs");
    scheduler->run_capacity = count;
    return RESULT_OK;
}

/* The counters are a matrix: with more institutions every row moves. */
static bool grow_cells(struct deadline_pace *pace, uint32_t runs, uint32_t institutions)
{
    struct deadline_cell *cells =
        memory_resize(NULL, 0, (size_t)runs * institutions, sizeof *cells);

    if (cells == NULL)
        return false;
    for (size_t run = 0; run < pace->runs; run++)
        memcpy(cells + run * institutions, pace->cells + run * pace->institutions,
               pace->institutions * sizeof *cells);
    memory_release(pace->cells);
    pace->cells = cells;
    return true;
}

enum result room_pace(struct scheduler *scheduler, struct fault *fault)
{
    struct deadline_pace *pace = &scheduler->pace;
    uint32_t institutions = scheduler->institution_count > 0 ? scheduler->institution_count : 1;
    uint32_t providers = scheduler->provider_count > 0 ? scheduler->provider_count : 1;
    size_t priorities = PRIORITY_MAX + 1;

    if (institutions < pace->institutions)
        institutions = pace->institutions;
    if ((institutions > pace->institutions || scheduler->run_capacity > pace->runs) &&
        !grow_cells(pace, scheduler->run_capacity, institutions))
        return room_out(fault, "counters of runs");
    pace->runs = scheduler->run_capacity;
    if (!grow((void **)&pace->pull, pace->institutions, institutions, sizeof *pace->pull) ||
        !grow((void **)&pace->census, pace->institutions * priorities, institutions * priorities,
              sizeof *pace->census) ||
        !grow((void **)&pace->provider_pull, pace->providers, providers,
              sizeof *pace->provider_pull) ||
        !grow((void **)&pace->provider_skip, pace->providers * priorities, providers * priorities,
              sizeof *pace->provider_skip))
        return room_out(fault, "counters of runs");
    pace->institutions = institutions;
    if (providers > pace->providers)
        pace->providers = providers;
    return RESULT_OK;
}

enum result room_slots(struct scheduler *scheduler, struct fault *fault)
{
    uint32_t wanted = scheduler->slots_wanted;

    scheduler->slots_wanted = 0;
    if (wanted >= WORK_JOB_BIT)
        return fault_set(fault, FAULT_TEMPORARY, "too many slots in open runs");
    if (scheduler->run_count == 0 && scheduler->slot_capacity > wanted) {
        memory_release(scheduler->slots);
        memory_release(scheduler->parked);
        scheduler->slots = NULL;
        scheduler->parked = NULL;
        scheduler->slot_capacity = 0;
    }
    if (!grow((void **)&scheduler->slots, scheduler->slot_capacity, wanted,
              sizeof *scheduler->slots) ||
        !grow((void **)&scheduler->parked, scheduler->slot_capacity, wanted,
              sizeof *scheduler->parked))
        return room_out(fault, "slots");
    if (wanted > scheduler->slot_capacity)
        scheduler->slot_capacity = wanted;
    return RESULT_OK;
}

enum result room_nodes(struct scheduler *scheduler, uint32_t providers, uint32_t institutions,
                       uint32_t schedules, struct fault *fault)
{
    uint32_t nodes = scheduler->institution_count + institutions;

    /* Room for the worst case, that none of the settings' nodes is known yet. */
    if (!grow((void **)&scheduler->providers, scheduler->provider_count,
              (size_t)scheduler->provider_count + providers, sizeof *scheduler->providers) ||
        !grow((void **)&scheduler->institutions, scheduler->institution_count, nodes,
              sizeof *scheduler->institutions) ||
        !grow((void **)&scheduler->schedules, scheduler->schedule_count,
              (size_t)scheduler->schedule_count + schedules, sizeof *scheduler->schedules) ||
        !grow_heap(&scheduler->institutions_utc, nodes) ||
        !grow_heap(&scheduler->institutions_mono, nodes))
        return room_out(fault, "limits");
    return RESULT_OK;
}

enum result room_places(struct scheduler *scheduler, const struct scheduler_settings *settings,
                        struct fault *fault)
{
    if (!grow((void **)&scheduler->provider_places, scheduler->provider_places_count,
              settings->provider_count, sizeof(uint32_t)) ||
        !grow((void **)&scheduler->institution_places, scheduler->institution_places_count,
              settings->institution_count, sizeof(uint32_t)) ||
        !grow((void **)&scheduler->schedule_places, scheduler->schedule_places_count,
              settings->schedule_count, sizeof(uint32_t)) ||
        !grow((void **)&scheduler->sets, scheduler->set_count, settings->schedule_set_count,
              sizeof *scheduler->sets))
        return room_out(fault, "settings");
    return RESULT_OK;
}

/* Fill a new window. An old one of the same or a longer span has let no more through than it
 * remembers; beyond that counts what the node remembers without a rate. */
static void carry_window(const struct limit_node *node, struct mono_time now,
                         struct rate_window *window)
{
    const struct rate_window *best = NULL;

    for (uint32_t i = 0; i < node->window_count; i++) {
        const struct rate_window *old = &node->windows[i];

        if (old->span_us >= window->span_us && (best == NULL || old->span_us < best->span_us))
            best = old;
    }
    if (best == NULL)
        send_memory_fill(&node->sent, now, window);
    for (uint32_t i = 0; best != NULL && i < best->used; i++)
        rate_window_remember(window, rate_window_at(best, i));
}

enum result room_node_rates(struct limit_node *node, const struct limit_settings *limits,
                            int64_t guard_ms, uint32_t pending, struct mono_time now,
                            struct fault *fault)
{
    struct rate_window windows[RATES_MAX];

    for (uint32_t i = 0; i < limits->rate_count; i++) {
        const struct rate *rate = &limits->rates[i];
        int64_t *times_us = memory_resize(NULL, 0, rate->count, sizeof *times_us);

        if (times_us == NULL) {
            while (i > 0)
                memory_release(windows[--i].times_us);
            return room_out(fault, "rates");
        }
        rate_window_init(&windows[i], times_us, rate->count,
                         (rate->span_ms + guard_ms) * US_PER_MS);
        carry_window(node, now, &windows[i]);
        /* A tightened rate may have more permits out than it allows now: then it is just full. */
        windows[i].pending = pending;
    }
    for (uint32_t i = 0; i < node->window_count; i++)
        memory_release(node->windows[i].times_us);
    for (uint32_t i = 0; i < limits->rate_count; i++)
        node->windows[i] = windows[i];
    node->window_count = limits->rate_count;
    return RESULT_OK;
}

static void release_node(struct limit_node *node)
{
    for (uint32_t i = 0; i < node->window_count; i++)
        memory_release(node->windows[i].times_us);
}

void room_release(struct scheduler *scheduler)
{
    for (uint32_t i = 0; i < scheduler->provider_count; i++)
        release_node(&scheduler->providers[i].node);
    for (uint32_t i = 0; i < scheduler->institution_count; i++)
        release_node(&scheduler->institutions[i].node);
    memory_release(scheduler->consents);
    memory_release(scheduler->quota_gaps);
    memory_release(scheduler->providers);
    memory_release(scheduler->provider_places);
    memory_release(scheduler->institutions);
    memory_release(scheduler->institution_places);
    memory_release(scheduler->lanes);
    memory_release(scheduler->lane_heads);
    release_heap(&scheduler->institutions_utc);
    release_heap(&scheduler->institutions_mono);
    memory_release(scheduler->schedules);
    memory_release(scheduler->schedule_places);
    memory_release(scheduler->sets);
    memory_release(scheduler->runs);
    memory_release(scheduler->pace.cells);
    memory_release(scheduler->pace.pull);
    memory_release(scheduler->pace.census);
    memory_release(scheduler->pace.provider_pull);
    memory_release(scheduler->pace.provider_skip);
    memory_release(scheduler->slots);
    memory_release(scheduler->parked);
    memory_release(scheduler->jobs);
    release_heap(&scheduler->jobs_utc);
    release_heap(&scheduler->jobs_mono);
    memory_release(scheduler);
}
