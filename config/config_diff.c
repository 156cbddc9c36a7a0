/* SPDX-License-Identifier: MIT
 * config_diff.c - see config_diff.h. */
#include "config/config_diff.h"

#include <stdio.h>
#include <string.h>

#include "config/config_load.h"

#define PATH_BYTES 8192
#define VALUE_BYTES ((size_t)1 << 20)

struct diff {
    config_change_function *on_change;
    void *context;
    char path[PATH_BYTES];
};

static void walk(struct diff *diff, const struct config_option *option, const struct yaml_node *old,
                 const struct yaml_node *new);

/* A key behind the path; answers the length to go back to. */
static size_t enter(struct diff *diff, const char *key)
{
    size_t length = strlen(diff->path);

    (void)snprintf(diff->path + length, sizeof diff->path - length, "%s%s",
                   length == 0 || key[0] == '[' ? "" : ".", key);
    return length;
}

static void tell(struct diff *diff, const struct config_option *option, const struct yaml_node *old,
                 const struct yaml_node *new)
{
    struct config_change change = {
        .kind = old == NULL   ? CONFIG_ADDED
                : new == NULL ? CONFIG_REMOVED
                              : CONFIG_CHANGED,
        .path = diff->path,
        .needs_restart = option != NULL && option->is_fixed,
    };
    struct text from;
    struct text to;

    text_init(&from, VALUE_BYTES);
    text_init(&to, VALUE_BYTES);
    if (old != NULL)
        config_print_value(old, &from);
    if (new != NULL)
        config_print_value(new, &to);
    change.from = from.bytes;
    change.to = to.bytes;
    if (change.kind != CONFIG_CHANGED || from.length != to.length ||
        memcmp(from.bytes, to.bytes, to.length) != 0)
        diff->on_change(diff->context, &change);
    text_deinit(&from);
    text_deinit(&to);
}

/* A mapping of further options, not `{env: NAME}`. */
static bool is_branch(const struct config_option *option, const struct yaml_node *node)
{
    return node != NULL && node->kind == YAML_MAPPING &&
           (option == NULL || option->type != OPTION_SECRET);
}

static bool is_list_of_mappings(const struct yaml_node *node)
{
    return node != NULL && node->kind == YAML_SEQUENCE && node->count > 0 &&
           node->values[0]->kind == YAML_MAPPING;
}

/* ---- mappings ---- */

static const struct yaml_node *next_value(const struct yaml_node *node, size_t *place,
                                          const char *key)
{
    if (node == NULL || *place >= node->count || strcmp(node->keys[*place]->text, key) != 0)
        return NULL;
    return node->values[(*place)++];
}

static const char *key_at(const struct yaml_node *node, size_t place)
{
    return node != NULL && place < node->count ? node->keys[place]->text : NULL;
}

/* Keys of both are in order. */
static void walk_mapping(struct diff *diff, const struct config_option *option,
                         const struct yaml_node *old, const struct yaml_node *new)
{
    size_t old_place = 0;
    size_t new_place = 0;

    for (;;) {
        const char *old_key = key_at(old, old_place);
        const char *new_key = key_at(new, new_place);
        const char *key = old_key == NULL || (new_key != NULL && strcmp(new_key, old_key) < 0)
                              ? new_key
                              : old_key;
        const struct yaml_node *old_value;
        const struct yaml_node *new_value;
        size_t length;

        if (key == NULL)
            return;
        old_value = next_value(old, &old_place, key);
        new_value = next_value(new, &new_place, key);
        if (strcmp(key, "override") == 0)
            continue;
        length = enter(diff, key);
        walk(diff, option_child(option, key), old_value, new_value);
        diff->path[length] = '\0';
    }
}

/* ---- consents_from ---- */

static bool same_value(const struct yaml_node *a, const struct yaml_node *b, const char *key)
{
    const struct yaml_node *x = yaml_get(a, key);
    const struct yaml_node *y = yaml_get(b, key);

    return x == NULL || y == NULL ? x == y : strcmp(x->text, y->text) == 0;
}

/* The same source: its other settings may differ. */
static const struct yaml_node *find_source(const struct yaml_node *list,
                                           const struct yaml_node *source)
{
    for (size_t i = 0; list != NULL && i < list->count; i++)
        if (same_value(list->values[i], source, "csv") &&
            same_value(list->values[i], source, "sqlite") &&
            same_value(list->values[i], source, "query"))
            return list->values[i];
    return NULL;
}

static void walk_sources(struct diff *diff, const struct config_option *option,
                         const struct yaml_node *old, const struct yaml_node *new)
{
    const struct config_option *item = option == NULL ? NULL : option_child(option, "[]");

    for (int side = 0; side < 2; side++) { /* first what was there, then what is new */
        const struct yaml_node *list = side == 0 ? old : new;

        for (size_t i = 0; list != NULL && i < list->count; i++) {
            const struct yaml_node *source = list->values[i];
            const struct yaml_node *other = find_source(side == 0 ? new : old, source);
            const struct yaml_node *file = yaml_get(source, "csv");
            char key[PATH_BYTES];
            size_t length;

            if (file == NULL)
                file = yaml_get(source, "sqlite");
            (void)snprintf(key, sizeof key, "[%s]", file == NULL ? "" : file->text);
            length = enter(diff, key);
            if (other == NULL)
                tell(diff, option, side == 0 ? source : NULL, side == 0 ? NULL : source);
            else if (side == 0)
                walk(diff, item, source, other);
            diff->path[length] = '\0';
        }
    }
}

/* Lists of mappings other than sources: by their place. */
static void walk_items(struct diff *diff, const struct config_option *option,
                       const struct yaml_node *old, const struct yaml_node *new)
{
    const struct config_option *item = option == NULL ? NULL : option_child(option, "[]");
    size_t old_count = old == NULL ? 0 : old->count;
    size_t new_count = new == NULL ? 0 : new->count;

    for (size_t i = 0; i < old_count || i < new_count; i++) {
        char key[32];
        size_t length;

        (void)snprintf(key, sizeof key, "[%zu]", i);
        length = enter(diff, key);
        walk(diff, item, i < old_count ? old->values[i] : NULL,
             i < new_count ? new->values[i] : NULL);
        diff->path[length] = '\0';
    }
}

/* A name that a person chose: it comes and goes as a whole. */
static bool is_named(const struct config_option *option)
{
    return option != NULL && strcmp(option_key(option), "*") == 0;
}

static void walk(struct diff *diff, const struct config_option *option, const struct yaml_node *old,
                 const struct yaml_node *new)
{
    const struct yaml_node *only = old == NULL ? new : old;
    bool is_alone = old == NULL || new == NULL;

    if (strcmp(diff->path, "consents_from") == 0) {
        walk_sources(diff, option, old, new);
    } else if (is_list_of_mappings(old) || is_list_of_mappings(new)) {
        walk_items(diff, option, old, new);
    } else if (is_branch(option, only)) {
        if (is_alone && is_named(option)) {
            const struct config_change head = {.kind = old == NULL ? CONFIG_ADDED : CONFIG_REMOVED,
                                               .path = diff->path};

            diff->on_change(diff->context, &head);
        }
        walk_mapping(diff, option, old, new);
    } else if (!is_alone || only->place.line != 0) { /* defaults come and go with their mapping */
        tell(diff, option, old, new);
    }
}

void config_diff(const struct config *old, const struct config *new,
                 config_change_function *on_change, void *context)
{
    struct diff diff = {.on_change = on_change, .context = context};

    walk_mapping(&diff, NULL, old->tree, new->tree);
}
