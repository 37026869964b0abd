"""Looks at everything that a promotion needs before it begins, all at once, in the standby's region only.

What the program itself refuses (copies, databases, accounts, epochs) is asked of the program's own guards; here is what
it does not look at: state and lock, keys, certificate, secrets, and whether the primary is really gone. Images and
quotas are looked at, too: what is found there forbids to begin, but not that nobody answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pulumi

from components import guards, naming, secrets
from components.database_plans import DatabasePlan
from components.facts import Facts
from components.stack_outputs import Outputs
from scripts.errors import CredentialsError, LockedError, PrimaryAnswersError, RefusedError
from scripts.promotion import data, findings, images, leftovers, locks, public, quotas
from scripts.promotion.concurrently import NoAnswer, ask
from scripts.promotion.data import Data
from scripts.promotion.findings import Finding
from scripts.promotion.leftovers import Leftover
from scripts.promotion.locks import Lock
from scripts.promotion.site import Site

SECONDS = 20.0  # real, for everything
SECONDS_FOR_ADVICE = 8.0  # for what a promotion does not depend on
HEALTH_PATH = "/health"
CERTIFICATE_DAYS = 14
OVERRIDE = "--primary-is-lost"

Check = Callable[[], list[Finding]]


@dataclass
class Before:
    """How things stand before a promotion."""

    found: list[Finding] = field(default_factory=list)
    now: datetime | None = None  # by AWS's clock
    standby: bool | None = None  # what the last deployment left
    epoch: int | None = None
    serving: bool = False  # the public name is answered by this stack already
    dead_locks: list[Lock] = field(default_factory=list)
    left: list[Leftover] = field(default_factory=list)
    document: leftovers.Document = field(default_factory=dict)  # the state itself
    data: Data | None = None  # what will be served
    without_data: str = ""  # where it is None, why

    @property
    def lost_minutes(self) -> float | None:
        """Data lost up to the primary's last sign of life; None where that is not known, or none are taken."""
        if self.data is None or self.data.lost is None:
            return None
        return self.data.lost.total_seconds() / 60


def look(site: Site, primary_is_lost: bool) -> Before:
    """Everything that is known before the preview. Nothing is changed."""
    before = Before()
    checks: dict[str, Check] = {
        "credentials": lambda: credentials(site, before),
        "lock": lambda: lock(site, before),
        "state": lambda: _state(site, before),
        "keys": lambda: _keys(site),
        "certificate": lambda: _certificate(site),
        "secrets": lambda: _secrets(site),
        "primary": lambda: [_primary(site, before, primary_is_lost)],
        "advice": lambda: _advised(site),
    }
    answers = ask(checks, SECONDS)
    for subject, answer in answers.items():
        before.found += answer if isinstance(answer, list) else [findings.failed(subject, answer, site.region)]
    if not any(finding.refusal for finding in before.found if finding.subject in ("credentials", "state")):
        before.found += _guarded(site, before)
    return before


def _advised(site: Site) -> list[Finding]:
    """What the registry and the quotas say. Silence is a warning: a promotion must not wait for who is not needed."""
    checks: dict[str, Check] = {images.SUBJECT: lambda: images.look(site), quotas.SUBJECT: lambda: quotas.look(site)}
    found: list[Finding] = []
    for subject, answer in ask(checks, SECONDS_FOR_ADVICE).items():
        found += answer if isinstance(answer, list) else [findings.unknown(subject, answer, site.region)]
    return found


def credentials(site: Site, before: Before) -> list[Finding]:
    account, arn, before.now = site.caller()
    if account != site.stack.account:
        said = f"These credentials ({arn}) belong to account {account}; {site.stack.stack} is in {site.stack.account}."
        return [findings.refused("credentials", said, "Use credentials of that account.", CredentialsError)]
    return [findings.ok("credentials", f"{arn} in {site.region}")]


