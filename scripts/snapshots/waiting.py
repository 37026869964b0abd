"""Waiting for a snapshot or a copy, with its progress: a bar on a terminal, else one line for each tenth."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from scripts import console
from scripts.errors import IncompleteError
from scripts.promotion.failures import AGAIN
from scripts.snapshots.model import Snapshot
from scripts.snapshots.region import Region

LOOK_EVERY = 5.0  # real seconds
# The first copy of a large database takes hours; botocore's own waiter gives up after 30 minutes.
PATIENCE_HOURS = 24.0


class Shown(Protocol):
    """Where progress is told."""

    def __call__(self, percent: int) -> None: ...


def until_available(region: Region, identifier: str) -> Snapshot:
    """The snapshot once it is complete. Raises IncompleteError for one that failed, disappeared or takes too long."""
    attempts = Retrying(
        retry=retry_if_result(lambda found: found is not None and found.running),
        wait=wait_fixed(LOOK_EVERY),
        stop=stop_after_delay(PATIENCE_HOURS * 3600),
    )
    with _showing(f"{identifier} in {region.name}") as show:

        def attempt() -> Snapshot | None:
            found = region.snapshot(identifier)
            if found is not None:
                show(100 if found.available else found.percent)
            return found

        try:
            found: Snapshot | None = attempts(attempt)
        except RetryError:
            said = f"{identifier} is not complete in {region.name} after {PATIENCE_HOURS:g} hours."
            raise IncompleteError(said, AGAIN) from None
    if found is None or not found.available:
        state = "has disappeared" if found is None else f"is {found.status}"
        raise IncompleteError(
            f"{identifier} {state} in {region.name}.",
            f"RDS says why in its events: aws rds describe-events --source-type db-snapshot --region {region.name}. "
            "Then run the same command again: it begins anew.",
        )
    return found


@contextmanager
def _showing(what: str) -> Iterator[Shown]:
    if not console.err.is_terminal:
        yield _Lines(what)
        return
    bar = Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=console.err,
    )
    with bar:
        yield _Bar(bar, bar.add_task(what, total=100))


class _Bar:
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def __call__(self, percent: int) -> None:
        self._bar.update(self._task, completed=percent)


class _Lines:
    def __init__(self, what: str) -> None:
        self._what, self._said, self._began = what, -1, time.monotonic()

    def __call__(self, percent: int) -> None:
        if percent // 10 == self._said:
            return
        self._said = percent // 10
        minutes = (time.monotonic() - self._began) / 60
        left = f", about {minutes * (100 - percent) / percent:.0f} min left" if 0 < percent < 100 else ""
        console.note(f"{self._what}: {percent} % after {minutes:.0f} min{left}")
