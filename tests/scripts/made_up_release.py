"""A stack that serves its second database, with the first one retained: what `dr database release` changes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import naming
from scripts.freezing.checks import INVOCATION
from scripts.promotion import progress, verification
from scripts.promotion.adoption import DATABASE
from scripts.promotion.verification import Check, Look
from scripts.pulumi_cli import Outcome
from scripts.release import Release
from scripts.releasing import steps
from scripts.snapshots import waiting
from scripts.snapshots.estate import Estate
from tests.scripts.made_up_kenya import serving
from tests.scripts.made_up_restore import (
    FIRST,
    NAMESPACE,
    RESTORED,
    Engine,
    Killed,
    Serving,
    instance,
    options,
    region,
    snapshot,
)
from tests.scripts.made_up_site import MadeUp, denied

LAST = f"{FIRST}-final"  # RDS's own
FINAL = f"{LAST}-2026-11-23-1200"
GENERATIONS: list[dict[str, Any]] = [{"name": "first", "origin": "empty"}, {"name": "restored", "origin": "newest"}]
RELEASED = [{**GENERATIONS[0], "released": True}, GENERATIONS[1]]
LOCKED = {"locked": ["api"], "refused": {"api": "28000"}, "ended": 0, "revoked": [], "prepared": []}


def recorded(kind: str, name: str, **inputs: Any) -> dict[str, Any]:
    return {
        "urn": f"urn:pulumi:kenya::mental-health-platform::{kind}::{name}",
        "type": kind,
        "inputs": inputs,
    }


def of_a_generation(name: str) -> list[dict[str, Any]]:
    call = recorded(INVOCATION, f"fences-{name}", functionName="roles", input="{}")
    return [recorded(DATABASE, f"database-{name}", identifier=FIRST), *([call] if name == "first" else [])]


class ReleasingEngine(Engine):
    """`pulumi` with the program's two steps: protection off, then gone. `ends_deleting`: RDS took the deletion, and the
    engine ended before it heard so."""

    _site: Releasing

    def __init__(self, site: Releasing) -> None:
        super().__init__(site)
        self.ends_deleting = False
        self.more: list[dict[str, str]] = []  # what else a preview finds
        self.previewed: list[list[str]] = []

    def run(self, *arguments: str, check: bool = True) -> Outcome:
        if arguments[0] == "preview":
            planned = "--config-file" in arguments and "released" in " ".join(self.commands[-1])
            found = [*self._steps(planned or self._site.settings.database.generations[0].released), *self.more]
            self.previewed.append([f"{step['op']} {step['urn'].rpartition('::')[2]}" for step in found])
            self.said["preview"] = json.dumps({"steps": found})
        if arguments[:2] == ("state", "unprotect"):
            for held in self._site.of_first():
                held["protect"] = held.get("protect") and held["urn"] != arguments[2]
        return super().run(*arguments, check=check)

    def _steps(self, released: bool) -> list[dict[str, str]]:
        if not released:
            return []
        if self._site.protected():
            return [{"op": "update", "urn": recorded(DATABASE, "database-first")["urn"]}]
        assert not any(found.get("protect") for found in self._site.of_first()), "Pulumi previews no such deletion"
        return [{"op": "delete", "urn": found["urn"]} for found in self._site.of_first()]

    def _deploy(self) -> None:
        self._site.reread()
        generation = self._site.settings.database.generations[0]
        self.ups.append(
            (generation.released, self._site.settings.database.serving, sorted(map(str, self._site.databases)))
        )
        if not generation.released or self.fails:
            return
        if self._site.protected():
            self._site.databases[FIRST]["DeletionProtection"] = False
            return
        if FIRST in self._site.databases:
            self._site.delete()
        if self.ends_deleting:
            raise Killed
        self._site.databases.pop(FIRST, None)
        self._site.forget()


class Releasing(Serving):
    """`snapshots` by identifier, as RDS describes them."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.generations(*GENERATIONS)
        self.databases = {
            FIRST: instance(FIRST, "first", naming.RETAINED_ROLE),
            RESTORED: instance(RESTORED, "restored", naming.SERVING_ROLE),
        }
        self.cli = ReleasingEngine(self)
        self.document = serving(resources=(*of_a_generation("first"), *of_a_generation("restored")))
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.answers |= {"lambda.invoke": lambda **_: {"Payload": io.BytesIO(json.dumps(LOCKED).encode())}}

    def generations(self, *declared: Mapping[str, Any], **changes: Any) -> None:
        """What the stack's file says of them."""
        document = yaml.safe_load(self.stack.file.read_text())
        document["config"][f"{NAMESPACE}database"] |= {"generations": list(declared), "serving": "restored", **changes}
        self.stack.file.write_text(yaml.safe_dump(document))

    # -- RDS ------------------------------------------------------------------------------------------------------
    def protected(self) -> bool:
        return bool(self.databases.get(FIRST, {}).get("DeletionProtection"))

    def delete(self) -> None:
        """As AWS does it: never a protected one, and never over a snapshot of that name."""
        assert not self.protected()
        if self.databases[FIRST]["DBInstanceStatus"] != "deleting":
            assert LAST not in self.snapshots
            self.snapshots[LAST] = snapshot(LAST, 0, TagList=[])
        self.databases[FIRST]["DBInstanceStatus"] = "deleting"

    def create_snapshot(self, **asked: Any) -> dict[str, Any]:
        name = asked["DBSnapshotIdentifier"]
        if name in self.snapshots:
            raise denied("DBSnapshotAlreadyExists", "CreateDBSnapshot")
        self.snapshots[name] = snapshot(name, 0, TagList=asked["Tags"])
        return {"DBSnapshot": self.snapshots[name]}

    def describe_snapshots(self, **asked: Any) -> dict[str, Any]:
        name = asked.get("DBSnapshotIdentifier")
        if name is not None and name not in self.snapshots:
            raise denied("DBSnapshotNotFound", "DescribeDBSnapshots")
        return {"DBSnapshots": list(self.snapshots.values()) if name is None else [self.snapshots[name]]}

    def tag(self, **asked: Any) -> dict[str, Any]:
        self.snapshots[asked["ResourceName"].rpartition(":")[2]]["TagList"] += asked["Tags"]
        return {}

    # -- the state ------------------------------------------------------------------------------------------------
    def of_first(self) -> list[dict[str, Any]]:
        return [found for found in self.document["deployment"]["resources"] if found["urn"].endswith("-first")]

    def forget(self) -> None:
        kept = [found for found in self.document["deployment"]["resources"] if found not in self.of_first()]
        self.document["deployment"]["resources"] = kept


def release(site: Releasing, peer: MadeUp, name: str = "first", **given: Any) -> Release:
    """A run of the command, as a new process begins it."""
    site.reread()
    estate = Estate(region(site), region(peer))
    site.answers |= {
        "rds.create_db_snapshot": site.create_snapshot,
        "rds.describe_db_snapshots": site.describe_snapshots,
        "rds.add_tags_to_resource": site.tag,
    }
    return Release(site, estate, name, options(**{"confirm": FIRST, **given}))


def made(directory: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Releasing, MadeUp]:
    (directory / "kenya").mkdir()
    (directory / "peer").mkdir()
    real = verification.hold

    def at_once(looks: dict[str, Look], *_: Any) -> list[Check]:
        return real(looks, 0.0)

    monkeypatch.setattr(steps, "RELEASES", directory / "releases")
    monkeypatch.setattr(verification, "hold", at_once)
    monkeypatch.setattr(progress, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(waiting, "LOOK_EVERY", 0.01)
    return Releasing(directory / "kenya"), MadeUp(directory / "peer")


def results() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(steps.RELEASES.glob("*-kenya/result.json"))]
