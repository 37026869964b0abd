"""What AWS refuses beyond the constraints in its models: rules across parameters, and about what exists."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from sandbox.cloud.refusals.rule import Rule, registered
from sandbox.cloud.requests import Request

MODULES = ("compute", "delivery", "identity", "naming", "network", "objects", "traffic")


def check(request: Request, region: str) -> None:
    """Raise AwsError if AWS would not accept the request in `region`."""
    for rule in _rules().get((request.service, request.operation.name), ()):
        rule(request.parameters, region)


@cache
def _rules() -> dict[tuple[str, str], list[Rule]]:
    for name in MODULES:
        import_module(f"{__name__}.{name}")
    return registered
