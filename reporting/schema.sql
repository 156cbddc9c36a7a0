-- SPDX-License-Identifier: MIT
--
-- schema.sql - the reporting database, version 1: a star schema for pipelines and BI tools.
--
-- Public: fact_*, dim_*, run_summary, daily_institution. They only gain columns, at their end;
-- tests/contract/reporting_columns.txt holds the list. Private: delivery_*.
--
-- Instants come twice: X_at is text (YYYY-MM-DDTHH:MM:SS.mmmZ), X_ms the same instant in epoch
-- milliseconds. loaded_at/_ms says when a row was written or last changed here. Booleans are 0, 1 or
-- NULL. Rows are written by key from the outbox of the state database and never deleted when the
-- state database forgets.
--
-- IF NOT EXISTS: `db rebuild-reporting` makes anew what somebody dropped.
--
-- For every finished run: (rows of fact_refresh) + (sum of fact_skip.count) = run_summary.due.

-- One row per closed job.
CREATE TABLE IF NOT EXISTS fact_refresh (
    job_uid      TEXT NOT NULL PRIMARY KEY,
    run_id       TEXT,             -- NULL: asked for by a person, belongs to no run
    consent      TEXT NOT NULL,    -- PROVIDER/ID
    schedule     TEXT,             -- NULL: asked for by a person
    trigger      TEXT NOT NULL,
    due_at       TEXT NOT NULL,
    due_ms       INTEGER NOT NULL,
    started_at   TEXT,             -- first sending; NULL: nothing was ever sent
    started_ms   INTEGER,
    finished_at  TEXT NOT NULL,
    finished_ms  INTEGER NOT NULL,
    wait_ms      INTEGER,          -- from due to the first sending; never below 0
    duration_ms  INTEGER,          -- from the first sending to the end; never below 0
    attempts     INTEGER NOT NULL,
    outcome      TEXT NOT NULL CHECK (outcome IN ('refreshed', 'partial', 'deduplicated',
                     'reconnect_required', 'failed', 'skipped', 'unknown')),
    reason       TEXT,
    has_new_data INTEGER CHECK (has_new_data IN (0, 1)),
    error_code   TEXT,
    loaded_at    TEXT NOT NULL,
    loaded_ms    INTEGER NOT NULL,
    provider     TEXT NOT NULL,
    institution  TEXT NOT NULL,    -- '-': none given
    day          TEXT NOT NULL     -- local date of the slot, in the schedule's time zone
) STRICT;
CREATE INDEX IF NOT EXISTS fact_refresh_by_run ON fact_refresh (run_id);
-- Everything that a row of daily_institution is made from.
CREATE INDEX IF NOT EXISTS fact_refresh_by_day
    ON fact_refresh (day, provider, institution, duration_ms, outcome);

