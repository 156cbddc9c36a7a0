/* SPDX-License-Identifier: MIT
 *
 * request.h - the requests of one provider as byte templates, filled in at send.
 *
 * Layer:    provider; needs nothing but base/ and config/.
 * Use:      request_compile once per provider and configuration, request_build per request.
 * Escaping: by where a value lands: percent-encoded in a path, JSON string, form value, header
 *           (control bytes are refused there), base64 for Basic.
 * Memory:   a plan lives in the caller's arena. A struct request owns its buffers and keeps them
 *           from build to build; request_clear wipes what they held, because they hold secrets.
 */
#ifndef REFRESHD_PROVIDER_REQUEST_H
#define REFRESHD_PROVIDER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/result.h"
#include "base/text.h"
#include "base/time_point.h"
#include "config/api_definition.h"

#define REQUEST_HEADERS_MAX 32
#define REQUEST_URL_BYTES_MAX 8192
#define REQUEST_HEADER_BYTES_MAX (64 * 1024)
#define REQUEST_BODY_BYTES_MAX (256 * 1024)
/* How far inside the provider's limit a clamped `from` stays (design section 4, "Never"). */
#define REQUEST_LOOK_BACK_MARGIN_MS (10 * MS_PER_MINUTE)

struct request_plan;

/* Borrowed bytes; length 0 means: there is none. */
struct request_value {
    const char *bytes;
    size_t length;
};

/* What placeholders stand for, for one request. FROM, TO and BASIC are made here: their entries
 * in `values` are not looked at. */
struct request_variables {
    struct request_value values[API_VARIABLE_COUNT];
    struct utc_time from; /* UTC_NONE: none. Clamped to the definition's look-back limit */
    struct utc_time to;   /* UTC_NONE: none. Never later than now */
    struct utc_time now;
};

struct request {
    const char *method;  /* static */
    struct text url;     /* absolute */
    struct text headers; /* the lines below, each NUL-ended, one after the other */
    const char *header_lines[REQUEST_HEADERS_MAX]; /* "Name: value" */
    uint32_t header_count;
    struct text body;
    bool has_body; /* false: send none */
};

void request_init(struct request *request);
/* Overwrite and forget the content, keep the memory. */
void request_clear(struct request *request);
void request_deinit(struct request *request);

/* Compile all requests of `definition` for auth mode `mode` (index). `base_url` has no final
 * slash; `token_url` may be NULL and wins over the definition's path. Faults: memory, or a
 * token URL that the definition leaves to the configuration and that is missing. */
MUST_CHECK enum result request_compile(const struct api_definition *definition, int mode,
                                       const char *base_url, const char *token_url,
                                       struct arena *arena, const struct request_plan **plan,
                                       struct fault *fault);

/* Build one request into `request` (cleared first). Faults, all of them about this one request: a
 * value that is needed and absent, a control byte in a header, "." or ".." in a path, an empty
 * window from..to, more bytes than the maxima above. A fault's text names the placeholder and
 * never quotes a value. A plan has no REQUEST_LOOK_UP where the definition has none: a fault. */
MUST_CHECK enum result request_build(const struct request_plan *plan, enum request_kind kind,
                                     const struct request_variables *variables,
                                     struct request *request, struct fault *fault);

#define REQUEST_BASIC_SIZE 1024
/* "client_id:client_secret" in base64, as Basic authentication sends it, without a NUL. Answers its
 * length; 0 where one of them is absent, or both together are too long. The caller wipes `out`. */
size_t request_basic(const struct request_variables *variables, char out[REQUEST_BASIC_SIZE]);

#endif
