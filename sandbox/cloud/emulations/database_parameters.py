"""DB parameter groups: what RDS refuses in them, and dynamic parameters that hold at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.models import RDSBackend
from moto.rds.responses import RDSResponse

from sandbox.cloud import rds_parameters
from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import databases
from sandbox.cloud.emulations.patching import add, replace


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
    add(RDSResponse, reset_db_parameter_group=_reset)


def _reset(response: Any) -> ActionResult:
    """ResetDBParameterGroup, RDS API reference: the named parameters, or all, are the engine's own again."""
    name, given = response.params["DBParameterGroupName"], response.params.get("Parameters") or []
    (group,) = response.backend.describe_db_parameter_groups({"db_parameter_group_name": name})
    for parameter in list(group.parameters):
        if response.params.get("ResetAllParameters") or parameter in {item["ParameterName"] for item in given}:
            del group.parameters[parameter]
    databases.running().parameters_changed(response.backend, name)
    return ActionResult({"DBParameterGroupName": name})
