"""What `dr snapshot` continues, keeps and gives up, as pure functions of what it sees. Time is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from components import naming, origins
from components.facts import Facts
from components.functions.snapshot_cycle.decisions import stamped, time_in_name
from components.settings.stack import Settings
from scripts.snapshots.model import Database, Key, Snapshot, named_after
from scripts.snapshots.names import Reason

RETENTION = timedelta(days=30)
CONTINUES = timedelta(minutes=15)
"""How long a run that was interrupted is continued instead of a newer snapshot being taken: as long as the cycle lets
data grow old. What lies longer is too old to be what somebody wants before a deployment."""


# -- making -------------------------------------------------------------------------------------------------------
def tags(stack: str, reason: str, resource_id: str, copy_to: str | None) -> dict[str, str]:
    """Tags of a new snapshot. `copy_to`: the region it is to be copied to, so that a later run knows."""
    made = {
        **naming.tags(stack),
        naming.MADE_BY_TAG: naming.SNAPSHOT_BY_HAND,
        naming.SOURCE_TAG: resource_id,
        naming.REASON_TAG: reason,
    }
    return made if copy_to is None else {**made, naming.COPY_TO_TAG: copy_to}


def copy_tags(stack: str, original: Snapshot) -> dict[str, str]:
    """Tags of a copy in `stack`'s region. What is unusable there is unusable here: a promotion must pass over it."""
    kept = (naming.SOURCE_TAG, naming.UNUSABLE_TAG)
    return {
        **naming.tags(stack),
        naming.MADE_BY_TAG: naming.SNAPSHOT_BY_HAND,
        naming.REASON_TAG: original.reason or Reason.MANUAL,
        **{name: original.tags[name] for name in kept if name in original.tags},
    }


def copy_name(original: Snapshot) -> str:
    """A copy has its original's name; that of an automated snapshot no other may have."""
    if original.automated and original.data_time is not None:
        return stamped(original.copy.source_database, original.data_time)
    return original.identifier


def copy_of(original: Snapshot, elsewhere: Iterable[Snapshot]) -> Snapshot | None:
    """The copy of a snapshot among those of the other region; one that failed only where there is no other."""
    found = [entry for entry in elsewhere if entry.copy.copied_from == original.arn]
    return min(found, key=lambda entry: (entry.failed, not entry.available), default=None)


def continued(
    snapshots: Iterable[Snapshot],
    elsewhere: Sequence[Snapshot],
    database: Database,
    reason: Reason,
    now: datetime,
    copies: bool,
) -> Snapshot | None:
    """The snapshot that an interrupted run for the same reason left unfinished, or that this minute has already.

    Its tag says that it was to be copied, its name when it was begun.
    """
    found = []
    for entry in snapshots:
        begun = time_in_name(entry.identifier)
        if begun is None or not entry.by_hand or entry.failed or entry.reason != reason:
            continue
        if entry.copy.source_database != database.identifier or now - begun > CONTINUES:
            continue
        if entry.running or begun == _minute(now) or (copies and _misses_its_copy(entry, elsewhere)):
            found.append((begun, entry))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _misses_its_copy(entry: Snapshot, elsewhere: Sequence[Snapshot]) -> bool:
    copy = copy_of(entry, elsewhere)
    return naming.COPY_TO_TAG in entry.tags and (copy is None or not copy.available)


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


# -- giving up ----------------------------------------------------------------------------------------------------
def prunable(
    snapshots: Sequence[Snapshot], elsewhere: Iterable[Snapshot], stack_database: str, key: Key, now: datetime
) -> list[Snapshot]:
    """Which snapshots of one region and one stack's databases may go: failed ones and those past retention.

    Never: what `dr snapshot` did not make, what is being made or copied from, what is marked unusable (evidence), and
    the newest good one, whoever made it: without it nothing could be restored here. Where none is good (another key,
    say), that is a fault to be mended, and the newest complete one stays.
    """
    own = [entry for entry in snapshots if named_after(entry.copy.source_database, stack_database)]
    complete = [entry for entry in own if entry.available and not entry.automated and entry.data_time is not None]
    newest = max([e for e in complete if good(e, key)] or complete, key=_data_moment, default=None)
    sources = {entry.copy.copied_from for entry in elsewhere if entry.running}
    return sorted(
        (
            entry
            for entry in own
            if entry.by_hand
            and not entry.copy.unusable
            and entry is not newest
            and entry.arn not in sources
            and (entry.failed or _past_retention(entry, now))
        ),
        key=lambda entry: entry.identifier,
    )


def _data_moment(entry: Snapshot) -> float:
    return entry.data_time.timestamp() if entry.data_time is not None else 0.0


def _past_retention(entry: Snapshot, now: datetime) -> bool:
    return entry.available and entry.data_time is not None and now - entry.data_time > RETENTION


def good(entry: Snapshot, key: Key) -> bool:
    """Whether a database can be restored from a complete snapshot here. An automated one is none of them: it goes
    with its instance."""
    return (
        not entry.copy.unusable
        and entry.copy.made_by in naming.SNAPSHOT_MAKERS
        and entry.copy.encrypted
        and entry.copy.key_arn == key.arn
    )


# -- telling ------------------------------------------------------------------------------------------------------
def newest_usable(settings: Settings, snapshots: Iterable[Snapshot], key: Key) -> Snapshot | None:
    """What a promotion of the stack that stands by would restore, by the rule of the promotion itself."""
    facts = Facts(settings.account_id, (), (), key.arn, None)
    usable = [entry for entry in snapshots if origins.unusable_because(settings, entry.copy, facts) is None]
    return max(usable, key=_data_moment, default=None)


def rows(by_region: Mapping[str, Sequence[Snapshot]]) -> list[dict[str, Snapshot]]:
    """A snapshot and its copies side by side, by region; the newest data first, what has no time yet before them."""
    found: dict[tuple[str, str], dict[str, Snapshot]] = {}
    for region, snapshots in by_region.items():
        for entry in snapshots:
            # A second copy of the same original in one region is a line of its own.
            place = (entry.origin, "") if region not in found.get((entry.origin, ""), {}) else (entry.origin, entry.arn)
            found.setdefault(place, {})[region] = entry
    ordered = sorted(found.values(), key=_name)
    return sorted(ordered, key=_when, reverse=True)


def _name(row: Mapping[str, Snapshot]) -> str:
    return min(entry.identifier for entry in row.values())


def _when(row: Mapping[str, Snapshot]) -> float:
    times = [entry.data_time.timestamp() for entry in row.values() if entry.data_time is not None]
    return max(times, default=float("inf"))
