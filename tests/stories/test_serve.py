# SPDX-License-Identifier: MIT
"""The daemon: schedules that fire, signals, reloads, the control socket, downtime and overlap."""

import json
import os
import signal
import time

import pytest

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    broken_rules,
    check_story,
    dictionaries,
    end,
    finqware,
    merge,
    plain_site,
    requests_of,
    schedule,
    serve,
    serving,
    status_of,
    wait_for,
)

OFTEN = {"quota": "none", "cooldown": "0s"}
SCENARIO = merge(QUICK_SCENARIO, {"finqware": {"cooldown_ms": 0, "quota": "1000/24h"}})
NEVER = "0 0 1 1 *"  # not while these tests run; the few minutes around the new year are a risk


def rows(count, **more):
    return [dict({"id": f"c{i}", "provider": "p", "institution": f"bank{i % 2}"}, **more) for i in range(count)]


def site_of(folder, sandbox, count=4, cron=NEVER, provider=None, more=None, **settings):
    settings = merge({"cron": cron, "deadline": "1m"}, settings)
    entry = finqware(sandbox, **merge({"consent": OFTEN}, provider or {}))
    return plain_site(
        folder, {"p": entry}, rows(count), {"nightly": schedule(**settings)}, **(more or {})
    )


@pytest.fixture
def sandbox(tmp_path):
    with Sandbox(tmp_path, SCENARIO) as started:
        yield started


@pytest.fixture
def slow_sandbox(tmp_path):
    scenario = merge(SCENARIO, {"job_duration_ms": {"min": 2500, "max": 2500}})
    with Sandbox(tmp_path, scenario) as started:
        yield started


def log_of(site):
    return (site.folder / "serve.log").read_text()


def finished(site, count=1, where="1"):
    """At least so many runs have ended; answers them, oldest first."""
    query = f"SELECT * FROM v1_runs WHERE finished_at IS NOT NULL AND {where} ORDER BY slot_ms"

    def look():
        if not site.state.exists():
            return None
        found = dictionaries(site, query)
        return found if len(found) >= count else None

    return wait_for(look, what=f"{count} finished runs")


def audit(site):
    return site.sql("SELECT action, subject, reason FROM v1_audit ORDER BY at_ms")


# ---- schedules ----


def test_a_schedule_with_seconds_fires_and_spreads(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, count=10, cron="*/2 * * * * *", spread="1s", deadline="1500ms")
    with serving(site):
        runs = finished(site, 2)
    slots = [run["slot_ms"] for run in runs[:2]]
    assert all(slot % 2000 == 0 for slot in slots) and slots[1] - slots[0] == 2000
    first = dictionaries(site, "SELECT * FROM v1_jobs WHERE run_id = ?", runs[0]["run_id"])
    assert len(first) == 10 and {job["trigger"] for job in first} == {"schedule"}
    offsets = sorted(job["due_ms"] - slots[0] for job in first)
    assert offsets[0] >= 0 and offsets[-1] < 1000 and offsets[-1] - offsets[0] > 300
    assert all(job["started_ms"] >= job["due_ms"] for job in first)
    second = site.sql("SELECT consent, due_ms FROM v1_jobs WHERE run_id = ?", runs[1]["run_id"])
    assert {c: due - slots[1] for c, due in second} == {
        job["consent"]: job["due_ms"] - slots[0] for job in first
    }
    assert runs[0]["run_id"] == "nightly@" + runs[0]["slot_at"].replace(".000Z", "Z")
    check_story(site, sandbox)


def test_a_schedule_first_seen_has_nothing_to_catch_up(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, cron="* * * * *")
    with serving(site):
        assert site.sql("SELECT * FROM v1_runs WHERE trigger = 'catch_up'") == []
    assert site.one("SELECT count(*) FROM v1_runs WHERE is_missed") == 0


def test_next_due_is_the_next_slot_of_the_consent(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, cron="@every 6h", spread="1h", deadline="2h")
    with serving(site):
        pass
    now_ms = int(time.time() * 1000)
    for (due_ms,) in site.sql("SELECT next_due_ms FROM v1_consents"):
        assert due_ms > now_ms
        assert due_ms % 21600000 < 3600000, "inside the spread after a multiple of six hours"


