# SPDX-License-Identifier: MIT
"""`refreshd plan` after some nights: what it learned from them.

tests/tools/night_player plays the nights on a virtual clock into a real state database; plan never
sees the world behind them. tests/bench/plan_accuracy.py does the same at length, for any seed.
"""
import json
import os
import subprocess
from datetime import datetime
from pathlib import Path

import nights

NIGHT_PLAYER = Path(os.environ["REFRESHD"]).resolve().parent / "tests" / "tools" / "night_player"
NOWHERE = {"finqware": "http://127.0.0.1:9"}
START = "2026-03-01T12:00:00Z"
NIGHTS = 4
NEXT = "2026-03-05T12:00:00Z"


class World:
    """One bank. `limit` a minute (0: none), seconds for Retry-After, shares in permille."""

    def __init__(self, folder, consents=400, limit=0, median_ms=60000, fail=0, reconnect=0, **bank):
        self.folder = folder
        completion = {"poll": {"first": "5s", "floor": "2s", "max": "1m"}, "give_up_after": "4h"}
        entry = nights.finqware(NOWHERE, completion=completion, institutions={"B": bank})
        entry["consent"] = {"quota": "60/24h", "cooldown": "1s"}
        self.site = nights.plain_site(
            folder,
            {"finq": entry},
            [{"id": f"c-{i}", "provider": "finq", "institution": "B"} for i in range(consents)],
            {"nightly": {"cron": "0 0 * * *", "spread": "5m", "deadline": "20h", "retry": {"attempts": 3}}},
        )
        (folder / "world").write_text(f"B {limit} {median_ms} 300 {fail} 0 {reconnect} 5\n")

    def play(self, start, count):
        done = subprocess.run(
            [NIGHT_PLAYER, "refreshd.yaml", "world", "1", start, str(count)],
            cwd=self.folder, env=self.site.env, capture_output=True, text=True, timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def plan(self, *arguments):
        done = self.site.run("plan", "--from", NEXT, "--format", "json", *arguments, check=(0, 1))
        return json.loads(done.stdout)


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def error(planned, night):
    length = instant(night["finished_at"]) - instant(planned["slot_at"])
    return abs(instant(planned["finish_at"]) - instant(night["finished_at"])) / length


def test_durations_are_learned(tmp_path):
    world = World(tmp_path, jobs_running=10)
    assert len(world.play(START, NIGHTS)) == NIGHTS
    plan, blind = world.plan(), world.plan("--no-history")
    (night,) = world.play(NEXT, 1)
    (planned,) = plan["runs"]
    assert plan["history"]["jobs"] == NIGHTS * 400
    assert blind["history"] is None
    assert error(planned, night) < 0.10
    assert error(blind["runs"][0], night) > 0.25
    assert planned["bound_by"]["limit"] == "jobs_running 10"


def test_a_limit_that_nobody_told_is_found_in_the_refusals(tmp_path):
    world = World(tmp_path, limit=8, median_ms=5000, rate=["2/s"])
    world.play(START, NIGHTS)
    assert world.site.one("SELECT count(*) FROM v1_attempts WHERE class = 'pushback'") > 5
    plan, blind = world.plan(), world.plan("--no-history")
    (night,) = world.play(NEXT, 1)
    assert error(plan["runs"][0], night) < 0.10
    node = next(node for node in plan["nodes"] if node["institution"] == "B")
    assert node["peak_per_minute"] <= 12
    blind_node = next(node for node in blind["nodes"] if node["institution"] == "B")
    assert blind_node["refused"] == 0


def test_shares_of_failures_are_learned(tmp_path):
    world = World(tmp_path, consents=1000, fail=60, reconnect=5, jobs_running=40)
    world.play(START, NIGHTS)
    plan = world.plan()
    (planned,) = plan["runs"]
    (blind,) = world.plan("--no-history")["runs"]
    (night,) = world.play(NEXT, 1)
    held = world.site.one("SELECT count(*) FROM v1_skips WHERE run_id LIKE '%2026-03-06%' AND reason = 'held'")
    assert planned["not_asked"] == blind["not_asked"] == {"held": held}
    assert planned["due"] == 1000
    assert 0 < planned["reconnect_required"] < 12 and blind["reconnect_required"] == 0
    assert abs(planned["refreshed"] - night["refreshed"]) < 25
    assert planned["failed"] <= 5 and blind["failed"] == 0
    again = world.site.one("SELECT count(*) FROM v1_attempts WHERE attempt_uid NOT LIKE '%-1'") / (NIGHTS + 1)
    initiations = next(node["initiations"] for node in plan["nodes"] if node["institution"] == "B")
    assert abs(initiations - (1000 - held) - again) < 0.5 * again
