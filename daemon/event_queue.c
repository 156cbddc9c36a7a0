/* SPDX-License-Identifier: MIT
 * event_queue.c - see event_queue.h. */
#include "daemon/event_queue.h"

#include <stdlib.h>
#include <string.h>

void event_queue_init(struct event_queue *queue)
{
    *queue = (struct event_queue){0};
    queue->last = &queue->first;
}

static void free_list(struct queued_event *event)
{
    while (event != NULL) {
        struct queued_event *next = event->next;

        free(event);
        event = next;
    }
}

void event_queue_deinit(struct event_queue *queue)
{
    free_list(queue->first);
    free_list(queue->taken);
    event_queue_init(queue);
}

/* One block: the queued event, its evidence, and the evidence's texts. */
struct event_block {
    struct queued_event queued;
    struct evidence evidence;
    char texts[];
};

#define EVIDENCE_TEXTS 7

static const char *copy_text(char **at, const char *source)
{
    size_t length = strlen(source) + 1;
    char *copy = *at;

    if (length == 1)
        return NULL;
    memcpy(copy, source, length);
    *at += length;
    return copy;
}

static struct event_block *make_block(const struct answer_texts *texts, int http_status)
{
    const char *sources[EVIDENCE_TEXTS] = {
        texts->provider_job_id, texts->error_code,      texts->error_id,  texts->error_message,
        texts->request_id,      texts->retry_after_raw, texts->body_head,
    };
    size_t bytes = 0;
    struct event_block *block;
    char *at;

    for (size_t i = 0; i < EVIDENCE_TEXTS; i++)
        bytes += strlen(sources[i]) + 1;
    block = malloc(sizeof *block + bytes);
    REQUIRE(block != NULL);
    at = block->texts;
    block->evidence.http_status = http_status;
    block->evidence.provider_job_id = copy_text(&at, sources[0]);
    block->evidence.error_code = copy_text(&at, sources[1]);
    block->evidence.error_id = copy_text(&at, sources[2]);
    block->evidence.error_message = copy_text(&at, sources[3]);
    block->evidence.request_id = copy_text(&at, sources[4]);
    block->evidence.retry_after_raw = copy_text(&at, sources[5]);
    block->evidence.body_head = copy_text(&at, sources[6]);
    return block;
}

static void attach_evidence(struct event *event, const struct evidence *evidence)
{
    if (event->kind == EVENT_ANSWER)
        event->as.answer.evidence = evidence;
    else if (event->kind == EVENT_WEBHOOK)
        event->as.webhook.evidence = evidence;
}

void event_queue_put(struct event_queue *queue, struct time_now at, const struct event *event,
                     const struct answer_texts *texts, int http_status)
{
    struct queued_event *queued;

    if (texts != NULL) {
        struct event_block *block = make_block(texts, http_status);

        queued = &block->queued;
        queued->event = *event;
        attach_evidence(&queued->event, &block->evidence);
    } else {
        queued = malloc(sizeof *queued);
        REQUIRE(queued != NULL);
        queued->event = *event;
        attach_evidence(&queued->event, NULL);
    }
    queued->at = at;
    queued->next = NULL;
    *queue->last = queued;
    queue->last = &queued->next;
    queue->count++;
}

const struct queued_event *event_queue_take(struct event_queue *queue)
{
    struct queued_event *queued = queue->first;

    if (queued == NULL)
        return NULL;
    queue->first = queued->next;
    if (queue->first == NULL)
        queue->last = &queue->first;
    queue->count--;
    queued->next = queue->taken;
    queue->taken = queued;
    return queued;
}

void event_queue_release_taken(struct event_queue *queue)
{
    free_list(queue->taken);
    queue->taken = NULL;
}
