"""A list is read as it was when the reader began, whoever adds to it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from moto.utilities.utils import CaseInsensitiveDict

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import listings


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (iter, ["One", "Two"]),
        (lambda d: d.items(), [("One", 1), ("Two", 2)]),
        (lambda d: d.values(), [1, 2]),
    ],
)
def test_what_is_added_meanwhile_is_not_in_it(read: Callable[[Any], Any], found: list[Any]) -> None:
    listings.install(cast(Cloud, None))
    databases = CaseInsensitiveDict({"One": 1, "Two": 2})
    seen = []
    for entry in read(databases):
        seen.append(entry)
        databases[f"more-{len(seen)}"] = 3
    assert seen == found
    assert (databases["ONE"], len(databases), dict(databases)["One"]) == (1, 4, 1)
