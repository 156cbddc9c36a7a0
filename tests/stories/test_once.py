# SPDX-License-Identifier: MIT
"""`refreshd once`, as cron, Kubernetes and CI see it: what it prints, how it ends, which consents it
takes, and how it goes on after it was stopped."""

import datetime
import json
import re
import signal
import sqlite3

import pytest

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    Site,
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

MANIFEST = [
    ("run_id", str),
    ("schedule", str),
    ("slot_at", str),
    ("due", int),
    ("refreshed", int),
    ("partial", int),
    ("deduplicated", int),
    ("reconnect_required", int),
    ("failed", int),
    ("skipped", int),
    ("unknown", int),
    ("reconciled", bool),
    ("late", bool),
    ("started_at", str),
    ("finished_at", str),
]
INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


def rows(count, provider="p", **more):
    return [
        dict({"id": f"c{i}", "provider": provider, "institution": f"bank{i % 2}"}, **more)
        for i in range(count)
    ]


def bud_rows(count):
    return [dict(row, customer=f"u{i}") for i, row in enumerate(rows(count))]


@pytest.fixture
def sandbox(tmp_path):
    with Sandbox(tmp_path, QUICK_SCENARIO) as started:
        yield started


@pytest.fixture
def slow_sandbox(tmp_path):
    """Jobs take two seconds, so that a run can be met in its middle."""
    scenario = merge(QUICK_SCENARIO, {"job_duration_ms": {"min": 2000, "max": 2000}})
    with Sandbox(tmp_path, scenario) as started:
        yield started


def parse(instant):
    return datetime.datetime.fromisoformat(instant.replace("Z", "+00:00"))


# ---- what it prints ----


@pytest.mark.parametrize("arguments", [(), ("--format", "json"), ("--format", "text")])
def test_the_manifest_has_exactly_the_keys_of_the_contract_in_order(tmp_path, sandbox, arguments):
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(3))
    done = site.run("once", *arguments, check=0)
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    pairs = json.loads(lines[0], object_pairs_hook=list)
    assert [(key, type(value)) for key, value in pairs] == MANIFEST
    manifest = dict(pairs)
    assert manifest["run_id"].startswith("nightly@") and manifest["schedule"] == "nightly"
    slot = manifest["run_id"].split("@")[1]
    assert parse(slot) == parse(manifest["slot_at"])
    for key in ("slot_at", "started_at", "finished_at"):
        assert INSTANT.match(manifest[key]), key
    assert (manifest["due"], manifest["refreshed"], manifest["reconciled"]) == (3, 3, True)
    assert parse(manifest["started_at"]) <= parse(manifest["finished_at"])


def test_each_schedule_has_its_manifest_on_a_line_of_its_own(tmp_path, sandbox):
    schedules = {name: schedule() for name in ("one", "three", "two")}
    population = [dict(row, schedule=name) for row, name in zip(rows(3), schedules)]
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, population, schedules)
    manifests = site.once(check=0)
    assert sorted(manifest["schedule"] for manifest in manifests) == ["one", "three", "two"]
    assert all(manifest["due"] == 1 for manifest in manifests)
    check_story(site, sandbox)


def test_the_manifest_is_the_row_of_v1_runs(tmp_path, sandbox):
    sandbox.change({"consents": {"c0": {"result": "job_failed"}, "c1": {"state": "revoked"}}})
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(4))
    manifest = site.once(check=1)[0]
    row = dictionaries(site, "SELECT * FROM v1_runs")[0]
    for key, _ in MANIFEST:
        assert manifest[key] == row[key], key


# ---- how it ends ----


def test_exit_0_where_consents_only_need_their_customers(tmp_path, sandbox):
    sandbox.change({"consents": {"c0": {"state": "revoked"}, "c1": {"result": "partial"}}})
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(3))
    manifest = site.once(check=0)[0]
    assert (manifest["reconnect_required"], manifest["partial"]) == (1, 1)


@pytest.mark.parametrize("fate,outcome", [("job_failed", "failed"), (None, "unknown")])
def test_exit_1_where_something_failed_or_is_unknown(tmp_path, sandbox, fate, outcome):
    said = {"result": fate} if fate else {"poll_error": {"status": 404, "code": "job_not_found"}}
    sandbox.change({"consents": {"c0": said}})
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(3))
    assert site.once(check=1)[0][outcome] == 1


