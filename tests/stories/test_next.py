# SPDX-License-Identifier: MIT
"""`refreshd next`: what it prints, and what it says about wrong questions."""
import datetime as dt
import json
import os
import subprocess

import pytest

REFRESHD = os.environ["REFRESHD"]


def run(*arguments):
    return subprocess.run([REFRESHD, "next", *arguments], capture_output=True, text=True,
                          timeout=30, check=False)


def firings(*arguments):
    done = run(*arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_the_contract_example():
    rows = firings("--cron", "0 1 * * *", "--timezone", "Europe/London",
                   "--from", "2026-03-28T12:00:00Z", "-n", "2")
    assert rows == [
        {"schedule": None, "at": "2026-03-29T01:00:00Z", "local": "2026-03-29T02:00:00+01:00"},
        {"schedule": None, "at": "2026-03-30T00:00:00Z", "local": "2026-03-30T01:00:00+01:00"}]


def test_text_is_one_line_a_firing():
    done = run("--cron", "30 4 * * *", "--from", "2026-05-01", "-n", "2")
    assert done.returncode == 0
    assert done.stdout.split() == ["2026-05-01T04:30:00Z", "2026-05-01T04:30:00+00:00",
                                   "2026-05-02T04:30:00Z", "2026-05-02T04:30:00+00:00"]
    assert len(done.stdout.splitlines()) == 2


def test_defaults_are_ten_firings_from_now_in_utc():
    before = dt.datetime.now(dt.timezone.utc)
    rows = firings("--cron", "* * * * * *")
    after = dt.datetime.now(dt.timezone.utc)
    assert len(rows) == 10
    first = dt.datetime.fromisoformat(rows[0]["at"].replace("Z", "+00:00"))
    second = dt.timedelta(seconds=1)
    assert before < first <= after + second
    assert rows[0]["local"] == rows[0]["at"].replace("Z", "+00:00")


def test_strictly_after_and_offsets_with_seconds():
    assert firings("--cron", "@hourly", "--from", "2026-05-01T01:00:00Z", "-n", "1")[0]["at"] == \
        "2026-05-01T02:00:00Z"
    # Local mean time, before there were zones.
    rows = firings("--cron", "0 0 * * *", "--timezone", "Europe/London", "--from", "1840-01-01",
                   "-n", "1")
    assert rows == [{"schedule": None, "at": "1840-01-01T00:01:15Z",
                     "local": "1840-01-01T00:00:00-00:01:15"}]


def test_policies():
    spring = ("--cron", "30 1 * * *", "--timezone", "Europe/London",
              "--from", "2026-03-28T12:00:00Z", "-n", "1")
    assert firings(*spring)[0]["at"] == "2026-03-29T01:00:00Z"
    assert firings(*spring, "--dst-gap", "run_after")[0]["at"] == "2026-03-29T01:00:00Z"
    assert firings(*spring, "--dst-gap", "skip")[0]["at"] == "2026-03-30T00:30:00Z"
    autumn = ("--cron", "30 1 * * *", "--timezone", "Europe/London",
              "--from", "2026-10-25T00:30:00Z", "-n", "1")
    assert firings(*autumn, "--dst-overlap", "first")[0]["at"] == "2026-10-26T01:30:00Z"
    assert firings(*autumn, "--dst-overlap", "both")[0]["at"] == "2026-10-25T01:30:00Z"


@pytest.mark.parametrize("arguments, told", [
    (("--cron", "0 25 * * *"), "refreshd next: --cron: column 3: hour: 25 is out of range"),
    (("--cron", "0 0 30 2 *"), "can never fire"),
    (("--cron", "30 1 25-31 3 */7", "--timezone", "Europe/London", "--dst-gap", "skip"),
     "never fires in Europe/London"),
    (("--cron", "@daily", "--timezone", "Europe/Londn"), "unknown time zone \"Europe/Londn\""),
    (("--cron", "@daily", "--timezone", "../../etc/passwd"), "unknown time zone"),
    (("--cron", "@daily", "--timezone", "localtime"), "unknown time zone"),
    (("--cron", "@daily", "--timezone", ""), "unknown time zone"),
])
def test_wrong_expressions_and_zones_are_configuration_errors(arguments, told):
    for form in ("text", "json"):
        done = run(*arguments, "--format", form, "--from", "2026-01-01")
        assert done.returncode == 78
        assert done.stdout == ""
        assert done.stderr.startswith("refreshd next: ") and told in done.stderr


@pytest.mark.parametrize("arguments", [
    ("--cron", "@daily", "-n", "0"), ("--cron", "@daily", "-n", "ten"),
    ("--cron", "@daily", "-n", "1000001"), ("--cron", "@daily", "--from", "tomorrow"),
    ("--cron", "@daily", "--from", "2026-02-30"), ("--cron", "@daily", "--dst-gap", "first"),
    ("--cron", "@daily", "--dst-overlap", "skip"), ("--cron", "@daily", "--format", "csv"),
    ("--cron", "@daily", "--schedule", "nightly"), ("--cron", "@daily", "more"),
    ("--timezone", "Europe/London"), ("--dst-gap", "skip"), ("--cron",), ("--nonsense",),
])
def test_wrong_usage(arguments):
    done = run(*arguments)
    assert done.returncode == 64
    assert done.stdout == ""
    assert done.stderr != ""


def test_help():
    done = run("--help")
    assert done.returncode == 0
    assert "--timezone" in done.stdout


# --- With a configuration ---------------------------------------------------------------------

CONFIGURATION = """
version: 1
state: {database: state.db}
schedules:
  weekly: {cron: "30 1 * * SUN", timezone: Europe/London, dst: {gap: skip, overlap: both}}
  nightly: {cron: "0 1 * * *", timezone: Europe/London}
  plain: {cron: "@every 12h"}
"""


@pytest.fixture
def configuration(tmp_path):
    path = tmp_path / "refreshd.yaml"
    path.write_text(CONFIGURATION)
    return str(path)


def test_one_schedule_with_its_zone_and_policy(configuration):
    rows = firings("-c", configuration, "--schedule", "weekly", "--from", "2026-03-28",
                   "-n", "2")
    assert rows == [
        {"schedule": "weekly", "at": "2026-04-05T00:30:00Z", "local": "2026-04-05T01:30:00+01:00"},
        {"schedule": "weekly", "at": "2026-04-12T00:30:00Z", "local": "2026-04-12T01:30:00+01:00"}]
    rows = firings("-c", configuration, "--schedule", "weekly", "--from", "2026-10-24", "-n", "2")
    assert [row["at"] for row in rows] == ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]


