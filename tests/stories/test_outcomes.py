# SPDX-License-Identifier: MIT
"""Every code, status and result word that the providers can say, played by the sandbox, and what
the state database tells about it. What is expected is written here by hand, from the providers'
documentation; nothing is read from the API definitions."""

import pytest

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    bud,
    check_story,
    dictionaries,
    finqware,
    merge,
    plain_site,
    requests_of,
    schedule,
    verdicts,
    wait_for,
)

# outcome, reason, attempts, hold
REFRESHED = ("refreshed", None, 1, None)
PARTIAL = ("partial", None, 1, None)
RECONNECT = ("reconnect_required", None, 1, "reconnect_required")
SUSPENDED = ("reconnect_required", None, 1, "suspended")
NOT_READY = ("skipped", "not_ready", 1, None)
COOLDOWN = ("skipped", "cooldown", 1, None)
CONFIGURATION = ("failed", "configuration", 1, None)
REJECTED = ("failed", "rejected", 1, None)
LOST = ("unknown", "lost", 1, None)
JOB_FAILED = ("failed", "job_failed", 1, None)
# refused or broken before anything was accepted: tried three times in all
PROVIDER_3 = ("failed", "provider_error", 3, None)
INSTITUTION_3 = ("failed", "institution_error", 3, None)
MAINTENANCE_3 = ("skipped", "maintenance", 3, None)
# accepted, then failed: the next try would be refused (cooldown) or get the same task (dedupe)
PROVIDER_1 = ("failed", "provider_error", 1, None)
INSTITUTION_1 = ("failed", "institution_error", 1, None)
MAINTENANCE_1 = ("failed", "maintenance", 1, None)
PUSHBACK_1 = ("failed", "pushback", 1, None)


def create_error(status, code, **more):
    return {"create_error": {"status": status, "code": code}, **more}


def poll_error(status, code, **more):
    return {"poll_error": {"status": status, "code": code}, **more}


FINQWARE = {
    # job status words
    "completed": ({"result": "job_completed"}, REFRESHED),
    "completed-in-capitals": ({"status_word": "JOB_COMPLETED"}, REFRESHED),
    "partially": ({"result": "job_partially_completed"}, PARTIAL),
    "failed": ({"result": "job_failed"}, JOB_FAILED),
    "through-all-stages": ({"duration_ms": 600}, REFRESHED),
    # codes of the create request
    "cooldown_failed": (create_error(400, "cooldown_failed"), COOLDOWN),
    "consent_not_active": (create_error(400, "consent_not_active", state="revoked"), RECONNECT),
    "bad_request": (create_error(400, "bad_request"), CONFIGURATION),
    "validation_error": (create_error(400, "validation_error"), CONFIGURATION),
    "invalid_input": (create_error(400, "invalid_input"), CONFIGURATION),
    "method_selection": (create_error(400, "method_selection_error"), CONFIGURATION),
    "method_input": (create_error(400, "method_input_validation_error"), CONFIGURATION),
    "link_expired": (create_error(400, "link_expired"), RECONNECT),
    "unprocessable": (create_error(400, "unprocessable_entity"), INSTITUTION_3),
    "not_found": (create_error(404, "not_found"), CONFIGURATION),
    "consent_not_found": (create_error(404, "consent_not_found"), CONFIGURATION),
    "internal_error": (create_error(500, "internal_error"), PROVIDER_3),
    "internal_server_error": (create_error(500, "internal_server_error"), PROVIDER_3),
    "bad_gateway": (create_error(502, "whatever"), PROVIDER_3),
    "unavailable": (create_error(503, ""), PROVIDER_3),
    "unknown-400": (create_error(400, "purple_monkey"), REJECTED),
    "unknown-409": (create_error(409, "purple_monkey"), REJECTED),
    "unknown-422": (create_error(422, ""), REJECTED),
    # states of the consent
    "revoked": ({"state": "revoked"}, RECONNECT),
    "deactivated": ({"state": "deactivated"}, RECONNECT),
    "expired": ({"state": "expired"}, RECONNECT),
    "failed-consent": ({"state": "failed"}, RECONNECT),
    "suspended": ({"state": "suspended"}, SUSPENDED),
    "created": ({"state": "created"}, NOT_READY),
    "started": ({"state": "started"}, NOT_READY),
    "requested": ({"state": "requested"}, NOT_READY),
    "sca_url_retrieved": ({"state": "sca_url_retrieved"}, NOT_READY),
    "awaiting_authz": ({"state": "awaiting_authz"}, NOT_READY),
    "authorized": ({"state": "authorized"}, NOT_READY),
    "missing": ({"state": "missing"}, CONFIGURATION),
    # codes of the poll
    "job_not_found": (poll_error(404, "job_not_found"), LOST),
    "poll-link_expired": (poll_error(400, "link_expired"), RECONNECT),
    "poll-validation": (poll_error(400, "validation_error"), CONFIGURATION),
    # words that nobody knows mean: still running; in the end nobody knows
    "unknown-word": ({"status_word": "job_pondering"}, LOST),
    "hangs": ({"hang": True}, LOST),
}

