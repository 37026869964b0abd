"""Whether a promotion did what it is for: asked through DNS, load balancer and task, with a limit for the whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from components import naming
from components.witness import TAKEN_OVER, WITNESS_PATH
from components.workloads import enough_targets
from scripts.promotion import leftovers, public, running
from scripts.promotion.preflight import HEALTH_PATH
from scripts.promotion.site import Site

# Three health checks of ten seconds, Route 53's propagation, and an alias's time to live, twice over.
PATIENCE = 300.0  # real seconds
# The same once, with the time to live: how long the name may still move after something else has failed.
MOVES_WITHIN = 120.0
LOOK_EVERY = 2.0
PEOPLE = ("public name", "critical paths")  # what people in distress meet


Look = Callable[[], tuple[bool, str]]


@dataclass(frozen=True)
class Check:
    """One thing that must hold, and what shows it."""

    name: str
    ok: bool
    evidence: str


def verify(site: Site, patience: float = PATIENCE, wait: Callable[[float], None] = time.sleep) -> list[Check]:
    """All checks of a promotion."""
    return hold(_checks(site), patience, wait)


def hold(
    checks: Mapping[str, Look], patience: float = PATIENCE, wait: Callable[[float], None] = time.sleep
) -> list[Check]:
    """All of these; those that do not hold yet are repeated until they do or `patience` ends."""
    held: dict[str, Check] = {}
    deadline = time.monotonic() + patience
    while True:
        for name, check in checks.items():
            if name not in held or not held[name].ok:
                held[name] = _run(name, check)
        if all(check.ok for check in held.values()) or time.monotonic() > deadline:
            return list(held.values())
        wait(LOOK_EVERY)


def served(site: Site, patience: float = MOVES_WITHIN, wait: Callable[[float], None] = time.sleep) -> Check:
    """Whether people are served by this stack, asked after something failed: what failed may be what nobody needs.

    Only where critical services are healthy at the load balancer is the public name waited for.
    """
    checks = _checks(site)
    deadline = time.monotonic() + (patience if _run("targets", checks["targets"]).ok else 0.0)
    while True:
        found = judged_served([_run(name, checks[name]) for name in PEOPLE])
        if found.ok or time.monotonic() > deadline:
            return found
        wait(LOOK_EVERY)


def judged_served(checks: list[Check]) -> Check:
    """The same from checks that were made already."""
    asked = [check for check in checks if check.name in PEOPLE]
    said = [f"{check.name}: {check.evidence}" for check in asked if not check.ok]
    return Check("served", bool(asked) and not said, "; ".join(said))


def _checks(site: Site) -> dict[str, Look]:
    return {
        "state": lambda: _state(site),
        "database": lambda: database(site),
        "tasks": lambda: tasks(site),
        "targets": lambda: targets(site),
        "witness": lambda: _witness(site),
        "public name": lambda: public_name(site),
        "critical paths": lambda: critical_paths(site),
    }


def _run(name: str, look: Look) -> Check:
    """One look; AWS not answering is a check that does not hold."""
    try:
        return Check(name, *look())
    except (ClientError, BotoCoreError) as error:
        return Check(name, False, str(error))


def _state(site: Site) -> tuple[bool, str]:
    outputs = leftovers.outputs(site.checkpoint())
    return outputs.get("standby") is False, f"standby {outputs.get('standby')}, epoch {outputs.get('epoch')}"


def database(site: Site) -> tuple[bool, str]:
    generation = site.settings.serving_generation
    if generation is None:
        return False, "database.serving names no generation"
    name = site.settings.database_identifier(generation)
    found = site.instance(name)
    if found is None:
        return False, f"{name} does not exist"
    status = found["DBInstanceStatus"]
    protected = found.get("DeletionProtection", False) and found.get("BackupRetentionPeriod", 0) > 0
    ours = "protected, backed up" if protected else "without deletion protection or backups"
    return status == "available" and protected, f"{name} ({found['DbiResourceId']}) is {status}, {ours}"


def tasks(site: Site) -> tuple[bool, str]:
    """All services run what they should: a standard one that fails is a partial success, which is a failure."""
    described = running.services(site)
    told = ", ".join(f"{entry['serviceName']} {entry['runningCount']}/{entry['desiredCount']}" for entry in described)
    short = [entry for entry in described if not 0 < entry["desiredCount"] <= entry["runningCount"]]
    return bool(described) and not short, told or "there is no service"


def targets(site: Site) -> tuple[bool, str]:
    elb = site.client("elbv2")
    held, told = True, []
    for service in site.settings.services:
        if not service.critical:
            continue
        name = naming.target_group(site.stack.short, service.name)
        group = elb.describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"]
        health = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        healthy = sum(entry["TargetHealth"]["State"] == "healthy" for entry in health)
        held = held and healthy >= enough_targets(service.desired_count)
        told.append(f"{service.name} {healthy} healthy of {service.desired_count}")
    return held, ", ".join(told)


def _witness(site: Site) -> tuple[bool, str]:
    answer = public.get(f"https://{site.stack.domain}{WITNESS_PATH}")
    return answer.status == 200 and TAKEN_OVER in answer.text, answered(answer)


def public_name(site: Site) -> tuple[bool, str]:
    answer = public.get(f"https://{site.stack.domain}{HEALTH_PATH}")
    return answer.healthy and answer.region == site.region, answered(answer)


def critical_paths(site: Site) -> tuple[bool, str]:
    """Each critical service answers for itself under its path: any answer but the balancer's or the crisis page's."""
    held, told = True, []
    for service in site.settings.services:
        if service.critical and service.path:
            path = service.path.rstrip("*").rstrip("/") + HEALTH_PATH
            answer = public.get(f"https://{site.stack.domain}{path}")
            held = held and answer.status is not None and answer.status < 500
            told.append(f"{path} {answer.status or answer.text}")
    return held, ", ".join(told)


def answered(answer: public.Answer) -> str:
    text = " ".join(answer.text.split())
    return f"{answer.status or 'no answer'}: {text[:120]}"


def as_json(checks: list[Check]) -> list[dict[str, Any]]:
    return [{"name": check.name, "ok": check.ok, "evidence": check.evidence} for check in checks]
