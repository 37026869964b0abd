"""docs/settings.md names every setting with its default, and none that does not exist."""

import re
import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from components.configuration import FROM_ENGINE, SECURE_KEYS
from components.settings.stack import Settings
from tests.components.examples import ROOT

PAGE = (ROOT / "docs" / "settings.md").read_text()
ROW = re.compile(r"^\| `([^`]+)` \|.*\| ([^|]+) \|$", re.MULTILINE)


def nested(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside of an annotation, and whether it is the entry of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) in (tuple, types.UnionType, Union):
        for argument in get_args(annotation):
            found, listed = nested(argument)
            if found:
                return found, listed or get_origin(annotation) is tuple
    return None, False


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key of a model with its default as the page writes it."""
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        inner, listed = nested(field.annotation)
        if inner is None or listed:
            yield key, "required" if field.is_required() else _default(field.default)
        if inner is not None:
            yield from keys(inner, f"{key}[]." if listed else f"{key}.")


def _default(value: Any) -> str:
    if value is None:
        return "none"
    return f"`{str(value).lower()}`"


def configurable() -> dict[str, str]:
    own = {key: default for key, default in keys(Settings) if key not in FROM_ENGINE}
    return {**own, "aws:region": "required"}


def test_every_setting_is_on_the_page_with_its_default_and_no_other() -> None:
    assert dict(ROW.findall(PAGE)) == configurable()


def test_every_encrypted_value_is_on_the_page() -> None:
    encrypted = PAGE.partition("## Encrypted values")[2]
    assert set(re.findall(r"^\| `([^`]+)` \|", encrypted, re.MULTILINE)) == set(SECURE_KEYS)


def test_the_walk_finds_what_is_nested() -> None:
    assert {"peer.region", "database.generations[].origin", "services[].cpu", "crisis.phoneLines[].number"} <= set(
        configurable()
    )
