"""Whether a process still runs, and which: also on a machine that has no `ps`, as container images do not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import processes
from scripts.promotion import locks
from tests.scripts.made_up_site import DEAD, lock


@pytest.fixture(autouse=True)
def slim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No program can be found."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which runs until it is told to end."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as found:
        yield found
        found.kill()


def test_a_running_process_has_a_program_and_a_beginning(other: subprocess.Popen[bytes]) -> None:
    assert processes.program(other.pid).startswith("python")
    born = processes.born(other.pid)
    assert born is not None
    assert abs(time.time() - born) < 10
    assert processes.same(other.pid, born)
    assert not processes.same(other.pid, born - 60), "an earlier process had the same id"


def test_a_corpse_that_nobody_has_waited_for_is_no_process(other: subprocess.Popen[bytes]) -> None:
    born = processes.born(other.pid)
    assert born is not None
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert processes.program(other.pid) == ""
    assert processes.born(other.pid) is None
    assert not processes.same(other.pid, born)


def test_a_process_that_never_was_has_neither() -> None:
    assert processes.program(DEAD) == ""
    assert processes.born(DEAD) is None


def test_a_lock_is_judged_without_any_other_program(other: subprocess.Popen[bytes]) -> None:
    assert locks.ours_and_dead(lock(DEAD))
    assert locks.ours_and_dead(lock(other.pid)), "the id was used again, by a program that is not pulumi"
    assert not locks.ours_and_dead(lock(DEAD, host="elsewhere"))
