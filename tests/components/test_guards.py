"""What a deployment may not do is refused with what was found, and the right copy is chosen."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pulumi
import pytest

from components import guards, naming
from components.facts import Copy, Facts
from components.guards import Decision, decide
from components.settings.stack import Settings
from components.stack_outputs import Outputs
from tests.components.examples import (
    COPY,
    FACTS,
    INSTANCE,
    KENYA,
    LAST_SIGN,
    SOUTH_AFRICA,
    Path_,
    settings,
    with_copies,
    with_instances,
)

SERVE: dict[Path_, Any] = {("standby",): False}
PROMOTED = settings(SOUTH_AFRICA, SERVE)
STANDING_BY = settings(SOUTH_AFRICA)
PRIMARY = settings(KENYA)
NEVER_DEPLOYED = Outputs(SOUTH_AFRICA, {})
STOOD_BY = Outputs(SOUTH_AFRICA, {"standby": True, "epoch": 1.0, "account": "123456789012", "region": "af-south-1"})
SERVED = Outputs(SOUTH_AFRICA, {**STOOD_BY.values, "standby": False})


def copy(minutes_ago: int, **changes: Any) -> Copy:
    """A copy whose data was current so many minutes before the primary's last sign of life."""
    return replace(
        COPY,
        identifier=f"mental-health-platform-kenya-rds-snapshot-{minutes_ago}-minutes",
        original_created_at=LAST_SIGN - timedelta(minutes=minutes_ago),
        **changes,
    )


def refusal(
    configured: Settings, facts: Facts = FACTS, own: Outputs = STOOD_BY, peer: Mapping[str, Any] | None = None
) -> str:
    with pytest.raises(pulumi.RunError) as refused:
        decide(configured, facts, own, None if peer is None else Outputs(KENYA, peer))
    assert "Nothing was changed" in str(refused.value)
    return str(refused.value)


def promotion(facts: Facts) -> Decision:
    return decide(PROMOTED, facts, STOOD_BY, None)


def age_warnings(decision: Decision) -> list[str]:
    return [warning for warning in decision.warnings if warning.startswith("Restoring ")]


def chosen(*copies: Copy) -> str | None:
    return promotion(with_copies(*copies)).databases[0].snapshot


def test_standing_by_plans_no_database() -> None:
    assert decide(STANDING_BY, FACTS, STOOD_BY, None) == Decision(1, (), ())


def test_a_promotion_restores_the_newest_copy_under_the_plans_name() -> None:
    decision = promotion(with_copies(COPY))
    (database,) = decision.databases
    assert database.snapshot == COPY.identifier
    assert database.identifier == "mental-health-platform-sa-rds"
    assert database.serving
    assert decision.epoch == 2
    assert age_warnings(decision) == []


def test_newest_is_by_the_time_of_the_data_not_of_the_copying() -> None:
    # Made by facts.as_copy from OriginalSnapshotCreateTime; the list's order and the names say the opposite.
    newer, older = replace(copy(15), identifier="a-copied-first"), replace(copy(45), identifier="z-copied-last")
    assert chosen(newer, older) == chosen(older, newer) == "a-copied-first"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source_database": "somebody-elses-rds"}, "of database somebody-elses-rds, not of kenya's"),
        ({"source_database": "mental-health-platform-kenya-rdsx"}, "not of kenya's"),
        ({"source_database": "mental-health-platform-sa-rds"}, "not of kenya's"),
        (
            {"made_by": None},
            "made by neither the snapshot cycle nor `dr snapshot`, and not copied from an automated snapshot",
        ),
        ({"unusable": True}, "marked platform:unusable"),
        ({"status": "creating"}, "is creating"),
        ({"status": "failed"}, "is failed"),
        ({"status": "copying"}, "is copying"),
        ({"encrypted": False, "key_arn": None}, "not encrypted with this region's data key but with none"),
        ({"key_arn": "arn:aws:kms:af-south-1:1:key/x"}, "data key but with arn:aws:kms:af-south-1:1:key/x"),
        ({"original_created_at": None}, "has no time of creation"),
    ],
)
def test_a_copy_that_cannot_be_used_is_passed_over_and_explained(changes: dict[str, Any], reason: str) -> None:
    good, bad = copy(30), replace(copy(1), **changes)
    assert chosen(bad, good) == good.identifier
    message = refusal(PROMOTED, with_copies(bad))
    assert "No usable copy of the database of kenya exists in af-south-1" in message
    assert f"{bad.identifier}: " in message
    assert reason in message


