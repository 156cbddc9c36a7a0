/* SPDX-License-Identifier: MIT
 * rate_text.c - see rate_text.h. */
#include "daemon/rate_text.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "base/time_point.h"

const char *rate_text(int64_t interval_us, char text[RATE_TEXT_SIZE])
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {{"s", US_PER_SECOND}, {"min", 60 * US_PER_SECOND}, {"h", 3600 * US_PER_SECOND}};
    size_t unit = 0;
    int64_t tenths;

    if (interval_us <= 0)
        return NULL;
    while (unit < 2 && interval_us > units[unit].us)
        unit++;
    tenths = (units[unit].us * 10 + interval_us / 2) / interval_us;
    if (tenths >= 100 || tenths % 10 == 0)
        (void)snprintf(text, RATE_TEXT_SIZE, "%" PRId64 "/%s", (tenths + 5) / 10, units[unit].name);
    else
        (void)snprintf(text, RATE_TEXT_SIZE, "%" PRId64 ".%" PRId64 "/%s", tenths / 10, tenths % 10,
                       units[unit].name);
    return text;
}

const char *rates_text(const struct limit_settings *limits, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < limits->rate_count && used < size; i++) {
        char span[DURATION_TEXT_SIZE];
        const char *unit = duration_text(limits->rates[i].span_ms, span);

        if (unit[0] == '1' && (unit[1] < '0' || unit[1] > '9'))
            unit++;
        used += (size_t)snprintf(text + used, size - used, "%s%u/%s", i == 0 ? "" : " ",
                                 limits->rates[i].count, unit);
    }
    return text[0] == '\0' ? NULL : text;
}
