"""One region's buckets: recordings, what AWS writes down about them, and the one public bucket, the crisis page's."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import access_logs, naming, policies
from components.buckets import Bucket, BucketArgs
from components.replication import ReplicaArgs, Replication, ReplicationArgs
from components.witness import MARKER_KEY

PAGE_KEY = "index.html"
# What a list of versions says of each, enough to choose by time and to restore in bulk.
INVENTORY_FIELDS = ("Size", "LastModifiedDate", "ETag", "IsMultipartUploaded", "ReplicationStatus", "EncryptionStatus")


@dataclass(frozen=True, kw_only=True)
class StorageArgs:
    """What the buckets need. `replica`: the peer's audio bucket and key, only where this stack protects itself."""

    short_name: str
    tags: naming.Tags
    account_id: str
    region: str
    key_arn: pulumi.Input[str]
    crisis_page_html: str
    replica: ReplicaArgs | None


class Storage(pulumi.ComponentResource):
    """Audio bucket (encrypted with the region's key), access-log bucket, page bucket (public by policy).

    `access_log_bucket_name` is known once the services that write logs are admitted.
    """

    audio_bucket_name: pulumi.Output[str]
    audio_bucket_arn: pulumi.Output[str]
    access_log_bucket_name: pulumi.Output[str]
    page_bucket_name: pulumi.Output[str]
    page_bucket_host: pulumi.Output[str]

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:storage:Storage", name, {}, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        audio = self._audio()
        self.audio_bucket_name = audio.name
        self.audio_bucket_arn = audio.arn
        self.access_log_bucket_name = self._access_logs(audio)
        page = self._page()
        self.page_bucket_name = page.name
        self.page_bucket_host = page.host
        self.register_outputs(
            {
                "audio_bucket_name": self.audio_bucket_name,
                "audio_bucket_arn": self.audio_bucket_arn,
                "access_log_bucket_name": self.access_log_bucket_name,
                "page_bucket_name": self.page_bucket_name,
                "page_bucket_host": self.page_bucket_host,
            }
        )

    def _audio(self) -> Bucket:
        name = f"{self._name}-audio"
        bucket = Bucket(
            name,
            BucketArgs(
                short_name=self._args.short_name,
                tags=self._args.tags,
                noun="audio-storage",
                key_arn=self._args.key_arn,
                protect=True,
            ),
            self._child,
        )
        if self._args.replica is not None:
            Replication(
                f"{name}-replication",
                ReplicationArgs(
                    short_name=self._args.short_name,
                    tags=self._args.tags,
                    region=self._args.region,
                    bucket_name=bucket.name,
                    bucket_arn=bucket.arn,
                    key_arn=self._args.key_arn,
                    versioning=bucket.versioning,
                    replica=self._args.replica,
                ),
                self._child,
            )
        return bucket

    def _access_logs(self, audio: Bucket) -> pulumi.Output[str]:
        name = f"{self._name}-access-logs"
        # The recordings' bucket by its name: its ARN is an output, and nothing here waits for it.
        audio_arn = f"arn:aws:s3:::{naming.physical(self._args.short_name, 'audio-storage')}"
        bucket = Bucket(
            name,
            BucketArgs(
                short_name=self._args.short_name,
                tags=self._args.tags,
                noun="access-logs",
                # SSE-S3: load balancers and S3's own log delivery write with no other encryption.
                key_arn=None,
                allowed=lambda arn: access_logs.writers(arn, self._args.account_id, audio_arn),
                expire_days=access_logs.LOG_DAYS,
            ),
            self._child,
        )
        admitted = pulumi.ResourceOptions(
            parent=self,
            # S3 refuses a log's destination that does not admit it yet, and would lose the first inventory silently.
            depends_on=[bucket.policy],
        )
        aws.s3.BucketLogging(
            name,
            bucket=audio.name,
            target_bucket=bucket.name,
            target_prefix=access_logs.AUDIO_PREFIX,
            opts=admitted,
        )
        # Every version, old ones too: the manifest from which S3 Batch Operations can bring millions of them back.
        destination = aws.s3.InventoryDestinationBucketArgs(
            bucket_arn=bucket.arn,
            account_id=self._args.account_id,
            format="CSV",  # the only one that Batch Operations reads
            prefix=access_logs.INVENTORY_PREFIX,
        )
        aws.s3.Inventory(
            name,
            bucket=audio.name,
            name="every-version",
            included_object_versions="All",
            schedule=aws.s3.InventoryScheduleArgs(frequency="Daily"),
            optional_fields=list(INVENTORY_FIELDS),
            destination=aws.s3.InventoryDestinationArgs(bucket=destination),
            opts=admitted,
        )
        return pulumi.Output.all(bucket.name, bucket.policy.id).apply(lambda known: str(known[0]))

    def _page(self) -> Bucket:
        name = f"{self._name}-page"
        bucket = Bucket(
            name,
            BucketArgs(
                short_name=self._args.short_name,
                tags=self._args.tags,
                noun="page",
                # SSE-S3: an anonymous reader has no permission to decrypt with a customer key.
                key_arn=None,
                allowed=lambda arn: [policies.public_read(arn, [PAGE_KEY, MARKER_KEY])],
                policy_may_open=True,
            ),
            self._child,
        )
        aws.s3.BucketObjectv2(
            f"{name}-index",
            bucket=bucket.name,
            key=PAGE_KEY,
            content=self._args.crisis_page_html,
            content_type="text/html; charset=utf-8",
            cache_control="max-age=60",
            # Versioning first: an object written before it has no version to come back to.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[bucket.policy, bucket.versioning]),
        )
        return bucket
