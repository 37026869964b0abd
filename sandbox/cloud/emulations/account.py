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


def install(cloud: Cloud) -> None:
    """Answer GetRegionOptStatus."""
    cloud.operation("account", "GetRegionOptStatus", _status)


def _status(body: dict[str, Any]) -> dict[str, Any]:
    region = body.get("RegionName", "")
    if region not in STATUS:
        raise AwsError("ValidationException", f"Invalid region name: {region}")
    return {"RegionName": region, "RegionOptStatus": STATUS[region]}
