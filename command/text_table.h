/* SPDX-License-Identifier: MIT
 *
 * text_table.h - columns for people: aligned, cut where a value is too long.
 *
 * Layer:  command. The first rows decide how wide a column is; later ones keep to it, so that a
 *         million rows need no memory. Control characters of a value are shown as '?'.
 * Memory: owns its cells; text_table_deinit frees them.
 */
#ifndef REFRESHD_COMMAND_TEXT_TABLE_H
#define REFRESHD_COMMAND_TEXT_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_TABLE_COLUMNS_MAX 16

struct text_table_column {
    const char *title;
    int width_max; /* in characters */
    bool is_right; /* aligned to the right: numbers */
};

struct text_table {
    FILE *stream;
    const struct text_table_column *columns; /* borrowed */
    int column_count;
    const char *indent; /* before each line */
    int widths[TEXT_TABLE_COLUMNS_MAX];
    char **cells; /* of the rows that wait, row by row */
    int cell_count;
    int cell_capacity;
    bool has_heading; /* widths are fixed and the titles are printed */
    bool is_broken;   /* out of memory: rows are missing */
};

void text_table_init(struct text_table *table, FILE *stream,
                     const struct text_table_column *columns, int column_count, const char *indent);
void text_table_deinit(struct text_table *table);
/* The next cell; after the last column begins the next row. NULL is shown as "-". */
void text_table_cell(struct text_table *table, const char *value);
void text_table_number(struct text_table *table, int64_t value);
/* Print what waits. False when memory ran out on the way. No rows: prints nothing. */
bool text_table_finish(struct text_table *table);

/* "1,234,567" */
#define TEXT_TABLE_COUNT_SIZE 32
char *text_table_count(int64_t value, char text[TEXT_TABLE_COUNT_SIZE]);
/* "2026-11-21 01:00:00" of "2026-11-21T01:00:00.000Z"; "-" of NULL. */
#define TEXT_TABLE_INSTANT_SIZE 32
char *text_table_instant(const char *at, char text[TEXT_TABLE_INSTANT_SIZE]);
/* "0.35 s", "12.4 s", "3m 20s", "2h 05m"; "-" of a negative one. */
#define TEXT_TABLE_SPAN_SIZE 32
char *text_table_span(int64_t ms, char text[TEXT_TABLE_SPAN_SIZE]);

#endif
