/* SPDX-License-Identifier: MIT
 * world.c - see world.h. */
#include "tests/simulation/world.h"

#include <string.h>

#include "base/text.h"
#include "base/zone_file.h"

static const char *const provider_names[WORLD_PROVIDERS] = {"p0", "p1", "p2", "p3", "p4", "p5"};
static const char *const schedule_names[WORLD_SCHEDULES] = {"s0", "s1", "s2", "s3",
                                                            "s4", "s5", "s6"};
static char institution_names[WORLD_INSTITUTIONS][8];

const char *world_provider_name(uint32_t provider)
{
    return provider_names[provider];
}

/* ---- zones ---- */

static const char *const zone_names[] = {"UTC",
                                         "Europe/London",
                                         "Europe/Bucharest",
                                         "America/New_York",
                                         "Australia/Lord_Howe",
                                         "America/Sao_Paulo",
                                         "Asia/Kolkata",
                                         "Africa/Casablanca"};
#define ZONE_COUNT (sizeof zone_names / sizeof *zone_names)
/* Days before clocks change, where it hurts most. */
static const char *const change_days[] = {"2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31",
                                          "2026-04-04", "2026-10-03", "2027-02-06", "2027-03-27",
                                          "2027-10-30", "2028-02-28", "2028-12-31"};

static const struct zone *zone_at(size_t index)
{
    static struct arena arena;
    static const struct zone *zones[ZONE_COUNT];
    struct fault fault;

    if (zones[0] == NULL) {
        arena_init(&arena);
        for (size_t i = 0; i < ZONE_COUNT; i++)
            REQUIRE(zone_load(ZONE_DIRECTORY, zone_names[i], &arena, &zones[i], &fault) ==
                    RESULT_OK);
    }
    return zones[index];
}

static const struct zone *some_zone(struct random *random)
{
    return zone_at((size_t)dice_below(random, ZONE_COUNT));
}

/* ---- limits ---- */

static struct rate some_rate(struct random *random)
{
    switch (dice_below(random, 6)) {
    case 0: return (struct rate){1, MS_PER_SECOND * dice_between(random, 1, 20)};
    case 1: return (struct rate){(uint32_t)dice_between(random, 2, 10), MS_PER_SECOND};
    case 2: return (struct rate){(uint32_t)dice_between(random, 3, 60), MS_PER_MINUTE};
    case 3: return (struct rate){(uint32_t)dice_between(random, 20, 200), MS_PER_HOUR};
    case 4: return (struct rate){(uint32_t)dice_between(random, 2, 12), 10 * MS_PER_SECOND};
    default: return (struct rate){(uint32_t)dice_between(random, 100, 2000), MS_PER_DAY};
    }
}

/* A stretch of up to `hours_max` hours: each day, on some days, once a week, or just once. */
static struct time_range some_range(const struct world *world, int64_t hours_max)
{
    struct random *random = world->random;
    int64_t start_s = dice_below(random, 24 * 12) * 300;
    int64_t length_s = 300 * dice_between(random, 1, hours_max * 12);
    struct time_range range = {.zone = some_zone(random),
                               .kind = TIME_RANGE_DAILY,
                               .weekdays = TIME_RANGE_EVERY_DAY,
                               .start_s = start_s,
                               .end_s = (start_s + length_s) % 86400};

    switch (dice_below(random, 6)) {
    case 0: range.weekdays = (uint8_t)dice_between(random, 1, TIME_RANGE_EVERY_DAY); break;
    case 1:
        range.kind = TIME_RANGE_WEEKLY;
        range.start_s += dice_below(random, 7) * 86400;
        range.end_s = (range.start_s + length_s) % (7 * 86400);
        break;
    case 2:
        range.kind = TIME_RANGE_DATES;
        range.start_s = world->start.ms / MS_PER_SECOND + dice_below(random, 3 * 86400);
        range.end_s = range.start_s + length_s;
        break;
    default: break;
    }
    return range;
}

static struct world_hours some_hours(const struct world *world)
{
    struct world_hours hours = {
        .has_blackout = dice_one_in(world->random, 6),
        .has_window = dice_one_in(world->random, 12),
        .blackout = some_range(world, 4),
        .window = some_range(world, 20),
    };

