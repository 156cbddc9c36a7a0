# SPDX-License-Identifier: MIT
"""chaos.py - an accelerated life of `serve`: a schedule that fires every few seconds while somebody kills,
stops, reloads with other consents, pauses, resumes, triggers and reads. In the end the provider's
ledger, the state database and the reporting database must tell one story.

Environment: CHAOS_SECONDS (60), PROVE_SEED (printed; repeats the choices, not the clock), REFRESHD.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
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
)

SCENARIO = {
    "job_duration_ms": {"min": 50, "max": 1200},
    "answer_delay_ms": {"min": 5, "max": 150},
    "poll_floor_ms": 100,
    "retry_after_s": 1,
    "shares": {"partial": 0.05, "job_failed": 0.05, "provider_failure": 0.05, "lost": 0.01},
    "faults": {"drop_after": 0.02, "drop_before": 0.01, "http_500": 0.03, "http_429": 0.003, "slow": 0.01},
    "slow_ms": 800,
    "finqware": {"cooldown_ms": 0, "quota": "2/10s", "second_create": "new_job"},
    "bud": {"quota": "2/10s"},
    "limits": {name: {"rate": "60/s", "requests_in_flight": 32} for name in ("finqware", "bud")},
}


class Chaos:
    def __init__(self, folder, consents, seed):
        self.random = random.Random(seed)
        self.folder = folder
        self.all_rows = [dict(row, schedule="often") for row in population(consents, banks=10, seed=seed)]
        self.sandbox = Sandbox(folder, SCENARIO, seed=seed)
        limits = {"rate": ["60/s"], "requests_in_flight": 32}
        more = {
            "limits": limits,
            "consent": {"quota": "2/10s", "cooldown": "0s"},
            "completion": {"poll": {"first": "200ms", "floor": "150ms", "max": "1s"}, "give_up_after": "6s"},
        }
        self.often = schedule(
            cron="@every 5s", deadline="4s", misfire={"policy": "run_once", "max_age": "1m"}
        )
        self.site = plain_site(
            folder,
            {"finq": finqware(self.sandbox, **more), "bud": bud(self.sandbox, **more)},
            self.all_rows,
            {"often": self.often},
        )
        self.counts = {}
        self.process = None

    def start(self):
        self.process = self.site.start("serve")
        wait_for(self.is_up, what="the daemon")

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"serve ended with {self.process.returncode}: see serve.log")
        done = self.site.run("status", "--format", "json")
        # 69: it has the lock and does not listen yet, beside the socket that a killed one left.
        return done.returncode == 0 and not json.loads(done.stdout.splitlines()[0]).get("offline", False)

    def kill(self):
        end(self.process, signal.SIGKILL)
        self.start()

    def stop(self):
        status = end(self.process)
        if status != 0:
            raise AssertionError(f"serve ended with {status} after SIGTERM")
        self.start()

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def command(self, *arguments):
        """Commands may be told `no` (1) or find that there is nothing (64); they never break."""
        done = self.site.run(*arguments, timeout=60)
        if done.returncode not in (0, 1, 64, 65, 69, 75):
            raise AssertionError(f"{arguments}: {done.returncode} {done.stderr}")

    def change_consents(self):
        """Some come, some go: within max_shrink."""
        keep = self.random.sample(self.all_rows, int(len(self.all_rows) * 0.95))
        self.site.rows = keep
        self.site.write()
        self.command("reload", "--accept-shrink")

    def pause(self):
        scope = self.random.choice([["finq"], ["bud"], []])
        self.command("pause", *scope, "--reason", "chaos")
        time.sleep(self.random.uniform(0, 1))
        self.command("resume", *scope)

    def trigger(self):
        row = self.random.choice(self.all_rows)
        self.command("trigger", f"{row['provider']}/{row['id']}")

    def read(self):
        self.command("status")
        self.command("jobs")
        self.command("report", "--run", "last")

    def act(self):
        actions = [self.kill, self.kill, self.stop, self.hang_up, self.change_consents]
        actions += [self.pause, self.trigger, self.trigger, self.read]
        action = self.random.choice(actions)
        self.counts[action.__name__] = self.counts.get(action.__name__, 0) + 1
        action()

    def is_quiet(self):
        self.is_up()
        return not night_check.open_work(self.site)

    def live(self, seconds):
        self.start()
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            time.sleep(self.random.uniform(0.05, 0.8))
            self.act()
        # Nothing fires any more: editing a schedule does not fire it, and what is open ends.
        self.site.rows = self.all_rows
        self.site.settings["schedules"]["often"]["cron"] = "0 0 29 2 *"
        self.site.write()
        self.command("resume")
        done = self.site.run("reload", "--accept-shrink")
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        wait_for(self.is_quiet, timeout=60, what="the end of what is open")
        status = end(self.process)
        if status != 0:
            raise AssertionError(f"serve ended with {status} after SIGTERM")
        return night_check.everything(
            self.site, self.sandbox, self.all_rows, excused=("token_stampede",), is_fixed=False
        )

    def close(self):
        if self.process is not None and self.process.poll() is None:
            end(self.process, signal.SIGKILL)
        self.sandbox.stop()


def prove(folder, consents, seed, seconds):
    """Answers the chaos and its complaints."""
    chaos = Chaos(Path(folder), consents, seed)
    try:
        complaints, _ = chaos.live(seconds)
    except (AssertionError, subprocess.SubprocessError) as error:
        complaints = [str(error)]
    finally:
        chaos.close()
    return chaos, complaints


def main():
    seconds = float(os.environ.get("CHAOS_SECONDS", "60"))
    seed = int(os.environ.get("PROVE_SEED") or random.SystemRandom().randrange(1 << 31))
    folder = tempfile.mkdtemp(prefix="refreshd-chaos-")
    print(f"chaos: {seconds:.0f} s, PROVE_SEED={seed}, in {folder}", flush=True)
    chaos, complaints = prove(folder, 120, seed, seconds)
    if chaos.site.state.exists():
        outcomes = chaos.site.sql("SELECT outcome, reason, count(*) FROM v1_jobs GROUP BY 1, 2")
        print(f"chaos: {chaos.counts}, {chaos.site.one('SELECT count(*) FROM v1_runs')} runs, {outcomes}")
    for complaint in complaints[:20]:
        print(f"  {complaint}")
    print(f"chaos: {'FAILED' if complaints else 'good'}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
