/* SPDX-License-Identifier: MIT
 * test_api_definition.c - the built-in definitions load and say what the scheduler needs; every
 * mistake in a definition is told with its line and with what is allowed. */
#include "config/api_definition.h"

#include <unistd.h>

#include "tests/unit/api_fixture.h"

/* A small good definition; each bad one below is this with one line changed. */
static const char *const good_lines[] = {
    /*  1 */ "name: mine",
    /*  2 */ "title: My API",
    /*  3 */ "unattended: true",
    /*  4 */ "auth:",
    /*  5 */ "  key: {title: an API key}",
    /*  6 */ "  oauth:",
    /*  7 */ "    token:",
    /*  8 */ "      method: POST",
    /*  9 */ "      path: /token",
    /* 10 */ "      form: {grant_type: client_credentials}",
    /* 11 */ "      accepted: [200]",
    /* 12 */ "      answer: {access_token: /t}",
    /* 13 */ "consent: {requires: customer, single_flight: [id]}",
    /* 14 */ "in_doubt: await",
    /* 15 */ "cooldown: {after_success: 1h}",
    /* 16 */ "completion: {poll: {first: 1s, floor: 1s, max: 1m}, give_up_after: 1h}",
    /* 17 */ "errors: {code: /code, message: /message}",
    /* 18 */ "requests:",
    /* 19 */ "  initiate:",
    /* 20 */ "    method: POST",
    /* 21 */ "    path: /jobs",
    /* 22 */ "    headers: {X-Key: {value: '{client_secret}', when: auth.key}}",
    /* 23 */ "    json: {c: '{consent.id}', u: '{callback_url?}'}",
    /* 24 */ "    accepted: [202]",
    /* 25 */ "    answer: {job: /id, poll_hint: {at: /wait, unit: s}}",
    /* 26 */ "  poll:",
    /* 27 */ "    method: GET",
    /* 28 */ "    path: '/jobs/{job.id}'",
    /* 29 */ "    accepted: [200]",
    /* 30 */ "    answer: {status: /s, result: /r, flags: {reconnect_required: /rr}}",
    /* 31 */ "statuses: {success: done, failed: [failed, error]}",
    /* 32 */ "causes:",
    /* 33 */ "  - {flag: reconnect_required, class: reconnect_required}",
    /* 34 */ "  - {code: slow, class: cooldown}",
    /* 35 */ "webhook:",
    /* 36 */ "  url: per_request",
    /* 37 */ "  events: [{kind: job, match: {/e: j}, job: /id}]",
};

/* The good definition with line `number` (from 1) replaced; 0: none. */
static char *written(unsigned number, const char *line)
{
    struct text text;

    text_init(&text, 100000);
    for (unsigned i = 0; i < ROW_COUNT(good_lines); i++) {
        text_append_string(&text, i + 1 == number ? line : good_lines[i]);
        text_append_string(&text, "\n");
    }
    return text.bytes;
}

static char *diagnosed(const char *yaml, bool *is_good)
{
    struct arena arena;
    struct diagnostics diagnostics;
    char *printed = NULL;
    size_t size;
    FILE *stream = open_memstream(&printed, &size);

    arena_init(&arena);
    diagnostics_init(&diagnostics, 100);
    *is_good = api_definition_parse(yaml, strlen(yaml), "my.yaml", &arena, &diagnostics) != NULL;
    diagnostics_print(&diagnostics, stream);
    (void)fclose(stream);
    diagnostics_deinit(&diagnostics);
    arena_deinit(&arena);
    return printed;
}