RESULTS = {  # result word of a Bud task -> verdict
    "success": REFRESHED,
    "connection_expired": RECONNECT,
    "connection_revoked": RECONNECT,
    "connection_reauthenticate": RECONNECT,
    "consent_not_found": RECONNECT,
    "connection_not_found": RECONNECT,
    "connection_status": RECONNECT,
    "auth_denied": RECONNECT,
    "auth_expired": RECONNECT,
    "auth_used": RECONNECT,
    "awaiting_authorisation": RECONNECT,
    "provider_marked_account_invalid": RECONNECT,
    "provider_reauthenticate": RECONNECT,
    "connection_permission": CONFIGURATION,
    "provider_request_limit": PUSHBACK_1,
    "provider_maintenance": MAINTENANCE_1,
    "provider_unavailable": INSTITUTION_1,
    "provider_timeout": INSTITUTION_1,
    "provider_failure": INSTITUTION_1,
    "provider_unauthorised": INSTITUTION_1,
    "provider_not_found": CONFIGURATION,
    "provider_endpoint_deprecated": CONFIGURATION,
    "provider_endpoint_unimplemented": CONFIGURATION,
    "provider_endpoint_unsupported": CONFIGURATION,
    "failed_validation": CONFIGURATION,
    "failed_body_decode": CONFIGURATION,
    "extension_not_permitted": CONFIGURATION,
    "resource_not_found": CONFIGURATION,
    "account_not_found": CONFIGURATION,
    "request_validation": CONFIGURATION,
    "task_not_found": LOST,
    "internal_error": PROVIDER_1,
    "internal_timeout": PROVIDER_1,
    "internal_transient_error": PROVIDER_1,
    "internal_auth_error": PROVIDER_1,
}

BUD = {
    **{f"result-{word}": ({"result": word}, verdict) for word, verdict in RESULTS.items()},
    # reconnect_required decides before the result, the result before the status
    "flag-over-success": ({"result": "success", "reconnect_required": True}, RECONNECT),
    "flag-over-failure": ({"result": "provider_timeout", "reconnect_required": True}, RECONNECT),
    "result-over-flag-false": (
        {"result": "connection_revoked", "reconnect_required": False},
        RECONNECT,
    ),
    "result-over-status": (
        {"result": "connection_permission", "status_word": "Completed"},
        CONFIGURATION,
    ),
    "completed-in-capitals": ({"status_word": "COMPLETED"}, REFRESHED),
    "complete-of-old": ({"status_word": "Complete"}, REFRESHED),
    # HTTP errors of the create request
    "failed_validation": (create_error(400, "failed_validation"), CONFIGURATION),
    "maintenance": (create_error(400, "provider_maintenance"), MAINTENANCE_3),
    "customer_not_found": (create_error(401, "customer_not_found"), CONFIGURATION),
    "unauthorized_scope": (create_error(401, "unauthorized_scope"), CONFIGURATION),
    "not-found": (create_error(404, "unknown"), CONFIGURATION),
    "not-allowed": (create_error(405, "unknown"), CONFIGURATION),
    "invalid_login": (create_error(400, "invalid_login"), CONFIGURATION),
    "unique_constraint": (create_error(400, "unique_constraint"), CONFIGURATION),
    "account_not_found": (create_error(400, "account_not_found"), CONFIGURATION),
    "request_validation": (create_error(400, "request_validation"), CONFIGURATION),
    "broken": (create_error(500, "unknown"), PROVIDER_3),
    "unavailable": (create_error(503, ""), PROVIDER_3),
    "unknown-400": (create_error(400, "purple_monkey"), REJECTED),
    "unknown-418": (create_error(418, ""), REJECTED),
    # HTTP errors of the poll
    "poll-task_not_found": (poll_error(404, "task_not_found"), LOST),
    "poll-not-found": (poll_error(404, "unknown"), LOST),
    "poll-failed_validation": (poll_error(400, "failed_validation"), CONFIGURATION),
    "hangs": ({"hang": True}, LOST),
}


