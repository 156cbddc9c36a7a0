/* SPDX-License-Identifier: MIT
 *
 * plan_print.h - a plan as a page for people, and as one JSON object.
 *
 * Layer: command.
 */
#ifndef REFRESHD_COMMAND_PLAN_PRINT_H
#define REFRESHD_COMMAND_PLAN_PRINT_H

#include "config/config.h"
#include "daemon/plan.h"

/* `schedule`: index of the only one to tell of, or UINT32_MAX. */
void plan_print_text(const struct plan *plan, const struct config *config, uint32_t schedule);
void plan_print_json(const struct plan *plan, const struct config *config, uint32_t schedule);
/* Does every run that is told of fit? */
bool plan_fits(const struct plan *plan, uint32_t schedule);

#endif
