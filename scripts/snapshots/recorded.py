"""What an applied run leaves behind, whatever ends it: a line for each action, and its result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts import console
from scripts.errors import DrError
from scripts.project import BUILD, CHECKOUT
from scripts.promotion.failures import AGAIN, continuing
from scripts.promotion.record import Record

SNAPSHOTS = BUILD / "snapshots"


@contextmanager
def recorded(stack: str, result: dict[str, Any], as_json: bool) -> Iterator[Record]:
    """Run the block with a record of it. `result` is completed and, with `as_json`, printed at the end."""
    record = Record.new(stack, SNAPSHOTS)
    record.add("begun", **result)
    error: str | None = None
    exit_code = 0
    try:
        with continuing():
            yield record
    except DrError as failed:
        error, exit_code = failed.message, failed.exit_code
        raise
    except SystemExit as ended:
        error, exit_code = "interrupted", int(ended.code or 0)
        console.warn(f"Interrupted; what AWS has begun goes on. {AGAIN}")
        raise
    except BaseException as unexpected:
        error, exit_code = repr(unexpected), DrError.exit_code
        raise
    finally:
        result |= {"ok": error is None, "error": error, "exit_code": exit_code}
        record.close(result)
        show(result, as_json)
        console.note(f"record: {_shown(record.directory)}")


def show(result: dict[str, Any], as_json: bool) -> None:
    """The result for programs, on standard output."""
    if as_json:
        console.plain(json.dumps(result, indent=2, default=str))


def _shown(directory: Path) -> str:
    return str(directory.relative_to(CHECKOUT)) if directory.is_relative_to(CHECKOUT) else str(directory)
