"""docs/settings.md is what the typed settings say today."""

import re
from typing import Annotated, Literal

import pytest
from pydantic import Field

from components.configuration import FROM_ENGINE, SECURE_KEYS
from components.settings import reference
from components.settings.base import Form, Frozen, Slug, Unit
from components.settings.reference import Setting
from components.settings.stack import Settings
from tests.components.examples import ROOT
from tests.components.settings_page import page, sections


def test_the_page_is_made_from_the_settings_as_they_are() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == page(), "run `make docs`"


def test_every_setting_and_every_encrypted_value_is_on_it_once() -> None:
    own = [setting.key for setting in reference.settings(Settings) if setting.key not in FROM_ENGINE]
    listed = re.findall(r"^\| `([^`]+)` \|", page(), re.MULTILINE)
    assert sorted(listed) == sorted(["aws:region", *own, *SECURE_KEYS])
    assert {"peer.region", "database.generations[].origin", "services[].cpu", "crisis.phoneLines[].number"} <= set(own)
    assert all(sections().values())


class Inner(Frozen):
    deep: int = Field(description="d")


class Example(Frozen):
    """One field of each kind."""

    short_name: Slug = Field(description="d")
    count: Annotated[int, Unit("tasks")] = Field(default=2, ge=1, le=1000, description="d")
    floor: Annotated[int, Unit("minutes")] = Field(ge=1, description="d")
    own: Annotated[Slug, Form("a name")] = Field(description="d")
    choice: Literal["a", "b", "c"] | None = Field(default=None, description="d")
    flag: bool = Field(default=False, description="d")
    maybe: Annotated[str, Field(pattern="^x", max_length=9), Form("an x")] | None = Field(default=None, description="d")
    label: Annotated[str, Field(min_length=1, max_length=80)] = Field(description="d")
    text: Annotated[str, Field(min_length=1)] = Field(description="d")
    inner: Inner
    entries: tuple[Inner, ...] = Field(min_length=1, description="d")


def test_what_is_allowed_is_derived_from_type_and_constraints() -> None:
    slug = "lower-case letters, digits, hyphens, a letter first, at most 40 characters"
    assert list(reference.settings(Example)) == [
        Setting("shortName", "d", slug, "required"),
        Setting("count", "d", "1 to 1,000 tasks", "`2`"),
        Setting("floor", "d", "a number of minutes, at least 1", "required"),
        Setting("own", "d", "a name, at most 40 characters", "required"),
        Setting("choice", "d", "`a`, `b` or `c`", "none"),
        Setting("flag", "d", "`true` or `false`", "`false`"),
        Setting("maybe", "d", "an x, at most 9 characters", "none"),
        Setting("label", "d", "text, 1 to 80 characters", "required"),
        Setting("text", "d", "text, not empty", "required"),
        Setting("inner.deep", "d", "a number", "required"),
        Setting("entries", "d", "a list, at least one entry", "required"),
        Setting("entries[].deep", "d", "a number", "required"),
    ]


def test_a_setting_without_a_meaning_is_refused() -> None:
    class Silent(Frozen):
        number: int

    with pytest.raises(ValueError, match=r"Silent\.number has no description"):
        list(reference.settings(Silent))
