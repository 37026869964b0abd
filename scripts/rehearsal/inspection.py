"""Reads one fact each out of what a rehearsal recorded: calls, events, operations of the deployment, answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.clock import minutes
from sandbox.public import PublicClient, Unreachable
from scripts.pulumi_cli import EngineEvent, describe
from scripts.rehearsal.calls import PULL_FUNCTION, Call, is_pull
from scripts.rehearsal.evidence import DataMoment, Evidence, ReadBack
from scripts.rehearsal.sources import PROMISES, Source
from scripts.rehearsal.timeline import MARKER, UNCHANGED, Span
from scripts.rehearsal.writer import ROWS_PATH, RowWriter

RESTORED_FROM = "platform:restored-from"
TAKEN_OVER = "taken-over: yes"
# A recording is due at the standby when it was stored this many usual replication times before the loss.
REPLICATION_PATIENCE = 2.0

Event = Mapping[str, Any]


def read_back(client: PublicClient, rows: RowWriter) -> ReadBack:
    """All numbers through the public name, and the last one that was acknowledged before asking."""
    written = rows.rows[-1] if rows.rows else None
    try:
        answer = client.get(f"{ROWS_PATH}?after=0")
    except Unreachable:
        return ReadBack(None, [], None)
    if answer.status != 200:
        return ReadBack(answer.answered_by, [], None)
    accepted = written.seq if written is not None and written.region == answer.answered_by else None
    return ReadBack(answer.answered_by, [int(number) for number in json.loads(answer.body)], accepted)


def drift_in(event: EngineEvent) -> list[str]:
    """The change that one engine event of a refresh reports, if any."""
    found = event.get("resOutputsEvent") or event.get("resourcePreEvent")
    if not found or found["metadata"]["op"] in UNCHANGED:
        return []
    return [describe(found["metadata"]["op"], found["metadata"]["urn"])]


def restored_from(instance: Mapping[str, Any]) -> str | None:
    """The copy that an instance was made from, as the program noted it in a tag."""
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("TagList", [])}
    return tags.get(RESTORED_FROM)


def data_moment(e: Evidence) -> DataMoment | None:
    """Between which moments the data of a source without copies was fixed: about the latest time of the backups, which
    AWS tells to the second, or a replica's bound before the loss."""
    if e.source is Source.COPIES or not e.loss:
        return None
    if e.source is Source.BACKUPS:
        if e.backups_reach is None:
            return None
        second = 1 / e.speed
        reached = e.loss + (e.backups_reach - e.modelled_loss) / e.speed
        return DataMoment(reached - second, reached + second)
    return DataMoment(e.loss - PROMISES[e.source].rpo_minutes * 60 / e.speed, e.loss)


def missing_recordings(
    stored: Mapping[str, tuple[float, int]], present: Mapping[str, int], loss: float, speed: float
) -> tuple[int, list[str]]:
    """How many recordings had to be in the standby bucket (key -> size), and which of them are not, or not whole."""
    patience = REPLICATION_PATIENCE * minutes("s3.replicate") * 60 / speed
    due = {key: size for key, (moment, size) in stored.items() if moment <= loss - patience}
    return len(due), sorted(key for key, size in due.items() if present.get(key) != size)


def restore_began(calls: Iterable[Call], e: Evidence) -> float | None:
    """When the deployment asked for the restore, or for the promotion of the replica."""
    asked = (
        call.t
        for call in calls
        if call.operation == PROMISES[e.source].operation
        and call.region == e.standby_region
        and call.t >= e.promotion_start
    )
    return min(asked, default=None)


def pulls_after(calls: Iterable[Call], events: Iterable[Event], e: Evidence) -> int:
    """Calls of the pull function into the lost region between the restore's beginning and the promotion's end.

    Those of a run that had begun before count for nothing: switching a schedule off ends no run of its function.
    """
    began = e.restore_began
    if began is None:
        return 0
    runs = [
        (event["t"] - event["seconds"], event["t"])
        for event in events
        if event["kind"] == "function.invoked" and str(event["function"]).endswith(PULL_FUNCTION)
    ]
    return sum(
        is_pull(call)
        and call.region == e.lost_region
        and began <= call.t <= e.promotion_end
        and not any(start < began and call.t <= end for start, end in runs)
        for call in calls
    )


def targets_healthy(events: Iterable[Event], e: Evidence, critical: Iterable[str]) -> dict[str, float]:
    """When the first target of each critical service became healthy in the standby region after the promotion began."""
    first: dict[str, float] = {}
    names = sorted(critical)
    for event in events:
        if event["kind"] != "target.healthy" or event["region"] != e.standby_region or event["t"] < e.promotion_start:
            continue
        for name in names:
            if str(event["target_group"]).endswith(f"-{name}"):
                first.setdefault(name, float(event["t"]))
    return first


def takeover_said(events: Iterable[Event], spans: Iterable[Span], e: Evidence) -> tuple[float | None, float | None]:
    """When the first of the two witnesses may have spoken, and when both had.

    The load balancer says when its rule changed. The object's change lies within the deployment's operation on it: for
    "not too early" its beginning counts, for "both" its end.
    """
    rules = [
        float(event["t"])
        for event in events
        if event["kind"] == "alb.rule_changed"
        and event["region"] == e.standby_region
        and event["t"] >= e.promotion_start
        and str(event.get("body", "")).startswith(TAKEN_OVER)
    ]
    markers = [span for span in spans if span.kind == MARKER and not span.failed]
    begun = [*rules, *(span.start for span in markers)]
    ended = [span.end for span in markers if span.end is not None]
    both = max(min(rules), min(ended)) if rules and ended else None
    return min(begun, default=None), both
