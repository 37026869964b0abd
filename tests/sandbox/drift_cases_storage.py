"""How buckets, what belongs to them, objects and secrets differ behind the provider's back."""

from __future__ import annotations

from typing import Final

from sandbox.provider.wire import ASSET, SIGNATURE, Blob
from tests.sandbox.drift import Case, Drifts, Stage
from tests.sandbox.provider_lab import PEER, log_bucket

DRIFTS: Final = Drifts()


# -- secrets and objects ----------------------------------------------------------------------------------------------
@DRIFTS.of("aws:secretsmanager/secret:Secret")
def _secret(stage: Stage) -> list[Case]:
    return [
        Case(
            base={"replicas.kmsKeyId": "alias/one"},
            alone={"kmsKeyId": stage.spare.key, "replicas.region": "eu-central-1"},
            recorded={"replicas.kmsKeyId": "alias/two"},  # AWS changes no replica's key
        )
    ]


@DRIFTS.of("aws:secretsmanager/secretVersion:SecretVersion")
def _secret_version(stage: Stage) -> list[Case]:
    return [Case(alone={"secretId": stage.lab.secret(), "secretString": "two"})]


@DRIFTS.of("aws:s3/bucketObjectv2:BucketObjectv2")
def _object(stage: Stage) -> list[Case]:
    asset = Blob("asset", "three", {SIGNATURE: ASSET, "hash": "three", "text": "three"})
    return [
        Case(
            base={"kmsKeyId": stage.lab.key, "serverSideEncryption": "aws:kms"},
            alone={
                "bucket": stage.lab.bucket(versioned=True),
                "key": "crisis/other.html",
                "contentType": "text/plain",
                "kmsKeyId": stage.spare.key,
            },
            together=(
                {"serverSideEncryption": "AES256", "kmsKeyId": None},
                {"content": None, "contentBase64": "dHdv"},
                {"content": None, "source": asset},
            ),
        )
    ]


# -- buckets ----------------------------------------------------------------------------------------------------------
@DRIFTS.of("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def _encryption(stage: Stage) -> list[Case]:
    with_key = "rules.applyServerSideEncryptionByDefault"
    plain = {f"{with_key}.sseAlgorithm": "AES256", f"{with_key}.kmsMasterKeyId": None}
    changes = {"bucket": stage.lab.bucket(), f"{with_key}.kmsMasterKeyId": stage.spare.key}
    return [Case(alone=changes, together=(plain,))]


@DRIFTS.of("aws:s3/bucketPolicy:BucketPolicy")
def _bucket_policy(stage: Stage) -> list[Case]:
    return [Case(together=(stage.again,))]


@DRIFTS.of("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def _public_access(stage: Stage) -> list[Case]:
    return [Case(alone={"bucket": stage.lab.bucket()})]


@DRIFTS.of("aws:s3/bucketVersioning:BucketVersioning")
def _versioning(stage: Stage) -> list[Case]:
    return [Case(alone={"bucket": stage.lab.bucket(), "versioningConfiguration.status": "Suspended"})]


@DRIFTS.of("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def _ownership(stage: Stage) -> list[Case]:
    return [Case(alone={"bucket": stage.lab.bucket(), "rule.objectOwnership": "ObjectWriter"})]


@DRIFTS.of("aws:s3/bucketReplicationConfig:BucketReplicationConfig")
def _replication(stage: Stage) -> list[Case]:
    to = "rules.destination"
    return [
        Case(
            alone={
                "bucket": stage.lab.bucket(versioned=True),
                "role": stage.spare.role("s3.amazonaws.com"),
                "rules.id": "all",
                "rules.status": "Disabled",
                "rules.filter.prefix": "calls/",
                "rules.deleteMarkerReplication.status": "Disabled",
                "rules.sourceSelectionCriteria.sseKmsEncryptedObjects.status": "Disabled",
                f"{to}.bucket": f"arn:aws:s3:::{stage.lab.bucket(PEER, versioned=True)}",
                f"{to}.storageClass": "STANDARD_IA",
                f"{to}.encryptionConfiguration.replicaKmsKeyId": stage.spare.key,
                f"{to}.replicationTime.status": "Disabled",
            },
            together=({f"{to}.metrics.status": "Disabled", f"{to}.replicationTime.status": "Disabled"},),
            # AWS knows 15 minutes and no other number.
            recorded={f"{to}.replicationTime.time.minutes": 30, f"{to}.metrics.eventThreshold.minutes": 30},
        )
    ]


@DRIFTS.of("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def _lifecycle(stage: Stage) -> list[Case]:
    changes = {"bucket": stage.lab.bucket(), "rules.id": "all", "rules.status": "Disabled", "rules.filter.prefix": "x/"}
    return [Case(alone=changes)]


@DRIFTS.of("aws:s3/bucketLogging:BucketLogging")
def _bucket_logging(stage: Stage) -> list[Case]:
    elsewhere = {name: stage.again[name] for name in ("bucket", "targetBucket")}
    another = log_bucket(stage.lab, stage.given["bucket"])
    return [Case(alone={"targetBucket": another}, together=(elsewhere,))]


@DRIFTS.of("aws:s3/inventory:Inventory")
def _inventory(stage: Stage) -> list[Case]:
    to = "destination.bucket"
    return [
        Case(
            alone={
                "bucket": stage.again["bucket"],
                "schedule.frequency": "Weekly",
                f"{to}.bucketArn": stage.again["destination"]["bucket"]["bucketArn"],
                f"{to}.accountId": "210987654321",
                f"{to}.format": "ORC",
                f"{to}.prefix": "other",
            },
            recorded={"includedObjectVersions": "Current"},  # the sandbox's inventories list all versions
        )
    ]
