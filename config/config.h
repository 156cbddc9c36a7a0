/* SPDX-License-Identifier: MIT
 *
 * config.h - one validated, immutable snapshot of the whole configuration (design section 5).
 *
 * Layer:  config. Loaded whole or not at all: config_load adds every error to the diagnostics and
 *         answers NULL, or answers a snapshot in which every reference resolves and every value is
 *         in its range. Nobody outside config/ sees YAML.
 * Memory: everything hangs off the snapshot's arena; config_release frees it at the last
 *         reference, so in-flight work may keep the one it started with.
 */
#ifndef REFRESHD_CONFIG_CONFIG_H
#define REFRESHD_CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/log_line.h"
#include "config/api_definition.h"
#include "config/diagnostics.h"
#include "config/secret.h"
#include "scheduler/settings.h"

struct consent_table;
struct inline_consents;
struct yaml_node;

#define CONSENT_LEADS_MAX 7

struct config_provider {
    const char *name;
    const char *api; /* as written: built-in name or path */
    const struct api_definition *definition;
    const char *base_url;  /* without a final slash */
    bool insecure;         /* http:// accepted beyond loopback */
    bool internal;         /* private addresses accepted */
    const char *auth_mode; /* one of the definition's modes */
    const char *token_url; /* NULL: definition's path on base_url, if any */
    const char *scope;     /* NULL */
    struct secret_reference client_id;
    struct secret_reference client_secret;
    struct secret_reference customer_secret; /* may hold {customer}; kind SECRET_NONE when absent */
    const char *proxy;                       /* NULL: none; never the environment's */
    const char *ca_file;                     /* NULL: the system's */
    int64_t connect_timeout_ms;
    int64_t request_timeout_ms;
    uint32_t body_bytes_max;            /* answers beyond this are bad answers */
    int64_t warn_ms[CONSENT_LEADS_MAX]; /* before a consent's end, the longest first */
    uint32_t warn_count;
    struct place place;
    struct limit_settings institution_default; /* template of the institution nodes */
    struct institution_settings *institutions; /* named entries, merged over the template */
    uint32_t institution_count;
};

struct config_schedule {
    const char *name;
    const char *cron;
    const char *timezone;
    int64_t look_back_ms;      /* -1: provider's default */
    int64_t look_until_ms;     /* -1: now */
    const char *heartbeat_url; /* NULL; reserved for the operators' issue: not parsed yet */
    struct place place;
};

enum export_format { EXPORT_CSV, EXPORT_JSON_LINES };

struct consent_source {
    const char *csv_path;    /* or NULL */
    const char *sqlite_path; /* or NULL */
    const char *query;       /* with sqlite_path */
    int64_t every_ms;        /* 0: only at start and reload */
    int max_shrink_percent;
    struct place place;
};

struct config {
    struct arena arena;
    uint32_t references;
    const char *root_path; /* absolute */
    /* Tells configurations apart: 128 bits of hash over the canonical form, lower-case hex. Finds
     * changes; it is no protection against a person who makes two texts collide. */
    char digest[33];

    struct {
        const char *database;
        int64_t retain_jobs_ms;
        int64_t retain_attempts_ms;
    } state;
    struct {
        const char *database;         /* NULL: none; path, or postgresql:// (refused until built) */
        const char *snapshot;         /* NULL */
        const char *export_directory; /* NULL */
        enum export_format export_format;
    } reporting;
    struct {
        const char *log; /* path or "-" */
        int64_t every_ms;
        enum log_format format;
    } summary;
    struct {
        const char *listen; /* NULL: no status surface */
        struct secret_reference token;
        const char *webhook_listen;     /* NULL */
        const char *webhook_public_url; /* NULL; without a final slash */
    } http;

    /* Index i of `providers` and `provider_settings` is the same provider; likewise schedules. */
    struct config_provider *providers;
    struct provider_settings *provider_settings;
    uint32_t provider_count;
    struct config_schedule *schedules;
    struct schedule_settings *schedule_settings;
    uint32_t schedule_count;

    const struct yaml_node *tree;            /* canonical, defaults included: for config_print */
    struct inline_consents *inline_consents; /* config_consents.h */

    struct consent_source *sources;
    uint32_t source_count;
    uint32_t inline_consent_count;
    int max_shrink_percent;
};

/* How to read it. All NULL/false for a plain load. */
struct config_options {
    const char *as_name;        /* check --as NAME=FILE: NAME relative to the root's folder... */
    const char *as_path;        /* ...is read from this file, whether NAME exists or not */
    bool check_only;            /* no secrets, no SQL; CSV read if there */
    struct utc_time now;        /* to warn of what is over; 0: not looked at */
    const char *zone_directory; /* NULL: /usr/share/zoneinfo */
};

/* Load `path` with its includes and, into `*consents` (may be NULL: not wanted), all consents of
 * all sources: inline, CSV, SQLite. Not wanted, only the inline ones are checked. Answers NULL
 * after at least one error in `diagnostics`; warnings alone do not stop it. */
struct config *config_load(const char *path, const struct config_options *options,
                           struct consent_table **consents, struct diagnostics *diagnostics);
/* The state database that the root file names, whatever else is wrong in it: a daemon that goes on
 * with the configuration it has can still be found. False: it names none that can be read. */
bool config_find_database(const char *path, char *database, size_t size);
struct config *config_retain(struct config *config);
void config_release(struct config *config);

/* The effective configuration as YAML that reads back to the same digest: keys in order, defaults
 * included, secrets as references, inline consents by provider and id. `with_origin` adds where
 * each value comes from as a comment. `consents` (may be NULL) adds how many consents each source
 * gave, as comments. Cut when memory runs out (`out->is_cut`). */
void config_print(const struct config *config, bool with_origin,
                  const struct consent_table *consents, struct text *out);

/* The same as one JSON object; numbers and booleans are JSON's, other values the texts of YAML. */
void config_print_json(const struct config *config, struct text *out);

/* Index of a name, or UINT32_MAX. */
uint32_t config_find_provider(const struct config *config, const char *name);
uint32_t config_find_schedule(const struct config *config, const char *name);

#endif
