"""Secrets Manager: secrets and their versions."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Resource, Tags, call, f, fields, update
from sandbox.provider.tables.kms import same_key

CURRENT: Final = "AWSCURRENT"


def _replica(item: dict[str, Any]) -> dict[str, Any]:
    key = {"KmsKeyId": item["kmsKeyId"]} if item.get("kmsKeyId") else {}
    return {"Region": item["region"], **key}


def _replicate(op: Operation) -> None:
    old = {item["region"]: item for item in op.known("replicas") or []}
    new = {item["region"]: item for item in op.inputs.get("replicas") or []}
    dropped = sorted(set(old) - set(new))
    if dropped:
        op.api("remove_regions_from_replication", SecretId=op.id, RemoveReplicaRegions=dropped)
    added = [_replica(new[region]) for region in new if region not in old]
    if added:
        force = bool(op.wanted("forceOverwriteReplicaSecret"))
        op.api(
            "replicate_secret_to_regions", SecretId=op.id, AddReplicaRegions=added, ForceOverwriteReplicaSecret=force
        )


def _delete_secret(op: Operation) -> None:
    if not op.describe():
        return
    regions = [item["region"] for item in op.known("replicas") or []]
    if regions:
        op.api("remove_regions_from_replication", SecretId=op.id, RemoveReplicaRegions=regions)
    days = int(op.state.get("recoveryWindowInDays", 30))
    window = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
    op.api("delete_secret", SecretId=op.id, **window)


SECRET: Final = Resource(
    token="aws:secretsmanager/secret:Secret",
    service="secretsmanager",
    create=call("create_secret", result="ARN"),
    read=call("describe_secret", {"SecretId": "$id"}),
    delete=_delete_secret,
    inputs=(
        f("name", replace=True),
        f("description", empty=""),
        f("kmsKeyId", equal=same_key),
        f(
            "replicas",
            "AddReplicaRegions",
            read="ReplicationStatus",
            unordered=True,
            block=(f("region"), f("kmsKeyId", computed=True, equal=same_key)),
        ),
        f("forceOverwriteReplicaSecret", read=None, default=False),
        f("recoveryWindowInDays", read=None, create=False, default=30),
    ),
    outputs=(f("arn"),),
    updates=(
        update("description kmsKeyId", call("update_secret", {"SecretId": "$id"})),
        update("replicas", _replicate),
    ),
    tags=Tags(target={"SecretId": "$id"}),
    missing=("ResourceNotFoundException",),
    gone=lambda found: bool(found.get("DeletedDate")),
    physical_name="name",
)


def _put_version(op: Operation) -> str:
    answer = op.api("put_secret_value", SecretId=op.inputs["secretId"], SecretString=op.inputs["secretString"])
    return f"{answer['ARN']}|{answer['VersionId']}"


def _parts(op: Operation) -> tuple[str, str]:
    secret, _, version = op.id.partition("|")
    return secret, version


def _read_version(op: Operation) -> Description | None:
    secret, version = _parts(op)
    stages = op.api("describe_secret", SecretId=secret)
    if stages.get("DeletedDate") or version not in stages.get("VersionIdsToStages", {}):
        return None
    return op.api("get_secret_value", SecretId=secret, VersionId=version)


def _delete_version(op: Operation) -> None:
    """Take the labels off; the current version keeps its own, AWS allows nothing else."""
    secret, version = _parts(op)
    stages = op.api("describe_secret", SecretId=secret).get("VersionIdsToStages", {}).get(version, [])
    for stage in stages:
        if stage != CURRENT:
            op.api("update_secret_version_stage", SecretId=secret, VersionStage=stage, RemoveFromVersionId=version)


SECRET_VERSION: Final = Resource(
    token="aws:secretsmanager/secretVersion:SecretVersion",
    service="secretsmanager",
    create=_put_version,
    read=_read_version,
    delete=_delete_version,
    inputs=(
        f("secretId", read="ARN", replace=True, equal=lambda old, new: old == new or f":secret:{new}-" in str(old)),
        f("secretString", replace=True, sensitive=True),
    ),
    outputs=(f("arn", read="ARN"), *fields("versionId versionStages")),
    missing=("ResourceNotFoundException", "InvalidRequestException"),
    required=("secretString",),
)


RESOURCES: Final = (SECRET, SECRET_VERSION)
