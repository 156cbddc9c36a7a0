/* SPDX-License-Identifier: MIT
 * config_tree.c - small changes to a tree: copy, add, fill in defaults. */
#include <stdlib.h>
#include <string.h>

#include "base/result.h"
#include "config/config_load.h"
#include "config/config_walk.h"
#include "config/option_value.h"

/* Trees are small (large sets are streamed past them): running out of memory here is treated as
 * everywhere else where nothing could be saved by going on. */
static void *need(void *memory)
{
    REQUIRE(memory != NULL);
    return memory;
}

struct yaml_node *config_tree_mapping(struct arena *arena, struct place place)
{
    struct yaml_node *node = need(arena_alloc(arena, sizeof *node));

    node->kind = YAML_MAPPING;
    node->place = place;
    return node;
}

struct yaml_node *config_tree_scalar(struct arena *arena, const char *text, struct place place)
{
    struct yaml_node *node = need(arena_alloc(arena, sizeof *node));

    node->kind = YAML_SCALAR;
    node->place = place;
    node->length = strlen(text);
    node->text = need(arena_copy_packed(arena, text, node->length));
    return node;
}

struct yaml_node *config_tree_sequence(struct arena *arena, const char *const *texts, size_t count,
                                       struct place place)
{
    struct yaml_node *node = need(arena_alloc(arena, sizeof *node));

    node->kind = YAML_SEQUENCE;
    node->place = place;
    node->count = count;
    node->values = need(arena_alloc(arena, (count + 1) * sizeof(struct yaml_node *)));
    for (size_t i = 0; i < count; i++)
        node->values[i] = config_tree_scalar(arena, texts[i], place);
    return node;
}

struct yaml_node *config_tree_copy(struct arena *arena, const struct yaml_node *node)
{
    struct yaml_node *copy = need(arena_alloc(arena, sizeof *copy));
    size_t bytes = node->count * sizeof(struct yaml_node *);

    *copy = *node;
    if (node->keys != NULL)
        copy->keys = need(arena_alloc(arena, bytes));
    if (node->values != NULL)
        copy->values = need(arena_alloc(arena, bytes));
    for (size_t i = 0; i < node->count; i++) {
        if (node->keys != NULL)
            copy->keys[i] = node->keys[i];
        if (node->values != NULL)
            copy->values[i] = config_tree_copy(arena, node->values[i]);
    }
    return copy;
}

void config_tree_put(struct arena *arena, struct yaml_node *mapping, const char *key,
                     struct place place, struct yaml_node *value)
{
    size_t bytes = (mapping->count + 1) * sizeof(struct yaml_node *);
    struct yaml_node **keys = need(arena_alloc(arena, bytes));
    struct yaml_node **values = need(arena_alloc(arena, bytes));

    if (mapping->count > 0) {
        memcpy(keys, mapping->keys, mapping->count * sizeof(struct yaml_node *));
        memcpy(values, mapping->values, mapping->count * sizeof(struct yaml_node *));
    }
    keys[mapping->count] = config_tree_scalar(arena, key, place);
    values[mapping->count] = value;
    mapping->keys = keys;
    mapping->values = values;
    mapping->count++;
}

/* Does leaving out this mapping mean its defaults, or that the whole feature is off? */
static bool has_defaults(const struct config_option *option)
{
    bool found = false;

    for (const struct config_option *child = option_next_child(option, NULL); child != NULL;
         child = option_next_child(option, child)) {
        if (child->is_required)
            return false;
        if (child->default_text != NULL ||
            (child->type == OPTION_MAPPING && option_key(child)[0] != '*' && has_defaults(child)))
            found = true;
    }
    return found;
}

static void fill_child(struct arena *arena, const struct config_option *child,
                       struct yaml_node *mapping)
{
    static const struct place nowhere = {"default", 0, 0, NULL};
    const char *key = option_key(child);
    struct yaml_node *value = NULL;

    for (size_t i = 0; i < mapping->count; i++)
        if (strcmp(mapping->keys[i]->text, key) == 0)
            value = mapping->values[i];
    if (value == NULL && child->default_text != NULL)
        config_tree_put(arena, mapping, key, nowhere,
                        config_tree_scalar(arena, child->default_text, nowhere));
    if (child->type != OPTION_MAPPING)
        return;
    if (value != NULL && yaml_is_empty(value)) {
        value->kind = YAML_MAPPING;
        value->count = 0;
    }
    if (value == NULL && has_defaults(child)) {
        value = config_tree_mapping(arena, nowhere);
        config_tree_put(arena, mapping, key, nowhere, value);
    }
    if (value != NULL)
        config_tree_fill(arena, child, value);
}

