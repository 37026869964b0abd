"""What CloudWatch keeps of one region's metrics: for each series, one sample set a modelled minute."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MINUTE = 60
# One-minute data is kept for 15 days in AWS; no alarm of ours looks further back than a day.
KEPT_MINUTES = 24 * 60
MOST_VALUES = 500  # of a minute, for percentiles

Dimensions = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Series:
    """A metric's identity: exactly these dimensions, no more and no fewer."""

    namespace: str
    name: str
    dimensions: Dimensions

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> Series:
        """The series of a namespace, name and dimensions by name."""
        return cls(namespace, name, frozenset(dimensions.items()))

    def listed(self) -> dict[str, object]:
        """As ListMetrics shows it."""
        dimensions = [{"Name": name, "Value": value} for name, value in sorted(self.dimensions)]
        return {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": dimensions}


@dataclass
class Samples:
    """The values that arrived for a period: exact sums, and up to MOST_VALUES of the values themselves."""

    count: float = 0.0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    values: list[float] = field(default_factory=list)
    unit: str | None = None

    def add(self, value: float, count: float, unit: str | None) -> None:
        """Take in a value that arrived `count` times."""
        self.merge(Samples(count, value * count, value, value, [value], unit))

    def merge(self, other: Samples) -> None:
        """Take in another period's samples."""
        self.count += other.count
        self.total += other.total
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.values += other.values[: MOST_VALUES - len(self.values)]
        self.unit = other.unit or self.unit

    def statistic(self, name: str) -> float:
        """Sum, Average, Minimum, Maximum, SampleCount or a percentile such as p99.9.

        Raises ValueError for another.
        """
        if name.startswith("p"):
            return self._percentile(float(name[1:]))
        found = {"Sum": self.total, "Minimum": self.low, "Maximum": self.high, "SampleCount": self.count}
        if name == "Average":
            return self.total / self.count
        if name not in found:
            raise ValueError(f"no statistic {name}")
        return found[name]

    def _percentile(self, percent: float) -> float:
        ordered = sorted(self.values)
        return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


class Store:
    """All series of a region."""

    def __init__(self) -> None:
        self._series: dict[Series, dict[int, Samples]] = {}
        self._lock = threading.Lock()

    def put(self, series: Series, epoch: float, samples: Samples) -> None:
        """Add to the minute in which the modelled moment `epoch` lies."""
        minute = int(epoch // MINUTE)
        with self._lock:
            minutes = self._series.setdefault(series, {})
            found = minutes.get(minute)
            if found is None:
                found = minutes[minute] = Samples()
                if len(minutes) > KEPT_MINUTES:
                    minutes.pop(min(minutes))
            found.merge(samples)

    def knows(self, series: Series) -> bool:
        """Whether anything was ever put for exactly this series."""
        return series in self._series

    def unit(self, series: Series) -> str | None:
        """The unit of what was put last for a series that is known."""
        with self._lock:
            return next(reversed(self._series[series].values())).unit

    def period(self, series: Series, start: float, seconds: float, unit: str | None = None) -> Samples | None:
        """What arrived from the modelled moment `start` on, for so long; None where nothing did (in that unit)."""
        first = math.ceil(start / MINUTE)
        merged = Samples()
        with self._lock:
            minutes = self._series.get(series, {})
            wanted = range(first, first + max(1, round(seconds / MINUTE)))
            # Whichever is shorter to look through: a metric that comes each minute, or a day's of a rare one.
            for minute in wanted if len(wanted) < len(minutes) else [found for found in minutes if found in wanted]:
                samples = minutes.get(minute)
                if samples is not None and unit in (None, samples.unit or "None"):
                    merged.merge(samples)
        return merged if merged.count else None

    def all(self) -> Iterator[Series]:
        """Every series."""
        with self._lock:
            return iter(list(self._series))
