-- SPDX-License-Identifier: MIT
--
-- views.sql - the public face of the state database (design section 6). Views only gain columns,
-- at their end; tests/contract/state_views.txt holds the list.
--
-- X_at is text (YYYY-MM-DDTHH:MM:SS.mmmZ), X_ms the same instant in epoch milliseconds. Nothing
-- here is stale: closes that are not folded into the consent rows yet are read from the jobs, and what
-- time alone changes (quota used, expired, next allowed) is computed when the view is read.

-- Now, and what has been folded; one row.
CREATE VIEW private_now AS
SELECT CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) AS now_ms,
       instance, folded_seq, folded_job_no, folded_run_no
FROM meta;

-- Attempts that may still count on a quota or cooldown, with how their jobs ended.
CREATE VIEW private_charged AS
SELECT j.consent_no, j.job_no, a.sent_ms, j.outcome
FROM job AS j
JOIN attempt AS a ON a.attempt_key BETWEEN j.job_no << 16 AND (j.job_no << 16) + 65535
WHERE a.sent_ms IS NOT NULL
  AND (a.is_charged = 1 OR (a.is_charged IS NULL AND a.is_repeat = 0));

-- Consents with everything that time or unfolded closes change.
CREATE VIEW private_consent AS
SELECT c.*,
       n.now_ms,
       coalesce(f.folded_seq, 0) AS folded_seq,
       f.last_outcome,
       coalesce(f.consecutive_failures, 0) AS consecutive_failures,
       f.not_before_ms,
       f.not_before_reason,
       p.name AS provider,
       p.quota_count,
       p.expiry_margin_ms,
       i.name AS institution,
       min(coalesce(c.expires_ms, 9223372036854775807),
           coalesce(c.learned_expires_ms, 9223372036854775807)) AS end_ms,
       -- (sequence << 3) + outcome: the greater of the two is the later
       max(coalesce(
           (SELECT max(j.closed_seq << 3 | j.outcome) FROM job AS j
            WHERE j.consent_no = c.consent_no AND j.job_no >= n.folded_job_no
              AND j.closed_seq > coalesce(f.folded_seq, 0)), 0), coalesce(
           (SELECT max(k.seq << 3 | 6) FROM run AS r
            CROSS JOIN skip AS k ON k.run_no = r.run_no AND k.consent_no = c.consent_no
            WHERE r.run_no >= n.folded_run_no AND k.seq > coalesce(f.folded_seq, 0)), 0)) AS live_last,
       max(coalesce(f.last_success_ms, 0), coalesce(
           (SELECT max(j.finished_ms) FROM job AS j
            WHERE j.consent_no = c.consent_no AND j.job_no >= n.folded_job_no
              AND j.closed_seq > coalesce(f.folded_seq, 0) AND j.outcome IN (1, 2, 3)), 0)) AS live_success_ms,
       max(coalesce(f.last_attempt_ms, 0), coalesce(
           (SELECT max(a.sent_ms) FROM job AS j
            JOIN attempt AS a ON a.attempt_key BETWEEN j.job_no << 16 AND (j.job_no << 16) + 65535
            WHERE j.consent_no = c.consent_no AND j.job_no >= n.folded_job_no), 0))
           AS live_attempt_ms,
       coalesce(
           (SELECT max(j.closed_seq) FROM job AS j
            WHERE j.consent_no = c.consent_no AND j.job_no >= n.folded_job_no
              AND j.closed_seq > coalesce(f.folded_seq, 0) AND j.outcome IN (1, 2, 3)), 0) AS live_success_seq,
       (SELECT max(j.next_attempt_ms) FROM job AS j
        WHERE j.consent_no = c.consent_no AND j.job_no >= n.folded_job_no
          AND coalesce(j.closed_seq, 9223372036854775807) > coalesce(f.folded_seq, 0)
          AND j.next_attempt_ms > n.now_ms
          AND (j.finished_ms IS NULL OR j.wait_reason <> 20)) AS live_wait_ms, -- 20: retry_wait
       (SELECT count(*) FROM private_charged AS q
        WHERE q.consent_no = c.consent_no
          AND q.job_no >= coalesce((SELECT k.job_no FROM job_mark AS k
                                    WHERE k.at_ms <= n.now_ms - p.quota_window_ms
                                    ORDER BY k.at_ms DESC LIMIT 1), 0)
          AND q.sent_ms > n.now_ms - p.quota_window_ms) AS quota_used,
       (SELECT w.sent_ms + p.quota_window_ms
        FROM (SELECT q.sent_ms, row_number() OVER (ORDER BY q.sent_ms DESC) AS place
              FROM private_charged AS q
              WHERE q.consent_no = c.consent_no
                AND q.job_no >= coalesce((SELECT k.job_no FROM job_mark AS k
                                          WHERE k.at_ms <= n.now_ms - p.quota_window_ms
                                          ORDER BY k.at_ms DESC LIMIT 1), 0)
                AND q.sent_ms > n.now_ms - p.quota_window_ms) AS w
        WHERE w.place = p.quota_count) AS quota_free_ms,
       (SELECT q.sent_ms + CASE WHEN q.outcome IN (1, 2, 3) THEN p.cooldown_success_ms
                                WHEN q.outcome IN (4, 5) THEN p.cooldown_failure_ms
                                ELSE p.cooldown_accept_ms END
        FROM private_charged AS q
        WHERE q.consent_no = c.consent_no
        ORDER BY q.job_no DESC, q.sent_ms DESC LIMIT 1) AS cooldown_end_ms,
       EXISTS (SELECT 1 FROM pause AS u
               WHERE coalesce(u.until_ms, 9223372036854775807) > n.now_ms
                 AND (u.scope = 0
                      OR (u.scope = 1 AND u.subject = p.name)
                      OR (u.scope = 2 AND u.subject = p.name || '/' || i.name)
                      OR (u.scope = 4 AND u.subject = c.consent)))
       OR (EXISTS (SELECT 1 FROM pause AS u
                   WHERE u.scope = 3 AND coalesce(u.until_ms, 9223372036854775807) > n.now_ms)
           AND EXISTS (SELECT 1 FROM schedule_set_member AS m
                       JOIN schedule AS s ON s.schedule_no = m.schedule_no
                       WHERE m.set_no = c.set_no AND s.removed_ms IS NULL)
           AND NOT EXISTS (SELECT 1 FROM schedule_set_member AS m
                           JOIN schedule AS s ON s.schedule_no = m.schedule_no
                           WHERE m.set_no = c.set_no AND s.removed_ms IS NULL
                             AND NOT EXISTS (SELECT 1 FROM pause AS u
                                             WHERE u.scope = 3 AND u.subject = s.name
                                               AND coalesce(u.until_ms, 9223372036854775807)
                                                   > n.now_ms))) AS is_paused, -- all its schedules
       (SELECT min(d.due_ms) FROM (
            SELECT l.slot_ms
                   + (((((c.phase + s.phase) & 4294967295) >> 8) * l.spread_ms) >> 24) AS due_ms
            FROM schedule_set_member AS m
            JOIN schedule AS s ON s.schedule_no = m.schedule_no AND s.removed_ms IS NULL
            JOIN schedule_slot AS l ON l.schedule_no = m.schedule_no
            WHERE m.set_no = c.set_no) AS d
        WHERE d.due_ms > n.now_ms) AS next_slot_due_ms
