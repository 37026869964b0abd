"""Target groups: registration, health checks and draining, in modelled time.

Only target groups that a rule or default action of an existing load balancer forwards to are checked; the targets of
others stay `unused`. A new target is healthy after one passed check, as AWS documents it; thresholds count after that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from moto.elbv2.exceptions import InvalidTargetError, TargetGroupNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup, elbv2_backends

from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import endpoints, network, routing
from sandbox.cloud.emulations.endpoints import Request
from sandbox.cloud.emulations.patching import replace

TICK_MODELLED_SECONDS = 2.0
TICK_REAL_SECONDS = 0.03  # not more often than this, however fast modelled time runs

_NOT_REGISTERED = ("unused", "Target.NotRegistered", "Target is not registered to the target group")
_NOT_IN_USE = ("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
_REGISTERING = ("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
_DRAINING = ("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
_HEALTHY = ("healthy", None, None)
Status = tuple[str, str | None, str | None]  # state, reason code, description


@dataclass
class Target:
    """One registered address; times are modelled epoch seconds."""

    id: str
    port: int
    status: Status = _REGISTERING
    passes: int = 0
    failures: int = 0
    next_check: float = 0.0
    drains_until: float | None = None


_lock = threading.RLock()
_targets: dict[str, dict[tuple[str, int], Target]] = {}


def tick_minutes(cloud: Cloud) -> float:
    """The period of the traffic emulations' loops in modelled minutes."""
    return max(TICK_MODELLED_SECONDS, TICK_REAL_SECONDS * cloud.clock.speed) / 60


def install(cloud: Cloud) -> None:
    """Replace moto's target health, which is always healthy, by checks."""
    _targets.clear()

    def register(self: FakeTargetGroup, targets: list[dict[str, Any]]) -> None:
        for target in targets:
            add(self, target["Id"], int(target.get("Port") or self.port))

    def deregister(self: FakeTargetGroup, targets: list[dict[str, Any]]) -> None:
        for target in targets:
            port = int(target.get("Port") or self.port)
            if not remove(cloud, self, target["Id"], port):
                raise InvalidTargetError()

    def describe(self: ELBv2Backend, target_group_arn: str, targets: list[dict[str, Any]]) -> list[FakeHealthStatus]:
        group = self.target_groups.get(target_group_arn)
        if group is None:
            raise TargetGroupNotFoundError()
        return _describe(group, targets or [])

    replace(FakeTargetGroup, register=register, deregister=deregister)
    replace(ELBv2Backend, describe_target_health=describe)
    cloud.every(tick_minutes(cloud), lambda: _tick(cloud), "target health")


def add(group: FakeTargetGroup, target_id: str, port: int) -> None:
    """Register a target; one that is registered already stays as it is, a draining one comes back."""
    with _lock:
        found = _targets.setdefault(group.arn, {})
        if (target_id, port) not in found or found[target_id, port].drains_until is not None:
            found[target_id, port] = Target(target_id, port)
        group.targets[target_id] = {"Id": target_id, "Port": port}


def remove(cloud: Cloud, group: FakeTargetGroup, target_id: str, port: int) -> bool:
    """Start draining a target; False where it is not registered."""
    with _lock:
        group.targets.pop(target_id, None)
        target = _targets.get(group.arn, {}).get((target_id, port))
        if target is None or target.drains_until is not None:
            return False
        delay = drain_seconds(group)
        target.drains_until = cloud.clock.epoch() + delay
        target.status = _DRAINING
        return True


def drain_seconds(group: FakeTargetGroup) -> float:
    """The group's deregistration delay, modelled seconds."""
    return float(str(group.attributes["deregistration_delay.timeout_seconds"]))


def status_of(group_arn: str, target_id: str, port: int) -> Status:
    """(state, reason, description) of a target as DescribeTargetHealth tells it."""
    with _lock:
        target = _targets.get(group_arn, {}).get((target_id, port))
        return target.status if target is not None else _NOT_REGISTERED


def healthy(group_arn: str) -> list[Target]:
    """The targets that get requests now."""
    with _lock:
        return [target for target in _targets.get(group_arn, {}).values() if target.status[0] == "healthy"]


def states(group_arn: str) -> list[str]:
    """The state of each registered target; one that drains is registered no more."""
    with _lock:
        return [target.status[0] for target in _targets.get(group_arn, {}).values() if target.drains_until is None]


