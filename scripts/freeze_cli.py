"""The command lines of `dr freeze` and `dr thaw`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

Stack = Annotated[str | None, typer.Option("--stack", "-s", help="The stack; the one that serves.")]
Apply = Annotated[bool, typer.Option("--apply", help="Do it (else only look and show the plan).")]
Confirm = Annotated[str | None, typer.Option(help="The stack's name, instead of typing it.")]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


def freeze(stack: Stack = None, apply: Apply = False, confirm: Confirm = None, as_json: AsJson = False) -> None:
    """Stop all writes: crisis page on, services that write to no task, database roles locked. The public name stays.

    Examples:

        dr freeze
        dr freeze -s kenya --apply

    Without --apply nothing is changed. It stays frozen, whatever is deployed, until dr thaw.
    Whatever ends it: the same command continues. Everything about it is in docs/freeze.md.
    """
    from scripts import freeze as task
    from scripts.stack_change import Options

    task.freeze(stack, Options(apply=apply, confirm=confirm, as_json=as_json, interactive=sys.stdin.isatty()))


def thaw(stack: Stack = None, apply: Apply = False, confirm: Confirm = None, as_json: AsJson = False) -> None:
    """Let a frozen stack go on: roles unlocked, critical services, crisis page off, the rest; counts as before.

    Examples:

        dr thaw
        dr thaw -s kenya --apply

    Without --apply nothing is changed. Whatever ends it: the same command continues.
    """
    from scripts import freeze as task
    from scripts.stack_change import Options

    task.thaw(stack, Options(apply=apply, confirm=confirm, as_json=as_json, interactive=sys.stdin.isatty()))
