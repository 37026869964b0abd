"""Application load balancers that really answer: sockets on loopback, rules, round robin over healthy targets.

A load balancer answers only when it is active, its region is not cut, its security groups let the port in from
everywhere and one of its subnets routes to an internet gateway. Otherwise the connection is refused or dropped.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer, elbv2_backends

from sandbox.clock import minutes
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import authority, certificates, endpoints, faults, network, routing, targets
from sandbox.cloud.emulations import load_balancer_rules as rules
from sandbox.cloud.emulations.endpoints import Request, Response
from sandbox.cloud.emulations.listeners import Listener
from sandbox.cloud.emulations.measurements import record
from sandbox.cloud.emulations.patching import replace

# Hosted zone ids of application load balancers: AWS General Reference, "Elastic Load Balancing endpoints and quotas".
ZONE_IDS = {
    "eu-west-1": "Z32O12XQLNTSW2",
    "eu-west-2": "ZHURV8PSTC4K8",
    "af-south-1": "Z268VQBMOI5EKX",
    "us-east-1": "Z35SXDOTRQ7X7K",
}


class Balancers:
    """The listeners that are open now, and what they answer."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.RLock()
        # listener ARN -> socket, certificate ARN and whether that has expired
        self._open: dict[str, tuple[Listener, tuple[str | None, bool]]] = {}
        self._ports: dict[str, int] = {}  # listener ARN -> its loopback port, also while closed
        self._turn = itertools.count()

    # -- which sockets are open -------------------------------------------------------------------------------
    def sync(self, coming_back: str | None = None) -> None:
        """Open and close sockets so that they are those of the active load balancers of living regions."""
        with self._lock:
            wanted = self._wanted(coming_back)
            for arn in [arn for arn in self._open if arn not in wanted]:
                self._open.pop(arn)[0].close()
            for arn, (region, balancer, listener) in wanted.items():
                opened = self._open.get(arn)
                if opened is not None and opened[1] != _presented(listener):
                    self._open.pop(arn)[0].close()
                    opened = None
                if opened is None:
                    self._open_one(region, balancer, listener)

    def _wanted(self, coming_back: str | None) -> dict[str, tuple[str, Any, Any]]:
        return {
            arn: (region, balancer, listener)
            for region, backend in list(elbv2_backends[ACCOUNT].items())
            if region == coming_back or not self._cloud.is_cut(region) or self._cloud.is_silent(region)
            for balancer in list(backend.load_balancers.values())
            if balancer.state == "active"
            for arn, listener in list(balancer.listeners.items())
        }

    def _open_one(self, region: str, balancer: Any, listener: Any) -> None:
        context = None
        if listener.protocol == "HTTPS":
            names = certificates.issued_domains(listener.certificate or "arn::::::")
            if names is None:
                return
            context = authority.server_context([*names, balancer.dns_name], expired=_presented(listener)[1])

        def answer(request: Request) -> Response | None:
            if self._cloud.is_silent(region):
                self._cloud.silence(region)
                return None
            response = self._answer(region, balancer, listener, request)
            return None if self._cloud.is_cut(region) else response  # lost while it worked: nobody hears the answer

        aws_port = int(listener.port)
        try:
            socket = Listener(answer, aws_port, context, self._ports.get(listener.arn, 0))
        except OSError:  # somebody took the port while it was closed; clients ask DNS for the new one
            socket = Listener(answer, aws_port, context)
        self._open[listener.arn] = (socket, _presented(listener))
        self._ports[listener.arn] = socket.port

    def close_all(self) -> None:
        """Close every socket."""
        with self._lock:
            for socket, _ in self._open.values():
                socket.close()
            self._open.clear()

    # -- lookups ----------------------------------------------------------------------------------------------
    def find(self, dns_name: str) -> tuple[str, Any] | None:
        """(region, load balancer) behind a load balancer's DNS name."""
        wanted = dns_name.rstrip(".").lower().removeprefix("dualstack.")
        for region, backend in list(elbv2_backends[ACCOUNT].items()):
            for balancer in list(backend.load_balancers.values()):
                if balancer.dns_name.lower() == wanted:
                    return region, balancer
        return None

    def loopback_port(self, balancer: Any, aws_port: int) -> int | None:
        """Where the listener on `aws_port` is (or was, while its region is cut); None without such a listener."""
        for arn, listener in list(balancer.listeners.items()):
            if int(listener.port) == aws_port:
                return self._ports.get(arn)
        return None

    def overview(self) -> list[dict[str, Any]]:
        """All load balancers with the loopback port of each listener, for the control API."""
        return [
            {
                "name": balancer.name,
                "arn": balancer.arn,
                "dns_name": balancer.dns_name,
                "region": region,
                "state": balancer.state,
                "ports": {str(found.port): self._ports.get(arn) for arn, found in balancer.listeners.items()},
                "open": sorted(int(found.port) for arn, found in balancer.listeners.items() if arn in self._open),
            }
            for region, backend in list(elbv2_backends[ACCOUNT].items())
            for balancer in list(backend.load_balancers.values())
        ]

    # -- answering --------------------------------------------------------------------------------------------
    def reachable(self, region: str, balancer: Any, port: int) -> bool:
        """Whether a packet from the internet arrives."""
        if self._cloud.is_cut(region) or balancer.scheme != "internet-facing":
            return False
        return network.allows_from_internet(region, balancer.security_groups, port) and any(
            network.can_reach_internet(region, subnet.id, public_ip=True) for subnet in balancer.subnets
        )

    def _answer(self, region: str, balancer: Any, listener: Any, request: Request) -> Response | None:
        if not self.reachable(region, balancer, request.port):
            return None
        _count(region, balancer, "RequestCount")
        action = routing.choose(list(listener.rules.values()), request)
        if action["Type"] == "fixed-response":
            return _own(region, balancer, routing.fixed_response(action))
        if action["Type"] == "redirect":
            return routing.redirect(action, request)
        return self._forward(region, balancer, action, request)

    def _forward(self, region: str, balancer: Any, action: routing.Action, request: Request) -> Response:
        turn = next(self._turn)
        slots = [arn for arn, weight in routing.target_groups(action).items() for _ in range(weight)]
        group = slots[turn % len(slots)] if slots else ""
        alive = targets.healthy(group)
        if not alive:
            return _own(region, balancer, _page(503, "Service Temporarily Unavailable"))
        target = alive[turn % len(alive)]
        endpoint = endpoints.at(region, target.id, target.port)
        if endpoint is None:
            return _own(region, balancer, _page(502, "Bad Gateway"))
        sources = [subnet.id for subnet in balancer.subnets]
        if not network.allows(
            region,
            balancer.security_groups,
            endpoint.security_groups,
            target.port,
            from_subnets=sources,
            to_subnets=[endpoint.subnet_id],
        ):
            return _own(region, balancer, _page(504, "Gateway Time-out"))
        began = time.monotonic()
        try:
            response = endpoint.handle(request)
        except endpoints.NoAnswer:  # people would wait for the idle timeout first
            return _own(region, balancer, _page(504, "Gateway Time-out"))
        _count_target(region, balancer, group, response.status, time.monotonic() - began)
        return response

    def healthy_for_dns(self, balancer: Any, region: str) -> bool:
        """What evaluate_target_health sees: each target group in use has a healthy target; an empty one has none."""
        backend = elbv2_backends[ACCOUNT][region]
        used = [arn for arn, users in targets.forwarders(backend).items() if balancer in users]
        return bool(used) and not self._cloud.is_cut(region) and all(targets.healthy(arn) for arn in used)


