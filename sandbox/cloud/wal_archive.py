"""Base backups of a PostgreSQL server and its WAL since: what a restore to a moment needs.

A replication slot keeps the WAL on the server until it is archived. An `archive_command` would run a process for each
segment of every server.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pg8000.native

from sandbox.cloud.postgres import Backup, Server

_START = re.compile(r"START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)")


@dataclass(frozen=True)
class Base:
    """A base backup. No commit that began after `at` (real epoch seconds) is in it; it needs WAL from `segment` on."""

    directory: Path
    at: float
    segment: str


@dataclass(frozen=True)
class Reach:
    """How far the WAL goes: all commits acknowledged before `until` (real epoch seconds) are in it.

    A commit of our own follows `marked`; between that and `until` there is no other. `snapshot`: PostgreSQL's account
    of which transactions are over, taken after it; `idle`: that commit was the only one since the archiving before.
    """

    until: float
    marked: float
    snapshot: str
    idle: bool


class WalArchive:
    """One server's, in one place."""

    def __init__(self, directory: Path, slot: str) -> None:
        self.directory = directory
        self.bases: list[Base] = []  # the oldest first
        self.reach: Reach | None = None
        self._slot = slot
        self._wal = directory / "wal"
        self._lock = threading.Lock()
        self._removed = False
        self._wal.mkdir(parents=True)

    # -- receiving ----------------------------------------------------------------------------------------------
    def begin(self, server: Server) -> bool:
        """Keep the server's WAL from now on and take the first base backup; False from one that does not run."""
        with self._lock, server.held() as runs:
            if self._removed or not runs:
                return False
            with server.admin() as connection:
                connection.run("SELECT pg_create_physical_replication_slot(:slot, true)", slot=self._slot)
            backup = server.backup(self._next_base())
            self.bases.append(_base(backup.directory, backup.not_after))
        return True

    def add(self, backup: Backup) -> None:
        """Have another base backup of the server, so that a restore replays less."""
        with self._lock:
            if self._removed:
                return
            directory = self._next_base()
            _link_tree(backup.directory, directory)
            self.bases.append(_base(directory, backup.not_after))
            if self.reach is not None:
                self.reach = replace(self.reach, idle=False)  # a commit must follow this one, too

    def receive(self, server: Server) -> None:
        """Copy the WAL that is missing here, from a server that runs.

        An idle one costs nothing: what is here reaches further because nothing was committed since.
        """
        with self._lock, server.held() as runs:
            if runs and not self._removed:
                with server.admin() as connection:
                    self.reach = self._received(connection, server.data / "pg_wal", self.reach)

    def _received(self, connection: pg8000.native.Connection, wal: Path, before: Reach | None) -> Reach:
        moment = time.time()
        ((snapshot,),) = connection.run("SELECT pg_current_snapshot()::text")
        quiet = before is not None and before.snapshot == snapshot
        if before is not None and quiet and before.idle:
            return replace(before, until=moment)
        connection.run("SELECT pg_current_xact_id()")  # a commit after the moment, so that recovery knows where to stop
        ((after,),) = connection.run("SELECT pg_current_snapshot()::text")
        connection.run("SELECT pg_switch_wal()")
        ((segment, position),) = connection.run("SELECT pg_walfile_name(w), w::text FROM pg_current_wal_lsn() AS w")
        for name in _segments(wal) - _segments(self._wal):
            if self.bases[0].segment <= name < segment:  # needed, and complete
                shutil.copy(wal / name, self._wal / name)
        connection.run("SELECT pg_replication_slot_advance(:slot, :position)", slot=self._slot, position=position)
        return Reach(moment, moment, after, idle=quiet and after == _one_transaction_later(snapshot))

    def follow(self, other: WalArchive) -> None:
        """Have what another one has: its newest base backup at first, then what it gets."""
        with other._lock, self._lock:
            if self._removed or other.reach is None:
                return
            marked = other.reach.marked
            known = {base.at for base in self.bases}
            first = min(known, default=max(base.at for base in other.bases if base.at <= marked))
            for base in other.bases:
                if base.at >= first and base.at not in known:
                    directory = self._next_base()
                    _link_tree(base.directory, directory)
                    self.bases.append(replace(base, directory=directory))
            for name in _segments(other._wal) - _segments(self._wal):
                if name >= self.bases[0].segment:
                    shutil.copy(other._wal / name, self._wal / name)
            self.reach = other.reach

    def forget_before(self, moment: float) -> None:
        """Give up what no restore to `moment` or later needs."""
        with self._lock:
            if self._removed:
                return
            while len(self.bases) > 1 and self.bases[1].at <= moment:
                shutil.rmtree(self.bases.pop(0).directory)
            for name in _segments(self._wal):
                if name < self.bases[0].segment:
                    (self._wal / name).unlink()

    def remove(self) -> None:
        """Give up everything."""
        with self._lock:
            self._removed, self.reach = True, None
            self.bases.clear()
            shutil.rmtree(self.directory)

    def stop_receiving(self, server: Server) -> None:
        """Let the server keep nothing for it any more, if it is still there."""
        with server.held() as runs:
            if runs:
                server.forget_follower(self._slot)

    def _next_base(self) -> Path:
        return self.directory / f"base-{len(list(self.directory.glob('base-*')))}-{time.time_ns()}"

    # -- restoring ----------------------------------------------------------------------------------------------
    def prepare(self, moment: float, scratch: Path) -> Recovery:
        """Set aside what a restore to `moment` needs, within the reach: it may be given up before the restore is done.

        After the last commit that is here recovery would wait for one that never comes, so it stops at `marked`.
        """
        with self._lock:
            if self.reach is None:
                raise LookupError(f"nothing is archived in {self.directory}")
            until = min(moment, self.reach.marked)
            base = next(base for base in reversed(self.bases) if base.at <= until)
            scratch.mkdir()
            _link_tree(base.directory, scratch / "base")
            _link_tree(self._wal, scratch / "wal")
            return Recovery(scratch, until)


@dataclass(frozen=True)
class Recovery:
    """What is needed to make a server with every commit up to `until` and no later one."""

    directory: Path
    until: float

    def run(self, server: Server) -> None:
        """Make its data; the server's recovery replays the WAL when it starts."""
        server.create_until(self.directory / "base", self.directory / "wal", self.until)

    def end(self) -> None:
        """Delete what was set aside."""
        shutil.rmtree(self.directory)


def _base(directory: Path, at: float) -> Base:
    label = _START.search((directory / "backup_label").read_text())
    if label is None:
        raise ValueError(f"the label of {directory} names no WAL file")
    return Base(directory, at, label[1])


def _segments(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if re.fullmatch("[0-9A-F]{24}", path.name)}


def _one_transaction_later(snapshot: str) -> str:
    """What follows a snapshot in which nothing runs, after one more transaction."""
    following = int(snapshot.split(":")[1]) + 1
    return f"{following}:{following}:"


def _link_tree(source: Path, target: Path) -> None:
    """Copy a directory that nobody changes, without its content."""
    subprocess.run(["cp", "-al", str(source), str(target)], check=True)
