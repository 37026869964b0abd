"""`dr snapshot create`: a snapshot of the serving database, and its copy in the peer's region."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from components.functions.snapshot_cycle.decisions import stamped
from scripts import console, project
from scripts.errors import RefusedError
from scripts.promotion.record import Record
from scripts.snapshots import copies, decisions, waiting
from scripts.snapshots.copies import CopyPlan
from scripts.snapshots.estate import Estate, Look, choose, look, serving_database, usable_key
from scripts.snapshots.model import Database, Snapshot
from scripts.snapshots.names import Reason
from scripts.snapshots.recorded import recorded, show
from scripts.snapshots.region import code

# The daily backup and the cycle's snapshots keep the database busy for minutes, a modification for longer.
BUSY_MINUTES = 60.0


@dataclass(frozen=True)
class Options:
    """How the command was called. `copy`: to the peer's region, where the stack protects itself there."""

    reason: Reason
    copy: bool
    wait: bool
    apply: bool
    as_json: bool


def run(stack: str | None, options: Options) -> None:
    """The command. A dry run unless `options.apply`."""
    Create(choose(project.load(project.here()), os.environ, stack), options).run()


class _Busy(Exception):
    """RDS takes no snapshot now; later it does."""


@dataclass(frozen=True)
class Plan:
    """`continued`: what an interrupted run left of the same; then nothing new is taken."""

    database: Database
    name: str
    continued: Snapshot | None
    copy: CopyPlan | None


