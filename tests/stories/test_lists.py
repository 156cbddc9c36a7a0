# SPDX-License-Identifier: MIT
"""consents, jobs, runs and report: what people and programs read on the command line."""
import csv
import io
import json
import re

import pytest
from mixed_night import TABLE, institution, play
from nights import OUTCOMES, QUICK_SCENARIO, Sandbox, end, finqware, plain_site, schedule, wait_for


@pytest.fixture(scope="module", name="night")
def fixture_night(tmp_path_factory):
    return play(tmp_path_factory.mktemp("night"))


def listed(night, *arguments):
    return [json.loads(line) for line in night.run(*arguments, "--format", "json", check=0).stdout.splitlines()]


VIEWS = {
    "consents": ("v1_consents", "consent"),
    "jobs": ("v1_jobs", "job_no DESC"),
    "runs": ("v1_runs", "slot_ms DESC"),
}


@pytest.mark.parametrize("command", VIEWS)
def test_json_is_the_view(night, command):
    view, order = VIEWS[command]
    rows = listed(night, command)
    columns = [row[1] for row in night.sql(f"PRAGMA table_info({view})")]
    expected = [dict(zip(columns, row)) for row in night.sql(f"SELECT * FROM {view} ORDER BY {order}")]
    assert rows and [list(row) for row in rows] == [columns] * len(expected)
    for row, wanted in zip(rows, expected):
        for column in columns:
            if not column.startswith("next_allowed"):  # moves with the clock
                assert row[column] == wanted[column] and type(row[column]) is type(wanted[column]), column


def names(rows):
    return sorted(row["consent"] for row in rows)


def test_filters_of_consents(night):
    assert names(listed(night, "consents", "--provider", "bud")) == sorted(
        consent for consent in TABLE if consent.startswith("bud/")
    )
    assert names(listed(night, "consents", "--institution", "ING, Bank")) == ["finq/part"]
    assert names(listed(night, "consents", "--status", "held")) == ["finq/revoked", "finq/suspended"]
    assert names(listed(night, "consents", "--status", "expired")) == ["bud/old"]
    assert names(listed(night, "consents", "--customer", "u-timeout")) == ["bud/timeout"]
    assert names(listed(night, "consents", "--consent", "finq/part")) == ["finq/part"]
    assert len(listed(night, "consents", "--limit", "3")) == 3
    assert listed(night, "consents", "--provider", "bud", "--status", "held") == []


def test_filters_of_jobs(night):
    run = night.manifest["run_id"]
    failed = sorted(consent for consent, (_, verdict) in TABLE.items() if verdict[0] == "failed")
    assert names(listed(night, "jobs", "--outcome", "failed")) == failed
    assert len(listed(night, "jobs", "--run", run)) == len(TABLE) - 1
    assert listed(night, "jobs", "--run", "last") == listed(night, "jobs", "--run", run)
    assert names(listed(night, "jobs", "--consent", "finq/hangs")) == ["finq/hangs"]
    assert listed(night, "jobs", "--state", "running") == []
    assert len(listed(night, "jobs", "--state", "closed", "--limit", "2")) == 2
    assert len(listed(night, "jobs", "--since", "1h")) == len(TABLE) - 1
    assert len(listed(night, "jobs", "--since", "2020-01-01T00:00:00Z")) == len(TABLE) - 1
    assert listed(night, "jobs", "--since", "2099-01-01") == []


def test_filters_of_runs(night):
    assert [row["run_id"] for row in listed(night, "runs", "--schedule", "nightly")] == [
        night.manifest["run_id"]
    ]
    assert listed(night, "runs", "--schedule", "weekly") == []
    assert len(listed(night, "runs", "--since", "1d")) == 1
    assert listed(night, "runs", "--since", "now") == []


