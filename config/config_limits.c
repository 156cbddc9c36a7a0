/* SPDX-License-Identifier: MIT
 * config_limits.c - the limits of one node: rates, counts, times of day. */
#include <string.h>

#include "config/config_load.h"
#include "config/option_value.h"

static void read_rates(const struct yaml_node *list, struct limit_settings *out)
{
    const struct config_option *option = option_find("providers.*.limits.rate[]");

    out->rate_count = 0;
    for (size_t i = 0; list->kind == YAML_SEQUENCE && i < list->count; i++) {
        const struct yaml_node *item = list->values[i];
        struct option_value value;

        if (out->rate_count < RATES_MAX && item->kind == YAML_SCALAR &&
            option_value_parse(option, item->text, item->length, &value, NULL, NULL))
            out->rates[out->rate_count++] = value.rate;
    }
}

static void read_pace(const struct yaml_node *pace, struct pace_settings *out)
{
    const struct config_option *option = option_find("providers.*.limits.pace.floor");
    const char *text = config_get_text(pace, "providers.*.limits.pace.floor");

    out->learns = config_get_number(pace, "providers.*.limits.pace.learn", out->learns) != 0;
    if (text != NULL) {
        struct rate rate = option_value_of(option, text).rate;
        int64_t interval_us = rate.span_ms * US_PER_MS / rate.count;

        out->floor_interval_us = interval_us > 0 ? interval_us : 1;
    }
}

void config_limits_make(struct load *load, const struct yaml_node *node,
                        const struct limit_settings *base, struct limit_settings *out)
{
    const struct yaml_node *list;

    *out = base == NULL
               ? (struct limit_settings){.pace = {.learns = true,
                                                  .floor_interval_us = PACE_FLOOR_DEFAULT_US}}
               : *base;
    list = config_get_node(node, "providers.*.limits.rate");
    if (list != NULL)
        read_rates(list, out);
    out->requests_in_flight_max = (uint32_t)config_get_number(
        node, "providers.*.limits.requests_in_flight", out->requests_in_flight_max);
    out->jobs_running_max =
        (uint32_t)config_get_number(node, "providers.*.limits.jobs_running", out->jobs_running_max);
    config_hours_make(load, node, base == NULL ? NULL : &base->hours, &out->hours);
    read_pace(config_get_node(node, "providers.*.limits.pace"), &out->pace);
}
