# SPDX-License-Identifier: MIT
"""`refreshd check` and `refreshd config`: what a person, Ansible and a review see of them."""
import json
import os
import pathlib
import random
import re
import resource
import sqlite3
import subprocess
import textwrap
import uuid

import pytest
import yaml

REFRESHD = os.environ["REFRESHD"]
ROOT = pathlib.Path(os.environ.get("TEST_SOURCES", pathlib.Path(__file__).parents[1])).parent

# The configuration of the contract, whole.
CONTRACT = """\
version: 1
include: ["conf.d/*.yaml"]

state:
  database: /var/lib/refreshd/state.db          # control socket and lock beside it
  retain: {jobs: 90d, attempts: 30d}

reporting:
  database: /var/lib/refreshd/reporting.db      # or postgresql://user@host/db
  snapshot: /var/lib/refreshd/report/reporting.db   # optional, renamed into place after each run
  export: {directory: /var/lib/refreshd/export, format: csv}

summary:
  log: /var/log/refreshd/summary.log            # "-" is standard error
  every: 15m
  format: logfmt                                # or json

http:
  listen: 127.0.0.1:9410                        # status page, /metrics, /healthz, /readyz, /api/v1
  token: {file: /etc/refreshd/api-token}        # for writes
  webhooks:
    listen: 127.0.0.1:9411
    public_url: https://refresh.example.com     # what providers are told

providers:                                      # names: [a-z0-9_-]+
  finq:
    api: finqware                               # built in
    base_url: https://finqware.example
    auth: {mode: internal, client_id: {env: FINQ_ID}, client_secret: {env: FINQ_SECRET}}
    limits: {rate: [20/s, 600/min], requests_in_flight: 64, jobs_running: 500}
    institutions:
      default: {rate: [5/s], jobs_running: 50}
      BRD: {rate: [1/s], blackout: ["02:00-03:00 Europe/Bucharest"]}
    consent: {quota: 4/24h, cooldown: 6h}
    completion: {webhook: true, poll: {first: 10s, max: 5m}, give_up_after: 2h}
  bud:
    api: bud-v1                                 # also bud-v2
    base_url: https://api-sandbox.thisisbud.com
    auth: {client_id: {env: BUD_ID}, client_secret: {env: BUD_SECRET}}
    customer_secret: {file: "/run/secrets/bud/{customer}"}    # only for customers not hosted by Bud

schedules:
  nightly:
    cron: "0 1 * * *"
    timezone: Europe/London
    spread: 4h                                  # slots placed over 01:00-05:00
    deadline: 06:00
    dst: {gap: run_after, overlap: first}
    misfire: {policy: run_once, max_age: 12h}
    retry: {attempts: 3, backoff: {first: 1m, max: 1h}}
    priority: 5                                 # 0-9, 9 goes first
    look_back: 30d                              # Bud "from"; look_until: Bud "to"

consents:
  - {id: 7d3e..., provider: finq, institution: BRD, schedule: nightly, expires: 2027-03-01}
  - {id: c-17, provider: bud, customer: 82a9..., institution: Bank_Of_Bud, schedule: [nightly, weekly]}
consents_from:                                  # large sets: same fields as columns
  - {csv: consents.csv}
  - {sqlite: /srv/app/app.db, query: "SELECT id, provider, institution, schedule FROM consents WHERE active", every: 10m}
"""

SMALL = """\
version: 1
providers:
  finq: {api: finqware, base_url: https://f.example,
         auth: {mode: internal, client_id: {env: A}, client_secret: {env: B}}}
schedules:
  nightly: {cron: 0 1 * * *}
"""


def run(*arguments, **options):
    return subprocess.run([REFRESHD, *map(str, arguments)], capture_output=True, timeout=60,
                          check=False, **options)


def check(*arguments):
    """(exit status, standard error); nothing may be on standard output."""
    done = run("check", *arguments)
    assert done.stdout == b""
    return done.returncode, done.stderr.decode()


