"""A generation that is released: what the program declares of it in each step, and what it says."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from components import naming
from components.facts import Facts, Reader, as_instance
from components.guards import decide
from components.settings.stack import Settings
from components.stack_outputs import Outputs
from tests.components.examples import (
    ACCOUNT,
    BACKUPS,
    FACTS,
    INSTANCE,
    KENYA,
    KEY_ARN,
    PROJECT,
    Path_,
    refused,
    settings,
    with_instances,
)
from tests.components.program import Program
from tests.components.recording import Recording

FIRST = f"{PROJECT}-kenya-rds"
GENERATIONS = [{"name": "first", "origin": "empty", "released": True}, {"name": "restored", "origin": "newest"}]
SERVED = Outputs(KENYA, {"standby": False, "epoch": 1.0, "account": ACCOUNT, "region": "eu-west-1"})
RETAINED = replace(INSTANCE, identifier=FIRST, role=naming.RETAINED_ROLE, restored_from=None)
SERVES = replace(INSTANCE, identifier=f"{FIRST}-restored", generation="restored")
UNPROTECTED = replace(RETAINED, protected=False)
INSTANCES, CALLS = "aws:rds/instance:Instance", "aws:lambda/invocation:Invocation"


def released(**changes: Any) -> Settings:
    return settings(KENYA, of_databases(serving="restored", **changes))


def of_databases(**changes: Any) -> dict[Path_, Any]:
    return {("database", key): value for key, value in {"generations": GENERATIONS, **changes}.items()}


@dataclass(frozen=True)
class Releasing(Program):
    """kenya with a second generation that serves, and the first one as it is `found`: None where it is gone."""

    found: Any = None

    def settings(self) -> Settings:
        return released()

    def _facts(self) -> Facts:
        first = () if self.found is None else (self.found,)
        return replace(FACTS, instances=(*first, SERVES), copies=())


def recorded(found: Any) -> Recording:
    return Releasing(KENYA, standby=False, found=found).recorded()


def of_the_database(recording: Recording) -> set[tuple[str, str]]:
    """What goes with it: the instance itself, and calls."""
    return {resource.key for resource in recording if resource.name.rpartition("-")[2] == "first"}


def test_it_is_unprotected_first_and_still_locked() -> None:
    recording = recorded(RETAINED)
    leaving = recording.one(INSTANCES, "database-first")
    assert (leaving.protect, leaving.inputs["deletionProtection"]) == (False, False)
    assert (leaving.inputs["identifier"], leaving.inputs["finalSnapshotIdentifier"]) == (FIRST, f"{FIRST}-final")
    # RDS's own net under whoever deploys without our snapshot, and what a restore to a moment needs.
    assert (leaving.inputs["skipFinalSnapshot"], leaving.inputs["deleteAutomatedBackups"]) == (False, False)
    staying = recording.one(INSTANCES, "database-restored")
    assert (staying.protect, staying.inputs["deletionProtection"]) == (True, True)
    assert {(CALLS, "fences-first"), (CALLS, "turns-first")} <= of_the_database(recording)


@pytest.mark.parametrize("found", [UNPROTECTED, replace(UNPROTECTED, status="deleting"), None])
def test_then_it_goes_and_nothing_else_does(found: Any) -> None:
    before, after = recorded(RETAINED), recorded(found)
    gone = {resource.key for resource in before} - {resource.key for resource in after}
    fences = ("platform:database:Fences", "fences")
    assert gone == {(INSTANCES, "database-first"), (CALLS, "fences-first"), (CALLS, "turns-first"), fences}
    assert {resource.key for resource in after} <= {resource.key for resource in before}


def test_what_serves_keeps_its_name_and_everything_else() -> None:
    """Its name has no suffix only because another is listed before it."""
    retained = Program(KENYA, standby=False, retained=True).recorded()
    for found in (RETAINED, UNPROTECTED, None):
        recording = recorded(found)
        assert recording.exports == retained.exports
        serving = recording.one(INSTANCES, "database-restored")
        assert serving == retained.one(INSTANCES, "database-restored")
        assert serving.inputs["identifier"] == f"{FIRST}-restored"


def decided(*instances: Any, configured: Settings | None = None, **more: Any) -> Any:
    facts = replace(with_instances(*instances, SERVES), copies=(), **more)
    return decide(configured or released(), facts, SERVED, None)


def test_whoever_deploys_reads_which_step_it_is() -> None:
    (first,) = (text for text in decided(RETAINED).warnings if "is released" in text)
    assert f"Database {FIRST} is released (generation first) and available" in first
    assert "this deployment takes its protection off; the next one deletes it" in first
    (second,) = (text for text in decided(UNPROTECTED).warnings if "is released" in text)
    assert "this deployment deletes it, with a final snapshot" in second
    assert not [text for text in decided().warnings if "released" in text]


def test_nothing_is_made_in_its_place() -> None:
    """Not even looked up: copies and offers are for databases that a deployment makes."""
    assert [plan.identifier for plan in decided().databases] == [f"{FIRST}-restored"]
    asked: list[str] = []

    class Client:
        def get_caller_identity(self) -> dict[str, str]:
            return {"Account": ACCOUNT}

        def get_paginator(self, operation: str) -> Any:
            asked.append(operation)
            tags = [{"Key": "Platform", "Value": PROJECT}, {"Key": "Stack", "Value": KENYA}]
            answer = {
                "DBInstanceIdentifier": f"{FIRST}-restored",
                "DBInstanceStatus": "available",
                "EngineVersion": "17.6",
                "AllocatedStorage": 100,
                "TagList": tags,
            }
            return type("Pages", (), {"paginate": staticmethod(lambda **_: [{"DBInstances": [answer]}])})

    assert Reader(released(), lambda *_: Client()).read().copies == ()
    assert asked == ["describe_db_instances"]


def test_its_backups_are_still_a_source_by_its_name() -> None:
    third = {"name": "third", "origin": "2026-03-02T09:14:30+03:00", "of": "first"}
    configured = released(generations=[*GENERATIONS, third])
    kept = replace(BACKUPS, source_arn=f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:{FIRST}", status="retained")
    plan = decided(configured=configured, own_backups=(kept,)).databases[-1]
    assert (plan.identifier, plan.moment.identifier, plan.leaving) == (f"{FIRST}-third", FIRST, False)


@pytest.mark.parametrize(("said", "protected"), [({"DeletionProtection": True}, True), ({}, False)])
def test_rds_says_whether_it_is_protected(said: dict[str, bool], protected: bool) -> None:
    answer: Any = {
        "DBInstanceIdentifier": FIRST,
        "DBInstanceStatus": "available",
        "EngineVersion": "17.6",
        "AllocatedStorage": 100,
        "KmsKeyId": KEY_ARN,
        **said,
    }
    assert as_instance(answer).protected is protected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"serving": "first"}, "first is released: true, but serving names it"),
        (
            {"serving": "restored", "restoring": {"generation": "first"}},
            "first is released: true, but restoring.generation names it",
        ),
    ],
)
def test_what_serves_or_is_being_restored_is_not_released(changes: dict[str, Any], reason: str) -> None:
    assert reason in refused(of_databases(**changes), KENYA)
