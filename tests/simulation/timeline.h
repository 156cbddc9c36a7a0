/* SPDX-License-Identifier: MIT
 *
 * timeline.h - what happens when, in truth: a heap of moments, first come first served.
 *
 * Layer: tests (simulation).
 */
#ifndef REFRESHD_TESTS_SIMULATION_TIMELINE_H
#define REFRESHD_TESTS_SIMULATION_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum moment_kind {
    MOMENT_TURN,     /* the daemon's loop runs */
    MOMENT_HANDOVER, /* a request is handed to the socket */
    MOMENT_ARRIVAL,  /* it arrives at the provider */
    MOMENT_ANSWER,   /* its answer, or the end of the wait for one, is here */
    MOMENT_WEBHOOK,  /* somebody calls us about a task */
    MOMENT_ACCIDENT, /* a person or misfortune does something */
    MOMENT_START,    /* the daemon starts */
    MOMENT_WEATHER,  /* a provider changes its mood */
    MOMENT_LOOK,     /* a full check of everything */
    MOMENT_KIND_COUNT
};

struct moment {
    int64_t true_us;
    uint64_t order;
    enum moment_kind kind;
    uint32_t subject;
    uint32_t life; /* of the daemon; a moment of an earlier life may mean nothing any more */
};

struct timeline {
    struct moment *moments;
    size_t count;
    size_t capacity;
    uint64_t order;
};

void timeline_deinit(struct timeline *timeline);
void timeline_add(struct timeline *timeline, int64_t true_us, enum moment_kind kind,
                  uint32_t subject, uint32_t life);
/* True instant of the first moment; INT64_MAX: none. */
int64_t timeline_first_us(const struct timeline *timeline);
struct moment timeline_take(struct timeline *timeline);

#endif
