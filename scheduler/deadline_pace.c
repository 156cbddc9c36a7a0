/* SPDX-License-Identifier: MIT
 * deadline_pace.c - see deadline_pace.h. */
#include "scheduler/deadline_pace.h"

#include <string.h>

#include "scheduler/capacity.h"
#include "scheduler/deadline_sweep.h"
#include "scheduler/run.h"
#include "scheduler/share.h"

#define REVIEW_MS_MIN INT64_C(100)
#define REVIEW_MS_MAX MS_PER_MINUTE
#define REVIEWS_PER_WINDOW 100
#define CENSUS_EVERY_MS (10 * MS_PER_MINUTE)
#define MARGIN_OF_WINDOW 20
#define MARGIN_MAX_OF_WINDOW 4
/* Sleeping slots are pulled to go at most so many times as fast as their offsets would have them,
 * unless a limit demands more. */
#define HURRY 2
/* Where a limit is narrow its nodes get work for so many reviews, or this part of the time left. */
#define AHEAD_REVIEWS 10
#define AHEAD_OF_TIME 8
/* Higher runs leave this part of the turns to lower ones (work.h). */
#define LOWER_RUNS_SHARE 8

/* How many calls tell how many polls a job takes. */
#define CALLS_REMEMBERED 65536

/* ---- counting ---- */

struct deadline_cell *deadline_pace_cell(const struct scheduler *scheduler, const struct run *run,
                                         uint32_t institution)
{
    size_t place = (size_t)(run - scheduler->runs);

    return &scheduler->pace.cells[place * scheduler->pace.institutions + institution];
}

void deadline_pace_slot_came(struct scheduler *scheduler, uint32_t index)
{
    struct run *run = run_of_slot(scheduler, index);
    const struct consent *consent = &scheduler->consents[scheduler->slots[index].consent];

    deadline_pace_cell(scheduler, run, consent->institution)->unsent++;
    run->unsent++;
    share_note_unsent(scheduler, consent->institution, 1);
}

void deadline_pace_slot_went(struct scheduler *scheduler, uint32_t index)
{
    struct run *run = run_of_slot(scheduler, index);
    const struct consent *consent = &scheduler->consents[scheduler->slots[index].consent];
    struct deadline_cell *cell = deadline_pace_cell(scheduler, run, consent->institution);

    REQUIRE(cell->unsent > 0 && run->unsent > 0);
    cell->unsent--;
    run->unsent--;
    share_note_unsent(scheduler, consent->institution, -1);
}

void deadline_pace_consent_moves(struct scheduler *scheduler, uint32_t consent, uint32_t to)
{
    uint32_t from = scheduler->consents[consent].institution;

    if (scheduler->run_count == 0 || from == to || scheduler->is_recovering)
        return; /* recovery counts at its end, when each consent is where it belongs */
    for (uint32_t i = 0; i < scheduler->run_capacity; i++) {
        struct run *run = &scheduler->runs[i];
        uint32_t slot = run->in_use ? run_find_slot(scheduler, run, consent) : NONE_INDEX;

        if (slot == NONE_INDEX || scheduler->slots[slot].state == SLOT_JOB ||
            scheduler->slots[slot].state == SLOT_DONE)
            continue;
        deadline_pace_cell(scheduler, run, from)->unsent--;
        deadline_pace_cell(scheduler, run, to)->unsent++;
        share_note_unsent(scheduler, from, -1);
        share_note_unsent(scheduler, to, 1);
    }
}

void deadline_pace_begin(struct scheduler *scheduler, struct run *run)
{
    memset(deadline_pace_cell(scheduler, run, 0), 0,
           scheduler->pace.institutions * sizeof(struct deadline_cell));
    run->unsent = 0;
    run->review_at = UTC_NONE;
    run->census_at = UTC_NONE;
    run->forecast = (struct forecast){.goal = run->deadline,
                                      .finish = UTC_NONE,
                                      .institution = NONE_INDEX,
                                      .provider = NONE_INDEX};
}

void deadline_pace_recount(struct scheduler *scheduler, struct run *run)
{
    for (uint32_t i = 0; i < scheduler->institution_count; i++) {
        struct deadline_cell *cell = deadline_pace_cell(scheduler, run, i);

        share_note_unsent(scheduler, i, -(int64_t)cell->unsent);
        *cell = (struct deadline_cell){0, 0};
    }
    run->unsent = 0;
    for (uint32_t i = run->first; i < run->first + run->count; i++)
        deadline_pace_slot_came(scheduler, i);
}

