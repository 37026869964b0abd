"""What a database is restored from and what it will be called: what was asked for, held against what there is.

A restore that is under way stands in the stack's file (`database.restoring`), which is how the same command continues
it and another one is refused. The rules of what can be restored are the program's own (components/origins.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pulumi
from pydantic import ValidationError

from components import naming, origins
from components.database_plans import EMPTY
from components.facts import Facts, Reader
from components.settings.database import GenerationSettings, RestoringSettings
from components.settings.stack import Settings
from scripts.errors import RefusedError
from scripts.promotion.site import Site
from scripts.restoring.moment import said, written

NAME = "restored"
LIST = "`dr snapshot list` shows what there is."


@dataclass(frozen=True)
class Wanted:
    """What was asked for: the newest moment, a snapshot, or a moment."""

    snapshot: str | None = None
    at: datetime | None = None

    @property
    def latest(self) -> bool:
        return self.snapshot is None and self.at is None

    @property
    def arguments(self) -> str:
        """As they are typed."""
        if self.snapshot is not None:
            return f"--snapshot {self.snapshot}"
        return "--latest" if self.at is None else f"--at {written(self.at)}"

    @staticmethod
    def of(generation: GenerationSettings, restoring: RestoringSettings) -> Wanted:
        """What a restore that is under way was asked for: only the newest moment has no damage behind it."""
        if restoring.damage_from is None:
            return Wanted()
        return Wanted(at=generation.moment) if generation.moment else Wanted(snapshot=generation.origin)


@dataclass(frozen=True)
class Target:
    """`source`: in words. `at`: until when its data reach. `damage_from`: what was taken later is unusable.

    `under_way`: the stack's file declares it already. `complete`: it serves, and nothing is left to do.
    """

    generation: GenerationSettings
    identifier: str
    source: str
    at: datetime | None
    damage_from: datetime | None
    under_way: bool = False
    complete: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "generation": self.generation.name,
            "database": self.identifier,
            "origin": self.generation.origin,
            "of": self.generation.of,
            "source": self.source,
            "at": self.at,
            "damage_from": self.damage_from,
            "under_way": self.under_way,
            "complete": self.complete,
        }


def choose(site: Site, wanted: Wanted, now: datetime) -> Target:
    """Raises RefusedError for what cannot be restored, and for another restore that is under way."""
    return _declared(site.settings, wanted) or _new(site, wanted, now)


def _declared(settings: Settings, wanted: Wanted) -> Target | None:
    """The restore that is under way, or the one that is complete; None where neither is."""
    restoring = settings.database.restoring
    if restoring is None:
        generation = settings.serving_generation
        if generation is None or not _made_of(generation, wanted):
            return None
        told = f"complete: it serves since an earlier run with {wanted.arguments}"
        identifier = settings.database_identifier(generation)
        return Target(generation, identifier, told, generation.moment, None, under_way=True, complete=True)
    generation = next(g for g in settings.database.generations if g.name == restoring.generation)
    begun = Wanted.of(generation, restoring)
    if begun != wanted:
        raise RefusedError(
            f"A restore of {settings.stack} with {begun.arguments} is under way (generation {generation.name}). "
            "Nothing was changed.",
            f"`dr restore database -s {settings.stack} {begun.arguments} --apply` continues it; docs/restoring.md says "
            "how to give it up.",
        )
    damage = None if restoring.damage_from is None else datetime.fromisoformat(restoring.damage_from)
    source = _in_words(settings, generation, generation.moment or damage)
    identifier = settings.database_identifier(generation)
    return Target(generation, identifier, source, generation.moment or damage, damage, under_way=True)


def _made_of(generation: GenerationSettings, wanted: Wanted) -> bool:
    if wanted.latest:
        return False
    return generation.moment == wanted.at if wanted.at else generation.origin == wanted.snapshot


def _new(site: Site, wanted: Wanted, now: datetime) -> Target:
    settings = site.settings
    draft = _generation(_free(settings, lambda identifier: site.instance(identifier) is not None), written(now), True)
    facts = _facts(site, _with(settings, draft.model_copy(update={"of": settings.database.serving})))
    used = {copy.source_database for copy in facts.copies}
    used |= {entry.source_arn.rpartition(":")[2] for entry in facts.own_backups}
    # A name that a deleted database had: its final snapshot has the one that this one's would get.
    name = _free(settings, lambda identifier: identifier in used or site.instance(identifier) is not None)
    if wanted.snapshot is not None:
        generation = _of_snapshot(name, wanted.snapshot)
        origin = _origin(settings, generation, facts)
        # Rounded up, so that the snapshot itself and its copies are not called damaged.
        damage: datetime | None = origin.at.replace(microsecond=0) + timedelta(
            seconds=1 if origin.at.microsecond else 0
        )
    else:
        generation, origin = _of_moment(settings, name, wanted.at or _latest(settings, facts), facts)
        damage = None if wanted.latest else origin.at
    identifier = naming.database(settings.short_name, name, first=False)
    return Target(generation, identifier, _in_words(settings, generation, origin.at), origin.at, damage)


def _free(settings: Settings, taken: Callable[[str], bool]) -> str:
    """The first name that no generation has and that would give a database a name which is not `taken`."""
    declared = {generation.name for generation in settings.database.generations}
    names = (NAME if number == 1 else f"{NAME}-{number}" for number in count(1))
    return next(
        name
        for name in names
        if name not in declared and not taken(naming.database(settings.short_name, name, first=False))
    )


def _generation(name: str, origin: str, moment: bool) -> GenerationSettings:
    """Raises RefusedError for a text that is no identifier of a snapshot."""
    try:
        made = GenerationSettings(name=name, origin=origin)
    except ValidationError:
        made = None
    if made is None or origin in (EMPTY, origins.NEWEST) or (made.moment is not None) is not moment:
        raise RefusedError(f"{origin} is no identifier of a snapshot. Nothing was changed.", LIST)
    return made


def _of_snapshot(name: str, snapshot: str) -> GenerationSettings:
    if snapshot.startswith("rds:"):
        raise RefusedError(
            f"{snapshot} is one of RDS's own snapshots, which go with their database. Nothing was changed.",
            "Name its time instead, with --at: automated backups reach it. Or copy it: `dr snapshot copy`.",
        )
    return _generation(name, snapshot, moment=False)


def _with(settings: Settings, generation: GenerationSettings) -> Settings:
    generations = (*settings.database.generations, generation)
    return settings.model_copy(update={"database": settings.database.model_copy(update={"generations": generations})})


def _facts(site: Site, settings: Settings) -> Facts:
    """What the program would look at, without what RDS sells: its preview asks that."""
    try:
        return Reader(settings, lambda service, _: site.client(service)).read(watching=True)
    except pulumi.RunError as error:
        raise RefusedError(str(error)) from error


def _origin(settings: Settings, generation: GenerationSettings, facts: Facts) -> origins.Origin:
    try:
        return origins.choose_origin(_with(settings, generation), generation, facts)
    except pulumi.RunError as error:
        raise RefusedError(str(error), LIST) from error


def _of_moment(settings: Settings, name: str, at: datetime, facts: Facts) -> tuple[GenerationSettings, origins.Origin]:
    """What the serving generation was at a moment, or an earlier one where only that reaches back so far."""
    serving = settings.database.serving
    others = [g.name for g in reversed(settings.database.generations) if g.name != serving]
    refusals: list[RefusedError] = []
    for of in (serving, *others):
        generation = GenerationSettings(name=name, origin=written(at), of=of)
        try:
            return generation, _origin(settings, generation, facts)
        except RefusedError as refused:
            refusals.append(refused)
    raise RefusedError("\n".join(refused.message for refused in refusals), LIST)


def _latest(settings: Settings, facts: Facts) -> datetime:
    """The newest moment of what serves."""
    identifier = settings.serving_identifier
    times = [e.latest for e in facts.own_backups if e.latest and e.source_arn.rpartition(":")[2] == identifier]
    if not times:
        raise RefusedError(
            f"There are no automated backups of {identifier} in {settings.region} that can be restored. Nothing was "
            "changed.",
            f"Its first backup may not be done yet. {LIST}",
        )
    return max(times).replace(microsecond=0)


def _in_words(settings: Settings, generation: GenerationSettings, at: datetime | None) -> str:
    when = "an unknown time" if at is None else said(at)
    if generation.moment is None:
        return f"snapshot {generation.origin}, of {when}"
    source = next(g for g in settings.database.generations if g.name == generation.of)
    serves = "" if source.name == settings.database.serving else ", which does not serve"
    return f"{settings.database_identifier(source)}{serves}, as it was at {when}"