static const struct {
    unsigned line;
    const char *text;
    const char *diagnostics; /* all of them, in order, without "my.yaml:" and " error:" */
} bad[] = {
    {1, "name: My API", "1:7: name is \"My API\"; a name holds a-z, 0-9, - and _ only\n"},
    {1, "nmae: mine",
     "1:1: unknown key \"nmae\" in the definition; allowed: name, title, unattended, auth, "
     "consent, dedupe_window, in_doubt, cooldown, completion, look_back_max, errors, requests, "
     "statuses, causes, webhook\n"
     "1:1: the definition has no \"name\"; it is required\n"},
    {2, "title: ''", "2:8: title is empty or holds a NUL; a text is needed\n"},
    {3, "unattended: yes", "3:13: unattended is \"yes\"; allowed: false, true\n"},
    {5, "  Key!: {title: an API key}",
     "5:3: an auth mode is \"Key!\"; a name holds a-z, 0-9, - and _ only\n"
     "22:55: when: needs auth.MODE with a mode of this definition's auth; found \"auth.key\"\n"},
    {5, "  key: {tilte: an API key}",
     "5:9: unknown key \"tilte\" in an auth mode; allowed: title, token\n"},
    {9, "      path: token", "9:13: a path begins with one slash; found \"token\"\n"},
    {9, "      url: https://login.example",
     "9:12: url is \"https://login.example\"; allowed: configured\n"},
    {9, "      path: '/token/{client_secret}'",
     "9:13: {client_secret} cannot stand in a path; a secret belongs in a header or a body\n"},
    {9, "      path: '/token/{consent.id}'",
     "9:13: {consent.id} does not exist in the request \"token\"; it exists in: initiate, poll, "
     "look_up\n"},
    {10, "      form: {grant_type: '{token}'}",
     "10:26: {token} does not exist in the request \"token\"; it exists in: initiate, poll, "
     "look_up, institutions\n"},
    {10, "      form: {grant_type: [a]}", "10:26: a form value is a text\n"},
    {10, "      form: {s: '{scope}'}",
     "10:17: {scope} is not there in every refresh; write {scope?}, which leaves the member out "
     "then\n"},
    {11, "      accepted: [200, 302]",
     "11:23: an accepted HTTP code is 200 to 299, or 404 to 428 where such an answer still names a "
     "job; found \"302\"\n"},
    {12, "      answer: {access_token: t}",
     "12:30: a JSON pointer is needed, like /data/status; found \"t\"\n"},
    {12, "      answer: {expires_in: /e}",
     "12:15: answer has no \"access_token\"; it is required\n"},
    {13, "consent: {requires: bank, single_flight: [id]}",
     "13:21: requires is \"bank\"; allowed: customer, institution\n"},
    {13, "consent: {requires: customer, single_flight: [institution]}",
     "13:46: what single_flight is made of must stand in requires too, so that every consent has "
     "it\n"},
    {13, "consent: {requires: customer}",
     "13:10: consent has no \"single_flight\"; it is required\n"},
    {14, "in_doubt: maybe", "14:11: in_doubt is \"maybe\"; allowed: reinitiate, await\n"},
    {14, "in_doubts: await",
     "1:1: the definition has no \"in_doubt\"; it is required\n"
     "14:1: unknown key \"in_doubts\" in the definition; allowed: name, title, unattended, auth, "
     "consent, dedupe_window, in_doubt, cooldown, completion, look_back_max, errors, requests, "
     "statuses, causes, webhook\n"},
    {15, "cooldown: 6 hours",
     "15:11: cooldown is not a duration; write one like 90s, 15m, 6h or 7d\n"},
    {15, "cooldown: {after_success: 90d}", "15:27: after_success is 90d; allowed: 0s to 31d\n"},
    {15, "cooldown: {after: 1h}",
     "15:12: unknown key \"after\" in cooldown; allowed: after_accept, after_success, "
     "after_failure\n"},
    {16, "completion: {poll: {first: 1s, floor: 5m, max: 1m}}",
     "16:20: floor is longer than max, so no poll could be timed\n"},
    {17, "errors: {code: code}",
     "17:16: a JSON pointer is needed, like /data/status; found \"code\"\n"},
    {20, "    method: SEND", "20:13: method is \"SEND\"; allowed: GET, POST, PUT\n"},
    {20, "    accepted: [202]",
     "24:5: key \"accepted\" is given twice; it was first given at line 20, column 5\n"},
    {21, "    path: '/jobs/{job.id}'",
     "21:11: {job.id} does not exist in the request \"initiate\"; it exists in: poll\n"},
    {21, "    path: '/jobs/{client_secret}'",
     "21:11: {client_secret} cannot stand in a path; a secret belongs in a header or a body\n"},
    {21, "    path: '/jobs/{consent.customer_own_id?}'",
     "21:11: {consent.customer_own_id?} cannot stand in a path: nothing there can be left out\n"},
    {21, "    path: /jobs/../admin", "21:11: a path cannot hold \"..\" or \".\" as a segment\n"},
    {21, "    path: /jobs/./x", "21:11: a path cannot hold \"..\" or \".\" as a segment\n"},
    {21, "    path: //evil.example/jobs",
     "21:11: a path begins with one slash; found \"//evil.example/jobs\"\n"},
    {21, "    path: '/jobs/{consent.id'",
     "21:11: a { without its } in \"/jobs/{consent.id\"; a literal brace is written {{\n"},
    {21, "    path: '/jobs/a b'",
     "21:11: a path cannot hold the byte at column 8 of \"/jobs/a b\"; write it percent-encoded\n"},
    {22, "    headers: {X-Customer-Ip-Address: 127.0.0.1}",
     "22:15: \"X-Customer-Ip-Address\" looks like the address of a person; it is never sent, "
     "because refreshes here run without the customer: remove it\n"},
    {22, "    headers: {x-forwarded-for: 127.0.0.1}",
     "22:15: \"x-forwarded-for\" looks like the address of a person; it is never sent, because "
     "refreshes here run without the customer: remove it\n"},
    {22, "    headers: {X-User-IpAddress: 127.0.0.1}",
     "22:15: \"X-User-IpAddress\" looks like the address of a person; it is never sent, because "
     "refreshes here run without the customer: remove it\n"},
    {22, "    headers: {Content-Length: '3'}",
     "22:15: the header Content-Length is made by the transport (Content-Type follows from `json:` "
     "or `form:`); remove it\n"},
    {22, "    headers: {Authorization: 'Bearer {token}'}",
     "22:30: {token} would be sent in auth mode \"key\", which obtains no token; add `when: "
     "auth.MODE` with a mode that has one\n"},
    {22, "    headers: {Authorization: {value: 'Bearer {token}', when: auth.basic}}",
     "22:62: when: needs auth.MODE with a mode of this definition's auth; found \"auth.basic\"\n"},
    {22, "    headers: {'X Key': a}", "22:15: \"X Key\" is not a header name\n"},
    {22, "    headers: {X-Key: a, x-key: b}", "22:25: the header x-key would be sent twice\n"},
    {22, "    headers: {X-Key: ''}", "22:22: the header X-Key has no value; remove it\n"},
    {22, "    headers: {X-Key: '{from}'}",
     "22:22: {from} is not there in every refresh; write {from?}, which leaves the member out "
     "then\n"},
    {23, "    json: {c: '{consent.nmae}', u: '{callback_url?}'}",
     "23:15: unknown placeholder {consent.nmae}; known: {consent.id}, {consent.customer}, "
     "{consent.customer_own_id}, {consent.institution}, {job.id}, {callback_url}, {from}, {to}, "
     "{client_id}, {scope}, {client_secret}, {basic_credentials}, {token}, {customer_secret}; a "
     "literal brace is written {{ or }}\n"},
    {23, "    json: {c: '{consent.id}', u: '{callback_url}'}",
     "23:34: {callback_url} is not there in every refresh; write {callback_url?}, which leaves the "
     "member out then\n"},
    {23, "    json: {c: '{consent.institution}', u: '{callback_url?}'}",
     "23:15: {consent.institution} is not there in every consent; write {consent.institution?}, or "
     "add institution to consent.requires\n"},
    {23, "    json: {c: 'a}b', u: '{callback_url?}'}",
     "23:15: a } without its { in \"a}b\"; a literal brace is written }}\n"},
    {23, "    json: {psu_ip: '1.2.3.4', u: '{callback_url?}'}",
     "23:12: \"psu_ip\" looks like the address of a person; it is never sent, because refreshes "
     "here run without the customer: remove it\n"},
    {23, "    json: {b: '{basic_credentials}', u: '{callback_url?}'}",
     "23:15: {basic_credentials} cannot stand in a body; it belongs in a header\n"},
    {23, "    json: {c: '{consent.id}'}",
     "36:3: webhook.url is per_request, but the request \"initiate\" does not send "
     "{callback_url?}\n"},
    {23, "    json: [a]",
     "23:11: json is a mapping; write {} for an empty one\n"
     "36:3: webhook.url is per_request, but the request \"initiate\" does not send "
     "{callback_url?}\n"},
    {24, "    accepted: []", "24:15: accepted is an empty list; leave the key out instead\n"},
    {24, "    accepted: [accepted]",
     "24:16: an accepted HTTP code is 200 to 299, or 404 to 428 where such an answer still names a "
     "job; found \"accepted\"\n"},
    {25, "    answer: {job: /id, status: /s}",
     "25:24: unknown key \"status\" in answer; allowed: job, job_type, poll_hint, job_started, "
     "expires, "
     "next_allowed, echo, children, code, message, error_id, request_id\n"},
    {25, "    answer: {job: /id, job_type: float}",
     "25:34: job_type is \"float\"; allowed: text, integer\n"},
    {25, "    answer: {poll_hint: {at: /wait, unit: min}}",
     "25:13: answer has no \"job\"; it is required\n"
     "25:43: unit is \"min\"; allowed: ms, s\n"},
    {25, "    answer: {job: /a~2b}",
     "25:19: \"/a~2b\" is not a JSON pointer: at most 16 steps, and ~ only as ~0 or ~1\n"},
    {25, "    answer: {job: /id, echo: {/j: job.id}}", "25:35: job.id exists only in a poll\n"},
    {25, "    answer: {job: /id, echo: {/j: consent.name}}",
     "25:35: what an echo must equal is \"consent.name\"; allowed: consent.id, consent.customer, "
     "consent.customer_own_id, consent.institution, job.id\n"},
    {28, "    json: {a: b}",
     "27:5: the request \"poll\" has no \"path\"; it is required\n"
     "28:11: a GET request has no body\n"},
    {30, "    answer: {result: /r, flags: {reconnect_required: /rr}}",
     "30:13: answer has no \"status\"; it is required\n"},
    {30, "    answer: {status: /s, children: {at: /c}, flags: {reconnect_required: /rr}}",
     "30:36: children has no \"key\"; it is required\n"},
    {31, "statuses: {success: done, failed: [failed, Done]}",
     "31:35: the word \"Done\" stands twice in statuses\n"},
    {31, "statuses: {failed: failed}",
     "31:11: statuses has no word for \"success\", so nothing could ever be refreshed\n"},
    {31, "statuses: {success: done, over: failed}",
     "31:27: unknown key \"over\" in statuses; allowed: running, success, partial, failed\n"},
    {33, "  - {code: gone, class: lost}",
     "33:3: the flag reconnect_required decides before anything else: the first rule must be "
     "{flag: reconnect_required, class: reconnect_required}\n"},
    {33, "  - {flag: reconnect_required, http: 400, class: reconnect_required}",
     "33:3: the flag reconnect_required decides before anything else: the first rule must be "
     "{flag: reconnect_required, class: reconnect_required}\n"},
    {33, "  - {flag: reconnect_required, status: failed, class: reconnect_required}",
     "33:3: the flag reconnect_required decides before anything else: the first rule must be "
     "{flag: reconnect_required, class: reconnect_required}\n"},
    {34, "  - {code: slow, class: cool}",
     "34:25: class is \"cool\"; allowed: running, success, partial, retry_later, cooldown, "
     "reconnect_required, config_error, lost, credentials, pushback, not_ready, rejected, "
     "bad_answer\n"},
    {34, "  - {code: slow}", "34:5: a cause rule has no \"class\"; it is required\n"},
    {34, "  - {class: cooldown}",
     "34:5: a cause rule without a condition would decide everything; say when it holds\n"},
    {34, "  - {flag: red, class: cooldown}",
     "34:12: flag is \"red\"; allowed: reconnect_required\n"},
    {34, "  - {http: 2xx, class: cooldown}",
     "34:12: http is a code like 404 or a class like 5xx (400 and above); found \"2xx\"\n"},
    {34, "  - {http: 4xy, class: cooldown}",
     "34:12: http is a code like 404 or a class like 5xx (400 and above); found \"4xy\"\n"},
    {34, "  - {code: slow, class: cooldown, look_up: true}",
     "34:44: look_up: true needs a request \"look_up\", and this definition has none\n"},
    {34, "  - {code: slow, class: retry_later, reason: quota}",
     "34:46: reason is \"quota\"; allowed: rejected, provider_error, institution_error, "
     "bad_answer, job_failed, lost, configuration, cooldown, pushback, auth, maintenance, "
     "not_ready\n"},
    {34, "  - {result: ok, class: success, reason: lost}",
     "34:42: the class success is no failure and has no reason\n"},
    {34, "  - {request: [init], code: slow, class: cooldown}",
     "34:16: request is \"init\"; allowed: initiate, poll, look_up, token, institutions\n"},
    {34, "  - {status: done, class: cooldown}",
     "34:14: status is \"done\"; allowed: running, success, partial, failed\n"},
    {34, "  - slow",
     "34:5: a cause rule is a single value; a mapping with some of these keys is needed: request, "
     "http, code, result, status, flag, class, reason, look_up\n"},
    {36, "  url: registered",
     "23:34: {callback_url?} is sent, but `webhook.url` is not per_request\n"},
    {36, "  url: somewhere",
     "23:34: {callback_url?} is sent, but `webhook.url` is not per_request\n"
     "36:8: url is \"somewhere\"; allowed: per_request, registered\n"},
    {36, "  signature: {scheme: jws, header: X-Signature}",
     "23:34: {callback_url?} is sent, but `webhook.url` is not per_request\n"
     "36:3: webhook has no \"url\"; it is required\n"
     "36:14: a jws signature needs \"keys\": the JWKS as a path on base_url or an https:// URL\n"},
    {36, "  url: per_request\n  signature: {scheme: jws, header: X-S, keys: 'http://a/k'}",
     "37:47: keys is a path on base_url or an https:// URL; found \"http://a/k\"\n"},
    {37, "  events: [{kind: job, match: {/e: j}}]",
     "37:12: an event of kind job needs \"job\" or \"child_job\"\n"},
    {37, "  events: [{kind: hold, match: {/e: j}}]",
     "37:12: an event about a consent needs \"consent\" or \"customer\"\n"},
    {37, "  events: [{kind: job, match: {}, job: /id}]",
     "37:31: match is a mapping of JSON pointers to the texts that must stand there\n"},
    {37, "  events: []", "37:11: events is a list with at least one event\n"},
};