@pytest.mark.parametrize(
    "arguments,words",
    [
        (("--schedule", "hourly"), ["hourly"]),
        (("--consent", "p/nobody"), ["p/nobody"]),
        (("--consent", "c0"), ["c0"]),
        (("--frequently",), ["frequently"]),
        (("surplus",), ["surplus"]),
        (("--format", "xml"), ["xml"]),
    ],
)
def test_exit_64_where_the_command_is_wrong(tmp_path, sandbox, arguments, words):
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(1))
    done = site.run("once", *arguments, check=64)
    assert done.stdout == ""
    assert all(word in done.stderr for word in words), done.stderr
    assert sandbox.stats()["requests"] == 0


@pytest.mark.parametrize(
    "damage,words",
    [
        (lambda settings: settings["providers"]["p"].pop("base_url"), ["base_url"]),
        (lambda settings: settings["schedules"]["nightly"].update(cron="61 * * * *"), ["61"]),
        (lambda settings: settings.update(surprise=1), ["surprise"]),
        (lambda settings: settings["consents_from"].append({"csv": "absent.csv"}), ["absent.csv"]),
    ],
)
def test_exit_78_where_the_configuration_is_wrong(tmp_path, sandbox, damage, words):
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(1))
    damage(site.settings)
    site.write()
    done = site.run("once", check=78)
    assert done.stdout == "" and not site.state.exists()
    assert all(word in done.stderr for word in words), done.stderr
    assert re.search(r"refreshd\.yaml:\d+:\d+: error: |absent\.csv", done.stderr)


def test_exit_78_where_there_is_no_configuration(tmp_path):
    site = Site(tmp_path, "")
    site.config.unlink()
    done = site.run("once", check=78)
    assert str(site.config) in done.stderr


def test_exit_75_where_another_one_runs_and_says_who(tmp_path, slow_sandbox):
    site = plain_site(tmp_path, {"p": finqware(slow_sandbox)}, rows(1))
    first = site.start("once")
    wait_for(lambda: slow_sandbox.stats()["accepted"] == 1, what="the first run")
    done = site.run("once", check=75)
    assert done.stdout == ""
    assert "once" in done.stderr and str(first.pid) in done.stderr
    assert end(first, signal.SIGTERM) in (0, 75)


def test_a_secret_that_others_may_write_is_refused(tmp_path, sandbox):
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(1))
    (tmp_path / "secret").chmod(0o666)
    done = site.run("once")
    assert done.returncode not in (0, 1, 70)
    assert "secret" in done.stderr
    assert sandbox.stats()["accepted"] == 0
    assert "sandbox-secret" not in done.stderr


# ---- which consents it takes ----


def test_only_the_schedule_that_is_named_runs(tmp_path, sandbox):
    schedules = {"nightly": schedule(), "weekly": schedule()}
    population = rows(2) + [dict(row, id="w", schedule="weekly nightly") for row in rows(1)]
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, population, schedules)
    manifests = site.once("--schedule", "weekly", check=0)
    assert [(m["schedule"], m["due"]) for m in manifests] == [("weekly", 1)]
    assert site.sql("SELECT consent, trigger FROM v1_jobs") == [("p/w", "once")]


def test_only_the_consent_that_is_named_runs(tmp_path, sandbox):
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(3))
    assert site.once("--consent", "p/c1", check=0)[0]["due"] == 1
    assert site.sql("SELECT consent FROM v1_jobs") == [("p/c1",)]


def test_a_consent_runs_in_its_own_schedules_only(tmp_path, sandbox):
    schedules = {"nightly": schedule(), "weekly": schedule()}
    loose = dict(rows(1)[0], id="loose", schedule="")
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(2) + [loose], schedules)
    assert [m["schedule"] for m in site.once("--consent", "p/c1", check=0)] == ["nightly"]
    ended = site.run("once", "--consent", "p/loose", check=64)
    assert "is in no schedule" in ended.stderr and ended.stdout == ""
    assert "weekly" in site.run("once", "--consent", "p/c1", "--schedule", "weekly", check=64).stderr


def test_a_configuration_without_schedules_has_nothing_to_run(tmp_path, sandbox):
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, [])
    del site.settings["schedules"]
    site.write()
    ended = site.run("once", check=78, timeout=30)
    assert "no schedules" in ended.stderr and ended.stdout == ""


def test_only_the_institution_that_is_named_runs(tmp_path, sandbox):
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(5))
    assert site.once("--institution", "bank0", check=0)[0]["due"] == 3
    assert {row[0] for row in site.sql("SELECT consent FROM v1_jobs")} == {"p/c0", "p/c2", "p/c4"}


