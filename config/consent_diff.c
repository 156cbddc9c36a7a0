/* SPDX-License-Identifier: MIT
 * consent_diff.c - see consent_diff.h. */
#include "config/consent_diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SET_TEXT_BYTES 2048
#define DETAIL_BYTES ((size_t)8192)

struct side {
    const struct config *config;
    const struct consent_table *table;
    const struct schedule_set *sets;
    uint32_t set_count;
    uint32_t *providers; /* index on the other side by index here; UINT32_MAX */
    struct consent_view view;
};

struct diff {
    struct side old;
    struct side new;
    bool compare_secrets;
    char *same_set; /* [old set * new.set_count + new set] */
    struct text detail;
    consent_change_function *on_change;
    void *context;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "nightly weekly", sorted; "-" for none. */
static void set_text(const struct side *side, uint32_t index, char text[SET_TEXT_BYTES])
{
    const char *names[SCHEDULES_PER_CONSENT_MAX] = {0};
    uint8_t count = index < side->set_count ? side->sets[index].count : 0;
    size_t length = 0;

    for (uint8_t i = 0; i < count; i++)
        names[i] = side->config->schedules[side->sets[index].schedules[i]].name;
    qsort(names, count, sizeof *names, compare_names);
    (void)snprintf(text, SET_TEXT_BYTES, "-");
    for (uint8_t i = 0; i < count && length < SET_TEXT_BYTES; i++)
        length += (size_t)snprintf(text + length, SET_TEXT_BYTES - length, "%s%s",
                                   i == 0 ? "" : " ", names[i]);
}

static void open_side(struct side *side, const struct config *config,
                      const struct consent_table *table, const struct config *other)
{
    side->config = config;
    side->table = table;
    side->sets = consent_table_schedule_sets(table, &side->set_count);
    side->providers = calloc((size_t)config->provider_count + 1, sizeof *side->providers);
    REQUIRE(side->providers != NULL);
    for (uint32_t i = 0; i < config->provider_count; i++)
        side->providers[i] = config_find_provider(other, config->providers[i].name);
}

/* Most consents share a few sets: these are compared once. */
static void compare_sets(struct diff *diff)
{
    char old_text[SET_TEXT_BYTES];
    char new_text[SET_TEXT_BYTES];

    diff->same_set = calloc((size_t)diff->old.set_count * diff->new.set_count + 1, 1);
    REQUIRE(diff->same_set != NULL);
    for (uint32_t i = 0; i < diff->old.set_count; i++) {
        set_text(&diff->old, i, old_text);
        for (uint32_t k = 0; k < diff->new.set_count; k++) {
            set_text(&diff->new, k, new_text);
            diff->same_set[(size_t)i * diff->new.set_count + k] = strcmp(old_text, new_text) == 0;
        }
    }
}

static bool same_set(const struct diff *diff)
{
    uint32_t old = diff->old.view.settings.schedule_set;
    uint32_t new = diff->new.view.settings.schedule_set;

    if (old >= diff->old.set_count || new >= diff->new.set_count)
        return old >= diff->old.set_count && new >= diff->new.set_count;
    return diff->same_set[(size_t)old * diff->new.set_count + new] != 0;
}

static void add_detail(struct diff *diff, const char *what, const char *from, const char *to)
{
    text_append_format(&diff->detail, "%s%s %s -> %s", diff->detail.length == 0 ? "" : ", ", what,
                       from[0] == '\0' ? "-" : from, to[0] == '\0' ? "-" : to);
}

static void add_instant(struct diff *diff, const char *what, struct utc_time from,
                        struct utc_time to)
{
    char from_text[UTC_TEXT_SIZE] = "-";
    char to_text[UTC_TEXT_SIZE] = "-";

