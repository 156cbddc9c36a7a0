/* SPDX-License-Identifier: MIT
 *
 * sandbox_http_private.h - the connection, between the files that read from it and write to it.
 *
 * Layer: sandbox (libevent). Only sandbox_http.c and sandbox_http_send.c include this.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_HTTP_PRIVATE_H
#define REFRESHD_SANDBOX_SANDBOX_HTTP_PRIVATE_H

#include <event2/util.h>

#include "base/text.h"
#include "sandbox/sandbox_http.h"

struct event;
struct evconnlistener;

struct sandbox_http_connection {
    struct sandbox_http_server *server;
    struct sandbox_http_connection *next;
    struct sandbox_http_connection *previous;
    evutil_socket_t fd;
    struct event *reading;
    struct event *writing;
    struct event *delay; /* NULL until a delayed answer is needed */
    struct event *gone;  /* beside `delay`: the client went away meanwhile */
    char *input;         /* one byte more than input_capacity, for a final NUL */
    size_t input_length;
    size_t input_capacity;
    struct text output;
    size_t output_sent;
    uint64_t stream_left; /* blanks still to be sent after `output` */
    int64_t arrived_us;   /* kernel time of the newest bytes */
    uint32_t tag;
    bool is_answering; /* an answer is delayed or not wholly sent */
    bool closes_after; /* close once the answer has left */
    bool resets;       /* close with a reset */
    bool sent_continue;
};

struct sandbox_http_server {
    struct event_base *base;
    struct evconnlistener *listener;
    struct sandbox_http_handler handler;
    struct sandbox_http_connection *connections;
    uint64_t accepted;
    uint32_t open;
    char address[64];
    char head[SANDBOX_HTTP_HEAD_BYTES_MAX]; /* of the request being handled */
};

/* Close and free; tells the handler when an answer was on its way. */
void sandbox_http_close(struct sandbox_http_connection *connection);
/* Serve what is in the input until bytes are missing or an answer has to wait. */
void sandbox_http_serve(struct sandbox_http_connection *connection);
/* Send what can be sent. Answers false when the connection is gone, true when it lives;
 * `is_answering` tells whether something is left. */
bool sandbox_http_flush(struct sandbox_http_connection *connection);
/* Callback of the events `writing` and `delay`. */
void sandbox_http_on_writable(evutil_socket_t fd, short what, void *context);

#endif
