/* SPDX-License-Identifier: MIT
 * consent_table.c - read a finished table: unpack, find, compare with an older one. */
#include "config/consent_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/consent_pack.h"

/* --- Packed texts ------------------------------------------------------------------------------
 */

#define HEX_GOOD 0x10

/* The small hexadecimal digits, marked with HEX_GOOD. A table, because packing is a good part of
 * what reading a million consents costs. */
static const unsigned char hex_values[256] = {
    ['0'] = 0x10, ['1'] = 0x11, ['2'] = 0x12, ['3'] = 0x13, ['4'] = 0x14, ['5'] = 0x15,
    ['6'] = 0x16, ['7'] = 0x17, ['8'] = 0x18, ['9'] = 0x19, ['a'] = 0x1A, ['b'] = 0x1B,
    ['c'] = 0x1C, ['d'] = 0x1D, ['e'] = 0x1E, ['f'] = 0x1F,
};

/* Bytes between the dashes of 8-4-4-4-12 digits. */
static const unsigned char uuid_groups[] = {4, 2, 2, 2, 6};

/* Only the canonical form in small letters comes back byte for byte. */
static bool uuid_pack(const char *text, unsigned char out[16])
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned good = HEX_GOOD;

    if (text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
        return false;
    for (size_t group = 0; group < sizeof uuid_groups; group++, p++)
        for (unsigned i = 0; i < uuid_groups[group]; i++, p += 2) {
            unsigned high = hex_values[p[0]];
            unsigned low = hex_values[p[1]];

            good &= high & low;
            *out++ = (unsigned char)(high << 4 | (low & 15));
        }
    return good != 0;
}

static void uuid_unpack(const unsigned char *packed, char out[UUID_TEXT_LENGTH + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t group = 0; group < sizeof uuid_groups; group++) {
        for (unsigned i = 0; i < uuid_groups[group]; i++, packed++) {
            *out++ = digits[*packed >> 4];
            *out++ = digits[*packed & 15];
        }
        *out++ = '-';
    }
    out[-1] = '\0';
}

size_t consent_pack_text(const char *text, size_t length, unsigned char *out)
{
    REQUIRE(length <= CONSENT_ID_BYTES_MAX);
    if (length == UUID_TEXT_LENGTH && uuid_pack(text, out + 1)) {
        out[0] = PACKED_UUID;
        return 17;
    }
    out[0] = (unsigned char)length;
    memcpy(out + 1, text, length);
    return length + 1;
}

size_t consent_unpack_text(const unsigned char *packed, char out[CONSENT_ID_BYTES_MAX + 1],
                           size_t *length)
{
    size_t own = packed[0] == PACKED_UUID ? UUID_TEXT_LENGTH : packed[0];

    if (length != NULL)
        *length = own;
    if (packed[0] == PACKED_UUID) {
        uuid_unpack(packed + 1, out);
        return 17;
    }
    memcpy(out, packed + 1, own);
    out[own] = '\0';
    return own + 1;
}

uint64_t consent_slot_hash(uint32_t provider, const unsigned char *packed)
{
    return hash_bytes(packed, consent_packed_length(packed), provider);
}

/* --- Reading -----------------------------------------------------------------------------------
 */

uint32_t consent_table_count(const struct consent_table *table)
{
    return table->count;
}

static void fill_settings(const struct consent_table *table, const struct consent_record *record,
                          const char *id, size_t id_length, struct consent_settings *settings)
{
    const char *provider = table->provider_names[consent_provider_of(table, record)];
    char name[CONSENT_NAME_BYTES];
    size_t length = strlen(provider);

    memcpy(name, provider, length);
    name[length++] = '/';
    memcpy(name + length, id, id_length);
    *settings = (struct consent_settings){
        .hash = hash_bytes(name, length + id_length, 0),
        .institution = record->institution,
        .schedule_set = record->schedule_set,
        .priority = record->priority,
        .mode = record->flags & RECORD_MODE_MASK,
        .expires = {record->expires_ms},
        .authorized_at = {record->authorized_ms},
    };
}

void consent_table_settings(const struct consent_table *table, uint32_t row,
                            struct consent_settings *settings)
{
    const struct consent_record *record;
    char id[CONSENT_ID_BYTES_MAX + 1];
    size_t length;

    REQUIRE(row < table->count);
    record = &table->records[row];
    (void)consent_unpack_text(table->texts + record->text, id, &length);
    fill_settings(table, record, id, length, settings);
}

void consent_table_place(const struct consent_table *table, uint32_t row, uint32_t *institution,
                         uint16_t *schedule_set)
{
    REQUIRE(row < table->count);
    *institution = table->records[row].institution;
    *schedule_set = table->records[row].schedule_set;
}

