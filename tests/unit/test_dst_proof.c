/* SPDX-License-Identifier: MIT
 * test_dst_proof.c - no consent is refreshed twice for a slot, and no slot is forgotten, over any
 * clock change of 2026 to 2028.
 *
 * The real core jumps from wake to wake through each change, under each policy, undisturbed and
 * with restarts, downtime, stalls and a wall clock that is set. An oracle that knows nothing of the
 * calendar walks the minutes and says which instants had to fire; each must be accounted for
 * exactly once. */
#include "tests/unit/unit_test.h"

#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/zone_file.h"
#include "scheduler/scheduler.h"

#define BEFORE_MS (8 * MS_PER_HOUR)
#define AFTER_MS (28 * MS_PER_HOUR)
#define EVENTS_MAX 256
#define CHANGES_MAX 32

static const char *const zone_names[] = {
    "Europe/London",     "Europe/Dublin",        "Europe/Lisbon",       "Europe/Madrid",
    "Europe/Paris",      "Europe/Berlin",        "Europe/Bucharest",    "Europe/Athens",
    "Europe/Helsinki",   "Europe/Chisinau",      "Europe/Warsaw",       "Atlantic/Azores",
    "America/New_York",  "America/Chicago",      "America/Denver",      "America/Los_Angeles",
    "America/Anchorage", "America/Halifax",      "America/St_Johns",    "America/Havana",
    "America/Santiago",  "America/Scoresbysund", "Africa/Casablanca",   "Africa/El_Aaiun",
    "Africa/Cairo",      "Asia/Jerusalem",       "Asia/Beirut",         "Asia/Gaza",
    "Australia/Sydney",  "Australia/Adelaide",   "Australia/Lord_Howe", "Pacific/Auckland",
    "Pacific/Chatham",   "Pacific/Easter",       "Pacific/Norfolk",     "Antarctica/Troll",
};

/* Minutes of the day; `passes`: the hour field begins with a star. */
static const struct {
    const char *cron;
    bool passes;
    int hour_step; /* of passes */
    int minute_step;
    int minutes[6]; /* of the others; -1 ends */
} crons[] = {
    {"0 0 * * *", false, 0, 0, {0, -1}},
    {"30 0 * * *", false, 0, 0, {30, -1}},
    {"30 1 * * *", false, 0, 0, {90, -1}},
    {"0 2 * * *", false, 0, 0, {120, -1}},
    {"15 2 * * *", false, 0, 0, {135, -1}},
    {"0,45 1,2,3 * * *", false, 0, 0, {60, 105, 120, 165, 180, 225}},
    {"*/30 * * * *", true, 1, 30, {-1}},
    {"0 */2 * * *", true, 2, 60, {-1}},
};
#define CRON_COUNT ROW_COUNT(crons)
#define POLICY_COUNT 4
#define SCHEDULE_COUNT (CRON_COUNT * POLICY_COUNT)

enum disturbance {
    UNDISTURBED,
    RESTARTS,    /* whenever nothing is open */
    DOWNTIME,    /* nobody is there for four hours around the change */
    STALL,       /* frozen for four hours, and not restarted */
    CLOCK_SET,   /* an hour back at the change, and right again two hours later */
    CLOCK_AHEAD, /* an hour forward at the change, and right again two hours later */
    DISTURBANCE_COUNT
};

struct change {
    int64_t at_ms;
    int32_t before_s; /* offsets */
    int32_t after_s;
};

struct world {
    const struct zone *zone;
    struct scheduler *scheduler;
    struct batch *batch;
    struct provider_settings provider;
    struct institution_settings institution;
    struct schedule_settings schedules[SCHEDULE_COUNT];
    struct schedule_set sets[SCHEDULE_COUNT];
    struct scheduler_settings settings;
    int64_t now_ms;    /* true time */
    int64_t offset_ms; /* of the wall clock */
    struct wake wake;
    uint32_t next_run;
    uint64_t next_job;
    uint32_t answers_due; /* initiations and polls to answer, in order */
    struct effect answers[64];
    /* what the core says */
    int64_t slots[SCHEDULE_COUNT][EVENTS_MAX];
    int64_t locals[SCHEDULE_COUNT][EVENTS_MAX];
    int folds[SCHEDULE_COUNT][EVENTS_MAX];
    uint32_t slot_count[SCHEDULE_COUNT];
    uint32_t schedule_of_run[SCHEDULE_COUNT * EVENTS_MAX];
    uint8_t ends_of_run[SCHEDULE_COUNT * EVENTS_MAX];
    uint32_t catch_ups[SCHEDULE_COUNT];
    struct record accounted[SCHEDULE_COUNT];
    uint64_t refreshes;
};

