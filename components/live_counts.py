"""How many tasks each service runs now, and how many it shall run: autoscaling's choice is kept, not reset, and found
again after a freeze.

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
from components.workloads import Count, ServiceSpec, writes

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
    """What each service shall run. `live`: what `read` found; `own`: the stack's last outputs.

    Raises pulumi.RunError for a service that would have to be made while the stack is frozen.
    """
    new = [spec.name for spec in settings.services if spec.name not in live]
    if settings.frozen and new:
        raise pulumi.RunError(
            f"Stack {settings.stack} is frozen, and {', '.join(new)} would be new. Nothing was changed. Thaw it first: "
            f"`dr thaw -s {settings.stack}`."
        )
    begin, decided = thaw_counts(settings, {}, own), {}
    for spec in settings.services:
        if settings.frozen and writes(spec):
            decided[spec.name] = Count(tasks=0, autoscaled=False)
            continue
        frozen = own.flag("frozen") is True and writes(spec)
        served = own.flag("standby") is False and not frozen
        decided[spec.name] = count(spec, settings.standby, live.get(spec.name), served, begin.get(spec.name))
    return decided


def thaw_counts(settings: Settings, live: Mapping[str, int], own: Outputs) -> dict[str, int]:
    """What a thaw starts: as configured, else as the last outputs have kept it, else what runs now. A count of 0 is no
    choice of autoscaling but what a freeze left."""
    kept = own.values.get("thawCounts") or {} if own.flag("frozen") else {}
    found = {**live, **{name: int(tasks) for name, tasks in kept.items()}, **settings.thaw_counts}
    return {spec.name: found[spec.name] for spec in settings.services if writes(spec) and found.get(spec.name)}


def count(spec: ServiceSpec, standby: bool, live: int | None, served: bool, begin: int | None = None) -> Count:
    """What one service shall run. `live`: its desired count now, None: it does not exist.

    `served`: the last deployment that got to its end let it serve. Until one was, a count below `begin`
    is the standby's or the freeze's, or what an interrupted deployment left: it is raised, and the state learns it.
    `begin`: what it ran before a freeze, else as configured.
    """
    if standby:
        return Count(tasks=spec.standby_count, autoscaled=False)
    if live is None:
        return Count(tasks=spec.desired_count, autoscaled=True)
    wanted = live if served and live else max(live, begin or spec.desired_count)
    tasks = min(max(wanted, spec.min_count), spec.max_count)
    return Count(tasks=tasks, autoscaled=served and tasks == live)
