/* SPDX-License-Identifier: MIT
 *
 * state_fixture.h - a state database in a folder of its own, a configuration with consents, records
 * by hand, and a core that only writes down what it is told.
 *
 * Layer: tests. The core's functions are replaced at link time (-Wl,--wrap=...), so that these
 *        tests say what the store feeds, whatever the core makes of it.
 */
#ifndef REFRESHD_TESTS_UNIT_STATE_FIXTURE_H
#define REFRESHD_TESTS_UNIT_STATE_FIXTURE_H

#include "tests/unit/unit_test.h"

#include <sqlite3.h>

#include "config/config.h"
#include "config/consent_table.h"
#include "state/state_store.h"

#define FAKE_MAX 16384

struct fake_slot {
    uint32_t run;
    uint32_t consent;
    enum outcome outcome;
};
struct fake_attempt {
    uint32_t consent;
    struct utc_time sent;
    bool is_charged;
    enum outcome outcome;
};
struct fake_node {
    uint32_t provider;
    uint32_t institution;
    struct node_past past;
};
struct fake_pause {
    enum scope_kind scope;
    uint32_t index;
    struct utc_time until;
};

/* What the store told the core. */
struct fake_core {
    struct consent_past pasts[FAKE_MAX]; /* by consent number; also what it answers */
    bool has_past[FAKE_MAX];
    struct fake_attempt attempts[FAKE_MAX];
    uint32_t attempt_count;
    struct fake_slot slots[FAKE_MAX];
    uint32_t slot_count;
    struct recovered_run runs[64];
    uint32_t run_count;
    struct recovered_job jobs[FAKE_MAX];
    uint32_t job_count;
    struct fake_pause pauses[64];
    uint32_t pause_count;
    struct fake_node nodes[64];
    uint32_t node_count;
    struct utc_time last_activity;
    struct utc_time accounted[16];
    uint64_t revision[16];
    uint32_t calls; /* sum over providers */
    uint32_t hand_consent;
    struct utc_time hand_at;
    uint32_t puts;
    uint32_t removes;
    uint32_t next_run;
    uint64_t next_job;
    bool is_done;
};
extern struct fake_core fake_core;
void fake_core_clear(void);

/* One database with its configuration. */
struct fixture {
    char folder[256];
    char database[320];
    struct config *config;
    struct consent_table *consents;
    struct state_store *store;
    const uint32_t *numbers;
    uint32_t number_max;
    /* records in the making */
    struct record records[FAKE_MAX];
    uint32_t record_count;
};

/* A new folder; nothing in it. */
void fixture_init(struct fixture *fixture);
/* Close everything and remove the folder. */
void fixture_deinit(struct fixture *fixture);
/* Write the configuration: two providers (finq with quota 4/24h and cooldown 6h, bud), schedules
 * nightly and weekly; `csv` are the rows of the consents under the heading
 * id,provider,customer,institution,schedule,expires,mode. Loads it. */
void fixture_configure(struct fixture *fixture, const char *csv);
/* As above, and `schedules` replaces the lines of the schedules. */
void fixture_configure_schedules(struct fixture *fixture, const char *schedules, const char *csv);
/* Open for writing, set_config, sync_consents. */
void fixture_open(struct fixture *fixture, struct utc_time now);
void fixture_sync(struct fixture *fixture, struct utc_time now);
/* Close the store, keep the files. */
void fixture_close(struct fixture *fixture);
/* Take the files as they are at this moment to `other`, as a crash would leave them. */
void fixture_copy_as_crashed(const struct fixture *fixture, struct fixture *other);
void fixture_recover(struct fixture *fixture, struct utc_time now);

/* Now, by the wall clock: what views that compute with the time need. */
struct utc_time fixture_now(void);

/* Records, collected until fixture_commit. */
struct record *fixture_record(struct fixture *fixture, enum record_kind kind, struct utc_time at);
void fixture_run_open(struct fixture *fixture, struct utc_time at, uint32_t run,
                      enum trigger trigger, struct utc_time slot, uint32_t due);
void fixture_run_close(struct fixture *fixture, struct utc_time at, uint32_t run);
void fixture_job_open(struct fixture *fixture, struct utc_time at, uint64_t job, uint32_t consent,
                      uint32_t run);
void fixture_attempt(struct fixture *fixture, struct utc_time at, uint64_t job, uint32_t consent,
                     uint16_t attempt);
void fixture_answer(struct fixture *fixture, struct utc_time at, uint64_t job, uint32_t consent,
                    uint16_t attempt, enum answer_class class_, bool is_charged,
                    const struct evidence *evidence);
void fixture_job_close(struct fixture *fixture, struct utc_time at, uint64_t job, uint32_t consent,
                       uint32_t run, enum outcome outcome, enum reason reason);
void fixture_skip(struct fixture *fixture, struct utc_time at, uint32_t run, uint32_t consent,
                  enum reason reason);
void fixture_commit(struct fixture *fixture);
/* A whole refresh that was accepted: open, attempt, answer, close, each committed with the others.
 */
void fixture_refresh(struct fixture *fixture, struct utc_time at, uint64_t job, uint32_t consent,
                     uint32_t run, enum outcome outcome);

/* First column of the first row of `sql`, read through a connection of its own, read-only. The text
 * is good until the next call; "" for NULL or no row. */
const char *fixture_text(const struct fixture *fixture, const char *sql);
int64_t fixture_integer(const struct fixture *fixture, const char *sql);

#endif