FROM consent AS c
CROSS JOIN private_now AS n
LEFT JOIN consent_past AS f ON f.consent_no = c.consent_no
JOIN provider AS p ON p.provider_no = c.provider_no
JOIN institution AS i ON i.institution_no = c.institution_no;

CREATE VIEW private_consent_status AS
SELECT x.*,
       CASE WHEN removed_ms IS NOT NULL THEN 'removed'
            WHEN end_ms <= now_ms THEN 'expired'
            WHEN held_ms IS NOT NULL THEN 'held'
            WHEN is_paused THEN 'paused'
            ELSE 'active' END AS status,
       CASE WHEN held_ms IS NULL THEN NULL
            WHEN is_suspended THEN 'suspended'
            ELSE 'reconnect_required' END AS hold_reason,
       nullif(max(coalesce(not_before_ms, 0), coalesce(live_wait_ms, 0)), 0) AS live_not_before_ms,
       CASE WHEN removed_ms IS NOT NULL OR held_ms IS NOT NULL OR mode <> 0
              OR end_ms - expiry_margin_ms <= now_ms
            THEN NULL
            ELSE max(now_ms, coalesce(quota_free_ms, 0), coalesce(cooldown_end_ms, 0),
                     coalesce(not_before_ms, 0), coalesce(live_wait_ms, 0)) END AS next_allowed_ms
