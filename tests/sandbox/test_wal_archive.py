"""Base backups and WAL of a real server: recovered to any moment, and no more kept than that needs."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pg8000.native
import pytest

from sandbox.clock import Clock
from sandbox.cloud.context import Cloud
from sandbox.cloud.postgres import Server, Servers
from sandbox.cloud.wal_archive import WalArchive

Make = Callable[[str], Server]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that PostgreSQL reaches, which is nobody where we are root; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def make(place: Path) -> Iterator[Make]:
    """Makes servers that are gone at the end."""
    cloud = Cloud(place, Clock())
    servers, made = Servers(cloud), []

    def server(name: str) -> Server:
        made.append(Server(servers, name))
        return made[-1]

    yield server
    for one in made:
        one.stop()
    cloud.stop()


@pytest.fixture
def source(make: Make) -> Server:
    """A server that runs, with an empty table."""
    server = make("source")
    server.create()
    server.configure({}, force_tls=True)
    server.start()
    with server.admin() as connection:
        connection.run("create table numbers (n bigint)")
    return server


@pytest.fixture
def archive(source: Server, place: Path) -> WalArchive:
    """Of the source, begun."""
    archive = WalArchive(place / "archive", "archive_of_source")
    assert archive.begin(source)
    return archive


def write(server: Server, *numbers: int) -> float:
    """A moment after which the rows are there, and before which nothing else is."""
    with server.admin() as connection:
        for n in numbers:
            connection.run("insert into numbers values (:n)", n=n)
    time.sleep(0.01)
    moment = time.time()
    time.sleep(0.01)
    return moment


def rows(server: Server) -> list[int]:
    with server.admin() as connection:
        return [row[0] for row in connection.run("select n from numbers order by n")]


@contextlib.contextmanager
def recovered(make: Make, archive: WalArchive, moment: float, scratch: Path) -> Iterator[Server]:
    recovery = archive.prepare(moment, scratch)
    server = make(scratch.name)
    recovery.run(server)
    server.configure({}, force_tls=True)
    server.start()
    yield server
    server.stop()
    recovery.end()


def segments(archive: WalArchive) -> list[str]:
    return sorted(path.name for path in (archive.directory / "wal").iterdir())


def test_an_idle_server_reaches_further_and_writes_nothing(
    make: Make, source: Server, archive: WalArchive, place: Path
) -> None:
    write(source, 1)
    for _ in range(2):  # the second finds nothing but the first one's own commit
        archive.receive(source)
    kept = segments(archive)
    since = time.time()
    archive.receive(source)
    assert archive.reach is not None
    assert archive.reach.until >= since > archive.reach.marked
    assert segments(archive) == kept
    moment = archive.reach.until
    with recovered(make, archive, moment, place / "no-commit-after-it") as server:
        assert rows(server) == [1]
    write(source, 2)
    archive.receive(source)
    assert segments(archive) != kept
    for number, at in enumerate((since, moment)):
        with recovered(make, archive, at, place / f"idle-{number}") as server:
            assert rows(server) == [1]


@pytest.mark.parametrize("step", ["pg_current_snapshot", "pg_current_xact_id", "pg_switch_wal"])
def test_what_is_committed_while_it_is_archived_is_not_lost(
    make: Make, source: Server, archive: WalArchive, place: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write(source, 1)
    archive.receive(source)
    before = write(source)
    with monkeypatch.context() as patch:
        patch.setattr(source, "admin", lambda: committing(source, step))
        archive.receive(source)
    for _ in range(2):
        archive.receive(source)
    assert archive.reach is not None
    for name, at, expected in (("before", before, [1]), ("after", archive.reach.until, [1, 2])):
        with recovered(make, archive, at, place / name) as server:
            assert rows(server) == expected


@contextlib.contextmanager
def committing(server: Server, step: str) -> Iterator[Interrupted]:
    """A connection before whose first statement with these words somebody else commits a row."""
    connection = server.connect_as_admin()
    yield Interrupted(connection, step, server)
    connection.close()


class Interrupted:
    """See `committing`."""

    def __init__(self, connection: pg8000.native.Connection, step: str, server: Server) -> None:
        self._connection, self._step, self._server = connection, step, server

    def run(self, statement: str, **values: Any) -> Any:
        if self._step and self._step in statement:
            self._step = ""
            with contextlib.closing(self._server.connect_as_admin()) as other:
                other.run("insert into numbers values (2)")
        return self._connection.run(statement, **values)


def test_a_backup_of_an_idle_server_is_enough_once_the_one_before_is_gone(
    make: Make, source: Server, archive: WalArchive, place: Path
) -> None:
    write(source, 1)
    for _ in range(3):
        archive.receive(source)
    archive.add(source.backup(place / "daily"))
    archive.receive(source)
    archive.forget_before(archive.bases[-1].at)
    assert len(archive.bases) == 1
    assert archive.reach is not None
    with recovered(make, archive, archive.reach.until, place / "later") as server:
        assert rows(server) == [1]


def test_a_transaction_that_was_open_meanwhile_is_not_taken_for_idleness(
    make: Make, source: Server, archive: WalArchive, place: Path
) -> None:
    with source.admin() as slow:
        slow.run("begin")
        slow.run("insert into numbers values (7)")
        for _ in range(3):
            archive.receive(source)
        before = time.time()
        time.sleep(0.01)
        slow.run("commit")
    after = write(source)
    archive.receive(source)
    with recovered(make, archive, before, place / "before") as server:
        assert rows(server) == []
    with recovered(make, archive, after, place / "after") as server:
        assert rows(server) == [7]


def test_what_is_older_than_needed_is_given_up(make: Make, source: Server, archive: WalArchive, place: Path) -> None:
    early = write(source, 1)
    archive.receive(source)
    archive.add(source.backup(place / "daily"))
    first, daily = archive.bases
    late = write(source, 2)
    archive.receive(source)
    with recovered(make, archive, early, place / "early") as server:
        assert rows(server) == [1]
    everything = segments(archive)
    archive.forget_before(daily.at - 1)
    assert (archive.bases, segments(archive)) == ([first, daily], everything)
    archive.forget_before(daily.at)
    assert archive.bases == [daily]
    assert not first.directory.exists()
    assert segments(archive) == [name for name in everything if name >= daily.segment] != everything
    with recovered(make, archive, late, place / "late") as server:
        assert rows(server) == [1, 2]


def test_a_follower_has_the_newest_base_and_all_that_comes(
    make: Make, source: Server, archive: WalArchive, place: Path
) -> None:
    write(source, 1)
    archive.receive(source)
    archive.add(source.backup(place / "daily"))
    archive.receive(source)
    follower = WalArchive(place / "follower", "unused")
    follower.follow(archive)
    assert [base.at for base in follower.bases] == [archive.bases[1].at]
    moment = write(source, 2)
    write(source, 3)
    archive.receive(source)
    assert follower.reach != archive.reach
    follower.follow(archive)
    archive.remove()
    follower.follow(archive)
    assert not archive.directory.exists()
    with recovered(make, follower, moment, place / "there") as server:
        assert rows(server) == [1, 2]


def test_nothing_comes_from_a_server_that_does_not_run(source: Server, archive: WalArchive, place: Path) -> None:
    archive.receive(source)
    reach = archive.reach
    source.stop()
    archive.receive(source)
    assert archive.reach == reach
    assert not WalArchive(place / "late", "archive_late").begin(source)
