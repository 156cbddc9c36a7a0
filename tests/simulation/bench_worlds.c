/* SPDX-License-Identifier: MIT
 * bench_worlds.c - figures of the whole core against worlds that are made for one question each.
 *
 *     bench_worlds [--seed N] [--trace] [learning | fairness | downtime | deadline]...
 *
 * learning   banks whose true limit is drawn anew each hour (log-uniform 0.2-5/s) and whose
 * refusals come as results of jobs 5-30 s later: what is got of what an all-knowing sender would
 *            get, and how much is refused
 * fairness   forty banks share an account's running jobs, none has a limit of its own; then the
 *            fortieth hangs: what the other thirty-nine lose
 * downtime   a daemon that was down for twelve hours over its night: is each slot accounted for,
 * and is there a burst beyond the limits when it catches up or in the night after?
 * deadline   a provider is closed in the middle of the window: is enough done before it closes?
 *
 * Prints each figure beside its target; with --trace a line "trace,WORLD,MILLISECOND,EVENT,BANK,
 * JOBS RUNNING THERE" for each request as well, for pictures (dev/figures). Exit 1 when a target is
 * missed. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/simulation/simulation.h"

#define BANKS_MAX 40
#define LIMIT_HOURS 24
#define START_MS INT64_C(1772409600000) /* 2026-03-02T00:00:00Z */

/* ---- a bank, and a core that is driven without a store ---- */

struct bench_bank {
    double limits[LIMIT_HOURS];
    double limit; /* per second; 0: none */
    double tokens;
    int64_t tokens_us;
    double possible; /* what an all-knowing sender would have got */
    int64_t sent;
    int64_t accepted;
    int64_t refused;
    int64_t ended;
    bool hangs;
};

enum bench_moment { BENCH_ANSWER, BENCH_RESULT, BENCH_POLLED, BENCH_REDRAW };

struct bench_job {
    uint64_t job;
    uint32_t bank;
    bool is_refused;
};

struct bench {
    struct random random;
    struct scheduler *scheduler;
    struct batch *batch;
    struct effect *effects;
    uint32_t effect_count;
    uint32_t effect_capacity;
    struct timeline timeline;
    int64_t true_us;
    struct wake wake;
    struct provider_settings provider;
    struct institution_settings institutions[BANKS_MAX];
    char names[BANKS_MAX][8];
    struct schedule_settings schedule;
    struct schedule_set set;
    struct scheduler_settings settings;
    struct bench_bank banks[BANKS_MAX];
    uint32_t bank_count;
    uint32_t consent_max;
    struct bench_job *jobs; /* by slot */
    uint32_t job_capacity;
    int64_t job_least_us;
    int64_t job_most_us;
    bool keeps_spread;
    const char *trace; /* the name of this world in it; NULL: no trace */
};

static bool is_tracing;

static struct time_now bench_now(const struct bench *b)
{
    return (struct time_now){{START_MS + b->true_us / US_PER_MS}, {b->true_us + 1000}};
}

static void bench_trace(const struct bench *b, const char *what, uint32_t bank)
{
    struct node_view view;

    if (b->trace == NULL)
        return;
    scheduler_institution_view(b->scheduler, bench_now(b), bank, &view);
    printf("trace,%s,%" PRId64 ",%s,%" PRIu32 ",%" PRIu32 "\n", b->trace, b->true_us / US_PER_MS,
           what, bank, view.jobs_running);
}

