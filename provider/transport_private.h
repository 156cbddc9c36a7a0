/* SPDX-License-Identifier: MIT
 *
 * transport_private.h - what the transport's own files share. Nobody else includes it.
 *
 * Life of a call: idle (in its shard's list, easy handle and buffers kept) -> active (handed to
 *                 libcurl) -> finished (the answer is told, secrets wiped) -> idle.
 */
#ifndef REFRESHD_PROVIDER_TRANSPORT_PRIVATE_H
#define REFRESHD_PROVIDER_TRANSPORT_PRIVATE_H

#include <curl/curl.h>

#include "provider/transport.h"

/* Beyond this many connections libcurl's own cost per request grows (measured). */
#define SHARD_CONNECTIONS_MAX 64U
/* Connections that a shard keeps beyond that: token calls, a burst at its edge. */
#define SHARD_CONNECTIONS_SPARE 8U

#define HEADER_BYTES_MAX 65536U
#define HEADER_LINES_MAX 200U
#define HEADER_TEXT_SIZE 256
#define BODY_BYTES_DEFAULT (1024U * 1024U)
/* A request finds a pooled connection unusable so often before it gives up. */
#define STALE_RETRIES_MAX 3U
/* Buffers larger than this are given back after use. */
#define BUFFER_KEPT_MAX 65536U

struct transport {
    struct transport_hooks hooks;
    uint32_t client_count;
};

/* An address that a configured URL names literally. */
struct named_address {
    struct sockaddr_storage address;
    bool is_set;
    bool is_localhost; /* the name localhost: every loopback address */
};

#define ORIGINS_MAX 2

struct origin {
    char *text; /* scheme://host[:port], as configured; NULL: unused */
    size_t length;
    bool is_secure;
    struct named_address named;
};

struct transport_client {
    struct transport *transport;
    struct transport_handler handler;
    struct origin origins[ORIGINS_MAX];
    bool is_internal;
    char *proxy;
    char *ca_file;
    char *user_agent;
    char *request_id_headers[TRANSPORT_REQUEST_ID_NAMES_MAX];
    int64_t connect_timeout_ms;
    int64_t request_timeout_ms;
    size_t body_bytes_max;
    CURLSH *share; /* names and TLS sessions, for all shards */
    struct transport_shard **shards;
    uint32_t shard_count;
    struct transport_counts counts;
    bool has_tls_http1; /* answers over TLS came as HTTP/1... */
    bool has_http2;     /* ...or as HTTP/2 */
};

/* What the headers of an answer said so far; begins anew with each status line. */
struct answer_head {
    int status;
    int version_major;
    bool is_open;  /* between a status line and the empty line */
    bool is_final; /* the empty line after a status of 200 or more was seen */
    bool has_length;
    bool has_transfer_encoding;
    uint64_t content_length;
    char retry_after[HEADER_TEXT_SIZE];
    char content_type[HEADER_TEXT_SIZE];
    char request_id[HEADER_TEXT_SIZE];
    int request_id_rank; /* index of the name that gave request_id; larger ones do not replace */
};

struct transport_call {
    struct transport_call *next;
    struct transport_call *previous;
    struct transport_shard *shard;
    CURL *easy;
    CURLU *url;                      /* parsed once an origin, not once a request */
    const struct origin *url_origin; /* whose `url` is, but for path and query; NULL: of no other
                                      * request */
    void *user;

    char *storage; /* URL, header lines and body of the request, one after the other */
    size_t storage_size;
    size_t storage_used;
    struct curl_slist header_nodes[TRANSPORT_HEADERS_MAX + 1]; /* + "Expect:" */
    bool has_custom_method; /* CURLOPT_CUSTOMREQUEST is set on the handle */
    bool is_head;

