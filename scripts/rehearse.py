"""`dr rehearse …`: live through a disaster in a sandbox of its own, write down what happened, judge it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.supervisor import Sandbox, SandboxFailed
from scripts import console
from scripts.errors import ChecksFailedError, SandboxError
from scripts.prerequisites.aws import explained
from scripts.project import CHECKOUT
from scripts.rehearsal import results
from scripts.rehearsal.faults import Fault
from scripts.rehearsal.scenario import RegionLoss
from scripts.rehearsal.sources import PAIR_WITH_BACKUPS, Source, move_standby

LARGEST_SEED = 999_999


def region_loss(
    seed: int | None, speed: float, fault: Fault | None, source: Source, keep: bool, silent: bool = False
) -> None:
    """Lose the primary region, promote the standby, check every promise.

    Raises ChecksFailedError where a promise is broken, and what ended the rehearsal before its time; a result is
    written either way. `speed`: modelled time passes that many times faster. `keep`: the sandbox's logs stay too.
    `silent`: connections to the lost region hang instead of ending at once.
    """
    chosen = random.randint(1, LARGEST_SEED) if seed is None else seed
    console.step(f"Rehearsing the loss of the primary region with {source}, seed {chosen}", "about 14 min")
    console.step("Starting the emulated cloud and the provider", "about 10 s")
    moved = source is Source.BACKUPS
    box = Sandbox(speed=speed, standby_region=PAIR_WITH_BACKUPS[1]) if moved else Sandbox(speed=speed)
    with box, explained():
        if moved:
            move_standby(box.project)
        rehearsal = RegionLoss(box, chosen, fault, source, silent)
        directory = results.new_directory()
        error: str | None = None
        try:
            rehearsal.run()
        except BaseException as ended:
            error = told(ended)
            collect_what_is_left(rehearsal)
            raise
        finally:
            document = write_down(rehearsal, directory, error)
            if keep:
                console.note(f"logs: {shown(results.keep_logs(box.directory, directory))}")
            summarise(document, directory)
    broken = [check["name"] for check in document["checks"] if not check["ok"]]
    if broken:
        raise ChecksFailedError(
            f"{len(broken)} of {len(document['checks'])} checks do not hold: {', '.join(broken)}.",
            f"To repeat it: dr rehearse region-loss --seed {chosen} --source {source}"
            + (f" --fault {fault}" if fault else "")
            + (" --timing-out" if silent else ""),
        )


def collect_what_is_left(rehearsal: RegionLoss) -> None:
    """Read what a broken sandbox still tells, so that the report shows how far it came."""
    try:
        rehearsal.collect()
    except (SandboxFailed, SandboxError, BotoCoreError, ClientError, OSError) as error:
        console.note(f"not everything could be read back: {error}")


def write_down(rehearsal: RegionLoss, directory: Path, error: str | None) -> dict[str, Any]:
    document = results.result(rehearsal.evidence, rehearsal.timeline, rehearsal.seed, error)
    happened = results.events(rehearsal.evidence, rehearsal.timeline, rehearsal.world.events())
    results.write(directory, document, happened)
    return document


def summarise(document: dict[str, Any], directory: Path) -> None:
    """The checks, unless they could not be come to, and where the report is."""
    if document["error"] is None:
        rows = [
            ("holds" if check["ok"] else "BROKEN", check["title"], check["evidence"]) for check in document["checks"]
        ]
        console.table("Promises", ("", "what", "evidence"), rows)
    say = console.done if document["ok"] else console.warn
    say(f"Report: {shown(directory / 'report.html')}")


def shown(path: Path) -> str:
    """A path as people type it in the checkout."""
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else str(path)


def told(error: BaseException) -> str:
    """What ended a rehearsal, in words; an exit by a signal says which code."""
    if isinstance(error, SystemExit):
        return f"interrupted (exit code {error.code})"
    return f"{type(error).__name__}: {error}"
