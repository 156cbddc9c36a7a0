/* SPDX-License-Identifier: MIT
 * consent_csv.c - consents from a CSV file with a header row (libcsv). */
#include <csv.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/consent_build.h"

#define COLUMNS_MAX 64
#define CHUNK_BYTES ((size_t)256 * 1024)
#define ROW_BYTES_MAX ((size_t)64 * 1024)

struct reading {
    struct consent_build *build;
    const char *name; /* of the file, for places */
    uint32_t source;
    bool has_header;
    bool is_broken; /* the header is useless: rows would only repeat that */
    unsigned column_count;
    uint8_t fields[COLUMNS_MAX]; /* enum consent_field per column */
    uint32_t line;               /* of the row being read */
    uint32_t newlines;           /* inside quoted cells of it */
    int previous_end; /* the byte that ended the row before: '\r' before '\n' is one end */
    unsigned column;  /* cells of this row so far */
    char *cells;      /* their bytes, one behind the other */
    size_t cell_bytes;
    struct {
        size_t start;
        size_t length;
    } spans[COLUMNS_MAX];
    char name_buffer[80];
};

static struct place place_of(const struct reading *reading, const char *column)
{
    return (struct place){reading->name, reading->line, 0, column};
}

/* --- The header ----------------------------------------------------------------------------------
 */

static void read_header_cell(struct reading *reading, const char *text, size_t length)
{
    enum consent_field field;
    unsigned column = reading->column;

    if (column == 0 && length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3; /* a byte order mark in front */
        length -= 3;
    }
    if (column >= COLUMNS_MAX)
        return;
    field = consent_field_find(text, length);
    reading->fields[column] = (uint8_t)field;
    (void)snprintf(reading->name_buffer, sizeof reading->name_buffer, "%.*s",
                   length > 70 ? 70 : (int)length, text);
    if (field == CONSENT_FIELD_COUNT) {
        reading->is_broken = true;
        consent_column_unknown(reading->build, place_of(reading, NULL), reading->name_buffer);
        return;
    }
    for (unsigned i = 0; i < column; i++)
        if (reading->fields[i] == (uint8_t)field) {
            reading->is_broken = true;
            diagnostics_error(reading->build->diagnostics, place_of(reading, NULL),
                              "column \"%s\" is there twice", reading->name_buffer);
        }
}

static bool has_column(const struct reading *reading, enum consent_field field)
{
    for (unsigned i = 0; i < reading->column_count && i < COLUMNS_MAX; i++)
        if (reading->fields[i] == (uint8_t)field)
            return true;
    return false;
}

static void end_header(struct reading *reading)
{
    struct diagnostics *diagnostics = reading->build->diagnostics;

    reading->has_header = true;
    reading->column_count = reading->column;
    if (reading->column > COLUMNS_MAX) {
        reading->is_broken = true;
        diagnostics_error(diagnostics, place_of(reading, NULL), "more than %d columns",
                          COLUMNS_MAX);
    }
    if (reading->is_broken)
        return;
    for (int field = CONSENT_FIELD_ID; field <= CONSENT_FIELD_PROVIDER; field++)
        if (!has_column(reading, (enum consent_field)field)) {
            reading->is_broken = true;
            diagnostics_error(diagnostics, place_of(reading, NULL),
                              "column \"%s\" is missing in the first row",
                              consent_field_name((enum consent_field)field));
        }
}

/* --- Rows ------------------------------------------------------------------------------------ */

static void end_data_row(struct reading *reading)
{
    struct consent_row row = {.file = reading->name, .line = reading->line, .is_table = true};

    if (reading->column != reading->column_count) {
        diagnostics_error(reading->build->diagnostics, place_of(reading, NULL),
                          "the row has %u cells, the first row has %u", reading->column,
                          reading->column_count);
        return;
    }
    for (unsigned i = 0; i < reading->column; i++)
        row.cells[reading->fields[i]] =
            (struct consent_cell){.text = reading->cells + reading->spans[i].start,
                                  .length = (uint32_t)reading->spans[i].length};
    consent_build_add(reading->build, reading->source, reading->line, &row);
}

