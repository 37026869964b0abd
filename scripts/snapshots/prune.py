"""`dr snapshot prune`: give up what `dr snapshot` made and what is past its retention, in both regions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scripts import console, project
from scripts.errors import IncompleteError, NotConfirmedError
from scripts.promotion.failures import AGAIN, EXPIRED, of_credentials
from scripts.promotion.record import Record
from scripts.snapshots import decisions
from scripts.snapshots.estate import Estate, Look, choose, look
from scripts.snapshots.model import Snapshot
from scripts.snapshots.recorded import recorded, show
from scripts.snapshots.region import code


@dataclass(frozen=True)
class Options:
    """How the command was called. `interactive`: somebody can be asked."""

    apply: bool
    confirm: str | None
    as_json: bool
    interactive: bool


def run(stack: str | None, options: Options) -> None:
    """The command. A dry run unless `options.apply`; then the stack's name has to be typed or given."""
    Prune(choose(project.load(project.here()), os.environ, stack), options).run()


class Prune:
    """One run of the command."""

    def __init__(self, estate: Estate, options: Options) -> None:
        self._estate = estate
        self._options = options
        self._stack = estate.home.stack.stack
        self._failures: list[str] = []

    def run(self) -> None:
        """Plan, and with --apply and the stack's name do it. Raises DrError.

        Both regions must answer: what is copied from, and what is left, is known only of both.
        """
        console.step(f"Looking at the snapshots of {self._stack} in both regions", "seconds")
        seen = look(self._estate, with_peer=True)
        planned = self._prunable(seen)
        self._tell(planned, seen)
        result: dict[str, Any] = {
            "command": "prune",
            "stack": self._stack,
            "applied": self._options.apply,
            "planned": [{"region": entry.region, "name": entry.identifier} for entry in planned],
            "deleted": [],
        }
        if not planned or not self._options.apply:
            show(result, self._options.as_json)
            console.done("Nothing to give up." if not planned else _DRY)
            return
        self._confirm()
        with recorded(self._stack, result, self._options.as_json) as record:
            self._delete(planned, record, result)
        console.done(f"{len(result['deleted'])} snapshots were given up.")

    def _prunable(self, seen: Look) -> list[Snapshot]:
        found: list[Snapshot] = []
        for region, other in (self._estate.regions, self._estate.regions[::-1]):
            own, elsewhere = seen.snapshots[region.name], seen.snapshots[other.name]
            base = self._estate.home.stack.database
            found += decisions.prunable(own, elsewhere, base, seen.keys[region.name], seen.now)
        return found

    def _tell(self, planned: list[Snapshot], seen: Look) -> None:
        for entry in planned:
            days = "" if entry.data_time is None else f", {(seen.now - entry.data_time).days} days old"
            console.note(f"{entry.region}: {entry.identifier} ({entry.status}{days}, {entry.reason or 'no reason'})")
        console.note(
            f"kept: what is younger than {decisions.RETENTION.days} days, the newest good one of each region, what is "
            "marked unusable or copied from, and all that others made"
        )

    def _confirm(self) -> None:
        typed = self._options.confirm
        if typed is None and self._options.interactive:
            typed = console.err.input(f"Type [bold]{self._stack}[/] to delete these for ever: ").strip()
        if typed != self._stack:
            raise NotConfirmedError(
                "Not confirmed: nothing was changed.", f"Type {self._stack}, or --confirm {self._stack}."
            )

    def _delete(self, planned: list[Snapshot], record: Record, result: dict[str, Any]) -> None:
        """Only what was shown and still may go: between the look and the confirmation the world went on."""
        still = {entry.arn for entry in self._prunable(look(self._estate, with_peer=True))}
        for entry in planned:
            if entry.arn not in still:
                console.note(f"{entry.region}: {entry.identifier} may no longer go: left alone")
                record.add("left alone", region=entry.region, name=entry.identifier)
            elif self._deleted(entry, record):
                result["deleted"].append({"region": entry.region, "name": entry.identifier})
        if self._failures:
            raise IncompleteError(f"Not everything was given up: {'; '.join(self._failures)}.", AGAIN)

    def _deleted(self, entry: Snapshot, record: Record) -> bool:
        region = next(found for found in self._estate.regions if found.name == entry.region)
        try:
            region.delete(entry.identifier)
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and code(error) in EXPIRED:
                raise of_credentials(str(error)) from error
            # The others do not depend on it.
            record.add("refused", region=entry.region, name=entry.identifier, error=str(error))
            self._failures.append(f"{entry.identifier} in {entry.region}: {error}")
            return False
        record.add("deleted", region=entry.region, name=entry.identifier)
        console.note(f"{entry.region}: deleted {entry.identifier}")
        return True


_DRY = "This was a dry run: nothing was changed. The same command with --apply does it."
