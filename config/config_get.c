/* SPDX-License-Identifier: MIT
 * config_get.c - values of the settled tree, by the rows of the option table. */
#include <stdio.h>
#include <string.h>

#include "config/config_load.h"
#include "config/option_value.h"

const struct yaml_node *config_get_node(const struct yaml_node *mapping, const char *path)
{
    const struct config_option *option = option_find(path);

    REQUIRE(option != NULL);
    return mapping == NULL ? NULL : yaml_get(mapping, option_key(option));
}

int64_t config_get_number(const struct yaml_node *mapping, const char *path, int64_t fallback)
{
    const struct yaml_node *node = config_get_node(mapping, path);
    struct option_value value;

    if (node == NULL || node->kind != YAML_SCALAR ||
        !option_value_parse(option_find(path), node->text, node->length, &value, NULL, NULL))
        return fallback;
    return value.number;
}

const char *config_get_text(const struct yaml_node *mapping, const char *path)
{
    const struct yaml_node *node = config_get_node(mapping, path);
    struct option_value value;

    if (node == NULL || node->kind != YAML_SCALAR ||
        !option_value_parse(option_find(path), node->text, node->length, &value, NULL, NULL))
        return NULL;
    return node->text;
}

struct secret_reference config_get_secret(const struct yaml_node *mapping, const char *path)
{
    const struct yaml_node *node = config_get_node(mapping, path);
    struct secret_reference reference = {SECRET_NONE, NULL};

    if (node == NULL || node->kind != YAML_MAPPING || node->count != 1 ||
        node->values[0]->kind != YAML_SCALAR)
        return reference;
    if (strcmp(node->keys[0]->text, "env") == 0)
        reference.kind = SECRET_ENV;
    else if (strcmp(node->keys[0]->text, "file") == 0)
        reference.kind = SECRET_FILE;
    else if (strcmp(node->keys[0]->text, "credential") == 0)
        reference.kind = SECRET_CREDENTIAL;
    reference.name = node->values[0]->text;
    return reference;
}

bool config_is_written(const struct yaml_node *mapping, const char *key)
{
    for (size_t i = 0; mapping != NULL && i < mapping->count; i++)
        if (strcmp(mapping->keys[i]->text, key) == 0)
            return mapping->values[i]->place.line != 0;
    return false;
}

bool config_default_yields(struct load *load, const struct yaml_node *mapping, const char *key,
                           int64_t ms)
{
    char text[DURATION_TEXT_SIZE];

    for (size_t i = 0; mapping != NULL && i < mapping->count; i++) {
        struct yaml_node *value = mapping->values[i];

        if (strcmp(mapping->keys[i]->text, key) == 0 && value->place.line == 0) {
            duration_text(ms, text);
            value->text = arena_copy(load->arena, text, strlen(text));
            value->length = strlen(text);
            return value->text != NULL;
        }
    }
    return false;
}

void config_get_waits(struct load *load, const struct yaml_node *mapping, const char *path,
                      const char *shown, int64_t *first_ms, int64_t *max_ms)
{
    char first_path[128];
    char max_path[128];

    (void)snprintf(first_path, sizeof first_path, "%s.first", path);
    (void)snprintf(max_path, sizeof max_path, "%s.max", path);
    *first_ms = config_get_number(mapping, first_path, MS_PER_MINUTE);
    *max_ms = config_get_number(mapping, max_path, MS_PER_HOUR);
    if (*first_ms <= *max_ms)
        return;
    if (config_default_yields(load, mapping, "first", *max_ms))
        *first_ms = *max_ms;
    else if (config_default_yields(load, mapping, "max", *first_ms))
        *max_ms = *first_ms;
    else
        diagnostics_error(load->diagnostics, config_get_place(mapping, max_path),
                          "%s: max is less than first", shown);
}

struct place config_get_place(const struct yaml_node *mapping, const char *path)
{
    const struct yaml_node *node = config_get_node(mapping, path);

    if (node != NULL && node->place.line > 0)
        return node->place;
    return mapping == NULL ? (struct place){0} : mapping->place;
}

struct place config_get_key_place(const struct yaml_node *mapping, const char *path)
{
    const char *key = option_key(option_find(path));

    for (size_t i = 0; i < mapping->count; i++)
        if (strcmp(mapping->keys[i]->text, key) == 0)
            return mapping->keys[i]->place;
    return mapping->place;
}

void config_default(struct load *load, struct yaml_node *mapping, const char *path,
                    const char *text)
{
    static const struct place nowhere = {"API definition", 0, 0, NULL};

    if (mapping != NULL && mapping->kind == YAML_MAPPING && config_get_node(mapping, path) == NULL)
        config_tree_put(load->arena, mapping, option_key(option_find(path)), nowhere,
                        config_tree_scalar(load->arena, text, nowhere));
}
