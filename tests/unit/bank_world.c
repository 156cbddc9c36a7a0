/* SPDX-License-Identifier: MIT
 * bank_world.c - see bank_world.h. */
#include "tests/unit/bank_world.h"

#include <string.h>

#include "base/text.h"
#include "tests/unit/unit_test.h"

#define START_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define TIMEOUT_US (30 * MS_PER_SECOND * US_PER_MS)

struct time_now world_now(const struct bank_world *world)
{
    return (struct time_now){{START_MS + world->now_us / US_PER_MS}, {world->now_us}};
}

struct bank_world *world_create(uint32_t banks, uint32_t schedules)
{
    struct bank_world *world = calloc(1, sizeof *world);
    static const char *const names[WORLD_SCHEDULES] = {"first", "second", "third", "fourth"};
    struct fault fault;
    size_t offset;

    assert_non_null(world);
    assert_true(banks <= WORLD_BANKS && schedules <= WORLD_SCHEDULES);
    world->batch = calloc(1, sizeof *world->batch);
    assert_non_null(world->batch);
    world->check_every = 16;
    world->provider = (struct provider_settings){
        .name = "finq",
        .completion = {.poll_first_ms = 10 * MS_PER_SECOND,
                       .poll_floor_ms = MS_PER_SECOND,
                       .poll_max_ms = MS_PER_HOUR,
                       .give_up_after_ms = 2 * MS_PER_HOUR},
        .in_doubt = IN_DOUBT_REINITIATE,
        .pushback_first_ms = MS_PER_SECOND,
        .pushback_max_ms = 10 * MS_PER_MINUTE,
    };
    for (uint32_t i = 0; i < banks; i++) {
        snprintf(world->banks[i].name, sizeof world->banks[i].name, "B%u", i);
        world->banks[i].job_ms = 30 * MS_PER_SECOND;
        world->banks[i].answer_ms = 200;
        world->institutions[i].name = world->banks[i].name;
    }
    for (uint32_t i = 0; i < schedules; i++) {
        struct schedule_settings *schedule = &world->schedules[i];

        *schedule = (struct schedule_settings){
            .name = names[i],
            .revision = 1,
            .deadline = {.kind = DEADLINE_DURATION, .duration_ms = 4 * MS_PER_HOUR},
            .misfire = MISFIRE_RUN_ONCE,
            .misfire_max_age_ms = 12 * MS_PER_HOUR,
            .retry = {3, MS_PER_MINUTE, MS_PER_HOUR},
            .priority = 5,
        };
        schedule->calendar.zone = &zone_utc;
        assert_int_equal(cron_parse("0 1 * * *", 9, &schedule->calendar.cron, &offset, &fault),
                         RESULT_OK);
        world->sets[i] = (struct schedule_set){.schedules = {(uint16_t)i}, .count = 1};
    }
    world->settings = (struct scheduler_settings){
        .providers = &world->provider,
        .provider_count = 1,
        .institutions = world->institutions,
        .institution_count = banks,
        .schedules = world->schedules,
        .schedule_count = schedules,
        .schedule_sets = world->sets,
        .schedule_set_count = schedules,
    };
    return world;
}

void world_destroy(struct bank_world *world)
{
    scheduler_destroy(world->scheduler);
    free(world->consents);
    free(world->batch);
    free(world);
}

void world_add(struct bank_world *world, uint32_t bank, uint32_t schedule, uint32_t count)
{
    uint32_t first = world->consent_count + 1;

    world->consent_count += count;
    world->consents =
        realloc(world->consents, (world->consent_count + 1) * sizeof *world->consents);
    assert_non_null(world->consents);
    for (uint32_t c = first; c <= world->consent_count; c++)
        world->consents[c] = (struct consent_settings){
            .hash = hash_bytes(&c, sizeof c, 0),
            .institution = bank,
            .schedule_set = (uint16_t)schedule,
            .priority = PRIORITY_FROM_SCHEDULE,
            .expires = UTC_NEVER,
            .authorized_at = UTC_NONE,
        };
}

static struct world_bank *bank_of(struct bank_world *world, uint32_t consent)
{
    return &world->banks[world->consents[consent].institution];
}

static void take_effect(struct bank_world *world, const struct effect *effect)
{
    struct world_request *request = &world->requests[effect->job_slot];
    struct world_bank *bank = bank_of(world, effect->consent);
    bool is_initiation = effect->request == REQUEST_INITIATE;

    assert_true(effect->job_slot < WORLD_JOBS && !request->is_out);
    if (effect->job_slot >= world->request_places)
        world->request_places = effect->job_slot + 1;
    request->is_out = true;
    request->is_sent = false;
    request->kind = effect->request;
    request->consent = effect->consent;
    request->times_out = is_initiation && bank->answer_ms == WORLD_NEVER;
    request->answer_at_us = world->now_us + (request->times_out ? TIMEOUT_US
                                             : is_initiation    ? bank->answer_ms * US_PER_MS
                                                                : 100 * US_PER_MS);
    if (!is_initiation)
        return;
    assert_true(world->start_count < WORLD_STARTS);
    world->starts[world->start_count++] =
        (struct world_start){effect->consent, world->now_us / US_PER_MS};
    bank->started++;
    bank->running++;
    if (bank->running > bank->running_max)
        bank->running_max = bank->running;
}

