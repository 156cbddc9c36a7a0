/* SPDX-License-Identifier: MIT
 * sandbox_delivery.c - outgoing POSTs on libevent's HTTP client. */
#include "sandbox/sandbox_delivery.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/time_point.h"
#include "sandbox/sandbox_webhook.h"

#define ACTIVE_MAX 16
#define TIMEOUT_S 10

struct delivery {
    struct sandbox_webhooks_queue *queue;
    struct delivery *next;     /* waiting to be sent */
    struct delivery *all_next; /* every delivery there is */
    struct delivery *all_previous;
    struct event *timer;
    struct evhttp_connection *connection; /* NULL unless a request is out */
    struct text host;
    struct text target; /* path and query */
    struct text body;
    struct text signature;
    char signature_header[16];
    char key_id_header[20];
    char key_id[32];
    uint16_t port;
    int64_t retries_left;
    int64_t retry_ms;
};

struct sandbox_webhooks_queue {
    struct event_base *base;
    struct delivery *first; /* waiting */
    struct delivery *last;
    struct delivery *all;
    uint32_t active;
    uint64_t made;
    uint64_t delivered;
    uint64_t rejected;
    uint64_t retried;
    uint64_t given_up;
    uint64_t refused_url;
    uint64_t lost;
};

struct sandbox_webhooks_queue *sandbox_delivery_create(struct event_base *base)
{
    struct sandbox_webhooks_queue *queue = calloc(1, sizeof *queue);

    if (queue != NULL)
        queue->base = base;
    return queue;
}

static void delivery_free(struct delivery *delivery)
{
    if (delivery->all_previous != NULL)
        delivery->all_previous->all_next = delivery->all_next;
    else
        delivery->queue->all = delivery->all_next;
    if (delivery->all_next != NULL)
        delivery->all_next->all_previous = delivery->all_previous;
    if (delivery->timer != NULL)
        event_free(delivery->timer);
    text_deinit(&delivery->host);
    text_deinit(&delivery->target);
    text_deinit(&delivery->body);
    text_deinit(&delivery->signature);
    free(delivery);
}

void sandbox_delivery_destroy(struct sandbox_webhooks_queue *queue)
{
    if (queue == NULL)
        return;
    while (queue->all != NULL) {
        if (queue->all->connection != NULL)
            evhttp_connection_free(queue->all->connection);
        delivery_free(queue->all);
    }
    free(queue);
}

static bool host_is_loopback(const char *host)
{
    struct in_addr ipv4;

    if (host == NULL)
        return false;
    if (strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, host, &ipv4) == 1 && ntohl(ipv4.s_addr) >> 24 == 127;
}

bool sandbox_webhook_url_is_allowed(const char *url)
{
    struct evhttp_uri *uri = evhttp_uri_parse(url);
    bool is_allowed = uri != NULL && evhttp_uri_get_scheme(uri) != NULL &&
                      strcmp(evhttp_uri_get_scheme(uri), "http") == 0 &&
                      host_is_loopback(evhttp_uri_get_host(uri));

    if (uri != NULL)
        evhttp_uri_free(uri);
    return is_allowed;
}

static void queue_run(struct sandbox_webhooks_queue *queue);

static void enqueue(struct delivery *delivery)
{
    struct sandbox_webhooks_queue *queue = delivery->queue;

    delivery->next = NULL;
    if (queue->first == NULL)
        queue->first = delivery;
    else
        queue->last->next = delivery;
    queue->last = delivery;
    queue_run(queue);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    enqueue(context);
}

static void wait_ms(struct delivery *delivery, int64_t ms)
{
    struct timeval wait = {.tv_sec = ms / MS_PER_SECOND, .tv_usec = ms % MS_PER_SECOND * US_PER_MS};

    evtimer_add(delivery->timer, &wait);
}

/* One attempt is over: 2xx, 3xx and 4xx are final, everything else is tried again. */
static void attempt_over(struct delivery *delivery, int status)
{
    struct sandbox_webhooks_queue *queue = delivery->queue;

    delivery->connection = NULL; /* frees itself */
    queue->active--;
    if (status >= 200 && status < 300) {
        queue->delivered++;
        delivery_free(delivery);
    } else if (status >= 300 && status < 500) {
        queue->rejected++;
        delivery_free(delivery);
    } else if (delivery->retries_left > 0) {
        delivery->retries_left--;
        queue->retried++;
        wait_ms(delivery, delivery->retry_ms);
    } else {
        queue->given_up++;
        delivery_free(delivery);
    }
    queue_run(queue);
}

static void on_answer(struct evhttp_request *request, void *context)
{
    attempt_over(context, request != NULL ? evhttp_request_get_response_code(request) : 0);
}

