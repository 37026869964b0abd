"""What a promotion leaves behind: an append-only record of every action, and its result."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts import console
from scripts.project import BUILD

PROMOTIONS = BUILD / "promotions"


class Record:
    """One directory. Each line is on the disk before the action goes on: what happened survives a power cut."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        self._events = (directory / "events.jsonl").open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._lost = False

    @classmethod
    def new(cls, stack: str, root: Path = PROMOTIONS) -> Record:
        """Named by the time of day (UTC) and the stack."""
        return cls(root / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{stack}")

    def add(self, kind: str, **data: Any) -> None:
        """Append one action or observation with its moment (UTC)."""
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "kind": kind, **data}
        try:
            with self._lock:
                self._events.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
                self._events.flush()
                os.fsync(self._events.fileno())
        except OSError as error:
            self._say_lost(error)

    def _say_lost(self, error: OSError) -> None:
        """A full disk of this machine must not stop what brings people their service back."""
        if not self._lost:
            self._lost = True
            console.warn(f"What happens can no longer be written down in {self.directory}: {error}. It goes on.")

    def close(self, result: Mapping[str, Any]) -> None:
        """Write result.json; nothing is added afterwards."""
        self.add("ended", ok=result["ok"], exit_code=result["exit_code"])
        with self._lock:
            self._events.close()
        written = self.directory / "result.json.new"
        written.write_text(json.dumps(result, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
        written.replace(self.directory / "result.json")


def measured_minutes(root: Path, stack: str, source: str | None = None) -> float | None:
    """How long `pulumi up` took in the last complete run on real AWS of those recorded in `root`, begun from nothing;
    None before one. `source`: only of a promotion with data of that source."""
    for file in sorted(root.glob(f"*-{stack}/result.json"), reverse=True):
        try:
            result = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # what a crash left of it tells nothing, and must not stop the next run
        complete = result.get("ok") and result.get("on_aws") and not result.get("resumed")
        if complete and (result.get("data") or {}).get("source") == source and result.get("up_minutes") is not None:
            return float(result["up_minutes"])
    return None
