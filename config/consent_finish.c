/* SPDX-License-Identifier: MIT
 * consent_finish.c - sort what was collected, find what must not be there twice, index it. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/consent_build.h"

/* --- Places and messages ------------------------------------------------------------------------
 */

static struct place place_of_row(const struct consent_build *build, uint32_t row)
{
    const struct config *config = build->config;
    uint32_t source = build->table->records[row].source;
    struct consent_row written;
    size_t offset = build->places[row];

    if (source < config->source_count) {
        const struct consent_source *from = &config->sources[source];

        return (struct place){from->csv_path != NULL ? from->csv_path : from->sqlite_path,
                              build->places[row], 0, "id"};
    }
    REQUIRE(inline_consents_next(config->inline_consents, &offset, &written));
    return consent_row_place(&written, CONSENT_FIELD_ID);
}

static void report_pair(struct consent_build *build, uint32_t first, uint32_t second,
                        const char *what)
{
    const struct consent_table *table = build->table;
    const struct consent_record *record = &table->records[second];
    struct place place = place_of_row(build, first);
    char id[CONSENT_ID_BYTES_MAX + 1];
    char first_id[CONSENT_ID_BYTES_MAX + 1];

    (void)consent_unpack_text(table->texts + record->text, id, NULL);
    (void)consent_unpack_text(table->texts + table->records[first].text, first_id, NULL);
    diagnostics_error(build->diagnostics, place_of_row(build, second),
                      "consent \"%s/%s\" %s \"%s\" at %s:%u:%u",
                      table->provider_names[consent_provider_of(table, record)], id, what, first_id,
                      place.file, place.line, place.column);
}

/* --- Institutions ---------------------------------------------------------------------------- */

static int compare_named(const void *key, const void *entry)
{
    return strcmp(key, ((const struct institution_settings *)entry)->name);
}

static int compare_institutions(const void *a_pointer, const void *b_pointer)
{
    const struct institution_settings *const *a = a_pointer;
    const struct institution_settings *const *b = b_pointer;

    if ((*a)->provider != (*b)->provider)
        return (*a)->provider < (*b)->provider ? -1 : 1;
    return strcmp((*a)->name, (*b)->name);
}

static void add_named(struct consent_build *build)
{
    const struct config *config = build->config;

    for (uint32_t i = 0; i < config->provider_count; i++)
        for (uint32_t j = 0; j < config->providers[i].institution_count; j++) {
            const char *name = config->providers[i].institutions[j].name;
            char key[sizeof i + 256];
            size_t length = strlen(name);
            bool is_new;

            memcpy(key, &i, sizeof i);
            memcpy(key + sizeof i, name, length);
            (void)intern_add(&build->institutions, key, sizeof i + length, &is_new);
        }
}

/* Limits: the entry of its name, else the provider's template. The windows stay with the
 * configuration, which outlives every table made of it (the daemon retains both together). */
static void fill_institution(struct consent_build *build, const struct intern_entry *entry,
                             struct institution_settings *out)
{
    const struct config_provider *provider;
    const struct institution_settings *named;

    memcpy(&out->provider, entry->key, sizeof out->provider);
    out->name = arena_copy_packed(&build->table->arena, entry->key + sizeof out->provider,
                                  entry->length - sizeof out->provider);
    REQUIRE(out->name != NULL);
    provider = &build->config->providers[out->provider];
    named = bsearch(out->name, provider->institutions, provider->institution_count, sizeof *named,
                    compare_named);
    out->limits = named != NULL ? named->limits : provider->institution_default;
}

static void make_institutions(struct consent_build *build)
{
    struct consent_table *table = build->table;
    struct institution_settings *unsorted;
    struct institution_settings **order;
    uint32_t *moved;
    uint32_t count;

    add_named(build);
    count = build->institutions.count;
    unsorted = calloc((size_t)count + 1, sizeof *unsorted);
    order = calloc((size_t)count + 1, sizeof *order);
    moved = calloc((size_t)count + 1, sizeof *moved);
    table->institutions = calloc((size_t)count + 1, sizeof *table->institutions);
    REQUIRE(unsorted != NULL && order != NULL && moved != NULL && table->institutions != NULL);
    for (uint32_t i = 0; i < count; i++) {
        fill_institution(build, &build->institutions.entries[i], &unsorted[i]);
        order[i] = &unsorted[i];
    }
    qsort(order, count, sizeof *order, compare_institutions);
    for (uint32_t i = 0; i < count; i++) {
        table->institutions[i] = *order[i];
        moved[order[i] - unsorted] = i;
    }
    for (uint32_t row = 0; row < table->count; row++)
        table->records[row].institution = moved[table->records[row].institution];
    table->institution_count = count;
    free(unsorted);
    free(order);
    free(moved);
}

