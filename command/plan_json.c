/* SPDX-License-Identifier: MIT
 * plan_json.c - a plan as one JSON object. */
#include <jansson.h>
#include <stdio.h>

#include "base/zone.h"
#include "command/plan_print.h"
#include "daemon/rate_text.h"

static json_t *instant(struct utc_time at)
{
    char text[UTC_TEXT_SIZE];

    return at.ms == UTC_NONE.ms || at.ms == UTC_NEVER.ms ? json_null()
                                                         : json_string(utc_text(at, text));
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static void set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value);
}

static void set_node(json_t *object, const struct plan *plan, const struct config *config,
                     uint32_t provider, uint32_t institution)
{
    set(object, "provider",
        provider == UINT32_MAX ? json_null() : json_string(config->providers[provider].name));
    set(object, "institution",
        institution == UINT32_MAX ? json_null()
                                  : json_string(plan->institutions[institution].name));
}

/* Counts by reason, those that are not zero. */
static json_t *reasons(const uint32_t counts[REASON_COUNT])
{
    json_t *object = json_object();

    for (int i = 1; i < REASON_COUNT; i++)
        if (counts[i] > 0)
            set(object, reason_text((enum reason)i), number(counts[i]));
    return object;
}

static json_t *binding_of(const struct plan *plan, const struct config *config,
                          const struct plan_binding *binding)
{
    json_t *object;

    if (binding->reason == REASON_NONE)
        return json_null();
    object = json_object();
    set(object, "reason", json_string(reason_text(binding->reason)));
    set_node(object, plan, config, binding->provider, binding->institution);
    set(object, "limit", binding->limit[0] == '\0' ? json_null() : json_string(binding->limit));
    set(object, "others", number(binding->other_count));
    set(object, "short", number(binding->short_count));
    set(object, "waited_s", json_integer(binding->waited_s));
    return object;
}

static json_t *losses_of(const struct plan *plan, const struct config *config,
                         const struct plan_run *run)
{
    json_t *list = json_array();

    for (int i = 0; i < PLAN_TOP && run->losses[i].count > 0; i++) {
        json_t *object = json_object();

        set_node(object, plan, config, run->losses[i].provider, run->losses[i].institution);
        set(object, "reason", json_string(reason_text(run->losses[i].reason)));
        set(object, "count", number(run->losses[i].count));
        (void)json_array_append_new(list, object);
    }
    return list;
}

static json_t *local_of(const struct calendar *calendar, struct utc_time at)
{
    struct civil_time local = zone_utc_to_local(calendar->zone, at);
    char text[32];

    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", local.year, local.month,
                   local.day, local.hour, local.minute, local.second);
    return json_string(text);
}

static json_t *run_of(const struct plan *plan, const struct config *config,
                      const struct plan_run *run)
{
    const struct calendar *calendar = &config->schedule_settings[run->schedule].calendar;
    const char *name = config->schedules[run->schedule].name;
    char slot[UTC_TEXT_SIZE];
    json_t *object = json_object();
    bool has_slack = run->finish.ms != UTC_NONE.ms && run->deadline.ms != UTC_NEVER.ms;

    set(object, "run_id", json_sprintf("%s@%s", name, utc_text_seconds(run->slot, slot)));
    set(object, "schedule", json_string(name));
    set(object, "trigger", json_string(trigger_text(run->trigger)));
    set(object, "slot_at", instant(run->slot));
    set(object, "slot_local", local_of(calendar, run->slot));
    set(object, "timezone", json_string(calendar->zone->name));
    set(object, "deadline_at", instant(run->deadline));
    set(object, "start_at", instant(run->start));
    set(object, "finish_at", instant(run->finish));
    set(object, "slack_s",
        has_slack ? json_integer((run->deadline.ms - run->finish.ms) / 1000) : json_null());
    set(object, "fits", json_boolean(run->fits));
    set(object, "in_progress", json_boolean(run->was_open));
    set(object, "missed", json_boolean(run->is_missed));
    set(object, "due", number(run->due));
    for (int i = OUTCOME_REFRESHED; i < OUTCOME_COUNT; i++)
        set(object, outcome_text((enum outcome)i), number(run->outcomes[i]));
    set(object, "failing", reasons(run->failed));
    set(object, "not_asked", reasons(run->skipped));
    set(object, "will_not_fit", number(run->lost_count));
    set(object, "will_not_fit_by", reasons(run->lost));
    set(object, "will_not_fit_at", losses_of(plan, config, run));
    set(object, "bound_by", binding_of(plan, config, &run->binding));
    return object;
}

static json_t *node_of(const struct plan *plan, const struct config *config,
                       const struct plan_node *node)
{
    json_t *object = json_object();
    char learned[RATE_TEXT_SIZE];

    set_node(object, plan, config, node->provider, node->institution);
    set(object, "limit", node->limit[0] == '\0' ? json_null() : json_string(node->limit));
    set(object, "learned_rate",
        node->learned_interval_us == 0
            ? json_null()
            : json_string(rate_text(node->learned_interval_us, learned)));
    set(object, "used_percent",
        node->utilisation < 0 ? json_null() : json_integer(node->utilisation));
    set(object, "initiations", number(node->initiations));
    set(object, "calls", number(node->calls));
    set(object, "refused", number(node->refused));
    set(object, "peak_per_second", number(node->peak_second));
    set(object, "peak_per_minute", number(node->peak_minute));
    set(object, "peak_jobs_running", number(node->peak_jobs));
    set(object, "first_at", instant(node->first));
    set(object, "last_at", instant(node->last));
    return object;
}

static json_t *history_of(const struct plan *plan)
{
    json_t *object;

    if (plan->history_jobs == 0)
        return json_null();
    object = json_object();
    set(object, "jobs", number(plan->history_jobs));
    set(object, "since_at", instant(plan->history_since));
    return object;
}

static json_t *chart_of(const struct plan *plan)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < plan->bucket_count; i++) {
        const struct plan_bucket *bucket = &plan->buckets[i];
        json_t *object = json_object();

        set(object, "at", instant(bucket->at));
        set(object, "initiations", number(bucket->initiations));
        set(object, "calls", number(bucket->calls));
        set(object, "peak_jobs_running", number(bucket->peak_jobs));
        (void)json_array_append_new(list, object);
    }
    return list;
}

void plan_print_json(const struct plan *plan, const struct config *config, uint32_t schedule)
{
    json_t *object = json_object();
    json_t *runs = json_array();
    json_t *nodes = json_array();

    for (uint32_t i = 0; i < plan->run_count; i++)
        if (schedule == UINT32_MAX || plan->runs[i].schedule == schedule)
            (void)json_array_append_new(runs, run_of(plan, config, &plan->runs[i]));
    for (uint32_t i = 0; i < plan->node_count; i++)
        (void)json_array_append_new(nodes, node_of(plan, config, &plan->nodes[i]));
    set(object, "from_at", instant(plan->from));
    set(object, "until_at", instant(plan->until));
    set(object, "fits", json_boolean(plan_fits(plan, schedule)));
    set(object, "consents", number(plan->consents));
    set(object, "history", history_of(plan));
    set(object, "runs", runs);
    set(object, "nodes", nodes);
    set(object, "chart_step_s", json_integer(plan->bucket_ms / 1000));
    set(object, "chart", chart_of(plan));
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}