FROM private_consent AS x;

CREATE VIEW v1_consents AS
SELECT x.consent,
       x.provider,
       substr(x.consent, length(x.provider) + 2) AS consent_id,
       x.customer,
       x.institution,
       x.status,
       x.hold_reason,
       (SELECT word FROM word_outcome WHERE code = coalesce(nullif(x.live_last & 7, 0),
                                                       x.last_outcome)) AS last_outcome,
       strftime('%Y-%m-%dT%H:%M:%fZ', nullif(x.live_success_ms, 0) / 1000.0, 'unixepoch')
           AS last_success_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', nullif(x.live_attempt_ms, 0) / 1000.0, 'unixepoch')
           AS last_attempt_at,
       (CASE WHEN x.live_success_seq > 0 THEN 0 ELSE x.consecutive_failures END)
           + (SELECT count(*) FROM job AS j
              WHERE j.consent_no = x.consent_no
                AND j.job_no >= (SELECT folded_job_no FROM meta)
                AND j.closed_seq > max(x.folded_seq, x.live_success_seq)
                AND j.outcome IN (5, 7)) AS consecutive_failures,
       CASE WHEN x.live_not_before_ms > x.now_ms THEN
           strftime('%Y-%m-%dT%H:%M:%fZ', x.live_not_before_ms / 1000.0, 'unixepoch') END
           AS not_before_at,
       CASE WHEN x.live_not_before_ms > x.now_ms THEN
           (SELECT word FROM word_reason WHERE code = coalesce(
               CASE WHEN x.live_wait_ms = x.live_not_before_ms THEN
                   (SELECT j.wait_reason FROM job AS j
                    WHERE j.consent_no = x.consent_no AND j.next_attempt_ms = x.live_wait_ms
                    ORDER BY j.job_no DESC LIMIT 1) END,
               x.not_before_reason)) END AS not_before_reason,
       x.quota_used,
       nullif(x.quota_count, 0) AS quota_limit,
       strftime('%Y-%m-%dT%H:%M:%fZ', x.next_allowed_ms / 1000.0, 'unixepoch') AS next_allowed_at,
       CASE WHEN x.removed_ms IS NULL AND x.mode <> 2 THEN
           strftime('%Y-%m-%dT%H:%M:%fZ', x.next_slot_due_ms / 1000.0, 'unixepoch') END
           AS next_due_at,
       CASE WHEN x.end_ms < 9223372036854775807 THEN
           strftime('%Y-%m-%dT%H:%M:%fZ', x.end_ms / 1000.0, 'unixepoch') END AS expires_at,
       nullif(x.live_success_ms, 0) AS last_success_ms,
       nullif(x.live_attempt_ms, 0) AS last_attempt_ms,
       CASE WHEN x.live_not_before_ms > x.now_ms THEN x.live_not_before_ms END AS not_before_ms,
       x.next_allowed_ms,
       CASE WHEN x.removed_ms IS NULL AND x.mode <> 2 THEN x.next_slot_due_ms END AS next_due_ms,
       CASE WHEN x.end_ms < 9223372036854775807 THEN x.end_ms END AS expires_ms,
       (SELECT word FROM word_mode WHERE code = x.mode) AS mode,
       (SELECT names FROM schedule_set AS t WHERE t.set_no = x.set_no) AS schedules,
       x.priority,
       x.tags,
       strftime('%Y-%m-%dT%H:%M:%fZ', x.held_ms / 1000.0, 'unixepoch') AS held_at,
       x.held_ms,
       strftime('%Y-%m-%dT%H:%M:%fZ', x.removed_ms / 1000.0, 'unixepoch') AS removed_at,
       x.removed_ms,
       strftime('%Y-%m-%dT%H:%M:%fZ', x.checked_ms / 1000.0, 'unixepoch') AS checked_at,
       x.checked_ms
FROM private_consent_status AS x;

-- Counts of runs that are still open, from rows.
CREATE VIEW private_open_run AS
SELECT run_no, sum(outcome = 1) AS refreshed, sum(outcome = 2) AS partial,
       sum(outcome = 3) AS deduplicated, sum(outcome = 4) AS reconnect_required,
       sum(outcome = 5) AS failed, sum(CASE outcome WHEN 6 THEN count ELSE 0 END) AS skipped,
       sum(outcome = 7) AS unknown
