"""How far `pulumi up` has come, for whoever waits: a live table on a terminal, else one line for each change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from scripts.promotion.adoption import DATABASE
from scripts.promotion.record import Record
from scripts.pulumi_cli import EngineEvent, split_urn

ENGINE = "engine"
# In the order in which they end when all goes well.
PROMOTION = {
    ENGINE: "preview, and start of the update",
    "copies": "no more copies of the primary",
    "database": "database",
    "logins": "the critical services' logins",
    "services": "critical services start",
    "gate": "critical services answer at the load balancer",
    "takeover": "crisis page off, takeover said: the public name moves",
    "rest": "everything else",
}
OPERATION_EVENTS = ("resourcePreEvent", "resOutputsEvent", "resOpFailedEvent")
NOTHING_DONE = ("same", "read", "refresh", "replace")  # "replace" only announces two others
KINDS = {
    "aws:scheduler/schedule:Schedule": "copies",
    DATABASE: "database",
    "aws:ecs/service:Service": "services",
    "aws:lb/listenerRule:ListenerRule": "takeover",
    "aws:s3/bucketObjectv2:BucketObjectv2": "takeover",
}
LOOK_EVERY = 0.25  # real seconds
SHOWN_AT_ONCE = 4


@dataclass(frozen=True)
class Steps:
    """The steps of an update: their titles in order, and the one that an operation (type, name) belongs to."""

    titles: Mapping[str, str]
    of: Callable[[str, str], str]


@dataclass
class Operation:
    """One operation on one resource; moments in epoch seconds."""

    urn: str
    kind: str
    name: str
    what: str
    step: str
    start: float
    end: float | None = None
    failed: bool = False


class Progress:
    """Takes in the engine's events on its thread, shows them on another. `expected`: minutes until all is done."""

    def __init__(self, steps: Steps, expected: float, record: Record) -> None:
        self.started = time.time()
        self.operations: list[Operation] = []
        self._steps = steps
        self._expected = expected
        self._record = record
        self._lock = threading.Lock()

    def engine_event(self, t: float, event: EngineEvent) -> None:
        """Only names and moments are kept, never values. What the preview announces is left out."""
        kind = next((kind for kind in OPERATION_EVENTS if kind in event), None)
        if kind is None or event[kind].get("planning"):
            return
        metadata = event[kind]["metadata"]
        if kind == "resourcePreEvent":
            self._started(t, metadata)
        else:
            self._finished(metadata["urn"], t, failed=kind == "resOpFailedEvent")

    def _started(self, t: float, metadata: dict[str, Any]) -> None:
        kind, name = split_urn(metadata["urn"])
        if metadata["op"] in NOTHING_DONE or kind.startswith(("platform:", "pulumi:")):
            return
        operation = Operation(metadata["urn"], kind, name, metadata["op"], self._steps.of(kind, name), t)
        with self._lock:
            self.operations.append(operation)
        self._record.add("begun", operation=operation.what, type=kind, name=name, step=operation.step)

    def _finished(self, urn: str, t: float, failed: bool) -> None:
        with self._lock:
            open_ones = [found for found in self.operations if found.urn == urn and found.end is None]
            for found in open_ones:
                found.end, found.failed = t, failed
        for found in open_ones:
            seconds = round(t - found.start, 1)
            self._record.add("failed" if failed else "done", operation=found.what, name=found.name, seconds=seconds)

    # -- how far ------------------------------------------------------------------------------------------------
    def of_step(self, step: str) -> list[Operation]:
        with self._lock:
            return [found for found in self.operations if found.step == step]

    def running(self) -> list[Operation]:
        with self._lock:
            return [found for found in self.operations if found.end is None]

    def minutes(self, moment: float) -> float:
        return (moment - self.started) / 60

    def span(self, step: str) -> tuple[float | None, float | None]:
        """When a step began, and when the last of what began in it ended; None while something of it runs."""
        if step == ENGINE:
            return self.started, min((found.start for found in list(self.operations)), default=None)
        found = self.of_step(step)
        ends = [operation.end for operation in found if operation.end is not None and not operation.failed]
        complete = bool(found) and len(ends) == len(found)
        return min((operation.start for operation in found), default=None), max(ends) if complete else None

    # -- on the terminal ----------------------------------------------------------------------------------------
    @contextmanager
    def showing(self, console: Console) -> Iterator[None]:
        """Refresh until the block ends."""
        over = threading.Event()
        work = self._live if console.is_terminal else self._lines
        thread = threading.Thread(target=work, args=(console, over), name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(5)

    def render(self, now: float) -> RenderableType:
        shown = Table(show_edge=False, pad_edge=False, box=None, show_header=False)
        for step, title in self._steps.titles.items():
            shown.add_row(*self._row(step, title, now))
        working = ", ".join(f"{found.what} {found.name}" for found in self.running()[:SHOWN_AT_ONCE])
        left = self._expected - self.minutes(now)
        about = f"about {left:.0f} min left" if left >= 1 else "any moment now"
        head = Text(f"{self.minutes(now):5.1f} min, {about}", style="bold")
        return Group(head, shown, Text(working or " ", style="dim", overflow="ellipsis", no_wrap=True))

    def _row(self, step: str, title: str, now: float) -> tuple[RenderableType, str, str]:
        start, end = self.span(step)
        if any(found.failed for found in self.of_step(step)):
            return Text("✗", style="red"), title, "failed"
        if end is not None:
            return Text("✓", style="green"), title, f"after {self.minutes(end):.1f} min"
        if start is not None:
            return Spinner("dots"), title, f"[dim]for {(now - start) / 60:.1f} min[/]"
        return Text("·", style="dim"), f"[dim]{title}[/]", ""

    def _live(self, console: Console, over: threading.Event) -> None:
        with Live(self.render(time.time()), console=console, refresh_per_second=8) as live:
            while not over.wait(LOOK_EVERY):
                live.update(self.render(time.time()))
            live.update(self.render(time.time()))

    def _lines(self, console: Console, over: threading.Event) -> None:
        said: set[str] = set()
        while not over.wait(LOOK_EVERY):
            self._say_news(console, said)
        self._say_news(console, said)

    def _say_news(self, console: Console, said: set[str]) -> None:
        for step, title in self._steps.titles.items():
            for word, moment in zip(("begins", "done"), self.span(step), strict=True):
                if moment is not None and f"{step} {word}" not in said:
                    said.add(f"{step} {word}")
                    console.print(f"  {self.minutes(moment):6.1f} min  {word:6} {title}", markup=False)


def promotion(critical: frozenset[str]) -> Steps:
    """Of a promotion, with the names of its critical services."""
    return Steps(PROMOTION, lambda kind, name: step_of(kind, name, critical))


def step_of(kind: str, name: str, critical: frozenset[str]) -> str:
    """The step that an operation belongs to; what the critical services don't need is part of the rest."""
    if kind.endswith(":HealthyTargets") or kind.startswith("pulumi-python:dynamic"):
        return "gate"
    if name.startswith("critical-logins"):
        return "logins"
    if kind == "aws:ecs/service:Service" and name.removeprefix("services-") not in critical:
        return "rest"
    return KINDS.get(kind, "rest")
