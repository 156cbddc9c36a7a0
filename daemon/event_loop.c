/* SPDX-License-Identifier: MIT
 * event_loop.c - libevent, one timer, the turn; sockets and timers for the transport. */
#include "daemon/event_loop.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/clock.h"

/* A socket that the transport watches. */
struct socket_watch {
    struct event event;
    struct transport_shard *shard;
    struct socket_watch *next_free;
};

struct event_loop {
    struct event_base *base;
    struct event_loop_handler handler;
    struct event *signals[EVENT_LOOP_SIGNALS_MAX];
    struct event *wake_timer;
    struct mono_time wake_armed; /* what wake_timer is set for; MONO_NEVER: not set */
    struct event *clock_event;
    int clock_fd;
    int64_t busy_interval_us;
    bool is_leaving;
    bool is_busy; /* the last wait was shorter than busy_interval_us */
    struct socket_watch *free_watches;
};

/* ---- sockets and timers for the transport ---- */

static void on_socket_ready(evutil_socket_t fd, short what, void *context)
{
    struct socket_watch *watch = context;
    unsigned ready = 0;

    ready |= (what & EV_READ) != 0 ? TRANSPORT_READ : 0;
    ready |= (what & EV_WRITE) != 0 ? TRANSPORT_WRITE : 0;
    transport_socket_ready(watch->shard, fd, ready); /* may forget the watch */
}

static void *socket_watch(void *context, void *given, struct transport_shard *shard, int fd,
                          unsigned interest)
{
    struct event_loop *loop = context;
    struct socket_watch *watch = given;
    short what = EV_PERSIST;

    what |= (interest & TRANSPORT_READ) != 0 ? EV_READ : 0;
    what |= (interest & TRANSPORT_WRITE) != 0 ? EV_WRITE : 0;
    if (watch != NULL) {
        event_del(&watch->event);
    } else if (loop->free_watches != NULL) {
        watch = loop->free_watches;
        loop->free_watches = watch->next_free;
    } else {
        watch = malloc(sizeof *watch);
    }
    if (watch == NULL) {
        return NULL;
    }
    watch->shard = shard;
    if (event_assign(&watch->event, loop->base, fd, what, on_socket_ready, watch) != 0 ||
        event_add(&watch->event, NULL) != 0) {
        watch->next_free = loop->free_watches;
        loop->free_watches = watch;
        return NULL;
    }
    return watch;
}

static void socket_forget(void *context, void *given)
{
    struct event_loop *loop = context;
    struct socket_watch *watch = given;

    event_del(&watch->event);
    watch->next_free = loop->free_watches;
    loop->free_watches = watch;
}

static void on_shard_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    transport_timer_expired(context);
}

static void *timer_create_hook(void *context, struct transport_shard *shard)
{
    struct event_loop *loop = context;

    return evtimer_new(loop->base, on_shard_timer, shard);
}

static void timer_set(void *context, void *timer, int64_t delay_ms)
{
    struct timeval delay;

    (void)context;
    if (delay_ms < 0) {
        event_del(timer);
    } else if (delay_ms == 0) {
        /* "As soon as you are back in the loop": no clock, no heap. */
        event_active(timer, EV_TIMEOUT, 1);
    } else {
        delay.tv_sec = (time_t)(delay_ms / MS_PER_SECOND);
        delay.tv_usec = (suseconds_t)(delay_ms % MS_PER_SECOND) * 1000;
        evtimer_add(timer, &delay);
    }
}

static void timer_destroy(void *context, void *timer)
{
    (void)context;
    event_free(timer);
}

static struct time_now now_hook(void *context)
{
    (void)context;
    return clock_now();
}

struct transport_hooks event_loop_transport_hooks(struct event_loop *loop)
{
    return (struct transport_hooks){
        .context = loop,
        .socket_watch = socket_watch,
        .socket_forget = socket_forget,
        .timer_create = timer_create_hook,
        .timer_set = timer_set,
        .timer_destroy = timer_destroy,
        .now = now_hook,
    };
}

/* ---- the loop's own events ---- */