/* "my.yaml:1:2: error: text" of the table's "1:2: text", line by line. */
static char *expected_of(const char *diagnostics)
{
    struct text text;

    text_init(&text, 100000);
    while (*diagnostics != '\0') {
        size_t place = (size_t)(strstr(diagnostics, ": ") - diagnostics);
        size_t line = strcspn(diagnostics, "\n") + 1;

        text_append_string(&text, "my.yaml:");
        text_append(&text, diagnostics, place);
        text_append_string(&text, ": error");
        text_append(&text, diagnostics + place, line - place);
        diagnostics += line;
    }
    return text.bytes;
}

static void test_mistakes_are_told_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(bad); i++) {
        char *yaml = written(bad[i].line, bad[i].text);
        char *expected = expected_of(bad[i].diagnostics);
        bool is_good;
        char *printed = diagnosed(yaml, &is_good);

        assert_string_equal(printed, expected);
        assert_false(is_good);
        free(printed);
        free(expected);
        free(yaml);
    }
}

static void test_the_good_one_is_good(void **state)
{
    char *yaml = written(0, "");
    bool is_good;
    char *printed = diagnosed(yaml, &is_good);

    (void)state;
    assert_string_equal(printed, "");
    assert_true(is_good);
    free(printed);
    free(yaml);
}

