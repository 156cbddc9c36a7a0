/* SPDX-License-Identifier: MIT
 * query_row.c - see query_row.h. */
#include "command/query_row.h"

#include <inttypes.h>
#include <string.h>

static const struct query_value *find(const struct query_row *row, const char *column)
{
    uint32_t i = 0;

    while (i < row->count && strcmp(row->columns[i], column) != 0)
        i++;
    REQUIRE(i < row->count);
    return &row->values[i];
}

const char *query_row_text(const struct query_row *row, const char *column)
{
    const struct query_value *value = find(row, column);

    return value->type == QUERY_TEXT ? value->text : NULL;
}

int64_t query_row_integer(const struct query_row *row, const char *column, int64_t otherwise)
{
    const struct query_value *value = find(row, column);

    return value->type == QUERY_INTEGER ? value->integer : otherwise;
}

void query_row_json(const struct query_row *row, struct text *text)
{
    text_clear(text);
    for (uint32_t i = 0; i < row->count; i++) {
        const struct query_value *value = &row->values[i];

        text_append_format(text, "%s\"%s\":", i == 0 ? "{" : ",", row->columns[i]);
        switch (value->type) {
        case QUERY_NULL: text_append_string(text, "null"); break;
        case QUERY_INTEGER: text_append_format(text, "%" PRId64, value->integer); break;
        case QUERY_REAL: text_append_format(text, "%.17g", value->real); break;
        case QUERY_TEXT:
            text_append_string(text, "\"");
            text_append_json(text, value->text, strlen(value->text));
            text_append_string(text, "\"");
            break;
        }
    }
    text_append_string(text, "}\n");
}

void query_row_csv(const struct query_row *row, struct csv_line *line)
{
    csv_line_begin(line);
    for (uint32_t i = 0; i < row->count; i++) {
        if (row->values[i].type == QUERY_INTEGER)
            csv_line_integer(line, row->values[i].integer);
        else
            csv_line_text(line, row->values[i].type == QUERY_TEXT ? row->values[i].text : NULL);
    }
    csv_line_end(line);
}

void query_row_csv_heading(const struct query_row *row, struct csv_line *line)
{
    csv_line_begin(line);
    for (uint32_t i = 0; i < row->count; i++)
        csv_line_text(line, row->columns[i]);
    csv_line_end(line);
}
