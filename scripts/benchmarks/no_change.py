"""How long a `pulumi up` that changes nothing takes, and how much of that is spent in our program."""

from __future__ import annotations

import statistics
import subprocess
from dataclasses import dataclass

from scripts import console
from scripts.benchmarks import empty
from scripts.benchmarks.program_watch import ProgramWatch, Run
from scripts.benchmarks.result import Result
from scripts.benchmarks.stage import both_stacks, progress
from scripts.pulumi_cli import PulumiCli


@dataclass(frozen=True)
class Deployment:
    """Real seconds of one `pulumi up`, while its program ran (twice: preview and update), and its processor time."""

    seconds: float
    program: float
    busy: float


def measure(speed: float, count: int) -> Result:
    """Medians of `count` rounds: an empty program's `up`, then the serving stack's."""
    with both_stacks(speed) as rehearsal:
        peer = empty.deployed(rehearsal)
        stack = rehearsal.project.primary.stack
        console.step(f"{count} rounds of `pulumi up` that change nothing", "about 20 s each")
        peers, ours = [], []
        for number in range(1, count + 1):
            peers.append(deploy(peer, empty.STACK))
            ours.append(deploy(rehearsal.cli, stack))
            progress(number, count, f"{empty.STACK} {peers[-1].seconds:.1f} s, {stack} {ours[-1].seconds:.1f} s")
    return told(stack, peers, ours)


def deploy(cli: PulumiCli, stack: str) -> Deployment:
    """One `pulumi up` as a person types it: a preview, then the update."""
    watches: list[ProgramWatch] = []

    def begin(process: subprocess.Popen[str]) -> None:
        watches.append(ProgramWatch(process.pid))
        watches[0].start()

    outcome = cli.run("up", "--stack", stack, "--yes", "--expect-no-changes", on_start=begin)
    return summed(outcome.seconds, watches[0].finish())


def summed(seconds: float, runs: list[Run]) -> Deployment:
    return Deployment(seconds, sum(run.last - run.first for run in runs), sum(run.busy for run in runs))


def told(stack: str, peers: list[Deployment], ours: list[Deployment]) -> Result:
    """No bound was agreed: the peer says what of it no program can avoid."""
    seconds = statistics.median(one.seconds for one in ours)
    program, busy = statistics.median(one.program for one in ours), statistics.median(one.busy for one in ours)
    return Result(
        what=f"`pulumi up` of {stack} that changes nothing",
        unit="s",
        figure=seconds,
        against="that of an empty program",
        reference=statistics.median(one.seconds for one in peers),
        details={
            "our program runs (s)": program,
            "its share": program / seconds,
            "it computes (s)": busy,
            "share of computing": busy / seconds,
            "method": "life and processor time of the program's processes in /proc, preview and update together",
        },
    )
