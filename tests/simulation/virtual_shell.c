/* SPDX-License-Identifier: MIT
 * virtual_shell.c - turns, commits and restarts. See virtual_shell.h. */
#include "tests/simulation/virtual_shell.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/virtual_shell_request.h"

#define TURN_RECORDS_MAX 16384
#define STORAGE_RETRY_US US_PER_SECOND
#define DRAIN_US (30 * US_PER_SECOND)
#define FOLD_EVERY_US (10 * 60 * US_PER_SECOND)
#define LIMITS_EVERY_US (10 * US_PER_SECOND)
#define STEPS_PER_CHECK 64
/* So often may it wake in one hour, with nothing to say, for reasons of its own. */
#define IDLE_TURNS_PER_HOUR 20000

const struct snapshot *virtual_shell_snapshot(const struct virtual_shell *shell)
{
    return &shell->snapshots[shell->current];
}

bool virtual_shell_is_up(const struct virtual_shell *shell)
{
    return shell->scheduler != NULL;
}

void virtual_shell_init(struct simulation *s)
{
    s->shell = (struct virtual_shell){.batch = calloc(1, sizeof(struct batch)),
                                      .turn_us = INT64_MAX,
                                      .disk_full_until = INT64_MIN};
    REQUIRE(s->shell.batch != NULL);
}

void virtual_shell_deinit(struct simulation *s)
{
    scheduler_destroy(s->shell.scheduler);
    free(s->shell.batch);
    free(s->shell.records);
    free(s->shell.effects);
    free(s->shell.queue);
    free(s->shell.requests);
    free(s->shell.jobs);
}

/* ---- when to run ---- */

static void plan_turn(struct simulation *s, int64_t at_us)
{
    if (at_us < s->clocks.true_us)
        at_us = s->clocks.true_us;
    if (at_us == INT64_MAX || at_us >= s->shell.turn_us)
        return;
    s->shell.turn_us = at_us;
    timeline_add(&s->timeline, at_us, MOMENT_TURN, 0, s->shell.life);
}

static int64_t lateness_us(struct simulation *s)
{
    if (s->is_calm || !dice_one_in(&s->random, 100))
        return dice_below(&s->random, 1000);
    tally_count(&s->tally, TALLY_LATE_TURNS);
    return dice_below(&s->random, dice_one_in(&s->random, 20) ? 100 * US_PER_SECOND : 500000);
}

void virtual_shell_replan(struct simulation *s)
{
    struct virtual_shell *shell = &s->shell;
    int64_t at_us;

    if (!virtual_shell_is_up(shell))
        return;
    shell->turn_us = INT64_MAX;
    at_us = clocks_true_of(&s->clocks, shell->wake);
    if (shell->is_blocked)
        at_us = s->clocks.true_us + STORAGE_RETRY_US;
    else if (shell->queue_next < shell->queue_count)
        at_us = s->clocks.true_us;
    if (shell->is_draining && shell->drained_by_us < at_us)
        at_us = shell->drained_by_us;
    if (at_us == INT64_MAX)
        return;
    if (s->sabotage == SABOTAGE_STALL && dice_one_in(&s->random, 30))
        return;
    plan_turn(s, at_us > s->clocks.true_us ? at_us + lateness_us(s) : at_us);
}

void virtual_shell_wake_up(struct simulation *s)
{
    s->shell.turn_us = INT64_MAX;
    if (virtual_shell_is_up(&s->shell))
        plan_turn(s, s->clocks.true_us);
}

static void put_event(struct simulation *s, const struct event *event)
{
    struct virtual_shell *shell = &s->shell;

    if (shell->queue_count == shell->queue_capacity) {
        shell->queue_capacity = 2 * shell->queue_capacity + 64;
        shell->queue = realloc(shell->queue, shell->queue_capacity * sizeof *shell->queue);
        REQUIRE(shell->queue != NULL);
    }
    shell->queue[shell->queue_count++] = *event;
    if (!shell->is_blocked)
        plan_turn(s, s->clocks.true_us + (dice_one_in(&s->random, 4) ? 2000 : 0));
}

void virtual_shell_request_event(struct simulation *s, const struct event *event)
{
    put_event(s, event);
}

/* ---- one turn ---- */

