"""A stack's database, its region and its peer's, looked at together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scripts.clients import Clients
from scripts.errors import CredentialsError, RefusedError
from scripts.project import Project, StackFacts
from scripts.promotion import findings
from scripts.promotion.concurrently import ask
from scripts.promotion.findings import Finding
from scripts.promotion.site import Site
from scripts.snapshots.model import Database, Key, Snapshot
from scripts.snapshots.region import Region

SECONDS = 8.0  # real, for all questions of a look together


@dataclass(frozen=True)
class Estate:
    """`home`: the stack whose database it is; `peer`: the region of the other one."""

    home: Region
    peer: Region

    @staticmethod
    def around(site: Site, environment: Mapping[str, str]) -> Estate:
        """A chosen stack, and the other one."""
        patient = Clients(environment)
        other = next(found for found in site.project.stacks if found.stack != site.stack.stack)
        return Estate(Region(site, patient), Region(Site(site.project, other, environment), patient))

    @property
    def protected(self) -> bool:
        """Whether the stack sends copies to its peer."""
        return self.home.settings.protects is not None

    @property
    def regions(self) -> tuple[Region, Region]:
        return self.home, self.peer


@dataclass
class Look:
    """What is true in both regions now; by region, where more than one was asked."""

    now: datetime
    databases: list[Database] = field(default_factory=list)
    snapshots: dict[str, list[Snapshot]] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)  # manual snapshots of the account that the cycle did not make


def regions(project: Project, environment: Mapping[str, str]) -> list[Region]:
    """Both regions, the protected stack's first."""
    patient = Clients(environment)
    return [Region(Site(project, stack, environment), patient) for stack in (project.primary, project.standby)]


def choose(project: Project, environment: Mapping[str, str], stack: str | None) -> Estate:
    """The stack whose database is meant: the named one, or the one that is configured as serving."""
    both = regions(project, environment)
    known = {region.stack.stack: region for region in both}
    if stack is not None and stack not in known:
        raise RefusedError(f"{stack} is no stack of this project; allowed: {', '.join(known)}. Nothing was changed.")
    serving = [stack] if stack is not None else [name for name, found in known.items() if not found.settings.standby]
    if len(serving) != 1:
        told = "No stack is" if not serving else f"{' and '.join(serving)} are both"
        raise RefusedError(
            f"{told} configured as serving, so the database that is meant is unclear. Nothing was changed.",
            f"Name it with -s: {', '.join(known)}.",
        )
    (home,) = serving
    return Estate(known[home], next(region for name, region in known.items() if name != home))


def look(estate: Estate, with_peer: bool) -> Look:
    """Ask the stack's region and, if wanted, its peer's. Raises what forbids to go on: a look must be whole."""
    asked = estate.regions if with_peer else (estate.home,)
    questions: dict[str, Callable[[], Any]] = {
        "credentials": estate.home.caller,
        "databases": estate.home.databases,
        **{f"snapshots {region.name}": region.snapshots for region in asked},
        **{f"key {region.name}": region.key for region in asked},
        **{f"others {region.name}": region.others for region in asked},
    }
    answers: dict[str, Any] = dict(ask(questions, SECONDS))
    _refuse(answers, estate)
    account, arn, now = answers["credentials"]
    refuse_others(account, arn, estate.home.stack)
    return Look(
        now,
        answers["databases"],
        {region.name: answers[f"snapshots {region.name}"] for region in asked},
        {region.name: answers[f"key {region.name}"] for region in asked},
        {region.name: answers[f"others {region.name}"] for region in asked},
    )


def refuse_others(account: str, arn: str, stack: StackFacts) -> None:
    """Credentials of another account see an empty one, and would say that there is nothing."""
    if account != stack.account:
        raise CredentialsError(
            f"These credentials ({arn}) belong to account {account}; {stack.stack} is in {stack.account}. "
            "Nothing was changed.",
            "Use credentials of that account.",
        )


def _refuse(answers: Mapping[str, Any], estate: Estate) -> None:
    """One error for all that was not answered; wrong credentials are the reason for everything else."""
    found: list[Finding] = []
    for question, answer in answers.items():
        subject, _, region = question.partition(" ")
        if isinstance(answer, Exception):
            found.append(findings.failed(subject, answer, region or estate.home.name))
    if found:
        first = next((entry for entry in found if entry.refusal is CredentialsError), found[0])
        texts = dict.fromkeys(entry.text.rstrip(".") for entry in found if entry.refusal is first.refusal)
        raise (first.refusal or RefusedError)(f"{'; '.join(texts)}. Nothing was changed.", first.hint or None)


def serving_database(look: Look, estate: Estate) -> Database:
    """The one database that serves. Raises RefusedError with none or two of them: it never guesses."""
    if len(look.databases) == 1:
        return look.databases[0]
    names = ", ".join(found.identifier for found in look.databases) or "none"
    raise RefusedError(
        f"{estate.home.stack.stack} has not exactly one serving database in {estate.home.name} (found: {names}). "
        "Nothing was changed.",
        "With two a restore is under way: wait. With none the stack stands by, or was never deployed.",
    )


def usable_key(keys: Mapping[str, Key], region: Region) -> str:
    """ARN of the data key that a copy in this region is encrypted with. Raises RefusedError where it cannot be."""
    key = keys[region.name]
    if key.arn is None or not key.usable:
        deploy = f"`pulumi up -s {region.stack.stack}` makes it."
        enable = f"`aws kms enable-key --key-id {key.arn} --region {region.name}`, if nobody disabled it on purpose."
        raise RefusedError(
            f"{key.alias} in {region.name} is {key.state}: nothing can be encrypted with it. Nothing was changed.",
            deploy if key.arn is None else enable,
        )
    return key.arn


def counted(snapshots: Sequence[Snapshot]) -> tuple[int, int]:
    """How many manual snapshots of ours a region holds, and how many of them are copies in progress."""
    manual = [entry for entry in snapshots if not entry.automated]
    return len(manual), sum(entry.running and entry.copy.copied_from is not None for entry in manual)
