# SPDX-License-Identifier: MIT
"""Credentials belong to the provider: while they are refused, slots wait, nobody fails and nobody is
held; the provider is tried again slowly and goes on by itself."""

import json
import signal

import pytest

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    broken_rules,
    bud,
    check_story,
    dictionaries,
    end,
    finqware,
    merge,
    plain_site,
    requests_of,
    schedule,
    secret,
    verdicts,
    wait_for,
)

WAITS = {"credentials": {"first": "1s", "max": "2s"}}
APIS = ["finqware", "bud-v1", "bud-v2"]


def account(api):
    return "finqware" if api == "finqware" else "bud"


def scenario_of(api, patch=None, **settings):
    return merge(merge(QUICK_SCENARIO, {"accounts": {account(api): settings}}), patch or {})


def site_of(folder, api, sandbox, count=6, deadline="1m", **more):
    rows = [
        {"id": f"c{i}", "provider": "p", "institution": f"bank{i % 3}", "customer": f"u{i}"}
        for i in range(count)
    ]
    more = merge({"waits": WAITS}, more)
    if api == "finqware":
        entry = finqware(sandbox, **more)
    else:
        entry = bud(sandbox, version=int(api[-1]), **more)
    return plain_site(folder, {"p": entry}, rows, {"nightly": schedule(deadline=deadline)})


def logins(sandbox, api):
    """Requests that carried credentials which the sandbox judged."""
    if api == "finqware":
        return requests_of(sandbox, api, "create")
    return requests_of(sandbox, "bud", "token")


@pytest.mark.parametrize("api", APIS)
def test_a_wrong_secret_fails_and_holds_nobody(tmp_path, api):
    with Sandbox(tmp_path, scenario_of(api, client_secret="another")) as sandbox:
        # what is on its way before the first refusal comes back cannot be held
        limits = {"requests_in_flight": 4}
        site = site_of(tmp_path, api, sandbox, count=30, deadline="3s", limits=limits)
        manifest = site.once(check=0)[0]
        assert (manifest["due"], manifest["skipped"]) == (30, 30)
        reasons = site.sql(
            "SELECT outcome, reason FROM v1_jobs UNION SELECT 'skipped', reason FROM v1_skips"
        )
        assert reasons == [("skipped", "auth")]
        assert site.sql("SELECT DISTINCT status FROM v1_consents") == [("active",)]
        assert site.one("SELECT max(consecutive_failures) FROM v1_consents") == 0
        assert site.one("SELECT max(quota_used) FROM v1_consents") == 0
        assert 2 <= logins(sandbox, api) <= 4 + 2, "tried again, slowly"
        assert sandbox.stats()["accepted"] <= logins(sandbox, api)
        assert broken_rules(sandbox) == {}
        check_story(site, sandbox)


@pytest.mark.parametrize("api", APIS)
def test_the_provider_stops_with_reason_auth_and_says_so(tmp_path, api):
    with Sandbox(tmp_path, scenario_of(api, client_secret="another")) as sandbox:
        site = site_of(tmp_path, api, sandbox)
        process = site.start("once")
        wait_for(lambda: logins(sandbox, api) >= 2, what="a second try")

        def blocked():
            rows = [row for row in status(site) if row.get("type") == "limit"]
            return [row for row in rows if row["provider"] == "p" and row["blocked_by"] == "auth"]

        wait_for(blocked, what="the reason auth in status")
        why = site.run("why", "p/c5", check=(0, 1)).stdout
        assert "auth" in why
        assert end(process, signal.SIGTERM) == 75
        text = (tmp_path / "serve.log").read_text()
        assert text.count("event=credentials_refused provider=p ") == 1, "not for each try"
        assert "sandbox-secret" not in text


def status(site):
    lines = site.run("status", "--format", "json", check=0).stdout.splitlines()
    return [json.loads(line) for line in lines]




@pytest.mark.parametrize("api", APIS)
def test_the_night_goes_on_when_credentials_are_good_again(tmp_path, api):
    with Sandbox(tmp_path, scenario_of(api, client_secret="another")) as sandbox:
        site = site_of(tmp_path, api, sandbox, count=12)
        process = site.start("once")
        wait_for(lambda: logins(sandbox, api) >= 2, what="a second try")
        sandbox.change({"accounts": {account(api): {"client_secret": None}}})
        assert process.wait(timeout=30) == 0
        process.stdout.close()
        assert set(verdicts(site).values()) == {("refreshed", None)}
        assert len(verdicts(site)) == 12
        assert broken_rules(sandbox) == {}
        check_story(site, sandbox)