def _describe(group: FakeTargetGroup, asked: list[dict[str, Any]]) -> list[FakeHealthStatus]:
    with _lock:
        keys = [(target["Id"], int(target.get("Port") or group.port)) for target in asked]
        wanted = keys or list(_targets.get(group.arn, {}))
    return [_health_status(group, *key) for key in wanted]


def _health_status(group: FakeTargetGroup, target_id: str, port: int) -> FakeHealthStatus:
    state, reason, description = status_of(group.arn, target_id, port)
    check_port = str(port) if group.health_check_port == "traffic-port" else group.health_check_port
    return FakeHealthStatus(target_id, port, check_port, state, reason, description)  # type: ignore[arg-type]


def forwarders(backend: ELBv2Backend) -> dict[str, list[Any]]:
    """Target group ARN -> the load balancers that forward to it."""
    found: dict[str, list[Any]] = {}
    for balancer in list(backend.load_balancers.values()):
        for listener in list(balancer.listeners.values()):
            for rule in list(listener.rules.values()):
                for action in rule.actions:
                    for arn in routing.target_groups(action.data):
                        found.setdefault(arn, []).append(balancer)
    return found


def _tick(cloud: Cloud) -> None:
    for region, backend in list(elbv2_backends[ACCOUNT].items()):
        if cloud.is_cut(region):
            continue
        used = forwarders(backend)
        for group in list(backend.target_groups.values()):
            with _lock:
                targets = list(_targets.get(group.arn, {}).values())
            for target in targets:
                _advance(cloud, region, group, target, used.get(group.arn, []))


def _advance(cloud: Cloud, region: str, group: FakeTargetGroup, target: Target, balancers: list[Any]) -> None:
    now = cloud.clock.epoch()
    if target.drains_until is not None:
        if now >= target.drains_until:
            with _lock:
                _targets[group.arn].pop((target.id, target.port), None)
        return
    active = [balancer for balancer in balancers if balancer.state == "active"]
    if not active:
        target.status, target.passes, target.failures = (_REGISTERING if balancers else _NOT_IN_USE), 0, 0
        return
    if target.status == _NOT_IN_USE:
        target.status = _REGISTERING
    if now < target.next_check:
        return
    target.next_check = now + float(group.health_check_interval_seconds)
    verdict = probe(region, group, target, active)
    with _lock:
        if target.drains_until is None:
            _count(cloud, region, group, target, verdict)


def _count(cloud: Cloud, region: str, group: FakeTargetGroup, target: Target, verdict: Status) -> None:
    before = target.status[0]
    if verdict[0] == "healthy":
        target.passes, target.failures = target.passes + 1, 0
        needed = int(group.healthy_threshold_count) if before == "unhealthy" else 1
        if target.passes >= needed:
            target.status = _HEALTHY
    else:
        target.passes, target.failures = 0, target.failures + 1
        if before == "unhealthy" or target.failures >= int(group.unhealthy_threshold_count):
            target.status = verdict
    if target.status[0] != before:
        cloud.emit(
            f"target.{target.status[0]}",
            region=region,
            target_group=group.name,
            target=target.id,
            reason=target.status[2],
        )


def probe(region: str, group: FakeTargetGroup, target: Target, balancers: Iterable[Any]) -> Status:
    """One health check as the load balancer's nodes make it."""
    port = target.port if group.health_check_port in (None, "traffic-port") else int(group.health_check_port)
    endpoint = endpoints.at(region, target.id, port)
    if endpoint is None:
        return "unhealthy", "Target.FailedHealthChecks", "Health checks failed"
    reachable = (
        network.allows(
            region,
            balancer.security_groups,
            endpoint.security_groups,
            port,
            from_subnets=[subnet.id for subnet in balancer.subnets],
            to_subnets=[endpoint.subnet_id],
        )
        for balancer in balancers
    )
    if not any(reachable):
        return "unhealthy", "Target.Timeout", "Request timed out"
    try:
        request = Request("GET", group.health_check_path or "/", host=target.id, scheme="http", port=port)
        response = endpoint.handle(request)
    except endpoints.NoAnswer:
        return "unhealthy", "Target.Timeout", "Request timed out"
    if code_matches(group.matcher.get("HttpCode", "200"), response.status):
        return _HEALTHY
    return "unhealthy", "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{response.status}]"


def code_matches(matcher: str, status: int) -> bool:
    """Whether a status is among an ELB matcher's codes: 200 or 200,202 or 200-299."""
    for part in matcher.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False
