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
/* A job is stuck after so many usual durations, and after so long at least. */
#define STUCK_USUAL 8
#define STUCK_US_MIN (2 * PATIENCE_US_MIN)
/* Such a part of the provider's places may be stuck, such a part more with nothing earned. */
#define STUCK_PART 32
#define STUCK_MORE_PART 8
/* Such a part of the provider's places is kept free at most. */
#define KEPT_PART 8

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

/* Places for running jobs that the institution may hold. */
static uint32_t jobs_room(const struct scheduler *scheduler, const struct provider *provider,
                          const struct institution *institution)
{
    uint32_t max = provider->node.jobs_max;
    uint32_t base = part_of(max, provider->populated);
    uint32_t tolerated = base > max / STUCK_PART ? base : max / STUCK_PART;

    if (institution->stuck < tolerated)
        return room_of(&institution->jobs_share, max, provider->populated, scheduler->now.mono);
    return institution->stuck < tolerated + max / STUCK_MORE_PART ? institution->stuck + base : 1;
}

/* Places that nobody may borrow. */
static uint32_t kept_free(const struct provider *provider)
{
    uint32_t most = provider->node.jobs_max / KEPT_PART;

    return provider->owed < most ? provider->owed : most;
}

static bool is_any_to_lend(const struct provider *provider)
{
    return provider->node.jobs_running < provider->node.jobs_max &&
           provider->node.jobs_max - provider->node.jobs_running > kept_free(provider);
}

static bool has_jobs_room(const struct scheduler *scheduler, const struct provider *provider,
                          const struct institution *institution)
{
    uint32_t running = institution->node.jobs_running;

    if (running >= jobs_room(scheduler, provider, institution))
        return false;
    return running < part_of(provider->node.jobs_max, provider->populated) ||
           provider->node.jobs_running >= provider->node.jobs_max || is_any_to_lend(provider);
}

struct obstacle share_obstacle(const struct scheduler *scheduler,
                               const struct institution *institution, bool is_repeat)
{
    const struct provider *provider = &scheduler->providers[institution->provider];
    const struct limit_node *node = &institution->node;

    if (!is_repeat && provider->node.jobs_max > 0 && node->jobs_running > 0 &&
        !has_jobs_room(scheduler, provider, institution))
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
    provider->owed_is_stale = true;
}

/* ---- places kept free ---- */

static uint32_t owed_of(const struct provider *provider, const struct institution *institution)
{
    uint32_t base = part_of(provider->node.jobs_max, provider->populated);

    return provider->node.jobs_max > 0 && institution->unsent > 0 &&
                   institution->node.jobs_running < base
               ? base - institution->node.jobs_running
               : 0;
}

static void note_owed(struct scheduler *scheduler, uint32_t index)
{
    struct institution *institution = &scheduler->institutions[index];
    struct provider *provider = &scheduler->providers[institution->provider];
    uint32_t owed = owed_of(provider, institution);

    provider->owed += owed - institution->owed;
    institution->owed = owed;
}

/* The base share is another one: of a reload, of new institutions. */
static void renew_owed(struct scheduler *scheduler, const struct provider *provider)
{
    for (uint32_t i = 0; i < scheduler->institution_count; i++)
        if (&scheduler->providers[scheduler->institutions[i].provider] == provider)
            note_owed(scheduler, i);
}

void share_note_unsent(struct scheduler *scheduler, uint32_t index, int64_t change)
{
    struct institution *institution;

    if (index >= scheduler->institution_count)
        return; /* none is configured */
    institution = &scheduler->institutions[index];
    institution->unsent = (uint32_t)(institution->unsent + change);
    note_owed(scheduler, index);
}

void share_refused(struct scheduler *scheduler, uint32_t index)
{
    struct institution *institution = &scheduler->institutions[index];
    struct provider *provider = &scheduler->providers[institution->provider];

    if (institution->is_kept_out || provider->node.jobs_max == 0 || is_any_to_lend(provider) ||
        institution->node.jobs_running >= jobs_room(scheduler, provider, institution))
        return; /* refused for something else: its own ends decide */
    institution->is_kept_out = true;
    institution->kept_out_next = NONE_INDEX;
    if (provider->kept_out.head == NONE_INDEX)
        provider->kept_out.head = index;
    else
        scheduler->institutions[provider->kept_out.tail].kept_out_next = index;
    provider->kept_out.tail = index;
}

bool share_let_in(struct scheduler *scheduler, struct provider *provider)
{
    if (provider->owed_is_stale)
        renew_owed(scheduler, provider);
    provider->owed_is_stale = false;
    while (provider->kept_out.head != NONE_INDEX &&
           (provider->node.jobs_max == 0 || is_any_to_lend(provider))) {
        uint32_t index = provider->kept_out.head;
        struct institution *institution = &scheduler->institutions[index];
        bool was_blocked = institution->is_blocked;

        provider->kept_out.head = institution->kept_out_next;
        institution->is_kept_out = false;
        work_unblock(scheduler, index);
        if (was_blocked && institution->waiting > 0)
            return true;
    }
    return false;
}

/* ---- stuck jobs ---- */

static void young_leave(struct scheduler *scheduler, struct job *job)
{
    struct institution *institution = &scheduler->institutions[job->institution];

    if (job->older == NONE_INDEX)
        institution->young_first = job->younger;
    else
        scheduler->jobs[job->older].younger = job->younger;
    if (job->younger == NONE_INDEX)
        institution->young_last = job->older;
    else
        scheduler->jobs[job->younger].older = job->older;
}

static void young_join(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    struct institution *institution = &scheduler->institutions[job->institution];

    job->is_stuck = false;
    job->younger = NONE_INDEX;
    job->older = institution->young_last;
    if (job->older == NONE_INDEX)
        institution->young_first = index;
    else
        scheduler->jobs[job->older].younger = index;
    institution->young_last = index;
}

void share_look_for_stuck(struct scheduler *scheduler, uint32_t index)
{
    struct institution *institution = &scheduler->institutions[index];
    int64_t usual_us = institution->jobs_share.usual_us;
    int64_t stuck_us = usual_us > INT64_MAX / STUCK_USUAL ? INT64_MAX : usual_us * STUCK_USUAL;

    if (usual_us == 0)
        return;
    if (stuck_us < STUCK_US_MIN)
        stuck_us = STUCK_US_MIN;
    while (institution->young_first != NONE_INDEX) {
        struct job *job = &scheduler->jobs[institution->young_first];

        if (scheduler->now.mono.us - job->started.us <= stuck_us)
            return;
        young_leave(scheduler, job);
        job->is_stuck = true;
        institution->stuck++;
        institution->jobs_share.earned /= 2;
    }
}

/* ---- what happens ---- */

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
    young_join(scheduler, index);
    note_owed(scheduler, job->institution);
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
    if (job->is_stuck)
        institution->stuck--;
    else
        young_leave(scheduler, job);
    institution->node.jobs_running--;
    provider->node.jobs_running--;
    note_owed(scheduler, job->institution);
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
