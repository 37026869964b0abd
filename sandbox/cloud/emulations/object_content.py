"""What objects hold, kept compressed.

A stack's state is saved after each step of a deployment, every version stays, and a replica has them once more: a
rehearsal would need gigabytes.
"""

from __future__ import annotations

import copy
import zlib
from types import SimpleNamespace

from moto.s3 import models

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations.patching import add

FASTEST = 1


class Content:
    """The part of a temporary file that moto uses for an object's content."""

    def __init__(self, *_: object, **__: object) -> None:
        self._packed = zlib.compress(b"")
        self._position = 0

    def seek(self, position: int) -> None:
        self._position = position

    def truncate(self) -> None:
        """Drop what comes after the position."""
        self._keep(self._all()[: self._position])

    def write(self, data: bytes) -> None:
        """Replace what comes after the position."""
        self._keep(self._all()[: self._position] + data)
        self._position += len(data)

    def read(self, size: int = -1) -> bytes:
        """So many bytes from the position on; all of them without a size."""
        rest = self._all()[self._position :]
        found = rest if size < 0 else rest[:size]
        self._position += len(found)
        return found

    def close(self) -> None:
        """Forget everything."""
        self._keep(b"")

    def _all(self) -> bytes:
        return zlib.decompress(self._packed)

    def _keep(self, data: bytes) -> None:
        self._packed = zlib.compress(data, FASTEST)


def install(_cloud: Cloud) -> None:
    """Let moto keep objects in it, and list them without copying what they hold.

    Moto copies every version of a bucket to list one page: for the state of a deployed stack that was hundreds of
    megabytes, and half a minute in which nothing else was answered.
    """

    def without_content(self: models.FakeKey, _memo: object) -> models.FakeKey:
        _ = self.etag  # computed once, and then known to every copy
        listed = object.__new__(type(self))
        listed.__dict__.update(self.__dict__)
        listed._value_buffer = copy.copy(self._value_buffer)  # of its own: moto empties it when this copy goes away
        return listed

    add(models.FakeKey, __deepcopy__=without_content)
    models.tempfile = SimpleNamespace(SpooledTemporaryFile=Content)  # type: ignore[assignment, attr-defined]
