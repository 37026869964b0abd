"""When what happened: phases, resources and remarks, shown live and kept for the report.

Moments are real (epoch seconds); what people see is modelled minutes since the loss.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from sandbox.clock import Clock
from scripts.pulumi_cli import EngineEvent, split_urn

# In the order in which they end when all goes well.
PHASES = {
    "loss": "region lost",
    "crisis-page": "crisis page under the public name",
    "engine": "preview, and start of the update",
    "restore": "database restored from the newest copy",
    "roles": "application roles and grants",
    "critical": "critical services answer, a write is accepted",
    "takeover": "takeover said by both witnesses",
    "all": "everything runs",
}
DATABASE = "aws:rds/instance:Instance"
INVOCATION = "aws:lambda/invocation:Invocation"
CRITICAL_LOGINS = "critical-logins"  # the standard services' logins come after the takeover
SERVICE = "aws:ecs/service:Service"
SERVICES = "services-"  # before the name of each
RULE = "aws:lb/listenerRule:ListenerRule"
MARKER = "aws:s3/bucketObjectv2:BucketObjectv2"
OPERATION_EVENTS = ("resourcePreEvent", "resOutputsEvent", "resOpFailedEvent")
# "replace" only announces a create-replacement and a delete-replaced: it does nothing itself.
NO_OPERATION = ("replace",)
UNCHANGED = ("same", "read", "refresh")


@dataclass
class Phase:
    """A phase of the recovery. `end` is when what it stands for held."""

    name: str
    title: str
    start: float | None = None
    end: float | None = None


@dataclass
class Span:
    """One operation of the deployment on one resource."""

    urn: str
    kind: str
    name: str
    operation: str
    phase: str
    start: float
    end: float | None = None
    failed: bool = False


@dataclass(frozen=True)
class Remark:
    t: float
    text: str


class Timeline:
    """Collects from several threads. `critical`: names of the critical services."""

    def __init__(self, clock: Clock, critical: frozenset[str]) -> None:
        self.clock = clock
        self.phases = {name: Phase(name, title) for name, title in PHASES.items()}
        self.spans: list[Span] = []
        self.remarks: list[Remark] = []
        self.loss: float | None = None
        self._critical = critical
        self._lock = threading.Lock()

    def minutes(self, moment: float | None) -> float | None:
        """Modelled minutes from the loss to a moment."""
        if moment is None or self.loss is None:
            return None
        return self.clock.minutes_between(self.loss, moment)

    def remark(self, text: str, t: float | None = None) -> None:
        with self._lock:
            self.remarks.append(Remark(time.time() if t is None else t, text))

    def begin(self, phase: str, t: float) -> None:
        with self._lock:
            found = self.phases[phase]
            found.start = t if found.start is None else min(t, found.start)

    def end(self, phase: str, t: float) -> None:
        """Mark the phase as reached; a later call moves its end."""
        with self._lock:
            found = self.phases[phase]
            found.start = t if found.start is None else found.start
            found.end = t if found.end is None else max(t, found.end)

    # -- what the deployment reports ----------------------------------------------------------------------------
    def engine_event(self, t: float, event: EngineEvent) -> None:
        """Take in one event of `pulumi up`; only names and moments are kept, never values.

        The preview that comes first reports the same kinds of events, marked as planning: nothing happens in it.
        """
        kind = next((kind for kind in OPERATION_EVENTS if kind in event), None)
        if kind is None or event[kind].get("planning"):
            return
        metadata = event[kind]["metadata"]
        if kind == "resourcePreEvent":
            self._started(t, metadata)
        else:
            self._finished(metadata["urn"], t, failed=kind == "resOpFailedEvent")

    def _started(self, t: float, metadata: dict[str, Any]) -> None:
        if metadata["op"] in (*UNCHANGED, *NO_OPERATION):
            return
        kind, name = split_urn(metadata["urn"])
        if kind.startswith(("platform:", "pulumi:")):  # components and providers do nothing by themselves
            return
        phase = phase_of(kind, name, self._critical)
        if self.phases["engine"].end is None:
            self.end("engine", t)
        with self._lock:
            self.spans.append(Span(metadata["urn"], kind, name, metadata["op"], phase, t))
        if phase in ("restore", "roles", "critical", "takeover"):
            self.begin(phase, t)

    def _finished(self, urn: str, t: float, failed: bool) -> None:
        with self._lock:
            open_spans = [span for span in self.spans if span.urn == urn and span.end is None]
            for span in open_spans:
                span.end, span.failed = t, failed
        for span in open_spans:
            if not failed and span.phase in ("restore", "roles", "takeover"):
                self.end(span.phase, t)  # "critical" ends when the public name answers

    def running(self) -> list[Span]:
        with self._lock:
            return [span for span in self.spans if span.end is None]

    def as_events(self) -> Iterator[dict[str, Any]]:
        """Everything as lines for events.jsonl."""
        for phase in self.phases.values():
            yield {"t": phase.start, "kind": "phase", **asdict(phase)}
        for span in self.spans:
            yield {"t": span.start, **asdict(span), "kind": "resource", "type": span.kind}
        for remark in self.remarks:
            yield {"t": remark.t, "kind": "remark", "text": remark.text}


def phase_of(kind: str, name: str, critical: frozenset[str]) -> str:
    """The phase that an operation belongs to; what the critical services don't need is part of "all"."""
    if kind == DATABASE:
        return "restore"
    if kind == INVOCATION and name.startswith(CRITICAL_LOGINS):
        return "roles"
    if kind == SERVICE and name.removeprefix(SERVICES) in critical:
        return "critical"
    if kind.startswith("pulumi-python:dynamic") or kind.endswith(":HealthyTargets"):
        return "critical"
    if kind in (RULE, MARKER):
        return "takeover"
    return "all"


