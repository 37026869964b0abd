"""What each API call needs of the role that makes it. An operation's name is usually IAM's action, with exceptions.

Source, unless a line says otherwise: the Service Authorization Reference, "Actions, resources, and condition keys" of
the service. What no role of the program and no policy in docs/ needs isn't here: such a call is a sandbox's error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.rds.models import rds_backends

from sandbox.cloud.access import key_needs, object_needs, queue_needs, secret_needs
from sandbox.cloud.access.policy import Need
from sandbox.cloud.context import ACCOUNT


@dataclass(frozen=True)
class CallMade:
    """A request: `parameters` has its members, `path` its address, which is all that S3 is asked for."""

    region: str
    operation: str
    path: str
    query: Mapping[str, str]
    parameters: Mapping[str, Any]


Needs = Callable[[CallMade], list[Need]]
_TABLE: dict[tuple[str, str], Needs] = {}


def needs(service: str, call: CallMade) -> list[Need]:
    """The permissions that a call needs. NotImplementedError for a call that isn't in the table."""
    found = _TABLE.get((service, call.operation))
    if found is None:
        raise NotImplementedError(f"the sandbox does not know what {service}:{call.operation} needs of a role")
    return found(call)


def _for(service: str, *operations: str) -> Callable[[Needs], Needs]:
    def add(function: Needs) -> Needs:
        _TABLE.update({(service, operation): function for operation in operations})
        return function

    return add


@_for("sts", "GetCallerIdentity")
def _nothing(_: CallMade) -> list[Need]:
    """ "No permissions are required to perform this operation" (its API reference)."""
    return []


# -- RDS --------------------------------------------------------------------------------------------------------------
def _rds(region: str, kind: str, name: str) -> str:
    return name if name.startswith("arn:") else f"arn:aws:rds:{region}:{ACCOUNT}:{kind}:{name}"


@_for("rds", "DescribeDBInstances")
def _describe_instances(call: CallMade) -> list[Need]:
    """Without a name it is asked for on every instance."""
    return [_on(call, "db", call.parameters.get("DBInstanceIdentifier", "*"))]


@_for("rds", "DescribeDBSnapshots")
def _describe_snapshots(call: CallMade) -> list[Need]:
    """Two kinds of resource, each asked for as a whole where no name is given."""
    return [
        _on(call, "db", call.parameters.get("DBInstanceIdentifier", "*")),
        _on(call, "snapshot", call.parameters.get("DBSnapshotIdentifier", "*")),
    ]


@_for("rds", "DescribeDBInstanceAutomatedBackups")
def _describe_backups(call: CallMade) -> list[Need]:
    """As snapshots: of an instance, and a kind of resource of their own (assumption: both are asked for)."""
    return [
        _on(call, "db", call.parameters.get("DBInstanceIdentifier", "*")),
        _on(call, "auto-backup", call.parameters.get("DBInstanceAutomatedBackupsArn", "*")),
    ]


def _on(call: CallMade, kind: str, name: str) -> Need:
    return Need(f"rds:{call.operation}", _rds(call.region, kind, name))


@_for("rds", "CreateDBSnapshot")
def _create_snapshot(call: CallMade) -> list[Need]:
    name = call.parameters["DBSnapshotIdentifier"]
    own = [_on(call, "db", call.parameters["DBInstanceIdentifier"]), _on(call, "snapshot", name)]
    return own + _tagging(call, name)


def _tagging(call: CallMade, snapshot: str) -> list[Need]:
    """Tags that come with a creation need the permission to add them."""
    return (
        [Need("rds:AddTagsToResource", _rds(call.region, "snapshot", snapshot))] if call.parameters.get("Tags") else []
    )


