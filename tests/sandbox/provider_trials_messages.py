"""What the queue, topic and alarm types of the provider are tried with: one function for each type."""

from __future__ import annotations

import json
from typing import Final

from tests.sandbox.provider_client import REGION
from tests.sandbox.provider_lab import ACCOUNT, Lab, Trial, Trials, document

TRIALS: Final = Trials()


@TRIALS.of("aws:sqs/queue:Queue")
def _queue(lab: Lab) -> Trial:
    letters, name = (
        lab.make("aws:sqs/queue:Queue", name=lab.name("letters")),
        lab.name("queue"),
    )
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    given = {
        "name": name,
        "messageRetentionSeconds": 1209600,
        "visibilityTimeoutSeconds": 300,
        "receiveWaitTimeSeconds": 20,
        "kmsMasterKeyId": lab.key,
        "policy": document("sqs:SendMessage", Principal="*", Resource=arn),
        "redrivePolicy": json.dumps({"deadLetterTargetArn": letters.state["arn"], "maxReceiveCount": 5}),
        "redriveAllowPolicy": json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [arn]}),
        "tags": {"Name": "one"},
    }
    changed = {
        "visibilityTimeoutSeconds": 600,
        "redriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"}),
        "tags": {"Name": "two"},
    }
    return Trial(given, changed, {"name": "another"})


@TRIALS.of("aws:sns/topic:Topic")
def _topic(lab: Lab) -> Trial:
    name = lab.name("topic")
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"
    who = {"Service": "cloudwatch.amazonaws.com"}
    policies = [document(f"sns:{verb}", Principal=who, Resource=arn) for verb in ("Publish", "GetTopicAttributes")]
    given = {"name": name, "kmsMasterKeyId": lab.key, "policy": policies[0], "tags": {"Name": "one"}}
    return Trial(given, {"policy": policies[1], "tags": {"Name": "two"}}, {"name": "another"})


@TRIALS.of("aws:sns/topicSubscription:TopicSubscription")
def _subscription(lab: Lab) -> Trial:
    topic = lab.make("aws:sns/topic:Topic", name=lab.name("topic")).id
    given = {"topic": topic, "protocol": "email", "endpoint": "on-call@example.org"}
    return Trial(given, {}, {"endpoint": "another@example.org"})