def lock(site: Site, before: Before) -> list[Finding]:
    """One that a dead process of this machine left is removed when the change is applied; another forbids it."""
    found = []
    for held in site.locks():
        if locks.ours_and_dead(held):
            before.dead_locks.append(held)
            said = f"held by {held.holder}, which is this machine and has ended: it will be removed"
            found.append(findings.warning("lock", said))
        else:
            found.append(findings.refused("lock", *locks.refusal(held, site.stack.stack), LockedError))
    return found or [findings.ok("lock", "free")]


def _state(site: Site, before: Before) -> list[Finding]:
    document = before.document = site.checkpoint()
    outputs = leftovers.outputs(document)
    if not outputs:
        said = f"The state of {site.stack.stack} in {site.project.state_bucket} is missing or was never deployed."
        hint = (
            "The bucket keeps earlier versions: a deletion is undone by removing its marker. A standby that really is "
            f"new is made in peace time: `pulumi up -s {site.stack.stack}` with standby true."
        )
        return [findings.refused("state", said, hint)]
    if outputs.get("frozen"):
        said = f"{site.stack.stack} serves and is frozen: there is nothing to promote."
        return [findings.refused("state", said, f"`dr thaw -s {site.stack.stack}` lets people write again.")]
    before.standby = bool(outputs.get("standby"))
    before.epoch = int(outputs["epoch"]) if "epoch" in outputs else None
    before.left = leftovers.find(document)
    role = "standing by" if before.standby else "serving"
    found = [findings.ok("state", f"{site.project.state_bucket}: last deployed as {role}, epoch {before.epoch}")]
    if before.left:
        names = ", ".join(f"{left.name} ({left.kind})" for left in before.left)
        found.append(findings.warning("state", f"an earlier deployment was interrupted while creating {names}"))
    return found


def _keys(site: Site) -> list[Finding]:
    found = []
    for alias in (site.project.state_key_alias, naming.data_key_alias(site.stack.short)):
        key = site.client("kms").describe_key(KeyId=alias)["KeyMetadata"]
        if key["KeyState"] == "Enabled":
            found.append(findings.ok("keys", f"{alias} is enabled"))
        else:
            said = f"{alias} ({key['KeyId']}) is {key['KeyState']}."
            hint = (
                f"`aws kms enable-key --region {site.region} --key-id {key['KeyId']}`; a deletion is cancelled first."
            )
            found.append(findings.refused("keys", said, hint))
    return found


def _certificate(site: Site) -> list[Finding]:
    acm = site.client("acm")
    listed = [
        entry
        for page in acm.get_paginator("list_certificates").paginate()
        for entry in page["CertificateSummaryList"]
        if entry["DomainName"] == site.stack.domain
    ]
    described = [acm.describe_certificate(CertificateArn=entry["CertificateArn"])["Certificate"] for entry in listed]
    issued = [entry for entry in described if entry["Status"] == "ISSUED"]
    if not issued:
        states = ", ".join(entry["Status"] for entry in described) or "there is none"
        said = f"No issued certificate of {site.stack.domain} in {site.region} ({states})."
        hint = "People would meet a TLS error. Deploy the stack as standby first; its validation record must be in DNS."
        return [findings.refused("certificate", said, hint)]
    ends = max((entry["NotAfter"] for entry in issued if "NotAfter" in entry), default=None)
    if ends is None:
        return [findings.ok("certificate", f"{site.stack.domain} is issued")]
    left: timedelta = ends - datetime.now(ends.tzinfo)
    if left < timedelta(0):
        said = f"The certificate of {site.stack.domain} ended on {ends:%Y-%m-%d}."
        return [
            findings.refused("certificate", said, "Check its validation record: ACM renews by itself while it stands.")
        ]
    text = f"{site.stack.domain} is issued until {ends:%Y-%m-%d}"
    soon = left < timedelta(days=CERTIFICATE_DAYS)
    return [findings.warning("certificate", text) if soon else findings.ok("certificate", text)]


