# SPDX-License-Identifier: MIT
"""kill9.py - nights in which the daemon is killed with SIGKILL at random moments and started again.

Each night has a population over both APIs, a provider that drops connections, answers slowly,
refuses and fails jobs, and limits on everything. Nights differ in the command (`once`, `serve`) and
in whether webhooks are there. At the end of each night night_check.py compares the provider's
ledger, the state database and the reporting database.

Environment: PROVE_KILLS (200), PROVE_SEED (printed; a number repeats the choices of a run),
PROVE_CONSENTS (per night, 700), PROVE_KEEP (a folder to keep everything in), REFRESHD.
"""

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))

import night_check  # noqa: E402
from nights import (  # noqa: E402
    Sandbox,
    bud,
    end,
    finqware,
    plain_site,
    population,
    schedule,
    wait_for,
    write_consents,
)

KILLS_PER_NIGHT = 25
RATE = 40
IN_FLIGHT = 24
JOBS_RUNNING = 80

SCENARIO = {
    "job_duration_ms": {"min": 100, "max": 1500},
    "answer_delay_ms": {"min": 50, "max": 600},
    "slow_ms": 1000,
    "retry_after_s": 1,
    "poll_floor_ms": 100,
    "shares": {
        "partial": 0.03,
        "job_failed": 0.03,
        "revoked": 0.02,
        "suspended": 0.01,
        "bank_limit": 0.01,
        "provider_failure": 0.02,
        "lost": 0.005,
    },
    "faults": {
        "drop_after": 0.02,
        "drop_before": 0.01,
        "reset_after": 0.01,
        "http_500": 0.02,
        "http_503": 0.01,
        "http_429": 0.002,
        "slow": 0.01,
    },
    "limits": {
        name: {
            "rate": [f"{RATE}/s", f"{RATE * 50}/min"],
            "requests_in_flight": IN_FLIGHT,
            "jobs_running": JOBS_RUNNING,
        }
        for name in ("finqware", "bud")
    },
    "banks": {"default": {"rate": "10/s", "jobs_running": 20}},
    "webhook": {"retries": 20, "retry_ms": 500},
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Night:
    """One night: its site, its provider, and how often it was killed.

    A process that was killed takes its token with it, and the next one must ask again at once: that
    rule alone (token_stampede) is excused."""

    def __init__(self, folder, mode, has_webhooks, consents, seed):
        self.mode = mode
        self.random = random.Random(seed)
        self.rows = population(consents, banks=20, seed=seed)
        self.kills = 0
        self.unanswered_kills = 0
        self.starts = 0
        scenario = dict(SCENARIO, banks_csv=str(folder / "consents.csv"))
        write_consents(folder / "consents.csv", self.rows)
        limits = {
            "rate": [f"{RATE}/s", f"{RATE * 50}/min"],
            "requests_in_flight": IN_FLIGHT,
            "jobs_running": JOBS_RUNNING,
        }
        banks = {"default": {"rate": "10/s", "jobs_running": 20}}
        poll = {"first": "300ms", "floor": "150ms", "max": "1s"}
        more = {}
        completion = {"poll": poll, "give_up_after": "20s"}
        if has_webhooks:
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            more["http"] = {"webhooks": {"listen": f"127.0.0.1:{port}", "public_url": url}}
            completion["webhook"] = True
            scenario["bud"] = {"webhook_url_v1": f"{url}/webhooks/bud"}
        self.night = schedule(
            cron=self.cron(),
            deadline="10m",
            misfire={"policy": "run_once", "max_age": "1h"},
            retry={"attempts": 3, "backoff": {"first": "100ms", "max": "1s"}},
        )
        self.sandbox = Sandbox(folder, scenario, seed=seed)
        self.site = plain_site(
            folder,
            {
                "finq": finqware(self.sandbox, limits=limits, institutions=banks, completion=completion),
                "bud": bud(self.sandbox, limits=limits, institutions=banks, completion=completion),
            },
            self.rows,
            schedules={"nightly": self.night},
            **more,
        )

    def cron(self):
        """For `serve`: once, three seconds from now (and then not before tomorrow)."""
        if self.mode == "once":
            return "0 1 * * *"
        at = datetime.now(timezone.utc) + timedelta(seconds=3)
        return f"{at.second} {at.minute} {at.hour} * * *"

    def start(self):
        self.starts += 1
        return self.site.start(self.mode, log="daemon.log")

    def is_over(self):
        try:
            return self.site.sql("SELECT 1 FROM v1_runs WHERE finished_at IS NOT NULL AND NOT is_missed") != []
        except sqlite3.OperationalError:  # killed before the database was made
            return False

    def unanswered(self, since_ms):
        """Attempts of the process that has just died of which nobody knows what became."""
        try:
            return self.site.one(
                "SELECT count(*) FROM v1_attempts WHERE answered_at IS NULL AND sent_ms >= ?", since_ms
            )
        except sqlite3.OperationalError:  # the database is only being made
            return 0

    def wait_for_moment(self, process, started_ms):
        """Wait for the moment of the next kill: one time in three anywhere after the start (loading
        and recovering included), else a little after an attempt went out unanswered."""
        if self.random.random() < 1 / 3:
            seconds = self.random.uniform(0.02, 1.5)
        else:
            give_up = time.monotonic() + 5
            while process.poll() is None and time.monotonic() < give_up:
                if self.unanswered(started_ms):
                    break
                time.sleep(0.02)
            seconds = self.random.uniform(0, 0.4)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            pass  # still running: that is what is wanted

    def kill_once(self):
        """Start, wait for the moment, kill. False: it had ended by itself."""
        started_ms = time.time() * 1000
        process = self.start()
        self.wait_for_moment(process, started_ms)
        process.send_signal(signal.SIGKILL)
        status = process.wait()
        process.stdout.close()
        if status == -signal.SIGKILL:
            self.kills += 1
            self.unanswered_kills += self.unanswered(started_ms) > 0
            return True
        if status not in (0, 1):
            raise AssertionError(f"{self.mode} ended with {status}: see daemon.log")
        return False

    def finish(self):
        """Let it come to its end; answers the manifests that `once` printed."""
        if self.mode == "once":
            done = self.site.run("once", "--format", "json", timeout=300)
            if done.returncode not in (0, 1):
                raise AssertionError(f"once ended with {done.returncode}\n{done.stderr}")
            return [json.loads(line) for line in done.stdout.splitlines()]
        process = self.start()
        wait_for(self.is_over, timeout=300, what="the end of the run")
        status = end(process)
        if status != 0:
            raise AssertionError(f"serve ended with {status} after SIGTERM")
        return []

    def live(self, kills):
        while self.kills < kills and not self.is_over() and self.kill_once():
            pass
        printed = [] if self.is_over() else self.finish()
        return night_check.everything(
            self.site, self.sandbox, self.rows, printed, excused=("token_stampede",)
        )


def prove(folder, mode, has_webhooks, consents, seed, kills):
    """One night; answers it, the complaints and the jobs in doubt. The sandbox is stopped."""
    folder = Path(folder)
    night = Night(folder, mode, has_webhooks, consents, seed)
    try:
        complaints, in_doubt = night.live(kills)
    finally:
        night.sandbox.stop()
    return night, complaints, in_doubt


def main():
    wanted = int(os.environ.get("PROVE_KILLS", "200"))
    seed = int(os.environ.get("PROVE_SEED") or random.SystemRandom().randrange(1 << 31))
    consents = int(os.environ.get("PROVE_CONSENTS", "700"))
    keep = os.environ.get("PROVE_KEEP")
    print(f"kill9: {wanted} kills, PROVE_SEED={seed} PROVE_CONSENTS={consents}", flush=True)
    kills = unanswered = number = 0
    failed = False
    variants = [("once", False), ("serve", True), ("once", True), ("serve", False)]
    started = time.monotonic()
    while kills < wanted:
        mode, has_webhooks = variants[number % len(variants)]
        folder = Path(keep or tempfile.mkdtemp(prefix="refreshd-kill9-")) / f"night-{number}"
        folder.mkdir(parents=True)
        night, complaints, in_doubt = prove(
            folder, mode, has_webhooks, consents, seed + number, min(KILLS_PER_NIGHT, wanted - kills)
        )
        kills += night.kills
        unanswered += night.unanswered_kills
        number += 1
        outcomes = dict(
            night.site.sql("SELECT coalesce(outcome, 'open'), count(*) FROM v1_jobs GROUP BY 1")
        )
        print(
            f"night {number} ({mode}{', webhooks' if has_webhooks else ''}): {night.kills} kills,"
            f" {night.unanswered_kills} with an attempt unanswered, {in_doubt} jobs in doubt, {outcomes}:"
            f" {'FAILED, see ' + str(folder) if complaints else 'good'}",
            flush=True,
        )
        for complaint in complaints[:20]:
            print(f"  {complaint}", flush=True)
        failed = failed or bool(complaints)
        if night.kills == 0:
            print("kill9: the night was over before the first kill; more consents are needed")
            return 1
    share = 100 * unanswered / kills
    print(
        f"kill9: {kills} kills in {number} nights and {time.monotonic() - started:.0f} s,"
        f" {unanswered} ({share:.0f} %) with an attempt unanswered: {'FAILED' if failed else 'good'}"
    )
    if share < 50:
        print("kill9: fewer than half of the kills met an unanswered attempt; the proof asks for half")
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
