"""What the outside world does in a rehearsal, against a public name that is played."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from sandbox.public import Answer, PublicClient, Unreachable
from scripts.rehearsal.writer import Onlooker, RecordingWriter, RowWriter, Worker
from tests.scripts.made_up import KENYA, SOUTH_AFRICA

PAGE = "The service is unavailable"
Play = Answer | Exception


class Public:
    """Answers one after the other, the last one for ever; keeps what was asked."""

    def __init__(self, *play: Play) -> None:
        self.play = list(play)
        self.posted: list[Any] = []

    def _next(self) -> Answer:
        found = self.play.pop(0) if len(self.play) > 1 else self.play[0]
        if isinstance(found, Exception):
            raise found
        return found

    def get(self, _: str) -> Answer:
        return self._next()

    def post(self, _: str, data: Any) -> Answer:
        self.posted.append(data["seq"])
        return self._next()


def played(*play: Play) -> tuple[Public, PublicClient]:
    public = Public(*play)
    return public, cast("PublicClient", public)


def test_a_number_is_used_up_only_by_an_acknowledged_commit() -> None:
    public, client = played(
        Answer(201, "{}", KENYA),
        Unreachable("refused", KENYA),
        Answer(503, "crisis page", SOUTH_AFRICA),
        Answer(200, "{}", SOUTH_AFRICA),  # committed earlier without our hearing of it
        Answer(201, "{}", SOUTH_AFRICA),
    )
    writer = RowWriter(client)
    for _ in range(5):
        writer.act()
    assert public.posted == [1, 2, 2, 2, 3]
    assert [(row.seq, row.region) for row in writer.rows] == [(1, KENYA), (2, SOUTH_AFRICA), (3, SOUTH_AFRICA)]
    assert all(row.sent <= row.acknowledged for row in writer.rows)
    assert writer.last_failure == f"503 from {SOUTH_AFRICA}: crisis page"
    assert writer.last_failure == "503 from af-south-1: crisis page"


def test_the_first_row_after_a_moment_is_one_that_was_sent_after_it() -> None:
    _, client = played(Answer(201, "{}", SOUTH_AFRICA))
    writer = RowWriter(client)
    writer.act()
    moment = time.time()
    writer.act()
    assert writer.first_after(moment, SOUTH_AFRICA) == writer.rows[1]
    assert writer.first_after(moment, KENYA) is None


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(200, '{"status": "ok"}', KENYA), "ok"),
        (Answer(200, '{"status": "starting"}', KENYA), "error"),
        (Answer(200, "not JSON", KENYA), "error"),
        (Answer(503, f"<p>{PAGE}</p>", SOUTH_AFRICA), "crisis-page"),
        (Answer(200, f"<p>{PAGE}</p>", SOUTH_AFRICA), "error"),  # nobody may take it for the service
        (Answer(503, "Service Unavailable", SOUTH_AFRICA), "error"),
        (Unreachable("refused", KENYA), "unreachable"),
    ],
)
def test_what_somebody_meets(answer: Play, state: str) -> None:
    _, client = played(answer)
    onlooker = Onlooker(client, PAGE)
    onlooker.act()
    assert [look.state for look in onlooker.looks] == [state]
    assert onlooker.page == (f"<p>{PAGE}</p>" if state == "crisis-page" else "")


def test_the_first_look_is_by_state_region_and_moment() -> None:
    _, client = played(Answer(200, '{"status": "ok"}', KENYA), Answer(200, '{"status": "ok"}', SOUTH_AFRICA))
    onlooker = Onlooker(client, PAGE)
    onlooker.act()
    onlooker.act()
    assert onlooker.first("ok", SOUTH_AFRICA, 0.0) == onlooker.looks[1]
    assert onlooker.first("ok", KENYA, time.time()) is None
    assert onlooker.first("crisis-page", KENYA, 0.0) is None


class Bucket:
    """Stores, until it fails in the given way."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure

    def put_object(self, **_: Any) -> None:
        if self.failure is not None:
            raise self.failure


def test_a_recording_counts_only_when_it_was_stored() -> None:
    bucket = Bucket()
    writer = RecordingWriter(bucket, "audio")
    writer.act()
    bucket.failure = EndpointConnectionError(endpoint_url="http://nowhere")
    writer.act()
    bucket.failure = ClientError({"Error": {"Code": "SlowDown", "Message": ""}}, "PutObject")
    writer.act()
    assert list(writer.stored) == ["audio/00001.wav"]


class Failing(Worker):
    """Fails at its first act."""

    def act(self) -> None:
        raise LookupError("lost")


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def test_a_workers_failure_is_raised_where_it_is_ended() -> None:
    worker = Failing("failing", 0.01)
    worker.start()
    assert eventually(lambda: worker.error is not None)
    with pytest.raises(LookupError, match="lost"):
        worker.finish()


def test_a_worker_ends_when_told() -> None:
    _, client = played(Answer(201, "{}", KENYA))
    writer = RowWriter(client)
    writer.start()
    assert eventually(lambda: len(writer.rows) > 0)
    writer.finish()
    assert not writer.is_alive()