static void test_several_mistakes_at_once(void **state)
{
    char *yaml = written(14, "in_doubt: maybe\ndedupe_window: long");
    char *at = strstr(yaml, "class: cooldown");
    bool is_good;
    char *printed;

    (void)state;
    memcpy(at, "class: cooking!", 15);
    printed = diagnosed(yaml, &is_good);
    assert_false(is_good);
    assert_non_null(strstr(printed, "my.yaml:14:11: error: in_doubt is \"maybe\""));
    assert_non_null(strstr(printed, "my.yaml:15:16: error: dedupe_window is not a duration"));
    assert_non_null(strstr(printed, "my.yaml:35:25: error: class is \"cooking!\""));
    free(printed);
    free(yaml);
}

static void test_finqware_says(void **state)
{
    struct api_fixture f;

    (void)state;
    api_fixture_open(&f, "finqware");
    assert_string_equal(f.definition->name, "finqware");
    assert_true(f.definition->is_unattended);
    assert_int_equal(f.definition->mode_count, 2);
    assert_int_equal(api_definition_mode(f.definition, NULL), -1);
    assert_int_equal(api_definition_mode(f.definition, "basic"), -1);
    assert_false(f.definition->modes[api_definition_mode(f.definition, "internal")].has_token);
    assert_true(f.definition->modes[api_definition_mode(f.definition, "oauth2")].has_token);
    assert_int_equal(f.definition->single_flight, API_KEY_ID);
    assert_int_equal(f.definition->consent_requires, 0);
    assert_false(f.definition->allows_own_customer_id);
    assert_false(f.definition->uses_customer_secret);
    assert_false(f.definition->uses_look_back);
    assert_int_equal(f.definition->in_doubt, IN_DOUBT_AWAIT);
    assert_int_equal(f.definition->dedupe_window_ms, 0);
    assert_int_equal(f.definition->cooldown.after_accept_ms, 6 * MS_PER_HOUR);
    assert_int_equal(f.definition->cooldown.after_success_ms, 6 * MS_PER_HOUR);
    assert_int_equal(f.definition->cooldown.after_failure_ms, 6 * MS_PER_HOUR);
    assert_true(f.definition->requests[REQUEST_LOOK_UP].is_used);
    assert_int_equal(f.definition->webhook.url, API_WEBHOOK_PER_REQUEST);
    assert_int_equal(f.definition->webhook.scheme, API_SIGNATURE_JWS);
    assert_string_equal(f.definition->webhook.signature_header, "x-signature");
    assert_string_equal(f.definition->webhook.key_id_header, "x-signature-kid");
    assert_string_equal(f.definition->webhook.keys, "/.well-known/jwks.json");
    assert_int_equal(f.definition->completion.give_up_after_ms, 2 * MS_PER_HOUR);
    assert_null(f.definition->request_id_header);
    api_fixture_close(&f);
}