def _secrets(site: Site) -> list[Finding]:
    """Every secret of the stack is there and has a current value; the values themselves are not read.

    One that is scheduled for deletion is in no list, and no task can read it.
    """
    client, short = site.client("secretsmanager"), site.stack.short
    prefixes = [f"{naming.PLATFORM}/{owner}/" for owner in (short, "shared")]
    pages = client.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": prefixes}])
    listed = {entry["Name"]: entry for page in pages for entry in page["SecretList"]}
    needed = secrets.names(short, site.settings.database_services)
    missing = [name for name in needed if name not in listed]
    empty = [name for name in needed if name in listed and not _current(listed[name])]
    if len(missing) == len(needed):
        said = f"There are no secrets {prefixes[0]}… in {site.region}."
        return [findings.refused("secrets", said, "They are made in peace time: deploy the stack as standby first.")]
    if missing:
        said = f"These secrets are missing or scheduled for deletion: {', '.join(sorted(missing))}."
        hint = f"`aws secretsmanager restore-secret --region {site.region} --secret-id NAME` takes a deletion back."
        return [findings.refused("secrets", said, hint)]
    if empty:
        said = f"These secrets have no value: {', '.join(sorted(empty))}."
        return [
            findings.refused("secrets", said, "Tasks that name them cannot start. Deploy the stack as standby first.")
        ]
    return [findings.ok("secrets", f"all {len(needed)} secrets {prefixes[0]}… have values")]


def _current(entry: Any) -> bool:
    return any("AWSCURRENT" in stages for stages in (entry.get("SecretVersionsToStages") or {}).values())


def _primary(site: Site, before: Before, primary_is_lost: bool) -> Finding:
    """Split brain: two regions that serve would both take writes. Silence, an error or the crisis page mean: go on."""
    url = f"https://{site.stack.domain}{HEALTH_PATH}"
    answer = public.get(url)
    if not answer.healthy:
        said = f"answered {answer.status}" if answer.status else f"did not answer ({answer.text})"
        return findings.ok("primary", f"{url} {said}: nobody serves")
    if answer.region == site.region:
        before.serving = True
        return findings.ok("primary", f"{url} is answered by {site.region}: this stack serves already")
    text = f"{url} answers as healthy from {answer.region or 'an unnamed region'}."
    if primary_is_lost:
        return findings.warning("primary", f"{text} {OVERRIDE} was given: going on all the same")
    hint = (
        f"Two regions that serve would both take writes, which nobody can put together again. If its data really is "
        f"lost, stop its services first, then say so: {OVERRIDE}."
    )
    return findings.refused("primary", text, hint, PrimaryAnswersError)


def _guarded(site: Site, before: Before) -> list[Finding]:
    """The program's own guards, on the same facts, before minutes are spent on a preview."""
    try:
        answer = ask({"database": site.facts}, SECONDS)["database"]
        if isinstance(answer, Exception):
            raise answer
        return _database(site, before, answer)
    except pulumi.RunError as error:
        return [findings.refused("database", str(error).replace(" Nothing was changed.", ""))]
    except (RefusedError, NoAnswer) as error:
        return [findings.failed("database", error, site.region)]


def _database(site: Site, before: Before, facts: Facts) -> list[Finding]:
    own = Outputs(site.stack.stack, {"standby": before.standby, "epoch": before.epoch})
    decision = guards.decide(site.promoted, facts, own, None)
    before.data = data.of(site.promoted, facts)
    if before.data is None:
        there = {instance.identifier for instance in facts.instances}
        is_there = any(plan.serving and plan.identifier in there for plan in decision.databases)
        before.without_data = f"nothing is restored: the database {'is there already' if is_there else 'begins empty'}"
    found = [findings.warning("database", text) for text in decision.warnings]
    return found + [findings.ok("database", _told(plan, facts)) for plan in decision.databases]


def _told(plan: DatabasePlan, facts: Facts) -> str:
    """What becomes of one database."""
    existing = next((i for i in facts.instances if i.identifier == plan.identifier), None)
    if existing is not None and existing.replica_of is not None:
        return f"{existing.identifier} follows {existing.replica_of} and will be promoted in place"
    if existing is not None:
        return f"{existing.identifier} exists and is {existing.status}"
    if plan.data_from is None:
        return f"{plan.identifier} will be made empty"
    what = "replicated backups" if plan.backups else "copy"
    return f"{plan.identifier} will be restored from {what} {plan.data_from}"
