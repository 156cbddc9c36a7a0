/* SPDX-License-Identifier: MIT
 *
 * control_socket.h - the local control socket: where commands reach the process that holds the
 * lock.
 *
 * Layer:    daemon. Speaks lines of text; what the JSON in them means is the handler's business.
 * Protocol: the client sends one JSON object on one line, at most 64 KiB, and reads lines until
 *           the last one, which begins with {"ok": and is either
 *             {"ok":true}
 *             {"ok":false,"exit":75,"error":"a sentence for a person"}
 *           Further requests may follow on the same connection, one after the other.
 * Rights:   the file's mode (0660) and folder decide who gets in; the peer's user is told to the
 *           handler, for the audit.
 * Limits:   64 clients; 10 s to send a line once begun; 1 hour idle; 64 MiB of unread answer.
 * Lock:     only the lock's holder may create it: a socket file found there is then stale.
 */
#ifndef REFRESHD_DAEMON_CONTROL_SOCKET_H
#define REFRESHD_DAEMON_CONTROL_SOCKET_H

#include <stddef.h>
#include <sys/types.h>

#include "base/result.h"
#include "daemon/event_loop.h"

struct control_socket;
struct control_exchange; /* one request and its answer */

struct control_peer {
    uid_t uid;
    gid_t gid;
    pid_t pid;
};

struct control_handler {
    void *context;
    /* A request line, without its newline, NUL-ended, valid during the call. Call
     * control_end on the exchange, inside this call or later. */
    void (*on_request)(void *context, struct control_exchange *exchange,
                       const struct control_peer *peer, const char *line, size_t length);
};

/* Listen on `path` (the state database's path and ".sock"). Requires that the caller holds the
 * lock.
 */
enum result control_socket_create(struct event_loop *loop, const char *path,
                                  const struct control_handler *handler,
                                  struct control_socket **out, struct fault *fault) MUST_CHECK;
/* Closes everything and removes the file. Exchanges without an end must not be touched any more.
 * NULL is fine. */
void control_socket_destroy(struct control_socket *control);

/* Send one line before the end: a JSON value without newlines that does not begin with {"ok":. It
 * is fine when the client has left. */
void control_line(struct control_exchange *exchange, const char *json, size_t length);
/* End with success, or with a fault's exit status and text. The exchange is gone afterwards. */
void control_end(struct control_exchange *exchange);
void control_end_fault(struct control_exchange *exchange, const struct fault *fault);

#endif
