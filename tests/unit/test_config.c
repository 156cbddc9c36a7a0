/* SPDX-License-Identifier: MIT
 * test_config.c - what a configuration means, and the exact words for what is wrong with one. */
#include "config/config.h"

#include <string.h>

#include "tests/unit/config_fixture.h"

#define AUTH "auth: {client_id: {env: I}, client_secret: {env: S}}"
#define BASE "api: bud-v1, base_url: https://b.example, " AUTH
/* One provider `p` and one schedule `s`, with more options in them. */
#define PROVIDER(more) \
    "version: 1\nproviders:\n  p: {" BASE more "}\nschedules:\n  s: {cron: 0 1 * * *}\n"
#define SCHEDULE(more) \
    "version: 1\nproviders:\n  p: {" BASE "}\nschedules:\n  s: {cron: 0 1 * * *" more "}\n"
#define GOOD PROVIDER("")

/* --- What is refused ---------------------------------------------------------------------------
 */

struct refusal {
    const char *yaml;
    const char *expected; /* behind the name of the file */
};

static void check_refusals(struct config_fixture *fixture, const struct refusal *rows, size_t count)
{
    size_t wrong = 0;

    for (size_t i = 0; i < count; i++) {
        char expected[2000];

        (void)snprintf(expected, sizeof expected, "root.yaml:%s", rows[i].expected);
        config_fixture_check(fixture, rows[i].yaml);
        if (strcmp(config_fixture_said(fixture), expected) != 0) {
            print_error("%s\nsays     %s\nexpected %s\n\n", rows[i].yaml,
                        config_fixture_said(fixture), expected);
            wrong++;
        }
        assert_null(fixture->config);
        assert_null(fixture->consents);
    }
    assert_int_equal(wrong, 0);
}

static void test_daemon_options(void **state)
{
    static const struct refusal rows[] = {
        {"", "1:1: error: key \"version\" is missing: The version of this format: 1."},
        {"version: 2\n", "1:10: error: version: 2 is not allowed; only 1 is"},
        {"version: [1]\n", "1:10: error: version: a single value is expected, a list was found"},
        {"version:\n", "1:9: error: version has no value; a single value is expected, or leave the "
                       "key out"},
        {"[1]\n", "1:1: error: the file must hold keys with values (a mapping); a list was found"},
        {GOOD "state: {retain: {jobs: 90}}\n", "6:24: error: state.retain.jobs: \"90\" is not a "
                                               "duration: write a whole number and one of "
                                               "ms, s, m, h, d, such as 90s or 6h"},
        {GOOD "state: {retain: {jobs: 1s}}\n",
         "6:24: error: state.retain.jobs: 1s is out of range; 1d to 3660d is allowed"},
        {GOOD "state: /var/lib/x\n", "6:8: error: state: keys with values (a mapping) is expected, "
                                     "a single value was found"},
        {GOOD "reporting: {database: \"postgresql://u@h/db\"}\n",
         "6:23: error: reporting.database: PostgreSQL is not built yet; write the path of an "
         "SQLite "
         "database"},
        {GOOD "reporting: {database: /var/lib/refreshd/state.db}\n",
         "6:23: error: reporting.database is the same file as state.database"},
        {GOOD "reporting: {snapshot: x.db}\n",
         "6:23: error: reporting.snapshot is a copy of reporting.database, which is not set"},
        {GOOD "reporting: {export: {format: csv}}\n",
         "6:13: error: reporting.export: key \"directory\" is missing: Where they are written."},
        {GOOD "reporting: {export: {directory: x, format: xml}}\n",
         "6:44: error: reporting.export.format: \"xml\" is not allowed here; write one of csv, "
         "json"},
        {GOOD "http: {listen: 9410}\n",
         "6:16: error: http.listen: not an address to listen on: write host:port, [v6]:port or "
         "unix:/path, such as 127.0.0.1:9410"},
        {GOOD "http: {webhooks: {public_url: http://w.example}}\n",
         "6:31: error: providers would call \"http://w.example\" in the clear: use https://"},
        {GOOD "http: {listen: \"127.0.0.1:9410\", webhooks: {listen: \"127.0.0.1:9410\"}}\n",
         "6:53: error: http.webhooks.listen is the same address as http.listen: webhooks have a "
         "listener of their own"},
        {GOOD "max_shrink: 200%\n",
         "6:13: error: max_shrink: 200% is out of range; 0% to 100% is allowed"},
        {GOOD "max_shrink: few\n",
         "6:13: error: max_shrink: \"few\" is not a percentage such as 10%"},
        {GOOD "consents_from: [{csv: a, sqlite: b}]\n",
         "6:17: error: consents_from: an entry needs either \"csv\" or \"sqlite\"\n"
         "root.yaml:6:17: warning: consents_from: a cannot be read here; its rows are not checked"},
        {GOOD "consents_from: [{sqlite: b}]\n",
         "6:17: error: consents_from: key \"query\" is missing: the SELECT that gives the "
         "consents"},
    };

    check_refusals(*state, rows, ROW_COUNT(rows));
}

static void test_unknown_keys(void **state)
{
    static const struct refusal rows[] = {
        {GOOD "sumary: {}\n",
         "6:1: error: unknown key \"sumary\"; did you mean \"summary\"? Allowed here: version, "
         "include, state, reporting, summary, http, providers, schedules, calendars, consents, "
         "consents_from, max_shrink"},
        {GOOD "state: {retain: {atempts: 30d}}\n",
         "6:18: error: unknown key \"atempts\" in state.retain; did you mean \"attempts\"? Allowed "
         "here: attempts, jobs"},
        {PROVIDER(", completion: {poll: {frist: 10s}}"),
         "3:123: error: unknown key \"frist\" in providers.p.completion.poll; did you mean "
         "\"first\"? Allowed here: first, floor, max"},
        {PROVIDER(", completion: {poll: {rate: 10s}}"),
         "3:123: error: unknown key \"rate\" in providers.p.completion.poll; it belongs under "
         "providers.*.limits. Allowed here: first, floor, max"},
        {SCHEDULE(", heartbeat: https://h.example"),
         "5:24: error: unknown key \"heartbeat\" in schedules.s. Allowed here: override, "
         "allow_empty, blackout, windows, cron, deadline, dst, look_back, look_until, misfire, "
         "priority, retry, spread, timezone"},
        {GOOD "max_shrink: 5%\nmax_shrink: 5%\n",
         "7:1: error: key \"max_shrink\" is given twice; it was first given at line 6, column 1"},
    };

    check_refusals(*state, rows, ROW_COUNT(rows));
}

