/* SPDX-License-Identifier: MIT
 * sandbox_rates.c - sliding windows counted exactly. */
#include "sandbox/sandbox_rates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/time_point.h"

/* The period of "N/period": "s", "min", "h", "day", or a duration such as "24h". */
static bool parse_period(const char *text, int64_t *ms)
{
    static const struct {
        const char *word;
        int64_t ms;
    } words[] = {
        {"s", MS_PER_SECOND},  {"min", MS_PER_MINUTE}, {"m", MS_PER_MINUTE}, {"h", MS_PER_HOUR},
        {"hour", MS_PER_HOUR}, {"day", MS_PER_DAY},    {"d", MS_PER_DAY},
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i].word) == 0) {
            *ms = words[i].ms;
            return true;
        }
    }
    return duration_parse(text, strlen(text), ms) && *ms > 0;
}

bool sandbox_rates_parse(const char *text, struct sandbox_rate *out)
{
    const char *slash = strchr(text, '/');
    int64_t count;
    int64_t period_ms;

    if (slash == NULL || strlen(text) >= sizeof out->text ||
        !integer_parse(text, (size_t)(slash - text), 1, UINT32_MAX, &count) ||
        !parse_period(slash + 1, &period_ms))
        return false;
    *out = (struct sandbox_rate){.count = (uint32_t)count, .period_us = period_ms * US_PER_MS};
    (void)snprintf(out->text, sizeof out->text, "%s", text);
    return true;
}

/* First index in [first, last) whose time is above `bound`. */
static size_t first_above(const struct sandbox_window *window, size_t last, int64_t bound)
{
    size_t low = window->first;

    while (low < last) {
        size_t middle = low + (last - low) / 2;

        if (window->times_us[middle] > bound)
            last = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool make_room(struct sandbox_window *window)
{
    if (window->last < window->capacity)
        return true;
    if (window->first > window->capacity / 2) {
        memmove(window->times_us, window->times_us + window->first,
                (window->last - window->first) * sizeof *window->times_us);
        window->last -= window->first;
        window->first = 0;
        return true;
    }
    size_t capacity = window->capacity == 0 ? 32 : window->capacity * 2;
    int64_t *times_us = realloc(window->times_us, capacity * sizeof *times_us);

    if (times_us == NULL)
        return false;
    window->times_us = times_us;
    window->capacity = capacity;
    return true;
}

int sandbox_window_arrive(struct sandbox_window *window, const struct sandbox_rates *rates,
                          int64_t at_us, int64_t tolerance_us)
{
    int64_t longest_us = 0;
    size_t place;
    int broken = -1;

    if (rates->count == 0 || !make_room(window))
        return -1;
    place = window->last++;
    while (place > window->first && window->times_us[place - 1] > at_us) {
        window->times_us[place] = window->times_us[place - 1];
        place--;
    }
    window->times_us[place] = at_us;
    for (size_t i = 0; i < rates->count; i++) {
        const struct sandbox_rate *rate = &rates->entries[i];

        if (rate->period_us > longest_us)
            longest_us = rate->period_us;
        /* Windows that end at this arrival or at a later one and still contain this one. */
        for (size_t end = place; end < window->last; end++) {
            int64_t end_us = window->times_us[end];
            int64_t tolerant_us = rate->period_us - tolerance_us;
            uint32_t exact;
            uint32_t tolerant;

            if (end_us - at_us >= rate->period_us)
                break;
            if (tolerant_us < 1)
                tolerant_us = 1;
            exact = (uint32_t)(end + 1 - first_above(window, end, end_us - rate->period_us));
            tolerant = (uint32_t)(end + 1 - first_above(window, end, end_us - tolerant_us));
            if (exact > window->peaks[i])
                window->peaks[i] = exact;
            if (tolerant > window->tolerant_peaks[i])
                window->tolerant_peaks[i] = tolerant;
            if (tolerant > rate->count && end_us - at_us < tolerant_us)
                broken = (int)i;
        }
    }
    /* Twice the longest period stays: an arrival may still come a little late. */
    window->first = first_above(window, window->last, at_us - 2 * longest_us);
    return broken;
}

void sandbox_window_reset(struct sandbox_window *window)
{
    free(window->times_us);
    *window = (struct sandbox_window){0};
}