static void on_wake_timer(evutil_socket_t fd, short what, void *context)
{
    struct event_loop *loop = context;

    (void)fd;
    (void)what;
    loop->wake_armed = MONO_NEVER; /* the turn that follows is what it was for */
}

static void on_signal_event(evutil_socket_t number, short what, void *context)
{
    struct event_loop *loop = context;

    (void)what;
    loop->handler.on_signal(loop->handler.context, number);
}

static void on_clock_event(evutil_socket_t fd, short what, void *context)
{
    struct event_loop *loop = context;

    (void)what;
    if (clock_watch_read(fd)) {
        loop->handler.on_clock_step(loop->handler.context);
    }
}

static enum result create_signals(struct event_loop *loop, const int *numbers, struct fault *fault)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < EVENT_LOOP_SIGNALS_MAX; i++) {
        if (numbers[i] == 0) {
            continue;
        }
        loop->signals[i] = evsignal_new(loop->base, numbers[i], on_signal_event, loop);
        if (loop->signals[i] == NULL || event_add(loop->signals[i], NULL) != 0) {
            return fault_set(fault, FAULT_INTERNAL, "signal %d cannot be watched", numbers[i]);
        }
    }
    return RESULT_OK;
}

static enum result create_clock_watch(struct event_loop *loop, struct fault *fault)
{
    if (clock_watch_open(&loop->clock_fd, fault) != RESULT_OK) {
        return RESULT_FAULT;
    }
    loop->clock_event =
        event_new(loop->base, loop->clock_fd, EV_READ | EV_PERSIST, on_clock_event, loop);
    if (loop->clock_event == NULL || event_add(loop->clock_event, NULL) != 0) {
        return fault_set(fault, FAULT_INTERNAL, "the clock cannot be watched");
    }
    return RESULT_OK;
}

/* Changes of interest are batched: keep-alive connections come and go with every request. Without
 * the precise timer libevent rounds to the kernel's tick, up to 4 ms. */
static struct event_base *create_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;
    int flags = EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_PRECISE_TIMER |
                EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV;

    if (config != NULL && event_config_set_flag(config, flags) == 0) {
        base = event_base_new_with_config(config);
    }
    if (config != NULL) {
        event_config_free(config);
    }
    return base;
}

enum result event_loop_create(const struct event_loop_settings *settings,
                              const struct event_loop_handler *handler, struct event_loop **out,
                              struct fault *fault)
{
    struct event_loop *loop = calloc(1, sizeof *loop);
    enum result result;

    if (loop == NULL) {
        return fault_set(fault, FAULT_INTERNAL, "no memory for the event loop");
    }
    loop->handler = *handler;
    loop->busy_interval_us = settings->busy_interval_us;
    loop->wake_armed = MONO_NEVER;
    loop->clock_fd = -1;
    loop->base = create_base();
    loop->wake_timer = loop->base != NULL ? evtimer_new(loop->base, on_wake_timer, loop) : NULL;
    if (loop->wake_timer == NULL) {
        result = fault_set(fault, FAULT_INTERNAL, "the event loop cannot be made");
    } else {
        result = create_signals(loop, settings->signals, fault);
    }
    if (result == RESULT_OK) {
        result = create_clock_watch(loop, fault);
    }
    if (result != RESULT_OK) {
        event_loop_destroy(loop);
        return result;
    }
    *out = loop;
    return RESULT_OK;
}

void event_loop_destroy(struct event_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    for (int i = 0; i < EVENT_LOOP_SIGNALS_MAX; i++) {
        if (loop->signals[i] != NULL) {
            event_free(loop->signals[i]);
        }
    }
    if (loop->clock_event != NULL) {
        event_free(loop->clock_event);
    }
    if (loop->clock_fd >= 0) {
        close(loop->clock_fd);
    }
    if (loop->wake_timer != NULL) {
        event_free(loop->wake_timer);
    }
    while (loop->free_watches != NULL) {
        struct socket_watch *watch = loop->free_watches;

        loop->free_watches = watch->next_free;
        free(watch);
    }
    if (loop->base != NULL) {
        event_base_free(loop->base);
    }
    free(loop);
}

struct event_base *event_loop_base(struct event_loop *loop)
{
    return loop->base;
}