static void test_provider_options(void **state)
{
    static const struct refusal rows[] = {
        {"version: 1\nproviders:\n  p:\n    api: bud-v1\n    " AUTH "\n",
         "3:3: error: providers.p: key \"base_url\" is missing: Where the API lives."},
        {"version: 1\nproviders:\n  P-1: {" BASE "}\n",
         "3:3: error: providers: \"P-1\" is not a name: write 1 to 64 of a-z, 0-9, _ and -"},
        {"version: 1\nproviders:\n  p: {api: nope, base_url: https://b.example, " AUTH "}\n",
         "3:12: error: no API definition is called \"nope\"; built in: bud-v1, bud-v2, finqware; a "
         "value with a slash is the path of a definition of your own"},
        {"version: 1\nproviders:\n  p: {api: finqware, base_url: https://b.example, " AUTH "}\n",
         "3:51: error: providers.p.auth: key \"mode\" is missing: API finqware knows internal, "
         "oauth2"},
        {"version: 1\nproviders:\n  p:\n    api: finqware\n    base_url: https://b.example\n"
         "    auth: {mode: oauth2, client_id: {env: I}, client_secret: {env: S}}\n",
         "6:5: error: providers.p.auth: key \"token_url\" is missing: auth mode \"oauth2\" of API "
         "finqware needs it"},
        {"version: 1\nproviders:\n  p:\n    api: finqware\n    base_url: https://b.example\n"
         "    auth: {mode: internal, token_url: https://t.example, client_id: {env: I}, "
         "client_secret: {env: S}}\n",
         "6:39: error: auth mode \"internal\" of API finqware obtains no token: leave "
         "\"token_url\" "
         "out"},
        {PROVIDER(", customer_secret: hunter2"),
         "3:120: error: providers.p.customer_secret: a secret may not stand in the configuration: "
         "write {env: NAME}, {file: PATH} or {credential: NAME} and keep the secret there"},
        {PROVIDER(", customer_secret: {hunter2}"),
         "3:120: error: providers.p.customer_secret: not a secret reference: write {env: NAME}, "
         "{file: PATH} or {credential: NAME} and keep the secret there"},
        {PROVIDER(", customer_secret: {credential: a/b}"),
         "3:133: error: providers.p.customer_secret: the name of a systemd credential holds no "
         "slash and begins with no dot"},
        {PROVIDER(", insecure: yes"),
         "3:113: error: providers.p.insecure: \"yes\" is neither true nor false: write true"},
        {PROVIDER(", insecure: Off"),
         "3:113: error: providers.p.insecure: \"Off\" is neither true nor false: write false"},
        {PROVIDER(", body_max: 8MiB"),
         "3:113: error: providers.p.body_max: 8MiB is out of range; 1024 to 4194304 bytes are "
         "allowed"},
        {PROVIDER(", limits: {rate: 5}"),
         "3:118: error: providers.p.limits.rate: \"5\" is not a rate: write count/time, such as "
         "50/s, 100/min, 2000/day, 4/24h or 10/15m"},
        {PROVIDER(", limits: {rate: [5/s, 0/min]}"),
         "3:124: error: providers.p.limits.rate: 0/min is out of range; a count of 1 to 1000000 is "
         "allowed"},
        {PROVIDER(", limits: {rate: [1/s, 2/s, 3/s, 4/s, 5/s, 6/s, 7/s, 8/s, 9/s]}"),
         "3:118: error: providers.p.limits.rate: 9 items; at most 8 are allowed"},
        {PROVIDER(", limits: {blackout: 02:00-03:00 Europe/Nowhere}"),
         "3:122: error: time zone \"Europe/Nowhere\": unknown time zone \"Europe/Nowhere\": not in "
         "/usr/share/zoneinfo (an IANA name such as Europe/London is needed)"},
        {PROVIDER(", completion: {webhook: true}"),
         "3:125: error: webhook: true needs http.webhooks.public_url, the address that the "
         "provider "
         "is told"},
        {PROVIDER(", completion: {poll: {first: 1m, max: 30s}}"),
         "3:139: error: poll.max is 30s, less than poll.first (1m)"},
        {PROVIDER(", consent: {quota: 65/24h}"),
         "3:120: error: providers.p.consent.quota: 65/24h is out of range; a count of 1 to 64 is "
         "allowed"},
        {PROVIDER(", consent: {quota: 40/31d}"),
         "3:120: error: a quota window of 31d needs attempts to be kept that long; "
         "state.retain.attempts is 30d"},
        {PROVIDER(", consent: {cooldown: [6h]}"),
         "3:123: error: providers.p.consent.cooldown: a single value, or keys with values, is "
         "expected, a list was "
         "found"},
        {PROVIDER(", waits: {pushback: {first: 2h, max: 1h}}"),
         "3:138: error: waits.pushback: max is less than first"},
    };

    check_refusals(*state, rows, ROW_COUNT(rows));
}

static void test_hours_that_are_refused(void **state)
{
    static const struct refusal rows[] = {
        {SCHEDULE(", blackout: [2026-12-24, 2026-02-30]"),
         "5:47: error: schedules.s.blackout: \"2026-02-30\": there is no such day (allowed: "
         "\"[DAYS] "
         "HH:MM-HH:MM\", \"DAYS\", \"DAY HH:MM - DAY HH:MM\", and days \"MM-DD\" or "
         "\"YYYY-MM-DD\" with or without times, from one to another or alone; a zone behind it: "
         "\"Mon-Fri 22:00-06:00 Europe/London\", \"2026-12-24 - 2026-12-26\", \"12-25\")"},
        {SCHEDULE(", windows: {calendar: banks}"),
         "5:44: error: calendar \"banks\" does not exist; define it under \"calendars\""},
        {SCHEDULE(", windows: [{}]"),
         "5:34: error: schedules.s.windows: key \"calendar\" is missing: One of `calendars`."},
        {SCHEDULE(", windows: [{calender: banks}]"),
         "5:34: error: schedules.s.windows: key \"calendar\" is missing: One of `calendars`.\n"
         "root.yaml:5:35: error: unknown key \"calender\" in schedules.s.windows; did you mean "
         "\"calendar\"? Allowed here: calendar"},
        {GOOD "calendars: {Banks: 12-25}\n",
         "6:13: error: calendars: \"Banks\" is not a name: write 1 to 64 of a-z, 0-9, _ and "
         "-"},
        {GOOD "calendars: {banks: [12-25, {calendar: others}]}\n",
         "6:28: error: calendars.banks: a single value is expected, keys with values was found"},
        {GOOD "calendars: {banks: [12-25 Europe/Nowhere]}\n",
         "6:21: error: time zone \"Europe/Nowhere\": unknown time zone \"Europe/Nowhere\": not in "
         "/usr/share/zoneinfo (an IANA name such as Europe/London is needed)"},
    };

    check_refusals(*state, rows, ROW_COUNT(rows));
}

