"""`dr replay`: the command line of what lets lost or held messages be worked off."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

DEFAULT_RATE, MOST_RATE = 25, 500  # messages a second; the most that SQS takes

app = typer.Typer(no_args_is_help=True, help="Let services work off what was lost or held.")


@app.command("sync-queue")
def sync_queue(
    stack: Annotated[
        str | None, typer.Option("--stack", "-s", help="Whose queue; the stack that serves, if left out.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it (else only count and look).")] = False,
    confirm: Annotated[str | None, typer.Option(help="The stack's name, instead of typing it.")] = None,
    rate: Annotated[
        int, typer.Option(min=1, max=MOST_RATE, help="Messages a second, at most, into the queue.")
    ] = DEFAULT_RATE,
    sample: Annotated[int, typer.Option(min=0, max=100, help="How many dead letters to look at beforehand.")] = 10,
    show_bodies: Annotated[
        bool, typer.Option("--show-bodies", help="Show what the sample says, which is about people.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Let `sync` work off its dead letters, and wait until it has done with them and with what its queue held.

    Examples:

        dr replay sync-queue
        dr replay sync-queue -s kenya --apply --rate 50

    Without --apply nothing is moved.
    What cannot be replayed stays, is written to a file and makes the exit code 10.
    Whatever ends it (Ctrl-C, a crash, expired credentials): the same command continues.
    Everything about it is in docs/replay.md.
    """
    from scripts import replay as task

    options = task.Options(
        apply=apply,
        confirm=confirm,
        rate=rate,
        sample=sample,
        show_bodies=show_bodies,
        as_json=as_json,
        interactive=sys.stdin.isatty(),
    )
    task.run(stack, options)
