/* SPDX-License-Identifier: MIT
 * config_database.c - where the state database of a configuration is, even of one with errors. */
#include <stdio.h>

#include "config/config_load.h"

static void pass_over(void *context, const struct yaml_node *item)
{
    (void)context;
    (void)item;
}

bool config_find_database(const char *path, char *database, size_t size)
{
    const struct yaml_options options = {
        .stream_key = "consents", .on_item = pass_over, .keep_tree = true};
    const struct yaml_node *value = NULL;
    struct diagnostics diagnostics;
    const struct yaml_node *tree;
    const char *resolved = NULL;
    struct arena arena;

    arena_init(&arena);
    diagnostics_init(&diagnostics, 1);
    tree = yaml_tree_load(path, &arena, &options, &diagnostics);
    if (tree != NULL && tree->kind == YAML_MAPPING)
        value = yaml_get(tree, "state");
    if (value != NULL && value->kind == YAML_MAPPING)
        value = yaml_get(value, "database");
    if (value != NULL && value->kind == YAML_SCALAR)
        resolved = config_path_resolve(&arena, path, value->text);
    if (resolved != NULL)
        (void)snprintf(database, size, "%s", resolved);
    diagnostics_deinit(&diagnostics);
    arena_deinit(&arena);
    return resolved != NULL;
}
