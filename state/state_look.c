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
