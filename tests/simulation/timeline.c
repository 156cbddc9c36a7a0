/* SPDX-License-Identifier: MIT
 * timeline.c - see timeline.h. */
#include "tests/simulation/timeline.h"

#include <stdlib.h>

#include "base/result.h"

void timeline_deinit(struct timeline *timeline)
{
    free(timeline->moments);
    *timeline = (struct timeline){0};
}

static bool is_before(const struct moment *a, const struct moment *b)
{
    return a->true_us < b->true_us || (a->true_us == b->true_us && a->order < b->order);
}

void timeline_add(struct timeline *timeline, int64_t true_us, enum moment_kind kind,
                  uint32_t subject, uint32_t life)
{
    struct moment moment = {true_us, timeline->order++, kind, subject, life};
    size_t place = timeline->count++;

    if (timeline->count > timeline->capacity) {
        timeline->capacity = 2 * timeline->capacity + 64;
        timeline->moments =
            realloc(timeline->moments, timeline->capacity * sizeof *timeline->moments);
        REQUIRE(timeline->moments != NULL);
    }
    while (place > 0 && is_before(&moment, &timeline->moments[(place - 1) / 2])) {
        timeline->moments[place] = timeline->moments[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    timeline->moments[place] = moment;
}

int64_t timeline_first_us(const struct timeline *timeline)
{
    return timeline->count == 0 ? INT64_MAX : timeline->moments[0].true_us;
}

struct moment timeline_take(struct timeline *timeline)
{
    struct moment first;
    struct moment last;
    size_t place = 0;

    REQUIRE(timeline->count > 0);
    first = timeline->moments[0];
    last = timeline->moments[--timeline->count];
    for (;;) {
        size_t child = 2 * place + 1;

        if (child >= timeline->count)
            break;
        if (child + 1 < timeline->count &&
            is_before(&timeline->moments[child + 1], &timeline->moments[child]))
            child++;
        if (!is_before(&timeline->moments[child], &last))
            break;
        timeline->moments[place] = timeline->moments[child];
        place = child;
    }
    timeline->moments[place] = last;
    return first;
}