def test_a_spread_longer_than_the_deadline_ends_before_it(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, cron="@every 6h", spread="5h", deadline="1h")
    with serving(site):
        pass
    offsets = [due_ms % 21600000 for (due_ms,) in site.sql("SELECT next_due_ms FROM v1_consents")]
    assert offsets and max(offsets) < 57 * 60000


# ---- stopping ----


def test_a_drain_is_quick_and_jobs_go_on_at_the_next_start(tmp_path, slow_sandbox):
    site = site_of(tmp_path, slow_sandbox, cron="@every 1h")
    process = serve(site)
    for i in range(4):
        site.run("trigger", f"p/c{i}", check=0)
    wait_for(lambda: slow_sandbox.stats()["accepted"] == 4, what="the jobs")
    begun = time.monotonic()
    assert end(process) == 0
    assert time.monotonic() - begun < 5
    assert site.sql("SELECT DISTINCT state FROM v1_jobs") in ([("running",)], [("polling",)])
    with serving(site):
        wait_for(
            lambda: site.one("SELECT count(*) FROM v1_jobs WHERE outcome = 'refreshed'") == 4,
            what="the outcomes",
        )
    assert slow_sandbox.stats()["accepted"] == 4
    check_story(site, slow_sandbox)


def test_a_second_signal_stops_at_once(tmp_path, sandbox):
    sandbox.change({"answer_delay_ms": {"min": 20000, "max": 20000}})
    site = site_of(tmp_path, sandbox)
    process = serve(site)
    site.run("trigger", "p/c0", check=0)
    wait_for(
        lambda: site.one("SELECT count(*) FROM v1_attempts") == 1, what="a request without answer"
    )
    process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in log_of(site), what="the drain")
    assert process.poll() is None
    assert end(process) == 0, log_of(site)


def test_drain_by_command(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox)
    process = serve(site)
    site.run("drain", check=0)
    assert process.wait(timeout=20) == 0
    process.stdout.close()
    assert [row[0] for row in audit(site)] == ["drain"], log_of(site)
    assert site.run("drain").returncode == 69, "nothing runs any more"


# ---- reload and logs ----


def test_a_valid_reload_is_taken(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, count=2)
    with serving(site) as process:
        digest = status_of(site)[0]["config_digest"]
        site.rows.append(dict(rows(1)[0], id="late", schedule="nightly"))
        site.settings["schedules"]["nightly"]["cron"] = "*/2 * * * * *"
        site.write()
        process.send_signal(signal.SIGHUP)
        run = finished(site)[0]
        assert run["due"] == 3
        assert status_of(site)[0]["config_digest"] != digest
    assert site.one("SELECT count(*) FROM v1_consents") == 3
    check_story(site, sandbox)


def test_an_invalid_reload_changes_nothing(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, cron="*/2 * * * * *", deadline="1s")
    with serving(site) as process:
        digest = status_of(site)[0]["config_digest"]
        good = site.config.read_text()
        site.settings["schedules"]["nightly"]["cron"] = "61 * * * *"
        site.settings["surprise"] = 1
        site.write()
        refused = site.run("reload")
        assert refused.returncode == 78
        for word in ("61", "surprise", "refreshd.yaml:"):
            assert word in refused.stderr, refused.stderr
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: log_of(site).count("61") >= 1, what="the reasons in the log")
        count = len(finished(site))
        finished(site, count + 1)
        site.config.write_text(good)
        assert status_of(site)[0]["config_digest"] == digest
    assert "reload" not in [row[0] for row in audit(site)]
    check_story(site, sandbox)


def test_a_removed_consent_is_no_longer_sent(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, count=3, more={"max_shrink": "90%"})
    with serving(site):
        site.rows = site.rows[:2]
        site.settings["schedules"]["nightly"]["cron"] = "*/2 * * * * *"
        site.write()
        site.run("reload", check=0)
        assert finished(site)[0]["due"] == 2
        assert dict(site.sql("SELECT consent, status FROM v1_consents"))["p/c2"] == "removed"


def test_logs_are_reopened_after_a_rename(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, cron="*/2 * * * * *", deadline="1s")
    log = tmp_path / "summary.log"
    with serving(site) as process:
        finished(site)
        wait_for(lambda: "run_finished" in log.read_text(), what="a summary line")
        log.rename(tmp_path / "summary.log.1")
        process.send_signal(signal.SIGUSR1)
        wait_for(lambda: log.exists() and "run_finished" in log.read_text(), what="the new file")


