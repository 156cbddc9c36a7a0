# SPDX-License-Identifier: MIT
"""Does `plan`, having seen 14 nights, predict the finish of a 15th drawn from the same world?

    SEED=7 PLAN_WORLDS=5 tests/bench/plan_accuracy.py

Each world has banks with their own populations, log-normal durations, shares of failures, and some
with limits that nobody is told of; tests/tools/night_player plays it on a virtual clock into a real
state database, with draws that `plan` never sees. The bound is judged on each world's finish as a
part of the run's length. `plan --no-history` has to miss it somewhere: else the worlds would be too
easy, and nothing would have been learned from the nights.
"""
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

BOUND = 0.10
NIGHTS = 14
START = "2026-03-01T12:00:00Z"
FIFTEENTH = "2026-03-15T12:00:00Z"
BUILD = Path(os.environ.get("REFRESHD", Path(__file__).resolve().parents[2] / "build" / "refreshd")).resolve().parent


def draw_world(folder, source):
    """Banks, consents and a configuration; answers what it drew, in a few words."""
    banks = []
    for i in range(source.randint(4, 10)):
        kind = source.choice(("slow", "slow", "limited", "failing"))
        banks.append(
            {
                "name": f"B{i:02d}",
                "consents": source.randint(600, 1500),
                "limit": source.uniform(3, 12) if kind == "limited" else 0,
                "median_ms": source.uniform(5_000, 90_000),
                "sigma": source.uniform(200, 500),
                "fail": source.randint(30, 80) if kind == "failing" else source.randint(0, 20),
                "partial": source.randint(0, 30),
                "reconnect": source.randint(0, 3),
                "retry_after": source.choice((5, 15, 30)),
                "jobs": source.randint(6, 25),
            }
        )
    with open(folder / "world", "w") as stream:
        for bank in banks:
            stream.write(
                f"{bank['name']} {bank['limit']:.3f} {bank['median_ms']:.0f} {bank['sigma']:.0f}"
                f" {bank['fail']} {bank['partial']} {bank['reconnect']} {bank['retry_after']}\n"
            )
    with open(folder / "consents.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "provider", "institution", "schedule"])
        for bank in banks:
            for i in range(bank["consents"]):
                writer.writerow([f"{bank['name']}-{i}", "p", bank["name"], "nightly"])
    config = {
        "version": 1,
        "state": {"database": "state.db"},
        "providers": {
            "p": {
                "api": "finqware",
                "base_url": "http://127.0.0.1:9",
                "auth": {"mode": "internal", "client_id": {"env": "X"}, "client_secret": {"env": "X"}},
                "limits": {"rate": ["50/s"]},
                "institutions": {
                    "default": {"rate": ["10/s"]},
                    **{bank["name"]: {"jobs_running": bank["jobs"]} for bank in banks},
                },
                "consent": {"quota": "60/24h", "cooldown": "1s"},
                "completion": {"poll": {"first": "5s", "floor": "2s", "max": "1m"}, "give_up_after": "4h"},
            }
        },
        "schedules": {
            "nightly": {
                "cron": "0 0 * * *",
                "spread": f"{source.randint(5, 20)}m",
                "deadline": "20h",
                "retry": {"attempts": 3, "backoff": {"first": "30s", "max": "5m"}},
            }
        },
        "consents_from": [{"csv": "consents.csv"}],
    }
    (folder / "refreshd.yaml").write_text(json.dumps(config))
    return f"{len(banks)} banks, {sum(bank['consents'] for bank in banks)} consents"


def player(folder, seed, start, nights):
    done = subprocess.run(
        [BUILD / "tests/tools/night_player", "refreshd.yaml", "world", str(seed), start, str(nights)],
        cwd=folder, env={**os.environ, "X": "x"}, capture_output=True, text=True,
    )
    if done.returncode != 0:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def plan(folder, *arguments):
    done = subprocess.run(
        [BUILD / "refreshd", "plan", "-c", "refreshd.yaml", "--from", FIFTEENTH, "--format", "json", *arguments],
        cwd=folder, env={**os.environ, "X": "x"}, capture_output=True, text=True,
    )
    if done.returncode not in (0, 1):
        sys.exit(f"plan ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)["runs"][0]


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def off_by(planned, run):
    """Predicted length of the run against the real one."""
    slot = instant(planned["slot_at"])
    return (instant(planned["finish_at"]) - instant(run["finished_at"])) / (instant(run["finished_at"]) - slot)


def one_world(seed):
    """Error with history and without; prints a line."""
    source = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="plan-") as name:
        folder = Path(name)
        what = draw_world(folder, source)
        begun = time.monotonic()
        nights = player(folder, seed, START, NIGHTS)
        if len(nights) != NIGHTS:
            sys.exit(f"world {seed}: {len(nights)} nights of {NIGHTS} were played")
        learned, blind = plan(folder), plan(folder, "--no-history")
        (fifteenth,) = player(folder, seed, FIFTEENTH, 1)
        errors = off_by(learned, fifteenth), off_by(blind, fifteenth)
        length = (instant(fifteenth["finished_at"]) - instant(learned["slot_at"])) / 60
        bound = learned["bound_by"] or {"institution": "-", "reason": "spread"}
        print(
            f"world {seed:<8} {what:<26} took {length:6.1f} min, planned {errors[0]:+7.2%},"
            f" without history {errors[1]:+7.1%}; bound by {bound['institution']} {bound['reason']}"
            f" ({time.monotonic() - begun:.1f} s)",
            flush=True,
        )
    return errors


def main():
    if not (BUILD / "tests/tools/night_player").exists():
        sys.exit(f"plan_accuracy: make -C {BUILD} tests/tools/night_player first")
    seed = int(os.environ.get("SEED", "1"))
    worlds = int(os.environ.get("PLAN_WORLDS", "5"))
    errors = [one_world(seed * 1000 + i) for i in range(worlds)]
    worst = max(abs(error) for error, _ in errors)
    blind = max(abs(error) for _, error in errors)
    print(f"plan after {NIGHTS} nights: worst error of the finish {worst:.2%}, must be < {BOUND:.0%};"
          f" without history {blind:.0%}, must be more")
    if worst >= BOUND or blind <= BOUND:
        sys.exit(f"plan_accuracy: failed; again: SEED={seed} PLAN_WORLDS={worlds} tests/bench/plan_accuracy.py")


if __name__ == "__main__":
    main()
