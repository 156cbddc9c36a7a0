/* SPDX-License-Identifier: MIT
 *
 * accident.h - what people and misfortune do to the daemon.
 *
 * Layer: tests (simulation).
 */
#ifndef REFRESHD_TESTS_SIMULATION_ACCIDENT_H
#define REFRESHD_TESTS_SIMULATION_ACCIDENT_H

struct simulation;

/* One accident; asks for the next one by itself. */
void accident_happen(struct simulation *simulation);
/* The last one: everything is resumed and nobody touches anything any more. */
void accident_end(struct simulation *simulation);

#endif