@pytest.mark.parametrize(
    "arguments,allowed",
    [
        (["consents", "--provider", "nobody"], "bud, finq"),
        (["consents", "--status", "sleeping"], "active, held, paused, expired, removed"),
        (["consents", "--consent", "no-slash"], "PROVIDER/ID"),
        (["jobs", "--outcome", "great"], "refreshed, partial, deduplicated"),
        (["jobs", "--state", "great"], "running"),
        (["jobs", "--since", "yesterday"], "2026-11-21T01:00:00Z"),
        (["runs", "--schedule", "hourly"], "nightly, weekly"),
        (["runs", "--limit", "0"], "1 to"),
        (["runs", "extra"], "extra"),
        (["jobs", "--provider", "finq"], "--help"),
        (["jobs", "--format", "csv"], "text, json"),
        (["report", "--format", "xml"], "text, json, csv"),
    ],
)
def test_unknown_values_say_what_is_allowed(night, arguments, allowed):
    done = night.run(*arguments, check=64)
    assert allowed in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["consents", "--consent", "finq/nobody"],
        ["jobs", "--consent", "finq/nobody"],
        ["jobs", "--run", "nightly@1999-01-01T00:00:00Z"],
        ["report", "--run", "nightly@1999-01-01T00:00:00Z"],
    ],
)
def test_what_does_not_exist_is_an_answer_of_no(night, arguments):
    done = night.run(*arguments, check=1)
    assert arguments[2] in done.stderr and done.stdout == ""


@pytest.mark.parametrize("command", ["consents", "jobs", "runs"])
def test_no_rows_print_nothing(night, command):
    more = {"consents": ["--institution", "none"], "jobs": ["--since", "2099-01-01"]}
    arguments = more.get(command, ["--since", "2099-01-01"])
    for form in ("text", "json"):
        assert night.run(command, *arguments, "--format", form, check=0).stdout == ""


@pytest.mark.parametrize("command", ["consents", "jobs", "runs", "report"])
def test_before_the_first_run_there_is_nothing_to_read(tmp_path, command):
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        site = plain_site(tmp_path, {"finq": finqware(sandbox)}, [{"id": "c", "provider": "finq"}])
    done = site.run(command, check=69)
    assert "refreshd once" in done.stderr


