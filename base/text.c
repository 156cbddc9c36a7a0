/* SPDX-License-Identifier: MIT
 * text.c - bounded growing text, JSON escaping, integer parsing, stable hash. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_init(struct text *text, size_t bytes_max)
{
    *text = (struct text){.bytes_max = bytes_max};
}

void text_deinit(struct text *text)
{
    free(text->bytes);
    text_init(text, text->bytes_max);
}

void text_wipe(struct text *text)
{
    if (text->bytes != NULL)
        memory_wipe(text->bytes, text->capacity);
    text_deinit(text);
}

void text_clear(struct text *text)
{
    text->length = 0;
    text->is_cut = false;
    if (text->bytes != NULL)
        text->bytes[0] = '\0';
}

/* Make room for `more` bytes and the NUL; answers how many of them may be written. */
static size_t text_reserve(struct text *text, size_t more)
{
    size_t wanted;

    if (more > text->bytes_max - text->length) {
        more = text->bytes_max - text->length;
        text->is_cut = true;
    }
    wanted = text->length + more + 1;
    if (wanted > text->capacity) {
        size_t capacity = text->capacity == 0 ? 64 : text->capacity * 2;
        char *bytes;

        if (capacity < wanted)
            capacity = wanted;
        bytes = realloc(text->bytes, capacity);
        if (bytes == NULL) {
            text->is_cut = true;
            return 0;
        }
        text->bytes = bytes;
        text->capacity = capacity;
    }
    return more;
}

void text_append(struct text *text, const char *bytes, size_t length)
{
    size_t fitting = text_reserve(text, length);

    if (fitting > 0)
        memcpy(text->bytes + text->length, bytes, fitting);
    text->length += fitting;
    if (text->bytes != NULL)
        text->bytes[text->length] = '\0';
}

void text_append_string(struct text *text, const char *string)
{
    text_append(text, string, strlen(string));
}

void text_append_format(struct text *text, const char *format, ...)
{
    char buffer[512];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    if ((size_t)length < sizeof buffer) {
        text_append(text, buffer, (size_t)length);
        return;
    }
    char *large = malloc((size_t)length + 1);
    if (large == NULL) {
        text->is_cut = true;
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(large, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text_append(text, large, (size_t)length);
    free(large);
}

/* Length of the valid UTF-8 sequence at `p` (1..4), or 0 when there is none. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    size_t length;

    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        length = 2;
    else if (p[0] >= 0xE0 && p[0] <= 0xEF)
        length = 3;
    else if (p[0] >= 0xF0 && p[0] <= 0xF4)
        length = 4;
    else
        return 0;
    if (left < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return length;
}

void text_append_json(struct text *text, const char *bytes, size_t length)
{
    const unsigned char *p = (const unsigned char *)bytes;

    for (size_t i = 0; i < length;) {
        size_t sequence = utf8_sequence(p + i, length - i);

        if (sequence == 0) {
            text_append_string(text, "\xEF\xBF\xBD");
            i++;
            continue;
        }
        if (p[i] == '"' || p[i] == '\\') {
            text_append(text, "\\", 1);
            text_append(text, bytes + i, 1);
        } else if (p[i] == '\n') {
            text_append_string(text, "\\n");
        } else if (p[i] == '\t') {
            text_append_string(text, "\\t");
        } else if (p[i] == '\r') {
            text_append_string(text, "\\r");
        } else if (p[i] < 0x20 || p[i] == 0x7F) {
            text_append_format(text, "\\u%04x", (unsigned)p[i]);
        } else {
            text_append(text, bytes + i, sequence);
        }
        i += sequence;
    }
}

bool integer_parse(const char *text, size_t length, int64_t min, int64_t max, int64_t *out)
{
    bool negative = length > 0 && text[0] == '-';
    int64_t value = 0;

    if (length == (negative ? 1u : 0u))
        return false;
    for (size_t i = negative; i < length; i++) {
        int digit = text[i] - '0';

        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value))
            return false;
        if (negative ? __builtin_sub_overflow(value, digit, &value)
                     : __builtin_add_overflow(value, digit, &value))
            return false;
    }
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

void memory_wipe(void *memory, size_t bytes)
{
    if (bytes > 0)
        explicit_bzero(memory, bytes);
}

uint64_t hash_bytes(const void *bytes, size_t length, uint64_t seed)
{
    const unsigned char *p = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seed;

    for (size_t i = 0; i < length; i++) {
        hash ^= p[i];
        hash *= UINT64_C(0x100000001b3);
    }
    hash ^= hash >> 33;
    hash *= UINT64_C(0xff51afd7ed558ccd);
    hash ^= hash >> 33;
    hash *= UINT64_C(0xc4ceb9fe1a85ec53);
    hash ^= hash >> 33;
    return hash;
}
