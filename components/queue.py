"""The sync queue: what phones hand over now and the sync service works off later, with a place for what it cannot."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming, policies

# The longest that SQS offers. A message keeps the time it was sent when it is moved, so both queues have the same.
RETENTION_SECONDS = 14 * 24 * 60 * 60
# How long a receiver has before others see the message again.
VISIBILITY_SECONDS = 300
# Deliveries after which a message counts as one that cannot be processed.
MOST_DELIVERIES = 5
LONG_POLL_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class SyncQueueArgs:
    """`key_arn` encrypts the messages."""

    short_name: str
    tags: naming.Tags
    account_id: str
    region: str
    key_arn: pulumi.Input[str]


class SyncQueue(pulumi.ComponentResource):
    """The queue and its dead letters, in both stacks and always there: a promotion changes nothing here.

    A queue lives in its region. What is in the lost region's queue comes back with that region, or not at all.
    """

    url: pulumi.Output[str]
    arn: pulumi.Output[str]
    queue_name: pulumi.Output[str]
    dead_letter_name: pulumi.Output[str]

    def __init__(self, name: str, args: SyncQueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:queue:SyncQueue", name, {}, opts)
        self._args = args
        main, dead = (naming.physical(args.short_name, noun, "queue") for noun in ("sync", "sync-dead-letters"))
        letters = self._queue(
            f"{name}-dead-letters",
            dead,
            # Only the sync queue may put its failures here: another one's would be read as ours.
            redrive_allow_policy=json.dumps(
                {"redrivePermission": "byQueue", "sourceQueueArns": [queue_arn(args.region, args.account_id, main)]}
            ),
        )
        queue = self._queue(
            name,
            main,
            redrive_policy=letters.arn.apply(
                lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": MOST_DELIVERIES})
            ),
            receive_wait_time_seconds=LONG_POLL_SECONDS,
        )
        self.url = queue.url
        self.arn = queue.arn
        self.queue_name = queue.name
        self.dead_letter_name = letters.name
        self.register_outputs({"url": self.url, "arn": self.arn})

    def _queue(
        self,
        name: str,
        physical: str,
        redrive_policy: pulumi.Input[str] | None = None,
        redrive_allow_policy: str | None = None,
        receive_wait_time_seconds: int | None = None,
    ) -> aws.sqs.Queue:
        return aws.sqs.Queue(
            name,
            name=physical,
            message_retention_seconds=RETENTION_SECONDS,
            visibility_timeout_seconds=VISIBILITY_SECONDS,
            receive_wait_time_seconds=receive_wait_time_seconds,
            kms_master_key_id=self._args.key_arn,
            policy=policies.document(
                policies.deny_without_tls("sqs:*", [queue_arn(self._args.region, self._args.account_id, physical)])
            ),
            redrive_policy=redrive_policy,
            redrive_allow_policy=redrive_allow_policy,
            tags=dict(self._args.tags),
            # A queue that is deleted takes along what people's phones have already forgotten.
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )


def queue_arn(region: str, account_id: str, name: str) -> str:
    """A queue's ARN, which policies need before the queue exists."""
    return f"arn:aws:sqs:{region}:{account_id}:{name}"
