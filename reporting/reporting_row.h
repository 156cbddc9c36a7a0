/* SPDX-License-Identifier: MIT
 *
 * reporting_row.h - one row of a public table, written by its key.
 *
 * Layer:  reporting, internal.
 * Rule:   a row that is there already and says the same is left alone, loaded_at too: delivering
 *         twice is the same as delivering once.
 * Order:  begin, one value per column in the order of the table's list in reporting_row.c, write.
 */
#ifndef REFRESHD_REPORTING_REPORTING_ROW_H
#define REFRESHD_REPORTING_REPORTING_ROW_H

#include "base/text.h"
#include "reporting/reporting_database.h"

#define REPORTING_ROW_COPIES 6

struct reporting_row {
    struct reporting_database *database;
    sqlite3_stmt *statement;
    int index; /* of the last value */
    int copy_count;
    char copies[REPORTING_ROW_COPIES][UTC_TEXT_SIZE]; /* short texts made for this row */
};

/* The statement that writes a row of the table of `which` (REPORTING_PUT_...). */
void reporting_row_upsert(enum reporting_statement which, struct text *sql);

MUST_CHECK enum result reporting_row_begin(struct reporting_database *database,
                                           enum reporting_statement which,
                                           struct reporting_row *row, struct fault *fault);
/* Borrowed until the row is written; NULL writes NULL. */
void reporting_row_text(struct reporting_row *row, const char *text);
void reporting_row_integer(struct reporting_row *row, int64_t value);
void reporting_row_null(struct reporting_row *row);
/* The date of a civil time, "2026-03-29". */
void reporting_row_date(struct reporting_row *row, const struct civil_time *date);
/* X_at and X_ms: two columns; NULL for UTC_NONE and UTC_NEVER. */
void reporting_row_instant(struct reporting_row *row, struct utc_time at);
/* Milliseconds between two instants, NULL where one is missing. Never below 0: the clock may have
 * been set back in between. */
void reporting_row_span(struct reporting_row *row, struct utc_time from, struct utc_time to);
/* Adds loaded_at and loaded_ms. */
MUST_CHECK enum result reporting_row_write(struct reporting_row *row, struct fault *fault);

#endif
