# SPDX-License-Identifier: MIT
"""`refreshd diff NEWFILE`: what a new configuration would change, beside a daemon and without one."""

import copy
import json

import pytest

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    dictionaries,
    finqware,
    merge,
    plain_site,
    schedule,
    serving,
    wait_for,
    write_consents,
)

NEVER = "0 0 1 1 *"
SCENARIO = merge(QUICK_SCENARIO, {"finqware": {"cooldown_ms": 0, "quota": "1000/24h"}})


@pytest.fixture
def sandbox(tmp_path):
    with Sandbox(tmp_path, SCENARIO) as started:
        yield started


def site_of(folder, sandbox, count=20, **settings):
    rows = [
        {"id": f"c{i:02}", "provider": "p", "institution": f"bank{i % 3}", "expires": "2099-01-01"}
        for i in range(count)
    ]
    entry = finqware(sandbox, consent={"quota": "none", "cooldown": "0s"})
    schedules = {"nightly": schedule(**merge({"cron": NEVER}, settings))}
    return plain_site(folder, {"p": entry}, rows, schedules)


def new_file(site, patch=None, rows=None, name="new.yaml"):
    """A second configuration beside the first, with its own consents."""
    settings = merge(copy.deepcopy(site.settings), patch or {})
    path = site.folder / name
    if rows is not None:
        write_consents(site.folder / f"{name}.csv", rows)
        settings["consents_from"] = [{"csv": f"{name}.csv"}]
    path.write_text(json.dumps(settings))
    return str(path)


def diff(site, path, check=2):
    done = site.run("diff", "--format", "json", path, check=check)
    return json.loads(done.stdout)


def by_option(answer):
    return {item["option"]: item for item in answer["options"]}


def test_no_difference_offline_and_before_the_first_start(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox)
    done = site.run("diff", new_file(site), check=0)
    assert done.stdout == "no difference\nwould fire now: 0\n"
    with serving(site):
        pass
    assert site.run("diff", new_file(site), check=0).stdout == done.stdout
    assert diff(site, new_file(site), check=0)["offline"] is True


def test_what_differs_beside_a_running_daemon(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox)
    rows = copy.deepcopy(site.rows)
    rows[0]["institution"] = "bank9"
    rows[1]["schedule"] = "weekly"
    rows[2]["expires"] = "2098-01-01"
    rows[3]["expires"] = "2001-01-01"
    del rows[4]
    rows.append({"id": "fresh", "provider": "p", "institution": "bank1", "schedule": "nightly"})
    patch = {
        "schedules": {"nightly": {"cron": "30 2 * * *"}, "weekly": {"cron": "0 5 * * 0", "deadline": "1h"}},
        "providers": {"p": {"limits": {"rate": ["7/s"]}, "auth": {"client_id": {"env": "OTHER_ID"}}}},
        "state": {"retain": {"jobs": "30d"}},
        "http": {"listen": "127.0.0.1:1"},
    }
    with serving(site):
        # What runs is compared, whatever the file has become since.
        site.config.write_text(json.dumps(merge(copy.deepcopy(site.settings), {"summary": {"every": "2h"}})))
        answer = diff(site, new_file(site, patch, rows))
        text = site.run("diff", new_file(site, patch, rows), check=2).stdout
        assert text == site.run("diff", new_file(site, patch, rows), check=2).stdout
    options = by_option(answer)
    assert answer["offline"] is False and answer["differs"] is True
    assert options["schedules.nightly.cron"]["from"] == f'"{NEVER}"'
    assert options["schedules.nightly.cron"]["to"] == '"30 2 * * *"'
    assert options["schedules.weekly"]["change"] == "added"
    assert options["providers.p.limits.rate"]["to"] == "[7/s]"
    assert options["providers.p.auth.client_id"]["to"] == "{env: OTHER_ID}"
    assert options["http.listen"]["needs_restart"] is True
    assert options["state.retain.jobs"]["needs_restart"] is False
    assert "summary.every" not in options
    assert answer["schedules"] == {"added": ["weekly"], "removed": [], "changed": ["nightly"]}
    assert answer["providers"]["changed"] == ["p"]
    consents = answer["consents"]
    assert {kind: consents[kind]["count"] for kind in consents} == {
        "added": 1, "removed": 1, "moved": 2, "changed": 2, "expired": 1, "released": 0,
    }
    assert consents["added"]["first"][0]["consent"] == "p/fresh"
    assert consents["removed"]["first"][0]["consent"] == "p/c04"
    moved = {item["consent"]: item["detail"] for item in consents["moved"]["first"]}
    assert moved == {"p/c00": "institution bank0 -> bank9", "p/c01": "schedule nightly -> weekly"}
    assert consents["expired"]["first"][0]["consent"] == "p/c03"
    fires = {item["schedule"]: item for item in answer["firings"]}
    assert fires["nightly"]["from_at"][5:] == "01-01T00:00:00.000Z"
    assert fires["nightly"]["to_at"][11:] == "02:30:00.000Z"
    assert fires["weekly"]["from_at"] is None
    assert "http.listen" in answer["refusal"]
    assert answer["would_fire_now"] == 0
    assert "~ schedules.nightly.cron: " in text and text.endswith("would fire now: 0\n")


