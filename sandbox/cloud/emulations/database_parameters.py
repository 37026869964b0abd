"""DB parameter groups: what RDS refuses in them, and dynamic parameters that hold at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto.rds.models import RDSBackend

from sandbox.cloud import rds_parameters
from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import databases
from sandbox.cloud.emulations.patching import replace


def install(_: Cloud) -> None:
    """Check what moto takes unseen, and tell the servers."""
    create, modify = RDSBackend.create_db_parameter_group, RDSBackend.modify_db_parameter_group

    def create_db_parameter_group(self: RDSBackend, db_parameter_group_kwargs: Any) -> Any:
        rds_parameters.check_family(str(db_parameter_group_kwargs.get("db_parameter_group_family")))
        return create(self, db_parameter_group_kwargs)

    def modify_db_parameter_group(
        self: RDSBackend, db_parameter_group_name: str, db_parameter_group_parameters: Iterable[Any]
    ) -> Any:
        wanted = list(db_parameter_group_parameters)
        for parameter in wanted:
            rds_parameters.check(parameter)
        answer = modify(self, db_parameter_group_name, wanted)
        databases.running().parameters_changed(self, db_parameter_group_name)
        return answer

    replace(
        RDSBackend,
        create_db_parameter_group=create_db_parameter_group,
        modify_db_parameter_group=modify_db_parameter_group,
    )
