"""Waiting in modelled time for something that a step outside our control has to bring about."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from sandbox.clock import Clock
from scripts.errors import SandboxError
from scripts.rehearsal.writer import Worker

Found = TypeVar("Found")

REST = 25.0  # modelled minutes: longer than anything that has no limit of its own
LOOK_EVERY = 0.2  # real seconds


class Waiting:
    """Looks again and again, and notices when one of `workers` ended meanwhile. `status`: how things stand."""

    def __init__(self, clock: Clock, status: Callable[[], Any], workers: Sequence[Worker]) -> None:
        self._clock = clock
        self._status = status
        self._workers = workers

    def until(self, what: str, look: Callable[[], Found | None], minutes: float = REST) -> Found:
        """What `look` finds. Raises SandboxError when it still finds nothing after so many modelled minutes."""
        found = self.look_for(look, minutes)
        if not found:
            raise SandboxError(
                f"Waited {minutes:g} modelled minutes ({self._clock.seconds(minutes):.0f} s) for {what}, in vain.",
                f"The sandbox says: {json.dumps(self._status())}",
            )
        return found

    def look_for(self, look: Callable[[], Found | None], minutes: float) -> Found | None:
        """What `look` finds within so many modelled minutes, else None. Raises what ended a worker meanwhile."""

        def attempt() -> Found | None:
            for worker in self._workers:
                if worker.error is not None:
                    raise worker.error
            return look()

        attempts = Retrying(
            retry=retry_if_result(lambda found: not found),
            wait=wait_fixed(LOOK_EVERY),
            stop=stop_after_delay(self._clock.seconds(minutes)),
            retry_error_callback=lambda _: None,
        )
        return attempts(attempt)
