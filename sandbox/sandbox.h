/* SPDX-License-Identifier: MIT
 *
 * sandbox.h - a local server that plays the provider APIs, with faults, and counts what its
 * clients do and every rule that they break.
 *
 * Layer:   sandbox (libevent, jansson, OpenSSL); shares no code with provider/, so that the two
 *          check each other. docs/SANDBOX.md is the manual.
 * Threads: one. Call from one thread; sandbox_stop also from a callback of the loop.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_H
#define REFRESHD_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/result.h"

#define SANDBOX_LISTEN_DEFAULT "127.0.0.1:9420"

struct sandbox_options {
    const char *listen;        /* IPv4:PORT; port 0 takes a free one; NULL: the default */
    const char *scenario_path; /* JSON; NULL: all defaults */
    uint64_t seed;             /* used when has_seed, before the scenario's own */
    bool has_seed;
};

struct sandbox;

/* Read the scenario and listen. FAULT_DATA for the scenario, FAULT_UNAVAILABLE for the address. */
enum result sandbox_create(const struct sandbox_options *options, struct sandbox **out,
                           struct fault *fault) MUST_CHECK;
void sandbox_destroy(struct sandbox *sandbox);
/* Serve until sandbox_stop, SIGTERM or SIGINT. */
enum result sandbox_run(struct sandbox *sandbox, struct fault *fault) MUST_CHECK;
void sandbox_stop(struct sandbox *sandbox);
/* "127.0.0.1:9420" as bound. */
const char *sandbox_address(const struct sandbox *sandbox);

#define SANDBOX_READY_LINE_SIZE 320
/* One JSON object without a newline: {"listen": ADDRESS, "finqware": URL, "bud": URL, "stats":
 * URL}. Returns `line`. */
char *sandbox_ready_line(const struct sandbox *sandbox, char line[SANDBOX_READY_LINE_SIZE]);

/* Create, tell `ready` (may be NULL), run, destroy. */
enum result sandbox_main(const struct sandbox_options *options,
                         void (*ready)(void *context, const struct sandbox *sandbox), void *context,
                         struct fault *fault) MUST_CHECK;

#endif
