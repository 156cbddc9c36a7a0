# SPDX-License-Identifier: MIT
"""Benchmarks: figures and ratios measured side by side in one run, never judged by a clock.

CPU is read from outside (all threads of the process, user and system, when it has ended). Wall
times swing with the neighbours of a virtual machine; ratios of CPU taken alternately do not.

    make bench                              everything
    make bench BENCH_ARGS="refresh_cpu"     one part
    BENCH_CONSENTS=100000 make bench        the size of the refresh benchmark
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import nights  # noqa: E402

CONSENTS = int(os.environ.get("BENCH_CONSENTS", "100000"))
POPULATION = int(os.environ.get("BENCH_POPULATION", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
WRK_REQUESTS = 4096  # different ones, in turn


def scratch():
    """A folder on a disk: the figures would mean nothing on tmpfs."""
    folder = Path(os.environ.get("BENCH_FOLDER", Path.cwd()))
    path = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    kind = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        path.rmdir()
        sys.exit(f"bench: {folder} is on {kind}; set BENCH_FOLDER to a folder on a disk")
    return path


def cpu_of(process):
    """Wait for a child; answer its CPU seconds, all threads."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def proc_status(pid, key):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise KeyError(key)


def say(name, value, unit="", note=""):
    print(f"{name:<52} {value:>12} {unit:<10} {note}".rstrip(), flush=True)


# --- CPU per refresh against wrk -------------------------------------------------------------------


def wrk_cpu(sandbox, seconds=4):
    """CPU microseconds of wrk per POST of the same create request.

    The cheapest honest yardstick: requests are made once, before the clock, and only handed out
    afterwards. One request for ever would be cheaper for nobody: the provider refuses most of what
    comes for a consent whose job is open, and slows down.
    """
    if shutil.which("wrk") is None:
        sys.exit("bench: wrk is missing; dev/setup installs it")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            'wrk.method = "POST"\n'
            'wrk.headers["Content-Type"] = "application/json"\n'
            "local requests, n = {}, 0\n"
            "function init()\n"
            f"  for i = 1, {WRK_REQUESTS} do\n"
            "    requests[i] = wrk.format(nil, nil, nil, '{\"client_id\":\"tester\",'\n"
            '      .. \'"client_secret":"sandbox-secret","consent_id":"wrk-\' .. i .. \'"}\')\n'
            "  end\n"
            "end\n"
            "function request()\n"
            f"  n = n % {WRK_REQUESTS} + 1\n"
            "  return requests[n]\n"
            "end\n"
        )
        script.flush()
        process = subprocess.Popen(
            ["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", script.name, sandbox["finqware"] + "/v2/ais/jobs/create"],
            stdout=subprocess.PIPE,
            text=True,
        )
        output = process.stdout.read()
        cpu = cpu_of(process)
    requests = int(next(line.split()[0] for line in output.splitlines() if "requests in" in line))
    if "Non-2xx" in output:
        sys.exit("bench: wrk was refused:\n" + output)
    return cpu * 1e6 / requests


INSTANT = {
    "instant": True,
    "finqware": {"cooldown_ms": 0, "known_cooldown": False, "quota": "1000000/24h"},
}


