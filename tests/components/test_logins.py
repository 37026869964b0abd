"""Logins of a group of services, whatever the group is. The program's two groups are in test_functions.py,
test_secrets.py (the values) and test_program.py (their order)."""

import json
from collections.abc import Sequence

import pulumi

from components.logins import Logins, LoginsArgs, roles_event
from components.secrets import DatabaseEndpoint
from tests.components.recording import Recording, record

VERSION, CALL = "aws:secretsmanager/secretVersion:SecretVersion", "aws:lambda/invocation:Invocation"


class Made(pulumi.CustomResource):
    """Stands for something that the group has to wait for."""

    def __init__(self, name: str) -> None:
        super().__init__("test:index:Made", name, {}, None)


def recorded(services: Sequence[str], *, database: bool, frozen: bool = False) -> Recording:
    def build() -> None:
        endpoint = DatabaseEndpoint(address=pulumi.Output.from_input("db.example"), port=pulumi.Output.from_input(5432))
        logins = Logins(
            "group",
            LoginsArgs(
                database_name="platform",
                database=endpoint if database else None,
                database_resource_id="db-ABC" if database else None,
                turn="turn-1",
                frozen=frozen,
                passwords={service: f"pw-{service}" for service in services},
                secrets={service: f"arn:{service}" for service in services},
                schema_owner="api-gateway",
                master_secret="arn:master",
                master_version="1",
                function_name="database-roles",
                function_ready=[Made("function")],
                after=[Made("takeover")],
            ),
        )
        pulumi.CustomResource("test:index:Service", "service", {}, pulumi.ResourceOptions(depends_on=logins.ready))

    return record(build)


def test_services_wait_for_their_values_and_roles() -> None:
    assert recorded(["chat", "sync"], database=True).one("test:index:Service", "service").dependencies == {
        "group",
        "group-chat",
        "group-sync",
    }


def test_values_and_roles_wait_for_what_the_group_waits_for() -> None:
    recording = recorded(["chat"], database=True)
    assert "takeover" in recording.one(VERSION, "group-chat").dependencies
    assert {"takeover", "function", "group-chat"} <= recording.one(CALL, "group").dependencies


def test_the_roles_are_set_again_at_another_turn() -> None:
    assert recorded(["chat"], database=True).one(CALL, "group").inputs["triggers"]["turn"] == "turn-1"


def test_without_a_database_there_are_values_and_no_roles() -> None:
    recording = recorded(["chat"], database=False)
    assert json.loads(recording.one(VERSION, "group-chat").inputs["secretString"])["host"] == "database.invalid"
    assert recording.of(CALL) == []


def test_while_frozen_there_are_values_and_nobody_is_unlocked() -> None:
    recording = recorded(["chat"], database=True, frozen=True)
    assert json.loads(recording.one(VERSION, "group-chat").inputs["secretString"])["host"] == "db.example"
    assert recording.of(CALL) == []


def test_an_empty_group_calls_nobody() -> None:
    recording = recorded([], database=True)
    assert recording.of(CALL) == recording.of(VERSION) == []
    assert recording.one("test:index:Service", "service").dependencies == set()


def test_the_call_is_the_same_whatever_the_order_of_the_services() -> None:
    first, second = ({"master": "m", "secrets": dict(order)} for order in ([("a", 1), ("b", 2)], [("b", 2), ("a", 1)]))
    assert roles_event(first, "api-gateway") == roles_event(second, "api-gateway")
    assert json.loads(roles_event(first, "api-gateway"))["owner"] == "api_gateway"


def test_a_platform_without_a_schema_owner_says_so() -> None:
    assert json.loads(roles_event({"master": "m", "secrets": {}}, None))["owner"] is None
