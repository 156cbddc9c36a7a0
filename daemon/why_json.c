/* SPDX-License-Identifier: MIT
 * why_json.c - see why_json.h. */
#include "daemon/why_json.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/rate_text.h"

/* In the order of backlog_age_ms. */
static const char *const age_names[BACKLOG_AGES] = {"under_1m", "under_5m", "under_15m",
                                                    "under_1h", "under_6h", "more"};

json_t *why_json_instant(struct utc_time at)
{
    char text[UTC_TEXT_SIZE];

    if (at.ms == UTC_NONE.ms || at.ms == UTC_NEVER.ms)
        return json_null();
    return json_string(utc_text(at, text));
}

/* ---- a consent ---- */

static json_t *gate_object(enum gate gate, const struct gate_verdict *verdict)
{
    char learned[RATE_TEXT_SIZE];
    json_t *object =
        json_pack("{s:s, s:b, s:s?, s:o}", "gate", gate_text(gate), "open", verdict->is_open,
                  "reason", verdict->is_open ? NULL : reason_text(verdict->reason), "earliest_at",
                  why_json_instant(verdict->earliest));

    if (verdict->learned_interval_us > 0)
        json_object_set_new(
            object, "detail",
            json_sprintf("learned %s", rate_text(verdict->learned_interval_us, learned)));
    return object;
}

json_t *why_json_consent(const struct scheduler *scheduler, struct time_now now, uint32_t number,
                         const char *consent, bool is_offline)
{
    struct gate_verdict verdicts[GATE_COUNT];
    struct utc_time earliest = scheduler_why(scheduler, now, number, verdicts);
    json_t *gates = json_array();
    json_t *blocked_by = json_array();

    for (enum gate gate = 0; gate < GATE_COUNT; gate++) {
        json_array_append_new(gates, gate_object(gate, &verdicts[gate]));
        if (!verdicts[gate].is_open)
            json_array_append_new(blocked_by, json_string(gate_text(gate)));
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:b}", "consent", consent, "gates", gates, "blocked_by",
                     blocked_by, "earliest_at", why_json_instant(earliest), "offline", is_offline);
}

/* ---- nodes ---- */

struct both {
    struct backlog *providers;
    struct backlog *institutions;
};

static enum result look(const struct scheduler *scheduler,
                        const struct scheduler_settings *settings, struct time_now now,
                        struct both *both, struct fault *fault)
{
    both->providers = calloc((size_t)settings->provider_count + 1, sizeof *both->providers);
    both->institutions =
        calloc((size_t)settings->institution_count + 1, sizeof *both->institutions);
    if (both->providers == NULL || both->institutions == NULL) {
        free(both->providers);
        free(both->institutions);
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    }
    scheduler_backlog(scheduler, now, both->providers, both->institutions);
    return RESULT_OK;
}

static void forget(struct both *both)
{
    free(both->providers);
    free(both->institutions);
}

static json_t *ages_object(const struct backlog *backlog)
{
    json_t *object = json_object();

    for (size_t i = 0; i < BACKLOG_AGES; i++)
        json_object_set_new(object, age_names[i], json_integer(backlog->ages[i]));
    return object;
}

/* What waits for nothing but its turn is not listed. */
static json_t *reasons_object(const struct backlog *backlog)
{
    json_t *object = json_object();

    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
        if (backlog->reasons[reason] > 0)
            json_object_set_new(object, reason_text(reason),
                                json_integer(backlog->reasons[reason]));
    return object;
}

static json_t *backlog_object(const char *provider, const char *institution,
                              const struct backlog *backlog)
{
    char rate[RATE_TEXT_SIZE];
    json_t *object =
        json_pack("{s:s, s:s?, s:i, s:i, s:o, s:o, s:o}", "provider", provider, "institution",
                  institution, "waiting", (int)backlog->waiting, "coming", (int)backlog->coming,
                  "ages", ages_object(backlog), "reasons", reasons_object(backlog), "oldest_at",
                  why_json_instant(backlog->oldest));

    json_object_set_new(object, "deadline_at", why_json_instant(backlog->deadline));
    json_object_set_new(object, "by_deadline", json_integer(backlog->by_deadline));
    json_object_set_new(object, "done_by_at", why_json_instant(backlog->done_by));
    json_object_set_new(object, "expected_rate",
                        backlog->interval_us == 0
                            ? json_null()
                            : json_string(rate_text(backlog->interval_us, rate)));
    json_object_set_new(object, "bound_by",
                        backlog->bound == REASON_NONE ? json_null()
                                                      : json_string(reason_text(backlog->bound)));
    return object;
}

static uint32_t find_provider(const struct scheduler_settings *settings, const char *name)
{
    for (uint32_t i = 0; i < settings->provider_count; i++)
        if (strcmp(settings->providers[i].name, name) == 0)
            return i;
    return UINT32_MAX;
}

