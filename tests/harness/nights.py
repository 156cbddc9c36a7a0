# SPDX-License-Identifier: MIT
"""Real nights for stories, proofs and benchmarks: the binary, a sandbox, a configuration, SQL.

Everything lives in the folder that the caller gives; ports are always found by the kernel.
"""

import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from contextlib import contextmanager
import urllib.request
from pathlib import Path

REFRESHD = os.environ.get(
    "REFRESHD", str(Path(__file__).resolve().parents[2] / "build" / "refreshd")
)
OUTCOMES = (
    "refreshed",
    "partial",
    "deduplicated",
    "reconnect_required",
    "failed",
    "skipped",
    "unknown",
)


class Sandbox:
    """`refreshd sandbox` on a port of its own."""

    def __init__(self, folder, scenario=None, seed=1):
        self.folder = Path(folder)
        path = self.folder / "scenario.json"
        path.write_text(json.dumps(scenario or {}))
        self.log = open(self.folder / "sandbox.log", "wb")
        self.process = subprocess.Popen(
            [REFRESHD, "sandbox", "--listen", "127.0.0.1:0", "--seed", str(seed), "--scenario", str(path)],
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        line = self.process.stdout.readline()
        if not line:
            self.stop()
            raise RuntimeError("the sandbox did not start:\n" + (self.folder / "sandbox.log").read_text())
        self.urls = json.loads(line)

    def __getitem__(self, name):
        return self.urls[name]

    @property
    def control(self):
        return self.urls["stats"].rsplit("/", 1)[0]

    def get(self, path):
        with urllib.request.urlopen(f"{self.control}/{path}", timeout=60) as answer:
            return answer.read()

    def stats(self):
        return json.loads(self.get("stats"))

    def ledger(self):
        """One object per job that the sandbox has ever started."""
        return [json.loads(line) for line in self.get("ledger").splitlines() if line.strip()]

    def change(self, settings):
        """Merge settings into the running scenario."""
        request = urllib.request.Request(
            f"{self.control}/scenario", data=json.dumps(settings).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=20)
        self.process.stdout.close()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Site:
    """A configuration with its databases, and the commands on it."""

    def __init__(self, folder, config_text, env=None):
        self.folder = Path(folder)
        self.config = self.folder / "refreshd.yaml"
        self.config.write_text(config_text)
        self.env = dict(os.environ, **(env or {}))

    @property
    def state(self):
        return self.folder / "state.db"

    @property
    def reporting(self):
        return self.folder / "reporting.db"

    def run(self, *arguments, timeout=300, check=None):
        """Run a command to its end; `check` is the exit status that is wanted."""
        done = subprocess.run(
            [REFRESHD, arguments[0], "-c", str(self.config), *arguments[1:]],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check is not None and done.returncode not in (check if isinstance(check, tuple) else (check,)):
            raise AssertionError(
                f"refreshd {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def once(self, *arguments, timeout=300, check=(0, 1)):
        """One run; answers the manifests."""
        done = self.run("once", *arguments, timeout=timeout, check=check)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def start(self, *arguments, log="serve.log"):
        """Start a command and go on; the caller ends it."""
        output = open(self.folder / log, "ab")
        process = subprocess.Popen(
            [REFRESHD, arguments[0], "-c", str(self.config), *arguments[1:]],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=output,
        )
        output.close()
        return process

    def sql(self, query, *parameters, database=None):
        """Rows of the state database (or another one), read as any reader would."""
        connection = sqlite3.connect(f"file:{database or self.state}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(query, parameters).fetchall()
        finally:
            connection.close()

    def one(self, query, *parameters, database=None):
        return self.sql(query, *parameters, database=database)[0][0]

    # Where the configuration is data (plain_site), a test changes these and writes them.
    settings = None
    rows = None

    def write(self):
        write_consents(self.folder / "consents.csv", self.rows)
        self.config.write_text(json.dumps(self.settings, indent=1))


def wait_for(condition, timeout=30, what="the condition"):
    """Poll until it holds: what happens next depends on it, never on a guess of time."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(0.02)


def end(process, number=signal.SIGTERM, timeout=40):
    """Send a signal to a process that we started and wait for it."""
    if process.poll() is None:
        process.send_signal(number)
    process.wait(timeout=timeout)
    if process.stdout:
        process.stdout.close()
    return process.returncode


def write_consents(path, rows):
    """A consent source; rows are dicts."""
    fields = ["id", "provider", "customer", "institution", "schedule", "expires"]
    fields += sorted({name for row in rows for name in row} - set(fields))
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=fields, restval="")
        writer.writeheader()
        writer.writerows(rows)


def population(count, banks=40, seed=1, providers=("finq", "bud"), schedule="nightly"):
    """Consents in a fixed mixture of providers and banks, with UUIDs as ids."""
    source = random.Random(seed)

    def uuid():
        text = f"{source.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    rows = []
    for i in range(count):
        provider = providers[i % len(providers)]
        row = {
            "id": uuid(),
            "provider": provider,
            "institution": f"Bank_{i % banks:03d}",
            "schedule": schedule,
        }
        if provider != "finq":
            row["customer"] = uuid()
        rows.append(row)
    return rows


def secret(folder, name="secret", text="sandbox-secret"):
    path = Path(folder) / name
    path.write_text(text)
    path.chmod(0o600)
    return path


CONFIG = """\
version: 1
state: {{database: state.db}}
{reporting}
summary: {{log: summary.log, every: 1h}}
{http}
providers:
  finq:
    api: finqware
    base_url: {finqware}
    auth: {{mode: internal, client_id: {{env: TEST_CLIENT_ID}}, client_secret: {{file: secret}}}}
    limits: {limits}
    institutions:
      default: {bank_limits}
    consent: {{quota: {quota}, cooldown: {cooldown}}}
    completion: {{{webhook}poll: {poll}, give_up_after: {give_up}}}
  bud:
    api: {bud_api}
    base_url: {bud}
    auth: {{client_id: {{env: TEST_CLIENT_ID}}, client_secret: {{file: secret}}}}
    limits: {limits}
    institutions:
      default: {bank_limits}
    consent: {{quota: {quota}}}
    completion: {{poll: {poll}, give_up_after: {give_up}}}
    maintenance: {{every: {maintenance}}}
schedules:
  nightly:
    cron: "{cron}"
    timezone: Europe/London
    spread: {spread}
    deadline: {deadline}
    retry: {{attempts: 3, backoff: {{first: {backoff}, max: 5s}}}}
consents_from:
  - {{csv: consents.csv}}
"""

DEFAULTS = {
    "reporting": "reporting: {database: reporting.db}",
    "http": "",
    "limits": "{requests_in_flight: 64, jobs_running: 2000}",
    "bank_limits": "{jobs_running: 200}",
    "quota": "4/24h",
    "cooldown": "6h",
    "webhook": "",
    "poll": "{first: 200ms, floor: 100ms, max: 2s}",
    "give_up": "20s",
    "bud_api": "bud-v1",
    "maintenance": "never",  # a call more that most stories would have to leave out of their counts
    "cron": "0 1 * * *",
    "spread": "4h",
    "deadline": "2m",
    "backoff": "200ms",
}


def mixed_site(folder, sandbox, rows, **settings):
    """The usual site: both APIs of one sandbox, consents from CSV."""
    folder = Path(folder)
    secret(folder)
    write_consents(folder / "consents.csv", rows)
    text = CONFIG.format(
        finqware=sandbox["finqware"], bud=sandbox["bud"], **{**DEFAULTS, **settings}
    )
    return Site(folder, text, env={"TEST_CLIENT_ID": "tester"})


def check_story(site, sandbox=None):
    """What must hold of every finished night, whatever happened in it."""
    counts = " + ".join(OUTCOMES)
    for run_id, due, accounted, reconciled in site.sql(
        f"SELECT run_id, due, {counts}, reconciled FROM v1_runs WHERE finished_at IS NOT NULL"
    ):
        assert due == accounted, f"{run_id}: due {due}, accounted {accounted}"
        assert reconciled == 1, run_id
    twice = site.sql(
        "SELECT run_id, consent, count(*) FROM (SELECT run_id, consent FROM v1_jobs WHERE run_id IS NOT NULL"
        " UNION ALL SELECT run_id, consent FROM v1_skips WHERE consent IS NOT NULL)"
        " GROUP BY 1, 2 HAVING count(*) > 1"
    )
    assert not twice, f"slots with more than one row: {twice[:5]}"
    assert site.one("SELECT count(*) FROM v1_jobs WHERE outcome IS NULL AND finished_at IS NOT NULL") == 0
    if sandbox is not None:
        stats = sandbox.stats()
        assert stats["rule_breaks"]["total"] == 0, json.dumps(stats["rule_breaks"], indent=1)


# ---- configurations as data: JSON is YAML, so a test changes a dictionary and writes it ----


def finqware(sandbox, **more):
    """A provider entry for the sandbox's Finqware account, with waits that suit a test."""
    entry = {
        "api": "finqware",
        "base_url": sandbox["finqware"],
        "auth": {
            "mode": "internal",
            "client_id": {"env": "TEST_CLIENT_ID"},
            "client_secret": {"file": "secret"},
        },
        "consent": {"quota": "4/24h", "cooldown": "6h"},
        "completion": {"poll": dict(QUICK_POLL), "give_up_after": "20s"},
    }
    return merge(entry, more)


def bud(sandbox, version=1, **more):
    """A provider entry for the sandbox's Bud account."""
    entry = {
        "api": f"bud-v{version}",
        "base_url": sandbox["bud"],
        "auth": {"client_id": {"env": "TEST_CLIENT_ID"}, "client_secret": {"file": "secret"}},
        "consent": {"quota": "4/24h"},
        "completion": {"poll": dict(QUICK_POLL), "give_up_after": "20s"},
        "maintenance": {"every": "never"},
    }
    return merge(entry, more)


QUICK_POLL = {"first": "100ms", "floor": "50ms", "max": "400ms"}
QUICK_SCENARIO = {"poll_floor_ms": 40, "job_duration_ms": {"min": 20, "max": 80}}


def merge(base, patch):
    """`patch` over `base`: mappings merge, everything else replaces."""
    result = dict(base)
    for key, value in patch.items():
        both_are_mappings = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merge(result[key], value) if both_are_mappings else value
    return result


def schedule(**more):
    """A schedule that `once` runs at once."""
    entry = {
        "cron": "0 1 * * *",
        "deadline": "1m",
        "retry": {"attempts": 3, "backoff": {"first": "20ms", "max": "100ms"}},
    }
    return merge(entry, more)


def plain_site(folder, providers, rows, schedules=None, **more):
    """A site of exactly these providers and schedules; `more` are further keys of the root."""
    folder = Path(folder)
    secret(folder)
    site = Site(folder, "", env={"TEST_CLIENT_ID": "tester"})
    site.settings = merge(
        {
            "version": 1,
            "state": {"database": "state.db"},
            "reporting": {"database": "reporting.db"},
            "summary": {"log": "summary.log", "every": "1h"},
            "providers": providers,
            "schedules": schedules or {"nightly": schedule()},
            "consents_from": [{"csv": "consents.csv"}],
        },
        more,
    )
    site.rows = [dict({"schedule": "nightly"}, **row) for row in rows]
    site.write()
    return site


def dictionaries(site, query, *parameters, database=None):
    """Rows as dictionaries."""
    connection = sqlite3.connect(f"file:{database or site.state}?mode=ro", uri=True, timeout=10)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query, parameters)]
    finally:
        connection.close()


def verdicts(site):
    """What became of each consent in its latest job: consent -> (outcome, reason)."""
    return {
        row[0]: (row[1], row[2])
        for row in site.sql("SELECT consent, outcome, reason FROM v1_jobs ORDER BY started_ms, job_uid")
    }


def requests_of(sandbox, api, endpoint):
    """How many requests of a kind the sandbox has seen."""
    return sandbox.stats()["apis"].get(api, {}).get(endpoint, {}).get("requests", 0)


def broken_rules(sandbox, allowed=()):
    """Rules that were broken, by name; those of `allowed` are not told."""
    rules = sandbox.stats()["rule_breaks"]["by_rule"]
    return {name: count for name, count in rules.items() if count and name not in allowed}


def status_of(site):
    """The objects of `refreshd status`; the first is the engine."""
    done = site.run("status", "--format", "json", check=0)
    return [json.loads(line) for line in done.stdout.splitlines()]


def is_serving(site):
    """Does a lock holder answer on the control socket?"""
    if not (site.folder / "state.db.sock").exists():
        return False
    return not status_of(site)[0].get("offline", False)


def serve(site, *arguments):
    """Start the daemon and wait until it answers."""
    process = site.start("serve", *arguments)

    def answers():
        assert process.poll() is None, (site.folder / "serve.log").read_text()
        return is_serving(site)

    wait_for(answers, what="the daemon")
    return process


@contextmanager
def serving(site, *arguments):
    """A daemon for the length of a block; drained at its end."""
    process = serve(site, *arguments)
    try:
        yield process
    finally:
        if process.poll() is None:
            code = end(process)
            assert code == 0, (site.folder / "serve.log").read_text()
        elif process.stdout:
            process.stdout.close()
