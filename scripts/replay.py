"""`dr replay sync-queue`: let `sync` work off what it could not. Look, plan, confirmation, move, wait, evidence.

SQS itself moves the dead letters, at a rate; what it cannot do (leave out what must not be replayed) is done around it.
Everything by hand is in docs/replay.md. Running it again after whatever ended it continues.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from components import sync_message
from scripts import console, project
from scripts.errors import ChecksFailedError, DrError, IncompleteError, NotConfirmedError, RefusedError
from scripts.project import BUILD, CHECKOUT, Project, StackFacts
from scripts.promotion import findings, leftovers
from scripts.promotion.failures import AGAIN, continuing
from scripts.promotion.record import Record
from scripts.promotion.site import Site
from scripts.redrive import decisions, preflight, unreplayed
from scripts.redrive.decisions import Settling, State
from scripts.redrive.meter import Meter
from scripts.redrive.preflight import Before
from scripts.redrive.queues import Letter, Move, Place, Queues

REPLAYS = BUILD / "replays"
LEVELS = {"ok": "ok", "warning": "warning", "refused": "REFUSED"}
LOOK_EVERY = 2.0  # real seconds
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
    replay = Replay(Site(facts, choose(facts, stack, os.environ), os.environ), options)
    if options.apply:
        replay.apply()
    else:
        replay.rehearse()


def choose(facts: Project, stack: str | None, environment: Mapping[str, str]) -> StackFacts:
    """The stack that was named, else the one that was deployed as serving."""
    known = {found.stack: found for found in facts.stacks}
    if stack is not None:
        if stack not in known:
            raise RefusedError(f"There is no stack {stack}; stacks: {', '.join(known)}. Nothing was changed.")
        return known[stack]
    try:
        states = {name: leftovers.outputs(Site(facts, known[name], environment).checkpoint()) for name in known}
    except (ClientError, BotoCoreError) as error:
        raise RefusedError(
            f"Which stack serves cannot be read from its state: {error}", "Say which: -s STACK"
        ) from None
    serving = [name for name, outputs in states.items() if outputs.get("standby") is False]
    if len(serving) != 1:
        said = ", ".join(serving) or "none"
        raise RefusedError(f"Deployed as serving: {said}. Nothing was changed.", "Say which: -s STACK")
    return known[serving[0]]


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
        rows = [list(_told(letter).values()) for letter in self.before.sample]
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
            console.plain(json.dumps(self._document(None, 0, None), indent=2, default=str))
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
                console.plain(json.dumps(document, indent=2, default=str))
            console.note(f"record: {_shown(record.directory)}")
        console.done(NOTHING if self.before.nothing_to_do else f"sync of {self.stack} has worked off everything.")

    def _apply(self, record: Record) -> None:
        self.look()
        for found in self.before.found:
            record.add("found", **found.as_json())
        if self.before.nothing_to_do:
            return
        self._confirm()
        record.add("confirmed", stack=self.stack, by="--confirm" if self.options.confirm else "typing")
        with continuing():
            queue, letters = _there(self.before.queue), _there(self.before.letters)
            self._move(queue, letters, record)
            self._settle(queue, record)
            self._collect_what_is_left(letters, record)
        self._judge()

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
            self._follow(letters, record)
            return
        with self._sorted(letters, record) as movable:
            if movable and self._start(queue, letters, record):
                self._follow(letters, record)

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
        try:
            self.queues.hide(letters, aside, decisions.aside_seconds(len(free), self.options.rate))
        finally:
            late = self.queues.hide(letters, free, 0)
        record.add("sorted", movable=len(free), aside=len(aside))
        console.note(f"{len(free)} can be replayed, {len(aside)} cannot and stay")
        if late:
            console.warn(f"{late} stay hidden for up to {hold} s and may be left over: run this again then.")
        try:
            yield len(free)
        finally:
            self.queues.hide(letters, aside, 0)

    def _until_shown(self, letters: Place) -> tuple[int, int]:
        """Wait for letters that an earlier run hid, at most as long as one hides them: how many are there, and how
        many hidden still."""
        began: datetime | None = None
        with Meter(console.err) as meter:
            while True:
                counts = self.queues.counts(letters)
                began = began or counts.at
                left = self._hidden_at_most(counts.total) - (counts.at - began)
                if not counts.hidden or left < timedelta():
                    return counts.visible + counts.delayed, counts.hidden
                meter.show(f"{counts.hidden} dead letters are hidden still, for {left} at most")
                time.sleep(LOOK_EVERY)

    def _hidden_at_most(self, letters: int) -> timedelta:
        """How long a run hides letters; one that was killed while they were moved, what it had kept aside."""
        seconds, move = decisions.hold_seconds(letters), self.before.move
        if move is not None:
            seconds = max(seconds, decisions.aside_seconds(move.total, move.rate or self.options.rate))
        return timedelta(seconds=seconds)

    def _start(self, queue: Place, letters: Place, record: Record) -> bool:
        rate = self.options.rate
        console.step(f"SQS moves them into {queue.name} at {rate} a second; it goes on without this process")
        try:
            handle = self.queues.start(letters, queue, rate)
        except ClientError as error:
            if ALREADY not in str(error):
                raise
            record.add("move found")  # somebody was faster by a moment
            return True
        record.add("move started", handle=handle, rate=rate)
        return True

    def _follow(self, letters: Place, record: Record) -> None:
        """Until the move has ended."""
        first: Move | None = None
        with Meter(console.err) as meter:
            while True:
                move = self.queues.move(letters)
                if move is None:
                    raise IncompleteError("SQS knows of no move of these dead letters.", AGAIN)
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
                f"The move {move.status} after {move.moved} of {move.total} dead letters{why}.", AGAIN
            )
        console.note(f"moved: {move.moved}")

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
                f"They are still dead letters, for 14 days.{self._in_file()} Mend the cause, then run this again.",
            )

    def _in_file(self) -> str:
        return f" Ids and bodies, readable for you alone: {_shown(self.file)}." if self.file else ""

    # -- afterwards -----------------------------------------------------------------------------------------------
    def _document(self, error: str | None, code: int, minutes: float | None) -> dict[str, Any]:
        before = self.before
        expected = self._expected() if before.queue is not None and before.queue.redrive else (0.0, "")
        sample = [_told(letter) for letter in before.sample]
        if self.options.show_bodies:
            sample = [{**told, "body": letter.body} for told, letter in zip(sample, before.sample, strict=True)]
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
            "sample": sample,
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
    total = first.total - first.moved
    left = decisions.left(move.moved - first.moved, total, seconds, move.rate or asked)
    return f"{move.moved} of {move.total} dead letters are moved, about {left / 60:.0f} min left"


def _told(letter: Letter) -> dict[str, Any]:
    """What may be shown of a letter: nothing that it says."""
    return {
        "id": letter.id,
        "sent": f"{letter.sent:%Y-%m-%d %H:%M} UTC",
        "bytes": len(letter.body.encode("utf-8", "surrogatepass")),
        "shape": sync_message.shape(letter.body),
        "replayed": decisions.fault(letter) or "yes",
    }


def _there(place: Place | None) -> Place:
    if place is None:
        raise RuntimeError("the queues were not found")
    return place


def _shown(path: Path) -> str:
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else str(path)
