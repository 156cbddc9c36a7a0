/* SPDX-License-Identifier: MIT
 *
 * transport.h - HTTP requests out, answers in, inside every safety rule; on libcurl's multi
 * interface, without an event loop of its own.
 *
 * Layer:    provider. Knows nothing of providers' APIs and nothing of the event loop: the loop
 *           lends sockets and timers through struct transport_hooks.
 * Order:    transport_send never calls back. on_sent comes at the hand-over to the socket, then
 *           on_answer exactly once, both from transport_socket_ready or transport_timer_expired.
 *           on_answer may send; on_sent is called inside libcurl and may call nothing here.
 * Once:     one send is at most one hand-over. libcurl's silent repetition on a fresh connection
 *           is refused (it would be a second attempt nobody recorded): the answer is then
 *           TRANSPORT_RESET, and whether the provider saw the first one is in doubt.
 * Safety:   no redirect, cookie, netrc, HSTS, alt-svc, environment proxy, or HTTP/0.9; TLS 1.2 or
 *           later with verification, which no setting turns off; addresses filtered after
 *           resolution; bodies and headers counted; no encoding asked for, so nothing inflates.
 * Secrets:  URL, headers and body are copied and wiped after use. No text made here holds them.
 * Thread:   everything on one thread, the loop's.
 */
#ifndef REFRESHD_PROVIDER_TRANSPORT_H
#define REFRESHD_PROVIDER_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"
#include "base/time_point.h"

struct transport;
struct transport_client;
struct transport_shard; /* one libcurl multi handle: what sockets and timers belong to */

/* ---- what the event loop lends ---- */

#define TRANSPORT_READ 1U
#define TRANSPORT_WRITE 2U

struct transport_hooks {
    void *context; /* given back to each hook */

    /* Watch `fd` for `interest` (TRANSPORT_READ | TRANSPORT_WRITE) until told otherwise; when it is
     * ready, call transport_socket_ready(shard, fd, what). `watch` is NULL at first, later what
     * the last call for this fd answered: then only `interest` changed. Answers a handle, or NULL
     * when that failed (the requests on that socket then end by their timeout). */
    void *(*socket_watch)(void *context, void *watch, struct transport_shard *shard, int fd,
                          unsigned interest);
    /* Watch it no more. The descriptor may be closed already and must not be touched later. */
    void (*socket_forget)(void *context, void *watch);

    /* One timer for a shard, not armed; NULL when that failed. */
    void *(*timer_create)(void *context, struct transport_shard *shard);
    /* Call transport_timer_expired(shard) once, `delay_ms` from now, from the loop and never from
     * inside this call, also when the delay is 0. Replaces what was set; negative: disarm. */
    void (*timer_set)(void *context, void *timer, int64_t delay_ms);
    void (*timer_destroy)(void *context, void *timer);

    /* Both clocks, read now (not the time at which the loop's turn began). */
    struct time_now (*now)(void *context);
};

/* `hooks` is copied. Faults: libcurl lacks a feature that the safety rules need; no memory. Takes
 * SSLKEYLOGFILE out of the environment, so: before threads are started. */
enum result transport_create(const struct transport_hooks *hooks, struct transport **out,
                             struct fault *fault) MUST_CHECK;
/* Every client must be gone. NULL is fine. */
void transport_destroy(struct transport *transport);

/* The loop reports: `ready` is TRANSPORT_READ | TRANSPORT_WRITE. */
void transport_socket_ready(struct transport_shard *shard, int fd, unsigned ready);
void transport_timer_expired(struct transport_shard *shard);

/* ---- clients: one per provider ---- */

enum transport_error {
    TRANSPORT_OK,              /* a complete answer; http_status says which */
    TRANSPORT_RESOLVE,         /* the name has no address */
    TRANSPORT_CONNECT,         /* refused, no route */
    TRANSPORT_BLOCKED_ADDRESS, /* resolved to an address that is not allowed */
    TRANSPORT_TLS,             /* handshake or verification failed */
    TRANSPORT_TIMEOUT,         /* connecting (reached_socket false) or in whole */
    TRANSPORT_RESET,           /* connection lost before the answer was complete */
    TRANSPORT_TRUNCATED,       /* the body ended before its announced length */
    TRANSPORT_TOO_LARGE,       /* body beyond body_bytes_max; what fits is in `body` */
    TRANSPORT_HEADER_LIMIT,    /* more than 64 KiB or 200 lines of headers */
    TRANSPORT_PROTOCOL,        /* not HTTP as agreed: contradicting lengths, status 999, ... */
    TRANSPORT_INTERNAL,        /* no memory; a bug */
};
#define TRANSPORT_ERROR_COUNT (TRANSPORT_INTERNAL + 1)

