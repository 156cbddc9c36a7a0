/* SPDX-License-Identifier: MIT
 *
 * history_ceiling.h - which limit would a bank have that refused just what it refused?
 *
 * Layer:  state, of state_history.c. Pure.
 * Why:    a bank that refuses (429) does not tell its limit. The limit "no more than N in any D" is
 *         looked for that tells refused initiations from accepted ones best: for each D of a fixed
 *         row of lengths and each N, the share of refusals before which N or more were accepted
 *         within D, less the share of accepted ones of which that is true as well (Youden, 1950).
 */
#ifndef REFRESHD_STATE_HISTORY_CEILING_H
#define REFRESHD_STATE_HISTORY_CEILING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_CEILING_MAX 4095u /* largest N */
#define HISTORY_REFUSALS_MIN 3u   /* fewer say nothing */

struct history_sending {
    int64_t sent_ms;
    uint32_t place;  /* of its institution */
    uint16_t before; /* accepted within the length at hand before it, at most HISTORY_CEILING_MAX */
    bool is_accepted;
    bool is_refused;
};

/* D of one institution's sendings, in order of time; fills `before` for it. False: too few
 * refusals, or they have nothing to do with how many there were. */
bool history_ceiling_window(struct history_sending *sendings, size_t count, int64_t *window_ms);
/* N for some of them, of an hour perhaps, once `before` is filled; 0: too few refusals. */
uint32_t history_ceiling_count(const struct history_sending *sendings, size_t count);

#endif
