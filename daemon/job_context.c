/* SPDX-License-Identifier: MIT
 * job_context.c - see job_context.h. */
#include "daemon/job_context.h"

#include <stdlib.h>
#include <string.h>

void job_contexts_init(struct job_contexts *contexts)
{
    *contexts = (struct job_contexts){0};
}

static void context_free(struct job_contexts *contexts, struct job_context *context)
{
    HASH_DELETE(by_job, contexts->by_job, context);
    if (context->reference_hash != 0)
        HASH_DELETE(by_reference, contexts->by_reference, context);
    if (context->child_hash != 0)
        HASH_DELETE(by_child, contexts->by_child, context);
    provider_link_release(context->link);
    free(context->texts);
    free(context->told_id);
    free(context->provider_job_id);
    free(context);
}

void job_contexts_deinit(struct job_contexts *contexts)
{
    for (uint32_t slot = 0; slot < contexts->capacity; slot++)
        if (contexts->slots[slot] != NULL)
            context_free(contexts, contexts->slots[slot]);
    free(contexts->slots);
    job_contexts_init(contexts);
}

static enum result contexts_grow(struct job_contexts *contexts, uint32_t job_slot,
                                 struct fault *fault)
{
    uint32_t capacity = contexts->capacity == 0 ? 256 : contexts->capacity;
    struct job_context **slots;

    if (job_slot < contexts->capacity)
        return RESULT_OK;
    while (capacity <= job_slot)
        capacity *= 2;
    slots = realloc(contexts->slots, (size_t)capacity * sizeof(struct job_context *));
    if (slots == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory for %u live jobs", capacity);
    memset(slots + contexts->capacity, 0,
           (size_t)(capacity - contexts->capacity) * sizeof(struct job_context *));
    contexts->slots = slots;
    contexts->capacity = capacity;
    return RESULT_OK;
}

/* All texts of a job in one block, because there are thousands of jobs and they die young. */
static bool copy_texts(struct job_context *context, const struct job_context_texts *texts)
{
    const char *institution = strcmp(texts->institution, "-") == 0 ? "" : texts->institution;
    const char *secret =
        texts->customer_secret.kind == SECRET_NONE ? "" : texts->customer_secret.name;
    const char *sources[] = {texts->id, texts->customer, institution, secret};
    const char *copies[4];
    size_t bytes = 0;
    char *at;

    for (size_t i = 0; i < 4; i++)
        bytes += strlen(sources[i]) + 1;
    context->texts = malloc(bytes);
    if (context->texts == NULL)
        return false;
    at = context->texts;
    for (size_t i = 0; i < 4; i++) {
        size_t length = strlen(sources[i]) + 1;

        memcpy(at, sources[i], length);
        copies[i] = at;
        at += length;
    }
    context->id = copies[0];
    context->customer = copies[1];
    context->institution = copies[2];
    context->customer_secret = (struct secret_reference){texts->customer_secret.kind, copies[3]};
    context->customer_is_own_id = texts->customer_is_own_id;
    return true;
}

enum result job_contexts_open(struct job_contexts *contexts, uint32_t job_slot, uint64_t job,
                              uint32_t consent, struct provider_link *link,
                              const struct job_context_texts *texts, struct job_context **context,
                              struct fault *fault)
{
    struct job_context *created;

    if (contexts_grow(contexts, job_slot, fault) != RESULT_OK)
        return RESULT_FAULT;
    REQUIRE(contexts->slots[job_slot] == NULL);
    created = calloc(1, sizeof *created);
    if (created == NULL || !copy_texts(created, texts)) {
        free(created);
        return fault_set(fault, FAULT_TEMPORARY, "out of memory for a job");
    }
    created->job = job;
    created->job_slot = job_slot;
    created->consent = consent;
    created->link = provider_link_retain(link);
    created->look_back_ms = -1;
    created->look_until_ms = -1;
    contexts->slots[job_slot] = created;
    HASH_ADD(by_job, contexts->by_job, job, sizeof created->job, created);
    *context = created;
    return RESULT_OK;
}

enum result job_contexts_set_reference(struct job_contexts *contexts, struct job_context *context,
                                       const char *provider_job_id, uint64_t hash,
                                       struct fault *fault)
{
    char *copy = strdup(provider_job_id);

    if (copy == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory for a job id");
    if (context->reference_hash != 0)
        HASH_DELETE(by_reference, contexts->by_reference, context);
    free(context->provider_job_id);
    context->provider_job_id = copy;
    context->reference_hash = hash;
    context->reference_attempt = context->attempt;
    if (hash != 0)
        HASH_ADD(by_reference, contexts->by_reference, reference_hash,
                 sizeof context->reference_hash, context);
    return RESULT_OK;
}

void job_contexts_set_child(struct job_contexts *contexts, struct job_context *context,
                            uint64_t hash)
{
    if (context->child_hash == hash)
        return;
    if (context->child_hash != 0)
        HASH_DELETE(by_child, contexts->by_child, context);
    context->child_hash = hash;
    if (hash != 0)
        HASH_ADD(by_child, contexts->by_child, child_hash, sizeof context->child_hash, context);
}

bool job_context_has_reference(const struct job_context *context)
{
    return context->reference_hash != 0 && context->reference_attempt == context->attempt;
}

enum result job_context_tell(struct job_context *context, const char *provider_job_id,
                             struct fault *fault)
{
    char *copy = strdup(provider_job_id);

    if (copy == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory for a job id");
    free(context->told_id);
    context->told_id = copy;
    context->told_attempt = context->attempt;
    return RESULT_OK;
}

void job_contexts_close(struct job_contexts *contexts, uint32_t job_slot)
{
    if (job_slot < contexts->capacity && contexts->slots[job_slot] != NULL) {
        context_free(contexts, contexts->slots[job_slot]);
        contexts->slots[job_slot] = NULL;
    }
}

struct job_context *job_contexts_get(const struct job_contexts *contexts, uint32_t job_slot,
                                     uint64_t job)
{
    struct job_context *context;

    if (job_slot >= contexts->capacity)
        return NULL;
    context = contexts->slots[job_slot];
    return context != NULL && context->job == job ? context : NULL;
}

struct job_context *job_contexts_find_job(const struct job_contexts *contexts, uint64_t job)
{
    struct job_context *context = NULL;

    HASH_FIND(by_job, contexts->by_job, &job, sizeof job, context);
    return context;
}

struct job_context *job_contexts_find_reference(const struct job_contexts *contexts, uint64_t hash)
{
    struct job_context *context = NULL;

    HASH_FIND(by_reference, contexts->by_reference, &hash, sizeof hash, context);
    if (context == NULL)
        HASH_FIND(by_child, contexts->by_child, &hash, sizeof hash, context);
    return context;
}