static void bench_settings(struct bench *b)
{
    size_t offset;
    struct fault fault;

    b->provider = (struct provider_settings){
        .name = "p",
        .completion = {.webhook = true,
                       .poll_first_ms = 10 * MS_PER_MINUTE,
                       .poll_floor_ms = MS_PER_SECOND,
                       .poll_max_ms = 10 * MS_PER_MINUTE,
                       .give_up_after_ms = MS_PER_HOUR},
        .in_doubt = IN_DOUBT_REINITIATE,
        .dedupe_window_ms = 0,
        .cooldown_refused_first_ms = MS_PER_MINUTE,
        .cooldown_refused_max_ms = MS_PER_HOUR,
        .pushback_first_ms = 30 * MS_PER_SECOND,
        .pushback_max_ms = MS_PER_HOUR,
        .auth_retry_first_ms = MS_PER_MINUTE,
        .auth_retry_max_ms = MS_PER_HOUR,
        .breaker = {5, 10, 1, 30 * MS_PER_SECOND, 10 * MS_PER_MINUTE, 2 * MS_PER_MINUTE},
        .retry_budget_percent = 20,
        .revision = 1,
    };
    b->schedule = (struct schedule_settings){
        .name = "s",
        .revision = 1,
        .calendar = {.zone = &zone_utc},
        .deadline = {.kind = DEADLINE_DURATION, .duration_ms = 48 * MS_PER_HOUR},
        .retry = {3, MS_PER_MINUTE, MS_PER_HOUR},
        .priority = 5,
    };
    REQUIRE(cron_parse("0 1 * * *", 9, &b->schedule.calendar.cron, &offset, &fault) == RESULT_OK);
    for (uint32_t i = 0; i < b->bank_count; i++) {
        (void)snprintf(b->names[i], sizeof b->names[i], "b%02u", i % 100);
        b->institutions[i] = (struct institution_settings){.name = b->names[i]};
        b->institutions[i].limits.pace =
            (struct pace_settings){.learns = true, .floor_interval_us = PACE_FLOOR_DEFAULT_US};
    }
    b->set = (struct schedule_set){.schedules = {0}, .count = 1};
    b->settings = (struct scheduler_settings){
        .providers = &b->provider,
        .provider_count = 1,
        .institutions = b->institutions,
        .institution_count = b->bank_count,
        .schedules = &b->schedule,
        .schedule_count = 1,
        .schedule_sets = &b->set,
        .schedule_set_count = 1,
    };
}

/* So many consents for each bank, all due at once. */
static void bench_begin(struct bench *b, const uint32_t *consents)
{
    struct fault fault;
    uint32_t number = 0;
    uint32_t run;

    for (uint32_t i = 0; i < b->bank_count; i++)
        b->consent_max += consents[i];
    b->scheduler = scheduler_create(b->random.state);
    b->batch = calloc(1, sizeof *b->batch);
    REQUIRE(b->scheduler != NULL && b->batch != NULL);
    REQUIRE(scheduler_configure(b->scheduler, bench_now(b), &b->settings, &fault) == RESULT_OK);
    REQUIRE(scheduler_reserve(b->scheduler, b->consent_max, &fault) == RESULT_OK);
    for (uint32_t i = 0; i < b->bank_count; i++)
        for (uint32_t k = 0; k < consents[i]; k++) {
            struct consent_settings settings = {
                .institution = i,
                .priority = PRIORITY_FROM_SCHEDULE,
                .expires = UTC_NEVER,
                .authorized_at = UTC_NONE,
            };

            number++;
            settings.hash = hash_bytes(&number, sizeof number, 1);
            scheduler_consent_put(b->scheduler, number, &settings);
        }
    scheduler_recover_done(b->scheduler, bench_now(b), 1, 1);
    scheduler_set_calendars(b->scheduler, false);
    REQUIRE(scheduler_open_once(b->scheduler, bench_now(b), 0, b->keeps_spread, NULL, NULL, &run,
                                &fault) == RESULT_OK);
}

static void bench_end(struct bench *b)
{
    scheduler_destroy(b->scheduler);
    timeline_deinit(&b->timeline);
    free(b->batch);
    free(b->effects);
    free(b->jobs);
}

/* A bucket that holds what the limit gives in a second, one at least. */
static bool bank_takes(struct bench *b, struct bench_bank *bank)
{
    double most = bank->limit > 1 ? bank->limit : 1;

    if (bank->limit == 0)
        return true;
    bank->tokens += bank->limit * (double)(b->true_us - bank->tokens_us) / 1e6;
    bank->tokens_us = b->true_us;
    if (bank->tokens > most)
        bank->tokens = most;
    if (bank->tokens < 1)
        return false;
    bank->tokens -= 1;
    return true;
}

