/* SPDX-License-Identifier: MIT
 *
 * sandbox_finqware.h - what the Finqware endpoints share: the fields of a request, credentials,
 * the answer about a job.
 *
 * Layer: sandbox. Private to the sandbox_finqware files.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_FINQWARE_H
#define REFRESHD_SANDBOX_SANDBOX_FINQWARE_H

#include "sandbox/sandbox_state.h"

/* The fields of a request; NULL where absent. Borrowed from `root`. */
struct sandbox_finqware_fields {
    json_t *root;
    const char *client_id;
    const char *client_secret;
    const char *consent_id;
    const char *job_id;
    const char *callback_url;
};

/* Internal mode has the secret in the body, the other mode a bearer token; false after the error
 * was made. */
bool sandbox_finqware_authorise(struct sandbox_exchange *exchange,
                                const struct sandbox_finqware_fields *fields);
/* Required fields; false after the error was made. */
bool sandbox_finqware_check_fields(struct sandbox_exchange *exchange,
                                   const struct sandbox_finqware_fields *fields, bool wants_job);
/* Begin the 200 about a job; the caller closes the object. */
void sandbox_finqware_answer_job(struct sandbox_exchange *exchange, uint32_t number,
                                 const char *consent_id, const char *status, const char *client_id);
void sandbox_finqware_create(struct sandbox_exchange *exchange,
                             const struct sandbox_finqware_fields *fields);

#endif
