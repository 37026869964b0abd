"""How long a preview of a full stack takes, lookups included, against a preview of a program without a resource."""

from __future__ import annotations

import statistics

from scripts import console
from scripts.benchmarks import empty
from scripts.benchmarks.result import Result
from scripts.benchmarks.stage import both_stacks, progress

BOUND = 2.0


def measure(speed: float, count: int) -> Result:
    """Medians of `count` rounds in which all take their turn, so that a busy moment hits none of them alone."""
    with both_stacks(speed) as rehearsal:
        peer = empty.deployed(rehearsal)
        stacks = [stack.stack for stack in rehearsal.project.stacks]
        console.step(f"{count} rounds of `pulumi preview`, of an empty program and of both stacks", "about 15 s each")
        seconds: dict[str, list[float]] = {name: [] for name in (empty.STACK, *stacks)}
        for number in range(1, count + 1):
            for name in seconds:
                cli = peer if name == empty.STACK else rehearsal.cli
                outcome = cli.run("preview", "--stack", name, "--expect-no-changes")
                seconds[name].append(outcome.seconds)
            progress(number, count, ", ".join(f"{name} {values[-1]:.1f} s" for name, values in seconds.items()))
    return judged(seconds)


def judged(seconds: dict[str, list[float]]) -> Result:
    """The slower stack's median against that of the empty program."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    reference = medians.pop(empty.STACK)
    slower = max(medians, key=lambda name: medians[name])
    return Result(
        what=f"`pulumi preview` of {slower}, the slower stack",
        unit="s",
        figure=medians[slower],
        against="preview of an empty program",
        reference=reference,
        bound=BOUND,
        details={"seconds": seconds},
    )
