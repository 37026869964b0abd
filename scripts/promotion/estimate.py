"""How long a promotion will take, and on what that figure rests."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.promotion.record import measured_minutes
from scripts.rehearsal import chain


@dataclass(frozen=True)
class Estimate:
    """Minutes from `pulumi up` to its end."""

    minutes: float
    basis: str


def promotion(stack: str) -> Estimate:
    """The last measured one on AWS, else the sum of the waits that AWS imposes, as the sandbox's clock models them."""
    measured = measured_minutes(stack)
    if measured is not None:
        return Estimate(measured, "measured: the last promotion of this stack on AWS, from this machine")
    links = chain.promotion()
    titles = ", ".join(f"{link.title} {link.minutes:g}" for link in links)
    return Estimate(chain.total(links), f"modelled, not measured: {titles}; sources in sandbox/clock.py")
