"""The parts of `dr database release`."""