static void test_urls(void **state)
{
    static const struct {
        const char *url;
        const char *problem; /* NULL: accepted */
    } rows[] = {
        {"https://b.example", NULL},
        {"https://b.example/", NULL},
        {"HTTPS://B.Example:8443/some/path", NULL},
        {"http://127.0.0.1:8080", NULL},
        {"http://127.9.9.9", NULL},
        {"http://localhost:1", NULL},
        {"http://[::1]:8080/x", NULL},
        {"http://b.example", "would send secrets in the clear"},
        {"http://127.0.0.1.example", "would send secrets in the clear"},
        {"http://localhost.example", "would send secrets in the clear"},
        {"http://10.0.0.1", "would send secrets in the clear"},
        {"http://0127.0.0.1", "would send secrets in the clear"},
        {"http://[::ffff:127.0.0.1]", "would send secrets in the clear"},
        {"ftp://b.example", "must begin with https://"},
        {"b.example", "must begin with https://"},
        {"https://", "has no valid host"},
        {"https://:80", "has no valid host"},
        {"https://[::1", "has no valid host"},
        {"https://a b/", "has no valid host"},
        {"https://b.example:0", "has no valid port"},
        {"https://b.example:65536", "has no valid port"},
        {"https://b.example:", "has no valid port"},
        {"https://user:hunter2@b.example", "may not hold a user name"},
        {"https://hunter2@b.example", "may not hold a user name"},
        {"https://b.example/x?key=hunter2", "may not hold a query"},
        {"https://b.example/#hunter2", "may not hold a query"},
        {"https://b.example/a b", "must be written as %XX"},
        {"https://b.example/\xC3\xA9", "must be written as %XX"},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct config_fixture *fixture = *state;
        char yaml[400];

        (void)snprintf(yaml, sizeof yaml,
                       "version: 1\nproviders:\n  p: {api: bud-v1, " AUTH ", base_url: \"%s\"}\n",
                       rows[i].url);
        config_fixture_check(fixture, yaml);
        if (rows[i].problem == NULL) {
            if (fixture->config == NULL)
                fail_msg("%s: %s", rows[i].url, config_fixture_said(fixture));
            continue;
        }
        if (strstr(config_fixture_said(fixture), rows[i].problem) == NULL)
            fail_msg("%s: %s", rows[i].url, config_fixture_said(fixture));
        assert_int_equal(fixture->diagnostics.error_count, 1);
        assert_null(strstr(config_fixture_said(fixture), "hunter2"));
    }
}

static void test_schedule_options(void **state)
{
    static const struct refusal rows[] = {
        {"version: 1\nschedules:\n  s:\n    spread: 4h\n",
         "3:3: error: schedules.s: key \"cron\" is missing: Five fields, or six with seconds "
         "first; "
         "`@daily`, `@every 6h`."},
        {SCHEDULE(", timezone: Mars/Olympus"),
         "5:34: error: time zone \"Mars/Olympus\": unknown time zone \"Mars/Olympus\": not in "
         "/usr/share/zoneinfo (an IANA name such as Europe/London is needed)"},
        {SCHEDULE(", deadline: 6am"), "5:34: error: schedules.s.deadline: \"6am\" is not a "
                                      "deadline: write a time of day such as "
                                      "06:00, or a duration such as 5h"},
        {SCHEDULE(", priority: 10"),
         "5:34: error: schedules.s.priority: 10 is out of range; 0 to 9 is allowed"},
        {SCHEDULE(", priority: high"),
         "5:34: error: schedules.s.priority: \"high\" is not a whole number"},
        {SCHEDULE(", dst: {gap: jump}"),
         "5:35: error: schedules.s.dst.gap: \"jump\" is not allowed here; write one of run_after, "
         "skip"},
        {SCHEDULE(", retry: {attempts: 0}"),
         "5:42: error: schedules.s.retry.attempts: 0 is out of range; 1 to 20 is allowed"},
        {SCHEDULE(", retry: {backoff: {first: 2h, max: 1h}}"),
         "5:58: error: retry.backoff: max is less than first"},
        {SCHEDULE(", look_back: 2d, look_until: 2d"),
         "5:51: error: look_until must be shorter than look_back: both count back from now"},
        {"version: 1\nschedules:\n  s: {cron: 0 25 * * *}\n",
         "3:13: error: schedules.s.cron: hour: 25 is out of range (allowed: 0-23)"},
        {"version: 1\nschedules:\n  s: {cron: 0 0 30 2 *}\n",
         "3:13: error: schedules.s.cron: \"0 0 30 2 *\" can never fire: no date matches its day "
         "and "
         "month fields"},
    };

    check_refusals(*state, rows, ROW_COUNT(rows));
}

static void test_consents(void **state)
{
    static const struct refusal rows[] = {
        {GOOD "consents: [{provider: p}]\n",
         "6:12: error: consents: key \"id\" is missing: The provider's id of the consent."},
        {GOOD "consents: [{id: a, provider: q}]\n",
         "6:30: error: there is no provider \"q\" in this configuration"},
        {GOOD "consents: [{id: a, provider: p, institution: B, customer: c, schedule: [s, t]}]\n",
         "6:72: error: there is no schedule \"t\" in this configuration"},
        {GOOD "consents: [{id: a, provider: p, institution: B}]\n",
         "6:17: error: API bud-v1 needs a customer or a customer_own_id"},
        {GOOD "consents: [{id: a, provider: p, customer: c}]\n",
         "6:17: error: API bud-v1 needs an institution"},
        {GOOD "consents: [{id: a, provider: p, institution: B, customer: c, customer_own_id: d}]\n",
         "6:79: error: give either customer or customer_own_id, not both"},
        {GOOD "consents: [{id: a b, provider: p, institution: B, customer: c}]\n",
         "6:17: error: blanks, control characters and bytes that are not UTF-8 are not allowed"},
        {GOOD
         "consents: [{id: a, provider: p, institution: B, customer: c, expires: 2027-02-30}]\n",
         "6:71: error: consents.expires: \"2027-02-30\" is not a date: write 2027-03-01 (00:00 "
         "UTC) "
         "or 2027-03-01T12:30:00Z"},
        {GOOD "consents: [{id: a, provider: p, institution: B, customer: c, mode: on}]\n",
         "6:68: error: consents.mode: \"on\" is not allowed here; write one of active, listen, "
         "off"},
        {GOOD "consents: [{id: a, provider: p, institution: B, customer: c, customer_secret: "
              "hunter2}]\n",
         "6:79: error: consents.customer_secret: a secret may not stand in the configuration: "
         "write "
         "{env: NAME}, {file: PATH} or {credential: NAME} and keep the secret there"},
        {GOOD "consents:\n"
              "  - {id: a, provider: p, institution: B, customer: c}\n"
              "  - {id: a, provider: p, institution: C, customer: c}\n",
         "8:10: error: consent \"p/a\" is given twice; it was first given as \"a\" at "
         "root.yaml:7:10"},
        {GOOD "consents:\n"
              "  - {id: a, provider: p, institution: B, customer: c}\n"
              "  - {id: b, provider: p, institution: B, customer: c}\n",
         "8:10: error: consent \"p/b\" is for the API the same refresh (customer and institution) "
         "as \"a\" at root.yaml:7:10"},
        {GOOD "consents:\n  a: {id: a, provider: p}\n",
         "7:3: error: consents: a list is expected, keys with values was found"},
    };

    check_refusals(*state, rows, ROW_COUNT(rows));
}