static struct bench_job *bench_job(struct bench *b, uint32_t slot)
{
    if (slot >= b->job_capacity) {
        uint32_t capacity = 2 * slot + 256;

        b->jobs = realloc(b->jobs, capacity * sizeof *b->jobs);
        REQUIRE(b->jobs != NULL);
        memset(b->jobs + b->job_capacity, 0, (capacity - b->job_capacity) * sizeof *b->jobs);
        b->job_capacity = capacity;
    }
    return &b->jobs[slot];
}

static uint32_t bank_of(const struct bench *b, const uint32_t *firsts, uint32_t consent)
{
    uint32_t bank = 0;

    while (bank + 1 < b->bank_count && consent >= firsts[bank + 1])
        bank++;
    return bank;
}

static void bench_send(struct bench *b, const struct effect *effect, const uint32_t *firsts)
{
    struct bench_job *job = bench_job(b, effect->job_slot);
    struct bench_bank *bank;
    int64_t result_us =
        b->job_least_us + dice_below(&b->random, b->job_most_us - b->job_least_us + 1);

    if (effect->request == REQUEST_POLL) {
        timeline_add(&b->timeline, b->true_us + 20000, (enum moment_kind)BENCH_POLLED,
                     effect->job_slot, 0);
        return;
    }
    *job = (struct bench_job){effect->job, bank_of(b, firsts, effect->consent), false};
    bank = &b->banks[job->bank];
    bank->sent++;
    bench_trace(b, "sent", job->bank);
    job->is_refused = !bank_takes(b, bank);
    bank->refused += job->is_refused;
    bank->accepted += !job->is_refused;
    timeline_add(&b->timeline, b->true_us + 50000, (enum moment_kind)BENCH_ANSWER, effect->job_slot,
                 0);
    if (!bank->hangs)
        timeline_add(&b->timeline, b->true_us + result_us, (enum moment_kind)BENCH_RESULT,
                     effect->job_slot, (uint32_t)effect->job);
}

/* One event, and every hand-over that follows from it at the same instant. */
static void bench_step(struct bench *b, const struct event *event, const uint32_t *firsts)
{
    static const struct event time_event = {.kind = EVENT_TIME};
    struct event sent = {.kind = EVENT_SENT};
    struct fault fault;
    uint32_t next = 0;
    bool again = true;

    b->effect_count = 0;
    while (again) {
        b->wake = scheduler_step(b->scheduler, bench_now(b), event, b->batch);
        again = b->batch->is_full || b->batch->needs_reserve;
        if (b->batch->needs_reserve)
            REQUIRE(scheduler_reserve(b->scheduler, b->consent_max, &fault) == RESULT_OK);
        if (b->effect_count + b->batch->effect_count > b->effect_capacity) {
            b->effect_capacity = 2 * b->effect_capacity + BATCH_EFFECTS_MAX;
            b->effects = realloc(b->effects, b->effect_capacity * sizeof *b->effects);
            REQUIRE(b->effects != NULL);
        }
        for (uint32_t i = 0; i < b->batch->effect_count; i++)
            b->effects[b->effect_count++] = b->batch->effects[i];
        event = &time_event;
        if (next == b->effect_count)
            continue;
        bench_send(b, &b->effects[next], firsts);
        sent.as.sent.job_slot = b->effects[next].job_slot;
        sent.as.sent.request = b->effects[next].request;
        sent.as.sent.at = bench_now(b).mono;
        sent.as.sent.at_utc = bench_now(b).utc;
        event = &sent;
        next++;
        again = true;
    }
}

static void bench_answer(struct bench *b, uint32_t slot, enum request_kind request,
                         const uint32_t *firsts)
{
    struct bench_job *job = &b->jobs[slot];
    struct event event = {.kind = EVENT_ANSWER};
    struct answer *answer = &event.as.answer.answer;

    event.as.answer.job_slot = slot;
    event.as.answer.request = request;
    *answer = ANSWER_NONE;
    answer->reached_socket = true;
    answer->answered = true;
    answer->reference_hash = hash_bytes(&job->job, sizeof job->job, 7);
    answer->class_ = CLASS_ACCEPTED;
    if (request == REQUEST_POLL) {
        answer->is_about_job = true;
        answer->class_ = b->banks[job->bank].hangs ? CLASS_RUNNING
                         : job->is_refused         ? CLASS_RETRY_LATER
                                                   : CLASS_SUCCESS;
        answer->reason = job->is_refused ? REASON_PUSHBACK : REASON_NONE;
        b->banks[job->bank].ended += answer->class_ == CLASS_SUCCESS;
        if (answer->class_ == CLASS_SUCCESS)
            bench_trace(b, "ended", job->bank);
    }
    bench_step(b, &event, firsts);
}

