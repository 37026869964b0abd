"""How close the real time of a promotion comes to the waits that AWS imposes on any program."""

from __future__ import annotations

import statistics

from sandbox.clock import Clock
from sandbox.supervisor import Sandbox
from scripts import console
from scripts.benchmarks.result import Result
from scripts.benchmarks.stage import SEED, progress
from scripts.errors import PulumiError
from scripts.prerequisites.aws import explained
from scripts.rehearsal import chain
from scripts.rehearsal.evidence import Evidence
from scripts.rehearsal.scenario import RegionLoss


def measure(speed: float, count: int) -> Result:
    """The median of `count` promotions, each in a sandbox of its own, against the chain of unavoidable waits."""
    links = chain.promotion()
    show_chain(links, Clock(speed))
    seconds = []
    for number in range(1, count + 1):
        with Sandbox(speed=speed) as box, explained():
            rehearsal = RegionLoss(box, SEED, None)
            rehearsal.run(after_promotion=False)
        seconds.append(duration(rehearsal.evidence))
        progress(number, count, f"pulumi up took {seconds[-1]:.1f} s")
    return judged(seconds, Clock(speed).seconds(chain.total(links)))


def judged(seconds: list[float], chain_seconds: float) -> Result:
    """Compare what the promotions took with the chain."""
    return Result(
        what="`pulumi up` of a promotion",
        unit="s",
        figure=statistics.median(seconds),
        against="the chain of AWS's waits",
        reference=chain_seconds,
        bound=chain.BOUND,
        details={"seconds": seconds},
    )


def duration(evidence: Evidence) -> float:
    """Real seconds of the promotion's `pulumi up`. Raises PulumiError if it failed."""
    if evidence.up_code != 0 or evidence.up_seconds is None:
        raise PulumiError(f"`pulumi up` ended with code {evidence.up_code}:\n{evidence.up_tail}")
    return evidence.up_seconds


def show_chain(links: list[chain.Link], clock: Clock) -> None:
    """Print it before anything is measured."""
    rows = [(link.title, f"{link.minutes:.2f}", f"{clock.seconds(link.minutes):.1f}", link.why) for link in links]
    minutes = chain.total(links)
    rows.append(("the chain", f"{minutes:.2f}", f"{clock.seconds(minutes):.1f}", ""))
    console.table("Waits that no promotion can avoid", ("wait", "modelled min", "real s", "why"), rows)
    for source in dict.fromkeys(link.source for link in links):
        console.note(source)
