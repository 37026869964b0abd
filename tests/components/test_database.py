"""The database is restored closed, encrypted, backed up and undeletable, and no later deployment replaces it."""

import json
from dataclasses import replace

import pytest

from components import naming
from components.database import Database, DatabaseArgs
from components.database_plans import DatabasePlan
from components.settings.database import GenerationSettings
from tests.components.examples import COPY, KENYA, SOUTH_AFRICA
from tests.components.program import Program
from tests.components.recording import ACCOUNT, Recorded, Recording, record

INSTANCE = ("aws:rds/instance:Instance", "database-first")
GROUP = "aws:rds/parameterGroup:ParameterGroup"
STANDBY, PROMOTED, PRIMARY = Program(SOUTH_AFRICA, True), Program(SOUTH_AFRICA, False), Program(KENYA, False)

RESTORED = DatabasePlan(
    generation=GenerationSettings(name="first", origin="newest"),
    identifier="mental-health-platform-sa-rds",
    serving=True,
    snapshot="snapshot-of-16",
    data_from="snapshot-of-16",
    engine_version="16.9",
    allocated_storage=300,
)
RETAINED = replace(
    RESTORED,
    generation=GenerationSettings(name="second", origin="empty"),
    identifier="mental-health-platform-sa-rds-second",
    serving=False,
    snapshot=None,
    data_from=None,
    engine_version="17.6",
)


def build(*plans: DatabasePlan) -> Recording:
    args = DatabaseArgs(
        short_name="sa",
        tags=naming.tags("test"),
        account_id=ACCOUNT,
        region="af-south-1",
        plans=plans,
        identifiers=[plan.identifier for plan in plans],
        instance_class="db.m6g.large",
        engine_version="17.6",
        database_name="platform",
        backup_days=14,
        backup_window="01:00-02:00",
        maintenance_window="mon:04:30-mon:05:30",
        subnet_ids=["subnet-a", "subnet-b", "subnet-c"],
        security_group_id="sg-database",
        key_arn="arn:aws:kms:own",
        master_password="pw-master",
        after=[],
    )
    return record(lambda: Database("database", args))


def promoted() -> Recorded:
    return PROMOTED.recorded().one(*INSTANCE)


def test_standing_by_has_no_database_but_all_that_a_restore_needs() -> None:
    recording = STANDBY.recorded()
    assert recording.of(INSTANCE[0]) == []
    assert recording.exports["database"] is None
    group = recording.one("aws:rds/subnetGroup:SubnetGroup", "database-subnets")
    assert group.inputs["subnetIds"] == [f"network-isolated-{zone}-id" for zone in "abc"]
    assert [parameters.inputs["family"] for parameters in recording.of(GROUP)] == ["postgres17"]


def test_connections_are_over_tls_only() -> None:
    assert parameters()["rds.force_ssl"] == ("1", "immediate")


def parameters() -> dict[str, tuple[str, str]]:
    group = STANDBY.recorded().one(GROUP, "database-parameters-17")
    return {entry["name"]: (entry["value"], entry["applyMethod"]) for entry in group.inputs["parameters"]}


def test_logs_say_who_came_and_what_was_changed() -> None:
    for name, value in (("log_connections", "1"), ("log_disconnections", "1"), ("log_statement", "ddl")):
        assert parameters()[name] == (value, "immediate")


def test_logs_hold_nothing_of_what_people_said() -> None:
    # Neither values of statements, nor slow or failed statements with their text, nor the row that broke a rule.
    for name, value in (
        ("log_parameter_max_length", "0"),
        ("log_parameter_max_length_on_error", "0"),
        ("log_min_duration_statement", "-1"),
        ("log_min_error_statement", "panic"),
        ("log_error_verbosity", "terse"),
    ):
        assert parameters()[name] == (value, "immediate")


@pytest.mark.parametrize("program", [STANDBY, PROMOTED, PRIMARY], ids=["standby", "promoted", "primary"])
def test_log_groups_are_there_before_the_database_with_a_key_and_an_end(program: Program) -> None:
    recording, short = program.recorded(), "kenya" if program.stack == KENYA else "sa"
    groups = [group for group in recording.of("aws:cloudwatch/logGroup:LogGroup") if "logging" in group.name]
    name = f"/aws/rds/instance/mental-health-platform-{short}-rds"
    assert {group.inputs["name"] for group in groups} == {f"{name}/postgresql", f"{name}/upgrade"}
    for group in groups:
        assert (group.inputs["retentionInDays"], group.inputs["kmsKeyId"]) == (365, "arn:aws:keys-key")
    for instance in recording.of(INSTANCE[0]):
        assert {group.name for group in groups} <= instance.dependencies


def test_every_declared_generation_has_its_log_groups() -> None:
    names = {group.inputs["name"] for group in build(RESTORED, RETAINED).of("aws:cloudwatch/logGroup:LogGroup")}
    assert {f"/aws/rds/instance/{plan.identifier}/postgresql" for plan in (RESTORED, RETAINED)} < names


def test_its_machine_is_watched_by_a_role_for_these_databases_only() -> None:
    recording = PROMOTED.recorded()
    inputs = recording.one(*INSTANCE).inputs
    assert (inputs["monitoringInterval"], inputs["monitoringRoleArn"]) == (60, "arn:aws:database-logging-monitoring")
    role = recording.one("aws:iam/role:Role", "database-logging-monitoring")
    (trusted,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert trusted["Principal"] == {"Service": "monitoring.rds.amazonaws.com"}
    assert trusted["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:rds:af-south-1:{ACCOUNT}:db:mental-health-platform-sa-rds*"},
    }
    policy = json.loads(recording.one("aws:iam/rolePolicy:RolePolicy", role.name).inputs["policy"])
    assert {resource for s in policy["Statement"] for resource in s["Resource"]} == {
        f"arn:aws:logs:af-south-1:{ACCOUNT}:log-group:RDS*",
        f"arn:aws:logs:af-south-1:{ACCOUNT}:log-group:RDS*:log-stream:*",
    }
    # Without its permission RDS refuses the role.
    assert ("aws:iam/rolePolicy:RolePolicy", role.name) in recording.one(*INSTANCE).dependency_keys


