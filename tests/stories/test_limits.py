# SPDX-License-Identifier: MIT
"""Rates, requests in flight and running jobs, as the provider measures them; one slow bank does not
hold the others; blackouts; windows that survive a restart."""

import datetime
import signal
import time

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
    wait_for,
)


def rows(count, banks=4, provider="p"):
    return [
        {"id": f"b{i % banks}-{i}", "provider": provider, "institution": f"b{i % banks}", "customer": f"u{i}"}
        for i in range(count)
    ]


def entry_of(api, sandbox, **more):
    if api == "finqware":
        return finqware(sandbox, **more)
    return bud(sandbox, version=int(api[-1]), **more)


def scenario_of(api, account_limits=None, bank_limits=None, patch=None):
    """The sandbox measures what the client is configured to keep."""
    account = "finqware" if api == "finqware" else "bud"
    scenario = {"bank_from_id": "prefix-before-dash"}
    if account_limits:
        scenario["limits"] = {account: account_limits}
    if bank_limits:
        scenario["banks"] = {"default": bank_limits}
    return merge(merge(QUICK_SCENARIO, scenario), patch or {})


def peaks(sandbox):
    return [peak for peak in sandbox.stats()["peaks"]]


@pytest.mark.parametrize("api", ["finqware", "bud-v1"])
def test_several_rates_hold_in_every_window(tmp_path, api):
    account = {"rate": ["10/s", "25/3s", "40/10s"]}
    with Sandbox(tmp_path, scenario_of(api, account)) as sandbox:
        entry = entry_of(api, sandbox, limits={"rate": ["10/s", "25/3s", "40/10s"]})
        count = 20 if api == "finqware" else 14  # which asks more often
        site = plain_site(tmp_path, {"p": entry}, rows(count))
        assert site.once(check=0)[0]["refreshed"] == count
        measured = {peak["limit"]: peak for peak in peaks(sandbox) if peak["bank"] is None}
        assert set(measured) == {"10/s", "25/3s", "40/10s"}
        for peak in measured.values():
            assert peak["peak"] <= peak["allowed"], peak
        assert measured["10/s"]["peak"] >= 8, "limits are used, not only kept"
        assert broken_rules(sandbox) == {}
        check_story(site, sandbox)


@pytest.mark.parametrize("api", ["finqware", "bud-v1", "bud-v2"])
def test_the_rates_of_each_bank_hold(tmp_path, api):
    bank = {"rate": ["3/s", "8/5s"]}
    with Sandbox(tmp_path, scenario_of(api, None, bank)) as sandbox:
        entry = entry_of(
            api,
            sandbox,
            institutions={"default": {"rate": ["3/s", "8/5s"]}, "b0": {"rate": ["2/s"]}},
        )
        site = plain_site(tmp_path, {"p": entry}, rows(32))
        begun = time.monotonic()
        assert site.once(check=0)[0]["refreshed"] == 32
        assert time.monotonic() - begun >= 3
        for peak in peaks(sandbox):
            if peak["bank"] is not None:
                assert peak["peak"] <= peak["allowed"], peak
        sent = [
            row[0]
            for row in site.sql("SELECT sent_ms FROM v1_attempts WHERE consent LIKE 'p/b0-%' ORDER BY 1")
        ]
        assert len(sent) == 8
        assert all(later - first >= 1000 for first, later in zip(sent, sent[2:])), "its own 2/s"
        assert broken_rules(sandbox) == {}
        check_story(site, sandbox)


def test_polls_and_tokens_pay_at_the_provider(tmp_path):
    """The account's rate counts every request, whatever it is for."""
    patch = {"job_duration_ms": {"min": 800, "max": 800}}
    with Sandbox(tmp_path, scenario_of("bud-v1", {"rate": ["15/s"]}, None, patch)) as sandbox:
        site = plain_site(tmp_path, {"p": bud(sandbox, limits={"rate": ["15/s"]})}, rows(12))
        assert site.once(check=0)[0]["refreshed"] == 12
        assert requests_of(sandbox, "bud-v1", "poll") > 12
        assert broken_rules(sandbox) == {}


