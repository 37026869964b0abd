"""`dr bench`: measures what was promised about speed, data loss and memory, and judges it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.clock import DEFAULT_SPEED
from sandbox.supervisor import SandboxFailed
from scripts import console
from scripts.benchmarks import memory, no_change, preview, promotion, replica, rpo, status
from scripts.benchmarks.names import Benchmark
from scripts.benchmarks.result import Result
from scripts.errors import ChecksFailedError, DrError, NotMeasuredError
from scripts.project import BUILD, CHECKOUT

FAST = 60.0  # where only modelled time is judged, or none at all


@dataclass(frozen=True)
class Measurement:
    """`count`: how often something is done or looked at. `measure` gets speed and count."""

    speed: float
    count: int
    about: str
    measure: Callable[[float, int], Result]


MEASUREMENTS = {
    Benchmark.PROMOTION: Measurement(DEFAULT_SPEED, 1, "about 10 min", promotion.measure),
    Benchmark.PREVIEW: Measurement(DEFAULT_SPEED, 7, "about 7 min", preview.measure),
    Benchmark.RPO: Measurement(FAST, 20, "about 9 min", rpo.measure),
    Benchmark.REPLICA: Measurement(DEFAULT_SPEED, 20, "about 10 min", replica.measure),
    Benchmark.NO_CHANGE: Measurement(DEFAULT_SPEED, 5, "about 7 min", no_change.measure),
    Benchmark.MEMORY: Measurement(FAST, 10, "about 5 min each", memory.measure),
    Benchmark.STATUS: Measurement(DEFAULT_SPEED, 5, "about half a minute", status.measure),
}


def run(chosen: Sequence[Benchmark], speed: float | None = None, count: int | None = None) -> None:
    """Measure what was chosen, all if nothing was; write the results down either way.

    Raises ChecksFailedError where a bound is broken, NotMeasuredError where something could not be measured.
    """
    results: dict[Benchmark, Result] = {}
    failures: dict[Benchmark, str] = {}
    path = BUILD / "bench" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    for name in chosen or list(Benchmark):
        one = MEASUREMENTS[name]
        console.step(f"Measuring: {name}", one.about)
        try:
            results[name] = one.measure(speed or one.speed, count or one.count)
        except (DrError, SandboxFailed) as error:  # the others take an hour: they are measured all the same
            failures[name] = str(error)
            console.warn(f"{name} could not be measured: {error}")
        else:
            show(name, results[name])
        write(path, results, failures)
    summarise(results, path)
    broken = [name for name, result in results.items() if not result.holds]
    if broken:
        raise ChecksFailedError(f"Above its bound: {', '.join(broken)}.")
    if failures:
        raise NotMeasuredError(f"Not measured: {', '.join(failures)}.")


def show(name: str, result: Result) -> None:
    """One measurement with all that explains it."""
    bound = "no bound" if result.bound is None else f"bound {result.bound:g}, {result.verdict}"
    console.plain(
        f"{name}: {result.what}: {result.figure:.2f} {result.unit} / {result.against} {result.reference:.2f} "
        f"{result.unit} = {result.ratio:.3f} ({bound})"
    )
    for key, value in result.details.items():
        console.note(f"{key}: {f'{value:.2f}' if isinstance(value, float) else value}")


def summarise(results: dict[Benchmark, Result], path: Path) -> None:
    rows = [
        (
            result.verdict,
            name,
            result.what,
            f"{result.figure:.2f} {result.unit}",
            f"{result.reference:.2f} ({result.against})",
            f"{result.ratio:.3f}",
            "-" if result.bound is None else f"{result.bound:g}",
        )
        for name, result in results.items()
    ]
    console.table("Measured", ("", "name", "what", "figure", "against", "ratio", "bound"), rows)
    console.note(f"Results: {path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path}")


def write(path: Path, results: dict[Benchmark, Result], failures: dict[Benchmark, str]) -> None:
    """After each measurement, so that an interrupted run leaves what it found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(results, failures), indent=2) + "\n")


def document(results: dict[Benchmark, Result], failures: dict[Benchmark, str]) -> dict[str, Any]:
    """`load`: how many processes wanted this machine's processors; above their number the figures are pessimistic."""
    return {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processors": os.cpu_count(),
            "load": [round(load, 2) for load in os.getloadavg()],
            "python": platform.python_version(),
        },
        "results": {name: result.document() for name, result in results.items()},
        "failures": failures,
    }
