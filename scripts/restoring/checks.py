"""Whether a restored database is what it has to be, before it serves and afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components import naming, origins
from scripts.freezing import checks as freezing
from scripts.promotion import verification
from scripts.promotion.adoption import USABLE
from scripts.promotion.site import Site
from scripts.promotion.verification import Look
from scripts.pulumi_cli import changes_in_preview
from scripts.restoring.inspection import Inspection
from scripts.restoring.target import Target


def before_serving(site: Site, target: Target, inspection: Inspection) -> dict[str, Look]:
    """What must hold of the new database before anybody is let in, and of the freeze around it."""
    return {
        **freezing.of_freeze(site),
        "restored": lambda: _instance(site, target),
        "inspected": inspection.look,
    }


def afterwards(site: Site) -> dict[str, Look]:
    """What must hold once people write to it: Pulumi owns what serves, and nobody gets into what served before."""
    return {
        "database": lambda: verification.database(site),
        "retained": lambda: freezing.locked(site),
        "preview": lambda: preview(site),
    }


def _instance(site: Site, target: Target) -> tuple[bool, str]:
    """The instance as AWS describes it."""
    found = site.instance(target.identifier)
    if found is None:
        return False, f"{target.identifier} does not exist"
    faults = list(_faults(site, target, found))
    told = f"{target.identifier} ({found['DbiResourceId']}), PostgreSQL {found['EngineVersion']}"
    return not faults, f"{told}, {'; '.join(faults) or f'from {target.source}, encrypted, protected, backed up'}"


def _faults(site: Site, target: Target, found: Mapping[str, Any]) -> list[str]:
    tags = {tag["Key"]: tag["Value"] for tag in found.get("TagList", ())}
    made_of, asked = tags.get(naming.RESTORED_FROM_TAG, "nothing"), target.generation
    key = site.client("kms").describe_key(KeyId=naming.data_key_alias(site.stack.short))["KeyMetadata"]["Arn"]
    groups = [group["DBParameterGroupName"] for group in found["DBParameterGroups"]]
    own = naming.physical(site.stack.short, "rds-postgres")  # whatever version follows
    moment = asked.moment is not None and origins.Moment.said_by(made_of)
    right = made_of.endswith(f"@{asked.origin}") if moment else made_of == asked.origin
    judged = {
        f"is {found['DBInstanceStatus']}": found["DBInstanceStatus"] in USABLE,
        f"was made of {made_of}": right,
        f"is generation {tags.get(naming.GENERATION_TAG)}": tags.get(naming.GENERATION_TAG) == asked.name,
        f"is encrypted with {found.get('KmsKeyId')}": found.get("StorageEncrypted") and found.get("KmsKeyId") == key,
        f"has the parameters {', '.join(groups)}": all(group.startswith(own) for group in groups),
        "is in one zone": found.get("MultiAZ"),
        "can be deleted": found.get("DeletionProtection"),
        "has no backups": found.get("BackupRetentionPeriod"),
        "is publicly accessible": not found.get("PubliclyAccessible"),
    }
    return [fault for fault, holds in judged.items() if not holds]


def preview(site: Site) -> tuple[bool, str]:
    """Another deployment would change nothing."""
    outcome = site.cli.run("preview", "--json", "--stack", site.stack.stack, check=False)
    if not outcome.ok:
        return False, outcome.tail(3)
    changes = changes_in_preview(outcome.stdout)
    return not changes, ", ".join(changes) or "nothing to change"