OPTIONS = {
    "consents": "provider institution status customer consent limit",
    "jobs": "run consent outcome state since limit",
    "runs": "schedule since limit",
    "report": "run",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_help_names_every_option(night, command):
    done = night.run(command, "--help", check=0)
    for option in OPTIONS[command].split() + ["format"]:
        assert f"--{option} " in done.stdout.partition("\n\n")[0], option
    assert done.stdout.startswith(f"usage: refreshd {command}") and done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_tables_are_aligned(night):
    lines = night.run("consents", check=0).stdout.splitlines()
    assert len(lines) == len(TABLE) + 1
    assert lines[0].split("  ")[0] == "CONSENT"
    status = lines[0].index("STATUS")
    words = {line.split()[0]: line[status:].split()[0] for line in lines[1:]}
    assert words["finq/revoked"] == "held"
    assert words["finq/suspended"] == "suspended"
    assert words["bud/old"] == "expired"
    jobs = night.run("jobs", check=0).stdout.splitlines()
    outcome = jobs[0].index("OUTCOME")
    assert {line.split()[0]: line[outcome:].split()[0] for line in jobs[1:]} == {
        consent: verdict[0] for consent, (_, verdict) in TABLE.items() if consent != "bud/old"
    }
    assert night.run("runs", check=0).stdout.splitlines()[1].startswith(night.manifest["run_id"] + "  once")


# ---- report ----


def test_report_for_people(night):
    done = night.run("report", check=0)
    text = done.stdout
    assert max(map(len, text.splitlines())) <= 100
    assert not any(line != line.rstrip() for line in text.splitlines())
    assert text.splitlines()[0] == f"Run {night.manifest['run_id']}"
    assert f"finished: all {len(TABLE)} slots accounted for" in text
    for outcome in OUTCOMES:
        assert re.search(rf"^  {outcome} +{night.manifest[outcome]} ", text, re.M), outcome
    assert re.search(r"^ +1  rejected +finq/refused$", text, re.M)
    assert "e.g. =1+1" in text
    assert re.search(r"^ +1  expired +bud/old$", text, re.M)
    assert re.search(r"^  finq/ING, Bank +1 +100\.0 % ", text, re.M)


def test_report_for_programs(night):
    report = json.loads(night.run("report", "--format", "json", check=0).stdout)
    for key, value in night.manifest.items():
        assert report["run"][key] == value, key
    assert report["all"]["slots"] == len(TABLE)
    expected = {}
    for consent, (_, (outcome, _)) in TABLE.items():
        row = expected.setdefault((consent.split("/")[0], institution(consent)), dict.fromkeys(OUTCOMES, 0))
        row[outcome] += 1
    found = {(row["provider"], row["institution"]): row for row in report["institutions"]}
    assert {key: {outcome: row[outcome] for outcome in OUTCOMES} for key, row in found.items()} == expected
    for row in report["institutions"] + [report["all"]]:
        good = row["refreshed"] + row["partial"] + row["deduplicated"]
        assert row["success_share"] == round(good / row["slots"], 4)
    durations = sorted(
        row[0] for row in night.sql("SELECT finished_ms - started_ms FROM v1_jobs WHERE run_id IS NOT NULL")
    )
    assert report["all"]["duration_p50_ms"] == durations[-(-len(durations) * 50 // 100) - 1]
    assert report["all"]["duration_p95_ms"] == durations[-(-len(durations) * 95 // 100) - 1]
    reasons = {entry["reason"]: entry for entry in report["reasons"]["failed"]}
    assert reasons["rejected"] == {
        "reason": "rejected", "count": 1, "consents": ["finq/refused"], "error": "=1+1"
    }
    assert sum(entry["count"] for entry in report["reasons"]["failed"]) == night.manifest["failed"]
    assert report["reasons"]["skipped"][0]["consents"] == ["bud/old"]
    # failures first
    bad = [row["failed"] + row["unknown"] for row in report["institutions"]]
    assert bad == sorted(bad, reverse=True)


def test_report_for_spreadsheets(night):
    done = night.run("report", "--format", "csv", "--run", night.manifest["run_id"], check=0)
    rows = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    assert {row["consent"]: (row["outcome"], row["reason"] or None) for row in rows} == {
        consent: verdict for consent, (_, verdict) in TABLE.items()
    }
    assert sum(int(row["count"]) for row in rows) == night.manifest["due"]
    assert {row["institution"] for row in rows} == {institution(consent) for consent in TABLE}
    assert {row["error_code"] for row in rows if row["consent"] == "finq/refused"} == {"'=1+1"}


def test_reading_beside_a_daemon_in_the_middle_of_a_run(tmp_path):
    with Sandbox(tmp_path, {**QUICK_SCENARIO, "consents": {"c-0": {"hang": True}}}) as sandbox:
        site = plain_site(
            tmp_path,
            {"finq": finqware(sandbox)},
            [{"id": f"c-{i}", "provider": "finq", "institution": "b"} for i in range(5)],
            {"nightly": schedule()},
        )
        process = site.start("once", log="once.log")
        wait_for(
            lambda: site.run("runs").returncode == 0
            and site.run("jobs", "--outcome", "refreshed").stdout.count("refreshed") == 4,
            what="four refreshed consents",
        )
        report = json.loads(site.run("report", "--format", "json", check=0).stdout)
        assert report["run"]["finished_at"] is None and report["run"]["reconciled"] is None
        assert report["all"]["open"] == 1 and report["all"]["refreshed"] == 4
        assert "in progress: 4 of 5 slots have an outcome" in site.run("report", check=0).stdout
        assert listed(site, "jobs", "--consent", "finq/c-0")[0]["outcome"] is None
        assert "open" in site.run("runs", check=0).stdout
        assert end(process) == 75 or process.returncode in (0, 1)
