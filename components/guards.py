"""Decisions before anything is registered: what a deployment may not do, and which copy a database comes from.

Pure functions of settings, facts and last outputs. A refusal is a `pulumi.RunError` that says what was found and
what to do; a warning is returned as text: people must be able to promote an old copy when there is no newer one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import pulumi

from components import naming
from components.facts import Copy, Facts, Instance
from components.settings.database import GenerationSettings
from components.settings.stack import Settings, no_such_generation
from components.stack_outputs import Outputs

EMPTY = "empty"
NEWEST = "newest"
FIRST_EPOCH = 1


@dataclass(frozen=True)
class DatabasePlan:
    """How one generation comes into being. `snapshot` is None for an empty database."""

    generation: GenerationSettings
    identifier: str
    serving: bool
    snapshot: str | None
    engine_version: str
    allocated_storage: int


@dataclass(frozen=True)
class Decision:
    epoch: int
    databases: tuple[DatabasePlan, ...]
    warnings: tuple[str, ...]


def decide(settings: Settings, facts: Facts, own: Outputs, peer: Outputs | None) -> Decision:
    """All guards in order, then the plan of the databases. Raises pulumi.RunError on the first refusal."""
    refuse_other_place(settings, facts, own)
    refuse_pointer_to_nothing(settings)
    refuse_flip_back(settings, facts, own)
    refuse_forgotten_generation(settings, facts)
    epoch = next_epoch(settings, own)
    if peer is not None:
        refuse_outdated(settings, epoch, peer)
    if settings.standby:
        return Decision(epoch, (), ())
    warnings: list[str] = []
    databases = tuple(
        plan_database(settings, generation, facts, warnings) for generation in settings.database.generations
    )
    if settings.protects is None:
        warnings.append(
            f"Stack {settings.stack} serves and protects nobody: what is lost here now is lost. "
            f"Prepare {settings.peer.stack} again as soon as its region is back."
        )
    return Decision(epoch, databases, tuple(warnings))


def refuse_other_place(settings: Settings, facts: Facts, own: Outputs) -> None:
    """Another account than configured, or another account or region than the stack was deployed to."""
    if facts.account != settings.account_id:
        raise pulumi.RunError(
            f"These credentials belong to account {facts.account}, but stack {settings.stack} is configured for "
            f"account {settings.account_id} (accountId). Nothing was changed. Use credentials of {settings.account_id}."
        )
    for name, now in (("account", settings.account_id), ("region", settings.region)):
        before = own.text(name)
        if before is not None and before != now:
            raise pulumi.RunError(
                f"Stack {settings.stack} was deployed to {name} {before} and is now configured for {now}. "
                f"Nothing was changed: moving it would leave everything behind. Set the {name} back to {before}."
            )


def refuse_pointer_to_nothing(settings: Settings) -> None:
    problem = no_such_generation(settings)
    if problem is not None:
        raise pulumi.RunError(f"{problem}. Nothing was changed.")


def refuse_flip_back(settings: Settings, facts: Facts, own: Outputs) -> None:
    """A serving stack is not put on standby: that would take its database away from the services.

    A failed promotion may have left outputs of the time before, so a serving instance counts too, in whatever state.
    """
    if not settings.standby:
        return
    reasons = []
    if own.flag("standby") is False:
        reasons.append("its last deployment left it serving")
    reasons += [
        f"database {instance.identifier} exists and is {instance.status}"
        for instance in facts.instances
        if instance.role == naming.SERVING_ROLE and not instance.replica_of and instance.status != "deleting"
    ]
    if reasons:
        raise pulumi.RunError(
            f"Stack {settings.stack} is serving ({'; '.join(reasons)}) and cannot go back to standby by this flag. "
            f"Nothing was changed. Set it back with `pulumi config set standby false -s {settings.stack}`; "
            "handing over to the other region is a failback, which copies the data first."
        )


def refuse_forgotten_generation(settings: Settings, facts: Facts) -> None:
    """A database of this stack that the configuration no longer declares (it is protected and would fail halfway)."""
    declared = {settings.database_identifier(generation) for generation in settings.database.generations}
    forgotten = [instance.identifier for instance in facts.instances if instance.identifier not in declared]
    if forgotten:
        raise pulumi.RunError(
            f"The databases {', '.join(forgotten)} belong to stack {settings.stack}, but database.generations does not "
            "declare them. Nothing was changed. Declare them again; a database is only given up on purpose."
        )


def next_epoch(settings: Settings, own: Outputs) -> int:
    """Grows with each promotion. A first deployment is none, whether it serves or stands by."""
    last = own.number("epoch")
    if last is None:
        return FIRST_EPOCH
    promoted = own.flag("standby") is True and not settings.standby
    return last + 1 if promoted else last


def refuse_outdated(settings: Settings, epoch: int, peer: Outputs) -> None:
    """Two serving regions would both take writes: the one with the older epoch yields."""
    theirs = peer.number("epoch")
    if not settings.standby and theirs is not None and theirs > epoch:
        raise pulumi.RunError(
            f"Stack {peer.stack} took over (its epoch {theirs} is newer than {epoch} here), so stack {settings.stack} "
            "must not serve. Nothing was changed. The data written since lives there: fail back before serving here."
        )


def plan_database(
    settings: Settings, generation: GenerationSettings, facts: Facts, warnings: list[str]
) -> DatabasePlan:
    """What one generation is made of, or kept as. Appends to `warnings`."""
    identifier = settings.database_identifier(generation)
    serving = generation.name == settings.database.serving
    existing = next((instance for instance in facts.instances if instance.identifier == identifier), None)
    if existing is not None:
        return _kept(settings, generation, serving, existing, warnings)
    if generation.origin == EMPTY:
        refuse_empty_over_data(settings, generation, facts)
        version, storage = settings.database.engine_version, settings.database.allocated_storage
        return DatabasePlan(generation, identifier, serving, None, version, storage)
    copy = choose_copy(settings, generation, facts)
    warning = age_warning(settings, copy, facts)
    if warning is not None:
        warnings.append(warning)
    # Storage cannot shrink in a restore.
    storage = max(settings.database.allocated_storage, copy.allocated_storage)
    return DatabasePlan(generation, identifier, serving, copy.identifier, copy.engine_version, storage)


def _kept(
    settings: Settings, generation: GenerationSettings, serving: bool, existing: Instance, warnings: list[str]
) -> DatabasePlan:
    """A live database stays what it is, also when its snapshot is long pruned. Appends to `warnings`."""
    if existing.generation not in (None, generation.name):
        raise pulumi.RunError(
            f"Database {existing.identifier} is generation {existing.generation}, but the order of "
            f"database.generations gives its name to {generation.name}. Nothing was changed. Put new generations last."
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
        existing.restored_from,
        existing.engine_version,
        max(settings.database.allocated_storage, existing.allocated_storage),
    )


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


def choose_copy(settings: Settings, generation: GenerationSettings, facts: Facts) -> Copy:
    """The copy that a generation is restored from. Raises pulumi.RunError where there is none that can be used."""
    if generation.origin != NEWEST:
        return _named_copy(settings, generation, facts)
    faults: Mapping[str, str | None] = {
        copy.identifier: unusable_because(settings, copy, facts) for copy in facts.copies
    }
    usable = [copy for copy in facts.copies if faults[copy.identifier] is None]
    if not usable:
        listed = "; ".join(f"{name}: {fault}" for name, fault in sorted(faults.items())) or "there are no copies at all"
        raise pulumi.RunError(
            f"No usable copy of the database of {settings.peer.stack} exists in {settings.region} ({listed}). "
            "Nothing was changed. Wait for a copy in progress, or set the generation's origin to a snapshot's name."
        )
    return max(usable, key=_data_time)


def _data_time(copy: Copy) -> float:
    return copy.original_created_at.timestamp() if copy.original_created_at else 0.0


def _named_copy(settings: Settings, generation: GenerationSettings, facts: Facts) -> Copy:
    named = next((copy for copy in facts.copies if copy.identifier == generation.origin), None)
    fault = "it does not exist" if named is None else _technical_fault(named, facts)
    if named is None or fault is not None:
        raise pulumi.RunError(
            f"Generation {generation.name} cannot come from snapshot {generation.origin} in {settings.region}: "
            f"{fault}. Nothing was changed."
        )
    return named


def unusable_because(settings: Settings, copy: Copy, facts: Facts) -> str | None:
    """Why `newest` passes over this copy, None where it may be used."""
    if not _of_peer(settings, copy):
        return f"of database {copy.source_database}, not of {settings.peer.stack}'s"
    if copy.made_by != naming.SNAPSHOT_CYCLE and not _copied_from_automated(copy):
        return "neither made by the snapshot cycle nor copied from an automated snapshot"
    return _technical_fault(copy, facts)


def _technical_fault(copy: Copy, facts: Facts) -> str | None:
    if copy.unusable:
        return f"marked {naming.UNUSABLE_TAG}"
    if copy.status != "available":
        return f"is {copy.status}"
    if copy.original_created_at is None:
        return "has no time of creation"
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


def age_warning(settings: Settings, copy: Copy, facts: Facts) -> str | None:
    """What is lost, measured to the primary's last sign of life: deciding slowly loses nothing more."""
    if copy.original_created_at is None:
        return None
    taken = f"{copy.original_created_at:%Y-%m-%d %H:%M} UTC"
    if facts.sign_of_life is None:
        return f"Restoring {copy.identifier} of {taken}; when the primary last answered is unknown, so is the loss."
    age = facts.sign_of_life - copy.original_created_at
    if age <= timedelta(minutes=settings.database.rpo_minutes):
        return None
    minutes = round(age.total_seconds() / 60)
    return (
        f"Restoring {copy.identifier} of {taken}, {minutes} minutes older than the primary's last sign of life "
        f"({facts.sign_of_life:%Y-%m-%d %H:%M} UTC): more is lost than the planned {settings.database.rpo_minutes}."
    )
