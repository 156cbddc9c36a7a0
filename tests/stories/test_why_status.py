# SPDX-License-Identifier: MIT
"""`why` and `status`: what blocks a consent, what waits at a bank and for how long, with and without
a daemon, and beside one that has just been killed."""

import json
import signal
import time

import pytest

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    end,
    finqware,
    merge,
    plain_site,
    schedule,
    serve,
    serving,
    status_of,
    wait_for,
)

SCENARIO = merge(QUICK_SCENARIO, {"finqware": {"cooldown_ms": 0, "quota": "1000/24h"}})
NEVER = "0 0 1 1 *"


@pytest.fixture
def sandbox(tmp_path):
    with Sandbox(tmp_path, SCENARIO) as started:
        yield started


def site_of(folder, sandbox, count, **settings):
    rows = [{"id": f"c{i:03}", "provider": "p", "institution": f"bank{i % 2}"} for i in range(count)]
    banks = {"bank0": {"rate": ["1/s"]}, "bank1": {"rate": ["2/min"]}}
    limits = {"rate": ["50/s"]}
    entry = finqware(sandbox, consent={"quota": "4/24h", "cooldown": "6h"}, limits=limits, institutions=banks)
    return plain_site(folder, {"p": entry}, rows, {"nightly": schedule(**settings)})


def why(site, *arguments, check=0):
    return json.loads(site.run("why", "--format", "json", *arguments, check=check).stdout)


def backlog(site, *arguments):
    done = site.run("status", "--format", "json", *arguments, check=0)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [line for line in lines if line["type"] == "backlog"]


def fire_soon(site):
    """Edit the schedule to fire once, a few seconds from now; again where that came too late."""
    for seconds in (3, 6, 12, 24):
        at = time.gmtime(time.time() + seconds)
        cron = f"{at.tm_sec} {at.tm_min} {at.tm_hour} {at.tm_mday} {at.tm_mon} *"
        site.settings["schedules"]["nightly"].update(cron=cron, deadline="1h")
        site.write()
        site.run("reload", check=0)
        if any(line.get("next_at", "")[:4] == str(at.tm_year) or line["type"] == "run" for line in status_of(site)):
            return
    raise AssertionError("this machine is too slow")


def test_a_bank_that_cannot_keep_up(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, 60, cron=NEVER)
    with serving(site):
        fire_soon(site)
        wait_for(lambda: [line for line in backlog(site) if line["waiting"] > 20], what="a backlog")
        slow = why(site, "--provider", "p", "--institution", "bank1")
        assert slow["waiting"] > 20 and slow["reasons"].get("rate", 0) > 20
        assert slow["configured_rate"] == "2/m" and slow["blocked_by"] == "rate"
        assert slow["ages"]["under_1m"] == slow["waiting"]
        assert slow["by_deadline"] == slow["waiting"]
        assert slow["done_by_at"] < slow["deadline_at"]
        assert slow["offline"] is False and slow["breaker"] == "closed"
        whole = why(site, "p//")
        assert whole["institution"] is None
        assert whole["waiting"] >= slow["waiting"]
        text = site.run("why", "p//bank1", check=0).stdout
        assert text.startswith("p/bank1: ") and " waiting" in text and " by deadline " in text
        lines = backlog(site)
        assert lines[0]["institution"] is None
        assert [line["institution"] for line in lines[1:]][0] in ("bank0", "bank1")
        assert len(backlog(site, "--top", "1")) == 2
        only = backlog(site, "--institution", "bank1")
        assert [line["institution"] for line in only] == ["bank1"]
        assert "backlog" in site.run("status", check=0).stdout
        assert site.run("why", "--provider", "p", "--institution", "no", check=1).stdout == ""
        assert site.run("why", "--provider", "no", check=1).stdout == ""
        assert site.run("status", "--top", "0", check=64).stdout == ""


def test_why_offline_is_the_core_too(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, 2, cron=NEVER)
    before = why(site, "p/c000")
    assert before["offline"] is True and before["blocked_by"] == []
    site.once("--consent", "p/c000")
    after = why(site, "p/c000")
    assert "cooldown" in after["blocked_by"] and after["offline"] is True
    gates = {gate["gate"]: gate for gate in after["gates"]}
    assert gates["cooldown"]["reason"] == "cooldown"
    assert gates["cooldown"]["earliest_at"] == after["earliest_at"]
    assert "institution_rate" in gates
    with serving(site):
        running = why(site, "p/c000")
    assert "cooldown" in running["blocked_by"] and running["offline"] is False
    assert running["earliest_at"] == after["earliest_at"]
    assert [gate["gate"] for gate in running["gates"]] == [gate["gate"] for gate in after["gates"]]
    site.run("pause", "p/c001", check=0)
    paused = why(site, "p/c001")
    assert "paused" in paused["blocked_by"] and paused["earliest_at"] is None
    node = why(site, "--provider", "p")
    assert node["waiting"] == 0 and node["offline"] is True
    assert site.run("why", "p/nobody", check=1).stdout == ""
    assert "blocked by: paused" in site.run("why", "p/c001", check=0).stdout


def test_status_right_after_a_kill(tmp_path, sandbox):
    """Whatever the moment, it answers: from the daemon or from the records."""
    site = site_of(tmp_path, sandbox, 2, cron=NEVER)
    for _ in range(3):
        process = serve(site)
        process.send_signal(signal.SIGKILL)
        for _ in range(5):
            line = json.loads(site.run("status", "--format", "json", check=0).stdout.splitlines()[0])
            assert line["type"] == "engine"
            assert why(site, "p/c000")["consent"] == "p/c000"
        process.wait()
        process.stdout.close()
        assert json.loads(site.run("status", "--format", "json").stdout.splitlines()[0])["offline"] is True


def test_status_says_what_became_of_the_reload(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, 2, cron=NEVER)
    with serving(site):
        assert status_of(site)[0]["reload_at"] is None
        good = site.config.read_text()
        site.config.write_text(good.replace('"reporting.db"', '"other.db"'))
        assert site.run("reload").returncode == 78
        engine = status_of(site)[0]
        assert engine["reload_error"].startswith("reporting.database cannot change while running")
        digest = engine["config_digest"]
        assert "was refused" in site.run("status", check=0).stdout
        site.config.write_text(good)
        site.run("reload", check=0)
        engine = status_of(site)[0]
        assert engine["reload_error"] is None and engine["config_digest"] == digest


def test_status_goes_on_while_the_file_is_wrong(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, 2, cron=NEVER)
    good = site.config.read_text()
    with serving(site):
        digest = status_of(site)[0]["config_digest"]
        site.config.write_text(good.replace('"version": 1', '"version": 1, "nonsense": 1'))
        done = site.run("status", "--format", "json", check=0)
        assert "nonsense" in done.stderr
        assert json.loads(done.stdout.splitlines()[0])["config_digest"] == digest
        site.config.write_text(good)
    site.config.write_text("nonsense: 1")
    assert site.run("status").returncode == 78


def test_once_runs_any_number_of_schedules(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, 1, cron=NEVER)
    names = [f"s{number:03}" for number in range(300)]
    site.settings["schedules"] = {name: schedule(cron=NEVER) for name in names}
    site.rows[0]["schedule"] = names[-1]
    site.write()
    manifests = site.once(check=0)
    assert sorted(manifest["schedule"] for manifest in manifests) == names
    assert {manifest["schedule"]: manifest["refreshed"] for manifest in manifests}[names[-1]] == 1
