/* SPDX-License-Identifier: MIT
 *
 * config_fixture.h - a folder of its own with configuration files, and what loading them says.
 *
 * Layer: tests. Included by the tests of config/.
 */
#ifndef REFRESHD_TESTS_UNIT_CONFIG_FIXTURE_H
#define REFRESHD_TESTS_UNIT_CONFIG_FIXTURE_H

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "config/consent_table.h"
#include "tests/unit/unit_test.h"

struct config_fixture {
    char folder[64];
    char path[256];
    struct diagnostics diagnostics;
    struct text said; /* all diagnostics, without the folder, a line each */
    struct config *config;
    struct consent_table *consents;
};

static inline int config_fixture_set_up(void **state)
{
    static struct config_fixture fixture;

    fixture = (struct config_fixture){.folder = "/tmp/refreshd-config-XXXXXX"};
    if (mkdtemp(fixture.folder) == NULL)
        return -1;
    diagnostics_init(&fixture.diagnostics, 1000);
    text_init(&fixture.said, 1000000);
    *state = &fixture;
    return 0;
}

/* Forget what was loaded; the files stay. */
static inline void config_fixture_forget(struct config_fixture *fixture)
{
    consent_table_destroy(fixture->consents);
    config_release(fixture->config);
    fixture->consents = NULL;
    fixture->config = NULL;
    diagnostics_deinit(&fixture->diagnostics);
    text_clear(&fixture->said);
}

static inline int config_fixture_tear_down(void **state)
{
    struct config_fixture *fixture = *state;
    char command[128];

    config_fixture_forget(fixture);
    text_deinit(&fixture->said);
    (void)snprintf(command, sizeof command, "rm -rf %s", fixture->folder);
    return system(command);
}

/* The path of `name` in the folder. */
static inline const char *config_fixture_path(struct config_fixture *fixture, const char *name)
{
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/%s", fixture->folder, name);
    return fixture->path;
}

/* Write a file; folders in its name are made. */
static inline void config_fixture_write(struct config_fixture *fixture, const char *name,
                                        const char *content)
{
    const char *path = config_fixture_path(fixture, name);
    char folder[256];
    FILE *file;

    strcpy(folder, path);
    *strrchr(folder, '/') = '\0';
    (void)mkdir(folder, 0700);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    fclose(file);
}

/* Load `name`; afterwards config, consents (NULL after errors) and said. */
static inline void config_fixture_load(struct config_fixture *fixture, const char *name,
                                       const struct config_options *options)
{
    size_t prefix = strlen(fixture->folder) + 1;

    config_fixture_forget(fixture);
    fixture->config = config_load(config_fixture_path(fixture, name), options, &fixture->consents,
                                  &fixture->diagnostics);
    diagnostics_sort(&fixture->diagnostics);
    for (size_t i = 0; i < fixture->diagnostics.count; i++) {
        struct text line;
        const char *rest;

        text_init(&line, 10000);
        diagnostic_format(&fixture->diagnostics.items[i], &line);
        rest = line.bytes;
        if (i > 0)
            text_append_string(&fixture->said, "\n");
        for (const char *found; (found = strstr(rest, fixture->folder)) != NULL;
             rest = found + prefix)
            text_append(&fixture->said, rest, (size_t)(found - rest));
        text_append_string(&fixture->said, rest);
        text_deinit(&line);
    }
    text_append_string(&fixture->said, "");
}

static inline const char *config_fixture_said(const struct config_fixture *fixture)
{
    return fixture->said.bytes == NULL ? "" : fixture->said.bytes;
}

/* Write `yaml` as the root file and load it as `refreshd check` does. */
static inline void config_fixture_check(struct config_fixture *fixture, const char *yaml)
{
    const struct config_options options = {.check_only = true};

    config_fixture_write(fixture, "root.yaml", yaml);
    config_fixture_load(fixture, "root.yaml", &options);
}

#endif
