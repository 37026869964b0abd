"""Topics that alarms reach: encrypted with a key that admits CloudWatch, in the alarms' region, untouched by a flip."""

import json
from typing import Any

import pytest

from components.alerts import key_policy, topic_policy
from tests.components.examples import SOUTH_AFRICA, refused
from tests.components.program import Program
from tests.components.recording import ACCOUNT, Recording

KEY = "aws:kms/key:Key"
TOPIC = "aws:sns/topic:Topic"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
PLACES = {"alerts": "af-south-1", "health-check-alerts": "us-east-1"}
STANDBY, SERVING = Program(SOUTH_AFRICA, standby=True), Program(SOUTH_AFRICA, standby=False)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return STANDBY.recorded()


def publishing(policy: str) -> dict[str, Any]:
    (found,) = [item for item in json.loads(policy)["Statement"] if item["Sid"] == "PublishAlarms"]
    return dict(found)


@pytest.mark.parametrize(("name", "region"), PLACES.items())
def test_topics_stand_where_their_alarms_are_and_are_encrypted_there(
    recording: Recording, name: str, region: str
) -> None:
    key = recording.one(KEY, name)
    placed = None if name == "alerts" else region
    assert key.inputs.get("region") == placed
    assert recording.one("aws:kms/alias:Alias", name).inputs["name"] == "alias/mental-health-platform-sa-alerts"
    for audience in ("on-call", "team-lead"):
        topic = recording.one(TOPIC, f"{name}-{audience}").inputs
        assert topic.get("region") == placed
        assert topic["name"] == f"mental-health-platform-sa-{audience}"
        assert topic["kmsMasterKeyId"] == f"arn:aws:{name}"
        subscribed = [item for item in recording.of(SUBSCRIPTION) if item.name.startswith(f"{name}-{audience}-")]
        assert [item.inputs["endpoint"] for item in subscribed] == [f"{audience}@example.org"]
        assert {item.inputs.get("region") for item in subscribed} == {placed}


def test_cloudwatch_may_use_the_key_for_this_accounts_alarms_only() -> None:
    statement = publishing(key_policy(ACCOUNT, "af-south-1"))
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:af-south-1:{ACCOUNT}:alarm:*"},
    }


def test_cloudwatch_may_publish_and_nobody_without_tls(recording: Recording) -> None:
    for topic in recording.of(TOPIC):
        policy, region = topic.inputs["policy"], topic.inputs.get("region", "af-south-1")
        arn = f"arn:aws:sns:{region}:{ACCOUNT}:{topic.inputs['name']}"
        assert policy == topic_policy(ACCOUNT, region, arn)
        assert publishing(policy)["Resource"] == arn
        (denied,) = [item for item in json.loads(policy)["Statement"] if item["Effect"] == "Deny"]
        assert denied["Resource"] == [arn]
        assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_flip_touches_nothing_of_it() -> None:
    for typ in (KEY, "aws:kms/alias:Alias", TOPIC, SUBSCRIPTION):
        before, after = ({item.key: item.inputs for item in run.recorded().of(typ)} for run in (STANDBY, SERVING))
        assert before == after


def test_the_alerts_do_not_use_the_data_key(recording: Recording) -> None:
    assert {topic.inputs["kmsMasterKeyId"] for topic in recording.of(TOPIC)} == {f"arn:aws:{name}" for name in PLACES}


@pytest.mark.parametrize(
    ("subscription", "message"),
    [
        ({"protocol": "email", "endpoint": "on-call"}, "an address such as on-call@example.org"),
        ({"protocol": "https", "endpoint": "http://pager.example.org"}, "must be an address such as https://"),
        ({"protocol": "https", "endpoint": "https://me:secret@pager.example.org"}, "without a login"),
        ({"protocol": "sms", "endpoint": "+254700000000"}, "allowed: 'email' or 'https'"),
    ],
)
def test_a_subscriber_that_cannot_be_reached_is_refused(subscription: dict[str, str], message: str) -> None:
    assert message in refused({("alerts", "onCall"): [subscription]})


def test_a_subscriber_named_twice_and_an_audience_of_nobody_are_refused() -> None:
    twice = [{"protocol": "email", "endpoint": "a@example.org"}] * 2
    assert "each subscriber once" in refused({("alerts", "teamLead"): twice})
    assert "at least 1 item" in refused({("alerts", "onCall"): []})
