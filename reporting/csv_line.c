/* SPDX-License-Identifier: MIT
 * csv_line.c - see csv_line.h. */
#include "reporting/csv_line.h"

#include <inttypes.h>
#include <string.h>

#define LINE_BYTES_MAX ((size_t)1024 * 1024)

void csv_line_init(struct csv_line *line)
{
    text_init(&line->text, LINE_BYTES_MAX);
    line->has_fields = false;
}

void csv_line_deinit(struct csv_line *line)
{
    text_deinit(&line->text);
}

void csv_line_begin(struct csv_line *line)
{
    text_clear(&line->text);
    line->has_fields = false;
}

static void separate(struct csv_line *line)
{
    if (line->has_fields)
        text_append(&line->text, ",", 1);
    line->has_fields = true;
}

/* A lone "-" (no institution) is no formula. */
static bool looks_like_formula(const char *value)
{
    return strchr("=+-@\t\r", value[0]) != NULL && strcmp(value, "-") != 0;
}

void csv_line_text(struct csv_line *line, const char *value)
{
    bool needs_quotes;

    separate(line);
    if (value == NULL || value[0] == '\0')
        return;
    needs_quotes = strpbrk(value, ",\"\r\n") != NULL;
    if (needs_quotes)
        text_append(&line->text, "\"", 1);
    if (looks_like_formula(value))
        text_append(&line->text, "'", 1);
    for (const char *c = value; *c != '\0'; c++)
        text_append(&line->text, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
    if (needs_quotes)
        text_append(&line->text, "\"", 1);
}

void csv_line_integer(struct csv_line *line, int64_t value)
{
    separate(line);
    text_append_format(&line->text, "%" PRId64, value);
}

void csv_line_end(struct csv_line *line)
{
    text_append(&line->text, "\r\n", 2);
}
