"""Whom a promotion calls: the lost region and global control planes are found, nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.rehearsal import calls
from scripts.rehearsal.calls import Call
from tests.scripts.made_up import KENYA, LOSS, SOUTH_AFRICA, at, call

PULL = "FUNCTION-mental-health-platform-sa-snapshot-cycle"


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        # one endpoint for the whole partition, by botocore's endpoint data
        ("iam", "GetRole"),
        ("iam", "CreateServiceLinkedRole"),
        ("route53", "ChangeResourceRecordSets"),
        ("route53", "ListHostedZones"),
        ("cloudfront", "GetDistribution"),
        # S3 bucket configuration, also reading it
        ("s3", "CreateBucket"),
        ("s3", "PutBucketPolicy"),
        ("s3", "GetBucketVersioning"),
        ("s3", "PutBucketReplication"),
        ("s3", "GetPublicAccessBlock"),
        # namespaces that make Route 53 zones
        ("servicediscovery", "CreatePrivateDnsNamespace"),
    ],
)
def test_global_control_planes(service: str, operation: str) -> None:
    assert calls.is_global(call(service, operation))


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("s3", "GetObject"),
        ("s3", "PutObject"),
        ("s3", "DeleteObject"),
        ("s3", "GetObjectTagging"),
        ("s3", "ListObjectsV2"),
        ("s3", "ListObjectVersions"),
        ("s3", "HeadBucket"),
        ("kms", "Decrypt"),
        ("sts", "GetCallerIdentity"),
        ("rds", "RestoreDBInstanceFromDBSnapshot"),
        ("servicediscovery", "GetNamespace"),
        ("servicediscovery", "CreateHttpNamespace"),
        ("secretsmanager", "PutSecretValue"),
        ("elasticloadbalancing", "ModifyRule"),
    ],
)
def test_what_a_region_can_do_alone(service: str, operation: str) -> None:
    assert not calls.is_global(call(service, operation))


def test_whatever_is_signed_for_us_east_1_is_global() -> None:
    assert calls.is_global(call("kms", "Decrypt", "us-east-1"))


def test_only_the_promotions_own_calls_count() -> None:
    made = [
        call("rds", "DescribeDBInstances", KENYA, t=1.9),  # before
        call("rds", "DescribeDBInstances", KENYA, t=5),
        call("rds", "DescribeDBInstances", KENYA, PULL, t=2.1),
        call("rds", "DescribeDBInstances", KENYA, "FUNCTION-mental-health-platform-sa-database-roles", t=5),
        call("rds", "DescribeDBInstances", KENYA, calls.REHEARSAL, t=5),
        call("sqs", "ReceiveMessage", KENYA, "TASK-mental-health-platform-kenya-sync-task", t=5),  # where it runs
        call("sqs", "ReceiveMessage", KENYA, "TASK-mental-health-platform-sa-sync-task", t=5),
        call("iam", "GetRole", SOUTH_AFRICA, t=6),
        call("ecs", "UpdateService", SOUTH_AFRICA, t=7),
        call("ecs", "UpdateService", SOUTH_AFRICA, t=30.1),  # after
    ]
    found = calls.account(made, at(2), at(30), KENYA, "mental-health-platform-kenya-")
    assert [each.principal for each in found.lost_region] == [
        "OPERATOR",
        "FUNCTION-mental-health-platform-sa-database-roles",
        "TASK-mental-health-platform-sa-sync-task",
    ]
    assert [each.principal for each in found.lost_region_by_pull] == [PULL]
    assert [each.service for each in found.global_control_plane] == ["iam"]
    assert found.total == 6
    assert found.by_service == {
        f"rds in {KENYA}": 3,
        f"sqs in {KENYA}": 1,
        f"iam in {SOUTH_AFRICA}": 1,
        f"ecs in {SOUTH_AFRICA}": 1,
    }


def test_a_dropped_call_is_read_and_unknown_fields_are_left_out(tmp_path: Path) -> None:
    line = {
        "t": LOSS,
        "region": KENYA,
        "service": "kms",
        "operation": "Decrypt",
        "principal": "OPERATOR",
        "user_agent": "",
        "status": None,
        "cut": True,
    }
    (tmp_path / "calls.jsonl").write_text(json.dumps(line) + "\n")
    assert calls.read(tmp_path / "calls.jsonl") == [Call(LOSS, KENYA, "kms", "Decrypt", "OPERATOR")]
