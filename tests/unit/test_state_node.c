/* SPDX-License-Identifier: MIT
 * test_state_node.c - what nodes learned: one row each, told again at the next start, by name. */
#include "tests/unit/state_fixture.h"

#include <string.h>

static const char three[] = "a,finq,,BRD,nightly,,\n"
                            "c,finq,,ING,nightly,,\n"
                            "d,bud,cust,Bank,nightly,,\n";

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    fake_core_clear();
    fixture_init(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_deinit(&fixture);
    return 0;
}

/* Index of an institution in the table of the consents. */
static uint32_t institution_of(const char *name)
{
    uint32_t count;
    const struct institution_settings *list = consent_table_institutions(fixture.consents, &count);

    for (uint32_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return i;
    fail_msg("no institution %s", name);
    return UINT32_MAX;
}

static struct node_past full_past(struct utc_time now)
{
    return (struct node_past){
        .pace = {.interval_us = 1234567, .ceiling_us = 1111111, .fails = 3, .credit_ppm = 777},
        .breaker = BREAKER_OPEN,
        .is_configuration = true,
        .revision = UINT64_MAX - 5,
        .breaker_streak = 4,
        .opened = utc_add_ms(now, -5000),
        .probe = utc_add_ms(now, 60000),
        .pushback = utc_add_ms(now, 30000),
        .pushback_streak = 2,
        .retry_balance = 54321,
    };
}

static void learn(struct utc_time now, uint32_t provider, uint32_t institution,
                  const struct node_past *past)
{
    struct record *record = fixture_record(&fixture, RECORD_NODE, now);

    record->as.node.provider = provider;
    record->as.node.institution = institution;
    record->as.node.past = *past;
    fixture_commit(&fixture);
}

static const struct fake_node *told_of(uint32_t provider, uint32_t institution)
{
    for (uint32_t i = 0; i < fake_core.node_count; i++)
        if (fake_core.nodes[i].provider == provider &&
            fake_core.nodes[i].institution == institution)
            return &fake_core.nodes[i];
    return NULL;
}

static void restart(const char *csv, struct utc_time now)
{
    fixture_close(&fixture);
    fake_core_clear();
    fixture_configure(&fixture, csv);
    fixture_open(&fixture, now);
    fixture_recover(&fixture, now);
}

static void test_what_was_learned_is_told_again(void **state)
{
    struct utc_time now = fixture_now();
    struct node_past past = full_past(now);
    const struct fake_node *told;
    uint32_t finq;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    finq = config_find_provider(fixture.config, "finq");
    learn(now, finq, institution_of("ING"), &past);
    learn(now, finq, UINT32_MAX,
          &(struct node_past){
              .opened = UTC_NONE, .probe = UTC_NONE, .pushback = UTC_NONE, .retry_balance = -1});
    past.pace.interval_us = 7654321; /* the last one counts */
    learn(now, finq, institution_of("ING"), &past);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM node"), 2);

    /* The order of the institutions is another one: names count. */
    restart("d,bud,cust,Bank,nightly,,\nc,finq,,ING,nightly,,\na,finq,,BRD,nightly,,\n", now);
    assert_int_equal(fake_core.node_count, 2);
    told = told_of(config_find_provider(fixture.config, "finq"), institution_of("ING"));
    assert_non_null(told);
    assert_memory_equal(&told->past.pace, &past.pace, sizeof past.pace);
    assert_int_equal(told->past.breaker, past.breaker);
    assert_true(told->past.is_configuration && told->past.revision == past.revision);
    assert_int_equal(told->past.breaker_streak, past.breaker_streak);
    assert_int_equal(told->past.opened.ms, past.opened.ms);
    assert_int_equal(told->past.probe.ms, past.probe.ms);
    assert_int_equal(told->past.pushback.ms, past.pushback.ms);
    assert_int_equal(told->past.pushback_streak, past.pushback_streak);
    assert_int_equal(told->past.retry_balance, past.retry_balance);
    told = told_of(config_find_provider(fixture.config, "finq"), UINT32_MAX);
    assert_non_null(told);
    assert_int_equal(told->past.breaker, BREAKER_CLOSED);
    assert_true(told->past.opened.ms == UTC_NONE.ms && told->past.pushback.ms == UTC_NONE.ms);
    assert_int_equal(told->past.retry_balance, -1);
}

/* A bank that is gone for a while is known again when it is back. */
static void test_a_bank_that_is_gone_is_remembered(void **state)
{
    struct utc_time now = fixture_now();
    struct node_past past = full_past(now);

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    learn(now, config_find_provider(fixture.config, "finq"), institution_of("ING"), &past);
    restart("a,finq,,BRD,nightly,,\n", now);
    assert_int_equal(fake_core.node_count, 0);
    restart(three, now);
    assert_int_equal(fake_core.node_count, 1);
}

static void test_a_reset_without_a_daemon(void **state)
{
    struct utc_time now = fixture_now();
    struct node_past past = full_past(now);
    const struct audit audit = {"me", "reset", "finq/ING", "they fixed it"};
    struct fault fault;
    uint32_t finq;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    finq = config_find_provider(fixture.config, "finq");
    learn(now, finq, institution_of("ING"), &past);
    learn(now, finq, institution_of("BRD"), &past);
    learn(now, finq, UINT32_MAX, &past);
    learn(now, config_find_provider(fixture.config, "bud"), UINT32_MAX, &past);
    assert_int_equal(state_store_reset_node(fixture.store, now, "finq", "nobody", &audit, &fault),
                     RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_USAGE);
    assert_int_equal(state_store_reset_node(fixture.store, now, "finq", "ING", &audit, &fault),
                     RESULT_OK);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM node WHERE is_open = 1"), 3);
    assert_string_equal(fixture_text(&fixture, "SELECT subject || ' ' || reason FROM v1_audit"),
                        "finq/ING they fixed it");
    assert_int_equal(state_store_reset_node(fixture.store, now, "finq", NULL, &audit, &fault),
                     RESULT_OK);
    assert_int_equal(fixture_integer(&fixture, "SELECT count(*) FROM node WHERE is_open = 1"), 1);
    assert_int_equal(fixture_integer(&fixture,
                                     "SELECT count(*) FROM node WHERE interval_us = 0"
                                     " AND pushback_ms IS NULL AND retry_balance = 54321"),
                     3);
}

/* Polls leave no record where no long rate wants one; the limits' row tells that somebody was at
 * work. */
static void test_the_last_activity_is_told(void **state)
{
    struct utc_time now = fixture_now();
    const struct limit_row row = {.provider = "finq", .breaker = "closed", .not_before = UTC_NONE};
    struct fault fault;

    (void)state;
    fixture_configure(&fixture, three);
    fixture_open(&fixture, now);
    fixture_recover(&fixture, now);
    assert_true(fake_core.last_activity.ms <= 0); /* nobody was */
    assert_int_equal(state_store_limits(fixture.store, now, &row, 1, &fault), RESULT_OK);
    restart(three, utc_add_ms(now, 1000));
    assert_in_range(fake_core.last_activity.ms, now.ms, now.ms + MS_PER_MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_learned_is_told_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_bank_that_is_gone_is_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_reset_without_a_daemon, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_last_activity_is_told, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
