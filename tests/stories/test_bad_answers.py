# SPDX-License-Identifier: MIT
"""A provider that answers nonsense costs one slot, never the run: each kind of bad answer, at each
request, ends in the outcome that the contract names, and what was answered is kept."""

import pytest

from nights import (
    QUICK_SCENARIO,
    Sandbox,
    broken_rules,
    bud,
    check_story,
    dictionaries,
    finqware,
    merge,
    plain_site,
    requests_of,
    schedule,
    wait_for,
)

# The answer is lost or spoiled, and nobody knows whether a job was started.
DOUBTFUL = [
    "drop_before",
    "drop_after",
    "reset_after",
    "truncated_length",
    "truncated_close",
    "huge_body",
    "invalid_json",
    "wrong_types",
    "empty_body",
    "not_http",
    "gzip_bomb",
    "redirect",
]
# The provider says that it did nothing, and that it may do later.
PASSING = ["http_500", "http_500_message", "http_503"]
# Late but right.
HARMLESS = ["slow"]
FINAL = {"unknown_code": ("failed", "rejected")}

SCENARIO = merge(QUICK_SCENARIO, {"huge_bytes": 64 * 1024 * 1024, "slow_ms": 300})


def population(names, provider="p"):
    return [
        {"id": f"c-{name}", "provider": provider, "institution": f"bank-{name}", "customer": f"u-{name}"}
        for name in names
    ]


def faults(names, request):
    """Each consent meets the fault that it is named after, once."""
    consents = {}
    for name in names:
        consents[f"c-{name}"] = consents[f"u-{name}"] = {f"{request}_faults": [name]}
    return consents


def outcomes(site):
    return {
        row["consent"][len("p/c-") :]: (row["outcome"], row["reason"])
        for row in dictionaries(site, "SELECT * FROM v1_jobs")
    }


def entry_of(api, sandbox, **more):
    if api == "finqware":
        return finqware(sandbox, **more)
    return bud(sandbox, version=int(api[-1]), **more)


@pytest.mark.parametrize("api", ["finqware", "bud-v1", "bud-v2"])
def test_every_bad_answer_to_an_initiation_costs_one_slot(tmp_path, api):
    names = DOUBTFUL + PASSING + HARMLESS + list(FINAL) + ["none"]
    scenario = merge(SCENARIO, {"consents": faults(names, "create")})
    if api == "finqware":
        # no answer shows whose job it is, and a second create would be refused
        names.append("other_id")
        scenario["consents"].update(faults(["other_id"], "create"))
    with Sandbox(tmp_path, scenario) as sandbox:
        site = plain_site(tmp_path, {"p": entry_of(api, sandbox)}, population(names))
        manifest = site.once(check=1)[0]
        assert manifest["due"] == len(names)
        expected = {name: ("refreshed", None) for name in PASSING + HARMLESS + ["none"]}
        expected.update(FINAL)
        doubt = ("unknown", "in_doubt") if api == "finqware" else ("refreshed", None)
        expected.update({name: doubt for name in DOUBTFUL})
        if api == "finqware":
            expected["other_id"] = ("unknown", "in_doubt")
        assert outcomes(site) == expected
        check_story(site, sandbox)
        # the one request of a doubt is charged once, the refused ones are not
        for row in dictionaries(site, "SELECT consent, quota_used FROM v1_consents"):
            name = row["consent"][len("p/c-") :]
            assert row["quota_used"] == (0 if name in FINAL else 1), name
        sandbox.change({"consents": {}})


@pytest.mark.parametrize("api", ["finqware", "bud-v1", "bud-v2"])
def test_every_bad_answer_to_a_poll_is_asked_again(tmp_path, api):
    names = DOUBTFUL + PASSING + HARMLESS + ["other_id", "unknown_code", "none"]
    scenario = merge(SCENARIO, {"consents": faults(names, "poll")})
    with Sandbox(tmp_path, scenario) as sandbox:
        site = plain_site(tmp_path, {"p": entry_of(api, sandbox)}, population(names))
        manifest = site.once(check=0)[0]
        assert outcomes(site) == {name: ("refreshed", None) for name in names}
        assert manifest["refreshed"] == len(names)
        assert site.one("SELECT max(attempts) FROM v1_jobs") == 1
        assert requests_of(sandbox, api, "create") == len(names)
        check_story(site, sandbox)


@pytest.mark.parametrize(
    "fault,reason",
    [
        ("http_500", "provider_error"),
        ("drop_after", "transport"),
        ("invalid_json", "bad_answer"),
        ("wrong_types", "bad_answer"),
        ("empty_body", "bad_answer"),
        ("other_id", "bad_answer"),
        ("huge_body", "bad_answer"),
        ("redirect", "bad_answer"),
    ],
)
def test_polls_that_never_succeed_end_unknown_with_their_cause(tmp_path, fault, reason):
    scenario = merge(SCENARIO, {"huge_bytes": 2000000, "faults": {"finqware": {"poll": {fault: 1}}}})
    with Sandbox(tmp_path, scenario) as sandbox:
        entry = finqware(sandbox, completion={"give_up_after": "1s"})
        site = plain_site(tmp_path, {"p": entry}, population(["a"]))
        assert site.once(check=1)[0]["unknown"] == 1
        assert outcomes(site) == {"a": ("unknown", reason)}
        check_story(site, sandbox)


