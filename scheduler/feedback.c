/* SPDX-License-Identifier: MIT
 * feedback.c - see feedback.h. */
#include "scheduler/feedback.h"

#include "scheduler/job.h"
#include "scheduler/limit_node.h"
#include "scheduler/node_record.h"
#include "scheduler/work.h"

/* What a fate means for one node. */
struct signals {
    enum pace_signal pace;
    enum breaker_signal breaker;
};
struct verdict {
    struct signals institution;
    struct signals provider;
};

static const struct signals says_nothing = {PACE_NEUTRAL, BREAKER_NEUTRAL};
static const struct signals says_success = {PACE_SUCCESS, BREAKER_SUCCESS};
static const struct signals says_works = {PACE_NEUTRAL, BREAKER_SUCCESS};
static const struct signals says_trouble = {PACE_TROUBLE, BREAKER_FAILED};
static const struct signals says_failed = {PACE_NEUTRAL, BREAKER_FAILED};
static const struct signals says_refused = {PACE_REFUSED, BREAKER_NEUTRAL};

static struct verdict judge(enum reason reason)
{
    switch (reason) {
    case REASON_NONE: return (struct verdict){says_success, says_success};
    case REASON_PUSHBACK: return (struct verdict){says_refused, says_works};
    case REASON_INSTITUTION_ERROR: return (struct verdict){says_trouble, says_works};
    case REASON_MAINTENANCE:
    case REASON_JOB_FAILED:
    case REASON_LOST: return (struct verdict){says_failed, says_works};
    case REASON_PROVIDER_ERROR:
    case REASON_TRANSPORT:
    case REASON_BAD_ANSWER: return (struct verdict){says_nothing, says_trouble};
    default: return (struct verdict){says_nothing, says_nothing};
    }
}

static uint32_t provider_reference(const struct scheduler *scheduler, const struct job *job)
{
    return scheduler->institutions[job->institution].provider | NODE_PROVIDER_BIT;
}

void feedback_granted(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    struct limit_node *nodes[2] = {&job_provider(scheduler, job)->node,
                                   &scheduler->institutions[job->institution].node};
    uint32_t tickets[2];

    feedback_unknown(scheduler, index); /* of the attempt before, should it still be owed */
    for (int i = 0; i < 2; i++) {
        pace_granted(&nodes[i]->pace, &nodes[i]->pace_settings, scheduler->now.mono);
        tickets[i] =
            breaker_granted(&nodes[i]->breaker, &nodes[i]->breaker_settings, scheduler->now.mono);
    }
    job->granted = scheduler->now.mono;
    job->provider_ticket = tickets[0];
    job->institution_ticket = tickets[1];
    job->owes_fate = true;
    job->is_paced = true;
}

void feedback_returned(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];

    if (!job->owes_fate || !job->is_paced)
        return;
    job->is_paced = false;
    pace_returned(&job_provider(scheduler, job)->node.pace, job->granted);
    pace_returned(&scheduler->institutions[job->institution].node.pace, job->granted);
}

/* Refused at the slowest pace there is: the pace cannot help any more. */
static bool is_at_floor(const struct limit_node *node)
{
    return node->pace_settings.learns &&
           pace_interval_us(&node->pace) >= node->pace_settings.floor_interval_us;
}

/* Tell one node. */
static void tell(struct scheduler *scheduler, const struct job *job, uint32_t reference,
                 uint32_t ticket, struct signals signals)
{
    struct limit_node *node = node_of(scheduler, reference);
    bool is_refused = signals.pace == PACE_REFUSED;
    bool was_closed = node->breaker.state == BREAKER_CLOSED;

    if (is_refused && (node->breaker.state != BREAKER_CLOSED || is_at_floor(node)))
        signals.breaker = BREAKER_FAILED;
    if (job->is_paced && pace_result(&node->pace, &node->pace_settings, scheduler->now.mono,
                                     job->granted, signals.pace))
        node_record_mark(scheduler, reference, false);
    if (breaker_result(&node->breaker, &node->breaker_settings, &scheduler->random,
                       scheduler->now.mono, job->granted, ticket, signals.breaker))
        node_record_mark(scheduler, reference, true);
    /* What the outage slowed down would take hours to climb back step by step. */
    if (!was_closed && node->breaker.state == BREAKER_CLOSED &&
        pace_outage_over(&node->pace, scheduler->now.mono))
        node_record_mark(scheduler, reference, true);
}

static void set_troubled(struct scheduler *scheduler, struct institution *institution,
                         bool is_troubled)
{
    struct provider *provider = &scheduler->providers[institution->provider];

    provider->troubled += is_troubled;
    provider->troubled -= institution->is_troubled;
    institution->is_troubled = is_troubled;
}

/* Trouble on the way to a bank looks like trouble of the provider: a 503 or a timeout does not say
 * whose it is. It is the provider's where it is what came last of most banks, else that bank's, so
 * that a dead one slows no other. */
static void find_whose(struct scheduler *scheduler, const struct job *job, struct verdict *verdict)
{
    struct institution *institution = &scheduler->institutions[job->institution];
    const struct provider *provider = &scheduler->providers[institution->provider];

    if (verdict->provider.breaker != BREAKER_NEUTRAL)
        set_troubled(scheduler, institution, verdict->provider.breaker == BREAKER_FAILED);
    if (verdict->provider.breaker != BREAKER_FAILED || 2 * provider->troubled > provider->populated)
        return;
    verdict->institution = verdict->provider;
    verdict->provider = says_nothing;
}

