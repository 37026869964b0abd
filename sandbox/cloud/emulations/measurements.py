"""Where emulations hand in what AWS would measure; CloudWatch's store of each region, without its API.

What happens (a request, an invocation) is recorded when it happens; what is (a count, a level) is asked for by the
table of collectors in metrics.py once a modelled minute. A lost region records nothing.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.cloud.context import BadRequest, Cloud
from sandbox.cloud.emulations import faults
from sandbox.cloud.metric_store import Samples, Series, Store

KIND = "metric"
_FIELDS = {"kind", "region", "namespace", "name", "dimensions", "value"}


@dataclass(frozen=True)
class Measure:
    """One value of one series, in a region."""

    region: str
    namespace: str
    name: str
    dimensions: Mapping[str, str]
    value: float
    unit: str | None

    @property
    def series(self) -> Series:
        """Which metric it belongs to."""
        return Series.of(self.namespace, self.name, self.dimensions)


class Measurements:
    """All regions' metrics."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._stores: dict[str, Store] = defaultdict(Store)
        self._lock = threading.Lock()

    def store(self, region: str) -> Store:
        """A region's metrics."""
        with self._lock:
            return self._stores[region]

    def take(self, measure: Measure, at: float | None = None) -> None:
        """Record a value at a modelled moment (epoch seconds), now by default."""
        if self._cloud.is_cut(measure.region):
            return
        samples = Samples()
        samples.add(self._held(measure), 1.0, measure.unit)
        self.store(measure.region).put(measure.series, self._cloud.clock.epoch() if at is None else at, samples)

    def _held(self, measure: Measure) -> float:
        """The value, unless a fault holds this series at another."""
        for fault in self._cloud.faults:
            if fault["kind"] == KIND and (fault["region"], _series(fault)) == (measure.region, measure.series):
                return float(fault["value"])
        return measure.value

    def check_fault(self, fault: dict[str, Any]) -> None:
        """Refuse a fault on what nothing in the emulated world publishes: a wrong dimension must never alarm."""
        if fault.keys() != _FIELDS:
            raise BadRequest(f"a {KIND} fault has the fields {', '.join(sorted(_FIELDS))}")
        store, wanted = self.store(str(fault["region"])), _series(fault)
        if not store.knows(wanted):
            alike = [dict(found.dimensions) for found in store.all() if found.name == wanted.name]
            raise BadRequest(
                f"{fault['region']} has no metric {wanted.namespace} {wanted.name} with the dimensions "
                f"{dict(wanted.dimensions)}; it has {alike or 'none of that name'}"
            )
        # Some are published twice a day only: the held value's first time is now.
        value, unit = float(fault["value"]), store.unit(wanted)
        self.take(Measure(fault["region"], wanted.namespace, wanted.name, fault["dimensions"], value, unit))


def _series(fault: dict[str, Any]) -> Series:
    return Series.of(fault["namespace"], fault["name"], fault["dimensions"])


_measurements: Measurements | None = None


def running() -> Measurements:
    """The metrics of this process."""
    if _measurements is None:
        raise RuntimeError("measurements are not installed")
    return _measurements


def record(
    region: str,
    namespace: str,
    name: str,
    dimensions: Mapping[str, str],
    value: float,
    unit: str,
    *,
    at: float | None = None,
) -> None:
    """Take down something that happened, now or at a modelled moment (epoch seconds)."""
    running().take(Measure(region, namespace, name, dimensions, value, unit), at)


def install(cloud: Cloud) -> None:
    """Begin to keep metrics; a fault of the kind `metric` holds one at a value for as long as it stands."""
    global _measurements
    found = _measurements = Measurements(cloud)
    faults.add_kind(cloud, KIND, found.check_fault)
