"""How much data a loss of the primary costs at 20 moments, with the real snapshot cycle and durations that vary.

The copies are made by the deployed function on its real schedule. What it would cost to lose the region at a moment is
read from what had become *available* by then; at the last moment the region is really lost, and the program is asked
which copy it restores.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.clock import minutes
from scripts import console
from scripts.benchmarks.result import Result
from scripts.benchmarks.stage import SEED, both_stacks
from scripts.errors import SandboxError
from scripts.rehearsal.scenario import RegionLoss

LIMIT = 45.0  # modelled minutes; the plan allows 60
MINUTES_PER_MOMENT = 15.0  # a snapshot's period each, so that the moments are spread over many cycles
REDRAW = 5.0  # modelled minutes
# Assumption: now and then three times the clock's figure. AWS names none, and a copy's grows with what was changed.
SPREAD = (0.85, 3.0, 1.0)  # lowest, highest and most frequent factor
OPERATIONS = ("rds.snapshot", "rds.copy")
INSTANCE = "aws:rds/instance:Instance"


@dataclass(frozen=True)
class Copy:
    """A copy in the standby region, in modelled epoch seconds: when its data were current, when it could be used."""

    identifier: str
    taken: float
    available: float


def measure(speed: float, count: int) -> Result:
    """The worst of `count` seeded moments."""
    dice = random.Random(SEED)
    with both_stacks(speed) as rehearsal:
        console.step("Waiting for the first copy", "under a minute")
        rehearsal.waiting.until("a copy", lambda: copies(rehearsal), minutes=90)
        started = rehearsal.clock.epoch()
        window = count * MINUTES_PER_MOMENT
        moments = seeded(dice, started, count, window)
        console.step(f"The cycle runs for {window:g} modelled minutes", f"{rehearsal.clock.seconds(window):.0f} s")
        live_until(moments[-1], rehearsal, dice)
        cut = rehearsal.clock.epoch()
        rehearsal.sandbox.control("POST", "cut", region=rehearsal.project.primary.region)
        moments[-1] = cut
        made = copies(rehearsal)
        used = restored_by_program(rehearsal)
        rehearsal.sandbox.check_alive()
    return judged(moments, made, used)


def seeded(dice: random.Random, started: float, count: int, window: float) -> list[float]:
    """The moments in their order."""
    return sorted(started + dice.uniform(0, window) * 60 for _ in range(count))


def live_until(end: float, rehearsal: RegionLoss, dice: random.Random) -> None:
    """Let the cycle work, with other durations every few minutes."""
    while (left := (end - rehearsal.clock.epoch()) / 60) > 0:
        rehearsal.sandbox.control("DELETE", "faults", kind="duration")
        for operation in OPERATIONS:
            drawn = minutes(operation) * dice.triangular(*SPREAD)
            rehearsal.sandbox.control("POST", "faults", kind="duration", operation=operation, minutes=drawn)
        time.sleep(rehearsal.clock.seconds(min(left, REDRAW)))


def copies(rehearsal: RegionLoss) -> list[Copy]:
    """Every copy that became available in the standby region, whether or not it was pruned later."""
    standby = rehearsal.project.standby.region
    return copies_in(rehearsal.world.events(), standby)


def copies_in(events: Iterable[dict[str, Any]], region: str) -> list[Copy]:
    return [
        Copy(
            event["snapshot"],
            datetime.fromisoformat(event["taken"]).replace(tzinfo=UTC).timestamp(),
            datetime.fromisoformat(event["modelled"]).timestamp(),
        )
        for event in events
        if event["kind"] == "snapshot.available" and event["copy"] and event["region"] == region
    ]


def newest_at(moment: float, made: Iterable[Copy]) -> Copy:
    """The copy that a restore begun at `moment` would use: one still being copied does not count."""
    usable = [copy for copy in made if copy.available <= moment]
    if not usable:
        raise SandboxError(f"No copy was available at {datetime.fromtimestamp(moment, UTC):%H:%M:%S}.")
    return max(usable, key=lambda copy: copy.taken)


def lost_minutes(moment: float, made: Sequence[Copy]) -> float:
    """Minutes of data that a loss at `moment` costs."""
    return (moment - newest_at(moment, made).taken) / 60


def restored_by_program(rehearsal: RegionLoss) -> str:
    """The snapshot from which a promotion would make the database now, as the program's own preview says."""
    stack = rehearsal.project.standby.stack
    rehearsal.cli.set_plain(stack, "standby", "false")
    console.step("The region is lost; a preview of the promotion says what it would restore", "about 15 s")
    return restored_in(rehearsal.cli.run("preview", "--stack", stack, "--json").stdout)


def restored_in(preview: str) -> str:
    """Raises SandboxError where the preview creates no database from a snapshot."""
    for step in json.loads(preview)["steps"]:
        state = step.get("newState") or {}
        if step["op"] == "create" and state.get("type") == INSTANCE:
            return str(state["inputs"]["snapshotIdentifier"])
    raise SandboxError("The preview of the promotion restores no database.")


def judged(moments: Sequence[float], made: Sequence[Copy], used: str) -> Result:
    """Raises SandboxError where the program restores another copy than the one that the figures rest on."""
    expected = newest_at(moments[-1], made).identifier
    if used != expected:
        raise SandboxError(f"The program would restore {used}, the newest available copy is {expected}.")
    lost = [lost_minutes(moment, made) for moment in moments]
    return Result(
        what=f"data lost by the worst of {len(moments)} moments, snapshot copies",
        unit="modelled min",
        figure=max(lost),
        against="the limit (the plan: 60)",
        reference=LIMIT,
        bound=1.0,
        details={
            "median": statistics.median(lost),
            "copies": len(made),
            "minutes lost": [round(one, 1) for one in lost],
            "the program restores": used,
        },
    )
