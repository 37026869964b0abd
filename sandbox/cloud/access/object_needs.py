"""What working with objects needs of a role: S3's actions, and those on the key that encrypts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moto.s3.models import FakeBucket, s3_backends

from sandbox.cloud.access import key_needs
from sandbox.cloud.access.policy import Need
from sandbox.cloud.context import ACCOUNT


def reading(bucket: str, key: str, version: str | None = None) -> list[Need]:
    """GetObject and HeadObject: "the s3:GetObject permission" for both (their API references)."""
    action = "s3:GetObject" if version is None else "s3:GetObjectVersion"
    return [Need(action, f"arn:aws:s3:::{bucket}/{key}"), *decrypting(bucket, key, ("kms:Decrypt",))]


def writing(bucket: str, key: str) -> list[Need]:
    """PutObject, encrypted as the bucket says."""
    needs = [Need("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")]
    found = _bucket(bucket)
    rule = (found.encryption or {}).get("Rule", {}) if found else {}
    key_id = rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
    return needs + with_key(bucket, key, key_id, ("kms:GenerateDataKey",))


def decrypting(bucket: str, key: str, actions: Sequence[str]) -> list[Need]:
    """Needs on the key of an object that exists."""
    found = _bucket(bucket)
    stored: Any = found.keys.get(key) if found else None
    return with_key(bucket, key, getattr(stored, "kms_key_id", None), actions)  # a delete marker has none


def with_key(bucket: str, key: str, key_id: str | None, actions: Sequence[str]) -> list[Need]:
    """Needs on a key for an object. With a bucket key the encryption context is the bucket, else the object ("Reducing
    the cost of SSE-KMS with Amazon S3 Bucket Keys", S3 user guide)."""
    found = _bucket(bucket)
    if found is None:
        return []
    rule = (found.encryption or {}).get("Rule", {})
    of_bucket = str(rule.get("BucketKeyEnabled", "")).lower() == "true"
    arn = f"arn:aws:s3:::{bucket}" if of_bucket else f"arn:aws:s3:::{bucket}/{key}"
    return key_needs.through("s3", str(found.region_name), key_id, actions, {"aws:s3:arn": arn})


def policy_of(bucket: str) -> str | None:
    """The bucket's own policy."""
    found = _bucket(bucket)
    if found is None or not found.policy:
        return None
    policy: Any = found.policy  # moto keeps the request's bytes and declares a string
    return policy.decode() if isinstance(policy, bytes) else str(policy)


def _bucket(name: str) -> FakeBucket | None:
    return s3_backends[ACCOUNT]["aws"].buckets.get(name)
