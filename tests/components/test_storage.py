"""The recordings' bucket is closed, kept and copied; the page bucket shows two objects and nothing else."""

import json
from dataclasses import replace
from typing import Any

import pytest

from components.replication import replication_policy
from tests.components.recording import Recording
from tests.components.wiring import Stack

KENYA = Stack(standby=False, short_name="kenya", region="eu-west-1", role="primary")
STANDBY = Stack(standby=True)
INVENTORY = "aws:s3/inventory:Inventory"
MARKER = "takeover-marker"
REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"


def policy_of(recording: Recording, bucket: str) -> list[dict[str, Any]]:
    document = json.loads(recording.one("aws:s3/bucketPolicy:BucketPolicy", bucket).inputs["policy"])
    return list(document["Statement"])


def test_audio_bucket_is_private_versioned_and_encrypted_with_the_regions_key() -> None:
    recording = STANDBY.recorded()
    bucket = recording.one("aws:s3/bucket:Bucket", "storage-audio")
    assert bucket.inputs["bucket"] == "mental-health-platform-sa-audio-storage"
    assert bucket.protect
    block = recording.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "storage-audio").inputs
    assert all(
        block[key] for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    )
    versioning = recording.one("aws:s3/bucketVersioning:BucketVersioning", "storage-audio")
    assert versioning.inputs["versioningConfiguration"] == {"status": "Enabled"}
    rule = recording.one(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "storage-audio"
    ).inputs["rules"][0]
    assert rule["applyServerSideEncryptionByDefault"] == {
        "sseAlgorithm": "aws:kms",
        "kmsMasterKeyId": "arn:aws:kms:own",
    }
    assert rule["bucketKeyEnabled"] is True


def test_every_bucket_refuses_plain_http_and_keeps_old_versions_thirty_days() -> None:
    recording = STANDBY.recorded()
    for bucket in ("storage-audio", "storage-access-logs", "storage-page"):
        denied = [statement for statement in policy_of(recording, bucket) if statement["Effect"] == "Deny"]
        assert denied[0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert denied[0]["Action"] == "s3:*"
        rule = recording.one("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", bucket).inputs["rules"]
        assert rule[0]["noncurrentVersionExpiration"] == {"noncurrentDays": 30}
        assert rule[0].get("expiration") == ({"days": 90} if bucket == "storage-access-logs" else None)


def test_page_bucket_lets_anybody_read_exactly_two_objects() -> None:
    recording = STANDBY.recorded()
    allowed = [statement for statement in policy_of(recording, "storage-page") if statement["Effect"] == "Allow"]
    assert len(allowed) == 1
    assert allowed[0]["Action"] == "s3:GetObject"
    assert allowed[0]["Resource"] == ["arn:aws:storage-page/index.html", "arn:aws:storage-page/taken-over"]
    assert not [statement for statement in policy_of(recording, "storage-audio") if statement["Effect"] == "Allow"]
    block = recording.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "storage-page").inputs
    assert block["blockPublicAcls"]
    assert block["ignorePublicAcls"]
    assert "storage-page" in recording.one("aws:s3/bucketPolicy:BucketPolicy", "storage-page").dependencies


def test_access_logs_are_encrypted_by_s3_alone_and_open_to_three_services() -> None:
    """Load balancers and S3's log delivery write into no bucket under a customer key."""
    recording = STANDBY.recorded()
    bucket = recording.one("aws:s3/bucket:Bucket", "storage-access-logs")
    assert bucket.inputs["bucket"] == "mental-health-platform-sa-access-logs"
    encryption = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    (rule,) = recording.one(encryption, "storage-access-logs").inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
    allowed = [entry for entry in policy_of(recording, "storage-access-logs") if entry["Effect"] == "Allow"]
    assert {entry["Principal"]["Service"]: entry["Resource"] for entry in allowed} == {
        "logdelivery.elasticloadbalancing.amazonaws.com": (
            "arn:aws:storage-access-logs/load-balancer/AWSLogs/123456789012/*"
        ),
        "logging.s3.amazonaws.com": "arn:aws:storage-access-logs/audio/*",
        "s3.amazonaws.com": "arn:aws:storage-access-logs/inventory/*",
    }
    assert {entry["Action"] for entry in allowed} == {"s3:PutObject"}
    for entry in allowed[1:]:
        assert entry["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"
        assert entry["Condition"]["ArnLike"]["aws:SourceArn"] == "arn:aws:s3:::mental-health-platform-sa-audio-storage"
    block = recording.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "storage-access-logs").inputs
    assert block["blockPublicPolicy"]
    assert block["restrictPublicBuckets"]


