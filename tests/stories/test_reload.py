# SPDX-License-Identifier: MIT
"""Reloads while a night runs: whatever is edited, no slot is lost or doubled, and no rule is broken
at the provider."""

import copy
import json
import random
import signal

import pytest

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    broken_rules,
    check_story,
    dictionaries,
    end,
    finqware,
    merge,
    plain_site,
    schedule,
    serve,
    status_of,
    wait_for,
    write_consents,
)

SCENARIO = merge(
    QUICK_SCENARIO,
    {
        "finqware": {"cooldown_ms": 0, "quota": "1000/24h"},
        "job_duration_ms": {"min": 50, "max": 300},
    },
)
OFTEN = {"quota": "none", "cooldown": "0s"}
BANKS = 4


def provider(sandbox, **more):
    return finqware(sandbox, **merge({"consent": OFTEN, "limits": {"rate": ["60/s"]}}, more))


def row(number, **more):
    return merge(
        {"id": f"c{number:03}", "provider": "p", "institution": f"bank{number % BANKS}", "schedule": "nightly"}, more
    )


def site_of(folder, sandbox, count):
    site = plain_site(
        folder,
        {"p": provider(sandbox)},
        [row(number) for number in range(count)],
        {"nightly": schedule(cron="0 0 1 1 *", deadline="2m"), "often": schedule(cron="*/2 * * * * *", spread="1s", deadline="2s")},
    )
    for entry in site.rows:
        entry["schedule"] = "nightly often"
    site.write()
    return site


class Edits:
    """One kind of edit after the other, in an order drawn from the seed."""

    def __init__(self, site, sandbox, seed):
        self.site = site
        self.sandbox = sandbox
        self.random = random.Random(seed)
        self.next_number = 1000

    def raise_and_lower_limits(self):
        entry = self.site.settings["providers"]["p"]
        entry["limits"]["rate"] = [self.random.choice(["20/s", "60/s", "90/s"])] + self.random.choice([[], ["2000/min"]])
        entry["institutions"] = {f"bank{self.random.randrange(BANKS)}": {"rate": [f"{self.random.randint(5, 40)}/s"]}}

    def reorder_providers(self):
        providers = self.site.settings["providers"]
        if "q" in providers:
            self.site.rows = [entry for entry in self.site.rows if entry["provider"] == "p"]
            del providers["q"]
        else:
            self.site.settings["providers"] = {"q": provider(self.sandbox), **providers}
            self.site.rows.insert(0, row(self.next_number, provider="q"))
            self.next_number += 1

    def add_and_remove_institutions(self):
        for entry in self.random.sample(self.site.rows, 2):
            if entry["provider"] == "p":
                entry["institution"] = f"new{self.next_number}"
        self.next_number += 1

    def edit_the_schedule(self):
        settings = self.site.settings["schedules"]["often"]
        settings["cron"] = self.random.choice(["*/2 * * * * *", "*/3 * * * * *", "1-59/2 * * * * *"])
        settings["priority"] = self.random.randrange(10)

    def move_consents(self):
        for entry in self.random.sample(self.site.rows, 5):
            entry["schedule"] = self.random.choice(["nightly", "often", "nightly often"])

    def rename_the_file(self):
        name = f"consents{self.next_number}.csv"
        self.next_number += 1
        self.site.settings["consents_from"] = [{"csv": name}]
        self.file = name

    def write(self):
        write_consents(self.site.folder / self.site.settings["consents_from"][0]["csv"], self.site.rows)
        self.site.config.write_text(json.dumps(self.site.settings))

    def one(self):
        kinds = [
            self.raise_and_lower_limits,
            self.reorder_providers,
            self.add_and_remove_institutions,
            self.edit_the_schedule,
            self.move_consents,
            self.rename_the_file,
        ]
        for edit in self.random.sample(kinds, self.random.randint(1, 3)):
            edit()
        self.write()


def accounts_of(site):
    """Each slot of each ended run: due = rows, and no consent twice in a run."""
    runs = dictionaries(site, "SELECT * FROM v1_runs WHERE finished_at IS NOT NULL")
    for run in runs:
        assert run["reconciled"] == 1, run
    doubled = site.sql(
        "SELECT run_id, consent, count(*) FROM (SELECT run_id, consent FROM v1_jobs WHERE run_id IS NOT NULL"
        " UNION ALL SELECT run_id, consent FROM v1_skips WHERE consent IS NOT NULL)"
        " GROUP BY run_id, consent HAVING count(*) > 1"
    )
    assert doubled == []
    return runs


@pytest.mark.parametrize("seed", [1, 2])
def test_any_edit_in_a_running_night(tmp_path, seed):
    with Sandbox(tmp_path, SCENARIO, seed=seed) as sandbox:
        site = site_of(tmp_path, sandbox, 60)
        edits = Edits(site, sandbox, seed)
        sent = "SELECT count(*) FROM v1_attempts WHERE sent_at IS NOT NULL"
        process = serve(site)
        try:
            for count in range(7):
                edits.one()
                if count % 3 == 2:  # as an operator or systemd would
                    seen = (tmp_path / "serve.log").read_text().count("event=reloaded")
                    process.send_signal(signal.SIGHUP)
                    wait_for(
                        lambda: (tmp_path / "serve.log").read_text().count("event=reloaded") > seen,
                        what="the reload",
                    )
                else:
                    # Nothing of an edit fires by itself: the core says so before it is taken.
                    done = site.run("reload")
                    assert done.returncode == 0, done.stderr
                assert status_of(site)[0]["reload_error"] is None
                before = site.one(sent)
                wait_for(lambda: site.one(sent) >= before + 10, what="work between two reloads")
            finished = "SELECT count(*) FROM v1_runs WHERE finished_at IS NOT NULL"
            wait_for(lambda: site.one(finished) >= 2, what="runs that end")
        finally:
            assert end(process) == 0, (tmp_path / "serve.log").read_text()
        runs = accounts_of(site)
        assert len(runs) >= 2 and sum(run["refreshed"] for run in runs) > 0
        assert site.one("SELECT count(*) FROM v1_runs WHERE schedule = 'nightly'") == 0
        assert broken_rules(sandbox) == {}
        assert "run_not_reconciled" not in (tmp_path / "serve.log").read_text()


def test_a_new_rate_holds_for_what_was_sent_before(tmp_path):
    """30 have left within the minute; a rate of 20 a minute is added: nothing more leaves now."""
    with Sandbox(tmp_path, SCENARIO) as sandbox:
        site = site_of(tmp_path, sandbox, 30)
        site.settings["schedules"]["often"] = schedule(cron="*/2 * * * * *", deadline="1m")
        site.write()
        process = serve(site)
        try:
            sent = "SELECT count(*) FROM v1_attempts WHERE sent_at IS NOT NULL"
            wait_for(lambda: site.one(sent) >= 30, what="the first sendings")
            site.settings["providers"]["p"]["limits"]["rate"] = ["60/s", "20/min"]
            site.write()
            site.run("reload", check=0)
            reloaded = status_of(site)[0]["reload_at"]
            wait_for(
                lambda: [line for line in status_of(site) if line.get("blocked_by") == "rate"],
                what="the rate to block",
            )
            late = site.one("SELECT count(*) FROM v1_attempts WHERE sent_at > ?", reloaded)
            assert late == 0
        finally:
            assert end(process) == 0
