/* SPDX-License-Identifier: MIT
 * manifest.c - how a run ended: its sum, and its public form. */
#include "state/manifest.h"

#include <string.h>

uint32_t manifest_sum(const struct manifest *manifest)
{
    uint32_t sum = 0;

    for (int i = OUTCOME_NONE + 1; i < OUTCOME_COUNT; i++)
        sum += manifest->counts[i];
    return sum;
}

static void append_text(struct text *out, const char *key, const char *value)
{
    text_append_format(out, ", \"%s\": \"", key);
    text_append_json(out, value, strlen(value));
    text_append_string(out, "\"");
}

static void append_time(struct text *out, const char *key, struct utc_time at)
{
    char text[UTC_TEXT_SIZE];

    if (at.ms == UTC_NONE.ms || at.ms == UTC_NEVER.ms)
        text_append_format(out, ", \"%s\": null", key);
    else
        text_append_format(out, ", \"%s\": \"%s\"", key, utc_text(at, text));
}

void manifest_append_json(const struct manifest *manifest, struct text *out)
{
    text_append_string(out, "{\"run_id\": \"");
    text_append_json(out, manifest->run_id, strlen(manifest->run_id));
    text_append_string(out, "\"");
    append_text(out, "schedule", manifest->schedule);
    append_time(out, "slot_at", manifest->slot);
    text_append_format(out, ", \"due\": %u", manifest->due);
    for (int i = OUTCOME_NONE + 1; i < OUTCOME_COUNT; i++)
        text_append_format(out, ", \"%s\": %u", outcome_text((enum outcome)i), manifest->counts[i]);
    text_append_format(out, ", \"reconciled\": %s", manifest->reconciled ? "true" : "false");
    text_append_format(out, ", \"late\": %s", manifest->late ? "true" : "false");
    append_time(out, "started_at", manifest->started);
    append_time(out, "finished_at", manifest->finished);
    text_append_string(out, "}");
}
