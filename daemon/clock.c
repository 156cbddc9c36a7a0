/* SPDX-License-Identifier: MIT
 * clock.c - clock_gettime, and timerfd's notice of a stepped wall clock. */
#include "daemon/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* The kernel tells of a step only through a timer that runs; it need never expire to do so. */
#define WATCH_AHEAD_S 90000

struct time_now clock_now(void)
{
    struct timespec wall;
    struct timespec steady;
    struct time_now now;

    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_MONOTONIC, &steady);
    now.utc.ms = (int64_t)wall.tv_sec * MS_PER_SECOND + wall.tv_nsec / 1000000;
    now.mono.us = (int64_t)steady.tv_sec * US_PER_SECOND + steady.tv_nsec / 1000;
    return now;
}

int64_t clock_suspended_us(void)
{
    struct timespec boot;
    struct timespec steady;

    clock_gettime(CLOCK_MONOTONIC, &steady);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return ((int64_t)boot.tv_sec - steady.tv_sec) * US_PER_SECOND +
           (boot.tv_nsec - steady.tv_nsec) / 1000;
}

void clock_sleep_us(int64_t duration_us)
{
    struct timespec duration;

    if (duration_us < 1) {
        return;
    }
    duration.tv_sec = (time_t)(duration_us / US_PER_SECOND);
    duration.tv_nsec = (long)(duration_us % US_PER_SECOND) * 1000;
    nanosleep(&duration, NULL);
}

static bool arm(int fd)
{
    struct itimerspec timer = {0};

    timer.it_value.tv_sec = (time_t)(clock_now().utc.ms / MS_PER_SECOND) + WATCH_AHEAD_S;
    return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &timer, NULL) == 0;
}

enum result clock_watch_open(int *fd, struct fault *fault)
{
    int opened = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

    if (opened < 0 || !arm(opened)) {
        int error = errno;

        if (opened >= 0) {
            close(opened);
        }
        return fault_set(fault, FAULT_INTERNAL, "the clock cannot be watched: %s", strerror(error));
    }
    *fd = opened;
    return RESULT_OK;
}

bool clock_watch_read(int fd)
{
    uint64_t expirations;
    bool was_set = read(fd, &expirations, sizeof expirations) < 0 && errno == ECANCELED;

    /* Should arming fail, steps go unnoticed until the next time; the core copes with them. */
    (void)arm(fd);
    return was_set;
}
