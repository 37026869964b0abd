"""`dr replay sync-queue`: let `sync` work off what it could not. Look, plan, confirmation, move, wait, evidence.

SQS itself moves the dead letters, at a rate; what it cannot do (leave out what must not be replayed) is done around it.
Everything by hand is in docs/replay.md. Running it again after whatever ended it continues.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from scripts import console, project
from scripts.errors import ChecksFailedError, DrError, IncompleteError, NotConfirmedError
from scripts.project import BUILD, CHECKOUT
from scripts.promotion import findings
from scripts.promotion.failures import AGAIN, continuing
from scripts.promotion.record import Record
from scripts.promotion.site import Site
from scripts.redrive import choosing, decisions, preflight, unreplayed
from scripts.redrive.decisions import Settling, State
from scripts.redrive.meter import Meter
from scripts.redrive.preflight import Before
from scripts.redrive.queues import Counts, Letter, Move, Place, Queues

REPLAYS = BUILD / "replays"
LEVELS = {"ok": "ok", "warning": "warning", "refused": "REFUSED"}
LOOK_EVERY = 2.0  # real seconds
LISTED_SECONDS = 60.0  # real; SQS may list a move only a while after it began
ALREADY = "already a task running"
NOTHING = "There is nothing to replay."


@dataclass(frozen=True)
class Options:
    """How the command was called. `interactive`: somebody can be asked."""

    apply: bool
    confirm: str | None
    rate: int
    sample: int
    show_bodies: bool
    as_json: bool
    interactive: bool


def run(stack: str | None, options: Options) -> None:
    """The command. A dry run unless `options.apply`; then the stack's name has to be typed or given."""
    facts = project.load(project.here())
    replay = Replay(Site(facts, choosing.choose(facts, stack, os.environ), os.environ), options)
    if options.apply:
        replay.apply()
    else:
        replay.rehearse()