def play(folder, api, table):
    """One run over a consent per line of the table; answers the site and the sandbox's numbers."""
    consents = {}
    rows = []
    for name, (said, _) in table.items():
        row = {"id": f"c-{name}", "provider": "p", "institution": f"bank-{name}"}
        key = row["id"]
        if api != "finqware":
            key = row["customer"] = f"u-{name}"
        consents[key] = said
        rows.append(row)
    scenario = merge(QUICK_SCENARIO, {"shares": {"no_new_data": 0}, "consents": consents})
    with Sandbox(folder, scenario) as sandbox:
        more = {"completion": {"give_up_after": "2s"}}
        if api == "finqware":
            entry = finqware(sandbox, **more)
        else:
            entry = bud(sandbox, version=int(api[-1]), **more)
        site = plain_site(folder, {"p": entry}, rows)
        site.manifest = site.once(check=1)[0]
        check_story(site, sandbox)
        # the holds of this run keep the next one from sending anything for them
        site.creates = requests_of(sandbox, api, "create")
        site.once("--new")
        check_story(site, sandbox)
    jobs = dictionaries(
        site,
        "SELECT j.*, c.hold_reason, c.status AS consent_status FROM v1_jobs AS j"
        " JOIN v1_consents AS c ON c.consent = j.consent WHERE run_id = ?",
        site.manifest["run_id"],
    )
    site.jobs = {job["consent"][len("p/c-") :]: job for job in jobs}
    return site


@pytest.fixture(scope="module")
def nights_of(tmp_path_factory):
    """The night of each API, played when a test first asks for it."""
    played = {}

    def night(api):
        if api not in played:
            table = FINQWARE if api == "finqware" else BUD
            played[api] = play(tmp_path_factory.mktemp(api), api, table)
        return played[api]

    return night


CASES = [("finqware", name) for name in FINQWARE] + [
    (api, name) for api in ("bud-v1", "bud-v2") for name in BUD
]


@pytest.mark.parametrize("api,name", CASES, ids=[f"{api}-{name}" for api, name in CASES])
def test_every_word_of_a_provider_has_its_outcome(nights_of, api, name):
    site = nights_of(api)
    expected = (FINQWARE if api == "finqware" else BUD)[name][1]
    job = site.jobs[name]
    assert (job["outcome"], job["reason"], job["attempts"], job["hold_reason"]) == expected
    assert job["state"] == "closed" and job["finished_at"] is not None
    assert job["consent_status"] == ("held" if expected[3] else "active")


@pytest.mark.parametrize("api", ["finqware", "bud-v1", "bud-v2"])
def test_the_manifest_counts_what_the_table_says(nights_of, api):
    site = nights_of(api)
    table = FINQWARE if api == "finqware" else BUD
    for outcome in ("refreshed", "partial", "reconnect_required", "failed", "skipped", "unknown"):
        expected = sum(1 for _, verdict in table.values() if verdict[0] == outcome)
        assert site.manifest[outcome] == expected, outcome
    assert site.manifest["due"] == len(table)


@pytest.mark.parametrize("api", ["finqware", "bud-v1", "bud-v2"])
def test_the_next_slot_of_a_held_consent_is_skipped(nights_of, api):
    site = nights_of(api)
    table = FINQWARE if api == "finqware" else BUD
    held = sorted(f"p/c-{name}" for name, (_, verdict) in table.items() if verdict[3])
    skipped = site.sql(
        "SELECT consent FROM v1_skips WHERE run_id <> ? AND reason = 'held' ORDER BY 1",
        site.manifest["run_id"],
    )
    assert [row[0] for row in skipped] == held
    listed = site.sql("SELECT consent FROM v1_reconnect WHERE cause = 'reconnect_required'")
    assert sorted(row[0] for row in listed) == sorted(
        f"p/c-{name}" for name, (_, verdict) in table.items() if verdict[3] == "reconnect_required"
    )


