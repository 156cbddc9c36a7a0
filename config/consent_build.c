/* SPDX-License-Identifier: MIT
 * consent_build.c - check and pack one row after the other. */
#include "config/consent_build.h"

#include <stdlib.h>
#include <string.h>

#include "config/config_load.h"
#include "config/option_value.h"

#define TEXT_BYTES_MAX ((size_t)UINT32_MAX - 65536)
#define TAGS_BYTES_MAX 1000

/* --- Life ------------------------------------------------------------------------------------ */

static uint64_t source_identity(const struct consent_source *source)
{
    uint64_t hash = 1;

    if (source->csv_path != NULL)
        return hash_bytes(source->csv_path, strlen(source->csv_path), hash);
    if (source->sqlite_path != NULL)
        hash = hash_bytes(source->sqlite_path, strlen(source->sqlite_path), hash);
    if (source->query != NULL)
        hash = hash_bytes(source->query, strlen(source->query), hash);
    return hash;
}

static void copy_names(struct consent_table *table, const struct config *config)
{
    table->provider_count = config->provider_count;
    table->provider_names =
        arena_alloc(&table->arena, config->provider_count * sizeof *table->provider_names);
    REQUIRE(table->provider_names != NULL);
    for (uint32_t i = 0; i < config->provider_count; i++) {
        const char *name = config->providers[i].name;

        table->provider_names[i] = arena_copy_packed(&table->arena, name, strlen(name));
        REQUIRE(table->provider_names[i] != NULL);
    }
}

struct consent_build *consent_build_create(const struct config *config,
                                           struct diagnostics *diagnostics)
{
    struct consent_build *build = calloc(1, sizeof *build);
    struct consent_table *table = calloc(1, sizeof *table);

    REQUIRE(build != NULL && table != NULL);
    *build = (struct consent_build){.config = config, .diagnostics = diagnostics, .table = table};
    intern_init(&build->institutions);
    intern_init(&build->set_texts);
    intern_init(&build->sets);
    arena_init(&table->arena);
    table->source_count = config->source_count + 1;
    table->sources = calloc(table->source_count, sizeof *table->sources);
    REQUIRE(table->sources != NULL);
    for (uint32_t i = 0; i < config->source_count; i++)
        table->sources[i].identity = source_identity(&config->sources[i]);
    copy_names(table, config);
    for (unsigned field = 0; field < CONSENT_FIELD_COUNT; field++) {
        char path[64] = "consents[].";

        strcat(path, consent_field_name((enum consent_field)field));
        build->options[field] = option_find(path);
        REQUIRE(build->options[field] != NULL);
    }
    return build;
}

void consent_build_destroy(struct consent_build *build)
{
    if (build == NULL)
        return;
    consent_table_destroy(build->table);
    intern_deinit(&build->institutions);
    intern_deinit(&build->set_texts);
    intern_deinit(&build->sets);
    free(build->places);
    free(build);
}

/* --- Cells ---------------------------------------------------------------------------------------
 */

static bool is_given(const struct consent_row *row, enum consent_field field)
{
    return row->cells[field].text != NULL && row->cells[field].length > 0;
}

static void fail_cell(struct consent_build *build, const struct consent_row *row,
                      enum consent_field field, const char *message)
{
    diagnostics_error(build->diagnostics, consent_row_place(row, field), "%s", message);
}

/* Read a cell by the type that the option table gives its field. */
static bool read_cell(struct consent_build *build, const struct consent_row *row,
                      enum consent_field field, struct option_value *value)
{
    const struct consent_cell *cell = &row->cells[field];
    struct text problem;

    if (option_value_parse(build->options[field], cell->text, cell->length, value, NULL, NULL))
        return true;
    text_init(&problem, 1500);
    (void)option_value_parse(build->options[field], cell->text, cell->length, value, NULL,
                             &problem);
    fail_cell(build, row, field, problem.bytes == NULL ? "not valid" : problem.bytes);
    text_deinit(&problem);
    return false;
}

/* Ids and customers: kept whole or refused. */
static bool check_id(struct consent_build *build, const struct consent_row *row,
                     enum consent_field field)
{
    const struct consent_cell *cell = &row->cells[field];

