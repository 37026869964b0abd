"""What `pulumi up` would do with a changed stack file, and whether a command may do it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import console
from scripts.errors import RefusedError
from scripts.promotion.estimate import Estimate
from scripts.promotion.site import Site
from scripts.pulumi_cli import split_urn

Command = tuple[str, ...]  # what follows `pulumi config`

UNCHANGED = ("same", "read", "refresh")
TAKING_AWAY = ("delete", "replace")
COMPONENTS = "platform:"  # only what they consist of is anything at AWS, and is listed itself
# These have no state of their own that could be lost: values of secrets and task definitions are versions, and another
# image is a new one; an invocation is a call.
MAY_BE_REPLACED = (
    "aws:ecs/taskDefinition:TaskDefinition",
    "aws:lambda/invocation:Invocation",
    "aws:secretsmanager/secretVersion:SecretVersion",
)


@dataclass(frozen=True)
class Plan:
    """`steps`: operation -> number; `losses`: what would be deleted or replaced, and must not be."""

    steps: Mapping[str, int]
    losses: list[str]
    warnings: list[str]

    def as_json(self) -> dict[str, Any]:
        return {"steps": self.steps, "losses": self.losses, "warnings": self.warnings}


def preview(site: Site, noun: str, changes: Sequence[Command], may_go: Sequence[str] = ()) -> Plan:
    """By a copy of the stack's file with `changes`. `noun`: what is planned; `may_go`: types that are no loss.

    Raises RefusedError, in its words, for what the program refuses.
    """
    stack = site.stack.stack
    with tempfile.TemporaryDirectory(prefix="dr-preview-") as directory:
        file = Path(directory) / site.stack.file.name
        shutil.copy2(site.stack.file, file)
        given = ("--stack", stack, "--config-file", str(file))
        for change in changes:
            site.cli.run("config", *change, *given)
        outcome = site.cli.run("preview", "--json", *given, check=False)
    if not outcome.ok:
        said = _said(outcome.stdout) or outcome.tail()
        raise RefusedError(f"The program refuses this {noun}. Nothing was changed.\n{said}")
    return read(outcome.stdout, may_go)


def read(document: str, may_go: Sequence[str] = ()) -> Plan:
    """`pulumi preview --json` in numbers, and what it would take away, apart from the types in `may_go`."""
    found: Mapping[str, Any] = json.loads(document)
    done = [step for step in found.get("steps") or [] if step["op"] not in UNCHANGED]
    losses = []
    for step in done:
        kind, name = split_urn(step["urn"])
        held = not kind.startswith(COMPONENTS) and kind not in (*MAY_BE_REPLACED, *may_go)
        if step["op"] in TAKING_AWAY and held:
            losses.append(f"{step['op']} {name} ({kind})")
    warnings = [entry["message"].strip() for entry in found.get("diagnostics") or [] if entry["severity"] == "warning"]
    return Plan(dict(Counter(step["op"] for step in done)), losses, warnings)


def show(plan: Plan, expected: Estimate) -> None:
    """For people: what would be done, and how long it takes."""
    steps = ", ".join(f"{count} to {what}" for what, count in plan.steps.items()) or "nothing to do"
    console.note(f"plan: {steps}")
    for text in plan.warnings:
        console.warn(text)
    for text in plan.losses:
        console.warn(f"the plan would {text}")
    console.note(f"expected: about {expected.minutes:.0f} minutes ({expected.basis})")


def refuse_losses(plan: Plan, stack: str, noun: str) -> None:
    """Such a change only adds: whatever it took away could not be brought back. A person can look and decide."""
    if not plan.losses:
        return
    raise RefusedError(
        f"The plan would {', '.join(plan.losses)}. A {noun} deletes and replaces nothing. Nothing was changed.",
        "Stack file, program or state are not what was deployed: set back what differs. To look at it: make the change "
        f"of the stack's file by hand, then `pulumi preview --diff -s {stack}`. If it is meant: `pulumi up -s "
        f"{stack}`. If it is not, undo the change of the file.",
    )


def _said(document: str) -> str:
    """The errors in a preview's JSON; empty where it is none."""
    try:
        found = json.loads(document)
    except json.JSONDecodeError:
        return ""
    return "\n".join(
        entry["message"].strip() for entry in found.get("diagnostics") or [] if entry["severity"] == "error"
    )
