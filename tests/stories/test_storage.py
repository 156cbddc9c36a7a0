# SPDX-License-Identifier: MIT
"""Storage that fails: full, read-only, somebody else's, damaged, gone, too new. Nothing is lost, nothing
leaves that is not recorded, and the message says what to do."""

import errno
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from nights import (
    QUICK_SCENARIO,
    REFRESHD,
    Sandbox,
    bud,
    check_story,
    finqware,
    plain_site,
    population,
    schedule,
    wait_for,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "prove"))

import night_check  # noqa: E402

NOBODY = 65534


def night(folder, sandbox, count=20, rate=None, **more):
    limits = {"limits": {"rate": [rate]}} if rate else {}
    return plain_site(
        folder,
        {"finq": finqware(sandbox, **limits), "bud": bud(sandbox, **limits)},
        population(count, banks=4),
        schedules={"nightly": schedule(deadline="5m")},
        **more,
    )


def begin(site, *prefix):
    """Start `once`; its log goes to a pipe, which is never full."""
    process = subprocess.Popen(
        [*prefix, REFRESHD, "once", "-c", str(site.config)],
        cwd=site.folder,
        env=site.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stderr.readline, "")))
    reader.start()

    def finish(timeout=90):
        try:
            process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            reader.join()
        output = process.stdout.read()
        process.stdout.close()
        process.stderr.close()
        return process.returncode, [json.loads(line) for line in output.splitlines()], "".join(lines)

    return process, lines, finish


class SizeLimit:
    """No file of the process may grow: works for everybody."""

    def __init__(self, folder):
        self.database = "state.db"

    def fill(self, process):
        self.process = process
        self.before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, self.before[1]))

    def free(self):
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, self.before)

    def close(self):
        pass