static void test_bud_says(void **state)
{
    (void)state;
    for (int version = 1; version <= 2; version++) {
        struct api_fixture f;

        api_fixture_open(&f, version == 1 ? "bud-v1" : "bud-v2");
        assert_int_equal(api_definition_mode(f.definition, NULL), 0);
        assert_true(f.definition->modes[0].has_token);
        assert_int_equal(f.definition->single_flight,
                         version == 1 ? API_KEY_CUSTOMER | API_KEY_INSTITUTION : API_KEY_CUSTOMER);
        assert_int_equal(f.definition->consent_requires, f.definition->single_flight);
        assert_true(f.definition->allows_own_customer_id);
        assert_true(f.definition->uses_customer_secret);
        assert_true(f.definition->uses_look_back);
        assert_int_equal(f.definition->look_back_max_ms, 90 * MS_PER_DAY);
        assert_int_equal(f.definition->in_doubt, IN_DOUBT_REINITIATE);
        assert_int_equal(f.definition->dedupe_window_ms, MS_PER_HOUR);
        assert_int_equal(f.definition->cooldown.after_accept_ms, 0);
        assert_true(f.definition->requests[REQUEST_LOOK_UP].is_used);
        assert_true(f.definition->requests[REQUEST_LOOK_UP].answer.children.is_used);
        assert_int_equal(f.definition->webhook.url, API_WEBHOOK_REGISTERED);
        assert_string_equal(f.definition->request_id_header, "X-Request-Id");
        assert_true(f.definition->flag_reconnect >= 0 && f.definition->flag_new_data >= 0);
        api_fixture_close(&f);
    }
}