    if (from.ms == to.ms)
        return;
    if (from.ms != UTC_NEVER.ms && from.ms != UTC_NONE.ms)
        (void)utc_text(from, from_text);
    if (to.ms != UTC_NEVER.ms && to.ms != UTC_NONE.ms)
        (void)utc_text(to, to_text);
    add_detail(diff, what, from_text, to_text);
}

static bool add_move(struct diff *diff)
{
    const struct consent_view *old = &diff->old.view;
    const struct consent_view *new = &diff->new.view;
    char old_text[SET_TEXT_BYTES];
    char new_text[SET_TEXT_BYTES];

    if (strcmp(old->institution_name, new->institution_name) != 0)
        add_detail(diff, "institution", old->institution_name, new->institution_name);
    if (!same_set(diff)) {
        set_text(&diff->old, old->settings.schedule_set, old_text);
        set_text(&diff->new, new->settings.schedule_set, new_text);
        add_detail(diff, "schedule", old_text, new_text);
    }
    if (old->settings.mode != new->settings.mode)
        add_detail(diff, "mode", consent_mode_text((enum consent_mode)old->settings.mode),
                   consent_mode_text((enum consent_mode) new->settings.mode));
    return diff->detail.length > 0;
}

static void priority_text(uint8_t priority, char text[16])
{
    (void)snprintf(text, 16, priority == PRIORITY_FROM_SCHEDULE ? "-" : "%u", priority);
}

static bool same_secret(const struct secret_reference *a, const struct secret_reference *b)
{
    return a->kind == b->kind && (a->kind == SECRET_NONE || strcmp(a->name, b->name) == 0);
}

static void add_changes(struct diff *diff)
{
    const struct consent_view *old = &diff->old.view;
    const struct consent_view *new = &diff->new.view;
    char old_text[16];
    char new_text[16];

    add_instant(diff, "expires", old->settings.expires, new->settings.expires);
    add_instant(diff, "authorized_at", old->settings.authorized_at, new->settings.authorized_at);
    if (old->settings.priority != new->settings.priority) {
        priority_text(old->settings.priority, old_text);
        priority_text(new->settings.priority, new_text);
        add_detail(diff, "priority", old_text, new_text);
    }
    if (strcmp(old->customer, new->customer) != 0 ||
        old->customer_is_own_id != new->customer_is_own_id)
        add_detail(diff, new->customer_is_own_id ? "customer_own_id" : "customer", old->customer,
                   new->customer);
    if (strcmp(old->tags, new->tags) != 0)
        add_detail(diff, "tags", old->tags, new->tags);
    if (diff->compare_secrets && !same_secret(&old->customer_secret, &new->customer_secret))
        add_detail(diff, "customer_secret",
                   old->customer_secret.kind == SECRET_NONE ? "" : old->customer_secret.name,
                   new->customer_secret.kind == SECRET_NONE ? "" : new->customer_secret.name);
}

static void tell(struct diff *diff, enum consent_change_kind kind, const struct side *side,
                 const char *detail, struct utc_time old_expires, struct utc_time new_expires)
{
    char name[CONSENT_NAME_BYTES];
    const struct consent_change change = {.kind = kind,
                                          .consent = name,
                                          .detail = detail == NULL ? "" : detail,
                                          .old_expires = old_expires,
                                          .new_expires = new_expires};

    (void)snprintf(name, sizeof name, "%s/%s", side->config->providers[side->view.provider].name,
                   side->view.id);
    diff->on_change(diff->context, &change);
}

/* A row of the old table against the new one. */
static void compare_row(struct diff *diff, uint32_t row)
{
    uint32_t provider;
    uint32_t other = UINT32_MAX;
    bool is_moved;

    consent_table_get(diff->old.table, row, &diff->old.view);
    provider = diff->old.providers[diff->old.view.provider];
    if (provider != UINT32_MAX)
        other = consent_table_find(diff->new.table, provider, diff->old.view.id);
    if (other == UINT32_MAX) {
        tell(diff, CONSENT_DIFF_REMOVED, &diff->old, NULL, diff->old.view.settings.expires,
             UTC_NEVER);
        return;
    }
    consent_table_get(diff->new.table, other, &diff->new.view);
    text_clear(&diff->detail);
    is_moved = add_move(diff);
    add_changes(diff);
    if (diff->detail.length > 0)
        tell(diff, is_moved ? CONSENT_DIFF_MOVED : CONSENT_DIFF_CHANGED, &diff->new,
             diff->detail.bytes, diff->old.view.settings.expires, diff->new.view.settings.expires);
}

static void look_for_new(struct diff *diff, uint32_t row)
{
    uint32_t provider;

    consent_table_get(diff->new.table, row, &diff->new.view);
    provider = diff->new.providers[diff->new.view.provider];
    if (provider == UINT32_MAX ||
        consent_table_find(diff->old.table, provider, diff->new.view.id) == UINT32_MAX)
        tell(diff, CONSENT_DIFF_ADDED, &diff->new, NULL, UTC_NEVER,
             diff->new.view.settings.expires);
}

void consent_diff(const struct config *old_config, const struct consent_table *old,
                  bool old_has_secrets, const struct config *new_config,
                  const struct consent_table *new, consent_change_function *on_change,
                  void *context)
{
    struct diff diff = {
        .compare_secrets = old_has_secrets, .on_change = on_change, .context = context};

    open_side(&diff.old, old_config, old, new_config);
    open_side(&diff.new, new_config, new, old_config);
    compare_sets(&diff);
    text_init(&diff.detail, DETAIL_BYTES);
    for (uint32_t row = 0; row < consent_table_count(old); row++)
        compare_row(&diff, row);
    for (uint32_t row = 0; row < consent_table_count(new); row++)
        look_for_new(&diff, row);
    text_deinit(&diff.detail);
    free(diff.same_set);
    free(diff.old.providers);
    free(diff.new.providers);
}
