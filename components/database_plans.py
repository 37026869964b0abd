"""Which databases a deployment consists of, and what each of them is made of or kept as.

Pure functions of settings and facts. A refusal is a `pulumi.RunError` that says what was found and what to do; what
people have to know is appended to `warnings`: they must be able to promote old data when there is none newer.
"""

from dataclasses import dataclass

import pulumi

from components import naming
from components.facts import Facts, Instance
from components.orderable import check_offered
from components.origins import NEWEST, Moment, choose_origin, is_snapshot, loss_warning, of_platform
from components.settings.database import GenerationSettings
from components.settings.stack import Settings

EMPTY = "empty"


@dataclass(frozen=True)
class DatabasePlan:
    """One generation as it has to be.

    `serving`: the services use it. At most one of `snapshot`, `backups`, `moment` and `follows` is set: the identifier
    of a snapshot, the ARN of replicated backups or the moment of another generation that it is restored from, or the
    ARN of the database that it follows (until it serves). `data_from` says in its tags where the data came from, also
    when it no longer follows. `leaving`: the next deployment deletes it, so nothing may protect it any more.
    """

    generation: GenerationSettings
    identifier: str
    serving: bool
    engine_version: str
    allocated_storage: int | None
    snapshot: str | None = None
    backups: str | None = None
    moment: Moment | None = None
    follows: str | None = None
    data_from: str | None = None
    leaving: bool = False

    @property
    def from_backups(self) -> bool:
        """Whether its data came from automated backups, now or once."""
        return self.data_from is not None and (":auto-backup:" in self.data_from or Moment.said_by(self.data_from))


def plan_replica(settings: Settings, facts: Facts, warnings: list[str]) -> DatabasePlan | None:
    """The database of a standby: a replica where that is its source, else None. Appends to `warnings`."""
    generation, configured = settings.serving_generation, settings.database.standby_source_arn
    if settings.database.standby_source != "read-replica" or generation is None or configured is None:
        return None
    identifier = settings.database_identifier(generation)
    existing = next((instance for instance in facts.instances if instance.identifier == identifier), None)
    if existing is None:
        version = settings.database.engine_version
        check_offered(settings, facts.offers, identifier, version, None, restored=True, warnings=warnings)
        # A replica takes its source's storage, and RDS refuses another.
        return DatabasePlan(generation, identifier, True, version, None, follows=configured, data_from=configured)
    return DatabasePlan(
        generation,
        identifier,
        True,
        existing.engine_version,
        existing.allocated_storage,
        follows=existing.replica_of,
        data_from=existing.restored_from,
    )


def staying(settings: Settings, facts: Facts, warnings: list[str]) -> list[GenerationSettings]:
    """The generations that a deployment has a database of. Appends to `warnings`.

    One that is released goes in two steps, each of them plain to see in a preview: a deployment takes its protection
    off, and the next one, which finds it without, deletes it.
    """
    existing = {instance.identifier: instance for instance in facts.instances}
    found = []
    for generation in settings.database.generations:
        instance = existing.get(settings.database_identifier(generation))
        if not generation.released or (instance is not None and instance.protected):
            found.append(generation)
        if generation.released and instance is not None:
            step = "takes its protection off; the next one deletes it" if instance.protected else "deletes it"
            warnings.append(
                f"Database {instance.identifier} is released (generation {generation.name}) and {instance.status}: "
                f"this deployment {step}, with a final snapshot. `dr database release {generation.name} -s "
                f"{settings.stack}` tells how far it has come."
            )
    return found


def plan_database(
    settings: Settings, generation: GenerationSettings, facts: Facts, warnings: list[str]
) -> DatabasePlan:
    """What one generation is made of, promoted to, or kept as. Appends to `warnings`."""
    identifier = settings.database_identifier(generation)
    serving = generation.name == settings.database.serving
    existing = next((instance for instance in facts.instances if instance.identifier == identifier), None)
    if existing is not None:
        if existing.replica_of is not None:
            check_promotable(settings, existing, facts, warnings)
        return _kept(settings, generation, serving, existing, warnings)
    if generation.origin == EMPTY:
        refuse_empty_over_data(settings, generation, facts)
        version, storage = settings.database.engine_version, settings.database.allocated_storage
        check_offered(settings, facts.offers, identifier, version, storage, restored=False, warnings=warnings)
        return DatabasePlan(generation, identifier, serving, version, storage)
    if settings.database.standby_source == "read-replica" and serving:
        warnings.append(f"There is no replica {identifier}: the database is restored from a copy.")
    origin = choose_origin(settings, generation, facts)
    warning = loss_warning(settings, origin, facts)
    if warning is not None:
        warnings.append(warning)
    storage = _storage(settings, identifier, origin.allocated_storage, warnings)
    version = origin.engine_version
    check_offered(settings, facts.offers, identifier, version, storage, restored=True, warnings=warnings)
    return DatabasePlan(
        generation,
        identifier,
        serving,
        version,
        storage,
        snapshot=origin.snapshot,
        backups=origin.backups,
        moment=origin.moment,
        data_from=origin.snapshot or origin.backups or str(origin.moment),
    )