    if (cell->length > CONSENT_ID_BYTES_MAX)
        diagnostics_error(build->diagnostics, consent_row_place(row, field),
                          "%u bytes; at most %d are allowed", cell->length, CONSENT_ID_BYTES_MAX);
    else if (!option_text_is_clean(cell->text, cell->length) ||
             memchr(cell->text, ' ', cell->length) != NULL)
        fail_cell(build, row, field,
                  "blanks, control characters and bytes that are not UTF-8 are not allowed");
    else
        return true;
    return false;
}

static bool find_provider(struct consent_build *build, const struct consent_row *row,
                          uint32_t *provider)
{
    const struct consent_cell *cell = &row->cells[CONSENT_FIELD_PROVIDER];
    const struct config *config = build->config;

    for (uint32_t i = 0; i < config->provider_count; i++) {
        uint32_t index = (build->last_provider + i) % config->provider_count;
        const char *name = config->providers[index].name;

        if (strncmp(name, cell->text, cell->length) == 0 && name[cell->length] == '\0') {
            build->last_provider = index;
            *provider = index;
            return true;
        }
    }
    diagnostics_error(build->diagnostics, consent_row_place(row, CONSENT_FIELD_PROVIDER),
                      "there is no provider \"%.*s\" in this configuration",
                      cell->length > 64 ? 64 : (int)cell->length, cell->text);
    return false;
}

/* --- Institutions and schedules -------------------------------------------------------------- */

static bool find_institution(struct consent_build *build, const struct consent_row *row,
                             uint32_t provider, uint32_t *institution)
{
    const struct consent_cell *cell = &row->cells[CONSENT_FIELD_INSTITUTION];
    char key[sizeof provider + 128];
    struct option_value value;
    size_t length = 1;
    bool is_new;

    memcpy(key, &provider, sizeof provider);
    key[sizeof provider] = '-';
    if (is_given(row, CONSENT_FIELD_INSTITUTION)) {
        if (!read_cell(build, row, CONSENT_FIELD_INSTITUTION, &value))
            return false;
        length = cell->length;
        memcpy(key + sizeof provider, cell->text, length);
    }
    *institution = intern_add(&build->institutions, key, sizeof provider + length, &is_new);
    return true;
}

static uint32_t find_schedule(const struct config *config, const char *name, size_t length)
{
    for (uint32_t i = 0; i < config->schedule_count; i++)
        if (strncmp(config->schedules[i].name, name, length) == 0 &&
            config->schedules[i].name[length] == '\0')
            return i;
    return UINT32_MAX;
}

static void set_add(struct schedule_set *set, uint16_t schedule)
{
    unsigned at = 0;

    while (at < set->count && set->schedules[at] < schedule)
        at++;
    if (at < set->count && set->schedules[at] == schedule)
        return;
    memmove(&set->schedules[at + 1], &set->schedules[at],
            (set->count - at) * sizeof set->schedules[0]);
    set->schedules[at] = schedule;
    set->count++;
}

/* The schedules of a cell, each once, in order. */
static bool read_set(struct consent_build *build, const struct consent_row *row,
                     struct schedule_set *set)
{
    const struct consent_cell *cell = &row->cells[CONSENT_FIELD_SCHEDULE];
    bool good = true;
    size_t i = 0;

    while (i < cell->length) {
        size_t start = i;
        uint32_t schedule;

        while (i < cell->length && cell->text[i] != ' ')
            i++;
        if (i == start) {
            i++;
            continue;
        }
        schedule = find_schedule(build->config, cell->text + start, i - start);
        if (schedule == UINT32_MAX) {
            diagnostics_error(build->diagnostics, consent_row_place(row, CONSENT_FIELD_SCHEDULE),
                              "there is no schedule \"%.*s\" in this configuration",
                              i - start > 64 ? 64 : (int)(i - start), cell->text + start);
            good = false;
        } else if (set->count == SCHEDULES_PER_CONSENT_MAX) {
            diagnostics_error(build->diagnostics, consent_row_place(row, CONSENT_FIELD_SCHEDULE),
                              "more than %d schedules", SCHEDULES_PER_CONSENT_MAX);
            return false;
        } else {
            set_add(set, (uint16_t)schedule);
        }
    }
    return good;
}

