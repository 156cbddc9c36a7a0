/* SPDX-License-Identifier: MIT
 *
 * api_fixture.h - the built-in API definitions, loaded for a test, and values to send.
 *
 * Layer: tests.
 */
#ifndef REFRESHD_TESTS_UNIT_API_FIXTURE_H
#define REFRESHD_TESTS_UNIT_API_FIXTURE_H

#include <string.h>

#include "config/api_definition.h"
#include "provider/request.h"
#include "tests/unit/unit_test.h"

struct api_fixture {
    struct arena arena;
    struct diagnostics diagnostics;
    const struct api_definition *definition;
};

static inline void api_fixture_open(struct api_fixture *fixture, const char *api)
{
    arena_init(&fixture->arena);
    diagnostics_init(&fixture->diagnostics, 100);
    fixture->definition = api_definition_load(api, (struct place){"test", 1, 1, NULL},
                                              &fixture->arena, &fixture->diagnostics);
    diagnostics_print(&fixture->diagnostics, stderr);
    assert_non_null(fixture->definition);
}

static inline void api_fixture_close(struct api_fixture *fixture)
{
    diagnostics_deinit(&fixture->diagnostics);
    arena_deinit(&fixture->arena);
}

static inline void api_set(struct request_variables *variables, enum api_variable variable,
                           const char *text)
{
    variables->values[variable] = (struct request_value){text, text == NULL ? 0 : strlen(text)};
}

/* 2026-11-20T23:41:40Z */
#define API_FIXTURE_NOW ((struct utc_time){INT64_C(1795218100000)})

static inline struct request_variables api_variables(void)
{
    struct request_variables variables = {.from = UTC_NONE, .to = UTC_NONE, .now = API_FIXTURE_NOW};

    api_set(&variables, API_VARIABLE_CONSENT_ID, "consent-1");
    api_set(&variables, API_VARIABLE_CUSTOMER, "customer-1");
    api_set(&variables, API_VARIABLE_INSTITUTION, "bank_a");
    api_set(&variables, API_VARIABLE_CLIENT_ID, "acme");
    api_set(&variables, API_VARIABLE_CLIENT_SECRET, "s3cret/+\"x");
    api_set(&variables, API_VARIABLE_JOB_ID, "job-1");
    api_set(&variables, API_VARIABLE_TOKEN, "tok.en-12345");
    return variables;
}

#endif
