"""Snapshots and copies of damaged data, marked so that no promotion restores them. They stay: they are evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from components.functions.snapshot_cycle.decisions import time_in_name
from scripts import console
from scripts.promotion.concurrently import NoAnswer, ask
from scripts.promotion.failures import EXPIRED, continuing
from scripts.promotion.record import Record
from scripts.restoring.moment import said
from scripts.snapshots.decisions import newest_usable
from scripts.snapshots.estate import SECONDS, Estate
from scripts.snapshots.model import Snapshot, named_after
from scripts.snapshots.region import Region, code


@dataclass
class Marked:
    """`names`: what was marked now, region and identifier. `silent`: regions that did not answer, and why."""

    names: list[dict[str, str]] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)


def damaged(entries: Iterable[Snapshot], base: str, restored: str, since: datetime) -> list[Snapshot]:
    """What holds data from after `since`, of the databases named after `base` but for the `restored` one."""
    return [
        entry
        for entry in entries
        if named_after(entry.copy.source_database, base)
        and entry.copy.source_database != restored
        and not entry.failed
        and not entry.copy.unusable
        and _later(entry, since)
    ]


def _later(entry: Snapshot, since: datetime) -> bool:
    """What is being taken has no time yet but the minute in its name; where even that is missing it is begun now."""
    if entry.data_time is not None:
        return entry.data_time > since
    named = time_in_name(entry.identifier)
    return named is None or named + timedelta(minutes=1) > since


def mark(estate: Estate, restored: str, since: datetime, record: Record) -> Marked:
    """Mark them in both regions. A peer that is silent is told and tolerated; the own region must answer."""
    marked = Marked()
    with continuing():
        _mark(estate.home, estate.home.snapshots(), estate, restored, since, record, marked)
    if estate.protected:
        try:
            _mark(estate.peer, _listed(estate.peer), estate, restored, since, record, marked)
        except (ClientError, BotoCoreError, NoAnswer) as silence:
            if isinstance(silence, ClientError) and code(silence) in EXPIRED:
                with continuing():
                    raise
            marked.silent[estate.peer.name] = str(silence)
            record.add("not marked", region=estate.peer.name, because=str(silence))
            console.warn(
                f"{estate.peer.name} did not answer: copies there of data from after {said(since)} are NOT marked. "
                f"Until they are, a promotion of {estate.peer.stack.stack} brings the damage back."
            )
    return marked


def _listed(region: Region) -> list[Snapshot]:
    answer = ask({"snapshots": region.snapshots}, SECONDS)["snapshots"]
    if isinstance(answer, Exception):
        raise answer
    return answer


def _mark(
    region: Region,
    entries: Iterable[Snapshot],
    estate: Estate,
    restored: str,
    since: datetime,
    record: Record,
    marked: Marked,
) -> None:
    for entry in damaged(entries, estate.home.stack.database, restored, since):
        region.mark_unusable(entry.arn, f"holds data from after {said(since)}")
        record.add("marked unusable", region=region.name, name=entry.identifier)
        console.note(f"{region.name}: {entry.identifier} is marked unusable")
        marked.names.append({"region": region.name, "name": entry.identifier})


def gap(estate: Estate, now: datetime) -> dict[str, Any] | None:
    """What a loss of the region would cost until the first copy of the new database is there: it is a full one.

    None where the stack sends no copies, or its peer does not answer.
    """
    if not estate.protected:
        return None
    answers: dict[str, Any] = dict(ask({"snapshots": estate.peer.snapshots, "key": estate.peer.key}, SECONDS))
    if any(isinstance(answer, Exception) for answer in answers.values()):
        return None
    newest = newest_usable(estate.peer.settings, answers["snapshots"], answers["key"])
    at = None if newest is None else newest.data_time
    return {
        "region": estate.peer.name,
        "newest_copy": None if newest is None else newest.identifier,
        "minutes": None if at is None else round((now - at).total_seconds() / 60, 1),
    }