/* The limits of all hours: log-uniform between 0.2/s and 5/s. */
static void draw_limits(struct bench *b, int64_t hours)
{
    for (uint32_t i = 0; i < b->bank_count; i++)
        for (int64_t hour = 0; hour < hours; hour++) {
            double limit = 0.2;

            /* 25 = 2^4.644: so many doublings, in thousandths. */
            for (int64_t left = dice_below(&b->random, 4645); left > 0; left--)
                limit *= 1.000693387;
            b->banks[i].limits[hour] = limit > 5 ? 5 : limit;
            b->banks[i].possible += b->banks[i].limits[hour] * 3600;
        }
}

static void next_limits(struct bench *b, uint32_t hour)
{
    for (uint32_t i = 0; i < b->bank_count; i++)
        b->banks[i].limit = b->banks[i].limits[hour];
    if (hour + 1 < LIMIT_HOURS)
        timeline_add(&b->timeline, b->true_us + MS_PER_HOUR * US_PER_MS,
                     (enum moment_kind)BENCH_REDRAW, hour + 1, 0);
}

static void bench_run(struct bench *b, int64_t hours, const uint32_t *firsts)
{
    static const struct event time_event = {.kind = EVENT_TIME};
    int64_t until_us = hours * MS_PER_HOUR * US_PER_MS;

    bench_step(b, &time_event, firsts);
    for (;;) {
        int64_t wake_us = b->wake.mono.us == MONO_NEVER.us ? INT64_MAX : b->wake.mono.us - 1000;
        int64_t utc_us =
            b->wake.utc.ms == UTC_NEVER.ms ? INT64_MAX : (b->wake.utc.ms - START_MS) * US_PER_MS;
        int64_t next_us = timeline_first_us(&b->timeline);
        struct event event = {.kind = EVENT_WEBHOOK};
        struct moment moment;

        wake_us = utc_us < wake_us ? utc_us : wake_us;
        if ((wake_us < next_us ? wake_us : next_us) >= until_us)
            return;
        if (wake_us < next_us) {
            b->true_us = wake_us > b->true_us ? wake_us : b->true_us;
            bench_step(b, &time_event, firsts);
            continue;
        }
        moment = timeline_take(&b->timeline);
        b->true_us = moment.true_us > b->true_us ? moment.true_us : b->true_us;
        switch ((enum bench_moment)moment.kind) {
        case BENCH_ANSWER: bench_answer(b, moment.subject, REQUEST_INITIATE, firsts); break;
        case BENCH_POLLED: bench_answer(b, moment.subject, REQUEST_POLL, firsts); break;
        case BENCH_REDRAW: next_limits(b, moment.subject); break;
        case BENCH_RESULT:
            if ((uint32_t)b->jobs[moment.subject].job != moment.life)
                break;
            event.as.webhook.job_slot = moment.subject;
            bench_step(b, &event, firsts);
            break;
        }
    }
}

/* ---- figures ---- */

static bool print_figure(const char *what, double value, const char *is, double target, bool good)
{
    printf("  %-58s %8.2f   target %s %g   %s\n", what, value, is, target, good ? "ok" : "MISSED");
    return good;
}

