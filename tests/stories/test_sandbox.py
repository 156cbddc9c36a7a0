# SPDX-License-Identifier: MIT
"""`refreshd sandbox`: both APIs, faults, and that each rule is counted when, and only when, it is
broken. Expectations come from the providers' documentation, not from the sandbox."""
import datetime as dt
import http.client
import json
import pathlib
import re
import signal
import socket
import subprocess
import time
import zlib

import pytest

from sandbox_client import REFRESHD, Sandbox

HOUR = 3600 * 1000
QUICK = {"job_duration_ms": 0, "poll_floor_ms": 0}
SLOW = {"job_duration_ms": HOUR}


@pytest.fixture
def sandbox(tmp_path):
    started = []

    def start(scenario=None, **more):
        started.append(Sandbox(tmp_path, scenario, **more))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            assert one.stop()[0] == 0


def ago(**distance):
    return (dt.datetime.now(dt.timezone.utc) - dt.timedelta(**distance)).strftime(
        "%Y-%m-%dT%H:%M:%SZ")


# --- the process ----------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_stops_cleanly(sandbox, number):
    s = sandbox()
    listen = s.ready["listen"]
    assert s.ready == {"listen": listen, "finqware": f"http://{listen}/finqware",
                       "bud": f"http://{listen}/bud",
                       "stats": f"http://{listen}/sandbox/v1/stats"}
    assert s.stats()["requests"] == 0
    assert s.stop(number) == (0, "")


