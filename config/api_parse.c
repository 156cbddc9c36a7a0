/* SPDX-License-Identifier: MIT
 * api_parse.c - small readers over yaml_tree that name what is wrong and what is allowed. */
#include "config/api_parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

void *api_parse_alloc(struct api_parse *parse, size_t count, size_t size)
{
    void *memory = count > SIZE_MAX / size ? NULL : arena_alloc(parse->arena, count * size);

    if (memory == NULL)
        diagnostics_error(parse->diagnostics, (struct place){parse->definition->file, 1, 1, NULL},
                          "out of memory while this API definition was read");
    return memory;
}

const char *api_parse_copy(struct api_parse *parse, const char *bytes, size_t length)
{
    char *copy = api_parse_alloc(parse, length + 1, 1);

    if (copy != NULL && length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

void api_parse_error(struct api_parse *parse, const struct yaml_node *node, const char *format, ...)
{
    char message[1024];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    diagnostics_error(parse->diagnostics, node->place, "%s", message);
}

int api_word_index(const char *words, const char *word, size_t length)
{
    int index = 0;

    for (const char *at = words;; index++) {
        size_t this_length = strcspn(at, "|");

        if (this_length == length && memcmp(at, word, length) == 0)
            return index;
        if (at[this_length] == '\0')
            return -1;
        at += this_length + 1;
    }
}

/* "a|b|c" as "a, b, c" for people. */
static const char *listed(const char *words, char *buffer, size_t size)
{
    size_t used = 0;

    for (const char *p = words; *p != '\0' && used + 3 < size; p++) {
        buffer[used++] = *p == '|' ? ',' : *p;
        if (*p == '|')
            buffer[used++] = ' ';
    }
    buffer[used] = '\0';
    return buffer;
}

static const char *kind_text(const struct yaml_node *node)
{
    switch (node->kind) {
    case YAML_SCALAR: return "a single value";
    case YAML_SEQUENCE: return "a list";
    case YAML_MAPPING: break;
    }
    return "a mapping";
}

bool api_parse_mapping(struct api_parse *parse, const struct yaml_node *node, const char *what,
                       const char *allowed)
{
    char buffer[512];

    if (node->kind != YAML_MAPPING) {
        api_parse_error(parse, node, "%s is %s; a mapping with some of these keys is needed: %s",
                        what, kind_text(node), listed(allowed, buffer, sizeof buffer));
        return false;
    }
    for (size_t i = 0; i < node->count; i++)
        if (api_word_index(allowed, node->keys[i]->text, node->keys[i]->length) < 0)
            api_parse_error(parse, node->keys[i], "unknown key \"%s\" in %s; allowed: %s",
                            node->keys[i]->text, what, listed(allowed, buffer, sizeof buffer));
    return true;
}

const struct yaml_node *api_parse_required(struct api_parse *parse, const struct yaml_node *mapping,
                                           const char *what, const char *key)
{
    const struct yaml_node *node = yaml_get(mapping, key);

    if (node == NULL)
        api_parse_error(parse, mapping, "%s has no \"%s\"; it is required", what, key);
    return node;
}

const char *api_parse_text(struct api_parse *parse, const struct yaml_node *node, const char *what)
{
    if (node->kind != YAML_SCALAR) {
        api_parse_error(parse, node, "%s is %s; a single text is needed", what, kind_text(node));
        return NULL;
    }
    if (node->length == 0 || strlen(node->text) != node->length) {
        api_parse_error(parse, node, "%s is empty or holds a NUL; a text is needed", what);
        return NULL;
    }
    return api_parse_copy(parse, node->text, node->length);
}

int api_parse_word(struct api_parse *parse, const struct yaml_node *node, const char *what,
                   const char *words)
{
    char buffer[512];
    int index = -1;

    if (node->kind == YAML_SCALAR)
        index = api_word_index(words, node->text, node->length);
    if (index < 0)
        api_parse_error(
            parse, node, "%s is %s%s%s; allowed: %s", what, node->kind == YAML_SCALAR ? "\"" : "",
            node->kind == YAML_SCALAR ? node->text : kind_text(node),
            node->kind == YAML_SCALAR ? "\"" : "", listed(words, buffer, sizeof buffer));
    return index;
}

bool api_parse_bool(struct api_parse *parse, const struct yaml_node *node, const char *what,
                    bool *out)
{
    int index = api_parse_word(parse, node, what, "false|true");

    if (index < 0)
        return false;
    *out = index == 1;
    return true;
}

bool api_parse_duration(struct api_parse *parse, const struct yaml_node *node, const char *what,
                        int64_t min_ms, int64_t max_ms, int64_t *out)
{
    char min_text[DURATION_TEXT_SIZE];
    char max_text[DURATION_TEXT_SIZE];
    int64_t ms;

    if (node->kind != YAML_SCALAR || !duration_parse(node->text, node->length, &ms)) {
        api_parse_error(parse, node, "%s is not a duration; write one like 90s, 15m, 6h or 7d",
                        what);
        return false;
    }
    if (ms < min_ms || ms > max_ms) {
        api_parse_error(parse, node, "%s is %s; allowed: %s to %s", what, node->text,
                        duration_text(min_ms, min_text), duration_text(max_ms, max_text));
        return false;
    }
    *out = ms;
    return true;
}

uint32_t api_parse_items(struct api_parse *parse, const struct yaml_node *node, const char *what,
                         const struct yaml_node *const **items)
{
    const struct yaml_node **single;

    if (node->kind == YAML_SEQUENCE) {
        if (node->count == 0)
            api_parse_error(parse, node, "%s is an empty list; leave the key out instead", what);
        *items = (const struct yaml_node *const *)node->values;
        return (uint32_t)node->count;
    }
    single = api_parse_alloc(parse, 1, sizeof *single);
    if (single == NULL)
        return 0;
    single[0] = node;
    *items = single;
    return 1;
}

uint32_t api_parse_texts(struct api_parse *parse, const struct yaml_node *node, const char *what,
                         const char *const **texts)
{
    const struct yaml_node *const *items = NULL;
    uint32_t count = api_parse_items(parse, node, what, &items);
    uint32_t used = 0;
    const char **copies = api_parse_alloc(parse, count + 1, sizeof *copies);

    if (copies == NULL)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        copies[used] = api_parse_text(parse, items[i], what);
        if (copies[used] != NULL)
            used++;
    }
    *texts = copies;
    return used;
}
