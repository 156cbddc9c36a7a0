/* SPDX-License-Identifier: MIT
 * simulation.c - one seed from beginning to end. See simulation.h. */
#include "tests/simulation/simulation.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/accident.h"

#define HOUR_US (MS_PER_HOUR * US_PER_MS)

struct time_now simulation_now(const struct simulation *s)
{
    return clocks_now(&s->clocks);
}

void simulation_say(struct simulation *s, const char *format, ...)
{
    char when[UTC_TEXT_SIZE];
    va_list arguments;

    if (!s->is_tracing)
        return;
    printf("%s ", utc_text(simulation_now(s).utc, when));
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* ---- bugs that the core finds itself ---- */

static struct simulation *watched;

static void tell_bug(int signal_number)
{
    (void)signal_number;
    if (watched != NULL)
        judge_fail(watched, "the core has found a bug of its own, see the line above");
    _Exit(3);
}

void simulation_watch(struct simulation *s)
{
    watched = s;
    (void)signal(SIGABRT, tell_bug);
}

/* ---- moments ---- */

static void look(struct simulation *s)
{
    judge_look(s);
    timeline_add(&s->timeline, s->clocks.true_us + dice_below(&s->random, HOUR_US), MOMENT_LOOK, 0,
                 0);
}

static void happen(struct simulation *s, const struct moment *moment)
{
    switch (moment->kind) {
    case MOMENT_TURN:
        if (moment->life == s->shell.life)
            virtual_shell_turn(s);
        break;
    case MOMENT_HANDOVER: virtual_shell_handover(s, moment->subject); break;
    case MOMENT_ARRIVAL: virtual_shell_arrival(s, moment->subject); break;
    case MOMENT_ANSWER: virtual_shell_answer(s, moment->subject); break;
    case MOMENT_WEBHOOK: virtual_shell_webhook(s, moment->subject); break;
    case MOMENT_ACCIDENT: accident_happen(s); break;
    case MOMENT_START: virtual_shell_start(s); break;
    case MOMENT_WEATHER: virtual_provider_weather(s, moment->subject); break;
    case MOMENT_LOOK: look(s); break;
    case MOMENT_KIND_COUNT: break;
    }
}

static void live_until(struct simulation *s, int64_t until_us)
{
    while (timeline_first_us(&s->timeline) <= until_us) {
        struct moment moment = timeline_take(&s->timeline);

        if (moment.true_us > s->clocks.true_us)
            s->clocks.true_us = moment.true_us;
        happen(s, &moment);
    }
    if (until_us > s->clocks.true_us)
        s->clocks.true_us = until_us;
}

/* Faults stop: whatever was begun has to end, in the time that limits and deadlines allow. */
static void drain(struct simulation *s)
{
    struct utc_time bound;

    s->is_calm = true;
    s->is_ending = true;
    virtual_provider_calm(s);
    s->shell.disk_full_until = INT64_MIN;
    s->shell.dies_in = 0;
    /* A daemon that is down starts again; one that drains ends first. */
    for (int i = 0; i < 3 && (!virtual_shell_is_up(&s->shell) || s->shell.is_draining); i++) {
        virtual_shell_start(s);
        live_until(s, s->clocks.true_us + 60 * US_PER_SECOND);
    }
    live_until(s, s->clocks.true_us + 2 * US_PER_SECOND);
    accident_end(s);
    scheduler_set_calendars(s->shell.scheduler, false);
    live_until(s, s->clocks.true_us + US_PER_SECOND);
    bound = judge_drain_bound(s);
    live_until(s,
               s->clocks.true_us + (bound.ms - simulation_now(s).utc.ms) * US_PER_MS * 101 / 100);
    judge_look(s);
    judge_drained(s);
}

struct simulation *simulation_create(uint64_t seed)
{
    struct simulation *s = calloc(1, sizeof *s);

    REQUIRE(s != NULL);
    s->seed = seed;
    s->replay = "";
    simulation_watch(s);
    random_init(&s->random, seed);
    world_make(&s->world, &s->random);
    return s;
}

void simulation_begin(struct simulation *s)
{
    clocks_init(&s->clocks, s->world.start.ms,
                (int32_t)dice_between(&s->random, -CLOCKS_DRIFT_MAX_PPM, CLOCKS_DRIFT_MAX_PPM));
    memory_store_init(&s->store);
    judge_init(&s->judge);
    virtual_shell_init(s);
    virtual_provider_init(s);
    timeline_add(&s->timeline, 0, MOMENT_START, 0, 0);
}

void simulation_live(struct simulation *s, int64_t until_ms)
{
    live_until(s, until_ms * US_PER_MS);
}

void simulation_destroy(struct simulation *s)
{
    simulation_watch(NULL);
    virtual_shell_deinit(s);
    virtual_provider_deinit(s);
    memory_store_deinit(&s->store);
    judge_deinit(&s->judge);
    timeline_deinit(&s->timeline);
    free(s);
}

void simulation_run(uint64_t seed, int64_t hours, bool drains, enum sabotage sabotage,
                    bool is_tracing, const char *replay, struct simulation_result *result)
{
    struct simulation *s = simulation_create(seed);

    s->replay = replay;
    s->sabotage = sabotage;
    s->is_tracing = is_tracing;
    s->has_restarts = !dice_one_in(&s->random, 5);
    s->has_steps = dice_one_in(&s->random, 3);
    s->fault_us = dice_log(&s->random, 60, 6) * US_PER_SECOND;
    simulation_begin(s);
    timeline_add(&s->timeline, HOUR_US / 4, MOMENT_ACCIDENT, 0, 0);
    timeline_add(&s->timeline, HOUR_US / 8, MOMENT_LOOK, 0, 0);
    live_until(s, hours * HOUR_US);
    if (drains)
        drain(s);
    s->tally.virtual_us = (uint64_t)s->clocks.true_us;
    result->trace = s->trace;
    result->tally = s->tally;
    simulation_destroy(s);
}