static void test_all_errors_at_once(void **state)
{
    struct config_fixture *fixture = *state;

    config_fixture_write(fixture, "conf.d/10.yaml", "schedules: {t: {cron: x}}\n");
    config_fixture_write(fixture, "conf.d/20.yaml", "a: [\n");
    config_fixture_write(fixture, "consents.csv",
                         "id,provider,institution,customer\nx,nobody,B,c\ny,p,B,\n");
    config_fixture_check(fixture,
                         "version: 1\ninclude: conf.d/*.yaml\nversoin: 1\n"
                         "providers:\n  p: {" BASE ", limits: {rate: fast}, insecure: yes}\n"
                         "consents: [{id: a, provider: r}]\n"
                         "consents_from: [{csv: consents.csv}]\n");
    assert_int_equal(fixture->diagnostics.error_count, 8);
    assert_non_null(strstr(config_fixture_said(fixture), "conf.d/10.yaml:1:23: error: "));
    assert_non_null(strstr(config_fixture_said(fixture), "conf.d/20.yaml:2:1: error: not valid"));
    assert_non_null(strstr(config_fixture_said(fixture),
                           "consents.csv:2:0: error: column \"provider\": there is no provider"));
    assert_non_null(strstr(config_fixture_said(fixture),
                           "consents.csv:3:0: error: column \"id\": API bud-v1 needs a customer"));
    assert_non_null(strstr(config_fixture_said(fixture), "root.yaml:3:1: error: unknown key"));
    assert_non_null(strstr(config_fixture_said(fixture), "root.yaml:6:30: error: there is no"));
}

/* --- Warnings -----------------------------------------------------------------------------------
 */

static void test_warnings(void **state)
{
    static const struct {
        const char *yaml;
        const char *expected;
    } rows[] = {
        {GOOD, ""},
        {SCHEDULE(", deadline: 6h") "consents: [{id: a, provider: p, customer: c, institution: B, "
                                    "schedule: s}]\n",
         ""},
        {"version: 1\nproviders:\n  p: {" BASE "}\nschedules:\n  s: {cron: 0 */4 * * *}\n"
         "consents: [{id: a, provider: p, customer: c, institution: B, schedule: s}]\n",
         "root.yaml:5:3: warning: \"s\" fires more often than the quota of provider \"p\" allows "
         "(4/24h per consent): what is beyond it will be skipped"},
        {"version: 1\nproviders:\n  p: {" BASE "}\nschedules:\n  s: {cron: 0 */6 * * *}\n"
         "  t: {cron: 30 2 * * *}\n"
         "consents: [{id: a, provider: p, customer: c, institution: B, schedule: [t, s]}]\n",
         "root.yaml:5:3: warning: \"s\", \"t\" together fire more often than the quota of provider "
         "\"p\" allows (4/24h per consent): what is beyond it will be skipped"},
        {"version: 1\nproviders:\n  p: {" BASE ", consent: {quota: none}}\n"
         "schedules:\n  s: {cron: \"* * * * *\"}\n",
         ""},
        {"version: 1\nproviders:\n  p: {" BASE "}\nschedules:\n  s: {cron: \"@hourly\"}\n",
         "root.yaml:5:3: warning: \"s\" fires more often than the quota of the only provider "
         "allows "
         "(4/24h per consent): what is beyond it will be skipped"},
        {GOOD "consents: [{id: a, provider: p, customer: c, institution: B}]\n",
         "root.yaml:5:3: warning: schedule \"s\" is used by no consent"},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct config_fixture *fixture = *state;

        config_fixture_check(fixture, rows[i].yaml);
        assert_string_equal(config_fixture_said(fixture), rows[i].expected);
        assert_non_null(fixture->config);
        assert_non_null(fixture->consents);
    }
}

/* --- What it means --------------------------------------------------------------------------- */

static void test_defaults(void **state)
{
    struct config_fixture *fixture = *state;
    const struct config *config;

    config_fixture_check(fixture, GOOD);
    config = fixture->config;
    assert_non_null(config);
    assert_string_equal(config->state.database, "/var/lib/refreshd/state.db");
    assert_int_equal(config->state.retain_jobs_ms, 90 * MS_PER_DAY);
    assert_int_equal(config->state.retain_attempts_ms, 30 * MS_PER_DAY);
    assert_null(config->reporting.database);
    assert_string_equal(config->summary.log, "-");
    assert_int_equal(config->summary.every_ms, 15 * MS_PER_MINUTE);
    assert_int_equal(config->summary.format, LOG_FORMAT_LOGFMT);
    assert_null(config->http.listen);
    assert_int_equal(config->max_shrink_percent, 10);
    assert_int_equal(config->provider_count, 1);
    assert_int_equal(config->providers[0].connect_timeout_ms, 10 * MS_PER_SECOND);
    assert_int_equal(config->providers[0].request_timeout_ms, 30 * MS_PER_SECOND);
    assert_int_equal(config->providers[0].body_bytes_max, 1024 * 1024);
    assert_false(config->providers[0].insecure);
    assert_string_equal(config->providers[0].auth_mode, "token");
    assert_int_equal(config->provider_settings[0].quota.count, 4);
    assert_int_equal(config->provider_settings[0].quota.window_ms, MS_PER_DAY);
    assert_int_equal(config->provider_settings[0].completion.poll_first_ms, 10 * MS_PER_SECOND);
    assert_int_equal(config->provider_settings[0].completion.poll_max_ms, 5 * MS_PER_MINUTE);
    assert_int_equal(config->provider_settings[0].completion.give_up_after_ms, 2 * MS_PER_HOUR);
    assert_true(config->provider_settings[0].needs_token);
    assert_int_equal(config->provider_settings[0].in_doubt, IN_DOUBT_REINITIATE);
    assert_int_equal(config->schedule_count, 1);
    assert_string_equal(config->schedules[0].timezone, "UTC");
    assert_int_equal(config->schedules[0].look_back_ms, -1);
    assert_int_equal(config->schedule_settings[0].deadline.kind, DEADLINE_NEXT_FIRING);
    assert_int_equal(config->schedule_settings[0].misfire, MISFIRE_RUN_ONCE);
    assert_int_equal(config->schedule_settings[0].misfire_max_age_ms, 12 * MS_PER_HOUR);
    assert_int_equal(config->schedule_settings[0].retry.attempts_max, 3);
    assert_int_equal(config->schedule_settings[0].retry.backoff_first_ms, MS_PER_MINUTE);
    assert_int_equal(config->schedule_settings[0].retry.backoff_max_ms, MS_PER_HOUR);
    assert_int_equal(config->schedule_settings[0].priority, 5);
    assert_int_equal(config->schedule_settings[0].calendar.gap, CALENDAR_GAP_RUN_AFTER);
    assert_int_equal(config->schedule_settings[0].calendar.overlap, CALENDAR_OVERLAP_FIRST);
    assert_int_equal(strlen(config->digest), 32);
}

