"""`dr rehearse faults`: draw one fault after another into a promotion, and judge how each ends."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

import typer

from sandbox.supervisor import Sandbox
from scripts import console
from scripts.errors import ChecksFailedError
from scripts.prerequisites.aws import explained
from scripts.rehearsal import fault_report, results
from scripts.rehearsal.fault_drill import Drill, Result
from scripts.rehearsal.fault_rows import Row, chains
from scripts.rehearsal.fault_table import FAULTS
from scripts.rehearse import LARGEST_SEED, shown, told

SCENARIO = "faults"


def run(seed: int | None, only: Sequence[str], speed: float) -> None:
    """The command. A result is written whatever ends it; raises ChecksFailedError where a row does not hold."""
    rows = chosen(only)
    seed = random.randint(1, LARGEST_SEED) if seed is None else seed
    draw = random.Random(seed)
    planned = chains(rows, draw)
    console.step(f"{len(rows)} faults in {len(planned)} sandboxes, seed {seed}", f"about {len(planned) * 7} min")
    directory = results.new_directory(SCENARIO)
    found: list[Result] = []
    began, error = time.monotonic(), None
    try:
        for number, chain in enumerate(planned, 1):
            console.step(f"Sandbox {number} of {len(planned)}: {', '.join(row.name for row in chain)}")
            rehearse(chain, seed, speed, found)
    except BaseException as ended:
        error = told(ended)
        raise
    finally:
        minutes = (time.monotonic() - began) / 60
        document = document_of(found, seed, speed, minutes, len(planned), error)
        fault_report.write(directory, document)
        _summarise(document)
        console.done(f"Report: {shown(directory / fault_report.REPORT)}")
    if broken := [result.row.name for result in found if not result.ok]:
        raise ChecksFailedError(
            f"{len(broken)} of {len(found)} faults do not end as they must: {', '.join(broken)}.",
            f"To repeat them: dr rehearse faults --seed {seed} " + " ".join(f"--only {name}" for name in broken),
        )


def rehearse(chain: list[Row], seed: int, speed: float, found: list[Result]) -> None:
    """One sandbox. What it found is in `found` even where it ends before its time."""
    with Sandbox(speed=speed) as box, explained():
        drill = Drill(box, chain, seed)
        try:
            drill.run()
        finally:
            found += drill.results


def chosen(only: Sequence[str]) -> list[Row]:
    """The rows of these names, all where none are named. Raises BadParameter for an unknown one: wrong usage."""
    known = {row.name: row for row in FAULTS}
    if unknown := [name for name in only if name not in known]:
        allowed = ", ".join(f"'{name}'" for name in known)
        raise typer.BadParameter(f"'{unknown[0]}' is not one of {allowed}.", param_hint="'--only'")
    return [row for row in FAULTS if not only or row.name in only]


def document_of(
    found: list[Result], seed: int, speed: float, minutes: float, sandboxes: int, error: str | None
) -> dict[str, Any]:
    """What is written down. `error`: what ended the rehearsal before its time."""
    return {
        "scenario": SCENARIO,
        "ok": error is None and all(result.ok for result in found),
        "error": error,
        "seed": seed,
        "speed": speed,
        "minutes": round(minutes, 1),
        "sandboxes": sandboxes,
        "rows": [result.as_json() for result in found],
    }


def _summarise(document: dict[str, Any]) -> None:
    rows = [
        (
            row["fault"],
            row["expected"]["outcome"] if row["ok"] else "BROKEN",
            str(row["code"]),
            row["first_line"] if row["ok"] else "; ".join(row["problems"]),
            row["again"],
        )
        for row in document["rows"]
    ]
    console.table("Faults", ("fault", "ended", "code", "message", "after mending"), rows)
