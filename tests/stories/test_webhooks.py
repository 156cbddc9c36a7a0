# SPDX-License-Identifier: MIT
"""Webhooks: they shorten the wait, tell ids that got lost, and can do nothing else."""

import json
import re
import resource
import threading
import time
from contextlib import contextmanager

import pytest

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    bud,
    check_story,
    end,
    finqware,
    merge,
    plain_site,
    population,
    requests_of,
    schedule,
    verdicts,
    wait_for,
)
from webhook_front import WebhookFront, post

# Without a webhook a job would be noticed after a minute: longer than any of these nights may take.
LATE_POLL = {"poll": {"first": "60s", "floor": "50ms", "max": "2m"}, "give_up_after": "100s"}
HOOKED = {**LATE_POLL, "webhook": True}
QUICK = {**HOOKED, "poll": {"first": "100ms", "floor": "50ms", "max": "400ms"}, "give_up_after": "10s"}
NIGHT = {"nightly": schedule(deadline="3m")}


@contextmanager
def hooked(folder, scenario, rows, completion=None, version=1, **more):
    """Sandbox, front and site with webhooks for both providers."""
    completion = completion or HOOKED
    with WebhookFront(folder / "daemon.log") as front:
        registered = {
            f"webhook_url_v{version}": f"{front.url}/webhooks/bud",
            # The provider recommends no early poll either.
            f"next_url_delay_v{version}_ms": 60000,
        }
        scenario = merge(merge(QUICK_SCENARIO, {"bud": registered}), scenario)
        with Sandbox(folder, scenario) as sandbox:
            site = plain_site(
                folder,
                {
                    "finq": finqware(sandbox, completion=completion),
                    "bud": bud(sandbox, version, completion=completion),
                },
                rows,
                http={"webhooks": {"listen": "127.0.0.1:0", "public_url": front.url}},
                schedules=NIGHT,
                **more,
            )
            yield site, sandbox, front


def once(site, timeout=40):
    """`once` with its log where the front looks for it; answers manifest and status."""
    process = site.start("once", log="daemon.log")
    try:
        output, _ = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return json.loads(output), process.returncode


def finq_rows(count):
    return population(count, banks=3, providers=("finq",))


def bud_rows(count):
    return population(count, banks=3, providers=("bud",))


@pytest.mark.parametrize("when", ["final", "every_status"])
def test_finqware_calls_the_url_of_the_attempt(tmp_path, when):
    with hooked(tmp_path, {"finqware": {"webhook": when}}, finq_rows(20)) as (site, sandbox, front):
        manifest, status = once(site)
        assert (status, manifest["refreshed"]) == (0, 20)
        check_story(site, sandbox)
        paths = {path for path, _, _ in front.seen}
        assert len(paths) == 20, "each attempt has a URL of its own"
        assert all(path.startswith("/webhooks/finq/") for path in paths)
        # Those of the last job may come when the run is over and nobody listens any more.
        assert 204 in {s for _, _, s in front.seen} <= {204, None}
        if when == "final":
            assert requests_of(sandbox, "finqware", "poll") == 20


@pytest.mark.parametrize("version", [1, 2])
def test_bud_calls_the_registered_url(tmp_path, version):
    with hooked(tmp_path, {}, bud_rows(20), version=version) as (site, sandbox, front):
        manifest, status = once(site)
        assert (status, manifest["refreshed"]) == (0, 20)
        check_story(site, sandbox)
        assert {path for path, _, _ in front.seen} == {"/webhooks/bud"}
        assert 204 in {s for _, _, s in front.seen} <= {204, None}


def test_the_part_of_a_job_is_enough(tmp_path):
    """Bud v2 tells the end of each institution's part under an id of its own."""
    with hooked(tmp_path, {}, bud_rows(5), version=2) as (site, sandbox, front):
        front.swallow = lambda body: b"provider.completed" not in body
        manifest, status = once(site)
        assert (status, manifest["refreshed"]) == (0, 5)
        check_story(site, sandbox)


