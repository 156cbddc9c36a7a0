/* SPDX-License-Identifier: MIT
 * maintenance.c - see maintenance.h. */
#include "scheduler/maintenance.h"

#include <string.h>

#include "scheduler/feedback.h"
#include "scheduler/limit_node.h"
#include "scheduler/provider_gate.h"
#include "scheduler/retry_delay.h"
#include "scheduler/work.h"

#define TRY_AGAIN_MS MS_PER_MINUTE

/* ---- the calls ---- */

static bool may_read(const struct scheduler *scheduler, const struct provider *provider)
{
    return scheduler->reads_maintenance && provider->is_configured &&
           provider->settings.maintenance_every_ms > 0 && !provider->list.is_out &&
           !provider->is_stopped;
}

static void send_call(struct scheduler *scheduler, struct provider *provider)
{
    struct effect *effect = core_effect(scheduler);

    effect->request = REQUEST_INSTITUTIONS;
    effect->provider = provider->settings_index;
    effect->job_slot = NO_JOB;
    provider->list.is_out = true;
    provider->list.is_sent = false;
    limit_node_grant(&provider->node);
    scheduler->requests_outstanding++;
    provider_gate_sending(provider, &provider->list.pass);
    provider_gate_count_call(scheduler, provider);
}

static void advance(struct scheduler *scheduler, struct provider *provider)
{
    struct obstacle obstacle;

    if (!may_read(scheduler, provider))
        return;
    if (provider->list.next.us > scheduler->now.mono.us) {
        core_wake_mono(scheduler, provider->list.next);
        return;
    }
    provider_gate_want_token(scheduler, provider);
    obstacle = provider_gate_obstacle(scheduler, provider);
    if (obstacle.reason == REASON_NONE) {
        if (core_has_room(scheduler))
            send_call(scheduler, provider);
        return;
    }
    if (obstacle.utc.ms > scheduler->now.utc.ms)
        core_wake_utc(scheduler, obstacle.utc);
    if (obstacle.mono.us > scheduler->now.mono.us)
        core_wake_mono(scheduler, obstacle.mono);
}

void maintenance_advance_all(struct scheduler *scheduler)
{
    if (scheduler->is_draining)
        return;
    for (uint32_t i = 0; i < scheduler->provider_count; i++)
        advance(scheduler, &scheduler->providers[i]);
}

void maintenance_sent(struct provider *provider, struct mono_time at)
{
    if (!provider->list.is_out || provider->list.is_sent)
        return;
    provider->list.is_sent = true;
    limit_node_sent(&provider->node, at);
}

/* A refused token is renewed once. The next refusal may be about this list alone: whether we are
 * refused as a whole is for jobs to find out. */
static void refused(struct provider *provider)
{
    if (!provider->settings.needs_token || !provider->has_token || provider->is_token_second ||
        provider->list.pass.token_number != provider->token_number)
        return;
    provider->has_token = false;
    provider->is_token_second = true;
}

void maintenance_ended(struct scheduler *scheduler, struct provider *provider,
                       const struct answer *answer)
{
    struct list_call *list = &provider->list;
    int64_t every_ms = provider->settings.maintenance_every_ms;

    if (!list->is_out)
        return;
    if (answer->reached_socket || answer->answered)
        maintenance_sent(provider, scheduler->now.mono);
    if (!list->is_sent)
        limit_node_return(&provider->node);
    limit_node_answered(&provider->node);
    scheduler->requests_outstanding--;
    list->is_out = false;
    feedback_answer_without_job(scheduler, provider, answer);
    if (answer->class_ == CLASS_CREDENTIALS)
        refused(provider);
    else
        provider_gate_accepted(scheduler, provider, &list->pass, answer->answered);
    if (answer->class_ == CLASS_SUCCESS)
        list->failures = 0;
    else
        every_ms = retry_delay_doubling_ms(every_ms < TRY_AGAIN_MS ? every_ms : TRY_AGAIN_MS,
                                           every_ms, list->failures++);
    list->next = core_mono_in_ms(scheduler, every_ms);
}

uint32_t maintenance_outstanding(const struct provider *provider)
{
    return provider->list.is_out;
}

uint32_t maintenance_pending(const struct provider *provider)
{
    return provider->list.is_out && !provider->list.is_sent;
}

/* ---- what they say ---- */

static bool is_same(const struct open_hours *hours, const struct utc_span *spans, uint32_t count)
{
    if (hours->maintenance_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (hours->maintenance[i].start.ms != spans[i].start.ms ||
            hours->maintenance[i].end.ms != spans[i].end.ms)
            return false;
    return true;
}

void maintenance_take(struct scheduler *scheduler, uint32_t index, const struct utc_span *spans,
                      uint32_t count)
{
    uint32_t place;
    struct institution *institution;
    struct record *record;

    if (index >= scheduler->institution_places_count || count > MAINTENANCE_MAX)
        return;
    place = scheduler->institution_places[index];
    institution = &scheduler->institutions[place];
    if (is_same(&institution->node.hours, spans, count))
        return;
    open_hours_set_maintenance(&institution->node.hours, spans, count);
    work_unblock(scheduler, place);
    if (scheduler->is_recovering)
        return;
    record = core_record(scheduler, RECORD_MAINTENANCE, NULL);
    record->as.maintenance.institution = index;
    record->as.maintenance.count = count;
    if (count > 0)
        memcpy(record->as.maintenance.spans, spans, count * sizeof *spans);
}

void maintenance_configure(struct scheduler *scheduler, uint32_t place, bool is_new)
{
    struct provider *provider = &scheduler->providers[place];

    if (is_new)
        provider->list.next = scheduler->now.mono;
    if (provider->settings.maintenance_every_ms > 0)
        return;
    for (uint32_t i = 0; i < scheduler->institution_count; i++)
        if (scheduler->institutions[i].provider == place)
            open_hours_set_maintenance(&scheduler->institutions[i].node.hours, NULL, 0);
}