void deadline_pace_request(struct provider *provider, enum request_kind request)
{
    if (request == REQUEST_INITIATE)
        provider->initiations++;
    else
        provider->other_calls++;
    if (provider->initiations < CALLS_REMEMBERED && provider->other_calls < CALLS_REMEMBERED)
        return;
    provider->initiations /= 2;
    provider->other_calls /= 2;
}

/* ---- what there is to do ---- */

static uint32_t sendable_of(const struct deadline_cell *cell)
{
    return cell->unsent > cell->refused ? cell->unsent - cell->refused : 0;
}

static uint32_t rank_of(const struct scheduler *scheduler, const struct run *run)
{
    uint32_t priority = scheduler->schedules[run->schedule].settings.priority;

    return run->trigger == TRIGGER_CATCH_UP ? priority : PRIORITY_MAX + 1 + priority;
}

/* Ready work of other runs that takes turns with `own` slots of this one at the institution. */
static uint32_t others_at(const struct scheduler *scheduler, const struct run *run,
                          uint32_t institution, uint32_t own)
{
    uint32_t waiting = scheduler->institutions[institution].waiting;
    uint64_t sum = 0;

    if (scheduler->run_count < 2 || waiting == 0)
        return 0;
    for (uint32_t i = 0; i < scheduler->run_capacity; i++) {
        const struct run *other = &scheduler->runs[i];
        uint32_t rank = rank_of(scheduler, run);
        uint32_t theirs;

        if (!other->in_use || other == run)
            continue;
        theirs = sendable_of(deadline_pace_cell(scheduler, other, institution));
        if (rank_of(scheduler, other) == rank && theirs > own)
            theirs = own;
        if (rank_of(scheduler, other) < rank && theirs > own / LOWER_RUNS_SHARE)
            theirs = own / LOWER_RUNS_SHARE;
        sum += theirs;
    }
    return sum < waiting ? (uint32_t)sum : waiting;
}

/* What a review looks at, and what it finds. */
struct review {
    struct run *run;
    struct utc_time from; /* now */
    int64_t every_ms;     /* until the next one */
    int64_t window_ms;    /* of the run */
    int64_t gentle_ms;    /* what is left may take as long at least */
    int64_t asleep_ms;    /* until the last slot comes due by its offset */
    struct forecast forecast;
    uint32_t worst;    /* missed at one node */
    bool is_over_most; /* more than can be sent in any case */
    bool is_tight;     /* something is to be pulled */
};

static struct capacity_cost institution_cost(const struct institution *institution,
                                             const struct provider *provider)
{
    return (struct capacity_cost){
        .requests_16 = 16,
        .job_us = institution->jobs_share.usual_us > 0 ? institution->jobs_share.usual_us
                                                       : provider->usual_us,
        .pace_us = pace_interval_us(&institution->node.pace),
        .jobs_max = institution->node.jobs_max,
    };
}

static struct capacity_cost provider_cost(const struct provider *provider)
{
    uint32_t calls_16 =
        provider->initiations == 0
            ? 0
            : (uint32_t)((uint64_t)provider->other_calls * 16 / provider->initiations);

    return (struct capacity_cost){.requests_16 = 16 + calls_16,
                                  .job_us = provider->usual_us,
                                  .pace_us = pace_interval_us(&provider->node.pace),
                                  .jobs_max = provider->node.jobs_max};
}

/* What has to be open; NONE_INDEX: the provider as such. */
static struct capacity_hours hours_of(const struct scheduler *scheduler, const struct run *run,
                                      uint32_t provider, uint32_t institution)
{
    struct capacity_hours hours = {{&scheduler->providers[provider].node.hours,
                                    &scheduler->schedules[run->schedule].hours, NULL},
                                   2};

    if (institution != NONE_INDEX)
        hours.list[hours.count++] = &scheduler->institutions[institution].node.hours;
    return hours;
}

/* `count` slots of a run before one node (the provider's, or with its own the institution's). */
struct look {
    uint32_t provider;
    uint32_t institution; /* NONE_INDEX: the provider itself */
    uint32_t count;
    uint32_t others;
    uint32_t waiting; /* ready there already */
    struct capacity_cost cost;
};

static const struct limit_node *look_node(const struct scheduler *scheduler,
                                          const struct look *look)
{
    return look->institution == NONE_INDEX ? &scheduler->providers[look->provider].node
                                           : &scheduler->institutions[look->institution].node;
}

/* No more of the run than this can be sent there before its deadline. While it stays closed nothing
 * is sure: what closes it (maintenance, a window in a configuration) may be taken back. */
