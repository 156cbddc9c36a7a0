# SPDX-License-Identifier: MIT
"""`refreshd plan`: a night before it happens."""
import json
import time

import pytest

import nights

NOWHERE = {"finqware": "http://127.0.0.1:9", "bud": "http://127.0.0.1:9"}
FROM = "2026-03-01T12:00:00Z"


def a_site(folder, count=600, banks=3, schedule=None, **provider):
    """`count` consents over `banks` banks, at midnight UTC, deadline an hour later."""
    completion = {"poll": {"first": "10s", "floor": "5s", "max": "1m"}, "give_up_after": "1h"}
    entry = nights.finqware(NOWHERE, completion=completion, **provider)
    rows = [{"id": f"c-{i}", "provider": "finq", "institution": f"B{i % banks}"} for i in range(count)]
    night = {"cron": "0 0 * * *", "spread": "30m", "deadline": "1h"}
    return nights.plain_site(folder, {"finq": entry}, rows, {"nightly": {**night, **(schedule or {})}})


def plan_of(site, *arguments, status=0):
    done = site.run("plan", "--from", FROM, "--format", "json", *arguments, check=status)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def test_a_night_that_fits_needs_no_database(tmp_path):
    site = a_site(tmp_path)
    plan = plan_of(site)
    assert plan["fits"] is True
    assert plan["consents"] == 600
    assert plan["history"] is None
    assert not site.state.exists()
    (run,) = plan["runs"]
    assert run["run_id"] == "nightly@2026-03-02T00:00:00Z"
    assert run["due"] == run["refreshed"] == 600
    assert run["will_not_fit"] == 0 and run["bound_by"] is None
    # The last is due at 00:30; nothing takes longer than 35 s, and its polls.
    assert "2026-03-02T00:29:00" < run["finish_at"] < "2026-03-02T00:33:00"
    assert 27 * 60 < run["slack_s"] < 31 * 60
    whole = next(node for node in plan["nodes"] if node["institution"] is None)
    assert whole["initiations"] == 600 and whole["calls"] >= 600
    assert sum(bucket["initiations"] for bucket in plan["chart"]) == 600


def test_the_same_question_has_the_same_answer_byte_for_byte(tmp_path):
    site = a_site(tmp_path, limits={"rate": ["1/s"]})
    answers = {site.run("plan", "--from", FROM, "--format", form).stdout for form in ("json",) * 3}
    assert len(answers) == 1
    text = site.run("plan", "--from", FROM).stdout
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "bound by" in text and "####" in text


def test_a_rate_that_cannot_meet_the_deadline_is_named(tmp_path):
    site = a_site(tmp_path, institutions={"B1": {"rate": ["2/min"]}})
    plan = plan_of(site, status=1)
    (run,) = plan["runs"]
    assert plan["fits"] is False and run["fits"] is False
    assert run["bound_by"]["reason"] == "rate"
    assert run["bound_by"]["institution"] == "B1"
    assert run["bound_by"]["limit"] == "2/min"
    # 200 of them, an hour at 2 a minute.
    assert 75 <= run["will_not_fit"] == run["bound_by"]["short"] <= 85
    assert run["will_not_fit_at"] == [
        {"provider": "finq", "institution": "B1", "reason": "rate", "count": run["will_not_fit"]}
    ]
    node = next(node for node in plan["nodes"] if node["institution"] == "B1")
    assert node["peak_per_minute"] == 2 and node["used_percent"] >= 95
    text = site.run("plan", "--from", FROM, check=1).stdout
    assert f"bound by    institution finq/B1 rate 2/min: {run['will_not_fit']} consents short" in text
    assert "A deadline cannot be met." in text


def test_the_provider_is_blamed_for_what_all_its_banks_wait_for(tmp_path):
    (run,) = plan_of(a_site(tmp_path, limits={"rate": ["6/min"]}), status=1)["runs"]
    assert run["bound_by"]["institution"] is None
    assert (run["bound_by"]["provider"], run["bound_by"]["limit"]) == ("finq", "6/min")
    assert run["bound_by"]["short"] == run["will_not_fit"] > 300
    assert len(run["will_not_fit_at"]) == 3


def test_running_jobs_bind_too(tmp_path):
    (run,) = plan_of(a_site(tmp_path, limits={"jobs_running": 2}), status=1)["runs"]
    assert run["bound_by"]["reason"] == "concurrency"
    assert run["bound_by"]["limit"] == "jobs_running 2"


def test_waiting_without_loss_is_told(tmp_path):
    # 30 minutes of slots into 20 minutes more.
    (run,) = plan_of(a_site(tmp_path, limits={"rate": ["30/min"]}))["runs"]
    assert run["will_not_fit"] == 0 and run["fits"] is True
    assert run["bound_by"]["limit"] == "30/min" and run["bound_by"]["short"] == 0
    assert run["bound_by"]["waited_s"] > 600


