"""What the deployments of a restore consist of, for whoever waits, and how long the whole takes."""

from __future__ import annotations

from sandbox.clock import database_minutes, minutes
from scripts.freezing.steps import freeze_estimate, thaw_estimate
from scripts.project import BUILD
from scripts.promotion.adoption import DATABASE
from scripts.promotion.estimate import Estimate
from scripts.promotion.progress import ENGINE, Steps
from scripts.promotion.record import measured_minutes

RESTORES = BUILD / "restores"
REST = "rest"
ENGINE_MINUTES = 1.0  # an update that waits for nothing of AWS
RESTORE = {
    ENGINE: "preview, and start of the update",
    "database": "the database as it was, with a second zone and its first backup",
    "locks": "its roles locked",
    REST: "everything else",
}
SERVE = {
    ENGINE: "preview, and start of the update",
    "database": "tags that say which one serves",
    "secrets": "the services' secrets lead to it",
    REST: "everything else",
}


def restore() -> Steps:
    """Of the deployment that makes the database."""
    return Steps(RESTORE, lambda kind, name: _step_of(kind, name, RESTORE))


def serve() -> Steps:
    """Of the one that lets it serve."""
    return Steps(SERVE, lambda kind, name: _step_of(kind, name, SERVE))


def _step_of(kind: str, name: str, titles: dict[str, str]) -> str:
    if kind == DATABASE:
        return "database"
    step = "locks" if name.startswith("fences-") else "secrets" if kind.endswith(":SecretVersion") else REST
    return step if step in titles else REST


def restore_estimate() -> Estimate:
    """AWS's waits for a new instance; blocks load later, but the log of a busy day is replayed before."""
    made, changed = database_minutes("rds.restore", multi_az=True, backups=True), minutes("rds.modify")
    basis = (
        f"modelled, not measured: new instance, second zone and first backup {made:g}, settings after it {changed:g}"
    )
    return Estimate(ENGINE_MINUTES + made + changed, f"{basis}; see sandbox/clock.py")


def serve_estimate() -> Estimate:
    """Tags and secrets: nobody waits for AWS."""
    return Estimate(ENGINE_MINUTES, "modelled, not measured: the engine's own time; no wait of AWS")


def estimate(stack: str) -> Estimate:
    """The whole, from the freeze to people who write again."""
    measured = measured_minutes(RESTORES, stack)
    if measured is not None:
        return Estimate(measured, "measured: the last one of this stack on AWS, from this machine, without its checks")
    parts = {
        "freeze": freeze_estimate(stack),
        "database": restore_estimate(),
        "serving": serve_estimate(),
        "thaw": thaw_estimate(stack),
    }
    told = ", ".join(f"{name} {part.minutes:.0f}" for name, part in parts.items())
    return Estimate(
        sum(part.minutes for part in parts.values()),
        f"modelled, not measured: {told}; replaying the log of a busy day comes on top; see sandbox/clock.py",
    )
