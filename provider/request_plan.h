/* SPDX-License-Identifier: MIT
 *
 * request_plan.h - the inside of a compiled request: small programs that append bytes. Shared by
 * request_compile.c, which writes them, and request.c, which runs them; nobody else includes it.
 */
#ifndef REFRESHD_PROVIDER_REQUEST_PLAN_H
#define REFRESHD_PROVIDER_REQUEST_PLAN_H

#include "provider/request.h"

enum step_kind {
    STEP_BYTES,       /* append `bytes` */
    STEP_VALUE,       /* append `variable`, escaped; absent is a fault */
    STEP_SKIP,        /* `variable` absent: go on behind the next `skip` steps */
    STEP_SEPARATE,    /* append the first of `bytes`, unless a list was just opened */
    STEP_LINE_END,    /* a header line is complete */
    STEP_GROUP,       /* a list begins that is taken back if nothing gets into it... */
    STEP_GROUP_OPEN,  /* ...its opening bracket is written... */
    STEP_GROUP_CLOSE, /* ...empty: take it back and skip `skip` steps */
};

enum escape { ESCAPE_PATH, ESCAPE_HEADER, ESCAPE_JSON, ESCAPE_FORM };

struct step {
    uint8_t kind;     /* enum step_kind */
    uint8_t escape;   /* enum escape */
    uint8_t variable; /* enum api_variable */
    uint16_t skip;
    uint32_t length;
    const char *bytes;
};

struct program {
    const struct step *steps;
    uint32_t count;
};

#define GROUP_DEPTH_MAX 20 /* more than a body may be deep */

struct compiled_request {
    bool is_used;
    const char *method;
    struct program url;
    struct program headers;
    uint32_t header_count; /* at most */
    struct program body;
    bool has_body;
};

struct request_plan {
    struct compiled_request requests[API_REQUEST_COUNT];
    int64_t look_back_max_ms; /* 0: no limit */
    bool uses_look_back;
};

#endif
