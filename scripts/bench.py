"""`dr bench`: how close the real time of a promotion comes to the waits that AWS imposes on any program."""

from __future__ import annotations

from sandbox.clock import Clock
from sandbox.supervisor import Sandbox
from scripts import console
from scripts.errors import ChecksFailedError, PulumiError
from scripts.prerequisites.aws import explained
from scripts.rehearsal import chain
from scripts.rehearsal.evidence import Evidence
from scripts.rehearsal.scenario import RegionLoss, Steps

SEED = 7  # the moment of the loss does not matter here; always the same one is easier to compare


def run(speed: float) -> None:
    """Bring both stacks up, promote, compare. Raises ChecksFailedError above the bound, PulumiError if `up` failed."""
    links = chain.promotion()
    show_chain(links, Clock(speed))
    with Sandbox(speed=speed) as box, explained():
        rehearsal = RegionLoss(box, SEED, None)
        rehearsal.run(Steps(after_promotion=False))
    compare(rehearsal.evidence, Clock(speed).seconds(chain.total(links)))


def show_chain(links: list[chain.Link], clock: Clock) -> None:
    """Print it before anything is measured."""
    rows = [(link.title, f"{link.minutes:.2f}", f"{clock.seconds(link.minutes):.1f}", link.why) for link in links]
    minutes = chain.total(links)
    rows.append(("the chain", f"{minutes:.2f}", f"{clock.seconds(minutes):.1f}", ""))
    console.table("Waits that no promotion can avoid", ("wait", "modelled min", "real s", "why"), rows)
    for source in dict.fromkeys(link.source for link in links):
        console.note(source)


def compare(evidence: Evidence, chain_seconds: float) -> None:
    """Judge the measured time. Raises ChecksFailedError above the bound, PulumiError where there is none."""
    if evidence.up_code != 0 or evidence.up_seconds is None:
        raise PulumiError(f"`pulumi up` ended with code {evidence.up_code}:\n{evidence.up_tail}")
    ratio = evidence.up_seconds / chain_seconds
    console.plain(
        f"pulumi up {evidence.up_seconds:.1f} s / chain {chain_seconds:.1f} s = {ratio:.3f} (bound {chain.BOUND})"
    )
    if ratio > chain.BOUND:
        raise ChecksFailedError(f"The promotion took {ratio:.3f} times the unavoidable chain; at most {chain.BOUND}.")
    console.done("Within the bound.")
