# SPDX-License-Identifier: MIT
"""What pipelines and BI tools get: the reporting database, its snapshot, the export files and the
summary log, compared with the state database and with what was played."""
import csv
import json
import os
import signal
import sqlite3
import stat
import subprocess
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
from mixed_night import TABLE, institution, play
from nights import (
    OUTCOMES,
    QUICK_SCENARIO,
    Sandbox,
    dictionaries,
    end,
    finqware,
    merge,
    plain_site,
    schedule,
    wait_for,
)

REPORTING = {
    "database": "reporting.db",
    "snapshot": "report/reporting.db",
    "export": {"directory": "export", "format": "csv"},
}


@pytest.fixture(scope="module", name="night")
def fixture_night(tmp_path_factory):
    return play(tmp_path_factory.mktemp("night"), reporting=REPORTING)


def rows_of(path, immutable=False):
    """All rows of all public tables without loaded_at/_ms, by table."""
    connection = sqlite3.connect(f"file:{path}?mode=ro{'&immutable=1' if immutable else ''}", uri=True)
    tables = {}
    for (table,) in connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'delivery%'"
    ).fetchall():
        columns = [
            row[1]
            for row in connection.execute(f"PRAGMA table_info({table})")
            if not row[1].startswith("loaded_")
        ]
        tables[table] = sorted(
            connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall(), key=repr
        )
    connection.close()
    return tables


def test_facts_say_what_the_state_says(night):
    facts = dictionaries(night, "SELECT * FROM fact_refresh ORDER BY job_uid", database=night.reporting)
    jobs = dictionaries(night, "SELECT * FROM v1_jobs ORDER BY job_uid")
    assert len(facts) == len(jobs) == len(TABLE) - 1
    for fact, job in zip(facts, jobs):
        for column in (
            "job_uid run_id consent trigger due_at due_ms started_at started_ms finished_at"
            " finished_ms attempts outcome reason has_new_data error_code provider institution schedule"
        ).split():
            assert fact[column] == job[column], column
        assert fact["wait_ms"] == max(0, job["started_ms"] - job["due_ms"])
        assert fact["duration_ms"] == job["finished_ms"] - job["started_ms"]
        assert (fact["outcome"], fact["reason"]) == TABLE[fact["consent"]][1]
        assert fact["institution"] == institution(fact["consent"])
        assert fact["loaded_ms"] >= fact["finished_ms"]


def test_a_run_adds_up_in_reporting_too(night):
    summary = dictionaries(night, "SELECT * FROM run_summary", database=night.reporting)
    assert len(summary) == 1
    for key, value in night.manifest.items():
        assert summary[0][key] == (int(value) if isinstance(value, bool) else value), key
    facts = night.one(
        "SELECT count(*) FROM fact_refresh WHERE run_id = ?",
        night.manifest["run_id"],
        database=night.reporting,
    )
    skips = night.sql(
        "SELECT consent, reason, count FROM fact_skip WHERE run_id = ?",
        night.manifest["run_id"],
        database=night.reporting,
    )
    assert skips == [("bud/old", "expired", 1)]
    assert facts + sum(row[2] for row in skips) == night.manifest["due"] == len(TABLE)


def test_the_day_is_local_to_the_schedule(night):
    slot = datetime.fromtimestamp(
        night.one("SELECT slot_ms FROM v1_runs") / 1000, timezone.utc
    ).astimezone(ZoneInfo("Pacific/Auckland"))
    days = night.sql(
        "SELECT DISTINCT day FROM fact_refresh UNION SELECT day FROM fact_skip"
        " UNION SELECT day FROM daily_institution",
        database=night.reporting,
    )
    assert days == [(slot.strftime("%Y-%m-%d"),)]


