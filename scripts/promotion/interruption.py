"""Ctrl-C while `pulumi up` runs: the engine is asked to finish what it began and to record it, and is not killed."""

from __future__ import annotations

import os
import signal
import subprocess
from types import FrameType, TracebackType
from typing import Any, Self

from scripts import console

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 3  # the third one kills


class Interruption:
    """While the block runs, signals go to the process that `watch` was given. `received`: the first one."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._times = 0
        self._process: subprocess.Popen[str] | None = None
        self._before: dict[int, Any] = {}

    def watch(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        if self.received is not None:  # it came while the process was being started
            process.send_signal(signal.SIGINT)

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._pass_on) for number in SIGNALS}
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self.received = self.received or number
        self._times += 1
        process = self._process
        if process is None or process.poll() is not None:
            return
        if self._times < PATIENCE:
            console.warn(
                "Interrupted: pulumi finishes what it began and records it. Nothing is lost; please wait."
                if self._times == 1
                else "Interrupted again: pulumi ends at once. A third time kills it, and what it began goes unrecorded."
            )
            process.send_signal(signal.SIGINT)  # to the engine alone: its language host must not die before it
        else:
            os.killpg(process.pid, signal.SIGKILL)