static void make_sets(struct consent_build *build)
{
    struct consent_table *table = build->table;

    table->set_count = build->sets.count;
    table->sets = calloc((size_t)table->set_count + 1, sizeof *table->sets);
    REQUIRE(table->sets != NULL);
    for (uint32_t i = 0; i < table->set_count; i++) {
        const struct intern_entry *entry = &build->sets.entries[i];

        memcpy(table->sets[i].schedules, entry->key, entry->length);
        table->sets[i].count = (uint8_t)(entry->length / sizeof table->sets[i].schedules[0]);
    }
}

/* --- Sorting by provider and id: radix over eight bytes behind what all ids of a provider share
 * --- */

struct sort_key {
    uint64_t prefix;
    uint32_t row;
    uint32_t provider;
};

struct shared_prefix {
    char id[CONSENT_ID_BYTES_MAX + 1];
    size_t length;
    bool is_set;
};

static void narrow(struct shared_prefix *shared, const char *id)
{
    size_t i = 0;

    if (!shared->is_set) {
        strcpy(shared->id, id);
        shared->length = strlen(id);
        shared->is_set = true;
        return;
    }
    while (i < shared->length && shared->id[i] == id[i])
        i++;
    shared->length = i;
}

static uint64_t prefix_behind(const char *id, size_t length, size_t shared)
{
    uint64_t prefix = 0;

    for (size_t i = shared; i < shared + 8; i++)
        prefix = prefix << 8 | (i < length ? (unsigned char)id[i] : 0);
    return prefix;
}

/* Fill the keys; true when they stand in strictly increasing order already. */
static bool make_keys(const struct consent_table *table, struct sort_key *keys)
{
    struct shared_prefix *shared = calloc((size_t)table->provider_count + 1, sizeof *shared);
    char id[CONSENT_ID_BYTES_MAX + 1];
    bool is_sorted = true;
    size_t length;

    REQUIRE(shared != NULL);
    for (uint32_t row = 0; row < table->count; row++) {
        keys[row].row = row;
        keys[row].provider = consent_provider_of(table, &table->records[row]);
        if (shared[keys[row].provider].is_set && shared[keys[row].provider].length == 0)
            continue;
        (void)consent_unpack_text(table->texts + table->records[row].text, id, NULL);
        narrow(&shared[keys[row].provider], id);
    }
    for (uint32_t row = 0; row < table->count; row++) {
        struct sort_key *key = &keys[row];

        (void)consent_unpack_text(table->texts + table->records[row].text, id, &length);
        key->prefix = prefix_behind(id, length, shared[key->provider].length);
        if (row > 0 &&
            (key->provider < keys[row - 1].provider ||
             (key->provider == keys[row - 1].provider && key->prefix <= keys[row - 1].prefix)))
            is_sorted = false;
    }
    free(shared);
    return is_sorted;
}

static unsigned digit_of(const struct sort_key *key, unsigned pass)
{
    return pass == 4 ? key->provider & 0xFFFF : (unsigned)(key->prefix >> (16 * pass)) & 0xFFFF;
}

/* One stable pass over 16 bits; false when all keys agree in them and nothing moved. */
static bool radix_pass(const struct sort_key *from, struct sort_key *to, uint32_t count,
                       unsigned pass, uint32_t *starts)
{
    uint32_t start = 0;

    memset(starts, 0, 65536 * sizeof *starts);
    for (uint32_t i = 0; i < count; i++)
        starts[digit_of(&from[i], pass)]++;
    if (starts[digit_of(&from[0], pass)] == count)
        return false;
    for (uint32_t i = 0; i < 65536; i++) {
        uint32_t own = starts[i];

        starts[i] = start;
        start += own;
    }
    for (uint32_t i = 0; i < count; i++)
        to[starts[digit_of(&from[i], pass)]++] = from[i];
    return true;
}

static int compare_full(const void *a_pointer, const void *b_pointer, void *context)
{
    const struct sort_key *a = a_pointer;
    const struct sort_key *b = b_pointer;
    const struct consent_table *table = context;
    char a_id[CONSENT_ID_BYTES_MAX + 1];
    char b_id[CONSENT_ID_BYTES_MAX + 1];
    int order;

    (void)consent_unpack_text(table->texts + table->records[a->row].text, a_id, NULL);
    (void)consent_unpack_text(table->texts + table->records[b->row].text, b_id, NULL);
    order = strcmp(a_id, b_id);
    return order != 0 ? order : (a->row > b->row) - (a->row < b->row);
}

