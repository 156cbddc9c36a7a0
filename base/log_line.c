/* SPDX-License-Identifier: MIT
 * log_line.c - see log_line.h. */
#include "base/log_line.h"

#include <inttypes.h>
#include <string.h>

#define LINE_BYTES_MAX ((size_t)64 * 1024)
#define VALUE_BYTES_MAX ((size_t)1024)

const char *log_level_text(enum log_level level)
{
    switch (level) {
    case LOG_ERROR: return "error";
    case LOG_WARNING: return "warning";
    case LOG_INFO: return "info";
    case LOG_DEBUG: return "debug";
    }
    return "?";
}

void log_line_init(struct log_line *line, enum log_format format)
{
    text_init(&line->text, LINE_BYTES_MAX);
    line->format = format;
}

void log_line_deinit(struct log_line *line)
{
    text_deinit(&line->text);
}

void log_line_begin(struct log_line *line, struct utc_time at, enum log_level level,
                    const char *event)
{
    char time_text[UTC_TEXT_SIZE];

    text_clear(&line->text);
    if (line->format == LOG_FORMAT_JSON)
        text_append_string(&line->text, "{");
    if (at.ms != UTC_NONE.ms)
        log_line_text(line, "time", utc_text(at, time_text));
    log_line_text(line, "level", log_level_text(level));
    log_line_text(line, "event", event);
}

/* Separator and key. */
static void append_key(struct log_line *line, const char *key)
{
    bool is_first = line->text.length == (line->format == LOG_FORMAT_JSON ? 1u : 0u);

    if (line->format == LOG_FORMAT_JSON)
        text_append_format(&line->text, "%s\"%s\":", is_first ? "" : ",", key);
    else
        text_append_format(&line->text, "%s%s=", is_first ? "" : " ", key);
}

/* logfmt needs quotes around anything that would end a value early. */
static bool needs_quotes(const char *value, size_t length)
{
    if (length == 0)
        return true;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)value[i];

        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7F)
            return true;
    }
    return false;
}

void log_line_text(struct log_line *line, const char *key, const char *value)
{
    size_t length;

    if (value == NULL)
        return;
    append_key(line, key);
    length = strnlen(value, VALUE_BYTES_MAX);
    if (line->format == LOG_FORMAT_LOGFMT && !needs_quotes(value, length)) {
        text_append(&line->text, value, length);
        return;
    }
    text_append_string(&line->text, "\"");
    text_append_json(&line->text, value, length);
    text_append_string(&line->text, "\"");
}

void log_line_integer(struct log_line *line, const char *key, int64_t value)
{
    append_key(line, key);
    text_append_format(&line->text, "%" PRId64, value);
}

void log_line_boolean(struct log_line *line, const char *key, bool value)
{
    append_key(line, key);
    text_append_string(&line->text, value ? "true" : "false");
}

const char *log_line_end(struct log_line *line)
{
    if (line->format == LOG_FORMAT_JSON)
        text_append_string(&line->text, "}");
    text_append_string(&line->text, "\n");
    return line->text.bytes == NULL ? "\n" : line->text.bytes;
}