@pytest.mark.parametrize("api", APIS)
def test_a_rotated_secret_is_taken_by_a_reload(tmp_path, api):
    with Sandbox(tmp_path, scenario_of(api, client_secret="the-new-one")) as sandbox:
        # without the reload it would be tried again in an hour
        waits = {"credentials": {"first": "1h", "max": "1h"}}
        site = site_of(tmp_path, api, sandbox, count=12, waits=waits)
        process = site.start("once")
        wait_for(lambda: logins(sandbox, api) >= 1, what="a first try")
        secret(tmp_path, text="the-new-one")
        site.run("reload", check=0)
        assert process.wait(timeout=30) == 0
        process.stdout.close()
        assert set(verdicts(site).values()) == {("refreshed", None)}
        assert broken_rules(sandbox) == {}
        check_story(site, sandbox)


@pytest.mark.parametrize("api", APIS)
def test_a_secret_that_is_refused_in_the_middle_of_a_night(tmp_path, api):
    patch = {"job_duration_ms": {"min": 300, "max": 300}}
    with Sandbox(tmp_path, scenario_of(api, patch)) as sandbox:
        site = site_of(tmp_path, api, sandbox, count=8, limits={"jobs_running": 2})
        process = site.start("once")
        wait_for(lambda: sandbox.stats()["accepted"] >= 3, what="some jobs")
        sandbox.change({"accounts": {account(api): {"credentials_rejected_for_ms": 600}}})
        assert process.wait(timeout=40) == 0
        process.stdout.close()
        assert set(verdicts(site).values()) == {("refreshed", None)}
        assert len(verdicts(site)) == 8
        assert broken_rules(sandbox) == {}
        check_story(site, sandbox)


@pytest.mark.parametrize("api", ["bud-v1", "bud-v2"])
def test_many_consents_share_one_token(tmp_path, api):
    with Sandbox(tmp_path, scenario_of(api, token_delay_ms=300)) as sandbox:
        site = site_of(tmp_path, api, sandbox, count=30)
        assert site.once(check=0)[0]["refreshed"] == 30
        assert requests_of(sandbox, "bud", "token") == 1
        assert broken_rules(sandbox) == {}


@pytest.mark.parametrize("api", ["bud-v1"])
def test_a_token_is_renewed_before_it_ends(tmp_path, api):
    patch = {"job_duration_ms": {"min": 4500, "max": 4500}}
    with Sandbox(tmp_path, scenario_of(api, patch, token_lifetime_s=3)) as sandbox:
        site = site_of(tmp_path, api, sandbox, count=10)
        assert site.once(check=0)[0]["refreshed"] == 10
        stats = sandbox.stats()
        assert 2 <= stats["apis"]["bud"]["token"]["requests"] <= 3
        assert stats["refused"] == {}, "at 80 % of its life, so nothing is ever refused"
        assert broken_rules(sandbox) == {}


@pytest.mark.parametrize("api", ["bud-v1", "bud-v2"])
def test_a_token_that_dies_early_is_renewed_once_for_all(tmp_path, api):
    patch = {"job_duration_ms": {"min": 900, "max": 900}}
    with Sandbox(tmp_path, scenario_of(api, patch, token_early_expiry_ms=600)) as sandbox:
        site = site_of(tmp_path, api, sandbox, count=20)
        assert site.once(check=0)[0]["refreshed"] == 20
        assert site.one("SELECT max(attempts) FROM v1_jobs") == 1
        assert 2 <= requests_of(sandbox, "bud", "token") <= 4
        assert broken_rules(sandbox) == {}
        check_story(site, sandbox)


