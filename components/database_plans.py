"""Which databases a deployment consists of, and from which data each of them comes.

Pure functions of settings and facts. A refusal is a `pulumi.RunError` that says what was found and what to do; what
people have to know is appended to `warnings`: they must be able to promote old data when there is none newer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pulumi

from components import naming
from components.facts import Backups, Copy, Facts, Instance
from components.orderable import check_offered
from components.settings.database import GenerationSettings
from components.settings.stack import Settings

EMPTY = "empty"
NEWEST = "newest"
# Whatever else RDS calls them once the source is gone: what can be restored has a latest time.
BACKUPS_UNUSABLE = ("creating", "deleting", "pending")
NO_TIME = "has no time of creation"


@dataclass(frozen=True)
class DatabasePlan:
    """One generation as it has to be.

    `serving`: the services use it. At most one of `snapshot`, `backups` and `follows` is set: the identifier of a
    snapshot or the ARN of replicated backups that it is restored from, or the ARN of the database that it follows
    (until it serves). `data_from` says in its tags where the data came from, also when it no longer follows.
    """

    generation: GenerationSettings
    identifier: str
    serving: bool
    engine_version: str
    allocated_storage: int | None
    snapshot: str | None = None
    backups: str | None = None
    follows: str | None = None
    data_from: str | None = None

    @property
    def from_backups(self) -> bool:
        """Whether its data came from replicated backups, now or once."""
        return self.data_from is not None and ":auto-backup:" in self.data_from


@dataclass(frozen=True)
class Origin:
    """Data that a database can be restored from. `at`: when it was current."""

    name: str
    at: datetime
    engine_version: str
    allocated_storage: int
    snapshot: str | None = None
    backups: str | None = None


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
    warning = age_warning(settings, origin, facts)
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
        data_from=origin.snapshot or origin.backups,
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
        snapshot=existing.restored_from if _is_snapshot(existing.restored_from) else None,
        data_from=existing.restored_from,
    )


def _is_snapshot(data_from: str | None) -> bool:
    """Replicated backups and a followed database are named by ARN."""
    return data_from is not None and not data_from.startswith("arn:")


def refuse_empty_over_data(settings: Settings, generation: GenerationSettings, facts: Facts) -> None:
    """An empty database beside existing data is nearly always a mistake, and the services would fill it."""
    found = [instance.identifier for instance in facts.instances]
    found += [copy.identifier for copy in facts.copies if _ours(settings, copy)]
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise pulumi.RunError(
            f"Generation {generation.name} has origin {EMPTY}, but there is data: {', '.join(found[:3])}{more}. "
            f"Nothing was changed. Set its origin to {NEWEST} or to the identifier of a copy."
        )


def choose_origin(settings: Settings, generation: GenerationSettings, facts: Facts) -> Origin:
    """What a generation is restored from. Raises pulumi.RunError where there is nothing that can be used.

    `newest` is the newest data, wherever it lies: replicated backups that stopped unnoticed lose to a copy.
    """
    if generation.origin != NEWEST:
        return _named_copy(settings, generation, facts)
    faults: dict[str, str] = {}
    usable: list[Origin] = []
    for copy in facts.copies:
        found = _from_copy(copy)
        fault = unusable_because(settings, copy, facts)
        if found is not None and fault is None:
            usable.append(found)
        else:
            faults[copy.identifier] = fault or NO_TIME
    for entry in facts.backups:
        found = _from_backups(entry)
        fault = _useless_because(settings, entry, facts)
        if found is not None and fault is None:
            usable.append(found)
        else:
            faults[entry.arn] = fault or NO_TIME
    if not usable:
        listed = "; ".join(f"{name}: {fault}" for name, fault in sorted(faults.items())) or "there are no copies at all"
        raise pulumi.RunError(
            f"No usable copy of the database of {settings.peer.stack} exists in {settings.region} ({listed}). "
            "Nothing was changed. Wait for a copy in progress, or set the generation's origin to a snapshot's name."
        )
    return max(usable, key=lambda origin: origin.at)


def _from_copy(copy: Copy) -> Origin | None:
    if copy.original_created_at is None:
        return None
    at, version, storage = copy.original_created_at, copy.engine_version, copy.allocated_storage
    return Origin(copy.identifier, at, version, storage, snapshot=copy.identifier)


def _from_backups(entry: Backups) -> Origin | None:
    if entry.latest is None:
        return None
    name = f"the replicated backups of {entry.source_arn}"
    return Origin(name, entry.latest, entry.engine_version, entry.allocated_storage, backups=entry.arn)


def _named_copy(settings: Settings, generation: GenerationSettings, facts: Facts) -> Origin:
    named = next((copy for copy in facts.copies if copy.identifier == generation.origin), None)
    fault = "it does not exist" if named is None else _technical_fault(named, facts)
    found = None if named is None else _from_copy(named)
    if found is None or fault is not None:
        raise pulumi.RunError(
            f"Generation {generation.name} cannot come from snapshot {generation.origin} in {settings.region}: "
            f"{fault}. Nothing was changed."
        )
    return found


def _useless_because(settings: Settings, entry: Backups, facts: Facts) -> str | None:
    """Why `newest` passes over replicated backups, None where they may be used."""
    if not _named_after(entry.source_arn.rpartition(":")[2], naming.physical(settings.peer.short_name, "rds")):
        return f"of database {entry.source_arn}, not of {settings.peer.stack}'s"
    if entry.status in BACKUPS_UNUSABLE:
        return f"is {entry.status}"
    if entry.latest is None:
        return NO_TIME
    if entry.key_arn != facts.data_key_arn:
        return f"not encrypted with this region's data key but with {entry.key_arn or 'none'}"
    return _taken_too_late(entry.latest, facts)


def unusable_because(settings: Settings, copy: Copy, facts: Facts) -> str | None:
    """Why `newest` passes over this copy, None where it may be used."""
    if not _of_peer(settings, copy):
        return f"of database {copy.source_database}, not of {settings.peer.stack}'s"
    if copy.made_by not in naming.SNAPSHOT_MAKERS and not _copied_from_automated(copy):
        return "made by neither the snapshot cycle nor `dr snapshot`, and not copied from an automated snapshot"
    fault = _technical_fault(copy, facts)
    return (
        fault
        if fault is not None or copy.original_created_at is None
        else _taken_too_late(copy.original_created_at, facts)
    )


def _taken_too_late(at: datetime, facts: Facts) -> str | None:
    """Since the takeover people write here: what the old primary holds from then on is another history."""
    if facts.taken_over_at is None or at <= facts.taken_over_at:
        return None
    return f"taken after this stack took over ({facts.taken_over_at:%Y-%m-%d %H:%M} UTC)"


def _technical_fault(copy: Copy, facts: Facts) -> str | None:
    if copy.unusable:
        return f"marked {naming.UNUSABLE_TAG}"
    if copy.status != "available":
        return f"is {copy.status}"
    if copy.original_created_at is None:
        return NO_TIME
    if not copy.encrypted or copy.key_arn != facts.data_key_arn:
        return f"not encrypted with this region's data key but with {copy.key_arn or 'none'}"
    return None


def _of_peer(settings: Settings, copy: Copy) -> bool:
    return _named_after(copy.source_database, naming.physical(settings.peer.short_name, "rds"))


def _ours(settings: Settings, copy: Copy) -> bool:
    """Data of this platform: of the peer's database or of an own one."""
    return _of_peer(settings, copy) or _named_after(copy.source_database, naming.physical(settings.short_name, "rds"))


def _named_after(identifier: str, base: str) -> bool:
    """Whether an identifier is the database `base` or a later generation of it."""
    return identifier == base or identifier.startswith(f"{base}-")


def _copied_from_automated(copy: Copy) -> bool:
    return copy.copied_from is not None and ":rds:" in copy.copied_from.partition(":snapshot")[2]


def age_warning(settings: Settings, origin: Origin, facts: Facts) -> str | None:
    """What is lost, measured to the primary's last sign of life: deciding slowly loses nothing more."""
    taken = f"{origin.at:%Y-%m-%d %H:%M} UTC"
    if facts.sign_of_life is None:
        return f"Restoring {origin.name} of {taken}; when the primary last answered is unknown, so is the loss."
    planned = settings.database.tolerated_loss_minutes
    age = facts.sign_of_life - origin.at
    if age <= timedelta(minutes=planned):
        return None
    minutes = round(age.total_seconds() / 60)
    return (
        f"Restoring {origin.name} of {taken}, {minutes} minutes older than the primary's last sign of life "
        f"({facts.sign_of_life:%Y-%m-%d %H:%M} UTC): more is lost than the planned {planned}."
    )