def _presented(listener: Any) -> tuple[str | None, bool]:
    """A listener's certificate, and whether that has expired."""
    arn = listener.certificate
    return arn, bool(arn) and certificates.expired(arn)


def dimension(arn: str) -> str:
    """What the metrics' dimension LoadBalancer has for this ARN: app/name/id."""
    return arn.partition(":loadbalancer/")[2]


def _count(region: str, balancer: Any, name: str) -> None:
    record(region, "AWS/ApplicationELB", name, {"LoadBalancer": dimension(balancer.arn)}, 1.0, "Count")


def _own(region: str, balancer: Any, response: Response) -> Response:
    """An answer of the load balancer itself. Assumption: a fixed response counts among its codes like an error page."""
    if response.status >= 400:
        _count(region, balancer, f"HTTPCode_ELB_{response.status // 100}XX_Count")
    if response.status in (500, 502, 503, 504):
        _count(region, balancer, f"HTTPCode_ELB_{response.status}_Count")
    return response


def _count_target(region: str, balancer: Any, group: str, status: int, seconds: float) -> None:
    """A target's answer; its time is a real one, whatever the modelled clock does."""
    own = {"LoadBalancer": dimension(balancer.arn)}
    for dimensions in (own, {**own, "TargetGroup": group.rpartition(":")[2]}):
        record(region, "AWS/ApplicationELB", f"HTTPCode_Target_{status // 100}XX_Count", dimensions, 1.0, "Count")
        record(region, "AWS/ApplicationELB", "TargetResponseTime", dimensions, seconds, "Seconds")


def _page(status: int, text: str) -> Response:
    body = f"<html>\r\n<head><title>{status} {text}</title></head>\r\n<body>{status} {text}</body>\r\n</html>\r\n"
    return Response(status, body.encode(), "text/html")


_balancers: Balancers | None = None


def balancers() -> Balancers:
    """The load balancers of the running cloud."""
    if _balancers is None:
        raise RuntimeError("the load balancers are not installed")
    return _balancers


def install(cloud: Cloud) -> None:
    """Let moto's load balancers answer requests."""
    global _balancers
    found = _balancers = Balancers(cloud)
    targets.install(cloud)
    replace(FakeLoadBalancer, activate=lambda self: None)
    _patch_balancers(cloud, found)
    _patch_listeners(found)
    _patch_rules(cloud)
    cloud.on_cut(lambda _: found.sync())
    cloud.on_restore(found.sync)
    cloud.on_stop(found.close_all)
    faults.on_change(found.sync)
    cloud.route("GET", "load-balancers", lambda _: found.overview())
    cloud.route("GET", "authority", lambda _: {"pem": authority.root_pem()})


