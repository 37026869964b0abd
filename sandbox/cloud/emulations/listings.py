"""Lists of RDS that are read while somebody adds to them: moto answers each request on a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.utilities.utils import CaseInsensitiveDict

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations.patching import replace


def install(_cloud: Cloud) -> None:
    """Let moto's dictionaries be read as they were when the reader began."""
    replace(CaseInsensitiveDict, __iter__=_names, items=_items, values=_values)


def _items(self: Any) -> list[tuple[str, Any]]:
    return list(self._store.values())  # in one step: no other thread comes in between


def _names(self: Any) -> Iterator[str]:
    return iter([name for name, _ in _items(self)])


def _values(self: Any) -> list[Any]:
    return [value for _, value in _items(self)]
