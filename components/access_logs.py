"""Where AWS's services write down who asked for what, and which recordings exist: one bucket, and who is admitted."""

from typing import Any, Final

LOAD_BALANCER_PREFIX: Final = "load-balancer"
AUDIO_PREFIX: Final = "audio/"
INVENTORY_PREFIX: Final = "inventory"
# Long enough to find out how an intruder came in, and the manifest of old versions of recordings, kept 30 days.
LOG_DAYS: Final = 90


def writers(bucket_arn: str, account_id: str, audio_bucket_arn: str) -> list[dict[str, Any]]:
    """What the services may write, each under a prefix of its own and only on behalf of this account.

    Sources: "Enable access logs for your Application Load Balancer" (the service principal works in every region, also
    where an account number used to be needed), "Enabling Amazon S3 server access logging" and "Grant permissions for S3
    Inventory" in the S3 user guide.
    """
    source = {"ArnLike": {"aws:SourceArn": audio_bucket_arn}, "StringEquals": {"aws:SourceAccount": account_id}}
    inventory = {**source, "StringEquals": {**source["StringEquals"], "s3:x-amz-acl": "bucket-owner-full-control"}}
    logs = f"{bucket_arn}/{LOAD_BALANCER_PREFIX}/AWSLogs/{account_id}/*"
    return [
        _writes("LoadBalancerLogs", "logdelivery.elasticloadbalancing.amazonaws.com", logs),
        _writes("AudioAccessLogs", "logging.s3.amazonaws.com", f"{bucket_arn}/{AUDIO_PREFIX}*", source),
        _writes("AudioInventory", "s3.amazonaws.com", f"{bucket_arn}/{INVENTORY_PREFIX}/*", inventory),
    ]


def _writes(sid: str, service: str, resource: str, conditions: dict[str, Any] | None = None) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "s3:PutObject",
        "Resource": resource,
    }
    return {**statement, "Condition": conditions} if conditions else statement
