/* SPDX-License-Identifier: MIT
 * node_record.c - see node_record.h. */
#include "scheduler/node_record.h"

#include "scheduler/limit_node.h"
#include "scheduler/scheduler.h"
#include "scheduler/work.h"

#define RECORD_SPACING_US (5 * US_PER_SECOND)
/* A budget is recorded when it moved by this, or by half. */
#define BUDGET_STEP (INT64_C(20) * RETRY_BUDGET_ONE)

struct limit_node *node_of(struct scheduler *scheduler, uint32_t reference)
{
    return (reference & NODE_PROVIDER_BIT) != 0
               ? &scheduler->providers[reference & ~NODE_PROVIDER_BIT].node
               : &scheduler->institutions[reference].node;
}

void node_record_mark(struct scheduler *scheduler, uint32_t reference, bool is_urgent)
{
    struct limit_node *node = node_of(scheduler, reference);

    if (is_urgent)
        node->recorded.us = INT64_MIN;
    if (node->is_marked)
        return;
    node->is_marked = true;
    node->next_marked = NONE_INDEX;
    if (scheduler->marked_first == NONE_INDEX)
        scheduler->marked_first = reference;
    else
        node_of(scheduler, scheduler->marked_last)->next_marked = reference;
    scheduler->marked_last = reference;
}

void node_record_budget(struct scheduler *scheduler, struct provider *provider)
{
    int64_t moved = provider->budget.balance - provider->balance_recorded;

    if (moved < 0)
        moved = -moved;
    if (moved >= BUDGET_STEP && moved >= provider->balance_recorded / 2)
        node_record_mark(scheduler, (uint32_t)(provider - scheduler->providers) | NODE_PROVIDER_BIT,
                         false);
}

/* As core_utc_of, and for the past as well. */
static struct utc_time stored_instant(const struct scheduler *scheduler, int64_t mono_us)
{
    return utc_add_ms(scheduler->now.utc, (mono_us - scheduler->now.mono.us) / US_PER_MS);
}

/* `past` is zeroed. */
static void describe(const struct scheduler *scheduler, const struct limit_node *node,
                     struct node_past *past)
{
    struct breaker_past breaker;

    /* Field by field: batches are compared byte for byte, padding too. */
    past->opened = past->probe = past->pushback = UTC_NONE;
    past->pushback_streak = node->pushback_streak;
    past->retry_balance = -1;
    if (node->pace_settings.learns)
        pace_past_get(&node->pace, &past->pace);
    breaker_past_get(&node->breaker, &breaker);
    past->breaker = breaker.state;
    if (breaker.state != BREAKER_CLOSED) {
        past->is_configuration = breaker.is_configuration;
        past->breaker_streak = breaker.streak;
        past->opened = stored_instant(scheduler, breaker.opened_us);
        past->probe = stored_instant(scheduler, breaker.until_us);
    }
    if (node->pushback_until.us > scheduler->now.mono.us)
        past->pushback = core_utc_of(scheduler, node->pushback_until);
}

/* A node that is not configured any more has no name to store it under. */
static void write_one(struct scheduler *scheduler, uint32_t reference)
{
    struct limit_node *node = node_of(scheduler, reference);
    uint32_t place = reference & ~NODE_PROVIDER_BIT;
    bool is_provider = (reference & NODE_PROVIDER_BIT) != 0;
    uint32_t provider_place = is_provider ? place : scheduler->institutions[place].provider;
    struct provider *provider = &scheduler->providers[provider_place];
    struct record *record;

    if (!provider->is_configured || (!is_provider && !scheduler->institutions[place].is_configured))
        return;
    record = core_record(scheduler, RECORD_NODE, NULL);
    record->as.node.provider = provider->settings_index;
    record->as.node.institution =
        is_provider ? UINT32_MAX : scheduler->institutions[place].settings_index;
    describe(scheduler, node, &record->as.node.past);
    record->as.node.past.revision = provider->settings.revision;
    record->as.node.is_breaker_news = node->was_open != (node->breaker.state != BREAKER_CLOSED);
    node->was_open = node->breaker.state != BREAKER_CLOSED;
    if (is_provider && provider->settings.retry_budget_percent > 0) {
        record->as.node.past.retry_balance = provider->budget.balance;
        provider->balance_recorded = provider->budget.balance;
    }
}

