"""Decisions before anything is registered: what a deployment may not do, and which databases it consists of.

Pure functions of settings, facts and last outputs. A refusal is a `pulumi.RunError` that says what was found and
what to do; a warning is returned as text: people must be able to promote an old copy when there is no newer one.
"""

from dataclasses import dataclass

import pulumi

from components import naming
from components.database_plans import DatabasePlan, plan_database, plan_replica, staying
from components.facts import Facts
from components.settings.stack import Settings, no_such_generation
from components.stack_outputs import Outputs
from components.standby_sources import refuse_unsupported_pair, source_warnings

FIRST_EPOCH = 1


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
    refuse_freeze_of_nothing(settings, facts)
    refuse_forgotten_generation(settings, facts)
    epoch = next_epoch(settings, own)
    if peer is not None:
        refuse_outdated(settings, epoch, peer)
    warnings = source_warnings(settings, facts)
    if settings.standby:
        refuse_unsupported_pair(settings, facts)
        refuse_given_up_replica(settings, facts)
        replica = plan_replica(settings, facts, warnings)
        return Decision(epoch, (replica,) if replica else (), tuple(warnings))
    databases = tuple(
        plan_database(settings, generation, facts, warnings) for generation in staying(settings, facts, warnings)
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


def refuse_freeze_of_nothing(settings: Settings, facts: Facts) -> None:
    """A promotion into a freeze would move the public name to a region that shows the crisis page.

    The marker says whether it serves: the outputs of a promotion that failed at its gate say so, too.
    """
    if settings.frozen and facts.taken_over_at is None:
        raise pulumi.RunError(
            f"Stack {settings.stack} is to be frozen, but it did not take over: it does not serve. Nothing was "
            f"changed. Let it serve first: `pulumi config set frozen false -s {settings.stack}`."
        )


def refuse_forgotten_generation(settings: Settings, facts: Facts) -> None:
    """A database of this stack that the configuration no longer declares (it is protected and would fail halfway)."""
    declared = {settings.database_identifier(generation) for generation in settings.database.generations}
    forgotten = [instance.identifier for instance in facts.instances if instance.identifier not in declared]
    if forgotten:
        raise pulumi.RunError(
            f"The databases {', '.join(forgotten)} belong to stack {settings.stack}, but database.generations does not "
            "declare them. Nothing was changed. Declare them again; `dr database release` gives one up."
        )


def refuse_given_up_replica(settings: Settings, facts: Facts) -> None:
    """A standby's replica that the program would not register (it is protected and would fail halfway), or that
    somebody promoted by hand."""
    source, generation = settings.database.standby_source, settings.serving_generation
    kept = settings.database_identifier(generation) if generation and source == "read-replica" else None
    give_up = "turn off its deletion protection, delete it, and run `pulumi state delete --force` with its URN."
    replicas = [i for i in facts.instances if i.replica_of is not None or i.role == naming.REPLICA_ROLE]
    for replica in replicas:
        if replica.status == "deleting":
            continue
        if replica.identifier != kept:
            raise pulumi.RunError(
                f"Replica {replica.identifier} exists, but with database.standbySource {source} and database.serving "
                f"{settings.database.serving} standby {settings.stack} has none of that name. Nothing was changed. "
                f"Set both back, or give it up on purpose: {give_up}"
            )
        if replica.replica_of is None:
            raise pulumi.RunError(
                f"Database {replica.identifier} of standby {settings.stack} follows no other database any more: it "
                "was promoted. Nothing was changed. To serve from it, `pulumi config set standby false -s "
                f"{settings.stack}`; to follow again, give it up on purpose: {give_up}"
            )


def next_epoch(settings: Settings, own: Outputs) -> int:
    """Grows with each promotion. A first deployment is none, whether it serves or stands by."""
    last = own.number("epoch")
    if last is None:
        return FIRST_EPOCH
    promoted = own.flag("standby") is True and not settings.standby
    return last + 1 if promoted else last


def refuse_outdated(settings: Settings, epoch: int, peer: Outputs) -> None:
    """Two serving regions would both take writes: the one with the older epoch yields. Frozen, it takes none."""
    theirs = peer.number("epoch")
    if not settings.standby and not settings.frozen and theirs is not None and theirs > epoch:
        raise pulumi.RunError(
            f"Stack {peer.stack} took over (its epoch {theirs} is newer than {epoch} here), so stack {settings.stack} "
            "must not serve. Nothing was changed. The data written since lives there: fail back before serving here."
        )
