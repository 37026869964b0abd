"""The bucket that an exported RDB file is put into, for a new cache to begin with.

ElastiCache reads a file of the own region only, so the bucket belongs to the stack that will load it.
"""

import pulumi
import pulumi_aws as aws

from components import naming, policies

# What is in a cache is about people: a file is gone when the promotion that it was meant for is over.
KEPT_DAYS = 30


class CacheImports(pulumi.ComponentResource):
    """A private bucket that ElastiCache of the region may read. Nothing in it depends on the stack's state."""

    bucket_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        short_name: str,
        tags: naming.Tags,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:cache:CacheImports", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            name, bucket=naming.physical(short_name, "cache-imports", "bucket"), tags=dict(tags), opts=child
        )
        default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            # SSE-S3: ElastiCache's service principal has no permission on our key.
            sse_algorithm="AES256"
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=default, bucket_key_enabled=False
                )
            ],
            opts=child,
        )
        block = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            ignore_public_acls=True,
            block_public_policy=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=bucket.arn.apply(
                lambda arn: policies.document(elasticache_reads(arn, region), policies.tls_only(arn))
            ),
            # Both write the bucket's access configuration; at the same time S3 refuses one as a conflicting operation.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="forget",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=KEPT_DAYS),
                )
            ],
            opts=child,
        )
        self.bucket_arn = bucket.arn
        self.register_outputs({"bucket_arn": self.bucket_arn})


def elasticache_reads(bucket_arn: str, region: str) -> dict[str, object]:
    """What loading an RDB file takes ("Seeding a new node-based cluster", ElastiCache user guide, opt-in regions)."""
    return {
        "Sid": "LoadIntoCache",
        "Effect": "Allow",
        "Principal": {"Service": f"{region}.elasticache-snapshot.amazonaws.com"},
        "Action": ["s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl"],
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
    }
