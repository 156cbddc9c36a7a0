/* SPDX-License-Identifier: MIT
 *
 * sandbox_scenario_parts.h - readers of the larger parts of a scenario: faults, banks, accounts,
 * consents.
 *
 * Layer: sandbox (jansson). Only sandbox_scenario.c includes this. Each reader has the form that
 *        struct sandbox_key wants; the check_ ones validate and keep the JSON value itself, because
 *        these tables may be long and are read entry by entry.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_SCENARIO_PARTS_H
#define REFRESHD_SANDBOX_SANDBOX_SCENARIO_PARTS_H

#include "sandbox/sandbox_scenario.h"

/* "20/s" or ["20/s", "600/min"] into struct sandbox_rates. */
enum result sandbox_read_rates(const json_t *value, const char *path, void *field,
                               struct fault *fault) MUST_CHECK;
/* An array of fault words; keeps the JSON value. */
enum result sandbox_check_fault_list(const json_t *value, const char *path, void *field,
                                     struct fault *fault) MUST_CHECK;
/* {"API": {"ENDPOINT": {"FAULT": share, "next": [...]}}} into the table of plans. */
enum result sandbox_read_faults(const json_t *value, const char *path, void *field,
                                struct fault *fault) MUST_CHECK;
enum result sandbox_check_consents(const json_t *value, const char *path, void *field,
                                   struct fault *fault) MUST_CHECK;
enum result sandbox_check_limits(const json_t *value, const char *path, void *field,
                                 struct fault *fault) MUST_CHECK;
enum result sandbox_check_accounts(const json_t *value, const char *path, void *field,
                                   struct fault *fault) MUST_CHECK;
enum result sandbox_check_banks(const json_t *value, const char *path, void *field,
                                struct fault *fault) MUST_CHECK;

#endif
