"""One region's buckets: the private audio recordings and the one public bucket, the crisis page's."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming, policies
from components.replication import ReplicaArgs, Replication, ReplicationArgs

PAGE_KEY = "index.html"
MARKER_KEY = "taken-over"
# A recording that was overwritten or deleted can be brought back for this long.
NONCURRENT_DAYS = 30
ABANDONED_UPLOAD_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class StorageArgs:
    """What the buckets need. `replica`: the peer's audio bucket and key, only where this stack protects itself."""

    short_name: str
    tags: naming.Tags
    region: str
    key_arn: pulumi.Input[str]
    crisis_page_html: str
    replica: ReplicaArgs | None


class Storage(pulumi.ComponentResource):
    """Audio bucket (private, versioned, encrypted with the region's key) and page bucket (public by policy).

    Bucket configuration is written in us-east-1 on its way to the region: none of it depends on the stack's state.
    """

    audio_bucket_name: pulumi.Output[str]
    audio_bucket_arn: pulumi.Output[str]
    page_bucket_name: pulumi.Output[str]
    page_bucket_host: pulumi.Output[str]

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:storage:Storage", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        audio = self._audio(f"{name}-audio")
        self.audio_bucket_name = audio.bucket
        self.audio_bucket_arn = audio.arn
        page = self._page(f"{name}-page")
        self.page_bucket_name = page.bucket
        self.page_bucket_host = page.bucket_regional_domain_name
        self.register_outputs(
            {
                "audio_bucket_name": self.audio_bucket_name,
                "audio_bucket_arn": self.audio_bucket_arn,
                "page_bucket_name": self.page_bucket_name,
                "page_bucket_host": self.page_bucket_host,
            }
        )

    def _audio(self, name: str) -> aws.s3.Bucket:
        bucket = aws.s3.Bucket(
            name,
            bucket=naming.physical(self._args.short_name, "audio-storage"),
            tags=dict(self._args.tags),
            # People's recordings: dropping the line from the program must not drop the bucket.
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        versioning = self._versioning(name, bucket)
        self._encrypt(name, bucket, key_arn=self._args.key_arn)
        self._ownership(name, bucket)
        block = self._block_public_access(name, bucket, policy_may_open=False)
        aws.s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=bucket.arn.apply(lambda arn: policies.document(policies.tls_only(arn))),
            # Both write the bucket's access configuration; at the same time S3 refuses one as a conflicting operation.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )
        self._lifecycle(name, bucket, versioning)
        if self._args.replica is not None:
            Replication(
                f"{name}-replication",
                ReplicationArgs(
                    short_name=self._args.short_name,
                    tags=self._args.tags,
                    region=self._args.region,
                    bucket_name=bucket.bucket,
                    bucket_arn=bucket.arn,
                    key_arn=self._args.key_arn,
                    versioning=versioning,
                    replica=self._args.replica,
                ),
                self._child,
            )
        return bucket

    def _page(self, name: str) -> aws.s3.Bucket:
        bucket = aws.s3.Bucket(
            name,
            bucket=naming.physical(self._args.short_name, "page"),
            tags=dict(self._args.tags),
            opts=self._child,
        )
        versioning = self._versioning(name, bucket)
        # SSE-S3: an anonymous reader has no permission to decrypt with a customer key.
        self._encrypt(name, bucket, key_arn=None)
        self._ownership(name, bucket)
        block = self._block_public_access(name, bucket, policy_may_open=True)
        policy = aws.s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=bucket.arn.apply(
                lambda arn: policies.document(policies.public_read(arn, [PAGE_KEY, MARKER_KEY]), policies.tls_only(arn))
            ),
            # While the block still rejects public policies, S3 answers this one with AccessDenied.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )
        self._lifecycle(name, bucket, versioning)
        aws.s3.BucketObjectv2(
            f"{name}-index",
            bucket=bucket.bucket,
            key=PAGE_KEY,
            content=self._args.crisis_page_html,
            content_type="text/html; charset=utf-8",
            cache_control="max-age=60",
            # Versioning first: an object written before it has no version to come back to.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy, versioning]),
        )
        return bucket

    def _versioning(self, name: str, bucket: aws.s3.Bucket) -> aws.s3.BucketVersioning:
        return aws.s3.BucketVersioning(
            name,
            bucket=bucket.bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=self._child,
        )

    def _encrypt(self, name: str, bucket: aws.s3.Bucket, key_arn: pulumi.Input[str] | None) -> None:
        default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="AES256" if key_arn is None else "aws:kms", kms_master_key_id=key_arn
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=default,
                    # One data key for the bucket instead of one KMS call per recording.
                    bucket_key_enabled=key_arn is not None,
                )
            ],
            opts=self._child,
        )

    def _ownership(self, name: str, bucket: aws.s3.Bucket) -> None:
        aws.s3.BucketOwnershipControls(
            name,
            bucket=bucket.bucket,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=self._child,
        )

    def _block_public_access(
        self, name: str, bucket: aws.s3.Bucket, policy_may_open: bool
    ) -> aws.s3.BucketPublicAccessBlock:
        """Access lists never open a bucket; a policy only where `policy_may_open` says so."""
        return aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            ignore_public_acls=True,
            block_public_policy=not policy_may_open,
            restrict_public_buckets=not policy_may_open,
            opts=self._child,
        )

    def _lifecycle(self, name: str, bucket: aws.s3.Bucket, versioning: aws.s3.BucketVersioning) -> None:
        rule = aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="keep-old-versions",
            status="Enabled",
            filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
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
            name,
            bucket=bucket.bucket,
            rules=[rule],
            # Rules about old versions mean nothing until the bucket keeps versions.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
