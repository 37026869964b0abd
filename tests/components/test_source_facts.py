"""Facts of replicas, replicated backups and of what RDS offers are read as AWS answers them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import ANY

from components.facts import Offer
from tests.components.examples import (
    BACKUPS,
    INSTANCE,
    KEY_ARN,
    LAST_SIGN,
    SOURCE_ARN,
    SOUTH_AFRICA,
    from_source,
    settings,
)
from tests.components.test_facts import INSTANCE_ANSWER, SIGN, TAKEN_OVER_AT, Aws, lookup

FOLLOWING = settings(changes=from_source("read-replica"))
REPLICATING = settings(changes=from_source("replicated-backups"))
SERVING_BACKUPS = settings(changes=from_source("replicated-backups", standby=False))
PROMOTED = settings(changes=from_source("read-replica", standby=False))
REPLICA_ANSWER = {**INSTANCE_ANSWER, "ReadReplicaSourceDBInstanceIdentifier": SOURCE_ARN}
BACKUPS_ANSWER: dict[str, Any] = {
    "DBInstanceAutomatedBackupsArn": BACKUPS.arn,
    "DBInstanceArn": SOURCE_ARN,
    "DbiResourceId": BACKUPS.resource_id,
    "Region": "eu-west-1",
    "Status": "replicating",
    "KmsKeyId": KEY_ARN,
    "RestoreWindow": {"EarliestTime": BACKUPS.earliest, "LatestTime": BACKUPS.latest},
    "EngineVersion": "17.6",
    "AllocatedStorage": 100,
}
OPTION: dict[str, Any] = {
    "EngineVersion": "17.6",
    "StorageType": "gp3",
    "MinStorageSize": 20,
    "MaxStorageSize": 65536,
    "MultiAZCapable": True,
    "SupportsStorageEncryption": True,
    "SupportsEnhancedMonitoring": True,
    "SupportsPerformanceInsights": True,
}


def backups(aws: Aws, *entries: dict[str, Any]) -> Aws:
    answer = {"DBInstanceAutomatedBackups": list(entries)}
    aws.on("rds").add_response("describe_db_instance_automated_backups", answer, {})
    return aws


def asked_for_pair(aws: Aws, supports: bool) -> Aws:
    answer = {"SourceRegions": [{"RegionName": "eu-west-1", "SupportsDBInstanceAutomatedBackupsReplication": supports}]}
    aws.on("rds").add_response("describe_source_regions", answer, {"RegionName": "eu-west-1"})
    return aws


def test_a_standby_that_begins_to_replicate_asks_whether_the_pair_exists() -> None:
    for supports in (True, False):
        aws = asked_for_pair(backups(Aws().identity().instances([])), supports)
        assert aws.read(REPLICATING).peer_can_send_backups is supports


def test_a_standby_that_replicates_already_does_not_ask_again() -> None:
    found = backups(Aws().identity().instances([]), BACKUPS_ANSWER).read(REPLICATING)
    assert found.backups == (BACKUPS,)
    assert found.peer_can_send_backups


def test_backups_of_the_regions_own_databases_are_left_out() -> None:
    own = {**BACKUPS_ANSWER, "Region": "af-south-1", "Status": "active"}
    assert backups(Aws().identity().instances([]), own, BACKUPS_ANSWER).read(REPLICATING).backups == (BACKUPS,)


def test_a_promotion_sees_how_far_the_backups_reach() -> None:
    aws = backups(Aws().identity().instances([]), {**BACKUPS_ANSWER, "RestoreWindow": {}, "KmsKeyId": "other"})
    found = aws.copies([]).key().sign_of_life(SIGN).offers().marker().read(SERVING_BACKUPS)
    (entry,) = found.backups
    assert entry == replace(BACKUPS, key_arn="other", earliest=None, latest=None)


def test_other_sources_ask_for_no_backups() -> None:
    assert Aws().identity().instances([]).read(settings()).backups == ()


def test_offers_are_of_our_storage_and_say_what_they_lack() -> None:
    lacking = {**OPTION, "EngineVersion": "16.9", "MultiAZCapable": False, "SupportsPerformanceInsights": False}
    found = Aws().identity().instances([]).offers(OPTION, lacking, {**OPTION, "StorageType": "io2"}).read(FOLLOWING)
    assert found.offers == (
        Offer("17.6", 20, 65536, ()),
        Offer("16.9", 20, 65536, ("Multi-AZ", "Performance Insights")),
    )


def test_what_rds_offers_is_asked_only_before_a_database_is_made() -> None:
    assert Aws().identity().instances([REPLICA_ANSWER]).read(FOLLOWING).offers == ()
    assert Aws().identity().instances([INSTANCE_ANSWER]).read(PROMOTED).offers == ()


def lag(aws: Aws, *points: float) -> Aws:
    datapoints = [
        {"Timestamp": LAST_SIGN - timedelta(minutes=len(points) - number), "Maximum": value}
        for number, value in enumerate(points)
    ]
    aws.on("cloudwatch").add_response(
        "get_metric_statistics",
        {"Datapoints": datapoints},
        {
            "Namespace": "AWS/RDS",
            "MetricName": "ReplicaLag",
            "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": INSTANCE.identifier}],
            "StartTime": ANY,
            # What came after the primary last answered only counts how long it is gone.
            "EndTime": LAST_SIGN,
            "Period": 60,
            "Statistics": ["Maximum"],
        },
    )
    return aws


@pytest.mark.parametrize(("points", "expected"), [((90.0, 4.0), timedelta(seconds=4)), ((), None), ((3.0, -1.0), None)])
def test_a_promotion_sees_how_far_the_replica_was_behind(points: tuple[float, ...], expected: timedelta | None) -> None:
    aws = lag(Aws().identity().instances([REPLICA_ANSWER]).sign_of_life(SIGN), *points)
    found = aws.read(PROMOTED)
    assert (found.replica_lag, found.sign_of_life) == (expected, LAST_SIGN)
    assert found.copies == ()
    assert aws.regions == {"af-south-1"}


def test_a_lag_that_cannot_be_read_is_unknown_and_stops_nobody() -> None:
    aws = Aws().identity().instances([REPLICA_ANSWER]).sign_of_life(SIGN)
    aws.on("cloudwatch").add_client_error("get_metric_statistics", "InternalFailure")
    assert aws.read(PROMOTED).replica_lag is None


def test_trouble_with_following_is_told_in_aws_words() -> None:
    trouble = [{"StatusType": "read replication", "Normal": False, "Status": "error", "Message": "no slot"}]
    (found,) = Aws().identity().instances([{**REPLICA_ANSWER, "StatusInfos": trouble}]).read(FOLLOWING).instances
    assert found.replication == "error no slot"
    fine = [{"StatusType": "read replication", "Normal": True, "Status": "replicating"}]
    (found,) = Aws().identity().instances([{**REPLICA_ANSWER, "StatusInfos": fine}]).read(FOLLOWING).instances
    assert found.replication is None


def test_a_promoted_database_follows_nothing() -> None:
    (found,) = (
        Aws()
        .identity()
        .instances([{**REPLICA_ANSWER, "ReadReplicaSourceDBInstanceIdentifier": ""}])
        .read(PROMOTED)
        .instances
    )
    assert found.replica_of is None


@pytest.mark.parametrize(("said", "expected"), [("taken-over: yes", TAKEN_OVER_AT), ("taken-over: no", None)])
def test_the_takeover_is_when_the_marker_was_written(said: str, expected: datetime | None) -> None:
    aws = Aws().identity().instances([]).copies([]).key().sign_of_life(SIGN).offers().marker(said)
    assert aws.read(settings(SOUTH_AFRICA, {("standby",): False})).taken_over_at == expected
    assert datetime(2026, 3, 2, 10, tzinfo=UTC) == TAKEN_OVER_AT
    assert lookup().read().taken_over_at is None