    if (hours.window.kind != TIME_RANGE_DAILY)
        hours.has_window = false; /* it would hardly ever be open */
    hours.window.weekdays = TIME_RANGE_EVERY_DAY;
    return hours;
}

static void some_limits(const struct world *world, struct world_node *node)
{
    struct random *random = world->random;
    struct limit_settings *limits = &node->limits;

    *limits = (struct limit_settings){
        .pace = {.learns = !dice_one_in(random, 3),
                 .floor_interval_us = US_PER_SECOND * dice_between(random, 5, 120)}};
    node->hours = some_hours(world);
    while (limits->rate_count < 3 && dice_one_in(random, 2))
        limits->rates[limits->rate_count++] = some_rate(random);
    if (dice_one_in(random, 3))
        limits->requests_in_flight_max = (uint32_t)dice_between(random, 1, 6);
    if (dice_one_in(random, 3))
        limits->jobs_running_max = (uint32_t)dice_log(random, 1, 5);
}

/* ---- providers ---- */

static struct breaker_settings some_breaker(struct random *random)
{
    int64_t first_ms = MS_PER_SECOND * dice_log(random, 5, 5);

    return (struct breaker_settings){
        .failures = dice_one_in(random, 4) ? 0 : (uint32_t)dice_between(random, 2, 10),
        .configuration =
            dice_one_in(random, 4) ? 0 : (uint32_t)dice_between(random, 2, BREAKER_CONSENTS_MAX),
        .probes_max = (uint32_t)dice_between(random, 1, 3),
        .probe_first_ms = first_ms,
        .probe_max_ms = first_ms << dice_below(random, 5),
        .lease_ms = MS_PER_MINUTE * dice_between(random, 1, 15),
    };
}

static struct cooldown_settings some_cooldown(struct random *random)
{
    struct cooldown_settings cooldown = {0};
    int64_t ms = MS_PER_MINUTE * dice_log(random, 5, 6);

    if (dice_one_in(random, 3))
        return cooldown;
    cooldown = (struct cooldown_settings){ms, ms, ms};
    if (dice_one_in(random, 2)) {
        cooldown.after_success_ms = dice_below(random, ms + 1);
        cooldown.after_failure_ms = dice_below(random, ms + 1);
    }
    return cooldown;
}

static void make_provider(struct world *world, uint32_t index)
{
    struct random *random = world->random;
    struct world_provider *provider = &world->providers[index];
    struct provider_settings *settings = &provider->settings;

    provider->node.is_there = true;
    some_limits(world, &provider->node);
    *settings = (struct provider_settings){
        .name = provider_names[index],
        .cooldown = some_cooldown(random),
        .completion = {.webhook = dice_one_in(random, 2),
                       .poll_first_ms = MS_PER_SECOND * dice_log(random, 2, 5),
                       .poll_floor_ms = MS_PER_SECOND * dice_between(random, 1, 10),
                       .poll_max_ms = MS_PER_MINUTE * dice_between(random, 1, 15),
                       .give_up_after_ms = MS_PER_MINUTE * dice_log(random, 20, 4)},
        .in_doubt = dice_one_in(random, 2) ? IN_DOUBT_REINITIATE : IN_DOUBT_AWAIT,
        .dedupe_window_ms = MS_PER_HOUR,
        .cooldown_refused_first_ms = MS_PER_MINUTE * dice_between(random, 1, 20),
        .cooldown_refused_max_ms = MS_PER_HOUR * dice_between(random, 1, 6),
        .pushback_first_ms = MS_PER_SECOND * dice_log(random, 1, 6),
        .pushback_max_ms = MS_PER_MINUTE * dice_log(random, 2, 6),
        .pushback_yields = dice_one_in(random, 2),
        .auth_retry_first_ms = MS_PER_SECOND * dice_log(random, 10, 4),
        .auth_retry_max_ms = MS_PER_MINUTE * dice_log(random, 5, 4),
        .rate_guard_ms = dice_one_in(random, 2) ? 50 : 0,
        .needs_token = dice_one_in(random, 2),
        .can_look_up = dice_one_in(random, 2),
        .breaker = some_breaker(random),
        .retry_budget_percent = dice_one_in(random, 3) ? 0 : (uint32_t)dice_between(random, 5, 50),
        .revision = 1,
        .expiry_margin_ms = dice_one_in(random, 2) ? 0 : MS_PER_MINUTE * dice_log(random, 1, 8),
    };
    if (settings->in_doubt == IN_DOUBT_AWAIT && dice_one_in(random, 2))
        settings->dedupe_window_ms = 0;
    if (settings->can_look_up && !dice_one_in(random, 3))
        settings->recheck_ms = MS_PER_HOUR * dice_between(random, 1, 30);
    if (!dice_one_in(random, 4))
        settings->quota = (struct quota_settings){(uint32_t)dice_between(random, 1, 8),
                                                  MS_PER_HOUR * dice_log(random, 1, 5)};
}

