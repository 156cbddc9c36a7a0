/* SPDX-License-Identifier: MIT
 * population.c - see population.h. */
#include "daemon/population.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void population_init(struct population *population)
{
    *population = (struct population){0};
}

void population_deinit(struct population *population)
{
    if (population->table != NULL)
        consent_table_destroy(population->table);
    free(population->row_of_number);
    free(population->number_of_row);
    free(population->customers);
    population_init(population);
}

enum result population_adopt(struct population *population, struct consent_table *table,
                             const uint32_t *numbers, uint32_t number_max, struct fault *fault)
{
    uint32_t count = consent_table_count(table);
    uint32_t *row_of_number = malloc(((size_t)number_max + 1) * sizeof *row_of_number);
    uint32_t *number_of_row = malloc(((size_t)count + 1) * sizeof *number_of_row);

    if (row_of_number == NULL || number_of_row == NULL) {
        free(row_of_number);
        free(number_of_row);
        return fault_set(fault, FAULT_TEMPORARY, "out of memory for %u consents", count);
    }
    memset(row_of_number, 0xFF, ((size_t)number_max + 1) * sizeof *row_of_number);
    for (uint32_t row = 0; row < count; row++) {
        REQUIRE(numbers[row] >= 1 && numbers[row] <= number_max);
        number_of_row[row] = numbers[row];
        row_of_number[numbers[row]] = row;
    }
    if (population->table != NULL && population->table != table)
        consent_table_destroy(population->table);
    free(population->row_of_number);
    free(population->number_of_row);
    free(population->customers);
    *population = (struct population){
        .table = table,
        .row_of_number = row_of_number,
        .number_of_row = number_of_row,
        .number_max = number_max,
    };
    return RESULT_OK;
}

uint32_t population_row(const struct population *population, uint32_t number)
{
    if (number == 0 || number > population->number_max)
        return UINT32_MAX;
    return population->row_of_number[number];
}

bool population_get(const struct population *population, uint32_t number, struct consent_view *view)
{
    uint32_t row = population_row(population, number);

    if (row == UINT32_MAX)
        return false;
    consent_table_get(population->table, row, view);
    return true;
}

uint32_t population_find(const struct population *population, const struct config *config,
                         const char *consent)
{
    const char *slash = strchr(consent, '/');
    char name[256];
    uint32_t provider;
    uint32_t row;

    if (slash == NULL || (size_t)(slash - consent) >= sizeof name || population->table == NULL)
        return 0;
    memcpy(name, consent, (size_t)(slash - consent));
    name[slash - consent] = '\0';
    provider = config_find_provider(config, name);
    if (provider == UINT32_MAX)
        return 0;
    row = consent_table_find(population->table, provider, slash + 1);
    return row == UINT32_MAX ? 0 : population->number_of_row[row];
}

/* What the core is told: the configuration's tables and the population's nodes. */
static void describe(const struct config *config, const struct consent_table *table,
                     struct scheduler_settings *settings)
{
    *settings = (struct scheduler_settings){
        .providers = config->provider_settings,
        .provider_count = config->provider_count,
        .schedules = config->schedule_settings,
        .schedule_count = config->schedule_count,
    };
    settings->institutions = consent_table_institutions(table, &settings->institution_count);
    settings->schedule_sets = consent_table_schedule_sets(table, &settings->schedule_set_count);
}

enum result population_tell(const struct population *population, const struct config *config,
                            struct scheduler *scheduler, struct time_now now,
                            struct scheduler_settings *settings, struct fault *fault)
{
    describe(config, population->table, settings);
    if (scheduler_configure(scheduler, now, settings, fault) != RESULT_OK ||
        scheduler_reserve(scheduler, population->number_max, fault) != RESULT_OK)
        return RESULT_FAULT;
    for (uint32_t row = 0; row < consent_table_count(population->table); row++) {
        struct consent_settings consent;

        consent_table_settings(population->table, row, &consent);
        scheduler_consent_put(scheduler, population->number_of_row[row], &consent);
    }
    return RESULT_OK;
}

/* ---- by customer ---- */

static uint64_t customer_hash(uint32_t provider, const char *customer)
{
    return hash_bytes(customer, strlen(customer), provider);
}

static int compare_customers(const void *a, const void *b)
{
    const struct population_customer *x = a;
    const struct population_customer *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Made when it is first asked for: most sites never do. */
static enum result index_customers(struct population *population, struct fault *fault)
{
    uint32_t count = consent_table_count(population->table);
    struct population_customer *customers = malloc(((size_t)count + 1) * sizeof *customers);
    struct consent_view view;

    if (customers == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory for %u customers", count);
    for (uint32_t row = 0; row < count; row++) {
        consent_table_get(population->table, row, &view);
        customers[row] =
            (struct population_customer){customer_hash(view.provider, view.customer), row};
    }
    if (count > 1)
        qsort(customers, count, sizeof *customers, compare_customers);
    population->customers = customers;
    return RESULT_OK;
}

enum result population_each_of_customer(struct population *population, uint32_t provider,
                                        const char *customer,
                                        void (*each)(void *context, uint32_t number,
                                                     const struct consent_view *view),
                                        void *context, struct fault *fault)
{
    uint32_t count = population->table == NULL ? 0 : consent_table_count(population->table);
    uint64_t hash = customer_hash(provider, customer);
    uint32_t low = 0;
    uint32_t high = count;
    struct consent_view view;

    if (count == 0 || customer[0] == '\0')
        return RESULT_OK;
    if (population->customers == NULL && index_customers(population, fault) != RESULT_OK)
        return RESULT_FAULT;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (population->customers[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count && population->customers[low].hash == hash; low++) {
        consent_table_get(population->table, population->customers[low].row, &view);
        if (view.provider == provider && strcmp(view.customer, customer) == 0)
            each(context, population->number_of_row[view.row], &view);
    }
    return RESULT_OK;
}
