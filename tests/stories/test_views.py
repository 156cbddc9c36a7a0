# SPDX-License-Identifier: MIT
"""What others rely on: the columns of the public views and of the reporting tables, the output of
the lists, and that all of them tell the same numbers."""

import csv
import io
import json
import re

import pytest

from nights import (
    OUTCOMES,
    QUICK_SCENARIO,
    Sandbox,
    bud,
    check_story,
    dictionaries,
    finqware,
    merge,
    plain_site,
    schedule,
)

# Typed from the contract; further columns may follow, none may come between.
VIEWS = {
    "v1_consents": "consent provider consent_id customer institution status hold_reason last_outcome"
    " last_success_at last_attempt_at consecutive_failures not_before_at not_before_reason quota_used"
    " quota_limit next_allowed_at next_due_at expires_at",
    "v1_runs": "run_id schedule slot_at deadline_at started_at finished_at due refreshed partial"
    " deduplicated reconnect_required failed skipped unknown reconciled late config_digest",
    "v1_jobs": "job_uid run_id consent trigger state due_at started_at finished_at next_attempt_at"
    " provider_job_id attempts outcome reason has_new_data error_code error_message",
    "v1_attempts": "attempt_uid job_uid consent sent_at answered_at http_status class error_code"
    " error_id error_message request_id retry_after_raw",
    "v1_skips": "run_id consent slot_at reason detail count",
    "v1_limits": "provider institution configured_rate learned_rate jobs_running breaker not_before_at",
    "v1_reconnect": "consent customer institution since_at cause expires_at urgency",
    "v1_audit": "at who action subject reason",
    "v1_pauses": "scope subject since_at until_at who reason",
}
TABLES = {
    "fact_refresh": "job_uid run_id consent schedule trigger due_at due_ms started_at started_ms"
    " finished_at finished_ms wait_ms duration_ms attempts outcome reason has_new_data error_code"
    " loaded_at loaded_ms",
    "fact_skip": "run_id consent reason",
    "dim_consent": "consent",
    "dim_institution": "provider institution",
    "run_summary": "run_id schedule slot_at due " + " ".join(OUTCOMES) + " reconciled late started_at"
    " finished_at",
    "daily_institution": "day provider institution "
    + " ".join(OUTCOMES)
    + " duration_p50_ms duration_p95_ms",
}
INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
REASONS = set(
    "quota cooldown rate concurrency fairness pushback breaker auth window blackout maintenance paused"
    " held expired not_ready removed listen_only single_flight deadline retry_wait retry_budget in_doubt"
    " storage missed superseded draining rejected provider_error institution_error transport bad_answer"
    " job_failed lost configuration".split()
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two runs over a population that meets every outcome."""
    folder = tmp_path_factory.mktemp("views")
    scenario = merge(
        QUICK_SCENARIO,
        {
            "consents": {
                "c0": {"result": "job_failed"},
                "c1": {"state": "revoked"},
                "c2": {"result": "partial"},
                "c3": {"poll_error": {"status": 404, "code": "job_not_found"}},
                "c4": {"create_faults": ["http_429", "http_500"]},
                "u5": {"result": "connection_revoked"},
            },
            "retry_after_s": 1,
        },
    )
    rows = [{"id": f"c{i}", "provider": "f", "institution": f"bank{i % 2}"} for i in range(8)]
    rows += [
        {"id": f"d{i}", "provider": "b", "institution": f"bank{i % 3}", "customer": f"u{i}"}
        for i in range(8)
    ]
    rows[6]["expires"] = "2020-01-01"
    rows[7].update(mode="listen", tags="vip", priority="7")
    with Sandbox(folder, scenario) as sandbox:
        limits = {"rate": ["100/s", "2000/min"]}
        providers = {"f": finqware(sandbox, limits=limits), "b": bud(sandbox)}
        night = schedule(timezone="Pacific/Auckland")
        made = plain_site(folder, providers, rows, {"nightly": night})
        made.settings["reporting"]["export"] = {"directory": "export", "format": "csv"}
        made.settings["reporting"]["snapshot"] = "snapshot.db"
        made.settings["summary"]["format"] = "json"
        made.write()
        (folder / "export").mkdir()
        made.manifests = made.once(check=1) + made.once()
        made.run("pause", "f/c4", "--reason", "a word", check=0)
        check_story(made, sandbox)
    return made


def columns(site, name, database=None):
    rows = site.sql(f"SELECT name FROM pragma_table_info('{name}')", database=database)
    return [row[0] for row in rows]


@pytest.mark.parametrize("view", VIEWS)
def test_the_columns_of_a_view_come_first_and_in_order(site, view):
    wanted = VIEWS[view].split()
    assert columns(site, view)[: len(wanted)] == wanted
    assert site.one(f"SELECT count(*) FROM {view}") > 0, "a view without rows proves little"


@pytest.mark.parametrize("table", TABLES)
def test_the_columns_of_reporting_are_there(site, table):
    found = columns(site, table, database=site.reporting)
    missing = [name for name in TABLES[table].split() if name not in found]
    assert missing == []
    assert site.one(f"SELECT count(*) FROM {table}", database=site.reporting) > 0


@pytest.mark.parametrize("view", VIEWS)
def test_instants_are_told_in_both_forms(site, view):
    names = columns(site, view)
    for row in dictionaries(site, f"SELECT * FROM {view}"):
        for name in names:
            if not (name.endswith("_at") or name == "at") or row[name] is None:
                continue
            assert INSTANT.match(row[name]), (name, row[name])
            ms = row[name[:-2] + "ms"] if name != "at" else row["at_ms"]
            at = site.one("SELECT CAST(round((julianday(?) - 2440587.5) * 86400000.0) AS INTEGER)", row[name])
            assert abs(at - ms) <= 1, name


@pytest.mark.parametrize("view,column", [("v1_jobs", "reason"), ("v1_skips", "reason")])
def test_reasons_are_words_of_the_contract(site, view, column):
    words = {row[0] for row in site.sql(f"SELECT DISTINCT {column} FROM {view}")} - {None}
    assert words and words <= REASONS


def test_outcomes_states_and_classes_are_words(site):
    assert {row[0] for row in site.sql("SELECT DISTINCT outcome FROM v1_jobs")} <= set(OUTCOMES)
    assert {row[0] for row in site.sql("SELECT DISTINCT outcome FROM v1_jobs")} >= {
        "refreshed",
        "partial",
        "deduplicated",
        "reconnect_required",
        "failed",
        "unknown",
    }
    assert {row[0] for row in site.sql("SELECT DISTINCT status FROM v1_consents")} == {
        "active",
        "held",
        "paused",
        "expired",
    }
    assert site.sql("SELECT count(*) FROM v1_attempts WHERE class IS NULL") == [(0,)]


@pytest.mark.parametrize(
    "command,view,key",
    [
        ("consents", "v1_consents", "consent"),
        ("jobs", "v1_jobs", "job_uid"),
        ("runs", "v1_runs", "run_id"),
    ],
)
def test_lists_print_exactly_the_columns_of_the_view(site, command, view, key):
    done = site.run(command, "--format", "json", check=0)
    objects = [json.loads(line, object_pairs_hook=list) for line in done.stdout.splitlines()]
    names = columns(site, view)
    assert objects and all([name for name, _ in pairs] == names for pairs in objects)
    told = {dict(pairs)[key]: dict(pairs) for pairs in objects}
    volatile = {"next_allowed_at", "next_allowed_ms"}
    for row in dictionaries(site, f"SELECT * FROM {view}"):
        mine = {name: value for name, value in told.pop(row[key]).items() if name not in volatile}
        assert mine == {name: value for name, value in row.items() if name not in volatile}
    assert told == {}


def test_lists_have_a_text_form(site):
    for command, word in (("consents", "f/c0"), ("jobs", "f/c0"), ("runs", "nightly@")):
        done = site.run(command, check=0)
        assert word in done.stdout and not done.stdout.startswith("{")


def test_lists_filter(site):
    def listed(*arguments):
        done = site.run(*arguments, "--format", "json", check=0)
        return [json.loads(line) for line in done.stdout.splitlines()]

    held = listed("consents", "--status", "held")
    assert {row["consent"] for row in held} == {"f/c1", "b/d5"}
    failed = listed("jobs", "--outcome", "failed")
    assert {row["outcome"] for row in failed} == {"failed"}
    assert {row["consent"] for row in listed("consents", "--provider", "b")} == {f"b/d{i}" for i in range(8)}
    run = site.manifests[0]["run_id"]
    assert {row["run_id"] for row in listed("jobs", "--run", run)} == {run}


# ---- the same numbers everywhere ----


def test_facts_and_skips_make_up_each_run(site):
    for manifest in site.manifests:
        facts = site.one(
            "SELECT count(*) FROM fact_refresh WHERE run_id = ?", manifest["run_id"], database=site.reporting
        )
        skips = site.one(
            "SELECT coalesce(sum(count), 0) FROM fact_skip WHERE run_id = ?",
            manifest["run_id"],
            database=site.reporting,
        )
        assert facts + skips == manifest["due"] == 16


def test_reporting_tells_what_state_tells(site):
    shared = (
        "job_uid run_id consent schedule trigger due_at due_ms started_at started_ms finished_at"
        " finished_ms attempts outcome reason has_new_data error_code"
    )
    names = ", ".join(shared.split())
    state = site.sql(f"SELECT {names} FROM v1_jobs WHERE outcome IS NOT NULL ORDER BY 1")
    facts = site.sql(f"SELECT {names} FROM fact_refresh ORDER BY 1", database=site.reporting)
    assert state == facts and facts
    for due, started, finished, wait, duration in site.sql(
        "SELECT due_ms, started_ms, finished_ms, wait_ms, duration_ms FROM fact_refresh",
        database=site.reporting,
    ):
        assert (wait, duration) == (started - due, finished - started)
    skips = "SELECT run_id, consent, reason, count FROM {} ORDER BY 1, 2"
    assert site.sql(skips.format("v1_skips")) == site.sql(
        skips.format("fact_skip"), database=site.reporting
    )


def test_run_summary_is_the_manifest(site):
    rows = dictionaries(site, "SELECT * FROM run_summary ORDER BY slot_ms", database=site.reporting)
    assert len(rows) == 2
    for manifest, row in zip(site.manifests, rows):
        assert {key: row[key] for key in manifest} == {
            key: int(value) if isinstance(value, bool) else value for key, value in manifest.items()
        }


def test_days_are_local_and_add_up(site):
    slot = site.manifests[0]["slot_at"]
    # Auckland is 12 or 13 hours ahead
    rows = dictionaries(site, "SELECT * FROM daily_institution", database=site.reporting)
    import datetime
    import zoneinfo

    expected = {
        datetime.datetime.fromisoformat(m["slot_at"].replace("Z", "+00:00"))
        .astimezone(zoneinfo.ZoneInfo("Pacific/Auckland"))
        .date()
        .isoformat()
        for m in site.manifests
    }
    assert {row["day"] for row in rows} == expected, slot
    for outcome in OUTCOMES:
        assert sum(row[outcome] for row in rows) == sum(m[outcome] for m in site.manifests), outcome
    for row in rows:
        if row["duration_p50_ms"] is not None:
            assert 0 <= row["duration_p50_ms"] <= row["duration_p95_ms"]


def test_dimensions_name_everybody(site):
    assert site.one("SELECT count(*) FROM dim_consent", database=site.reporting) == 16
    pairs = site.sql("SELECT provider, institution FROM dim_institution", database=site.reporting)
    assert sorted(pairs) == [("b", "bank0"), ("b", "bank1"), ("b", "bank2"), ("f", "bank0"), ("f", "bank1")]


def test_the_summary_log_tells_the_manifest(site):
    lines = [json.loads(line) for line in (site.folder / "summary.log").read_text().splitlines()]
    finished = [line for line in lines if line["event"] == "run_finished"]
    assert len(finished) == len(site.manifests)
    for line, manifest in zip(finished, site.manifests):
        assert line["run"] == manifest["run_id"]
        for key in ("due", *OUTCOMES, "reconciled", "late", "started_at", "finished_at"):
            assert line[key] == manifest[key], key
    periods = [line for line in lines if line["event"] == "summary"]
    for outcome in OUTCOMES:
        assert sum(line[outcome] for line in periods) == sum(m[outcome] for m in site.manifests), outcome


def test_the_snapshot_is_a_whole_database(site):
    query = "SELECT run_id, due FROM run_summary ORDER BY 1"
    snapshot = site.sql(query, database=site.folder / "snapshot.db")
    assert snapshot == site.sql(query, database=site.reporting) and len(snapshot) == 2
    assert site.sql("PRAGMA integrity_check", database=site.folder / "snapshot.db") == [("ok",)]


def test_exports_hold_the_facts_of_each_run(site):
    files = sorted((site.folder / "export").iterdir())
    assert files and all(not path.name.startswith(".") for path in files)
    rows = []
    for path in files:
        rows += list(csv.DictReader(io.StringIO(path.read_text())))
    told = {(row["run_id"], row["consent"]) for row in rows if row.get("consent")}
    due = sum(manifest["due"] for manifest in site.manifests)
    assert len(told) == due


def test_reporting_can_be_dropped_and_rebuilt(site):
    names = "job_uid, outcome, reason, wait_ms, duration_ms"
    before = site.sql(f"SELECT {names} FROM fact_refresh ORDER BY 1", database=site.reporting)
    skips = site.sql("SELECT run_id, consent, reason FROM fact_skip ORDER BY 1, 2", database=site.reporting)
    for path in site.folder.glob("reporting.db*"):
        path.unlink()
    site.run("db", "rebuild-reporting", check=0)
    assert site.sql(f"SELECT {names} FROM fact_refresh ORDER BY 1", database=site.reporting) == before
    assert skips == site.sql(
        "SELECT run_id, consent, reason FROM fact_skip ORDER BY 1, 2", database=site.reporting
    )
    assert site.one("SELECT count(*) FROM run_summary", database=site.reporting) == 2
    site.run("db", "verify", check=0)


def test_limits_show_the_configured_rates(site):
    rows = {
        (row["provider"], row["institution"]): row
        for row in dictionaries(site, "SELECT * FROM v1_limits")
    }
    assert rows[("f", None)]["configured_rate"] == "100/s 2000/m" or (
        rows[("f", None)]["configured_rate"] == "100/s 2000/min"
    )
    assert {row["jobs_running"] for row in rows.values()} == {0}
    assert ("b", "bank2") in rows


def test_the_report_of_a_night(site):
    run = site.manifests[0]
    told = site.run("report", "--run", run["run_id"], "--format", "json", check=(0, 1)).stdout
    text = site.run("report", "--run", "last", check=(0, 1)).stdout
    assert run["run_id"] in told
    assert site.manifests[1]["run_id"] in text
    assert site.run("report", "--run", "nightly@1999-01-01T00:00:00Z").returncode not in (0, 70)


def test_the_databases_say_what_they_are(site):
    assert site.one("PRAGMA application_id") != 0
    assert site.one("PRAGMA user_version") > 0
    assert site.one("PRAGMA journal_mode") == "wal"
    assert (site.folder / "state.db-wal").exists(), "kept, so that readers need not write"
    names = [row[0] for row in site.sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        if not name.startswith("sqlite_"):
            sql = site.one("SELECT sql FROM sqlite_master WHERE name = ?", name)
            assert "STRICT" in sql, name
