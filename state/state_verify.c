/* SPDX-License-Identifier: MIT
 * state_verify.c - every invariant of the state database that SQL can state. */
#include <stdio.h>
#include <string.h>

#include "state/state_maintain.h"
#include "state/state_private.h"

#define PROBLEMS_OF_A_KIND 20

/* Each query gives one text per violation. They look at one snapshot (one transaction), so a daemon
 * that goes on writing does not make them disagree. */
static const char *const invariants[] = {
    /* runs */
    "SELECT 'run ' || run_id || ' is closed and was not reconciled: due ' || due || ', counted '"
    " || (refreshed + partial + deduplicated + reconnect_required + failed + skipped + unknown)"
    " FROM run WHERE finished_ms IS NOT NULL AND reconciled = 0",
    "SELECT 'run ' || run_id || ' says reconciled, but its counts do not add up to due'"
    " FROM run WHERE reconciled = 1 AND due <> refreshed + partial + deduplicated"
    " + reconnect_required + failed + skipped + unknown",
    "SELECT 'run ' || r.run_id || ' counted other numbers than its rows give' FROM run AS r"
    " JOIN (SELECT min(finished_ms) AS kept_ms FROM run) WHERE r.finished_ms IS NOT NULL"
    " AND r.first_job_no >= coalesce((SELECT min(job_no) FROM job), 0)"
    " AND (SELECT count(*) FROM job AS j WHERE j.job_no BETWEEN r.first_job_no AND r.last_job_no"
    "  AND j.run_no = r.run_no AND j.outcome IS NOT NULL)"
    " + (SELECT coalesce(sum(k.count), 0) FROM skip AS k WHERE k.run_no = r.run_no)"
    " <> r.refreshed + r.partial + r.deduplicated + r.reconnect_required + r.failed + r.skipped"
    " + r.unknown",
    "SELECT 'run ' || r.run_id || ' is closed, but job ' || j.job_no || ' of it is open'"
    " FROM job AS j JOIN run AS r ON r.run_no = j.run_no"
    " WHERE j.finished_ms IS NULL AND r.finished_ms IS NOT NULL",
    "SELECT 'run ' || r.run_id || ' has consent ' || coalesce(c.consent, k.consent_no)"
    " || ' both as a job and as a skip' FROM skip AS k JOIN run AS r ON r.run_no = k.run_no"
    " JOIN job AS j ON j.consent_no = k.consent_no AND j.run_no = k.run_no"
    " LEFT JOIN consent AS c ON c.consent_no = k.consent_no",
    "SELECT 'run ' || r.run_id || ' has ' || count(*) || ' jobs of consent ' || c.consent"
    " FROM job AS j JOIN run AS r ON r.run_no = j.run_no"
    " JOIN consent AS c ON c.consent_no = j.consent_no"
    " GROUP BY j.consent_no, j.run_no HAVING count(*) > 1",
    /* jobs */
    "SELECT 'consent ' || c.consent || ' has ' || count(*) || ' open jobs'"
    " FROM job AS j JOIN consent AS c ON c.consent_no = j.consent_no"
    " WHERE j.finished_ms IS NULL GROUP BY j.consent_no HAVING count(*) > 1",
    "SELECT 'job ' || j.job_no || ' has no attempt' FROM job AS j WHERE j.started_ms IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM attempt AS a"
    " WHERE a.attempt_key BETWEEN j.job_no << 16 AND (j.job_no << 16) + 65535)",
    "SELECT 'attempt ' || (a.attempt_key >> 16) || '-' || (a.attempt_key & 65535)"
    " || ' belongs to no job' FROM attempt AS a"
    " WHERE NOT EXISTS (SELECT 1 FROM job AS j WHERE j.job_no = a.attempt_key >> 16)",
    "SELECT 'job ' || job_no || ' is half closed' FROM job"
    " WHERE (finished_ms IS NULL) + (outcome IS NULL) + (closed_seq IS NULL) NOT IN (0, 3)",
    "SELECT 'job ' || j.job_no || ' belongs to no consent' FROM job AS j"
    " WHERE NOT EXISTS (SELECT 1 FROM consent AS c WHERE c.consent_no = j.consent_no)",
    "SELECT 'job ' || j.job_no || ' belongs to run ' || j.run_no || ', which is not there'"
    " FROM job AS j WHERE j.run_no IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM run AS r WHERE r.run_no = j.run_no)",
    "SELECT 'consent ' || c.consent || ' has provider job ' || a.provider_job_id"
    " || ' as its own in two jobs' FROM attempt AS a JOIN job AS j ON j.job_no = a.attempt_key >> "
    "16"
    " JOIN consent AS c ON c.consent_no = j.consent_no WHERE a.reference_hash IS NOT NULL"
    " AND j.outcome IN (1, 2) GROUP BY j.consent_no, a.provider_job_id"
    " HAVING count(DISTINCT j.job_no) > 1",
    /* the ledger */
    "SELECT 'ledger ' || l.seq || ' names job ' || l.ref || ', which says ' ||"
    " coalesce(j.closed_seq, 'nothing') FROM ledger AS l LEFT JOIN job AS j ON j.job_no = l.ref"
    " WHERE l.kind = 1 AND l.seq > (SELECT min(folded_seq, delivered_seq) FROM meta)"
    " AND j.closed_seq IS NOT l.seq",
    "SELECT 'ledger ' || l.seq || ' names a skip that is not there' FROM ledger AS l"
    " WHERE l.kind = 2 AND l.seq > (SELECT delivered_seq FROM meta) AND NOT EXISTS"
    " (SELECT 1 FROM skip AS k WHERE k.run_no = l.more AND k.consent_no = l.ref)",
    "SELECT 'job ' || j.job_no || ' closed as ' || j.closed_seq || ', and the ledger does not know'"
    " FROM job AS j WHERE j.closed_seq > (SELECT min(folded_seq, delivered_seq) FROM meta)"
    " AND NOT EXISTS (SELECT 1 FROM ledger AS l WHERE l.seq = j.closed_seq AND l.kind = 1"
    " AND l.ref = j.job_no)",
    "SELECT 'consent ' || consent_no || ' is folded beyond the end of the ledger'"
    " FROM consent_past WHERE folded_seq > (SELECT coalesce(max(seq), 0) FROM ledger)",
    "SELECT 'there is a past of consent ' || consent_no || ', which is not there'"
    " FROM consent_past AS f WHERE NOT EXISTS"
    " (SELECT 1 FROM consent AS c WHERE c.consent_no = f.consent_no)",
    /* consents */
    "SELECT 'consent ' || c.consent || ' names provider, institution or schedules that are not"
    " there' FROM consent AS c"
    " WHERE NOT EXISTS (SELECT 1 FROM provider AS p WHERE p.provider_no = c.provider_no)"
    " OR NOT EXISTS (SELECT 1 FROM institution AS i WHERE i.institution_no = c.institution_no)"
    " OR NOT EXISTS (SELECT 1 FROM schedule_set AS s WHERE s.set_no = c.set_no)",
};

