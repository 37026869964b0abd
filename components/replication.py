"""Copying the audio bucket into the peer region: rule and role."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming, policies

# The only value S3 accepts for both replication time and its event threshold.
REPLICATION_MINUTES = 15
# The one rule's id, by which its metrics are found.
RULE = "everything"


@dataclass(frozen=True, kw_only=True)
class ReplicaArgs:
    """The peer's side, from the peer's outputs."""

    region: str
    bucket_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class ReplicationArgs:
    """Source bucket with its key, and where the copies go."""

    short_name: str
    tags: naming.Tags
    region: str
    bucket_name: pulumi.Input[str]
    bucket_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    versioning: aws.s3.BucketVersioning
    replica: ReplicaArgs


class Replication(pulumi.ComponentResource):
    """Replication of every object, with a promised time, metrics and delete markers.

    Delete markers are copied because an erased recording must not reappear after a failover; deletions of single
    versions are never copied, so what was erased by mistake is still there.
    """

    role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: ReplicationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:storage:Replication", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=naming.physical(args.short_name, "audio-replication", "role"),
            # No condition: S3 documents none that it meets for replication, and one that it does not meet would stop
            # the copying without an error. The role can write to the peer's bucket and nowhere else.
            assume_role_policy=policies.trust("s3.amazonaws.com"),
            tags=dict(args.tags),
            opts=child,
        )
        permissions = aws.iam.RolePolicy(
            name,
            name="replicate-audio",
            role=role.name,
            policy=pulumi.Output.all(
                source=args.bucket_arn,
                source_key=args.key_arn,
                target=args.replica.bucket_arn,
                target_key=args.replica.key_arn,
            ).apply(lambda arns: replication_policy(arns, args.region, args.replica.region)),
            opts=child,
        )
        aws.s3.BucketReplicationConfig(
            name,
            bucket=args.bucket_name,
            role=role.arn,
            rules=[_rule(args.replica)],
            # Versioning: S3 refuses replication without it. Permissions: objects written before the role may copy
            # them are marked FAILED and would have to be found and copied again by hand.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.versioning, permissions]),
        )
        self.role_arn = role.arn
        self.register_outputs({"role_arn": self.role_arn})


def replication_policy(arns: Mapping[str, str], region: str, peer_region: str) -> str:
    """What S3 may do to copy: read versions here, write replicas there, each with its own key.

    `arns` has source, source_key, target, target_key. Source: "Setting up permissions for live replication" and
    "Replicating encrypted objects" in the S3 user guide. With a bucket key the encryption context is the bucket.
    """
    return policies.document(
        policies.allow("ReadRules", ["s3:GetReplicationConfiguration", "s3:ListBucket"], [arns["source"]]),
        policies.allow(
            "ReadVersions",
            [
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
            ],
            [f"{arns['source']}/*"],
        ),
        policies.allow(
            "WriteReplicas",
            ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"],
            [f"{arns['target']}/*"],
        ),
        policies.allow(
            "DecryptHere",
            ["kms:Decrypt"],
            [arns["source_key"]],
            _key_condition(region, arns["source"]),
        ),
        policies.allow(
            "EncryptThere",
            ["kms:Encrypt", "kms:GenerateDataKey"],
            [arns["target_key"]],
            _key_condition(peer_region, arns["target"]),
        ),
    )


def _key_condition(region: str, bucket_arn: str) -> dict[str, dict[str, str | list[str]]]:
    return {
        "StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"},
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": [bucket_arn, f"{bucket_arn}/*"]},
    }


def _rule(replica: ReplicaArgs) -> aws.s3.BucketReplicationConfigRuleArgs:
    destination = aws.s3.BucketReplicationConfigRuleDestinationArgs(
        bucket=replica.bucket_arn,
        storage_class="STANDARD",
        encryption_configuration=aws.s3.BucketReplicationConfigRuleDestinationEncryptionConfigurationArgs(
            replica_kms_key_id=replica.key_arn
        ),
        replication_time=aws.s3.BucketReplicationConfigRuleDestinationReplicationTimeArgs(
            status="Enabled",
            time=aws.s3.BucketReplicationConfigRuleDestinationReplicationTimeTimeArgs(minutes=REPLICATION_MINUTES),
        ),
        metrics=aws.s3.BucketReplicationConfigRuleDestinationMetricsArgs(
            status="Enabled",
            event_threshold=aws.s3.BucketReplicationConfigRuleDestinationMetricsEventThresholdArgs(
                minutes=REPLICATION_MINUTES
            ),
        ),
    )
    return aws.s3.BucketReplicationConfigRuleArgs(
        id=RULE,
        priority=1,
        status="Enabled",
        filter=aws.s3.BucketReplicationConfigRuleFilterArgs(prefix=""),
        delete_marker_replication=aws.s3.BucketReplicationConfigRuleDeleteMarkerReplicationArgs(status="Enabled"),
        # Objects under a customer key are skipped silently unless the rule asks for them.
        source_selection_criteria=aws.s3.BucketReplicationConfigRuleSourceSelectionCriteriaArgs(
            sse_kms_encrypted_objects=(
                aws.s3.BucketReplicationConfigRuleSourceSelectionCriteriaSseKmsEncryptedObjectsArgs(status="Enabled")
            )
        ),
        destination=destination,
    )