static uint64_t most_of(const struct scheduler *scheduler, const struct run *run, uint32_t provider,
                        uint32_t institution)
{
    const struct limit_node *node = institution == NONE_INDEX
                                        ? &scheduler->providers[provider].node
                                        : &scheduler->institutions[institution].node;
    struct capacity_hours hours = hours_of(scheduler, run, provider, institution);
    struct utc_time now = scheduler->now.utc;
    struct open_time open;

    if (node->window_count == 0)
        return UINT64_MAX;
    open = capacity_open_time(&hours, now, run->deadline);
    return open.open_ms == 0
               ? UINT64_MAX
               : capacity_most(node, scheduler->now.mono, run->deadline.ms - now.ms, &open);
}

/* Why it is closed, where that is known without another look at the calendars. */
static enum reason closed_for(const struct capacity_hours *hours, struct utc_time now)
{
    for (uint32_t i = 0; i < hours->count; i++) {
        const struct open_hours *one = hours->list[i];

        if (one->known_reason != REASON_NONE && one->known_from.ms <= now.ms &&
            now.ms < one->known_until.ms)
            return one->known_reason;
    }
    return REASON_WINDOW;
}

/* How many of the slots will not be sent in time, and when the last one should end. */
static uint32_t look_ahead(const struct scheduler *scheduler, const struct review *review,
                           const struct look *look, struct forecast *found)
{
    struct capacity_hours hours =
        hours_of(scheduler, review->run, look->provider, look->institution);
    struct utc_time deadline = review->run->deadline;
    struct open_time open = capacity_open_time(&hours, review->from, deadline);
    int64_t need_ms = capacity_need_ms(look_node(scheduler, look), scheduler->now.mono, &look->cost,
                                       look->count + look->others, &found->limit);
    int64_t late_ms = need_ms - open.open_ms;
    uint64_t missed = 0;

    found->finish = utc_add_ms(capacity_open_instant(&hours, review->from, need_ms, deadline),
                               look->cost.job_us / US_PER_MS);
    if (open.open_ms == 0) {
        found->limit = closed_for(&hours, review->from);
        return look->count;
    }
    if (late_ms > 0)
        missed = (uint64_t)capacity_scaled((uint64_t)look->count + look->others, late_ms,
                                           (uint64_t)need_ms);
    return missed < look->count ? (uint32_t)missed : look->count;
}

/* How many sleeping slots are to be woken now, so that what is left ends before the goal. */
static uint32_t pull_for(const struct scheduler *scheduler, const struct review *review,
                         const struct look *look)
{
    struct capacity_hours hours =
        hours_of(scheduler, review->run, look->provider, look->institution);
    const struct limit_node *node = look_node(scheduler, look);
    struct utc_time goal = review->forecast.goal;
    struct utc_time next = utc_add_ms(review->from, review->every_ms);
    enum reason limit;
    int64_t need_ms = capacity_need_ms(node, scheduler->now.mono, &look->cost,
                                       look->count + look->others, &limit);
    int64_t after_ms = capacity_open_time(&hours, next, goal).open_ms;
    int64_t left_ms = after_ms + review->every_ms;
    uint64_t wanted;

    if (need_ms <= after_ms && review->gentle_ms <= after_ms)
        return 0;
    if (need_ms > after_ms) {
        int64_t ahead_ms = review->every_ms * AHEAD_REVIEWS;

        if (ahead_ms < left_ms / AHEAD_OF_TIME)
            ahead_ms = left_ms / AHEAD_OF_TIME;
        wanted = (uint64_t)capacity_scaled(look->count, ahead_ms, (uint64_t)need_ms) + 1;
    } else {
        /* An even pace until the goal, less what comes by itself meanwhile. */
        uint64_t soon = (uint64_t)look->count * (uint64_t)review->every_ms;

        wanted = (soon + (uint64_t)left_ms - 1) / (uint64_t)left_ms;
        if (review->asleep_ms > left_ms)
            wanted -= soon / (uint64_t)review->asleep_ms;
    }
    if (wanted > look->count)
        wanted = look->count;
    return wanted > look->waiting ? (uint32_t)(wanted - look->waiting) : 0;
}

/* The goal leaves a part of the window, and time for a usual job to end. */
static struct utc_time goal_of(const struct scheduler *scheduler, const struct review *review)
{
    int64_t margin_ms = review->window_ms / MARGIN_OF_WINDOW;

