"""The parts of `dr replay sync-queue`."""
