/* SPDX-License-Identifier: MIT
 * zone_parse.c - TZif bytes into a zone; see zone.h. Layout: RFC 9636 section 3. */
#include "base/zone.h"

#include <string.h>

#define HEADER_BYTES 44
#define TYPE_BYTES 6
/* Real files hold at most a few hundred. A bound keeps look-ups near a change short. */
#define TRANSITIONS_MAX 4096
#define TYPES_MAX 256

struct header {
    unsigned char version;
    uint32_t ut_count;       /* UT/local indicators */
    uint32_t standard_count; /* standard/wall indicators */
    uint32_t leap_count;
    uint32_t transition_count;
    uint32_t type_count;
    uint32_t text_bytes; /* of all abbreviations */
};

/* What is being read. `time_bytes` is 4 in version 1 blocks, 8 in later ones. */
struct reader {
    const unsigned char *bytes;
    size_t length;
    size_t offset;
    struct fault *fault;
};

static enum result malformed(const struct reader *reader, const char *what)
{
    return fault_set(reader->fault, FAULT_DATA, "not a good time zone file: %s", what);
}

static int64_t big_endian(const unsigned char *bytes, size_t count)
{
    /* Start from the sign so that 4 bytes give a negative 64-bit number where they should. */
    uint64_t value = bytes[0] >= 0x80 ? UINT64_MAX : 0;

    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return (int64_t)value;
}

static uint32_t read_count(const unsigned char *bytes)
{
    return (uint32_t)big_endian(bytes, 4);
}

static enum result read_header(struct reader *reader, struct header *out)
{
    const unsigned char *bytes = reader->bytes + reader->offset;

    if (reader->length - reader->offset < HEADER_BYTES || memcmp(bytes, "TZif", 4) != 0)
        return malformed(reader, "no TZif header where one belongs");
    *out = (struct header){
        .version = bytes[4],
        .ut_count = read_count(bytes + 20),
        .standard_count = read_count(bytes + 24),
        .leap_count = read_count(bytes + 28),
        .transition_count = read_count(bytes + 32),
        .type_count = read_count(bytes + 36),
        .text_bytes = read_count(bytes + 40),
    };
    if (out->version != 0 && (out->version < '2' || out->version > '4'))
        return malformed(reader, "its version is not 1, 2, 3 or 4");
    reader->offset += HEADER_BYTES;
    return RESULT_OK;
}

/* Bytes of the data behind a header. Six counts of 32 bits cannot overflow 64. */
static uint64_t block_bytes(const struct header *header, uint64_t time_bytes)
{
    return header->transition_count * (time_bytes + 1) + (uint64_t)header->type_count * TYPE_BYTES +
           header->text_bytes + header->leap_count * (time_bytes + 4) + header->standard_count +
           header->ut_count;
}

static enum result check_counts(const struct reader *reader, const struct header *header,
                                uint64_t time_bytes)
{
    if (block_bytes(header, time_bytes) > reader->length - reader->offset)
        return malformed(reader, "it ends too early");
    if (header->leap_count != 0)
        return malformed(reader, "it counts leap seconds (a \"right/\" file); use the zone "
                                 "without them");
    if (header->type_count == 0 || header->type_count > TYPES_MAX || header->text_bytes == 0)
        return malformed(reader, "it has no local time type, or too many");
    if (header->transition_count > TRANSITIONS_MAX)
        return malformed(reader, "it has too many transitions");
    if ((header->ut_count != 0 && header->ut_count != header->type_count) ||
        (header->standard_count != 0 && header->standard_count != header->type_count))
        return malformed(reader, "its indicator counts differ from its type count");
    return RESULT_OK;
}

static enum result read_transitions(struct reader *reader, const struct header *header,
                                    size_t time_bytes, int64_t *times, uint8_t *types)
{
    const unsigned char *bytes = reader->bytes + reader->offset;

    for (uint32_t i = 0; i < header->transition_count; i++) {
        times[i] = big_endian(bytes + i * time_bytes, time_bytes);
        if (i > 0 && times[i] <= times[i - 1])
            return malformed(reader, "its transitions are not in order");
    }
    bytes += header->transition_count * time_bytes;
    for (uint32_t i = 0; i < header->transition_count; i++) {
        types[i] = bytes[i];
        if (types[i] >= header->type_count)
            return malformed(reader, "a transition names a type that is not there");
    }
    reader->offset += header->transition_count * (time_bytes + 1);
    return RESULT_OK;
}

static enum result read_types(struct reader *reader, const struct header *header,
                              struct zone_type *types)
{
    const unsigned char *bytes = reader->bytes + reader->offset;
    const unsigned char *texts = bytes + (size_t)header->type_count * TYPE_BYTES;

