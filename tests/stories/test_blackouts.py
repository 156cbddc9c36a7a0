# SPDX-License-Identifier: MIT
"""Blackouts and windows: dates, calendars that several places share, hours of schedules, and what
`check`, `next`, `why` and a reload make of them."""

import json
import time

import pytest

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    check_story,
    finqware,
    merge,
    plain_site,
    schedule,
    serving,
    wait_for,
)


SCENARIO = merge(QUICK_SCENARIO, {"finqware": {"cooldown_ms": 0, "quota": "1000/24h"}})


@pytest.fixture
def sandbox(tmp_path):
    with Sandbox(tmp_path, SCENARIO) as started:
        yield started


def rows(count):
    return [{"id": f"c{i}", "provider": "p", "institution": f"bank{i % 2}"} for i in range(count)]


def moment(seconds):
    """So many seconds from now, as a range writes it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + seconds))


def around_now(hours=36):
    """The days around today, whole: no test runs into their ends."""
    day = [time.strftime("%Y-%m-%d", time.gmtime(time.time() + s * 3600)) for s in (-hours, hours)]
    return " - ".join(day)


def why(site, consent):
    return json.loads(site.run("why", consent, "--format", "json", check=(0, 1)).stdout)


def skips(site):
    return site.sql("SELECT consent, reason FROM v1_skips ORDER BY 1")


def test_one_calendar_closes_a_bank_and_a_schedule(tmp_path, sandbox):
    """Holidays are written once; the bank's own schedule of another kind goes on."""
    closed = [{"calendar": "holidays"}]
    entry = finqware(sandbox, institutions={"bank0": {"blackout": closed}})
    schedules = {
        "nightly": schedule(deadline="2s"),
        "closed": schedule(deadline="2s", blackout={"calendar": "holidays"}),
    }
    members = rows(4) + [{"id": "d1", "provider": "p", "institution": "bank1", "schedule": "closed"}]
    site = plain_site(
        tmp_path, {"p": entry}, members, schedules, calendars={"holidays": ["2020-01-01", around_now()]}
    )
    said = site.run("check", check=0).stderr
    assert '"2020-01-01" is over' in said and said.count("warning") == 1
    before = site.run("next", "--format", "json").stdout
    manifests = {manifest["schedule"]: manifest for manifest in site.once(check=0)}
    assert (manifests["nightly"]["refreshed"], manifests["nightly"]["skipped"]) == (2, 2)
    assert manifests["closed"]["skipped"] == 1
    assert skips(site) == [("p/c0", "blackout"), ("p/c2", "blackout"), ("p/d1", "blackout")]
    del site.settings["schedules"]["closed"]["blackout"]
    site.write()
    assert site.run("next", "--format", "json").stdout == before, "when it fires is another matter"
    check_story(site, sandbox)


def test_slots_go_on_when_their_schedule_opens(tmp_path, sandbox):
    """A blackout ends in the middle of a run: nothing before, everything after."""
    entry = finqware(sandbox, consent={"quota": "none", "cooldown": "0s"})
    opens = int(time.time()) + 4
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(opens))
    hours = {"windows": [f"{stamp} - 2999-12-31"]}
    site = plain_site(tmp_path, {"p": entry}, rows(6), {"nightly": schedule(deadline="40s", **hours)})
    manifest = site.once(check=0)[0]
    assert manifest["refreshed"] == 6
    sent = [row[0] for row in site.sql("SELECT sent_ms FROM v1_attempts ORDER BY 1")]
    assert len(sent) == 6 and opens * 1000 <= sent[0] < (opens + 30) * 1000
    check_story(site, sandbox)


def test_a_reload_opens_a_schedule_at_once(tmp_path, sandbox):
    entry = finqware(sandbox, consent={"quota": "none", "cooldown": "0s"})
    hours = {"blackout": [around_now()]}
    settings = merge(schedule(deadline="30m", cron="*/2 * * * * *"), hours)
    site = plain_site(tmp_path, {"p": entry}, rows(3), {"nightly": settings})
    with serving(site):
        wait_for(lambda: site.sql("SELECT * FROM v1_runs"), what="a run")
        verdict = [gate for gate in why(site, "p/c0")["gates"] if not gate["open"]][0]
        assert (verdict["gate"], verdict["reason"]) == ("window", "blackout")
        site.run("trigger", "p/c2", check=0)  # by hand it goes anyway
        wait_for(lambda: site.sql("SELECT * FROM v1_jobs WHERE outcome = 'refreshed'"), what="a job")
        assert {row[0] for row in site.sql("SELECT consent FROM v1_jobs")} == {"p/c2"}
        del site.settings["schedules"]["nightly"]["blackout"]
        site.write()
        site.run("reload", check=0)
        jobs = "SELECT DISTINCT consent FROM v1_jobs WHERE outcome = 'refreshed'"
        wait_for(lambda: len(site.sql(jobs)) == 3, what="all three")
    assert {row[1] for row in skips(site)} <= {"superseded", "blackout", "draining", "single_flight"}
    check_story(site, sandbox)
