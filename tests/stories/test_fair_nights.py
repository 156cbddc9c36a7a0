# SPDX-License-Identifier: MIT
"""A bank that hangs holds its share; a person overtakes bulk work; a night that cannot fit says so
while there is time, and ends with its margin."""

import datetime

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    check_story,
    dictionaries,
    finqware,
    merge,
    plain_site,
    schedule,
    serving,
    status_of,
    wait_for,
)

OFTEN = {"quota": "none", "cooldown": "0s"}
SCENARIO = merge(
    QUICK_SCENARIO,
    {"bank_from_id": "prefix-before-dash", "finqware": {"cooldown_ms": 0, "quota": "1000/24h"}},
)


def rows(count, banks, **more):
    return [
        dict({"id": f"b{i % banks}-{i}", "provider": "p", "institution": f"b{i % banks}"}, **more)
        for i in range(count)
    ]


def soon(seconds=3):
    """A cron expression that fires once, in some seconds."""
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return f"{at.second} {at.minute} {at.hour} {at.day} {at.month} *"


def most_at_once(jobs):
    """The largest number of these jobs that ran at the same time."""
    moments = sorted([(job["started_ms"], 1) for job in jobs] + [(job["finished_ms"], -1) for job in jobs])
    running = most = 0
    for _, change in moments:
        running += change
        most = max(most, running)
    return most


def test_a_hung_bank_holds_no_more_than_its_share(tmp_path):
    scenario = merge(SCENARIO, {"banks": {"b0": {"hang": True}}})
    with Sandbox(tmp_path, scenario) as sandbox:
        entry = finqware(
            sandbox,
            consent=OFTEN,
            limits={"jobs_running": 8},
            completion={"give_up_after": "3s"},
        )
        settings = {"nightly": schedule(deadline="8s", retry={"attempts": 1})}
        site = plain_site(tmp_path, {"p": entry}, rows(120, banks=4), settings)
        manifest = site.once(check=1)[0]
        assert manifest["refreshed"] == 90 and manifest["reconciled"]
        hung = dictionaries(site, "SELECT * FROM v1_jobs WHERE consent LIKE 'p/b0-%'")
        assert {job["outcome"] for job in hung} == {"unknown"}
        assert most_at_once(hung) <= 2, "eight places for four banks"
        check_story(site, sandbox)


def test_a_person_overtakes_bulk_work_and_bulk_work_goes_on(tmp_path):
    with Sandbox(tmp_path, SCENARIO) as sandbox:
        entry = finqware(sandbox, consent=OFTEN, limits={"rate": ["40/s"]})
        bulk = rows(5000, banks=5)
        asked = [
            {"id": f"b{i % 5}-asked{i}", "provider": "p", "institution": f"b{i % 5}", "schedule": "rarely"}
            for i in range(20)
        ]
        settings = {
            "nightly": schedule(cron=soon(), deadline="2h"),
            "rarely": schedule(cron="0 0 1 1 *"),
        }
        site = plain_site(tmp_path, {"p": entry}, bulk + asked, settings)

        def started(where):
            return site.one(f"SELECT count(*) FROM v1_jobs WHERE {where}")

        with serving(site):
            wait_for(lambda: started("trigger = 'schedule'") > 40, what="bulk work")
            before = started("trigger = 'schedule'")
            for row in asked:
                site.run("trigger", f"p/{row['id']}", check=0)
            wait_for(lambda: started("trigger = 'manual' AND outcome = 'refreshed'") == 20, what="the 20")
            run = [line for line in status_of(site) if line["type"] == "run"][0]
            assert run["waiting"] > 3000, "bulk work is far from its end"
            after = started("trigger = 'schedule'")
            wait_for(lambda: started("trigger = 'schedule'") > after, what="bulk work going on")
        assert before < after
        waits = dictionaries(
            site, "SELECT started_ms - due_ms AS wait_ms FROM v1_jobs WHERE trigger = 'manual'"
        )
        assert max(wait["wait_ms"] for wait in waits) < 5000


def test_a_night_that_cannot_fit_says_so_at_once(tmp_path):
    with Sandbox(tmp_path, SCENARIO) as sandbox:
        entry = finqware(
            sandbox, consent=OFTEN, institutions={"b0": {"rate": ["2/s"]}}, limits={"rate": ["100/s"]}
        )
        consents = [
            dict(row, priority=9 if i % 4 else 1) for i, row in enumerate(rows(100, banks=2))
        ]
        settings = {"nightly": schedule(cron=soon(), deadline="10s")}
        site = plain_site(tmp_path, {"p": entry}, consents, settings)
        with serving(site):
            log = site.folder / "serve.log"
            wait_for(lambda: "run_will_not_fit" in log.read_text(), what="the warning")
            line = [text for text in log.read_text().splitlines() if "run_will_not_fit" in text][0]
            skips = dictionaries(site, "SELECT * FROM v1_skips")
            run = [line for line in status_of(site) if line["type"] == "run"][0]
            wait_for(
                lambda: site.one("SELECT count(*) FROM v1_runs WHERE finished_at IS NOT NULL") == 1,
                what="the end",
            )
        assert "institution=b0" in line and "limit=rate" in line
        # Of its 50 slots 20 fit, two a second; all 26 of low priority go first.
        assert 30 <= len(skips) <= 36 and {skip["reason"] for skip in skips} == {"deadline"}
        assert 30 <= run["skipped_early"] <= 36 and run["limit_institution"] == "b0"
        low = {f"p/{row['id']}" for row in consents if row["institution"] == "b0" and row["priority"] == 1}
        assert low <= {skip["consent"] for skip in skips}
        done = dictionaries(site, "SELECT * FROM v1_runs")[0]
        assert done["refreshed"] >= 60, "what could be sent was sent"
        assert done["refreshed"] + done["skipped"] == 100
        check_story(site, sandbox)


def test_a_night_ends_with_margin(tmp_path):
    """Spread over all of its window, the last slots come before its end, and none is late."""
    with Sandbox(tmp_path, SCENARIO) as sandbox:
        entry = finqware(sandbox, consent=OFTEN, limits={"rate": ["60/s"]})
        settings = {"nightly": schedule(cron=soon(), spread="10s", deadline="10s")}
        site = plain_site(tmp_path, {"p": entry}, rows(150, banks=3), settings)
        with serving(site):
            wait_for(
                lambda: site.state.exists()
                and site.one("SELECT count(*) FROM v1_runs WHERE finished_at IS NOT NULL") == 1,
                what="the end",
            )
        run = dictionaries(site, "SELECT * FROM v1_runs")[0]
        assert run["refreshed"] == 150 and run["late"] == 0
        last = site.one("SELECT max(due_ms) FROM v1_jobs") - run["slot_ms"]
        assert last <= 9900, "the margin is half a second"
        check_story(site, sandbox)