def test_insights_are_encrypted_with_this_regions_key() -> None:
    inputs = promoted().inputs
    assert (inputs["performanceInsightsEnabled"], inputs["performanceInsightsRetentionPeriod"]) == (True, 7)
    assert inputs["performanceInsightsKmsKeyId"] == "arn:aws:keys-key"


def test_backups_and_windows_are_what_is_configured() -> None:
    inputs = build(RESTORED).one(*INSTANCE).inputs
    assert (inputs["backupRetentionPeriod"], inputs["backupWindow"]) == (14, "01:00-02:00")
    assert inputs["maintenanceWindow"] == "mon:04:30-mon:05:30"


def test_a_promotion_restores_the_chosen_copy() -> None:
    inputs = promoted().inputs
    assert inputs["identifier"] == "mental-health-platform-sa-rds"
    assert inputs["snapshotIdentifier"] == COPY.identifier
    # AWS lifts a version that it no longer supports; asked for the snapshot's, it would refuse the downgrade.
    assert "engineVersion" not in inputs
    assert "dbName" not in inputs
    assert "username" not in inputs
    assert PROMOTED.recorded().exports["database"] == "mental-health-platform-sa-rds"


def test_the_restored_one_is_as_closed_as_the_lost_one() -> None:
    inputs = promoted().inputs
    # AWS would give it the default security group and parameters.
    assert inputs["vpcSecurityGroupIds"] == ["network-firewall-database-id"]
    assert inputs["dbSubnetGroupName"] == "mental-health-platform-sa-rds-subnets"
    assert inputs["parameterGroupName"] == "mental-health-platform-sa-rds-postgres17"
    assert inputs["publiclyAccessible"] is False
    assert (inputs["storageEncrypted"], inputs["kmsKeyId"]) == (True, "arn:aws:keys-key")


def test_it_is_available_backed_up_and_logged() -> None:
    inputs = promoted().inputs
    assert inputs["multiAz"] is True
    assert (inputs["backupWindow"], inputs["backupRetentionPeriod"]) == ("03:00-03:30", 7)
    assert inputs["maintenanceWindow"] == "sun:04:30-sun:05:30"
    assert inputs["copyTagsToSnapshot"] is True
    assert inputs["deleteAutomatedBackups"] is False
    assert inputs["autoMinorVersionUpgrade"] is False
    assert inputs["applyImmediately"] is True
    assert inputs["enabledCloudwatchLogsExports"] == ["postgresql", "upgrade"]


def test_nobody_deletes_it_by_a_slip() -> None:
    instance = promoted()
    assert instance.protect
    assert instance.inputs["deletionProtection"] is True
    assert instance.inputs["skipFinalSnapshot"] is False
    assert instance.inputs["finalSnapshotIdentifier"] == "mental-health-platform-sa-rds-final"


def test_a_later_deployment_ignores_where_the_data_came_from_and_nothing_else() -> None:
    assert promoted().ignore_changes == ("snapshotIdentifier", "restoreToPointInTime")


def test_its_tags_say_what_it_is_and_came_from() -> None:
    assert promoted().inputs["tags"] == {
        **naming.tags(SOUTH_AFRICA),
        naming.ROLE_TAG: naming.SERVING_ROLE,
        naming.GENERATION_TAG: "first",
        naming.RESTORED_FROM_TAG: COPY.identifier,
    }


def test_the_restore_waits_until_no_more_copies_are_made() -> None:
    assert "snapshots" in promoted().dependencies


def test_the_master_password_is_a_secret_to_the_engine() -> None:
    assert promoted().secrets == {"password"}


def test_the_provider_waits_as_long_as_a_restore_may_take() -> None:
    assert promoted().create_timeout == "4h"


def test_the_primary_is_made_empty_with_a_database_and_a_user() -> None:
    instance = PRIMARY.recorded().one(*INSTANCE)
    assert instance.inputs["dbName"] == "platform"
    assert instance.inputs["username"] == "platform_admin"
    assert instance.inputs["engineVersion"] == "17.6"
    assert "snapshotIdentifier" not in instance.inputs
    assert naming.RESTORED_FROM_TAG not in instance.inputs["tags"]


def test_another_major_version_brings_its_own_parameters() -> None:
    recording = build(RESTORED)
    assert {group.inputs["family"] for group in recording.of(GROUP)} == {"postgres16", "postgres17"}
    inputs = recording.one(*INSTANCE).inputs
    assert inputs["parameterGroupName"] == "mental-health-platform-sa-rds-postgres16"
    assert inputs["allocatedStorage"] == 300


def test_a_retained_generation_stays_beside_the_serving_one() -> None:
    recording = build(RESTORED, RETAINED)
    serving, retained = recording.one(*INSTANCE), recording.one(INSTANCE[0], "database-second")
    assert serving.inputs["tags"][naming.ROLE_TAG] == naming.SERVING_ROLE
    assert retained.inputs["tags"][naming.ROLE_TAG] == naming.RETAINED_ROLE
    assert retained.protect
    assert recording.outputs["database"] == {"serving": "mental-health-platform-sa-rds"}
