/* SPDX-License-Identifier: MIT
 *
 * event_queue.h - events that wait for the next turn, with the evidence that goes with them.
 *
 * Layer:  daemon. First in, first out. Callbacks of the transport and the listeners only put
 *         events here; the turn takes them. Evidence lives until the batch made from it is
 *         committed: event_queue_release_taken frees what was taken before.
 */
#ifndef REFRESHD_DAEMON_EVENT_QUEUE_H
#define REFRESHD_DAEMON_EVENT_QUEUE_H

#include "provider/classify.h"
#include "scheduler/record.h"
#include "state/evidence.h"

struct queued_event {
    struct queued_event *next;
    struct event event;
    struct time_now at; /* when it happened */
};

struct event_queue {
    struct queued_event *first;
    struct queued_event **last;
    struct queued_event *taken; /* taken and not released yet */
    uint32_t count;
};

void event_queue_init(struct event_queue *queue);
void event_queue_deinit(struct event_queue *queue);

/* Append a copy of `event`; `texts` (may be NULL) and `http_status` become its evidence. Out of
 * memory aborts: an answer must not be lost silently, and recovery is safe. */
void event_queue_put(struct event_queue *queue, struct time_now at, const struct event *event,
                     const struct answer_texts *texts, int http_status);

/* The oldest event, or NULL. It stays valid until event_queue_release_taken. */
const struct queued_event *event_queue_take(struct event_queue *queue);
/* Free everything that was taken: call after the commit. */
void event_queue_release_taken(struct event_queue *queue);

#endif