def test_an_empty_schedule_is_due_nothing(tmp_path, sandbox):
    schedules = {"nightly": schedule(), "lonely": schedule()}
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(1), schedules)
    manifest = site.once("--schedule", "lonely", check=0)[0]
    assert (manifest["due"], manifest["reconciled"]) == (0, True)
    assert site.sql("SELECT due, finished_at IS NULL FROM v1_runs") == [(0, 0)]


def test_listening_and_switched_off_consents_are_not_sent(tmp_path, sandbox):
    population = rows(3)
    population[1]["mode"] = "listen"
    population[2]["mode"] = "off"
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, population)
    manifest = site.once(check=0)[0]
    assert manifest["refreshed"] == 1
    assert site.sql("SELECT consent FROM v1_jobs") == [("p/c0",)]
    skips = dict(site.sql("SELECT consent, reason FROM v1_skips"))
    assert skips.get("p/c1") == "listen_only" and "p/c2" not in skips
    check_story(site, sandbox)


def test_spread_is_kept_only_when_asked_for(tmp_path, sandbox):
    schedules = {"nightly": schedule(spread="2s", deadline="1m")}
    site = plain_site(
        tmp_path, {"p": finqware(sandbox, consent={"cooldown": "0s"})}, rows(12), schedules
    )
    sandbox.change({"finqware": {"cooldown_ms": 0}})
    first = site.once(check=0)[0]
    slots = site.sql(
        "SELECT due_ms - (SELECT slot_ms FROM v1_runs WHERE run_id = ?) FROM v1_jobs", first["run_id"]
    )
    assert {row[0] for row in slots} == {0}
    offsets = []
    for arguments in (("--spread",), ("--spread",)):
        run_id = site.once(*arguments, check=0)[0]["run_id"]
        offsets.append(
            dict(
                site.sql(
                    "SELECT consent, due_ms - (SELECT slot_ms FROM v1_runs WHERE run_id = ?1)"
                    " FROM v1_jobs WHERE run_id = ?1",
                    run_id,
                )
            )
        )
        early = site.one(
            "SELECT count(*) FROM v1_jobs WHERE run_id = ? AND started_ms < due_ms", run_id
        )
        assert early == 0
    assert offsets[0] == offsets[1], "a consent's offset is stable"
    values = sorted(offsets[0].values())
    assert len(set(values)) > 6 and 0 <= values[0] and 1000 < values[-1] < 2000
    check_story(site, sandbox)


# ---- the second run of a night ----


def test_bud_gives_the_same_task_within_the_hour_and_that_is_deduplicated(tmp_path, sandbox):
    site = plain_site(tmp_path, {"p": bud(sandbox)}, bud_rows(4))
    assert site.once(check=0)[0]["refreshed"] == 4
    assert site.once(check=0)[0]["deduplicated"] == 4
    assert site.one("SELECT max(quota_used) FROM v1_consents") == 1, "attached ones are free"
    assert site.one("SELECT count(DISTINCT provider_job_id) FROM v1_jobs") == 4
    check_story(site, sandbox)


def test_a_cooldown_that_is_known_costs_no_call(tmp_path, sandbox):
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(4))
    site.once(check=0)
    requests = sandbox.stats()["requests"]
    manifest = site.once(check=0)[0]
    assert (manifest["due"], manifest["skipped"]) == (4, 4)
    assert site.sql("SELECT DISTINCT reason FROM v1_skips") == [("cooldown",)]
    assert sandbox.stats()["requests"] == requests
    assert site.one("SELECT count(*) FROM v1_attempts") == 4
    check_story(site, sandbox)


def test_the_quota_is_exact_over_many_runs(tmp_path, sandbox):
    sandbox.change({"finqware": {"cooldown_ms": 0, "quota": "2/24h"}})
    entry = finqware(sandbox, consent={"quota": "2/24h", "cooldown": "0s"})
    site = plain_site(tmp_path, {"p": entry}, rows(3))
    outcomes = []
    for _ in range(4):
        manifest = site.once(check=0)[0]
        outcomes.append((manifest["refreshed"], manifest["skipped"]))
    assert outcomes == [(3, 0), (3, 0), (0, 3), (0, 3)]
    assert requests_of(sandbox, "finqware", "create") == 6
    assert site.sql("SELECT DISTINCT reason FROM v1_skips") == [("quota",)]
    for row in dictionaries(site, "SELECT * FROM v1_consents"):
        assert (row["quota_used"], row["quota_limit"]) == (2, 2)
        first = site.one("SELECT min(sent_ms) FROM v1_attempts WHERE consent = ?", row["consent"])
        assert row["next_allowed_ms"] == first + 86400000
    check_story(site, sandbox)


