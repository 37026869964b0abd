"""Questions asked at the same time, each on a thread of its own, with one limit for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class NoAnswer(Exception):
    """A question that was not answered in time. The thread that waits for it ends with the command."""


class _Question(threading.Thread, Generic[Answer]):
    def __init__(self, name: str, ask: Callable[[], Answer]) -> None:
        super().__init__(name=name, daemon=True)
        self._ask = ask
        self.answers: list[Answer | Exception] = []  # one, once it is there

    def run(self) -> None:
        try:
            self.answers.append(self._ask())
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            self.answers.append(error)


def ask(questions: Mapping[str, Callable[[], Answer]], seconds: float) -> dict[str, Answer | Exception]:
    """The answer to each question, what it raised, or NoAnswer where it took longer than `seconds` of real time."""
    asked = {name: _Question(name, question) for name, question in questions.items()}
    for question in asked.values():
        question.start()
    deadline = time.monotonic() + seconds
    for question in asked.values():
        question.join(max(0.0, deadline - time.monotonic()))
    silence = [NoAnswer(f"no answer within {seconds:g} s")]
    return {name: (list(question.answers) or silence)[0] for name, question in asked.items()}