static bool learning(uint64_t seed)
{
    enum { LEARNING_BANKS = 12 };
    struct bench *b = calloc(1, sizeof *b);
    uint32_t consents[BANKS_MAX] = {0};
    uint32_t firsts[BANKS_MAX] = {0};
    double possible = 0;
    double accepted = 0;
    double refused = 0;
    double sent = 0;
    bool is_good;

    REQUIRE(b != NULL);
    random_init(&b->random, seed);
    b->bank_count = LEARNING_BANKS;
    b->job_least_us = 5 * US_PER_SECOND;
    b->job_most_us = 30 * US_PER_SECOND;
    bench_settings(b);
    b->schedule.deadline.duration_ms = 365 * MS_PER_DAY; /* no night to forecast */
    draw_limits(b, LIMIT_HOURS);
    for (uint32_t i = 0; i < b->bank_count; i++) {
        b->institutions[i].limits.rates[0] = (struct rate){10, MS_PER_SECOND};
        b->institutions[i].limits.rate_count = 1;
        consents[i] = (uint32_t)(b->banks[i].possible * 1.1) + 1000;
        firsts[i] = i == 0 ? 1 : firsts[i - 1] + consents[i - 1];
    }
    bench_begin(b, consents);
    next_limits(b, 0);
    bench_run(b, LIMIT_HOURS, firsts);
    for (uint32_t i = 0; i < b->bank_count; i++) {
        possible += b->banks[i].possible;
        accepted += (double)b->banks[i].accepted;
        refused += (double)b->banks[i].refused;
        sent += (double)b->banks[i].sent;
    }
    printf("learning: %d banks, %d hours, a new limit each hour, seed %" PRIu64 "\n",
           LEARNING_BANKS, LIMIT_HOURS, seed);
    is_good = print_figure("got, % of what an all-knowing sender would get",
                           100 * accepted / possible, ">=", 90, accepted >= 0.9 * possible);
    is_good = print_figure("refused, % of requests", 100 * refused / sent, "<", 1,
                           refused < 0.01 * sent) &&
              is_good;
    bench_end(b);
    free(b);
    return is_good;
}

/* Jobs that thirty-nine banks ended, with the fortieth healthy or not. */
static int64_t fairness_world(uint64_t seed, bool hangs)
{
    enum { FAIR_HOURS = 3, FAIR_RUNNING = 200, FAIR_CONSENTS = 2000 };
    struct bench *b = calloc(1, sizeof *b);
    uint32_t consents[BANKS_MAX];
    uint32_t firsts[BANKS_MAX];
    int64_t ended = 0;

    REQUIRE(b != NULL);
    random_init(&b->random, seed);
    b->bank_count = BANKS_MAX;
    b->job_least_us = 15 * US_PER_SECOND;
    b->job_most_us = 45 * US_PER_SECOND;
    bench_settings(b);
    b->provider.limits.jobs_running_max = FAIR_RUNNING;
    b->banks[BANKS_MAX - 1].hangs = hangs;
    if (is_tracing)
        b->trace = hangs ? "hangs" : "healthy";
    for (uint32_t i = 0; i < b->bank_count; i++) {
        consents[i] = FAIR_CONSENTS;
        firsts[i] = 1 + i * FAIR_CONSENTS;
    }
    bench_begin(b, consents);
    bench_run(b, FAIR_HOURS, firsts);
    for (uint32_t i = 0; i + 1 < b->bank_count; i++)
        ended += b->banks[i].ended;
    bench_end(b);
    free(b);
    return ended;
}

static bool fairness(uint64_t seed)
{
    int64_t healthy = fairness_world(seed, false);
    int64_t beside = fairness_world(seed, true);
    double lost = 100.0 * (1.0 - (double)beside / (double)healthy);

    printf("fairness: 39 banks beside one that hangs, no limits of their own, seed %" PRIu64 "\n",
           seed);
    printf("  %-58s %8" PRId64 " and %" PRId64 "\n", "refreshes in 3 h: all healthy, one hangs",
           healthy, beside);
    return print_figure("lost by the 39, %", lost, "<", 2, lost < 2);
}

/* ---- downtime ---- */

