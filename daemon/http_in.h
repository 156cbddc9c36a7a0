/* SPDX-License-Identifier: MIT
 *
 * http_in.h - a small, strict HTTP listener: one GET or POST per connection.
 *
 * Layer:    daemon (libevent's buffered sockets; the parsing is ours, because evhttp takes bare LF,
 *           folded headers and NULs whatever stands in front of it).
 * Takes:    HTTP/1.0 and 1.1; GET without a body; POST with exactly one Content-Length of digits;
 *           one Host; headers as RFC 9110 writes them. Everything that two readers could
 *           understand differently is refused with 400 and the connection closed.
 * Limits:   head 8 KiB, 64 headers, target 2 KiB, body 64 KiB; the whole request within 5 s of the
 *           connection, whatever drips meanwhile; so many connections at once, then accepting
 *           pauses; an answer that the peer does not read is given up after 30 s.
 * Answers:  now or later, exactly once. They close the connection, say nosniff and no-store,
 *           and are text/plain unless told otherwise.
 * Trust:    nothing in a request is true because it is said: no X-Forwarded-*, no decoding. Paths
 *           are raw bytes, to be compared as they are.
 */
#ifndef REFRESHD_DAEMON_HTTP_IN_H
#define REFRESHD_DAEMON_HTTP_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"
#include "daemon/event_loop.h"

#define HTTP_IN_HEAD_BYTES_MAX 8192
#define HTTP_IN_HEADERS_MAX 64
#define HTTP_IN_TARGET_BYTES_MAX 2048
#define HTTP_IN_BODY_BYTES_MAX 65536

struct http_in;          /* a listener */
struct http_in_exchange; /* one request and its answer */

enum http_in_method { HTTP_IN_GET, HTTP_IN_POST };

struct http_in_header {
    const char *name;  /* as sent; compare without case */
    const char *value; /* blanks around it taken off */
};

/* Lives until the answer is given. All texts end in a NUL; none but `body` can hold one. */
struct http_in_request {
    enum http_in_method method;
    const char *path;  /* raw, begins with a slash, up to the first question mark */
    const char *query; /* raw, after it; "" when there is none */
    const struct http_in_header *headers;
    size_t header_count;
    const char *body;
    size_t body_length;
};

/* The value of the first header of that name, or NULL. */
const char *http_in_header_value(const struct http_in_request *request, const char *name);

struct http_in_answer {
    int status;               /* 200..599 */
    const char *content_type; /* NULL: text/plain; charset=utf-8 */
    const char *extra;        /* more header lines, each ended by CRLF; NULL: none */
    const char *body;         /* copied */
    size_t body_length;
};

struct http_in_handler {
    void *context;
    /* A complete request. Call http_in_respond (or http_in_stream_begin) on the exchange, inside
     * this call or later. */
    void (*on_request)(void *context, struct http_in_exchange *exchange,
                       const struct http_in_request *request);
};

struct http_in_settings {
    const char *address;      /* see listen_address.h */
    uint32_t connections_max; /* 0: 256 */
    int64_t request_ms;       /* 0: 5 s from connection to complete request */
    int64_t answer_ms;        /* 0: 30 s for the handler to answer; then 503 */
    int64_t write_ms;         /* 0: 30 s for the peer to take the answer */
};

enum result http_in_create(struct event_loop *loop, const struct http_in_settings *settings,
                           const struct http_in_handler *handler, struct http_in **out,
                           struct fault *fault) MUST_CHECK;
/* Closes everything, exchanges without an answer included: they must not be touched any more. NULL
 * is fine. */
void http_in_destroy(struct http_in *http);
/* Take no new connections; those that are open go on. */
void http_in_close_listener(struct http_in *http);
/* Where it listens: "127.0.0.1:43211". */
const char *http_in_bound(const struct http_in *http);

/* Answer. The exchange is gone afterwards. It is fine when the peer has left meanwhile. */
void http_in_respond(struct http_in_exchange *exchange, const struct http_in_answer *answer);
/* A text/plain answer of one line. */
void http_in_respond_text(struct http_in_exchange *exchange, int status, const char *text);

/* ---- an answer in pieces, of unknown length and duration (event streams) ---- */

/* Send the head of `answer` and its body; the exchange stays. `on_closed` (with `context`) is
 * called once when the peer leaves, reads too slowly, or the listener is destroyed; the exchange is
 * gone then. It is not called after http_in_stream_end. */
void http_in_stream_begin(struct http_in_exchange *exchange, const struct http_in_answer *answer,
                          void (*on_closed)(void *context), void *context);
/* False when more than 1 MiB waits unread: the piece was not taken, and the stream will close. */
bool http_in_stream_write(struct http_in_exchange *exchange, const char *bytes, size_t length);
void http_in_stream_end(struct http_in_exchange *exchange);

struct http_in_counts {
    uint32_t open;      /* connections now */
    uint64_t accepted;  /* connections so far */
    uint64_t requests;  /* complete requests given to the handler */
    uint64_t refused;   /* answered 4xx or 5xx by the listener itself */
    uint64_t timed_out; /* cut off at a deadline */
};
struct http_in_counts http_in_counts(const struct http_in *http);

#endif