# ---- downtime ----


def down_for(site, seconds, **arguments):
    """Start, see a run, stop, let time pass, start again."""
    with serving(site):
        finished(site)
    time.sleep(seconds)


@pytest.mark.parametrize("policy", ["run_once", "skip"])
def test_missed_firings_are_caught_up_once_or_not_at_all(tmp_path, sandbox, policy):
    site = site_of(
        tmp_path, sandbox, count=3, cron="@every 1s", deadline="500ms", misfire={"policy": policy}
    )
    down_for(site, 3)
    with serving(site):
        finished(site, 1, where="is_missed")
        last = site.one("SELECT max(slot_ms) FROM v1_runs")
        finished(site, 1, where=f"slot_ms > {last} AND trigger = 'schedule'")
    runs = dictionaries(site, "SELECT * FROM v1_runs ORDER BY slot_ms")
    slots = [run["slot_ms"] for run in runs]
    assert slots == list(range(slots[0], slots[0] + 1000 * len(slots), 1000)), "no gap, no double"
    caught = [run for run in runs if run["trigger"] == "catch_up"]
    missed = [run for run in runs if run["is_missed"]]
    assert len(caught) == (1 if policy == "run_once" else 0)
    assert missed
    if caught:
        assert caught[0]["slot_ms"] == max(run["slot_ms"] for run in missed) + 1000
    for run in missed:
        assert (run["due"], run["skipped"], run["reconciled"]) == (3, 3, 1)
        skips = site.sql("SELECT consent, reason, count FROM v1_skips WHERE run_id = ?", run["run_id"])
        assert skips == [(None, "missed", 3)]
    check_story(site, sandbox)


def test_what_is_too_old_is_not_caught_up(tmp_path, sandbox):
    site = site_of(
        tmp_path, sandbox, count=2, cron="@every 3s", deadline="1s", misfire={"max_age": "1s"}
    )
    down_for(site, 0)
    last = site.one("SELECT max(slot_ms) FROM v1_runs")
    # the next firing is missed, and older than a second
    wait_for(lambda: time.time() * 1000 > last + 3000 + 1500, what="the downtime")
    with serving(site):
        run = finished(site, 1, where="is_missed")[0]
        assert run["slot_ms"] == last + 3000
    assert site.one("SELECT count(*) FROM v1_runs WHERE trigger = 'catch_up'") == 0


def test_editing_a_schedule_never_fires_it(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox)
    with serving(site):
        site.settings["schedules"]["nightly"]["cron"] = "* * * * *"
        site.settings["schedules"]["nightly"]["timezone"] = "Asia/Tokyo"
        site.write()
        before = int(time.time() * 1000)
        site.run("reload", check=0)
        objects = status_of(site)
        assert [o for o in objects if o["type"] == "run" and o["slot_at"] < now_text(before)] == []
    assert site.one(f"SELECT count(*) FROM v1_runs WHERE slot_ms < {before}") == 0


def now_text(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms / 1000))


# ---- overlap ----


def test_overlapping_runs_supersede_and_fly_alone(tmp_path, slow_sandbox):
    # jobs take 2.5 s, one at a time per bank, and the schedule fires every two seconds
    limits = {"institutions": {"default": {"jobs_running": 1}}}
    site = site_of(tmp_path, slow_sandbox, count=6, cron="@every 2s", provider=limits)
    with serving(site):
        finished(site, 2)
    reasons = dict(site.sql("SELECT reason, count(*) FROM v1_skips GROUP BY 1"))
    assert reasons.get("superseded", 0) > 0 and reasons.get("single_flight", 0) > 0
    assert set(reasons) <= {"superseded", "single_flight", "deadline", "concurrency", "missed"}
    first = site.one("SELECT run_id FROM v1_runs ORDER BY slot_ms LIMIT 1")
    assert site.one("SELECT count(*) FROM v1_skips WHERE run_id = ? AND reason = 'superseded'", first) == 4
    assert broken_rules(slow_sandbox) == {}
    check_story(site)


# ---- people ----


