"""What every emulation gets: the clock, delayed actions, cut regions, the control API, events and child processes."""

from __future__ import annotations

import heapq
import itertools
import json
import os
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sandbox.clock import Clock
from sandbox.cloud.accounting import Origin

ACCOUNT = "123456789012"
PATIENCE_SECONDS = 60.0  # real: how long a connection to a silent region hangs before it ends by itself
FUNCTION_PATIENCE_MINUTES = 0.5  # modelled

Action = Callable[[], None]
Handler = Callable[[dict[str, Any]], Any]


class AwsError(Exception):
    """Raised in an operation's handler: answered with AWS's error code and message, and HTTP status 400."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BadRequest(Exception):
    """A control API call that names something unknown; answered with status 400 and this text."""


@dataclass(order=True)
class _Timer:
    due: float  # time.monotonic()
    order: int
    action: Action = field(compare=False)
    name: str = field(compare=False)
    period: float | None = field(compare=False, default=None)  # real seconds; None runs once
    regions: tuple[str, ...] = field(compare=False, default=())  # where it happens: nothing happens in a lost one


class Cloud:
    """The running emulated cloud. One per process; emulations keep their own state, keyed by region."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self.clock = clock
        self.port = 0  # known once the server listens
        self.account = ACCOUNT
        self.errors: list[str] = []
        self._cut: set[str] = set()
        self._silent: dict[str, threading.Event] = {}  # cut regions whose connections hang, until they are back
        self._on_cut: list[Callable[[str], None]] = []
        self._on_restore: list[Callable[[str], None]] = []
        self._on_stop: list[Action] = []
        self._routes: dict[tuple[str, str], Handler] = {}
        self.operations: dict[tuple[str, str], Handler] = {}
        self.faults: list[dict[str, Any]] = []  # injected by POST faults; emulations look for their kinds
        self.fault_kinds: set[str] = set()
        self.hosts: dict[str, int] = {}  # by names outside of the hosted zones: where they answer HTTPS on the loopback
        self.barriers: list[Callable[[Origin], bool]] = []  # true where the caller's own network leads nowhere
        self._timers: list[_Timer] = []
        self._waiting: list[_Timer] = []  # for a lost region
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._stopping = threading.Event()
        self._events: IO[str] = (directory / "events.jsonl").open("a", buffering=1)
        self._events_lock = threading.Lock()
        # A child's parent-death signal fires when the *thread* that forked it ends, so one lasting thread forks all.
        self._forker = ThreadPoolExecutor(1, thread_name_prefix="forker")
        threading.Thread(target=self._run_timers, name="timers", daemon=True).start()

    # -- modelled time ------------------------------------------------------------------------------------------
    def after(self, minutes: float, action: Action, name: str, *, regions: Sequence[str] = ()) -> None:
        """Run `action` once, `minutes` modelled minutes from now, on a thread of its own.

        Where one of `regions` is cut off at that moment, it waits until all are back.
        An exception in it is recorded and makes /_sandbox/status unhealthy.
        """
        due = time.monotonic() + self.clock.seconds(minutes)
        self._push(_Timer(due, next(self._order), action, name, regions=tuple(regions)))

    def every(self, minutes: float, action: Action, name: str) -> None:
        """Run `action` each `minutes` modelled minutes; a run that lasts longer than that delays the next one."""
        period = self.clock.seconds(minutes)
        self._push(_Timer(time.monotonic() + period, next(self._order), action, name, period))

    def _push(self, timer: _Timer) -> None:
        with self._wake:
            heapq.heappush(self._timers, timer)
            self._wake.notify()

    def _run_timers(self) -> None:
        while not self._stopping.is_set():
            with self._wake:
                wait = self._timers[0].due - time.monotonic() if self._timers else 60.0
                if wait > 0:
                    self._wake.wait(wait)
                    continue
                timer = heapq.heappop(self._timers)
            threading.Thread(target=self._fire, args=(timer,), name=f"timer {timer.name}", daemon=True).start()

    def _fire(self, timer: _Timer) -> None:
        with self._wake:  # restore takes the waiting ones under the same lock: none can slip in behind it
            if any(self.is_cut(region) for region in timer.regions):
                self._waiting.append(timer)
                return
        self.guarded(timer.action, timer.name)
        if timer.period is not None:
            timer.due = max(timer.due + timer.period, time.monotonic())
            self._push(timer)

    def guarded(self, action: Action, name: str) -> None:
        """Run `action`; record its exception instead of losing it with the thread."""
        if self._stopping.is_set():
            return
        try:
            action()
        except Exception as error:  # noqa: BLE001 - recorded, see fail
            if not self._stopping.is_set():
                self.fail(name, error)

    def fail(self, name: str, error: Exception) -> None:
        """Record an error of the sandbox itself: /_sandbox/status says unhealthy from now on."""
        self.errors.append(f"{name}: {error!r}")
        self.emit("error", name=name, error=repr(error), trace="".join(traceback.format_exception(error)))

    # -- lost regions -------------------------------------------------------------------------------------------
    def is_cut(self, region: str) -> bool:
        """Whether `region` is unreachable now."""
        return region in self._cut

    def on_cut(self, action: Callable[[str], None]) -> None:
        """Call `action(region)` when a region is lost, after its API has become unreachable."""
        self._on_cut.append(action)

    def on_restore(self, action: Callable[[str], None]) -> None:
        """Call `action(region)` when a region comes back, before its API is reachable again."""
        self._on_restore.append(action)

    def is_silent(self, region: str) -> bool:
        """Whether connections to `region` hang instead of being refused."""
        return region in self._silent

    def silence(self, region: str, principal: str = "") -> None:
        """Where `region` is silent, hold the calling thread as long as a client's patience lasts, or until it is back.

        A function's own time limits are AWS's time, which passes faster here.
        """
        back = self._silent.get(region)
        if back is not None:
            function = principal.startswith("FUNCTION-")
            back.wait(self.clock.seconds(FUNCTION_PATIENCE_MINUTES) if function else PATIENCE_SECONDS)

    def cut(self, region: str, silent: bool = False) -> None:
        """Lose a region: its API first, then everything that runs in it. Data stays. `silent`: connections hang."""
        if region in self._cut:
            return
        if silent:
            self._silent[region] = threading.Event()
        self._cut.add(region)
        self.emit("region.cut", region=region, silent=silent)
        for action in self._on_cut:
            self.guarded(lambda action=action: action(region), f"cut {region}")  # type: ignore[misc]

    def restore(self, region: str) -> None:
        """Bring a region back with all that it had."""
        if region not in self._cut:
            return
        for action in self._on_restore:
            self.guarded(lambda action=action: action(region), f"restore {region}")  # type: ignore[misc]
        with self._wake:
            self._cut.discard(region)
            waiting, self._waiting = self._waiting, []
        if (back := self._silent.pop(region, None)) is not None:
            back.set()
        self.emit("region.restored", region=region)
        for timer in waiting:  # those that wait for another region still will again
            self._push(timer)

    @property
    def cut_regions(self) -> list[str]:
        """The regions that are unreachable now, sorted."""
        return sorted(self._cut)

    # -- control API and events ---------------------------------------------------------------------------------
    def route(self, method: str, path: str, handler: Handler) -> None:
        """Answer METHOD /_sandbox/<path> with `handler(query and JSON body as one dict)`, its result as JSON.

        Raise BadRequest in the handler for status 400; another exception is answered with 500 and its trace.
        """
        self._routes[method, path.strip("/")] = handler

    def handler(self, method: str, path: str) -> Handler | None:
        """The handler registered for a control call, if any."""
        return self._routes.get((method, path.strip("/")))

    def operation(self, service: str, name: str, handler: Handler) -> None:
        """Answer an operation that moto lacks with `handler(request's JSON body)`; JSON protocols only.

        `service` is the signing name. Raise AwsError for an AWS error.
        """
        self.operations[service, name] = handler

    def emit(self, kind: str, **data: Any) -> None:
        """Append an event to DIR/events.jsonl: t (real epoch), modelled (ISO time), kind and `data`."""
        t = time.time()
        line = json.dumps({"t": t, "modelled": self.clock.at(t).isoformat(), "kind": kind, **data}, default=str)
        with self._events_lock:
            if not self._events.closed:
                self._events.write(line + "\n")

    # -- child processes ----------------------------------------------------------------------------------------
    def spawn(
        self, argv: Sequence[str], *, death_signal: str = "KILL", unprivileged: bool = False, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a child that dies with this process, also when that is killed with -9.

        `death_signal` is what it then gets; `unprivileged` runs it as nobody where we are root. `options` go to Popen.
        """
        prefix = ["setpriv", "--pdeathsig", death_signal]
        if unprivileged:
            prefix += as_nobody()
        start: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen
        return self._forker.submit(start, [*prefix, *argv], **options).result()

    # -- end ----------------------------------------------------------------------------------------------------
    def on_stop(self, action: Action) -> None:
        """Call `action` at a clean stop, last registered first. A crash is covered by `spawn`, not by this."""
        self._on_stop.append(action)

    def stop(self) -> None:
        """Stop timers, then everything registered with on_stop."""
        self._stopping.set()
        with self._wake:
            self._wake.notify()
        for action in reversed(self._on_stop):
            try:
                action()
            except Exception:  # noqa: BLE001 - the others must still be stopped; what failed is shown
                traceback.print_exc()
        self._forker.shutdown(wait=False)
        with self._events_lock:
            self._events.close()


def as_nobody() -> list[str]:
    """setpriv arguments that give up root (PostgreSQL refuses to run as root); none where we are not root."""
    return ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
