"""`dr restore`: the command line of what brings data back as they were."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Bring back data as they were.")

ONE_OF = "Say one of --latest, --snapshot and --at."


@app.command()
def database(
    stack: Annotated[str | None, typer.Option("--stack", "-s", help="The stack; the one that serves.")] = None,
    latest: Annotated[bool, typer.Option("--latest", help="To the newest moment that backups reach.")] = False,
    snapshot: Annotated[str | None, typer.Option(help="From this snapshot of the stack's region.")] = None,
    at: Annotated[
        str | None, typer.Option(help="To this moment, with its zone: 2026-03-02T09:14:30+03:00, or … Africa/Nairobi.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it (else only look and show the plan).")] = False,
    confirm: Annotated[str | None, typer.Option(help="The stack's name, instead of typing it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Let the stack serve its database as it was: freeze, restore beside the old one, verify, serve, thaw.

    Examples:

        dr restore database --at 2026-03-02T09:14:30+03:00
        dr restore database --at 2026-03-02T09:14:30+03:00 --apply
        dr restore database --snapshot mental-health-platform-kenya-rds-snapshot-2026-03-02-0600
        dr restore database --latest -s kenya --apply

    Without --apply nothing is changed. The database that served stays, locked and protected.
    With --at and --snapshot what was taken later is damaged: such snapshots and copies are marked unusable.
    Whatever ends it (Ctrl-C, a crash, expired credentials): the same command continues, and restores only once.
    Everything about it is in docs/restoring.md.
    """
    from scripts import restore as task
    from scripts.restoring import moment
    from scripts.restoring.target import Wanted
    from scripts.stack_change import Options

    if [latest, snapshot is not None, at is not None].count(True) != 1:
        raise typer.BadParameter(ONE_OF)
    wanted = Wanted(snapshot=snapshot, at=None if at is None else moment.parse(at))
    task.run(stack, wanted, Options(apply=apply, confirm=confirm, as_json=as_json, interactive=sys.stdin.isatty()))
