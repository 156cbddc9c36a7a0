/* SPDX-License-Identifier: MIT
 * diagnostics.c - collect errors and warnings, print them in the order of the file. */
#include "config/diagnostics.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define MESSAGE_BYTES_MAX 2000

void diagnostics_init(struct diagnostics *diagnostics, size_t limit)
{
    *diagnostics = (struct diagnostics){.limit = limit};
    arena_init(&diagnostics->arena);
}

void diagnostics_deinit(struct diagnostics *diagnostics)
{
    free(diagnostics->items);
    arena_deinit(&diagnostics->arena);
    diagnostics_init(diagnostics, diagnostics->limit);
}

/* A message may quote what a person wrote: bytes that would disturb a terminal or break the
 * one-line form are shown as \xNN. */
static const char *printable_copy(struct arena *arena, const char *bytes, size_t length)
{
    struct text text;
    const char *copy;

    text_init(&text, MESSAGE_BYTES_MAX);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        if (byte < 0x20 || byte == 0x7F)
            text_append_format(&text, "\\x%02x", byte);
        else
            text_append(&text, bytes + i, 1);
    }
    copy = arena_copy_packed(arena, text.bytes == NULL ? "" : text.bytes, text.length);
    text_deinit(&text);
    return copy;
}

static void add(struct diagnostics *diagnostics, struct place place, bool is_error,
                const char *format, va_list arguments)
{
    char message[MESSAGE_BYTES_MAX];
    int length;
    struct diagnostic *item;

    if (is_error)
        diagnostics->error_count++;
    if (diagnostics->count >= diagnostics->limit)
        return;
    if (diagnostics->count == diagnostics->capacity) {
        size_t capacity = diagnostics->capacity == 0 ? 16 : diagnostics->capacity * 2;
        struct diagnostic *items = realloc(diagnostics->items, capacity * sizeof *items);

        if (items == NULL)
            return; /* it is counted, so the configuration is refused all the same */
        diagnostics->items = items;
        diagnostics->capacity = capacity;
    }
    length = vsnprintf(message, sizeof message, format, arguments);
    if (length < 0)
        length = 0;
    if ((size_t)length >= sizeof message)
        length = (int)sizeof message - 1;
    item = &diagnostics->items[diagnostics->count++];
    *item = (struct diagnostic){.place = place, .is_error = is_error};
    item->message = printable_copy(&diagnostics->arena, message, (size_t)length);
    if (item->message == NULL)
        item->message = "out of memory while a message was written";
    if (place.file != NULL)
        item->place.file = printable_copy(&diagnostics->arena, place.file, strlen(place.file));
    if (item->place.file == NULL)
        item->place.file = "?";
    if (place.column_name != NULL)
        item->place.column_name =
            printable_copy(&diagnostics->arena, place.column_name, strlen(place.column_name));
}

void diagnostics_error(struct diagnostics *diagnostics, struct place place, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(diagnostics, place, true, format, arguments);
    va_end(arguments);
}

void diagnostics_warning(struct diagnostics *diagnostics, struct place place, const char *format,
                         ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(diagnostics, place, false, format, arguments);
    va_end(arguments);
}

static int compare_unsigned(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

static int compare_items(const void *a_pointer, const void *b_pointer)
{
    const struct diagnostic *const *a = a_pointer;
    const struct diagnostic *const *b = b_pointer;
    int order = strcmp((*a)->place.file, (*b)->place.file);

    if (order == 0)
        order = compare_unsigned((*a)->place.line, (*b)->place.line);
    if (order == 0)
        order = compare_unsigned((*a)->place.column, (*b)->place.column);
    if (order == 0)
        order = (*a > *b) - (*a < *b);
    return order;
}

void diagnostics_sort(struct diagnostics *diagnostics)
{
    size_t count = diagnostics->count;
    struct diagnostic **order = malloc((count + 1) * sizeof(struct diagnostic *));
    struct diagnostic *sorted = malloc((count + 1) * sizeof *sorted);

    if (order != NULL && sorted != NULL && count > 0) {
        for (size_t i = 0; i < count; i++)
            order[i] = &diagnostics->items[i];
        qsort(order, count, sizeof(struct diagnostic *), compare_items);
        for (size_t i = 0; i < count; i++)
            sorted[i] = *order[i];
        memcpy(diagnostics->items, sorted, count * sizeof *sorted);
    }
    free(order);
    free(sorted);
}

void diagnostic_format(const struct diagnostic *diagnostic, struct text *out)
{
    const struct place *place = &diagnostic->place;

    text_append_format(out, "%s:%u:%u: %s: ", place->file, place->line, place->column,
                       diagnostic->is_error ? "error" : "warning");
    if (place->column_name != NULL)
        text_append_format(out, "column \"%s\": ", place->column_name);
    text_append_string(out, diagnostic->message);
}

void diagnostics_print(struct diagnostics *diagnostics, FILE *stream)
{
    size_t errors_shown = 0;

    diagnostics_sort(diagnostics);
    for (size_t i = 0; i < diagnostics->count; i++) {
        struct text line;

        text_init(&line, (size_t)3 * MESSAGE_BYTES_MAX);
        diagnostic_format(&diagnostics->items[i], &line);
        fprintf(stream, "%s\n", line.bytes == NULL ? "" : line.bytes);
        text_deinit(&line);
        errors_shown += diagnostics->items[i].is_error;
    }
    if (errors_shown < diagnostics->error_count)
        fprintf(stream, "and %zu more errors\n", diagnostics->error_count - errors_shown);
}