static void take_batch(struct bank_world *world)
{
    const struct batch *batch = world->batch;

    world->trace =
        hash_bytes(batch->records, batch->record_count * sizeof batch->records[0], world->trace);
    world->trace =
        hash_bytes(batch->effects, batch->effect_count * sizeof batch->effects[0], world->trace);
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const struct record *record = &batch->records[i];

        if (record->kind == RECORD_JOB_CLOSE) {
            bank_of(world, record->as.job_close.consent)->running--;
            if (record->as.job_close.outcome == OUTCOME_REFRESHED)
                bank_of(world, record->as.job_close.consent)->ended++;
        } else if (record->kind == RECORD_SKIP && record->as.skip.consent != 0) {
            struct world_bank *bank = bank_of(world, record->as.skip.consent);

            bank->skipped[record->as.skip.reason]++;
            bank->waited_for[record->as.skip.waited_for]++;
        }
    }
    for (uint32_t i = 0; i < batch->effect_count; i++)
        take_effect(world, &batch->effects[i]);
}

/* When the core wants to be called, on the world's clock. */
static int64_t wake_us(const struct bank_world *world)
{
    int64_t utc_us = world->wake.utc.ms == UTC_NEVER.ms
                         ? INT64_MAX
                         : (world->wake.utc.ms - START_MS) * US_PER_MS;

    return utc_us < world->wake.mono.us ? utc_us : world->wake.mono.us;
}

static void step(struct bank_world *world, const struct event *event)
{
    struct event time_event = {.kind = EVENT_TIME};
    struct fault fault;

    for (uint32_t rounds = 0;; rounds++) {
        world->wake = scheduler_step(world->scheduler, world_now(world), event, world->batch);
        take_batch(world);
        if (++world->steps % world->check_every == 0)
            scheduler_check(world->scheduler);
        if (world->batch->needs_reserve)
            assert_int_equal(scheduler_reserve(world->scheduler, world->consent_count, &fault),
                             RESULT_OK);
        if (!world->batch->is_full && wake_us(world) > world->now_us)
            return;
        event = &time_event;
        assert_true(rounds < 2000); /* time stands still: this has to end */
    }
}

/* Every request that came out of the last steps is handed over at once. */
static void hand_over(struct bank_world *world)
{
    for (uint32_t i = 0; i < world->request_places; i++) {
        struct world_request *request = &world->requests[i];
        struct event event = {
            .kind = EVENT_SENT,
            .as.sent = {i, 0, request->kind, world_now(world).mono, world_now(world).utc}};

        if (!request->is_out || request->is_sent)
            continue;
        request->is_sent = true;
        step(world, &event);
    }
}

void world_event(struct bank_world *world, const struct event *event)
{
    step(world, event);
    hand_over(world);
}

static struct answer answer_of(struct bank_world *world, struct world_request *request)
{
    struct world_bank *bank = bank_of(world, request->consent);
    struct answer answer = ANSWER_NONE;

    answer.reached_socket = true;
    answer.answered = !request->times_out;
    answer.class_ = CLASS_TRANSPORT;
    if (request->times_out)
        return answer;
    if (request->kind == REQUEST_INITIATE) {
        bool never = bank->job_ms == WORLD_NEVER ||
                     (bank->stuck_of > 0 && bank->accepted % bank->stuck_of == 0);

        bank->accepted++;
        request->job_ends_us = never ? INT64_MAX : world->now_us + bank->job_ms * US_PER_MS;
        answer.class_ = CLASS_ACCEPTED;
        answer.reference_hash = world->steps + 1;
        answer.poll_hint_ms = never ? 10 * MS_PER_MINUTE : bank->job_ms;
    } else {
        answer.class_ = world->now_us >= request->job_ends_us ? CLASS_SUCCESS : CLASS_RUNNING;
        answer.poll_hint_ms = 10 * MS_PER_MINUTE;
    }
    return answer;
}

void world_start(struct bank_world *world)
{
    struct event event = {.kind = EVENT_TIME};
    struct fault fault;

    world->scheduler = scheduler_create(1);
    assert_non_null(world->scheduler);
    if (scheduler_configure(world->scheduler, world_now(world), &world->settings, &fault) !=
            RESULT_OK ||
        scheduler_reserve(world->scheduler, world->consent_count, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    for (uint32_t c = 1; c <= world->consent_count; c++)
        scheduler_consent_put(world->scheduler, c, &world->consents[c]);
    scheduler_recover_done(world->scheduler, world_now(world), 1, 1);
    world_event(world, &event);
}

/* The next request to be answered, or the number of places. */
static uint32_t next_answer(const struct bank_world *world)
{
    uint32_t next = world->request_places;

    for (uint32_t i = 0; i < world->request_places; i++)
        if (world->requests[i].is_out &&
            (next == world->request_places ||
             world->requests[i].answer_at_us < world->requests[next].answer_at_us))
            next = i;
    return next;
}

void world_run_until(struct bank_world *world, int64_t at_ms)
{
    struct event event = {.kind = EVENT_TIME};
    int64_t until_us = at_ms * US_PER_MS;

    for (;;) {
        uint32_t next = next_answer(world);
        int64_t answer_us =
            next < world->request_places ? world->requests[next].answer_at_us : INT64_MAX;
        int64_t at_us = wake_us(world) < answer_us ? wake_us(world) : answer_us;

        if (at_us > until_us)
            break;
        if (at_us > world->now_us)
            world->now_us = at_us;
        if (answer_us <= world->now_us) {
            struct event answer = {
                .kind = EVENT_ANSWER,
                .as.answer = {.job_slot = next,
                              .request = world->requests[next].kind,
                              .answer = answer_of(world, &world->requests[next])}};

            world->requests[next].is_out = false;
            world_event(world, &answer);
        } else {
            world_event(world, &event);
        }
    }
    world->now_us = until_us;
    world_event(world, &event);
}

void world_trigger(struct bank_world *world, uint32_t consent)
{
    struct event event = {.kind = EVENT_TRIGGER, .as.trigger = {consent, false}};

    world_event(world, &event);
}