static void downtime_world(struct simulation *s)
{
    struct world *world = &s->world;
    struct fault fault;
    size_t offset;

    world->start.ms = START_MS + 12 * MS_PER_HOUR;
    world->provider_count = 1;
    world->institution_count = 2;
    world->schedule_count = 1;
    world->set_count = 1;
    world->consent_max = WORLD_CONSENTS;
    world->providers[0].node = (struct world_node){.is_there = true};
    world->providers[0].node.limits.rates[0] = (struct rate){12, MS_PER_MINUTE};
    world->providers[0].node.limits.rates[1] = (struct rate){400, MS_PER_HOUR};
    world->providers[0].node.limits.rate_count = 2;
    world->providers[0].settings = (struct provider_settings){
        .name = world_provider_name(0),
        .quota = {4, MS_PER_DAY},
        .cooldown = {2 * MS_PER_HOUR, 2 * MS_PER_HOUR, MS_PER_HOUR},
        .completion = {.poll_first_ms = 30 * MS_PER_SECOND,
                       .poll_floor_ms = 5 * MS_PER_SECOND,
                       .poll_max_ms = 5 * MS_PER_MINUTE,
                       .give_up_after_ms = 2 * MS_PER_HOUR},
        .dedupe_window_ms = MS_PER_HOUR,
        .cooldown_refused_first_ms = MS_PER_MINUTE,
        .cooldown_refused_max_ms = MS_PER_HOUR,
        .pushback_first_ms = MS_PER_SECOND,
        .pushback_max_ms = MS_PER_HOUR,
        .auth_retry_first_ms = MS_PER_MINUTE,
        .auth_retry_max_ms = MS_PER_HOUR,
    };
    for (uint32_t i = 0; i < world->institution_count; i++) {
        world->institutions[i].node = (struct world_node){.is_there = true};
        world->institutions[i].provider = 0;
        world->institutions[i].is_default = i == 0;
    }
    world->schedules[0].is_there = true;
    world->schedules[0].hours = (struct world_hours){0};
    world->schedules[0].settings.calendar.zone = &zone_utc;
    world->schedules[0].settings.spread_ms = 2 * MS_PER_HOUR;
    world->schedules[0].settings.deadline =
        (struct deadline_spec){.kind = DEADLINE_DURATION, .duration_ms = 6 * MS_PER_HOUR};
    world->schedules[0].settings.misfire = MISFIRE_RUN_ONCE;
    world->schedules[0].settings.misfire_max_age_ms = 12 * MS_PER_HOUR;
    world->schedules[0].settings.retry = (struct retry_settings){3, MS_PER_MINUTE, MS_PER_HOUR};
    REQUIRE(cron_parse("0 1 * * *", 9, &world->schedules[0].settings.calendar.cron, &offset,
                       &fault) == RESULT_OK);
    world->sets[0] = (struct schedule_set){.schedules = {0}, .count = 1};
    for (uint32_t c = 1; c <= world->consent_max; c++)
        world->consents[c] = (struct world_consent){
            .is_there = true,
            .institution = c % 2,
            .priority = PRIORITY_FROM_SCHEDULE,
            .expires = UTC_NEVER,
            .authorized_at = UTC_NONE,
            .hash = hash_bytes(&c, sizeof c, s->seed),
        };
}

/* The most hand-overs in any window of `span_ms`. */
static uint32_t most_within(const struct judged_node *node, int64_t span_ms)
{
    uint32_t most = 0;

    for (uint32_t first = 0, last = 0; last < node->send_count; last++) {
        while (node->sends[last].true_us - node->sends[first].true_us >= span_ms * US_PER_MS)
            first++;
        if (last - first + 1 > most)
            most = last - first + 1;
    }
    return most;
}

