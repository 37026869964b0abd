"""DB subnet groups: moto loses a group when it is modified."""

from __future__ import annotations

from typing import Any

from moto.rds.exceptions import DBSubnetGroupNotFoundError
from moto.rds.models import DBSubnetGroup, RDSBackend

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations.patching import replace


def install(_cloud: Cloud) -> None:
    """Let ModifyDBSubnetGroup change the group in place."""

    def modify_db_subnet_group(
        self: RDSBackend, subnet_name: str, description: str | None, subnets: list[Any]
    ) -> DBSubnetGroup:
        group = self.subnet_groups.get(subnet_name.lower())
        if group is None:
            raise DBSubnetGroupNotFoundError(subnet_name)
        group._subnets = subnets
        if description is not None:
            group.description = description
        return group

    replace(RDSBackend, modify_db_subnet_group=modify_db_subnet_group)
