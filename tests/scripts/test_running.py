"""What ECS says of tasks that end: they write until they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.freezing import checks
from scripts.promotion import running
from tests.scripts.made_up_kenya import LIVE, Kenya


@pytest.fixture
def site(tmp_path: Path) -> Kenya:
    """No service wants or runs a task any more."""
    found = Kenya(tmp_path)
    found.run(dict.fromkeys(LIVE, 0))
    return found


def tasks(site: Kenya, *left: tuple[str, str, str]) -> None:
    """What is listed: (service, what is wanted of the task, what it does). ECS lists by what is wanted."""

    def listed(desiredStatus: str = "RUNNING", **_: Any) -> Any:  # noqa: N803 - boto3's name
        return {"taskArns": [str(place) for place, (_, wanted, _) in enumerate(left) if wanted == desiredStatus]}

    def described(tasks: list[str], **_: Any) -> Any:
        assert len(tasks) <= 100
        return {"tasks": [{"group": f"service:{left[int(n)][0]}", "lastStatus": left[int(n)][2]} for n in tasks]}

    site.answers["ecs.list_tasks"], site.answers["ecs.describe_tasks"] = listed, described


@pytest.mark.parametrize(
    ("wanted", "state"),
    [
        ("STOPPED", "DEACTIVATING"),
        ("STOPPED", "STOPPING"),
        ("STOPPED", "RUNNING"),
        ("RUNNING", "PROVISIONING"),
        ("RUNNING", "PENDING"),
    ],
)
def test_a_freeze_waits_for_the_last_task_to_end(site: Kenya, wanted: str, state: str) -> None:
    look = checks.of_freeze(site)["tasks"]
    tasks(site, ("sync", "STOPPED", "STOPPED"))
    assert look()[0], "one that has ended is listed for an hour"
    tasks(site, ("sync", "STOPPED", "STOPPED"), ("audio-processing", wanted, state))
    held, told = look()
    assert not held
    assert told.endswith(f"audio-processing 1 {state}")


def test_every_task_is_looked_at(site: Kenya) -> None:
    """Also beyond what one call describes."""
    tasks(site, *[("sync", "STOPPED", "STOPPED")] * 250, ("sync", "STOPPED", "DEACTIVATING"))
    assert running.not_stopped(site) == {"sync": {"DEACTIVATING": 1}}