def test_a_trigger_refreshes_one_consent_now(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox)
    with serving(site):
        site.run("trigger", "p/c1", "--reason", "customer asked", check=0)
        wait_for(
            lambda: site.sql("SELECT consent, trigger, run_id, outcome FROM v1_jobs")
            == [("p/c1", "manual", None, "refreshed")],
            what="the job",
        )
        assert site.run("trigger", "p/nobody").returncode == 64
    assert audit(site) == [("trigger", "p/c1", "customer asked")]
    assert site.run("trigger", "p/c1").returncode == 69, "offline, nobody can do it"


@pytest.mark.parametrize(
    "scope,subject",
    [
        (("p/c1",), "p/c1"),
        (("--provider", "p"), "p"),
        (("--provider", "p", "--institution", "bank1"), "p/bank1"),
        (("--schedule", "nightly"), "nightly"),
        ((), "all"),
    ],
)
def test_a_pause_holds_back_exactly_what_it_names(tmp_path, sandbox, scope, subject):
    site = site_of(tmp_path, sandbox, cron="* * * * * *", deadline="800ms")
    site.settings["schedules"]["nightly"]["cron"] = NEVER
    site.write()
    with serving(site):
        site.run("pause", *scope, "--reason", "works at the bank", check=0)
        site.settings["schedules"]["nightly"]["cron"] = "* * * * * *"
        site.write()
        site.run("reload", check=0)
        run = finished(site, 1)[0]
        paused = {"p/c1"} if subject == "p/c1" else {"p/c1", "p/c3"}
        if subject not in ("p/c1", "p/bank1"):
            paused = {"p/c0", "p/c1", "p/c2", "p/c3"}
        skips = site.sql("SELECT consent, reason FROM v1_skips WHERE run_id = ?", run["run_id"])
        assert {row[0] for row in skips} == paused and {row[1] for row in skips} == {"paused"}
        assert run["refreshed"] == 4 - len(paused)
        site.run("resume", *scope, check=0)
        last = site.one("SELECT max(slot_ms) FROM v1_runs")
        assert finished(site, 1, where=f"slot_ms > {last}")[0]["refreshed"] == 4
    rows_ = [row for row in audit(site) if row[0] != "reload"]
    assert [row[:2] for row in rows_] == [("pause", subject), ("resume", subject)]
    assert rows_[0][2] == "works at the bank"
    check_story(site, sandbox)


def test_a_pause_survives_a_restart(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox)
    with serving(site):
        site.run("pause", "p/c0", check=0)
        assert site.sql("SELECT status FROM v1_consents WHERE consent = 'p/c0'") == [("paused",)]
    assert site.sql("SELECT status FROM v1_consents WHERE consent = 'p/c0'") == [("paused",)]
    site.settings["schedules"]["nightly"]["cron"] = "* * * * * *"
    site.settings["schedules"]["nightly"]["deadline"] = "800ms"
    site.write()
    with serving(site):
        run = finished(site)[0]
    assert (run["refreshed"], run["skipped"]) == (3, 1)
    site.run("resume", "p/c0", check=0)
    assert site.sql("SELECT status FROM v1_consents WHERE consent = 'p/c0'") == [("active",)]


def test_a_pause_with_an_end_ends(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, cron="* * * * * *", deadline="800ms")
    site.run("check", check=0)
    with serving(site):
        finished(site)
        site.run("pause", "--until", "2s", check=0)
        until = time.time() * 1000 + 2000
        later = finished(site, 1, where=f"slot_ms > {until} AND refreshed = 4")
        assert later
        assert site.run("pause", "--until", "yesterday").returncode == 64


def test_why_names_the_gates_online_and_offline(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, provider={"consent": {"cooldown": "6h", "quota": "4/24h"}})
    site.once("--consent", "p/c0", check=0)
    with serving(site):
        site.run("pause", "p/c1", check=0)
        online = {c: why(site, c) for c in ("p/c0", "p/c1", "p/c2")}
    offline = {c: why(site, c) for c in ("p/c0", "p/c1", "p/c2")}
    for answers, is_offline in ((online, False), (offline, True)):
        assert all(answer["offline"] is is_offline for answer in answers.values())
        closed = {c: [g for g in a["gates"] if not g["open"]] for c, a in answers.items()}
        assert [gate["reason"] for gate in closed["p/c0"]] == ["cooldown"]
        assert [gate["reason"] for gate in closed["p/c1"]] == ["paused"]
        assert closed["p/c2"] == []
        sent = site.one("SELECT sent_ms FROM v1_attempts WHERE consent = 'p/c0'")
        expected = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime((sent + 21600000) / 1000))
        assert answers["p/c0"]["earliest_at"].startswith(expected)
    assert site.run("why", "p/nobody").returncode == 1


