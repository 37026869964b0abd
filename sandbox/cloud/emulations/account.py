"""Account management: which regions are opted in, which moto does not know."""

from __future__ import annotations

from typing import Any

from sandbox.cloud.context import AwsError, Cloud

# Regions launched before March 2019 are always on; those in use, and one of those that are off.
STATUS = {
    "eu-west-1": "ENABLED_BY_DEFAULT",
    "eu-west-2": "ENABLED_BY_DEFAULT",
    "us-east-1": "ENABLED_BY_DEFAULT",
    "af-south-1": "ENABLED",
    "me-central-1": "DISABLED",
}


_status: dict[str, str] = {}


def check(region: str) -> None:
    """Raise AwsError in a region that is off: it knows no credentials of the account."""
    if _status.get(region) == "DISABLED":
        raise AwsError("InvalidClientTokenId", "The security token included in the request is invalid.")


def install(cloud: Cloud) -> None:
    """Answer GetRegionOptStatus and EnableRegion."""
    global _status
    status = _status = dict(STATUS)

    def look(body: dict[str, Any]) -> dict[str, Any]:
        region = _known(body, status)
        return {"RegionName": region, "RegionOptStatus": status[region]}

    def enable(body: dict[str, Any]) -> dict[str, Any]:
        """At once. That a region that is on already stays as it is without an error is an assumption."""
        region = _known(body, status)
        if status[region] == "DISABLED":
            status[region] = "ENABLED"
        return {}

    cloud.operation("account", "GetRegionOptStatus", look)
    cloud.operation("account", "EnableRegion", enable)


def _known(body: dict[str, Any], status: dict[str, str]) -> str:
    region = str(body.get("RegionName", ""))
    if region not in status:
        raise AwsError("ValidationException", f"Invalid region name: {region}")
    return region