    bool is_finished; /* its callback runs: too late to cancel */
    bool is_sent;
    bool is_address_blocked;
    bool is_repeat_refused;
    bool is_secure;         /* https */
    bool has_opened_socket; /* its connection is new, not one from the pool */
    bool is_stale;          /* given up before the first byte: the pool's connection was no good */
    bool wants_fresh;       /* CURLOPT_FRESH_CONNECT is set on the handle */
    uint32_t stale_count;
    struct time_now sent;

    struct answer_head head;
    uint32_t header_bytes; /* of all blocks, interim answers and trailers included */
    uint32_t header_lines;
    char *body;
    size_t body_length;
    size_t body_capacity;
    enum transport_error verdict; /* what our own callbacks found; TRANSPORT_OK: nothing */
    const char *verdict_text;
    char error_text[CURL_ERROR_SIZE];
};

/* A socket of the shard that libcurl has not closed. */
struct socket_note {
    int fd;
    uint64_t key;      /* hash of its four ends; 0: no request has gone over it yet */
    unsigned interest; /* that libcurl told last */
    void *watch;       /* the loop's, while libcurl does not want it: see transport_socket_rest */
};

struct transport_shard {
    struct transport_client *client;
    CURLM *multi;
    void *timer;
    struct transport_call *active;
    struct transport_call *idle;
    uint32_t in_flight;
    struct socket_note *sockets;
    uint32_t socket_count;
    uint32_t socket_capacity;
};

/* ---- transport_shard.c ---- */

/* NULL when memory is out. */
struct transport_shard *transport_shard_create(struct transport_client *client);
/* Drops what is in flight without a callback. NULL is fine. */
void transport_shard_destroy(struct transport_shard *shard);
/* Take a call back from libcurl, wipe it and put it among the idle ones. */
void transport_call_release(struct transport_call *call);
/* An idle call, made when there is none; NULL when memory is out. */
struct transport_call *transport_call_take(struct transport_shard *shard);

/* ---- transport.c ---- */

/* Forget what an earlier sending left in the call. */
void transport_call_reset(struct transport_call *call);

/* ---- transport_handle.c ---- */

/* A libcurl handle with every option that does not change between requests. NULL when memory is out
 * or libcurl refuses an option. */
CURL *transport_handle_create(struct transport_call *call);

/* ---- transport_sockets.c ---- */

/* A connection's ends, as libcurl tells them. */
struct socket_ends {
    const char *remote;
    const char *local;
    int remote_port;
    int local_port;
};

void transport_socket_opened(struct transport_shard *shard, int fd);
void transport_socket_closed(struct transport_shard *shard, int fd);
/* What libcurl wants to know of `fd`: TRANSPORT_READ | TRANSPORT_WRITE. */
void transport_socket_interest(struct transport_shard *shard, int fd, unsigned interest);
/* libcurl wants `watch` no more; most often until the next request on this connection. So it is
 * kept, and taking it up again costs nothing. False: it has to go, because it waits for more than
 * reading, or the socket is none whose end we see. */
bool transport_socket_rest(struct transport_shard *shard, int fd, void *watch);
/* The watch that rests on `fd`, not resting any more; NULL: none. */
void *transport_socket_wake(struct transport_shard *shard, int fd);
/* The first request on a new connection: from now on its ends name its descriptor. */
void transport_socket_name(struct transport_shard *shard, const struct socket_ends *ends);
/* Has something arrived, the end included, on a pooled HTTP/1 connection? Then it is read away, the
 * connection is shut down and must not be used: the bytes would be taken for the answer to the next
 * request (libcurl 7.88 looks only for the end). */
bool transport_socket_is_stale(struct transport_shard *shard, const struct socket_ends *ends);

/* ---- transport_answer.c ---- */

/* libcurl's callbacks for headers and body; `user` is the call. */
size_t transport_on_header(char *bytes, size_t size, size_t count, void *user);
size_t transport_on_body(char *bytes, size_t size, size_t count, void *user);
/* Judge a finished call and fill `answer` with pointers into it. */
void transport_answer_fill(struct transport_call *call, CURLcode code,
                           struct transport_answer *answer);

#endif
