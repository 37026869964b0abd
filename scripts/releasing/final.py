"""The final snapshots of a database that is given up: one that is complete before anything else happens, and the one
that RDS takes while it deletes it.

Both are marked unusable, whatever they hold: what no longer serves is another history than what does, and a snapshot
of it would pass for the newest data. So no promotion takes it, and nothing prunes it (docs/restoring.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from components import naming
from scripts import console
from scripts.errors import IncompleteError
from scripts.promotion.failures import AGAIN, continuing
from scripts.promotion.record import Record
from scripts.releasing.target import Target
from scripts.snapshots import copies, decisions, waiting
from scripts.snapshots.create import BUSY_MINUTES
from scripts.snapshots.model import Database, Snapshot
from scripts.snapshots.region import Region, code

REASON = "final"
WHY = "final snapshot of a database that no longer served"
CONTINUES = timedelta(days=1)
"""How long one that an ended run left is good for the next: nobody writes to the database meanwhile."""


class _Busy(Exception):
    """RDS takes no snapshot now; later it does."""


def found(entries: Iterable[Snapshot], target: Target, now: datetime) -> Snapshot | None:
    """The one that an earlier run took, or is taking. Once the file says `released`, nothing can have served since."""
    own = [entry for entry in entries if _of(entry, target) and (entry.running or entry.available)]
    if not target.generation.released:
        own = [e for e in own if e.running or (e.data_time is not None and now - e.data_time < CONTINUES)]
    return max(own, key=lambda entry: entry.identifier, default=None)


def _of(entry: Snapshot, target: Target) -> bool:
    of_it = entry.copy.source_database == target.identifier and entry.by_hand and entry.reason == REASON
    source = entry.tags.get(naming.SOURCE_TAG)
    return of_it and (target.database is None or source == target.database.resource_id)


def take(home: Region, target: Target, database: Database, record: Record) -> Snapshot:
    """A complete one, an earlier run's where there is one."""
    with continuing():
        made = found(home.snapshots(), target, home.caller()[2]) or _begin(home, database)
    record.add("final snapshot", name=made.identifier, region=home.name, database=database.identifier)
    console.step(f"Waiting until {made.identifier} is complete", "minutes; what was written since the last counts")
    return waiting.until_available(home, made.identifier)


def _begin(home: Region, database: Database) -> Snapshot:
    """As soon as the database can: a backup or a modification may keep it busy."""
    attempts = Retrying(
        retry=retry_if_exception_type(_Busy),
        wait=wait_fixed(waiting.LOOK_EVERY),
        stop=stop_after_delay(BUSY_MINUTES * 60),
        reraise=True,
    )
    try:
        return attempts(_try, home, database)
    except _Busy as busy:
        said = f"{database.identifier} was busy for {BUSY_MINUTES:g} minutes ({busy}). It was not given up."
        raise IncompleteError(said, AGAIN) from busy


def _try(home: Region, database: Database) -> Snapshot:
    name = naming.release_snapshot(database.identifier, home.caller()[2])
    tags = {
        **decisions.tags(home.stack.stack, REASON, database.resource_id, None),
        naming.UNUSABLE_TAG: WHY,
    }
    try:
        return home.create(database.identifier, name, tags)
    except ClientError as error:
        if code(error) == "SnapshotQuotaExceeded":
            raise copies.quota(home, error) from error
        # A name that is taken is that of this minute: the answer to ours was lost, or somebody else's.
        if code(error) in ("InvalidDBInstanceState", "DBSnapshotAlreadyExists"):
            raise _Busy(error.response["Error"].get("Message", "")) from error
        raise


def mark(home: Region, target: Target, record: Record) -> None:
    """What RDS took while it deleted the database has no tags of ours."""
    with continuing():
        last = home.snapshot(naming.final_snapshot(target.identifier))
        if last is None or last.copy.unusable:
            return
        home.mark_unusable(last.arn, WHY)
    record.add("marked unusable", region=home.name, name=last.identifier)
    console.note(f"{home.name}: {last.identifier} is marked unusable")


def kept(home: Region, target: Target, taken: Snapshot) -> tuple[bool, str]:
    """Whether both are there, complete, and out of a promotion's way."""
    names = (taken.identifier, naming.final_snapshot(target.identifier))
    held, told = True, []
    for name in names:
        entry = home.snapshot(name)
        held = held and entry is not None and entry.available and entry.copy.unusable
        marked = "" if entry is None or entry.copy.unusable else f", without {naming.UNUSABLE_TAG}"
        told.append(f"{name} is {'gone' if entry is None else entry.status}{marked}")
    return held, "; ".join(told)