void consent_table_get(const struct consent_table *table, uint32_t row, struct consent_view *view)
{
    const struct consent_record *record;
    const unsigned char *packed;
    size_t id_length;

    REQUIRE(row < table->count);
    record = &table->records[row];
    packed = table->texts + record->text;
    view->row = row;
    view->provider = consent_provider_of(table, record);
    view->institution = record->institution;
    view->institution_name = table->institutions[record->institution].name;
    packed += consent_unpack_text(packed, view->id, &id_length);
    packed += consent_unpack_text(packed, view->customer, NULL);
    view->customer_is_own_id = (record->flags & RECORD_OWN_CUSTOMER) != 0;
    view->customer_secret = (struct secret_reference){SECRET_NONE, NULL};
    view->tags = "";
    if ((record->flags & RECORD_HAS_EXTRA) != 0) {
        view->tags = (const char *)packed;
        packed += strlen(view->tags) + 1;
        view->customer_secret.kind = (enum secret_kind)packed[0];
        if (view->customer_secret.kind != SECRET_NONE)
            view->customer_secret.name = (const char *)packed + 1;
    }
    fill_settings(table, record, view->id, id_length, &view->settings);
}

uint32_t consent_table_find(const struct consent_table *table, uint32_t provider, const char *id)
{
    size_t length = strlen(id);
    unsigned char packed[CONSENT_ID_BYTES_MAX + 17];
    size_t packed_length;
    uint32_t slot;

    if (table->slot_count == 0 || length > CONSENT_ID_BYTES_MAX)
        return UINT32_MAX;
    packed_length = consent_pack_text(id, length, packed);
    slot = (uint32_t)consent_slot_hash(provider, packed) & (table->slot_count - 1);
    for (; table->slots[slot] != 0; slot = (slot + 1) & (table->slot_count - 1)) {
        const struct consent_record *record = &table->records[table->slots[slot] - 1];

        if (consent_provider_of(table, record) == provider &&
            memcmp(table->texts + record->text, packed, packed_length) == 0)
            return table->slots[slot] - 1;
    }
    return UINT32_MAX;
}

const struct institution_settings *consent_table_institutions(const struct consent_table *table,
                                                              uint32_t *count)
{
    *count = table->institution_count;
    return table->institutions;
}

const struct schedule_set *consent_table_schedule_sets(const struct consent_table *table,
                                                       uint32_t *count)
{
    *count = table->set_count;
    return table->sets;
}

uint32_t consent_table_source_count(const struct consent_table *table, uint32_t source)
{
    return source < table->source_count ? table->sources[source].count : 0;
}

size_t consent_table_bytes(const struct consent_table *table)
{
    return sizeof *table + table->count * sizeof *table->records + table->text_bytes +
           table->slot_count * sizeof *table->slots +
           table->institution_count * sizeof *table->institutions +
           table->set_count * sizeof *table->sets + table->source_count * sizeof *table->sources +
           table->arena.bytes_used;
}

void consent_table_destroy(struct consent_table *table)
{
    if (table == NULL)
        return;
    free(table->records);
    free(table->texts);
    free(table->slots);
    free(table->institutions);
    free(table->sets);
    free(table->sources);
    arena_deinit(&table->arena);
    free(table);
}

/* --- The shrink guard ----------------------------------------------------------------------------
 */

static uint32_t find_source(const struct consent_table *table, uint64_t identity)
{
    for (uint32_t i = 0; i < table->source_count; i++)
        if (table->sources[i].identity == identity)
            return i;
    return UINT32_MAX;
}

static uint32_t find_provider(const struct consent_table *table, const char *name)
{
    for (uint32_t i = 0; i < table->provider_count; i++)
        if (strcmp(table->provider_names[i], name) == 0)
            return i;
    return UINT32_MAX;
}

/* How many consents of the old table's sources the new one does not have. */
static void count_lost(const struct consent_table *old, const struct consent_table *new,
                       uint32_t *lost)
{
    for (uint32_t row = 0; row < old->count; row++) {
        const struct consent_record *record = &old->records[row];
        const char *name = old->provider_names[consent_provider_of(old, record)];
        uint32_t provider = find_provider(new, name);
        char id[CONSENT_ID_BYTES_MAX + 1];

        (void)consent_unpack_text(old->texts + record->text, id, NULL);
        if (provider == UINT32_MAX || consent_table_find(new, provider, id) == UINT32_MAX)
            lost[record->source]++;
    }
}

bool consent_table_shrink(const struct consent_table *old, const struct consent_table *new,
                          const struct config *config, struct consent_shrink *shrink)
{
    uint32_t *lost = calloc((size_t)old->source_count + 1, sizeof *lost);
    bool found = false;

    REQUIRE(lost != NULL);
    count_lost(old, new, lost);
    /* The last source is `consents:` itself: what a person takes out of it is meant. */
    for (uint32_t i = 0; i + 1 < old->source_count && !found; i++) {
        uint32_t source = find_source(new, old->sources[i].identity);
        int allowed;

        if (source >= config->source_count)
            continue; /* a person has taken the whole source out */
        allowed = config->sources[source].max_shrink_percent;
        found = (uint64_t)lost[i] * 100 > (uint64_t)old->sources[i].count * (unsigned)allowed;
        if (found)
            *shrink = (struct consent_shrink){source, old->sources[i].count, lost[i], allowed};
    }
    free(lost);
    return found;
}
