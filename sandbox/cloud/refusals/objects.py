"""S3. Sources: S3 API reference and user guide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from moto.s3.models import FakeBucket, s3_backends

from sandbox.cloud.context import ACCOUNT, AwsError
from sandbox.cloud.refusals import policies
from sandbox.cloud.refusals.rule import Parameters, refuses

_NAME: Final = re.compile(r"(?!xn--|sthree-|\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
ENFORCED: Final = "BucketOwnerEnforced"


def _bucket(name: str) -> FakeBucket | None:
    return s3_backends[ACCOUNT]["aws"].buckets.get(name)


@refuses("s3", "CreateBucket")
def _bucket_name(parameters: Parameters, _: str) -> None:
    if not _NAME.fullmatch(parameters["Bucket"]) or ".." in parameters["Bucket"]:
        raise AwsError("InvalidBucketName", "The specified bucket is not valid.")


@refuses("s3", "PutBucketReplication")
def _replication(parameters: Parameters, _: str) -> None:
    for rule in parameters["ReplicationConfiguration"]["Rules"]:
        destination = rule["Destination"]
        timed = (destination.get("ReplicationTime") or {}).get("Status") == "Enabled"
        if timed and (destination.get("Metrics") or {}).get("Status") != "Enabled":
            raise AwsError("InvalidRequest", "ReplicationTime must be specified together with a Metrics block.")


@refuses("s3", "PutBucketLifecycleConfiguration")
def _lifecycle(parameters: Parameters, _: str) -> None:
    rules = (parameters.get("LifecycleConfiguration") or {}).get("Rules") or []
    names = [rule["ID"] for rule in rules if rule.get("ID")]
    if len(set(names)) < len(names):
        raise AwsError("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    for rule in rules:
        for name, days in _days(rule):
            if days < 1:
                raise AwsError("InvalidArgument", f"'{name}' must be a positive integer")


def _days(rule: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """What a rule counts in days and must not be zero."""
    yield from _named(rule.get("NoncurrentVersionExpiration"), "NoncurrentDays")
    yield from _named(rule.get("Expiration"), "Days")
    yield from _named(rule.get("AbortIncompleteMultipartUpload"), "DaysAfterInitiation")


def _named(action: Mapping[str, Any] | None, member: str) -> Iterator[tuple[str, int]]:
    if action and action.get(member) is not None:
        yield member, int(action[member])


@refuses("s3", "PutBucketAcl")
def _access_list(parameters: Parameters, _: str) -> None:
    bucket = _bucket(parameters["Bucket"])
    if bucket is not None and parameters.get("ACL") != "private" and _owner_has_all(bucket):
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")


def _owner_has_all(bucket: FakeBucket) -> bool:
    found: Any = bucket.ownership_rule  # moto keeps the word alone, or nothing
    return found in (None, ENFORCED)


@refuses("s3", "PutBucketPolicy")
def _policy(parameters: Parameters, _: str) -> None:
    name = parameters["Bucket"]
    try:
        statements = policies.statements(parameters["Policy"])
        unknown = policies.unknown_principal(parameters["Policy"])
    except ValueError as error:
        raise AwsError("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'") from error
    if unknown:
        raise AwsError("MalformedPolicy", "Invalid principal in policy")
    for statement in statements:
        for resource in policies.listed(statement.get("Resource")):
            if not re.match(rf"arn:aws:s3:::{re.escape(name)}(/|$)", str(resource)):
                raise AwsError("MalformedPolicy", "Policy has invalid resource")
    bucket = _bucket(name)
    if bucket is not None and _blocks_public(bucket) and any(map(_public, statements)):
        raise AwsError("AccessDenied", "public policies are prevented by the BlockPublicPolicy setting")


def _blocks_public(bucket: FakeBucket) -> bool:
    block = bucket.public_access_block
    return block is not None and str(block.block_public_policy).lower() == "true"


def _public(statement: Mapping[str, Any]) -> bool:
    everybody = "*" in policies.principals(statement)
    return everybody and statement["Effect"] == "Allow" and not statement.get("Condition")
