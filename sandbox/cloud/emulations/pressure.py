"""API calls that AWS answers late, and those that it turns away because there are too many of them.

Both are measured in real seconds, as clients' own limits and pauses are.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from sandbox.cloud.accounting import Origin
from sandbox.cloud.context import AwsError, BadRequest, Cloud
from sandbox.cloud.emulations import faults

LATENCY = "latency"
THROTTLING = "throttling"
LONGEST_SECONDS = 5.0
# The code by which each service says it (its API reference, "Common errors"; EC2: "Request throttling").
_CODES = {"ec2": "RequestLimitExceeded", "rds": "Throttling", "elasticloadbalancing": "Throttling"}
_OTHERS = "ThrottlingException"
_buckets: dict[tuple[str, str, str], _Bucket] = {}
_lock = threading.Lock()


class _Bucket:
    """`rate` calls at once, refilled with `rate` a second ("Request throttling for the Amazon EC2 API")."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = max(1.0, rate)
        self._at = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def install(cloud: Cloud) -> None:
    """Accept both kinds of fault."""
    _buckets.clear()
    faults.add_kind(cloud, LATENCY, _check_latency)
    faults.add_kind(cloud, THROTTLING, _check_throttling)


def _check_latency(fault: dict[str, Any]) -> None:
    if fault.keys() - {"service"} != {"kind", "region", "seconds"}:
        raise BadRequest(f"{LATENCY} has the fields region and seconds; service is optional")
    if not 0 < float(fault["seconds"]) <= LONGEST_SECONDS:
        raise BadRequest(f"seconds must be above 0 and at most {LONGEST_SECONDS:g}")


def _check_throttling(fault: dict[str, Any]) -> None:
    if fault.keys() != {"kind", "region", "service", "per_second"}:
        raise BadRequest(f"{THROTTLING} has the fields region, service and per_second")
    if not float(fault["per_second"]) > 0:
        raise BadRequest("per_second must be above 0: a service that admits nobody is an api-error")


def press(cloud: Cloud, origin: Origin) -> None:
    """Hold a call as long as the region's latency says; raise AwsError where it is one too many of its operation."""
    for fault in [found for found in cloud.faults if found["kind"] in (LATENCY, THROTTLING)]:
        if fault["region"] != origin.region or fault.get("service", origin.service) != origin.service:
            continue
        if fault["kind"] == LATENCY:
            time.sleep(float(fault["seconds"]))
        elif not _admitted(origin, float(fault["per_second"])):
            raise AwsError(_CODES.get(origin.service, _OTHERS), "Rate exceeded")


def _admitted(origin: Origin, rate: float) -> bool:
    with _lock:
        bucket = _buckets.setdefault((origin.region, origin.service, origin.operation), _Bucket(rate))
        return bucket.take()