FROM (SELECT r.run_no, j.outcome, 1 AS count
      FROM run AS r
      CROSS JOIN job AS j ON j.job_no >= r.first_job_no AND j.run_no = r.run_no
      WHERE r.finished_ms IS NULL AND j.outcome IS NOT NULL
      UNION ALL
      SELECT r.run_no, 6, k.count
      FROM run AS r
      CROSS JOIN skip AS k ON k.run_no = r.run_no
      WHERE r.finished_ms IS NULL)
GROUP BY run_no;

CREATE VIEW v1_runs AS
SELECT r.run_id,
       s.name AS schedule,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.slot_ms / 1000.0, 'unixepoch') AS slot_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.deadline_ms / 1000.0, 'unixepoch') AS deadline_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.started_ms / 1000.0, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.finished_ms / 1000.0, 'unixepoch') AS finished_at,
       r.due,
       coalesce(r.refreshed, o.refreshed, 0) AS refreshed,
       coalesce(r.partial, o.partial, 0) AS partial,
       coalesce(r.deduplicated, o.deduplicated, 0) AS deduplicated,
       coalesce(r.reconnect_required, o.reconnect_required, 0) AS reconnect_required,
       coalesce(r.failed, o.failed, 0) AS failed,
       coalesce(r.skipped, o.skipped, 0) AS skipped,
       coalesce(r.unknown, o.unknown, 0) AS unknown,
       r.reconciled,
       r.late,
       r.config_digest,
       r.slot_ms,
       r.deadline_ms,
       r.started_ms,
       r.finished_ms,
       (SELECT word FROM word_trigger WHERE code = r.trigger) AS trigger,
       r.is_missed
FROM run AS r
JOIN schedule AS s ON s.schedule_no = r.schedule_no
LEFT JOIN private_open_run AS o ON o.run_no = r.run_no;

CREATE VIEW v1_jobs AS
SELECT n.instance || '-' || printf('%012x', j.job_no) AS job_uid,
       r.run_id,
       c.consent,
       (SELECT word FROM word_trigger WHERE code = j.trigger) AS trigger,
       CASE WHEN j.finished_ms IS NOT NULL THEN 'closed'
            WHEN j.state IN (1, 6) AND (SELECT a.class FROM attempt AS a
                                  WHERE a.attempt_key = (j.job_no << 16) + j.attempts) = 1
            THEN 'running'
            ELSE (SELECT word FROM word_job_state WHERE code = j.state) END AS state,
       strftime('%Y-%m-%dT%H:%M:%fZ', j.due_ms / 1000.0, 'unixepoch') AS due_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(j.started_ms, f.sent_ms) / 1000.0, 'unixepoch')
           AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', j.finished_ms / 1000.0, 'unixepoch') AS finished_at,
       CASE WHEN j.finished_ms IS NULL THEN
           strftime('%Y-%m-%dT%H:%M:%fZ', j.next_attempt_ms / 1000.0, 'unixepoch') END
           AS next_attempt_at,
       coalesce(j.provider_job_id,
                (SELECT a.provider_job_id FROM attempt AS a
                 WHERE a.attempt_key BETWEEN j.job_no << 16 AND (j.job_no << 16) + 65535
                   AND a.provider_job_id IS NOT NULL
                 ORDER BY a.attempt_key DESC LIMIT 1)) AS provider_job_id,
       j.attempts,
       (SELECT word FROM word_outcome WHERE code = j.outcome) AS outcome,
       (SELECT word FROM word_reason WHERE code = j.reason) AS reason,
       j.has_new_data,
       coalesce(j.error_code,
                (SELECT a.error_code FROM attempt AS a
                 WHERE a.attempt_key = (j.job_no << 16) + j.attempts)) AS error_code,
       coalesce(j.error_message,
                (SELECT a.error_message FROM attempt AS a
                 WHERE a.attempt_key = (j.job_no << 16) + j.attempts)) AS error_message,
       j.due_ms,
       coalesce(j.started_ms, f.sent_ms) AS started_ms,
       j.finished_ms,
       CASE WHEN j.finished_ms IS NULL THEN j.next_attempt_ms END AS next_attempt_ms,
       CASE WHEN j.finished_ms IS NULL THEN
           (SELECT word FROM word_reason WHERE code = j.wait_reason) END AS wait_reason,
       p.name AS provider,
       i.name AS institution,
       s.name AS schedule,
       j.job_no
