# SPDX-License-Identifier: MIT
"""An end while the state database cannot be written: it is said, and nothing is lost by it."""

import resource
import signal
import subprocess
import threading

from nights import QUICK_SCENARIO, REFRESHD, Sandbox, check_story, finqware, merge, plain_site, schedule, wait_for


def test_what_could_not_be_written_is_said(tmp_path):
    scenario = merge(QUICK_SCENARIO, {"job_duration_ms": {"min": 200, "max": 600}})
    with Sandbox(tmp_path, scenario) as sandbox:
        rows = [{"id": f"c{number:03}", "provider": "p", "institution": "bank"} for number in range(120)]
        entry = finqware(sandbox, limits={"rate": ["40/s"]}, completion={"give_up_after": "4s"})
        site = plain_site(tmp_path, {"p": entry}, rows, {"nightly": schedule(deadline="5m")})
        del site.settings["reporting"]  # its end would be waited for as well
        site.write()
        process = subprocess.Popen(
            [REFRESHD, "once", "-c", str(site.config)],
            cwd=site.folder,
            env=site.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(iter(process.stderr.readline, "")))
        reader.start()
        wait_for(lambda: len(sandbox.ledger()) > 20, what="a night under way")
        hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, hard))
        wait_for(lambda: any("event=storage_blocked" in line for line in lines), what="the error")
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: any("event=draining" in line for line in lines), what="the drain")
        process.send_signal(signal.SIGTERM)  # asked twice: now
        status = process.wait(timeout=60)
        reader.join()
        process.stdout.close()
        process.stderr.close()
        assert status == 75, lines
        assert any("could not be written to the state database" in line for line in lines), lines
        manifest = site.once(check=(0, 1))[0]  # takes the run up
        assert manifest["reconciled"] is True and manifest["due"] == 120
        check_story(site, sandbox)
