"""What every bucket of a region has: versions, encryption, one owner, no public lists, TLS, an end for old versions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import naming, policies

# What was overwritten or deleted can be brought back for this long.
NONCURRENT_DAYS = 30
ABANDONED_UPLOAD_DAYS = 7


def _nothing(_arn: str) -> Sequence[Mapping[str, Any]]:
    return ()


@dataclass(frozen=True, kw_only=True)
class BucketArgs:
    """One bucket. `noun` names it; `key_arn` encrypts it, None means SSE-S3.

    `allowed`: what its policy allows, made from its ARN. `policy_may_open`: to everybody, even. `expire_days`: current
    versions end, too. `protect`: people's data, which dropping the line from the program must not drop.
    """

    short_name: str
    tags: naming.Tags
    noun: str
    key_arn: pulumi.Input[str] | None
    allowed: Callable[[str], Sequence[Mapping[str, Any]]] = _nothing
    policy_may_open: bool = False
    expire_days: int | None = None
    protect: bool = False


class Bucket(pulumi.ComponentResource):
    """A bucket with its whole configuration, which is written in us-east-1 on its way to the region.

    So none of it may depend on whether the stack stands by. `policy` is what a writer has to wait for.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    host: pulumi.Output[str]

    def __init__(self, name: str, args: BucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:storage:Bucket", name, {}, opts)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        self._bucket = aws.s3.Bucket(
            name,
            bucket=naming.physical(args.short_name, args.noun),
            tags=dict(args.tags),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.name = self._bucket.bucket
        self.arn = self._bucket.arn
        self.host = self._bucket.bucket_regional_domain_name
        self.versioning = aws.s3.BucketVersioning(
            name,
            bucket=self.name,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=self._child,
        )
        self._encrypt(args.key_arn)
        # No access lists: the bucket owns whatever anybody writes into it.
        aws.s3.BucketOwnershipControls(
            name,
            bucket=self.name,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=self._child,
        )
        block = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=self.name,
            block_public_acls=True,
            ignore_public_acls=True,
            block_public_policy=not args.policy_may_open,
            restrict_public_buckets=not args.policy_may_open,
            opts=self._child,
        )
        self.policy = aws.s3.BucketPolicy(
            name,
            bucket=self.name,
            policy=self.arn.apply(lambda arn: policies.document(*args.allowed(arn), policies.tls_only(arn))),
            # Both write the bucket's access configuration: at the same time S3 refuses one as a conflicting operation,
            # and while the block still rejects public policies it answers a public one with AccessDenied.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )
        self._lifecycle(args.expire_days)
        self.register_outputs({"name": self.name, "arn": self.arn, "host": self.host})

    def _encrypt(self, key_arn: pulumi.Input[str] | None) -> None:
        default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="AES256" if key_arn is None else "aws:kms", kms_master_key_id=key_arn
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            self._name,
            bucket=self.name,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=default,
                    # One data key for the bucket instead of one KMS call per object.
                    bucket_key_enabled=key_arn is not None,
                )
            ],
            opts=self._child,
        )

    def _lifecycle(self, expire_days: int | None) -> None:
        rule = aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="keep-old-versions",
            status="Enabled",
            filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
            expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=expire_days) if expire_days else None,
            noncurrent_version_expiration=(
                aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(noncurrent_days=NONCURRENT_DAYS)
            ),
            abort_incomplete_multipart_upload=(
                aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                    days_after_initiation=ABANDONED_UPLOAD_DAYS
                )
            ),
        )
        aws.s3.BucketLifecycleConfiguration(
            self._name,
            bucket=self.name,
            rules=[rule],
            # Rules about old versions mean nothing until the bucket keeps versions.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.versioning]),
        )
