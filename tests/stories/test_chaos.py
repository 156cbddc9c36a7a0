# SPDX-License-Identifier: MIT
"""A short life of tests/prove/chaos.py; `make prove` does a minute."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "prove"))

import chaos  # noqa: E402


def test_kills_stops_reloads_pauses_and_triggers(tmp_path):
    seed = int(os.environ.get("PROVE_SEED", "20261121"))
    lived, complaints = chaos.prove(tmp_path, 60, seed, 15)
    assert not complaints, f"PROVE_SEED={seed} {lived.counts}\n" + "\n".join(complaints)
    assert sum(lived.counts.values()) > 5
