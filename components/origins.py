"""Which data a database is restored from: a snapshot, replicated backups, or another generation at a moment.

Pure functions of settings and facts. A refusal is a `pulumi.RunError` that says what was found and what to do.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pulumi

from components import naming
from components.facts import Backups, Copy, Facts
from components.settings.database import GenerationSettings
from components.settings.stack import Settings

NEWEST = "newest"
# Whatever else RDS calls them once the source is gone: what can be restored has a latest time.
BACKUPS_UNUSABLE = ("creating", "deleting", "pending")
NO_TIME = "has no time of creation"


@dataclass(frozen=True)
class Moment:
    """What a database of this stack was at a time. `resource_id`: RDS's name for it that outlives it."""

    identifier: str
    resource_id: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.identifier}@{self.rfc3339}"

    @property
    def rfc3339(self) -> str:
        """The time as the provider takes it."""
        return f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

    @staticmethod
    def said_by(data_from: str) -> bool:
        """Whether an instance's tag names one: no identifier of RDS has this character."""
        return "@" in data_from


@dataclass(frozen=True)
class Origin:
    """Data that a database can be restored from. `at`: when it was current; `own`: a database of this stack's."""

    name: str
    at: datetime
    engine_version: str
    allocated_storage: int
    own: bool = False
    snapshot: str | None = None
    backups: str | None = None
    moment: Moment | None = None


def choose_origin(settings: Settings, generation: GenerationSettings, facts: Facts) -> Origin:
    """What a generation is restored from. Raises pulumi.RunError where there is nothing that can be used.

    `newest` is the newest data, wherever it lies: replicated backups that stopped unnoticed lose to a copy.
    """
    if generation.moment is not None:
        return _at_moment(settings, generation, generation.moment, facts)
    if generation.origin != NEWEST:
        return _named_copy(settings, generation, facts)
    _refuse_older_history(settings, generation, facts)
    faults: dict[str, str] = {}
    usable: list[Origin] = []
    for copy in facts.copies:
        found = _from_copy(settings, copy)
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


def _refuse_older_history(settings: Settings, generation: GenerationSettings, facts: Facts) -> None:
    """After a takeover the peer's newest copy lacks all that was written here since."""
    serving = [i.identifier for i in facts.instances if i.role == naming.SERVING_ROLE and not i.replica_of]
    if facts.taken_over_at is None or not serving:
        return
    raise pulumi.RunError(
        f"Generation {generation.name} would be the newest copy of {settings.peer.stack}'s database, but "
        f"{settings.stack} took over at {facts.taken_over_at:%Y-%m-%d %H:%M} UTC: what was written to "
        f"{', '.join(serving)} since would be missing. Nothing was changed. Set its origin to a time of an earlier "
        "generation (`of`), or to the identifier of a snapshot."
    )


def _from_copy(settings: Settings, copy: Copy) -> Origin | None:
    if copy.original_created_at is None:
        return None
    at, version, storage = copy.original_created_at, copy.engine_version, copy.allocated_storage
    return Origin(copy.identifier, at, version, storage, own=_of_own(settings, copy), snapshot=copy.identifier)


def _from_backups(entry: Backups) -> Origin | None:
    if entry.latest is None:
        return None
    name = f"the replicated backups of {entry.source_arn}"
    return Origin(name, entry.latest, entry.engine_version, entry.allocated_storage, backups=entry.arn)


def _named_copy(settings: Settings, generation: GenerationSettings, facts: Facts) -> Origin:
    named = next((copy for copy in facts.copies if copy.identifier == generation.origin), None)
    fault = "it does not exist" if named is None else _technical_fault(named, facts)
    found = None if named is None else _from_copy(settings, named)
    if found is None or fault is not None:
        raise pulumi.RunError(
            f"Generation {generation.name} cannot come from snapshot {generation.origin} in {settings.region}: "
            f"{fault}. Nothing was changed."
        )
    return found


