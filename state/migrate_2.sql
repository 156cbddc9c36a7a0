-- SPDX-License-Identifier: MIT
--
-- migrate_2.sql - from version 1 to version 2 of the state database.

-- Consents: when one was last looked up without a job; how far a provider's round of such look-ups
-- is; how soon before its end nothing is initiated any more, and how long before people are warned.
ALTER TABLE consent ADD COLUMN checked_ms INTEGER;
CREATE TABLE recheck (
    provider_no INTEGER PRIMARY KEY,
    consent_no  INTEGER NOT NULL, -- looked up last by the round
    at_ms       INTEGER NOT NULL
) STRICT;
ALTER TABLE provider ADD COLUMN expiry_margin_ms INTEGER NOT NULL DEFAULT 0;
CREATE TABLE provider_lead (
    provider_no INTEGER NOT NULL,
    lead_ms     INTEGER NOT NULL,
    PRIMARY KEY (provider_no, lead_ms)
) STRICT, WITHOUT ROWID;
-- Warnings are given for all that was passed up to warned_ms by consents up to warned_consent_no.
ALTER TABLE meta ADD COLUMN warned_ms INTEGER;
ALTER TABLE meta ADD COLUMN warned_consent_no INTEGER NOT NULL DEFAULT 0;

-- What was learned about providers and institutions (RECORD_NODE): pace, breaker, the end of a pause
-- that was asked for, the retry budget. One row a node, written when something worth keeping
-- changed.
CREATE TABLE node (
    provider_no       INTEGER NOT NULL,
    institution_no    INTEGER NOT NULL, -- 0: the provider's own node
    at_ms             INTEGER NOT NULL,
    interval_us       INTEGER NOT NULL, -- learned time between initiations; 0: none
    ceiling_us        INTEGER NOT NULL, -- that of the pace last refused; 0: none
    probe_fails       INTEGER NOT NULL,
    credit_ppm        INTEGER NOT NULL,
    is_open           INTEGER NOT NULL CHECK (is_open IN (0, 1)), -- the breaker
    is_configuration  INTEGER NOT NULL CHECK (is_configuration IN (0, 1)),
    revision          INTEGER NOT NULL, -- of the provider's settings then
    breaker_streak    INTEGER NOT NULL,
    opened_ms         INTEGER,
    probe_ms          INTEGER,          -- no probe before
    pushback_ms       INTEGER,          -- a pause was asked for until then
    pushback_streak   INTEGER NOT NULL,
    retry_balance     INTEGER,          -- thousandths of a retry; NULL: no budget
    PRIMARY KEY (provider_no, institution_no)
) STRICT, WITHOUT ROWID;

-- Maintenance of institutions, as their providers told it last.
CREATE TABLE maintenance (
    institution_no INTEGER NOT NULL REFERENCES institution,
    place          INTEGER NOT NULL, -- sooner ones first
    start_ms       INTEGER NOT NULL,
    end_ms         INTEGER,          -- NULL: until further notice
    PRIMARY KEY (institution_no, place)
) STRICT, WITHOUT ROWID;

-- The spread of each slot, which its deadline may shorten.
ALTER TABLE schedule_slot ADD COLUMN spread_ms INTEGER NOT NULL DEFAULT 0;
UPDATE schedule_slot
SET spread_ms = (SELECT s.spread_ms FROM schedule AS s
                 WHERE s.schedule_no = schedule_slot.schedule_no);