def _patch_balancers(cloud: Cloud, found: Balancers) -> None:
    create, delete = ELBv2Backend.create_load_balancer, ELBv2Backend.delete_load_balancer
    describe_groups = ELBv2Backend.describe_target_groups

    def create_load_balancer(self: ELBv2Backend, name: str, security_groups: list[str], **kwargs: Any) -> Any:
        if kwargs.get("loadbalancer_type") not in (None, "application"):
            raise routing.Unmodelled(f"load balancer of type {kwargs['loadbalancer_type']}")
        kwargs["scheme"] = kwargs.get("scheme") or "internet-facing"
        rules.check_balancer(self, name, security_groups, kwargs["subnet_ids"], kwargs.get("subnet_mappings") or [])
        balancer = create(self, name, security_groups, **kwargs)
        balancer.canonical_hosted_zone_id = ZONE_IDS.get(self.region_name, balancer.canonical_hosted_zone_id)

        def activate() -> None:
            balancer.state = "active"
            found.sync()
            cloud.emit("alb.active", region=self.region_name, name=name)

        cloud.after(minutes("elb.create"), activate, f"load balancer {name}", regions=[self.region_name])
        return balancer

    def delete_load_balancer(self: ELBv2Backend, arn: str) -> None:
        balancer = self.load_balancers.get(arn)
        if balancer is not None and balancer.attrs.get("deletion_protection.enabled") == "true":
            raise ELBClientError(
                "OperationNotPermitted",
                f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
            )
        delete(self, arn)
        found.sync()

    def describe_target_groups(self: ELBv2Backend, *args: Any, **kwargs: Any) -> Any:
        used = targets.forwarders(self)
        for group in list(self.target_groups.values()):
            group.load_balancer_arns = sorted({balancer.arn for balancer in used.get(group.arn, [])})
        return describe_groups(self, *args, **kwargs)

    replace(
        ELBv2Backend,
        create_load_balancer=create_load_balancer,
        delete_load_balancer=delete_load_balancer,
        describe_target_groups=describe_target_groups,
    )


def _patch_listeners(found: Balancers) -> None:
    create, modify, delete = ELBv2Backend.create_listener, ELBv2Backend.modify_listener, ELBv2Backend.delete_listener

    def create_listener(self: ELBv2Backend, load_balancer_arn: str, protocol: str, port: str, **kwargs: Any) -> Any:
        rules.check_listener(self.load_balancers.get(load_balancer_arn), protocol, port, kwargs.get("certificate"))
        listener = create(self, load_balancer_arn, protocol, port, **kwargs)
        found.sync()
        return listener

    def modify_listener(self: ELBv2Backend, arn: str, *args: Any) -> Any:
        _, protocol, _, given, actions = args
        rules.check_actions(actions or [])
        if given:
            rules.check_certificate(protocol or "HTTPS", given[0]["CertificateArn"])
        listener = modify(self, arn, *args)
        if listener.protocol == "HTTP":
            listener.ssl_policy = ""  # moto keeps what belonged to HTTPS
        found.sync()
        return listener

    def delete_listener(self: ELBv2Backend, listener_arn: str) -> Any:
        listener = delete(self, listener_arn)
        found.sync()
        return listener

    replace(
        ELBv2Backend, create_listener=create_listener, modify_listener=modify_listener, delete_listener=delete_listener
    )


def _patch_rules(cloud: Cloud) -> None:
    validate, conditions = ELBv2Backend._validate_actions, ELBv2Backend._validate_conditions

    def validate_actions(self: ELBv2Backend, actions: list[Any]) -> None:
        validate(self, actions)
        rules.check_actions(actions)

    def validate_conditions(self: ELBv2Backend, given: list[dict[str, Any]]) -> None:
        conditions(self, given)
        rules.check_conditions(given)

    def announced(change: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(self: ELBv2Backend, *args: Any, **kwargs: Any) -> Any:
            result = method(self, *args, **kwargs)
            cloud.emit("alb.rule_changed", region=self.region_name, change=change, **_told(result))
            return result

        return wrapper

    replace(
        ELBv2Backend,
        _validate_actions=validate_actions,
        _validate_conditions=validate_conditions,
        create_rule=announced("created", ELBv2Backend.create_rule),
        modify_rule=announced("modified", ELBv2Backend.modify_rule),
        delete_rule=announced("deleted", ELBv2Backend.delete_rule),
    )


def _told(rule: Any) -> dict[str, Any]:
    """What an event says about a rule: its priority, the paths it matches, what it does."""
    if rule is None:
        return {}
    paths = [
        value
        for condition in rule.conditions
        if condition.get("Field") == "path-pattern"
        for value in condition.get("PathPatternConfig", {}).get("Values") or condition.get("Values") or []
    ]
    action = routing.final_action(rule.actions)
    body = action.get("FixedResponseConfig", {}).get("MessageBody", "")
    return {"rule": rule.arn, "priority": rule.priority, "paths": paths, "action": action["Type"], "body": body[:80]}
