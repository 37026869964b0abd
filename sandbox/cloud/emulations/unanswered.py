"""A call that AWS carries out, and whose answer never arrives: what somebody meets who is killed in the middle of it.

POST /_sandbox/faults {"kind": "unanswered", "region", "principal", "known": ["rds:ModifyDBInstance", …]}: the first
call of the principal that changes something, other than those known, is carried out and counted; its answer waits until
the fault is taken away. GET /_sandbox/held tells which call that is.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from sandbox.cloud.accounting import Origin
from sandbox.cloud.context import BadRequest, Cloud
from sandbox.cloud.emulations import faults
from sandbox.cloud.operations import READS

KIND = "unanswered"
LONGEST_SECONDS = 120.0  # of real time: whoever forgot the fault is answered then
LOOK_EVERY = 0.05
ONLY_COMPUTE = ("kms", "sts")  # whose calls by a deployment change nothing, whatever their names
_lock = threading.Lock()
_held: dict[str, Any] = {}


def install(cloud: Cloud) -> None:
    """Accept the kind of fault, and tell what is held."""
    _held.clear()
    faults.add_kind(cloud, KIND, _check)
    cloud.route("GET", "held", lambda _: dict(_held))


def _check(fault: dict[str, Any]) -> None:
    if fault.keys() != {"kind", "region", "principal", "known"} or not isinstance(fault["known"], list):
        raise BadRequest(f"{KIND} has the fields region, principal and known, a list of service:operation")


def changes_something(service: str, operation: str) -> bool:
    """Whether a call of a deployment, or of a person, can change something."""
    return service not in ONLY_COMPUTE and not operation.startswith(READS)


def hold(cloud: Cloud, origin: Origin) -> None:
    """Keep the thread that would answer, where this is the call that is to have no answer."""
    name = f"{origin.service}:{origin.operation}"
    if not changes_something(origin.service, origin.operation):
        return
    with _lock:
        fault = next((found for found in cloud.faults if _meant(found, origin, name)), None)
        if fault is None or _held:
            return
        _held.update(call=name, region=origin.region)
    cloud.emit("call.unanswered", call=name, region=origin.region)
    deadline = time.monotonic() + LONGEST_SECONDS
    while fault in cloud.faults and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY)
    with _lock:
        _held.clear()


def _meant(fault: dict[str, Any], origin: Origin, name: str) -> bool:
    asked = (fault["kind"], fault.get("region"), fault.get("principal"))
    return asked == (KIND, origin.region, origin.principal) and name not in fault["known"]