@pytest.mark.parametrize("scenario, words", [
    ({"finqware": {"cooldwn_ms": 1}}, ["finqware.cooldwn_ms", "unknown key", "cooldown_ms"]),
    ({"nonsense": 1}, ["nonsense", "unknown key", "shares"]),
    ({"shares": {"revoked": 0.7, "partial": 0.6}}, ["shares", "more than 1"]),
    ({"limits": {"finqware": {"rate": ["20"]}}}, ["limits.finqware.rate", "20/s"]),
    ({"faults": {"finqware": {"create": {"explode": 1}}}}, ["faults.finqware.create.explode"]),
    ({"faults": {"bud-v1": {"create": {"next": ["boom"]}}}}, ["next[0]", "boom"]),
    ({"faults": {"bud-v1": {"token": {"slow": 1}}}}, ["faults.bud-v1.token", "create, poll"]),
    ({"consents": {"c": {"result": "fine"}}}, ["consents.c.result", "fine"]),
    ({"job_duration_ms": {"min": 5, "max": 1}}, ["job_duration_ms", "min is above max"]),
    ({"seed": "x"}, ["seed", "integer"]),
])
def test_a_wrong_scenario_is_refused_by_name(tmp_path, scenario, words):
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps(scenario))
    done = subprocess.run([REFRESHD, "sandbox", "--listen", "127.0.0.1:0", "--scenario", str(path)],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 65 and done.stdout == ""
    for word in words:
        assert word in done.stderr


def test_a_scenario_that_is_no_json_names_the_line(tmp_path):
    path = tmp_path / "scenario.json"
    path.write_text("{\n  oops\n}")
    done = subprocess.run([REFRESHD, "sandbox", "--listen", "127.0.0.1:0", "--scenario", str(path)],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 65 and "scenario.json:2:" in done.stderr


def test_a_taken_or_senseless_address(sandbox):
    s = sandbox()
    for listen, status in ((s.ready["listen"], 69), ("nowhere", 64), ("127.0.0.1:99999", 64)):
        done = subprocess.run([REFRESHD, "sandbox", "--listen", listen], capture_output=True,
                              text=True, timeout=20, check=False)
        assert done.returncode == status and listen in done.stderr


# --- Finqware -------------------------------------------------------------------------------------

def test_a_finqware_job_from_start_to_end(sandbox):
    s = sandbox({"job_duration_ms": 8000, "poll_floor_ms": 1000})
    made = s.create("c-1")
    assert made.status == 200
    assert made.json["status"] == "job_started" and made.json["consent_id"] == "c-1"
    assert made.json["api_client_app"] == "acme" and made.json["request_id"]
    words = []
    for _ in range(5):
        words.append(s.poll("c-1", made.json["job_id"]).json["status"])
        s.later(2000)
    assert words == ["job_started", "accounts_ready", "balances_ready", "transactions_fetching",
                     "job_completed"]
    (job,) = s.ledger()
    assert job["finished_ms"] - job["created_ms"] == 8000
    assert (job["consent"], job["verdict"], job["seen_end"]) == ("c-1", "success", True)
    assert s.breaks() == {}


@pytest.mark.parametrize("said, status", [
    ({"result": "success"}, "job_completed"), ({"result": "partial"}, "job_partially_completed"),
    ({"result": "job_failed"}, "job_failed"), ({"result": "provider_timeout"}, "job_failed"),
    ({"status_word": "weird"}, "weird"),
])
def test_every_end_of_a_finqware_job(sandbox, said, status):
    s = sandbox(dict(QUICK, consents={"c": said}))
    assert s.poll("c", s.create("c").json["job_id"]).json["status"] == status


@pytest.mark.parametrize("state, status, code", [
    ("revoked", 400, "consent_not_active"), ("suspended", 400, "consent_not_active"),
    ("created", 400, "consent_not_active"), ("expired", 400, "consent_not_active"),
    ("missing", 404, "consent_not_found"),
])
def test_a_finqware_consent_that_is_not_active(sandbox, state, status, code):
    s = sandbox({"consents": {"c": {"state": state}}})
    answer = s.create("c")
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json["error_id"] and answer.json["request_id"]
    looked = s.finq("consents/get", consent_id="c")
    if state == "missing":
        assert (looked.status, looked.json["code"]) == (404, "consent_not_found")
    else:
        assert (looked.status, looked.json["status"]) == (200, state)
    assert s.breaks() == {} and s.ledger() == []


@pytest.mark.parametrize("status, code", [
    (400, "cooldown_failed"), (400, "bad_request"), (400, "validation_error"),
    (400, "invalid_input"), (400, "method_selection_error"),
    (400, "method_input_validation_error"), (400, "link_expired"), (400, "unprocessable_entity"),
    (401, "unauthorized"), (404, "not_found"), (404, "consent_not_found"), (404, "job_not_found"),
    (500, "internal_error"), (500, "internal_server_error"),
])
def test_every_finqware_code_can_be_played(sandbox, status, code):
    error = {"status": status, "code": code}
    s = sandbox(dict(QUICK, consents={"a": {"create_error": error}, "b": {"poll_error": error}}))
    for answer in (s.create("a"), s.poll("b", s.create("b").json["job_id"])):
        assert (answer.status, answer.json["code"]) == (status, code)
    assert s.breaks() == {}


def test_a_consent_that_dies_while_its_job_runs(sandbox):
    s = sandbox(SLOW)
    job = s.create("c").json["job_id"]
    s.change(consents={"c": {"state": "revoked"}})
    answer = s.poll("c", job)
    assert (answer.status, answer.json["code"]) == (400, "consent_not_active")


def test_oauth2_mode(sandbox):
    s = sandbox({"accounts": {"finqware": {"auth_mode": "oauth2", "client_secret": "s3cret"}}})
    form = "grant_type=client_credentials&client_id=acme&client_secret=s3cret"
    got = s.send("POST", "/finqware/oauth/token", form)
    assert got.status == 200 and got.json["token_type"] == "Bearer"
    bearer = {"Authorization": "Bearer " + got.json["access_token"]}
    assert s.create("c", login={"client_id": "acme"}, headers=bearer).status == 200
    assert s.create("d", login={"client_id": "acme"}).status == 401
    assert s.breaks() == {}
    wrong = s.send("POST", "/finqware/oauth/token", form.replace("s3cret", "guess"))
    assert wrong.status == 401 and wrong.json["error"] == "invalid_client"


# --- Bud ------------------------------------------------------------------------------------------

def test_bud_tokens(sandbox):
    s = sandbox({"accounts": {"bud": {"client_secret": "s3cret", "token_lifetime_s": 60}}})
    first = s.token().json["data"]
    assert first["token_type"].lower() == "bearer" and first["expires_in"] == 60
    form = "grant_type=refresh_token&refresh_token=" + first["refresh_token"]
    s.bearer = first["access_token"]
    assert s.bud("GET", "/v1/open-banking/providers").status == 200
    renewed = s.send("POST", "/bud/v1/oauth/token", form, {"X-Client-Id": "acme"})
    assert renewed.status == 200
    assert renewed.json["data"]["refresh_token"] != first["refresh_token"]
    again = s.send("POST", "/bud/v1/oauth/token", form, {"X-Client-Id": "acme"})
    assert (again.status, again.json["code_id"]) == (400, "unknown")
    wrong = s.token(secret="guess")
    assert (wrong.status, wrong.json["code_id"]) == (400, "unknown")
    s.later(61000)
    old = s.bud("GET", "/v1/open-banking/providers")
    assert (old.status, old.json["code_id"]) == (401, "token_expired")
    s.bearer = "made-up"
    assert s.bud("GET", "/v1/open-banking/providers").json["code_id"] == "token_invalid"


def test_bud_v1_from_start_to_end_and_its_dedupe(sandbox):
    s = sandbox({"job_duration_ms": 8000, "shares": {"no_new_data": 0}}).login()
    made = s.refresh_v1()
    assert made.status == 202 and made.json["operation_id"] == "open_banking_refresh_post"
    assert len(made.header("X-Request-Id")) == 36
    task = made.json["data"]["task_id"]
    assert made.json["data"]["provider"] == "bank_a"
    assert made.json["metadata"] == {"status": "Pending", "next_url_delay": 50,
                                     "next_url": f"/v1/open-banking/refresh/{task}"}
    running = s.status(s.V1, task).json
    assert running["data"]["status"] == "Pending" and running["data"]["step"] == 1
    s.later(8000)
    over = s.status(s.V1, task).json
    assert over["data"] == {"task_id": task, "provider": "bank_a", "status": "Completed",
                            "result": "success", "reconnect_required": False, "step": 4,
                            "text": "Completed"}
    assert over["metadata"] == {"status": "Completed", "has_new_transactions": True}
    assert s.refresh_v1().json["data"]["task_id"] == task
    assert s.refresh_v1(provider="bank_b").json["data"]["task_id"] != task
    assert s.refresh_v1(customer="cust-2").json["data"]["task_id"] != task
    s.later(HOUR)
    s.login()
    assert s.refresh_v1().json["data"]["task_id"] != task
    assert s.stats()["deduplicated"] == 1
    assert s.breaks() == {}


def test_bud_v2_children_and_where_the_flag_is(sandbox):
    s = sandbox(dict(QUICK, shares={"no_new_data": 0}, consents={
        "cust-1/bank_b": {"result": "connection_revoked"},
        "cust-2/bank_b": {"has_new_transactions": False}},
        bud={"revoked_shape": "failed"})).login()
    made = s.refresh_v2(providers=["bank_b", "bank_a"]).json
    task = made["data"]["task_id"]
    assert [child["provider"] for child in made["data"]["sub_tasks"]] == ["bank_a", "bank_b"]
    assert made["metadata"]["next_url"] == f"/v2/open-banking/refresh/{task}"
    assert made["metadata"]["next_url_delay"] == 500
    over = s.status(s.V2, task).json
    assert over["data"]["status"] == over["metadata"]["status"] == "Failed"
    assert "result" not in over["data"] and "has_new_transactions" not in over["metadata"]
    good, bad = over["data"]["sub_tasks"]
    assert (good["status"], good["result"], good["has_new_transactions"]) == (
        "Completed", "success", True)
    assert (bad["status"], bad["result"], bad["reconnect_required"]) == (
        "Failed", "connection_revoked", True)
    fine = s.status(s.V2, s.refresh_v2("cust-2", ["bank_b"]).json["data"]["task_id"],
                    "cust-2").json["data"]
    assert (fine["status"], fine["result"], fine["has_new_transactions"]) == (
        "Completed", "success", False)
    # the same set in another order is the same refresh, a subset is not
    assert s.refresh_v2(providers=["bank_a", "bank_b"]).json["data"]["task_id"] == task
    assert s.refresh_v2(providers=["bank_a"]).json["data"]["task_id"] != task
    assert s.breaks() == {}


def test_a_revoked_consent_has_two_shapes(sandbox):
    s = sandbox(dict(QUICK, shares={"revoked": 1})).login()
    seen = set()
    for i in range(20):
        data = s.status(s.V1, s.refresh_v1(f"k-{i}").json["data"]["task_id"], f"k-{i}").json["data"]
        assert data["reconnect_required"] is True and data["result"] == "connection_revoked"
        seen.add(data["status"])
    assert seen == {"Completed", "Failed"}


def test_old_status_words(sandbox):
    s = sandbox(dict(QUICK, bud={"old_status_words": 1})).login()
    task = s.refresh_v1().json["data"]["task_id"]
    assert s.status(s.V1, task).json["data"]["status"] == "Complete"


RESULTS = """connection_expired connection_revoked connection_reauthenticate consent_not_found
connection_not_found connection_status auth_denied auth_expired auth_used awaiting_authorisation
connection_permission provider_request_limit provider_maintenance provider_unavailable
provider_timeout provider_failure provider_unauthorised provider_marked_account_invalid
provider_not_found provider_endpoint_deprecated provider_endpoint_unimplemented
provider_endpoint_unsupported failed_validation failed_body_decode extension_not_permitted
resource_not_found task_not_found internal_error internal_timeout internal_transient_error
internal_auth_error account_not_found request_validation provider_reauthenticate""".split()


def test_every_bud_result_can_be_played(sandbox):
    assert len(set(RESULTS)) == 34          # 32 with success, and 3 retired ones
    s = sandbox(dict(QUICK, bud={"revoked_shape": "failed"},
                     consents={f"x-{word}": {"result": word} for word in RESULTS})).login()
    for word in RESULTS:
        customer = f"x-{word}"
        v1 = s.status(s.V1, s.refresh_v1(customer).json["data"]["task_id"], customer).json["data"]
        assert (v1["status"], v1["result"]) == ("Failed", word)
        v2 = s.status(s.V2, s.refresh_v2(customer).json["data"]["task_id"], customer).json["data"]
        assert v2["status"] == "Failed" and v2["sub_tasks"][0]["result"] == word
        if word == "connection_not_found":
            assert (v1["reconnect_required"], v2["sub_tasks"][0]["reconnect_required"]) == (
                False, True)
    assert s.breaks() == {}


@pytest.mark.parametrize("status, code", [
    (401, "token_expired"), (401, "token_invalid"), (401, "customer_not_found"),
    (401, "unauthorized_scope"), (401, "unknown"), (404, "unknown"), (405, "unknown"),
    (429, "unknown"), (400, "failed_validation"), (400, "invalid_login"),
    (400, "unique_constraint"), (400, "account_not_found"), (400, "request_validation"),
    (404, "task_not_found"), (500, "unknown"),
])
def test_every_bud_code_can_be_played(sandbox, status, code):
    error = {"status": status, "code": code}
    s = sandbox(dict(QUICK, consents={"a": {"create_error": error},
                                      "b": {"poll_error": error}})).login()
    poll = s.status(s.V2, s.refresh_v2("b").json["data"]["task_id"], "b")
    for answer in (s.refresh_v1("a"), s.refresh_v2("a"), poll):
        assert (answer.status, answer.json["code_id"]) == (status, code)
        assert answer.json["operation_id"] and answer.json["message"]


def test_the_flags_can_be_made_to_disagree(sandbox):
    s = sandbox(dict(QUICK, consents={"c": {"result": "success", "reconnect_required": True,
                                            "status_word": "Completed"}})).login()
    data = s.status(s.V1, s.refresh_v1("c").json["data"]["task_id"], "c").json["data"]
    assert (data["status"], data["result"], data["reconnect_required"]) == (
        "Completed", "success", True)


def test_consents_and_providers(sandbox):
    s = sandbox({"banks": {"default": {"rate": "9/s"}, "bank_a": {"maintenance": True}, "bank_b": {
        "maintenance_from": "2020-01-01T00:00:00Z", "maintenance_until": "2020-01-02T00:00:00Z"}},
        "consents": {"gone": {"state": "revoked"}, "cust-1": {"providers": ["x", "y"]}}}).login()
    banks = {b["provider"]: b for b in s.bud("GET", "/v1/open-banking/providers").json["data"]}
    assert banks["bank_a"]["maintenance_status"] == "active"
    assert banks["bank_b"]["maintenance_status"] == "inactive"
    assert banks["bank_b"]["maintenance_window"]["start"] == "2020-01-01T00:00:00Z"
    assert set(banks) == {"bank_a", "bank_b"}
    path = "/v1/open-banking/account-access-consents"
    assert [c["provider"] for c in s.bud("GET", path).json["data"]] == ["x", "y"]
    assert s.bud("GET", path, customer="gone").json["data"] == []
    (gone,) = s.bud("GET", path + "?status=all", customer="gone").json["data"]
    assert gone["status"] == "revoked" and gone["revoke_reason"]
    # v2 without providers means all of the customer's
    made = s.bud("POST", s.V2, {}).json["data"]["sub_tasks"]
    assert [child["provider"] for child in made] == ["x", "y"]


# --- banks ----------------------------------------------------------------------------------------

def test_maintenance_is_a_refusal_in_v1_and_a_result_in_v2(sandbox):
    s = sandbox(dict(QUICK, bank_from_id="prefix-before-dash",
                     banks={"bank_a": {"maintenance": True}})).login()
    refused = s.refresh_v1()
    assert (refused.status, refused.json["code_id"]) == (400, "provider_maintenance")
    task = s.refresh_v2().json["data"]["task_id"]
    child = s.status(s.V2, task).json["data"]["sub_tasks"][0]
    assert child["result"] == "provider_maintenance"
    assert s.create("bank_a-1").json["code"] == "unprocessable_entity"
    s.change(banks={"bank_a": {"maintenance": False}})
    assert s.refresh_v1().status == 202 and s.create("bank_a-1").status == 200


def test_banks_that_hang_are_down_or_have_limits(sandbox):
    s = sandbox(dict(QUICK, banks={"tar": {"hang": True}, "off": {"down": True},
                                   "few": {"refuse_over": "2/h"}})).login()

    def result(customer, bank):
        task = s.refresh_v1(customer, bank).json["data"]["task_id"]
        s.later(HOUR)
        s.login()
        return s.status(s.V1, task, customer).json["data"].get("result")

    assert result("a", "tar") is None
    assert result("a", "off") == "provider_unavailable"
    s.change(banks={"few": {"refuse_over": "2/day"}})
    assert [result(c, "few") for c in "abc"] == ["success", "success", "provider_request_limit"]
    assert s.stats()["jobs"]["open"] == 0, "a job nobody polls any more is not counted for ever"


def test_the_bank_of_a_consent_from_a_csv_file(sandbox, tmp_path):
    (tmp_path / "banks.csv").write_text(
        'id,provider,institution\nc-1,finq,BRD\n"c-2",finq,"Bank, the ""big"" one"\nc-3,finq,\n')
    s = sandbox({"banks_csv": str(tmp_path / "banks.csv"), "banks": {"BRD": {"rate": "1/h"}}})
    for consent in ("c-1", "c-2", "c-3"):
        assert s.create(consent).status == 200
    assert [job["bank"] for job in s.ledger()] == ["BRD", 'Bank, the "big" one', None]
    s.create("c-1", account="finqware-two")
    assert s.ledger()[-1]["bank"] == "BRD", "the file holds for every account"
    peak = s.stats()["peaks"][0]
    assert (peak["bank"], peak["limit"], peak["allowed"], peak["peak"]) == ("BRD", "1/h", 1, 1)


# --- rules ----------------------------------------------------------------------------------------

def test_a_client_that_does_everything_right_breaks_no_rule(sandbox):
    s = sandbox({"job_duration_ms": 5000, "limits": {
        "finqware": {"rate": ["50/s", "600/min"], "requests_in_flight": 1, "jobs_running": 3},
        "bud": {"rate": ["50/s"], "requests_in_flight": 1, "jobs_running": 9}},
        "banks": {"default": {"rate": ["10/s"], "jobs_running": 3}},
        "bud": {"hosted": False}}).login()
    jobs = [(f"c-{i}", s.create(f"c-{i}").json["job_id"]) for i in range(3)]
    secret = {"X-Customer-Secret": "cs"}
    period = {"from": ago(days=89, hours=23, minutes=50), "to": ago(minutes=1)}
    v1 = s.refresh_v1(headers=secret, **period).json["data"]["task_id"]
    v2 = s.refresh_v2(providers=["a", "b"], headers=secret, **period).json["data"]["task_id"]
    own = s.bud("POST", s.V2, {"providers": ["a"]}, drop=["X-Customer-Id"],
                **{"X-Customer-Idempotent-Identifier": "mine-1", **secret})
    assert own.status == 202
    for _ in range(3):
        s.later(2500)
        for consent, job in jobs:
            assert s.poll(consent, job).status == 200
        assert s.status(s.V1, v1).status == s.status(s.V2, v2).status == 200
    s.later(6 * HOUR)
    s.login()
    for consent, _ in jobs:
        assert s.create(consent).status == 200
    assert s.refresh_v1(headers=secret).status == 202
    assert s.breaks() == {}
    assert s.stats()["accepted"] == 10


def finqware_rules():
    def cooldown(s):
        s.create("c")
        s.later(6 * HOUR - 1000)
        assert s.create("c").json["code"] == "cooldown_failed"
        s.later(1000)
        assert s.create("c").status == 200
        assert s.stats()["refused"] == {"cooldown_failed": 1}

    def quota(s):
        s.change(finqware={"cooldown_ms": 0})
        for _ in range(4):
            s.create("c")
            s.later(HOUR)
        s.later(20 * HOUR)              # the first is 24 h old, the fifth is free
        s.create("c")
        s.create("c")                   # the sixth is not

    def single_flight(s):
        s.change(job_duration_ms=HOUR, finqware={"cooldown_ms": 0})
        s.create("c")
        assert s.create("c").json["code"] == "cooldown_failed"
        s.later(HOUR)
        assert s.create("c").status == 200

    def poll_wrong_consent(s):
        assert s.poll("other", s.create("c").json["job_id"]).json["code"] == "job_not_found"

    def poll_unknown_job(s):
        job = s.create("c").json["job_id"]
        unknown = job[:-1] + ("0" if job[-1] != "0" else "1")
        assert s.poll("c", unknown).json["code"] == "job_not_found"

    def poll_too_fast(s):
        s.change(poll_floor_ms=1000)
        job = s.create("c").json["job_id"]
        s.poll("c", job)
        s.later(1000)
        s.poll("c", job)
        s.poll("c", job)

    def account_rate(s):
        s.change(limits={"finqware": {"rate": ["100/s", "3/h"]}})
        for i in range(4):
            s.create(f"c-{i}")
        (_, hour) = s.stats()["peaks"]
        assert (hour["limit"], hour["peak"], hour["peak_exact"]) == ("3/h", 4, 4)
        s.later(HOUR)
        s.create("c-5")

    def bank_rate(s):
        s.change(bank_from_id="prefix-before-dash", banks={"BRD": {"rate": "2/h"}})
        for consent in ("BRD-1", "BRD-2", "ING-1", "ING-2", "ING-3", "nobank"):
            s.create(consent)
        assert s.breaks() == {}
        s.create("BRD-3")

    def account_jobs_running(s):
        s.change(job_duration_ms=1000, limits={"finqware": {"jobs_running": 2}})
        for i in range(6):
            s.create(f"c-{i}")
            if i % 2 == 1:
                s.later(1000)
        assert s.breaks() == {}
        for i in range(3):
            s.create(f"d-{i}")
        assert s.stats()["accounts"]["finqware"]["jobs_running"]["peak"] == 3

    def bank_jobs_running(s):
        s.change(job_duration_ms=HOUR, bank_from_id="prefix-before-dash",
                 banks={"default": {"jobs_running": 1}})
        s.create("A-1")
        s.create("B-1")
        s.create("A-2")

    def secret_in_bearer_mode(s):
        form = "grant_type=client_credentials&client_id=acme&client_secret=s3cret"
        token = s.send("POST", "/finqware/oauth/token", form).json["access_token"]
        s.create("c", headers={"Authorization": f"Bearer {token}"})

    def malformed_request(s):
        assert s.send("POST", "/finqware/v2/ais/jobs/create", "{").json["code"] == "bad_request"

    def unknown_route(s):
        assert s.send("POST", "/finqware/v1/ais/jobs/create", {}).status == 404

    def redirect_followed(s):
        s.change(faults={"finqware": {"create": {"next": ["redirect"]}}})
        answer = s.create("c")
        assert answer.status == 302 and s.ledger() == []
        assert s.breaks() == {}
        s.send("POST", answer.header("Location"), {})

    def auth_hammer(s):
        s.change(accounts={"finqware": {"client_secret": "new", "auth_grace_ms": 0}})
        for i in range(7):
            s.later(1000)
            assert s.create(f"c-{i}").status == 401
            assert (s.breaks() == {}) == (i < 6)

    return [cooldown, quota, single_flight, poll_wrong_consent, poll_unknown_job, poll_too_fast,
            account_rate, bank_rate, account_jobs_running, bank_jobs_running,
            secret_in_bearer_mode, malformed_request, unknown_route, redirect_followed, auth_hammer]


@pytest.mark.parametrize("act", finqware_rules(), ids=lambda act: act.__name__)
def test_a_broken_finqware_rule_is_counted_once(sandbox, act):
    s = sandbox(QUICK)
    act(s)
    broken = s.breaks()
    if act.__name__ == "redirect_followed":       # the path behind it does not exist either
        assert broken.pop("unknown_route") == 1
    assert broken == {act.__name__: 1}
    example = s.stats()["rule_breaks"]["examples"][act.__name__][0]
    assert example["account"] == "finqware" and example["at"] and example["detail"]


def bud_rules():
    def customer_ip(s):
        assert s.refresh_v1(headers={"X-Customer-Ip-Address": "192.0.2.1"}).status == 202

    def customer_secret_on_get(s):
        task = s.refresh_v1().json["data"]["task_id"]
        s.status(s.V1, task, **{"X-Customer-Secret": "cs"})

    def missing_customer_secret(s):
        s.change(bud={"hosted": False},
                 consents={"right": {"customer_secret": "cs"}, "open": {"hosted": True}})
        assert s.refresh_v2("open").status == 202
        assert s.refresh_v2("right", headers={"X-Customer-Secret": "cs"}).status == 202
        assert s.refresh_v2("right", headers={"X-Customer-Secret": "no"}).status == 400
        assert s.breaks() == {}
        assert s.refresh_v2("other").json["code_id"] == "failed_validation"

    def look_back(s):
        assert s.refresh_v1(**{"from": ago(days=90, minutes=5)}).status == 400

    def missing_client_id(s):
        assert s.bud("POST", s.V1, {"provider": "a"}, drop=["X-Client-Id"]).status == 400

    def missing_customer(s):
        assert s.bud("POST", s.V1, {"provider": "a"}, drop=["X-Customer-Id"]).status == 400

    def both_customer_headers(s):
        s.refresh_v1(headers={"X-Customer-Idempotent-Identifier": "mine"})

    def expired_token_reused(s):
        s.change(accounts={"bud": {"auth_grace_ms": 100}})
        s.later(3600 * 1000)
        for _ in range(2):              # the 401 and one more are forgiven
            assert s.refresh_v1().status == 401
            assert s.breaks() == {}
            s.later(101)
        s.refresh_v1()

    def token_stampede(s):
        s.refresh_v1()
        s.token()
        assert s.breaks() == {}
        s.token()

    def next_url_path(s):
        url = s.refresh_v2().json["metadata"]["next_url"]
        assert s.bud("GET", url).status == 404

    def repost(s):
        s.change(job_duration_ms=HOUR)
        ids = {s.refresh_v1().json["data"]["task_id"] for _ in range(3)}
        assert len(ids) == 1            # once more is the answer to a doubt, twice is a habit

    def single_flight(s):
        s.change(job_duration_ms=2 * HOUR, accounts={"bud": {"token_lifetime_s": 86400}})
        s.refresh_v1("other")           # uses the token, or the next one would be one too many
        s.login()
        first = s.refresh_v1().json["data"]["task_id"]
        s.later(HOUR)
        assert s.refresh_v1().json["data"]["task_id"] != first

    def poll_wrong_consent(s):
        task = s.refresh_v2().json["data"]["task_id"]
        assert s.status(s.V2, task, "cust-2").json["code_id"] == "task_not_found"

    def poll_unknown_job(s):
        child = s.refresh_v2().json["data"]["sub_tasks"][0]["task_id"]
        assert s.status(s.V2, child).json["code_id"] == "task_not_found"

    def malformed_request(s):
        assert s.refresh_v2(resources=["accounts", "direct-debits"]).status == 202
        assert s.breaks() == {}
        assert s.bud("POST", s.V2, "").json["code_id"] == "failed_validation"

    def bank_rate(s):
        s.change(banks={"b": {"rate": "1/h"}})
        s.refresh_v2("c-1", ["a", "b"])
        s.refresh_v2("c-2", ["a", "b"])

    return [customer_ip, customer_secret_on_get, missing_customer_secret, look_back,
            missing_client_id, missing_customer, both_customer_headers, expired_token_reused,
            token_stampede, next_url_path, repost, single_flight, poll_wrong_consent,
            poll_unknown_job, malformed_request, bank_rate]


@pytest.mark.parametrize("act", bud_rules(), ids=lambda act: act.__name__)
def test_a_broken_bud_rule_is_counted_once(sandbox, act):
    s = sandbox(QUICK).login()
    act(s)
    assert s.breaks() == {act.__name__: 1}


@pytest.mark.parametrize("text, good", [
    ("2026-11-20T01:02:03Z", True), ("2026-11-20T01:02:03.25Z", True),
    ("2026-11-20T01:02:03+00:00", True), ("2026-11-20T01:02:03+0100", True),
    ("2026-11-20", False), ("2026-11-20T01:02:03", False), ("2026-11-20 01:02:03Z", False),
    ("2026-02-30T01:02:03Z", False), ("2026-11-20T24:02:03Z", False), ("yesterday", False),
    (1795000000, False), (None, False),
])
def test_from_must_be_iso_8601_with_a_zone(sandbox, text, good):
    s = sandbox(QUICK).login()
    if good:                             # the same form with a time inside the last 90 days
        text = ago(days=2)[:10] + text[10:]
    assert s.refresh_v1(**{"from": text}).status == (202 if good else 400)
    assert s.breaks() == ({} if good else {"bad_period": 1})


def test_requests_in_flight_are_counted_at_account_and_bank(sandbox):
    s = sandbox(dict(QUICK, answer_delay_ms=1000, bank_from_id="prefix-before-dash",
                     limits={"finqware": {"requests_in_flight": 2}},
                     banks={"A": {"requests_in_flight": 1}}))
    host, port = s.ready["listen"].split(":")
    body = dict(s.finq_login, consent_id="A-1")
    lines = []
    for consent in ("A-1", "B-1", "A-2"):
        line = http.client.HTTPConnection(host, int(port), timeout=20)
        line.request("POST", "/finqware/v2/ais/jobs/create",
                     json.dumps(dict(body, consent_id=consent)))
        lines.append(line)
    for line in lines:
        assert line.getresponse().status == 200
        line.close()
    assert s.breaks() == {"account_in_flight": 1, "bank_in_flight": 1}
    assert s.stats()["accounts"]["finqware"]["requests_in_flight"] == {
        "now": 0, "peak": 3, "limit": 2}


def test_requests_of_a_client_that_was_killed_are_not_in_flight_beside_the_next_ones(sandbox):
    s = sandbox(dict(QUICK, answer_delay_ms=3000,
                     limits={"finqware": {"requests_in_flight": 2}}))
    host, port = s.ready["listen"].split(":")
    clients = [http.client.HTTPConnection(host, int(port), timeout=20) for _ in range(4)]
    for line in clients:             # all of them are accepted before anything counts
        line.request("GET", "/sandbox/v1/stats")
        line.getresponse().read()

    def send(line, consent):
        line.request("POST", "/finqware/v2/ais/jobs/create",
                     json.dumps(dict(s.finq_login, consent_id=consent)))

    send(clients[0], "a")
    send(clients[1], "b")
    end = time.monotonic() + 20
    while s.stats()["accounts"]["finqware"]["requests_in_flight"]["now"] < 2:
        assert time.monotonic() < end
    s.process.send_signal(signal.SIGSTOP)
    try:
        send(clients[2], "c")        # first in the kernel's queue
        send(clients[3], "d")
        for line in clients[:2]:
            line.close()
    finally:
        s.process.send_signal(signal.SIGCONT)
    for line in clients[2:]:
        assert line.getresponse().status == 200
        line.close()
    assert s.breaks() == {}


@pytest.mark.parametrize("more, code", [
    ({"faults": {"finqware": {"poll": {"next": ["invalid_json"]}}}}, None),
    ({"faults": {"finqware": {"poll": {"next": ["unknown_code"]}}}}, "purple_monkey"),
    ({"consents": {"c": {"poll_error": {"status": 404, "code": "job_not_found"}}}},
     "job_not_found"),
    ({"shares": {"lost": 1}}, "job_not_found"),
    ({"consents": {"c": {"poll_error": {"status": 503, "code": "internal_error"}}}}, "goes on"),
    ({"faults": {"finqware": {"poll": {"next": ["http_503"]}}}}, "goes on"),
])
def test_a_job_counts_as_running_while_its_client_can_know(sandbox, more, code):
    s = sandbox(dict(SLOW, finqware={"cooldown_ms": 0},
                     limits={"finqware": {"jobs_running": 1}}, **more))
    answer = s.poll("c", s.create("c").json["job_id"])
    if code == "goes on":
        assert answer.status == 503 and s.stats()["jobs"]["open"] == 1
        assert s.create("c").json["code"] == "cooldown_failed"
        s.create("d")
        assert s.breaks() == {"single_flight": 1, "account_jobs_running": 1}
        return
    if code is not None:
        assert answer.json["code"] == code
    assert s.stats()["jobs"]["open"] == 0
    assert s.create("c").status == 200
    assert s.breaks() == {}


def test_a_job_whose_start_could_not_be_read_is_not_counted(sandbox):
    s = sandbox(dict(SLOW, limits={"finqware": {"jobs_running": 1}},
                     faults={"finqware": {"create": {"next": ["wrong_types", "drop_after"]}}}))
    s.create("a")
    with pytest.raises(http.client.RemoteDisconnected):
        s.create("b")
    assert s.breaks() == {}
    s.create("c")
    assert s.breaks() == {"account_jobs_running": 1}, "a dropped line must be doubted"


def test_an_endless_job_may_be_given_up(sandbox):
    s = sandbox({"shares": {"hang": 1}, "abandoned_after_ms": 60000, "poll_floor_ms": 0,
                 "finqware": {"cooldown_ms": 0}})
    job = s.create("c").json["job_id"]
    s.later(50000)
    s.poll("c", job)
    s.later(50000)
    assert s.create("c").json["code"] == "cooldown_failed"
    assert s.breaks() == {"single_flight": 1}
    s.later(20000)
    assert s.create("c").status == 200
    assert s.breaks() == {"single_flight": 1}


def test_only_the_first_twenty_examples_are_kept(sandbox):
    s = sandbox(QUICK)
    for i in range(25):
        s.send("GET", f"/finqware/nowhere/{i}")
    found = s.stats()["rule_breaks"]
    assert found["by_rule"]["unknown_route"] == 25
    assert len(found["examples"]["unknown_route"]) == 20


def test_a_cooldown_that_nobody_was_told_is_no_broken_rule(sandbox):
    s = sandbox(dict(QUICK, finqware={"known_cooldown": False}))
    s.create("c")
    assert s.create("c").json["code"] == "cooldown_failed"
    assert s.breaks() == {}


def test_accounts_are_apart(sandbox):
    s = sandbox(dict(QUICK, accounts={"finqware-two": {"client_secret": "other"}}))
    job = s.create("c").json["job_id"]
    assert s.create("c", account="finqware-two").status == 401
    login = {"client_id": "acme", "client_secret": "other"}
    assert s.create("c", account="finqware-two", login=login).status == 200
    assert s.poll("c", job, account="finqware-two", login=login).json["code"] == "job_not_found"
    assert set(s.stats()["accounts"]) == {"finqware", "finqware-two"}


# --- faults ---------------------------------------------------------------------------------------

BEFORE = {
    "http_500": (500, "internal_server_error"), "http_500_message": (500, None),
    "http_503": (503, None), "http_429": (429, "too_many_requests"),
    "http_429_date": (429, "too_many_requests"), "http_429_bare": (429, "too_many_requests"),
    "http_401": (401, "unauthorized"), "http_403": (403, "unauthorized"),
    "unknown_code": (400, "purple_monkey"), "redirect": (302, None),
}


@pytest.mark.parametrize("fault", BEFORE)
def test_faults_before_the_request_has_an_effect(sandbox, fault):
    s = sandbox(dict(QUICK, faults={"finqware": {"create": {"next": [fault]}}}))
    status, code = BEFORE[fault]
    answer = s.create("c")
    assert answer.status == status
    assert answer.json.get("code") == code
    assert s.ledger() == [] and s.stats()["faults"] == {fault: 1}
    retry_after = answer.header("Retry-After")
    if fault == "http_429":
        assert retry_after == "2"
    elif fault == "http_429_date":
        at = dt.datetime.strptime(retry_after, "%a, %d %b %Y %H:%M:%S GMT")
        ahead = at - dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
        assert dt.timedelta(seconds=0) < ahead < dt.timedelta(seconds=5)
    else:
        assert retry_after is None
    assert s.create("c").status == 200, "only the next request is hurt"
    assert s.breaks() == {}


@pytest.mark.parametrize("fault, accepted", [
    ("drop_before", False), ("drop_after", True), ("reset_after", True)])
def test_dropped_connections(sandbox, fault, accepted):
    s = sandbox(dict(SLOW, faults={"bud-v1": {"create": {"next": [fault]}}})).login()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        s.refresh_v1()
    assert len(s.ledger()) == accepted
    again = s.refresh_v1()
    assert again.status == 202 and len(s.ledger()) == 1
    assert s.stats()["deduplicated"] == accepted
    assert s.breaks() == {}


def test_a_repeat_after_a_spoiled_answer_is_no_broken_rule(sandbox):
    s = sandbox(dict(SLOW, bud={"reposts_allowed": 0},
                     faults={"bud-v1": {"create": {"next": ["invalid_json"]}}})).login()
    s.refresh_v1()
    s.refresh_v1()
    assert s.breaks() == {} and s.stats()["unwitting"] == 1
    s.refresh_v1("other")
    s.refresh_v1("other")
    assert s.breaks() == {"repost": 1}


@pytest.mark.parametrize("fault", ["truncated_length", "truncated_close", "invalid_json",
                                   "wrong_types", "other_id", "empty_body", "not_http",
                                   "huge_body", "gzip_bomb", "slow"])
def test_spoiled_answers(sandbox, fault):
    s = sandbox(dict(SLOW, slow_ms=300, huge_bytes=3000000,
                     faults={"finqware": {"create": {"next": [fault]}}}))
    if fault == "truncated_length":
        with pytest.raises(http.client.IncompleteRead):
            s.create("c")
    elif fault == "not_http":
        with pytest.raises(http.client.BadStatusLine):
            s.create("c")
    else:
        answer = s.create("c")
        assert answer.status == 200
        if fault == "truncated_close":
            assert answer.header("Content-Length") is None
            assert answer.body.startswith(b'{"request_id"') and not answer.body.endswith(b"}")
        elif fault == "invalid_json":
            with pytest.raises(ValueError):
                answer.json
        elif fault == "wrong_types":
            assert answer.json["status"] == 7 and isinstance(answer.json["job_id"], dict)
        elif fault == "other_id":
            assert answer.json["consent_id"] != "c"
        elif fault == "empty_body":
            assert answer.body == b""
        elif fault == "huge_body":
            assert len(answer.body) == 3000000 and answer.json["consent_id"] == "c"
        elif fault == "gzip_bomb":
            assert answer.header("Content-Encoding") == "gzip" and len(answer.body) < 30000
            unpacked = zlib.decompressobj(-15).decompress(answer.body[10:], 4000000)
            assert len(unpacked) >= 3000000 and unpacked.strip() == b""
        else:
            assert answer.json["status"] == "job_started"
    assert len(s.ledger()) == 1, "the job exists whatever became of the answer"
    s.create("c")
    stats = s.stats()
    # Whoever could not read the answer cannot know that a job runs.
    knew = fault == "slow"
    assert s.breaks() == ({"single_flight": 1} if knew else {})
    assert stats["unwitting"] == (0 if knew else 1)


def test_sixty_four_megabytes(sandbox):
    s = sandbox(dict(QUICK, faults={"bud-v2": {"poll": {"next": ["huge_body"]}}})).login()
    answer = s.status(s.V2, s.refresh_v2().json["data"]["task_id"])
    assert len(answer.body) == 64 * 1024 * 1024


def test_faults_of_polls_tokens_and_single_consents(sandbox):
    s = sandbox(dict(QUICK, faults={"bud": {"token": {"next": ["http_503"]}},
                                    "bud-v2": {"poll": {"next": ["other_id"]}}},
                     consents={"bad": {"create_faults": ["none", "http_500"],
                                       "poll_faults": ["empty_body"]}}))
    assert s.token().status == 503
    s.login()
    task = s.refresh_v2().json["data"]["task_id"]
    assert s.status(s.V2, task).json["data"]["task_id"] != task
    assert s.status(s.V2, task).json["data"]["task_id"] == task
    job = s.create("bad").json["job_id"]
    assert s.poll("bad", job).body == b"" and s.poll("bad", job).status == 200
    assert s.create("bad").status == 500 and s.create("good").status == 200
    assert s.breaks() == {}


def test_shares_of_faults_are_met_and_repeatable(sandbox):
    scenario = dict(QUICK, faults={"http_500": 0.25})

    def night():
        s = sandbox(scenario)
        return [s.create(f"c-{i}").status for i in range(400)]

    first = night()
    assert first == night()
    assert 60 < first.count(500) < 140


def test_a_rotated_secret_and_a_storm_of_refusals(sandbox):
    s = sandbox(dict(QUICK, accounts={"finqware": {"client_secret": "s3cret"}}))
    assert s.create("a").status == 200
    s.change(accounts={"finqware": {"client_secret": "rotated"}})
    assert s.create("b").json["code"] == "unauthorized"
    assert s.create("b", login={"client_id": "acme", "client_secret": "rotated"}).status == 200
    s.change(accounts={"finqware": {"client_secret": "s3cret",
                                    "credentials_rejected_for_ms": 5000}})
    assert s.create("c").status == 401
    s.later(5000)
    assert s.create("c").status == 200
    s.login()
    s.change(accounts={"bud": {"credentials_rejected_for_ms": 5000}})
    assert s.refresh_v1().json["code_id"] == "token_invalid" and s.token().status == 400
    s.later(5000)
    assert s.refresh_v1().status == 202


def test_tokens_that_die_early(sandbox):
    s = sandbox(dict(QUICK, accounts={"bud": {"token_early_expiry_ms": 1000}}))
    assert s.token().json["data"]["expires_in"] == 3600
    s.login()
    assert s.refresh_v1().status == 202
    s.later(1000)
    assert s.refresh_v1(customer="other").json["code_id"] == "token_expired"


# --- fates ----------------------------------------------------------------------------------------

def test_shares_of_fates_are_met_and_follow_the_seed(sandbox):
    scenario = dict(QUICK, shares={"revoked": 0.2, "partial": 0.2, "job_failed": 0.2})

    def night(seed):
        s = sandbox(scenario, seed=seed)
        verdicts = {}
        for i in range(300):
            answer = s.create(f"c-{i}")
            verdicts[f"c-{i}"] = answer.json.get("code")
        verdicts.update({job["consent"]: job["verdict"] for job in s.ledger()})
        return verdicts

    first = night(1)
    assert first == night(1) and first != night(2)
    for verdict, low, high in (("consent_not_active", 35, 90), ("partial", 25, 75),
                               ("job_failed", 25, 75), ("success", 100, 190)):
        assert low < list(first.values()).count(verdict) < high, verdict


def test_lost_jobs_and_unknown_words(sandbox):
    s = sandbox(dict(QUICK, shares={"lost": 1}))
    assert s.poll("c", s.create("c").json["job_id"]).json["code"] == "job_not_found"
    assert s.breaks() == {}
    s = sandbox(dict(QUICK, shares={"unknown_status": 1})).login()
    assert s.poll("c", s.create("c").json["job_id"]).json["status"] == "job_pondering"
    assert s.status(s.V2, s.refresh_v2().json["data"]["task_id"]).json["data"][
        "status"] == "Pondering"


def test_instant_jobs_are_over_at_once(sandbox):
    s = sandbox({"instant": True})
    assert s.poll("c", s.create("c").json["job_id"]).json["status"] == "job_completed"


# --- control --------------------------------------------------------------------------------------

def test_the_ledger_tells_what_a_client_should_know(sandbox):
    s = sandbox(SLOW).login()
    s.create("c-1")
    s.refresh_v1()
    s.refresh_v1()
    s.refresh_v2(providers=["a", "b"])
    one, two, three = s.ledger()
    assert (one["api"], one["consent"], one["finished_ms"]) == ("finqware", "c-1", None)
    assert (two["customer"], two["bank"], two["create_requests"]) == ("cust-1", "bank_a", 2)
    assert [child["bank"] for child in three["sub_tasks"]] == ["a", "b"]
    jobs = s.send("GET", "/sandbox/v1/jobs?consent=cust-1/bank_a").body.decode()
    assert [json.loads(line) for line in jobs.splitlines()] == [two]
    assert s.stats(consent="cust-1")["consent"] == {"id": "cust-1", "jobs": 2,
                                                    "create_requests": 3, "poll_requests": 0}
    assert s.stats()["jobs"] == {"total": 3, "open": 3, "open_peak": 3}


def test_a_long_ledger_is_read_in_pieces(sandbox):
    s = sandbox(QUICK)
    for i in range(5):
        s.create(f"c-{i}")
    pieces = [s.send("GET", f"/sandbox/v1/ledger?from={i}&count=2").body for i in (0, 2, 4, 6)]
    assert [len(piece.splitlines()) for piece in pieces] == [2, 2, 1, 0]
    assert b"".join(pieces) == s.send("GET", "/sandbox/v1/ledger").body


def test_new_limits_start_with_empty_windows(sandbox):
    s = sandbox(dict(QUICK, limits={"finqware": {"rate": "9/h"}}))
    for i in range(3):
        s.create(f"c-{i}")
    s.change(limits={"finqware": {"rate": "2/h"}})
    s.create("c-4")
    s.change(poll_floor_ms=1)
    s.create("c-5")
    assert s.breaks() == {}
    assert [peak["peak"] for peak in s.stats()["peaks"]] == [2]
    s.create("c-6")
    assert s.breaks() == {"account_rate": 1}


def test_reset_forgets_everything_but_the_scenario(sandbox):
    s = sandbox(dict(SLOW, consents={"r": {"state": "revoked"}}))
    s.create("c")
    s.create("c")
    assert s.send("POST", "/sandbox/v1/reset").json == {"reset": True}
    stats = s.stats()
    assert (stats["requests"], stats["jobs"]["total"], stats["rule_breaks"]["total"]) == (0, 0, 0)
    assert stats["jobs"]["open"] == 0 and stats["refused"] == {}
    assert s.create("c").status == 200 and s.create("r").status == 400


def test_the_manual_knows_every_word(sandbox):
    text = (pathlib.Path(__file__).parents[2] / "docs" / "SANDBOX.md").read_text()
    documented = set(re.findall(r"`([a-z0-9_-]+)`", text))
    s = sandbox()

    def allowed(patch):
        error = s.send("POST", "/sandbox/v1/scenario", patch).json["error"]
        return set(error.split("allowed here: ")[1].split(", "))

    wrong = {"?": 1}
    words = allowed(wrong) | set(s.stats()["rule_breaks"]["by_rule"])
    for section in ("finqware", "bud", "webhook", "shares"):
        words |= allowed({section: wrong})
    for table in ("consents", "limits", "accounts", "banks"):
        words |= allowed({table: {"x": wrong}})
    words |= allowed({"faults": {"bud-v1": {"poll": wrong}}})
    assert len(words) > 140
    assert words - {"none"} - documented == set()
    (example,) = re.findall(r"```json\n(\{\n.*?\n\})\n```", text, re.S)
    s.change(**json.loads(example))


def test_a_wrong_change_changes_nothing(sandbox):
    s = sandbox(QUICK)
    before = s.send("GET", "/sandbox/v1/scenario").json
    for patch in ({"job_duration_ms": -1}, {"bud": {"x": 1}}, [1]):
        answer = s.send("POST", "/sandbox/v1/scenario", patch)
        assert answer.status == 400 and "scenario" in answer.json["error"]
    assert s.send("POST", "/sandbox/v1/scenario", "{").status == 400
    assert s.send("GET", "/sandbox/v1/scenario").json == before == QUICK
    s.change(poll_floor_ms=None)                       # null takes a setting back
    assert s.send("GET", "/sandbox/v1/scenario").json == {"job_duration_ms": 0}
    assert s.send("GET", "/sandbox/v1/nothing").status == 404
    assert s.send("GET", "/sandbox/v1/reset").status == 405


def test_requests_that_are_no_http(sandbox):
    s = sandbox()
    host, port = s.ready["listen"].split(":")
    for sent, status in ((b"GARBAGE\r\n\r\n", b"400"), (b"GET / HTTP/3.0\r\n\r\n", b"400"),
                         (b"GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
                         (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
                         (b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", b"400"),
                         (b"GET /" + b"a" * 70000, b"431")):
        with socket.create_connection((host, int(port)), timeout=20) as line:
            line.sendall(sent)
            assert line.recv(4096).split(b" ")[1] == status, sent[:40]
    assert s.create("c").status == 200


def test_a_request_in_many_pieces_and_two_in_one(sandbox):
    s = sandbox(QUICK)
    host, port = s.ready["listen"].split(":")
    body = json.dumps(dict(s.finq_login, consent_id="c")).encode()
    request = (b"POST /finqware/v2/ais/jobs/create HTTP/1.1\r\nHost: x\r\nContent-Length: " +
               str(len(body)).encode() + b"\r\n\r\n" + body)
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(request), 7):
            line.sendall(request[i:i + 7])
        line.sendall(request + request)
        received = b""
        while received.count(b"HTTP/1.1 ") < 3 or not received.endswith(b"}"):
            received += line.recv(65536)
    assert received.count(b"HTTP/1.1 200") == 1 and received.count(b"cooldown_failed") == 2