def _at_moment(settings: Settings, generation: GenerationSettings, at: datetime, facts: Facts) -> Origin:
    """An earlier generation at a time: from its automated backups, also those that were kept when it was deleted."""
    identifier = next(settings.database_identifier(g) for g in settings.database.generations if g.name == generation.of)
    moment = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    refused = f"Generation {generation.name} cannot be what {generation.of} ({identifier}) was at {moment}:"
    windows, faults = [], []
    for entry in facts.own_backups:
        if entry.source_arn.rpartition(":")[2] != identifier:
            continue
        if entry.earliest is None or entry.latest is None or entry.status in BACKUPS_UNUSABLE:
            faults.append("its first automated backup is not done yet")
        elif entry.key_arn != facts.data_key_arn:
            faults.append(f"its backups are {_other_key(entry.key_arn)}")
        elif entry.earliest <= at <= entry.latest:
            found = Moment(identifier, entry.resource_id, at)
            return Origin(identifier, at, entry.engine_version, entry.allocated_storage, own=True, moment=found)
        else:
            windows.append(f"from {entry.earliest:%Y-%m-%d %H:%M:%S} to {entry.latest:%Y-%m-%d %H:%M:%S} UTC")
    if windows:
        raise pulumi.RunError(
            f"{refused} it can be restored to a time {' or '.join(sorted(windows))}. Nothing was changed. Choose such "
            "a time, or the identifier of a snapshot; every five minutes RDS reaches further."
        )
    raise pulumi.RunError(
        f"{refused} {'; '.join(faults) or f'there are no automated backups of it in {settings.region}'}. Nothing was "
        "changed. Wait for the first backup, or choose the identifier of a snapshot."
    )


def _useless_because(settings: Settings, entry: Backups, facts: Facts) -> str | None:
    """Why `newest` passes over replicated backups, None where they may be used."""
    if not _named_after(entry.source_arn.rpartition(":")[2], naming.physical(settings.peer.short_name, "rds")):
        return f"of database {entry.source_arn}, not of {settings.peer.stack}'s"
    if entry.status in BACKUPS_UNUSABLE:
        return f"is {entry.status}"
    if entry.latest is None:
        return NO_TIME
    if entry.key_arn != facts.data_key_arn:
        return _other_key(entry.key_arn)
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
        return _other_key(copy.key_arn)
    return None


def _other_key(arn: str | None) -> str:
    return f"not encrypted with this region's data key but with {arn or 'none'}"


def _of_peer(settings: Settings, copy: Copy) -> bool:
    return _named_after(copy.source_database, naming.physical(settings.peer.short_name, "rds"))


def _of_own(settings: Settings, copy: Copy) -> bool:
    return _named_after(copy.source_database, naming.physical(settings.short_name, "rds"))


def of_platform(settings: Settings, copy: Copy) -> bool:
    """Data of this platform: of the peer's database or of an own one."""
    return _of_peer(settings, copy) or _of_own(settings, copy)


def is_snapshot(data_from: str | None) -> bool:
    """Whether an instance's tag names a snapshot: replicated backups and a followed database are named by ARN."""
    return data_from is not None and not data_from.startswith("arn:") and not Moment.said_by(data_from)


def _named_after(identifier: str, base: str) -> bool:
    """Whether an identifier is the database `base` or a later generation of it."""
    return identifier == base or identifier.startswith(f"{base}-")


def _copied_from_automated(copy: Copy) -> bool:
    return copy.copied_from is not None and ":rds:" in copy.copied_from.partition(":snapshot")[2]


def loss_warning(settings: Settings, origin: Origin, facts: Facts) -> str | None:
    """What is lost, measured to the primary's last sign of life: deciding slowly loses nothing more."""
    if origin.own:
        return (
            f"Restoring {origin.name} as of {origin.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: what was written later "
            "is only in the database that this comes from."
        )
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
