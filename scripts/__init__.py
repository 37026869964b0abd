"""The `dr` command: one file a task, a thin entry point in `scripts/dr.py`."""

import time

STARTED = time.monotonic()
"""When this process began with the command, before the slow imports."""
