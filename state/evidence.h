/* SPDX-License-Identifier: MIT
 *
 * evidence.h - the texts of one provider answer, as they are kept in the state database.
 *
 * Layer:  state. Made by the daemon from what provider/ read; the core carries the pointer through
 *         its records without looking. Already free of secrets, cut and escaped.
 */
#ifndef REFRESHD_STATE_EVIDENCE_H
#define REFRESHD_STATE_EVIDENCE_H

struct evidence {
    int http_status;             /* 0: no HTTP answer */
    const char *provider_job_id; /* NULL where absent, as all below */
    const char *error_code;
    const char *error_id;
    const char *error_message;
    const char *request_id;
    const char *retry_after_raw;
    const char *body_head; /* first bytes of an answer that made no sense, escaped */
};

#endif
