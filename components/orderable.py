"""Whether RDS sells in this region what a database needs, asked before one is made.

A class or version that does not exist there is refused by RDS too, but only after the first resources were changed.
"""

from collections.abc import Sequence

import pulumi

from components.facts import STORAGE_TYPE, Offer
from components.settings.stack import Settings


def check_offered(
    settings: Settings,
    offers: Sequence[Offer],
    identifier: str,
    version: str,
    storage: int | None,
    *,
    restored: bool,
    warnings: list[str],
) -> None:
    """Raise pulumi.RunError where class, version or storage (GiB, None: the source's) cannot be ordered in the region.

    A restore may come from a version that is no longer sold: AWS lifts it to a later one of the same major version,
    whose parameter group still fits. Appends to `warnings`.
    """
    where = f"in {settings.region} with class {settings.database.instance_class} and {STORAGE_TYPE} storage"
    family = [offer for offer in offers if major(offer.engine_version) == major(version)]
    exact = [offer for offer in family if offer.engine_version == version]
    change = f"Nothing was changed. Set database.instanceClass in Pulumi.{settings.stack}.yaml to a class that RDS"
    if not exact and not (restored and family):
        sold = ", ".join(sorted({offer.engine_version for offer in offers}, key=_order)) or "no version of PostgreSQL"
        raise pulumi.RunError(
            f"Database {identifier} needs PostgreSQL {version}, which RDS does not offer {where}; it offers {sold}. "
            f"{change} offers for it (`aws rds describe-orderable-db-instance-options --engine postgres`)"
            + (
                ", or database.generations' origin to a copy of a version that is offered: another major version has "
                "another parameter-group family."
                if restored
                else ", or database.engineVersion to one of these."
            )
        )
    if not exact:
        warnings.append(
            f"Database {identifier} is restored from PostgreSQL {version}, which RDS no longer offers: it will run a "
            f"later {major(version)}."
        )
    _check_features(identifier, where, change, exact or family)
    _check_storage(identifier, where, storage, exact or family)


def _check_features(identifier: str, where: str, change: str, offers: Sequence[Offer]) -> None:
    if all(offer.lacks for offer in offers):
        lacking = ", ".join(offers[-1].lacks)
        raise pulumi.RunError(
            f"Database {identifier} needs {lacking}, which RDS does not offer {where}. {change} offers with all of "
            "them."
        )


def _check_storage(identifier: str, where: str, storage: int | None, offers: Sequence[Offer]) -> None:
    if storage is None or any(offer.smallest_storage <= storage <= offer.largest_storage for offer in offers):
        return
    least, most = min(o.smallest_storage for o in offers), max(o.largest_storage for o in offers)
    raise pulumi.RunError(
        f"Database {identifier} needs {storage} GiB, but RDS offers {least} to {most} GiB {where}. Nothing was "
        "changed. Set database.allocatedStorage within that, or database.instanceClass to a class that takes it."
    )


def major(engine_version: str) -> str:
    """Major version of PostgreSQL: `17` of `17.6`."""
    return engine_version.partition(".")[0]


def _order(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]
