"""What `dr status` and a dry run of `dr promote` tell of each source of data, on the real engine. Minutes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from components.settings.database import EXPECTED_LOSS_MINUTES
from sandbox.supervisor import Sandbox
from scripts.rehearsal.scenario import RegionLoss
from scripts.rehearsal.sources import PAIR_WITH_BACKUPS, Source, move_standby
from tests.e2e.commands import KENYA
from tests.e2e.shell import wait

SPEED = 60.0
SECONDS = 900
ROWS = {
    Source.COPIES: "will be restored from copy",
    Source.BACKUPS: "will be restored from replicated backups",
    Source.REPLICA: "will be promoted in place",
}

pytestmark = pytest.mark.e2e


@contextmanager
def standby_of(source: Source) -> Iterator[RegionLoss]:
    """Both stacks up, the standby with its source, and a copy beside it."""
    pair = {"standby_region": PAIR_WITH_BACKUPS[1]} if source is Source.BACKUPS else {}
    with Sandbox(speed=SPEED, **pair) as box:
        if pair:
            move_standby(box.project)
        found = RegionLoss(box, 7, None, source)
        found.bring_up()
        if source is not Source.COPIES:
            found.attach_source()
        found.waiting.until("a copy", found.world.copies, minutes=90)
        yield found


def dr(found: RegionLoss, *arguments: str) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-m", "scripts.dr", *arguments, "--json"],
        cwd=found.sandbox.project,
        env=found.sandbox.process_env(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("source", list(Source))
def test_status_and_plan_tell_the_source_that_a_promotion_takes(source: Source) -> None:
    with standby_of(source) as found:
        seen: dict[str, Any] = {}

        def complete() -> bool:
            """Its limits are short and this machine may be busy: then a part of it is unknown for once."""
            seen.update(dr(found, "status"))
            known = seen["data"] is not None and seen["data"]["source"] == source
            return known and seen["rpo_minutes"] is not None and seen["serving"] is not None

        wait(complete, 120, "a status")
        assert 0 <= seen["rpo_minutes"] <= EXPECTED_LOSS_MINUTES[source.value]
        assert seen["newest_copy"] is not None
        assert (seen["serving"], seen["since"] is not None) == ("kenya", True)
        assert next(view["region"] for view in seen["stacks"] if view["stack"] == "kenya") == KENYA

        plan = dr(found, "promote", "--primary-is-lost")
        assert plan["data"]["source"] == source
        assert 0 <= plan["lost_minutes"] <= EXPECTED_LOSS_MINUTES[source.value]
        assert [row for row in plan["findings"] if row["subject"] == "database" and ROWS[source] in row["text"]]
        assert ("promote the replica" in plan["expected"]["basis"]) is (source is Source.REPLICA)
        assert plan["plan"]["losses"] == []
