# SPDX-License-Identifier: MIT
"""Maintenance that a provider tells in its list of banks: nothing is sent to a bank while it lasts."""

import json
import signal
import time

import pytest

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    bud,
    check_story,
    end,
    merge,
    plain_site,
    requests_of,
    schedule,
    serve,
    serving,
    wait_for,
)

NEVER = "0 0 1 1 *"


def rows(banks=("b0", "b1"), each=2):
    return [
        {"id": f"{bank}-{i}", "provider": "p", "institution": bank, "customer": f"{bank}u{i}"}
        for bank in banks
        for i in range(each)
    ]


def instant(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def scenario(**banks):
    return merge(
        QUICK_SCENARIO,
        {"bud": {"dedupe_ms": 0}, "banks": {"default": {}, "b0": {}, "b1": {}, **banks}},
    )


def site_of(folder, sandbox, version=1, every="1s", **settings):
    entry = bud(sandbox, version=version, consent={"quota": "none"}, maintenance={"every": every})
    return plain_site(folder, {"p": entry}, rows(), {"nightly": schedule(**settings)})


def reason_of(site, bank):
    query = "SELECT not_before_reason FROM v1_limits WHERE institution = ?"
    return (site.sql(query, bank) or [(None,)])[0][0]


def why(site, consent):
    answer = json.loads(site.run("why", consent, "--format", "json", check=(0, 1)).stdout)
    return [(gate["gate"], gate["reason"]) for gate in answer["gates"] if not gate["open"]]


def told(site):
    """What is remembered of the list: bank -> its spans."""
    spans = {}
    for bank, start, stop in site.sql(
        "SELECT i.name, m.start_ms, m.end_ms FROM maintenance AS m JOIN institution AS i USING (institution_no)"
    ):
        spans.setdefault(bank, []).append((start, stop))
    return spans


def refreshed(site):
    return {row[0] for row in site.sql("SELECT consent FROM v1_jobs WHERE outcome = 'refreshed'")}


@pytest.mark.parametrize("version", [1, 2])
def test_a_bank_in_maintenance_is_not_called(tmp_path, version):
    """Until further notice: its consents wait, `why` and v1_limits say so, the others go on; when the
    list says that it is over, all go on."""
    with Sandbox(tmp_path, scenario(b0={"maintenance": True})) as sandbox:
        site = site_of(tmp_path, sandbox, version, cron=NEVER)
        with serving(site):
            wait_for(lambda: told(site), what="the list")
            assert told(site) == {"b0": [(0, None)]}
            assert why(site, "p/b0-0") == [("window", "maintenance")]
            assert why(site, "p/b1-0") == []
            site.run("trigger", "p/b0-0", check=0)
            site.run("trigger", "p/b1-0", check=0)
            wait_for(lambda: refreshed(site) == {"p/b1-0"}, what="the other bank")
            wait_for(lambda: reason_of(site, "b0") == "maintenance", what="v1_limits")
            assert reason_of(site, "b1") is None
            assert requests_of(sandbox, f"bud-v{version}", "create") == 1
            sandbox.change({"banks": {"b0": {"maintenance": False}}})
            wait_for(lambda: refreshed(site) == {"p/b0-0", "p/b1-0"}, what="the end of maintenance")
        assert told(site) == {}
        log = (site.folder / "serve.log").read_text()
        assert log.count("event=maintenance ") == 2, "once when it began, once when it was over"
        check_story(site, sandbox)


def test_a_window_ends_by_itself_and_survives_a_kill(tmp_path):
    """The list is read once; a second life knows the window, though the list fails it."""
    stop = int(time.time()) + 5
    window = {"maintenance_from": instant(-60), "maintenance_until": instant(stop - time.time())}
    with Sandbox(tmp_path, scenario(b0=window)) as sandbox:
        site = site_of(tmp_path, sandbox, every="1h", cron=NEVER)
        process = serve(site)
        wait_for(lambda: told(site), what="the list")
        assert end(process, signal.SIGKILL) == -signal.SIGKILL
        sandbox.change({"faults": {"bud": {"providers": {"http_500": 1.0}}}})
        with serving(site):
            site.run("trigger", "p/b0-0", check=0)
            gates = why(site, "p/b0-0")
            if time.time() < stop:  # a machine too slow for this sees less of it
                assert gates[-1] == ("window", "maintenance")
            wait_for(lambda: "maintenance_not_read" in (site.folder / "serve.log").read_text(), what="the log")
            wait_for(lambda: refreshed(site) == {"p/b0-0"}, what="the end of the window")
        (sent_ms,) = site.sql("SELECT sent_ms FROM v1_attempts")[0]
        assert stop * 1000 <= sent_ms
        check_story(site)


def test_who_says_never_asks_never(tmp_path):
    with Sandbox(tmp_path, scenario(b0={"maintenance": True})) as sandbox:
        site = site_of(tmp_path, sandbox, every="never")
        assert site.once()[0]["refreshed"] == 2
        assert requests_of(sandbox, "bud", "providers") == 0
        site.settings["providers"]["p"]["api"] = "finqware"
        site.settings["providers"]["p"]["auth"]["mode"] = "internal"
        site.settings["providers"]["p"]["maintenance"]["every"] = "1h"
        site.write()
        said = site.run("check", check=78).stderr
        assert "API finqware does not tell of maintenance" in said
