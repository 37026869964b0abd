"""What a person reads whose configuration is wrong: every fault at once, where it is, and never a secret."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.configuration import SecureSettings, check_passwords, read_secure, read_settings
from components.stack_files import Sources
from tests.components.examples import (
    KENYA,
    PROJECT,
    ROOT,
    SOUTH_AFRICA,
    Path_,
    default,
    engine_values,
    refused,
    settings,
    sources,
)

CRITICAL = ("crisis-detection", "api-gateway")
STANDARD = ("sync", "audio-processing", "notifications")
PASSWORDS = {name: f"pw-{name}" for name in (*CRITICAL, *STANDARD)}
SECURE = {
    f"{PROJECT}:databaseMasterPassword": "pw-master",
    f"{PROJECT}:databasePasswords": json.dumps(PASSWORDS),
    f"{PROJECT}:cacheAuthToken": "pw-token-of-the-cache",
    f"{PROJECT}:registryCredential": json.dumps({"username": "robot", "password": "pw-registry"}),
    f"{PROJECT}:signingKey": "pw-signing",
}


@pytest.fixture(autouse=True)
def stack_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "get_stack", lambda: SOUTH_AFRICA)


def secure_refused(given: Mapping[str, str]) -> str:
    with pytest.raises(pulumi.RunError) as refusal:
        read_secure(PROJECT, given, sources(SOUTH_AFRICA))
    return str(refusal.value)


def secure_settings(given: Mapping[str, str]) -> SecureSettings:
    """Outputs need a running event loop."""

    async def read() -> SecureSettings:
        return read_secure(PROJECT, given, sources(SOUTH_AFRICA))

    return asyncio.run(read())


async def resolved(output: pulumi.Output[str]) -> tuple[str, bool]:
    """Value of an output, and whether it is a secret."""
    return str(await output.future()), await output.is_secret()


@pytest.mark.parametrize("stack", [KENYA, SOUTH_AFRICA])
def test_the_real_files_are_valid(stack: str) -> None:
    loaded = settings(stack)
    assert loaded.stack == stack
    assert (loaded.dns.domain, loaded.dns.ttl) == ("platform.example.org", 300)
    assert loaded.database.rpo_minutes == 60
    assert [service.name for service in loaded.services] == [*CRITICAL, *STANDARD]


@pytest.mark.parametrize("stack", [KENYA, SOUTH_AFRICA])
def test_bootstrap_is_named_where_it_has_not_run(stack: str) -> None:
    given = engine_values(stack)
    del given[f"{PROJECT}:zoneId"]
    with pytest.raises(pulumi.RunError, match=f"Pulumi.{stack}.yaml: {PROJECT}:zoneId = \\(missing\\)") as refusal:
        read_settings(PROJECT, stack, given, sources(stack))
    assert "dr bootstrap" in str(refusal.value)


def test_every_fault_is_in_one_message_with_its_file() -> None:
    changes: dict[Path_, Any] = {
        ("standby",): "perhaps",
        ("network", "cidr"): "8.8.0.0/16",
        default("dns", "ttl"): 3600,
        ("services", 1, "cpu"): 300,
    }
    lines = refused(changes).splitlines()
    assert lines[0] == "The configuration of stack south-africa cannot be used; nothing was changed."
    assert len(lines) == 1 + len(changes)
    stack_file, project_file = "  Pulumi.south-africa.yaml: ", "  Pulumi.yaml: "
    cidr = "a private IPv4 range between /16 and /20, such as 10.20.0.0/16"
    assert lines[1:] == [
        f"{stack_file}{PROJECT}:standby = perhaps: allowed: true, false",
        f"{stack_file}{PROJECT}:network.cidr = 8.8.0.0/16: {cidr}",
        f"{project_file}{PROJECT}:defaults.dns.ttl = 3600: Input should be less than or equal to 300",
        next(
            line for line in lines if line.startswith(f"{project_file}{PROJECT}:services[1] = ") and "cpu 300" in line
        ),
    ]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        (("standBy",), "standby"),
        (("protect",), "protects"),
        (("dns", "roles"), "role"),
        (("database", "generations", 0, "origins"), "origin"),
        (("services", 2, "desired_count"), "desiredCount"),
        (("crisis", "phoneLines", 0, "lable"), "label"),
    ],
)
def test_a_typo_is_refused_with_what_was_meant(path: Path_, meant: str) -> None:
    message = refused({path: "x"})
    assert str(path[-1]) in message
    assert f"unknown key; did you mean {meant}?" in message


def test_an_unknown_key_lists_the_known_ones() -> None:
    message = refused({("network", "zzz"): 1})
    assert f"Pulumi.south-africa.yaml: {PROJECT}:network.zzz = 1: unknown key; known here: cidr" in message


def test_secure_keys_are_known_and_what_the_engine_gives_is_not_configurable() -> None:
    message = refused({("zzz",): 1})
    for key in ("databaseMasterPassword", "cacheAuthToken", "registryCredential", "signingKey", "defaults"):
        assert key in message
    known = message.partition("known here: ")[2].split(", ")
    assert not {"project", "stack", "region"} & set(known)


def test_a_plain_value_where_an_object_belongs_is_a_message_and_no_traceback() -> None:
    assert f"Pulumi.south-africa.yaml: {PROJECT}:dns = secondary: " in refused({("dns",): "secondary"})
    assert f"Pulumi.yaml: {PROJECT}:defaults = 7: must be an object" in refused({("defaults",): 7})
    assert f"{PROJECT}:services = [broken: " in refused({("services",): "[broken"})


def test_a_stacks_own_field_completes_the_default_object() -> None:
    own = settings(changes={("database", "rpoMinutes"): 15})
    assert own.database.rpo_minutes == 15
    assert own.database.instance_class == "db.m6g.large"


def test_a_long_value_is_cut() -> None:
    message = refused({("services", 0, "image"): "docker.io/" + "x" * 500})
    assert "docker.io/" in message
    assert "x" * 100 not in message


def encrypted(tmp_path: Path, content: str) -> Sources:
    (tmp_path / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (tmp_path / "Pulumi.south-africa.yaml").write_text(f"config:\n{content}")
    return Sources.read(tmp_path, PROJECT, SOUTH_AFRICA)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        (f"  {PROJECT}:signingKee:\n    secure: v1:abc\n", f"{PROJECT}:signingKee", "hunter2"),
        (f"  {PROJECT}:shortName:\n    secure: v1:abc\n", f"{PROJECT}:shortName", "HUNTER2hunter2"),
        (
            f"  {PROJECT}:peer:\n    stack: kenya\n    region:\n      secure: v1:abc\n",
            f"{PROJECT}:peer",
            '{"stack": "kenya", "shortName": "kenya", "region": "hunter2"}',
        ),
        (
            f"  {PROJECT}:databasePassword:\n    sync:\n      secure: v1:abc\n",
            f"{PROJECT}:databasePassword",
            '{"sync": "hunter2"}',
        ),
    ],
)
def test_an_encrypted_value_is_not_shown_even_where_its_key_is_wrong(
    tmp_path: Path, line: str, key: str, value: str
) -> None:
    with pytest.raises(pulumi.RunError) as refusal:
        read_settings(PROJECT, SOUTH_AFRICA, {**engine_values(SOUTH_AFRICA), key: value}, encrypted(tmp_path, line))
    assert "hunter2" not in str(refusal.value)
    assert "= [secret]: " in str(refusal.value)


def test_secure_values_are_secret_outputs() -> None:
    async def values() -> dict[str, tuple[str, bool]]:
        secure = read_secure(PROJECT, SECURE, sources(SOUTH_AFRICA))
        outputs = {
            **secure.database_passwords,
            "master": secure.database_master_password,
            "signing": secure.signing_key,
            "registry": secure.registry_credential,
            "cache": secure.cache_auth_token,
        }
        return {name: await resolved(output) for name, output in outputs.items()}

    found = asyncio.run(values())
    assert all(secret for _, secret in found.values())
    assert json.loads(found.pop("registry")[0]) == {"username": "robot", "password": "pw-registry"}
    expected = {**PASSWORDS, "master": "pw-master", "signing": "pw-signing", "cache": "pw-token-of-the-cache"}
    assert {name: text for name, (text, _) in found.items()} == expected


def test_missing_secure_values_are_named_all_at_once() -> None:
    message = secure_refused({f"{PROJECT}:signingKey": "pw-signing"})
    for key in ("databaseMasterPassword", "databasePasswords", "cacheAuthToken", "registryCredential"):
        assert f"Pulumi.south-africa.yaml: {PROJECT}:{key} = (missing): written encrypted by `dr bootstrap`" in message
    assert "signingKey" not in message


@pytest.mark.parametrize("key", ["databasePasswords", "registryCredential"])
@pytest.mark.parametrize("value", ["hunter2", '["hunter2"]', '{"password": "hunter2", "token": "hunter2"'])
def test_a_malformed_secure_value_is_never_shown(key: str, value: str) -> None:
    message = secure_refused({**SECURE, f"{PROJECT}:{key}": value})
    assert f"{PROJECT}:{key} = [secret]: must be an object {{" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("token", ["hunter2", "hunter2" * 20, "hunter2_with_underscores", "hunter2 with spaces"])
def test_a_token_that_elasticache_refuses_is_refused_and_never_shown(token: str) -> None:
    message = secure_refused({**SECURE, f"{PROJECT}:cacheAuthToken": token})
    assert f"{PROJECT}:cacheAuthToken = [secret]: must be 16 to 128 letters, digits or" in message
    assert "hunter2" not in message


def test_a_service_without_a_password_is_refused() -> None:
    given = {**SECURE, f"{PROJECT}:databasePasswords": json.dumps({"sync": "pw-sync"})}
    secure = secure_settings(given)
    with pytest.raises(pulumi.RunError, match="needs a password for crisis-detection, api-gateway") as refusal:
        check_passwords(settings(), secure)
    assert "pw-sync" not in str(refusal.value)
    check_passwords(settings(), secure_settings(SECURE))