# -- on the terminal ----------------------------------------------------------------------------------------------
def render(timeline: Timeline, now: float) -> RenderableType:
    """The state of all phases, and what is being worked on."""
    shown = Table(show_edge=False, pad_edge=False, box=None)
    for column in ("", "phase"):
        shown.add_column(column)
    shown.add_column("reached after", justify="right")
    shown.add_column("")
    for phase in timeline.phases.values():
        shown.add_row(*_row(timeline, phase, now))
    working = ", ".join(f"{span.operation} {span.name}" for span in timeline.running()[:4])
    since = timeline.minutes(now)
    head = f"{since:5.1f} modelled minutes since the loss" if since is not None else "before the loss"
    return Group(Text(head, style="bold"), shown, Text(working or " ", style="dim", overflow="ellipsis", no_wrap=True))


def _row(timeline: Timeline, phase: Phase, now: float) -> tuple[RenderableType, str, str, str]:
    if phase.end is not None:
        return Text("✓", style="green"), phase.title, told(timeline.minutes(phase.end)), ""
    if phase.start is not None:
        return Spinner("dots"), phase.title, "", f"[dim]for {told(timeline.clock.minutes_between(phase.start, now))}[/]"
    return Text("·", style="dim"), f"[dim]{phase.title}[/]", "", ""


def told(minutes: float | None) -> str:
    return "–" if minutes is None else f"{minutes:.1f} min"


class Display:
    """Shows a timeline while it fills: a live table on a terminal, else one line for each change."""

    def __init__(self, timeline: Timeline, console: Console) -> None:
        self._timeline = timeline
        self._console = console
        self._said: set[str] = set()
        self._remarks = 0

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Refresh until the block ends."""
        over = threading.Event()
        work = self._live if self._console.is_terminal else self._lines
        thread = threading.Thread(target=work, args=(over,), name="display", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(5)

    def _live(self, over: threading.Event) -> None:
        with Live(render(self._timeline, time.time()), console=self._console, refresh_per_second=8) as live:
            while not over.wait(0.25):
                live.update(render(self._timeline, time.time()))
            live.update(render(self._timeline, time.time()))

    def _lines(self, over: threading.Event) -> None:
        while not over.wait(0.25):
            self._say_news()
        self._say_news()

    def _say_news(self) -> None:
        for phase in self._timeline.phases.values():
            for edge, moment in (("begins", phase.start), ("reached", phase.end)):
                key = f"{phase.name} {edge}"
                if moment is None or key in self._said or (edge == "begins" and phase.start == phase.end):
                    continue
                self._said.add(key)
                after = told(self._timeline.minutes(moment))
                self._console.print(f"  {after:>10}  {edge:8} {phase.title}", markup=False)
        for remark in self._timeline.remarks[self._remarks :]:
            self._remarks += 1
            self._console.print(f"  {told(self._timeline.minutes(remark.t)):>10}  {remark.text}", markup=False)
