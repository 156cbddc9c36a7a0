# SPDX-License-Identifier: MIT
"""A small night in which every outcome happens, for the stories of lists, reports and reporting."""
from nights import QUICK_SCENARIO, Sandbox, bud, check_story, finqware, merge, plain_site, schedule

# What the sandbox says of a consent, and how its slot ends.
TABLE = {
    "finq/good-1": ({"result": "job_completed"}, ("refreshed", None)),
    "finq/good-2": ({"result": "job_completed"}, ("refreshed", None)),
    "finq/part": ({"result": "job_partially_completed"}, ("partial", None)),
    "finq/revoked": ({"state": "revoked"}, ("reconnect_required", None)),
    "finq/suspended": ({"state": "suspended"}, ("reconnect_required", None)),
    "finq/refused": (
        {"create_error": {"status": 409, "code": "=1+1"}},
        ("failed", "rejected"),
    ),
    "finq/broken": ({"result": "job_failed"}, ("failed", "job_failed")),
    "finq/hangs": ({"hang": True}, ("unknown", "lost")),
    "bud/good-3": ({}, ("refreshed", None)),
    "bud/timeout": ({"result": "provider_timeout"}, ("failed", "institution_error")),
    "bud/old": ({}, ("skipped", "expired")),
}
INSTITUTIONS = {"finq/good-2": "ING", "finq/part": "ING, Bank", "finq/broken": "ING"}


def institution(consent):
    return INSTITUTIONS.get(consent, "BRD" if consent.startswith("finq/") else "Bud_Bank")


def play(folder, **more):
    """One run over TABLE; answers the site with its manifest."""
    consents = {}
    rows = []
    for consent, (said, _) in TABLE.items():
        provider, name = consent.split("/")
        row = {"id": name, "provider": provider, "institution": institution(consent)}
        if provider == "bud":
            row["customer"] = f"u-{name}"
        if name == "old":
            row["expires"] = "2020-01-01"
        consents[row.get("customer", name)] = said
        rows.append(row)
    scenario = merge(QUICK_SCENARIO, {"shares": {"no_new_data": 0}, "consents": consents})
    with Sandbox(folder, scenario) as sandbox:
        give_up = {"completion": {"give_up_after": "2s"}}
        site = plain_site(
            folder,
            {"finq": finqware(sandbox, **give_up), "bud": bud(sandbox, **give_up)},
            rows,
            {"nightly": schedule(timezone="Pacific/Auckland"), "weekly": schedule(cron="0 1 * * 1")},
            **more,
        )
        site.manifest = site.once("--schedule", "nightly", check=1)[0]
        check_story(site, sandbox)
    return site
