"""How the program asks AWS by itself: one region's own endpoints, bounded in time."""

from functools import cache
from typing import Any, Final

import boto3
from botocore.config import Config

CALLS: Final = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "max_attempts": 4},
    user_agent_extra="mental-health-platform-program",
)


def regional_client(service: str, region: str) -> Any:
    """A client for the region's own endpoint, STS included: boto3's default since 1.40."""
    return _session().client(service, region_name=region, config=CALLS)


@cache
def _session() -> Any:
    """One for all: a session reads AWS's endpoints and finds the credentials, which takes longer than the client."""
    return boto3.session.Session()
