"""What must hold of everything that a stack registers, in each of its states."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pulumi
import pytest

from components import naming
from tests.components.examples import KENYA, SOUTH_AFRICA
from tests.components.program import PASSWORDS, Program
from tests.components.recording import Recorded, Recording

STATES = [Program(stack, standby) for stack in (KENYA, SOUTH_AFRICA) for standby in (True, False)]
STANDBY, PROMOTED = Program(SOUTH_AFRICA, True), Program(SOUTH_AFRICA, False)

# Types whose control plane is in us-east-1, or that write to one there: bucket configuration goes through it, and a
# Cloud Map namespace or a certificate's validation may write Route 53.
GLOBAL = ("aws:iam/", "aws:route53/", "aws:s3/", "aws:servicediscovery/", "aws:acm/", "aws:cloudfront/")
# An object is data, not configuration: it is written in the bucket's region alone.
REGIONAL = ("aws:s3/bucketObjectv2:BucketObjectv2",)
# Types that AWS gives no tags.
UNTAGGED = {
    "aws:acm/certificateValidation:CertificateValidation",
    "aws:cloudwatch/dashboard:Dashboard",
    "aws:appautoscaling/policy:Policy",
    "aws:ec2/route:Route",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:kms/alias:Alias",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
    "aws:lambda/invocation:Invocation",
    "aws:route53/record:Record",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketLogging:BucketLogging",
    "aws:s3/bucketObjectv2:BucketObjectv2",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:s3/inventory:Inventory",
    # Tags belong to the schedule's group.
    "aws:scheduler/schedule:Schedule",
    "aws:secretsmanager/secretVersion:SecretVersion",
    "aws:sns/topicSubscription:TopicSubscription",
}
# Statements on every resource: AWS offers nothing narrower for these (or, in a key's own policy, means that key).
EVERY_RESOURCE = {
    ("alerts", "DelegateToIam"),
    ("alerts", "PublishAlarms"),
    ("database-roles-runs", "LookAtNetwork"),
    ("database-roles-runs", "NotTheCode"),
    ("health-check-alerts", "DelegateToIam"),
    ("health-check-alerts", "PublishAlarms"),
    ("keys-key", "DelegateToIam"),
    ("keys-key", "EncryptLogs"),
    ("snapshots-runs", "Metrics"),
    ("snapshots-runs", "ReachSource"),
}
# Physical names that are meant to be the same in both regions: a service's name within its cluster, its scaling
# policy's, a bucket's inventory's, and the names that IAM keeps within a role.
WITHIN_A_PARENT = {
    "aws:appautoscaling/policy:Policy",
    "aws:ecs/service:Service",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:route53/record:Record",
    "aws:s3/inventory:Inventory",
}
NAME_INPUTS = ("name", "bucket", "identifier", "finalSnapshotIdentifier", "replicationGroupId")


@pytest.fixture(params=STATES, ids=lambda program: f"{program.stack}-{'standby' if program.standby else 'serving'}")
def recording(request: pytest.FixtureRequest) -> Recording:
    program: Program = request.param
    return program.recorded()


def provided(recording: Recording) -> list[Recorded]:
    return [resource for resource in recording if resource.typ.startswith("aws:")]


def is_global(resource: Recorded) -> bool:
    elsewhere = resource.typ.startswith("aws:") and "region" in resource.inputs
    return elsewhere or (resource.typ.startswith(GLOBAL) and resource.typ not in REGIONAL)


@pytest.mark.parametrize("stack", [KENYA, SOUTH_AFRICA])
def test_nothing_global_depends_on_the_flag(stack: str) -> None:
    standby, serving = (
        {r.key: comparable(r) for r in Program(stack, flag).recorded() if is_global(r)} for flag in (True, False)
    )
    assert len(standby) > 20
    assert standby == serving


def test_a_promotion_only_adds_and_updates() -> None:
    before = {resource.key for resource in STANDBY.recorded()}
    added = {typ for typ, name in {resource.key for resource in PROMOTED.recorded()} - before}
    assert before <= {resource.key for resource in PROMOTED.recorded()}
    assert added == {
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "aws:appautoscaling/policy:Policy",
        "aws:appautoscaling/target:Target",
        "aws:ec2/eip:Eip",
        "aws:ec2/natGateway:NatGateway",
        "aws:ec2/route:Route",
        "aws:elasticache/replicationGroup:ReplicationGroup",
        "aws:lambda/invocation:Invocation",
        "aws:rds/instance:Instance",
        "platform:services:Autoscaling",
        "pulumi-python:dynamic/takeover:HealthyTargets",
    }


def comparable(resource: Recorded) -> dict[str, Any]:
    """Inputs with archives as the names of their files: the objects themselves have no equality."""
    return {
        key: sorted(value.assets) if isinstance(value, pulumi.AssetArchive) else value
        for key, value in resource.inputs.items()
    }


def test_what_a_promotion_updates() -> None:
    before = {resource.key: comparable(resource) for resource in provided(STANDBY.recorded())}
    updated = {
        resource.typ
        for resource in provided(PROMOTED.recorded())
        if resource.key in before and comparable(resource) != before[resource.key]
    }
    assert updated == {
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "aws:ecs/service:Service",
        "aws:lb/listenerRule:ListenerRule",
        "aws:s3/bucketObjectv2:BucketObjectv2",
        "aws:scheduler/schedule:Schedule",
        "aws:secretsmanager/secretVersion:SecretVersion",
    }


def test_a_promotion_comes_in_its_order() -> None:
    recording = PROMOTED.recorded()
    chain = [
        "snapshots",
        "database-first",
        "critical-logins-api-gateway",
        "critical-logins",
        "services-api-gateway",
        "takeover-healthy-targets",
        "takeover-crisis",
        "takeover-witness",
        "standard-logins-sync",
        "standard-logins",
        "services-sync",
    ]
    for earlier, later in pairwise(chain):
        assert earlier in recording.waits_for(later), f"{later} does not wait for {earlier}"


def test_what_the_critical_services_do_not_need_does_not_delay_them() -> None:
    waits = PROMOTED.recorded().waits_for("takeover-witness")
    before = {resource.key: comparable(resource) for resource in STANDBY.recorded()}
    changed = {r.name for r in PROMOTED.recorded() if before.get(r.key) != comparable(r)}
    assert not [name for name in waits if name.startswith(("alerts", "health-check-alerts", "monitoring"))]
    assert not [name for name in waits & changed if name.endswith(("sync", "audio-processing", "notifications"))]
    assert not [name for name in waits if name.startswith("autoscaling")]
    # The audio bucket is waited for as a name only; that it is replicated, published or logged is not.
    for side in (
        "services-sync",
        "standard-logins",
        "standard-logins-sync",
        "cache",
        "cache-imports",
        "storage-page-index",
        "dns-secondary",
        "dns-witness-alb",
        "dns-witness-page",
    ):
        assert side not in waits


def test_everything_carries_the_three_tags(recording: Recording) -> None:
    stacks = set()
    for resource in provided(recording):
        if resource.typ in UNTAGGED:
            assert "tags" not in resource.inputs, f"{resource.typ} does take tags"
            continue
        tags = resource.inputs.get("tags") or {}
        assert tags.get("Platform") == naming.PLATFORM, resource.key
        assert tags.get("ManagedBy") == "pulumi", resource.key
        stacks.add(tags.get("Stack"))
    assert len(stacks) == 1


def names(program: Program) -> set[tuple[str, str, str]]:
    recording = program.recorded()
    families = {
        (r.typ, "family", str(r.inputs["family"])) for r in recording.of("aws:ecs/taskDefinition:TaskDefinition")
    }
    return families | {
        (resource.typ, key, str(resource.inputs[key]))
        for resource in provided(recording)
        for key in NAME_INPUTS
        if key in resource.inputs and resource.typ not in WITHIN_A_PARENT
    }


def test_no_two_stacks_use_one_name() -> None:
    kenya, south_africa = names(Program(KENYA, False)), names(PROMOTED)
    assert len(kenya) > 40
    assert kenya & south_africa == set()


def test_names_are_the_stacks_own_or_shared() -> None:
    for program, short in ((Program(KENYA, False), "kenya"), (PROMOTED, "sa")):
        for typ, _, name in names(program):
            assert f"-{short}-" in name or f"/{short}/" in name or "/shared/" in name, (typ, name)


def test_only_the_owner_has_what_is_shared() -> None:
    assert not [name for _, _, name in names(Program(KENYA, False)) if "/shared/" in name]
    assert [name for _, _, name in names(PROMOTED) if "/shared/" in name] == [
        "mental-health-platform/shared/signing-key"
    ]
    records = [r.name for r in PROMOTED.recorded().of("aws:route53/record:Record")]
    assert records == ["load-balancer-certificate", "dns-secondary"]
    assert [r.name for r in Program(KENYA, False).recorded().of("aws:route53/record:Record")] == ["dns-primary"]


def statements(recording: Recording) -> Iterator[tuple[Recorded, dict[str, Any]]]:
    """Every statement of every policy, trust policies included."""
    for resource in provided(recording):
        for key in ("policy", "assumeRolePolicy"):
            if key in resource.inputs:
                for statement in json.loads(resource.inputs[key])["Statement"]:
                    yield resource, statement


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def test_no_policy_allows_every_action(recording: Recording) -> None:
    broad = {
        (resource.name, action)
        for resource, statement in statements(recording)
        for action in listed(statement["Action"])
        if statement["Effect"] == "Allow" and (action == "*" or action.endswith(":*"))
    }
    # The account's root in a key's own policy: IAM decides, as AWS recommends, and no role has to exist first.
    assert broad == {(key, "kms:*") for key in ("keys-key", "alerts", "health-check-alerts")}


def test_policies_name_resources(recording: Recording) -> None:
    everywhere = {
        (resource.name, statement.get("Sid"))
        for resource, statement in statements(recording)
        if "*" in listed(statement.get("Resource"))
    }
    assert everywhere <= EVERY_RESOURCE
    services = {arn.split(":")[2] for _, s in statements(recording) for arn in listed(s.get("Resource")) if arn != "*"}
    assert "*" not in services


def test_actions_with_a_wildcard_are_families_of_encryption(recording: Recording) -> None:
    wild = {
        action
        for _, statement in statements(recording)
        for action in listed(statement["Action"])
        if "*" in action and statement["Effect"] == "Allow"
    }
    assert wild <= {"kms:*", "kms:ReEncrypt*", "kms:GenerateDataKey*"}


def test_only_the_page_bucket_speaks_to_everybody(recording: Recording) -> None:
    public = [
        (resource.name, listed(statement["Action"]))
        for resource, statement in statements(recording)
        if statement["Effect"] == "Allow" and statement.get("Principal") in ("*", {"AWS": "*"})
    ]
    assert public == [("storage-page", ["s3:GetObject"])]


def test_passwords_are_secrets_and_nowhere_in_the_clear(recording: Recording) -> None:
    holding = [
        (resource, key)
        for resource in recording
        for key, value in resource.inputs.items()
        if any(password in json.dumps(value, default=str) for password in PASSWORDS)
    ]
    assert holding
    for resource, key in holding:
        assert key in resource.secrets, (resource.key, key)
    shown = json.dumps([recording.exports, recording.outputs], default=str)
    assert not [password for password in PASSWORDS if password in shown]


def test_every_secret_has_a_value_from_the_start(recording: Recording) -> None:
    valued = {
        version.inputs["secretId"].removeprefix("arn:aws:").removesuffix("-id")
        for version in recording.of("aws:secretsmanager/secretVersion:SecretVersion")
        if version.inputs["secretString"]
    }
    assert valued == {resource.name for resource in recording.of("aws:secretsmanager/secret:Secret")}


def test_what_people_would_lose_is_protected(recording: Recording) -> None:
    for typ, name in (("aws:kms/key:Key", "keys-key"), ("aws:s3/bucket:Bucket", "storage-audio")):
        assert recording.one(typ, name).protect
    for instance in recording.of("aws:rds/instance:Instance"):
        assert instance.protect
        assert instance.inputs["deletionProtection"] is True


def test_what_the_other_stack_reads_is_exported(recording: Recording) -> None:
    assert {"account", "region", "standby", "epoch", "audioBucketArn", "dataKeyArn", "signingKeyArn"} <= set(
        recording.exports
    )
    assert recording.exports["epoch"] == 1
    witnesses = recording.exports["witnessCheckIds"]
    assert len(witnesses) == (2 if recording.exports["region"] == "af-south-1" else 0)


def test_copies_are_pulled_only_while_standing_by() -> None:
    schedule = "aws:scheduler/schedule:Schedule"
    assert STANDBY.recorded().one(schedule, "snapshots").inputs["state"] == "ENABLED"
    assert PROMOTED.recorded().one(schedule, "snapshots").inputs["state"] == "DISABLED"
    assert not [r for r in Program(KENYA, False).recorded().of(schedule) if r.name == "snapshots"]


def test_only_the_health_checks_alarms_stand_in_another_region(recording: Recording) -> None:
    """`region=` on a resource calls another region's API. Route 53's metrics exist in us-east-1 alone; that no flip
    touches what stands there, is_global says above."""
    elsewhere = [resource for resource in provided(recording) if "region" in resource.inputs]
    assert {resource.inputs["region"] for resource in elsewhere} == {"us-east-1"}
    assert not [resource.name for resource in elsewhere if not re.match(r"(monitoring-)?health-check-", resource.name)]


def test_the_stacks_region_has_the_only_provider(recording: Recording) -> None:
    """A provider of another region asks that region who the caller is, with every deployment."""
    assert not [resource.name for resource in recording if resource.typ.startswith("pulumi:providers:")]


def test_services_find_each_other_without_dns(recording: Recording) -> None:
    """A namespace that answers DNS is a hosted zone: each task that starts would be a change in Route 53."""
    namespaces = [resource.typ for resource in recording if resource.typ.startswith("aws:servicediscovery/")]
    assert namespaces == ["aws:servicediscovery/httpNamespace:HttpNamespace"]


# What may name the peer in a stack that must be promotable alone: the pull, which a promotion switches off; where the
# shared secret is replicated to, which no promotion touches; and the database, by the name of the copy that lies here.
# And what of the other's recordings arrives here is measured by the names of both buckets.
KNOWS_THE_PEER = {
    "snapshots",
    "snapshots-runs",
    "secrets-signing-key",
    "database-first",
    "monitoring-replication-late",
}


def test_a_stack_that_stands_alone_names_nothing_of_its_peer() -> None:
    peer = Program(KENYA, False).settings()
    marks = (peer.region, f"{naming.PLATFORM}-{peer.short_name}-", f"{naming.PLATFORM}/{peer.short_name}/")
    naming_peer = {r.name for r in provided(PROMOTED.recorded()) if any(mark in repr(r.inputs) for mark in marks)}
    assert naming_peer == KNOWS_THE_PEER
