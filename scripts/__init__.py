"""The `dr` command: one file a task, a thin entry point in `scripts/dr.py`."""
