/* SPDX-License-Identifier: MIT
 *
 * event_loop.h - the loop: wait, dispatch, then one turn.
 *
 * Layer:   daemon (libevent).
 * Shape:   callbacks of sockets, timers and signals only note what happened; the turn decides,
 *          once per dispatch, with one reading of the clocks. Whatever arrived in one dispatch is
 *          therefore one group: one step of the core, one commit.
 * Signals: SIGPIPE and SIGXFSZ are ignored for the whole process, so that a lost peer or a file
 *          size limit is an error where it happens. Those named in the settings become events.
 * Thread:  the loop's own, but for event_loop_wakeup_fire, which any thread may call.
 */
#ifndef REFRESHD_DAEMON_EVENT_LOOP_H
#define REFRESHD_DAEMON_EVENT_LOOP_H

#include <event2/event.h>

#include "base/result.h"
#include "base/time_point.h"
#include "provider/transport.h"

struct event_loop;

struct event_loop_handler {
    void *context;
    void (*on_turn)(void *context, struct time_now now);
    void (*on_signal)(void *context, int number);
    void (*on_clock_step)(void *context); /* the wall clock was set; a turn follows */
};

#define EVENT_LOOP_SIGNALS_MAX 8

struct event_loop_settings {
    int signals[EVENT_LOOP_SIGNALS_MAX]; /* unused ones 0 */
    int64_t busy_interval_us; /* while turns follow each other faster than this, the loop sleeps
                               * between them, so that groups are large; 0: never. A single event
                               * after a quiet time is never delayed */
};

enum result event_loop_create(const struct event_loop_settings *settings,
                              const struct event_loop_handler *handler, struct event_loop **out,
                              struct fault *fault) MUST_CHECK;
/* After everything bound to it (clients of the transport, listeners) is gone. NULL is fine. */
void event_loop_destroy(struct event_loop *loop);

/* For other files of daemon/ that watch descriptors of their own. */
struct event_base *event_loop_base(struct event_loop *loop);

/* Run until event_loop_leave; a turn comes first. Faults: libevent cannot wait any more. */
enum result event_loop_run(struct event_loop *loop, struct fault *fault) MUST_CHECK;
/* End event_loop_run after the current turn or, from a callback, after the turn that follows. */
void event_loop_leave(struct event_loop *loop);

/* Turn again at this time at the latest; MONO_NEVER: when something happens. Stays until the time
 * has come or it is set anew. */
void event_loop_set_wake(struct event_loop *loop, struct mono_time wake);

/* Binds the transport's sockets and timers to this loop. */
struct transport_hooks event_loop_transport_hooks(struct event_loop *loop);

/* ---- waking the loop from another thread ---- */

struct event_loop_wakeup;

/* `on_wakeup` runs on the loop, once for any number of fires before it. */
enum result event_loop_wakeup_create(struct event_loop *loop, void (*on_wakeup)(void *context),
                                     void *context, struct event_loop_wakeup **out,
                                     struct fault *fault) MUST_CHECK;
/* No other thread may fire it any more. NULL is fine. */
void event_loop_wakeup_destroy(struct event_loop_wakeup *wakeup);
void event_loop_wakeup_fire(struct event_loop_wakeup *wakeup);

#endif
