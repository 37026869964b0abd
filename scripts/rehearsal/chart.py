"""Geometry of the report's timeline: modelled minutes become places, the template draws them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LABELS = 370.0  # width of the column of labels; all lengths in the drawing's own units
PLOT = 660.0
MARGIN = 90.0  # right of the plot, for the text behind the last bar
ROW = 22.0
HEAD = 26.0  # above the first row, for the axis
NARROWEST = 3.0
STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 240)
MOST_TICKS = 12
LONGEST_LABEL = 56  # characters: more would not fit into LABELS

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """One row of the drawing. `end_label` is written behind the bar."""

    label: str
    hint: str
    style: str
    x: float
    width: float
    y: float
    end_label: str

    @property
    def end(self) -> float:
        return self.x + self.width


@dataclass(frozen=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True)
class Segment:
    """A part of the row that says what people met."""

    x: float
    width: float
    style: str
    title: str
    text: str  # written into it where it is wide enough


@dataclass(frozen=True)
class Heading:
    y: float
    text: str


@dataclass(frozen=True)
class Drawing:
    width: float
    height: float
    bottom: float
    ticks: list[Tick]
    segments: list[Segment]
    bars: list[Bar]
    headings: list[Heading]


class Scale:
    """From modelled minutes to places."""

    def __init__(self, first: float, last: float) -> None:
        self.first = first
        self.last = max(last, first + 1.0)

    def x(self, minutes: float) -> float:
        share = (min(max(minutes, self.first), self.last) - self.first) / (self.last - self.first)
        return round(LABELS + share * PLOT, 1)

    def width(self, start: float, end: float) -> float:
        return round(max(self.x(end) - self.x(start), NARROWEST), 1)

    def ticks(self) -> list[Tick]:
        step = next((step for step in STEPS if (self.last - self.first) / step <= MOST_TICKS), STEPS[-1])
        places = range(0, int(self.last) + 1, step)
        return [Tick(self.x(place), "loss" if place == 0 else f"{place} min") for place in places]


def scale_of(events: Sequence[Event]) -> Scale | None:
    """A scale from shortly before the loss to the last end; None where the loss never came."""
    ends = [event["end_minutes"] for event in events if event["kind"] in ("phase", "resource") and event["end_minutes"]]
    if not ends and not any(event["kind"] == "phase" and event["end_minutes"] == 0 for event in events):
        return None
    return Scale(-1.0, max(ends, default=1.0) * 1.02)


def overview(events: Sequence[Event], scale: Scale, titles: Mapping[str, str]) -> Drawing:
    """What people met, and the phases below it."""
    bars: list[Bar] = []
    phases = {event["name"]: event for event in events if event["kind"] == "phase"}
    for name, title in titles.items():
        y = HEAD + ROW * (len(bars) + 2)
        bars.append(_phase(phases.get(name), name, title, scale, y))
    return _drawing(scale, bars, [], seen(events, scale))


def resources(events: Sequence[Event], scale: Scale, titles: Mapping[str, str]) -> Drawing:
    """Every operation of the deployment, by phase."""
    bars: list[Bar] = []
    headings: list[Heading] = []
    y = HEAD
    for phase, title in titles.items():
        own = [event for event in events if event["kind"] == "resource" and event["phase"] == phase]
        if not own:
            continue
        headings.append(Heading(y + ROW / 2, title))
        y += ROW
        for event in own:
            bars.append(_resource(event, scale, y))
            y += ROW
    return _drawing(scale, bars, headings, [], bottom=y)


def seen(events: Iterable[Event], scale: Scale) -> list[Segment]:
    """The row of what people met under the public name."""
    words = {"ok": "service", "crisis-page": "crisis page", "error": "error", "unreachable": "nothing"}
    found = []
    for event in events:
        if event["kind"] != "seen" or event["end_minutes"] <= scale.first or event["at_minutes"] >= scale.last:
            continue
        width = scale.width(event["at_minutes"], event["end_minutes"])
        text = words[event["state"]]
        span = f"{event['at_minutes']:.1f} to {event['end_minutes']:.1f} min"
        title = f"{text} from {event['region'] or 'nobody'}, {span}"
        x = scale.x(event["at_minutes"])
        found.append(Segment(x, width, event["state"], title, text if width > 7.5 * len(text) else ""))
    return found


def _phase(event: Event | None, name: str, title: str, scale: Scale, y: float) -> Bar:
    if event is None or event["end_minutes"] is None:
        reached = "" if event is None else "not reached"
        start = 0.0 if event is None else event["at_minutes"]
        width = 0.0 if event is None else scale.width(start, scale.last)
        return Bar(title, f"{title}: not reached", "failed", scale.x(start), width, y, reached or "never began")
    start, end = event["at_minutes"], event["end_minutes"]
    hint = f"{title}: {start:.1f} to {end:.1f} min"
    return Bar(title, hint, f"phase-{name}", scale.x(start), scale.width(start, end), y, f"{end:.1f}")


def _resource(event: Event, scale: Scale, y: float) -> Bar:
    start = event["at_minutes"]
    end = event["end_minutes"] if event["end_minutes"] is not None else scale.last
    kind = event["type"].rsplit(":", 1)[-1]
    label = f"{event['operation']} {kind} {event['name']}"
    ended = "failed" if event["failed"] else "interrupted" if event["end_minutes"] is None else f"{end - start:.1f}"
    style = f"phase-{event['phase']}" if event["end_minutes"] is not None and not event["failed"] else "failed"
    hint = f"{label}: {start:.1f} to {end:.1f} min after the loss"
    return Bar(_short(label), hint, style, scale.x(start), scale.width(start, end), y, ended)


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def _drawing(
    scale: Scale, bars: list[Bar], headings: list[Heading], segments: list[Segment], bottom: float | None = None
) -> Drawing:
    low = bottom if bottom is not None else HEAD + ROW * (len(bars) + 2)
    return Drawing(LABELS + PLOT + MARGIN, low + 8, low, scale.ticks(), segments, bars, headings)
