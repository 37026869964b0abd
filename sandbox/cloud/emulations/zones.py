"""Route 53: hosted zones have identifiers that begin with Z, as AWS's do; moto draws any letter."""

from __future__ import annotations

from typing import Any

from moto.route53.models import HostedZoneIdentifier

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations.patching import replace

_GENERATE = HostedZoneIdentifier.generate


def install(_cloud: Cloud) -> None:
    """Replace the first letter of what moto draws."""
    replace(HostedZoneIdentifier, generate=_generate)


def _generate(zone: Any, *arguments: Any, **named: Any) -> str:
    return f"Z{_GENERATE(zone, *arguments, **named)[1:]}"
