"""How long snapshots and their copies take: the clock's figure, or what a fault of the kind `duration` says.

AWS names no figure for either and says that a copy can take hours, so whoever measures data loss lets them vary:
POST /_sandbox/faults {"kind": "duration", "operation": "rds.copy", "minutes": 9.5}. It counts for what begins later.
"""

from __future__ import annotations

from typing import Any

from sandbox.clock import minutes
from sandbox.cloud.context import BadRequest, Cloud
from sandbox.cloud.emulations import faults

KIND = "duration"
OPERATIONS = ("rds.snapshot", "rds.copy")  # the emulations that ask here


def install(cloud: Cloud) -> None:
    faults.add_kind(cloud, KIND, _check)


def lasting(cloud: Cloud, operation: str) -> float:
    """Modelled minutes that `operation` takes if it begins now; of several faults the newest counts."""
    told = [fault["minutes"] for fault in cloud.faults if fault["kind"] == KIND and fault["operation"] == operation]
    return float(told[-1]) if told else minutes(operation)


def _check(fault: dict[str, Any]) -> None:
    if fault.keys() != {"kind", "operation", "minutes"}:
        raise BadRequest(f"a {KIND} has the fields operation and minutes")
    if fault["operation"] not in OPERATIONS:
        raise BadRequest(f"operation must be one of {', '.join(OPERATIONS)}, not {fault['operation']!r}")
    if not isinstance(fault["minutes"], int | float) or fault["minutes"] <= 0:
        raise BadRequest(f"minutes must be a positive number, not {fault['minutes']!r}")