static void append_decisions(struct simulation *s)
{
    struct virtual_shell *shell = &s->shell;
    const struct batch *batch = shell->batch;

    if (shell->record_count == 0 && shell->effect_count == 0)
        shell->decided_us = s->clocks.true_us;
    while (shell->record_count + batch->record_count > shell->record_capacity) {
        shell->record_capacity = 2 * shell->record_capacity + 1024;
        shell->records = realloc(shell->records, shell->record_capacity * sizeof *shell->records);
        REQUIRE(shell->records != NULL);
    }
    while (shell->effect_count + batch->effect_count > shell->effect_capacity) {
        shell->effect_capacity = 2 * shell->effect_capacity + 256;
        shell->effects = realloc(shell->effects, shell->effect_capacity * sizeof *shell->effects);
        REQUIRE(shell->effects != NULL);
    }
    if (batch->record_count > 0)
        memcpy(shell->records + shell->record_count, batch->records,
               batch->record_count * sizeof *batch->records);
    if (batch->effect_count > 0)
        memcpy(shell->effects + shell->effect_count, batch->effects,
               batch->effect_count * sizeof *batch->effects);
    shell->record_count += batch->record_count;
    shell->effect_count += batch->effect_count;
}

static void hash_batch(struct simulation *s)
{
    const struct batch *batch = s->shell.batch;
    int64_t wake[2] = {s->shell.wake.utc.ms, s->shell.wake.mono.us};

    s->trace = hash_bytes(wake, sizeof wake, s->trace);
    if (batch->record_count > 0)
        s->trace =
            hash_bytes(batch->records, batch->record_count * sizeof *batch->records, s->trace);
    if (batch->effect_count > 0)
        s->trace =
            hash_bytes(batch->effects, batch->effect_count * sizeof *batch->effects, s->trace);
}

static void step(struct simulation *s, const struct event *event)
{
    struct virtual_shell *shell = &s->shell;
    struct fault fault;

    shell->wake = scheduler_step(shell->scheduler, simulation_now(s), event, shell->batch);
    tally_count(&s->tally, TALLY_STEPS);
    hash_batch(s);
    append_decisions(s);
    if (shell->batch->needs_reserve &&
        scheduler_reserve(shell->scheduler, s->world.consent_max, &fault) != RESULT_OK)
        judge_fail(s, "reserve: %s", fault.text);
    if (s->tally.counts[TALLY_STEPS] % STEPS_PER_CHECK == 0)
        scheduler_check(shell->scheduler);
}

/* What the daemon does for a record once it is committed. */
static void committed(struct simulation *s, const struct record *record)
{
    struct virtual_shell *shell = &s->shell;
    uint32_t slot;

    switch (record->kind) {
    case RECORD_JOB_OPEN:
        virtual_shell_job_recovered(s, record->as.job_open.job_slot, record->as.job_open.job,
                                    record->as.job_open.consent, 1, 0);
        break;
    case RECORD_REFERENCE:
        slot = record->as.reference.job_slot;
        if (slot < shell->job_capacity && shell->jobs[slot].job == record->as.reference.job)
            shell->jobs[slot].reference = record->as.reference.reference_hash;
        break;
    case RECORD_JOB_CLOSE:
        if (record->as.job_close.job_slot < shell->job_capacity)
            shell->jobs[record->as.job_close.job_slot].is_open = false;
        break;
    case RECORD_RUN_CLOSE: shell->fold_wanted = true; break;
    default: break;
    }
}

void virtual_shell_job_recovered(struct simulation *s, uint32_t slot, uint64_t job,
                                 uint32_t consent, uint16_t attempt, uint64_t reference)
{
    struct virtual_shell *shell = &s->shell;

    if (slot >= shell->job_capacity) {
        uint32_t capacity = 2 * slot + 64;

        shell->jobs = realloc(shell->jobs, capacity * sizeof *shell->jobs);
        REQUIRE(shell->jobs != NULL);
        memset(shell->jobs + shell->job_capacity, 0,
               (capacity - shell->job_capacity) * sizeof *shell->jobs);
        shell->job_capacity = capacity;
    }
    if (shell->jobs[slot].is_open)
        judge_fail(s, "job slot %u is given to job %llu while job %llu has it", slot,
                   (unsigned long long)job, (unsigned long long)shell->jobs[slot].job);
    shell->jobs[slot] = (struct shell_job){true, job, consent, attempt, reference};
}

/* False: nothing left, nothing is lost, try later; or the process is dead. */
static bool commit_and_perform(struct simulation *s)
{
    struct virtual_shell *shell = &s->shell;

    if (shell->record_count > 0 && s->clocks.true_us < shell->disk_full_until) {
        tally_count(&s->tally, TALLY_COMMITS_REFUSED);
        shell->is_blocked = true;
        return false;
    }
    if ((shell->record_count > 0 || shell->effect_count > 0) &&
        virtual_shell_dies(s, TALLY_RESTARTS_BEFORE_COMMIT))
        return false;
    for (uint32_t i = 0; i < shell->record_count && shell->is_blocked; i++)
        if (shell->records[i].kind == RECORD_CALLS)
            shell->records[i].at = simulation_now(s).utc; /* they leave now */
    shell->is_blocked = false;
    memory_store_commit(s, shell->records, shell->record_count);
    for (uint32_t i = 0; i < shell->record_count; i++)
        committed(s, &shell->records[i]);
    for (uint32_t i = 0; i < shell->effect_count; i++) {
        if (virtual_shell_dies(s, TALLY_RESTARTS_BEFORE_EFFECT))
            return false;
        virtual_shell_perform(s, &shell->effects[i]);
    }
    shell->record_count = 0;
    shell->effect_count = 0;
    return true;
}

