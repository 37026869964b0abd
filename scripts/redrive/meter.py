"""How far a replay is, for whoever waits: one line that changes on a terminal, else a line now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status

LINES_EVERY = 10.0  # real seconds


class Meter:
    """While the block runs, `show` replaces what was shown before."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._said_at = 0.0
        self._left_out: str | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._status is not None:
            self._status.stop()
        if self._left_out is not None:
            self._say(self._left_out)

    def show(self, text: str) -> None:
        if self._status is not None:
            self._status.update(escape(text))
            self._left_out = text
        elif time.monotonic() - self._said_at >= LINES_EVERY:
            self._say(text)
        else:
            self._left_out = text

    def _say(self, text: str) -> None:
        self._said_at, self._left_out = time.monotonic(), None
        self._console.print(f"  {text}", markup=False)