/* A written cooldown is also how long a consent waits that was refused as too soon. */
static void test_cooldown_wait(void **state)
{
    static const struct {
        const char *yaml;
        int64_t first_s, max_s;
    } rows[] = {
        {GOOD, 900, 21600},
        {PROVIDER(", consent: {cooldown: 3s}"), 3, 21600},
        {PROVIDER(", consent: {cooldown: 8h}"), 28800, 28800},
        {PROVIDER(", consent: {cooldown: 0s}"), 900, 21600},
        {PROVIDER(", consent: {cooldown: {after_accept: 5s}}"), 5, 21600},
        {PROVIDER(", consent: {cooldown: {after_failure: 5s}}"), 900, 21600},
        {PROVIDER(", consent: {cooldown: 3s}, waits: {cooldown: {first: 1m}}"), 60, 21600},
        {PROVIDER(", consent: {cooldown: 8h}, waits: {cooldown: {max: 1h}}"), 3600, 3600},
    };
    struct config_fixture *fixture = *state;

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        config_fixture_check(fixture, rows[i].yaml);
        if (fixture->config == NULL)
            fail_msg("row %zu: %s", i, config_fixture_said(fixture));
        assert_int_equal(fixture->config->provider_settings[0].cooldown_refused_first_ms,
                         rows[i].first_s * 1000);
        assert_int_equal(fixture->config->provider_settings[0].cooldown_refused_max_ms,
                         rows[i].max_s * 1000);
    }
}

/* A default never contradicts what a person wrote. */
static void test_defaults_give_way(void **state)
{
    static const struct {
        const char *yaml;
        int64_t backoff_first_s, backoff_max_s, pushback_first_s, pushback_max_s;
        int64_t poll_first_s, poll_floor_s, poll_max_s;
    } rows[] = {
        {GOOD, 60, 3600, 30, 3600, 10, 5, 300},
        {SCHEDULE(", retry: {backoff: {first: 2h}}"), 7200, 7200, 30, 3600, 10, 5, 300},
        {SCHEDULE(", retry: {backoff: {max: 2s}}"), 2, 2, 30, 3600, 10, 5, 300},
        {PROVIDER(", waits: {pushback: {first: 2h}}"), 60, 3600, 7200, 7200, 10, 5, 300},
        {PROVIDER(", waits: {pushback: {max: 9s}}"), 60, 3600, 9, 9, 10, 5, 300},
        {PROVIDER(", completion: {poll: {first: 10m}}"), 60, 3600, 30, 3600, 600, 5, 600},
        {PROVIDER(", completion: {poll: {max: 2s}}"), 60, 3600, 30, 3600, 2, 2, 2},
        {PROVIDER(", completion: {poll: {first: 3s}}"), 60, 3600, 30, 3600, 3, 3, 300},
    };
    struct config_fixture *fixture = *state;

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        const struct schedule_settings *schedule;
        const struct provider_settings *provider;

        config_fixture_check(fixture, rows[i].yaml);
        if (fixture->config == NULL)
            fail_msg("row %zu: %s", i, config_fixture_said(fixture));
        schedule = &fixture->config->schedule_settings[0];
        provider = &fixture->config->provider_settings[0];
        assert_int_equal(schedule->retry.backoff_first_ms, rows[i].backoff_first_s * 1000);
        assert_int_equal(schedule->retry.backoff_max_ms, rows[i].backoff_max_s * 1000);
        assert_int_equal(provider->pushback_first_ms, rows[i].pushback_first_s * 1000);
        assert_int_equal(provider->pushback_max_ms, rows[i].pushback_max_s * 1000);
        assert_int_equal(provider->completion.poll_first_ms, rows[i].poll_first_s * 1000);
        assert_int_equal(provider->completion.poll_floor_ms, rows[i].poll_floor_s * 1000);
        assert_int_equal(provider->completion.poll_max_ms, rows[i].poll_max_s * 1000);
    }
}

