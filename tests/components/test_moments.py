"""A generation is what an earlier one was at a time: within what RDS can restore, once, and never again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi
import pytest

from components import naming
from components.database_plans import DatabasePlan
from components.facts import Backups, Facts, Instance
from components.guards import Decision, decide
from components.origins import Moment
from components.settings.database import GenerationSettings
from components.settings.stack import Settings
from components.stack_outputs import Outputs
from tests.components.examples import ACCOUNT, BACKUPS, COPY, FACTS, INSTANCE, KENYA, SOUTH_AFRICA, settings
from tests.components.test_database import INSTANCE as TYPE
from tests.components.test_database import RESTORED, build
from tests.components.test_facts import INSTANCE_ANSWER, SIGN, Aws, tag_list
from tests.components.test_source_facts import BACKUPS_ANSWER

FIRST = "mental-health-platform-kenya-rds"
SECOND = f"{FIRST}-restored"
TIME = "2026-03-02T09:14:30+03:00"
AT = datetime(2026, 3, 2, 6, 14, 30, tzinfo=UTC)
SERVED = Outputs(KENYA, {"standby": False, "epoch": 1.0, "account": ACCOUNT, "region": "eu-west-1"})
LIVE = replace(INSTANCE, identifier=FIRST, restored_from=None)
OWN = replace(
    BACKUPS, source_arn=f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:{FIRST}", status="active", resource_id="db-FIRST"
)
MADE = replace(LIVE, identifier=SECOND, generation="restored", role=naming.RETAINED_ROLE, restored_from=f"{FIRST}@then")


def with_second(origin: str = TIME, of: str | None = "first", stack: str = KENYA, **changes: Any) -> Settings:
    """The real files and one more generation behind the first, which serves."""
    first = {"name": "first", "origin": "empty" if stack == KENYA else "newest"}
    second = {"name": "restored", "origin": origin, **({} if of is None else {"of": of})}
    return settings(stack, {("database", "generations"): [first, second], **{(key,): v for key, v in changes.items()}})


def facts(*own: Backups, instances: tuple[Instance, ...] = (LIVE,), **changes: Any) -> Facts:
    return replace(FACTS, instances=instances, own_backups=own, copies=(), sign_of_life=None, **changes)


def decided(*own: Backups, configured: Settings | None = None, **more: Any) -> Decision:
    return decide(configured or with_second(), facts(*own, **more), SERVED, None)


def refusal(*own: Backups, **more: Any) -> str:
    with pytest.raises(pulumi.RunError) as refused:
        decided(*own, **more)
    assert "Nothing was changed" in str(refused.value)
    return str(refused.value)


def test_it_is_planned_beside_the_serving_one_as_what_that_was_then() -> None:
    decision = decided(OWN)
    first, second = decision.databases
    assert (first.serving, first.moment, first.data_from) == (True, None, None)
    assert (second.identifier, second.serving) == (SECOND, False)
    assert second.moment == Moment(FIRST, "db-FIRST", AT)
    assert second.data_from == f"{FIRST}@2026-03-02T06:14:30Z"
    assert (second.snapshot, second.backups, second.follows) == (None, None, None)
    assert [text for text in decision.warnings if text.startswith(f"Restoring {FIRST} as of 2026-03-02 06:14:30 UTC")]


def test_version_and_storage_come_from_the_backups() -> None:
    second = decided(replace(OWN, engine_version="16.9", allocated_storage=300)).databases[1]
    assert (second.engine_version, second.allocated_storage) == ("16.9", 300)


@pytest.mark.parametrize(
    ("earliest", "latest"),
    [(AT - timedelta(hours=1), AT - timedelta(seconds=1)), (AT + timedelta(seconds=1), AT + timedelta(hours=1))],
)
def test_a_time_out_of_range_is_refused_with_the_window(earliest: datetime, latest: datetime) -> None:
    message = refusal(replace(OWN, earliest=earliest, latest=latest))
    assert f"Generation restored cannot be what first ({FIRST}) was at 2026-03-02 06:14:30 UTC" in message
    assert f"from {earliest:%Y-%m-%d %H:%M:%S} to {latest:%Y-%m-%d %H:%M:%S} UTC" in message
    for end in (AT, AT + timedelta(hours=1)):
        assert decided(replace(OWN, earliest=AT - timedelta(hours=1), latest=end)).databases[1].moment
    assert decided(replace(OWN, earliest=AT)).databases[1].moment


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ((), "there are no automated backups of it in eu-west-1"),
        ((replace(OWN, source_arn=BACKUPS.source_arn.replace("kenya-rds", "else")),), "there are no automated backups"),
        ((replace(OWN, earliest=None, latest=None),), "its first automated backup is not done yet"),
        ((replace(OWN, status="creating"),), "its first automated backup is not done yet"),
        (
            (replace(OWN, key_arn="arn:other"),),
            "backups are not encrypted with this region's data key but with arn:other",
        ),
    ],
)
def test_without_usable_backups_it_is_refused_with_the_reason(own: tuple[Backups, ...], reason: str) -> None:
    assert reason in refusal(*own)


def test_a_deleted_ones_kept_backups_are_as_good_and_its_successors_are_told_apart() -> None:
    """An instance that was deleted and made again under its name has two: each reaches its own time."""
    old = replace(OWN, status="retained", resource_id="db-OLD", latest=AT + timedelta(minutes=1))
    new = replace(OWN, resource_id="db-NEW", earliest=AT + timedelta(hours=1), latest=AT + timedelta(hours=2))
    for own in ((old, new), (new, old)):
        moment = decided(*own).databases[1].moment
        assert moment is not None
        assert moment.resource_id == "db-OLD"
    message = refusal(replace(old, latest=AT - timedelta(hours=1)), new)
    assert message.count(" UTC or from ") == 1


def test_once_made_it_stays_what_it_is_whatever_becomes_of_time_and_backups() -> None:
    for own in ((), (replace(OWN, latest=AT - timedelta(days=1)),)):
        second = decided(*own, instances=(LIVE, MADE)).databases[1]
        assert (second.moment, second.snapshot, second.data_from) == (None, None, MADE.restored_from)
        assert second.from_backups


def test_an_own_snapshot_by_its_name_is_restored_beside_a_serving_database() -> None:
    own = replace(
        COPY, identifier=f"{FIRST}-snapshot-2026-03-02", source_database=FIRST, copied_from=None, made_by=None
    )
    decision = decide(with_second(own.identifier, of=None), replace(facts(), copies=(own, COPY)), SERVED, None)
    second = decision.databases[1]
    assert (second.snapshot, second.moment, second.serving) == (own.identifier, None, False)
    assert second.data_from == own.identifier
    assert not second.from_backups
    (warning,) = [text for text in decision.warnings if text.startswith("Restoring ")]
    assert warning.startswith(f"Restoring {own.identifier} as of 2026-03-02 08:45:00 UTC: what was written later")


def test_a_promoted_stack_restores_its_own_database_too() -> None:
    own = replace(OWN, source_arn=f"arn:aws:rds:af-south-1:{ACCOUNT}:db:{INSTANCE.identifier}")
    configured = with_second(stack=SOUTH_AFRICA, standby=False)
    known = replace(FACTS, instances=(INSTANCE,), own_backups=(own,))
    moment = decide(configured, known, Outputs(SOUTH_AFRICA, {}), None).databases[1].moment
    assert moment == Moment(INSTANCE.identifier, "db-FIRST", AT)


# -- what is read of AWS ----------------------------------------------------------------------------------------------
OWN_ANSWER = {
    **BACKUPS_ANSWER,
    "DBInstanceArn": f"arn:aws:rds:af-south-1:{ACCOUNT}:db:{INSTANCE.identifier}",
    "DbiResourceId": "db-FIRST",
    "Region": "af-south-1",
    "Status": "active",
}
MADE_ANSWER = {
    **INSTANCE_ANSWER,
    "DBInstanceIdentifier": f"{INSTANCE.identifier}-restored",
    "TagList": tag_list({"Platform": naming.PLATFORM, "Stack": SOUTH_AFRICA}),
}


def test_the_windows_are_read_while_the_generation_is_missing_and_never_again() -> None:
    configured = with_second(stack=SOUTH_AFRICA, standby=False)
    aws = Aws().identity().instances([INSTANCE_ANSWER])
    answer = {"DBInstanceAutomatedBackups": [BACKUPS_ANSWER, OWN_ANSWER]}
    aws.on("rds").add_response("describe_db_instance_automated_backups", answer, {})
    found = aws.copies([]).key().sign_of_life(SIGN).offers().marker().read(configured)
    assert found.backups == ()
    (own,) = found.own_backups
    assert (own.resource_id, own.earliest, own.latest) == ("db-FIRST", BACKUPS.earliest, BACKUPS.latest)
    assert Aws().identity().instances([INSTANCE_ANSWER, MADE_ANSWER]).read(configured).own_backups == ()


# -- what the provider is told ----------------------------------------------------------------------------------------
MOMENT = Moment(FIRST, "db-FIRST", AT)
PLAN = DatabasePlan(
    generation=GenerationSettings(name="restored", origin=TIME, of="first"),
    identifier=SECOND,
    serving=False,
    engine_version="17.6",
    allocated_storage=100,
    moment=MOMENT,
    data_from=str(MOMENT),
)


def test_the_provider_is_told_source_and_time_and_nothing_that_it_drops() -> None:
    instance = build(RESTORED, PLAN).one(TYPE[0], "database-restored")
    inputs = instance.inputs
    assert inputs["restoreToPointInTime"] == {"sourceDbiResourceId": "db-FIRST", "restoreTime": "2026-03-02T06:14:30Z"}
    for name in ("snapshotIdentifier", "username", "dbName", "engineVersion", "replicateSourceDb"):
        assert name not in inputs
    assert not [name for name in inputs if name.startswith("performanceInsights")]
    assert inputs["tags"][naming.RESTORED_FROM_TAG] == f"{FIRST}@2026-03-02T06:14:30Z"
    assert inputs["tags"][naming.ROLE_TAG] == naming.RETAINED_ROLE
    assert (instance.protect, inputs["deletionProtection"]) == (True, True)
    assert "restoreToPointInTime" in instance.ignore_changes


def test_a_later_deployment_tells_it_no_other_source() -> None:
    kept = replace(PLAN, moment=None)
    inputs = build(RESTORED, kept).one(TYPE[0], "database-restored").inputs
    assert not {"restoreToPointInTime", "snapshotIdentifier"} & set(inputs)
    assert not [name for name in inputs if name.startswith("performanceInsights")]
