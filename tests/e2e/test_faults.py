"""A few rows of the fault table on the real engine, in one sandbox of their own. Minutes."""

import json
import re
import subprocess
import sys

import pytest

from scripts.project import CHECKOUT

SECONDS = 900
# Twice refused before anything is changed, then stopped at the gate and once after the takeover; then it completes.
CHOSEN = ("secret-deleted", "address-quota-full", "image-lost-midway", "cache-failing")

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(SECONDS)
def test_each_fault_ends_as_its_row_says_and_the_last_run_completes() -> None:
    only = [argument for name in CHOSEN for argument in ("--only", name)]
    ended = subprocess.run(
        [sys.executable, "-m", "scripts.dr", "rehearse", "faults", "--seed", "11", *only],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=SECONDS - 60,
    )
    assert ended.returncode == 0, ended.stderr[-6000:]
    said = re.search(r"build/rehearsals/\S+-faults", ended.stderr)
    assert said is not None
    result = json.loads((CHECKOUT / said[0] / "result.json").read_text())
    assert {row["fault"]: (row["code"], row["served"]) for row in result["rows"]} == {
        "secret-deleted": (3, False),
        "address-quota-full": (3, False),
        "image-lost-midway": (6, False),
        "cache-failing": (6, True),
    }
    assert result["sandboxes"] == 1
    assert result["rows"][-1]["again"] == "promoted, verified, one database"