void config_tree_fill(struct arena *arena, const struct config_option *option,
                      struct yaml_node *mapping)
{
    if (mapping->kind != YAML_MAPPING)
        return;
    for (const struct config_option *child = option_next_child(option, NULL); child != NULL;
         child = option_next_child(option, child)) {
        if (strcmp(option_key(child), "*") != 0) {
            fill_child(arena, child, mapping);
            continue;
        }
        for (size_t i = 0; i < mapping->count; i++)
            if (option_child(option, mapping->keys[i]->text) == child)
                config_tree_fill(arena, child, mapping->values[i]);
    }
}

/* --- One form for each value ---------------------------------------------------------------------
 */

static void set_text(struct arena *arena, struct yaml_node *node, const char *text, size_t length)
{
    node->text = need(arena_copy_packed(arena, text, length));
    node->length = length;
    node->is_plain = false;
}

static void settle_scalar(struct arena *arena, const struct config_option *option,
                          struct yaml_node *node)
{
    struct option_value value;
    struct text canonical;
    const char *resolved = NULL;

    text_init(&canonical, 128 * 1024);
    if (option_value_parse(option, node->text, node->length, &value, &canonical, NULL)) {
        bool is_path = option->type == OPTION_PATH && !value.is_word;

        /* `api:` is a path when it holds a slash. */
        if (strcmp(option->path, "providers.*.api") == 0)
            is_path = strchr(node->text, '/') != NULL;
        if (is_path)
            resolved = config_path_resolve(arena, node->place.file, node->text);
        if (resolved != NULL)
            set_text(arena, node, resolved, strlen(resolved));
        else
            set_text(arena, node, canonical.bytes == NULL ? "" : canonical.bytes, canonical.length);
    }
    text_deinit(&canonical);
}

static void settle_secret(struct arena *arena, struct yaml_node *node)
{
    const char *resolved;

    if (node->kind != YAML_MAPPING || node->count != 1 || node->values[0]->kind != YAML_SCALAR ||
        strcmp(node->keys[0]->text, "file") != 0)
        return;
    resolved = need(
        (void *)(uintptr_t)config_path_resolve(arena, node->place.file, node->values[0]->text));
    set_text(arena, node->values[0], resolved, strlen(resolved));
}

static void settle_list(struct arena *arena, const struct config_option *option,
                        struct yaml_node *node)
{
    const struct config_option *item = option_child(option, "[]");

    if (yaml_is_empty(node)) {
        node->kind = YAML_SEQUENCE;
        node->count = 0;
    }
    if (node->kind != YAML_SEQUENCE && option->one_or_list) {
        struct yaml_node *only = need(arena_alloc(arena, sizeof *only));

        *only = *node;
        node->kind = YAML_SEQUENCE;
        node->count = 1;
        node->values = need(arena_alloc(arena, sizeof(struct yaml_node *)));
        node->values[0] = only;
    }
    for (size_t i = 0; node->kind == YAML_SEQUENCE && i < node->count; i++)
        config_tree_settle(arena, item, node->values[i]);
}

struct pair {
    struct yaml_node *key;
    struct yaml_node *value;
};

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->key->text, ((const struct pair *)b)->key->text);
}

static void sort_keys(struct yaml_node *mapping)
{
    struct pair *pairs = need(calloc(mapping->count + 1, sizeof *pairs));

    for (size_t i = 0; i < mapping->count; i++)
        pairs[i] = (struct pair){mapping->keys[i], mapping->values[i]};
    qsort(pairs, mapping->count, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < mapping->count; i++) {
        mapping->keys[i] = pairs[i].key;
        mapping->values[i] = pairs[i].value;
    }
    free(pairs);
}

void config_tree_settle(struct arena *arena, const struct config_option *option,
                        struct yaml_node *node)
{
    if (option != NULL && option->type == OPTION_SECRET) {
        settle_secret(arena, node);
    } else if (option != NULL && option->type == OPTION_LIST) {
        settle_list(arena, option, node);
    } else if (node->kind == YAML_MAPPING) {
        for (size_t i = 0; i < node->count; i++) {
            const struct config_option *child = option_child(option, node->keys[i]->text);

            if (child != NULL)
                config_tree_settle(arena, child, node->values[i]);
        }
        sort_keys(node);
    } else if (option != NULL && option->type != OPTION_MAPPING && node->kind == YAML_SCALAR) {
        settle_scalar(arena, option, node);
    }
}

/* Kinds and lengths go in as well, so that no two trees read alike. */
static uint64_t fingerprint(const struct yaml_node *node, uint64_t hash)
{
    const uint64_t shape[2] = {(uint64_t)node->kind, node->count};

    hash = hash_bytes(shape, sizeof shape, hash);
    if (node->kind == YAML_SCALAR)
        return hash_bytes(node->text, node->length + 1, hash);
    for (size_t i = 0; i < node->count; i++) {
        if (node->kind == YAML_MAPPING)
            hash = fingerprint(node->keys[i], hash);
        hash = fingerprint(node->values[i], hash);
    }
    return hash;
}

uint64_t config_tree_fingerprint(const struct yaml_node *node)
{
    return fingerprint(node, 0);
}
