# SPDX-License-Identifier: MIT
"""Stories share the helpers of tests/harness."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
