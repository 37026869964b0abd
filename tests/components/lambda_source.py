"""The snapshot cycle's source, loaded as Lambda loads it: the function's own folder is where imports begin."""

import sys

import pytest

from components.functions.snapshot_cycle import decisions

with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, "decisions", decisions)
    from components.functions.snapshot_cycle import handler

__all__ = ["handler"]