static struct time_now now_of(const struct world *world)
{
    return (struct time_now){{world->now_ms + world->offset_ms}, {world->now_ms * US_PER_MS}};
}

static void configure(struct world *world)
{
    struct fault fault;

    world->scheduler = scheduler_create(1);
    assert_non_null(world->scheduler);
    assert_int_equal(scheduler_configure(world->scheduler, now_of(world), &world->settings, &fault),
                     RESULT_OK);
    assert_int_equal(scheduler_reserve(world->scheduler, SCHEDULE_COUNT, &fault), RESULT_OK);
    for (uint32_t i = 0; i < SCHEDULE_COUNT; i++) {
        const struct consent_settings consent = {.hash = hash_bytes(&i, sizeof i, 0),
                                                 .schedule_set = (uint16_t)i,
                                                 .priority = PRIORITY_FROM_SCHEDULE,
                                                 .expires = UTC_NEVER,
                                                 .authorized_at = UTC_NONE};

        scheduler_consent_put(world->scheduler, i + 1, &consent);
    }
    for (uint32_t i = 0; i < SCHEDULE_COUNT; i++)
        if (world->accounted[i].kind == RECORD_SCHEDULE)
            scheduler_recover_schedule(world->scheduler, i, world->schedules[i].revision,
                                       world->accounted[i].as.schedule.slot,
                                       world->accounted[i].as.schedule.local_ms,
                                       world->accounted[i].as.schedule.fold);
    scheduler_recover_done(world->scheduler, now_of(world), world->next_run, world->next_job);
}

static void take_records(struct world *world)
{
    for (uint32_t i = 0; i < world->batch->record_count; i++) {
        const struct record *record = &world->batch->records[i];
        uint32_t schedule;

        switch (record->kind) {
        case RECORD_RUN_OPEN:
            schedule = record->as.run_open.schedule;
            assert_true(world->slot_count[schedule] < EVENTS_MAX);
            assert_true(record->as.run_open.run < ROW_COUNT(world->schedule_of_run));
            world->slots[schedule][world->slot_count[schedule]] = record->as.run_open.slot.ms;
            world->locals[schedule][world->slot_count[schedule]] = record->as.run_open.local_ms;
            world->folds[schedule][world->slot_count[schedule]++] = record->as.run_open.fold;
            world->schedule_of_run[record->as.run_open.run] = schedule;
            world->catch_ups[schedule] += record->as.run_open.trigger == TRIGGER_CATCH_UP;
            world->next_run = record->as.run_open.run + 1;
            break;
        case RECORD_JOB_OPEN: world->next_job = record->as.job_open.job + 1; break;
        case RECORD_SKIP:
            if (record->as.skip.run != 0)
                world->ends_of_run[record->as.skip.run] += (uint8_t)record->as.skip.count;
            break;
        case RECORD_JOB_CLOSE:
            world->ends_of_run[record->as.job_close.run]++;
            world->refreshes += record->as.job_close.outcome == OUTCOME_REFRESHED;
            break;
        case RECORD_RUN_CLOSE: /* the one consent of the run has ended, once */
            assert_int_equal(world->ends_of_run[record->as.run_close.run], 1);
            break;
        case RECORD_SCHEDULE: world->accounted[record->as.schedule.schedule] = *record; break;
        default: break;
        }
    }
    for (uint32_t i = 0; i < world->batch->effect_count; i++) {
        assert_true(world->answers_due < ROW_COUNT(world->answers));
        world->answers[world->answers_due++] = world->batch->effects[i];
    }
}

static void step(struct world *world, const struct event *event)
{
    struct fault fault;
    const struct event again = {.kind = EVENT_TIME};

    world->wake = scheduler_step(world->scheduler, now_of(world), event, world->batch);
    take_records(world);
    while (world->batch->is_full || world->batch->needs_reserve) {
        if (world->batch->needs_reserve)
            assert_int_equal(scheduler_reserve(world->scheduler, SCHEDULE_COUNT, &fault),
                             RESULT_OK);
        world->wake = scheduler_step(world->scheduler, now_of(world), &again, world->batch);
        take_records(world);
    }
}

