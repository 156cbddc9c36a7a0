/* SPDX-License-Identifier: MIT
 * json_read.c - typed values behind JSON pointers; wrong types are told apart from nothing. */
#include "provider/json_read.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "provider/json_plain.h"

json_t *json_read_parse(const char *bytes, size_t length, json_error_t *error)
{
    json_t *plain = json_plain_parse(bytes, length);

    return plain != NULL ? plain : json_loadb(bytes, length, JSON_REJECT_DUPLICATES, error);
}

static json_t *step_into(json_t *value, const char *token)
{
    int64_t index;

    if (json_is_object(value))
        return json_object_get(value, token);
    if (json_is_array(value) && (token[0] != '0' || token[1] == '\0') &&
        integer_parse(token, strlen(token), 0, INT32_MAX, &index))
        return json_array_get(value, (size_t)index);
    return NULL;
}

json_t *json_read_at(json_t *root, const struct api_pointer *pointer)
{
    json_t *value = root;

    for (uint32_t i = 0; i < pointer->token_count && value != NULL; i++)
        value = step_into(value, pointer->tokens[i]);
    return json_is_null(value) ? NULL : value;
}

json_t *json_read_source(json_t *root, const struct api_source *source)
{
    for (uint32_t i = 0; i < source->pointer_count; i++) {
        json_t *value = json_read_at(root, &source->pointers[i]);

        if (value != NULL)
            return value;
    }
    return NULL;
}

enum json_text json_read_text(json_t *root, const struct api_source *source, char *out, size_t size)
{
    json_t *value = json_read_source(root, source);

    out[0] = '\0';
    if (value == NULL)
        return JSON_TEXT_ABSENT;
    if (json_is_string(value)) {
        size_t length = json_string_length(value);

        if (length == 0 || length >= size)
            return JSON_TEXT_WRONG;
        memcpy(out, json_string_value(value), length + 1);
        return JSON_TEXT_GOOD;
    }
    if (!json_is_integer(value) || size < 32)
        return JSON_TEXT_WRONG;
    (void)snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return JSON_TEXT_GOOD;
}

enum tristate json_read_flag(json_t *root, const struct api_source *source)
{
    json_t *value = json_read_source(root, source);

    if (json_is_boolean(value))
        return json_is_true(value) ? TRI_TRUE : TRI_FALSE;
    if (json_is_string(value) && strcasecmp(json_string_value(value), "true") == 0)
        return TRI_TRUE;
    if (json_is_string(value) && strcasecmp(json_string_value(value), "false") == 0)
        return TRI_FALSE;
    return TRI_UNKNOWN;
}

struct utc_time json_read_instant(json_t *root, const struct api_source *source)
{
    static const struct civil_time first = {.year = 2000, .month = 1, .day = 1};
    json_t *value = json_read_source(root, source);
    struct utc_time instant;

    if (!json_is_string(value) ||
        !utc_parse(json_string_value(value), json_string_length(value), &instant) ||
        instant.ms < civil_to_utc(&first).ms)
        return UTC_NONE;
    return instant;
}

int64_t json_read_duration(json_t *root, const struct api_source *source, int64_t unit_ms,
                           int64_t max_ms)
{
    json_t *value = json_read_source(root, source);
    double number;

    if (json_is_number(value)) {
        number = json_number_value(value);
    } else if (json_is_string(value)) {
        int64_t integer;

        if (!integer_parse(json_string_value(value), json_string_length(value), 0, INT32_MAX,
                           &integer))
            return -1;
        number = (double)integer;
    } else {
        return -1;
    }
    if (!(number >= 0))
        return -1;
    return number * (double)unit_ms >= (double)max_ms ? max_ms
                                                      : (int64_t)(number * (double)unit_ms);
}
