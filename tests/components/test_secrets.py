"""Secrets exist with values before anybody needs them, and only the owner makes what both regions share."""

import json
from typing import Any

import pytest

from components import naming
from components.secrets import Secrets, SecretsArgs, replica_arn
from tests.components.examples import KENYA, SOUTH_AFRICA
from tests.components.program import PEER_OUTPUTS, Program
from tests.components.recording import record

SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
STANDBY, PROMOTED, PRIMARY = Program(SOUTH_AFRICA, True), Program(SOUTH_AFRICA, False), Program(KENYA, False)
SERVICES = ("api-gateway", "audio-processing", "crisis-detection", "notifications", "sync")
NOUNS = {"cache", "database-master", "registry", *(f"database-{service}" for service in SERVICES)}


def login(program: Program, noun: str) -> dict[str, Any]:
    """Value of the region's secret of that noun, whichever component gives it."""
    named = (f"secrets-{noun}-id", f"arn:aws:secrets-{noun}")
    (version,) = (v for v in program.recorded().of(VERSION) if v.inputs["secretId"] in named)
    return dict(json.loads(version.inputs["secretString"]))


def test_the_regions_own_secrets() -> None:
    for program, short in ((STANDBY, "sa"), (PRIMARY, "kenya")):
        recording = program.recorded()
        own = {s.name.removeprefix("secrets-") for s in recording.of(SECRET)} - {"signing-key"}
        assert own == NOUNS
        master = recording.one(SECRET, "secrets-database-master")
        assert master.inputs["name"] == f"mental-health-platform/{short}/database/master"
        assert master.inputs["kmsKeyId"] == "arn:aws:keys-key"
        assert master.inputs["recoveryWindowInDays"] == 30


def test_while_there_is_no_database_the_host_never_resolves() -> None:
    assert login(STANDBY, "database-api-gateway") == {
        "host": "database.invalid",
        "port": 5432,
        "dbname": "platform",
        "username": "api_gateway",
        "password": "pw-api",
    }


def test_a_promotion_puts_the_databases_address_in() -> None:
    for noun in sorted(NOUNS - {"cache", "registry"}):
        assert login(PROMOTED, noun)["host"] == "database-first.rds.amazonaws.com"
    assert login(PROMOTED, "database-master")["username"] == "platform_admin"
    assert login(PROMOTED, "database-master")["password"] == "pw-master"


def test_a_promotion_changes_values_and_no_secret() -> None:
    before = {secret.name: secret.inputs for secret in STANDBY.recorded().of(SECRET)}
    assert {secret.name: secret.inputs for secret in PROMOTED.recorded().of(SECRET)} == before
    for noun in ("registry", "signing-key"):
        name = f"secrets-{noun}"
        assert STANDBY.recorded().one(VERSION, name).inputs == PROMOTED.recorded().one(VERSION, name).inputs


def test_every_value_is_a_secret_to_the_engine() -> None:
    assert {frozenset(version.secrets) for version in PROMOTED.recorded().of(VERSION)} == {frozenset({"secretString"})}


def test_the_registry_credential_is_what_ecs_reads() -> None:
    assert login(STANDBY, "registry") == {"username": "robot", "password": "pw-registry"}


def test_the_shared_key_belongs_to_one_stack_and_is_replicated_to_the_other() -> None:
    shared = STANDBY.recorded().one(SECRET, "secrets-signing-key")
    assert shared.inputs["name"] == "mental-health-platform/shared/signing-key"
    # Without a key of its own: nothing of the peer's has to exist before it.
    assert shared.inputs["replicas"] == [{"region": "eu-west-1"}]
    assert not [s for s in PRIMARY.recorded().of(SECRET) if "replicas" in s.inputs]
    assert not [s for s in STANDBY.recorded().of(SECRET) if "replicas" in s.inputs and s is not shared]


def test_the_other_stack_reads_the_replica_of_its_own_region() -> None:
    arn = PEER_OUTPUTS["signingKeyArn"].replace("af-south-1", "eu-west-1")
    assert replica_arn(PEER_OUTPUTS["signingKeyArn"], "eu-west-1") == arn
    recording = PRIMARY.recorded()
    definition = recording.one("aws:ecs/taskDefinition:TaskDefinition", "services-api-gateway")
    (container,) = json.loads(definition.inputs["containerDefinitions"])
    secrets = {entry["name"]: entry["valueFrom"] for entry in container["secrets"]}
    assert secrets["SIGNING_KEY"] == arn
    assert recording.exports["signingKeyArn"] == arn


@pytest.mark.parametrize(("signing_key", "shared"), [("k", "arn"), (None, None)])
def test_the_shared_key_is_owned_or_read_and_never_both(signing_key: str | None, shared: str | None) -> None:
    args = SecretsArgs(
        short_name="sa",
        tags=naming.tags("test"),
        peer_region="eu-west-1",
        key_arn="arn:aws:kms:own",
        database_name="platform",
        database=None,
        master_password="x",
        database_services=[],
        registry_credential="x",
        signing_key=signing_key,
        shared_signing_key_arn=shared,
    )
    with pytest.raises(ValueError, match="either signing_key"):
        record(lambda: Secrets("secrets", args))
