"""How the provider finds, follows and promotes databases: by direct gRPC."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import grpc
import pg8000.native
import pytest

from components.database_plans import DatabasePlan
from components.origins import Moment
from components.settings.database import GenerationSettings
from tests.components.test_database import build
from tests.sandbox.provider_client import Client, Made
from tests.sandbox.provider_lab import PEER, Lab, open_lab
from tests.sandbox.traffic_world import wait

INSTANCE: Final = "aws:rds/instance:Instance"
REPLICATION: Final = "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication"
LONDON: Final = "eu-west-2"  # RDS replicates backups from there to eu-west-1


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with open_lab() as opened:
        yield opened


def plain(lab: Lab, **more: Any) -> dict[str, Any]:
    """The least that a new database needs."""
    return {
        "identifier": lab.name("rds"),
        "engine": "postgres",
        "engineVersion": "17.6",
        "instanceClass": "db.t4g.medium",
        "allocatedStorage": 20,
        "storageType": "gp3",
        "username": "platform_admin",
        "password": "master-password",
        "skipFinalSnapshot": True,
        "applyImmediately": True,
        **more,
    }


# -- import -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["by-name", "db-by-name", "db-byname"])
def test_an_instance_is_imported_by_its_name_as_well_as_by_its_resource_id(lab: Lab, name: str) -> None:
    """People know the name; a creation that was interrupted has left nothing else."""
    made = lab.client.create(INSTANCE, plain(lab, identifier=name))
    assert made.id.startswith("db-")
    named = lab.client.adopt(INSTANCE, name)
    assert (named.id, named.state["resourceId"]) == (name, made.id)
    assert {**named.state, "id": made.id} == lab.client.adopt(INSTANCE, made.id).state
    inputs = {**made.inputs, "deletionProtection": True}
    updated = lab.client.update(Made(INSTANCE, name, inputs, named.state), inputs)
    assert updated.state["deletionProtection"] is True
    released = lab.client.update(updated, made.inputs)
    lab.client.delete(Made(INSTANCE, name, made.inputs, {**released.state, "skipFinalSnapshot": True}))
    assert lab.client.read(named) is None
    assert lab.client.read(made) is None


# -- replicas ---------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def standby(lab: Lab) -> Iterator[Client]:
    """The provider of a stack in the other region."""
    client = Client(lab.sandbox.provider_port, region=PEER)
    yield client
    client.close()


def test_a_replica_is_created_from_a_program_promoted_by_leaving_out_its_source_and_changed_afterwards(
    lab: Lab, standby: Client
) -> None:
    source = lab.make(INSTANCE, **plain(lab, backupRetentionPeriod=7, storageEncrypted=True, kmsKeyId=lab.key))
    key = standby.create("aws:kms/key:Key", {"description": "standby"}).state["arn"]
    group = standby.create(
        "aws:rds/parameterGroup:ParameterGroup", {"name": lab.name("parameters"), "family": "postgres17"}
    ).id
    following: dict[str, Any] = {
        "identifier": lab.name("replica"),
        "replicateSourceDb": source.state["arn"],
        "engine": "postgres",
        "instanceClass": "db.t4g.medium",
        "storageType": "gp3",
        "storageEncrypted": True,
        "kmsKeyId": key,
        "multiAz": False,
        "parameterGroupName": group,
        "backupWindow": "03:00-03:30",
        "backupRetentionPeriod": 7,
        "maintenanceWindow": "sun:04:30-sun:05:30",
        "copyTagsToSnapshot": True,
        "deletionProtection": True,
        "autoMinorVersionUpgrade": False,
        "skipFinalSnapshot": True,
        "applyImmediately": True,
        "tags": {"Role": "replica"},
    }
    replica = standby.create(INSTANCE, following)
    assert list(standby.diff(replica).diffs) == []
    for name in ("replicateSourceDb", "parameterGroupName", "backupRetentionPeriod", "backupWindow", "tags"):
        assert replica.state[name] == following[name], name
    assert replica.state["engineVersion"] == source.state["engineVersion"]
    refreshed = standby.read(replica)
    assert refreshed is not None
    assert refreshed[0].inputs == following
    calls = _calls(lab, "ReadReplica", "ModifyDBInstance", "RebootDBInstance")
    assert calls == ["CreateDBInstanceReadReplica", "ModifyDBInstance", "RebootDBInstance"]

    alone = {name: value for name, value in following.items() if name != "replicateSourceDb"}
    alone |= {"multiAz": True, "password": "own-password", "tags": {"Role": "serving"}}
    found = standby.diff(replica, alone)
    assert (sorted(found.diffs), list(found.replaces)) == (["multiAz", "password", "replicateSourceDb", "tags"], [])
    lab.sandbox.control("POST", "cut", region="eu-west-1")
    try:
        promoted = standby.update(replica, alone)
    finally:
        lab.sandbox.control("POST", "restore", region="eu-west-1")
    assert promoted.id == replica.id
    assert promoted.state["multiAz"] is True
    assert "replicateSourceDb" not in promoted.state
    assert list(standby.diff(promoted).diffs) == []
    assert _calls(lab, "ReadReplica", "ModifyDBInstance")[2:] == ["PromoteReadReplica", "ModifyDBInstance"]


def _calls(lab: Lab, *parts: str) -> list[str]:
    """What was asked of RDS in the standby's region, by parts of the names."""
    found = lab.sandbox.control("GET", "calls")
    asked = [call["operation"] for call in found if call["service"] == "rds" and call["region"] == PEER]
    return [name for name in asked if any(part in name for part in parts)]


