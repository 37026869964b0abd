"""Route 53 health checks: real requests to load balancers and buckets, thresholds, inversion, calculation.

One checker stands for AWS's many. A new check counts as healthy (an inverted one as unhealthy) until there is enough
data, and a disabled one as healthy before inversion: Route 53 developer guide, "How Route 53 determines whether a
health check is healthy" and "Values that you specify when you create or update health checks".
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.route53.models import HealthCheck, route53_backends

from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import public_objects, targets
from sandbox.cloud.emulations.load_balancers import balancers

SEARCHED_BYTES = 5120  # the string must be in this much of the body
MODELLED = ("HTTP", "HTTPS", "HTTP_STR_MATCH", "HTTPS_STR_MATCH", "CALCULATED")
_TIMEOUT_SECONDS = 4.0  # real; a check that hangs fails
_MAX_DEPTH = 10

# Resolves a name of our own zones to a load balancer's DNS name, or None.
Resolve = Callable[[str], str | None]


@dataclass
class Observation:
    """What the checker has seen of one endpoint; times are modelled epoch seconds."""

    healthy: bool = True
    passes: int = 0
    failures: int = 0
    next_request: float = 0.0
    status: str = "Unknown: not checked yet"
    checked_at: Any = None


class HealthChecks:
    """The state of all health checks."""

    def __init__(self, cloud: Cloud, resolve: Resolve) -> None:
        self._cloud = cloud
        self._resolve = resolve
        self._observations: dict[str, Observation] = {}
        self._lock = threading.Lock()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE  # Route 53 does not validate certificates
        cloud.every(targets.tick_minutes(cloud), self._tick, "route53 health checks")

    def observation(self, check_id: str) -> Observation:
        """What is known of an endpoint check."""
        return self._observations.setdefault(check_id, Observation())

    def healthy(self, check_id: str, depth: int = 0) -> bool:
        """The state of a check that a record sees; a deleted one counts as healthy."""
        check = route53_backends[ACCOUNT]["aws"].health_checks.get(check_id)
        if check is None or depth > _MAX_DEPTH:
            return True
        if check.disabled:
            state = True
        elif check.type_ == "CALCULATED":
            alive = sum(self.healthy(child, depth + 1) for child in check.children or [])
            state = alive >= int(check.health_threshold or 0)
        else:
            state = self.observation(check_id).healthy
        return state != bool(check.inverted)

    def _tick(self) -> None:
        now = self._cloud.clock.epoch()
        for check in list(route53_backends[ACCOUNT]["aws"].health_checks.values()):
            if check.type_ == "CALCULATED" or check.disabled:
                continue
            seen = self.observation(check.id)
            if now >= seen.next_request:
                seen.next_request = now + float(check.request_interval)
                self._count(check, seen, *self.request(check))

    def _count(self, check: HealthCheck, seen: Observation, passed: bool, status: str) -> None:
        with self._lock:
            seen.status, seen.checked_at = status, self._cloud.clock.now()
            seen.passes, seen.failures = (seen.passes + 1, 0) if passed else (0, seen.failures + 1)
            enough = max(seen.passes, seen.failures) >= int(check.failure_threshold)
            if not enough or seen.healthy == passed:
                return
            seen.healthy = passed
        self._cloud.emit("health_check.changed", id=check.id, endpoint=_name(check), answers=passed, status=status)

    def request(self, check: HealthCheck) -> tuple[bool, str]:
        """One request as a checker makes it: (passed, status text as GetHealthCheckStatus shows it)."""
        host, path = (check.fqdn or check.ip_address or "").rstrip("."), check.resource_path or "/"
        answer: tuple[int, bytes] | str | None
        if public_objects.is_bucket_host(host):
            answer = public_objects.fetch(self._cloud, host, path)
        else:
            answer = self._ask_balancer(check, host, path)
        if isinstance(answer, str):
            return False, answer
        if answer is None:
            return False, "Failure: The health checker could not establish a connection within the timeout limit."
        status, body = answer
        if not 200 <= status < 400:
            return False, f"Failure: HTTP Status Code {status}."
        if str(check.type_).endswith("STR_MATCH") and str(check.search_string).encode() not in body[:SEARCHED_BYTES]:
            return False, f"Failure: HTTP Status Code {status}. The response body did not contain the search string."
        return True, f"Success: HTTP Status Code {status}, OK"

    def _ask_balancer(self, check: HealthCheck, host: str, path: str) -> tuple[int, bytes] | str | None:
        found = balancers().find(host) or balancers().find(self._resolve(host) or "")
        if found is None:
            return "Failure: DNS resolution failed: Rcode NXDomain(3)."
        port = balancers().loopback_port(found[1], int(check.port))
        # A checker gives a silent endpoint up after four seconds of its own time, which passes faster than ours.
        if port is None or self._cloud.is_silent(found[0]):
            return None
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
        try:
            if str(check.type_).startswith("HTTPS"):
                plain = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS)
                connection.sock = self._tls.wrap_socket(plain, server_hostname=host if check.enable_sni else None)
            connection.request("GET", path, headers={"Host": host, "User-Agent": "Amazon-Route53-Health-Check-Service"})
            response = connection.getresponse()
            return response.status, response.read(SEARCHED_BYTES)
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def overview(self) -> list[dict[str, Any]]:
        """All checks with their present state, for the control API."""
        return [
            {
                "id": check.id,
                "type": check.type_,
                "endpoint": _name(check),
                "inverted": bool(check.inverted),
                "healthy": self.healthy(check.id),
                "status": None if check.type_ == "CALCULATED" else self.observation(check.id).status,
            }
            for check in list(route53_backends[ACCOUNT]["aws"].health_checks.values())
        ]


def _name(check: HealthCheck) -> str:
    return (
        f"{check.fqdn or check.ip_address}{check.resource_path or ''}" if check.type_ != "CALCULATED" else "calculated"
    )