static void test_values(void **state)
{
    struct config_fixture *fixture = *state;
    const struct provider_settings *provider;
    const struct schedule_settings *schedule;

    config_fixture_check(
        fixture,
        "version: 1\n"
        "state: {database: sub/../state.db, retain: {jobs: 100d}}\n"
        "http: {webhooks: {listen: \"[::1]:0\", public_url: \"https://W.example/hooks/\"}}\n"
        "providers:\n"
        "  p:\n"
        "    api: bud-v1\n"
        "    base_url: HTTPS://B.Example/api//\n"
        "    " AUTH "\n"
        "    customer_secret: {file: \"secrets/{customer}\"}\n"
        "    limits: {rate: [20/s, 600/min, 2000/day, 10/15m], jobs_running: 500, guard: 0s}\n"
        "    consent: {quota: 3/6h, cooldown: {after_success: 1h}}\n"
        "    completion: {webhook: true}\n"
        "schedules:\n"
        "  s:\n"
        "    cron: \"30 2 * * *\"\n"
        "    timezone: Europe/London\n"
        "    deadline: \"06:00\"\n"
        "    spread: 4h\n"
        "    dst: {gap: skip, overlap: both}\n"
        "    misfire: {policy: skip}\n");
    if (fixture->config == NULL)
        fail_msg("%s", config_fixture_said(fixture));
    assert_string_equal(fixture->config->state.database, config_fixture_path(fixture, "state.db"));
    assert_string_equal(fixture->config->http.webhook_public_url, "https://w.example/hooks");
    assert_string_equal(fixture->config->providers[0].base_url, "https://b.example/api");
    assert_int_equal(fixture->config->providers[0].customer_secret.kind, SECRET_FILE);
    assert_string_equal(fixture->config->providers[0].customer_secret.name,
                        config_fixture_path(fixture, "secrets/{customer}"));
    provider = &fixture->config->provider_settings[0];
    assert_int_equal(provider->limits.rate_count, 4);
    assert_int_equal(provider->limits.rates[1].count, 600);
    assert_int_equal(provider->limits.rates[1].span_ms, MS_PER_MINUTE);
    assert_int_equal(provider->limits.rates[2].span_ms, MS_PER_DAY);
    assert_int_equal(provider->limits.rates[3].span_ms, 15 * MS_PER_MINUTE);
    assert_int_equal(provider->limits.jobs_running_max, 500);
    assert_int_equal(provider->limits.requests_in_flight_max, 0);
    assert_int_equal(provider->rate_guard_ms, 0);
    assert_int_equal(provider->quota.count, 3);
    assert_int_equal(provider->quota.window_ms, 6 * MS_PER_HOUR);
    assert_int_equal(provider->cooldown.after_success_ms, MS_PER_HOUR);
    assert_int_equal(provider->cooldown.after_accept_ms, 0);
    assert_true(provider->completion.webhook);
    schedule = &fixture->config->schedule_settings[0];
    assert_int_equal(schedule->spread_ms, 4 * MS_PER_HOUR);
    assert_int_equal(schedule->deadline.kind, DEADLINE_WALL_CLOCK);
    assert_int_equal(schedule->deadline.time_of_day_s, 6 * 3600);
    assert_int_equal(schedule->misfire, MISFIRE_SKIP);
    assert_int_equal(schedule->calendar.gap, CALENDAR_GAP_SKIP);
    assert_int_equal(schedule->calendar.overlap, CALENDAR_OVERLAP_BOTH);
    assert_string_equal(schedule->calendar.zone->name, "Europe/London");
}

/* default is a template, named entries override it key by key. */
static void test_institutions(void **state)
{
    struct config_fixture *fixture = *state;
    const struct config_provider *provider;

    config_fixture_check(fixture, PROVIDER(", institutions: {default: {rate: 5/s, jobs_running: "
                                           "50}, BRD: {rate: [1/s, 9/min], blackout: 02:00-03:00 "
                                           "Europe/Bucharest}, \"-\": {requests_in_flight: 2}}"));
    if (fixture->config == NULL)
        fail_msg("%s", config_fixture_said(fixture));
    provider = &fixture->config->providers[0];
    assert_int_equal(provider->institution_default.rate_count, 1);
    assert_int_equal(provider->institution_count, 2);
    assert_string_equal(provider->institutions[0].name, "-");
    assert_int_equal(provider->institutions[0].limits.rates[0].count, 5);
    assert_int_equal(provider->institutions[0].limits.requests_in_flight_max, 2);
    assert_int_equal(provider->institutions[0].limits.jobs_running_max, 50);
    assert_string_equal(provider->institutions[1].name, "BRD");
    assert_int_equal(provider->institutions[1].limits.rate_count, 2);
    assert_int_equal(provider->institutions[1].limits.jobs_running_max, 50);
    assert_int_equal(provider->institutions[1].limits.hours.blackout_count, 1);
    assert_string_equal(provider->institutions[1].limits.hours.blackouts[0].zone->name,
                        "Europe/Bucharest");
    assert_int_equal(provider->institutions[1].limits.hours.blackouts[0].start_s, 2 * 3600);
}

/* A calendar is written once and stands for its ranges wherever it is named. */
static void test_calendars(void **state)
{
    struct config_fixture *fixture = *state;
    const struct hours_settings *hours;
    struct text printed;

    config_fixture_check(fixture, SCHEDULE(", blackout: [{calendar: banks}, 02:00-03:00], windows: "
                                           "{calendar: nights}") "calendars:\n"
                                                                 "  banks: [12-25, 2030-01-01]\n"
                                                                 "  nights: Sat 22:00 - Mon 06:00 "
                                                                 "Europe/London\n");
    if (fixture->config == NULL)
        fail_msg("%s", config_fixture_said(fixture));
    hours = &fixture->config->schedule_settings[0].hours;
    assert_int_equal(hours->blackout_count, 3);
    assert_int_equal(hours->blackouts[0].month, 12);
    assert_int_equal(hours->blackouts[1].kind, TIME_RANGE_DATES);
    assert_int_equal(hours->blackouts[2].end_s, 3 * 3600);
    assert_int_equal(hours->window_count, 1);
    assert_int_equal(hours->windows[0].kind, TIME_RANGE_WEEKLY);
    assert_string_equal(hours->windows[0].zone->name, "Europe/London");
    text_init(&printed, 100000);
    config_print(fixture->config, false, NULL, &printed);
    assert_non_null(strstr(printed.bytes, "blackout: [{calendar: banks}, 02:00-03:00]"));
    assert_non_null(strstr(printed.bytes, "windows: [{calendar: nights}]"));
    text_deinit(&printed);
}

