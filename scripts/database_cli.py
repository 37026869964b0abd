"""`dr database`: the command line of the databases that a stack has beside the one that serves."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The databases of a stack, those that no longer serve among them.")

Stack = Annotated[str | None, typer.Option("--stack", "-s", help="The stack; the one that serves.")]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


@app.command("list")
def listed(stack: Stack = None, as_json: AsJson = False) -> None:
    """Show the databases of the stack's file beside what RDS says of them. Changes nothing.

    Examples:

        dr database list
        dr database list -s kenya --json
    """
    from scripts.releasing import listing as task

    task.run(stack, as_json)


@app.command()
def release(
    generation: Annotated[str, typer.Argument(help="Its name in the stack's file; `dr database list` shows it.")],
    stack: Stack = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it (else only look and show the plan).")] = False,
    confirm: Annotated[str | None, typer.Option(help="The database's identifier, instead of typing it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give up a database that no longer serves: a final snapshot, its protection off, then delete it.

    Examples:

        dr database release first
        dr database release first --apply
        dr database release first -s kenya --apply --confirm mental-health-platform-kenya-rds

    Without --apply nothing is changed. Its generation stays in the stack's file, marked as released.
    Whatever ends it (Ctrl-C, a crash, expired credentials): the same command continues.
    Everything about it is in docs/restoring.md.
    """
    from scripts import release as task
    from scripts.stack_change import Options

    task.run(stack, generation, Options(apply=apply, confirm=confirm, as_json=as_json, interactive=sys.stdin.isatty()))