static bool attempt(struct delivery *delivery)
{
    struct evhttp_request *request = evhttp_request_new(on_answer, delivery);
    struct evkeyvalq *headers;

    delivery->connection = evhttp_connection_base_new(delivery->queue->base, NULL,
                                                      delivery->host.bytes, delivery->port);
    if (request == NULL || delivery->connection == NULL) {
        if (request != NULL)
            evhttp_request_free(request);
        if (delivery->connection != NULL)
            evhttp_connection_free(delivery->connection);
        return false;
    }
    evhttp_connection_set_timeout(delivery->connection, TIMEOUT_S);
    evhttp_connection_free_on_completion(delivery->connection);
    headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Host", delivery->host.bytes);
    evhttp_add_header(headers, "Content-Type", "application/json");
    evhttp_add_header(headers, "Connection", "close");
    evhttp_add_header(headers, delivery->signature_header, delivery->signature.bytes);
    evhttp_add_header(headers, delivery->key_id_header, delivery->key_id);
    evbuffer_add(evhttp_request_get_output_buffer(request), delivery->body.bytes,
                 delivery->body.length);
    return evhttp_make_request(delivery->connection, request, EVHTTP_REQ_POST,
                               delivery->target.bytes) == 0;
}

static void queue_run(struct sandbox_webhooks_queue *queue)
{
    while (queue->first != NULL && queue->active < ACTIVE_MAX) {
        struct delivery *delivery = queue->first;

        queue->first = delivery->next;
        queue->active++;
        if (!attempt(delivery)) {
            queue->active--;
            queue->given_up++;
            delivery_free(delivery);
        }
    }
}

/* Host, port, path and query of the URL; false when it may not be called. */
static bool take_url(struct delivery *delivery, const char *url)
{
    struct evhttp_uri *uri = evhttp_uri_parse(url);
    const char *path;
    int port;

    if (uri == NULL || !sandbox_webhook_url_is_allowed(url)) {
        if (uri != NULL)
            evhttp_uri_free(uri);
        return false;
    }
    /* The name could resolve to anything; its meaning is fixed here. */
    text_append_string(&delivery->host, strcmp(evhttp_uri_get_host(uri), "localhost") == 0
                                            ? "127.0.0.1"
                                            : evhttp_uri_get_host(uri));
    port = evhttp_uri_get_port(uri);
    delivery->port = port > 0 && port < 65536 ? (uint16_t)port : 80;
    path = evhttp_uri_get_path(uri);
    text_append_string(&delivery->target, path != NULL && path[0] != '\0' ? path : "/");
    if (evhttp_uri_get_query(uri) != NULL) {
        text_append_string(&delivery->target, "?");
        text_append_string(&delivery->target, evhttp_uri_get_query(uri));
    }
    evhttp_uri_free(uri);
    return true;
}

void sandbox_delivery_send(struct sandbox_webhooks_queue *queue,
                           const struct sandbox_delivery_order *order)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);

    if (delivery == NULL)
        return;
    delivery->queue = queue;
    delivery->all_next = queue->all;
    if (queue->all != NULL)
        queue->all->all_previous = delivery;
    queue->all = delivery;
    text_init(&delivery->host, 256);
    text_init(&delivery->target, 8192);
    text_init(&delivery->body, SIZE_MAX / 2);
    text_init(&delivery->signature, SIZE_MAX / 2);
    delivery->timer = evtimer_new(queue->base, on_timer, delivery);
    if (delivery->timer == NULL || !take_url(delivery, order->url)) {
        queue->refused_url++;
        delivery_free(delivery);
        return;
    }
    text_append(&delivery->body, order->body, order->body_length);
    text_append_string(&delivery->signature, order->signature);
    (void)snprintf(delivery->signature_header, sizeof delivery->signature_header, "%s",
                   order->signature_header);
    (void)snprintf(delivery->key_id_header, sizeof delivery->key_id_header, "%s",
                   order->key_id_header);
    (void)snprintf(delivery->key_id, sizeof delivery->key_id, "%s", order->key_id);
    delivery->retries_left = order->retries;
    delivery->retry_ms = order->retry_ms;
    queue->made++;
    /* Through the timer even without a delay: never from inside the answer that caused it. */
    wait_ms(delivery, order->delay_ms);
}

void sandbox_delivery_count_lost(struct sandbox_webhooks_queue *queue)
{
    queue->lost++;
}

json_t *sandbox_delivery_json(const struct sandbox_webhooks_queue *queue)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "made", (json_int_t)queue->made,
                     "delivered", (json_int_t)queue->delivered, "rejected",
                     (json_int_t)queue->rejected, "retried", (json_int_t)queue->retried, "given_up",
                     (json_int_t)queue->given_up, "refused_url", (json_int_t)queue->refused_url,
                     "lost", (json_int_t)queue->lost);
}
