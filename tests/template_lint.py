"""cfn-lint, run as a person would, over a template of `dr sandbox export`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

# What a stack's template is allowed to break: (rule, part of the message) and why. At most five.
EXCEPTIONS: Final[dict[tuple[str, str], str]] = {}


def findings(template: dict[str, Any], region: str) -> list[str]:
    """What cfn-lint finds in a stack's own region, without the exceptions: rule, place and message."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "template.json"
        file.write_text(json.dumps(template))
        command = [str(Path(sys.executable).with_name("cfn-lint")), "-r", region, "-f", "json", "--", str(file)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
    found: list[dict[str, Any]] = json.loads(ended.stdout)
    return [_told(entry) for entry in found if not _allowed(entry)]


def _allowed(entry: dict[str, Any]) -> bool:
    return any(entry["Rule"]["Id"] == rule and part in entry["Message"] for rule, part in EXCEPTIONS)


def _told(entry: dict[str, Any]) -> str:
    place = "/".join(map(str, entry["Location"]["Path"] or []))
    return f"{entry['Rule']['Id']} {place}: {entry['Message']}"
