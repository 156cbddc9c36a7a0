/* SPDX-License-Identifier: MIT
 *
 * csv_line.h - one record of a CSV file (RFC 4180), safe to open in a spreadsheet.
 *
 * Layer: reporting. Texts that a spreadsheet would run as a formula (leading = + - @, tab or
 *        carriage return) get an apostrophe in front. Numbers are written as they are.
 */
#ifndef REFRESHD_REPORTING_CSV_LINE_H
#define REFRESHD_REPORTING_CSV_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct csv_line {
    struct text text;
    bool has_fields;
};

void csv_line_init(struct csv_line *line);
void csv_line_deinit(struct csv_line *line);
/* Forget the record, keep the memory. */
void csv_line_begin(struct csv_line *line);
/* NULL is an empty field; so is "". */
void csv_line_text(struct csv_line *line, const char *value);
void csv_line_integer(struct csv_line *line, int64_t value);
/* Close the record with CR LF; `line->text` holds it. */
void csv_line_end(struct csv_line *line);

#endif
