"""boto3 clients from an explicit environment, so that one process can be several principals, on AWS or in a sandbox."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=10, read_timeout=30)


class Clients:
    """Makes clients with the credentials and the endpoint that `environment` names (else boto3's usual search)."""

    def __init__(self, environment: Mapping[str, str], config: Config = CONFIG) -> None:
        key = environment.get("AWS_ACCESS_KEY_ID")
        self._session = (
            boto3.Session(
                aws_access_key_id=key,
                aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
                aws_session_token=environment.get("AWS_SESSION_TOKEN"),
            )
            if key
            else boto3.Session()
        )
        self._endpoint = environment.get("AWS_ENDPOINT_URL")
        self._config = config
        self._lock = threading.Lock()  # making a client is not thread-safe in boto3, using one is

    def get(self, service: str, region: str) -> Any:
        """A client; the caller annotates its type."""
        make: Any = self._session.client
        with self._lock:
            return make(service, region_name=region, endpoint_url=self._endpoint, config=self._config)