static char *loaded(const char *api)
{
    struct arena arena;
    struct diagnostics diagnostics;
    char *printed = NULL;
    size_t size;
    FILE *stream = open_memstream(&printed, &size);
    const struct place place = {"root.yaml", 7, 10, NULL};

    arena_init(&arena);
    diagnostics_init(&diagnostics, 100);
    if (api_definition_load(api, place, &arena, &diagnostics) != NULL)
        (void)fprintf(stream, "good");
    diagnostics_print(&diagnostics, stream);
    (void)fclose(stream);
    diagnostics_deinit(&diagnostics);
    arena_deinit(&arena);
    return printed;
}

static void test_finding_a_definition(void **state)
{
    char path[] = "/tmp/test_api_definition.XXXXXX";
    int descriptor = mkstemp(path);
    char *yaml = written(0, "");
    char *printed;

    (void)state;
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, yaml, strlen(yaml)), (int)strlen(yaml));
    close(descriptor);
    printed = loaded(path);
    assert_string_equal(printed, "good");
    free(printed);
    unlink(path);
    printed = loaded(path);
    assert_non_null(strstr(printed, path));
    free(printed);
    printed = loaded("finqwear");
    assert_string_equal(printed,
                        "root.yaml:7:10: error: no API definition is called \"finqwear\"; built "
                        "in: bud-v1, bud-v2, finqware; a value with a slash is the path of a "
                        "definition of your own\n");
    free(printed);
    free(yaml);
}

