"""Whatever is changed behind the provider's back is reported by a refresh, input by input, or stands in a list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import botocore.session
import pytest

from sandbox.provider.tables import TABLE
from tests.sandbox import drift_cases_data, drift_cases_network, drift_cases_storage, drift_cases_traffic
from tests.sandbox.drift import Case, Drifting, Stage, leaves
from tests.sandbox.drift_spares import Spares
from tests.sandbox.drift_unreported import RULES, Rule, table, unreported
from tests.sandbox.provider_client import Client
from tests.sandbox.provider_lab import Lab, open_lab
from tests.sandbox.provider_trials import TRIALS

CASES: Final = {
    **drift_cases_network.DRIFTS,
    **drift_cases_traffic.DRIFTS,
    **drift_cases_storage.DRIFTS,
    **drift_cases_data.DRIFTS,
}
PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "sandbox.md"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with open_lab() as opened:
        yield opened


@pytest.fixture(scope="module")
def spare(lab: Lab) -> Spares:
    return Spares(lab)


@pytest.fixture(scope="module")
def second(lab: Lab) -> Iterator[Client]:
    """Somebody else, with the same default tags."""
    client = Client(lab.sandbox.provider_port, defaultTags={"tags": {"Platform": "lab"}})
    yield client
    client.close()


@pytest.mark.parametrize("token", sorted(TABLE))
def test_a_refresh_reports_every_input(lab: Lab, spare: Spares, second: Client, token: str) -> None:
    stage = Stage(lab, spare, TRIALS[token](lab), TRIALS[token])
    cases = CASES[token](stage) if token in CASES else [Case()]
    outcome = Drifting(lab, second, token, unreported(token)).run(stage, cases)
    assert outcome.problems == []
    assert set(leaves(TABLE[token])) - outcome.tried == set(), "inputs that no case changes"


# -- the list of what is not reported ---------------------------------------------------------------------------------
def test_the_list_names_inputs_of_the_tables() -> None:
    for rule in RULES:
        assert set(rule.inputs.split()) <= set(leaves(TABLE[rule.token])), rule.token


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.token}-{rule.inputs.split()[0]}")
def test_the_read_operation_does_not_tell_it(rule: Rule) -> None:
    service, _, operation = rule.silence.operation.partition(".")
    answer = botocore.session.get_session().get_service_model(service).operation_model(operation).output_shape
    assert set(rule.silence.absent.split()) & _members(answer, set()) == set()


def _members(shape: Any, seen: set[str]) -> set[str]:
    """The names of all members of a shape, nested ones included."""
    if shape is None or shape.name in seen:
        return set()
    seen.add(shape.name)
    if shape.type_name == "structure":
        inner = [_members(member, seen) for member in shape.members.values()]
        return set(shape.members).union(*inner)
    if shape.type_name in ("list", "map"):
        return _members(shape.member if shape.type_name == "list" else shape.value, seen)
    return set()


def test_the_page_says_how_many_and_which() -> None:
    text = PAGE.read_text()
    number = sum(len(leaves(entry)) for entry in TABLE.values())
    silent = sum(len(unreported(token)) for token in TABLE)
    assert f"{number} inputs of {len(TABLE)} types" in text
    assert f"{silent} of them" in text
    assert "\n".join(table()) in text