def test_a_copy_made_by_hand_is_as_good_as_the_cycles_and_the_newest_data_win() -> None:
    by_hand = replace(copy(10), made_by=naming.SNAPSHOT_BY_HAND)
    assert chosen(copy(30), by_hand) == by_hand.identifier
    assert chosen(copy(5), by_hand) == copy(5).identifier
    assert "marked platform:unusable" in refusal(PROMOTED, with_copies(replace(by_hand, unusable=True)))


def test_every_copy_is_listed_when_none_can_be_used() -> None:
    message = refusal(PROMOTED, with_copies(copy(1, status="creating"), copy(2, unusable=True)))
    assert "snapshot-1-minutes: is creating; mental" in message
    assert "snapshot-2-minutes: marked platform:unusable" in message
    assert "there are no copies at all" in refusal(PROMOTED, with_copies())


def test_a_copy_of_an_automated_snapshot_needs_no_tag() -> None:
    source = "arn:aws:rds:eu-west-1:123456789012:snapshot:rds:mental-health-platform-kenya-rds-2026-03-02-03-05"
    automated = copy(5, made_by=None, copied_from=source)
    assert chosen(copy(30), automated) == automated.identifier


def test_a_later_generation_of_the_peer_is_the_peers() -> None:
    assert chosen(copy(5, source_database="mental-health-platform-kenya-rds-restored")) is not None


def test_without_a_data_key_nothing_is_usable() -> None:
    assert "not encrypted with this region's data key" in refusal(PROMOTED, replace(FACTS, data_key_arn=None))


def test_engine_version_and_storage_come_from_the_copy() -> None:
    (database,) = promotion(with_copies(copy(5, engine_version="16.9", allocated_storage=300))).databases
    assert (database.engine_version, database.allocated_storage) == ("16.9", 300)
    (database,) = promotion(with_copies(copy(5, allocated_storage=50))).databases
    assert database.allocated_storage == 100


def test_an_old_copy_warns_with_its_age_at_the_last_sign_of_life() -> None:
    (warning,) = age_warnings(promotion(with_copies(copy(61))))
    assert "61 minutes older than the primary's last sign of life (2026-03-02 09:00 UTC)" in warning
    assert "of 2026-03-02 07:59 UTC" in warning
    assert "than the planned 60" in warning
    # However slowly people decide: the clock is not asked, only the sign of life.
    assert age_warnings(promotion(with_copies(copy(60)))) == []


def test_serving_and_protecting_nobody_is_said_aloud() -> None:
    assert [warning for warning in promotion(FACTS).warnings if "south-africa serves and protects nobody" in warning]
    protected = decide(PRIMARY, with_copies(), Outputs(KENYA, {}), None)
    assert not [warning for warning in protected.warnings if "protects nobody" in warning]


def test_an_unknown_sign_of_life_warns() -> None:
    (warning,) = age_warnings(promotion(replace(FACTS, sign_of_life=None)))
    assert "when the primary last answered is unknown" in warning


def named(origin: str) -> Settings:
    return settings(SOUTH_AFRICA, {**SERVE, ("database", "generations", 0, "origin"): origin})


def test_a_named_copy_is_taken_even_when_a_newer_one_exists() -> None:
    old = copy(500, made_by=None)
    decision = decide(named(old.identifier), with_copies(copy(1), old), STOOD_BY, None)
    assert decision.databases[0].snapshot == old.identifier
    assert len(age_warnings(decision)) == 1


