/* SPDX-License-Identifier: MIT
 *
 * sandbox_jobs.h - the ledger: every job ever accepted, and the subjects they belong to.
 *
 * Layer:   sandbox (base only). Pure store: it decides nothing.
 * Subject: what a provider keys jobs by: a Finqware consent; customer + bank (Bud v1); customer +
 *          set of banks (Bud v2).
 * Memory:  48 bytes a job, 32 + id a subject; jobs are never taken out, except all at once.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_JOBS_H
#define REFRESHD_SANDBOX_SANDBOX_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/heap.h"
#include "sandbox/sandbox_words.h"

#define SANDBOX_NONE UINT32_MAX
#define SANDBOX_DURATION_NEVER UINT32_MAX

enum sandbox_job_flag {
    SANDBOX_JOB_NO_NEW_DATA = 1,
    SANDBOX_JOB_LOST = 2,               /* polls answer "not found" */
    SANDBOX_JOB_UNKNOWN_STATUS = 4,     /* polls answer a word nobody knows */
    SANDBOX_JOB_SPOILED = 8,            /* the answer to its create could not be understood */
    SANDBOX_JOB_COUNTED = 16,           /* is in the running counts */
    SANDBOX_JOB_SEEN_END = 32,          /* a poll told its end */
    SANDBOX_JOB_REVOKED_COMPLETED = 64, /* Bud: "Completed" + reconnect_required */
    SANDBOX_JOB_CLOSED = 256,    /* the client was told something after which it stops following */
    SANDBOX_JOB_OLD_WORDS = 128, /* Bud: "Complete" instead of "Completed" */
};

struct sandbox_subject {
    const char *id;
    uint32_t label;    /* bank, or set of banks, by number in the names; SANDBOX_NONE unknown */
    uint32_t last_job; /* newest, SANDBOX_NONE without one */
    uint32_t job_count;
    uint32_t create_requests;
    uint32_t poll_requests;
    uint8_t account;
    uint8_t api;
};

struct sandbox_child {
    uint32_t label;
    uint8_t verdict;
    uint16_t flags;
};

struct sandbox_job {
    int64_t created_ms;
    int64_t last_poll_ms; /* 0: never polled */
    char *callback_url;   /* owned, or NULL */
    uint32_t duration_ms; /* SANDBOX_DURATION_NEVER: hangs */
    uint32_t subject;
    uint32_t previous; /* older job of the same subject, SANDBOX_NONE without one */
    uint32_t first_child;
    uint16_t child_count;
    uint16_t create_requests; /* that were answered with this job; stays at 65535 */
    uint16_t flags;
    uint8_t verdict;
    uint8_t webhook_stage; /* webhooks already made */
};

struct sandbox_jobs {
    struct sandbox_job *jobs;
    uint32_t job_count;
    uint32_t job_capacity;
    struct sandbox_subject *subjects;
    uint32_t subject_count;
    uint32_t subject_capacity;
    uint32_t *slots; /* subject + 1, 0 when free */
    uint32_t slot_count;
    struct sandbox_child *children;
    uint32_t child_count;
    uint32_t child_capacity;
    struct arena ids;
    struct heap timers; /* job by the next instant (ms) at which it needs attention */
    struct heap_entry *timer_entries;
    uint32_t *timer_positions;
    uint32_t timer_capacity;
};

void sandbox_jobs_init(struct sandbox_jobs *jobs);
void sandbox_jobs_deinit(struct sandbox_jobs *jobs);

/* The subject of (account, api, id, key_label), made when it is new. `key_label` is SANDBOX_NONE
 * where the id alone is the key. SANDBOX_NONE when memory is out. */
uint32_t sandbox_jobs_subject(struct sandbox_jobs *jobs, uint8_t account, uint8_t api,
                              const char *id, uint32_t key_label);
/* The same without making it: SANDBOX_NONE when there is none. */
uint32_t sandbox_jobs_find(const struct sandbox_jobs *jobs, uint8_t account, uint8_t api,
                           const char *id, uint32_t key_label);
/* A new job of `subject`, all zero but its links; SANDBOX_NONE when memory is out. */
uint32_t sandbox_jobs_add(struct sandbox_jobs *jobs, uint32_t subject, int64_t created_ms);
/* `count` zeroed children for the job added last; false when memory is out. */
bool sandbox_jobs_add_children(struct sandbox_jobs *jobs, uint32_t job, uint16_t count);
/* Ask for attention at `at_ms`; false when memory is out. */
bool sandbox_jobs_set_timer(struct sandbox_jobs *jobs, uint32_t job, int64_t at_ms);

/* When the job ends; INT64_MAX when it hangs. */
int64_t sandbox_job_end_ms(const struct sandbox_job *job);

#endif
