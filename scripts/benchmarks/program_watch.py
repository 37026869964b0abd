"""How long, and how busily, the program runs inside a `pulumi` command: seen in /proc, so nothing slows it down.

The engine starts one language host a run of the program, and that one a Python process with the launcher
`pulumi-language-python-exec`. Linux only, like the sandbox.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = b"pulumi-language-python-exec"
POLL = 0.02  # real seconds: what a run may be measured wrong by, at either end
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """One process of the program: when it was first and last seen (monotonic seconds), and its processor time."""

    first: float
    last: float
    busy: float


class ProgramWatch(threading.Thread):
    """Follows the children of a `pulumi` process until `finish`."""

    def __init__(self, pulumi: int) -> None:
        super().__init__(name="program watch", daemon=True)
        self._pulumi = pulumi
        self._over = threading.Event()
        self._runs: dict[int, Run] = {}

    def run(self) -> None:
        while not self._over.wait(POLL):
            self.look()

    def look(self) -> None:
        """See which programs run now."""
        now = time.monotonic()
        for pid in descendants(self._pulumi):
            if pid in self._runs or is_program(pid):
                busy = processor_seconds(pid)
                if busy is not None:
                    known = self._runs.setdefault(pid, Run(now, now, busy))
                    known.last, known.busy = now, busy

    def finish(self) -> list[Run]:
        """The runs in their order."""
        self._over.set()
        self.join()
        return sorted(self._runs.values(), key=lambda run: run.first)


def descendants(pid: int) -> list[int]:
    """Ids of all processes below one."""
    found = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(word) for word in listed.read_text().split()]
        except OSError:  # the thread ended meanwhile
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def is_program(pid: int) -> bool:
    """Whether it is the Python process of a program; the engine's other children are hosts and plugins."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(argument.endswith(LAUNCHER) for argument in arguments)


def processor_seconds(pid: int) -> float | None:
    """User and system time so far; None for a process that is gone or only waits to be collected."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may hold anything
    if fields[0] in ("Z", "X"):
        return None
    return (int(fields[11]) + int(fields[12])) / TICKS
