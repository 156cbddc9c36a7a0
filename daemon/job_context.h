/* SPDX-License-Identifier: MIT
 *
 * job_context.h - what the shell must know of each live job: texts, account, provider job id.
 *
 * Layer:  daemon. Indexed by the core's job slot; found by job number (our webhook token) and by
 *         the hash of the provider's job id, or of its part that is ours (its webhooks). Texts are
 * copies: a reload or removal of the consent does not touch work in flight.
 */
#ifndef REFRESHD_DAEMON_JOB_CONTEXT_H
#define REFRESHD_DAEMON_JOB_CONTEXT_H

#include <uthash.h>

#include "config/consent_table.h"
#include "daemon/provider_link.h"

struct job_context {
    uint64_t job; /* 0: the slot is free */
    uint32_t job_slot;
    uint32_t consent;
    uint16_t attempt;           /* of the newest attempt */
    struct provider_link *link; /* retained */
    char *texts;                /* one block: id, customer, institution, secret name */
    const char *id;
    const char *customer;                    /* "" */
    const char *institution;                 /* "" where the consent has none */
    struct secret_reference customer_secret; /* of its own; SECRET_NONE */
    bool customer_is_own_id;
    int64_t look_back_ms;       /* -1: none */
    int64_t look_until_ms;      /* -1: none */
    char *provider_job_id;      /* NULL: not known */
    uint64_t reference_hash;    /* 0: not known */
    uint16_t reference_attempt; /* whose reference that is */
    char *told_id;              /* what a webhook told of `told_attempt`, before its answer; NULL */
    uint16_t told_attempt;
    uint64_t child_hash; /* of our institution's part of the provider's job; 0: none */
    struct utc_time opened;
    UT_hash_handle by_job;
    UT_hash_handle by_reference;
    UT_hash_handle by_child;
};

struct job_contexts {
    struct job_context **slots; /* by job slot */
    uint32_t capacity;
    struct job_context *by_job;
    struct job_context *by_reference;
    struct job_context *by_child;
};

struct job_context_texts {
    const char *id;
    const char *customer;
    const char *institution; /* "-" and "" both mean none */
    struct secret_reference customer_secret;
    bool customer_is_own_id;
};

void job_contexts_init(struct job_contexts *contexts);
void job_contexts_deinit(struct job_contexts *contexts);

/* Take `job_slot` for `job`; retains `link`. */
MUST_CHECK enum result job_contexts_open(struct job_contexts *contexts, uint32_t job_slot,
                                         uint64_t job, uint32_t consent, struct provider_link *link,
                                         const struct job_context_texts *texts,
                                         struct job_context **context, struct fault *fault);
/* Remember the provider's job id (its hash as in struct answer). */
MUST_CHECK enum result job_contexts_set_reference(struct job_contexts *contexts,
                                                  struct job_context *context,
                                                  const char *provider_job_id, uint64_t hash,
                                                  struct fault *fault);
/* Remember what the provider calls our institution's part of its job. */
void job_contexts_set_child(struct job_contexts *contexts, struct job_context *context,
                            uint64_t hash);
/* Is the provider's id of the newest attempt's job known? */
bool job_context_has_reference(const struct job_context *context);
/* A webhook told the id of the newest attempt's job. */
MUST_CHECK enum result job_context_tell(struct job_context *context, const char *provider_job_id,
                                        struct fault *fault);
void job_contexts_close(struct job_contexts *contexts, uint32_t job_slot);

/* NULL when there is none. `job` guards against a slot that was given to another job. */
struct job_context *job_contexts_get(const struct job_contexts *contexts, uint32_t job_slot,
                                     uint64_t job);
struct job_context *job_contexts_find_job(const struct job_contexts *contexts, uint64_t job);
/* By the hash of the provider's id of the job, or of our institution's part of it. */
struct job_context *job_contexts_find_reference(const struct job_contexts *contexts, uint64_t hash);

#endif