/* The provider answers at once: accepted, and done at the first poll. */
static void answer_all(struct world *world)
{
    while (world->answers_due > 0) {
        struct effect effect = world->answers[--world->answers_due];
        struct event event = {.kind = EVENT_SENT,
                              .as.sent = {effect.job_slot, effect.provider, effect.request,
                                          now_of(world).mono, now_of(world).utc}};

        step(world, &event);
        event = (struct event){.kind = EVENT_ANSWER};
        event.as.answer.job_slot = effect.job_slot;
        event.as.answer.request = effect.request;
        event.as.answer.answer = (struct answer){
            .class_ = effect.request == REQUEST_INITIATE ? CLASS_ACCEPTED : CLASS_SUCCESS,
            .reached_socket = true,
            .answered = true,
            .has_new_data = TRI_UNKNOWN,
            .reference_hash = effect.job + 1,
            .job_started = UTC_NONE,
            .retry_after_ms = -1,
            .not_before = UTC_NONE,
            .poll_hint_ms = -1,
        };
        step(world, &event);
    }
}

static bool is_idle(const struct world *world)
{
    return scheduler_run_count(world->scheduler) == 0 && scheduler_jobs_live(world->scheduler) == 0;
}

static void restart(struct world *world)
{
    scheduler_destroy(world->scheduler);
    configure(world);
}

/* When the core wants to be woken, in true time. */
static int64_t wake_ms(const struct world *world)
{
    int64_t mono_ms = world->wake.mono.us == MONO_NEVER.us
                          ? INT64_MAX
                          : (world->wake.mono.us + US_PER_MS - 1) / US_PER_MS;
    int64_t utc_ms =
        world->wake.utc.ms == UTC_NEVER.ms ? INT64_MAX : world->wake.utc.ms - world->offset_ms;
    int64_t wake = mono_ms < utc_ms ? mono_ms : utc_ms;

    return wake > world->now_ms ? wake : world->now_ms + 1;
}

static void set_clock(struct world *world, int64_t offset_ms)
{
    world->offset_ms = offset_ms;
    scheduler_clock_stepped(world->scheduler, now_of(world));
}

static void run_through(struct world *world, const struct change *change,
                        enum disturbance disturbance)
{
    const struct event time = {.kind = EVENT_TIME};
    int64_t end_ms = change->at_ms + AFTER_MS;
    int64_t set_ms = disturbance >= CLOCK_SET ? change->at_ms : INT64_MAX;
    bool is_disturbed = false;

    step(world, &time);
    while (world->now_ms < end_ms) {
        int64_t next_ms = wake_ms(world);

        if (world->now_ms < set_ms && next_ms > set_ms)
            next_ms = set_ms;
        world->now_ms = next_ms < end_ms ? next_ms : end_ms;
        if ((disturbance == DOWNTIME || disturbance == STALL) && !is_disturbed && is_idle(world) &&
            world->now_ms >= change->at_ms - 2 * MS_PER_HOUR) {
            is_disturbed = true;
            world->now_ms = change->at_ms + 2 * MS_PER_HOUR + 61 * MS_PER_SECOND;
            if (disturbance == DOWNTIME)
                restart(world);
        }
        if (disturbance == RESTARTS && is_idle(world))
            restart(world);
        if (world->now_ms >= set_ms) {
            int64_t hour = disturbance == CLOCK_SET ? -MS_PER_HOUR : MS_PER_HOUR;

            set_clock(world, world->offset_ms == 0 ? hour : 0);
            set_ms = world->offset_ms == 0 ? INT64_MAX : set_ms + 2 * MS_PER_HOUR;
        }
        step(world, &time);
        answer_all(world);
    }
}

/* ---- the oracle ---- */

static bool matches(size_t cron, int64_t minute_of_day)
{
    if (crons[cron].passes)
        return minute_of_day % crons[cron].minute_step == 0 &&
               minute_of_day / 60 % crons[cron].hour_step == 0;
    for (size_t i = 0; i < ROW_COUNT(crons[cron].minutes) && crons[cron].minutes[i] >= 0; i++)
        if (crons[cron].minutes[i] == minute_of_day)
            return true;
    return false;
}

