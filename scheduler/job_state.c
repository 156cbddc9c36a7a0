/* SPDX-License-Identifier: MIT
 * job_state.c - see job_state.h. */
#include "scheduler/job_state.h"

#define TO(state) (1u << (state))

static const unsigned job_state_moves[JOB_STATE_COUNT] = {
    [JOB_NEW] = TO(JOB_INITIATING) | TO(JOB_CLOSED),
    [JOB_INITIATING] = TO(JOB_RUNNING) | TO(JOB_LOOKING_UP) | TO(JOB_RETRY_WAIT) |
                       TO(JOB_IN_DOUBT) | TO(JOB_CLOSED),
    [JOB_RUNNING] = TO(JOB_POLLING) | TO(JOB_CLOSED),
    [JOB_POLLING] = TO(JOB_RUNNING) | TO(JOB_LOOKING_UP) | TO(JOB_RETRY_WAIT) | TO(JOB_CLOSED),
    [JOB_LOOKING_UP] = TO(JOB_RETRY_WAIT) | TO(JOB_CLOSED),
    [JOB_RETRY_WAIT] = TO(JOB_INITIATING) | TO(JOB_CLOSED),
    [JOB_IN_DOUBT] = TO(JOB_INITIATING) | TO(JOB_RUNNING) | TO(JOB_CLOSED),
    [JOB_CLOSED] = 0,
};

bool job_state_may_move(enum job_state from, enum job_state to)
{
    return (unsigned)from < JOB_STATE_COUNT && (unsigned)to < JOB_STATE_COUNT &&
           (job_state_moves[from] & TO(to)) != 0;
}

bool job_state_is_running(enum job_state state)
{
    return state == JOB_INITIATING || state == JOB_RUNNING || state == JOB_POLLING ||
           state == JOB_IN_DOUBT;
}