def why(site, consent):
    done = site.run("why", consent, "--format", "json", check=(0, 1))
    return json.loads(done.stdout)


def test_status_shows_the_run_in_progress_and_says_offline(tmp_path, slow_sandbox):
    site = site_of(tmp_path, slow_sandbox, cron="@every 4s", deadline="3s")
    with serving(site):
        wait_for(lambda: slow_sandbox.stats()["accepted"] == 4, what="the run")
        runs = [o for o in status_of(site) if o["type"] == "run"]
        assert runs and runs[0]["due"] == 4 and runs[0]["schedule"] == "nightly"
        assert runs[0]["open_jobs"] == 4
        text = site.run("status", check=0).stdout
        assert "nightly" in text
    assert status_of(site)[0]["offline"] is True
    assert "offline" in site.run("status", check=0).stdout


def test_a_second_daemon_is_refused(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox)
    with serving(site) as process:
        for command in ("serve", "once"):
            done = site.run(command, timeout=20)
            assert done.returncode == 75
            assert str(process.pid) in done.stderr and "serve" in done.stderr


# ---- sources ----


def shrink_site(folder, sandbox, **more):
    site = site_of(folder, sandbox, count=20, more=more)
    return site


def test_a_source_that_lost_too_much_is_refused_on_reload(tmp_path, sandbox):
    site = shrink_site(tmp_path, sandbox)
    with serving(site):
        site.rows = site.rows[:17]
        site.write()
        refused = site.run("reload")
        assert refused.returncode not in (0, 1) and "consents.csv" in refused.stderr
        assert "accept-shrink" in refused.stderr
        assert site.one("SELECT count(*) FROM v1_consents WHERE status = 'active'") == 20
        site.run("reload", "--accept-shrink", check=0)
        assert site.one("SELECT count(*) FROM v1_consents WHERE status = 'active'") == 17
        site.rows = site.rows[:16]
        site.write()
        site.run("reload", check=0)
        assert site.one("SELECT count(*) FROM v1_consents WHERE status = 'active'") == 16


def test_a_source_is_read_again_on_its_own_period(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox, count=20)
    site.settings["consents_from"][0]["every"] = "1s"
    site.write()
    with serving(site):
        site.rows.append(dict(rows(1)[0], id="new", schedule="nightly"))
        site.write()
        wait_for(
            lambda: site.one("SELECT count(*) FROM v1_consents WHERE status = 'active'") == 21,
            what="the new consent",
        )
        site.rows = site.rows[:5]
        site.write()
        wait_for(lambda: "consents.csv" in log_of(site) and "shrink" in log_of(site), what="the alarm")
        assert site.one("SELECT count(*) FROM v1_consents WHERE status = 'active'") == 21
        (tmp_path / "consents.csv").write_text("id,provider\nbroken,nobody\n")
        wait_for(lambda: "nobody" in log_of(site), what="the second alarm")
        assert site.one("SELECT count(*) FROM v1_consents WHERE status = 'active'") == 21


def test_a_shrink_during_downtime_starts_and_warns(tmp_path, sandbox):
    """At a start there is no last good set in memory: the daemon runs with what there is."""
    site = shrink_site(tmp_path, sandbox)
    with serving(site):
        pass
    site.rows = site.rows[:10]
    site.write()
    with serving(site):
        assert site.one("SELECT count(*) FROM v1_consents WHERE status = 'active'") == 10
    assert "level=warning" in log_of(site) or "level=error" in log_of(site)


# ---- idleness ----


def switches(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        for line in open(f"/proc/{pid}/task/{task}/status"):
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def test_an_idle_daemon_sleeps(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox)
    with serving(site) as process:
        requests = requests_of(sandbox, "finqware", "create")

        def settled():
            before = switches(process.pid)
            time.sleep(0.5)
            return switches(process.pid) - before <= 1

        wait_for(settled, what="silence")
        before = switches(process.pid)
        time.sleep(5)
        assert switches(process.pid) - before <= 5 + 1
        assert requests_of(sandbox, "finqware", "create") == requests
