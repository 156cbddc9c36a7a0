/* SPDX-License-Identifier: MIT
 * test_job_state.c - the table of legal moves, written down a second time as a picture. */
#include "scheduler/job_state.h"

#include "tests/unit/unit_test.h"

/* Row: from, column: to, in the order of enum job_state:
 * new, initiating, running, polling, looking_up, retry_wait, in_doubt, closed. */
static const char *const picture[JOB_STATE_COUNT] = {
    [JOB_NEW] = ".x.....x",      [JOB_INITIATING] = "..x.xxxx", [JOB_RUNNING] = "...x...x",
    [JOB_POLLING] = "..x.xx.x",  [JOB_LOOKING_UP] = ".....x.x", [JOB_RETRY_WAIT] = ".x.....x",
    [JOB_IN_DOUBT] = ".xx....x", [JOB_CLOSED] = "........",
};

static void test_moves(void **state)
{
    (void)state;
    for (int from = 0; from < JOB_STATE_COUNT; from++)
        for (int to = 0; to < JOB_STATE_COUNT; to++)
            assert_int_equal(job_state_may_move((enum job_state)from, (enum job_state)to),
                             picture[from][to] == 'x');
}

static void test_nothing_after_closed(void **state)
{
    (void)state;
    for (int to = 0; to < JOB_STATE_COUNT; to++)
        assert_false(job_state_may_move(JOB_CLOSED, (enum job_state)to));
    assert_false(job_state_may_move(JOB_STATE_COUNT, JOB_CLOSED));
    assert_false(job_state_may_move(JOB_NEW, JOB_STATE_COUNT));
}

static void test_running(void **state)
{
    static const char counts[JOB_STATE_COUNT + 1] = ".xxx..x.";

    (void)state;
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        assert_int_equal(job_state_is_running((enum job_state)i), counts[i] == 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_nothing_after_closed),
        cmocka_unit_test(test_running),
    };

    return cmocka_run_group_tests_name("job_state", tests, NULL, NULL);
}
