"""A bootstrap that ended between two calls of one step: the next run finds what is half made, and completes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from scripts.clients import Clients
from scripts.prerequisites import documents, plan
from scripts.prerequisites.aws import GLOBAL, REPLICATE, Aws
from scripts.prerequisites.plan import replication_role
from scripts.project import Project, load
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, World, running


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running() as started:
        yield started
        started.assert_sound()


@pytest.fixture(scope="module")
def project() -> Project:
    return load()


@pytest.fixture(scope="module")
def aws(world: World, project: Project) -> Aws:
    variables = {"AWS_ENDPOINT_URL": world.url, "AWS_ACCESS_KEY_ID": "OPERATOR", "AWS_SECRET_ACCESS_KEY": "fake"}
    return Aws(project, Clients(variables))


def test_a_region_that_is_off_is_told_apart_from_bad_credentials(world: World, project: Project) -> None:
    off = replace(project, standby=replace(project.standby, region="me-central-1"))
    variables = {"AWS_ENDPOINT_URL": world.url, "AWS_ACCESS_KEY_ID": "OPERATOR", "AWS_SECRET_ACCESS_KEY": "fake"}
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        world.client("sts", "me-central-1").get_caller_identity()
    found = Aws(off, Clients(variables)).look()
    assert found.account == "123456789012"
    (told,) = plan.refusals(off, found)
    assert "enable-region --region-name me-central-1" in told


def test_a_replica_key_without_its_alias(world: World, aws: Aws) -> None:
    key = aws.make_state_key()
    answer = world.client("kms", SOUTH_AFRICA).replicate_key(KeyId=key.rpartition("/")[2], ReplicaRegion=KENYA)
    assert aws.look().replica_key is None
    assert aws.make_replica_key(key) == answer["ReplicaKeyMetadata"]["Arn"] == aws.look().replica_key


def test_a_replication_role_without_its_permissions(world: World, aws: Aws, project: Project) -> None:
    iam, name = world.client("iam", GLOBAL), replication_role(project)
    trust = documents.replication_trust()
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    assert not aws.look().replication_role
    aws.make_replication_role(*(f"arn:aws:kms:{region}:123456789012:key/mrk-1" for region in (SOUTH_AFRICA, KENYA)))
    assert aws.look().replication_role
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == [REPLICATE]
