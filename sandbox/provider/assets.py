"""Assets and archives of the program: their bytes, and archives as ZIP files that depend on nothing but content."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sandbox.provider.errors import ProviderError
from sandbox.provider.wire import Blob

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time that ZIP knows
_MODE: Final = 0o644 << 16


def content(blob: Blob, project: Path) -> bytes:
    """The bytes of an asset. Relative paths start at the project. Raises ProviderError for what is not modelled."""
    raw = blob.raw
    if blob.kind != "asset":
        raise ProviderError("an asset is needed here, not an archive")
    if "text" in raw:
        return str(raw["text"]).encode()
    if "path" in raw:
        return _file(project, str(raw["path"]))
    raise ProviderError("only file and text assets are modelled")


def zipped(blob: Blob, project: Path) -> bytes:
    """An archive as a ZIP file: entries sorted, times fixed, so that equal content gives equal bytes."""
    if blob.kind == "asset":
        return content(blob, project)  # a file that is a ZIP already
    entries: dict[str, bytes] = {}
    _collect(blob, project, "", entries)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = _MODE
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, entries[name])
    return buffer.getvalue()


def _collect(blob: Blob, project: Path, prefix: str, entries: dict[str, bytes]) -> None:
    raw = blob.raw
    if "assets" in raw:
        inner: Mapping[str, Any] = raw["assets"]
        for name, item in inner.items():
            if item.kind == "asset":
                entries[prefix + name] = content(item, project)
            else:
                _collect(item, project, f"{prefix}{name}/", entries)
    elif "path" in raw:
        _tree(project, str(raw["path"]), prefix, entries)
    else:
        raise ProviderError("only archives of assets, folders and ZIP files are modelled")


def _tree(project: Path, path: str, prefix: str, entries: dict[str, bytes]) -> None:
    root = project / path
    if root.is_dir():
        for item in root.rglob("*"):
            if item.is_file() and "__pycache__" not in item.parts:
                entries[prefix + item.relative_to(root).as_posix()] = item.read_bytes()
    elif zipfile.is_zipfile(root):
        with zipfile.ZipFile(root) as archive:
            entries.update({prefix + name: archive.read(name) for name in archive.namelist() if not name.endswith("/")})
    else:
        raise ProviderError(f"{root} is neither a folder nor a ZIP file")


def _file(project: Path, path: str) -> bytes:
    try:
        return (project / path).read_bytes()
    except OSError as error:
        raise ProviderError(f"cannot read the asset {project / path}: {error.strerror}") from error
