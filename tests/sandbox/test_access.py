"""Roles with the program's own policies at work in the sandbox: all that is allowed is needed, and the rest is refused.

Rehearsals show the same of what runs in them; here are the calls of the applications, which aren't in this repository.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from components import policies, task_roles
from scripts.rehearsal import access
from tests.sandbox import roles, traffic_world
from tests.sandbox.traffic_world import SOUTH_AFRICA, World

REGION = SOUTH_AFRICA
BUCKET, RECORDING, ELSEWHERE = "recordings", "audio/1.wav", "other/1.wav"
TASKS = "ecs-tasks.amazonaws.com"


@dataclass(frozen=True)
class Estate:
    """A bucket, a queue and a secret under one key, as a stack has them."""

    world: World
    arns: Mapping[str, str]
    url: str

    def client(self, service: str, role: str) -> Any:
        """A client of the code of a task that has this role."""
        return boto3.client(
            service,  # type: ignore[call-overload]
            region_name=REGION,
            endpoint_url=self.world.url,
            aws_access_key_id=f"TASK-{role}",
            aws_secret_access_key="fake",
            config=Config(retries={"max_attempts": 0}),
        )

    def role(self, name: str, document: str) -> str:
        iam = self.world.client("iam", "us-east-1")
        roles.make(iam, name, TASKS, allowed=None)
        iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=document)
        return name

    def put(self, key: str) -> None:
        self.world.client("s3", REGION).put_object(Bucket=BUCKET, Key=key, Body=b"RIFF")

    def send(self) -> None:
        self.world.client("sqs", REGION).send_message(QueueUrl=self.url, MessageBody="{}")


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with traffic_world.running() as world:
        key = world.client("kms", REGION).create_key()["KeyMetadata"]["Arn"]
        s3 = world.client("s3", REGION)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        encryption = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        rule = {"ApplyServerSideEncryptionByDefault": encryption, "BucketKeyEnabled": True}
        s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
        sqs = world.client("sqs", REGION)
        url = sqs.create_queue(QueueName="sync", Attributes={"KmsMasterKeyId": key})["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        secret = world.client("secretsmanager", REGION).create_secret(Name="cache", SecretString="{}", KmsKeyId=key)
        arns = {"key": key, "bucket": f"arn:aws:s3:::{BUCKET}", "queue": queue, "secret": secret["ARN"]}
        yield Estate(world, arns, url)
        world.assert_sound()


# -- what the applications do with what they are allowed --------------------------------------------------------------
def _read(estate: Estate, role: str) -> None:
    estate.put(RECORDING)
    estate.client("s3", role).get_object(Bucket=BUCKET, Key=RECORDING)


def _write(estate: Estate, role: str) -> None:
    estate.client("s3", role).put_object(Bucket=BUCKET, Key=RECORDING, Body=b"RIFF")
    _read(estate, role)


def _send(estate: Estate, role: str) -> None:
    estate.client("sqs", role).send_message(QueueUrl=estate.url, MessageBody="{}")


def _receive(estate: Estate, role: str) -> None:
    estate.send()
    sqs = estate.client("sqs", role)
    (message,) = sqs.receive_message(QueueUrl=estate.url)["Messages"]
    sqs.delete_message(QueueUrl=estate.url, ReceiptHandle=message["ReceiptHandle"])


def _find_cache(estate: Estate, role: str) -> None:
    estate.client("secretsmanager", role).get_secret_value(SecretId=estate.arns["secret"])


def _audio(use: str) -> Callable[[Mapping[str, str]], str]:
    return lambda arns: task_roles.audio_policy(arns, task_roles.AUDIO_ACTIONS[use], REGION)


def _reads_secret(arns: Mapping[str, str]) -> str:
    return policies.document(*task_roles.read_secrets({"secrets": [arns["secret"]], "key": arns["key"]}, REGION))


Case = tuple[Callable[[Mapping[str, str]], str], Callable[[Estate, str], None]]
CASES: dict[str, Case] = {
    "audio-read": (_audio("read"), _read),
    "audio-write": (_audio("write"), _write),
    "queue-send": (lambda arns: task_roles.queue_policy(arns, "send", REGION), _send),
    "queue-receive": (lambda arns: task_roles.queue_policy(arns, "receive", REGION), _receive),
    "cache": (_reads_secret, _find_cache),
}
ACTIONS = [
    *((f"audio-{use}", action) for use in ("read", "write") for action in (*task_roles.AUDIO_ACTIONS[use],)),
    ("audio-read", "kms:Decrypt"),
    ("audio-write", "kms:Decrypt"),
    ("audio-write", "kms:GenerateDataKey"),
    *(
        (f"queue-{use}", action)
        for use in ("send", "receive")
        for actions in task_roles.QUEUE_ACTIONS[use]
        for action in actions
    ),
    ("cache", "secretsmanager:GetSecretValue"),
    ("cache", "kms:Decrypt"),
]


@pytest.mark.parametrize("case", CASES)
def test_all_that_an_application_is_allowed_is_needed(estate: Estate, case: str) -> None:
    document, work = CASES[case]
    role = estate.role(case, document(estate.arns))
    work(estate, role)
    told = estate.world.control("GET", "access")
    own = {role: told["roles"][role]}
    granted = list(access.parts(own))
    used = {(use["statement"], use[element]) for use in told["uses"] if use["role"] == role for element in PARTS}
    assert granted
    assert not [str(part) for part in granted if (part.statement, part.text) not in used]
    assert not [entry for entry in told["refusals"] if entry["role"] == role]


PARTS = ("action", "resource")


@pytest.mark.parametrize(("case", "action"), ACTIONS)
def test_an_action_taken_away_is_missed(estate: Estate, case: str, action: str) -> None:
    document, work = CASES[case]
    policy = json.loads(document(estate.arns))
    for statement in policy["Statement"]:
        statement["Action"] = [kept for kept in statement["Action"] if kept != action] or ["sts:GetCallerIdentity"]
    role = estate.role(f"{case}-without-{action.replace(':', '-')}", json.dumps(policy))
    with pytest.raises(ClientError) as refusal:
        work(estate, role)
    assert "AccessDenied" in refusal.value.response["Error"]["Code"]
    (missed,) = [entry for entry in estate.world.control("GET", "access")["refusals"] if entry["role"] == role]
    assert missed["action"] == action


def test_what_is_beyond_the_policy_is_refused(estate: Estate) -> None:
    document, _ = CASES["audio-write"]
    s3 = estate.client("s3", estate.role("beyond", document(estate.arns)))
    estate.put(ELSEWHERE)
    beyond: dict[str, Callable[[], Any]] = {
        "another prefix": lambda: s3.get_object(Bucket=BUCKET, Key=ELSEWHERE),
        "deleting": lambda: s3.delete_object(Bucket=BUCKET, Key=RECORDING),
        "listing": lambda: s3.list_objects_v2(Bucket=BUCKET),
    }
    for what, attempt in beyond.items():
        with pytest.raises(ClientError) as refusal:
            attempt()
        assert refusal.value.response["Error"]["Code"] == "AccessDenied", what


def test_a_key_is_used_through_its_service_and_by_its_own_policys_consent(estate: Estate) -> None:
    kms, other = estate.world.client("kms", REGION), "arn:aws:iam::123456789012:role/through-another"
    document = json.dumps(json.loads(CASES["queue-send"][0](estate.arns))).replace("sqs.af-south-1", "s3.af-south-1")
    with pytest.raises(ClientError) as refusal:
        _send(estate, estate.role(other.rpartition("/")[2], document))
    assert refusal.value.response["Error"]["Code"] == "KMS.AccessDeniedException"
    role = estate.role("without-consent", CASES["queue-send"][0](estate.arns))
    before = kms.get_key_policy(KeyId=estate.arns["key"], PolicyName="default")["Policy"]
    denied = {"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
    changed = json.loads(before) | {"Statement": [*json.loads(before)["Statement"], denied]}
    kms.put_key_policy(KeyId=estate.arns["key"], PolicyName="default", Policy=json.dumps(changed))
    try:
        with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
            _send(estate, role)
    finally:
        kms.put_key_policy(KeyId=estate.arns["key"], PolicyName="default", Policy=before)
    _send(estate, role)


def test_a_role_that_does_not_exist_is_nobody(estate: Estate) -> None:
    with pytest.raises(ClientError) as refusal:
        _send(estate, "never-made")
    assert refusal.value.response["Error"]["Code"] == "InvalidClientTokenId"
