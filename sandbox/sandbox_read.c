/* SPDX-License-Identifier: MIT
 * sandbox_read.c - table-driven reading of JSON objects. */
#include "sandbox/sandbox_read.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

char *sandbox_read_path(char out[SANDBOX_PATH_SIZE], const char *path, const char *key)
{
    (void)snprintf(out, SANDBOX_PATH_SIZE, "%.90s%s%.90s", path, path[0] == '\0' ? "" : ".", key);
    return out;
}

const char *sandbox_read_kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a real number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: return "null";
    }
    return "something else";
}

static enum result unknown_key(const char *path, const char *key, const struct sandbox_key *keys,
                               struct fault *fault)
{
    char where[SANDBOX_PATH_SIZE];
    struct text allowed;
    enum result result;

    text_init(&allowed, 700);
    for (; keys->name != NULL; keys++) {
        if (allowed.length > 0)
            text_append_string(&allowed, ", ");
        text_append_string(&allowed, keys->name);
    }
    result = fault_set(fault, FAULT_DATA, "scenario: %s: unknown key; allowed here: %s",
                       sandbox_read_path(where, path, key),
                       allowed.bytes != NULL ? allowed.bytes : "none");
    text_deinit(&allowed);
    return result;
}

static enum result read_integer(const json_t *value, const char *path,
                                const struct sandbox_key *key, int64_t *out, struct fault *fault)
{
    int64_t number = (int64_t)json_integer_value(value);

    if (!json_is_integer(value) || number < key->min || number > key->max)
        return fault_set(fault, FAULT_DATA,
                         "scenario: %s: want an integer from %" PRId64 " to %" PRId64 ", found %s",
                         path, key->min, key->max,
                         json_is_integer(value) ? "one outside" : sandbox_read_kind(value));
    *out = number;
    return RESULT_OK;
}

static enum result read_range(const json_t *value, const char *path, const struct sandbox_key *key,
                              struct sandbox_range *out, struct fault *fault)
{
    const struct sandbox_key keys[] = {
        {"min", SANDBOX_KIND_INTEGER, offsetof(struct sandbox_range, min), key->min, key->max, NULL,
         NULL},
        {"max", SANDBOX_KIND_INTEGER, offsetof(struct sandbox_range, max), key->min, key->max, NULL,
         NULL},
        {NULL, SANDBOX_KIND_INTEGER, 0, 0, 0, NULL, NULL}};
    struct sandbox_range range = *out;

    if (json_is_integer(value)) {
        if (read_integer(value, path, key, &range.min, fault) != RESULT_OK)
            return RESULT_FAULT;
        range.max = range.min;
    } else if (sandbox_read_object(value, path, keys, &range, fault) != RESULT_OK) {
        return RESULT_FAULT;
    }
    if (range.min > range.max)
        return fault_set(fault, FAULT_DATA, "scenario: %s: min is above max", path);
    *out = range;
    return RESULT_OK;
}

static enum result read_word(const json_t *value, const char *path, const char *words, int *out,
                             struct fault *fault)
{
    const char *text = json_string_value(value);
    size_t length = text != NULL ? strlen(text) : 0;
    int index = 0;

    for (const char *word = words; text != NULL && *word != '\0'; index++) {
        size_t word_length = strcspn(word, " ");

        if (word_length == length && memcmp(word, text, length) == 0) {
            *out = index;
            return RESULT_OK;
        }
        word += word_length;
        word += *word == ' ';
    }
    return fault_set(fault, FAULT_DATA, "scenario: %s: want one of: %s; found %s", path, words,
                     text != NULL ? text : sandbox_read_kind(value));
}

static enum result read_value(const json_t *value, const char *path, const struct sandbox_key *key,
                              void *field, struct fault *fault)
{
    switch (key->kind) {
    case SANDBOX_KIND_BOOLEAN:
        if (!json_is_boolean(value))
            return fault_set(fault, FAULT_DATA, "scenario: %s: want true or false, found %s", path,
                             sandbox_read_kind(value));
        *(bool *)field = json_is_true(value);
        return RESULT_OK;
    case SANDBOX_KIND_FLAG:
        if (!json_is_boolean(value))
            return fault_set(fault, FAULT_DATA, "scenario: %s: want true or false, found %s", path,
                             sandbox_read_kind(value));
        *(int *)field = json_is_true(value);
        return RESULT_OK;
    case SANDBOX_KIND_INTEGER: return read_integer(value, path, key, field, fault);
    case SANDBOX_KIND_SHARE:
        if (!json_is_number(value) || json_number_value(value) < 0 || json_number_value(value) > 1)
            return fault_set(fault, FAULT_DATA, "scenario: %s: want a share from 0 to 1", path);
        *(double *)field = json_number_value(value);
        return RESULT_OK;
    case SANDBOX_KIND_TEXT:
        if (!json_is_string(value) && !json_is_null(value))
            return fault_set(fault, FAULT_DATA, "scenario: %s: want a string or null, found %s",
                             path, sandbox_read_kind(value));
        *(const char **)field = json_string_value(value);
        return RESULT_OK;
    case SANDBOX_KIND_WORD: return read_word(value, path, key->words, field, fault);
    case SANDBOX_KIND_RANGE: return read_range(value, path, key, field, fault);
    case SANDBOX_KIND_CUSTOM: return key->read(value, path, field, fault);
    }
    return RESULT_OK;
}

enum result sandbox_read_object(const json_t *object, const char *path,
                                const struct sandbox_key *keys, void *target, struct fault *fault)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return fault_set(fault, FAULT_DATA, "scenario: %s: want an object, found %s",
                         path[0] == '\0' ? "the document" : path, sandbox_read_kind(object));
    json_object_foreach((json_t *)object, name, value)
    {
        const struct sandbox_key *key = keys;
        char where[SANDBOX_PATH_SIZE];

        while (key->name != NULL && strcmp(key->name, name) != 0)
            key++;
        if (key->name == NULL)
            return unknown_key(path, name, keys, fault);
        if (read_value(value, sandbox_read_path(where, path, name), key,
                       (char *)target + key->offset, fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    return RESULT_OK;
}