@pytest.mark.parametrize("api", ["bud-v1", "bud-v2"])
@pytest.mark.parametrize("fault", ["http_401", "http_403"])
def test_one_refusal_is_replayed_with_a_new_token(tmp_path, api, fault):
    patch = {"faults": {api: {"create": {"next": [fault]}}}}
    with Sandbox(tmp_path, scenario_of(api, patch)) as sandbox:
        site = site_of(tmp_path, api, sandbox, count=5)
        assert site.once(check=0)[0]["refreshed"] == 5
        assert requests_of(sandbox, "bud", "token") == 2
        assert site.one("SELECT max(quota_used) FROM v1_consents") == 1
        assert broken_rules(sandbox) == {}
        check_story(site, sandbox)


def test_a_token_endpoint_that_breaks_is_tried_again(tmp_path):
    patch = {"faults": {"bud": {"token": {"next": ["http_500", "invalid_json"]}}}}
    with Sandbox(tmp_path, scenario_of("bud-v1", patch)) as sandbox:
        site = site_of(tmp_path, "bud-v1", sandbox, count=5)
        assert site.once(check=0)[0]["refreshed"] == 5
        assert requests_of(sandbox, "bud", "token") == 3
        assert broken_rules(sandbox) == {}
        check_story(site, sandbox)


def test_a_refusal_of_one_consent_alone_does_not_stop_the_others(tmp_path):
    patch = {"consents": {"c0": {"create_error": {"status": 401, "code": "unauthorized"}}}}
    with Sandbox(tmp_path, scenario_of("finqware", patch)) as sandbox:
        site = site_of(tmp_path, "finqware", sandbox, count=12, deadline="4s")
        manifest = site.once()[0]
        assert manifest["refreshed"] == 11
        rows = dictionaries(site, "SELECT * FROM v1_jobs WHERE consent = 'p/c0'")
        assert (rows[0]["outcome"], rows[0]["reason"]) in (("failed", "rejected"), ("skipped", "auth"))
        assert site.sql("SELECT DISTINCT status FROM v1_consents") == [("active",)]
        assert broken_rules(sandbox) == {}
        check_story(site, sandbox)


def test_oauth2_mode_sends_tokens_and_never_the_secret(tmp_path):
    with Sandbox(tmp_path, scenario_of("finqware", auth_mode="oauth2")) as sandbox:
        site = site_of(tmp_path, "finqware", sandbox, count=4)
        site.settings["providers"]["p"]["auth"].update(
            mode="oauth2", token_url=sandbox["finqware"] + "/oauth/token", scope="ais"
        )
        site.write()
        assert site.once(check=0)[0]["refreshed"] == 4
        assert requests_of(sandbox, "finqware", "token") == 1
        assert broken_rules(sandbox) == {}


def test_customer_secrets_go_with_the_initiation_only(tmp_path):
    consents = {f"u{i}": {"customer_secret": f"of-u{i}"} for i in range(3)}
    patch = {"bud": {"hosted": False}, "consents": consents}
    with Sandbox(tmp_path, scenario_of("bud-v1", patch)) as sandbox:
        site = site_of(tmp_path, "bud-v1", sandbox, count=3)
        (tmp_path / "customers").mkdir()
        for i in range(3):
            secret(tmp_path / "customers", f"u{i}", f"of-u{i}")
        site.settings["providers"]["p"]["customer_secret"] = {"file": "customers/{customer}"}
        site.write()
        assert site.once(check=0)[0]["refreshed"] == 3
        assert broken_rules(sandbox) == {}
        text = site.state.read_bytes() + (tmp_path / "reporting.db").read_bytes()
        assert b"of-u1" not in text and b"sandbox-secret" not in text


def test_a_customer_secret_that_is_missing_costs_only_its_consent(tmp_path):
    with Sandbox(tmp_path, scenario_of("bud-v1")) as sandbox:
        site = site_of(tmp_path, "bud-v1", sandbox, count=3)
        (tmp_path / "customers").mkdir()
        for i in (0, 2):
            secret(tmp_path / "customers", f"u{i}", "known")
        site.settings["providers"]["p"]["customer_secret"] = {"file": "customers/{customer}"}
        site.write()
        manifest = site.once(check=1)[0]
        assert (manifest["refreshed"], manifest["failed"]) == (2, 1)
        row = dictionaries(site, "SELECT * FROM v1_jobs WHERE consent = 'p/c1'")[0]
        assert (row["outcome"], row["reason"]) == ("failed", "configuration")
        assert "u1" in row["error_message"]
        check_story(site, sandbox)
