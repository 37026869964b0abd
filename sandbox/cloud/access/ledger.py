"""Which grants of which role were ever used, and what was refused: each kind once, in memory and in access.jsonl."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from sandbox.cloud.access.policy import Decision, Need


class AccessLedger:
    """Grows with the number of grants, not of calls."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("a", buffering=1)
        self._known: set[tuple[object, ...]] = set()
        self._uses: list[dict[str, Any]] = []
        self._refusals: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def add(self, role: str, need: Need, decision: Decision) -> None:
        """Remember a decision, unless its like is known."""
        if decision.refused:
            entry = {"role": role, "action": need.action, "resource": need.resource, "why": decision.refused}
            self._remember((role, need.action, need.resource), entry, self._refusals)
        for grant in decision.grants:
            self._remember((role, grant), {"role": role, **asdict(grant)}, self._uses)

    def _remember(self, key: tuple[object, ...], entry: dict[str, Any], where: list[dict[str, Any]]) -> None:
        with self._lock:
            if key in self._known:
                return
            self._known.add(key)
            where.append(entry)
            if not self._file.closed:
                self._file.write(json.dumps({"t": time.time(), **entry}) + "\n")

    def told(self) -> dict[str, list[dict[str, Any]]]:
        """All that was remembered: `uses` with the grant, `refusals` with the reason."""
        with self._lock:
            return {"uses": list(self._uses), "refusals": list(self._refusals)}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()
