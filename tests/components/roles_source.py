"""The database roles' source, loaded as Lambda loads it: the function's own folder is where imports begin."""

import sys

import pytest

from components.functions.database_roles import fingerprint, locking

with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, "fingerprint", fingerprint)
    patch.setitem(sys.modules, "locking", locking)
    from components.functions.database_roles import inspecting

    patch.setitem(sys.modules, "inspecting", inspecting)
    from components.functions.database_roles import handler

__all__ = ["fingerprint", "handler", "inspecting", "locking"]
