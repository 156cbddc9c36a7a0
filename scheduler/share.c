/* SPDX-License-Identifier: MIT
 * share.c - see share.h. */
#include "scheduler/share.h"

#include "scheduler/job.h"
#include "scheduler/work.h"

/* What was earned is good for so many usual durations after the last end, and for so long at least.
 */
#define PATIENCE_USUAL 4
#define PATIENCE_US_MIN (US_PER_MS * MS_PER_MINUTE)
/* The usual duration moves an eighth of the way to each new one. */
#define USUAL_WEIGHT 8

static const struct obstacle obstacle_none = {REASON_NONE, {INT64_MIN}, {INT64_MIN}};
static const struct obstacle obstacle_fairness = {REASON_FAIRNESS, {INT64_MAX}, {INT64_MAX}};

static bool is_expired(const struct share *share, struct mono_time now)
{
    int64_t patience_us =
        share->usual_us > INT64_MAX / PATIENCE_USUAL ? INT64_MAX : share->usual_us * PATIENCE_USUAL;

    if (patience_us < PATIENCE_US_MIN)
        patience_us = PATIENCE_US_MIN;
    return now.us - share->ended_last.us > patience_us;
}

/* An equal part of `max` among `count`. */
static uint32_t part_of(uint32_t max, uint32_t count)
{
    uint32_t part = count > 1 ? max / count : max;

    return part > 0 ? part : 1;
}

static uint32_t room_of(const struct share *share, uint32_t max, uint32_t populated,
                        struct mono_time now)
{
    uint32_t base = part_of(max, populated);
    uint32_t earned = is_expired(share, now) ? 0 : share->earned;

    return earned < max - base ? base + earned : max;
}

uint32_t share_jobs_room(const struct scheduler *scheduler, const struct institution *institution)
{
    const struct provider *provider = &scheduler->providers[institution->provider];

    return provider->node.jobs_max == 0 ? 0
                                        : room_of(&institution->jobs_share, provider->node.jobs_max,
                                                  provider->populated, scheduler->now.mono);
}

struct obstacle share_obstacle(const struct scheduler *scheduler,
                               const struct institution *institution, bool is_repeat)
{
    const struct provider *provider = &scheduler->providers[institution->provider];
    const struct limit_node *node = &institution->node;

    if (!is_repeat && provider->node.jobs_max > 0 &&
        node->jobs_running >= share_jobs_room(scheduler, institution))
        return obstacle_fairness;
    if (provider->node.requests_max > 0 && node->requests_in_flight > 0 &&
        node->requests_in_flight >= room_of(&institution->requests_share,
                                            provider->node.requests_max, provider->populated,
                                            scheduler->now.mono))
        return obstacle_fairness;
    return obstacle_none;
}

bool share_is_beyond(const struct scheduler *scheduler, const struct institution *institution)
{
    const struct provider *provider = &scheduler->providers[institution->provider];

    return (provider->node.jobs_max > 0 &&
            institution->node.jobs_running >= part_of(provider->node.jobs_max, provider->active)) ||
           (provider->node.requests_max > 0 &&
            institution->node.requests_in_flight >=
                part_of(provider->node.requests_max, provider->active));
}

void share_note_active(struct scheduler *scheduler, uint32_t index)
{
    struct institution *institution = &scheduler->institutions[index];
    bool is_active = institution->waiting > 0 || institution->node.jobs_running > 0;

    if (is_active == institution->is_active)
        return;
    institution->is_active = is_active;
    if (is_active)
        scheduler->providers[institution->provider].active++;
    else
        scheduler->providers[institution->provider].active--;
}

void share_note_population(struct scheduler *scheduler, uint32_t index, int change)
{
    struct institution *institution = &scheduler->institutions[index];
    struct provider *provider = &scheduler->providers[institution->provider];

    if (change > 0 && institution->population++ == 0)
        provider->populated++;
    if (change < 0 && --institution->population == 0)
        provider->populated--;
}

static void fit(struct share *share, uint32_t max)
{
    if (max > 0 && share->earned > max)
        share->earned = max;
}

void share_note_limits(struct scheduler *scheduler, uint32_t index)
{
    struct institution *institution = &scheduler->institutions[index];
    const struct limit_settings *limits =
        &scheduler->providers[institution->provider].settings.limits;

    fit(&institution->jobs_share, limits->jobs_running_max);
    fit(&institution->requests_share, limits->requests_in_flight_max);
}

/* The first one of a busy time: what was earned long ago is gone. */
static void share_begins(struct share *share, uint32_t held, struct mono_time now)
{
    if (held > 0)
        return;
    if (is_expired(share, now))
        share->earned = 0;
    share->ended_last = now;
}

/* One of `held` ended as it should. */
static void share_earns(struct share *share, uint32_t held, uint32_t max, uint32_t populated,
                        struct mono_time now)
{
    uint32_t base = part_of(max, populated);

    if (is_expired(share, now))
        share->earned = 0;
    share->ended_last = now;
    if (max > base && share->earned < max - base && held >= (base + share->earned + 1) / 2)
        share->earned++;
}

static void smooth(int64_t *usual_us, int64_t took_us)
{
    *usual_us = *usual_us == 0 ? took_us : *usual_us + (took_us - *usual_us) / USUAL_WEIGHT;
}

void share_job_begins(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    struct institution *institution = &scheduler->institutions[job->institution];

    share_begins(&institution->jobs_share, institution->node.jobs_running, scheduler->now.mono);
    job->started = scheduler->now.mono;
    institution->node.jobs_running++;
    job_provider(scheduler, job)->node.jobs_running++;
    share_note_active(scheduler, job->institution);
}

void share_job_ends(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    struct institution *institution = &scheduler->institutions[job->institution];
    struct provider *provider = job_provider(scheduler, job);
    struct share *share = &institution->jobs_share;

    /* Given up, or never accepted: the bank did not answer for it. */
    if (job->was_accepted && scheduler->now.mono.us < job->give_up_at.us) {
        int64_t took_us = scheduler->now.mono.us - job->started.us;

        smooth(&share->usual_us, took_us);
        smooth(&provider->usual_us, took_us);
        share_earns(share, institution->node.jobs_running, provider->node.jobs_max,
                    provider->populated, scheduler->now.mono);
    }
    institution->node.jobs_running--;
    provider->node.jobs_running--;
    share_note_active(scheduler, job->institution);
    work_place(scheduler, job->institution);
}

void share_request_begins(struct scheduler *scheduler, uint32_t index)
{
    struct institution *institution = &scheduler->institutions[index];

    share_begins(&institution->requests_share, institution->node.requests_in_flight,
                 scheduler->now.mono);
}

void share_request_answered(struct scheduler *scheduler, uint32_t index)
{
    struct institution *institution = &scheduler->institutions[index];
    const struct provider *provider = &scheduler->providers[institution->provider];

    share_earns(&institution->requests_share, institution->node.requests_in_flight,
                provider->node.requests_max, provider->populated, scheduler->now.mono);
}