FROM job AS j
CROSS JOIN private_now AS n
JOIN consent AS c ON c.consent_no = j.consent_no
JOIN provider AS p ON p.provider_no = c.provider_no
JOIN institution AS i ON i.institution_no = c.institution_no
LEFT JOIN run AS r ON r.run_no = j.run_no
     AND j.job_no BETWEEN r.first_job_no AND coalesce(r.last_job_no, 9223372036854775807)
LEFT JOIN schedule AS s ON s.schedule_no = r.schedule_no
LEFT JOIN attempt AS f ON f.attempt_key = (j.job_no << 16) + 1;

CREATE VIEW v1_attempts AS
SELECT n.instance || '-' || printf('%012x', j.job_no) || '-' || (a.attempt_key & 65535)
           AS attempt_uid,
       n.instance || '-' || printf('%012x', j.job_no) AS job_uid,
       c.consent,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.sent_ms / 1000.0, 'unixepoch') AS sent_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.answered_ms / 1000.0, 'unixepoch') AS answered_at,
       a.http_status,
       (SELECT word FROM word_class WHERE code = a.class) AS class,
       a.error_code,
       a.error_id,
       a.error_message,
       a.request_id,
       a.retry_after_raw,
       a.sent_ms,
       a.answered_ms,
       (SELECT word FROM word_reason WHERE code = a.reason) AS reason,
       a.is_repeat,
       a.is_charged,
       a.provider_job_id,
       (SELECT e.body_head FROM evidence AS e
        WHERE e.job_no = j.job_no AND e.attempt = (a.attempt_key & 65535)
        ORDER BY e.evidence_no DESC LIMIT 1) AS body_head
FROM attempt AS a
JOIN job AS j ON j.job_no = a.attempt_key >> 16
     AND a.attempt_key BETWEEN j.job_no << 16 AND (j.job_no << 16) + 65535
JOIN consent AS c ON c.consent_no = j.consent_no
CROSS JOIN private_now AS n;

CREATE VIEW v1_skips AS
SELECT r.run_id,
       c.consent,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.slot_ms / 1000.0, 'unixepoch') AS slot_at,
       (SELECT word FROM word_reason WHERE code = k.reason) AS reason,
       k.detail,
       k.count,
       r.slot_ms,
       strftime('%Y-%m-%dT%H:%M:%fZ', k.due_ms / 1000.0, 'unixepoch') AS due_at,
       k.due_ms,
       strftime('%Y-%m-%dT%H:%M:%fZ', k.at_ms / 1000.0, 'unixepoch') AS decided_at,
       k.at_ms AS decided_ms
FROM skip AS k
JOIN run AS r ON r.run_no = k.run_no
LEFT JOIN consent AS c ON c.consent_no = k.consent_no;

CREATE VIEW v1_limits AS
SELECT provider,
       nullif(institution, '') AS institution,
       configured_rate,
       learned_rate,
       jobs_running,
       breaker,
       strftime('%Y-%m-%dT%H:%M:%fZ', not_before_ms / 1000.0, 'unixepoch') AS not_before_at,
       not_before_ms,
       (SELECT word FROM word_reason WHERE code = not_before_reason) AS not_before_reason,
       requests_in_flight,
       waiting,
       strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch') AS seen_at,
       at_ms AS seen_ms
FROM limit_node;

-- The pauses in force.
CREATE VIEW v1_pauses AS
SELECT CASE u.scope WHEN 0 THEN 'all' WHEN 1 THEN 'provider' WHEN 2 THEN 'institution'
                    WHEN 3 THEN 'schedule' ELSE 'consent' END AS scope,
       u.subject,
       strftime('%Y-%m-%dT%H:%M:%fZ', u.since_ms / 1000.0, 'unixepoch') AS since_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', u.until_ms / 1000.0, 'unixepoch') AS until_at,
       u.who,
       u.reason,
       u.since_ms,
       u.until_ms
FROM pause AS u
CROSS JOIN private_now AS n
WHERE coalesce(u.until_ms, 9223372036854775807) > n.now_ms;

