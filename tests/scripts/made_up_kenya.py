"""A stack that serves, made up: its state, its services, and what a command did to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts.promotion import leftovers
from tests.scripts.made_up_site import MadeUp, state

LIVE = {"crisis-detection": 3, "api-gateway": 7, "sync": 2, "audio-processing": 1, "notifications": 1}
MARKER = {
    "urn": f"urn:pulumi:kenya::p::{leftovers.MARKER}::takeover-marker",
    "type": leftovers.MARKER,
    "inputs": {"content": "taken-over: yes"},
}


def described(counts: dict[str, int], running: dict[str, int] | None = None) -> dict[str, Any]:
    alive = counts if running is None else running
    entries = [{"serviceName": n, "desiredCount": c, "runningCount": alive[n], "events": []} for n, c in counts.items()]
    return {"services": entries}


def serving(*operations: Any, frozen: bool = False, kept: dict[str, int] | None = None, **resources: Any) -> Any:
    found = state(*operations, standby=False, resources=(MARKER, *resources.get("resources", ())))
    found["deployment"]["resources"][0]["outputs"] |= {"frozen": frozen, "thawCounts": kept}
    return found


class Kenya(MadeUp):
    """The stack that serves."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.stack, self.region = self.project.primary, self.project.primary.region
        self.document = serving()
        self.cli.said["preview"] = json.dumps({"steps": []})
        self.answers["ecs.list_services"] = {"serviceArns": ["a"]}
        self.answers["ecs.list_tasks"] = {"taskArns": []}
        self.run(LIVE)

    def run(self, counts: dict[str, int], running: dict[str, int] | None = None) -> None:
        self.answers["ecs.describe_services"] = described(counts, running)

    def configured(self, *lines: str) -> None:
        """Add lines to the stack's file."""
        with self.stack.file.open("a") as file:
            file.writelines(f"  mental-health-platform:{line}\n" for line in lines)

    def changed(self) -> list[tuple[str, ...]]:
        """What was done, apart from looking."""
        looked = [command for command in self.cli.commands if "--config-file" in command]
        return [c for c in self.cli.commands if c not in looked and c[0] not in ("preview", "stack")]
