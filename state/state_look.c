/* SPDX-License-Identifier: MIT
 * state_look.c - see state_look.h. The rest is beside what it shares: state_consents.c,
 * state_recover.c. */
#include "state/state_look.h"

#include "state/state_private.h"

enum result state_look_begin(struct state_store *store, struct fault *fault)
{
    REQUIRE(store->access == STATE_READ_ONLY);
    return state_sql_execute(store->db, "BEGIN", "begin to read", fault);
}

void state_look_end(struct state_store *store)
{
    (void)sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
}

enum result state_look_population(struct state_store *store, const char **query, bool *is_whole,
                                  struct fault *fault)
{
    static const char sql[] =
        "SELECT substr(c.consent, instr(c.consent, '/') + 1) AS id, p.name AS provider,"
        " CASE WHEN c.customer_is_own_id = 0 THEN c.customer END AS customer,"
        " CASE WHEN c.customer_is_own_id <> 0 THEN c.customer END AS customer_own_id,"
        " nullif(i.name, '-') AS institution, nullif(s.names, '') AS schedule,"
        " strftime('%Y-%m-%dT%H:%M:%S', c.expires_ms / 1000, 'unixepoch')"
        " || printf('.%03dZ', c.expires_ms % 1000) AS expires,"
        " strftime('%Y-%m-%dT%H:%M:%S', c.authorized_ms / 1000, 'unixepoch')"
        " || printf('.%03dZ', c.authorized_ms % 1000) AS authorized_at,"
        " c.priority, c.tags, m.word AS mode"
        " FROM consent AS c JOIN provider AS p ON p.provider_no = c.provider_no"
        " JOIN institution AS i ON i.institution_no = c.institution_no"
        " JOIN schedule_set AS s ON s.set_no = c.set_no"
        " JOIN word_mode AS m ON m.code = c.mode WHERE c.removed_ms IS NULL";
    int64_t load = 0;

    if (state_sql_integer(store->db, "SELECT load_run_no IS NOT NULL FROM meta", 0, &load,
                          "read the population", fault) != RESULT_OK)
        return RESULT_FAULT;
    *query = sql;
    *is_whole = load == 0;
    return RESULT_OK;
}
