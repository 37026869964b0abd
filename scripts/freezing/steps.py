"""What a freeze and a thaw consist of, for whoever waits, and how long they take."""

from __future__ import annotations

from pathlib import Path

from sandbox.clock import minutes
from scripts.project import BUILD
from scripts.promotion.estimate import Estimate
from scripts.promotion.progress import ENGINE, Steps, step_of
from scripts.promotion.record import measured_minutes

FREEZES, THAWS = BUILD / "freezes", BUILD / "thaws"
REST = "rest"
FREEZE = {
    ENGINE: "preview, and start of the update",
    "page": "crisis page on, health checks answered by the load balancer",
    "scaling": "autoscaling suspended",
    "services": "what writes goes to no task",
    "locks": "database roles locked",
    REST: "everything else",
}
THAW = {
    ENGINE: "preview, and start of the update",
    "logins": "the critical services' roles unlocked",
    "services": "critical services start",
    "gate": "critical services answer at the load balancer",
    "takeover": "crisis page off",
    REST: "everything else",
}
_FREEZE_KINDS = {
    "aws:lb/listenerRule:ListenerRule": "page",
    "aws:appautoscaling/target:Target": "scaling",
    "aws:ecs/service:Service": "services",
}


def freeze() -> Steps:
    """Of a freeze."""
    return Steps(FREEZE, _of_freeze)


def thaw(critical: frozenset[str]) -> Steps:
    """Of a thaw: the end of a promotion."""
    return Steps(THAW, lambda kind, name: found if (found := step_of(kind, name, critical)) in THAW else REST)


def _of_freeze(kind: str, name: str) -> str:
    return "locks" if name.startswith("fences-") else _FREEZE_KINDS.get(kind, REST)


def freeze_estimate(stack: str) -> Estimate:
    """A freeze waits for nobody but the function: it takes what the engine takes."""
    return _estimate(stack, FREEZES, 1.0, "the engine's own time and one call of a function; no wait of AWS")


def thaw_estimate(stack: str) -> Estimate:
    """A thaw waits twice for tasks to start: the critical ones, then the standard ones."""
    start = minutes("ecs.task_start")
    return _estimate(stack, THAWS, 1.0 + 2 * start, f"critical and standard tasks {start:g} each; see sandbox/clock.py")


def _estimate(stack: str, root: Path, modelled: float, basis: str) -> Estimate:
    measured = measured_minutes(root, stack)
    if measured is not None:
        return Estimate(measured, "measured: the last one of this stack on AWS, from this machine")
    return Estimate(modelled, f"modelled, not measured: {basis}")
