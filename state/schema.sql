-- SPDX-License-Identifier: MIT
--
-- schema.sql - the private tables of the state database, version 1. The public face is views.sql.
--
-- Instants are milliseconds since 1970-01-01T00:00:00Z; "never" and "not yet" are NULL. Words
-- (outcome, reason, class, state, trigger, mode) are stored as the numbers of scheduler/words.h and
-- named by the word_* tables, which the program fills.
--
-- What a refresh writes, in this order: a row of job and one of attempt before the request leaves;
-- the attempt again when its answer is there; the job again, with its number in the ledger, when it
-- closes. No other row is touched: consent rows carry the past only up to folded_seq.

CREATE TABLE meta (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    instance       TEXT NOT NULL,    -- 8 hex digits: makes job_uid unique across databases
    created_ms     INTEGER NOT NULL,
    is_open        INTEGER NOT NULL, -- 0 when closed: anything else at start means a crash
    folded_seq     INTEGER NOT NULL, -- ledger numbers up to here are in the consent rows
    folded_job_no  INTEGER NOT NULL, -- jobs that closed after folded_seq have at least this number
    folded_run_no  INTEGER NOT NULL, -- slots skipped after folded_seq are of at least this run
    delivered_seq  INTEGER NOT NULL, -- ledger numbers up to here are in the reporting database
    config_digest  TEXT,
    load_run_no    INTEGER           -- the last run when a first load began that is not finished
) STRICT;