static void on_cell(void *bytes, size_t length, void *context)
{
    struct reading *reading = context;
    const char *text = bytes;
    unsigned column = reading->column;

    if (memchr(text, '\n', length) != NULL)
        for (size_t i = 0; i < length; i++)
            reading->newlines += text[i] == '\n';
    if (!reading->has_header) {
        read_header_cell(reading, text, length);
    } else if (column < COLUMNS_MAX && !reading->is_broken) {
        if (length > ROW_BYTES_MAX - reading->cell_bytes) {
            diagnostics_error(reading->build->diagnostics,
                              place_of(reading, consent_field_name(reading->fields[column])),
                              "the row is longer than %zu bytes", ROW_BYTES_MAX);
            length = 0;
        }
        memcpy(reading->cells + reading->cell_bytes, text, length);
        reading->spans[column].start = reading->cell_bytes;
        reading->spans[column].length = length;
        reading->cell_bytes += length;
    }
    reading->column++;
}

static void on_row_end(int end, void *context)
{
    struct reading *reading = context;
    bool is_second_half = end == '\n' && reading->previous_end == '\r' && reading->column == 0;

    /* An empty line gives no cells; a row of one empty cell counts as empty too. */
    bool is_blank = reading->column == 0 ||
                    (reading->column == 1 && reading->has_header && reading->cell_bytes == 0);

    if (!is_blank && !reading->has_header)
        end_header(reading);
    else if (!is_blank && !reading->is_broken)
        end_data_row(reading);
    if (!is_second_half)
        reading->line += 1 + reading->newlines;
    reading->previous_end = end;
    reading->newlines = 0;
    reading->column = 0;
    reading->cell_bytes = 0;
}

/* --- The file -------------------------------------------------------------------------------- */

static void report_parse_error(struct reading *reading, struct csv_parser *parser)
{
    const char *hint = csv_error(parser) == CSV_EPARSE
                           ? "a quote stands in the middle of a cell, or is not closed"
                           : csv_strerror(csv_error(parser));

    diagnostics_error(reading->build->diagnostics, place_of(reading, NULL), "not valid CSV: %s",
                      hint);
}

/* False when reading itself failed (errno). */
static bool feed(struct reading *reading, struct csv_parser *parser, int fd, char *chunk)
{
    ssize_t got;

    for (;;) {
        got = read(fd, chunk, CHUNK_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        if (memchr(chunk, '\0', (size_t)got) != NULL) {
            diagnostics_error(reading->build->diagnostics, place_of(reading, NULL),
                              "the file holds a NUL byte: it must be UTF-8 text");
            return true;
        }
        if (csv_parse(parser, chunk, (size_t)got, on_cell, on_row_end, reading) != (size_t)got) {
            report_parse_error(reading, parser);
            return true;
        }
        if (reading->is_broken)
            return true;
    }
    if (csv_fini(parser, on_cell, on_row_end, reading) != 0)
        report_parse_error(reading, parser);
    else if (!reading->has_header)
        diagnostics_error(reading->build->diagnostics, place_of(reading, NULL),
                          "the file is empty: the first row must name the columns");
    return true;
}

static enum result read_open_file(struct consent_build *build, uint32_t source, int fd,
                                  struct fault *fault)
{
    const char *name = build->config->sources[source].csv_path;
    struct reading *reading = calloc(1, sizeof *reading);
    char *chunk = malloc(CHUNK_BYTES);
    struct csv_parser parser;
    enum result result = RESULT_OK;

    REQUIRE(reading != NULL && chunk != NULL);
    reading->cells = malloc(ROW_BYTES_MAX);
    REQUIRE(reading->cells != NULL);
    reading->build = build;
    reading->name = name;
    reading->source = source;
    reading->line = 1;
    REQUIRE(csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL) == 0);
    if (!feed(reading, &parser, fd, chunk))
        result =
            fault_set(fault, FAULT_UNAVAILABLE, "%s: cannot be read: %s", name, strerror(errno));
    csv_free(&parser);
    free(reading->cells);
    free(reading);
    free(chunk);
    return result;
}

enum result consent_csv_read(struct consent_build *build, uint32_t source, const char *path,
                             struct fault *fault)
{
    const char *name = build->config->sources[source].csv_path;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum result result;

    if (fd < 0)
        return fault_set(fault, FAULT_UNAVAILABLE, "%s: cannot be read: %s", name, strerror(errno));
    result = read_open_file(build, source, fd, fault);
    (void)close(fd);
    return result;
}
