"""boto3 clients of the emulated cloud, one per service and region, and what a provider instance is configured with."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from sandbox.clock import Clock

# Their control plane answers in one region, whatever region the program works in.
GLOBAL_SERVICES: Final = {"iam": "us-east-1", "route53": "us-east-1"}


class Clients:
    """Clients by service and region; making one is not thread-safe in boto3, using it is."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._session = boto3.session.Session(
            aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "OPERATOR"),
            aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "fake"),
        )
        self._config = Config(
            max_pool_connections=64,
            retries={"mode": "standard", "total_max_attempts": 25},  # the plugin's default (maxRetries)
            connect_timeout=5,
            read_timeout=900,
            user_agent_extra="sandbox-provider",
            s3={"addressing_style": "path"},
        )

    def get(self, service: str, region: str) -> Any:
        """The client of `service` in `region`."""
        key = (service, GLOBAL_SERVICES.get(service, region))
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._session.client(
                    service,  # type: ignore[call-overload]
                    region_name=key[1],
                    endpoint_url=self._endpoint,
                    config=self._config,
                )
            return self._clients[key]


@dataclass
class Instance:
    """One configured provider: the stack's default one or an explicit aws.Provider."""

    clients: Clients
    region: str
    account: str
    project: Path  # where relative paths of assets start
    clock: Clock
    default_tags: dict[str, str] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)
