"""The `dr` command: reads the command line, hands over to the task's module, turns errors into exit codes."""

from __future__ import annotations

import atexit
import gc
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox.clock import DEFAULT_SPEED
from scripts import console, database_cli, freeze_cli, replay_cli, restore_cli, snapshot_cli
from scripts.benchmarks.names import Benchmark
from scripts.errors import DrError, SandboxError
from scripts.rehearsal.faults import Fault
from scripts.rehearsal.sources import Source

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Examples are indented: a terminal shows their lines as they are, and docs/commands.md as a block of code.
HELP = """Rehearse and carry out disaster recovery of the mental-health-platform.

Examples:

    dr status                      who serves, what would be lost now, what is wrong
    dr promote                     what a promotion would do; nothing is changed
    dr promote --apply             the primary region is lost: let the standby serve
    dr freeze --apply              data is being damaged: stop all writes
    dr restore database --at TIME  data were damaged: serve them as they were
    dr snapshot list               what there is to restore from, in both regions
    dr replay sync-queue           let sync work off its dead letters
    dr rehearse region-loss        live through that loss on this machine
    dr sandbox start               an emulated AWS for work by hand
    dr bootstrap --apply           once for an account: what must exist before any stack

Each command explains itself: dr promote --help. Exit codes are in docs/exit-codes.md.
"""

app = typer.Typer(
    name="dr",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=HELP,
)
Stack = Annotated[str | None, typer.Option("--stack", "-s", help="The stack to promote; the one that stands by.")]

sandbox = typer.Typer(no_args_is_help=True, help="An emulated AWS on this machine that stays up, for work by hand.")
rehearse = typer.Typer(no_args_is_help=True, help="Live through a disaster in a sandbox and check every promise.")
app.add_typer(sandbox, name="sandbox")
app.add_typer(rehearse, name="rehearse")
app.add_typer(snapshot_cli.app, name="snapshot")
app.add_typer(replay_cli.app, name="replay")
app.add_typer(restore_cli.app, name="restore")
app.add_typer(database_cli.app, name="database")

Speed = Annotated[float, typer.Option(min=1.0, max=120.0, help="Modelled time passes this many times faster.")]
FAULT_SPEED = 60.0
FaultSpeed = Annotated[float, typer.Option(min=1.0, max=120.0, help="As for region-loss; faster, as nothing is timed.")]
Seed = Annotated[int | None, typer.Option(help="Draws the moment of the loss; printed, so that it can be repeated.")]