@pytest.mark.parametrize("api", ["finqware", "bud-v1"])
def test_requests_in_flight(tmp_path, api):
    patch = {"answer_delay_ms": {"min": 60, "max": 120}}
    account, bank = {"requests_in_flight": 5}, {"requests_in_flight": 2}
    with Sandbox(tmp_path, scenario_of(api, account, bank, patch)) as sandbox:
        entry = entry_of(api, sandbox, limits=account, institutions={"default": bank})
        site = plain_site(tmp_path, {"p": entry}, rows(30))
        assert site.once(check=0)[0]["refreshed"] == 30
        name = "finqware" if api == "finqware" else "bud"
        gauges = sandbox.stats()["accounts"][name]
        assert 4 <= gauges["requests_in_flight"]["peak"] <= 5
        for bank_name, gauge in gauges["banks"].items():
            assert gauge["requests_in_flight"]["peak"] <= 2, bank_name
        assert broken_rules(sandbox) == {}
        check_story(site, sandbox)


@pytest.mark.parametrize("api", ["finqware", "bud-v1"])
def test_jobs_running(tmp_path, api):
    patch = {"job_duration_ms": {"min": 200, "max": 400}}
    account, bank = {"jobs_running": 6}, {"jobs_running": 2}
    with Sandbox(tmp_path, scenario_of(api, account, bank, patch)) as sandbox:
        entry = entry_of(api, sandbox, limits=account, institutions={"default": bank})
        site = plain_site(tmp_path, {"p": entry}, rows(24))
        assert site.once(check=0)[0]["refreshed"] == 24
        name = "finqware" if api == "finqware" else "bud"
        gauges = sandbox.stats()["accounts"][name]
        assert 5 <= gauges["jobs_running"]["peak"] <= 6
        for bank_name, gauge in gauges["banks"].items():
            assert gauge["jobs_running"]["peak"] <= 2, bank_name
        assert broken_rules(sandbox) == {}
        check_story(site, sandbox)


def test_a_hanging_bank_does_not_hold_the_others(tmp_path):
    patch = {"banks": {"b0": {"hang": True}, "b1": {"answer_delay_ms": {"min": 1500, "max": 1500}}}}
    with Sandbox(tmp_path, scenario_of("finqware", None, None, patch)) as sandbox:
        entry = finqware(
            sandbox,
            limits={"requests_in_flight": 8, "jobs_running": 12},
            institutions={"default": {"jobs_running": 3, "requests_in_flight": 2}},
            completion={"give_up_after": "4s"},
        )
        schedules = {"nightly": schedule(deadline="6s")}
        site = plain_site(tmp_path, {"p": entry}, rows(40), schedules)
        site.once(check=1)
        started = site.one("SELECT min(started_ms) FROM v1_jobs")
        for bank in ("b2", "b3"):
            done = dictionaries(
                site,
                "SELECT * FROM v1_jobs WHERE institution = ? AND outcome = 'refreshed'",
                bank,
            )
            assert len(done) == 10, bank
            assert max(job["finished_ms"] for job in done) - started < 3500, bank
        assert site.sql("SELECT DISTINCT outcome FROM v1_jobs WHERE institution = 'b0'") == [("unknown",)]
        # what never got its turn at the hanging bank says that the bank was full
        reasons = {
            row[0] for row in site.sql("SELECT reason FROM v1_skips WHERE consent LIKE 'p/b0-%'")
        }
        assert reasons == {"deadline"}
        check_story(site, sandbox)


def clock(delta_s):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=delta_s)
    return moment.strftime("%H:%M")


