"""Every argument that the program gives the provider has been held against the provider's documentation."""

from __future__ import annotations

import pulumi_aws
import pytest
from pulumi import _types

from sandbox.provider.model import model
from tests.components.examples import KENYA, ROOT, SOUTH_AFRICA
from tests.components.program import Program
from tests.components.provider_pages import ADDRESS, PAGES, page
from tests.components.provider_schemas import CONFLICTS, SCHEMAS
from tests.sandbox.test_provider_tables import _calls

STATES = [
    Program(KENYA, False),
    Program(KENYA, True),
    *(
        Program(SOUTH_AFRICA, standby, source)
        for standby in (True, False)
        for source in (None, "read-replica", "replicated-backups")
    ),
]


def used() -> dict[str, set[str]]:
    """The arguments that the program gives, by type: recorded in its states, or written in its source."""
    found = written()
    for state in STATES:
        for resource in state.recorded():
            if resource.typ.startswith("aws:"):
                given = {name for name, value in resource.inputs.items() if value is not None}
                found.setdefault(resource.typ, set()).update(given)
    return found


def written() -> dict[str, set[str]]:
    """What stands in the source, so that a setting which no state has (a cache from a snapshot) is not forgotten."""
    found: dict[str, set[str]] = {}
    for _, name, keywords in _calls():
        folder, _, kind = name.partition(".")
        cls = getattr(getattr(pulumi_aws, folder), kind)
        if not _types.is_input_type(cls) and not issubclass(cls, pulumi_aws.Provider):
            names = _types.input_type_py_to_pulumi_names(model(cls.pulumi_type).arguments)
            given = {names.get(word, word) for word in keywords} - {"opts"}
            found.setdefault(cls.pulumi_type, set()).update(given)
    return found


def test_every_type_and_argument_has_been_checked() -> None:
    found = used()
    unchecked = {
        token: sorted(names - set(PAGES[token].arguments.split()) if token in PAGES else names)
        for token, names in found.items()
    }
    missing = {token: names for token, names in unchecked.items() if names}
    assert not missing, f"read the pages under {ADDRESS}, then add to tests/components/provider_pages.py: {missing}"


def test_nothing_is_listed_that_the_program_does_not_use() -> None:
    found = used()
    stale = {token: sorted(set(entry.arguments.split()) - found.get(token, set())) for token, entry in PAGES.items()}
    assert {token: names for token, names in stale.items() if names} == {}
    for token, entry in PAGES.items():
        marked = f"{entry.forces_new} {SCHEMAS[token].forces_new if token in SCHEMAS else ''}"
        assert set(marked.split()) <= set(entry.arguments.split()), token


@pytest.mark.parametrize("state", STATES, ids=str)
def test_no_resource_is_given_what_excludes_one_another(state: Program) -> None:
    """The plugin refuses these pairs before it asks AWS."""
    for resource in state.recorded():
        given = {name for name, value in resource.inputs.items() if value is not None}
        for pair in CONFLICTS.get(resource.typ, ()):
            assert len(given & set(pair)) < 2, f"{resource.name}: {pair}"


@pytest.mark.parametrize("token", sorted(PAGES))
def test_the_sdk_knows_each_and_deprecates_none(token: str) -> None:
    arguments = model(token).arguments
    python = {name: word for word, name in _types.input_type_py_to_pulumi_names(arguments).items()}
    for name in PAGES[token].arguments.split():
        said = getattr(arguments, python[name]).fget.__doc__ or ""
        assert "deprecated" not in said.lower(), f"{name}: {said}"
    assert PAGES[token].note


def test_the_page_is_what_the_list_says() -> None:
    command = ".venv/bin/python -m tests.components.provider_pages > docs/arguments.md"
    assert (ROOT / "docs" / "arguments.md").read_text(encoding="utf-8") == page(), f"run {command}"