    for (uint32_t i = 0; i < scheduler->institution_count; i++) {
        int64_t usual_ms = scheduler->institutions[i].jobs_share.usual_us / US_PER_MS;

        if (usual_ms > margin_ms && deadline_pace_cell(scheduler, review->run, i)->unsent > 0)
            margin_ms = usual_ms;
    }
    if (margin_ms > review->window_ms / MARGIN_MAX_OF_WINDOW)
        margin_ms = review->window_ms / MARGIN_MAX_OF_WINDOW;
    return utc_add_ms(review->run->deadline, -margin_ms);
}

static void take_finding(struct review *review, const struct look *look,
                         const struct forecast *found, uint32_t missed)
{
    struct forecast *forecast = &review->forecast;

    forecast->will_miss += missed;
    forecast->finish = utc_later(forecast->finish, found->finish);
    if (missed <= review->worst)
        return;
    review->worst = missed;
    forecast->limit = found->limit;
    forecast->institution = look->institution;
    forecast->provider = look->provider;
}

/* One institution; what of its slots is left for the provider is added to `whole`. */
static void review_institution(struct scheduler *scheduler, struct review *review, uint32_t index,
                               struct look *whole, uint64_t *fits)
{
    const struct institution *institution = &scheduler->institutions[index];
    const struct provider *provider = &scheduler->providers[institution->provider];
    struct look look = {.provider = institution->provider,
                        .institution = index,
                        .waiting = institution->waiting,
                        .cost = institution_cost(institution, provider)};
    struct forecast found;
    uint64_t most;
    uint32_t missed;

    scheduler->pace.pull[index] = 0;
    look.count = sendable_of(deadline_pace_cell(scheduler, review->run, index));
    if (look.count == 0)
        return;
    look.others = others_at(scheduler, review->run, index, look.count);
    most = most_of(scheduler, review->run, look.provider, index);
    review->is_over_most |= look.count > most;
    *fits += look.count < most ? look.count : most;
    missed = look_ahead(scheduler, review, &look, &found);
    take_finding(review, &look, &found, missed);
    scheduler->pace.pull[index] = pull_for(scheduler, review, &look);
    review->is_tight |= scheduler->pace.pull[index] > 0;
    whole->count += look.count - missed;
    whole->others += look.others;
}

/* One provider's institutions, then the provider itself. */
static void review_provider(struct scheduler *scheduler, struct review *review, uint32_t place)
{
    struct provider *provider = &scheduler->providers[place];
    struct look whole = {.provider = place,
                         .institution = NONE_INDEX,
                         .waiting = provider->work_waiting,
                         .cost = provider_cost(provider)};
    struct forecast found;
    uint64_t fits = 0;

    for (uint32_t i = 0; i < scheduler->institution_count; i++)
        if (scheduler->institutions[i].provider == place)
            review_institution(scheduler, review, i, &whole, &fits);
    scheduler->pace.provider_pull[place] = 0;
    if (whole.count == 0)
        return;
    review->is_over_most |= fits > most_of(scheduler, review->run, place, NONE_INDEX);
    take_finding(review, &whole, &found, look_ahead(scheduler, review, &whole, &found));
    scheduler->pace.provider_pull[place] = pull_for(scheduler, review, &whole);
    review->is_tight |= scheduler->pace.provider_pull[place] > 0;
}

static struct review look_at(struct scheduler *scheduler, struct run *run)
{
    int64_t window_ms = run->deadline.ms - run->base.ms;
    int64_t every_ms = window_ms / REVIEWS_PER_WINDOW;
    struct utc_time last_due = utc_add_ms(run->base, run->spread_ms);
    struct review review = {
        .run = run,
        .from = scheduler->now.utc,
        .window_ms = window_ms,
        .asleep_ms = last_due.ms - scheduler->now.utc.ms,
        .forecast = {.finish = scheduler->now.utc,
                     .institution = NONE_INDEX,
                     .provider = NONE_INDEX},
    };

    review.every_ms = every_ms < REVIEW_MS_MIN   ? REVIEW_MS_MIN
                      : every_ms > REVIEW_MS_MAX ? REVIEW_MS_MAX
                                                 : every_ms;
    review.gentle_ms =
        capacity_scaled(run->unsent, run->spread_ms, run->due > 0 ? run->due : 1) / HURRY;
    review.forecast.goal = goal_of(scheduler, &review);
    for (uint32_t i = 0; i < scheduler->provider_count; i++)
        review_provider(scheduler, &review, i);
    /* Sleeping slots are sent when their time comes, unless they are pulled before the goal. */
    if (run->cursor < run->count)
        review.forecast.finish =
            utc_later(review.forecast.finish, utc_sooner(last_due, review.forecast.goal));
    if (review.forecast.will_miss == 0) { /* what was skipped early keeps its reason */
        review.forecast.limit = run->forecast.limit;
        review.forecast.institution = run->forecast.institution;
        review.forecast.provider = run->forecast.provider;
    }
    review.forecast.skipped = run->skipped_early;
    run->forecast = review.forecast;
    return review;
}

