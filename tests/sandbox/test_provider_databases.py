"""How the provider finds, follows and promotes databases: by direct gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.sandbox.provider_client import Made
from tests.sandbox.provider_lab import Lab, open_lab

INSTANCE: Final = "aws:rds/instance:Instance"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with open_lab() as opened:
        yield opened


def plain(lab: Lab, **more: Any) -> dict[str, Any]:
    """The least that a new database needs."""
    return {
        "identifier": lab.name("rds"),
        "engine": "postgres",
        "engineVersion": "17.6",
        "instanceClass": "db.t4g.medium",
        "allocatedStorage": 20,
        "storageType": "gp3",
        "username": "platform_admin",
        "password": "master-password",
        "skipFinalSnapshot": True,
        "applyImmediately": True,
        **more,
    }


# -- import -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["by-name", "db-by-name", "db-byname"])
def test_an_instance_is_imported_by_its_name_as_well_as_by_its_resource_id(lab: Lab, name: str) -> None:
    """People know the name; a creation that was interrupted has left nothing else."""
    made = lab.client.create(INSTANCE, plain(lab, identifier=name))
    assert made.id.startswith("db-")
    named = lab.client.adopt(INSTANCE, name)
    assert (named.id, named.state["resourceId"]) == (name, made.id)
    assert {**named.state, "id": made.id} == lab.client.adopt(INSTANCE, made.id).state
    inputs = {**made.inputs, "deletionProtection": True}
    updated = lab.client.update(Made(INSTANCE, name, inputs, named.state), inputs)
    assert updated.state["deletionProtection"] is True
    released = lab.client.update(updated, made.inputs)
    lab.client.delete(Made(INSTANCE, name, made.inputs, {**released.state, "skipFinalSnapshot": True}))
    assert lab.client.read(named) is None
    assert lab.client.read(made) is None