def test_a_replica_follows_one_source_for_good(lab: Lab, standby: Client) -> None:
    refused = standby.check(
        INSTANCE, {"identifier": "x", "instanceClass": "db.t4g.medium", "replicateSourceDb": "y", "username": "z"}
    )
    assert refused == ["username cannot be specified for a replica"]
    source = lab.make(INSTANCE, **plain(lab, backupRetentionPeriod=1))
    near = lab.make(
        INSTANCE,
        identifier=lab.name("near"),
        replicateSourceDb=source.state["arn"],
        instanceClass="db.t4g.medium",
        skipFinalSnapshot=True,
    )
    assert near.state["replicateSourceDb"] == source.state["arn"]
    assert list(lab.client.diff(near).diffs) == [], "within a region AWS answers with the source's name"
    with pytest.raises(grpc.RpcError) as caught:
        lab.client.update(near, {**near.inputs, "replicateSourceDb": "another"})
    assert "cannot elect new source database" in str(caught.value.details())
    lab.client.delete(near)
    lab.client.delete(source)


# -- restores to a point in time --------------------------------------------------------------------------------------
def test_a_database_is_restored_from_replicated_backups_with_its_own_password(lab: Lab) -> None:
    """What the plugin doesn't set during this kind of restore is left for the next deployment, and shown by it."""
    key = lab.make("aws:kms/key:Key", description="london", region=LONDON).state["arn"]
    source = lab.make(
        INSTANCE, **plain(lab, backupRetentionPeriod=7, storageEncrypted=True, kmsKeyId=key, region=LONDON)
    )
    replication = lab.make(REPLICATION, sourceDbInstanceArn=source.state["arn"], kmsKeyId=lab.key, retentionPeriod=3)
    rds = lab.aws("rds")
    asked = {"DBInstanceAutomatedBackupsArn": replication.id}
    wait(lambda: rds.describe_db_instance_automated_backups(**asked)["DBInstanceAutomatedBackups"][0]["RestoreWindow"])
    given: dict[str, Any] = {
        "identifier": lab.name("restored"),
        "engine": "postgres",
        "instanceClass": "db.t4g.medium",
        "kmsKeyId": lab.key,
        "storageEncrypted": True,
        "storageType": "gp3",
        "multiAz": True,
        "password": "own-password",
        "backupRetentionPeriod": 7,
        "monitoringInterval": 60,
        "monitoringRoleArn": lab.role("monitoring.rds.amazonaws.com").state["arn"],
        "deletionProtection": False,
        "skipFinalSnapshot": True,
        "applyImmediately": True,
        "restoreToPointInTime": {
            "sourceDbInstanceAutomatedBackupsArn": replication.id,
            "useLatestRestorableTime": True,
        },
        "tags": {"Name": "restored"},
    }
    restored = lab.client.create(INSTANCE, given)
    assert restored.state["monitoringInterval"] == 60
    assert (restored.state["multiAz"], restored.state["kmsKeyId"]) == (True, lab.key)
    assert list(lab.client.diff(restored).diffs) == ["backupRetentionPeriod"]
    settled = lab.client.update(restored, given)
    assert list(lab.client.diff(settled).diffs) == []
    refreshed = lab.client.read(settled)
    assert refreshed is not None
    assert refreshed[0].inputs == given
    other = {**given, "restoreToPointInTime": {"useLatestRestorableTime": True, "sourceDbiResourceId": "x"}}
    assert list(lab.client.diff(settled, other).replaces) == ["restoreToPointInTime"]
    port = int(settled.state["port"])
    context = ssl.create_default_context(cafile=str(lab.sandbox.directory / "rds-ca.pem"))
    with contextlib.closing(
        pg8000.native.Connection("platform_admin", "127.0.0.1", "postgres", port, "own-password", ssl_context=context)
    ) as connection:
        assert connection.run("select pg_is_in_recovery()") == [[False]]


