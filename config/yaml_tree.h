/* SPDX-License-Identifier: MIT
 *
 * yaml_tree.h - one YAML document as a tree in which every node knows its place.
 *
 * Layer:  config; the only user of libyaml (event API), so that a swap stays cheap.
 * Typing: scalars are text; the schema types them, so `NO`, `1.10`, `0777`, `22:30` never change
 *         their meaning on the way.
 * Bounds: file <= 256 MiB, depth <= 32, key <= 256 B, scalar <= 64 KiB, one document, no tags, no
 *         `<<`, duplicate keys refused with both lines named, aliases only under an expansion
 *         budget of 100,000 nodes and never cyclic (choices A.3).
 * Memory: everything lives in the caller's arena.
 */
#ifndef REFRESHD_CONFIG_YAML_TREE_H
#define REFRESHD_CONFIG_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "config/diagnostics.h"

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    struct place place;
    const char *text; /* scalars: NUL-ended UTF-8 */
    size_t length;
    bool is_plain;             /* scalar written without quotes */
    size_t count;              /* sequences: items; mappings: pairs */
    struct yaml_node **keys;   /* mappings */
    struct yaml_node **values; /* mappings and sequences */
};

/* Called for each item of the sequence under top-level key `stream_key`, as soon as it is read;
 * the item's memory is taken back afterwards; the sequence stays in the tree with its count and
 * without values. For `consents:` of a large file. */
typedef void yaml_item_function(void *context, const struct yaml_node *item);

struct yaml_options {
    const char *stream_key; /* NULL: nothing is streamed */
    yaml_item_function *on_item;
    void *context;
    const char *file; /* yaml_tree_load: name for places, when it is not the path */
    bool keep_tree;   /* answer the tree despite errors that leave one (duplicate keys, tags,
                         `<<`, texts too long), so that all errors of a file come at once; the
                         caller then looks at diagnostics->error_count */
};

/* Read `bytes` (named `file` in places). Answers NULL after at least one error was added to
 * `diagnostics` (see keep_tree). An empty document is an empty mapping. `options` may be NULL. */
struct yaml_node *yaml_tree_parse(const char *bytes, size_t length, const char *file,
                                  struct arena *arena, const struct yaml_options *options,
                                  struct diagnostics *diagnostics);
/* The same from a file; an unreadable one is a diagnostic. */
struct yaml_node *yaml_tree_load(const char *path, struct arena *arena,
                                 const struct yaml_options *options,
                                 struct diagnostics *diagnostics);

/* Value of `key` in a mapping, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key);

#endif