static void make_institutions(struct world *world, uint32_t banks)
{
    world->institution_count = world->provider_count + banks;
    for (uint32_t i = 0; i < world->institution_count; i++) {
        struct world_institution *institution = &world->institutions[i];

        institution->node.is_there = true;
        institution->is_default = i < world->provider_count;
        institution->provider =
            institution->is_default
                ? i
                : (uint32_t)dice_below(world->random, (int64_t)world->provider_count);
        some_limits(world, &institution->node);
        institution_names[i][0] = institution->is_default ? '-' : 'b';
        institution_names[i][1] = institution->is_default ? '\0' : (char)('a' + i / 10);
        institution_names[i][2] = (char)('0' + i % 10);
        institution_names[i][3] = '\0';
    }
}

/* ---- schedules ---- */

static const struct {
    const char *cron;
    int64_t period_ms; /* as a measure for spreads and deadlines */
    int32_t odds;      /* of 100 */
} crons[] = {
    {"0 1 * * *", MS_PER_DAY, 25},          {"30 2 * * *", MS_PER_DAY, 15},
    {"0 0 * * *", MS_PER_DAY, 8},           {"0 */6 * * *", 6 * MS_PER_HOUR, 14},
    {"15 */2 * * *", 2 * MS_PER_HOUR, 6},   {"30 1,13 * * *", 12 * MS_PER_HOUR, 10},
    {"@every 5h", 5 * MS_PER_HOUR, 6},      {"45 0-3 * * *", MS_PER_HOUR, 4},
    {"0 3 * * mon,thu", 2 * MS_PER_DAY, 6}, {"5 * * * *", MS_PER_HOUR, 3},
    {"30 2 28-31 * *", MS_PER_DAY, 3},
};

static void some_calendar(struct random *random, struct schedule_settings *settings,
                          int64_t *period_ms)
{
    int64_t roll = dice_below(random, 100);
    struct fault fault;
    size_t offset;
    size_t i = 0;

    while (roll >= crons[i].odds)
        roll -= crons[i++].odds;
    REQUIRE(cron_parse(crons[i].cron, strlen(crons[i].cron), &settings->calendar.cron, &offset,
                       &fault) == RESULT_OK);
    settings->calendar.zone = some_zone(random);
    settings->calendar.gap = dice_one_in(random, 3) ? CALENDAR_GAP_SKIP : CALENDAR_GAP_RUN_AFTER;
    settings->calendar.overlap =
        dice_one_in(random, 2) ? CALENDAR_OVERLAP_FIRST : CALENDAR_OVERLAP_BOTH;
    *period_ms = crons[i].period_ms;
}

static void some_policies(struct random *random, struct schedule_settings *settings,
                          int64_t period_ms)
{
    settings->spread_ms = dice_one_in(random, 4) ? 0 : dice_below(random, period_ms / 3);
    switch (dice_below(random, 3)) {
    case 0: settings->deadline.kind = DEADLINE_NEXT_FIRING; break;
    case 1:
        settings->deadline.kind = DEADLINE_DURATION;
        settings->deadline.duration_ms = dice_between(random, period_ms / 8, period_ms * 5 / 4);
        break;
    default:
        settings->deadline.kind = DEADLINE_WALL_CLOCK;
        settings->deadline.time_of_day_s = (int32_t)(dice_below(random, 96) * 900);
        break;
    }
    settings->misfire = dice_one_in(random, 3) ? MISFIRE_SKIP : MISFIRE_RUN_ONCE;
    settings->misfire_max_age_ms = MS_PER_HOUR * dice_between(random, 1, 24);
    settings->retry = (struct retry_settings){(uint32_t)dice_between(random, 1, 5),
                                              MS_PER_SECOND * dice_log(random, 5, 6),
                                              MS_PER_MINUTE * dice_log(random, 6, 5)};
    settings->priority = (uint8_t)dice_below(random, PRIORITY_MAX + 1);
}

