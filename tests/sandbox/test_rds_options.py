"""What RDS refuses of an instance's options and parameters, each with AWS's error code, and what it sells where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from components.database_logging import monitoring_policy
from sandbox.cloud import rds_rules
from tests.sandbox.database_estate import Estate, gone, running_estate
from tests.sandbox.roles import make
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with running_estate() as estate:
        yield estate


def role(estate: Estate, service: str) -> str:
    """The ARN of a role that `service` may take on."""
    return make(estate.world.client("iam", KENYA), service.replace(".", "-"), service)


@pytest.fixture(scope="module")
def roles(estate: Estate) -> dict[str, str]:
    """By the service that may take them on; `powerless` is monitoring's without the right to write figures."""
    found = {name: role(estate, f"{name}.amazonaws.com") for name in ("monitoring.rds", "lambda")}
    policy = json.loads(monitoring_policy(KENYA, "123456789012"))
    policy["Statement"][1]["Action"].remove("logs:PutLogEvents")
    iam = estate.world.client("iam", KENYA)
    powerless = make(iam, "powerless", "monitoring.rds.amazonaws.com", allowed=None)
    iam.put_role_policy(RoleName="powerless", PolicyName="monitoring", PolicyDocument=json.dumps(policy))
    return {**found, "powerless": powerless}


