/* SPDX-License-Identifier: MIT
 *
 * judge_limits.h - the judge's rules about limits, quotas, waits and times.
 *
 * Layer: tests (simulation), between the files judge*.c.
 */
#ifndef REFRESHD_TESTS_SIMULATION_JUDGE_LIMITS_H
#define REFRESHD_TESTS_SIMULATION_JUDGE_LIMITS_H

#include "tests/simulation/judge.h"

/* May an attempt of the job be decided at `at`: states, pauses, times of day, deadline, room? */
void judge_may_initiate(struct simulation *simulation, const struct judged_job *job,
                        struct utc_time at);
bool judge_is_closed(const struct world_hours *hours, struct utc_time at);
/* Quota and cooldown, from all charges that stand. */
void judge_consent_clocks(struct simulation *simulation, const struct judged_job *job,
                          struct utc_time at);
void judge_charge(struct simulation *simulation, uint32_t consent, uint64_t job, uint16_t attempt,
                  struct utc_time at);
void judge_charge_answered(struct simulation *simulation, uint32_t consent,
                           const struct record *answer);

#endif
