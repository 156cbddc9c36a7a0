/* SPDX-License-Identifier: MIT
 * config_hours.c - blackouts, windows, and the calendars that they name. */
#include <string.h>

#include "config/config_load.h"
#include "config/option_value.h"
#include "scheduler/open_hours.h"

/* How far ahead a schedule is looked at, and how many of its firings. */
#define LOOK_AHEAD_MS (INT64_C(5) * 366 * MS_PER_DAY)
#define FIRINGS_LOOKED_AT_MAX 5000

struct ranges {
    struct time_range *items;
    uint32_t count;
};

/* Will it ever begin, seen from `at`? */
static bool is_ahead(const struct time_range *range, struct utc_time at)
{
    return time_range_contains(range, at) || time_range_next_start(range, at).ms != UTC_NEVER.ms;
}

/* A date that is over stands there by oversight more often than not. */
static void warn_of_never(struct load *load, const struct time_range *range,
                          const struct yaml_node *item)
{
    struct utc_time before = {(range->start_s - 7 * INT64_C(86400)) * MS_PER_SECOND};

    if (range->kind == TIME_RANGE_DATES && !is_ahead(range, before))
        diagnostics_warning(load->diagnostics, item->place,
                            "\"%.200s\" never happens: no clock of %.80s shows such a time",
                            item->text, range->zone->name);
    else if (range->kind == TIME_RANGE_DATES && load->options->now.ms > 0 &&
             !is_ahead(range, load->options->now))
        diagnostics_warning(load->diagnostics, item->place,
                            "\"%.200s\" is over and has no effect any more", item->text);
}

/* Read one range; false: reported by the walk. */
static bool read_range(struct load *load, const struct yaml_node *item, struct time_range *out)
{
    struct time_range_zone zone;
    struct fault fault;
    size_t offset;

    if (item->kind != YAML_SCALAR ||
        time_range_parse(item->text, item->length, out, &zone, &offset, &fault) != RESULT_OK)
        return false;
    if (zone.length > 0) {
        const char *name = arena_copy_packed(load->arena, zone.name, zone.length);

        REQUIRE(name != NULL);
        out->zone = config_zone(load, name, item->place);
    }
    return true;
}

static size_t items_of(const struct yaml_node *list)
{
    return list != NULL && list->kind == YAML_SEQUENCE ? list->count : 0;
}

/* The list of the calendar that `item` names, or NULL: it is no such reference, or a wrong one. */
static const struct yaml_node *calendar_of(struct load *load, const struct yaml_node *item,
                                           bool reports)
{
    const struct yaml_node *name = item->kind == YAML_MAPPING ? yaml_get(item, "calendar") : NULL;
    const struct yaml_node *calendars = yaml_get(load->tree, "calendars");
    const struct yaml_node *list;

    if (name == NULL || name->kind != YAML_SCALAR)
        return NULL;
    list = calendars != NULL && calendars->kind == YAML_MAPPING ? yaml_get(calendars, name->text)
                                                                : NULL;
    if (list == NULL && reports)
        diagnostics_error(load->diagnostics, name->place,
                          "calendar \"%.80s\" does not exist; define it under \"calendars\"",
                          name->text);
    return list;
}

static const struct time_range *read_ranges(struct load *load, const struct yaml_node *list,
                                            uint32_t *count)
{
    struct ranges ranges = {0};
    size_t room = 0;

    for (size_t i = 0; i < items_of(list); i++)
        room += 1 + items_of(calendar_of(load, list->values[i], false));
    ranges.items = arena_alloc(load->arena, room * sizeof *ranges.items);
    REQUIRE(ranges.items != NULL);
    for (size_t i = 0; i < items_of(list); i++) {
        const struct yaml_node *item = list->values[i];
        const struct yaml_node *calendar = calendar_of(load, item, true);

        for (size_t j = 0; j < items_of(calendar); j++)
            ranges.count += read_range(load, calendar->values[j], &ranges.items[ranges.count]);
        if (item->kind == YAML_SCALAR && read_range(load, item, &ranges.items[ranges.count]))
            warn_of_never(load, &ranges.items[ranges.count++], item);
    }
    *count = ranges.count;
    return ranges.items;
}

void config_calendars_check(struct load *load)
{
    const struct yaml_node *calendars = yaml_get(load->tree, "calendars");

    for (size_t i = 0; calendars != NULL && calendars->kind == YAML_MAPPING && i < calendars->count;
         i++) {
        const struct yaml_node *list = calendars->values[i];

        for (size_t j = 0; j < items_of(list); j++) {
            struct time_range range;

            if (read_range(load, list->values[j], &range))
                warn_of_never(load, &range, list->values[j]);
        }
    }
}

void config_hours_make(struct load *load, const struct yaml_node *node,
                       const struct hours_settings *base, struct hours_settings *out)
{
    const struct yaml_node *list;

    *out = base == NULL ? (struct hours_settings){0} : *base;
    list = config_get_node(node, "schedules.*.blackout");
    if (list != NULL)
        out->blackouts = read_ranges(load, list, &out->blackout_count);
    list = config_get_node(node, "schedules.*.windows");
    if (list != NULL)
        out->windows = read_ranges(load, list, &out->window_count);
}

/* ---- a schedule that may never send ---- */

static struct open_hours hours_of(const struct hours_settings *settings)
{
    struct open_hours hours = {0};

    open_hours_set(&hours, settings);
    return hours;
}

/* The end of the time in which the run of `slot` may send. */
static struct utc_time last_moment(const struct schedule_settings *settings, struct utc_time slot)
{
    struct utc_time deadline = deadline_at(&settings->calendar, &settings->deadline, slot);

    return deadline.ms == UTC_NEVER.ms ? utc_add_ms(slot, LOOK_AHEAD_MS) : deadline;
}

void config_hours_check_schedule(struct load *load, const struct schedule_settings *settings,
                                 struct place place)
{
    struct open_hours hours = hours_of(&settings->hours);
    struct utc_time from = load->options->now;
    struct utc_time limit = utc_add_ms(from, LOOK_AHEAD_MS);

    if (from.ms <= 0 || (settings->hours.blackout_count == 0 && settings->hours.window_count == 0))
        return;
    for (int i = 0; i < FIRINGS_LOOKED_AT_MAX; i++) {
        struct calendar_firing firing = calendar_next(&settings->calendar, from);
        struct utc_time opens;
        int64_t length_ms;

        if (!firing.found)
            return; /* an error of its own */
        if (open_hours_closed(&hours, firing.at, &opens) == REASON_NONE)
            return;
        if (opens.ms < last_moment(settings, firing.at).ms)
            return;
        if (opens.ms >= limit.ms) {
            diagnostics_warning(load->diagnostics, place,
                                "schedules.%.64s never sends: its windows and blackouts leave no "
                                "time between any of its firings and their deadlines",
                                settings->name);
            return;
        }
        length_ms = last_moment(settings, firing.at).ms - firing.at.ms;
        /* No run that fires sooner lasts until it opens; a day for deadlines that differ. */
        from = firing.at;
        if (opens.ms - length_ms - MS_PER_DAY > from.ms)
            from.ms = opens.ms - length_ms - MS_PER_DAY;
    }
}