@pytest.fixture(name="contract")
def contract_folder(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10-weekly.yaml").write_text("schedules: {weekly: {cron: 0 3 * * 0}}\n")
    (tmp_path / "consents.csv").write_text("id,provider,institution,schedule\n"
                                           "c1,finq,BRD,nightly\n")
    (tmp_path / "refreshd.yaml").write_text(CONTRACT)
    return tmp_path


@pytest.fixture(name="small")
def small_file(tmp_path):
    path = tmp_path / "refreshd.yaml"
    path.write_text(SMALL)
    return path


# --- good ones ---------------------------------------------------------------------------------

def test_the_contract_sample_is_good(contract):
    assert check(contract / "refreshd.yaml") == (0, "")
    assert check("-c", contract / "refreshd.yaml") == (0, "")
    assert check(contract) == (0, "")  # the folder stands for the file in it


def test_check_json(contract):
    done = run("check", contract, "--format", "json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == {"errors": [], "warnings": []}
    (contract / "consents.csv").write_text("id,provider\nc1,nobody\n")
    (contract / "conf.d" / "20.yaml").write_text("schedules: {x: {cron: '* * * * *'}, y: {}}\n")
    done = run("check", contract, "--format", "json")
    assert (done.returncode, done.stderr) == (78, b"")
    found = json.loads(done.stdout)
    assert [(pathlib.Path(e["file"]).name, e["line"], e["column"]) for e in found["errors"]] == \
        [("20.yaml", 1, 37), ("consents.csv", 2, 0)]
    assert found["errors"][1]["cell"] == "provider"
    assert "nobody" in found["errors"][1]["message"]


def test_the_example_is_good_and_complete(tmp_path):
    example = ROOT / "config" / "examples" / "refreshd.yaml"
    assert check(example) == (0, "")
    used = set()

    def walk(value, path):
        used.add(path)
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{path}.{key}" if path else key)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, f"{path}[]")

    walk(yaml.load(example.read_text(), Loader=yaml.BaseLoader), "")
    reference = run("config", "--reference").stdout.decode()
    options = re.findall(r"^\| `([a-z][^`]*)`", reference, re.MULTILINE)
    assert len(options) > 100
    missing = []
    for option in options:
        # a one-item list may be a single value; an empty list has no items
        pattern = re.escape(option).replace(r"\.\*", r"\.[^.\[]+").replace(r"\[\]", r"(\[\])?")
        if not any(re.fullmatch(pattern, path) for path in used):
            missing.append(option)
    assert missing == []


def test_the_option_reference_is_current():
    page = (ROOT / "docs" / "OPTIONS.md").read_bytes()
    assert run("config", "--reference").stdout == page, "run dev/option-reference"


# --- config ----------------------------------------------------------------------------------------

def test_config_is_stable_and_reads_back(contract, tmp_path):
    first = run("config", "-c", contract / "refreshd.yaml")
    assert (first.returncode, first.stderr) == (0, b"")
    assert run("config", "-c", contract / "refreshd.yaml").stdout == first.stdout
    # as seen from another folder, and as a configuration of its own
    elsewhere = run("config", "-c", os.path.relpath(contract / "refreshd.yaml", "/tmp"), cwd="/tmp")
    assert elsewhere.stdout == first.stdout
    (tmp_path / "printed.yaml").write_bytes(first.stdout)
    assert run("config", "-c", tmp_path / "printed.yaml").stdout == first.stdout
    assert check(tmp_path / "printed.yaml") == (0, "")

    found = yaml.load(first.stdout, Loader=yaml.BaseLoader)
    assert list(found) == sorted(found)
    assert found["providers"]["bud"]["consent"]["quota"] == "4/24h"
    assert found["schedules"]["weekly"]["retry"] == {"attempts": "3",
                                                     "backoff": {"first": "1m", "max": "1h"}}
    assert found["providers"]["finq"]["auth"]["client_secret"] == {"env": "FINQ_SECRET"}
    assert found["consents_from"][0] == {"csv": str(contract / "consents.csv")}
    assert [c["id"] for c in found["consents"]] == ["c-17", "7d3e..."]


def test_config_reads_no_secret_and_no_source(contract):
    """What it prints does not depend on files that are secret or change every night."""
    (contract / "consents.csv").unlink()
    done = run("config", "-c", contract / "refreshd.yaml", env={})
    assert done.returncode == 0


def test_config_origin(contract):
    done = run("config", "--origin", "-c", "refreshd.yaml", cwd=contract)
    text = done.stdout.decode()
    line = 1 + [line.strip()[:7] for line in CONTRACT.splitlines()].index("spread:")
    assert f"    spread: 4h  # refreshd.yaml:{line}:13\n" in text
    assert "    cron: \"0 3 * * 0\"  # conf.d/10-weekly.yaml:1:28\n" in text
    assert "    spread: 0s  # default\n" in text
    assert "        floor: 5s  # API definition\n" in text


def test_config_json_says_the_same(contract):
    as_yaml = run("config", "-c", contract / "refreshd.yaml").stdout
    done = run("config", "-c", contract / "refreshd.yaml", "--format", "json")
    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout)
    assert found["version"] == 1
    assert found["providers"]["finq"]["limits"]["jobs_running"] == 500
    assert found["providers"]["finq"]["completion"]["webhook"] is True

    def texts(value):
        if isinstance(value, dict):
            return {key: texts(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [texts(inner) for inner in value]
        return json.dumps(value) if isinstance(value, (int, bool)) else value

    assert texts(found) == yaml.load(as_yaml, Loader=yaml.BaseLoader)


def test_config_counts(small, tmp_path):
    (tmp_path / "a.csv").write_text("id,provider\na,finq\nb,finq\n")
    small.write_text(SMALL + "consents_from: [{csv: a.csv}]\n")
    assert b"# 2 consents" in run("config", "--counts", "-c", small).stdout
    assert b"# 2 consents" not in run("config", "-c", small).stdout


def test_config_of_a_bad_one(small):
    small.write_text("version: 1\nx: 1\n")
    done = run("config", "-c", small)
    assert (done.returncode, done.stdout) == (78, b"")
    assert b"refreshd.yaml:2:1: error: unknown key" in done.stderr


# --- --as: one file of many, as Ansible's validate= gives it -----------------------------------------

@pytest.mark.parametrize("name, content, status", [
    ("conf.d/10-weekly.yaml", "schedules: {weekly: {cron: 0 4 * * 0}}\n", 0),
    ("conf.d/10-weekly.yaml", "schedules: {weekly: {corn: 0 4 * * 0}}\n", 78),
    ("conf.d/10-weekly.yaml", "", 78),  # the consents still name `weekly`
    ("conf.d/20-new.yaml", "schedules: {hourly: {cron: 0 4 * * 1}}\n", 0),
    ("conf.d/20-new.yaml", "schedules: {weekly: {cron: 0 4 * * 1}}\n", 78),
    ("refreshd.yaml", CONTRACT, 0),
    ("refreshd.yaml", CONTRACT.replace("spread: 4h", "spread: 4 hours"), 78),
    ("consents.csv", "id,provider\nx,finq\n", 0),
    ("consents.csv", "id,provider\nx,nobody\n", 78),
    ("nowhere/x.yaml", "", 78),
])
def test_as(contract, tmp_path, name, content, status):
    other = tmp_path / "ansible-tmp-1234"
    other.write_text(content)
    before = {path: path.read_bytes() for path in contract.rglob("*") if path.is_file()}
    done = check("-c", contract / "refreshd.yaml", "--as", f"{name}={other}")
    assert done[0] == status, done[1]
    assert (done[1] == "") == (status == 0)
    if status and "nowhere" not in name and content:
        assert f"{contract / name}:" in done[1]  # the place where it will be, not the temporary one
        assert "ansible-tmp" not in done[1]
    assert {path: path.read_bytes() for path in contract.rglob("*") if path.is_file()} == before


def test_as_for_a_root_that_is_not_there_yet(tmp_path):
    other = tmp_path / "new"
    other.write_text(SMALL)
    (tmp_path / "etc").mkdir()
    root = tmp_path / "etc" / "refreshd.yaml"
    assert check("-c", root)[0] == 78
    assert check("-c", root, "--as", f"refreshd.yaml={other}") == (0, "")


def test_as_wrong_use(small):
    for wrong in ("x", "=x", "x="):
        done = run("check", "--as", wrong, small)
        assert done.returncode == 64
        assert b"NAME=FILE" in done.stderr


# --- bad ones -------------------------------------------------------------------------------------------

LINE = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+):(?P<column>\d+): (error|warning): .+$")


def test_all_errors_at_once(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "refreshd.yaml").write_text(textwrap.dedent("""\
        version: 1
        include: conf.d/*.yaml
        sumary: {every: 1m}
        state: {retain: {jobs: ninety}}
        providers:
          finq:
            api: finqware
            auth: {mode: internal, client_id: {env: A}, client_secret: hunter2}
            insecure: yes
        consents:
          - {id: a, provider: fink, schedule: nightly}
          - {provider: finq}
        """))
    (tmp_path / "conf.d" / "a.yaml").write_text("schedules: {nightly: {cron: 61 * * * *}}\n")
    (tmp_path / "conf.d" / "b.yaml").write_text("http: {listen: nine}\n")
    status, said = check(tmp_path)
    assert status == 78
    lines = said.splitlines()
    assert all(LINE.match(line) for line in lines), said
    places = [(pathlib.Path(m["file"]).name, int(m["line"])) for m in map(LINE.match, lines)]
    assert places == [("a.yaml", 1), ("b.yaml", 1), ("refreshd.yaml", 3), ("refreshd.yaml", 4),
                      ("refreshd.yaml", 6), ("refreshd.yaml", 8), ("refreshd.yaml", 9),
                      ("refreshd.yaml", 11), ("refreshd.yaml", 12)]
    assert "hunter2" not in said


def test_no_root_file(tmp_path):
    status, said = check(tmp_path / "gone.yaml")
    assert (status, said) == (78, f"{tmp_path}/gone.yaml:0:0: error: cannot be read: "
                                  "No such file or directory\n")


@pytest.mark.parametrize("command", ["check", "config"])
def test_help_and_wrong_use(command):
    done = run(command, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"usage: refreshd " + command.encode())
    done = run(command, "--frobnicate")
    assert (done.returncode, done.stdout) == (64, b"")
    done = run(command, "a", "b")
    assert (done.returncode, done.stdout) == (64, b"")


HOSTILE = {
    "deep flow": b"[" * 200_000,
    "deep mapping": b"{a: " * 200_000,
    "deep block": b"- " * 200_000,
    "deep keys": b"? " * 200_000,
    "bomb": b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(98, 108)),
    "cycle": b"a: &a {b: *a}\n",
    "huge scalar": b"a: " + b"x" * 30_000_000,
    "open quote": b"a: \"" + b"x" * 10_000_000,
    "invalid utf-8": SMALL.encode() + b"# \xc3\x28\n",
    "overlong utf-8": b"a: \xc0\xaf\n",
    "utf-16": SMALL.encode("utf-16"),
    "nul": b"version: 1\0\n",
    "escaped nul": b"version: \"1\\0\"\n",
    "escape sequence": b"version: \"\\e[31m\"\n",
    "tab": b"version: 1\nstate:\n\tdatabase: x\n",
    "two documents": b"version: 1\n---\nversion: 1\n",
    "tag": b"version: !!python/object/apply:os.system [\"true\"]\n",
    "many keys": b"".join(b"k%d: 1\n" % i for i in range(50_000)),
    "complex key": b"? [a, b]\n: c\n",
    "text": b"just some words",
    "binary": bytes(range(256)) * 100,
    "only list": b"- version: 1\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path, name):
    path = tmp_path / "refreshd.yaml"
    path.write_bytes(HOSTILE[name])

    def limits():
        resource.setrlimit(resource.RLIMIT_CPU, (5, 5))

    done = run("check", path, preexec_fn=limits)
    assert done.returncode == 78, done.stderr[:2000]
    said = done.stderr.decode()
    assert ": error: " in said
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)
    assert max(map(len, said.splitlines())) < 4096


@pytest.mark.parametrize("prefix, newline", [("", "\r\n"), ("\ufeff", "\n"), ("\ufeff", "\r\n")])
def test_files_from_other_systems(tmp_path, prefix, newline):
    path = tmp_path / "refreshd.yaml"
    path.write_bytes((prefix + SMALL.replace("\n", newline)).encode())
    assert check(path) == (0, "")


# --- large sets -----------------------------------------------------------------------------------------------

def test_a_hundred_thousand_consents_in_yaml(small):
    source = random.Random(4)
    with small.open("a") as out:
        out.write("consents:\n")
        for number in range(100_000):
            identity = uuid.UUID(int=source.getrandbits(128))
            out.write(f"  - {{id: {identity}, provider: finq, institution: bank_{number % 500}, "
                      "schedule: nightly}\n")
    assert check(small) == (0, "")
    with small.open("a") as out:
        out.write(f"  - {{id: {identity}, provider: finq}}\n")
    status, said = check(small)
    assert status == 78
    assert said == (f"{small}:100008:10: error: consent \"finq/{identity}\" is given twice; it was "
                    f"first given as \"{identity}\" at {small}:100007:10\n")


def test_many_errors_end_somewhere(small, tmp_path):
    (tmp_path / "a.csv").write_text("id,provider\n" + "".join(f"c{i},no\n" for i in range(50_000)))
    small.write_text(SMALL + "consents_from: [{csv: a.csv}]\n")
    status, said = check(small)
    assert status == 78
    assert len(said.splitlines()) <= 10_001
    assert said.splitlines()[-1] == "and 40000 more errors"


def test_sources_name_file_row_and_column(small, tmp_path):
    (tmp_path / "a.csv").write_text("id,provider,expires\na,finq,2027-01-01\nb,finq,soon\n")
    database = sqlite3.connect(tmp_path / "b.db")
    database.execute("CREATE TABLE t(id, provider, schedule)")
    database.execute("INSERT INTO t VALUES ('x', 'finq', 'nightly'), ('y', 'finq', 'yearly')")
    database.commit()
    database.close()
    small.write_text(SMALL + "consents_from:\n  - {csv: a.csv}\n"
                             "  - {sqlite: b.db, query: 'SELECT * FROM t'}\n")
    csv_line = (f"{tmp_path}/a.csv:3:0: error: column \"expires\": \"soon\" is not a date: write "
                "2027-03-01 (00:00 UTC) or 2027-03-01T12:30:00Z")
    assert check(small) == (78, csv_line + "\n")  # a check reads no database
    done = run("config", "--counts", "-c", small)
    assert done.returncode == 78
    assert csv_line in done.stderr.decode()
    assert (f"{tmp_path}/b.db:2:0: error: column \"schedule\": there is no schedule \"yearly\" in "
            "this configuration") in done.stderr.decode()


def test_a_row_with_a_wrong_provider_tells_its_other_errors_too(tmp_path, small):
    (tmp_path / "a.csv").write_text("id,provider,schedule,expires,priority\na,no,never,soon,12\n")
    small.write_text(SMALL + "consents_from: [{csv: a.csv}]\n")
    status, said = check(small)
    assert status == 78
    for column in ("provider", "schedule", "expires", "priority"):
        assert f'a.csv:2:0: error: column "{column}": ' in said


def test_a_missing_csv_is_a_warning_for_check_only(small):
    small.write_text(SMALL + "consents_from: [{csv: a.csv}]\n")
    status, said = check(small)
    assert status == 0
    assert ":7:17: warning: consents_from: " in said
    assert run("config", "--counts", "-c", small).returncode == 78


# --- definitions of one's own --------------------------------------------------------------------------------

def test_an_own_definition_is_checked_with_places(small, tmp_path):
    own = tmp_path / "apis" / "mine.yaml"
    own.parent.mkdir()
    built_in = (ROOT / "config" / "apis" / "finqware.yaml").read_text()
    own.write_text(built_in)
    small.write_text(SMALL.replace("api: finqware", "api: apis/mine.yaml"))
    assert check(small) == (0, "")
    own.write_text(built_in + "\nnonsense: 1\n")
    status, said = check(small)
    assert status == 78
    assert re.search(r"apis/mine\.yaml:\d+:1: error: .*nonsense", said)
    assert check(small, "--as", f"apis/mine.yaml={ROOT}/config/apis/finqware.yaml") == (0, "")
