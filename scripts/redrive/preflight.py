"""Looks at what a replay needs before it begins: both queues, whoever moves dead letters already, and `sync` itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from components import naming
from scripts.errors import DrError
from scripts.promotion import findings
from scripts.promotion.findings import Finding
from scripts.promotion.site import Site
from scripts.redrive import decisions
from scripts.redrive.queues import Counts, Letter, Move, Place, Queues

ASIDE = 30  # seconds for which looking at a letter hides it, should nobody show it again


@dataclass
class Before:
    """How things stand. `queue` and `letters` are there once nothing forbids to go on; `newest`: the last move begun,
    whether it ended or not."""

    found: list[Finding] = field(default_factory=list)
    queue: Place | None = None
    letters: Place | None = None
    waiting: Counts | None = None
    dead: Counts | None = None
    newest: Move | None = None
    sample: list[Letter] = field(default_factory=list)

    @property
    def move(self) -> Move | None:
        """One that still runs."""
        return self.newest if self.newest is not None and self.newest.active else None

    @property
    def nothing_to_do(self) -> bool:
        counts = (self.waiting, self.dead)
        return self.move is None and all(count is not None and count.total == 0 for count in counts)

    @property
    def deliveries(self) -> timedelta:
        """How long a message that fails each time takes to become a dead letter."""
        if self.queue is None:
            raise RuntimeError("the queue was not found")
        return timedelta(seconds=self.queue.hides * int(self.queue.redrive["maxReceiveCount"]))


def look(site: Site, queues: Queues, sample: int) -> Before:
    """Ask for everything, in this order; a refusal ends it only where the rest cannot be asked."""
    before = Before()
    questions: tuple[tuple[str, Callable[[], list[Finding]]], ...] = (
        ("credentials", lambda: _caller(site)),
        ("queues", lambda: _queues(site, queues, before)),
        ("sync", lambda: _consumers(site)),
        ("dead letters", lambda: _letters(queues, before, sample)),
    )
    for subject, question in questions:
        try:
            before.found += question()
        except (ClientError, BotoCoreError, DrError) as error:
            before.found.append(findings.failed(subject, error, site.region))
        if subject in ("credentials", "queues") and any(found.refusal for found in before.found):
            break
    return before


def _caller(site: Site) -> list[Finding]:
    account, arn, _ = site.caller()
    if account != site.stack.account:
        said = f"{arn} belongs to account {account}, {site.stack.stack} to {site.stack.account}."
        return [findings.refused("credentials", said, "Take credentials for that account.")]
    return [findings.ok("credentials", arn)]


def _queues(site: Site, queues: Queues, before: Before) -> list[Finding]:
    before.queue, before.letters = queues.place(queues.name), queues.place(queues.letters_name)
    if before.queue is None or before.letters is None:
        missing = queues.name if before.queue is None else queues.letters_name
        said = f"There is no queue {missing} in {site.region}."
        return [findings.refused("queues", said, f"Deploy the stack: pulumi up -s {site.stack.stack}")]
    if before.queue.redrive.get("deadLetterTargetArn") != before.letters.arn:
        said = f"The failures of {queues.name} do not go to {queues.letters_name}: {json.dumps(before.queue.redrive)}."
        return [findings.refused("queues", said, f"Deploy the stack: pulumi up -s {site.stack.stack}")]
    before.waiting, before.dead = queues.counts(before.queue), queues.counts(before.letters)
    before.newest = queues.move(before.letters)
    return [moving(site, before.move, before.queue), findings.ok("held messages", _held(before.waiting))]


def moving(site: Site, move: Move | None, queue: Place) -> Finding:
    """Only one task may run; one to elsewhere is somebody's purpose."""
    if move is None:
        return findings.ok("queues", "nobody is moving dead letters")
    if move.destination not in (None, queue.arn):
        said = f"Somebody is moving the dead letters to {move.destination}."
        hint = f"`aws sqs cancel-message-move-task --region {site.region} --task-handle {move.handle}` ends that."
        return findings.refused("queues", said, hint)
    limited = f"at most {move.rate} a second" if move.rate else "as fast as SQS likes"
    return findings.ok("queues", f"a move begun before is {move.status}, {limited}: it is continued")


def _held(waiting: Counts) -> str:
    if waiting.total == 0:
        return "none wait in the queue"
    return f"{waiting.visible + waiting.delayed} wait in the queue, {waiting.hidden} are being worked on"


def _consumers(site: Site) -> list[Finding]:
    """Without a task of `sync` nothing would be worked off. While frozen or standing by it has none on purpose."""
    names = [service.name for service in site.settings.services if service.queue == "receive"]
    if not names:
        return [findings.refused("sync", "No service receives from the queue.", "services[].queue: receive")]
    answer = site.client("ecs").describe_services(cluster=naming.physical(site.stack.short, "cluster"), services=names)
    running = {entry["serviceName"]: (entry["runningCount"], entry["desiredCount"]) for entry in answer["services"]}
    shown = ", ".join(f"{name} {'/'.join(map(str, running.get(name, (0, 0))))}" for name in names)
    if not any(count for count, _ in running.values()):
        said = f"Nobody would work anything off, no task runs: {shown}."
        return [findings.refused("sync", said, "Let it run first: thaw, promote or deploy the stack.")]
    short = any(running.get(name, (0, 1))[0] < running.get(name, (0, 1))[1] for name in names)
    return [findings.warning("sync", f"fewer tasks than wanted: {shown}") if short else findings.ok("sync", shown)]


def _letters(queues: Queues, before: Before, sample: int) -> list[Finding]:
    letters, dead = before.letters, before.dead
    if letters is None or dead is None:
        raise RuntimeError("the queues were not found")
    count = dead.total
    if before.move is not None:
        return [findings.ok("dead letters", f"{before.move.moved} of {before.move.total} are moved")]
    if count > decisions.MOST_LETTERS:
        said = f"There are {count}: more than {decisions.MOST_LETTERS} cannot be looked at before they are moved."
        return [findings.refused("dead letters", said, "docs/replay.md has the commands that move them unseen.")]
    found = [findings.ok("dead letters", f"{dead.visible + dead.delayed} are there")]
    if dead.hidden:
        said = f"{dead.hidden} are hidden: held by a run that was ended, or somebody is looking at them"
        found.append(findings.warning("dead letters", said, "They are waited for."))
    if sample and dead.visible:
        before.sample = queues.collect(letters, ASIDE, sample)
        queues.hide(letters, before.sample, 0)
    return found
