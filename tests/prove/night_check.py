# SPDX-License-Identifier: MIT
"""What must hold of a night whatever happened in it: the provider's ledger, the state database and
the reporting database tell one story. Each function answers a list of complaints; empty is good."""

from collections import defaultdict

OUTCOMES = (
    "refreshed",
    "partial",
    "deduplicated",
    "reconnect_required",
    "failed",
    "skipped",
    "unknown",
)


def slots(site, population):
    """Each finished run: one outcome per consent of the population (None: it changed on the way), and a
    manifest that adds up."""
    complaints = []
    counts = " + ".join(OUTCOMES)
    for run_id, due, accounted, reconciled, missed in site.sql(
        f"SELECT run_id, due, {counts}, reconciled, is_missed FROM v1_runs WHERE finished_at IS NOT NULL"
    ):
        if due != accounted or reconciled != 1:
            complaints.append(f"{run_id}: due {due}, accounted {accounted}, reconciled {reconciled}")
        if missed:
            continue
        seen = defaultdict(int)
        for consent, outcome in site.sql(
            "SELECT consent, outcome FROM v1_jobs WHERE run_id = ?"
            " UNION ALL SELECT consent, 'skipped' FROM v1_skips WHERE run_id = ?",
            run_id,
            run_id,
        ):
            seen[consent] += 1
            if outcome not in OUTCOMES:
                complaints.append(f"{run_id}: {consent} has the outcome {outcome}")
        complaints += [f"{run_id}: {c} has {n} outcomes" for c, n in seen.items() if n != 1]
        if len(seen) != due:
            complaints.append(f"{run_id}: due {due}, but {len(seen)} consents have a row")
        if population is None:
            continue
        if due == len(population):  # else `once` was asked for a part of it
            complaints += [f"{run_id}: {c} has no outcome" for c in sorted(population - set(seen))]
        complaints += [f"{run_id}: {c} is nobody" for c in sorted(set(seen) - population)]
    return complaints


def open_work(site):
    """Nothing is left over when all runs are finished."""
    complaints = [
        f"{uid} of {consent} is still {state}"
        for uid, consent, state in site.sql(
            "SELECT job_uid, consent, state FROM v1_jobs WHERE finished_at IS NULL"
        )
    ]
    complaints += [
        f"{run} is not finished" for (run,) in site.sql("SELECT run_id FROM v1_runs WHERE finished_at IS NULL")
    ]
    return complaints


def consent_keys(rows):
    """How the provider names a consent -> our name for it."""
    keys = {}
    for row in rows:
        name = f"{row['provider']}/{row['id']}"
        keys[row["id"] if not row.get("customer") else (row["customer"], row["institution"])] = name
    return keys


def consent_of(entry, keys):
    """Our name for the consent of a line of the ledger."""
    if entry.get("consent") is not None:
        return keys.get(entry["consent"])
    return keys.get((entry["customer"], entry["bank"]))


def overlaps(ledger, keys):
    """Two jobs of one consent that ran at one time."""
    complaints = []
    jobs = defaultdict(list)
    for entry in ledger:
        jobs[consent_of(entry, keys)].append(entry)
    for consent, entries in jobs.items():
        if consent is None:
            complaints.append(f"a job for somebody whom we do not know: {entries[0]}")
            continue
        entries.sort(key=lambda entry: entry["created_ms"])
        for one, two in zip(entries, entries[1:]):
            if one["finished_ms"] is None or two["created_ms"] < one["finished_ms"]:
                complaints.append(f"{consent}: {one['job_id']} and {two['job_id']} overlap")
    return complaints


def lost_jobs(site, ledger, keys):
    """Jobs that the provider accepted: followed, or recorded as in doubt. Answers the complaints
    and how many are in doubt."""
    known = {row[0] for row in site.sql("SELECT provider_job_id FROM v1_attempts")}
    known |= {row[0] for row in site.sql("SELECT provider_job_id FROM v1_jobs")}
    doubtful = {
        row[0] for row in site.sql("SELECT consent FROM v1_jobs WHERE outcome = 'unknown' AND reason = 'in_doubt'")
    }
    complaints = []
    in_doubt = 0
    for entry in ledger:
        if entry["job_id"] in known:
            continue
        consent = consent_of(entry, keys)
        if consent in doubtful:
            in_doubt += 1
        else:
            complaints.append(f"{consent}: the provider accepted {entry['job_id']}, nobody knows of it")
    return complaints, in_doubt


def reporting(site):
    """The reporting database says what the state database says."""
    complaints = []
    pairs = (
        (
            "closed jobs",
            "SELECT job_uid, run_id, consent, outcome, reason, attempts, finished_ms FROM v1_jobs"
            " WHERE finished_ms IS NOT NULL",
            "SELECT job_uid, run_id, consent, outcome, reason, attempts, finished_ms FROM fact_refresh",
        ),
        (
            "skips",
            "SELECT run_id, consent, reason FROM v1_skips WHERE consent IS NOT NULL",
            "SELECT run_id, consent, reason FROM fact_skip WHERE consent IS NOT NULL AND consent <> ''",
        ),
        (
            "manifests",
            f"SELECT run_id, due, {', '.join(OUTCOMES)} FROM v1_runs WHERE finished_ms IS NOT NULL",
            f"SELECT run_id, due, {', '.join(OUTCOMES)} FROM run_summary",
        ),
    )
    for name, ours, theirs in pairs:
        state_rows = sorted(site.sql(ours), key=repr)
        facts = sorted(site.sql(theirs, database=site.reporting), key=repr)
        if state_rows != facts:
            missing = [row for row in state_rows if row not in set(facts)]
            extra = [row for row in facts if row not in set(state_rows)]
            complaints.append(
                f"{name}: {len(state_rows)} in state, {len(facts)} in reporting;"
                f" missing {missing[:3]}, too many {extra[:3]}"
            )
    return complaints


def manifests(site, printed):
    """What `once` printed is what the views say."""
    complaints = []
    for manifest in printed:
        row = site.sql(
            f"SELECT due, {', '.join(OUTCOMES)} FROM v1_runs WHERE run_id = ?", manifest["run_id"]
        )
        told = tuple(manifest[name] for name in ("due", *OUTCOMES))
        if row != [told]:
            complaints.append(f"{manifest['run_id']}: printed {told}, v1_runs {row}")
    return complaints


def rules(sandbox, excused=()):
    """No rule of the provider was broken."""
    breaks = sandbox.stats()["rule_breaks"]
    names = {name: count for name, count in breaks["by_rule"].items() if count and name not in excused}
    return [f"rules broken: {names}: {breaks['examples']}"] if names else []


def verified(site):
    """`db verify` finds nothing."""
    done = site.run("db", "verify")
    return [] if done.returncode == 0 else [f"db verify: {done.returncode}\n{done.stdout}{done.stderr}"]


def everything(site, sandbox, rows, printed=(), excused=(), is_fixed=True):
    """All of it. `rows` are all consents that ever were; the population stayed what it was where it
    `is_fixed`. Answers the complaints and the number of jobs in doubt."""
    keys = consent_keys(rows)
    ledger = sandbox.ledger()
    complaints, in_doubt = lost_jobs(site, ledger, keys)
    complaints += open_work(site)
    complaints += slots(site, set(keys.values()) if is_fixed else None)
    complaints += overlaps(ledger, keys)
    complaints += reporting(site)
    complaints += manifests(site, printed)
    complaints += rules(sandbox, excused)
    complaints += verified(site)
    return complaints, in_doubt
