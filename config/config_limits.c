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

static const struct daily_window *read_windows(struct load *load, const struct yaml_node *list,
                                               uint32_t *count)
{
    struct daily_window *windows = arena_alloc(load->arena, list->count * sizeof *windows);

    REQUIRE(windows != NULL);
    *count = 0;
    for (size_t i = 0; list->kind == YAML_SEQUENCE && i < list->count; i++) {
        const struct yaml_node *item = list->values[i];
        struct daily_window *window = &windows[*count];
        struct daily_window_zone zone;
        struct fault fault;
        size_t offset;

        if (item->kind != YAML_SCALAR || daily_window_parse(item->text, item->length, window, &zone,
                                                            &offset, &fault) != RESULT_OK)
            continue;
        if (zone.length > 0) {
            const char *name = arena_copy_packed(load->arena, zone.name, zone.length);

            REQUIRE(name != NULL);
            window->zone = config_zone(load, name, item->place);
        }
        (*count)++;
    }
    return windows;
}

void config_limits_make(struct load *load, const struct yaml_node *node,
                        const struct limit_settings *base, struct limit_settings *out)
{
    const struct yaml_node *list;

    *out = base == NULL ? (struct limit_settings){0} : *base;
    list = config_get_node(node, "providers.*.limits.rate");
    if (list != NULL)
        read_rates(list, out);
    out->requests_in_flight_max = (uint32_t)config_get_number(
        node, "providers.*.limits.requests_in_flight", out->requests_in_flight_max);
    out->jobs_running_max =
        (uint32_t)config_get_number(node, "providers.*.limits.jobs_running", out->jobs_running_max);
    list = config_get_node(node, "providers.*.limits.blackout");
    if (list != NULL)
        out->blackouts = read_windows(load, list, &out->blackout_count);
    list = config_get_node(node, "providers.*.limits.windows");
    if (list != NULL)
        out->windows = read_windows(load, list, &out->window_count);
}
