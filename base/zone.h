/* SPDX-License-Identifier: MIT
 *
 * zone.h - time zones: which offset holds at an instant, and which instants a local time names.
 *
 * Layer:  base (libc only). Bytes in, answers out: files are read by base/zone_file.h. Look-ups
 *         are pure: they allocate nothing and read no clock, file or environment.
 * Memory: zone_parse takes everything from the caller's arena; a zone lives as long as that.
 * Source: RFC 9636 (TZif versions 1 to 4), choices.md A.2 for local times.
 */
#ifndef REFRESHD_BASE_ZONE_H
#define REFRESHD_BASE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/result.h"
#include "base/time_point.h"
#include "base/zone_rule.h"

/* Offsets outside of this are refused (RFC 9636 section 3.2: -24:59:59 to +25:59:59). */
#define ZONE_OFFSET_MIN_S (-89999)
#define ZONE_OFFSET_MAX_S 93599
/* A local time cannot come again later than this after a change of the offset. */
#define ZONE_REPEAT_MAX_S ((int64_t)ZONE_OFFSET_MAX_S - ZONE_OFFSET_MIN_S)

/* What the clocks show during a stretch of time. */
struct zone_type {
    int32_t offset_s; /* east of UTC */
    bool is_daylight;
    uint8_t abbreviation; /* index into the zone's abbreviations */
};

struct zone {
    const char *name;                /* as given to zone_parse */
    const int64_t *transitions_s;    /* strictly increasing, seconds of UTC */
    const uint8_t *transition_types; /* the type that begins at each transition */
    const struct zone_type *types;   /* type 0 holds before the first transition */
    const char *abbreviations;       /* texts, each ended by a NUL */
    uint32_t transition_count;
    uint32_t type_count;
    bool has_rule; /* `rule` holds from the last transition on */
    struct zone_rule rule;
};

/* Always there, without any file. */
extern const struct zone zone_utc;

/* Read a TZif file that was loaded as a whole. Every count, index, order and text is checked; a
 * file that is not exactly a TZif file gives FAULT_DATA, and so does one that counts leap seconds
 * ("right/..."): its instants are not UTC as computers keep it. `name` is copied. */
enum result zone_parse(const char *name, const void *bytes, size_t length, struct arena *arena,
                       const struct zone **out, struct fault *fault) MUST_CHECK;

/* A stretch of time under one type. Neighbours may share an offset. */
struct zone_span {
    int64_t start_s; /* first second (UTC); INT64_MIN where nothing comes before */
    int64_t end_s;   /* first second after it; INT64_MAX where nothing comes after */
    int32_t offset_s;
    bool is_daylight;
    const char *abbreviation; /* lives as long as the zone */
};

/* The span that holds the second `at_s` (UTC; any instant of struct utc_time, in seconds). */
struct zone_span zone_span_at(const struct zone *zone, int64_t at_s);

struct zone_offset {
    int32_t offset_s; /* east of UTC */
    bool is_daylight;
    const char *abbreviation; /* lives as long as the zone */
};

struct zone_offset zone_offset_at(const struct zone *zone, struct utc_time at);

/* What a clock on the wall shows at `at`. */
struct civil_time zone_utc_to_local(const struct zone *zone, struct utc_time at);

/* The instants at which the wall clock shows a given local time. */
struct zone_instants {
    int count;               /* 0: in a gap; 1; 2: in an overlap */
    struct utc_time at[2];   /* increasing; only the first `count` are set */
    struct utc_time gap_end; /* count 0 only: the first instant after the gap */
};

/* Should a zone repeat a local time more than twice, the first two instants are given. */
struct zone_instants zone_local_to_utc(const struct zone *zone, const struct civil_time *local);

/* 0 when the local time of `at` shows for the first time, 1 when it is shown again. */
int zone_fold_at(const struct zone *zone, struct utc_time at);

#endif