def test_daily_rows_are_the_sums_of_the_facts(night):
    expected = {}
    durations = {}
    for consent, (_, (outcome, _)) in TABLE.items():
        key = (consent.split("/")[0], institution(consent))
        expected.setdefault(key, dict.fromkeys(OUTCOMES, 0))[outcome] += 1
    for provider, bank, duration in night.sql(
        "SELECT provider, institution, duration_ms FROM fact_refresh", database=night.reporting
    ):
        durations.setdefault((provider, bank), []).append(duration)
    found = dictionaries(night, "SELECT * FROM daily_institution", database=night.reporting)
    assert len(found) == len(expected)
    for row in found:
        key = (row["provider"], row["institution"])
        assert {outcome: row[outcome] for outcome in OUTCOMES} == expected[key]
        ranked = sorted(durations[key])
        assert row["duration_p50_ms"] == ranked[-(-len(ranked) * 50 // 100) - 1]
        assert row["duration_p95_ms"] == ranked[-(-len(ranked) * 95 // 100) - 1]


def test_dimensions_hold_the_population(night):
    consents = dictionaries(night, "SELECT * FROM dim_consent", database=night.reporting)
    assert {row["consent"]: row["institution"] for row in consents} == {
        consent: institution(consent) for consent in TABLE
    }
    held = {row["consent"] for row in consents if row["is_held"]}
    assert held == {"finq/revoked", "finq/suspended"}
    assert {tuple(row) for row in night.sql(
        "SELECT provider, institution FROM dim_institution", database=night.reporting)} == {
        (consent.split("/")[0], institution(consent)) for consent in TABLE
    }


def test_the_snapshot_opens_with_any_flags(night):
    path = night.folder / "report" / "reporting.db"
    assert rows_of(path, immutable=True) == rows_of(night.reporting)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(os.listdir(path.parent)) == ["reporting.db"]


def test_the_export_has_a_row_per_slot(night):
    files = os.listdir(night.folder / "export")
    assert files == [night.manifest["run_id"].replace(":", "-") + ".csv"]
    raw = (night.folder / "export" / files[0]).read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n") == len(TABLE) + 1
    with open(night.folder / "export" / files[0], newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["consent"]: (row["outcome"], row["reason"] or None) for row in rows} == {
        consent: verdict for consent, (_, verdict) in TABLE.items()
    }
    assert sum(int(row["count"]) for row in rows) == night.manifest["due"]
    assert {row["consent"]: row["institution"] for row in rows} == {
        consent: institution(consent) for consent in TABLE
    }
    # A provider's code must not become a formula in somebody's spreadsheet.
    assert {row["error_code"] for row in rows if row["consent"] == "finq/refused"} == {"'=1+1"}


def logfmt(line):
    return dict(pair.split("=", 1) for pair in line.split(" "))


def test_the_summary_log_agrees_with_the_manifest(night):
    lines = [logfmt(line) for line in (night.folder / "summary.log").read_text().splitlines()]
    finished = [line for line in lines if line["event"] == "run_finished"]
    periods = [line for line in lines if line["event"] == "summary"]
    assert len(finished) == 1
    for key, value in night.manifest.items():
        name = "run" if key == "run_id" else key
        if key != "slot_at":
            assert finished[0][name] == (str(value).lower() if isinstance(value, bool) else str(value))
    for outcome in OUTCOMES:
        assert sum(int(line[outcome]) for line in periods) == night.manifest[outcome], outcome
    by_provider = {line["provider"]: line for line in periods}
    assert by_provider["finq"]["failed_rejected"] == by_provider["finq"]["unknown_lost"] == "1"
    assert by_provider["bud"]["skipped_expired"] == "1"


DAMAGES = {
    "deleted": lambda path: [p.unlink() for p in path.parent.glob("reporting.db*")],
    "garbage": lambda path: [p.write_bytes(b"garbage" * 2000) for p in [path]],
    "emptied": lambda path: [p.write_bytes(b"") for p in path.parent.glob("reporting.db*")],
    "rows-gone": lambda path: sqlite3.connect(path, isolation_level=None).execute(
        "DELETE FROM fact_refresh WHERE outcome = 'failed'"
    ),
    "table-gone": lambda path: sqlite3.connect(path, isolation_level=None).execute(
        "DROP TABLE daily_institution"
    ),
    "column-gone": lambda path: sqlite3.connect(path, isolation_level=None).execute(
        "ALTER TABLE dim_consent DROP COLUMN customer"
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_rebuilding_gives_the_same_rows(tmp_path, damage):
    night = play(tmp_path, reporting=REPORTING)
    before = rows_of(night.reporting)
    assert len(before["fact_refresh"]) == len(TABLE) - 1
    DAMAGES[damage](night.reporting)
    night.run("db", "rebuild-reporting", check=0)
    assert rows_of(night.reporting) == before
    assert rows_of(night.folder / "report" / "reporting.db") == before


def test_rebuilding_waits_for_the_daemon_to_be_stopped(tmp_path):
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        site = plain_site(
            tmp_path,
            {"finq": finqware(sandbox)},
            [{"id": "c", "provider": "finq", "institution": "b"}],
            reporting=REPORTING,
        )
        daemon = site.start("serve")
        wait_for(lambda: site.run("status").returncode == 0, what="the daemon")
        done = site.run("db", "rebuild-reporting", check=75)
        assert "stop the daemon first" in done.stderr
        assert end(daemon) == 0
        site.run("db", "rebuild-reporting", check=0)


def big_site(folder, sandbox, count=400):
    rows = [{"id": f"c-{i}", "provider": "finq", "institution": f"b{i % 7}"} for i in range(count)]
    return plain_site(
        folder,
        {"finq": finqware(sandbox, limits={"rate": ["200/s"]})},
        rows,
        {"nightly": schedule(deadline="2m")},
        reporting=REPORTING,
    )


def test_a_killed_night_is_whole_in_reporting(tmp_path):
    """Killed again and again, and reporting says in the end what the state says."""
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        site = big_site(tmp_path, sandbox)
        for threshold in (40, 150, 280):
            process = site.start("once", log="once.log")
            wait_for(
                lambda done=threshold: site.state.exists()
                and site.sql("SELECT count(*) FROM sqlite_schema WHERE name = 'v1_jobs'")[0][0]
                and site.one("SELECT count(*) FROM v1_jobs WHERE outcome IS NOT NULL") >= done,
                what=f"{threshold} closed jobs",
            )
            end(process, signal.SIGKILL)
        # A create that was under way at a kill may stay in doubt: then the answer is 1.
        manifest = site.once(check=(0, 1))[0]
        assert manifest["due"] == 400 and manifest["reconciled"]
    state = site.sql("SELECT job_uid, run_id, consent, outcome, started_ms FROM v1_jobs ORDER BY 1")
    assert state == site.sql(
        "SELECT job_uid, run_id, consent, outcome, started_ms FROM fact_refresh ORDER BY 1",
        database=site.reporting,
    )
    assert len(state) == 400
    before = rows_of(site.reporting)
    site.run("db", "rebuild-reporting", check=0)
    assert rows_of(site.reporting) == before


def test_a_reader_and_a_lost_file_do_not_stop_a_night(tmp_path):
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        site = big_site(tmp_path, sandbox, 300)
        site.once("--consent", "finq/c-0", check=0)
        reader = sqlite3.connect(f"file:{site.reporting}?mode=ro", uri=True, isolation_level=None)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM fact_refresh").fetchone() == (1,)
        manifest = site.once("--new", check=0)[0]
        assert reader.execute("SELECT count(*) FROM fact_refresh").fetchone() == (1,)
        reader.close()
        facts = "SELECT count(*) FROM fact_refresh WHERE run_id = ?"
        jobs = site.one("SELECT count(*) FROM v1_jobs WHERE run_id = ?", manifest["run_id"])
        assert site.one(facts, manifest["run_id"], database=site.reporting) == jobs >= 299
        before = rows_of(site.reporting)
        # Lost between two nights: made anew from what the state database holds.
        for path in tmp_path.glob("reporting.db*"):
            path.unlink()
        site.once("--consent", "finq/c-1", "--new")
        after = rows_of(site.reporting)
        assert set(before["fact_refresh"]) <= set(after["fact_refresh"])


def test_a_full_night_goes_on_without_its_reporting_database(tmp_path):
    """Somebody holds the write lock for the whole night: a warning, and the next run delivers."""
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        site = big_site(tmp_path, sandbox, 50)
        site.once("--consent", "finq/c-0", check=0)
        writer = sqlite3.connect(site.reporting, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        process = site.start("once", "--new", log="once.log")
        wait_for(
            lambda: site.one("SELECT count(*) FROM v1_runs WHERE finished_at IS NOT NULL") == 2,
            timeout=60,
            what="the end of the run",
        )
        writer.execute("ROLLBACK")
        writer.close()
        manifest = json.loads(process.stdout.read())
        assert process.wait(timeout=60) in (0, 1)
        process.stdout.close()
        assert manifest["due"] == 50
        assert site.one(
            "SELECT (SELECT count(*) FROM fact_refresh WHERE run_id = ?1) +"
            " (SELECT coalesce(sum(count), 0) FROM fact_skip WHERE run_id = ?1)",
            manifest["run_id"],
            database=site.reporting,
        ) == 50


def test_a_reload_moves_snapshot_exports_and_summary(tmp_path):
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        site = plain_site(
            tmp_path,
            {"finq": finqware(sandbox)},
            [{"id": "c", "provider": "finq", "institution": "b"}],
            {"often": schedule(cron="0 1 1 1 *", deadline="10s")},
            reporting=REPORTING,
        )
        site.rows[0]["schedule"] = "often"
        site.write()
        daemon = site.start("serve")
        wait_for(lambda: site.run("status").returncode == 0, what="the daemon")
        site.settings["reporting"]["snapshot"] = "elsewhere/r.db"
        site.settings["reporting"]["export"] = {"directory": "files", "format": "json"}
        site.settings["summary"] = {"log": "other.log", "every": "1s", "format": "json"}
        site.settings["schedules"]["often"]["cron"] = "*/2 * * * * *"
        site.write()
        site.run("reload", check=0)
        wait_for(
            lambda: (tmp_path / "elsewhere" / "r.db").exists() and list(tmp_path.glob("files/*.jsonl")),
            what="the snapshot and the export of a run",
        )
        wait_for(
            lambda: '"event":"summary"' in (tmp_path / "other.log").read_text(), what="a summary line"
        )
        assert end(daemon) == 0
        assert not (tmp_path / "report").exists() and not (tmp_path / "export").exists()


def test_json_lines_and_json_summary(tmp_path):
    night = play(
        tmp_path,
        reporting=merge(REPORTING, {"export": {"format": "json"}}),
        summary={"format": "json"},
    )
    path = night.folder / "export" / (night.manifest["run_id"].replace(":", "-") + ".jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {row["consent"]: (row["outcome"], row["reason"]) for row in rows} == {
        consent: verdict for consent, (_, verdict) in TABLE.items()
    }
    assert {row["error_code"] for row in rows if row["consent"] == "finq/refused"} == {"=1+1"}
    lines = [json.loads(line) for line in (night.folder / "summary.log").read_text().splitlines()]
    finished = [line for line in lines if line["event"] == "run_finished"]
    assert finished[0]["due"] == len(TABLE) and finished[0]["reconciled"] is True


def test_a_reporting_database_of_others_is_refused(tmp_path):
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        site = big_site(tmp_path, sandbox, 1)
        sqlite3.connect(site.reporting, isolation_level=None).execute("CREATE TABLE mine (x)")
        done = site.run("once", check=65)
        assert "is not a reporting database of refreshd" in done.stderr
        site.settings["reporting"]["database"] = "nowhere/reporting.db"
        site.write()
        done = site.run("once", check=73)
        assert "nowhere/reporting.db" in done.stderr


def test_sqlite_shell_reads_the_integers_as_integers(night):
    shell = subprocess.run(
        ["sqlite3", "-readonly", str(night.reporting), "SELECT typeof(due_ms), typeof(due_at) FROM fact_refresh"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(shell.stdout.split()) == {"integer|text"}
