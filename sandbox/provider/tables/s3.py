"""S3: buckets, their configuration, objects."""

from __future__ import annotations

import base64
from typing import Any, Final

from sandbox.provider import assets
from sandbox.provider.operation import Operation
from sandbox.provider.table import Call, Description, Field, Resource, Tags, call, f, fields, update

MISSING_BUCKET: Final = ("404", "NoSuchBucket")


# -- the bucket


def _create_bucket(op: Operation) -> str:
    name = str(op.inputs["bucket"])
    place = {} if op.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": op.region}}
    op.api("create_bucket", Bucket=name, **place)
    return name


def _read_bucket(op: Operation) -> Description | None:
    op.api("head_bucket", Bucket=op.id)
    return {"Bucket": op.id}


def _put_tags(op: Operation) -> None:
    wanted = [{"Key": key, "Value": value} for key, value in sorted(op.tags().items())]
    if wanted:
        op.api("put_bucket_tagging", Bucket=op.id, Tagging={"TagSet": wanted})
    else:
        op.api("delete_bucket_tagging", Bucket=op.id)


def _bucket_tags(op: Operation) -> Any:
    return op.optional("NoSuchTagSet", "get_bucket_tagging", Bucket=op.id).get("TagSet", [])


def empty_bucket(op: Operation, bucket: str, prefix: str = "") -> None:
    """Delete every version and delete marker whose key begins with `prefix`."""
    for page in op.client().get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        versions = [
            {"Key": item["Key"], "VersionId": item["VersionId"]}
            for kind in ("Versions", "DeleteMarkers")
            for item in page.get(kind, [])
        ]
        if versions:
            op.api("delete_objects", Bucket=bucket, Delete={"Objects": versions, "Quiet": True})


def _delete_bucket(op: Operation) -> None:
    if op.state.get("forceDestroy"):
        empty_bucket(op, op.id)
    op.api("delete_bucket", Bucket=op.id)


BUCKET: Final = Resource(
    token="aws:s3/bucket:Bucket",
    service="s3",
    create=_create_bucket,
    read=_read_bucket,
    delete=_delete_bucket,
    inputs=(f("bucket", replace=True), f("forceDestroy", read=None, default=False)),
    outputs=(
        f("arn", get=lambda op, _: f"arn:aws:s3:::{op.id}"),
        f("bucketDomainName", get=lambda op, _: f"{op.id}.s3.amazonaws.com"),
        f("bucketRegionalDomainName", get=lambda op, _: f"{op.id}.s3.{op.region}.amazonaws.com"),
    ),
    tags=Tags(create="", read=_bucket_tags, put=_put_tags),
    missing=MISSING_BUCKET,
    physical_name="bucket",
)


# -- its configuration: each is a property of the bucket, put as a whole


def configuration(
    token: str, put: str, get: str, delete: str | Call, result: str, inputs: tuple[Field, ...], missing: tuple[str, ...]
) -> Resource:
    """A configuration that is one document on the bucket; the id is the bucket's name."""

    def create(op: Operation) -> str:
        bucket = str(op.inputs["bucket"])
        op.call(call(put, {"Bucket": bucket}), inputs)
        return bucket

    return Resource(
        token=token,
        service="s3",
        create=create,
        read=call(get, {"Bucket": "$id"}, result),
        delete=call(delete, {"Bucket": "$id"}) if isinstance(delete, str) else delete,
        inputs=(f("bucket", get=lambda op, _: op.id, replace=True, create=False), *inputs),
        updates=(update(" ".join(field.name for field in inputs), call(put, {"Bucket": "$id"})),),
        missing=(*MISSING_BUCKET, *missing),
    )


def _suspend(op: Operation) -> None:
    if (op.state.get("versioningConfiguration") or {}).get("status") == "Enabled":
        op.api("put_bucket_versioning", Bucket=op.id, VersioningConfiguration={"Status": "Suspended"})


def _put_versioning(op: Operation) -> str:
    bucket = str(op.inputs["bucket"])
    op.api(
        "put_bucket_versioning",
        Bucket=bucket,
        VersioningConfiguration={"Status": op.inputs["versioningConfiguration"]["status"]},
    )
    return bucket


VERSIONING: Final = Resource(
    token="aws:s3/bucketVersioning:BucketVersioning",
    service="s3",
    create=_put_versioning,
    read=call("get_bucket_versioning", {"Bucket": "$id"}),
    delete=_suspend,
    inputs=(
        f("bucket", get=lambda op, _: op.id, replace=True),
        f(
            "versioningConfiguration",
            get=lambda _, found: {"status": found.get("Status", "Disabled")},
            block=(f("status"),),
        ),
    ),
    updates=(update("versioningConfiguration", _put_versioning),),
    missing=MISSING_BUCKET,
    gone=lambda found: "Status" not in found,
)


ENCRYPTION: Final = configuration(
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "put_bucket_encryption",
    "get_bucket_encryption",
    "delete_bucket_encryption",
    "ServerSideEncryptionConfiguration",
    (
        f(
            "rules",
            "ServerSideEncryptionConfiguration.Rules",
            read="Rules",
            block=(
                f("applyServerSideEncryptionByDefault", block=(f("sseAlgorithm"), f("kmsMasterKeyId"))),
                f("bucketKeyEnabled"),
            ),
        ),
    ),
    ("ServerSideEncryptionConfigurationNotFoundError",),
)

