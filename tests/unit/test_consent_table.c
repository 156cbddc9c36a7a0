/* SPDX-License-Identifier: MIT
 * test_consent_table.c - populations from YAML, CSV and SQLite: what is taken, what is refused with
 * which words, order, look-up, memory, the shrink guard. */
#include "config/consent_table.h"

#include <sqlite3.h>
#include <string.h>

#include "base/random.h"
#include "tests/unit/config_fixture.h"

#define AUTH "auth: {client_id: {env: I}, client_secret: {env: S}}"
#define FINQ \
    "  finq: {api: finqware, base_url: https://f.example, institutions: {default: {rate: 5/s}, " \
    "BRD: {rate: 1/s, jobs_running: 3}},\n" \
    "         auth: {mode: internal, client_id: {env: I}, client_secret: {env: S}}}\n"
#define BUD "  bud: {api: bud-v1, base_url: https://b.example, " AUTH "}\n"
#define HEAD \
    "version: 1\nproviders:\n" FINQ BUD \
    "schedules:\n  s: {cron: 0 1 * * *}\n  t: {cron: 0 2 * * *}\n"
#define CSV_ROOT HEAD "consents_from: [{csv: c.csv}]\n"
#define SQL_ROOT HEAD "consents_from: [{sqlite: c.db, query: \"SELECT * FROM consents\"}]\n"

/* Load with everything that is not only a check. */
static void load(struct config_fixture *fixture, const char *yaml)
{
    config_fixture_write(fixture, "root.yaml", yaml);
    config_fixture_load(fixture, "root.yaml", NULL);
}

static void load_good(struct config_fixture *fixture, const char *yaml)
{
    load(fixture, yaml);
    if (fixture->config == NULL)
        fail_msg("%s", config_fixture_said(fixture));
}

static void load_csv(struct config_fixture *fixture, const char *csv)
{
    config_fixture_write(fixture, "c.csv", csv);
    load(fixture, CSV_ROOT);
}

