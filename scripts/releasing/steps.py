"""What the deployments of a release consist of, for whoever waits, and how long the whole takes."""

from __future__ import annotations

from sandbox.clock import minutes
from scripts.project import BUILD
from scripts.promotion.adoption import DATABASE
from scripts.promotion.estimate import Estimate
from scripts.promotion.progress import ENGINE, Steps
from scripts.promotion.record import measured_minutes

RELEASES = BUILD / "releases"
REST = "rest"
ENGINE_MINUTES = 2.0  # two updates, apart from AWS's waits


def unprotect() -> Steps:
    """Of the deployment that takes its protection off."""
    return _steps("its protection is taken off")


def delete() -> Steps:
    """Of the one that deletes it."""
    return _steps("it is deleted, with RDS's own final snapshot")


def _steps(database: str) -> Steps:
    titles = {ENGINE: "preview, and start of the update", "database": database, REST: "everything else"}
    return Steps(titles, lambda kind, _: "database" if kind == DATABASE else REST)


def estimate(stack: str) -> Estimate:
    """AWS's waits: nobody else waits for any of it."""
    measured = measured_minutes(RELEASES, stack)
    if measured is not None:
        return Estimate(
            measured, "measured: the last one of this stack on AWS, from this machine, without its snapshot"
        )
    snapshot, changed, deleted = minutes("rds.snapshot"), minutes("rds.modify"), minutes("rds.delete")
    return Estimate(
        ENGINE_MINUTES + 2 * snapshot + changed + deleted,
        f"modelled, not measured: two snapshots {2 * snapshot:g}, protection off {changed:g}, deletion {deleted:g}; "
        "the first snapshot of a large database takes longer; see sandbox/clock.py",
    )
