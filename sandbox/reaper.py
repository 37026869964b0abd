"""`python -m sandbox.reaper DIR`: remove a sandbox when the process that owns it is gone, however it ended.

Started in a session of its own with its standard input connected to the owner. The owner's end closes with it, also
on `kill -9`; then every process of that sandbox is ended and its directory removed. Processes of a sandbox carry its
directory in the environment variable `DR_SANDBOX_PROCESS` (Linux; elsewhere only the directory is removed).
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

MARK = "DR_SANDBOX_PROCESS"
PATIENCE = 5.0  # real seconds that processes get to end by themselves


def processes_of(directory: Path) -> list[int]:
    """Ids of the running processes that belong to the sandbox in `directory`, this one excepted."""
    wanted = f"{MARK}={directory}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile, or belongs to somebody else
            continue
        if wanted in environment and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def end_processes(directory: Path, patience: float = PATIENCE) -> None:
    """Wait for the sandbox's processes to end, then kill what is left."""
    deadline = time.monotonic() + patience
    while processes_of(directory) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in processes_of(directory):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def remove(directory: Path) -> None:
    """Remove the directory; a process that was writing a moment ago can make the first try fail."""
    for _ in range(20):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.1)


def main() -> None:
    directory = Path(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the owner's end counts
    while sys.stdin.buffer.read(4096):
        pass
    end_processes(directory)
    remove(directory)


if __name__ == "__main__":
    main()