@pytest.mark.parametrize("api,name", [("finqware", "bad_request"), ("bud-v1", "unique_constraint")])
def test_evidence_of_a_refusal_is_kept(nights_of, api, name):
    site = nights_of(api)
    attempt = dictionaries(
        site, "SELECT * FROM v1_attempts WHERE consent = ? ORDER BY sent_ms", f"p/c-{name}"
    )[0]
    assert attempt["http_status"] == 400
    assert attempt["error_code"] == name
    assert attempt["error_message"] == "the scenario says so"
    assert attempt["request_id"]
    assert site.jobs[name]["error_code"] == name
    assert site.jobs[name]["error_message"] == "the scenario says so"
    if api == "finqware":
        assert attempt["error_id"]


@pytest.mark.parametrize("api", ["bud-v1", "bud-v2"])
@pytest.mark.parametrize("is_new", [True, False])
def test_new_data_is_told_where_each_version_puts_it(tmp_path, api, is_new):
    scenario = merge(QUICK_SCENARIO, {"consents": {"u": {"has_new_transactions": is_new}}})
    with Sandbox(tmp_path, scenario) as sandbox:
        rows = [{"id": "c", "provider": "p", "customer": "u", "institution": "b"}]
        site = plain_site(tmp_path, {"p": bud(sandbox, version=int(api[-1]))}, rows)
        site.once(check=0)
        assert site.sql("SELECT outcome, has_new_data FROM v1_jobs") == [("refreshed", int(is_new))]


def test_finqware_does_not_tell_whether_data_is_new(nights_of):
    assert nights_of("finqware").jobs["completed"]["has_new_data"] is None


@pytest.mark.parametrize("shape", ["completed", "failed"])
@pytest.mark.parametrize("version", [1, 2])
def test_both_shapes_of_a_revoked_consent_need_the_customer(tmp_path, version, shape):
    scenario = merge(
        QUICK_SCENARIO,
        {"bud": {"revoked_shape": shape}, "consents": {"u": {"state": "revoked"}}},
    )
    with Sandbox(tmp_path, scenario) as sandbox:
        rows = [{"id": "c", "provider": "p", "customer": "u", "institution": "b"}]
        site = plain_site(tmp_path, {"p": bud(sandbox, version=version)}, rows)
        site.once(check=0)
        assert verdicts(site) == {"p/c": ("reconnect_required", None)}


SUB_TASKS = {
    "one-fails": (["success", "provider_timeout"], ("partial", None)),
    "one-reconnects": (["success", "connection_revoked"], ("partial", None)),
    "all-well": (["success", "success"], ("refreshed", None)),
    "all-fail": (["provider_timeout", "provider_timeout"], ("failed", "institution_error")),
    "all-reconnect": (["connection_revoked", "auth_expired"], ("reconnect_required", None)),
}


def test_the_sub_tasks_of_a_customer_decide_together(tmp_path):
    consents = {}
    rows = []
    for name, (results, _) in SUB_TASKS.items():
        banks = [f"bank{i}" for i in range(len(results))]
        consents[f"u-{name}"] = {"providers": banks}
        for bank, result in zip(banks, results):
            consents[f"u-{name}/{bank}"] = {"result": result}
        rows.append({"id": f"c-{name}", "provider": "p", "customer": f"u-{name}"})
    with Sandbox(tmp_path, merge(QUICK_SCENARIO, {"consents": consents})) as sandbox:
        site = plain_site(tmp_path, {"p": bud(sandbox, version=2)}, rows)
        site.once()
        expected = {f"p/c-{name}": verdict for name, (_, verdict) in SUB_TASKS.items()}
        assert verdicts(site) == expected
        check_story(site, sandbox)


# ---- holds, and what lets a consent go ----


def held_site(folder, sandbox):
    rows = [{"id": name, "provider": "p", "institution": "b"} for name in ("one", "two")]
    site = plain_site(folder, {"p": finqware(sandbox, consent={"cooldown": "0s"})}, rows)
    assert site.once(check=0)[0]["reconnect_required"] == 2
    return site


HELD_SCENARIO = merge(
    QUICK_SCENARIO,
    {
        "finqware": {"cooldown_ms": 0},
        "consents": {"one": {"state": "revoked"}, "two": {"state": "revoked"}},
    },
)


