"""Which database is given up, how far that has come, and what forbids it. How far stands in the stack's file, in RDS
and in the state, so that the same command continues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from components import naming
from components.settings.database import GenerationSettings
from components.settings.stack import Settings
from scripts.errors import RefusedError
from scripts.promotion import leftovers
from scripts.promotion.adoption import DATABASE
from scripts.promotion.site import Site
from scripts.snapshots import model
from scripts.snapshots.model import Database
from scripts.snapshots.region import Region

DELETING = "deleting"
LIST = "`dr database list` shows them."


@dataclass(frozen=True)
class Target:
    """`position`: its place in the stack's file. `database`: as RDS describes it, None once it is gone. `protected`:
    RDS refuses to delete it. `recorded`: the state still holds it.
    """

    generation: GenerationSettings
    position: int
    identifier: str
    database: Database | None
    protected: bool
    recorded: bool

    @property
    def resource(self) -> str:
        """The program's name for it."""
        return resource(self.generation)

    @property
    def stands(self) -> bool:
        """Whether it is there and nobody deletes it."""
        return self.database is not None and self.database.status != DELETING

    @property
    def complete(self) -> bool:
        return self.generation.released and self.database is None and not self.recorded

    def as_json(self) -> dict[str, Any]:
        return {
            "generation": self.generation.name,
            "database": self.identifier,
            "status": None if self.database is None else self.database.status,
            "released": self.generation.released,
            "protected": self.protected,
            "complete": self.complete,
        }


def resource(generation: GenerationSettings) -> str:
    return f"database-{generation.name}"


def choose(site: Site, home: Region, follower: Settings, name: str) -> Target:
    """Raises RefusedError for what must not be given up, or cannot be. `follower`: the settings of the other stack."""
    settings = site.settings
    generation = _named(settings, name)
    identifier = settings.database_identifier(generation)
    _refuse_needed(settings, generation, identifier, follower)
    described = site.instance(identifier)
    recorded = {found.name for found in leftovers.of_type(site.checkpoint(), DATABASE)}
    target = Target(
        generation,
        settings.database.generations.index(generation),
        identifier,
        None if described is None else model.database(described),
        described is not None and described.get("DeletionProtection", False),
        resource(generation) in recorded,
    )
    _refuse_unmade(settings, generation, recorded)
    _refuse_impossible(target, settings.stack, home)
    return target


def _named(settings: Settings, name: str) -> GenerationSettings:
    found = next((g for g in settings.database.generations if g.name == name), None)
    if found is None:
        known = ", ".join(g.name for g in settings.database.generations if g.name != settings.database.serving)
        raise RefusedError(
            f"{name} is no generation of {settings.stack}; beside the one that serves there is: {known or 'none'}. "
            "Nothing was changed.",
            LIST,
        )
    return found


def _refuse_needed(settings: Settings, generation: GenerationSettings, identifier: str, follower: Settings) -> None:
    if generation.name == settings.database.serving:
        raise RefusedError(f"{identifier} ({generation.name}) serves {settings.stack}. Nothing was changed.", LIST)
    if settings.database.restoring is not None:
        raise RefusedError(
            f"A restore of {settings.stack} is under way (generation {settings.database.restoring.generation}), and "
            "what else there is may be needed for it. Nothing was changed.",
            "End it, or give it up (docs/restoring.md), then run this again.",
        )
    source = follower.database.standby_source_arn
    if source is not None and source.endswith(f":{identifier}"):
        raise RefusedError(
            f"{follower.stack} follows {identifier} (database.standbySourceArn). Nothing was changed.",
            f"Set that to the output databaseArn of {settings.stack} and deploy {follower.stack}, then run this again.",
        )


def _refuse_unmade(settings: Settings, generation: GenerationSettings, recorded: set[str]) -> None:
    """A deployment would make those, perhaps of this one's backups."""
    others = [g.name for g in settings.database.generations if not g.released and g.name != generation.name]
    if missing := [name for name in others if f"database-{name}" not in recorded]:
        raise RefusedError(
            f"{', '.join(missing)} of {settings.stack} is declared and was never deployed. Nothing was changed.",
            f"Deploy it first, `pulumi up -s {settings.stack}`, or take its entry out of the file.",
        )


def _refuse_impossible(target: Target, stack: str, home: Region) -> None:
    database, name = target.database, target.generation.name
    if database is None:
        if target.generation.released:
            return
        mark = f"pulumi config set --path 'database.generations[{target.position}].released' true -s {stack}"
        raise RefusedError(
            f"{target.identifier} ({name}) does not exist: no snapshot of it can be taken. Nothing was changed.",
            f"If it is meant to be gone: `{mark}`, then `pulumi up -s {stack}`.",
        )
    if not target.recorded:
        raise RefusedError(
            f"{target.identifier} exists, but no deployment of {stack} made it: its state does not know "
            f"{target.resource}. Nothing was changed.",
            "Find out whose it is. `dr database list` shows when it was made.",
        )
    if not target.stands:
        return
    if database.lost:
        raise RefusedError(
            f"{target.identifier} is {database.status}: RDS takes no snapshot of it. Nothing was changed.",
            f"If it is stopped: aws rds start-db-instance --db-instance-identifier {target.identifier}. Otherwise look "
            "at its events; docs/restoring.md says how to delete one that failed.",
        )
    last = naming.final_snapshot(target.identifier)
    if home.snapshot(last) is not None:
        raise RefusedError(
            f"Snapshot {last} exists already, and RDS takes one of that name when it deletes {target.identifier}: it "
            "would refuse. Nothing was changed.",
            f"Look whose it is; if it is needed: `dr snapshot copy {last}`. Then aws rds delete-db-snapshot "
            f"--db-snapshot-identifier {last}.",
        )