@_for("rds", "CopyDBSnapshot")
def _copy_snapshot(call: CallMade) -> list[Need]:
    """Read there, write here, each with a grant for RDS on that region's key: RDS uses keys on behalf of its caller,
    who needs CreateGrant and DescribeKey ("AWS KMS key management", RDS user guide)."""
    source = _rds(call.region, "snapshot", call.parameters["SourceDBSnapshotIdentifier"])
    target, there = call.parameters["TargetDBSnapshotIdentifier"], source.split(":")[3]
    found = [Need("rds:CopyDBSnapshot", source), _on(call, "snapshot", target), *_tagging(call, target)]
    if there != call.region:
        found.append(Need("rds:CrossRegionCommunication", "*"))
    original = rds_backends[ACCOUNT][there].database_snapshots.get(source.split(":", 6)[6])
    keys = (there, original.kms_key_id if original else None), (call.region, call.parameters.get("KmsKeyId"))
    for region, key in keys:
        found += key_needs.through("rds", region, key, ("kms:DescribeKey", "kms:CreateGrant"))
    return found


@_for("rds", "DeleteDBSnapshot")
def _delete_snapshot(call: CallMade) -> list[Need]:
    name = call.parameters["DBSnapshotIdentifier"]
    found = rds_backends[ACCOUNT][call.region].database_snapshots.get(name)
    tags = {tag["Key"]: tag["Value"] for tag in (found.tags if found else [])}
    return [Need("rds:DeleteDBSnapshot", _rds(call.region, "snapshot", name), key_needs.tagged(tags))]


@_for("kms", "DescribeKey")
def _describe_key(call: CallMade) -> list[Need]:
    return key_needs.directly(call.region, call.parameters["KeyId"], "kms:DescribeKey")


# -- what functions write down ----------------------------------------------------------------------------------------
@_for("ssm", "GetParameter", "PutParameter")
def _parameter(call: CallMade) -> list[Need]:
    name = str(call.parameters["Name"]).lstrip("/")
    return [Need(f"ssm:{call.operation}", f"arn:aws:ssm:{call.region}:{ACCOUNT}:parameter/{name}")]


@_for("monitoring", "PutMetricData")
def _put_metrics(call: CallMade) -> list[Need]:
    """No kind of resource: the namespace is what it can be limited by."""
    return [Need("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": (call.parameters["Namespace"],)})]


# -- secrets ----------------------------------------------------------------------------------------------------------
@_for("secretsmanager", "GetSecretValue")
def _read_secret(call: CallMade) -> list[Need]:
    return secret_needs.reading(call.region, call.parameters["SecretId"])


# -- queues -----------------------------------------------------------------------------------------------------------
@_for("sqs", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes")
def _queue(call: CallMade) -> list[Need]:
    name = str(call.parameters["QueueUrl"]).rpartition("/")[2]
    return queue_needs.using(f"arn:aws:sqs:{call.region}:{ACCOUNT}:{name}", call.operation)


# -- objects ----------------------------------------------------------------------------------------------------------
@_for("s3", "GetObject", "HeadObject")
def _get_object(call: CallMade) -> list[Need]:
    bucket, key = _place(call)
    return object_needs.reading(bucket, key, version=call.query.get("versionId"))


@_for("s3", "PutObject")
def _put_object(call: CallMade) -> list[Need]:
    return object_needs.writing(*_place(call))


@_for("s3", "DeleteObject")
def _delete_object(call: CallMade) -> list[Need]:
    bucket, key = _place(call)
    action = "s3:DeleteObjectVersion" if "versionId" in call.query else "s3:DeleteObject"
    return [Need(action, f"arn:aws:s3:::{bucket}/{key}")]


@_for("s3", "ListObjectsV2", "ListObjects", "HeadBucket")
def _list_objects(call: CallMade) -> list[Need]:
    return [Need("s3:ListBucket", f"arn:aws:s3:::{_place(call)[0]}")]


@_for("s3", "ListObjectVersions")
def _list_versions(call: CallMade) -> list[Need]:
    return [Need("s3:ListBucketVersions", f"arn:aws:s3:::{_place(call)[0]}")]


def _place(call: CallMade) -> tuple[str, str]:
    bucket, _, key = call.path.lstrip("/").partition("/")
    return bucket, key