PUBLIC_ACCESS_BLOCK: Final = configuration(
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "put_public_access_block",
    "get_public_access_block",
    "delete_public_access_block",
    "PublicAccessBlockConfiguration",
    tuple(
        f(name, f"PublicAccessBlockConfiguration.{name}", read=name, default=False)
        for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    ),
    ("NoSuchPublicAccessBlockConfiguration",),
)

POLICY: Final = configuration(
    "aws:s3/bucketPolicy:BucketPolicy",
    "put_bucket_policy",
    "get_bucket_policy",
    "delete_bucket_policy",
    "{Policy: Policy}",
    (f("policy", json=True),),
    ("NoSuchBucketPolicy",),
)

OWNERSHIP: Final = configuration(
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "put_bucket_ownership_controls",
    "get_bucket_ownership_controls",
    "delete_bucket_ownership_controls",
    "OwnershipControls",
    (f("rule", "OwnershipControls.Rules", read="Rules", single=True, block=(f("objectOwnership"),)),),
    ("OwnershipControlsNotFoundError",),
)

_STATUS: Final = (f("status"),)
REPLICATION: Final = configuration(
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
    "put_bucket_replication",
    "get_bucket_replication",
    "delete_bucket_replication",
    "ReplicationConfiguration",
    (
        f("role", "ReplicationConfiguration.Role", read="Role"),
        f(
            "rules",
            "ReplicationConfiguration.Rules",
            read="Rules",
            block=(
                f("id", computed=True),
                *fields("priority status"),
                f("filter", block=(f("prefix"),)),
                f("deleteMarkerReplication", block=_STATUS),
                f("sourceSelectionCriteria", block=(f("sseKmsEncryptedObjects", block=_STATUS),)),
                f(
                    "destination",
                    block=(
                        *fields("bucket storageClass"),
                        f("encryptionConfiguration", block=(f("replicaKmsKeyId"),)),
                        f("replicationTime", block=(f("status"), f("time", block=(f("minutes"),)))),
                        f("metrics", block=(f("status"), f("eventThreshold", block=(f("minutes"),)))),
                    ),
                ),
            ),
        ),
    ),
    ("ReplicationConfigurationNotFoundError",),
)

LIFECYCLE: Final = configuration(
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "put_bucket_lifecycle_configuration",
    "get_bucket_lifecycle_configuration",
    "delete_bucket_lifecycle",
    "{Rules: Rules}",
    (
        f(
            "rules",
            "LifecycleConfiguration.Rules",
            read="Rules",
            block=(
                f("id"),
                f("status"),
                f("filter", block=(f("prefix"),)),
                f("expiration", block=(f("days"),)),
                f("noncurrentVersionExpiration", block=(f("noncurrentDays"),)),
                f("abortIncompleteMultipartUpload", block=(f("daysAfterInitiation"),)),
            ),
        ),
    ),
    ("NoSuchLifecycleConfiguration",),
)


# -- objects


def _place(op: Operation) -> dict[str, str]:
    bucket, _, key = op.id.partition("/")
    return {"Bucket": bucket, "Key": key}


def _put_object(op: Operation) -> str:
    if op.inputs.get("source") is not None:
        body = assets.content(op.inputs["source"], op.instance.project)
    elif op.inputs.get("contentBase64") is not None:
        body = base64.b64decode(op.inputs["contentBase64"])
    else:
        body = str(op.inputs.get("content") or "").encode()
    carried = tuple(field for field in op.resource.inputs if field.create)
    op.call(call("put_object", {"Bucket": op.inputs["bucket"], "Key": op.inputs["key"]}), carried, {"Body": body})
    return f"{op.inputs['bucket']}/{op.inputs['key']}"


def _read_object(op: Operation) -> Description | None:
    return op.api("head_object", **_place(op))


def _delete_object(op: Operation) -> None:
    if op.state.get("versionId"):
        bucket, _, key = op.id.partition("/")
        empty_bucket(op, bucket, key)
    else:
        op.api("delete_object", **_place(op))


OBJECT: Final = Resource(
    token="aws:s3/bucketObjectv2:BucketObjectv2",
    service="s3",
    create=_put_object,
    read=_read_object,
    delete=_delete_object,
    inputs=(
        f("bucket", get=lambda op, _: op.id.partition("/")[0], replace=True, create=False),
        f("key", get=lambda op, _: op.id.partition("/")[2], replace=True, create=False),
        *fields("content contentBase64 source", read=None, create=False),
        f("contentType", computed=True),
        f("cacheControl"),
        f("kmsKeyId", "SSEKMSKeyId", computed=True),
        f("serverSideEncryption", computed=True),
    ),
    outputs=(
        f("arn", get=lambda op, _: f"arn:aws:s3:::{op.id}"),
        f("etag", decode=lambda value: str(value).strip('"')),
        f("versionId"),
    ),
    updates=(
        update(
            "content contentBase64 source contentType cacheControl kmsKeyId serverSideEncryption",
            _put_object,
        ),
    ),
    missing=("404", "NoSuchKey", "NoSuchBucket"),
    changing=("etag", "versionId"),
)

RESOURCES: Final = (
    BUCKET,
    VERSIONING,
    ENCRYPTION,
    PUBLIC_ACCESS_BLOCK,
    POLICY,
    OWNERSHIP,
    REPLICATION,
    LIFECYCLE,
    OBJECT,
)
