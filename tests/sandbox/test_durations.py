"""How long a snapshot or a copy takes can be told to the sandbox; without that it is the clock's figure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.clock import Clock, minutes
from sandbox.cloud.context import BadRequest, Cloud
from sandbox.cloud.emulations import durations, faults


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path, Clock(600.0))
    faults.install(cloud)
    durations.install(cloud)
    yield cloud
    cloud.stop()


def tell(cloud: Cloud, method: str, **fault: Any) -> None:
    handler = cloud.handler(method, "faults")
    assert handler is not None
    handler(fault)


def test_the_newest_word_counts_for_its_operation_until_it_is_taken_back(cloud: Cloud) -> None:
    table = {operation: minutes(operation) for operation in durations.OPERATIONS}
    assert {operation: durations.lasting(cloud, operation) for operation in table} == table
    tell(cloud, "POST", kind="duration", operation="rds.copy", minutes=7)
    tell(cloud, "POST", kind="duration", operation="rds.copy", minutes=9.5)
    assert durations.lasting(cloud, "rds.copy") == 9.5
    assert durations.lasting(cloud, "rds.snapshot") == table["rds.snapshot"]
    tell(cloud, "DELETE", kind="duration")
    assert durations.lasting(cloud, "rds.copy") == table["rds.copy"]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"operation": "rds.copy"}, "the fields operation and minutes"),
        ({"operation": "rds.restore", "minutes": 3}, "must be one of rds.snapshot, rds.copy"),
        ({"operation": "rds.copy", "minutes": 0}, "must be a positive number"),
        ({"operation": "rds.copy", "minutes": "3"}, "must be a positive number"),
    ],
)
def test_a_duration_that_makes_no_sense_is_refused(cloud: Cloud, fault: dict[str, Any], why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        tell(cloud, "POST", kind="duration", **fault)