@pytest.mark.parametrize("fault", ["drop_after", "reset_after", "truncated_close"])
def test_an_id_that_got_lost_is_told_by_the_webhook(tmp_path, fault):
    rows = finq_rows(5)
    consents = {row["id"]: {"create_faults": [fault]} for row in rows}
    with hooked(tmp_path, {"consents": consents, "job_duration_ms": 300}, rows) as (site, sandbox, _):
        manifest, status = once(site)
        assert (status, manifest["refreshed"]) == (0, 5)
        check_story(site, sandbox)
        jobs = dict(site.sql("SELECT consent, provider_job_id FROM v1_jobs"))
        assert jobs == {f"finq/{e['consent']}": e["job_id"] for e in sandbox.ledger()}
        assert site.sql("SELECT DISTINCT attempts FROM v1_jobs") == [(1,)]


@pytest.mark.parametrize("fault", ["none", "drop_after"])
def test_a_webhook_before_the_answer(tmp_path, fault):
    rows = finq_rows(5)
    consents = {row["id"]: {"create_faults": [fault]} for row in rows}
    scenario = {"consents": consents, "job_duration_ms": 20, "answer_delay_ms": 700}
    with hooked(tmp_path, scenario, rows) as (site, sandbox, front):
        manifest, status = once(site)
        assert (status, manifest["refreshed"]) == (0, 5)
        check_story(site, sandbox)
        jobs = dict(site.sql("SELECT consent, provider_job_id FROM v1_jobs"))
        assert jobs == {f"finq/{e['consent']}": e["job_id"] for e in sandbox.ledger()}


def test_a_registered_webhook_before_the_answer_is_kept_and_matched(tmp_path):
    scenario = {"job_duration_ms": 20, "answer_delay_ms": 700}
    with hooked(tmp_path, scenario, bud_rows(5)) as (site, sandbox, front):
        manifest, status = once(site)
        assert (status, manifest["refreshed"]) == (0, 5)
        check_story(site, sandbox)


def test_what_a_webhook_told_survives_a_kill(tmp_path):
    """Killed while the create is unanswered; the webhook is told to the next process, which is killed,
    too; the third one knows the job."""
    rows = finq_rows(3)
    scenario = {"job_duration_ms": 300, "answer_delay_ms": 5000}
    with hooked(tmp_path, scenario, rows) as (site, sandbox, front):
        first = site.start("once", log="daemon.log")
        wait_for(lambda: len(sandbox.ledger()) == 3, what="three jobs at the provider")
        first.kill()
        first.communicate()
        seen = len(front.seen)
        second = site.start("once", log="daemon.log")
        wait_for(
            lambda: {p for p, _, s in front.seen[seen:] if s == 204} != set() and len(front.seen) >= 3,
            what="webhooks to the second process",
        )
        second.kill()  # no poll was answered yet
        second.communicate()
        sandbox.change({"answer_delay_ms": 0})
        manifest, status = once(site)
        assert (status, manifest["refreshed"]) == (0, 3), verdicts(site)
        check_story(site, sandbox)


def test_what_is_not_ours_is_refused(tmp_path):
    (tmp_path / "other").mkdir()
    rows = finq_rows(1)
    with hooked(tmp_path, {}, rows) as (site, sandbox, front), hooked(tmp_path / "other", {}, rows) as (
        other,
        _,
        foreign_front,
    ):
        once(other)
        foreign = foreign_front.seen[0][0]
        # The first process has gone; a second one listens for this story alone.
        once(site)
        path, body, _ = front.seen[0]
        process = site.start("serve", log="daemon.log")
        try:
            wait_for(lambda: post(front.listener, path, body) == 204, what="the listener")
            at = front.listener
            token = path.rsplit("/", 1)[1]
            for place in range(len(token)):
                changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
                assert post(at, f"/webhooks/finq/{changed}", body) == 401, f"character {place}"
            assert post(at, foreign, foreign_front.seen[0][1]) == 401
            assert post(at, f"/webhooks/finq/{token}x", body) == 401
            assert post(at, f"/webhooks/finq/{token[:-1]}", body) == 401
            assert post(at, "/webhooks/finq/", body) == 401
            assert post(at, f"/webhooks/nobody/{token}", body) == 404
            assert post(at, "/webhooks/", body) == 404
            assert post(at, "/", body) == 404
            assert post(at, path, b"not json") == 400
            assert post(at, path, b"[" * 5000) == 400
            assert post(at, path, None, method="GET") == 405
            stored = site.one("SELECT count(*) FROM webhook")
            assert post(at, path, body) == 204
            assert site.one("SELECT count(*) FROM webhook") == stored + 1
        finally:
            assert end(process) == 0