static bool step_queued(struct simulation *s)
{
    struct virtual_shell *shell = &s->shell;

    while (shell->queue_next < shell->queue_count) {
        struct event event = shell->queue[shell->queue_next++];

        judge_told(s, &event);
        step(s, &event);
        if (shell->record_count >= TURN_RECORDS_MAX && !commit_and_perform(s))
            return false;
    }
    shell->queue_next = 0;
    shell->queue_count = 0;
    return true;
}

static bool step_time(struct simulation *s)
{
    static const struct event time_event = {.kind = EVENT_TIME};
    struct virtual_shell *shell = &s->shell;

    for (uint32_t rounds = 0;; rounds++) {
        bool again;

        step(s, &time_event);
        again = shell->batch->is_full || shell->batch->needs_reserve;
        if (rounds > 10000)
            judge_fail(s, "the core has asked to be called again 10000 times at one instant");
        if (shell->record_count >= TURN_RECORDS_MAX || !again)
            if (!commit_and_perform(s))
                return false;
        if (!again)
            return true;
    }
}

/* Waking is for doing something. */
static void judge_idleness(struct simulation *s, bool was_idle)
{
    struct virtual_shell *shell = &s->shell;
    int64_t hour = s->clocks.true_us / (MS_PER_HOUR * US_PER_MS);

    if (shell->instant_us != s->clocks.true_us) {
        shell->instant_us = s->clocks.true_us;
        shell->instant_turns = 0;
    }
    if (++shell->instant_turns > 1000)
        judge_fail(s, "the daemon turned 1000 times at one instant: its wake time stands still");
    if (shell->idle_hour != hour) {
        shell->idle_hour = hour;
        shell->idle_turns = 0;
    }
    if (was_idle && ++shell->idle_turns > IDLE_TURNS_PER_HOUR)
        judge_fail(s, "%d turns in an hour had nothing to say: busy waiting", IDLE_TURNS_PER_HOUR);
    if (shell->idle_turns > shell->idle_most)
        shell->idle_most = shell->idle_turns;
}

static void care(struct simulation *s)
{
    struct virtual_shell *shell = &s->shell;
    struct time_now now = simulation_now(s);

    if (now.mono.us >= shell->next_limits.us &&
        (scheduler_run_count(shell->scheduler) > 0 || scheduler_jobs_live(shell->scheduler) > 0)) {
        s->store.active = now.utc;
        shell->next_limits = mono_add_us(now.mono, LIMITS_EVERY_US);
    }
    if (!shell->fold_wanted && now.mono.us < shell->next_fold.us)
        return;
    memory_store_fold(s);
    shell->fold_wanted = false;
    shell->next_fold = mono_add_us(now.mono, FOLD_EVERY_US);
}

void virtual_shell_turn(struct simulation *s)
{
    struct virtual_shell *shell = &s->shell;
    uint64_t records = s->tally.counts[TALLY_RECORDS];
    bool was_asked;
    bool can_go_on = true;

    if (!virtual_shell_is_up(shell) || shell->turn_us > s->clocks.true_us)
        return;
    shell->turn_us = INT64_MAX;
    tally_count(&s->tally, TALLY_TURNS);
    was_asked = shell->queue_count > 0 || shell->is_blocked;
    if (shell->is_blocked)
        can_go_on = commit_and_perform(s);
    if (can_go_on && step_queued(s) && step_time(s)) {
        care(s);
        judge_idleness(s, !was_asked && s->tally.counts[TALLY_RECORDS] == records);
    }
    if (virtual_shell_is_up(shell) && shell->is_draining &&
        (scheduler_is_drained(shell->scheduler) || s->clocks.true_us >= shell->drained_by_us))
        virtual_shell_kill(s, TALLY_DRAINS);
    virtual_shell_replan(s);
}

/* ---- life and death ---- */