@app.command()
def bootstrap(
    apply: Annotated[bool, typer.Option("--apply", help="Make what is missing (else only show the plan).")] = False,
    confirm: Annotated[str | None, typer.Option(help="The platform's name, instead of typing it.")] = None,
    registry_credential: Annotated[
        Path | None, typer.Option(help='JSON file {"username", "password"} for ghcr.io, or - for standard input.')
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The plan as JSON.")] = False,
) -> None:
    """Make what must exist before any stack: state bucket and key, roles, hosted zone, stacks, shared secrets.

    Examples:

        dr bootstrap
        dr bootstrap --apply --registry-credential ghcr.json

    Without --apply nothing is changed. Running it again makes what is missing.
    """
    from scripts import bootstrap as task
    from scripts import project

    interactive = sys.stdin.isatty() and str(registry_credential) != "-"
    task.run(
        project.load(project.here()),
        apply=apply,
        confirm=confirm,
        credential=registry_credential,
        as_json=as_json,
        interactive=interactive,
    )


@app.command()
def promote(
    stack: Stack = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it (else only look and show the plan).")] = False,
    confirm: Annotated[str | None, typer.Option(help="The stack's name, instead of typing it.")] = None,
    primary_is_lost: Annotated[
        bool, typer.Option("--primary-is-lost", help="Go on although the primary answers as healthy.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Let the standby serve: preflight, plan, confirmation, plain `pulumi up`, verification, evidence.

    Examples:

        dr promote
        dr promote --apply
        dr promote -s south-africa --apply --confirm south-africa

    Without --apply nothing is changed.
    Whatever ends it (Ctrl-C, a crash, expired credentials): the same command continues.
    Everything about it is in docs/promotion.md.
    """
    from scripts import promote as task

    options = task.Options(
        apply=apply,
        confirm=confirm,
        primary_is_lost=primary_is_lost,
        as_json=as_json,
        interactive=sys.stdin.isatty(),
    )
    task.run(stack, options)


app.command()(freeze_cli.freeze)
app.command()(freeze_cli.thaw)


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Both stacks at a glance: who serves, since when, what would be lost now, what is wrong. Below five seconds.

    Examples:

        dr status
        dr status --json

    No region is waited for: one that does not answer is shown as such.
    """
    # What it makes it keeps, and it ends soon: walking over everything once more at the end took up to a second.
    gc.disable()
    atexit.register(gc.freeze)
    from scripts import status as task

    task.run(as_json)


@sandbox.command("start")
def sandbox_start(speed: Speed = DEFAULT_SPEED) -> None:
    """Start a sandbox with both stacks initialised, and say what to type next."""
    from scripts import sandbox as task

    task.start(speed)


@sandbox.command("stop")
def sandbox_stop() -> None:
    """Stop the sandbox and remove everything it left. Nothing happens if none is running."""
    from scripts import sandbox as task

    task.stop()


@sandbox.command("status")
def sandbox_status(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Show whether a sandbox is running, its modelled time, lost regions and calls so far."""
    from scripts import sandbox as task

    task.status(as_json)


@sandbox.command("env")
def sandbox_env() -> None:
    """Print shell commands that point `pulumi` and the AWS CLI at the sandbox: eval "$(dr sandbox env)"."""
    from scripts import sandbox as task

    task.env()


@sandbox.command("cut")
def sandbox_cut(
    region: str,
    timing_out: Annotated[
        bool, typer.Option("--timing-out", help="Connections hang instead of ending at once.")
    ] = False,
) -> None:
    """Lose a region: nothing in it answers or runs any more.

    Example:

        dr sandbox cut eu-west-1 --timing-out

    Its data are kept: dr sandbox restore brings it back.
    """
    from scripts import sandbox as task

    task.cut(region, timing_out)


@sandbox.command("restore")
def sandbox_restore(region: str) -> None:
    """Bring a lost region back.

    Example:

        dr sandbox restore eu-west-1

    It comes with all that it had when it was lost.
    """
    from scripts import sandbox as task

    task.restore(region)


@sandbox.command("export")
def sandbox_export(
    stack: Annotated[str, typer.Option("-s", "--stack", help="Whose requests: kenya or south-africa.")],
    output: Annotated[Path | None, typer.Option(help="A file for the template, instead of standard output.")] = None,
) -> None:
    """Show what a stack asked AWS for as a CloudFormation template, for tools that judge those.

    Example:

        dr sandbox export -s south-africa --output sa.json
        cfn-lint -r af-south-1 -- sa.json

    Secrets are masked.
    """
    from scripts import export as task

    task.run(stack, output)


@rehearse.command("region-loss")
def rehearse_region_loss(
    seed: Seed = None,
    speed: Speed = DEFAULT_SPEED,
    fault: Annotated[Fault | None, typer.Option(help="What else fails, though nothing critical needs it.")] = None,
    source: Annotated[Source, typer.Option(help="How the standby gets its data.")] = Source.COPIES,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the sandbox's logs beside the report.")] = False,
    silent: Annotated[bool, typer.Option("--timing-out", help="Connections to the lost region hang.")] = False,
) -> None:
    """Lose the primary region and promote the standby (scenarios 1 and 3 of the plan). About 14 minutes.

    Examples:

        dr rehearse region-loss
        dr rehearse region-loss --seed 7 --source read-replica
        dr rehearse region-loss --timing-out

    Exit 0 only if every check holds. The report is build/rehearsals/latest/report.html.
    """
    from scripts import rehearse as task

    task.region_loss(seed=seed, speed=speed, fault=fault, source=source, keep=keep, silent=silent)


@rehearse.command("faults")
def rehearse_faults(
    seed: Seed = None,
    only: Annotated[list[str] | None, typer.Option(help="A fault of the table; can be given again.")] = None,
    speed: FaultSpeed = FAULT_SPEED,
) -> None:
    """Draw faults into promotions, one after another: each ends promoted or refused with the right message, and
    completes when it is run again. About 40 minutes for all of them; the table is in docs/faults.md.

    Exit 0 only if every fault ends as it must. The report is build/rehearsals/latest/report.html.

    Examples:  dr rehearse faults   |   dr rehearse faults --seed 7 --only image-gone --only latency
    """
    from scripts import rehearse_faults as task

    task.run(seed, only or [], speed)


@rehearse.command("kills")
def rehearse_kills(speed: FaultSpeed = FAULT_SPEED) -> None:
    """Kill a restore of the database with -9 inside each AWS operation that it calls, once per phase; each time the
    same command continues. About 20 minutes.

    Exit 0 only if it comes to its end with one restore and every row. The calls are in build/rehearsals/…/result.json.

    Example:  dr rehearse kills
    """
    from scripts import rehearse_kills as task

    task.run(speed)


@app.command()
def bench(
    names: Annotated[list[Benchmark] | None, typer.Argument(help="What to measure; everything if left out.")] = None,
    speed: Annotated[
        float | None, typer.Option(min=1, max=120, help="Another speed of modelled time than each measurement's own.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Another number of rounds, moments or rehearsals than its own.")
    ] = None,
) -> None:
    """Measure promotion, preview, lost data, a deployment without changes, the sandbox's memory and `dr status`. About
    95 minutes.

    Exit 10 if a bound is broken, 14 if something could not be measured. The results are also written to build/bench/.

    Examples:  dr bench   |   dr bench preview no-change   |   dr bench memory --count 1
    """
    from scripts import bench as task

    task.run(names or [], speed, count)


def main() -> None:
    """Run the command; one message and a distinct exit code for each kind of failure."""
    for number in ENDING:
        signal.signal(number, _end)
    from sandbox.supervisor import SandboxFailed

    try:
        app()
    except DrError as error:
        console.failure(error)
        sys.exit(error.exit_code)
    except SandboxFailed as error:
        console.failure(SandboxError(str(error)))
        sys.exit(SandboxError.exit_code)


def _end(number: int, _frame: Any) -> None:
    """End through an exception, so that `with` blocks and `finally` run: nothing may be left behind.

    A second signal would stop that half-way, so it is ignored; cleaning up is bounded in time.
    """
    for other in ENDING:
        signal.signal(other, signal.SIG_IGN)
    console.warn(f"Interrupted by {signal.Signals(number).name}: cleaning up.")
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
