"""Whom an alarm reaches: one topic for who is on call, one for the team lead."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import pulumi
import pulumi_aws as aws

from components import naming, policies

# Nothing is kept under this key for longer than a message is under way.
DELETION_WINDOW_DAYS = 7
# Route 53 publishes its health checks' metrics there and nowhere else, and an alarm notifies topics of its own region
# only ("Monitoring health checks using CloudWatch", Route 53 developer guide).
HEALTH_CHECK_REGION: Final = "us-east-1"


class Subscription(Protocol):
    """A subscriber as configured (settings satisfy this)."""

    @property
    def protocol(self) -> str:
        """`email` or `https`."""

    @property
    def endpoint(self) -> str:
        """Address in that protocol."""


@dataclass(frozen=True, kw_only=True)
class AlertsArgs:
    """`region` is where the topics are, that of the alarms that use them; `elsewhere`: it is not the stack's own."""

    short_name: str
    tags: naming.Tags
    account_id: str
    region: str
    elsewhere: bool
    on_call: Sequence[Subscription]
    team_lead: Sequence[Subscription]


class Alerts(pulumi.ComponentResource):
    """The two topics of a region with their subscriptions, and the key that encrypts them.

    The key is not the data key: that one's loss is among what has to be told. A subscription stays pending until its
    subscriber has confirmed it; nothing here can do that for them. Nothing depends on whether the stack serves.
    """

    on_call: pulumi.Output[str]
    team_lead: pulumi.Output[str]

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:monitoring:Alerts", name, {}, opts)
        self._name = name
        self._args = args
        self._region = args.region if args.elsewhere else None
        self._child = pulumi.ResourceOptions(parent=self)
        key = self._key()
        self.on_call = self._topic("on-call", key, args.on_call)
        self.team_lead = self._topic("team-lead", key, args.team_lead)
        self.register_outputs({"on_call": self.on_call, "team_lead": self.team_lead})

    def _key(self) -> pulumi.Output[str]:
        key = aws.kms.Key(
            self._name,
            region=self._region,
            description=f"Alerts of {naming.PLATFORM} in {self._args.region}",
            enable_key_rotation=True,
            deletion_window_in_days=DELETION_WINDOW_DAYS,
            policy=key_policy(self._args.account_id, self._args.region),
            tags=dict(self._args.tags),
            opts=self._child,
        )
        aws.kms.Alias(
            self._name,
            region=self._region,
            name=naming.alerts_key_alias(self._args.short_name),
            target_key_id=key.key_id,
            opts=self._child,
        )
        return key.arn

    def _topic(
        self, audience: str, key: pulumi.Output[str], subscriptions: Sequence[Subscription]
    ) -> pulumi.Output[str]:
        args = self._args
        name = naming.physical(args.short_name, audience, "topic")
        topic = aws.sns.Topic(
            f"{self._name}-{audience}",
            region=self._region,
            name=name,
            kms_master_key_id=key,
            policy=topic_policy(args.account_id, args.region, f"arn:aws:sns:{args.region}:{args.account_id}:{name}"),
            tags=dict(args.tags),
            opts=self._child,
        )
        for subscription in subscriptions:
            # By its address, not by its place: a new first subscriber must not make the others confirm again.
            mark = hashlib.sha256(subscription.endpoint.encode()).hexdigest()[:8]
            aws.sns.TopicSubscription(
                f"{self._name}-{audience}-{mark}",
                region=self._region,
                topic=topic.arn,
                protocol=subscription.protocol,
                endpoint=subscription.endpoint,
                opts=self._child,
            )
        return topic.arn


def key_policy(account_id: str, region: str) -> str:
    """Delegates to IAM, and lets CloudWatch encrypt what this account's alarms publish.

    Without the second statement an alarm changes its state and nobody is told. Source: "Configure AWS KMS permissions"
    and "Enable compatibility between event sources from AWS services and encrypted topics" (SNS developer guide).
    """
    return policies.document(
        policies.delegate_to_iam(account_id),
        {
            "Sid": "PublishAlarms",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
            "Condition": _own_alarms(account_id, region),
        },
    )


def topic_policy(account_id: str, region: str, topic_arn: str) -> str:
    """CloudWatch publishes for this account's alarms; the account's people and roles have what IAM gives them."""
    return policies.document(
        {
            "Sid": "PublishAlarms",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic_arn,
            "Condition": _own_alarms(account_id, region),
        },
        policies.deny_without_tls("sns:Publish", [topic_arn]),
    )


def _own_alarms(account_id: str, region: str) -> dict[str, dict[str, str]]:
    """Only on behalf of this account's alarms (the confused deputy problem)."""
    return {
        "StringEquals": {"aws:SourceAccount": account_id},
        "ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{region}:{account_id}:alarm:*"},
    }
