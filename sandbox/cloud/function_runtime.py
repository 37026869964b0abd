"""What AWS's Python runtime does in a function's process: import the handler, call it once, write what it answered.

Runs as `python -I -S -B function_runtime.py SPECIFICATION.json`, so that neither the checkout nor the virtual
environment is importable: only the standard library, then the archive, then the folder that has boto3. The event comes
on standard input. The result file gets {"result": …} or {"error": {errorMessage, errorType, stackTrace}}.
"""

import importlib
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any


class Context:
    """The second argument of a handler, as far as AWS documents it."""

    def __init__(self, specification: dict[str, Any]) -> None:
        self.function_name = specification["function"]
        self.function_version = "$LATEST"
        self.invoked_function_arn = specification["arn"]
        self.memory_limit_in_mb = str(specification["memory"])
        self.aws_request_id = specification["request_id"]
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = specification["request_id"]
        self._end = time.monotonic() + specification["timeout"]

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the process is killed."""
        return max(0, int((self._end - time.monotonic()) * 1000))


def main() -> None:
    """Run one invocation."""
    specification = json.loads(Path(sys.argv[1]).read_text())
    sys.path[:0] = [specification["archive"]]
    sys.path.append(specification["libraries"])
    _confine(frozenset(specification["ports"]))
    try:
        event = json.load(sys.stdin)
        answer = {"result": _find(specification["handler"])(event, Context(specification))}
        text = _encoded(answer)
    except Exception as error:  # noqa: BLE001 - reported to the caller, as AWS's runtime does
        traceback.print_exc()
        text = json.dumps({"error": _described(error)})
    unfinished = Path(specification["result"] + ".new")
    unfinished.write_text(text)
    unfinished.rename(specification["result"])  # whoever reads it never sees half of it


def _confine(ports: frozenset[int]) -> None:
    """Let connections through to these loopback ports only: what the function's network lets it reach."""

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "socket.connect" or not isinstance(arguments[1], tuple):
            return
        host, port = arguments[1][:2]
        if port not in ports:
            raise TimeoutError(f"connection to {host}:{port} timed out: the function's network does not lead there")

    sys.addaudithook(check)


class _Unfit(Exception):
    """The handler cannot be run, or its answer cannot be sent; `kind` is AWS's errorType."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def _find(handler: str) -> Any:
    name, _, attribute = handler.rpartition(".")
    try:
        module = importlib.import_module(name.replace("/", "."))
    except ImportError as error:
        raise _Unfit("Runtime.ImportModuleError", f"Unable to import module '{name}': {error}") from error
    if not hasattr(module, attribute):
        raise _Unfit("Runtime.HandlerNotFound", f"Handler '{attribute}' missing on module '{name}'")
    return getattr(module, attribute)


def _encoded(answer: Any) -> str:
    try:
        return json.dumps(answer)
    except (TypeError, ValueError) as error:
        raise _Unfit("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def _described(error: Exception) -> dict[str, Any]:
    kind = error.kind if isinstance(error, _Unfit) else type(error).__name__
    return {"errorMessage": str(error), "errorType": kind, "stackTrace": traceback.format_tb(error.__traceback__)}


if __name__ == "__main__":
    main()
