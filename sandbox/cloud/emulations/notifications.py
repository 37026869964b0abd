"""SNS: who really gets a message. E-mail, SMS and HTTP leave the sandbox as events and at GET notifications.

A subscription by e-mail or HTTP is pending until the addressee confirms it (POST confirm {endpoint}); SMS needs no
confirmation, a queue of the own account neither ("Confirming the subscription", SNS developer guide).
"""

from __future__ import annotations

import threading
from typing import Any

from moto.core.responses import ActionResult
from moto.sns.exceptions import SNSInvalidParameter
from moto.sns.models import SNSBackend, Subscription, Topic, sns_backends
from moto.sns.responses import SNSResponse

from sandbox.cloud.context import ACCOUNT, BadRequest, Cloud
from sandbox.cloud.emulations.patching import replace

CONFIRMED_BY_ADDRESSEE = ("email", "email-json", "http", "https")
LEAVING = (*CONFIRMED_BY_ADDRESSEE, "sms")  # what moto would send out of the sandbox, or drop
MODELLED = (*LEAVING, "sqs")
PENDING = "PendingConfirmation"


class Notifications:
    """What was delivered so far."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._delivered: list[dict[str, Any]] = []

    def deliver(self, subscription: Subscription, message: str, subject: str | None) -> None:
        """A confirmed subscription's addressee gets a message."""
        told = {
            "region": subscription.topic_arn.split(":")[3],
            "topic": subscription.topic_arn,
            "subscription": subscription.arn,
            "protocol": subscription.protocol,
            "endpoint": subscription.endpoint,
            "subject": subject,
            "message": message,
        }
        with self._lock:
            self._delivered.append({"modelled": self._cloud.clock.now().isoformat(), **told})
        self._cloud.emit("notification", **told)

    def listed(self) -> list[dict[str, Any]]:
        """All of them, the oldest first."""
        with self._lock:
            return list(self._delivered)

    def confirm(self, data: dict[str, Any]) -> list[str]:
        """The control call: the addressee follows the link in each mail; the ARNs that are confirmed now."""
        found = [
            subscription
            for backend in list(sns_backends[ACCOUNT].values())
            for subscription in list(backend.subscriptions.values())
            if is_pending(subscription) and data.get("endpoint") in (None, subscription.endpoint)
        ]
        if not found:
            raise BadRequest(f"no subscription of {data.get('endpoint') or 'anybody'} waits for a confirmation")
        for subscription in found:
            subscription.attributes[PENDING] = False
        return [subscription.arn for subscription in found]


def is_pending(subscription: Subscription) -> bool:
    """Whether its addressee has not confirmed it yet."""
    return bool(subscription.attributes[PENDING])


def install(cloud: Cloud) -> None:
    """Capture what is delivered."""
    notifications = Notifications(cloud)
    cloud.route("GET", "notifications", lambda _: notifications.listed())
    cloud.route("POST", "confirm", notifications.confirm)
    _patch_delivery(notifications)
    _patch_subscribing()
    _patch_showing()


def _patch_delivery(notifications: Notifications) -> None:
    publish = Subscription.publish

    def deliver(self: Subscription, message: str, message_id: str, subject: str | None = None, **rest: Any) -> None:
        if is_pending(self):
            return
        if self.protocol not in LEAVING:
            publish(self, message, message_id, subject=subject, **rest)
            return
        matcher = self._filter_policy_matcher
        if matcher is None or matcher.matches(rest.get("message_attributes"), message):
            notifications.deliver(self, message, subject)

    replace(Subscription, publish=deliver)


def _patch_subscribing() -> None:
    subscribe, unsubscribe = SNSBackend.subscribe, SNSBackend.unsubscribe

    def subscribe_some(self: SNSBackend, topic_arn: str, endpoint: str, protocol: str) -> Subscription:
        if protocol not in MODELLED:
            raise NotImplementedError(f"the sandbox's topics have no subscriptions by {protocol}")
        known = self._find_subscription(topic_arn, endpoint, protocol)
        subscription = known or subscribe(self, topic_arn, endpoint, protocol)
        if known is None and protocol in CONFIRMED_BY_ADDRESSEE:
            subscription.attributes |= {PENDING: True, "ConfirmationWasAuthenticated": False}
        return subscription

    def unsubscribe_confirmed(self: SNSBackend, subscription_arn: str) -> None:
        found = self.subscriptions.get(subscription_arn)
        if found is not None and is_pending(found):
            raise SNSInvalidParameter(
                "Invalid parameter: SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending "
                "confirmation"
            )
        unsubscribe(self, subscription_arn)

    replace(SNSBackend, subscribe=subscribe_some, unsubscribe=unsubscribe_confirmed)


def _patch_showing() -> None:
    subscribe, attributes = SNSResponse.subscribe, SNSResponse.get_topic_attributes
    listed, by_topic = SNSResponse.list_subscriptions, SNSResponse.list_subscriptions_by_topic

    def answer_subscribe(self: SNSResponse) -> ActionResult:
        answer: Any = subscribe(self)
        found = self.backend.subscriptions[answer.result["SubscriptionArn"]]
        shown = found.arn if self._get_bool_param("ReturnSubscriptionArn") else "pending confirmation"
        return ActionResult({"SubscriptionArn": shown if is_pending(found) else found.arn})

    def topic_attributes(self: SNSResponse) -> ActionResult:
        """moto always says that there are no subscriptions."""
        topic = self.backend.get_topic(self._get_param("TopicArn"))
        pending = [is_pending(found) for found in self.backend._get_topic_subscriptions(topic)]
        topic.subscriptions_pending, topic.subscriptions_confimed = sum(pending), pending.count(False)
        return attributes(self)

    replace(
        SNSResponse,
        subscribe=answer_subscribe,
        get_topic_attributes=topic_attributes,
        list_subscriptions=lambda self: _hidden(listed(self)),
        list_subscriptions_by_topic=lambda self: _hidden(by_topic(self)),
    )


def _hidden(answer: Any) -> ActionResult:
    """Lists say PendingConfirmation in the place of a pending subscription's ARN."""
    shown: list[Subscription] = answer.result["Subscriptions"]
    entries = [
        {
            "SubscriptionArn": PENDING if is_pending(found) else found.arn,
            "Owner": found.owner,
            "Protocol": found.protocol,
            "Endpoint": found.endpoint,
            "TopicArn": found.topic_arn,
        }
        for found in shown
    ]
    return ActionResult({**answer.result, "Subscriptions": entries})


def topic(arn: str) -> Topic | None:
    """The topic with this ARN, in its own region."""
    return sns_backends[ACCOUNT][arn.split(":")[3]].topics.get(arn)