CREATE TABLE word_outcome   (code INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
CREATE TABLE word_reason    (code INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
CREATE TABLE word_class     (code INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
CREATE TABLE word_job_state (code INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
CREATE TABLE word_trigger   (code INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
CREATE TABLE word_mode      (code INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;

CREATE TABLE provider (
    provider_no         INTEGER PRIMARY KEY,
    name                TEXT NOT NULL UNIQUE,
    quota_count         INTEGER NOT NULL, -- 0: none
    quota_window_ms     INTEGER NOT NULL,
    cooldown_accept_ms  INTEGER NOT NULL,
    cooldown_success_ms INTEGER NOT NULL,
    cooldown_failure_ms INTEGER NOT NULL,
    removed_ms          INTEGER
) STRICT;

CREATE TABLE institution (
    institution_no INTEGER PRIMARY KEY,
    provider_no    INTEGER NOT NULL REFERENCES provider,
    name           TEXT NOT NULL,
    UNIQUE (provider_no, name)
) STRICT;

CREATE TABLE schedule (
    schedule_no        INTEGER PRIMARY KEY,
    name               TEXT NOT NULL UNIQUE,
    cron               TEXT NOT NULL,
    timezone           TEXT NOT NULL,
    spread_ms          INTEGER NOT NULL,
    phase              INTEGER NOT NULL, -- upper half of the hash of the name
    revision           INTEGER NOT NULL, -- of the expression that accounted_ms belongs to
    accounted_ms       INTEGER NOT NULL, -- firings up to this instant are dealt with
    accounted_local_ms INTEGER,
    accounted_fold     INTEGER,
    removed_ms         INTEGER
) STRICT;

-- The last slot and the coming ones: what next_due_at is made from.
CREATE TABLE schedule_slot (
    schedule_no INTEGER NOT NULL REFERENCES schedule,
    slot_ms     INTEGER NOT NULL,
    PRIMARY KEY (schedule_no, slot_ms)
) STRICT, WITHOUT ROWID;

-- Most of a population shares a few sets of schedules.
CREATE TABLE schedule_set (
    set_no INTEGER PRIMARY KEY,
    names  TEXT NOT NULL UNIQUE -- sorted, separated by blanks; '' is the empty set
) STRICT;
CREATE TABLE schedule_set_member (
    set_no      INTEGER NOT NULL REFERENCES schedule_set,
    schedule_no INTEGER NOT NULL REFERENCES schedule,
    PRIMARY KEY (set_no, schedule_no)
) STRICT, WITHOUT ROWID;

-- Numbers are given in the order of the phase: consents that are due together are neighbours, so
-- what is written about them lies on few pages.
CREATE TABLE consent (
    consent_no           INTEGER PRIMARY KEY,
    consent              TEXT NOT NULL,    -- PROVIDER/ID; unique, see consent_by_name
    provider_no          INTEGER NOT NULL,
    institution_no       INTEGER NOT NULL,
    set_no               INTEGER NOT NULL,
    mode                 INTEGER NOT NULL,
    priority             INTEGER,          -- NULL: the schedule's
    phase                INTEGER NOT NULL, -- upper half of the hash of PROVIDER/ID
    customer             TEXT,
    customer_is_own_id   INTEGER NOT NULL,
    expires_ms           INTEGER,          -- as configured
    authorized_ms        INTEGER,
    tags                 TEXT,
    since_run_no         INTEGER NOT NULL, -- member (of set_no, in mode) of runs after this one
    removed_ms           INTEGER,
    -- what the provider or people changed: written at once
    held_ms              INTEGER,          -- NULL: not held
    is_suspended         INTEGER NOT NULL DEFAULT 0,
    learned_expires_ms   INTEGER
) STRICT;
CREATE UNIQUE INDEX consent_by_name ON consent (consent);
CREATE INDEX consent_held ON consent (held_ms) WHERE held_ms IS NOT NULL;
CREATE INDEX consent_removed ON consent (removed_ms) WHERE removed_ms IS NOT NULL;

-- The folded past of consents that have one. Short rows in number order: folding a night back costs
-- few pages.
CREATE TABLE consent_past (
    consent_no           INTEGER PRIMARY KEY,
    folded_seq           INTEGER NOT NULL, -- ledger numbers up to here are in this row
    last_outcome         INTEGER,
    last_success_ms      INTEGER,
    last_attempt_ms      INTEGER,
    consecutive_failures INTEGER NOT NULL,
    cooldown_refusals    INTEGER NOT NULL,
    not_before_ms        INTEGER,
    not_before_reason    INTEGER,
    reference_hash       INTEGER           -- of the last provider job id
) STRICT;

-- A membership that ended: with consent.since_run_no, exactly who belonged to a run that is still
-- open. Member of the runs since_run_no < run_no <= until_run_no.
CREATE TABLE membership_past (
    membership_no INTEGER PRIMARY KEY,
    consent_no    INTEGER NOT NULL,
    set_no        INTEGER NOT NULL,
    since_run_no  INTEGER NOT NULL,
    until_run_no  INTEGER NOT NULL
) STRICT;

CREATE TABLE run (
    run_no             INTEGER PRIMARY KEY,
    run_id             TEXT NOT NULL UNIQUE, -- SCHEDULE@SLOT
    schedule_no        INTEGER NOT NULL REFERENCES schedule,
    trigger            INTEGER NOT NULL,
    slot_ms            INTEGER NOT NULL,
    local_ms           INTEGER NOT NULL,     -- the slot's local civil time, as if it were UTC
    fold               INTEGER NOT NULL,
    deadline_ms        INTEGER,
    spread_ms          INTEGER NOT NULL,
    started_ms         INTEGER NOT NULL,
    finished_ms        INTEGER,
    due                INTEGER NOT NULL,
    is_missed          INTEGER NOT NULL,
    is_orphan          INTEGER NOT NULL DEFAULT 0, -- let go by the core: closes with its last job
    first_job_no       INTEGER NOT NULL,     -- its jobs are among first_job_no..last_job_no
    last_job_no        INTEGER,              -- NULL while open
    config_digest      TEXT NOT NULL,
    only_consent_no    INTEGER,              -- `once` narrowed to one consent
    only_institution   TEXT,                 -- `once` narrowed to one institution
    -- counted from rows when it closed
    refreshed          INTEGER,
    partial            INTEGER,
    deduplicated       INTEGER,
    reconnect_required INTEGER,
    failed             INTEGER,
    skipped            INTEGER,
    unknown            INTEGER,
    reconciled         INTEGER CHECK (reconciled IN (0, 1)),
    late               INTEGER CHECK (late IN (0, 1))
) STRICT;

CREATE TABLE job (
    job_no          INTEGER PRIMARY KEY,
    consent_no      INTEGER NOT NULL,
    run_no          INTEGER,          -- NULL: manual
    trigger         INTEGER NOT NULL,
    state           INTEGER NOT NULL, -- as the core last said; accepted attempts say `running`
    due_ms          INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    finished_ms     INTEGER,          -- NULL: open
    closed_seq      INTEGER,          -- its number in the ledger
    outcome         INTEGER CHECK (outcome BETWEEN 1 AND 7),
    reason          INTEGER,
    has_new_data    INTEGER CHECK (has_new_data IN (0, 1)),
    next_attempt_ms INTEGER,          -- of a job that waits
    wait_reason     INTEGER,
    error_code      TEXT,             -- of the answer that ended it, where that was a poll
    error_message   TEXT,
    -- copied from its attempts before those are pruned
    started_ms      INTEGER,
    provider_job_id TEXT
) STRICT;
CREATE INDEX job_by_consent ON job (consent_no);

CREATE TABLE attempt (
    attempt_key     INTEGER PRIMARY KEY, -- job_no * 65536 + number of the attempt in its job
    sent_ms         INTEGER,             -- the intent, then the hand-over; NULL: never left
    answered_ms     INTEGER,
    class           INTEGER,
    reason          INTEGER,
    http_status     INTEGER,
    is_repeat       INTEGER NOT NULL,    -- sent again because the first was in doubt
    is_charged      INTEGER,             -- counts on the consent's quota; NULL: not known yet
    reference_hash  INTEGER,             -- of the provider's job id
    provider_job_id TEXT,
    error_code      TEXT,
    error_id        TEXT,
    error_message   TEXT,
    request_id      TEXT,
    retry_after_raw TEXT
) STRICT;

-- A slot without a job. consent_no 0: a wholly missed run, `count` of them.
CREATE TABLE skip (
    run_no     INTEGER NOT NULL REFERENCES run,
    consent_no INTEGER NOT NULL,
    due_ms     INTEGER NOT NULL,
    at_ms      INTEGER NOT NULL,
    reason     INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    detail     TEXT,
    seq        INTEGER NOT NULL, -- its number in the ledger
    PRIMARY KEY (run_no, consent_no)
) STRICT, WITHOUT ROWID;

-- The outbox: what reporting has to hear, and what the consent rows have to take in. Its last row
-- is never deleted, so that numbers go on.
CREATE TABLE ledger (
    seq  INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,  -- 1 job, 2 skip, 3 run, 4 consent
    ref  INTEGER NOT NULL,  -- job_no, consent_no, run_no, (first) consent_no
    more INTEGER            -- run_no of a skip; last of a row of consents
) STRICT;

-- Every ten minutes: no job that was open at at_ms, or opened later, has a smaller number.
CREATE TABLE job_mark (
    at_ms  INTEGER PRIMARY KEY,
    job_no INTEGER NOT NULL
) STRICT;

-- Polls, look-ups and token calls by second: windows of a minute or more survive a restart.
CREATE TABLE calls (
    provider_no INTEGER NOT NULL,
    second      INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (provider_no, second)
) STRICT, WITHOUT ROWID;

-- Heads of answers that made no sense.
CREATE TABLE evidence (
    evidence_no INTEGER PRIMARY KEY,
    at_ms       INTEGER NOT NULL,
    job_no      INTEGER NOT NULL,
    attempt     INTEGER,
    http_status INTEGER,
    body_head   TEXT NOT NULL
) STRICT;
CREATE INDEX evidence_by_job ON evidence (job_no);

CREATE TABLE webhook (
    webhook_no      INTEGER PRIMARY KEY,
    at_ms           INTEGER NOT NULL,
    provider        TEXT NOT NULL,
    job_no          INTEGER,
    attempt         INTEGER,
    provider_job_id TEXT,
    status          TEXT
) STRICT;
CREATE INDEX webhook_by_id ON webhook (provider, provider_job_id);

CREATE TABLE pause (
    scope    INTEGER NOT NULL, -- 0 all, 1 provider, 2 institution, 3 schedule, 4 consent
    subject  TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    until_ms INTEGER,          -- NULL: until resumed
    who      TEXT NOT NULL,
    reason   TEXT,
    PRIMARY KEY (scope, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    audit_no INTEGER PRIMARY KEY,
    at_ms    INTEGER NOT NULL,
    who      TEXT NOT NULL,
    action   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    reason   TEXT
) STRICT;

CREATE TABLE limit_node (
    provider           TEXT NOT NULL,
    institution        TEXT NOT NULL, -- '': the provider's own node
    at_ms              INTEGER NOT NULL,
    configured_rate    TEXT,
    learned_rate       TEXT,
    requests_in_flight INTEGER NOT NULL,
    jobs_running       INTEGER NOT NULL,
    waiting            INTEGER NOT NULL,
    breaker            TEXT NOT NULL,
    not_before_ms      INTEGER,
    not_before_reason  INTEGER,
    PRIMARY KEY (provider, institution)
) STRICT, WITHOUT ROWID;
