/* SPDX-License-Identifier: MIT
 *
 * migrate_2_sql.h - the text of state/migrate_2.sql, compiled in by dev/embed-text.
 *
 * Layer: state.
 */
#ifndef REFRESHD_STATE_MIGRATE_2_SQL_H
#define REFRESHD_STATE_MIGRATE_2_SQL_H

/* SQL statements, NUL-ended. */
extern const char state_migrate_2_sql[];

#endif