def test_nobody_writes_before_the_bucket_admits_them() -> None:
    recording = STANDBY.recorded()
    policy = ("aws:s3/bucketPolicy:BucketPolicy", "storage-access-logs")
    balancer = recording.one("aws:lb/loadBalancer:LoadBalancer", "load-balancer")
    assert balancer.inputs["accessLogs"] == {
        "bucket": "mental-health-platform-sa-access-logs",
        "enabled": True,
        "prefix": "load-balancer",
    }
    logging = recording.one("aws:s3/bucketLogging:BucketLogging", "storage-access-logs")
    assert logging.inputs["targetPrefix"] == "audio/"
    for resource in (balancer, logging, recording.one(INVENTORY, "storage-access-logs")):
        assert policy in resource.dependency_keys


def test_every_version_of_every_recording_is_listed_daily_for_batch_operations() -> None:
    inventory = STANDBY.recorded().one(INVENTORY, "storage-access-logs").inputs
    assert inventory["bucket"] == "mental-health-platform-sa-audio-storage"
    assert inventory["includedObjectVersions"] == "All"
    assert inventory["schedule"] == {"frequency": "Daily"}
    assert inventory["destination"]["bucket"]["format"] == "CSV"
    assert {"Size", "LastModifiedDate"} <= set(inventory["optionalFields"])


@pytest.mark.parametrize("stack", [KENYA, STANDBY], ids=["primary", "secondary"])
def test_bucket_configuration_is_the_same_before_and_after_the_flip(stack: Stack) -> None:
    def buckets(standby: bool) -> dict[tuple[str, str], Any]:
        recorded = replace(stack, standby=standby).recorded()
        return {item.key: item.inputs for item in recorded if item.typ.startswith("aws:s3/") and item.name != MARKER}

    assert buckets(standby=True) == buckets(standby=False)


def test_replication_promises_a_time_and_copies_delete_markers_and_encrypted_objects() -> None:
    recording = KENYA.recorded()
    config = recording.one(REPLICATION, "storage-audio-replication")
    rule = config.inputs["rules"][0]
    assert rule["deleteMarkerReplication"] == {"status": "Enabled"}
    assert rule["sourceSelectionCriteria"] == {"sseKmsEncryptedObjects": {"status": "Enabled"}}
    destination = rule["destination"]
    assert destination["bucket"] == "arn:aws:s3:::peer"
    assert destination["encryptionConfiguration"] == {"replicaKmsKeyId": "arn:aws:kms:peer"}
    assert destination["replicationTime"] == {"status": "Enabled", "time": {"minutes": 15}}
    assert destination["metrics"] == {"status": "Enabled", "eventThreshold": {"minutes": 15}}
    assert {"storage-audio", "storage-audio-replication"} <= config.dependencies


def test_a_stack_that_protects_nobody_replicates_nothing() -> None:
    assert not STANDBY.recorded().of(REPLICATION)


def test_replication_role_reads_here_and_writes_there() -> None:
    arns = {"source": "arn:s", "source_key": "arn:sk", "target": "arn:t", "target_key": "arn:tk"}
    statements = json.loads(replication_policy(arns, "eu-west-1", "af-south-1"))["Statement"]
    resources = {statement["Sid"]: statement["Resource"] for statement in statements}
    assert resources["ReadVersions"] == ["arn:s/*"]
    assert resources["WriteReplicas"] == ["arn:t/*"]
    by_key = {statement["Resource"][0]: statement for statement in statements if "kms:" in statement["Action"][0]}
    assert by_key["arn:sk"]["Action"] == ["kms:Decrypt"]
    assert by_key["arn:sk"]["Condition"]["StringEquals"] == {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}
    assert by_key["arn:tk"]["Condition"]["StringEquals"] == {"kms:ViaService": "s3.af-south-1.amazonaws.com"}
    assert "*" not in [action for statement in statements for action in statement["Action"]]