def _storage(settings: Settings, identifier: str, least: int, warnings: list[str]) -> int:
    """Storage cannot shrink, neither in a restore nor later."""
    configured = settings.database.allocated_storage
    if configured < least:
        warnings.append(
            f"Database {identifier} has {least} GiB, because storage cannot shrink to database.allocatedStorage "
            f"{configured}. Set that to {least}, so that a new database is large enough, too."
        )
    return max(configured, least)


def check_promotable(settings: Settings, replica: Instance, facts: Facts, warnings: list[str]) -> None:
    """Refuse a replica that RDS cannot promote now; say what is lost by it. Appends to `warnings`."""
    if replica.status not in ("available", "storage-optimization"):
        raise pulumi.RunError(
            f"Replica {replica.identifier} is {replica.status} and can only be promoted when it is available. Nothing "
            "was changed. Wait and run again; if it stays so, add a generation with origin "
            f"{NEWEST} to database.generations, point database.serving to it and keep this one declared: it is "
            "restored from a copy."
        )
    if facts.sign_of_life is None or facts.replica_lag is None:
        warnings.append(
            f"Promoting {replica.identifier}; how far it was behind when the primary last answered is unknown."
        )
        return
    behind = facts.replica_lag.total_seconds() / 60
    if behind > settings.database.tolerated_loss_minutes:
        warnings.append(
            f"Promoting {replica.identifier}, which was {behind:.0f} minutes behind at the primary's last sign of life "
            f"({facts.sign_of_life:%Y-%m-%d %H:%M} UTC): more is lost than the planned "
            f"{settings.database.tolerated_loss_minutes}."
        )


def _kept(
    settings: Settings, generation: GenerationSettings, serving: bool, existing: Instance, warnings: list[str]
) -> DatabasePlan:
    """A live database stays what it is, also when its origin is long gone. Appends to `warnings`."""
    if existing.generation not in (None, generation.name):
        raise pulumi.RunError(
            f"Database {existing.identifier} is generation {existing.generation}, but the order of "
            f"database.generations gives its name to {generation.name}. Nothing was changed. Put new generations last."
        )
    if existing.role == naming.REPLICA_ROLE and existing.replica_of is None:
        warnings.append(
            f"Database {existing.identifier} was promoted by a deployment that did not end. `dr promote` tells the "
            "state; before a plain `pulumi up`, run `pulumi refresh --target` with its URN, or it fails because the "
            "database is no read replica any more."
        )
    configured = settings.database.engine_version
    if existing.engine_version != configured:
        warnings.append(
            f"Database {existing.identifier} runs PostgreSQL {existing.engine_version} and stays there; "
            f"database.engineVersion {configured} is for new ones."
        )
    return DatabasePlan(
        generation,
        existing.identifier,
        serving,
        existing.engine_version,
        _storage(settings, existing.identifier, existing.allocated_storage, warnings),
        snapshot=existing.restored_from if is_snapshot(existing.restored_from) else None,
        data_from=existing.restored_from,
        leaving=generation.released,
    )


def refuse_empty_over_data(settings: Settings, generation: GenerationSettings, facts: Facts) -> None:
    """An empty database beside existing data is nearly always a mistake, and the services would fill it."""
    found = [instance.identifier for instance in facts.instances]
    found += [copy.identifier for copy in facts.copies if of_platform(settings, copy)]
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise pulumi.RunError(
            f"Generation {generation.name} has origin {EMPTY}, but there is data: {', '.join(found[:3])}{more}. "
            f"Nothing was changed. Set its origin to {NEWEST} or to the identifier of a copy."
        )