static bool find_set(struct consent_build *build, const struct consent_row *row, uint16_t *out)
{
    static const char none[] = "";
    struct consent_cell cell = row->cells[CONSENT_FIELD_SCHEDULE];
    struct schedule_set set = {{0}, 0};
    uint32_t text;
    uint32_t number;
    bool is_new;

    if (!is_given(row, CONSENT_FIELD_SCHEDULE))
        cell = (struct consent_cell){.text = none};
    text = intern_add(&build->set_texts, cell.text, cell.length, &is_new);
    if (!is_new && build->set_texts.entries[text].value != UINT32_MAX) {
        *out = (uint16_t)build->set_texts.entries[text].value;
        return true;
    }
    build->set_texts.entries[text].value = UINT32_MAX;
    if (!read_set(build, row, &set))
        return false;
    number = intern_add(&build->sets, set.schedules, set.count * sizeof set.schedules[0], &is_new);
    if (number > UINT16_MAX) {
        fail_cell(build, row, CONSENT_FIELD_SCHEDULE,
                  "more than 65536 different combinations of schedules");
        return false;
    }
    build->set_texts.entries[text].value = number;
    *out = (uint16_t)number;
    return true;
}

/* --- What the API asks for ------------------------------------------------------------------- */

static bool check_requirements(struct consent_build *build, const struct consent_row *row,
                               uint32_t provider)
{
    const struct api_definition *definition = build->config->providers[provider].definition;
    bool has_customer = is_given(row, CONSENT_FIELD_CUSTOMER);
    bool has_own_id = is_given(row, CONSENT_FIELD_CUSTOMER_OWN_ID);
    size_t errors_before = build->diagnostics->error_count;
    struct place place = consent_row_place(row, CONSENT_FIELD_ID);

    if (has_customer && has_own_id)
        fail_cell(build, row, CONSENT_FIELD_CUSTOMER_OWN_ID,
                  "give either customer or customer_own_id, not both");
    if (definition == NULL)
        return false; /* reported with the provider */
    if (has_own_id && !definition->allows_own_customer_id)
        diagnostics_error(build->diagnostics, consent_row_place(row, CONSENT_FIELD_CUSTOMER_OWN_ID),
                          "API %s knows no customer ids of ours; use customer", definition->name);
    if ((definition->consent_requires & API_KEY_CUSTOMER) != 0 && !has_customer && !has_own_id)
        diagnostics_error(build->diagnostics, place, "API %s needs a customer%s", definition->name,
                          definition->allows_own_customer_id ? " or a customer_own_id" : "");
    if ((definition->consent_requires & API_KEY_INSTITUTION) != 0 &&
        !is_given(row, CONSENT_FIELD_INSTITUTION))
        diagnostics_error(build->diagnostics, place, "API %s needs an institution",
                          definition->name);
    if (is_given(row, CONSENT_FIELD_CUSTOMER_SECRET) && !definition->uses_customer_secret)
        diagnostics_error(build->diagnostics, consent_row_place(row, CONSENT_FIELD_CUSTOMER_SECRET),
                          "API %s takes no secrets of customers", definition->name);
    return build->diagnostics->error_count == errors_before;
}

static bool read_mode(struct consent_build *build, const struct consent_row *row, uint32_t provider,
                      uint8_t *mode)
{
    const struct api_definition *definition = build->config->providers[provider].definition;
    struct option_value value = {0};

    if (is_given(row, CONSENT_FIELD_MODE) && !read_cell(build, row, CONSENT_FIELD_MODE, &value))
        return false;
    *mode = (uint8_t)value.number;
    if (*mode != MODE_ACTIVE || definition == NULL || definition->is_unattended)
        return true;
    diagnostics_error(build->diagnostics, consent_row_place(row, CONSENT_FIELD_MODE),
                      "API %s may not be refreshed without the customer: mode must be listen or "
                      "off",
                      definition->name);
    return false;
}

/* --- Extras: tags and the customer's own secret ---------------------------------------------- */

/* "file:PATH" and so on; anything else may be the secret itself and is not quoted. */
static bool read_secret(struct consent_build *build, const struct consent_row *row,
                        struct arena *arena, struct secret_reference *out)
{
    const struct consent_cell *cell = &row->cells[CONSENT_FIELD_CUSTOMER_SECRET];
    const char *colon = memchr(cell->text, ':', cell->length);
    size_t word = colon == NULL ? 0 : (size_t)(colon - cell->text);
    const char *name;

