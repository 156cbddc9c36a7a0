/* SPDX-License-Identifier: MIT
 * config.c - load a configuration whole, or not at all. */
#include "config/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_consents.h"
#include "config/config_load.h"
#include "config/consent_build.h"

#define CANONICAL_BYTES_MAX ((size_t)1 << 30)

static void make_digest(struct config *config)
{
    struct text canonical;
    uint64_t halves[2];

    text_init(&canonical, CANONICAL_BYTES_MAX);
    config_print(config, false, NULL, &canonical);
    for (unsigned i = 0; i < 2; i++)
        halves[i] =
            hash_bytes(canonical.bytes == NULL ? "" : canonical.bytes, canonical.length, i + 1);
    (void)snprintf(config->digest, sizeof config->digest, "%016" PRIx64 "%016" PRIx64, halves[0],
                   halves[1]);
    text_deinit(&canonical);
}

/* The root file's folder, and what --as stands for. */
static void find_places(struct load *load)
{
    struct config *config = load->config;
    const char *slash;

    config->root_path = config_path_resolve(load->arena, NULL, load->root_file);
    REQUIRE(config->root_path != NULL);
    slash = strrchr(config->root_path, '/');
    load->root_folder =
        arena_copy_packed(load->arena, config->root_path, (size_t)(slash - config->root_path) + 1);
    REQUIRE(load->root_folder != NULL);
    if (load->options->as_name != NULL)
        load->as_path = config_path_resolve(load->arena, load->root_folder, load->options->as_name);
}

/* Files to tree to settings. */
static bool load_settings(struct load *load)
{
    if (!config_files_read(load))
        return false;
    config_tree_fill(load->arena, NULL, load->tree);
    config_tree_settle(load->arena, NULL, load->tree);
    config_settings_make(load);
    /* Defaults of API definitions came last; keys are in order again. */
    config_tree_settle(load->arena, NULL, load->tree);
    load->config->tree = load->tree;
    load->config->inline_consent_count = load->config->inline_consents->count;
    return true;
}

static bool load_consents(struct load *load, enum consent_wanted wanted, struct consent_table **out)
{
    struct consent_table *table = NULL;
    struct fault fault = {0};

    if (consent_load(load->config, load->options, load->as_path, &load->as_was_used, wanted, &table,
                     load->diagnostics, &fault) != RESULT_OK)
        return false;
    *out = table;
    return true;
}

struct config *config_load(const char *path, const struct config_options *options,
                           struct consent_table **consents, struct diagnostics *diagnostics)
{
    static const struct config_options plain = {0};
    struct config *config = calloc(1, sizeof *config);
    struct consent_table *table = NULL;
    struct load load = {.options = options == NULL ? &plain : options,
                        .diagnostics = diagnostics,
                        .root_file = path};
    size_t errors_before = diagnostics->error_count;
    enum consent_wanted wanted = consents == NULL ? CONSENTS_INLINE : CONSENTS_ALL_WITH_WARNINGS;
    bool good;

    REQUIRE(config != NULL);
    arena_init(&config->arena);
    config->references = 1;
    config->inline_consents = calloc(1, sizeof *config->inline_consents);
    REQUIRE(config->inline_consents != NULL);
    load.config = config;
    load.arena = &config->arena;
    find_places(&load);
    good = load_settings(&load) && load_consents(&load, wanted, &table);
    if (load.as_path != NULL && !load.as_was_used)
        diagnostics_error(diagnostics, (struct place){path, 1, 1, NULL},
                          "\"%.200s\" is not part of this configuration: it is neither the root "
                          "file nor named by it or by its include patterns",
                          load.options->as_name);
    if (!good || diagnostics->error_count > errors_before) {
        consent_table_destroy(table);
        config_release(config);
        return NULL;
    }
    make_digest(config);
    if (consents != NULL)
        *consents = table;
    else
        consent_table_destroy(table);
    return config;
}

struct config *config_retain(struct config *config)
{
    config->references++;
    return config;
}

void config_release(struct config *config)
{
    if (config == NULL)
        return;
    REQUIRE(config->references > 0);
    if (--config->references > 0)
        return;
    inline_consents_free(config->inline_consents);
    arena_deinit(&config->arena);
    free(config);
}

uint32_t config_find_provider(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->provider_count; i++)
        if (strcmp(config->providers[i].name, name) == 0)
            return i;
    return UINT32_MAX;
}

uint32_t config_find_schedule(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->schedule_count; i++)
        if (strcmp(config->schedules[i].name, name) == 0)
            return i;
    return UINT32_MAX;
}
