"""A serving stack whose file is real and whose AWS and engine never existed: what `dr restore database` changes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from components import naming
from scripts import restore as command
from scripts.clients import Clients
from scripts.freezing import steps as freezing
from scripts.promotion import progress, public, verification
from scripts.promotion.site import Site
from scripts.promotion.verification import Check, Look
from scripts.pulumi_cli import Outcome
from scripts.restore import Restore
from scripts.restoring import steps
from scripts.restoring.target import Wanted
from scripts.snapshots.estate import Estate
from scripts.snapshots.region import Region
from scripts.stack_change import Options
from tests.scripts.made_up_kenya import Kenya, serving
from tests.scripts.made_up_site import ACCOUNT, KEY, NOW, Cli, Client, MadeUp, denied

FIRST = "mental-health-platform-kenya-rds"
RESTORED = f"{FIRST}-restored"
SNAPSHOT = f"{FIRST}-snapshot-2026-11-23-1100"
EARLIEST, LATEST = NOW - timedelta(days=6), NOW - timedelta(minutes=5)
AT = NOW - timedelta(minutes=47)
NAMESPACE = "mental-health-platform:"


class Killed(BaseException):
    """kill -9, as far as a test goes."""


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def instance(identifier: str, generation: str, role: str, restored_from: str | None = None) -> dict[str, Any]:
    tags = {**naming.tags("kenya"), naming.ROLE_TAG: role, naming.GENERATION_TAG: generation}
    return {
        "DBInstanceIdentifier": identifier,
        "DbiResourceId": f"db-{generation}",
        "DBInstanceStatus": "available",
        "EngineVersion": "17.6",
        "AllocatedStorage": 100,
        "StorageEncrypted": True,
        "KmsKeyId": KEY,
        "MultiAZ": True,
        "DeletionProtection": True,
        "BackupRetentionPeriod": 7,
        "PubliclyAccessible": False,
        "DBParameterGroups": [{"DBParameterGroupName": "mental-health-platform-kenya-rds-postgres17"}],
        "TagList": tag_list(tags if restored_from is None else {**tags, naming.RESTORED_FROM_TAG: restored_from}),
    }


def backups(identifier: str = FIRST, **changes: Any) -> dict[str, Any]:
    return {
        "DBInstanceAutomatedBackupsArn": f"arn:aws:rds:eu-west-1:{ACCOUNT}:auto-backup:ab-{identifier}",
        "DBInstanceArn": f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:{identifier}",
        "DbiResourceId": "db-first",
        "Region": "eu-west-1",
        "Status": "active",
        "KmsKeyId": KEY,
        "RestoreWindow": {"EarliestTime": EARLIEST, "LatestTime": LATEST},
        "EngineVersion": "17.6",
        "AllocatedStorage": 100,
        **changes,
    }


def snapshot(identifier: str, minutes: float, region: str = "eu-west-1", **changes: Any) -> dict[str, Any]:
    """One of so many minutes ago, of the first database unless told otherwise."""
    return {
        "DBSnapshotIdentifier": identifier,
        "DBSnapshotArn": f"arn:aws:rds:{region}:{ACCOUNT}:snapshot:{identifier}",
        "DBInstanceIdentifier": FIRST,
        "Status": "available",
        "SnapshotType": "manual",
        "Encrypted": True,
        "KmsKeyId": KEY,
        "OriginalSnapshotCreateTime": NOW - timedelta(minutes=minutes),
        "EngineVersion": "17.6",
        "AllocatedStorage": 100,
        "TagList": tag_list({naming.MADE_BY_TAG: naming.SNAPSHOT_CYCLE}),
        **changes,
    }


class Engine(Cli):
    """`pulumi` on the stack's real file. `kill_at`: the change, counted from one, before or after which it is killed.

    `ups`: what was deployed, each time: whether frozen, what serves, which generations.
    """

    def __init__(self, site: Serving) -> None:
        super().__init__(lambda: site.document)
        self._site = site
        self.ups: list[tuple[bool, str, list[str]]] = []
        self.changes = 0
        self.kill_at: int | None = None
        self.kill_after = False
        self.fails = ""
        self.said["preview"] = '{"steps": []}'

    def config_keys(self, stack: str) -> set[str]:
        return {str(key).removeprefix(NAMESPACE) for key in yaml.safe_load(self._site.stack.file.read_text())["config"]}

    def run(self, *arguments: str, check: bool = True) -> Outcome:
        changing = arguments[0] in ("up", "config") and "--config-file" not in arguments
        if changing:
            self.changes += 1
            self._maybe_kill(after=False)
        outcome = super().run(*arguments, check=check)
        if changing:
            if arguments[0] == "up":
                self._deploy()
            else:
                self._configure(arguments[1:-2])
            self._maybe_kill(after=True)
        return outcome

    def _maybe_kill(self, after: bool) -> None:
        if self.changes == self.kill_at and self.kill_after is after:
            raise Killed

    def _configure(self, change: tuple[str, ...]) -> None:
        file = self._site.stack.file
        document = yaml.safe_load(file.read_text())
        if change[0] == "set-all":
            for assignment in change[3::2]:
                _put(document["config"], *assignment.split("=", 1))
        elif change[0] == "set":
            _put(document["config"], *change[-2:])
        else:
            path = change[-1].split(".")
            holder = document["config"]
            for part in [f"{NAMESPACE}{path[0]}", *path[1:]][:-1]:
                holder = holder[part]
            del holder[path[-1] if len(path) > 1 else f"{NAMESPACE}{path[0]}"]
        file.write_text(yaml.safe_dump(document))

    def _deploy(self) -> None:
        self._site.reread()
        settings = self._site.settings
        names = [generation.name for generation in settings.database.generations]
        self.ups.append((settings.frozen, settings.database.serving, names))
        if self.fails:
            return
        self._site.document = serving(frozen=settings.frozen, kept=dict(settings.thaw_counts))
        for generation in settings.database.generations:
            identifier = settings.database_identifier(generation)
            role = naming.SERVING_ROLE if generation.name == settings.database.serving else naming.RETAINED_ROLE
            made_of = f"{FIRST}@{generation.origin}" if generation.moment else generation.origin
            if identifier not in self._site.databases:
                self._site.made.append(identifier)
            status = self._site.databases.get(identifier, {}).get("DBInstanceStatus", "available")
            described = instance(identifier, generation.name, role, made_of)
            self._site.databases[identifier] = {**described, "DBInstanceStatus": status}


def _put(config: dict[str, Any], path: str, value: str) -> None:
    """As `pulumi config set --path` writes it."""
    first, *rest = path.replace("[", ".[").split(".")
    holder: Any = config
    steps: list[Any] = [f"{NAMESPACE}{first}", *(int(p[1:-1]) if p.startswith("[") else p for p in rest)]
    for step, following in itertools.pairwise(steps):
        if isinstance(step, int) and step == len(holder):
            holder.append({})
        elif not isinstance(step, int):
            holder.setdefault(step, [] if isinstance(following, int) else {})
        holder = holder[step]
    holder[steps[-1]] = value


class Serving(Kenya):
    """`databases` by identifier; `made`: those that a deployment made."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.databases = {FIRST: instance(FIRST, "first", naming.SERVING_ROLE)}
        self.made: list[str] = []
        self.cli = Engine(self)
        self.answers |= {
            "sts.get_caller_identity": {
                "Account": ACCOUNT,
                "Arn": "arn:me",
                "ResponseMetadata": {"HTTPHeaders": {"date": f"{NOW:%a, %d %b %Y %H:%M:%S GMT}"}},
            },
            "rds.describe_db_instances": lambda **_: {"DBInstances": list(self.databases.values())},
            "rds.describe_db_snapshots": {"DBSnapshots": [snapshot(SNAPSHOT, 60)]},
            "rds.describe_db_instance_automated_backups": {"DBInstanceAutomatedBackups": [backups()]},
            "s3.get_object": denied("NoSuchKey", "GetObject"),
        }

    def instance(self, identifier: str) -> Any:
        return self.databases.get(identifier)

    def written(self) -> dict[str, Any]:
        """The stack's file."""
        return dict(yaml.safe_load(self.stack.file.read_text())["config"])

    def declared(self) -> dict[str, Any]:
        """What the file says of the databases."""
        return dict(self.written()[f"{NAMESPACE}database"])


