"""One tick of the snapshot cycle does what is missing, puts off what AWS refuses, and says what went wrong."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from components import naming
from components.functions.snapshot_cycle import decisions
from tests.components.lambda_source import handler

HERE, THERE = "af-south-1", "eu-west-1"
BASE = "mental-health-platform-kenya-rds"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PARAMETER = "/mental-health-platform/sa/primary-last-sign-of-life"
VARIABLES = {
    "AWS_REGION": HERE,
    "SOURCE_REGION": THERE,
    "SOURCE_BASE": BASE,
    "KEY_ARN": "arn:aws:kms:af-south-1:1:key/own",
    "PARAMETER": PARAMETER,
    "ROLE_TAG": naming.ROLE_TAG,
    "SERVING_ROLE": naming.SERVING_ROLE,
    "MADE_BY_TAG": naming.MADE_BY_TAG,
    "MADE_BY": naming.SNAPSHOT_CYCLE,
    "SOURCE_TAG": naming.SOURCE_TAG,
    "UNUSABLE_TAG": naming.UNUSABLE_TAG,
    "METRIC_NAMESPACE": "MentalHealthPlatform",
    "STACK": "south-africa",
    "COPY_TAGS": '{"Platform": "mental-health-platform", "Stack": "south-africa"}',
}
OURS = {naming.MADE_BY_TAG: naming.SNAPSHOT_CYCLE, naming.SOURCE_TAG: "db-KENYA"}


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def database(identifier: str = BASE, resource: str = "db-KENYA", role: str = naming.SERVING_ROLE) -> dict[str, Any]:
    return {
        "DBInstanceIdentifier": identifier,
        "DbiResourceId": resource,
        "DBInstanceStatus": "available",
        "TagList": tag_list({naming.ROLE_TAG: role}),
    }


def snapshot(minutes_ago: float, region: str = THERE, **changes: Any) -> dict[str, Any]:
    at = NOW - timedelta(minutes=minutes_ago)
    name = changes.pop("name", decisions.stamped(BASE, at))
    return {
        "DBSnapshotIdentifier": name,
        "DBSnapshotArn": f"arn:aws:rds:{region}:1:snapshot:{name}",
        "DBInstanceIdentifier": BASE,
        "Status": "available",
        "SnapshotType": "manual",
        "OriginalSnapshotCreateTime": at,
        "TagList": tag_list(OURS),
        **changes,
    }


def copied(minutes_ago: float, **changes: Any) -> dict[str, Any]:
    """A copy here, whose own time is later than every original's."""
    source = snapshot(minutes_ago)["DBSnapshotArn"]
    return snapshot(minutes_ago, HERE, SourceDBSnapshotIdentifier=source, SnapshotCreateTime=NOW, **changes)


def automated(minutes_ago: float) -> dict[str, Any]:
    return snapshot(minutes_ago, name=f"rds:{BASE}-2026-03-02-03-05", SnapshotType="automated", TagList=[])