void node_record_write(struct scheduler *scheduler)
{
    uint32_t reference = scheduler->marked_first;
    uint32_t kept = NONE_INDEX;

    scheduler->marked_first = NONE_INDEX;
    scheduler->marked_last = NONE_INDEX;
    while (reference != NONE_INDEX) {
        struct limit_node *node = node_of(scheduler, reference);
        uint32_t next = node->next_marked;
        struct mono_time due = node->recorded.us == INT64_MIN
                                   ? scheduler->now.mono
                                   : mono_add_us(node->recorded, RECORD_SPACING_US);
        bool is_due = due.us <= scheduler->now.mono.us;
        bool has_room = scheduler->batch->record_count < BATCH_RECORDS_MAX;

        node->is_marked = false;
        if (is_due && has_room) {
            write_one(scheduler, reference);
            node->recorded = scheduler->now.mono;
        } else {
            node->next_marked = NONE_INDEX;
            if (kept == NONE_INDEX)
                scheduler->marked_first = reference;
            else
                node_of(scheduler, kept)->next_marked = reference;
            node->is_marked = true;
            scheduler->marked_last = kept = reference;
            if (is_due)
                scheduler->batch->is_full = true;
            else
                core_wake_mono(scheduler, due);
        }
        reference = next;
    }
}

/* ---- recovery ---- */

/* The clock may have been put back meanwhile: never longer than such a wait may last. */
static struct utc_time wait_end(const struct scheduler *scheduler, struct utc_time end,
                                int64_t wait_max_ms)
{
    return utc_sooner(end, utc_add_ms(scheduler->now.utc, wait_max_ms));
}

static void recover_breaker(struct scheduler *scheduler, const struct provider *provider,
                            struct limit_node *node, const struct node_past *past)
{
    struct utc_time probe = wait_end(scheduler, past->probe, node->breaker_settings.probe_max_ms);

    if (past->breaker == BREAKER_CLOSED || node->breaker_settings.probe_max_ms <= 0)
        return;
    /* Settings that were wrong may be right by now. */
    if (past->is_configuration && (node->breaker_settings.configuration == 0 ||
                                   past->revision != provider->settings.revision))
        return;
    if (!past->is_configuration && node->breaker_settings.failures == 0)
        return;
    node->was_open = true;
    breaker_past_set(
        &node->breaker,
        &(struct breaker_past){
            .state = BREAKER_OPEN,
            .is_configuration = past->is_configuration,
            .streak = past->breaker_streak,
            .opened_us = core_mono_of(scheduler, utc_sooner(past->opened, scheduler->now.utc)).us,
            .until_us = core_mono_of(scheduler, probe).us,
        });
}

void scheduler_recover_node(struct scheduler *scheduler, uint32_t provider_index,
                            uint32_t institution_index, const struct node_past *past)
{
    struct provider *provider;
    struct limit_node *node;
    struct utc_time pushback;

    if (provider_index >= scheduler->provider_places_count ||
        (institution_index != UINT32_MAX &&
         institution_index >= scheduler->institution_places_count))
        return;
    provider = &scheduler->providers[scheduler->provider_places[provider_index]];
    node = institution_index == UINT32_MAX
               ? &provider->node
               : &scheduler->institutions[scheduler->institution_places[institution_index]].node;
    if (node->pace_settings.learns)
        pace_past_set(&node->pace, &node->pace_settings, &past->pace, scheduler->now.mono);
    recover_breaker(scheduler, provider, node, past);
    node->pushback_streak = past->pushback_streak;
    pushback = wait_end(scheduler, past->pushback, provider->settings.pushback_max_ms);
    if (pushback.ms > scheduler->now.utc.ms)
        node->pushback_until = core_mono_of(scheduler, pushback);
    if (institution_index == UINT32_MAX && past->retry_balance >= 0) {
        retry_budget_restore(&provider->budget, scheduler->now.mono, past->retry_balance);
        provider->balance_recorded = provider->budget.balance;
    }
}
