"""How the small application uses the cache: it reads the secret itself, and works without a cache."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import valkey

NONE = "none"
CONNECTED = "connected"
TIMEOUT_SECONDS = 2


class CacheUse:
    """One application's view of the cache. `read` gives the secret's value, None while it has none."""

    def __init__(self, read: Callable[[], str | None], route: Callable[[str, int], str | None]) -> None:
        self._read = read
        self._route = route

    def state(self) -> str:
        """`connected`, `none` (nobody made one yet), or why it cannot be used; never an error."""
        value = self._read()
        if value is None:
            return NONE
        login = json.loads(value)
        if str(login["host"]).endswith(".invalid"):
            return NONE
        obstacle = self._route(login["host"], int(login["port"]))
        return obstacle or self._asked(login["host"], int(login["port"]), login["token"])

    def _asked(self, host: str, port: int, token: str) -> str:
        client = valkey.Valkey(
            host=host,
            port=port,
            password=token,
            ssl=True,
            ssl_cert_reqs="none",  # encrypted, as the cache demands; the sandbox's authority is known to nobody
            ssl_check_hostname=False,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
        )
        with contextlib.closing(client):
            try:
                client.ping()
            except (valkey.ValkeyError, OSError) as error:
                return f"{type(error).__name__}: {error}"
        return CONNECTED
