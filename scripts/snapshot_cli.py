"""`dr snapshot …`: reads the command line and hands over to the task's module in scripts/snapshots."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from scripts.snapshots.names import Reason

app = typer.Typer(no_args_is_help=True, help="Snapshots of the database by hand, and their copies in the other region.")

Stack = Annotated[
    str | None, typer.Option("--stack", "-s", help="Whose database; the stack that is configured as serving.")
]
Apply = Annotated[bool, typer.Option("--apply", help="Do it (else only look and show the plan).")]
Wait = Annotated[bool, typer.Option("--wait", help="End only when everything is complete, and show how far it is.")]
Json = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


@app.command()
def create(
    stack: Stack = None,
    reason: Annotated[Reason, typer.Option(help="Why; it becomes a tag.")] = Reason.MANUAL,
    copy: Annotated[
        bool, typer.Option("--copy/--no-copy", help="Copy it to the peer's region, if the stack protects itself there.")
    ] = True,
    wait: Wait = False,
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """Take a snapshot of the serving database, kept for 30 days, and copy it to the peer's region.

    Examples:

        dr snapshot create --reason before-deploy
        dr snapshot create --reason before-deploy --apply --wait

    Without --apply nothing is changed.
    A copy can begin only when the snapshot is complete: that is waited for, with --wait the copy, too.
    Whatever ends it: the same command continues within 15 minutes; dr snapshot copy does later.
    """
    from scripts.snapshots import create as task

    chosen = task.Options(reason=reason, copy=copy, wait=wait, apply=apply, as_json=as_json)
    task.run(stack, chosen)


@app.command("list")
def list_snapshots(as_json: Json = False) -> None:
    """Show the snapshots of both regions side by side, and whether the newest copy meets the RPO. Below 10 seconds.

    Examples:

        dr snapshot list
        dr snapshot list --json

    A region that does not answer is shown as unknown and makes the exit code 8; the other one is shown all the same.
    """
    from scripts.snapshots import listing as task

    task.run(as_json)


@app.command()
def copy(
    name: Annotated[str, typer.Argument(help="The snapshot, as dr snapshot list shows it.")],
    stack: Stack = None,
    wait: Wait = False,
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """Copy a snapshot that exists to the peer's region, with the key of that region, to be kept there for 30 days.

    Examples:

        dr snapshot copy mental-health-platform-kenya-rds-snapshot-2026-03-02-0900
        dr snapshot copy mental-health-platform-kenya-rds-snapshot-2026-03-02-0900 --apply --wait

    Without --apply nothing is changed. A copy that is there or in progress is found, never made twice.
    """
    from scripts.snapshots import copy as task

    task.run(stack, task.Options(name=name, wait=wait, apply=apply, as_json=as_json))


@app.command()
def prune(
    stack: Stack = None,
    apply: Apply = False,
    confirm: Annotated[str | None, typer.Option(help="The stack's name, instead of typing it.")] = None,
    as_json: Json = False,
) -> None:
    """Give up, in both regions, what dr snapshot made and what is older than 30 days, or failed.

    Examples:

        dr snapshot prune
        dr snapshot prune --apply

    Without --apply nothing is changed; with it the stack's name has to be typed or given.
    Never given up: what others made, the newest good one of each region, what is marked unusable or copied from.
    """
    from scripts.snapshots import prune as task

    task.run(stack, task.Options(apply=apply, confirm=confirm, as_json=as_json, interactive=sys.stdin.isatty()))
