/* SPDX-License-Identifier: MIT
 * config_zones.c - each zone is read once per configuration. */
#include <string.h>

#include "base/zone_file.h"
#include "config/config_load.h"

struct zone_entry {
    struct zone_entry *next;
    const char *name;
    const struct zone *zone;
};

const struct zone *config_zone(struct load *load, const char *name, struct place place)
{
    const char *directory = load->options->zone_directory;
    const struct zone *zone = &zone_utc;
    struct fault fault = {0};
    struct zone_entry *entry;

    for (entry = load->zones; entry != NULL; entry = entry->next)
        if (strcmp(entry->name, name) == 0)
            return entry->zone;
    if (zone_load(directory == NULL ? ZONE_DIRECTORY : directory, name, load->arena, &zone,
                  &fault) != RESULT_OK) {
        diagnostics_error(load->diagnostics, place, "time zone \"%.80s\": %s", name, fault.text);
        return &zone_utc;
    }
    entry = arena_alloc(load->arena, sizeof *entry);
    REQUIRE(entry != NULL);
    *entry = (struct zone_entry){load->zones, name, zone};
    load->zones = entry;
    return zone;
}
