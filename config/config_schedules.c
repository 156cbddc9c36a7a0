/* SPDX-License-Identifier: MIT
 * config_schedules.c - `schedules:` to settings for the core. */
#include <string.h>

#include "config/config_load.h"
#include "config/option_value.h"

#define SCHEDULES_MAX 10000

/* The words of the table stand in the order of these enums. */
_Static_assert(CALENDAR_GAP_RUN_AFTER == 0 && CALENDAR_GAP_SKIP == 1, "run_after|skip");
_Static_assert(CALENDAR_OVERLAP_FIRST == 0 && CALENDAR_OVERLAP_BOTH == 1, "first|both");
_Static_assert(MISFIRE_RUN_ONCE == 0 && MISFIRE_SKIP == 1, "run_once|skip");

static void make_calendar(struct load *load, const struct config_schedule *schedule,
                          struct calendar *calendar, const struct yaml_node *node)
{
    const struct yaml_node *dst = yaml_get(node, "dst");
    struct fault fault;
    size_t offset;

    calendar->zone = &zone_utc;
    calendar->gap = (enum calendar_gap)config_get_number(dst, "schedules.*.dst.gap", 0);
    calendar->overlap = (enum calendar_overlap)config_get_number(dst, "schedules.*.dst.overlap", 0);
    if (schedule->timezone != NULL)
        calendar->zone =
            config_zone(load, schedule->timezone, config_get_place(node, "schedules.*.timezone"));
    if (schedule->cron == NULL || cron_parse(schedule->cron, strlen(schedule->cron),
                                             &calendar->cron, &offset, &fault) != RESULT_OK)
        return; /* reported by the walk */
    if (!calendar_next(calendar, (struct utc_time){0}).found)
        diagnostics_error(load->diagnostics, config_get_place(node, "schedules.*.cron"),
                          "\"%.200s\" never fires in %s with dst.gap %s", schedule->cron,
                          schedule->timezone == NULL ? "UTC" : schedule->timezone,
                          calendar->gap == CALENDAR_GAP_SKIP ? "skip" : "run_after");
}

/* Everything that decides when it fires; a schedule with another revision starts afresh. */
static uint64_t revision_of(const struct config_schedule *schedule, const struct calendar *calendar)
{
    uint64_t hash = 0;
    const unsigned char policy[2] = {(unsigned char)calendar->gap,
                                     (unsigned char)calendar->overlap};

    if (schedule->cron != NULL)
        hash = hash_bytes(schedule->cron, strlen(schedule->cron), hash);
    if (schedule->timezone != NULL)
        hash = hash_bytes(schedule->timezone, strlen(schedule->timezone), hash);
    return hash_bytes(policy, sizeof policy, hash);
}

static void make_retry(struct load *load, struct retry_settings *retry,
                       const struct yaml_node *node)
{
    const struct yaml_node *under = yaml_get(node, "retry");
    const struct yaml_node *backoff = under == NULL ? NULL : yaml_get(under, "backoff");

    retry->attempts_max = (uint32_t)config_get_number(under, "schedules.*.retry.attempts", 3);
    config_get_waits(load, backoff, "schedules.*.retry.backoff", "retry.backoff",
                     &retry->backoff_first_ms, &retry->backoff_max_ms);
}

static void make_schedule(struct load *load, uint32_t index, const struct yaml_node *key,
                          const struct yaml_node *node)
{
    struct config_schedule *schedule = &load->config->schedules[index];
    struct schedule_settings *settings = &load->config->schedule_settings[index];
    const struct yaml_node *misfire = yaml_get(node, "misfire");
    const char *deadline = config_get_text(node, "schedules.*.deadline");

    schedule->name = settings->name = key->text;
    schedule->place = key->place;
    schedule->cron = config_get_text(node, "schedules.*.cron");
    schedule->timezone = config_get_text(node, "schedules.*.timezone");
    schedule->look_back_ms = config_get_number(node, "schedules.*.look_back", -1);
    schedule->look_until_ms = config_get_number(node, "schedules.*.look_until", -1);
    if (schedule->look_back_ms >= 0 && schedule->look_until_ms >= schedule->look_back_ms)
        diagnostics_error(load->diagnostics, config_get_place(node, "schedules.*.look_until"),
                          "look_until must be shorter than look_back: both count back from now");
    make_calendar(load, schedule, &settings->calendar, node);
    settings->revision = revision_of(schedule, &settings->calendar);
    settings->spread_ms = config_get_number(node, "schedules.*.spread", 0);
    if (deadline != NULL)
        settings->deadline =
            option_value_of(option_find("schedules.*.deadline"), deadline).deadline;
    if (settings->deadline.kind == DEADLINE_DURATION && settings->deadline.duration_ms == 0)
        diagnostics_error(load->diagnostics, config_get_place(node, "schedules.*.deadline"),
                          "a deadline of 0s leaves no time for anything");
    settings->misfire =
        (enum misfire_policy)config_get_number(misfire, "schedules.*.misfire.policy", 0);
    settings->misfire_max_age_ms =
        config_get_number(misfire, "schedules.*.misfire.max_age", 12 * MS_PER_HOUR);
    make_retry(load, &settings->retry, node);
    settings->priority = (uint8_t)config_get_number(node, "schedules.*.priority", 5);
    config_hours_make(load, node, NULL, &settings->hours);
    config_hours_check_schedule(load, settings, key->place);
    settings->allow_empty = config_get_number(node, "schedules.*.allow_empty", 0) != 0;
}

void config_schedules_make(struct load *load)
{
    struct config *config = load->config;
    const struct yaml_node *list = yaml_get(load->tree, "schedules");
    size_t count = list == NULL || list->kind != YAML_MAPPING ? 0 : list->count;

    if (count > SCHEDULES_MAX) {
        diagnostics_error(load->diagnostics, list->place, "%zu schedules; at most %d are allowed",
                          count, SCHEDULES_MAX);
        return;
    }
    config->schedules = arena_alloc(load->arena, count * sizeof *config->schedules);
    config->schedule_settings = arena_alloc(load->arena, count * sizeof *config->schedule_settings);
    REQUIRE(config->schedules != NULL && config->schedule_settings != NULL);
    for (size_t i = 0; i < count; i++)
        if (list->values[i]->kind == YAML_MAPPING)
            make_schedule(load, config->schedule_count++, list->keys[i], list->values[i]);
}
