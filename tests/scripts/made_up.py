"""A rehearsal that never took place: evidence in which every promise holds, and the timeline that goes with it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from sandbox.clock import Clock
from scripts.rehearsal.calls import Accounting, Call
from scripts.rehearsal.evidence import DataMoment, Evidence, ReadBack, ServiceState, Snapshot
from scripts.rehearsal.timeline import Timeline
from scripts.rehearsal.writer import Look, Row

SPEED = 12.0
MINUTE = 60 / SPEED  # real seconds
LOSS = 1_790_000_000.0
KENYA, SOUTH_AFRICA = "eu-west-1", "af-south-1"
CRITICAL = frozenset({"crisis-detection", "api-gateway"})
COMMITTED = 900  # rows before the loss
RESTORED = 760  # of them in the restored copy
URN = "urn:pulumi:south-africa::mental-health-platform::platform:x:X$"


def at(minutes: float) -> float:
    """The real moment so many modelled minutes after the loss."""
    return LOSS + minutes * MINUTE


def copy(name: str, taken: float, listed: float) -> Snapshot:
    """A copy of data that were so many modelled minutes old at the loss."""
    tags = {"platform:made-by": "snapshot-cycle"}
    return Snapshot(name, LOSS - taken * 60, LOSS - listed * 60, "available", tags)


def rows() -> list[Row]:
    """One row each fifth of a second until the loss, then those that the promoted platform accepted."""
    before = [Row(number, sent(number), sent(number) + 0.05, KENYA) for number in range(1, COMMITTED + 1)]
    after = [
        Row(COMMITTED + number, at(25.2) + number * 0.2, at(25.2) + number * 0.2 + 0.05, SOUTH_AFRICA)
        for number in range(1, 60)
    ]
    return [*before, *after]


def sent(number: int) -> float:
    return LOSS - (COMMITTED - number + 1) * 0.2


def looks() -> list[Look]:
    """Service, nothing for a moment, crisis page, service again."""
    found = []
    moment = at(-6)
    while moment < at(33):
        if moment < LOSS:
            found.append(Look(moment, "ok", KENYA, 200))
        elif moment < at(1.4):
            found.append(Look(moment, "unreachable", KENYA, None))
        elif moment < at(25.0):
            found.append(Look(moment, "crisis-page", SOUTH_AFRICA, 503))
        else:
            found.append(Look(moment, "ok", SOUTH_AFRICA, 200))
        moment += 0.25
    return found


def call(service: str, operation: str, region: str = SOUTH_AFRICA, principal: str = "OPERATOR", t: float = 5.0) -> Call:
    """A call of the promotion, `t` modelled minutes after the loss."""
    return Call(at(t), region, service, operation, principal)


def accounting() -> Accounting:
    by_service = {
        f"{service} in {SOUTH_AFRICA}": count
        for service, count in {
            "ec2": 212,
            "s3": 148,
            "elasticloadbalancing": 96,
            "rds": 71,
            "ecs": 64,
            "kms": 22,
        }.items()
    }
    pull = call("rds", "DescribeDBInstances", KENYA, "FUNCTION-mental-health-platform-sa-snapshot-cycle")
    return Accounting([], [pull], [], sum(by_service.values()), by_service)


def instance() -> dict[str, Any]:
    """The restored database as AWS describes it, with all of our settings."""
    return {
        "DBInstanceIdentifier": "mental-health-platform-sa-rds",
        "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-database"}],
        "DBParameterGroups": [{"DBParameterGroupName": "mental-health-platform-sa-rds-postgres17"}],
        "DBSubnetGroup": {"DBSubnetGroupName": "mental-health-platform-sa-rds-subnets"},
        "StorageEncrypted": True,
        "MultiAZ": True,
        "PubliclyAccessible": False,
        "DeletionProtection": True,
        "BackupRetentionPeriod": 7,
        "AutoMinorVersionUpgrade": False,
        "TagList": [{"Key": "platform:restored-from", "Value": "rds-snapshot-newest"}],
    }


def evidence(**changed: Any) -> Evidence:
    """Evidence in which every promise holds, except for what is `changed`."""
    answered = {"record": "kenya", "region": KENYA, "t": at(-5)}
    taken_over = {"record": "south-africa", "region": SOUTH_AFRICA}
    held = Evidence(
        lost_region=KENYA,
        standby_region=SOUTH_AFRICA,
        fault=None,
        rpo_limit=60.0,
        rto_limit=240.0,
        crisis_limit=2.5,
        speed=SPEED,
        phone_lines=["+254 722 178 177", "999", "0800 567 567"],
        loss=LOSS,
        modelled_loss=LOSS,
        deleted_state=[".pulumi/stacks/mental-health-platform/kenya.json"] * 7,
        promotion_start=at(2.0),
        promotion_end=at(29.6),
        up_code=0,
        up_seconds=27.6 * MINUTE,
        restore_began=at(2.9),
        crisis_page=at(1.4),
        page="call +254 722 178 177 or 999 or 0800 567 567",
        health_ok=at(25.0),
        write_accepted=at(25.3),
        takeover=at(24.9),
        all_running=at(29.6),
        targets_healthy={"crisis-detection": at(24.5), "api-gateway": at(24.6)},
        looks=looks(),
        rows=rows(),
        copies=[
            copy("rds-snapshot-oldest", 38.0, 33.0),
            copy("rds-snapshot-newest", 2.3, 1.9),
            copy("rehearsal-decoy", 38.0, 0.5),
        ],
        restored_from="rds-snapshot-newest",
        data_moment=DataMoment(sent(RESTORED) + 0.06, sent(RESTORED) + 0.15),
        access_refused=[],
        access_unused=[],
        instance=instance(),
        database_group="sg-database",
        read_back=ReadBack(
            SOUTH_AFRICA, [*range(1, RESTORED + 1), *range(COMMITTED + 1, COMMITTED + 40)], COMMITTED + 39
        ),
        services=[
            ServiceState("api-gateway", True, 2, 2),
            ServiceState("crisis-detection", True, 2, 2),
            ServiceState("sync", False, 1, 1),
        ],
        recordings_due=140,
        accounting=accounting(),
        dns={
            "before": answered,
            "after_loss": {**taken_over, "t": at(1.4)},
            "after_promotion": {**taken_over, "t": at(29.7)},
            "after_return": {**taken_over, "t": at(38)},
        },
        dns_after_return=[SOUTH_AFRICA] * 40,
        writes_after_return={SOUTH_AFRICA: 90},
        preview_code=0,
        preview_after=[],
        drift_code=0,
        drift_after=[],
        later=[],
    )
    return replace(held, **changed)


OPERATIONS = (
    # (type, name, operation, start, end)
    ("aws:scheduler/schedule:Schedule", "snapshots-pull", "update", 2.6, 2.7),
    ("aws:ec2/eip:Eip", "network-nat-a", "create", 2.6, 2.7),
    ("aws:ec2/eip:Eip", "network-nat-b", "create", 2.6, 2.7),
    ("aws:ec2/natGateway:NatGateway", "network-nat-a", "create", 2.8, 4.6),
    ("aws:ec2/natGateway:NatGateway", "network-nat-b", "create", 2.8, 4.6),
    ("aws:ec2/route:Route", "network-private-a-default", "create", 4.7, 4.8),
    ("aws:ec2/route:Route", "network-private-b-default", "create", 4.7, 4.8),
    ("aws:rds/instance:Instance", "database-first", "create", 2.9, 22.5),
    (
        "aws:secretsmanager/secretVersion:SecretVersion",
        "critical-logins-api-gateway",
        "create-replacement",
        22.6,
        22.7,
    ),
    (
        "aws:secretsmanager/secretVersion:SecretVersion",
        "critical-logins-crisis-detection",
        "create-replacement",
        22.6,
        22.7,
    ),
    ("aws:lambda/invocation:Invocation", "critical-logins", "create", 22.8, 22.95),
    ("aws:ecs/service:Service", "services-crisis-detection", "update", 23.0, 23.1),
    ("aws:ecs/service:Service", "services-api-gateway", "update", 23.0, 23.1),
    ("pulumi-python:dynamic/takeover:HealthyTargets", "takeover-healthy-targets", "create", 23.1, 24.7),
    ("aws:lb/listenerRule:ListenerRule", "takeover-crisis", "update", 24.75, 24.85),
    ("aws:lb/listenerRule:ListenerRule", "takeover-witness", "update", 24.86, 24.95),
    ("aws:s3/bucketObjectv2:BucketObjectv2", "takeover-marker", "update", 24.86, 24.97),
    ("aws:ecs/service:Service", "services-sync", "update", 25.0, 29.4),
)


def timeline(failing: str | None = None) -> Timeline:
    """The timeline of that rehearsal; `failing`: the name of the resource whose operation fails."""
    made = Timeline(Clock(SPEED, LOSS), CRITICAL)
    made.loss = LOSS
    made.begin("loss", LOSS)
    made.end("loss", LOSS)
    made.begin("crisis-page", LOSS)
    made.end("crisis-page", at(1.4))
    made.remark(f"{KENYA} is gone, and so is the state of kenya", at(0.1))
    made.remark("pulumi config set standby false -s south-africa && pulumi up -s south-africa", at(2.0))
    made.begin("engine", at(2.0))
    for kind, name, operation, start, end in OPERATIONS:
        metadata = {"urn": f"{URN}{kind}::{name}", "op": operation}
        made.engine_event(at(start), {"resourcePreEvent": {"metadata": metadata}})
        ended = "resOpFailedEvent" if name == failing else "resOutputsEvent"
        made.engine_event(at(end), {ended: {"metadata": metadata}})
    made.end("critical", at(25.3))
    if failing is None:
        made.end("all", at(29.6))
    made.remark(f"pulumi up ended with code {0 if failing is None else 255} after 138 s of real time", at(29.6))
    return made


def sandbox_events() -> list[dict[str, Any]]:
    """Some of what the sandbox itself wrote down."""
    noise = random.Random(1)
    return [
        {"t": LOSS, "kind": "region.cut", "region": KENYA},
        {"t": at(1.2), "kind": "dns.changed", "record": "south-africa", "before": "kenya", "region": SOUTH_AFRICA},
        {"t": at(24.5), "kind": "target.healthy", "region": SOUTH_AFRICA, "target_group": "mhp-sa-crisis-detection"},
        {"t": at(24.6), "kind": "target.healthy", "region": SOUTH_AFRICA, "target_group": "mhp-sa-api-gateway"},
        {"t": at(3) + noise.random(), "kind": "function.ran", "function": "snapshot-cycle"},
    ]
