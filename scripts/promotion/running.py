"""What ECS says of a stack's services: how many tasks run, and why others do not. Reads of the own region only."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from components import naming
from scripts.promotion.site import Site

if TYPE_CHECKING:
    from types_boto3_ecs.type_defs import ServiceTypeDef

SERVICES_PER_CALL = 10
TASKS_PER_CALL = 100
TROUBLE = re.compile(r"unable|failed|unhealthy|stopped\. Reason")


def services(site: Site) -> list[ServiceTypeDef]:
    """All services of the stack, by name."""
    ecs, cluster = site.client("ecs"), naming.physical(site.stack.short, "cluster")
    arns = [arn for page in ecs.get_paginator("list_services").paginate(cluster=cluster) for arn in page["serviceArns"]]
    described = [
        entry
        for start in range(0, len(arns), SERVICES_PER_CALL)
        for entry in ecs.describe_services(cluster=cluster, services=arns[start : start + SERVICES_PER_CALL])[
            "services"
        ]
    ]
    return sorted(described, key=lambda entry: str(entry["serviceName"]))


def short_of_tasks(site: Site) -> list[str]:
    """A line for each service that runs too few tasks, with what ECS says of it; none where ECS does not answer."""
    try:
        return [_told(site, entry) for entry in services(site) if entry["runningCount"] < entry["desiredCount"]]
    except (ClientError, BotoCoreError) as error:
        return [f"nothing: {error}"]


def not_stopped(site: Site) -> dict[str, Counter[str]]:
    """How many tasks of each service are in which state, but for those that have ended.

    ECS counts as running neither what starts nor what still ends: such a task writes, and may for minutes.
    """
    ecs, cluster = site.client("ecs"), naming.physical(site.stack.short, "cluster")
    arns = [
        arn
        for wanted in ("RUNNING", "STOPPED")
        for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster, desiredStatus=wanted)
        for arn in page["taskArns"]
    ]
    found: dict[str, Counter[str]] = {}
    for start in range(0, len(arns), TASKS_PER_CALL):
        for task in ecs.describe_tasks(cluster=cluster, tasks=arns[start : start + TASKS_PER_CALL])["tasks"]:
            if task["lastStatus"] != "STOPPED":
                service = task["group"].removeprefix("service:")
                found.setdefault(service, Counter())[task["lastStatus"]] += 1
    return found


def _told(site: Site, service: ServiceTypeDef) -> str:
    name = service["serviceName"]
    messages = [event["message"].removeprefix(f"(service {name}) ") for event in service.get("events", ())]
    said = [next((message for message in messages if TROUBLE.search(message)), "")]
    if reason := _last_stopped(site, name):
        said.append(f"last stopped task: {reason}")
    return f"{name} {service['runningCount']}/{service['desiredCount']}: {'; '.join(filter(None, said)) or 'no reason'}"


def _last_stopped(site: Site, service: str) -> str:
    """Why the service's last task stopped; ECS knows those of the last hour."""
    ecs, cluster = site.client("ecs"), naming.physical(site.stack.short, "cluster")
    arns = ecs.list_tasks(cluster=cluster, serviceName=service, desiredStatus="STOPPED", maxResults=TASKS_PER_CALL)
    if not arns["taskArns"]:
        return ""
    tasks: list[Any] = ecs.describe_tasks(cluster=cluster, tasks=arns["taskArns"])["tasks"]
    stopped = [task for task in tasks if "stoppedAt" in task]
    last: dict[str, Any] = max(stopped, key=lambda task: task["stoppedAt"], default={})
    return str(last.get("stoppedReason", ""))
