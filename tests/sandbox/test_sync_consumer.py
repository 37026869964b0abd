"""The sandbox's `sync`: rows exactly once, poison to the dead letters, nothing taken that it cannot write."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.queue_stage import LETTERS, QUEUE, ROLE, Stage, running_stage
from tests.sandbox.traffic_world import KENYA, master, wait

TWICE = {"kind": "delivered-twice", "region": KENYA, "queue": QUEUE}


@pytest.fixture(scope="module")
def running() -> Iterator[Stage]:
    with running_stage(speed=300) as found:
        yield found


@pytest.fixture
def stage(running: Stage) -> Iterator[Stage]:
    """Nothing in queues and table, one task of sync."""
    with master(running.platform.endpoint["Port"]) as connection:
        connection.run("truncate app.events")
    running.scale(1)
    yield running
    running.scale(0)
    for url in (running.url, running.letters):
        running.sqs.purge_queue(QueueUrl=url)


def message(seq: int, /, **changes: Any) -> dict[str, Any]:
    return {"key": f"key-{seq}", "seq": seq, "body": f"row {seq}", **changes}


def drained(stage: Stage, letters: int = 0) -> None:
    wait(lambda: stage.counts(stage.url) == (0, 0), 30, "an empty queue", stage.rows)
    assert stage.counts(stage.letters) == (letters, 0)


def test_each_message_is_a_row_once_however_often_it_is_delivered(stage: Stage) -> None:
    stage.scale(2)
    stage.platform.world.control("POST", "faults", TWICE)
    stage.send(*map(message, range(30)))
    stage.platform.world.control("DELETE", "faults", TWICE)
    stage.send(*map(message, range(10)))  # and phones send again
    drained(stage)
    assert stage.rows() == [[seq, f"row {seq}", f"key-{seq}"] for seq in range(30)]


def test_what_came_in_through_the_gateway_is_no_second_row(stage: Stage) -> None:
    with master(stage.platform.endpoint["Port"]) as connection:
        connection.run("insert into app.events (seq, body) values (1, 'row 1')")
    stage.send(message(1))
    drained(stage)
    assert stage.rows() == [[1, "row 1", None]]


@pytest.mark.parametrize(
    "poison",
    [
        "no JSON",
        message(7, key=None),
        message(7, seq="7"),
        message(7, body="\0"),
        message(1, body="something else"),
        message(7, key="key-1"),
    ],
)
def test_poison_becomes_a_dead_letter_and_holds_nobody_up(stage: Stage, poison: Any) -> None:
    stage.send(message(1))
    drained(stage)
    stage.send(poison, message(2))
    wait(lambda: len(stage.rows()) == 2, what="the message behind it")
    drained(stage, letters=1)
    assert stage.rows() == [[seq, f"row {seq}", f"key-{seq}"] for seq in (1, 2)]


def test_nothing_is_taken_while_it_cannot_be_written(stage: Stage) -> None:
    """Each receipt counts towards the dead letters, and a database may be away for hours."""
    site = stage.platform.site
    site.keep_out(site.database_group, 5432, group=site.task_group)
    try:
        with master(stage.platform.endpoint["Port"]) as connection:
            connection.run("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sync'")
        wait(lambda: stage.sessions() == 0, what="no session")
        time.sleep(0.2)  # a poll of up to 20 modelled seconds that began before
        stage.send(message(3))
        time.sleep(0.5)  # 150 modelled seconds
        assert stage.counts(stage.url) == (1, 0)
    finally:
        site.let_in(site.database_group, 5432, group=site.task_group)
    drained(stage)
    assert [row[0] for row in stage.rows()] == [3]


def test_it_works_with_the_role_of_its_task(stage: Stage) -> None:
    """What the program grants is enough and needed."""
    stage.allow(stage.grants.replace("sqs:ReceiveMessage", "sqs:GetQueueAttributes"))
    try:
        time.sleep(0.2)
        stage.send(message(4))
        time.sleep(0.5)
        assert stage.counts(stage.url) == (1, 0)
        told = stage.platform.world.control("GET", "access")["refusals"]
        assert ("sqs:ReceiveMessage", stage.arns["queue"]) in [(e["action"], e["resource"]) for e in told]
    finally:
        stage.allow(stage.grants)
    drained(stage)
    uses = [use for use in stage.platform.world.control("GET", "access")["uses"] if use["role"] == ROLE]
    assert {use["action"] for use in uses} == {"sqs:ReceiveMessage", "sqs:DeleteMessage", "kms:Decrypt"}


def test_without_tasks_nobody_takes_anything_and_no_session_stays(stage: Stage) -> None:
    stage.scale(0)
    wait(lambda: stage.sessions() == 0, what="no session")
    stage.send(message(5))
    time.sleep(0.5)
    assert (stage.counts(stage.url), stage.sessions()) == ((1, 0), 0)
    stage.scale(1)
    drained(stage)


def test_the_names_are_those_of_the_program(stage: Stage) -> None:
    assert (QUEUE, LETTERS) == ("mental-health-platform-kenya-sync", "mental-health-platform-kenya-sync-dead-letters")
    assert stage.url.endswith(QUEUE)