-- Held for the customer, expired, or inside the longest of the provider's leads before the end; most
-- urgent first. Urgency: `now`, data has stopped that a schedule wants (or that the provider
-- refreshes by itself); `soon`, it stops within a week, or within the shortest lead; `later`, all
-- others. Suspended consents wait for their provider, not for their customer.
CREATE VIEW private_lead AS
SELECT provider_no, max(lead_ms) AS longest_ms, max(min(lead_ms), 604800000) AS soon_ms
FROM provider_lead GROUP BY provider_no;

CREATE VIEW v1_reconnect AS
SELECT consent, customer, institution,
       strftime('%Y-%m-%dT%H:%M:%fZ', since_ms / 1000.0, 'unixepoch') AS since_at,
       cause,
       strftime('%Y-%m-%dT%H:%M:%fZ', expires_ms / 1000.0, 'unixepoch') AS expires_at,
       CASE WHEN NOT is_wanted THEN 'later'
            WHEN cause <> 'expiring' THEN 'now'
            WHEN expires_ms - now_ms <= soon_ms THEN 'soon'
            ELSE 'later' END AS urgency,
       since_ms,
       expires_ms,
       provider,
       substr(consent, length(provider) + 2) AS consent_id,
       CASE WHEN cause = 'expiring' THEN (expires_ms - now_ms) / 86400000 END AS days_left,
       (SELECT min(l.lead_ms) FROM provider_lead AS l
        WHERE l.provider_no = y.provider_no AND cause = 'expiring'
          AND expires_ms - now_ms <= l.lead_ms) AS lead_ms,
       strftime('%Y-%m-%dT%H:%M:%fZ', nullif(live_success_ms, 0) / 1000.0, 'unixepoch')
           AS last_success_at,
       nullif(live_success_ms, 0) AS last_success_ms,
       CASE WHEN is_wanted THEN
           strftime('%Y-%m-%dT%H:%M:%fZ', next_slot_due_ms / 1000.0, 'unixepoch') END
           AS next_due_at,
       CASE WHEN is_wanted THEN next_slot_due_ms END AS next_due_ms,
       strftime('%Y-%m-%dT%H:%M:%fZ', checked_ms / 1000.0, 'unixepoch') AS checked_at,
       checked_ms,
       (SELECT names FROM schedule_set AS t WHERE t.set_no = y.set_no) AS schedules,
       (SELECT word FROM word_mode WHERE code = y.mode) AS mode,
       tags
FROM (SELECT x.consent, x.customer, x.institution, x.provider, x.provider_no, x.set_no, x.mode,
             x.tags, x.now_ms, x.checked_ms, x.live_success_ms, x.next_slot_due_ms,
             coalesce(l.soon_ms, 0) AS soon_ms,
             x.mode = 1 OR EXISTS (
                 SELECT 1 FROM schedule_set_member AS m
                 JOIN schedule AS s ON s.schedule_no = m.schedule_no AND s.removed_ms IS NULL
                 WHERE m.set_no = x.set_no) AS is_wanted,
             CASE WHEN x.end_ms < 9223372036854775807 THEN x.end_ms END AS expires_ms,
             CASE WHEN x.held_ms IS NOT NULL AND x.is_suspended = 0 THEN x.held_ms
                  WHEN x.end_ms <= x.now_ms THEN x.end_ms
                  WHEN x.end_ms - x.now_ms <= l.longest_ms THEN x.end_ms - l.longest_ms END
                 AS since_ms,
             CASE WHEN x.held_ms IS NOT NULL AND x.is_suspended = 0 THEN 'reconnect_required'
                  WHEN x.end_ms <= x.now_ms THEN 'expired'
                  WHEN x.end_ms - x.now_ms <= l.longest_ms THEN 'expiring' END AS cause
      FROM private_consent AS x
      LEFT JOIN private_lead AS l ON l.provider_no = x.provider_no
      WHERE x.removed_ms IS NULL AND x.mode <> 2) AS y
WHERE cause IS NOT NULL
ORDER BY CASE urgency WHEN 'now' THEN 0 WHEN 'soon' THEN 1 ELSE 2 END,
         CASE WHEN cause = 'expiring' THEN expires_ms ELSE since_ms END, consent;

CREATE VIEW v1_audit AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch') AS at,
       who, action, subject, reason, at_ms
FROM audit;
