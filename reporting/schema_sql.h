/* SPDX-License-Identifier: MIT
 *
 * schema_sql.h - the text of reporting/schema.sql, compiled in by dev/embed-text.
 *
 * Layer: reporting.
 */
#ifndef REFRESHD_REPORTING_SCHEMA_SQL_H
#define REFRESHD_REPORTING_SCHEMA_SQL_H

/* SQL statements, NUL-ended. */
extern const char reporting_schema_sql[];

#endif
