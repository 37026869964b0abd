"""S3 copies with what the program allows the replication role; each action taken away stops the copying."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from components.replication import replication_policy
from scripts.prerequisites import documents
from scripts.rehearsal import access
from tests.sandbox import roles, traffic_world
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, World, wait

REGIONS = {"source": KENYA, "target": SOUTH_AFRICA}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with traffic_world.running() as running:
        yield running
        running.assert_sound()


@pytest.fixture(scope="module")
def keys(world: World) -> dict[str, str]:
    return {kind: world.client("kms", region).create_key()["KeyMetadata"]["Arn"] for kind, region in REGIONS.items()}


def recordings_policy(names: dict[str, str], keys: dict[str, str]) -> str:
    """What the program allows the recordings' role."""
    arns = {kind: f"arn:aws:s3:::{names[kind]}" for kind in REGIONS} | {f"{kind}_key": keys[kind] for kind in REGIONS}
    return replication_policy(arns, KENYA, SOUTH_AFRICA)


def state_policy(names: dict[str, str], keys: dict[str, str]) -> str:
    """What `dr bootstrap` allows the state bucket's role."""
    ends = [(names[kind], region, keys[kind]) for kind, region in REGIONS.items()]
    return json.dumps(documents.replication_permissions(*ends[0], *ends[1]))


def replicate(
    world: World,
    keys: dict[str, str],
    name: str,
    *,
    without: str = "",
    trust: str | None = None,
    allowed: Callable[[dict[str, str], dict[str, str]], str] = recordings_policy,
) -> str:
    """Bucket and copy with a role of that name; the source bucket's name."""
    names = {kind: f"{name}-{kind}" for kind in REGIONS}
    for kind, region in REGIONS.items():
        s3 = world.client("s3", region)
        s3.create_bucket(Bucket=names[kind], CreateBucketConfiguration={"LocationConstraint": region})
        s3.put_bucket_versioning(Bucket=names[kind], VersioningConfiguration={"Status": "Enabled"})
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": keys[kind]}
        rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
        s3.put_bucket_encryption(Bucket=names[kind], ServerSideEncryptionConfiguration={"Rules": [rule]})
    policy = json.loads(allowed(names, keys))
    for statement in policy["Statement"]:
        statement["Action"] = [kept for kept in statement["Action"] if kept != without] or ["sts:GetCallerIdentity"]
    iam = world.client("iam", "us-east-1")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust or roles.trust("s3.amazonaws.com"))
    iam.put_role_policy(RoleName=name, PolicyName="replicate", PolicyDocument=json.dumps(policy))
    configuration: Any = documents.replication(made["Role"]["Arn"], names["target"], keys["target"])
    world.client("s3", KENYA).put_bucket_replication(Bucket=names["source"], ReplicationConfiguration=configuration)
    return names["source"]


def copied(world: World, bucket: str) -> bool:
    """Store a recording and see what becomes of it."""
    s3 = world.client("s3", KENYA)
    s3.put_object(Bucket=bucket, Key="audio/1.wav", Body=b"RIFF")

    def status() -> str:
        return str(s3.head_object(Bucket=bucket, Key="audio/1.wav")["ReplicationStatus"])

    wait(lambda: status() in ("COMPLETED", "FAILED"), 30, "the end of the replication", status)
    return status() == "COMPLETED"


@pytest.mark.parametrize("allowed", [recordings_policy, state_policy])
def test_all_that_a_role_is_allowed_is_needed(
    world: World, keys: dict[str, str], allowed: Callable[[dict[str, str], dict[str, str]], str]
) -> None:
    name = allowed.__name__.replace("_", "-")
    bucket = replicate(world, keys, name, trust=json.dumps(documents.replication_trust()), allowed=allowed)
    assert copied(world, bucket)
    world.client("s3", KENYA).delete_object(Bucket=bucket, Key="audio/1.wav")

    def left() -> list[str]:
        told = world.control("GET", "access")
        used = {(use["statement"], use[part]) for use in told["uses"] if use["role"] == name for part in PARTS}
        granted = access.parts({name: told["roles"][name]})
        return [str(part) for part in granted if (part.statement, part.text) not in used]

    wait(lambda: not left(), 30, "all grants to be used", left)


PARTS = ("action", "resource")


@pytest.mark.parametrize(
    "action",
    [
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionTagging",
        "s3:ReplicateObject",
        "s3:ReplicateTags",
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
    ],
)
def test_an_action_taken_away_stops_the_copying(world: World, keys: dict[str, str], action: str) -> None:
    name = "no-" + action.replace(":", "-").lower()
    assert not copied(world, replicate(world, keys, name, without=action))
    told = world.control("GET", "access")["refusals"]
    assert {entry["action"] for entry in told if entry["role"] == name} == {action}


def test_a_condition_that_s3_does_not_meet_stops_the_copying(world: World, keys: dict[str, str]) -> None:
    trusted = json.loads(roles.trust("s3.amazonaws.com"))
    trusted["Statement"][0]["Condition"] = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert not copied(world, replicate(world, keys, "conditional", trust=json.dumps(trusted)))
    assert copied(world, replicate(world, keys, "state", trust=json.dumps(documents.replication_trust())))
