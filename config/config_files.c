/* SPDX-License-Identifier: MIT
 * config_files.c - one root file, its includes in the order of their names, one tree. */
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/config_load.h"
#include "config/config_walk.h"

#define PATH_TEXT_MAX 16384

/* --- Merging --------------------------------------------------------------------------------- */

static struct yaml_node *value_of(const struct yaml_node *mapping, const char *key, size_t *index)
{
    for (size_t i = 0; i < mapping->count; i++)
        if (strcmp(mapping->keys[i]->text, key) == 0) {
            *index = i;
            return mapping->values[i];
        }
    return NULL;
}

static void report_twice(struct load *load, const struct yaml_node *first,
                         const struct yaml_node *second, const char *what, const char *hint)
{
    diagnostics_error(load->diagnostics, second->place,
                      "%s \"%.80s\" is given twice; it was first given at %s:%u:%u%s", what,
                      second->text, first->place.file, first->place.line, first->place.column,
                      hint);
}

static bool is_override(const struct yaml_node *entry)
{
    const struct yaml_node *flag = yaml_get(entry, "override");

    return flag != NULL && flag->kind == YAML_SCALAR && strcmp(flag->text, "true") == 0;
}

/* Providers or schedules of a further file, by name. */
static void merge_named(struct load *load, struct yaml_node *into, const struct yaml_node *from,
                        const char *what)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct yaml_node *key = from->keys[i];
        size_t index = 0;

        if (value_of(into, key->text, &index) == NULL)
            config_tree_put(load->arena, into, key->text, key->place, from->values[i]);
        else if (is_override(from->values[i])) {
            into->values[index] = from->values[i];
            into->keys[index] = from->keys[i];
        } else
            report_twice(load, into->keys[index], key, what,
                         "; write \"override: true\" in it to replace the earlier one");
    }
}

/* Sections: key by key; the same key in two files is an error. */
static void merge_section(struct load *load, struct yaml_node *into, const struct yaml_node *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct yaml_node *key = from->keys[i];
        size_t index = 0;
        struct yaml_node *present = value_of(into, key->text, &index);

        if (present == NULL)
            config_tree_put(load->arena, into, key->text, key->place, from->values[i]);
        else if (present->kind == YAML_MAPPING && from->values[i]->kind == YAML_MAPPING)
            merge_section(load, present, from->values[i]);
        else
            report_twice(load, into->keys[index], key, "key", "");
    }
}

static void merge_list(struct load *load, struct yaml_node *into, const struct yaml_node *from)
{
    size_t count = into->count + from->count;
    struct yaml_node **values = arena_alloc(load->arena, count * sizeof(struct yaml_node *));

    REQUIRE(values != NULL);
    if (into->count > 0)
        memcpy(values, into->values, into->count * sizeof(struct yaml_node *));
    if (from->count > 0)
        memcpy(values + into->count, from->values, from->count * sizeof(struct yaml_node *));
    into->values = values;
    into->count = count;
}

/* Keys that have had their effect when their file was read. */
static bool is_consumed(const char *key)
{
    return strcmp(key, "include") == 0 || strcmp(key, "consents") == 0;
}

static void merge_key(struct load *load, const struct yaml_node *key, struct yaml_node *value)
{
    size_t index = 0;
    struct yaml_node *present = value_of(load->tree, key->text, &index);
    bool both_mappings =
        present != NULL && present->kind == YAML_MAPPING && value->kind == YAML_MAPPING;

    /* Twice in one file is reported already. */
    if (present != NULL && strcmp(load->tree->keys[index]->place.file, key->place.file) == 0)
        return;
    if (is_consumed(key->text) || (yaml_is_empty(value) && present != NULL))
        return;
    if (present == NULL || yaml_is_empty(present)) {
        if (present == NULL)
            config_tree_put(load->arena, load->tree, key->text, key->place, value);
        else
            load->tree->values[index] = value;
    } else if (strcmp(key->text, "version") == 0) {
        return; /* each file may say so; the table allows one value only */
    } else if (both_mappings && strcmp(key->text, "providers") == 0) {
        merge_named(load, present, value, "provider");
    } else if (both_mappings && strcmp(key->text, "schedules") == 0) {
        merge_named(load, present, value, "schedule");
    } else if (both_mappings) {
        merge_section(load, present, value);
    } else if (strcmp(key->text, "consents_from") == 0 && present->kind == YAML_SEQUENCE &&
               value->kind == YAML_SEQUENCE) {
        merge_list(load, present, value);
    } else {
        report_twice(load, load->tree->keys[index], key, "key", "");
    }
}

/* --- One file -----------------------------------------------------------------------------------
 */

static void on_consent(void *context, const struct yaml_node *item)
{
    config_consents_take(context, item);
}

