"""What an applied run leaves behind, whatever ends it: a line for each action, and its result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts import console
from scripts.errors import DrError
from scripts.project import BUILD, CHECKOUT
from scripts.promotion.failures import AGAIN, NEW_CREDENTIALS, continuing
from scripts.promotion.record import Record

SNAPSHOTS = BUILD / "snapshots"
NEW = "Get new credentials for this account."


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
        if failed.hint in (AGAIN, NEW_CREDENTIALS) and _begun(result):
            failed.hint = f"{NEW} {_go_on(result)}" if failed.hint == NEW_CREDENTIALS else _go_on(result)
        raise
    except SystemExit as ended:
        error, exit_code = "interrupted", int(ended.code or 0)
        console.warn(f"Interrupted; what AWS has begun goes on. {_go_on(result) if _begun(result) else AGAIN}")
        raise
    except BaseException as unexpected:
        error, exit_code = repr(unexpected), DrError.exit_code
        raise
    finally:
        result |= {"ok": error is None, "error": error, "exit_code": exit_code}
        record.close(result)
        show(result, as_json)
        console.note(f"record: {_shown(record.directory)}")


def _begun(result: Mapping[str, Any]) -> bool:
    """Whether `create` has its snapshot, whose copy is to follow."""
    return result["command"] == "create" and result["status"] is not None and result["copy"] is not None


def _go_on(result: Mapping[str, Any]) -> str:
    """`create` finds its snapshot for 15 minutes, and takes another one later: this one needs its copy."""
    name = result["snapshot"]
    return f"{name} stays: `dr snapshot copy {name} --apply --wait` goes on once it is complete."


def show(result: dict[str, Any], as_json: bool) -> None:
    """The result for programs, on standard output."""
    if as_json:
        console.plain(json.dumps(result, indent=2, default=str))


def _shown(directory: Path) -> str:
    return str(directory.relative_to(CHECKOUT)) if directory.is_relative_to(CHECKOUT) else str(directory)
