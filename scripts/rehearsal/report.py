"""Turns a result and its events into one HTML file that needs nothing else: no script, no font, no picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from scripts.rehearsal import chart
from scripts.rehearsal.timeline import PHASES

TEMPLATE = "report.html.j2"
MOMENTS = {
    "before": "before the loss",
    "after_loss": "after the loss, nobody acted",
    "after_promotion": "after the promotion",
    "after_return": "after the region came back",
}


@dataclass(frozen=True)
class Tile:
    """One number against its limit. `share` of the limit in percent, at most 100; None without a limit."""

    title: str
    value: str
    note: str
    ok: bool
    share: float | None = None


def render(result: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> str:
    """The report of a result as written to result.json and events.jsonl."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(prose=prose, moment=moment)
    scale = chart.scale_of(events)
    return environment.get_template(TEMPLATE).render(
        r=result,
        tiles=tiles(result),
        moments=[(title, result["dns"][name]) for name, title in MOMENTS.items()],
        held=sum(check["ok"] for check in result["checks"]),
        overview=chart.overview(events, scale, PHASES) if scale else None,
        resources=chart.resources(events, scale, {**PHASES, "all": "everything else"}) if scale else None,
        remarks=[event for event in events if event["kind"] == "remark"],
        geometry=chart,
    )


def prose(text: str) -> Markup:
    """Escaped text in which `words between backticks` are shown as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just before


def moment(iso: str | None) -> str:
    """A moment as people read it."""
    return "–" if iso is None else f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC"


def tiles(result: Mapping[str, Any]) -> list[Tile]:
    """The numbers that matter most, first."""
    reached, limits = result["rto_minutes"], result["limits"]
    return [
        _limited("Crisis page", reached["crisis_page"], limits["crisis_page"], "after the loss, by itself"),
        _limited("RTO, critical services", reached["critical"], limits["critical"], "after the loss"),
        Tile("Everything runs", _minutes(reached["all"]), "after the loss", reached["all"] is not None),
        _limited("RPO, lost data", result["rpo_minutes"], limits["rpo_minutes"], "before the loss"),
        _rows(result["rows"]["committed_before"], result["rows"]["present_after"]),
        _none("Calls to the lost region", result["calls_to_lost_region_during_promotion"]),
        _none("Calls to a global control plane", result["global_control_plane_calls_during_promotion"]),
    ]


def _rows(committed: int, present: int | None) -> Tile:
    if present is None:
        return Tile("Rows after the restore", "not read", f"{committed:,} were committed before the loss", False)
    note = f"of {committed:,} committed before the loss; {committed - present:,} lost"
    return Tile("Rows after the restore", f"{present:,}", note, present > 0)


def _limited(title: str, minutes: float | None, limit: float, note: str) -> Tile:
    if minutes is None:
        return Tile(title, "never", f"at most {limit:g} min {note}", False, 100.0)
    return Tile(
        title,
        _minutes(minutes),
        f"of {limit:g} min at most, {note}",
        minutes <= limit,
        min(100.0, minutes / limit * 100),
    )


def _none(title: str, count: int | None) -> Tile:
    return Tile(
        title, "not counted" if count is None else str(count), "during the promotion; 0 is promised", count == 0
    )


def _minutes(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} min"
