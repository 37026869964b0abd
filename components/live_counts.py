"""How many tasks each service runs now, and how many it shall run: autoscaling's choice is kept, not reset.

Only reads, only ECS in the stack's own region. A deployment that cannot see the live counts must not guess them: it
could take tasks away at peak load. So failures become `pulumi.RunError`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

from components import naming
from components.regional_client import regional_client
from components.settings.stack import Settings
from components.stack_outputs import Outputs
from components.workloads import Count, ServiceSpec

# Names that one DescribeServices takes (ECS API reference).
BATCH: Final = 10


def read(settings: Settings, client: Callable[[str, str], Any] | None = None) -> dict[str, int]:
    """Desired counts of the services that exist, by name; none while standby, where nothing scales.

    `client` makes a client for a service in a region (replaced in tests). Raises pulumi.RunError when ECS cannot be
    asked.
    """
    if settings.standby:
        return {}
    names = [service.name for service in settings.services]
    try:
        ecs = (client or regional_client)("ecs", settings.region)
        return _described(ecs, naming.physical(settings.short_name, "cluster"), names)
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") == "ClusterNotFoundException":
            return {}
        raise pulumi.RunError(
            f"Reading how many tasks the services run in {settings.region} failed, nothing was changed: {error}. "
            "Check the credentials of this terminal and that the region's API answers, then run again."
        ) from None


def _described(ecs: Any, cluster: str, names: Sequence[str]) -> dict[str, int]:
    live = {}
    for start in range(0, len(names), BATCH):
        for service in ecs.describe_services(cluster=cluster, services=names[start : start + BATCH])["services"]:
            if service["status"] == "ACTIVE":
                live[service["serviceName"]] = int(service["desiredCount"])
    return live


def decide(settings: Settings, live: Mapping[str, int], own: Outputs) -> dict[str, Count]:
    """What each service shall run. `live`: what `read` found; `own`: the stack's last outputs."""
    served = own.flag("standby") is False
    return {spec.name: count(spec, settings.standby, live.get(spec.name), served) for spec in settings.services}


def count(spec: ServiceSpec, standby: bool, live: int | None, served: bool) -> Count:
    """What one service shall run. `live`: its desired count now, None: it does not exist.

    `served`: the last deployment that got to its end was serving. Until one was, a count below the configured one is
    the standby's, or what an interrupted promotion left: it is raised, and the state learns it.
    """
    if standby:
        return Count(tasks=spec.standby_count, autoscaled=False)
    if live is None:
        return Count(tasks=spec.desired_count, autoscaled=True)
    wanted = live if served and live else max(live, spec.desired_count)
    tasks = min(max(wanted, spec.min_count), spec.max_count)
    return Count(tasks=tasks, autoscaled=served and tasks == live)
