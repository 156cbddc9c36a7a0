/* SPDX-License-Identifier: MIT
 *
 * config_walk.h - hold a YAML tree against the option table.
 *
 * Layer:  config, internal. Reports unknown keys, wrong types, values out of range and missing
 *         keys, all of them; changes nothing. What needs more than one option (names that must
 *         exist, times that must fit each other) is checked by config_settings.
 */
#ifndef REFRESHD_CONFIG_CONFIG_WALK_H
#define REFRESHD_CONFIG_CONFIG_WALK_H

#include <stdbool.h>

#include "config/diagnostics.h"
#include "config/option_table.h"
#include "config/yaml_tree.h"

/* Check `node`, which is the value of `option` (NULL: the root mapping) and called `name` in
 * messages ("" for the root). `place` is where its key stands: missing keys are reported there.
 * `is_partial`: required keys directly in `node` may be missing (an included file). */
void config_walk(const struct config_option *option, const struct yaml_node *node, const char *name,
                 struct place place, bool is_partial, struct diagnostics *diagnostics);

/* No value at all: `key:`, `key: ~` or `key: null`. */
bool yaml_is_empty(const struct yaml_node *node);

#endif