    *out = (struct secret_reference){SECRET_NONE, NULL};
    if (word == 4 && memcmp(cell->text, "file", 4) == 0)
        out->kind = SECRET_FILE;
    else if (!row->is_table && word == 3)
        out->kind = SECRET_ENV;
    else if (!row->is_table && word == 10)
        out->kind = SECRET_CREDENTIAL;
    if (out->kind == SECRET_NONE || cell->length == word + 1 ||
        !option_text_is_clean(cell->text, cell->length) || cell->length > 4000) {
        fail_cell(build, row, CONSENT_FIELD_CUSTOMER_SECRET,
                  "a secret may not stand here: write file:PATH and keep the secret in that file");
        return false;
    }
    name = arena_copy_packed(arena, colon + 1, cell->length - word - 1);
    if (name != NULL && out->kind == SECRET_FILE)
        name = config_path_resolve(arena, row->file, name);
    REQUIRE(name != NULL);
    out->name = name;
    return true;
}

static bool check_tags(struct consent_build *build, const struct consent_row *row)
{
    const struct consent_cell *cell = &row->cells[CONSENT_FIELD_TAGS];

    if (cell->length <= TAGS_BYTES_MAX && option_text_is_clean(cell->text, cell->length))
        return true;
    diagnostics_error(build->diagnostics, consent_row_place(row, CONSENT_FIELD_TAGS),
                      "tags are at most %d bytes of UTF-8 without control characters",
                      TAGS_BYTES_MAX);
    return false;
}

/* --- One row --------------------------------------------------------------------------------- */

static void reserve(struct consent_build *build, size_t text_bytes)
{
    struct consent_table *table = build->table;

    if (table->count == build->record_capacity) {
        size_t capacity = build->record_capacity * 2 + 1024;

        table->records = realloc(table->records, capacity * sizeof *table->records);
        build->places = realloc(build->places, capacity * sizeof *build->places);
        REQUIRE(table->records != NULL && build->places != NULL);
        build->record_capacity = capacity;
    }
    if (build->text_capacity - table->text_bytes < text_bytes + CONSENT_TEXT_SLACK) {
        size_t capacity = build->text_capacity * 2 + 65536 + text_bytes;

        table->texts = realloc(table->texts, capacity);
        REQUIRE(table->texts != NULL);
        memset(table->texts + build->text_capacity, 0, capacity - build->text_capacity);
        build->text_capacity = capacity;
    }
}

static void put_bytes(struct consent_table *table, const void *bytes, size_t length)
{
    if (length > 0)
        memcpy(table->texts + table->text_bytes, bytes, length);
    table->text_bytes += length;
}

static void put_texts(struct consent_build *build, const struct consent_row *row,
                      const struct secret_reference *secret, struct consent_record *record)
{
    const struct consent_cell *id = &row->cells[CONSENT_FIELD_ID];
    const struct consent_cell *customer = &row->cells[CONSENT_FIELD_CUSTOMER];
    const struct consent_cell *tags = &row->cells[CONSENT_FIELD_TAGS];
    struct consent_table *table = build->table;
    bool has_tags = is_given(row, CONSENT_FIELD_TAGS);
    size_t secret_length = secret->kind == SECRET_NONE ? 0 : strlen(secret->name) + 1;

    if (is_given(row, CONSENT_FIELD_CUSTOMER_OWN_ID)) {
        customer = &row->cells[CONSENT_FIELD_CUSTOMER_OWN_ID];
        record->flags |= RECORD_OWN_CUSTOMER;
    }
    reserve(build, 2 * (CONSENT_ID_BYTES_MAX + 2) + TAGS_BYTES_MAX + 2 + secret_length);
    record->text = (uint32_t)table->text_bytes;
    table->text_bytes += consent_pack_text(id->text, id->length, table->texts + table->text_bytes);
    table->text_bytes += consent_pack_text(customer->text == NULL ? "" : customer->text,
                                           customer->length, table->texts + table->text_bytes);
    if (!has_tags && secret->kind == SECRET_NONE)
        return;
    record->flags |= RECORD_HAS_EXTRA;
    put_bytes(table, tags->text, has_tags ? tags->length : 0);
    put_bytes(table, "", 1);
    table->texts[table->text_bytes++] = (unsigned char)secret->kind;
    put_bytes(table, secret->name, secret_length);
}

