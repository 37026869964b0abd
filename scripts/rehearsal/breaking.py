"""What an operator can break in the standby region with AWS's own calls, and how each is mended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from components import naming
from scripts.errors import SandboxError
from scripts.project import NAMESPACE
from scripts.promotion import locks
from scripts.rehearsal.fault_rows import Break, Estate, Mend

STRANGER = "process 4711 of somebody on another-machine"
NOBODYS_HANDLER = "nowhere.handle"
UPDATED_WITHIN = 60.0  # real seconds


def disabled_key(alias: Callable[[Estate], str]) -> Break:
    """A KMS key, by its alias."""

    def breaks(estate: Estate) -> Mend:
        kms = estate.client("kms")
        key = kms.describe_key(KeyId=alias(estate))["KeyMetadata"]["KeyId"]
        kms.disable_key(KeyId=key)
        return lambda: kms.enable_key(KeyId=key)

    return breaks


def unusable_copies(estate: Estate) -> Mend:
    """Every copy of the database is marked as people mark one that holds corrupted data."""
    rds = estate.client("rds")
    pages = rds.get_paginator("describe_db_snapshots").paginate(SnapshotType="manual")
    arns = [entry["DBSnapshotArn"] for page in pages for entry in page["DBSnapshots"]]
    tag = naming.UNUSABLE_TAG
    for arn in arns:
        rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": tag, "Value": "rehearsal"}])
    return lambda: [rds.remove_tags_from_resource(ResourceName=arn, TagKeys=[tag]) for arn in arns]


def deleted_secret(estate: Estate) -> Mend:
    """The registry's credential, scheduled for deletion: it is in no list any more, and no task can read it."""
    secrets, name = estate.client("secretsmanager"), naming.secret(estate.standby.short, "registry")
    secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    return lambda: secrets.restore_secret(SecretId=name)


def deleted_state(estate: Estate) -> Mend:
    """The stack's checkpoint. The bucket is versioned, so the deletion is a marker that can be removed."""
    s3, bucket = estate.client("s3"), estate.project.state_bucket
    key = f".pulumi/stacks/{NAMESPACE}/{estate.standby.stack}.json"
    marker = s3.delete_object(Bucket=bucket, Key=key)["VersionId"]
    return lambda: s3.delete_object(Bucket=bucket, Key=key, VersionId=marker)


def foreign_lock(estate: Estate) -> Mend:
    """A deployment from another machine that never ended."""
    s3, bucket = estate.client("s3"), estate.project.state_bucket
    key = f"{locks.PREFIX}organization/{NAMESPACE}/{estate.standby.stack}/rehearsal.json"
    content = {
        "pid": 4711,
        "username": "somebody",
        "hostname": "another-machine",
        "timestamp": datetime.now(UTC).isoformat(),
    }
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(content).encode())
    return lambda: s3.delete_object(Bucket=bucket, Key=key)


def missing_image(estate: Estate) -> Mend:
    """The image of a critical service is taken out of the registry."""
    name = estate.service(critical=True)
    service = next(service for service in estate.standby.services if service.name == name)
    image = {"image": service.image, "digest": service.digest}
    estate.control("DELETE", "registry", **image)
    return lambda: estate.control("POST", "registry", **image)


def broken_function(estate: Estate) -> Mend:
    """The function that makes logins is pointed at code that it does not have."""
    client, name = estate.client("lambda"), naming.physical(estate.standby.short, "database-roles")
    handler = client.get_function_configuration(FunctionName=name)["Handler"]

    def point(to: str) -> None:
        client.update_function_configuration(FunctionName=name, Handler=to)
        deadline = time.monotonic() + UPDATED_WITHIN
        while client.get_function_configuration(FunctionName=name)["LastUpdateStatus"] != "Successful":
            if time.monotonic() > deadline:
                raise SandboxError(f"{name} was not updated within {UPDATED_WITHIN:.0f} s.")
            time.sleep(0.2)

    point(NOBODYS_HANDLER)
    return lambda: point(handler)


def lowered_quota(service: str, code: str, value: Callable[[Estate], float]) -> Break:
    """A quota of the account, by the codes of Service Quotas."""

    def breaks(estate: Estate) -> Mend:
        quota = {"region": estate.region, "service": service, "code": code}
        client = estate.client("service-quotas")
        try:
            found = client.get_service_quota(ServiceCode=service, QuotaCode=code)
        except client.exceptions.NoSuchResourceException:  # nothing was ever applied: AWS's default
            found = client.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)
        estate.control("POST", "quotas", **quota, value=value(estate))
        return lambda: estate.control("POST", "quotas", **quota, value=found["Quota"]["Value"])

    return breaks
