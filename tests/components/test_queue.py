"""The sync queue: kept long, encrypted, over TLS only, with dead letters of its own, and rights for who uses it."""

import json
from typing import Any

import pytest

from components.queue import SyncQueue, SyncQueueArgs
from components.task_roles import queue_policy
from tests.components.recording import ACCOUNT, Recorded, Recording, record
from tests.components.wiring import QUEUE_ARN, QUEUE_URL, SPECS, TAGS, Stack

QUEUE = "aws:sqs/queue:Queue"
POLICY = "aws:iam/rolePolicy:RolePolicy"
DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"


@pytest.fixture(scope="module")
def recording() -> Recording:
    args = SyncQueueArgs(short_name="sa", tags=TAGS, account_id=ACCOUNT, region="af-south-1", key_arn="arn:aws:kms:own")
    return record(lambda: SyncQueue("queue", args))


def both(recording: Recording) -> list[Recorded]:
    return [recording.one(QUEUE, "queue"), recording.one(QUEUE, "queue-dead-letters")]


def test_both_queues_are_kept_two_weeks_encrypted_tagged_and_protected(recording: Recording) -> None:
    for queue in both(recording):
        assert queue.inputs["messageRetentionSeconds"] == 14 * 24 * 3600
        assert queue.inputs["kmsMasterKeyId"] == "arn:aws:kms:own"
        assert queue.inputs["tags"] == TAGS
        assert queue.protect


def test_requests_without_tls_are_denied(recording: Recording) -> None:
    for queue in both(recording):
        (statement,) = json.loads(queue.inputs["policy"])["Statement"]
        assert statement["Effect"] == "Deny"
        assert statement["Action"] == "sqs:*"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert statement["Resource"] == [f"arn:aws:sqs:af-south-1:{ACCOUNT}:{queue.inputs['name']}"]


def test_only_the_sync_queue_moves_its_failures_to_the_dead_letters(recording: Recording) -> None:
    queue, letters = both(recording)
    assert json.loads(queue.inputs["redrivePolicy"]) == {
        "deadLetterTargetArn": "arn:aws:queue-dead-letters",
        "maxReceiveCount": 5,
    }
    assert json.loads(letters.inputs["redriveAllowPolicy"]) == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [QUEUE_ARN],
    }
    assert queue.inputs["name"] == QUEUE_ARN.rpartition(":")[2]


def actions(policy: str) -> dict[str, list[str]]:
    statements: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return {statement["Sid"]: statement["Action"] for statement in statements}


def test_a_sender_cannot_receive_and_a_receiver_cannot_send() -> None:
    arns = {"queue": QUEUE_ARN, "key": "arn:aws:kms:own"}
    assert actions(queue_policy(arns, "send", "af-south-1")) == {
        "SyncQueue": ["sqs:SendMessage"],
        "SyncQueueKey": ["kms:GenerateDataKey", "kms:Decrypt"],
    }
    assert actions(queue_policy(arns, "receive", "af-south-1")) == {
        "SyncQueue": ["sqs:ReceiveMessage", "sqs:DeleteMessage"],
        "SyncQueueKey": ["kms:Decrypt"],
    }


def test_the_key_serves_the_queue_of_this_region_only() -> None:
    policy = json.loads(queue_policy({"queue": "q", "key": "k"}, "send", "af-south-1"))
    queue, key = policy["Statement"]
    assert queue["Resource"] == ["q"]
    assert key["Resource"] == ["k"]
    assert key["Condition"] == {"StringEquals": {"kms:ViaService": "sqs.af-south-1.amazonaws.com"}}


@pytest.mark.parametrize("standby", [True, False])
def test_who_uses_the_queue_knows_it_and_may_and_nobody_else(standby: bool) -> None:
    recording = Stack(standby=standby).recorded()
    for spec in SPECS:
        (container,) = json.loads(recording.one(DEFINITION, f"services-{spec.name}").inputs["containerDefinitions"])
        told = {item["name"]: item["value"] for item in container["environment"]}
        assert told.get("SYNC_QUEUE") == (None if spec.queue == "none" else QUEUE_URL)
        roles = [policy.name for policy in recording.of(POLICY) if policy.name == f"services-{spec.name}-queue"]
        assert len(roles) == (0 if spec.queue == "none" else 1)


def test_a_service_waits_for_its_rights_to_the_queue() -> None:
    service = Stack(standby=False).recorded().one("aws:ecs/service:Service", "services-api-gateway")
    assert "services-api-gateway-queue" in service.dependencies