static void make_schedules(struct world *world)
{
    world->schedule_count = (uint32_t)dice_between(world->random, 1, 5);
    for (uint32_t i = 0; i < world->schedule_count; i++) {
        struct world_schedule *schedule = &world->schedules[i];
        int64_t period_ms = 0;

        schedule->is_there = true;
        schedule->settings = (struct schedule_settings){.name = schedule_names[i], .revision = 1};
        some_calendar(world->random, &schedule->settings, &period_ms);
        some_policies(world->random, &schedule->settings, period_ms);
        if (dice_one_in(world->random, 3))
            schedule->hours = some_hours(world);
    }
}

static void make_sets(struct world *world)
{
    world->set_count = world->schedule_count + (uint32_t)dice_below(world->random, 3);
    for (uint32_t i = 0; i < world->set_count; i++) {
        struct schedule_set *set = &world->sets[i];
        uint16_t first = (uint16_t)(i % world->schedule_count);
        uint16_t second = (uint16_t)dice_below(world->random, (int64_t)world->schedule_count);

        *set = (struct schedule_set){.schedules = {first}, .count = 1};
        if (i >= world->schedule_count && second != first)
            set->schedules[set->count++] = second;
    }
}

/* ---- consents ---- */

static struct utc_time some_expiry(struct world *world, struct utc_time now)
{
    if (!dice_one_in(world->random, 8))
        return UTC_NEVER;
    return utc_add_ms(now, dice_below(world->random, 72 * MS_PER_HOUR));
}

static void make_consent(struct world *world, uint32_t number, uint64_t seed)
{
    struct world_consent *consent = &world->consents[number];
    struct random *random = world->random;

    *consent = (struct world_consent){
        .is_there = !dice_one_in(random, 25),
        .institution = (uint32_t)dice_below(random, (int64_t)world->institution_count),
        .set = (uint16_t)dice_below(random, (int64_t)world->set_count),
        .priority = dice_one_in(random, 5) ? (uint8_t)dice_below(random, 10)
                                           : (uint8_t)PRIORITY_FROM_SCHEDULE,
        .mode = dice_one_in(random, 25) ? (uint8_t)(dice_one_in(random, 2) ? MODE_LISTEN : MODE_OFF)
                                        : (uint8_t)MODE_ACTIVE,
        .expires = some_expiry(world, world->start),
        .authorized_at = UTC_NONE,
        .hash = hash_bytes(&number, sizeof number, seed),
    };
    if (dice_one_in(random, 40))
        consent->set = UINT16_MAX;
}

void world_make(struct world *world, struct random *random)
{
    int64_t size = dice_below(random, 10);
    uint64_t hash_seed = random_next(random);
    uint32_t banks;

    *world = (struct world){.random = random};
    if (dice_one_in(random, 2)) {
        const char *day = change_days[dice_below(random, sizeof change_days / sizeof *change_days)];

        REQUIRE(utc_parse(day, strlen(day), &world->start));
    } else {
        world->start.ms = INT64_C(1767225600000) + dice_below(random, 900) * MS_PER_DAY;
    }
    world->start = utc_add_ms(world->start, dice_below(random, MS_PER_DAY));
    world->provider_count = (uint32_t)dice_between(random, 1, size < 7 ? 2 : WORLD_PROVIDERS);
    banks = (uint32_t)(size < 5   ? dice_below(random, 4)
                       : size < 8 ? dice_between(random, 2, 12)
                                  : dice_between(random, 12, 40));
    world->consent_max = (uint32_t)(size < 5   ? dice_between(random, 4, 40)
                                    : size < 8 ? dice_between(random, 20, 100)
                                               : dice_between(random, 80, WORLD_CONSENTS));
    for (uint32_t i = 0; i < world->provider_count; i++)
        make_provider(world, i);
    make_institutions(world, banks);
    make_schedules(world);
    make_sets(world);
    for (uint32_t i = 1; i <= world->consent_max; i++)
        make_consent(world, i, hash_seed);
}