def test_a_blackout_over_the_whole_night(tmp_path):
    site = a_site(tmp_path, institutions={"B2": {"blackout": ["23:00-03:00"]}})
    (run,) = plan_of(site, status=1)["runs"]
    assert run["will_not_fit"] == 200
    assert run["will_not_fit_by"] == {"blackout": 200}
    assert run["bound_by"]["institution"] == "B2" and run["bound_by"]["reason"] == "blackout"


def test_nothing_fires(tmp_path):
    site = a_site(tmp_path)
    assert plan_of(site, "--for", "1h")["runs"] == []
    assert "nothing fires in this time" in site.run("plan", "--from", FROM, "--for", "1h", check=0).stdout
    site = a_site(tmp_path, count=0)
    (run,) = plan_of(site)["runs"]
    assert run["due"] == 0 and run["fits"] is True


def test_several_days_and_one_schedule(tmp_path):
    site = a_site(tmp_path)
    site.settings["schedules"]["weekly"] = {"cron": "0 12 * * 3", "deadline": "1h"}
    for row in site.rows[:10]:
        row["schedule"] = "nightly weekly"
    site.write()
    plan = plan_of(site, "--for", "7d")
    assert len(plan["runs"]) == 8
    assert [run["due"] for run in plan["runs"] if run["schedule"] == "weekly"] == [10]
    assert len(plan_of(site, "--for", "7d", "--schedule", "weekly")["runs"]) == 1


@pytest.mark.parametrize("arguments, word", [
    (("--for", "0s"), "1m to 31d"),
    (("--for", "soon"), "1m to 31d"),
    (("--from", "yesterday"), "an instant"),
    (("--schedule", "hourly"), "no such schedule"),
    (("more",), "unexpected argument"),
])
def test_wrong_questions(tmp_path, arguments, word):
    done = a_site(tmp_path, count=1).run("plan", *arguments, check=64)
    assert word in done.stderr and done.stdout == ""


def test_what_the_database_knows_counts(tmp_path):
    scenario = {**nights.QUICK_SCENARIO, "consents": {"c-0": {"state": "revoked"}, "c-1": {"state": "revoked"}}}
    with nights.Sandbox(tmp_path, scenario) as sandbox:
        rows = [{"id": f"c-{i}", "provider": "finq", "institution": "B"} for i in range(20)]
        site = nights.plain_site(tmp_path, {"finq": nights.finqware(sandbox)}, rows)
        site.settings["schedules"]["nightly"]["cron"] = "0 0 1 1 *"
        site.settings["schedules"]["again"] = {"cron": "* * * * *", "deadline": "30s"}
        site.rows = [dict(row, schedule="nightly again") for row in rows]
        site.write()
        site.once("--schedule", "nightly")
        held = site.one("SELECT count(*) FROM v1_consents WHERE status = 'held'")
        assert held == 2
        before = site.sql("SELECT * FROM v1_jobs ORDER BY 1"), site.one("PRAGMA data_version")
        done = site.run("plan", "--for", "2m", "--format", "json", check=0)
        plan = json.loads(done.stdout)
        assert plan["history"]["jobs"] == 20
        assert len(plan["runs"]) == 2
        for run in plan["runs"]:
            # The cooldown of 6 h, or held: nobody is asked again, and that is nobody's lack of time.
            assert run["not_asked"].get("held", 0) == held
            assert run["not_asked"].get("cooldown", 0) == 20 - held
            assert run["fits"] is True
        assert before == (site.sql("SELECT * FROM v1_jobs ORDER BY 1"), site.one("PRAGMA data_version"))


def test_beside_a_daemon_it_tells_when_the_open_run_will_end(tmp_path):
    scenario = {"poll_floor_ms": 40, "job_duration_ms": {"min": 60000, "max": 90000}}
    with nights.Sandbox(tmp_path, scenario) as sandbox:
        rows = [{"id": f"c-{i}", "provider": "finq", "institution": "B"} for i in range(40)]
        entry = nights.finqware(sandbox, completion={"give_up_after": "5m"})
        site = nights.plain_site(tmp_path, {"finq": entry}, rows)
        soon = time.gmtime(time.time() + 8)
        site.settings["schedules"]["nightly"]["cron"] = time.strftime("%S %M %H * * *", soon)
        site.settings["schedules"]["nightly"]["deadline"] = "30m"
        site.write()
        with nights.serving(site) as process:
            nights.wait_for(
                lambda: site.state.exists() and site.one("SELECT count(*) FROM v1_jobs") == 40,
                timeout=90, what="the first run",
            )
            started = time.time()
            done = site.run("plan", "--for", "1m", "--format", "json", check=(0, 1))
            assert done.stderr == "" and time.time() - started < 30
            assert process.poll() is None and nights.is_serving(site)
            first = json.loads(done.stdout)["runs"][0]
            assert first["in_progress"] is True and first["due"] == 40
            assert first["unknown"] == 0 and first["finish_at"] is not None
