"""Continues what an interrupted promotion left: removes its own dead lock, adopts what was being created, and lets the
state know of a replica that was promoted meanwhile.

No full refresh: that would read every resource, IAM, Route 53 and bucket configuration among them. Only what is
adopted, was promoted or was being changed by a freeze is read again, by its URN.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

from scripts import console
from scripts.errors import IncompleteError, LockedError
from scripts.promotion import adoption, leftovers, locks, replicas
from scripts.promotion.adoption import Found
from scripts.promotion.failures import AGAIN, continuing
from scripts.promotion.leftovers import Leftover
from scripts.promotion.record import Record
from scripts.promotion.site import Site

LOOK_EVERY = 2.0  # real seconds
PATIENCE_MINUTES = 240.0  # what the program gives a restore
# An interrupted update of these is read again: whoever goes back to what was before would find nothing to change.
READ_AGAIN = ("aws:ecs/service:Service", "aws:lb/listenerRule:ListenerRule", "aws:appautoscaling/target:Target")


@dataclass(frozen=True)
class Recovered:
    """`adopted`: what is in the state now; `again`: what the next deployment creates; `unclear`: look yourself;
    `promoted`: replicas that follow nothing any more."""

    adopted: dict[str, str]
    again: list[str]
    unclear: list[str]
    promoted: list[str]


class Recovery:
    """One run. `wait` sleeps (replaced in tests)."""

    def __init__(self, site: Site, record: Record, wait: Callable[[float], None] = time.sleep) -> None:
        self._site = site
        self._record = record
        self._wait = wait

    def run(self) -> Recovered | None:
        """Clear the way for `pulumi up`. None where nothing was left. Raises DrError for what it cannot clear."""
        with continuing():
            self._unlock()
            document = self._exported()
            left = leftovers.find(document)
            others = leftovers.others_pending(document)
            replicas.settle(self._site, document, self._wait)
            promoted = replicas.promoted(self._site, document)
            if not left and not others and not promoted:
                return None
            for other in others:
                console.note(f"was interrupted: {other}; pulumi up does it again")
            outcome = self._judge(left)
            adopted = self._adoptable(left, outcome)
            dropped = {urn for urn, found in outcome.items() if found is None}
            if left or others:
                self._refuse_changed(document)
                self._rewrite(leftovers.repaired(document, adopted, dropped), adopted)
            for item in promoted:
                console.note(f"{item.inputs['identifier']} follows no other database any more: read again")
            updating = leftovers.half_updated(document, READ_AGAIN)
            self._read_again({*adopted, *(item.urn for item in (*promoted, *updating))})
            return Recovered(
                adopted,
                [item.name for item in left if item.urn in dropped],
                [item.name for item in left if item.urn not in outcome and item.id is None],
                [item.name for item in promoted],
            )

    def read_again(self, kinds: tuple[str, ...]) -> None:
        """Let the state know what all resources of these types are now; regional ones, so it needs no other region."""
        with continuing():
            document = self._exported()
            self._read_again({item.urn for kind in kinds for item in leftovers.of_type(document, kind)})

    @property
    def _stack(self) -> str:
        return self._site.stack.stack

    def _unlock(self) -> None:
        """Looked at again, now that it counts: between the preflight and here somebody may have begun."""
        for lock in self._site.locks():
            if not locks.ours_and_dead(lock):
                raise LockedError(*locks.refusal(lock, self._stack))
            self._site.remove_lock(lock)
            self._record.add("lock removed", key=lock.key, holder=lock.holder)
            console.note(f"removed the lock of {lock.holder}")

    def _judge(self, left: list[Leftover]) -> dict[str, Found | None]:
        """By URN: what stands in AWS, None where the create is simply done again; absent where nobody can tell."""
        outcome: dict[str, Found | None] = {}
        for item in left:
            if adoption.known(item.kind):
                outcome[item.urn] = adoption.find(self._site, item)
            elif item.kind in adoption.REPEATABLE:
                outcome[item.urn] = None
            elif item.id is None:
                console.warn(
                    f"{item.name} ({item.kind}) was being created and is not recorded. pulumi up creates it; if AWS "
                    f"says that it exists, name it: pulumi import {item.kind} {item.name} ID -s {self._stack}"
                )
            self._record.add("left over", name=item.name, type=item.kind, found=str(outcome.get(item.urn)))
        return outcome

    def _adoptable(self, left: list[Leftover], outcome: dict[str, Found | None]) -> dict[str, str]:
        """URN -> id of what stands, once each is usable. Raises IncompleteError for what is not ours or broken."""
        adopted = {}
        for item in left:
            found = outcome.get(item.urn)
            if found is None:
                continue
            if not found.ours:
                raise IncompleteError(
                    f"{found.name} exists in {self._site.region}, but its tags do not say that it belongs to "
                    f"{self._stack}: it is left alone.",
                    "Find out whose it is. If it is this promotion's, give it the tag Stack and run this again.",
                )
            adopted[item.urn] = self._until_usable(item, found).id
            console.note(f"adopted {found.name} ({item.kind}), which was being created")
            self._record.add("adopted", name=found.name, type=item.kind, id=found.id)
        return adopted

    def _until_usable(self, item: Leftover, found: Found) -> Found:
        deadline = time.monotonic() + PATIENCE_MINUTES * 60
        if not found.ready:
            console.step(f"Waiting until {found.name} is available (now {found.status})", "up to half an hour")
        while not found.ready:
            if found.lost or time.monotonic() > deadline:
                raise IncompleteError(
                    f"{found.name} is {found.status} and cannot serve.",
                    f"Look at the events of this {item.kind} in the console. Once it is deleted, run this again: it is "
                    "made anew.",
                )
            self._wait(LOOK_EVERY)
            again = adoption.find(self._site, item)
            if again is None:
                raise IncompleteError(f"{found.name} has disappeared while it was waited for.", "Run this again.")
            found = again
        return found

    def _refuse_changed(self, before: leftovers.Document) -> None:
        """Somebody may have deployed while this waited for AWS: writing the state of before would forget theirs."""
        self._unlock()
        if self._exported() != before:
            raise IncompleteError(f"Somebody deployed {self._stack} meanwhile: its state is not written.", AGAIN)

    def _exported(self) -> leftovers.Document:
        document: leftovers.Document = json.loads(self._site.cli.run("stack", "export", "--stack", self._stack).stdout)
        return document

    def _rewrite(self, document: leftovers.Document, adopted: dict[str, str]) -> None:
        """Write the state."""
        with tempfile.TemporaryDirectory(prefix="dr-promote-") as directory:
            file = Path(directory) / "state.json"
            file.write_text(json.dumps(document))
            self._site.cli.run("stack", "import", "--stack", self._stack, "--file", str(file))
        self._record.add("state repaired", adopted=sorted(adopted))

    def _read_again(self, urns: Set[str]) -> None:
        """Let pulumi read from AWS what these are now, and nothing else."""
        if not urns:
            return
        targets = [argument for urn in sorted(urns) for argument in ("--target", urn)]
        self._site.cli.run("refresh", "--stack", self._stack, *targets, "--yes", "--skip-preview")
        self._record.add("refreshed", targets=sorted(urns))