@pytest.mark.parametrize(
    ("copies", "reason"),
    [
        ((), "it does not exist"),
        ((replace(COPY, identifier="chosen", status="creating"),), "is creating"),
        ((replace(COPY, identifier="chosen", unusable=True),), "marked platform:unusable"),
        (
            (replace(COPY, identifier="chosen", key_arn="other"),),
            "not encrypted with this region's data key but with other",
        ),
    ],
)
def test_a_named_copy_that_cannot_be_used_is_refused(copies: tuple[Copy, ...], reason: str) -> None:
    message = refusal(named("chosen"), with_copies(*copies))
    assert "Generation first cannot come from snapshot chosen in af-south-1" in message
    assert reason in message


def test_a_live_database_keeps_its_snapshot_when_it_is_pruned_and_a_newer_one_exists() -> None:
    live = replace(INSTANCE, engine_version="17.4", allocated_storage=200, restored_from="pruned-long-ago")
    facts = replace(with_instances(live), copies=(copy(1),))
    decision = decide(PROMOTED, facts, SERVED, None)
    (database,) = decision.databases
    assert database.snapshot == "pruned-long-ago"
    assert (database.engine_version, database.allocated_storage) == ("17.4", 200)
    assert (decision.epoch, age_warnings(decision)) == (1, [])


def test_a_live_database_is_not_handed_to_another_generation() -> None:
    generations = [{"name": "second", "origin": "newest"}, {"name": "first", "origin": "newest"}]
    reordered = settings(SOUTH_AFRICA, {**SERVE, ("database", "generations"): generations})
    message = refusal(reordered, with_instances(INSTANCE), SERVED)
    assert "mental-health-platform-sa-rds is generation first" in message
    assert "gives its name to second" in message


def test_a_version_that_a_live_database_does_not_run_is_said() -> None:
    live = replace(INSTANCE, engine_version="16.9")
    warnings = decide(PROMOTED, with_instances(live), SERVED, None).warnings
    assert [warning for warning in warnings if "runs PostgreSQL 16.9 and stays there" in warning]
    warnings = decide(PROMOTED, with_instances(INSTANCE), SERVED, None).warnings
    assert not [warning for warning in warnings if "stays there" in warning]


def test_an_empty_database_is_made_of_the_configuration() -> None:
    facts = replace(FACTS, copies=())
    (database,) = decide(PRIMARY, facts, Outputs(KENYA, {}), Outputs(SOUTH_AFRICA, {"epoch": 1.0})).databases
    assert database.snapshot is None
    assert database.identifier == "mental-health-platform-kenya-rds"
    assert (database.engine_version, database.allocated_storage) == ("17.6", 100)


@pytest.mark.parametrize(
    "source", ["mental-health-platform-kenya-rds", "mental-health-platform-sa-rds", "mental-health-platform-sa-rds-old"]
)
def test_empty_over_a_copy_is_refused(source: str) -> None:
    message = refusal(
        PRIMARY, with_copies(replace(COPY, source_database=source, status="creating")), Outputs(KENYA, {})
    )
    assert f"Generation first has origin empty, but there is data: {COPY.identifier}" in message


def test_empty_over_an_instance_is_refused() -> None:
    second = {"name": "second", "origin": "empty"}
    first = {"name": "first", "origin": "empty"}
    configured = settings(KENYA, {("database", "generations"): [first, second]})
    live = replace(INSTANCE, identifier="mental-health-platform-kenya-rds")
    message = refusal(configured, replace(with_instances(live), copies=()), Outputs(KENYA, {}))
    assert "there is data: mental-health-platform-kenya-rds." in message


def test_many_copies_are_summed_up() -> None:
    message = refusal(PRIMARY, with_copies(*(copy(minutes) for minutes in range(10, 15))), Outputs(KENYA, {}))
    assert "and 2 more" in message


def test_foreign_data_does_not_stop_an_empty_database() -> None:
    decision = decide(PRIMARY, with_copies(replace(COPY, source_database="other-rds")), Outputs(KENYA, {}), None)
    assert decision.databases[0].snapshot is None