def test_a_token_of_one_job_tells_nothing_of_another(tmp_path):
    """An id in the body that is not the job's own renames nothing."""
    rows = finq_rows(2)
    scenario = {"finqware": {"webhook": "none"}, "job_duration_ms": 1500}
    with hooked(tmp_path, {}, rows) as (site, _, front):
        once(site)
        bodies = [body for _, body, _ in front.seen]
        assert len(bodies) == 2
    folder = tmp_path / "two"
    folder.mkdir()
    with hooked(folder, merge(scenario, {"finqware": {"webhook": "final"}}), rows, completion=QUICK) as (
        site,
        sandbox,
        front,
    ):
        process = site.start("once", log="daemon.log")
        wait_for(lambda: len(sandbox.ledger()) == 2, what="two jobs")
        wait_for(lambda: len(front.seen) == 2, what="their webhooks")
        path = front.seen[0][0]
        for body in bodies:
            post(front.listener, path, body)
        output, _ = process.communicate(timeout=30)
        assert json.loads(output)["refreshed"] == 2
        jobs = dict(site.sql("SELECT consent, provider_job_id FROM v1_jobs"))
        assert jobs == {f"finq/{e['consent']}": e["job_id"] for e in sandbox.ledger()}
        check_story(site, sandbox)


def test_replays_do_no_harm(tmp_path):
    rows = finq_rows(5) + bud_rows(5)
    with hooked(tmp_path, {"webhook": {"duplicates": 2}}, rows) as (site, sandbox, front):
        manifest, status = once(site)
        assert (status, manifest["refreshed"]) == (0, 10)
        requests = sandbox.stats()["requests"]
        process = site.start("serve", log="daemon.log")
        try:
            for path, body, _ in list(front.seen):
                wait_for(lambda p=path, b=body: post(front.listener, p, b) == 204, what="an answer")
        finally:
            assert end(process) == 0
        assert sandbox.stats()["requests"] == requests, "a closed job is not asked about"
        assert site.one("SELECT count(*) FROM v1_jobs") == 10
        check_story(site, sandbox)


def test_a_flood_does_not_slow_the_night(tmp_path):
    """Some thousand webhooks about nobody, from eight senders at once."""
    rows = finq_rows(100) + bud_rows(100)
    wanted = 3000
    with hooked(tmp_path, {"job_duration_ms": {"min": 200, "max": 800}}, rows, completion=QUICK) as (
        site,
        sandbox,
        front,
    ):
        answers = []
        process = site.start("once", log="daemon.log")
        wait_for(lambda: len(sandbox.ledger()) > 0, what="the first job")
        at = front.listener
        started = time.monotonic()

        def flood(sender):
            for i in range(wanted // 8):
                body = json.dumps({"job_id": f"nobody-{sender}-{i}", "status": "job_completed"})
                answers.append(post(at, "/webhooks/finq", body.encode()))

        senders = [threading.Thread(target=flood, args=(i,)) for i in range(8)]
        for sender in senders:
            sender.start()
        output, _ = process.communicate(timeout=60)
        took = time.monotonic() - started
        for sender in senders:
            sender.join()
        assert json.loads(output)["refreshed"] == 200
        check_story(site, sandbox)
        told = [answer for answer in answers if answer is not None]
        assert told and set(told) == {204}, set(told)
        assert took < 30, f"{took:.1f} s for a night of a second or two"


def test_not_stored_is_not_acknowledged(tmp_path):
    """With a full disk a webhook is answered 503; when there is room, 204."""
    with hooked(tmp_path, {}, finq_rows(1)) as (site, sandbox, front):
        once(site)
        path, body, _ = front.seen[0]
        process = site.start("serve", log="daemon.log")
        try:
            wait_for(lambda: post(front.listener, path, body) == 204, what="the listener")
            limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
            assert post(front.listener, path, body) == 503
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)
            wait_for(lambda: post(front.listener, path, body) == 204, what="room again")
        finally:
            assert end(process) == 0


def test_webhooks_need_a_public_url(tmp_path):
    with hooked(tmp_path, {}, finq_rows(1)) as (site, _, _front):
        del site.settings["http"]["webhooks"]["public_url"]
        site.write()
        done = site.run("check", check=78)
        assert "public_url" in done.stderr
        assert re.search(r"refreshd\.yaml:\d+:\d+: error: ", done.stderr)
