# SPDX-License-Identifier: MIT
"""A bank that has a limit nobody told us: its pace is learned from refusals, shown, kept over a kill and
a restart, and forgotten when a person says so."""

import json
import signal
import urllib.request

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    bud,
    check_story,
    dictionaries,
    end,
    merge,
    plain_site,
    schedule,
    serve,
    serving,
    status_of,
    wait_for,
)


def rows(count, bank="few"):
    return [{"id": f"{bank}-{i}", "provider": "p", "institution": bank, "customer": f"u{i}"} for i in range(count)]


def scenario():
    """The bank does five a second, whatever the configuration believes."""
    return merge(QUICK_SCENARIO, {"bank_from_id": "prefix-before-dash", "banks": {"few": {"refuse_over": "5/s"}}})


def entry(sandbox, **pace):
    return bud(
        sandbox,
        breaker={"failures": 0},
        institutions={"default": {"rate": ["2/100ms"], "pace": pace}},
    )


def test_the_pace_of_a_bank_is_learned_from_its_refusals(tmp_path):
    """A bank remembers an overload for some seconds, and so long its refusals tell nothing new: after that
    nearly everything is let in."""
    with Sandbox(tmp_path, scenario()) as sandbox:
        site = plain_site(
            tmp_path,
            {"p": entry(sandbox, learn=True)},
            rows(200),
            {"nightly": schedule(deadline="12s", retry={"attempts": 1})},
        )
        manifest = site.once(check=(0, 1))[0]
        reasons = [row[0] for row in site.sql("SELECT reason FROM v1_jobs ORDER BY started_ms DESC")]
        assert reasons.count("pushback") >= 5, "the limit was met"
        assert reasons[:8].count("pushback") <= 3, reasons
        assert len(reasons) < 110, "twelve seconds of twenty a second would be 200"
        limits = {row["institution"]: row for row in dictionaries(site, "SELECT * FROM v1_limits")}
        assert limits[None]["learned_rate"] is None
        learned = limits["few"]["learned_rate"]
        assert learned.endswith("/s") and 0.5 <= float(learned[:-2]) <= 9, learned
        skips = site.sql("SELECT DISTINCT reason, detail FROM v1_skips")
        assert ("deadline", "rate, learned") in skips and {reason for reason, _ in skips} == {"deadline"}
        assert manifest["skipped"] == 200 - len(reasons)
        check_story(site, None)


def metrics_of(site):
    log = (site.folder / "serve.log").read_text()
    lines = [line for line in log.splitlines() if "status_listening" in line]
    address = [word[len("address=") :] for word in lines[-1].split() if word.startswith("address=")][0]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return answer.read().decode()


def learned_of(site):
    for line in status_of(site):
        if line["type"] == "limit" and line["institution"] == "few":
            return line["learned_rate"]
    return None


def test_what_was_learned_is_shown_kept_and_reset(tmp_path):
    with Sandbox(tmp_path, scenario()) as sandbox:
        site = plain_site(
            tmp_path,
            {"p": entry(sandbox, floor="1/min")},
            rows(400),
            {"nightly": schedule(cron="* * * * * *", misfire={"policy": "skip"})},
            http={"listen": "127.0.0.1:0"},
        )
        process = serve(site)
        try:
            wait_for(lambda: learned_of(site), what="a learned pace")
            wait_for(
                lambda: site.one("SELECT count(*) FROM node WHERE interval_us > 120000") > 0,
                what="a pace below what is configured",
            )
            assert 'refreshd_learned_rate{provider="p",institution="few"} ' in metrics_of(site)
            assert 'refreshd_breaker_state{provider="p",institution="few"} 0' in metrics_of(site)
            gates = json.loads(site.run("why", "p/few-399", "--format", "json", check=0).stdout)["gates"]
            rate = [gate for gate in gates if gate["gate"] == "institution_rate"][0]
            assert rate["detail"].startswith("learned "), rate
            assert "learned " in site.run("why", "p/few-399", check=0).stdout
            assert "learned " in site.run("status", check=0).stdout
        finally:
            end(process, signal.SIGKILL)
        kept = site.one("SELECT interval_us FROM node WHERE institution_no <> 0")
        assert kept > 120000

        # Nothing is due any more: what is shown now was remembered.
        (site.folder / "state.db.sock").unlink()
        site.settings["schedules"]["nightly"]["cron"] = "0 0 29 2 *"
        site.write()
        with serving(site):
            gates = json.loads(site.run("why", "p/few-399", "--format", "json", check=0).stdout)["gates"]
            rate = [gate for gate in gates if gate["gate"] == "institution_rate"][0]
            assert rate["detail"].startswith("learned "), rate
            site.run("reset", "--provider", "p", "--institution", "few", "--reason", "they raised it", check=0)
            wait_for(
                lambda: site.one("SELECT interval_us FROM node WHERE institution_no <> 0") == 0,
                what="the reset",
            )
        audit = site.sql("SELECT action, subject, reason FROM v1_audit WHERE action = 'reset'")
        assert audit == [("reset", "p/few", "they raised it")]

        # Without a daemon it is written under the lock, with its audit row.
        site.run("reset", "--provider", "p", check=0)
        audit = site.sql("SELECT action, subject FROM v1_audit WHERE action = 'reset'")
        assert audit[1] == ("reset", "p")
        assert site.run("reset", check=64).stderr
        assert site.run("reset", "--provider", "nobody", check=64).stderr
        assert site.run("reset", "--provider", "p", "--institution", "nobody", check=64).stderr