class Region:
    """RDS (and SSM) of one region. `errors`: what an operation answers instead of working."""

    def __init__(
        self,
        databases: Sequence[dict[str, Any]] = (),
        snapshots: Sequence[dict[str, Any]] = (),
        backups: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.answers = {
            "describe_db_instances": {"DBInstances": list(databases)},
            "describe_db_snapshots": {"DBSnapshots": list(snapshots)},
            "describe_db_instance_automated_backups": {"DBInstanceAutomatedBackups": list(backups)},
        }
        self.errors: dict[str, Exception] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.sign_of_life: str | None = None

    def names(self, operation: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == operation]

    def _call(self, operation: str, **arguments: Any) -> None:
        self.calls.append((operation, arguments))
        if operation in self.errors:
            raise self.errors[operation]

    def get_paginator(self, operation: str) -> Any:
        region = self

        class Pages:
            def paginate(self) -> Any:
                region._call(operation)
                ((key, entries),) = region.answers[operation].items()
                # A page for each entry: who reads only the first page sees too little.
                return [{key: [entry]} for entry in entries]

        return Pages()

    def create_db_snapshot(self, **arguments: Any) -> None:
        self._call("create_db_snapshot", **arguments)

    def copy_db_snapshot(self, **arguments: Any) -> None:
        self._call("copy_db_snapshot", **arguments)

    def delete_db_snapshot(self, **arguments: Any) -> None:
        self._call("delete_db_snapshot", **arguments)

    def get_parameter(self, **arguments: Any) -> Any:
        self._call("get_parameter", **arguments)
        if self.sign_of_life is None:
            raise refused("ParameterNotFound")
        return {"Parameter": {"Value": self.sign_of_life}}

    def put_metric_data(self, **arguments: Any) -> None:
        self._call("put_metric_data", **arguments)

    def put_parameter(self, **arguments: Any) -> None:
        self._call("put_parameter", **arguments)
        self.sign_of_life = arguments["Value"]


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")


def tick(here: Region, there: Region, now: datetime = NOW) -> dict[str, Any]:
    """One run of the function as Lambda calls it, with the regions in the place of AWS."""
    regions = {HERE: here, THERE: there}
    with pytest.MonkeyPatch.context() as lambda_:
        for name, value in VARIABLES.items():
            lambda_.setenv(name, value)
        lambda_.setattr(handler, "_client", lambda service, region: regions[region])
        return handler.handler({"time": f"{now:%Y-%m-%dT%H:%M:%SZ}"}, None)


def notes(result: dict[str, Any]) -> str:
    return "\n".join(f"{entry['step']}: {entry['text']}" for entry in result["log"])


def test_the_first_tick_takes_a_snapshot_and_has_nothing_to_copy() -> None:
    here, there = Region(), Region([database()])
    result = tick(here, there)
    (taken,) = there.names("create_db_snapshot")
    assert taken["DBInstanceIdentifier"] == BASE
    assert taken["DBSnapshotIdentifier"] == f"{BASE}-snapshot-2026-03-02-0900"
    assert {tag["Key"]: tag["Value"] for tag in taken["Tags"]} == OURS
    assert here.names("copy_db_snapshot") == []
    assert here.sign_of_life == NOW.isoformat()
    assert result["errors"] == []


def test_the_newest_snapshot_is_copied_under_the_own_key_with_tags() -> None:
    here, there = Region(snapshots=[copied(35)]), Region([database()], [snapshot(20), snapshot(5)])
    tick(here, there)
    (copy,) = here.names("copy_db_snapshot")
    assert copy["SourceDBSnapshotIdentifier"] == snapshot(5)["DBSnapshotArn"]
    assert copy["TargetDBSnapshotIdentifier"] == snapshot(5)["DBSnapshotIdentifier"]
    assert (copy["KmsKeyId"], copy["SourceRegion"]) == (VARIABLES["KEY_ARN"], THERE)
    stack = {"Platform": "mental-health-platform", "Stack": "south-africa"}
    assert {tag["Key"]: tag["Value"] for tag in copy["Tags"]} == {**OURS, **stack}
    assert there.names("create_db_snapshot") == []


def test_during_the_backup_window_the_automated_snapshot_is_copied() -> None:
    here, there = Region(snapshots=[copied(20)]), Region([database()], [snapshot(20), automated(5)])
    there.errors["create_db_snapshot"] = refused("InvalidDBInstanceState")
    result = tick(here, there)
    (copy,) = here.names("copy_db_snapshot")
    assert copy["SourceDBSnapshotIdentifier"].endswith(f":rds:{BASE}-2026-03-02-03-05")
    # A copy's name may not contain a colon.
    assert copy["TargetDBSnapshotIdentifier"] == f"{BASE}-snapshot-2026-03-02-0855"
    assert "snapshot: later: " in notes(result)


def test_an_automated_snapshot_is_copied_once() -> None:
    here, there = Region(snapshots=[copied(5)]), Region([database()], [snapshot(20), automated(5)])
    tick(here, there)
    assert here.names("copy_db_snapshot") == []


@pytest.mark.parametrize(
    ("region", "operation", "code"),
    [
        ("there", "create_db_snapshot", "InvalidDBInstanceState"),
        ("there", "create_db_snapshot", "InvalidDBInstanceStateFault"),
        ("there", "create_db_snapshot", "SnapshotQuotaExceeded"),
        ("there", "create_db_snapshot", "DBSnapshotAlreadyExists"),
        ("here", "copy_db_snapshot", "SnapshotQuotaExceededFault"),
        ("here", "copy_db_snapshot", "DBSnapshotAlreadyExists"),
        ("here", "copy_db_snapshot", "InvalidDBSnapshotState"),
        ("here", "delete_db_snapshot", "InvalidDBSnapshotState"),
        ("there", "delete_db_snapshot", "DBSnapshotNotFoundFault"),
        ("there", "describe_db_snapshots", "Throttling"),
        ("there", "describe_db_instances", "ThrottlingException"),
        ("here", "describe_db_snapshots", "RequestLimitExceeded"),
        ("here", "put_parameter", "ThrottlingException"),
    ],
)
def test_busy_full_and_throttled_wait_for_the_next_tick(region: str, operation: str, code: str) -> None:
    here = Region(snapshots=[copied(80), copied(95), copied(110), copied(50 * 24 * 60)])
    there = Region([database()], [snapshot(20), snapshot(80), snapshot(95), snapshot(50 * 24 * 60)])
    {"here": here, "there": there}[region].errors[operation] = refused(code)
    result = tick(here, there)
    assert "later: " in notes(result)
    assert result["errors"] == []
    if not operation.startswith("describe"):
        # Whatever has to wait, the other steps were tried.
        tried = {name for name, _ in [*here.calls, *there.calls]}
        assert {"create_db_snapshot", "copy_db_snapshot", "delete_db_snapshot", "put_parameter"} <= tried


@pytest.mark.parametrize("operation", ["create_db_snapshot", "copy_db_snapshot", "delete_db_snapshot", "put_parameter"])
@pytest.mark.parametrize("error", [refused("AccessDenied"), refused("KMSKeyNotAccessibleFault")])
def test_other_errors_fail_the_tick_after_every_step(operation: str, error: ClientError) -> None:
    here = Region(snapshots=[copied(50 * 24 * 60), copied(40)])
    there = Region([database()], [snapshot(20), snapshot(50 * 24 * 60)])
    for region in (here, there):
        region.errors[operation] = error
    with pytest.raises(RuntimeError, match=str(error.response["Error"]["Code"])):
        tick(here, there)
    tried = {name for name, _ in [*here.calls, *there.calls]}
    assert {"create_db_snapshot", "copy_db_snapshot", "delete_db_snapshot", "put_parameter"} <= tried


def test_a_lost_primary_is_an_error_and_no_sign_of_life_and_nothing_is_given_up() -> None:
    here, there = Region(snapshots=[copied(60 * 24 * days) for days in (1, 40, 50)]), Region()
    here.sign_of_life = "2026-03-02T08:55:00+00:00"
    there.errors["describe_db_instances"] = EndpointConnectionError(endpoint_url="https://rds.eu-west-1")
    with pytest.raises(RuntimeError, match="find source: Could not connect"):
        tick(here, there)
    assert here.sign_of_life == "2026-03-02T08:55:00+00:00"
    assert here.names("delete_db_snapshot") == []
    assert here.names("copy_db_snapshot") == []


@pytest.mark.parametrize(
    ("databases", "found"),
    [
        ([], "found none"),
        ([database(), database(f"{BASE}-restored", "db-NEW")], f"found {BASE}, {BASE}-restored"),
        ([database(role=naming.RETAINED_ROLE)], "found none"),
        ([database("somebody-elses-rds")], "found none"),
    ],
)
def test_with_none_or_two_sources_it_waits_and_never_guesses(databases: list[dict[str, Any]], found: str) -> None:
    here, there = Region(snapshots=[copied(60 * 24 * 50), copied(30)]), Region(databases, [snapshot(20)])
    result = tick(here, there)
    assert f"waiting for exactly one serving database, {found}" in notes(result)
    for region in (here, there):
        for operation in ("create_db_snapshot", "copy_db_snapshot", "delete_db_snapshot"):
            assert region.names(operation) == []
    # The region answered, whatever runs in it.
    assert here.sign_of_life == NOW.isoformat()


def test_a_second_database_of_somebody_else_is_no_source() -> None:
    there = Region([database(), database("other-rds", "db-OTHER")], [snapshot(20)])
    here = Region()
    tick(here, there)
    assert len(here.names("copy_db_snapshot")) == 1


def test_a_serving_later_generation_is_the_source() -> None:
    restored = f"{BASE}-restored"
    there = Region([database(role=naming.RETAINED_ROLE), database(restored, "db-NEW")])
    here = Region(snapshots=[copied(30)])
    tick(here, there)
    (taken,) = there.names("create_db_snapshot")
    assert taken["DBInstanceIdentifier"] == restored


def test_another_database_under_the_old_name_means_a_full_copy_and_it_says_so() -> None:
    there = Region([database(resource="db-NEW")], [snapshot(20)])
    here = Region(snapshots=[copied(35)])
    assert "FULL COPY: the primary is another database now (db-NEW, before db-KENYA)" in notes(tick(here, there))
    same = tick(Region(snapshots=[copied(35)]), Region([database()], [snapshot(20)]))
    assert "full copy" not in notes(same)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, NOW.isoformat()),
        ("2026-03-02T08:55:00+00:00", NOW.isoformat()),
        ("2026-03-02T09:05:00+00:00", "2026-03-02T09:05:00+00:00"),
        ("2026-03-02T12:05:00+03:00", "2026-03-02T12:05:00+03:00"),
        ("scribbled", NOW.isoformat()),
        ("2026-03-02T23:00:00", NOW.isoformat()),
    ],
)
def test_the_sign_of_life_never_goes_back(before: str | None, after: str) -> None:
    here = Region()
    here.sign_of_life = before
    tick(here, Region([database()]))
    assert here.sign_of_life == after


