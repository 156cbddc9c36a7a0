/* SPDX-License-Identifier: MIT
 *
 * views_sql.h - the text of state/views.sql, compiled in by dev/embed-text.
 *
 * Layer: state.
 */
#ifndef REFRESHD_STATE_VIEWS_SQL_H
#define REFRESHD_STATE_VIEWS_SQL_H

/* SQL statements, NUL-ended. */
extern const char state_views_sql[];

#endif