static bool downtime(uint64_t seed)
{
    struct simulation *s = simulation_create(seed);
    uint32_t accounted = 0;
    uint32_t refreshed = 0;
    bool is_good;

    downtime_world(s);
    s->is_calm = true;
    simulation_begin(s);
    clocks_set_drift(&s->clocks, 0);     /* else our minute is shorter than the one counted below */
    simulation_live(s, 6 * MS_PER_HOUR); /* 18:00 */
    s->shell.down_us = 12 * MS_PER_HOUR * US_PER_MS;
    virtual_shell_kill(s, TALLY_RESTARTS_IDLE);
    simulation_live(s, 44 * MS_PER_HOUR); /* 08:00, a day and a night later */
    for (uint32_t i = 0; i < s->judge.run_count; i++) {
        refreshed +=
            s->judge.runs[i].counts[OUTCOME_REFRESHED] + s->judge.runs[i].counts[OUTCOME_PARTIAL];
        for (int outcome = 1; outcome < OUTCOME_COUNT; outcome++)
            accounted += s->judge.runs[i].counts[outcome];
    }
    printf("downtime: 12 h over the night, 300 consents, 12/min and 400/h, seed %" PRIu64 "\n",
           seed);
    is_good =
        print_figure("slots of two nights accounted for", accounted, "=", 600, accounted == 600);
    is_good = print_figure("of them refreshed", refreshed, ">=", 590, refreshed >= 590) && is_good;
    for (int i = 0; i < 2; i++) {
        const struct rate *rate = &s->judge.providers[0].limits.rates[i];
        uint32_t most = most_within(&s->judge.providers[0], rate->span_ms);

        is_good = print_figure(i == 0 ? "most requests in any minute" : "most requests in any hour",
                               most, "<=", rate->count, most <= rate->count) &&
                  is_good;
    }
    for (uint32_t i = 0; is_tracing && i < s->judge.providers[0].send_count; i++)
        printf("trace,downtime,%" PRId64 ",sent,0,0\n",
               s->judge.providers[0].sends[i].true_us / US_PER_MS);
    simulation_destroy(s);
    return is_good;
}

/* ---- deadline ---- */

static bool deadline(uint64_t seed)
{
    enum { DEADLINE_HOURS = 6, DEADLINE_CONSENTS = 1080 };
    static const struct time_range closed = {.zone = &zone_utc,
                                             .kind = TIME_RANGE_DAILY,
                                             .weekdays = 0x7f,
                                             .start_s = 2 * 3600,
                                             .end_s = 4 * 3600};
    struct bench *b = calloc(1, sizeof *b);
    const uint32_t consents[BANKS_MAX] = {DEADLINE_CONSENTS};
    const uint32_t firsts[BANKS_MAX] = {1};
    bool is_good;

    REQUIRE(b != NULL);
    random_init(&b->random, seed);
    b->bank_count = 1;
    b->job_least_us = 5 * US_PER_SECOND;
    b->job_most_us = 30 * US_PER_SECOND;
    b->keeps_spread = true;
    b->trace = is_tracing ? "deadline" : NULL;
    bench_settings(b);
    b->institutions[0].limits.rates[0] = (struct rate){5, MS_PER_MINUTE};
    b->institutions[0].limits.rate_count = 1;
    b->provider.limits.hours = (struct hours_settings){.blackouts = &closed, .blackout_count = 1};
    b->schedule.spread_ms = 5 * MS_PER_HOUR;
    b->schedule.deadline.duration_ms = DEADLINE_HOURS * MS_PER_HOUR;
    bench_begin(b, consents);
    bench_run(b, DEADLINE_HOURS, firsts);
    printf("deadline: 1080 consents in 6 h at 5/min, closed from 2 h to 4 h, seed %" PRIu64 "\n",
           seed);
    is_good = print_figure("refreshed before the deadline", (double)b->banks[0].ended, "=",
                           DEADLINE_CONSENTS, b->banks[0].ended == DEADLINE_CONSENTS);
    bench_end(b);
    free(b);
    return is_good;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"trace", no_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    static const char *const all[] = {"learning", "fairness", "downtime", "deadline"};
    static bool (*const worlds[])(uint64_t seed) = {learning, fairness, downtime, deadline};
    uint64_t seed = 1;
    bool is_good = true;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's') {
            seed = strtoull(optarg, NULL, 10);
        } else if (option == 't') {
            is_tracing = true;
        } else {
            fprintf(stderr, "bench_worlds [--seed N] [--trace] "
                            "[learning | fairness | downtime | deadline]...\n");
            return 64;
        }
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        bool is_wanted = optind == argc;

        for (int k = optind; k < argc; k++)
            is_wanted = is_wanted || strcmp(argv[k], all[i]) == 0;
        if (is_wanted)
            is_good = worlds[i](seed) && is_good;
        fflush(stdout);
    }
    return is_good ? 0 : 1;
}
