"""Every fault of the table on an emulated cloud: it is accepted, it breaks what it says, and mending takes it back."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from components import naming
from sandbox.supervisor import control, environment
from scripts.project import NAMESPACE
from scripts.promotion import locks
from scripts.rehearsal import breaking
from scripts.rehearsal.fault_rows import Estate, Injected, Row
from scripts.rehearsal.fault_table import ADDRESSES, CPUS, FAULTS, INSTANCES
from scripts.rehearsal.world import World
from tests.sandbox import traffic_world
from tests.sandbox.refusal_row import allow, document
from tests.sandbox.traffic_world import SOUTH_AFRICA, Site, wait
from tests.scripts.made_up_site import project

TRUST = document(allow(Principal={"Service": "lambda.amazonaws.com"}, Action="sts:AssumeRole"))
INJECTED = [(row, row.breaks.kind) for row in FAULTS if isinstance(row.breaks, Injected)]


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """The standby region with an issued certificate, as far as the faults need it."""
    with traffic_world.running() as world:
        Site(world, SOUTH_AFRICA).certificate(traffic_world.hosted_zone(world))
        box = SimpleNamespace(
            env=lambda principal="OPERATOR": environment(world.directory, world.port, 0, principal),
            control=lambda method, path, **data: control(world.url, method, path, **data),
        )
        yield Estate(World(box, project(tmp_path_factory.mktemp("project"))))  # type: ignore[arg-type]
        world.assert_sound()


@pytest.mark.parametrize(("row", "kind"), INJECTED, ids=[row.name for row, _ in INJECTED])
def test_the_cloud_takes_the_fault_and_mending_removes_it(estate: Estate, row: Row, kind: str) -> None:
    mend = row.breaks(estate)
    try:
        assert {fault["kind"] for fault in estate.control("GET", "faults")} == {kind}
    finally:
        mend()
    assert estate.control("GET", "faults") == []


def test_a_disabled_key(estate: Estate) -> None:
    kms, alias = estate.client("kms"), estate.project.state_key_alias
    kms.create_alias(AliasName=alias, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])

    def state() -> str:
        return str(kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyState"])

    mend = breaking.disabled_key(lambda estate: estate.project.state_key_alias)(estate)
    assert state() == "Disabled"
    mend()
    assert state() == "Enabled"


def test_a_deleted_secret(estate: Estate) -> None:
    secrets, name = estate.client("secretsmanager"), naming.secret("sa", "registry")
    secrets.create_secret(Name=name, SecretString="x")
    mend = breaking.deleted_secret(estate)
    assert secrets.list_secrets()["SecretList"] == []
    mend()
    assert secrets.get_secret_value(SecretId=name)["SecretString"] == "x"


def test_deleted_state_and_a_foreign_lock(estate: Estate) -> None:
    s3, bucket = estate.client("s3"), estate.project.state_bucket
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": estate.region})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    key = f".pulumi/stacks/{NAMESPACE}/{estate.standby.stack}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=b"state")

    mend = breaking.deleted_state(estate)
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=bucket, Key=key)
    mend()
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"state"

    mend = breaking.foreign_lock(estate)
    (entry,) = s3.list_objects_v2(Bucket=bucket, Prefix=locks.PREFIX)["Contents"]
    assert locks.of_stack(entry["Key"], estate.standby.stack)
    found = locks.parse(entry["Key"], s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
    assert found.holder.startswith(breaking.STRANGER)
    assert not locks.ours_and_dead(found)
    mend()
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix=locks.PREFIX)


def test_a_missing_image(estate: Estate) -> None:
    service = next(service for service in estate.standby.services if service.critical)
    estate.control("POST", "registry", image=service.image, digest=service.digest)
    mend = breaking.missing_image(estate)
    assert estate.control("GET", "registry") == {service.image: []}
    mend()
    assert estate.control("GET", "registry") == {service.image: [service.digest]}


def test_a_broken_function(estate: Estate) -> None:
    archive, name = io.BytesIO(), naming.physical("sa", "database-roles", "function")
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("main.py", "def handle(event, context): return 'well'")
    role = estate.client("iam").create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    client: Any = estate.client("lambda")
    code = {"ZipFile": archive.getvalue()}
    client.create_function(FunctionName=name, Role=role, Runtime="python3.12", Handler="main.handle", Code=code)
    wait(lambda: client.get_function_configuration(FunctionName=name)["State"] == "Active")

    mend = breaking.broken_function(estate)
    answer = client.invoke(FunctionName=name, Payload=b"{}")
    assert answer["FunctionError"] == "Unhandled"
    assert "nowhere" in answer["Payload"].read().decode()
    mend()
    assert json.loads(client.invoke(FunctionName=name, Payload=b"{}")["Payload"].read()) == "well"


@pytest.mark.parametrize(("service", "code"), [CPUS, ADDRESSES, INSTANCES])
def test_a_lowered_quota(estate: Estate, service: str, code: str) -> None:
    def value() -> float:
        return float(estate.client("service-quotas").get_service_quota(**asked)["Quota"]["Value"])

    asked = {"ServiceCode": service, "QuotaCode": code}
    default = estate.client("service-quotas").get_aws_default_service_quota(**asked)["Quota"]["Value"]
    mend = breaking.lowered_quota(service, code, lambda _: 1)(estate)
    assert value() == 1
    mend()
    assert value() >= default
