/* SPDX-License-Identifier: MIT
 * config_consent_life.c - how a provider's consents come to their end: looked up again while they
 * are held, left alone just before the end, warned of some time before. */
#include <stdlib.h>

#include "config/config_load.h"
#include "config/option_value.h"

#define RECHECK_DEFAULT "7d"

void config_consent_life_defaults(struct load *load, const struct api_definition *definition,
                                  struct yaml_node *consent)
{
    static const struct place nowhere = {"default", 0, 0, NULL};
    static const char *const leads[] = {"7d", "1d"};

    config_default(load, consent, "providers.*.consent.recheck",
                   definition->requests[REQUEST_LOOK_UP].is_used ? RECHECK_DEFAULT : "none");
    if (config_get_node(consent, "providers.*.consent.warn") == NULL)
        config_tree_put(load->arena, consent, "warn", nowhere,
                        config_tree_sequence(load->arena, leads, 2, nowhere));
}

static int compare_leads(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x < y) - (x > y);
}

static void read_leads(struct load *load, const struct yaml_node *list,
                       struct config_provider *provider)
{
    const struct config_option *option = option_find("providers.*.consent.warn[]");

    for (size_t i = 0; list != NULL && list->kind == YAML_SEQUENCE && i < list->count; i++) {
        const struct yaml_node *item = list->values[i];
        struct option_value value;
        bool is_twice = false;

        if (provider->warn_count >= CONSENT_LEADS_MAX || item->kind != YAML_SCALAR ||
            !option_value_parse(option, item->text, item->length, &value, NULL, NULL))
            continue;
        for (uint32_t j = 0; j < provider->warn_count; j++)
            is_twice = is_twice || provider->warn_ms[j] == value.number;
        if (is_twice)
            diagnostics_error(load->diagnostics, item->place, "%s stands in this list twice",
                              item->text);
        else
            provider->warn_ms[provider->warn_count++] = value.number;
    }
    if (provider->warn_count > 1)
        qsort(provider->warn_ms, provider->warn_count, sizeof *provider->warn_ms, compare_leads);
}

void config_consent_life_make(struct load *load, struct config_provider *provider,
                              struct provider_settings *settings, const struct yaml_node *consent)
{
    settings->recheck_ms = config_get_number(consent, "providers.*.consent.recheck", 0);
    settings->expiry_margin_ms = config_get_number(consent, "providers.*.consent.expiry_margin", 0);
    read_leads(load, config_get_node(consent, "providers.*.consent.warn"), provider);
    if (provider->definition != NULL && settings->recheck_ms > 0 &&
        !provider->definition->requests[REQUEST_LOOK_UP].is_used)
        diagnostics_error(
            load->diagnostics, config_get_place(consent, "providers.*.consent.recheck"),
            "API %s cannot look up a consent: leave \"recheck\" out, or write \"none\"",
            provider->definition->name);
}
