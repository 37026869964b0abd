"""`dr snapshot list`: both regions side by side, and whether what a promotion would restore is young enough.

Neither region is waited for: what one of them does not tell is shown as unknown.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scripts import console, project
from scripts.errors import AwsError, CredentialsError
from scripts.project import Project
from scripts.promotion import findings
from scripts.promotion.concurrently import NoAnswer, ask
from scripts.snapshots import decisions, estate
from scripts.snapshots.model import Key, Snapshot
from scripts.snapshots.region import Region

SECONDS = 6.0  # real, for all questions together
EXPECTED = (ClientError, BotoCoreError, NoAnswer)
UNKNOWN = "?"
GIB = 1 << 30


@dataclass(frozen=True)
class Rpo:
    """Whether a promotion now would lose no more than planned, by the newest usable copy. None: not known."""

    stack: str
    met: bool | None
    text: str
    age_minutes: float | None = None
    planned_minutes: int | None = None
    copy: str | None = None


@dataclass
class Listing:
    """What both regions told. `silent`: by region, what it did not tell and why."""

    regions: list[Region]
    now: datetime | None = None
    snapshots: dict[str, list[Snapshot]] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    silent: dict[str, dict[str, findings.Finding]] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Snapshot]]:
        return decisions.rows(self.snapshots)


def run(as_json: bool) -> None:
    """Print what there is. Raises AwsError where a region did not tell everything, after all else was shown."""
    listing = look(project.load(project.here()), os.environ)
    promised = rpo(listing)
    if as_json:
        console.plain(json.dumps(document(listing, promised), indent=2, default=str))
    else:
        show(listing, promised)
    if not listing.silent:
        return
    found = [finding for by_question in listing.silent.values() for finding in by_question.values()]
    kind = CredentialsError if any(finding.refusal is CredentialsError for finding in found) else AwsError
    regions = " and ".join(listing.silent)
    raise kind(f"The list is incomplete: {regions} did not tell everything.", found[0].hint or None)


def look(facts: Project, environment: Mapping[str, str], seconds: float = SECONDS) -> Listing:
    """Ask both regions at once."""
    listing = Listing(estate.regions(facts, environment))
    questions: dict[str, Callable[[], Any]] = {}
    for region in listing.regions:
        questions |= {
            f"{region.name} time": region.caller,
            f"{region.name} snapshots": region.snapshots,
            f"{region.name} key": region.key,
        }
    for question, answer in ask(questions, seconds).items():
        name, _, what = question.partition(" ")
        if isinstance(answer, EXPECTED):
            listing.silent.setdefault(name, {})[what] = findings.failed(what, answer, name)
        elif isinstance(answer, Exception):
            raise answer
        elif what == "time":
            estate.refuse_others(answer[0], answer[1], listing.regions[0].stack)
            listing.now = listing.now or answer[2]
        elif what == "key":
            listing.keys[name] = answer
        else:
            listing.snapshots[name] = answer
    return listing


def rpo(listing: Listing) -> list[Rpo]:
    """For each stack that stands by; a serving stack without one is protected by nothing."""
    found = [_rpo(region, listing) for region in listing.regions if region.settings.standby]
    if found:
        return found
    names = " and ".join(region.stack.stack for region in listing.regions)
    return [Rpo(names, False, f"no stack stands by ({names} are configured as serving): nothing leaves its region")]


def _rpo(region: Region, listing: Listing) -> Rpo:
    name, planned = region.stack.stack, region.settings.database.rpo_minutes
    if region.name not in listing.snapshots or region.name not in listing.keys or listing.now is None:
        return Rpo(name, None, f"unknown: {region.name} did not tell", planned_minutes=planned)
    newest = decisions.newest_usable(region.settings, listing.snapshots[region.name], listing.keys[region.name])
    if newest is None or newest.data_time is None:
        text = f"no usable copy in {region.name}: a promotion of {name} would be refused"
        return Rpo(name, False, text, planned_minutes=planned)
    age = (listing.now - newest.data_time).total_seconds() / 60
    text = f"the newest usable copy in {region.name} is {age:.0f} min old, planned are {planned} ({newest.identifier})"
    return Rpo(name, age <= planned, text, age, planned, newest.identifier)


# -- for people ---------------------------------------------------------------------------------------------------
def show(listing: Listing, promised: list[Rpo]) -> None:
    names = [region.name for region in listing.regions]
    lines = [["snapshot", "data of (UTC)", "age", "size", "reason", *names]]
    lines += [_line(row, names, listing) for row in listing.rows()]
    console.columns(lines)
    if len(lines) == 1:
        console.plain("There is no snapshot." if listing.snapshots else "Nothing is known.")
    for entry in promised:
        met = {True: "met", False: "NOT MET", None: "unknown"}[entry.met]
        console.plain(f"RPO {met}: {entry.text}")
    for region, silent in listing.silent.items():
        for text in dict.fromkeys(finding.text for finding in silent.values()):
            console.plain(f"! {region}: {text}")


def _line(row: Mapping[str, Snapshot], regions: list[str], listing: Listing) -> list[str]:
    first = _first(row, regions)
    at = first.data_time
    return [
        first.identifier,
        UNKNOWN if at is None else f"{at:%Y-%m-%d %H:%M}",
        UNKNOWN if at is None or listing.now is None else _age((listing.now - at).total_seconds() / 60),
        _size(first),
        _why(first),
        *(_cell(row.get(region), first, region, listing) for region in regions),
    ]


def _first(row: Mapping[str, Snapshot], regions: list[str]) -> Snapshot:
    """The original where it is there, else its copy; one that knows its time before one that doesn't."""
    return min(
        row.values(),
        key=lambda entry: (entry.data_time is None, entry.origin != entry.arn, regions.index(entry.region)),
    )