/* Ids that agree in those eight bytes too. */
static void sort_runs(struct consent_table *table, struct sort_key *keys)
{
    uint32_t start = 0;

    for (uint32_t i = 1; i <= table->count; i++) {
        if (i < table->count && keys[i].prefix == keys[start].prefix &&
            keys[i].provider == keys[start].provider)
            continue;
        if (i - start > 1)
            qsort_r(keys + start, i - start, sizeof *keys, compare_full, table);
        start = i;
    }
}

/* All texts of one consent. */
static size_t texts_length(const struct consent_table *table, const struct consent_record *record)
{
    const unsigned char *start = table->texts + record->text;
    const unsigned char *end = start + consent_packed_length(start);

    end += consent_packed_length(end);
    if ((record->flags & RECORD_HAS_EXTRA) != 0) {
        end += strlen((const char *)end) + 1;
        end += end[0] == SECRET_NONE ? 1 : strlen((const char *)end + 1) + 2;
    }
    return (size_t)(end - start);
}

/* Records, places and texts in the new order: whoever walks the rows then walks memory forward. */
static void apply_order(struct consent_build *build, const struct sort_key *keys)
{
    struct consent_table *table = build->table;
    struct consent_record *records = malloc((table->count + 1) * sizeof *records);
    uint32_t *places = malloc((table->count + 1) * sizeof *places);
    unsigned char *texts = calloc(1, table->text_bytes + CONSENT_TEXT_SLACK);
    size_t used = 0;

    REQUIRE(records != NULL && places != NULL && texts != NULL);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct consent_record *record = &table->records[keys[i].row];
        size_t length = texts_length(table, record);

        memcpy(texts + used, table->texts + record->text, length);
        records[i] = *record;
        records[i].text = (uint32_t)used;
        places[i] = build->places[keys[i].row];
        used += length;
    }
    free(table->records);
    free(build->places);
    free(table->texts);
    table->records = records;
    build->places = places;
    table->texts = texts;
    table->text_bytes = used;
    build->text_capacity = used + CONSENT_TEXT_SLACK;
}

static void sort_rows(struct consent_build *build)
{
    struct consent_table *table = build->table;
    struct sort_key *keys = malloc((table->count + 1) * sizeof *keys);
    struct sort_key *other;
    uint32_t *starts;

    REQUIRE(keys != NULL);
    if (!make_keys(table, keys)) {
        other = malloc((table->count + 1) * sizeof *other);
        starts = malloc(65536 * sizeof *starts);
        REQUIRE(other != NULL && starts != NULL);
        for (unsigned pass = 0; pass < 5; pass++)
            if (radix_pass(keys, other, table->count, pass, starts)) {
                struct sort_key *swap = keys;

                keys = other;
                other = swap;
            }
        free(other);
        free(starts);
        sort_runs(table, keys);
        apply_order(build, keys);
    }
    free(keys);
}

/* --- What must not be there twice ------------------------------------------------------------ */

static bool same_id(const struct consent_table *table, uint32_t a, uint32_t b)
{
    const struct consent_record *first = &table->records[a];
    const struct consent_record *second = &table->records[b];
    const unsigned char *text = table->texts + first->text;
    size_t length = consent_packed_length(text);

    return consent_provider_of(table, first) == consent_provider_of(table, second) &&
           memcmp(text, table->texts + second->text, length) == 0;
}

static void find_duplicates(struct consent_build *build)
{
    struct consent_table *table = build->table;
    uint32_t kept = 0; /* the one that holds among equals so far */

    for (uint32_t row = 1; row < table->count; row++) {
        if (!same_id(table, kept, row))
            ;
        else if ((table->records[row].flags & RECORD_OVERRIDE) != 0)
            table->records[kept].flags |= RECORD_REPLACED;
        else
            report_pair(build, kept, row, "is given twice; it was first given as");
        kept = row;
    }
}

static void drop_replaced(struct consent_build *build)
{
    struct consent_table *table = build->table;
    uint32_t to = 0;

    for (uint32_t row = 0; row < table->count; row++) {
        if ((table->records[row].flags & RECORD_REPLACED) != 0)
            continue;
        table->records[to] = table->records[row];
        table->records[to].flags &= (uint8_t)~RECORD_OVERRIDE;
        build->places[to] = build->places[row];
        table->sources[table->records[to].source].count++;
        to++;
    }
    table->count = to;
}

static uint32_t slots_for(uint32_t count)
{
    uint32_t slots = 16;

    while (slots / 4 < count / 3 + 1)
        slots *= 2;
    return slots;
}