def test_old_snapshots_go_in_both_regions_and_before_new_ones_are_made() -> None:
    old = 60 * 24 * 50
    here, there = Region(snapshots=[copied(old), copied(40)]), Region([database()], [snapshot(old), snapshot(20)])
    tick(here, there)
    for region, operation in ((here, "copy_db_snapshot"), (there, "create_db_snapshot")):
        names = [name for name, _ in region.calls]
        assert names.index("delete_db_snapshot") < names.index(operation)
        assert region.names("delete_db_snapshot") == [{"DBSnapshotIdentifier": snapshot(old)["DBSnapshotIdentifier"]}]


def test_a_source_that_is_being_copied_is_not_given_up() -> None:
    old = 60 * 24 * 50
    here = Region(snapshots=[copied(old, Status="creating", OriginalSnapshotCreateTime=None), copied(40)])
    there = Region([database()], [snapshot(old), snapshot(20)])
    tick(here, there)
    assert there.names("delete_db_snapshot") == []


def test_foreign_snapshots_are_left_alone() -> None:
    old = 60 * 24 * 50
    foreign = copied(old, TagList=[])
    other = copied(old, DBInstanceIdentifier="other-rds", name="other")
    unusable = copied(old, TagList=tag_list({**OURS, naming.UNUSABLE_TAG: "found corrupt"}))
    here = Region(snapshots=[foreign, other, unusable, copied(40)])
    tick(here, Region([database()], [snapshot(20)]))
    assert here.names("delete_db_snapshot") == []


def test_a_copys_own_time_never_stands_for_its_datas() -> None:
    """An old snapshot that was copied just now must not look like the newest data."""
    recopied = copied(300, OriginalSnapshotCreateTime=None, name="copied-by-hand")
    here, there = Region(snapshots=[recopied]), Region([database()], [snapshot(20)])
    tick(here, there)
    assert len(here.names("copy_db_snapshot")) == 1


def test_two_regions_are_asked_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def client(service: str, region: str) -> Region:
        asked.append((service, region))
        return Region([database()])

    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(handler, "_client", client)
    handler.handler({"time": "2026-03-02T09:00:00Z"}, None)
    assert sorted(asked) == [("cloudwatch", HERE), ("rds", HERE), ("rds", THERE), ("ssm", HERE)]