def test_a_bad_file_gives_all_its_errors(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox)
    path = tmp_path / "bad.yaml"
    path.write_text("version: 1\nstate: {database: state.db}\nnonsense: 1\nschedules: {n: {cron: '99 * * * *'}}\n")
    done = site.run("diff", str(path), check=78)
    assert done.stdout == ""
    assert "nonsense" in done.stderr and "cron" in done.stderr
    assert site.run("diff", check=64).stdout == ""


def test_editing_an_overdue_schedule_fires_nothing(tmp_path, sandbox):
    """Every schedule fires each second and its edit is looked at in between: still nothing of it
    fires by the edit itself, and an open run keeps its slots."""
    site = site_of(tmp_path, sandbox, cron="* * * * * *", deadline="30s", spread="0s")
    with serving(site):
        wait_for(lambda: dictionaries(site, "SELECT * FROM v1_runs WHERE due > 0"), what="a run")
        for patch in (
            {"schedules": {"nightly": {"cron": "*/2 * * * * *"}}},
            {"schedules": {"nightly": {"timezone": "Europe/Dublin"}}},
            {"schedules": {"nightly": {"cron": "@every 1s"}}},
            {"schedules": {"other": {"cron": "* * * * * *", "deadline": "30s"}}},
        ):
            answer = diff(site, new_file(site, patch))
            assert answer["would_fire_now"] == 0, (patch, answer)
            assert answer["would_fire"] == []


def test_the_shrink_guard_is_asked(tmp_path, sandbox):
    site = site_of(tmp_path, sandbox)
    with serving(site):
        keep = site.rows
        site.rows = keep[:10]
        site.write()
        answer = diff(site, str(site.config))
        assert "lose 10 of 20 consents" in answer["shrink"]
        assert answer["refusal"] == answer["shrink"]
        assert site.run("reload").returncode == 65
        site.rows = keep[:19]
        site.write()
        answer = diff(site, str(site.config))
        assert answer["shrink"] is None and answer["refusal"] is None
        assert answer["consents"]["removed"]["count"] == 1
        site.run("reload", check=0)


def test_held_consents_that_it_lets_go(tmp_path):
    scenario = merge(SCENARIO, {"consents": {f"c{i:02}": {"state": "revoked"} for i in range(3)}})
    with Sandbox(tmp_path, scenario) as sandbox:
        site = site_of(tmp_path, sandbox, count=4)
        site.once()
        held = [row[0] for row in site.sql("SELECT consent FROM v1_consents WHERE status = 'held' ORDER BY 1")]
        assert held == ["p/c00", "p/c01", "p/c02"]
        rows = copy.deepcopy(site.rows)
        for row in rows:
            row["authorized_at"] = "2026-01-02"
        answer = diff(site, new_file(site, rows=rows))
        assert [item["consent"] for item in answer["consents"]["released"]["first"]] == held
        assert answer["would_fire_now"] == 0