def test_a_blackout_is_respected(tmp_path):
    with Sandbox(tmp_path, scenario_of("finqware")) as sandbox:
        blackout = f"{clock(-3600)}-{clock(3600)} UTC"
        entry = finqware(sandbox, institutions={"b0": {"blackout": [blackout]}})
        schedules = {"nightly": schedule(deadline="2s")}
        site = plain_site(tmp_path, {"p": entry}, rows(8), schedules)
        manifest = site.once(check=0)[0]
        assert (manifest["refreshed"], manifest["skipped"]) == (6, 2)
        skips = site.sql("SELECT consent, reason FROM v1_skips ORDER BY 1")
        assert skips == [("p/b0-0", "blackout"), ("p/b0-4", "blackout")]
        check_story(site, sandbox)


def test_outside_its_window_a_bank_is_not_called(tmp_path):
    with Sandbox(tmp_path, scenario_of("finqware")) as sandbox:
        closed = f"{clock(7200)}-{clock(10800)} UTC"
        opened = f"{clock(-3600)}-{clock(3600)} UTC"
        entry = finqware(sandbox, institutions={"b0": {"windows": [closed]}, "b1": {"windows": opened}})
        schedules = {"nightly": schedule(deadline="2s")}
        site = plain_site(tmp_path, {"p": entry}, rows(8), schedules)
        assert site.once(check=0)[0]["refreshed"] == 6
        skips = site.sql("SELECT consent, reason FROM v1_skips ORDER BY 1")
        assert skips == [("p/b0-0", "window"), ("p/b0-4", "window")]


def test_a_long_window_survives_a_restart(tmp_path):
    """30 in a minute: what was sent before the stop counts after it."""
    account = {"rate": ["30/min"]}
    with Sandbox(tmp_path, scenario_of("finqware", account)) as sandbox:
        # a request that was under way at the kill stays in doubt for as long as this
        entry = finqware(
            sandbox,
            limits={"rate": ["30/min"], "jobs_running": 5},
            completion={"give_up_after": "2s"},
        )
        schedules = {"nightly": schedule(deadline="4s")}
        site = plain_site(tmp_path, {"p": entry}, rows(40), schedules)
        process = site.start("once")
        wait_for(lambda: sandbox.stats()["requests"] >= 12, what="some requests")
        assert end(process, signal.SIGKILL) == -signal.SIGKILL
        before = sandbox.stats()["requests"]
        # jobs that run on are asked about once more when the minute is over: that is not awaited
        process = site.start("once")
        skips = "SELECT DISTINCT reason, detail FROM v1_skips"
        wait_for(lambda: sandbox.stats()["requests"] >= 30, what="the rest of the minute's thirty")
        wait_for(lambda: ("deadline", "rate") in site.sql(skips), what="the deadline")
        after = sandbox.stats()["requests"]
        end(process, signal.SIGKILL)
        assert before < after <= 30
        assert broken_rules(sandbox) == {}
        assert site.sql(skips) == [("deadline", "rate")]


def test_a_night_within_all_limits_at_once(tmp_path):
    """A mixed population, every kind of limit, both APIs."""
    account = {"rate": ["40/s", "150/5s"], "requests_in_flight": 10, "jobs_running": 20}
    bank = {"rate": ["8/s"], "requests_in_flight": 3, "jobs_running": 6}
    scenario = merge(
        QUICK_SCENARIO,
        {
            "bank_from_id": "prefix-before-dash",
            "limits": {"finqware": account, "bud": account},
            "banks": {"default": bank},
            "job_duration_ms": {"min": 50, "max": 300},
            "shares": {"revoked": 0.05, "partial": 0.05, "job_failed": 0.05, "provider_timeout": 0.05},
            "faults": {"http_500": 0.03, "drop_after": 0.02, "http_429": 0.01},
            "retry_after_s": 1,
        },
    )
    with Sandbox(tmp_path, scenario, seed=11) as sandbox:
        more = {"limits": account, "institutions": {"default": bank}}
        providers = {"f": finqware(sandbox, **more), "b": bud(sandbox, **more)}
        population = rows(60, 5, "f") + rows(60, 5, "b")
        site = plain_site(tmp_path, providers, population)
        manifest = site.once()[0]
        assert manifest["due"] == 120
        for peak in peaks(sandbox):
            assert peak["peak"] <= peak["allowed"], peak
        check_story(site, sandbox)