def _age(minutes: float) -> str:
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 60 / 24:.0f} d"


def _size(entry: Snapshot) -> str:
    """AWS tells what is written only for some snapshots, else the size of the volume."""
    return f"{entry.copy.allocated_storage} GiB" if entry.full_bytes is None else f"{entry.full_bytes / GIB:.1f} GiB"


def _why(entry: Snapshot) -> str:
    return entry.reason or ("automated" if entry.automated else entry.copy.made_by or "others")


def _cell(entry: Snapshot | None, first: Snapshot, region: str, listing: Listing) -> str:
    if entry is None:
        return "-" if region in listing.snapshots else UNKNOWN
    parts = [
        f"{entry.status} {entry.percent} %" if entry.running else entry.status,
        _key(entry, listing.keys.get(region)),
    ]
    if entry.copy.unusable:
        parts.append("UNUSABLE")
    if entry.identifier != first.identifier:
        parts.append(f"as {entry.identifier}")
    return ", ".join(parts)


def _key(entry: Snapshot, key: Key | None) -> str:
    if not entry.copy.encrypted or entry.copy.key_arn is None:
        return "NOT ENCRYPTED"
    if key is None:
        return "key unknown"
    return "data key" if entry.copy.key_arn == key.arn else f"OTHER KEY {entry.copy.key_arn.rpartition('/')[2]}"


# -- for programs -------------------------------------------------------------------------------------------------
def document(listing: Listing, promised: list[Rpo]) -> dict[str, Any]:
    names = [region.name for region in listing.regions]
    return {
        "now": listing.now,
        "complete": not listing.silent,
        "regions": [
            {
                "region": region.name,
                "stack": region.stack.stack,
                "data_key": listing.keys[region.name].arn if region.name in listing.keys else None,
                "silent": {what: found.text for what, found in listing.silent.get(region.name, {}).items()},
            }
            for region in listing.regions
        ],
        "snapshots": [_entry(row, names, listing) for row in listing.rows()],
        "rpo": [vars(entry) for entry in promised],
    }


def _entry(row: Mapping[str, Snapshot], regions: list[str], listing: Listing) -> dict[str, Any]:
    first = _first(row, regions)
    at, now = first.data_time, listing.now
    return {
        "name": first.identifier,
        "database": first.copy.source_database,
        "data_time": at,
        "age_minutes": None if at is None or now is None else round((now - at).total_seconds() / 60, 1),
        "allocated_gib": first.copy.allocated_storage,
        "full_bytes": first.full_bytes,
        "reason": first.reason,
        "regions": {region: _place(row.get(region), region, listing) for region in regions},
    }


def _place(entry: Snapshot | None, region: str, listing: Listing) -> dict[str, Any] | None:
    if entry is None:
        return None if region in listing.snapshots else {"status": "unknown"}
    return {
        "name": entry.identifier,
        "status": entry.status,
        "percent": entry.percent,
        "made_by": entry.copy.made_by,
        "automated": entry.automated,
        "unusable": entry.copy.unusable,
        "encrypted": entry.copy.encrypted,
        "key": entry.copy.key_arn,
    }