static int64_t minute_of_day(int64_t local_ms)
{
    return local_ms % MS_PER_DAY / MS_PER_MINUTE;
}

/* Does an instant have to fire? */
static bool has_to_fire(size_t cron, bool runs_after, bool both, const struct change *change,
                        int64_t at_ms)
{
    int64_t shift_ms = ((int64_t)change->after_s - change->before_s) * MS_PER_SECOND;
    int64_t local_ms =
        at_ms + (at_ms < change->at_ms ? change->before_s : change->after_s) * MS_PER_SECOND;

    if (crons[cron].passes)
        return matches(cron, minute_of_day(local_ms));
    if (shift_ms < 0 && at_ms >= change->at_ms && at_ms < change->at_ms - shift_ms && !both)
        return false; /* shown before */
    if (matches(cron, minute_of_day(local_ms)))
        return true;
    if (at_ms != change->at_ms || shift_ms <= 0 || !runs_after)
        return false;
    for (int64_t skipped = local_ms - shift_ms; skipped < local_ms; skipped += MS_PER_MINUTE)
        if (matches(cron, minute_of_day(skipped)))
            return true;
    return false;
}

static uint64_t judge(struct world *world, const struct change *change, int64_t from_ms,
                      int64_t until_ms)
{
    uint64_t slots = 0;

    for (uint32_t i = 0; i < SCHEDULE_COUNT; i++) {
        bool runs_after = world->schedules[i].calendar.gap == CALENDAR_GAP_RUN_AFTER;
        bool both = world->schedules[i].calendar.overlap == CALENDAR_OVERLAP_BOTH;
        uint32_t at = 0;

        for (int64_t t = from_ms + MS_PER_MINUTE; t <= until_ms; t += MS_PER_MINUTE) {
            if (!has_to_fire(i / POLICY_COUNT, runs_after, both, change, t))
                continue;
            if (at >= world->slot_count[i] || world->slots[i][at] != t)
                fail_msg("%s, \"%s\", policy %u: slot %" PRId64 " is not accounted for (next is "
                         "%" PRId64 ")",
                         world->zone->name, crons[i / POLICY_COUNT].cron, i % POLICY_COUNT, t,
                         at < world->slot_count[i] ? world->slots[i][at] : -1);
            at++;
        }
        if (at != world->slot_count[i])
            fail_msg("%s, \"%s\", policy %u: %u slots too many, the first is %" PRId64,
                     world->zone->name, crons[i / POLICY_COUNT].cron, i % POLICY_COUNT,
                     world->slot_count[i] - at, world->slots[i][at]);
        for (uint32_t a = 0; a < world->slot_count[i]; a++)
            for (uint32_t b = 0; b < a; b++)
                assert_false(world->locals[i][a] == world->locals[i][b] &&
                             world->folds[i][a] == world->folds[i][b]);
        assert_true(world->catch_ups[i] <= 1);
        slots += at;
    }
    return slots;
}

/* ---- worlds ---- */

static void describe(struct world *world)
{
    size_t offset;
    struct fault fault;

    world->provider = (struct provider_settings){
        .name = "p",
        .completion = {.poll_first_ms = 2 * MS_PER_SECOND,
                       .poll_floor_ms = MS_PER_SECOND,
                       .poll_max_ms = 5 * MS_PER_SECOND,
                       .give_up_after_ms = MS_PER_HOUR},
        .cooldown_refused_first_ms = MS_PER_MINUTE,
        .cooldown_refused_max_ms = MS_PER_HOUR,
        .pushback_first_ms = MS_PER_SECOND,
        .pushback_max_ms = MS_PER_MINUTE,
        .auth_retry_first_ms = MS_PER_MINUTE,
        .auth_retry_max_ms = MS_PER_HOUR,
    };
    world->institution = (struct institution_settings){.name = "bank", .provider = 0};
    for (uint32_t i = 0; i < SCHEDULE_COUNT; i++) {
        struct schedule_settings *schedule = &world->schedules[i];
        static char names[SCHEDULE_COUNT][8];
        const char *cron = crons[i / POLICY_COUNT].cron;

        (void)snprintf(names[i], sizeof names[i], "s%u", i);
        *schedule = (struct schedule_settings){
            .name = names[i],
            .revision = 1,
            .deadline = {.kind = DEADLINE_DURATION, .duration_ms = 20 * MS_PER_MINUTE},
            .misfire = MISFIRE_RUN_ONCE,
            .misfire_max_age_ms = 12 * MS_PER_HOUR,
            .retry = {1, MS_PER_SECOND, MS_PER_SECOND},
            .priority = 5,
        };
        assert_int_equal(cron_parse(cron, strlen(cron), &schedule->calendar.cron, &offset, &fault),
                         RESULT_OK);
        schedule->calendar.zone = world->zone;
        schedule->calendar.gap = i % 2 == 0 ? CALENDAR_GAP_RUN_AFTER : CALENDAR_GAP_SKIP;
        schedule->calendar.overlap =
            i % POLICY_COUNT < 2 ? CALENDAR_OVERLAP_FIRST : CALENDAR_OVERLAP_BOTH;
        world->sets[i] = (struct schedule_set){.schedules = {(uint16_t)i}, .count = 1};
    }
    world->settings = (struct scheduler_settings){.providers = &world->provider,
                                                  .provider_count = 1,
                                                  .institutions = &world->institution,
                                                  .institution_count = 1,
                                                  .schedules = world->schedules,
                                                  .schedule_count = SCHEDULE_COUNT,
                                                  .schedule_sets = world->sets,
                                                  .schedule_set_count = SCHEDULE_COUNT};
}

