/* SPDX-License-Identifier: MIT
 *
 * sandbox_delivery.h - POSTs bodies to loopback receivers, with retries.
 *
 * Layer: sandbox (libevent's HTTP client). A few at a time, the rest in order behind them.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_DELIVERY_H
#define REFRESHD_SANDBOX_SANDBOX_DELIVERY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct sandbox_webhooks_queue;

/* What to send; everything is copied. */
struct sandbox_delivery_order {
    const char *url;
    const char *body;
    size_t body_length;
    const char *signature_header;
    const char *signature;
    const char *key_id_header;
    const char *key_id;
    int64_t retries;
    int64_t retry_ms;
    int64_t delay_ms;
};

/* NULL when memory is out. */
struct sandbox_webhooks_queue *sandbox_delivery_create(struct event_base *base);
void sandbox_delivery_destroy(struct sandbox_webhooks_queue *queue);
/* Queue one POST. A URL that is not loopback is counted and not called. */
void sandbox_delivery_send(struct sandbox_webhooks_queue *queue,
                           const struct sandbox_delivery_order *order);
void sandbox_delivery_count_lost(struct sandbox_webhooks_queue *queue);
/* Counters; NULL without memory. */
json_t *sandbox_delivery_json(const struct sandbox_webhooks_queue *queue);

#endif
