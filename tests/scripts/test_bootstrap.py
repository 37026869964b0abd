"""`dr bootstrap` as a whole: it looks again before it acts, continues what was interrupted, and repeats nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts import bootstrap as command
from scripts.bootstrap import Bootstrap
from scripts.errors import AwsError, DrError, IncompleteError, PulumiError, RefusedError
from scripts.prerequisites import plan
from scripts.project import CHECKOUT, Project, load
from tests.scripts.made_up_account import Account, bootstrap, everything, name_provider

DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not allowed"}}, "Something")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A clone in which nobody has run the bootstrap yet."""
    for file in CHECKOUT.glob("Pulumi*.yaml"):
        kept = [line for line in file.read_text().splitlines() if not line.startswith("secretsprovider:")]
        (tmp_path / file.name).write_text("\n".join([*kept, ""]))
    return load(tmp_path)


def complete(project: Project) -> Account:
    """An account in which the bootstrap has run, and the stack files that it left."""
    account = Account(project)
    account.found = everything(project)
    for stack in project.stacks:
        name_provider(project, stack.stack)
    return account


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
    account.ignores = "make_replication"
    with pytest.raises(IncompleteError, match="replication into mental-health-platform-state"):
        bootstrap(account).run()
    account.ignores = ""
    account.made.clear()
    bootstrap(account, registry=None).run()
    assert account.made == ["make_replication arn:replica_key"]


def test_without_the_credential_nothing_is_made(project: Project) -> None:
    account = Account(project)
    with pytest.raises(RefusedError, match="credential for pulling images"):
        bootstrap(account, registry=None).run()
    assert account.made == []


def test_a_stack_that_exists_without_its_file_can_take_secrets(project: Project) -> None:
    account = complete(project)
    file = project.primary.file
    file.write_text(file.read_text().replace("secretsprovider:", "encryptedwith:"))
    account.found.config["kenya"] = set()
    for key in plan.SECRETS:
        account.values["south-africa", key] = f"their {key}"
    bootstrap(account, registry=None).run()
    assert account.values["kenya", "signingKey"] == "their signingKey"


# -- failures -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("failing", "error"),
    [
        ("make_replica_key", DENIED),
        ("make_zone", DENIED),
        ("stack init", PulumiError("`pulumi stack init` ended with code 255: not allowed")),
        ("set_secret south-africa", PulumiError("not allowed")),
        ("set_secret kenya", PulumiError("not allowed")),
    ],
)
def test_a_failure_after_something_was_made_says_that_it_can_be_continued(
    project: Project, failing: str, error: Exception
) -> None:
    account = Account(project)
    account.fails = {failing: error}
    with pytest.raises(IncompleteError, match="not allowed") as incomplete:
        bootstrap(account).run()
    assert "running it again continues" in str(incomplete.value.hint)
    account.fails = {}
    bootstrap(account).run()
    assert plan.missing(bootstrap(account).plan()[1]) == []


@pytest.mark.parametrize(
    ("missing", "failing", "error", "told"),
    [
        ("service_linked_roles", "make_service_linked_role", DENIED, AwsError),
        ("stacks", "stack init", PulumiError("not allowed"), PulumiError),
    ],
)
def test_a_failure_before_anything_was_made_stays_what_it_is(
    project: Project, missing: str, failing: str, error: Exception, told: type[DrError]
) -> None:
    account = complete(project)
    setattr(account.found, missing, set())
    account.fails = {failing: error}
    with pytest.raises(told, match="not allowed"):
        bootstrap(account).run()
    assert account.made == []


def test_a_last_look_that_fails_comes_after_changes(project: Project) -> None:
    account = complete(project)
    account.found.zone_ids = []
    task = bootstrap(account)
    found, steps = task.plan()
    task.apply(found, task.ready_to_apply(steps))
    account.fails = {"look": DENIED}
    with pytest.raises(IncompleteError, match="not allowed"):
        task.verify()


# -- the command --------------------------------------------------------------------------------------------------
def confirmed_after(account: Account, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Account], None]) -> None:
    """Run the command; `meanwhile` happens while somebody reads the plan and types the name."""

    def of(*_: Any) -> Bootstrap:
        return bootstrap(account)

    def confirm(*_: Any) -> None:
        assert account.made == []
        meanwhile(account)

    monkeypatch.setattr(Bootstrap, "of", of)
    monkeypatch.setattr(command, "_confirm", confirm)
    command.run(account.project, apply=True, confirm=None, credential=None, as_json=False, interactive=True)


def test_what_was_made_meanwhile_is_not_made_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def somebody_else(account: Account) -> None:
        account.found.state_key = "arn:theirs"

    account = Account(project)
    confirmed_after(account, monkeypatch, somebody_else)
    assert "make_state_key" not in account.made
    assert "make_replica_key arn:theirs" in account.made


def test_nothing_is_made_that_was_not_shown(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def somebody_else(account: Account) -> None:
        account.found.buckets[project.state_bucket].discard("versioning")

    account = complete(project)
    account.found.replication = False
    with pytest.raises(RefusedError, match="versioning"):
        confirmed_after(account, monkeypatch, somebody_else)
    assert account.made == []


def test_a_stack_deployed_meanwhile_keeps_its_secrets(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def somebody_else(account: Account) -> None:
        account.found.deployed = {"kenya"}

    account = complete(project)
    for keys in account.found.config.values():
        keys.discard("databasePasswords")
    with pytest.raises(RefusedError, match="databasePasswords"):
        confirmed_after(account, monkeypatch, somebody_else)
    assert account.values == {}


def test_a_backend_elsewhere_is_refused_before_any_look(project: Project) -> None:
    with pytest.raises(RefusedError, match="PULUMI_BACKEND_URL"):
        Bootstrap.of(project, {"PULUMI_BACKEND_URL": "file://~", "AWS_ACCESS_KEY_ID": "somebody"})
