# SPDX-License-Identifier: MIT
"""A small night of tests/prove/kill9.py: `kill -9` at random moments, and nothing is lost, doubled or
overstepped. `make prove` does 200."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "prove"))

import kill9  # noqa: E402


@pytest.mark.parametrize("mode, has_webhooks", [("once", True), ("serve", False)])
def test_killed_again_and_again(tmp_path, mode, has_webhooks):
    seed = int(os.environ.get("PROVE_SEED", "20261121"))
    night, complaints, _ = kill9.prove(tmp_path, mode, has_webhooks, 150, seed, 8)
    assert not complaints, f"PROVE_SEED={seed}\n" + "\n".join(complaints)
    assert night.kills >= 4, "the night was over too soon for this to say anything"
    assert night.unanswered_kills > 0
