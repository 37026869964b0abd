"""Between which regions RDS replicates automated backups.

Source: "Replicating automated backups to another AWS Region" in the RDS user guide, table of regions as published in
its repository in 2023. af-south-1 is in none of its rows; the example of `describe-source-regions` in the AWS CLI says
false for it, too.
"""

from __future__ import annotations

from typing import Final

from botocore.loaders import Loader

_US: Final = "us-east-1 us-east-2 us-west-2"
_US_ALL: Final = "us-east-1 us-east-2 us-west-1 us-west-2"
_EUROPE: Final = "eu-central-1 eu-north-1 eu-west-1 eu-west-2 eu-west-3"
_DESTINATIONS: Final = {
    "ap-northeast-1": f"ap-northeast-2 ap-northeast-3 ap-southeast-1 {_US}",
    "ap-northeast-2": f"ap-northeast-1 ap-southeast-1 {_US}",
    "ap-northeast-3": "ap-northeast-1",
    "ap-south-1": f"ap-southeast-1 {_US}",
    "ap-southeast-1": f"ap-northeast-1 ap-northeast-2 ap-south-1 ap-southeast-2 {_US}",
    "ap-southeast-2": "ap-southeast-1 us-east-1 us-west-1 us-west-2",
    "ca-central-1": f"eu-west-1 {_US_ALL}",
    "eu-central-1": f"{_EUROPE} {_US}",
    "eu-north-1": f"{_EUROPE} us-east-1",
    "eu-west-1": f"ca-central-1 {_EUROPE} {_US_ALL}",
    "eu-west-2": f"{_EUROPE} us-east-1",
    "eu-west-3": f"{_EUROPE} us-east-1",
    "sa-east-1": "us-east-1 us-east-2",
    "us-east-1": (
        "ap-northeast-1 ap-northeast-2 ap-south-1 ap-southeast-1 ap-southeast-2 ca-central-1 "
        f"{_EUROPE} sa-east-1 {_US_ALL}"
    ),
    "us-east-2": (
        "ap-northeast-1 ap-northeast-2 ap-south-1 ap-southeast-1 ca-central-1 eu-central-1 eu-west-1 sa-east-1 "
        f"{_US_ALL}"
    ),
    "us-west-1": f"ap-southeast-2 ca-central-1 eu-west-1 {_US_ALL}",
    "us-west-2": (
        "ap-northeast-1 ap-northeast-2 ap-south-1 ap-southeast-1 ap-southeast-2 ca-central-1 eu-central-1 eu-west-1 "
        f"{_US_ALL}"
    ),
}


def replicates(source: str, destination: str) -> bool:
    """Whether automated backups can go from `source` to `destination`."""
    return source != destination and destination in _DESTINATIONS.get(source, "").split()


def regions() -> list[str]:
    """All regions of RDS."""
    endpoints = Loader().load_data("endpoints")["partitions"][0]["services"]["rds"]["endpoints"]
    return sorted(name for name in endpoints if "fips" not in name and name.count("-") == 2)
