/* SPDX-License-Identifier: MIT
 * text_table.c - see text_table.h. */
#include "command/text_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/result.h"

#define ROWS_WAITING_MAX 200
#define GAP "  "
#define CUT ".."

/* Characters of UTF-8: bytes that are not continuations. */
static int characters(const char *text)
{
    int count = 0;

    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

/* Length in bytes of the first `count` characters. */
static int bytes_of(const char *text, int count)
{
    int i = 0;

    while (text[i] != '\0' && count > 0) {
        i++;
        while (((unsigned char)text[i] & 0xC0) == 0x80)
            i++;
        count--;
    }
    return i;
}

void text_table_init(struct text_table *table, FILE *stream,
                     const struct text_table_column *columns, int column_count, const char *indent)
{
    REQUIRE(column_count <= TEXT_TABLE_COLUMNS_MAX);
    *table = (struct text_table){
        .stream = stream, .columns = columns, .column_count = column_count, .indent = indent};
}

static void drop_cells(struct text_table *table)
{
    for (int i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    table->cell_count = 0;
}

void text_table_deinit(struct text_table *table)
{
    drop_cells(table);
    memory_release(table->cells);
    table->cells = NULL;
}

static void print_cell(const struct text_table *table, int column, const char *value)
{
    bool is_last = column == table->column_count - 1;
    int width = table->widths[column];
    int length = characters(value);
    bool is_cut = length > width && width > (int)strlen(CUT);
    int shown = is_cut ? bytes_of(value, width - (int)strlen(CUT)) : (int)strlen(value);
    int blanks = is_cut || length > width ? 0 : width - length;

    if (table->columns[column].is_right)
        fprintf(table->stream, "%*s", blanks, "");
    fprintf(table->stream, "%.*s%s", shown, value, is_cut ? CUT : "");
    if (!table->columns[column].is_right && !is_last)
        fprintf(table->stream, "%*s", blanks, "");
    fputs(is_last ? "\n" : GAP, table->stream);
}

static void set_widths(struct text_table *table)
{
    for (int i = 0; i < table->column_count; i++)
        table->widths[i] = characters(table->columns[i].title);
    for (int i = 0; i < table->cell_count; i++) {
        int column = i % table->column_count;
        int length = characters(table->cells[i]);

        if (length > table->widths[column])
            table->widths[column] = length;
    }
    for (int i = 0; i < table->column_count; i++) {
        int least = characters(table->columns[i].title);
        int most = table->columns[i].width_max;

        if (most < least)
            most = least;
        if (table->widths[i] > most)
            table->widths[i] = most;
    }
}

static void flush(struct text_table *table)
{
    if (!table->has_heading) {
        set_widths(table);
        fputs(table->indent, table->stream);
        for (int i = 0; i < table->column_count; i++)
            print_cell(table, i, table->columns[i].title);
        table->has_heading = true;
    }
    for (int i = 0; i < table->cell_count; i++) {
        if (i % table->column_count == 0)
            fputs(table->indent, table->stream);
        print_cell(table, i % table->column_count, table->cells[i]);
    }
    drop_cells(table);
}

void text_table_cell(struct text_table *table, const char *value)
{
    int capacity = ROWS_WAITING_MAX * table->column_count;
    char *copy;

    if (table->cells == NULL) {
        table->cells = memory_resize(NULL, 0, (size_t)capacity, sizeof *table->cells);
        table->cell_capacity = capacity;
    }
    copy = strdup(value == NULL || value[0] == '\0' ? "-" : value);
    if (table->cells == NULL || copy == NULL) {
        free(copy);
        table->is_broken = true;
        return;
    }
    for (char *c = copy; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            *c = '?';
    table->cells[table->cell_count++] = copy;
    if (table->cell_count == table->cell_capacity)
        flush(table);
}

void text_table_number(struct text_table *table, int64_t value)
{
    char text[TEXT_TABLE_COUNT_SIZE];

    text_table_cell(table, text_table_count(value, text));
}

bool text_table_finish(struct text_table *table)
{
    if (table->cell_count > 0)
        flush(table);
    return !table->is_broken;
}

char *text_table_count(int64_t value, char text[TEXT_TABLE_COUNT_SIZE])
{
    char digits[TEXT_TABLE_COUNT_SIZE];
    int length = snprintf(digits, sizeof digits, "%" PRId64, value);
    int out = 0;

    for (int i = 0; i < length; i++) {
        int left = length - i;

        if (i > (value < 0 ? 1 : 0) && left % 3 == 0)
            text[out++] = ',';
        text[out++] = digits[i];
    }
    text[out] = '\0';
    return text;
}

char *text_table_instant(const char *at, char text[TEXT_TABLE_INSTANT_SIZE])
{
    if (at == NULL)
        return strcpy(text, "-");
    (void)snprintf(text, TEXT_TABLE_INSTANT_SIZE, "%.19s", at);
    if (strlen(text) > 10 && text[10] == 'T')
        text[10] = ' ';
    return text;
}

char *text_table_span(int64_t ms, char text[TEXT_TABLE_SPAN_SIZE])
{
    int64_t seconds = (ms + 500) / 1000;

    if (ms < 0)
        (void)strcpy(text, "-");
    else if (ms < 10000)
        (void)snprintf(text, TEXT_TABLE_SPAN_SIZE, "%.2f s", (double)ms / 1000.0);
    else if (ms < 60000)
        (void)snprintf(text, TEXT_TABLE_SPAN_SIZE, "%.1f s", (double)ms / 1000.0);
    else if (seconds < 3600)
        (void)snprintf(text, TEXT_TABLE_SPAN_SIZE, "%" PRId64 "m %02" PRId64 "s", seconds / 60,
                       seconds % 60);
    else
        (void)snprintf(text, TEXT_TABLE_SPAN_SIZE, "%" PRId64 "h %02" PRId64 "m", seconds / 3600,
                       seconds / 60 % 60);
    return text;
}