VALUE, COMBINATION = "InvalidParameterValue", "InvalidParameterCombination"
WINDOW = "PreferredBackupWindow"
MAINTENANCE = "PreferredMaintenanceWindow"
INSIGHTS = "EnablePerformanceInsights"
DAYS = "PerformanceInsightsRetentionPeriod"
LOGS = "EnableCloudwatchLogsExports"
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({WINDOW: "3:00-3:30"}, VALUE, "Invalid backup window format"),
    ({WINDOW: "03:00-24:30"}, VALUE, "Invalid backup window format"),
    ({WINDOW: "03:00-03:29"}, VALUE, "The backup window must be at least 30 minutes"),
    ({MAINTENANCE: "sunday:04:30-sunday:05:30"}, VALUE, "Invalid maintenance window format"),
    ({MAINTENANCE: "sun:04:30-sun:04:45"}, VALUE, "The maintenance window must be at least 30 minutes"),
    ({MAINTENANCE: "sun:04:30-mon:04:30"}, VALUE, "less than 24 hours"),
    ({WINDOW: "03:00-03:30", MAINTENANCE: "sun:03:29-sun:04:30"}, VALUE, "must not overlap"),
    ({WINDOW: "23:45-00:15", MAINTENANCE: "mon:00:00-mon:01:00"}, VALUE, "must not overlap"),
    ({WINDOW: "00:00-00:30", MAINTENANCE: "sun:23:45-mon:00:15"}, VALUE, "must not overlap"),
    ({"MonitoringInterval": 60}, COMBINATION, "A MonitoringRoleARN value is required"),
    ({"MonitoringInterval": 7, "MonitoringRoleArn": "monitoring.rds"}, VALUE, "Invalid monitoring interval: 7"),
    ({"MonitoringRoleArn": "monitoring.rds"}, COMBINATION, "MonitoringInterval value other than 0"),
    ({"MonitoringInterval": 60, "MonitoringRoleArn": "lambda"}, VALUE, "ENHANCED_MONITORING"),
    ({"MonitoringInterval": 60, "MonitoringRoleArn": "powerless"}, VALUE, "ENHANCED_MONITORING"),
    ({"MonitoringInterval": 60, "MonitoringRoleArn": "arn:aws:iam::123456789012:role/none"}, VALUE, "ENHANCED_MON"),
    ({DAYS: 7}, COMBINATION, "To enable Performance Insights"),
    ({INSIGHTS: True, DAYS: 8}, VALUE, "Invalid Performance Insights retention period: 8"),
    ({INSIGHTS: True, "PerformanceInsightsKMSKeyId": "alias/nothing"}, "KMSKeyNotAccessibleFault", "alias/nothing"),
    ({LOGS: ["postgresql", "slowquery"]}, COMBINATION, "You cannot use the log types 'slowquery'"),
    ({"DBParameterGroupName": "older"}, COMBINATION, "Please use a Parameter Group with DBParameterGroupFamily"),
    ({"DBParameterGroupName": "default.postgres16"}, COMBINATION, "DBParameterGroupFamily postgres16"),
    ({"StorageType": "gp3", "StorageThroughput": 500}, COMBINATION, "storage size less than 400"),
    ({"StorageType": "gp3", "Iops": 12000}, COMBINATION, "storage size less than 400"),
    ({"StorageType": "gp3", "AllocatedStorage": 19}, VALUE, "Invalid storage size"),
    ({"BackupRetentionPeriod": 36}, VALUE, "Invalid backup retention period: 36"),
    ({"EngineVersion": "17.1"}, COMBINATION, "Cannot find version 17.1"),
]


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize(("change", "code", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_an_instance_may_not_have(
    estate: Estate, roles: dict[str, str], older: None, change: dict[str, Any], code: str, message: str
) -> None:
    told = {name: roles.get(value, value) if isinstance(value, str) else value for name, value in change.items()}
    with pytest.raises(ClientError, match=message) as refused:
        estate.create("refused", **told)
    assert _code(refused) == code
    assert gone(estate, "refused")


@pytest.fixture(scope="module")
def older(estate: Estate) -> None:
    estate.rds().create_db_parameter_group(
        DBParameterGroupName="older", DBParameterGroupFamily="postgres16", Description="x"
    )


def test_what_an_instance_may_have(estate: Estate, roles: dict[str, str]) -> None:
    estate.create(
        "complete",
        PreferredBackupWindow="23:30-00:00",
        PreferredMaintenanceWindow="Mon:00:15-Mon:00:45",
        MonitoringInterval=60,
        MonitoringRoleArn=roles["monitoring.rds"],
        EnablePerformanceInsights=True,
        PerformanceInsightsKMSKeyId=estate.keys[KENYA],
        PerformanceInsightsRetentionPeriod=31,
        EnableCloudwatchLogsExports=["postgresql", "upgrade"],
        StorageType="gp3",
    )
    found = estate.available("complete")
    assert (found["MonitoringInterval"], found["MonitoringRoleArn"]) == (60, roles["monitoring.rds"])
    assert (found["PerformanceInsightsEnabled"], found["PerformanceInsightsRetentionPeriod"]) == (True, 31)
    another = estate.world.client("kms", KENYA).create_key()["KeyMetadata"]["Arn"]
    for change, code, message in (
        ({WINDOW: "00:30-01:00"}, VALUE, "must not overlap"),
        ({"MonitoringInterval": 2}, VALUE, "Invalid monitoring interval"),
        ({"PerformanceInsightsKMSKeyId": another}, COMBINATION, "You can't change your Performance Insights KMS key"),
        ({"CloudwatchLogsExportConfiguration": {"EnableLogTypes": ["error"]}}, COMBINATION, "log types 'error'"),
        ({"Iops": 12000}, COMBINATION, "storage size less than 400"),
    ):
        with pytest.raises(ClientError, match=message) as refused:
            estate.rds().modify_db_instance(DBInstanceIdentifier="complete", **change)
        assert _code(refused) == code
    estate.delete("complete")


def test_a_final_snapshot_needs_a_name_of_its_own(estate: Estate) -> None:
    estate.create("last")
    estate.snapshot("last", "taken")
    with pytest.raises(ClientError, match="taken") as refused:
        estate.delete("last", FinalDBSnapshotIdentifier="taken")
    assert _code(refused) == "DBSnapshotAlreadyExists"
    assert estate.describe("last")["DBInstanceStatus"] == "available"
    estate.delete("last")


# -- parameters ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value", "method", "code", "message"),
    [
        ("log_statment", "ddl", "immediate", VALUE, "Could not find parameter with name: log_statment"),
        ("rds.force_tls", "1", "immediate", VALUE, "Could not find parameter"),
        ("port", "5433", "pending-reboot", VALUE, "The parameter port cannot be modified"),
        ("max_connections", "200", "immediate", COMBINATION, "cannot use immediate apply method for static parameter"),
        ("rds.logical_replication", "1", "immediate", COMBINATION, "cannot use immediate apply method"),
        ("statement_timeout", "-5", "immediate", VALUE, "allowed values are: 0-2147483647"),
        ("statement_timeout", "soon", "immediate", VALUE, "Invalid parameter value: soon"),
        ("log_connections", "maybe", "immediate", VALUE, "allowed values are: 0,1"),
        ("rds.force_ssl", "yes", "immediate", VALUE, "allowed values are: 0,1"),
    ],
)
def test_a_parameter_that_cannot_be_set(
    estate: Estate, older: None, name: str, value: str, method: str, code: str, message: str
) -> None:
    entry = {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}
    with pytest.raises(ClientError, match=message) as refused:
        estate.rds().modify_db_parameter_group(DBParameterGroupName="older", Parameters=[entry])
    assert _code(refused) == code
    assert estate.rds().describe_db_parameters(DBParameterGroupName="older", Source="user")["Parameters"] == []


def test_parameters_that_can_be_set(estate: Estate) -> None:
    rds = estate.rds()
    rds.create_db_parameter_group(DBParameterGroupName="right", DBParameterGroupFamily="postgres17", Description="x")
    wanted = [
        {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}
        for name, value, method in (
            ("rds.force_ssl", "1", "immediate"),
            ("log_min_duration_statement", "-1", "immediate"),
            ("log_error_verbosity", "terse", "immediate"),
            ("max_connections", "200", "pending-reboot"),
            ("shared_buffers", "{DBInstanceClassMemory/32768}", "pending-reboot"),
            ("pgaudit.log", "ddl", "immediate"),
        )
    ]
    rds.modify_db_parameter_group(DBParameterGroupName="right", Parameters=wanted)
    found = rds.describe_db_parameters(DBParameterGroupName="right", Source="user")["Parameters"]
    assert {item["ParameterName"]: item["ParameterValue"] for item in found} == {
        item["ParameterName"]: item["ParameterValue"] for item in wanted
    }
    with pytest.raises(ClientError, match="postgres99 is not a valid parameter group family") as refused:
        rds.create_db_parameter_group(DBParameterGroupName="x", DBParameterGroupFamily="postgres99", Description="x")
    assert _code(refused) == VALUE


# -- what is sold -------------------------------------------------------------------------------------------------
def test_each_region_sells_its_own_classes(estate: Estate) -> None:
    def offers(region: str, **asked: Any) -> list[dict[str, Any]]:
        pages = (
            estate.rds(region)
            .get_paginator("describe_orderable_db_instance_options")
            .paginate(Engine="postgres", Vpc=True, **asked)
        )
        return [option for page in pages for option in page["OrderableDBInstanceOptions"]]

    found = offers(SOUTH_AFRICA, DBInstanceClass="db.t4g.medium", MaxRecords=100)
    assert {option["StorageType"] for option in found} == set(rds_rules.STORAGE)
    assert all(option["MultiAZCapable"] and option["SupportsPerformanceInsights"] for option in found)
    sold = {option["EngineVersion"] for option in found}
    assert rds_rules.full_version("17") in sold
    assert not sold & {"17", "17.1", *rds_rules.deprecated()}
    (gp3,) = (option for option in found if (option["EngineVersion"], option["StorageType"]) == ("17.6", "gp3"))
    assert (gp3["MinStorageSize"], gp3["MaxStorageSize"]) == (20, 65536)
    assert [zone["Name"] for zone in gp3["AvailabilityZones"]] == [f"{SOUTH_AFRICA}{zone}" for zone in "abc"]
    assert offers(SOUTH_AFRICA, EngineVersion="9.3.1") == []
    only_there = sorted(rds_rules.classes(KENYA) - rds_rules.classes(SOUTH_AFRICA))[0]
    assert offers(SOUTH_AFRICA, DBInstanceClass=only_there) == []
    assert offers(KENYA, DBInstanceClass=only_there, EngineVersion="17.6") != []
