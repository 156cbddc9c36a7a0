# SPDX-License-Identifier: MIT
"""A dead bank is left alone while the others go on, a wrong configuration stops its provider once, and
both are shown, kept over a kill, probed, and let go."""

import json
import signal

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    bud,
    check_story,
    dictionaries,
    end,
    finqware,
    is_serving,
    merge,
    plain_site,
    requests_of,
    schedule,
    serving,
    status_of,
    wait_for,
)

QUICK_BREAKER = {"failures": 3, "probe": {"first": "1s", "max": "2s", "lease": "5s"}}


def rows(count, bank, provider="p"):
    return [
        {"id": f"{bank}-{i}", "provider": provider, "institution": bank, "customer": f"{bank}-u{i}"}
        for i in range(count)
    ]


def scenario(dead=True):
    banks = {"dead": {"result": "provider_unavailable"}} if dead else {}
    return merge(QUICK_SCENARIO, {"bank_from_id": "prefix-before-dash", "banks": banks})


def breaker_of(site, institution):
    for line in status_of(site):
        if line["type"] == "limit" and line["institution"] == institution:
            return line["breaker"]
    return None


def is_running(site):
    """Has `once` got as far as to answer?"""
    return (site.folder / "state.db.sock").exists() and is_serving(site)


def test_a_dead_bank_costs_few_requests_and_the_others_nothing(tmp_path):
    with Sandbox(tmp_path, scenario()) as sandbox:
        entry = bud(sandbox, breaker=QUICK_BREAKER, institutions={"default": {"jobs_running": 2}})
        site = plain_site(
            tmp_path,
            {"p": entry},
            rows(200, "dead") + rows(40, "fine"),
            {"nightly": schedule(deadline="8s", retry={"attempts": 1})},
        )
        manifest = site.once(check=(0, 1))[0]
        asked = site.one("SELECT count(*) FROM v1_jobs WHERE institution = 'dead'")
        assert manifest["refreshed"] == 40
        assert 3 <= asked <= 60, asked
        assert manifest["failed"] == asked
        skips = site.sql("SELECT reason, count(*) FROM v1_skips GROUP BY reason")
        assert skips == [("breaker", 200 - asked)]
        limits = {row["institution"]: row for row in dictionaries(site, "SELECT * FROM v1_limits")}
        assert limits["dead"]["breaker"] in ("open", "probing")
        assert limits["fine"]["breaker"] == "closed" and limits[None]["breaker"] == "closed"
        check_story(site, sandbox)


def test_an_open_breaker_is_shown_kept_and_let_go_when_the_bank_is_back(tmp_path):
    breaker = merge(QUICK_BREAKER, {"probe": {"first": "1h", "max": "1h"}})
    with Sandbox(tmp_path, scenario()) as sandbox:
        entry = bud(sandbox, breaker=breaker, institutions={"default": {"jobs_running": 2}})
        site = plain_site(
            tmp_path,
            {"p": entry},
            rows(60, "dead"),
            {"nightly": schedule(deadline="1m", retry={"attempts": 1})},
        )
        process = site.start("once", log="once.log")
        try:
            wait_for(lambda: is_running(site), what="the run")
            wait_for(lambda: breaker_of(site, "dead") == "open", what="the breaker")
            gates = json.loads(site.run("why", "p/dead-59", "--format", "json", check=0).stdout)["gates"]
            gate = [gate for gate in gates if gate["gate"] == "breaker"][0]
            assert (gate["open"], gate["reason"]) == (False, "breaker") and gate["earliest_at"]
            assert "breaker open" in site.run("status", check=0).stdout
        finally:
            end(process, signal.SIGKILL)
        (site.folder / "state.db.sock").unlink()
        asked = requests_of(sandbox, "bud-v1", "create")
        sandbox.change({"banks": {"dead": None}})
        with serving(site):
            assert breaker_of(site, "dead") == "open", "it survives"
            assert requests_of(sandbox, "bud-v1", "create") == asked
            site.run("reset", "--provider", "p", "--institution", "dead", check=0)
            wait_for(
                lambda: site.one("SELECT count(*) FROM v1_jobs WHERE outcome = 'refreshed'") >= 20,
                what="refreshes after the reset",
            )
            assert breaker_of(site, "dead") == "closed"
        assert "breaker_closed" in (site.folder / "serve.log").read_text()


def test_a_bank_that_comes_back_is_found_by_its_probes(tmp_path):
    with Sandbox(tmp_path, scenario()) as sandbox:
        entry = bud(sandbox, breaker=QUICK_BREAKER, institutions={"default": {"jobs_running": 2}})
        site = plain_site(
            tmp_path,
            {"p": entry},
            rows(30, "dead"),
            {"nightly": schedule(deadline="1m", retry={"attempts": 1})},
        )
        process = site.start("once", log="once.log")
        try:
            wait_for(lambda: is_running(site), what="the run")
            wait_for(lambda: breaker_of(site, "dead") in ("open", "probing"), what="the breaker")
            sandbox.change({"banks": {"dead": None}})
            manifest = json.loads(process.communicate(timeout=60)[0])
        finally:
            process.kill()
        assert manifest["refreshed"] + manifest["failed"] == 30 and manifest["refreshed"] >= 5
        limits = {row["institution"]: row for row in dictionaries(site, "SELECT * FROM v1_limits")}
        assert limits["dead"]["breaker"] == "closed"


def test_a_wrong_configuration_does_not_burn_the_slots(tmp_path):
    """A path that the provider does not know: five consents find out, not five hundred."""
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        entry = finqware(sandbox, limits={"requests_in_flight": 2}, base_url=sandbox["finqware"] + "/wrong")
        site = plain_site(
            tmp_path,
            {"p": entry},
            [{"id": f"c{i}", "provider": "p"} for i in range(500)],
            {"nightly": schedule(cron="*/2 * * * * *")},
        )
        with serving(site):
            wait_for(lambda: any(line.get("breaker_cause") for line in status_of(site)), 60, "the breaker")
            stopped = [line for line in status_of(site) if line.get("breaker_cause")][0]
            assert (stopped["institution"], stopped["breaker"]) == (None, "open")
            asked = site.one("SELECT count(*) FROM v1_attempts")
            assert 5 <= asked <= 8
            before = sandbox.stats()["requests"]
            assert before == asked
            site.settings["providers"]["p"]["base_url"] = sandbox["finqware"]
            site.write()
            site.run("reload", check=0)
            wait_for(
                lambda: site.one("SELECT count(*) FROM v1_jobs WHERE outcome = 'refreshed'") >= 100,
                what="refreshes under the right address",
            )
