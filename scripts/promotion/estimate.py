"""How long a promotion will take, and on what that figure rests."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.promotion.record import PROMOTIONS, measured_minutes
from scripts.rehearsal import chain
from scripts.rehearsal.sources import Source


@dataclass(frozen=True)
class Estimate:
    """Minutes from `pulumi up` to its end."""

    minutes: float
    basis: str


def promotion(stack: str, source: Source | None) -> Estimate:
    """The last measured one on AWS from the same source, else the sum of the waits that AWS imposes, as the sandbox's
    clock models them. `source`: of the data; None where the database is there already."""
    measured = None if source is None else measured_minutes(PROMOTIONS, stack, source)
    if measured is not None:
        basis = f"measured: `pulumi up` of the last promotion of this stack on AWS with {source}, from this machine"
        return Estimate(measured, basis)
    links = chain.promotion(source)
    titles = ", ".join(f"{link.title} {link.minutes:g}" for link in links)
    return Estimate(chain.total(links), f"modelled, not measured: {titles}; sources in sandbox/clock.py")
