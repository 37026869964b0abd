"""S3 as somebody without credentials sees it: an object is readable only if the bucket's policy says so to everyone."""

from __future__ import annotations

import re
from typing import Any

from moto.s3.models import FakeKey, s3_backends

from sandbox.cloud import bucket_policy
from sandbox.cloud.context import ACCOUNT, Cloud

_HOST = re.compile(
    r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\.s3[.-](?P<region>[a-z]{2}-[a-z]+-\d)\.amazonaws\.com"
)


def is_bucket_host(host: str) -> bool:
    """Whether a host name is a bucket's virtual host in a region."""
    return _HOST.fullmatch(host) is not None


def fetch(cloud: Cloud, host: str, path: str) -> tuple[int, bytes] | None:
    """(status, body) of an anonymous GET, None where the region doesn't answer."""
    match = _HOST.fullmatch(host)
    if match is None:
        raise ValueError(f"{host} is not a bucket's host")
    bucket = s3_backends[ACCOUNT]["aws"].buckets.get(match["bucket"])
    region = match["region"]
    if cloud.is_cut(region):
        return None
    if bucket is None:
        return 404, b"<Code>NoSuchBucket</Code>"
    if bucket.region_name != region:
        return 301, b"<Code>PermanentRedirect</Code>"
    key = path.lstrip("/")
    if not publicly_readable(bucket, key):
        return 403, b"<Code>AccessDenied</Code>"
    found = bucket.keys.get(key)
    if not isinstance(found, FakeKey):  # nothing, or a delete marker
        return 403, b"<Code>AccessDenied</Code>"  # S3 tells 404 only to those who may list
    if "kms" in str(found.encryption or ""):
        return 403, b"<Code>AccessDenied</Code>"  # anonymous readers cannot use a KMS key
    return 200, bytes(found.value)


def publicly_readable(bucket: Any, key: str) -> bool:
    """Whether the bucket policy lets everyone get `key` and the public access block doesn't forbid it."""
    block = bucket.public_access_block
    if block is not None and block.restrict_public_buckets:
        return False
    if not bucket.policy:
        return False
    resource = f"arn:aws:s3:::{bucket.name}/{key}"
    decision = bucket_policy.decide(bucket.policy, "s3:GetObject", resource, anonymous=True)
    return decision is bucket_policy.Decision.PERMITTED
