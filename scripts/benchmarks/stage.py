"""The sandbox in which something is measured: both stacks up, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.supervisor import Sandbox
from scripts import console
from scripts.prerequisites.aws import explained
from scripts.rehearsal.scenario import RegionLoss
from scripts.rehearsal.sources import Source

SEED = 7  # always the same, so that two runs meet the same moments


@contextmanager
def both_stacks(speed: float, source: Source = Source.COPIES) -> Iterator[RegionLoss]:
    """A rehearsal that got as far as both stacks being up."""
    with Sandbox(speed=speed) as box, explained():
        rehearsal = RegionLoss(box, SEED, None, source)
        rehearsal.bring_up()
        yield rehearsal


def progress(done: int, count: int, what: str) -> None:
    console.note(f"{done} of {count}: {what}")
