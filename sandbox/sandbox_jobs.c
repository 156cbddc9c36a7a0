/* SPDX-License-Identifier: MIT
 * sandbox_jobs.c - growing arrays of jobs, subjects and children. */
#include "sandbox/sandbox_jobs.h"

#include <stdlib.h>
#include <string.h>

#include "base/result.h"
#include "base/text.h"

void sandbox_jobs_init(struct sandbox_jobs *jobs)
{
    *jobs = (struct sandbox_jobs){0};
    arena_init(&jobs->ids);
}

void sandbox_jobs_deinit(struct sandbox_jobs *jobs)
{
    for (uint32_t i = 0; i < jobs->job_count; i++)
        free(jobs->jobs[i].callback_url);
    free(jobs->jobs);
    free(jobs->subjects);
    free(jobs->slots);
    free(jobs->children);
    free(jobs->timer_entries);
    free(jobs->timer_positions);
    arena_deinit(&jobs->ids);
    *jobs = (struct sandbox_jobs){0};
}

/* Double `*capacity` elements of `size` bytes at `*elements` when `count` has reached it. */
static bool make_room(void **elements, uint32_t *capacity, uint32_t count, size_t size)
{
    uint32_t wanted = *capacity == 0 ? 256 : *capacity * 2;
    void *bytes;

    if (count < *capacity)
        return true;
    if (wanted <= *capacity)
        return false;
    bytes = realloc(*elements, wanted * size);
    if (bytes == NULL)
        return false;
    *elements = bytes;
    *capacity = wanted;
    return true;
}

static uint64_t key_hash(uint8_t account, uint8_t api, const char *id, uint32_t key_label)
{
    return hash_bytes(id, strlen(id),
                      (uint64_t)key_label << 16 | (uint64_t)account << 8 | (uint64_t)api);
}

/* Finqware subjects are keyed by the consent alone; their label is only an attribute. */
static uint32_t subject_key_label(const struct sandbox_subject *subject)
{
    return subject->api == SANDBOX_API_FINQWARE ? SANDBOX_NONE : subject->label;
}

static uint32_t *slot_of(const struct sandbox_jobs *jobs, uint8_t account, uint8_t api,
                         const char *id, uint32_t key_label)
{
    uint32_t mask = jobs->slot_count - 1;
    uint32_t i = (uint32_t)key_hash(account, api, id, key_label) & mask;

    for (; jobs->slots[i] != 0; i = (i + 1) & mask) {
        const struct sandbox_subject *subject = &jobs->subjects[jobs->slots[i] - 1];

        if (subject->account == account && subject->api == api &&
            subject_key_label(subject) == key_label && strcmp(subject->id, id) == 0)
            break;
    }
    return &jobs->slots[i];
}

static bool grow_slots(struct sandbox_jobs *jobs)
{
    uint32_t count = jobs->slot_count == 0 ? 1024 : jobs->slot_count * 2;
    uint32_t *slots;

    if (jobs->subject_count < jobs->slot_count / 2)
        return true;
    slots = calloc(count, sizeof *slots);
    if (slots == NULL)
        return false;
    free(jobs->slots);
    jobs->slots = slots;
    jobs->slot_count = count;
    for (uint32_t i = 0; i < jobs->subject_count; i++) {
        const struct sandbox_subject *subject = &jobs->subjects[i];

        *slot_of(jobs, subject->account, subject->api, subject->id, subject_key_label(subject)) =
            i + 1;
    }
    return true;
}

uint32_t sandbox_jobs_subject(struct sandbox_jobs *jobs, uint8_t account, uint8_t api,
                              const char *id, uint32_t key_label)
{
    uint32_t *slot;
    char *copy;

    REQUIRE(api != SANDBOX_API_FINQWARE || key_label == SANDBOX_NONE);
    if (!grow_slots(jobs) || !make_room((void **)&jobs->subjects, &jobs->subject_capacity,
                                        jobs->subject_count, sizeof *jobs->subjects))
        return SANDBOX_NONE;
    slot = slot_of(jobs, account, api, id, key_label);
    if (*slot != 0)
        return *slot - 1;
    copy = arena_copy_packed(&jobs->ids, id, strlen(id));
    if (copy == NULL)
        return SANDBOX_NONE;
    jobs->subjects[jobs->subject_count] = (struct sandbox_subject){
        .id = copy, .label = key_label, .last_job = SANDBOX_NONE, .account = account, .api = api};
    *slot = ++jobs->subject_count;
    return *slot - 1;
}

uint32_t sandbox_jobs_find(const struct sandbox_jobs *jobs, uint8_t account, uint8_t api,
                           const char *id, uint32_t key_label)
{
    if (jobs->slot_count == 0)
        return SANDBOX_NONE;
    /* A free slot holds 0, and 0 - 1 is SANDBOX_NONE. */
    return *slot_of(jobs, account, api, id, key_label) - 1;
}

uint32_t sandbox_jobs_add(struct sandbox_jobs *jobs, uint32_t subject, int64_t created_ms)
{
    struct sandbox_subject *owner = &jobs->subjects[subject];
    uint32_t job = jobs->job_count;

    if (job == SANDBOX_NONE - 1 ||
        !make_room((void **)&jobs->jobs, &jobs->job_capacity, job, sizeof *jobs->jobs))
        return SANDBOX_NONE;
    jobs->jobs[job] = (struct sandbox_job){.created_ms = created_ms,
                                           .subject = subject,
                                           .previous = owner->last_job,
                                           .create_requests = 1};
    jobs->job_count++;
    owner->last_job = job;
    owner->job_count++;
    return job;
}

bool sandbox_jobs_add_children(struct sandbox_jobs *jobs, uint32_t job, uint16_t count)
{
    jobs->jobs[job].first_child = jobs->child_count;
    for (uint16_t i = 0; i < count; i++) {
        if (!make_room((void **)&jobs->children, &jobs->child_capacity, jobs->child_count,
                       sizeof *jobs->children))
            return false;
        jobs->children[jobs->child_count++] = (struct sandbox_child){0};
        jobs->jobs[job].child_count++;
    }
    return true;
}

bool sandbox_jobs_set_timer(struct sandbox_jobs *jobs, uint32_t job, int64_t at_ms)
{
    if (job >= jobs->timer_capacity) {
        uint32_t capacity = jobs->job_capacity;
        struct heap_entry *entries =
            realloc(jobs->timer_entries, capacity * sizeof *jobs->timer_entries);
        uint32_t *positions;

        if (entries == NULL)
            return false;
        jobs->timer_entries = entries;
        jobs->timers.entries = entries;
        positions = realloc(jobs->timer_positions, capacity * sizeof *positions);
        if (positions == NULL)
            return false;
        jobs->timer_positions = positions;
        if (jobs->timer_capacity == 0)
            heap_init(&jobs->timers, entries, positions, capacity);
        else
            heap_grow(&jobs->timers, entries, positions, capacity);
        jobs->timer_capacity = capacity;
    }
    heap_set(&jobs->timers, job, at_ms);
    return true;
}

int64_t sandbox_job_end_ms(const struct sandbox_job *job)
{
    return job->duration_ms == SANDBOX_DURATION_NEVER ? INT64_MAX
                                                      : job->created_ms + job->duration_ms;
}