def test_a_pointer_to_nothing_is_refused_also_while_standing_by() -> None:
    for state in ({}, SERVE):
        pointing = settings(SOUTH_AFRICA, {**state, ("database", "serving"): "second"})
        assert "second names no generation; allowed: first" in refusal(pointing)


def test_another_account_is_refused() -> None:
    message = refusal(STANDING_BY, replace(FACTS, account="999999999999"))
    assert "account 999999999999" in message
    assert "123456789012" in message


@pytest.mark.parametrize(("output", "before"), [("region", "eu-north-1"), ("account", "999999999999")])
def test_a_stack_that_was_deployed_elsewhere_is_refused(output: str, before: str) -> None:
    own = Outputs(SOUTH_AFRICA, {**STOOD_BY.values, output: before})
    assert f"was deployed to {output} {before}" in refusal(STANDING_BY, own=own)


def test_flipping_back_is_refused_by_the_own_outputs() -> None:
    assert "its last deployment left it serving" in refusal(STANDING_BY, own=SERVED)


@pytest.mark.parametrize("status", ["available", "creating", "modifying", "backing-up", "stopped", "failed"])
def test_flipping_back_is_refused_by_a_serving_database_when_the_outputs_are_old(status: str) -> None:
    message = refusal(STANDING_BY, with_instances(replace(INSTANCE, status=status)), STOOD_BY)
    assert f"database mental-health-platform-sa-rds exists and is {status}" in message
    assert "pulumi config set standby false -s south-africa" in message


@pytest.mark.parametrize(
    "instance",
    [
        replace(INSTANCE, status="deleting"),
        replace(INSTANCE, role=naming.RETAINED_ROLE),
    ],
)
def test_a_database_that_takes_no_writes_for_people_does_not_stop_standing_by(instance: Any) -> None:
    assert decide(STANDING_BY, with_instances(instance), STOOD_BY, None).databases == ()


def test_a_forgotten_generation_is_refused() -> None:
    forgotten = replace(INSTANCE, identifier="mental-health-platform-sa-rds-old", role=naming.RETAINED_ROLE)
    message = refusal(PROMOTED, with_instances(INSTANCE, forgotten), SERVED)
    assert "The databases mental-health-platform-sa-rds-old belong to stack south-africa" in message
    assert "generations does not declare them" in message


@pytest.mark.parametrize(
    ("outputs", "standby", "epoch"),
    [
        ({}, True, 1),
        ({}, False, 1),
        ({"epoch": 1.0, "standby": True}, True, 1),
        ({"epoch": 1.0, "standby": True}, False, 2),
        ({"epoch": 2.0, "standby": False}, False, 2),
        ({"epoch": 7.0, "standby": True}, False, 8),
    ],
)
def test_the_epoch_grows_with_a_promotion_only(outputs: dict[str, Any], standby: bool, epoch: int) -> None:
    configured = settings(SOUTH_AFRICA, {("standby",): standby})
    assert guards.next_epoch(configured, Outputs(SOUTH_AFRICA, outputs)) == epoch


def test_a_promotion_that_failed_halfway_has_the_same_epoch_when_run_again() -> None:
    again = decide(PROMOTED, with_instances(INSTANCE), STOOD_BY, None)
    assert again.epoch == 2


def test_an_outdated_primary_must_not_serve() -> None:
    own = Outputs(KENYA, {"epoch": 1.0, "standby": False})
    message = refusal(PRIMARY, with_copies(), own, {"epoch": 2.0})
    assert "its epoch 2 is newer than 1 here" in message
    assert "must not serve" in message


def test_an_outdated_primary_may_stand_by() -> None:
    waiting = settings(KENYA, {("standby",): True})
    own, peer = Outputs(KENYA, {"epoch": 1.0, "standby": True}), Outputs(SOUTH_AFRICA, {"epoch": 2.0})
    assert decide(waiting, with_copies(), own, peer).epoch == 1
