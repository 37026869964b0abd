"""Runs the plain `pulumi` command, as a person would, and reads what it reports."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.errors import PulumiError

EngineEvent = dict[str, Any]
DIAGNOSTICS = "Diagnostics:"
UPDATING = "Updating ("  # the update itself, after its preview
AFTER = ("Resources:", "Outputs:")  # what follows the diagnostics
NOISE = re.compile(r"SDK \d{4}/\d\d/\d\d .* WARN ")  # the AWS SDK on answers without a checksum
POLL = 0.1  # real seconds between looks at the event log


@dataclass(frozen=True)
class Outcome:
    """How a command ended. `seconds` is real time; `output` is both streams as a terminal would show them."""

    command: str
    code: int
    output: str = field(repr=False)  # `config get` prints a secret
    seconds: float
    started: float = 0.0
    ended: float = 0.0
    stdout: str = field(default="", repr=False)

    @property
    def ok(self) -> bool:
        return self.code == 0

    def tail(self, lines: int = 25) -> str:
        """What the command says went wrong: its diagnostics, else its last lines. An update's preview has its own."""
        said = [line for line in self.output.rstrip().splitlines() if not NOISE.match(line)]
        updating = next((place for place, line in enumerate(said) if line.startswith(UPDATING)), 0)
        said = said[updating:]
        if DIAGNOSTICS in said:
            began = said.index(DIAGNOSTICS) + 1
            ended = next((place for place, line in enumerate(said) if place > began and line in AFTER), len(said))
            return "\n".join(said[began:ended][:lines]).rstrip()
        return "\n".join(said[-lines:])


class PulumiCli:
    """`pulumi` in one project directory with one environment."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = dict(environment)

    def run(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        on_start: Callable[[subprocess.Popen[str]], None] | None = None,
    ) -> Outcome:
        """Run to the end. Values that must stay secret go through `stdin`, never through `arguments`.

        `on_start` gets the process.
        """
        return self._run([*arguments], stdin, None, check, on_start)

    def watch(
        self,
        *arguments: str,
        log: Path,
        on_event: Callable[[float, EngineEvent], None],
        check: bool = True,
        on_start: Callable[[subprocess.Popen[str]], None] | None = None,
    ) -> Outcome:
        """Run an update and pass on each engine event with the moment (epoch seconds) at which it was seen.

        The log holds debug output with secret values in it, so it belongs into a directory that goes away. `on_start`
        gets the process, for who wants to end it otherwise than by an exception, which kills it.
        """
        tail = _Tail(log, on_event)
        tail.start()
        try:
            # The flag is hidden unless PULUMI_DEBUG_COMMANDS is set.
            debug = {"PULUMI_DEBUG_COMMANDS": "1"}
            return self._run([*arguments, "--event-log", str(log)], None, debug, check, on_start)
        finally:
            tail.finish()

    def _run(
        self,
        arguments: Sequence[str],
        stdin: str | None,
        extra: Mapping[str, str] | None,
        check: bool,
        on_start: Callable[[subprocess.Popen[str]], None] | None = None,
    ) -> Outcome:
        command = ["pulumi", *arguments, "--non-interactive"]
        shown = " ".join(["pulumi", *arguments])
        started = time.time()
        try:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env={**self.environment, **(extra or {})},
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,  # on Ctrl-C we decide how it ends, not the terminal
            )
        except FileNotFoundError as error:
            raise PulumiError("`pulumi` is not on PATH.", "Run `make setup` first.") from error
        try:
            if on_start is not None:
                on_start(process)
            stdout, stderr = process.communicate(stdin)
        except BaseException:
            _kill_group(process)
            raise
        ended = time.time()
        outcome = Outcome(shown, process.returncode, stdout + stderr, ended - started, started, ended, stdout)
        if check and not outcome.ok:
            raise PulumiError(f"`{shown}` ended with code {outcome.code}:\n{outcome.tail()}")
        return outcome

    # -- configuration ------------------------------------------------------------------------------------------
    def config_keys(self, stack: str) -> set[str]:
        """The keys set in the stack's file, without namespace; values are not read."""
        listed = json.loads(self.run("config", "--stack", stack, "--json").stdout or "{}")
        return {str(key).split(":", 1)[-1] for key in listed}

    def secret(self, stack: str, key: str) -> str:
        return self.run("config", "get", key, "--stack", stack).stdout.rstrip("\n")

    def set_secret(self, stack: str, key: str, value: str) -> None:
        self.run("config", "set", "--secret", key, "--stack", stack, stdin=value)

    def set_plain(self, stack: str, key: str, value: str) -> None:
        self.run("config", "set", key, value, "--stack", stack)

    def stacks(self) -> set[str]:
        """Names of the stacks that have a state in the backend."""
        return {str(entry["name"]) for entry in json.loads(self.run("stack", "ls", "--json").stdout or "[]")}


def changes_in_preview(document: str) -> list[str]:
    """The steps of `pulumi preview --json` that change something, as "operation type name"."""
    steps = json.loads(document).get("steps") or []
    return [describe(step["op"], step["urn"]) for step in steps if step["op"] not in ("same", "read", "refresh")]


def describe(operation: str, urn: str) -> str:
    """A short form of an operation on a resource: "create aws:rds/instance:Instance name"."""
    kind, name = split_urn(urn)
    return f"{operation} {kind} {name}"


def split_urn(urn: str) -> tuple[str, str]:
    """Type and name of a resource: the type is the last of the `$`-separated chain of its parents' types."""
    _, _, kinds, name = urn.removeprefix("urn:pulumi:").split("::", 3)
    return kinds.rsplit("$", 1)[-1], name


class _Tail(threading.Thread):
    """Follows the event log, which the command begins anew between the preview and the update."""

    def __init__(self, path: Path, on_event: Callable[[float, EngineEvent], None]) -> None:
        super().__init__(name="event log", daemon=True)
        self._path = path
        self._on_event = on_event
        self._over = threading.Event()
        self._offset = 0
        self._rest = b""
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self._over.wait(POLL):
                self._read()
            self._read()
        except Exception as error:  # noqa: BLE001 - raised again in finish(), on the caller's thread
            self.error = error

    def finish(self) -> None:
        """Read what is left. Raises what reading or the listener raised, PulumiError where that takes too long."""
        self._over.set()
        self.join(5)
        if self.is_alive():
            raise PulumiError(f"The engine's event log {self._path} was not read to its end within 5 s.")
        if self.error is not None:
            raise self.error

    def _read(self) -> None:
        if not self._path.exists():
            return
        if self._path.stat().st_size < self._offset:
            self._offset, self._rest = 0, b""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            read = log.read()
        self._offset += len(read)
        *lines, self._rest = (self._rest + read).split(b"\n")
        for line in filter(None, lines):
            self._on_event(time.time(), json.loads(line))


def _kill_group(process: subprocess.Popen[str]) -> None:
    """End the command with its language host and plugins; its sandbox goes away with it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