@pytest.mark.parametrize(
    "fault,words",
    [
        ("invalid_json", ["nope"]),
        ("wrong_types", ["api_client_app", "job_id", "consent_id"]),
        ("not_http", []),
        ("huge_body", []),
        ("empty_body", []),
        ("unknown_code", ["purple_monkey"]),
    ],
)
def test_what_was_answered_is_kept_as_evidence(tmp_path, fault, words):
    scenario = merge(SCENARIO, {"consents": faults([fault], "create")})
    with Sandbox(tmp_path, scenario) as sandbox:
        site = plain_site(tmp_path, {"p": finqware(sandbox)}, population([fault]))
        site.once(check=1)
        attempt = dictionaries(site, "SELECT * FROM v1_attempts")[0]
        told = " ".join(str(attempt[key]) for key in ("body_head", "error_code", "error_message"))
        assert attempt["class"] and attempt["answered_at"]
        assert attempt["error_message"], "why it was no good is said in words"
        if words:
            assert any(word in told for word in words), told


def test_a_slow_answer_beyond_the_timeout_is_in_doubt(tmp_path):
    scenario = merge(SCENARIO, {"slow_ms": 3000, "consents": faults(["slow"], "create")})
    with Sandbox(tmp_path, scenario) as sandbox:
        providers = {
            "f": finqware(sandbox, timeouts={"request": "400ms"}),
            "b": bud(sandbox, timeouts={"request": "400ms"}),
        }
        rows = population(["slow"], "f") + population(["slow"], "b")
        site = plain_site(tmp_path, providers, rows)
        site.once(check=1)
        jobs = {row[0]: row[1:] for row in site.sql("SELECT consent, outcome, reason FROM v1_jobs")}
        assert jobs == {"f/c-slow": ("unknown", "in_doubt"), "b/c-slow": ("refreshed", None)}
        repeats = site.sql("SELECT is_repeat FROM v1_attempts WHERE consent = 'b/c-slow' ORDER BY 1")
        assert [row[0] for row in repeats] == [0, 1], "sent again exactly once"
        check_story(site, sandbox)


def test_doubt_that_repeats_itself_ends(tmp_path):
    """One re-POST per attempt: a provider that never answers is not asked for ever."""
    scenario = merge(SCENARIO, {"faults": {"bud-v1": {"create": {"drop_after": 1}}}})
    with Sandbox(tmp_path, scenario) as sandbox:
        site = plain_site(tmp_path, {"p": bud(sandbox)}, population(["a", "b"]))
        assert site.once(check=1)[0]["unknown"] == 2
        assert site.sql("SELECT DISTINCT outcome, reason FROM v1_jobs") == [("unknown", "in_doubt")]
        assert requests_of(sandbox, "bud-v1", "create") == 4
        assert site.one("SELECT max(quota_used) FROM v1_consents") == 1
        check_story(site, sandbox)


def test_a_consent_in_doubt_is_not_started_again_before_it_is_clear(tmp_path):
    scenario = merge(SCENARIO, {"consents": faults(["drop_after"], "create")})
    with Sandbox(tmp_path, scenario) as sandbox:
        site = plain_site(tmp_path, {"p": finqware(sandbox)}, population(["drop_after"]))
        site.once(check=1)
        manifest = site.once(check=0)[0]
        assert manifest["skipped"] == 1
        assert requests_of(sandbox, "finqware", "create") == 1
        check_story(site, sandbox)


def test_no_credential_follows_a_redirect(tmp_path):
    scenario = merge(SCENARIO, {"faults": {"redirect": 1, "bud": {"token": {"redirect": 1}}}})
    with Sandbox(tmp_path, scenario) as sandbox:
        providers = {"f": finqware(sandbox), "b": bud(sandbox)}
        rows = population(["a"], "f") + population(["a"], "b")
        schedules = {"nightly": schedule(deadline="2s")}
        site = plain_site(tmp_path, providers, rows, schedules)
        site.once(check=1)
        assert broken_rules(sandbox) == {}
        assert requests_of(sandbox, "finqware", "other") == requests_of(sandbox, "bud", "other") == 0


def test_passing_errors_are_tried_again_up_to_the_attempts(tmp_path):
    scenario = merge(SCENARIO, {"consents": {"c-a": {"create_faults": ["http_500"] * 2}}})
    scenario["consents"]["c-b"] = {"create_faults": ["http_503"] * 3}
    with Sandbox(tmp_path, scenario) as sandbox:
        site = plain_site(tmp_path, {"p": finqware(sandbox)}, population(["a", "b"]))
        site.once(check=1)
        rows = site.sql("SELECT consent, outcome, reason, attempts FROM v1_jobs ORDER BY consent")
        assert rows == [
            ("p/c-a", "refreshed", None, 3),
            ("p/c-b", "failed", "provider_error", 3),
        ]
        classes = site.sql(
            "SELECT http_status, class FROM v1_attempts WHERE consent = 'p/c-a' ORDER BY sent_ms"
        )
        assert [row[0] for row in classes] == [500, 500, 200]
        assert [row[1] for row in classes] == ["retry_later", "retry_later", "accepted"]
        check_story(site, sandbox)