/* What can have no effect any more, or never had, is said. */
static void test_hours_without_effect(void **state)
{
    static const struct {
        const char *yaml;
        const char *warning; /* NULL: none */
    } rows[] = {
        {SCHEDULE(", blackout: 2026-10-24 Europe/London"),
         "5:34: warning: \"2026-10-24 Europe/London\" is over and has no effect any more"},
        {GOOD "calendars: {banks: [2026-12-25, 2025-12-25]}\n",
         "6:33: warning: \"2025-12-25\" is over and has no effect any more"},
        {SCHEDULE(", blackout: 2027-03-28 01:00-02:00 Europe/London"),
         "5:34: warning: \"2027-03-28 01:00-02:00 Europe/London\" never happens: no clock of "
         "Europe/London shows such a time"},
        {SCHEDULE(", windows: 08:00-09:00, deadline: 6h"),
         "5:3: warning: schedules.s never sends: its windows and blackouts leave no time between "
         "any of its firings and their deadlines"},
        {SCHEDULE(", blackout: 00:00-12:00 UTC, deadline: 10h, spread: 1h"),
         "5:3: warning: schedules.s never sends: its windows and blackouts leave no time between "
         "any of its firings and their deadlines"},
        {SCHEDULE(", windows: 02-29 08:00-09:00, deadline: 8h"), NULL},
        {SCHEDULE(", windows: 02-29 09:00-10:00, deadline: 8h"),
         "5:3: warning: schedules.s never sends: its windows and blackouts leave no time between "
         "any of its firings and their deadlines"},
        {SCHEDULE(", windows: 08:00-09:00"), NULL},
        {SCHEDULE(", windows: Sun 05:00-06:00, blackout: 2026-11-01 - 2028-01-01, deadline: 5h"),
         NULL},
    };
    struct config_fixture *fixture = *state;
    const struct config_options options = {.check_only = true,
                                           .now = {INT64_C(1795000000000)}}; /* 2026-11-18 */

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        char expected[400] = "";

        if (rows[i].warning != NULL)
            (void)snprintf(expected, sizeof expected, "root.yaml:%s", rows[i].warning);
        config_fixture_write(fixture, "root.yaml", rows[i].yaml);
        config_fixture_load(fixture, "root.yaml", &options);
        if (fixture->config == NULL || strcmp(config_fixture_said(fixture), expected) != 0)
            fail_msg("%s\nsays     %s\nexpected %s", rows[i].yaml, config_fixture_said(fixture),
                     expected);
    }
}

/* --- Files ----------------------------------------------------------------------------------- */

static void test_includes(void **state)
{
    struct config_fixture *fixture = *state;

    config_fixture_write(fixture, "conf.d/20.yaml",
                         "schedules:\n  b: {cron: 0 2 * * *, override: true}\n"
                         "state: {database: b.db}\n");
    config_fixture_write(fixture, "conf.d/10.yaml",
                         "version: 1\nschedules:\n  b: {cron: 0 1 * * *}\n");
    config_fixture_write(fixture, "conf.d/.hidden.yaml", "broken: [\n");
    config_fixture_write(fixture, "conf.d/30.yaml~", "broken: [\n");
    config_fixture_write(fixture, "conf.d/#40.yaml#", "broken: [\n");
    config_fixture_write(fixture, "conf.d/50.yml", "broken: [\n");
    config_fixture_check(fixture, "version: 1\ninclude: [conf.d/*.yaml, \"*.yaml\", conf.d/*]\n"
                                  "schedules: {a: {cron: 0 0 * * *}}\n");
    if (fixture->config == NULL)
        fail_msg("%s", config_fixture_said(fixture));
    assert_int_equal(fixture->config->schedule_count, 2);
    assert_string_equal(fixture->config->schedules[1].cron, "0 2 * * *");
    /* Relative to the file that names it. */
    assert_string_equal(fixture->config->state.database,
                        config_fixture_path(fixture, "conf.d/b.db"));
}

static void test_include_errors(void **state)
{
    static const struct {
        const char *root;
        const char *included;
        const char *expected;
    } rows[] = {
        {"schedules: {a: {cron: 0 0 * * *}}\n", "schedules:\n  a: {cron: 0 1 * * *}\n",
         "conf.d/10.yaml:2:3: error: schedule \"a\" is given twice; it was first given at "
         "root.yaml:3:13; write \"override: true\" in it to replace the earlier one"},
        {"state: {database: a.db}\n", "state: {database: b.db}\n",
         "conf.d/10.yaml:1:9: error: key \"database\" is given twice; it was first given at "
         "root.yaml:3:9"},
        {"", "include: x.yaml\n",
         "conf.d/10.yaml:1:1: error: an included file cannot include others: name them in "
         "root.yaml"},
        {"", "version: 2\n", "conf.d/10.yaml:1:10: error: version: 2 is not allowed; only 1 is"},
        {"", "a:\n  - b\n c: d\n",
         "conf.d/10.yaml:3:2: error: not valid YAML: did not find expected key, while parsing a "
         "block mapping that starts at line 1"},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct config_fixture *fixture = *state;
        char root[300];

        (void)snprintf(root, sizeof root, "version: 1\ninclude: conf.d/*.yaml\n%s", rows[i].root);
        config_fixture_write(fixture, "conf.d/10.yaml", rows[i].included);
        config_fixture_check(fixture, root);
        assert_string_equal(config_fixture_said(fixture), rows[i].expected);
    }
}

static void test_missing_files(void **state)
{
    static const struct refusal rows[] = {
        {"version: 1\ninclude: gone.yaml\n", "2:10: error: \"gone.yaml\" does not exist"},
        {"version: 1\ninclude: conf\n",
         "2:10: error: \"conf\": only files whose names end in .yaml are included"},
    };
    struct config_fixture *fixture = *state;

    check_refusals(fixture, rows, ROW_COUNT(rows));
    config_fixture_load(fixture, "gone.yaml", NULL);
    assert_string_equal(config_fixture_said(fixture),
                        "gone.yaml:0:0: error: cannot be read: No such file or directory");
}

static void test_as(void **state)
{
    static const struct {
        const char *name;
        const char *content;
        const char *expected;
    } rows[] = {
        /* an existing file, a new one, the root, a CSV */
        {"conf.d/10.yaml", "schedules: {a: {cron: 0 9 * * *}}\n", ""},
        {"conf.d/10.yaml", "schedules: {a: {cron: x}}\n",
         "conf.d/10.yaml:1:23: error: schedules.a.cron: "},
        {"conf.d/15.yaml", "schedules: {b: {cron: 0 9 * * *}}\n", ""},
        {"./conf.d//15.yaml", "schedules: {b: {cron: x}}\n",
         "conf.d/15.yaml:1:23: error: schedules.b.cron: "},
        {"conf.d/15.yaml", "schedules: {a: {cron: 0 9 * * *}}\n",
         "conf.d/15.yaml:1:13: error: schedule \"a\" is given twice"},
        {"root.yaml", "version: 1\nstate: x\n", "root.yaml:2:8: error: state: "},
        {"consents.csv", "id,provider\na,b\n",
         "consents.csv:2:0: error: column \"provider\": there is no provider \"b\""},
        {"elsewhere.yaml", "version: 1\n",
         "root.yaml:1:1: error: \"elsewhere.yaml\" is not part of this configuration"},
        {"conf.d/15.yml", "version: 1\n",
         "root.yaml:1:1: error: \"conf.d/15.yml\" is not part of this configuration"},
    };
    struct config_fixture *fixture = *state;
    char as_path[128];

    config_fixture_write(fixture, "root.yaml",
                         "version: 1\ninclude: conf.d/*.yaml\n"
                         "consents_from: [{csv: consents.csv}]\n");
    config_fixture_write(fixture, "conf.d/10.yaml", "schedules: {a: {cron: 0 0 * * *}}\n");
    config_fixture_write(fixture, "consents.csv", "id,provider\n");
    strcpy(as_path, config_fixture_path(fixture, "new-file"));
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        const struct config_options options = {
            .check_only = true, .as_name = rows[i].name, .as_path = as_path};

        config_fixture_write(fixture, "new-file", rows[i].content);
        config_fixture_load(fixture, "root.yaml", &options);
        if (strncmp(config_fixture_said(fixture), rows[i].expected, strlen(rows[i].expected)) !=
                0 ||
            (rows[i].expected[0] == '\0') != (fixture->config != NULL))
            fail_msg("%s says %s", rows[i].name, config_fixture_said(fixture));
    }
}