-- One row per slot that had no job. A wholly missed run has one row: consent '*', provider and
-- institution NULL, count = all its slots.
CREATE TABLE IF NOT EXISTS fact_skip (
    run_id      TEXT NOT NULL,
    consent     TEXT NOT NULL,
    schedule    TEXT NOT NULL,
    slot_at     TEXT NOT NULL,
    slot_ms     INTEGER NOT NULL,
    due_at      TEXT,
    due_ms      INTEGER,
    reason      TEXT NOT NULL,
    detail      TEXT,
    count       INTEGER NOT NULL,
    decided_at  TEXT NOT NULL,
    decided_ms  INTEGER NOT NULL,
    provider    TEXT,
    institution TEXT,
    day         TEXT NOT NULL,
    loaded_at   TEXT NOT NULL,
    loaded_ms   INTEGER NOT NULL,
    PRIMARY KEY (run_id, consent)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fact_skip_by_day ON fact_skip (day, provider, institution, count);

CREATE TABLE IF NOT EXISTS dim_consent (
    consent     TEXT NOT NULL PRIMARY KEY,
    provider    TEXT NOT NULL,
    consent_id  TEXT NOT NULL,
    customer    TEXT,
    institution TEXT NOT NULL,
    schedules   TEXT NOT NULL,     -- names separated by blanks
    mode        TEXT NOT NULL,     -- active, listen, off
    is_held     INTEGER NOT NULL CHECK (is_held IN (0, 1)),
    expires_at  TEXT,
    expires_ms  INTEGER,
    removed_at  TEXT,              -- NULL: still configured
    removed_ms  INTEGER,
    loaded_at   TEXT NOT NULL,
    loaded_ms   INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS dim_institution (
    provider    TEXT NOT NULL,
    institution TEXT NOT NULL,
    loaded_at   TEXT NOT NULL,
    loaded_ms   INTEGER NOT NULL,
    PRIMARY KEY (provider, institution)
) STRICT, WITHOUT ROWID;

-- The manifest of each run; finished_at, reconciled and late are NULL while it is open.
CREATE TABLE IF NOT EXISTS run_summary (
    run_id             TEXT NOT NULL PRIMARY KEY,
    schedule           TEXT NOT NULL,
    slot_at            TEXT NOT NULL,
    slot_ms            INTEGER NOT NULL,
    due                INTEGER NOT NULL,
    refreshed          INTEGER NOT NULL,
    partial            INTEGER NOT NULL,
    deduplicated       INTEGER NOT NULL,
    reconnect_required INTEGER NOT NULL,
    failed             INTEGER NOT NULL,
    skipped            INTEGER NOT NULL,
    unknown            INTEGER NOT NULL,
    reconciled         INTEGER CHECK (reconciled IN (0, 1)),
    late               INTEGER CHECK (late IN (0, 1)),
    started_at         TEXT NOT NULL,
    started_ms         INTEGER NOT NULL,
    finished_at        TEXT,
    finished_ms        INTEGER,
    trigger            TEXT NOT NULL,
    deadline_at        TEXT,
    deadline_ms        INTEGER,
    config_digest      TEXT,
    loaded_at          TEXT NOT NULL,
    loaded_ms          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Jobs and skips of a day (the schedule's local date of the slot). The durations are nearest-rank
-- percentiles over fact_refresh.duration_ms. A wholly missed run is in no institution.
CREATE TABLE IF NOT EXISTS daily_institution (
    day                TEXT NOT NULL,
    provider           TEXT NOT NULL,
    institution        TEXT NOT NULL,
    refreshed          INTEGER NOT NULL,
    partial            INTEGER NOT NULL,
    deduplicated       INTEGER NOT NULL,
    reconnect_required INTEGER NOT NULL,
    failed             INTEGER NOT NULL,
    skipped            INTEGER NOT NULL,
    unknown            INTEGER NOT NULL,
    duration_p50_ms    INTEGER,
    duration_p95_ms    INTEGER,
    loaded_at          TEXT NOT NULL,
    loaded_ms          INTEGER NOT NULL,
    PRIMARY KEY (day, provider, institution)
) STRICT, WITHOUT ROWID;

-- How far the outbox of which state database has been taken in.
CREATE TABLE IF NOT EXISTS delivery_position (
    instance TEXT NOT NULL PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Rows of daily_institution that do not say yet what the facts say.
CREATE TABLE IF NOT EXISTS delivery_touched (
    day         TEXT NOT NULL,
    provider    TEXT NOT NULL,
    institution TEXT NOT NULL,
    PRIMARY KEY (day, provider, institution)
) STRICT, WITHOUT ROWID;

-- Finished runs that are not published yet.
CREATE TABLE IF NOT EXISTS delivery_run (
    run_id      TEXT NOT NULL PRIMARY KEY,
    is_exported INTEGER NOT NULL DEFAULT 0,
    is_in_snapshot INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS fact_refresh_new AFTER INSERT ON fact_refresh BEGIN
    INSERT INTO delivery_touched VALUES (NEW.day, NEW.provider, NEW.institution)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER IF NOT EXISTS fact_refresh_changed AFTER UPDATE ON fact_refresh BEGIN
    INSERT INTO delivery_touched VALUES (OLD.day, OLD.provider, OLD.institution)
        ON CONFLICT DO NOTHING;
    INSERT INTO delivery_touched VALUES (NEW.day, NEW.provider, NEW.institution)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER IF NOT EXISTS fact_skip_new AFTER INSERT ON fact_skip WHEN NEW.provider IS NOT NULL BEGIN
    INSERT INTO delivery_touched VALUES (NEW.day, NEW.provider, NEW.institution)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER IF NOT EXISTS fact_skip_changed AFTER UPDATE ON fact_skip WHEN NEW.provider IS NOT NULL BEGIN
    INSERT INTO delivery_touched VALUES (OLD.day, OLD.provider, OLD.institution)
        ON CONFLICT DO NOTHING;
    INSERT INTO delivery_touched VALUES (NEW.day, NEW.provider, NEW.institution)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER IF NOT EXISTS run_summary_new AFTER INSERT ON run_summary
WHEN NEW.finished_ms IS NOT NULL BEGIN
    INSERT INTO delivery_run (run_id) VALUES (NEW.run_id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER IF NOT EXISTS run_summary_finished AFTER UPDATE ON run_summary
WHEN OLD.finished_ms IS NULL AND NEW.finished_ms IS NOT NULL BEGIN
    INSERT INTO delivery_run (run_id) VALUES (NEW.run_id) ON CONFLICT DO NOTHING;
END;