static uint32_t find_institution(const struct scheduler_settings *settings, uint32_t provider,
                                 const char *name)
{
    for (uint32_t i = 0; i < settings->institution_count; i++)
        if (settings->institutions[i].provider == provider &&
            strcmp(settings->institutions[i].name, name) == 0)
            return i;
    return UINT32_MAX;
}

static void add_node(json_t *object, const struct node_view *view,
                     const struct limit_settings *limits)
{
    char learned[RATE_TEXT_SIZE];
    char configured[256];
    const char *rates = rates_text(limits, configured, sizeof configured);
    const char *learned_rate = rate_text(view->learned_interval_us, learned);

    json_object_set_new(object, "configured_rate",
                        rates == NULL ? json_null() : json_string(rates));
    json_object_set_new(object, "learned_rate",
                        learned_rate == NULL ? json_null() : json_string(learned_rate));
    json_object_set_new(object, "jobs_running", json_integer(view->jobs_running));
    json_object_set_new(object, "requests_in_flight", json_integer(view->requests_in_flight));
    json_object_set_new(object, "breaker", json_string(breaker_state_text(view->breaker)));
    json_object_set_new(object, "blocked_by",
                        view->blocked_reason == REASON_NONE
                            ? json_null()
                            : json_string(reason_text(view->blocked_reason)));
    json_object_set_new(object, "not_before_at", why_json_instant(view->blocked_until));
}

enum result why_json_node(const struct scheduler *scheduler,
                          const struct scheduler_settings *settings, struct time_now now,
                          const char *provider, const char *institution, bool is_offline,
                          json_t **out, struct fault *fault)
{
    uint32_t index = find_provider(settings, provider);
    uint32_t node = index;
    struct node_view view;
    struct both both;

    if (index == UINT32_MAX)
        return fault_set(fault, FAULT_USAGE, "there is no provider %s in the configuration",
                         provider);
    if (institution != NULL)
        node = find_institution(settings, index, institution);
    if (node == UINT32_MAX)
        return fault_set(fault, FAULT_USAGE, "provider %s has no institution %s", provider,
                         institution);
    if (look(scheduler, settings, now, &both, fault) != RESULT_OK)
        return RESULT_FAULT;
    *out = backlog_object(provider, institution,
                          institution == NULL ? &both.providers[node] : &both.institutions[node]);
    if (institution == NULL)
        scheduler_provider_view(scheduler, now, node, &view);
    else
        scheduler_institution_view(scheduler, now, node, &view);
    add_node(*out, &view,
             institution == NULL ? &settings->providers[node].limits
                                 : &settings->institutions[node].limits);
    json_object_set_new(*out, "offline", json_boolean(is_offline));
    forget(&both);
    return RESULT_OK;
}

/* ---- the backlog of all ---- */

struct ranked {
    uint32_t index;
    uint32_t waiting;
    uint32_t coming;
};

/* Most waiting first, then most to come, then by index: always the same order. */
static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;

    if (x->waiting != y->waiting)
        return x->waiting > y->waiting ? -1 : 1;
    if (x->coming != y->coming)
        return x->coming > y->coming ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void tell(const struct scheduler_settings *settings, uint32_t provider,
                 const char *institution, const struct backlog *backlog,
                 void (*on_line)(void *context, json_t *line), void *context)
{
    json_t *line = backlog_object(settings->providers[provider].name, institution, backlog);

    json_object_set_new(line, "type", json_string("backlog"));
    on_line(context, line);
}

enum result why_json_backlog(const struct scheduler *scheduler,
                             const struct scheduler_settings *settings, struct time_now now,
                             uint32_t top, const char *only,
                             void (*on_line)(void *context, json_t *line), void *context,
                             struct fault *fault)
{
    struct ranked *ranked = calloc((size_t)settings->institution_count + 1, sizeof *ranked);
    struct both both;
    uint32_t count = 0;

    if (ranked == NULL || look(scheduler, settings, now, &both, fault) != RESULT_OK) {
        free(ranked);
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    }
    for (uint32_t i = 0; i < settings->provider_count && only == NULL; i++)
        if (both.providers[i].waiting + both.providers[i].coming > 0)
            tell(settings, i, NULL, &both.providers[i], on_line, context);
    for (uint32_t i = 0; i < settings->institution_count; i++) {
        const struct backlog *backlog = &both.institutions[i];

        if (only != NULL ? strcmp(settings->institutions[i].name, only) == 0
                         : backlog->waiting + backlog->coming > 0)
            ranked[count++] = (struct ranked){i, backlog->waiting, backlog->coming};
    }
    qsort(ranked, count, sizeof *ranked, compare_ranked);
    for (uint32_t i = 0; i < count && i < top; i++)
        tell(settings, settings->institutions[ranked[i].index].provider,
             settings->institutions[ranked[i].index].name, &both.institutions[ranked[i].index],
             on_line, context);
    forget(&both);
    free(ranked);
    return RESULT_OK;
}
