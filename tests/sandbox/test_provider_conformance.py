"""Every resource type of the provider, through its whole life, as the engine drives it: by direct gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from sandbox.provider.model import model
from sandbox.provider.tables import TABLE
from tests.sandbox.provider_client import Made
from tests.sandbox.provider_lab import Lab, holds, open_lab
from tests.sandbox.provider_trials import TRIALS

# What AWS itself keeps when Pulumi deletes: the plugin leaves the same behind.
LEFT_BEHIND: Final = {
    "aws:acm/certificateValidation:CertificateValidation": "a wait, not a thing",
    "aws:lambda/invocation:Invocation": "a call, not a thing",
    "aws:s3/bucketVersioning:BucketVersioning": "versioning can be suspended, never removed",
    "aws:secretsmanager/secretVersion:SecretVersion": "the current version of a secret cannot be removed",
    "aws:sns/topicSubscription:TopicSubscription": "what nobody confirmed cannot be removed, AWS forgets it after days",
}
# A call leaves nothing that could be asked for later, so only the state knows it.
NOT_ADOPTABLE: Final = {"aws:lambda/invocation:Invocation"}
# An emulated database or cache listens where this machine has room.
NOT_COMPARED: Final = {
    "aws:rds/instance:Instance": {"port"},
    "aws:elasticache/replicationGroup:ReplicationGroup": {"port"},
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with open_lab() as opened:
        yield opened


def test_every_type_of_the_table_is_tried() -> None:
    assert sorted(TRIALS) == sorted(TABLE)


@pytest.mark.parametrize("token", sorted(TABLE))
def test_life_of_a_resource(lab: Lab, token: str) -> None:
    trial = TRIALS[token](lab)
    made = lab.client.create(token, trial.inputs)
    _check_read(lab, made)
    assert _changes(lab, made, made.inputs) == ([], [])
    made = _check_update(lab, made, trial.changed)
    _check_replacement(lab, made, trial.anew)
    _check_deletion(lab, made)


def _check_read(lab: Lab, made: Made) -> None:
    """Asked with nothing but the id, the cloud says what the program said, and the provider finds nothing to do."""
    found = made if made.token in NOT_ADOPTABLE else lab.client.adopt(made.token, made.id)
    for name, value in _told_by_aws(made).items():
        assert holds(found.state.get(name), value), f"{name}: asked for {value!r}, read {found.state.get(name)!r}"
    refreshed = lab.client.read(made)
    assert refreshed is not None
    assert refreshed[0].inputs == made.inputs, "a refresh of an unchanged resource changes its inputs"
    assert _changes(lab, refreshed[0], made.inputs) == ([], [])


def _told_by_aws(made: Made) -> dict[str, Any]:
    """The inputs that a description has; others are only instructions (a password, a final snapshot's name)."""
    silent = {field.name for field in TABLE[made.token].inputs if field.read is None and field.get is None}
    silent |= NOT_COMPARED.get(made.token, set())
    return {name: value for name, value in made.inputs.items() if name not in silent}


def _check_update(lab: Lab, made: Made, changed: dict[str, Any]) -> Made:
    entry = TABLE[made.token]
    if not changed:
        updatable = [field.name for field in entry.inputs if not field.replace]
        assert not updatable, f"a trial must change one of {updatable}"
        assert entry.tags is None, "a trial must change the tags"
        return made
    wanted = {name: value for name, value in {**made.inputs, **changed}.items() if value is not None}
    assert _changes(lab, made, wanted) == (sorted(changed), [])
    updated = lab.client.update(made, wanted)
    _check_read(lab, updated)
    assert _changes(lab, updated, wanted) == ([], [])
    return updated


def _check_replacement(lab: Lab, made: Made, anew: dict[str, Any]) -> None:
    if not anew:
        fixed = [field.name for field in TABLE[made.token].inputs if field.replace]
        assert not fixed, f"a trial must change one of {fixed}"
    else:
        assert _changes(lab, made, {**made.inputs, **anew}) == (sorted(anew), sorted(anew))
    if "region" in model(made.token).inputs:
        assert _changes(lab, made, {**made.inputs, "region": "ap-south-1"}) == (["region"], ["region"])


def _check_deletion(lab: Lab, made: Made) -> None:
    lab.client.delete(made)
    if made.token not in LEFT_BEHIND:
        assert lab.client.read(made) is None, "it still exists"
        lab.client.delete(made)  # deleting what is gone is fine


def _changes(lab: Lab, made: Made, inputs: dict[str, Any]) -> tuple[list[str], list[str]]:
    """(changed, replacing) inputs."""
    answer = lab.client.diff(made, inputs)
    return sorted(answer.diffs), sorted(answer.replaces)