struct verification {
    sqlite3 *db;
    state_problem_function *on_problem;
    void *context;
    uint32_t problems;
};

/* Report what `sql` gives. `fine` (may be NULL) is an answer that means all is well. */
static enum result report(struct verification *verification, const char *sql, const char *fine,
                          struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    uint32_t of_this_kind = 0;
    bool found = false;

    if (state_sql_prepare(verification->db, sql, &statement, "verify", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (;;) {
        const char *text;

        if (state_sql_step(verification->db, statement, &found, "verify", fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        text = state_column_text(statement, 0);
        if (fine != NULL && text != NULL && strcmp(text, fine) == 0)
            continue;
        verification->problems++;
        if (++of_this_kind <= PROBLEMS_OF_A_KIND)
            verification->on_problem(verification->context, text == NULL ? "(no text)" : text);
    }
    if (of_this_kind > PROBLEMS_OF_A_KIND) {
        char more[64];

        (void)snprintf(more, sizeof more, "... and %u more of this kind",
                       of_this_kind - PROBLEMS_OF_A_KIND);
        verification->on_problem(verification->context, more);
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

enum result state_maintain_verify(const char *database, state_problem_function *on_problem,
                                  void *context, uint32_t *problems, struct fault *fault)
{
    struct verification verification = {.on_problem = on_problem, .context = context};
    struct state_store *store = NULL;
    enum result result = RESULT_FAULT;

    if (state_store_open(database, STATE_READ_ONLY, &store, fault) != RESULT_OK)
        return RESULT_FAULT;
    verification.db = store->db;
    if (state_sql_execute(store->db, "BEGIN", "verify", fault) != RESULT_OK ||
        report(&verification, "PRAGMA integrity_check", "ok", fault) != RESULT_OK ||
        report(&verification,
               "SELECT 'a row of ' || \"table\" || ' points to nothing in ' || parent"
               " FROM pragma_foreign_key_check",
               NULL, fault) != RESULT_OK)
        goto out;
    for (size_t i = 0; i < sizeof invariants / sizeof *invariants; i++)
        if (report(&verification, invariants[i], NULL, fault) != RESULT_OK)
            goto out;
    *problems = verification.problems;
    result = RESULT_OK;
out:
    state_store_close(store);
    return result;
}