def test_a_short_quota_window_opens_again(tmp_path, sandbox):
    sandbox.change({"finqware": {"cooldown_ms": 0, "quota": "1/2s"}})
    entry = finqware(sandbox, consent={"quota": "1/2s", "cooldown": "0s"})
    site = plain_site(tmp_path, {"p": entry}, rows(2))
    assert site.once(check=0)[0]["refreshed"] == 2
    # the deadline is far enough away: the slots wait for their window instead of being skipped
    assert site.once(check=0)[0]["refreshed"] == 2
    for consent in ("p/c0", "p/c1"):
        sent = [row[0] for row in site.sql("SELECT sent_ms FROM v1_attempts WHERE consent = ?", consent)]
        assert len(sent) == 2 and abs(sent[1] - sent[0]) >= 2000
    check_story(site, sandbox)


# ---- going on after a stop ----


def stop_in_the_middle(site, sandbox, count, number=signal.SIGTERM):
    process = site.start("once")
    wait_for(lambda: sandbox.stats()["accepted"] == count, what="the jobs")
    return end(process, number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_is_taken_up(tmp_path, slow_sandbox, number):
    site = plain_site(tmp_path, {"p": finqware(slow_sandbox), "b": bud(slow_sandbox)}, rows(3))
    site.rows += [dict(row, provider="b", schedule="nightly") for row in bud_rows(3)]
    site.write()
    code = stop_in_the_middle(site, slow_sandbox, 6, number)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 75)
    before = site.sql("SELECT run_id, finished_at, due FROM v1_runs")
    assert len(before) == 1 and before[0][1:] == (None, 6)
    manifests = site.once(check=0)
    assert [m["run_id"] for m in manifests] == [before[0][0]]
    assert (manifests[0]["due"], manifests[0]["refreshed"]) == (6, 6)
    assert slow_sandbox.stats()["accepted"] == 6, "no second job was started"
    check_story(site, slow_sandbox)


def test_new_closes_the_unfinished_run_and_starts_another(tmp_path, slow_sandbox):
    site = plain_site(tmp_path, {"p": finqware(slow_sandbox)}, rows(3))
    assert stop_in_the_middle(site, slow_sandbox, 3) == 75
    old = site.one("SELECT run_id FROM v1_runs")
    manifests = site.once("--new", check=(0, 1))
    assert len(manifests) == 1 and manifests[0]["run_id"] != old
    runs = site.sql("SELECT run_id, finished_at IS NOT NULL, due FROM v1_runs ORDER BY started_ms")
    assert runs == [(old, 1, 3), (manifests[0]["run_id"], 1, 3)]
    assert slow_sandbox.stats()["accepted"] == 3
    check_story(site, slow_sandbox)


def test_an_unfinished_run_past_its_deadline_is_closed_and_a_new_one_starts(tmp_path, slow_sandbox):
    schedules = {"nightly": schedule(deadline="1s")}
    site = plain_site(tmp_path, {"p": finqware(slow_sandbox)}, rows(2), schedules)
    assert stop_in_the_middle(site, slow_sandbox, 2) == 75
    old, deadline = site.sql("SELECT run_id, deadline_at FROM v1_runs")[0]
    wait_for(
        lambda: datetime.datetime.now(datetime.timezone.utc) > parse(deadline), what="the deadline"
    )
    manifests = site.once(check=(0, 1))
    assert len(manifests) == 1 and manifests[0]["run_id"] != old
    assert site.one("SELECT count(*) FROM v1_runs WHERE finished_at IS NULL") == 0
    check_story(site, slow_sandbox)