/* ---- snapshots ---- */

/* Hours as the core borrows them; `kept` lives as long as the snapshot. */
static struct hours_settings borrowed_hours(const struct world_hours *hours,
                                            struct world_hours *kept)
{
    struct hours_settings settings = {0};

    *kept = *hours;
    if (hours->has_blackout) {
        settings.blackouts = &kept->blackout;
        settings.blackout_count = 1;
    }
    if (hours->has_window) {
        settings.windows = &kept->window;
        settings.window_count = 1;
    }
    return settings;
}

static struct limit_settings node_limits(const struct world_node *node, struct world_hours *kept)
{
    struct limit_settings limits = node->limits;

    limits.hours = borrowed_hours(&node->hours, kept);
    return limits;
}

static void snapshot_providers(const struct world *world, struct snapshot *snapshot)
{
    uint32_t count = 0;

    for (uint32_t turn = 0; turn < world->provider_count; turn++) {
        uint32_t i = (turn + world->rotation) % world->provider_count;
        const struct world_provider *provider = &world->providers[i];

        snapshot->provider_index[i] = WORLD_NONE;
        if (!provider->node.is_there)
            continue;
        snapshot->provider_index[i] = count;
        snapshot->provider_of[count] = i;
        snapshot->providers[count] = provider->settings;
        snapshot->providers[count].limits = node_limits(&provider->node, &snapshot->hours[i]);
        count++;
    }
    snapshot->settings.providers = snapshot->providers;
    snapshot->settings.provider_count = count;
}

static void snapshot_institutions(const struct world *world, struct snapshot *snapshot)
{
    uint32_t count = 0;

    for (uint32_t turn = 0; turn < world->institution_count; turn++) {
        uint32_t i = (turn + world->rotation) % world->institution_count;
        const struct world_institution *institution = &world->institutions[i];
        uint32_t place = WORLD_PROVIDERS + i;

        snapshot->institution_index[i] = WORLD_NONE;
        if (!institution->node.is_there ||
            snapshot->provider_index[institution->provider] == WORLD_NONE)
            continue;
        snapshot->institution_index[i] = count;
        snapshot->institution_of[count] = i;
        snapshot->institutions[count] = (struct institution_settings){
            .name = institution_names[i],
            .provider = snapshot->provider_index[institution->provider],
            .limits = node_limits(&institution->node, &snapshot->hours[place]),
        };
        count++;
    }
    snapshot->settings.institutions = snapshot->institutions;
    snapshot->settings.institution_count = count;
}

static void snapshot_schedules(const struct world *world, struct snapshot *snapshot)
{
    uint32_t count = 0;

    for (uint32_t turn = 0; turn < world->schedule_count; turn++) {
        uint32_t i = (turn + world->rotation) % world->schedule_count;

        snapshot->schedule_index[i] = WORLD_NONE;
        if (!world->schedules[i].is_there)
            continue;
        snapshot->schedule_index[i] = count;
        snapshot->schedule_of[count] = i;
        snapshot->schedules[count] = world->schedules[i].settings;
        snapshot->schedules[count].hours = borrowed_hours(
            &world->schedules[i].hours, &snapshot->hours[WORLD_PROVIDERS + WORLD_INSTITUTIONS + i]);
        count++;
    }
    snapshot->settings.schedules = snapshot->schedules;
    snapshot->settings.schedule_count = count;
    for (uint32_t i = 0; i < world->set_count; i++) {
        struct schedule_set *set = &snapshot->sets[i];

        *set = (struct schedule_set){0};
        for (uint32_t k = 0; k < world->sets[i].count; k++) {
            uint32_t index = snapshot->schedule_index[world->sets[i].schedules[k]];

            if (index != WORLD_NONE)
                set->schedules[set->count++] = (uint16_t)index;
        }
    }
    snapshot->settings.schedule_sets = snapshot->sets;
    snapshot->settings.schedule_set_count = world->set_count;
}

