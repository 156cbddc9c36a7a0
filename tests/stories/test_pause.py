# SPDX-License-Identifier: MIT
"""Pauses: of everything, a provider, an institution, a schedule, a consent; with a daemon and without;
until an instant, over restarts and reloads, and what people are told of them."""

import json
import re
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
    status_of,
    wait_for,
)

NEVER = "0 0 1 1 *"
SCENARIO = merge(QUICK_SCENARIO, {"finqware": {"cooldown_ms": 0, "quota": "1000/24h"}})
ALL = {"p/c0", "p/c1", "p/c2", "p/c3"}
SCOPES = [
    ("all", (), "", ALL),
    ("provider", ("--provider", "p"), "p", ALL),
    ("institution", ("--provider", "p", "--institution", "bank1"), "p/bank1", {"p/c1", "p/c3"}),
    ("schedule", ("--schedule", "nightly"), "nightly", {"p/c0", "p/c1", "p/c2"}),  # c3 has another too
    ("consent", ("p/c2",), "p/c2", {"p/c2"}),
]


@pytest.fixture
def sandbox(tmp_path):
    with Sandbox(tmp_path, SCENARIO) as started:
        yield started


def site_of(folder, sandbox):
    rows = [{"id": f"c{i}", "provider": "p", "institution": f"bank{i % 2}"} for i in range(4)]
    rows[3]["schedule"] = "nightly other"
    entry = finqware(sandbox, consent={"quota": "none", "cooldown": "0s"})
    schedules = {"nightly": schedule(cron=NEVER, deadline="2s"), "other": schedule(cron=NEVER)}
    return plain_site(folder, {"p": entry}, rows, schedules)


def paused(site):
    return {row[0] for row in site.sql("SELECT consent FROM v1_consents WHERE status = 'paused'")}


def pauses(site):
    return [line for line in status_of(site) if line["type"] == "pause"]


def why(site, consent):
    answer = json.loads(site.run("why", consent, "--format", "json", check=(0, 1)).stdout)
    return [gate["reason"] for gate in answer["gates"] if not gate["open"]]


def instant(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


@pytest.mark.parametrize("is_online", [True, False], ids=["online", "offline"])
@pytest.mark.parametrize("scope,arguments,subject,consents", SCOPES, ids=[row[0] for row in SCOPES])
def test_a_pause_is_kept_and_told(tmp_path, sandbox, scope, arguments, subject, consents, is_online):
    """Made with a daemon or without one, it is in force in the next life, and everybody says so."""
    site = site_of(tmp_path, sandbox)
    until = instant(3600)
    with serving(site):
        if is_online:
            site.run("pause", *arguments, "--until", until, "--reason", "works at the bank", check=0)
    if not is_online:
        site.run("pause", *arguments, "--until", until, "--reason", "works at the bank", check=0)
    assert paused(site) == consents
    with serving(site):
        assert paused(site) == consents
        told = pauses(site)
        assert [(row["scope"], row["subject"], row["reason"]) for row in told] == [
            (scope, subject, "works at the bank")
        ]
        assert told[0]["until_at"] == until.replace("Z", ".000Z") and "uid" in told[0]["who"]
        blocked = {consent for consent in ALL if "paused" in why(site, consent)}
        assert blocked == consents
        if scope == "consent":  # one is enough to see that the core believes it
            site.run("trigger", "p/c2", check=0)
            site.run("trigger", "p/c1", check=0)
            wait_for(lambda: site.sql("SELECT * FROM v1_jobs WHERE outcome = 'refreshed'"), what="the other")
            assert {row[0] for row in site.sql("SELECT consent FROM v1_jobs")} == {"p/c1"}
        site.run("resume", *arguments, "--reason", "done", check=0)
        assert paused(site) == set() and pauses(site) == []
        wait_for(lambda: not why(site, "p/c1"), what="all gates open")
    rows = site.sql("SELECT action, subject, reason FROM v1_audit WHERE action IN ('pause', 'resume') ORDER BY at_ms")
    assert rows == [
        ("pause", subject or "all", "works at the bank"),
        ("resume", subject or "all", "done"),
    ]
    check_story(site, sandbox)


def test_a_pause_holds_for_what_a_reload_brings_back(tmp_path, sandbox):
    """By name: a bank, a schedule and a consent leave the configuration and come again, paused."""
    site = site_of(tmp_path, sandbox)
    with serving(site):
        site.run("pause", "--provider", "p", "--institution", "bank1", check=0)
        site.run("pause", "--schedule", "other", check=0)
        site.run("pause", "p/c0", check=0)
        rows, others = site.rows, site.settings["schedules"].pop("other")
        site.rows = [{"id": "c9", "provider": "p", "institution": "bank9", "schedule": "nightly"}]
        site.write()
        site.run("reload", "--accept-shrink", check=0)
    with serving(site):  # a life that has never heard of them
        site.rows = rows
        site.settings["schedules"]["other"] = others
        site.write()
        site.run("reload", "--accept-shrink", check=0)
        wait_for(lambda: "paused" in why(site, "p/c0") and "paused" in why(site, "p/c1"), what="the pauses")
        assert why(site, "p/c2") == []
        for consent in ("p/c0", "p/c1", "p/c2"):
            site.run("trigger", consent, check=0)
        wait_for(lambda: site.sql("SELECT * FROM v1_jobs WHERE outcome = 'refreshed'"), what="c2")
        assert {row[0] for row in site.sql("SELECT consent FROM v1_jobs")} == {"p/c2"}
        assert {row["subject"] for row in pauses(site)} == {"p/bank1", "other", "p/c0"}


def test_what_cannot_be_paused_is_said(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox)
    with serving(site):
        refuse_all(site)
    refuse_all(site)
    assert pauses(site) == []
    assert site.sql("SELECT * FROM v1_audit WHERE action = 'pause'") == []


def refuse_all(site):
    for arguments, said in [
        (("--provider", "q"), "there is no provider q"),
        (("--provider", "p", "--institution", "bank7"), "there is no institution p/bank7"),
        (("--schedule", "weekly"), "there is no schedule weekly"),
        (("p/c7",), "there is no consent p/c7"),
        (("p/c1", "--until", instant(-60)), "is not in the future"),
        (("p/c1", "--until", "0s"), "is not in the future"),
        (("p/c1", "--until", "soon"), "write an instant"),
        (("p/c1", "--provider", "p"), "name one of"),
        (("--institution", "bank1"), "name one of"),
    ]:
        done = site.run("pause", *arguments)
        assert done.returncode == 64 and re.search(said, done.stderr), (arguments, done.stderr)
