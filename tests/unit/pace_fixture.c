/* SPDX-License-Identifier: MIT
 * pace_fixture.c - see pace_fixture.h. */
#include "tests/unit/pace_fixture.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/random.h"

#define FLIGHTS_MAX 65536
#define WINDOW_MAX 64
#define MINUTE_US (60 * US_PER_SECOND)

const char *const pace_bank_kinds[PACE_BANK_KINDS] = {
    [PACE_BANK_STRICT] = "strict",     [PACE_BANK_WINDOW] = "window",
    [PACE_BANK_BUCKET_1] = "bucket-1", [PACE_BANK_BUCKET_5] = "bucket-5",
    [PACE_BANK_FRAME] = "frame",       [PACE_BANK_DIRECT] = "direct",
    [PACE_BANK_TIMEOUT] = "timeout",   [PACE_BANK_OPEN] = "open"};

/* --- The bank -------------------------------------------------------------------------------- */

struct bank {
    enum pace_bank_kind kind;
    double per_second;
    double free_us;  /* strict: the earliest instant of the next request */
    double tokens;   /* buckets */
    int64_t seen_us; /* when they were last filled */
    int64_t times_us[WINDOW_MAX];
    int64_t used; /* of times_us, or in this frame */
    int64_t frame;
};

/* 0.2 * 25^u for u in [0, 1), by the series of exp: the same bits on every machine. */
static double draw_limit(struct random *random)
{
    double x = 3.2188758248682006 * ((double)(random_next(random) >> 11) * 0x1p-53);
    double term = 1;
    double sum = 1;

    for (int i = 1; i < 40; i++) {
        term *= x / i;
        sum += term;
    }
    return 0.2 * sum;
}

static bool window_accepts(struct bank *bank, int64_t now_us)
{
    int64_t count = (int64_t)(bank->per_second * 3 + 0.5);
    int64_t kept = 0;
    double span_us;

    if (count < 1)
        count = 1;
    span_us = (double)count / bank->per_second * 1e6;
    for (int64_t i = 0; i < bank->used; i++)
        if ((double)bank->times_us[i] + span_us > (double)now_us)
            bank->times_us[kept++] = bank->times_us[i];
    bank->used = kept;
    if (kept >= count)
        return false;
    bank->times_us[bank->used++] = now_us;
    return true;
}

static bool bucket_accepts(struct bank *bank, int64_t now_us, double seconds)
{
    double size = bank->per_second * seconds < 1 ? 1 : bank->per_second * seconds;

    bank->tokens += (double)(now_us - bank->seen_us) / 1e6 * bank->per_second;
    bank->seen_us = now_us;
    if (bank->tokens > size)
        bank->tokens = size;
    if (bank->tokens < 1)
        return false;
    bank->tokens -= 1;
    return true;
}

static bool frame_accepts(struct bank *bank, int64_t now_us)
{
    if (now_us / (10 * US_PER_SECOND) != bank->frame)
        bank->used = 0;
    bank->frame = now_us / (10 * US_PER_SECOND);
    if ((double)bank->used + 0.5 > bank->per_second * 10)
        return false;
    bank->used++;
    return true;
}

static bool bank_accepts(struct bank *bank, int64_t now_us)
{
    switch (bank->kind) {
    case PACE_BANK_WINDOW: return window_accepts(bank, now_us);
    case PACE_BANK_BUCKET_1:
    case PACE_BANK_TIMEOUT: return bucket_accepts(bank, now_us, 1);
    case PACE_BANK_BUCKET_5: return bucket_accepts(bank, now_us, 5);
    case PACE_BANK_FRAME: return frame_accepts(bank, now_us);
    case PACE_BANK_OPEN: return true;
    default:
        if ((double)now_us < bank->free_us)
            return false;
        bank->free_us = (double)now_us + 1e6 / bank->per_second;
        return true;
    }
}

/* --- Requests on their way to the bank, and results on their way back ------------------------- */

struct flight {
    int64_t at_us;
    int64_t sent_us;
    bool is_back;
    enum pace_signal signal;
};

struct run {
    const struct pace_world *world;
    struct random random;
    struct bank bank;
    struct pace pace;
    struct pace_world_sum sum;
    int64_t now_us;
    int64_t sent_us; /* the last one */
    int64_t redraw_us;
    int64_t trace_us;
    uint32_t count;
    struct flight heap[FLIGHTS_MAX]; /* the earliest first */
};

static void flight_add(struct run *run, struct flight flight)
{
    uint32_t i = run->count++;

    REQUIRE(run->count < FLIGHTS_MAX);
    for (; i > 0 && run->heap[(i - 1) / 2].at_us > flight.at_us; i = (i - 1) / 2)
        run->heap[i] = run->heap[(i - 1) / 2];
    run->heap[i] = flight;
}

static struct flight flight_take(struct run *run)
{
    struct flight first = run->heap[0];
    struct flight last = run->heap[--run->count];
    uint32_t i = 0;

    for (uint32_t child = 1; child < run->count; child = 2 * i + 1) {
        if (child + 1 < run->count && run->heap[child + 1].at_us < run->heap[child].at_us)
            child++;
        if (run->heap[child].at_us >= last.at_us)
            break;
        run->heap[i] = run->heap[child];
        i = child;
    }
    run->heap[i] = last;
    return first;
}