    for (uint32_t i = 0; i < header->type_count; i++, bytes += TYPE_BYTES) {
        int64_t offset_s = big_endian(bytes, 4);

        if (offset_s < ZONE_OFFSET_MIN_S || offset_s > ZONE_OFFSET_MAX_S)
            return malformed(reader, "an offset from UTC is longer than a day");
        if (bytes[4] > 1)
            return malformed(reader, "a daylight mark is neither 0 nor 1");
        if (bytes[5] >= header->text_bytes ||
            memchr(texts + bytes[5], '\0', header->text_bytes - bytes[5]) == NULL)
            return malformed(reader, "an abbreviation lies outside of the file's texts");
        types[i] = (struct zone_type){(int32_t)offset_s, bytes[4] == 1, bytes[5]};
    }
    for (uint32_t i = 0; i < header->text_bytes; i++) {
        if (texts[i] != '\0' && (texts[i] < '!' || texts[i] > '~'))
            return malformed(reader, "an abbreviation is not plain ASCII");
    }
    reader->offset += (size_t)header->type_count * TYPE_BYTES + header->text_bytes;
    return RESULT_OK;
}

/* The indicators only matter to programs that make up rules of their own: check, forget. */
static enum result read_indicators(struct reader *reader, const struct header *header)
{
    uint32_t count = header->standard_count + header->ut_count;

    for (uint32_t i = 0; i < count; i++) {
        if (reader->bytes[reader->offset + i] > 1)
            return malformed(reader, "an indicator is neither 0 nor 1");
    }
    reader->offset += count;
    return RESULT_OK;
}

static enum result read_block(struct reader *reader, const struct header *header, size_t time_bytes,
                              struct arena *arena, struct zone *zone)
{
    int64_t *times = arena_alloc(arena, header->transition_count * sizeof *times);
    uint8_t *transition_types = arena_alloc(arena, header->transition_count);
    struct zone_type *types = arena_alloc(arena, header->type_count * sizeof *types);
    const char *texts;

    if (times == NULL || transition_types == NULL || types == NULL)
        return fault_set(reader->fault, FAULT_INTERNAL, "out of memory");
    if (read_transitions(reader, header, time_bytes, times, transition_types) != RESULT_OK)
        return RESULT_FAULT;
    texts = (const char *)reader->bytes + reader->offset + (size_t)header->type_count * TYPE_BYTES;
    if (read_types(reader, header, types) != RESULT_OK ||
        read_indicators(reader, header) != RESULT_OK)
        return RESULT_FAULT;
    zone->abbreviations = arena_copy(arena, texts, header->text_bytes);
    if (zone->abbreviations == NULL)
        return fault_set(reader->fault, FAULT_INTERNAL, "out of memory");
    zone->transitions_s = times;
    zone->transition_types = transition_types;
    zone->types = types;
    zone->transition_count = header->transition_count;
    zone->type_count = header->type_count;
    return RESULT_OK;
}

/* A line of its own: newline, POSIX TZ text (may be empty), newline, end of file. */
static enum result read_footer(struct reader *reader, struct zone *zone)
{
    const char *text = (const char *)reader->bytes + reader->offset;
    size_t length = reader->length - reader->offset;

    if (length < 2 || text[0] != '\n' || memchr(text + 1, '\n', length - 1) != text + length - 1)
        return malformed(reader, "no rule line at its end");
    if (length == 2)
        return RESULT_OK;
    if (zone_rule_parse(text + 1, length - 2, &zone->rule, reader->fault) != RESULT_OK)
        return fault_prefix(reader->fault, "not a good time zone file");
    zone->has_rule = true;
    return RESULT_OK;
}

static enum result read_zone(struct reader *reader, struct arena *arena, struct zone *zone)
{
    struct header header;
    size_t time_bytes = 4;

    if (read_header(reader, &header) != RESULT_OK)
        return RESULT_FAULT;
    if (header.version != 0) {
        /* The first block is there for readers of version 1 only. */
        uint64_t skipped = block_bytes(&header, 4);

        if (skipped > reader->length - reader->offset)
            return malformed(reader, "it ends too early");
        reader->offset += (size_t)skipped;
        if (read_header(reader, &header) != RESULT_OK)
            return RESULT_FAULT;
        if (header.version == 0)
            return malformed(reader, "its two headers differ in version");
        time_bytes = 8;
    }
    if (check_counts(reader, &header, time_bytes) != RESULT_OK ||
        read_block(reader, &header, time_bytes, arena, zone) != RESULT_OK)
        return RESULT_FAULT;
    if (header.version != 0)
        return read_footer(reader, zone);
    if (reader->offset != reader->length)
        return malformed(reader, "there are bytes behind its end");
    return RESULT_OK;
}

enum result zone_parse(const char *name, const void *bytes, size_t length, struct arena *arena,
                       const struct zone **out, struct fault *fault)
{
    struct reader reader = {bytes, length, 0, fault};
    struct zone *zone = arena_alloc(arena, sizeof *zone);

    if (zone == NULL || (zone->name = arena_copy(arena, name, strlen(name))) == NULL)
        return fault_set(fault, FAULT_INTERNAL, "out of memory");
    if (read_zone(&reader, arena, zone) != RESULT_OK)
        return RESULT_FAULT;
    *out = zone;
    return RESULT_OK;
}
