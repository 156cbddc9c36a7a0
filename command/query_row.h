/* SPDX-License-Identifier: MIT
 *
 * query_row.h - a row of a view: values by name, and the row as JSON or CSV.
 *
 * Layer: command.
 */
#ifndef REFRESHD_COMMAND_QUERY_ROW_H
#define REFRESHD_COMMAND_QUERY_ROW_H

#include "base/text.h"
#include "reporting/csv_line.h"
#include "state/state_query.h"

struct query_row {
    uint32_t count;
    const char *const *columns;
    const struct query_value *values;
};

/* NULL where the value is NULL or not a text. A column that the row does not have is a bug. */
const char *query_row_text(const struct query_row *row, const char *column);
/* `otherwise` where the value is NULL. */
int64_t query_row_integer(const struct query_row *row, const char *column, int64_t otherwise);

/* {"column":value,...} and a newline, all columns in their order. Replaces `text`. */
void query_row_json(const struct query_row *row, struct text *text);
/* Replace `line` by the values, or by the names of the columns. */
void query_row_csv(const struct query_row *row, struct csv_line *line);
void query_row_csv_heading(const struct query_row *row, struct csv_line *line);

#endif