/* What the provider takes for the same refresh, where that is not the consent's own id. */
struct flight_key {
    const unsigned char *customer; /* packed; NULL: does not count */
    size_t customer_length;
    uint32_t institution; /* UINT32_MAX: does not count */
    uint32_t provider;
    bool is_own_id;
};

static bool flight_key_of(const struct consent_build *build, uint32_t row, struct flight_key *key)
{
    const struct consent_table *table = build->table;
    const struct consent_record *record = &table->records[row];
    const unsigned char *text = table->texts + record->text;
    uint8_t fields;

    *key = (struct flight_key){.institution = UINT32_MAX,
                               .provider = consent_provider_of(table, record)};
    fields = build->config->providers[key->provider].definition->single_flight;
    if ((fields & API_KEY_ID) != 0)
        return false;
    if ((fields & API_KEY_CUSTOMER) != 0) {
        text += consent_packed_length(text);
        key->customer = text;
        key->customer_length = consent_packed_length(text);
        key->is_own_id = (record->flags & RECORD_OWN_CUSTOMER) != 0;
    }
    if ((fields & API_KEY_INSTITUTION) != 0)
        key->institution = record->institution;
    return true;
}

static bool same_flight(const struct flight_key *a, const struct flight_key *b)
{
    return a->provider == b->provider && a->institution == b->institution &&
           a->is_own_id == b->is_own_id && a->customer_length == b->customer_length &&
           (a->customer_length == 0 || memcmp(a->customer, b->customer, a->customer_length) == 0);
}

static void check_flight(struct consent_build *build, uint32_t row, uint32_t *slots, uint32_t mask)
{
    struct flight_key key;
    struct flight_key other;
    uint32_t slot;

    if (!flight_key_of(build, row, &key))
        return;
    slot = (uint32_t)hash_bytes(key.customer, key.customer_length,
                                ((uint64_t)key.institution << 32) ^ key.provider) &
           mask;
    for (; slots[slot] != 0; slot = (slot + 1) & mask) {
        if (flight_key_of(build, slots[slot] - 1, &other) && same_flight(&key, &other)) {
            report_pair(build, slots[slot] - 1, row,
                        "is for the API the same refresh (customer and institution) as");
            return;
        }
    }
    slots[slot] = row + 1;
}

static void find_shared_flights(struct consent_build *build)
{
    struct consent_table *table = build->table;
    uint32_t slot_count = slots_for(table->count);
    uint32_t *slots = NULL;

    for (uint32_t row = 0; row < table->count; row++) {
        if (slots == NULL) {
            struct flight_key key;

            if (!flight_key_of(build, row, &key))
                continue;
            slots = calloc(slot_count, sizeof *slots);
            REQUIRE(slots != NULL);
        }
        check_flight(build, row, slots, slot_count - 1);
    }
    free(slots);
}

/* --- The end
 * -----------------------------------------------------------------------------------------------
 */

static void make_index(struct consent_table *table)
{
    table->slot_count = slots_for(table->count);
    table->slots = calloc(table->slot_count, sizeof *table->slots);
    REQUIRE(table->slots != NULL);
    for (uint32_t row = 0; row < table->count; row++) {
        const struct consent_record *record = &table->records[row];
        uint32_t slot;

        slot = (uint32_t)consent_slot_hash(consent_provider_of(table, record),
                                           table->texts + record->text) &
               (table->slot_count - 1);
        while (table->slots[slot] != 0)
            slot = (slot + 1) & (table->slot_count - 1);
        table->slots[slot] = row + 1;
    }
}

/* Give back what growing took too much; the slack behind the last text stays (consent_table_find).
 */
static void trim(struct consent_build *build)
{
    struct consent_table *table = build->table;
    struct consent_record *records =
        realloc(table->records, ((size_t)table->count + 1) * sizeof *records);
    unsigned char *texts;

    if (records != NULL)
        table->records = records;
    if (build->text_capacity <= table->text_bytes + CONSENT_TEXT_SLACK)
        return;
    texts = realloc(table->texts, table->text_bytes + CONSENT_TEXT_SLACK);
    if (texts != NULL)
        table->texts = texts;
}

struct consent_table *consent_build_finish(struct consent_build *build, size_t errors_before)
{
    struct consent_table *table = build->table;

    make_institutions(build);
    make_sets(build);
    if (table->count > 0) {
        sort_rows(build);
        find_duplicates(build);
    }
    drop_replaced(build);
    if (build->diagnostics->error_count == errors_before)
        find_shared_flights(build);
    if (build->diagnostics->error_count > errors_before)
        return NULL;
    make_index(table);
    trim(build);
    build->table = NULL;
    return table;
}
