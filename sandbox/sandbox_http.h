/* SPDX-License-Identifier: MIT
 *
 * sandbox_http.h - a small HTTP/1.1 server that can also misbehave on purpose.
 *
 * Layer:   sandbox (libevent). One thread. Content-Length bodies only, keep-alive, one request at a
 *          time per connection (pipelined ones wait).
 * Why own: the faults of the sandbox (answers cut short, without a length, dropped, endless) need
 *          the bytes of the connection, which a correct server library rightly hides.
 * Time:    each request carries the kernel's receive time of its last bytes, so that a busy
 *          sandbox does not make its clients look faster than they were.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_HTTP_H
#define REFRESHD_SANDBOX_SANDBOX_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"

struct event_base;
struct sandbox_http_server;
struct sandbox_http_connection;

#define SANDBOX_HTTP_HEADERS_MAX 48
#define SANDBOX_HTTP_HEAD_BYTES_MAX 65536
#define SANDBOX_HTTP_BODY_BYTES_MAX 1048576

struct sandbox_http_header {
    const char *name;
    const char *value;
};

/* Valid until the handler returns; all texts are NUL-ended and borrowed from the connection. */
struct sandbox_http_request {
    const char *method;
    char *path;        /* without the query */
    const char *query; /* "" when there is none */
    struct sandbox_http_header headers[SANDBOX_HTTP_HEADERS_MAX];
    size_t header_count;
    const char *body;
    size_t body_length;
    bool keep_alive;
    int64_t arrived_us; /* UTC, microseconds */
};

/* How the bytes of an answer leave. */
enum sandbox_http_manner {
    SANDBOX_HTTP_PROPER,
    SANDBOX_HTTP_DROP,          /* close without a byte */
    SANDBOX_HTTP_RESET,         /* the same with a TCP reset */
    SANDBOX_HTTP_SHORT_LENGTH,  /* Content-Length promises more than is sent, then close */
    SANDBOX_HTTP_NO_LENGTH_CUT, /* no Content-Length, half the body, then close */
    SANDBOX_HTTP_STREAM,        /* the body, then blanks up to stream_bytes */
    SANDBOX_HTTP_RAW,           /* the body alone, no HTTP at all, then close */
};

struct sandbox_http_answer {
    int status;
    enum sandbox_http_manner manner;
    const char *content_type;  /* NULL: application/json */
    const char *extra_headers; /* whole lines ending in CRLF, or NULL */
    const char *body;
    size_t body_length;
    uint64_t stream_bytes; /* SANDBOX_HTTP_STREAM: Content-Length in all */
    int64_t delay_ms;      /* wait so long before the first byte */
};

/* Split the head in place: `bytes` is changed (NULs are put in). `head_length` includes the empty
 * line. Answers 0 or the HTTP status to refuse with (400, 411, 413, 431, 501). Pure. */
int sandbox_http_parse_head(char *bytes, size_t head_length, struct sandbox_http_request *request,
                            size_t *body_length, bool *expects_continue);
/* The first header of that name in any case, or NULL. */
const char *sandbox_http_header(const struct sandbox_http_request *request, const char *name);
/* The value of `name` in the query, percent-decoded into `out`; false when absent or too long. */
bool sandbox_http_query(const struct sandbox_http_request *request, const char *name, char *out,
                        size_t out_size);

struct sandbox_http_handler {
    void *context;
    /* Must call sandbox_http_answer exactly once before it returns. */
    void (*handle)(void *context, struct sandbox_http_connection *connection,
                   struct sandbox_http_request *request);
    /* The answer left (or its connection died). `tag` was set by sandbox_http_set_tag, 0 if not. */
    void (*done)(void *context, uint32_t tag);
};

enum result sandbox_http_create(struct event_base *base, const char *listen,
                                const struct sandbox_http_handler *handler,
                                struct sandbox_http_server **out, struct fault *fault) MUST_CHECK;
void sandbox_http_destroy(struct sandbox_http_server *server);
/* "127.0.0.1:9420" as bound. */
const char *sandbox_http_address(const struct sandbox_http_server *server);
uint64_t sandbox_http_connections_accepted(const struct sandbox_http_server *server);
uint32_t sandbox_http_connections_open(const struct sandbox_http_server *server);

/* End the answers whose clients have gone away already, although the loop has not come to it: what
 * a new process of the client sends must not be counted together with what the killed one had sent.
 * Connections that are not answering, `except` among them, are left alone. */
void sandbox_http_end_gone(struct sandbox_http_connection *except);
void sandbox_http_set_tag(struct sandbox_http_connection *connection, uint32_t tag);
void sandbox_http_answer(struct sandbox_http_connection *connection,
                         const struct sandbox_http_answer *answer);

#endif
