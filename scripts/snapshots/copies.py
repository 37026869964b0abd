"""Copies in the other region: begun once, whoever asks how often."""

from __future__ import annotations

from dataclasses import dataclass

from botocore.exceptions import ClientError

from scripts import console
from scripts.errors import IncompleteError, RefusedError
from scripts.promotion.failures import AGAIN
from scripts.promotion.record import Record
from scripts.snapshots import decisions
from scripts.snapshots.estate import counted
from scripts.snapshots.model import Snapshot
from scripts.snapshots.region import Region, code

MANUAL_AT_MOST = 100
COPIES_AT_ONCE = 20
"""What AWS allows a region unless more was asked for ("Quotas and constraints" and "Copying a DB snapshot", RDS)."""

OF_THE_CYCLE = 40
"""So many its thinning keeps at most (docs/decisions.md); what people take must leave it that room."""


@dataclass(frozen=True)
class CopyPlan:
    """The copy that is wanted: its name, whose it is, the key, and what is there of it (`found`) now."""

    to: Region
    name: str
    key_arn: str
    found: Snapshot | None

    def told(self) -> str:
        """What will be done, in words."""
        if self.found is not None and not self.found.failed:
            how = "is there already" if self.found.available else f"is in progress already ({self.found.percent} %)"
            return (
                f"copy {self.found.identifier} in {self.to.name} {how}, made by {self.found.copy.made_by or 'others'}"
            )
        again = "; the one that failed is removed" if self.found is not None else ""
        return f"copy {self.name} to {self.to.name}, encrypted with {self.key_arn}{again}"


def plan(original: Snapshot | None, name: str, to: Region, key_arn: str, there: list[Snapshot]) -> CopyPlan:
    """What is to be done for a copy. `original` is None while it is not made yet.

    Raises RefusedError where the name is taken by something else.
    """
    found = None if original is None else decisions.copy_of(original, there)
    taken = next((entry for entry in there if entry.identifier == name), None)
    if found is None and taken is not None:
        raise _taken(taken)
    return CopyPlan(to, name, key_arn, found)


def room(region: str, others: int) -> None:
    """Raises RefusedError where one more would take the room that the snapshot cycle needs."""
    most = MANUAL_AT_MOST - OF_THE_CYCLE
    if others >= most:
        raise RefusedError(
            f"{region} has {others} manual snapshots that the snapshot cycle did not make. One more could stop the "
            f"cycle: of the {MANUAL_AT_MOST} that AWS allows an account it needs {OF_THE_CYCLE}. Nothing was changed.",
            "Give up what is old: `dr snapshot prune`.",
        )


def begin(plan: CopyPlan, original: Snapshot, record: Record) -> Snapshot:
    """The copy, begun or found. Raises RefusedError where AWS allows no more."""
    found = plan.found
    if found is not None and found.failed:
        if not found.by_hand:
            raise _taken(found)
        plan.to.delete(found.identifier)
        record.add("failed copy removed", name=found.identifier, region=plan.to.name)
        found = None
    if found is None:
        found = _begin(plan, original)
        record.add("copy begun", name=found.identifier, region=plan.to.name, of=original.arn)
        console.note(f"began: {found.identifier} in {plan.to.name}")
    return found


def _begin(plan: CopyPlan, original: Snapshot) -> Snapshot:
    tags = decisions.copy_tags(plan.to.stack.stack, original)
    try:
        return plan.to.copy(original, plan.name, plan.key_arn, tags)
    except ClientError as error:
        if code(error) == "SnapshotQuotaExceeded":
            raise quota(plan.to, error) from error
        if code(error) != "DBSnapshotAlreadyExists":
            raise
        # A retry of a request whose answer was lost, or another run: it is the same copy, or something else's name.
        there = plan.to.snapshot(plan.name)
        if there is None or there.copy.copied_from != original.arn:
            raise _taken(there) from error
        if not (there.running or there.available):
            said = f"The failed copy {there.identifier} is not gone yet from {plan.to.name}; nothing was copied."
            raise IncompleteError(said, AGAIN) from error
        return there


def _taken(found: Snapshot | None) -> RefusedError:
    if found is None:
        return RefusedError("The copy's name was taken and is free again. Nothing was copied.", "Run this again.")
    return RefusedError(
        f"{found.identifier} exists in {found.region} and is {found.status}, but is no copy of this snapshot by "
        f"`dr snapshot` (made by {found.copy.made_by or 'others'}). Nothing was copied.",
        "Look whose it is: `dr snapshot list`.",
    )


def quota(region: Region, error: ClientError) -> RefusedError:
    """One message for both limits: AWS has one error for them."""
    manual, running = counted(region.snapshots())
    return RefusedError(
        f"{region.name} takes no more: {error.response['Error'].get('Message', '')} This platform has {manual} manual "
        f"snapshots there (AWS allows an account {MANUAL_AT_MOST} unless more was asked for) and {running} copies in "
        f"progress (at most {COPIES_AT_ONCE}).",
        "Wait for copies in progress, give up what is old (`dr snapshot prune`), or ask Service Quotas for more "
        "(RDS: Manual DB instance snapshots).",
    )


def incomplete(original: Snapshot, refused: RefusedError) -> IncompleteError:
    """The same once the snapshot itself was made."""
    return IncompleteError(
        f"{original.identifier} was made, but not copied: {refused.message}",
        f"{refused.hint or ''} Then: `dr snapshot copy {original.identifier} --apply`.".strip(),
    )
