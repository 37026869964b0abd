"""What a measurement yields, and the arithmetic that judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Result:
    """`figure` is judged by its ratio to `reference` (a peer measured in the same run, or a limit): at most `bound`.

    Both are in `unit`. Without a bound the ratio is only told. `details` is whatever explains the figure.
    """

    what: str
    unit: str
    figure: float
    against: str
    reference: float
    bound: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return self.figure / self.reference

    @property
    def holds(self) -> bool:
        return self.bound is None or self.ratio <= self.bound

    @property
    def verdict(self) -> str:
        if self.bound is None:
            return "no bound"
        return "holds" if self.holds else "BROKEN"

    def document(self) -> dict[str, Any]:
        """For the results' file."""
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}
