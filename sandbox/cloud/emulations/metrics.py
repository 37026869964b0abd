"""CloudWatch metrics: the minute's beat, and the calls that put and read them.

Each modelled minute the collectors of metric_sources.py are asked, then those who wait for the minute (alarms) are
called. Only regions that are not cut have metrics. Nothing of this goes over the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterValue
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from sandbox.cloud import metric_math
from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import measurements, metric_sources
from sandbox.cloud.emulations.patching import replace
from sandbox.cloud.metric_store import MINUTE, Samples, Series, Store

Query = Mapping[str, Any]  # a MetricDataQuery of the API
Listener = Callable[[float], None]


class Beat:
    """Calls what has to happen at the end of each modelled minute, on one thread at a time."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._collectors = metric_sources.collectors(cloud.clock)
        self._listeners: list[Listener] = []
        self._last = _minute(cloud.clock.epoch())
        self._wait()

    def listen(self, listener: Listener) -> None:
        """Call `listener(modelled epoch of the minute's end)` once the minute's metrics are there."""
        self._listeners.append(listener)

    def _wait(self) -> None:
        seconds = self._last + MINUTE - self._cloud.clock.epoch()
        self._cloud.after(max(0.0, seconds) / 60, self._strike, "metrics")

    def _strike(self) -> None:
        try:
            end = _minute(self._cloud.clock.epoch())
            missed = range(int(self._last), int(end), MINUTE)  # more than one where this machine was too slow
            self._last = end
            taken = [measure for collect in self._collectors for measure in collect()]
            for start in missed:
                for measure in taken:
                    measurements.running().take(measure, start)
            for listener in self._listeners:
                listener(end)
        finally:
            self._wait()


def _minute(epoch: float) -> float:
    return epoch // MINUTE * MINUTE


# -- reading ------------------------------------------------------------------------------------------------------
def dimensions(listed: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Dimensions by name, from the API's list."""
    return {entry["Name"]: entry["Value"] for entry in listed or []}


def series_of(metric: Mapping[str, Any]) -> Series:
    """The series that a Metric of the API names."""
    return Series.of(metric["Namespace"], metric["MetricName"], dimensions(metric.get("Dimensions")))


def results(store: Store, queries: Iterable[Query], start: float, seconds: float) -> dict[str, float | None]:
    """The value of each query for one period: metrics first, then the expressions over them."""
    found: dict[str, float | None] = {}
    waiting = []
    for query in queries:
        if "MetricStat" not in query:
            waiting.append(query)
            continue
        wanted = query["MetricStat"]
        samples = store.period(series_of(wanted["Metric"]), start, seconds, wanted.get("Unit"))
        found[query["Id"]] = samples.statistic(wanted["Stat"]) if samples else None
    for query in waiting:
        found[query["Id"]] = metric_math.calculate(query["Expression"], found)
    return found


# -- the API ------------------------------------------------------------------------------------------------------
_beat: Beat | None = None


def beat() -> Beat:
    """The beat of the running cloud."""
    if _beat is None:
        raise RuntimeError("metrics are not installed")
    return _beat


def install(cloud: Cloud) -> None:
    """Publish each minute; put and read from our own store instead of moto's ever-growing list."""
    global _beat
    _beat = Beat(cloud)

    def store(response: CloudWatchResponse) -> Store:
        return measurements.running().store(response.region)

    def put_metric_data(self: CloudWatchBackend, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        if namespace.startswith("AWS/"):
            raise InvalidParameterValue("The value AWS/ for parameter Namespace is invalid.")
        for number, datum in enumerate(metric_data, 1):
            self._validate_parameters_put_metric_data(datum, number)
            at = _epoch(datum["Timestamp"]) if "Timestamp" in datum else cloud.clock.epoch()
            named = Series.of(namespace, datum["MetricName"], dimensions(datum.get("Dimensions")))
            measurements.running().store(self.region_name).put(named, at, _samples(datum))

    def list_metrics(self: CloudWatchResponse) -> ActionResult:
        asked = self._get_params()
        wanted = {(entry["Name"], entry.get("Value")) for entry in asked.get("Dimensions", [])}
        found = [
            series.listed()
            for series in store(self).all()
            if asked.get("Namespace") in (None, series.namespace)
            and asked.get("MetricName") in (None, series.name)
            and all(any(_fits(entry, dimension) for dimension in series.dimensions) for entry in wanted)
        ]
        return ActionResult({"Metrics": found})

    def get_metric_statistics(self: CloudWatchResponse) -> ActionResult:
        asked = self._get_params()
        points = [
            {"Timestamp": _moment(start), "Unit": samples.unit or "None"}
            | {name: samples.statistic(name) for name in asked["Statistics"]}
            for start in _starts(asked, int(asked["Period"]))
            if (samples := store(self).period(series_of(asked), start, int(asked["Period"]), asked.get("Unit")))
        ]
        return ActionResult({"Label": asked["MetricName"], "Datapoints": points})

    def get_metric_data(self: CloudWatchResponse) -> ActionResult:
        asked = self._get_params()
        queries = asked["MetricDataQueries"]
        period = int(next((q["MetricStat"]["Period"] for q in queries if "MetricStat" in q), MINUTE))
        rows = [(start, results(store(self), queries, start, period)) for start in _starts(asked, period)]
        if asked.get("ScanBy", "TimestampDescending") == "TimestampDescending":
            rows.reverse()
        shown = [
            {
                "Id": query["Id"],
                "Label": query.get("Label", query["Id"]),
                "StatusCode": "Complete",
                "Timestamps": [_moment(start) for start, row in rows if row[query["Id"]] is not None],
                "Values": [row[query["Id"]] for _, row in rows if row[query["Id"]] is not None],
            }
            for query in queries
            if query.get("ReturnData", True)
        ]
        return ActionResult({"MetricDataResults": shown})

    replace(CloudWatchBackend, put_metric_data=put_metric_data)
    replace(
        CloudWatchResponse,
        list_metrics=list_metrics,
        get_metric_statistics=get_metric_statistics,
        get_metric_data=get_metric_data,
    )


def _fits(wanted: tuple[str, str | None], dimension: tuple[str, str]) -> bool:
    return wanted[0] == dimension[0] and wanted[1] in (None, dimension[1])


def _starts(asked: Mapping[str, Any], period: int) -> range:
    """The periods' beginnings between the asked moments, on whole minutes."""
    return range(int(_minute(_epoch(asked["StartTime"]))), int(_epoch(asked["EndTime"])), period)


def _epoch(moment: datetime) -> float:
    """moto parses some protocols' times without a time zone: they are UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _samples(datum: Mapping[str, Any]) -> Samples:
    """What one MetricDatum of the API holds: a value, values with counts, or a statistic set."""
    unit = datum.get("Unit")
    samples = Samples()
    if given := datum.get("StatisticValues"):
        count, total, low, high = (float(given[name]) for name in ("SampleCount", "Sum", "Minimum", "Maximum"))
        samples.merge(Samples(count, total, low, high, [low, high], unit))
        return samples
    values = datum.get("Values") or [datum.get("Value", 0.0)]
    counts = datum.get("Counts") or [1.0] * len(values)
    for value, count in zip(values, counts, strict=True):
        samples.add(float(value), float(count), unit)
    return samples
