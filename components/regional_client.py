"""How the program asks AWS by itself: one region's own endpoints, bounded in time."""

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
    return boto3.session.Session(region_name=region).client(service, config=CALLS)  # type: ignore[call-overload]
