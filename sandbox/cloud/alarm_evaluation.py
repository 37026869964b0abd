"""When a metric alarm changes its state; pure functions over data points.

Source: "Configuring how CloudWatch alarms treat missing data" and "Alarm evaluation", CloudWatch user guide. Their
tables are the test. A point is a number, or None where no data arrived in that period; the newest point comes last.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"
# How many more points than "evaluation periods" are retrieved. The guide's examples have 5 for 3; it gives no formula
# ("depends on the length of the alarm period").
LOOKBACK = 2

Point = float | None

COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
MISSING = ("missing", "ignore", "breaching", "notBreaching")
_TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching"}


@dataclass(frozen=True)
class Criteria:
    """When an alarm's points are bad enough: `needed` of `periods` beyond the threshold."""

    comparison: str
    threshold: float
    periods: int
    needed: int
    missing: str = "missing"

    @property
    def range(self) -> int:
        """How many points are looked at."""
        return self.periods + LOOKBACK

    def breaches(self, value: float) -> bool:
        """Whether one value is beyond the threshold."""
        return COMPARISONS[self.comparison][0](value, self.threshold)


def evaluate(points: Sequence[Point], criteria: Criteria, current: str) -> str:
    """The state that follows from the last `criteria.range` points."""
    present = [value for value in points if value is not None][-criteria.periods :]
    breaching = sum(criteria.breaches(value) for value in present)
    if len(present) == criteria.periods:
        return ALARM if breaching >= criteria.needed else OK
    if criteria.missing in _TREATED:
        filled = criteria.periods - len(present) if criteria.missing == "breaching" else 0
        return ALARM if breaching + filled >= criteria.needed else OK
    return _without_filling(points, criteria, breaching, bool(present), current)


def _without_filling(points: Sequence[Point], criteria: Criteria, breaching: int, any_data: bool, current: str) -> str:
    """Too few points, none made up: enough breaching ones alarm, and so does a breach after which nothing came."""
    if not any_data:
        return current if criteria.missing == "ignore" else INSUFFICIENT
    if breaching >= criteria.needed:
        return ALARM
    if not all(criteria.breaches(value) for value in points if value is not None):
        return OK
    oldest = max(len(points) - index for index, value in enumerate(points) if value is not None)  # periods ago
    return ALARM if criteria.missing == "missing" and oldest >= criteria.needed else current


def reason(points: Sequence[Point], starts: Sequence[datetime], criteria: Criteria, before: str, state: str) -> str:
    """CloudWatch's sentence for a state; `starts` are the beginnings of the points' periods."""
    present = [(value, start) for value, start in zip(points, starts, strict=True) if value is not None]
    present = present[-criteria.periods :]
    if state == INSUFFICIENT:
        word = "datapoint was" if criteria.periods == 1 else "datapoints were"
        return f"Insufficient Data: {criteria.periods} {word} unknown."
    if not present:
        return _nothing_received(criteria)
    matching = [entry for entry in present if criteria.breaches(entry[0]) == (state == ALARM)]
    shown = ", ".join(f"{value} ({start:%d/%m/%y %H:%M:%S})" for value, start in reversed(matching))
    negation = "" if state == ALARM else "not "
    least = criteria.needed if state == ALARM else criteria.periods - criteria.needed + 1
    plural = "datapoint" if least == 1 else "datapoints"
    return (
        f"Threshold Crossed: {len(matching)} out of the last {criteria.periods} datapoints [{shown}] "
        f"{'was' if len(matching) == 1 else 'were'} {negation}{COMPARISONS[criteria.comparison][1]} the threshold "
        f"({criteria.threshold}) (minimum {least} {plural} for {before} -> {state} transition)."
    )


def _nothing_received(criteria: Criteria) -> str:
    several = criteria.periods > 1
    return (
        f"Threshold Crossed: no datapoints were received for {criteria.periods} period{'s' if several else ''} and "
        f"{criteria.periods} missing datapoint{'s were' if several else ' was'} treated as "
        f"[{_TREATED[criteria.missing]}]."
    )
