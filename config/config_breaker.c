/* SPDX-License-Identifier: MIT
 * config_breaker.c - when a provider is left alone, and how many retries it is asked to bear. */
#include "config/config_load.h"
#include "config/option_value.h"

static uint32_t read_budget(const struct yaml_node *node)
{
    const char *text = config_get_text(node, "providers.*.retry_budget");
    struct option_value value;

    if (text == NULL)
        return 0;
    value = option_value_of(option_find("providers.*.retry_budget"), text);
    return value.is_word ? 0 : (uint32_t)value.number;
}

void config_breaker_make(struct load *load, const struct yaml_node *node,
                         struct provider_settings *settings)
{
    const struct yaml_node *breaker = config_get_node(node, "providers.*.breaker");
    const struct yaml_node *probe = config_get_node(breaker, "providers.*.breaker.probe");
    struct breaker_settings *out = &settings->breaker;

    out->failures = (uint32_t)config_get_number(breaker, "providers.*.breaker.failures", 0);
    out->configuration =
        (uint32_t)config_get_number(breaker, "providers.*.breaker.configuration", 0);
    out->probes_max = (uint32_t)config_get_number(probe, "providers.*.breaker.probe.at_once", 1);
    out->lease_ms = config_get_number(probe, "providers.*.breaker.probe.lease", 10 * MS_PER_MINUTE);
    config_get_waits(load, probe, "providers.*.breaker.probe", "breaker.probe",
                     &out->probe_first_ms, &out->probe_max_ms);
    settings->retry_budget_percent = read_budget(node);
    settings->revision = config_tree_fingerprint(node);
}
