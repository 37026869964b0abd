"""What RDS does not sell in the region is refused before anything is made, with what to do."""

from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.facts import Offer
from components.guards import decide
from components.orderable import check_offered, major
from components.stack_outputs import Outputs
from tests.components.examples import COPY, FACTS, INSTANCE, KENYA, OFFERS, SOUTH_AFRICA, from_source, settings

PRIMARY = settings(KENYA)
PROMOTED = settings(SOUTH_AFRICA, {("standby",): False})
FOLLOWING = settings(changes=from_source("read-replica"))
EMPTY_REGION = replace(FACTS, copies=())
STOOD_BY = Outputs(SOUTH_AFRICA, {"standby": True, "epoch": 1.0})


def refused(**changes: Any) -> str:
    """The refusal of a restore from the copy of 17.6 when the offers are as given."""
    with pytest.raises(pulumi.RunError) as refusal:
        decide(PROMOTED, replace(FACTS, **changes), STOOD_BY, None)
    assert "Nothing was changed" in str(refusal.value)
    return str(refusal.value)


def test_a_class_that_the_region_does_not_have_is_refused() -> None:
    message = refused(offers=())
    assert "mental-health-platform-sa-rds needs PostgreSQL 17.6, which RDS does not offer in af-south-1" in message
    assert "with class db.m6g.large and gp3 storage; it offers no version of PostgreSQL" in message
    assert "Set database.instanceClass in Pulumi.south-africa.yaml" in message


def test_an_empty_database_needs_exactly_its_version() -> None:
    offers = (Offer("17.10", 20, 65536, ()), Offer("16.9", 20, 65536, ()))
    with pytest.raises(pulumi.RunError, match=r"it offers 16\.9, 17\.10\. .*or database\.engineVersion"):
        decide(PRIMARY, replace(EMPTY_REGION, offers=offers), Outputs(KENYA, {}), None)
    assert decide(PRIMARY, EMPTY_REGION, Outputs(KENYA, {}), None).databases


def test_a_restore_is_lifted_within_its_major_version_and_that_is_said() -> None:
    decision = decide(PROMOTED, replace(FACTS, offers=(Offer("17.9", 20, 65536, ()),)), STOOD_BY, None)
    assert decision.databases[0].snapshot == COPY.identifier
    assert [w for w in decision.warnings if "17.6, which RDS no longer offers: it will run a later 17" in w]


def test_a_copy_whose_parameter_group_family_is_gone_is_refused() -> None:
    message = refused(copies=(replace(COPY, engine_version="15.4"),))
    assert "needs PostgreSQL 15.4" in message
    assert "another major version has another parameter-group family" in message


def test_what_the_class_lacks_is_named() -> None:
    message = refused(offers=(replace(OFFERS[1], lacks=("Multi-AZ", "Performance Insights")),))
    assert "needs Multi-AZ, Performance Insights, which RDS does not offer in af-south-1" in message
    # Another row of the same version may have it all.
    decide(PROMOTED, replace(FACTS, offers=(replace(OFFERS[1], lacks=("Multi-AZ",)), OFFERS[1])), STOOD_BY, None)


@pytest.mark.parametrize(("least", "most"), [(200, 65536), (20, 50)])
def test_storage_that_the_class_does_not_take_is_refused(least: int, most: int) -> None:
    message = refused(offers=(Offer("17.6", least, most, ()),))
    assert f"needs 100 GiB, but RDS offers {least} to {most} GiB" in message


def test_a_replica_is_asked_for_too() -> None:
    with pytest.raises(pulumi.RunError, match=r"needs PostgreSQL 17\.6, which RDS does not offer"):
        decide(FOLLOWING, replace(FACTS, offers=()), STOOD_BY, None)


def test_a_database_that_exists_is_not_asked_for() -> None:
    live = replace(FACTS, instances=(INSTANCE,), offers=())
    assert decide(PROMOTED, live, Outputs(SOUTH_AFRICA, {"standby": False, "epoch": 2.0}), None).databases


def test_storage_does_not_shrink_and_that_is_said() -> None:
    for facts in (
        replace(FACTS, copies=(replace(COPY, allocated_storage=300),)),
        replace(FACTS, instances=(replace(INSTANCE, allocated_storage=300),)),
    ):
        decision = decide(PROMOTED, facts, STOOD_BY, None)
        assert decision.databases[0].allocated_storage == 300
        assert [w for w in decision.warnings if "has 300 GiB, because storage cannot shrink" in w]
    assert not [w for w in decide(PROMOTED, FACTS, STOOD_BY, None).warnings if "shrink" in w]


def test_a_major_version_is_what_comes_before_the_dot() -> None:
    assert (major("16.9"), major("17")) == ("16", "17")
    warnings: list[str] = []
    check_offered(PRIMARY, OFFERS, "any", "17.6", None, restored=False, warnings=warnings)
    assert warnings == []
