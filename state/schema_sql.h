/* SPDX-License-Identifier: MIT
 *
 * schema_sql.h - the text of state/schema.sql, compiled in by dev/embed-text.
 *
 * Layer: state.
 */
#ifndef REFRESHD_STATE_SCHEMA_SQL_H
#define REFRESHD_STATE_SCHEMA_SQL_H

/* SQL statements, NUL-ended. */
extern const char state_schema_sql[];

#endif