@pytest.mark.parametrize("form", ["http_429", "http_429_date"])
@pytest.mark.parametrize("api", ["finqware", "bud-v1"])
def test_retry_after_blocks_only_its_institution(tmp_path, api, form):
    said = {"create_faults": [form]}
    scenario = merge(SCENARIO, {"retry_after_s": 2, "consents": {"c-x0": said, "u-x0": said}})
    with Sandbox(tmp_path, scenario) as sandbox:
        rows = population(["x0", "x1", "y0", "y1"])
        for row in rows:
            row["institution"] = row["id"][2]
        # one request at a time at each bank, so that the second of x comes after the refusal
        entry = entry_of(api, sandbox, institutions={"default": {"requests_in_flight": 1}})
        rows[0]["priority"] = 9
        site = plain_site(tmp_path, {"p": entry}, rows)
        assert site.once(check=0)[0]["refreshed"] == 4
        attempts = dictionaries(site, "SELECT * FROM v1_attempts ORDER BY sent_ms")
        refused = [row for row in attempts if row["http_status"] == 429]
        assert len(refused) == 1 and refused[0]["consent"] == "p/c-x0"
        raw = refused[0]["retry_after_raw"]
        assert raw == "2" if form == "http_429" else raw.endswith("GMT")
        assert refused[0]["class"] == "pushback"
        later = [row for row in attempts if row["consent"].startswith("p/c-x") and row is not refused[0]]
        assert later and all(row["sent_ms"] - refused[0]["answered_ms"] >= 1900 for row in later)
        others = [row for row in attempts if row["consent"].startswith("p/c-y")]
        assert all(row["sent_ms"] - refused[0]["answered_ms"] < 1500 for row in others)
        # a refusal like this uses up no attempt, and no quota
        assert site.one("SELECT max(quota_used) FROM v1_consents") == 1
        check_story(site, sandbox)


def test_a_pushback_without_a_time_waits_and_grows(tmp_path):
    said = {"create_faults": ["http_429_bare"] * 2}
    with Sandbox(tmp_path, merge(SCENARIO, {"consents": {"c-a": said}})) as sandbox:
        entry = finqware(sandbox, waits={"pushback": {"first": "1s", "max": "4s"}})
        schedules = {"nightly": schedule(retry={"attempts": 1})}
        site = plain_site(tmp_path, {"p": entry}, population(["a"]), schedules)
        assert site.once(check=0)[0]["refreshed"] == 1
        sent = [row[0] for row in site.sql("SELECT sent_ms FROM v1_attempts ORDER BY sent_ms")]
        assert len(sent) == 3
        assert sent[1] - sent[0] >= 950 and sent[2] - sent[1] >= 1900
        assert site.sql("SELECT DISTINCT retry_after_raw FROM v1_attempts") == [(None,)]
        check_story(site, sandbox)


def test_a_retry_after_beyond_the_deadline_is_skipped_with_pushback(tmp_path):
    said = {"create_faults": ["http_429"]}
    with Sandbox(tmp_path, merge(SCENARIO, {"retry_after_s": 86400, "consents": {"c-a": said}})) as sandbox:
        schedules = {"nightly": schedule(deadline="2s")}
        site = plain_site(tmp_path, {"p": finqware(sandbox)}, population(["a"]), schedules)
        assert site.once(check=0)[0]["skipped"] == 1
        assert outcomes(site) == {"a": ("skipped", "pushback")}
        assert site.sql("SELECT retry_after_raw FROM v1_attempts") == [("86400",)]


def test_the_body_cap_is_the_configured_one(tmp_path):
    """64 MB on every poll of many jobs at once: the daemon reads what it may, and no more."""
    scenario = merge(SCENARIO, {"faults": {"finqware": {"poll": {"next": ["huge_body"] * 6}}}})
    with Sandbox(tmp_path, scenario) as sandbox:
        entry = finqware(sandbox, body_max="64KiB")
        site = plain_site(tmp_path, {"p": entry}, population([f"a{i}" for i in range(6)]))
        process = site.start("once")
        peak = 0
        while process.poll() is None:
            try:
                for line in open(f"/proc/{process.pid}/status"):
                    if line.startswith("VmHWM:"):
                        peak = max(peak, int(line.split()[1]))
            except OSError:
                break
            wait_for(lambda: True)
        assert process.wait() == 0
        process.stdout.close()
        assert 0 < peak < 60 * 1024, f"{peak} KiB"
        assert set(outcomes(site).values()) == {("refreshed", None)}
        check_story(site, sandbox)
