/* SPDX-License-Identifier: MIT
 *
 * webhook_parse.h - what a webhook's body tells, by the provider's API definition.
 *
 * Layer:  provider. A webhook is a hint: it names jobs to poll or a consent that changed. It is
 *         never an outcome. Nothing here checks who sent it.
 */
#ifndef REFRESHD_PROVIDER_WEBHOOK_PARSE_H
#define REFRESHD_PROVIDER_WEBHOOK_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"
#include "base/time_point.h"
#include "config/api_definition.h"

#define WEBHOOK_BODY_BYTES_MAX (256 * 1024)
#define WEBHOOK_JOBS_MAX 64 /* parent and children; more are left out and counted */
#define WEBHOOK_ID_BYTES_MAX 255

struct webhook_job {
    char id[WEBHOOK_ID_BYTES_MAX + 1];
    uint64_t reference_hash; /* as struct answer's */
    bool is_child;           /* one institution's part of a job */
};

struct webhook_notice {
    enum api_event_kind kind; /* API_EVENT_IGNORE: known or unknown, and nothing to do */
    struct webhook_job jobs[WEBHOOK_JOBS_MAX];
    uint32_t job_count;
    uint32_t jobs_left_out;
    char consent[WEBHOOK_ID_BYTES_MAX + 1]; /* the provider's words; "" when not told */
    char customer[WEBHOOK_ID_BYTES_MAX + 1];
    char institution[WEBHOOK_ID_BYTES_MAX + 1];
    char status[64];         /* as written, cut */
    bool is_terminal;        /* the status word means that the job has ended */
    struct utc_time expires; /* UTC_NONE: not told */
};

/* Faults: not JSON, too large, deeper than sense, an id that is too long. A body that is JSON and
 * fits no event of the definition is API_EVENT_IGNORE. `notice` is large, so it is filled in place:
 * after a fault its content means nothing. */
MUST_CHECK enum result webhook_parse(const struct api_definition *definition, const char *body,
                                     size_t length, struct webhook_notice *notice,
                                     struct fault *fault);

#endif
