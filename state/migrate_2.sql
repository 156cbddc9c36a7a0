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
