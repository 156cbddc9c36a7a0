/* SPDX-License-Identifier: MIT
 *
 * config_load.h - what the parts of config_load share.
 *
 * Layer: config, internal. The order: config_files reads and merges all files into one tree,
 *        config_tree fills in what was left out, config_settings makes the snapshot of it,
 *        consent_build fills the table.
 */
#ifndef REFRESHD_CONFIG_CONFIG_LOAD_H
#define REFRESHD_CONFIG_CONFIG_LOAD_H

#include <stdbool.h>

#include "config/config.h"
#include "config/diagnostics.h"
#include "config/option_table.h"
#include "config/yaml_tree.h"

struct zone_entry;

struct load {
    struct config *config; /* being made */
    struct arena *arena;   /* the config's own */
    const struct config_options *options;
    struct diagnostics *diagnostics;
    const char *root_file;   /* as given: named in messages */
    const char *root_folder; /* absolute */
    const char *as_path;     /* absolute path that options->as_name means; NULL: none */
    bool as_was_used;
    const struct yaml_node *include; /* of the root file, or NULL */
    struct yaml_node *tree;          /* all files, merged */
    struct zone_entry *zones;
};

/* --- config_path.c --------------------------------------------------------------------------- */

/* `path` as seen from the folder of `file` (itself relative to the working folder or absolute):
 * absolute, without `.`, `..` and doubled slashes; links are not followed. NULL: out of memory. */
const char *config_path_resolve(struct arena *arena, const char *file, const char *path);
/* What is to be opened for the absolute `path`: itself, or the file that --as puts in its place. */
const char *config_path_to_open(struct load *load, const char *path);

/* --- config_files.c ----------------------------------------------------------------------------
 */

/* Read the root file and its includes into load->tree and their consents into the config. False
 * when there is no tree to go on with; diagnostics hold why. */
bool config_files_read(struct load *load);

/* --- config_tree.c -----------------------------------------------------------------------------
 */

struct yaml_node *config_tree_mapping(struct arena *arena, struct place place);
struct yaml_node *config_tree_scalar(struct arena *arena, const char *text, struct place place);
struct yaml_node *config_tree_sequence(struct arena *arena, const char *const *texts, size_t count,
                                       struct place place);
/* A copy that shares nothing with the original but texts and places. */
struct yaml_node *config_tree_copy(struct arena *arena, const struct yaml_node *node);
/* Add a key that is not there yet. */
void config_tree_put(struct arena *arena, struct yaml_node *mapping, const char *key,
                     struct place place, struct yaml_node *value);
/* Give every option that was left out its default, marked as such (place.line is 0). */
void config_tree_fill(struct arena *arena, const struct config_option *option,
                      struct yaml_node *mapping);

/* Equal for mappings with the same settled content. */
uint64_t config_tree_fingerprint(const struct yaml_node *node);

/* Bring every valid value into the one form in which it is printed and compared: canonical texts,
 * absolute paths, lists for single items, keys in order. */
void config_tree_settle(struct arena *arena, const struct config_option *option,
                        struct yaml_node *node);

/* --- config_zones.c ----------------------------------------------------------------------------
 */

/* The zone `name`, read once; UTC after an error that is reported at `place`. */
const struct zone *config_zone(struct load *load, const char *name, struct place place);

/* --- config_print.c --- */

/* A scalar, a list of scalars or a mapping of scalars on one line, as in `refreshd config`. */
void config_print_value(const struct yaml_node *node, struct text *out);

/* --- config_get.c ------------------------------------------------------------------------------
 */

/* Values of the settled tree. `path` is that of the row, its last part the key in `mapping` (NULL
 * is fine). A missing or invalid value gives the fallback: the latter has been reported. */
const struct yaml_node *config_get_node(const struct yaml_node *mapping, const char *path);
int64_t config_get_number(const struct yaml_node *mapping, const char *path, int64_t fallback);
const char *config_get_text(const struct yaml_node *mapping, const char *path);
struct secret_reference config_get_secret(const struct yaml_node *mapping, const char *path);
/* The waits `first` and `max` of `mapping`, whose rows are below `path`. Where they contradict, the
 * one that a person left out gives way; two written ones are an error about `shown`. */
void config_get_waits(struct load *load, const struct yaml_node *mapping, const char *path,
                      const char *shown, int64_t *first_ms, int64_t *max_ms);
/* Did a person write `key`, and is it no default? */
bool config_is_written(const struct yaml_node *mapping, const char *key);
/* Was `key` left out by the person? Then its default gives way to `ms`; answers whether it did. */
bool config_default_yields(struct load *load, const struct yaml_node *mapping, const char *key,
                           int64_t ms);
/* Where a value stands; where its mapping does when it was left out. */
struct place config_get_place(const struct yaml_node *mapping, const char *path);
/* Where the key of `path` stands in `mapping`, which must have it. */
struct place config_get_key_place(const struct yaml_node *mapping, const char *path);
/* Put a default that is known only now; nothing happens when the key is there. */
void config_default(struct load *load, struct yaml_node *mapping, const char *path,
                    const char *text);

/* --- config_limits.c ---------------------------------------------------------------------------
 */

/* Limits of the mapping `node` (may be NULL) over those of `base` (may be NULL), key by key. */
void config_limits_make(struct load *load, const struct yaml_node *node,
                        const struct limit_settings *base, struct limit_settings *out);

/* --- config_hours.c ----------------------------------------------------------------------------
 */

/* `blackout` and `windows` of the mapping `node` (may be NULL) over those of `base` (may be NULL).
 */
void config_hours_make(struct load *load, const struct yaml_node *node,
                       const struct hours_settings *base, struct hours_settings *out);
/* Warn of what is over in the calendars, used or not. */
void config_calendars_check(struct load *load);
/* Warn of a schedule whose hours leave no time for any of its runs. */
void config_hours_check_schedule(struct load *load, const struct schedule_settings *settings,
                                 struct place place);
/* --- config_consent_life.c ----------------------------------------------------------------------
 */

/* Put the defaults that depend on the definition into the provider's mapping `consent`. */
void config_consent_life_defaults(struct load *load, const struct api_definition *definition,
                                  struct yaml_node *consent);
void config_consent_life_make(struct load *load, struct config_provider *provider,
                              struct provider_settings *settings, const struct yaml_node *consent);

/* --- config_breaker.c --------------------------------------------------------------------------
 */

/* Breaker, retry budget and fingerprint of the provider's settled mapping. */
void config_breaker_make(struct load *load, const struct yaml_node *node,
                         struct provider_settings *settings);

/* --- config_providers.c, config_schedules.c -------------------------------------------------- */

void config_providers_make(struct load *load);
void config_schedules_make(struct load *load);

/* --- config_settings.c -------------------------------------------------------------------------
 */

/* Make the snapshot's fields of load->tree; errors go to the diagnostics. */
void config_settings_make(struct load *load);

/* --- config_consents.c --------------------------------------------------------------------------
 */

/* Take an item of `consents:` into the config's own store, after checking it by the table. */
void config_consents_take(struct load *load, const struct yaml_node *item);

#endif