def test_runs_in_quick_succession_have_ids_of_their_own(tmp_path, sandbox):
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(1))
    ids = [site.once(check=0)[0]["run_id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert site.one("SELECT count(*) FROM v1_runs") == 3


# ---- what a run keeps to ----


def test_a_run_that_ends_after_its_deadline_is_late(tmp_path, slow_sandbox):
    schedules = {"nightly": schedule(deadline="1s")}
    site = plain_site(tmp_path, {"p": finqware(slow_sandbox)}, rows(2), schedules)
    manifest = site.once(check=0)[0]
    assert (manifest["refreshed"], manifest["late"]) == (2, True), "open jobs are followed"
    assert site.one("SELECT late FROM v1_runs") == 1


def test_nothing_is_initiated_after_the_deadline(tmp_path, slow_sandbox):
    schedules = {"nightly": schedule(deadline="1500ms")}
    entry = finqware(slow_sandbox, limits={"jobs_running": 2})
    site = plain_site(tmp_path, {"p": entry}, rows(6), schedules)
    manifest = site.once(check=0)[0]
    assert (manifest["refreshed"], manifest["skipped"]) == (2, 4)
    assert site.sql("SELECT DISTINCT reason, detail FROM v1_skips") == [("deadline", "concurrency")]
    deadline = site.one("SELECT deadline_ms FROM v1_runs")
    assert site.one("SELECT max(sent_ms) FROM v1_attempts") < deadline


def test_nine_goes_first(tmp_path, sandbox):
    population = rows(6)
    for row in population:
        row.update(institution="bank", priority=row["id"][1])
    entry = finqware(sandbox, limits={"jobs_running": 1})
    site = plain_site(tmp_path, {"p": entry}, population)
    site.once(check=0)
    order = [row[0] for row in site.sql("SELECT consent FROM v1_attempts ORDER BY sent_ms")]
    assert order == [f"p/c{i}" for i in (5, 4, 3, 2, 1, 0)]


@pytest.mark.parametrize("version", [1, 2])
def test_never_more_than_ninety_days_are_asked_for(tmp_path, sandbox, version):
    schedules = {"nightly": schedule(look_back="400d", look_until="1h")}
    site = plain_site(tmp_path, {"p": bud(sandbox, version=version)}, bud_rows(2), schedules)
    assert site.once(check=0)[0]["refreshed"] == 2
    check_story(site, sandbox)


def test_our_own_customer_id_is_sent_as_such(tmp_path, sandbox):
    population = [dict(row, customer_own_id=f"own-{i}") for i, row in enumerate(rows(2))]
    site = plain_site(tmp_path, {"p": bud(sandbox)}, population)
    assert site.once(check=0)[0]["refreshed"] == 2
    assert {line["customer"] for line in sandbox.ledger()} == {"own-0", "own-1"}
    check_story(site, sandbox)


def test_two_consents_of_one_single_flight_key_are_an_error(tmp_path, sandbox):
    population = [dict(row, customer="same", institution="bank") for row in rows(2)]
    site = plain_site(tmp_path, {"p": bud(sandbox)}, population)
    done = site.run("once", check=78)
    assert '"p/c1"' in done.stderr and '"c0"' in done.stderr
    assert "consents.csv:3:" in done.stderr and "consents.csv:2:" in done.stderr


def test_a_folder_that_is_missing_is_named(tmp_path, sandbox):
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(1))
    site.settings["state"]["database"] = "absent/state.db"
    site.write()
    done = site.run("once")
    assert done.returncode in (73, 74) and "absent" in done.stderr, done.stderr
    assert done.stdout == ""


def test_a_damaged_database_is_not_used(tmp_path, sandbox):
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(1))
    site.state.write_bytes(b"this is no database " * 500)
    done = site.run("once")
    assert done.returncode in (65, 70, 74) and "state.db" in done.stderr, done.stderr
    assert sandbox.stats()["requests"] == 0


def test_a_database_of_a_newer_program_is_refused(tmp_path, sandbox):
    site = plain_site(tmp_path, {"p": finqware(sandbox)}, rows(1))
    site.once(check=0)
    connection = sqlite3.connect(site.state)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    requests = sandbox.stats()["requests"]
    done = site.run("once")
    assert done.returncode not in (0, 1) and "99" in done.stderr, done.stderr
    assert sandbox.stats()["requests"] == requests


def test_a_provider_that_nobody_listens_at_costs_slots_only(tmp_path, sandbox):
    entry = finqware(sandbox, base_url="http://127.0.0.1:9")
    site = plain_site(tmp_path, {"p": finqware(sandbox), "q": entry}, rows(2) + rows(2, "q"))
    manifest = site.once(check=1)[0]
    assert (manifest["refreshed"], manifest["failed"]) == (2, 2)
    assert site.sql("SELECT DISTINCT reason, attempts FROM v1_jobs WHERE provider = 'q'") == [
        ("transport", 3)
    ]
    assert site.one("SELECT max(quota_used) FROM v1_consents WHERE provider = 'q'") == 0
    check_story(site, sandbox)