static uint64_t one_world(const struct zone *zone, const struct change *change,
                          enum disturbance disturbance, uint64_t *refreshes)
{
    struct world *world = calloc(1, sizeof *world);
    uint64_t slots;
    int64_t from_ms;

    assert_non_null(world);
    world->batch = calloc(1, sizeof *world->batch);
    assert_non_null(world->batch);
    world->zone = zone;
    world->now_ms = change->at_ms - BEFORE_MS - 7 * MS_PER_MINUTE;
    from_ms = world->now_ms - world->now_ms % MS_PER_MINUTE;
    world->next_run = 1;
    world->next_job = 1;
    describe(world);
    configure(world);
    run_through(world, change, disturbance);
    slots = judge(world, change, from_ms, change->at_ms + AFTER_MS);
    *refreshes += world->refreshes;
    scheduler_destroy(world->scheduler);
    free(world->batch);
    free(world);
    return slots;
}

static uint32_t find_changes(const struct zone *zone, struct change *changes)
{
    int64_t at_s = INT64_C(1767225600);        /* 2026-01-01 */
    const int64_t end_s = INT64_C(1861920000); /* 2029-01-01 */
    uint32_t count = 0;

    while (at_s < end_s && count < CHANGES_MAX) {
        struct zone_span span = zone_span_at(zone, at_s);
        struct zone_offset before = zone_offset_at(zone, (struct utc_time){at_s * MS_PER_SECOND});
        struct zone_offset after;

        if (span.end_s >= end_s)
            break;
        after = zone_offset_at(zone, (struct utc_time){span.end_s * MS_PER_SECOND});
        if (after.offset_s != before.offset_s)
            changes[count++] =
                (struct change){span.end_s * MS_PER_SECOND, before.offset_s, after.offset_s};
        at_s = span.end_s;
    }
    return count;
}

static void test_every_change(void **state)
{
    struct arena arena;
    uint32_t zones = 0;
    uint64_t changes_seen = 0;
    uint64_t slots = 0;
    uint64_t refreshes = 0;

    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < ROW_COUNT(zone_names); i++) {
        const struct zone *zone;
        struct change changes[CHANGES_MAX];
        struct fault fault;
        uint32_t count;

        if (zone_load(ZONE_DIRECTORY, zone_names[i], &arena, &zone, &fault) != RESULT_OK)
            continue; /* this machine's data does not have it */
        count = find_changes(zone, changes);
        zones += count > 0;
        changes_seen += count;
        for (uint32_t c = 0; c < count; c++)
            for (enum disturbance d = UNDISTURBED; d < DISTURBANCE_COUNT; d++)
                slots += one_world(zone, &changes[c], d, &refreshes);
    }
    arena_deinit(&arena);
    print_message("%u zones, %" PRIu64 " clock changes, %d policies, %zu expressions, %d "
                  "disturbances: %" PRIu64 " slots accounted for once, %" PRIu64 " refreshes\n",
                  zones, changes_seen, POLICY_COUNT, CRON_COUNT, DISTURBANCE_COUNT, slots,
                  refreshes);
    assert_true(zones >= 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_change)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