/* The examples of docs/ are definitions that check accepts. */
static void test_the_documented_example(void **state)
{
    const char *sources = getenv("TEST_SOURCES");
    char path[4096];
    char *printed;

    (void)state;
    if (sources == NULL)
        skip();
    snprintf(path, sizeof path, "%s/../docs/examples/pebble.yaml", sources);
    printed = loaded(path);
    assert_string_equal(printed, "good");
    free(printed);
}

/* Whatever the bytes are: a definition, or at least one error; never a crash. */
static void test_damaged_definitions(void **state)
{
    const uint64_t seed = unit_seed();
    char *yaml = written(0, "");
    const size_t length = strlen(yaml);
    static const char interesting[] = "{}[]:?'\"\n -/~%xa1#&*!|>\0\xff";
    uint64_t random = seed | 1;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        char *damaged = malloc(length + 1);
        bool is_good;
        char *printed;
        int changes;

        assert_non_null(damaged);
        memcpy(damaged, yaml, length + 1);
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        changes = 1 + (int)(random >> 62);
        for (int i = 0; i < changes; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            damaged[(random >> 33) % length] =
                interesting[(random >> 20) % (sizeof interesting - 2)];
        }
        printed = diagnosed(damaged, &is_good);
        assert_int_equal(is_good, printed[0] == '\0');
        free(printed);
        free(damaged);
    }
    free(yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_good_one_is_good),
        cmocka_unit_test(test_mistakes_are_told_with_their_place),
        cmocka_unit_test(test_several_mistakes_at_once),
        cmocka_unit_test(test_finqware_says),
        cmocka_unit_test(test_bud_says),
        cmocka_unit_test(test_finding_a_definition),
        cmocka_unit_test(test_the_documented_example),
        cmocka_unit_test(test_damaged_definitions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