class Patient:
    """Clients that change something: the made-up site's own."""

    def __init__(self, site: MadeUp) -> None:
        self._site = site

    def get(self, service: str, region: str) -> Any:
        return Client(service, self._site.answers, self._site.calls)


def region(site: MadeUp) -> Region:
    site.answers.setdefault("rds.describe_db_snapshots", {"DBSnapshots": []})
    site.answers["rds.add_tags_to_resource"] = {}
    return Region(cast("Site", site), cast("Clients", Patient(site)))


def options(**given: Any) -> Options:
    return Options(**{"apply": True, "confirm": "kenya", "as_json": False, "interactive": False, **given})


def restore(site: Serving, peer: MadeUp, wanted: Wanted | None = None, **given: Any) -> Restore:
    """A run of the command, as a new process begins it."""
    site.reread()
    return Restore(site, Estate(region(site), region(peer)), wanted or Wanted(at=AT), options(**given))


BOTH = ["first", "restored"]
WHOLE = [(True, "first", ["first"]), (True, "first", BOTH), (True, "restored", BOTH), (False, "restored", BOTH)]


def hold(looks: dict[str, Look], *_: Any) -> list[Check]:
    return [Check(name, True, "") for name in looks]


def made(directory: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Serving, MadeUp]:
    directory.mkdir(exist_ok=True)
    monkeypatch.setattr(steps, "RESTORES", directory / "restores")
    monkeypatch.setattr(freezing, "FREEZES", directory / "freezes")
    monkeypatch.setattr(freezing, "THAWS", directory / "thaws")
    monkeypatch.setattr(verification, "hold", hold)
    monkeypatch.setattr(progress, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(command, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(command, "UPLOADED_WITHIN", 0.1)
    monkeypatch.setattr(public, "get", lambda *_: public.Answer(None, "timed out"))
    return Serving(directory), MadeUp(directory)


def results() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(steps.RESTORES.glob("*-kenya/result.json"))]


def done(site: Serving, origin: str, of: str | None) -> None:
    """Exactly one database was made, serves, and nothing else is left of it in the file."""
    generation = {"name": "restored", "origin": origin, **({} if of is None else {"of": of})}
    assert site.declared() == {"serving": "restored", "generations": [{"name": "first", "origin": "empty"}, generation]}
    assert (site.settings.frozen, site.settings.thaw_counts) == (False, {})
    assert (site.made, site.cli.ups[-1]) == ([RESTORED], WHOLE[-1])


def reaches(*entries: dict[str, Any]) -> Callable[[Serving], None]:
    answer = {"DBInstanceAutomatedBackups": list(entries)}
    return lambda site: site.answers.update({"rds.describe_db_instance_automated_backups": answer})
