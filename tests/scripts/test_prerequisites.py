"""The decisions of `dr bootstrap`: what is missing, what forbids going on, that a second run has nothing to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from scripts.bootstrap import Bootstrap
from scripts.errors import IncompleteError, RefusedError
from scripts.prerequisites import documents, plan, secrets
from scripts.prerequisites.aws import Aws
from scripts.prerequisites.plan import Found
from scripts.project import Project, load
from scripts.pulumi_cli import PulumiCli

ACCOUNT = "123456789012"
CREDENTIAL = '{"username": "somebody", "password": "token"}'
REGIONS = {"eu-west-1": "ENABLED_BY_DEFAULT", "af-south-1": "ENABLED"}


@pytest.fixture
def project() -> Project:
    return load()


def nothing() -> Found:
    return Found(account=ACCOUNT, caller="arn", region_status=dict(REGIONS))


def everything(project: Project) -> Found:
    found = nothing()
    found.service_linked_roles = set(plan.SERVICE_LINKED_ROLES)
    found.state_key, found.replica_key = "arn:key", "arn:replica"
    found.buckets = {name: set(plan.BUCKET_SETTINGS) for name in (project.state_bucket, project.replica_bucket)}
    found.replication_role = found.replication = True
    found.zone_ids = ["Z1"]
    found.stacks = {"kenya", "south-africa"}
    found.config = {stack: {"zoneId", *plan.SECRETS} for stack in found.stacks}
    return found


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
    ],
)
def test_what_forbids_going_on(project: Project, changed: dict[str, Any], told: str) -> None:
    found = everything(project)
    for name, value in changed.items():
        setattr(found, name, value)
    assert told in "\n".join(plan.refusals(project, found))


def test_nothing_forbids_a_first_run(project: Project) -> None:
    assert plan.refusals(project, nothing()) == []


# -- making it ----------------------------------------------------------------------------------------------------
class Account:
    """An AWS account and its Pulumi state, as far as the bootstrap changes them."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.found = nothing()
        self.made: list[str] = []
        self.values: dict[tuple[str, str], str] = {}
        self.refuses = ""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith(("make_", "set_bucket")):
            raise AttributeError(name)

        def make(*arguments: str) -> Any:
            self.made.append(" ".join([name, *arguments]))
            return self._make(name, arguments)

        return make

    def look(self) -> Found:
        return self.found

    def _make(self, name: str, arguments: tuple[str, ...]) -> Any:
        found = self.found
        if name == self.refuses:
            return None
        if name == "make_service_linked_role":
            found.service_linked_roles.add(arguments[0])
        elif name in ("make_state_key", "make_replica_key"):
            field = name.removeprefix("make_")
            setattr(found, field, f"arn:{field}")
            return f"arn:{field}"
        elif name == "make_bucket":
            found.buckets[arguments[0]] = set()
        elif name == "set_bucket":
            found.buckets[arguments[0]].add(arguments[1])
        elif name == "make_zone":
            return "Z1", ["ns-1"]
        else:
            setattr(found, name.removeprefix("make_"), True)
        return None


class Stacks:
    """`pulumi`, as far as the bootstrap uses it."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def run(self, *arguments: str) -> None:
        assert arguments[:2] == ("stack", "init")
        self.account.found.stacks.add(arguments[2])
        self.account.found.config[arguments[2]] = set()

    def stacks(self) -> set[str]:
        return self.account.found.stacks

    def config_keys(self, stack: str) -> set[str]:
        return self.account.found.config[stack]

    def secret(self, stack: str, key: str) -> str:
        return self.account.values[stack, key]

    def set_plain(self, stack: str, key: str, value: str) -> None:
        self.account.found.config[stack].add(key)
        self.account.values[stack, key] = value

    set_secret = set_plain


def bootstrap(account: Account, registry: str | None = CREDENTIAL) -> Bootstrap:
    return Bootstrap(account.project, cast("Aws", account), cast("PulumiCli", Stacks(account)), registry)


def test_a_second_run_makes_nothing(project: Project) -> None:
    account = Account(project)
    bootstrap(account).run()
    assert account.made
    account.made.clear()
    values = dict(account.values)
    bootstrap(account, registry=None).run()
    assert account.made == []
    assert account.values == values


def test_both_stacks_share_their_secrets(project: Project) -> None:
    account = Account(project)
    bootstrap(account).run()
    for key in plan.SECRETS:
        assert account.values["kenya", key] == account.values["south-africa", key]
    assert json.loads(account.values["kenya", "registryCredential"])["username"] == "somebody"


def test_a_stack_that_lost_a_secret_gets_the_others(project: Project) -> None:
    account = Account(project)
    bootstrap(account).run()
    before = account.values["kenya", "databaseMasterPassword"]
    account.found.config["south-africa"].discard("databaseMasterPassword")
    account.values.pop(("south-africa", "databaseMasterPassword"))
    bootstrap(account, registry=None).run()
    assert account.values["south-africa", "databaseMasterPassword"] == before


def test_an_interrupted_run_is_continued(project: Project) -> None:
    account = Account(project)
    account.refuses = "make_replication"
    with pytest.raises(IncompleteError, match="replication into mental-health-platform-state"):
        bootstrap(account).run()
    account.refuses = ""
    account.made.clear()
    bootstrap(account, registry=None).run()
    assert account.made == ["make_replication arn:replica_key"]


def test_without_the_credential_nothing_is_made(project: Project) -> None:
    account = Account(project)
    with pytest.raises(RefusedError, match="credential for pulling images"):
        bootstrap(account, registry=None).run()
    assert account.made == []


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


def test_generated_secrets_are_strong_and_accepted_by_rds(project: Project) -> None:
    password = secrets.generate("databaseMasterPassword", project)
    assert 8 <= len(password) <= 128
    assert not set(password) & set("/@\" '")
    assert password != secrets.generate("databaseMasterPassword", project)
    assert set(json.loads(secrets.generate("databasePasswords", project))) == {
        service.name for service in project.standby.services
    }


# -- documents ----------------------------------------------------------------------------------------------------
def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["Statement"]
    return found


def test_only_s3_for_this_bucket_may_take_the_replication_role() -> None:
    (statement,) = statements(documents.replication_trust(ACCOUNT, "state"))
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    assert statement["Condition"]["ArnLike"] == {"aws:SourceArn": "arn:aws:s3:::state"}


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
