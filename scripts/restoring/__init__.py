"""The parts of `dr restore`."""