static void tell_both(struct scheduler *scheduler, uint32_t index, struct verdict verdict)
{
    struct job *job = &scheduler->jobs[index];

    if (!job->owes_fate)
        return;
    if (scheduler->institutions[job->institution].is_default) {
        if (verdict.institution.pace != PACE_NEUTRAL ||
            verdict.institution.breaker != BREAKER_NEUTRAL)
            verdict.provider = verdict.institution;
        verdict.institution = says_nothing;
    } else {
        find_whose(scheduler, job, &verdict);
    }
    tell(scheduler, job, provider_reference(scheduler, job), job->provider_ticket,
         verdict.provider);
    tell(scheduler, job, job->institution, job->institution_ticket, verdict.institution);
    job->owes_fate = false;
    job->is_paced = false;
    work_unblock(scheduler, job->institution); /* its pace or breaker may have opened */
}

void feedback_ended(struct scheduler *scheduler, uint32_t index, enum reason reason)
{
    tell_both(scheduler, index, judge(reason));
}

void feedback_about_consent(struct scheduler *scheduler, uint32_t index)
{
    tell_both(scheduler, index, (struct verdict){says_nothing, says_works});
}

void feedback_unknown(struct scheduler *scheduler, uint32_t index)
{
    tell_both(scheduler, index, (struct verdict){says_nothing, says_nothing});
}

void feedback_misconfigured(struct scheduler *scheduler, uint32_t index)
{
    struct job *job = &scheduler->jobs[index];
    struct limit_node *node = &job_provider(scheduler, job)->node;

    if (!job->owes_fate)
        return;
    if (breaker_misconfigured(&node->breaker, &node->breaker_settings, &scheduler->random,
                              scheduler->now.mono, job->granted, job->provider_ticket,
                              job->consent))
        node_record_mark(scheduler, provider_reference(scheduler, job), true);
    job->provider_ticket = 0; /* told */
    feedback_unknown(scheduler, index);
}

void feedback_accepted(struct scheduler *scheduler, uint32_t index)
{
    const struct job *job = &scheduler->jobs[index];

    set_troubled(scheduler, &scheduler->institutions[job->institution], false);
    if (breaker_accepted(&job_provider(scheduler, job)->node.breaker, scheduler->now.mono,
                         job->granted))
        node_record_mark(scheduler, provider_reference(scheduler, job), true);
}

/* A refusal that asks for a pause: 429 always, anything else when it names one (Retry-After). */
static bool asks_for_pause(const struct answer *answer)
{
    return answer->class_ == CLASS_PUSHBACK ||
           (answer->class_ == CLASS_RETRY_LATER && answer->retry_after_ms >= 0);
}

void feedback_answer(struct scheduler *scheduler, uint32_t index, const struct answer *answer)
{
    const struct job *job = &scheduler->jobs[index];
    struct limit_node *node = job_pushback_node(scheduler, job);
    const struct provider_settings *settings = &job_provider(scheduler, job)->settings;
    const struct retry_settings *retry = job_retry_settings(scheduler, job);
    int64_t first_ms = settings->pushback_first_ms;
    int64_t until_us = node->pushback_until.us;
    uint32_t streak = node->pushback_streak;

    if (settings->pushback_yields && retry->backoff_first_ms < first_ms)
        first_ms = retry->backoff_first_ms;
    if (asks_for_pause(answer))
        limit_node_push_back(node, scheduler->now.mono, answer->retry_after_ms, first_ms,
                             settings->pushback_max_ms);
    else if (answer->answered && node->pushback_until.us <= scheduler->now.mono.us)
        node->pushback_streak = 0;
    if (node->pushback_until.us != until_us || node->pushback_streak != streak)
        node_record_mark(scheduler,
                         scheduler->institutions[job->institution].is_default
                             ? provider_reference(scheduler, job)
                             : job->institution,
                         node->pushback_until.us != until_us);
}

void feedback_answer_without_job(struct scheduler *scheduler, struct provider *provider,
                                 const struct answer *answer)
{
    if (!asks_for_pause(answer))
        return;
    limit_node_push_back(&provider->node, scheduler->now.mono, answer->retry_after_ms,
                         provider->settings.pushback_first_ms, provider->settings.pushback_max_ms);
    node_record_mark(scheduler, (uint32_t)(provider - scheduler->providers) | NODE_PROVIDER_BIT,
                     true);
}

/* ---- by hand ---- */

static void reset_node(struct scheduler *scheduler, uint32_t reference)
{
    struct limit_node *node = node_of(scheduler, reference);

    pace_init(&node->pace);
    breaker_reset(&node->breaker);
    node->pushback_until.us = INT64_MIN;
    node->pushback_streak = 0;
    node_record_mark(scheduler, reference, true);
}

void feedback_reset(struct scheduler *scheduler, uint32_t provider, uint32_t institution)
{
    if (institution != NONE_INDEX) {
        reset_node(scheduler, institution);
        work_unblock(scheduler, institution);
        return;
    }
    reset_node(scheduler, provider | NODE_PROVIDER_BIT);
    for (uint32_t i = 0; i < scheduler->institution_count; i++) {
        if (scheduler->institutions[i].provider != provider ||
            !scheduler->institutions[i].is_configured)
            continue;
        reset_node(scheduler, i);
        work_unblock(scheduler, i);
    }
}
