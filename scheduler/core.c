/* SPDX-License-Identifier: MIT
 * core.c - see core.h. */
#include "scheduler/core.h"

#include <string.h>

bool core_has_room(struct scheduler *scheduler)
{
    struct batch *batch = scheduler->batch;

    if (batch->record_count + DECISION_RECORDS_MAX <= BATCH_RECORDS_MAX &&
        batch->effect_count + 2 <= BATCH_EFFECTS_MAX)
        return true;
    batch->is_full = true;
    return false;
}

struct record *core_record(struct scheduler *scheduler, enum record_kind kind,
                           const struct evidence *evidence)
{
    struct batch *batch = scheduler->batch;
    struct record *record;

    REQUIRE(batch->record_count < BATCH_RECORDS_MAX);
    record = &batch->records[batch->record_count++];
    memset(record, 0, sizeof *record); /* padding too: batches are compared byte for byte */
    record->kind = kind;
    record->at = scheduler->now.utc;
    record->evidence = evidence;
    return record;
}

struct effect *core_effect(struct scheduler *scheduler)
{
    struct batch *batch = scheduler->batch;
    struct effect *effect;

    REQUIRE(batch->effect_count < BATCH_EFFECTS_MAX);
    effect = &batch->effects[batch->effect_count++];
    memset(effect, 0, sizeof *effect);
    return effect;
}

void core_wake_utc(struct scheduler *scheduler, struct utc_time at)
{
    if (at.ms < scheduler->wake.utc.ms)
        scheduler->wake.utc = at;
}

void core_wake_mono(struct scheduler *scheduler, struct mono_time at)
{
    if (at.us < scheduler->wake.mono.us)
        scheduler->wake.mono = at;
}

struct mono_time core_mono_of(const struct scheduler *scheduler, struct utc_time at)
{
    int64_t ahead_ms;

    if (at.ms == UTC_NEVER.ms)
        return MONO_NEVER;
    if (at.ms == UTC_NONE.ms)
        return (struct mono_time){INT64_MIN};
    ahead_ms = at.ms - scheduler->now.utc.ms;
    if (ahead_ms > INT64_MAX / (4 * US_PER_MS))
        return MONO_NEVER;
    if (ahead_ms < INT64_MIN / (4 * US_PER_MS))
        return (struct mono_time){INT64_MIN};
    return (struct mono_time){scheduler->now.mono.us + ahead_ms * US_PER_MS};
}

struct utc_time core_utc_of(const struct scheduler *scheduler, struct mono_time at)
{
    int64_t ahead_us;

    if (at.us == MONO_NEVER.us)
        return UTC_NEVER;
    if (at.us <= scheduler->now.mono.us)
        return scheduler->now.utc;
    ahead_us = at.us - scheduler->now.mono.us;
    return utc_add_ms(scheduler->now.utc, ahead_us / US_PER_MS + (ahead_us % US_PER_MS != 0));
}