def test_a_database_is_restored_to_a_time_of_another_one_and_needs_no_second_deployment(lab: Lab) -> None:
    """Within a region the source's retention and windows come along, so that nothing is left to change."""
    source = lab.make(INSTANCE, **plain(lab, backupRetentionPeriod=7, storageEncrypted=True, kmsKeyId=lab.key))
    rds, identifier = lab.aws("rds"), source.state["identifier"]

    def latest() -> Any:
        return rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0].get("LatestRestorableTime")

    moment = wait(latest, 60, "backups of the source")
    given = plain(
        lab,
        backupRetentionPeriod=7,
        storageEncrypted=True,
        kmsKeyId=lab.key,
        restoreToPointInTime={
            "sourceDbiResourceId": source.state["resourceId"],
            "restoreTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        },
    )
    made = lab.client.create(
        INSTANCE, {name: v for name, v in given.items() if name not in ("username", "engineVersion")}
    )
    assert made.state["resourceId"] != source.state["resourceId"]
    assert list(lab.client.diff(made).diffs) == []
    for changed in ({"restoreTime": "2026-01-01T00:00:00Z"}, {"sourceDbiResourceId": "db-OTHER"}):
        other = {**made.inputs, "restoreToPointInTime": {**given["restoreToPointInTime"], **changed}}
        assert list(lab.client.diff(made, other).replaces) == ["restoreToPointInTime"]


EMPTY: Final = DatabasePlan(
    generation=GenerationSettings(name="first", origin="empty"),
    identifier="mental-health-platform-sa-rds",
    serving=True,
    engine_version="17.6",
    allocated_storage=100,
)


def of_the_program(lab: Lab, plan: DatabasePlan) -> dict[str, Any]:
    """What the program's own component tells the provider of a generation, with what it refers to made here."""
    told = build(plan).one(INSTANCE, f"database-{plan.generation.name}").inputs
    made = {
        "dbSubnetGroupName": lab.make(
            "aws:rds/subnetGroup:SubnetGroup", name=lab.name("subnets"), subnetIds=lab.subnets, description="lab"
        ).id,
        "vpcSecurityGroupIds": [lab.security_group()],
        "parameterGroupName": "default.postgres17",
        "kmsKeyId": lab.key,
        "performanceInsightsKmsKeyId": lab.key,
        "monitoringRoleArn": lab.role("monitoring.rds.amazonaws.com").state["arn"],
    }
    return {name: made.get(name, value) for name, value in told.items() if value is not None}


def test_the_programs_own_generation_of_a_time_has_nothing_left_to_change(lab: Lab) -> None:
    """All that the plugin drops or leaves in such a restore: a program that asks for it would never be done."""
    source = lab.make(INSTANCE, **of_the_program(lab, EMPTY))
    rds, identifier = lab.aws("rds"), source.state["identifier"]

    def latest() -> Any:
        return rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0].get("LatestRestorableTime")

    moment = Moment(identifier, str(source.state["resourceId"]), wait(latest, 60, "backups of the source"))
    plan = replace(
        EMPTY,
        generation=GenerationSettings(name="restored", origin=moment.rfc3339, of="first"),
        identifier=f"{identifier}-restored",
        moment=moment,
        data_from=str(moment),
    )
    given = of_the_program(lab, plan)
    made = lab.client.create(INSTANCE, given)
    assert list(lab.client.diff(made).diffs) == []
    refreshed = lab.client.read(made)
    assert refreshed is not None
    assert refreshed[0].inputs == given
    insights = {"performanceInsightsEnabled": True, "performanceInsightsRetentionPeriod": 7}
    eager = lab.client.create(INSTANCE, {**given, **insights, "identifier": lab.name("eager")})
    assert "performanceInsightsEnabled" in lab.client.diff(eager).diffs


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"restoreToPointInTime": {"restoreTime": "yesterday"}}, "must be in RFC3339 time format"),
        ({"restoreToPointInTime": {"restoreTime": "2026-01-01 00:00:00Z"}}, "must be in RFC3339 time format"),
        (
            {"restoreToPointInTime": {"restoreTime": "2026-01-01T00:00:00Z", "useLatestRestorableTime": True}},
            "restoreTime conflicts with useLatestRestorableTime",
        ),
        (
            {"restoreToPointInTime": {"useLatestRestorableTime": True}, "snapshotIdentifier": "a-snapshot"},
            "conflicts with snapshotIdentifier",
        ),
    ],
)
def test_what_the_plugin_refuses_of_a_restore_to_a_time(lab: Lab, given: dict[str, Any], refused: str) -> None:
    (reason,) = lab.client.check(INSTANCE, plain(lab, **given))
    assert refused in reason
