"""The sandbox refuses what AWS refuses, with AWS's error code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from tests.sandbox import refusal_world, traffic_world
from tests.sandbox.refusal_row import Refusal
from tests.sandbox.refusal_world import Things
from tests.sandbox.refusals import REFUSALS
from tests.sandbox.traffic_world import KENYA, World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with traffic_world.running() as running:
        yield running
        running.assert_sound()


@pytest.fixture(scope="module")
def things(world: World) -> Things:
    return refusal_world.build(world)


@pytest.mark.parametrize("refusal", REFUSALS, ids=[f"{row.service}: {row.title}" for row in REFUSALS])
def test_what_aws_refuses_is_refused(world: World, things: Things, refusal: Refusal) -> None:
    client = world.client(refusal.service, KENYA)
    with pytest.raises(ClientError) as refused:
        getattr(client, xform_name(refusal.operation))(**things.fill(refusal.parameters))
    told = refused.value.response["Error"]
    assert told["Code"] == refusal.code, told


def test_there_are_many() -> None:
    titles = [(row.service, row.title) for row in REFUSALS]
    assert len(set(titles)) == len(titles) >= 40