class SmallDisk:
    """A file system of its own that is really full; for root."""

    def __init__(self, folder):
        self.folder = folder / "disk"
        self.folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=4m", "refreshd-test", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        self.database = "disk/state.db"

    def fill(self, process):
        with open(self.folder / "filler", "wb", buffering=0) as filler:
            block = b"x" * 65536
            while block:
                try:
                    filler.write(block)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    block = block[: len(block) // 2]

    def free(self):
        (self.folder / "filler").unlink()

    def close(self):
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture(params=[SizeLimit, SmallDisk], ids=["size-limit", "small-disk"])
def disk(request, tmp_path):
    made = request.param(tmp_path)
    yield made
    made.close()


def test_a_full_disk_stops_dispatch_and_resumes(tmp_path, disk):
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        site = night(tmp_path, sandbox, 240, "60/s", state={"database": disk.database})
        type(site).state = property(lambda self: self.folder / self.settings["state"]["database"])
        try:
            process, lines, finish = begin(site)
            wait_for(lambda: len(sandbox.ledger()) > 40, what="a night under way")
            disk.fill(process)
            wait_for(lambda: any("event=storage_blocked" in line for line in lines), what="the error")
            blocked = [line for line in lines if "event=storage_blocked" in line][0]
            assert "state.db" in blocked and "make room" in blocked
            time.sleep(0.5)  # what had left before is answered meanwhile
            before = sandbox.stats()["requests"]
            time.sleep(2.5)  # two more tries to write
            assert sandbox.stats()["requests"] == before, "nothing leaves that is not recorded"
            assert process.poll() is None
            disk.free()
            status, printed, log = finish()
            assert status == 0, log
            assert printed[0]["due"] == 240
            assert log.count("event=storage_blocked") == 1, "one error, not one a second"
            assert log.count("event=storage_resumed") == 1
            complaints, in_doubt = night_check.everything(site, sandbox, site.rows, printed)
            assert not complaints, complaints
            assert in_doubt == 0, "nothing was lost: every answer waited"
            assert printed[0]["refreshed"] + printed[0]["partial"] == 240
        finally:
            type(site).state = property(lambda self: self.folder / "state.db")


def run_as_nobody(site):
    """The configuration is everybody's to read; who runs is not root."""
    who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        return subprocess.run(
            [REFRESHD, "once", "-c", str(site.config)],
            env=site.env,
            capture_output=True,
            text=True,
            timeout=60,
            **who,
        )
    except PermissionError:
        pytest.skip("nobody may not run the program where it lies")


@pytest.fixture
def open_folder():
    """A folder that any user can get to."""
    folder = Path(tempfile.mkdtemp(prefix="refreshd-storage-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_directory_that_cannot_be_written(open_folder):
    with Sandbox(open_folder) as sandbox:
        site = night(open_folder, sandbox, summary={"log": "-"})
        if os.geteuid() == 0:
            os.chown(open_folder / "secret", NOBODY, NOBODY)
        open_folder.chmod(0o555)
        done = run_as_nobody(site)
        assert done.returncode == 77, done.stderr
        assert str(open_folder / "state.db") in done.stderr
        assert sandbox.stats()["requests"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_database_of_somebody_else(open_folder):
    with Sandbox(open_folder) as sandbox:
        site = night(open_folder, sandbox, summary={"log": "-"})
        site.once(check=0)
        requests = sandbox.stats()["requests"]
        open_folder.chmod(0o777)
        os.chown(open_folder / "secret", NOBODY, NOBODY)
        done = run_as_nobody(site)
        assert done.returncode == 77, done.stderr
        assert "state.db" in done.stderr
        assert sandbox.stats()["requests"] == requests


def test_a_directory_that_is_not_there(tmp_path):
    with Sandbox(tmp_path) as sandbox:
        site = night(tmp_path, sandbox, state={"database": "missing/state.db"})
        done = site.run("once", check=73)
        assert str(tmp_path / "missing") in done.stderr
        assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("place", ["/proc/refreshd.db", "/dev/null/state.db"])
def test_places_that_hold_no_database(tmp_path, place):
    with Sandbox(tmp_path) as sandbox:
        site = night(tmp_path, sandbox, state={"database": place})
        done = site.run("once", check=73)
        assert place in done.stderr
        assert sandbox.stats()["requests"] == 0


@pytest.fixture
def finished(tmp_path):
    """A site whose first night is over, and its sandbox."""
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        site = night(tmp_path, sandbox)
        site.once(check=0)
        yield site, sandbox


def test_a_damaged_header(finished):
    site, sandbox = finished
    requests = sandbox.stats()["requests"]
    with open(site.state, "r+b") as stream:
        stream.write(b"this is no database" * 5)
    done = site.run("once", check=(65, 74))
    assert str(site.state) in done.stderr
    assert sandbox.stats()["requests"] == requests
    assert site.run("db", "verify").returncode in (1, 65, 74)


def test_damage_in_the_middle(finished):
    site, sandbox = finished
    requests = sandbox.stats()["requests"]
    size = site.state.stat().st_size
    with open(site.state, "r+b") as stream:
        stream.seek(4096)
        stream.write(os.urandom(size - 4096))
    done = site.run("once", check=(65, 74))
    assert str(site.state) in done.stderr
    assert sandbox.stats()["requests"] == requests


def test_a_newer_schema_is_refused(finished):
    site, sandbox = finished
    requests = sandbox.stats()["requests"]
    with sqlite3.connect(site.state) as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()
    done = site.run("once", check=(65, 78))
    assert str(site.state) in done.stderr and "newer" in done.stderr
    assert sandbox.stats()["requests"] == requests


def test_another_programs_database_is_left_alone(tmp_path):
    with Sandbox(tmp_path) as sandbox:
        site = night(tmp_path, sandbox)
        with sqlite3.connect(site.state) as connection:
            connection.execute("CREATE TABLE precious (a)")
            connection.execute("INSERT INTO precious VALUES (42)")
        connection.close()
        done = site.run("once", check=(65, 78))
        assert str(site.state) in done.stderr
        assert site.sql("SELECT a FROM precious") == [(42,)]


@pytest.mark.parametrize("names", [("-wal", "-shm"), ("-wal",), ("-shm",)])
def test_log_files_removed_after_a_clean_end(finished, names):
    site, sandbox = finished
    before = site.one("SELECT count(*) FROM v1_jobs")
    for name in names:
        Path(f"{site.state}{name}").unlink(missing_ok=True)
    assert site.one("SELECT count(*) FROM v1_jobs") == before
    manifest = site.once()[0]
    assert manifest["reconciled"]
    check_story(site, sandbox)
    site.run("db", "verify", check=0)


def test_shared_memory_removed_after_a_kill(tmp_path):
    """The index of the log is made anew from the log itself."""
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        site = night(tmp_path, sandbox, 60, "20/s")
        process = site.start("once", log="daemon.log")
        wait_for(lambda: len(sandbox.ledger()) > 10, what="a night under way")
        process.kill()
        process.communicate()
        Path(f"{site.state}-shm").unlink()
        printed = site.once()
        complaints, _ = night_check.everything(site, sandbox, site.rows, printed, ("token_stampede",))
        assert not complaints, complaints


def test_a_reader_that_never_lets_go_costs_nothing(tmp_path):
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        site = night(tmp_path, sandbox, 200)
        site.once("--institution", "Bank_000", check=0)
        reader = sqlite3.connect(f"file:{site.state}?mode=ro", uri=True, isolation_level=None)
        reader.execute("BEGIN")
        seen = reader.execute("SELECT count(*) FROM v1_jobs").fetchone()
        manifest = site.once("--new", check=(0, 1))[0]
        assert manifest["reconciled"] and manifest["due"] == 200
        assert manifest["refreshed"] == 150, "all but those of the first run"
        assert reader.execute("SELECT count(*) FROM v1_jobs").fetchone() == seen
        reader.execute("COMMIT")
        reader.close()
        check_story(site, sandbox)
        site.run("db", "verify", check=0)


def can_trace():
    if shutil.which("strace") is None:
        return "strace is not installed"
    if os.geteuid() != 0:
        return "the daemon keeps its memory private, so strace sees its files only as root"
    done = subprocess.run(
        ["strace", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO:when=1", "true"],
        capture_output=True,
        text=True,
    )
    return None if done.returncode == 0 else f"strace cannot trace here: {done.stderr.strip()}"


@pytest.mark.parametrize("number", [3, 4, 6, 7, 8, 12, 20])
def test_a_failed_fsync_ends_the_process(tmp_path, number):
    """Nobody knows then what is on the disk: exit 74, and a clean next start. (The first two only copy
    back what an earlier process left in the log, where it stays when that fails.)"""
    trouble = can_trace()
    if trouble:
        pytest.skip(trouble)
    with Sandbox(tmp_path, QUICK_SCENARIO) as sandbox:
        site = night(tmp_path, sandbox, 60, "20/s")
        site.once("--institution", "Bank_000", check=0)
        # A leak check at the end does not work under strace, and would have the last word on the status.
        trace = ["strace", "-E", "ASAN_OPTIONS=detect_leaks=0"]
        trace += ["-o", str(tmp_path / "trace"), "-P", f"{site.state}-wal"]
        inject = ["-e", "trace=fdatasync", "-e", f"inject=fdatasync:error=EIO:when={number}"]
        _, _, finish = begin(site, *trace, *inject)
        status, _, log = finish()
        assert "(INJECTED)" in (tmp_path / "trace").read_text()
        assert status == 74, log
        assert str(site.state) in log
        synced = [line for line in (tmp_path / "trace").read_text().splitlines() if "fdatasync" in line]
        assert "INJECTED" in synced[-1], "nothing is written after that"
        printed = site.once()
        complaints, _ = night_check.everything(site, sandbox, site.rows, printed, ("token_stampede",))
        assert not complaints, complaints