static void run_sql(struct config_fixture *fixture, const char *sql)
{
    sqlite3 *database;

    assert_int_equal(sqlite3_open(config_fixture_path(fixture, "c.db"), &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static struct consent_view get(struct config_fixture *fixture, const char *provider, const char *id)
{
    struct consent_view view;
    uint32_t index = config_find_provider(fixture->config, provider);
    uint32_t row = consent_table_find(fixture->consents, index, id);

    if (row == UINT32_MAX)
        fail_msg("%s/%s is not there", provider, id);
    consent_table_get(fixture->consents, row, &view);
    assert_string_equal(view.id, id);
    assert_int_equal(view.provider, index);
    assert_int_equal(view.row, row);
    return view;
}

/* --- What is taken --------------------------------------------------------------------------- */

static void test_every_field(void **state)
{
    static const char *const sources[] = {
        HEAD
        "consents:\n  - {id: c-1, provider: bud, customer: k, institution: B, schedule: [t, s],"
        " expires: 2027-03-01, authorized_at: 2026-01-02T03:04:05Z, priority: 9, tags: [x, y],"
        " customer_secret: {file: sec/k}, mode: listen}\n",
        CSV_ROOT,
        SQL_ROOT,
    };
    struct config_fixture *fixture = *state;
    const struct schedule_set *sets;
    uint32_t count;

    config_fixture_write(fixture, "c.csv",
                         "\xEF\xBB\xBFid,provider,customer,institution,schedule,expires,"
                         "authorized_at,priority,tags,customer_secret,mode\r\n"
                         "c-1,bud,k,B,t s,2027-03-01,2026-01-02T03:04:05Z,9,x y,file:sec/k,"
                         "listen\r\n");
    run_sql(fixture, "CREATE TABLE consents(id, provider, customer, institution, schedule, expires,"
                     " authorized_at, priority INTEGER, tags, customer_secret, mode);"
                     "INSERT INTO consents VALUES('c-1', 'bud', 'k', 'B', 't s', '2027-03-01',"
                     " '2026-01-02T03:04:05Z', 9, 'x y', 'file:sec/k', 'listen')");
    for (size_t i = 0; i < ROW_COUNT(sources); i++) {
        struct consent_view view;

        load_good(fixture, sources[i]);
        assert_int_equal(consent_table_count(fixture->consents), 1);
        view = get(fixture, "bud", "c-1");
        assert_string_equal(view.customer, "k");
        assert_false(view.customer_is_own_id);
        assert_string_equal(view.institution_name, "B");
        assert_string_equal(view.tags, "x y");
        assert_int_equal(view.customer_secret.kind, SECRET_FILE);
        assert_string_equal(view.customer_secret.name, config_fixture_path(fixture, "sec/k"));
        assert_int_equal(view.settings.expires.ms, INT64_C(1803859200000));
        assert_int_equal(view.settings.authorized_at.ms, INT64_C(1767323045000));
        assert_int_equal(view.settings.priority, 9);
        assert_int_equal(view.settings.mode, MODE_LISTEN);
        assert_int_equal(view.settings.hash, hash_bytes("bud/c-1", 7, 0));
        sets = consent_table_schedule_sets(fixture->consents, &count);
        assert_true(view.settings.schedule_set < count);
        assert_int_equal(sets[view.settings.schedule_set].count, 2);
        assert_int_equal(sets[view.settings.schedule_set].schedules[0], 0);
        assert_int_equal(sets[view.settings.schedule_set].schedules[1], 1);
        /* inline consents count behind the sources */
        assert_int_equal(consent_table_source_count(fixture->consents, 0), 1);
        assert_int_equal(consent_table_source_count(fixture->consents, 1), 0);
    }
}

static void test_what_is_left_out(void **state)
{
    struct config_fixture *fixture = *state;
    const struct schedule_set *sets;
    struct consent_view view;
    uint32_t count;

    config_fixture_write(fixture, "c.csv",
                         "id,provider,customer,institution,priority,expires\n"
                         "\n"
                         "a,finq,,,,\n"
                         "\"b,\"\"c\"\"\",finq,,\"The Bank\",,\n"
                         "\r\n"
                         "d , finq ,\t,,,");
    load_good(fixture, CSV_ROOT);
    assert_int_equal(consent_table_count(fixture->consents), 3);
    view = get(fixture, "finq", "a");
    assert_string_equal(view.customer, "");
    assert_string_equal(view.institution_name, "-");
    assert_string_equal(view.tags, "");
    assert_int_equal(view.customer_secret.kind, SECRET_NONE);
    assert_int_equal(view.settings.expires.ms, UTC_NEVER.ms);
    assert_int_equal(view.settings.authorized_at.ms, UTC_NONE.ms);
    assert_int_equal(view.settings.priority, PRIORITY_FROM_SCHEDULE);
    assert_int_equal(view.settings.mode, MODE_ACTIVE);
    sets = consent_table_schedule_sets(fixture->consents, &count);
    assert_int_equal(sets[view.settings.schedule_set].count, 0);
    assert_string_equal(get(fixture, "finq", "b,\"c\"").institution_name, "The Bank");
    (void)get(fixture, "finq", "d");
}

static void test_institution_nodes(void **state)
{
    struct config_fixture *fixture = *state;
    const struct institution_settings *nodes;
    struct consent_view view;
    uint32_t count;

    config_fixture_write(fixture, "c.csv",
                         "id,provider,customer,institution\n"
                         "1,finq,,Zeta\n2,finq,,BRD\n3,finq,,\n4,bud,k,Zeta\n");
    load_good(fixture, CSV_ROOT);
    nodes = consent_table_institutions(fixture->consents, &count);
    assert_int_equal(count, 4);
    assert_string_equal(nodes[0].name, "Zeta"); /* of bud */
    assert_int_equal(nodes[0].limits.rate_count, 0);
    assert_string_equal(nodes[1].name, "-");
    assert_int_equal(nodes[1].limits.rates[0].count, 5);
    assert_string_equal(nodes[2].name, "BRD");
    assert_int_equal(nodes[2].limits.rates[0].count, 1);
    assert_int_equal(nodes[2].limits.jobs_running_max, 3);
    assert_string_equal(nodes[3].name, "Zeta");
    assert_int_equal(nodes[3].limits.rates[0].count, 5);
    view = get(fixture, "finq", "2");
    assert_int_equal(view.institution, 2);
    assert_int_equal(view.settings.institution, 2);
    /* named, though no consent is there */
    load_good(fixture, HEAD);
    nodes = consent_table_institutions(fixture->consents, &count);
    assert_int_equal(count, 1);
    assert_string_equal(nodes[0].name, "BRD");
}

/* --- What is refused ------------------------------------------------------------------------- */

static void test_csv_errors(void **state)
{
    static const struct {
        const char *csv;
        const char *expected;
    } rows[] = {
        {"", "c.csv:1:0: error: the file is empty: the first row must name the columns"},
        {"id\n", "c.csv:1:0: error: column \"provider\" is missing in the first row"},
        {"id,provider,id\n", "c.csv:1:0: error: column \"id\" is there twice"},
        {"id,provider,insitution\n",
         "c.csv:1:0: error: unknown column \"insitution\"; did you mean \"institution\"? Allowed: "
         "id, provider, customer, customer_own_id, institution, schedule, expires, authorized_at, "
         "priority, tags, customer_secret, mode"},
        {"id;provider\n", "c.csv:1:0: error: unknown column \"id;provider\"; columns are separated "
                          "by commas, not by semicolons"},
        {"id,provider\na\n", "c.csv:2:0: error: the row has 1 cells, the first row has 2"},
        {"id,provider\na,finq,x\n", "c.csv:2:0: error: the row has 3 cells, the first row has 2"},
        {"id,provider\n,finq\n", "c.csv:2:0: error: column \"id\": the id is missing"},
        {"id,provider\na,\n", "c.csv:2:0: error: column \"provider\": the provider is missing"},
        {"id,provider\na,nobody\n", "c.csv:2:0: error: column \"provider\": there is no provider "
                                    "\"nobody\" in this configuration"},
        {"id,provider,schedule\na,finq,s\nb,finq,s z\n",
         "c.csv:3:0: error: column \"schedule\": there is no schedule \"z\" in this configuration"},
        {"id,provider,expires\r\na,finq,\r\n\r\nb,finq,tomorrow\r\n",
         "c.csv:4:0: error: column \"expires\": \"tomorrow\" is not a date: write 2027-03-01 "
         "(00:00 "
         "UTC) or 2027-03-01T12:30:00Z"},
        {"id,provider,tags\na,finq,\"x\ny\"\nb,finq,\n",
         "c.csv:2:0: error: column \"tags\": tags are at most 1000 bytes of UTF-8 without control "
         "characters"},
        {"id,provider,tags\na,finq,\"\n\n\"\nb,none,\n",
         "c.csv:2:0: error: column \"tags\": tags are at most 1000 bytes of UTF-8 without control "
         "characters\n"
         "c.csv:5:0: error: column \"provider\": there is no provider \"none\" in this "
         "configuration"},
        {"id,provider,priority\na,finq,10\n",
         "c.csv:2:0: error: column \"priority\": 10 is out of range; 0 to 9 is allowed"},
        {"id,provider,mode\na,finq,ACTIVE\n",
         "c.csv:2:0: error: column \"mode\": \"ACTIVE\" is not allowed here; write one of active, "
         "listen, off"},
        {"id,provider,customer_secret,customer,institution\na,bud,hunter2,c,B\n",
         "c.csv:2:0: error: column \"customer_secret\": a secret may not stand here: write "
         "file:PATH and keep the secret in that file"},
        {"id,provider,customer_secret,customer,institution\na,bud,env:X,c,B\n",
         "c.csv:2:0: error: column \"customer_secret\": a secret may not stand here: write "
         "file:PATH and keep the secret in that file"},
        {"id,provider,customer_secret\na,finq,file:x\n",
         "c.csv:2:0: error: column \"customer_secret\": API finqware takes no secrets of "
         "customers"},
        {"id,provider,institution\na,bud,B\n",
         "c.csv:2:0: error: column \"id\": API bud-v1 needs a customer or a customer_own_id"},
        {"id,provider\n\xFFz,finq\n",
         "c.csv:2:0: error: column \"id\": blanks, control characters and bytes that are not UTF-8 "
         "are not allowed"},
        {"id,provider\na,finq\nb,finq\na,finq\n",
         "c.csv:4:0: error: column \"id\": consent \"finq/a\" is given twice; it was first given "
         "as "
         "\"a\" at c.csv:2:0"},
        {"id,provider,customer,institution\na,bud,k,B\nb,bud,k,C\nc,bud,k,B\n",
         "c.csv:4:0: error: column \"id\": consent \"bud/c\" is for the API the same refresh "
         "(customer and institution) as \"a\" at c.csv:2:0"},
        {"id,provider\n\"a\"x,finq\n", "c.csv:2:0: error: not valid CSV: a quote stands in the "
                                       "middle of a cell, or is not closed"},
        {"id,provider\n\"a,finq\n", "c.csv:2:0: error: not valid CSV: a quote stands in the middle "
                                    "of a cell, or is not closed"},
    };
    size_t wrong = 0;

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct config_fixture *fixture = *state;

        load_csv(fixture, rows[i].csv);
        if (strcmp(config_fixture_said(fixture), rows[i].expected) != 0) {
            print_error("%s\nsays     %s\nexpected %s\n\n", rows[i].csv,
                        config_fixture_said(fixture), rows[i].expected);
            wrong++;
        }
        assert_null(fixture->consents);
    }
    assert_int_equal(wrong, 0);
}

static void test_long_ids_are_refused_not_cut(void **state)
{
    struct config_fixture *fixture = *state;
    char csv[400] = "id,provider\n";

    for (int length = 128; length <= 129; length++) {
        memset(csv + 12, 'x', (size_t)length);
        strcpy(csv + 12 + length, ",finq\n");
        load_csv(fixture, csv);
        if (length == 128)
            assert_int_equal(consent_table_count(fixture->consents), 1);
        else
            assert_string_equal(config_fixture_said(fixture),
                                "c.csv:2:0: error: column \"id\": 129 bytes; at most 128 are "
                                "allowed");
    }
}

static void test_sqlite_errors(void **state)
{
    static const struct {
        const char *query;
        const char *expected;
    } rows[] = {
        {"SELECT id FROM consents",
         "c.db:0:0: error: column \"provider\" is missing in what the query gives"},
        {"SELECT id, provider, id FROM consents",
         "c.db:0:0: error: the query gives column \"id\" twice"},
        {"SELECT id, provider, bank FROM consents",
         "c.db:0:0: error: unknown column \"bank\". Allowed: id, provider, customer, "
         "customer_own_id, institution, schedule, expires, authorized_at, priority, tags, "
         "customer_secret, mode"},
        {"SELECT id, provider, bank AS schedule FROM consents ORDER BY id",
         "c.db:2:0: error: column \"schedule\": there is no schedule \"B\" in this configuration"},
        {"SELECT id, provider FROM consents; SELECT 1",
         "root.yaml:9:17: error: consents_from: the query must be a single SELECT"},
        {"DELETE FROM consents",
         "root.yaml:9:17: error: consents_from: the query must be a single SELECT"},
        {"SELECT id, provider FROM missing",
         "root.yaml:9:17: error: consents_from: c.db: no such table: missing"},
    };
    struct config_fixture *fixture = *state;
    size_t wrong = 0;

    run_sql(fixture, "CREATE TABLE consents(id, provider, bank);"
                     "INSERT INTO consents VALUES('a', 'finq', NULL), ('b', 'finq', 'B')");
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        char yaml[1500];

        (void)snprintf(yaml, sizeof yaml, HEAD "consents_from: [{sqlite: c.db, query: \"%s\"}]\n",
                       rows[i].query);
        load(fixture, yaml);
        if (strcmp(config_fixture_said(fixture), rows[i].expected) != 0) {
            print_error("%s\nsays     %s\nexpected %s\n\n", rows[i].query,
                        config_fixture_said(fixture), rows[i].expected);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* A source that cannot be read is told apart from a row that is wrong. */
static void test_failing_sources(void **state)
{
    struct config_fixture *fixture = *state;
    struct consent_table *table = NULL;
    struct diagnostics diagnostics;
    struct fault fault = {0};

    config_fixture_write(fixture, "c.csv", "id,provider\na,finq\n");
    load_good(fixture, CSV_ROOT);
    diagnostics_init(&diagnostics, 10);
    assert_int_equal(consent_table_load(fixture->config, NULL, &table, &diagnostics, &fault),
                     RESULT_OK);
    assert_int_equal(consent_table_count(table), 1);
    consent_table_destroy(table);
    table = NULL;

    config_fixture_write(fixture, "c.csv", "id,provider\na,nobody\n");
    assert_int_equal(consent_table_load(fixture->config, NULL, &table, &diagnostics, &fault),
                     RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_DATA);
    assert_non_null(strstr(fault.text, "c.csv:2:0: error: column \"provider\""));
    assert_null(table);

    assert_int_equal(unlink(config_fixture_path(fixture, "c.csv")), 0);
    assert_int_equal(consent_table_load(fixture->config, NULL, &table, &diagnostics, &fault),
                     RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_UNAVAILABLE);
    assert_non_null(strstr(fault.text, "c.csv: cannot be read: No such file"));
    assert_null(table);
    diagnostics_deinit(&diagnostics);
}

static void test_override_and_duplicates_over_sources(void **state)
{
    struct config_fixture *fixture = *state;

    config_fixture_write(fixture, "c.csv", "id,provider\na,finq\n");
    load(fixture, CSV_ROOT "consents: [{id: a, provider: finq}]\n");
    assert_string_equal(
        config_fixture_said(fixture),
        "c.csv:2:0: error: column \"id\": consent \"finq/a\" is given twice; it was "
        "first given as \"a\" at root.yaml:10:17");

    config_fixture_write(
        fixture, "d/1.yaml",
        "consents:\n  - {id: a, provider: finq, institution: New, override: true}\n"
        "  - {id: b, provider: finq}\n");
    load_good(fixture, HEAD "include: d/*.yaml\n"
                            "consents: [{id: a, provider: finq, institution: Old}]\n");
    assert_int_equal(consent_table_count(fixture->consents), 2);
    assert_string_equal(get(fixture, "finq", "a").institution_name, "New");
    assert_int_equal(consent_table_source_count(fixture->consents, 0), 2);
}

/* --- Order, look-up, memory ------------------------------------------------------------------ */

static void random_id(struct random *random, unsigned shape, char *out)
{
    static const char hex[] = "0123456789abcdef";
    unsigned length = 0;

    switch (shape) {
    case 0: /* canonical, as it is packed */
    case 1: /* capitals: must come back as they are */
        for (unsigned i = 0; i < 36; i++)
            out[i] = i == 8 || i == 13 || i == 18 || i == 23 ? '-' : hex[random_below(random, 16)];
        out[36] = '\0';
        if (shape == 1)
            out[0] = 'A';
        return;
    case 2:
        (void)sprintf(out, "consent-of-a-customer-%06u", (unsigned)random_below(random, 50000));
        return;
    default:
        length = 1 + (unsigned)random_below(random, 20);
        for (unsigned i = 0; i < length; i++)
            out[i] = (char)('a' + random_below(random, 3));
        out[length] = '\0';
    }
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Against a plain sorted list of "PROVIDER/ID". */
static void test_many_against_a_model(void **state)
{
    enum { COUNT = 20000 };
    struct config_fixture *fixture = *state;
    char **names = calloc(COUNT, sizeof *names);
    struct text csv;
    struct random random;
    uint32_t kept = 0;

    random_init(&random, unit_seed());
    text_init(&csv, 100000000);
    for (unsigned i = 0; i < COUNT; i++) {
        const char *provider = random_below(&random, 2) == 0 ? "bud" : "finq";
        char id[64];

        random_id(&random, (unsigned)random_below(&random, 4), id);
        names[i] = malloc(80);
        (void)sprintf(names[i], "%s/%s", provider, id);
    }
    qsort(names, COUNT, sizeof *names, compare_texts);
    for (unsigned i = 0; i < COUNT; i++) {
        if (kept > 0 && strcmp(names[kept - 1], names[i]) == 0) {
            free(names[i]);
            continue;
        }
        names[kept++] = names[i];
    }
    /* Written in another order than that of the table. */
    text_append_string(&csv, "provider,id,customer,institution\n");
    for (uint32_t i = 0; i < kept; i++) {
        const char *name = names[(uint64_t)i * 7919 % kept];
        const char *slash = strchr(name, '/');

        text_append_format(&csv, "%.*s,%s,k%s,B%u\n", (int)(slash - name), name, slash + 1,
                           slash + 1, (unsigned)strlen(slash) % 7);
    }
    if (kept % 7919 == 0)
        kept = 0; /* not a permutation; another seed will do */
    if (kept > 0) {
        load_csv(fixture, csv.bytes);
        if (fixture->config == NULL)
            fail_msg("%.500s", config_fixture_said(fixture));
        assert_int_equal(consent_table_count(fixture->consents), kept);
    }
    for (uint32_t row = 0; row < kept; row++) {
        const char *provider;
        struct consent_settings settings;
        struct consent_view view;
        char name[400];

        consent_table_get(fixture->consents, row, &view);
        consent_table_settings(fixture->consents, row, &settings);
        provider = fixture->config->providers[view.provider].name;
        (void)snprintf(name, sizeof name, "%s/%s", provider, view.id);
        assert_string_equal(name, names[row]);
        (void)snprintf(name, sizeof name, "k%s", view.id);
        assert_string_equal(view.customer, name);
        assert_memory_equal(&settings, &view.settings, sizeof settings);
        assert_int_equal(settings.hash, hash_bytes(names[row], strlen(names[row]), 0));
        assert_int_equal(consent_table_find(fixture->consents, view.provider, view.id), row);
        assert_int_equal(consent_table_find(fixture->consents, 1 - view.provider, "no-such"),
                         UINT32_MAX);
    }
    for (uint32_t i = 0; i < kept; i++)
        free(names[i]);
    free(names);
    text_deinit(&csv);
}

static void test_memory_per_consent(void **state)
{
    enum { COUNT = 100000 };
    struct config_fixture *fixture = *state;
    struct random random;
    struct text csv;

    random_init(&random, 1);
    text_init(&csv, 100000000);
    text_append_string(&csv, "id,provider,customer,institution,schedule\n");
    for (int i = 0; i < COUNT; i++) {
        char id[64];
        char customer[64];

        random_id(&random, 0, id);
        random_id(&random, 0, customer);
        text_append_format(&csv, "%s,bud,%s,bank_%03d,s t\n", id, customer, i % 1000);
    }
    load_csv(fixture, csv.bytes);
    assert_int_equal(consent_table_count(fixture->consents), COUNT);
    assert_true(consent_table_bytes(fixture->consents) / COUNT <= 90);
    text_deinit(&csv);
}

static void test_empty(void **state)
{
    struct config_fixture *fixture = *state;

    config_fixture_write(fixture, "c.csv", "id,provider\n");
    load_good(fixture, CSV_ROOT);
    assert_int_equal(consent_table_count(fixture->consents), 0);
    assert_int_equal(consent_table_find(fixture->consents, 0, "a"), UINT32_MAX);
}

/* --- The shrink guard ------------------------------------------------------------------------ */

static void write_numbered(struct config_fixture *fixture, const char *name, int from, int to)
{
    struct text csv;

    text_init(&csv, 1000000);
    text_append_string(&csv, "id,provider\n");
    for (int i = from; i < to; i++)
        text_append_format(&csv, "c%d,finq\n", i);
    config_fixture_write(fixture, name, csv.bytes);
    text_deinit(&csv);
}

static void test_shrink_guard(void **state)
{
    static const struct {
        int first_from, first_to; /* of 0..100 in one.csv */
        int second_to;            /* of 100..200 in two.csv, which may lose half */
        bool found;
        uint32_t source, lost;
    } rows[] = {
        {0, 100, 200, false, 0, 0},  {0, 90, 200, false, 0, 0},     {0, 89, 200, true, 0, 11},
        {11, 100, 200, true, 0, 11}, {0, 0, 200, true, 0, 100},     {0, 100, 150, false, 0, 0},
        {0, 100, 149, true, 1, 51},  {300, 400, 200, true, 0, 100},
    };
    static const char yaml[] = HEAD "consents_from: [{csv: one.csv}, {csv: two.csv, max_shrink: "
                                    "50%}]\n";
    struct config_fixture *fixture = *state;
    struct consent_table *old;

    write_numbered(fixture, "one.csv", 0, 100);
    write_numbered(fixture, "two.csv", 100, 200);
    load_good(fixture, yaml);
    old = fixture->consents;
    fixture->consents = NULL;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct consent_shrink shrink = {0};

        write_numbered(fixture, "one.csv", rows[i].first_from, rows[i].first_to);
        write_numbered(fixture, "two.csv", 100, rows[i].second_to);
        load_good(fixture, yaml);
        assert_int_equal(consent_table_shrink(old, fixture->consents, fixture->config, &shrink),
                         rows[i].found);
        if (rows[i].found) {
            assert_int_equal(shrink.source, rows[i].source);
            assert_int_equal(shrink.lost, rows[i].lost);
            assert_int_equal(shrink.before, 100);
            assert_int_equal(shrink.allowed_percent, rows[i].source == 0 ? 10 : 50);
        }
    }
    consent_table_destroy(old);
}

/* Moving consents to another file, and taking a whole source out, is what a person meant. */
static void test_shrink_guard_lets_people_edit(void **state)
{
    static const char both[] =
        HEAD "consents_from: [{csv: one.csv}, {csv: two.csv}]\n"
             "consents: [{id: x, provider: finq}, {id: y, provider: finq}]\n";
    static const char one[] = HEAD "consents_from: [{csv: two.csv}]\n";
    struct config_fixture *fixture = *state;
    struct consent_shrink shrink;
    struct consent_table *old;

    write_numbered(fixture, "one.csv", 0, 100);
    write_numbered(fixture, "two.csv", 100, 200);
    load_good(fixture, both);
    old = fixture->consents;
    fixture->consents = NULL;
    write_numbered(fixture, "one.csv", 0, 0);
    write_numbered(fixture, "two.csv", 0, 200);
    load_good(fixture, both);
    assert_false(consent_table_shrink(old, fixture->consents, fixture->config, &shrink));
    load_good(fixture, one);
    assert_false(consent_table_shrink(old, fixture->consents, fixture->config, &shrink));
    consent_table_destroy(old);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, config_fixture_set_up, config_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_field),
        TEST(test_what_is_left_out),
        TEST(test_institution_nodes),
        TEST(test_csv_errors),
        TEST(test_long_ids_are_refused_not_cut),
        TEST(test_sqlite_errors),
        TEST(test_failing_sources),
        TEST(test_override_and_duplicates_over_sources),
        TEST(test_many_against_a_model),
        TEST(test_memory_per_consent),
        TEST(test_empty),
        TEST(test_shrink_guard),
        TEST(test_shrink_guard_lets_people_edit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
