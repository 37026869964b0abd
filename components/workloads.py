"""What the other components know of a service: the facts of its configuration, and of its deployment."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import pulumi

# Public paths that the platform itself answers; no service may claim them.
HEALTH_PATH = "/health"
# With the crisis rule off, the page can still be looked at under a path that nobody asks for by accident.
CRISIS_PREVIEW_PATH = "/.well-known/dr/crisis-page-preview"
# The same for what the load balancer answers to health checks while the stack is frozen.
FROZEN_PREVIEW_PATH = "/.well-known/dr/frozen-health-preview"

QueueUse = Literal["send", "receive", "none"]


class ServiceSpec(Protocol):
    """A service as configured (settings satisfy this)."""

    @property
    def name(self) -> str:
        """Name of the service, its container and its Service Connect alias."""

    @property
    def critical(self) -> bool:
        """Comes up before the takeover; the others after it."""

    @property
    def image_reference(self) -> str:
        """Registry, name, version tag and digest."""

    @property
    def cpu(self) -> int:
        """CPU units."""

    @property
    def memory(self) -> int:
        """Memory in MiB."""

    @property
    def port(self) -> int:
        """Port the container listens on."""

    @property
    def desired_count(self) -> int:
        """Tasks that a stack begins to serve with."""

    @property
    def min_count(self) -> int:
        """Fewest tasks while the stack serves."""

    @property
    def max_count(self) -> int:
        """Most tasks while the stack serves."""

    @property
    def standby_count(self) -> int:
        """Tasks while the stack stands by."""

    @property
    def path(self) -> str | None:
        """Path pattern at the load balancer; None: not reachable from outside."""

    @property
    def needs_database(self) -> bool:
        """Gets a database login."""

    @property
    def queue(self) -> QueueUse:
        """What it does with the sync queue."""

    @property
    def audio(self) -> Literal["none", "read", "write"]:
        """What it does with recordings; who writes them reads them, too."""

    @property
    def scratch(self) -> bool:
        """Needs a writable directory for temporary files."""

    @property
    def needs_cache(self) -> bool:
        """Is told where the cache is."""


@dataclass(frozen=True, kw_only=True)
class CriticalService:
    """A deployed critical service, as the takeover has to watch it."""

    name: str
    service_name: pulumi.Output[str]
    task_definition_arn: pulumi.Output[str]
    target_group_arn: pulumi.Input[str]
    desired_count: int


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many tasks a service shall run. `autoscaled`: autoscaling chose the number, or will from here."""

    tasks: int
    autoscaled: bool


def writes(spec: ServiceSpec) -> bool:
    """Whether a freeze stops it: it can change the database, the queue or recordings."""
    return spec.needs_database or spec.queue != "none" or spec.audio == "write"


def enough_targets(desired_count: int) -> int:
    """Healthy targets that let a service take over: half of the desired count, rounded up.

    Waiting for every one would let one task that the region has no capacity for keep people on the crisis page.
    Raises ValueError below one task: a service that runs nothing can never answer.
    """
    if desired_count < 1:
        raise ValueError("a critical service needs at least one task while serving")
    return math.ceil(desired_count / 2)
