"""What the snapshot cycle decides, as pure functions of what it sees. No AWS calls, and no clock: time is given."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

KEEP_ALL = timedelta(hours=1)
KEEP_HOURLY = timedelta(days=1)
KEEP_DAILY = timedelta(days=7)
KEEP_WEEKLY = timedelta(days=30)
RUNNING = ("creating", "copying", "pending")
COPIES_OF_A_REGION = 20
"""So many copies AWS makes at a time to one region, whoever began them ("Copying a DB snapshot", RDS)."""
STAMP = re.compile(r"-snapshot-(\d{4}-\d{2}-\d{2}-\d{4})$")


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as far as the cycle is concerned. `data_time`: of its data, not of its copying."""

    identifier: str
    arn: str
    status: str
    automated: bool
    ours: bool
    unusable: bool
    source: str | None
    data_time: datetime | None

    @property
    def available(self) -> bool:
        return self.status == "available"


@dataclass(frozen=True)
class Database:
    """The primary's serving database."""

    identifier: str
    resource_id: str
    status: str


def stamped(database: str, at: datetime) -> str:
    """Identifier of a snapshot: `<db>-snapshot-YYYY-MM-DD-HHMM` in UTC."""
    return f"{database}-snapshot-{at.astimezone(UTC):%Y-%m-%d-%H%M}"


def time_in_name(identifier: str) -> datetime | None:
    """The minute that a name made by `stamped` carries. A snapshot in creation has no other time yet."""
    found = STAMP.search(identifier)
    return datetime.strptime(found.group(1), "%Y-%m-%d-%H%M").replace(tzinfo=UTC) if found else None


def due(snapshots: Iterable[Snapshot], now: datetime, every: timedelta) -> bool:
    """Whether the primary needs a new snapshot: none of ours is younger than `every` (by the minute in its name)."""
    times = [time_in_name(s.identifier) or s.data_time for s in snapshots if s.ours and s.status != "failed"]
    known = [time for time in times if time is not None]
    return not known or now.replace(second=0, microsecond=0) - max(known) >= every


def next_copy(source: Sequence[Snapshot], copies: Sequence[Snapshot], at_once: int) -> Snapshot | None:
    """The newest available snapshot of the primary that is newer than every copy here, or None.

    What others took is theirs to copy: a copy made here would carry our tag and be thinned as ours. Copies of it count,
    unless they failed. No more than `at_once` copies of ours run at the same time: the first copy of a database is a
    full one and can outlast many ticks. People's copies must not stop the cycle; the region's own limit does.
    """
    running = [copy for copy in copies if copy.status in RUNNING]
    if sum(copy.ours for copy in running) >= at_once or len(running) >= COPIES_OF_A_REGION:
        return None
    ours = [snapshot for snapshot in source if snapshot.ours or snapshot.automated]
    available = [snapshot for snapshot in ours if snapshot.available and not snapshot.unusable and snapshot.data_time]
    newest = max(available, key=_data_time, default=None)
    if newest is None:
        return None
    known = [_minute(copy) for copy in copies if copy.status != "failed"]
    return newest if not known or _minute(newest) > max(known) else None


def age(copies: Iterable[Snapshot], now: datetime) -> timedelta | None:
    """How old the data of the newest usable copy is; None without one."""
    times = [copy.data_time for copy in copies if copy.available and not copy.unusable and copy.data_time is not None]
    return now - max(times) if times else None


def _minute(snapshot: Snapshot) -> datetime:
    """By the minute in the name where there is one, so that a snapshot and its running copy compare equal."""
    named = time_in_name(snapshot.identifier)
    return named or _data_time(snapshot).replace(second=0, microsecond=0)


def _data_time(snapshot: Snapshot) -> datetime:
    return snapshot.data_time or datetime.min.replace(tzinfo=UTC)


def prunable(snapshots: Sequence[Snapshot], now: datetime, in_use: frozenset[str] = frozenset()) -> list[Snapshot]:
    """Which of our snapshots may go: failed ones, and those that thinning does not keep.

    Never touched: the newest available one, what is still being made, what is marked unusable (evidence), what is in
    use as the source of a running copy, and everything that the cycle did not make.
    """
    ours = [snapshot for snapshot in snapshots if snapshot.ours and not snapshot.automated and not snapshot.unusable]
    failed = [snapshot for snapshot in ours if snapshot.status == "failed"]
    ready = [s for s in ours if s.available and s.data_time is not None]
    kept = thinned([_data_time(snapshot) for snapshot in ready], now)
    newest = max(ready, key=_data_time, default=None)
    gone = [
        snapshot
        for snapshot in ready
        if _data_time(snapshot) not in kept and snapshot is not newest and snapshot.identifier not in in_use
    ]
    return sorted(failed + gone, key=lambda snapshot: snapshot.identifier)


def thinned(times: Iterable[datetime], now: datetime) -> set[datetime]:
    """The moments to keep: all of the last hour, one an hour for a day, one a day for 7, one a week for 30 days.

    Of each bucket the earliest stays, so that what is kept once is kept until its class ends.
    """
    moments = sorted(times)
    keep = {moment for moment in moments if now - moment <= KEEP_ALL}
    classes: list[tuple[timedelta, Callable[[datetime], str]]] = [
        (KEEP_HOURLY, lambda moment: f"{moment:%Y-%m-%d %H}"),
        (KEEP_DAILY, lambda moment: f"{moment:%Y-%m-%d}"),
        (KEEP_WEEKLY, lambda moment: f"{moment:%G-%V}"),
    ]
    for age, bucket in classes:
        first: dict[str, datetime] = {}
        for moment in moments:
            first.setdefault(bucket(moment.astimezone(UTC)), moment)
        keep |= {moment for moment in first.values() if now - moment <= age}
    return keep