def test_all_schedules_in_the_order_of_time(configuration):
    rows = firings("-c", configuration, "--from", "2026-04-04T12:00:00Z", "-n", "5")
    assert [(row["schedule"], row["at"]) for row in rows] == [
        ("nightly", "2026-04-05T00:00:00Z"), ("plain", "2026-04-05T00:00:00Z"),
        ("weekly", "2026-04-05T00:30:00Z"), ("plain", "2026-04-05T12:00:00Z"),
        ("nightly", "2026-04-06T00:00:00Z")]
    done = run("-c", configuration, "--from", "2026-04-04T12:00:00Z", "-n", "1")
    assert done.stdout.split() == ["2026-04-05T00:00:00Z", "2026-04-05T01:00:00+01:00", "nightly"]


def test_unknown_schedule_and_broken_configuration(configuration, tmp_path):
    done = run("-c", configuration, "--schedule", "nightli")
    assert done.returncode == 64
    assert "nightli" in done.stderr and done.stdout == ""
    broken = tmp_path / "broken.yaml"
    broken.write_text(CONFIGURATION.replace("0 1 *", "0 25 *"))
    done = run("-c", str(broken))
    assert done.returncode == 78
    assert "broken.yaml:6:" in done.stderr and "hour" in done.stderr and done.stdout == ""
    # An expression needs no configuration, not even a good one.
    assert run("-c", str(broken), "--cron", "@daily").returncode == 0
