/* SPDX-License-Identifier: MIT
 * test_state_faults.c - every write and every sync of the state database fails once, in turn.
 *
 * A file system of our own sits between SQLite and the real one, counts operations and makes the
 * n-th fail. The same little night is tried with n = 1, 2, ... until nothing fails any more.
 * Whatever failed: the store says so or goes on, what was acknowledged is there afterwards, and
 * every invariant holds. */
#include "tests/unit/state_fixture.h"

#include <string.h>
#include <unistd.h>

#include "state/state_maintain.h"

static struct fixture fixture;

/* ---- a file system that fails ---- */

enum failing { FAIL_NOTHING, FAIL_WRITE, FAIL_FULL, FAIL_SYNC };

static struct {
    enum failing what;
    int countdown; /* fails when it reaches 0 */
    bool has_fired;
} plan;

struct chaos_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this struct */
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs chaos_vfs;
static sqlite3_io_methods chaos_methods;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct chaos_file *)(void *)file)->real;
}

/* Is it this operation's turn? */
static bool fires(enum failing what)
{
    enum failing planned = plan.what == FAIL_FULL ? FAIL_WRITE : plan.what;

    if (planned != what || plan.has_fired || --plan.countdown > 0)
        return false;
    plan.has_fired = true;
    return true;
}

static int chaos_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int chaos_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), bytes, count, offset);
}

static int chaos_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
    if (fires(FAIL_WRITE)) {
        /* Half of it arrives. */
        (void)real_of(file)->pMethods->xWrite(real_of(file), bytes, count / 2, offset);
        return plan.what == FAIL_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    return real_of(file)->pMethods->xWrite(real_of(file), bytes, count, offset);
}

static int chaos_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int chaos_sync(sqlite3_file *file, int flags)
{
    return fires(FAIL_SYNC) ? SQLITE_IOERR_FSYNC
                            : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int chaos_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int chaos_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int chaos_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int chaos_check_reserved(sqlite3_file *file, int *out)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int chaos_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int chaos_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int chaos_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int chaos_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int chaos_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void chaos_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int chaos_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static int chaos_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                      int *out_flags)
{
    struct chaos_file *chaos = (struct chaos_file *)(void *)file;
    int code;

    (void)vfs;
    chaos->real = (sqlite3_file *)(void *)(chaos + 1);
    chaos->base.pMethods = NULL;
    code = real_vfs->xOpen(real_vfs, name, chaos->real, flags, out_flags);
    if (chaos->real->pMethods != NULL)
        chaos->base.pMethods = &chaos_methods;
    return code;
}

static void install_chaos(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    chaos_vfs = *real_vfs;
    chaos_vfs.zName = "chaos";
    chaos_vfs.szOsFile = (int)sizeof(struct chaos_file) + real_vfs->szOsFile;
    chaos_vfs.xOpen = chaos_open;
    chaos_methods = (sqlite3_io_methods){
        .iVersion = 2,
        .xClose = chaos_close,
        .xRead = chaos_read,
        .xWrite = chaos_write,
        .xTruncate = chaos_truncate,
        .xSync = chaos_sync,
        .xFileSize = chaos_file_size,
        .xLock = chaos_lock,
        .xUnlock = chaos_unlock,
        .xCheckReservedLock = chaos_check_reserved,
        .xFileControl = chaos_control,
        .xSectorSize = chaos_sector_size,
        .xDeviceCharacteristics = chaos_characteristics,
        .xShmMap = chaos_shm_map,
        .xShmLock = chaos_shm_lock,
        .xShmBarrier = chaos_shm_barrier,
        .xShmUnmap = chaos_shm_unmap,
    };
    assert_int_equal(sqlite3_vfs_register(&chaos_vfs, 1), SQLITE_OK);
}

/* ---- a little night ---- */

static const char four[] = "a,finq,,BRD,nightly,,\nb,finq,,BRD,nightly,,\n"
                           "c,finq,,ING,nightly,,\nd,finq,,ING,weekly,,\n";

/* Jobs that a commit acknowledged as closed. */
static uint64_t acknowledged;

static enum result one_refresh(uint64_t job, struct fault *fault)
{
    struct utc_time now = fixture_now();
    uint32_t consent = (uint32_t)(job % 4) + 1;
    enum result result;

    fixture.record_count = 0;
    fixture_job_open(&fixture, now, job, consent, 0);
    fixture_attempt(&fixture, now, job, consent, 1);
    fixture_answer(&fixture, now, job, consent, 1, CLASS_ACCEPTED, true, NULL);
    fixture_job_close(&fixture, now, job, consent, 0, OUTCOME_REFRESHED, REASON_NONE);
    result =
        state_store_commit_records(fixture.store, fixture.records, fixture.record_count, fault);
    if (result == RESULT_OK)
        acknowledged = job;
    return result;
}

