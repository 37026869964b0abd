"""Whether a freeze or a thaw did what it is for: asked through DNS, of ECS, and inside the network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from components import naming
from components.workloads import HEALTH_PATH, writes
from scripts.promotion import leftovers, public, running, verification
from scripts.promotion.leftovers import Leftover
from scripts.promotion.site import Site
from scripts.promotion.verification import Look

INVOCATION = "aws:lambda/invocation:Invocation"
FENCES = "fences-"
# What a retained database may be that takes no connection (Amazon RDS user guide, "DB instance status").
DOWN = ("stopped", "inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable")
LOGINS = ("critical-logins", "standard-logins")
SUSPENDED = ("DynamicScalingOutSuspended", "ScheduledScalingSuspended")
SERVICE = "aws:ecs/service:Service"
SCALED = "ecs:service:DesiredCount"


def of_freeze(site: Site) -> dict[str, Look]:
    """What must hold of a frozen stack."""
    return {
        "state": lambda: _state(site, frozen=True),
        "page": lambda: _page(site),
        "health path": lambda: _health(site, frozen=True),
        "tasks": lambda: _stopped(site),
        "autoscaling": lambda: _suspended(site),
        "roles": lambda: locked(site),
    }


def of_thaw(site: Site, counts: Mapping[str, int]) -> dict[str, Look]:
    """What must hold of a thawed stack; `counts`: how many tasks each service ran before the freeze."""
    return {
        "state": lambda: _state(site, frozen=False),
        "counts": lambda: _counts(site, counts),
        "logins": lambda: _logins(site),
        "tasks": lambda: verification.tasks(site),
        "targets": lambda: verification.targets(site),
        "health path": lambda: _health(site, frozen=False),
        "critical paths": lambda: verification.critical_paths(site),
    }


def met(site: Site) -> str:
    """What people meet under the public name now, in words."""
    answer = public.get(f"https://{site.stack.domain}/")
    return "the crisis page" if _is_page(site, answer) else verification.answered(answer)


def _is_page(site: Site, answer: public.Answer) -> bool:
    return answer.status == 503 and site.settings.crisis.phone_lines[0].number in answer.text


def _state(site: Site, frozen: bool) -> tuple[bool, str]:
    outputs = leftovers.outputs(site.checkpoint())
    told = f"standby {outputs.get('standby')}, frozen {outputs.get('frozen')}"
    return outputs.get("standby") is False and outputs.get("frozen") is frozen, told


def _page(site: Site) -> tuple[bool, str]:
    """People see phone numbers, also under a path of a service."""
    held, told = True, []
    for path in ("/", *(s.path.rstrip("*") for s in site.settings.services if s.critical and s.path)):
        answer = public.get(f"https://{site.stack.domain}{path}")
        shown = _is_page(site, answer)
        held = held and shown
        told.append(f"{path} {answer.status or answer.text}{' with phone numbers' if shown else ''}")
    return held, ", ".join(told)


def _health(site: Site, frozen: bool) -> tuple[bool, str]:
    """What Route 53 asks for is answered from here, under the public name: it has not moved."""
    answer = public.get(f"https://{site.stack.domain}{HEALTH_PATH}")
    own = answer.healthy and answer.region == site.region
    return own and (answer.json().get("frozen") is True) is frozen, verification.answered(answer)


def _stopped(site: Site) -> tuple[bool, str]:
    """No task of what writes is left, nor asked for. One that ends finishes what it has begun, and writes it."""
    stopped = {service.name for service in site.settings.services if writes(service)}
    found = [entry for entry in running.services(site) if entry["serviceName"] in stopped]
    told = [f"{entry['serviceName']} {entry['runningCount']}/{entry['desiredCount']}" for entry in found]
    idle = not any(entry["runningCount"] or entry["desiredCount"] for entry in found)
    for name, states in sorted(running.not_stopped(site).items()):
        if name in stopped:
            idle = False
            told += [f"{name} {tasks} {state}" for state, tasks in states.items()]
    return {entry["serviceName"] for entry in found} == stopped and idle, ", ".join(told)


def _suspended(site: Site) -> tuple[bool, str]:
    """No alarm adds a task again."""
    cluster = naming.physical(site.stack.short, "cluster")
    ids = {f"service/{cluster}/{service.name}": service.name for service in site.settings.services if writes(service)}
    pages = (
        site.client("application-autoscaling")
        .get_paginator("describe_scalable_targets")
        .paginate(ServiceNamespace="ecs", ResourceIds=list(ids), ScalableDimension=SCALED)
    )
    states = {
        entry["ResourceId"]: entry.get("SuspendedState", {}) for page in pages for entry in page["ScalableTargets"]
    }
    free = [name for id, name in ids.items() if not all(states.get(id, {}).get(how) for how in SUSPENDED)]
    return not free, f"not suspended: {', '.join(free)}" if free else f"{len(states)} suspended"


def locked(site: Site, generation: str | None = None) -> tuple[bool, str]:
    """Called again, inside of the network: it locks what was unlocked since, and tries every role's own password.

    Of all databases that are locked, or of one generation's.
    """
    held, told = True, []
    calls = [call for call in fences(site) if generation is None or call.name == f"{FENCES}{generation}"]
    for call in calls:
        ok, text = _call(site, call)
        if not ok and (down := _down(site, call.name.removeprefix(FENCES))):
            ok, text = True, f"{down}: nobody can write"
        held = held and ok
        told.append(f"{call.name.removeprefix(FENCES)}: {text}")
    return bool(calls) and held, "; ".join(told) or "the state records no fence"


def _down(site: Site, generation: str) -> str | None:
    """What RDS calls a database that takes no connection; None for one that may."""
    settings = site.settings
    known = {found.name: settings.database_identifier(found) for found in settings.database.generations}
    if generation == settings.database.serving or generation not in known:
        return None
    try:
        answer = site.client("rds").describe_db_instances(DBInstanceIdentifier=known[generation])
    except ClientError as error:
        if error.response["Error"]["Code"] == "DBInstanceNotFound":
            return "gone"
        raise
    status = str(answer["DBInstances"][0]["DBInstanceStatus"])
    return status if status in DOWN else None


def _logins(site: Site) -> tuple[bool, str]:
    """Every service's own password opens a session: a health path may answer without the database."""
    calls = [call for call in leftovers.of_type(site.checkpoint(), INVOCATION) if call.name in LOGINS]
    held, told = True, []
    for call in calls:
        event = {**json.loads(call.inputs["input"]), "task": "try"}
        result, error = invoke(site, call.inputs["functionName"], json.dumps(event))
        held = held and error is None
        told.append(f"{call.name}: {error or ', '.join(result['logged_in'])}")
    return bool(calls) and held, "; ".join(told) or "the state records no login"


