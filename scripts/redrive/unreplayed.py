"""What may be told of a letter, and the file of what could not be replayed.

Bodies are about people: only this user may read the file, and nothing prints it.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from components import sync_message
from scripts.redrive import decisions
from scripts.redrive.queues import Letter

NAME = "not-replayed.jsonl"


def write(directory: Path, letters: Iterable[Letter]) -> Path:
    """One line a letter, on the disk when this returns."""
    path = directory / NAME
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        for letter in letters:
            line = {
                "id": letter.id,
                "sent": letter.sent.isoformat(),
                "reason": decisions.reason(letter),
                "body": letter.body,
                "attributes": letter.attributes,
            }
            file.write(json.dumps(line, default=_text) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return path


def told(letter: Letter) -> dict[str, Any]:
    """What may be shown of a letter: nothing that it says."""
    return {
        "id": letter.id,
        "sent": f"{letter.sent:%Y-%m-%d %H:%M} UTC",
        "bytes": len(letter.body.encode("utf-8", "surrogatepass")),
        "shape": sync_message.shape(letter.body),
        "replayed": decisions.fault(letter) or "yes",
    }


def _text(value: Any) -> str:
    """A binary attribute."""
    return base64.b64encode(value).decode()
