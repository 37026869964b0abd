"""Who holds a stack's lock, and whether that is a process of this machine that has ended.

`pulumi` writes one object for each update into its backend and removes it at the end; one that is killed leaves it.
The format is that of the engine's backend for buckets and files (pkg/backend/diy/lock.go).
"""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass

from scripts import processes

PREFIX = ".pulumi/locks/"


@dataclass(frozen=True)
class Lock:
    """One lock object in the state bucket. `since` is an ISO time."""

    key: str
    host: str
    user: str
    pid: int
    since: str

    @property
    def holder(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host}, since {self.since}"


def of_stack(key: str, stack: str) -> bool:
    """Whether an object below PREFIX is a lock of the stack: …/<project>/<stack>/<id>.json"""
    return key.endswith(".json") and key.split("/")[-2:-1] == [stack]


def parse(key: str, body: bytes) -> Lock:
    """A lock object's content. What cannot be read belongs to somebody unknown, never to us."""
    try:
        content = json.loads(body)
        return Lock(key, content["hostname"], content["username"], int(content["pid"]), str(content["timestamp"]))
    except (ValueError, KeyError, TypeError):
        return Lock(key, "an unknown machine", "somebody", 0, "an unknown time")


def ours_and_dead(lock: Lock, program: Callable[[int], str] = processes.program) -> bool:
    """Whether the holder was a `pulumi` of this user on this machine, and is gone.

    A process with its id that is another program got the id later: ids are used again.
    """
    here = lock.host == socket.gethostname() and lock.user == getpass.getuser() and lock.pid > 0
    return here and "pulumi" not in program(lock.pid)


def refusal(lock: Lock, stack: str) -> tuple[str, str]:
    """What to say of a lock that is not ours to remove: who holds it, and what a person can do."""
    told = f"The stack {stack} is locked by {lock.holder}."
    if lock.host == socket.gethostname() and lock.pid > 0:
        hint = f"It is running here: wait for it, or end it with `kill -INT {lock.pid}` and run this again."
    else:
        hint = (
            f"Ask them. Only if that process is certainly gone: `pulumi cancel -s {stack}`. Two deployments at the "
            "same time would destroy the record of what exists."
        )
    return told, hint