def fences(site: Site) -> list[Leftover]:
    """The calls that locked databases, as the state records them."""
    return [call for call in leftovers.of_type(site.checkpoint(), INVOCATION) if call.name.startswith(FENCES)]


def _call(site: Site, call: Leftover) -> tuple[bool, str]:
    result, error = invoke(site, call.inputs["functionName"], call.inputs["input"])
    if error is not None:
        return False, error
    told = f"{len(result['locked'])} roles refused ({', '.join(sorted(set(result['refused'].values())))})"
    more = {"sessions ended": result["ended"], "also locked out": result["revoked"], "prepared": result["prepared"]}
    return True, ", ".join([told, *(f"{what}: {found}" for what, found in more.items() if found)])


def invoke(site: Site, function: str, event: str) -> tuple[dict[str, Any], str | None]:
    """What the function answers, and what it failed with."""
    answer = site.patient_client("lambda").invoke(FunctionName=function, Payload=event.encode())
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    return result, str(result.get("errorMessage", result)) if answer.get("FunctionError") else None


def _counts(site: Site, counts: Mapping[str, int]) -> tuple[bool, str]:
    """What the deployment asked for, which autoscaling may have moved since, or what was never stopped."""
    bounds = {service.name: (service.min_count, service.max_count) for service in site.settings.services}
    asked = {
        str(entry.inputs["name"]): int(entry.inputs["desiredCount"])
        for entry in leftovers.of_type(site.checkpoint(), SERVICE)
    }
    live = {entry["serviceName"]: entry["desiredCount"] for entry in running.services(site)}
    held, told = True, []
    for name, tasks in counts.items():
        low, high = bounds[name]
        wanted = min(max(tasks, low), high)
        held = held and wanted in (asked.get(name), live.get(name))
        told.append(f"{name} {live.get(name)} of {tasks}")
    return held, ", ".join(told) or "as configured"