class Replay:
    """One run of the command."""

    def __init__(self, site: Site, options: Options) -> None:
        self.site = site
        self.options = options
        self.stack = site.stack.stack
        self.queues = Queues(site)
        self.before = Before()
        self.moved = 0
        self.resumed = False
        self.settled = False
        self.left: list[Letter] = []
        self.hidden = 0  # letters that somebody else holds at the end
        self.file: Path | None = None

    # -- before -------------------------------------------------------------------------------------------------
    def look(self) -> None:
        """What there is, and what would be done. Raises on the first refusal, once everything was shown."""
        console.step(f"Looking at the sync queue of {self.stack} in {self.site.region}", "seconds")
        self.before = preflight.look(self.site, self.queues, self.options.sample)
        rows = [
            (LEVELS[found.level], found.subject, f"{found.text} {found.hint}".strip()) for found in self.before.found
        ]
        console.table("Preflight", ("", "what", "found"), rows)
        self._show_sample()
        findings.raise_refusals(self.before.found)
        if not self.before.nothing_to_do:
            console.note(f"expected: {self._expected()[1]}")

    def _show_sample(self) -> None:
        columns = ["id", "sent", "bytes", "what it is", "replayed"]
        rows = [list(unreplayed.told(letter).values()) for letter in self.before.sample]
        if self.options.show_bodies:
            columns.append("body")
            rows = [[*row, letter.body] for row, letter in zip(rows, self.before.sample, strict=True)]
        if rows:
            console.table(f"{len(rows)} of the dead letters", columns, [[str(cell) for cell in row] for row in rows])

    def _expected(self) -> tuple[float, str]:
        """Minutes, and on what they rest."""
        before, rate = self.before, self.options.rate
        count = before.dead.total if before.dead else 0
        if before.move is not None:
            count, rate = before.move.total - before.move.moved, before.move.rate or rate
        moving = decisions.move_seconds(count, rate) / 60
        failing = before.deliveries.total_seconds() / 60
        basis = (
            f"about {moving:.0f} minutes for {count} at {rate} a second, then as long as sync takes; "
            f"up to {failing:.0f} minutes more where one fails again, until it is a dead letter again"
        )
        return moving + failing, basis

    def rehearse(self) -> None:
        """The dry run. It looks at dead letters, which hides them for a moment; nothing is moved or lost."""
        self.look()
        if self.options.as_json:
            self._print(self._document(None, 0, None))
        if self.before.nothing_to_do:
            console.done(NOTHING)
        else:
            console.done(f"This was a dry run: `dr replay sync-queue -s {self.stack} --apply` does it.")

    # -- doing it -----------------------------------------------------------------------------------------------
    def apply(self) -> None:
        """The whole. A result is written whatever ends it."""
        record = Record.new(self.stack, REPLAYS)
        started, error, code = time.time(), None, 0
        try:
            self._apply(record)
        except DrError as failed:
            error, code = failed.message, failed.exit_code
            raise
        except SystemExit as ended:
            error, code = "interrupted", int(ended.code or 0)
            raise
        except BaseException as unexpected:
            error, code = repr(unexpected), DrError.exit_code
            raise
        finally:
            document = self._document(error, code, (time.time() - started) / 60)
            record.close(document)
            if self.options.as_json:
                self._print(document)
            console.note(f"record: {_shown(record.directory)}")
        console.done(NOTHING if self.before.nothing_to_do else f"sync of {self.stack} has worked off everything.")

    def _apply(self, record: Record) -> None:
        self.look()
        for found in self.before.found:
            record.add("found", **found.as_json())
        if self.before.nothing_to_do and self._nothing_comes(record):
            return
        self._confirm()
        record.add("confirmed", stack=self.stack, by="--confirm" if self.options.confirm else "typing")
        with continuing():
            queue, letters = _there(self.before.queue), _there(self.before.letters)
            self._move(queue, letters, record)
            self._settle(queue, record)
            self._collect_what_is_left(letters, record)
        self._judge()

    def _nothing_comes(self, record: Record) -> bool:
        """Whether there is nothing still, once counts that lag had their time: a move may just have ended."""
        with continuing():
            self._settle(_there(self.before.queue), record)
        self.look()
        return self.before.nothing_to_do

    def _confirm(self) -> None:
        typed = self.options.confirm
        if typed is None and self.options.interactive:
            typed = console.err.input(f"Type [bold]{self.stack}[/] to let sync work this off now: ").strip()
        if typed != self.stack:
            raise NotConfirmedError(
                "Not confirmed: nothing was changed.", f"Type {self.stack}, or --confirm {self.stack}."
            )

    # -- dead letters into the queue ------------------------------------------------------------------------------
    def _move(self, queue: Place, letters: Place, record: Record) -> None:
        """Follow the move that runs already, else sort and begin one."""
        if self.before.move is not None:
            self.resumed = True
            record.add("move found", moved=self.before.move.moved, total=self.before.move.total)
            self._follow(queue, letters, None, record)
            return
        with self._sorted(letters, record) as movable:
            if movable:
                self._start(queue, letters, record)
                self._follow(queue, letters, self.before.newest, record)

    @contextmanager
    def _sorted(self, letters: Place, record: Record) -> Iterator[int]:
        """Keep what must not be replayed out of the way while the block runs; how many there are to move.

        SQS moves everything or nothing, but not what is hidden. Where it did all the same, or where this process dies
        and the time of hiding is over, sync refuses such a message, and it comes back.
        """
        count, _ = self._until_shown(letters)
        hold = decisions.hold_seconds(count)
        console.step(f"Looking at all {count} dead letters", f"about {count // 100 + 5} s")
        found = self.queues.collect(letters, hold, decisions.MOST_LETTERS)
        aside = [letter for letter in found if decisions.fault(letter)]
        free = [letter for letter in found if not decisions.fault(letter)]
        kept = decisions.aside_seconds(len(free), self.options.rate)
        loose = 0
        try:
            loose = self.queues.hide(letters, aside, kept)
        finally:
            late = self.queues.hide(letters, free, 0)
        record.add("sorted", movable=len(free), aside=len(aside), late=late, loose=loose)
        console.note(f"{len(free)} can be replayed, {len(aside)} cannot and stay")
        if late:
            console.warn(f"{late} stay hidden for up to {hold} s and may be left over: run this again then.")
        if aside and kept < decisions.move_seconds(len(free), self.options.rate):
            loose = len(aside)  # none is hidden for as long as this move takes
        if loose:
            console.warn(f"{loose} that cannot be replayed may be moved, too: sync refuses them, they come back.")
        try:
            yield len(free)
        finally:
            self.queues.hide(letters, aside, 0)

    def _until_shown(self, letters: Place) -> tuple[int, int]:
        """Wait for letters that an earlier run hid, at most as long as one hides them: how many are there, and how
        many hidden still."""
        until: datetime | None = None
        with Meter(console.err) as meter:
            while True:
                counts = self.queues.counts(letters)
                until = until or self._hidden_until(counts)
                left = until - counts.at
                if not counts.hidden or left < timedelta():
                    return counts.visible + counts.delayed, counts.hidden
                meter.show(f"{counts.hidden} dead letters are hidden still, for {left} at most")
                time.sleep(LOOK_EVERY)

    def _hidden_until(self, counts: Counts) -> datetime:
        """Until when an earlier run hides letters: those that it sorted, or what it kept aside from its move."""
        until, move = counts.at + timedelta(seconds=decisions.hold_seconds(counts.total)), self.before.newest
        if move is None:
            return until
        aside = decisions.aside_seconds(move.total, move.rate or self.options.rate)
        return max(until, move.started + timedelta(seconds=aside))

    def _start(self, queue: Place, letters: Place, record: Record) -> None:
        rate = self.options.rate
        console.step(f"SQS moves them into {queue.name} at {rate} a second; it goes on without this process")
        try:
            handle = self.queues.start(letters, queue, rate)
        except ClientError as error:
            if ALREADY not in str(error):
                raise
            record.add("move found")  # somebody was faster by a moment
            return
        record.add("move started", handle=handle, rate=rate)

    def _follow(self, queue: Place, letters: Place, earlier: Move | None, record: Record) -> None:
        """Until the move has ended. `earlier`: the last one before it, which SQS may list as the newest for a while."""
        first: Move | None = None
        patience = time.monotonic() + LISTED_SECONDS
        with Meter(console.err) as meter:
            while True:
                move = self.queues.move(letters)
                if move is None or (earlier is not None and move.started <= earlier.started):
                    if time.monotonic() > patience:
                        raise IncompleteError("SQS does not list the move of these dead letters.", AGAIN)
                    time.sleep(LOOK_EVERY)
                    continue
                findings.raise_refusals([preflight.moving(self.site, move, queue)])
                first = first or move
                self.moved = move.moved
                if not move.active:
                    break
                meter.show(_progress(first, move, self.options.rate))
                time.sleep(LOOK_EVERY)
        record.add("move ended", status=move.status, moved=move.moved, total=move.total, failure=move.failure)
        if move.status != "COMPLETED":
            why = f": {move.failure}" if move.failure else ""
            raise IncompleteError(
                f"The move {move.status} after at least {move.moved} of {move.total} dead letters{why}.", AGAIN
            )
        console.note(f"moved: at least {move.moved}")

    # -- sync -----------------------------------------------------------------------------------------------------
    def _settle(self, queue: Place, record: Record) -> None:
        """Until `sync` has done with all of it, or does not get on."""
        console.step("Waiting until sync has worked everything off", self._expected()[1])
        settling, state = Settling(self.before.deliveries), State.WORKING
        with Meter(console.err) as meter:
            while state is State.WORKING:
                counts = self.queues.counts(queue)
                state = settling.look(counts)
                waiting = counts.visible + counts.delayed
                meter.show(f"{waiting} wait, {counts.hidden} are being worked on")
                if state is State.WORKING:
                    time.sleep(LOOK_EVERY)
        self.settled = state is State.SETTLED
        record.add("sync", state=state.value, waiting=waiting, worked_on=counts.hidden)

    def _collect_what_is_left(self, letters: Place, record: Record) -> None:
        """Everything that is in the dead letters now goes into the file, and stays where it is."""
        count, self.hidden = self._until_shown(letters)
        found = self.queues.collect(letters, decisions.hold_seconds(count), decisions.MOST_LETTERS)
        self.left = list({letter.id: letter for letter in found}.values())
        try:
            if self.left:
                self.file = unreplayed.write(record.directory, self.left)
        finally:
            self.queues.hide(letters, found, 0)
        record.add("left", letters=len(self.left), reasons=decisions.counted(self.left), hidden=self.hidden)

    def _judge(self) -> None:
        if not self.settled:
            raise IncompleteError(
                "sync does not get on with its queue: what waits there is not worked off.",
                f"Look at its log and its tasks, mend it, then run the same command again.{self._in_file()}",
            )
        if self.left or self.hidden:
            reasons = ", ".join(f"{count} × {reason}" for reason, count in decisions.counted(self.left).items())
            others = f"; {self.hidden} more are held by somebody else" if self.hidden else ""
            raise ChecksFailedError(
                f"{len(self.left)} dead letters could not be replayed ({reasons or 'none was seen'}){others}.",
                f"They are still dead letters, for 14 days; what was kept aside, from its sending.{self._in_file()} "
                "Mend the cause, then run this again.",
            )

    def _in_file(self) -> str:
        return f" Ids and bodies, readable for you alone: {_shown(self.file)}." if self.file else ""

    # -- afterwards -----------------------------------------------------------------------------------------------
    def _print(self, document: dict[str, Any]) -> None:
        """Bodies are shown where they were asked for, and never become part of the record."""
        sample = document["sample"]
        if self.options.show_bodies:
            sample = [{**told, "body": letter.body} for told, letter in zip(sample, self.before.sample, strict=True)]
        console.plain(json.dumps({**document, "sample": sample}, indent=2, default=str))

    def _document(self, error: str | None, code: int, minutes: float | None) -> dict[str, Any]:
        before = self.before
        expected = self._expected() if before.queue is not None and before.queue.redrive else (0.0, "")
        return {
            "stack": self.stack,
            "region": self.site.region,
            "applied": self.options.apply,
            "ok": error is None,
            "error": error,
            "exit_code": code,
            "minutes": None if minutes is None else round(minutes, 2),
            "resumed": self.resumed,
            "on_aws": self.site.elsewhere is None,
            "expected": {"minutes": round(expected[0], 1), "basis": expected[1]},
            "rate": self.options.rate,
            "dead_letters": None if before.dead is None else before.dead.total,
            "held": None if before.waiting is None else before.waiting.total,
            "sample": [unreplayed.told(letter) for letter in before.sample],
            "moved": self.moved,
            "not_replayed": {
                "count": len(self.left),
                "reasons": decisions.counted(self.left),
                "held_by_others": self.hidden,
                "file": str(self.file) if self.file else None,
            },
            "findings": [found.as_json() for found in before.found],
        }


def _progress(first: Move, move: Move, asked: int) -> str:
    """How far, and how long still."""
    seconds = (move.at - first.at).total_seconds()
    if not move.total:
        return "SQS has not counted the dead letters yet"
    total = move.total - first.moved
    left = decisions.left(move.moved - first.moved, total, seconds, move.rate or asked)
    return f"{move.moved} of {move.total} dead letters are moved, about {left / 60:.0f} min left"


def _there(place: Place | None) -> Place:
    if place is None:
        raise RuntimeError("the queues were not found")
    return place


def _shown(path: Path) -> str:
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else str(path)