class Create:
    """One run of the command."""

    def __init__(self, estate: Estate, options: Options) -> None:
        self._estate = estate
        self._options = options
        self._home = estate.home
        self._stack = estate.home.stack.stack
        self._copies = options.copy and estate.protected

    def run(self) -> None:
        """Plan, and with --apply do it. Raises DrError."""
        console.step(f"Looking at {self._stack} in {self._home.name}", "seconds")
        seen = self._look()
        plan = self._plan(seen)
        self._tell(plan)
        result = self._result(plan)
        if not self._options.apply:
            show(result, self._options.as_json)
            console.done("This was a dry run: nothing was changed. The same command with --apply does it.")
            return
        with recorded(self._stack, result, self._options.as_json) as record:
            self._apply(plan, record, result)
        console.done(self._outcome(result))

    # -- before -------------------------------------------------------------------------------------------------
    def _look(self) -> Look:
        try:
            return look(self._estate, with_peer=self._copies)
        except RefusedError as refused:
            if self._copies and f"{self._estate.peer.name} did not answer" in refused.message:
                hint = f"With {self._estate.peer.name} gone: --no-copy takes the snapshot alone."
                raise RefusedError(refused.message, hint) from refused
            raise

    def _plan(self, seen: Look) -> Plan:
        database = serving_database(seen, self._estate)
        if database.lost:
            raise RefusedError(
                f"{database.identifier} is {database.status}: RDS takes no snapshot of it. Nothing was changed.",
                "A restore from an earlier one needs none: `dr snapshot list`.",
            )
        usable_key(seen.keys, self._home)
        here = seen.snapshots[self._home.name]
        there = seen.snapshots.get(self._estate.peer.name, [])
        left = decisions.continued(here, there, database, self._options.reason, seen.now, self._copies)
        name = left.identifier if left is not None else stamped(database.identifier, seen.now)
        copy = self._copy_plan(seen, left, name, there) if self._copies else None
        if left is None:
            copies.room(self._home.name, seen.others[self._home.name])
        if copy is not None and copy.found is None:
            copies.room(copy.to.name, seen.others[copy.to.name])
        return Plan(database, name, left, copy)

    def _copy_plan(self, seen: Look, left: Snapshot | None, name: str, there: list[Snapshot]) -> CopyPlan:
        peer = self._estate.peer
        return copies.plan(left, name, peer, usable_key(seen.keys, peer), there)

    def _tell(self, plan: Plan) -> None:
        left, database = plan.continued, plan.database
        if left is None:
            console.note(f"snapshot {plan.name} of {database.identifier} ({database.allocated_storage} GiB)")
        else:
            console.note(f"continues {left.identifier} ({left.status}), which an earlier run began")
        console.note(f"reason {self._options.reason}, kept for {decisions.RETENTION.days} days in {self._home.name}")
        if left is None and not database.ready:
            console.note(f"{database.identifier} is {database.status}: that is waited for, up to {BUSY_MINUTES:g} min")
        if plan.copy is not None:
            console.note(plan.copy.told())
        elif self._options.copy:
            console.warn(f"{self._stack} protects itself nowhere (no `protects` in its settings): no copy is made.")
        else:
            console.note("no copy in another region (--no-copy): it is lost together with this one")

    # -- doing it -----------------------------------------------------------------------------------------------
    def _apply(self, plan: Plan, record: Record, result: dict[str, Any]) -> None:
        made = plan.continued if plan.continued is not None else self._take(plan, record)
        result |= {"snapshot": made.identifier, "status": made.status}
        if plan.copy is None:
            if self._options.wait:
                result["status"] = self._complete(made).status
            return
        # A copy can begin only once the snapshot is complete.
        original = self._complete(made)
        result["status"] = original.status
        try:
            there = copies.plan(
                original, original.identifier, plan.copy.to, plan.copy.key_arn, plan.copy.to.snapshots()
            )
            copy = copies.begin(there, original, record)
        except RefusedError as refused:
            raise copies.incomplete(original, refused) from refused
        if self._options.wait:
            copy = waiting.until_available(plan.copy.to, copy.identifier)
        result["copy"] = {"region": copy.region, "name": copy.identifier, "status": copy.status}

    def _complete(self, made: Snapshot) -> Snapshot:
        console.step(f"Waiting until {made.identifier} is complete", "minutes")
        return waiting.until_available(self._home, made.identifier)

    def _take(self, plan: Plan, record: Record) -> Snapshot:
        """Begin it, as soon as the database can. Its name is the minute at which RDS took it."""
        attempts = Retrying(
            retry=retry_if_exception_type(_Busy),
            wait=wait_fixed(waiting.LOOK_EVERY),
            stop=stop_after_delay(BUSY_MINUTES * 60),
        )
        try:
            made: Snapshot = attempts(self._begin, plan.database)
        except RetryError as error:
            raise RefusedError(
                f"{plan.database.identifier} was busy for {BUSY_MINUTES:g} minutes "
                f"({error.last_attempt.exception()}). Nothing was changed."
            ) from None
        record.add("snapshot begun", name=made.identifier, region=self._home.name, database=plan.database.identifier)
        console.note(f"began: {made.identifier} in {self._home.name}")
        return made

    def _begin(self, database: Database) -> Snapshot:
        _, _, now = self._home.caller()
        name = stamped(database.identifier, now)
        copy_to = self._estate.peer.name if self._copies else None
        tags = decisions.tags(self._stack, self._options.reason, database.resource_id, copy_to)
        try:
            return self._home.create(database.identifier, name, tags)
        except ClientError as error:
            if code(error) == "SnapshotQuotaExceeded":
                raise copies.quota(self._home, error) from error
            if code(error) == "InvalidDBInstanceState":
                raise _Busy(error.response["Error"].get("Message", "")) from error
            if code(error) != "DBSnapshotAlreadyExists":
                raise
            # A retry of a request whose answer was lost is ours; another one has the name for this minute only.
            found = self._home.snapshot(name)
            if found is not None and tags.items() <= found.tags.items():
                return found
            raise _Busy(f"{name} is another snapshot") from error

    # -- afterwards ---------------------------------------------------------------------------------------------
    def _result(self, plan: Plan) -> dict[str, Any]:
        left = plan.continued
        return {
            "command": "create",
            "stack": self._stack,
            "region": self._home.name,
            "database": plan.database.identifier,
            "reason": str(self._options.reason),
            "applied": self._options.apply,
            "snapshot": plan.name,
            "status": None if left is None else left.status,
            "continued": left is not None,
            "copy": None if plan.copy is None else {"region": plan.copy.to.name, "name": plan.name, "status": None},
        }

    def _outcome(self, result: dict[str, Any]) -> str:
        copy = result["copy"]
        copied = f"; its copy in {copy['region']} is {copy['status']}" if copy else ""
        return f"{result['snapshot']} is {result['status']} in {self._home.name}{copied}."
