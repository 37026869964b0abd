"""Whether nobody can write to a database that is given up, and whether it was given up, and nothing else."""

from __future__ import annotations

from scripts.freezing import checks as freezing
from scripts.promotion import verification
from scripts.promotion.site import Site
from scripts.promotion.verification import Look
from scripts.releasing import final
from scripts.releasing.target import Target
from scripts.restoring import checks as restoring
from scripts.snapshots.model import Snapshot
from scripts.snapshots.region import Region


def before(site: Site, target: Target) -> dict[str, Look]:
    """What must hold before the final snapshot: what is written after it would be lost."""
    return {"locked": lambda: freezing.locked(site, target.generation.name)}


def fenced(site: Site, target: Target) -> bool:
    """Whether the state records what locked it. Once it is deleted, taken away with it."""
    return any(call.name == f"{freezing.FENCES}{target.generation.name}" for call in freezing.fences(site))


def afterwards(site: Site, home: Region, target: Target, snapshot: Snapshot | None) -> dict[str, Look]:
    """What must hold once it is gone. `snapshot`: None where an earlier run did all of it."""
    looks: dict[str, Look] = {
        "released": lambda: _gone(site, target),
        "serving": lambda: verification.database(site),
        "preview": lambda: restoring.preview(site),
    }
    if snapshot is not None:
        looks["final snapshots"] = lambda: final.kept(home, target, snapshot)
    return looks


def _gone(site: Site, target: Target) -> tuple[bool, str]:
    found = site.instance(target.identifier)
    return found is None, f"{target.identifier} is {'gone' if found is None else found['DBInstanceStatus']}"
