/* SPDX-License-Identifier: MIT
 *
 * consent_pack.h - the inside of a consent table, shared by its builder and its readers.
 *
 * Layer:  config, internal.
 * Texts:  one run of bytes per consent at `record.text`: id, customer, then, where the flag says
 *         so, tags and the reference to the customer's secret. Ids and customers are written as a
 *         length byte and the bytes, or as PACKED_UUID and 16 bytes.
 */
#ifndef REFRESHD_CONFIG_CONSENT_PACK_H
#define REFRESHD_CONFIG_CONSENT_PACK_H

#include "config/consent_table.h"

#define PACKED_UUID 0xFF
#define UUID_TEXT_LENGTH 36

/* consent_table_find compares a whole packed id at once: it may read this far past the last text.
 */
#define CONSENT_TEXT_SLACK 192

#define RECORD_MODE_MASK 0x03 /* enum consent_mode */
#define RECORD_OWN_CUSTOMER 0x04
#define RECORD_HAS_EXTRA 0x08
#define RECORD_OVERRIDE 0x40 /* while building: it replaces an earlier one */
#define RECORD_REPLACED 0x80 /* while building: a later one overrides it */

struct consent_record {
    int64_t expires_ms;    /* UTC_NEVER.ms: never */
    int64_t authorized_ms; /* UTC_NONE.ms: not known */
    uint32_t text;
    uint32_t institution;
    uint16_t schedule_set;
    uint16_t source;
    uint8_t priority;
    uint8_t flags;
};

struct consent_source_count {
    uint64_t identity; /* of what it reads: the same over reloads */
    uint32_t count;
};

struct consent_table {
    struct arena arena; /* names */
    struct consent_record *records;
    uint32_t count;
    unsigned char *texts;
    size_t text_bytes;
    uint32_t *slots;                           /* row + 1; 0: free */
    uint32_t slot_count;                       /* a power of two */
    struct institution_settings *institutions; /* by provider, then name */
    uint32_t institution_count;
    struct schedule_set *sets;
    uint32_t set_count;
    const char **provider_names;
    uint32_t provider_count;
    struct consent_source_count *sources; /* the last one: the inline consents */
    uint32_t source_count;                /* with that one */
};

/* Write `text` packed to `out` (room for length + 1 bytes, at least 17); answers the bytes used. */
size_t consent_pack_text(const char *text, size_t length, unsigned char *out);
/* Read one back, with a NUL; answers the bytes it took in the pack. `*length` may be NULL. */
size_t consent_unpack_text(const unsigned char *packed, char out[CONSENT_ID_BYTES_MAX + 1],
                           size_t *length);

/* Where (provider, packed id) starts its search in the slots. */
uint64_t consent_slot_hash(uint32_t provider, const unsigned char *packed);

static inline size_t consent_packed_length(const unsigned char *packed)
{
    return packed[0] == PACKED_UUID ? 17 : (size_t)packed[0] + 1;
}

static inline uint32_t consent_provider_of(const struct consent_table *table,
                                           const struct consent_record *record)
{
    return table->institutions[record->institution].provider;
}

#endif