/* --- Printing -------------------------------------------------------------------------------- */

static const char tricky[] =
    "version: 1\n"
    "providers:\n"
    "  p: {" BASE ", institutions: {\"Bank: of {Q}\": {rate: 1/s}, \"null\": {rate: [2/s]}}}\n"
    "  a: {api: finqware, base_url: https://f.example,\n"
    "      auth: {mode: internal, client_id: {file: id}, client_secret: {credential: x}}}\n"
    "schedules:\n"
    "  s: {cron: \"0 1 * * 1\", timezone: Europe/London, deadline: 90m}\n"
    "consents:\n"
    "  - {id: \"a:b\", provider: p, customer: \"#c\", institution: \"Bank: of {Q}\",\n"
    "     schedule: s, tags: [\"x,y\", \"\\u2028z\", \"-\"], expires: 2027-03-01T12:30:00+02:00}\n"
    "  - {id: b, provider: a}\n"
    "  - {id: \"~\", provider: p, customer_own_id: \"true\", institution: \"null\",\n"
    "     customer_secret: {file: secrets/b}}\n"
    "consents_from:\n"
    "  - {sqlite: x.db, query: \"SELECT id\\n  FROM \\\"t\\\"\", every: 60s}\n";

static void test_what_is_printed_reads_back(void **state)
{
    struct config_fixture *fixture = *state;
    char digest[sizeof fixture->config->digest];
    struct text first;
    struct text second;

    text_init(&first, 100000);
    text_init(&second, 100000);
    config_fixture_check(fixture, tricky);
    if (fixture->config == NULL)
        fail_msg("%s", config_fixture_said(fixture));
    strcpy(digest, fixture->config->digest);
    config_print(fixture->config, false, NULL, &first);
    assert_non_null(strstr(first.bytes, "deadline: 90m\n"));
    assert_non_null(strstr(first.bytes, "every: 1m\n"));
    assert_non_null(strstr(first.bytes, "expires: 2027-03-01T10:30:00Z"));
    config_fixture_check(fixture, first.bytes);
    if (fixture->config == NULL)
        fail_msg("%s\n%s", first.bytes, config_fixture_said(fixture));
    config_print(fixture->config, false, NULL, &second);
    assert_string_equal(first.bytes, second.bytes);
    assert_string_equal(fixture->config->digest, digest);
    text_deinit(&first);
    text_deinit(&second);
}

/* The digest follows the meaning, not the writing. */
static void test_digest(void **state)
{
    static const struct {
        const char *yaml;
        bool same;
    } rows[] = {
        {SCHEDULE(", spread: 60m, priority: 5"), true},
        {SCHEDULE(", priority: 5, spread: 1h") "# a comment\n", true},
        {SCHEDULE(", spread: 1h") "consents: []\n", true},
        {SCHEDULE(", spread: 2h"), false},
        {SCHEDULE(", spread: 1h") "max_shrink: 11%\n", false},
        {SCHEDULE(", spread: 1h") "consents: [{id: a, provider: p, customer: c, institution: B}]\n",
         false},
    };
    struct config_fixture *fixture = *state;
    char digest[sizeof fixture->config->digest];

    config_fixture_check(fixture, SCHEDULE(", spread: 1h"));
    assert_non_null(fixture->config);
    strcpy(digest, fixture->config->digest);
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        config_fixture_check(fixture, rows[i].yaml);
        assert_non_null(fixture->config);
        if ((strcmp(fixture->config->digest, digest) == 0) != rows[i].same)
            fail_msg("%s", rows[i].yaml);
    }
}

static void test_origins(void **state)
{
    struct config_fixture *fixture = *state;
    struct text out;

    text_init(&out, 100000);
    config_fixture_write(fixture, "conf.d/10.yaml", "max_shrink: 20%\n");
    config_fixture_check(fixture, GOOD "include: conf.d/*.yaml\n");
    assert_non_null(fixture->config);
    config_print(fixture->config, true, NULL, &out);
    assert_non_null(strstr(out.bytes, "max_shrink: 20%  # "));
    assert_non_null(strstr(out.bytes, "conf.d/10.yaml:1:13\n"));
    assert_non_null(strstr(out.bytes, "jobs: 90d  # default\n"));
    assert_non_null(strstr(out.bytes, "give_up_after: 2h  # API definition\n"));
    text_deinit(&out);
}

static void test_references(void **state)
{
    struct config_fixture *fixture = *state;
    struct config *config;

    config_fixture_check(fixture, GOOD);
    config = config_retain(fixture->config);
    config_fixture_forget(fixture);
    assert_string_equal(config->providers[0].name, "p");
    assert_int_equal(config_find_provider(config, "p"), 0);
    assert_int_equal(config_find_provider(config, "q"), UINT32_MAX);
    assert_int_equal(config_find_schedule(config, "s"), 0);
    assert_int_equal(config_find_schedule(config, "p"), UINT32_MAX);
    config_release(config);
    config_release(NULL);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, config_fixture_set_up, config_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_daemon_options),
        TEST(test_unknown_keys),
        TEST(test_provider_options),
        TEST(test_urls),
        TEST(test_schedule_options),
        TEST(test_consents),
        TEST(test_all_errors_at_once),
        TEST(test_warnings),
        TEST(test_defaults),
        TEST(test_defaults_give_way),
        TEST(test_cooldown_wait),
        TEST(test_values),
        TEST(test_institutions),
        TEST(test_calendars),
        TEST(test_hours_that_are_refused),
        TEST(test_hours_without_effect),
        TEST(test_includes),
        TEST(test_include_errors),
        TEST(test_missing_files),
        TEST(test_as),
        TEST(test_what_is_printed_reads_back),
        TEST(test_digest),
        TEST(test_origins),
        TEST(test_references),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