void virtual_shell_kill(struct simulation *s, enum tally_kind kind)
{
    struct virtual_shell *shell = &s->shell;
    struct random *random = &s->random;
    int64_t down_us = dice_one_in(random, 6) ? dice_below(random, 14 * MS_PER_HOUR) * US_PER_MS
                                             : dice_log(random, 200000, 9);

    tally_count(&s->tally, kind);
    simulation_say(s, "the daemon dies (%s), down for %lld s", tally_text(kind),
                   (long long)(down_us / US_PER_SECOND));
    scheduler_destroy(shell->scheduler);
    shell->scheduler = NULL;
    shell->record_count = 0;
    shell->effect_count = 0;
    shell->queue_count = 0;
    shell->queue_next = 0;
    shell->turn_us = INT64_MAX;
    shell->is_blocked = false;
    shell->is_draining = false;
    shell->dies_in = 0;
    shell->fold_wanted = false;
    virtual_shell_drop_requests(s);
    if (shell->job_capacity > 0)
        memset(shell->jobs, 0, shell->job_capacity * sizeof *shell->jobs);
    if (s->is_ending)
        down_us = US_PER_SECOND;
    if (shell->down_us > 0)
        down_us = shell->down_us;
    timeline_add(&s->timeline, s->clocks.true_us + down_us, MOMENT_START, 0, 0);
}

bool virtual_shell_dies(struct simulation *s, enum tally_kind kind)
{
    if (s->shell.dies_in == 0 || --s->shell.dies_in > 0)
        return false;
    virtual_shell_kill(s, kind);
    return true;
}

static void adopt(struct simulation *s, bool is_first)
{
    struct virtual_shell *shell = &s->shell;
    struct snapshot *next = &shell->snapshots[1 - shell->current];
    const struct snapshot *last = virtual_shell_snapshot(shell);
    struct fault fault;

    world_snapshot(&s->world, next);
    if (s->sabotage == SABOTAGE_OVERSTEP)
        for (uint32_t i = 0; i < next->settings.provider_count; i++)
            for (uint32_t r = 0; r < next->providers[i].limits.rate_count; r++)
                next->providers[i].limits.rates[r].count *= 2;
    shell->current = 1 - shell->current;
    memory_store_adopt(s, is_first);
    for (uint32_t c = 1; c <= s->world.consent_max && !is_first; c++)
        if (last->has_consent[c] && !next->has_consent[c])
            scheduler_consent_remove(shell->scheduler, c);
    if (scheduler_configure(shell->scheduler, simulation_now(s), &next->settings, &fault) !=
            RESULT_OK ||
        scheduler_reserve(shell->scheduler, s->world.consent_max, &fault) != RESULT_OK)
        judge_fail(s, "configure: %s", fault.text);
    for (uint32_t c = 1; c <= s->world.consent_max; c++)
        if (next->has_consent[c])
            scheduler_consent_put(shell->scheduler, c, &next->consents[c]);
}

void virtual_shell_start(struct simulation *s)
{
    struct virtual_shell *shell = &s->shell;

    if (virtual_shell_is_up(shell))
        return;
    shell->life++;
    s->store.is_once_pending = false;
    if (shell->boots_at > 0)
        clocks_boot(&s->clocks, shell->boots_at);
    shell->boots_at = 0;
    shell->scheduler = scheduler_create(s->seed + shell->life);
    REQUIRE(shell->scheduler != NULL);
    memset(shell->tokens, 0, sizeof shell->tokens);
    if (!s->is_calm && shell->life > 1 && dice_one_in(&s->random, 8))
        shell->dies_in = (uint32_t)dice_between(&s->random, 1, 4);
    simulation_say(s, "the daemon starts, life %u", shell->life);
    adopt(s, true);
    judge_restarting(s);
    if (!memory_store_recover(s))
        return;
    if (s->is_ending)
        scheduler_set_calendars(shell->scheduler, false);
    scheduler_check(shell->scheduler);
    shell->wake = (struct wake){simulation_now(s).utc, simulation_now(s).mono};
    shell->next_fold = mono_add_us(simulation_now(s).mono, FOLD_EVERY_US);
    shell->next_limits = simulation_now(s).mono;
    virtual_shell_replan(s);
}

bool virtual_shell_reload(struct simulation *s)
{
    struct virtual_shell *shell = &s->shell;

    if (!virtual_shell_is_up(shell) || shell->is_blocked || !step_queued(s) ||
        !commit_and_perform(s)) {
        virtual_shell_replan(s);
        return false;
    }
    adopt(s, false);
    judge_reloaded(s);
    memory_store_repeat_pauses(s);
    scheduler_check(shell->scheduler);
    shell->wake = (struct wake){simulation_now(s).utc, simulation_now(s).mono};
    virtual_shell_replan(s);
    return true;
}

bool virtual_shell_tell(struct simulation *s, const struct event *event)
{
    if (!virtual_shell_is_up(&s->shell) || s->shell.is_blocked ||
        s->clocks.true_us < s->shell.disk_full_until)
        return false;
    if (event->kind == EVENT_DRAIN) {
        s->shell.is_draining = true;
        s->shell.drained_by_us = s->clocks.true_us + DRAIN_US;
    }
    put_event(s, event);
    return true;
}