def refresh_round(folder, sandbox):
    """One night of CONSENTS consents with limits opened; CPU microseconds per refresh."""
    rows = nights.population(CONSENTS, banks=40, providers=("finq",))
    folder.mkdir()
    site = nights.mixed_site(
        folder,
        sandbox,
        rows,
        reporting="",
        limits="{requests_in_flight: 64}",
        bank_limits="{}",
        poll="{first: 1ms, floor: 1ms, max: 1s}",
        deadline="20m",
    )
    before = sandbox.stats()
    start = time.monotonic()
    process = subprocess.Popen(
        [nights.REFRESHD, "once", "-c", str(site.config)],
        cwd=folder,
        env=site.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    manifest = json.loads(process.stdout.readline())
    cpu = cpu_of(process)
    wall = time.monotonic() - start
    process.stdout.close()
    after = sandbox.stats()
    # Counted again where it cannot be imagined: rows in the database, jobs at the server.
    rows_done = site.one("SELECT count(*) FROM v1_jobs WHERE outcome = 'refreshed'")
    attempts = site.one("SELECT count(*) FROM v1_attempts")
    accepted = after["accepted"] - before["accepted"]
    connections = after["connections"]["accepted"] - before["connections"]["accepted"] - 1
    if not manifest["refreshed"] == rows_done == attempts == accepted == CONSENTS:
        sys.exit(
            f"bench: {CONSENTS} consents, manifest {manifest['refreshed']}, rows {rows_done}, "
            f"attempts {attempts}, server {accepted}"
        )
    shutil.rmtree(folder)
    return cpu * 1e6 / CONSENTS, CONSENTS / wall, connections


def refresh_cpu():
    print(f"\n== CPU per refresh: initiate + one poll + durable intent and outcome, {CONSENTS} jobs ==")
    folder = scratch()
    try:
        with nights.Sandbox(folder, INSTANT) as sandbox:
            daemon, wrk, ratios = [], [], []
            for i in range(ROUNDS):
                wrk.append(wrk_cpu(sandbox))
                cpu, per_second, connections = refresh_round(folder / f"round{i}", sandbox)
                daemon.append(cpu)
                ratios.append(cpu / wrk[-1])
                say(f"round {i + 1}: wrk, CPU per POST", f"{wrk[-1]:.1f}", "us")
                say(f"round {i + 1}: refreshd, CPU per refresh", f"{cpu:.1f}", "us", f"{per_second:.0f}/s wall")
                say(f"round {i + 1}: connections opened", connections, "", f"of {CONSENTS * 2} requests")
            say("refreshd / wrk, median of rounds", f"{statistics.median(ratios):.2f}", "x", "must <= 10, aim 7")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- a million consents ---------------------------------------------------------------------------


def wakeups(pid, seconds):
    """Voluntary context switches of all threads: each is one return from a wait."""
    def count():
        total = 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
        return total

    before = count()
    time.sleep(seconds)
    return (count() - before) / seconds


def population_1m():
    print(f"\n== {POPULATION} consents from CSV: 36-character ids and customers, 1,000 institutions ==")
    folder = scratch()
    try:
        with nights.Sandbox(folder, {"job_duration_ms": {"min": 1000, "max": 2000}}) as sandbox:
            rows = nights.population(POPULATION, banks=1000, providers=("bud",))
            site = nights.mixed_site(
                folder, sandbox, rows, reporting="", cron="0 0 1 1 *", limits="{rate: [50/s], requests_in_flight: 64}"
            )
            del rows
            # First request of a first start.
            start = time.monotonic()
            process = site.start("once", log="once.log")
            nights.wait_for(lambda: sandbox.stats()["requests"] > 0, 120, "the first request")
            say("start to first request (empty database)", f"{time.monotonic() - start:.2f}", "s", "must <= 3")
            nights.end(process)
            start = time.monotonic()
            before = sandbox.stats()["requests"]
            process = site.start("once", log="once.log")
            nights.wait_for(lambda: sandbox.stats()["requests"] > before, 120, "the first request")
            say("start to first request (second start)", f"{time.monotonic() - start:.2f}", "s")
            nights.end(process)
            for part in folder.glob("state.db*"):  # or serve would take the unfinished run up
                part.unlink()
            process = site.start("serve")
            nights.wait_for(
                lambda: site.run("status", "--format", "json").stdout.count('"type":"engine"') == 1
                and (folder / "state.db.sock").exists(),
                60,
                "the daemon",
            )
            nights.wait_for(lambda: wakeups(process.pid, 3) < 20, 120, "idleness")
            say("resident memory, idle", f"{proc_status(process.pid, 'VmRSS') / 1024:.0f}", "MB", "must < 200")
            say("peak memory", f"{proc_status(process.pid, 'VmHWM') / 1024:.0f}", "MB")
            say("wake-ups, idle", f"{wakeups(process.pid, 30):.2f}", "/s", "must <= 1")
            nights.end(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- rules ----------------------------------------------------------------------------------------


def night_rules():
    count = int(os.environ.get("BENCH_NIGHT", "20000"))
    print(f"\n== a mixed night of {count} consents inside limits: what the sandbox counted ==")
    folder = scratch()
    limits = {"rate": ["300/s", "9000/min"], "requests_in_flight": 64, "jobs_running": 1500}
    bank = {"rate": ["20/s"], "jobs_running": 100}
    scenario = {
        "banks_csv": str(folder / "consents.csv"),
        "job_duration_ms": {"min": 500, "max": 4000},
        "shares": {"revoked": 0.01, "partial": 0.02, "job_failed": 0.01, "bank_limit": 0.01, "suspended": 0.005},
        "faults": {"http_500": 0.005, "http_429": 0.002, "drop_after": 0.001, "invalid_json": 0.001, "slow": 0.01},
        "limits": {"finqware": limits, "bud": limits},
        "banks": {"default": bank},
    }
    try:
        rows = nights.population(count, banks=40)
        nights.write_consents(folder / "consents.csv", rows)
        with nights.Sandbox(folder, scenario) as sandbox:
            site = nights.mixed_site(
                folder,
                sandbox,
                rows,
                limits="{rate: [300/s, 9000/min], requests_in_flight: 64, jobs_running: 1500}",
                bank_limits="{rate: [20/s], jobs_running: 100}",
                poll="{first: 1s, floor: 500ms, max: 5s}",
                give_up="5m",
                deadline="10m",
            )
            start = time.monotonic()
            manifest = site.once(timeout=1200)[0]
            say("wall time", f"{time.monotonic() - start:.0f}", "s")
            stats = sandbox.stats()
            say("due", manifest["due"])
            for outcome in nights.OUTCOMES:
                say("  " + outcome, manifest[outcome])
            say("reconciled", str(manifest["reconciled"]))
            say("rule breaks", stats["rule_breaks"]["total"], "", "must be 0")
            for rule, broken in stats["rule_breaks"]["by_rule"].items():
                if broken:
                    say("  " + rule, broken, "", json.dumps(stats["rule_breaks"]["examples"].get(rule, [])[:2]))
            peaks = {}
            for peak in stats["peaks"]:
                name = f"{peak['account']} {'account' if peak['bank'] is None else 'worst bank'} {peak['limit']}"
                peaks[name] = max(peaks.get(name, (0, 0)), (peak["peak"], peak["allowed"]))
            for name, (peak, allowed) in peaks.items():
                say(f"peak in any window, {name}", peak, "", f"allowed {allowed}")
            nights.check_story(site)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- plan -----------------------------------------------------------------------------------------


def plan_1m():
    print(f"\n== plan, 24 h with a night of {POPULATION} consents from CSV, 1,000 institutions ==")
    folder = scratch()
    nowhere = {"finqware": "http://127.0.0.1:9", "bud": "http://127.0.0.1:9"}
    try:
        rows = nights.population(POPULATION, banks=1000, providers=("finq",))
        for name, limits in (
            ("spread over 6 h", {"spread": "6h", "limits": "{rate: [200/s]}"}),
            ("all at once, bound by the rate", {"spread": "0s", "limits": "{rate: [200/s]}"}),
        ):
            site = nights.mixed_site(
                folder, nowhere, rows, reporting="", deadline="8h", give_up="2h",
                poll="{first: 10s, floor: 5s, max: 5m}", bank_limits="{rate: [5/s]}", **limits
            )
            start = time.monotonic()
            process = subprocess.Popen(
                [nights.REFRESHD, "plan", "-c", str(site.config), "--from", "2026-03-01T12:00:00Z", "--format", "json"],
                cwd=folder, env=site.env, stdout=subprocess.PIPE,
            )
            plan = json.loads(process.stdout.read())
            cpu = cpu_of(process)
            wall = time.monotonic() - start
            (run,) = plan["runs"]
            if run["due"] != POPULATION or run["refreshed"] + run["will_not_fit"] != POPULATION:
                sys.exit(f"bench: planned {run}")
            say(name + ", wall", f"{wall:.2f}", "s", "on a machine of one's own must < 10")
            say(name + ", CPU", f"{cpu:.2f}", "s", f"planned finish {run['finish_at']}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


PARTS = {"refresh_cpu": refresh_cpu, "population_1m": population_1m, "night_rules": night_rules, "plan_1m": plan_1m}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which ones; default all")
    chosen = parser.parse_args().parts or list(PARTS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    for name in chosen:
        PARTS[name]()


if __name__ == "__main__":
    main()
