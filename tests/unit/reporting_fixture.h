/* SPDX-License-Identifier: MIT
 *
 * reporting_fixture.h - a state database with a reporting database beside it, and what the latter
 * says as one text.
 *
 * Layer: tests.
 */
#ifndef REFRESHD_TESTS_UNIT_REPORTING_FIXTURE_H
#define REFRESHD_TESTS_UNIT_REPORTING_FIXTURE_H

#include "tests/unit/state_fixture.h"

#include "base/text.h"

/* 2026-11-21T01:00:00Z, a slot of `nightly`. */
#define SLOT ((struct utc_time){INT64_C(1795222800000)})
#define SLOT_ID "nightly@2026-11-21T01:00:00Z"

struct reporting_fixture {
    struct fixture state;
    char database[512];
    char snapshot[512];
};

/* State database with consents of `csv`, configuration with reporting.database and snapshot. */
void reporting_fixture_init(struct reporting_fixture *fixture, const char *csv);
void reporting_fixture_deinit(struct reporting_fixture *fixture);
/* Start the thread, wait until everything is delivered, end it. `tell_state`: and let the state
 * database know. */
void reporting_fixture_deliver(struct reporting_fixture *fixture, bool tell_state);
/* Last sequence of the outbox, and what the state database thinks is delivered. */
int64_t reporting_fixture_last(struct reporting_fixture *fixture, int64_t *delivered);

/* All rows of all public tables of `path` in the order of their keys, loaded_at/_ms only where
 * asked for. The caller frees it with text_deinit. */
void reporting_fixture_dump(const char *path, bool with_loaded, struct text *dump);
/* Run statements on `path` through a connection of its own. */
void reporting_fixture_execute(const char *path, const char *sql);
/* First column of the first row, "" for NULL or none; good until the next call. */
const char *reporting_fixture_text(const char *path, const char *sql);
int64_t reporting_fixture_integer(const char *path, const char *sql);
/* Remove a database with its side files. */
void reporting_fixture_remove(const char *path);

#endif
