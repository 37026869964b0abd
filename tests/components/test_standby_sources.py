"""The ways to a standby's data: what is registered for each, what a promotion changes, what is refused and said."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pulumi
import pytest

from components import naming
from components.facts import Facts
from components.guards import Decision, decide
from components.settings.stack import Settings
from components.stack_outputs import Outputs
from components.standby_sources import BACKUP_DESTINATIONS
from tests.components.examples import (
    BACKUPS,
    COPY,
    FACTS,
    INSTANCE,
    KEY_ARN,
    LAST_SIGN,
    REPLICA,
    SOURCE_ARN,
    SOUTH_AFRICA,
    Path_,
    from_source,
    settings,
)
from tests.components.program import Program
from tests.components.recording import Recorded

INSTANCE_KEY = ("aws:rds/instance:Instance", "database-first")
REPLICATION = "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication"
STOOD_BY = Outputs(SOUTH_AFRICA, {"standby": True, "epoch": 1.0})
SERVED = Outputs(SOUTH_AFRICA, {"standby": False, "epoch": 2.0})
LATER = f"{SOURCE_ARN}-second"


def configured(source: str, **changes: Any) -> Settings:
    return settings(changes=from_source(source, **changes))


FOLLOWING, FOLLOWING_SERVES = configured("read-replica"), configured("read-replica", standby=False)
REPLICATING, REPLICATING_SERVES = configured("replicated-backups"), configured("replicated-backups", standby=False)
WITH_REPLICA = replace(FACTS, instances=(REPLICA,), replica_lag=timedelta(seconds=4))
WITH_BACKUPS = replace(FACTS, backups=(BACKUPS,))


def refusal(stack: Settings, facts: Facts, own: Outputs = STOOD_BY) -> str:
    with pytest.raises(pulumi.RunError) as refused:
        decide(stack, facts, own, None)
    assert "Nothing was changed" in str(refused.value)
    return str(refused.value)


def warned(decision: Decision, part: str) -> bool:
    return any(part in warning for warning in decision.warnings)


def program(source: str, standby: bool) -> Program:
    return Program(SOUTH_AFRICA, standby, source)


def replica(standby: bool) -> Recorded:
    return program("read-replica", standby).recorded().one(*INSTANCE_KEY)


# -- read-replica ---------------------------------------------------------------------------------------------------
def test_a_standby_follows_the_database_that_its_file_names() -> None:
    inputs = replica(standby=True).inputs
    assert inputs["replicateSourceDb"] == SOURCE_ARN
    assert inputs["identifier"] == "mental-health-platform-sa-rds"
    # AWS takes all of these from the source, or refuses them.
    for name in ("password", "username", "dbName", "engineVersion", "allocatedStorage", "finalSnapshotIdentifier"):
        assert name not in inputs
    assert inputs["kmsKeyId"] == "arn:aws:keys-key"
    assert inputs["multiAz"] is False
    assert inputs["skipFinalSnapshot"] is True
    assert inputs["backupRetentionPeriod"] == 7
    assert inputs["tags"][naming.ROLE_TAG] == naming.REPLICA_ROLE


def test_the_flip_promotes_the_replica_in_place() -> None:
    before, after = replica(standby=True), replica(standby=False)
    assert before.key == after.key
    changed = {name for name in {*before.inputs, *after.inputs} if before.inputs.get(name) != after.inputs.get(name)}
    assert changed == {
        "replicateSourceDb",
        "multiAz",
        "password",
        "skipFinalSnapshot",
        "finalSnapshotIdentifier",
        "allocatedStorage",
        "tags",
    }
    assert "replicateSourceDb" not in after.inputs
    assert "snapshotIdentifier" not in after.inputs
    assert after.inputs["multiAz"] is True
    assert after.inputs["password"] == "pw-master"
    assert after.inputs["tags"][naming.ROLE_TAG] == naming.SERVING_ROLE
    assert after.inputs["tags"][naming.RESTORED_FROM_TAG] == SOURCE_ARN
    # Ignored, it would go on following.
    assert "replicateSourceDb" not in after.ignore_changes


def test_services_know_the_replica_before_it_serves_and_no_role_is_made_there() -> None:
    recording = program("read-replica", standby=True).recorded()
    version = recording.one("aws:secretsmanager/secretVersion:SecretVersion", "critical-logins-api-gateway")
    assert "database-first.rds.amazonaws.com" in version.inputs["secretString"]
    calls = [call.name for call in recording.of("aws:lambda/invocation:Invocation")]
    assert calls == ["turns-first"], "which does nothing by itself"
    assert (recording.exports["database"], recording.exports["databaseArn"]) == (None, None)
    promoted = program("read-replica", standby=False).recorded()
    assert promoted.of("aws:lambda/invocation:Invocation")
    assert "database-first" in promoted.waits_for("critical-logins")


def test_copies_are_made_with_every_source_until_the_flip() -> None:
    for source in ("read-replica", "replicated-backups"):
        for standby, state in ((True, "ENABLED"), (False, "DISABLED")):
            schedule = program(source, standby).recorded().one("aws:scheduler/schedule:Schedule", "snapshots")
            assert schedule.inputs["state"] == state
    assert "snapshots" in replica(standby=False).dependencies


def test_a_promoted_replica_stays_what_it_is() -> None:
    promoted = replace(INSTANCE, restored_from=SOURCE_ARN)
    (plan,) = decide(FOLLOWING_SERVES, replace(FACTS, instances=(promoted,)), SERVED, None).databases
    assert (plan.follows, plan.snapshot, plan.data_from) == (None, None, SOURCE_ARN)


def test_an_existing_replica_keeps_its_own_storage_and_version() -> None:
    grown = replace(REPLICA, allocated_storage=400, engine_version="17.9")
    (plan,) = decide(FOLLOWING, replace(FACTS, instances=(grown,)), STOOD_BY, None).databases
    assert (plan.allocated_storage, plan.engine_version, plan.follows) == (400, "17.9", SOURCE_ARN)
    assert plan.serving


def test_another_source_in_the_configuration_is_said_and_changes_nothing() -> None:
    stack = settings(changes={**from_source("read-replica"), ("database", "standbySourceArn"): LATER})
    decision = decide(stack, replace(FACTS, instances=(REPLICA,)), STOOD_BY, None)
    assert decision.databases[0].follows == SOURCE_ARN
    assert decision.databases[0].data_from == SOURCE_ARN
    assert warned(decision, f"follows {SOURCE_ARN} and stays there, although database.standbySourceArn is {LATER}")
    assert not decide(FOLLOWING, replace(FACTS, instances=(REPLICA,)), STOOD_BY, None).warnings


def test_a_replica_that_does_not_follow_normally_is_said() -> None:
    facts = replace(FACTS, instances=(replace(REPLICA, replication="error no slot"),))
    assert warned(decide(FOLLOWING, facts, STOOD_BY, None), "does not follow normally: error no slot")


def test_a_replica_promoted_by_hand_is_not_made_one_again() -> None:
    message = refusal(FOLLOWING, replace(FACTS, instances=(replace(REPLICA, replica_of=None),)))
    assert "follows no other database any more" in message
    assert "pulumi config set standby false" in message


@pytest.mark.parametrize(
    "changes",
    [{("database", "standbySource"): "snapshot-copies"}, {("database", "generations", 0, "name"): "other"}],
    ids=["another source", "another name"],
)
def test_a_replica_is_not_dropped_by_an_edited_line(changes: Mapping[Path_, Any]) -> None:
    if ("database", "standbySource") in changes:
        stack = settings()
    else:
        generations = [{"name": "first", "origin": "newest"}, {"name": "second", "origin": "newest"}]
        pointed: dict[Path_, Any] = {("database", "generations"): generations, ("database", "serving"): "second"}
        stack = settings(changes={**from_source("read-replica"), **pointed})
    message = refusal(stack, replace(FACTS, instances=(REPLICA,)))
    assert "Replica mental-health-platform-sa-rds exists, but with database.standbySource" in message
    assert "pulumi state delete --force" in message


def test_a_replica_being_deleted_stops_nobody() -> None:
    gone = replace(REPLICA, status="deleting")
    assert decide(settings(), replace(FACTS, instances=(gone,)), STOOD_BY, None).databases == ()


@pytest.mark.parametrize("status", ["backing-up", "modifying", "rebooting", "storage-full", "failed"])
def test_a_replica_that_cannot_be_promoted_now_is_refused_with_the_way_out(status: str) -> None:
    message = refusal(FOLLOWING_SERVES, replace(WITH_REPLICA, instances=(replace(REPLICA, status=status),)))
    assert f"is {status} and can only be promoted when it is available" in message
    assert "add a generation with origin newest" in message


def test_without_its_replica_a_promotion_restores_a_copy_and_says_so() -> None:
    decision = decide(FOLLOWING_SERVES, FACTS, STOOD_BY, None)
    assert decision.databases[0].snapshot == COPY.identifier
    assert warned(decision, "There is no replica mental-health-platform-sa-rds: the database is restored from a copy")


def test_a_new_generation_beside_a_broken_replica_is_restored_from_a_copy() -> None:
    generations = [{"name": "first", "origin": "newest"}, {"name": "second", "origin": "newest"}]
    pointed: dict[Path_, Any] = {("database", "generations"): generations, ("database", "serving"): "second"}
    stack = settings(changes={**from_source("read-replica", standby=False), **pointed})
    first, second = decide(stack, WITH_REPLICA, STOOD_BY, None).databases
    assert (first.serving, first.follows) == (False, None)
    assert (second.serving, second.snapshot) == (True, COPY.identifier)


def test_what_is_lost_by_a_promotion_is_told_by_the_lag() -> None:
    def told(lag: timedelta | None) -> list[str]:
        decision = decide(FOLLOWING_SERVES, replace(WITH_REPLICA, replica_lag=lag), STOOD_BY, None)
        return [warning for warning in decision.warnings if warning.startswith("Promoting ")]

    assert told(timedelta(minutes=10)) == []
    assert (
        "was 25 minutes behind at the primary's last sign of life (2026-03-02 09:00" in told(timedelta(minutes=25))[0]
    )
    assert "than the planned 10" in told(timedelta(minutes=25))[0]
    assert "how far it was behind when the primary last answered is unknown" in told(None)[0]


def test_a_promotion_that_was_interrupted_says_how_to_go_on() -> None:
    half = replace(REPLICA, replica_of=None, status="modifying")
    decision = decide(FOLLOWING_SERVES, replace(FACTS, instances=(half,)), STOOD_BY, None)
    assert decision.databases[0].follows is None
    assert warned(decision, "run `pulumi refresh --target` with its URN")


# -- replicated-backups ---------------------------------------------------------------------------------------------
def test_backups_are_replicated_with_this_regions_key_and_survive_a_promotion() -> None:
    before, after = (
        program("replicated-backups", standby).recorded().one(REPLICATION, "replicated-backups")
        for standby in (True, False)
    )
    assert before.inputs == after.inputs
    assert after.inputs == {"sourceDbInstanceArn": SOURCE_ARN, "kmsKeyId": "arn:aws:keys-key", "retentionPeriod": 7}
    # Ending it calls the lost region.
    assert after.protect
    assert after.retain_on_delete
    assert set(after.ignore_changes) == {"sourceDbInstanceArn", "retentionPeriod"}


def test_only_that_source_replicates_backups() -> None:
    assert program("read-replica", True).recorded().of(REPLICATION) == []
    assert Program(SOUTH_AFRICA, True).recorded().of(REPLICATION) == []


def test_a_promotion_restores_the_backups_to_their_latest_time() -> None:
    inputs = program("replicated-backups", False).recorded().one(*INSTANCE_KEY).inputs
    assert inputs["restoreToPointInTime"] == {
        "sourceDbInstanceAutomatedBackupsArn": BACKUPS.arn,
        "useLatestRestorableTime": True,
    }
    assert "snapshotIdentifier" not in inputs
    assert "username" not in inputs
    assert inputs["tags"][naming.RESTORED_FROM_TAG] == BACKUPS.arn


def test_what_such_a_restore_cannot_take_is_left_out_for_good() -> None:
    restored = program("replicated-backups", False).recorded().one(*INSTANCE_KEY).inputs
    assert not [name for name in restored if name.startswith("performanceInsights")]
    kept = replace(INSTANCE, restored_from=BACKUPS.arn)
    (plan,) = decide(REPLICATING_SERVES, replace(FACTS, instances=(kept,)), SERVED, None).databases
    assert plan.from_backups
    for source in ("snapshot-copies", "read-replica"):
        stack = Program(SOUTH_AFRICA, False) if source == "snapshot-copies" else program(source, False)
        assert stack.recorded().one(*INSTANCE_KEY).inputs["performanceInsightsEnabled"] is True


def test_a_restored_database_forgets_its_backups_without_being_replaced() -> None:
    restored = replace(INSTANCE, restored_from=BACKUPS.arn)
    (plan,) = decide(REPLICATING_SERVES, replace(FACTS, instances=(restored,)), SERVED, None).databases
    assert (plan.snapshot, plan.backups, plan.data_from) == (None, None, BACKUPS.arn)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "pending"}, "is pending"),
        ({"latest": None}, "has no time of creation"),
        ({"key_arn": "other"}, "not encrypted with this region's data key but with other"),
        ({"source_arn": SOURCE_ARN.replace("kenya-rds", "else-rds")}, "not of kenya's"),
    ],
)
def test_backups_that_cannot_be_used_give_way_to_a_copy(changes: dict[str, Any], reason: str) -> None:
    facts = replace(FACTS, backups=(replace(BACKUPS, **changes),))
    (plan,) = decide(REPLICATING_SERVES, facts, STOOD_BY, None).databases
    assert (plan.snapshot, plan.backups) == (COPY.identifier, None)
    assert f"{BACKUPS.arn}: " in refusal(REPLICATING_SERVES, replace(facts, copies=()))
    assert reason in refusal(REPLICATING_SERVES, replace(facts, copies=()))


def test_the_newest_data_are_taken_wherever_they_lie() -> None:
    stopped = replace(BACKUPS, latest=LAST_SIGN - timedelta(hours=5), status="retained")
    (plan,) = decide(REPLICATING_SERVES, replace(FACTS, backups=(stopped,)), STOOD_BY, None).databases
    assert plan.snapshot == COPY.identifier
    decision = decide(REPLICATING_SERVES, replace(FACTS, backups=(stopped,), copies=()), STOOD_BY, None)
    assert decision.databases[0].backups == BACKUPS.arn
    assert warned(decision, f"Restoring the replicated backups of {SOURCE_ARN} of 2026-03-02 04:00 UTC, 300 minutes")


def test_a_pair_of_regions_without_replication_is_refused_with_the_way_out() -> None:
    message = refusal(REPLICATING, replace(FACTS, peer_can_send_backups=False))
    assert "RDS does not replicate automated backups from eu-west-1 to af-south-1" in message
    assert "snapshot-copies or read-replica, which work between all regions" in message
    assert "known destinations of eu-west-1: ca-central-1, eu-central-1" in message


def test_a_promotion_does_not_care_for_the_pair() -> None:
    assert decide(REPLICATING_SERVES, replace(WITH_BACKUPS, peer_can_send_backups=False), STOOD_BY, None).databases


def test_a_replication_that_stopped_or_is_of_another_database_is_said() -> None:
    stopped = replace(FACTS, backups=(replace(BACKUPS, status="retained"),))
    assert warned(decide(REPLICATING, stopped, STOOD_BY, None), f"backups of {SOURCE_ARN} is retained: nothing newer")
    other = settings(changes={**from_source("replicated-backups"), ("database", "standbySourceArn"): LATER})
    assert warned(decide(other, WITH_BACKUPS, STOOD_BY, None), f"although database.standbySourceArn is {LATER} now")
    assert decide(REPLICATING, WITH_BACKUPS, STOOD_BY, None).warnings == ()


def test_the_table_of_pairs_knows_ireland_and_not_cape_town() -> None:
    assert "eu-west-2" in BACKUP_DESTINATIONS["eu-west-1"]
    everywhere = {region for destinations in BACKUP_DESTINATIONS.values() for region in destinations}
    assert "af-south-1" not in everywhere | set(BACKUP_DESTINATIONS)


# -- all of them ----------------------------------------------------------------------------------------------------
def test_no_copy_taken_after_the_takeover_is_used() -> None:
    taken_over = LAST_SIGN - timedelta(minutes=12)
    facts = replace(WITH_BACKUPS, taken_over_at=taken_over)
    (plan,) = decide(REPLICATING_SERVES, facts, SERVED, None).databases
    assert (plan.snapshot, plan.backups) == (COPY.identifier, None)
    late = replace(facts, copies=(replace(COPY, original_created_at=LAST_SIGN, key_arn=KEY_ARN),))
    assert "taken after this stack took over (2026-03-02 08:48 UTC)" in refusal(REPLICATING_SERVES, late, SERVED)


def test_after_a_takeover_the_newest_copy_of_the_lost_primary_is_no_second_generation() -> None:
    generations = [{"name": "first", "origin": "newest"}, {"name": "restored", "origin": "newest"}]
    second = settings(changes={("standby",): False, ("database", "generations"): generations})
    message = refusal(second, replace(FACTS, instances=(INSTANCE,), taken_over_at=LAST_SIGN), SERVED)
    assert "took over at 2026-03-02 09:00 UTC" in message
    assert "an earlier generation (`of`)" in message
