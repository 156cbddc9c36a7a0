/* SPDX-License-Identifier: MIT
 * zone.c - look-ups in a zone; see zone.h. zone_parse.c makes zones. */
#include "base/zone.h"

/* Choices.md A.2: offsets in force within two days of a local time are the ones that can make
 * it; no offset moves a local time farther than 26 hours. */
#define SEARCH_S (INT64_C(2) * 86400)

static const struct zone_type utc_type = {0, false, 0};

const struct zone zone_utc = {
    .name = "UTC",
    .types = &utc_type,
    .abbreviations = "UTC",
    .type_count = 1,
};

static int64_t floor_seconds(int64_t ms)
{
    return ms / MS_PER_SECOND - (ms % MS_PER_SECOND < 0);
}

/* How many transitions lie at or before `at_s`. */
static uint32_t transitions_until(const struct zone *zone, int64_t at_s)
{
    uint32_t low = 0;
    uint32_t high = zone->transition_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (zone->transitions_s[middle] <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct zone_span span_of_rule(const struct zone *zone, int64_t at_s)
{
    const struct zone_rule *rule = &zone->rule;
    struct zone_rule_span found = zone_rule_span_at(rule, at_s);
    struct zone_span span = {
        .start_s = found.start_s,
        .end_s = found.end_s,
        .offset_s = found.is_daylight ? rule->daylight_offset_s : rule->standard_offset_s,
        .is_daylight = found.is_daylight,
        .abbreviation = found.is_daylight ? rule->daylight_name : rule->standard_name,
    };

    /* The rule says nothing about the time before the last transition. */
    if (zone->transition_count > 0) {
        int64_t last_s = zone->transitions_s[zone->transition_count - 1];

        if (span.start_s < last_s)
            span.start_s = last_s;
    }
    return span;
}

struct zone_span zone_span_at(const struct zone *zone, int64_t at_s)
{
    uint32_t passed = transitions_until(zone, at_s);
    const struct zone_type *type;

    if (passed == zone->transition_count && zone->has_rule)
        return span_of_rule(zone, at_s);
    type = &zone->types[passed == 0 ? 0 : zone->transition_types[passed - 1]];
    return (struct zone_span){
        .start_s = passed == 0 ? INT64_MIN : zone->transitions_s[passed - 1],
        .end_s = passed == zone->transition_count ? INT64_MAX : zone->transitions_s[passed],
        .offset_s = type->offset_s,
        .is_daylight = type->is_daylight,
        .abbreviation = zone->abbreviations + type->abbreviation,
    };
}

struct zone_offset zone_offset_at(const struct zone *zone, struct utc_time at)
{
    struct zone_span span = zone_span_at(zone, floor_seconds(at.ms));

    return (struct zone_offset){span.offset_s, span.is_daylight, span.abbreviation};
}

struct civil_time zone_utc_to_local(const struct zone *zone, struct utc_time at)
{
    int32_t offset_s = zone_offset_at(zone, at).offset_s;

    return civil_from_utc(utc_add_ms(at, offset_s * MS_PER_SECOND));
}

struct zone_instants zone_local_to_utc(const struct zone *zone, const struct civil_time *local)
{
    int64_t local_ms = civil_to_utc(local).ms;
    int64_t local_s = floor_seconds(local_ms);
    struct zone_instants found = {0};
    struct zone_span span = zone_span_at(zone, local_s - SEARCH_S);
    bool is_jumped = false;

    for (;;) {
        int64_t at_s = local_s - span.offset_s;
        int32_t offset_before_s = span.offset_s;
        int64_t change_s = span.end_s;

        if (span.start_s <= at_s && at_s < span.end_s && found.count < 2)
            found.at[found.count++].ms = local_ms - span.offset_s * MS_PER_SECOND;
        if (change_s > local_s + SEARCH_S)
            break;
        span = zone_span_at(zone, change_s);
        if (!is_jumped && change_s + offset_before_s <= local_s &&
            local_s < change_s + span.offset_s) {
            found.gap_end.ms = change_s * MS_PER_SECOND;
            is_jumped = true;
        }
    }
    /* Local time runs from before `local` to after it in this search, so where no span shows it
     * some change jumped over it. */
    REQUIRE(found.count > 0 || is_jumped);
    return found;
}

int zone_fold_at(const struct zone *zone, struct utc_time at)
{
    struct zone_span span = zone_span_at(zone, floor_seconds(at.ms));
    struct civil_time local;
    struct zone_instants instants;

    /* span.start_s may be INT64_MIN: compare without a difference. */
    if (span.start_s < floor_seconds(at.ms) - ZONE_REPEAT_MAX_S)
        return 0;
    local = civil_from_utc(utc_add_ms(at, span.offset_s * MS_PER_SECOND));
    instants = zone_local_to_utc(zone, &local);
    return instants.at[0].ms == at.ms ? 0 : 1;
}
