"""What a rehearsal of faults leaves behind: result.json, and a page with its table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scripts.rehearsal import results

TEMPLATE = "faults.html.j2"
REPORT = "report.html"


def write(directory: Path, document: Mapping[str, Any]) -> None:
    """Write both files, then let `latest` point to them."""
    (directory / "result.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    (directory / REPORT).write_text(render(document))
    results.point(directory)


def render(document: Mapping[str, Any]) -> str:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template(TEMPLATE).render(r=document)