void event_loop_leave(struct event_loop *loop)
{
    loop->is_leaving = true;
}

void event_loop_set_wake(struct event_loop *loop, struct mono_time wake)
{
    struct timeval delay;
    int64_t delay_us;

    if (wake.us == loop->wake_armed.us) {
        return;
    }
    loop->wake_armed = wake;
    if (wake.us == MONO_NEVER.us) {
        event_del(loop->wake_timer);
        return;
    }
    delay_us = wake.us - clock_now().mono.us;
    if (delay_us < 0) {
        delay_us = 0;
    }
    delay.tv_sec = (time_t)(delay_us / US_PER_SECOND);
    delay.tv_usec = (suseconds_t)(delay_us % US_PER_SECOND);
    evtimer_add(loop->wake_timer, &delay);
}

/* Between busy turns: let the next group gather, but never past the wake time. */
static void rest(struct event_loop *loop, struct time_now turn_began)
{
    int64_t until_us = turn_began.mono.us + loop->busy_interval_us;

    if (until_us > loop->wake_armed.us) {
        until_us = loop->wake_armed.us;
    }
    clock_sleep_us(until_us - clock_now().mono.us);
}

enum result event_loop_run(struct event_loop *loop, struct fault *fault)
{
    struct time_now now = clock_now();

    loop->is_leaving = false;
    for (;;) {
        struct time_now turn_began = now;

        loop->handler.on_turn(loop->handler.context, now);
        if (loop->is_leaving) {
            return RESULT_OK;
        }
        if (loop->is_busy) {
            rest(loop, turn_began);
        }
        if (event_base_loop(loop->base, EVLOOP_ONCE) < 0) {
            return fault_set(fault, FAULT_INTERNAL, "the event loop failed: %s", strerror(errno));
        }
        now = clock_now();
        /* Twice the interval, for a rest makes every wait at least one long. */
        loop->is_busy = now.mono.us - turn_began.mono.us < 2 * loop->busy_interval_us;
    }
}

/* ---- waking from another thread ---- */

struct event_loop_wakeup {
    int fd;
    struct event *event;
    void (*on_wakeup)(void *context);
    void *context;
};

static void on_wakeup_event(evutil_socket_t fd, short what, void *context)
{
    struct event_loop_wakeup *wakeup = context;
    uint64_t fires;

    (void)what;
    if (read(fd, &fires, sizeof fires) == (ssize_t)sizeof fires) {
        wakeup->on_wakeup(wakeup->context);
    }
}

enum result event_loop_wakeup_create(struct event_loop *loop, void (*on_wakeup)(void *context),
                                     void *context, struct event_loop_wakeup **out,
                                     struct fault *fault)
{
    struct event_loop_wakeup *wakeup = calloc(1, sizeof *wakeup);

    if (wakeup == NULL) {
        return fault_set(fault, FAULT_INTERNAL, "no memory for the event loop");
    }
    wakeup->on_wakeup = on_wakeup;
    wakeup->context = context;
    wakeup->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wakeup->fd >= 0) {
        wakeup->event =
            event_new(loop->base, wakeup->fd, EV_READ | EV_PERSIST, on_wakeup_event, wakeup);
    }
    if (wakeup->event == NULL || event_add(wakeup->event, NULL) != 0) {
        event_loop_wakeup_destroy(wakeup);
        return fault_set(fault, FAULT_INTERNAL, "the event loop cannot be woken by threads");
    }
    *out = wakeup;
    return RESULT_OK;
}

void event_loop_wakeup_destroy(struct event_loop_wakeup *wakeup)
{
    if (wakeup == NULL) {
        return;
    }
    if (wakeup->event != NULL) {
        event_free(wakeup->event);
    }
    if (wakeup->fd >= 0) {
        close(wakeup->fd);
    }
    free(wakeup);
}

void event_loop_wakeup_fire(struct event_loop_wakeup *wakeup)
{
    uint64_t one = 1;

    /* It can only fail when it is already full, and then the loop is woken anyway. */
    if (write(wakeup->fd, &one, sizeof one) < 0) {
        return;
    }
}
