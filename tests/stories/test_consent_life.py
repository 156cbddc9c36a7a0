# SPDX-License-Identifier: MIT
"""The life of consents: held ones are looked up again and let go, ends stop them in time, and people
hear of it before."""

import csv
import io
import json
import re
import urllib.request
from datetime import datetime, timedelta, timezone

from nights import (
    QUICK_SCENARIO,
    Sandbox,
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

NEVER_DUE = {"nightly": schedule(cron="0 0 29 2 *")}
EVERY_SECOND = {"nightly": schedule(cron="* * * * * *", deadline="1s")}


def consent(name, **more):
    return {"id": name, "provider": "p", "institution": "b", **more}


def provider(sandbox, **life):
    return {"p": finqware(sandbox, consent={"quota": "none", "cooldown": "0s", **life})}


def status_of(site, name):
    return site.one("SELECT status FROM v1_consents WHERE consent = ?", name)


def looked_up(sandbox):
    return requests_of(sandbox, "finqware", "consents")


def serving(site):
    def answers():
        done = site.run("status", "--format", "json")
        return done.returncode == 0 and not json.loads(done.stdout.splitlines()[0]).get("offline")

    wait_for(answers, what="the daemon")


def at(seconds):
    when = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_held_consent_is_let_go_when_its_provider_says_active(tmp_path):
    scenario = merge(
        QUICK_SCENARIO,
        {"finqware": {"cooldown_ms": 0, "quota": []}, "consents": {"dead": {"state": "revoked"}}},
    )
    with Sandbox(tmp_path, scenario) as sandbox:
        rows = [consent("good"), consent("dead"), consent("asleep", schedule="")]
        site = plain_site(tmp_path, provider(sandbox, recheck="1s"), rows, EVERY_SECOND)
        process = site.start("serve")
        try:
            serving(site)
            wait_for(lambda: site.sql("SELECT 1 FROM v1_reconnect"), what="the hold")
            assert site.sql("SELECT consent, cause, urgency FROM v1_reconnect") == [
                ("p/dead", "reconnect_required", "now")
            ]
            created = requests_of(sandbox, "finqware", "create")
            before = looked_up(sandbox)
            wait_for(lambda: looked_up(sandbox) >= before + 2, what="look-ups")
            assert status_of(site, "p/dead") == "held"
            assert site.sql("SELECT consent FROM v1_consents WHERE checked_at IS NOT NULL") == [("p/dead",)]
            sandbox.change({"consents": {"dead": {"state": "active"}}})
            wait_for(
                lambda: site.sql("SELECT 1 FROM v1_jobs WHERE consent = 'p/dead' AND outcome = 'refreshed'"),
                what="its refresh",
            )
            assert requests_of(sandbox, "finqware", "create") > created
        finally:
            assert end(process) == 0
        assert site.sql("SELECT * FROM v1_reconnect") == []
        audit = dictionaries(site, "SELECT who, action, subject, reason FROM v1_audit")
        assert audit == [
            {
                "who": "provider",
                "action": "release",
                "subject": "p/dead",
                "reason": "look-up: active again",
            }
        ]
        # One job had to tell that it is dead; the look-ups made none.
        assert site.one("SELECT count(*) FROM v1_jobs WHERE consent = 'p/dead' AND outcome <> 'refreshed'") == 1
        assert site.one("SELECT count(*) FROM v1_skips WHERE consent = 'p/dead' AND reason = 'held'") > 0
        check_story(site)


def test_restarts_look_nobody_up_again(tmp_path):
    dead = {f"c{i}": {"state": "suspended"} for i in range(8)}
    with Sandbox(tmp_path, merge(QUICK_SCENARIO, {"consents": dead})) as sandbox:
        site = plain_site(tmp_path, provider(sandbox, recheck="300d"), [consent(name) for name in dead])
        site.once()
        assert site.one("SELECT count(*) FROM v1_consents WHERE hold_reason = 'suspended'") == 8
        before = looked_up(sandbox)
        for _ in range(3):
            process = site.start("serve")
            serving(site)
            assert end(process) == 0
        assert looked_up(sandbox) == before
        # Suspended waits for the provider: there is nothing that a customer could do.
        assert site.sql("SELECT * FROM v1_reconnect") == []


def test_a_look_up_refines_the_hold(tmp_path):
    with Sandbox(tmp_path, merge(QUICK_SCENARIO, {"consents": {"c": {"state": "suspended"}}})) as sandbox:
        site = plain_site(tmp_path, provider(sandbox, recheck="1s"), [consent("c")], NEVER_DUE)
        site.run("once", check=0)
        since = site.one("SELECT held_at FROM v1_consents")
        sandbox.change({"consents": {"c": {"state": "deactivated"}}})
        process = site.start("serve")
        try:
            wait_for(lambda: site.one("SELECT hold_reason FROM v1_consents") == "reconnect_required")
        finally:
            assert end(process) == 0
        assert site.one("SELECT held_at FROM v1_consents") == since
        assert site.sql("SELECT who, action, reason FROM v1_audit") == [
            ("provider", "hold", "look-up: its customer has to reconnect it")
        ]


def test_recheck_none_asks_nobody(tmp_path):
    with Sandbox(tmp_path, merge(QUICK_SCENARIO, {"consents": {"c": {"state": "revoked"}}})) as sandbox:
        site = plain_site(tmp_path, provider(sandbox, recheck="none"), [consent("c")], EVERY_SECOND)
        process = site.start("serve")
        try:
            serving(site)
            wait_for(lambda: site.sql("SELECT 1 FROM v1_skips WHERE reason = 'held'"), what="a skip")
            before = looked_up(sandbox)
            skipped = site.one("SELECT count(*) FROM v1_skips")
            wait_for(lambda: site.one("SELECT count(*) FROM v1_skips") >= skipped + 2)
            assert looked_up(sandbox) == before == 1
        finally:
            assert end(process) == 0


def test_an_end_in_the_middle_of_the_night(tmp_path):
    """Those whose turn comes before the end are refreshed, the others cost nothing."""
    with Sandbox(tmp_path, merge(QUICK_SCENARIO, {"finqware": {"quota": []}})) as sandbox:
        rows = [consent(f"c{i}", expires=at(5)) for i in range(60)] + [consent("stays")]
        schedules = {"nightly": schedule(spread="8s", deadline="20s")}
        site = plain_site(tmp_path, provider(sandbox, expiry_margin="1s"), rows, schedules)
        manifest = site.once("--spread", check=0)[0]
        assert manifest["due"] == 61
        assert manifest["refreshed"] > 1 and manifest["skipped"] > 5
        assert set(site.sql("SELECT reason FROM v1_skips")) == {("expired",)}
        assert requests_of(sandbox, "finqware", "create") == manifest["refreshed"]
        assert site.one("SELECT max(a.sent_ms) < min(c.expires_ms) FROM v1_attempts AS a, v1_consents AS c"
                        " WHERE a.consent <> 'p/stays'")
        assert site.one("SELECT outcome FROM v1_jobs WHERE consent = 'p/stays'") == "refreshed"
        check_story(site, sandbox)


FEED = [
    # name, row, urgency, cause
    ("dead", {}, "now", "reconnect_required"),
    ("over", {"expires": "2020-01-01"}, "now", "expired"),
    ("day", {"expires": at(20 * 3600)}, "soon", "expiring"),
    ("week", {"expires": at(6 * 86400)}, "soon", "expiring"),
    ("month", {"expires": at(25 * 86400)}, "later", "expiring"),
    ("unused", {"expires": "2020-01-01", "schedule": ""}, "later", "expired"),
    ("far", {"expires": at(40 * 86400)}, None, None),
    ("off", {"expires": "2020-01-01", "mode": "off"}, None, None),
]


def test_the_feed_of_those_that_need_their_customer(tmp_path):
    with Sandbox(tmp_path, merge(QUICK_SCENARIO, {"consents": {"dead": {"state": "revoked"}}})) as sandbox:
        rows = [consent(name, customer=f"customer-{name}", tags="vip", **row) for name, row, *_ in FEED]
        site = plain_site(tmp_path, provider(sandbox, warn=["30d", "7d", "1d"]), rows)
        site.once()
        wanted = {f"p/{name}": (urgency, cause) for name, _, urgency, cause in FEED if urgency}
        done = site.run("consents", "--reconnect", "--format", "json", check=0)
        feed = [json.loads(line) for line in done.stdout.splitlines()]
        assert {row["consent"]: (row["urgency"], row["cause"]) for row in feed} == wanted
        assert [row["urgency"] for row in feed] == ["now"] * 2 + ["soon"] * 2 + ["later"] * 2
        assert [row["consent"] for row in feed[2:4]] == ["p/day", "p/week"]
        assert [row["lead_ms"] for row in feed[2:4]] == [86400000, 7 * 86400000]
        assert all(row["customer"] == "customer-" + row["consent_id"] for row in feed)
        assert all(row["tags"] == "vip" for row in feed)
        assert [row[0] for row in site.sql("SELECT consent FROM v1_reconnect")] == [
            row["consent"] for row in feed
        ]
        done = site.run("consents", "--reconnect", "--urgency", "soon", "--format", "csv", check=0)
        table = list(csv.DictReader(io.StringIO(done.stdout)))
        assert [row["consent"] for row in table] == ["p/day", "p/week"]
        assert list(table[0]) == list(feed[0])
        done = site.run("consents", "--reconnect", "--cause", "expired", check=0)
        assert "p/over" in done.stdout and "p/dead" not in done.stdout
        assert site.run("consents", "--urgency", "now").returncode == 64
        assert site.run("consents", "--reconnect", "--status", "held").returncode == 64


def test_what_cannot_be_is_refused(tmp_path):
    with Sandbox(tmp_path) as sandbox:
        site = plain_site(tmp_path, provider(sandbox), [consent("c")])
        for life, text in (
            ({"recheck": "soon"}, "recheck"),
            ({"warn": ["1d", "24h"]}, "twice"),
            ({"warn": [f"{i}d" for i in range(1, 9)]}, "warn"),
            ({"expiry_margin": "8d"}, "expiry_margin"),
        ):
            site.settings["providers"]["p"]["consent"] = life
            site.write()
            done = site.run("check")
            assert done.returncode == 78 and text in done.stdout + done.stderr, life


def warnings(site, event="consent_expiring"):
    """(consent or count, lead) of each line that warns."""
    found = []
    for line in (site.folder / "serve.log").read_text().splitlines():
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if words.get("event") == event:
            found.append((words.get("consent") or words.get("count"), words["lead"]))
    return sorted(found)


def test_each_lead_warns_once_over_restarts(tmp_path):
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        rows = [
            consent("day", expires=at(86400)),
            consent("brief", expires=at(24)),
            consent("far", expires=at(40 * 86400)),
            consent("over", expires="2020-01-01"),
        ]
        site = plain_site(tmp_path, provider(sandbox, warn=["30d", "2d", "20s"]), rows, NEVER_DUE)
        process = site.start("serve")
        wait_for(lambda: ("day", "2d") in warnings(site), what="the first warnings")
        assert end(process) == 0
        process = site.start("serve")
        wait_for(lambda: ("brief", "20s") in warnings(site), what="the second lead")
        assert end(process) == 0
        process = site.start("serve")
        serving(site)
        assert end(process) == 0
        site.rows = site.rows + [consent("new", schedule="nightly", expires=at(3600))]
        site.write()
        process = site.start("serve")
        wait_for(lambda: ("new", "2d") in warnings(site), what="the new one's warning")
        assert end(process) == 0
        told = warnings(site)
        # On a slow machine the first start may find `brief` inside its last lead already.
        assert sorted(set(told)) == told
        assert set(told) - {("brief", "2d")} == {("brief", "20s"), ("day", "2d"), ("new", "2d")}


def test_thousands_are_counted_not_listed(tmp_path):
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        rows = [consent(f"c{i}", expires=at(86400)) for i in range(1500)]
        site = plain_site(tmp_path, provider(sandbox), rows, NEVER_DUE)
        process = site.start("serve")
        wait_for(lambda: len(warnings(site)) == 100, what="the lines of the day")
        assert end(process) == 0
        assert len(set(warnings(site))) == 100
        assert warnings(site, "consents_expiring") == [("1400", "1d")]
        process = site.start("serve")
        serving(site)
        assert end(process) == 0
        assert len(warnings(site)) == 100
        assert site.one("SELECT count(*) FROM v1_reconnect WHERE urgency = 'soon'") == 1500


def webhook_url(site):
    """Where the daemon listens for the webhooks of provider p."""
    log = site.folder / "serve.log"
    found = wait_for(
        lambda: re.search(r"event=webhooks_listening address=\S*?(\d+)$", log.read_text(), re.M),
        what="the listener",
    )
    return f"http://127.0.0.1:{found.group(1)}/webhooks/p"


def consent_event(sandbox, event, **more):
    body = json.dumps({"event": event, "consent_id": "theirs", **more}).encode()
    request = urllib.request.Request(f"{sandbox.control}/consent-event", data=body, method="POST")
    urllib.request.urlopen(request, timeout=10).close()


def test_a_webhook_about_a_consent_has_it_looked_up(tmp_path):
    """Nobody has verified it, so the provider is asked, and its word counts."""
    consents = {"cus": {"providers": ["Bank_A", "Bank_B"]}, "cus/Bank_A": {"state": "revoked"}}
    scenario = merge(QUICK_SCENARIO, {"consents": consents})
    with Sandbox(tmp_path, scenario) as sandbox:
        rows = [
            {"id": "a", "provider": "p", "customer": "cus", "institution": "Bank_A"},
            {"id": "other", "provider": "p", "customer": "cus2", "institution": "Bank_A"},
        ]
        entry = bud(sandbox, 2, completion={"webhook": True}, consent={"recheck": "none"})
        http = {"webhooks": {"listen": "127.0.0.1:0", "public_url": "http://127.0.0.1:9"}}
        site = plain_site(tmp_path, {"p": entry}, rows, NEVER_DUE, http=http)
        process = site.start("serve")
        try:
            sandbox.change({"bud": {"webhook_url_consents": webhook_url(site)}})
            consent_event(sandbox, "revoked", customer="cus", provider="Bank_A")
            wait_for(lambda: status_of(site, "p/a") == "held", what="the hold")
            assert status_of(site, "p/other") == "active"
            # A lie changes nothing, and asks nobody within ten minutes.
            consent_event(sandbox, "reauthorised", customer="cus", provider="Bank_A")
            consent_event(sandbox, "revoked", customer="nobody", provider="Bank_A")
            wait_for(lambda: sandbox.stats()["webhooks"].get("delivered", 0) >= 3, what="the webhooks")
            assert status_of(site, "p/a") == "held"
            assert requests_of(sandbox, "bud", "consents") == 1
        finally:
            assert end(process) == 0
        assert site.sql("SELECT who, action, subject, reason FROM v1_audit") == [
            ("provider", "hold", "p/a", "look-up: its customer has to reconnect it")
        ]
        assert site.one("SELECT count(*) FROM v1_jobs") == 0


def test_bud_consents_are_rechecked_too(tmp_path):
    scenario = merge(QUICK_SCENARIO, {"consents": {"cus": {"state": "revoked"}}})
    with Sandbox(tmp_path, scenario) as sandbox:
        rows = [{"id": "a", "provider": "p", "customer": "cus", "institution": "Bank_A"}]
        entry = bud(sandbox, 1, consent={"quota": "none", "recheck": "1s"})
        site = plain_site(tmp_path, {"p": entry}, rows, NEVER_DUE)
        site.once()
        assert status_of(site, "p/a") == "held"
        sandbox.change({"consents": {"cus": {"state": "active"}}})
        process = site.start("serve")
        try:
            wait_for(lambda: status_of(site, "p/a") == "active", what="the release")
            wait_for(lambda: site.one("SELECT expires_at FROM v1_consents") is not None, what="its end")
        finally:
            assert end(process) == 0
        assert sandbox.stats()["rule_breaks"]["total"] == 0