/* Open, load, refresh, fold, care, close; the first fault ends it. Goes on after the last job. */
static enum result little_night(struct fault *fault)
{
    struct utc_time now = fixture_now();
    struct time_now both = {.utc = now};
    bool is_complete = false;
    bool more = true;
    enum result result = RESULT_FAULT;
    uint64_t first;

    if (state_store_open(fixture.database, STATE_READ_WRITE, &fixture.store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_store_set_config(fixture.store, fixture.config, now, fault) != RESULT_OK ||
        state_store_sync_consents(fixture.store, fixture.config, fixture.consents, now,
                                  &fixture.numbers, &fixture.number_max, NULL, NULL,
                                  fault) != RESULT_OK)
        goto out;
    fake_core_clear();
    if (state_store_recover(fixture.store, fixture.config, NULL, both, NULL, NULL, fault) !=
        RESULT_OK)
        goto out;
    first = fake_core.next_job;
    for (uint64_t job = first; job < first + 5; job++)
        if (one_refresh(job, fault) != RESULT_OK)
            goto out;
    while (!is_complete)
        if (state_store_fold(fixture.store, NULL, 2, &is_complete, fault) != RESULT_OK)
            goto out;
    while (more)
        if (state_store_care(fixture.store, now, &more, fault) != RESULT_OK)
            goto out;
    result = RESULT_OK;
out:
    fixture_close(&fixture);
    return result;
}

static void count_problem(void *context, const char *what)
{
    print_error("%s\n", what);
    (*(uint32_t *)context)++;
}

static void check_afterwards(int n)
{
    struct fault fault;
    uint32_t problems = 0;

    plan.what = FAIL_NOTHING;
    if (little_night(&fault) != RESULT_OK)
        fail_msg("after failure %d the next start fails: %s", n, fault.text);
    if (state_maintain_verify(fixture.database, count_problem, &problems, &problems, &fault) !=
        RESULT_OK)
        fail_msg("after failure %d: %s", n, fault.text);
    assert_int_equal(problems, 0);
    assert_true(fixture_integer(&fixture, "SELECT count(*) FROM job WHERE outcome = 1") >=
                (int64_t)acknowledged);
}

/* Let the n-th operation fail, for n from 1, in new databases and in ones with a past. */
static void sweep(enum failing what, enum fault_code expected, bool has_past)
{
    int fired = 0;

    /* The first operations one by one, then every fifth: the schema alone is a hundred pages. */
    for (int n = 1;; n += n < 30 ? 1 : 5) {
        struct fault fault = {0};
        enum result result;

        fixture_init(&fixture);
        fixture_configure(&fixture, four);
        acknowledged = 0;
        plan.what = FAIL_NOTHING;
        if (has_past)
            assert_int_equal(little_night(&fault), RESULT_OK);
        plan.what = what;
        plan.countdown = n;
        plan.has_fired = false;
        result = little_night(&fault);
        if (!plan.has_fired) {
            assert_int_equal(result, RESULT_OK);
            fixture_deinit(&fixture);
            break;
        }
        fired++;
        if (result != RESULT_OK && fault.code != expected)
            fail_msg("failure %d is told as %d: %s", n, (int)fault.code, fault.text);
        check_afterwards(n);
        fixture_deinit(&fixture);
    }
    print_message("%d operations failed in turn\n", fired);
    assert_true(fired > 5);
}

static void test_each_write_can_fail(void **state)
{
    (void)state;
    sweep(FAIL_WRITE, FAULT_IO, false);
    sweep(FAIL_WRITE, FAULT_IO, true);
}

static void test_each_write_can_find_the_disk_full(void **state)
{
    (void)state;
    sweep(FAIL_FULL, FAULT_TEMPORARY, false);
    sweep(FAIL_FULL, FAULT_TEMPORARY, true);
}

static void test_each_sync_can_fail(void **state)
{
    (void)state;
    sweep(FAIL_SYNC, FAULT_IO, false);
    sweep(FAIL_SYNC, FAULT_IO, true);
}

/* A commit whose sync failed was not acknowledged, and is told as what it is. */
static void test_a_failed_sync_is_fatal(void **state)
{
    struct fault fault;

    (void)state;
    fixture_init(&fixture);
    fixture_configure(&fixture, four);
    plan.what = FAIL_NOTHING;
    fixture_open(&fixture, fixture_now());
    plan.what = FAIL_SYNC;
    plan.countdown = 1;
    plan.has_fired = false;
    assert_int_equal(one_refresh(1, &fault), RESULT_FAULT);
    assert_true(plan.has_fired);
    assert_int_equal(fault.code, FAULT_IO);
    plan.what = FAIL_NOTHING;
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_write_can_fail),
        cmocka_unit_test(test_each_write_can_find_the_disk_full),
        cmocka_unit_test(test_each_sync_can_fail),
        cmocka_unit_test(test_a_failed_sync_is_fatal),
    };

    install_chaos();
    /* Thousands of syncs: in memory where there is such a place, nothing here is about the disk. */
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
