"""Inputs whose change no refresh can report, each with the read operation that does not tell it, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple


class Silence(NamedTuple):
    """Why AWS, asked by the plugin's read, says nothing of an input."""

    operation: str  # service and operation as botocore has them
    absent: str  # AWS's names of the inputs, none of which is in the operation's answer
    reason: str


class Rule(NamedTuple):
    """One silence of one type, for the inputs (blank-separated paths) that share it."""

    token: str
    inputs: str
    silence: Silence


_INSTRUCTION: Final = "an instruction to the provider, which AWS never sees"
_CALL: Final = "an instruction that AWS follows and does not keep"
_EMULATED: Final = "told by AWS, but an emulated server listens where this machine has room; other ports are refused"
_RDS: Final = "rds.DescribeDBInstances"
_CACHE: Final = "elasticache.DescribeReplicationGroups"
_INSTANCE: Final = "aws:rds/instance:Instance"
_GROUP: Final = "aws:elasticache/replicationGroup:ReplicationGroup"

RULES: Final = (
    Rule(
        "aws:acm/certificateValidation:CertificateValidation",
        "validationRecordFqdns",
        Silence(
            "acm.DescribeCertificate", "ValidationRecordFqdns", "ACM knows the records it asks for, not those made"
        ),
    ),
    Rule("aws:ecs/service:Service", "waitForSteadyState", Silence("ecs.DescribeServices", "", _INSTRUCTION)),
    Rule(
        "aws:ecs/taskDefinition:TaskDefinition", "skipDestroy", Silence("ecs.DescribeTaskDefinition", "", _INSTRUCTION)
    ),
    Rule(
        _GROUP,
        "authToken authTokenUpdateStrategy",
        Silence(_CACHE, "AuthToken AuthTokenUpdateStrategy", "write-only: AWS tells only that there is a token"),
    ),
    Rule(
        _GROUP,
        "snapshotName snapshotArns",
        Silence(_CACHE, "SnapshotName SnapshotArns", "AWS forgets what a cache was filled from"),
    ),
    Rule(_GROUP, "applyImmediately", Silence(_CACHE, "ApplyImmediately", _CALL)),
    Rule(_GROUP, "port", Silence(_CACHE, "", _EMULATED)),
    Rule("aws:iam/role:Role", "forceDetachPolicies", Silence("iam.GetRole", "", _INSTRUCTION)),
    Rule("aws:kms/key:Key", "deletionWindowInDays", Silence("kms.DescribeKey", "PendingWindowInDays", _CALL)),
    Rule(
        "aws:lambda/function:Function",
        "code",
        Silence("lambda.GetFunction", "ZipFile", "a link to the code and its hash, which the plugin does not compare"),
    ),
    Rule(
        "aws:lambda/invocation:Invocation",
        "functionName input triggers qualifier lifecycleScope",
        Silence("lambda.GetFunction", "Payload Triggers", "a call leaves nothing that could be asked for"),
    ),
    Rule(
        _INSTANCE,
        "password",
        # PendingModifiedValues has the member, with asterisks while a change waits.
        Silence(_RDS, "", "write-only: never in an answer"),
    ),
    Rule(_INSTANCE, "port", Silence(_RDS, "", _EMULATED)),
    Rule(
        _INSTANCE,
        "snapshotIdentifier restoreToPointInTime.restoreTime restoreToPointInTime.sourceDbInstanceAutomatedBackupsArn "
        "restoreToPointInTime.sourceDbInstanceIdentifier restoreToPointInTime.sourceDbiResourceId "
        "restoreToPointInTime.useLatestRestorableTime",
        Silence(
            _RDS,
            "DBSnapshotIdentifier RestoreTime SourceDBInstanceAutomatedBackupsArn SourceDBInstanceIdentifier "
            "SourceDbiResourceId UseLatestRestorableTime",
            "AWS forgets what a database was restored from",
        ),
    ),
    Rule(
        _INSTANCE,
        "applyImmediately skipFinalSnapshot finalSnapshotIdentifier deleteAutomatedBackups",
        Silence(_RDS, "ApplyImmediately SkipFinalSnapshot FinalDBSnapshotIdentifier DeleteAutomatedBackups", _CALL),
    ),
    Rule(
        "aws:route53/record:Record",
        "allowOverwrite",
        Silence("route53.ListResourceRecordSets", "Action AllowOverwrite", _INSTRUCTION),
    ),
    Rule("aws:s3/bucket:Bucket", "forceDestroy", Silence("s3.HeadBucket", "", _INSTRUCTION)),
    Rule(
        "aws:s3/bucketObjectv2:BucketObjectv2",
        "content contentBase64 source",
        Silence("s3.HeadObject", "Body", "only a hash, which the plugin does not compare"),
    ),
    Rule(
        "aws:secretsmanager/secret:Secret",
        "forceOverwriteReplicaSecret recoveryWindowInDays",
        Silence("secretsmanager.DescribeSecret", "ForceOverwriteReplicaSecret RecoveryWindowInDays", _CALL),
    ),
)


def unreported(token: str) -> set[str]:
    """The paths of a type's inputs whose change is not reported."""
    return {path for rule in RULES if rule.token == token for path in rule.inputs.split()}


def table() -> Iterator[str]:
    """The list for people, as docs/sandbox.md has it."""
    yield "| type | inputs | asked with | why it tells nothing of them |"
    yield "| --- | --- | --- | --- |"
    for rule in RULES:
        _, module, name = rule.token.split(":")
        folder, inputs = module.split("/")[0], ", ".join(rule.inputs.split())
        operation = rule.silence.operation.partition(".")[2]
        yield f"| {folder}.{name} | {inputs} | {operation} | {rule.silence.reason} |"
