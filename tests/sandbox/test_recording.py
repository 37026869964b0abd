"""What the provider asks AWS for is kept, without secrets and in memory only; nobody else's calls are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sandbox.cloud.recording import MASKED, PROVIDER
from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import KENYA, World

SECRET = "never-on-a-disk"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with traffic_world.running() as running:
        yield running
        running.assert_sound()


def provider(world: World, service: str) -> Any:
    """A client as the provider has it."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=KENYA,
        endpoint_url=world.url,
        aws_access_key_id="OPERATOR",
        aws_secret_access_key="fake",
        config=Config(user_agent_extra=PROVIDER),
    )


def recorded(world: World, operation: str) -> list[dict[str, Any]]:
    return [entry for entry in world.control("GET", "requests") if entry["operation"] == operation]


def test_an_accepted_change_is_kept_with_its_answer(world: World) -> None:
    arn = provider(world, "sns").create_topic(Name="kept", Attributes={"DisplayName": "x"})["TopicArn"]
    [entry] = recorded(world, "CreateTopic")
    assert (entry["region"], entry["service"]) == (KENYA, "sns")
    assert entry["parameters"] == {"Name": "kept", "Attributes": {"DisplayName": "x"}}
    assert entry["answer"]["TopicArn"] == arn


def test_reads_and_what_others_ask_for_are_not_kept(world: World) -> None:
    provider(world, "sqs").list_queues()
    world.client("sqs", KENYA).create_queue(QueueName="somebody-else")
    assert recorded(world, "ListQueues") == recorded(world, "CreateQueue") == []


def test_secrets_are_masked_and_reach_no_file(world: World) -> None:
    secrets = provider(world, "secretsmanager")
    secrets.create_secret(Name="login", SecretString=SECRET)
    secrets.put_secret_value(SecretId="login", SecretString=SECRET)
    definition = {
        "name": "web",
        "image": "ghcr.io/x/y:1",
        "memory": 128,
        "environment": [{"name": "TOKEN", "value": SECRET}],
    }
    provider(world, "ecs").register_task_definition(family="masked", containerDefinitions=[definition])
    entries = world.control("GET", "requests")
    assert SECRET not in str(entries)
    assert recorded(world, "CreateSecret")[0]["parameters"]["SecretString"] == MASKED
    [task] = recorded(world, "RegisterTaskDefinition")
    assert task["parameters"]["containerDefinitions"][0]["environment"] == [{"name": "TOKEN", "value": MASKED}]
    written = [file for file in world.directory.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
    assert written == []
