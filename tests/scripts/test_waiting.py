"""Waiting in modelled time: found, in vain, or cut short by a worker that ended."""

from __future__ import annotations

import time

import pytest

from sandbox.clock import Clock
from scripts.errors import SandboxError
from scripts.rehearsal.waiting import Waiting
from scripts.rehearsal.writer import Worker

FAST = Clock(600.0)  # ten modelled minutes a second


class Idle(Worker):
    """Does nothing."""

    def act(self) -> None:
        return


def waiting(*workers: Worker) -> Waiting:
    return Waiting(FAST, lambda: {"healthy": True, "cut": ["eu-west-1"]}, workers)


def test_what_is_there_is_found_at_once() -> None:
    assert waiting().until("rows", lambda: [1]) == [1]


def test_what_comes_is_found() -> None:
    answers = iter([None, "", "here"])
    assert waiting().until("an answer", lambda: next(answers), minutes=60) == "here"


def test_in_vain_says_for_what_how_long_and_how_things_stand() -> None:
    began = time.monotonic()
    with pytest.raises(SandboxError) as raised:
        waiting().until("the second copy", lambda: None, minutes=5)
    assert time.monotonic() - began < 3
    assert raised.value.message == "Waited 5 modelled minutes (0 s) for the second copy, in vain."
    assert raised.value.hint == 'The sandbox says: {"healthy": true, "cut": ["eu-west-1"]}'


def test_what_may_be_missing_is_none() -> None:
    assert waiting().look_for(lambda: None, minutes=3) is None


def test_a_worker_that_ended_is_heard_of_at_once() -> None:
    worker = Idle("idle", 1.0)
    worker.error = LookupError("the writer ended")
    with pytest.raises(LookupError, match="the writer ended"):
        waiting(worker).until("rows", lambda: None, minutes=6000)