/* ---- the course of a review ---- */

/* What exceeds the most that rates let through; what left while it was counted is subtracted from
 * each, since nobody knows where it left. */
static void plan_skips(struct scheduler *scheduler, const struct run *run)
{
    uint32_t gone = scheduler->pace.unsent - run->unsent;

    for (uint32_t i = 0; i < scheduler->institution_count; i++) {
        uint64_t here = deadline_sweep_sendable(scheduler, i);
        uint64_t most;

        if (here == 0)
            continue;
        most = most_of(scheduler, run, scheduler->institutions[i].provider, i);
        most = most < UINT64_MAX - gone ? most + gone : UINT64_MAX;
        deadline_sweep_plan_skip(scheduler, i, here > most ? here - most : 0);
    }
    for (uint32_t i = 0; i < scheduler->provider_count; i++) {
        uint64_t most = most_of(scheduler, run, i, NONE_INDEX);

        deadline_sweep_plan_provider_skip(scheduler, i,
                                          most < UINT64_MAX - gone ? most + gone : UINT64_MAX);
    }
}

static void take_census(struct scheduler *scheduler, struct run *run)
{
    struct review review;

    for (uint32_t i = 0; i < scheduler->institution_count; i++) {
        struct deadline_cell *cell = deadline_pace_cell(scheduler, run, i);
        uint32_t sendable = deadline_sweep_sendable(scheduler, i);

        cell->refused = cell->unsent > sendable ? cell->unsent - sendable : 0;
    }
    review = look_at(scheduler, run);
    if (review.is_over_most) {
        plan_skips(scheduler, run);
        if (deadline_sweep_skip(scheduler, run))
            return;
    }
    (void)deadline_sweep_pull(scheduler, run);
}

/* Walk on, from one phase into the next, as far as this step has time. */
static void walk(struct scheduler *scheduler, struct run *run)
{
    while (scheduler->pace.phase != WALK_IDLE) {
        enum walk_phase phase = scheduler->pace.phase;

        if (!deadline_sweep_go_on(scheduler, run))
            return;
        if (phase == WALK_CENSUS) {
            take_census(scheduler, run);
        } else if (phase == WALK_SKIP) {
            (void)look_at(scheduler, run);
            (void)deadline_sweep_pull(scheduler, run);
        }
    }
}

void deadline_pace_advance(struct scheduler *scheduler, struct run *run)
{
    struct utc_time now = scheduler->now.utc;
    bool is_busy = deadline_sweep_is_busy(scheduler);
    struct review review;
    uint32_t known;

    if (run->unsent == 0)
        run->forecast.will_miss = 0;
    if (run->unsent == 0 || run->deadline.ms == UTC_NEVER.ms || run->sweep != SWEEP_NONE)
        return;
    if (is_busy) {
        if (scheduler->pace.run == (uint32_t)(run - scheduler->runs))
            walk(scheduler, run);
        scheduler->wants_step |= now.ms >= run->review_at.ms;
        core_wake_utc(scheduler, run->review_at);
        return;
    }
    if (now.ms < run->review_at.ms && run->review_at.ms - now.ms <= REVIEW_MS_MAX) {
        core_wake_utc(scheduler, run->review_at);
        return;
    }
    if (run->review_at.ms != UTC_NONE.ms &&
        run_schedule_obstacle(scheduler, run->schedule).reason != REASON_NONE)
        return; /* paused or closed: nothing happens that a review could change */
    known = run->forecast.will_miss;
    review = look_at(scheduler, run);
    run->review_at = utc_add_ms(now, review.every_ms);
    core_wake_utc(scheduler, run->review_at);
    if ((review.is_over_most || run->forecast.will_miss > 0) &&
        (run->census_at.ms == UTC_NONE.ms || now.ms - run->census_at.ms >= CENSUS_EVERY_MS ||
         now.ms < run->census_at.ms)) {
        run->census_at = now;
        run->forecast.will_miss = known; /* until it is known which slots may be sent at all */
        deadline_sweep_census(scheduler, run);
    } else if (review.is_tight) {
        (void)deadline_sweep_pull(scheduler, run);
    }
    walk(scheduler, run);
}