/* The fields that need the provider. */
static bool read_by_provider(struct consent_build *build, const struct consent_row *row,
                             uint32_t provider, struct consent_record *record)
{
    uint8_t mode = MODE_ACTIVE;
    bool good = check_requirements(build, row, provider);

    good &= find_institution(build, row, provider, &record->institution);
    good &= read_mode(build, row, provider, &mode);
    record->flags = mode;
    return good;
}

/* The others: they are judged even where the provider is wrong. */
static bool read_row(struct consent_build *build, const struct consent_row *row,
                     struct consent_record *record)
{
    struct option_value value;
    bool good = find_set(build, row, &record->schedule_set);

    if (is_given(row, CONSENT_FIELD_EXPIRES)) {
        good &= read_cell(build, row, CONSENT_FIELD_EXPIRES, &value);
        record->expires_ms = value.instant.ms;
    }
    if (is_given(row, CONSENT_FIELD_AUTHORIZED_AT)) {
        good &= read_cell(build, row, CONSENT_FIELD_AUTHORIZED_AT, &value);
        record->authorized_ms = value.instant.ms;
    }
    if (is_given(row, CONSENT_FIELD_PRIORITY)) {
        good &= read_cell(build, row, CONSENT_FIELD_PRIORITY, &value);
        record->priority = (uint8_t)value.number;
    }
    return good;
}

static bool check_texts(struct consent_build *build, const struct consent_row *row)
{
    bool good = true;

    if (!is_given(row, CONSENT_FIELD_ID)) {
        fail_cell(build, row, CONSENT_FIELD_ID, "the id is missing");
        good = false;
    } else {
        good &= check_id(build, row, CONSENT_FIELD_ID);
    }
    if (is_given(row, CONSENT_FIELD_CUSTOMER))
        good &= check_id(build, row, CONSENT_FIELD_CUSTOMER);
    if (is_given(row, CONSENT_FIELD_CUSTOMER_OWN_ID))
        good &= check_id(build, row, CONSENT_FIELD_CUSTOMER_OWN_ID);
    if (is_given(row, CONSENT_FIELD_TAGS))
        good &= check_tags(build, row);
    if (!is_given(row, CONSENT_FIELD_PROVIDER)) {
        fail_cell(build, row, CONSENT_FIELD_PROVIDER, "the provider is missing");
        good = false;
    }
    return good;
}

/* Of a row that is refused already: do the names in it exist? */
static void check_names(struct consent_build *build, const struct consent_row *row)
{
    uint32_t provider;
    uint16_t set;

    if (is_given(row, CONSENT_FIELD_PROVIDER))
        (void)find_provider(build, row, &provider);
    if (is_given(row, CONSENT_FIELD_SCHEDULE))
        (void)find_set(build, row, &set);
}

void consent_build_add(struct consent_build *build, uint32_t source, uint32_t origin,
                       const struct consent_row *row)
{
    struct consent_record record = {.expires_ms = UTC_NEVER.ms,
                                    .authorized_ms = UTC_NONE.ms,
                                    .source = (uint16_t)source,
                                    .priority = PRIORITY_FROM_SCHEDULE};
    struct secret_reference secret = {SECRET_NONE, NULL};
    struct arena scratch;
    uint32_t provider = 0;
    bool good;

    if (row->is_broken) {
        check_names(build, row);
        return;
    }
    good = check_texts(build, row);
    arena_init(&scratch);
    good &= is_given(row, CONSENT_FIELD_PROVIDER) && find_provider(build, row, &provider) &&
            read_by_provider(build, row, provider, &record);
    good &= read_row(build, row, &record);
    if (is_given(row, CONSENT_FIELD_CUSTOMER_SECRET))
        good &= read_secret(build, row, &scratch, &secret);
    if (good && build->table->text_bytes > TEXT_BYTES_MAX) {
        fail_cell(build, row, CONSENT_FIELD_ID, "too many consents: their texts pass 4 GiB");
        good = false;
    }
    if (good) {
        if (row->is_override)
            record.flags |= RECORD_OVERRIDE;
        put_texts(build, row, &secret, &record);
        build->places[build->table->count] = origin;
        build->table->records[build->table->count++] = record;
    }
    arena_deinit(&scratch);
}