/* Read `file` (its name in messages) and merge it. False when it cannot be read as YAML. */
static bool read_file(struct load *load, const char *file, bool is_root)
{
    const char *path = config_path_resolve(load->arena, NULL, file);
    const char *opened;
    struct yaml_options options = {.stream_key = "consents",
                                   .on_item = on_consent,
                                   .context = load,
                                   .file = file,
                                   .keep_tree = true};
    struct place top = {file, 1, 1, NULL};
    struct yaml_node *tree;

    REQUIRE(path != NULL);
    opened = config_path_to_open(load, path);
    tree = yaml_tree_load(opened == path ? file : opened, load->arena, &options, load->diagnostics);
    if (tree == NULL)
        return false;
    config_walk(NULL, tree, "", top, !is_root, load->diagnostics);
    if (tree->kind != YAML_MAPPING)
        return false;
    for (size_t i = 0; i < tree->count; i++) {
        if (!is_root && strcmp(tree->keys[i]->text, "include") == 0)
            diagnostics_error(load->diagnostics, tree->keys[i]->place,
                              "an included file cannot include others: name them in %s",
                              load->root_file);
        if (option_child(NULL, tree->keys[i]->text) != NULL)
            merge_key(load, tree->keys[i], config_tree_copy(load->arena, tree->values[i]));
        if (is_root && strcmp(tree->keys[i]->text, "include") == 0)
            load->include = tree->values[i];
    }
    return true;
}

/* --- Includes -------------------------------------------------------------------------------- */

/* The folder of the root file and `rest`, as a path for messages and for opening. */
static char *beside_root(const struct load *load, const char *rest)
{
    const char *slash = strrchr(load->root_file, '/');
    size_t folder = slash == NULL || rest[0] == '/' ? 0 : (size_t)(slash - load->root_file) + 1;
    char *path = malloc(folder + strlen(rest) + 1);

    if (path != NULL) {
        memcpy(path, load->root_file, folder);
        strcpy(path + folder, rest);
    }
    return path;
}

static bool counts_as_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t length = strlen(name);

    return name[0] != '.' && length > 5 && strcmp(name + length - 5, ".yaml") == 0;
}

struct found_file {
    char *path;           /* as in messages */
    const char *absolute; /* to know it again */
};

struct found {
    struct found_file *files;
    size_t count;
};

static void found_add(struct load *load, struct found *found, const char *path)
{
    const char *absolute = config_path_resolve(load->arena, NULL, path);
    struct found_file *files;

    REQUIRE(absolute != NULL);
    if (!counts_as_file(path) || strcmp(absolute, load->config->root_path) == 0)
        return;
    for (size_t i = 0; i < found->count; i++)
        if (strcmp(found->files[i].absolute, absolute) == 0)
            return;
    files = realloc(found->files, (found->count + 1) * sizeof *files);
    REQUIRE(files != NULL);
    found->files = files;
    files[found->count] = (struct found_file){strdup(path), absolute};
    REQUIRE(files[found->count].path != NULL);
    found->count++;
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct found_file *)a)->path, ((const struct found_file *)b)->path);
}

/* The file of --as, named as the pattern would find it; NULL: there is none beside the root. */
static char *as_beside_root(const struct load *load)
{
    size_t folder = strlen(load->root_folder);

    if (load->as_path == NULL)
        return NULL;
    if (strncmp(load->as_path, load->root_folder, folder) != 0)
        return strdup(load->as_path);
    return beside_root(load, load->as_path + folder);
}

/* The files of one pattern; the one of --as counts even when nothing has its name yet. */
static void find_files(struct load *load, const struct yaml_node *node, struct found *found)
{
    char *pattern = beside_root(load, node->text);
    size_t first = found->count;
    char *as_file = as_beside_root(load);
    bool is_pattern;
    glob_t matches;
    int status;

    REQUIRE(pattern != NULL);
    is_pattern = strpbrk(node->text, "*?[") != NULL;
    status = glob(pattern, GLOB_NOSORT, NULL, &matches);
    if (status == 0) {
        for (size_t i = 0; i < matches.gl_pathc; i++)
            found_add(load, found, matches.gl_pathv[i]);
        globfree(&matches);
    } else if (status != GLOB_NOMATCH) {
        diagnostics_error(load->diagnostics, node->place, "cannot look for \"%.200s\": %s",
                          node->text, strerror(errno));
    }
    if (as_file != NULL && fnmatch(pattern, as_file, FNM_PATHNAME | FNM_PERIOD) == 0)
        found_add(load, found, as_file);
    free(as_file);
    if (!is_pattern && found->count == first && !counts_as_file(node->text))
        diagnostics_error(load->diagnostics, node->place,
                          "\"%.200s\": only files whose names end in .yaml are included",
                          node->text);
    else if (!is_pattern && found->count == first && status == GLOB_NOMATCH)
        diagnostics_error(load->diagnostics, node->place, "\"%.200s\" does not exist", node->text);
    if (found->count > first)
        qsort(found->files + first, found->count - first, sizeof *found->files, compare_files);
    free(pattern);
}

static void read_includes(struct load *load)
{
    const struct yaml_node *include = load->include;
    struct found found = {NULL, 0};

    if (include == NULL || yaml_is_empty(include) || include->kind == YAML_MAPPING)
        return;
    if (include->kind == YAML_SCALAR)
        find_files(load, include, &found);
    for (size_t i = 0; include->kind == YAML_SEQUENCE && i < include->count; i++)
        if (include->values[i]->kind == YAML_SCALAR && include->values[i]->length > 0)
            find_files(load, include->values[i], &found);
    for (size_t i = 0; i < found.count; i++) {
        (void)read_file(load, found.files[i].path, false);
        free(found.files[i].path);
    }
    free(found.files);
}

bool config_files_read(struct load *load)
{
    struct place top = {load->root_file, 1, 1, NULL};

    load->tree = config_tree_mapping(load->arena, top);
    if (!read_file(load, load->root_file, true))
        return false;
    read_includes(load);
    return true;
}