static bool happens(struct run *run, int64_t ppm)
{
    return (int64_t)random_below(&run->random, 1000000) < ppm;
}

static void arrive(struct run *run, const struct flight *flight)
{
    const struct pace_world *world = run->world;
    bool accepted = bank_accepts(&run->bank, flight->at_us);
    int64_t wide_us = (world->delay_most_ms - world->delay_least_ms) * US_PER_MS;
    int64_t delay_us = world->delay_least_ms * US_PER_MS;
    struct flight back = {.sent_us = flight->sent_us, .is_back = true, .signal = PACE_SUCCESS};
    bool silent =
        world->silent_from_minute > 0 && flight->at_us >= world->silent_from_minute * MINUTE_US;

    delay_us += (int64_t)random_below(&run->random, (uint64_t)wide_us + 1);
    if (accepted) {
        run->sum.accepted++;
        if (happens(run, world->noise_ppm))
            back.signal = PACE_TROUBLE;
    } else {
        run->sum.refused++;
        back.signal = run->bank.kind == PACE_BANK_TIMEOUT ? PACE_TROUBLE : PACE_REFUSED;
        if (run->bank.kind == PACE_BANK_DIRECT)
            delay_us = 80 * US_PER_MS;
    }
    back.at_us = flight->at_us + delay_us;
    if (!happens(run, world->lost_ppm) && !silent)
        flight_add(run, back);
}

static void send_one(struct run *run)
{
    int64_t jitter_us =
        (int64_t)random_below(&run->random, (uint64_t)(run->world->jitter_ms * US_PER_MS) + 1);

    pace_granted(&run->pace, &run->world->settings, (struct mono_time){run->now_us});
    run->sent_us = run->now_us;
    run->sum.sent++;
    flight_add(run, (struct flight){.at_us = run->now_us + jitter_us, .sent_us = run->now_us});
}

static int64_t next_send_us(const struct run *run)
{
    const struct pace_world *world = run->world;
    int64_t per_minute =
        world->demand_per_minute > 0 ? world->demand_per_minute : world->cap_per_minute;
    int64_t at_us = pace_earliest(&run->pace, &world->settings, (struct mono_time){run->now_us}).us;

    return at_us > run->sent_us + MINUTE_US / per_minute ? at_us
                                                         : run->sent_us + MINUTE_US / per_minute;
}

static void redraw(struct run *run)
{
    double minutes = (double)run->world->redraw_minutes;

    run->bank.per_second = draw_limit(&run->random);
    if (run->bank.kind == PACE_BANK_OPEN) /* as fast as the configuration lets it */
        run->bank.per_second = (double)run->world->cap_per_minute / 60;
    if (run->bank.kind == PACE_BANK_FRAME) /* whole requests in each 10 s */
        run->bank.per_second = (double)(int64_t)(run->bank.per_second * 10) / 10;
    run->sum.possible += run->bank.per_second * minutes * 60;
    run->redraw_us += run->world->redraw_minutes * MINUTE_US;
}

static void trace(struct run *run)
{
    int64_t interval_us = pace_interval_us(&run->pace);

    fprintf(run->world->trace, "%" PRId64 ",%.4f,%.4f,%" PRId64 ",%" PRId64 "\n",
            run->trace_us / MINUTE_US, run->bank.per_second,
            interval_us == 0 ? 0 : 1e6 / (double)interval_us, run->sum.accepted, run->sum.refused);
    run->trace_us += MINUTE_US;
}

static void run_all(struct run *run)
{
    int64_t end_us = run->world->hours * 60 * MINUTE_US;

    for (;;) {
        int64_t send_us = next_send_us(run);
        bool sends = run->count == 0 || send_us < run->heap[0].at_us;

        run->now_us = sends ? send_us : run->heap[0].at_us;
        if (run->now_us >= end_us)
            return;
        if (run->now_us >= run->redraw_us)
            redraw(run);
        while (run->world->trace != NULL && run->trace_us <= run->now_us)
            trace(run);
        if (sends) {
            send_one(run);
        } else {
            struct flight flight = flight_take(run);

            if (!flight.is_back)
                arrive(run, &flight);
            else
                (void)pace_result(&run->pace, &run->world->settings,
                                  (struct mono_time){run->now_us},
                                  (struct mono_time){flight.sent_us}, flight.signal);
        }
    }
}

struct pace_world pace_world_usual(enum pace_bank_kind kind, uint64_t seed)
{
    return (struct pace_world){.seed = seed,
                               .hours = 24,
                               .redraw_minutes = 60,
                               .delay_least_ms = 5000,
                               .delay_most_ms = 30000,
                               .cap_per_minute = 600,
                               .kind = kind,
                               .settings = {true, PACE_FLOOR_DEFAULT_US}};
}

void pace_world_run(const struct pace_world *world, struct pace_world_sum *sum)
{
    struct run *run = calloc(1, sizeof *run);

    REQUIRE(run != NULL);
    run->world = world;
    run->bank.kind = world->kind;
    random_init(&run->random, world->seed);
    pace_init(&run->pace);
    run_all(run);
    sum->possible += run->sum.possible;
    sum->sent += run->sum.sent;
    sum->accepted += run->sum.accepted;
    sum->refused += run->sum.refused;
    sum->last_interval_us = pace_interval_us(&run->pace);
    free(run);
}
