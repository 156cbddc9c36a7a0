/* SPDX-License-Identifier: MIT
 *
 * sandbox_ids.h - UUID-looking ids that carry their own number, so that no table is needed.
 *
 * Layer: sandbox. Pure. An id is made from (seed, kind, number); reading it back undoes the first
 * 32 bits and compares all the others, so a foreign or mistyped id is never taken for ours.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_IDS_H
#define REFRESHD_SANDBOX_SANDBOX_IDS_H

#include <stdbool.h>
#include <stdint.h>

#define SANDBOX_ID_SIZE 37 /* with the NUL */

enum sandbox_id_kind {
    SANDBOX_ID_JOB,
    SANDBOX_ID_REQUEST,
    SANDBOX_ID_ERROR,
    SANDBOX_ID_OTHER_CONSENT,
    SANDBOX_ID_SUB_TASK, /* + index of the child; keep last */
};

char *sandbox_id_write(char out[SANDBOX_ID_SIZE], uint64_t seed, uint32_t kind, uint32_t number);
bool sandbox_id_read(const char *text, uint64_t seed, uint32_t kind, uint32_t *number);

#endif
