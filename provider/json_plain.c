/* SPDX-License-Identifier: MIT
 * json_plain.c - see json_plain.h. Jansson's lexer spends ten times as much on a byte. */
#include "provider/json_plain.h"

#include <stdbool.h>
#include <string.h>

#define DEPTH_MAX 8
#define KEYS_MAX 24
#define DIGITS_MAX 18

struct scan {
    const char *at;
    const char *end;
};

static json_t *scan_value(struct scan *scan, int depth);

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

/* The next byte that is no blank, without taking it; NUL at the end (and for a NUL). */
static char peek(struct scan *scan)
{
    skip_blanks(scan);
    return scan->at < scan->end ? *scan->at : '\0';
}

static bool take(struct scan *scan, char byte)
{
    if (peek(scan) != byte || scan->at == scan->end)
        return false;
    scan->at++;
    return true;
}

/* From behind the opening quote to behind the closing one. */
static bool scan_string(struct scan *scan, const char **text, size_t *length)
{
    const char *at = scan->at;

    while (at < scan->end && *at >= 0x20 && *at < 0x7F && *at != '"' && *at != '\\')
        at++;
    if (at == scan->end || *at != '"')
        return false;
    *text = scan->at;
    *length = (size_t)(at - scan->at);
    scan->at = at + 1;
    return true;
}

static json_t *scan_integer(struct scan *scan)
{
    bool is_negative = *scan->at == '-';
    const char *first = scan->at + is_negative;
    const char *at = first;
    json_int_t value = 0;

    for (; at < scan->end && *at >= '0' && *at <= '9' && at - first < DIGITS_MAX; at++)
        value = value * 10 + (*at - '0');
    /* A blank, comma or bracket must follow: digits, points and exponents are not for us. */
    if (at == first || at == scan->end || strchr(" \n\r\t,]}", *at) == NULL || *at == '\0' ||
        (*first == '0' && (at - first > 1 || is_negative)))
        return NULL;
    scan->at = at;
    return json_integer(is_negative ? -value : value);
}

static json_t *scan_word(struct scan *scan, const char *word, json_t *value)
{
    size_t length = strlen(word);

    if ((size_t)(scan->end - scan->at) <= length || memcmp(scan->at, word, length) != 0 ||
        strchr(" \n\r\t,]}", scan->at[length]) == NULL || scan->at[length] == '\0')
        return NULL;
    scan->at += length;
    return value; /* true, false and null are not counted */
}

static bool scan_member(struct scan *scan, json_t *object, int depth)
{
    size_t size = json_object_size(object);
    const char *key;
    size_t key_length;
    json_t *value;

    if (!take(scan, '"') || !scan_string(scan, &key, &key_length) || size == KEYS_MAX ||
        !take(scan, ':'))
        return false;
    value = scan_value(scan, depth);
    return value != NULL && json_object_setn_new_nocheck(object, key, key_length, value) == 0 &&
           json_object_size(object) > size; /* else the key was there already */
}

static json_t *scan_object(struct scan *scan, int depth)
{
    json_t *object = json_object();

    scan->at++;
    if (object == NULL || take(scan, '}'))
        return object;
    do {
        if (!scan_member(scan, object, depth + 1))
            goto not_plain;
    } while (take(scan, ','));
    if (take(scan, '}'))
        return object;
not_plain:
    json_decref(object);
    return NULL;
}

static json_t *scan_array(struct scan *scan, int depth)
{
    json_t *array = json_array();

    scan->at++;
    if (array == NULL || take(scan, ']'))
        return array;
    do {
        json_t *value = scan_value(scan, depth + 1);

        if (value == NULL || json_array_append_new(array, value) != 0)
            goto not_plain;
    } while (take(scan, ','));
    if (take(scan, ']'))
        return array;
not_plain:
    json_decref(array);
    return NULL;
}

static json_t *scan_value(struct scan *scan, int depth)
{
    const char *text;
    size_t length;

    if (depth > DEPTH_MAX)
        return NULL;
    switch (peek(scan)) {
    case '{': return scan_object(scan, depth);
    case '[': return scan_array(scan, depth);
    case '"':
        scan->at++;
        return scan_string(scan, &text, &length) ? json_stringn_nocheck(text, length) : NULL;
    case 't': return scan_word(scan, "true", json_true());
    case 'f': return scan_word(scan, "false", json_false());
    case 'n': return scan_word(scan, "null", json_null());
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return scan_integer(scan);
    default: return NULL;
    }
}

json_t *json_plain_parse(const char *bytes, size_t length)
{
    struct scan scan = {bytes, bytes + length};
    char first = peek(&scan);
    json_t *root = first == '{' || first == '[' ? scan_value(&scan, 1) : NULL;

    skip_blanks(&scan);
    if (root != NULL && scan.at != scan.end) {
        json_decref(root);
        return NULL;
    }
    return root;
}
