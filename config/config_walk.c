/* SPDX-License-Identifier: MIT
 * config_walk.c - one recursive walk; every message names key, finding and what is allowed. */
#include "config/config_walk.h"

#include <string.h>

#include "base/text.h"
#include "config/option_value.h"

#define MESSAGE_BYTES_MAX 1500
#define NAME_BYTES_MAX 200

struct walk {
    struct diagnostics *diagnostics;
    struct text name; /* "providers.finq.limits" */
};

static void walk_node(struct walk *walk, const struct config_option *option,
                      const struct yaml_node *node, struct place place, bool is_partial);

bool yaml_is_empty(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && node->is_plain &&
           (node->length == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

static const char *name_of(const struct walk *walk)
{
    return walk->name.length == 0 ? "" : walk->name.bytes;
}

/* "name: " in front of a message, nothing at the root. */
static const char *colon_of(const struct walk *walk)
{
    return walk->name.length == 0 ? "" : ": ";
}

static const char *expected_text(const struct config_option *option)
{
    switch (option->type) {
    case OPTION_MAPPING: return "keys with values (a mapping)";
    case OPTION_LIST: return option->one_or_list ? "one value or a list" : "a list";
    case OPTION_SECRET: return "a secret reference";
    default: break;
    }
    return option_next_child(option, NULL) == NULL ? "a single value"
                                                   : "a single value, or keys with values,";
}

static const char *found_text(const struct yaml_node *node)
{
    switch (node->kind) {
    case YAML_SEQUENCE: return "a list";
    case YAML_MAPPING: return "keys with values";
    case YAML_SCALAR: break;
    }
    return "a single value";
}

/* --- Unknown keys ------------------------------------------------------------------------------
 */

/* Somewhere else in the same section a key of this name is known: say where. */
static const char *belongs_under(const struct config_option *parent, const char *key,
                                 char buffer[NAME_BYTES_MAX])
{
    size_t section = parent == NULL ? 0 : strcspn(parent->path, ".[");

    for (size_t i = 0; i < option_table_count; i++) {
        const char *path = option_table[i].path;
        size_t length = strlen(path);
        size_t own = strlen(key);

        if (section > 0 &&
            (strncmp(path, parent->path, section) != 0 || strchr(".[", path[section]) == NULL))
            continue;
        if (length <= own + 1 || strcmp(path + length - own, key) != 0 ||
            path[length - own - 1] != '.' || length - own - 1 >= NAME_BYTES_MAX)
            continue;
        memcpy(buffer, path, length - own - 1);
        buffer[length - own - 1] = '\0';
        return buffer;
    }
    return NULL;
}

static void report_unknown(struct walk *walk, const struct config_option *parent,
                           const struct yaml_node *key)
{
    char elsewhere[NAME_BYTES_MAX];
    const char *suggestion = option_suggest(parent, key->text);
    const char *under = suggestion == NULL ? belongs_under(parent, key->text, elsewhere) : NULL;
    const char *separator = " Allowed here: ";
    struct text message;

    text_init(&message, MESSAGE_BYTES_MAX);
    text_append_format(&message, "unknown key \"%.80s\"", key->text);
    if (walk->name.length > 0)
        text_append_format(&message, " in %s", name_of(walk));
    if (suggestion != NULL)
        text_append_format(&message, "; did you mean \"%s\"?", suggestion);
    else if (under != NULL)
        text_append_format(&message, "; it belongs under %s.", under);
    else
        text_append_string(&message, ".");
    for (const struct config_option *option = option_next_child(parent, NULL); option != NULL;
         option = option_next_child(parent, option)) {
        text_append_format(&message, "%s%s", separator, option_key(option));
        separator = ", ";
    }
    diagnostics_error(walk->diagnostics, key->place, "%s",
                      message.bytes == NULL ? "unknown key" : message.bytes);
    text_deinit(&message);
}

/* --- Kinds of nodes ------------------------------------------------------------------------------
 */

static void check_required(struct walk *walk, const struct config_option *parent,
                           const struct yaml_node *mapping, struct place place)
{
    for (const struct config_option *option = option_next_child(parent, NULL); option != NULL;
         option = option_next_child(parent, option))
        if (option->is_required && yaml_get(mapping, option_key(option)) == NULL)
            diagnostics_error(walk->diagnostics, place, "%s%skey \"%s\" is missing: %s",
                              name_of(walk), colon_of(walk), option_key(option), option->help);
}

/* A key that the user chose must be a name: of a provider, a schedule or an institution. */
static void check_chosen_key(struct walk *walk, const struct config_option *option,
                             const struct yaml_node *key)
{
    static const struct config_option name_row = {.type = OPTION_NAME};
    static const struct config_option institution_row = {.type = OPTION_INSTITUTION};
    bool is_institution = strstr(option->path, "institutions") != NULL;
    struct option_value value;
    struct text problem;

    text_init(&problem, MESSAGE_BYTES_MAX);
    if (!option_value_parse(is_institution ? &institution_row : &name_row, key->text, key->length,
                            &value, NULL, &problem))
        diagnostics_error(walk->diagnostics, key->place, "%s: %s", name_of(walk), problem.bytes);
    text_deinit(&problem);
}

static void walk_mapping(struct walk *walk, const struct config_option *option,
                         const struct yaml_node *node, struct place place, bool is_partial)
{
    size_t name_length = walk->name.length;

    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_node *key = node->keys[i];
        const struct config_option *child = option_child(option, key->text);

        if (child == NULL) {
            report_unknown(walk, option, key);
            continue;
        }
        if (strcmp(option_key(child), "*") == 0)
            check_chosen_key(walk, child, key);
        text_append_format(&walk->name, "%s%.80s", name_length == 0 ? "" : ".", key->text);
        walk_node(walk, child, node->values[i], key->place, false);
        walk->name.length = name_length;
        if (walk->name.bytes != NULL)
            walk->name.bytes[name_length] = '\0';
    }
    if (!is_partial)
        check_required(walk, option, node, place);
}

static void walk_list(struct walk *walk, const struct config_option *option,
                      const struct yaml_node *node)
{
    const struct config_option *item = option_child(option, "[]");

    if (node->kind != YAML_SEQUENCE) {
        walk_node(walk, item, node, node->place, false);
        return;
    }
    if (option->max > 0 && node->count > (size_t)option->max)
        diagnostics_error(walk->diagnostics, node->place, "%s: %zu items; at most %lld are allowed",
                          name_of(walk), node->count, (long long)option->max);
    for (size_t i = 0; i < node->count && node->values != NULL; i++)
        walk_node(walk, item, node->values[i], node->values[i]->place, false);
}

static const char secret_forms[] =
    "write {env: NAME}, {file: PATH} or {credential: NAME} and keep the secret there";

/* Nothing that was written here is quoted: it may be the secret. */
static void walk_secret(struct walk *walk, const struct yaml_node *node)
{
    const struct yaml_node *key =
        node->kind == YAML_MAPPING && node->count == 1 ? node->keys[0] : NULL;
    const struct yaml_node *value = key != NULL ? node->values[0] : NULL;

    if (node->kind != YAML_MAPPING)
        diagnostics_error(walk->diagnostics, node->place,
                          "%s: a secret may not stand in the configuration: %s", name_of(walk),
                          secret_forms);
    else if (key == NULL || !option_word_allowed("env|file|credential", key->text, key->length))
        diagnostics_error(walk->diagnostics, node->place, "%s: not a secret reference: %s",
                          name_of(walk), secret_forms);
    else if (value->kind != YAML_SCALAR || value->length == 0 || value->length > 4000 ||
             !option_text_is_clean(value->text, value->length))
        diagnostics_error(walk->diagnostics, value->place,
                          "%s: the reference needs one name or path: %s", name_of(walk),
                          secret_forms);
    else if (strcmp(key->text, "credential") == 0 &&
             (strchr(value->text, '/') != NULL || value->text[0] == '.'))
        diagnostics_error(walk->diagnostics, value->place,
                          "%s: the name of a systemd credential holds no slash and begins with no "
                          "dot",
                          name_of(walk));
}

static void walk_scalar(struct walk *walk, const struct config_option *option,
                        const struct yaml_node *node)
{
    struct option_value value;
    struct text problem;

    text_init(&problem, MESSAGE_BYTES_MAX);
    if (!option_value_parse(option, node->text, node->length, &value, NULL, &problem))
        diagnostics_error(walk->diagnostics, node->place, "%s: %s", name_of(walk),
                          problem.bytes == NULL ? "not valid" : problem.bytes);
    text_deinit(&problem);
}

/* A single item in the place of its list: a value, or keys where items may have some. */
static bool may_stand_alone(const struct config_option *list, const struct yaml_node *node)
{
    return list->one_or_list && (node->kind == YAML_SCALAR ||
                                 (node->kind == YAML_MAPPING &&
                                  option_next_child(option_child(list, "[]"), NULL) != NULL));
}

static void walk_node(struct walk *walk, const struct config_option *option,
                      const struct yaml_node *node, struct place place, bool is_partial)
{
    bool is_container = option->type == OPTION_MAPPING || option->type == OPTION_LIST;
    bool has_keys = option->type != OPTION_LIST && option_next_child(option, NULL) != NULL;

    if (yaml_is_empty(node) && !is_container)
        diagnostics_error(walk->diagnostics, node->place,
                          "%s has no value; %s is expected, or leave the key out", name_of(walk),
                          expected_text(option));
    else if (yaml_is_empty(node) && option->type == OPTION_LIST)
        return;
    else if (yaml_is_empty(node) && !is_partial)
        check_required(walk, option, node, place);
    else if (option->type == OPTION_SECRET)
        walk_secret(walk, node);
    else if (node->kind == YAML_MAPPING && has_keys)
        walk_mapping(walk, option, node, place, is_partial);
    else if (option->type == OPTION_LIST &&
             (node->kind == YAML_SEQUENCE || may_stand_alone(option, node)))
        walk_list(walk, option, node);
    else if (node->kind == YAML_SCALAR && !is_container)
        walk_scalar(walk, option, node);
    else
        diagnostics_error(walk->diagnostics, node->place, "%s: %s is expected, %s was found",
                          name_of(walk), expected_text(option), found_text(node));
}

void config_walk(const struct config_option *option, const struct yaml_node *node, const char *name,
                 struct place place, bool is_partial, struct diagnostics *diagnostics)
{
    struct walk walk = {.diagnostics = diagnostics};

    text_init(&walk.name, MESSAGE_BYTES_MAX);
    text_append_string(&walk.name, name);
    if (option != NULL)
        walk_node(&walk, option, node, place, is_partial);
    else if (node->kind == YAML_MAPPING)
        walk_mapping(&walk, NULL, node, place, is_partial);
    else
        diagnostics_error(diagnostics, node->place,
                          "the file must hold keys with values (a mapping); %s was found",
                          found_text(node));
    text_deinit(&walk.name);
}
