"""`dr snapshot copy`: bring a snapshot that exists into the peer's region, to be kept there for 30 days."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from scripts import console, project
from scripts.errors import RefusedError
from scripts.snapshots import copies, decisions, waiting
from scripts.snapshots.copies import CopyPlan
from scripts.snapshots.estate import Estate, Look, choose, look, usable_key
from scripts.snapshots.model import Snapshot
from scripts.snapshots.recorded import recorded, show


@dataclass(frozen=True)
class Options:
    """How the command was called."""

    name: str
    wait: bool
    apply: bool
    as_json: bool


def run(stack: str | None, options: Options) -> None:
    """The command. A dry run unless `options.apply`."""
    bring(choose(project.load(project.here()), os.environ, stack), options)


def bring(estate: Estate, options: Options) -> None:
    """Plan, and with --apply do it. Raises DrError."""
    stack = estate.home.stack.stack
    if not estate.protected:
        raise RefusedError(
            f"{stack} protects itself nowhere (no `protects` in its settings), so there is no region to copy to. "
            "Nothing was changed.",
            "After a promotion that is so until the other region is prepared again.",
        )
    console.step(f"Looking at {options.name} in {estate.home.name} and {estate.peer.name}", "seconds")
    seen = look(estate, with_peer=True)
    original = _original(seen, estate, options.name)
    key_arn = usable_key(seen.keys, estate.peer)
    name = decisions.copy_name(original)
    plan = copies.plan(original, name, estate.peer, key_arn, seen.snapshots[estate.peer.name])
    if plan.found is None:
        copies.room(estate.peer.name, seen.others[estate.peer.name])
    console.note(plan.told())
    if original.copy.unusable:
        console.warn(f"{original.identifier} is marked unusable; so will its copy be: no promotion restores it.")
    result = _result(estate, options, original, plan)
    if not options.apply:
        show(result, options.as_json)
        console.done("This was a dry run: nothing was changed. The same command with --apply does it.")
        return
    with recorded(stack, result, options.as_json) as record:
        copy = copies.begin(plan, original, record)
        if options.wait:
            copy = waiting.until_available(estate.peer, copy.identifier)
        result["copy"] = {"region": copy.region, "name": copy.identifier, "status": copy.status}
    console.done(f"{copy.identifier} is {copy.status} in {copy.region}.")


def _original(seen: Look, estate: Estate, name: str) -> Snapshot:
    here = seen.snapshots[estate.home.name]
    found = next((entry for entry in here if entry.identifier == name), None)
    if found is None:
        raise RefusedError(
            f"There is no snapshot {name} of the platform in {estate.home.name}. Nothing was changed.",
            "`dr snapshot list` shows what there is.",
        )
    if not found.available:
        raise RefusedError(
            f"{name} is {found.status} ({found.percent} %): AWS copies what is complete. Nothing was changed.",
            "Wait for it, then run this again."
            if found.running
            else "Take another: `dr snapshot create`; `dr snapshot prune` removes this one.",
        )
    return found


def _result(estate: Estate, options: Options, original: Snapshot, plan: CopyPlan) -> dict[str, Any]:
    found = plan.found
    return {
        "command": "copy",
        "stack": estate.home.stack.stack,
        "region": estate.home.name,
        "snapshot": original.identifier,
        "applied": options.apply,
        "copy": {"region": plan.to.name, "name": plan.name, "status": None if found is None else found.status},
    }