/* "timeout", "blocked_address", ...: for logs, evidence and tests. */
const char *transport_error_text(enum transport_error error);

struct transport_answer {
    enum transport_error error;
    bool reached_socket; /* false: certainly nothing of the request left this machine */
    bool is_http2;
    bool is_unframed;        /* body without length, ended by the connection: may be cut anywhere */
    int http_status;         /* 0: none was seen; may be set with an error, too */
    const char *retry_after; /* header texts: NULL when absent, cut at 255 bytes */
    const char *content_type;
    const char *request_id; /* the first of settings.request_id_headers that came */
    const char *body;       /* ends in a NUL that is not counted; never NULL */
    size_t body_length;
    struct time_now sent;     /* as told to on_sent; utc UTC_NONE when it never was */
    struct time_now answered; /* when the answer was complete or given up */
    const char *detail;       /* what went wrong, for people; "" when nothing did */
};

/* All pointers in the answer end with the callback. */
struct transport_handler {
    void (*on_sent)(void *user, struct time_now at);
    void (*on_answer)(void *user, const struct transport_answer *answer);
};

#define TRANSPORT_REQUEST_ID_NAMES_MAX 4

struct transport_settings {
    const char *base_url;  /* requests go to this origin... */
    const char *token_url; /* ...or to this one's; NULL: none other */
    bool insecure;         /* http:// beyond loopback */
    bool internal;         /* private addresses */
    const char *proxy;     /* NULL: none; the environment is never asked. With a proxy the proxy
                            * resolves, so the address filter does not apply */
    const char *ca_file;   /* PEM; NULL: the system's */
    int64_t connect_timeout_ms; /* 1.. */
    int64_t request_timeout_ms; /* 1.., connecting included */
    size_t body_bytes_max;      /* 0: 1 MiB */
    uint32_t concurrency_max;   /* 1..; so many connections are kept open */
    const char *user_agent;     /* NULL: none is sent */
    const char *request_id_headers[TRANSPORT_REQUEST_ID_NAMES_MAX]; /* unused ones NULL */
};

/* `settings` is copied. Faults: a base_url that is not http(s), http:// to a host that is neither a
 * literal loopback address nor localhost without `insecure`, an unreadable ca_file. */
enum result transport_client_create(struct transport *transport,
                                    const struct transport_settings *settings,
                                    const struct transport_handler *handler,
                                    struct transport_client **out, struct fault *fault) MUST_CHECK;
/* Closes all connections. Requests in flight are dropped without a callback. Not from inside a
 * callback. NULL is fine. */
void transport_client_destroy(struct transport_client *client);

#define TRANSPORT_HEADERS_MAX 32

struct transport_request {
    const char *method;         /* "GET", "POST", ... */
    const char *url;            /* whole; of base_url's or token_url's origin */
    const char *const *headers; /* "Name: value" each, at most TRANSPORT_HEADERS_MAX */
    size_t header_count;
    const char *body; /* NULL: none */
    size_t body_length;
    void *user; /* given back to the handler */
};

/* Copies all of it. Faults (nothing is sent then): a URL of a foreign origin or a senseless
 * one, control bytes in URL or headers, too many headers, no memory. More requests than
 * concurrency_max may be in flight; their connections are not kept. */
enum result transport_send(struct transport_client *client, const struct transport_request *request,
                           struct fault *fault) MUST_CHECK;

/* Drop every request in flight with this `user`, without a callback. What was sent stays sent. Not
 * from on_sent. Answers how many there were. */
uint32_t transport_cancel(struct transport_client *client, const void *user);

struct transport_counts {
    uint32_t in_flight;
    uint64_t requests;           /* sends accepted so far */
    uint64_t connections_opened; /* sockets opened so far */
    uint64_t repeats_refused;    /* silent repetitions refused, see Once */
};
struct transport_counts transport_client_counts(const struct transport_client *client);

#endif
