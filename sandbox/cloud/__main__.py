"""`python -m sandbox.cloud --directory DIR --speed S`: run the emulated cloud until stdin ends or a signal comes."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path

from sandbox.clock import DEFAULT_SPEED
from sandbox.cloud.server import Server


def main() -> None:
    """Start, wait for the end of stdin (our parent's pipe) or SIGTERM or SIGINT, stop."""
    parser = argparse.ArgumentParser(prog="sandbox.cloud", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where state, logs and cloud.json go")
    parser.add_argument("--speed", type=float, default=DEFAULT_SPEED, help="modelled time per real time")
    arguments = parser.parse_args()
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    server = Server(arguments.directory.resolve(), arguments.speed)
    server.start()
    threading.Thread(target=_watch_stdin, args=(end,), daemon=True).start()
    end.wait()
    server.stop()


def _watch_stdin(end: threading.Event) -> None:
    while os.read(0, 4096):  # unbuffered: a thread that waits inside sys.stdin would make Python abort at its exit
        continue
    end.set()


if __name__ == "__main__":
    main()
