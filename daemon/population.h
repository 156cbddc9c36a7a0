/* SPDX-License-Identifier: MIT
 *
 * population.h - the living consents: the newest table, and which row has which number.
 *
 * Layer:  daemon. Numbers are the state database's and never change; rows change with each
 *         reload. Main thread only.
 */
#ifndef REFRESHD_DAEMON_POPULATION_H
#define REFRESHD_DAEMON_POPULATION_H

#include "config/consent_table.h"
#include "scheduler/scheduler.h"

struct population_customer {
    uint64_t hash;
    uint32_t row;
};

struct population {
    struct consent_table *table; /* owned; NULL before the first adopt */
    uint32_t *row_of_number;     /* number_max + 1 of them; UINT32_MAX: removed */
    uint32_t *number_of_row;
    uint32_t number_max;
    struct population_customer *customers; /* by hash; NULL until somebody asks */
};

void population_init(struct population *population);
void population_deinit(struct population *population);

/* Take `table` over (the old one is destroyed). `numbers`: consent number per row, copied. */
MUST_CHECK enum result population_adopt(struct population *population, struct consent_table *table,
                                        const uint32_t *numbers, uint32_t number_max,
                                        struct fault *fault);

/* Row of a number, or UINT32_MAX when it is not (any more) in the table. */
uint32_t population_row(const struct population *population, uint32_t number);
/* Unpack a consent by number; false when it is gone. */
bool population_get(const struct population *population, uint32_t number,
                    struct consent_view *view);
/* Number of "PROVIDER/ID", or 0. */
uint32_t population_find(const struct population *population, const struct config *config,
                         const char *consent);

/* Each consent of a customer at `provider` (index). The first call after an adopt makes an index:
 * some 100 ms for a million consents. */
MUST_CHECK enum result population_each_of_customer(struct population *population, uint32_t provider,
                                                   const char *customer,
                                                   void (*each)(void *context, uint32_t number,
                                                                const struct consent_view *view),
                                                   void *context, struct fault *fault);

/* Give `scheduler` the settings (filled here, borrowed by it) and every consent: the same for the
 * daemon and for `plan`. */
MUST_CHECK enum result population_tell(const struct population *population,
                                       const struct config *config, struct scheduler *scheduler,
                                       struct time_now now, struct scheduler_settings *settings,
                                       struct fault *fault);

#endif
