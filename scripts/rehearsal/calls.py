"""Whom a promotion called: the lost region, or a control plane that is global.

Which services are global is derived from botocore's endpoint data: those with one endpoint for the whole partition.
Added to them is what AWS documents as depending on us-east-1 although the service has regional endpoints:

- S3 bucket configuration: creating, deleting and configuring buckets ("AWS Fault Isolation Boundaries", appendix on
  global services: S3 operations that need us-east-1). Derived from botocore's S3 model: every operation on a bucket
  that isn't about its objects. Reading configuration counts too, because design wants none on promotion.
- AWS Cloud Map namespaces that answer DNS: they make Route 53 zones.
- Service-linked roles: they are made in IAM, whichever service asks.

A call signed for us-east-1 counts too, whatever it is: that region isn't ours.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.loaders

GLOBAL_REGION = "us-east-1"
PULL_FUNCTION = "snapshot-cycle"
REHEARSAL = "REHEARSAL"  # the access key id of the rehearsal's own calls
# Regional although the endpoint data has a global endpoint too: AWS documents them as regional when called that way.
REGIONAL_ANYWAY = frozenset({"sts"})
# S3 operations on a bucket that read or change objects, or only find the bucket.
S3_DATA_PLANE = frozenset(
    {
        "ListObjects",
        "ListObjectsV2",
        "ListObjectVersions",
        "ListMultipartUploads",
        "DeleteObjects",
        "HeadBucket",
        "GetBucketLocation",
        "CreateSession",
    }
)
DOCUMENTED = frozenset(
    {
        ("servicediscovery", "CreatePrivateDnsNamespace"),
        ("servicediscovery", "CreatePublicDnsNamespace"),
        ("servicediscovery", "UpdatePrivateDnsNamespace"),
        ("servicediscovery", "UpdatePublicDnsNamespace"),
        ("iam", "CreateServiceLinkedRole"),
        ("iam", "DeleteServiceLinkedRole"),
    }
)


@dataclass(frozen=True)
class Call:
    """One request as counted at the socket."""

    t: float
    region: str
    service: str
    operation: str
    principal: str

    @property
    def name(self) -> str:
        return f"{self.service}:{self.operation} in {self.region} by {self.principal}"


@dataclass(frozen=True)
class Accounting:
    """The calls of a promotion, sorted. Each is a list for the report; its length is the number that counts."""

    lost_region: list[Call]
    lost_region_by_pull: list[Call]
    global_control_plane: list[Call]
    total: int
    by_service: dict[str, int]


def read(path: Path) -> list[Call]:
    fields = Call.__dataclass_fields__.keys()
    lines = path.read_text().splitlines()
    return [Call(**{key: value for key, value in json.loads(line).items() if key in fields}) for line in lines]


def account(calls: Iterable[Call], start: float, end: float, lost: str, own: str) -> Accounting:
    """Sort the calls between two moments. Left out is what no deployment makes: the rehearsal's own calls, and those
    of tasks inside of the lost region, whose roles' names begin with `own`."""
    inside = f"TASK-{own}"
    during = [
        call
        for call in calls
        if start <= call.t <= end and call.principal != REHEARSAL and not call.principal.startswith(inside)
    ]
    to_lost = [call for call in during if call.region == lost]
    return Accounting(
        lost_region=[call for call in to_lost if not is_pull(call)],
        lost_region_by_pull=[call for call in to_lost if is_pull(call)],
        global_control_plane=[call for call in during if is_global(call)],
        total=len(during),
        by_service=dict(Counter(f"{call.service} in {call.region}" for call in during).most_common()),
    )


def is_pull(call: Call) -> bool:
    return call.principal.startswith("FUNCTION-") and call.principal.endswith(PULL_FUNCTION)


def is_global(call: Call) -> bool:
    """Whether the call needs a control plane outside the standby region."""
    return (
        call.region == GLOBAL_REGION
        or call.service in global_services()
        or (call.service, call.operation) in DOCUMENTED
        or (call.service == "s3" and call.operation in s3_configuration())
    )


@functools.cache
def global_services() -> frozenset[str]:
    """Signing names of the services that have one endpoint for the whole partition."""
    partitions = _load("endpoints")["partitions"]
    services: dict[str, Any] = next(part for part in partitions if part["partition"] == "aws")["services"]
    return frozenset(
        name
        for name, data in services.items()
        if "partitionEndpoint" in data and not data.get("isRegionalized", False) and name not in REGIONAL_ANYWAY
    )


@functools.cache
def s3_configuration() -> frozenset[str]:
    """S3 operations on a bucket that are not about its objects."""
    model = _load("s3/2006-03-01/service-2")
    return frozenset(
        name
        for name, operation in model["operations"].items()
        if "{Key" not in operation["http"]["requestUri"]
        and "{Bucket}" in operation["http"]["requestUri"]
        and name not in S3_DATA_PLANE
    )


def _load(name: str) -> Any:
    return botocore.loaders.create_loader().load_data(name)
