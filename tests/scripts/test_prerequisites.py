"""The parts of `dr bootstrap`: what is missing, what forbids going on, secrets, policies, single things made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from components.configuration import CACHE_TOKEN
from scripts.clients import Clients
from scripts.errors import AwsError, IncompleteError, RefusedError
from scripts.prerequisites import backend, documents, plan, secrets
from scripts.prerequisites.aws import Aws, explained
from scripts.project import Project, load
from tests.scripts.made_up_account import ACCOUNT, CREDENTIAL, REGIONS, everything, nothing


@pytest.fixture
def project() -> Project:
    return load()


# -- the plan -----------------------------------------------------------------------------------------------------
def test_of_nothing_everything_is_missing(project: Project) -> None:
    every = plan.steps(project, nothing())
    assert plan.missing(every) == every


def test_of_everything_nothing_is_missing(project: Project) -> None:
    assert plan.missing(plan.steps(project, everything(project))) == []


def test_a_single_setting_that_is_wrong_is_the_only_step(project: Project) -> None:
    found = everything(project)
    found.buckets[project.state_bucket].discard("versioning")
    assert [(step.key, step.subject) for step in plan.missing(plan.steps(project, found))] == [
        ("bucket versioning", project.state_bucket)
    ]


def test_the_order_makes_each_thing_before_what_needs_it(project: Project) -> None:
    keys = [step.key for step in plan.steps(project, nothing())]
    for first, then in (
        ("state-key", "replica-key"),
        ("state-key", "bucket"),
        ("replica-key", "replication-role"),
        ("bucket", "bucket versioning"),
        ("bucket versioning", "replication"),
        ("replication-role", "replication"),
        ("bucket", "stack"),
        ("zone", "zone-id"),
        ("stack", "secret signingKey"),
    ):
        assert keys.index(first) < keys.index(then), (first, then)


def test_the_credential_is_asked_for_only_where_no_stack_has_it(project: Project) -> None:
    found = everything(project)
    found.config["kenya"].discard("registryCredential")
    assert not plan.needs_registry_credential(plan.steps(project, found))
    found.config["south-africa"].discard("registryCredential")
    assert plan.needs_registry_credential(plan.steps(project, found))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"account": "999999999999"}, "credentials belong to account 999999999999"),
        ({"region_status": {**REGIONS, "af-south-1": "DISABLED"}}, "enable-region --region-name af-south-1"),
        ({"zone_ids": ["Z1", "Z2"]}, "2 public hosted zones of example.org exist: Z1, Z2"),
        ({"public_policies_refused": {"BlockPublicPolicy"}}, "forbids public bucket policies (BlockPublicPolicy)"),
    ],
)
def test_what_forbids_going_on(project: Project, changed: dict[str, Any], told: str) -> None:
    found = everything(project)
    for name, value in changed.items():
        setattr(found, name, value)
    assert told in "\n".join(plan.refusals(project, found))


def test_nothing_forbids_a_first_run(project: Project) -> None:
    assert plan.refusals(project, nothing()) == []


@pytest.mark.parametrize("deployed", ["kenya", "south-africa"])
def test_a_deployed_stack_whose_secrets_are_not_here_gets_no_new_ones(project: Project, deployed: str) -> None:
    found = everything(project)
    found.deployed = {deployed}
    found.config[deployed].discard("databaseMasterPassword")
    (reason,) = plan.refusals(project, found)
    assert "databaseMasterPassword" in reason
    assert f"pulumi config refresh --stack {deployed}" in reason
    assert "signingKey" not in reason


def test_what_can_be_copied_or_given_forbids_nothing(project: Project) -> None:
    found = everything(project)
    found.deployed = {"south-africa"}
    found.config["kenya"].discard("databaseMasterPassword")  # the other stack has it
    for keys in found.config.values():
        keys.discard("registryCredential")  # not generated
    assert plan.refusals(project, found) == []


# -- the state's place --------------------------------------------------------------------------------------------
SANDBOX = "endpoint=127.0.0.1:4566&disable_https=true&s3ForcePathStyle=true"


@pytest.mark.parametrize(
    ("query", "endpoint"), [("", None), (f"&{SANDBOX}", "http://127.0.0.1:4566"), ("&profile=other", None)]
)
def test_a_backend_that_is_the_projects_is_used_as_given(project: Project, query: str, endpoint: str | None) -> None:
    given = f"s3://{project.state_bucket}?region=af-south-1{query}"
    assert backend.chosen(project, {"PULUMI_BACKEND_URL": given, "AWS_ENDPOINT_URL": endpoint or ""}) == given


@pytest.mark.parametrize("environment", [{}, {"PULUMI_BACKEND_URL": ""}])
def test_without_a_backend_the_projects_is_used(project: Project, environment: dict[str, str]) -> None:
    assert backend.chosen(project, environment) == f"s3://{project.state_bucket}?region=af-south-1"


@pytest.mark.parametrize(
    "given",
    [
        "file://~",
        "https://api.pulumi.com",
        "s3://another-bucket?region=af-south-1",
        "s3://{bucket}",  # the region would be the shell's
        "s3://{bucket}?region=eu-west-1",
        "s3://{bucket}/folder?region=af-south-1",
        "s3://{bucket}?region=af-south-1&prefix=folder/",
        f"s3://{{bucket}}?region=af-south-1&{SANDBOX}",  # left over from a sandbox
    ],
)
def test_a_backend_elsewhere_is_refused(project: Project, given: str) -> None:
    given = given.format(bucket=project.state_bucket)
    with pytest.raises(RefusedError) as refused:
        backend.chosen(project, {"PULUMI_BACKEND_URL": given})
    assert given in refused.value.message
    assert f"s3://{project.state_bucket}?region=af-south-1" in refused.value.message
    assert "unset PULUMI_BACKEND_URL" in str(refused.value.hint)


def test_a_password_in_a_backends_url_is_not_shown(project: Project) -> None:
    with pytest.raises(RefusedError) as refused:
        backend.chosen(project, {"PULUMI_BACKEND_URL": "postgres://somebody:hidden@host/state"})
    assert "hidden" not in refused.value.message
    assert "postgres://host/state" in refused.value.message


# -- single things on AWS -----------------------------------------------------------------------------------------
class Services:
    """Clients of an AWS that has nothing of what is asked for, and on which the operation `refused` fails."""

    def __init__(self, refused: str, existing: tuple[str, ...] = ()) -> None:
        self._refused, self._existing = refused, existing

    def get(self, _service: str, _region: str) -> Any:
        key = {"KeyMetadata": {"Arn": "arn:aws:kms:af-south-1:1:key/mrk-1", "KeyState": "Enabled"}}
        names = ("create_key", "enable_key_rotation", "create_alias", "replicate_key", "describe_key")
        answers = {**dict.fromkeys((*names, "create_role", "put_role_policy"), key), "get_role": {"Role": {"Arn": "a"}}}
        return SimpleNamespace(**{name: self._operation(name, answer) for name, answer in answers.items()})

    def _operation(self, name: str, answer: Any) -> Any:
        def call(**_: Any) -> Any:
            if name == self._refused:
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not allowed"}}, name)
            if name == "get_role" and name not in self._existing:
                raise ClientError({"Error": {"Code": "NoSuchEntity", "Message": "none"}}, name)
            return answer

        return call


def state_key(aws: Aws) -> None:
    aws.make_state_key()


def replica_key(aws: Aws) -> None:
    aws.make_replica_key("arn:aws:kms:af-south-1:1:key/mrk-1")


def role(aws: Aws) -> None:
    aws.make_replication_role("key-a", "key-b")


@pytest.mark.parametrize(
    ("refused", "make", "existing", "error"),
    [
        ("create_key", state_key, (), AwsError),
        ("enable_key_rotation", state_key, (), IncompleteError),
        ("create_alias", state_key, (), IncompleteError),
        ("replicate_key", replica_key, (), AwsError),
        ("create_alias", replica_key, (), IncompleteError),
        ("create_role", role, (), AwsError),
        ("put_role_policy", role, (), IncompleteError),
        ("put_role_policy", role, ("get_role",), AwsError),
    ],
)
def test_what_fails_half_way_is_told_from_what_fails_at_once(
    project: Project,
    refused: str,
    make: Callable[[Aws], object],
    existing: tuple[str, ...],
    error: type[Exception],
) -> None:
    aws = Aws(project, cast("Clients", Services(refused, existing)))
    with pytest.raises(error, match="not allowed"), explained():
        make(aws)


@mock_aws
def test_the_accounts_own_block_of_public_policies_is_seen(project: Project) -> None:
    clients = Clients({"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "secret"})
    aws = Aws(project, clients)
    assert aws.public_policies_refused() == set()
    clients.get("s3control", "eu-west-1").put_public_access_block(
        AccountId=ACCOUNT,
        PublicAccessBlockConfiguration={"BlockPublicAcls": True, "RestrictPublicBuckets": True},
    )
    assert aws.public_policies_refused() == {"RestrictPublicBuckets"}


# -- secrets ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text", ["not json", "[]", '{"username": "x"}', '{"username": "x", "password": ""}', '{"a": 1, "b": 2}']
)
def test_a_credential_that_cannot_be_right_is_refused_unquoted(text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        secrets.registry_credential(text, "ghcr.json")
    assert refused.value.message.startswith("ghcr.json: ")
    assert text not in refused.value.message


def test_a_credential_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "ghcr.json"
    file.write_text(CREDENTIAL)
    assert secrets.read_registry_credential(file) == CREDENTIAL
    assert secrets.read_registry_credential(None) is None
    with pytest.raises(RefusedError, match="No such file"):
        secrets.read_registry_credential(tmp_path / "absent.json")


def test_generated_secrets_are_strong_and_accepted_by_aws(project: Project) -> None:
    password = secrets.generate("databaseMasterPassword", project)
    assert 8 <= len(password) <= 128
    assert not set(password) & set("/@\" '")
    assert password != secrets.generate("databaseMasterPassword", project)
    assert CACHE_TOKEN.fullmatch(secrets.generate("cacheAuthToken", project))
    assert set(json.loads(secrets.generate("databasePasswords", project))) == {
        service.name for service in project.standby.services
    }


# -- documents ----------------------------------------------------------------------------------------------------
def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["Statement"]
    return found


def test_only_s3_may_take_the_replication_role_and_under_no_condition_it_might_not_meet() -> None:
    (statement,) = statements(documents.replication_trust())
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert "Condition" not in statement


def test_the_replication_role_may_do_no_more_than_replicate() -> None:
    found = statements(documents.replication_permissions("state", "a", "key-a", "replica", "b", "key-b"))
    assert all(statement["Resource"] != "*" for statement in found)
    assert not [action for statement in found for action in statement["Action"] if action.endswith("*")]
    decrypt, encrypt = found[-2:]
    assert (decrypt["Action"], decrypt["Resource"]) == (["kms:Decrypt"], "key-a")
    assert decrypt["Condition"]["StringLike"]["kms:ViaService"] == "s3.a.amazonaws.com"
    assert encrypt["Resource"] == "key-b"


def test_a_bucket_takes_nothing_without_tls() -> None:
    (statement,) = statements(documents.tls_only("state"))
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert set(statement["Resource"]) == {"arn:aws:s3:::state", "arn:aws:s3:::state/*"}
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_key_delegates_to_iam_and_names_no_role() -> None:
    (statement,) = statements(documents.key_policy(ACCOUNT))
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def test_encrypted_objects_and_deletions_are_replicated() -> None:
    (rule,) = documents.replication("role", "replica", "key-b")["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["SourceSelectionCriteria"] == {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    assert rule["DeleteMarkerReplication"] == {"Status": "Enabled"}
    assert rule["Destination"]["EncryptionConfiguration"] == {"ReplicaKmsKeyID": "key-b"}