void world_snapshot(const struct world *world, struct snapshot *snapshot)
{
    snapshot_providers(world, snapshot);
    snapshot_institutions(world, snapshot);
    snapshot_schedules(world, snapshot);
    for (uint32_t i = 1; i <= world->consent_max; i++) {
        const struct world_consent *consent = &world->consents[i];
        uint32_t index = snapshot->institution_index[consent->institution];

        snapshot->consent_institution[i] = consent->institution;
        snapshot->consent_provider[i] = world->institutions[consent->institution].provider;
        snapshot->has_consent[i] = consent->is_there && index != WORLD_NONE;
        snapshot->consents[i] = (struct consent_settings){
            .hash = consent->hash,
            .institution = index,
            .schedule_set = consent->set,
            .priority = consent->priority,
            .mode = consent->mode,
            .expires = consent->expires,
            .authorized_at = consent->authorized_at,
        };
        if (consent->set != UINT16_MAX && snapshot->sets[consent->set].count == 0)
            snapshot->consents[i].schedule_set = UINT16_MAX;
    }
}

/* ---- changes ---- */

void world_authorize(struct world *world, uint32_t number, struct utc_time now)
{
    struct world_consent *consent = &world->consents[number];

    consent->authorized_at = now;
    consent->expires = UTC_NEVER;
}

static void change_consent(struct world *world, struct utc_time now)
{
    uint32_t number = 1 + (uint32_t)dice_below(world->random, (int64_t)world->consent_max);
    struct world_consent *consent = &world->consents[number];
    struct random *random = world->random;

    switch (dice_below(random, 7)) {
    case 0:
    case 1: consent->is_there = !consent->is_there; break;
    case 2: consent->set = (uint16_t)dice_below(random, (int64_t)world->set_count); break;
    case 3: consent->priority = (uint8_t)dice_below(random, 10); break;
    case 4: consent->expires = some_expiry(world, now); break;
    case 5: world_authorize(world, number, now); break;
    default:
        if (consent->mode == MODE_ACTIVE && dice_one_in(random, 4))
            consent->mode = dice_one_in(random, 2) ? MODE_LISTEN : MODE_OFF;
        else
            consent->mode = MODE_ACTIVE;
        break;
    }
}

static void change_institution(struct world *world)
{
    uint32_t i = (uint32_t)dice_below(world->random, (int64_t)world->institution_count);

    if (dice_one_in(world->random, 6) && !world->institutions[i].is_default)
        world->institutions[i].node.is_there = !world->institutions[i].node.is_there;
    else
        some_limits(world, &world->institutions[i].node);
}

static void change_schedule(struct world *world)
{
    struct random *random = world->random;
    struct world_schedule *schedule =
        &world->schedules[dice_below(random, (int64_t)world->schedule_count)];
    int64_t period_ms = MS_PER_DAY;

    switch (dice_below(random, 4)) {
    case 0: schedule->is_there = !schedule->is_there; break;
    case 1:
        some_calendar(random, &schedule->settings, &period_ms);
        schedule->settings.revision++;
        break;
    case 2:
        some_policies(random, &schedule->settings, 6 * MS_PER_HOUR);
        schedule->hours = some_hours(world);
        break;
    default: schedule->settings.priority = (uint8_t)dice_below(random, PRIORITY_MAX + 1); break;
    }
}

void world_change(struct world *world, struct utc_time now)
{
    uint32_t provider = (uint32_t)dice_below(world->random, (int64_t)world->provider_count);

    switch (dice_below(world->random, 10)) {
    case 0: change_institution(world); break;
    case 1: change_schedule(world); break;
    case 2:
        some_limits(world, &world->providers[provider].node);
        world->providers[provider].settings.revision++;
        break;
    case 3:
        if (dice_one_in(world->random, 3))
            world->providers[provider].node.is_there = !world->providers[provider].node.is_there;
        else
            world->providers[provider].settings.cooldown = some_cooldown(world->random);
        break;
    case 4: world->rotation++; break;
    default: change_consent(world, now); break;
    }
}