def test_a_release_by_a_person_lets_go_and_is_audited(tmp_path):
    with Sandbox(tmp_path, HELD_SCENARIO) as sandbox:
        site = held_site(tmp_path, sandbox)
        dry = site.run("release", "p/one", "--dry-run", check=0)
        assert "p/one" in dry.stdout + dry.stderr
        assert site.one("SELECT count(*) FROM v1_consents WHERE status = 'held'") == 2
        assert site.sql("SELECT * FROM v1_audit") == []
        site.run("release", "p/one", "--reason", "customer came back", check=0)
        assert dict(site.sql("SELECT consent, status FROM v1_consents")) == {
            "p/one": "active",
            "p/two": "held",
        }
        audit = dictionaries(site, "SELECT * FROM v1_audit")
        assert [(row["action"], row["subject"]) for row in audit] == [("release", "p/one")]
        assert audit[0]["reason"] == "customer came back" and audit[0]["who"]
        sandbox.change({"consents": {"one": {"state": "active"}}})
        manifest = site.once(check=0)[0]
        assert (manifest["refreshed"], manifest["skipped"]) == (1, 1)
        assert site.sql("SELECT consent, reason FROM v1_skips") == [("p/two", "held")]


@pytest.mark.parametrize("field,value", [("expires", "2030-01-01"), ("authorized_at", "2026-01-01")])
def test_a_changed_row_lets_go_and_is_audited(tmp_path, field, value):
    with Sandbox(tmp_path, HELD_SCENARIO) as sandbox:
        site = held_site(tmp_path, sandbox)
        site.rows[0][field] = value
        site.write()
        sandbox.change({"consents": {"one": {"state": "active"}}})
        manifest = site.once(check=0)[0]
        assert (manifest["refreshed"], manifest["skipped"]) == (1, 1)
        audit = dictionaries(site, "SELECT * FROM v1_audit")
        assert [(row["action"], row["subject"]) for row in audit] == [("release", "p/one")]


def test_release_by_provider_institution_and_hold(tmp_path):
    with Sandbox(tmp_path, HELD_SCENARIO) as sandbox:
        site = held_site(tmp_path, sandbox)
        scope = ("--provider", "p", "--institution", "b", "--reason", "suspended")
        site.run("release", *scope)
        assert site.one("SELECT count(*) FROM v1_consents WHERE status = 'held'") == 2
        scope = ("--provider", "p", "--institution", "b", "--reason", "reconnect_required")
        site.run("release", *scope, check=0)
        assert site.one("SELECT count(*) FROM v1_consents WHERE status = 'held'") == 0
        assert site.one("SELECT count(*) FROM v1_audit WHERE action = 'release'") == 2


def test_nothing_is_sent_for_an_expired_consent(tmp_path):
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        rows = [{"id": "c", "provider": "p", "institution": "b", "expires": "2020-01-01"}]
        site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows)
        assert site.once(check=0)[0]["skipped"] == 1
        assert site.sql("SELECT reason FROM v1_skips") == [("expired",)]
        assert site.sql("SELECT status FROM v1_consents") == [("expired",)]
        assert sandbox.stats()["requests"] == 0


def test_a_failed_job_of_a_consent_that_died_meanwhile_needs_the_customer(tmp_path):
    consents = {"c": {"duration_ms": 1500, "result": "job_failed"}}
    with Sandbox(tmp_path, merge(QUICK_SCENARIO, {"consents": consents})) as sandbox:
        rows = [{"id": "c", "provider": "p", "institution": "b"}]
        site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows)
        process = site.start("once")
        wait_for(lambda: sandbox.stats()["accepted"] == 1, what="the job")
        sandbox.change({"consents": {"c": {"state": "revoked", "status_word": "job_failed"}}})
        assert process.wait(timeout=20) == 0
        process.stdout.close()
        assert verdicts(site) == {"p/c": ("reconnect_required", None)}
        assert site.sql("SELECT status FROM v1_consents") == [("held",)]


def test_refused_attempts_are_not_charged_to_the_quota(tmp_path):
    consents = {"c": {"create_error": {"status": 500, "code": "internal_error"}}}
    with Sandbox(tmp_path, merge(QUICK_SCENARIO, {"consents": consents})) as sandbox:
        rows = [{"id": "c", "provider": "p", "institution": "b"}]
        schedules = {"nightly": schedule(retry={"attempts": 6})}
        site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows, schedules)
        site.once(check=1)
        assert requests_of(sandbox, "finqware", "create") == 6
        assert site.sql("SELECT attempts, outcome FROM v1_jobs") == [(6, "failed")]
        assert site.sql("SELECT quota_used, consecutive_failures FROM v1_consents") == [(0, 1)]
